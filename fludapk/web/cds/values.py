"""Weight, height and creatinine: whose, how old, and in which unit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from fludapk.answers.record import Remark, caution
from fludapk.errors import InputError
from fludapk.patients.fields import FIELDS
from fludapk.units import UNITS
from fludapk.web.cds.bundles import Library, objects, text_of
from fludapk.web.cds.codes import LOINC, VALUES
from fludapk.web.cds.instants import When, read_when
from fludapk.web.cds.quantities import Typed, typed
from fludapk.web.cds.resources import Concept, Observation, Quantity, Raw, read, unread

ADULT_YEARS: Final = 18.0


class Age(NamedTuple):
    """Days after which a value is called old, in children and in adults; None: never."""

    child: int | None
    adult: int | None


OLD_DAYS: Final = {"weight": Age(30, 90), "height": Age(90, None), "creatinine": Age(7, 7)}
"""Longest age of a value at the first dose; an older one is a caution, not a refusal."""
NO_VALUE: Final = frozenset({"entered-in-error", "cancelled", "registered"})
"""Statuses of observations that have no value, or none that holds."""
_FINAL: Final = frozenset({"final", "amended", "corrected"})
_DIMENSIONS: Final = {"weight": "weight", "height": "height", "creatinine": "creatinine"}
_HARMLESS: Final = frozenset({
    "meta", "language", "text", "contained", "identifier", "basedOn", "partOf", "category",
    "focus", "encounter", "performer", "interpretation", "note", "bodySite", "method", "specimen",
    "device", "referenceRange", "hasMember", "derivedFrom",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Value:
    """A measurement of the patient."""

    what: str
    typed: Typed
    when: When | None
    remarks: tuple[Remark, ...] = ()

    @property
    def internal(self) -> float:
        """Number in the internal unit of its dimension."""
        return self.typed.number * UNITS[_DIMENSIONS[self.what]][self.typed.unit]

    def __str__(self) -> str:
        return f"{self.what} {self.typed} of {self.when or 'an unknown day'}"


@dataclass(frozen=True)
class _Measured:
    """An observation that is about one of the values."""

    status: str
    quantity: Quantity | None
    when: When | None
    faults: tuple[str, ...] = ()


def value_of(what: str, library: Library, zone: dt.tzinfo | None) -> Value:
    """Find the newest value of the patient.

    Parameters
    ----------
    what : {'weight', 'height', 'creatinine'}
    library : Library
    zone : tzinfo or None
        Of the hospital.

    Raises
    ------
    InputError
        If there is none, it cannot be read, or two of the same time differ.
    """
    remarks: list[Remark] = []
    measured = _of_patient(what, library, zone, remarks)
    newest = [m for m in measured if not any(_is_later(other, m) for other in measured)]
    if not newest:
        codes = " or ".join(VALUES[what])
        raise InputError(
            f"{what}: no observation with LOINC {codes} of this patient in the prefetch"
        )
    values = [_value(what, one) for one in newest]
    numbers = {f"{value.internal:.9g}" for value in values}
    if len(numbers) > 1:
        shown = ", ".join(sorted(str(value.typed) for value in values))
        when = next((str(v.when) for v in values if v.when is not None), "an unknown day")
        raise InputError(f"{what}: {len(values)} values of {when} differ: {shown}: which is it?")
    remarks += _undated(what, measured, newest, numbers)
    chosen = min(values, key=lambda value: (len(value.remarks), str(value.typed), str(value.when)))
    return Value(
        what=what,
        typed=chosen.typed,
        when=chosen.when,
        remarks=tuple(dict.fromkeys((*chosen.remarks, *remarks))),
    )


def _undated(
    what: str, measured: Sequence[_Measured], newest: Sequence[_Measured], numbers: set[str]
) -> list[Remark]:
    """Tell that a value of an unknown day, which could be newer, was left out."""
    others = [one for one in measured if one.when is None and one not in newest]
    for one in others:
        try:
            differs = f"{_value(what, one).internal:.9g}" not in numbers
        except InputError:
            differs = True
        if differs:
            message = f"{what}: an observation of an unknown day was left out; it could be newer"
            return [caution("undated_left_out", message)]
    return []


def has_value(what: str, library: Library) -> bool:
    """Tell if an observation of this kind came that says it is of the patient."""
    return any(
        entry.kind == "Observation"
        and _names(entry.resource, VALUES[what])
        and isinstance(subject := entry.resource.get("subject"), dict)
        and library.is_of_patient(str(subject.get("reference", "")))
        for entry in library.fetched
    )


def _is_later(a: _Measured, b: _Measured) -> bool:
    """Tell if an observation is surely newer; one with a date is newer than one without."""
    if a.when is None or b.when is None:
        return a.when is not None and b.when is None
    return a.when.later_than(b.when)


def _of_patient(
    what: str, library: Library, zone: dt.tzinfo | None, remarks: list[Remark]
) -> list[_Measured]:
    """Observations of the patient that may hold the value."""
    measured = []
    for entry in library.fetched:
        raw = entry.resource
        if entry.kind != "Observation" or not _names(raw, VALUES[what]):
            continue
        subject = raw.get("subject")
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if isinstance(reference, str) and reference and not library.is_of_patient(reference):
            continue
        if text_of(raw, "status") in NO_VALUE:
            continue
        if not isinstance(reference, str) or not reference:
            message = f"{what}: an observation that does not say of whom it is was left out"
            remarks.append(caution("no_subject", message))
            continue
        measured += _measured(what, raw, zone)
    return measured


def _names(raw: Raw, codes: Sequence[str]) -> bool:
    """Tell if an observation, or a component of it, has one of the codes."""
    parts = [raw, *objects(raw.get("component"))]
    codings = [
        coding
        for part in parts
        if isinstance(code := part.get("code"), dict)
        for coding in objects(code.get("coding"))
    ]
    return any(c.get("system") in LOINC and c.get("code") in codes for c in codings if _plain(c))


def _plain(coding: Raw) -> bool:
    return isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)


def _measured(what: str, raw: Raw, zone: dt.tzinfo | None) -> list[_Measured]:
    """Values of an observation and its components; nothing where a value is absent."""
    when = _when(raw, zone)
    try:
        observation = read(Observation, raw, what)
    except InputError as error:
        return [_Measured("", None, when, tuple(error.sentences()))]
    odd = unread(observation, _HARMLESS)
    faults = tuple(f"{what}: {name} of the observation is not understood" for name in odd)
    quantities: list[Quantity | None] = [
        part.value_quantity
        for part in observation.component
        if _is_coded(part.code, VALUES[what]) and part.value_quantity is not None
    ]
    if _is_coded(observation.code, VALUES[what]) and (
        observation.value_quantity is not None or odd
    ):
        quantities.append(observation.value_quantity)
    return [_Measured(observation.status, quantity, when, faults) for quantity in quantities]


def _is_coded(concept: Concept, codes: Sequence[str]) -> bool:
    return any(coding.system in LOINC and coding.code in codes for coding in concept.coding)


def _when(raw: Raw, zone: dt.tzinfo | None) -> When | None:
    """Time of an observation: of the sample or measurement, else of its release."""
    period = raw.get("effectivePeriod")
    ends = [period.get("end"), period.get("start")] if isinstance(period, dict) else []
    texts = [raw.get("effectiveDateTime"), raw.get("effectiveInstant"), *ends, raw.get("issued")]
    whens = (read_when(text, zone) for text in texts if isinstance(text, str) and text)
    return next((when for when in whens if when is not None), None)


def _value(what: str, measured: _Measured) -> Value:
    if measured.faults:
        raise InputError(*measured.faults)
    amount = typed(measured.quantity, what)
    remarks = [amount.remark] if amount.remark is not None else []
    if measured.status not in _FINAL:
        status = measured.status[:30] or "not told"
        message = f"{what}: the status of the value is {status}"
        remarks.append(caution("value_status", message))
    return Value(what=what, typed=amount, when=measured.when, remarks=tuple(remarks))


# ------------------------------------------------------------------ how old


def age_remarks(
    values: Iterable[Value], first: dt.date, now: When, age_years: float
) -> list[Remark]:
    """Warn of values that are old at the first dose, or of a time that has not come.

    Parameters
    ----------
    values : iterable of Value
    first : date
        Day of the first dose.
    now : When
    age_years : float

    Examples
    --------
    >>> value = Value(what="weight", typed=Typed(18.2, "kg"), when=When(dt.date(2026, 1, 2)))
    >>> first = dt.date(2026, 3, 2)
    >>> [r.message for r in age_remarks([value], first, When(first), 5.0)]
    ['weight is 59 days old at the first dose: more than 30']
    """
    remarks = []
    for value in values:
        if value.when is None:
            message = f"{value.what} is of an unknown day"
            remarks.append(caution("undated_value", message))
            continue
        limits = OLD_DAYS[value.what]
        limit = limits.child if age_years < ADULT_YEARS else limits.adult
        days = (first - value.when.day).days
        if value.when.later_than(now) or days < 0:
            message = f"{value.what} is dated in the future ({value.when.day.isoformat()})"
            remarks.append(caution("future_value", message))
        elif limit is not None and days > limit:
            message = f"{value.what} is {days} days old at the first dose: more than {limit}"
            remarks.append(caution("old_value", message))
    return remarks


def field_name(what: str) -> str:
    """Name of a value in a request.

    Examples
    --------
    >>> field_name("creatinine")
    'scr'
    """
    return FIELDS["scr_mg_dl"].name if what == "creatinine" else what
