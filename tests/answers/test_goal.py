"""A dose is chosen by its merit, never by sampling noise or by its place in a list."""

import math
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pytest

from fludapk.answers.dose import find_dose
from fludapk.answers.goal import AT_ONCE, Choice, Goal, candidate_doses, choose
from fludapk.answers.prediction import LOG2_POINTS, PROBABILITY_SE, Prediction, predict
from fludapk.arrays import F8
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.pk.effects import RandomEffects, normal_scores
from fludapk.published.models import load_model

CHILD: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
TODDLER: Final = Patient(age_years=1.2, sex="male", weight_kg=10, height_cm=76, scr_mg_dl=0.25)
ADULT: Final = Patient(age_years=58, sex="male", weight_kg=78, height_cm=176, scr_mg_dl=1.0)
LYMPHOMA: Final = Patient(
    age_years=61, sex="male", weight_kg=82, height_cm=177, scr_mg_dl=0.95, product="axi_cel"
)
FANCONI: Final = Patient(
    age_years=17, sex="female", weight_kg=50, height_cm=158, scr_mg_dl=0.6,
    diagnosis="fanconi_anaemia", genotype="carrier",
)  # fmt: skip
APLASTIC: Final = Patient(
    age_years=30, sex="male", weight_kg=70, height_cm=172, scr_mg_dl=0.8,
    diagnosis="aplastic_anaemia", genotype="GG",
)  # fmt: skip

DOSES: Final = np.arange(1.0, 160.0)


def log_normal(sd: float, per_mg: float = 0.5, given: float = 0.0, se: float = 0.0) -> AucByDose:
    """Patients at even quantiles around a typical AUC, mg h/L per mg, after some exposure."""
    factor = np.exp(sd * normal_scores((np.arange(4096) + 0.5) / 4096))
    return AucByDose(
        likely_fixed=given, likely_per_mg=per_mg, fixed=given * factor, per_mg=per_mg * factor,
        probability_se=se,
    )  # fmt: skip


def chosen(line: AucByDose, doses: F8 = DOSES, step_mg: float = 1.0, **goal: Any) -> Choice:
    return choose(Goal.chosen(**goal), doses, line, step_mg, spread="chance")


# --- What a goal is -------------------------------------------------------------------------------


def test_a_goal_without_upper_bound_is_reached_with_a_probability_of_0_8_and_says_so() -> None:
    for goal in (Goal.chosen(target="fabrizio2022"), Goal.chosen(window=(13.8, math.inf))):
        assert goal.probability == 0.8
        assert "with probability 0.8, the default" in str(goal)
    typed = Goal.chosen(target="fabrizio2022", probability=0.8)
    assert "default" not in str(typed)
    assert Goal.chosen(target="fabrizio2022", probability=0.6).probability == 0.6


@pytest.mark.parametrize(
    "asked",
    [
        {"auc": 15.0},
        {"window": (13.8, 20.0)},
        {"target": "scordo2023"},
        {"target": "langenhorst2019b"},
    ],
)
def test_other_goals_need_no_probability(asked: dict[str, Any]) -> None:
    goal = Goal.chosen(**asked)
    assert goal.probability is None
    assert "probability" not in str(goal)


# --- Where no dose reaches the goal ---------------------------------------------------------------


@pytest.mark.parametrize("goal", [{"window": (300.0, 400.0)}, {"auc": 300.0},
                                  {"window": (300.0, 400.0), "probability": 0.5},
                                  {"window": (300.0, math.inf)}])  # fmt: skip
def test_if_every_dose_is_too_low_the_highest_is_nearest(goal: dict[str, Any]) -> None:
    for given in (0.0, 5.0):
        best = chosen(log_normal(0.1, given=given), **goal)
        assert DOSES[best.place] == DOSES[-1]
        assert best.misses == "low"
        assert best.reason == "too low even at the highest dose that may be given"


@pytest.mark.parametrize("goal", [{"window": (1.0, 2.0)}, {"auc": 1.0},
                                  {"window": (1.0, 2.0), "probability": 0.5}])  # fmt: skip
def test_if_every_dose_is_too_high_the_lowest_is_nearest(goal: dict[str, Any]) -> None:
    best = chosen(log_normal(0.1, given=9.0), np.arange(0.0, 40.0), **goal)
    assert (best.place, best.misses) == (0, "high")
    assert best.reason == "too high even without another dose"
    best = chosen(log_normal(0.1, given=9.0), **goal)
    assert (best.place, best.misses) == (0, "high")
    assert best.reason == "too high even at the smallest dose that can be drawn up"


def test_a_window_between_two_steps_of_rounding_gets_the_nearer_one() -> None:
    tens = np.arange(10.0, 200.0, 10.0)
    best = chosen(log_normal(0.1), tens, 10.0, window=(16.0, 17.0))
    assert tens[best.place] == 30.0
    assert best.misses == "both"
    assert best.reason == "the window is narrower than one step of rounding"


def test_a_probability_that_no_dose_has_is_blamed_on_what_is_uncertain() -> None:
    best = chosen(log_normal(0.25), window=(18.0, 20.0), probability=0.5)
    assert best.misses == "both"
    assert best.reason == "because of chance no dose has this probability"
    assert best.place == chosen(log_normal(0.25), window=(18.0, 20.0)).place


# --- Ties and sampling error ----------------------------------------------------------------------


def test_among_doses_that_keep_everybody_inside_the_middle_of_the_window_is_taken() -> None:
    best = chosen(log_normal(0.02), window=(5.0, 50.0))
    assert DOSES[best.place] * 0.5 == pytest.approx(27.5)


def test_a_probability_is_reached_only_beyond_its_sampling_error() -> None:
    required = 0.8
    sure, unsure = (
        chosen(log_normal(0.25, se=se), window=(13.8, math.inf), probability=required)
        for se in (0.0, 0.03)
    )
    within = log_normal(0.25).probabilities(DOSES, 13.8, math.inf)[1]
    assert within[sure.place] > required >= within[sure.place - 1]
    assert within[unsure.place] > required + 0.06 >= within[unsure.place - 1]
    assert unsure.place > sure.place


def test_a_probability_as_high_as_required_within_its_error_is_in_doubt() -> None:
    window = (13.8, 20.0)
    highest = np.max(log_normal(0.25).probabilities(DOSES, *window)[1])
    best = chosen(log_normal(0.25, se=0.002), window=window, probability=highest - 0.002)
    assert best.misses == "both"
    assert best.reason is not None
    assert "within its sampling error" in best.reason
    assert chosen(log_normal(0.25), window=window, probability=highest - 0.002).misses is None


# --- Brute force ----------------------------------------------------------------------------------

WINDOWS: Final = [(18.0, 20.0), (13.8, 20.0), (15.0, 25.0), (19.0, 19.3), (10.0, 30.0)]
COURSES: Final = {
    "child": ("langenhorst2019", CHILD, 4),
    "toddler": ("langenhorst2019", TODDLER, 4),
    "adult": ("langenhorst2019", ADULT, 3),
    "adult, 6 doses": ("langenhorst2019", ADULT, 6),
    "lymphoma": ("varela2025", LYMPHOMA, 3),
    "Fanconi anaemia": ("mohanan2017", FANCONI, 4),
    "aplastic anaemia": ("mohanan2017", APLASTIC, 3),
    "aplastic anaemia, 6 doses": ("mohanan2017", APLASTIC, 6),
}


def of_one_mg(model: str, patient: Patient, days: int) -> Prediction:
    plan = Regimen(dose=30.0, unit="mg/m2", days=days)
    return predict(load_model(model), patient, plan, plan.course_of(1.0))


def simulated(unit: Prediction, draws: int) -> F8:
    """AUC per mg by plain pseudo-random draws, in order."""
    program, days = unit.model.program, len(unit.case.course.doses_mg)
    rng = np.random.default_rng(11)
    blocks = []
    for _ in range(draws // 100_000):
        z = rng.standard_normal((100_000, program.n_eta + days * program.n_kappa))
        blocks.append(unit.exposure(RandomEffects.from_normals(program, z, days)).auc_0_inf)
    return np.sort(np.concatenate(blocks))


def share_within(ordered: F8, low: float, high: float) -> F8:
    first = np.searchsorted(ordered, low / DOSES, side="left")
    return np.asarray((np.searchsorted(ordered, high / DOSES, side="right") - first) / len(ordered))


@lru_cache(maxsize=1)
def losses() -> list[tuple[str, tuple[float, float], float, float]]:
    """Probability lost against the best dose by two million draws, and error of what is stated."""
    rows = []
    for name, (model, patient, days) in COURSES.items():
        unit = of_one_mg(model, patient, days)
        points = unit.exposure(unit.random_effects(LOG2_POINTS)).auc_0_inf
        line = AucByDose(
            likely_per_mg=unit.auc_0_inf, fixed=np.zeros(len(points)), per_mg=points,
            probability_se=PROBABILITY_SE,
        )  # fmt: skip
        many = simulated(unit, 2_000_000)
        for window in WINDOWS:
            truth = share_within(many, *window)
            place = chosen(line, window=window).place
            stated = float(line.probabilities(DOSES, *window)[1][place])
            rows.append((name, window, float(np.max(truth) - truth[place]), stated - truth[place]))
    return rows


def test_no_dose_is_better_by_brute_force_than_the_one_chosen() -> None:
    assert len(losses()) == 40
    worse = [row for row in losses() if row[2] > 0.0005]  # two standard errors of the draws
    assert worse == []


def test_probabilities_have_the_standard_error_that_is_stated() -> None:
    errors = np.array([row[3] for row in losses()])
    assert np.sqrt(np.mean(errors**2)) < PROBABILITY_SE
    assert np.abs(errors).max() < 0.005


# --- No zigzag ------------------------------------------------------------------------------------


def doses_along(patients: Sequence[Patient], plan: Regimen, model: str, **goal: Any) -> list[float]:
    return [
        find_dose(patient, plan, planned=False, model=model, **goal).dose.dose_mg
        for patient in patients
    ]


GOALS: Final = [{"window": (18.0, 20.0)}, {"window": (13.8, 20.0)}, {"target": "fabrizio2022"}]
ROUGH: Final = [
    ("langenhorst2019", {}),
    ("mohanan2017", {"diagnosis": "fanconi_anaemia", "genotype": "GG"}),
]


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize(("model", "kind"), ROUGH)
def test_a_heavier_patient_never_gets_less(
    model: str, kind: dict[str, Any], goal: dict[str, Any]
) -> None:
    patients = [
        Patient(age_years=30, sex="male", weight_kg=float(weight), height_cm=172,
                egfr_ml_min_1_73m2=100, **kind)
        for weight in np.arange(55.0, 75.0, 0.5)
    ]  # fmt: skip
    doses = doses_along(patients, Regimen(dose=30, unit="mg/m2", days=4), model, **goal)
    assert doses == sorted(doses)
    assert doses[0] < doses[-1]


@pytest.mark.parametrize("goal", GOALS)
def test_better_kidneys_never_get_less(goal: dict[str, Any]) -> None:
    patients = [
        Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, egfr_ml_min_1_73m2=egfr)
        for egfr in np.arange(60.0, 112.0, 1.5).tolist()
    ]
    doses = doses_along(patients, Regimen.named("axi_cel"), "langenhorst2019", **goal)
    assert doses == sorted(doses)
    assert doses[0] < doses[-1]


@pytest.mark.parametrize("patient", [ADULT, APLASTIC], ids=["adult", "aplastic anaemia"])
def test_a_window_with_a_higher_bound_never_gets_less(patient: Patient) -> None:
    model = "mohanan2017" if patient is APLASTIC else "langenhorst2019"
    unit = of_one_mg(model, patient, 4)
    points = unit.exposure(unit.random_effects(LOG2_POINTS)).auc_0_inf
    line = AucByDose(likely_per_mg=unit.auc_0_inf, fixed=np.zeros(len(points)), per_mg=points)
    tenths = np.arange(1.0, 150.0, 0.1)
    for windows in (
        [(low, 20.0) for low in np.arange(12.0, 19.9, 0.1).tolist()],
        [(13.8, high) for high in np.arange(13.9, 26.0, 0.1).tolist()],
    ):
        places = [chosen(line, tenths, 0.1, window=window).place for window in windows]
        assert places == sorted(places)
        assert places[0] < places[-1]


# --- However many doses there are -----------------------------------------------------------------


def test_every_dose_of_the_largest_patient_is_compared_in_the_finest_steps() -> None:
    largest = 50.0 * (300 * 250 / 3600) ** 0.5
    assert len(candidate_doses(largest, 0.01, or_none=True)) <= AT_ONCE


@pytest.mark.parametrize(
    "goal",
    [{"auc": 15.0}, {"window": (13.8, 20.0)}, {"window": (13.8, math.inf)},
     {"window": (13.8, 20.0), "probability": 0.6}, {"window": (300.0, 400.0)}],
)  # fmt: skip
def test_the_best_of_a_million_million_doses_is_that_of_a_table_in_little_memory(
    goal: dict[str, Any],
) -> None:
    line = log_normal(0.2)
    wanted = Goal.chosen(**goal)
    coarse = candidate_doses(100.0, 0.01)
    fine = replace(coarse, last=10**12, step_mg=1e-10)
    tracemalloc.start()
    best = choose(wanted, fine, line, 1e-10, spread="chance")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    table = choose(wanted, coarse[np.arange(len(coarse))], line, 0.01, spread="chance")
    assert fine[best.place] == pytest.approx(coarse[table.place], abs=0.02)
    assert peak < 20e6
