"""Checks of arrays before a kernel reads them: kernels trust shapes, order and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError


class ShapeError(InputError, ValueError):
    """Arrays whose shapes do not match; a `ValueError`, too, as in numpy."""


_SLACK_H: Final = 1e-9
"""Overlap of two infusions that is rounding of floating-point numbers, h."""


def check_infusions(times_h: F8, infusion_h: F8, amounts_mg: F8) -> None:
    """Refuse infusions that a kernel would read wrongly.

    Parameters
    ----------
    times_h, infusion_h : (doses,) or (n or 1, doses)
        Starts and durations, h.
    amounts_mg : (n or 1, doses)
        Doses, mg F-ara-A.

    Raises
    ------
    InputError
        If numbers do not match, are not finite or are negative, if a duration is not above zero, or
        if infusions overlap or are out of order; all such faults.

    Examples
    --------
    >>> check_infusions(np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([[20.0, 20.0]]))
    >>> check_infusions(np.array([24.0, 0.0]), np.array([0.5, 0.5]), np.array([[20.0, -1.0]]))
    Traceback (most recent call last):
        ...
    fludapk.errors.InputError: infusions must be in order and not overlap
    amounts must be finite and not below zero
    """
    numbers = {array.shape[-1] if array.ndim else 0 for array in (times_h, infusion_h, amounts_mg)}
    if len(numbers) > 1 or not all(numbers):
        raise ShapeError(
            f"{times_h.shape[-1:]} starts, {infusion_h.shape[-1:]} durations and "
            f"{amounts_mg.shape[-1:]} amounts of infusions: give as many of each, at least one"
        )
    faults = []
    if not np.isfinite(times_h).all():
        faults.append("starts of infusions must be finite")
    if not ((infusion_h > 0.0) & (infusion_h < np.inf)).all():
        faults.append("durations of infusions must be finite and above zero")
    if not faults and not _follow(times_h, infusion_h):
        faults.append("infusions must be in order and not overlap")
    if not ((amounts_mg >= 0.0) & (amounts_mg < np.inf)).all():
        faults.append("amounts must be finite and not below zero")
    if faults:
        raise InputError(*faults)


def _follow(times_h: F8, infusion_h: F8) -> bool:
    """Tell if each infusion starts when the one before it has ended."""
    ends = np.asarray(times_h + infusion_h)[..., :-1]
    return bool((times_h[..., 1:] >= ends - _SLACK_H).all())


def check_shapes(shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    """Refuse arrays of which a kernel would read beyond the end.

    Parameters
    ----------
    shapes : mapping of str to (shape, lengths)
        Name -> shape of the array, and the lengths that its axes after the first must have.

    Raises
    ------
    ShapeError
        If axes do not match, or arrays have different numbers of rows above 1.

    Examples
    --------
    >>> check_shapes({"tv": ((1, 6), (6,)), "eta": ((8, 2), (2,))})
    >>> check_shapes({"tv": ((3, 6), (6,)), "eta": ((8, 1), (2,))})
    Traceback (most recent call last):
        ...
    fludapk.pk.shapes.ShapeError: eta has the shape (8, 1): expected (n or 1, 2)
    numbers of rows do not match: tv 3, eta 8
    """
    faults = [
        f"{name} has the shape {shape}: expected (n or 1, {', '.join(map(str, lengths))})"
        for name, (shape, lengths) in shapes.items()
        if shape[1:] != lengths or shape[0] < 1
    ]
    rows = {name: shape[0] for name, (shape, _) in shapes.items() if shape[0] > 1}
    if len(set(rows.values())) > 1:
        named = ", ".join(f"{name} {n}" for name, n in rows.items())
        faults.append(f"numbers of rows do not match: {named}")
    if faults:
        raise ShapeError(*faults)
