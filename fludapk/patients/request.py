"""A patient with a planned or recorded course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from fludapk.errors import InputError
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import DEFAULT_MODEL

# ------------------------------------------------------------------ the computation


class Case(NamedTuple):
    """A course of a patient."""

    patient: Patient
    regimen: Regimen
    course: Course


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
        Doses and times as given, instead of those of the regimen.
    """

    patient: Patient
    regimen: Regimen
    model: str = DEFAULT_MODEL
    round_to_mg: float | None = None
    course: Course | None = None

    def case(self) -> Case:
        """The doses of this patient.

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
            if faults:
                raise InputError(*faults)
        return Case(self.patient, self.regimen, course)
