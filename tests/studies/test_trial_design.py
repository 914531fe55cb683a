"""Power and size of trials: integrals, closed forms, simulated trials, rules of one arm."""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from fludapk.studies.outcome_hazards import Hazards, calibrate
from fludapk.studies.trial_design import (
    FollowUp,
    assurance_of_events,
    freedman_events,
    schoenfeld_events,
    score,
)
from fludapk.studies.trial_rules import one_stage, p_at_least, two_stages
from fludapk.studies.trial_simulation import (
    SimulatedPower,
    TestOfArms,
    Trials,
    aalen_johansen,
    draw_trials,
    fitted_size,
    log_rank,
    simulated_power,
    statistic,
)

GOLDEN: Final = Path(__file__).parents[1] / "golden"
LOSS: Final = -math.log(0.95) / 12
YEAR: Final = FollowUp(loss_per_month=LOSS)
LABEL, TARGET, ADAPTIVE = ([p, 1 - p] for p in (0.2751, 0.1823, 0.0266))


def hazards(shape: float = 1.0, ratio: float = 2.45) -> Hazards:
    return calibrate(
        LABEL, [ratio, 1.0], incidence=0.364, competing=0.05, at_months=12.0, shape=shape
    )


# --- Integrals ------------------------------------------------------------------------------------


def test_levels_against_the_label() -> None:
    design = score(LABEL, ADAPTIVE, hazards(), YEAR)
    assert design.mean[0] == pytest.approx(-0.0416920800, rel=1e-6)
    assert design.variance[0] == pytest.approx(0.1610170709, rel=1e-6)
    assert design.hazard_ratio[0] == pytest.approx(0.771877, rel=1e-6)
    assert_allclose(design.events[0], [0.355777, 0.288863], atol=1e-6)
    assert design.n_for(0.8) == pytest.approx(727.062, rel=1e-6)
    assert design.n_for(0.9) == pytest.approx(973.332, rel=1e-6)
    powers = design.power(np.array([50.0, 100.0, 200.0, 400.0]))
    assert_allclose(powers, [0.113759, 0.179890, 0.312161, 0.547011], atol=1e-6)


def test_covariates_against_the_label() -> None:
    design = score(LABEL, TARGET, hazards(), YEAR)
    assert design.mean[0] == pytest.approx(-0.0158104389, rel=1e-6)
    assert design.variance[0] == pytest.approx(0.1716193740, rel=1e-6)
    assert design.n_for(0.8) == pytest.approx(5388.713, rel=1e-6)


@pytest.mark.parametrize(("shape", "n"), [(1.0, 601.27), (0.6, 625.62), (0.3, 661.37)])
def test_where_follow_up_differs_the_shape_matters(shape: float, n: float) -> None:
    longer = FollowUp(accrual_months=24, after_months=12, horizon_months=None, loss_per_month=LOSS)
    design = score(LABEL, ADAPTIVE, hazards(shape), longer)
    assert design.n_for(0.8) == pytest.approx(n, abs=0.1)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_the_nodes_agree_with_adaptive_quadrature(ratio: float) -> None:
    found = hazards()
    follow_up = FollowUp(accrual_months=10, after_months=5, horizon_months=12, loss_per_month=0.01)
    event, competing = found.event[0], float(found.competing[0, 0])

    def parts(s: float) -> tuple[float, float, float, float]:
        left = float(follow_up.followed(np.array(s))) * np.exp(-(event + competing) * s)
        return (
            float(np.dot(LABEL, left)), float(np.dot(ADAPTIVE, left)),
            float(np.dot(LABEL, event * left)), float(np.dot(ADAPTIVE, event * left)),
        )  # fmt: skip

    def mean(s: float) -> float:
        pa, pb, fa, fb = parts(s)
        return ratio * (fb * pa - fa * pb) / (pa + ratio * pb)

    def variance(s: float) -> float:
        pa, pb, fa, fb = parts(s)
        return (fa + ratio * fb) * ratio * pa * pb / (pa + ratio * pb) ** 2

    design = score(LABEL, ADAPTIVE, found, follow_up, ratio)
    for value, integrand in ((design.mean[0], mean), (design.variance[0], variance)):
        exact = sum(integrate.quad(integrand, *ends)[0] for ends in ((0, 5), (5, 12)))
        assert value == pytest.approx(exact, rel=1e-9)


FRACTIONS: Final = st.floats(0.01, 0.99)


@given(FRACTIONS, FRACTIONS, st.floats(0.3, 1.5))
def test_exchanged_arms_change_the_sign_and_nothing_else(a: float, b: float, shape: float) -> None:
    there, back = (score([p, 1 - p], [q, 1 - q], hazards(shape), YEAR) for p, q in ((a, b), (b, a)))
    assert there.mean[0] == pytest.approx(-back.mean[0], abs=1e-15)
    assert there.variance[0] == pytest.approx(back.variance[0], rel=1e-12)


@given(FRACTIONS, FRACTIONS, st.floats(0.001, 0.2))
def test_without_an_effect_the_power_is_the_size_of_the_test(
    a: float, b: float, alpha: float
) -> None:
    design = score([a, 1 - a], [b, 1 - b], hazards(ratio=1.0), YEAR)
    assert design.power(300, alpha)[0] == pytest.approx(alpha, rel=1e-9)
    assert design.n_for(0.8, alpha) is None


@given(st.floats(0.3, 0.97), FRACTIONS)
def test_the_size_has_the_power_it_was_asked_for(power: float, below: float) -> None:
    design = score(LABEL, [below / 4, 1 - below / 4], hazards(), YEAR)
    size = design.n_for(power)
    if size is not None:
        assert design.power(size)[0] == pytest.approx(power, rel=1e-8)


def test_events_of_closed_forms() -> None:
    assert schoenfeld_events(0.5, 0.8) == pytest.approx(65.34565926, rel=1e-9)
    assert freedman_events(0.5, 0.8) == pytest.approx(70.63991761, rel=1e-9)
    assert schoenfeld_events(2.45, 0.8) == pytest.approx(39.09906, rel=1e-6)
    assert freedman_events(2.45, 0.8) == pytest.approx(44.43343, rel=1e-6)


def test_freedman_gives_the_patients_of_lifelines() -> None:
    # lifelines 0.30.3: sample_size_necessary_under_cph(0.8, 1, 0.3, 0.5, 0.5) is (89, 89),
    # power_under_cph(100, 100, 0.3, 0.5, 0.5) is 0.8464817
    assert math.ceil(freedman_events(0.5, 0.8) / (0.3 + 0.5)) == 89
    assert freedman_events(0.5, 0.8464817) == pytest.approx(100 * (0.3 + 0.5), rel=1e-6)


@pytest.mark.parametrize(
    ("events", "assurance"), [(40, 0.7343411), (80, 0.8855364), (160, 0.9548267)]
)
def test_assurance_of_a_number_of_events(events: int, assurance: float) -> None:
    sd = 0.3079019416
    assert assurance_of_events(events, math.log(2.45), sd) == pytest.approx(assurance, abs=1e-7)
    never = assurance_of_events(10**9, math.log(2.45), sd)
    assert never == pytest.approx(0.9982, abs=1e-4)  # the chance that the ratio is above 1


# --- Tests of two arms ----------------------------------------------------------------------------


def read(name: str) -> tuple[Any, Any, Any, Any]:
    table = np.genfromtxt(GOLDEN / name, delimiter=",", names=True, skip_header=1)
    last = table["cens"] if "cens" in (table.dtype.names or ()) else table["time"]
    cause = table["cause"].astype(np.int8)
    return table["time"][None], cause[None], table["arm"] > 0, last[None]


# By hand; and lifelines 0.30.3, statsmodels 0.15.0, scikit-survival 0.28.0, R survival 3.5-3
@pytest.mark.parametrize(
    ("name", "u", "v", "chi2"),
    [
        ("two_arms_12.csv", -1.0019841270, 1.1636865394, 0.8627513997),
        ("two_arms_200.csv", None, None, 1.4109502772),
    ],
)
def test_the_log_rank_test_is_that_of_five_libraries(
    name: str, u: float | None, v: float | None, chi2: float
) -> None:
    months, cause, treated, _ = read(name)
    got, variance = log_rank(months, cause == 1, treated)
    assert got[0] ** 2 / variance[0] == pytest.approx(chi2, rel=1e-9)
    if u is not None:
        assert (got[0], variance[0]) == pytest.approx((u, v), rel=1e-9)
    first, second = (
        stats.CensoredData.right_censored(months[0, arm], cause[0, arm] != 1)
        for arm in (treated, ~treated)
    )
    assert stats.logrank(first, second).statistic ** 2 == pytest.approx(chi2, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "control", "treated"),
    [
        ("two_arms_12.csv", (0.5, math.sqrt(0.0416666667)), (0.3888888889, 0.2187224)),
        ("two_arms_200.csv", (0.4075753916, 0.0497226877), (0.3364309042, 0.0477393380)),
    ],
)
def test_incidences_and_their_errors_are_those_of_lifelines(
    name: str, control: tuple[float, float], treated: tuple[float, float]
) -> None:
    months, cause, arm, _ = read(name)
    for members, (value, error) in ((~arm, control), (arm, treated)):
        got, variance = aalen_johansen(months[:, members], cause[:, members], 12.0)
        assert got[0] == pytest.approx(value, rel=1e-9)
        assert math.sqrt(variance[0]) == pytest.approx(error, rel=1e-6)


def test_grays_test_with_known_censoring() -> None:
    months, cause, treated, last = read("two_arms_200.csv")
    value = statistic(Trials(months, cause, treated, last), "gray", 12.0)[0]
    assert value**2 == pytest.approx(1.6986492852, rel=1e-9)
    assert value**2 == pytest.approx(1.69346219, rel=0.01)  # R cmprsk 2.2-11 estimates it


@pytest.mark.filterwarnings("ignore::Warning")  # pandas warns lifelines
def test_live_libraries_agree_where_they_are_installed() -> None:
    lifelines = pytest.importorskip("lifelines")
    from lifelines.statistics import logrank_test

    months, cause, arm, _ = read("two_arms_200.csv")
    got, variance = log_rank(months, cause == 1, arm)
    test = logrank_test(months[0, arm], months[0, ~arm], cause[0, arm] == 1, cause[0, ~arm] == 1)
    assert got[0] ** 2 / variance[0] == pytest.approx(test.test_statistic, rel=1e-9)
    fitter = lifelines.AalenJohansenFitter(calculate_variance=True)
    fitter.fit(months[0, arm], cause[0, arm], event_of_interest=1)
    value, error = aalen_johansen(months[:, arm], cause[:, arm], 12.0)
    assert value[0] == pytest.approx(float(fitter.cumulative_density_.iloc[-1, 0]), rel=1e-9)
    assert error[0] == pytest.approx(float(fitter.variance_.iloc[-1]), rel=1e-9)


# --- Simulated trials -----------------------------------------------------------------------------


def simulated(
    n: int,
    arms: tuple[list[float], list[float]],
    *,
    seed: int,
    trials: int,
    test: TestOfArms = "logrank",
    ratio: float = 2.45,
    threads: int | None = None,
) -> SimulatedPower:
    shares = np.array(arms[0]), np.array(arms[1])
    return simulated_power(
        n, shares, hazards(ratio=ratio), YEAR, test=test, alpha=0.05, trials=trials, seed=seed,
        threads=threads,
    )  # fmt: skip


@pytest.mark.parametrize(("n", "seed", "other"), [(30, 37, 0.5994), (50, 57, 0.8105)])
def test_simulated_power_of_proportional_hazards(n: int, seed: int, other: float) -> None:
    found = simulated(n, ([1.0, 0.0], [0.0, 1.0]), seed=seed, trials=20_000)
    assert found.power == pytest.approx(other, abs=4 * math.sqrt(2) * 0.0035)
    exact = float(score([1.0, 0.0], [0.0, 1.0], hazards(), YEAR).power(n)[0])
    assert found.power == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize(
    ("test", "other"), [("logrank", 0.8014), ("gray", 0.7960), ("incidence", 0.7797)]
)
def test_the_power_at_the_exact_size(test: TestOfArms, other: float) -> None:
    found = simulated(727, (LABEL, ADAPTIVE), seed=20260114, trials=2000, test=test)
    assert found.power == pytest.approx(other, abs=4 * math.hypot(found.standard_error, 0.004))


@pytest.mark.parametrize(("n", "tolerance"), [(50, 0.012), (100, 0.012), (400, 0.014)])
def test_simulated_trials_check_the_integrals(n: int, tolerance: float) -> None:
    trials = 10_000 if n < 400 else 5000
    found = simulated(n, (LABEL, ADAPTIVE), seed=5, trials=trials)
    exact = float(score(LABEL, ADAPTIVE, hazards(), YEAR).power(n)[0])
    assert found.power == pytest.approx(exact, abs=max(tolerance, 3 * found.standard_error))


@pytest.mark.parametrize(
    ("test", "n", "size"),
    [("logrank", 18, 0.0503), ("gray", 18, 0.0499), ("incidence", 18, 0.0663),
     ("logrank", 50, 0.0543), ("incidence", 50, 0.0595)],
)  # fmt: skip
def test_the_size_of_every_test_under_no_effect(test: TestOfArms, n: int, size: float) -> None:
    found = simulated(n, (LABEL, ADAPTIVE), seed=118, trials=20_000, test=test, ratio=1.0)
    assert found.power == pytest.approx(size, abs=4 * math.sqrt(2) * 0.0017)


def test_small_arms_make_a_difference_of_incidences_significant_too_often() -> None:
    found = simulated(18, (LABEL, ADAPTIVE), seed=2, trials=20_000, test="incidence", ratio=1.0)
    assert found.power > 0.056


def test_threads_do_not_change_a_simulated_trial() -> None:
    alone, together = (
        simulated(40, (LABEL, ADAPTIVE), seed=3, trials=2500, threads=t) for t in (1, 3)
    )
    assert alone == together


def test_drawn_trials_have_the_incidence_of_their_arm() -> None:
    found = hazards()
    rng = np.random.default_rng(4)
    drawn = draw_trials(rng, 400, (100, 100), (np.array(LABEL), np.array(ADAPTIVE)), found,
                        FollowUp())  # fmt: skip
    for members, shares in ((~drawn.treated, LABEL), (drawn.treated, ADAPTIVE)):
        seen = float(np.mean(drawn.cause[:, members] == 1))
        expected = float((np.array(shares) * found.incidence(12.0)[0]).sum())
        assert seen == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 40_000))


def test_a_fitted_size_is_near_the_exact_one() -> None:
    points = [simulated(n, (LABEL, ADAPTIVE), seed=9, trials=4000) for n in (100, 200, 400)]
    fitted = fitted_size(points, worse=False, power=0.8, alpha=0.05)
    assert fitted is not None
    assert fitted.low < fitted.n_per_arm < fitted.high
    assert fitted.n_per_arm == pytest.approx(727, rel=0.06)


# --- One arm --------------------------------------------------------------------------------------


def test_the_rules_of_panetta_2025_are_binomial_tails() -> None:
    # Panetta 2025 prints 42 and 82; 77, 85 and 90; 58, 82 and 92 %
    assert_allclose(p_at_least(12, 18, np.array([0.614, 0.733])), [0.422, 0.819], atol=5e-4)
    alive = p_at_least(10, 18, np.array([0.612, 0.645, 0.671]))
    assert_allclose(alive, [0.770, 0.851, 0.900], atol=5e-4)
    relapsed = 1 - p_at_least(8, 18, np.array([0.395, 0.317, 0.267]))
    assert_allclose(relapsed, [0.581, 0.820, 0.920], atol=6e-4)


@pytest.mark.parametrize(
    ("p0", "p1", "optimal", "minimax"),
    [
        (0.05, 0.25, (0, 9, 2, 17, 11.958, 0.630), (0, 12, 2, 16, 13.84, 0.540)),
        (0.10, 0.30, (1, 10, 5, 29, 15.01, 0.736), (1, 15, 5, 25, 19.51, 0.549)),
    ],
)
def test_two_stages_are_those_of_simon_1989(
    p0: float, p1: float, optimal: tuple[float, ...], minimax: tuple[float, ...]
) -> None:
    designs = two_stages(p0, p1, alpha=0.05, power=0.8)
    assert designs is not None
    for design, printed in zip(designs, (optimal, minimax), strict=True):
        assert (design.r1, design.n1, design.r, design.n) == printed[:4]
        assert design.expected_n == pytest.approx(printed[4], abs=0.01)
        assert design.p_stop == pytest.approx(printed[5], abs=1e-3)


@pytest.mark.parametrize(
    ("p0", "p1", "at_least", "n", "alpha", "power"),
    [(0.51, 0.91, 9, 11, 0.038, 0.93), (0.57, 0.91, 13, 16, 0.040, 0.95),
     (0.60, 0.75, 59, 85, 0.047, 0.90)],
)  # fmt: skip
def test_single_stages_for_reaching_the_window(
    p0: float, p1: float, at_least: int, n: int, alpha: float, power: float
) -> None:
    rule = one_stage(p0, p1, alpha=0.05, power=0.9)
    assert rule is not None
    assert (rule.at_least, rule.n) == (at_least, n)
    assert rule.alpha == pytest.approx(alpha, abs=5e-4)
    assert rule.power == pytest.approx(power, abs=6e-3)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 0.6), st.floats(0.25, 0.38))
def test_a_design_keeps_the_errors_it_names(p0: float, gain: float) -> None:
    designs = two_stages(p0, p0 + gain, alpha=0.1, power=0.7)
    assert designs is not None
    hits = np.arange
    for design in designs:
        n2 = design.n - design.n1
        for p, go in ((p0, design.alpha), (p0 + gain, design.power)):
            first = stats.binom.pmf(hits(design.r1 + 1, design.n1 + 1), design.n1, p)
            needed = design.r - hits(design.r1 + 1, design.n1 + 1)
            assert float(first @ stats.binom.sf(needed, n2, p)) == pytest.approx(go, rel=1e-9)
            assert design.p_go(p) == pytest.approx(go, rel=1e-9)
        assert design.alpha <= 0.1
        assert design.power >= 0.7


def test_a_trial_that_nobody_is_followed_in_is_refused() -> None:
    with pytest.raises(Exception, match="nobody is followed up"):
        FollowUp(accrual_months=0, after_months=0, horizon_months=None)
