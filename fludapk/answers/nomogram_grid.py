"""The grid of a nomogram: its axes and the patients of its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.patients.fields import FIELDS, QUANTITIES
from fludapk.patients.patient import Patient
from fludapk.patients.plausible import LIMITS
from fludapk.patients.regimen import Regimen
from fludapk.patients.typed_patient import SEXES
from fludapk.published.covariates import covariate_columns
from fludapk.published.formulas import mosteller
from fludapk.published.growth import growth_reference
from fludapk.published.models import Model
from fludapk.published.tables import PATIENT_COVARIATES

MAX_STEPS: Final = 200
"""Most values on an axis."""
ADULT_WEIGHTS_KG: Final = tuple(float(kg) for kg in range(40, 131, 5))
CHILD_WEIGHTS_KG: Final = tuple(2.5 * step for step in range(2, 25))
_ALL: Final = tuple(FIELDS[key].name for key in QUANTITIES)
"""Nothing is asked about the cells of a grid: nobody typed them."""
RENAL: Final = tuple(float(value) for value in range(20, 161, 5))
"""Default axes; of the renal function what is inside the limits of the model."""


def steps(grid: Sequence[float] | None, key: str) -> list[float] | None:
    """Values from, to and in steps of what was typed, or None.

    Raises
    ------
    InputError
        If they do not ascend from above zero, or are too many.

    Examples
    --------
    >>> steps((10.0, 20.0, 5.0), "weights_kg")
    [10.0, 15.0, 20.0]
    """
    if grid is None:
        return None
    low, high, step = grid
    if not (0 < low <= high < 1e6 and step > 0 and (high - low) / step < 1000):
        do = tr("from, to and step, from above zero")
        raise InputError(Fault(key, f"= {low:g} {high:g} {step:g}", do=do))
    return [low + k * step for k in range(math.floor((high - low) / step + 1e-9) + 1)]


# ------------------------------------------------------------------ the patients of the grid

_SEXES: Final = {"female": marked("female"), "male": marked("male")}


@dataclass(frozen=True, eq=False)
class People:
    """The axes of the grid: age and height go with the weight."""

    weights: F8
    ages: F8
    heights: F8
    renal: F8
    name: str
    """eGFR or CrCl."""
    sex: Literal["female", "male"] | None
    median_growth: bool
    parts: tuple[int, int] = (1, 1)
    """Steps of each axis between two values that were asked for."""

    @property
    def coarse(self) -> tuple[slice, slice]:
        """Cells that were asked for, without the points between."""
        return slice(None, None, self.parts[0]), slice(None, None, self.parts[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of weights and of renal functions."""
        return self.weights.size, self.renal.size

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.weights.size * self.renal.size

    @property
    def unit(self) -> str:
        """Unit of the renal function."""
        return PATIENT_COVARIATES[self.name]

    @property
    def bsa(self) -> F8:
        """Body surface area at each weight, m2."""
        return np.asarray(mosteller(height_cm=self.heights, weight_kg=self.weights))

    @property
    def who(self) -> str:
        """The patients in words."""
        if self.median_growth:
            return {
                "female": tr("children of median growth (CDC 2000), girls"),
                "male": tr("children of median growth (CDC 2000), boys"),
                None: tr("children of median growth (CDC 2000), girls and boys"),
            }[self.sex]
        sex = f"{tr(_SEXES[self.sex])}, " if self.sex else ""
        return sex + tr("{age:g} y, {height:g} cm", age=self.ages[0], height=self.heights[0])

    def covariates(
        self, model: Model, regimen: Regimen, asked: Mapping[str, str | None]
    ) -> tuple[dict[str, F8], dict[str, F8]]:
        """Columns of all cells, weight by weight, and the covariates a model makes of them."""
        same = self.patient(0, 0, asked).columns(model, regimen.product, regimen.disease)
        columns = {key: np.full(self.size, value[0]) for key, value in same.items()}
        by_weight = {"AGE": self.ages, "WT": self.weights, "HT": self.heights, "BSA": self.bsa}
        columns |= {key: np.repeat(value, self.renal.size) for key, value in by_weight.items()}
        columns[self.name] = np.tile(self.renal, self.weights.size)
        return columns, covariate_columns(model, columns).values

    def planned_mg(self, regimen: Regimen) -> F8:
        """Dose per infusion of each weight, mg."""
        return regimen.dose_mg(self.bsa, self.weights)

    def patient(self, i: int, j: int, asked: Mapping[str, str | None]) -> Patient:
        """The patient of a cell."""
        renal = float(self.renal[j])
        return Patient(
            age_years=float(self.ages[i]),
            weight_kg=float(self.weights[i]),
            height_cm=float(self.heights[i]),
            sex=self.sex,
            egfr_ml_min_1_73m2=renal if self.name == "eGFR" else None,
            crcl_ml_min=renal if self.name == "CrCl" else None,
            product=asked["product"],
            diagnosis=asked["diagnosis"],
            genotype=asked["genotype"],
            confirm=_ALL,
        )

    def described(self, i: int, j: int) -> str:
        """The patient of a cell in words."""
        size = tr(
            "{weight:g} kg, {age:.3g} y, {height:.4g} cm",
            weight=self.weights[i],
            age=self.ages[i],
            height=self.heights[i],
        )
        return f"{size}, {self.name} {self.renal[j]:g} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class GridAsked:
    """Question that a grid answers.

    Parameters
    ----------
    weights_kg, renal : sequence of float, optional
        Ascending; see `fludapk.answers.nomogram.nomogram`.
    age_years, height_cm : float, optional
        Both, or neither for children of median growth.
    sex : str, optional
    target_auc : float, optional
        mg·h/L.
    fine : bool
        Whether points between are asked for, too.
    """

    weights_kg: Sequence[float] | None = None
    renal: Sequence[float] | None = None
    age_years: float | None = None
    height_cm: float | None = None
    sex: str | None = None
    target_auc: float | None = None
    fine: bool = False


def people_of(model: Model, asked: GridAsked) -> People:
    """Make the axes, and the patients on them.

    Raises
    ------
    InputError
        Listing every fault of what was asked.
    """
    faults = _faults_of_patients(model, asked)
    sex, is_growth = SEXES.get(asked.sex or ""), asked.age_years is None
    weights = _axis("weights_kg", "kg", LIMITS["weight"], _weights(asked, sex, faults), faults)
    if is_growth:
        faults += _beyond_growth(weights, sex)
    name = model.renal_covariate or ""
    limits = LIMITS.get(name, (0.0, math.inf))
    unit = PATIENT_COVARIATES.get(name, "")
    renal = _axis("renal", unit, limits, _renal(model, asked), faults)
    if faults:
        raise InputError(*faults)
    parts = (_parts(weights), _parts(renal)) if asked.fine else (1, 1)
    weights, renal = _finer(weights, parts[0]), _finer(renal, parts[1])
    if asked.age_years is None or asked.height_cm is None:
        ages, heights = _median_growth(sex, weights)
    else:
        ages = np.full(weights.size, asked.age_years)
        heights = np.full(weights.size, asked.height_cm)
    return People(weights, ages, heights, renal, name, sex, is_growth, parts)


def _faults_of_patients(model: Model, asked: GridAsked) -> list[Fault]:
    """Name what is wrong with everything but the axes."""
    faults: list[Fault] = []
    if not model.renal_covariate:
        found = tr(
            "{model} has no renal covariate: a map over renal function would say nothing",
            model=model.id,
        )
        faults.append(Fault("model", found, do=tr("choose another model"), whole=True))
    if asked.sex is not None and asked.sex not in SEXES:
        faults.append(Fault("sex", f"= {asked.sex!r}", do=tr("write female or male")))
    for key in ("age_years", "height_cm"):
        low, high = LIMITS[FIELDS[key].dimension or ""]
        value = getattr(asked, key)
        if value is not None and not low <= value <= high:
            faults.append(
                Fault(
                    key,
                    tr(
                        "= {value:g} is outside {low:g} to {high:g}",
                        value=value,
                        low=low,
                        high=high,
                    ),
                )
            )
    if (asked.age_years is None) != (asked.height_cm is None):
        do = tr("give both, or neither for children of median growth")
        faults.append(Fault("age_years", tr("go together"), do=do, also=("height_cm",)))
    auc = asked.target_auc
    if auc is not None and not (math.isfinite(auc) and auc > 0):
        found = tr("= {auc} must be a finite number above zero, mg·h/L", auc=auc)
        faults.append(Fault("target_auc", found))
    return faults


def _weights(asked: GridAsked, sex: str | None, faults: list[Fault]) -> Sequence[float]:
    """Weights as asked, or those of adults or children."""
    if asked.weights_kg is not None:
        return asked.weights_kg
    if asked.age_years is None:
        heaviest = _medians("weight", sex)[-1, 1]
        return [kg for kg in CHILD_WEIGHTS_KG if kg <= heaviest]
    if asked.age_years < 18:
        found = tr("a fixed age below 18 y needs its own {weights_kg}: give them")
        faults.append(Fault("weights_kg", found, whole=True))
    return ADULT_WEIGHTS_KG


def _beyond_growth(weights: F8, sex: str | None) -> list[Fault]:
    """Name weights that are no median weight of a child."""
    lightest, heaviest = _medians("weight", sex)[[0, -1], 1]
    beyond = weights[(weights <= lightest) | (weights > heaviest)]
    if not beyond.size:
        return []
    found = tr(
        "= {weights} kg is not a median weight between birth and 20 y ({lightest:.2f} to "
        "{heaviest:.2f} kg)",
        weights=listed(beyond),
        lightest=lightest,
        heaviest=heaviest,
    )
    do = tr("leave it out, or give {age_years} and {height_cm}")
    return [Fault("weights_kg", found, do=do)]


def _renal(model: Model, asked: GridAsked) -> Sequence[float]:
    """Renal functions as asked, or those inside the limits of the model."""
    if asked.renal is not None:
        return asked.renal
    covariate = model.file.covariates.get(model.renal_covariate or "")
    low, high = (covariate.limits if covariate else None) or (0.0, math.inf)
    return [value for value in RENAL if low <= value <= high]


def _axis(
    key: str, unit: str, limits: tuple[float, float], given: Sequence[float], faults: list[Fault]
) -> F8:
    """An axis as given; what is wrong with it is added to the faults."""
    values = np.array(given, dtype=np.float64)
    if values.ndim != 1 or not 1 <= values.size <= MAX_STEPS:
        found = tr(
            "has {n} values on the axis; from 1 to {most} are allowed",
            n=values.size,
            most=MAX_STEPS,
        )
        faults.append(Fault(key, found))
    beyond = values[~((values >= limits[0]) & (values <= limits[1]))]
    if beyond.size:
        found = tr(
            "= {values} {unit} is not from {low:g} to {high:g} {unit}",
            values=listed(beyond),
            unit=unit,
            low=limits[0],
            high=limits[1],
        )
        faults.append(Fault(key, found))
    if np.any(np.diff(values) <= 0):
        faults.append(Fault(key, tr("must ascend")))
    return values


def _parts(axis: F8) -> int:
    """Parts into which a fine map divides every step of an axis."""
    return 1 if axis.size < 2 else max(1, min(5, (MAX_STEPS - 1) // (axis.size - 1)))


def _finer(axis: F8, parts: int) -> F8:
    """Divide every step of an axis into so many parts."""
    if parts == 1:
        return axis
    whole = np.arange(axis.size)
    return np.interp(np.arange(parts * (axis.size - 1) + 1) / parts, whole, axis)


def listed(values: F8) -> str:
    """The first five of some values, and how many more there are."""
    shown = ", ".join(f"{value:g}" for value in values[:5])
    if values.size <= 5:
        return shown
    return tr("{values} and {n} more", values=shown, n=values.size - 5)


def _medians(measure: str, sex: str | None) -> F8:
    """Rows of age (years) and median; of both sexes the mean, if it is not said which."""
    tables = [growth_reference()[measure, s] for s in ([sex] if sex else ["female", "male"])]
    return np.column_stack([tables[0][:, 0], np.mean([table[:, 2] for table in tables], axis=0)])


def _median_growth(sex: str | None, weights_kg: F8) -> tuple[F8, F8]:
    """Age at which a weight is the median, and the median height at that age."""
    weight, height = _medians("weight", sex), _medians("height", sex)
    ages = np.interp(weights_kg, weight[:, 1], weight[:, 0])
    return ages, np.interp(ages, height[:, 0], height[:, 1])
