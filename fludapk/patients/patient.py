"""One patient: validated, immutable, with the units that were typed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, Final, Literal, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, nearest
from fludapk.language import tr
from fludapk.patients.clock import ClockTime, Moment
from fludapk.patients.fields import FIELDS, QUANTITIES, RENAL, keyword, label
from fludapk.patients.ordinary import is_ordinary, is_ordinary_size
from fludapk.patients.plain import plain_quantities
from fludapk.patients.plausible import (
    LIMITS,
    Values,
    quantity_faults,
    to_be_confirmed,
    unusual_for_age,
)
from fludapk.patients.renal_changes import RenalChange, at
from fludapk.patients.typed_patient import (
    Sex,
    Typed,
    internal_unit,
    parse_sex,
    parted_functions,
    read_categories,
    read_confirmations,
    read_quantities,
    read_renal_changes,
    renal_clock,
)
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import Model
from fludapk.published.tables import CATEGORICAL
from fludapk.units import Quantity, shown_unit


@dataclass(frozen=True, kw_only=True, init=False)
class Patient:
    """A patient, with every quantity in one unit and as it was typed.

    Parameters
    ----------
    age_years, weight_kg, height_cm : float
    sex : {'female', 'male'}, optional
        Needed only where a formula needs it.
    scr_mg_dl, egfr_ml_min_1_73m2, crcl_ml_min : float, optional
        At most one: serum creatinine, or an eGFR, or a creatinine clearance.
    product, diagnosis, genotype : str, optional
        Names that a model or a target needs.
    renal_changes : sequence of (h, value), optional
        Later values of the renal function that is given, from the start of the first dose on:
        ``[(48, 1.2)]``. One counts from the first dose at or after its time.
    gestational_age_weeks : float, optional
        Gestational age at birth, for models with maturation; 40 if absent.
    categories : mapping of str to str, or str, optional
        Categories that only a model of one's own has: ``"transplant=autologous"``.
    bsa_formula : str
        A BSA formula of `fludapk.published.formulas`.
    egfr_formula : str, optional
        Instead of the rules of the model.
    age, weight, height, scr, egfr, crcl, gestational_age, category : str or float, optional
        The same quantities as typed: ``"8 mo"``, ``"43 in"``, ``"26.5 umol/L"``; a number has the
        default unit, of which creatinine has none. A renal function that changes has its times:
        ``"0.8 mg/dL; 48h 1.2 mg/dL"``, or ``"0.8 mg/dL; 2026-01-15 08:00 1.2 mg/dL"``.
    first_dose : str or datetime, optional
        Clock time of the first dose, from which those of a renal function are counted.
    time_zone : str, optional
        Zone of the clock times.
    confirm : str or sequence of str, optional
        Names of quantities that are meant although they look like a slip, ``["weight"]``.

    Attributes
    ----------
    typed : mapping of str to Quantity
        Quantities as typed, by keyword.
    confirmed : tuple of str
        Names of the quantities that would have been refused without `confirm`.
    renal_clocks : tuple of ClockTime
        Clock times of `renal_changes`, where they were typed so.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> f"{girl.bsa_m2:.4f} m2"
    '0.7457 m2'
    >>> Patient(age="8mo", weight="8.1", height="70", scr="20 umol/L").age_years
    0.666666666667
    """

    age_years: float
    weight_kg: float
    height_cm: float
    sex: Sex | None
    scr_mg_dl: float | None
    egfr_ml_min_1_73m2: float | None
    crcl_ml_min: float | None
    product: str | None
    diagnosis: str | None
    genotype: str | None
    renal_changes: tuple[RenalChange, ...]
    gestational_age_weeks: float | None
    categories: Mapping[str, str] = field(hash=False)
    bsa_formula: str
    egfr_formula: str | None
    typed: Mapping[str, Quantity] = field(repr=False, compare=False)
    confirmed: tuple[str, ...] = field(compare=False)
    renal_clocks: tuple[ClockTime, ...] = field(repr=False, compare=False)

    def __init__(
        self,
        *,
        age_years: float | None = None,
        weight_kg: float | None = None,
        height_cm: float | None = None,
        sex: str | None = None,
        scr_mg_dl: float | None = None,
        egfr_ml_min_1_73m2: float | None = None,
        crcl_ml_min: float | None = None,
        product: str | None = None,
        diagnosis: str | None = None,
        genotype: str | None = None,
        renal_changes: Sequence[tuple[float, float]] = (),
        gestational_age_weeks: float | None = None,
        categories: Mapping[str, str] | str | Sequence[str] | None = None,
        bsa_formula: str | None = None,
        egfr_formula: str | None = None,
        typed: Mapping[str, Quantity] | None = None,
        age: Typed = None,
        weight: Typed = None,
        height: Typed = None,
        scr: Typed | Sequence[str] = None,
        egfr: Typed | Sequence[str] = None,
        crcl: Typed | Sequence[str] = None,
        gestational_age: Typed = None,
        category: str | None = None,
        first_dose: Moment | None = None,
        time_zone: str | None = None,
        confirm: str | Sequence[str] = (),
        confirmed: Sequence[str] = (),
        renal_clocks: Sequence[ClockTime] = (),
    ) -> None:
        numbers = (
            *(age_years, weight_kg, height_cm, scr_mg_dl, egfr_ml_min_1_73m2, crcl_ml_min),
            gestational_age_weeks,
        )
        clock, faulty = renal_clock((scr, egfr, crcl), first_dose, time_zone)
        first, later, unparted = parted_functions((scr, egfr, crcl), clock)
        texts = (age, weight, height, *first, gestational_age)
        values, quantities, faults = read_quantities(numbers, texts, typed or {})
        faults += faulty + unparted
        changes, at, own_faults = read_renal_changes(values, later, renal_changes, clock)
        faults += own_faults
        parsed_sex: Sex | None = None
        try:
            parsed_sex = parse_sex(sex)
        except InputError as error:
            faults += error.faults
        own, unreadable = read_categories(categories or category)
        faults += unreadable
        attributes = values | {
            "sex": parsed_sex,
            "product": product,
            "diagnosis": diagnosis,
            "genotype": genotype,
            "categories": own,
            "renal_changes": changes,
            "renal_clocks": tuple(at or renal_clocks),
            "bsa_formula": bsa_formula or _NOTHING["bsa_formula"],
            "egfr_formula": egfr_formula,
            "typed": quantities,
        }
        vars(self).update(attributes)
        faults, needed = self._judged(faults, confirm, confirmed)
        faults += self._change_faults(confirm, confirmed)
        object.__setattr__(self, "confirmed", needed)
        if faults:
            raise InputError(*faults)

    @classmethod
    def plainly(cls, texts: Mapping[str, Any]) -> Self | None:
        """Read a patient of plain numbers at a glance; None for all that rules must look at.

        Parameters
        ----------
        texts : mapping of str to str
            Typed inputs by the names of requests.

        Examples
        --------
        >>> girl = {"age": "5", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL"}
        >>> Patient.plainly(girl) == Patient(**girl), Patient.plainly(girl | {"weight": "99"})
        (True, None)
        """
        sex = texts.get("sex")
        if not texts.keys() <= _PLAIN or sex not in (None, "female", "male"):
            return None
        typed = plain_quantities(texts, sex)
        if typed is None:
            return None
        patient = cls.__new__(cls)
        own = {key: quantity.value for key, quantity in typed.items()}
        names = {name: texts[name] for name in _NAMES if name in texts}
        vars(patient).update(_NOTHING, **own, **names, sex=sex, typed=typed, categories={})
        vars(patient)["_is_of_ordinary_size"] = True  # or it would not be plain
        return None if patient._formula_faults("bsa_formula", ("BSA",)) else patient

    def _judged(
        self, unreadable: Sequence[Fault], confirm: str | Sequence[str], confirmed: Sequence[str]
    ) -> tuple[list[Fault], tuple[str, ...]]:
        """Judge what could be read: return all faults, and the confirmations that were needed."""
        sound = self.quantities
        for fault in unreadable:
            sound.pop(fault.field, None)
        impossible = self._faults(sound)
        for fault in impossible:
            sound.pop(fault.field, None)
        asked, unknown = read_confirmations(confirm)
        in_doubt: list[Fault] = []
        needed: tuple[str, ...] = ()
        if not is_ordinary(sound, self.sex):
            asked |= {keyword(name) for name in confirmed}  # of the patient this is a copy of
            in_doubt, needed = to_be_confirmed(Values(typed=sound, sex=self.sex), asked)
        faults = [*unreadable, *impossible, *in_doubt, *unknown]
        return faults, tuple(FIELDS[key].name for key in needed)

    def _change_faults(self, confirm: str | Sequence[str], confirmed: Sequence[str]) -> list[Fault]:
        """Judge every later value of the renal function as the first is judged."""
        faults: list[Fault] = []
        key = self.renal_key
        if key is None or not self.renal_changes:
            return faults
        asked, _ = read_confirmations(confirm)
        asked |= {keyword(name) for name in confirmed}
        possible = {
            name: typed
            for name, typed in self.quantities.items()
            if not quantity_faults(name, typed, self.age_years)
        }
        for time, value in self.renal_changes:
            typed = Quantity(value, internal_unit(key), value, bare=False)
            own = quantity_faults(key, typed, self.age_years)
            values = Values(typed=possible | {key: typed}, sex=self.sex)
            own = own or [f for f in to_be_confirmed(values, asked)[0] if f.field == key]
            faults += [
                replace(fault, found=tr("at {time:g} h {fault}", time=time, fault=fault.found))
                for fault in own
            ]
        return faults

    @property
    def renal_key(self) -> str | None:
        """Keyword of the renal function that is given; None if there is none."""
        return next((key for key in RENAL if getattr(self, key) is not None), None)

    def at_worst(self, until_h: float) -> Patient:
        """Return the patient with the lowest renal function of a course, for the rules of labels.

        Parameters
        ----------
        until_h : float
            Start of the last dose, h from the first; later values concern no dose.
        """
        if not self.renal_changes or (key := self.renal_key) is None:
            return self
        values = [value for time, value in self.renal_changes if time <= until_h + 1e-9]
        worst = max if key == "scr_mg_dl" else min
        other = copy(self)
        object.__setattr__(other, key, worst([getattr(self, key), *values]))
        object.__setattr__(other, "renal_changes", ())
        return other

    def renal_at(self, key: str, time_h: float) -> float | None:
        """Return a renal function as given for a time.

        Parameters
        ----------
        key : str
            One of `RENAL`.
        time_h : float
            h from the first dose.
        """
        return at(getattr(self, key), self.renal_changes, time_h)

    def _faults(self, readable: Mapping[str, Quantity]) -> list[Fault]:
        """List everything that is wrong with values that could be read."""
        faults: list[Fault] = []
        for key, typed in readable.items():
            faults += quantity_faults(key, typed, self.age_years)
        renal = [key for key in RENAL if getattr(self, key) is not None]
        if len(renal) > 1:
            do = tr("give one renal function only")
            faults.append(Fault(renal[0], tr("are given together"), do=do, also=tuple(renal[1:])))
        faults += self._formula_faults("bsa_formula", ("BSA",))
        if self.egfr_formula is not None:
            faults += self._formula_faults("egfr_formula", ("eGFR", "CrCl"))
            if self.scr_mg_dl is None:
                unused = tr("is used only with {scr_mg_dl}, which is not given")
                faults.append(Fault("egfr_formula", unused))
        return faults

    def _formula_faults(self, key: str, quantities: tuple[str, ...]) -> list[Fault]:
        name = getattr(self, key)
        choices = _formulas_of(quantities)
        if name not in choices:
            found = tr("= {typed!r} is unknown", typed=name)
            return [Fault(key, found, do=nearest(name, choices))]
        low, high = FORMULAS[name].ages
        years = self.age_years
        if not LIMITS["age"][0] <= years <= LIMITS["age"][1] or low <= years <= high:
            return []
        found = tr(
            "= {formula!r} is for {low:g} to {high:g} y; {age_years} is {years:.3g} y",
            formula=name,
            low=low,
            high=high,
            years=years,
        )
        return [Fault(key, found)]

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Quantities that were given, by keyword, in the unit in which they were."""
        quantities = {}
        for key in QUANTITIES:
            number, typed = getattr(self, key), self.typed.get(key)
            if number is None:
                continue
            if typed is None or typed.value != number:  # of a copy with another number
                typed = Quantity(number, internal_unit(key), number, bare=False)
            quantities[key] = typed
        return quantities

    @cached_property
    def bsa_m2(self) -> float:
        """Body surface area by `bsa_formula`, m2."""
        function = FORMULAS[self.bsa_formula].function
        return float(function(height_cm=self.height_cm, weight_kg=self.weight_kg))

    def columns(
        self, model: Model | None = None, product: str | None = None, disease: str | None = None
    ) -> dict[str, F8]:
        """Return the patient as arrays of one row, for `covariate_columns`.

        Parameters
        ----------
        model : Model, optional
            Its categories are turned into level numbers; without it they are NaN.
        product, disease : str, optional
            Those of the regimen; what the patient states comes first. A level the model does not
            have is NaN.
        """
        return columns_of([self], model, [product], [disease])

    @property
    def renal_inputs(self) -> tuple[float | None, ...]:
        """Creatinine, eGFR and CrCl, of which at most one is given."""
        return tuple(getattr(self, name) for name in RENAL)

    def unusual(self, dimension: Literal["weight", "height"]) -> str | None:
        """Describe weight or height if it is far from the reference for age."""
        if self._is_of_ordinary_size:
            return None
        value = self.weight_kg if dimension == "weight" else self.height_cm
        return unusual_for_age(dimension, value, age_years=self.age_years, sex=self.sex)

    @cached_property
    def _is_of_ordinary_size(self) -> bool:
        size = {"weight_kg": self.weight_kg, "height_cm": self.height_cm}
        return is_ordinary_size(self.age_years, self.sex, **size)

    def unusual_for_age(self) -> list[str]:
        """Describe weight and height if they are far from the reference for age."""
        return [text for text in (self.unusual("weight"), self.unusual("height")) if text]

    def conversions(self) -> list[str]:
        """List quantities typed in another unit, and how they were read."""
        lines = []
        for key, typed in self.typed.items():
            unit = internal_unit(key)
            if typed.unit != unit:
                given = f"{typed.given:g} {shown_unit(typed.unit)}"
                lines.append(f"{label(key)} {given} = {typed.value:.4g} {shown_unit(unit)}")
        return lines


_NAMES: Final = ("product", "diagnosis", "genotype", "bsa_formula")
CLOCK: Final = ("first_dose", "time_zone")
"""Fields of the course by which clock times of the patient are counted."""
_PLAIN: Final = {"sex", *_NAMES, *CLOCK, *(FIELDS[key].name for key in QUANTITIES)}
"""Inputs of a patient who may be read at a glance."""
_NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys((*QUANTITIES, *_NAMES, "egfr_formula")),
    **dict.fromkeys(("renal_changes", "renal_clocks", "confirmed"), ()),
    "bsa_formula": "mosteller",
}
"""Attributes of a patient of whom nothing is typed."""


@cache
def _formulas_of(quantities: tuple[str, ...]) -> list[str]:
    return [name for name, entry in FORMULAS.items() if entry.quantity in quantities]


def columns_of(
    patients: Sequence[Patient],
    model: Model | None = None,
    products: Sequence[str | None] | None = None,
    diseases: Sequence[str | None] | None = None,
    at_h: float = 0.0,
) -> dict[str, F8]:
    """Return many patients as arrays of one row each.

    Parameters
    ----------
    patients : sequence of Patient
    model : Model, optional
        See `Patient.columns`.
    products, diseases : sequence of str or None, optional
        Product and disease of the courses, one for each patient.
    at_h : float
        Start of the dose, h from the first: a renal function may change.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> columns_of([girl, girl])["WT"]
    array([18.2, 18.2])
    """
    numbers = size_columns(patients, at_h)
    return numbers | category_columns(patients, model, products, diseases)


def size_columns(patients: Sequence[Patient], at_h: float = 0.0) -> dict[str, F8]:
    """Return the numbers of many patients as arrays of one row each; see `columns_of`."""
    at = attrgetter("age_years", "weight_kg", "height_cm", *RENAL, "gestational_age_weeks")
    rows = [at(patient) for patient in patients]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(_SIZES)).T  # NaN for None
    columns = dict(zip(_SIZES, np.ascontiguousarray(table), strict=True))
    columns["SEX"] = np.array([_FEMALE[p.sex] for p in patients], dtype=np.float64)
    columns["BSA"] = np.array([p.bsa_m2 for p in patients], dtype=np.float64)
    for i, patient in enumerate(patients):
        for name, key in zip(_RENAL_COLUMNS, RENAL, strict=True) if patient.renal_changes else ():
            value = patient.renal_at(key, at_h)
            columns[name][i] = math.nan if value is None else value
    return columns


_RENAL_COLUMNS: Final = ("SCR", "eGFR", "CrCl")
_SIZES: Final = ("AGE", "WT", "HT", *_RENAL_COLUMNS, "GA")
_FEMALE: Final = {None: math.nan, "female": 1.0, "male": 0.0}


def category_columns(
    patients: Sequence[Patient],
    model: Model | None = None,
    products: Sequence[str | None] | None = None,
    diseases: Sequence[str | None] | None = None,
) -> dict[str, F8]:
    """Return the categories of many patients as arrays of one row each; see `columns_of`."""
    of_course = {"product": products, "diagnosis": diseases}
    columns = {name: np.full(len(patients), np.nan) for name in CATEGORICAL}
    if model is None:
        return columns
    for name in (*CATEGORICAL, *model.own_categories):
        levels = {level: float(i) for i, level in enumerate(model.categories(name))}
        if not levels:
            continue
        if name in CATEGORICAL:
            stated = [getattr(patient, name) for patient in patients]
        else:
            stated = [patient.categories.get(name) for patient in patients]
        if others := of_course.get(name):
            stated = [own or other for own, other in zip(stated, others, strict=True)]
        columns[name] = np.array([levels.get(level or "", math.nan) for level in stated])
    return columns
