"""Chances and quantiles of a few simulated values, smoothed on the log scale."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.pk.kernels.smoothing import shares

WIDTH: Final = 1.06
"""SD of the kernel over that of the logarithms, times n^(1/5) (Silverman 1986, equation 3.28)."""
_IN_REACH: Final = 5.0**0.5
"""Half the width of the kernel over its SD."""
_NARROWEST: Final = 1e-9
"""Least half width, on the log scale, where values do not vary."""
_LEAST: Final = 1e-300
"""Value that stands for zero."""
_STEPS, _MORE_STEPS, _HALVINGS, _CLOSE, _EXACT = 2, 4, 60, 1e-6, 1e-10
"""Newton steps; further ones where these miss the chance by more than `_CLOSE`, and halvings where
those do by more than `_EXACT`."""


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Distributions of many patients, from simulated values of each.

    The logarithm of every value is spread by an Epanechnikov kernel, and all are drawn towards
    their mean so that the variance stays that of the sample (Jones 1991). A normal law keeps its
    mean and SD whatever the width, so a few values tell chances as well as many that are counted.

    Parameters
    ----------
    centres : (patients, n) array
        Logarithms, drawn towards their mean.
    reach : (patients,) array
        Half width of the kernel.
    mean, sd : (patients,) array
        Of the logarithms.

    References
    ----------
    Jones MC. On correcting for variance inflation in kernel density estimation. Comput Stat Data
    Anal 1991;11:3-15. Silverman BW. Density estimation for statistics and data analysis. 1986.
    """

    centres: F8
    reach: F8
    mean: F8
    sd: F8

    @classmethod
    def of_values(cls, values: F8) -> Self:
        """Smooth values above zero, (patients, n)."""
        logs = np.log(np.maximum(values, _LEAST))
        mean = logs.mean(axis=1, keepdims=True)
        off = logs - mean
        sd = np.sqrt(np.square(off).mean(axis=1, keepdims=True))
        width = WIDTH * values.shape[1] ** -0.2
        towards = 1.0 / np.sqrt(1.0 + width**2)
        reach = np.maximum(_IN_REACH * width * towards * sd, _NARROWEST)
        return cls(mean + towards * off, reach[:, 0], mean[:, 0], sd[:, 0])

    def below(self, bound: float) -> F8:
        """Compute the chance of a value below a bound above zero, (patients,).

        Examples
        --------
        >>> Smoothed.of_values(np.array([[10.0, 12.0, 15.0, 18.0, 21.6]])).below(15.0).round(3)
        array([0.519])
        """
        return self._chance(np.full(len(self.mean), np.log(bound)))

    def quantile(self, chance: float) -> F8:
        """Compute the value that is not reached with a chance inside (0, 1), (patients,).

        Examples
        --------
        >>> Smoothed.of_values(np.array([[10.0, 12.0, 15.0, 18.0, 21.6]])).quantile(0.5).round(2)
        array([14.78])
        """
        at = self.mean + NormalDist().inv_cdf(chance) * self.sd
        for _ in range(_STEPS):
            at = self._nearer(at, chance)
        missed = np.abs(self._chance(at) - chance) > _CLOSE
        if missed.any():
            at[missed] = self._rows(missed)._sought(at[missed], chance)
        return np.asarray(np.exp(at))

    def _nearer(self, at: F8, chance: float) -> F8:
        """Take a Newton step to a quantile, on the log scale."""
        below, squares = shares(self.centres, self.reach, at)
        density = 0.75 * (1.0 - squares) / self.reach
        return at - (below - chance) / np.maximum(density, 1e-3 / self.reach)

    def _sought(self, at: F8, chance: float) -> F8:
        """Find a quantile by further steps, or by halving where these come no nearer."""
        for _ in range(_MORE_STEPS):
            at = self._nearer(at, chance)
        missed = np.abs(self._chance(at) - chance) > _EXACT
        if missed.any():
            at[missed] = self._rows(missed)._halved(chance)
        return at

    def _rows(self, rows: Bools) -> Smoothed:
        return Smoothed(self.centres[rows], self.reach[rows], self.mean[rows], self.sd[rows])

    def _halved(self, chance: float) -> F8:
        """Find a quantile on the log scale by halving."""
        low = self.centres.min(axis=1) - self.reach
        high = self.centres.max(axis=1) + self.reach
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_low = self._chance(middle) < chance
            low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        return np.asarray((low + high) / 2)

    def _chance(self, at: F8) -> F8:
        """Compute the chance below a point of the log scale of each patient."""
        return shares(self.centres, self.reach, at)[0]
