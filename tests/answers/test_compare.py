"""Plans side by side: each as its own check or dose says, compared on the same patients."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.answers.check import check
from fludapk.answers.compare import compare
from fludapk.answers.compare_headline import TIED
from fludapk.answers.compare_records import CompareResult, PlanRecord
from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal
from fludapk.errors import InputError, StudiedRangeError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import load_model
from fludapk.published.targets import targets

AXI = Regimen.named("axi_cel")
TISA = Regimen.named("tisa_cel_ball")
MAN = Patient(age=61, sex="male", weight=82, height=176, scr="1.2 mg/dL")
GIRL = Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
STOPPED = Patient(age=61, sex="male", weight=82, height=176, scr="450 umol/L")
OBESE = Patient(age=55, sex="female", weight=118, height=165, scr="1.1 mg/dL")
ALL = ["age", "weight", "height", "scr"]
"""Nothing is asked about these: no matter how unusual they are together."""
PLANS = ["axi_cel", "axi_cel 24 mg/m2", "axi_cel auc 19", "axi_cel rule us_iv"]


def as_json(record: Any) -> Any:
    return json.loads(record.to_json())


def only(result: CompareResult, number: int) -> PlanRecord:
    return result.plans[number - 1]


# --- Each plan is what its own answer says --------------------------------------------------------


@pytest.mark.parametrize("patient", [MAN, OBESE], ids=["man", "obese"])
@pytest.mark.parametrize("model", ["langenhorst2019", "varela2025"])
@pytest.mark.parametrize("round_to_mg", [None, 2.5])
def test_a_given_dose_is_what_its_check_says(
    patient: Patient, model: str, round_to_mg: float | None
) -> None:
    courses = [AXI, replace(AXI, dose=24.0), Regimen.chosen(regimen="axi_cel", days=4)]
    table = as_json(compare(patient, courses, model=model, round_to_mg=round_to_mg))
    for plan, course in zip(table["plans"], courses, strict=True):
        own = as_json(check(patient, course, model=model, round_to_mg=round_to_mg))
        for part in ("regimen", "exposure", "headline", "flag", "remarks", "trail"):
            assert plan[part] == own[part], part
        applying = {r["model"]: r["auc_0_inf"] for r in own["sensitivity"] if r["applies"]}
        applying[model] = own["exposure"]["auc_0_inf"]
        assert {row["model"]: row["auc_0_inf"] for row in plan["models"]} == applying
        assert plan["models"][0]["model"] == model
    assert table["patient"] == own["patient"]


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("axi_cel auc 19", {"auc": 19.0}),
        ("axi_cel window 18 20", {"window": (18.0, 20.0)}),
        ("axi_cel window 15 25 chance 0.5", {"window": (15.0, 25.0), "probability": 0.5}),
        ("axi_cel target scordo2023", {"target": "scordo2023"}),
        ("axi_cel chance 0.8", {"target": "scordo2023", "probability": 0.8}),
    ],
)
def test_a_dose_that_is_found_is_the_one_of_find_dose(text: str, goal: dict[str, Any]) -> None:
    plan = only(compare(MAN, ["axi_cel", text]), 2)
    own = find_dose(MAN, AXI, **goal)
    assert plan.regimen == own.check.regimen
    assert plan.headline == own.check.headline
    assert plan.exposure == own.check.exposure
    assert plan.goal == own.goal
    assert plan.goal_reached is own.dose.reached
    not_reached = "not_reached" in [remark.code for remark in plan.remarks]
    assert not_reached is not own.dose.reached


@given(
    age=st.floats(18, 80),
    weight=st.floats(52, 100),
    height=st.floats(150, 195),
    creatinine=st.floats(0.6, 4.0),
    dose=st.floats(5, 49),
)
@settings(max_examples=20, deadline=None)
def test_every_patient_has_the_same_numbers_in_a_check_and_in_a_comparison(
    age: float, weight: float, height: float, creatinine: float, dose: float
) -> None:
    patient = Patient(
        age=age, sex="male", weight=weight, height=height, scr=f"{creatinine} mg/dL", confirm=ALL
    )
    course = replace(AXI, dose=dose)
    table = compare(patient, [AXI, course, (AXI, Goal.chosen(auc=19))])
    for plan, own in zip(table.plans, (AXI, course), strict=False):
        result = check(patient, own)
        assert (plan.headline, plan.regimen) == (result.headline, result.regimen)
        assert plan.stops == result.headline.stops
    found = table.plans[2]
    assert (found.regimen is None) == bool(table.plans[0].stops)
    best = [plan.chance or 0.0 for plan in table.plans if plan.number in table.headline.best]
    others = [plan.chance or 0.0 for plan in table.plans if not plan.stops]
    assert not best or max(best) == max(others)
    assert all(p >= max(others) - TIED for p in best)


def test_a_target_of_other_patients_is_a_caution() -> None:
    table = compare(MAN, ["axi_cel target scordo2023", "axi_cel target fabrizio2022"])
    cautions = [[r.message for r in plan.remarks if "target" in r.code] for plan in table.plans]
    assert cautions[0] == []
    assert (
        "Fabrizio 2022 was found in other patients: 152 children and young adults" in cautions[1][0]
    )


def test_a_child_and_the_chance_of_the_target_that_fits() -> None:
    table = compare(GIRL, ["tisa_cel_ball", "tisa_cel_ball chance 0.8"])
    own = find_dose(GIRL, TISA, target="fabrizio2022", probability=0.8)
    assert only(table, 2).regimen == own.check.regimen
    assert "above_planned" in [remark.code for remark in only(table, 2).remarks]
    assert table.headline.best == [2]
    assert table.headline.notes[0].startswith("This target has no upper bound")


@pytest.mark.parametrize("rule", ["us_iv", "us_older", "eu", "car_t_centre"])
def test_a_rule_reduces_the_full_published_dose_once(rule: str) -> None:
    patient = Patient(age=61, sex="male", weight=82, height=176, scr="1.7 mg/dL")
    plan = only(compare(patient, ["axi_cel", f"axi_cel rule {rule}"]), 2)
    (row,) = [r for r in check(patient, AXI).label_rules if r.id == rule]
    assert row.factor is not None
    assert row.factor < 1
    assert plan.regimen is not None
    assert plan.exposure is not None
    assert plan.regimen.dose == AXI.dose * row.factor
    assert plan.exposure.auc_0_inf == pytest.approx(row.auc_0_inf, rel=1e-12)
    reduced = check(patient, replace(AXI, dose=AXI.dose * row.factor))
    assert (plan.regimen, plan.headline) == (reduced.regimen, reduced.headline)
    assert plan.trail[0].name == "rule"
    assert plan.trail[0].value == row.factor
    assert plan.trail[1:] == reduced.trail


# --- The same patients ----------------------------------------------------------------------------


def test_plans_are_compared_on_the_same_simulated_patients() -> None:
    courses = [AXI, replace(AXI, dose=24.0), replace(AXI, days=4), Regimen.named("hct_160")]
    simulated = [check(MAN, course).prediction for course in courses]
    effects = [prediction.random_effects(9) for prediction in simulated]
    for other in effects[1:]:
        assert np.array_equal(other.eta, effects[0].eta)
        n = min(other.kappa.shape[1], effects[0].kappa.shape[1])
        assert np.array_equal(other.kappa[:, :n], effects[0].kappa[:, :n])
    full, less = (simulated[k].exposure(effects[k]).auc_0_inf for k in (0, 1))
    assert less == pytest.approx(0.8 * full, rel=1e-12)


def test_the_same_question_has_the_same_bytes_and_another_one_another_hash() -> None:
    first, again = compare(MAN, PLANS), compare(MAN, PLANS)
    assert first.to_json() == again.to_json()
    others = [compare(MAN, PLANS[:3]), compare(GIRL, PLANS), compare(MAN, PLANS, round_to_mg=5)]
    hashes = {r.provenance.input_sha256 for r in (first, *others)}
    assert len(hashes) == 4


# --- The headline of the table --------------------------------------------------------------------


def test_plans_within_the_sampling_error_are_both_best() -> None:
    table = compare(MAN, ["axi_cel auc 19", "57 mg x 3", "axi_cel 20 mg/m2"])
    assert table.headline.best == [1, 2]
    assert "the sampling error does not tell them apart" in table.headline.sentence
    chances = [plan.chance or 0.0 for plan in table.plans]
    assert chances[0] == chances[1] > chances[2] + TIED


def test_the_best_is_never_recommended_beyond_its_number() -> None:
    head = compare(MAN, ["axi_cel", "axi_cel 20 mg/m2"]).headline
    assert head.best == [1]
    assert head.sentence.startswith("Every plan is likelier to miss 18-20 mg·h/L than to reach it")
    assert "Highest chance of being within 18-20 mg·h/L (Scordo 2023): plan 1 (axi_cel)" in (
        head.sentence
    )
    assert any("Measure levels" in note for note in head.notes)


def test_chances_are_compared_by_one_method() -> None:
    """Uncertainty of the model's numbers counts for every plan as soon as it counts for one."""
    doses = [f"axi_cel {dose} mg/m2" for dose in (14, 20, 27, 34)]
    table = compare(MAN, doses)
    kinds = {plan.headline.with_uncertainty for plan in table.plans if plan.headline}
    wide = []
    for text in doses:
        course = Regimen.chosen(regimen="axi_cel", dose=(float(text.split()[1]), "mg/m2"))
        (target,) = [t for t in check(MAN, course).targets if t.id == "scordo2023"]
        wide.append(target.p_within_uncertain)
    assert True in kinds
    assert [plan.chance for plan in table.plans] == wide


def test_plans_for_different_targets_have_no_best() -> None:
    head = compare(MAN, ["axi_cel", "tisa_cel_lbcl"]).headline
    assert (head.best, head.target) == ([], None)
    assert "judged by different targets" in head.sentence
    assert "plan 2 none that fits" in head.sentence


def test_without_a_target_that_fits_none_is_invented() -> None:
    head = compare(MAN, ["tisa_cel_lbcl", "tisa_cel_lbcl 24 mg/m2"]).headline
    assert (head.best, head.target) == ([], None)
    assert head.sentence.startswith("No published target fits this patient")


def test_an_optimum_without_a_window_has_no_chance_of_being_reached() -> None:
    table = compare(GIRL, ["hct_160", "hct_160 auc 20"])
    assert table.headline.best == []
    assert "no published window, only an optimum of 20 mg·h/L" in table.headline.sentence
    assert [plan.chance for plan in table.plans] == [None, None]


# --- STOP -----------------------------------------------------------------------------------------


def test_under_a_stop_no_dose_is_proposed() -> None:
    plans = ["axi_cel", "axi_cel auc 19", "axi_cel rule us_iv", "axi_cel rule us_older"]
    table = compare(STOPPED, plans)
    given, *aimed = table.plans
    assert given.regimen is not None
    assert given.stops
    for plan in aimed:
        assert plan.stops
        assert (plan.regimen, plan.exposure, plan.headline, plan.flag) == (None,) * 4
        assert (plan.chance, plan.trail, plan.models) == (None, [], [])
    assert aimed[0].would_give is not None
    own = find_dose(STOPPED, AXI, auc=19)
    assert aimed[0].would_give.dose_mg == own.dose.dose_mg
    assert table.headline.best == []
    assert table.headline.sentence == "No plan is left to compare"
    assert table.headline.stops[0].startswith("every plan: US label: do not give at CrCl 18 mL/min")
    assert any("plan 4: older US label: not covered" in text for text in table.headline.stops)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("axi_cel 55 mg/m2", "above 50 mg/m2"),
        ("axi_cel 45 mg/m2 x 7", "above 250 mg/m2"),
        ("60 mg/m2 x 3 rule us_iv", "above 50 mg/m2"),
    ],
)
def test_a_dose_above_a_ceiling_is_a_column_with_its_reason(text: str, reason: str) -> None:
    table = compare(MAN, ["axi_cel", text, "axi_cel auc 19"])
    refused = only(table, 2)
    assert [remark.severity for remark in refused.remarks] == ["stop"]
    assert reason in refused.stops[0]
    assert refused.regimen is None
    assert table.headline.best == [1, 3]
    assert table.headline.stops == [f"plan 2: {refused.stops[0]}"]


def test_a_found_dose_does_not_need_a_planned_one_that_may_be_given() -> None:
    plan = only(compare(MAN, ["axi_cel", "axi_cel 55 mg/m2 auc 19"]), 2)
    assert plan.regimen is not None
    assert plan.regimen.doses_mg[0] == 57
    assert "above_planned" not in [remark.code for remark in plan.remarks]


def test_rounding_that_is_refused_is_a_stop_of_that_plan() -> None:
    table = compare(GIRL, ["tisa_cel_ball", "25 mg x 4"], round_to_mg=25)
    assert "above 10 % is refused" in only(table, 1).stops[0]
    assert only(table, 2).regimen is not None
    assert only(table, 2).total_change is None


def test_a_rule_for_adults_gives_a_child_no_dose() -> None:
    plan = only(compare(GIRL, ["tisa_cel_ball", "tisa_cel_ball rule eu"]), 2)
    assert plan.stops == ["EU label: written for adults"]
    assert plan.regimen is None


# --- One patient ----------------------------------------------------------------------------------


def test_a_dose_typed_beside_a_course_is_for_the_same_product() -> None:
    table = compare(MAN, ["24 mg/m2 x 3", "axi_cel 24 mg/m2"])
    typed, named = table.plans
    assert typed.headline is not None
    assert named.headline is not None
    assert typed.headline.sentence == named.headline.sentence
    assert typed.models == named.models
    notes = [r.message for r in typed.remarks if r.code == "shared_product"]
    assert notes == ["taken as for product axi_cel, disease lbcl, which the other plans name"]
    assert "shared_product" not in [r.code for r in named.remarks]


def test_a_product_is_not_shared_where_plans_disagree_on_it() -> None:
    typed = only(compare(MAN, ["24 mg/m2 x 3", "axi_cel", "tisa_cel_lbcl"]), 1)
    assert typed.headline is not None
    assert typed.headline.target is None


def test_faults_of_the_patient_are_told_once_and_those_of_a_plan_with_its_number() -> None:
    nobody = Patient(age=61, sex="male", weight=82, height=176)
    with pytest.raises(InputError) as refused:
        compare(nobody, PLANS)
    assert len(refused.value.faults) == 1
    assert "needs a renal function" in str(refused.value)
    axi = Patient(age=61, sex="male", weight=82, height=176, scr="1.2 mg/dL", product="axi_cel")
    with pytest.raises(InputError, match="plan 2 'tisa_cel_lbcl': product = 'axi_cel'"):
        compare(axi, ["axi_cel", "tisa_cel_lbcl"])
    with pytest.raises(
        InputError, match=r"plan 1 'tisa_cel_lbcl chance 0\.8': no published target"
    ):
        compare(MAN, ["tisa_cel_lbcl chance 0.8", "axi_cel"])


def test_strict_refuses_a_patient_outside_the_studied_range() -> None:
    with pytest.raises(StudiedRangeError, match="eGFR"):
        compare(STOPPED, PLANS, strict=True)


# --- Changes and tables ---------------------------------------------------------------------------


def test_changes_are_against_the_first_plan() -> None:
    table = compare(MAN, ["axi_cel", "axi_cel 24 mg/m2", "axi_cel x 4"])
    changes = [plan.total_change for plan in table.plans]
    assert changes == pytest.approx([0.0, -0.2, 1 / 3], abs=1e-12)
    assert [plan.auc_change for plan in table.plans] == pytest.approx(changes, abs=1e-12)


def test_the_table_has_a_row_for_each_plan() -> None:
    table = compare(MAN, [*PLANS[:3], "axi_cel 55 mg/m2"])
    frame = table.to_frame()
    assert frame["plan"].tolist() == [*PLANS[:3], "axi_cel 55 mg/m2"]
    assert frame["dose_mg"].round(1).tolist()[:3] == [60.1, 48.1, 57.0]
    assert math.isnan(frame["auc_0_inf"].iloc[3])
    assert frame.attrs["units"]["volume_ml_per_dose"] == "mL"
    assert frame["varela2025_auc_0_inf"].iloc[0] == pytest.approx(
        check(MAN, AXI, model="varela2025").exposure.auc_0_inf, rel=1e-12
    )


def test_a_course_with_a_goal_is_the_same_as_its_text() -> None:
    goal = Goal.chosen(auc=19)
    by_text = compare(MAN, ["axi_cel", "axi_cel auc 19"])
    by_object = compare(MAN, [AXI, (AXI, goal)])
    assert by_text.plans[1].regimen == by_object.plans[1].regimen
    assert by_text.provenance == by_object.provenance


@pytest.mark.parametrize("target", list(targets()))
def test_every_target_has_a_sentence(target: str) -> None:
    """Also targets of one bound below, above, or an optimum."""
    entry = targets()[target]
    product, disease = entry.product, entry.disease
    age = 10.0 if (entry.ages or [0, 20])[0] < 18 else 61.0
    patient = replace(GIRL, age_years=age) if age < 18 else MAN
    course = replace(AXI, product=product, disease=disease)
    table = compare(patient, [course, replace(course, dose=20.0)])
    named = table.headline.target
    assert named is not None
    assert targets()[named].disease == disease
    assert targets()[named].name in table.headline.sentence
    assert load_model(targets()[named].derived_with).id == "langenhorst2019"
