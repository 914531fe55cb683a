"""Every rule on a check: one patient whom it is about, one whom it is not."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.check_remarks import RULES as ORDERED
from fludapk.answers.check_remarks import CheckFacts, Rule, remarks_of
from fludapk.answers.record import SEVERITIES
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
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
    return check(Patient(**{**patient, **changes}), plan, **(options or {}))


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
    Case("models_disagree", "Varela 2025, built from adults 23-82 y", ADULT, {"crcl": 80},
         "axi_cel"),
    Case("outside_studied_range", "outside the population of langenhorst2019: AGE 80 years", MAN,
         {"age": 80}),
    Case("disease_of_others", "varela2025 was built from", MAN, {"age": 25},
         options={"model": "varela2025"}),
    Case("high_exposure", "AUC above 20 mg·h/L: more ICANS", ADULT, {"crcl": 30}, "axi_cel"),
    Case("neurotoxicity", "severe CNS toxicity in 36 %", GIRL, regimen="hct_160"),
    Case("rounding", "rounding changes each dose by +7.3% of the plan", GIRL,
         options={"round_to_mg": 8.0}),
    Case("infant", "under 1 year", GIRL, {"age": 0.7, "weight": 8.1, "height": 70}),
    Case("regimen_population", "tisa_cel_ball is a course for", MAN, {"age": 40}),
    Case("unusual_weight", "weight 45 kg is +", GIRL, {"weight": "45 kg"}),
    Case("unusual_height", "height 135 cm is +", GIRL, {"height": 135}),
    Case("unknown_dose_basis", "does not state whether doses were phosphate or F-ara-A", ANAEMIC,
         regimen="hct_160", options={"model": "mohanan2017"}),
    Case("chosen_egfr_formula", "schwartz_bedside instead of the formula langenhorst2019", GIRL,
         {"egfr_formula": "schwartz_bedside"}),
    Case("cells_over_clock_change", "clocks change on 2026-03-29 in many places", GIRL,
         regimen=CELLS_BY_CLOCK),
    Case("comparison_reading", "would give langenhorst2019_indexed 19.57 mg·h/L", GIRL),
    Case("renal_converted", "langenhorst2019 uses eGFR: converted from the CrCl given", ADULT,
         regimen="axi_cel"),
    Case("units_converted", "weight 40 lb = 18.14 kg; height 1.1 m = 110 cm", GIRL,
         {"weight": "40 lb", "height": "1.10 m"}),
    Case("regimen_unsettled", "the days to cell infusion", ADULT, regimen="liso_cel"),
    Case("target_model", "langenhorst2019 or Ivaturi 2017", GIRL),
    Case("no_target", "no published target covers", GIRL,
         regimen=Regimen(dose=30.0, unit="mg/m2", days=4)),
    Case("no_iov", "no inter-occasion variability", ADULT, regimen="axi_cel",
         options={"model": "varela2025"}),
    Case("inferred_dose_basis", "is inferred, not printed in the paper", GIRL),
    Case("cells_by_clock", "cell infusion 2026-04-01 10:00 is 121.5 h after the first dose", GIRL,
         regimen=CELLS_BY_CLOCK),
)  # fmt: skip
RULES: Final[Mapping[str, Rule]] = {rule.__name__: rule for rule in ORDERED}


TRUE_OF_MOST: Final = {"comparison_reading", "target_model", "inferred_dose_basis"}


def test_every_rule_has_a_case() -> None:
    assert list(RULES) == [case.rule for case in CASES]


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
