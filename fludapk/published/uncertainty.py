"""Models with parameters drawn from their printed uncertainty.

Numbers are drawn independently, on the log scale: no paper here prints how its estimates correlate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.published.model_files import ModelFile, RandomEffect


def uncertain(file: ModelFile, rng: np.random.Generator) -> ModelFile:
    """Draw the thetas and variabilities of a model from their printed uncertainty.

    Each is drawn independently on the log scale, with the SD of its RSE or of its 95 % interval;
    those that are fixed, or printed without either, stay.

    Parameters
    ----------
    file : ModelFile
    rng : Generator

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> file = load_model().file
    >>> drawn = uncertain(file, np.random.default_rng(1))
    >>> drawn.theta["CLnr"].value != file.theta["CLnr"].value
    True
    """
    theta = {}
    for name, estimate in file.theta.items():
        sd, z = _log_sd(estimate.value, estimate.rse_percent, estimate.ci95), rng.standard_normal()
        value = estimate.value * math.exp(sd * z)
        theta[name] = estimate.model_copy(update={"value": value if sd else estimate.value})
    effects: dict[str, list[Any]] = {"iiv": [], "iov": []}
    for kind in effects:
        for effect in getattr(file, kind):
            sd, z = _log_sd(effect.value, effect.rse_percent, effect.ci95), rng.standard_normal()
            effects[kind].append(
                effect.model_copy(update={"value": effect.value * math.exp(sd * z)})
            )
    return file.model_copy(update={"theta": theta, **effects})


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


Z95: Final = NormalDist().inv_cdf(0.975)
"""Standard normal quantile that bounds a 95 % interval."""
