"""Names of columns: what each may be called, and what cells without a value look like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.fields import COURSE, FIELDS, PATIENT
from fludapk.patients.header_words import meaning_of, plain
from fludapk.patients.record_names import is_telling
from fludapk.patients.sex_codes import SEX_COLUMNS

_LISTED: Final = (*PATIENT, *COURSE, "round_to_mg", "model")
"""Fields that have columns in lists."""

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "id": ("id", ""),
    "sexf": ("sexf", ""),
    "sexm": ("sexm", ""),
    **{
        f"{what}{order and '_'}{order}": (what, order)
        for what in ("date_of_birth", "course_date")
        for order in ("", "dmy", "mdy")
    },
    **{
        column: (FIELDS[key].name, unit)
        for key in _LISTED
        for column, unit in FIELDS[key].list_columns.items()
        if column != "dose_mg"  # of records: the dose of each of them
    },
}
"""Name of a column -> name of its field, and the unit of its numbers. Without a unit here each cell
has its own, or the default of the field; creatinine has no default."""

ALIASES: Final = {
    "wt": "weight_kg",
    "ht": "height_cm",
    "bw": "weight_kg",
    "creatinine_mg_dl": "scr_mg_dl",
    "creatinine_umol_l": "scr_umol_l",
    "gfr": "egfr",
    "infusion_h": "infusion_time_h",
    "female": "sexf",
    "male": "sexm",
}
"""Other names of columns, as exports have them; AGE is in years, SCR needs a unit in each cell.
Names in other languages and headers with units are in `fludapk.patients.header_words`."""
MISSING: Final = frozenset(
    {"", ".", "na", "n/a", "nan", "null", "none", "#n/a", "<na>", "nat", "#null!"}
)
"""Cells without a value, in small letters: of NONMEM, R, pandas, SQL and spreadsheets."""
_LONGEST_MISSING: Final = max(map(len, MISSING))

IGNORED: Final = "-"
"""`--map COLUMN=-`: the column is kept but not read."""

DATES: Final = ("date_of_birth", "course_date")
NO_FIELDS: Final = ("id", *SEX_COLUMNS, *DATES)
"""Meanings of columns beside the typed fields."""


def names_of(pairs: Sequence[str]) -> dict[str, str]:
    """Column -> name, of pairs as typed.

    Examples
    --------
    >>> names_of(["KREA=scr_umol_l", "a=b=-"])
    {'KREA': 'scr_umol_l', 'a=b': '-'}
    """
    wrong = [Fault("names", pair, do=tr("write COLUMN=NAME")) for pair in pairs if "=" not in pair]
    names: dict[str, str] = {}
    for pair in pairs:
        column, _, name = pair.rpartition("=")
        if names.setdefault(column, name) != name:
            wrong.append(Fault("names", pair, do=_once(names[column])))
    if wrong:
        raise InputError(*wrong)
    return names


def _once(other: str) -> str:
    return tr("it is {other} as well: say one of them", other=other)


def values_of(typed: Sequence[str]) -> dict[str, dict[str, str]]:
    """Column -> code -> meaning, of texts as typed.

    Examples
    --------
    >>> values_of(["SEX:1=male,2=female"])
    {'SEX': {'1': 'male', '2': 'female'}}
    """
    values: dict[str, dict[str, str]] = {}
    faults = []
    for text in typed:
        column, _, code = text.partition("=")[0].rpartition(":")
        pairs = text.removeprefix(f"{column}:").split(",")
        if not column or not code or not all("=" in pair for pair in pairs):
            faults.append(Fault("values", f"{text}", do=tr("write COLUMN:CODE=VALUE,CODE=VALUE")))
            continue
        meanings = values.setdefault(column, {})
        for code, _, value in (pair.partition("=") for pair in pairs):
            other = meanings.setdefault(code.strip(), value.strip())
            if other != value.strip():
                faults.append(Fault("values", f"{text}", do=_once(other)))
    if faults:
        raise InputError(*faults)
    return values


def is_column(name: str) -> bool:
    """Tell a column that is understood by its name.

    Examples
    --------
    >>> is_column("WT"), is_column("ward")
    (True, False)
    """
    return known_column(name) is not None or is_telling(name)


def known_column(name: str) -> tuple[str, str] | None:
    """Field and unit of a column of this name, or None."""
    key = plain(name)
    return COLUMNS.get(ALIASES.get(key, key)) or meaning_of(name)


def is_own_name(name: str) -> bool:
    """Tell a name of `COLUMNS` or `ALIASES`, which needs no translation."""
    key = plain(name)
    return key in COLUMNS or key in ALIASES


def few(names: Sequence[str], most: int = 12) -> str:
    """Some names, and how many more there are.

    Examples
    --------
    >>> few(["ward", "bed", "note"], most=2)
    "'ward', 'bed' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    if len(names) <= most:
        return shown
    return tr("{names} and {n} more", names=shown, n=len(names) - most)


def is_missing(cell: str) -> bool:
    """Tell a cell without a value.

    Examples
    --------
    >>> is_missing(" "), is_missing("NA"), is_missing("0")
    (True, True, False)
    """
    text = cell.strip()
    return len(text) <= _LONGEST_MISSING and text.lower() in MISSING


def with_point(cell: str, name: str) -> str:
    """Write a number with a point instead of its decimal comma.

    Raises
    ------
    InputError
        If a point in it may separate thousands.

    Examples
    --------
    >>> with_point("18,2", "weight_kg"), with_point("0,3 mg/dL", "scr")
    ('18.2', '0.3 mg/dL')
    """
    if "." in cell and re.match(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(?!\d)", cell):
        do = tr("write the number without separator of thousands")
        found = tr("= {typed!r}: thousands or decimals? Other cells have decimal commas",
                   typed=cell)  # fmt: skip
        raise InputError(Fault(name, found, do=do))
    if "," not in cell:
        return cell
    return re.sub(r"^([+-]?\d*),(\d+)(?=$|\s|[a-zA-Zµμ])", r"\1.\2", cell)
