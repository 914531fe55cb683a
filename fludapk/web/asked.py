"""Requests, by the names of `fludapk.patients.fields`, and the answers of the library.

Quantities are text with a unit, ``"0.3 mg/dL"``, or numbers in the default unit of their field;
creatinine has none. The answers are the records behind the command line's JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_records import CompareResult
from fludapk.answers.design import Design
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.nomogram import nomogram
from fludapk.answers.nomogram_grid import steps
from fludapk.answers.nomogram_records import Nomogram
from fludapk.answers.typed import (
    Folders,
    check_typed,
    compare_typed,
    design_typed,
    dose_typed,
    update_typed,
)
from fludapk.answers.update_records import UpdateResult
from fludapk.errors import gathered
from fludapk.patients.fields import COMMON, COURSE, FIELDS, PATIENT, RENAL
from fludapk.patients.request import read_quantity, read_regimen, read_schedule
from fludapk.patients.typed_patient import parse_sex
from fludapk.published.models import DEFAULT_MODEL

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Text = Annotated[str, StringConstraints(max_length=200)]
Typed = Text | Finite
"""A quantity as typed, or a number in the default unit of its field."""
Several = Annotated[list[Text], Field(max_length=20)]
"""A list of names."""
Place = Annotated[int, Field(strict=True, ge=1, le=1000)]
"""Place in a list, from 1."""
MOST_LEVELS: Final = 50
"""Number of levels of a request at most; as many doses may be given."""


_A = TypeVar("_A", bound="Asked")


class Asked(BaseModel):
    """Base of requests: names of fields, nothing else."""

    model_config = ConfigDict(extra="forbid")

    @property
    def typed(self) -> dict[str, Any]:
        """Fields by their names."""
        return self.model_dump()


def described(key: str) -> str:
    """Help of a field in the words of the API.

    Examples
    --------
    >>> described("target")
    'A target of /api/v1/targets.'
    """
    text = FIELDS[key].help.replace("--", "")
    for source in ("models", "regimens", "targets"):
        text = text.replace(f"`fludapk {source} list`", f"/api/v1/{source}")
    return text


def with_fields(*keys: str) -> Callable[[type[_A]], type[_A]]:
    """Give a request some fields: quantities and counts as typed, all else text."""
    kinds = {key: Typed if FIELDS[key].dimension or key == "days" else Text for key in keys}
    made: dict[str, Any] = {
        FIELDS[key].name: (
            (Several, Field([], description=described(key)))
            if FIELDS[key].several
            else (kind | Several | None, Field(None, description=described(key)))
            if key in RENAL
            else (kind | None, Field(None, description=described(key)))
        )
        for key, kind in kinds.items()
    }

    def made_of(request: type[_A]) -> type[_A]:
        return create_model(request.__name__, __base__=request, __doc__=request.__doc__, **made)

    return made_of


@with_fields(*COURSE)
class Course(Asked):
    """A planned course: a published regimen, or a dose and a number of days."""


@with_fields(*PATIENT)
class PatientAndCourse(Course):
    """A patient and a planned course."""


class Answerable(PatientAndCourse):
    """A patient, a planned course and a model."""

    model: Text = Field(DEFAULT_MODEL, description=described("model"))
    strict: bool = Field(False, description="Refuse a patient outside the studied range.")


class CheckAsked(Answerable):
    """Request of `fludapk check`."""

    round_to: Typed | None = Field(None, description=described("round_to_mg"))

    def answer(self, folders: Folders = None) -> CheckResult:
        """Check the course.

        Raises
        ------
        FludapkError
            As `fludapk.answers.check.check`.
        """
        return check_typed(self.typed, folders)


class PatientAndGoal(Answerable):
    """A patient, a planned course, and the goal of the doses."""

    target: Text | None = Field(None, description=described("target"))
    auc: Finite | None = Field(None, description=described("auc"))
    window: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = Field(
        None, description=described("window")
    )
    probability: Finite | None = Field(None, description=described("probability"))


class DoseAsked(PatientAndGoal):
    """Request of `fludapk dose`: one goal of target, auc and window."""

    round_to: Typed | None = Field(
        "1", description="What can be drawn up: doses are multiples of this many mg."
    )

    def answer(self, folders: Folders = None) -> DoseResult:
        """Find the dose for the goal.

        Raises
        ------
        FludapkError
            As `fludapk.answers.dose.find_dose`.
        """
        return dose_typed(self.typed, folders)


@with_fields(*PATIENT, *COMMON)
class PatientOnly(Asked):
    """A patient, and what holds for every course of the patient."""


class CompareAsked(PatientOnly):
    """Request of `fludapk compare`: two to four plans."""

    plans: Several = Field([], description=described("plans"))
    model: Text = Field(DEFAULT_MODEL, description=described("model"))
    round_to: Typed | None = Field(None, description=described("round_to_mg"))
    strict: bool = Field(False, description="Refuse a patient outside the studied range.")

    def answer(self, folders: Folders = None) -> CompareResult:
        """Compare the plans.

        Raises
        ------
        FludapkError
            As `fludapk.answers.compare.compare`.
        """
        return compare_typed(self.typed, folders)


class LevelAsked(Asked):
    """A measured level of F-ara-A."""

    time: Typed = Field(description=described("time_h"))
    conc: Typed = Field(description=described("conc_mg_l"))
    below: bool = Field(False, description="Below the limit of quantification, which conc is.")


class UpdateAsked(PatientAndGoal):
    """Request of `fludapk update`; a goal is for the doses that are left."""

    levels: Annotated[list[Text | LevelAsked], Field(max_length=MOST_LEVELS)] = Field(
        [], description=described("levels")
    )
    given: Annotated[list[Text], Field(max_length=MOST_LEVELS)] = Field(
        [], description=described("given")
    )
    exclude_level: Annotated[list[Place], Field(max_length=MOST_LEVELS)] = Field(
        [], description=described("exclude_level")
    )
    draws: Annotated[int, Field(strict=True)] | None = Field(None, description=described("draws"))
    round_to: Typed | None = Field(None, description=described("round_to_mg"))

    def answer(self, folders: Folders = None) -> UpdateResult:
        """Estimate the exposure to expect given the levels.

        Raises
        ------
        FludapkError
            As `fludapk.answers.update.update`.
        """
        return update_typed(self.typed, folders)


class DesignAsked(Answerable):
    """Request of `fludapk update --design`."""

    def answer(self, folders: Folders = None) -> Design:
        """Find the levels to draw.

        Raises
        ------
        FludapkError
            As `fludapk.answers.design.design`.
        """
        return design_typed(self.typed, folders)


Grid = Annotated[list[Finite], Field(min_length=3, max_length=3)]


class NomogramAsked(Course):
    """Request of `fludapk nomogram`."""

    age: Typed | None = Field(
        None, description="A fixed age; without it, children of median growth."
    )
    height: Typed | None = Field(None, description="With age: the height.")
    sex: Text | None = Field(None, description="female or male.")
    weights: Grid | None = Field(None, description=described("weights_kg"))
    renal: Grid | None = Field(None, description=described("renal"))
    target_auc: Finite | None = Field(None, description=described("target_auc"))
    product: Text | None = Field(None, description="Where the model needs it.")
    diagnosis: Text | None = Field(None, description=described("diagnosis"))
    genotype: Text | None = Field(None, description=described("genotype"))
    model: Text = Field(DEFAULT_MODEL, description=described("model"))

    def answer(self, folders: Folders = None, *, fine: bool = False) -> Nomogram:
        """Tabulate AUC or dose; `fine` for a figure.

        Raises
        ------
        FludapkError
            As `fludapk.answers.nomogram.nomogram`.
        """
        regimen, age, height, sex, weights, renal = gathered(
            lambda: (
                read_regimen(self.typed)
                if self.target_auc is None
                else read_schedule(self.typed)[0]
            ),
            lambda: read_quantity(self.typed, "age_years"),
            lambda: read_quantity(self.typed, "height_cm"),
            lambda: parse_sex(self.sex or None),
            lambda: steps(self.weights, "weights_kg"),
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
            product=self.product or None,
            diagnosis=self.diagnosis or None,
            genotype=self.genotype or None,
            fine=fine,
            folders=folders,
        )
