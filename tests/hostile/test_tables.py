"""Files of models, courses and studies with one value replaced, each value in turn."""

import copy
import math
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

import fludapk as fl
from fludapk.answers.prediction import predict
from fludapk.errors import ExitStatus, FludapkError
from fludapk.published.course_files import RegimenFile, TargetFile
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model
from fludapk.published.outcome_files import OutcomeFile
from fludapk.published.population_files import PopulationFile
from fludapk.published.tables import Table, check_table
from fludapk.studies.scenario import Scenario
from fludapk.studies.simulate import read_scenario

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "fludapk" / "data"
MODELS: Final = sorted((ROOT / "models").glob("*.toml"))
SCENARIOS: Final = sorted((ROOT / "examples").glob("*.toml"))
FILES: Final[list[tuple[Path, type[Table]]]] = [
    *((path, ModelFile) for path in MODELS),
    *((path, Scenario) for path in SCENARIOS),
    (DATA / "populations.toml", PopulationFile),
    (DATA / "outcomes.toml", OutcomeFile),
    (DATA / "regimens.toml", RegimenFile),
    (DATA / "targets.toml", TargetFile),
]
ODD: Final[list[Any]] = [
    [], {}, True, False, 0, -1, 2**70, 1.5, "", "x", [[]], [{}], {"a": []}, [1, "a"], {"": {}},
]  # fmt: skip


def odd_tables(path: Path) -> Iterator[dict[str, Any]]:
    """Tables of a file, each with one value, table or list replaced by something odd."""
    raw = tomllib.loads(path.read_text("utf-8"))
    for place in places(raw):
        for value in ODD:
            yield replaced(raw, place, value)


def places(table: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    entries = enumerate(table) if isinstance(table, list) else ()
    for key, value in table.items() if isinstance(table, dict) else entries:
        yield from places(value, (*above, key))


def replaced(table: Any, place: tuple[Any, ...], value: Any) -> Any:
    key, *inner = place
    changed = copy.copy(table)
    changed[key] = replaced(table[key], tuple(inner), value) if inner else value
    return changed


def answered(call: Callable[[], Any]) -> Any:
    """Answer of a call, or nothing if it is refused by a fault."""
    try:
        return call()
    except FludapkError as error:
        if error.exit_status == ExitStatus.INTERNAL:
            raise
        return None


def accepted(path: Path, kind: type[Table]) -> list[Any]:
    """Odd tables that pass all the same."""
    tried = (
        (raw, answered(partial(check_table, raw, kind, path.name))) for raw in odd_tables(path)
    )
    return [(raw, table) for raw, table in tried if table is not None]


@pytest.mark.parametrize(("path", "kind"), FILES, ids=[path.name for path, _ in FILES])
def test_an_odd_value_anywhere_in_a_file_is_a_fault_or_a_value(
    path: Path, kind: type[Table]
) -> None:
    assert accepted(path, kind), "some texts may be anything"


@pytest.mark.parametrize("path", MODELS, ids=[path.name for path in MODELS])
def test_what_passes_as_a_model_predicts_or_is_refused(path: Path) -> None:
    girl = fl.Patient(
        age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL",
        genotype="GG", diagnosis="fanconi_anaemia", product="tisa_cel",
    )  # fmt: skip
    course = fl.Regimen.named("tisa_cel_ball")
    predicted = 0
    for _, file in accepted(path, ModelFile):
        model = Model(file, path, "0" * 64)
        outcome = answered(partial(predict, model, girl, course, course.course_of(20.0)))
        if outcome is not None:
            assert 0 < outcome.auc_0_inf < math.inf
            assert 0 < outcome.half_life_h < math.inf
            predicted += 1
    assert predicted


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.name for path in SCENARIOS])
def test_what_passes_as_a_scenario_is_a_study_or_is_refused(path: Path) -> None:
    tables = [raw for raw, _ in accepted(path, Scenario)]
    studies = [answered(partial(read_scenario, raw, beside=path.parent)) for raw in tables]
    assert any(study is not None for study in studies)
