"""Smoothed distributions of simulated values: chances and quantiles from few of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from fludapk.answers.headline import Simulated
from fludapk.answers.prediction import LOG2_POINTS, predict
from fludapk.answers.simulation import simulated, simulated_of_many
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.kernels.smoothing import shares
from fludapk.pk.smoothing import Smoothed
from fludapk.published.models import load_model

ADULT = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, scr_mg_dl=1.0)
GIRL = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)


def log_normal(n: int, sd: float = 0.3, mean: float = 2.7) -> F8:
    return np.asarray(np.exp(mean + sd * norm.ppf((np.arange(n) + 0.5) / n))[None])


@pytest.mark.parametrize("n", [64, 512])
@pytest.mark.parametrize("sd", [0.05, 0.3, 0.8])
def test_a_log_normal_law_keeps_its_chances_and_its_interval(n: int, sd: float) -> None:
    smooth = Smoothed.of_values(log_normal(n, sd))
    for z in (-2.0, -1.0, 0.0, 0.5, 1.645):
        assert smooth.below(float(np.exp(2.7 + sd * z)))[0] == pytest.approx(
            norm.cdf(z), abs=2.5e-3
        )
    ends = [smooth.quantile(chance)[0] for chance in (0.05, 0.95)]
    assert_allclose(np.log(ends), 2.7 + sd * norm.ppf([0.05, 0.95]), atol=0.03 * sd)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 1e3), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
)
def test_a_quantile_is_reached_with_its_chance(values: list[float], chance: float) -> None:
    table = np.array([values])
    smooth = Smoothed.of_values(table)
    at = float(smooth.quantile(chance)[0])
    if np.ptp(np.log(table)) > 1e-6:
        assert smooth.below(at)[0] == pytest.approx(chance, abs=2e-6)
    else:
        assert at == pytest.approx(values[0], rel=1e-5)


@pytest.mark.interpreted
@pytest.mark.parametrize("n", [1, 31, 32, 70])
def test_the_kernel_is_the_integral_of_epanechnikov_to_its_slow_twin(n: int) -> None:
    rng = np.random.default_rng(n)
    centres, reach, at = rng.normal(size=(3, n)), rng.uniform(0.1, 2.0, 3), rng.normal(size=3)
    below, squares = shares(centres, reach, at)
    for p in range(3):
        us = [min(max((at[p] - centre) / reach[p], -1.0), 1.0) for centre in centres[p]]
        assert below[p] == pytest.approx(sum(0.5 + 0.75 * u - 0.25 * u**3 for u in us) / n)
        assert squares[p] == pytest.approx(sum(u**2 for u in us) / n)


def test_two_groups_far_apart_are_not_mistaken_for_one() -> None:
    values = np.concatenate([np.full(70, 1.0), np.full(30, 1000.0)])[None]
    smooth = Smoothed.of_values(values)
    assert smooth.below(30.0)[0] == pytest.approx(0.7, abs=0.05)
    assert smooth.below(float(smooth.quantile(0.9)[0]))[0] == pytest.approx(0.9, abs=1e-5)


def test_values_that_do_not_vary_are_where_they_are() -> None:
    smooth = Smoothed.of_values(np.full((1, 16), 15.0))
    assert [float(smooth.below(bound)[0]) for bound in (14.9, 15.1)] == [0.0, 1.0]
    assert smooth.quantile(0.05)[0] == pytest.approx(15.0)


def test_a_patient_has_the_same_bits_alone_and_among_others() -> None:
    values = np.exp(np.random.default_rng(1).normal(2.7, 0.3, (7, 512)))
    values[3, :200] = 400.0
    together = Smoothed.of_values(values)
    alone = [Smoothed.of_values(values[k : k + 1]) for k in range(7)]
    assert_array_equal(together.below(14.0), [one.below(14.0)[0] for one in alone])
    assert_array_equal(together.quantile(0.95), [one.quantile(0.95)[0] for one in alone])


@pytest.mark.parametrize("patient", [GIRL, ADULT], ids=["girl", "adult"])
@pytest.mark.parametrize("days", [1, 4])
def test_512_courses_tell_chance_and_interval_of_a_million(patient: Patient, days: int) -> None:
    plan = Regimen(dose=25, unit="mg/m2", days=days)
    prediction = predict(load_model(), patient, plan, plan.course(patient))
    program, rng = prediction.model.program, np.random.default_rng(5)
    z = rng.standard_normal((1_000_000, program.n_eta + days * program.n_kappa))
    many = np.sort(prediction.exposure(RandomEffects.from_normals(program, z, days)).auc_0_inf)
    few = simulated(prediction, 9)
    smooth = Smoothed.of_values(few.drawn[None])
    chances = np.linspace(0.05, 0.95, 19)
    edges = many[(chances * len(many)).astype(np.int64)]
    errors = np.array([smooth.below(float(edge))[0] for edge in edges]) - chances
    assert np.sqrt(np.mean(errors**2)) < 0.002
    assert np.abs(errors).max() < 0.005
    low, high = np.quantile(many, [0.05, 0.95])
    assert_allclose(few.interval(), (low, high), rtol=0.01)
    assert few.interval()[1] - few.interval()[0] == pytest.approx(high - low, rel=0.01)


def test_as_many_courses_as_a_check_has_are_counted() -> None:
    plan = Regimen.named("tisa_cel_ball")
    prediction = predict(load_model(), GIRL, plan, plan.course(GIRL))
    counted, smoothed = simulated(prediction), simulated(prediction, LOG2_POINTS - 1)
    below = counted.chance(13.8, np.inf).below
    assert below == np.mean(counted.drawn < 13.8)
    assert smoothed.chance(13.8, np.inf).below != np.mean(smoothed.drawn < 13.8)
    assert smoothed.chance(13.8, np.inf).below == pytest.approx(below, abs=0.005)
    assert smoothed.interval() == pytest.approx(counted.interval(), rel=0.01)


def test_a_course_that_fails_does_not_stop_the_others() -> None:
    plan = Regimen.named("tisa_cel_ball")
    good = predict(load_model(), GIRL, plan, plan.course(GIRL))
    without = replace(good.together, tv=np.zeros((1, 6)))
    first, failed, last = simulated_of_many([good, replace(good, together=without), good], 9)
    assert isinstance(failed, InputError)
    for other in (first, last):
        assert isinstance(other, Simulated)
        assert other.chances == simulated(good, 9).chances
