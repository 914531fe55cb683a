"""Reading of a patient as typed: quantities, categories, confirmations, with all faults."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

from fludapk.errors import Fault, InputError, nearest
from fludapk.language import tr
from fludapk.patients.clock import (
    NO_CLOCK,
    UNPLACED,
    Clock,
    ClockTime,
    Moment,
    is_clock,
    read_clock,
)
from fludapk.patients.fields import FIELDS, QUANTITIES, RENAL, REQUIRED, keyword
from fludapk.patients.renal_changes import RenalChange, parted, read_changes, time_faults
from fludapk.units import UNITS, Quantity, canonical_unit, parse_number, parse_quantity

Sex = Literal["female", "male"]
Typed = str | float | None
"""A quantity as typed, or a number in the default unit of its field."""

SEXES: Final[dict[str, Sex]] = {"female": "female", "f": "female", "male": "male", "m": "male"}


def internal_unit(key: str) -> str:
    """Return the unit in which a quantity is kept."""
    return next(iter(UNITS[FIELDS[key].dimension or ""]))


def renal_clock(
    texts: Sequence[Typed | Sequence[str]], first_dose: Moment | None, time_zone: str | None
) -> tuple[Clock, list[Fault]]:
    """Read the clock by which a renal function changes, if any part of it has a clock time."""
    parts = [
        part
        for text in texts
        if text is not None and not isinstance(text, int | float)
        for typed in ([text] if isinstance(text, str) else text)
        for part in typed.split(";")
    ]
    if not any(map(is_clock, parts)):
        return NO_CLOCK, []
    try:
        return read_clock(first_dose, time_zone), []
    except InputError as error:
        return UNPLACED, list(error.faults)


def parted_functions(
    texts: Sequence[Typed | Sequence[str]], clock: Clock
) -> tuple[list[Typed], list[list[str]], list[Fault]]:
    """Part each renal function at the first dose from its later values."""
    first: list[Typed] = []
    later: list[list[str]] = []
    faults: list[Fault] = []
    for key, text in zip(RENAL, texts, strict=True):
        try:
            value, rest = parted(key, text, clock)
        except InputError as error:
            faults += error.faults
            value, rest = None, []
        first.append(value)
        later.append(rest)
    return first, later, faults


def read_renal_changes(
    values: Mapping[str, Any],
    later: Sequence[Sequence[str]],
    given: Sequence[tuple[float, float]],
    clock: Clock,
) -> tuple[tuple[RenalChange, ...], list[ClockTime], list[Fault]]:
    """Read the later values of the renal function, from texts or numbers, and clock times."""
    key = next((key for key in RENAL if values[key] is not None), RENAL[0])
    try:
        for own, texts in zip(RENAL, later, strict=True):
            if texts:
                typed = read_changes(own, texts, partial(_parsed, own), clock)
                changes = [RenalChange(time, quantity.value) for time, quantity, _ in typed]
                return tuple(changes), [at for *_, at in typed if at is not None], []
    except InputError as error:
        return (), [], list(error.faults)
    changes = [RenalChange(float(time), float(value)) for time, value in given]
    faults = time_faults(key, [change.time_h for change in changes])
    if changes and values[key] is None:
        faults.append(Fault(key, tr("changes, but of the first dose there is none")))
    return (() if faults else tuple(changes)), [], faults


def read_categories(
    given: Mapping[str, str] | str | Sequence[str] | None,
) -> tuple[dict[str, str], list[Fault]]:
    """Read categories: their levels by name, and faults.

    Examples
    --------
    >>> read_categories("transplant=autologous; sedation = yes")[0]
    {'transplant': 'autologous', 'sedation': 'yes'}
    """
    if not given:
        return {}, []
    if isinstance(given, Mapping):
        return dict(given), []
    texts = [given] if isinstance(given, str) else given
    parts = [part.strip() for text in texts for part in text.split(";") if part.strip()]
    pairs = [part.partition("=") for part in parts]
    faults = [
        Fault("categories", f"= {part[:50]!r}", do=tr("write NAME=LEVEL; NAME=LEVEL"))
        for part, (name, _, level) in zip(parts, pairs, strict=True)
        if not name.strip() or not level.strip()
    ]
    return {name.strip(): level.strip() for name, _, level in pairs}, faults


def read_confirmations(confirm: str | Sequence[str]) -> tuple[set[str], list[Fault]]:
    """Read names of what is confirmed: their keywords, and faults of unknown names.

    Examples
    --------
    >>> sorted(read_confirmations("weight; scr")[0])
    ['scr_mg_dl', 'weight_kg']
    """
    if not confirm:
        return set(), []
    names = [confirm] if isinstance(confirm, str) else confirm
    parts = [part for name in names for part in re.split(r"[\s,;]+", name.strip()) if part]
    choices = [FIELDS[key].name for key in QUANTITIES]
    unknown = [part for part in parts if part not in choices]
    faults = [
        Fault(
            "confirm",
            tr("= {typed!r} is unknown", typed=part[:50]),
            do=nearest(part[:50], choices),
        )
        for part in dict.fromkeys(unknown)
    ]
    return {keyword(part) for part in parts if part in choices}, faults


def read_quantities(
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
                    found = tr("is given twice: {number} and {text!r}", number=number, text=text)
                    raise InputError(Fault(key, found))
                quantities[key] = _parsed(key, text)
                values[key] = quantities[key].value
        except InputError as error:
            faults += error.faults
            values[key] = math.nan
        if values[key] is None and key in REQUIRED:
            found, field = tr("is missing"), f"{{{key}}}"
            if key == "height_cm":
                found = tr("is missing (body surface area needs it)")
            faults.append(Fault(key, found, do=tr("give {field}", field=field)))
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
            do = tr("a creatinine clearance in mL/min goes to {crcl_ml_min}")
        elif key == "crcl_ml_min" and canonical_unit(rest, "eGFR"):
            do = tr("an eGFR in mL/min/1.73 m2 goes to {egfr_ml_min_1_73m2}")
        else:
            raise
        fault = error.faults[0]
        raise InputError(Fault(key, fault.found, allowed=fault.allowed, do=do)) from None


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
        raise InputError(Fault("sex", f"= {text!r}", do=tr("write female or male")))
    return SEXES[text.strip().lower()]
