"""Sums over the smoothed values of many patients."""

from __future__ import annotations

from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.jit import kernel

LANES: Final = 32
"""Values that are added side by side, so that an instruction takes several."""


@kernel
def _sums(centres: F8, narrow: F8, at: F8, w: F8, sums: F8) -> None:
    """Compute the sums of `shares`; `w` has two rows of lanes, and each patient two sums."""
    n = centres.shape[1]
    below, squares = w[0], w[1]
    for p in range(centres.shape[0]):
        w[:] = 0.0
        for first in range(0, n, LANES):
            values = centres[p, first : first + LANES]
            for j in range(values.shape[0]):
                u = (at[p] - values[j]) * narrow[p]
                u = 1.0 if u > 1.0 else u
                u = -1.0 if u < -1.0 else u
                square = u * u
                below[j] += (0.75 - 0.25 * square) * u
                squares[j] += square
        for s in range(2):
            total = 0.0
            for j in range(LANES):
                total += w[s, j]
            sums[s, p] = total


def shares(centres: F8, reach: F8, at: F8) -> tuple[F8, F8]:
    """Compute the share of Epanechnikov kernels below a point of each patient.

    Parameters
    ----------
    centres : (patients, n)
        Middles of the kernels.
    reach : (patients,)
        Half their width.
    at : (patients,)
        The point.

    Returns
    -------
    below : (patients,)
        Mean share of a kernel that is below the point.
    squares : (patients,)
        Mean square of the distance in half widths, at most 1.
    """
    sums = np.empty((2, len(at)))
    _sums(centres, 1.0 / reach, at, np.empty((2, LANES)), sums)
    below, squares = sums / centres.shape[1]
    return np.clip(0.5 + below, 0.0, 1.0), squares
