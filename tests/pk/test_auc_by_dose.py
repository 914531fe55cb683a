"""The AUC as a line over dose: counts of patients, distances, and what smoothing does."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from fludapk.pk.auc_by_dose import AucByDose, weighted_quantiles
from fludapk.pk.effects import normal_scores

DOSES = np.arange(1.0, 60.0)


def log_normal(sd: float, n: int = 8192) -> AucByDose:
    """Patients around a typical AUC of 0.5 mg h/L per mg, at even quantiles."""
    sample = 0.5 * np.exp(sd * normal_scores((np.arange(n) + 0.5) / n))
    return AucByDose(likely_per_mg=0.5, fixed=np.zeros(n), per_mg=sample)


def posterior(seed: int, n: int = 50) -> AucByDose:
    """Weighted points with some exposure behind them."""
    rng = np.random.default_rng(seed)
    weights = rng.random(n)
    return AucByDose(
        likely_fixed=4.0, likely_per_mg=0.5, fixed=4.0 * np.exp(0.1 * rng.standard_normal(n)),
        per_mg=0.5 * np.exp(0.2 * rng.standard_normal(n)), weights=weights / weights.sum(),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    aucs=st.lists(st.floats(0.05, 5.0), min_size=1, max_size=40),
    fixed=st.floats(0.0, 20.0),
    low=st.floats(1.0, 30.0),
    width=st.floats(0.0, 20.0),
)
def test_probabilities_are_counts_of_patients(
    aucs: list[float], fixed: float, low: float, width: float
) -> None:
    line = AucByDose(likely_per_mg=1.0, fixed=np.full(len(aucs), fixed), per_mg=np.array(aucs))
    below, within, above = line.probabilities(DOSES, low, low + width)
    slack = 1e-12 * (low + width)
    for number, dose in enumerate(DOSES):
        exposures = [fixed + dose * auc for auc in aucs]
        if any(abs(x - edge) < slack for x in exposures for edge in (low, low + width)):
            continue
        assert below[number] == pytest.approx(sum(x < low for x in exposures) / len(aucs))
        assert above[number] == pytest.approx(sum(x > low + width for x in exposures) / len(aucs))
    assert below + within + above == pytest.approx(np.ones(len(DOSES)))


def test_probabilities_and_distance_are_those_of_a_loop_over_weighted_points() -> None:
    line = posterior(1)
    below, within, above = line.probabilities(DOSES, 13.8, 20.0)
    distance = line.distance(DOSES, 13.8, 20.0)
    weights = line.weights
    assert weights is not None
    for number, dose in enumerate(DOSES):
        auc = line.simulated(dose)
        assert below[number] == pytest.approx(weights[auc < 13.8].sum(), abs=1e-12)
        assert above[number] == pytest.approx(weights[auc > 20.0].sum(), abs=1e-12)
        assert within[number] == pytest.approx(1 - below[number] - above[number], abs=1e-12)
        far = 0.0
        for fixed, per_mg, weight in zip(line.fixed, line.per_mg, weights, strict=True):
            come, go = (4.0 + 0.5 * (bound - fixed) / per_mg for bound in (13.8, 20.0))
            likely = 4.0 + 0.5 * dose
            far += weight * max(math.log(come / likely), 0.0, math.log(likely / go))
        assert distance[number] == pytest.approx(far, abs=1e-12)


def test_an_expected_distance_is_least_where_too_little_is_as_likely_as_too_much() -> None:
    line, fine = log_normal(0.25), np.arange(20.0, 50.0, 0.01)
    nearest = fine[np.argmin(line.distance(fine, 13.8, 20.0))]
    below, _, above = line.probabilities(np.array([nearest]), 13.8, 20.0)
    assert below[0] == pytest.approx(above[0], abs=1e-3)
    assert nearest * 0.5 == pytest.approx(math.sqrt(13.8 * 20.0), rel=1e-3)


def test_a_window_without_upper_bound_is_never_passed() -> None:
    line = log_normal(0.25)
    _, within, above = line.probabilities(DOSES, 13.8, math.inf)
    distance = line.distance(DOSES, 13.8, math.inf)
    assert not above.any()
    assert (np.diff(within) >= 0).all()
    assert (np.diff(distance) <= 0).all()


@pytest.mark.parametrize("window", [(18.0, 20.0), (13.8, 20.0), (19.0, 19.2)])
@pytest.mark.parametrize("sd", [0.05, 0.25, 0.5])
def test_a_smoothed_probability_is_that_of_a_slightly_wider_log_normal(
    sd: float, window: tuple[float, float]
) -> None:
    law = NormalDist(0.0, sd * math.sqrt(1 + 8192 ** (-2 / 7)))
    smooth = log_normal(sd).smooth_within(DOSES, *window)
    low, high = (np.array([law.cdf(math.log(edge / (0.5 * d))) for d in DOSES]) for edge in window)
    assert_allclose(smooth, high - low, atol=2e-3 * (high - low).max())


def test_a_patient_of_the_same_variability_has_the_same_curve_of_other_doses() -> None:
    sample = np.exp(0.3 * np.random.default_rng(2).standard_normal(500))
    small, large = (
        AucByDose(likely_per_mg=scale, fixed=np.zeros(500), per_mg=scale * sample)
        for scale in (1.0, 0.25)
    )
    assert_allclose(
        small.smooth_within(DOSES, 13.8, 20.0), large.smooth_within(4 * DOSES, 13.8, 20.0),
        rtol=1e-9,
    )  # fmt: skip


def test_nothing_is_lost_at_either_end_of_the_doses() -> None:
    line = posterior(2, n=4000)
    inside = np.array([np.min(line.simulated(20.0)) / 2, np.max(line.simulated(20.0)) * 2])
    assert line.smooth_within(np.array([0.0, 20.0]), *inside)[1] == pytest.approx(1.0, abs=1e-9)
    too_high = line.smooth_within(np.array([0.0, 20.0]), 0.1, 0.2)
    assert_allclose(too_high, 0.0, atol=1e-9)


def test_a_weight_of_two_is_two_patients() -> None:
    values, at = np.array([1.0, 5.0, 2.0]), np.array([0.1, 0.5, 0.9])
    twice = weighted_quantiles(values, np.array([0.25, 0.25, 0.5]), at)
    assert twice[1] == pytest.approx(2.0)
    many = np.random.default_rng(3).random(4001)
    even = weighted_quantiles(many, np.full(4001, 1 / 4001), at)
    assert_allclose(even, np.quantile(many, at), atol=1e-3)
