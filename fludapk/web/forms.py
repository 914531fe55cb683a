"""Forms of the pages: what their fields say, and which field a fault is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fludapk.errors import InputError
from fludapk.units import UNITS, parse_quantity
from fludapk.web.asked import CheckAsked, DoseAsked, UpdateAsked

# ------------------------------------------------------------------ what a form holds

_RENAL: Final = {
    unit: option
    for option, dimension in (("scr", "creatinine"), ("egfr", "eGFR"), ("crcl", "CrCl"))
    for unit in UNITS[dimension]
}
"""Unit of a kidney function -> what it is."""

CHOICES: Final = {
    "age_unit": list(UNITS["age"]),
    "weight_unit": list(UNITS["weight"]),
    "height_unit": list(UNITS["height"]),
    "dose_unit": ["", *UNITS["dose"]],
    "interval_unit": ["h", "days"],
    "infusion_time_unit": ["h", "min"],
    "cells_at_unit": ["h", "days"],
    "time_unit": list(UNITS["time"]),
    "conc_unit": ["", *UNITS["concentration"]],
}
"""Units beside a number; the first is the default. A dose, a creatinine and a level have none."""

LEVEL_ROWS: Final = 8

_WITH_UNIT: Final = ("age", "weight", "height", "dose", "interval", "infusion_time", "cells_at")
_PLAIN: Final = (
    "sex", "bsa_formula", "egfr_formula", "diagnosis", "product", "genotype", "regimen", "days",
    "model", "round_to",
)  # fmt: skip


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What the fields of a form say, by the names of the command line.

    A number beside a default unit goes as it was typed, so that it is judged as on the command
    line: 1.10 cm is asked about, and "43 in" is read.

    Examples
    --------
    >>> typed({"age": "8", "age_unit": "months", "renal": "0.3", "renal_unit": ""})
    {'age': '8 months', 'scr': '0.3'}
    """
    said = {name: form[name] for name in _PLAIN if form.get(name)}
    for name in _WITH_UNIT:
        if form.get(name):
            said[name] = _with_unit(form, name, f"{name}_unit")
    if form.get("renal"):
        unit = form.get("renal_unit", "")
        said[_RENAL.get(unit, "scr")] = f"{form['renal']} {unit}".strip()
    return said


def _with_unit(form: Mapping[str, str], name: str, units: str) -> str:
    """A field as typed, with the unit beside it unless that is the default."""
    text, unit = form.get(name, "").strip(), form.get(units, "")
    return text if not text or unit in ("", CHOICES[units][0]) else f"{text} {unit}"


def _number(form: Mapping[str, str], name: str) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{name} = {text!r} is not a number") from None


def check_asked(form: Mapping[str, str]) -> CheckAsked:
    """The check a form asks for."""
    return CheckAsked.model_validate(typed(form))


def _goal(form: Mapping[str, str]) -> dict[str, Any]:
    """What the doses are for."""
    low, high = _number(form, "window_low"), _number(form, "window_high")
    if (low is None) != (high is None):
        raise InputError("window needs both: its lower and its upper AUC")
    return {
        "target": form.get("target") or None,
        "auc": _number(form, "auc"),
        "window": None if low is None else [low, high],
        "probability": _number(form, "probability"),
    }


def dose_asked(form: Mapping[str, str]) -> DoseAsked:
    """The dose a form asks for."""
    return DoseAsked.model_validate({**typed(form), **_goal(form)})


def levels_of(form: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """The levels of a form by their rows; empty rows are none.

    Examples
    --------
    >>> levels_of({"time_2": "7", "conc_2": "180", "conc_unit": "ng/mL"})
    {2: {'time': '7', 'conc': '180 ng/mL', 'below': False}}
    """
    rows = {
        k: {
            "time": _with_unit(form, f"time_{k}", "time_unit"),
            "conc": _with_unit(form, f"conc_{k}", "conc_unit"),
            "below": bool(form.get(f"below_{k}")),
        }
        for k in range(1, LEVEL_ROWS + 1)
    }
    return {k: row for k, row in rows.items() if row["time"] or row["conc"]}


def update_asked(form: Mapping[str, str]) -> UpdateAsked:
    """The update a form asks for."""
    given = [line.strip() for line in form.get("given", "").splitlines()]
    asked = {
        **_goal(form),
        "levels": list(levels_of(form).values()),
        "given": [line for line in given if line],
    }
    return UpdateAsked.model_validate({**typed(form), **asked})


_FIELDS_OF_FORM: Final = {
    "scr": "renal",
    "egfr": "renal",
    "crcl": "renal",
    "window": "window_low",
    "levels": "conc_1",
}
CALLED: Final = {
    "renal": "kidney function",
    "window_low": "window",
    "conc_unit": "unit of the levels",
    **{
        f"{part}_{k}": f"{word} of level {k}"
        for part, word in (("time", "time"), ("conc", "concentration"))
        for k in range(1, LEVEL_ROWS + 1)
    },
}


def field_of(name: str, message: str, form: Mapping[str, str]) -> str:
    """Field of a form that a fault is about; of a level, its own row."""
    if name != "levels":
        return _FIELDS_OF_FORM.get(name, name)
    if "concentration" in message and "has no unit" in message:
        return "conc_unit"
    part = "time" if ": time " in message else "conc"
    for place, (k, row) in enumerate(levels_of(form).items(), start=1):
        if message.startswith(f"level {place}: ") or _is_at(row["time"], message):
            return f"{part}_{k}"
    return _FIELDS_OF_FORM[name]


def _is_at(time: str, message: str) -> bool:
    """Whether a message is about the level at a time."""
    found = re.match(r"level (?:\d+ )?at (\S+) h", message)
    try:
        hours = parse_quantity(time, dimension="time", name="time", bare="h").value
    except InputError:
        return False
    return found is not None and found.group(1) == f"{hours:g}"
