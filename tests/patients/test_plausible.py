"""Slips of typing: a rule asks about the value that looks wrong, and believes who confirms it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.answers.check import check
from fludapk.errors import Fault, InputError
from fludapk.patients import fields
from fludapk.patients.patient import Patient
from fludapk.patients.plausible import (
    CREATININE_RATIO,
    LOW_RENAL,
    SLIPS,
    Values,
    to_be_confirmed,
    transposed,
)
from fludapk.patients.population import draw, populations
from fludapk.patients.regimen import Regimen
from fludapk.published.formulas import fas, fas_q
from fludapk.published.growth import growth_lms
from fludapk.published.population_files import PopulationEntry
from fludapk.units import UNITS, Quantity

Typed = Mapping[str, Any]
GIRL: Final[Typed] = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL"}
MAN: Final[Typed] = {"age": 61, "sex": "male", "weight": 82, "height": 176, "scr": "0.9 mg/dL"}
RULES: Final = {rule.__name__: rule for rule in SLIPS}


class Slip(NamedTuple):
    """What was typed, the rule that sees it, whom it asks, and what it says."""

    rule: str
    field: str
    patient: Typed
    changes: Typed
    said: str
    likely: str = ""
    """The likely meaning, as it is suggested."""


CASES: Final = (
    Slip("age_in_another_unit", "age", MAN, {"age": 60, "weight": 18.2, "height": 110},
         "= 60 years does not go with 18.2 kg and 110 cm", "60 months would be 5 y"),
    Slip("age_in_another_unit", "age", GIRL, {"age": 8, "weight": 8.1, "height": 70},
         "= 8 years does not go with", "8 months would be 0.6667 y"),
    Slip("age_in_another_unit", "age", GIRL, {"age": "5 mo"},
         "= 5 months does not go with 18.2 kg and 110 cm", "5 years would be 60 months"),
    Slip("age_in_another_unit", "age", GIRL, {"age": 52, "weight": 9.5, "height": 75},
         "= 52 years does not go with", "52 weeks would be 0.9966 y"),
    Slip("age_in_another_unit", "age", GIRL, {"age": 30, "weight": 4, "height": 54},
         "= 30 years does not go with", "30 days would be 0.08214 y"),
    Slip("weight_in_another_unit", "weight", GIRL, {"weight": 40},
         "= 40 kg is unusual at 5 y", "40 lb would be 18.14 kg"),
    Slip("weight_in_another_unit", "weight", MAN, {"weight": 160},
         "= 160 kg is unusual at 61 y", "160 lb would be 72.57 kg"),
    Slip("height_in_another_unit", "height", GIRL, {"height": 43},
         "= 43 cm is unusual at 5 y", "43 in would be 109.2 cm"),
    Slip("height_in_another_unit", "height", MAN, {"height": 70},
         "= 70 cm is unusual at 61 y", "70 in would be 177.8 cm"),
    Slip("body_mass_index", "height", MAN, {"height": "70 cm"},
         "= 70 cm with 82 kg is a body mass index of 167 kg/m2", "70 in would be 177.8 cm"),
    Slip("body_mass_index", "height", MAN, {"height": 43},
         "= 43 cm with 82 kg is a body mass index of 443 kg/m2", "43 in would be 109.2 cm"),
    Slip("body_mass_index", "weight", GIRL, {"weight": 81.2},
         "a body mass index of 67.1 kg/m2, above 60", "digits transposed it would be 18.2 kg"),
    Slip("body_mass_index", "weight", MAN, {"weight": 28},
         "a body mass index of 9.04 kg/m2, below 12", "digits transposed it would be 82 kg"),
    Slip("body_mass_index", "weight", MAN, {"weight": "200 kg"},
         "a body mass index of 64.6 kg/m2, above 60", "200 lb would be 90.72 kg"),
    Slip("weight_for_age", "weight", GIRL, {"age": 3, "height": 95, "weight": "41 kg"},
         "= 41 kg is +12.5 SD at 3 y", "with digits transposed it would be 14 kg"),
    Slip("weight_for_age", "weight", GIRL, {"age": 1, "height": 75, "weight": 2.1},
         "= 2.1 kg is -8.2 SD at 1 y (CDC 2000, modified)"),
    Slip("height_for_age", "height", GIRL, {"age": 1, "weight": 9.5, "height": 95},
         "= 95 cm is +6.2 SD at 1 y"),
    Slip("height_for_age", "height", MAN, {"age": 40, "weight": 18.2, "height": 110},
         "= 110 cm is -9.3 SD at 40 y (CDC 2000, modified)"),
    Slip("height_for_age", "height", MAN, {"weight": 120, "height": 216},
         "= 216 cm is +5.5 SD at 61 y (CDC 2000, modified)"),
    Slip("creatinine_for_age", "scr", GIRL, {"scr": "22 mg/dL"},
         "= 22 mg/dL is 58 times the normal of 0.38 mg/dL at 5 y", "22 umol/L would be 0.2489"),
    Slip("creatinine_for_age", "scr", MAN, {"scr": "0.09 mg/dL"},
         "= 0.09 mg/dL is 0.1 times the normal of 0.9 mg/dL", "0.09 mmol/L would be 1.018 mg/dL"),
    Slip("creatinine_for_age", "scr", MAN, {"scr": "8 umol/L"},
         "= 8 umol/L is 0.1 times the normal of 79.6 umol/L at 61 y"),
    Slip("low_egfr", "egfr", MAN, {"scr": None, "egfr": 5.7},
         "= 5.7 mL/min/1.73 m2 would be kidney failure", "5.7 L/h would be 95 mL/min/1.73 m2"),
    Slip("low_crcl", "crcl", MAN, {"scr": None, "crcl": 5.7},
         "= 5.7 mL/min would be kidney failure", "5.7 L/h would be 95 mL/min"),
    Slip("low_crcl", "crcl", MAN, {"scr": None, "crcl": "1.6 mL/min"},
         "= 1.6 mL/min would be kidney failure", "1.6 mL/s would be 96 mL/min"),
)  # fmt: skip


def name_of(case: Slip) -> str:
    return f"{case.rule}: {dict(case.changes)}"


def patient(case: Slip, **more: Any) -> Patient:
    return Patient(**{**case.patient, **case.changes, **more})


def faults_of(make: Callable[[], Patient]) -> list[Fault]:
    with pytest.raises(InputError) as refused:
        make()
    return list(refused.value.faults)


def values_of(who: Patient) -> Values:
    return Values(typed=who.quantities, sex=who.sex)


def test_every_rule_has_a_case() -> None:
    assert list(dict.fromkeys(case.rule for case in CASES)) == list(RULES)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_slip_is_asked_about_once_with_its_likely_meaning(case: Slip) -> None:
    (fault,) = faults_of(lambda: patient(case))
    assert fields.request_name(fault.field) == case.field
    assert case.said in fault.found
    assert case.likely in fault.found
    assert fault.confirm == case.field
    assert f" {fault.meant} " in f"{fault.found} "
    assert f"if {fault.meant} is meant, --confirm {case.field}" in fault.text(fields.option)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_is_confirmed_is_believed_and_remembered(case: Slip) -> None:
    size = ["weight", "height"] if case.field == "age" else []  # as odd at the age as the age
    who = patient(case, confirm=[case.field, *size])
    assert case.field in who.confirmed
    assert set(who.confirmed) <= {case.field, *size}
    fault = RULES[case.rule](values_of(who))
    assert fault is not None
    assert fault.field == fields.keyword(case.field)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_another_confirmation_does_not_help(case: Slip) -> None:
    others = [fields.FIELDS[key].name for key in fields.QUANTITIES]
    others.remove(case.field)
    (fault,) = faults_of(lambda: patient(case, confirm=others))
    assert fields.request_name(fault.field) == case.field


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
@pytest.mark.parametrize("who", [GIRL, MAN, {**GIRL, "sex": "female"}, {**MAN, "sex": None}])
def test_a_rule_is_silent_about_usual_patients(who: Typed, rule: Any) -> None:
    assert rule(values_of(Patient(**who))) is None


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_silent_about_what_is_not_there(rule: Any) -> None:
    assert rule(Values(typed={})) is None


# --- Confirmation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bare", "explicit", "name"),
    [
        ({"weight": 40}, {"weight": "40 kg"}, "weight"),
        ({**MAN, "weight": 160}, {**MAN, "weight": "160 kg"}, "weight"),
        ({"height": 92, "weight": 13}, {"height": "92 cm", "weight": 13}, None),
    ],
)
def test_a_confirmed_value_gives_the_numbers_of_the_same_value_with_its_unit(
    bare: Typed, explicit: Typed, name: str | None
) -> None:
    plan = Regimen.named("tisa_cel_ball")
    confirmed = check(Patient(**{**GIRL, **bare}, confirm=[name] if name else []), plan)
    written = check(Patient(**{**GIRL, **explicit}), plan)
    assert confirmed.exposure == written.exposure
    assert confirmed.regimen == written.regimen
    assert confirmed.patient.confirmed == ([name] if name else [])


def test_a_confirmation_that_nobody_needs_changes_nothing() -> None:
    plan = Regimen.named("tisa_cel_ball")
    plain = check(Patient(**GIRL), plan)
    sure = check(Patient(**GIRL, confirm=["weight", "scr", "crcl"]), plan)
    assert sure.to_json() == plain.to_json()
    assert sure.patient.confirmed == []


def test_the_input_hash_of_an_input_without_confirmation_is_as_before() -> None:
    """The hash of the girl in the README of version 0.1.0."""
    girl = Patient(**GIRL, sex="female")
    known = "01026eb3f46a"
    assert check(girl, Regimen.named("tisa_cel_ball")).provenance.input_sha256[:12] == known


@pytest.mark.parametrize("confirm", ["weight; scr", "scr,weight", ["weight", "scr"], "weight scr"])
def test_confirmations_are_a_list_or_a_text(confirm: Any) -> None:
    man = Patient(**{**MAN, "weight": 160, "scr": "0.09 mg/dL"}, confirm=confirm)
    assert man.confirmed == ("weight", "scr")


@pytest.mark.parametrize("name", ["wieght", "sex", "weight_kg", "x" * 300])
def test_an_unknown_name_cannot_be_confirmed(name: str) -> None:
    (fault,) = faults_of(lambda: Patient(**GIRL, confirm=["weight", name]))
    assert fault.field == "confirm"
    assert f"= {name[:50]!r} is unknown" in fault.found
    assert "Known: age, crcl, egfr, gestational_age, height, scr, weight" in fault.do


@pytest.mark.parametrize(
    "changes", [{"height": 1.1}, {"weight": 18200}, {"scr": "80 mg/dL"}, {"age": 2019}]
)
def test_what_is_impossible_cannot_be_confirmed(changes: Typed) -> None:
    everything = [fields.FIELDS[key].name for key in fields.QUANTITIES]
    (fault,) = faults_of(lambda: Patient(**{**GIRL, **changes}, confirm=everything))
    assert not fault.confirm


def test_several_slips_are_asked_about_at_once() -> None:
    faults = faults_of(lambda: Patient(age=5, weight=40, height=43, scr="22 mg/dL"))
    assert [fault.field for fault in faults] == ["weight_kg", "height_cm", "scr_mg_dl"]


def test_nothing_else_is_asked_while_the_age_is_in_doubt() -> None:
    (fault,) = faults_of(lambda: Patient(age=60, weight=18.2, height=110, scr="0.15 mg/dL"))
    assert fault.field == "age_years"
    (fault,) = faults_of(
        lambda: Patient(age=60, weight=18.2, height=110, scr="0.15 mg/dL", confirm="age")
    )
    assert fault.field == "scr_mg_dl"


# --- Real patients --------------------------------------------------------------------------------


@pytest.mark.parametrize("kg", [110, 130, 140])
@pytest.mark.parametrize("cm", [160, 176, 195])
def test_weights_of_obese_adults_are_not_asked_about(kg: float, cm: float) -> None:
    assert Patient(**{**MAN, "weight": kg, "height": cm}).confirmed == ()


@pytest.mark.parametrize("kg", [150, 180])
def test_a_very_heavy_adult_is_never_called_implausible(kg: float) -> None:
    (fault,) = faults_of(lambda: Patient(**{**MAN, "weight": kg}))
    assert "plausible" not in fault.text()
    assert Patient(**{**MAN, "weight": f"{kg} kg"}).confirmed == ()
    assert Patient(**{**MAN, "weight": kg}, confirm="weight").confirmed == ("weight",)


@pytest.mark.parametrize("age", [1.0, 2, 5, 12])
def test_renal_failure_of_a_child_is_possible(age: float) -> None:
    size = {dimension: growth_lms(dimension, "female", age)[1] for dimension in UNUSUAL_SIZE}
    child = Patient(age_years=age, weight_kg=size["weight"], height_cm=size["height"],
                    scr_mg_dl=5.0)  # fmt: skip
    assert child.confirmed == ()


UNUSUAL_SIZE: Final = ("weight", "height")


def test_the_bounds_of_creatinine_are_gfrs_that_nobody_has_and_that_need_dialysis() -> None:
    low, high = CREATININE_RATIO
    for age, female in ((5.0, True), (40.0, False)):
        q = fas_q(age_years=age, female=female)
        egfr = [fas(scr_mg_dl=k * q, age_years=age, female=female) for k in (low, high)]
        assert egfr[0] > 400
        assert egfr[1] < 6


@pytest.mark.parametrize("umol", [15, 20, 22])
@pytest.mark.parametrize("age", [0.5, 2, 5, 8, 11])
def test_every_creatinine_of_a_child_typed_as_mg_dl_is_refused(umol: float, age: float) -> None:
    size = {dimension: growth_lms(dimension, "male", age)[1] for dimension in UNUSUAL_SIZE}
    (fault,) = faults_of(
        lambda: Patient(age=age, weight=size["weight"], height=size["height"], scr=f"{umol} mg/dL")
    )
    assert f"{umol} umol/L would be" in fault.found


@given(st.floats(LOW_RENAL, 200.0), st.sampled_from(["egfr", "crcl"]))
def test_a_kidney_that_has_not_failed_is_not_asked_about(value: float, name: str) -> None:
    assert Patient(**{**MAN, "scr": None, name: value}).confirmed == ()


@given(st.floats(0.25, 20.0), st.sampled_from(["female", "male"]))
def test_every_age_in_months_beside_a_median_size_is_seen(age: float, sex: str) -> None:
    months = age / UNITS["age"]["months"]
    (fault,) = faults_of(
        lambda: Patient(
            age=f"{months:.6g}",
            weight_kg=growth_lms("weight", sex, age)[1],
            height_cm=growth_lms("height", sex, age)[1],
            sex=sex,
        )
    )
    assert fault.field == "age_years"
    readings = re.findall(r"([\d.]+) months would be ([\d.]+)", fault.found)
    assert [float(years) for _, years in readings] == pytest.approx([age], rel=1e-3)
    assert bool(fault.confirm) == (months <= 120)


def with_units(numbers: Mapping[str, float]) -> dict[str, Quantity]:
    units = {"age_years": "years", "weight_kg": "kg", "height_cm": "cm", "scr_mg_dl": "mg/dL"}
    return {key: Quantity(x, units[key], x, bare=False) for key, x in numbers.items()}


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
@pytest.mark.parametrize("entry", populations().values(), ids=list(populations()))
def test_of_the_patients_of_a_population_about_one_in_a_thousand_is_asked_at_most(
    entry: PopulationEntry, seed: int
) -> None:
    """With units, as the record of a hospital has them."""
    n = 8000
    drawn = draw(entry, np.random.default_rng(seed), n)
    keys = {"age_years": "AGE", "weight_kg": "WT", "height_cm": "HT", "scr_mg_dl": "SCR"}
    columns = {key: drawn[name].tolist() for key, name in keys.items()}
    asked = 0
    for row in range(n):
        sex = "female" if drawn["SEX"][row] == 1 else "male"
        typed = with_units({key: column[row] for key, column in columns.items()})
        asked += bool(to_be_confirmed(Values(typed=typed, sex=sex))[0])
    assert asked <= 20  # 8 of 1 in 1000; more than 20 are a matter of 1 in 10 000


# --- Digits ---------------------------------------------------------------------------------------


@given(st.integers(10, 2500).map(lambda n: n / 10))
def test_two_transpositions_of_the_same_digits_give_the_number_back(number: float) -> None:
    for swapped in transposed(number):
        if "0" not in str(number):  # which could be lost in front or behind
            assert number in transposed(swapped)
