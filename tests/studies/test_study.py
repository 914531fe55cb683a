"""Studies: draws, counts, and results that depend on nothing but the seed."""

import copy
import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import fludapk
from fludapk.answers.check import check
from fludapk.cli import main
from fludapk.errors import FileError, InputError
from fludapk.pages.study import write_results
from fludapk.patients.course import most_mg
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.exposure import course_concentrations, course_exposure, rates
from fludapk.published.covariates import renal_function
from fludapk.published.models import load_model
from fludapk.published.regimens import label_rules, label_step
from fludapk.published.tables import check_table
from fludapk.studies.counts import Counts
from fludapk.studies.dosing import Doses
from fludapk.studies.grid import CELLS, GRID_WIDTH, cells, quantile
from fludapk.studies.outputs import PARTS, PATIENT_COLUMNS, Parts
from fludapk.studies.scenario import Scenario
from fludapk.studies.shards import Shard, merge, run_shard
from fludapk.studies.simulate import StudyResult, read_scenario, simulate
from fludapk.studies.study import BLOCK, Study
from fludapk.studies.summary import summary, wilson

CHILDREN: Final[dict[str, Any]] = {
    "title": "children",
    "seed": 7,
    "patients": 9000,
    "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
}
ADULTS: Final[dict[str, Any]] = {
    **CHILDREN,
    "title": "adults",
    "models": ["varela2025"],
    "population": {"use": "lbcl_adults"},
    "strategies": [{"id": "label", "kind": "fixed", "regimen": "axi_cel"}],
}


def scenario(base: dict[str, Any] = CHILDREN, **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(base), **changes}


def studied(base: dict[str, Any] = CHILDREN, **changes: Any) -> Study:
    return read_scenario(scenario(base, **changes))


def first(study: Study, **options: Any) -> Counts:
    """Counts of the first strategy under the first truth."""
    return study.run(study.truths[0], study.scenario.strategies[0].id, **options)


def state(counts: Counts) -> str:
    return json.dumps(counts.to_dict())


def one_patient(folder: Path, **columns: str) -> Path:
    cells = {"age_years": "40", "weight_kg": "70", "height_cm": "175", "sex": "male",
             "crcl_ml_min": "96", "product": "axi_cel", **columns}  # fmt: skip
    path = folder / "cohort.csv"
    path.write_text(",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    return path


# --- Nothing but the seed changes a number --------------------------------------------------------


def test_threads_do_not_change_a_bit() -> None:
    study = studied()
    assert state(first(study, threads=1)) == state(first(study, threads=2))


def test_shards_in_any_order_are_the_whole_run(tmp_path: Path) -> None:
    study = studied()
    whole = first(study)
    paths = []
    for k in (3, 1, 2):
        paths.append(tmp_path / f"shard-{k}.json")
        paths[-1].write_text(run_shard(study.scenario, (k, 3)).to_json())
    merged = merge([Shard.read(path) for path in paths])
    assert [state(counts) for counts in merged.counts] == [state(whole)]
    assert merged.run == study.provenance


def test_shards_that_do_not_belong_together_are_refused() -> None:
    scenario = studied(patients=5000).scenario
    first_half, second_half = (run_shard(scenario, (k, 2)) for k in (1, 2))
    other_seed = run_shard(scenario.model_copy(update={"seed": 8}), (2, 2))
    for shards, message in (
        ([first_half], "missing shards: 2"),
        ([first_half, second_half, second_half], "shards twice: 2"),
        ([first_half, other_seed], "different scenarios"),
        ([], "no shards"),
    ):
        with pytest.raises(InputError, match=message):
            merge(shards)


def test_writing_every_patient_does_not_change_the_summary(tmp_path: Path) -> None:
    plain = simulate(CHILDREN)
    for name in ("all.csv", "all.parquet"):
        with_patients = simulate(CHILDREN, patients_file=tmp_path / name)
        assert with_patients.summary_csv() == plain.summary_csv()
    rows = (tmp_path / "all.csv").read_text().splitlines()
    assert len(rows) == 1 + 9000
    assert rows[0] == ",".join([*PATIENT_COLUMNS, *(f"dose_{k}_mg" for k in range(1, 5))])


def test_the_patients_that_are_written_give_the_summary(tmp_path: Path) -> None:
    import pandas as pd

    result = simulate(CHILDREN, patients_file=tmp_path / "all.parquet")
    table = pd.read_parquet(tmp_path / "all.parquet")
    row = result.rows()[0]
    assert row["p_below_13_8"] == np.mean(table["auc_0_inf"] < 13.8)
    assert row["p_above_20"] == np.mean(table["auc_0_inf"] > 20)
    for name, q in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        exact = np.quantile(table["auc_0_inf"], q, method="inverted_cdf")
        assert row[f"auc_{name}"] == pytest.approx(exact, rel=GRID_WIDTH / 2 * 1.001)
    logs = np.log(table["auc_0_inf"])
    assert row["auc_geometric_mean"] == pytest.approx(np.exp(logs.mean()), rel=1e-8)
    cv = 100 * math.sqrt(math.expm1(np.var(logs)))
    assert row["auc_cv_percent"] == pytest.approx(cv, rel=1e-6)


def test_another_seed_is_another_study() -> None:
    assert state(first(studied())) != state(first(studied(seed=8)))


def test_every_strategy_sees_the_same_patients_and_draws() -> None:
    label = CHILDREN["strategies"][0]
    twins = [
        label,
        {**label, "id": "again"},
        {"id": "bare", "kind": "fixed", "dose": "30 mg/m2", "days": 4, "cells_at_h": 120.0},
    ]
    result = simulate(scenario(strategies=twins))
    counts = [by_strategy.to_dict() for by_strategy in result.counts]
    for other in counts[1:]:
        assert {**other, "strategy": "label"} == counts[0]


def test_a_longer_course_adds_to_the_draws_of_a_shorter_one() -> None:
    study = studied(strategies=[
        {"id": "two", "kind": "fixed", "dose": "30 mg/m2", "days": 2},
        {"id": "five", "kind": "fixed", "dose": "30 mg/m2", "days": 5},
    ])  # fmt: skip
    truth = study.truths[0]
    short, long = (study.block(truth, study.dosing[truth.id, name], 0) for name in ("two", "five"))
    assert_array_equal(short.effects.eta, long.effects.eta)
    assert_array_equal(short.effects.kappa, long.effects.kappa[:, :2])


def test_a_replay_and_a_continued_run_give_the_same_bytes(tmp_path: Path) -> None:
    study = studied(patients=3000)
    result = StudyResult(run=study.provenance, counts=[first(study)])
    write_results(result, tmp_path / "one", study)
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    again = read_scenario(record["scenario"])
    parts = Parts(tmp_path / "two", again)
    parts.save(first(again))
    kept = parts.load("langenhorst2019", "label")
    assert kept is not None
    write_results(StudyResult(run=again.provenance, counts=[kept]), tmp_path / "two", again)
    parts.clear()
    for file in (tmp_path / "one").rglob("*"):
        if file.is_file():
            twin = tmp_path / "two" / file.relative_to(tmp_path / "one")
            assert twin.read_bytes() == file.read_bytes(), file.name
    assert not (tmp_path / "two" / PARTS).exists()


def test_parts_of_another_scenario_are_not_kept(tmp_path: Path) -> None:
    study = studied(patients=1000)
    Parts(tmp_path, study).save(first(study))
    with pytest.raises(InputError, match="another scenario"):
        Parts(tmp_path, studied(patients=1000, seed=9)).load("langenhorst2019", "label")


def test_a_cluster_of_two_processes_gives_the_same_bytes() -> None:
    distributed = pytest.importorskip("distributed")
    from fludapk.studies.shards import on_cluster

    study = studied(patients=9000)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        result = on_cluster(study, cluster.scheduler_address)
    here = StudyResult(run=study.provenance, counts=[first(study)])
    assert result.summary_csv() == here.summary_csv()


# --- What is drawn --------------------------------------------------------------------------------


def test_random_effects_have_the_variances_and_correlation_of_the_model() -> None:
    study = studied(ADULTS, patients=20_000)
    truth = study.truths[0]
    label = study.dosing[truth.id, "label"]
    eta = np.vstack([study.block(truth, label, b).effects.eta for b in range(4)])
    n = len(eta)
    omega = truth.program.root_omega @ truth.program.root_omega.T
    assert_allclose(np.var(eta, axis=0, ddof=1), np.diag(omega), rtol=4 * math.sqrt(2 / n))
    r = omega[0, 1] / math.sqrt(omega[0, 0] * omega[1, 1])
    correlation: Any = np.corrcoef(eta.T)
    assert correlation[0, 1] == pytest.approx(r, abs=4 * (1 - r * r) / math.sqrt(n))


def test_without_occasions_the_chance_is_that_of_the_log_normal(tmp_path: Path) -> None:
    one_patient(tmp_path)
    table = scenario(
        ADULTS, patients=40_000, population={"file": "cohort.csv", "sample": "resample"}
    )
    study = read_scenario(table, beside=tmp_path)
    row = summary(first(study))[0].row()
    man = Patient(
        age_years=40, sex="male", weight_kg=70, height_cm=175, crcl_ml_min=96, product="axi_cel"
    )
    typical = check(man, Regimen.named("axi_cel"), model="varela2025").exposure.auc_0_inf
    sd = float(study.truths[0].program.root_omega[0, 0])
    expected = stats.norm.cdf(math.log(13.8 / typical) / sd)
    error = math.sqrt(expected * (1 - expected) / 40_000)
    assert row["p_below_13_8"] == pytest.approx(expected, abs=4 * error)
    median = math.exp(stats.norm.ppf(0.5, math.log(typical), sd))
    assert row["auc_q50"] == pytest.approx(median, rel=0.01)


def test_wilson_intervals_cover_as_they_should(tmp_path: Path) -> None:
    one_patient(tmp_path)
    population = {"file": "cohort.csv", "sample": "resample"}
    truth = read_scenario(
        scenario(ADULTS, patients=200_000, population=population), beside=tmp_path
    )
    p = summary(first(truth))[0].row()["p_below_14"]
    covered = 0
    for seed in range(400):
        table = scenario(ADULTS, seed=seed, patients=150, population=population)
        row = summary(first(read_scenario(table, beside=tmp_path), threads=1))[0].row()
        covered += row["p_below_14_low"] <= p <= row["p_below_14_high"]
    assert 0.92 <= covered / 400 <= 0.98


def test_sobol_draws_err_less_than_pseudo_random_ones(tmp_path: Path) -> None:
    one_patient(tmp_path)
    population = {"file": "cohort.csv", "sample": "resample"}

    def error(draws: str, n: int) -> float:
        estimates = []
        for seed in range(8):
            table = scenario(ADULTS, seed=seed, patients=n, draws=draws, population=population)
            counts = first(read_scenario(table, beside=tmp_path), threads=1)
            estimates.append(summary(counts)[0].row()["p_below_14"])
        return float(np.std(estimates))

    assert error("sobol", 4096) < 0.5 * error("pseudo", 4096)
    assert error("sobol", 4096) < error("sobol", 256) / 6  # 1/sqrt(n) would give 4


def test_without_variability_everybody_is_typical(tmp_path: Path) -> None:
    one_patient(tmp_path)
    table = scenario(
        ADULTS, patients=100, population={"file": "cohort.csv", "sample": "resample"},
        variability={"iiv": False, "iov": False},
    )  # fmt: skip
    row = summary(first(read_scenario(table, beside=tmp_path)))[0].row()
    assert row["auc_q05"] == row["auc_q95"]
    assert row["auc_cv_percent"] < 1e-3


def test_an_error_of_renal_function_misleads_dosing_only() -> None:
    target = {"id": "t", "kind": "target", "auc": 15.0, "days": 4}
    plain, blurred = (
        studied(strategies=[target], variability={"gfr_error_cv": cv}) for cv in (0.0, 0.3)
    )
    truth = plain.truths[0]
    exact, inexact = (
        study.block(truth, study.dosing[truth.id, "t"], 0) for study in (plain, blurred)
    )
    assert_array_equal(exact.tv, inexact.tv)
    ratio = exact.observed.columns["SCR"] / inexact.observed.columns["SCR"]
    assert np.std(ratio) / np.mean(ratio) == pytest.approx(0.3, rel=0.06)
    rows = [summary(first(study))[0].row() for study in (plain, blurred)]
    assert rows[1]["auc_cv_percent"] > rows[0]["auc_cv_percent"] + 2


# --- Uncertain parameters -------------------------------------------------------------------------


def test_parameters_are_drawn_as_uncertain_as_printed() -> None:
    model = load_model()
    study = read_scenario(scenario(patients=500, variability={"parameter_uncertainty": 600}))
    theta, scale = model.uncertainty.draw(study.outer_normals[model.id])
    for name, estimate, values in zip(
        model.file.theta, model.file.theta.values(), theta, strict=False
    ):
        if estimate.fixed:
            assert np.ptp(values) == 0.0, name
        elif estimate.rse_percent is not None:
            sd = math.sqrt(math.log1p((estimate.rse_percent / 100) ** 2))
            assert np.std(np.log(values)) == pytest.approx(sd, rel=0.12)
            assert np.median(values) == pytest.approx(estimate.value, rel=4 * sd / math.sqrt(600))
    assert [bool(np.ptp(column) > 0) for column in scale.T] == [True, True, False, False]


def test_the_ends_of_an_interval_are_known_to_a_point() -> None:
    """Over seeds, with 256 draws; the patients and their effects are the same ones."""
    model = load_model()
    study = read_scenario(scenario(patients=1024, variability={"parameter_uncertainty": 2}))
    strategy = study.dosing[model.id, study.scenario.strategies[0].id]
    block = study.block(model, strategy, 0)
    ends = []
    for seed in range(8):
        normals = model.uncertainty.outer_normals(model.program, block.rows[:256], seed, 256)
        shares = [(draw.auc < 13.8).mean() for draw in study.draws_of(block, strategy, normals)]
        ends.append(np.quantile(shares, [0.025, 0.975]))
    assert (np.std(ends, axis=0, ddof=1) < 0.01).all()


def test_a_negative_correlation_of_the_two_numbers_of_clearance_narrows_an_interval() -> None:
    table = scenario(patients=3000, variability={"parameter_uncertainty": 64})
    result = simulate(table)
    (row,) = result.correlations
    assert (row.strategy, row.between) == (table["strategies"][0]["id"], ["CLnr", "slope"])
    wide, narrow = row.p_below_13_8, row.p_below_13_8_correlated
    assert None not in (wide.low, wide.high, narrow.low, narrow.high)
    assert wide.low < narrow.low < narrow.high < wide.high  # type: ignore[operator]
    assert "correlation" in result.to_dict()
    assert simulate(scenario(patients=300)).correlations == []


def test_concentrations_and_half_life_are_those_of_the_patients() -> None:
    table = scenario(patients=400, strata=[])
    study = read_scenario(table)
    truth, strategy = study.truths[0], study.dosing["langenhorst2019", "label"]
    (draw,) = study.simulated(truth, strategy, 0).draws
    block = study.block(truth, strategy, 0)
    times, lengths, _ = strategy.schedule.course_of(1.0).arrays(1.0)
    course = (block.program, block.tv, block.effects, times, lengths,
              draw.doses_mg * truth.file.dose.factor)  # fmt: skip
    at = np.array([times[-1], 120.0])
    conc, _ = course_concentrations(*course, at)
    own = block.tv * np.exp(block.effects.eta @ truth.program.load_eta.T)
    assert draw.cmax_mg_l == pytest.approx(course_exposure(*course).cmax, rel=1e-14)
    assert draw.trough_mg_l == pytest.approx(conc[:, 0], rel=1e-12)
    assert draw.conc_at_cells_mg_l == pytest.approx(conc[:, 1], rel=1e-12)
    assert draw.half_life_h == pytest.approx(np.log(2) / rates(own)[:, 0], rel=1e-8)
    row = simulate(table).rows()[0]
    assert row["conc_at_cells_mg_l_q50"] == pytest.approx(np.quantile(conc[:, 1], 0.5), rel=0.01)
    assert row["half_life_h_q50"] == pytest.approx(np.quantile(draw.half_life_h, 0.5), rel=0.01)


def test_a_course_without_a_day_of_the_cells_has_no_concentration_there() -> None:
    own = {"id": "one", "kind": "fixed", "dose": "30 mg/m2", "days": 1}
    with_cells = {**own, "id": "cells", "cells_at_h": 72.0}
    rows = simulate(scenario(patients=200, strata=[], strategies=[own, with_cells])).rows()
    assert [row["trough_mg_l_q50"] for row in rows] == [None, None]
    assert rows[0]["conc_at_cells_mg_l_q50"] is None
    assert 0.0 < rows[1]["conc_at_cells_mg_l_q50"] < rows[1]["cmax_mg_l_q50"]


def test_uncertainty_widens_the_interval_of_a_probability() -> None:
    table = scenario(patients=2000)
    plain = simulate(table).rows()[0]
    table["variability"] = {"parameter_uncertainty": 40}
    result = simulate(table)
    row = result.rows()[0]
    assert (plain["interval"], row["interval"]) == ("wilson", "outer draws")
    assert row["n"] == plain["n"] == 2000
    wide = row["p_below_13_8_high"] - row["p_below_13_8_low"]
    assert wide > 2 * (plain["p_below_13_8_high"] - plain["p_below_13_8_low"])
    assert row["p_below_13_8_low"] < plain["p_below_13_8"] < row["p_below_13_8_high"]
    no_error_printed = ["allometry_flow", "allometry_volume", "kappa_CL", "kappa_V"]
    assert result.run.certain == {"langenhorst2019": no_error_printed}


# --- What is counted ------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (50, 1000), (1, 100_000)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_quantiles_of_the_grid_are_as_exact_as_it_says() -> None:
    values = np.random.default_rng(3).lognormal(2.7, 0.4, 20_000)
    histogram = np.bincount(cells(values), minlength=CELLS + 2)
    for q in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999):
        exact = np.quantile(values, q, method="inverted_cdf")
        assert quantile(histogram, q) == pytest.approx(exact, rel=GRID_WIDTH / 2 * 1.001)


def test_strata_add_up_to_everybody() -> None:
    study = studied(strata=[{"by": "age_years", "edges": [0.0, 6.0, 12.0, 26.0]}, {"by": "sex"}])
    counts = first(study)
    assert study.strata == [
        "all", "age_years 0-<6", "age_years 6-<12", "age_years 12-<26",
        "sex = female", "sex = male",
    ]  # fmt: skip
    for strata in (slice(1, 4), slice(4, 6)):
        assert_array_equal(counts.counts[strata].sum(axis=0), counts.counts[0])
        assert_array_equal(counts.histograms[:, strata].sum(axis=1), counts.histograms[:, 0])


def test_profiles_hold_everybody_once() -> None:
    counts = first(studied())
    for along in ("age_years", "weight_kg"):
        assert counts.profiles[along][:, 0].sum() == counts.counts[0][0]


def test_the_frame_has_units_and_provenance() -> None:
    frame = fludapk.simulate(CHILDREN).summary
    assert frame.attrs["units"]["auc_q50"] == "mg·h/L"
    assert frame.attrs["units"]["dose_mg_q50"].startswith("mg fludarabine phosphate")
    assert frame.attrs["run"]["seed"] == 7


# --- Strategies, patient by patient ---------------------------------------------------------------


def slow_patients(study: Study, n: int) -> list[Patient]:
    """The first patients of a study, one object each."""
    columns = study.patients(0).columns
    return [
        Patient(
            age_years=columns["AGE"][i], sex="female" if columns["SEX"][i] else "male",
            weight_kg=columns["WT"][i], height_cm=columns["HT"][i], scr_mg_dl=columns["SCR"][i],
            confirmed=("age", "weight", "height", "scr"),
        )
        for i in range(n)
    ]  # fmt: skip


def doses_of(
    strategy: dict[str, Any], base: dict[str, Any] = CHILDREN, n: int = 40
) -> tuple[Study, Doses]:
    study = studied(base, patients=n, strategies=[{"id": "s", **strategy}])
    truth = study.truths[0]
    dosing = study.dosing[truth.id, "s"]
    return study, dosing.doses(study.block(truth, dosing, 0))


@pytest.mark.parametrize("dose", ["30 mg/m2", "1.1 mg/kg", "20 mg"])
@pytest.mark.parametrize("step", [None, 1.0])
def test_fixed_doses_are_those_of_the_regimen(dose: str, step: float | None) -> None:
    study, doses = doses_of({"kind": "fixed", "dose": dose, "days": 4, "round_to_mg": step})
    plan = Regimen.from_text(dose=dose, days=4)
    for patient, mg, held in zip(slow_patients(study, 40), doses.mg, doses.held, strict=True):
        planned = float(plan.dose_mg(patient.bsa_m2, patient.weight_kg))
        most = most_mg(patient.bsa_m2, plan.times_h)[0]
        if planned > most:
            assert held
            assert mg[0] <= most
        elif step is None:
            assert_allclose(mg, planned, rtol=1e-12)
        else:
            assert mg[0] == math.floor(planned + 0.5) or held


def test_a_target_dose_gives_the_typical_patient_the_target() -> None:
    study, doses = doses_of({"kind": "target", "auc": 15.0, "days": 4}, n=15)
    for patient, mg, held in zip(slow_patients(study, 15), doses.mg, doses.held, strict=True):
        plan = Regimen(dose=float(mg[0]), unit="mg", days=4)
        auc = check(patient, plan).exposure.auc_0_inf
        assert auc == pytest.approx(15.0, rel=1e-9) or (held and auc < 15.0)


def test_the_renal_rule_of_a_label_is_for_adults() -> None:
    rule = label_rules()[0]
    adults = {**ADULTS, "models": ["langenhorst2019"], "product": None}
    study, doses = doses_of({"kind": "renal", "regimen": "axi_cel", "rule": rule.id}, adults, n=200)
    crcl = renal_function("CrCl", study.patients(0).columns)
    for patient, value, mg, given in zip(
        slow_patients(study, 200), crcl, doses.mg, doses.given, strict=True
    ):
        step = label_step(rule, float(value))
        full = 30 * patient.bsa_m2
        assert given != step.refuse
        assert mg[0] == pytest.approx(
            0.0 if step.refuse else full * (step.factor or 1.0), rel=1e-12
        )
    _, children = doses_of({"kind": "renal", "regimen": "tisa_cel_ball", "rule": rule.id}, n=200)
    young = study.patients(0).columns["AGE"] < 18
    assert children.given.all() or not young.any()


def test_own_renal_steps_and_bands() -> None:
    steps = [{"at_least": 100.0, "factor": 1.0}, {"at_least": 0.0, "factor": 0.5}]
    study, doses = doses_of(
        {"kind": "renal", "dose": "30 mg/m2", "days": 4, "measure": "eGFR", "steps": steps}
    )
    columns = study.patients(0).columns
    factor = np.where(renal_function("eGFR", columns) >= 100, 1.0, 0.5)
    assert_allclose(doses.mg[:, 0], 30 * columns["BSA"] * factor, rtol=1e-12)
    bands = [{"below": 20.0, "dose": "1 mg/kg"}, {"dose": "25 mg/m2"}]
    study, doses = doses_of({"kind": "banded", "by": "weight_kg", "bands": bands, "days": 4})
    columns = study.patients(0).columns
    expected = np.where(columns["WT"] < 20, columns["WT"], 25 * columns["BSA"])
    assert_allclose(doses.mg[:, 0], expected, rtol=1e-12)


def test_whole_vials_above_the_ceiling_of_a_small_child_are_not_given() -> None:
    study, doses = doses_of({"kind": "fixed", "dose": "30 mg/m2", "days": 4, "vials": True}, n=200)
    bsa = study.patients(0).columns["BSA"]
    assert_array_equal(doses.given, bsa >= 1.0)  # a vial is 50 mg, the ceiling 50 mg/m2
    assert set(np.unique(doses.mg)) <= {0.0, 50.0, 100.0}


def test_levels_bring_more_patients_into_the_window() -> None:
    table = scenario(
        patients=3000,
        strategies=[
            {"id": "target", "kind": "target", "auc": 17.0, "days": 4},
            {"id": "adaptive", "kind": "adaptive", "auc": 17.0, "days": 4, "first": "covariates",
             "levels_h": [1.0, 2.0, 7.0, 24.0]},
        ],
    )  # fmt: skip
    target, adaptive = simulate(table).rows()
    assert adaptive["p_in_window"] > target["p_in_window"] + 0.2
    assert adaptive["auc_cv_percent"] < 0.6 * target["auc_cv_percent"]


# --- Bad scenarios --------------------------------------------------------------------------------

LABEL: Final = CHILDREN["strategies"][0]
BAD: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "unknown key": ({"foo": 1}, r"foo: Extra inputs"),
    "no patients": ({"patients": 0}, r"patients: .*greater than or equal to 1"),
    "patients left out": ({"patients": None}, r"patients is missing"),
    "unknown model": ({"models": ["nope"]}, r"models\[0\]: unknown model 'nope'"),
    "unknown population": ({"population": {"use": "prwcc"}}, r"population: use: unknown"),
    "no population": ({"population": {}}, r"population: one of"),
    "unknown kind": ({"strategies": [{"id": "a", "kind": "magic"}]}, r"strategies\[0\]: .*magic"),
    "unknown regimen": (
        {"strategies": [{**LABEL, "regimen": "tisa"}]}, r"strategies\[0\]: unknown regimen"),
    "dose without unit": (
        {"strategies": [{"id": "a", "kind": "fixed", "dose": "30", "days": 4}]},
        r"strategies\[0\]: dose = '30' needs a unit"),
    "regimen and dose": (
        {"strategies": [{**LABEL, "dose": "30 mg/m2", "days": 4}]},
        r"strategies\[0\]: a regimen has"),
    "unknown rule": (
        {"strategies": [{**LABEL, "kind": "renal", "rule": "x"}]},
        r"strategies\[0\]: unknown rule 'x'"),
    "a strategy twice": ({"strategies": [LABEL, LABEL]}, r"strategies: label twice"),
    "unknown column": ({"strata": [{"by": "ward"}]}, r"strata\[0\]\.by: unknown column 'ward'"),
    "empty stratum": (
        {"strata": [{"by": "age_years", "edges": [0.0, 26.0, 40.0]}]},
        r"strata\[0\]: nobody in age_years 26-<40"),
    "edges out of order": (
        {"strata": [{"by": "age_years", "edges": [5.0, 1.0]}]}, r"strata\[0\]: edges must rise"),
    "quantiles out of order": (
        {"population": {"custom": {
            "id": "x", "title": "x", "age": [[0.0, 5.0], [1.0, 2.0]], "female": 0.5,
            "weight_range_kg": [3.0, 200.0], "weight_height_correlation": 0.6, "source": "x",
            "creatinine": {"ratio": 1.0, "cv": 0.3, "source": "x"}}}},
        r"population\.custom\.age: years must rise"),
    "a window upside down": ({"window": {"low": 20.0, "high": 14.0}}, r"window: low 20 is not"),
    "wholly outside a model": (
        {"models": ["varela2025"], "population": {"use": "infants_ball"}, "product": "tisa_cel"},
        r"models\[0\]: "),
    "a covariate that is not known": (
        {"models": ["mohanan2017"]}, r"models\[0\]: mohanan2017 needs diagnosis"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_scenario_is_refused_with_its_key_path(name: str) -> None:
    changes, fault = BAD[name]
    with pytest.raises(FileError, match=fault):
        read_scenario({k: v for k, v in scenario(**changes).items() if v is not None})


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(FileError) as caught:
        read_scenario(scenario(models=["a", "b"], population={"use": "c"}))
    assert len(caught.value.sentences()) == 3


def test_a_cohort_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    one_patient(tmp_path, weight_kg="500")
    table = scenario(ADULTS, population={"file": "cohort.csv", "sample": "resample"})
    with pytest.raises(FileError, match=r"population\.file: row 2: weight"):
        read_scenario(table, beside=tmp_path)


def test_a_cohort_as_it_is_keeps_its_columns_for_strata(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    rows = [f"{20 + k},70,175,male,90,axi_cel,{'north' if k % 3 else 'south'}" for k in range(30)]
    header = "age_years,weight_kg,height_cm,sex,crcl_ml_min,product,ward"
    path.write_text("\n".join([header, *rows]) + "\n")
    table = scenario(
        ADULTS, population={"file": "cohort.csv", "sample": "as_is"}, strata=[{"by": "ward"}]
    )
    del table["patients"]
    study = read_scenario(table, beside=tmp_path)
    assert [row.n for row in summary(first(study))] == [30, 20, 10]
    assert study.strata == ["all", "ward = north", "ward = south"]


# --- The command ----------------------------------------------------------------------------------


def toml(folder: Path, **changes: str) -> Path:
    path = folder / "study.toml"
    keys = {"title": '"small"', "seed": "1", "patients": "1000", "models": '["langenhorst2019"]'}
    lines = [f"{k} = {v}" for k, v in {**keys, **changes}.items()]
    lines += ["[population]", 'use = "prwcc_ball"', "[[strategies]]", 'id = "label"',
              'kind = "fixed"', 'regimen = "tisa_cel_ball"']  # fmt: skip
    path.write_text("\n".join(lines))
    return path


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


def test_the_command_leaves_a_whole_folder_and_replays_it(tmp_path: Path) -> None:
    path = toml(tmp_path)
    assert run(path, "-o", tmp_path / "a").exit_code == 0
    names = sorted(p.name for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert names == sorted([
        "report.html", "run.json", "summary.csv", "summary.json",
        *(f"{n}.{e}" for n in ("attainment", "auc_along_age", "auc_distribution", "below_13_8",
                                      "concentrations")
          for e in ("png", "svg")),
    ])  # fmt: skip
    assert run("--replay", tmp_path / "a" / "run.json", "-o", tmp_path / "b").exit_code == 0
    for file in (tmp_path / "a").rglob("*.*"):
        assert (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes() == file.read_bytes()


def test_a_figure_of_too_few_patients_says_so(tmp_path: Path) -> None:
    for patients, is_said in (("100", True), ("9000", False)):
        path = toml(tmp_path, patients=patients)
        assert run(path, "-o", tmp_path / patients).exit_code == 0
        for name in ("below_13_8", "auc_along_age"):
            drawn = next((tmp_path / patients).rglob(f"{name}.svg")).read_text("utf-8")
            assert ("too few patients" in drawn) is is_said


def test_shards_on_the_command_line_merge_to_the_same_folder(tmp_path: Path) -> None:
    path = toml(tmp_path, patients="9000")
    run(path, "-o", tmp_path / "whole")
    for k in (1, 2):
        assert run(path, "--shard", f"{k}/2", "-o", tmp_path / "s").exit_code == 0
    shards = sorted((tmp_path / "s").glob("*.json"))
    assert run("merge", *shards, "-o", tmp_path / "merged").exit_code == 0
    for name in ("summary.csv", "summary.json", "run.json", "report.html"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_bad_scenario_leaves_nothing_behind(tmp_path: Path) -> None:
    path = toml(tmp_path, models='["nope"]')
    result = run(path, "-o", tmp_path / "out")
    assert result.exit_code == 4
    assert "models[0]" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [["--json"], ["--replay", "x.json"], ["{path}", "--shard", "3/2"], ["{path}", "--shard", "x"],
     ["{path}", "--continue"], ["{path}", "--patients", "all.txt"]],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(words: list[str], tmp_path: Path) -> None:
    path = toml(tmp_path)
    result = run(*(word.format(path=path) for word in words))
    assert result.exit_code == 3
    assert result.stderr.startswith("fludapk: ")


def test_uncertainty_of_the_command_line_wins(tmp_path: Path) -> None:
    result = run(toml(tmp_path), "--parameter-uncertainty", "5", "--json")
    assert json.loads(result.stdout)["rows"][0]["interval"] == "outer draws"


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path)
    path.write_text(
        path.read_text()
        + '\n[[strategies]]\nid = "second"\nkind = "fixed"\nregimen = "tisa_cel_ball"'
    )
    whole = Study.run

    def interrupted(self: Study, truth: Any, strategy: str, **options: Any) -> Counts:
        if strategy == "second":
            raise KeyboardInterrupt
        return whole(self, truth, strategy, **options)

    monkeypatch.setattr(Study, "run", interrupted)
    result = run(path, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "finished: label" in result.stderr
    assert "--continue" in result.stderr
    assert not (tmp_path / "out" / "summary.csv").exists()
    monkeypatch.setattr(Study, "run", whole)
    assert run(path, "-o", tmp_path / "out", "--continue").exit_code == 0
    assert run(path, "-o", tmp_path / "plain").exit_code == 0
    continued, plain = ((tmp_path / name / "summary.csv").read_bytes() for name in ("out", "plain"))
    assert continued == plain
    assert not (tmp_path / "out" / ".parts").exists()


def test_a_title_is_escaped_in_the_report(tmp_path: Path) -> None:
    run(toml(tmp_path, title='"<script>alert(1)</script>"'), "-o", tmp_path / "o")
    page = (tmp_path / "o" / "report.html").read_text()
    assert "<script" not in page


def test_a_block_leaves_no_patients_behind() -> None:
    import tracemalloc

    def peak(n: int) -> int:
        study = studied(patients=n)
        first(studied(patients=BLOCK), threads=1)
        tracemalloc.start()
        first(study, threads=1)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak_bytes

    assert peak(12 * BLOCK) < 1.3 * peak(3 * BLOCK)


def test_a_scenario_is_a_table_of_the_schema() -> None:
    table = check_table(CHILDREN, Scenario, "here")
    assert table.window.low == 13.8


# --- patients drawn again -------------------------------------------------------------------------


def test_patients_drawn_again_are_counted_in_the_summary() -> None:
    study = studied(ADULTS, patients=9000)
    (counted,) = [row for row in summary(first(study)) if row.stratum == "all"]
    people = [study.patients(b) for b in range(study.blocks)]
    for name, n in (("size", counted.redrawn_size), ("scr", counted.redrawn_scr)):
        assert n == sum(int(block.redrawn[name].sum()) for block in people) > 0


def test_an_observed_creatinine_is_possible_for_the_model_that_doses() -> None:
    """An error of 60 % would put the clearance of some above what varela2025 takes for possible."""
    strategy = {"id": "aim", "kind": "target", "auc": 18.0, "regimen": "axi_cel"}
    study = studied(ADULTS, patients=9000, variability={"gfr_error_cv": 0.6}, strategies=[strategy])
    truth, dosing = study.truths[0], study.dosing[study.truths[0].id, "aim"]
    low, high = 0.42, 10.0
    for b in range(study.blocks):
        block = study.block(truth, dosing, b)
        observed = block.observed.columns["SCR"]
        assert ((observed >= low) & (observed <= high)).all()
        assert (block.observed.redrawn["scr"] & ~block.patients.redrawn["scr"]).sum() > 50
    assert first(study).counts[0][0] == 9000
