"""Courses as NONMEM-style records."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError, gathered
from fludapk.language import marked, tr
from fludapk.patients.columns import Layout
from fludapk.patients.course import GIVEN_DAY_H, Course
from fludapk.patients.fields import FIELDS, RENAL
from fludapk.patients.list_rows import typed_of, wrong_length
from fludapk.patients.record_faults import course_faults, id_faults, list_faults
from fludapk.patients.records import Records, order_faults
from fludapk.patients.regimen import Regimen, read_cells
from fludapk.patients.request import Request, read_patient
from fludapk.published.models import DEFAULT_MODEL, is_averaged, load_model
from fludapk.units import MOLAR_MASS_F_ARA_A, MOLAR_MASS_PHOSPHATE, parse_quantity

MASS_RATIO: Final = MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
LONG_INFUSION_H: Final = 24.0
"""An infusion that takes longer was written in minutes, unless its column says hours."""
MOST_RECORDED_MG: Final = 500.0
"""Twice the 96 mg/m2 that were given with severe toxicity, for a body surface area of 2.6 m2."""
LEAST_RECORDED_MG: Final = 0.2  # less than anybody gives, and more than any dose in g
_SAME: Final = 0.03
"""Relative difference of two amounts that is rounding; F-ara-A and phosphate differ by 0.22."""
_MOST_ADDED: Final = 30

Row = Sequence[str]


# ------------------------------------------------------------------ records of one course together


def by_course(
    layout: Layout, rows: Iterable[Row], first_row: int = 2
) -> Iterator[tuple[int, str, list[Row]]]:
    """Records of one course together: neighbours with the same ID.

    Parameters
    ----------
    layout : Layout
    rows : iterable of rows
    first_row : int
        Row of the first of them in a spreadsheet.

    Yields
    ------
    row : int
        Row of the first record in a spreadsheet.
    id : str
    records : list of rows
        Without blank rows and comments.
    """
    records = Records(layout)
    numbered_rows = enumerate(rows, start=first_row)
    data = ((k, cells) for k, cells in numbered_rows if not records.is_comment(cells))
    for name, together in itertools.groupby(data, lambda numbered: layout.id_of(numbered[1])):
        numbered = list(together)
        yield numbered[0][0], name, [cells for _, cells in numbered]


def survey(layout: Layout, rows: Iterable[Row]) -> tuple[int, frozenset[str]]:
    """Number of results of a list, and IDs of records that come again after another.

    Raises
    ------
    InputError
        If the doses of records are of several substances, routes or compartments.
    """
    if not layout.is_events:
        return sum(1 for _ in rows), frozenset()
    courses = [(name, together) for _, name, together in by_course(layout, rows)]
    faults = id_faults([name for name, _ in courses])
    faults += list_faults(Records(layout), itertools.chain.from_iterable(t for _, t in courses))
    if faults:
        raise InputError(*faults)
    times = Counter(name for name, _ in courses)
    return times.total(), frozenset(name for name, n in times.items() if n > 1)


def not_used(layout: Layout, rows: Iterable[Row]) -> int:
    """Number of rows of records that are comments, or marked as not to be used."""
    records = Records(layout)
    return sum(_is_marked(records, cells) for cells in rows if any(cells))


def _is_marked(records: Records, cells: Row) -> bool:
    try:
        return records.is_comment(cells) or records.is_set_aside(cells)
    except InputError:  # refused with its course
        return False


def comes_again(name: str) -> InputError:
    """The error of an ID whose records do not stand together."""
    found = tr(
        "ID {name!r} comes again after another ID: put the records of a course together, and give "
        "each course an ID of its own",
        name=name,
    )
    return InputError(found)


# ------------------------------------------------------------------ one course


class Dose(NamedTuple):
    """A dose as recorded."""

    row: int
    """Place among the records of the course."""
    after_h: float
    """Time after its record, h: further doses of ADDL start II later each."""
    infusion_h: float
    mg: float
    """Amount of the substance of AMT, or of fludarabine phosphate with a column DOSE_MG, mg."""


class Recorded(NamedTuple):
    """A course with its records."""

    request: Request
    rows: list[Row]
    """Records that are not set aside."""
    times_h: list[float]
    """Time of each of those records from the first dose, h."""
    set_aside: int
    """Number of records that the file marks as not to be used."""
    clocks_may_change: bool
    """True if clocks may have changed between its records, and no time zone was given."""


def request_of_records(
    layout: Layout,
    rows: Sequence[Row],
    amount: str | None,
    folders: Sequence[Path] | None = None,
) -> Request:
    """Read the records of one course; see `recorded`."""
    return recorded(layout, rows, amount, folders).request


def recorded(
    layout: Layout,
    rows: Sequence[Row],
    amount: str | None,
    folders: Sequence[Path] | None = None,
) -> Recorded:
    """Read the records of one course, and what they say of its times.

    Parameters
    ----------
    layout : Layout
    rows : sequence of rows
    amount : {'phosphate', 'f_ara_a'}, optional
        What AMT is mg of; needed unless there is a column DOSE_MG (fludarabine phosphate).
    folders : sequence of Path, optional
        Folders of model files.

    Raises
    ------
    InputError
        Listing every fault.
    """
    for k, cells in enumerate(rows):
        if len(cells) != len(layout.header):
            where = tr("record {n}", n=k + 1)
            raise InputError(Fault("", wrong_length(cells, len(layout.header)), where=where))
    records = Records(layout)
    kept, n_aside = _kept(records, rows)
    texts = [layout.texts(cells) for cells in kept]
    faults = [
        Fault(
            "",
            tr("{column} changes within the course: one course has one set of covariates",
               column=name),
        )
        for name in dict.fromkeys(name for row in texts for name in row)
        if name not in _MAY_CHANGE and len({row[name] for row in texts if name in row}) > 1
    ]  # fmt: skip
    faults += course_faults(records, kept)
    substance = substance_of(records, amount)
    doses = _doses(records, kept, faults)
    if faults:
        raise InputError(*dict.fromkeys(faults))
    first = {name: text for row in reversed(texts) for name, text in row.items()}
    times, first_dose, may_change = records.times_h(kept, doses[0].row, first.get("time_zone"))
    model = first.get("model", DEFAULT_MODEL)
    factor = 1.0
    if substance == "f_ara_a":
        own = DEFAULT_MODEL if is_averaged(model) else model
        factor = load_model(own, folders).file.dose.factor
    given = [(times[d.row] + d.after_h, d.infusion_h, d.mg / factor) for d in doses]
    faults = order_faults(records, times, [start for start, *_ in given])
    if faults:
        raise InputError(*faults)
    first |= _renal(texts, times)
    request = _recorded(_clocked(first, first_dose), given, model)
    return Recorded(request, kept, times, n_aside, may_change)


_MAY_CHANGE: Final = tuple(FIELDS[key].name for key in RENAL)
"""Inputs that may have another value at a later record."""


def _renal(texts: Sequence[Mapping[str, str]], times_h: Sequence[float]) -> dict[str, str]:
    """Write a renal function that changes, with the times from which its later values count.

    That of the first dose is its own, or the last before it, or else the first after it.
    """
    written = {}
    for name in _MAY_CHANGE:
        values = [(t, row[name]) for t, row in zip(times_h, texts, strict=True) if name in row]
        if len({text for _, text in values}) < 2:
            continue
        before = [text for time, text in values if time <= 0.0]
        present = before[-1] if before else values[0][1]
        parts = [present]
        for time, text in values:
            if time > 0.0 and text != present:
                parts.append(f"{time:.10g}h {text}")
                present = text
        written[name] = "; ".join(parts)
    return written


def _kept(records: Records, rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Records that are used, and how many are marked as not to be used."""
    kept = []
    for cells in rows:
        if not records.is_set_aside(cells):
            kept.append(cells)
        elif records.is_dose(cells):
            mark = records.called("excluded")
            found = tr("= {typed!r} on a dose: was it given?",
                       typed=records.text(cells, "excluded"))  # fmt: skip
            do = tr("clear the mark, or take the record out")
            raise InputError(Fault(mark, found, do=do))
    if not kept:
        raise InputError(tr("all its records are marked as not to be used"))
    return kept, len(rows) - len(kept)


def substance_of(records: Records, amount: str | None) -> str:
    """Substance that amounts are mg of; a column DOSE_MG is of fludarabine phosphate.

    Parameters
    ----------
    records : Records
    amount : {'phosphate', 'f_ara_a'} or None
        As asked for the file.

    Raises
    ------
    InputError
        If neither tells.
    """
    substance = "phosphate" if records.has("dose_mg") else amount
    if substance is None:
        found = tr(
            "is {column} mg of fludarabine phosphate or of F-ara-A (0.781 of that)? Say {amount} "
            "phosphate or {amount} f_ara_a",
            column=records.called("amt"),
        )
        raise InputError(Fault("amount", found, whole=True))
    return substance


# ------------------------------------------------------------------ doses


def _doses(records: Records, rows: Sequence[Row], faults: list[Fault]) -> list[Dose]:
    """Read the doses; faults are added to the list."""
    doses: list[Dose] = []
    is_any = False
    for k, cells in enumerate(rows):
        try:
            if records.is_dose(cells):
                is_any = True
                doses += _dose(records, cells, k, len(doses) + 1)
            else:
                _no_dose(records, cells)
        except InputError as error:
            faults += error.faults
    if not is_any and not faults:
        found = tr("no record with {column} above zero: a course needs a dose",
                   column=records.called("amt"))  # fmt: skip
        if records.has("evid"):
            found = tr("no record with EVID 1: a course needs a dose")
        faults.append(Fault("", found))
    return doses


def _no_dose(records: Records, cells: Row) -> None:
    for what in ("amt", "addl"):
        size = records.number(cells, what)
        if size != 0:
            event, name = records.number(cells, "evid"), records.called(what)
            found = tr("EVID = {event:g} with {column} = {size:g}: a dose has EVID 1",
                       event=event, column=name, size=size)  # fmt: skip
            raise InputError(found)


def _dose(records: Records, cells: Row, row: int, place: int) -> list[Dose]:
    """Read a record of a dose, and those that ADDL adds."""
    size, mg, further, length = gathered(
        lambda: records.number(cells, "amt"),
        lambda: records.number(cells, "dose_mg"),
        lambda: _further(records, cells),
        lambda: _length_h(records, cells, place),
    )
    if not records.has("amt"):
        size = mg
    elif not records.has("dose_mg"):
        mg = size
    what, least = ("amt", size) if size <= mg and records.has("amt") else ("dose_mg", mg)
    if least <= 0:
        found = tr("{column} = {size:g}: a dose in mg above zero",
                   column=records.called(what), size=least)  # fmt: skip
        raise InputError(found)
    if not LEAST_RECORDED_MG <= mg <= MOST_RECORDED_MG:
        name = records.called("dose_mg" if records.has("dose_mg") else "amt")
        found = tr("= {mg:g}: an infusion of fludarabine is of {least:g} to {most:g} mg",
                   mg=mg, least=LEAST_RECORDED_MG, most=MOST_RECORDED_MG)  # fmt: skip
        do = tr("is this {unit}? Write mg", unit="µg" if mg > MOST_RECORDED_MG else "g")
        raise InputError(Fault(name, found, do=do))
    if all(abs(size / mg / ratio - 1) > _SAME for ratio in (1.0, MASS_RATIO)):
        found = tr(
            "{amt} = {size:g} with {dose_mg} = {mg:g}: {dose_mg} is mg of fludarabine phosphate, "
            "and {amt} the same or 0.781 of it as F-ara-A; leave the wrong one out",
            amt=records.called("amt"),
            dose_mg=records.called("dose_mg"),
            size=size,
            mg=mg,
        )
        raise InputError(found)
    return [Dose(row, after, length(size), mg) for after in further]


def _further(records: Records, cells: Row) -> list[float]:
    """Starts of a dose and of those that ADDL adds, h after the record."""
    more, name = records.number(cells, "addl"), records.called("addl")
    if more == 0:
        return [0.0]
    if more != int(more) or not 0 < more <= _MOST_ADDED:
        do = tr("write each dose as a record of its own")
        allowed = tr("0 to {most}", most=_MOST_ADDED)
        raise InputError(Fault(name, f"= {more:g}", allowed=allowed, do=do))
    text = records.text(cells, "ii")
    every = _quantity(records, text, "ii") if text else 0.0
    if every <= 0:
        do = tr("add their interval in h as II, or write each dose as a record of its own")
        raise InputError(Fault(name, tr("= {n:g} without II", n=more), do=do))
    return [k * every for k in range(int(more) + 1)]


def _quantity(records: Records, text: str, what: str) -> float:
    """Hours of a cell; its own unit goes before that of its column."""
    unit = records.unit(what)
    return parse_quantity(text, dimension="time", field=records.called(what), unit=unit).value


def _length_h(records: Records, cells: Row, place: int) -> Callable[[float], float]:
    """Length of an infusion as a function of its amount, from RATE or its duration."""
    rate, name = records.number(cells, "rate"), records.called("rate")
    text = records.text(cells, "dur")
    if rate in (-1, -2):
        do = tr("give the length of each infusion in h as DUR, or RATE in mg/h")
        raise InputError(Fault(name, tr("= {rate:g}: a model would estimate it", rate=rate), do=do))
    if rate < 0 or (rate == 0 and not text):
        found = tr(
            "{column} = {rate:g}: fludarabine is infused, give mg/h above zero, or the length of "
            "the infusion in h as DUR",
            column=name,
            rate=rate,
        )
        raise InputError(found)
    length = _quantity(records, text, "dur") if text else None
    per_h = rate * (60.0 if records.unit("rate") == "mg/min" else 1.0)

    def length_of(size: float) -> float:
        by_rate = size / per_h if per_h else None
        hours = length if length is not None else by_rate
        assert hours is not None  # one of the two is there
        if length is not None and by_rate is not None and abs(by_rate / hours - 1) > _SAME:
            found = tr("= {typed}, but {column} = {rate:g} makes {hours:.3g} h of the dose",
                       typed=text, column=name, rate=rate, hours=by_rate)  # fmt: skip
            raise InputError(Fault(records.called("dur"), found, do=tr("leave the wrong one out")))
        what = "dur" if length is not None else "rate"
        if hours > LONG_INFUSION_H and not _says_hours(records, what):
            found = tr("infusion {place} takes {hours:g} h by {column}",
                       place=place, hours=hours, column=records.called(what))  # fmt: skip
            do = tr(_IN_MINUTES[what])
            raise InputError(Fault(records.called(what), found, do=do, whole=True))
        return hours

    return length_of


_IN_MINUTES: Final = {
    "dur": marked("are these minutes? Call the column DUR_MIN, or DUR_H if hours are meant"),
    "rate": marked(
        "are these minutes? Call the column RATE_MG_MIN, or RATE_MG_H if mg/h are meant"
    ),
}


def _says_hours(records: Records, what: str) -> bool:
    """Tell a column whose name has the unit."""
    ends = records.called(what).strip().lower().rstrip(")")
    return ends.endswith(("_h", "/h", "(h", " h", "_mg_h", "hours"))


# ------------------------------------------------------------------ the course as a request


def _clocked(first: Mapping[str, str], first_dose: str | None) -> dict[str, str]:
    """Texts of the records, with the first dose by their clock."""
    texts = dict(first)
    typed = texts.get("first_dose")
    if first_dose is None:
        return texts
    if typed and typed.replace("T", " ")[:16] != first_dose.replace("T", " ")[:16]:
        found = tr("= {typed!r}, but the first dose was recorded at {recorded}",
                   typed=typed, recorded=first_dose)  # fmt: skip
        raise InputError(Fault("first_dose", found, do=tr("leave it out")))
    return texts | {"first_dose": first_dose}


def _recorded(
    texts: Mapping[str, str], doses: Sequence[tuple[float, float, float]], model: str
) -> Request:
    """A course as recorded: starts (h), lengths (h) and mg of fludarabine phosphate."""
    starts, lengths, mg = zip(*doses, strict=True)
    course = Course(
        times_h=tuple(t - starts[0] for t in starts),
        infusion_h=lengths,
        doses_mg=mg,
        day_h=GIVEN_DAY_H,
        given=len(mg),
    )
    published = Regimen.named(texts["regimen"]) if "regimen" in texts else None
    patient, (cells_at_h, cells_clock) = gathered(
        lambda: read_patient(typed_of(texts)),
        lambda: read_cells(texts.get("cells_at"), texts.get("first_dose"), texts.get("time_zone")),
    )
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    regimen = Regimen(
        dose=course.doses_mg[0],
        unit="mg",
        days=len(doses),
        interval_h=min(gaps, default=24.0),
        infusion_h=min(lengths),
        cells_at_h=cells_at_h,
        cells_clock=cells_clock,
        id="records",
        title=marked("course as recorded"),
        product=published.product if published else None,
        disease=published.disease if published else None,
    )
    return Request(patient=patient, regimen=regimen, model=model, course=course)
