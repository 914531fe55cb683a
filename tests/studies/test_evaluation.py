"""Models on the levels of many patients: errors, NPDE, visual check, choice of the true one."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
import pytest
import reference
from click.testing import CliRunner, Result
from scipy import stats

from fludapk.answers.prediction import predict
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.columns import Layout
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimate
from fludapk.pk.exposure import course_concentrations, with_residual_error
from fludapk.pk.posterior import sample_posterior
from fludapk.published.models import load_model
from fludapk.studies.evaluation import Evaluation, evaluation_of
from fludapk.studies.evaluation_data import Data, Subject, read_subjects
from fludapk.studies.evaluation_fits import Scores
from fludapk.studies.evaluation_tables import error_rows, level_rows, patient_rows
from fludapk.studies.metrics import _bins, npde, prediction_corrected, prediction_errors

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "examples" / "levels.csv"
PLAN: Final = Regimen.from_text(dose="30 mg/m2", days="4")
AT_H: Final = (1.0, 2.0, 7.0, 23.5, 73.0, 74.0, 79.0, 96.0)
TRUE, OTHER = "langenhorst2019", "langenhorst2019_indexed"
BOTH: Final = (TRUE, OTHER)


def subject_of(
    i: int,
    rng: np.random.Generator,
    *,
    model: str = TRUE,
    at_h: Sequence[float] = AT_H,
    lloq: float = math.nan,
    regimen: Regimen = PLAN,
) -> Subject:
    """A child drawn from a model, with levels drawn from it too."""
    chosen = load_model(model)
    patient = Patient(
        age_years=8,
        weight_kg=float(np.exp(rng.normal(np.log(25.0), 0.4))),
        height_cm=125,
        egfr_ml_min_1_73m2=float(rng.uniform(70.0, 130.0)),
        confirm=["weight"],
    )
    course = regimen.course(patient)
    prediction = predict(chosen, patient, regimen, course)
    doses, program = len(course.doses_mg), chosen.program
    normals = rng.standard_normal((1, program.n_eta + doses * program.n_kappa))
    effects = RandomEffects.from_normals(program, normals, doses)
    times = np.array(at_h)
    conc, _ = course_concentrations(program, prediction.tv, effects, *prediction.arrays, times)
    level = with_residual_error(chosen.program, conc, rng.standard_normal(conc.shape))[0]
    levels = Levels(
        times_h=times,
        conc_mg_l=np.where(level < lloq, np.nan, level),
        lloq_mg_l=np.full(times.shape, lloq),
    )
    return Subject(f"P{i}", i + 2, Request(patient=patient, regimen=regimen), levels, 0)


@cache
def children(n: int, seed: int = 3, lloq: float = 0.01, model: str = TRUE) -> Data:
    rng = np.random.default_rng(seed)
    return Data([subject_of(i, rng, lloq=lloq, model=model) for i in range(n)], [], "")


@cache
def judged() -> Evaluation:
    return evaluation_of(children(60), models=BOTH, simulations=500)


def scores_of(result: Evaluation, model: str) -> Scores:
    (scores,) = [scores for scores in result.scores if scores.model.id == model]
    return scores


# --- what is predicted ----------------------------------------------------------------------------


def test_levels_from_covariates_are_those_of_the_slow_twin() -> None:
    result = judged()
    twin = reference.load(ROOT / "models" / f"{TRUE}.toml")
    subject = result.subjects[0]
    patient = subject.request.patient
    covariates = reference.covariates_of(
        twin,
        {
            "AGE": patient.age_years,
            "WT": patient.weight_kg,
            "HT": patient.height_cm,
            "eGFR": patient.egfr_ml_min_1_73m2,
        },
    )
    course = subject.request.case().course
    infusions = [
        (start, length, mg * twin["dose"]["factor"])
        for start, length, mg in zip(
            course.times_h, course.infusion_h, course.doses_mg, strict=True
        )
    ]
    expected, _ = reference.solve(reference.typical(twin, covariates), infusions, AT_H)
    true = scores_of(result, TRUE)
    np.testing.assert_allclose(true.predicted["covariates"][: len(AT_H)], expected, rtol=1e-7)


@pytest.mark.parametrize("model", BOTH)
def test_estimates_of_many_are_those_of_each_alone(model: str) -> None:
    rng = np.random.default_rng(11)
    longer = Regimen.from_text(dose="25 mg/m2", days="5")
    subjects = [
        subject_of(0, rng, lloq=0.02),
        subject_of(1, rng, at_h=(2.0, 30.0), regimen=longer),
        subject_of(2, rng, at_h=(1.0, 150.0)),
    ]
    together = evaluation_of(Data(subjects, [], ""), models=[model], simulations=100)
    chosen = load_model(model)
    predicted = np.split(together.scores[0].predicted["own_levels"], [8, 10])
    for i, subject in enumerate(subjects):
        case = subject.request.case()
        prediction = predict(chosen, *case)
        alone = map_estimate(chosen.program, prediction.tv, *prediction.arrays, subject.levels)
        np.testing.assert_allclose(predicted[i], alone.predicted_mg_l[0], rtol=1e-6)
        np.testing.assert_allclose(
            together.scores[0].log_likelihoods[i], alone.log_marginal_likelihood[0], atol=1e-6
        )
        auc = prediction.exposure(alone.effects).auc_0_inf[0]
        assert together.scores[0].auc_levels[i] == pytest.approx(auc, rel=1e-6)


def test_later_levels_are_predicted_from_earlier_ones_alone() -> None:
    result = judged()
    true = scores_of(result, TRUE)
    chosen, subject = true.model, result.subjects[4]
    prediction = predict(chosen, *subject.request.case())
    is_early = subject.times_h < 24.0
    early = Levels(
        times_h=subject.times_h[is_early],
        conc_mg_l=subject.conc_mg_l[is_early],
        lloq_mg_l=np.full(int(is_early.sum()), 0.01),
    )
    alone = map_estimate(chosen.program, prediction.tv, *prediction.arrays, early)
    later, _ = course_concentrations(
        chosen.program, prediction.tv, alone.effects, *prediction.arrays, subject.times_h[4:]
    )
    here = true.predicted["later_from_earlier"][result.patient == 4]
    assert np.isnan(here[:4]).all()
    np.testing.assert_allclose(here[4:], later[0], rtol=1e-6)
    without = true.predicted["later_from_covariates"][result.patient == 4]
    np.testing.assert_array_equal(np.isnan(without), np.isnan(here))


def test_a_changed_later_level_does_not_change_its_own_forecast() -> None:
    subject = children(2).subjects[0]
    conc = subject.levels.conc_mg_l[0].copy()
    conc[6] *= 1.5
    levels = Levels(times_h=subject.times_h, conc_mg_l=conc, lloq_mg_l=np.full(len(conc), 0.01))
    changed = Subject(subject.id, subject.row, subject.request, levels, 0)
    before, after = (
        evaluation_of(Data([s], [], ""), models=[TRUE], simulations=100).scores[0].predicted
        for s in (subject, changed)
    )
    np.testing.assert_array_equal(before["later_from_earlier"], after["later_from_earlier"])
    assert not np.allclose(before["own_levels"], after["own_levels"])


# --- errors ---------------------------------------------------------------------------------------


def test_errors_are_means_over_levels_above_the_limit() -> None:
    measured = np.array([1.0, 2.0, math.nan, 0.5, 4.0])
    predicted = np.array([1.2, 1.0, 3.0, math.nan, 4.4])
    errors = prediction_errors("covariates", predicted, measured, np.array([0, 0, 1, 1, 2]))
    assert errors is not None
    relative = [20.0, -50.0, 10.0]
    assert (errors.levels, errors.patients) == (3, 2)
    assert errors.mpe == pytest.approx(np.mean(relative))
    assert errors.rmse == pytest.approx(np.sqrt(np.mean(np.square(relative))))
    assert errors.within_30 == pytest.approx(200.0 / 3.0)


def test_without_levels_there_are_no_errors() -> None:
    nothing = np.array([math.nan])
    assert prediction_errors("own_levels", np.ones(1), nothing, np.zeros(1, dtype=np.int64)) is None


def test_one_patient_has_no_interval() -> None:
    errors = prediction_errors("covariates", np.ones(2), np.ones(2), np.zeros(2, dtype=np.int64))
    assert errors is not None
    assert (errors.mpe_ci95, errors.rmse_ci95, errors.within_30_ci95) == (None, None, None)


def test_the_interval_of_the_bias_covers_it_and_counts_patients_not_levels() -> None:
    """Levels of one patient share their error, so repeating each adds nothing."""
    rng = np.random.default_rng(5)
    covered, trials = 0, 200
    for _ in range(trials):
        error = np.repeat(rng.normal(0.0, 0.2, 40), 5)
        errors = prediction_errors(
            "covariates", 1.0 + error, np.ones(200), np.repeat(np.arange(40), 5)
        )
        assert errors is not None
        assert errors.mpe_ci95 is not None
        low, high = errors.mpe_ci95
        covered += low <= 0.0 <= high
    assert 0.89 <= covered / trials <= 0.99


# --- NPDE -----------------------------------------------------------------------------------------


def test_npde_agree_with_a_loop() -> None:
    rng = np.random.default_rng(2)
    simulated = rng.multivariate_normal([1.0, 2.0], [[1.0, 0.8], [0.8, 2.0]], 800)
    level = np.array([0.3, 3.1])
    scores = npde(level, simulated, np.full(2, math.nan), rng)
    covariance = np.cov(simulated.T)
    first = (simulated[:, 0] - simulated[:, 0].mean()) / math.sqrt(covariance[0, 0])
    slope = covariance[0, 1] / covariance[0, 0]
    rest = (
        simulated[:, 1]
        - simulated[:, 1].mean()
        - slope * (simulated[:, 0] - simulated[:, 0].mean())
    )
    at = level - simulated.mean(axis=0)
    inverse = NormalDist().inv_cdf
    expected = [
        inverse(np.mean(first < at[0] / math.sqrt(covariance[0, 0])) + 0.5 / 800),
        inverse(np.mean(rest < at[1] - slope * at[0]) + 0.5 / 800),
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-9)


@pytest.mark.parametrize("lloq", [math.nan, 0.03])
def test_npde_of_levels_from_the_model_are_standard_normal(lloq: float) -> None:
    result = evaluation_of(children(150, lloq=lloq), models=[TRUE], simulations=500)
    (model,) = result.record.models
    assert model.npde is not None
    n = model.npde.n
    assert n == 150 * len(AT_H)
    assert abs(model.npde.mean) < 4.0 / math.sqrt(n)
    assert abs(model.npde.variance - 1.0) < 6.0 * math.sqrt(2.0 / n)
    if not math.isnan(lloq):
        assert result.record.levels_below_limit > 100


def test_npde_find_a_wrong_model() -> None:
    wrong = evaluation_of(children(150), models=[OTHER], simulations=500).record.models[0].npde
    assert wrong is not None
    assert wrong.p_global < 1e-6


def test_tests_of_npde_are_those_of_scipy() -> None:
    result = judged()
    for score, model in zip(result.scores, result.record.models, strict=True):
        assert model.npde is not None
        assert model.npde.p_mean == pytest.approx(stats.ttest_1samp(score.npde, 0.0).pvalue)
        assert model.npde.p_normal == pytest.approx(stats.shapiro(score.npde).pvalue)


# --- the visual predictive check ------------------------------------------------------------------


def test_correction_by_hand() -> None:
    bins, corrected = prediction_corrected(
        after_h=np.full(10, 2.0),
        measured=np.arange(1.0, 11.0),
        lloq=np.full(10, math.nan),
        typical=np.repeat([1.0, 2.0], 5),
        simulated=np.tile(np.arange(1.0, 11.0), (200, 1)),
    )
    expected = np.arange(1.0, 11.0) * np.repeat([1.5, 0.75], 5)
    np.testing.assert_allclose(corrected, expected)
    (record,) = bins
    assert record.observed == pytest.approx(tuple(np.quantile(expected, [0.1, 0.5, 0.9])))
    assert record.observed == record.expected == record.low == record.high


def test_a_quantile_below_the_limit_is_not_shown() -> None:
    measured = np.array([math.nan] * 3 + [0.5] * 7)
    (record,), corrected = prediction_corrected(
        after_h=np.full(10, 24.0),
        measured=measured,
        lloq=np.full(10, 0.1),
        typical=np.ones(10),
        simulated=np.full((100, 10), 0.05),
    )
    assert record.observed == (None, 0.5, 0.5)
    assert record.high == (None, None, None)
    assert np.isnan(corrected[:3]).all()


def _inside(model_id: str, data: Data) -> float:
    bins = evaluation_of(data, models=[model_id], simulations=500).record.models[0].vpc
    hits = [
        (record.low[k] or 0.0) <= (record.observed[k] or 0.0) <= (record.high[k] or 0.0)
        for record in bins
        for k in range(3)
    ]
    return float(np.mean(hits))


def test_the_check_accepts_the_model_that_made_the_levels_and_not_the_other() -> None:
    assert _inside(TRUE, children(150)) > 0.8
    assert _inside(OTHER, children(150)) < 0.6


def test_bins_are_the_best_cut() -> None:
    rng = np.random.default_rng(8)
    hours = np.sort(rng.choice(np.array([0.7, 1.0, 2.0, 2.2, 6.0, 9.0, 23.0, 25.0]), 80))
    bins = _bins(hours)
    x = np.round(np.log1p(hours), 2)
    k = int(np.max(bins)) + 1

    def spread(ends: Iterable[int]) -> float:
        parts = np.split(x, list(ends))
        return float(sum(np.sum((part - part.mean()) ** 2) for part in parts if part.size))

    places = (np.flatnonzero(np.diff(x)) + 1).tolist()
    best = min(spread(ends) for ends in combinations(places, k - 1))
    assert spread((np.flatnonzero(np.diff(bins)) + 1).tolist()) == pytest.approx(best, abs=1e-9)


def test_planned_times_are_a_bin_each() -> None:
    hours = np.repeat([1.0, 2.0, 7.0, 24.0, 48.0], 20)
    np.testing.assert_array_equal(_bins(hours), np.repeat(np.arange(5), 20))


# --- which model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", BOTH)
def test_the_model_that_made_the_levels_fits_best(truth: str) -> None:
    result = evaluation_of(children(60, model=truth), models=BOTH, simulations=100).record
    assert result.best == truth
    assert result.models[1].behind > 2 * result.models[1].behind_se > 0
    assert result.models[0].weight_all > 0.99


def test_weights_of_models_sum_to_one_and_follow_the_likelihood() -> None:
    result = judged()
    np.testing.assert_allclose(result.weights.sum(axis=1), 1.0)
    ratio = np.exp(result.scores[0].log_likelihoods - result.scores[1].log_likelihoods)
    np.testing.assert_allclose(result.weights[:, 0] / result.weights[:, 1], ratio)
    assert sum(model.weight_all for model in result.record.models) == pytest.approx(1.0)


def test_likelihoods_agree_with_importance_sampling() -> None:
    result = judged()
    true = scores_of(result, TRUE)
    for i, subject in enumerate(result.subjects[:4]):
        prediction = predict(true.model, *subject.request.case())
        estimate = map_estimate(
            true.model.program, prediction.tv, *prediction.arrays,
            subject.levels,
        )  # fmt: skip
        sampled = sample_posterior(estimate, seed=1)
        assert true.log_likelihoods[i] == pytest.approx(sampled.log_marginal_likelihood, abs=0.5)


def test_averaged_predictions_lie_between_those_of_the_models() -> None:
    result = judged()
    for basis, mean in result.averaged.items():
        by_model = np.column_stack([scores.predicted[basis] for scores in result.scores])
        is_given = np.isfinite(mean)
        np.testing.assert_array_equal(is_given, np.isfinite(by_model).all(axis=1))
        assert np.all(by_model.min(axis=1)[is_given] <= mean[is_given] * (1 + 1e-12))
        assert np.all(mean[is_given] <= by_model.max(axis=1)[is_given] * (1 + 1e-12))


def test_own_and_earlier_levels_help() -> None:
    errors = {record.basis: record for record in judged().record.models[0].errors}
    assert errors["own_levels"].rmse < errors["covariates"].rmse
    assert errors["later_from_earlier"].within_30 > errors["later_from_covariates"].within_30


def test_the_same_data_give_the_same_bytes() -> None:
    first, again = (
        evaluation_of(children(5), models=[TRUE], simulations=100).record.to_json()
        for _ in range(2)
    )
    assert first == again


def test_scores_do_not_depend_on_the_other_models_compared() -> None:
    alone = evaluation_of(children(5), models=[TRUE], simulations=100).scores[0]
    compared = scores_of(evaluation_of(children(5), models=BOTH, simulations=100), TRUE)
    np.testing.assert_array_equal(alone.npde, compared.npde)
    np.testing.assert_array_equal(alone.log_likelihoods, compared.log_likelihoods)


# --- patients and models that do not go together --------------------------------------------------


def test_models_that_lack_covariates_are_left_out_and_named() -> None:
    result = evaluation_of(children(3), simulations=100).record
    assert {model.model for model in result.models} == set(BOTH)
    reasons = {model.model: model.reason for model in result.left_out}
    assert "genotype" in reasons["mohanan2017"]
    assert "product" in reasons["varela2025"]


def test_a_chosen_model_that_can_predict_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="varela2025 needs"):
        evaluation_of(children(2), models=["varela2025"], simulations=100)


def test_a_slip_of_the_unit_refuses_that_patient_only() -> None:
    data = children(3)
    before, subject, after = data.subjects
    slip = Levels(times_h=subject.times_h, conc_mg_l=subject.conc_mg_l * 1e4, lloq_mg_l=math.nan)
    subjects = [before, Subject("slip", 99, subject.request, slip, 0), after]
    result = evaluation_of(Data(subjects, [], ""), models=BOTH, simulations=100)
    assert result.record.patients == 2
    (refused,) = result.record.refused
    assert (refused.id, refused.row) == ("slip", 99)
    assert "ng/mL" in refused.error
    kept = evaluation_of(Data([before, after], [], ""), models=BOTH, simulations=100)
    assert kept.record.models[0].log_likelihood == result.record.models[0].log_likelihood


def test_few_simulations_are_refused() -> None:
    with pytest.raises(InputError, match="at least 100"):
        evaluation_of(children(2), simulations=50)


# --- reading --------------------------------------------------------------------------------------

HEAD: Final = ["ID", "TIME", "AMT", "RATE", "EVID", "MDV", "DV", "AGE", "WT", "HT", "EGFR"]
DOSE: Final = ["1", "10", "24", "48", "1", "1", ".", "6", "20", "118", "110"]


def record(time: str, dv: str, *extra: str, name: str = "1", mdv: str = "0") -> list[str]:
    return [name, time, "0", "0", "0", mdv, dv, "6", "20", "118", "110", *extra]


def read(
    *rows: list[str],
    extra: Sequence[str] = (),
    unit: str | None = "mg/L",
    lloq: str | None = None,
) -> Data:
    layout = Layout.read([*HEAD, *extra])
    padded = [[*row, *["."] * (len(layout.header) - len(row))] for row in rows]
    return read_subjects(layout, padded, unit=unit, lloq=lloq, amount="phosphate")


def test_times_count_from_the_first_dose() -> None:
    (subject,) = read(DOSE, record("12", "0.5"), record("17", "0.1")).subjects
    np.testing.assert_array_equal(subject.times_h, [2.0, 7.0])
    np.testing.assert_array_equal(subject.conc_mg_l, [0.5, 0.1])
    np.testing.assert_array_equal(subject.after_dose_h, [2.0, 7.0])


@pytest.mark.parametrize(("unit", "typed"), [("mg/L", "0.5"), ("ng/mL", "500"), ("ug/L", "500")])
def test_levels_of_every_unit_are_the_same(unit: str, typed: str) -> None:
    (subject,) = read(DOSE, record("12", typed), unit=unit).subjects
    assert subject.conc_mg_l[0] == pytest.approx(0.5)


def test_a_column_that_says_its_unit_needs_no_option() -> None:
    layout = Layout.read(["conc_ng_ml" if name == "DV" else name for name in HEAD])
    (subject,) = read_subjects(layout, [DOSE, record("12", "500")], amount="phosphate").subjects
    assert subject.conc_mg_l[0] == pytest.approx(0.5)
    with pytest.raises(InputError, match="says its unit"):
        read_subjects(layout, [DOSE], amount="phosphate", unit="mg/L")


def test_dv_without_a_unit_is_refused() -> None:
    with pytest.raises(InputError, match=r"DV has no unit: say dv_unit"):
        read(DOSE, record("12", "0.5"), unit=None)


def test_a_file_without_levels_is_refused() -> None:
    with pytest.raises(InputError, match="levels are in one column"):
        read_subjects(Layout.read([name for name in HEAD if name != "DV"]), [DOSE])


@pytest.mark.parametrize(
    ("flags", "cells", "lloq", "limit"),
    [
        (("BLQ", "LLOQ"), ("1", "0.02"), None, 0.02),
        (("BLQ",), ("1",), "20 ng/mL", 0.02),
        (("CENS",), ("1",), None, 0.5),
        (("CENS", "LLOQ"), ("1", "0.02"), None, 0.02),
    ],
)
def test_a_level_below_the_limit_keeps_its_limit(
    flags: tuple[str, ...], cells: tuple[str, ...], lloq: str | None, limit: float
) -> None:
    (subject,) = read(DOSE, record("12", f"{limit}", *cells), extra=flags, lloq=lloq).subjects
    assert np.isnan(subject.conc_mg_l[0])
    assert np.asarray(subject.levels.lloq_mg_l)[0, 0] == pytest.approx(limit)


def test_records_below_the_limit_before_the_first_dose_are_counted() -> None:
    before = record("9", "0"), record("10", ".", "1", "0.02")
    (subject,) = read(
        before[0], DOSE, before[1], record("12", "0.5"), extra=("BLQ", "LLOQ")
    ).subjects
    assert subject.before_first_dose == 2
    assert len(subject.times_h) == 1


def test_mdv_marks_a_record_without_level() -> None:
    (subject,) = read(DOSE, record("12", "0.5"), record("13", ".", mdv="1")).subjects
    assert len(subject.times_h) == 1


@pytest.mark.parametrize(
    ("row", "extra", "message"),
    [
        (record("12", "0"), (), r"level at TIME 12: DV = 0: BLQ 1 marks a level below the limit"),
        (record("12", "-0.1"), (), r"DV = -0.1"),
        (record("12", "."), (), r"DV is missing: MDV 1 marks a record without level"),
        (record("10", "0.4"), (), r"level at TIME 10: 0.4 before any drug was given"),
        (record("9", "0.4"), (), r"TIME goes backwards within an ID"),
        (record("12", ".", "1"), ("BLQ",), r"below which limit\? Add a column LLOQ, or give lloq"),
        (record("12", ".", "2"), ("BLQ",), r"BLQ or CENS is 1"),
        (record("12", "0.5", "1", "0.02"), ("BLQ", "LLOQ"), r"but marked as below"),
        (record("12", "high"), (), r"DV = 'high'"),
        (record("12", "0.01", "0", "0.02"), ("BLQ", "LLOQ"), r"0.01 mg/L is below its limit"),
        (record("12", ".", mdv="1"), (), r"no level after the first dose"),
    ],
)
def test_an_impossible_level_is_named(row: list[str], extra: tuple[str, ...], message: str) -> None:
    data = read(DOSE, row, extra=extra)
    assert data.subjects == []
    (refused,) = data.refused
    assert (refused.id, refused.row) == ("1", 2)
    assert re.search(message, refused.error)


def test_ids_that_come_again_and_courses_without_doses_keep_their_place() -> None:
    def other(name: str, *rows: list[str]) -> list[list[str]]:
        return [[name, *row[1:]] for row in rows]

    level = record("12", "0.5")
    data = read(
        *other("a", DOSE, level), *other("b", level), *other("c", DOSE, level), *other("a", DOSE)
    )
    assert [subject.id for subject in data.subjects] == ["c"]
    assert [(course.id, course.row) for course in data.refused] == [("a", 2), ("b", 4), ("a", 7)]
    assert "comes again" in data.refused[0].error
    assert "comes again" in data.refused[2].error


def test_doses_as_given_may_be_less_than_a_day_apart() -> None:
    second = [*DOSE[:1], "32.5", "25", "50", *DOSE[4:]]
    first = [*DOSE[:2], "25", "50", *DOSE[4:]]
    (subject,) = read(first, record("12", "0.5"), second).subjects
    assert subject.request.case().course.times_h == (0.0, 22.5)
    at_once = [*DOSE[:1], "20", "25", "50", *DOSE[4:]]
    (subject,) = read(first, record("12", "0.5"), at_once).subjects
    patient, _, course = subject.request.case()
    assert "given above a ceiling" in course.given_above_ceilings(patient.bsa_m2)


# --- the command ----------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


OPTIONS: Final = ("--dv", "mg/L", "--amt", "phosphate", "--simulations", "100")


def test_the_example_names_its_truth_and_writes_everything(tmp_path: Path) -> None:
    result = run(EXAMPLE, *OPTIONS, "-o", tmp_path / "out")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[2].startswith(f"Best fit: {TRUE}, ")
    assert max(map(len, lines)) <= 100
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    figures = [f"figures/{name}.{end}" for name in ("npde", "predicted", "vpc")
               for end in ("png", "svg")]  # fmt: skip
    assert written == [
        "errors.csv", "evaluation.json", *figures, "levels.csv", "patients.csv", "report.html",
    ]  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#)', page)
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert record["schema"] == "fludapk.evaluation/1"
    assert len(record["provenance"]["data_sha256"]) == 64


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(EXAMPLE, *OPTIONS, "-o", tmp_path / name)
    files = list((tmp_path / "a").rglob("*.*"))
    assert len(files) == 11
    for path in files:
        again = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == again.read_bytes()


def test_json_is_what_the_folder_has(tmp_path: Path) -> None:
    result = run(EXAMPLE, *OPTIONS, "-o", tmp_path, "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "evaluation.json").read_text())


def test_a_refused_course_is_named_and_the_others_are_judged(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8").splitlines()
    bad = tmp_path / "bad.csv"
    cells = text[2].split(",")
    text[2] = ",".join([*cells[:6], "-1", *cells[7:]])
    bad.write_text("\n".join(text), encoding="utf-8")
    result = run(bad, *OPTIONS, "-o", tmp_path / "out")
    assert result.exit_code == 3
    assert "39 patients" in result.stdout
    assert f"row 2 (ID 1) REFUSED: level at TIME {cells[1]}: DV = -1" in result.stdout
    rows = (tmp_path / "out" / "patients.csv").read_text("utf-8").splitlines()
    assert len(rows) == 41
    assert rows[1].startswith("1,2,")
    assert "DV = -1" in rows[1]


def test_semicolons_and_decimal_commas_are_read(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    text = EXAMPLE.read_text("utf-8").replace(",", ";").replace(".", ",").replace(";,;", ";.;")
    other.write_text(text, encoding="utf-8")
    first, second = (json.loads(run(path, *OPTIONS, "--json").stdout) for path in (EXAMPLE, other))
    assert first["models"] == second["models"]


def test_bad_questions_are_refused() -> None:
    for arguments, message in (
        ((EXAMPLE, "--amt", "phosphate"), "DV has no unit"),
        ((EXAMPLE, *OPTIONS, "--dv", "mg/dL"), "mg/dL"),
        ((EXAMPLE, *OPTIONS, "--model", "nobody2020"), "nobody2020"),
        ((ROOT / "examples" / "clinic.csv", "--dv", "mg/L"), "NONMEM-style records"),
    ):
        result = run(*arguments)
        assert result.exit_code == 3, arguments
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_tables_hold_every_level_and_patient() -> None:
    result = judged()
    levels = level_rows(result)
    assert len(levels) == 2 * 60 * len(AT_H)
    assert {row["ID"] for row in levels} == {f"P{i}" for i in range(60)}
    patients = patient_rows(result)
    assert [row["ID"] for row in patients] == [f"P{i}" for i in range(60)]
    for row in patients:
        assert row[f"{TRUE}_weight"] + row[f"{OTHER}_weight"] == pytest.approx(1.0)  # type: ignore[operator]
    errors = error_rows(result.record)
    assert len(errors) == 3 * 4
    assert {row["model"] for row in errors} == {*BOTH, "averaged"}


def test_a_whole_file_in_another_unit_is_refused_in_few_lines() -> None:
    result = run(EXAMPLE, "--dv", "ng/mL", "--amt", "phosphate")
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert len(lines) < 10
    assert "row 2, ID 1: langenhorst2019: level at 1.08 h" in lines[0]
    assert "check the unit, is it mg/L?" in lines[0]
    assert "and 37 more courses like these" in lines[3]
