"""Courses with levels of many patients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError
from fludapk.patients.columns import Layout, few
from fludapk.patients.nonmem import by_course, request_of_records
from fludapk.patients.request import Request
from fludapk.pk.estimates import Levels
from fludapk.units import CONC_COLUMNS, parse_quantity

# ------------------------------------------------------------------ the data


@dataclass(frozen=True, eq=False)
class Subject:
    """A course with its levels."""

    id: str
    row: int
    """Of the first record, as a spreadsheet counts."""
    request: Request
    levels: Levels
    """One row; after the first dose."""
    before_first_dose: int
    """Records below the limit of quantification at or before the first dose, which say nothing."""

    @property
    def times_h(self) -> F8:
        """(m,) Of the levels, from the start of the first infusion."""
        return np.asarray(self.levels.times_h[0])

    @property
    def conc_mg_l(self) -> F8:
        """(m,) NaN below the limit of quantification."""
        return np.asarray(self.levels.conc_mg_l[0])

    @cached_property
    def occasions(self) -> npt.NDArray[np.int64]:
        """(m,) Place of the dose before each level."""
        return np.asarray(np.searchsorted(self._starts_h, self.times_h, side="left") - 1)

    @property
    def after_dose_h(self) -> F8:
        """(m,) Time of each level after the dose before it."""
        return np.asarray(self.times_h - self._starts_h[self.occasions])

    @cached_property
    def _starts_h(self) -> F8:
        return np.array(self.request.case().course.times_h)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A course that cannot be used, and why."""

    id: str
    row: int
    error: str


@dataclass(frozen=True, eq=False)
class Data:
    """What a file of records holds."""

    subjects: list[Subject]
    refused: list[Refused]
    sha256: str


def read_subjects(
    layout: Layout,
    rows: Iterable[Sequence[str]],
    *,
    unit: str | None = None,
    lloq: str | None = None,
    amount: str | None = None,
    sha256: str = "",
) -> Data:
    """Read courses with levels from NONMEM-style records.

    Parameters
    ----------
    layout : Layout
    rows : iterable of rows
    unit : str, optional
        Of DV and LLOQ; needed unless the levels are in a column such as conc_mg_l.
    lloq : str, optional
        Limit of quantification with unit, for levels marked as below it without one.
    amount : {'phosphate', 'f_ara_a'}, optional
        What AMT is mg of.
    sha256 : str
        Of the file.

    Returns
    -------
    Data
        Courses in order; one that cannot be read is in `Data.refused`.

    Raises
    ------
    InputError
        If the file as a whole cannot be understood.

    Examples
    --------
    >>> head = "ID TIME AMT RATE EVID MDV DV AGE WT HT EGFR".split()
    >>> dose = "1 0 24 48 1 1 . 6 20 118 110".split()
    >>> level = "1 2 0 0 0 0 600 6 20 118 110".split()
    >>> data = read_subjects(Layout.read(head), [dose, level], unit="ng/mL", amount="phosphate")
    >>> data.subjects[0].conc_mg_l
    array([0.6])
    """
    column, factor = _levels_column(layout, unit)
    limit = None
    if lloq is not None:
        limit = parse_quantity(lloq, dimension="concentration", field="lloq_mg_l", unit=None).value
    subjects: list[Subject] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    row = 2
    for name, records in by_course(layout, rows):
        try:
            if name in seen:
                raise InputError(
                    f"ID {name!r} comes again after another ID: put its records together, and give "
                    "each course an ID of its own"
                )
            request = request_of_records(layout, records, amount)
            request.case()
            levels, before = _levels(layout, records, column, factor, limit)
            subjects.append(Subject(name, row, request, levels, before))
        except InputError as error:
            refused.append(Refused(id=name, row=row, error="; ".join(error.sentences(layout.name))))
        seen.add(name)
        row += len(records)
    if not subjects and not refused:
        raise InputError("the file has no records below its header")
    return Data(subjects, refused, sha256)


def _levels_column(layout: Layout, unit: str | None) -> tuple[str, float]:
    """Which column the levels are in, and what makes mg/L of them."""
    if not layout.is_events:
        raise InputError(
            "needs NONMEM-style records: ID, TIME, AMT, RATE, EVID, MDV, DV and covariates; there "
            f"are {few(layout.header)}"
        )
    named = [name for name in CONC_COLUMNS if name.upper() in layout.places]
    if "DV" in layout.places:
        named.append("DV")
    if len(named) != 1:
        raise InputError(
            f"levels are in one column, DV or one of {', '.join(CONC_COLUMNS)}; there are "
            f"{few(named) if named else few(layout.header)}"
        )
    (name,) = named
    if name == "DV":
        if unit is None:
            found = "DV has no unit: say {dv_unit} mg/L, ng/mL, ug/L or umol/L"
            raise InputError(Fault("dv_unit", found, whole=True))
    elif unit is None:
        unit = CONC_COLUMNS[name]
    else:
        found = f"{name} says its unit: leave out {{dv_unit}} {unit}"
        raise InputError(Fault("dv_unit", found, whole=True))
    one = parse_quantity(f"1 {unit}", dimension="concentration", field="dv_unit", unit=None)
    return name.upper(), one.value


def _levels(
    layout: Layout,
    records: Sequence[Sequence[str]],
    column: str,
    factor: float,
    limit: float | None,
) -> tuple[Levels, int]:
    """Levels of one course, and how many before it say nothing."""
    number = layout.number
    clock = min(number(cells, "TIME") for cells in records if number(cells, "EVID") == 1)
    found: list[tuple[float, float, float]] = []
    faults: list[Fault] = []
    before = 0
    for cells in records:
        if number(cells, "EVID") != 0 or number(cells, "MDV") != 0:
            continue
        try:
            time = number(cells, "TIME", absent=None) - clock
            flags = [number(cells, flag) for flag in ("BLQ", "CENS")]
            if set(flags) - {0.0, 1.0}:
                raise InputError("BLQ or CENS is 1 below the limit of quantification, 0 above")
            conc = number(cells, column, absent=math.nan) * factor
            of_level = number(cells, "LLOQ", absent=math.nan) * factor
            if math.isnan(of_level) and limit is not None:
                of_level = limit
            below = any(flags)
            if below:
                if math.isnan(of_level) and flags[1]:  # as CENS is used, DV is the limit
                    of_level = conc
                if math.isnan(of_level):
                    why = "below which limit? Add a column LLOQ, or give {lloq_mg_l}"
                    raise InputError(Fault("lloq_mg_l", why, whole=True))
                conc = math.nan
            elif math.isnan(conc):
                raise InputError(f"{column} is missing: MDV 1 marks a record without level")
            elif time > 0 and conc <= 0:
                raise InputError(
                    f"{column} = {conc / factor:g}: BLQ 1 marks a level below the limit of "
                    "quantification, MDV 1 a record without level"
                )
            if time > 0:
                found.append((time, conc, of_level))
            elif below or conc == 0:
                before += 1
            else:
                raise InputError(f"{conc / factor:g} before any drug was given")
        except InputError as error:
            at = number(cells, "TIME", absent=math.nan)
            faults += error.at(where=f"level at TIME {at:g}").faults
    if not found and not faults:
        faults.append(Fault("", "no level after the first dose (EVID 0, MDV 0)"))
    if faults:
        raise InputError(*faults)
    times, measured, limits = np.array(found).T
    return Levels(times_h=times, conc_mg_l=measured, lloq_mg_l=limits), before
