"""What strategies of a scenario can say: ceilings, goals, revisions, results that come late."""

import copy
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fludapk.errors import FileError
from fludapk.pk.exposure import course_exposure
from fludapk.studies.dosing import Aim, Block, Doses, log_sd_from_covariates
from fludapk.studies.simulate import read_scenario, simulate
from fludapk.studies.study import Study

CHILDREN: Final[dict[str, Any]] = {
    "title": "children",
    "seed": 7,
    "patients": 2000,
    "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
}
COVARIATES: Final = {"id": "s", "kind": "target", "auc": 17.0, "days": 4}
LEVELS: Final = {
    "id": "s", "kind": "adaptive", "auc": 17.0, "days": 4, "first": "covariates",
    "levels_h": [2.0, 7.0, 24.0],
}  # fmt: skip


def studied(*strategies: dict[str, Any], **changes: Any) -> Study:
    table = {**copy.deepcopy(CHILDREN), **changes}
    return read_scenario({**table, **({"strategies": list(strategies)} if strategies else {})})


def dosed(table: dict[str, Any], **changes: Any) -> tuple[Block, Doses]:
    study = studied(table, **changes)
    truth = study.truths[0]
    strategy = study.dosing[truth.id, table["id"]]
    block = study.block(truth, strategy, 0)
    return block, strategy.doses(block)


def exposure(block: Block, mg: Any) -> Any:
    times = 24.0 * np.arange(mg.shape[1])
    return course_exposure(
        block.truth.program, block.tv, block.effects, times, np.full(len(times), 0.5),
        mg * block.truth.file.dose.factor,
    ).auc_0_inf  # fmt: skip


def rows(*strategies: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    table = {**copy.deepcopy(CHILDREN), "strategies": list(strategies), **changes}
    return simulate(table).rows()


# --- Ceilings and goals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"), [("max_mg_m2", 32.0), ("max_mg", 25.0), ("max_course_mg_m2", 110.0)]
)
@pytest.mark.parametrize("table", [COVARIATES, LEVELS])
def test_own_ceilings_are_never_passed(table: dict[str, Any], key: str, value: float) -> None:
    block, doses = dosed({**table, key: value})
    bsa = block.patients.columns["BSA"]
    got = {
        "max_mg_m2": np.max(doses.mg / bsa[:, None]),
        "max_mg": np.max(doses.mg),
        "max_course_mg_m2": np.max(doses.mg.sum(axis=1) / bsa),
    }[key]
    assert got <= value * (1 + 1e-9)
    assert doses.held.any()
    _, free = dosed(table)
    assert_array_equal(doses.mg[~doses.held], free.mg[~doses.held])


def test_a_course_of_equal_doses_at_its_ceiling_uses_all_of_it() -> None:
    block, doses = dosed({**COVARIATES, "max_course_mg_m2": 60.0})
    course = doses.mg.sum(axis=1) / block.patients.columns["BSA"]
    assert_allclose(course[doses.held], 60.0)


def test_a_window_is_aimed_at_where_its_chance_is_best() -> None:
    results = rows(
        {**COVARIATES, "id": "middle", "auc": None, "window": [13.8, 20.0]},
        {**COVARIATES, "id": "low", "auc": 15.5},
        {**COVARIATES, "id": "high", "auc": 18.0},
        patients=20_000,
    )
    middle, *others = (row["p_in_window"] for row in results)
    assert all(middle > other for other in others)


@pytest.mark.parametrize("probability", [0.7, 0.9])
@pytest.mark.parametrize("table", [COVARIATES, LEVELS])
def test_a_chance_that_is_asked_for_is_reached(table: dict[str, Any], probability: float) -> None:
    goal = {**table, "auc": None, "at_least": 13.8, "probability": probability}
    (row,) = rows({k: v for k, v in goal.items() if v is not None}, patients=12_000)
    held = row["held_at_ceiling"] / row["n"]
    assert 1 - row["p_below_13_8"] == pytest.approx(probability, abs=0.015 + held)


def test_the_spread_around_covariates_is_between_patients_and_between_doses() -> None:
    program = studied().truths[0].program
    between, occasion = math.log1p(0.23**2), math.log1p(0.12**2)
    expected = math.sqrt(between + occasion / 4)
    assert log_sd_from_covariates(program, 4) == pytest.approx(expected, rel=0.02)
    assert Aim(17.0).auc_for(0.3) == 17.0


# --- Results that come late, or never -------------------------------------------------------------


def test_a_result_after_the_course_leaves_the_first_dose() -> None:
    _, covariates = dosed(COVARIATES)
    _, late = dosed({**LEVELS, "acts_from_dose": 5})
    assert_array_equal(late.mg, covariates.mg)


@pytest.mark.parametrize("acts", [2, 3, 4])
def test_doses_change_from_the_dose_on_which_a_result_acts(acts: int) -> None:
    _, covariates = dosed(COVARIATES)
    _, doses = dosed({**LEVELS, "acts_from_dose": acts})
    changed = ~np.isclose(doses.mg, covariates.mg, rtol=1e-9)
    assert not changed[:, : acts - 1].any()
    assert changed[:, acts - 1].mean() > 0.99


def test_levels_of_two_days_may_be_waited_for() -> None:
    _, doses = dosed({**LEVELS, "levels_h": [2.0, 26.0], "acts_from_dose": 3})
    assert doses.given.all()
    with pytest.raises(FileError, match=r"26 h is after the second dose \(24 h\)"):
        studied({**LEVELS, "levels_h": [2.0, 26.0]})
    with pytest.raises(FileError, match="after dose 3, on which it acts"):
        studied({**LEVELS, "levels_h": [2.0, 49.0], "acts_from_dose": 3})


def test_a_fraction_of_results_never_comes() -> None:
    _, covariates = dosed(COVARIATES)
    _, doses = dosed({**LEVELS, "missed": 0.3})
    unchanged = np.isclose(doses.mg, covariates.mg, rtol=1e-9).all(axis=1)
    assert unchanged.mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 2000))
    _, all_missed = dosed({**LEVELS, "missed": 1.0})
    assert_array_equal(all_missed.mg, covariates.mg)


def test_revision_after_every_dose_comes_nearer() -> None:
    block, once = dosed(LEVELS)
    every_block, every = dosed({**LEVELS, "revise": "every_dose"})
    spread_once, spread_every = (
        float(np.std(np.log(exposure(b, d.mg)[~once.held & ~every.held])))
        for b, d in ((block, once), (every_block, every))
    )
    assert spread_every < 0.95 * spread_once
    free = every.mg[~every.held]  # a dose at a ceiling cannot be changed
    assert (np.abs(np.diff(free[:, 1:], axis=1)) > 1e-6).any(axis=1).mean() > 0.99


def test_perfect_knowledge_is_a_bound() -> None:
    block, doses = dosed({k: v for k, v in LEVELS.items() if k != "levels_h"} | {"perfect": True})
    auc = exposure(block, doses.mg)
    assert_allclose(auc[~doses.held & (doses.mg[:, 1] > 0)], 17.0, rtol=1e-9)


def test_a_level_below_the_limit_of_the_assay_tells_less() -> None:
    block, seen = dosed({**LEVELS, "levels_h": [24.0]})
    _, censored = dosed({**LEVELS, "levels_h": [24.0], "assay_limit_mg_l": 0.05})
    spreads = [np.std(np.log(exposure(block, doses.mg))) for doses in (seen, censored)]
    assert spreads[1] > 1.02 * spreads[0]


def test_the_first_dose_may_come_from_a_band() -> None:
    bands = [{"below": 6.0, "dose": "40 mg/m2"}, {"dose": "30 mg/m2"}]
    table = {**LEVELS, "first": "banded", "by": "age_years", "bands": bands}
    block, doses = dosed(table)
    columns = block.patients.columns
    expected = np.where(columns["AGE"] < 6, 40.0, 30.0) * columns["BSA"]
    assert_allclose(doses.mg[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({**COVARIATES, "window": [13.8, 20.0]}, "give one goal"),
        ({**COVARIATES, "auc": None}, "give one goal"),
        ({**COVARIATES, "auc": None, "at_least": 13.8}, "go together"),
        ({**LEVELS, "levels_h": None}, "give levels_h, or perfect"),
        ({**LEVELS, "perfect": True}, "give levels_h, or perfect"),
        ({**LEVELS, "first": "banded"}, "needs by and bands"),
        ({**LEVELS, "acts_from_dose": 1}, "greater than or equal to 2"),
    ],
)
def test_what_a_strategy_cannot_be_is_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(FileError, match=fault):
        studied({k: v for k, v in table.items() if v is not None})


# --- Limits, strata, patients ---------------------------------------------------------------------


def test_limits_of_ones_own_divide_everybody() -> None:
    (row,) = rows(CHILDREN["strategies"][0], limits=[13.8, 18.0, 25.0])
    names = ["p_below_13_8", "p_13_8_to_18", "p_18_to_25", "p_from_25"]
    assert math.fsum(row[name] for name in names) == pytest.approx(1.0, rel=1e-12)
    assert row["p_18_to_25_low"] < row["p_18_to_25"] < row["p_18_to_25_high"]


def test_below_and_above_the_window_are_in_the_summary() -> None:
    (row,) = rows(CHILDREN["strategies"][0], window={"low": 18.0, "high": 20.0})
    parts = [row[name] for name in ("p_below_18", "p_18_to_20", "p_from_20")]
    assert math.fsum(parts) == pytest.approx(1.0, rel=1e-12)
    assert row["p_18_to_20"] == row["p_in_window"]


def test_bands_of_strata_may_overlap() -> None:
    bands = [[0.0, 5.0], [0.0, 10.0], [15.0, 120.0]]
    study = studied(strata=[{"by": "age_years", "bands": bands}, {"by": "sex"}])
    counts = study.run(study.truths[0], "label")
    age = study.patients(0).columns["AGE"]
    seen = dict(zip(counts.strata, counts.counts[:, 0].tolist(), strict=True))
    assert seen["age_years 0-<5"] == (age < 5).sum()
    assert seen["age_years 0-<10"] == (age < 10).sum()
    assert seen["age_years 15-<120"] == (age >= 15).sum()
    assert seen["sex = female"] + seen["sex = male"] == 2000
    with pytest.raises(FileError, match="twice"):
        studied(strata=[{"by": "age_years", "bands": [[0.0, 5.0], [0.0, 5.0]]}])


def test_an_id_may_begin_with_a_number() -> None:
    assert rows({"id": "25x3", "kind": "fixed", "dose": "25 mg/m2", "days": 3})[0]["n"] == 2000


def test_a_cohort_is_drawn_by_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(
        "age_years,weight_kg,height_cm,sex,scr_mg_dl,share\n"
        "4,17,103,male,0.3,3\n14,50,160,male,0.6,1\n"
    )
    table = {**copy.deepcopy(CHILDREN), "patients": 8000}
    table["population"] = {"file": "cohort.csv", "sample": "resample", "weights": "share"}
    age = read_scenario(table, beside=tmp_path).patients(0).columns["AGE"]
    assert np.mean(age == 4) == pytest.approx(0.75, abs=4 * math.sqrt(0.1875 / len(age)))
    table["population"]["weights"] = "sex"
    with pytest.raises(FileError, match="weights: sex is not a column of numbers"):
        read_scenario(table, beside=tmp_path)


def custom(**changes: Any) -> dict[str, Any]:
    entry = {
        "id": "x", "title": "x", "age": {"kind": "uniform", "low": 2.0, "high": 12.0},
        "female": 0.5, "weight_range_kg": [3.0, 200.0], "weight_height_correlation": 0.6,
        "source": "x", "creatinine": {"ratio": 0.8, "cv": 0.25, "source": "x"}, **changes,
    }  # fmt: skip
    return {"custom": {k: v for k, v in entry.items() if v is not None}}


def test_everybody_may_have_the_median_size_and_one_renal_function() -> None:
    population = custom(size="median", creatinine=None, egfr_ml_min_1_73m2=120.0)
    columns = studied(population=population).patients(0).columns
    assert (columns["eGFR"] == 120.0).all()
    order = np.argsort(columns["AGE"])
    for sex in (0.0, 1.0):
        of_sex = order[columns["SEX"][order] == sex]
        assert (np.diff(columns["WT"][of_sex]) > 0).all()  # weight follows age, without scatter
    with pytest.raises(FileError, match="give creatinine, egfr_ml_min_1_73m2 or crcl_ml_min"):
        studied(population=custom(egfr_ml_min_1_73m2=120.0))


def test_a_file_of_patients_has_predicted_auc_clearance_and_single_doses(tmp_path: Path) -> None:
    import pandas as pd

    label = {"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}
    table = {**copy.deepcopy(CHILDREN), "strategies": [label, LEVELS], "patients": 500}
    simulate(table, patients_file=tmp_path / "all.csv")
    frame = pd.read_csv(tmp_path / "all.csv")
    doses = frame[[f"dose_{k}_mg" for k in range(1, 5)]]
    assert_allclose(doses.mean(axis=1), frame["dose_mg"], rtol=1e-12)
    total = doses.sum(axis=1)
    ratio = np.log(frame["auc_0_inf"] / frame["predicted_auc_0_inf"])[frame["strategy"] == "label"]
    assert np.std(ratio) == pytest.approx(0.235, rel=0.12)
    factor = studied().truths[0].file.dose.factor
    occasions = np.log(frame["auc_0_inf"] * frame["cl_l_h"] / (total * factor))
    assert np.std(occasions) == pytest.approx(0.06, rel=0.2)  # what is left is between occasions


def test_levels_keep_95_percent_of_adults_between_15_and_25() -> None:
    # Langenhorst 2020: 30 % outside by covariates, 3 % with levels, for a target of 20
    plan = {"auc": 20.0, "days": 4, "infusion_h": 1.0}
    covariates, levels = rows(
        {"id": "covariates", "kind": "target", **plan},
        {"id": "levels", "kind": "adaptive", "first": "covariates",
         "levels_h": [1.5, 4.0, 7.0, 24.0], **plan},
        window={"low": 15.0, "high": 25.0}, population={"use": "langenhorst2019_adults"},
        patients=6000,
    )  # fmt: skip
    assert 1 - covariates["p_in_window"] == pytest.approx(0.28, abs=0.03)
    assert 1 - levels["p_in_window"] == pytest.approx(0.035, abs=0.015)
