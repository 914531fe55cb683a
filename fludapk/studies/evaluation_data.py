"""Courses of many patients with their measured levels, read from records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import tr
from fludapk.patients.columns import Layout, few
from fludapk.patients.level import repeated
from fludapk.patients.nonmem import Recorded, by_course, comes_again, recorded, substance_of
from fludapk.patients.record_faults import id_faults, list_faults
from fludapk.patients.record_levels import Assay, Sample
from fludapk.patients.records import FAR_APART_H, Records
from fludapk.patients.request import Request
from fludapk.pk.estimates import Levels

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
    without_level: int = 0
    """Number of records without level (MDV 1)."""
    set_aside: int = 0
    """Number of records that the file marks as not to be used."""
    clocks_may_change: bool = False
    """True if clocks may have changed between its records, and no time zone was given."""

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
    comments: int = 0
    """Number of rows that begin like a comment; they are not used."""


def read_subjects(
    layout: Layout,
    rows: Iterable[Sequence[str]],
    *,
    unit: str | None = None,
    lloq: str | None = None,
    amount: str | None = None,
    sha256: str = "",
    first_row: int = 2,
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
    first_row : int
        Row of the first record in a spreadsheet.

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
    if not layout.is_events:
        raise InputError(
            tr(
                "needs NONMEM-style records: ID, TIME, AMT, RATE, EVID, MDV, DV and covariates; "
                "there are {columns}",
                columns=few(layout.header),
            )
        )
    records = Records(layout)
    assay, _ = gathered(
        lambda: Assay.of(records, unit=unit, lloq=lloq), lambda: substance_of(records, amount)
    )
    rows = list(rows)
    comments = sum(records.is_comment(cells) and any(cells) for cells in rows)
    courses = list(by_course(layout, rows, first_row))
    if not courses:
        raise InputError(tr("the file has no records below its header"))
    every = (cells for _, _, together in courses for cells in together)
    faults = id_faults([name for _, name, _ in courses])
    faults += list_faults(records, every, with_levels=True)
    if faults:
        raise InputError(*faults)
    times = Counter(name for _, name, _ in courses)
    subjects: list[Subject] = []
    refused: list[Refused] = []
    for row, name, together in courses:
        try:
            if times[name] > 1:
                raise comes_again(name)
            subjects.append(_subject(row, name, recorded(layout, together, amount), assay))
        except InputError as error:
            refused.append(Refused(id=name, row=row, error="; ".join(error.sentences(layout.name))))
    return Data(subjects, refused, sha256, comments)


def _subject(row: int, name: str, course: Recorded, assay: Assay) -> Subject:
    """Read the levels of one course."""
    course.request.case()
    starts = course.request.course.times_h if course.request.course else ()
    samples: list[tuple[float, float, float]] = []
    faults: list[Fault] = []
    before, without = 0, 0
    for cells, time in zip(course.rows, course.times_h, strict=True):
        try:
            sample = _sample(assay, cells, time, starts)
        except InputError as error:
            at = assay.records.text(cells, "time") or assay.records.time(cells)
            faults += error.at(where=tr("level at TIME {time}", time=at)).faults
            continue
        if sample is None:
            without += assay.records.is_level(cells)
        elif time > 0:
            samples.append((time, *sample))
        else:
            before += 1
    if not samples and not faults:
        faults.append(Fault("", tr("no level after the first dose (EVID 0, MDV 0)")))
    if faults:
        raise InputError(*faults)
    times, measured, limits = np.array(samples).T
    if twice := repeated(times, measured):
        raise InputError(*(replace(fault, confirm="") for fault in twice))
    levels = Levels(times_h=times, conc_mg_l=measured, lloq_mg_l=limits)
    return Subject(
        id=name,
        row=row,
        request=course.request,
        levels=levels,
        before_first_dose=before,
        without_level=without,
        set_aside=course.set_aside,
        clocks_may_change=course.clocks_may_change,
    )


def _sample(
    assay: Assay, cells: Sequence[str], time: float, starts: Sequence[float]
) -> Sample | None:
    """Read the level of a record; None of doses, other events and records marked by MDV."""
    records, name = assay.records, assay.records.called("dv")
    if not records.is_level(cells):
        if records.is_dose(cells) and not records.flag(cells, "mdv"):
            sample = assay.sample(cells)
            if sample is not None and sample.conc_mg_l != 0:
                do = tr("give the level a record of its own, before the dose if it was drawn then")
                raise InputError(
                    Fault(name, tr("= {value} on a dose", value=records.text(cells, "dv")), do=do)
                )
        return None
    if records.flag(cells, "mdv"):
        return None
    sample = assay.sample(cells)
    if sample is None:
        raise InputError(Fault(name, tr("is missing: MDV 1 marks a record without level")))
    text = records.text(cells, "dv")
    if time > 0 and sample.conc_mg_l <= 0:
        do = "BLQ 1 marks a level below the limit of quantification, MDV 1 a record without level"
        if sample.conc_mg_l < 0:
            do = tr(
                "BLQ 1 marks a level below the limit of quantification, MDV 1 a record without "
                "level; are the levels logarithms?"
            )
        raise InputError(Fault(name, f"= {text}", do=do))
    if time <= 0 and not (sample.is_below or sample.conc_mg_l == 0):
        raise InputError(tr("{value} before any drug was given", value=text))
    after = time - max((start for start in starts if start < time), default=time)
    if after > FAR_APART_H:
        found = tr(
            "{hours:g} h after the dose before it, where no assay sees the drug", hours=after
        )
        do = tr("is TIME in minutes? Call the column TIME_MIN; or take the record out")
        raise InputError(Fault("", found, do=do))
    return sample
