"""Comparisons of models that must not stop, and must not follow the order of a file."""

import csv
import hashlib
import io
import itertools
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.cli import main
from fludapk.patients.columns import opened
from fludapk.studies.evaluation import evaluation_of
from fludapk.studies.evaluation_data import Data, read_subjects
from fludapk.studies.metrics import npde

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "levels.csv"
HEAD, *ROWS = csv.reader(EXAMPLE.read_text("utf-8").splitlines())
PATIENTS: Final = [list(rows) for _, rows in itertools.groupby(ROWS, lambda row: row[0])][:6]
OPTIONS: Final = ("--dv", "mg/L", "--amt", "phosphate", "--simulations", "100")


def text_of(patients: list[list[list[str]]], head: list[str] = HEAD) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([head, *itertools.chain.from_iterable(patients)])
    return file.getvalue()


def changed(row: list[str], **cells: str) -> list[str]:
    return [cells.get(name, cell) for name, cell in zip(HEAD, row, strict=True)]


def level(patient: int, **cells: str) -> list[str]:
    """A record of a level of a patient."""
    row = changed(PATIENTS[patient][-1], AMT="0", RATE="0", EVID="0", MDV="0", BLQ="0")
    return changed(row, **cells)


def read(text: str) -> Data:
    source, layout = opened(text.encode(), [], {})
    return read_subjects(layout, source.rows(), unit="mg/L", amount="phosphate")


def judged(text: str) -> dict[str, Any]:
    result = evaluation_of(read(text), models=["langenhorst2019"], simulations=100)
    return dict(json.loads(result.record.to_json()))


def run(path: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", str(path), *OPTIONS, *map(str, arguments)])


def test_levels_that_are_all_below_the_limit_are_drawn(tmp_path: Path) -> None:
    below = [
        [changed(row, DV=".", BLQ="1") if row[HEAD.index("EVID")] == "0" else row for row in rows]
        for rows in PATIENTS
    ]
    path = tmp_path / "below.csv"
    path.write_text(text_of(below), encoding="utf-8")
    done = run(path, "-o", tmp_path / "out")
    assert (done.exit_code, done.exception) == (0, None)
    assert (tmp_path / "out" / "report.html").read_text("utf-8").count("<svg") == 3
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert record["levels"] == record["levels_below_limit"] > 20
    assert record["models"][0]["errors"] == []


@pytest.mark.parametrize("time", ["5000", "1e6"])
def test_a_level_at_an_absurd_time_refuses_that_patient_alone(tmp_path: Path, time: str) -> None:
    late = level(2, TIME=time, DV=".", BLQ="1")
    path = tmp_path / "late.csv"
    path.write_text(text_of([*PATIENTS[:2], [*PATIENTS[2], late], *PATIENTS[3:]]))
    done = run(path, "--json")
    assert done.exit_code == 3
    record = json.loads(done.stdout)
    assert record["patients"] == 5
    (refused,) = record["refused"]
    assert refused["id"] == PATIENTS[2][0][0]
    assert "where no assay sees the drug" in refused["error"]


def test_levels_that_simulations_do_not_tell_apart_refuse_that_patient_alone() -> None:
    """More levels than simulations: their covariance cannot be inverted."""
    last = float(PATIENTS[1][-1][1])
    many = [level(1, TIME=f"{last + 8 + k / 100:.2f}", DV="0.02") for k in range(120)]
    record = judged(text_of([PATIENTS[0], [*PATIENTS[1], *many], *PATIENTS[2:]]))
    assert record["patients"] == len(PATIENTS) - 1
    (refused,) = record["refused"]
    assert refused["id"] == PATIENTS[1][0][0]
    assert "100 simulations do not tell its 12" in refused["error"]


def test_a_level_that_has_nothing_to_say_changes_nothing_but_itself() -> None:
    """Below the limit weeks after the last dose: any patient would be."""
    data = read(text_of(PATIENTS))
    before = evaluation_of(data, models=["langenhorst2019"], simulations=100)
    late = level(1, TIME="330", DV=".", BLQ="1")
    patients = [PATIENTS[0], [*PATIENTS[1], late], *PATIENTS[2:]]
    after = evaluation_of(read(text_of(patients)), models=["langenhorst2019"], simulations=100)
    np.testing.assert_allclose(after.scores[0].auc_levels, before.scores[0].auc_levels, rtol=1e-6)
    assert np.isfinite(after.scores[0].npde).all()


def test_npde_do_not_depend_on_the_unit_of_a_level() -> None:
    rng = np.random.default_rng(3)
    simulated = rng.lognormal(size=(500, 3))
    levels, limits = np.array([1.0, 0.5, 2.0]), np.full(3, np.nan)
    one = npde(levels, simulated, limits, rng)
    scale = np.array([1.0, 1e-150, 1e-200])
    np.testing.assert_allclose(npde(levels * scale, simulated * scale, limits, rng), one, atol=1e-9)


@settings(max_examples=6)
@given(st.permutations(range(len(PATIENTS))), st.integers(0, 99))
def test_the_order_of_patients_and_columns_changes_no_bit(order: list[int], seed: int) -> None:
    places = list(range(len(HEAD)))
    random.Random(seed).shuffle(places)
    head = [HEAD[k] for k in places]
    rows = [[[row[k] for k in places] for row in PATIENTS[i]] for i in order]
    again = judged(text_of(rows, head))
    assert digest(again) == digest(judged(text_of(PATIENTS)))


def digest(record: dict[str, Any]) -> str:
    known = {name: value for name, value in record.items() if name != "provenance"}
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def test_what_is_not_used_is_counted_on_the_page_and_in_the_record(tmp_path: Path) -> None:
    unread = level(0, MDV="1")
    path = tmp_path / "counted.csv"
    path.write_text(text_of([[*PATIENTS[0], unread], *PATIENTS[1:]]) + "# the end\n")
    done = run(path, "--json")
    record = json.loads(done.stdout)
    assert (record["records_without_level"], record["records_set_aside"]) == (1, 1)
    page = " ".join(run(path).stdout.split())
    assert "1 records without level (MDV 1): not used" in page
    assert "1 records marked in the file as not to be used: not used" in page


@pytest.mark.parametrize(("first_day", "zone", "counted"), [
    ("2026-03-27", "", 1), ("2026-03-27", "Europe/Berlin", 0), ("2026-03-16", "", 0),
])  # fmt: skip
def test_a_change_of_clocks_between_records_is_told(
    first_day: str, zone: str, counted: int, tmp_path: Path
) -> None:
    """Six patients by hours, and the first of them by the clock of a weekend in March."""
    start = datetime.fromisoformat(f"{first_day} 09:00")
    time = HEAD.index("TIME")
    rows = [[*row, zone] for row in PATIENTS[0]]
    for row in rows:
        row[time] = f"{start + timedelta(hours=float(row[time])):%Y-%m-%d %H:%M}"
    others = [[[*row, ""] for row in patient] for patient in PATIENTS[1:]]
    path = tmp_path / "clock.csv"
    path.write_text(text_of([rows, *others], [*HEAD, "time_zone"]), encoding="utf-8")
    assert json.loads(run(path, "--json").stdout)["courses_over_clock_change"] == counted
    page = " ".join(run(path).stdout.split())
    told = f"{counted} courses during which clocks change in many places, without a time zone"
    assert (told in page) is bool(counted)
