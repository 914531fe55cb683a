"""The dose for a target: which daily dose reaches an AUC, a window, or a probability.

The models are linear in dose: the AUC of a course is the dose times the AUC per milligram, of the
typical patient and of every simulated one. A goal is therefore met exactly, over all doses that
can be drawn up below the ceilings, without a search that could stop short.

The dose is that of one model, the one that the target was found with or that was asked for. Other
models say what they expect of it. Where the check of the dose has a STOP, no dose is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fludapk.answers.averaging import Blend
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.dose_records import DoseResult, Expectation, Proposal
from fludapk.answers.dose_remarks import DoseFacts, remarks_of_dose
from fludapk.answers.goal import Candidates, Goal, candidate_doses, choose
from fludapk.answers.headline import Simulated, nothing_proposed
from fludapk.answers.prediction import PROBABILITY_SE, predict
from fludapk.answers.simulation import simulated
from fludapk.language import tr
from fludapk.patients.course import most_mg
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.published.models import DEFAULT_MODEL, is_averaged, load_model
from fludapk.published.targets import prediction_interval, targets, window_probabilities


def find_dose(
    patient: Patient,
    schedule: Regimen,
    goal: Goal | None = None,
    *,
    auc: float | None = None,
    window: tuple[float, float] | None = None,
    target: str | None = None,
    probability: float | None = None,
    planned: bool = True,
    model: str | None = None,
    round_to_mg: float = 1.0,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> DoseResult:
    """Find the dose of each infusion for a goal.

    Parameters
    ----------
    patient : Patient
    schedule : Regimen
        Number, spacing and length of the infusions; its dose is used only if `planned`.
    goal : Goal, optional
        Or its parts: one of `auc`, `window` and `target`, and a `probability` with the latter two.
    auc : float, optional
        mg·h/L.
    window : (float, float), optional
        mg·h/L.
    target : str, optional
        Id of a published target.
    probability : float, optional
        Required probability of being in the window or target.
    planned : bool
        Whether the dose of `schedule` is the planned one, to be shown beside.
    model : str, optional
        The model that the target was found with if absent; without a target the default.
    round_to_mg : float
        What can be drawn up.
    strict, folders
        As in `fludapk.answers.check.check`.

    Raises
    ------
    FludapkError
        As `fludapk.answers.check.check`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> result = find_dose(girl, plan, auc=15)
    >>> result.answer.dose_mg, [row.name for row in result.expected][:1]
    (25.0, ['Langenhorst 2019'])
    """
    aim = Goal.if_any(goal, auc=auc, window=window, target=target, probability=probability)
    if aim is None:
        aim = Goal.chosen()  # says what a goal is
    by = model or _model_of(aim)
    most = float(most_mg(patient.bsa_m2, schedule.times_h)[0])
    doses = candidate_doses(most, round_to_mg)

    def checked(course: Regimen) -> CheckResult:
        return check(patient, course, model=by, strict=strict, folders=folders)

    if is_averaged(by):
        unit: Blend = checked(schedule.in_mg(1.0)).made_from
    else:
        one_mg = predict(load_model(by, folders), patient, schedule, schedule.course_of(1.0))
        unit = Blend([one_mg], np.ones(1))
    dose = _proposal(unit, by, patient, aim, doses, round_to_mg)

    proposed = checked(schedule.in_mg(dose.dose_mg))
    plan = checked(schedule) if planned else None
    is_stopped = bool(proposed.headline.stops)
    change = None if plan is None or is_stopped else dose.dose_mg / plan.regimen.doses_mg[0] - 1.0
    expected = _expected(proposed, aim)
    facts = DoseFacts(
        goal=aim, dose=dose, expected=expected, change=change, proposed=proposed, plan=plan
    )
    return DoseResult(
        headline=nothing_proposed(proposed.headline) if is_stopped else proposed.headline,
        remarks=remarks_of_dose(facts),
        goal=str(aim),
        goal_low=aim.low,
        goal_high=None if math.isinf(aim.high) else aim.high,
        goal_probability=aim.probability,
        target=aim.target,
        round_to_mg=round_to_mg,
        ceiling_mg=most,
        answer=None if is_stopped else dose,
        would_give=dose if is_stopped else None,
        expected=expected,
        change_from_planned=change,
        proposed=None if is_stopped else proposed,
        planned=plan,
        source=(proposed, aim),
    )


def _model_of(goal: Goal) -> str:
    """Name the model that the target of a goal was found with."""
    return DEFAULT_MODEL if goal.target is None else targets()[goal.target].derived_with


def _expected(proposed: CheckResult, goal: Goal) -> list[Expectation]:
    """List what every model that applies expects of a dose, the chosen one first."""
    own = proposed.exposure.auc_0_inf  # the chosen model, whether it applies or not
    rows = sorted(proposed.sensitivity, key=lambda row: row.model != proposed.model)
    return [
        Expectation(
            model=row.model,
            name=row.name,
            who=row.who,
            auc_0_inf=auc,
            side=goal.side(auc),
            reading_of=row.reading_of,
        )
        for row in rows
        if (auc := own if row.model == proposed.model else row.auc_0_inf) is not None
    ]


def _proposal(
    unit: Blend, model: str, patient: Patient, goal: Goal, doses: Candidates, step_mg: float
) -> Proposal:
    """Choose a dose from the predictions for 1 mg."""
    by = unit.simulated() if is_averaged(model) else simulated(unit.lead)
    auc = AucByDose(
        likely_per_mg=by.auc_0_inf,
        fixed=np.zeros(len(by.drawn)),
        per_mg=by.drawn,
        weights=by.weights,
        probability_se=PROBABILITY_SE,
    )
    chosen = choose(goal, doses, auc, step_mg, spread=tr("the variability between patients"))
    dose = float(doses[chosen.place])
    course = unit.lead.case.course
    n = len(course.doses_mg)
    bench = replace(course, doses_mg=(dose,) * n).preparation()
    below, within, above = auc.probabilities(np.array([dose]), goal.low, goal.high)
    return Proposal(
        model=by.model,
        dose_mg=dose,
        doses=n,
        total_mg=n * dose,
        dose_mg_m2=dose / patient.bsa_m2,
        dose_mg_kg=dose / patient.weight_kg,
        total_mg_m2=n * dose / patient.bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=dose * by.auc_0_inf,
        auc_0_inf_pi90=prediction_interval(dose * by.drawn, weights=by.weights),
        p_below=float(below[0]),
        p_within=float(within[0]),
        p_above=float(above[0]),
        p_within_uncertain=_within_uncertain(by, dose, goal),
        reached=chosen.misses is None,
        misses=chosen.misses,
        reason=chosen.reason,
        at_ceiling=chosen.misses == "low",
    )


def _within_uncertain(by: Simulated, dose_mg: float, goal: Goal) -> float | None:
    """Return the probability of the goal with the uncertainty of the model's numbers."""
    if by.uncertain is None or goal.kind == "auc":
        return None
    return window_probabilities(dose_mg * by.uncertain, goal.low, goal.high, by.weights)[1]
