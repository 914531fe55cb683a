"""The doses that are left of a course, given levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fludapk.answers.fit import Fit
from fludapk.answers.goal import Goal, candidate_doses, choose
from fludapk.answers.update_records import RemainingDose
from fludapk.arrays import F8
from fludapk.language import tr
from fludapk.patients.course import Preparation, most_mg
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.published.targets import prediction_interval


def remaining_dose(
    fits: Sequence[Fit], weights: F8, goal: Goal | None, probability_se: float
) -> RemainingDose | None:
    """Find the dose of the infusions that are left.

    Parameters
    ----------
    fits : sequence of Fit
        By each model.
    weights : (models,)
        Of these, with a sum of 1.
    goal : Goal, optional
    probability_se : float

    Returns
    -------
    RemainingDose or None
        None without a goal, or where nothing may be given.
    """
    fitted = fits[0]
    bsa_m2 = fitted.request.patient.bsa_m2
    if goal is None or not fitted.left or fitted.course.given_above_ceilings(bsa_m2):
        return None
    step = fitted.request.round_to_mg or 1.0
    return _remaining(fits, weights, goal, bsa_m2, step, probability_se)


def _remaining(
    fits: Sequence[Fit],
    weights: F8,
    goal: Goal,
    bsa_m2: float,
    step_mg: float,
    probability_se: float,
) -> RemainingDose:
    """Find the dose of the infusions that are left, for a goal on the whole course."""
    course, left = fits[0].course, fits[0].left
    doses = np.array(course.doses_mg)
    done = len(doses) - left
    is_left = np.arange(len(doses)) >= done
    most = most_mg(bsa_m2, course.times_h, course.doses_mg[:done], day_h=course.day_h)
    candidates = candidate_doses(float(most[0]), step_mg, or_none=True)
    fixed, per_mg = np.where(is_left, 0.0, doses), is_left.astype(np.float64)
    likely, likely_per_mg = (
        float(sum(w * x.auc(x.estimate.effects, d)[0] for w, x in zip(weights, fits, strict=True)))
        for d in (fixed, per_mg)
    )
    drawn, drawn_per_mg = (
        np.concatenate([x.auc(x.posterior.effects, d) for x in fits]) for d in (fixed, per_mg)
    )
    auc = AucByDose(
        likely_fixed=likely,
        likely_per_mg=likely_per_mg,
        fixed=drawn,
        per_mg=drawn_per_mg,
        weights=np.concatenate(
            [w * x.posterior.weights for w, x in zip(weights, fits, strict=True)]
        ),
        probability_se=probability_se,
    )
    chosen = choose(goal, candidates, auc, step_mg, spread=tr("what the levels leave open"))
    mg = float(candidates[chosen.place])
    below, within, above = auc.probabilities(np.array([mg]), goal.low, goal.high)
    bench = Preparation.of(mg)
    return RemainingDose(
        goal=str(goal),
        infusions=left,
        dose_mg=mg,
        dose_mg_m2=mg / bsa_m2,
        planned_mg=float(doses[-1]),
        total_course_mg_m2=(float(doses[~is_left].sum()) + left * mg) / bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=likely + mg * likely_per_mg,
        auc_0_inf_pi90=prediction_interval(auc.simulated(mg), weights=auc.weights),
        p_below=float(below[0]),
        p_within=float(within[0]),
        p_above=float(above[0]),
        reached=chosen.misses is None,
        misses=chosen.misses,
        reason=chosen.reason,
        at_ceiling=chosen.place == len(candidates) - 1,
    )
