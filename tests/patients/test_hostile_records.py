"""Files of records and levels as people export them: read as they are meant, or refused."""

from pathlib import Path

import numpy as np
import pytest
from hostile_records import DOSES, EVALUATED, LEVELS, Hostile

from fludapk.errors import FludapkError
from fludapk.patients.clock import read_clock
from fludapk.patients.columns import opened
from fludapk.patients.level_list import read_levels
from fludapk.patients.nonmem import by_course, request_of_records, survey
from fludapk.studies.evaluation_data import read_subjects


def kinds(files: tuple[Hostile, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", files, ids=[file.kind for file in files])


def levels_read(text: str, folder: Path) -> str:
    path = folder / "levels.csv"
    path.write_text(text, encoding="utf-8")
    levels = read_levels(path, read_clock("2026-01-14 08:30"))
    return "; ".join(str(level).replace(" h", "").removesuffix(" mg/L") for level in levels)


def doses_read(text: str) -> str:
    source, layout = opened(text.encode(), [], {"regimen": "tisa_cel_ball"})
    assert layout.is_events
    survey(layout, source.rows())
    ((_, _, rows),) = by_course(layout, source.rows())
    course = request_of_records(layout, rows, "phosphate").course
    assert course is not None
    doses = zip(course.times_h, course.infusion_h, course.doses_mg, strict=True)
    return "; ".join(f"{start:g}+{length:g}: {mg:g}" for start, length, mg in doses)


def evaluated(text: str) -> str:
    source, layout = opened(text.encode(), [], {})
    data = read_subjects(layout, source.rows(), unit="mg/L", amount="phosphate")
    if data.refused:
        return data.refused[0].error
    (subject,) = data.subjects
    limits = np.asarray(subject.levels.lloq_mg_l)[0]
    levels = zip(subject.times_h, subject.conc_mg_l, limits, strict=True)
    return "; ".join(
        f"{time:g} <{lloq:g}" if np.isnan(conc) else f"{time:g} {conc:g}"
        for time, conc, lloq in levels
    )


def verdict(read: str | FludapkError) -> str:
    return str(read) if isinstance(read, FludapkError) else f"= {read}"


def judged(file: Hostile, found: str) -> None:
    if file.verdict.startswith("="):
        assert found == file.verdict
    else:
        assert file.verdict in found


@kinds(LEVELS)
def test_a_file_of_levels_is_read_as_it_is_meant_or_refused(file: Hostile, tmp_path: Path) -> None:
    try:
        found = f"= {levels_read(file.text, tmp_path)}"
    except FludapkError as error:
        found = str(error)
    judged(file, found)


@kinds(DOSES)
def test_doses_of_records_are_read_as_they_are_meant_or_refused(file: Hostile) -> None:
    try:
        found = f"= {doses_read(file.text)}"
    except FludapkError as error:
        found = str(error)
    judged(file, found)


@kinds(EVALUATED)
def test_levels_of_records_are_read_as_they_are_meant_or_refused(file: Hostile) -> None:
    try:
        found = f"= {evaluated(file.text)}"
    except FludapkError as error:
        found = str(error)
    judged(file, found)
