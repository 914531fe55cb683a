"""One patient: validated, immutable, with the units that were typed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError, nearest
from fludapk.published.formulas import FORMULAS, lms_zscore
from fludapk.published.growth import growth_lms
from fludapk.published.models import Model
from fludapk.published.tables import CATEGORICAL
from fludapk.units import UNITS, Quantity, canonical_unit, other_readings, parse_quantity

LIMITS: Final = {
    "age": (0.001, 120.0),
    "weight": (1.0, 300.0),
    "height": (30.0, 250.0),
    "creatinine": (5 / 88.4, 2000 / 88.4),
    "eGFR": (1.0, 300.0),
    "CrCl": (1.0, 400.0),
}
"""Dimension -> lowest and highest value in its internal unit that is not a slip of typing."""

_USUAL: Final = {"height": (0.7, 1.3), "weight": (0.4, 2.0)}
"""Outside this multiple of the median for age a bare number that fits another unit is refused."""

_QUANTITIES: Final = {
    "age_years": ("age", "age"),
    "weight_kg": ("weight", "weight"),
    "height_cm": ("height", "height"),
    "scr_mg_dl": ("scr", "creatinine"),
    "egfr_ml_min_1_73m2": ("egfr", "eGFR"),
    "crcl_ml_min": ("crcl", "CrCl"),
}
"""Field -> name of its option, dimension."""

RENAL_INPUTS: Final = ("scr_mg_dl", "egfr_ml_min_1_73m2", "crcl_ml_min")

_BARE: Final = {
    "age_years": "years",
    "weight_kg": "kg",
    "height_cm": "cm",
    "scr_mg_dl": None,
    "egfr_ml_min_1_73m2": "mL/min/1.73 m2",
    "crcl_ml_min": "mL/min",
}

SEXES: Final[dict[str, Literal["female", "male"]]] = {
    "female": "female",
    "f": "female",
    "male": "male",
    "m": "male",
}


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A patient.

    Parameters
    ----------
    age_years, weight_kg, height_cm : float
    sex : {'female', 'male'}, optional
        Needed only where a formula needs it.
    scr_mg_dl, egfr_ml_min_1_73m2, crcl_ml_min : float, optional
        At most one: serum creatinine, or an eGFR, or a creatinine clearance.
    product, diagnosis, genotype : str, optional
        Where a model or a target needs them.
    bsa_formula : str
        A BSA formula of `fludapk.published.formulas`.
    egfr_formula : str, optional
        Instead of the rules of the model.
    typed : mapping of str to Quantity
        What was typed, by field; filled in by `from_text`.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> f"{girl.bsa_m2:.4f} m2"
    '0.7457 m2'
    """

    age_years: float
    weight_kg: float
    height_cm: float
    sex: Literal["female", "male"] | None = None
    scr_mg_dl: float | None = None
    egfr_ml_min_1_73m2: float | None = None
    crcl_ml_min: float | None = None
    product: str | None = None
    diagnosis: str | None = None
    genotype: str | None = None
    bsa_formula: str = "mosteller"
    egfr_formula: str | None = None
    typed: Mapping[str, Quantity] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults: list[str] = []
        for name, (option, dimension) in _QUANTITIES.items():
            value = getattr(self, name)
            if value is not None:
                faults.extend(self._faults_of(name, option, dimension, value))
        renal = [_QUANTITIES[name][0] for name in RENAL_INPUTS if getattr(self, name) is not None]
        if len(renal) > 1:
            faults.append(f"{' and '.join(renal)} are given together: give one renal function only")
        if self.sex not in ("female", "male", None):
            faults.append(f"sex = {self.sex!r}: write female or male")
        faults.extend(self._formula_faults("bsa_formula", ("BSA",)))
        if self.egfr_formula is not None:
            faults.extend(self._formula_faults("egfr_formula", ("eGFR", "CrCl")))
            if self.scr_mg_dl is None:
                faults.append("egfr-formula is used only with scr, which is not given")
        if faults:
            raise InputError(*faults)

    def _formula_faults(self, option: str, quantities: tuple[str, ...]) -> list[str]:
        name, asked = getattr(self, option), option.replace("_", "-")
        known = [key for key, formula in FORMULAS.items() if formula.quantity in quantities]
        if name not in known:
            return [f"{asked} = {name!r} is unknown: {nearest(name, known)}"]
        low, high = FORMULAS[name].ages
        possible_age = LIMITS["age"][0] <= self.age_years <= LIMITS["age"][1]
        if not possible_age or low <= self.age_years <= high:
            return []
        return [f"{asked} = {name!r} is for {low:g} to {high:g} y; age is {self.age_years:.3g} y"]

    def _faults_of(self, name: str, option: str, dimension: str, value: float) -> list[str]:
        """Whether a number is possible, and if not, in which unit it would be."""
        internal = next(iter(UNITS[dimension]))
        typed = self.typed.get(name) or Quantity(value, internal, value, bare=False)
        what = f"{option} = {typed.given:g} {typed.unit}"
        if not math.isfinite(value):
            return [f"{option} = {value} is not a finite number"]
        if value <= 0:
            return [f"{what} must be above zero"]
        if dimension == "age" and typed.unit == "years" and 1900 <= value <= 2100:
            return [f"{what} looks like a year of birth: give the age, in years or as 8mo"]
        low, high = LIMITS[dimension]
        possible = low <= value <= high
        if possible and not typed.bare:
            return []
        usual_low, usual_high = self._usual(dimension)
        if possible and usual_low <= value <= usual_high:
            return []
        scale = UNITS[dimension][typed.unit]
        readings = " or ".join(
            f"{typed.given:g} {unit} would be {other / scale:.4g} {typed.unit}"
            for unit, other in other_readings(
                typed.given, dimension=dimension, unit=typed.unit, low=usual_low, high=usual_high
            )
        )
        if not possible:
            edge = f"below {low / scale:.3g}" if value < low else f"above {high / scale:.3g}"
            return [f"{what} is {edge}" + (f"; {readings}" if readings else "")]
        if not readings:
            return []  # unusual, but no other unit explains it
        return [
            f"{what} is not plausible at {self.age_years:.3g} y; {readings}: write the unit, or "
            f'"{typed.given:g} {typed.unit}" if that is meant'
        ]

    def _usual(self, dimension: str) -> tuple[float, float]:
        """Bounds of what is usual at this age, inside the limits."""
        low, high = LIMITS[dimension]
        if dimension not in _USUAL or not 0 < self.age_years <= LIMITS["age"][1]:
            return low, high
        medians = [growth_lms(dimension, sex, self.age_years)[1] for sex in ("female", "male")]
        least, most = _USUAL[dimension]
        return max(low, least * min(medians)), min(high, most * max(medians))

    @classmethod
    def from_text(
        cls,
        *,
        age: str | float | None = None,
        weight: str | float | None = None,
        height: str | float | None = None,
        sex: str | None = None,
        scr: str | None = None,
        egfr: str | float | None = None,
        crcl: str | float | None = None,
        **others: str | None,
    ) -> Self:
        """Read a patient as typed: ``age="8mo"``, ``height="43 in"``, ``scr="26.5 umol/L"``.

        Raises
        ------
        InputError
            Listing every fault.

        Examples
        --------
        >>> Patient.from_text(age="8mo", weight="8.1", height="70", scr="20 umol/L").age_years
        0.666666666667
        """
        texts = (age, weight, height, scr, egfr, crcl)
        typed: dict[str, Quantity] = {}
        faults: list[str] = []
        for (name, (option, dimension)), text in zip(_QUANTITIES.items(), texts, strict=True):
            if text is None or text == "":
                if name in ("age_years", "weight_kg", "height_cm"):
                    why = " (body surface area needs it)" if name == "height_cm" else ""
                    faults.append(f"{option} is missing{why}: give --{option}")
                continue
            try:
                typed[name] = parse_quantity(
                    text, dimension=dimension, name=option, bare=_BARE[name]
                )
            except InputError as error:
                faults.extend(_cross_unit_hint(option, fault) for fault in error.faults)
        try:
            known_sex = parse_sex(sex)
        except InputError as error:
            faults.extend(error.faults)
        if faults:
            raise InputError(*faults)
        known: dict[str, Any] = {name: quantity.value for name, quantity in typed.items()}
        known |= {name: value for name, value in others.items() if value is not None}
        return cls(sex=known_sex, typed=typed, **known)

    @cached_property
    def bsa_m2(self) -> float:
        """Body surface area by `bsa_formula`, m2."""
        function = FORMULAS[self.bsa_formula].function
        return float(function(height_cm=self.height_cm, weight_kg=self.weight_kg))

    def columns(
        self, model: Model | None = None, product: str | None = None, disease: str | None = None
    ) -> dict[str, F8]:
        """What is known of the patient as arrays of one row, for `model.covariate_columns`.

        Parameters
        ----------
        model : Model, optional
            Its categories are turned into level numbers; without it they are NaN.
        product, disease : str, optional
            Of the regimen; what the patient states comes first. A level the model does not have
            is NaN.
        """
        return columns_of([self], model, [product], [disease])

    @property
    def renal_inputs(self) -> tuple[float | None, ...]:
        """Creatinine, eGFR and CrCl, of which at most one is given."""
        return tuple(getattr(self, name) for name in RENAL_INPUTS)

    def unusual_for_age(self) -> list[str]:
        """Weight and height far from the CDC 2000 reference; empty above 20 y."""
        notes: list[str] = []
        if self.age_years > 20:
            return notes
        sexes = [self.sex] if self.sex else ["female", "male"]
        for dimension, value in (("weight", self.weight_kg), ("height", self.height_cm)):
            scores = [
                float(lms_zscore(value=value, L=L, M=M, S=S))
                for L, M, S in (growth_lms(dimension, sex, self.age_years) for sex in sexes)
            ]
            z = min(scores, key=abs)
            if abs(z) > 3:
                notes.append(
                    f"{dimension} {_fmt(value, dimension)} is {z:+.1f} SD for age (CDC 2000)"
                )
        return notes

    def conversions(self) -> list[str]:
        """What was typed in another unit and how it was read."""
        return [
            f"{_QUANTITIES[name][0]} {q.given:g} {q.unit} = {_fmt(q.value, _QUANTITIES[name][1])}"
            for name, q in self.typed.items()
            if q.unit != next(iter(UNITS[_QUANTITIES[name][1]]))
        ]


def columns_of(
    patients: Sequence[Patient],
    model: Model | None = None,
    products: Sequence[str | None] | None = None,
    diseases: Sequence[str | None] | None = None,
) -> dict[str, F8]:
    """`Patient.columns` of many, one row each; products and diseases are those of their courses.

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
        numbers = {} if model is None else {k: i for i, k in enumerate(model.levels(name))}
        table[name] = [numbers.get(level or "") for level in stated[name]]
    return {
        name: np.array([math.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in table.items()
    }


def parse_sex(text: str | None) -> Literal["female", "male"] | None:
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
    if text is not None and text.strip().lower() not in SEXES:
        raise InputError(f"sex = {text!r}: write female or male")
    return None if text is None else SEXES[text.strip().lower()]


def _fmt(value: float, dimension: str) -> str:
    return f"{value:.4g} {next(iter(UNITS[dimension]))}"


def _cross_unit_hint(option: str, fault: str) -> str:
    """Point to the other renal option when its unit was typed."""
    typed = fault.partition("unknown unit ")[2].partition(";")[0].strip("'\"")
    if option == "egfr" and canonical_unit(typed, "CrCl"):
        return fault + "; a creatinine clearance in mL/min goes to --crcl"
    if option == "crcl" and "1.73" in fault:
        return fault + "; an eGFR in mL/min/1.73 m2 goes to --egfr"
    return fault
