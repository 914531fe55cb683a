"""Courses: the published ones are what the labels say, and no typed one passes the ceilings."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.errors import ExitStatus, InputError
from fludapk.patients.course import COURSE_CEILING_MG_M2, DAILY_CEILING_MG_M2, Course
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import MAX_DOSES, Regimen, parse_dose
from fludapk.published.regimens import label_rules, label_step, label_steps, regimens

DoseUnit = Literal["mg/m2", "mg/kg", "mg"]
GIRL: Final = Patient(age_years=5, weight_kg=18.2, height_cm=110)
"""BSA 0.7457 m2."""


def custom(dose: float, unit: DoseUnit = "mg/m2", days: int = 3, **others: Any) -> Regimen:
    return Regimen(dose=dose, unit=unit, days=days, **others)


def refusal(regimen: Regimen, round_to_mg: float | None = None) -> str:
    with pytest.raises(InputError) as refused:
        regimen.course(GIRL, round_to_mg)
    assert refused.value.exit_status is ExitStatus.INPUT_REFUSED
    return str(refused.value)


def course_or_refusal(
    patient: Patient, round_to_mg: float | None, **regimen: Any
) -> Course | InputError:
    """Any other error is a crash."""
    try:
        return custom(**regimen).course(patient, round_to_mg)
    except InputError as error:
        return error


# --- Published courses ----------------------------------------------------------------------------

# id -> product, disease, mg/m2, infusions, hours of an infusion, cyclophosphamide
Row = tuple[str | None, str, float, int, float, str]
PUBLISHED: Final[Mapping[str, Row]] = {
    "tisa_cel_ball": ("tisa_cel", "b_all", 30, 4, 0.5, "500 mg/m2 × 2"),
    "tisa_cel_lbcl": ("tisa_cel", "lbcl", 25, 3, 0.5, "250 mg/m2 × 3"),
    "axi_cel": ("axi_cel", "lbcl", 30, 3, 0.5, "500 mg/m2 × 3"),
    "brexu_cel_mcl": ("brexu_cel", "mcl", 30, 3, 0.5, "500 mg/m2 × 3"),
    "brexu_cel_ball": ("brexu_cel", "b_all", 25, 3, 0.5, "900 mg/m2 × 1"),
    "liso_cel": ("liso_cel", "lbcl", 30, 3, 0.5, "300 mg/m2 × 3"),
    "ide_cel": ("ide_cel", "myeloma", 30, 3, 0.5, "300 mg/m2 × 3"),
    "cilta_cel": ("cilta_cel", "myeloma", 30, 3, 0.5, "300 mg/m2 × 3"),
    "obe_cel": ("obe_cel", "b_all", 30, 4, 0.5, "500 mg/m2 × 2"),
    "hct_160": (None, "hct", 40, 4, 1.0, ""),
    "panetta2025_below_6y": (None, "b_all", 37, 4, 0.5, ""),
    "panetta2025_6_to_11y": (None, "b_all", 33.75, 4, 0.5, ""),
    "panetta2025_11_to_15y": (None, "b_all", 30, 4, 0.5, ""),
    "panetta2025_from_15y": (None, "b_all", 26.25, 4, 0.5, ""),
}
PANETTA: Final = [name for name in PUBLISHED if name.startswith("panetta2025")]


def test_these_are_the_published_courses() -> None:
    assert list(regimens()) == list(PUBLISHED)


@pytest.mark.parametrize(("name", "row"), PUBLISHED.items())
def test_a_published_course_is_that_of_the_label(name: str, row: Row) -> None:
    product, disease, dose, days, infusion_h, cyclophosphamide = row
    plan = Regimen.named(name)
    assert (plan.id, plan.product, plan.disease) == (name, product, disease)
    assert (plan.dose, plan.unit, plan.days) == (dose, "mg/m2", days)
    assert (plan.infusion_h, plan.interval_h) == (infusion_h, 24.0)
    assert regimens()[name].cyclophosphamide.startswith(cyclophosphamide)
    assert plan.times_h == tuple(24.0 * k for k in range(days))


@pytest.mark.parametrize(
    ("name", "first_day", "cell_day"),
    [
        ("axi_cel", -5, 0),
        ("brexu_cel_mcl", -5, 0),
        ("brexu_cel_ball", -4, 0),
        ("obe_cel", -6, 0),
    ],
)
def test_cells_on_day_0_are_counted_from_the_first_dose(
    name: str, first_day: int, cell_day: int
) -> None:
    assert Regimen.named(name).cells_at_h == 24.0 * (cell_day - first_day)


@pytest.mark.parametrize(
    ("name", "earliest_day_after"),
    [("tisa_cel_ball", 2), ("tisa_cel_lbcl", 2), ("liso_cel", 2), ("ide_cel", 2), ("cilta_cel", 2)],
)
def test_cells_some_days_after_are_counted_from_the_last_dose(
    name: str, earliest_day_after: int
) -> None:
    plan = Regimen.named(name)
    assert plan.cells_at_h == plan.times_h[-1] + 24.0 * earliest_day_after


def test_what_no_source_settles_is_marked() -> None:
    unsettled = {name for name, entry in regimens().items() if entry.unsettled}
    assert unsettled == {"liso_cel", "obe_cel", *PANETTA}


def test_the_bands_of_an_age_banded_course_follow_each_other() -> None:
    bands = [regimens()[name].ages for name in PANETTA]
    assert [band[0] for band in bands if band] == [0.0, 6.0, 11.0, 15.0]
    assert all(a[1] == b[0] for a, b in pairwise(bands) if a and b)


@pytest.mark.parametrize("name", PANETTA)
def test_a_doubtful_course_carries_its_warning(name: str) -> None:
    assert "very probably took mg of fludarabine phosphate as mg of F-ara-A" in (
        Regimen.named(name).warning
    )


@given(
    days=st.integers(0, MAX_DOSES + 1),
    interval_h=st.floats(0.0, 1100.0) | st.sampled_from([0.5, 1, 24]),
    infusion_h=st.floats(0.0, 30.0) | st.sampled_from([0.005, 0.5, 1, 24.0]),
)
def test_whatever_infusions_a_regimen_takes_are_possible_ones(
    days: int, interval_h: float, infusion_h: float
) -> None:
    try:
        plan = Regimen(
            dose=30.0, unit="mg", days=days, interval_h=interval_h, infusion_h=infusion_h
        )
    except InputError:
        return
    course = plan.course_of(30.0)
    assert vars(course) == vars(Course(**vars(course)))  # no rule of a course refuses them


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_course_is_below_the_ceilings(name: str) -> None:
    course = Regimen.named(name).course(GIRL)
    assert course.ceiling_faults(GIRL.bsa_m2) == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("tisa_cell_ball", "tisa_cel_ball"), ("axicel", "axi_cel"), ("hct160", "hct_160")],
)
def test_an_unknown_course_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"unknown regimen {name!r}: did you mean {nearest!r}"):
        Regimen.named(name)


# --- Typed courses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 mg/m2", (30.0, "mg/m2")),
        ("30mg/m²", (30.0, "mg/m2")),
        ("30 mg per m2", (30.0, "mg/m2")),
        ("1.2 mg/kg", (1.2, "mg/kg")),
        ("45 mg", (45.0, "mg")),
        ("45 MG", (45.0, "mg")),
    ],
)
def test_a_dose_is_read_with_its_unit(text: str, expected: tuple[float, str]) -> None:
    assert parse_dose(text) == expected


@pytest.mark.parametrize("text", ["30", "30 g", "30 mg/m2/day", "30 ug/kg", "30 mL"])
def test_a_dose_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(InputError, match='write for example "30 mg/m2"'):
        parse_dose(text)


@pytest.mark.parametrize("text", ["", "mg/m2", "nan mg", "1,5 mg", "thirty mg/m2"])
def test_a_dose_without_a_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^dose = "):
        parse_dose(text)


@pytest.mark.parametrize(
    ("dose", "unit", "each"),
    [(30.0, "mg/m2", 30.0 * GIRL.bsa_m2), (1.0, "mg/kg", 18.2), (20.0, "mg", 20.0)],
)
def test_a_dose_is_scaled_by_what_its_unit_names(dose: float, unit: DoseUnit, each: float) -> None:
    assert custom(dose, unit).course(GIRL).doses_mg == pytest.approx((each,) * 3, rel=1e-15)


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["dose", "interval_h", "infusion_h", "cells_at_h"])
def test_numbers_of_a_course_are_finite_and_above_zero(name: str, number: float) -> None:
    with pytest.raises(InputError):
        Regimen(**{"dose": 30.0, "unit": "mg/m2", "days": 3, name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [0, -1, MAX_DOSES + 1])
def test_a_course_has_1_to_14_doses(days: int) -> None:
    with pytest.raises(InputError, match="from 1 to 14 doses"):
        custom(10.0, days=days)


def test_all_faults_of_a_course_are_listed_at_once() -> None:
    with pytest.raises(InputError) as refused:
        custom(-30.0, days=0, interval_h=0.0, infusion_h=math.nan, cells_at_h=-1.0)
    assert len(refused.value.sentences()) == 5


def test_infusions_may_not_overlap() -> None:
    with pytest.raises(InputError, match="infusions overlap"):
        custom(10.0, interval_h=1.0, infusion_h=2.0)


def test_infusions_may_follow_one_another() -> None:
    assert custom(10.0, interval_h=12.0, infusion_h=12.0).course(GIRL).times_h == (0.0, 12.0, 24.0)


def test_a_single_infusion_overlaps_with_nothing() -> None:
    assert custom(10.0, days=1, interval_h=1.0, infusion_h=30.0).course(GIRL).total_mg > 0


def test_a_list_of_infusions_may_not_overlap_either() -> None:
    with pytest.raises(InputError, match="infusions 2 and 3 overlap"):
        Course(times_h=(0.0, 24.0, 24.2), infusion_h=(0.5,) * 3, doses_mg=(20.0,) * 3)


# --- Ceilings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dose", "unit", "days", "others"),
    [
        (50.1, "mg/m2", 1, {}),
        (3.0, "mg/kg", 1, {}),
        (38.0, "mg", 1, {}),
        (30.0, "mg/m2", 2, {"interval_h": 12.0}),
        (26.0, "mg/m2", 2, {"interval_h": 23.9}),
        (17.0, "mg/m2", 3, {"interval_h": 8.0}),
    ],
)
def test_more_than_50_mg_per_m2_in_24_hours_is_refused(
    dose: float, unit: DoseUnit, days: int, others: dict[str, float]
) -> None:
    said = refusal(custom(dose, unit, days, **others))
    assert "mg/m2 in a day is above 50 mg/m2: refused" in said
    assert "severe CNS toxicity in 36 %" in said


@pytest.mark.parametrize(
    ("dose", "unit", "days", "others"),
    [
        (50.0, "mg/m2", 5, {}),
        (2.0, "mg/kg", 5, {}),
        (37.0, "mg", 5, {}),
        (25.0, "mg/m2", 10, {"interval_h": 12.0}),
        (50.0, "mg/m2", 2, {"interval_h": 24.0}),
    ],
)
def test_the_ceilings_themselves_are_allowed(
    dose: float, unit: DoseUnit, days: int, others: dict[str, float]
) -> None:
    assert len(custom(dose, unit, days, **others).course(GIRL).doses_mg) == days


@pytest.mark.parametrize(("dose", "days"), [(36.0, 7), (50.0, 6), (18.0, 14)])
def test_more_than_250_mg_per_m2_in_a_course_is_refused(dose: float, days: int) -> None:
    assert "in the course is above 250 mg/m2: refused" in refusal(custom(dose, days=days))


def test_both_ceilings_are_said_at_once() -> None:
    said = refusal(custom(60.0, days=5)).splitlines()
    assert [("in a day" in line, "in the course" in line) for line in said] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"dose": 1e300},
        {"dose": 1.7e308},
        {"interval_h": 1e308},
        {"infusion_h": 1e-320},
        {"infusion_h": 1e308, "interval_h": 1.7e308},
    ],
)
def test_absurd_numbers_are_refused(changes: dict[str, float]) -> None:
    found = course_or_refusal(GIRL, None, **{"dose": 10.0, "days": 4, **changes})
    assert isinstance(found, InputError)
    assert found.faults


def test_the_highest_day_is_any_24_hours() -> None:
    course = Course(
        times_h=(0.0, 23.0, 30.0, 60.0), infusion_h=(0.5,) * 4, doses_mg=(1.0, 2.0, 4.0, 8.0)
    )
    assert course.highest_daily_mg() == 8.0
    closer = Course(times_h=(0.0, 23.0, 30.0), infusion_h=(0.5,) * 3, doses_mg=(3.0, 2.0, 1.5))
    assert closer.highest_daily_mg() == 5.0


# --- Rounding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "given"),
    [(None, 22.371857), (1.0, 22.0), (0.5, 22.5), (0.1, 22.4), (2.5, 22.5), (8.0, 24.0), (3, 21.0)],
)
def test_a_dose_is_rounded_to_the_nearest_step(step: float | None, given: float) -> None:
    course = Regimen.named("tisa_cel_ball").course(GIRL, step)
    assert course.doses_mg == pytest.approx((given,) * 4, rel=1e-7)
    assert course.planned_mg == pytest.approx(22.371857, rel=1e-7)
    assert course.rounding_change == pytest.approx(given / 22.371857 - 1, abs=1e-7)


@pytest.mark.parametrize("step", [5.0, 12.5, 25.0, 50.0, 1000.0])
def test_rounding_by_more_than_a_tenth_is_refused(step: float) -> None:
    said = refusal(Regimen.named("tisa_cel_ball"), step)
    assert "changes each dose from 22.37 mg" in said
    assert "round more finely" in said


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
def test_a_rounding_step_is_finite_and_above_zero(step: float) -> None:
    assert refusal(Regimen.named("tisa_cel_ball"), step).startswith("round_to_mg = ")


@pytest.mark.parametrize(
    ("dose", "step"), [(30.0, 1e-310), (30.0, 5e-324), (1e-323, None), (5e-324, None), (5e-324, 1)]
)
def test_the_finest_steps_and_doses_give_a_course_or_are_refused(
    dose: float, step: float | None
) -> None:
    newborn = Patient(age_years=0.01, weight_kg=2.5, height_cm=46)
    course = course_or_refusal(newborn, step, dose=dose)
    assert isinstance(course, InputError) or course.total_mg > 0


def test_rounding_up_does_not_pass_a_ceiling() -> None:
    assert "above 50 mg/m2" in refusal(custom(50.0), 2.0)


@pytest.mark.parametrize(
    ("dose", "volume", "vials", "waste"),
    [
        (22.0, 0.88, 1, 28.0),
        (50.0, 2.0, 1, 0.0),
        (50.5, 2.02, 2, 49.5),
        (100.0, 4.0, 2, 0.0),
        (125.0, 5.0, 3, 25.0),
    ],
)
def test_a_dose_is_drawn_up_from_50_mg_vials(
    dose: float, volume: float, vials: int, waste: float
) -> None:
    course = Course(times_h=(0.0,), infusion_h=(0.5,), doses_mg=(dose,))
    bench = course.preparation()
    assert (bench.dose_mg, bench.vials) == (dose, vials)
    assert (bench.volume_ml, bench.waste_mg) == pytest.approx((volume, waste), abs=1e-12)


def test_the_kernels_get_f_ara_a() -> None:
    times, lengths, amounts = Regimen.named("tisa_cel_ball").course(GIRL).arrays(0.781)
    np.testing.assert_array_equal(times, [0.0, 24.0, 48.0, 72.0])
    np.testing.assert_array_equal(lengths, [0.5] * 4)
    np.testing.assert_allclose(amounts, [[30 * GIRL.bsa_m2 * 0.781] * 4], rtol=1e-15)


patients = st.builds(
    Patient,
    age_years=st.floats(0.1, 90.0),
    weight_kg=st.floats(3.0, 200.0),
    height_cm=st.floats(45.0, 210.0),
    confirm=st.just(("age", "weight", "height")),
)


@settings(max_examples=200, deadline=None)
@given(
    patient=patients,
    dose=st.floats(0.01, 100.0),
    unit=st.sampled_from(["mg/m2", "mg/kg", "mg"]),
    days=st.integers(1, MAX_DOSES),
    interval_h=st.floats(1.0, 72.0),
    step=st.one_of(st.none(), st.floats(0.01, 25.0)),
)
def test_a_course_that_is_not_refused_is_equal_doses_below_the_ceilings(
    patient: Patient,
    dose: float,
    unit: DoseUnit,
    days: int,
    interval_h: float,
    step: float | None,
) -> None:
    course = course_or_refusal(
        patient, step, dose=dose, unit=unit, days=days, interval_h=interval_h
    )
    if isinstance(course, InputError):
        assert course.faults
        return
    assert len(course.doses_mg) == len(course.times_h) == len(course.infusion_h) == days
    assert min(course.doses_mg) > 0
    assert len(set(course.doses_mg)) == 1
    assert course.total_mg == pytest.approx(days * course.doses_mg[0], rel=1e-12)
    assert course.doses_mg[0] <= course.highest_daily_mg() <= course.total_mg * (1 + 1e-12)
    assert course.highest_daily_mg() <= DAILY_CEILING_MG_M2 * patient.bsa_m2 * (1 + 1e-8)
    assert course.total_mg <= COURSE_CEILING_MG_M2 * patient.bsa_m2 * (1 + 1e-8)
    assert abs(course.rounding_change) <= 0.10 + 1e-9
    assert all(b > a for a, b in zip(course.times_h, course.times_h[1:], strict=False))
    bench = course.preparation()
    assert bench.volume_ml * 25.0 == pytest.approx(bench.dose_mg)
    assert 0 <= bench.waste_mg + 1e-6 < 50.0 + 1e-5


# --- Label rules ----------------------------------------------------------------------------------

ADVICE: Final[Mapping[str, tuple[str, list[tuple[float, float | None]]]]] = {
    "us_iv": ("CrCl", [(300.0, 1.0), (80.0, 1.0), (79.9, 0.8), (62.0, 0.8), (50.0, 0.8),
                       (49.9, 0.6), (30.0, 0.6), (29.9, None), (1.0, None)]),
    "us_older": ("eGFR", [(71.0, 1.0), (69.9, 0.8), (30.0, 0.8), (29.9, None)]),
    "eu": ("CrCl", [(71.0, 1.0), (69.9, 0.5), (62.0, 0.5), (30.0, 0.5), (29.9, None)]),
    "car_t_centre": ("eGFR", [(60.1, 1.0), (59.9, 0.75), (45.1, 0.75), (44.9, 0.6), (30.0, 0.6),
                              (29.9, None)]),
    "dana_farber": ("CrCl", [(71.0, 1.0), (50.0, 1.0), (49.9, 0.6), (30.0, 0.6), (29.9, None)]),
    "ebmt_eha": ("CrCl", [(71.0, None), (30.0, None), (29.9, None)]),
}  # fmt: skip
"""Rule -> what it is measured by, and renal function with the part of the dose that is left."""


def test_these_are_the_label_rules() -> None:
    assert [rule.id for rule in label_rules()] == list(ADVICE)
    assert all(rule.adults_only for rule in label_rules())


@pytest.mark.parametrize(
    ("rule", "measure", "renal_function", "factor"),
    [(rule, measure, x, f) for rule, (measure, rows) in ADVICE.items() for x, f in rows],
)
def test_a_label_rule_says_what_the_label_says(
    rule: str, measure: str, renal_function: float, factor: float | None
) -> None:
    (entry,) = [entry for entry in label_rules() if entry.id == rule]
    assert entry.measure == measure
    assert label_step(entry, renal_function).factor == factor


RENAL: Final = st.sampled_from([29.999, 30.0, 45.0, 50.0, 60.0, 70.0, 80.0]) | st.floats(0, 400)


@given(st.floats(0, 100) | st.just(18.0), RENAL | st.just(math.nan), RENAL | st.just(math.nan))
def test_all_label_rules_at_once_are_each_rule_by_itself(
    age: float, crcl: float, egfr: float
) -> None:
    renal = {"CrCl": crcl, "eGFR": egfr}
    for rule, step in zip(label_rules(), label_steps(age, renal), strict=True):
        value = renal[rule.measure]
        if age < 18.0 or math.isnan(value):
            assert step is None
        else:
            assert step == label_step(rule, value)


def test_no_label_rule_is_for_a_renal_function_below_zero() -> None:
    with pytest.raises(InputError, match="is no number"):
        label_steps(60.0, {"CrCl": -1.0, "eGFR": 90.0})


@pytest.mark.parametrize(("rule", "said"), [("us_iv", "do not give"), ("eu", "contraindicated")])
def test_below_30_the_labels_refuse(rule: str, said: str) -> None:
    (entry,) = [entry for entry in label_rules() if entry.id == rule]
    assert label_step(entry, 29.0).advice == said


def test_the_labels_contradict_each_other() -> None:
    factors = {label_step(rule, 62.0).factor for rule in label_rules() if rule.measure == "CrCl"}
    assert factors == {0.8, 0.5, 1.0, None}
