"""Figures of a comparison of models on measured levels, in shades of grey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fludapk.arrays import F8
from fludapk.language import marked, tr
from fludapk.pages.figure import Figures, plain
from fludapk.pk.effects import normal_scores
from fludapk.studies.evaluation import Evaluation
from fludapk.studies.evaluation_records import Basis, BinRecord
from fludapk.studies.metrics import WITHIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final[dict[Basis, str]] = {
    "covariates": marked("from covariates"),
    "later_from_earlier": marked("later levels, from earlier ones"),
}


AFTER_DOSE: Final = marked("hours after the last dose (stretched near 0)")
_DOT: Final[Any] = {"markersize": 2.4, "markeredgewidth": 0.0}
_HOURS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 96.0, 192.0, 384.0)


def pictures(result: Evaluation) -> dict[str, Figures]:
    """Every figure by name."""
    draw: dict[str, Callable[[Figure, Evaluation], None]] = {
        "vpc": _vpc,
        "predicted": _predicted,
        "npde": _npde,
    }
    size = (7.2, 0.7 + 2.7 * len(result.scores))

    def figure_of(name: str, how: Callable[[Figure, Evaluation], None]) -> Figures:
        return Figures(f"evaluation_{name}", size, lambda figure: how(figure, result))

    return {name: figure_of(name, how) for name, how in draw.items()}


def _vpc(figure: Figure, result: Evaluation) -> None:
    """Shades of what is simulated, lines of what was measured."""
    panels = figure.subplots(len(result.scores), 1, squeeze=False, sharex=True)[:, 0]
    for axes, score in zip(panels, result.scores, strict=True):
        at = np.array([one.middle_h for one in score.vpc])
        floor = 0.7 * np.min(_some(score.corrected, result))
        for k, (shade, style) in enumerate((("0.88", "--"), ("0.74", "-"), ("0.88", "--"))):
            low, high = (_along(score.vpc, side, k) for side in ("low", "high"))
            low = np.where(np.isnan(low), floor, low)
            axes.fill_between(at, low, high, color=shade, linewidth=0, zorder=0)
            seen = _along(score.vpc, "observed", k)
            axes.plot(at, seen, color="0.0", linestyle=style, linewidth=1.3)
        axes.plot(result.after_dose_h, score.corrected, "o", color="0.4", **_DOT)
        axes.set_xscale("function", functions=(np.log1p, np.expm1))
        axes.set_xticks([t for t in _HOURS if t <= 1.1 * np.max(result.after_dose_h)])
        axes.set_yscale("log")
        axes.set_ylim(bottom=floor)
        axes.set_ylabel(tr("F-ara-A, mg/L"))
        axes.set_title(score.model.id, fontsize=10, loc="left")
        plain(axes)
    panels[-1].set_xlabel(
        "\n".join(
            [
                tr(AFTER_DOSE),
                tr("Dots: levels, prediction-corrected. Lines: their 10, 50 and 90 %."),
                tr("Shades: where 95 % of simulations by the model have these lines."),
            ]
        ),
        fontsize=9,
    )


def _some(levels: F8, result: Evaluation) -> F8:
    """Levels that were measured; their limits if all are below them, so that axes have ends."""
    measured = levels[np.isfinite(levels)]
    return measured if measured.size else result.lloq_mg_l


def _along(bins: Sequence[BinRecord], what: str, k: int) -> F8:
    values = [getattr(one, what)[k] for one in bins]
    return np.array([np.nan if value is None else value for value in values])


def _predicted(figure: Figure, result: Evaluation) -> None:
    """Measured against predicted, with the lines of 30 %."""
    panels = figure.subplots(
        len(result.scores), len(_SHOWN), squeeze=False, sharex=True, sharey=True
    )
    measured = result.measured_mg_l
    shown = _some(measured, result)
    ends = np.array([0.7 * np.min(shown), 1.4 * np.max(shown)])
    for score, row in zip(result.scores, panels, strict=True):
        for axes, (basis, words) in zip(row, _SHOWN.items(), strict=True):
            for factor, style in ((1.0, "-"), (1 - WITHIN, ":"), (1 + WITHIN, ":")):
                axes.plot(ends * factor, ends, color="0.5", linewidth=1.0, linestyle=style)
            axes.plot(score.predicted[basis], measured, "o", color="0.1", **_DOT)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_ylim(*ends)
            axes.set_xlim(*ends)
            axes.set_title(f"{score.model.id}:\n{tr(words)}", fontsize=9, loc="left")
            plain(axes)
        row[0].set_ylabel(tr("measured, mg/L"))
    for axes in panels[-1]:
        axes.set_xlabel(tr("predicted F-ara-A, mg/L (dotted: 30 % off)"), fontsize=9)


def _npde(figure: Figure, result: Evaluation) -> None:
    """NPDE over time, and against normal quantiles."""
    panels = figure.subplots(len(result.scores), 2, squeeze=False, sharex="col", sharey=True)
    n = len(result.measured_mg_l)
    expected = normal_scores((np.arange(n) + 0.5) / n)
    for score, (left, right) in zip(result.scores, panels, strict=True):
        for axes in (left, right):
            for line in (-1.96, 0.0, 1.96):
                axes.axhline(
                    line, color="0.6", linewidth=1.0, linestyle=":" if line else "-", zorder=0
                )
            plain(axes)
        left.plot(result.after_dose_h, score.npde, "o", color="0.1", **_DOT)
        left.set_xscale("function", functions=(np.log1p, np.expm1))
        left.set_xticks([t for t in _HOURS if t <= 1.1 * np.max(result.after_dose_h)])
        left.set_ylabel("NPDE")
        left.set_title(score.model.id, fontsize=10, loc="left")
        right.plot([-3, 3], [-3, 3], color="0.6", linewidth=1.0)
        right.plot(expected, np.sort(score.npde), "o", color="0.1", **_DOT)
    panels[-1][0].set_xlabel(tr(AFTER_DOSE), fontsize=9)
    panels[-1][1].set_xlabel(tr("expected: standard normal quantiles"), fontsize=9)
