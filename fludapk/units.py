"""Units, and reading of typed quantities.

The table is closed: a unit that is not in it is refused, never guessed. Internally everything is in
h, mg, L, mg/L, kg, cm, years, mg/dL (creatinine), mL/min (CrCl) and mL/min/1.73 m2 (eGFR).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError
from fludapk.language import any_of, marked, tr

MOLAR_MASS_PHOSPHATE: Final = 365.21
"""Fludarabine phosphate (F-ara-AMP), C10H13FN5O7P, g/mol."""
MOLAR_MASS_F_ARA_A: Final = 285.23
"""F-ara-A, C10H12FN5O4, g/mol: the form that circulates, is measured and is modelled."""
CREATININE_UMOL_L_PER_MG_DL: Final = 88.4
VIAL_MG: Final = 50.0
VIAL_ML: Final = 2.0
MG_PER_ML: Final = VIAL_MG / VIAL_ML

_DAYS_PER_YEAR = 365.25

UNITS: Final[dict[str, dict[str, float]]] = {
    "age": {
        "years": 1.0,
        "months": 1 / 12,
        "weeks": 7 / _DAYS_PER_YEAR,
        "days": 1 / _DAYS_PER_YEAR,
    },
    "gestation": {"weeks": 1.0, "days": 1 / 7},
    "weight": {"kg": 1.0, "g": 1e-3, "lb": 0.45359237},
    "height": {"cm": 1.0, "m": 100.0, "mm": 0.1, "in": 2.54, "ft": 30.48},
    "creatinine": {
        "mg/dL": 1.0,
        "umol/L": 1 / CREATININE_UMOL_L_PER_MG_DL,
    },
    "eGFR": {"mL/min/1.73 m2": 1.0},
    "CrCl": {"mL/min": 1.0, "mL/s": 60.0, "L/h": 1000 / 60},
    "area": {"m2": 1.0},
    "time": {"h": 1.0, "min": 1 / 60, "days": 24.0},
    "concentration": {
        "mg/L": 1.0,
        "ug/mL": 1.0,
        "ng/mL": 1e-3,
        "ug/L": 1e-3,
        "umol/L": MOLAR_MASS_F_ARA_A / 1000,
    },
    "mass": {"mg": 1.0},
    "dose": {"mg/m2": 1.0, "mg/kg": 1.0, "mg": 1.0},
}
"""Dimension -> unit -> factor to the internal unit (the first of each)."""

UNIT_WORDS: Final = (
    marked("years"), marked("months"), marked("weeks"), marked("days"), marked("y"),
)  # fmt: skip
"""Units that are words; all others are the same in every language."""


def shown_unit(unit: str) -> str:
    """Return a unit as it is shown.

    Examples
    --------
    >>> shown_unit("months"), shown_unit("in")
    ('months', 'in')
    """
    return tr(unit) if unit in UNIT_WORDS else unit


CONC_COLUMNS: Final = {
    "conc_mg_l": "mg/L", "conc_ng_ml": "ng/mL", "conc_ug_ml": "ug/mL", "conc_ug_l": "ug/L",
    "conc_umol_l": "umol/L",
}  # fmt: skip
"""Column of measured concentrations -> its unit."""

_SPELLINGS = {
    "y": "years", "yr": "years", "yrs": "years", "year": "years", "a": "years",
    "mo": "months", "mon": "months", "mth": "months", "month": "months",
    "wk": "weeks", "week": "weeks", "d": "days", "day": "days",
    "kgs": "kg", "lbs": "lb", "pound": "lb", "pounds": "lb", "inch": "in", "inches": "in",
    '"': "in", "foot": "ft", "feet": "ft",
    "um": "umol/l", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "minutes": "min",
    "mcg/ml": "ug/ml", "mcg/l": "ug/l",
}  # fmt: skip

LONGEST: Final = 100
"""Characters of a typed quantity: nobody writes more, and no pattern runs on more."""

# Possessive: what was matched is not given back, so that no text takes quadratic time.
_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?(?=$|[^\d.,])")


_BY_LOWER_CASE: Final = {
    dimension: {unit.lower(): unit for unit in units} for dimension, units in UNITS.items()
}


class Quantity(NamedTuple):
    """A quantity as typed, and its value in the internal unit."""

    value: float
    """Value in the internal unit of the dimension."""
    unit: str
    """Unit of `given`."""
    given: float
    """Number as typed, in `unit`."""
    bare: bool
    """True if no unit was typed and the default was taken."""


def canonical_unit(text: str, dimension: str) -> str | None:
    """Return a unit in the spelling of `UNITS`, or None if the dimension does not have it.

    Parameters
    ----------
    text : str
        Unit as typed.
    dimension : str
        A key of `UNITS`.

    Examples
    --------
    >>> canonical_unit("µmol/l", "creatinine"), canonical_unit("mo", "age")
    ('umol/L', 'months')
    """
    if text in UNITS[dimension]:  # as a rule
        return text
    if len(text) > LONGEST:
        return None
    word = text.strip().lower().replace("µ", "u").replace("μ", "u")
    word = word.replace("²", "2").replace("^", "").replace("1.73m2", "1.73 m2").replace("per", "/")
    word = " ".join("/".join(part.strip() for part in word.split("/")).split())
    word = _SPELLINGS.get(word, word)
    return _BY_LOWER_CASE[dimension].get(word.lower())


def check_length(text: str, field: str) -> None:
    """Refuse a typed text that is longer than any quantity, before a pattern runs on it.

    Parameters
    ----------
    text : str
    field : str
        Name of the input in Python, for faults.

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_length("0.3 mg/dL", "scr_mg_dl")
    """
    if len(text) > LONGEST:
        found = tr("= {start!r}... has {n} characters", start=text[:20], n=len(text))
        raise InputError(Fault(field, found, allowed=tr("at most {n}", n=LONGEST)))


def parse_number(text: str, field: str) -> tuple[float, str]:
    """Split a typed quantity into its finite number and the rest.

    Parameters
    ----------
    text : str
        Quantity as typed.
    field : str
        Name of the input in Python, for faults.

    Raises
    ------
    InputError
        If there is no finite number, or one with a decimal comma or a thousands separator; the
        message says what to write.

    Examples
    --------
    >>> parse_number("0.3 mg/dL", "scr_mg_dl")
    (0.3, 'mg/dL')
    """
    check_length(text, field)
    stripped = text.strip().replace("\N{MINUS SIGN}", "-")
    if (plain := _NUMBER.fullmatch(stripped)) and math.isfinite(value := float(plain[0])):
        return value, ""

    def refused(found: str, do: str = "") -> InputError:
        return InputError(Fault(field, found, do=do))

    grouped = re.match(r"[+-]?\d{1,3}(?:[ '_\u00a0\u202f]\d{3})++(?!\d)", stripped)
    if grouped:
        digits = re.sub(r"[^\d+-]", "", grouped.group())
        raise refused(tr("= {typed!r} has a thousands separator", typed=text), _write(digits))
    match = _NUMBER.match(stripped)
    if match is None:
        if stripped.startswith(("<", ">", "≤", "≥")):
            do = tr("write the value itself")
            raise refused(tr("= {typed!r} is a limit, not a value", typed=text), do)
        lowered = stripped.lower()
        if re.match(r"[+-]?(nan|inf)", lowered):
            raise refused(tr("= {typed!r} is not a finite number", typed=text))
        if re.match(r"[+-]?\d{1,3}(,\d{3})+(?!\d)", stripped):
            signs = re.match(r"[+-]?[\d,.]+", stripped)
            digits = signs.group().replace(",", "") if signs else ""
            found = tr(
                "= {typed!r} has a comma that could be a thousands separator or a decimal comma",
                typed=text,
            )
            do = tr("write {digits} without separator, or use a decimal point", digits=digits)
            raise refused(found, do)
        if re.match(r"[+-]?\d*,\d", stripped):
            point = stripped.replace(",", ".", 1)
            raise refused(tr("= {typed!r} has a decimal comma", typed=text), _write(repr(point)))
        raise refused(tr("= {typed!r} is not a number", typed=text))
    value = float(match.group())
    if not math.isfinite(value):
        raise refused(tr("= {typed!r} is not a finite number", typed=text))
    return value, stripped[match.end() :].strip()


def _write(example: str) -> str:
    return tr("write {example}", example=example)


_DECIMAL_COMMA: Final = re.compile(
    r"(?<![\w.,])([+-]?)(0*,\d{1,30}|\d{1,30},(?:\d{1,2}|\d{4,30}))(?![\d.,])"
)
"""A comma between digits that cannot separate thousands: 18,2 and 0,345, but not 1,234."""


def pointed(text: str) -> str:
    """Write decimal commas as points, in a text that a person typed; a telephone may have no point.

    A comma that could separate thousands stays, and is refused where the number is read.

    Examples
    --------
    >>> pointed("18,2"), pointed("24,5h 0,345 mg/L"), pointed("1,234"), pointed("window 18, 20")
    ('18.2', '24.5h 0.345 mg/L', '1,234', 'window 18, 20')
    """
    return _DECIMAL_COMMA.sub(lambda match: match[0].replace(",", "."), text)


def as_typed(value: str | float) -> str:
    """Return an input as a person would type it.

    Examples
    --------
    >>> as_typed(5.0), as_typed("8 mo")
    ('5', '8 mo')
    """
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def parse_quantity(value: str | float, *, dimension: str, field: str, unit: str | None) -> Quantity:
    """Read a typed quantity, or a number in the default unit.

    Parameters
    ----------
    value : str or float
        For example ``"0.3 mg/dL"``, ``"8mo"``, ``110``.
    dimension : str
        A key of `UNITS`.
    field : str
        Name of the input in Python, for faults.
    unit : str or None
        Unit of a number typed without one; None if a unit is mandatory.

    Raises
    ------
    InputError
        If it is not a finite number in a known unit.

    Examples
    --------
    >>> parse_quantity("26.52 umol/L", dimension="creatinine", field="scr_mg_dl", unit=None).value
    0.3
    >>> parse_quantity("43 in", dimension="height", field="height_cm", unit="cm").value
    109.22
    """
    units = UNITS[dimension]
    if isinstance(value, str):
        number, rest = parse_number(value, field)
    else:
        number, rest = float(value), ""
        if not math.isfinite(number):
            raise InputError(
                Fault(field, tr("= {typed!r} is not a finite number", typed=as_typed(value)))
            )
    if not rest:
        if unit is None:
            raise InputError(_without_unit(field, as_typed(value), number, list(units)))
        return quantity_of(number, unit, dimension, bare=True)
    typed_unit = canonical_unit(rest, dimension)
    if typed_unit is None:
        found = tr("= {typed!r}: unknown unit {unit!r}", typed=as_typed(value), unit=rest)
        raise InputError(Fault(field, found, allowed=", ".join(units)))
    if typed_unit == "ft" and isinstance(value, str):
        _check_feet(value, field)
    return quantity_of(number, typed_unit, dimension, bare=False)


def quantity_of(number: float, unit: str, dimension: str, *, bare: bool) -> Quantity:
    """Return a number in a unit as a quantity; a typed unit is converted to 12 digits.

    Parameters
    ----------
    number : float
    unit : str
        A key of ``UNITS[dimension]``.
    dimension : str
    bare : bool
        True if the unit was not typed.

    Examples
    --------
    >>> quantity_of(43.0, "in", "height", bare=False).value
    109.22
    """
    value = number * UNITS[dimension][unit]
    return Quantity(value if bare else float(f"{value:.12g}"), unit, number, bare)


def _check_feet(text: str, field: str) -> None:
    """Refuse 5.11 ft, which may be 5 ft 11 in; 5.5 ft is half a foot, and 5 ft 5 in is near."""
    match = re.match(r"\s*(\d+)\.([1-46-9]|1[01])(?!\d)", text)
    if match is None:
        return
    inches = [12.0 * int(match[1]) + int(match[2]), 12.0 * float(match[0])]
    do = tr("write {example}", example=any_of([f'"{each:.4g} in"' for each in inches]))
    found = tr("= {typed!r} may be feet and inches, or decimals of a foot", typed=text)
    raise InputError(Fault(field, found, do=do))


def _without_unit(field: str, typed: str, number: float, units: Sequence[str]) -> Fault:
    examples = [f'"{number:g} {unit}"' for unit in units[:2]]
    do = tr("write for example {example}", example=any_of(examples))
    return Fault(field, tr("= {typed!r} has no unit", typed=typed), do=do, no_unit=True)


def other_readings(
    number: float, *, dimension: str, unit: str, low: float, high: float
) -> list[tuple[str, float]]:
    """Find the other units that would put a number inside a range.

    Parameters
    ----------
    number : float
        Number as typed.
    dimension : str
        A key of `UNITS`.
    unit : str
        Unit in which the number was read, left out.
    low, high : float
        Bounds in the internal unit.

    Returns
    -------
    list of (str, float)
        Each unit, with the value in the internal unit.

    Examples
    --------
    >>> other_readings(1.10, dimension="height", unit="cm", low=80, high=130)
    [('m', 110.00000000000001)]
    """
    readings = ((name, number * f) for name, f in UNITS[dimension].items() if name != unit)
    return [(name, value) for name, value in readings if low <= value <= high]
