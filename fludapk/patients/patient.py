"""One patient: validated, immutable, with the units that were typed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, Literal

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, nearest
from fludapk.patients.fields import FIELDS, QUANTITIES, RENAL, REQUIRED, keyword
from fludapk.patients.plausible import (
    LIMITS,
    Values,
    quantity_faults,
    to_be_confirmed,
    unusual_for_age,
)
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import Model
from fludapk.published.tables import CATEGORICAL
from fludapk.units import UNITS, Quantity, canonical_unit, parse_number, parse_quantity

Sex = Literal["female", "male"]
Typed = str | float | None
"""A quantity as typed, or a number in the default unit of its field."""

SEXES: Final[dict[str, Sex]] = {"female": "female", "f": "female", "male": "male", "m": "male"}


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
    bsa_formula : str
        A BSA formula of `fludapk.published.formulas`.
    egfr_formula : str, optional
        Instead of the rules of the model.
    age, weight, height, scr, egfr, crcl : str or float, optional
        The same quantities as typed: ``"8 mo"``, ``"43 in"``, ``"26.5 umol/L"``; a number has the
        default unit, of which creatinine has none.
    confirm : str or sequence of str, optional
        Names of quantities that are meant although they look like a slip, ``["weight"]``.

    Attributes
    ----------
    typed : mapping of str to Quantity
        Quantities as typed, by keyword.
    confirmed : tuple of str
        Names of the quantities that would have been refused without `confirm`.

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
    bsa_formula: str
    egfr_formula: str | None
    typed: Mapping[str, Quantity] = field(repr=False, compare=False)
    confirmed: tuple[str, ...] = field(compare=False)

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
        bsa_formula: str | None = None,
        egfr_formula: str | None = None,
        typed: Mapping[str, Quantity] | None = None,
        age: Typed = None,
        weight: Typed = None,
        height: Typed = None,
        scr: Typed = None,
        egfr: Typed = None,
        crcl: Typed = None,
        confirm: str | Sequence[str] = (),
        confirmed: Sequence[str] = (),
    ) -> None:
        numbers = (age_years, weight_kg, height_cm, scr_mg_dl, egfr_ml_min_1_73m2, crcl_ml_min)
        texts = (age, weight, height, scr, egfr, crcl)
        values, quantities, faults = _read_quantities(numbers, texts, typed or {})
        parsed_sex: Sex | None = None
        try:
            parsed_sex = parse_sex(sex)
        except InputError as error:
            faults += error.faults
        attributes = values | {
            "sex": parsed_sex,
            "product": product,
            "diagnosis": diagnosis,
            "genotype": genotype,
            "bsa_formula": bsa_formula or "mosteller",
            "egfr_formula": egfr_formula,
            "typed": quantities,
        }
        for key, value in attributes.items():
            object.__setattr__(self, key, value)
        faults, needed = self._judged(faults, confirm, confirmed)
        object.__setattr__(self, "confirmed", needed)
        if faults:
            raise InputError(*faults)

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
        asked, unknown = _confirmations(confirm)
        asked |= {keyword(name) for name in confirmed}  # of the patient this is a copy of
        in_doubt, needed = to_be_confirmed(Values(typed=sound, sex=self.sex), asked)
        faults = [*unreadable, *impossible, *in_doubt, *unknown]
        return faults, tuple(FIELDS[key].name for key in needed)

    def _faults(self, readable: Mapping[str, Quantity]) -> list[Fault]:
        """List everything that is wrong with values that could be read."""
        faults: list[Fault] = []
        for key, typed in readable.items():
            faults += quantity_faults(key, typed, self.age_years)
        renal = [key for key in RENAL if getattr(self, key) is not None]
        if len(renal) > 1:
            do = "give one renal function only"
            faults.append(Fault(renal[0], "are given together", do=do, also=tuple(renal[1:])))
        faults += self._formula_faults("bsa_formula", ("BSA",))
        if self.egfr_formula is not None:
            faults += self._formula_faults("egfr_formula", ("eGFR", "CrCl"))
            if self.scr_mg_dl is None:
                unused = "is used only with {scr_mg_dl}, which is not given"
                faults.append(Fault("egfr_formula", unused))
        return faults

    def _formula_faults(self, key: str, quantities: tuple[str, ...]) -> list[Fault]:
        name = getattr(self, key)
        choices = _formulas_of(quantities)
        if name not in choices:
            return [Fault(key, f"= {name!r} is unknown", do=nearest(name, choices))]
        low, high = FORMULAS[name].ages
        years = self.age_years
        if not LIMITS["age"][0] <= years <= LIMITS["age"][1] or low <= years <= high:
            return []
        age = f"{years:.3g} y"
        return [Fault(key, f"= {name!r} is for {low:g} to {high:g} y; {{age_years}} is {age}")]

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Quantities that were given, by keyword, in the unit in which they were."""
        quantities = {}
        for key in QUANTITIES:
            number, typed = getattr(self, key), self.typed.get(key)
            if number is None:
                continue
            if typed is None or typed.value != number:  # of a copy with another number
                typed = Quantity(number, _internal_unit(key), number, bare=False)
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
        value = self.weight_kg if dimension == "weight" else self.height_cm
        return unusual_for_age(dimension, value, age_years=self.age_years, sex=self.sex)

    def unusual_for_age(self) -> list[str]:
        """Describe weight and height if they are far from the reference for age."""
        return [text for text in (self.unusual("weight"), self.unusual("height")) if text]

    def conversions(self) -> list[str]:
        """List quantities typed in another unit, and how they were read."""
        lines = []
        for key, typed in self.typed.items():
            unit = _internal_unit(key)
            if typed.unit != unit:
                name = FIELDS[key].label
                lines.append(f"{name} {typed.given:g} {typed.unit} = {typed.value:.4g} {unit}")
        return lines


@cache
def _formulas_of(quantities: tuple[str, ...]) -> list[str]:
    return [name for name, entry in FORMULAS.items() if entry.quantity in quantities]


def _internal_unit(key: str) -> str:
    return next(iter(UNITS[FIELDS[key].dimension or ""]))


def _confirmations(confirm: str | Sequence[str]) -> tuple[set[str], list[Fault]]:
    """Read names of what is confirmed: their keywords, and faults of unknown names.

    Examples
    --------
    >>> sorted(_confirmations("weight; scr")[0])
    ['scr_mg_dl', 'weight_kg']
    """
    if not confirm:
        return set(), []
    names = [confirm] if isinstance(confirm, str) else confirm
    parts = [part for name in names for part in re.split(r"[\s,;]+", name.strip()) if part]
    choices = [FIELDS[key].name for key in QUANTITIES]
    unknown = [part for part in parts if part not in choices]
    faults = [
        Fault("confirm", f"= {part[:50]!r} is unknown", do=nearest(part[:50], choices))
        for part in dict.fromkeys(unknown)
    ]
    return {keyword(part) for part in parts if part in choices}, faults


def _read_quantities(
    numbers: Sequence[float | None], texts: Sequence[Typed], typed: Mapping[str, Quantity]
) -> tuple[dict[str, Any], dict[str, Quantity], list[Fault]]:
    """Read every quantity of a patient, from its number or from its text.

    Parameters
    ----------
    numbers, texts : sequences
        One for each of `QUANTITIES`, of which at most one is given.
    typed : mapping of str to Quantity
        Quantities read before, of the patient this is a copy of.

    Returns
    -------
    values : dict
        Keyword -> value in the internal unit; NaN if it is missing or cannot be read.
    quantities : dict
        `typed` with what the texts say.
    faults : list of Fault
    """
    values: dict[str, Any] = {}
    quantities = dict(typed)
    faults: list[Fault] = []
    for key, number, text in zip(QUANTITIES, numbers, texts, strict=True):
        values[key] = number
        try:
            if text is not None and text != "":
                if number is not None:
                    raise InputError(Fault(key, f"is given twice: {number} and {text!r}"))
                quantities[key] = _parsed(key, text)
                values[key] = quantities[key].value
        except InputError as error:
            faults += error.faults
            values[key] = math.nan
        if values[key] is None and key in REQUIRED:
            why = " (body surface area needs it)" if key == "height_cm" else ""
            faults.append(Fault(key, f"is missing{why}", do=f"give {{{key}}}"))
            values[key] = math.nan
    return values, quantities, faults


def _parsed(key: str, text: str | float) -> Quantity:
    """Read a quantity; a unit of the other kind of renal function is pointed to that."""
    entry = FIELDS[key]
    try:
        return parse_quantity(text, dimension=entry.dimension or "", field=key, unit=entry.unit)
    except InputError as error:
        rest = parse_number(str(text), key)[1]
        if key == "egfr_ml_min_1_73m2" and canonical_unit(rest, "CrCl"):
            do = "a creatinine clearance in mL/min goes to {crcl_ml_min}"
        elif key == "crcl_ml_min" and canonical_unit(rest, "eGFR"):
            do = "an eGFR in mL/min/1.73 m2 goes to {egfr_ml_min_1_73m2}"
        else:
            raise
        fault = error.faults[0]
        raise InputError(Fault(key, fault.found, allowed=fault.allowed, do=do)) from None


def columns_of(
    patients: Sequence[Patient],
    model: Model | None = None,
    products: Sequence[str | None] | None = None,
    diseases: Sequence[str | None] | None = None,
) -> dict[str, F8]:
    """Return many patients as arrays of one row each.

    Parameters
    ----------
    patients : sequence of Patient
    model : Model, optional
        See `Patient.columns`.
    products, diseases : sequence of str or None, optional
        Product and disease of the courses, one for each patient.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> columns_of([girl, girl])["WT"]
    array([18.2, 18.2])
    """
    nothing = [None] * len(patients)
    table: dict[str, list[float | None]] = {
        "AGE": [p.age_years for p in patients],
        "SEX": [None if p.sex is None else float(p.sex == "female") for p in patients],
        "WT": [p.weight_kg for p in patients],
        "HT": [p.height_cm for p in patients],
        "BSA": [p.bsa_m2 for p in patients],
        "SCR": [p.scr_mg_dl for p in patients],
        "eGFR": [p.egfr_ml_min_1_73m2 for p in patients],
        "CrCl": [p.crcl_ml_min for p in patients],
    }
    stated = {
        "product": [p.product or q for p, q in zip(patients, products or nothing, strict=True)],
        "diagnosis": [p.diagnosis or q for p, q in zip(patients, diseases or nothing, strict=True)],
        "genotype": [p.genotype for p in patients],
    }
    for name in CATEGORICAL:
        numbers = {} if model is None else {k: i for i, k in enumerate(model.categories(name))}
        table[name] = [numbers.get(level or "") for level in stated[name]]
    return {
        name: np.array([math.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in table.items()
    }


def parse_sex(text: str | None) -> Sex | None:
    """Read a sex as typed; None if nothing was.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> parse_sex("F"), parse_sex(None)
    ('female', None)
    """
    if text is None:
        return None
    if text.strip().lower() not in SEXES:
        raise InputError(Fault("sex", f"= {text!r}", do="write female or male"))
    return SEXES[text.strip().lower()]
