"""The orders of fludarabine in a request, each as infusions; or why an order is none."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fludapk.answers.record import Remark, caution, note
from fludapk.errors import Fault, InputError, gathered
from fludapk.patients.course import ROUNDING_CAUTION, ROUNDING_REFUSED
from fludapk.web.cds.bundles import Entry, Library, tail, text_of
from fludapk.web.cds.codes import (
    INFUSED_NAME,
    INTRATHECAL_NAME,
    INTRAVENOUS,
    ORAL_NAME,
    OTHER_ROUTE_NAME,
    OTHER_ROUTES,
)
from fludapk.web.cds.drugs import ORDER, Drug, drug_of
from fludapk.web.cds.quantities import Typed, typed
from fludapk.web.cds.resources import Concept, Dosage, DoseAndRate, Order, Quantity, read, unread
from fludapk.web.cds.timing import Slot, slots

NO_ORDER: Final = frozenset({"cancelled", "stopped", "entered-in-error"})
"""Statuses of what is no longer an order."""
_ORDERED: Final = frozenset({"draft", "active"})
_INTENTS: Final = frozenset({"", "proposal", "plan", "order", "original-order"})
_HARMLESS: Final = frozenset({
    "meta", "language", "text", "contained", "identifier", "statusReason", "category", "priority",
    "encounter", "supportingInformation", "requester", "performer", "performerType", "recorder",
    "groupIdentifier", "courseOfTherapyType", "insurance", "dispenseRequest", "substitution",
    "detectedIssue", "eventHistory",
})  # fmt: skip
"""Elements of an order that do not change how much is given when."""
_HARMLESS_OF_DOSAGE: Final = frozenset({"site", "method"})
_DOSE_IN_TEXT: Final = re.compile(
    r"(?<![\d.,])(\d{1,4}(?:[.,]\d{1,3})?)\s{0,3}mg\s{0,2}"
    r"(?:/\s{0,2}(m2|m²|m\^2|kg)(?!\w)|(?!\s{0,2}/))",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Infusion:
    """An infusion as ordered."""

    order: str
    """Id of the order."""
    slot: Slot
    dose: Typed
    length: Typed | None
    """None if the order does not say it."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """One order of fludarabine that was understood."""

    entry: Entry
    order: Order
    infusions: tuple[Infusion, ...]
    remarks: tuple[Remark, ...]
    text: str
    """The dosage as a person would read it."""
    calculated: tuple[Typed, ...] = ()
    """Doses that were calculated beside the one that is ordered."""


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The orders of a request by what they are."""

    fludarabine: tuple[Entry, ...]
    """Orders that count."""
    left_out: tuple[str, ...]
    """Why others of fludarabine do not."""
    unknown: tuple[Entry, ...]
    """Orders of nobody knows what."""
    is_asked: bool
    """True if fludarabine was selected, or everything is asked about."""


def sort_orders(library: Library, selections: Any) -> Sorted:
    """Find the orders of fludarabine.

    Parameters
    ----------
    library : Library
    selections : object
        Of the context: ids or addresses of what was chosen just now; None for a hook without.

    Examples
    --------
    >>> order = {"resourceType": ORDER, "id": "a", "medicationCodeableConcept": {"text": "Fludara"}}
    >>> sort_orders(Library(patient_id="p1", drafts=(Entry("", order),)), None).is_asked
    True
    """
    orders = [
        entry
        for entry in library.drafts
        if entry.kind == ORDER or any(key.startswith("medication") for key in entry.resource)
    ]
    chosen, strays = _chosen(library.drafts, selections)
    kinds = {entry: drug_of(entry.resource, library).kind for entry in map(_Key, orders)}
    counted, left_out = [], []
    for key, kind in kinds.items():
        if kind != "fludarabine":
            continue
        why = _no_order(key.entry)
        if why:
            left_out.append(f"not counted: {key.entry.relative[:80]}, {why}")
        else:
            counted.append(key.entry)
    unknown = [key.entry for key, kind in kinds.items() if kind == "unknown"]
    every = chosen is None
    replaced = _replaced(counted)
    left_out += [f"not counted: {e.relative[:80]}, replaced by a newer one" for e in replaced]
    counted = [entry for entry in counted if not any(entry is other for other in replaced)]
    return Sorted(
        fludarabine=tuple(sorted(counted, key=lambda entry: (entry.relative, entry.url))),
        left_out=tuple(sorted(left_out)),
        unknown=tuple(
            entry for entry in unknown if (every or _is_in(entry, chosen)) and not _no_order(entry)
        ),
        is_asked=every or strays or any(_is_in(entry, chosen) for entry in counted),
    )


@dataclass(frozen=True, eq=False)
class _Key:
    """An entry as the key of a dictionary, by what it is and not by what it holds."""

    entry: Entry

    @property
    def resource(self) -> dict[str, Any]:
        return self.entry.resource


def _chosen(drafts: tuple[Entry, ...], selections: Any) -> tuple[set[str] | None, bool]:
    """References that were selected, and whether one of them is to nothing that was sent."""
    if not isinstance(selections, list) or not selections:
        return None, False
    texts = {text for text in selections if isinstance(text, str)}
    chosen = texts | {tail(text) for text in texts}
    here = {entry.url for entry in drafts} | {entry.relative for entry in drafts}
    strays = len(texts) < len(selections) or any(
        text not in here and tail(text) not in here for text in texts
    )
    return chosen, strays


def _is_in(entry: Entry, chosen: set[str] | None) -> bool:
    return chosen is not None and (entry.relative in chosen or bool({entry.url} & (chosen - {""})))


def _no_order(entry: Entry) -> str:
    """Reason why an order is none any more; empty if it is one."""
    status = text_of(entry.resource, "status")
    if status in NO_ORDER:
        return f"its status is {status}"
    return "it says not to give it" if entry.resource.get("doNotPerform") is True else ""


def _replaced(orders: list[Entry]) -> list[Entry]:
    """Orders that another one of the request takes the place of."""
    replaced = set()
    for entry in orders:
        prior = entry.resource.get("priorPrescription")
        reference = prior.get("reference") if isinstance(prior, dict) else None
        if isinstance(reference, str) and reference:
            replaced |= {reference, tail(reference)}
    return [e for e in orders if e.relative in replaced or (e.url and e.url in replaced)]


def read_order(entry: Entry, library: Library, zone: dt.tzinfo | None) -> Ordered:
    """Read an order of fludarabine.

    Raises
    ------
    InputError
        Naming everything that is not understood.
    """
    drug = drug_of(entry.resource, library)
    if entry.kind != ORDER:
        raise InputError(f"order: a {entry.kind[:40] or 'resource without a type'}, not a {ORDER}")
    order = read(Order, entry.resource, "order")
    if len(order.dosage_instruction) == 0:
        raise InputError("order: no dosage instruction")
    remarks: list[Remark] = []
    calculated: list[Typed] = []
    _, *parts = gathered(
        lambda: _check_order(order, drug, library, remarks),
        *(
            partial(_infusions, order, dosage, drug, zone, remarks, calculated)
            for dosage in order.dosage_instruction
        ),
    )
    if len(parts) > 1 and any(infusion.slot.start is None for part in parts for infusion in part):
        raise InputError(
            f"order: {len(parts)} dosage instructions without the days of each: which is when?"
        )
    texts = [d.text or d.patient_instruction for d in order.dosage_instruction]
    texts += [annotation.text for annotation in order.note]
    for dosage in order.dosage_instruction:
        texts += [text for concept in dosage.additional_instruction for text in concept.words]
    return Ordered(
        entry=entry,
        order=order,
        infusions=tuple(infusion for part in parts for infusion in part),
        remarks=tuple(remarks),
        text="; ".join(text[:200] for text in texts if text),
        calculated=tuple(calculated),
    )


def _check_order(order: Order, drug: Drug, library: Library, remarks: list[Remark]) -> None:
    """Refuse an order that is not for this patient, or not of a kind that is understood."""
    faults = [f"order: {name} is not understood" for name in unread(order, _HARMLESS)]
    if order.status not in _ORDERED:
        faults.append(
            f"order: status {order.status[:30]!r} is not understood: draft or active"
            if order.status
            else "order: no status"
        )
    if order.reported_boolean:
        faults.append("order: it is reported by somebody, not ordered here")
    if order.intent not in _INTENTS:
        faults.append(f"order: intent {order.intent[:30]!r} is not understood")
    subject = order.subject.reference
    if not subject:
        faults.append("order: it does not say for whom it is (subject)")
    elif not library.is_of_patient(subject):
        faults.append("order: it is for another patient than the one of the request")
    if drug.is_oral:
        faults.append("order: not an infusion (by mouth): only infusions are computed")
    if order.medication_codeable_concept is not None and order.medication_reference is not None:
        faults.append("order: the drug is told twice, as a code and as a reference")
    if drug.doubt:
        faults.append(f"order: {drug.doubt}: which is it?")
    if drug.mixed_with:
        others = ", ".join(name[:60] for name in drug.mixed_with)
        faults.append(f"order: a mixture with {others}: of which the dose is, is not said")
    if faults:
        raise InputError(*faults)
    if drug.words and not drug.is_named:
        message = f"order: fludarabine by its code, by its text {drug.words[0][:60]!r}"
        remarks.append(caution("drug_text", message))
    if order.status == "active":
        message = "order: already active, not a draft; it is checked as it stands"
        remarks.append(note("order_active", message))


def _infusions(
    order: Order,
    dosage: Dosage,
    drug: Drug,
    zone: dt.tzinfo | None,
    remarks: list[Remark],
    calculated: list[Typed],
) -> list[Infusion]:
    """Infusions of a dosage instruction."""
    _, when, (dose, rate) = gathered(
        lambda: _check_dosage(dosage, drug, remarks),
        lambda: slots(dosage, zone),
        lambda: _dose(dosage, remarks, calculated),
    )
    length = _length(dosage, dose, rate)
    if length is None:
        remarks.append(note("infusion_time", "order: no infusion time; 30 min are taken"))
    return [Infusion(order=order.id, slot=slot, dose=dose, length=length) for slot in when]


def _check_dosage(dosage: Dosage, drug: Drug, remarks: list[Remark]) -> None:
    faults = [
        f"order: dosageInstruction.{name} is not understood"
        for name in unread(dosage, _HARMLESS_OF_DOSAGE)
    ]
    if dosage.as_needed_boolean or dosage.as_needed_codeable_concept is not None:
        faults.append("order: as needed (asNeeded): nobody knows how often")
    told = f"{dosage.text} {dosage.patient_instruction}"
    route = _route(dosage.route)
    if route == "" and (ORAL_NAME.search(told) or INTRATHECAL_NAME.search(told)):
        route = "oral" if ORAL_NAME.search(told) else "intrathecal"
    if route == "unknown":
        faults.append("order: the route is not understood: only infusions are computed")
    elif route not in ("", "intravenous"):
        faults.append(f"order: not an infusion ({route} route): only infusions are computed")
    if faults:
        raise InputError(*faults)
    if route == "" and not INFUSED_NAME.search(f"{told} {' '.join(drug.words)}"):
        message = "order: no route; computed as an intravenous infusion"
        remarks.append(caution("no_route", message))


def _route(route: Concept | None) -> str:
    """Route by its codes and words: intravenous, another, unknown; empty if none is told."""
    if route is None or not (route.coding or route.text):
        return ""
    told = set()
    for coding in route.coding:
        if coding.code in INTRAVENOUS:
            told.add("intravenous")
        elif coding.code in OTHER_ROUTES:
            told.add(OTHER_ROUTES[coding.code])
    for text in route.words:
        if ORAL_NAME.search(text):
            told.add("oral")
        elif INTRATHECAL_NAME.search(text):
            told.add("intrathecal")
        elif OTHER_ROUTE_NAME.search(text):
            told.add(text[:30].lower())
        elif INFUSED_NAME.search(text):
            told.add("intravenous")
    others = sorted(told - {"intravenous"})
    return others[0] if others else "intravenous" if told else "unknown"


# ------------------------------------------------------------------ dose


def _dose(
    dosage: Dosage, remarks: list[Remark], calculated: list[Typed]
) -> tuple[Typed, DoseAndRate]:
    """The dose of an infusion; of the pair calculated and ordered, that which is ordered."""
    rates = dosage.dose_and_rate
    if not rates:
        raise InputError("order: no dose (doseAndRate)")
    extra = [f"doseAndRate.{name}" for rate in rates for name in unread(rate)]
    if extra:
        raise InputError(*(f"order: {name} is not understood" for name in dict.fromkeys(extra)))
    kinds = [_kind(rate) for rate in rates]
    if len(rates) > 2 or (len(rates) == 2 and sorted(kinds) != ["calculated", "ordered"]):
        raise InputError(f"order: {len(rates)} doses (doseAndRate), one is needed")
    chosen = rates[kinds.index("ordered")] if len(rates) == 2 else rates[0]
    dose = _typed_dose(chosen.dose_quantity)
    doses = [dose]
    if len(rates) == 2:
        doses.append(_typed_dose(rates[kinds.index("calculated")].dose_quantity))
        calculated.append(doses[1])
        remarks.append(note("calculated_dose", f"order: {doses[1]} calculated for {doses[0]}"))
    remarks += [d.remark for d in doses if d.remark is not None]
    _compare_text(dosage.text, doses)
    return dose, chosen


def _typed_dose(quantity: Quantity | None) -> Typed:
    if quantity is not None and (quantity.code or quantity.unit).strip("{}[]").lower().startswith(
        ("tab", "tbl", "cap")
    ):
        raise InputError("order: not an infusion (tablets): only infusions are computed")
    dose = typed(quantity, "dose")
    if dose.number <= 0:
        raise InputError(f"dose: {dose} must be above zero")
    return dose


def _kind(rate: DoseAndRate) -> str:
    codings = rate.type.coding if rate.type is not None else ()
    return next((coding.code for coding in codings if coding.code), "")


def _compare_text(text: str, doses: list[Typed]) -> None:
    """Refuse a dose that the text of the order contradicts."""
    told = [
        (float(number.replace(",", ".")), f"mg/{per.lower().replace('²', '2').replace('^', '')}")
        if per
        else (float(number.replace(",", ".")), "mg")
        for number, per in _DOSE_IN_TEXT.findall(text)
    ]
    for dose in doses:
        same_unit = [number for number, unit in told if unit == dose.unit]
        if same_unit and not any(abs(n - dose.number) <= 0.005 * dose.number for n in same_unit):
            raise InputError(
                f"order: its text says {same_unit[0]:g} {dose.unit}, its dose {dose}: which is it?"
            )


def check_calculated(ordered: Typed, calculated: Typed, factors: dict[str, float]) -> Remark | None:
    """Compare the dose that was calculated with the one that was ordered.

    Parameters
    ----------
    ordered, calculated : Typed
    factors : mapping of str to float
        Unit of a dose -> mg of one of it, for this patient.

    Raises
    ------
    InputError
        If they differ by more than a rounding may.

    Examples
    --------
    >>> check_calculated(Typed(30, "mg/m2"), Typed(54, "mg"), {"mg/m2": 1.8, "mg": 1.0})
    """
    change = (
        calculated.number * factors[calculated.unit] / (ordered.number * factors[ordered.unit])
        - 1.0
    )
    told = f"order: {calculated} calculated is {change:+.0%} of {ordered} ordered"
    if abs(change) > ROUNDING_REFUSED:
        raise InputError(Fault("", f"{told}: which is it?"))
    return caution("calculated_dose", told) if abs(change) > ROUNDING_CAUTION else None


# ------------------------------------------------------------------ length


def _length(dosage: Dosage, dose: Typed, rate: DoseAndRate) -> Typed | None:
    """Length of an infusion by its duration, or by its rate in mg; None if neither is told."""
    repeat = dosage.timing.repeat if dosage.timing is not None else None
    lengths = []
    if repeat is not None and (repeat.duration is not None or repeat.duration_unit):
        system = "http://unitsofmeasure.org"
        lengths.append(
            typed(
                Quantity(value=repeat.duration, code=repeat.duration_unit, system=system),
                "duration",
            )
        )
    by_rate = _hours_by_rate(dose, rate)
    if by_rate is not None:
        lengths.append(Typed(by_rate, "h"))
    if len(lengths) == 2 and abs(_hours(lengths[0]) / _hours(lengths[1]) - 1) > 0.02:
        raise InputError(f"order: {lengths[0]} by its duration, {lengths[1]} by its rate")
    return lengths[0] if lengths else None


def _hours(length: Typed) -> float:
    return length.number * {"min": 1 / 60, "h": 1.0, "days": 24.0}[length.unit]


def _hours_by_rate(dose: Typed, rate: DoseAndRate) -> float | None:
    """Hours of an infusion at a rate in mg; any other rate is not understood."""
    if rate.rate_quantity is None and rate.rate_ratio is None:
        return None
    refused = InputError(
        Fault("", "order: the rate is not understood", do="give mg per h or min, or the duration")
    )
    mg_h: float
    if rate.rate_quantity is not None:
        quantity, per_h = rate.rate_quantity, {"mg/h": 1.0, "mg/min": 60.0}
        if quantity.code not in per_h or not quantity.value or quantity.comparator:
            raise refused
        mg_h = quantity.value * per_h[quantity.code]
    else:
        ratio = rate.rate_ratio
        assert ratio is not None
        above, below = ratio.numerator, ratio.denominator
        per = {"h": 1.0, "min": 60.0}.get(below.code)
        if above.code != "mg" or per is None or not above.value or above.comparator:
            raise refused
        mg_h = above.value * per / (below.value or 1.0)
    if dose.unit != "mg" or mg_h <= 0:
        raise refused
    return float(f"{dose.number / mg_h:.12g}")
