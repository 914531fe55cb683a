"""One patient, one course: worked numbers, laws they obey, and every remark."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pytest

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.prediction import predict
from fludapk.errors import InputError, StudiedRangeError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.published.models import load_model, load_models, model_paths
from fludapk.published.targets import targets

Known = Mapping[str, Any]

GIRL: Final[Known] = {
    "age_years": 5,
    "sex": "female",
    "weight_kg": 18.2,
    "height_cm": 110,
    "scr_mg_dl": 0.3,
}
MAN: Final[Known] = {
    "age_years": 19,
    "sex": "male",
    "weight_kg": 70,
    "height_cm": 178,
    "scr_mg_dl": 0.8,
}
ADULT: Final[Known] = {"age_years": 60, "sex": "male", "weight_kg": 80, "height_cm": 175}
"""Without a renal function."""
ANAEMIC: Final[Known] = {
    "age_years": 17,
    "sex": "male",
    "weight_kg": 50,
    "height_cm": 160,
    "diagnosis": "aplastic_anaemia",
    "genotype": "GG",
}


def checked(
    patient: Known,
    regimen: str | Regimen = "tisa_cel_ball",
    *,
    model: str = "langenhorst2019",
    round_to_mg: float | None = None,
    strict: bool = False,
    **changes: Any,
) -> CheckResult:
    plan = Regimen.named(regimen) if isinstance(regimen, str) else regimen
    who = Patient(**{**patient, **changes})
    return check(who, plan, model=model, round_to_mg=round_to_mg, strict=strict)


def refusal(patient: Known, regimen: str | Regimen = "tisa_cel_ball", **others: Any) -> str:
    with pytest.raises(InputError) as refused:
        checked(patient, regimen, **others)
    return str(refused.value)


def custom(dose: float = 30.0, days: int = 4, **others: Any) -> Regimen:
    return Regimen(dose=dose, unit=others.pop("unit", "mg/m2"), days=days, **others)


def remarks(result: CheckResult, severity: str | None = None) -> dict[str, str]:
    """Code -> message, of one severity or all."""
    return {r.code: r.message for r in result.remarks if severity in (None, r.severity)}


EVERYBODY: Final[Mapping[str, tuple[Known, str, str]]] = {
    "girl": (GIRL, "tisa_cel_ball", "langenhorst2019"),
    "girl, other reading": (GIRL, "tisa_cel_ball", "langenhorst2019_indexed"),
    "man": (MAN, "tisa_cel_ball", "langenhorst2019"),
    "adult by CrCl": ({**ADULT, "crcl_ml_min": 62}, "axi_cel", "langenhorst2019"),
    "adult by eGFR": ({**ADULT, "egfr_ml_min_1_73m2": 80}, "axi_cel", "varela2025"),
    "adult, varela": ({**ADULT, "scr_mg_dl": 1.1}, "tisa_cel_lbcl", "varela2025"),
    "infant": ({**GIRL, "age_years": 0.7, "weight_kg": 8.1, "height_cm": 70}, "hct_160",
               "langenhorst2019"),
    "anaemic": (ANAEMIC, "hct_160", "mohanan2017"),
    "Fanconi carrier": ({**ANAEMIC, "diagnosis": "fanconi_anaemia", "genotype": "carrier"},
                        "hct_160", "mohanan2017"),
}  # fmt: skip


@pytest.fixture(scope="module", params=EVERYBODY)
def result(request: pytest.FixtureRequest) -> CheckResult:
    """Every patient of the table."""
    patient, regimen, model = EVERYBODY[request.param]
    return checked(patient, regimen, model=model)


# --- The worked patients ----------------------------------------------------------------------


def test_the_girl_is_just_below_13_8() -> None:
    r = checked(GIRL)
    assert r.patient.egfr_uncapped_ml_min_1_73m2 == pytest.approx(151.4, abs=0.05)
    assert r.patient.egfr_ml_min_1_73m2 == 140.0
    assert r.patient.egfr_capped
    assert r.patient.bsa_m2 == pytest.approx(0.7457, abs=5e-5)
    assert r.exposure.clearance_l_h == pytest.approx(5.145, abs=5e-4)
    assert r.exposure.auc_0_inf == pytest.approx(13.58, abs=0.005)
    assert r.flag == "below"
    (target,) = [t for t in r.targets if t.id == "fabrizio2022"]
    assert target.p_below == pytest.approx(0.52, abs=0.005)


def test_the_young_man_meets_both_thresholds() -> None:
    r = checked(MAN)
    assert r.patient.egfr_ml_min_1_73m2 == pytest.approx(136.7, abs=0.05)
    assert not r.patient.egfr_capped
    assert r.exposure.auc_0_inf == pytest.approx(17.20, abs=0.005)
    assert r.flag == "met"
    assert r.models_agree


def test_the_other_reading_says_met_for_the_girl() -> None:
    other = checked(GIRL, model="langenhorst2019_indexed")
    assert other.exposure.auc_0_inf == pytest.approx(19.57, abs=0.005)
    assert other.flag == "met"
    assert "comparison_reading" in remarks(other, "caution")


def test_the_other_reading_is_a_note_and_no_rival() -> None:
    r = checked(GIRL)
    assert r.models_agree
    rows = {row.model: row for row in r.sensitivity}
    assert rows["langenhorst2019_indexed"].auc_0_inf == pytest.approx(19.57, abs=0.005)
    assert rows["langenhorst2019_indexed"].flag == "met"
    assert rows["langenhorst2019_indexed"].reading_of == "langenhorst2019"
    assert "langenhorst2019_indexed 19.57 mg·h/L" in remarks(r, "note")["comparison_reading"]
    assert r.reading_note is not None


# --- Laws -----------------------------------------------------------------------------------------


def test_the_auc_is_amount_over_clearance(result: CheckResult) -> None:
    e = result.exposure
    assert e.auc_0_inf == pytest.approx(
        result.regimen.amount_f_ara_a_mg / e.clearance_l_h, rel=1e-12
    )


def test_the_areas_after_each_dose_add_up(result: CheckResult) -> None:
    e = result.exposure
    assert len(e.auc_per_dose) == len(result.regimen.doses_mg)
    assert sum(e.auc_per_dose) == pytest.approx(e.auc_0_inf, rel=1e-12)
    assert min(e.auc_per_dose) > 0


def test_the_interval_is_ordered_around_the_typical_patient(result: CheckResult) -> None:
    low, high = result.exposure.auc_0_inf_pi90
    assert 0 < low < result.exposure.auc_0_inf < high


def test_the_probabilities_add_up(result: CheckResult) -> None:
    for target in result.targets:
        if target.p_within is None:
            assert target.optimum is not None
            assert target.p_below + target.p_above == pytest.approx(1.0, abs=1e-12)
        else:
            assert target.p_below + target.p_within + target.p_above == pytest.approx(
                1.0, abs=1e-12
            )


def test_every_target_is_listed_whether_it_applies_or_not(result: CheckResult) -> None:
    assert [target.id for target in result.targets] == list(targets())


def test_every_model_is_listed_whether_it_applies_or_not(result: CheckResult) -> None:
    assert [row.model for row in result.sensitivity] == list(model_paths())
    for row in result.sensitivity:
        assert (row.auc_0_inf is None, row.flag is None, row.reason is not None) == (
            (not row.applies,) * 3
        )


def test_the_model_in_use_gives_the_same_as_among_the_others(result: CheckResult) -> None:
    (own,) = [row for row in result.sensitivity if row.model == result.model]
    assert own.auc_0_inf in (None, result.exposure.auc_0_inf)
    assert own.flag in (None, result.flag)


def test_the_models_agree_if_their_flags_are_the_same(result: CheckResult) -> None:
    counting = [row for row in result.sensitivity if row.applies and row.reading_of is None]
    flags = {row.flag for row in counting} | {result.flag}
    assert result.models_agree == (len(flags) == 1)


def test_doses_amounts_and_times_belong_together(result: CheckResult) -> None:
    r, factor = result.regimen, load_model(result.model).file.dose.factor
    assert r.total_mg == pytest.approx(sum(r.doses_mg), rel=1e-14)
    assert r.total_mg_m2 == pytest.approx(r.total_mg / result.patient.bsa_m2, rel=1e-14)
    assert r.amount_f_ara_a_mg == pytest.approx(r.total_mg * factor, rel=1e-14)
    assert len(r.times_h) == len(r.doses_mg)
    assert r.times_h[0] == 0.0


def test_until_the_cells_the_exposure_is_less_than_the_whole(result: CheckResult) -> None:
    e = result.exposure
    if result.regimen.cells_at_h is None:
        assert e.auc_to_cells is None
        assert e.conc_at_cells_mg_l is None
    else:
        assert e.auc_to_cells is not None
        assert e.conc_at_cells_mg_l is not None
        assert 0 < e.auc_to_cells < e.auc_0_inf
        assert 0 < e.conc_at_cells_mg_l < e.cmax_mg_l


def test_cautions_come_before_notes(result: CheckResult) -> None:
    levels = [warning.severity for warning in result.remarks]
    assert levels == sorted(levels)


def test_the_result_is_json_without_nan(result: CheckResult) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(result.to_json(), parse_constant=refuse) == json.loads(
        json.dumps(asdict(result))
    )


def test_it_says_what_made_it(result: CheckResult) -> None:
    made = result.provenance
    model = load_model(result.model)
    assert (made.version, made.model_sha256) == (__version__, model.sha256)
    assert re.fullmatch("[0-9a-f]{64}", made.input_sha256)
    assert "not a medical device" in result.disclaimer
    assert "prospective trials are needed" in result.disclaimer
    assert result.model_citation == model.file.citation.short


@pytest.mark.parametrize("name", EVERYBODY)
def test_the_same_patient_twice_gives_the_same_bytes(name: str) -> None:
    patient, regimen, model = EVERYBODY[name]
    first, again = (checked(patient, regimen, model=model).to_json() for _ in range(2))
    assert first == again


def test_the_exposure_is_proportional_to_the_dose() -> None:
    once, twice = checked(MAN, custom(15.0)).exposure, checked(MAN, custom(30.0)).exposure
    assert twice.auc_0_inf == pytest.approx(2 * once.auc_0_inf, rel=1e-12)
    assert twice.cmax_mg_l == pytest.approx(2 * once.cmax_mg_l, rel=1e-12)
    assert twice.auc_0_inf_pi90 == pytest.approx([2 * x for x in once.auc_0_inf_pi90], rel=1e-12)
    assert twice.half_life_h == once.half_life_h


def test_the_exposure_does_not_depend_on_the_length_of_the_infusion() -> None:
    short, long = (checked(MAN, custom(infusion_h=h)).exposure for h in (0.5, 4.0))
    assert long.auc_0_inf == pytest.approx(short.auc_0_inf, rel=1e-12)
    assert long.cmax_mg_l < short.cmax_mg_l


# --- Probabilities against what they should be ----------------------------------------------------


@pytest.mark.parametrize("crcl", [40.0, 96.0, 200.0])
def test_without_inter_occasion_variability_probabilities_have_a_closed_form(crcl: float) -> None:
    r = checked(ADULT, "axi_cel", model="varela2025", crcl_ml_min=crcl)
    spread = math.sqrt(math.log1p(0.298**2))
    auc = r.exposure.auc_0_inf
    for target in r.targets:
        low = target.optimum if target.low is None else target.low
        assert low is not None
        expected = NormalDist().cdf(math.log(low / auc) / spread)
        assert target.p_below == pytest.approx(expected, abs=0.002)
    reach = NormalDist().inv_cdf(0.95) * spread
    assert r.exposure.auc_0_inf_pi90 == pytest.approx(
        (auc * math.exp(-reach), auc * math.exp(reach)), rel=2e-3
    )


@pytest.mark.parametrize(("patient", "regimen"), [(GIRL, "tisa_cel_ball"), (MAN, "hct_160")])
def test_with_inter_occasion_variability_probabilities_are_within_half_a_percent(
    patient: Known, regimen: str
) -> None:
    who, plan = Patient(**patient), Regimen.named(regimen)
    prediction = predict(load_model(), who, plan, plan.course(who))
    program = prediction.model.program
    normals = np.random.default_rng(5).standard_normal((200_000, program.n_eta + 4 * 2))
    effects = RandomEffects.from_normals(program, normals, 4)
    auc = prediction.exposure(effects).auc_0_inf
    for target in check(who, plan).targets:
        low = target.optimum if target.low is None else target.low
        assert low is not None
        assert target.p_below == pytest.approx(np.mean(auc < low), abs=0.005)


# --- The calculation, re-done by hand -------------------------------------------------------------

UNITS: Final = r"(?<=[\d)]) (mg/m2|mg/kg|mg/dL|mL/min|L/h|m2|cm|kg|mg)(?![\w/])"


def by_hand(how: str) -> float:
    """The value of a line of arithmetic, as a second person would type it into a calculator."""
    text = re.sub(UNITS, "", how).replace("√(", "math.sqrt(")
    for printed, typed in (("×", "*"), ("−", "-"), ("^", "**")):
        text = text.replace(printed, typed)
    assert re.fullmatch(r"(math\.sqrt|exp|[\d.+\-*/() e])+", text), text
    return float(eval(text, {"math": math, "exp": math.exp}))


def test_every_line_of_the_calculation_gives_its_value(result: CheckResult) -> None:
    done = set()
    for step in result.trail:
        if step.by in ("given", "cap"):
            continue
        how = step.how.split(" = ")[-1 if step.name == "AUC0-inf" else 0]
        assert by_hand(how) == pytest.approx(step.value, rel=2e-3), step
        done.add(step.name)
    assert done >= {"BSA", "dose", "course", "amount", "CL", "AUC0-inf"}


def test_renal_and_non_renal_clearance_add_up() -> None:
    r = checked(GIRL)
    (step,) = [step for step in r.trail if step.name == "CL"]
    found = re.search(r"= non-renal ([\d.]+) \+ renal ([\d.]+)$", step.how)
    assert found is not None
    non_renal, renal = map(float, found.groups())
    assert non_renal + renal == pytest.approx(r.exposure.clearance_l_h, abs=2e-3)
    assert r.exposure.renal_fraction == pytest.approx(renal / (non_renal + renal), abs=1e-3)


def test_a_model_without_renal_clearance_has_no_renal_fraction() -> None:
    assert checked(ANAEMIC, "hct_160", model="mohanan2017").exposure.renal_fraction is None


@pytest.mark.parametrize("formula", ["ckd_epi_2021", "ckid_u25", "cockcroft_gault", "mdrd"])
def test_another_formula_is_in_the_calculation_and_is_a_caution(formula: str) -> None:
    r = checked(MAN, egfr_formula=formula)
    assert r.patient.egfr_formula == formula
    assert any(step.by == formula for step in r.trail)
    assert formula in remarks(r, "caution")["egfr_formula"]


@pytest.mark.parametrize("formula", ["mosteller", "du_bois", "haycock", "gehan_george"])
def test_the_surface_formula_is_in_the_calculation(formula: str) -> None:
    r = checked(MAN, bsa_formula=formula)
    assert (r.patient.bsa_formula, r.trail[0].by) == (formula, formula)
    assert r.regimen.doses_mg[0] == pytest.approx(30 * r.patient.bsa_m2, rel=1e-14)


# --- Rounding -------------------------------------------------------------------------------------


def test_the_auc_is_that_of_the_rounded_dose() -> None:
    plain, rounded = checked(GIRL), checked(GIRL, round_to_mg=1.0)
    assert rounded.regimen.doses_mg == [22.0] * 4
    assert rounded.regimen.planned_dose_mg == plain.regimen.doses_mg[0]
    assert rounded.exposure.auc_0_inf == pytest.approx(
        plain.exposure.auc_0_inf * 22.0 / plain.regimen.doses_mg[0], rel=1e-12
    )
    assert rounded.regimen.volume_ml_per_dose == pytest.approx(0.88)
    assert rounded.regimen.vials_per_dose == 1
    assert rounded.regimen.waste_mg_per_dose == pytest.approx(28.0)
    assert "rounding" not in remarks(rounded)


def test_rounding_can_change_the_flag() -> None:
    assert checked(GIRL).flag == "below"
    assert checked(GIRL, round_to_mg=8.0).flag == "met"


# --- Which renal formula --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "sex", "formula"),
    [
        (5, None, "schwartz_bedside"),
        (13.9, None, "schwartz_bedside"),
        (13.9, "male", "schwartz_bedside"),
        (14, "male", "cockcroft_gault"),
        (14, "female", "schwartz_bedside"),
        (16.9, "female", "schwartz_bedside"),
        (17, "female", "cockcroft_gault"),
        (60, "female", "cockcroft_gault"),
    ],
)
def test_the_renal_formula_is_that_of_age_and_sex(
    age: float, sex: str | None, formula: str
) -> None:
    weight_kg, height_cm = (18.2, 110) if age < 10 else (50, 160)
    r = checked(MAN, age_years=age, sex=sex, weight_kg=weight_kg, height_cm=height_cm)
    assert r.patient.egfr_formula == formula


@pytest.mark.parametrize("age", [14, 16.9, 19, 60])
def test_the_sex_is_asked_for_where_a_formula_needs_it(age: float) -> None:
    said = refusal(MAN, age_years=age, sex=None)
    assert said == "langenhorst2019 needs sex (the eGFR formula at this age needs it)"


def test_the_sex_is_not_needed_for_a_child_or_a_given_renal_function() -> None:
    assert checked(GIRL, sex=None).exposure.auc_0_inf == checked(GIRL).exposure.auc_0_inf
    assert checked(MAN, sex=None, scr_mg_dl=None, egfr_ml_min_1_73m2=100).exposure.auc_0_inf > 0


def test_a_renal_function_is_asked_for() -> None:
    assert "needs a renal function: scr_mg_dl" in refusal(ADULT, "axi_cel")


@pytest.mark.parametrize(("age", "cap"), [(0.5, 70.0), (1.5, 140.0), (30, 140.0), (60, 116.0)])
def test_the_renal_function_is_capped_by_age(age: float, cap: float) -> None:
    known = {**GIRL, "scr_mg_dl": None, "egfr_ml_min_1_73m2": 250.0, "age_years": age}
    r = checked(known, confirm=("age", "weight", "height"))
    assert r.patient.egfr_ml_min_1_73m2 == pytest.approx(cap, rel=1e-12)
    assert r.patient.egfr_uncapped_ml_min_1_73m2 == 250.0
    assert r.patient.egfr_capped


# --- Remarks --------------------------------------------------------------------------------------


def test_the_other_kind_of_renal_function_is_converted_both_ways() -> None:
    r = checked(ADULT, "axi_cel", model="varela2025", egfr_ml_min_1_73m2=90)
    assert r.patient.crcl_ml_min == pytest.approx(90 * r.patient.bsa_m2 / 1.73, rel=1e-12)
    assert r.patient.crcl_formula == "from eGFR"
    assert "converted from the eGFR given" in remarks(r, "note")["renal_converted"]
    back = checked(ADULT, "axi_cel", crcl_ml_min=90)
    assert back.patient.egfr_ml_min_1_73m2 == pytest.approx(90 * 1.73 / back.patient.bsa_m2)
    assert back.patient.egfr_formula == "from CrCl"


def test_conversions_of_units_are_noted() -> None:
    patient = Patient(age="66 mo", weight="40 lb", height="1.10 m", scr="26.52 umol/L")
    said = remarks(check(patient, Regimen.named("tisa_cel_ball")), "note")["units_converted"]
    assert said.split("; ") == [
        "age 66 months = 5.5 years",
        "weight 40 lb = 18.14 kg",
        "height 1.1 m = 110 cm",
        "creatinine 26.52 umol/L = 0.3 mg/dL",
    ]


@pytest.mark.parametrize(
    ("dose", "cautioned"), [(25.0, False), (39.9, False), (40.0, True), (50.0, True)]
)
def test_from_40_mg_per_m2_a_day_the_neurotoxicity_is_repeated(
    dose: float, cautioned: bool
) -> None:
    assert ("neurotoxicity" in remarks(checked(GIRL, custom(dose)), "caution")) == cautioned


def test_two_doses_within_a_day_count_together() -> None:
    r = checked(GIRL, custom(20.0, days=8, interval_h=12.0))
    assert "40.0 mg/m2 a day" in remarks(r, "caution")["neurotoxicity"]


@pytest.mark.parametrize(("step", "cautioned"), [(1.0, False), (7.0, True), (7.1, False)])
def test_rounding_by_more_than_5_percent_is_a_caution(step: float, cautioned: bool) -> None:
    r = checked(GIRL, round_to_mg=step)
    change = r.regimen.doses_mg[0] / r.regimen.planned_dose_mg - 1
    assert (abs(change) > 0.05) == cautioned
    assert ("rounding" in remarks(r, "caution")) == cautioned


@pytest.mark.parametrize(("age", "cautioned"), [(0.2, True), (0.99, True), (1.0, False)])
def test_under_one_year_is_a_caution(age: float, cautioned: bool) -> None:
    weight_kg, height_cm = (4.8, 56) if age < 0.5 else (8, 70)
    r = checked(GIRL, age_years=age, weight_kg=weight_kg, height_cm=height_cm)
    assert ("infant" in remarks(r, "caution")) == cautioned


def test_a_model_of_another_disease_is_a_caution() -> None:
    """A model of lymphoma used for leukaemia: the page says 'not this patient', so must this."""
    r = checked(MAN, age_years=25, model="varela2025")
    (own,) = [row for row in r.sensitivity if row.model == "varela2025"]
    assert not own.applies
    assert any("varela2025" in message for message in remarks(r, "caution").values())


# --- Outside the studied range --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "model", "part"),
    [
        ({"age_years": 80}, "langenhorst2019", "AGE 80 years (studied 0.3-74)"),
        ({"weight_kg": 135}, "langenhorst2019", "WT 135 kg (studied 4.3-130)"),
        ({"crcl_ml_min": 25}, "langenhorst2019", "eGFR 21.9 mL/min/1.73 m2 (studied 25-140)"),
        ({"age_years": 85}, "varela2025", "AGE 85 years (studied 23-82)"),
        ({"weight_kg": 110}, "varela2025", "WT 110 kg (studied 52-101)"),
        ({"crcl_ml_min": 25}, "varela2025", "CrCl 25 mL/min (studied 39-214)"),
    ],
)
def test_outside_the_studied_range_is_a_caution_and_strictly_an_error(
    changes: dict[str, Any], model: str, part: str
) -> None:
    known = {**ADULT, "crcl_ml_min": 90, **changes}
    assert part in remarks(checked(known, "axi_cel", model=model))["outside_studied_range"]
    with pytest.raises(StudiedRangeError, match=f"outside the studied range of {model}") as error:
        checked(known, "axi_cel", model=model, strict=True)
    assert part in str(error.value)


def test_inside_the_studied_range_strict_changes_nothing() -> None:
    assert checked(MAN, strict=True) == checked(MAN)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (
            {"age_years": 110},
            "age_years = 110 years is outside 0-100, the limits of langenhorst2019",
        ),
        (
            {"weight_kg": 1.5, "confirm": "weight"},
            "weight_kg = 1.5 kg is outside 2-300, the limits of langenhorst2019",
        ),
    ],
)
def test_outside_the_limits_of_a_model_is_always_refused(
    changes: dict[str, Any], part: str, strict: bool
) -> None:
    known = {**ADULT, "egfr_ml_min_1_73m2": 90, **changes}
    assert part in refusal(known, "axi_cel", strict=strict)


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"product": "tisacel"}, "unknown product 'tisacel': did you mean 'tisa_cel'?"),
        ({"diagnosis": "ball"}, "unknown diagnosis 'ball': did you mean 'b_all'?"),
        ({"diagnosis": "aplastic_anemia"}, "did you mean 'aplastic_anaemia'?"),
        ({"genotype": "carier"}, "unknown genotype 'carier': did you mean 'carrier'?"),
        ({"genotype": "gg"}, "unknown genotype 'gg': did you mean 'GG'?"),
        ({"model": "langenhorst"}, "unknown model 'langenhorst': did you mean 'langenhorst2019'?"),
        ({"model": "varela"}, "unknown model 'varela': did you mean 'varela2025'?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(MAN, **changes)


def test_a_product_that_is_not_that_of_the_course_is_refused() -> None:
    said = refusal(MAN, "axi_cel", product="tisa_cel")
    assert said == "product = 'tisa_cel', but axi_cel is a course for 'axi_cel'"


def test_mohanan_says_what_it_needs() -> None:
    said = refusal(MAN, "hct_160", model="mohanan2017")
    assert "diagnosis (aplastic_anaemia or fanconi_anaemia)" in said
    assert "genotype (GG or carrier)" in said
    without_genotype = {**ANAEMIC, "genotype": None}
    assert "diagnosis" not in refusal(without_genotype, "hct_160", model="mohanan2017")


def test_varela_says_what_it_needs() -> None:
    said = refusal(ADULT, custom(), model="varela2025", crcl_ml_min=90)
    assert said == "varela2025 needs product (axi_cel or tisa_cel)"


def test_mohanan_needs_no_renal_function() -> None:
    clearance = checked(ANAEMIC, "hct_160", model="mohanan2017").exposure.clearance_l_h
    assert clearance == pytest.approx(7.12 * math.sqrt(50 * 160 / 3600), rel=1e-12)


# --- Targets of a patient -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patient", "regimen", "changes", "expected"),
    [
        (GIRL, "tisa_cel_ball", {}, ["fabrizio2022", "dekker2022"]),
        (MAN, "tisa_cel_ball", {}, ["fabrizio2022", "dekker2022"]),
        (MAN, "tisa_cel_ball", {"age_years": 40}, []),
        (MAN, "axi_cel", {"age_years": 60}, ["scordo2023"]),
        (GIRL, "hct_160", {}, ["langenhorst2019b"]),
        (MAN, "brexu_cel_ball", {}, []),
        (MAN, "obe_cel", {}, []),
        (GIRL, custom(), {}, []),
        (GIRL, custom(), {"product": "tisa_cel"}, []),
        (GIRL, custom(), {"diagnosis": "b_all"}, []),
        (
            GIRL,
            custom(),
            {"product": "tisa_cel", "diagnosis": "b_all"},
            ["fabrizio2022", "dekker2022"],
        ),
        (GIRL, custom(), {"diagnosis": "hct"}, ["langenhorst2019b"]),
        (GIRL, "tisa_cel_ball", {"diagnosis": "lbcl"}, []),
    ],
)
def test_a_target_applies_to_its_own_patients(
    patient: Known, regimen: str | Regimen, changes: dict[str, Any], expected: list[str]
) -> None:
    r = checked(patient, regimen, **changes)
    assert [target.id for target in r.targets if target.applies] == expected
    assert ("no_target" in remarks(r, "note")) == (not expected)


def test_the_status_of_a_target_is_that_of_the_typical_patient(result: CheckResult) -> None:
    auc = result.exposure.auc_0_inf
    for target in result.targets:
        low = target.optimum or target.low or 0.0
        high = target.optimum or target.high or math.inf
        expected = "below" if auc < low else "above" if auc > high else "within"
        assert target.status == expected


# --- Label rules of a patient ---------------------------------------------------------------------


def test_the_labels_contradict_each_other_at_a_clearance_of_62() -> None:
    r = checked(ADULT, "axi_cel", crcl_ml_min=62)
    rows = {row.id: row for row in r.label_rules}
    assert rows["us_iv"].advice.startswith("20 % less")
    assert rows["eu"].advice.startswith("up to 50 % less")
    assert (rows["us_iv"].value, rows["us_iv"].measure) == (62.0, "CrCl")
    assert (rows["us_iv"].factor, rows["eu"].factor) == (0.8, 0.5)
    for row in rows.values():
        assert row.applies
        if row.id == "ebmt_eha":  # prints no threshold
            assert (row.factor, row.auc_0_inf) == (None, None)
            continue
        assert row.factor is not None
        assert row.auc_0_inf == pytest.approx(row.factor * r.exposure.auc_0_inf, rel=1e-14)


def test_the_labels_use_cockcroft_gault_whatever_the_model_uses() -> None:
    r = checked({**ADULT, "scr_mg_dl": 1.0}, "axi_cel")
    (row,) = [row for row in r.label_rules if row.id == "us_iv"]
    assert row.value == pytest.approx((140 - 60) * 80 / 72, rel=1e-14)


@pytest.mark.parametrize("age", [0.7, 5, 17.9])
def test_the_labels_are_written_for_adults(age: float) -> None:
    weight_kg, height_cm = {0.7: (8.0, 70.0), 5: (18.2, 110.0), 17.9: (60.0, 168.0)}[age]
    r = checked(GIRL, age_years=age, weight_kg=weight_kg, height_cm=height_cm)
    for row in r.label_rules:
        assert not row.applies
        assert row.advice == "written for adults"
        assert (row.value, row.factor, row.auc_0_inf) == (None, None, None)


def test_a_label_that_refuses_the_drug_is_a_stop() -> None:
    r = checked({**ADULT, "crcl_ml_min": 25}, "axi_cel")
    rows = {row.id: row for row in r.label_rules}
    assert (rows["us_iv"].advice, rows["us_iv"].factor) == ("do not give", None)
    assert (rows["eu"].advice, rows["eu"].auc_0_inf) == ("contraindicated", None)
    reasons = remarks(r, "stop")["label_renal"]
    assert "do not give" in reasons
    assert "contraindicated" in reasons
    assert r.headline.stops == [reasons]
    assert r.headline.standing == "stop"


def test_without_a_renal_function_the_labels_do_not_ask_for_a_sex_that_was_given() -> None:
    known = {**ANAEMIC, "age_years": 20}
    for row in checked(known, "hct_160", model="mohanan2017").label_rules:
        assert not row.applies
        assert "sex" not in row.advice


# --- The input hash -------------------------------------------------------------------------------


def input_hash(**changes: Any) -> str:
    texts = {"age": "5", "sex": "female", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL"}
    patient = Patient(**{**texts, **changes})
    return check(patient, Regimen.named("tisa_cel_ball")).provenance.input_sha256


@pytest.mark.parametrize(
    "changes",
    [{"age": "60 months"}, {"scr": "26.52 umol/L"}, {"height": "1.1 m"}, {"sex": "F"}],
)
def test_the_same_patient_in_other_units_has_the_same_hash(changes: dict[str, str]) -> None:
    assert input_hash(**changes) == input_hash()


@pytest.mark.parametrize("changes", [{"age": "5.1"}, {"scr": "0.31 mg/dL"}, {"sex": "male"}])
def test_another_patient_has_another_hash(changes: dict[str, str]) -> None:
    assert input_hash(**changes) != input_hash()


def test_the_hash_covers_regimen_model_and_rounding() -> None:
    options: list[dict[str, Any]] = [
        {},
        {"regimen": "hct_160"},
        {"regimen": replace(Regimen.named("tisa_cel_ball"), infusion_h=1.0)},
        {"model": "langenhorst2019_indexed"},
        {"round_to_mg": 1.0},
    ]
    hashes = {checked(GIRL, **option).provenance.input_sha256 for option in options}
    assert len(hashes) == len(options)


# --- Folders --------------------------------------------------------------------------------------


def test_a_model_of_ones_own_is_among_the_others(tmp_path: Path) -> None:
    text = model_paths()["varela2025"].read_text(encoding="utf-8")
    own = text.replace('id = "varela2025"', 'id = "own2025"', 1)
    (tmp_path / "own2025.toml").write_text(own, encoding="utf-8")
    folders = [tmp_path, model_paths()["varela2025"].parent]
    patient = Patient(**ADULT, crcl_ml_min=90)
    r = check(patient, Regimen.named("axi_cel"), model="own2025", folders=folders)
    rows = {row.model: row.auc_0_inf for row in r.sensitivity}
    assert len(rows) == len(load_models()) + 1
    assert rows["own2025"] == rows["varela2025"] == r.exposure.auc_0_inf
