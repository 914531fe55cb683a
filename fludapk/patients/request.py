"""A patient with a planned or recorded course, and how both are read as typed.

Typed inputs come by the names of requests (see `fludapk.patients.fields`): from options of the
command line, rows of lists, requests and forms alike. What is None or empty was not typed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self, TypeAlias

from fludapk.errors import InputError, gathered
from fludapk.patients.course import Course
from fludapk.patients.fields import COURSE, FIELDS, PATIENT
from fludapk.patients.level import CONFIRMS_TIMES
from fludapk.patients.patient import CLOCK, Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import DEFAULT_MODEL
from fludapk.published.regimens import regimens
from fludapk.units import parse_quantity

Typed: TypeAlias = Mapping[str, Any]
"""Name in a request -> text, or a number in the default unit."""
Courses: TypeAlias = dict[tuple[tuple[str, Any], ...], Regimen]
"""Names and texts of a planned course -> the course."""

PATIENT_NAMES: Final = tuple(FIELDS[key].name for key in PATIENT)
COURSE_NAMES: Final = tuple(FIELDS[key].name for key in COURSE)
_OF_PATIENT: Final = {*PATIENT_NAMES, *CLOCK}
_OF_COURSE: Final = set(COURSE_NAMES)


class Treated(NamedTuple):
    """Product and disease of a patient; None where unknown."""

    product: str | None
    disease: str | None

    @classmethod
    def by(cls, patient: Patient, regimen: Regimen) -> Self:
        """Return those of the patient, or else of the course."""
        return cls(patient.product or regimen.product, patient.diagnosis or regimen.disease)


class Case(NamedTuple):
    """A course of a patient."""

    patient: Patient
    regimen: Regimen
    course: Course

    @property
    def treated(self) -> Treated:
        """Product and disease."""
        return Treated.by(self.patient, self.regimen)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A planned course of a patient to be checked.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
    model : str
    round_to_mg : float, optional
        Round each dose to a multiple of this many mg.
    course : Course, optional
        Doses and times as given, instead of those of the regimen. Doses above a ceiling are
        refused unless they have been given, see `Course.given`.
    """

    patient: Patient
    regimen: Regimen
    model: str = DEFAULT_MODEL
    round_to_mg: float | None = None
    course: Course | None = None

    def case(self) -> Case:
        """Compute the doses of this patient.

        Raises
        ------
        InputError
            As `Regimen.course`.
        """
        if self.course is None:
            course = self.regimen.course(self.patient, self.round_to_mg)
        else:
            course = self.course
            faults = course.ceiling_faults(self.patient.bsa_m2)
            if faults and not course.given:  # what has happened is computed
                raise InputError(*faults)
        return Case(self.patient, self.regimen, course)


def read_request(typed: Typed, courses: Courses | None = None) -> Request:
    """Read a patient, a course, a rounding step and a model.

    Parameters
    ----------
    typed : mapping of str to str
    courses : dict, optional
        Takes each course as read, which many rows of a list share.

    Raises
    ------
    InputError
        With the faults of all of them.
    """
    patient, regimen, step = gathered(
        lambda: read_patient(typed),
        lambda: read_regimen(typed, courses),
        lambda: read_step_mg(typed),
    )
    return Request(
        patient=patient,
        regimen=regimen,
        model=typed.get("model") or DEFAULT_MODEL,
        round_to_mg=step,
    )


def read_patient(typed: Typed) -> Patient:
    """Read a patient; raises `InputError` listing every fault."""
    texts = _some(typed, _OF_PATIENT)
    return Patient.plainly(texts) or Patient(**texts)


def times_confirmed(typed: Typed) -> tuple[Typed, bool]:
    """Part the confirmation of the times of levels from those of a patient.

    Examples
    --------
    >>> times_confirmed({"age": 5, "confirm": ["weight; level"]})
    ({'age': 5, 'confirm': ['weight']}, True)
    """
    confirm = typed.get("confirm") or ()
    texts = [confirm] if isinstance(confirm, str) else confirm
    names = [part for text in texts for part in re.split(r"[\s,;]+", text.strip()) if part]
    others = [name for name in names if name != CONFIRMS_TIMES]
    return {**typed, "confirm": others}, len(others) < len(names)


def read_regimen(typed: Typed, courses: Courses | None = None) -> Regimen:
    """Read a planned course; raises `InputError` listing every fault. See `read_request`."""
    given = _some(typed, _OF_COURSE)
    if given.keys() == {"regimen"} and given["regimen"] in regimens():
        return _published(given["regimen"])
    if courses is None:
        return Regimen.from_text(**given)
    texts = tuple(given.items())
    if texts not in courses:
        courses[texts] = Regimen.from_text(**given)
    return courses[texts]


@lru_cache(maxsize=64)
def _published(name: str) -> Regimen:
    """Make a published course once for many rows; nothing else that is typed is kept."""
    return Regimen.from_text(regimen=name)


def read_schedule(typed: Typed) -> tuple[Regimen, bool]:
    """Read infusions to find a dose for, and whether they come with a planned dose."""
    return Regimen.schedule_from_text(**_some(typed, _OF_COURSE))


def read_step_mg(typed: Typed) -> float | None:
    """Read the step to which doses are rounded, mg; None if none was typed."""
    return read_quantity(typed, "round_to_mg")


def read_quantity(typed: Typed, key: str) -> float | None:
    """Read the quantity of one field in its internal unit; None if it was not typed."""
    field = FIELDS[key]
    value = typed.get(field.name)
    if value is None or value == "":
        return None
    return parse_quantity(value, dimension=field.dimension or "", field=key, unit=field.unit).value


def _some(typed: Typed, names: Collection[str]) -> dict[str, Any]:
    return {name: x for name, x in typed.items() if name in names and (x or x == 0)}
