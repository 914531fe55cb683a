"""Answers in another language: all that is worded is, and neither numbers nor lists differ."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from brackets import Brackets, without_brackets

from fludapk import language
from fludapk.answers.batch import Plan, compute
from fludapk.answers.case import changes, in_short
from fludapk.answers.record import Record
from fludapk.answers.typed import check_typed, compare_typed, dose_typed, update_typed
from fludapk.patients.columns import Layout

GIRL = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL", "regimen": "tisa_cel_ball"}
MAN = {
    "age": 60,
    "sex": "male",
    "weight": 80,
    "height": 178,
    "scr": "4 mg/dL",
    "regimen": "axi_cel",
}
WORDED = {
    *(
        "message",
        "sentence",
        "stops",
        "notes",
        "advice",
        "who",
        "finding",
        "context",
        "reading_note",
    ),
    *("reason", "surprises", "title", "how"),
}
"""Fields that are words for a person."""
NAMES = re.compile(r"m2|mL/min|Fabrizio 2022: |panetta2025_from_15y: ")
"""What stays as it is: units of a formula, and names before a colon."""
ANSWERS = [
    (check_typed, GIRL),
    (check_typed, MAN),
    (check_typed, {**GIRL, "model": "averaged", "regimen": "panetta2025_from_15y"}),
    (dose_typed, {**GIRL, "target": "fabrizio2022"}),
    (dose_typed, {**GIRL, "auc": 2}),
    (update_typed, {**GIRL, "levels": ["2h 0.6 mg/L", "8h 0.3 mg/L"], "auc": 17}),
    (update_typed, {**GIRL, "levels": ["2h 0.06 mg/L", "8h 0.9 mg/L"]}),
    (compare_typed, {**GIRL, "plans": ["tisa_cel_ball", "tisa_cel_ball auc 17"]}),
    (compare_typed, {**MAN, "plans": ["axi_cel rule us_iv", "axi_cel 12 mg/m2"]}),
]


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(language, "catalog", lambda code: Brackets())
    with language.speaking("de"):
        yield


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name of the field and value, in order."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from leaves(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from leaves(inside, name)
    else:
        yield name, value


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(("ask", "typed"), ANSWERS)
def test_every_sentence_of_an_answer_is_in_the_language_spoken(ask: Any, typed: Any) -> None:
    answer: Record = ask(typed)
    worded = [value for name, value in leaves(answer.to_dict()) if name in WORDED and value]
    assert worded
    assert [
        text for text in worded if re.search("[a-z]{3}", NAMES.sub("", without_brackets(text)))
    ] == []


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(("ask", "typed"), ANSWERS)
def test_no_number_of_an_answer_depends_on_the_language(ask: Any, typed: Any) -> None:
    foreign = [value for _, value in leaves(ask(typed).to_dict()) if not isinstance(value, str)]
    with language.speaking("en"):
        english = [value for _, value in leaves(ask(typed).to_dict()) if not isinstance(value, str)]
    assert foreign == english


@pytest.mark.usefixtures("foreign")
def test_a_case_saved_in_one_language_has_not_changed_in_another() -> None:
    typed = {**GIRL, "window": [13.8, 20], "probability": 0.5}
    foreign = in_short(dose_typed(typed))
    with language.speaking("en"):
        assert changes(in_short(dose_typed(typed)), foreign) == []


@pytest.mark.usefixtures("foreign")
def test_results_of_a_list_are_english_in_every_language() -> None:
    header = ["age_years", "weight_kg", "height_cm", "scr_mg_dl", "regimen"]
    plan = Plan(layout=Layout.read(header))
    rows = [
        ["5", "18.2", "110", "0.3", "tisa_cel_ball"],
        ["5", "182", "110", "0.3", "tisa_cel_ball"],
    ]
    done = compute(plan, [(k, [row]) for k, row in enumerate(rows, start=2)])
    assert done.tally.refused[0].error
    assert "⟦" not in done.text
