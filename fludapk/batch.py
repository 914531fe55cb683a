"""Lists of patients: a row of text in, a row of results out, in the same place.

What the columns of a list mean is decided once, by `Layout`; a row is then read by the same code
as one typed patient. A row that cannot be computed says why and never stops the others.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import os
import re
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final, TypeAlias

from fludapk.checking import (
    LOG2_POINTS,
    CheckResult,
    ExposureRecord,
    PatientRecord,
    Provenance,
    RegimenRecord,
    Request,
    checks,
)
from fludapk.errors import FludapkError, InputError, nearest
from fludapk.patient import Patient
from fludapk.published.models import DEFAULT_MODEL, load_model, load_models
from fludapk.published.targets import Flag, targets
from fludapk.regimen import GIVEN_DAY_H, Course, Regimen
from fludapk.tables import CsvList, Value, line, open_list
from fludapk.units import CONC_COLUMNS, parse_number, parse_quantity

Record: TypeAlias = dict[str, Value]

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
_RECORDED: Final = EVENTS | {
    "CMT", "DV", "BSA", "ADDL", "II", "SS", "DOSE_MG", "OCC", "EGFR_MODEL", "CRCL_MODEL",
    "BLQ", "CENS", "LLOQ", *map(str.upper, CONC_COLUMNS),
}  # fmt: skip

SMALL: Final = 1000
"""Up to so many rows each has as many points as a check, and one process does."""
_FEW_LOG2_POINTS: Final = 9

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
            if name != IGNORED and _known(name) is None:
                faults.append(f"--map {column}={name}: {nearest(name, list(COLUMNS))}")
        for place, column in enumerate(header):
            known = None if asked.get(column) == IGNORED else _known(asked.get(column, column))
            is_of_records = is_events and (
                column.strip().upper() in _RECORDED or (known and known[0] in _OWN_OF_RECORDS)
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
            and not (self.is_events and column.strip().upper() in _RECORDED)
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


def log2_points_of(rows: int) -> int:
    """How many points a row of a list has, unless one says.

    Examples
    --------
    >>> log2_points_of(10), log2_points_of(100_000)
    (13, 9)
    """
    return LOG2_POINTS if rows <= SMALL else _FEW_LOG2_POINTS


def is_column(name: str) -> bool:
    """Whether a column of this name is understood.

    Examples
    --------
    >>> is_column("WT"), is_column("ward")
    (True, False)
    """
    return _known(name) is not None or name.strip().upper() in EVENTS


def _known(name: str) -> tuple[str, str] | None:
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
        raise InputError(_wrong_length(cells, len(layout.header)))
    said = layout.texts(cells)
    faults: list[str] = []
    patient = regimen = step = None
    try:
        patient = _patient(said)
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


def _wrong_length(cells: Sequence[str], expected: int) -> str:
    extra = ", ".join(repr(cell) for cell in cells[expected:])
    return f"{len(cells)} cells, but the header has {expected}" + (
        f"; beyond it: {extra}" if extra else ""
    )


def _patient(said: Mapping[str, str]) -> Patient:
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


# ------------------------------------------------------------------ NONMEM-style records


def by_course(
    layout: Layout, rows: Iterable[Sequence[str]]
) -> Iterator[tuple[str, list[Sequence[str]]]]:
    """Records of one course together: neighbours with the same ID."""
    for name, together in itertools.groupby(rows, layout.id_of):
        yield name, list(together)


def survey(layout: Layout, rows: Iterable[Sequence[str]]) -> tuple[int, frozenset[str]]:
    """How many results a list will have, and which IDs of records come again after another."""
    if not layout.is_events:
        return sum(1 for _ in rows), frozenset()
    times = Counter(name for name, _ in itertools.groupby(rows, layout.id_of))
    return times.total(), frozenset(name for name, n in times.items() if n > 1)


def request_of_records(
    layout: Layout,
    records: Sequence[Sequence[str]],
    amount: str | None,
    folders: Sequence[Path] | None = None,
) -> Request:
    """Read the records of one course.

    Parameters
    ----------
    layout : Layout
    records : sequence of rows
    amount : {'phosphate', 'f_ara_a'}, optional
        What AMT is mg of; needed unless there is a column DOSE_MG (fludarabine phosphate).

    Raises
    ------
    InputError
        Listing every fault.
    """
    for k, cells in enumerate(records):
        if len(cells) != len(layout.header):
            where = f"record {k + 1}: "
            raise InputError(where + _wrong_length(cells, len(layout.header)))
    said = [layout.texts(cells) for cells in records]
    faults = [
        f"{name} changes within the course: one course has one set of covariates"
        for name in dict.fromkeys(name for row in said for name in row)
        if len({row[name] for row in said if name in row}) > 1
    ]

    number = layout.number
    doses: list[tuple[float, float, float]] = []
    substance = "phosphate" if "DOSE_MG" in layout.places else amount
    if substance is None:
        raise InputError(
            "is AMT mg of fludarabine phosphate or of F-ara-A (0.781 of that)? Say --amt phosphate "
            "or --amt f_ara_a"
        )
    for cells in records:
        event, size = number(cells, "EVID", absent=None), number(cells, "AMT")
        if event == 0 or event == 2:
            if size != 0:
                faults.append(f"EVID = {event:g} with AMT = {size:g}: a dose has EVID 1")
            continue
        faults += [
            f"{column} = {number(cells, column):g}: write each dose as a record of its own"
            for column in ("ADDL", "SS")
            if number(cells, column) != 0
        ]
        if event != 1:
            faults.append(f"EVID = {event:g}: only 0, 1 and 2 are read")
        rate, start = number(cells, "RATE"), number(cells, "TIME", absent=None)
        mg = number(cells, "DOSE_MG") if "DOSE_MG" in layout.places else size
        column, least = ("AMT", size) if size <= mg else ("DOSE_MG", mg)
        if least <= 0:
            faults.append(f"{column} = {least:g}: a dose in mg above zero")
        elif rate > 0:
            doses.append((start, size / rate, mg))
        else:
            faults.append(f"RATE = {rate:g}: fludarabine is infused, give mg/h above zero")
    if not doses and not faults:
        faults.append("no record with EVID 1: a course needs a dose")
    if faults:
        raise InputError(*dict.fromkeys(faults))
    first = {name: text for row in reversed(said) for name, text in row.items()}
    model = first.get("model", DEFAULT_MODEL)
    factor = load_model(model, folders).file.dose.factor if substance == "f_ara_a" else 1.0
    return _recorded(first, [(t, length, size / factor) for t, length, size in doses], model)


def _recorded(
    said: Mapping[str, str], doses: Sequence[tuple[float, float, float]], model: str
) -> Request:
    """A course as recorded: starts (h), lengths (h) and mg of fludarabine phosphate."""
    starts, lengths, mg = zip(*doses, strict=True)
    if any(later <= earlier for earlier, later in itertools.pairwise(starts)):
        raise InputError("TIME of the doses must ascend")
    course = Course(
        times_h=tuple(t - starts[0] for t in starts),
        infusion_h=lengths,
        doses_mg=mg,
        day_h=GIVEN_DAY_H,
    )
    of_all = Regimen.named(said["regimen"]) if "regimen" in said else None
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    regimen = Regimen(
        dose=course.doses_mg[0],
        unit="mg",
        days=len(doses),
        interval_h=min(gaps, default=24.0),
        infusion_h=min(lengths),
        cells_at_h=None if "cells_at" not in said else _hours(said["cells_at"]),
        id="records",
        title="course as recorded",
        product=of_all.product if of_all else None,
        disease=of_all.disease if of_all else None,
    )
    return Request(patient=_patient(said), regimen=regimen, model=model, course=course)


def _hours(text: str) -> float:
    return parse_quantity(text, dimension="time", name="cells_at", bare="h").value


# ------------------------------------------------------------------ results


def outcomes(
    requests: Sequence[Request | FludapkError],
    *,
    log2_points: int = LOG2_POINTS,
    folders: Sequence[Path] | None = None,
) -> Iterator[CheckResult | FludapkError]:
    """Check what could be read; what could not keeps its place."""
    readable = [request for request in requests if isinstance(request, Request)]
    checked = checks(readable, log2_points=log2_points, trails=False, folders=folders)
    for request in requests:
        yield next(checked) if isinstance(request, Request) else request


def result_columns(folders: Sequence[Path] | None = None) -> list[str]:
    """Names of the results, as in ``fludapk check --json``; the answer first."""
    names = ["error", "flag"]
    names += [
        name
        for part in fields(ExposureRecord)
        if part.name != "auc_per_dose"
        for name in _split(part.name)
    ]
    names += ["models_agree", "warnings"]
    for entry in targets().values():
        names += [f"{entry.id}_{what}" for what in _TARGET]
    names += [f"{model.id}_{what}" for model in load_models(folders) for what in _RIVAL]
    names += [part.name for part in fields(PatientRecord)]
    names += [_REGIMEN.get(part.name, part.name) for part in fields(RegimenRecord)]
    names += ["model", "label_rules_refusing", *(part.name for part in fields(Provenance))]
    return names


_TARGET: Final = ("status", "p_below", "p_within", "p_above", "applies")
_RIVAL: Final = ("applies", "auc_0_inf", "flag")
_REGIMEN: Final = {"id": "regimen", "title": "regimen_title"}


def _split(name: str) -> list[str]:
    return [f"{name}_low", f"{name}_high"] if name.endswith("_pi90") else [name]


def record_of(outcome: CheckResult | FludapkError) -> Record:
    """The scalar fields of a check by name, or the error.

    Examples
    --------
    >>> record_of(InputError("age is missing"))
    {'error': 'age is missing'}
    """
    if isinstance(outcome, FludapkError):
        return {"error": "; ".join(plain(fault) for fault in outcome.faults)}
    found: Record = {"error": None, "flag": outcome.flag, "models_agree": outcome.models_agree}
    found.update(_scalars(outcome.exposure))
    found["auc_0_inf_pi90_low"], found["auc_0_inf_pi90_high"] = outcome.exposure.auc_0_inf_pi90
    found["warnings"] = "; ".join(w.code for w in outcome.warnings if w.level == "caution")
    for target in outcome.targets:
        found.update({f"{target.id}_{what}": getattr(target, what) for what in _TARGET})
    for rival in outcome.sensitivity:
        found.update({f"{rival.model}_{what}": getattr(rival, what) for what in _RIVAL})
    found.update(_scalars(outcome.patient))
    found.update({_REGIMEN.get(k, k): v for k, v in _scalars(outcome.regimen).items()})
    found["doses_mg"] = " ".join(f"{dose:.12g}" for dose in outcome.regimen.doses_mg)
    found["times_h"] = " ".join(f"{time:.12g}" for time in outcome.regimen.times_h)
    found["model"] = outcome.model
    found["label_rules_refusing"] = "; ".join(r.id for r in outcome.label_rules if r.refused)
    found.update(_scalars(outcome.provenance))
    return found


def _scalars(record: Any) -> Record:
    return {k: v for k, v in vars(record).items() if not isinstance(v, list | tuple)}


def plain(fault: str) -> str:
    """A fault without the options of the command line.

    Examples
    --------
    >>> plain("age is missing: give --age")
    'age is missing'
    """
    return re.sub(r"--(?=[a-z])", "", re.sub(r": give --\w+$", "", fault))


def clear_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of the results that no column of the list has.

    Examples
    --------
    >>> clear_names(["flag", "model"], ["ID", "model"])
    ['flag', 'result_model']
    """
    used, clear = set(taken), []
    for name in names:
        while name in used:
            name = f"result_{name}"
        used.add(name)
        clear.append(name)
    return clear


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names told apart, for JSON.

    Examples
    --------
    >>> distinct_names(["note", "", "note", ""])
    ['note', '', 'note (2)', ' (2)']
    """
    taken, distinct = set(names), []
    times: Counter[str] = Counter()
    for name in names:
        times[name] += 1
        again = name
        while times[name] > 1 and again in taken:
            again = f"{name} ({times[name]})"
            times[name] += again in taken
        taken.add(again)
        distinct.append(again)
    return distinct


# ------------------------------------------------------------------ whole lists


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to compute and write a list."""

    layout: Layout
    delimiter: str = ","
    log2_points: int = LOG2_POINTS
    amount: str | None = None
    """What AMT of records is mg of."""
    again: frozenset[str] = frozenset()
    """IDs of records that come again after another ID."""
    folders: Sequence[Path] | None = None
    as_json: bool = False

    def header(self) -> str:
        """First line of the results."""
        return line([*self._kept.values(), *self._results.values()], self.delimiter)

    def text(self, row: int, cells: Sequence[str], record: Record) -> str:
        """A line of the results."""
        kept = [cells[place] if place < len(cells) else "" for place in self._kept]
        if not self.as_json:
            values = [*kept, *map(record.get, self._results)]
            return line(values, self.delimiter, decimal_comma=self.layout.decimal_comma)
        as_read = dict(zip(self._kept_names, kept, strict=True))
        known = {clear: record.get(name) for name, clear in self._results.items()}
        return json.dumps({"row": row, "input": as_read, **known}, allow_nan=False) + "\n"

    @cached_property
    def _kept(self) -> dict[int, str]:
        """Columns of the list that are kept, by place."""
        layout = self.layout
        return {
            place: name
            for place, name in enumerate(layout.header)
            if not (layout.is_events and name.strip().upper() in _RECORDED)
        }

    @cached_property
    def _kept_names(self) -> list[str]:
        return distinct_names(list(self._kept.values()))

    @cached_property
    def _results(self) -> dict[str, str]:
        """Names of the results, and what their columns are called beside those of the list."""
        names = result_columns(self.folders)
        taken = ["row", "input"] if self.as_json else list(self._kept.values())
        return dict(zip(names, clear_names(names, taken), strict=True))


@dataclass(frozen=True, slots=True)
class Done:
    """A computed row, as text and in short."""

    row: int
    """As a spreadsheet counts: the header is row 1."""
    text: str
    id: str
    error: str | None
    auc_0_inf: float
    """NaN if refused."""
    flag: Flag | None
    p_below: float
    """Of 13.8."""
    pi90: tuple[float, float]
    models_agree: bool
    dose_mg: float
    doses: int
    model: str
    model_sha256: str


Chunk: TypeAlias = list[tuple[int, list[Sequence[str]]]]
"""Row number and rows of each course."""


def compute(plan: Plan, chunk: Chunk) -> list[Done]:
    """Compute some courses."""
    layout = plan.layout
    requests: list[Request | FludapkError] = []
    for _, rows in chunk:
        try:
            if not layout.is_events:
                requests.append(request_of(layout, rows[0]))
            elif layout.id_of(rows[0]) in plan.again:
                raise InputError(
                    f"ID {layout.id_of(rows[0])!r} comes again after another ID: put the records "
                    "of a course together, and give each course an ID of its own"
                )
            else:
                requests.append(request_of_records(layout, rows, plan.amount, plan.folders))
        except InputError as error:
            requests.append(error)
    found = outcomes(requests, log2_points=plan.log2_points, folders=plan.folders)
    return [
        _done(plan, row, rows[0], outcome)
        for (row, rows), outcome in zip(chunk, found, strict=True)
    ]


def _done(plan: Plan, row: int, cells: Sequence[str], outcome: CheckResult | FludapkError) -> Done:
    record = record_of(outcome)
    text, name = plan.text(row, cells, record), plan.layout.id_of(cells)
    if isinstance(outcome, FludapkError):
        error = str(record["error"])
        nothing = (math.nan, None, math.nan, (math.nan, math.nan), True, math.nan, 0, "", "")
        return Done(row, text, name, error, *nothing)
    p_below = next(t.p_below for t in outcome.targets if t.id == "fabrizio2022")
    exposed = outcome.exposure
    return Done(
        row, text, name, None, exposed.auc_0_inf, outcome.flag, p_below,
        exposed.auc_0_inf_pi90, outcome.models_agree, outcome.regimen.doses_mg[0],
        len(outcome.regimen.doses_mg), outcome.model, outcome.provenance.model_sha256,
    )  # fmt: skip


def chunks(layout: Layout, rows: Iterable[Sequence[str]], size: int = 250) -> Iterator[Chunk]:
    """Courses of a list, some at a time."""
    if layout.is_events:
        row, chunk = 2, []
        for _, together in by_course(layout, rows):
            chunk.append((row, together))
            row += len(together)
            if len(chunk) == size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
        return
    numbered = ((row, [cells]) for row, cells in enumerate(rows, start=2))
    while chunk := list(itertools.islice(numbered, size)):
        yield chunk


def run(plan: Plan, parts: Iterable[Chunk], processes: int = 1) -> Generator[Done, None, None]:
    """Compute a list in order; with more processes, some chunks at a time.

    The results do not depend on `processes`.
    """
    parts = iter(parts)
    for part in parts if processes == 1 else itertools.islice(parts, 1):
        yield from compute(plan, part)  # the first compiles the kernels for all
    if processes == 1:
        return
    waiting: deque[Future[list[Done]]] = deque()
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent)
    try:
        for part in parts:
            with _without_interrupts():
                waiting.append(pool.submit(compute, plan, part))
            if len(waiting) > 2 * processes:  # so memory is bounded
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenExecutor as error:
        raise FludapkError(
            "a process of the list was ended from outside: out of memory?"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes begun here leave Ctrl-C to the one that began them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Arrange that this process does not outlive a command that was killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Tally:
    """What came of a list: counts, and the worst rows, lowest AUC first."""

    def __init__(self, keep: int = 500) -> None:
        self.rows = 0
        self.counts = {"below": 0, "borderline": 0, "met": 0, "refused": 0}
        self.disagree = 0
        self.models: dict[str, str] = {}
        """Hashes of the models that were used."""
        self.refused: list[Done] = []
        self._keep = keep
        self._worst: list[tuple[float, int, Done]] = []

    def add(self, done: Done) -> None:
        """Count a row."""
        self.rows += 1
        self.counts[done.flag or "refused"] += 1
        self.disagree += not done.models_agree
        if done.model:
            self.models[done.model] = done.model_sha256
        if done.error is not None:
            if len(self.refused) < self._keep:
                self.refused.append(done)
        else:
            item = (-done.auc_0_inf, -done.row, done)
            push = heapq.heappush if len(self._worst) < self._keep else heapq.heappushpop
            push(self._worst, item)

    @property
    def worst(self) -> list[Done]:
        """The lowest AUCs, lowest first."""
        return [done for *_, done in sorted(self._worst, key=lambda item: (-item[0], -item[1]))]
