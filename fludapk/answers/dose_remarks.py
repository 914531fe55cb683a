"""Remarks on a dose for a target, each a rule of its own; see `fludapk.answers.check_remarks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fludapk.answers.check_records import CheckResult
from fludapk.answers.dose_records import Expectation, Proposal
from fludapk.answers.goal import Goal
from fludapk.answers.headline import auc_text, percent
from fludapk.answers.record import Remark, caution, worst_first
from fludapk.language import marked, tr
from fludapk.patients.course import AGAINST_LESS, AGAINST_MORE, NOTEWORTHY_CUT
from fludapk.published.targets import targets


@dataclass(frozen=True, kw_only=True)
class DoseFacts:
    """Everything a rule may look at.

    Parameters
    ----------
    goal : Goal
    dose : Proposal
        Dose of the model, proposed or not.
    expected : sequence of Expectation
        AUC of that dose by every model that applies, the chosen one first.
    change : float, optional
        Relative change of a proposed dose from the planned one.
    proposed : CheckResult
        The check of the dose.
    plan : CheckResult, optional
        The check of the planned course.
    """

    goal: Goal
    dose: Proposal
    expected: Sequence[Expectation]
    change: float | None
    proposed: CheckResult
    plan: CheckResult | None


Rule: TypeAlias = Callable[[DoseFacts], Remark | None]


def remarks_of_dose(facts: DoseFacts) -> list[Remark]:
    """Apply every rule, and add the remarks of the check; the worst first."""
    remarks = [remark for rule in RULES if (remark := rule(facts)) is not None]
    codes = {remark.code for remark in remarks}
    of_plan = () if facts.plan is None else facts.plan.remarks
    remarks += [remark for remark in facts.proposed.remarks if remark.code not in codes]
    remarks += [remark for remark in of_plan if remark.code == "bsa_cap"]
    return worst_first(remarks)


def target_of_others(facts: DoseFacts) -> Remark | None:
    """Warn if the target was found in patients unlike this one."""
    record = next((t for t in facts.proposed.targets if t.id == facts.goal.target), None)
    if record is None or record.applies:
        return None
    message = tr(
        "{target} was found in other patients: {patients}. {own_target}",
        target=record.name,
        patients=record.context,
        own_target=_own_target(facts.proposed),
    )
    return caution("target_of_others", message, record.citation)


def _own_target(check: CheckResult) -> str:
    """Name the target that fits the patient, or say that none does."""
    own = check.headline.target
    if own is None:
        return tr("No published target is known to fit this patient")
    return tr(
        "The target that fits this patient is {target} ({id})", target=targets()[own].name, id=own
    )


def not_reached(facts: DoseFacts) -> Remark | None:
    """Warn if no dose reaches the goal, and name the side on which it is missed."""
    dose = facts.dose
    if dose.reached:
        return None
    message = marked(
        "no dose reaches the goal: {reason}; the nearest, {dose:g} mg per dose, gives AUC {auc} "
        "mg·h/L"
    )
    if facts.goal.kind == "window":
        message = marked(
            "no dose reaches the goal: {reason}; the nearest, {dose:g} mg per dose, gives AUC "
            "{auc} mg·h/L, {chance} in the window"
        )
    message = tr(
        message,
        reason=dose.reason,
        dose=dose.dose_mg,
        auc=auc_text(dose.auc_0_inf, facts.goal.low, facts.goal.high),
        chance=percent(dose.p_within),
    )
    return caution("not_reached", message)


def not_with_uncertainty(facts: DoseFacts) -> Remark | None:
    """Warn if the required probability is reached over patients only."""
    required, wider = facts.goal.probability, facts.dose.p_within_uncertain
    if not facts.dose.reached or required is None or wider is None or wider > required:
        return None
    message = tr(
        "the probability of {required:g} is reached over patients ({chance}); with the "
        "uncertainty of the model's printed numbers it is {wider}",
        required=required,
        chance=percent(facts.dose.p_within),
        wider=percent(wider),
    )
    return caution("not_with_uncertainty", message)


def models_disagree(facts: DoseFacts) -> Remark | None:
    """Warn if another model puts the AUC of the dose on the other side of a limit of the goal."""
    own, *others = facts.expected
    rivals = [
        tr(
            "{model}, built from {who}, expects {auc} mg·h/L: {side}",
            model=row.name,
            who=row.who,
            auc=auc_text(row.auc_0_inf, facts.goal.low, facts.goal.high),
            side=row.side,
        )
        for row in others
        if row.side != own.side and row.reading_of is None
    ]
    return caution("models_disagree", "; ".join(rivals)) if rivals else None


def above_planned(facts: DoseFacts) -> Remark | None:
    """Say what speaks against more than the planned dose."""
    if facts.change is None or facts.change <= 0:
        return None
    message = tr(
        "{percent:.0f} % above the planned dose, for: {goal}. {reasons}",
        percent=100 * facts.change,
        goal=facts.goal,
        reasons=tr(AGAINST_MORE),
    )
    return caution("above_planned", message)


def below_planned(facts: DoseFacts) -> Remark | None:
    """Say what speaks against much less than the planned dose."""
    if facts.change is None or facts.change >= -NOTEWORTHY_CUT:
        return None
    message = tr(
        "{percent:.0f} % below the planned dose, for: {goal}. {reasons}",
        percent=-100 * facts.change,
        goal=facts.goal,
        reasons=tr(AGAINST_LESS),
    )
    return caution("below_planned", message)


RULES: Final[tuple[Rule, ...]] = (
    target_of_others,
    not_reached,
    not_with_uncertainty,
    models_disagree,
    above_planned,
    below_planned,
)
