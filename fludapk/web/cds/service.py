"""The answer to a request: all orders of fludarabine together, one course, one card."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from fludapk.answers.check import checks
from fludapk.answers.check_records import CheckResult
from fludapk.answers.record import Remark, note
from fludapk.answers.typed import Folders
from fludapk.errors import Fault, FludapkError, InputError, gathered
from fludapk.patients.fields import keyword, label
from fludapk.patients.request import Request, read_patient
from fludapk.web.asked import CheckAsked
from fludapk.web.cds.bundles import Library, entries, unreadable
from fludapk.web.cds.card import (
    Card,
    Told,
    answer_card,
    form_of,
    fragment,
    question_card,
    stop_card,
)
from fludapk.web.cds.codes import VALUES
from fludapk.web.cds.course import Planned, ceiling_faults, check_apart, joined, mg_factors
from fludapk.web.cds.fetch import missing_fetched, unanswered
from fludapk.web.cds.hooks import PREFETCH, Answer, Asked
from fludapk.web.cds.instants import When, read_when
from fludapk.web.cds.orders import (
    Ordered,
    Sorted,
    check_calculated,
    read_order,
    sort_orders,
)
from fludapk.web.cds.patient import Person, Purpose, person_of, purpose_of
from fludapk.web.cds.settings import Settings
from fludapk.web.cds.suggest import suggestions_of
from fludapk.web.cds.values import Value, age_remarks, field_name, has_value, value_of


class _Case(NamedTuple):
    """A request on its way to its cards."""

    seed: str
    home: str
    library: Library
    sorted: Sorted
    settings: Settings
    failed: tuple[str, ...]
    folders: Folders


def answer(
    asked: Asked, home: str, folders: Folders = None, settings: Settings | None = None
) -> Answer:
    """Cards for the fludarabine among the orders; none if there is none.

    Parameters
    ----------
    asked : Asked
    home : str
        Address of the page.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    settings : Settings, optional
    """
    settings = settings or Settings()
    home = (settings.public_url or home).rstrip("/")
    seed = f"{asked.hook} {asked.hookInstance}"
    drafts = tuple(entries(asked.context.get("draftOrders")))
    prefetch = asked.prefetch or {}
    library = Library(
        patient_id=_patient_id(asked.context),
        server=asked.fhirServer or "",
        drafts=drafts,
        fetched=tuple(entry for bundle in prefetch.values() for entry in entries(bundle)),
    )
    selections = asked.context.get("selections") if asked.hook == "order-select" else None
    by_kind = sort_orders(library, selections)
    if not drafts:
        why = "the request has no orders that can be read (context.draftOrders)"
        return Answer(cards=[question_card([why], seed=seed, home=home, form={}, lines=[])])
    lost = unreadable(asked.context.get("draftOrders"))
    cards = _unknown_cards(by_kind, lost, seed, home)
    if not by_kind.fludarabine or not by_kind.is_asked:
        return Answer(cards=cards)
    library, failed = _completed(asked, library, prefetch, settings)
    case = _Case(seed, home, library, by_kind, settings, failed, folders)
    return Answer(cards=[_card(case), *cards])


def _patient_id(context: dict[str, Any]) -> str:
    told = context.get("patientId")
    return told.removeprefix("Patient/") if isinstance(told, str) else ""


def _unknown_cards(by_kind: Sorted, lost: int, seed: str, home: str) -> list[Card]:
    """A card for what could be fludarabine, and nothing tells."""
    sentences = []
    if by_kind.unknown:
        which = ", ".join(sorted(entry.relative[:80] for entry in by_kind.unknown)[:10])
        sentences.append(f"the drug of {which} cannot be read: is it fludarabine?")
    if lost:
        sentences.append(f"draftOrders: {lost} of its entries cannot be read")
    if not sentences:
        return []
    return [question_card(sentences, seed=seed, home=home, form={}, lines=[], severity="note")]


def _completed(
    asked: Asked, library: Library, prefetch: dict[str, Any], settings: Settings
) -> tuple[Library, tuple[str, ...]]:
    """The library with what could be fetched, and what could not."""
    token = asked.fhirAuthorization.access_token if asked.fhirAuthorization else ""
    came = missing_fetched(
        {key: PREFETCH[key] for key in _missing(library)},
        settings,
        patient_id=library.patient_id,
        server=library.server,
        token=token,
    )
    more = tuple(entry for bundle in came.prefetch.values() for entry in entries(bundle))
    failed = [
        f"{key}: the record system could not answer" for key in unanswered(prefetch, [*PREFETCH])
    ]
    completed = Library(
        patient_id=library.patient_id,
        server=library.server,
        drafts=library.drafts,
        fetched=(*library.fetched, *more),
    )
    return completed, (*failed, *came.failed)


def _missing(library: Library) -> list[str]:
    """Keys of the prefetch of which nothing came."""
    kinds = {entry.kind for entry in library.fetched}
    own = f"Patient/{library.patient_id}"
    missing = [] if any(entry.relative == own for entry in library.fetched) else ["patient"]
    missing += [what for what in VALUES if not has_value(what, library)]
    return missing if "Condition" in kinds else [*missing, "conditions"]


# ------------------------------------------------------------------ one course, one card


class _Read(NamedTuple):
    """Everything that was understood, and the faults of the rest."""

    orders: list[Ordered]
    planned: Planned | None
    person: Person | None
    values: dict[str, Value]
    faults: list[Fault]


def _card(case: _Case) -> Card:
    """Card of all orders of fludarabine together."""
    understood = _read(case)
    remarks = [note("left_out", text) for text in case.sorted.left_out]
    remarks += [note("not_answered", text) for text in case.failed]
    form = _form(understood)
    doubts = [remark for value in understood.values.values() for remark in value.remarks]
    lines = [*_used(understood), *(remark.message for remark in (*doubts, *remarks))]
    stops = _ceilings(understood)
    if stops:
        told = [fault.text(label) for fault in understood.faults]
        return stop_card(
            stops,
            seed=case.seed,
            home=case.home,
            form=form,
            lines=[*_course(understood), *told, *lines],
        )
    faults = list(understood.faults)
    if not faults and understood.planned is not None and understood.person is not None:
        purpose = purpose_of(understood.orders, case.library)
        try:
            return _answered(case, understood, purpose, remarks)
        except FludapkError as error:
            faults += error.faults
            form = _form(understood, purpose)
        except ValidationError:
            faults.append(Fault("", "the values cannot be read"))
    names = dict.fromkeys(fault.confirm for fault in faults if fault.confirm)
    confirm = " and ".join(label(keyword(name)) for name in names)
    sentences = [_worded(fault) for fault in faults]
    return question_card(
        sentences,
        seed=case.seed,
        home=case.home,
        form=form,
        lines=[*_course(understood), *lines],
        confirm=confirm,
    )


def _worded(fault: Fault) -> str:
    """A fault; how a slip is confirmed stands at the link."""
    return replace(fault, confirm="").text(label)


def _read(case: _Case) -> _Read:
    """Read orders, patient and values; the faults of all."""
    faults: list[Fault] = []
    zone = case.settings.zone
    orders: list[Ordered] = []
    for entry in case.sorted.fludarabine:
        try:
            orders.append(read_order(entry, case.library, zone))
        except InputError as error:
            name = f"{entry.relative[:80]}, " if len(case.sorted.fludarabine) > 1 else ""
            faults += [Fault("", f"{name}{text}") for text in error.sentences(label)]
    planned = None
    if not faults:
        try:
            planned = joined(orders)
        except InputError as error:
            faults += error.faults
    person, values = None, {}
    try:
        person = person_of(case.library, _first_day(orders, planned, case.settings))
    except InputError as error:
        faults += error.faults
    for what in VALUES:
        try:
            values[what] = value_of(what, case.library, zone)
        except InputError as error:
            faults += error.faults
    if case.library.patient_id == "":
        faults.insert(0, Fault("", "the request does not say for whom it is (context.patientId)"))
    return _Read(orders, planned, person, values, list(dict.fromkeys(faults)))


def _now(settings: Settings) -> When:
    now = read_when(settings.now().isoformat(), settings.zone)
    assert now is not None
    return now


def _first_day(orders: Sequence[Ordered], planned: Planned | None, settings: Settings) -> dt.date:
    """Day of the first dose; of the order if that has no date, else today."""
    if planned is not None and planned.first is not None:
        return planned.first.day
    written = (read_when(order.order.authored_on, settings.zone) for order in orders)
    days = [when.day for when in written if when is not None]
    return min(days, default=_now(settings).day)


def _size(understood: _Read) -> tuple[float | None, float | None]:
    """Body surface area and weight, as far as they can be read."""
    weight, height = (understood.values.get(what) for what in ("weight", "height"))
    kg = weight.internal if weight is not None else None
    if weight is None or height is None or understood.person is None:
        return None, kg
    try:
        patient = read_patient(
            {
                "age": understood.person.age_years,
                "weight": str(weight.typed),
                "height": str(height.typed),
            }
        )
    except InputError:
        return None, kg
    return patient.bsa_m2, kg


def _ceilings(understood: _Read) -> list[str]:
    """Ceilings that the orders pass together; without their days, if they start together."""
    bsa, weight = _size(understood)
    planned = understood.planned
    if planned is None and understood.orders:
        try:
            planned = joined(understood.orders)  # without those that were not understood
        except InputError:
            planned = None
    if planned is not None:
        faults = ceiling_faults(planned.infusions, planned.times_h, bsa, weight)
        return [fault.text(label) for fault in faults]
    infusions = [infusion for order in understood.orders for infusion in order.infusions]
    if not infusions or any(infusion.slot.start is not None for infusion in infusions):
        return []
    times = [infusion.slot.after_h for infusion in infusions]
    faults = ceiling_faults(infusions, times, bsa, weight)
    return [f"if these orders start together, {fault.text(label)}" for fault in faults]


def _used(understood: _Read) -> list[str]:
    """The values with their days."""
    told = [str(value) for value in understood.values.values()]
    return [f"Used: {', '.join(told)}."] if told else []


def _course(understood: _Read) -> list[str]:
    planned = understood.planned
    return [f"Ordered: {planned.described()}"] if planned is not None else []


def _typed(understood: _Read, purpose: Purpose | None = None) -> dict[str, Any]:
    """The patient as a person would type it."""
    typed: dict[str, Any] = {}
    if understood.person is not None:
        typed["age"] = understood.person.age_years
        if understood.person.sex:
            typed["sex"] = understood.person.sex
    typed |= {field_name(what): str(value.typed) for what, value in understood.values.items()}
    if purpose is not None and purpose.product:
        typed["product"] = purpose.product
    if purpose is not None and purpose.diagnosis:
        typed["diagnosis"] = purpose.diagnosis
    return typed


def _form(understood: _Read, purpose: Purpose | None = None) -> dict[str, str]:
    """Fields of the page for what was understood."""
    planned = understood.planned
    course = planned.typed() if planned is not None and planned.is_regular else {}
    return form_of({**_typed(understood, purpose), **course})


def _answered(case: _Case, understood: _Read, purpose: Purpose, remarks: list[Remark]) -> Card:
    """Card of a course that was understood.

    Raises
    ------
    FludapkError
        If the patient or the course cannot be computed.
    """
    planned, person = understood.planned, understood.person
    assert planned is not None
    assert person is not None
    check_apart(planned)
    typed = {**_typed(understood, purpose), **(planned.typed() if planned.is_regular else {})}
    checked, factors = _checked(typed, planned, case.folders)
    remarks = [
        *remarks,
        *planned.remarks,
        *purpose.remarks,
        *(remark for value in understood.values.values() for remark in value.remarks),
        *age_remarks(
            understood.values.values(),
            _first_day(understood.orders, planned, case.settings),
            _now(case.settings),
            person.age_years,
        ),
        *_calculated(understood.orders, factors),
    ]
    suggestions = []
    if planned.is_regular:
        suggestions = suggestions_of(checked, typed, understood.orders, case.seed, case.folders)
    (used,) = _used(understood)
    told = Told(
        course=planned.described(),
        text="; ".join(dict.fromkeys(o.text for o in understood.orders if o.text)),
        used=used,
        lacks=purpose.lacks,
        remarks=remarks,
    )
    return answer_card(
        checked,
        told,
        seed=case.seed,
        address=f"{case.home}/{fragment(_form(understood, purpose))}",
        suggestions=suggestions,
    )


def _checked(
    typed: dict[str, Any], planned: Planned, folders: Folders
) -> tuple[CheckResult, dict[str, float]]:
    """The check of a course: as typed if it is regular, else dose by dose."""
    if planned.is_regular:
        checked = CheckAsked.model_validate(typed).answer(folders)
        return checked, mg_factors(checked.patient.bsa_m2, checked.patient.weight_kg)
    patient = read_patient(typed)
    factors = mg_factors(patient.bsa_m2, patient.weight_kg)
    regimen, course = gathered(lambda: planned.regimen(factors), lambda: planned.course(factors))
    (outcome,) = checks([Request(patient=patient, regimen=regimen, course=course)], folders=folders)
    if isinstance(outcome, FludapkError):
        raise outcome
    return outcome, factors


def _calculated(orders: Sequence[Ordered], factors: dict[str, float]) -> list[Remark]:
    """Remarks on doses that were calculated for what was ordered."""
    compared = [
        check_calculated(order.infusions[0].dose, calculated, factors)
        for order in orders
        for calculated in order.calculated
    ]
    return [remark for remark in compared if remark is not None]
