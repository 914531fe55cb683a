"""Hazards of an outcome: calibration to a published incidence, and readings of its ratio."""

import math
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from fludapk.errors import InputError
from fludapk.published.outcome_files import Association, Incidence, RatioOfGroup
from fludapk.published.outcomes import outcomes
from fludapk.published.tables import check_table
from fludapk.studies.outcome_hazards import (
    Hazards,
    arm_incidence,
    calibrate,
    from_group_incidences,
)
from fludapk.studies.outcome_readings import (
    Dilution,
    corrected_ratio,
    e_value,
    fraction_above,
    highest_ratio,
)

SHARES: Final = np.array([0.2751, 0.7249])
DILUTION: Final = Dilution(
    predicted_low=0.1388,
    true_low=0.2751,
    low_if_predicted_low=0.5899,
    low_if_predicted_high=0.2244,
)
PUBLISHED: Final = {"incidence": 0.364, "competing": 0.05, "at_months": 12.0, "shape": 1.0}


def calibrated(shares: Any = SHARES, ratio: float = 2.45, **changes: float) -> Hazards:
    return calibrate(shares, np.array([ratio, 1.0]), **{**PUBLISHED, **changes})


# --- Closed forms and numbers computed apart ------------------------------------------------------


def test_with_one_group_the_hazards_divide_the_total_by_the_incidences() -> None:
    hazards = calibrate([1.0], [1.0], incidence=0.364, competing=0.05, at_months=12)
    total = -math.log(1 - 0.414) / 12
    assert hazards.event[0, 0] == pytest.approx(total * 0.364 / 0.414, rel=1e-10)
    assert hazards.competing[0, 0] == pytest.approx(total * 0.05 / 0.414, rel=1e-10)


def test_without_a_competing_event_two_equal_groups_have_a_quadratic() -> None:
    hazards = calibrated([0.5, 0.5], 2.0, competing=0.0)
    expected = -math.log((math.sqrt(1 + 8 * 0.636) - 1) / 2) / 12
    assert hazards.event[0, 1] == pytest.approx(expected, rel=1e-10)
    assert hazards.competing[0, 0] == 0.0


@pytest.mark.parametrize(
    ("shares", "event", "competing", "incidences"),
    [
        (SHARES, 0.02940842547, 0.005399357246, [0.5630178484, 0.288472603]),
        ([0.1388, 0.8612], 0.03383052442, 0.00539370605, [0.6133993067, 0.3238041991]),
    ],
)
def test_calibration_gives_the_hazards_of_nested_root_finding(
    shares: Any, event: float, competing: float, incidences: list[float]
) -> None:
    hazards = calibrated(shares)
    assert hazards.event[0, 1] == pytest.approx(event, rel=1e-8)
    assert hazards.competing[0, 0] == pytest.approx(competing, rel=1e-8)
    assert_allclose(hazards.incidence(12.0)[0], incidences, rtol=1e-8)


@pytest.mark.parametrize(
    ("below", "incidence"), [(0.2751, 0.364), (0.1823, 0.33852220), (0.0266, 0.29577551)]
)
def test_an_arm_is_the_mixture_of_its_groups(below: float, incidence: float) -> None:
    got = arm_incidence(np.array([below, 1 - below]), calibrated(), 12.0)
    assert got[0] == pytest.approx(incidence, rel=1e-7)


def test_the_shape_changes_the_way_to_the_incidence_and_not_the_incidence() -> None:
    constant, falling = calibrated(), calibrated(shape=0.6)
    assert falling.event[0, 1] == pytest.approx(0.07945921521, rel=1e-8)
    assert_allclose(falling.incidence(12.0), constant.incidence(12.0), rtol=1e-12)
    assert (falling.incidence(3.0) > constant.incidence(3.0)).all()


# --- Laws -----------------------------------------------------------------------------------------

FRACTIONS: Final = st.floats(0.02, 0.98)
RATIOS: Final = st.floats(0.1, 30.0)


@given(FRACTIONS, RATIOS, st.floats(0.02, 0.7), st.floats(0.0, 0.25), st.floats(0.25, 2.0))
def test_the_reference_always_has_both_incidences(
    below: float, ratio: float, incidence: float, competing: float, shape: float
) -> None:
    q = np.array([below, 1 - below])
    hazards = calibrated(q, ratio, incidence=incidence, competing=competing, shape=shape)
    assert arm_incidence(q, hazards, 12.0)[0] == pytest.approx(incidence, abs=1e-11)
    others = float((q * hazards.competing_incidence(12.0)[0]).sum())
    assert others == pytest.approx(competing, abs=1e-11)


@given(FRACTIONS, FRACTIONS)
def test_without_an_effect_every_arm_has_the_published_incidence(below: float, arm: float) -> None:
    hazards = calibrated([below, 1 - below], 1.0)
    assert arm_incidence([arm, 1 - arm], hazards, 12.0)[0] == pytest.approx(0.364, rel=1e-12)


@given(FRACTIONS, st.floats(1.01, 20.0), st.floats(0.0, 0.9), st.floats(0.01, 0.1))
def test_more_patients_below_mean_more_events(
    below: float, ratio: float, arm: float, more: float
) -> None:
    hazards = calibrated([below, 1 - below], ratio)
    fewer, higher = (arm_incidence([p, 1 - p], hazards, 12.0)[0] for p in (arm, arm + more))
    assert higher > fewer


@given(FRACTIONS, RATIOS, st.floats(0.3, 2.0))
def test_months_or_years_make_no_difference(below: float, ratio: float, shape: float) -> None:
    q = [below, 1 - below]
    months = calibrated(q, ratio, shape=shape)
    years = calibrated(q, ratio, shape=shape, at_months=1.0)
    assert_allclose(months.incidence(7.0), years.incidence(7.0 / 12), rtol=1e-9)


@settings(max_examples=40)
@given(st.lists(st.floats(0.05, 0.6), min_size=3, max_size=3), st.floats(0.01, 0.2), FRACTIONS)
def test_incidences_by_group_come_back(
    incidences: list[float], competing: float, first: float
) -> None:
    q = np.array([first, (1 - first) / 3, 2 * (1 - first) / 3])
    hazards = from_group_incidences(q, incidences, competing=competing, at_months=6.0, shape=0.7)
    assert_allclose(hazards.incidence(6.0)[0], incidences, rtol=1e-9)
    others = float((q * hazards.competing_incidence(6.0)[0]).sum())
    assert others == pytest.approx(competing, rel=1e-9)


def test_draws_are_calibrated_one_by_one() -> None:
    ratios = np.column_stack([np.exp(np.linspace(-1, 3, 50)), np.ones(50)])
    together = calibrate(SHARES, ratios, incidence=0.364, competing=0.05, at_months=12)
    for k in (0, 20, 49):
        alone = calibrate(SHARES, ratios[k], incidence=0.364, competing=0.05, at_months=12)
        assert_allclose(together.of(k).event, alone.event, rtol=1e-9)


@pytest.mark.parametrize(("incidence", "competing"), [(0.7, 0.3), (0.99, 0.2), (0.0, 0.1)])
def test_incidences_that_leave_nobody_are_refused(incidence: float, competing: float) -> None:
    with pytest.raises(InputError, match="nobody without an event"):
        calibrated(incidence=incidence, competing=competing)


# --- Readings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "shown"), [(1.0, 1.0), (2.45, 1.3935), (5.0, 1.7779), (10.0, 2.1587)]
)
def test_a_step_in_true_auc_is_diluted_between_predicted_groups(ratio: float, shown: float) -> None:
    hazards = DILUTION.hazards(ratio, 0.364, 0.05, 12.0, 1.0)
    assert DILUTION.shown_ratio(hazards, 12.0) == pytest.approx(shown, abs=2e-4)


@pytest.mark.parametrize(("published", "needed"), [(2.45, 18.648), (1.34, 2.2008)])
def test_the_corrected_ratio_shows_as_the_published_one(published: float, needed: float) -> None:
    ratio = corrected_ratio(published, DILUTION, **PUBLISHED)
    assert ratio == pytest.approx(needed, rel=1e-4)
    assert ratio is not None
    hazards = DILUTION.hazards(ratio, 0.364, 0.05, 12.0, 1.0)
    assert DILUTION.shown_ratio(hazards, 12.0) == pytest.approx(published, rel=1e-9)


def test_a_ratio_above_the_ceiling_has_no_correction() -> None:
    ceiling = highest_ratio(DILUTION, **PUBLISHED)
    assert ceiling == pytest.approx(2.80, abs=0.02)
    assert corrected_ratio(1.01 * ceiling, DILUTION, **PUBLISHED) is None
    assert corrected_ratio(0.99 * ceiling, DILUTION, **PUBLISHED) is not None
    assert fraction_above(2.45, 0.3079, ceiling) == pytest.approx(0.33, abs=0.005)


def test_perfect_prediction_needs_no_correction() -> None:
    perfect = Dilution(
        predicted_low=0.3, true_low=0.3, low_if_predicted_low=1.0, low_if_predicted_high=0.0
    )
    assert corrected_ratio(2.45, perfect, **PUBLISHED) == pytest.approx(2.45, rel=1e-9)


def test_e_values_of_the_published_ratio_and_of_its_interval() -> None:
    assert e_value(2.45) == pytest.approx(3.105, abs=1e-3)
    assert e_value(1.34) == pytest.approx(1.75, abs=5e-3)
    assert e_value(1 / 2.45) == pytest.approx(e_value(2.45))
    assert e_value(1.0) == 1.0


# --- The file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "high", "sd"),
    [
        (2.45, 1.34, 4.48, 0.3079019416),
        (1.96, 1.19, 3.23, 0.2547314231),
        (0.52, 0.30, 0.91, 0.2830822744),
        (0.46, 0.25, 0.84, 0.309174297),
    ],
)
def test_the_spread_of_a_ratio_is_that_of_its_interval(
    value: float, low: float, high: float, sd: float
) -> None:
    ratio = RatioOfGroup(value=value, low=low, high=high, source="x")
    assert ratio.log_sd == pytest.approx(sd, rel=1e-8)


def test_every_number_of_a_published_outcome_has_a_place() -> None:
    for entry in outcomes().values():
        numbers = [*(entry.hazard_ratios or ()), *(entry.group_incidences or ()), entry.incidence]
        assert all(number.source for number in numbers if number is not None)
        assert entry.cannot or entry.group_incidences or (entry.hazard_ratios and entry.incidence)


def test_all_of_eleven_is_not_certainty() -> None:
    groups = outcomes()["dekker2022_relapse"].group_incidences
    assert groups is not None
    low, high = groups
    assert low.point == pytest.approx(11.5 / 12)
    assert high.point == 0.274
    assert Incidence(value=0.364, low=0.275, high=0.452, source="x").cloglog_sd > 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"edges": [20.0, 18.0]}, "edges must rise"),
        ({"hazard_ratios": [{"value": 2.0, "source": "x"}]}, "1 for 2 groups"),
        (
            {"hazard_ratios": [{"value": 2.0, "source": "x"}, {"value": 3.0, "source": "x"}]},
            "one must be 1",
        ),
        ({"incidence": {"value": 0.3, "low": 0.4, "high": 0.5, "source": "x"}}, "not inside"),
        ({"incidence": {"value": 0.3, "low": 0.2, "source": "x"}}, "low and high"),
        ({"incidence": {"value": 1.0, "source": "x"}}, "needs n and hits"),
    ],
)
def test_an_association_that_cannot_be_is_refused(changes: dict[str, Any], fault: str) -> None:
    table = {"event": "relapse", "edges": [13.8], "at_months": 12.0, **changes}
    with pytest.raises(Exception, match=fault):
        check_table(table, Association, "here")
