"""The patient of a request: sex, age on a day, product and diagnosis."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fludapk.answers.record import Remark, caution, note
from fludapk.errors import InputError
from fludapk.patients.age import age_years
from fludapk.published.regimens import regimens
from fludapk.web.cds.bundles import Library, text_of
from fludapk.web.cds.codes import diagnoses_in, products_in
from fludapk.web.cds.instants import is_partial, read_when
from fludapk.web.cds.orders import NO_ORDER, Ordered
from fludapk.web.cds.resources import Coding, Concept, Condition, Patient, read, unread

_HARMLESS = frozenset({
    "meta", "language", "text", "contained", "identifier", "active", "name", "telecom", "address",
    "maritalStatus", "multipleBirthBoolean", "multipleBirthInteger", "photo", "contact",
    "communication", "generalPractitioner", "managingOrganization", "link",
    "deceasedBoolean", "deceasedDateTime",
})  # fmt: skip
_PLANS = frozenset({"RequestGroup", "CarePlan"})
_ACTIVE = frozenset({"active", "recurrence", "relapse"})
_NOT_TRUE = frozenset({"refuted", "entered-in-error", "differential"})


class Person(NamedTuple):
    """Sex and age."""

    sex: str | None
    age_years: float


def person_of(library: Library, on: dt.date) -> Person:
    """Read the patient of the context.

    Parameters
    ----------
    library : Library
    on : date
        Day of the first dose.

    Raises
    ------
    InputError
        If the patient did not come, twice with other data, or has no date of birth.

    Examples
    --------
    >>> from fludapk.web.cds.bundles import Entry
    >>> boy = {"resourceType": "Patient", "id": "p1", "gender": "male", "birthDate": "2012-03-02"}
    >>> library = Library(patient_id="p1", fetched=(Entry("", boy),))
    >>> person_of(library, dt.date(2026, 3, 2))
    Person(sex='male', age_years=14.0)
    """
    people = [entry for entry in library.fetched if entry.kind == "Patient"]
    own = [e.resource for e in people if e.resource.get("id") == library.patient_id]
    if not own:
        others = f": {len(people)} others" if people else ""
        raise InputError(f"patient: not in the prefetch{others} (context.patientId)")
    read_people = [read(Patient, raw, "patient") for raw in own]
    if len({(person.gender, person.birth_date) for person in read_people}) > 1:
        raise InputError("patient: twice in the prefetch, with other sex or date of birth")
    person = read_people[0]
    faults = [f"patient: {name} is not understood" for name in unread(person, _HARMLESS)]
    if any(raw.get("deceasedBoolean") is True or "deceasedDateTime" in raw for raw in own):
        faults.append("patient: deceased")
    born = read_when(person.birth_date, dt.UTC)
    if born is None:
        partial = is_partial(person.birth_date)
        why = "is only a year or a month" if partial else "is not a full date (YYYY-MM-DD)"
        faults.append(f"patient: birthDate {why}")
    elif born.day > on:
        faults.append("patient: birthDate is after the first dose")
    if faults or born is None:
        raise InputError(*faults)
    sex = person.gender if person.gender in ("female", "male") else None
    return Person(sex, age_years(born.day, on))


class Purpose(NamedTuple):
    """Product and diagnosis, as far as the request tells them."""

    product: str | None
    diagnosis: str | None
    remarks: tuple[Remark, ...]

    @property
    def lacks(self) -> str:
        """Names of what a target needs and is not told."""
        parts = [("product", self.product), ("diagnosis", self.diagnosis)]
        return " and ".join(name for name, value in parts if value is None)


def purpose_of(orders: Sequence[Ordered], library: Library) -> Purpose:
    """Find product and diagnosis: in the protocol and reason of the orders, then in conditions.

    Several that differ are told, and none of them is taken.
    """
    remarks: list[Remark] = []
    reasons = [concept for order in orders for concept in _reasons(order, library)]
    protocols = [text for order in orders for text in _protocol_texts(order, library)]
    named = [regimens()[name] for text in protocols if (name := _regimen_in(text))]
    diagnosis = _only(
        "diagnosis",
        [
            {entry.disease for entry in named if entry.disease},
            set().union(*map(diagnoses_in, reasons)) if reasons else set(),
            set().union(*map(diagnoses_in, _conditions(library))),
        ],
        remarks,
    )
    texts = [*protocols, *(text for concept in reasons for text in concept.words)]
    product = _only(
        "product",
        [
            {entry.product for entry in named if entry.product},
            products_in(texts, [c for concept in reasons for c in concept.coding]),
            products_in(*_other_orders(library)),
        ],
        remarks,
    )
    both = (("product", product), ("diagnosis", diagnosis))
    told = [f"{name} {value}" for name, value in both if value]
    if told:
        remarks.append(note("purpose", f"read from the request: {', '.join(told)}"))
    return Purpose(product, diagnosis, tuple(remarks))


def _only(what: str, sources: Sequence[set[str]], remarks: list[Remark]) -> str | None:
    """The one name of the first source that has any."""
    names = next((names for names in sources if names), set())
    if len(names) > 1:
        message = f"{what}: the request tells {' and '.join(sorted(names))}: none is used"
        remarks.append(caution(f"several_{what}", message))
    return next(iter(names)) if len(names) == 1 else None


def _regimen_in(text: str) -> str | None:
    """A course of ours that is named as the last part of an address."""
    name = text.split("|")[0].rstrip("/").rpartition("/")[2].lower().replace("-", "_")
    return name if name in regimens() else None


def _protocol_texts(order: Ordered, library: Library) -> list[str]:
    """Names and addresses of the protocol of an order, and of the plan that it belongs to."""
    read_order = order.order
    texts: list[object] = [*read_order.instantiates_canonical, *read_order.instantiates_uri]
    texts += [reference.display for reference in read_order.based_on]
    group = order.entry.resource.get("groupIdentifier")
    texts.append(text_of(group, "value") if isinstance(group, dict) else "")
    plans = [
        library.resolved(reference.reference, order.entry.resource)
        for reference in read_order.based_on
    ]
    plans += [entry.resource for entry in library.drafts if entry.kind in _PLANS]
    for plan in plans:
        for key in ("title", "instantiatesCanonical", "instantiatesUri"):
            told = (plan or {}).get(key)
            texts += told if isinstance(told, list) else [told]
    return [text for text in texts if isinstance(text, str) and text]


def _reasons(order: Ordered, library: Library) -> Iterator[Concept]:
    """Reasons of an order; of a condition only if it holds for this patient."""
    yield from order.order.reason_code
    for reference in order.order.reason_reference:
        resource = library.resolved(reference.reference, order.entry.resource)
        if resource is not None and resource.get("resourceType") == "Condition":
            condition = _condition(resource, library, must_have_subject=False)
            if condition is not None:
                yield condition.code
        elif reference.display:
            yield Concept(text=reference.display)


def _conditions(library: Library) -> list[Concept]:
    """Conditions of the patient that hold."""
    conditions = (
        _condition(entry.resource, library, must_have_subject=True)
        for entry in library.fetched
        if entry.kind == "Condition"
    )
    return [condition.code for condition in conditions if condition is not None]


def _condition(
    resource: dict[str, object], library: Library, *, must_have_subject: bool
) -> Condition | None:
    try:
        condition = read(Condition, resource, "condition")
    except InputError:
        return None
    subject = condition.subject.reference
    if (subject or must_have_subject) and not library.is_of_patient(subject):
        return None
    clinical, verified = _codes(condition.clinical_status), _codes(condition.verification_status)
    if (clinical and not clinical & _ACTIVE) or verified & _NOT_TRUE:
        return None
    return None if "modifierExtension" in (condition.model_extra or {}) else condition


def _codes(concept: Concept | None) -> set[str]:
    return {coding.code for coding in concept.coding} if concept is not None else set()


def _other_orders(library: Library) -> tuple[list[str], list[Coding]]:
    """Names and codes of the drugs of the other orders, among them perhaps the cells."""
    texts: list[str] = []
    codings: list[Coding] = []
    for entry in library.drafts:
        if (
            text_of(entry.resource, "status") in NO_ORDER
            or entry.resource.get("doNotPerform") is True
        ):
            continue
        for key in ("medicationCodeableConcept", "code"):
            try:
                concept = read(Concept, entry.resource.get(key) or {}, key)
            except InputError:
                continue
            texts += concept.words
            codings += concept.coding
    return texts, codings
