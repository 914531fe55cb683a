"""A case that is kept can be opened, is computed again, and never changes in silence."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from asking import ask
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import fludapk
from fludapk.answers.case import USED, in_short, open_case, save_case
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.case_file import (
    CASE_NAMES,
    MOST_BYTES,
    QUESTIONS,
    SCHEMA,
    CaseFile,
    Question,
    read_case,
)

GIRL: Final = {
    "age": "5", "sex": "female", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
LEVELS: Final = ["1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L"]
ASKED: Final[dict[Question, dict[str, Any]]] = {
    "check": GIRL,
    "dose": {**GIRL, "window": [18, 20], "probability": 0.3},
    "update": {**GIRL, "levels": LEVELS, "target": "scordo2023", "exclude_level": [3]},
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def options(typed: dict[str, Any]) -> list[str]:
    """Options of the command line for what was typed."""
    words: list[str] = []
    for name, value in typed.items():
        option = "--level" if name == "levels" else f"--{name.replace('_', '-')}"
        if name == "window":
            words += [option, *map(str, value)]
        else:
            for each in value if isinstance(value, list) else [value]:
                words += [option, str(each)]
    return words


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_saved_case_gives_the_same_answer_when_it_is_opened(
    question: Question, tmp_path: Path
) -> None:
    file = tmp_path / "case.json"
    asked = ASKED[question]
    saved = run(question, *options(asked), "--json", "--save-case", str(file))
    assert saved.exit_code == 0, saved.stderr
    again = run(question, "--case", str(file), "--json")
    assert again.stdout == saved.stdout
    assert "the answer is the one that was saved" in again.stderr
    assert set(read_case(file).typed) == set(asked)


def test_a_saved_case_holds_what_was_typed_and_no_default(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    run("check", *options(GIRL), "--save-case", str(file))
    whole = json.loads(file.read_text("utf-8"))
    assert whole["typed"] == GIRL
    assert whole["schema"] == SCHEMA
    assert whole["version"] == fludapk.__version__


def test_levels_of_a_file_are_kept_in_the_case(tmp_path: Path) -> None:
    levels, case = tmp_path / "levels.csv", tmp_path / "case.json"
    levels.write_text("time_h,conc_mg_l,blq,lloq\n1,0.85,0,\n24,,1,0.01\n", "utf-8")
    arguments = [*options(GIRL), "--levels", str(levels), "--save-case", str(case), "--json"]
    saved = run("update", *arguments)
    levels.unlink()
    assert run("update", "--case", str(case), "--json").stdout == saved.stdout


def test_a_number_that_moved_is_told_with_its_old_and_new_value(tmp_path: Path) -> None:
    case = save_case(GIRL)
    older = CaseFile(
        typed=case.typed,
        version="0.0.9",
        input_sha256=case.input_sha256,
        answer={**case.answer, "auc_0_inf": 14.2, "flag": "met"},
    )
    file = tmp_path / "case.json"
    file.write_text(older.to_json(), "utf-8")
    told = run("check", "--case", str(file)).stderr
    assert "saved by version 0.0.9" in told
    assert "auc_0_inf: 14.2 → 13.5839" in told
    assert "flag: met → below" in told


def test_a_caution_that_is_new_is_told() -> None:
    old_man = {**GIRL, "age": "60", "weight": "80", "height": "178", "scr": "2 mg/dL"}
    case = save_case({**old_man, "regimen": "axi_cel"})
    assert case.answer["cautions"], "a kidney like this has cautions"
    silent = CaseFile(
        typed=case.typed, input_sha256=case.input_sha256, answer={**case.answer, "cautions": ""}
    )
    assert [change.name for change in open_case(silent).changes] == ["cautions"]


def test_the_last_bits_of_a_number_are_no_change() -> None:
    case = save_case(GIRL)
    auc = case.answer["auc_0_inf"]
    assert isinstance(auc, float)
    other_machine = CaseFile(
        typed=case.typed,
        input_sha256=case.input_sha256,
        answer={**case.answer, "auc_0_inf": auc * (1 + 1e-12)},
    )
    assert open_case(other_machine).changes == []


def test_an_edited_case_says_that_its_input_is_not_what_was_saved() -> None:
    case = save_case(GIRL)
    edited = CaseFile(
        typed={**case.typed, "weight": "18.4"}, input_sha256=case.input_sha256, answer=case.answer
    )
    assert open_case(edited).input_is_same is False
    assert "the file was edited" in open_case(edited).sentences()[0]


def test_a_case_asked_another_question_is_not_compared_and_says_what_it_does_not_use() -> None:
    opened = open_case(save_case(ASKED["update"], question="update"), question="check")
    assert opened.changes == []
    assert opened.input_is_same is None
    assert opened.not_used == ["levels", "target", "exclude_level"]


def test_beside_a_case_nothing_else_may_be_typed(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(save_case(GIRL).to_json(), "utf-8")
    refused = run("check", "--case", str(file), "--weight", "20", "--model", "varela2025")
    assert refused.exit_code == 3
    assert "leave out --weight, --model" in refused.stderr
    assert refused.stdout == ""


def test_strict_beside_a_case_refuses_a_patient_outside_the_studied_range(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    far = {**GIRL, "scr": "3 mg/dL", "confirm": ["scr"]}
    file.write_text(save_case(far).to_json(), "utf-8")
    assert run("check", "--case", str(file)).exit_code == 0
    assert run("check", "--case", str(file), "--strict").exit_code == 5


def test_a_case_without_an_answer_can_be_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps({"schema": SCHEMA, "version": "0.2.0", "typed": GIRL}), "utf-8")
    opened = fludapk.open_case(file)
    assert opened.answer.headline.auc_0_inf == fludapk.open_case(GIRL).answer.headline.auc_0_inf
    assert "without an answer" in opened.sentences()[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("[]", "one JSON object"),
        ("{}", "its schema is not"),
        ('{"schema": "fludapk.check/2"}', "is a 'fludapk.check/2', not a case file"),
        ('{"schema": "fludapk.case/2"}', "update fludapk"),
        ('{"schema": "fludapk.case/1", "schema": "fludapk.case/1"}', "more than once"),
        ('{"schema": "fludapk.case/1", "version": "1"}', "typed: an object"),
        ('{"schema": "fludapk.case/1", "typed": {}}', "version: a text is needed"),
        ('{"schema": "fludapk.case/1", "version": "1", "typed": {"age": NaN}}', "NaN"),
        ('{"schema": "fludapk.case/1", "version": "1", "typed": {"age": 1e999}}', "typed: age"),
        ('{"schema": "fludapk.case/1", "version": "1", "typed": {"age": true}}', "typed: age"),
        ('{"schema": "fludapk.case/1", "version": "1", "typed": {"wt": 5}}', "'weight'?"),
        ('{"schema": "fludapk.case/1", "version": "1", "typed": {}, "answers": {}}', "'answer'?"),
        ("[" * 100_000, "is not JSON"),
        ("\ufeff" + " " * MOST_BYTES, "is larger"),
    ],
)
def test_what_is_no_case_file_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why.replace("?", r"\?")):
        CaseFile.from_json(text)


def test_all_faults_of_a_case_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    bad = {"schema": SCHEMA, "question": "chek", "typed": {"wt": 5, "levels": "1h"}, "x": 1}
    file.write_text(json.dumps(bad), "utf-8")
    refused = run("check", "--case", str(file))
    assert refused.exit_code == 3
    assert len(refused.stderr.splitlines()) == 5
    assert all(line.startswith(f"fludapk: {file}: ") for line in refused.stderr.splitlines())


@given(st.dictionaries(st.sampled_from(CASE_NAMES), st.one_of(
    st.text(max_size=20), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(),
    st.lists(st.text(max_size=9), max_size=3),
)))  # fmt: skip
def test_every_case_that_is_written_can_be_read(typed: dict[str, Any]) -> None:
    try:
        text = CaseFile(typed=typed).to_json()
    except InputError:
        return
    read = CaseFile.from_json(text)
    assert read.to_json() == text
    assert set(read.typed) <= set(typed)


def test_every_field_of_a_case_is_used_by_some_question() -> None:
    assert frozenset().union(*USED.values()) == set(CASE_NAMES)


def test_the_api_opens_a_case_as_python_does() -> None:
    case = save_case(ASKED["update"], question="update")
    response = ask("POST", "/api/v1/case", json=json.loads(case.to_json()))
    assert response.status_code == 200
    assert response.json() == json.loads(open_case(case).to_json())
    refused = ask("POST", "/api/v1/case", json={"schema": "fludapk.case/9"})
    assert refused.status_code == 422
    assert "update fludapk" in refused.text


def test_the_answer_in_short_has_the_numbers_of_the_answer() -> None:
    girl = fludapk.Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
    result = fludapk.check(girl, fludapk.Regimen.named("tisa_cel_ball"))
    short = in_short(result)
    assert short["auc_0_inf"] == result.exposure.auc_0_inf
    assert short["dose_mg"] == result.regimen.doses_mg[0]
    assert short["p_below"] == result.headline.p_below
