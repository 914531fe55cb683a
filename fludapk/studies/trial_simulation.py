"""Simulated trials of two arms: the check of the exact design, and the power of small trials.

Trials come in blocks with random streams of their own, so that threads do not change a number. In a
block are drawn, in this order and for every patient: group (uniform), time (standard exponential),
cause (uniform), loss (standard exponential), entry (uniform).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal, TypeAlias

import numpy as np
from scipy.special import ndtr

from fludapk.arrays import F8, Bools
from fludapk.studies.outcome_hazards import Hazards
from fludapk.studies.trial_design import FollowUp

TestOfArms: TypeAlias = Literal["logrank", "gray", "incidence"]

BLOCK: Final = 1000
"""Most trials in a block, which has a random stream of its own."""
_MOST_IN_BLOCK: Final = 2_000_000
"""Most patients in a block of trials: large trials come in smaller blocks."""
_STREAM: Final = 6
"""First part of the key of the random streams; those of a study of exposure are below."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Patients of r trials.

    Parameters
    ----------
    months : (r, patients)
        Time to the first event, or to the end of follow-up.
    cause : (r, patients)
        1 the event, 2 the competing event, 0 neither.
    treated : (patients,) or (r, patients)
        True in the second arm.
    censored_months : (r, patients)
        End of follow-up, also of those who had an event.
    """

    months: F8
    cause: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    treated: Bools
    censored_months: F8


def draw_trials(
    rng: np.random.Generator,
    trials: int,
    sizes: tuple[int, int],
    shares: tuple[F8, F8],
    hazards: Hazards,
    follow_up: FollowUp,
) -> Trials:
    """Draw trials of two arms.

    Parameters
    ----------
    rng : Generator
    trials : int
    sizes : (int, int)
        Patients of each arm.
    shares : (groups,) of each arm
    hazards : Hazards
        Of one draw.
    follow_up : FollowUp
    """
    shape = trials, sum(sizes)
    treated = np.arange(shape[1]) >= sizes[0]
    u = rng.random(shape)
    group = np.zeros(shape, np.intp)
    for arm, part in ((0, np.s_[:, : sizes[0]]), (1, np.s_[:, sizes[0] :])):
        for edge in np.cumsum(shares[arm])[:-1]:
            group[part] += u[part] >= edge
    event, competing = hazards.event[0], float(hazards.competing[0, 0])
    total = event + competing
    months = (rng.standard_exponential(shape) / total[group]) ** (1.0 / hazards.shape)
    is_event = rng.random(shape) < (event / total)[group]
    lost = rng.standard_exponential(shape)
    entered = rng.random(shape)
    last = follow_up.after_months + follow_up.accrual_months * (1.0 - entered)
    if follow_up.loss_per_month > 0:
        last = np.minimum(last, lost / follow_up.loss_per_month)
    if follow_up.horizon_months is not None:
        last = np.minimum(last, follow_up.horizon_months)
    cause = np.where(months > last, 0, np.where(is_event, 1, 2)).astype(np.int8)
    return Trials(np.minimum(months, last), cause, treated, last)


# ------------------------------------------------------------------ tests of two arms


def log_rank(months: F8, event: Bools, treated: Bools) -> tuple[F8, F8]:
    """Compute the log-rank score of every row and its variance.

    Parameters
    ----------
    months : (r, n)
    event : (r, n)
        True where the time ends in the event.
    treated : (n,) or (r, n)
        True in the second arm.

    Returns
    -------
    score, variance : (r,)
        Events of the second arm above what is expected; below 0 if it has fewer.

    Notes
    -----
    Events of one row are taken to be at different times.
    """
    order = np.argsort(months, axis=1)
    is_event = np.take_along_axis(event, order, axis=1)
    second = np.take_along_axis(np.broadcast_to(treated, months.shape), order, axis=1)
    at_risk = np.arange(months.shape[1], 0, -1.0)
    share = np.cumsum(second[:, ::-1], axis=1)[:, ::-1] / at_risk
    score = np.where(is_event, second - share, 0.0).sum(axis=1)
    return score, np.where(is_event, share * (1.0 - share), 0.0).sum(axis=1)


def aalen_johansen(
    months: F8, cause: np.ndarray[tuple[int, ...], np.dtype[np.int8]], at_months: float
) -> tuple[F8, F8]:
    """Estimate the cumulative incidence of cause 1 in every row, and its variance.

    Parameters
    ----------
    months : (r, n)
    cause : (r, n)
        1 the event, 2 the competing event, 0 censored.
    at_months : float

    Returns
    -------
    incidence, variance : (r,)

    References
    ----------
    Marubini E, Valsecchi MG. Analysing survival data from clinical trials and observational
    studies. Wiley 1995, equation 10.12 (delta method).
    """
    order = np.argsort(months, axis=1)
    time = np.take_along_axis(months, order, axis=1)
    sorted_cause = np.take_along_axis(cause, order, axis=1)
    inside = time <= at_months
    at_risk = np.arange(months.shape[1], 0, -1.0)
    any_event = (sorted_cause > 0) & inside
    left = np.cumprod(1.0 - any_event / at_risk, axis=1)
    before = np.hstack([np.ones((len(left), 1)), left[:, :-1]])
    first = (sorted_cause == 1) & inside
    by_event = np.where(first, before / at_risk, 0.0)
    curve = np.cumsum(by_event, axis=1)
    incidence = curve[:, -1]
    still = incidence[:, None] - curve
    others = np.maximum(at_risk - 1.0, 1.0)  # the last one at risk: nothing is still to come
    variance = np.where(any_event, still**2 / (at_risk * others), 0.0)
    variance += np.where(first, before**2 * (at_risk - 1.0) / at_risk**3, 0.0)
    variance -= np.where(first, 2.0 * still * before / at_risk**2, 0.0)
    return incidence, variance.sum(axis=1)


def statistic(trials: Trials, test: TestOfArms, horizon_months: float) -> F8:
    """Compute the standardised difference of the arms of every trial.

    Parameters
    ----------
    trials : Trials
    test : {'logrank', 'gray', 'incidence'}
        Cause-specific log-rank; the same on the subdistribution, where who had a competing event
        stays at risk to the end of the follow-up (known in a simulation); difference of the
        Aalen-Johansen estimates.
    horizon_months : float
        Time of the difference of incidences.

    Returns
    -------
    (trials,)
        Below 0 if the second arm does better; 0 where nothing can be estimated.
    """
    if test == "incidence":
        first, second = (
            aalen_johansen(trials.months[:, arm], trials.cause[:, arm], horizon_months)
            for arm in (~trials.treated, trials.treated)
        )
        return _standardised(second[0] - first[0], second[1] + first[1])
    event = trials.cause == 1
    months = trials.months
    if test == "gray":
        months = np.where(event, months, trials.censored_months)
    return _standardised(*log_rank(months, event, trials.treated))


def _standardised(difference: F8, variance: F8) -> F8:
    return np.asarray(difference / np.sqrt(np.where(variance > 0, variance, np.inf)))


@dataclass(frozen=True, kw_only=True)
class SimulatedPower:
    """Power found in simulated trials.

    Parameters
    ----------
    n_per_arm, trials : int
    significant : int
        Trials with a significant difference.
    better : int
        Those of them in which the second arm has fewer events.
    """

    n_per_arm: int
    trials: int
    significant: int
    better: int

    @property
    def power(self) -> float:
        """Fraction of trials with a significant difference."""
        return self.significant / self.trials

    @property
    def standard_error(self) -> float:
        """Standard error of the power."""
        return float(np.sqrt(self.power * (1 - self.power) / self.trials))


def simulated_power(
    n_per_arm: int,
    shares: tuple[F8, F8],
    hazards: Hazards,
    follow_up: FollowUp,
    *,
    test: TestOfArms,
    alpha: float,
    trials: int,
    seed: int,
    ratio: float = 1.0,
    threads: int | None = None,
) -> SimulatedPower:
    """Simulate trials of two arms and count the significant ones.

    Parameters
    ----------
    n_per_arm : int
        Patients of the first arm.
    shares : (groups,) of each arm
    hazards : Hazards
    follow_up : FollowUp
    test : {'logrank', 'gray', 'incidence'}
    alpha : float
        Two-sided.
    trials : int
    seed : int
    ratio : float
        Patients of the second arm for each of the first.
    threads : int, optional
        The result does not depend on it.
    """
    sizes = n_per_arm, max(1, round(ratio * n_per_arm))
    horizon = follow_up.last_month
    z = NormalDist().inv_cdf(1 - alpha / 2)
    size = max(1, min(BLOCK, _MOST_IN_BLOCK // sum(sizes)))
    streams = np.random.SeedSequence(seed, spawn_key=(_STREAM, n_per_arm)).spawn(-(-trials // size))

    def block(b: int) -> tuple[int, int]:
        some = min(size, trials - b * size)
        rng = np.random.default_rng(streams[b])
        drawn = draw_trials(rng, some, sizes, shares, hazards, follow_up)
        value = statistic(drawn, test, horizon)
        return int((np.abs(value) > z).sum()), int((value < -z).sum())

    workers = threads or min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        counts = list(pool.map(block, range(len(streams))))
    return SimulatedPower(
        n_per_arm=n_per_arm,
        trials=trials,
        significant=sum(both for both, _ in counts),
        better=sum(better for _, better in counts),
    )


@dataclass(frozen=True, kw_only=True)
class FittedSize:
    """Patients per arm for a power, from simulated trials of several sizes, with a 95 % interval.

    Parameters
    ----------
    n_per_arm, low, high : float
    """

    n_per_arm: float
    low: float
    high: float


def fitted_size(
    points: Sequence[SimulatedPower], *, worse: bool, power: float, alpha: float
) -> FittedSize | None:
    """Fit the patients per arm for a power; None if no difference is seen.

    The chance of a significant result in the right direction is ``Phi(a sqrt(n) - z)``; its single
    number a is the most likely one.

    Parameters
    ----------
    points : sequence of SimulatedPower
    worse : bool
        True if more events in the second arm are the right direction.
    power, alpha : float
    """
    from scipy.optimize import minimize_scalar

    z, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    n = np.array([point.n_per_arm for point in points], np.float64)
    trials = np.array([point.trials for point in points], np.float64)
    hits = np.array([p.significant - p.better if worse else p.better for p in points], np.float64)

    def chance(a: float) -> F8:
        return np.asarray(np.clip(ndtr(a * np.sqrt(n) - z), 1e-12, 1 - 1e-12))

    def misfit(a: float) -> float:
        p = chance(a)
        return -float((hits * np.log(p) + (trials - hits) * np.log1p(-p)).sum())

    steepest = (z + 5.0) / float(np.sqrt(np.min(n)))  # beyond it every trial is significant
    bounds = (-steepest, steepest)
    fit = minimize_scalar(misfit, bounds=bounds, method="bounded", options={"xatol": 1e-10})
    a = float(fit.x)
    p = chance(a)
    slope = np.sqrt(n) * np.exp(-0.5 * (a * np.sqrt(n) - z) ** 2) / np.sqrt(2 * np.pi)
    sd = float(1 / np.sqrt((trials * slope**2 / (p * (1 - p))).sum()))
    low, high = a - 1.959964 * sd, a + 1.959964 * sd
    if low <= 0:
        return None
    return FittedSize(
        n_per_arm=((z + z_power) / a) ** 2,
        low=((z + z_power) / high) ** 2,
        high=((z + z_power) / low) ** 2,
    )
