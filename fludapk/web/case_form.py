"""Forms of one patient as case files, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fludapk.answers.case import Answer as Answered
from fludapk.answers.case import opened, save_case
from fludapk.answers.typed import Folders
from fludapk.errors import Fault, FludapkError, InputError
from fludapk.language import tr
from fludapk.patients.case_file import CaseFile, Question
from fludapk.patients.fields import FIELDS, RENAL
from fludapk.units import as_typed, canonical_unit, parse_number
from fludapk.web.asked import Asked
from fludapk.web.forms import (
    LEVEL_ROWS,
    box_name,
    check_asked,
    dose_asked,
    update_asked,
)  # fmt: skip
from fludapk.web.forms import (
    as_typed as as_typed_in,
)

CASE: Final = "case"
"""Hidden field of a form: the case file it was opened from, until something is typed."""
MOST_CHARACTERS: Final = 40_000
"""Characters of a case file that a page opens."""
PATHS: Final[Mapping[Question, str]] = {"check": "/", "dose": "/dose", "update": "/levels"}
"""Question of a case -> its page."""
_ASKED: Final[Mapping[Question, Callable[[Mapping[str, str]], Asked]]] = {
    "check": check_asked, "dose": dose_asked, "update": update_asked,
}  # fmt: skip
_LEVEL: Final = re.compile(
    r"\s*(?P<time>.*?)[\s,;=]*(?P<below><?)\s*(?P<conc>[\d.,]+\s*[a-zA-Zµμ]+/[a-zA-Z]+)\s*"
)
_PLACES: Final = frozenset({*RENAL, "levels", "given", "exclude_level", "window", "confirm"})
"""Fields that a form holds in another way."""


def case_of(form: Mapping[str, str], question: Question, folders: Folders = None) -> CaseFile:
    """Make the case file of a form, with its answer if there is one.

    Raises
    ------
    InputError
        If nothing was typed, or something that no case file holds.
    """
    typed = _ASKED[question](form).model_dump(exclude_none=True, exclude={"strict"})
    try:
        return save_case(typed, question=question, folders=folders)
    except FludapkError:
        return CaseFile(typed=typed, question=question)


def form_of(case: CaseFile) -> dict[str, str]:
    """Fill the form of a case.

    Raises
    ------
    InputError
        If the form has no room for it.

    Examples
    --------
    >>> case = CaseFile(typed={"age": 5, "weight": "18.2 kg", "scr": "26.5 umol/L",
    ...                        "levels": ["1h 1.0mg/L"]})
    >>> {name: text for name, text in form_of(case).items() if name != "case"}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'age': '5', 'weight': '18.2 kg', 'renal': '26.5', 'renal_unit': 'umol/L',
     'time_1': '1h', 'conc_1': '1.0mg/L'}
    """
    typed = case.typed
    places = {FIELDS[key].name for key in _PLACES}
    form = {name: as_typed(value) for name, value in typed.items() if name not in places | _FLAGS}
    for key in RENAL:
        if text := typed.get(FIELDS[key].name):
            form |= renal_fields(key, as_typed(text))
    form |= _levels(typed.get("levels") or ())
    form |= {f"exclude_{as_typed(place)}": "1" for place in typed.get("exclude_level") or ()}
    if given := typed.get("given"):
        form["given"] = "\n".join(map(as_typed, given))
    if window := typed.get("window"):
        form |= dict(zip(("window_low", "window_high"), map(as_typed, window), strict=True))
    form |= {box_name(name): as_typed_in(form, name) for name in typed.get("confirm") or ()}
    text = case.to_json()
    if len(text) > MOST_CHARACTERS:
        raise InputError(Fault("case", tr("is larger than a page can open: use `fludapk --case`")))
    return {**form, CASE: text}


_FLAGS: Final = {"strict"}


def renal_fields(key: str, text: str) -> dict[str, str]:
    """Number and unit of a kidney function; the unit says which one it is.

    Examples
    --------
    >>> renal_fields("scr_mg_dl", "0.3 mg/dL")
    {'renal': '0.3', 'renal_unit': 'mg/dL'}
    """
    dimension = FIELDS[key].dimension or ""
    try:
        number, rest = parse_number(text, key)
    except InputError:
        return {"renal": text}
    unit = canonical_unit(rest, dimension) if rest else FIELDS[key].unit
    return {"renal": as_typed(number), "renal_unit": unit} if unit else {"renal": text}


def _levels(levels: Sequence[Any]) -> dict[str, str]:
    if len(levels) > LEVEL_ROWS:
        found = tr("{n} levels: the page has room for {most}", n=len(levels), most=LEVEL_ROWS)
        raise InputError(Fault("levels", found, whole=True))
    form = {}
    for k, level in enumerate(levels, start=1):
        parts = level if isinstance(level, Mapping) else _parts(level)
        form[f"time_{k}"], form[f"conc_{k}"] = as_typed(parts["time"]), as_typed(parts["conc"])
        if parts.get("below"):
            form[f"below_{k}"] = "1"
    return form


def _parts(text: str) -> dict[str, str]:
    """Time and concentration of a level that is one text; one that cannot be split stays whole."""
    match = _LEVEL.fullmatch(text)
    return match.groupdict() if match else {"time": text, "conc": ""}


def changes_since(form: Mapping[str, str], path: str, result: Answered | None) -> list[str]:
    """Say what has changed since the case that a form was opened from was saved."""
    if not form.get(CASE) or result is None:
        return []
    case = CaseFile.from_json(form[CASE])
    question = next((name for name, page in PATHS.items() if page == path), None)
    return opened(case, question, result).sentences() if question else []
