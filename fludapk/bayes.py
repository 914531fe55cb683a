"""What measured levels say about a patient: most likely effects, their posterior, surprises.

Effects are those of the model: eta, and kappa of each occasion (a dose and the time until the
next). An occasion is known once a level was drawn after its start. The kappa of later ones is zero
at the mode and drawn afresh from the prior in a sample.

Likelihood of a level y predicted as f: normal with variance (proportional f)^2 + additive^2, or
log-normal; a level below its limit of quantification counts by the probability of being there (M3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fludapk import courses, kernels
from fludapk.arrays import F8
from fludapk.courses import RandomEffects
from fludapk.errors import ConvergenceError, InputError
from fludapk.model import Program

STARTS: Final = 5
"""log2 of how many points, besides zero, a search may start from."""
START_SPREAD: Final = 2.5
"""In prior SD."""

PROPOSALS: Final = 4
"""Proposals per draw asked for."""
FREEDOM: Final = 7.0
"""Degrees of freedom of the multivariate t around each minimum."""
FROM_PRIOR: Final = 0.1
"""Share of proposals from the prior, which reach what is far from every minimum."""
MOVES: Final = 150
"""Metropolis steps of every draw where importance weights are too uneven."""

SURPRISING: Final = 3.0
"""SDs beyond which a level or an effect is named."""

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """Levels of F-ara-A of one patient, (m,) arrays, or of n patients, (n, m); kept as (n, m).

    Parameters
    ----------
    times_h : array
        h on the clock of the doses. Order is restored; levels of the same time are replicates and
        keep their order. A level at the instant of a dose was drawn before it.
    conc_mg_l : array
        mg/L; NaN: below the limit of quantification.
    lloq_mg_l : float or array, optional
        Limit of quantification, mg/L; needed where `conc_mg_l` is NaN.

    In a row of many patients, a time of NaN is no level: rows may have different numbers of them.

    Raises
    ------
    InputError
        Naming every bad level.

    Examples
    --------
    >>> Levels(times_h=[24.0, 1.0], conc_mg_l=[np.nan, 0.9], lloq_mg_l=0.01).conc_mg_l
    array([[0.9, nan]])
    """

    times_h: F8
    conc_mg_l: F8
    lloq_mg_l: F8 | float = np.nan

    def __post_init__(self) -> None:
        one = np.ndim(self.conc_mg_l) == 1
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
        if one and not conc.size:
            raise InputError("no levels: give at least one")
        order = np.argsort(times, axis=1, kind="stable")
        below = np.isnan(conc)
        absent = np.isnan(times) & below & (not one)
        faults = []
        for is_bad, says in (
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
                row = "" if one else f"row {i + 1}, "
                what = says.format(conc=conc[i, t], lloq=lloq[i, t])
                faults.append(f"{row}level {t + 1} at {times[i, t]:g} h: {what}")
        if faults:
            raise InputError(*faults)
        for name, values in (("times_h", times), ("conc_mg_l", conc), ("lloq_mg_l", lloq)):
            object.__setattr__(self, name, np.take_along_axis(values, order, axis=1))

    @property
    def is_level(self) -> npt.NDArray[np.bool_]:
        """(n, m), False where a row is filled up."""
        return ~np.isnan(self.times_h)

    @property
    def is_below(self) -> npt.NDArray[np.bool_]:
        """(n, m), True for levels below the limit of quantification."""
        return self.is_level & np.isnan(self.conc_mg_l)


@dataclass(frozen=True, eq=False)
class Problem:
    """Model, doses and levels of one patient or many; arguments as in `map_estimates`."""

    program: Program
    tv: F8
    times_h: F8
    infusion_h: F8
    amounts_mg: F8
    levels: Levels

    @property
    def n_doses(self) -> int:
        """How many doses a row has."""
        return int(np.shape(self.amounts_mg)[-1])

    @cached_property
    def arguments(self) -> tuple[F8, F8, int, F8, F8, F8]:
        """Those of the kernels."""
        program, levels = self.program, self.levels
        loads = (
            program.load_eta @ program.root_omega,
            program.load_kappa @ program.root_omega_iov,
        )
        doses = _stacked(self.times_h, self.infusion_h, self.amounts_mg)
        measured = _stacked(levels.times_h, levels.conc_mg_l, levels.lloq_mg_l)
        tv = np.array(self.tv, dtype=np.float64, order="C", ndmin=2)
        rows = {len(a) for a in (tv, doses, measured)} - {1}
        if len(rows) > 1:
            raise ValueError(f"rows of patients, doses and levels do not match: {sorted(rows)}")
        if rows and len(measured) == 1:
            measured = np.repeat(measured, rows.pop(), axis=0)
        return tv, np.hstack(loads).copy(), program.n_eta, doses, measured, program.error

    @cached_property
    def known_occasions(self) -> npt.NDArray[np.int64]:
        """(n,) How many occasions began before the last level."""
        _, _, _, doses, measured, _ = self.arguments
        last = np.max(measured[:, 0], axis=1, initial=-np.inf, where=~np.isnan(measured[:, 0]))
        return np.asarray((doses[:, 0] < last[:, None]).sum(axis=1))

    @cached_property
    def log_constants(self) -> F8:
        """(n,) What turns minus half the kernels' objective into a log density of the levels."""
        conc = np.where(self.levels.is_level, self.levels.conc_mg_l, np.nan)
        jacobian = np.nansum(np.log(conc), axis=1) if self.program.error[2] > 0.0 else 0.0
        return np.asarray(-0.5 * _LOG_2PI * np.sum(np.isfinite(conc), axis=1) - jacobian)

    def effects(self, normals: F8) -> RandomEffects:
        """Random effects from standard normals."""
        return RandomEffects.from_normals(self.program, normals, self.n_doses)


def _stacked(*parts: F8 | float) -> F8:
    rows = np.broadcast_arrays(*(np.array(part, dtype=np.float64, ndmin=2) for part in parts))
    return np.ascontiguousarray(np.stack(rows, axis=1))


# ------------------------------------------------------------------ the most likely effects


@dataclass(frozen=True, eq=False)
class MapEstimate:
    """Most likely random effects of n patients, and how sure they are; see `map_estimates`."""

    problem: Problem
    normals: F8
    """(n, d) Standard normals of eta, then of kappa by occasion, at the mode."""
    covariance_of_normals: F8
    """(n, d, d) By Laplace, from the exact second derivatives at the mode."""
    objective: F8
    """(n,) -2 log posterior without constants, see `fludapk.kernels.map_estimates`."""
    predicted_mg_l: F8
    """(n, m) At the mode; NaN where there is no level."""
    evaluations: npt.NDArray[np.int64]
    """(n,) How often the objective and its gradient were computed."""
    status: npt.NDArray[np.int8]
    """(n,) `OK`, `BAD_PARAMETER`, `BAD_LEVEL` or `NOT_CONVERGED` of `fludapk.kernels`."""

    @cached_property
    def effects(self) -> RandomEffects:
        """Eta and kappa at the mode; kappa of occasions not yet known is zero."""
        return self.problem.effects(self.normals)

    @cached_property
    def covariance(self) -> F8:
        """(n, d, d) Of eta, then kappa by occasion; the prior's for occasions not yet known."""
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
        """(n,) Of the levels (density per mg/L), by Laplace: what `model_weights` compares."""
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
    """Most likely eta and kappa of many patients; a patient who fails has a status and NaN.

    Parameters
    ----------
    program : Program
    tv : (n or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3; L/h and L.
    times_h, infusion_h, amounts_mg : (doses,) or (n or 1, doses)
        Doses in mg F-ara-A, ordered, not overlapping. A shorter course is filled up with later
        doses of 0 mg.
    levels : Levels

    Notes
    -----
    A subject's numbers do not depend on the others. The kernel releases the interpreter lock:
    blocks of subjects may run in threads.

    Examples
    --------
    >>> from fludapk.model import load_model
    >>> model = load_model()
    >>> levels = Levels(times_h=[2.0, 8.0], conc_mg_l=[[0.6, 0.2], [0.3, 0.1]])
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([17.5, 17.5])
    >>> map_estimates(model.program, tv, *doses, levels).effects.eta.round(2)
    array([[-0.48,  0.4 ],
           [ 0.04,  0.87]])
    """
    problem = Problem(program, tv, times_h, infusion_h, amounts_mg, levels)
    x, objective, covariance, predicted, evaluations, status = kernels.map_estimates(
        *problem.arguments, _starts(program.n_eta)
    )
    return MapEstimate(problem, x, covariance, objective, predicted, evaluations, status)


def _starts(n_eta: int) -> F8:
    """Points from which to search, zero first."""
    spread = START_SPREAD * courses.standard_normal_points(STARTS, n_eta)
    return np.vstack([np.zeros((1, n_eta)), spread])


def map_estimate(
    program: Program,
    tv: F8,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    levels: Levels,
) -> MapEstimate:
    """Most likely eta and kappa of one patient.

    Parameters
    ----------
    program, tv, times_h, infusion_h, amounts_mg, levels
        As in `map_estimates`, of one row.

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
    if status == kernels.BAD_PARAMETER:
        raise InputError("clearances and volumes must be finite and above zero")
    if status == kernels.BAD_LEVEL:
        raise InputError(*_levels_without_drug(estimate.problem))
    if status == kernels.NOT_CONVERGED:
        raise ConvergenceError(
            f"no most likely patient was found from {2**STARTS + 1} starting points: "
            "check times, units and doses"
        )
    return estimate


def _levels_without_drug(problem: Problem) -> list[str]:
    levels, first = problem.levels, float(np.min(problem.times_h))
    early = (levels.times_h[0] <= first) & ~np.isnan(levels.conc_mg_l[0])
    return [
        f"level at {t:g} h: {conc:g} mg/L, but the first dose starts at {first:g} h: check the time"
        for t, conc in zip(levels.times_h[0, early], levels.conc_mg_l[0, early], strict=True)
    ] or ["a level has no likelihood, even in the typical patient: check times, units and doses"]


# ------------------------------------------------------------------ the posterior


@dataclass(frozen=True, eq=False)
class Posterior:
    """A sample of one patient's effects, given the levels."""

    effects: RandomEffects
    """n draws; kappa of occasions not yet known come from the prior."""
    log_marginal_likelihood: float
    """Of the levels (density per mg/L), by importance sampling."""
    log_marginal_likelihood_se: float
    effective_size: float
    """Of the importance sample."""
    method: Literal["importance", "metropolis"]
    """"metropolis" if the effective size was below n."""
    acceptance: float
    """Of Metropolis steps; NaN without them."""


def posterior(estimate: MapEstimate, *, n: int, seed: int) -> Posterior:
    """Sample the posterior of one patient.

    Importance resampling: 4 n proposals, most of them from multivariate t around each minimum of
    the objective, with its Laplace covariance, a tenth from the prior; n of them drawn by weight.
    If the effective size of the 4 n is below n, each draw then makes `MOVES` Metropolis steps.

    Parameters
    ----------
    estimate : MapEstimate
        Of one patient, converged.
    n : int
        At least 2.
    seed : int

    References
    ----------
    ter Braak 2006, Stat Comput 16:239, doi 10.1007/s11222-006-8769-1 (the Metropolis steps).

    Examples
    --------
    >>> from fludapk.model import load_model
    >>> model = load_model()
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([17.5, 17.5])
    >>> levels = Levels(times_h=[2.0, 8.0], conc_mg_l=[0.6, 0.2])
    >>> patient = map_estimate(model.program, tv, *doses, levels)
    >>> sample = posterior(patient, n=1000, seed=1)
    >>> sample.effects.kappa.shape, sample.method
    ((1000, 2, 2), 'importance')
    """
    problem = estimate.problem
    if len(estimate.status) != 1 or estimate.status[0] != kernels.OK:
        raise ValueError("needs the estimate of one patient that converged")
    if n < 2:
        raise ValueError(f"n = {n}: at least 2")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    program = problem.program
    d = program.n_eta + int(problem.known_occasions[0]) * program.n_kappa
    modes = _modes(problem, d)
    total = PROPOSALS * n
    x = rng.standard_normal((total, d))
    stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, total))
    component = rng.choice(len(modes) + 1, total, p=[*(m.share for m in modes), FROM_PRIOR])
    for k, mode in enumerate(modes):
        mine = component == k
        x[mine] = mode.x + (x[mine] @ mode.root.T) * stretch[mine, None]
    log_target = _log_target(problem, x)
    log_weight = log_target - _log_proposal(x, modes)
    highest = log_weight.max()
    weight = np.exp(log_weight - highest)
    effective = float(weight.sum() ** 2 / np.sum(weight**2))

    steps = (np.arange(n) + rng.random()) / n
    chosen = np.searchsorted(np.cumsum(weight) / weight.sum(), steps).clip(max=total - 1)
    x, log_target = x[chosen], log_target[chosen]
    acceptance = np.nan
    if effective < n:
        x, acceptance = _moved(problem, x, log_target, modes[0], rng)
    normals = rng.standard_normal((n, estimate.normals.shape[1]))
    normals[:, :d] = x
    return Posterior(
        effects=problem.effects(normals),
        log_marginal_likelihood=float(highest + np.log(weight.mean())),
        log_marginal_likelihood_se=math.sqrt(max(0.0, 1.0 / effective - 1.0 / total)),
        effective_size=effective,
        method="metropolis" if effective < n else "importance",
        acceptance=acceptance,
    )


class _Mode(NamedTuple):
    """A minimum of the objective, as part of the proposal."""

    x: F8
    root: F8
    """Cholesky factor of its Laplace covariance."""
    share: float


def _modes(problem: Problem, d: int) -> list[_Mode]:
    """Every minimum that a start leads to, the lowest first; half of the shares by Laplace mass."""
    found: list[tuple[float, F8, F8]] = []
    for start in _starts(problem.program.n_eta):
        x, objective, covariance, _, _, status = kernels.map_estimates(
            *problem.arguments, start[np.newaxis]
        )
        mode = x[0, :d]
        if status[0] == kernels.OK and all(np.abs(mode - m).max() > 1e-3 for _, m, _ in found):
            found.append((float(objective[0]), mode, covariance[0, :d, :d]))
    found.sort(key=lambda minimum: minimum[0])
    roots = [np.asarray(np.linalg.cholesky(covariance), np.float64) for *_, covariance in found]
    log_mass = [
        np.log(np.diag(root)).sum() - objective / 2
        for root, (objective, *_) in zip(roots, found, strict=True)
    ]
    share = (1 - FROM_PRIOR) * (model_weights(log_mass) + 1 / len(found)) / 2
    return [
        _Mode(x, root, float(p)) for (_, x, _), root, p in zip(found, roots, share, strict=True)
    ]


def _log_target(problem: Problem, x: F8) -> F8:
    """Log of likelihood times prior density of standard normals."""
    objective = kernels.log_posterior(*problem.arguments, np.ascontiguousarray(x), np.empty((0, 0)))
    return np.asarray(problem.log_constants[0] - 0.5 * (objective + x.shape[1] * _LOG_2PI))


def _log_proposal(x: F8, modes: Sequence[_Mode]) -> F8:
    """Log density of the mixture of t and prior."""
    d = x.shape[1]
    log_q = math.log(FROM_PRIOR) - 0.5 * (np.sum(x**2, axis=1) + d * _LOG_2PI)
    constant = math.lgamma((FREEDOM + d) / 2) - math.lgamma(FREEDOM / 2)
    constant -= d / 2 * math.log(FREEDOM * math.pi)
    for mode in modes:
        scaled = np.linalg.solve(mode.root, (x - mode.x).T)
        log_t = constant - np.log(np.diag(mode.root)).sum()
        log_t = log_t - (FREEDOM + d) / 2 * np.log1p(np.sum(scaled**2, axis=0) / FREEDOM)
        log_q = np.logaddexp(log_q, math.log(mode.share) + log_t)
    return np.asarray(log_q)


def _moved(
    problem: Problem, x: F8, log_target: F8, lowest: _Mode, rng: np.random.Generator
) -> tuple[F8, float]:
    """Every draw after `MOVES` Metropolis steps, and the fraction that was accepted.

    A step is the scaled difference of two draws of the other half of the sample, which fits the
    shape of the posterior and can lead from one minimum to another, plus a little noise.
    """
    n, d = x.shape
    halves = [slice(0, n // 2), slice(n // 2, n)]
    accepted = 0
    for move in range(MOVES):
        length = (2.38 / math.sqrt(2 * d), 1.0, 0.3)[move % 3]
        for mine, other in (halves, halves[::-1]):
            here, there = x[mine], x[other]
            a, b = rng.integers(len(there), size=(2, len(here)))
            noise = 0.1 * rng.standard_normal(here.shape) @ lowest.root.T
            trial = here + length * (there[a] - there[b]) + noise
            log_trial = _log_target(problem, trial)
            better = np.log(rng.random(len(here))) < log_trial - log_target[mine]
            x[mine] = np.where(better[:, None], trial, here)
            log_target[mine] = np.where(better, log_trial, log_target[mine])
            accepted += int(better.sum())
    return x, accepted / (MOVES * n)


def model_weights(log_marginal_likelihoods: Sequence[float], prior: Sequence[float] = ()) -> F8:
    """Posterior probabilities of models of the same levels.

    Parameters
    ----------
    log_marginal_likelihoods : sequence of float
        Of each model, by Laplace or by importance sampling.
    prior : sequence of float, optional
        Prior weights; equal if absent.

    Examples
    --------
    >>> model_weights([-3.0, -3.0 - np.log(4.0)])
    array([0.8, 0.2])
    """
    log_weight = np.array(log_marginal_likelihoods, dtype=np.float64)
    if len(prior):
        log_weight = log_weight + np.log(np.asarray(prior, dtype=np.float64))
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


# ------------------------------------------------------------------ surprises


@dataclass(frozen=True, eq=False)
class Surprise:
    """How unusual one patient's levels and effects are, in SDs.

    A level below its limit of quantification counts as at the limit if the prediction is above it,
    and as 0 otherwise.
    """

    levels: Levels
    typical: F8
    """(m,) (level - prediction)/residual SD in the typical patient."""
    fitted: F8
    """(m,) The same at the most likely effects."""
    expected: F8
    """(m,) Normal score of the level among such levels of such patients, by the prior."""
    eta: F8
    """(n_eta,) Most likely eta over its SD."""
    kappa: F8
    """(doses, n_kappa) The same of kappa."""

    def messages(self, names: Sequence[str] = ()) -> list[str]:
        """A sentence for each level and effect beyond `SURPRISING` SDs.

        Parameters
        ----------
        names : sequence of str, optional
            Of the etas; "eta 1", "eta 2" if absent.
        """
        said = []
        for t, (time, conc) in enumerate(
            zip(self.levels.times_h[0], self.levels.conc_mg_l[0], strict=True)
        ):
            value = "below the limit" if np.isnan(conc) else f"{conc:.3g} mg/L"
            level = f"level {t + 1} ({time:g} h, {value})"
            if abs(self.fitted[t]) > SURPRISING:
                said.append(
                    f"{level} does not fit the other levels and the model: {self.fitted[t]:+.1f} "
                    "residual SD; check time, dose, unit and sampling site"
                )
            elif abs(self.expected[t]) > SURPRISING:
                said.append(
                    f"{level} is unusual for such a patient: normal score {self.expected[t]:+.1f}"
                )
        for j, value in enumerate(self.eta):
            if abs(value) > SURPRISING:
                name = names[j] if len(names) else f"eta {j + 1}"
                said.append(f"{name} is {value:+.1f} SD from the typical patient")
        for k, j in np.argwhere(np.abs(self.kappa) > SURPRISING):
            said.append(f"kappa {j + 1} of dose {k + 1} is {self.kappa[k, j]:+.1f} SD from usual")
        return said


def surprise(estimate: MapEstimate) -> Surprise:
    """How unusual the levels and the most likely effects of one patient are.

    Examples
    --------
    >>> from fludapk.model import load_model
    >>> model = load_model()
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0]), np.array([0.5]), np.array([17.5])
    >>> levels = Levels(times_h=[2.0, 8.0, 23.0], conc_mg_l=[0.9, 0.1, 0.6])
    >>> patient = map_estimate(model.program, tv, *doses, levels)
    >>> surprise(patient).fitted.round(1)
    array([ -0.5, -13.8,   4. ])
    """
    problem = estimate.problem
    program, levels, n_doses = problem.program, problem.levels, problem.n_doses
    if len(estimate.status) != 1:
        raise ValueError("needs the estimate of one patient")

    def predicted(effects: RandomEffects) -> F8:
        tv, _, _, doses, _, _ = problem.arguments
        start, duration, amount = doses[0]
        conc, _ = courses.concentrations(
            program, tv, effects, start, duration, amount[np.newaxis], levels.times_h[0]
        )
        return conc

    points = courses.standard_normal_points(12, estimate.normals.shape[1])
    scores = _standardised(problem, predicted(problem.effects(points)))
    probability = np.mean(0.5 * _erfc(-scores / math.sqrt(2.0)), axis=0)
    expected = courses.normal_scores(np.clip(probability, 1e-300, 1.0 - 1e-16))
    below = levels.is_below[0]

    def residuals(conc: F8) -> F8:
        r = _standardised(problem, conc)[0]
        return np.asarray(np.where(below, np.minimum(r, 0.0), r))

    def sd(root: F8) -> F8:
        return np.asarray(np.sqrt(np.sum(root**2, axis=1)))

    return Surprise(
        levels=levels,
        typical=residuals(predicted(RandomEffects.none(program, n_doses))),
        fitted=residuals(estimate.predicted_mg_l),
        expected=np.where(below, np.minimum(expected, 0.0), expected),
        eta=estimate.effects.eta[0] / sd(program.root_omega),
        kappa=estimate.effects.kappa[0] / sd(program.root_omega_iov),
    )


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _standardised(problem: Problem, predicted: F8) -> F8:
    """(level or limit - prediction) / SD; 0 before any drug, where that SD is zero."""
    levels, (proportional, additive, log_sd) = problem.levels, problem.program.error
    measured = np.where(np.isnan(levels.conc_mg_l), levels.lloq_mg_l, levels.conc_mg_l)
    if log_sd > 0.0:
        sd = np.full_like(predicted, log_sd)
        residual = np.log(measured / np.where(predicted > 0.0, predicted, measured))
    else:
        sd, residual = np.hypot(proportional * predicted, additive), measured - predicted
    return np.asarray(np.divide(residual, sd, out=np.zeros_like(sd), where=sd > 0.0))
