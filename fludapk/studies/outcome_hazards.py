"""Hazards of an outcome in groups of exposure, with a competing risk.

Groups g have the hazard ``h_g = lam * theta_g`` of the event and, all alike, ``mu`` of the
competing event, both constant on the operational time ``s = t**shape``. Then

    CIF_g(t)  = h_g / (h_g + mu) * (1 - exp(-(h_g + mu) * s))
    COMP_g(t) = mu  / (h_g + mu) * (1 - exp(-(h_g + mu) * s))

and ``lam`` and ``mu`` are those with which a reference population has the published incidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from fludapk.arrays import F8
from fludapk.errors import InputError

_ITERATIONS: Final = 200
_CLOSE: Final = 1e-13
"""Difference of an incidence from its published value that is rounding."""
_LONGEST_STEP: Final = 1.0
"""Longest step of a search, on the scale of natural logarithms."""


@dataclass(frozen=True, eq=False)
class Hazards:
    """Hazards of an event and of the event that competes with it, in m draws.

    Parameters
    ----------
    event : (m, groups)
        Hazard of the event on the operational time, per month to the power of the shape.
    competing : (m, 1)
        Hazard of the competing event.
    shape : float
        Weibull shape: 1 for constant hazards, below 1 for hazards that fall.
    """

    event: F8
    competing: F8
    shape: float = 1.0

    def incidence(self, months: float) -> F8:
        """Return (m, groups): the cumulative incidence of the event.

        Parameters
        ----------
        months : float
            Time since the infusion.
        """
        return np.asarray(self.event * self._per_hazard(months))

    def competing_incidence(self, months: float) -> F8:
        """Return (m, groups): the cumulative incidence of the competing event."""
        return np.asarray(self.competing * self._per_hazard(months))

    def _per_hazard(self, months: float) -> F8:
        total = self.event + self.competing
        return np.asarray(-np.expm1(-total * months**self.shape) / total)

    def of(self, draw: int) -> Hazards:
        """Return the hazards of one draw."""
        rows = slice(draw, draw + 1)
        return Hazards(self.event[rows], self.competing[rows], self.shape)


def calibrate(
    shares: ArrayLike,
    ratios: ArrayLike,
    *,
    incidence: ArrayLike,
    competing: float,
    at_months: float,
    shape: float = 1.0,
) -> Hazards:
    """Find the hazards with which a reference population has a given incidence.

    Parameters
    ----------
    shares : (m, groups) or (groups,)
        Fractions of the reference population in each group.
    ratios : (m, groups) or (groups,)
        Hazard ratio of each group; 1 in the reference group.
    incidence : (m,) or float
        Cumulative incidence of the event in the whole population.
    competing : float
        Cumulative incidence of the competing event.
    at_months : float
        Time of both.
    shape : float
        Weibull shape.

    Raises
    ------
    InputError
        If both incidences do not leave anybody without an event.

    Examples
    --------
    >>> hazards = calibrate([1.0], [1.0], incidence=0.364, competing=0.05, at_months=12)
    >>> hazards.event.round(7), hazards.competing.round(7)
    (array([[0.0391575]]), array([[0.0053788]]))
    """
    c = np.atleast_1d(np.asarray(incidence, np.float64))
    q, theta = (np.atleast_2d(np.asarray(a, np.float64)) for a in (shares, ratios))
    q, theta, _ = np.broadcast_arrays(q, theta, c[:, None])
    if np.any(c <= 0) or np.any(c + competing >= 1):
        raise InputError(
            f"incidences of {float(np.max(c)):.3g} and {competing:.3g} leave nobody without an "
            "event: their sum must be below 1"
        )
    s = at_months**shape
    total = -np.log1p(-(c + competing)) / s
    x = np.log(total * c / (c + competing) / (q * theta).sum(axis=1))
    y = np.log(np.maximum(total * competing / (c + competing), 1e-300))
    for _ in range(_ITERATIONS):
        h = np.exp(x)[:, None] * theta
        mu = np.exp(y)[:, None] if competing else np.zeros((len(x), 1))
        a = h + mu
        left = np.exp(-a * s)
        done, slope = -np.expm1(-a * s) / a, s * left
        miss = (q * h * done).sum(axis=1) - c
        miss_competing = (q * mu * done).sum(axis=1) - competing
        if max(np.abs(miss).max(), np.abs(miss_competing).max()) < _CLOSE:
            break
        # Derivatives of both incidences by the logarithms of lam and mu.
        by_total = (slope - done) / a
        xx = (q * h * (done + h * by_total)).sum(axis=1)
        xy = (q * h * mu * by_total).sum(axis=1)
        yy = (q * mu * (done + mu * by_total)).sum(axis=1) if competing else np.ones(len(x))
        determinant = xx * yy - xy * xy
        step_x = (miss * yy - miss_competing * xy) / determinant
        step_y = (miss_competing * xx - miss * xy) / determinant
        x = x - np.clip(step_x, -_LONGEST_STEP, _LONGEST_STEP)
        y = y - (np.clip(step_y, -_LONGEST_STEP, _LONGEST_STEP) if competing else 0.0)
    else:
        raise InputError("no hazards give these incidences: check the ratios and the shares")
    return Hazards(h, mu, shape)


def from_group_incidences(
    shares: ArrayLike,
    incidences: ArrayLike,
    *,
    competing: float,
    at_months: float,
    shape: float = 1.0,
) -> Hazards:
    """Find the hazards with which every group has its own published incidence.

    Parameters
    ----------
    shares : (m, groups) or (groups,)
        Fractions of the reference population, which has the competing incidence.
    incidences : (m, groups) or (groups,)
        Cumulative incidence of the event in each group.
    competing, at_months, shape
        See `calibrate`.

    Raises
    ------
    InputError
        If the incidences leave nobody without an event.

    Examples
    --------
    >>> hazards = from_group_incidences(
    ...     [0.5, 0.5], [0.6, 0.3], competing=0.05, at_months=12)
    >>> hazards.incidence(12).round(6)
    array([[0.6, 0.3]])
    """
    q, c = (np.atleast_2d(np.asarray(a, np.float64)) for a in (shares, incidences))
    q, c = np.broadcast_arrays(q, c)
    if np.any(c <= 0) or np.any(c >= 1) or np.any((q * c).sum(axis=1) + competing >= 1):
        raise InputError("the incidences of the groups leave nobody without an event")
    s = at_months**shape
    low = np.full((len(c), 1), -40.0)
    high = np.full((len(c), 1), np.log(50.0 / s))
    h = -np.log1p(-c) / s
    mu = np.zeros((len(c), 1))
    if not competing:
        return Hazards(h, mu, shape)
    for _ in range(200):  # halving: the competing incidence rises with mu
        y = (low + high) / 2
        mu = np.exp(y)
        h = _event_hazard(c, mu, s, h)
        a = h + mu
        reached = (q * mu * -np.expm1(-a * s) / a).sum(axis=1, keepdims=True)
        too_low = reached < competing
        low, high = np.where(too_low, y, low), np.where(too_low, high, y)
        if np.max(high - low) < 1e-14:
            break
    return Hazards(h, mu, shape)


def _event_hazard(incidence: F8, mu: F8, s: float, start: F8) -> F8:
    """Return the hazard that gives an incidence beside a competing hazard, by Newton's method."""
    x = np.log(np.maximum(start, mu * 1e-12))
    for _ in range(_ITERATIONS):
        h = np.exp(x)
        a = h + mu
        done = -np.expm1(-a * s) / a
        miss = h * done - incidence
        slope = h * (done + h * (s * np.exp(-a * s) - done) / a)
        step = np.clip(miss / slope, -_LONGEST_STEP, _LONGEST_STEP)
        x = x - step
        if np.abs(step).max() < 1e-15:
            break
    return np.asarray(np.exp(x))


def arm_incidence(shares: ArrayLike, hazards: Hazards, months: float) -> F8:
    """Return the cumulative incidence of the event in an arm.

    Parameters
    ----------
    shares : (m or 1, groups) or (groups,)
        Fractions of the arm in each group.
    hazards : Hazards
    months : float

    Returns
    -------
    (m,)
    """
    return np.asarray(
        (np.atleast_2d(np.asarray(shares, np.float64)) * hazards.incidence(months)).sum(axis=1)
    )
