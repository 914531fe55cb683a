"""Plausibility of a patient: the impossible, what must be confirmed, and the unusual.

One rule for typed values, columns of lists and records of other systems. A number without a unit,
typed or in a column whose header has the usual unit, is also tried in the other units of its
quantity. What only a slip of typing explains is refused until somebody confirms that it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from fludapk.errors import Fault
from fludapk.language import any_of, tr
from fludapk.patients.fields import FIELDS
from fludapk.published.formulas import fas_q, lms_zscore, modified_zscore
from fludapk.published.growth import growth_lms
from fludapk.units import (
    CREATININE_UMOL_L_PER_MG_DL,
    UNITS,
    Quantity,
    as_typed,
    other_readings,
    shown_unit,
)

LIMITS: Final = {
    "age": (0.001, 120.0),
    "gestation": (20.0, 45.0),
    "weight": (1.0, 300.0),
    "height": (30.0, 250.0),
    "creatinine": (5 / 88.4, 2000 / 88.4),
    "eGFR": (1.0, 300.0),
    "CrCl": (1.0, 400.0),
}
"""Dimension -> lowest and highest value in its internal unit that is not a slip of typing."""

USUAL: Final = {"height": (0.7, 1.3), "weight": (0.4, 2.0)}
"""Outside this multiple of the median for age a bare number that fits another unit is asked
about."""
GROWTH_END_YEARS: Final = 20.0
"""End of the CDC 2000 reference; adults are compared with its last row."""
EXTREME_SD: Final = {"weight": (-5.0, 8.0), "height": (-5.0, 4.0)}
"""Modified z-scores for age beyond which the CDC's own program calls a value implausible."""
ADULT_EXTREME_SD: Final = {"height": (-5.0, 5.0)}
"""The same of adults, against the end of the reference; some peoples are an SD taller than it."""
FITS_SD: Final = 3.0
"""A size within so many SD fits an age."""
MISFITS_SD: Final = 3.5
"""A height beyond so many SD does not fit an age, if it fits that age in another unit."""
BMI: Final = (12.0, 60.0)
"""Lowest and highest body mass index from 2 y up that is not asked about, kg/m2. Hardly anybody
lives below 12 or above 60."""
CREATININE_RATIO: Final = (0.25, 20.0)
"""Lowest and highest multiple of the normal creatinine (fas_q) that is not asked about. By the FAS
equation, eGFR = 107.3 / multiple: a quarter would be a GFR of 430, which nobody has, and twenty
times one of 5, at which creatinine tells of dialysis. 5.0 mg/dL in a child is below that, and all
mg/dL that were umol/L are above."""
USUAL_RATIO: Final = (0.25, 4.0)
"""Multiples of the normal creatinine at which a reading in another unit is suggested."""
LOW_RENAL: Final = 10.0
"""Below this eGFR or CrCl, kidney failure, mL/s or L/h are likelier than mL/min."""
USUAL_RENAL: Final = (40.0, 200.0)
"""A low eGFR or CrCl is suggested in another unit if it would be within these, mL/min."""


# ------------------------------------------------------------------ impossible


def quantity_faults(key: str, typed: Quantity, age_years: float) -> list[Fault]:
    """Find out whether a quantity is possible, and if not, in which unit it would be.

    Parameters
    ----------
    key : str
        A field of a patient with a dimension.
    typed : Quantity
    age_years : float
        Age of the patient, for the unit of weight and height.

    Examples
    --------
    >>> [str(fault) for fault in quantity_faults("height_cm", Quantity(1.1, "cm", 1.1, True), 5.0)]
    ['height_cm = 1.1 cm is below 30; 1.1 m would be 110 cm']
    """
    dimension, value = FIELDS[key].dimension or "", typed.value
    if not math.isfinite(value):
        return [Fault(key, tr("= {typed} is not a finite number", typed=value))]
    if value <= 0:
        return [Fault(key, tr("= {typed} must be above zero", typed=_with_unit(typed)))]
    if dimension == "age" and typed.unit == "years" and 1900 <= value <= 2100:
        found = tr("= {typed} looks like a year of birth", typed=_with_unit(typed))
        return [Fault(key, found, do=tr("give the age, in years or as 8mo"))]
    low, high = LIMITS[dimension]
    if low <= value <= high:
        return []
    scale = UNITS[dimension][typed.unit]
    shown = _with_unit(typed)
    found = tr("= {typed} is below {low:.3g}", typed=shown, low=low / scale)
    if value > high:
        found = tr("= {typed} is above {high:.3g}", typed=shown, high=high / scale)
    readings = _usual_readings(typed, dimension, *_usual(dimension, age_years))
    return [Fault(key, f"{found}{_would_be(typed, dimension, readings)}")]


def _usual(dimension: str, age_years: float) -> tuple[float, float]:
    """Bound what is usual at an age, inside the limits."""
    low, high = LIMITS[dimension]
    if dimension not in USUAL or not 0 < age_years <= LIMITS["age"][1]:
        return low, high
    medians = [M for _, M, _ in _references(dimension, age_years, None)]
    least, most = USUAL[dimension]
    return max(low, least * min(medians)), min(high, most * max(medians))


# ------------------------------------------------------------------ to be confirmed


@dataclass(frozen=True, kw_only=True)
class Values:
    """Quantities typed for a patient, as far as they are possible.

    Parameters
    ----------
    typed : mapping of str to Quantity
        By keyword; what is missing, unreadable or impossible is not there.
    sex : {'female', 'male'}, optional
    """

    typed: Mapping[str, Quantity]
    sex: str | None = None

    def number(self, key: str) -> float:
        """Return the value in the internal unit; NaN, so that no comparison is true, if absent."""
        return self.typed[key].value if key in self.typed else math.nan

    @property
    def age_years(self) -> float:
        """Age in years; NaN if there is none."""
        return self.number("age_years")

    def sd(self, dimension: str, value: float, age_years: float) -> float:
        """Compute the modified z-score for age, 0 near the median; without a sex the nearer one."""
        references = _references(dimension, age_years, self.sex)
        if any(_is_usual(value, M, S) for _, M, S in references):
            return 0.0
        scores = (float(modified_zscore(value=value, L=L, M=M, S=S)) for L, M, S in references)
        return min(scores, key=abs)


Slip: TypeAlias = Callable[[Values], Fault | None]
"""A rule: what only a slip explains, or None."""
Reading: TypeAlias = tuple[str, float]
"""A unit, and the value in the internal unit if it had been meant."""


def to_be_confirmed(
    values: Values, confirmed: Collection[str] = ()
) -> tuple[list[Fault], tuple[str, ...]]:
    """Apply every rule of `SLIPS` to a patient.

    A value is asked about once. Nothing else is asked while the age is in doubt, since all else is
    judged by it.

    Parameters
    ----------
    values : Values
    confirmed : collection of str
        Keywords of the fields that somebody has confirmed.

    Returns
    -------
    faults : list of Fault
        Faults that must still be confirmed.
    needed : tuple of str
        Keywords of the confirmations without which there would be a fault.
    """
    faults: list[Fault] = []
    needed: list[str] = []
    for slip in SLIPS:
        fault = slip(values)
        if fault is None or fault.field in [earlier.field for earlier in faults]:
            continue
        if fault.field in confirmed:
            needed.append(fault.field)
            continue
        faults.append(fault)
        if fault.field == "age_years":
            break
    return faults, tuple(dict.fromkeys(needed))


def age_in_another_unit(values: Values) -> Fault | None:
    """Ask about an age that weight and height fit only in another unit: 60, 18.2 kg, 110 cm.

    Examples
    --------
    >>> months = Values(typed={
    ...     "age_years": Quantity(60.0, "years", 60.0, bare=True),
    ...     "weight_kg": Quantity(18.2, "kg", 18.2, bare=True),
    ...     "height_cm": Quantity(110.0, "cm", 110.0, bare=True),
    ... })
    >>> print(age_in_another_unit(months).found)
    = 60 years does not go with 18.2 kg and 110 cm; 60 months would be 5 y
    """
    size = {"weight": values.number("weight_kg"), "height": values.number("height_cm")}
    if any(map(math.isnan, (values.age_years, *size.values()))):
        return None
    if abs(values.sd("height", size["height"], values.age_years)) <= MISFITS_SD:
        return None
    typed, (low, high) = values.typed["age_years"], LIMITS["age"]
    readings = [
        (unit, years)
        for unit, years in _usual_readings(typed, "age", low, high)
        if all(abs(values.sd(what, size[what], years)) <= FITS_SD for what in size)
    ]
    if not readings:
        return None
    weight, height = (_with_unit(values.typed[key]) for key in ("weight_kg", "height_cm"))
    found = tr("= {age} does not go with {weight} and {height}",
               age=_with_unit(typed), weight=weight, height=height)  # fmt: skip
    return _asked("age_years", typed, found + _would_be(typed, "age", readings))


def weight_in_another_unit(values: Values) -> Fault | None:
    """Ask about a weight without a unit that is usual for age only in another: 40 at 5 y."""
    return _bare_in_another_unit(values, "weight_kg")


def height_in_another_unit(values: Values) -> Fault | None:
    """Ask about a height without a unit that is usual for age only in another: 43 at 5 y."""
    return _bare_in_another_unit(values, "height_cm")


def _bare_in_another_unit(values: Values, key: str) -> Fault | None:
    dimension, typed = FIELDS[key].dimension or "", values.typed.get(key)
    if typed is None or not typed.bare or math.isnan(values.age_years):
        return None
    low, high = _usual(dimension, values.age_years)
    if low <= typed.value <= high:
        return None
    readings = _usual_readings(typed, dimension, low, high)
    if not readings:
        return None  # unusual, but no other unit explains it
    found = tr("= {typed} is unusual at {age:.3g} y", typed=_with_unit(typed), age=values.age_years)
    return _asked(key, typed, found + _would_be(typed, dimension, readings))


def body_mass_index(values: Values) -> Fault | None:
    """Ask about weight and height that no body has together: 28 kg at 176 cm.

    The one that is farther from the reference for age is asked about.
    """
    weight, height = values.number("weight_kg"), values.number("height_cm")
    bmi, (low, high) = bmi_kg_m2(weight, height), BMI
    if not values.age_years >= 2 or math.isnan(bmi) or low <= bmi <= high:
        return None
    size = {"weight": weight, "height": height}
    odd = max(size, key=lambda what: abs(values.sd(what, size[what], values.age_years)))
    key, other = ("weight_kg", "height_cm") if odd == "weight" else ("height_cm", "weight_kg")

    def off(value: float) -> float:
        """Measure the distance from the bounds on a log scale, 0 within."""
        index = bmi_kg_m2(**{**size, odd: value})
        return max(0.0, math.log(low / index), math.log(index / high))

    typed = values.typed[key]
    readings = _nearest_readings(values, key, off)
    sizes = {"typed": _with_unit(typed), "other": _with_unit(values.typed[other])}
    if bmi < low:
        found = tr("= {typed} with {other} is a body mass index of {bmi:.3g} kg/m2, below {low:g}",
                   bmi=bmi, low=low, **sizes)  # fmt: skip
    else:
        found = tr("= {typed} with {other} is a body mass index of {bmi:.3g} kg/m2, above {high:g}",
                   bmi=bmi, high=high, **sizes)  # fmt: skip
    return _asked(key, typed, f"{found}{_would_be(typed, odd, readings)}", other)


def weight_for_age(values: Values) -> Fault | None:
    """Ask about a weight of a child that the CDC calls implausible at the age."""
    return _size_for_age(values, "weight_kg")


def height_for_age(values: Values) -> Fault | None:
    """Ask about a height that the CDC calls implausible at the age, or about 110 cm at 40 y."""
    if values.age_years > GROWTH_END_YEARS and age_in_another_unit(values):
        return None  # asked about with the age
    return _size_for_age(values, "height_cm")


def _size_for_age(values: Values, key: str) -> Fault | None:
    dimension, typed = FIELDS[key].dimension or "", values.typed.get(key)
    extreme = EXTREME_SD if values.age_years <= GROWTH_END_YEARS else ADULT_EXTREME_SD
    if typed is None or math.isnan(values.age_years) or dimension not in extreme:
        return None
    score, (low, high) = values.sd(dimension, typed.value, values.age_years), extreme[dimension]
    if low <= score <= high:
        return None

    def off(value: float) -> float:
        return max(0.0, abs(values.sd(dimension, value, values.age_years)) - FITS_SD)

    readings = _nearest_readings(values, key, off)
    found = tr("= {typed} is {score:+.1f} SD at {age:.3g} y (CDC 2000, modified)",
               typed=_with_unit(typed), score=score, age=values.age_years)  # fmt: skip
    return _asked(key, typed, found + _would_be(typed, dimension, readings))


def creatinine_for_age(values: Values) -> Fault | None:
    """Ask about a creatinine far from the normal of age and sex: 22 mg/dL at 5 y, 0.09 at 45 y.

    Below 1 y the normal is that of 1 y, from 20 y on it stays the same; of an unknown sex the
    nearer one counts.
    """
    typed = values.typed.get("scr_mg_dl")
    if typed is None or math.isnan(values.age_years):
        return None
    years = min(max(values.age_years, 1.0), GROWTH_END_YEARS)
    sexes = [values.sex] if values.sex else _SEXES
    normals = [float(fas_q(age_years=years, female=sex == "female")) for sex in sexes]
    low, high = CREATININE_RATIO
    if low * min(normals) <= typed.value <= high * max(normals):
        return None
    normal = min(normals) if typed.value < min(normals) else max(normals)
    usual_low, usual_high = (ratio * normal for ratio in USUAL_RATIO)
    scale = UNITS["creatinine"]
    units = {**scale, "mmol/L": 1000 / CREATININE_UMOL_L_PER_MG_DL}
    readings = [
        (unit, typed.given * factor)
        for unit, factor in units.items()
        if unit != typed.unit and usual_low <= typed.given * factor <= usual_high
    ]
    found = tr("= {typed} is {times:.2g} times the normal of {normal:.3g} {unit} at {age:.3g} y",
               typed=_with_unit(typed), times=typed.value / normal, unit=typed.unit,
               normal=normal / scale[typed.unit], age=values.age_years)  # fmt: skip
    return _asked("scr_mg_dl", typed, found + _would_be(typed, "creatinine", readings))


def low_egfr(values: Values) -> Fault | None:
    """Ask about an eGFR of kidney failure that is usual in mL/s or L/h."""
    return _low_renal(values, "egfr_ml_min_1_73m2")


def low_crcl(values: Values) -> Fault | None:
    """Ask about a creatinine clearance of kidney failure that is usual in mL/s or L/h."""
    return _low_renal(values, "crcl_ml_min")


def _low_renal(values: Values, key: str) -> Fault | None:
    typed, (low, high) = values.typed.get(key), USUAL_RENAL
    if typed is None or typed.value >= LOW_RENAL:
        return None
    readings = _usual_readings(typed, "CrCl", low, high)
    found = tr("= {typed} would be kidney failure", typed=_with_unit(typed))
    return _asked(key, typed, found + _would_be(typed, FIELDS[key].dimension or "", readings))


SLIPS: Final[tuple[Slip, ...]] = (
    age_in_another_unit,
    weight_in_another_unit,
    height_in_another_unit,
    body_mass_index,
    weight_for_age,
    height_for_age,
    creatinine_for_age,
    low_egfr,
    low_crcl,
)
"""Rules in the order in which they ask; the first about a field explains it best."""


# ------------------------------------------------------------------ parts of a question


def _asked(key: str, typed: Quantity, found: str, other: str = "") -> Fault:
    """Make a fault that stands until the field is confirmed."""
    fields = [f"{{{name}}}" for name in (key, other)]
    do = tr("check {field} and its unit", field=fields[0])
    if other:
        do = tr("check {first} and {second}", first=fields[0], second=fields[1])
    return Fault(key, found, do=do, confirm=FIELDS[key].name, meant=_with_unit(typed))


def _with_unit(typed: Quantity) -> str:
    return f"{typed.given:g} {shown_unit(typed.unit)}"


def _usual_readings(typed: Quantity, dimension: str, low: float, high: float) -> list[Reading]:
    """List the other units in which a number would be within bounds."""
    return other_readings(typed.given, dimension=dimension, unit=typed.unit, low=low, high=high)


def _would_be(typed: Quantity, dimension: str, readings: Iterable[Reading]) -> str:
    """Word readings of a number in other units or with other digits, after a semicolon."""
    scale = UNITS[dimension][typed.unit]
    own = "y" if typed.unit == "years" else typed.unit
    texts = []
    for unit, value in readings:
        would_be = f"{value / scale:.4g} {shown_unit(own)}"
        if unit:
            other = f"{typed.given:g} {shown_unit(unit)}"
            texts.append(tr("{typed} would be {value}", typed=other, value=would_be))
        else:
            texts.append(tr("with digits transposed it would be {value}", value=would_be))
    return f"; {any_of(texts)}" if texts else ""


def _nearest_readings(values: Values, key: str, off: Callable[[float], float]) -> list[Reading]:
    """List the readings, in another unit or with two digits transposed, nearest to usual."""
    typed, dimension = values.typed[key], FIELDS[key].dimension or ""
    low, high = LIMITS[dimension]
    scale = UNITS[dimension][typed.unit]
    readings = _usual_readings(typed, dimension, low, high)
    readings += [
        ("", value)
        for given in transposed(typed.given)
        if low <= (value := given * scale) <= high
        and abs(values.sd(dimension, value, values.age_years)) <= FITS_SD
    ]
    least = min((off(value) for _, value in readings), default=math.inf)
    return [reading for reading in readings if off(reading[1]) == least < off(typed.value)]


def transposed(number: float) -> list[float]:
    """Return the numbers that come of swapping two neighbouring digits.

    Examples
    --------
    >>> transposed(81.2), transposed(28)
    ([18.2, 82.1], [82.0])
    """
    text = as_typed(float(number))
    places = [k for k, sign in enumerate(text) if sign.isdigit()]
    numbers = []
    for a, b in pairwise(places):
        signs = list(text)
        signs[a], signs[b] = signs[b], signs[a]
        numbers.append(float("".join(signs)))
    return [swapped for swapped in numbers if swapped != number]


def bmi_kg_m2(weight: float, height: float) -> float:
    """Compute the body mass index, kg/m2, of kg and cm."""
    return weight / (height / 100) ** 2


def _is_usual(value: float, M: float, S: float) -> bool:
    """Tell if a size is within about one SD: most people, whose exact score nobody needs."""
    return abs(value / M - 1.0) <= S


def _references(
    dimension: str, age_years: float, sex: str | None
) -> tuple[tuple[float, float, float], ...]:
    """Return L, M and S for age of the sex, or of both sexes."""
    sexes, years = (sex,) if sex else _SEXES, min(age_years, GROWTH_END_YEARS)
    return tuple(growth_lms(dimension, either, years) for either in sexes)


_SEXES: Final = ("female", "male")


# ------------------------------------------------------------------ only unusual


def unusual_for_age(
    dimension: str, value: float, *, age_years: float, sex: str | None
) -> str | None:
    """Describe a weight or height far from the CDC 2000 reference, which ends at 20 y.

    Parameters
    ----------
    dimension : {'weight', 'height'}
    value : float
        kg or cm.
    age_years : float
    sex : str, optional
        None: the nearer of both references counts.

    Examples
    --------
    >>> unusual_for_age("height", 135.0, age_years=5.0, sex="female")
    'height 135 cm is +5.1 SD for age (CDC 2000)'
    """
    if age_years > GROWTH_END_YEARS:
        return None
    references = _references(dimension, age_years, sex)
    if any(_is_usual(value, M, S) for _, M, S in references):
        return None
    scores = [float(lms_zscore(value=value, L=L, M=M, S=S)) for L, M, S in references]
    z = min(scores, key=abs)
    if abs(z) <= 3:
        return None
    return tr("{size} {value:.4g} {unit} is {score:+.1f} SD for age (CDC 2000)",
              size=tr(dimension), value=value, unit=next(iter(UNITS[dimension])),
              score=z)  # fmt: skip
