"""What a request asks, by the names of the command line's options, and the answer of the library.

Quantities are text with a unit, ``"0.3 mg/dL"``, or numbers where the command line has a default
unit; creatinine has none. The answers are the records behind the command line's JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.curve import curve_of, horizon_h, update_curve
from fludapk.answers.design import Design, design
from fludapk.answers.dose import DoseResult, find_dose
from fludapk.answers.fit import Fit, fit
from fludapk.answers.goal import Goal
from fludapk.answers.nomogram import Nomogram, nomogram
from fludapk.answers.nomogram_grid import steps
from fludapk.answers.update import result_of
from fludapk.answers.update_records import UpdateResult
from fludapk.errors import InputError
from fludapk.pages.check import check_html
from fludapk.pages.dose import dose_html
from fludapk.pages.update import update_html
from fludapk.patients.level import Level, parse_given
from fludapk.patients.patient import Patient, parse_sex
from fludapk.patients.regimen import Regimen
from fludapk.published.models import DEFAULT_MODEL
from fludapk.units import parse_quantity

Folders = Sequence[Path] | None
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Text = Annotated[str, StringConstraints(max_length=200)]
Typed = Text | Finite
"""A quantity as typed, or a number in the default unit of the command line."""
MOST_LEVELS: Final = 50
"""Of one request; as many doses may be given."""


def _text(value: str | float | None) -> str | None:
    """A field as it would be typed; None if it is empty."""
    if value is None or isinstance(value, str):
        return value or None
    return repr(value).removesuffix(".0")


def gathered(*readings: Callable[[], Any]) -> list[Any]:
    """What every reading gives.

    Raises
    ------
    InputError
        With the faults of all readings.
    """
    found: list[Any] = []
    faults: list[str] = []
    for reading in readings:
        try:
            found.append(reading())
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return found


def _mass_mg(value: str | float | None) -> float | None:
    text = _text(value)
    if text is None:
        return None
    return parse_quantity(text, dimension="mass", name="round-to", bare="mg").value


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def _typed(self, names: Sequence[str]) -> dict[str, str | None]:
        return {name: _text(getattr(self, name)) for name in names}


_COURSE: Final = ("regimen", "dose", "days", "interval", "infusion_time", "cells_at")
_PATIENT: Final = (
    "age", "sex", "weight", "height", "scr", "egfr", "crcl",
    "bsa_formula", "egfr_formula", "diagnosis", "product", "genotype",
)  # fmt: skip


class Course(_Asked):
    """A planned course: a published regimen, or a dose and a number of days."""

    regimen: Text | None = Field(None, description="A course of /api/v1/regimens.")
    dose: Typed | None = Field(
        None, description='or mg fludarabine phosphate per infusion: "30 mg/m2".'
    )
    days: Typed | None = Field(None, description="Number of infusions (with dose).")
    interval: Typed | None = Field(None, description="Hours between starts (with dose; 24).")
    infusion_time: Typed | None = Field(None, description="Hours of an infusion; default 0.5.")
    cells_at: Typed | None = Field(None, description="Cell infusion, hours from the first dose.")

    def read_regimen(self) -> Regimen:
        """The course."""
        return Regimen.from_text(**self._typed(_COURSE))

    def read_schedule(self) -> tuple[Regimen, bool]:
        """Infusions to find a dose for, and whether they come with a planned dose."""
        return Regimen.schedule_from_text(**self._typed(_COURSE))


class PatientAndCourse(Course):
    """A patient and a planned course."""

    age: Typed | None = Field(None, description='Age: years, or "8 mo". Required.')
    sex: Text | None = Field(None, description="female or male, where a formula needs it.")
    weight: Typed | None = Field(None, description='Actual weight: kg, or "40 lb". Required.')
    height: Typed | None = Field(None, description='Height: cm, or "1.10 m", "43 in". Required.')
    scr: Typed | None = Field(
        None, description='Creatinine, with unit: "0.3 mg/dL", "26.5 umol/L".'
    )
    egfr: Typed | None = Field(None, description="or eGFR, mL/min/1.73 m2.")
    crcl: Typed | None = Field(None, description="or creatinine clearance, mL/min.")
    bsa_formula: Text | None = Field(
        None, description="mosteller (default), du_bois, haycock or gehan_george."
    )
    egfr_formula: Text | None = Field(None, description="Instead of the formula of the model.")
    diagnosis: Text | None = Field(None, description="For models and targets, e.g. b_all.")
    product: Text | None = Field(None, description="For models and targets, e.g. axi_cel.")
    genotype: Text | None = Field(None, description="NT5E rs2295890: GG or carrier (mohanan2017).")
    model: Text = Field(DEFAULT_MODEL, description="A published model; see /api/v1/models.")
    strict: bool = Field(False, description="Refuse a patient outside the studied range.")

    def read_patient(self) -> Patient:
        """The patient."""
        return Patient.from_text(**self._typed(_PATIENT))


class CheckAsked(PatientAndCourse):
    """What `fludapk check` is asked."""

    round_to: Typed | None = Field(
        None, description="Round each dose to a multiple of this many mg."
    )

    def answer(self, folders: Folders = None) -> CheckResult:
        """The check.

        Raises
        ------
        FludapkError
            As `fludapk.answers.check.check`.
        """
        return self._answer(folders)[0]

    def sheet(self, folders: Folders = None) -> tuple[CheckResult, str]:
        """The check, and its page as part of another."""
        result, patient, regimen, step = self._answer(folders)
        drawn = curve_of(patient, regimen, model=self.model, round_to_mg=step, folders=folders)
        return result, check_html(result, drawn, whole=False)

    def _answer(self, folders: Folders) -> tuple[CheckResult, Patient, Regimen, float | None]:
        patient, regimen, step = gathered(
            self.read_patient, self.read_regimen, lambda: _mass_mg(self.round_to)
        )
        result = check(
            patient,
            regimen,
            model=self.model,
            round_to_mg=step,
            strict=self.strict,
            folders=folders,
        )
        return result, patient, regimen, step


class PatientAndGoal(PatientAndCourse):
    """A patient, a planned course, and what the doses are for."""

    target: Text | None = Field(None, description="A target of /api/v1/targets.")
    auc: Finite | None = Field(None, description="or a cumulative AUC0-inf, mg·h/L.")
    window: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = Field(
        None, description="or a window on AUC0-inf, mg·h/L: low, high."
    )
    probability: Finite | None = Field(
        None, description="Wanted of being in the target or window, for example 0.8."
    )

    def read_goal(self) -> Goal:
        """The goal."""
        window = None if self.window is None else (self.window[0], self.window[1])
        return Goal.chosen(
            auc=self.auc,
            window=window,
            target=_text(self.target),
            probability=self.probability,
        )

    def has_goal(self) -> bool:
        """Whether any part of a goal is given."""
        return any(
            value is not None
            for value in (_text(self.target), self.auc, self.window, self.probability)
        )


class DoseAsked(PatientAndGoal):
    """What `fludapk dose` is asked: one goal of target, auc and window."""

    round_to: Typed | None = Field(
        "1", description="What can be drawn up: doses are multiples of this many mg."
    )

    def answer(self, folders: Folders = None) -> DoseResult:
        """The dose for the goal.

        Raises
        ------
        FludapkError
            As `fludapk.answers.dose.find_dose`.
        """
        return self._answer(folders)[0]

    def sheet(self, folders: Folders = None) -> tuple[DoseResult, str]:
        """The dose, and its page as part of another."""
        result, patient, schedule = self._answer(folders)
        given = schedule.in_mg(result.proposals[0].dose_mg)
        drawn = curve_of(patient, given, model=self.model, folders=folders)
        return result, dose_html(result, drawn, whole=False)

    def _answer(self, folders: Folders) -> tuple[DoseResult, Patient, Regimen]:
        goal, patient, (schedule, planned), step = gathered(
            self.read_goal,
            self.read_patient,
            self.read_schedule,
            lambda: _mass_mg(self.round_to),
        )
        result = find_dose(
            patient,
            schedule,
            goal,
            planned=planned,
            model=self.model,
            round_to_mg=step or 1.0,
            strict=self.strict,
            folders=folders,
        )
        return result, patient, schedule


class LevelAsked(_Asked):
    """A measured level of F-ara-A."""

    time: Typed = Field(description='Hours from the start of the first infusion, or "90 min".')
    conc: Typed = Field(description='With its unit: "0.62 mg/L", "620 ng/mL". None is assumed.')
    below: bool = Field(False, description="Below the limit of quantification, which conc is.")

    def read(self, name: str) -> Level:
        """The level, called by a name where it is faulty."""
        time, conc = (_text(value) or "" for value in (self.time, self.conc))
        return Level.from_fields(time, conc, below=self.below, name=name)


class UpdateAsked(PatientAndGoal):
    """What `fludapk update` is asked; a goal is for the doses that are left."""

    levels: Annotated[list[Text | LevelAsked], Field(max_length=MOST_LEVELS)] = Field(
        [], description='Measured levels, "2.0h 0.62mg/L" or "24h <10ng/mL". At least one.'
    )
    given: Annotated[list[Text], Field(max_length=MOST_LEVELS)] = Field(
        [],
        description="Doses as given, from the first, if not as planned: start, mg of "
        'fludarabine phosphate, and length if it differs: "24.5h 22mg 45min".',
    )
    round_to: Typed | None = Field(None, description="Doses are multiples of this many mg.")

    def answer(self, folders: Folders = None) -> UpdateResult:
        """The exposure to expect given the levels.

        Raises
        ------
        FludapkError
            As `fludapk.answers.update.update`.
        """
        return self._answer(folders)[0]

    def sheet(self, folders: Folders = None) -> tuple[UpdateResult, str]:
        """The update, and its page as part of another."""
        result, fitted = self._answer(folders)
        until_h = horizon_h(fitted.course.times_h, fitted.request.regimen.cells_at_h)
        return result, update_html(result, update_curve(fitted, until_h=until_h), whole=False)

    def _levels(self) -> list[Level]:
        if not self.levels:
            raise InputError("levels: none is given; give time and concentration of at least one")
        return gathered(
            *(partial(_level, level, f"level {k}") for k, level in enumerate(self.levels, start=1))
        )

    def _answer(self, folders: Folders) -> tuple[UpdateResult, Fit]:
        patient, regimen, levels, goal, step = gathered(
            self.read_patient,
            self.read_regimen,
            self._levels,
            lambda: self.read_goal() if self.has_goal() else None,
            lambda: _mass_mg(self.round_to),
        )
        fitted = fit(
            patient,
            regimen,
            levels,
            given=gathered(
                *(partial(parse_given, text, regimen.infusion_h) for text in self.given)
            ),
            model=self.model,
            round_to_mg=step,
            strict=self.strict,
            folders=folders,
        )
        return result_of(fitted, goal), fitted


def _level(level: str | LevelAsked, name: str) -> Level:
    return Level.from_text(level) if isinstance(level, str) else level.read(name)


class DesignAsked(PatientAndCourse):
    """What `fludapk update --design` is asked."""

    def answer(self, folders: Folders = None) -> Design:
        """Which levels to draw.

        Raises
        ------
        FludapkError
            As `fludapk.answers.design.design`.
        """
        patient, regimen = gathered(self.read_patient, self.read_regimen)
        return design(patient, regimen, model=self.model, folders=folders)


Grid = Annotated[list[Finite], Field(min_length=3, max_length=3)]


class NomogramAsked(Course):
    """What `fludapk nomogram` is asked."""

    age: Typed | None = Field(
        None, description="A fixed age; without it, children of median growth."
    )
    height: Typed | None = Field(None, description="With age: the height.")
    sex: Text | None = Field(None, description="female or male.")
    weights: Grid | None = Field(None, description="Rows, kg: from, to, step.")
    renal: Grid | None = Field(
        None, description="Columns, in the unit of the model: from, to, step."
    )
    target_auc: Finite | None = Field(None, description="Show the dose for this AUC0-inf, mg·h/L.")
    product: Text | None = Field(None, description="Where the model needs it.")
    model: Text = Field(DEFAULT_MODEL, description="A published model; see /api/v1/models.")

    def answer(self, folders: Folders = None) -> Nomogram:
        """The nomogram.

        Raises
        ------
        FludapkError
            As `fludapk.answers.nomogram.nomogram`.
        """
        regimen, age, height, sex, weights, renal = gathered(
            self.read_regimen if self.target_auc is None else lambda: self.read_schedule()[0],
            lambda: self._quantity("age", "years"),
            lambda: self._quantity("height", "cm"),
            lambda: parse_sex(_text(self.sex)),
            lambda: steps(self.weights, "weights"),
            lambda: steps(self.renal, "renal"),
        )
        return nomogram(
            regimen,
            model=self.model,
            weights_kg=weights,
            renal=renal,
            age_years=age,
            height_cm=height,
            sex=sex,
            target_auc=self.target_auc,
            product=_text(self.product),
            folders=folders,
        )

    def _quantity(self, name: str, unit: str) -> float | None:
        text = _text(getattr(self, name))
        if text is None:
            return None
        return parse_quantity(text, dimension=name, name=name, bare=unit).value
