"""The dose for a target: which daily dose reaches an AUC, a window, or a probability.

The models are linear in dose: the AUC of a course is the dose times the AUC per milligram, of the
typical patient and of every simulated one. A goal is therefore met exactly, over all doses that
can be drawn up below the ceilings, without a search that could stop short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.goal import Goal, Misses, candidate_doses, choose
from fludapk.answers.prediction import LOG2_POINTS, PROBABILITY_SE, Prediction, predict
from fludapk.answers.record import DISCLAIMER, Record, Remark, Row, caution, scalars
from fludapk.arrays import F8
from fludapk.patients.course import NEUROTOXICITY, most_mg
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.published.models import DEFAULT_MODEL, load_model, load_models
from fludapk.published.targets import Flag, flag, prediction_interval

DOSES_DIFFER: Final = 0.10
"""Models whose doses differ by more than this have no common answer."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The dose of one model for a goal; mg of fludarabine phosphate."""

    model: str
    reading_of: str | None
    dose_mg: float
    doses: int
    total_mg: float
    dose_mg_m2: float
    dose_mg_kg: float
    total_mg_m2: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    flag: Flag
    p_below: float
    """Of the goal's lower bound."""
    p_within: float
    p_above: float
    reached: bool
    """Whether the goal is met at this dose."""
    misses: Misses | None
    """Side on which it is missed; None if it is reached."""
    reason: str | None
    """Why it is missed, in words."""
    at_ceiling: bool
    """Whether a ceiling on the dose kept it from more."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DoseResult(Record):
    """Result of `find_dose`."""

    schema: Literal["fludapk.dose/1"] = "fludapk.dose/1"
    goal: str
    goal_low: float
    goal_high: float | None
    goal_probability: float | None
    target: str | None
    round_to_mg: float
    ceiling_mg: float
    probability_se: float = PROBABILITY_SE
    answer: Proposal | None
    """None where the models disagree: then no single dose is the answer."""
    proposals: list[Proposal]
    """The chosen model first, then every other that applies."""
    models_agree: bool
    change_from_planned: float | None
    """Relative, of the chosen model's dose."""
    remarks: list[Remark]
    proposed: CheckResult
    """The check of the chosen model's dose."""
    planned: CheckResult | None
    """The check of the planned regimen."""
    disclaimer: str = DISCLAIMER

    def brief(self) -> str:
        """Return the dose in a line."""
        if self.answer is None:
            return f"dose for {self.goal}: no single answer"
        return f"dose for {self.goal}: {self.answer.dose_mg:g} mg × {self.answer.doses}"

    def rows(self) -> list[Row]:
        """Return a row for each model."""
        return [scalars(proposal) for proposal in self.proposals]


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
    model: str = DEFAULT_MODEL,
    round_to_mg: float = 1.0,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> DoseResult:
    """Find the daily dose for a goal.

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
    model : str
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
    >>> result.proposals[0].dose_mg, result.answer is None
    (25.0, True)
    """
    aim = Goal.if_any(goal, auc=auc, window=window, target=target, probability=probability)
    if aim is None:
        aim = Goal.chosen()  # says what a goal is
    chosen = load_model(model, folders)
    most = float(most_mg(patient.bsa_m2, schedule.times_h)[0])
    doses = candidate_doses(most, round_to_mg)
    one_mg = schedule.course_of(1.0)
    main = _proposal(predict(chosen, patient, schedule, one_mg), patient, aim, doses, round_to_mg)
    proposed = check(
        patient, schedule.in_mg(main.dose_mg), model=model, strict=strict, folders=folders
    )
    proposals = [main]
    by_model = {row.model: row for row in proposed.sensitivity}
    for other in load_models(folders):
        if other.id != chosen.id and by_model[other.id].applies:
            prediction = predict(other, patient, schedule, one_mg)
            proposals.append(_proposal(prediction, patient, aim, doses, round_to_mg))
    plan = None
    if planned:
        plan = check(patient, schedule, model=model, strict=strict, folders=folders)
    flags_agree = proposed.models_agree and (plan is None or plan.models_agree)
    spread = max(p.dose_mg for p in proposals) / min(p.dose_mg for p in proposals) - 1.0
    agree = flags_agree and spread <= DOSES_DIFFER
    change = None if plan is None else main.dose_mg / plan.regimen.doses_mg[0] - 1.0
    return DoseResult(
        goal=str(aim),
        goal_low=aim.low,
        goal_high=None if math.isinf(aim.high) else aim.high,
        goal_probability=aim.probability,
        target=aim.target,
        round_to_mg=round_to_mg,
        ceiling_mg=most,
        answer=main if agree else None,
        proposals=proposals,
        models_agree=agree,
        change_from_planned=change,
        remarks=[
            *_warnings(aim, proposals, agree, change, proposed),
            *(r for r in (plan.remarks if plan else ()) if r.code == "bsa_cap"),
        ],
        proposed=proposed,
        planned=plan,
    )


def _proposal(
    unit: Prediction, patient: Patient, goal: Goal, doses: F8, step_mg: float
) -> Proposal:
    """The dose of one model from its prediction for 1 mg."""
    simulated = unit.exposure(unit.random_effects(LOG2_POINTS)).auc_0_inf
    auc = AucByDose(
        likely_per_mg=unit.auc_0_inf,
        fixed=np.zeros(len(simulated)),
        per_mg=simulated,
        probability_se=PROBABILITY_SE,
    )
    chosen = choose(goal, doses, auc, step_mg, spread="the variability between patients")
    dose = float(doses[chosen.place])
    expected = dose * unit.auc_0_inf
    n = len(unit.case.course.doses_mg)
    bench = replace(unit.case.course, doses_mg=(dose,) * n).preparation()
    below, within, above = auc.probabilities(np.array([dose]), goal.low, goal.high)
    return Proposal(
        model=unit.model.id,
        reading_of=unit.model.file.reading_of,
        dose_mg=dose,
        doses=n,
        total_mg=n * dose,
        dose_mg_m2=dose / patient.bsa_m2,
        dose_mg_kg=dose / patient.weight_kg,
        total_mg_m2=n * dose / patient.bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=expected,
        auc_0_inf_pi90=prediction_interval(dose * simulated),
        flag=flag(expected),
        p_below=float(below[0]),
        p_within=float(within[0]),
        p_above=float(above[0]),
        reached=chosen.misses is None,
        misses=chosen.misses,
        reason=chosen.reason,
        at_ceiling=chosen.misses == "low",
    )


def _warnings(
    goal: Goal,
    proposals: Sequence[Proposal],
    agree: bool,
    change: float | None,
    proposed: CheckResult,
) -> list[Remark]:
    """What the reader of a proposal must know, before the warnings of its check."""
    main = proposals[0]
    remarks = []
    if not agree:
        said = "; ".join(
            f"{p.model}: {p.dose_mg:g} mg (AUC {p.auc_0_inf:.2f} mg·h/L)" for p in proposals
        )
        remarks.append(("models_disagree", f"no single dose is the answer: {said}"))
    if not main.reached:
        best = f"P(in the window) {main.p_within:.2f}" if goal.kind == "window" else ""
        auc = f"AUC {main.auc_0_inf:.2f} mg·h/L"
        achieved = ", ".join(part for part in (auc, best) if part)
        remarks.append(
            (
                "not_reached",
                f"no dose reaches the goal: {main.reason}; the nearest: {main.dose_mg:g} mg "
                f"per dose, {achieved}",
            )
        )
    if change is not None and change > 0:
        remarks.append(
            (
                "above_planned",
                f"{100 * change:.0f} % above the planned dose, for: {goal}. Against it: "
                f"{NEUROTOXICITY}; thresholds are retrospective, and no trial supports a dose "
                "above the label",
            )
        )
    known = [caution(code, message) for code, message in remarks]
    return known + [w for w in proposed.remarks if w.code not in ("models_disagree", "no_target")]
