"""The posterior of random effects given levels, as draws; weights of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import LOG_2PI, MapEstimate, Problem, starting_points
from fludapk.pk.kernels import estimates as kernels
from fludapk.pk.kernels.arithmetic import OK

PROPOSALS: Final = 4
"""Number of proposals per draw."""
FREEDOM: Final = 7.0
"""Degrees of freedom of the multivariate t around each minimum."""
FROM_PRIOR: Final = 0.1
"""Share of proposals from the prior, which cover regions far from every minimum."""
MOVES: Final = 150
"""Number of Metropolis steps of every draw where importance weights are too uneven."""


# ------------------------------------------------------------------ the posterior


@dataclass(frozen=True, eq=False)
class Posterior:
    """Sample of one patient's effects, given the levels."""

    effects: RandomEffects
    """n draws; kappa of occasions not yet known comes from the prior."""
    log_marginal_likelihood: float
    """Log marginal likelihood of the levels (density per mg/L), by importance sampling."""
    log_marginal_likelihood_se: float
    effective_size: float
    """Effective size of the importance sample."""
    method: Literal["importance", "metropolis"]
    """"metropolis" if the effective size was below n."""
    acceptance: float
    """Accepted fraction of the Metropolis steps; NaN without them."""


def sample_posterior(estimate: MapEstimate, *, n: int, seed: int) -> Posterior:
    """Sample the posterior of one patient.

    Importance resampling: n draws by weight from 4 n proposals, a tenth of them from the prior and
    the others from a multivariate t around each minimum of the objective, with its Laplace
    covariance. If the effective size of the 4 n is below n, each draw then makes `MOVES` Metropolis
    steps.

    Parameters
    ----------
    estimate : MapEstimate
        Estimate of one patient, converged.
    n : int
        Number of draws, at least 2.
    seed : int

    References
    ----------
    ter Braak 2006, Stat Comput 16:239, doi 10.1007/s11222-006-8769-1 (the Metropolis steps).

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> from fludapk.pk.estimates import Levels, map_estimate
    >>> model = load_model()
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([17.5, 17.5])
    >>> levels = Levels(times_h=[2.0, 8.0], conc_mg_l=[0.6, 0.2])
    >>> patient = map_estimate(model.program, tv, *doses, levels)
    >>> sample = sample_posterior(patient, n=1000, seed=1)
    >>> sample.effects.kappa.shape, sample.method
    ((1000, 2, 2), 'importance')
    """
    problem = estimate.problem
    if len(estimate.status) != 1 or estimate.status[0] != OK:
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
        is_from_mode = component == k
        x[is_from_mode] = mode.x + (x[is_from_mode] @ mode.root.T) * stretch[is_from_mode, None]
    log_target = _log_target(problem, x)
    log_weight = log_target - _log_proposal(x, modes)
    highest = np.max(log_weight)
    weight = np.exp(log_weight - highest)
    effective = float(weight.sum() ** 2 / np.sum(weight**2))

    steps = (np.arange(n) + rng.random()) / n
    chosen = np.searchsorted(np.cumsum(weight) / weight.sum(), steps).clip(max=total - 1)
    x, log_target = x[chosen], log_target[chosen]
    acceptance = np.nan
    if effective < n:
        x, acceptance = _metropolis(problem, x, log_target, modes[0], rng)
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
    """A minimum of the objective, as a component of the proposals."""

    x: F8
    root: F8
    """Cholesky factor of the Laplace covariance."""
    share: float
    """Share of the proposals."""


def _modes(problem: Problem, d: int) -> list[_Mode]:
    """Find every minimum that a start leads to, the lowest first.

    The shares are means of equal shares and shares by Laplace mass.
    """
    minima: list[tuple[float, F8, F8]] = []
    for start in starting_points(problem.program.n_eta):
        x, objective, covariance, _, _, status = kernels.map_estimates(
            *problem.arguments, start[np.newaxis]
        )
        mode = x[0, :d]
        if status[0] == OK and all(np.abs(mode - m).max() > 1e-3 for _, m, _ in minima):
            minima.append((float(objective[0]), mode, covariance[0, :d, :d]))
    minima.sort(key=lambda minimum: minimum[0])
    roots = [np.asarray(np.linalg.cholesky(covariance), np.float64) for *_, covariance in minima]
    log_mass = [
        np.log(np.diag(root)).sum() - objective / 2
        for root, (objective, *_) in zip(roots, minima, strict=True)
    ]
    share = (1 - FROM_PRIOR) * (model_weights(log_mass) + 1 / len(minima)) / 2
    return [
        _Mode(x, root, float(p)) for (_, x, _), root, p in zip(minima, roots, share, strict=True)
    ]


def _log_target(problem: Problem, x: F8) -> F8:
    """Return the log of likelihood times prior density of standard normals."""
    objective = kernels.log_posterior(*problem.arguments, np.ascontiguousarray(x), np.empty((0, 0)))
    return np.asarray(problem.log_constants[0] - 0.5 * (objective + x.shape[1] * LOG_2PI))


def _log_proposal(x: F8, modes: Sequence[_Mode]) -> F8:
    """Return the log density of the mixture of t distributions and prior."""
    d = x.shape[1]
    log_q = math.log(FROM_PRIOR) - 0.5 * (np.sum(x**2, axis=1) + d * LOG_2PI)
    constant = math.lgamma((FREEDOM + d) / 2) - math.lgamma(FREEDOM / 2)
    constant -= d / 2 * math.log(FREEDOM * math.pi)
    for mode in modes:
        scaled = np.linalg.solve(mode.root, (x - mode.x).T)
        log_t = constant - np.log(np.diag(mode.root)).sum()
        log_t = log_t - (FREEDOM + d) / 2 * np.log1p(np.sum(scaled**2, axis=0) / FREEDOM)
        log_q = np.logaddexp(log_q, math.log(mode.share) + log_t)
    return np.asarray(log_q)


def _metropolis(
    problem: Problem, x: F8, log_target: F8, lowest: _Mode, rng: np.random.Generator
) -> tuple[F8, float]:
    """Move every draw by `MOVES` Metropolis steps; return the draws and the accepted fraction.

    A step is the scaled difference of two draws of the other half of the sample, which fits the
    shape of the posterior and can lead from one minimum to another, plus a little noise.
    """
    n, d = x.shape
    halves = [slice(0, n // 2), slice(n // 2, n)]
    accepted = 0
    for move in range(MOVES):
        length = (2.38 / math.sqrt(2 * d), 1.0, 0.3)[move % 3]
        for moving, fixed in (halves, halves[::-1]):
            current, others = x[moving], x[fixed]
            a, b = rng.integers(len(others), size=(2, len(current)))
            noise = 0.1 * rng.standard_normal(current.shape) @ lowest.root.T
            trial = current + length * (others[a] - others[b]) + noise
            log_trial = _log_target(problem, trial)
            is_accepted = np.log(rng.random(len(current))) < log_trial - log_target[moving]
            x[moving] = np.where(is_accepted[:, None], trial, current)
            log_target[moving] = np.where(is_accepted, log_trial, log_target[moving])
            accepted += int(is_accepted.sum())
    return x, accepted / (MOVES * n)


def model_weights(log_marginal_likelihoods: Sequence[float], prior: Sequence[float] = ()) -> F8:
    """Compute the posterior probabilities of models, given the same levels.

    Parameters
    ----------
    log_marginal_likelihoods : sequence of float
        Log marginal likelihood of each model, by Laplace or by importance sampling.
    prior : sequence of float, optional
        Prior weights; equal if absent.

    Returns
    -------
    (models,) array

    Examples
    --------
    >>> model_weights([-3.0, -3.0 - np.log(4.0)])
    array([0.8, 0.2])
    """
    log_weight = np.array(log_marginal_likelihoods, dtype=np.float64)
    if len(prior):
        log_weight = log_weight + np.log(np.asarray(prior, dtype=np.float64))
    weight = np.exp(log_weight - np.max(log_weight))
    return np.asarray(weight / weight.sum())
