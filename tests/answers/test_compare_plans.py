"""A plan in a line of text: what is understood, and what is said about the rest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.answers.compare_plans import Plan, described, read_plans
from fludapk.answers.goal import Goal
from fludapk.errors import Fault, InputError
from fludapk.patients.regimen import Regimen
from fludapk.published.regimens import label_rules, regimens
from fludapk.published.targets import targets

AXI = Regimen.named("axi_cel")


def read(text: str) -> Plan:
    return read_plans([text, "axi_cel"])[0]


def refused(text: str) -> Sequence[Fault]:
    """Faults of a plan; none if it is one."""
    try:
        read(text)
    except InputError as error:
        return error.faults
    return ()


def refusal(text: str) -> str:
    with pytest.raises(InputError) as raised:
        read_plans(["axi_cel", text])
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "regimen"),
    [
        ("axi_cel", AXI),
        ("  axi_cel  ", AXI),
        ("axi_cel 24 mg/m2", Regimen.chosen(regimen="axi_cel", dose=(24.0, "mg/m2"))),
        ("axi_cel 24mg/m²", Regimen.chosen(regimen="axi_cel", dose=(24.0, "mg/m2"))),
        ("axi_cel 24 mg / m2 x4", Regimen.chosen(regimen="axi_cel", dose=(24, "mg/m2"), days=4)),
        ("axi_cel x 4", Regimen.chosen(regimen="axi_cel", days=4)),
        (
            "axi_cel 4 days 1.2 mg/kg",
            Regimen.chosen(regimen="axi_cel", dose=(1.2, "mg/kg"), days=4),
        ),
        ("30 mg/m2 x 3", Regimen(dose=30, unit="mg/m2", days=3)),
        ("24 mg/m2 4 days", Regimen(dose=24, unit="mg/m2", days=4)),
        ("40 mg × 3", Regimen(dose=40, unit="mg", days=3)),
        ("40mg ×3", Regimen(dose=40, unit="mg", days=3)),
        ("x 1 45 mg", Regimen(dose=45, unit="mg", days=1)),
    ],
)
def test_a_course_is_read_as_typed(text: str, regimen: Regimen) -> None:
    plan = read(text)
    assert plan.regimen == regimen
    assert (plan.kind, plan.has_dose) == ("dose", True)


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("axi_cel auc 19", Goal.chosen(auc=19)),
        ("axi_cel auc 19 mg·h/L", Goal.chosen(auc=19)),
        ("axi_cel window 18 20", Goal.chosen(window=(18, 20))),
        ("axi_cel window 18-20", Goal.chosen(window=(18, 20))),
        ("axi_cel window 18 20 chance 0.2", Goal.chosen(window=(18, 20), probability=0.2)),
        ("axi_cel target scordo2023", Goal.chosen(target="scordo2023")),
        (
            "axi_cel TARGET scordo2023 chance 15 %",
            Goal.chosen(target="scordo2023", probability=0.15),
        ),
        ("axi_cel target langenhorst2019b", Goal.chosen(target="langenhorst2019b")),
    ],
)
def test_a_goal_is_the_one_of_a_dose(text: str, goal: Goal) -> None:
    plan = read(text)
    assert (plan.kind, plan.goal, plan.regimen) == ("goal", goal, AXI)


def test_a_chance_is_of_the_target_that_fits_and_a_rule_is_named() -> None:
    assert (read("axi_cel chance 0.8").chance, read("axi_cel chance 80%").chance) == (0.8, 0.8)
    assert {read(f"axi_cel rule {rule.id}").rule for rule in label_rules()} == {
        rule.id for rule in label_rules()
    }


def test_infusions_without_a_dose_need_an_aim() -> None:
    plan = read("4 days auc 19")
    assert (plan.regimen.days, plan.has_dose) == (4, False)
    assert "says no dose" in refusal("4 days")
    assert "says no dose" in refusal("4 days rule us_iv")


@pytest.mark.parametrize(
    ("text", "word", "allowed"),
    [
        ("", "is empty", "a published course"),
        ("axicel", "'axicel'", "did you mean 'axi_cel'?"),
        ("axi_cel foo", "'foo'", '"window 18 20"'),
        ("axi_cel 24", "24 has no unit", "mg/m2, mg/kg or mg"),
        ("axi_cel 24 g", "'g'", "mg/m2, mg/kg or mg"),
        ("30 mg/m2", "says no number of infusions", "30 mg/m2 x 3"),
        ("axi_cel 24 mg/m2 25 mg/m2", "25 mg/m2", "leave one out"),
        ("axi_cel x 3 4 days", "two numbers of infusions", "leave one out"),
        ("axi_cel x 2.5", "2.5", "whole number"),
        ("axi_cel x 20", "20", "from 1 to 14"),
        ("axi_cel x", "ends", "x 3"),
        ("axi_cel 0 mg", "dose = 0", "0.001"),
        ("axi_cel -3 mg", "dose = -3", "0.001"),
        ("axi_cel 2,5 mg/m2", "decimal comma", "2.5"),
        ("axi_cel auc", "ends", "auc 19"),
        ("axi_cel auc high", "'high'", "auc 19"),
        ("axi_cel auc 0", "auc 0", "above zero"),
        ("axi_cel auc 19 chance 0.8", "'chance'", "nothing after 'auc'"),
        ("axi_cel auc 19 auc 20", "'auc'", "nothing after 'auc'"),
        ("axi_cel window 20 18", "20 to 18", "low first"),
        ("axi_cel window 18", "ends", "window 18 20"),
        ("axi_cel target scordo", "'scordo'", "did you mean 'scordo2023'?"),
        ("axi_cel target", "ends", "target scordo2023"),
        ("axi_cel chance 8", "chance 8", "between 0 and 1"),
        ("axi_cel rule us", "'us'", "did you mean 'us_iv'?"),
        ("auc 19", "'auc'", "a published course"),
        ("axi_cel" * 40, "longer than 200", "a published course"),
    ],
)
def test_a_refused_plan_is_named_with_the_word_and_what_is_allowed(
    text: str, word: str, allowed: str
) -> None:
    said = refusal(text)
    assert said.startswith("plan 2")
    assert word in said
    assert allowed in said
    assert "--" not in said


def test_a_rule_never_cuts_a_dose_that_is_reduced_already() -> None:
    for text in ("axi_cel 24 mg/m2 rule us_iv", "axi_cel x 4 rule us_iv"):
        assert "write 'axi_cel rule us_iv'" in refusal(text)
    assert read("25 mg/m2 x 5 rule us_iv").regimen.dose == 25


def test_the_faults_of_all_plans_are_told_at_once() -> None:
    with pytest.raises(InputError) as raised:
        read_plans(["axicel rule foo", "axi_cel", "axi_cel auc x"], {"bsa_cap": "9"})
    said = str(raised.value).splitlines()
    assert len(said) == 4
    assert [line.split("'")[0] for line in said[1:]] == ["plan 1 ", "plan 1 ", "plan 3 "]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_comparison_is_of_two_to_four_plans(count: int) -> None:
    with pytest.raises(InputError, match="give from 2 to 4"):
        read_plans(["axi_cel"] * count)


def test_one_plan_alone_is_no_comparison_however_it_is_given() -> None:
    alone: tuple[Any, ...] = ("axi_cel", (AXI, Goal.chosen(auc=19)))
    for plan in alone:
        with pytest.raises(InputError, match="1 is given"):
            read_plans(plan)


def test_in_python_a_plan_is_a_text_a_course_or_a_course_with_a_goal() -> None:
    goal = Goal.chosen(auc=19)
    plans = read_plans(["axi_cel", AXI, (AXI, goal), Plan(text="mine", regimen=AXI, rule="eu")])
    assert [plan.kind for plan in plans] == ["dose", "dose", "goal", "rule"]
    assert plans[1] == plans[0]
    assert plans[2].goal == goal
    number: Any = 3
    with pytest.raises(InputError, match=r"plan 2: is of the type int; allowed: a text, a Regimen"):
        read_plans(["axi_cel", number])


def test_what_holds_for_every_plan_is_typed_once() -> None:
    typed = {"bsa_cap": "2", "interval": "12 h", "infusion_time": "1", "cells_at": "5 days"}
    for plan in read_plans(["axi_cel", "40 mg x 3", "axi_cel auc 19"], typed):
        regimen = plan.regimen
        assert (regimen.bsa_cap_m2, regimen.interval_h, regimen.infusion_h) == (2, 12, 1)
        assert regimen.cells_at_h == 120


WORDS = (
    *("axi_cel", "24", "mg/m2", "x", "3", "days", "auc", "window", "target", "chance", "rule"),
    *("us_iv", "scordo2023", "0.8", "%", "-", "18-20", "{dose}", "é", "nan", "1e9"),
)

numbers = st.floats(0.5, 300).map(lambda x: float(f"{x:.4g}"))
courses = st.builds(
    lambda name, dose, unit, days: Regimen.chosen(regimen=name, dose=(dose, unit), days=days),
    st.sampled_from([None, *regimens()]),
    numbers,
    st.sampled_from(["mg/m2", "mg/kg", "mg"]),
    st.integers(1, 14),
)


@given(courses)
def test_a_course_is_read_back_from_its_own_words(regimen: Regimen) -> None:
    assert read(described(regimen)).regimen == regimen
    joined = described(regimen).replace(" mg", "mg").replace("x ", "\N{MULTIPLICATION SIGN}")
    assert read(joined).regimen == regimen


@given(
    st.lists(
        st.sampled_from(WORDS),
        max_size=9,
    )
)
@settings(max_examples=300)
def test_every_text_is_a_plan_or_is_refused_by_its_number(words: list[str]) -> None:
    text = " ".join(words)
    faults = refused(text)
    assert all(fault.where.startswith("plan 1") for fault in faults)
    assert all(fault.inside == ("plans", 1) for fault in faults)
    if not faults:
        assert 1 <= read(text).regimen.days <= 14


@given(st.text(max_size=250))
def test_no_text_ends_in_anything_but_a_plan_or_a_refusal(text: str) -> None:
    words = text.split()
    assert refused(text) or read(text).text == " ".join(words)


def test_the_plans_of_the_help_are_plans() -> None:
    for name in targets():
        assert read(f"axi_cel target {name}").goal == Goal.chosen(target=name)
    assert replace(AXI, dose=24.0) == read("axi_cel 24 mg/m2").regimen
