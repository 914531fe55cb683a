"""A minimum of a smooth function of few variables, by Newton's steps on differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from fludapk.arrays import F8

STEP: Final = 1e-3
"""Length of the differences, in prior SD: their error and that of rounding are then about 1e-6."""
NEAR: Final = 1e-9
"""Expected fall of the function at which a search ends."""
MAX_STEP: Final = 3.0
MAX_ITERATIONS: Final = 100


class Minimum(NamedTuple):
    """A point, its value and second derivatives, and how often the function was evaluated."""

    x: F8
    value: float
    hessian: F8
    evaluations: int
    converged: bool


def derivatives(function: Callable[[F8], F8], x: F8) -> tuple[float, F8, F8]:
    """Return value, gradient (d,) and second derivatives (d, d) by central differences.

    Parameters
    ----------
    function : callable
        Takes (m, d) points at once and returns (m,) values.
    x : (d,) array

    Examples
    --------
    >>> value, slope, bend = derivatives(lambda x: (x**2).sum(axis=1), np.array([1.0, 2.0]))
    >>> round(value, 6), slope.round(6), bend.round(4)
    (5.0, array([2., 4.]), array([[2., 0.],
           [0., 2.]]))
    """
    d = len(x)
    unit = STEP * np.eye(d)
    pairs = [(i, j) for i in range(d) for j in range(i)]
    moves = [np.zeros(d), *unit, *-unit]
    moves += [sign * (unit[i] + unit[j]) for i, j in pairs for sign in (1.0, -1.0)]
    values = function(x + np.array(moves))
    middle, up, down = values[0], values[1 : d + 1], values[d + 1 : 2 * d + 1]
    hessian = np.diag((up + down - 2.0 * middle) / STEP**2)
    for k, (i, j) in enumerate(pairs):
        both = values[2 * d + 1 + 2 * k : 2 * d + 3 + 2 * k].sum() - 2.0 * middle
        mixed = (both / STEP**2 - hessian[i, i] - hessian[j, j]) / 2.0
        hessian[i, j] = hessian[j, i] = mixed
    return float(middle), (up - down) / (2.0 * STEP), hessian


def minimum(function: Callable[[F8], F8], start: F8) -> Minimum:
    """Descend to a minimum; the value never rises.

    Parameters
    ----------
    function : callable
        As in `derivatives`; infinite where it is not defined.
    start : (d,) array

    Examples
    --------
    >>> minimum(lambda x: np.cosh(x - 2.0).sum(axis=1), np.zeros(2)).x.round(5)
    array([2., 2.])
    """
    x, evaluations, d = np.array(start, dtype=np.float64), 0, len(start)
    value, hessian = np.inf, np.eye(d)
    lengths = 0.5 ** np.arange(20.0)
    for _ in range(MAX_ITERATIONS):
        value, slope, hessian = derivatives(function, x)
        evaluations += 1 + d + d * d
        if not (np.isfinite(value) and np.isfinite(slope).all() and np.isfinite(hessian).all()):
            break
        curve, axes = np.linalg.eigh(hessian)
        step = -axes @ ((axes.T @ slope) / np.maximum(np.abs(curve), 0.1))
        if -slope @ step < NEAR:
            return Minimum(x, value, hessian, evaluations, bool(curve[0] > 0.0))
        step *= min(1.0, MAX_STEP / float(np.linalg.norm(step)))
        trials = function(x + lengths[:, None] * step)
        evaluations += len(lengths)
        best = int(np.argmin(np.where(np.isfinite(trials), trials, np.inf)))
        if not trials[best] < value:
            break
        x = x + lengths[best] * step
    return Minimum(x, value, hessian, evaluations, False)
