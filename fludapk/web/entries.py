"""Two entries of the same patient, the second typed blind by another person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.units import parse_number, pointed
from fludapk.web.case_form import CASE
from fludapk.web.forms import called

FIRST: Final = "first"
"""Hidden field of a form: the first entry, as in the query of an address."""
_NOT_COMPARED: Final = frozenset({FIRST, CASE, "token", "carry", "times", "second"})


@dataclass(frozen=True)
class Entries:
    """Two entries beside each other."""

    fields: int
    """Fields that were filled in either."""
    differing: list[tuple[str, str, str]]
    """Fields that differ: name on the page, first, second entry."""


def compared_entries(form: Mapping[str, str]) -> Entries | None:
    """Compare a form with the first entry that it carries; None without one.

    Examples
    --------
    >>> form = {"weight": "81.2", "weight_unit": "kg", "age": "5,0"}
    >>> compared_entries({**form, "first": "age=5&weight=18.2&weight_unit=kg"}).differing
    [('weight', '18.2 kg', '81.2 kg')]
    """
    if not form.get(FIRST):
        return None
    first, second = _entered(dict(parse_qsl(form[FIRST]))), _entered(form)
    names = list(dict.fromkeys([*first, *second]))
    differing = [
        (called(name), _shown(first.get(name, "")), _shown(second.get(name, "")))
        for name in names
        if _plain(first.get(name, "")) != _plain(second.get(name, ""))
    ]
    return Entries(len(names), differing)


def _shown(text: str) -> str:
    """Word an entry for the page: options and units that are words are translated."""
    return " ".join(map(tr, text.split(" ", 1))) if text else tr("empty")


def as_first(form: Mapping[str, str]) -> str:
    """Write an entry so that a hidden field of the second can hold it.

    Examples
    --------
    >>> as_first({"weight": "18.2", "weight_unit": "kg", "height": "", "token": "secret"})
    'weight=18.2&weight_unit=kg'
    """
    dropped = {*_NOT_COMPARED, "second"}
    return urlencode({name: text for name, text in form.items() if text and name not in dropped})


def _entered(form: Mapping[str, str]) -> dict[str, str]:
    """Fields that were filled, each number with the unit beside it."""
    return {
        name: f"{text.strip()} {form.get(f'{name}_unit') or _shared_unit(form, name)}".strip()
        for name, text in form.items()
        if text.strip()
        and name not in _NOT_COMPARED
        and not name.startswith("confirm_")
        and not name.endswith("_unit")
    }


def _shared_unit(form: Mapping[str, str], name: str) -> str:
    """Unit of a column of levels."""
    part = name.rpartition("_")[0]
    return form.get(f"{part}_unit", "") if part in ("time", "conc") else ""


def _plain(text: str) -> str:
    """Spell a text so that the same number is the same text: 18,20 kg and 18.2 kg."""
    try:
        number, unit = parse_number(pointed(text), "")
    except InputError:
        return " ".join(text.lower().split())
    return f"{number!r} {unit.lower()}"
