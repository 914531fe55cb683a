"""Measured levels: what they change, the doses that are left, and every slip that is caught."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.answers.check import check
from fludapk.answers.draws import write_draws
from fludapk.answers.fit import fit
from fludapk.answers.goal import Goal
from fludapk.answers.prediction import predict
from fludapk.answers.update import result_of, update
from fludapk.answers.update_records import UpdateResult
from fludapk.errors import ConvergenceError, InputError, StudiedRangeError
from fludapk.pages.update import update_page
from fludapk.pages.update_sheet import update_html
from fludapk.patients.clock import read_clock
from fludapk.patients.course import GivenDose
from fludapk.patients.level import Level
from fludapk.patients.level_list import read_levels
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_concentrations
from fludapk.published.models import load_model

GIRL: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
PLAN: Final = Regimen.named("tisa_cel_ball")
DAY_ONE: Final = ("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L", "23.5h 0.03mg/L")


def levels(*texts: str) -> list[Level]:
    return [Level.from_text(text) for text in texts]


def updated(*texts: str, goal: Goal | None = None, **others: object) -> UpdateResult:
    return update(GIRL, PLAN, levels(*(texts or DAY_ONE)), goal=goal, **others)  # type: ignore[arg-type]


def codes(result: UpdateResult) -> list[str]:
    return [remark.code for remark in result.remarks]


# --- What levels change ---------------------------------------------------------------------------


def test_the_covariate_prediction_is_that_of_a_check() -> None:
    result = updated()
    assert result.prior.exposure == check(GIRL, PLAN).exposure
    assert result.prior.provenance.input_sha256 == check(GIRL, PLAN).provenance.input_sha256


def test_levels_narrow_the_interval() -> None:
    result = updated()
    low, high = result.posterior.auc_0_inf_pi90
    before = result.prior.exposure.auc_0_inf_pi90
    assert low < result.posterior.auc_0_inf < high
    assert high - low < 0.7 * (before[1] - before[0])


def test_more_levels_narrow_it_more() -> None:
    widths = []
    for k in (1, 2, 4):
        low, high = updated(*DAY_ONE[:k]).posterior.auc_0_inf_pi90
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


def test_levels_of_the_typical_patient_change_little() -> None:
    model = load_model()
    typical = predict(model, GIRL, PLAN, PLAN.course(GIRL))
    hours = np.array([1.0, 2.0, 7.0, 23.5])
    none = RandomEffects.none(model.program, 4)
    conc, _ = course_concentrations(model.program, typical.tv, none, *typical.arrays, hours)
    result = update(
        GIRL, PLAN, [Level(time_h=t, conc_mg_l=c) for t, c in zip(hours, conc[0], strict=True)]
    )
    assert result.posterior.auc_0_inf == pytest.approx(typical.auc_0_inf, rel=0.02)
    assert result.surprises == []


def test_higher_levels_mean_a_higher_auc() -> None:
    early = [
        updated(f"2h {conc}mg/L", "8h 0.12mg/L").posterior.auc_0_inf for conc in (0.4, 0.5, 0.6)
    ]
    late = [
        updated("2h 0.5mg/L", f"8h {conc}mg/L").posterior.auc_0_inf for conc in (0.08, 0.12, 0.2)
    ]
    for areas in (early, late):
        assert (np.diff(areas) > 0.5).all()


def test_units_of_levels_do_not_matter() -> None:
    same = [
        updated(text, "7h 0.15 mg/L").posterior
        for text in ("2h 0.52mg/L", "120min 520 ng/mL", "2 h 0.52 ug/mL", "2h 520 ug/L")
    ]
    assert all(one == same[0] for one in same)
    molar = updated(f"2h {520 / 285.23!r} uM", "7h 0.15 mg/L").posterior
    assert molar.auc_0_inf == pytest.approx(same[0].auc_0_inf, rel=1e-9)


def test_a_level_below_the_limit_counts_as_being_below() -> None:
    with_limit = updated("2h 0.5mg/L", "23h <0.01mg/L")
    assert with_limit.levels[1].conc_mg_l is None
    assert (
        with_limit.posterior.auc_0_inf < updated("2h 0.5mg/L", "23h 0.03mg/L").posterior.auc_0_inf
    )


def test_the_area_so_far_and_the_later_one_make_the_whole() -> None:
    done = updated("75h 0.3mg/L", "90h 0.05mg/L").posterior
    assert done.auc_so_far < done.auc_0_inf
    assert done.auc_so_far > 0.8 * done.auc_0_inf
    early = updated(*DAY_ONE).posterior
    assert early.auc_so_far < 0.3 * early.auc_0_inf


def test_individual_parameters_move_together_as_the_model_says() -> None:
    ratios = {p.name: p.individual / p.typical for p in updated().parameters}
    assert ratios["CL"] == pytest.approx(ratios["Q2"]) == pytest.approx(ratios["Q3"])
    assert ratios["V1"] == pytest.approx(ratios["V2"]) == pytest.approx(ratios["V3"])


# --- The doses that are left ----------------------------------------------------------------------


def test_the_remaining_dose_for_an_auc_reaches_it() -> None:
    result = updated(goal=Goal.chosen(auc=15.0))
    left = result.remaining
    assert left is not None
    assert left.infusions == 3
    assert left.reached
    assert left.auc_0_inf == pytest.approx(15.0, abs=0.5)
    again = updated(goal=Goal.chosen(auc=15.0), round_to_mg=0.1).remaining
    assert again is not None
    assert again.auc_0_inf == pytest.approx(15.0, abs=0.05)


def test_giving_the_remaining_dose_gives_the_auc_it_says() -> None:
    fitted = fit(GIRL, PLAN, levels(*DAY_ONE))
    left = result_of(fitted, Goal.chosen(auc=15.0)).remaining
    assert left is not None
    doses = np.array([fitted.course.doses_mg[0], *[left.dose_mg] * 3])
    assert fitted.auc(fitted.estimate.effects, doses)[0] == pytest.approx(left.auc_0_inf, rel=1e-12)


def test_a_window_gets_the_likeliest_dose_and_a_probability_the_smallest() -> None:
    likeliest = updated(goal=Goal.chosen(window=(13.8, 20.0))).remaining
    wanted = updated(goal=Goal.chosen(window=(13.8, 20.0), probability=0.8)).remaining
    assert likeliest is not None
    assert wanted is not None
    assert wanted.p_within >= 0.8
    assert wanted.dose_mg < likeliest.dose_mg
    assert likeliest.p_within >= wanted.p_within


def test_no_remaining_dose_can_undo_an_exposure() -> None:
    result = updated("2h 1.0mg/L", "20h 0.1mg/L", goal=Goal.chosen(window=(2.0, 4.0)))
    assert result.remaining is not None
    assert (result.remaining.dose_mg, result.remaining.reached) == (0.0, False)
    assert "not_reached" in codes(result)
    assert "NO REMAINING DOSE REACHES THE GOAL" in update_page(result)


def test_ceilings_hold_for_what_is_left() -> None:
    result = updated("1h 0.3mg/L", "7h 0.01mg/L", goal=Goal.chosen(auc=60.0))
    left = result.remaining
    assert left is not None
    assert left.at_ceiling
    assert not left.reached
    assert left.dose_mg_m2 <= 50.0
    assert left.total_course_mg_m2 <= 250.0
    assert "above_plan" in codes(result)


def test_a_dose_well_below_the_plan_says_what_is_against_it() -> None:
    assert "below_plan" in codes(updated(goal=Goal.chosen(auc=10.0)))
    assert "below_plan" not in codes(updated(goal=Goal.chosen(auc=16.5)))


def test_after_the_last_dose_nothing_is_left() -> None:
    result = updated("75h 0.3mg/L", goal=Goal.chosen(auc=15.0))
    assert result.remaining is None
    assert "no_dose_left" in codes(result)


# --- Doses as given -------------------------------------------------------------------------------


def test_doses_as_planned_may_be_said() -> None:
    planned = PLAN.course(GIRL).doses_mg[0]
    said = update(GIRL, PLAN, levels(*DAY_ONE), given=[(0.0, 0.5, planned)])
    assert said.posterior.auc_0_inf == pytest.approx(updated().posterior.auc_0_inf, rel=1e-9)


def test_a_smaller_dose_explains_smaller_levels() -> None:
    half = [f"{h} {c / 2}mg/L" for h, c in (("1h", 0.85), ("2h", 0.52), ("7h", 0.15))]
    planned = PLAN.course(GIRL).doses_mg[0]
    said = update(GIRL, PLAN, levels(*half), given=[(0.0, 0.5, planned / 2)])
    whole = updated("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L")
    for one, other in zip(said.parameters, whole.parameters, strict=True):
        assert one.individual == pytest.approx(other.individual, rel=1e-6)


def test_a_late_dose_moves_the_later_ones() -> None:
    late = update(GIRL, PLAN, levels("2h 0.5mg/L"), given=[(0.0, 0.5, 22.0), (26.0, 0.5, 22.0)])
    assert late.prior.regimen.times_h == [0.0, 26.0, 50.0, 74.0]


@pytest.mark.parametrize(
    ("doses", "words"),
    [
        ([(1.0, 0.5, 22.0)], "time counts from the first dose"),
        ([(24.0 * k, 0.5, 22.0) for k in range(5)], "5 doses were given, the course has 4"),
    ],
)
def test_doses_that_cannot_be(doses: list[tuple[float, float, float]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        update(GIRL, PLAN, levels("2h 0.5mg/L"), given=doses)


def test_a_level_after_a_dose_that_was_not_given_is_refused() -> None:
    with pytest.raises(InputError, match="was not said to be given"):
        update(GIRL, PLAN, levels("26h 0.5mg/L"), given=[(0.0, 0.5, 22.0)])


@pytest.mark.parametrize("text", ["22mg", "24h", "24h 22", "24 22mg", "24h 22mg/m2", "24h 22mg x"])
def test_a_given_dose_needs_time_and_mg(text: str) -> None:
    with pytest.raises(InputError):
        GivenDose.from_text(text, 0.5)


# --- Slips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["2h 620mg/L"], "check the unit, is it ng/mL"),
        (["0h 0.5mg/L"], "no drug before it"),
        (["-1h 0.5mg/L"], "no drug before it"),
        (["2h 0mg/L"], "must be finite and above 0"),
        (["2h -0.1mg/L"], "must be finite and above 0"),
    ],
)
def test_levels_that_cannot_be(texts: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        updated(*texts)


@pytest.mark.parametrize(
    "text",
    ["2h", "0.5mg/L", "2h 0.5", "2 0.5mg/L", "2h 0.5 mg/dL", "2h 0,5mg/L", "", "x y", "2h <"],
)
def test_a_level_without_its_units_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Level.from_text(text)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["0.3h 0.6mg/L"], "level_in_infusion"),
        (["2h 0.5mg/L", "2h 0.52mg/L"], "level_twice"),
        (["7h 0.15mg/L", "2h 0.5mg/L"], "level_order"),
        (["2h 0.9mg/L", "20h 0.12mg/L"], "surprising"),
    ],
)
def test_what_is_odd_is_used_and_said(texts: list[str], code: str) -> None:
    result = updated(*texts)
    assert code in codes(result)
    assert result.fits
    assert len(result.levels) == len(texts)


def test_no_level_is_no_update() -> None:
    with pytest.raises(InputError, match="no levels"):
        update(GIRL, PLAN, [])


def test_strict_refuses_who_was_not_studied() -> None:
    old = replace(GIRL, age_years=90.0, weight_kg=70.0, height_cm=170.0, scr_mg_dl=1.0)
    plan = Regimen(dose=30.0, unit="mg/m2", days=3)
    with pytest.raises(StudiedRangeError):
        update(old, plan, levels("2h 0.7mg/L"), strict=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.6, 71.0), st.floats(1e-3, 3.0)), min_size=1, max_size=4))
def test_any_levels_give_numbers_or_a_reason(pairs: list[tuple[float, float]]) -> None:
    measured = [Level(time_h=t, conc_mg_l=c) for t, c in pairs]
    try:
        result = update(GIRL, PLAN, measured, goal=Goal.chosen(auc=15.0))
    except (InputError, ConvergenceError):
        return
    json.loads(result.to_json())
    low, high = result.posterior.auc_0_inf_pi90
    assert 0 < low <= high < np.inf


# --- Files ----------------------------------------------------------------------------------------


def test_levels_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("time_h,conc_ng_ml,blq,lloq\n2,520,,\n24,,1,10\n")
    assert [str(level) for level in read_levels(path)] == ["2 h 0.52 mg/L", "24 h <0.01 mg/L"]


def test_levels_of_a_file_with_dates(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("time,conc_mg_l\n2026-01-14 10:30,0.5\n2026-01-15 08:00,0.03\n")
    found = read_levels(path, read_clock("2026-01-14 08:30"))
    assert [level.time_h for level in found] == [2.0, 23.5]
    with pytest.raises(
        InputError, match="row 2: time_h = '2026-01-14 10:30' is a clock time: give"
    ):
        read_levels(path)


def test_every_bad_row_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("time_h,conc_mg_l\n2,abc\nx,0.5\n3,\n4,0.2\n")
    with pytest.raises(InputError) as caught:
        read_levels(path)
    assert [fault.split(":")[0][-5:] for fault in caught.value.sentences()] == [
        "row 2",
        "row 3",
        "row 4",
    ]
    path.write_text("hours,level\n2,0.5\n")
    with pytest.raises(InputError, match="needs the columns"):
        read_levels(path)


# --- What people see ------------------------------------------------------------------------------


def test_the_same_levels_give_the_same_bytes() -> None:
    first, again = (updated(goal=Goal.chosen(auc=15.0)) for _ in range(2))
    assert first.to_json() == again.to_json()
    pages = {update_html(first) for _ in range(2)}
    assert len(pages) == 1
    (page,) = pages
    assert "<script" not in page
    assert "nan" not in page.lower().replace("ciplinan", "")
    assert f"{first.posterior.auc_0_inf:.2f}" in page


def test_the_page_answers_first() -> None:
    result = updated(goal=Goal.chosen(window=(13.8, 20.0)))
    lines = update_page(result).splitlines()
    assert lines[2] == result.headline.sentence
    assert lines[4].startswith(f"AUC0-inf {result.posterior.auc_0_inf:.2f} mg·h/L")
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("Remaining 3 of 4 doses") for line in lines)


def test_a_dose_given_half_an_hour_early_is_of_another_day() -> None:
    strong = Regimen.from_text(dose="30 mg/m2", days="4")
    given = [(0.0, 0.5, 22.0), (23.5, 0.5, 22.0)]
    result = update(
        GIRL, strong, levels("2h 0.6mg/L", "30h 0.2mg/L"), given=given,
        goal=Goal.chosen(auc=16.0, window=None, target=None, probability=None),
    )  # fmt: skip
    assert result.remaining is not None
    assert result.remaining.infusions == 2
    assert not result.remaining.at_ceiling
    assert result.remaining.auc_0_inf == pytest.approx(16.0, abs=0.5)
    at_once = [(0.0, 0.5, 22.0), (12.0, 0.5, 22.0)]
    stopped = update(GIRL, strong, levels("2h 0.6mg/L"), given=at_once, auc=16.0)
    assert "59.0 mg/m2 in a day, at most 50" in stopped.headline.stops[0]
    assert stopped.remaining is None


# --- Random effects and draws ---------------------------------------------------------------------


def test_random_effects_are_those_that_the_parameters_come_from() -> None:
    result = update(GIRL, PLAN, DAY_ONE)
    eta = {row.name: row for row in result.effects if row.dose is None}
    clearance = next(row for row in result.parameters if row.name == "CL")
    assert math.log(clearance.individual / clearance.typical) == pytest.approx(eta["eta_CL"].value)
    assert [row.dose for row in result.effects if row.name == "kappa_V"] == [1, 2, 3, 4]
    for row in result.effects:
        assert 0.0 < row.sd <= row.prior_sd * 1.02
    later = [row for row in result.effects if row.dose == 4]
    for row in later:  # no level tells of it
        assert row.value == 0.0
        assert row.sd == pytest.approx(row.prior_sd, rel=0.02)


def test_draws_are_of_the_posterior_that_the_answer_is_from() -> None:
    result = update(GIRL, PLAN, DAY_ONE, draws=4000)
    assert result.draws is not None
    auc = np.array(result.draws["auc_0_inf"])
    low, high = result.posterior.auc_0_inf_pi90
    assert np.quantile(auc, [0.05, 0.95]) == pytest.approx([low, high], rel=0.02)
    for row in result.effects:
        column = row.name if row.dose is None else f"{row.name}_{row.dose}"
        assert np.std(result.draws[column]) == pytest.approx(row.sd, rel=0.06)
    tv = {row.name: row.typical for row in result.parameters}
    own = tv["CL"] * np.exp(result.draws["eta_CL"])
    assert result.draws["CL_l_h"] == pytest.approx(own.tolist())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_draws_are_read_back_from_their_file(ending: str, tmp_path: Path) -> None:
    result = update(GIRL, PLAN, DAY_ONE, draws=50)
    assert result.draws is not None
    path = tmp_path / f"draws.{ending}"
    write_draws(path, {name: np.array(values) for name, values in result.draws.items()})
    read = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(read.columns) == list(result.draws)
    for name, values in result.draws.items():
        assert read[name].to_numpy() == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize("draws", [0, -1, 10_001])
def test_no_or_too_many_draws_are_refused(draws: int) -> None:
    with pytest.raises(InputError, match="from 1 to 10000"):
        update(GIRL, PLAN, DAY_ONE, draws=draws)


# --- Levels that stand twice, and limits no assay has ---------------------------------------------


def test_a_level_that_stands_twice_is_asked_about() -> None:
    twice = ("2h 0.52mg/L", "2h 520ng/mL", "7h 0.15mg/L")
    with pytest.raises(InputError, match=r"0.52 mg/L stands twice: leave one out"):
        updated(*twice)
    assert "level_confirmed" not in codes(updated(*twice, confirm="level"))
    assert updated("2h 0.52mg/L", "2h 0.53mg/L").posterior.auc_0_inf > 0


@pytest.mark.parametrize(
    ("level", "unit"), [("23.5h <0.01ng/mL", "mg/L"), ("23.5h <10mg/L", "ng/mL")]
)
def test_a_limit_that_no_assay_has_is_a_slip_of_the_unit(level: str, unit: str) -> None:
    with pytest.raises(InputError, match=rf"no assay has a limit.*is it {unit}"):
        updated("2h 0.52mg/L", level)
