"""The page of a dose for a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fludapk.pages.check import page_footer, page_labels
from fludapk.pages.check_sheet import blocks_of
from fludapk.pages.layout import Strong, paragraph, table
from fludapk.pages.templates import sheet
from fludapk.pages.words import DRUG, FLAG_WORDS, percent, remark_table, who
from fludapk.published.models import replacement_warning
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.dose import DoseResult, Proposal

NO_ANSWER: Final = "the models disagree. Each model's dose is below."


def dose_page(r: DoseResult, width: int, strong: Strong = str) -> str:
    """The dose for a target on one page."""
    n, planned = r.proposals[0].doses, planned_rows(r)
    warning = replacement_warning(r.proposed.model, r.proposed.provenance.model_sha256)
    head = [warning] if warning else []
    head += [paragraph(f"{who(r.proposed)} | {n} infusions | goal: {r.goal}", width)]
    if r.answer is None:
        head.append(paragraph(f"NO SINGLE ANSWER: {NO_ANSWER}", width))
    else:
        lines = draw_up(r.answer, r)
        head.append("\n".join(x if len(x) <= width else paragraph(x, width) for x in lines))
    sections = {
        "Dose by each model that applies": table(proposal_rows(r), width, right="123"),
        "Beside the planned course": table(planned, width, right="12") if planned else "",
        "Renal rules of labels (beside the model, never instead)": page_labels(r.proposed, width),
        "Warnings": remark_table([w for w in r.remarks if w.code != "models_disagree"], width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([*head, *body, page_footer(r.proposed, width)])


def draw_up(p: Proposal, r: DoseResult) -> list[str]:
    """A proposal as it is prepared, and what it gives."""
    low, high = p.auc_0_inf_pi90
    lines = [
        f"{p.dose_mg:g} {DRUG} a dose, {p.doses} doses = {p.total_mg:g} mg"
        + ("" if p.reached else "   [ GOAL NOT REACHED ]"),
        f"{p.dose_mg_m2:.1f} mg/m2 ({p.total_mg_m2:.0f} in all), {p.dose_mg_kg:.2f} mg/kg; "
        f"{p.volume_ml_per_dose:.2f} mL ({MG_PER_ML:g} mg/mL), {p.vials_per_dose} × {VIAL_MG:g}-mg "
        f"vial, {p.waste_mg_per_dose:g} mg waste",
        f"AUC0-inf {p.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[p.flag]} ]",
        _goal_chances(p, r),
    ]
    return [line for line in lines if line]


def _goal_chances(p: Proposal, r: DoseResult) -> str:
    """Probabilities of the goal, if it is a window."""
    if r.goal_high is not None and r.goal_low == r.goal_high:
        return ""
    if r.goal_high is None:
        return f"P(≥ {r.goal_low:g}) {percent(p.p_within)}"
    return (
        f"P(< {r.goal_low:g}) {percent(p.p_below)}, P(within) {percent(p.p_within)}, "
        f"P(> {r.goal_high:g}) {percent(p.p_above)}"
    )


def proposal_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """Model, dose, dose per m2, AUC and remarks of every proposal."""
    rows: list[tuple[str, ...]] = []
    for p in r.proposals:
        low, high = p.auc_0_inf_pi90
        about = [
            f"90 % interval {low:.1f}-{high:.1f}",
            FLAG_WORDS[p.flag].lower(),
            _goal_chances(p, r),
        ]
        about += [] if p.reached else [f"goal not reached: {p.reason}"]
        about += [f"another reading of {p.reading_of}"] if p.reading_of else []
        rows.append(
            (
                p.model,
                f"{p.dose_mg:g} mg",
                f"{p.dose_mg_m2:.1f} mg/m2",
                f"AUC {p.auc_0_inf:.2f}",
                "; ".join(part for part in about if part),
            )
        )
    return rows


def planned_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """The planned course and the chosen model's, if there is a plan."""
    if r.planned is None or r.change_from_planned is None:
        return []
    old, new = r.planned, r.proposals[0]
    return [
        (
            f"planned {old.regimen.id}",
            f"{old.regimen.doses_mg[0]:.2f} mg",
            f"AUC {old.exposure.auc_0_inf:.2f}",
            FLAG_WORDS[old.flag].lower(),
        ),
        (
            f"by {new.model}",
            f"{new.dose_mg:.2f} mg",
            f"AUC {new.auc_0_inf:.2f}",
            f"{FLAG_WORDS[new.flag].lower()}; {100 * r.change_from_planned:+.0f} % of dose",
        ),
    ]


def dose_html(result: DoseResult, *, whole: bool = True) -> str:
    """Draw the dose for a target on one sheet; see `fludapk.pages.templates.sheet`."""
    check = result.proposed
    blocks = blocks_of(check)
    plan = f"{result.proposals[0].doses} infusions; goal: {result.goal}"
    blocks["head"] = {**blocks["head"], "plan": plan}
    return sheet(
        "dose.html",
        whole=whole,
        lines=[] if result.answer is None else draw_up(result.answer, result),
        no_answer=NO_ANSWER,
        note=check.reading_note or "",
        proposals=proposal_rows(result),
        planned=planned_rows(result),
        model=result.proposals[0].model,
        **blocks,
    )
