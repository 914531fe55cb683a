"""Quantities of FHIR as a person would type them; the unit is what its UCUM code says."""

from __future__ import annotations

from typing import Final, NamedTuple

from fludapk.answers.record import Remark, caution
from fludapk.errors import Fault, InputError
from fludapk.units import as_typed
from fludapk.web.cds.codes import SCALED, SPELLINGS, UCUM, UNITS
from fludapk.web.cds.resources import Quantity, unread

_SHOWN: Final = 30
"""Characters of a unit that are repeated."""


class Typed(NamedTuple):
    """A quantity in one of our units."""

    number: float
    unit: str
    remark: Remark | None = None
    """If the unit was told by its text only."""

    def __str__(self) -> str:
        return f"{as_typed(self.number)} {self.unit}"


def typed(quantity: Quantity | None, what: str) -> Typed:
    """Read a quantity.

    Parameters
    ----------
    quantity : Quantity or None
    what : str
        A key of `fludapk.web.cds.codes.UNITS`.

    Raises
    ------
    InputError
        Without a value, with a comparator, or in a unit that is not understood.

    Examples
    --------
    >>> ucum = {"system": "http://unitsofmeasure.org"}
    >>> str(typed(Quantity(value=18200.0, unit="g", code="g", **ucum), "weight"))
    '18200 g'
    >>> typed(Quantity(value=0.2, comparator="<", code="mg/dL", **ucum), "creatinine")
    Traceback (most recent call last):
    fludapk.errors.InputError: creatinine: '< 0.2 mg/dL' is a bound and not a value
    """
    if quantity is None or quantity.value is None:
        raise InputError(f"{what}: no value")
    number, shown = quantity.value, f"{quantity.value:g} {quantity.code or quantity.unit}".strip()
    if quantity.comparator:
        found = f"'{quantity.comparator[:2]} {shown[:_SHOWN]}' is a bound and not a value"
        raise InputError(f"{what}: {found}")
    if extra := unread(quantity):
        raise InputError(f"{what}: {', '.join(extra)} of the quantity is not understood")
    unit, factor, remark = _unit(quantity, what)
    scaled = number if factor == 1.0 else float(f"{number * factor:.12g}")
    return Typed(scaled, unit, remark)


def _unit(quantity: Quantity, what: str) -> tuple[str, float, Remark | None]:
    """Our unit, how many of it are one of the quantity, and a remark on how it was told."""
    units, spellings = UNITS[what], SPELLINGS[what]
    text = quantity.unit.strip()
    by_text = spellings.get(text.lower())
    if not quantity.code:
        if by_text in units.values():
            message = f"{what}: the unit {text[:_SHOWN]!r} is told by its text, not by a UCUM code"
            return str(by_text), 1.0, caution("unit_by_text", message)
        found = f"the unit is only the text {text[:_SHOWN]!r}" if text else "no unit"
        raise InputError(Fault("", f"{what}: {found}", allowed=_allowed(what)))
    code = quantity.code
    if quantity.system in UCUM and code in units:
        unit, factor = units[code], 1.0
    elif quantity.system in UCUM and code in SCALED.get(what, {}):
        unit, factor = SCALED[what][code]
    elif not quantity.system and code in units:
        unit, factor = units[code], 1.0
    else:
        system = f" of {quantity.system[:60]!r}" if quantity.system not in UCUM else ""
        also = f" ({text[:_SHOWN]!r})" if text and text != code else ""
        found = f"unit {code[:_SHOWN]!r}{system}{also} is not understood"
        raise InputError(Fault("", f"{what}: {found}", allowed=_allowed(what)))
    own_text = spellings.get(code.lower(), unit)
    if by_text is not None and by_text not in (unit, own_text):
        found = f"the unit is {code!r} by its code and {text[:_SHOWN]!r} by its text"
        raise InputError(f"{what}: {found}: which is it?")
    if quantity.system:
        return unit, factor, None
    message = f"{what}: the unit {code!r} has no code system; read as UCUM"
    return unit, factor, caution("unit_without_system", message)


def _allowed(what: str) -> str:
    return f"UCUM codes {', '.join((*UNITS[what], *SCALED.get(what, {})))}"
