"""Help and completion: every command ends with an example that runs, and names complete."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from fludapk.cli import main
from fludapk.cli.examples import EXAMPLES
from fludapk.published.models import model_paths
from fludapk.published.regimens import regimens
from fludapk.published.targets import targets

ROOT: Final = Path(__file__).resolve().parents[2]


def commands(command: click.Command = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}".strip())


COMMANDS: Final = dict(commands())


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_of_every_command_ends_with_its_example(path: str) -> None:
    text = CliRunner().invoke(main, [*path.split(), "--help"], terminal_width=60).output
    last = EXAMPLES[path][-1]
    assert text.rstrip().endswith(f"  {last}"), "on one line, to be copied"
    assert last.startswith(f"fludapk {path}".strip())


def test_every_example_is_of_a_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


def test_every_example_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    for example in dict.fromkeys(text for texts in EXAMPLES.values() for text in texts):
        _, *arguments = shlex.split(example)
        if arguments[0] == "serve":
            continue
        if arguments[:2] == ["simulate", "merge"]:  # the other half, on another machine
            other = "simulate run examples/adaptive.toml --shard 2/2 -o parts"
            assert CliRunner().invoke(main, other.split()).exit_code == 0
        done = CliRunner().invoke(main, arguments)
        refused = 3 if arguments[0] == "batch" else 0  # a row of that list, to be shown
        assert done.exit_code == refused, f"{example}\n{done.output}"


def completed(*typed: str) -> list[str]:
    """Suggestions after what is typed; the last word is not finished."""
    complete = ShellComplete(main, {}, "fludapk", "_FLUDAPK_COMPLETE")
    return [item.value for item in complete.get_completions(list(typed[:-1]), typed[-1])]


@pytest.mark.parametrize("command", ["check", "dose", "update", "batch", "nomogram"])
def test_a_regimen_completes(command: str) -> None:
    names = [name for name in regimens() if name.startswith("tisa")]
    assert len(names) > 0
    assert completed(command, "--regimen", "tisa") == names


def test_targets_models_and_formulas_complete() -> None:
    assert completed("dose", "--target", "") == list(targets())
    assert completed("check", "--model", "") == list(model_paths())
    assert completed("evaluate", "--model", "va") == ["varela2025"]
    assert completed("models", "show", "lang") == ["langenhorst2019", "langenhorst2019_indexed"]
    assert completed("models", "verify", "moh") == ["mohanan2017"]
    assert completed("regimens", "show", "axi") == [n for n in regimens() if n.startswith("axi")]
    assert completed("check", "--bsa-formula", "m") == ["mosteller"]
    assert "ckid_u25" in completed("check", "--egfr-formula", "")
    assert completed("check", "--confirm", "w") == ["weight"]
    assert "axi_cel" in completed("check", "--product", "")


def test_own_models_complete(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").touch()
    assert completed("check", "--models-dir", str(tmp_path), "--model", "o") == ["ours"]
    assert completed("check", "--models-dir", str(tmp_path / "absent"), "--model", "o") == []


def test_files_and_folders_are_left_to_the_shell() -> None:
    complete = ShellComplete(main, {}, "fludapk", "_FLUDAPK_COMPLETE")
    kinds = {
        option: complete.get_completions([command, option], "x")[0].type
        for command, option in (("check", "--case"), ("check", "--report"),
                                ("check", "--models-dir"), ("qualify", "--against"))
    }  # fmt: skip
    assert kinds == {
        "--case": "file", "--report": "file", "--models-dir": "dir", "--against": "file",
    }  # fmt: skip
