"""Files of records and levels as people export them: read as they are meant, or refused."""

import csv
import io
import random
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hostile_records import DOSES, EVALUATED, LEVELS, Hostile, records
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.errors import FludapkError, InputError
from fludapk.patients.clock import read_clock
from fludapk.patients.columns import Layout, opened
from fludapk.patients.course import Course
from fludapk.patients.level_list import read_levels
from fludapk.patients.nonmem import by_course, request_of_records, survey
from fludapk.patients.record_levels import Assay
from fludapk.patients.record_names import record_column
from fludapk.patients.records import Records
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


# --- dialect, order and names never change a number -----------------------------------------------

RECORD_FILES = tuple(file for file in (*DOSES, *EVALUATED) if file.verdict.startswith("="))
LEVEL_FILES = tuple(file for file in LEVELS if file.verdict.startswith("= "))
ALIASES = {
    "TIME": ("TIME", "time_h", "Time (h)", "Zeit (Std)"),
    "AMT": ("AMT", "Amount", "amt_mg"),
    "RATE": ("RATE", "rate_mg_h", "Rate (mg/h)"),
    "DUR": ("DUR", "TINF", "duration_h", "Infusion time (h)"),
    "BLQ": ("BLQ", "BQL", "bloq", "BLQ flag"),
    "LLOQ": ("LLOQ", "loq", "Lloq"),
    "DV": ("DV", "conc", "LIDV"),
    "time_h": ("time_h", "TIME_HOURS", "Time (hr)", "Tijd (uur)", "Tempo (ore)"),
    "conc_mg_l": ("conc_mg_l", "DV_mg_L", "Concentration (mg/L)", "Konzentration [mg/l]"),
    "blq": ("blq", "BQL", "below LLOQ"),
}


def table(text: str) -> list[list[str]]:
    """Cells of a file with commas."""
    return [row for row in csv.reader(io.StringIO(text)) if row]


def written(rows: list[list[str]], delimiter: str) -> str:
    """A file with another separator, and decimal commas where that is not a comma."""
    if delimiter != ",":
        rows = [
            rows[0],
            *([re.sub(r"^(<?=?\d+)\.(\d+)$", r"\1,\2", c) for c in row] for row in rows[1:]),
        ]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue()


def disguised(text: str, seed: int, delimiter: str) -> str:
    """The same file with its columns in another order, under other names, in another dialect."""
    draw = random.Random(seed)
    head, *rows = table(text)
    places = list(range(len(head)))
    draw.shuffle(places)
    names = [draw.choice(ALIASES.get(name, (name,))) for name in head]
    width = len(head)
    whole = [row for row in rows if len(row) == width and not row[0].startswith("#")]
    return written([[row[k] for k in places] for row in (names, *whole)], delimiter)


COMMAS = [file for file in LEVEL_FILES if ";" not in file.text and "\t" not in file.text]


@settings(max_examples=40)
@given(st.sampled_from(COMMAS), st.integers(0, 999), st.sampled_from(",;\t"))
def test_order_names_and_dialect_of_a_file_of_levels_change_no_number(
    file: Hostile, seed: int, delimiter: str
) -> None:
    with TemporaryDirectory() as folder:
        found = levels_read(disguised(file.text, seed, delimiter), Path(folder))
    assert f"= {found}" == file.verdict


@settings(max_examples=40)
@given(st.sampled_from(COMMAS), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_of_a_file_of_levels_changes_no_number(
    file: Hostile, shuffled: random.Random
) -> None:
    head, *rows = table(file.text)
    shuffled.shuffle(rows)
    with TemporaryDirectory() as folder:
        found = levels_read(written([head, *rows], ","), Path(folder))
    assert sorted(found.split("; ")) == sorted(file.verdict[2:].split("; "))


@settings(max_examples=60)
@given(st.sampled_from(RECORD_FILES), st.integers(0, 999), st.sampled_from(",;\t"))
def test_order_names_and_dialect_of_records_change_no_number(
    file: Hostile, seed: int, delimiter: str
) -> None:
    read = doses_read if file in DOSES else evaluated
    assert f"= {read(disguised(file.text, seed, delimiter))}" == file.verdict


@given(st.text(max_size=12))
def test_any_name_of_a_column_has_a_meaning_or_none(name: str) -> None:
    meaning = record_column(name)
    assert meaning is None or meaning == record_column(f" {name.upper()} ")


@given(st.sampled_from(["blq", "mdv", "cens"]), st.text(max_size=6))
def test_any_mark_is_yes_no_nothing_or_refused(column: str, mark: str) -> None:
    layout = Layout.of_levels([column])
    read: bool | str | None
    try:
        read = Records(layout).flag([mark], column)
    except InputError as error:
        read = str(error)
    assert read in (True, False, None) or "allowed: 1 (yes) or 0 (no)" in str(read)


@given(st.text(alphabet="0123456789.,<>LOQBNAnd -e", max_size=8), st.sampled_from(["0", "1", ""]))
def test_any_cell_of_a_level_is_a_level_a_limit_or_refused(cell: str, mark: str) -> None:
    records = Records(Layout.of_levels(["conc_mg_l", "blq", "lloq"]))
    try:
        sample = Assay.of(records).sample([cell, mark, "0.01"])
    except InputError:
        return
    if sample is None:
        assert not cell.strip(" .") or cell.strip().lower() in ("na", "nan")
        return
    assert sample.is_below or sample.conc_mg_l == float(cell)
    if mark == "1":
        assert sample.is_below


# --- columns that are used or named, or a refusal -------------------------------------------------


def test_a_column_that_is_refused_can_be_left_out_by_name() -> None:
    text = records("TIME,AMT,RATE,EVID,CMT", "0,20,40,1,1", "24,20,40,1,2")
    with pytest.raises(InputError, match=r"tells doses apart.*names CMT=-"):
        surveyed(text)
    source, layout = opened(text.encode(), ["CMT=-"], {"regimen": "tisa_cel_ball"})
    survey(layout, source.rows())
    assert layout.unused == ["CMT"]


def surveyed(text: str) -> tuple[int, frozenset[str]]:
    source, layout = opened(text.encode(), [], {"regimen": "tisa_cel_ball"})
    return survey(layout, source.rows())


def test_a_column_can_be_called_what_it_is() -> None:
    text = records("START,GABE,LAENGE", "0,20,0.5", "24,20,0.5")
    pairs = ["START=time", "GABE=amt", "LAENGE=dur_h"]
    source, layout = opened(text.encode(), pairs, {})
    ((_, _, rows),) = by_course(layout, source.rows())
    assert request_of_records(layout, rows, "phosphate").course == replace(COURSE, given=2)


COURSE = Course(times_h=(0.0, 24.0), infusion_h=(0.5, 0.5), doses_mg=(20.0, 20.0), day_h=18.0)


def test_the_first_dose_by_the_clock_places_the_cells() -> None:
    text = records("TIME,AMT,DUR", "2026-01-14 08:30,20,0.5", "2026-01-15 08:30,20,0.5")
    source, layout = opened(text.encode(), [], {"cells_at": "2026-01-17 08:30"})
    ((_, _, rows),) = by_course(layout, source.rows())
    assert request_of_records(layout, rows, "phosphate").regimen.cells_at_h == 72.0
    source, layout = opened(text.encode(), [], {"first_dose": "2026-01-14 09:30"})
    with pytest.raises(InputError, match="but the first dose was recorded at 2026-01-14 08:30"):
        request_of_records(layout, rows, "phosphate")


def test_records_that_are_not_used_are_counted() -> None:
    rows = ["0,20,40,1,.,1,", "1,.,.,0,9,0,C", "2,.,.,0,0.5,0,", "3,.,.,0,.,1,"]
    text = records("TIME,AMT,RATE,EVID,DV,MDV,C", *rows) + "# a comment,,,,,,,,,,,\n"
    source, layout = opened(text.encode(), [], {})
    data = read_subjects(layout, source.rows(), unit="mg/L", amount="phosphate")
    (subject,) = data.subjects
    assert (subject.set_aside, subject.without_level, data.comments) == (1, 1, 1)


def test_an_id_that_comes_back_refuses_both_halves() -> None:
    one = records("TIME,AMT,RATE,DV", "0,20,40,.", "2,.,.,0.5")
    other = one.partition("\n")[2].replace("1,6,", "2,6,")
    text = one + other + one.partition("\n")[2]
    source, layout = opened(text.encode(), [], {})
    data = read_subjects(layout, source.rows(), unit="mg/L", amount="phosphate")
    assert [subject.id for subject in data.subjects] == ["2"]
    assert [(course.id, course.row) for course in data.refused] == [("1", 2), ("1", 6)]


def test_a_list_of_levels_is_never_a_list_of_patients() -> None:
    """The Theoph data of R: no dose is recorded, so a published course must not be put in."""
    text = "Subject,Wt,Dose,Time,conc\n1,79.6,4.02,0,0.74\n1,79.6,4.02,0.25,2.84\n"
    with pytest.raises(InputError, match=r"no column for .*AMT or DOSE_MG"):
        opened(text.encode(), ["Subject=id"], {"regimen": "tisa_cel_ball"})
