"""A slip at the command line and in a list: refused with its likely meaning, until confirmed."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from fludapk.cli import main

SIZE: Final = {"age": "61", "sex": "male", "weight": "82", "height": "176"}
MAN: Final = {**SIZE, "scr": "0.9 mg/dL"}
GIRL: Final = {"age": "5", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL"}
SLIPS: Final = (
    ("age", {**GIRL, "sex": "female", "age": "60"}, "60 months would be 5 y"),
    ("weight", {**MAN, "weight": "160"}, "160 lb would be 72.57 kg"),
    ("weight", {**GIRL, "weight": "81.2"}, "with digits transposed it would be 18.2 kg"),
    ("weight", {**MAN, "weight": "28"}, "with digits transposed it would be 82 kg"),
    ("height", {**MAN, "height": "70"}, "70 in would be 177.8 cm"),
    ("height", {**GIRL, "height": "43"}, "43 in would be 109.2 cm"),
    ("height", {**GIRL, "height": "135"}, "a body mass index of 9.99 kg/m2"),
    ("scr", {**GIRL, "scr": "22 mg/dL"}, "22 umol/L would be 0.2489 mg/dL"),
    ("scr", {**MAN, "scr": "0.09 mg/dL"}, "0.09 mmol/L would be 1.018 mg/dL"),
    ("crcl", {**SIZE, "crcl": "5.7"}, "5.7 L/h would be 95 mL/min"),
    ("egfr", {**SIZE, "egfr": "1.6"}, "1.6 mL/s would be 96 mL/min/1.73 m2"),
)
COMMANDS: Final = {
    "check": [],
    "dose": ["--auc=15"],
    "update": ["--level=2h 0.6mg/L"],
}


def run(command: str, patient: dict[str, str], *words: str) -> Result:
    options = [f"--{name}={text}" for name, text in patient.items()]
    result = CliRunner().invoke(main, [command, *options, "--regimen=axi_cel", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.mark.parametrize(("name", "patient", "likely"), SLIPS)
def test_a_slip_is_refused_until_it_is_confirmed(
    name: str, patient: dict[str, str], likely: str
) -> None:
    refused = run("check", patient)
    assert (refused.exit_code, refused.stdout) == (3, "")
    (line,) = [line for line in refused.stderr.splitlines() if "compiling" not in line]
    assert line.startswith(f"fludapk: --{name} = ")
    assert likely in line
    assert line.endswith(f"is meant, --confirm {name}")
    answer = run("check", patient, f"--confirm={name}", "--json")
    assert answer.exit_code == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["patient"]["confirmed"] == [name]
    assert [r["severity"] for r in found["remarks"] if r["code"] == "confirmed"] == ["caution"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_one_patient_asks_and_believes(command: str) -> None:
    words = COMMANDS[command]
    heavy = {**MAN, "weight": "160"}
    assert "--confirm weight" in run(command, heavy, *words).stderr
    answer = run(command, heavy, *words, "--confirm", "weight", "--confirm", "scr", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "confirmed: weight 160 kg at 61 y" in answer.stdout


def test_an_unknown_confirmation_is_refused() -> None:
    refused = run("check", MAN, "--confirm", "wieght")
    assert refused.exit_code == 3
    assert "--confirm = 'wieght' is unknown: did you mean 'weight'?" in refused.stderr


def test_the_cap_is_an_option_and_shown() -> None:
    heavy = {**MAN, "weight": "125"}
    page = run("check", heavy, "--bsa-cap", "2.0").stdout
    assert "cap: as chosen, for the dose only" in page
    assert "30 mg/m² × 2.0000 m²" in page
    assert (
        "--bsa-cap = 200 m2 must be from 1 to 3 m2" in run("check", heavy, "--bsa-cap=200").stderr
    )
    text = (
        CliRunner()
        .invoke(
            main,
            ["nomogram", "--regimen=axi_cel", "--age=60", "--height=178", "--bsa-cap=2", "--json"],
        )
        .stdout
    )
    nomogram = json.loads(text)
    assert "body surface area capped at 2 m2" in nomogram["dose_text"]
    assert max(nomogram["doses_mg"]) == 60.0


# --- Lists ----------------------------------------------------------------------------------------

NAMES: Final = {"age": "age_years", "weight": "weight_kg", "height": "height_cm"}


def batch(tmp_path: Path, table: list[dict[str, str]], *words: str) -> list[dict[str, Any]]:
    """Rows of results of a list with these rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in table for name in row)))
    writer.writeheader()
    writer.writerows(table)
    path = tmp_path / "list.csv"
    path.write_text(text.getvalue())
    result = CliRunner().invoke(main, ["batch", str(path), "--regimen=axi_cel", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.mark.parametrize(("name", "patient", "likely"), SLIPS)
def test_a_slip_is_refused_in_its_row_until_the_row_confirms_it(
    tmp_path: Path, name: str, patient: dict[str, str], likely: str
) -> None:
    row = {NAMES.get(key, key): text for key, text in patient.items()}
    column = NAMES.get(name, name)
    (alone,) = batch(tmp_path, [row])
    assert alone["error"].startswith(f"{column} = ")
    assert likely in alone["error"]
    assert alone["error"].endswith(f'is meant, write in a column "confirm": {name}')
    before, after = batch(tmp_path, [{**row, "confirm": ""}, {**row, "confirm": f"{name}; scr"}])
    assert before["error"].endswith(f"is meant, confirm {name}")
    assert (after["error"], after["confirmed"]) == ("", name)
    assert "confirmed" in after["remarks"]


def test_a_header_with_the_usual_unit_makes_a_number_no_surer(tmp_path: Path) -> None:
    rows = [
        {"age": "61", "sex": "male", "weight_kg": weight, "height_cm": "176", "scr_mg_dl": "0.9"}
        for weight in ("160", "160 kg", "82")
    ]
    asked, written, usual = batch(tmp_path, rows)
    assert "160 lb would be 72.57 kg" in asked["error"]
    assert (written["error"], usual["error"]) == ("", "")


def test_a_header_with_another_unit_is_believed(tmp_path: Path) -> None:
    row = {"age": "5", "weight_lb": "88", "height_in": "43", "scr_mg_dl": "0.3"}
    (answer,) = batch(tmp_path, [row])
    assert answer["error"] == ""
    assert float(answer["weight_kg"]) == pytest.approx(39.9, abs=0.05)


def test_an_unknown_confirmation_is_refused_in_its_row(tmp_path: Path) -> None:
    row = {"age": "5", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL", "confirm": "yes"}
    (answer,) = batch(tmp_path, [row])
    assert "confirm = 'yes' is unknown" in answer["error"]


def test_a_cap_is_a_column_and_an_option_for_all_rows(tmp_path: Path) -> None:
    heavy = {"age": "60", "sex": "male", "weight": "125", "height": "178", "scr": "1.1 mg/dL"}
    (capped,) = batch(tmp_path, [{**heavy, "bsa_cap": "2"}])
    assert (capped["doses_mg"], capped["bsa_cap_m2"]) == ("60 60 60", "2.0")
    (for_all,) = batch(tmp_path, [heavy], "--bsa-cap", "2 m2")
    assert for_all["doses_mg"] == "60 60 60"
    (free,) = batch(tmp_path, [heavy])
    assert free["bsa_cap_m2"] == ""
