"""A calculation that failed never reads like an answer."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fludapk import check
from fludapk.answers.goal import Goal, choose
from fludapk.answers.headline import Headline, Simulated, auc_text, headline_of, percent
from fludapk.answers.record import document
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure, individual_parameters
from fludapk.published.models import load_model
from fludapk.published.targets import (
    applies,
    flag,
    prediction_interval,
    status,
    targets,
    verdict,
    window_probabilities,
)

NOT_FINITE = [math.nan, math.inf, -math.inf]
FABRIZIO, SCORDO = targets()["fabrizio2022"], targets()["scordo2023"]
VERDICTS: dict[str, Callable[[float], Any]] = {
    "flag": flag,
    "status": lambda auc: status(FABRIZIO, auc),
    "status_of_a_window": lambda auc: status(SCORDO, auc),
    "verdict": lambda auc: verdict(auc, FABRIZIO),
    "verdict_without_target": lambda auc: verdict(auc, None),
    "verdict_of_an_optimum": lambda auc: verdict(auc, targets()["langenhorst2019b"]),
    "auc_text": auc_text,
    "probabilities": lambda auc: window_probabilities(np.array([15.0, auc, 16.0]), 13.8, 20.0),
    "weighted_probabilities": lambda auc: window_probabilities(
        np.array([15.0, auc]), 13.8, 20.0, np.array([0.97, 0.03])
    ),
    "interval": lambda auc: prediction_interval(np.array([*np.arange(10.0, 20.0), auc])),
    "weighted_interval": lambda auc: prediction_interval(
        np.array([15.0, 16.0, auc]), weights=np.array([0.5, 0.47, 0.03])
    ),
    "headline": lambda auc: headline_of(
        [], FABRIZIO, Simulated("langenhorst2019", auc, np.array([15.0, 16.0]))
    ),
    "chance": lambda auc: headline_of(
        [], FABRIZIO, Simulated("langenhorst2019", 15.0, np.array([15.0, auc]))
    ),
    "chance_with_uncertainty": lambda auc: headline_of(
        [],
        FABRIZIO,
        Simulated("langenhorst2019", 15.0, np.array([15.0, 16.0]), np.array([15.0, auc])),
    ),
    "document": lambda auc: document({"planned": [{"auc_0_inf": auc}]}),
}


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("judge", VERDICTS.values(), ids=VERDICTS)
def test_no_verdict_comes_out_of_a_failed_calculation(
    judge: Callable[[float], Any], value: float
) -> None:
    with pytest.raises(InputError, match=r"no finite number"):
        judge(value)


def test_no_drug_is_below_every_threshold() -> None:
    assert flag(0.0) == "below"
    assert status(FABRIZIO, 0.0) == status(SCORDO, 0.0) == "below"
    assert verdict(0.0, None) == "below 13.8"
    assert window_probabilities(np.zeros(3), 13.8, 20.0) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("age", NOT_FINITE)
def test_no_target_fits_a_patient_of_no_age(age: float) -> None:
    fits = [
        entry.id
        for entry in targets().values()
        if applies(entry, age_years=age, product=entry.product, disease=entry.disease)
    ]
    assert fits == []


@pytest.mark.parametrize("p", [*NOT_FINITE, -0.1, 1.1])
def test_an_impossible_probability_is_not_written(p: float) -> None:
    with pytest.raises(InputError, match="probability"):
        percent(p)


def test_no_sample_is_no_probability() -> None:
    with pytest.raises(InputError, match="no finite number"):
        window_probabilities(np.array([]), 13.8, 20.0)


@pytest.mark.parametrize("number", ["p_below", "p_within", "p_above", "auc_0_inf"])
def test_a_headline_holds_no_failed_number(number: str) -> None:
    good = headline_of([], SCORDO, Simulated("langenhorst2019", 15.0, np.array([15.0, 19.0])))
    with pytest.raises(InputError, match="no finite number"):
        Headline(**{**vars(good), number: math.nan})


def test_the_fault_names_the_number_and_its_cause() -> None:
    with pytest.raises(InputError, match=r"planned\[0\]\.auc_0_inf came out as nan.*kidney"):
        document({"planned": [{"auc_0_inf": math.nan}]})


@pytest.mark.parametrize("goal", [Goal.chosen(auc=15), Goal.chosen(window=(13.8, 20.0))])
@pytest.mark.parametrize("slope", [*NOT_FINITE, 0.0, -1.0])
def test_no_dose_is_chosen_by_a_slope_that_is_none(goal: Goal, slope: float) -> None:
    doses = np.arange(1.0, 30.0)
    good = np.full(8, 0.5)
    for line in (
        AucByDose(likely_per_mg=slope, fixed=np.zeros(8), per_mg=good),
        AucByDose(likely_per_mg=0.5, fixed=np.zeros(8), per_mg=np.append(good[1:], slope)),
    ):
        with pytest.raises(InputError, match="no dose can be found"):
            choose(goal, doses, line, 1.0, spread="chance")


# --- Library doors --------------------------------------------------------------------------------

PROGRAM = load_model().program
TV = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
TIMES, LENGTHS, AMOUNTS = np.array([0.0, 24.0]), np.array([0.5, 0.5]), np.array([[17.0, 17.0]])
NONE = RandomEffects.none(PROGRAM, 2)
LEVELS = Levels(times_h=np.array([2.0]), conc_mg_l=np.array([0.6]))

WRONG: dict[str, dict[str, Any]] = {
    "three amounts for two times": {"amounts_mg": np.array([[17.0, 17.0, 17.0]])},
    "a time more than durations": {"times_h": np.array([0.0, 24.0, 48.0])},
    "no infusion": {
        "times_h": np.empty(0),
        "infusion_h": np.empty(0),
        "amounts_mg": np.empty((1, 0)),
    },
    "a time that is none": {"times_h": np.array([0.0, math.nan])},
    "an infinite time": {"times_h": np.array([0.0, math.inf])},
    "doses out of order": {"times_h": np.array([24.0, 0.0])},
    "doses that overlap": {"times_h": np.array([0.0, 0.4])},
    "a duration of zero": {"infusion_h": np.array([0.5, 0.0])},
    "a negative duration": {"infusion_h": np.array([0.5, -1.0])},
    "a duration that is none": {"infusion_h": np.array([0.5, math.nan])},
    "a negative amount": {"amounts_mg": np.array([[17.0, -17.0]])},
    "an amount that is none": {"amounts_mg": np.array([[17.0, math.nan]])},
    "five parameters": {"tv": TV[:, :5]},
    "a table of no patient": {"tv": TV[:0]},
}
ARGUMENTS: dict[str, Any] = {
    "tv": TV,
    "times_h": TIMES,
    "infusion_h": LENGTHS,
    "amounts_mg": AMOUNTS,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_impossible_course_is_refused_at_every_library_door(wrong: dict[str, Any]) -> None:
    given = ARGUMENTS | wrong
    with pytest.raises(InputError):
        course_exposure(PROGRAM, effects=NONE, **given)
    with pytest.raises(InputError):
        course_concentrations(PROGRAM, effects=NONE, at_h=np.array([1.0]), **given)
    with pytest.raises(InputError):
        map_estimates(PROGRAM, levels=LEVELS, **given)


def test_effects_of_another_shape_are_refused() -> None:
    wrong = (
        RandomEffects(np.zeros((1, 1)), NONE.kappa),
        RandomEffects(NONE.eta, np.zeros((1, 1, PROGRAM.n_kappa))),
        RandomEffects(np.zeros((3, 2)), np.zeros((2, 2, PROGRAM.n_kappa))),
        RandomEffects(np.zeros(2), NONE.kappa),
    )
    for effects in wrong:
        with pytest.raises(InputError):
            course_exposure(PROGRAM, effects=effects, **ARGUMENTS)
    with pytest.raises(InputError):
        individual_parameters(PROGRAM, TV[:, :4], NONE)


def test_an_exposure_beyond_all_numbers_is_refused() -> None:
    huge = ARGUMENTS | {"amounts_mg": np.array([[1e308, 1e308]])}
    with pytest.raises(InputError, match="row 1: the exposure is no finite number"):
        course_exposure(PROGRAM, effects=NONE, **huge)


def test_times_of_concentrations_stand_in_one_row() -> None:
    with pytest.raises(InputError, match="one row"):
        course_concentrations(PROGRAM, effects=NONE, at_h=np.ones((2, 2)), **ARGUMENTS)


def test_a_good_course_passes() -> None:
    girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    assert check(girl, Regimen.named("tisa_cel_ball")).flag == "below"
    assert course_exposure(PROGRAM, effects=NONE, **ARGUMENTS).auc_0_inf == pytest.approx(34 / 5.1)
