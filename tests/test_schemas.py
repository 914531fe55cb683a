"""The published JSON schemas are those of the records, under names that stay."""

import json
from pathlib import Path
from typing import Any, Final

import make_schemas
import pytest

import fludapk
from fludapk.answers.record import Record

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "schemas"
GIRL: Final = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
               "regimen": "tisa_cel_ball"}  # fmt: skip


SCHEMAS: Final = make_schemas.schemas()


def test_every_schema_has_its_file_and_every_file_its_schema() -> None:
    assert set(SCHEMAS) == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_published_schema_is_that_of_its_record(name: str) -> None:
    """If not: python tools/make_schemas.py; a key that changes its meaning takes a new number."""
    published = json.loads((FOLDER / name).read_text("utf-8"))
    assert published["properties"] == SCHEMAS[name]["properties"]
    assert set(published.get("$defs", {})) == set(SCHEMAS[name].get("$defs", {}))


@pytest.mark.parametrize("question", ["check", "dose", "update"])
def test_an_answer_has_just_the_keys_of_its_schema(question: Any) -> None:
    goal = {"target": "fabrizio2022"} if question == "dose" else {}
    levels = {"levels": ["1h 0.85mg/L"]} if question == "update" else {}
    opened = fludapk.open_case({**GIRL, **goal, **levels}, question=question)
    for answer in (opened, opened.answer):
        assert isinstance(answer, Record)
        whole = answer.to_dict()
        name = f"{whole['schema'].replace('/', '.')}.schema.json"
        assert set(whole) == set(SCHEMAS[name]["properties"])


def test_a_saved_case_has_only_keys_of_its_schema() -> None:
    whole = json.loads(fludapk.save_case(GIRL).to_json())
    schema = SCHEMAS["fludapk.case.1.schema.json"]
    assert set(whole) == set(schema["properties"])
    assert set(whole["typed"]) <= set(schema["properties"]["typed"]["properties"])
