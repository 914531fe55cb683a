"""A study's outcome, trial, ward, shortage and drivers, from its counts."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.testing import assert_allclose
from three_strategies import THREE, TRIAL, WARD, arm, asked, scenario, with_outcome

from fludapk.errors import FileError, InputError
from fludapk.pages.curves import spread_apart, style
from fludapk.pages.outcome import outcome_page
from fludapk.pages.study import study_html, study_page, write_results
from fludapk.studies.shards import merge, run_shard
from fludapk.studies.simulate import StudyResult, read_scenario, simulate


@pytest.fixture(scope="module")
def three() -> StudyResult:
    """The three strategies, counted once."""
    return simulate(scenario(trial=TRIAL))


# --- Outcome --------------------------------------------------------------------------------------


def test_relapse_of_three_strategies_in_b_all(three: StudyResult) -> None:
    # A prototype with 40 000 patients has 36.4, 33.9 and 29.6 %
    values = [arm(three, s).incidence.value for s in ("label", "target_17", "adaptive_17")]
    assert_allclose(values, [0.364, 0.339, 0.296], atol=0.004)
    low, high = arm(three, "label").incidence.low, arm(three, "label").incidence.high
    assert (low, high) == pytest.approx((0.283, 0.460), abs=0.008)
    difference = arm(three, "adaptive_17").difference
    assert (difference.low, difference.high) == pytest.approx((-0.114, -0.023), abs=0.006)


def test_young_children_have_most_to_gain(three: StudyResult) -> None:
    young = [arm(three, s, "age_years 2-<6").incidence.value for s in ("label", "adaptive_17")]
    assert_allclose(young, [0.425, 0.301], atol=0.008)
    everybody = arm(three, "adaptive_17").difference.value
    assert young[1] - young[0] < 1.5 * everybody


def test_the_three_readings_of_a_ratio_between_predicted_groups(three: StudyResult) -> None:
    target, adaptive = (arm(three, s).readings for s in ("target_17", "adaptive_17"))
    assert target["predicted"] == pytest.approx(0.324, abs=0.004)
    assert adaptive["predicted"] is None
    assert target["corrected"] == pytest.approx(0.291, abs=0.03)
    assert adaptive["corrected"] == pytest.approx(0.168, abs=0.05)
    assert adaptive["half causal"] == pytest.approx(0.331, abs=0.003)


def test_a_reading_of_predicted_auc_says_nothing_of_levels(three: StudyResult) -> None:
    result = asked(three, outcome={"exposure": "predicted"})
    adaptive = arm(result, "adaptive_17")
    assert adaptive.incidence.value is None
    assert "not defined" in adaptive.undefined
    assert arm(result, "target_17").incidence.value == pytest.approx(0.324, abs=0.004)
    with pytest.raises(InputError, match=r"trial\.arms: adaptive_17"):
        _ = result.trials


def test_a_causal_fraction_of_nothing_changes_nothing(three: StudyResult) -> None:
    result = asked(three, outcome={"causal": 0.0, "draws": 0})
    for strategy in ("label", "target_17", "adaptive_17"):
        assert arm(result, strategy).incidence.value == pytest.approx(0.364, rel=1e-12)


@pytest.mark.parametrize(("causal", "value"), [(0.75, 0.313), (0.5, 0.331), (0.25, 0.348)])
def test_less_causality_leaves_less_to_gain(
    three: StudyResult, causal: float, value: float
) -> None:
    result = asked(three, outcome={"causal": causal, "draws": 0})
    assert arm(result, "adaptive_17").incidence.value == pytest.approx(value, abs=0.003)


def test_a_range_of_causality_reaches_towards_nothing(three: StudyResult) -> None:
    result = asked(three, outcome={"causal": {"low": 0.0, "high": 1.0}})
    difference = arm(result, "adaptive_17").difference
    assert difference.high == pytest.approx(0.0, abs=0.003)
    assert difference.low < -0.08


def test_deaths_without_relapse_hardly_matter(three: StudyResult) -> None:
    for competing in (0.0, 0.1):
        result = asked(three, outcome={"competing": competing, "draws": 0})
        assert arm(result, "adaptive_17").incidence.value == pytest.approx(0.296, abs=0.003)


def test_incidences_by_group_need_no_ratio(three: StudyResult) -> None:
    result = asked(three, outcome={"use": "dekker2022_relapse"})
    with pytest.raises(ValueError, match=r"14\.0"):  # the groups of 14 were not counted
        _ = result.outcomes
    study = simulate(with_outcome(use="dekker2022_relapse"))
    label = arm(study, "label")
    groups = study.outcomes[0].group_incidences
    assert [g.value for g in groups] == [1.0, 0.274]
    low, high = label.shares
    assert label.incidence.value == pytest.approx(low * 11.5 / 12 + high * 0.274, rel=1e-9)


def test_three_groups_of_lymphoma() -> None:
    table = scenario(
        patients=5000, models=["varela2025"], population={"use": "lbcl_adults"},
        product="axi_cel", strata=[],
        strategies=[{"id": "label", "kind": "fixed", "regimen": "axi_cel"},
                    {"id": "target_19", "kind": "target", "window": [18.0, 20.0], "days": 3}],
        outcome={"use": "scordo2023_progression_or_death", "reference": "label"},
    )  # fmt: skip
    result = simulate(table)
    label, target = arm(result, "label"), arm(result, "target_19")
    assert len(label.shares) == 3
    assert label.incidence.value == pytest.approx(
        float(np.dot(label.shares, [0.61, 0.34, 0.54])), rel=1e-9
    )
    assert target.shares[1] > label.shares[1]


def test_uncertain_parameters_widen_the_interval_and_are_said() -> None:
    table = scenario(patients=1500, strategies=THREE["strategies"][:2], strata=[])
    plain = simulate(table)
    result = simulate({**table, "variability": {"parameter_uncertainty": 30}})
    (outcome,) = result.outcomes
    assert outcome.includes_parameters
    assert {"independent_parameters"} <= {remark.code for remark in outcome.remarks}
    widths = [
        arm(r, "target_17").difference.high - arm(r, "target_17").difference.low
        for r in (plain, result)
    ]
    assert widths[1] > widths[0]


def test_what_the_association_cannot_carry_is_said_first(three: StudyResult) -> None:
    codes = [remark.code for remark in three.outcomes[0].remarks]
    assert codes[:2] == ["confounding", "dilution"]
    text = three.outcomes[0].remarks[0].message
    assert "years old" in text
    assert "E-value 3.1, of the interval 1.7" in text
    assert "above 2.8 between predicted groups" in three.outcomes[0].remarks[1].message


def test_another_course_than_that_of_the_paper_is_a_caution(three: StudyResult) -> None:
    result = asked(three, outcome={"reference": "target_17"})
    assert "other_course" in {remark.code for remark in result.outcomes[0].remarks}


def test_no_page_claims_an_effect(three: StudyResult) -> None:
    page = study_page(three) + study_html(three, {})
    assert "IF the published association is causal" in page
    for word in ("improves", "prevents", "improve ", "prevent "):
        assert word not in page.lower()


# --- Refusals -------------------------------------------------------------------------------------

REFUSED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "unknown outcome": (with_outcome(use="fabrizio"), r"outcome: unknown outcome 'fabrizio'"),
    "no incidence": (
        with_outcome(use="fabrizio2022_relapse_or_bca_loss"), r"incidence in all patients is not"),
    "no ratio": (with_outcome(use="fabrizio2022_death", competing=0.0), r"no hazard ratio of"),
    "no reference": (with_outcome(reference="nobody"), r"outcome\.reference: no strategy 'nobody'"),
    "another product": (
        scenario(product="axi_cel"), r"found with product tisa_cel, this is about axi_cel"),
    "nobody predicted below": (
        {**with_outcome(exposure="predicted"), "models": ["langenhorst2019_indexed"]},
        r"nobody is predicted < 13\.8 under label"),
    "everybody dead": (with_outcome(competing=0.7), r"leave nobody without an event"),
    "corrected with draws": (
        with_outcome(exposure="corrected", draws=100), r"corrected.*point value only"),
    "a trial without an outcome": (
        {k: v for k, v in scenario(trial=TRIAL).items() if k != "outcome"}, r"needs \[outcome\]"),
    "an arm that is not there": (
        scenario(trial={**TRIAL, "arms": ["label", "x"]}), r"trial\.arms: no strategy 'x'"),
    "a stratum that is not there": (
        scenario(trial={**TRIAL, "among": "infants"}), r"trial\.among: no stratum 'infants'"),
    "levels where predicted AUC counts": (
        {**with_outcome(exposure="predicted"), "trial": TRIAL}, r"trial\.arms: adaptive_17: with"),
    "an AUC of nobody": (
        scenario(
            drivers={"strategy": "none"},
            strategies=[*THREE["strategies"], {
                "id": "none", "kind": "renal", "regimen": "tisa_cel_ball", "measure": "eGFR",
                "steps": [{"at_least": 0.0, "factor": 0.0}]}]),
        r"drivers: some patients are given no dose under none"),
    "drivers of a file": (
        scenario(population={"file": "x.csv", "sample": "resample"}, drivers={"strategy": "label"}),
        r"drivers: patients must be drawn"),
    "a shortage above the ceiling": (
        scenario(
            shortage={"strategy": "high"},
            strategies=[*THREE["strategies"],
                        {"id": "high", "kind": "fixed", "dose": "60 mg/m2", "days": 4}]),
        r"shortage: high: 60\.0 mg/m2 in a day"),
    "a ward without levels": (
        scenario(ward={"strategy": "label", "schedules": [[2.0]]}), r"ward\.strategy: label is"),
    "levels after the dose they act on": (
        scenario(ward={"strategy": "adaptive_17", "schedules": [[30.0]]}), r"ward: .*30 h is"),
    "a shortage of rounded doses": (
        scenario(
            shortage={"strategy": "r"},
            strategies=[*THREE["strategies"], {"id": "r", "kind": "fixed", "dose": "30 mg/m2",
                                               "days": 4, "round_to_mg": 1.0}]),
        r"shortage: r must be in mg/m2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused_before_the_run(name: str) -> None:
    table, fault = REFUSED[name]
    with pytest.raises(FileError, match=fault):
        read_scenario({**table, "patients": 3000})


def test_an_assumption_carries_an_association_over() -> None:
    result = simulate({**with_outcome(transport="assumed"), "product": "axi_cel", "patients": 2000})
    assert "transport" in {remark.code for remark in result.outcomes[0].remarks}


def test_an_association_of_ones_own() -> None:
    own = {
        "event": "relapse", "edges": [13.8], "at_months": 12.0, "auc": "measured",
        "source": "own data",
        "hazard_ratios": [{"value": 2.0, "low": 1.2, "high": 4.5, "source": "own"},
                          {"value": 1.0, "source": "own"}],
        "incidence": {"value": 0.3, "source": "own"},
    }  # fmt: skip
    table = scenario(patients=2000, outcome={"own": own, "reference": "label"}, strata=[])
    (outcome,) = simulate(table).outcomes
    codes = {remark.code for remark in outcome.remarks}
    assert {"off_middle", "no_interval"} <= codes  # ln 2 is off the middle of 1.2-4.5
    assert "confounding" not in codes  # its AUC was measured


# --- Trial ----------------------------------------------------------------------------------------


def test_a_trial_of_levels_needs_hundreds_of_patients_per_arm(three: StudyResult) -> None:
    (comparison,) = three.trials[0].comparisons
    assert comparison.n_for_power.value == pytest.approx(727, rel=0.05)
    powers: Any = [point.exact for point in comparison.power]
    assert_allclose(powers, [0.114, 0.180, 0.312, 0.547], atol=0.02)
    depends = comparison.depends
    assert depends["ratio 4.48"] == pytest.approx(246, rel=0.05)
    assert depends["ratio 1.34"] == pytest.approx(7690, rel=0.05)
    assert depends["causal fraction 0.5"] == pytest.approx(3161, rel=0.05)
    assurances: Any = [point.assurance for point in comparison.power]
    assert_allclose(assurances, [0.12, 0.20, 0.33, 0.54], atol=0.02)
    sceptical = [point.sceptical for point in comparison.power]
    assert sceptical[-1] == pytest.approx(0.22, abs=0.015)


def test_a_trial_among_young_children_is_smaller(three: StudyResult) -> None:
    result = asked(three, trial={"among": "age_years 2-<6", "arms": ["label", "adaptive_17"]})
    (comparison,) = result.trials[0].comparisons
    assert comparison.n_for_power.value == pytest.approx(228, rel=0.12)
    assert comparison.hazard_ratio == pytest.approx(0.64, abs=0.02)


def test_dosing_by_covariates_cannot_be_shown_by_relapse(three: StudyResult) -> None:
    result = asked(three, trial={"arms": ["label", "target_17"]})
    (comparison,) = result.trials[0].comparisons
    assert comparison.n_for_power.value == pytest.approx(5389, rel=0.12)


def test_several_arms_share_the_size_of_the_test(three: StudyResult) -> None:
    result = asked(three, trial={"arms": ["label", "target_17", "adaptive_17"]})
    trial = result.trials[0]
    assert [c.alpha for c in trial.comparisons] == [0.025, 0.025]
    assert "holm" in {remark.code for remark in trial.remarks}


def test_warnings_of_a_trial(three: StudyResult) -> None:
    late = asked(three, trial={"horizon_months": 24.0, "n_per_arm": [10, 100]})
    codes = {remark.code for remark in late.trials[0].remarks}
    assert {"beyond_incidence", "few_events"} <= codes
    small = asked(three, trial={"test": "incidence", "n_per_arm": [20], "replicates": 200})
    assert "anticonservative" in {remark.code for remark in small.trials[0].remarks}


def test_eighteen_patients_can_show_reaching_the_window(three: StudyResult) -> None:
    result = asked(
        three,
        trial={"test": "binomial", "of": "in_window", "power": 0.9,
               "rule": {"n": 18, "at_least": 12}},
    )  # fmt: skip
    (trial,) = result.trials
    assert trial.hit_chances["label"] == pytest.approx(0.51, abs=0.02)
    own, single, optimal, minimax = trial.rules
    assert own.stages == [(12, 18)]
    assert own.p_go["adaptive_17"] > 0.99 > 0.3 > own.p_go["label"]
    assert single.stages == [(9, 11)]
    assert optimal.expected_n is not None
    assert optimal.expected_n < 11
    assert minimax.stages[1][1] <= 11


def test_without_events_is_a_hit_as_well(three: StudyResult) -> None:
    result = asked(three, trial={"test": "binomial", "of": "event_free"})
    chances = result.trials[0].hit_chances
    assert chances["label"] == pytest.approx(1 - 0.364 - 0.05, rel=1e-6)
    assert chances["adaptive_17"] > chances["label"]


def test_a_shard_merges_to_the_same_outcome_and_trial() -> None:
    table = scenario(
        patients=9000, strategies=THREE["strategies"][:2], strata=[],
        trial={**TRIAL, "arms": ["label", "target_17"], "replicates": 1000, "n_per_arm": [30]},
    )  # fmt: skip
    whole = simulate(table, threads=1)
    merged = merge([run_shard(whole.run.scenario, (k, 2)) for k in (2, 1)])
    assert merged.to_json() == whole.to_json()
    assert simulate(table, threads=2).to_json() == whole.to_json()


# --- Pages and figures ----------------------------------------------------------------------------


def test_the_page_says_what_it_rests_on(three: StudyResult) -> None:
    text = "\n".join(outcome_page(three.outcomes[0], 100))
    for words in (
        "HR 2.45 (1.34-4.48) < 13.8", "AUC from covariates", "read as: true AUC",
        "label set to the published 36 % (28-45)", "death without relapse 5 % (assumed)",
        "152 children and young adults",
    ):  # fmt: skip
        assert words in text


def test_every_answer_has_its_figure_and_its_section(tmp_path: Path) -> None:
    table = scenario(
        patients=1000, strata=[], trial={**TRIAL, "n_per_arm": [50, 100]}, ward=WARD,
        shortage={"strategy": "label"}, drivers={"strategy": "label", "log2_points": 8},
    )  # fmt: skip
    study = read_scenario(table)
    result = simulate(table)
    write_results(result, tmp_path, study)
    names = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert {"outcome", "power", "ward", "drivers", "auc_along_age"} <= names
    page = (tmp_path / "report.html").read_text()
    for heading in ("Relapse by 12 months", "Power, log-rank", "Levels on the ward",
                    "Doses under shortage", "What drives the AUC"):  # fmt: skip
        assert heading in page
    raw = json.loads((tmp_path / "summary.json").read_text())
    assert {"outcome", "trial", "ward", "shortage", "drivers"} <= set(raw)
    assert "plot" in dir(result)
    assert result.plot("power").axes
    with pytest.raises(InputError, match="no figure 'powr': did you mean 'power'"):
        result.plot("powr")


def test_twelve_curves_look_different_and_their_names_do_not_overlap() -> None:
    assert len({str(sorted(style(k).items(), key=str)) for k in range(12)}) == 12
    places = spread_apart([0.5] * 12, 0.05, 0.0, 1.0)
    assert np.diff(sorted(places)).min() >= 0.05 - 1e-6
    assert 0 <= min(places) <= max(places) <= 1


def test_answers_are_tables(three: StudyResult) -> None:
    frame = three.outcomes[0].to_frame()
    assert set(frame["strategy"]) == {"label", "target_17", "adaptive_17"}
    assert list(three.trials[0].to_frame()["n_per_arm"]) == [50, 100, 200, 400]
    assert {"auc_q05", "auc_q50"} <= set(three.auc_along_age.columns)


def test_a_strategy_that_gives_nobody_a_dose_is_drawn_and_told_apart() -> None:
    none = {
        "id": "none", "kind": "renal", "regimen": "tisa_cel_ball", "measure": "eGFR",
        "steps": [{"at_least": 0.0, "factor": 0.0}],
    }  # fmt: skip
    result = simulate(scenario(patients=1000, strategies=[THREE["strategies"][0], none], strata=[]))
    assert arm(result, "none").undefined == "nobody is given a dose"
    assert "nobody is given a dose" in result.to_text()
    assert result.plot("attainment").axes
    json.loads(result.to_json())


def test_arms_of_different_size_and_arms_that_are_alike(three: StudyResult) -> None:
    double = asked(three, trial={"ratio": 2.0}).trials[0].comparisons[0]
    equal = three.trials[0].comparisons[0]
    n_double, n_equal = double.n_for_power.value, equal.n_for_power.value
    assert n_double is not None
    assert n_equal is not None
    assert n_double < n_equal  # in the control arm
    assert 3 * n_double > 2 * n_equal  # but more in all
    nothing = asked(three, outcome={"causal": 0.0, "draws": 0}).trials[0].comparisons[0]
    assert nothing.n_for_power.value is None
    assert [point.exact for point in nothing.power] == pytest.approx([0.05] * 4)
