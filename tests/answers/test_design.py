"""Which levels to draw: more tell more, and the best are no worse than the published ones."""

from typing import Final

import pytest

from fludapk.answers.design import AFTER_H, PUBLISHED, Design, design
from fludapk.errors import InputError
from fludapk.pages.update import design_page
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen

GIRL: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
PLAN: Final = Regimen.named("tisa_cel_ball")


@pytest.fixture(scope="module")
def found() -> Design:
    return design(GIRL, PLAN, patients=128)


def test_another_level_never_tells_less(found: Design) -> None:
    errors = [schedule.error_mg_h_l for schedule in found.best]
    assert len(errors) == 4
    assert errors[0] < 0.7 * found.covariates_error_mg_h_l
    assert errors[1] <= errors[0]
    assert errors[3] <= errors[2] * 1.02


def test_the_best_times_are_on_the_grid_and_after_the_infusion(found: Design) -> None:
    for k, schedule in enumerate(found.best, start=1):
        assert len(set(schedule.times_h)) == k
        assert set(schedule.times_h) <= {t for t in AFTER_H if t > PLAN.infusion_h}


def test_the_best_four_are_no_worse_than_the_published(found: Design) -> None:
    assert [schedule.times_h for schedule in found.published] == list(PUBLISHED)
    for schedule in found.published:
        assert found.best[3].error_mg_h_l <= schedule.error_mg_h_l * 1.01


def test_the_interval_and_its_reduction_belong_together(found: Design) -> None:
    for schedule in [*found.best, *found.published]:
        width = found.covariates_interval_width
        assert schedule.reduction == pytest.approx(1 - schedule.interval_width / width)


def test_without_occasions_levels_tell_nearly_everything() -> None:
    man = Patient(
        age_years=60, sex="male", weight_kg=80, height_cm=175, crcl_ml_min=90, product="axi_cel"
    )
    steady = design(man, Regimen.named("axi_cel"), model="varela2025", most=2, patients=96)
    changing = design(man, Regimen.named("axi_cel"), most=2, patients=96)
    assert steady.best[1].error_mg_h_l < steady.covariates_error_mg_h_l
    assert changing.best[1].error_mg_h_l < changing.covariates_error_mg_h_l


def test_the_same_question_has_the_same_answer() -> None:
    first, again = (design(GIRL, PLAN, most=1, patients=48).to_json() for _ in range(2))
    assert first == again


def test_one_dose_leaves_nothing_to_adjust() -> None:
    with pytest.raises(InputError, match="nothing left to adjust"):
        design(GIRL, Regimen(dose=30.0, unit="mg/m2", days=1))


def test_an_infusion_until_the_next_dose_leaves_no_time_for_a_level() -> None:
    without_pause = Regimen(dose=30.0, unit="mg/m2", days=4, infusion_h=24.0)
    with pytest.raises(InputError, match="no time to draw a level"):
        design(GIRL, without_pause, patients=16)


def test_where_few_times_are_left_no_more_levels_are_drawn() -> None:
    short = Regimen(dose=15.0, unit="mg/m2", days=4, infusion_h=17.0, interval_h=21.0)
    result = design(GIRL, short, patients=16)
    assert [schedule.times_h for schedule in result.best] == [(20.0,)]
    assert result.published == []
    assert "best 1 level   20 " in design_page(result)


def test_the_page_fits_and_says_how(found: Design) -> None:
    lines = design_page(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert "128 patients like this one" in " ".join(lines)


def test_a_population_has_patients_of_its_own() -> None:
    everyone = design("prwcc_ball", PLAN, most=2, patients=256)
    assert everyone.whose == "prwcc_ball"
    assert everyone.covariates_interval_width > 0
    assert everyone.best[1].error_mg_h_l < everyone.best[0].error_mg_h_l
    assert everyone.best[1].reduction > 0.3
    assert "256 patients of prwcc_ball" in design_page(everyone)


def test_what_covariates_leave_in_a_population_is_the_variability_of_the_model() -> None:
    """The AUC of each over that of the typical patient is log-normal: eta and kappa of CL."""
    everyone = design("infants_ball", PLAN, most=1, patients=1024)
    girl = design(GIRL, PLAN, most=1, patients=1024)
    assert everyone.covariates_error_mg_h_l == pytest.approx(girl.covariates_error_mg_h_l, rel=0.35)


def test_an_unknown_population_is_refused() -> None:
    with pytest.raises(InputError, match="prwcc_ball"):
        design("prwcc", PLAN)
