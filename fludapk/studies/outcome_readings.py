"""Readings of a hazard ratio between groups of predicted exposure.

Groups by the AUC that covariates predict are mixtures of groups by the true AUC. A step in true AUC
shows between predicted groups as a smaller ratio (regression dilution); the reading decides which
of the two the published ratio is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from fludapk.arrays import F8, I8
from fludapk.errors import InputError
from fludapk.studies.outcome_hazards import Hazards, calibrate

_DECADES: Final = 9
"""Decades of time, each with nodes of its own, so that the highest hazards are seen."""
_WITHOUT_BOUND: Final = 1e6
"""Hazard ratio that stands for an infinite one."""


@dataclass(frozen=True, kw_only=True)
class Dilution:
    """Chances of the low group of true AUC, by the group of predicted AUC.

    Parameters
    ----------
    predicted_low : float
        Fraction of patients predicted below the edge.
    true_low : float
        Fraction of patients truly below it.
    low_if_predicted_low, low_if_predicted_high : float
        Fraction truly below the edge of those predicted below it, and of those above.
    """

    predicted_low: float
    true_low: float
    low_if_predicted_low: float
    low_if_predicted_high: float

    @classmethod
    def of(cls, groups: F8 | I8) -> Dilution:
        """Return the dilution of counts by predicted, then by true group.

        Parameters
        ----------
        groups : (2, 2)

        Examples
        --------
        >>> Dilution.of(np.array([[6, 4], [20, 70]])).low_if_predicted_low
        0.6
        """
        rows, total = groups.sum(axis=1), groups.sum()
        return cls(
            predicted_low=float(rows[0] / total),
            true_low=float(groups[:, 0].sum()) / float(total),
            low_if_predicted_low=float(groups[0, 0] / rows[0]),
            low_if_predicted_high=float(groups[1, 0] / rows[1]),
        )

    def hazards(
        self, ratio: float, incidence: float, competing: float, at_months: float, shape: float
    ) -> Hazards:
        """Return the hazards of a ratio between groups of true AUC; see `calibrate`."""
        return calibrate(
            np.array([self.true_low, 1 - self.true_low]), np.array([ratio, 1.0]),
            incidence=incidence, competing=competing, at_months=at_months, shape=shape,
        )  # fmt: skip

    def shown_ratio(self, hazards: Hazards, months: float) -> float:
        """Return the hazard ratio that a Cox model of the predicted groups would show.

        Parameters
        ----------
        hazards : Hazards
            Of the groups of true AUC, one draw.
        months : float
            Follow-up of everybody.

        Examples
        --------
        >>> groups = Dilution(predicted_low=0.1388, true_low=0.2751,
        ...                   low_if_predicted_low=0.5899, low_if_predicted_high=0.2244)
        >>> hazards = groups.hazards(2.45, 0.364, 0.05, 12.0, 1.0)
        >>> round(groups.shown_ratio(hazards, 12.0), 2)
        1.39
        """
        from scipy.optimize import brentq

        s, weights = _nodes(months**hazards.shape)
        event, competing = hazards.event[0], float(hazards.competing[0, 0])
        left = np.exp(-(event + competing)[:, None] * s)
        low, high = self.low_if_predicted_low, self.low_if_predicted_high
        mixed = np.array([[low, 1 - low], [high, 1 - high]])
        share = np.array([self.predicted_low, 1 - self.predicted_low])[:, None]
        at_risk, events = share * (mixed @ left), share * (mixed @ (event[:, None] * left))

        def score(log_ratio: float) -> float:
            expected = at_risk[0] * math.exp(log_ratio)
            part = expected / (expected + at_risk[1])
            return float(((events[0] - events.sum(axis=0) * part) * weights).sum())

        return math.exp(brentq(score, -20.0, 20.0, xtol=1e-13))


def _nodes(last: float) -> tuple[F8, F8]:
    """Return nodes and weights from 0 to the last operational time, denser towards 0."""
    at, by = np.polynomial.legendre.leggauss(24)
    ends = np.concatenate([[0.0], last * 10.0 ** np.arange(-_DECADES, 1.0)])
    half, middle = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    return (middle[:, None] + half[:, None] * at).ravel(), (half[:, None] * by).ravel()


def corrected_ratio(
    published: float,
    dilution: Dilution,
    *,
    incidence: float,
    competing: float,
    at_months: float,
    shape: float,
) -> float | None:
    """Find the ratio between groups of true AUC that shows as the published one; None if none does.

    Parameters
    ----------
    published : float
        Hazard ratio between groups of predicted AUC.
    dilution : Dilution
    incidence, competing, at_months, shape
        See `fludapk.studies.outcome_hazards.calibrate`.

    Examples
    --------
    >>> groups = Dilution(predicted_low=0.1388, true_low=0.2751,
    ...                   low_if_predicted_low=0.5899, low_if_predicted_high=0.2244)
    >>> ratio = corrected_ratio(
    ...     1.34, groups, incidence=0.364, competing=0.05, at_months=12.0, shape=1.0)
    >>> round(ratio, 4)
    2.2008
    """
    from scipy.optimize import brentq

    def excess(log_ratio: float) -> float:
        hazards = dilution.hazards(math.exp(log_ratio), incidence, competing, at_months, shape)
        return math.log(dilution.shown_ratio(hazards, at_months) / published)

    end = math.copysign(math.log(_WITHOUT_BOUND), math.log(published))
    if published == 1 or excess(end) * end <= 0:
        return 1.0 if published == 1 else None
    low, high = sorted((0.0, end))
    return math.exp(brentq(excess, low, high, xtol=1e-12))


def highest_ratio(
    dilution: Dilution, *, incidence: float, competing: float, at_months: float, shape: float
) -> float:
    """Return the highest ratio between predicted groups that a step in true AUC can show.

    Parameters
    ----------
    dilution : Dilution
    incidence, competing, at_months, shape
        See `fludapk.studies.outcome_hazards.calibrate`.
    """
    try:
        hazards = dilution.hazards(_WITHOUT_BOUND, incidence, competing, at_months, shape)
    except InputError:  # the low group is too small to hold all events
        hazards = dilution.hazards(1e3, incidence, competing, at_months, shape)
    return dilution.shown_ratio(hazards, at_months)


def fraction_above(ratio: float, log_sd: float, bound: float) -> float:
    """Return the fraction of the distribution of a hazard ratio that is above a bound.

    Parameters
    ----------
    ratio, log_sd : float
        Published value, SD of its logarithm.
    bound : float

    Examples
    --------
    >>> round(fraction_above(2.45, 0.3079, 2.80), 2)
    0.33
    """
    return float(1 - NormalDist(math.log(ratio), log_sd).cdf(math.log(bound)))


def e_value(hazard_ratio: float) -> float:
    """Return the E-value of a hazard ratio of an outcome that is common.

    Parameters
    ----------
    hazard_ratio : float

    References
    ----------
    VanderWeele TJ, Ding P. Ann Intern Med 2017;167:268-274. doi:10.7326/M16-2607

    Examples
    --------
    >>> round(e_value(2.45), 2), round(e_value(1.34), 2)
    (3.11, 1.75)
    """
    ratio = max(hazard_ratio, 1 / hazard_ratio)
    risk = (1 - 0.5 ** math.sqrt(ratio)) / (1 - 0.5 ** math.sqrt(1 / ratio))
    return float(risk + math.sqrt(risk * (risk - 1)))
