"""Levels and effects that a model does not expect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.effects import RandomEffects, normal_scores, standard_normal_points
from fludapk.pk.estimates import Levels, MapEstimate, Problem
from fludapk.pk.exposure import course_concentrations, residual_sd

SURPRISING: Final = 3.0
"""Number of SDs beyond which a level or an effect is reported."""
MISFIT_EFFECT: Final = 5.0
"""Number of SDs of a most likely effect beyond which levels do not fit a model."""
MISFIT_LEVEL: Final = 6.0
"""Number of residual SDs of a fitted level beyond which levels do not fit."""
MISFIT_PROBABILITY: Final = 1e-6
"""Probability of levels so far from the prior prediction, below which they do not fit.

Of 108 000 simulated patients of the shipped models, with 1 to 7 levels after one or two doses, one
was beyond any of these three limits. For one level it means 4.9 SD: patients of a ward who differ
by half as much again as those of the study behind the model still have 3.2 of their own SD.
"""


# ------------------------------------------------------------------ surprises


@dataclass(frozen=True, eq=False)
class Surprise:
    """Deviations of one patient's levels and effects from the expected, in SDs.

    A level below its limit of quantification counts as at the limit if the prediction is above it,
    and as 0 otherwise.
    """

    levels: Levels
    typical: F8
    """(m,) (level - prediction)/residual SD in the typical patient."""
    fitted: F8
    """(m,) (level - prediction)/residual SD at the most likely effects."""
    expected: F8
    """(m,) Normal score of the level in its prior predictive distribution."""
    eta: F8
    """(n_eta,) Most likely eta over its SD."""
    kappa: F8
    """(doses, n_kappa) Most likely kappa over its SD."""
    distance: float
    """Sum of the squares of residuals and standard normals at the most likely effects.

    In a linear model it is the squared distance of the levels from their prior prediction, chi
    square with as many degrees of freedom as there are levels.
    """

    @property
    def fits(self) -> bool:
        """Tell if the levels fit each other and the model.

        Many small deviations together are no misfit: residual errors are larger in some wards
        than in the study behind the model. One must be surprising by itself.
        """
        effects = max(np.abs(self.eta).max(initial=0.0), np.abs(self.kappa).max(initial=0.0))
        residual = np.abs(self.fitted).max(initial=0.0)
        if effects > MISFIT_EFFECT or residual > MISFIT_LEVEL:
            return False
        largest = max(effects, residual, np.abs(self.expected).max(initial=0.0))
        tail = chi_square_tail(self.distance, len(self.fitted))
        return bool(largest <= SURPRISING or tail >= MISFIT_PROBABILITY)

    def messages(self, names: Sequence[str] = ()) -> list[str]:
        """Return a sentence for each level and effect beyond `SURPRISING` SDs.

        Parameters
        ----------
        names : sequence of str, optional
            Names of the etas; "eta 1", "eta 2" if absent.
        """
        messages = []
        for t, (time, conc) in enumerate(
            zip(self.levels.times_h[0], self.levels.conc_mg_l[0], strict=True)
        ):
            value = "below the limit" if np.isnan(conc) else f"{conc:.3g} mg/L"
            level = f"level {t + 1} ({time:g} h, {value})"
            if not abs(self.fitted[t]) <= SURPRISING:  # NaN is no fit either
                messages.append(
                    f"{level} does not fit the other levels and the model: {self.fitted[t]:+.1f} "
                    "residual SD; check time, dose, unit and sampling site"
                )
            elif not abs(self.expected[t]) <= SURPRISING:
                messages.append(
                    f"{level} is unusual for such a patient: normal score {self.expected[t]:+.1f}"
                )
        for j, value in enumerate(self.eta):
            if not abs(value) <= SURPRISING:
                name = names[j] if len(names) else f"eta {j + 1}"
                messages.append(f"{name} is {value:+.1f} SD from the typical patient")
        for k, j in np.argwhere(~(np.abs(self.kappa) <= SURPRISING)):
            sd = f"{self.kappa[k, j]:+.1f} SD"
            messages.append(f"kappa {j + 1} of dose {k + 1} is {sd} from usual")
        return messages


def surprise(estimate: MapEstimate) -> Surprise:
    """Measure how unusual the levels and the most likely effects of one patient are.

    Parameters
    ----------
    estimate : MapEstimate
        Estimate of one patient.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> from fludapk.pk.estimates import Levels, map_estimate
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
        _, _, _, doses, _, _ = problem.arguments
        start, duration, amount = doses[0]
        conc, _ = course_concentrations(
            program,
            problem.typical,
            effects,
            start,
            duration,
            amount[np.newaxis],
            levels.times_h[0],
        )
        return conc

    points = standard_normal_points(12, estimate.normals.shape[1])
    scores = _standardised(problem, predicted(problem.effects(points)))
    probability = np.mean(0.5 * _erfc(-scores / math.sqrt(2.0)), axis=0)
    expected = normal_scores(np.clip(probability, 1e-300, 1.0 - 1e-16))
    below = levels.is_below[0]

    def residuals(conc: F8) -> F8:
        r = _standardised(problem, conc)[0]
        return np.asarray(np.where(below, np.minimum(r, 0.0), r))

    def sd(root: F8) -> F8:
        return np.asarray(np.sqrt(np.sum(root**2, axis=1)))

    fitted = residuals(estimate.predicted_mg_l)
    return Surprise(
        levels=levels,
        typical=residuals(predicted(RandomEffects.none(program, n_doses))),
        fitted=fitted,
        expected=np.where(below, np.minimum(expected, 0.0), expected),
        eta=estimate.effects.eta[0] / sd(program.root_omega),
        kappa=estimate.effects.kappa[0] / sd(program.root_omega_iov),
        distance=float(np.sum(estimate.normals[0] ** 2) + np.sum(fitted**2)),
    )


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that a chi square is above x.

    Parameters
    ----------
    x : float
    degrees : int
        Degrees of freedom, from 1.

    Examples
    --------
    >>> round(chi_square_tail(3.841, 1), 3), round(chi_square_tail(18.307, 10), 3)
    (0.05, 0.05)
    """
    half = 0.5 * x
    if half <= 0.0:
        return 1.0
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    for n in range(2 + degrees % 2, degrees + 1, 2):
        tail += math.exp((0.5 * n - 1.0) * math.log(half) - half - math.lgamma(0.5 * n))
    return tail


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _standardised(problem: Problem, predicted: F8) -> F8:
    """Return (level or limit - prediction) / SD; 0 before any drug, where that SD is zero."""
    levels, log_sd = problem.levels, problem.program.error[2]
    measured = np.where(np.isnan(levels.conc_mg_l), levels.lloq_mg_l, levels.conc_mg_l)
    if log_sd > 0.0:
        sd = np.full_like(predicted, log_sd)
        residual = np.log(measured / np.where(predicted > 0.0, predicted, measured))
    else:
        sd, residual = residual_sd(problem.program, predicted), measured - predicted
    return np.asarray(np.divide(residual, sd, out=np.zeros_like(sd), where=sd > 0.0))
