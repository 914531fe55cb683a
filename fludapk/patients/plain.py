"""Quantities typed as plain numbers in the usual unit, about which nothing can be wrong.

Most patients of a list are such. All others go through the rules, which alone decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fludapk.patients.fields import FIELDS, QUANTITIES, RENAL, REQUIRED
from fludapk.patients.ordinary import is_ordinary
from fludapk.patients.plausible import LIMITS
from fludapk.units import UNITS, Quantity

_NUMBER: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
"""So short that no digit of it is rounded."""
_READINGS: Final = tuple(
    (FIELDS[key].name, key, FIELDS[key].unit, next(iter(UNITS[dimension])), *LIMITS[dimension])
    for key in QUANTITIES
    if (dimension := FIELDS[key].dimension)
)
"""Name and keyword, unit of a bare number, internal unit, and limits of each quantity."""


def plain_quantities(texts: Mapping[str, Any], sex: str | None) -> dict[str, Quantity] | None:
    """Read the quantities of a patient if none of them needs more than a glance.

    Parameters
    ----------
    texts : mapping of str to str
        By the names of requests.
    sex : {'female', 'male'}, optional

    Returns
    -------
    dict or None
        By keyword; None if a rule may have something to say.

    Examples
    --------
    >>> girl = {"age": "5", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL"}
    >>> plain_quantities(girl, "female")["scr_mg_dl"]
    Quantity(value=0.3, unit='mg/dL', given=0.3, bare=False)
    >>> plain_quantities(girl | {"weight": "40 lb"}, "female") is None
    True
    """
    typed: dict[str, Quantity] = {}
    for name, key, default, internal, low, high in _READINGS:
        text = texts.get(name)
        if text is None:
            continue
        if not isinstance(text, str):
            return None
        digits, _, unit = text.partition(" ")
        if unit != internal and (unit or default != internal):
            return None
        if _NUMBER.fullmatch(digits) is None or not low <= (value := float(digits)) <= high:
            return None
        typed[key] = Quantity(value, internal, value, bare=not unit)
    if any(key not in typed for key in REQUIRED) or sum(key in typed for key in RENAL) > 1:
        return None
    return typed if is_ordinary(typed, sex) else None
