"""The sheet of a sampling design."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fludapk.pages.templates import sheet

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
        ("no level", "", f"{d.covariates_interval_width:.1f}", ""),
        *(_row(f"best {len(s.times_h)}", s) for s in d.best),
        *(_row("published", s) for s in d.published),
    ]
    return sheet(
        "design.html",
        whole=whole,
        d=d,
        disclaimer=d.disclaimer,
        best=best_line(d),
        whose="like this one" if d.whose == "patient" else f"of {d.whose}",
        rows=rows,
        made={
            "version": f"fludapk {d.version}",
            "hashes": [(f"model {d.model}", d.model_sha256)],
            "draws": f"{d.patients} simulated patients, seed {d.seed}",
        },
    )


def best_line(d: Design) -> str:
    """Name the best one, two, ... times in a sentence."""
    return "; ".join(f"{len(s.times_h)}: {_times(s)} h" for s in d.best)


def _row(name: str, s: Schedule) -> tuple[str, str, str, str]:
    return name, _times(s), f"{s.interval_width:.1f}", f"{100 * s.reduction:.0f} %"


def _times(s: Schedule) -> str:
    return ", ".join(f"{t:g}" for t in s.times_h)
