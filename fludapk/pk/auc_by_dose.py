"""The AUC of a course as a straight line over the dose that is looked for, and its probabilities.

The models are linear in dose. Each simulated patient, or each point of a posterior, therefore comes
into a window at one dose and leaves it at another, and everything follows from those two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from fludapk.arrays import F8

QUARTILES_IN_SD: Final = 1.349
"""Distance between the quartiles of a normal law, in SD."""
STEPS_PER_WIDTH: Final = 16
"""Points of the grid within the SD of the smoothing kernel, which is cut off at five SD."""
NARROWEST: Final = 1e-3
"""Least SD of the kernel, on the log scale."""
LEAST: Final = 1e-3
"""AUC that counts as none, as a fraction of that of the highest dose."""


def weighted_quantiles(values: F8, weights: F8, at: F8) -> F8:
    """Quantiles of weighted values, by a straight line between the middles of their weights.

    Examples
    --------
    >>> weighted_quantiles(np.array([3.0, 1.0]), np.array([0.5, 0.5]), np.array([0.5]))
    array([2.])
    """
    order = np.argsort(values)
    weight = weights[order]
    middles = (np.cumsum(weight) - weight / 2) / weight.sum()
    return np.asarray(np.interp(at, middles, values[order]))


@dataclass(frozen=True, kw_only=True, eq=False)
class AucByDose:
    """AUC0-inf = fixed + per_mg · dose, of the most likely patient and of simulated ones.

    Parameters
    ----------
    likely_fixed, likely_per_mg : float
        Of the typical or most likely patient, mg h/L and mg h/L per mg.
    fixed, per_mg : (n,)
        Of simulated patients, or of the points of a posterior.
    weights : (n,), optional
        Of these; equal if absent.
    probability_se : float
        Standard error of a probability over them.
    """

    likely_fixed: float = 0.0
    likely_per_mg: float
    fixed: F8
    per_mg: F8
    weights: F8 | None = None
    probability_se: float = 0.0

    def likely(self, doses: F8) -> F8:
        """AUC of the most likely patient, mg h/L."""
        return np.asarray(self.likely_fixed + self.likely_per_mg * doses)

    def simulated(self, dose: float) -> F8:
        """AUC of every simulated patient at a dose, mg h/L."""
        return np.asarray(self.fixed + self.per_mg * dose)

    def probabilities(self, doses: F8, low: float, high: float) -> tuple[F8, F8, F8]:
        """Fractions of simulated patients below, within and above a window at each dose.

        Parameters
        ----------
        doses : (m,)
            mg.
        low, high : float
            mg h/L.

        Examples
        --------
        >>> line = AucByDose(
        ...     likely_per_mg=2.0, fixed=np.zeros(4), per_mg=np.array([1.0, 1.5, 2.5, 3.0])
        ... )
        >>> line.probabilities(np.array([10.0]), 12.0, 26.0)
        (array([0.25]), array([0.5]), array([0.25]))
        """
        inside = self._share_below(self._dose_at(low), doses, "right")
        above = self._share_below(self._dose_at(high), doses, "left")
        return 1.0 - inside, inside - above, above

    def distance(self, doses: F8, low: float, high: float) -> F8:
        """Expected distance to a window at each dose, as the log of a ratio of AUCs.

        The mean over simulated patients of how far the most likely AUC has to move, up or down, to
        bring them inside. Exposure differs between patients by factors: on this scale 10 % too
        little and 10 % too much are alike, and the distance is least where falling short is as
        likely as passing the window.

        Examples
        --------
        >>> line = AucByDose(likely_per_mg=1.0, fixed=np.zeros(2), per_mg=np.array([0.5, 1.5]))
        >>> line.distance(np.array([4.0, 10.0, 20.0]), 8.0, 12.0).round(3)
        array([0.837, 0.347, 0.458])
        """
        least = self._least(doses)
        x = self._log_likely(doses, least)
        arrive, leave = (self._log_likely(self._dose_at(bound), least) for bound in (low, high))
        short = self._mean_above(arrive, x)
        return short if math.isinf(high) else short + self._mean_above(-leave, -x)

    def smooth_within(self, doses: F8, low: float, high: float) -> F8:
        """Probability of a window at each dose, smoothed over neighbouring doses.

        The fraction within changes by a patient at a time, and its highest point is that of the
        noise. It is smoothed over the log of the most likely AUC by a normal kernel, whose width of
        n^(-1/7) SD of log AUC is what finds the top of a density best (Eddy 1980, Ann Stat 8:870).
        On this scale another patient of the same variability has the same curve, moved: doses
        follow weight and kidney function without a zigzag.

        Examples
        --------
        >>> sample = np.exp(0.25 * np.random.default_rng(1).standard_normal(1000))
        >>> line = AucByDose(likely_per_mg=1.0, fixed=np.zeros(1000), per_mg=sample)
        >>> doses = np.arange(10.0, 25.0)
        >>> float(doses[line.smooth_within(doses, 13.8, 20.0).argmax()])
        17.0
        """
        least = self._least(doses)
        x = self._log_likely(doses, least)
        width = max(self._log_sd(doses, low, high) * self._effective_size ** (-1 / 7), NARROWEST)
        step = width / STEPS_PER_WIDTH
        reach = 5 * STEPS_PER_WIDTH
        first = x[0] - 2 * reach * step
        points = int((x[-1] - first) / step) + 2 * reach + 2

        def passing(bound: float) -> F8:
            """Weight of those who pass a bound, shared between the two nearest points."""
            places = (self._log_likely(self._dose_at(bound), least) - first) / step
            places = np.clip(places, reach, points - 2)  # who passed before the first dose, counts
            left = places.astype(np.int64)
            share = self._weights * (places - left)
            at_left = np.bincount(left, self._weights - share, points)
            return np.asarray(at_left + np.bincount(left + 1, share, points))

        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / STEPS_PER_WIDTH) ** 2)
        smooth = np.convolve(passing(low) - passing(high), kernel / kernel.sum(), mode="same")
        within = np.cumsum(smooth) - smooth / 2
        grid = first + step * np.arange(points)
        return np.asarray(np.interp(x, grid, within / self._weights.sum()))

    @cached_property
    def _weights(self) -> F8:
        return np.ones(len(self.per_mg)) if self.weights is None else self.weights

    @cached_property
    def _effective_size(self) -> float:
        return float(self._weights.sum() ** 2 / np.sum(self._weights**2))

    def _dose_at(self, bound: float) -> F8:
        """Dose at which each simulated patient passes a bound, (n,) mg; it may be negative."""
        return np.asarray((bound - self.fixed) / self.per_mg)

    def _least(self, doses: F8) -> float:
        """AUC that counts as none, mg h/L."""
        return LEAST * float(self.likely(doses[-1:])[0])

    def _log_likely(self, doses: F8, least: float) -> F8:
        return np.asarray(np.log(np.maximum(self.likely(doses), least)))

    def _log_sd(self, doses: F8, low: float, high: float) -> float:
        """SD of log AUC, by its quartiles, at the dose whose most likely AUC is nearest."""
        middle = ((low + high) / 2 - self.likely_fixed) / self.likely_per_mg
        log_auc = np.log(self.simulated(float(np.clip(middle, doses[0], doses[-1]))))
        low_quartile, high_quartile = weighted_quantiles(
            log_auc, self._weights, np.array([0.25, 0.75])
        )
        return float(high_quartile - low_quartile) / QUARTILES_IN_SD

    def _share_below(self, thresholds: F8, doses: F8, side: Literal["left", "right"]) -> F8:
        """Share of the weight whose threshold is below each dose, or there if "right"."""
        order = np.argsort(thresholds)
        reached = np.concatenate([[0.0], np.cumsum(self._weights[order])])
        return np.asarray(reached[np.searchsorted(thresholds[order], doses, side)] / reached[-1])

    def _mean_above(self, thresholds: F8, x: F8) -> F8:
        """Mean of max(threshold - x, 0) at each x."""
        order = np.argsort(thresholds)[::-1]
        weights = self._weights[order]
        sums = np.cumsum([weights, weights * thresholds[order]], axis=1)
        many, total = np.hstack([np.zeros((2, 1)), sums])[
            :, len(order) - np.searchsorted(thresholds[order][::-1], x, "right")
        ]
        return np.asarray((total - many * x) / sums[0, -1])
