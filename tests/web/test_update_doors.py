"""Measured levels at every door: the stop, the confirmation of times, and levels left out."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from asking import Page, ask
from click.testing import CliRunner, Result

from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen

PATIENT: Final = Patient(
    age_years=5.0, sex="female", weight_kg=18.2, height_cm=110.0, scr_mg_dl=0.3
)
BALL: Final = Regimen.named("tisa_cel_ball")
GIRL: Final = {"age": 5, "sex": "female", "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
               "regimen": "tisa_cel_ball"}  # fmt: skip
FORM: Final = {
    "age": "5", "age_unit": "years", "sex": "female", "weight": "18.2", "weight_unit": "kg",
    "height": "110", "height_unit": "cm", "renal": "0.3", "renal_unit": "mg/dL",
    "regimen": "tisa_cel_ball", "window_low": "13.8", "window_high": "20",
    "time_unit": "h", "conc_unit": "mg/L",
}  # fmt: skip
MISFIT: Final = ("1h 0.85mg/L", "7h 0.9mg/L", "23.5h 0.03mg/L")
LATE: Final = ("2h 0.52mg/L", "300h 0.01mg/L")
STOP: Final = "the levels do not fit together: clearance would be 78 % below typical"


def command(levels: tuple[str, ...], *words: str) -> Result:
    options = [f"--{name}={value}" for name, value in GIRL.items()]
    options += [f"--level={level}" for level in levels]
    result = CliRunner().invoke(main, ["update", *options, "--window", "13.8", "20", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def request(levels: tuple[str, ...], **more: Any) -> Any:
    body = {**GIRL, "levels": list(levels), "window": [13.8, 20], **more}
    return ask("POST", "/api/v1/update", json=body)


def form(levels: tuple[str, ...], **more: str) -> dict[str, str]:
    fields = dict(FORM)
    for k, level in enumerate(levels, start=1):
        time, conc = level.split()
        fields |= {f"time_{k}": time.removesuffix("h"), f"conc_{k}": conc.removesuffix("mg/L")}
    return {**fields, **more}


def page(fields: dict[str, str]) -> Page:
    return Page(ask("POST", "/levels", data=fields).text)


def box(shown: Page) -> dict[str, str]:
    """Box that confirms the times of levels, as a browser posts it."""
    (found,) = [tag for tag in shown.of("input") if tag.get("name") == "confirm_level"]
    return {"confirm_level": f"{found['value']}"}


# --- Levels that do not fit -----------------------------------------------------------------------


def test_a_misfit_is_printed_whole_with_exit_code_6() -> None:
    shown = command(MISFIT)
    assert shown.exit_code == 6
    assert "STOP: " + STOP in " ".join(shown.stdout.split())
    assert "No dose is proposed" in shown.stdout
    assert f"fludapk: {STOP}" in shown.stderr
    short = command(MISFIT, "--brief")
    assert (short.exit_code, "Levels\n" in short.stdout) == (6, False)
    assert STOP in " ".join(short.stdout.split())


def test_every_door_stops_with_the_same_words() -> None:
    terminal = command(MISFIT, "--json")
    library = json.loads(update(PATIENT, BALL, MISFIT, window=(13.8, 20.0)).to_json())
    api = request(MISFIT)
    assert (terminal.exit_code, api.status_code) == (6, 200)
    assert json.loads(terminal.stdout) == library == api.json()
    assert (library["schema"], library["remaining"], library["flag"]) == (
        "fludapk.update/2", None, None,
    )  # fmt: skip
    assert [row["fits"] for row in library["without"]] == [False, True, False]
    answer = page(form(MISFIT))
    assert STOP in answer.text
    assert "No dose is proposed." in answer.text
    assert "Not proposed: what the model would give" in answer.text
    said = ask("POST", "/levels", data=form(MISFIT), headers={"x-part": "answer"}).text
    assert f'data-said="STOP: {STOP}' in said


def test_a_report_of_a_misfit_is_written(tmp_path: Path) -> None:
    path = tmp_path / "levels.html"
    assert command(MISFIT, f"--report={path}").exit_code == 6
    assert "<strong>STOP</strong> " + STOP in path.read_text("utf-8")


# --- Levels left out ------------------------------------------------------------------------------


def test_a_level_is_left_out_at_every_door_and_named() -> None:
    library = json.loads(
        update(PATIENT, BALL, MISFIT, window=(13.8, 20.0), exclude_level=[2]).to_json()
    )
    terminal = command(MISFIT, "--exclude-level=2", "--json")
    assert terminal.exit_code == 0
    assert json.loads(terminal.stdout) == library == request(MISFIT, exclude_level=[2]).json()
    name = "evel 2 (7 h, 0.9 mg/L) was left out as asked"
    assert name in command(MISFIT, "--exclude-level=2").stdout
    answer = page(form(MISFIT, exclude_2="1"))
    assert name in answer.text
    assert f"{library['remaining']['dose_mg']:g} mg fludarabine phosphate each" in answer.text
    (ticked,) = [tag for tag in answer.of("input") if tag.get("name") == "exclude_2"]
    assert "checked" in ticked


def test_rows_of_a_file_are_counted_after_the_levels_typed(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("time_h,conc_mg_l\n23.5,0.03\n7,0.9\n")
    shown = command(MISFIT[:1], f"--levels={path}", "--exclude-level=3", "--json")
    assert json.loads(shown.stdout)["provenance"]["excluded_levels"] == [3]
    assert shown.exit_code == 0


@pytest.mark.parametrize("place", ["4", "0", "x"])
def test_a_level_that_is_not_there_is_refused(place: str) -> None:
    shown = command(MISFIT, f"--exclude-level={place}")
    assert shown.exit_code == 3
    assert f"--exclude-level = '{place}' is no level" in shown.stderr


def test_a_request_names_the_field_of_a_level_that_is_not_there() -> None:
    (fault,) = request(MISFIT, exclude_level=[9]).json()["faults"]
    assert fault["fields"] == ["exclude_level"]
    (fault,) = request(MISFIT, exclude_level=[1, 2, 3]).json()["faults"]
    assert fault["fields"] == ["exclude_level"]
    shown = page(form(MISFIT, exclude_1="1", exclude_2="1", exclude_3="1"))
    assert "leaves no level" in shown.text


# --- Times that must be confirmed -----------------------------------------------------------------


def test_an_unlikely_time_is_refused_until_it_is_confirmed_at_every_door() -> None:
    refused = command(LATE)
    assert refused.exit_code == 3
    assert refused.stderr.rstrip().endswith("if 300 h is meant, --confirm level")
    confirmed = command(LATE, "--confirm=level", "--json")
    assert confirmed.exit_code in (0, 6)
    (fault,) = request(LATE).json()["faults"]
    assert (fault["fields"], fault["confirm"]) == (["levels"], "level")
    answer = request(LATE, confirm=["level"])
    assert answer.json() == json.loads(confirmed.stdout)
    shown = page(form(LATE))
    assert "Yes, 300 h is meant" in shown.text
    assert [tag["id"] for tag in shown.of("input") if tag.get("aria-invalid")] == ["time_2"]
    again = page(form(LATE) | box(shown))
    assert "confirmed as meant" in again.text
    assert "Confirmed: level" in again.text


def test_a_confirmed_time_must_be_confirmed_again_with_other_levels() -> None:
    ticked = box(page(form(LATE)))
    other = page(form((LATE[0], "301h 0.01mg/L")) | ticked)
    assert "Yes, 301 h is meant" in other.text


def test_one_box_confirms_all_times_and_names_them() -> None:
    shown = page(form((*LATE, "-1h <0.01mg/L"), below_3="1", conc_3="0.01"))
    assert "Yes, -1 h and 300 h are meant" in shown.text
    box(shown)


def test_the_size_of_a_patient_and_a_time_are_confirmed_together() -> None:
    big = {**GIRL, "weight": 40.5, "age": 5}
    body = {**big, "levels": list(LATE)}
    faults = ask("POST", "/api/v1/update", json=body).json()["faults"]
    assert [fault["confirm"] for fault in faults] == ["weight"]
    body["confirm"] = ["weight", "height", "level"]
    assert ask("POST", "/api/v1/update", json=body).status_code == 200
    unknown = ask("POST", "/api/v1/check", json={**GIRL, "confirm": ["level"]})
    assert unknown.status_code == 422


# --- Doses given ----------------------------------------------------------------------------------


def test_doses_given_above_a_ceiling_are_computed_at_every_door() -> None:
    levels = ("2h 1.2mg/L",)
    terminal = command(levels, "--given=0h 60mg", "--json")
    assert terminal.exit_code == 0
    found = json.loads(terminal.stdout)
    assert found["remaining"] is None
    assert "80.5 mg/m2 in a day, at most 50" in found["headline"]["stops"][0]
    assert request(levels, given=["0h 60mg"]).json() == found
    assert "80.5 mg/m² in a day, at most 50" in page(form(levels, given="0h 60mg")).text
