"""Columns of lists: what a header means, and how a row is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from fludapk.errors import InputError, nearest
from fludapk.patients.csv_list import CsvList, open_list
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.published.models import DEFAULT_MODEL
from fludapk.units import CONC_COLUMNS, parse_number, parse_quantity

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "id": ("id", ""),
    "sex": ("sex", ""),
    "sexf": ("sexf", ""),
    "age": ("age", ""),
    "age_years": ("age", "years"),
    "age_months": ("age", "months"),
    "age_weeks": ("age", "weeks"),
    "age_days": ("age", "days"),
    "weight": ("weight", ""),
    "weight_kg": ("weight", "kg"),
    "weight_g": ("weight", "g"),
    "weight_lb": ("weight", "lb"),
    "height": ("height", ""),
    "height_cm": ("height", "cm"),
    "height_m": ("height", "m"),
    "height_mm": ("height", "mm"),
    "height_in": ("height", "in"),
    "height_ft": ("height", "ft"),
    "scr": ("scr", ""),
    "scr_mg_dl": ("scr", "mg/dL"),
    "scr_umol_l": ("scr", "umol/L"),
    "egfr": ("egfr", ""),
    "egfr_ml_min_1_73m2": ("egfr", "mL/min/1.73 m2"),
    "crcl": ("crcl", ""),
    "crcl_ml_min": ("crcl", "mL/min"),
    "crcl_ml_s": ("crcl", "mL/s"),
    "crcl_l_h": ("crcl", "L/h"),
    "product": ("product", ""),
    "diagnosis": ("diagnosis", ""),
    "genotype": ("genotype", ""),
    "bsa_formula": ("bsa_formula", ""),
    "egfr_formula": ("egfr_formula", ""),
    "regimen": ("regimen", ""),
    "dose": ("dose", ""),
    "dose_mg_m2": ("dose", "mg/m2"),
    "dose_mg_kg": ("dose", "mg/kg"),
    "dose_mg_per_infusion": ("dose", "mg"),
    "days": ("days", ""),
    "interval_h": ("interval", "h"),
    "infusion_time_h": ("infusion_time", "h"),
    "infusion_time_min": ("infusion_time", "min"),
    "cells_at_h": ("cells_at", "h"),
    "round_to_mg": ("round_to", "mg"),
    "model": ("model", ""),
}
"""Name of a column -> what it is, and the unit of its numbers. Without a unit here each cell has
its own, or the default of the command line; creatinine has no default."""

ALIASES: Final = {
    "wt": "weight_kg",
    "ht": "height_cm",
    "bw": "weight_kg",
    "creatinine_mg_dl": "scr_mg_dl",
    "creatinine_umol_l": "scr_umol_l",
    "gfr": "egfr",
    "infusion_h": "infusion_time_h",
}
"""Other names of columns, as exports have them; AGE is in years, SCR needs a unit in each cell."""

EVENTS: Final = {"TIME", "AMT", "RATE", "EVID", "MDV"}
"""Columns of NONMEM-style records."""
RECORDED: Final = EVENTS | {
    "CMT", "DV", "BSA", "ADDL", "II", "SS", "DOSE_MG", "OCC", "EGFR_MODEL", "CRCL_MODEL",
    "BLQ", "CENS", "LLOQ", *map(str.upper, CONC_COLUMNS),
}  # fmt: skip
IGNORED: Final = "-"
"""`--map COLUMN=-`: the column is kept but not read."""

_RENAL: Final = ("scr", "egfr", "crcl")
_COURSE: Final = ("regimen", "dose", "days", "interval", "infusion_time", "cells_at")
_DOSING: Final = ("regimen", "dose", "days", "interval")
_OF_PATIENT: Final = (
    "age", "weight", "height", "sex", *_RENAL,
    "product", "diagnosis", "genotype", "bsa_formula", "egfr_formula",
)  # fmt: skip
_OWN_OF_RECORDS: Final = ("dose", "days", "interval", "infusion_time", "round_to")
"""What records say themselves."""


# ------------------------------------------------------------------ what the columns mean


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a list are.

    Parameters
    ----------
    header : tuple of str
    meaning : mapping of int to (field, unit)
        By the place of a column.
    defaults : mapping of str to str
        For cells that are empty or columns that are not there.
    decimal_comma : bool
    is_events : bool
        Whether the rows are NONMEM-style records, several to a course.
    """

    header: tuple[str, ...]
    meaning: Mapping[int, tuple[str, str]]
    defaults: Mapping[str, str] = field(default_factory=dict)
    decimal_comma: bool = False
    is_events: bool = False

    @classmethod
    def read(
        cls,
        header: Sequence[str],
        *,
        names: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        decimal_comma: bool = False,
    ) -> Layout:
        """Understand a header.

        Parameters
        ----------
        header : sequence of str
        names : mapping of str to str, optional
            Column -> its name in `COLUMNS`, or "-" for a column that is not to be read.
        defaults : mapping of str to str, optional
            Fields of all rows.
        decimal_comma : bool

        Raises
        ------
        InputError
            If a needed column is missing, two columns are the same thing, or a name is unknown.

        Examples
        --------
        >>> layout = Layout.read(["ID", "AGE", "WT", "HT", "scr_mg_dl", "regimen", "ward"])
        >>> layout.meaning[2], layout.unused
        (('weight', 'kg'), ['ward'])
        """
        asked = dict(names or {})
        is_events = {"TIME", "AMT", "EVID"} <= {name.strip().upper() for name in header}
        faults, meaning = [], {}
        for column, name in asked.items():
            if column not in header:
                faults.append(f"--map {column}={name}: no such column; there are {few(header)}")
            if name != IGNORED and known_column(name) is None:
                faults.append(f"--map {column}={name}: {nearest(name, list(COLUMNS))}")
        for place, column in enumerate(header):
            known = (
                None if asked.get(column) == IGNORED else known_column(asked.get(column, column))
            )
            is_of_records = is_events and (
                column.strip().upper() in RECORDED or (known and known[0] in _OWN_OF_RECORDS)
            )
            if known is not None and not is_of_records:
                meaning[place] = known
        by_field: dict[str, list[str]] = {}
        for place, (what, _) in meaning.items():
            by_field.setdefault("sex" if what == "sexf" else what, []).append(header[place])
        for what, columns in by_field.items():
            if len(columns) > 1:
                faults.append(
                    f"columns {few(columns)} are all {what}: "
                    + (
                        f"leave one out by --map {columns[-1]}={IGNORED}"
                        if len(set(columns)) == len(columns)
                        else "give each a name of its own"
                    )
                )
        given = {**dict.fromkeys(by_field), **(defaults or {})}
        lacking = [what for what in ("age", "weight", "height") if what not in given]
        if not any(what in given for what in _RENAL):
            lacking.append("a renal function (scr_mg_dl, scr_umol_l, egfr or crcl)")
        if is_events:
            if "id" not in given:
                lacking.append("ID: records are of one course per ID")
            own = [what for what in _OWN_OF_RECORDS if what in (defaults or {})]
            if own:
                options = " and ".join(f"--{what.replace('_', '-')}" for what in own)
                faults.append(f"leave out {options}: records say what was given")
        elif "regimen" not in given and "dose" not in given:
            lacking.append("a course (regimen, or dose and days; or --regimen for all rows)")
        if lacking:
            faults.append(
                f"no column for {', '.join(lacking)}; there are {few(header)}. Rename a column, or "
                "say what it is by --map COLUMN=NAME"
            )
        if faults:
            raise InputError(*faults)
        return cls(
            header=tuple(header),
            meaning=meaning,
            defaults=dict(defaults or {}),
            decimal_comma=decimal_comma,
            is_events=is_events,
        )

    @property
    def unused(self) -> list[str]:
        """Columns that are kept but not understood."""
        return [
            column
            for place, column in enumerate(self.header)
            if place not in self.meaning
            and not (self.is_events and column.strip().upper() in RECORDED)
        ]

    def id_of(self, cells: Sequence[str]) -> str:
        """The ID of a row, if there is one."""
        place = self._id_place
        return cells[place].strip() if place is not None and place < len(cells) else ""

    @cached_property
    def _id_place(self) -> int | None:
        return next((place for place, (what, _) in self.meaning.items() if what == "id"), None)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where the column of each name, in capitals, is."""
        return {name.strip().upper(): place for place, name in enumerate(self.header)}

    def number(self, cells: Sequence[str], column: str, absent: float | None = 0.0) -> float:
        """A number of a record; `absent` where there is none.

        Raises
        ------
        InputError
            If it is no number, or is missing and `absent` is None.
        """
        place = self.places.get(column)
        cell = "" if place is None else cells[place].strip()
        if cell in ("", "."):
            if absent is None:
                raise InputError(f"{column} is missing")
            return absent
        value, rest = parse_number(_point(cell, column) if self.decimal_comma else cell, column)
        if rest:
            raise InputError(f"{column} = {cell!r} is not a number")
        return value

    def texts(self, cells: Sequence[str]) -> dict[str, str]:
        """What a row says of each field, with the unit of its column."""
        own: dict[str, str] = {}
        for place, (what, unit) in self.meaning.items():
            cell = cells[place].strip()
            if cell in ("", "."):
                continue
            if self.decimal_comma:
                cell = _point(cell, self.header[place])
            own[what] = cell if cell.endswith(unit) else f"{cell} {unit}"
        said = dict(self.defaults)
        if "regimen" in own or "dose" in own:  # a course of the row, whole
            said = {name: text for name, text in said.items() if name not in _DOSING}
        return {**said, **own}


def opened(
    path: str | Path, pairs: Sequence[str], defaults: Mapping[str, str | None]
) -> tuple[CsvList, Layout]:
    """Open a list and understand its header.

    Parameters
    ----------
    path : str or Path
    pairs : sequence of str
        What columns are, see `names_of`.
    defaults : mapping of str to str
        Fields for rows that do not say; None for those nobody gave.

    Raises
    ------
    InputError
        If the file cannot be read, or its columns not be understood.
    """
    names = names_of(pairs)
    source = open_list(path, lambda column: is_column(names.get(column, column)))
    layout = Layout.read(
        source.header,
        names=names,
        defaults={name: text for name, text in defaults.items() if text is not None},
        decimal_comma=source.decimal_comma,
    )
    return source, layout


def names_of(pairs: Sequence[str]) -> dict[str, str]:
    """Column -> name, of pairs as typed.

    Examples
    --------
    >>> names_of(["KREA=scr_umol_l", "a=b=-"])
    {'KREA': 'scr_umol_l', 'a=b': '-'}
    """
    wrong = [f"--map {pair}: write COLUMN=NAME" for pair in pairs if "=" not in pair]
    if wrong:
        raise InputError(*wrong)
    return {column: name for column, _, name in (pair.rpartition("=") for pair in pairs)}


def is_column(name: str) -> bool:
    """Whether a column of this name is understood.

    Examples
    --------
    >>> is_column("WT"), is_column("ward")
    (True, False)
    """
    return known_column(name) is not None or name.strip().upper() in EVENTS


def known_column(name: str) -> tuple[str, str] | None:
    """Field and unit of a column of this name, or None."""
    key = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    return COLUMNS.get(ALIASES.get(key, key))


def few(names: Sequence[str], most: int = 12) -> str:
    """Some names, and how many more there are.

    Examples
    --------
    >>> few(["ward", "bed", "note"], most=2)
    "'ward', 'bed' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _point(cell: str, name: str) -> str:
    """A number with a decimal comma, written with a point.

    Raises
    ------
    InputError
        If a point in it may separate thousands.

    Examples
    --------
    >>> _point("18,2", "weight_kg"), _point("0,3 mg/dL", "scr")
    ('18.2', '0.3 mg/dL')
    """
    if re.match(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(?!\d)", cell):
        raise InputError(
            f"{name} = {cell!r}: thousands or decimals? Other cells have decimal commas: write the "
            "number without separator of thousands"
        )
    return re.sub(r"^([+-]?\d*),(\d+)(?=$|\s|[a-zA-Zµμ])", r"\1.\2", cell)


# ------------------------------------------------------------------ rows to requests


def request_of(layout: Layout, cells: Sequence[str]) -> Request:
    """Read a row.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> layout = Layout.read(["age", "WT", "HT", "scr_mg_dl", "regimen"])
    >>> request_of(layout, ["5", "18.2", "110", "0.3", "tisa_cel_ball"]).patient.weight_kg
    18.2
    """
    if not any(cell.strip() for cell in cells):
        raise InputError("the row is empty")
    if len(cells) != len(layout.header):
        raise InputError(wrong_length(cells, len(layout.header)))
    said = layout.texts(cells)
    faults: list[str] = []
    patient = regimen = step = None
    try:
        patient = patient_of(said)
    except InputError as error:
        faults.extend(error.faults)
    try:
        regimen = _regimen(tuple((name, said[name]) for name in _COURSE if name in said))
    except InputError as error:
        faults.extend(error.faults)
    try:
        step = _mass(said.get("round_to"))
    except InputError as error:
        faults.extend(error.faults)
    if patient is None or regimen is None or faults:
        raise InputError(*faults)
    return Request(
        patient=patient,
        regimen=regimen,
        model=said.get("model", DEFAULT_MODEL),
        round_to_mg=step,
    )


def wrong_length(cells: Sequence[str], expected: int) -> str:
    """Fault of a row that has more or fewer cells than the header."""
    extra = ", ".join(repr(cell) for cell in cells[expected:])
    return f"{len(cells)} cells, but the header has {expected}" + (
        f"; beyond it: {extra}" if extra else ""
    )


def patient_of(said: Mapping[str, str]) -> Patient:
    """Patient of a row."""
    asked = {name: said[name] for name in _OF_PATIENT if name in said}
    if "sexf" in said:
        code = {"1": "female", "0": "male"}.get(said["sexf"])
        if code is None:
            raise InputError(f"SEXF = {said['sexf']!r}: 1 is female, 0 is male")
        asked["sex"] = code
    if asked.get("sex") in ("0", "1", "2"):
        raise InputError(
            f"sex = {asked['sex']!r} is a code we do not know: write female or male, or call the "
            "column SEXF if 1 is female and 0 is male"
        )
    return Patient.from_text(**asked)


@lru_cache(maxsize=256)
def _regimen(said: tuple[tuple[str, str], ...]) -> Regimen:
    return Regimen.from_text(**dict(said))


def _mass(text: str | None) -> float | None:
    if text is None:
        return None
    return parse_quantity(text, dimension="mass", name="round_to", bare="mg").value
