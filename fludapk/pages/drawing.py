"""Scales and ticks of pictures in SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

WIDTH: Final = 344.0
"""Width of a picture, CSS px: two fit side by side on A4, one on a telephone."""


# ------------------------------------------------------------------ scales


@dataclass(frozen=True)
class Scale:
    """A linear axis: `first`..`last` of the quantity on `start`..`end` px.

    Examples
    --------
    >>> Scale(0.0, 30.0, 20.0, 320.0)(13.8)
    158.0
    """

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the px of a value, held inside the axis."""
        inside = min(max(value, self.first), self.last)
        share = (inside - self.first) / (self.last - self.first)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis, like `Scale`.

    Examples
    --------
    >>> LogScale(0.01, 10.0, 190.0, 10.0)(0.1), LogScale(0.01, 10.0, 190.0, 10.0)(0.0001)
    (130.0, 310.0)
    """

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the px of a value; below the axis too, at most four decades."""
        least = self.first / 1e4
        share = math.log10(max(value, least) / self.first) / math.log10(self.last / self.first)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


class ValueRow(NamedTuple):
    """Row of the table of a figure: where it stands in it, and its cells."""

    x: float
    """px"""
    cells: tuple[str, ...]
    y: float | None = None
    """px, where rows lie below each other."""


def every(times_h: Sequence[float], step_h: float, always_h: Sequence[float] = ()) -> list[int]:
    """Choose places of a time axis that lie a step apart, and some times in any case.

    Parameters
    ----------
    times_h : sequence of float
        Ascending, h.
    step_h : float
    always_h : sequence of float
        Times among them that are chosen, h.

    Examples
    --------
    >>> every([0.0, 0.5, 1.0, 1.5, 2.0, 3.0], 1.0, [0.5])
    [0, 1, 3, 5]
    """
    chosen, last = [], -math.inf
    for k, time in enumerate(times_h):
        if time - last >= step_h - 1e-9 or any(abs(time - t) < 1e-6 for t in always_h):
            chosen.append(k)
            last = time
    return chosen


def round_steps(last: float, most: int, steps: Sequence[float] = ()) -> list[float]:
    """Choose round numbers from 0 that reach `last` in at most `most` steps.

    Parameters
    ----------
    last : float
        Above zero.
    most : int
    steps : sequence of float, optional
        Distances to choose from before 1, 2 and 5 times a power of ten.

    Examples
    --------
    >>> round_steps(22.1, 6)
    [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]
    >>> round_steps(144.0, 8, (12.0, 24.0, 48.0))
    [0.0, 24.0, 48.0, 72.0, 96.0, 120.0, 144.0]
    """
    power = 10.0 ** math.floor(math.log10(last / most))
    candidates = [*steps, *(m * power for m in (1, 2, 5, 10, 20))]
    step = next(s for s in candidates if s * most >= last * (1 - 1e-9))
    count = math.ceil(last / step - 1e-9)
    return [round(k * step, 9) for k in range(count + 1)]


def ticks(values: Sequence[float], scale: Scale | LogScale) -> list[Tick]:
    """Mark values on a scale, as far as it goes."""
    return [Tick(scale(value), f"{value:g}") for value in values if value <= scale.last]


def decades(low: float, high: float, most: int = 3) -> list[float]:
    """List powers of ten up to `high`: the first is below `low`, or `most` below the last.

    Examples
    --------
    >>> decades(0.03, 2.6), decades(0.0, 0.9)
    ([0.01, 0.1, 1.0], [0.0001, 0.001, 0.01, 0.1])
    """
    last = math.floor(math.log10(high) + 1e-9)
    first = last - most if low <= 0 else max(math.floor(math.log10(low) + 1e-9), last - most)
    return [float(f"1e{power}") for power in range(min(first, last - 1), last + 1)]


def points(x: Sequence[float], y: Sequence[float]) -> str:
    """Write the coordinates of an SVG polyline.

    Examples
    --------
    >>> points([0.0, 1.5], [10.0, 7.25])
    '0.0,10.0 1.5,7.2'
    """
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
