"""The sheet of a sampling design."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fludapk.language import tr
from fludapk.pages.templates import sheet
from fludapk.pages.update import simulated_line

if TYPE_CHECKING:
    from fludapk.answers.design import Design, Schedule


def design_html(d: Design, *, whole: bool = True) -> str:
    """Draw the levels to measure on one sheet; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    d : Design
    whole : bool
        A document of its own; otherwise a part of a page.
    """
    rows = [
        (tr("no level"), "", f"{d.covariates_interval_width:.1f}", ""),
        *(_row(tr("best {n}", n=len(s.times_h)), s) for s in d.best),
        *(_row(tr("published"), s) for s in d.published),
    ]
    return sheet(
        "design.html",
        whole=whole,
        d=d,
        disclaimer=d.disclaimer,
        best=best_line(d),
        simulated=simulated_line(d),
        rows=rows,
        made={
            "version": f"fludapk {d.version}",
            "hashes": [(f"model {d.model}", d.model_sha256)],
            "draws": tr("{n} simulated patients, seed {seed}", n=d.patients, seed=d.seed),
        },
    )


def best_line(d: Design) -> str:
    """Name the best one, two, ... times in a sentence."""
    return "; ".join(f"{len(s.times_h)}: {_times(s)} h" for s in d.best)


def _row(name: str, s: Schedule) -> tuple[str, str, str, str]:
    return name, _times(s), f"{s.interval_width:.1f}", f"{100 * s.reduction:.0f} %"


def _times(s: Schedule) -> str:
    return ", ".join(f"{t:g}" for t in s.times_h)
