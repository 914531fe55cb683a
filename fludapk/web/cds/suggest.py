"""The drafts with the dose of the target, to be accepted or not."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from fludapk.answers.check_records import CheckResult
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.typed import Folders
from fludapk.errors import FludapkError
from fludapk.pages.words import mg
from fludapk.published.targets import targets
from fludapk.web.asked import DoseAsked
from fludapk.web.cds.card import Action, Suggestion, identifier
from fludapk.web.cds.orders import Ordered
from fludapk.web.cds.resources import Raw

GAIN: Final = 0.05
"""A dose that makes the target likelier by less than this is not suggested."""


def suggestions_of(
    checked: CheckResult,
    typed: dict[str, Any],
    orders: Sequence[Ordered],
    seed: str,
    folders: Folders = None,
) -> list[Suggestion]:
    """Suggest the dose for the target that fits the patient.

    None under a STOP, without such a target, if no dose that may be given reaches it or makes it
    noticeably likelier, or if an order is no draft any more.

    Parameters
    ----------
    checked : CheckResult
    typed : dict
        The patient and the course as they were checked.
    orders : sequence of Ordered
    seed : str
        What the card is about.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    """
    target = checked.headline.target
    if checked.headline.stops or target is None or targets()[target].optimum is not None:
        return []
    if any(order.order.status != "draft" for order in orders):
        return []
    try:
        result = DoseAsked.model_validate({**typed, "target": target}).answer(folders)
    except FludapkError:
        return []
    planned, before = checked.regimen.doses_mg[0], checked.headline.p_within or 0.0
    dose_mg = _dose_mg(result, before + GAIN)
    if dose_mg is None:
        return []
    change = dose_mg / planned - 1.0
    amount = f"{mg(dose_mg)} mg fludarabine phosphate per dose"
    aim = targets()[target].name
    actions = [
        Action(
            description=f"{amount} instead of {mg(planned)} mg, for {result.goal}",
            resource=with_dose(order.entry.resource, dose_mg),
        )
        for order in orders
    ]
    label = f"{amount} ({change:+.0%}), the dose for the target of {aim}"
    return [Suggestion(label=label, uuid=identifier(seed, label), actions=actions)]


def _dose_mg(result: DoseResult, least: float) -> float | None:
    """Return the dose of the answer, if it reaches the goal and its headline is likely enough."""
    answer, chance = result.answer, result.headline.p_within
    if answer is None or not answer.reached or chance is None or chance < least:
        return None
    return answer.dose_mg


def with_dose(order: Raw, dose_mg: float) -> Raw:
    """An order with another dose in mg, and without the text, rates and narrative of the old one.

    Parameters
    ----------
    order : dict
        A MedicationRequest; it stays as it is.
    dose_mg : float

    Examples
    --------
    >>> order = {"text": {"div": "30"}, "dosageInstruction": [{"text": "30", "doseAndRate": []}]}
    >>> changed = with_dose(order, 28.0)
    >>> changed["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"], len(changed)
    (28, 1)
    """
    changed = deepcopy(order)
    changed.pop("text", None)
    value = int(dose_mg) if dose_mg == int(dose_mg) else dose_mg
    quantity = {
        "value": value,
        "unit": "mg",
        "system": "http://unitsofmeasure.org",
        "code": "mg",
    }
    for instruction in changed["dosageInstruction"]:
        for name in ("text", "patientInstruction"):
            instruction.pop(name, None)
        instruction["doseAndRate"] = [{"doseQuantity": quantity}]
    return changed
