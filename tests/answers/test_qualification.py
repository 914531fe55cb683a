"""The record that a hospital files: it passes on this machine, and catches what is wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from click.testing import CliRunner, Result

import fludapk
from fludapk.answers import operation
from fludapk.answers.case import save_case
from fludapk.answers.hospital_cases import TEMPLATE, hospital_checks
from fludapk.answers.installation import data_files, file_checks, released
from fludapk.answers.operation import (
    engine_checks,
    formula_checks,
    kernel_checks,
    known_answer_checks,
    published_checks,
)
from fludapk.answers.qualification import qualify, read_record, record_json
from fludapk.answers.qualification_records import SECTIONS, Checked, Qualification
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.pk.kernels import courses
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import load_models, model_folders, model_paths

GIRL: Final = {
    "age": 5, "sex": "female", "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
HEADER: Final = "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen"
ROW: Final = "girl,5,female,18.2,110,0.3,tisa_cel_ball"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["qualify", *arguments])


def failed(checks: list[Checked]) -> list[Checked]:
    return [row for row in checks if not row.ok]


@pytest.fixture(scope="module")
def record() -> Qualification:
    return qualify()


@pytest.fixture(scope="module")
def filed(record: Qualification, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filed") / "qualification.json"
    file.write_text(record_json(record), "utf-8")
    return file


# --- An installation as it should be --------------------------------------------------------------


def test_this_release_passes_and_its_known_answers_are_up_to_date(record: Qualification) -> None:
    """If not: a result moved; if on purpose, run tools/make_qualification.py and say what moved."""
    assert record.deviations == []
    assert record.passed


def test_every_kind_of_check_is_made(record: Qualification) -> None:
    assert [section for section, _, _ in record.counts()] == [*SECTIONS][:-1]
    assert {row.name for row in record.operation if row.section == "formulas"} == set(FORMULAS)


def test_every_model_and_data_file_has_a_hash_of_the_release() -> None:
    assert set(released()["models"]) == set(model_paths())
    assert set(released()["data"]) == {path.name for path in data_files()}
    assert {"regimens.toml", "targets.toml"} <= set(released()["data"])


def test_known_answers_hold_refusals_and_stops_as_well_as_doses() -> None:
    answers = [case["answer"] for case in released()["known_answers"]]
    assert sum("refused" in answer for answer in answers) == 2
    assert sum(bool(answer.get("stops")) for answer in answers) == 2
    asked = {case["typed"].get("model", "langenhorst2019") for case in released()["known_answers"]}
    assert asked == set(model_paths())


def test_the_same_machine_gives_the_same_hash(record: Qualification) -> None:
    assert qualify().sha256 == record.sha256


def test_nothing_has_changed_since_the_same_record(filed: Path) -> None:
    since = qualify(against=filed).since
    assert since is not None
    assert since.is_same


def test_the_files_are_the_record_as_page_text_and_json(tmp_path: Path) -> None:
    done = run("-o", str(tmp_path / "a" / "b"))
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "a" / "b"
    assert sorted(path.suffix for path in folder.iterdir()) == [".html", ".json", ".txt"]
    page = (folder / "qualification.html").read_text("utf-8")
    whole = json.loads((folder / "qualification.json").read_text("utf-8"))
    assert whole["sha256"] in page
    for heading in ("Intended use", "Installation qual", "Operational qual", "Performance qual",
                    "Model credibility", "Deviations", "Approved for use by"):  # fmt: skip
        assert heading in page
    assert all(model in page for model in model_paths())
    assert (folder / "qualification.txt").read_text("utf-8") == done.stdout


def test_json_is_the_record(record: Qualification) -> None:
    assert json.loads(run("--json").stdout) == json.loads(record.to_json())


# --- What is wrong is caught ----------------------------------------------------------------------


def one_digit_more(text: str) -> str:
    """Raise the last digit of the first estimate of a clearance by one."""
    number = re.search(r"^CL\w* = \{ value = ([0-9.]+)", text, re.M)
    assert number is not None
    value = number[1]
    digit = str((int(value[-1]) + 1) % 10)
    return text[: number.end() - 1] + digit + text[number.end() :]


@pytest.mark.parametrize("name", list(model_paths()))
def test_a_model_file_changed_by_one_digit_is_caught_by_its_hash_and_its_answers(
    name: str, tmp_path: Path
) -> None:
    text = model_paths()[name].read_text("utf-8")
    (tmp_path / f"{name}.toml").write_text(one_digit_more(text), "utf-8")
    folders = model_folders(tmp_path, allow_override=True)
    assert [row.name for row in failed(file_checks(load_models(folders)))] == [f"model {name}"]
    assert failed(known_answer_checks(folders))


def test_an_own_model_is_recorded_and_is_no_deviation(tmp_path: Path) -> None:
    text = model_paths()["varela2025"].read_text("utf-8")
    (tmp_path / "ours.toml").write_text(text.replace('id = "varela2025"', 'id = "ours"'), "utf-8")
    rows = file_checks(load_models(model_folders(tmp_path)))
    assert failed(rows) == []
    assert [row.source for row in rows if row.name == "model ours"] == ["not of this release"]


def test_kernels_that_return_wrong_numbers_are_caught_in_many_ways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = courses.exposure
    monkeypatch.setattr(courses, "exposure", lambda *given: wrong(right(*given)))
    assert failed(kernel_checks(None))
    assert failed(known_answer_checks(None))
    monkeypatch.undo()
    in_place = courses.course

    def course(*given: Any) -> Any:
        status = in_place(*given)
        wrong(given[-2:])  # concentrations and areas
        return status

    monkeypatch.setattr(courses, "course", course)
    assert failed(kernel_checks(None))
    assert failed(published_checks(None)), "the ODE solver disagrees"
    assert len(failed(engine_checks(load_models()))) > 10


def wrong(results: Any) -> Any:
    """Err by a millionth."""
    for result in results:
        if result.dtype.kind == "f":
            result *= 1.000001
    return results


def test_a_formula_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = replace(FORMULAS["mosteller"], function=lambda **_: np.float64(1.9))
    monkeypatch.setitem(FORMULAS, "mosteller", bad)
    assert [row.name for row in failed(formula_checks())] == ["mosteller"]


def test_plain_python_that_cannot_be_run_is_a_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "interpreter", lambda: "/no/such/python")
    (row,) = kernel_checks(None)
    assert not row.ok
    assert "could not be run" in str(row.computed)


# --- The hospital's own cases ---------------------------------------------------------------------


def cases(folder: Path, columns: str, values: str, name: str = "cases.csv") -> Path:
    file = folder / name
    file.write_text(f"{HEADER},{columns}\n{ROW},{values}\n", "utf-8")
    return file


@pytest.mark.parametrize(
    ("columns", "values", "ok"),
    [
        ("expected_auc_0_inf,tolerance_auc_0_inf", "13.6,0.1", True),
        ("expected_auc_0_inf,tolerance_auc_0_inf", "13.7,0.1", False),
        ("expected_auc_0_inf,tolerance_auc_0_inf", "13.7,1 %", True),
        ("expected_dose_mg,tolerance_dose_mg", "22.37,0.01", True),
        ("expected_dose_mg,tolerance_dose_mg", "28,5 %", False),
        ("expected_flag", "below", True),
        ("expected_flag", "met", False),
        ("expected_models_agree", "yes", True),
        ("expected_refused", "no", True),
        ("expected_refused", "yes", False),
        ("EXPECTED_FLAG", "below", True),
    ],
)
def test_a_case_is_compared_within_its_tolerance(
    columns: str, values: str, ok: bool, tmp_path: Path
) -> None:
    rows = hospital_checks([cases(tmp_path, columns, values)])
    assert all(row.ok for row in rows) is ok


def test_a_list_of_a_german_spreadsheet_is_compared_alike(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    header = f"{HEADER},expected_auc_0_inf,tolerance_auc_0_inf".replace(",", ";")
    values = "girl;5;female;18,2;110;0,3;tisa_cel_ball;13,6;0,1"
    file.write_text(f"{header}\n{values}\n", "utf-8")
    (row,) = [row for row in hospital_checks([file]) if row.quantity == "auc_0_inf"]
    assert (row.expected, row.allowed, row.ok) == (13.6, 0.1, True)


def test_a_case_refused_unexpectedly_is_a_deviation_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    slip = ROW.replace(",5,", ",60,")
    columns = "expected_p_above,tolerance_p_above"
    file.write_text(f"{HEADER},{columns}\n{slip},0,0.1\n", "utf-8")
    bad = failed(hospital_checks([file]))
    assert [row.quantity for row in bad] == ["refused", "p_above"]
    assert "60 months" in bad[0].source


@pytest.mark.parametrize(
    ("columns", "values", "why"),
    [
        ("expected_auc_0_inf", "13.6", "no tolerance"),
        ("expected_auc_0_inf,tolerance_auc_0_inf", "13.6,about 1", "no tolerance"),
        ("expected_auc_0_inf,tolerance_auc_0_inf", "13.6,-1", "no tolerance"),
        ("expected_auc", "13.6", "no result of this name"),
        ("tolerance_auc_0_inf", "0.1", "there is no expected_auc_0_inf"),
        ("expected_refused", "perhaps", "neither yes nor no"),
    ],
)
def test_expected_values_that_cannot_be_judged_are_refused(
    columns: str, values: str, why: str, tmp_path: Path
) -> None:
    done = run("--cases", str(cases(tmp_path, columns, values)))
    assert done.exit_code == 3
    assert why in done.stderr


def test_two_cases_of_the_same_name_are_refused(tmp_path: Path) -> None:
    file = cases(tmp_path, "expected_flag", "below")
    with pytest.raises(InputError, match="more than one case is called girl"):
        hospital_checks([file, cases(tmp_path, "expected_flag", "below", "again.csv")])


def test_the_template_of_cases_is_a_list_that_passes(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    assert run("--cases-template", str(file)).exit_code == 0
    assert file.read_text("utf-8") == TEMPLATE
    assert failed(hospital_checks([file])) == []


def test_a_case_file_is_compared_with_the_answer_it_was_saved_with(tmp_path: Path) -> None:
    case, file = save_case(GIRL), tmp_path / "girl.json"
    file.write_text(case.to_json(), "utf-8")
    assert failed(hospital_checks([file])) == []
    file.write_text(case.to_json().replace('"flag": "below"', '"flag": "met"'), "utf-8")
    assert [row.quantity for row in failed(hospital_checks([file]))] == ["flag"]


# --- Since the last record ------------------------------------------------------------------------


def test_a_case_that_moved_since_the_last_record_is_a_deviation_even_within_its_tolerance(
    tmp_path: Path,
) -> None:
    file = cases(tmp_path, "expected_auc_0_inf,tolerance_auc_0_inf", "13.6,0.1")
    assert run("-o", str(tmp_path), "--cases", str(file)).exit_code == 0
    old = tmp_path / "qualification.json"
    text = model_paths()["langenhorst2019"].read_text("utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "langenhorst2019.toml").write_text(one_digit_more(text), "utf-8")
    own = ("--models-dir", str(tmp_path / "own"), "--allow-override")
    done = run("--cases", str(file), "--against", str(old), *own)
    assert done.exit_code == 1
    assert "cases of the hospital that moved: girl" in done.stdout
    assert "Cases of the hospital: girl, auc_0_inf: 13.5839 →" in done.stdout
    assert "- model langenhorst2019: " in done.stdout


def test_other_versions_are_told(filed: Path, tmp_path: Path, record: Qualification) -> None:
    whole = json.loads(filed.read_text("utf-8"))
    whole["installation"]["packages"][0]["version"] = "0.60.0"
    old = tmp_path / "old.json"
    old.write_text(json.dumps(rehashed(whole)), "utf-8")
    since = qualify(against=old).since
    assert since is not None
    numba = record.installation.packages[0].version
    assert since.versions == [f"numba: 0.60.0 → {numba}"]
    assert since.moved == []


def rehashed(whole: dict[str, Any]) -> dict[str, Any]:
    """Give a record the hashes of its contents, as the version that made it would have."""
    from fludapk.answers.qualification import hash_of, whole_hash
    from fludapk.answers.qualification_records import Part

    parts = [Part(**{**part, "sha256": hash_of(whole[part["name"]])}) for part in whole["parts"]]
    return {**whole, "parts": [vars(part) for part in parts], "sha256": whole_hash(parts)}


@pytest.mark.parametrize("part", ["installation", "operation", "performance", "credibility"])
def test_a_record_that_was_altered_is_refused(part: str, filed: Path, tmp_path: Path) -> None:
    whole = json.loads(filed.read_text("utf-8"))
    altered = tmp_path / "altered.json"
    if isinstance(whole[part], list):
        whole[part].append({})
    else:
        whole[part]["version"] = "9"
    altered.write_text(json.dumps(whole), "utf-8")
    with pytest.raises(InputError, match="was altered after it was made"):
        read_record(altered)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "fludapk.check/2"}', "[" * 100_000])
def test_what_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(text, "utf-8")
    assert run("--against", str(file)).exit_code == 3


def test_python_qualifies_as_the_command_does(record: Qualification) -> None:
    assert fludapk.qualify().sha256 == record.sha256
    assert repr(record).startswith("<qualification of ")
    assert record._repr_html_() is not None
