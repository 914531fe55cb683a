"""Fields of a form that are still empty and without which there is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fludapk.answers.typed import Folders
from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.patients.request import read_quantity
from fludapk.published.formula_rules import needs_sex
from fludapk.published.models import DEFAULT_MODEL, load_model
from fludapk.units import parse_number
from fludapk.web.forms import (
    LEVEL_ROWS,
    PLAN_ROWS,
    called,
    fields_of_form,
    levels_of,
    plans_of,
    typed,
)

_ADULT_YEARS: Final = 40.0
_SIZE: Final = ("weight", "height")


def still_needed(form: Mapping[str, str], path: str, folders: Folders = None) -> list[str]:
    """List the fields that must still be filled, in the order of the page.

    Parameters
    ----------
    form : mapping of str to str
    path : str
        Page of the form.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Examples
    --------
    >>> still_needed({"age": "61", "weight": "82", "height": "176", "regimen": "axi_cel"}, "/")
    ['sex', 'renal']
    """
    return [
        *([] if _has(form, "age") else ["age"]),
        *(["sex"] if _lacks_sex(form, folders) else []),
        *(name for name in _SIZE if not _has(form, name)),
        *_with_unit(form, "renal"),
        *_goal(form, path),
        *_course(form, path),
        *(_plans(form) if path == "/compare" else []),
        *(_levels(form) if path == "/levels" else []),
    ]


def needed_as(name: str) -> str:
    """Name of an empty field, with what may be filled instead of it.

    Examples
    --------
    >>> needed_as("target"), needed_as("weight")
    ('goal (target, AUC or window)', 'weight')
    """
    part, _, place = name.partition("_")
    if part == "plan":
        return tr("plan {n}", n=place)
    return tr(_OR[name]) if name in _OR else called(name)


_OR: Final = {
    "target": marked("goal (target, AUC or window)"),
    "regimen": marked("course, or dose and number of infusions"),
}


def lacks_only(fault: Fault, form: Mapping[str, str]) -> list[str]:
    """Fields of a fault, if it is only that all of them are empty; none of any other fault."""
    names = fields_of_form(fault, form)
    return [] if any(_has(form, name) for name in names) else names


def _has(form: Mapping[str, str], name: str) -> bool:
    return bool(form.get(name, "").strip())


def _with_unit(form: Mapping[str, str], name: str) -> list[str]:
    """A number, or its unit where none is assumed."""
    if not _has(form, name):
        return [name]
    return [f"{name}_unit"] if not _has(form, f"{name}_unit") and _is_bare(form[name]) else []


def _is_bare(text: str) -> bool:
    try:
        return not parse_number(text, "")[1]
    except InputError:
        return False


def _lacks_sex(form: Mapping[str, str], folders: Folders) -> bool:
    """Tell if a kidney function from creatinine at this age needs the sex, which is empty."""
    unit = form.get("renal_unit", "")
    if _has(form, "sex") or unit.startswith(("mL/", "L/")):
        return False
    try:
        model = load_model(form.get("model") or DEFAULT_MODEL, folders)
        years = read_quantity(typed(form), "age_years") or _ADULT_YEARS
    except InputError:
        return False
    return needs_sex(model, age_years=years)


def _goal(form: Mapping[str, str], path: str) -> list[str]:
    window = [_has(form, "window_low"), _has(form, "window_high")]
    if any(window):
        return [] if all(window) else ["window_high" if window[0] else "window_low"]
    has_any = _has(form, "target") or _has(form, "auc")
    return [] if has_any or path != "/dose" else ["target"]


def _course(form: Mapping[str, str], path: str) -> list[str]:
    if path == "/compare":
        return []
    unit = _with_unit(form, "dose") if _has(form, "dose") else []
    if _has(form, "regimen"):
        return unit
    if path == "/dose" or _has(form, "dose"):
        lacking = "days" if _has(form, "dose") else "regimen"
        return [*unit, *([] if _has(form, "days") else [lacking])]
    return ["dose" if _has(form, "days") else "regimen"]


def _plans(form: Mapping[str, str]) -> list[str]:
    filled = plans_of(form)
    empty = [f"plan_{k}" for k in range(1, PLAN_ROWS + 1) if k not in filled]
    return empty[: max(0, 2 - len(filled))]


def _levels(form: Mapping[str, str]) -> list[str]:
    """Halves of levels that are empty, and the unit; the first level if there is none."""
    rows = levels_of(form)
    if not rows:
        return ["time_1", "conc_1"]
    halves = [
        f"{part}_{k}"
        for k in range(1, LEVEL_ROWS + 1)
        for part in ("time", "conc")
        if k in rows and not _has(form, f"{part}_{k}")
    ]
    bare = any(_is_bare(form.get(f"conc_{k}", "")) for k in rows)
    return [*halves, *(["conc_unit"] if bare and not _has(form, "conc_unit") else [])]
