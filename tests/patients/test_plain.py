"""Patients of plain numbers: read at a glance, and the same as by the rules."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.patients.patient import Patient

GIRL: Final[dict[str, Any]] = {
    "age": "5",
    "weight": "18.2",
    "height": "110",
    "scr": "0.3 mg/dL",
    "sex": "female",
}


def number(low: float, high: float, digits: int) -> st.SearchStrategy[str]:
    return st.floats(low, high).map(lambda x: f"{x:.{digits}f}")


def attributes(patient: Patient) -> dict[str, Any]:
    """Every attribute of a patient, about whose size no rule says anything."""
    assert not patient.unusual_for_age()
    return vars(patient)


@st.composite
def typed(draw: st.DrawFn) -> dict[str, Any]:
    """A patient as typed, most of them ordinary, some with a slip."""
    age = draw(st.floats(0.1, 100.0))
    cm = 72 + 5.8 * min(age, 17) + draw(st.floats(-15, 15))
    texts: dict[str, Any] = {
        "age": f"{age:.{draw(st.integers(0, 3))}f}",
        "weight": f"{draw(st.floats(13, 30)) * (cm / 100) ** 2:.1f}",
        "height": f"{cm:.0f}{draw(st.sampled_from(['', '', ' cm', 'cm', ' in', ' mm']))}",
        "sex": draw(st.sampled_from([None, "female", "male", "F", "x"])),
        "scr": draw(
            st.none()
            | number(0.05, 9, 2).map(lambda x: f"{x} mg/dL")
            | number(5, 300, 1).map(lambda x: f"{x} umol/L")
            | number(0, 90, 0)
        ),
        "egfr": draw(st.none() | st.none() | number(0, 320, 0)),
        "crcl": draw(st.none() | st.none() | number(0, 420, 1)),
        "gestational_age": draw(st.none() | number(15, 50, 0)),
        "product": draw(st.none() | st.just("axi_cel")),
        "confirm": draw(st.none() | st.none() | st.just(["weight"])),
        "bsa_formula": draw(st.sampled_from([None, "mosteller", "mosteller", "du_bois", "x"])),
        "first_dose": draw(st.sampled_from([None, None, "2026-01-14 08:30", "x"])),
    }
    if draw(st.integers(0, 9)) == 0:
        slip = st.sampled_from(["", "1e2", "18,2", "0018.20", "-5", "1.1234567", "nan", "5 y", 5.0])
        texts[draw(st.sampled_from(["age", "weight", "height", "scr"]))] = draw(slip)
    return {name: text for name, text in texts.items() if text is not None}


@settings(max_examples=600, deadline=None)
@given(typed())
def test_a_patient_read_at_a_glance_is_the_one_that_the_rules_read(texts: dict[str, Any]) -> None:
    glanced = Patient.plainly(texts)
    if glanced is not None:  # so no rule refuses it, or has it confirmed
        by_rules = Patient(**texts)
        assert attributes(glanced) == attributes(by_rules)
        assert list(glanced.typed) == list(by_rules.typed)


def test_a_plain_patient_needs_no_rules() -> None:
    assert Patient.plainly(GIRL) == Patient(**GIRL)


@pytest.mark.parametrize(
    "other",
    [
        {"scr": "26.5 umol/L"},
        {"weight": "40 lb", "height": "43 in"},
        {"age": "61 months"},
        {"age": 5.0, "weight": 18.2, "height": 110.0},
    ],
)
def test_a_plain_patient_may_be_typed_in_other_units_or_as_numbers(other: dict[str, Any]) -> None:
    glanced = Patient.plainly(GIRL | other)
    assert glanced is not None
    assert attributes(glanced) == attributes(Patient(**GIRL | other))


def test_a_formula_of_all_rows_leaves_them_plain() -> None:
    formula = {"bsa_formula": "mosteller"}
    assert Patient.plainly(GIRL | formula) == Patient(**GIRL)
    assert Patient.plainly(GIRL | {"bsa_formula": "du_bois"}) is None  # not for a girl of 5


@pytest.mark.parametrize(
    "slip",
    [
        {"weight": "40 stone"},
        {"height": "3.6 ft"},
        {"weight": "18.2 lb"},
        {"weight": "182"},
        {"height": "43"},
        {"age": "2019"},
        {"scr": "26.5 mg/dL"},
        {"scr": "0.3"},
        {"scr": "0.3 mg/dL; 48h 0.6 mg/dL"},
        {"egfr": "90"},
        {"sex": "woman"},
        {"confirm": ["weight"]},
    ],
)
def test_whatever_needs_a_second_look_is_left_to_the_rules(slip: dict[str, Any]) -> None:
    assert Patient.plainly(GIRL | slip) is None


@pytest.mark.parametrize("weight", ["18.2000001", "18.123456789012345", "18.2000000000001 kg"])
def test_no_digit_of_a_plain_number_is_lost(weight: str) -> None:
    glanced = Patient.plainly(GIRL | {"weight": weight})
    assert glanced is not None
    assert attributes(glanced) == attributes(Patient(**GIRL | {"weight": weight}))
