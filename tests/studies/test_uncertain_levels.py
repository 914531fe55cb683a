"""Uncertain parameters in a study: levels are those of the patient who is simulated."""

import math
from typing import Any

import numpy as np
import pytest
import reference
import reference_map
from three_strategies import TRIAL, WARD, scenario

from fludapk.arrays import F8
from fludapk.published.models import load_model
from fludapk.studies.counts import SimulatedBlock
from fludapk.studies.shards import merge, run_shard
from fludapk.studies.simulate import read_scenario, simulate

AT_H = [1.0, 2.0, 7.0, 24.0]
GOAL = 17.0
STUDY: dict[str, Any] = {
    "title": "adaptive",
    "seed": 7,
    "patients": 2,
    "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "variability": {"parameter_uncertainty": 2},
    "strategies": [
        {"id": "a", "kind": "adaptive", "auc": GOAL, "regimen": "tisa_cel_ball", "levels_h": AT_H}
    ],
}


def drawn_table(normals: F8) -> dict[str, Any]:
    """The model file with the numbers of a draw."""
    model = load_model()
    theta, scale = model.uncertainty.draw(normals[None])
    table = reference.load(model.path)
    for k, name in enumerate(model.file.theta):
        table["theta"][name]["value"] = float(theta[k, 0])
    effects = [*table["iiv"], *table["iov"]]
    for row, factor in zip(effects, scale[0].tolist(), strict=True):  # CV of a log-normal
        row["value"] = math.sqrt(math.expm1(factor**2 * math.log1p(row["value"] ** 2)))
    return table


def later_dose(
    covariates: dict[str, Any], first: tuple[float, float, float], conc: list[float], days: int
) -> float:
    """Later dose, mg of phosphate, by the printed model and the most likely patient."""
    printed = reference.load(load_model().path)
    levels = [reference_map.Level(t, c) for t, c in zip(AT_H, conc, strict=True)]

    def misfit(x: Any) -> float:
        return reference_map.objective(printed, covariates, [first], levels, x[:2], [x[2:]])

    best = reference_map.lowest(misfit, np.zeros(4))[1]
    names = [reference.omega(printed, kind)[0] for kind in ("iiv", "iov")]
    effects = [
        dict(zip(n, x, strict=True)) for n, x in zip(names, (best[:2], best[2:]), strict=True)
    ]
    kappas = [effects[1], *({} for _ in range(days - 1))]
    patient = reference.individual(printed, covariates, effects[0], kappas)
    start = [24.0 * k for k in range(days)]
    so_far = [(start[0], first[1], first[2]), *((t, first[1], 0.0) for t in start[1:])]
    one_mg = [(start[0], first[1], 0.0), *((t, first[1], printed_factor()) for t in start[1:])]
    left = GOAL - reference.auc_0_inf(patient, so_far)
    return max(left, 0.0) / reference.auc_0_inf(patient, one_mg)


def printed_factor() -> float:
    return load_model().file.dose.factor


def test_every_draw_of_the_numbers_has_levels_and_doses_of_its_own() -> None:
    study = read_scenario(STUDY)
    truth = study.truths[0]
    blocks: list[SimulatedBlock] = []
    study.run(truth, "a", threads=1, each=blocks.append)
    block = study.block(truth, study.dosing[truth.id, "a"], 0)
    columns, days = block.patients.columns, 4
    for draw in range(2):
        table = drawn_table(study.outer_normals[truth.id][draw])
        eta_names, omega = reference.omega(table, "iiv")
        kappa_names, omega_iov = reference.omega(table, "iov")
        for i in range(2):
            covariates = {
                name: float(value)
                for name, value in zip(truth.program.covariates, block.rows[i], strict=True)
            }
            z, bsa = block.normals[i], float(columns["BSA"][i])
            eta = {n: math.sqrt(omega[j][j]) * z[j] for j, n in enumerate(eta_names)}
            kappas = [
                {
                    n: math.sqrt(omega_iov[j][j]) * z[2 + 2 * d + j]
                    for j, n in enumerate(kappa_names)
                }
                for d in range(days)
            ]
            person = reference.individual(table, covariates, eta, kappas)
            first_mg = 30.0 * bsa
            first = (0.0, 0.5, first_mg * printed_factor())
            true_conc, _ = reference.solve(person[:1], [first], AT_H)
            noise = block.residual[i]
            conc = [
                max(c + reference.residual(table, c) * e, 1e-3 * c)
                for c, e in zip(true_conc, noise, strict=True)
            ]
            later = later_dose(covariates, first, conc, days)
            most = min(50.0, (250.0 - 30.0) / 3) * bsa
            later = min(later, most)
            ours = blocks[0].draws[draw]
            assert ours.dose_mg[i] == pytest.approx((first_mg + 3 * later) / days, rel=1e-4)
            doses = [first_mg, later, later, later]
            given = [(24.0 * d, 0.5, mg * printed_factor()) for d, mg in enumerate(doses)]
            assert ours.auc[i] == pytest.approx(reference.auc_0_inf(person, given), rel=1e-4)


def test_levels_keep_most_patients_above_a_threshold_whatever_the_numbers_are() -> None:
    table = {
        **STUDY,
        "patients": 1500,
        "variability": {"parameter_uncertainty": 25},
        "strategies": [
            {"id": "covariates", "kind": "target", "auc": GOAL, "days": 4},
            {**STUDY["strategies"][0], "id": "levels"},
        ],
    }
    covariates, levels = simulate(table).rows()
    assert levels["p_below_13_8"] < 0.06 < 0.12 < covariates["p_below_13_8"]
    assert levels["p_below_13_8_high"] < 0.5 * covariates["p_below_13_8_high"]


def blocks_of(strategy: dict[str, Any], **changes: Any) -> list[SimulatedBlock]:
    table = {**STUDY, "patients": 300, "variability": {"parameter_uncertainty": 4}, **changes}
    study = read_scenario({**table, "strategies": [strategy]})
    blocks: list[SimulatedBlock] = []
    study.run(study.truths[0], strategy["id"], threads=1, each=blocks.append)
    return blocks


def test_perfect_knowledge_reaches_the_goal_by_the_numbers_of_every_draw() -> None:
    plan = {"kind": "adaptive", "auc": GOAL, "days": 4, "first": "covariates", "perfect": True}
    (block,) = blocks_of({"id": "perfect", **plan})
    for draw in block.draws:
        free = ~draw.held & (draw.doses_mg[:, 1] > 0)
        assert free.mean() > 0.5
        assert draw.auc[free] == pytest.approx(GOAL, rel=1e-9)
    assert not np.allclose(block.draws[0].doses_mg, block.draws[1].doses_mg)


def test_missed_results_are_those_of_the_same_patients_in_every_draw() -> None:
    (block,) = blocks_of({**STUDY["strategies"][0], "missed": 0.4})
    unchanged = [np.ptp(draw.doses_mg, axis=1) < 1e-9 for draw in block.draws]
    assert unchanged[0].mean() == pytest.approx(0.4, abs=0.12)
    assert all((x == unchanged[0]).all() for x in unchanged)


def test_the_auc_that_covariates_predict_is_by_the_printed_numbers() -> None:
    strategy = {"id": "aim", "kind": "target", "auc": GOAL, "days": 4}
    (block,) = blocks_of(strategy)
    for draw in block.draws:
        assert draw.predicted[~draw.held] == pytest.approx(GOAL, rel=1e-9)
    (observed,) = blocks_of(strategy, variability={"parameter_uncertainty": 2, "gfr_error_cv": 0.3})
    for draw in observed.draws:  # as dosing observes them
        assert draw.predicted[~draw.held] == pytest.approx(GOAL, rel=1e-9)


def test_shards_of_a_study_with_questions_merge_as_if_run_at_once() -> None:
    table = {
        **scenario(patients=9000, ward=WARD, trial=TRIAL, shortage={"strategy": "label"}),
        "variability": {"parameter_uncertainty": 2},
    }
    checked = read_scenario(table).scenario
    parts = [run_shard(checked, (k, 2)) for k in (2, 1)]
    assert merge(parts).summary_json() == simulate(table).summary_json()


def test_a_shortage_counts_patients_and_not_their_draws() -> None:
    table = scenario(patients=1000, shortage={"strategy": "label"}, strata=[])
    result = simulate({**table, "variability": {"parameter_uncertainty": 3}})
    assert [row.n for row in result.shortages[0].strata] == [1000]
