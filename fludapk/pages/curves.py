"""Curves that can be told apart without a legend: line styles, and labels at the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES: Final[tuple[Any, ...]] = (
    "-", (0, (5, 2)), (0, (1, 1.3)), (0, (8, 2, 1.5, 2)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)), (0, (12, 3)),
)  # fmt: skip
_PENS: Final = (("0.0", 1.6), ("0.55", 2.8))
"""Grey and width: thin black lines first, then thick grey ones."""
LABEL_PT: Final = 8.5


def style(k: int) -> dict[str, Any]:
    """Return the look of curve k; twelve are all different.

    Parameters
    ----------
    k : int
        Number of the curve, from 0.

    Examples
    --------
    >>> looks = [(str(style(k)["linestyle"]), style(k)["color"]) for k in range(12)]
    >>> len(set(looks))
    12
    """
    color, width = _PENS[k // len(_DASHES) % len(_PENS)]
    return {"linestyle": _DASHES[k % len(_DASHES)], "color": color, "linewidth": width}


@dataclass(frozen=True)
class Curve:
    """Curve with its name, in the units of the axes."""

    name: str
    x: F8
    y: F8


def spread_apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places near some values that keep a distance, inside a range where they fit.

    Parameters
    ----------
    values : sequence of float
    gap : float
        Least distance of two places.
    low, high : float

    Examples
    --------
    >>> spread_apart([0.5, 0.52, 0.1], 0.1, 0.0, 1.0)
    [0.46, 0.56, 0.1]
    """
    order = np.argsort(values, kind="stable")
    places = np.array([values[k] for k in order], dtype=np.float64)
    for _ in range(200):
        moved = False
        for i in range(len(places) - 1):
            missing = gap - (places[i + 1] - places[i])
            if missing > 1e-9:
                places[i] -= missing / 2
                places[i + 1] += missing / 2
                moved = True
        if len(places):
            places += max(0.0, low - places[0])
            places -= max(0.0, places[-1] - high)
        if not moved:
            break
    result = [0.0] * len(places)
    for place, k in zip(places, order, strict=True):
        result[k] = round(float(place), 9)
    return result


def draw_curves(axes: Axes, curves: Sequence[Curve], *, height_in: float) -> None:
    """Draw curves with their names at their right ends.

    Parameters
    ----------
    axes : Axes
        With its limits set.
    curves : sequence of Curve
    height_in : float
        Height of the axes, inches.
    """
    for k, curve in enumerate(curves):
        axes.plot(curve.x, curve.y, **style(k))
        alone = _without_neighbours(curve.y)
        if alone.any():
            axes.plot(curve.x[alone], curve.y[alone], "o", color="0.0", markersize=2.5)
    ends = []
    for curve in curves:
        seen = np.flatnonzero(np.isfinite(curve.y))
        if seen.size:
            ends.append((curve.name, float(curve.x[seen[-1]]), float(curve.y[seen[-1]])))
    low, high = axes.get_ylim()
    share = [(y - low) / (high - low) for *_, y in ends]
    gap = LABEL_PT * 1.25 / 72 / height_in
    for (name, x, y), place in zip(ends, spread_apart(share, gap, 0.0, 1.0), strict=True):
        _name(axes, name, (x, y), place)


def _without_neighbours(y: F8) -> npt.NDArray[np.bool_]:
    """Mark points that no line would show."""
    here = np.pad(np.isfinite(y), 1)
    return np.asarray(here[1:-1] & ~here[:-2] & ~here[2:])


def label_falling(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw curves that all fall from the top to the bottom, each named where it is alone.

    Parameters
    ----------
    axes : Axes
        With its limits set.
    curves : sequence of Curve
    """
    low, high = axes.get_ylim()

    def crossing(curve: Curve, y: float) -> float:
        return float(min(np.interp(-y, -curve.y, curve.x), axes.get_xlim()[1]))

    middle = (low + high) / 2
    order = np.argsort([crossing(curve, middle) for curve in curves], kind="stable")
    for k, curve in enumerate(curves):
        axes.plot(curve.x, curve.y, **style(k))
    count = len(curves)
    for rank, k in enumerate(order):
        share = 0.12 + 0.76 * (rank + 0.5) / count
        y = low + share * (high - low)
        at = crossing(curves[k], y), y
        _name(axes, curves[k].name.replace("\n", " "), at, share)
        axes.plot(*at, "o", color="0.0", markersize=2.5)


def _name(axes: Axes, name: str, at: tuple[float, float], place: float) -> None:
    """Write a name to the right of the axes, with a thin line to its curve."""
    axes.annotate(
        name, xy=at, xytext=(1.05, place), textcoords=axes.transAxes, fontsize=LABEL_PT,
        va="center", annotation_clip=False,
        arrowprops={"arrowstyle": "-", "shrinkA": 1, "shrinkB": 0, "linewidth": 0.5,
                    "color": "0.5"},
    )  # fmt: skip
