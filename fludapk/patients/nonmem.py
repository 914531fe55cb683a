"""Courses as NONMEM-style records."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fludapk.errors import Fault, InputError, gathered
from fludapk.patients.columns import Layout, typed_of, wrong_length
from fludapk.patients.course import GIVEN_DAY_H, Course
from fludapk.patients.regimen import Regimen, read_cells
from fludapk.patients.request import Request, read_patient
from fludapk.published.models import DEFAULT_MODEL, load_model

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
            fault = Fault("", wrong_length(cells, len(layout.header)), where=f"record {k + 1}")
            raise InputError(fault)
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
        found = (
            "is AMT mg of fludarabine phosphate or of F-ara-A (0.781 of that)? Say {amount} "
            "phosphate or {amount} f_ara_a"
        )
        raise InputError(Fault("amount", found, whole=True))
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
        given=len(mg),
    )
    of_all = Regimen.named(said["regimen"]) if "regimen" in said else None
    patient, (cells_at_h, cells_clock) = gathered(
        lambda: read_patient(typed_of(said)),
        lambda: read_cells(said.get("cells_at"), said.get("first_dose"), said.get("time_zone")),
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
        title="course as recorded",
        product=of_all.product if of_all else None,
        disease=of_all.disease if of_all else None,
    )
    return Request(patient=patient, regimen=regimen, model=model, course=course)
