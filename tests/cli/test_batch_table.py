"""The table of a list on a terminal, and the option that another command has."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from fludapk.cli import main

LIST: Final = (
    "id,age,WT,HT,scr_mg_dl,regimen,sex\n"
    "The-very-long-name-of-a-record-in-a-registry,61,82,176,5.09,axi_cel,male\n"
    "B,5,18.2,110,.3,tisa_cel_ball,\nC,0.7,8,70,.3,tisa_cel_ball,\nD,45,70,70,.9,axi_cel,male\n"
)


def on_a_terminal(path: Path, *options: str, columns: int = 100) -> tuple[str, int]:
    """Output of `fludapk batch` on a terminal, and the exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": f"{columns}", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "fludapk", "batch", str(path), "--points", "4", *options],
        stdout=theirs, stderr=subprocess.DEVNULL, env=environment,
    ) as process:  # fmt: skip
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux ends a terminal so
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;]*m", "", text), process.returncode


def test_a_terminal_shows_a_table_of_a_hundred_columns(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    text, exit_code = on_a_terminal(path, columns=160)
    lines = text.splitlines()
    assert exit_code == 3
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["row", "ID", "age", "dose", "AUC", "(90", "%)", "answer"]
    flat = " ".join(text.split())
    for shown in (
        "61 y",
        "8.4 mo",
        "4 × 22.37 mg",
        "13.58 (",
        "STOP: US label",
        "refused: HT = 70",
    ):
        assert shown in flat
    assert "error,stop,headline" not in text


def test_what_is_not_a_terminal_gets_csv_and_json_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    piped = CliRunner().invoke(main, ["batch", str(path), "--points", "4"]).stdout
    assert piped.startswith("id,age,WT,HT,scr_mg_dl,regimen,sex,error,stop,headline")
    text, _ = on_a_terminal(path, "--json")
    assert text.startswith('{"row": 2, ')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "--level", "2h 1mg/L"), "`fludapk update` has it."),
        (("check", "--map", "A=age"), "These have it: `fludapk batch`, `fludapk evaluate`."),
        (("regimens", "--shard", "2"), "`fludapk simulate` has it."),
        (("check", "--wieght", "2"), "--weight"),
    ],
)
def test_an_option_of_another_command_is_told(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_workbook_is_no_place_for_json(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    words = ["batch", str(path), "--json", "-o", str(tmp_path / "out.xlsx")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3
    assert "a workbook holds no JSON" in result.stderr
    assert list(tmp_path.iterdir()) == [path]
