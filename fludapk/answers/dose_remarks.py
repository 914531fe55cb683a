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
from fludapk.patients.course import AGAINST_MORE
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
        Relative change from the planned dose.
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
    message = (
        f"{record.name} was found in other patients: {record.context}. "
        f"{_own_target(facts.proposed)}"
    )
    return caution("target_of_others", message, record.citation)


def _own_target(check: CheckResult) -> str:
    """Name the target that fits the patient, or say that none does."""
    own = check.headline.target
    if own is None:
        return "No published target is known to fit this patient"
    return f"The target that fits this patient is {targets()[own].name} ({own})"


def not_reached(facts: DoseFacts) -> Remark | None:
    """Warn if no dose reaches the goal, and name the side on which it is missed."""
    dose = facts.dose
    if dose.reached:
        return None
    chance = f", {percent(dose.p_within)} in the window" if facts.goal.kind == "window" else ""
    auc = auc_text(dose.auc_0_inf, facts.goal.low, facts.goal.high)
    message = (
        f"no dose reaches the goal: {dose.reason}; the nearest, {dose.dose_mg:g} mg per dose, "
        f"gives AUC {auc} mg·h/L{chance}"
    )
    return caution("not_reached", message)


def not_with_uncertainty(facts: DoseFacts) -> Remark | None:
    """Warn if the required probability is reached over patients only."""
    required, wider = facts.goal.probability, facts.dose.p_within_uncertain
    if not facts.dose.reached or required is None or wider is None or wider > required:
        return None
    message = (
        f"the probability of {required:g} is reached over patients ({percent(facts.dose.p_within)})"
        f"; with the uncertainty of the model's printed numbers it is {percent(wider)}"
    )
    return caution("not_with_uncertainty", message)


def models_disagree(facts: DoseFacts) -> Remark | None:
    """Warn if another model puts the AUC of the dose on the other side of a limit of the goal."""
    own, *others = facts.expected
    rivals = [
        f"{row.name}, built from {row.who}, expects "
        f"{auc_text(row.auc_0_inf, facts.goal.low, facts.goal.high)} mg·h/L: {row.side}"
        for row in others
        if row.side != own.side and row.reading_of is None
    ]
    return caution("models_disagree", "; ".join(rivals)) if rivals else None


def above_planned(facts: DoseFacts) -> Remark | None:
    """Say what speaks against more than the planned dose."""
    if facts.change is None or facts.change <= 0:
        return None
    message = (
        f"{100 * facts.change:.0f} % above the planned dose, for: {facts.goal}. {AGAINST_MORE}"
    )
    return caution("above_planned", message)


RULES: Final[tuple[Rule, ...]] = (
    target_of_others,
    not_reached,
    not_with_uncertainty,
    models_disagree,
    above_planned,
)
