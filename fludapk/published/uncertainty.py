"""Numbers of a model, drawn from their printed uncertainty for every answer and study.

Each is drawn on the log scale, with the SD of its RSE or of its 95 % interval; those that are
fixed, or printed without either, stay. They are independent: no paper here prints how its estimates
correlate. Studies tell what a correlation of the two numbers of clearance would change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.effects import RandomEffects, scrambled_normals
from fludapk.pk.program import Program
from fludapk.published.model_files import ModelFile, RandomEffect


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Printed uncertainty of a model, as arrays.

    Parameters
    ----------
    theta : (t,)
        Estimates, then constants, as `fludapk.pk.program.Program.theta`.
    theta_log_sd : (t,)
        SD of their logarithms; 0 where nothing is printed.
    effects : sequence of RandomEffect
        Of IIV, then of IOV.
    n_eta : int
        How many of them are of IIV.
    """

    theta: F8
    theta_log_sd: F8
    effects: Sequence[RandomEffect]
    n_eta: int

    @classmethod
    def printed(cls, file: ModelFile, theta: F8) -> Self:
        """Return what a model file prints."""
        log_sd = np.zeros(len(theta))
        for k, estimate in enumerate(file.theta.values()):
            log_sd[k] = _log_sd(estimate.value, estimate.rse_percent, estimate.ci95)
        return cls(theta, log_sd, [*file.iiv, *file.iov], len(file.iiv))

    @property
    def effects_log_sd(self) -> F8:
        """SD of the logarithm of the printed value of each random effect."""
        return np.array([_log_sd(e.value, e.rse_percent, e.ci95) for e in self.effects])

    @property
    def dimensions(self) -> int:
        """Number of numbers that are uncertain."""
        return int(np.count_nonzero(self.theta_log_sd) + np.count_nonzero(self.effects_log_sd))

    def draw(self, normals: F8) -> tuple[F8, F8]:
        """Draw the numbers.

        Parameters
        ----------
        normals : (n, dimensions)
            Standard normals.

        Returns
        -------
        theta : (t, n)
        scale : (n, effects)
            Factor on each random effect: its SD over the printed one.
        """
        uncertain = np.flatnonzero(self.theta_log_sd)
        theta = np.repeat(self.theta[:, None], len(normals), axis=1)
        own = normals[:, : len(uncertain)].T
        theta[uncertain] *= np.exp(self.theta_log_sd[uncertain, None] * own)
        log_sd = self.effects_log_sd
        scale = np.ones((len(normals), len(self.effects)))
        for column, k in enumerate(np.flatnonzero(log_sd).tolist(), len(uncertain)):
            effect = self.effects[k]
            value = effect.value * np.exp(log_sd[k] * normals[:, column])
            scale[:, k] = np.sqrt(effect.variances(value) / effect.variance)
        return theta, scale

    def varied(self, effects: RandomEffects, scale: F8) -> RandomEffects:
        """Multiply random effects by the SD drawn over the printed one.

        Parameters
        ----------
        effects : RandomEffects
            By the printed variability.
        scale : (n or 1, effects)
            See `draw`.
        """
        eta, kappa = scale[:, : self.n_eta], scale[:, self.n_eta :]
        return RandomEffects(effects.eta * eta, effects.kappa * kappa[:, None, :])

    def outer_normals(self, program: Program, rows: F8, seed: int, n: int) -> F8:
        """Draw standard normals for `draw` that leave little noise in the ends of an interval.

        Scrambled Sobol points, turned so that their first coordinate, which is the most even, is
        the direction in which clearance changes the most, and the next ones are the variability.
        With 256 of them the ends of the 95 % interval of a probability move by 0.2 and 0.8 points
        (SD over seeds); with pseudo-random ones by 0.5 and 2.2.

        Parameters
        ----------
        program : Program
        rows : (patients, covariates)
            Patients whose clearance is looked at, as for `Program.typical_values`.
        seed : int
        n : int
            Number of draws.

        Returns
        -------
        (n, dimensions)

        References
        ----------
        Imai, Tan 2006, J Comput Finance 10(2):129, doi 10.21314/JCF.2006.157 (the turn).
        """
        if not self.dimensions:
            return np.zeros((n, 0))
        slope = self._slope_of_clearance(program, rows)
        points = scrambled_normals(seed, 0, n, self.dimensions)
        if not slope.any():
            return points
        thetas = np.count_nonzero(self.theta_log_sd)
        order = [0, *range(thetas, self.dimensions), *range(1, thetas)]
        normals = np.empty_like(points)
        normals[:, order] = points
        mirror = slope / np.linalg.norm(slope)
        mirror[0] -= 1.0
        if not mirror.any():
            return normals
        return np.asarray(
            normals - 2.0 * np.outer(normals @ mirror, mirror) / float(mirror @ mirror)
        )

    def _slope_of_clearance(self, program: Program, rows: F8) -> F8:
        """Slope of the mean log clearance over each normal, (dimensions,)."""
        unit = np.eye(self.dimensions)
        up, down = (
            [np.log(program.typical_values(rows, column)[0][:, 0]).mean() for column in columns]
            for columns in (
                [np.repeat(theta[:, None], len(rows), axis=1) for theta in self.draw(z)[0].T]
                for z in (unit, -unit)
            )
        )
        return np.asarray((np.array(up) - np.array(down)) / 2.0)

    def correlated(self, program: Program, normals: F8, correlation: float) -> F8 | None:
        """Correlate the two estimates that are added in clearance.

        Parameters
        ----------
        program : Program
        normals : (n, dimensions)
            Independent ones.
        correlation : float

        Returns
        -------
        (n, dimensions) or None
            None if clearance is not a sum of two uncertain estimates.
        """
        pair = self.added_in_clearance(program)
        if pair is None:
            return None
        places = np.flatnonzero(self.theta_log_sd).tolist()
        first, second = (places.index(theta) for theta in pair)
        normals = normals.copy()
        own = math.sqrt(1.0 - correlation**2)
        normals[:, second] = correlation * normals[:, first] + own * normals[:, second]
        return normals

    def added_in_clearance(self, program: Program) -> tuple[int, int] | None:
        """Places of the two uncertain estimates whose terms add up to clearance; None otherwise."""
        terms = [index for slot, index, *_ in program.terms.tolist() if slot == 0]
        if len(terms) != 2 or not all(index >= 0 and self.theta_log_sd[index] for index in terms):
            return None
        return terms[0], terms[1]


def certain_numbers(file: ModelFile) -> list[str]:
    """List the thetas and variabilities without a printed uncertainty, which are not drawn."""
    thetas = [(name, _log_sd(t.value, t.rse_percent, t.ci95)) for name, t in file.theta.items()]
    effects = [(e.name, _log_sd(e.value, e.rse_percent, e.ci95)) for e in [*file.iiv, *file.iov]]
    return [name for name, sd in [*thetas, *effects] if sd == 0.0]


def _log_sd(value: float, rse_percent: float | None, ci95: Sequence[float] | None) -> float:
    """Return the SD of the logarithm of an estimate; 0 if unknown or if the estimate is not > 0."""
    if value <= 0:
        return 0.0
    if rse_percent is not None:
        return math.sqrt(math.log1p((rse_percent / 100) ** 2))
    if ci95 is not None and ci95[0] > 0:
        return math.log(ci95[1] / ci95[0]) / (2 * Z95)
    return 0.0


CORRELATION: Final = -0.8
"""Correlation of two estimates that are added in clearance, of which studies tell what it changes.

Data that fix their sum leave their difference open, so that it is usually strong and negative.
"""
Z95: Final = NormalDist().inv_cdf(0.975)
"""Standard normal quantile that bounds a 95 % interval."""
