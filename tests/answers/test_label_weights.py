"""Obese adults: labels by actual, adjusted and ideal weight, and the cap of body surface area."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.dose import find_dose
from fludapk.answers.label_weights import kidneys_by_weight
from fludapk.errors import InputError
from fludapk.patients.course import COURSE_CEILING_MG_M2
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import BSA_CAP_M2, Regimen
from fludapk.published.formulas import adjusted_weight, devine

MAN: Final[Mapping[str, Any]] = {
    "age": 60, "sex": "male", "weight": 125, "height": 178, "scr": "1.1 mg/dL",
}  # fmt: skip
PLAN: Final = Regimen.named("axi_cel")
CAPPED: Final = Regimen.chosen(regimen="axi_cel", bsa_cap_m2=2.0)


def checked(plan: Regimen = PLAN, **changes: Any) -> CheckResult:
    return check(Patient(**{**MAN, **changes}), plan)


# --- Which weight ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cm", "female", "kg"),
    [(152.4, False, 50.0), (152.4, True, 45.5), (177.8, False, 73.0), (167.64, True, 59.3)],
)
def test_the_ideal_weight_is_2_3_kg_per_inch_above_5_feet(
    cm: float, female: bool, kg: float
) -> None:
    assert devine(height_cm=cm, female=female) == pytest.approx(kg, rel=1e-12)


@given(st.floats(153, 200), st.booleans())
def test_the_adjusted_weight_lies_two_fifths_above_the_ideal(cm: float, female: bool) -> None:
    ideal = float(devine(height_cm=cm, female=female))
    adjusted = float(adjusted_weight(weight_kg=2 * ideal, height_cm=cm, female=female))
    assert adjusted == pytest.approx(1.4 * ideal, rel=1e-12)
    itself = adjusted_weight(weight_kg=ideal, height_cm=cm, female=female)
    assert itself == pytest.approx(ideal, rel=1e-12)


def test_a_rule_by_each_weight_is_that_of_cockcroft_gault_with_it() -> None:
    result = checked()
    (rule,) = [rule for rule in result.label_rules if rule.id == "us_iv"]
    assert [row.weight for row in rule.by_weight] == ["actual", "adjusted", "ideal"]
    for row in rule.by_weight:
        assert row.value == pytest.approx(80 * row.weight_kg / (72 * 1.1), rel=1e-12)
    actual, adjusted, ideal = rule.by_weight
    assert (actual.value, actual.advice, actual.auc_0_inf) == (
        rule.value, rule.advice, rule.auc_0_inf,
    )  # fmt: skip
    assert actual.weight_kg == 125
    assert adjusted.weight_kg == pytest.approx(ideal.weight_kg + 0.4 * (125 - ideal.weight_kg))
    assert ideal.weight_kg == pytest.approx(50 + 2.3 * (178 / 2.54 - 60))
    assert (adjusted.factor, ideal.factor) == (1.0, 0.8)
    assert ideal.auc_0_inf == pytest.approx(0.8 * result.exposure.auc_0_inf)


def test_a_rule_on_egfr_divides_by_the_real_body_surface_area() -> None:
    result = checked()
    (rule,) = [rule for rule in result.label_rules if rule.id == "us_older"]
    for row in rule.by_weight:
        crcl = 80 * row.weight_kg / (72 * 1.1)
        assert row.value == pytest.approx(crcl * 1.73 / result.patient.bsa_m2, rel=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 94},  # body mass index 29.7
        {"scr": None, "crcl": 80},
        {"scr": None, "egfr": 80},
        {"age": 17.9, "weight": 100, "height": 170},
        {"height": 152, "weight": 90},  # ideal weight not defined
    ],
)
def test_where_the_weight_is_not_disputed_there_is_one_reading(changes: Mapping[str, Any]) -> None:
    assert kidneys_by_weight([Patient(**{**MAN, **changes})]) == [[]]
    assert all(rule.by_weight == [] for rule in checked(**changes).label_rules)


def test_patients_of_a_list_keep_their_own_kidneys() -> None:
    people = [Patient(**{**MAN, "weight": kg}) for kg in (80, 110, 125, 94)]
    together = kidneys_by_weight(people)
    assert together == [kidneys_by_weight([who])[0] for who in people]
    assert [len(kidneys) for kidneys in together] == [0, 3, 3, 0]


def test_the_page_shows_the_rule_by_each_weight() -> None:
    page, sheet = str(checked()), checked().to_html()
    for text in (page, sheet):
        assert "by adjusted weight, 93.9 kg" in text
        assert "by ideal weight, 73.2 kg" in text
    assert "by ideal weight" not in str(checked(weight=90))


# --- The cap of body surface area -----------------------------------------------------------------


def test_a_cap_holds_the_dose_and_nothing_else() -> None:
    capped, plain = checked(CAPPED), checked()
    assert capped.regimen.doses_mg == pytest.approx([60.0] * 3, rel=1e-14)
    assert capped.regimen.bsa_cap_m2 == 2.0
    assert capped.patient == plain.patient
    assert capped.exposure.clearance_l_h == plain.exposure.clearance_l_h
    ratio = 2.0 / plain.patient.bsa_m2
    assert capped.exposure.auc_0_inf == pytest.approx(ratio * plain.exposure.auc_0_inf, rel=1e-12)
    assert capped.regimen.total_mg_m2 == pytest.approx(90 * ratio, rel=1e-12)


def test_no_cap_is_the_default_and_leaves_no_trace() -> None:
    plain = checked()
    assert plain.regimen.bsa_cap_m2 is None
    assert [step.by for step in plain.trail if step.name == "BSA"] == ["mosteller"]
    assert "bsa_cap" not in {remark.code for remark in plain.remarks}


def test_a_cap_is_a_step_of_its_own_and_a_note() -> None:
    result = checked(CAPPED)
    real, cap = [step for step in result.trail if step.name == "BSA"]
    assert (real.by, cap.by, cap.value) == ("mosteller", "cap", 2.0)
    (dose,) = [step for step in result.trail if step.name == "dose"]
    assert dose.how == "30 mg/m2 × 2.0000 m2"
    assert "bsa_cap" in {remark.code for remark in result.remarks}


def test_a_small_patient_is_not_capped() -> None:
    with_cap, without = (checked(plan, weight=70, height=170) for plan in (CAPPED, PLAN))
    assert with_cap.exposure == without.exposure
    assert with_cap.trail == without.trail
    assert with_cap.remarks == without.remarks


def test_ceilings_are_by_the_real_body_surface_area() -> None:
    man = Patient(**{**MAN, "weight": "150 kg", "height": 190})
    just = Regimen(dose=62.0, unit="mg/m2", days=4, bsa_cap_m2=2.0)
    assert just.course(man).total_mg <= COURSE_CEILING_MG_M2 * man.bsa_m2
    with pytest.raises(InputError, match="above 50 mg/m2"):
        Regimen(dose=72.0, unit="mg/m2", days=3, bsa_cap_m2=2.0).course(man)


def test_a_dose_is_shown_beside_the_capped_plan() -> None:
    result = find_dose(Patient(**MAN), CAPPED, window=(18, 20))
    assert result.planned is not None
    assert result.planned.regimen.doses_mg[0] == pytest.approx(60.0)
    assert result.ceiling_mg == pytest.approx(50 * result.planned.patient.bsa_m2)
    assert "bsa_cap" in {remark.code for remark in result.remarks}


@pytest.mark.parametrize("cap", [0.5, 3.5, 200.0, -1.0])
def test_an_impossible_cap_is_refused(cap: float) -> None:
    with pytest.raises(InputError, match=r"bsa_cap_m2 = .* must be from 1 to 3 m2"):
        Regimen.chosen(regimen="axi_cel", bsa_cap_m2=cap)


@settings(deadline=None)
@given(st.floats(*BSA_CAP_M2), st.floats(0.3, 3.0), st.floats(5, 200))
def test_the_dose_never_falls_as_the_cap_rises(cap: float, bsa: float, kg: float) -> None:
    lower, higher = (Regimen(dose=30.0, unit="mg/m2", days=3, bsa_cap_m2=m2) for m2 in (1.0, cap))
    free = Regimen(dose=30.0, unit="mg/m2", days=3)
    doses = [plan.dose_mg(bsa, kg) for plan in (lower, higher, free)]
    assert doses == sorted(doses)
    assert Regimen(dose=1.0, unit="mg/kg", days=3, bsa_cap_m2=cap).dose_mg(bsa, kg) == kg
