"""Exact large-sample design of a trial of two arms, each a mixture of groups of exposure.

Arms that are mixtures have no constant hazard ratio: power comes from the mean and the variance of
the log-rank score, as integrals on the operational time ``s = t**shape``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.studies.outcome_hazards import Hazards

_NODES: Final = 64
_UNIT_NODES, _UNIT_WEIGHTS = np.polynomial.legendre.leggauss(_NODES)


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """Follow-up of the patients of a trial, months.

    Parameters
    ----------
    accrual_months : float
        Time over which patients enter evenly.
    after_months : float
        Time from the last entry to the analysis.
    horizon_months : float, optional
        End of the follow-up of every patient; None: followed to the analysis.
    loss_per_month : float
        Hazard of being lost to follow-up.
    """

    accrual_months: float = 0.0
    after_months: float = 12.0
    horizon_months: float | None = 12.0
    loss_per_month: float = 0.0

    def __post_init__(self) -> None:
        if self.horizon_months is None and self.after_months + self.accrual_months <= 0:
            raise InputError("nobody is followed up: give a horizon, or a time after accrual")

    @property
    def last_month(self) -> float:
        """Longest follow-up of anybody."""
        longest = self.after_months + self.accrual_months
        return longest if self.horizon_months is None else min(self.horizon_months, longest)

    def followed(self, months: F8) -> F8:
        """Return the probability of still being under observation, without events.

        Parameters
        ----------
        months : (n,)
        """
        kept = np.exp(-self.loss_per_month * months)
        if self.accrual_months <= 0:
            return np.asarray(kept)
        entered = (self.after_months + self.accrual_months - months) / self.accrual_months
        return np.asarray(kept * np.clip(entered, 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Score:
    """Mean and variance of the log-rank score of m designs, per patient of the control arm.

    Parameters
    ----------
    mean : (m,)
        Below 0 if the second arm has fewer events.
    variance : (m,)
    events : (m, 2)
        Events per patient in each arm.
    """

    mean: F8
    variance: F8
    events: F8

    @property
    def hazard_ratio(self) -> F8:
        """(m,) Hazard ratio that a proportional-hazards model of the arms would give, about."""
        return np.asarray(np.exp(self.mean / self.variance))

    def power(self, n_per_arm: F8 | float, alpha: float = 0.05) -> F8:
        """Return the power of the two-sided test.

        Parameters
        ----------
        n_per_arm : (m,) or float
            Patients in the control arm.
        alpha : float
            Size of the test.
        """
        shift = np.abs(self.mean) * np.sqrt(n_per_arm / self.variance)
        z = NormalDist().inv_cdf(1 - alpha / 2)
        return np.asarray(ndtr(shift - z) + ndtr(-shift - z))

    def power_in_direction(self, n_per_arm: float, direction: float, alpha: float = 0.05) -> F8:
        """Return the probability of a significant difference of the right sign.

        Parameters
        ----------
        n_per_arm : float
        direction : float
            Sign of the score that is right.
        alpha : float
        """
        z = NormalDist().inv_cdf(1 - alpha / 2)
        shift = math.copysign(1.0, direction) * self.mean * np.sqrt(n_per_arm / self.variance)
        return np.asarray(ndtr(shift - z))

    def n_for(self, power: float, alpha: float = 0.05) -> float | None:
        """Return the patients per arm for a power, of the first design; None without a difference.

        Parameters
        ----------
        power, alpha : float
        """
        if abs(float(self.mean[0])) < 1e-12:
            return None
        from scipy.optimize import brentq

        first = Score(self.mean[:1], self.variance[:1], self.events[:1])
        z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
        near = float(z**2 * self.variance[0] / self.mean[0] ** 2)
        low = near * 1e-3
        if float(first.power(low, alpha)[0]) >= power:
            return low
        return float(
            brentq(lambda n: float(first.power(n, alpha)[0]) - power, low, near * 2, xtol=1e-10)
        )


def score(
    control: ArrayLike,
    treated: ArrayLike,
    hazards: Hazards,
    follow_up: FollowUp,
    ratio: float = 1.0,
) -> Score:
    """Compute mean and variance of the log-rank score of two arms.

    Parameters
    ----------
    control, treated : (m or 1, groups) or (groups,)
        Fractions of each arm in each group.
    hazards : Hazards
    follow_up : FollowUp
    ratio : float
        Patients of the treated arm for each of the control arm.

    Examples
    --------
    >>> from fludapk.studies.outcome_hazards import calibrate
    >>> hazards = calibrate(
    ...     [0.2751, 0.7249], [2.45, 1.0], incidence=0.364, competing=0.05, at_months=12)
    >>> lost = FollowUp(loss_per_month=-math.log(0.95) / 12)
    >>> round(score([0.2751, 0.7249], [0.0266, 0.9734], hazards, lost).n_for(0.8), 2)
    727.06
    """
    p_a, p_b = (np.atleast_2d(np.asarray(p, np.float64)) for p in (control, treated))
    s, weights = _nodes(follow_up, hazards.shape)
    kept = follow_up.followed(s ** (1.0 / hazards.shape))
    left = np.exp(-(hazards.event + hazards.competing)[:, :, None] * s)
    with_event = hazards.event[:, :, None] * left
    pi_a, pi_b = (kept * np.einsum("mg,mgs->ms", *_same(p, left)) for p in (p_a, p_b))
    f_a, f_b = (kept * np.einsum("mg,mgs->ms", *_same(p, with_event)) for p in (p_a, p_b))
    at_risk = pi_a + ratio * pi_b
    mean = ratio * (f_b * pi_a - f_a * pi_b) / at_risk
    variance = (f_a + ratio * f_b) * ratio * pi_a * pi_b / at_risk**2
    return Score(
        mean @ weights, variance @ weights, np.stack([f_a @ weights, f_b @ weights], axis=1)
    )


def _same(shares: F8, hazards: F8) -> tuple[F8, F8]:
    """Return shares with as many rows as the hazards."""
    m = max(len(shares), len(hazards))
    return (
        np.broadcast_to(shares, (m, shares.shape[1])),
        np.broadcast_to(hazards, (m, *hazards.shape[1:])),
    )


def _nodes(follow_up: FollowUp, shape: float) -> tuple[F8, F8]:
    """Return nodes and weights on the operational time, apart where censoring has a corner."""
    last = follow_up.last_month
    corners = [0.0, last]
    if follow_up.accrual_months > 0 and 0 < follow_up.after_months < last:
        corners.insert(1, follow_up.after_months)
    ends = np.array(corners) ** shape
    nodes, weights = [], []
    for a, b in pairwise(ends.tolist()):
        nodes.append((a + b) / 2 + (b - a) / 2 * _UNIT_NODES)
        weights.append((b - a) / 2 * _UNIT_WEIGHTS)
    return np.concatenate(nodes), np.concatenate(weights)


# ------------------------------------------------------------------ closed forms


def schoenfeld_events(hazard_ratio: float, power: float, alpha: float = 0.05) -> float:
    """Return the events of both arms that a proportional hazard ratio needs.

    Parameters
    ----------
    hazard_ratio, power, alpha : float

    References
    ----------
    Schoenfeld D. Biometrika 1981;68:316-319. doi:10.1093/biomet/68.1.316

    Examples
    --------
    >>> round(schoenfeld_events(0.5, 0.8), 4)
    65.3457
    """
    return 4 * _z(power, alpha) ** 2 / math.log(hazard_ratio) ** 2


def freedman_events(hazard_ratio: float, power: float, alpha: float = 0.05) -> float:
    """Return the events of both arms by Freedman's formula, for arms of the same size.

    References
    ----------
    Freedman LS. Stat Med 1982;1:121-129. doi:10.1002/sim.4780010204

    Examples
    --------
    >>> round(freedman_events(0.5, 0.8), 4)
    70.6399
    """
    return _z(power, alpha) ** 2 * ((1 + hazard_ratio) / (1 - hazard_ratio)) ** 2


def _z(power: float, alpha: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)


def assurance_of_events(events: float, log_ratio: float, sd: float, alpha: float = 0.05) -> float:
    """Return the power averaged over a normal log hazard ratio, for a number of events.

    Parameters
    ----------
    events : float
        In both arms together.
    log_ratio, sd : float
        Mean and standard deviation of the logarithm of the hazard ratio.
    alpha : float

    References
    ----------
    O'Hagan A et al. Pharm Stat 2005;4:187-201. doi:10.1002/pst.175

    Examples
    --------
    >>> round(assurance_of_events(40, math.log(2.45), 0.3079019), 6)
    0.734341
    """
    z = NormalDist().inv_cdf(1 - alpha / 2)
    half = math.sqrt(events) / 2
    return NormalDist().cdf((half * abs(log_ratio) - z) / math.sqrt(1 + (half * sd) ** 2))
