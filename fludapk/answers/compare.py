"""Plans for one patient side by side, on the same simulated patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.check_facts import advice_here
from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_chances import compared_chances
from fludapk.answers.compare_headline import table_headline
from fludapk.answers.compare_plans import Plan, TypedPlan, read_plans
from fludapk.answers.compare_records import (
    CompareResult,
    PlanByModel,
    PlanRecord,
    WouldGive,
)
from fludapk.answers.dose import find_dose
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.goal import Goal
from fludapk.answers.headline import leading_of
from fludapk.answers.prediction import LOG2_POINTS
from fludapk.answers.record import Provenance, Remark, hash_of, note, only_stops, stop, worst_first
from fludapk.errors import Fault, FludapkError, InputError, StudiedRangeError
from fludapk.language import marked, tr
from fludapk.patients.fields import label
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import POINT_SET_SEED
from fludapk.published.covariates import Step
from fludapk.published.models import DEFAULT_MODEL, is_averaged, load_model

STEP_MG: Final = 1.0
"""Doses that are found are multiples of this many mg if nothing else is asked."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything beside the plans that a comparison is made from."""

    patient: Patient
    model: str
    round_to_mg: float | None
    strict: bool
    folders: Sequence[Path] | None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A plan with its check, or without a dose and why."""

    plan: Plan
    goal: Goal | None = None
    check: CheckResult | None = None
    remarks: Sequence[Remark] = ()
    """All of the plan, in any order."""
    goal_reached: bool | None = None
    would_give: WouldGive | None = None
    steps: Sequence[Step] = field(default_factory=tuple)
    """Calculation, as of the check."""


def compare(
    patient: Patient,
    plans: Sequence[TypedPlan],
    *,
    common: Mapping[str, Any] | None = None,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> CompareResult:
    """Compare two to four plans for one patient.

    Every plan is computed as by `check`, its dose as by `find_dose` if it has a goal. A plan whose
    dose a ceiling or a label refuses stands in its place with the reason.

    Parameters
    ----------
    patient : Patient
    plans : sequence of str, Regimen, (Regimen, Goal) or Plan
        As a text: "axi_cel", "axi_cel 24 mg/m2", "30 mg/m2 x 3", "axi_cel auc 19",
        "axi_cel window 18 20", "axi_cel target scordo2023", "axi_cel chance 0.8" (of the target
        that fits the patient), "axi_cel rule us_iv" (a label's rule on the full dose).
    common : mapping, optional
        Inputs for every plan that is a text, by the names of requests: ``{"bsa_cap": "2 m2"}``,
        also interval, infusion_time, cells_at, first_dose and time_zone.
    model : str
    round_to_mg : float, optional
        Round doses to a multiple of this many mg; doses that are found are multiples of 1 mg if
        absent.
    strict, folders
        As in `fludapk.answers.check.check`.

    Raises
    ------
    FludapkError
        As `fludapk.answers.check.check`; of plans that are not understood.

    Examples
    --------
    >>> man = Patient(age=61, sex="male", weight=82, height=176, scr="1.2 mg/dL")
    >>> table = compare(man, ["axi_cel", "axi_cel 24 mg/m2", "axi_cel auc 19"])
    >>> [f"{plan.exposure.auc_0_inf:.1f}" for plan in table.plans]
    ['20.0', '16.0', '19.0']
    >>> table.headline.best
    [1, 3]
    """
    asked = Asked(
        patient=patient, model=model, round_to_mg=round_to_mg, strict=strict, folders=folders
    )
    if not is_averaged(model):
        load_model(model, folders)  # says which there are
    read, shared = with_shared_product(patient, read_plans(plans, common))
    outcomes = _gathered_by_plan(
        [partial(answer_plan, plan, asked) for plan in read], [plan.text for plan in read]
    )
    records = _records(outcomes, shared, asked)
    # Whatever refuses the doses of the plans: the patient and the model, by a dose of next to none.
    base = _checked(read[0].regimen.in_mg(1.0), replace(asked, round_to_mg=None, strict=False))
    return CompareResult(
        headline=table_headline(records, base.prediction.model.not_shipped),
        model=base.model,
        model_title=base.model_title,
        model_citation=base.model_citation,
        patient=base.patient,
        round_to_mg=round_to_mg,
        plans=records,
        reading_note=base.reading_note,
        provenance=Provenance(
            version=__version__,
            model_sha256=base.provenance.model_sha256,
            input_sha256=_input_hash(asked, read),
            seed=POINT_SET_SEED,
            points=2**LOG2_POINTS,
        ),
    )


def with_shared_product(patient: Patient, plans: Sequence[Plan]) -> tuple[list[Plan], list[str]]:
    """Give plans without a product or disease that of the others, if these agree.

    All plans are for the same patient: a dose typed as "24 mg/m2 x 3" beside "axi_cel" is one
    before axi-cel, and is set against the same target.

    Returns
    -------
    plans : list of Plan
    messages : list of str
        For each plan what it was given; empty if nothing.
    """
    shared: dict[str, Any] = {}
    told = {marked("product"): patient.product, marked("disease"): patient.diagnosis}
    for key, typed in told.items():
        named = {value for plan in plans if (value := getattr(plan.regimen, key)) is not None}
        if typed is None and len(named) == 1:
            shared[key] = named.pop()
    completed, messages = [], []
    for plan in plans:
        lacking = {k: v for k, v in shared.items() if getattr(plan.regimen, k) is None}
        completed.append(replace(plan, regimen=replace(plan.regimen, **lacking)))
        messages.append(", ".join(f"{tr(key)} {value}" for key, value in lacking.items()))
    return completed, messages


# ------------------------------------------------------------------ one plan


def answer_plan(plan: Plan, asked: Asked) -> Answered:
    """Compute one plan.

    Raises
    ------
    FludapkError
        Of the patient or the model. What refuses the dose only is a STOP of the plan.
    """
    if plan.kind == "goal":
        return _aimed(plan, asked)
    try:
        plan.regimen.course(asked.patient, None if plan.rule else asked.round_to_mg)
    except InputError as error:
        return _refused(plan, error)
    if plan.rule is not None:
        return _by_rule(plan, asked)
    result = _checked(plan.regimen, asked)
    return Answered(plan=plan, check=result, remarks=result.remarks, steps=result.trail)


def _checked(regimen: Regimen, asked: Asked) -> CheckResult:
    return check(
        asked.patient,
        regimen,
        model=asked.model,
        round_to_mg=asked.round_to_mg,
        strict=asked.strict,
        folders=asked.folders,
    )


def _refused(plan: Plan, error: InputError, goal: Goal | None = None) -> Answered:
    """A plan whose dose a ceiling or rounding refuses."""
    reasons = [stop("dose_refused", sentence) for sentence in error.sentences(label)]
    return Answered(plan=plan, goal=goal, remarks=reasons)


def _by_rule(plan: Plan, asked: Asked) -> Answered:
    """The full dose, reduced by a rule of a label."""
    full = _checked(plan.regimen, replace(asked, round_to_mg=None))
    rule = next(row for row in full.label_rules if row.id == plan.rule)
    stops = only_stops(full.remarks)
    if rule.factor is None:
        why = stop("rule_gives_no_dose", advice_here(rule), rule.source)
        return Answered(plan=plan, remarks=stops if rule.refused else [why, *stops])
    reduced = replace(plan.regimen, dose=plan.regimen.dose * rule.factor)
    try:
        reduced.course(asked.patient, asked.round_to_mg)
    except InputError as error:
        return _refused(plan, error)
    result = _checked(reduced, asked)
    if stops:
        return Answered(plan=plan, remarks=stops, would_give=_would_give(result))
    how = tr(
        "{rule}; full dose {dose:g} {unit}",
        rule=advice_here(rule),
        dose=plan.regimen.dose,
        unit=plan.regimen.unit,
    )
    step = Step(marked("rule"), rule.factor, tr("of the full dose"), rule.id, how)
    return Answered(plan=plan, check=result, remarks=result.remarks, steps=[step, *result.trail])


def _aimed(plan: Plan, asked: Asked) -> Answered:
    """The dose for a goal."""
    goal = plan.goal or _goal_of_chance(plan, asked.patient)
    try:
        dose = _find(plan, goal, asked)
    except InputError as error:
        if {fault.field for fault in error.faults} <= _OF_THE_DOSE:
            return _refused(plan, error, goal)
        raise
    result = dose.check
    if dose.answer is None:
        stops = only_stops(result.remarks)
        return Answered(plan=plan, goal=goal, remarks=stops, would_give=_would_give(result))
    how = tr("the nearest to {goal}", goal=dose.goal)
    if dose.answer.reached:
        how = tr("found for {goal}", goal=dose.goal)
    steps = [replace(step, how=how) if step.name == "dose" else step for step in result.trail]
    return Answered(
        plan=plan,
        goal=goal,
        check=result,
        remarks=dose.remarks,
        goal_reached=dose.answer.reached,
        steps=steps,
    )


_OF_THE_DOSE: Final = frozenset({"dose", "days", "round_to_mg"})
"""Fields of faults that refuse a dose, and neither the patient nor the model."""


def _find(plan: Plan, goal: Goal, asked: Asked) -> DoseResult:
    """Find the dose of a plan; beside the planned one where that may be given."""
    is_planned = plan.has_dose
    if is_planned:
        try:
            plan.regimen.course(asked.patient)
        except InputError:
            is_planned = False
    return find_dose(
        asked.patient,
        plan.regimen,
        goal,
        planned=is_planned,
        model=asked.model,
        round_to_mg=asked.round_to_mg or STEP_MG,
        strict=asked.strict,
        folders=asked.folders,
    )


def _goal_of_chance(plan: Plan, patient: Patient) -> Goal:
    """The target that fits the patient, with the chance that is required of it."""
    target = leading_of(patient, plan.regimen)
    if target is None:
        found = tr("no published target fits this patient")
        do = tr('name one: "target scordo2023 chance {p:g}"', p=plan.chance)
        raise InputError(Fault("plans", found, do=do, whole=True))
    return Goal.chosen(target=target.id, probability=plan.chance)


def _would_give(result: CheckResult) -> WouldGive:
    doses = result.regimen.doses_mg
    return WouldGive(dose_mg=doses[0], doses=len(doses), auc_0_inf=result.exposure.auc_0_inf)


# ------------------------------------------------------------------ all plans


def _gathered_by_plan(
    readings: Sequence[partial[Answered]], texts: Sequence[str]
) -> list[Answered]:
    """Every plan; faults of all of them at once, those of the patient only once.

    Raises
    ------
    FludapkError
    """
    answers: list[Answered] = []
    errors: dict[int, FludapkError] = {}
    for number, reading in enumerate(readings, start=1):
        try:
            answers.append(reading())
        except InputError as error:
            errors[number] = error
        except StudiedRangeError as error:
            errors.setdefault(number, error)
    if not errors:
        return answers
    inputs = {k: error for k, error in errors.items() if isinstance(error, InputError)}
    if not inputs:
        raise next(iter(errors.values()))
    everywhere = [
        fault
        for fault in next(iter(inputs.values())).faults
        if len(inputs) == len(readings) and all(fault in e.faults for e in inputs.values())
    ]
    own = [
        replace(
            fault,
            where=tr("plan {n} {text!r}", n=number, text=texts[number - 1]),
            inside=("plans", number) if fault.field == "plans" else None,
        )
        for number, error in inputs.items()
        for fault in error.faults
        if fault not in everywhere
    ]
    raise InputError(*everywhere, *own)


def _records(answers: Sequence[Answered], shared: Sequence[str], asked: Asked) -> list[PlanRecord]:
    first, model = answers[0].check, asked.model
    chances = compared_chances([answer.check for answer in answers], asked.folders)
    numbered = enumerate(zip(answers, chances, shared, strict=True), start=1)
    return [_record(number, *plan, first=first, model=model) for number, plan in numbered]


def _record(
    number: int,
    answer: Answered,
    chance: float | None,
    shared: str,
    *,
    first: CheckResult | None,
    model: str,
) -> PlanRecord:
    plan, result = answer.plan, answer.check
    remarks = list(answer.remarks)
    if shared and result is not None:
        message = tr("taken as for {product}, which the other plans name", product=shared)
        remarks.append(note("shared_product", message))
    total = auc = None
    if result is not None and first is not None:
        total = result.regimen.total_mg / first.regimen.total_mg - 1.0
        auc = result.exposure.auc_0_inf / first.exposure.auc_0_inf - 1.0
    return PlanRecord(
        number=number,
        plan=plan.text,
        kind=plan.kind,
        course=plan.regimen.id,
        title=tr(plan.regimen.title),
        goal=None if answer.goal is None else str(answer.goal),
        goal_reached=answer.goal_reached,
        rule=plan.rule,
        regimen=None if result is None else result.regimen,
        exposure=None if result is None else result.exposure,
        flag=None if result is None else result.flag,
        headline=None if result is None else result.headline,
        chance=chance,
        total_change=total,
        auc_change=auc,
        models=[] if result is None else _by_models(result, model),
        remarks=worst_first(remarks),
        would_give=answer.would_give,
        trail=list(answer.steps),
    )


def _by_models(result: CheckResult, model: str) -> list[PlanByModel]:
    """AUC by the chosen model, then by every other that applies."""
    rows = [
        PlanByModel(
            model=row.model,
            name=row.name,
            auc_0_inf=row.auc_0_inf or result.exposure.auc_0_inf,
            applies=row.applies,
            reading_of=row.reading_of,
        )
        for row in result.sensitivity
        if row.model == model or row.auc_0_inf is not None
    ]
    return sorted(rows, key=lambda row: row.model != model)


def _input_hash(asked: Asked, plans: Sequence[Plan]) -> str:
    """Hash of what was asked, in whatever unit it was typed."""
    patient = vars(asked.patient)
    everything: dict[str, Any] = {
        "patient": {k: patient[k] for k in Patient.__dataclass_fields__ if k != "typed"},
        "plans": [
            {
                "regimen": {k: v for k, v in vars(plan.regimen).items() if k != "cells_clock"},
                "goal": None if (goal := plan.goal) is None else _asked_of(goal),
                "chance": plan.chance,
                "rule": plan.rule,
            }
            for plan in plans
        ],
        "model": asked.model,
        "round_to_mg": asked.round_to_mg,
    }
    return hash_of(everything)


def _asked_of(goal: Goal) -> list[Any]:
    """Return the parts by which goals differ; 19 and 19.0 are the same."""
    return [goal.kind, float(goal.low), float(goal.high), goal.probability, goal.target]
