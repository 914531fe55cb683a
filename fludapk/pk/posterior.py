"""The posterior of random effects given levels, as weighted points; weights of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from fludapk.arrays import F8, I8
from fludapk.pk.effects import RandomEffects, normal_scores, shifted_normals
from fludapk.pk.estimates import LOG_2PI, MapEstimate, Problem, starting_points
from fludapk.pk.kernels.arithmetic import OK

REPLICATES: Final = 16
"""Replicates that are drawn at a time, each from its own random shift of the Sobol points."""
LOG2_POINTS: Final = 11
"""log2 of the points of a replicate."""
ENOUGH: Final = 25_000.0
"""Effective size up to which replicates are added: probabilities are then within 0.002 (tested)."""
MOST_REPLICATES: Final = 128
TOO_UNEVEN: Final = 1_000.0
"""Effective size of the first replicates below which Metropolis steps take over."""
FREEDOM: Final = 7.0
"""Degrees of freedom of each multivariate t."""
FROM_PRIOR: Final = 0.1
"""Share of proposals from the prior, which reach what is far from every minimum."""
PER_DIMENSION: Final = 10.0
"""Effective size of a pilot, for each dimension, from which its covariance is used."""
CHAINS: Final = 256
"""Metropolis chains of a replicate."""
MOVES: Final = 150
"""Steps of every chain."""


# ------------------------------------------------------------------ the posterior


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weighted points that stand for one patient's effects, given the levels."""

    effects: RandomEffects
    """n points; kappa of occasions not yet known come from the prior."""
    weights: F8
    """(n,) Of the points; their sum is 1."""
    replicates: int
    """Independent blocks of equal length that the points come in."""
    log_marginal_likelihood: float
    """Log marginal likelihood of the levels (density per mg/L), by importance sampling."""
    log_marginal_likelihood_se: float
    effective_size: float
    """Number of independent draws that would be as good, at least."""
    method: Literal["importance", "metropolis"]
    """"metropolis" if importance weights were too uneven."""
    acceptance: float
    """Accepted fraction of the Metropolis steps; NaN without them."""

    def probability_se(self, values: F8) -> float:
        """Standard error of probabilities of a quantity: the largest of its tenths.

        It is the spread between replicates, which differ by nothing but their random numbers.

        Parameters
        ----------
        values : (n,)
            The quantity at each point.

        Examples
        --------
        >>> nothing = RandomEffects(np.empty((800, 0)), np.empty((800, 0, 0)))
        >>> even = Posterior(nothing, np.full(800, 1 / 800), 8, 0.0, 0.0, 800.0, "importance", 0.5)
        >>> round(even.probability_se(np.random.default_rng(1).random(800)), 2)
        0.02
        """
        order = np.argsort(values)
        reached = np.cumsum(self.weights[order])
        places = np.searchsorted(reached, np.arange(1, 10) / 10).clip(max=len(order) - 1)
        tenths = values[order[places]]
        below = values[:, np.newaxis] <= tenths
        surplus = self.weights[:, np.newaxis] * (below - self.weights @ below)
        by_replicate = surplus.reshape(self.replicates, -1, len(tenths)).sum(axis=1)
        n = self.replicates
        return float(np.sqrt(np.max(np.sum(by_replicate**2, axis=0)) * n / (n - 1)))

    def draws(self, n: int) -> RandomEffects:
        """Return n equally likely draws, by systematic resampling."""
        chosen = _resampled(self.weights, n)
        return RandomEffects(self.effects.eta[chosen], self.effects.kappa[chosen])


def sample_posterior(
    estimate: MapEstimate, *, seed: int, log2_points: int = LOG2_POINTS, enough: float = ENOUGH
) -> Posterior:
    """Sample the posterior of one patient.

    Importance sampling. Proposals are multivariate t around each minimum of the objective, with its
    Laplace covariance; one more t with mean and covariance of a pilot sample; and a tenth from the
    prior. They are made of Sobol points, shifted at random for each replicate, and all are kept
    with their weights. Replicates are added until the effective size is enough. Where the first
    ones show that it never will be, every replicate makes Metropolis steps instead.

    Parameters
    ----------
    estimate : MapEstimate
        Estimate of one patient, converged.
    seed : int
    log2_points : int
        log2 of the points of a replicate.
    enough : float
        Effective size from which no more replicates are added.

    References
    ----------
    Cornuet 2012, Scand J Stat 39:798, doi 10.1111/j.1467-9469.2011.00756.x (the pilot); ter Braak
    2006, Stat Comput 16:239, doi 10.1007/s11222-006-8769-1 (the Metropolis steps).

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> from fludapk.pk.estimates import Levels, map_estimate
    >>> model = load_model()
    >>> tv = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> doses = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([17.5, 17.5])
    >>> levels = Levels(times_h=[2.0, 8.0], conc_mg_l=[0.6, 0.2])
    >>> patient = map_estimate(model.program, tv, *doses, levels)
    >>> sample = sample_posterior(patient, seed=1)
    >>> sample.effects.kappa.shape, sample.method, sample.effective_size > ENOUGH
    ((32768, 2, 2), 'importance', True)
    """
    problem = estimate.problem
    if len(estimate.status) != 1 or estimate.status[0] != OK:
        raise ValueError("needs the estimate of one patient that converged")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    program = problem.program
    known = program.n_eta + int(problem.known_occasions[0]) * program.n_kappa
    modes = _modes(problem, known)
    space = _Space(problem, known, estimate.normals.shape[1])
    proposal = _adapted(modes, _replicate(space, modes, log2_points + 1, rng), known)
    replicates: list[_Replicate] = []
    while len(replicates) < MOST_REPLICATES:
        replicates += [_replicate(space, proposal, log2_points, rng) for _ in range(REPLICATES)]
        weights, log_mean = _weights(replicates)
        effective = 1.0 / float(np.sum(weights**2))
        if effective >= enough or effective < TOO_UNEVEN:
            break
    normals = np.concatenate([replicate.normals for replicate in replicates])
    of_replicate = weights.reshape(len(replicates), -1).sum(axis=1) * len(replicates)
    log_se = float(np.std(of_replicate, ddof=1)) / math.sqrt(len(replicates))
    method: Literal["importance", "metropolis"] = "importance"
    acceptance = math.nan
    if effective < enough and effective < TOO_UNEVEN:
        method = "metropolis"
        replicates = replicates[:REPLICATES]
        normals, acceptance = _chains(space, replicates, modes[0], rng)
        weights = np.full(len(normals), 1.0 / len(normals))
        effective = _effective_size(normals[:, :known], len(replicates))
    return Posterior(
        effects=problem.effects(normals),
        weights=weights,
        replicates=len(replicates),
        log_marginal_likelihood=log_mean,
        log_marginal_likelihood_se=log_se,
        effective_size=effective,
        method=method,
        acceptance=acceptance,
    )


# ------------------------------------------------------------------ importance sampling


class _Mode(NamedTuple):
    """A multivariate t of the proposal: of a minimum of the objective, or of the pilot."""

    x: F8
    root: F8
    """Cholesky factor of its covariance."""
    share: float
    """Share of the proposals."""


class _Space(NamedTuple):
    """Standard normals of one patient, of which the levels tell something of the first ones."""

    problem: Problem
    known: int
    all: int


class _Replicate(NamedTuple):
    """Proposals from one random shift of the Sobol points."""

    normals: F8
    log_target: F8
    log_weight: F8


def _replicate(
    space: _Space, proposal: Sequence[_Mode], log2_points: int, rng: np.random.Generator
) -> _Replicate:
    """Propose from the mixture of t and prior."""
    z = shifted_normals(log2_points, 1 + space.all, rng)
    chooser, normals = z[:, 0], z[:, 1:]
    component = np.searchsorted(normal_scores(np.cumsum([m.share for m in proposal])), chooser)
    stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, len(z)))
    x = normals[:, : space.known]
    for k, mode in enumerate(proposal):
        mine = component == k
        x[mine] = mode.x + (x[mine] @ mode.root.T) * stretch[mine, np.newaxis]
    log_target = _log_target(space.problem, x)
    return _Replicate(normals, log_target, log_target - _log_proposal(x, proposal))


def _weights(replicates: Sequence[_Replicate]) -> tuple[F8, float]:
    """Weights of all points, with a sum of 1, and the log of their mean before."""
    log_weight = np.concatenate([replicate.log_weight for replicate in replicates])
    highest = np.max(log_weight)
    weight = np.exp(log_weight - highest)
    return weight / weight.sum(), float(highest + np.log(weight.mean()))


def _adapted(modes: Sequence[_Mode], pilot: _Replicate, known: int) -> list[_Mode]:
    """The proposal with one more component, of mean and covariance of a pilot sample."""
    weights, _ = _weights([pilot])
    if 1.0 / np.sum(weights**2) < PER_DIMENSION * known:
        return list(modes)
    x = pilot.normals[:, :known]
    mean = weights @ x
    root = np.linalg.cholesky((x - mean).T @ (weights[:, np.newaxis] * (x - mean)))
    rest = [mode._replace(share=mode.share / 3) for mode in modes]
    return [_Mode(mean, np.asarray(root), (1 - FROM_PRIOR) * 2 / 3), *rest]


def _resampled(weights: F8, n: int) -> I8:
    """Places of n points, each about as often as its weight says."""
    steps = (np.arange(n) + 0.5) / n
    places = np.searchsorted(np.cumsum(weights) / weights.sum(), steps)
    return np.asarray(places.clip(max=len(weights) - 1))


def _modes(problem: Problem, d: int) -> list[_Mode]:
    """Find every minimum that a start leads to, the lowest first.

    The shares are means of equal shares and shares by Laplace mass.
    """
    minima: list[tuple[float, F8, F8]] = []
    for start in starting_points(problem.program.n_eta):
        x, objective, covariance, _, _, status = problem.search(start[np.newaxis])
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
    objective = problem.log_posterior(x)
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


# ------------------------------------------------------------------ Metropolis steps


def _chains(
    space: _Space, replicates: Sequence[_Replicate], lowest: _Mode, rng: np.random.Generator
) -> tuple[F8, float]:
    """Every replicate, resampled and after `MOVES` Metropolis steps, and the share accepted."""
    moved, accepted = [], 0.0
    for replicate in replicates:
        weights, _ = _weights([replicate])
        chosen = _resampled(weights, CHAINS)
        normals, log_target = replicate.normals[chosen], replicate.log_target[chosen]
        start = normals[:, : space.known].copy()
        normals[:, : space.known], share = _moved(space.problem, start, log_target, lowest, rng)
        normals[:, space.known :] = rng.standard_normal(normals[:, space.known :].shape)
        moved.append(normals)
        accepted += share / len(replicates)
    return np.concatenate(moved), accepted


def _effective_size(x: F8, replicates: int) -> float:
    """The fewest independent draws whose means would differ as much as those of replicates."""
    means = x.reshape(replicates, -1, x.shape[1]).mean(axis=1)
    between = np.var(means, axis=0, ddof=1) / replicates
    return float(min(len(x), np.min(np.var(x, axis=0) / between)))


def _moved(
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
