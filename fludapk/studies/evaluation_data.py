"""Courses of many patients with their measured levels, read from records."""

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
    """Row of the first record in a spreadsheet: the header is row 1."""
    request: Request
    levels: Levels
    """Levels after the first dose, in one row."""
    before_first_dose: int
    """Number of records at or before the first dose, without measurable drug; they are not used."""

    @property
    def times_h(self) -> F8:
        """(m,) Times of the levels after the start of the first infusion, h."""
        return np.asarray(self.levels.times_h[0])

    @property
    def conc_mg_l(self) -> F8:
        """(m,) mg/L; NaN below the limit of quantification."""
        return np.asarray(self.levels.conc_mg_l[0])

    @cached_property
    def occasions(self) -> npt.NDArray[np.int64]:
        """(m,) Index of the dose before each level."""
        return np.asarray(np.searchsorted(self._starts_h, self.times_h, side="left") - 1)

    @property
    def after_dose_h(self) -> F8:
        """(m,) Time of each level after the dose before it, h."""
        return np.asarray(self.times_h - self._starts_h[self.occasions])

    @cached_property
    def _starts_h(self) -> F8:
        return np.array(self.request.case().course.times_h)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A course that cannot be used, and why."""

    id: str
    row: int
    """Row of its first record, as in `Subject`."""
    error: str


@dataclass(frozen=True, eq=False)
class Data:
    """Courses of a file of records."""

    subjects: list[Subject]
    refused: list[Refused]
    sha256: str
    """Hash of the file."""


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
        Columns of the records.
    rows : iterable of sequence of str
        Cells of each record, without the header.
    unit : str, optional
        Unit of DV and LLOQ; needed unless the levels are in a column such as conc_mg_l.
    lloq : str, optional
        Limit of quantification with unit, for levels marked as below it without one.
    amount : {'phosphate', 'f_ara_a'}, optional
        Substance that AMT is mg of.
    sha256 : str
        Hash of the file.

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
    earlier_ids: set[str] = set()
    row = 2
    for name, records in by_course(layout, rows):
        try:
            if name in earlier_ids:
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
        earlier_ids.add(name)
        row += len(records)
    if not subjects and not refused:
        raise InputError("the file has no records below its header")
    return Data(subjects, refused, sha256)


def _levels_column(layout: Layout, unit: str | None) -> tuple[str, float]:
    """Return the name of the column of levels and the factor that converts them to mg/L."""
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
            message = "DV has no unit: say {dv_unit} mg/L, ng/mL, ug/L or umol/L"
            raise InputError(Fault("dv_unit", message, whole=True))
    elif unit is None:
        unit = CONC_COLUMNS[name]
    else:
        message = f"{name} says its unit: leave out {{dv_unit}} {unit}"
        raise InputError(Fault("dv_unit", message, whole=True))
    unit_mg_l = parse_quantity(f"1 {unit}", dimension="concentration", field="dv_unit", unit=None)
    return name.upper(), unit_mg_l.value


def _levels(
    layout: Layout,
    records: Sequence[Sequence[str]],
    column: str,
    factor: float,
    limit: float | None,
) -> tuple[Levels, int]:
    """Read the levels of one course, and count the unused records before it."""
    number = layout.number
    start = min(number(cells, "TIME") for cells in records if number(cells, "EVID") == 1)
    samples: list[tuple[float, float, float]] = []
    faults: list[Fault] = []
    n_before = 0
    for cells in records:
        if number(cells, "EVID") != 0 or number(cells, "MDV") != 0:
            continue
        try:
            time = number(cells, "TIME", absent=None) - start
            flags = [number(cells, flag) for flag in ("BLQ", "CENS")]
            if set(flags) - {0.0, 1.0}:
                raise InputError("BLQ or CENS is 1 below the limit of quantification, 0 above")
            conc = number(cells, column, absent=math.nan) * factor
            lloq = number(cells, "LLOQ", absent=math.nan) * factor
            if math.isnan(lloq) and limit is not None:
                lloq = limit
            below = any(flags)
            if below:
                if math.isnan(lloq) and flags[1]:  # with CENS, DV holds the limit by convention
                    lloq = conc
                if math.isnan(lloq):
                    message = "below which limit? Add a column LLOQ, or give {lloq_mg_l}"
                    raise InputError(Fault("lloq_mg_l", message, whole=True))
                conc = math.nan
            elif math.isnan(conc):
                raise InputError(f"{column} is missing: MDV 1 marks a record without level")
            elif time > 0 and conc <= 0:
                raise InputError(
                    f"{column} = {conc / factor:g}: BLQ 1 marks a level below the limit of "
                    "quantification, MDV 1 a record without level"
                )
            if time > 0:
                samples.append((time, conc, lloq))
            elif below or conc == 0:
                n_before += 1
            else:
                raise InputError(f"{conc / factor:g} before any drug was given")
        except InputError as error:
            time = number(cells, "TIME", absent=math.nan)
            faults += error.at(where=f"level at TIME {time:g}").faults
    if not samples and not faults:
        faults.append(Fault("", "no level after the first dose (EVID 0, MDV 0)"))
    if faults:
        raise InputError(*faults)
    times, measured, limits = np.array(samples).T
    return Levels(times_h=times, conc_mg_l=measured, lloq_mg_l=limits), n_before
