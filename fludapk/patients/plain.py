"""Quantities typed as plain numbers, with a unit or in the usual one, with nothing to ask about.

Most patients of a list are such. All others go through the rules, which alone decide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from fludapk.patients.fields import FIELDS, QUANTITIES, RENAL
from fludapk.patients.ordinary import is_ordinary
from fludapk.patients.plausible import LIMITS
from fludapk.units import UNITS, Quantity, quantity_of

_NUMBER: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,17})?")
_READINGS: Final = tuple(
    (FIELDS[key].name, key, dimension, FIELDS[key].unit, *LIMITS[dimension])
    for key in QUANTITIES
    if (dimension := FIELDS[key].dimension)
)
"""Name, keyword, dimension, unit of a bare number, and limits of each quantity."""
_RENAL: Final = frozenset(RENAL)
_ASKED: Final = frozenset({"ft"})
"""Units that are no plain matter: 5.11 ft may be feet and inches."""


def plain_quantities(texts: Mapping[str, Any], sex: str | None) -> dict[str, Quantity] | None:
    """Read the quantities of a patient if none of them needs more than a glance.

    Parameters
    ----------
    texts : mapping of str to str or float
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
    >>> plain_quantities(girl | {"weight": "40"}, "female") is None
    True
    """
    typed: dict[str, Quantity] = {}
    for name, key, dimension, default, low, high in _READINGS:
        text = texts.get(name)
        if text is None:
            continue
        unit = ""
        if isinstance(text, str):
            digits, _, unit = text.partition(" ")
            number = float(digits) if _NUMBER.fullmatch(digits) else math.nan
        else:
            number = text if isinstance(text, float) else math.nan
        unit_read = unit or default
        if unit_read not in UNITS[dimension] or unit_read in _ASKED:
            return None
        quantity = quantity_of(number, unit_read, dimension, bare=not unit)
        if not low <= quantity.value <= high:
            return None
        typed[key] = quantity
    is_one = len(_RENAL & typed.keys()) <= 1
    return typed if is_one and is_ordinary(typed, sex) else None
