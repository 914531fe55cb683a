"""A ward's levels, doses under shortage, and what drives the AUC."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from three_strategies import WARD, asked, scenario

from fludapk.patients.population import SCORES, at_scores, draw, populations
from fludapk.studies.drivers import sobol_indices
from fludapk.studies.simulate import StudyResult, simulate


@pytest.fixture(scope="module")
def three() -> StudyResult:
    """The three strategies, counted once."""
    return simulate(scenario())


# --- Ward -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ward() -> StudyResult:
    return simulate(scenario(patients=6000, ward=WARD))


def test_a_late_result_and_a_lone_trough_cost_exposure(ward: StudyResult) -> None:
    (table,) = ward.wards
    below = {(tuple(r.levels_h), r.acts_from_dose, r.missed): r.below for r in table.table}
    four, trough = (1.0, 2.0, 7.0, 24.0), (24.0,)
    # 16 384 patients elsewhere: 18.2, 2.6, 8.0, 11.5 and 12.7 %
    for key, value in (
        (((), 0, 0.0), 0.182), ((four, 2, 0.0), 0.026), ((four, 4, 0.0), 0.080),
        ((trough, 2, 0.0), 0.115), ((trough, 4, 0.0), 0.127),
    ):  # fmt: skip
        assert below[key] == pytest.approx(value, abs=4 * math.sqrt(value / 6000))
    assert below[four, 2, 0.2] == pytest.approx(0.057, abs=0.01)
    assert table.points_per_dose[0] > table.points_per_dose[1]


def test_missed_results_are_a_mixture_exactly(ward: StudyResult) -> None:
    (table,) = ward.wards
    none = table.table[0]
    for plain, missed in zip(table.table[1::2], table.table[2::2], strict=True):
        assert (plain.missed, missed.missed) == (0.0, 0.2)
        assert missed.below == pytest.approx(0.8 * plain.below + 0.2 * none.below, rel=1e-12)


def test_strategies_of_the_ward_are_not_in_the_summary(ward: StudyResult) -> None:
    assert {row["strategy"] for row in ward.rows()} == {"label", "target_17", "adaptive_17"}
    assert len(ward.counts) == 3 + 1 + 4


def test_a_result_that_never_acts_is_dosing_by_covariates(ward: StudyResult) -> None:
    by_id = {counts.strategy: counts for counts in ward.counts}
    never, target = by_id["adaptive_17.no_levels"].to_dict(), by_id["target_17"].to_dict()
    assert {**never, "strategy": ""} == {**target, "strategy": ""}


# --- Shortage -------------------------------------------------------------------------------------


def test_the_lowest_dose_brings_as_many_as_it_says(three: StudyResult) -> None:
    result = asked(three, shortage={"strategy": "label"})
    (shortage,) = result.shortages
    everybody = shortage.strata[0]
    assert everybody.course_mg_m2 == pytest.approx(128.2, rel=0.01)
    again = simulate(
        scenario(
            strata=[],
            strategies=[{"id": "label", "kind": "fixed", "days": 4,
                         "dose": f"{everybody.dose_mg_m2:.6f} mg/m2"}],
        )
    ).rows()[0]  # fmt: skip
    assert 1 - again["p_below_13_8"] == pytest.approx(0.8, abs=0.001)
    double = asked(three, shortage={"strategy": "label", "limit": 27.6}).shortages[0]
    assert double.strata[0].course_mg_m2 == pytest.approx(2 * everybody.course_mg_m2, rel=1e-12)
    assert double.strata[0].above_ceiling


def test_sharing_vials_saves_a_fifth_for_two_patients(three: StudyResult) -> None:
    (shortage,) = asked(three, shortage={"strategy": "label"}).shortages
    vials = shortage.strata[0].vials_at_planned
    assert_allclose(list(vials.values()), [1.299, 1.034, 0.956, 0.888], atol=0.006)
    assert list(vials.values()) == sorted(vials.values(), reverse=True)
    assert vials[5] > shortage.strata[0].least_vials * 120 / shortage.strata[0].course_mg_m2


# --- Drivers --------------------------------------------------------------------------------------


def test_indices_of_the_ishigami_function() -> None:
    from scipy.stats import qmc

    u = qmc.Sobol(6, scramble=True, rng=np.random.default_rng(1)).random_base2(14)
    a, b = (np.pi * (2 * part - 1) for part in (u[:, :3], u[:, 3:]))

    def ishigami(x: Any) -> Any:
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])

    for k, (first, total) in enumerate(((0.313905, 0.557589), (0.442411, 0.442411), (0, 0.243684))):
        mixed = a.copy()
        mixed[:, k] = b[:, k]
        got = sobol_indices(ishigami(a), ishigami(b), ishigami(mixed))
        assert got == pytest.approx((first, total), abs=3e-3)


def test_clearance_between_patients_drives_the_auc(three: StudyResult) -> None:
    result = asked(three, drivers={"strategy": "label", "log2_points": 12})
    (drivers,) = result.drivers
    named = {driver.name: driver for driver in (*drivers.drivers, *drivers.groups)}
    clearance = named["between patients: CL, Q2, Q3"]
    assert clearance.first_log_auc == pytest.approx(0.72, abs=0.03)
    assert clearance.total_below == pytest.approx(0.84, abs=0.04)
    assert named["age"].first_log_auc == pytest.approx(0.12, abs=0.03)
    assert named["creatinine"].first_log_auc == pytest.approx(0.08, abs=0.03)
    assert named["between occasions"].first_log_auc == pytest.approx(0.05, abs=0.02)
    assert named["all covariates"].first_log_auc == pytest.approx(0.23, abs=0.03)
    assert drivers.variance == pytest.approx(0.0714, rel=0.03)
    assert drivers.variances["adaptive_17"] == pytest.approx(0.0115, rel=0.1)


def test_an_error_of_renal_function_drives_as_much_as_the_study_shows() -> None:
    """An error of 60 % would put the creatinine of some outside what is possible."""
    result = simulate({
        "title": "adults", "seed": 3, "patients": 12_000, "models": ["varela2025"],
        "population": {"use": "lbcl_adults"}, "variability": {"gfr_error_cv": 0.6},
        "strategies": [{"id": "aim", "kind": "target", "auc": 18.0, "regimen": "axi_cel"}],
        "drivers": {"strategy": "aim", "log2_points": 12},
    })  # fmt: skip
    (drivers,) = result.drivers
    assert drivers.variance == pytest.approx(drivers.variances["aim"], rel=0.04)
    assert drivers.below == pytest.approx(result.rows()[0]["p_below_13_8"], abs=0.012)
    (error,) = [d for d in drivers.drivers if d.name == "error of renal function"]
    assert error.first_log_auc == pytest.approx(0.155, abs=0.03)


def test_scores_give_the_population_that_is_drawn() -> None:
    from scipy.stats import qmc

    for name in ("prwcc_ball", "lbcl_adults"):
        entry = populations()[name]
        u = qmc.Sobol(len(SCORES), scramble=True, rng=np.random.default_rng(2)).random_base2(14)
        made = at_scores(entry, {score: u[:, k] for k, score in enumerate(SCORES)})
        drawn = draw(entry, np.random.default_rng(3), 100_000)
        both = made, drawn
        for column in ("AGE", "WT", "HT", "SCR", "BSA"):
            got, expected = (np.quantile(x[column], [0.05, 0.25, 0.5, 0.75, 0.95]) for x in both)
            assert_allclose(got, expected, rtol=0.03)
        logs: list[Any] = [np.corrcoef(np.log([x["WT"], x["HT"]])) for x in both]
        assert logs[0][0, 1] == pytest.approx(logs[1][0, 1], abs=0.02)
