"""The part of FHIR R4 that is read: types of elements, strict, without a judgement.

An element that a type does not name is kept, so that `unread` can tell it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from fludapk.errors import Fault, InputError

Raw = dict[str, Any]
"""A resource as it was sent."""
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Many = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class Part(BaseModel):
    """Base of every element; null is absent."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, raw: Any) -> Any:
        """Drop what is null, which FHIR does not write and clients do."""
        if isinstance(raw, dict):
            return {key: value for key, value in raw.items() if value is not None}
        return raw


class Coding(Part):
    """A code of a code system."""

    system: str = ""
    code: str = ""
    display: str = ""


class Concept(Part):
    """Codes for one thing, and its text."""

    coding: tuple[Coding, ...] = Field((), strict=False)
    text: str = ""

    @property
    def words(self) -> list[str]:
        """Everything a person would read."""
        texts = [self.text, *(coding.display for coding in self.coding)]
        return [text for text in texts if text.strip()]


class Reference(Part):
    """Another resource."""

    reference: str = ""
    display: str = ""


class Period(Part):
    """Days from start to end, both included."""

    start: str = ""
    end: str = ""


class Quantity(Part):
    """A number with a unit; `code` is of UCUM if `system` says so."""

    value: Number | None = None
    comparator: str = ""
    unit: str = ""
    system: str = ""
    code: str = ""


class Ratio(Part):
    """An amount per something."""

    numerator: Quantity = Quantity()
    denominator: Quantity = Quantity()


class Repeat(Part):
    """Repetition of an event."""

    bounds_duration: Quantity | None = None
    bounds_period: Period | None = None
    count: Many | None = None
    count_max: Many | None = None
    duration: Number | None = None
    duration_max: Number | None = None
    duration_unit: str = ""
    frequency: Many | None = None
    frequency_max: Many | None = None
    period: Number | None = None
    period_max: Number | None = None
    period_unit: str = ""
    time_of_day: tuple[str, ...] = Field((), strict=False)


class Timing(Part):
    """Times of an event."""

    event: tuple[str, ...] = Field((), strict=False)
    repeat: Repeat | None = None
    code: Concept | None = None


class DoseAndRate(Part):
    """Dose and rate."""

    type: Concept | None = None
    dose_quantity: Quantity | None = None
    rate_ratio: Ratio | None = None
    rate_quantity: Quantity | None = None


class Dosage(Part):
    """Instruction to give a drug."""

    sequence: Many | None = None
    text: str = ""
    additional_instruction: tuple[Concept, ...] = Field((), strict=False)
    patient_instruction: str = ""
    timing: Timing | None = None
    as_needed_boolean: bool = False
    as_needed_codeable_concept: Concept | None = None
    route: Concept | None = None
    dose_and_rate: tuple[DoseAndRate, ...] = Field((), strict=False)


class Annotation(Part):
    """A remark of a person."""

    text: str = ""


class Order(Part):
    """A MedicationRequest."""

    id: str = ""
    status: str = ""
    intent: str = ""
    do_not_perform: bool = False
    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    subject: Reference = Reference()
    authored_on: str = ""
    dosage_instruction: tuple[Dosage, ...] = Field((), strict=False)
    reason_code: tuple[Concept, ...] = Field((), strict=False)
    reason_reference: tuple[Reference, ...] = Field((), strict=False)
    instantiates_canonical: tuple[str, ...] = Field((), strict=False)
    instantiates_uri: tuple[str, ...] = Field((), strict=False)
    based_on: tuple[Reference, ...] = Field((), strict=False)
    prior_prescription: Reference | None = None
    reported_boolean: bool = False
    note: tuple[Annotation, ...] = Field((), strict=False)


class Patient(Part):
    """The patient."""

    id: str = ""
    gender: str = ""
    birth_date: str = ""


class Component(Part):
    """A part of an observation with a code of its own."""

    code: Concept = Concept()
    value_quantity: Quantity | None = None


class Observation(Part):
    """A measurement."""

    id: str = ""
    status: str = ""
    code: Concept = Concept()
    subject: Reference = Reference()
    effective_date_time: str = ""
    effective_instant: str = ""
    effective_period: Period | None = None
    issued: str = ""
    value_quantity: Quantity | None = None
    data_absent_reason: Concept | None = None
    component: tuple[Component, ...] = Field((), strict=False)


class Condition(Part):
    """A diagnosis."""

    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    code: Concept = Concept()
    subject: Reference = Reference()


_P = TypeVar("_P", bound=Part)
_ALWAYS_HARMLESS: Final = frozenset({"id", "extension", "resourceType", "fhir_comments"})


def read(kind: type[_P], raw: object, called: str) -> _P:
    """Read an element.

    Parameters
    ----------
    kind : type of Part
    raw : object
        As it was sent.
    called : str
        Name of it in faults.

    Raises
    ------
    InputError
        If it is not of this type; values are not repeated.

    Examples
    --------
    >>> read(Quantity, {"value": 30, "unit": "mg"}, "dose").value
    30.0
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        places = dict.fromkeys(
            (".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()
        )
        raise InputError(
            *(
                Fault("", f"{called}: {place or 'it'} cannot be read: {why}")
                for place, why in list(places)[:10]
            )
        ) from None


def unread(part: Part, harmless: Collection[str] = ()) -> list[str]:
    """Elements that are there and are not read, but for those that change no meaning.

    Parameters
    ----------
    part : Part
    harmless : collection of str
        Names of elements that may be left unread.

    Examples
    --------
    >>> unread(Repeat.model_validate({"count": 3, "dayOfWeek": ["mon"], "id": "x"}))
    ['dayOfWeek']
    """
    return sorted(
        key[:60]
        for key in part.model_extra or {}
        if key not in _ALWAYS_HARMLESS and key not in harmless and not key.startswith("_")
    )
