"""Random effects, and the points at which they are simulated."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.pk.program import Program

POINT_SET: Final = Path(__file__).with_name("sobol.csv")
"""Generators of the Sobol points."""
MOST_DIMENSIONS: Final = 64
"""Coordinates of the stored Sobol points."""
POINT_SET_SEED: Final = 20222022
"""Seed of the scrambling, for the provenance of a result."""
BITS: Final = 30
"""Bits of a point, as an integer."""
LOG2_QUANTILES: Final = 14
"""log2 of how many quantiles stand for the normal law where points are shifted at random."""


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """Random effects of n subjects: deviations on the log scale."""

    eta: F8
    """(n, n_eta) Deviations between subjects."""
    kappa: F8
    """(n, doses, n_kappa) Deviations between the occasions of a subject, one per dose."""

    @classmethod
    def none(cls, program: Program, n_doses: int) -> RandomEffects:
        """Return the effects of the typical patient: all zero."""
        return cls(np.zeros((1, program.n_eta)), np.zeros((1, n_doses, program.n_kappa)))

    def rows(self, rows: slice) -> RandomEffects:
        """Return the effects of some subjects."""
        return RandomEffects(self.eta[rows], self.kappa[rows])

    @classmethod
    def from_normals(cls, program: Program, z: F8, n_doses: int) -> RandomEffects:
        """Return effects from standard normals.

        Parameters
        ----------
        program : Program
        z : (n, n_eta + n_doses * n_kappa) array
            Standard normals: etas, then the kappas of each dose.
        n_doses : int

        Examples
        --------
        >>> from fludapk.published.models import load_model
        >>> program = load_model().program
        >>> effects = RandomEffects.from_normals(program, np.zeros((3, 10)), n_doses=4)
        >>> effects.eta.shape, effects.kappa.shape
        ((3, 2), (3, 4, 2))
        """
        n_eta, n_kappa = program.n_eta, program.n_kappa
        eta = z[:, :n_eta] @ program.root_omega.T
        standard = z[:, n_eta : n_eta + n_doses * n_kappa].reshape(len(z), n_doses, n_kappa)
        kappa = standard @ program.root_omega_iov.T
        return cls(np.ascontiguousarray(eta), np.ascontiguousarray(kappa))


# ------------------------------------------------------------------ deterministic points


@lru_cache(maxsize=1)
def _generators() -> npt.NDArray[np.int64]:
    return np.loadtxt(POINT_SET, dtype=np.int64, delimiter=",", comments="#")


def sobol_points(log2_points: int, dimensions: int) -> F8:
    """Return the first 2^log2_points scrambled Sobol points, inside (0, 1).

    Parameters
    ----------
    log2_points : int
        Binary logarithm of the number of points, at most 14: all that the data file holds.
    dimensions : int
        Number of coordinates of a point, at most 64.

    Returns
    -------
    (2^log2_points, dimensions) array

    References
    ----------
    Generators by scipy.stats.qmc.Sobol; see ``tools/make_sobol.py``.

    Examples
    --------
    >>> sobol_points(3, 2).mean(axis=0).round(1)
    array([0.5, 0.5])
    """
    if dimensions > len(_generators()):
        raise InputError(
            f"{dimensions} random effects over the course: at most {len(_generators())}, "
            "use fewer doses"
        )
    return np.asarray((_sobol_integers(log2_points, dimensions) + 0.5) / 2.0**BITS)


def _sobol_integers(log2_points: int, dimensions: int) -> npt.NDArray[np.int64]:
    """The points as integers of `BITS` bits, of as many dimensions as there are generators."""
    generators = _generators()[:dimensions]
    if log2_points >= generators.shape[1]:
        raise ValueError(f"at most 2^{generators.shape[1] - 1} points, not 2^{log2_points}")
    points = generators[:, :1].T
    for doubling in generators[:, 1 : log2_points + 1].T:
        points = np.concatenate([points, points ^ doubling])
    return np.asarray(points)


def normal_scores(probabilities: F8) -> F8:
    """Return standard normal quantiles.

    Parameters
    ----------
    probabilities : (n,) array
        Inside (0, 1).

    Returns
    -------
    (n,) array

    Examples
    --------
    >>> normal_scores(np.array([0.5, 0.975])).round(2)
    array([0.  , 1.96])
    """
    inverse = NormalDist().inv_cdf  # importing scipy.special would take a third of a second
    return np.array([inverse(p) for p in probabilities.tolist()])


@lru_cache(maxsize=8)
def standard_normal_points(log2_points: int, dimensions: int) -> F8:
    """Return `sobol_points` as standard normals.

    In each dimension a Sobol set has one point in each of n equal strata; it is moved to the middle
    of its stratum, so that n quantiles serve all dimensions.

    Parameters
    ----------
    log2_points, dimensions : int
        As in `sobol_points`.

    Examples
    --------
    >>> z = standard_normal_points(10, 3)
    >>> bool(np.allclose(z.mean(axis=0), 0) and np.allclose(z.std(axis=0), 1, atol=0.01))
    True
    """
    n = 2**log2_points
    quantiles = normal_scores((np.arange(n) + 0.5) / n)
    return np.asarray(quantiles[(sobol_points(log2_points, dimensions) * n).astype(np.int64)])


def shifted_normals(log2_points: int, dimensions: int, rng: np.random.Generator) -> F8:
    """Standard normals from the Sobol points after a random digital shift.

    Every shift gives points as even as the ones shifted and each of them uniformly distributed, so
    the spread of a mean between shifts is its sampling error. Each normal is one of
    2^`LOG2_QUANTILES` quantiles. Dimensions beyond those of the data file are pseudo-random.

    Parameters
    ----------
    log2_points, dimensions : int
    rng : numpy.random.Generator

    Returns
    -------
    (2^log2_points, dimensions)

    References
    ----------
    L'Ecuyer, Lemieux 2002, in Modeling Uncertainty, 419-474, doi 10.1007/0-306-48102-2_20.

    Examples
    --------
    >>> z = shifted_normals(10, 3, np.random.default_rng(1))
    >>> bool(np.allclose(z.mean(axis=0), 0, atol=0.01) and np.allclose(z.std(axis=0), 1, atol=0.02))
    True
    """
    points = _sobol_integers(log2_points, dimensions)
    missing = dimensions - points.shape[1]
    if missing > 0:
        beyond = rng.integers(0, 2**BITS, size=(len(points), missing))
        points = np.hstack([points, beyond])
    points = points ^ rng.integers(0, 2**BITS, size=dimensions)
    return np.asarray(_quantiles()[points >> (BITS - LOG2_QUANTILES)])


@lru_cache(maxsize=1)
def _quantiles() -> F8:
    n = 2**LOG2_QUANTILES
    return normal_scores((np.arange(n) + 0.5) / n)


def scrambled_normals(seed: int, first: int, n: int, dimensions: int) -> F8:
    """Return standard normals from consecutive scrambled Sobol points.

    Parameters
    ----------
    seed : int
        Seed of the scrambling.
    first : int
        Index of the first point, from 0.
    n : int
        Number of points.
    dimensions : int
        Number of coordinates of a point.

    Returns
    -------
    (n, dimensions) array

    Examples
    --------
    >>> z = scrambled_normals(1, 0, 1024, 2)
    >>> bool(abs(z.mean()) < 1e-3)
    True
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    points = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    if first:
        points.fast_forward(first)
    with warnings.catch_warnings():  # scipy warns unless n is a power of two
        warnings.simplefilter("ignore", UserWarning)
        drawn = points.random(n)
    return np.asarray(ndtri(np.clip(drawn, 2.0**-54, 1.0 - 2.0**-53)))
