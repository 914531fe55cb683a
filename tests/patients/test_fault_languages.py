"""Faults of what was typed, in another language: all of it is worded, and nothing typed is."""

import re

import pytest
from brackets import Brackets, without_brackets

from fludapk import language
from fludapk.errors import InputError
from fludapk.patients.columns import opened
from fludapk.patients.fields import label
from fludapk.patients.level import levels_of
from fludapk.patients.list_rows import request_of
from fludapk.patients.request import read_request

CHILD = {
    "age": "5",
    "weight": "18.2",
    "height": "110",
    "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}
TYPED = re.compile(r"""'[^']*'|"[^"]*"|\b(?:kg|cm|lb|umol/L|mg/dL|SD|weight|height|axi_cel)\b""")
"""What stays as it is: what was typed, units, and the names by which a value is confirmed."""


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "catalog", lambda code: Brackets())


def worded(typed: dict[str, str], code: str = "de") -> list[str]:
    with language.speaking(code), pytest.raises(InputError) as refused:
        read_request(CHILD | typed).case()
    with language.speaking(code):
        return refused.value.sentences(label)


CASES = [
    {"age": "60"},
    {"age": "2019"},
    {"weight": "40"},
    {"weight": "81.2"},
    {"height": "1.1"},
    {"height": ""},
    {"scr": "0.3"},
    {"scr": "1,234"},
    {"scr": "26.5 mg/dL"},
    {"scr": "9 mg/dL"},
    {"scr": "0.8 mg/dL; -5h 1.2 mg/dL"},
    {"egfr": "120"},
    {"sex": "x"},
    {"regimen": "", "dose": "30"},
    {"regimen": "", "dose": "60 mg/m2", "days": "3"},
    {"days": "99"},
    {"infusion_time": "30"},
    {"cells_at": "2026-01-19 10:00"},
    {"first_dose": "01/02/2026"},
    {"round_to": "20"},
]


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("typed", CASES, ids=str)
def test_no_word_of_a_fault_is_left_in_english(typed: dict[str, str]) -> None:
    for sentence in worded(typed):
        left = TYPED.sub("", without_brackets(sentence))
        assert re.findall(r"[A-Za-z]{2,}", left) == [], sentence


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("typed", CASES, ids=str)
def test_a_fault_says_the_same_in_every_language(typed: dict[str, str]) -> None:
    brackets = str.maketrans("", "", "⟦⟧")
    foreign = [text.translate(brackets).casefold() for text in worded(typed)]
    assert foreign == [text.casefold() for text in worded(typed, "en")]


@pytest.mark.usefixtures("foreign")
def test_braces_that_somebody_typed_are_no_field() -> None:
    (sentence,) = worded({"regimen": "{age_years}"})
    assert "'{age_years}'" in sentence


@pytest.mark.usefixtures("foreign")
def test_a_level_and_a_column_without_a_unit_are_asked_for_it_in_every_language() -> None:
    with language.speaking("de"), pytest.raises(InputError) as level:
        levels_of(["2h 0.6"])
    header = "age,weight,height,scr,regimen"
    _, layout = opened(header.encode(), [], {})
    with language.speaking("de"), pytest.raises(InputError) as row:
        request_of(layout, ["5", "18.2", "110", "0.3", "axi_cel"])
    assert "no unit⟧" in str(level.value)
    assert "scr=scr_umol_l" in str(row.value)
