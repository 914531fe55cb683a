"""Answers in four lines of text, to be copied into a chart."""

from __future__ import annotations

from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_records import CompareResult
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.update_records import UpdateResult
from fludapk.language import tr
from fludapk.pages.dose import dose_lines as found_dose_lines
from fludapk.pages.dose import goal_line
from fludapk.pages.update import answer_lines
from fludapk.pages.words import (
    auc_line,
    dose_lines,
    kidney_and_size,
    plan,
    stop_lines,
    typeset,
    who,
)


def chart_lines(result: CheckResult | DoseResult | CompareResult | UpdateResult) -> list[str]:
    """Word an answer in four lines: patient, plan, answer, origin."""
    made = result.provenance if not isinstance(result, DoseResult) else result.check.provenance
    patient, course, answer, model = _parts(result)
    return [
        patient,
        course,
        answer,
        tr(
            "fludapk {version}, model {model}, input {input}. Second check only, not a medical "
            "device.",
            version=made.version,
            model=f"{model} {made.model_sha256[:12]}",
            input=made.input_sha256[:12],
        ),
    ]


def _parts(
    result: CheckResult | DoseResult | CompareResult | UpdateResult,
) -> tuple[str, str, str, str]:
    """Patient, plan, answer and model, each in a line."""
    if isinstance(result, CompareResult):
        about = f"{who(result)}. {kidney_and_size(result.patient)}"
        stops = [tr("STOP: {reason}", reason=reason) for reason in result.headline.stops]
        plans = "; ".join(
            tr("plan {number}: {plan}", number=plan.number, plan=plan.plan) for plan in result.plans
        )
        return about, typeset(plans), _sentences(*stops, result.headline.sentence), result.model
    check = _check_of(result)
    about = f"{who(check)}. {kidney_and_size(check.patient)}"
    first = [*stop_lines(result.headline), result.headline.sentence]
    if isinstance(result, UpdateResult):
        lines = answer_lines(result)
    elif isinstance(result, DoseResult):
        lines = [] if result.answer is None else [*found_dose_lines(result)[:1], goal_line(result)]
    else:
        auc = auc_line(result.headline, tr("typical patient by {model}", model=result.model))
        lines = [auc, *dose_lines(result)[:1]]
    course = plan(check)
    if isinstance(result, DoseResult):
        course = typeset(tr("goal: {goal}", goal=result.goal))
    return about, course, _sentences(*first, *lines), check.model


def _check_of(result: CheckResult | DoseResult | UpdateResult) -> CheckResult:
    """Check behind an answer: of its dose, or from covariates alone."""
    if isinstance(result, CheckResult):
        return result
    return result.check if isinstance(result, DoseResult) else result.prior


def _sentences(*lines: str) -> str:
    return typeset(f"{'. '.join(line.rstrip('.') for line in lines)}.")
