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
from fludapk.pk.exposure import course_concentrations

SURPRISING: Final = 3.0
"""Number of SDs beyond which a level or an effect is reported."""


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
        tv, _, _, doses, _, _ = problem.arguments
        start, duration, amount = doses[0]
        conc, _ = course_concentrations(
            program, tv, effects, start, duration, amount[np.newaxis], levels.times_h[0]
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
    """Return (level or limit - prediction) / SD; 0 before any drug, where that SD is zero."""
    levels, (proportional, additive, log_sd) = problem.levels, problem.program.error
    measured = np.where(np.isnan(levels.conc_mg_l), levels.lloq_mg_l, levels.conc_mg_l)
    if log_sd > 0.0:
        sd = np.full_like(predicted, log_sd)
        residual = np.log(measured / np.where(predicted > 0.0, predicted, measured))
    else:
        sd, residual = np.hypot(proportional * predicted, additive), measured - predicted
    return np.asarray(np.divide(residual, sd, out=np.zeros_like(sd), where=sd > 0.0))
