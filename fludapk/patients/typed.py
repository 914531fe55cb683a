"""Typed inputs of a patient that are more than one number: changes, categories, units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from fludapk.errors import Fault, InputError
from fludapk.patients.fields import FIELDS, RENAL
from fludapk.patients.renal_changes import parted, read_changes, time_faults
from fludapk.units import Quantity, canonical_unit, parse_number, parse_quantity

Typed: TypeAlias = str | float | None
"""A quantity as typed, or a number in the default unit of its field."""


def parted_functions(
    texts: Sequence[Typed | Sequence[str]],
) -> tuple[list[Typed], list[list[str]], list[Fault]]:
    """Part each renal function at the first dose from its later values."""
    first: list[Typed] = []
    later: list[list[str]] = []
    faults: list[Fault] = []
    for key, text in zip(RENAL, texts, strict=True):
        try:
            one, rest = parted(key, text)
        except InputError as error:
            faults += error.faults
            one, rest = None, []
        first.append(one)
        later.append(rest)
    return first, later, faults


def read_renal_changes(
    values: Mapping[str, Any], later: Sequence[Sequence[str]], given: Sequence[tuple[float, float]]
) -> tuple[list[tuple[float, float]], list[Fault]]:
    """Read the later values of the renal function, from texts or numbers."""
    key = next((key for key in RENAL if values[key] is not None), RENAL[0])
    try:
        for own, texts in zip(RENAL, later, strict=True):
            if texts:
                typed = read_changes(own, texts, partial(read_typed, own))
                return [(time, quantity.value) for time, quantity in typed], []
    except InputError as error:
        return [], list(error.faults)
    changes = [(float(time), float(value)) for time, value in given]
    faults = time_faults(key, [time for time, _ in changes])
    if changes and values[key] is None:
        faults.append(Fault(key, "changes, but of the first dose there is none"))
    return ([] if faults else changes), faults


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
        Fault("categories", f"= {part[:50]!r}", do="write NAME=LEVEL; NAME=LEVEL")
        for part, (name, _, level) in zip(parts, pairs, strict=True)
        if not name.strip() or not level.strip()
    ]
    return {name.strip(): level.strip() for name, _, level in pairs}, faults


def read_typed(key: str, text: str | float) -> Quantity:
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
