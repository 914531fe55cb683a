"""Figures of a study in shades of grey: exposure under each strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.pages.figure import Figures, plain
from fludapk.published.targets import HIGH, LOW, MET
from fludapk.studies.bands import Band
from fludapk.studies.counts import CELLS, COUNTED, GRID_LOW, GRID_WIDTH, PROFILES, Counts, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES: Final[tuple[Any, ...]] = (
    "-", (0, (5, 2)), (0, (1, 1.3)), (0, (8, 2, 1.5, 2)), (0, (3, 1.2, 1, 1.2)), (0, (10, 3)),
)  # fmt: skip
_GREYS: Final = ("0.0", "0.25", "0.0", "0.4", "0.15", "0.5")
_PER_POINT: Final = 50
"""Patients a band must hold to be drawn."""
_ALONG: Final = {
    "age_years": "age, years",
    "weight_kg": "weight, kg",
    "egfr_ml_min_1_73m2": "eGFR, mL/min/1.73 m² (Schwartz in children, Cockcroft-Gault in adults)",
}


def pictures(counts: Sequence[Counts], drawn: Sequence[Band] = ()) -> dict[str, Figures]:
    """Prepare every figure of a study, by name.

    Raises
    ------
    InputError
        Without matplotlib.
    """
    named: dict[str, Callable[[Figure], None]] = {
        "auc_distribution": lambda figure: _distribution(figure, counts),
        "below_13_8": lambda figure: _along(figure, counts),
        "attainment": lambda figure: _attainment(figure, counts),
    }
    sizes = {"auc_distribution": (7.2, 1.6 + 0.62 * len(counts)), "below_13_8": (7.2, 7.6)}
    if drawn:
        named["concentrations"] = lambda figure: _concentrations(figure, drawn)
        sizes["concentrations"] = (7.2, 1.0 + 2.0 * len(drawn))
    return {name: Figures(name, sizes.get(name, (7.2, 4.4)), draw) for name, draw in named.items()}


def _called(counts: Counts | Band, several: bool) -> str:
    return f"{counts.strategy}\n({counts.truth})" if several else counts.strategy


def _several(counts: Sequence[Counts | Band]) -> bool:
    return len({row.truth for row in counts}) > 1


def _thresholds(axes: Axes, *, across: bool = True) -> None:
    line = axes.axvline if across else axes.axhline
    for value, style in ((LOW, (0, (5, 2))), (MET, "-"), (HIGH, (0, (1, 1.2)))):
        line(value, color="0.35", linewidth=1.0, linestyle=style, zorder=0)


_KEY: Final = "dashed 13.8, solid 14, dotted 20 mg·h/L"


def _distribution(figure: Figure, counts: Sequence[Counts]) -> None:
    axes = figure.subplots()
    _thresholds(axes)
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
        share = strategy.counts[0, COUNTED.index("below_13_8")] / max(1, strategy.counts[0, 1])
        axes.text(
            1.01, place, f"{share * 100:.0f} % < 13.8", transform=axes.get_yaxis_transform(),
            va="center",
        )  # fmt: skip
    several = _several(counts)
    axes.set_yticks(range(len(counts)), [_called(strategy, several) for strategy in counts])
    axes.set_ylim(len(counts) - 0.4, -0.8)
    last = max((quantile(strategy.histograms[0, 0], 0.99) or HIGH) for strategy in counts)
    axes.set_xlim(0, max(1.3 * HIGH, last))
    axes.set_xlabel("AUC0-inf of F-ara-A, mg·h/L. Circle: median; thick: 25-75 %; thin: 5-95 %.\n"
                    f"Lines: {_KEY}")  # fmt: skip
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
        for k, strategy in enumerate(counts):
            table = strategy.profiles[name]
            n, below = table[:, 0], table[:, 1]
            enough = n >= _PER_POINT
            middle = (edges[:-1] + edges[1:]) / 2
            share = np.where(enough, below / np.maximum(n, 1), np.nan)
            axes.plot(
                middle, 100 * share, linestyle=_LINES[k % len(_LINES)],
                color=_GREYS[k % len(_GREYS)], linewidth=1.8,
                label=_called(strategy, several).replace("\n", " "),
            )  # fmt: skip
        axes.set_xlabel(title)
        axes.set_ylim(0, 100)
        axes.set_ylabel("below 13.8, %")
        plain(axes)
    panels[0].legend(frameon=False, fontsize=9, ncols=2)


def _attainment(figure: Figure, counts: Sequence[Counts]) -> None:
    axes = figure.subplots()
    _thresholds(axes)
    several = _several(counts)
    grid = GRID_LOW * np.exp(np.arange(CELLS + 1) * GRID_WIDTH)
    for k, strategy in enumerate(counts):
        histogram = strategy.histograms[0, 0]
        above = 1.0 - np.cumsum(histogram)[:-1] / max(1, histogram.sum())
        axes.plot(
            grid, 100 * above, linestyle=_LINES[k % len(_LINES)], color=_GREYS[k % len(_GREYS)],
            linewidth=1.8, label=_called(strategy, several).replace("\n", " "),
        )  # fmt: skip
    last = max((quantile(strategy.histograms[0, 0], 0.99) or HIGH) for strategy in counts)
    axes.set_xlim(0, max(1.3 * HIGH, last))
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"target AUC0-inf of F-ara-A, mg·h/L (lines: {_KEY})")
    axes.set_ylabel("patients who reach it, %")
    axes.legend(frameon=False, fontsize=9)
    plain(axes)


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
        f"hours from the first dose. F-ara-A: median and 5-95 % of the first {drawn[0].patients} "
        "patients"
    )
