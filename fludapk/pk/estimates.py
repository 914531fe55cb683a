"""Most likely random effects given measured levels.

Effects are those of the model: eta, and kappa of each occasion (a dose and the time until the
next). An occasion is known once a level was drawn after its start. The kappa of later ones is zero
at the mode and drawn afresh from the prior in a sample.

Likelihood of a level y predicted as f: normal with variance (proportional f)^2 + additive^2, or
log-normal; for a level below its limit of quantification it is the probability of lying there (M3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8, I8, Bools
from fludapk.errors import ConvergenceError, Fault, InputError
from fludapk.pk.descent import Minimum, minimum
from fludapk.pk.effects import RandomEffects, standard_normal_points
from fludapk.pk.exposure import course_concentrations
from fludapk.pk.kernels import estimates as kernels
from fludapk.pk.kernels.arithmetic import BAD_LEVEL, BAD_PARAMETER, NOT_CONVERGED, OK
from fludapk.pk.occasions import split
from fludapk.pk.program import Program, usable
from fludapk.pk.shapes import ShapeError, check_infusions, check_shapes

STARTS: Final = 5
"""Binary logarithm of the number of starting points of a search, besides zero."""
START_SPREAD: Final = 2.5
"""SD of the starting points, in SD of the prior."""
PROMISING: Final = 4
"""Number of starts from which a search without exact gradients descends."""
LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """Levels of F-ara-A of one patient or of n patients, kept as (n, m) arrays.

    Parameters
    ----------
    times_h : (m,) or (n, m) array
        h on the clock of the doses. Levels are sorted by time; those of the same time are
        replicates and keep their order. A level at the instant of a dose was drawn before it. In a
        row of many patients NaN means no level: rows may have different numbers of levels.
    conc_mg_l : (m,) or (n, m) array
        mg/L; NaN below the limit of quantification.
    lloq_mg_l : float or array, optional
        Limit of quantification, mg/L; needed where `conc_mg_l` is NaN.

    Raises
    ------
    InputError
        If a level cannot be used; every such level is named.

    Examples
    --------
    >>> Levels(times_h=[24.0, 1.0], conc_mg_l=[np.nan, 0.9], lloq_mg_l=0.01).conc_mg_l
    array([[0.9, nan]])
    """

    times_h: F8
    conc_mg_l: F8
    lloq_mg_l: F8 | float = np.nan
    places: I8 = field(init=False)
    """(n, m) Position of each level in the order given, from 1."""

    def __post_init__(self) -> None:
        is_single = np.ndim(self.conc_mg_l) == 1
        conc = np.array(self.conc_mg_l, dtype=np.float64, ndmin=2)
        given = (self.times_h, self.lloq_mg_l)
        try:
            times, lloq = (
                np.broadcast_to(np.asarray(a, dtype=np.float64), conc.shape) for a in given
            )
        except ValueError:
            raise InputError(
                f"{conc.shape[1]} concentrations, but {np.shape(self.times_h)[-1:]} times: "
                "give a time for each level"
            ) from None
        if is_single and not conc.size:
            raise InputError(Fault("levels", "no levels", whole=True, do="give at least one"))
        order = np.argsort(times, axis=1, kind="stable")
        below = np.isnan(conc)
        absent = np.isnan(times) & below & (not is_single)
        faults = []
        for is_bad, template in (
            (~np.isfinite(times) & ~absent, "time must be a number of h"),
            (
                ~below & ~((conc > 0.0) & (conc < np.inf)),
                "{conc:g} mg/L must be finite and above 0; if it was below the limit of "
                "quantification, say so and give the limit",
            ),
            (
                below & ~absent & ~((lloq > 0.0) & (lloq < np.inf)),
                "below the limit of quantification needs that limit, {lloq:g} mg/L is none",
            ),
            (
                conc < lloq,
                "{conc:g} mg/L is below its limit of quantification {lloq:g} mg/L: "
                "give it as below the limit",
            ),
        ):
            for i, t in np.argwhere(is_bad):
                row = "" if is_single else f"row {i + 1}, "
                reason = template.format(conc=conc[i, t], lloq=lloq[i, t])
                message = f"{row}level {t + 1} at {times[i, t]:g} h: {reason}"
                faults.append(Fault("levels", message, inside=("levels", int(t) + 1), whole=True))
        if faults:
            raise InputError(*faults)
        object.__setattr__(self, "places", order + 1)
        for name, values in (("times_h", times), ("conc_mg_l", conc), ("lloq_mg_l", lloq)):
            object.__setattr__(self, name, np.take_along_axis(values, order, axis=1))

    @property
    def is_level(self) -> npt.NDArray[np.bool_]:
        """(n, m) False where a row is padded."""
        return ~np.isnan(self.times_h)

    @property
    def is_below(self) -> npt.NDArray[np.bool_]:
        """(n, m) True for levels below the limit of quantification."""
        return self.is_level & np.isnan(self.conc_mg_l)


@dataclass(frozen=True, eq=False)
class Problem:
    """Model, doses and levels of one patient or many; attributes as in `map_estimates`."""

    program: Program
    tv: F8
    times_h: F8
    infusion_h: F8
    amounts_mg: F8
    levels: Levels

    @property
    def n_doses(self) -> int:
        """Number of doses of a row."""
        return int(np.shape(self.amounts_mg)[-1])

    @cached_property
    def arguments(self) -> tuple[F8, F8, int, F8, F8, F8]:
        """Arguments of the kernels."""
        program, levels = self.program, self.levels
        loads = (
            program.load_eta @ program.root_omega,
            program.load_kappa @ program.root_omega_iov,
        )
        times, lengths, amounts = (
            np.array(part, dtype=np.float64, ndmin=2)
            for part in (self.times_h, self.infusion_h, self.amounts_mg)
        )
        check_infusions(times, lengths, amounts)
        doses = _stacked(times, lengths, amounts)
        measured = _stacked(levels.times_h, levels.conc_mg_l, levels.lloq_mg_l)
        eta = np.zeros((1, program.n_eta))
        own, width = self.typical, 6 + len(program.moving)
        check_shapes(
            {
                "tv": (own.shape, (width,) if own.ndim == 2 else (self.n_doses, width)),
                "doses": (doses.shape, doses.shape[1:]),
                "levels": (measured.shape, measured.shape[1:]),
            }
        )
        tv = self._of_occasions(eta)
        rows = {len(a) for a in (tv, doses, measured)} - {1}
        if rows and len(measured) == 1:
            measured = np.repeat(measured, rows.pop(), axis=0)
        return tv, np.hstack(loads).copy(), program.n_eta, doses, measured, program.error

    @cached_property
    def typical(self) -> F8:
        """`tv` as float64, of one row at least."""
        return np.array(self.tv, dtype=np.float64, order="C", ndmin=2)

    def _of_occasions(self, eta: F8) -> F8:
        """Typical values for the kernels, (n or 1, doses or 1, 6), with etas that shift no log."""
        first, shifts = split(self.program, self.typical, eta, self.times_h)
        own = first[:, None] if shifts is None else first[:, None] * np.exp(shifts)
        return np.ascontiguousarray(own)

    def log_posterior(self, normals: F8) -> F8:
        """Compute -2 log posterior density of points of standard normals.

        Parameters
        ----------
        normals : (m, n_eta + k n_kappa) array
            Of one patient, or a row for each.

        Returns
        -------
        (m,) array
            As `objective` of `fludapk.pk.kernels.estimates.map_estimates`.
        """
        tv, loads, n_eta, doses, measured, error = self.arguments
        if self.program.is_curved:
            root = self.program.root_omega
            tv = self._of_occasions(normals[:, : len(root)] @ root.T)
        x, no_gradient = np.ascontiguousarray(normals), np.empty((0, 0))
        return kernels.log_posterior(tv, loads, n_eta, doses, measured, error, x, no_gradient)

    def search(self, starts: F8) -> tuple[F8, F8, F8, F8, I8, npt.NDArray[np.int8]]:
        """Find the most likely effects from some starts.

        Parameters
        ----------
        starts : (s, n_eta) array
            Standard normals.

        Returns
        -------
        x, objective, covariance, predicted, evaluations, status
            As `fludapk.pk.kernels.estimates.map_estimates`.
        """
        if self.program.is_curved:
            return self._descend(starts)
        return kernels.map_estimates(*self.arguments, starts)

    def _alone(self, i: int) -> Problem:
        """The problem of one patient."""

        def row(values: F8) -> F8:
            return np.asarray(values)[i : i + 1] if len(values) > 1 else np.asarray(values)

        levels = self.levels
        k = i if len(levels.times_h) > 1 else 0
        _, _, _, doses, _, _ = self.arguments
        start, length, amount = row(doses)[0]
        mine = levels.is_level[k]
        return Problem(
            self.program, row(self.typical), start, length, amount[np.newaxis],
            Levels(times_h=levels.times_h[k, mine], conc_mg_l=levels.conc_mg_l[k, mine],
                   lloq_mg_l=np.asarray(levels.lloq_mg_l)[k, mine]),
        )  # fmt: skip

    def _descend(self, starts: F8) -> tuple[F8, F8, F8, F8, I8, npt.NDArray[np.int8]]:
        """Search patient by patient, without the exact gradients that kernels have."""
        measured = self.arguments[4]
        n, m, d = len(measured), measured.shape[2], self._dimensions
        x, covariance = np.full((n, d), np.nan), np.full((n, d, d), np.nan)
        objective, predicted = np.full(n, np.nan), np.full((n, m), np.nan)
        evaluations, status = np.zeros(n, np.int64), np.zeros(n, np.int8)
        for i in range(n):
            alone = self if n == 1 else self._alone(i)
            if not usable(alone.typical[..., :6]).all():
                status[i] = BAD_PARAMETER
                continue
            lowest, evaluations[i] = alone._lowest(starts)
            if lowest is None or not lowest.converged:
                status[i] = BAD_LEVEL if lowest is None else NOT_CONVERGED
                continue
            known = len(lowest.x)
            x[i], covariance[i] = 0.0, np.eye(d)
            x[i, :known], objective[i] = lowest.x, lowest.value
            covariance[i, :known, :known] = 2.0 * np.linalg.inv(lowest.hessian)
            predicted[i, self.levels.is_level[i]] = alone._predicted(x[i : i + 1])
        return x, objective, covariance, predicted, evaluations, status

    @property
    def _dimensions(self) -> int:
        return self.program.n_eta + self.n_doses * self.program.n_kappa

    def _lowest(self, starts: F8) -> tuple[Minimum | None, int]:
        """The lowest minimum below the most promising starts, or None, and the cost."""
        known = self.program.n_eta + int(self.known_occasions[0]) * self.program.n_kappa
        begin = np.zeros((len(starts), known))
        begin[:, : starts.shape[1]] = starts
        values = self.log_posterior(begin)
        order = [k for k in np.argsort(values, kind="stable")[:PROMISING] if values[k] < np.inf]
        minima = [minimum(self.log_posterior, begin[k]) for k in order]
        cost = len(begin) + sum(found.evaluations for found in minima)
        minima.sort(key=lambda found: (not found.converged, found.value))
        return (minima[0] if minima else None), cost

    def _predicted(self, normals: F8) -> F8:
        """Concentrations at the levels of one patient, (m,) mg/L."""
        _, _, _, doses, measured, _ = self.arguments
        start, length, amount = doses[0]
        conc, _ = course_concentrations(
            self.program, self.typical, self.effects(normals), start, length, amount[np.newaxis],
            measured[0, 0],
        )  # fmt: skip
        return np.asarray(conc[0])

    @cached_property
    def known_occasions(self) -> npt.NDArray[np.int64]:
        """(n,) Number of occasions that began before the last level."""
        _, _, _, doses, measured, _ = self.arguments
        last = np.max(measured[:, 0], axis=1, initial=-np.inf, where=~np.isnan(measured[:, 0]))
        return np.asarray((doses[:, 0] < last[:, None]).sum(axis=1))

    @cached_property
    def log_constants(self) -> F8:
        """(n,) Terms added to minus half the kernels' objective to give the log density."""
        conc = np.where(self.levels.is_level, self.levels.conc_mg_l, np.nan)
        jacobian = np.nansum(np.log(conc), axis=1) if self.program.error[2] > 0.0 else 0.0
        return np.asarray(-0.5 * LOG_2PI * np.sum(np.isfinite(conc), axis=1) - jacobian)

    def effects(self, normals: F8) -> RandomEffects:
        """Return the random effects of (n, d) standard normals."""
        return RandomEffects.from_normals(self.program, normals, self.n_doses)


def _stacked(*parts: F8 | float) -> F8:
    arrays = [np.array(part, dtype=np.float64, ndmin=2) for part in parts]
    try:
        rows = np.broadcast_arrays(*arrays)
    except ValueError:
        raise ShapeError(
            f"rows do not match: {', '.join(str(array.shape) for array in arrays)}"
        ) from None
    return np.ascontiguousarray(np.stack(rows, axis=1))


# ------------------------------------------------------------------ the most likely effects


@dataclass(frozen=True, eq=False)
class MapEstimate:
    """Most likely random effects of n patients and their uncertainty; see `map_estimates`."""

    problem: Problem
    normals: F8
    """(n, d) Standard normals of eta, then of kappa by occasion, at the mode."""
    covariance_of_normals: F8
    """(n, d, d) Laplace approximation, from the exact second derivatives at the mode."""
    objective: F8
    """(n,) -2 log posterior without constants, see `fludapk.pk.kernels.estimates.map_estimates`."""
    predicted_mg_l: F8
    """(n, m) Prediction at the mode; NaN where there is no level."""
    evaluations: npt.NDArray[np.int64]
    """(n,) Number of evaluations of the objective and its gradient."""
    status: npt.NDArray[np.int8]
    """(n,) Status of the kernel: 0 if a minimum was found; see `fludapk.pk.kernels`."""

    @cached_property
    def effects(self) -> RandomEffects:
        """Eta and kappa at the mode; kappa of occasions not yet known is zero."""
        return self.problem.effects(self.normals)

    @property
    def converged(self) -> Bools:
        """(n,) True where a minimum was found."""
        return np.asarray(self.status == OK)

    def over_course(self, n_doses: int) -> RandomEffects:
        """Return the effects over a whole course, of which the first doses were estimated.

        Kappa of later doses is zero, and so is every effect where no minimum was found.

        Parameters
        ----------
        n_doses : int
            Number of doses of the whole course.
        """
        converged = self.converged[:, None]
        eta, kappa = self.effects.eta, self.effects.kappa
        whole = np.zeros((len(eta), n_doses, self.problem.program.n_kappa))
        whole[:, : kappa.shape[1]] = kappa
        return RandomEffects(
            np.where(converged, eta, 0.0), np.where(converged[..., None], whole, 0.0)
        )

    @cached_property
    def covariance(self) -> F8:
        """(n, d, d) Covariance of eta, then kappa by occasion; the prior's where not yet known."""
        program = self.problem.program
        n_eta, n_kappa = program.n_eta, program.n_kappa
        root = np.eye(self.normals.shape[1])
        root[:n_eta, :n_eta] = program.root_omega
        for k in range(self.problem.n_doses):
            block = slice(n_eta + k * n_kappa, n_eta + (k + 1) * n_kappa)
            root[block, block] = program.root_omega_iov
        return np.asarray(root @ self.covariance_of_normals @ root.T)

    @cached_property
    def log_marginal_likelihood(self) -> F8:
        """(n,) Log marginal likelihood of the levels (density per mg/L), by Laplace's method."""
        _, half_log_det = np.linalg.slogdet(self.covariance_of_normals)
        return np.asarray(self.problem.log_constants - 0.5 * (self.objective - half_log_det))


def map_estimates(
    program: Program,
    tv: F8,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    levels: Levels,
) -> MapEstimate:
    """Find the most likely eta and kappa of many patients; one who fails has a status and NaN.

    Parameters
    ----------
    program : Program
    tv : array
        As in `fludapk.pk.exposure.course_exposure`.
    times_h, infusion_h, amounts_mg : (doses,) or (n or 1, doses) array
        Starts and durations of the infusions, h, and doses, mg F-ara-A; ordered, not overlapping.
        A shorter course is padded with later doses of 0 mg.
    levels : Levels

    Notes
    -----
    A subject's numbers do not depend on the others. The kernel releases the interpreter lock:
    blocks of subjects may run in threads.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> model = load_model()
    >>> levels = Levels(times_h=[2.0, 8.0], conc_mg_l=[[0.6, 0.2], [0.3, 0.1]])
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([17.5, 17.5])
    >>> map_estimates(model.program, tv, *doses, levels).effects.eta.round(2)
    array([[-0.48,  0.4 ],
           [ 0.04,  0.87]])
    """
    problem = Problem(program, tv, times_h, infusion_h, amounts_mg, levels)
    x, objective, covariance, predicted, evaluations, status = problem.search(
        starting_points(program.n_eta)
    )
    return MapEstimate(problem, x, covariance, objective, predicted, evaluations, status)


def starting_points(n_eta: int) -> F8:
    """Return the (1 + 2^`STARTS`, n_eta) standard normals to search from, zero first."""
    spread = START_SPREAD * standard_normal_points(STARTS, n_eta)
    return np.vstack([np.zeros((1, n_eta)), spread])


def map_estimate(
    program: Program,
    tv: F8,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    levels: Levels,
) -> MapEstimate:
    """Find the most likely eta and kappa of one patient.

    Parameters
    ----------
    program, tv, times_h, infusion_h, amounts_mg, levels
        As in `map_estimates`, with one row.

    Raises
    ------
    InputError
        If a clearance or volume is not finite and positive, or a level was measured where the model
        has no drug.
    ConvergenceError
        If no minimum is found.
    """
    estimate = map_estimates(program, tv, times_h, infusion_h, amounts_mg, levels)
    if len(estimate.status) != 1:
        raise ValueError(f"{len(estimate.status)} patients: use map_estimates")
    status = estimate.status[0]
    if status == BAD_PARAMETER:
        raise InputError("clearances and volumes must be finite and above zero")
    if status == BAD_LEVEL:
        raise InputError(*_levels_without_drug(estimate.problem))
    if status == NOT_CONVERGED:
        raise ConvergenceError(
            f"no most likely patient was found from {2**STARTS + 1} starting points: "
            "check times, units and doses"
        )
    return estimate


def _levels_without_drug(problem: Problem) -> list[Fault]:
    """Return the faults of levels that have no likelihood."""
    levels, first = problem.levels, float(np.min(problem.times_h))
    early = (levels.times_h[0] <= first) & ~np.isnan(levels.conc_mg_l[0])
    faults = [
        Fault(
            "levels",
            f"level at {levels.times_h[0, t]:g} h: {levels.conc_mg_l[0, t]:g} mg/L, but the first "
            f"dose starts at {first:g} h",
            do="check the time",
            inside=("levels", int(levels.places[0, t])),
            whole=True,
        )
        for t in np.flatnonzero(early)
    ]
    message = "a level has no likelihood, even in the typical patient"
    return faults or [Fault("levels", message, do="check times, units and doses", whole=True)]
