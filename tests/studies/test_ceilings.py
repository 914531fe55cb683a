"""No dose that any answer proposes passes a ceiling; doses that were given count."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal
from fludapk.answers.nomogram import nomogram
from fludapk.answers.prediction import predict
from fludapk.answers.update import update
from fludapk.answers.update_records import UpdateResult
from fludapk.errors import InputError
from fludapk.patients.course import Course
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import load_model
from fludapk.studies.simulate import read_scenario

STEPS: Final = [None, 0.5, 1.0, 5.0, 12.5]
AUCS: Final = st.floats(1.0, 90.0)


def windows() -> st.SearchStrategy[tuple[float, float]]:
    """Windows of any place and width, some without an upper bound."""
    bounds = st.tuples(AUCS, st.floats(0.0, 30.0) | st.just(math.inf))
    return bounds.map(lambda pair: (pair[0], pair[0] + pair[1]))


GOALS: Final = st.one_of(
    AUCS.map(lambda auc: Goal.chosen(auc=auc)),
    st.builds(
        lambda window, probability: Goal.chosen(window=window, probability=probability),
        windows(),
        st.none() | st.floats(0.05, 0.99),
    ),
)


@st.composite
def patients(draw: st.DrawFn) -> Patient:
    """Patients from a small infant to a large adult."""
    weight = draw(st.floats(5.0, 130.0))
    height = min(200.0, 45.0 + 35.0 * math.log(weight))
    age = 0.4 + weight / 4 if weight < 60 else 40.0
    return Patient(
        age_years=age,
        weight_kg=weight,
        height_cm=height,
        egfr_ml_min_1_73m2=draw(st.floats(30, 140)),
        confirm=("age", "weight", "height"),
    )


@st.composite
def schedules(draw: st.DrawFn) -> Regimen:
    """Two to eight infusions, some within a day, of a dose that is below every ceiling."""
    return Regimen(
        dose=8.0,
        unit="mg/m2",
        days=draw(st.integers(2, 8)),
        interval_h=draw(st.sampled_from([6.0, 8.0, 12.0, 20.0, 24.0, 36.0])),
        infusion_h=draw(st.sampled_from([0.5, 1.0])),
    )


@contextmanager
def refusals_rejected() -> Iterator[None]:
    """Reject an example whose request is refused: it proposes no dose."""
    try:
        yield
    except InputError:
        reject()


@settings(max_examples=60)
@given(patients(), schedules(), GOALS, st.sampled_from(STEPS[1:]))
def test_a_dose_for_a_target_passes_no_ceiling(
    patient: Patient, schedule: Regimen, goal: Goal, step: float
) -> None:
    with refusals_rejected():
        result = find_dose(patient, schedule, goal, round_to_mg=step, planned=False)
    assert schedule.course_of(result.dose.dose_mg).ceiling_faults(patient.bsa_m2) == []


def whole_course(result: UpdateResult) -> Course:
    """Course of the doses that were given and of those proposed for the rest."""
    course, proposed = result.fit.course, result.remaining or result.would_give
    assert proposed is not None
    given_mg = course.doses_mg[: len(course.doses_mg) - proposed.infusions]
    return Course(
        times_h=course.times_h,
        infusion_h=course.infusion_h,
        doses_mg=(*given_mg, *(proposed.dose_mg,) * proposed.infusions),
        day_h=course.day_h,
    )


@settings(max_examples=60)
@given(
    patients(),
    schedules(),
    GOALS,
    st.sampled_from(STEPS),
    st.floats(0.0, 50.0),
    st.floats(0.0, 4.0),
)
def test_a_dose_that_is_left_passes_no_ceiling_with_those_given(
    patient: Patient, schedule: Regimen, goal: Goal, step: float | None, first: float, late: float
) -> None:
    """The first dose was given, of up to the whole ceiling of a day, and somewhat late."""
    first_mg = math.floor(first * patient.bsa_m2)
    assume(first_mg > 0)
    level = Level(
        time_h=schedule.infusion_h + late + 1.0,
        conc_mg_l=typical(patient, schedule, first_mg, late),
    )
    first_dose = (0.0, schedule.infusion_h, float(first_mg))
    with refusals_rejected():
        result = update(patient, schedule, [level], given=[first_dose], goal=goal, round_to_mg=step)
    assert whole_course(result).ceiling_faults(patient.bsa_m2) == []


def typical(patient: Patient, schedule: Regimen, mg: float, late: float) -> float:
    """Concentration of the typical patient, so that the level is plausible, mg/L."""
    once = replace(schedule, days=1)
    prediction = predict(load_model(), patient, once, once.course_of(mg))
    return float(prediction.typical_mg_l(np.array([schedule.infusion_h + late + 1.0]))[0])


def test_doses_within_a_day_of_those_given_count_together() -> None:
    """80 mg were given; 50 mg twelve hours later would be 65 mg/m2 within a day."""
    man = Patient(age_years=40, sex="male", weight_kg=80, height_cm=180, crcl_ml_min=110)
    plan = Regimen(dose=10.0, unit="mg/m2", days=4, interval_h=12.0)
    result = update(man, plan, ["1h 1.1mg/L", "6h 0.25mg/L"], given=["0h 80mg"], auc=18)
    assert result.remaining is not None
    assert result.remaining.dose_mg == 20.0
    assert result.remaining.at_ceiling
    assert whole_course(result).ceiling_faults(man.bsa_m2) == []


STRATEGIES: Final[dict[str, dict[str, Any]]] = {
    "fixed": {"kind": "fixed", "dose": "120 mg/m2"},
    "by weight": {"kind": "fixed", "dose": "9 mg/kg"},
    "flat": {"kind": "fixed", "dose": "90 mg"},
    "whole vials": {"kind": "fixed", "dose": "30 mg/m2", "vials": True},
    "rounded": {"kind": "fixed", "dose": "50 mg/m2", "round_to_mg": 5.0},
    "target": {"kind": "target", "auc": 60.0, "round_to_mg": 1.0},
    "adaptive": {"kind": "adaptive", "auc": 60.0, "first": "covariates", "levels_h": [1.0, 4.0]},
    "adaptive in vials": {
        "kind": "adaptive", "auc": 60.0, "first": "covariates", "levels_h": [1.0], "vials": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(("days", "interval_h"), [(4, 24.0), (6, 12.0), (3, 8.0), (8, 24.0)])
def test_no_strategy_of_a_study_passes_a_ceiling(name: str, days: int, interval_h: float) -> None:
    study = read_scenario({
        "title": "ceilings", "seed": 3, "patients": 200, "models": ["langenhorst2019"],
        "population": {"use": "prwcc_ball"},
        "strategies": [
            {"id": "s", "days": days, "interval_h": interval_h, **STRATEGIES[name]}
        ],
    })  # fmt: skip
    truth = study.truths[0]
    strategy = study.dosing[truth.id, "s"]
    block = study.block(truth, strategy, 0)
    doses = strategy.doses(block)
    times, lengths = strategy.schedule.times_h, (strategy.schedule.infusion_h,) * days
    for bsa, mg in zip(block.observed.columns["BSA"], doses.mg, strict=True):
        course = Course(times_h=times, infusion_h=lengths, doses_mg=tuple(mg.tolist()))
        assert course.ceiling_faults(float(bsa)) == []


@settings(max_examples=30)
@given(AUCS, st.sampled_from([(4, 24.0), (6, 12.0), (3, 8.0), (8, 24.0)]))
def test_no_dose_of_a_nomogram_passes_a_ceiling(auc: float, course: tuple[int, float]) -> None:
    days, interval_h = course
    schedule = Regimen(dose=1.0, unit="mg/m2", days=days, interval_h=interval_h)
    with refusals_rejected():
        chart = nomogram(
            schedule, weights_kg=[8.0, 15.0, 30.0, 55.0], renal=[40.0, 80.0, 140.0], target_auc=auc
        )
    for row, bsa in zip(chart.values, chart.bsa_m2, strict=True):
        for mg in row:
            assert mg is None or schedule.course_of(mg).ceiling_faults(bsa) == []
