"""The README shows what the program really prints."""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from fludapk.cli import main
from fludapk.published.model_files import ModelFile
from fludapk.published.tables import read_toml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def consoles() -> list[tuple[list[str], str]]:
    """Commands of fludapk in the README with the output printed below them."""
    blocks = re.findall(r"```console\n\$ fludapk (.*?)\n(.*?)```", README.read_text("utf-8"), re.S)
    return [(shlex.split(command), output) for command, output in blocks]


@pytest.mark.parametrize(("arguments", "shown"), consoles())
def test_the_readme_shows_what_the_command_prints(
    arguments: list[str], shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)  # for what a command writes
    output = CliRunner().invoke(main, arguments).output
    said = [line for line in output.splitlines(keepends=True) if "compiling kernels" not in line]
    assert "".join(said) == shown


def test_there_is_a_worked_patient() -> None:
    assert "check" in [arguments[0] for arguments, _ in consoles()]


def test_the_python_of_the_readme_runs() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_invented_paper_of_the_format_description_is_a_valid_file(tmp_path: Path) -> None:
    examples = re.findall(
        r"```toml\n(.*?)```", (ROOT / "models" / "README.md").read_text("utf-8"), re.S
    )
    (whole,) = [example for example in examples if 'format = "fludapk.model/1"' in example]
    path = tmp_path / "example.toml"
    path.write_text(whole, encoding="utf-8")
    assert read_toml(path, ModelFile).reproduces
