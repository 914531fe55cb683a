"""Figures of a study in shades of grey: exposure under each strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.language import marked, tr
from fludapk.pages.curves import LABEL_PT, Curve, draw_curves, label_falling
from fludapk.pages.figure import Figures, plain
from fludapk.pages.outcome_figures import answer_pictures
from fludapk.published.targets import HIGH, LOW, MET
from fludapk.studies.bands import Band
from fludapk.studies.counts import PROFILES, Counts
from fludapk.studies.grid import CELLS, GRID_LOW, GRID_WIDTH, coarse_quantile, quantile
from fludapk.studies.simulate import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIMITS: Final[tuple[Any, ...]] = ((0, (5, 2)), "-", (0, (1, 1.2)), (0, (8, 2, 1.5, 2)))
_PER_POINT: Final = 50
"""Patients a band must hold to be drawn."""
_ALONG: Final = {
    "age_years": marked("age, years"),
    "weight_kg": marked("weight, kg"),
    "egfr_ml_min_1_73m2": marked(
        "eGFR, mL/min/1.73 m² (Schwartz in children, Cockcroft-Gault in adults)"
    ),
}


def pictures(result: StudyResult, drawn: Sequence[Band] = ()) -> dict[str, Figures]:
    """Prepare every figure of a study, by name.

    Parameters
    ----------
    result : StudyResult
    drawn : sequence of Band
        Concentrations over time, if there are any.

    Raises
    ------
    InputError
        Without matplotlib.
    """
    counts = result.own_counts
    limits = drawn_limits(result)
    named: dict[str, Callable[[Figure], None]] = {
        "auc_distribution": lambda figure: _distribution(figure, counts, limits),
        "below_13_8": lambda figure: _along(figure, counts),
        "attainment": lambda figure: _attainment(figure, counts, limits),
        "auc_along_age": lambda figure: _auc_along_age(figure, counts, limits),
    }
    sizes = {
        "auc_distribution": (7.2, 1.6 + 0.62 * len(counts)),
        "below_13_8": (7.2, 3 * _panel_in(len(counts)) + 0.4),
        "attainment": (7.2, max(4.4, 0.16 * len(counts) + 2.0)),
        "auc_along_age": (7.2, 0.9 + 2.1 * -(-len(counts) // 2)),
    }
    if drawn:
        named["concentrations"] = lambda figure: _concentrations(figure, drawn)
        sizes["concentrations"] = (7.2, 1.0 + 2.0 * len(drawn))
    figures = {
        name: Figures(name, sizes.get(name, (7.2, 4.4)), draw) for name, draw in named.items()
    }
    return {**figures, **answer_pictures(result)}


def drawn_limits(result: StudyResult) -> list[float]:
    """Return the limits of a study that figures mark; by default both thresholds and 20.

    Parameters
    ----------
    result : StudyResult
    """
    scenario = result.run.scenario
    if scenario.limits is None and scenario.all_limits == [LOW, HIGH]:
        return [LOW, MET, HIGH]
    return scenario.all_limits


def _panel_in(curves: int) -> float:
    """Return the height of a panel that holds the names of so many curves, inches."""
    return max(2.4, 1.0 + 0.16 * curves)


def _called(counts: Counts | Band, several: bool) -> str:
    return f"{counts.strategy}\n({counts.truth})" if several else counts.strategy


def _several(counts: Sequence[Counts | Band]) -> bool:
    return len({row.truth for row in counts}) > 1


def _thresholds(
    axes: Axes, limits: Sequence[float], *, across: bool = True, order: float = 0
) -> None:
    line = axes.axvline if across else axes.axhline
    for k, value in enumerate(limits):
        line(value, color="0.35", linewidth=1.0, linestyle=_LIMITS[k % len(_LIMITS)], zorder=order)


def _key(limits: Sequence[float]) -> str:
    return ", ".join(f"{limit:g}" for limit in limits)


def _last_auc(counts: Sequence[Counts], limits: Sequence[float]) -> float:
    last = max((quantile(strategy.histograms[0, 0], 0.99) or HIGH) for strategy in counts)
    return max(1.3 * limits[-1], last)


def _distribution(figure: Figure, counts: Sequence[Counts], limits: Sequence[float]) -> None:
    axes = figure.subplots()
    _thresholds(axes, limits)
    low = limits[0]
    for place, strategy in enumerate(counts):
        whole = strategy.histograms[0, 0]
        q05, q25, q50, q75, q95 = (
            quantile(whole, q) or np.nan for q in (0.05, 0.25, 0.5, 0.75, 0.95)
        )
        heights, middles = _density(whole)
        axes.fill_between(
            middles, place - 0.05, place - 0.05 - 0.6 * heights, color="0.82", linewidth=0, zorder=1
        )
        axes.plot([q05, q95], [place + 0.12] * 2, color="0.0", linewidth=1.2)
        axes.plot([q25, q75], [place + 0.12] * 2, color="0.0", linewidth=5.0, solid_capstyle="butt")
        axes.plot(q50, place + 0.12, "o", color="1.0", markeredgecolor="0.0", markersize=6)
        if low in strategy.edges:
            groups = strategy.merged(strategy.groups[:, 0].sum(axis=(0, 1)), [low])
            share = groups[0] / max(1, groups.sum())
            axes.text(
                1.01, place, f"{share * 100:.0f} % < {low:g}", va="center",
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
    several = _several(counts)
    axes.set_yticks(range(len(counts)), [_called(strategy, several) for strategy in counts])
    axes.set_ylim(len(counts) - 0.4, -0.8)
    axes.set_xlim(0, _last_auc(counts, limits))
    quantiles = tr("AUC0-inf of F-ara-A, mg·h/L. Circle: median; thick: 25-75 %; thin: 5-95 %.")
    axes.set_xlabel(f"{quantiles}\n{tr('Lines: {limits} mg·h/L', limits=_key(limits))}")
    plain(axes)


def _density(histogram: npt.NDArray[np.int64], step: int = 25) -> tuple[F8, F8]:
    """Scale a histogram over AUC to a highest of 1; return it with the AUCs."""
    inner = histogram[1:-1]
    whole = inner[: len(inner) // step * step].reshape(-1, step).sum(axis=1)
    edges = GRID_LOW * np.exp(np.arange(len(whole) + 1) * step * GRID_WIDTH)
    density = whole / np.diff(edges)
    kept = np.flatnonzero(whole)
    part = slice(kept[0], kept[-1] + 1) if kept.size else slice(0, 1)
    return density[part] / max(np.max(density), 1e-300), np.sqrt(edges[1:] * edges[:-1])[part]


def _along(figure: Figure, counts: Sequence[Counts]) -> None:
    panels = figure.subplots(len(_ALONG), 1)
    several = _several(counts)
    for axes, (name, title) in zip(panels, _ALONG.items(), strict=True):
        edges = PROFILES[name]
        middle = (edges[:-1] + edges[1:]) / 2
        curves = []
        for strategy in counts:
            table = strategy.profiles[name]
            n, below = table[:, 0], table[:, 1]
            share = np.where(n >= _PER_POINT, below / np.maximum(n, 1), np.nan)
            label = _called(strategy, several).replace("\n", " ")
            curves.append(Curve(label, middle, 100 * share))
        axes.set_xlabel(tr(title))
        axes.set_ylim(0, 100)
        axes.set_ylabel(tr("below 13.8, %"))
        if any(_is_line(curve.y) for curve in curves):
            draw_curves(axes, curves, height_in=_panel_in(len(counts)) - 0.7)
        else:
            _too_few(axes, edges, counts[0].profiles[name][:, 0])
        plain(axes)


def _is_line(y: F8) -> bool:
    """True if two neighbours are known."""
    return bool((np.isfinite(y[1:]) & np.isfinite(y[:-1])).any())


def _too_few(axes: Axes, edges: F8, patients: npt.NDArray[np.int64]) -> None:
    """Say why nothing is drawn over the bands that hold patients."""
    text = fill(tr("too few patients: each point is of {n} or more", n=_PER_POINT), 36)
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.25",
        fontsize=LABEL_PT, bbox={"facecolor": "1.0", "edgecolor": "none"}, zorder=4,
    )  # fmt: skip
    held = np.flatnonzero(patients)
    if held.size:
        axes.set_xlim(edges[held[0]], edges[held[-1] + 1])


def _attainment(figure: Figure, counts: Sequence[Counts], limits: Sequence[float]) -> None:
    axes = figure.subplots()
    _thresholds(axes, limits)
    several = _several(counts)
    grid = GRID_LOW * np.exp(np.arange(CELLS + 1) * GRID_WIDTH)
    axes.set_xlim(0, _last_auc(counts, limits))
    axes.set_ylim(0, 100)
    curves = []
    for strategy in counts:
        histogram = strategy.histograms[0, 0]
        if not histogram.any():  # nobody is given a dose
            continue
        above = 1.0 - np.cumsum(histogram)[:-1] / max(1, histogram.sum())
        curves.append(Curve(_called(strategy, several), grid, 100 * above))
    label_falling(axes, curves)
    axes.set_xlabel(
        tr("target AUC0-inf of F-ara-A, mg·h/L (lines: {limits} mg·h/L)", limits=_key(limits))
    )
    axes.set_ylabel(tr("patients who reach it, %"))
    plain(axes)


def _auc_along_age(figure: Figure, counts: Sequence[Counts], limits: Sequence[float]) -> None:
    """Draw quantiles of the AUC along age, a panel for each strategy."""
    rows = -(-len(counts) // 2)
    panels = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
    edges = PROFILES["age_years"]
    middle = (edges[:-1] + edges[1:]) / 2
    several = _several(counts)
    for axes in panels.flat[len(counts) :]:
        axes.set_visible(False)
    for axes, strategy in zip(panels.flat, counts, strict=False):
        _thresholds(axes, limits, across=False, order=3)
        enough = strategy.auc_by_age.sum(axis=1) >= _PER_POINT
        q05, q25, q50, q75, q95 = (
            np.array(
                [
                    (coarse_quantile(row, q) or np.nan) if good else np.nan
                    for row, good in zip(strategy.auc_by_age, enough, strict=True)
                ]
            )
            for q in (0.05, 0.25, 0.5, 0.75, 0.95)
        )
        if _is_line(q50):
            axes.fill_between(middle, q05, q95, color="0.88", linewidth=0)
            axes.fill_between(middle, q25, q75, color="0.72", linewidth=0)
            axes.plot(middle, q50, color="0.0", linewidth=1.4)
        else:
            _too_few(axes, edges, strategy.auc_by_age.sum(axis=1))
        axes.set_title(_called(strategy, several).replace("\n", " "), fontsize=LABEL_PT, loc="left")
        axes.set_ylim(0, _last_auc(counts, limits))
        plain(axes)
    text = tr("age, years. Line: median; bands: 25-75 % and 5-95 % of patients")
    figure.supxlabel(text, fontsize=10)
    figure.supylabel(tr("AUC0-inf, mg·h/L"), fontsize=10)


def _concentrations(figure: Figure, drawn: Sequence[Band]) -> None:
    panels = figure.subplots(len(drawn), 1, squeeze=False, sharex=True)[:, 0]
    several = _several(drawn)
    for axes, band in zip(panels, drawn, strict=True):
        low, middle, high = np.maximum(band.quantiles, 1e-4)
        axes.fill_between(band.times_h, low, high, color="0.82", linewidth=0)
        axes.plot(band.times_h, middle, color="0.0", linewidth=1.2)
        axes.set_yscale("log")
        axes.set_ylim(max(1e-3, float(high.max()) * 1e-3), float(high.max()) * 1.5)
        axes.set_ylabel("mg/L")
        axes.set_title(_called(band, several).replace("\n", " "), fontsize=10, loc="left")
        plain(axes)
    panels[-1].set_xlabel(
        tr(
            "hours from the first dose. F-ara-A: median and 5-95 % of the first {n} patients",
            n=drawn[0].patients,
        )
    )
