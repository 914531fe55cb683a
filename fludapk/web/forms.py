"""Forms of the pages: what their fields say, and which field a fault is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fludapk.answers.compare_plans import MOST
from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.patients.clock import is_clock
from fludapk.patients.fields import (
    COURSE,
    FIELDS,
    PATIENT,
    QUANTITIES,
    RENAL,
    label,
    request_name,
)
from fludapk.patients.level import CONFIRMS_TIMES
from fludapk.units import UNITS, parse_number, pointed
from fludapk.web.asked import CheckAsked, CompareAsked, DesignAsked, DoseAsked, UpdateAsked

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
    "gestational_age_unit": list(UNITS["gestation"]),
    "dose_unit": ["", *UNITS["dose"]],
    "interval_unit": ["h", "days"],
    "infusion_time_unit": ["h", "min"],
    "cells_at_unit": ["h", "days"],
    "time_unit": list(UNITS["time"]),
    "conc_unit": ["", *UNITS["concentration"]],
}
"""Units beside a number; the first is the default. A dose, a creatinine and a level have none."""
UNIT_WORDS: Final = (
    marked("years"), marked("months"), marked("weeks"), marked("days"), marked("unit"),
)  # fmt: skip
"""Units that are words, which the page translates."""

LEVEL_ROWS: Final = 8
MOST_CHARACTERS: Final = 1000
"""Characters of a field that are read; of the first of two entries, all its fields."""
PLAN_ROWS: Final = MOST

_TYPED: Final = [FIELDS[key] for key in (*PATIENT, *COURSE, "model", "round_to_mg")]
_WITH_UNIT: Final = [field.name for field in _TYPED if f"{field.name}_unit" in CHOICES]
_PLAIN: Final = [
    field.name
    for field in _TYPED
    if field.name not in _WITH_UNIT and field.key not in RENAL and not field.several
]
_CONFIRMABLE: Final = [*(FIELDS[key].name for key in QUANTITIES), CONFIRMS_TIMES]


_NUMBERS: Final = frozenset(
    {
        *(field.name for field in _TYPED if field.dimension and field.key not in RENAL),
        *("renal", "days", "auc", "window_low", "window_high", "probability", "given"),
        *(f"plan_{k}" for k in range(1, PLAN_ROWS + 1)),
        *(f"{part}_{k}" for part in ("time", "conc") for k in range(1, LEVEL_ROWS + 1)),
    }
)
"""Fields whose text holds numbers."""


def with_points(form: Mapping[str, str]) -> dict[str, str]:
    """Return a form with decimal points in its numbers: many telephones can only type a comma.

    Examples
    --------
    >>> with_points({"weight": "18,2", "time_zone": "a,b"})
    {'weight': '18.2', 'time_zone': 'a,b'}
    """
    return {name: pointed(text) if name in _NUMBERS else text for name, text in form.items()}


def read_back(form: Mapping[str, str]) -> list[str]:
    """Say how numbers with a decimal comma were read.

    Examples
    --------
    >>> read_back({"weight": "18,2", "age": "5"})
    ['weight 18,2 = 18.2']
    """
    read = with_points(form)
    return [
        f"{called(name)} {text} = {read[name]}" for name, text in form.items() if read[name] != text
    ]


def called(name: str) -> str:
    """Name of a field as the page calls it.

    Examples
    --------
    >>> called("renal"), called("conc_2"), called("conc_unit")
    ('kidney function', 'concentration of level 2', 'unit of the levels')
    """
    part, _, row = name.rpartition("_")
    if part in _OF_ROWS and row.isdecimal():
        return tr(_OF_ROWS[part], n=row)
    return tr(CALLED[name]) if name in CALLED else label(_KEYS.get(name, name))


_KEYS: Final = {field.name: field.key for field in FIELDS.values()}


def typed(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a form, by the names of the command line.

    A number beside a default unit goes as it was typed, so that it is judged as on the command
    line: 1.10 cm is asked about, and "43 in" is read.

    Examples
    --------
    >>> typed({"age": "8", "age_unit": "months", "renal": "0.3", "renal_unit": ""})
    {'age': '8 months', 'scr': '0.3'}
    """
    said: dict[str, Any] = {name: form[name] for name in _PLAIN if form.get(name)}
    for name in _WITH_UNIT:
        if form.get(name):
            said[name] = _with_unit(form, name, f"{name}_unit")
    if form.get("renal"):
        unit = form.get("renal_unit", "")
        parts = [part.strip() for part in form["renal"].split(";") if part.strip()]
        said[_RENAL.get(unit, "scr")] = "; ".join(f"{part} {unit}".strip() for part in parts)
    confirmed = confirmed_in(form)
    return {**said, "confirm": confirmed} if confirmed else said


def box_name(name: str) -> str:
    """Name of the box that confirms a quantity.

    Examples
    --------
    >>> box_name("weight")
    'confirm_weight'
    """
    return f"confirm_{name}"


def patient_as_typed(form: Mapping[str, str]) -> str:
    """Everything a confirmation is about: it holds until one of these is typed otherwise.

    Examples
    --------
    >>> patient_as_typed({"age": "61", "weight": "160", "weight_unit": "kg"})
    'age 61; weight 160 kg'
    """
    names = ("age", "sex", "weight", "height", "renal")
    parts = [(form.get(name), form.get(f"{name}_unit"), name) for name in names]
    return "; ".join(f"{name} {text} {unit or ''}".strip() for text, unit, name in parts if text)


def as_typed(form: Mapping[str, str], name: str) -> str:
    """Everything that the confirmation of a name is about: the patient, and of times the levels."""
    patient = patient_as_typed(form)
    if name != CONFIRMS_TIMES:
        return patient
    rows = [f"{row['time']} {row['conc']}" for row in levels_of(form).values()]
    return "; ".join([patient, form.get("first_dose", ""), *rows])[:MOST_CHARACTERS]


def confirmed_in(form: Mapping[str, str]) -> list[str]:
    """Names of the quantities whose box is ticked for just what is typed."""
    return [name for name in _CONFIRMABLE if form.get(box_name(name)) == as_typed(form, name)]


def _with_unit(form: Mapping[str, str], name: str, units: str) -> str:
    """A field as typed, with the unit beside it unless that is the default; a clock has none."""
    text, unit = form.get(name, "").strip(), form.get(units, "")
    has_none = not text or unit in ("", CHOICES[units][0]) or is_clock(text)
    return text if has_none else f"{text} {unit}"


def _number(form: Mapping[str, str], name: str) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(Fault(name, tr("= {text} is not a number", text=repr(text)))) from None


def check_asked(form: Mapping[str, str]) -> CheckAsked:
    """The check a form asks for."""
    asked: CheckAsked = CheckAsked.model_validate(typed(form))
    return asked


def _goal(form: Mapping[str, str]) -> dict[str, Any]:
    """Goal that the doses are for."""
    low, high = _number(form, "window_low"), _number(form, "window_high")
    if (low is None) != (high is None):
        raise InputError(Fault("window", tr("needs both: its lower and its upper AUC")))
    return {
        "target": form.get("target") or None,
        "auc": _number(form, "auc"),
        "window": None if low is None else [low, high],
        "probability": _number(form, "probability"),
    }


def dose_asked(form: Mapping[str, str]) -> DoseAsked:
    """The dose a form asks for."""
    asked: DoseAsked = DoseAsked.model_validate({**typed(form), **_goal(form)})
    return asked


def plans_of(form: Mapping[str, str]) -> dict[int, str]:
    """Plans of a form by their rows; empty rows are none.

    Examples
    --------
    >>> plans_of({"plan_1": "axi_cel", "plan_2": " ", "plan_3": "axi_cel auc 19"})
    {1: 'axi_cel', 3: 'axi_cel auc 19'}
    """
    rows = {k: form.get(f"plan_{k}", "").strip() for k in range(1, PLAN_ROWS + 1)}
    return {k: text for k, text in rows.items() if text}


def compare_asked(form: Mapping[str, str]) -> CompareAsked:
    """The comparison a form asks for."""
    fields = {name: value for name, value in typed(form).items() if name not in _OF_A_COURSE}
    asked: CompareAsked = CompareAsked.model_validate(
        {**fields, "plans": list(plans_of(form).values())}
    )
    return asked


_OF_A_COURSE: Final = ("regimen", "dose", "days")
"""Fields that a form of one course holds, and a plan says in its text."""


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
    given_fields = {
        **_goal(form),
        "levels": list(levels_of(form).values()),
        "given": [line for line in given if line],
        "exclude_level": [
            place
            for place, row in enumerate(levels_of(form), start=1)
            if form.get(f"exclude_{row}")
        ],
    }
    asked: UpdateAsked = UpdateAsked.model_validate({**typed(form), **given_fields})
    return asked


def design_asked(form: Mapping[str, str]) -> DesignAsked:
    """The sampling times a form asks for."""
    fields = {name: value for name, value in typed(form).items() if name != "round_to"}
    asked: DesignAsked = DesignAsked.model_validate(fields)
    return asked


_OF_FORM: Final = {
    **dict.fromkeys(RENAL, "renal"),
    "window": "window_low",
    "levels": "conc_1",
    "exclude_level": "exclude_1",
    "plans": "plan_1",
    "weights_kg": "weights_from",
    "renal": "renal_from",
}
"""Keyword -> field of a form, where they differ from the name of a request."""
CALLED: Final = {
    "renal": marked("kidney function"),
    "renal_unit": marked("unit of the kidney function"),
    "dose_unit": marked("unit of the dose"),
    "dose": marked("dose per infusion"),
    "auc": "AUC",
    "window_low": marked("window"),
    "conc_unit": marked("unit of the levels"),
    "weights_from": marked("weights"),
    "renal_from": marked("kidney function"),
}
_OF_ROWS: Final = {
    "plan": marked("row {n} of the plans"),
    "time": marked("time of level {n}"),
    "conc": marked("concentration of level {n}"),
    "below": marked("limit of level {n}"),
    "exclude": marked("leaving out of level {n}"),
}


def fields_of_form(fault: Fault, form: Mapping[str, str]) -> list[str]:
    """Fields of a form that a fault is about; of a level, in its own row."""
    if fault.inside is not None and fault.inside[0] == "levels":
        return _fields_of_level(fault, form, fault.inside[1])
    if fault.inside is not None and fault.inside[0] == "plans":
        return [f"plan_{list(plans_of(form))[fault.inside[1] - 1]}"]
    keys = [key for key in fault.fields if key in FIELDS]
    return list(dict.fromkeys(_OF_FORM.get(key, request_name(key)) for key in keys))


def _fields_of_level(fault: Fault, form: Mapping[str, str], place: int) -> list[str]:
    """Field of the level in this place among the rows that are filled, and what it lacks."""
    row, level = list(levels_of(form).items())[place - 1]
    if fault.field == "time_h" or fault.confirm == CONFIRMS_TIMES:
        lacks_first_dose = is_clock(level["time"]) and not form.get("first_dose")
        return [f"time_{row}", *(["first_dose"] if lacks_first_dose else [])]
    return ["conc_unit" if _is_bare_number(level["conc"]) else f"conc_{row}"]


def _is_bare_number(text: str) -> bool:
    try:
        return not parse_number(text, "conc_mg_l")[1]
    except InputError:
        return False
