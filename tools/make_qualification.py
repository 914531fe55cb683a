"""Write `fludapk/data/qualification.json`: hashes and known answers of this release.

``python tools/make_qualification.py`` writes the file anew. Do so when a model, a regimen, a target
or a result has changed on purpose, and say what moved in CHANGELOG.md, under "Model numbers";
``--check`` only says whether the file is up to date.
"""

from __future__ import annotations

import argparse
import ast
import csv
import doctest
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fludapk._version import __version__
from fludapk.answers.installation import RELEASED, data_files, sha256_of
from fludapk.answers.operation import short_answer
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import load_models

GOLDEN: Final = Path(__file__).parents[1] / "tests" / "golden"
PARAMETERS: Final = ("CL", "V1", "Q2", "V2", "Q3", "V3")

GIRL: Final = {
    "age": 5, "sex": "female", "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
INFANT: Final = {
    "age": "8 mo", "sex": "male", "weight": 8.4, "height": 70, "scr": "0.2 mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
MAN: Final = {
    "age": 60, "sex": "male", "weight": 80, "height": 178, "scr": "88.4 umol/L",
    "regimen": "axi_cel",
}  # fmt: skip
CASES: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("girl of 5 years", "check", GIRL),
    ("girl of 5 years, other reading", "check", {**GIRL, "model": "langenhorst2019_indexed"}),
    ("infant of 8 months", "check", INFANT),
    ("boy of 12 years, eGFR given", "check", {
        "age": 12.5, "sex": "male", "weight": 36.3, "height": 153, "egfr": 125,
        "dose": "25 mg/m2", "days": 3, "diagnosis": "b_all"}),
    ("man of 60 years", "check", MAN),
    ("man of 60 years, varela2025", "check", {**MAN, "model": "varela2025"}),
    ("man of 60 years, reduced dose", "check", {**MAN, "dose": "24 mg/m2", "round_to": 5}),
    ("woman of 45 years, in pounds and inches", "check", {
        "age": 45, "sex": "female", "weight": "143 lb", "height": "65 in", "scr": "0.7 mg/dL",
        "regimen": "axi_cel", "bsa_cap": "1.6"}),
    ("man of 30 years, aplastic anaemia, mohanan2017", "check", {
        "age": 30, "sex": "male", "weight": 60, "height": 168, "scr": "0.9 mg/dL",
        "dose": "30 mg/m2", "days": 5, "diagnosis": "aplastic_anaemia", "genotype": "carrier",
        "model": "mohanan2017"}),
    ("man of 61 years, kidney failing: stop", "check", {
        **MAN, "age": 61, "scr": "450 umol/L", "confirm": ["scr"]}),
    ("months typed as years: refused", "check", {**GIRL, "age": 60}),
    ("creatinine without a unit: refused", "check", {**GIRL, "scr": "0.3"}),
    ("girl of 5 years, dose for 13.8", "dose", {
        **GIRL, "target": "fabrizio2022", "probability": 0.8}),
    ("man of 60 years, dose for a window", "dose", {**MAN, "window": [18.0, 20.0]}),
    ("girl of 5 years, three levels", "update", {
        **GIRL, "levels": ["1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L"], "auc": 15.0}),
    ("girl of 5 years, by the clock", "update", {
        **GIRL, "first_dose": "2026-01-14 08:30",
        "levels": ["2026-01-14 10:30 0.62 mg/L", "2026-01-15 08:00 <0.02mg/L"],
        "given": ["2026-01-14 08:30 22mg"], "target": "scordo2023"}),
    ("girl of 5 years, levels that do not fit: stop", "update", {
        **GIRL, "levels": ["1h 0.85mg/L", "7h 0.9mg/L", "23.5h 0.03mg/L"], "target": "scordo2023"}),
]  # fmt: skip
"""Name -> question and what is typed: the answers of a release are those of the next one, or it
says what moved."""


def golden(name: str) -> list[dict[str, str]]:
    """Rows of a table that other engines made."""
    with (GOLDEN / f"golden_{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def engines() -> list[dict[str, Any]]:
    """Courses with the concentrations and areas of mrgsolve and rxode2."""
    events, concentrations = golden("events"), golden("concentrations")
    courses = []
    for case in golden("cases"):
        name = case["case"]
        parameters = [float(case[parameter]) for parameter in PARAMETERS]
        for q in (2, 4):
            parameters[q + 1] = parameters[q + 1] or 1.0  # absent: Q = 0, V = 1
        rows = [row for row in concentrations if row["case"] == name]
        has_rxode2 = parameters[2] > 0  # it was not run for one compartment
        courses.append({
            "id": f"course {name}",
            "parameters": parameters,
            "infusions": [
                [float(row[column]) for column in ("start_h", "duration_h", "amount_mg")]
                for row in events if row["case"] == name
            ],
            "times_h": [float(row["time_h"]) for row in rows],
            "conc_mrgsolve": [float(row["conc_mrgsolve"]) for row in rows],
            "conc_rxode2": [float(row["conc_rxode2"]) for row in rows if has_rxode2],
            "auc_rxode2": [float(row["auc_rxode2"]) for row in rows if has_rxode2],
        })  # fmt: skip
    return courses


def vectors() -> Iterator[dict[str, Any]]:
    """Examples in the documentation of the formulas: arguments, and the number as printed."""
    for name, formula in FORMULAS.items():
        for example in doctest.DocTestParser().get_examples(formula.function.__doc__ or ""):
            parts = ast.walk(ast.parse(example.source))
            shown = next((part for part in parts if isinstance(part, ast.FormattedValue)), None)
            if shown is None or not isinstance(shown.value, ast.Call):
                continue
            printed = ast.literal_eval(example.want)
            yield {
                "formula": name,
                "arguments": {
                    word.arg: ast.literal_eval(word.value) for word in shown.value.keywords
                },
                "printed": printed,
                "decimals": len(printed.partition(".")[2]),
                "doi": formula.doi,
            }


def content() -> dict[str, Any]:
    """Contents of the file."""
    return {
        "version": __version__,
        "models": {model.id: sha256_of(model.path) for model in load_models()},
        "data": {path.name: sha256_of(path) for path in data_files()},
        "formulas": list(vectors()),
        "engines_by": "mrgsolve 2.0.2 (closed form) and rxode2 5.1.6 (dop853, rtol 1e-13)",
        "engines": engines(),
        "known_answers": [
            {"name": name, "question": question, "typed": typed,
             "answer": short_answer(question, typed)}
            for name, question, typed in CASES
        ],
    }  # fmt: skip


def main() -> int:
    """Write the file, or check it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="only say if it is up to date")
    text = json.dumps(content(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if not arguments.parse_args().check:
        RELEASED.write_text(text, encoding="utf-8")
        return 0
    is_current = RELEASED.is_file() and RELEASED.read_text(encoding="utf-8") == text
    print(f"{RELEASED}: {'up to date' if is_current else 'write it anew'}")
    return 0 if is_current else 1


if __name__ == "__main__":
    sys.exit(main())
