"""Orders in FHIR R4, answered as CDS Hooks 2.0 cards.

The order-select hook brings the drafted orders; weight, height, creatinine, birth date and sex come
with the prefetch. Units are UCUM codes; anything that is not understood is said in a card, never
guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from fludapk.answers.check_records import CheckResult
from fludapk.errors import Fault, FludapkError, InputError
from fludapk.pages.words import SEVERITY_WORDS, auc_line, dose_lines, plan, stop_lines, who
from fludapk.patients.fields import label
from fludapk.web.asked import CheckAsked, Folders

ID: Final = "fludapk-order-select"
_UCUM: Final = "http://unitsofmeasure.org"
_LOINC: Final = "http://loinc.org"
_ATC: Final = "http://www.whocc.no/atc"
_FLUDARABINE_ATC: Final = "L01BB05"

CODES: Final = {
    "weight": ("29463-7",),
    "height": ("8302-2",),
    "creatinine": ("2160-0", "14682-9"),
}
"""LOINC: body weight, body height, creatinine in serum or plasma by mass and by amount."""

UNITS: Final = {
    "weight": {"kg": "kg", "g": "g", "[lb_av]": "lb"},
    "height": {"cm": "cm", "m": "m", "mm": "mm", "[in_i]": "in", "[ft_i]": "ft"},
    "creatinine": {"mg/dL": "mg/dL", "umol/L": "umol/L"},
    "dose": {"mg/m2": "mg/m2", "mg/kg": "mg/kg", "mg": "mg"},
    "duration": {"min": "min", "h": "h", "d": "days"},
}
"""UCUM code -> our unit."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Hook(_Shape):
    """What a CDS client sends (CDS Hooks 2.0)."""

    hook: Literal["order-select"]
    hookInstance: str = Field(max_length=200)  # noqa: N815
    context: dict[str, Any] = Field(description="userId, patientId, selections, draftOrders.")
    prefetch: dict[str, Any] = Field({}, description="patient, weight, height, creatinine.")


class Source(BaseModel):
    """Whose answer it is."""

    label: str
    url: str


class Link(BaseModel):
    """Where to look further."""

    label: str
    url: str
    type: Literal["absolute"] = "absolute"


class Card(BaseModel):
    """An answer at the order."""

    summary: str = Field(max_length=140)
    indicator: Literal["info", "warning", "critical"]
    detail: str
    source: Source
    links: list[Link]


class Answer(BaseModel):
    """The cards for an order."""

    cards: list[Card]


class Service(BaseModel):
    """A service as CDS Hooks discovers it."""

    hook: Literal["order-select"] = "order-select"
    id: str
    title: str
    description: str
    prefetch: dict[str, str]


class Services(BaseModel):
    """All services."""

    services: list[Service]


def _latest(codes: Sequence[str]) -> str:
    wanted = ",".join(f"{_LOINC}|{code}" for code in codes)
    return f"Observation?patient={{{{context.patientId}}}}&code={wanted}&_sort=-date&_count=5"


SERVICES: Final = Services(
    services=[
        Service(
            id=ID,
            title="Fludarabine exposure before CAR T cells",
            description="Cumulative AUC of F-ara-A that an order of fludarabine is likely to give, "
            "against published thresholds. Research and second check, not a medical device.",
            prefetch={
                "patient": "Patient/{{context.patientId}}",
                **{name: _latest(codes) for name, codes in CODES.items()},
            },
        )
    ]
)


def answer(asked: Hook, home: str, folders: Folders = None) -> Answer:
    """Cards for the fludarabine among the selected orders; none if there is none.

    Parameters
    ----------
    asked : Hook
    home : str
        Address of the page.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    """
    cards = []
    for order in _orders(asked.context):
        try:
            typed = {**_patient(asked.prefetch, _day(order)), **_course(order)}
            result = CheckAsked.model_validate(typed).answer(folders)
        except FludapkError as error:
            cards.append(_refusal(error, home))
        else:
            cards.append(_card(result, _dates(asked.prefetch), home))
    return Answer(cards=cards)


# ------------------------------------------------------------------ cards


def _card(r: CheckResult, dates: str, home: str) -> Card:
    lines = [
        who(r),
        plan(r),
        *stop_lines(r.headline),
        r.headline.sentence,
        auc_line(r.headline, f"typical patient by {r.model}"),
        *dose_lines(r),
        *r.headline.notes,
        *(f"{SEVERITY_WORDS[x.severity]} {x.message}" for x in r.remarks if x.severity != "stop"),
        dates,
        r.disclaimer,
    ]
    urgent = r.headline.standing in ("stop", "below", "above")
    urgent = urgent or any(remark.severity == "caution" for remark in r.remarks)
    return Card(
        summary=_cut((stop_lines(r.headline) or [r.headline.sentence])[0]),
        indicator="critical" if r.headline.stops else "warning" if urgent else "info",
        detail="\n\n".join(_unmarked(line) for line in lines if line),
        source=Source(
            label=f"fludapk {r.provenance.version}, {r.model_citation}",
            url=f"https://doi.org/{r.model_citation.rpartition('doi ')[2]}",
        ),
        links=[Link(label="Open fludapk", url=home)],
    )


def _refusal(error: FludapkError, home: str) -> Card:
    return Card(
        summary="Fludarabine exposure not computed: see why",
        indicator="info",
        detail="\n\n".join(_unmarked(sentence) for sentence in error.sentences(label)),
        source=Source(label="fludapk", url=home),
        links=[Link(label="Open fludapk and type the values", url=home)],
    )


def _cut(text: str, most: int = 140) -> str:
    """Summary of a card, which may have so many characters."""
    return text if len(text) <= most else f"{text[: most - 2]} …"


def _unmarked(text: str) -> str:
    r"""Text that Markdown shows as it is.

    Examples
    --------
    >>> print(_unmarked("tisa_cel <b>"))
    tisa\_cel \<b\>
    """
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)


# ------------------------------------------------------------------ FHIR


def _resources(bundle: object) -> Iterator[Mapping[str, Any]]:
    """Resources of a bundle, or the one that stands alone."""
    if not isinstance(bundle, dict):
        return
    if bundle.get("resourceType") != "Bundle":
        yield bundle
        return
    for entry in _items(bundle.get("entry")):
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _items(value: object) -> list[dict[str, Any]]:
    """The objects of what should be a list of objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _part(value: object, *names: str) -> dict[str, Any]:
    """An object inside an object; empty if it is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_fludarabine(order: Mapping[str, Any], orders: Sequence[Mapping[str, Any]]) -> bool:
    concepts = [_part(order, "medicationCodeableConcept")]
    wanted = str(_part(order, "medicationReference").get("reference", "")).rpartition("/")[2]
    contained = [*_items(order.get("contained")), *orders]
    concepts += [
        _part(other, "code")
        for other in contained
        if other.get("resourceType") == "Medication"
        and wanted.lstrip("#")
        and other.get("id") == wanted.lstrip("#")
    ]
    for concept in concepts:
        codings = _items(concept.get("coding"))
        if any(c.get("system") == _ATC and c.get("code") == _FLUDARABINE_ATC for c in codings):
            return True
        said = [concept.get("text"), *(coding.get("display") for coding in codings)]
        if any("fludarabin" in str(text).lower() for text in said if text):
            return True
    return False


def _orders(context: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The selected orders of fludarabine."""
    drafted = list(_resources(context.get("draftOrders")))
    selected = context.get("selections")
    chosen = set(map(str, selected)) if isinstance(selected, list) else None
    return [
        order
        for order in drafted
        if order.get("resourceType") == "MedicationRequest"
        and (chosen is None or f"MedicationRequest/{order.get('id')}" in chosen)
        and _is_fludarabine(order, drafted)
    ]


def _day(order: Mapping[str, Any]) -> date:
    """Day of the first dose, or of the order, or today."""
    timing = _timing(order)
    start = _part(timing, "repeat", "boundsPeriod").get("start")
    events = timing.get("event")
    first = min(map(str, events)) if isinstance(events, list) and events else None
    for text in (first, start, order.get("authoredOn")):
        if text:
            return _date(str(text), "date of the order")
    return date.today()


def _date(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise InputError(f"{what} is not a full date (YYYY-MM-DD)") from None


def _quantity(quantity: Mapping[str, Any], what: str) -> str:
    """A FHIR quantity as it would be typed."""
    value, code = quantity.get("value"), quantity.get("code")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what}: no value")
    units = UNITS[what]
    if quantity.get("system") != _UCUM or code not in units:
        found = f"{str(code)[:30]!r} of {str(quantity.get('system'))[:60]!r}"
        raise InputError(
            f"{what}: unit {found} is not understood; allowed UCUM codes: {', '.join(units)}"
        )
    return f"{value!r} {units[code]}"


def _observations(prefetch: Mapping[str, Any], what: str) -> list[Mapping[str, Any]]:
    """Usable observations, the latest first."""
    found = [
        resource
        for bundle in prefetch.values()
        for resource in _resources(bundle)
        if resource.get("resourceType") == "Observation"
        and resource.get("status") not in ("entered-in-error", "cancelled", "registered")
        and any(
            coding.get("system") == _LOINC and coding.get("code") in CODES[what]
            for coding in _items(_part(resource, "code").get("coding"))
        )
    ]
    return sorted(found, key=_time, reverse=True)


def _time(observation: Mapping[str, Any]) -> str:
    return str(observation.get("effectiveDateTime") or observation.get("issued") or "")


def _patient(prefetch: Mapping[str, Any], on: date) -> dict[str, str]:
    """Age on a day, sex, size and creatinine as they would be typed."""
    faults: list[Fault | str] = []
    typed: dict[str, str] = {}
    people = [
        resource
        for bundle in prefetch.values()
        for resource in _resources(bundle)
        if resource.get("resourceType") == "Patient"
    ]
    if len(people) != 1:
        faults.append(f"prefetch: {len(people)} patients, one is needed")
    else:
        if people[0].get("gender") in ("female", "male"):
            typed["sex"] = str(people[0]["gender"])
        try:
            born = _date(str(people[0].get("birthDate", "")), "birthDate")
            typed["age"] = f"{(on - born).days / 365.25:.4f}"
        except InputError as error:
            faults += error.faults
    for what in CODES:
        observations = _observations(prefetch, what)
        if not observations:
            codes = " or ".join(CODES[what])
            faults.append(f"{what}: no observation with LOINC {codes} in the prefetch")
            continue
        try:
            text = _quantity(_part(observations[0], "valueQuantity"), what)
            typed["scr" if what == "creatinine" else what] = text
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return typed


def _dates(prefetch: Mapping[str, Any]) -> str:
    """When what was used had been measured."""
    said = [
        f"{what} of {_time(found[0])[:10] or 'an unknown day'}"
        for what in CODES
        if (found := _observations(prefetch, what))
    ]
    return f"Used: {', '.join(said)}."


def _timing(order: Mapping[str, Any]) -> dict[str, Any]:
    instructions = _items(order.get("dosageInstruction"))
    return _part(instructions[0], "timing") if len(instructions) == 1 else {}


def _course(order: Mapping[str, Any]) -> dict[str, str]:
    """The order as it would be typed; mg are mg of fludarabine phosphate."""
    instructions = _items(order.get("dosageInstruction"))
    if len(instructions) != 1:
        raise InputError(f"order: {len(instructions)} dosage instructions, one is needed")
    rates = _items(instructions[0].get("doseAndRate"))
    if len(rates) != 1:
        raise InputError("order: no single dose (doseAndRate)")
    faults: list[Fault] = []
    typed: dict[str, str] = {}
    try:
        typed["dose"] = _quantity(_part(rates[0], "doseQuantity"), "dose")
    except InputError as error:
        faults += error.faults
    timing = _timing(order)
    repeat = _part(timing, "repeat")
    try:
        typed |= _infusions(timing, repeat)
        if "duration" in repeat:
            length = {
                "value": repeat["duration"],
                "code": repeat.get("durationUnit"),
                "system": _UCUM,
            }
            typed["infusion_time"] = _quantity(length, "duration")
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(*faults)
    return typed


def _infusions(timing: Mapping[str, Any], repeat: Mapping[str, Any]) -> dict[str, str]:
    """How many infusions and how far apart, from a count or from days once daily."""
    events = timing.get("event")
    if isinstance(events, list) and events:
        days = sorted({_date(str(event), "timing.event") for event in events})
        apart = {(b - a).days for a, b in pairwise(days)}
        if len(days) != len(events) or apart - {1}:
            raise InputError("order: infusions that are not once on consecutive days")
        return {"days": str(len(days))}
    each = repeat.get("frequency", 1), repeat.get("period"), repeat.get("periodUnit")
    if each not in ((1, 1, "d"), (1, 24, "h")):
        raise InputError("order: only infusions once a day are understood (timing.repeat)")
    count = repeat.get("count")
    bounds = _part(repeat, "boundsDuration")
    if count is None and bounds.get("system") == _UCUM and bounds.get("code") == "d":
        count = bounds.get("value")
    if isinstance(count, bool) or not isinstance(count, int | float) or count != int(count):
        raise InputError("order: the number of infusions is not said (timing.repeat.count)")
    return {"days": str(int(count))}
