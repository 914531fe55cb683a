"""Histograms on a grid of logarithms, fine enough that a quantile is exact to 0.05 %."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fludapk.arrays import F8, I8

GRID_LOW: Final = 0.01
GRID_HIGH: Final = 10_000.0
GRID_WIDTH: Final = 0.001
"""Relative width of a cell of the grid: a quantile is off by at most half of it."""
CELLS: Final = math.ceil(math.log(GRID_HIGH / GRID_LOW) / GRID_WIDTH)
"""Number of cells of the grid, without the two for values beyond it."""
COARSE: Final = 10
"""Cells of the grid in a cell of the histograms along age, whose quantiles are exact to 0.5 %."""
COARSE_CELLS: Final = (CELLS + 2) // COARSE + 1


def cells(values: F8) -> I8:
    """Return the cell of the grid of each value; the first and last hold values beyond the grid.

    Parameters
    ----------
    values : (n,)
        Values above 0, in any unit.

    Returns
    -------
    (n,)
        From 0 to CELLS + 1.

    Examples
    --------
    >>> cells(np.array([0.001, 13.8, 1e6])).tolist()
    [0, 7230, 13817]
    """
    with np.errstate(divide="ignore"):
        place = np.floor(np.log(values / GRID_LOW) / GRID_WIDTH) + 1
    return np.asarray(np.clip(place, 0, CELLS + 1), dtype=np.int64)


def quantile(histogram: I8, fraction: float) -> float | None:
    """Return a quantile of a histogram on the grid, mid-cell; None if it is empty.

    Parameters
    ----------
    histogram : (CELLS + 2,)
        Patients in each cell.
    fraction : float
        Fraction of patients at or below the quantile.

    Examples
    --------
    >>> histogram = np.bincount(cells(np.linspace(10.0, 20.0, 1001)), minlength=13818)
    >>> f"{quantile(histogram, 0.5):.2f}"
    '15.00'
    """
    total = int(histogram.sum())
    if total == 0:
        return None
    reached = int(np.searchsorted(np.cumsum(histogram), max(1, math.ceil(fraction * total))))
    return GRID_LOW * math.exp((reached - 0.5) * GRID_WIDTH)


def coarse_quantile(histogram: I8, fraction: float) -> float | None:
    """Return a quantile of a histogram on the coarse grid, mid-cell; None if it is empty.

    Parameters
    ----------
    histogram : (COARSE_CELLS,)
    fraction : float
        Fraction of patients at or below the quantile.

    Examples
    --------
    >>> histogram = np.bincount(cells(np.linspace(10.0, 20.0, 1001)) // COARSE, minlength=1382)
    >>> f"{coarse_quantile(histogram, 0.5):.1f}"
    '15.0'
    """
    total = int(histogram.sum())
    if total == 0:
        return None
    reached = int(np.searchsorted(np.cumsum(histogram), max(1, math.ceil(fraction * total))))
    return GRID_LOW * math.exp(((reached + 0.5) * COARSE - 1) * GRID_WIDTH)
