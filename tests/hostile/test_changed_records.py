"""What a study wrote is verified before it is believed again."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fludapk.answers.record import hash_of
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.studies.counts import COUNTED
from fludapk.studies.outputs import PARTS, Parts
from fludapk.studies.shards import Shard, merge, run_shard
from fludapk.studies.simulate import read_scenario

SCENARIO: dict[str, Any] = {
    "title": "small", "seed": 3, "patients": 5000, "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
    "strata": [{"by": "sex"}],
}  # fmt: skip
STUDY = read_scenario(SCENARIO)
SHARDS = [run_shard(STUDY.scenario, (k, 2)).to_json() for k in (1, 2)]
TOML = """
title = "small"
seed = 3
patients = 500
models = ["langenhorst2019"]
population = { use = "prwcc_ball" }
[[strategies]]
id = "label"
kind = "fixed"
regimen = "tisa_cel_ball"
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *words])


def times_ten(table: dict[str, Any]) -> None:
    (counts,) = table["counts"]
    counts["counts"] = [[10 * n for n in row] for row in counts["counts"]]


def one_number(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"][0][COUNTED.index("above_20")] += 1


def fewer_below_14(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"][0][COUNTED.index("below_14")] = 0


def fewer_below_13_8(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"][0][COUNTED.index("below_13_8")] -= 1


def another_limit(table: dict[str, Any]) -> None:
    table["counts"][0]["edges"][0] = 12.0


def a_lost_group(table: dict[str, Any]) -> None:
    table["counts"][0]["groups"][0][0][0][0] -= 1


def negative(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"][1][2] = -1


def lost_histogram(table: dict[str, Any]) -> None:
    table["counts"][0]["histograms"][0][0].pop()


def another_strategy(table: dict[str, Any]) -> None:
    table["counts"][0]["strategy"] = "other"


def a_fraction(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"][0][0] += 0.5


def a_row_less(table: dict[str, Any]) -> None:
    table["counts"][0]["counts"].pop()


def another_version(table: dict[str, Any]) -> None:
    table["run"]["version"] = "0.0.1"


def another_block(table: dict[str, Any]) -> None:
    table["run"]["block"] = 1


def another_seed(table: dict[str, Any]) -> None:
    table["run"]["seed"] = 4


def another_scenario(table: dict[str, Any]) -> None:
    table["run"]["scenario"]["window"]["low"] = 10.0


def no_such_part(table: dict[str, Any]) -> None:
    table["shard"] = [3, 2]


CHANGES = [
    times_ten, one_number, fewer_below_14, fewer_below_13_8, another_limit, a_lost_group, negative,
    lost_histogram, another_strategy, a_fraction, a_row_less, another_version, another_block,
    another_seed, another_scenario, no_such_part,
]  # fmt: skip


FORGED = [change for change in CHANGES if change is not one_number]
"""With a checksum of its own; one plausible number of such a forgery cannot be told from truth."""


@pytest.mark.parametrize(
    ("change", "with_checksum"),
    [*((change, False) for change in CHANGES), *((change, True) for change in FORGED)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_changed_shard_is_not_merged(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], with_checksum: bool
) -> None:
    table = json.loads(SHARDS[0])
    change(table)
    if with_checksum:  # as somebody who wants to deceive would
        table["sha256"] = hash_of({k: v for k, v in table.items() if k != "sha256"})
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    paths[0].write_text(json.dumps(table))
    paths[1].write_text(SHARDS[1])
    result = run("merge", *map(str, paths))
    assert result.exit_code == 3, result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "[" * 100_000, "9" * 5000, '{"schema": 1}', "\x00", "NaN"]
)
def test_what_is_no_shard_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shard.json"
    path.write_text(text)
    with pytest.raises(InputError):
        Shard.read(path)
    for words in (["merge", str(path)], ["--replay", str(path)]):
        result = run(*words)
        assert result.exit_code == 3
        assert "Traceback" not in result.stderr
        assert len(result.stderr) < 1000


def test_true_shards_merge(tmp_path: Path) -> None:
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    for path, text in zip(paths, SHARDS, strict=True):
        path.write_text(text)
    merged = merge([Shard.read(path) for path in paths])
    assert merged.rows()[0]["n"] == 5000


def test_shards_of_a_model_of_ones_own_merge_with_its_folder(tmp_path: Path) -> None:
    from fludapk.published.models import load_model, model_folders

    own = tmp_path / "models"
    own.mkdir()
    text = load_model().path.read_text("utf-8").replace('"langenhorst2019"', '"own2026"', 1)
    (own / "own2026.toml").write_text(text, "utf-8")
    scenario = read_scenario({**SCENARIO, "models": ["own2026"]}, model_folders(own)).scenario
    shard = run_shard(scenario, (1, 1), folders=model_folders(own))
    path = tmp_path / "shard.json"
    path.write_text(shard.to_json())
    assert run("merge", str(path), "--models-dir", str(own)).exit_code == 0
    without = run("merge", str(path))
    assert without.exit_code == 3
    assert "--models-dir" in without.stderr


def test_a_changed_scenario_does_not_replay(tmp_path: Path) -> None:
    record = json.loads(STUDY.provenance.to_json())
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record))
    assert run("--replay", str(path), "--json").exit_code == 0
    changed = copy.deepcopy(record)
    changed["scenario"]["window"]["low"] = 10.0
    path.write_text(json.dumps(changed))
    result = run("--replay", str(path))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "not the one that was run" in result.stderr


def test_a_changed_part_does_not_go_on(tmp_path: Path) -> None:
    parts = Parts(tmp_path, STUDY)
    parts.save(STUDY.run(STUDY.truths[0], "label", threads=1))
    path = parts.path("langenhorst2019", "label")
    assert parts.load("langenhorst2019", "label") is not None
    table = json.loads(path.read_text())
    table["counts"]["counts"] = [[10 * n for n in row] for row in table["counts"]["counts"]]
    for with_checksum in (False, True):
        if with_checksum:
            table["sha256"] = hash_of({k: v for k, v in table.items() if k != "sha256"})
        path.write_text(json.dumps(table))
        with pytest.raises(InputError):
            parts.load("langenhorst2019", "label")
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        parts.load("langenhorst2019", "label")


# --- A study that was computed is not lost --------------------------------------------------------


def scenario_file(folder: Path) -> str:
    path = folder / "study.toml"
    path.write_text(TOML)
    return str(path)


def test_a_foreign_file_among_the_parts_stays_and_costs_nothing(tmp_path: Path) -> None:
    results = tmp_path / "out"
    (results / PARTS).mkdir(parents=True)
    (results / PARTS / "notes.json").write_text("mine")
    assert run(scenario_file(tmp_path), "-o", str(results)).exit_code == 0
    assert (results / "summary.csv").is_file()
    assert (results / PARTS / "notes.json").read_text() == "mine"
    assert [path.name for path in (results / PARTS).iterdir()] == ["notes.json"]


def test_what_was_computed_outlives_a_figure_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fludapk.pages import study as page

    def full(*_: Any) -> Any:
        raise InputError("figures/x.svg: cannot be written: No space left on device")

    monkeypatch.setattr(page, "drawn", full, raising=False)
    monkeypatch.setattr("fludapk.pages.figure.drawn", full)
    results = tmp_path / "out"
    result = run(scenario_file(tmp_path), "-o", str(results))
    assert result.exit_code == 3
    assert {"summary.csv", "summary.json", "run.json", PARTS} <= {p.name for p in results.iterdir()}
    monkeypatch.undo()
    again = run(scenario_file(tmp_path), "-o", str(results), "--continue")
    assert again.exit_code == 0
    assert not (results / PARTS).exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("a file")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed")

    monkeypatch.setattr("fludapk.studies.study.Study.run", never)
    for more in ([], ["--shard", "1/1"]):
        result = run(scenario_file(tmp_path), "-o", str(tmp_path / "out"), *more)
        assert result.exit_code == 3, result.exception
        assert "cannot be written" in result.stderr
