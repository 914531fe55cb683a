"""The page and the sheet of a dose for a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fludapk.answers.headline import auc_text, percent
from fludapk.language import marked, tr
from fludapk.pages.check import LABELS, REMARKS, headline_block, page_footer, page_labels
from fludapk.pages.check_rows import change_line
from fludapk.pages.check_sheet import answer_block, blocks_of
from fludapk.pages.layout import Strong, fitted, table, with_auc
from fludapk.pages.remarks import remark_rows
from fludapk.pages.templates import sheet
from fludapk.pages.words import (
    auc_line,
    auc_of,
    mg,
    remark_table,
    side,
    typeset,
    typical_by,
    who,
)
from fludapk.published.models import AVERAGED
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.check_records import CheckResult
    from fludapk.answers.dose_records import DoseResult

EXPECTED: Final = marked("AUC of this dose by each model")
PLANNED: Final = marked("Beside the planned course")


def dose_page(r: DoseResult, width: int, strong: Strong = str) -> str:
    """Draw the dose for a target on one page."""
    sections = {
        REMARKS: remark_table(r.remarks, width),
        not_proposed(r): "\n".join(fitted(line, width) for line in would_give_lines(r)),
        EXPECTED: table(with_auc(expected_rows(r), 1), width, right="1"),
        PLANNED: table(with_auc(rows, 2), width, right="12") if (rows := planned_rows(r)) else "",
        LABELS: page_labels(r.check, width),
    }
    body = [f"{tr(title)}\n{text}" for title, text in sections.items() if text]
    return typeset(
        "\n\n".join([brief_dose_page(r, width, strong), *body, page_footer(r.check, width)])
    )


def brief_dose_page(r: DoseResult, width: int, strong: Strong = str) -> str:
    """Draw the answer in short: patient, goal, stop, chance, AUC, dose."""
    lines = [
        fitted(" | ".join([who(r.check), *course(r)]), width),
        "",
        headline_block(r.headline, width, strong),
    ]
    if r.answer is not None:
        auc = auc_line(r.headline, typical_by(r.answer.model))
        lines += [fitted(line, width) for line in (auc, *dose_lines(r), *r.headline.notes)]
    return typeset("\n".join(lines))


def course(r: DoseResult) -> tuple[str, str]:
    """Word the number of infusions, and the goal."""
    return tr("{n} infusions", n=r.dose.doses), tr("goal: {goal}", goal=r.goal)


def dose_lines(r: DoseResult, *, in_short: bool = False) -> list[str]:
    """Word the dose as it is prepared, and its goal.

    Parameters
    ----------
    r : DoseResult
    in_short : bool
        Leave out the name of the model, and the chance with the uncertainty of its numbers.
    """
    p = r.dose
    return [
        tr(
            "Per dose {dose} mg fludarabine phosphate ({per_m2:.1f} mg/m2, {per_kg:.2f} mg/kg); "
            "{n} doses = {total} mg ({total_per_m2:.0f} mg/m2)",
            dose=mg(p.dose_mg),
            per_m2=p.dose_mg_m2,
            per_kg=p.dose_mg_kg,
            n=p.doses,
            total=mg(p.total_mg),
            total_per_m2=p.total_mg_m2,
        ),
        tr(
            "Draw up {volume} mL ({strength:g} mg/mL), {vials} × {vial:g}-mg vial, {waste} mg "
            "waste per dose",
            volume=mg(p.volume_ml_per_dose),
            strength=MG_PER_ML,
            vials=p.vials_per_dose,
            vial=VIAL_MG,
            waste=mg(p.waste_mg_per_dose),
        ),
        goal_line(r, in_short=in_short),
    ]


def goal_line(r: DoseResult, *, in_short: bool = False) -> str:
    """Say if the goal is reached, and its chance over patients."""
    p = r.dose
    chance = _goal_chances(r, in_short)
    if p.reached:
        if r.goal_probability:
            reached = tr("Goal reached")
        else:
            reached = tr("The typical AUC reaches the goal")
        return f"{reached}; {chance}" if chance else reached
    missed = tr("GOAL NOT REACHED: {reason}", reason=p.reason)
    return f"{missed}. {chance[0].upper()}{chance[1:]}" if chance else missed


def _goal_chances(r: DoseResult, in_short: bool) -> str:
    """Word the probabilities of the goal over patients and occasions, if it is a window."""
    p = r.dose
    if r.goal_high is not None and r.goal_low == r.goal_high:
        return ""
    by = ""
    if not in_short:
        by = tr("averaged over models") if p.model == AVERAGED else tr("by {model}", model=p.model)
    who = ", ".join(part for part in (tr("between patients"), by) if part)
    if r.goal_high is None:
        chance = tr(
            "{who}, {within} at {low:g} or more",
            who=who,
            within=percent(p.p_within),
            low=r.goal_low,
        )
    else:
        chance = tr(
            "{who}, {below} below {low:g}, {above} above {high:g}, {within} within",
            who=who,
            below=percent(p.p_below),
            low=r.goal_low,
            above=percent(p.p_above),
            high=r.goal_high,
            within=percent(p.p_within),
        )
    if p.p_within_uncertain is None or in_short:
        return chance
    wider = tr(
        "{percent} with the uncertainty of the model's numbers",
        percent=percent(p.p_within_uncertain),
    )
    return f"{chance} ({wider})"


def not_proposed(r: DoseResult) -> str:
    """Title of the dose that is not proposed, under STOP."""
    return tr("Not proposed: what {model} would give", model=r.dose.model)


def would_give_lines(r: DoseResult) -> list[str]:
    """Word the dose that is not proposed; empty where it is."""
    p = r.would_give
    if p is None:
        return []
    low, high = p.auc_0_inf_pi90
    auc = tr(
        "AUC0-inf {auc} mg·h/L, 90 % interval {low:.1f}-{high:.1f}",
        auc=auc_text(p.auc_0_inf, r.goal_low, r.goal_high or r.goal_low),
        low=low,
        high=high,
    )
    return [*dose_lines(r), auc]


def expected_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """AUC of the dose by every model that applies, and the side of the goal."""
    bounds = (r.goal_low, r.goal_high or r.goal_low)
    return [
        (
            row.model,
            auc_text(row.auc_0_inf, *bounds),
            row.side or "",
            "; ".join(
                [
                    tr("{name}, built from {who}", name=row.name, who=tr(row.who)),
                    *(
                        [tr("another reading of {model}, for comparison", model=row.reading_of)]
                        if row.reading_of
                        else []
                    ),
                ]
            ),
        )
        for row in r.expected
    ]


def planned_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """Set the planned course beside the answer; empty without either."""
    if r.planned is None or r.answer is None or r.change_from_planned is None:
        return []
    return [
        (tr("planned {regimen}", regimen=r.planned.regimen.id), *_dose_and_auc(r.planned)),
        (
            tr("for the goal, {change:+.0f} % per dose", change=100 * r.change_from_planned),
            *_dose_and_auc(r.check),
        ),
    ]


def _dose_and_auc(check: CheckResult) -> tuple[str, str, str]:
    """Dose, AUC, and its side of the leading target."""
    dose, auc = check.regimen.doses_mg[0], auc_of(check.headline)
    return f"{mg(dose)} mg", auc, side(check.headline)


def dose_html(result: DoseResult, *, whole: bool = True) -> str:
    """Draw the dose for a target on one sheet; see `fludapk.pages.templates.sheet`."""
    check = result.check
    blocks = blocks_of(check, whole=whole)
    blocks["head"] = {**blocks["head"], "plan": "; ".join(course(result))}
    blocks["answer"] = answer_block(
        result.headline,
        typical_by(result.dose.model),
        [] if result.answer is None else dose_lines(result, in_short=not whole),
        change=change_line(check),
        is_typical=True,
    )
    blocks["remarks"] = remark_rows(result.remarks)
    return sheet(
        "dose.html",
        whole=whole,
        reading_note=typeset(check.reading_note or ""),
        would_give=[typeset(line) for line in would_give_lines(result)],
        not_proposed=not_proposed(result),
        expected_title=tr(EXPECTED),
        expected=[tuple(map(typeset, row)) for row in expected_rows(result)],
        planned_title=tr(PLANNED),
        planned=planned_rows(result),
        is_proposed=result.answer is not None,
        is_reached=result.dose.reached,
        **blocks,
    )
