"""Every rule on a check: one patient whom it is about, one whom it is not."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.answers.check import check, checks
from fludapk.answers.check_facts import CheckFacts, Rule
from fludapk.answers.check_records import CheckResult
from fludapk.answers.check_remarks import RULES as ORDERED
from fludapk.answers.check_remarks import remarks_of
from fludapk.answers.record import SEVERITIES
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.published.formula_rules import formula_switch, may_switch
from fludapk.published.models import load_models
from fludapk.published.targets import targets

Typed = Mapping[str, Any]
GIRL: Final[Typed] = {
    "age": 5, "sex": "female", "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
}  # fmt: skip
MAN: Final[Typed] = {
    "age": 19, "sex": "male", "weight": 70, "height": 178, "scr": "0.8 mg/dL",
}  # fmt: skip
ADULT: Final[Typed] = {"age": 60, "sex": "male", "weight": 80, "height": 175, "crcl": 110}
ANAEMIC: Final[Typed] = {
    "age": 17, "sex": "male", "weight": 50, "height": 160,
    "diagnosis": "aplastic_anaemia", "genotype": "GG",
}  # fmt: skip
CELLS_BY_CLOCK: Final = Regimen.from_text(
    regimen="tisa_cel_ball", cells_at="2026-04-01 10:00", first_dose="2026-03-27 08:30"
)


BOY: Final[Typed] = {
    "age": 13.5, "sex": "male", "weight": 45, "height": 160, "scr": "0.9 mg/dL",
}  # fmt: skip
"""Half a year younger than when the formula of the default model changes."""


TOO_MUCH: Final = Course(times_h=(0.0, 12.0), infusion_h=(0.5, 0.5), doses_mg=(22.33,) * 2, given=2)
"""Two doses within a day, as recorded."""


class Case(NamedTuple):
    """A check that a rule is about, and the beginning or a part of what it says."""

    rule: str
    part: str
    patient: Typed
    changes: Typed = MappingProxyType({})
    regimen: str | Regimen = "tisa_cel_ball"
    options: Typed = MappingProxyType({})


def checked(
    patient: Typed,
    regimen: str | Regimen = "tisa_cel_ball",
    options: Typed | None = None,
    **changes: Any,
) -> CheckResult:
    plan = Regimen.named(regimen) if isinstance(regimen, str) else regimen
    chosen = {"course": None, **(options or {})}
    if (course := chosen.pop("course")) is not None:
        request = Request(patient=Patient(**{**patient, **changes}), regimen=plan, course=course)
        (result,) = checks([request])
        assert isinstance(result, CheckResult)
        return result
    return check(Patient(**{**patient, **changes}), plan, **chosen)


def facts_of(result: CheckResult) -> CheckFacts:
    return CheckFacts(
        prediction=result.prediction,
        sensitivity=result.sensitivity,
        leading=None if result.headline.target is None else targets()[result.headline.target],
        targets=result.targets,
        label_rules=result.label_rules,
    )


CASES: Final = (
    Case("label_contraindicated", "US label: do not give at CrCl 25 mL/min; EU label", ADULT,
         {"crcl": 25}, "axi_cel"),
    Case("given_above_ceiling", "given above a ceiling: 59.9 mg/m2 in a day, at most 50. No",
         GIRL, options={"course": TOO_MUCH}),
    Case("models_disagree", "Varela 2025, built from adults 23-82 y", ADULT, {"crcl": 80},
         "axi_cel"),
    Case("outside_studied_range", "outside the population of langenhorst2019: AGE 80 years", MAN,
         {"age": 80}),
    Case("disease_of_others", "varela2025 was built from", MAN, {"age": 25},
         options={"model": "varela2025"}),
    Case("high_exposure", "AUC above 20 mg·h/L: more ICANS", ADULT, {"crcl": 30}, "axi_cel"),
    Case("neurotoxicity", "severe CNS toxicity in 36 %", GIRL, regimen="hct_160"),
    Case("rounding", "rounding changes each dose by +7.3 % of the plan", GIRL,
         options={"round_to_mg": 8.0}),
    Case("infant", "under 1 year", GIRL, {"age": 0.7, "weight": 8.1, "height": 70}),
    Case("regimen_population", "tisa_cel_ball is a course for", MAN, {"age": 40}),
    Case("regimen_warning", "very probably took mg of fludarabine phosphate as mg of F-ara-A", GIRL,
         regimen="panetta2025_below_6y"),
    Case("unusual_weight", "weight 45 kg is +", GIRL, {"weight": "45 kg"}),
    Case("unusual_height", "height 135 cm is +", GIRL, {"height": 135, "confirm": "height"}),
    Case("unknown_dose_basis", "does not state whether doses were phosphate or F-ara-A", ANAEMIC,
         regimen="hct_160", options={"model": "mohanan2017"}),
    Case("chosen_egfr_formula", "schwartz_bedside instead of the formula langenhorst2019", GIRL,
         {"egfr_formula": "schwartz_bedside"}),
    Case("cells_over_clock_change", "clocks change on 2026-03-29 in many places", GIRL,
         regimen=CELLS_BY_CLOCK),
    Case("confirmed_values", "confirmed: weight 160 kg, creatinine 0.09 mg/dL at 60 y", ADULT,
         {"weight": 160, "crcl": None, "scr": "0.09 mg/dL", "confirm": "weight, scr"}, "axi_cel"),
    Case("very_low_creatinine", "creatinine 0.15 mg/dL is very low: eGFR by it is 303", GIRL,
         {"scr": "0.15 mg/dL"}),
    Case("formula_near_switch", "changes from schwartz_bedside to cockcroft_gault at 14 y (male): "
         "AUC 24.23 mg·h/L by schwartz_bedside", BOY),
    Case("label_by_weight", "the advice of US label, older US label, Vall d'Hebron "
         "protocol (Varela 2025) depends "
         "on the weight in Cockcroft-Gault (actual 125 kg, adjusted 93.9 kg, ideal 73.2 kg)", ADULT,
         {"weight": 125, "height": 178, "crcl": None, "scr": "1.1 mg/dL"}, "axi_cel"),
    Case("cells_before_last_dose", "cells 48 h after the first dose are given before the last",
         GIRL, regimen=Regimen(dose=30.0, unit="mg/m2", days=4, cells_at_h=48.0)),
    Case("comparison_reading", "the evidence is for langenhorst2019 13.58 mg·h/L", GIRL,
         options={"model": "langenhorst2019_indexed"}),
    Case("infant_practice", "gives 1-2 mg/kg, here 8.1-16.2 mg per dose; this one is 11.9 mg", GIRL,
         {"age": 0.7, "weight": 8.1, "height": 70}),
    Case("other_reading", "would give langenhorst2019_indexed 19.57 mg·h/L", GIRL),
    Case("bsa_capped", "from 2 m2, the cap that was chosen, and not from 2.49 m2: 60 mg instead",
         ADULT, {"weight": 125, "height": 178},
         Regimen(dose=30.0, unit="mg/m2", days=3, bsa_cap_m2=2.0)),
    Case("renal_converted", "langenhorst2019 uses eGFR: converted from the CrCl given", ADULT,
         regimen="axi_cel"),
    Case("units_converted", "weight 40 lb = 18.14 kg; height 1.1 m = 110 cm", GIRL,
         {"weight": "40 lb", "height": "1.10 m"}),
    Case("regimen_unsettled", "the days to cell infusion", ADULT, regimen="liso_cel"),
    Case("target_model", "Langenhorst 2019 or Ivaturi 2017", GIRL),
    Case("no_target", "no published target covers", GIRL,
         regimen=Regimen(dose=30.0, unit="mg/m2", days=4)),
    Case("no_iov", "no inter-occasion variability", ADULT, regimen="axi_cel",
         options={"model": "varela2025"}),
    Case("inferred_dose_basis", "is inferred, not printed in the paper", GIRL),
    Case("renal_changes", "creatinine 0.6 mg/dL from 30 h counts from the dose at 48 h. Labels' "
         "rules go by the lowest function", GIRL, {"scr": "0.3 mg/dL; 30h 0.6 mg/dL"}),
    Case("hours_by_clock", "cell infusion 2026-04-01 10:00 is 121.5 h after the first dose", GIRL,
         regimen=CELLS_BY_CLOCK),
)  # fmt: skip
RULES: Final[Mapping[str, Rule]] = {rule.__name__: rule for rule in ORDERED}


TRUE_OF_MOST: Final = {"other_reading", "target_model", "inferred_dose_basis"}


def test_every_rule_has_a_case() -> None:
    # see `test_replaced_models` and `test_grammar`
    of_files = ["replaced_model", "gestational_age", "repaired_matrix"]
    assert [name for name in RULES if name not in of_files] == [case.rule for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_speaks_of_the_patient_it_is_about(case: Case) -> None:
    result = checked(case.patient, case.regimen, case.options, **case.changes)
    remark = RULES[case.rule](facts_of(result))
    assert remark is not None
    assert case.part in remark.message
    assert remark in result.remarks


@pytest.mark.parametrize("rule", [name for name in RULES if name not in TRUE_OF_MOST])
def test_a_rule_is_silent_about_the_young_man(rule: str) -> None:
    assert RULES[rule](facts_of(checked(MAN))) is None


def test_the_substance_of_the_doses_is_inferred_in_one_paper_and_unknown_in_another() -> None:
    result = checked(ANAEMIC, "hct_160", {"model": "mohanan2017"})
    assert RULES["inferred_dose_basis"](facts_of(result)) is None


def test_a_paper_that_leaves_the_substance_open_is_shown_with_both_areas() -> None:
    result = checked(ANAEMIC, "hct_160", {"model": "mohanan2017"})
    auc, other = result.exposure.auc_0_inf, result.exposure.auc_0_inf_other_basis
    assert other == pytest.approx(auc / 0.781, rel=1e-12)
    (remark,) = [remark for remark in result.remarks if remark.code == "dose_basis"]
    assert f"{auc:.2f} mg·h/L as modelled, {other:.2f} if" in remark.message
    beside = {row.model: row.auc_0_inf_other_basis for row in result.sensitivity}
    assert beside["mohanan2017"] == other
    assert [name for name, value in beside.items() if value is not None] == ["mohanan2017"]


def test_a_practice_of_a_centre_is_shown_only_beside_a_dose_by_surface() -> None:
    by_weight = Regimen(dose=1.0, unit="mg/kg", days=4)
    infant = {"age": 0.7, "weight": 8.1, "height": 70}
    assert RULES["infant_practice"](facts_of(checked({**GIRL, **infant}, by_weight))) is None


def test_the_worst_is_read_first_and_then_in_the_order_of_the_rules() -> None:
    result = checked(ADULT, "hct_160", {"round_to_mg": 7.0}, crcl=20, height="1.75 m")
    applied = [remark for name in RULES if (remark := RULES[name](facts_of(result)))]
    severities = [SEVERITIES.index(remark.severity) for remark in result.remarks]
    assert severities == sorted(severities)
    assert {0, 1, 2} <= set(severities)
    assert remarks_of(facts_of(result)) == result.remarks
    for severity in SEVERITIES:
        of_it = [remark for remark in applied if remark.severity == severity]
        assert [remark for remark in result.remarks if remark.severity == severity] == of_it


def test_a_reading_of_the_same_paper_is_no_rival() -> None:
    result = checked(GIRL)
    rows = {row.model: row for row in result.sensitivity}
    assert (
        (rows["langenhorst2019"].auc_0_inf or 0)
        < 13.8
        < (rows["langenhorst2019_indexed"].auc_0_inf or 0)
    )
    assert result.models_agree
    assert "comparison_reading" in {r.code for r in result.remarks if r.severity == "note"}


def test_the_comparison_reading_as_the_chosen_model_is_a_caution() -> None:
    result = checked(GIRL, options={"model": "langenhorst2019_indexed"})
    (remark,) = [remark for remark in result.remarks if remark.code == "comparison_reading"]
    assert remark.severity == "caution"
    assert "the evidence is for langenhorst2019 13.58 mg·h/L" in remark.message


# --- The formula of renal function changes with age -----------------------------------------------


@given(
    st.sampled_from([13.0, 14.0, 15.0, 16.0, 17.0, 18.0]) | st.floats(10.0, 20.0),
    st.sampled_from(["female", "male"]),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_no_change_of_formula_is_overlooked(age: float, sex: str, years: float) -> None:
    for model in load_models():
        if formula_switch(model, age_years=age, sex=sex, within_years=years) is not None:
            assert may_switch(model, np.array([age]), within_years=years).all()


@pytest.mark.parametrize(
    ("age", "sex", "told"),
    [
        (12.9, "male", False), (13.0, "male", True), (13.99, "male", True), (14.0, "male", True),
        (15.0, "male", True), (15.1, "male", False), (14.0, "female", False),
        (16.5, "female", True), (17.5, "female", True), (18.1, "female", False),
    ],
)  # fmt: skip
def test_the_other_formula_is_told_within_a_year_of_the_change(
    age: float, sex: str, told: bool
) -> None:
    rule = RULES["formula_near_switch"]
    assert (rule(facts_of(checked(BOY, age=age, sex=sex))) is not None) == told


def test_the_auc_by_the_other_formula_is_that_of_a_patient_just_beyond_the_change() -> None:
    younger, older = (checked(BOY, age=age) for age in (14 - 1e-9, 14.0))
    remarks = [RULES["formula_near_switch"](facts_of(result)) for result in (younger, older)]
    for result, other, remark in zip((younger, older), (older, younger), remarks, strict=True):
        assert remark is not None
        assert f"AUC {result.exposure.auc_0_inf:.2f} mg·h/L by" in remark.message
        assert f", {other.exposure.auc_0_inf:.2f} by" in remark.message
    jump = older.exposure.auc_0_inf / younger.exposure.auc_0_inf
    assert abs(jump - 1) > 0.1


def test_the_auc_by_the_other_formula_is_the_same_among_patients_who_have_none() -> None:
    plan, typed = Regimen.named("tisa_cel_ball"), dict(BOY)
    kinds: list[dict[str, Any]] = [
        {"age": 14.0}, {"egfr": 80, "scr": None}, {"sex": None, "age": 10},
        {"scr": "0.3 mg/dL; 48h 0.9 mg/dL"}, {"age": 13.2}, {"scr": "0.3 mg/dL; 24h 0.5 mg/dL"},
    ]  # fmt: skip
    requests = [Request(patient=Patient(**{**typed, **kind}), regimen=plan) for kind in kinds]
    together = list(checks(requests, log2_points=6))
    for request, result in zip(requests, together, strict=True):
        (alone,) = checks([request], log2_points=6)
        assert isinstance(result, CheckResult)
        assert isinstance(alone, CheckResult)
        assert result.remarks == alone.remarks
    told = [any(r.code == "formula_switch" for r in getattr(x, "remarks", ())) for x in together]
    assert told == [True, False, False, True, True, True]


def test_a_formula_that_was_chosen_or_a_measured_kidney_does_not_change_with_age() -> None:
    for changes in ({"egfr_formula": "schwartz_bedside"}, {"scr": None, "egfr": 80}, {"sex": None}):
        assert RULES["formula_near_switch"](facts_of(checked(BOY, **changes))) is None


# --- Cells, cap and weight ------------------------------------------------------------------------


@pytest.mark.parametrize(("cells_at_h", "early"), [(72.0, True), (72.4, True), (72.5, False)])
def test_cells_are_early_until_the_last_infusion_has_ended(cells_at_h: float, early: bool) -> None:
    plan = Regimen(dose=30.0, unit="mg/m2", days=4, cells_at_h=cells_at_h)
    rule = RULES["cells_before_last_dose"]
    assert (rule(facts_of(checked(GIRL, plan))) is not None) == early


def test_a_creatinine_that_gives_the_cap_or_little_more_is_not_very_low() -> None:
    for creatinine in ("0.33 mg/dL", "0.25 mg/dL"):
        facts = facts_of(checked(GIRL, scr=creatinine))
        assert RULES["very_low_creatinine"](facts) is None


def test_a_cap_above_the_body_surface_area_is_not_told() -> None:
    plan = Regimen(dose=30.0, unit="mg/m2", days=3, bsa_cap_m2=2.0)
    assert RULES["bsa_capped"](facts_of(checked(ADULT, plan))) is None
    per_kg = Regimen(dose=1.0, unit="mg/kg", days=3, bsa_cap_m2=1.0)
    assert RULES["bsa_capped"](facts_of(checked(ADULT, per_kg))) is None
