"""Rows of a comparison, in the same words for a terminal and for a sheet of paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from fludapk.answers.compare_headline import numbered
from fludapk.answers.compare_records import CompareResult, PlanRecord
from fludapk.answers.headline import auc_text
from fludapk.language import marked, ntr, tr
from fludapk.pages.check_rows import TrailRow, step_rows
from fludapk.pages.words import (
    MAX_NOTES,
    SEVERITY_WORDS,
    mg,
    percent,
    typeset,
    window,
)
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import Step
from fludapk.published.targets import targets, verdict

NO_DOSE: Final = marked("no dose")


class Line(NamedTuple):
    """A line of the table: a quantity, and its value for each plan."""

    name: str
    cells: list[str]
    decides: bool = False
    """Tell if a page shows it at once; the others are folded."""


def table_lines(r: CompareResult) -> list[Line]:
    """Lines of the table, plans side by side; those that are empty for every plan are left out."""
    lines = [
        Line(tr(name), [typeset(cell(plan)) for plan in r.plans], name in _DECIDING)
        for name, cell in _LINES.items()
    ]
    lines += [
        Line(name, [cell(plan) for plan in r.plans], decides=True)
        for target in _leading(r)
        for name, cell in _chances_of(target).items()
    ]
    lines += [
        Line(tr("AUC by {model}", model=name), [_auc_by(plan, model) for plan in r.plans])
        for model, name in _models(r).items()
    ]
    return [line for line in lines if any(line.cells)]


def heads(r: CompareResult) -> list[str]:
    """Heads of the columns."""
    return [typeset(f"{plan.number}. {plan.plan}") for plan in r.plans]


# ------------------------------------------------------------------ cells


def _stop(p: PlanRecord) -> str:
    return tr("STOP") if p.stops else ""


def _per_dose(p: PlanRecord) -> str:
    if p.regimen is None:
        return tr(NO_DOSE)
    per_m2 = p.regimen.total_mg_m2 / len(p.regimen.doses_mg)
    return f"{mg(p.regimen.doses_mg[0])} mg ({tenths(per_m2)} mg/m2)"


def tenths(value: float) -> str:
    """Write a dose per area without a trailing zero.

    Examples
    --------
    >>> tenths(30.0), tenths(28.47)
    ('30', '28.5')
    """
    return f"{value:.1f}".removesuffix(".0")


def _draw_up(p: PlanRecord) -> str:
    if p.regimen is None:
        return ""
    return ntr(
        "{volume} mL, {n} vial",
        "{volume} mL, {n} vials",
        p.regimen.vials_per_dose,
        volume=mg(p.regimen.volume_ml_per_dose),
    )


def _course(p: PlanRecord) -> str:
    if p.regimen is None:
        return ""
    return f"× {len(p.regimen.doses_mg)} = {mg(p.regimen.total_mg)} mg"


def _infusions(p: PlanRecord) -> str:
    if p.regimen is None:
        return ""
    times = p.regimen.times_h
    if len(times) == 1:
        return f"{p.regimen.infusion_h:g} h"
    return tr(
        "{hours:g} h, every {interval:g} h",
        hours=p.regimen.infusion_h,
        interval=times[1] - times[0],
    )


def _change(p: PlanRecord) -> str:
    if p.total_change is None or p.auc_change is None or p.number == 1:
        return ""
    dose, auc = signed(p.total_change), signed(p.auc_change)
    return dose if dose == auc else f"{dose}, AUC {auc}"


def signed(change: float) -> str:
    """Write a relative change in percent.

    Examples
    --------
    >>> signed(-0.2), signed(0.0004), signed(0.186)
    ('−20 %', '±0 %', '+19 %')
    """
    whole = round(100 * change)
    return f"{whole:+d} %".replace("-", "\N{MINUS SIGN}") if whole else "±0 %"


def _auc(p: PlanRecord) -> str:
    return "" if p.headline is None else auc_text(p.headline.auc_0_inf)


def _side(p: PlanRecord) -> str:
    if p.headline is None:
        return ""
    target = None if p.headline.target is None else targets()[p.headline.target]
    return verdict(p.headline.auc_0_inf, target)


def _interval(p: PlanRecord) -> str:
    if p.headline is None:
        return ""
    low, high = p.headline.interval
    return f"{low:.1f}-{high:.1f}"


def _goal(p: PlanRecord) -> str:
    if p.goal_reached is None:
        return ""
    return tr("reached") if p.goal_reached else tr("not reached, the nearest")


_LINES: Final[dict[str, Callable[[PlanRecord], str]]] = {
    marked("STOP"): _stop,
    marked("Per dose"): _per_dose,
    marked("Draw up per dose"): _draw_up,
    marked("Course"): _course,
    marked("Infusions"): _infusions,
    marked("Dose, AUC against plan 1"): _change,
    marked("Goal"): _goal,
    marked("AUC0-inf, mg·h/L"): _auc,
    marked("Typical patient"): _side,
    marked("90 % interval"): _interval,
}


_DECIDING: Final = {"STOP", "Per dose", "Goal", "AUC0-inf, mg·h/L", "90 % interval"}


def _leading(r: CompareResult) -> list[TargetEntry]:
    """Targets that lead one of the plans."""
    ids = dict.fromkeys(
        plan.headline.target for plan in r.plans if plan.headline and plan.headline.target
    )
    return [targets()[name] for name in ids]


def _chances_of(target: TargetEntry) -> dict[str, Callable[[PlanRecord], str]]:
    """Chances of the sides of a target."""
    low = target.low if target.optimum is None else target.optimum
    high = target.high if target.optimum is None else target.optimum

    def of(side: str) -> Callable[[PlanRecord], str]:
        def cell(p: PlanRecord) -> str:
            if p.headline is None or p.headline.target != target.id:
                return ""
            value = getattr(p.headline, side)
            return "" if value is None else percent(value)

        return cell

    named = f"{target.name}, {window(target)}"
    lines = {}
    if target.optimum is None:
        lines[tr("Chance: reached ({target})", target=named)] = of("p_within")
    if low is not None:
        below = tr("Chance: below {edge:g}", edge=low)
        lines[below if lines else f"{below} ({named})"] = of("p_below")
    if high is not None:
        lines[tr("Chance: above {edge:g}", edge=high)] = of("p_above")
    return lines


def _models(r: CompareResult) -> dict[str, str]:
    """Models beside the chosen one, by their names; a second reading is named by its id."""
    return {
        by.model: by.model if by.reading_of else by.name
        for plan in r.plans
        for by in plan.models
        if by.model != r.model
    }


def _auc_by(p: PlanRecord, model: str) -> str:
    auc = next((by.auc_0_inf for by in p.models if by.model == model), None)
    if auc is None or p.headline is None:
        return ""
    target = None if p.headline.target is None else targets()[p.headline.target]
    return f"{auc_text(auc)}, {verdict(auc, target)}"


# ------------------------------------------------------------------ sentences


def draws_line(r: CompareResult) -> str:
    """Say how many courses were simulated."""
    return tr(
        "{n} simulated courses, the same for every plan, seed {seed}",
        n=r.provenance.points,
        seed=r.provenance.seed,
    )


class PlansRemark(NamedTuple):
    """A remark on plans; the severity is empty where it says how many are left out."""

    severity: str
    message: str


def remark_rows(r: CompareResult) -> list[PlansRemark]:
    """List every remark with its plans, the worst first; of notes the first few."""
    by_remark: dict[tuple[str, str], list[int]] = {}
    for plan in r.plans:
        for remark in plan.remarks:
            if (remark.severity, remark.code) != _IN_THE_TABLE:
                by_remark.setdefault((remark.severity, remark.message), []).append(plan.number)
    order = list(SEVERITY_WORDS)
    ordered = sorted(by_remark.items(), key=lambda item: order.index(item[0][0]))
    shown, notes = [], 0
    for (severity, message), numbers in ordered:
        notes += severity == "note"
        if severity == "note" and notes > MAX_NOTES:
            continue
        plans = "" if len(numbers) == len(r.plans) else f"{numbered(numbers)}: "
        shown.append(PlansRemark(severity, typeset(f"{plans}{message}")))
    if notes > MAX_NOTES:
        shown.append(PlansRemark("", tr("and {n} more in --json", n=notes - MAX_NOTES)))
    return shown


def severity_word(severity: str) -> str:
    """Word the severity of a remark on plans."""
    return tr(SEVERITY_WORDS[severity]) if severity else ""


_IN_THE_TABLE: Final = ("note", "comparison_reading")
"""The other reading of the paper has a line of its own."""


def would_give_lines(r: CompareResult) -> list[str]:
    """Doses that the model would give if there were no STOP."""
    return [
        tr(
            "Plan {number}, if there were no STOP, by the model: {dose} mg per dose × {n}, "
            "AUC0-inf {auc} mg·h/L",
            number=p.number,
            dose=mg(p.would_give.dose_mg),
            n=p.would_give.doses,
            auc=auc_text(p.would_give.auc_0_inf),
        )
        for p in r.plans
        if p.would_give is not None
    ]


def patient_trail(r: CompareResult) -> list[TrailRow]:
    """Steps of the calculation that are the patient's."""
    return step_rows(r.patient_steps)


def plan_trails(r: CompareResult) -> list[tuple[str, str]]:
    """Each plan with a dose, and the rest of its calculation in a sentence."""
    shared = r.patient_steps
    return [
        (
            tr("Plan {number}", number=plan.number),
            typeset("; ".join(_worded(step) for step in plan.trail if step not in shared)),
        )
        for plan in r.plans
        if plan.trail
    ]


def _worded(step: Step) -> str:
    """A step with its result.

    Examples
    --------
    >>> _worded(Step("dose", 60.0666, "mg fludarabine phosphate", "", "30 mg/m2 × 2.0022 m2"))
    'dose 60.07 mg fludarabine phosphate (30 mg/m2 × 2.0022 m2)'
    """
    how = ": ".join(part for part in (tr(step.by), step.how) if part)
    return f"{tr(step.name)} {step.value:.4g} {step.unit} ({how})"
