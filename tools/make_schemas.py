"""Write the JSON schemas of what fludapk prints and reads into `docs/schemas`.

``python tools/make_schemas.py`` writes them anew from the records; ``--check`` only says whether
they are up to date. A file keeps its name while its schema keeps its number.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from pydantic import TypeAdapter

from fludapk.answers.case import OpenedCase
from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_records import CompareResult
from fludapk.answers.design import Design
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.nomogram_records import Nomogram
from fludapk.answers.qualification_records import Qualification
from fludapk.answers.update_records import UpdateResult
from fludapk.patients.case_file import CASE_FIELDS, QUESTIONS, SCHEMA
from fludapk.patients.fields import FIELDS
from fludapk.published.model_files import ModelFile
from fludapk.studies.drivers import DriversResult
from fludapk.studies.evaluation_records import EvaluationRecord
from fludapk.studies.outcome_records import OutcomeResult, TrialResult
from fludapk.studies.records import StudyProvenance
from fludapk.studies.shortage import ShortageResult
from fludapk.studies.ward import WardResult

FOLDER: Final = Path(__file__).parents[1] / "docs" / "schemas"
RECORDS: Final[tuple[type, ...]] = (
    CheckResult, DoseResult, CompareResult, UpdateResult, Design, Nomogram, OpenedCase,
    Qualification, EvaluationRecord, StudyProvenance, OutcomeResult, TrialResult, WardResult,
    ShortageResult, DriversResult,
)  # fmt: skip
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def file_name(schema: str) -> str:
    """Name of the file of a schema: ``fludapk.check/2`` is in ``fludapk.check.2.schema.json``."""
    return f"{schema.replace('/', '.')}.schema.json"


def _of_fields(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out `Record.source`, an `InitVar` that pydantic before 2.14 takes for a field."""
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("properties", {}).get("source") == {"default": None, "title": "Source"}:
            del part["properties"]["source"]
    return schema


def schemas() -> dict[str, dict[str, Any]]:
    """Return name of the file -> JSON schema."""
    made = {}
    for record in RECORDS:
        (name,) = get_args(get_type_hints(record)["schema"])
        whole = _of_fields(TypeAdapter(record).json_schema(mode="serialization"))
        made[file_name(name)] = {"$schema": DIALECT, **whole, "title": name}
    model = ModelFile.model_json_schema()
    made[file_name("fludapk.model/1")] = {"$schema": DIALECT, **model, "title": "fludapk.model/1"}
    made[file_name(SCHEMA)] = case_schema()
    return made


def case_schema() -> dict[str, Any]:
    """Return the schema of case files, its fields from the ones that may be typed."""
    several = {"levels", "given", *(key for key in CASE_FIELDS if FIELDS[key].several)}
    special: dict[str, dict[str, Any]] = {
        "window": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        "auc": {"type": "number"},
        "probability": {"type": "number"},
        "strict": {"type": "boolean"},
        "levels": {"type": "array", "items": {"type": ["string", "object"]}},
    }
    typed = {}
    for key in CASE_FIELDS:
        kind: dict[str, Any] = {"type": ["string", "number"]}
        if key in several:
            kind = {"type": "array", "items": kind}
        typed[FIELDS[key].name] = {**special.get(key, kind), "description": FIELDS[key].help}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    return {
        "$schema": DIALECT,
        "title": SCHEMA,
        "description": "What was typed about one patient, and the answer of that day in short.",
        "type": "object",
        "required": ["schema", "version", "typed"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": SCHEMA},
            "version": {"type": "string"},
            "question": {"enum": list(QUESTIONS), "default": "check"},
            "typed": {"type": "object", "properties": typed, "additionalProperties": False},
            "input_sha256": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
            "answer": {"type": ["object", "null"], "additionalProperties": scalar},
        },
    }


def main() -> int:
    """Write the files, or check them."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="only say if they are up to date")
    only_check, stale = arguments.parse_args().check, 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        text, path = json.dumps(schema, indent=1, ensure_ascii=False) + "\n", FOLDER / name
        if only_check and (not path.is_file() or path.read_text("utf-8") != text):
            print(f"{path}: write it anew")
            stale = 1
        elif not only_check:
            path.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
