"""Parameters that change from dose to dose, and etas that do not shift a logarithm.

Kernels know typical values and what shifts their logarithms. Whatever else a model has is turned
into these two here: a typical patient of one's own for every subject, and shifts of occasions.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.program import ADDITIVE, DOSE, FIRST, ON_PARAMETER, ON_TERM, TIME, Program

LEAST: Final = 0.1
"""Part of the typical value below which a sum with an eta in it is bent, so that it tends to half
of this: no paper says what a normal law means for clearances at and below zero."""


def above_zero(ratio: F8) -> F8:
    """Return a ratio of sums; below `LEAST` a curve that never reaches half of it.

    Three derivatives continue, so that differences of a likelihood see no kink.

    Parameters
    ----------
    ratio : array

    Examples
    --------
    >>> above_zero(np.array([0.5, 0.1, 0.09, 0.0, -0.1])).round(4)
    array([0.5   , 0.1   , 0.09  , 0.0501, 0.05  ])
    """
    half = LEAST / 2.0
    u = (np.minimum(ratio, LEAST) - LEAST) / half
    return np.where(ratio >= LEAST, ratio, half + half * np.exp(u - u**2 / 2.0 + u**3 / 3.0))


def ratios(program: Program, tv: F8, eta: F8, times_h: F8, theta: F8 | None = None) -> F8 | None:
    """Compute parameters over those of a typical patient at the first dose, without kernels' etas.

    Parameters
    ----------
    program : Program
    tv : (n or 1, 6 + moving) or (n or 1, doses, 6 + moving) array
        Of every occasion, if covariates change; see `Program.typical_values`.
    eta : (n or 1, n_eta) array
    times_h : (doses,) or (n or 1, doses) array
        Starts of the doses, h.
    theta : (t, n) array, optional
        Estimates of each row, as in `Program.typical_values`.

    Returns
    -------
    (n or 1, doses, 6) array or None
        None if nothing changes and every eta shifts a logarithm.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> program = load_model().program
    >>> tv = np.array([[10.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
    >>> ratios(program, tv, np.zeros((1, 2)), np.array([0.0, 24.0])) is None
    True
    >>> later = tv * np.array([0.8, 1.0, 1.0, 1.0, 1.0, 1.0])
    >>> both = np.stack([tv, later], axis=1)
    >>> ratios(program, both, np.zeros((1, 2)), np.array([0.0, 24.0]))[0, 1]
    array([0.8, 1. , 1. , 1. , 1. , 1. ])
    """
    if tv.ndim == 2 and program.only_shifts:
        return None
    numbers: Any = program.theta if theta is None else theta[..., None]
    base = tv if tv.ndim == 3 else tv[:, None]
    starts = np.atleast_2d(times_h)
    doses = starts.shape[-1]
    of_dose = {TIME: starts - starts[:, :1], DOSE: np.arange(1.0, doses + 1.0)[None]}
    n = max(len(base), len(eta), len(starts))
    with np.errstate(all="ignore"):
        ratio = np.ones((n, doses, 6))
        _add_terms(program, base, eta, of_dose, numbers, ratio)
        for slot in range(6) if program.changes else ():
            now = program.over_course(ON_PARAMETER, slot, of_dose, numbers)
            ratio[..., slot] *= now / program.over_course(ON_PARAMETER, slot, FIRST, numbers)
        _bend(program, base, eta, ratio)
        if program.is_micro:
            for q in range(2, 2 * program.compartments, 2):
                ratio[..., q] *= ratio[..., 1]
                ratio[..., q + 1] = ratio[..., q] / ratio[..., q + 1]
        first = np.where(base[:, :1, :6] > 0.0, base[:, :1, :6], 1.0)
        return np.asarray(
            ratio * np.where(base[..., :6] == base[:, :1, :6], 1.0, base[..., :6] / first)
        )


def _add_terms(
    program: Program, base: F8, eta: F8, of_dose: dict[int, F8], theta: Any, ratio: F8
) -> None:
    """Multiply the ratio of each parameter by that of the sum of its terms."""
    sums: dict[int, Any] = {}
    for place, t in enumerate(program.moving, start=6):
        slot, _, _, own = program.terms[t].tolist()
        growth = np.exp(eta[:, own, None]) if own >= 0 else 1.0
        now = program.over_course(ON_TERM, t, of_dose, theta)
        before = program.over_course(ON_TERM, t, FIRST, theta)
        sums[slot] = sums.get(slot, 1.0) + base[..., place] * (growth * now - before)
    for slot, total in sums.items():
        ratio[..., slot] *= above_zero(total)


def _bend(program: Program, base: F8, eta: F8, ratio: F8) -> None:
    """Multiply the ratio of each parameter by what etas do that are added or on a logit."""
    estimated = base
    if len(program.curves) and program.is_micro:
        estimated = base.copy()
        for q in range(2, 2 * program.compartments, 2):
            estimated[..., q] = base[..., q] / base[..., 1]
            estimated[..., q + 1] = base[..., q] / base[..., q + 1]
    for slot_, eta_, kind, loading, low, high in program.curves.tolist():
        slot, value = int(slot_), estimated[..., int(slot_)] * ratio[..., int(slot_)]
        shift = loading * eta[:, int(eta_), None]
        if kind == ADDITIVE:
            ratio[..., slot] *= above_zero(1.0 + shift / value)
        else:
            odds = np.log((value - low) / (high - value)) + shift
            ratio[..., slot] *= (low + (high - low) / (1.0 + np.exp(-odds))) / value


def split(
    program: Program, tv: F8, eta: F8, times_h: F8, theta: F8 | None = None
) -> tuple[F8, F8 | None]:
    """Part what is of a subject from what is of its occasions.

    Parameters
    ----------
    program, tv, eta, times_h, theta
        As in `ratios`.

    Returns
    -------
    typical : (n or 1, 6) array
        CL, V1, Q2, V2, Q3, V3 on the first occasion, with every eta that shifts no logarithm.
    shifts : (n or 1, doses, 6) array or None
        Shift of the logarithms on every occasion; None if there is none.
    """
    typical = np.ascontiguousarray(tv[..., :6] if tv.ndim == 2 else tv[:, 0, :6])
    ratio = ratios(program, tv, eta, times_h, theta)
    if ratio is None:
        return typical, None
    typical = typical * ratio[:, 0]
    if (ratio == ratio[:, :1]).all():
        return typical, None
    with np.errstate(all="ignore"):
        return typical, np.log(ratio / ratio[:, :1])
