"""`--language`: page and report in a language, data in English."""

import re
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from fludapk.cli import main
from fludapk.language import LANGUAGES, SOURCE, language

GIRL: Final = (
    "--age=5", "--sex=female", "--weight=18.2", "--height=110", "--scr=0.3 mg/dL",
    "--regimen=tisa_cel_ball",
)  # fmt: skip
CLINIC: Final = Path(__file__).parents[2] / "examples" / "clinic.csv"
POINT: Final = re.compile(r"(?<![\w.])\d+\.\d+(?![\w/]|\.\w)")


def run(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != SOURCE])
def test_page_and_report_have_the_decimal_mark_and_the_numbers(code: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    english = run("check", *GIRL).stdout
    result = run("check", *GIRL, "--language", code, "--report", str(report))
    assert (result.exit_code, result.stderr) == (0, "")
    assert POINT.findall(result.stdout) == []
    written, kept = (
        sorted(number.replace(",", ".") for number in re.findall(r"\d+(?:[.,]\d+)?", text))
        for text in (english, result.stdout)
    )
    assert kept == written
    assert "13,8" in report.read_text("utf-8")
    assert language() == SOURCE


def test_json_is_english_and_said_to_be() -> None:
    result = run("check", *GIRL, "--language", "de", "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "--language" in result.stderr
    assert run("check", *GIRL, "--language", "en", "--json").exit_code == 0


def test_results_of_a_list_are_the_same_in_every_language(tmp_path: Path) -> None:
    report, german, english = (tmp_path / name for name in ("list.html", "de.csv", "en.csv"))
    run("batch", str(CLINIC), "-o", str(english))
    result = run(
        "batch", str(CLINIC), "-o", str(german), "--report", str(report), "--language", "de"
    )
    assert result.exit_code == 3
    assert german.read_bytes() == english.read_bytes()
    assert "13,8" in report.read_text("utf-8")


def test_a_case_is_the_same_in_every_language(tmp_path: Path) -> None:
    english, german = tmp_path / "en.json", tmp_path / "de.json"
    run("check", *GIRL, "--save-case", str(english))
    run("check", *GIRL, "--save-case", str(german), "--language", "de")
    assert german.read_bytes() == english.read_bytes()
