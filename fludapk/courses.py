"""Random effects and what follows from them: parameters, exposures and concentrations."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk import kernels
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.model import Program
from fludapk.schema import DATA

POINT_SET: Final = "sobol.csv"
POINT_SET_SEED: Final = 20222022
"""Seed of the scrambling, for the provenance of a result."""


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """eta (n, n_eta) and kappa (n, doses, n_kappa): deviations on the log scale."""

    eta: F8
    kappa: F8

    @classmethod
    def none(cls, program: Program, n_doses: int) -> RandomEffects:
        """The typical patient: every effect zero."""
        return cls(np.zeros((1, program.n_eta)), np.zeros((1, n_doses, program.n_kappa)))

    @classmethod
    def from_normals(cls, program: Program, z: F8, n_doses: int) -> RandomEffects:
        """Effects from (n, n_eta + doses * n_kappa) standard normals, etas first.

        Examples
        --------
        >>> from fludapk.model import load_model
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


@dataclass(frozen=True, eq=False)
class Exposure:
    """Exposure of n simulated courses; see `fludapk.kernels.exposure`."""

    auc_0_inf: F8
    """(n,) mg h/L."""
    auc_per_dose: F8
    """(n, doses) mg h/L, from each dose to the next, the last to infinity."""
    cmax: F8
    """(n,) mg/L."""
    trough: F8
    """(n, doses) mg/L, just before each dose."""

    def row(self, i: int) -> Exposure:
        """The course of one of them."""
        only = slice(i, i + 1)
        return Exposure(
            self.auc_0_inf[only], self.auc_per_dose[only], self.cmax[only], self.trough[only]
        )


def exposure(
    program: Program, tv: F8, effects: RandomEffects, times_h: F8, infusion_h: F8, amounts_mg: F8
) -> Exposure:
    """Exposure of courses of infusions, one occasion per dose.

    Parameters
    ----------
    program : Program
    tv : (n or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3; L/h and L.
    effects : RandomEffects
    times_h, infusion_h : (doses,)
    amounts_mg : (n or 1, doses)
        F-ara-A.

    Raises
    ------
    InputError
        Naming the first row whose parameters are not finite and positive.

    Examples
    --------
    >>> from fludapk.model import load_model
    >>> program = load_model().program
    >>> tv = np.array([[10.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
    >>> typical = RandomEffects.none(program, n_doses=1)
    >>> exposure(program, tv, typical, np.zeros(1), np.ones(1), np.array([[50.0]])).auc_0_inf
    array([5.])
    """
    *areas, status = kernels.exposure(
        *_arguments(program, tv, effects, times_h, infusion_h, amounts_mg)
    )
    _raise_for(status)
    return Exposure(*areas)


def concentrations(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    at_h: F8,
) -> tuple[F8, F8]:
    """Concentration (mg/L) and area so far (mg h/L) at ascending times, each (n, times).

    A sample at the instant of a dose is taken before it. Other parameters as in `exposure`.
    """
    at = np.ascontiguousarray(at_h, dtype=np.float64)
    if np.any(np.diff(at) < 0) or not np.all(np.isfinite(at)):
        raise InputError("times must be finite and ascending")
    arguments = _arguments(program, tv, effects, times_h, infusion_h, amounts_mg)
    n = max(len(arguments[i]) for i in (0, 2, 4, 7))
    conc, auc = np.empty((n, at.size)), np.empty((n, at.size))
    _raise_for(kernels.course(*arguments, at, conc, auc))
    return conc, auc


def measured(program: Program, conc_mg_l: F8, normals: F8) -> F8:
    """Levels with the residual error of a model, kept above zero; arrays of one shape.

    Examples
    --------
    >>> from fludapk.model import load_model
    >>> measured(load_model().program, np.array([1.0]), np.array([2.0])).round(3)
    array([1.126])
    """
    proportional, additive, log_sd = program.error
    if log_sd > 0.0:
        return np.asarray(conc_mg_l * np.exp(log_sd * normals))
    sd = np.hypot(proportional * conc_mg_l, additive)
    return np.asarray(np.maximum(conc_mg_l + sd * normals, 1e-3 * conc_mg_l))


def individual_parameters(program: Program, tv: F8, effects: RandomEffects) -> F8:
    """CL, V1, Q2, V2, Q3, V3 on every occasion, (n, occasions, 6)."""
    shift = effects.eta @ program.load_eta.T
    shift_on = effects.kappa @ program.load_kappa.T
    return np.asarray(tv[:, None] * np.exp(shift[:, None] + shift_on))


def _arguments(
    program: Program, tv: F8, effects: RandomEffects, times_h: F8, infusion_h: F8, amounts_mg: F8
) -> tuple[F8, F8, F8, F8, F8, F8, F8, F8]:
    """Kernel arguments: float64, C order, writable, so that each kernel is compiled once."""
    return (
        _array(tv, 2),
        _array(program.load_eta, 2),
        _array(effects.eta, 2),
        _array(program.load_kappa, 2),
        _array(effects.kappa, 3),
        _array(times_h, 1),
        _array(infusion_h, 1),
        _array(amounts_mg, 2),
    )


def _array(values: F8, ndim: int) -> F8:
    array = values
    if not (array.dtype == np.float64 and array.flags.carray):
        array = np.require(values, np.float64, ["C", "W", "A"])
    if array.ndim != ndim:
        raise ValueError(f"expected {ndim} dimensions, not shape {array.shape}")
    return array


def _raise_for(status: npt.NDArray[np.int8]) -> None:
    bad = np.flatnonzero(status)
    if bad.size:
        raise InputError(f"row {bad[0] + 1}: clearances and volumes must be finite and above zero")


def rates(parameters: F8) -> F8:
    """Disposition rates (1/h), ascending; those of absent compartments are 0.

    Parameters
    ----------
    parameters : (n, 6)
        CL, V1, Q2, V2, Q3, V3.

    Returns
    -------
    (n, 3)
        The last n_compartments of a row are real rates; the first of those is the terminal one.

    Examples
    --------
    >>> rates(np.array([[10.0, 20.0, 0.0, 1.0, 0.0, 1.0]]))
    array([[0. , 0. , 0.5]])
    """
    CL, V1, Q2, V2, Q3, V3 = np.moveaxis(np.asarray(parameters, dtype=np.float64), -1, 0)
    m = np.zeros((*CL.shape, 3, 3))  # the symmetric generator, see `fludapk.kernels`
    m[..., 0, 0] = (CL + Q2 + Q3) / V1
    m[..., 1, 1], m[..., 1, 0] = Q2 / V2, -Q2 / np.sqrt(V1 * V2)
    m[..., 2, 2], m[..., 2, 0] = Q3 / V3, -Q3 / np.sqrt(V1 * V3)
    return np.asarray(np.linalg.eigvalsh(m, UPLO="L")).clip(min=0.0)


# ------------------------------------------------------------------ deterministic points


@lru_cache(maxsize=1)
def _generators() -> npt.NDArray[np.int64]:
    return np.loadtxt(DATA / POINT_SET, dtype=np.int64, delimiter=",", comments="#")


def sobol_points(log2_points: int, dimensions: int) -> F8:
    """The first 2^log2_points scrambled Sobol points, inside (0, 1).

    Parameters
    ----------
    log2_points, dimensions : int
        At most 14 and 64: what the data file holds.

    Returns
    -------
    (2^log2_points, dimensions)

    References
    ----------
    Generators by scipy.stats.qmc.Sobol; see ``data/make_sobol.py``.

    Examples
    --------
    >>> sobol_points(3, 2).mean(axis=0).round(1)
    array([0.5, 0.5])
    """
    generators = _generators()
    if log2_points >= generators.shape[1]:
        raise ValueError(f"at most 2^{generators.shape[1] - 1} points, not 2^{log2_points}")
    if dimensions > len(generators):
        raise InputError(
            f"{dimensions} random effects over the course: at most {len(generators)}, "
            "use fewer doses"
        )
    generators = generators[:dimensions]
    points = generators[:, :1].T
    for doubling in generators[:, 1 : log2_points + 1].T:
        points = np.concatenate([points, points ^ doubling])
    return np.asarray((points + 0.5) / 2.0**30)


def normal_scores(probabilities: F8) -> F8:
    """Standard normal quantiles, (n,).

    Examples
    --------
    >>> normal_scores(np.array([0.5, 0.975])).round(2)
    array([0.  , 1.96])
    """
    inverse = NormalDist().inv_cdf  # importing scipy.special would take a third of a second
    return np.array([inverse(p) for p in probabilities.tolist()])


@lru_cache(maxsize=8)
def standard_normal_points(log2_points: int, dimensions: int) -> F8:
    """`sobol_points` as standard normals.

    In each dimension a Sobol set has one point in each of n equal strata; it is moved to the middle
    of its stratum, so that n quantiles serve all dimensions.

    Examples
    --------
    >>> z = standard_normal_points(10, 3)
    >>> bool(np.allclose(z.mean(axis=0), 0) and np.allclose(z.std(axis=0), 1, atol=0.01))
    True
    """
    n = 2**log2_points
    quantiles = normal_scores((np.arange(n) + 0.5) / n)
    return np.asarray(quantiles[(sobol_points(log2_points, dimensions) * n).astype(np.int64)])


def scrambled_normals(seed: int, first: int, n: int, dimensions: int) -> F8:
    """Standard normals from scrambled Sobol points, `first` and on.

    Parameters
    ----------
    seed : int
        Of the scrambling.
    first, n, dimensions : int

    Returns
    -------
    (n, dimensions)

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
    with warnings.catch_warnings():  # about n that is no power of two
        warnings.simplefilter("ignore", UserWarning)
        drawn = points.random(n)
    return np.asarray(ndtri(np.clip(drawn, 2.0**-54, 1.0 - 2.0**-53)))
