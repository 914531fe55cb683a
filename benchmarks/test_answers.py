"""Whole answers, beside the same work without fludapk, or with it one patient at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from statistics import median
from typing import Any, Final

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import baseline, batch
from fludapk.answers.check import answers, check
from fludapk.answers.check_answer import Answer
from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal
from fludapk.answers.nomogram import nomogram
from fludapk.answers.nomogram_records import Nomogram
from fludapk.arrays import F8
from fludapk.patients.patient import Patient
from fludapk.patients.population import Patients, draw, populations
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimates
from fludapk.pk.exposure import course_concentrations
from fludapk.published.models import load_model
from fludapk.studies.counts import PROFILES, Counts, SimulatedBlock, SimulatedDraw
from fludapk.studies.grid import cells, quantile
from fludapk.studies.study import BLOCK
from fludapk.studies.summary import summary

GIRL: Final = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
PLAN: Final = Regimen.named("tisa_cel_ball")


def measure(
    benchmark: Any, group: str, way: str, items: int, run: Callable[..., Any], *arguments: Any
) -> Any:
    benchmark.group = group
    benchmark.extra_info.update(way=way, items=items)
    return benchmark(run, *arguments)


# ------------------------------------------------------------------ MAP estimates

ERROR: Final = 0.063
HOURS: Final[F8] = np.array([1.0, 2.5, 7.0, 24.0])
DOSE: Final = 45.0
LENGTH: Final = 0.5
DOSES: Final = np.zeros(1), np.array([LENGTH]), np.array([[DOSE]])
TV: Final[F8] = np.array([[9.4, 42.0, 9.1, 22.0, 4.0, 55.0]])


@cache
def measured() -> tuple[Any, F8]:
    """Return langenhorst2019 without IOV, and four levels after one dose of 1000 patients."""
    model = load_model()
    program = replace(model.program, load_kappa=np.zeros((6, 0)), root_omega_iov=np.zeros((0, 0)))
    rng = np.random.default_rng(1)
    effects = RandomEffects.from_normals(program, rng.standard_normal((1000, 2)), 1)
    conc, _ = course_concentrations(program, TV, effects, *DOSES, HOURS)
    return program, conc * (1 + ERROR * rng.standard_normal(conc.shape))


def map_kernel(rows: slice) -> MapEstimate:
    program, conc = measured()
    levels = Levels(times_h=HOURS, conc_mg_l=conc[rows])
    return map_estimates(program, TV, *DOSES, levels)


def map_in_threads(rows: slice) -> None:
    """Estimate eight times, because a thousand take about as long as starting threads."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(map_kernel, [rows] * 8))


def map_scipy(rows: slice) -> list[Any]:
    program, conc = measured()
    sd = np.diag(program.root_omega)
    return [baseline.map_estimate(TV[0], LENGTH, DOSE, ERROR, sd, HOURS, c) for c in conc[rows]]


def map_c(rows: slice) -> tuple[F8, F8]:
    """Estimate in C: one start, two effects, only what these levels need."""
    twin, at = baseline.c_twin(), baseline.address
    program, conc = measured()
    sd, levels = np.diag(program.root_omega).copy(), np.ascontiguousarray(conc[rows])
    x, objective = np.empty((len(levels), 2)), np.empty(len(levels))
    twin.map_estimates(
        len(levels), HOURS.size, at(TV), at(sd), LENGTH, DOSE, at(HOURS), at(levels), ERROR,
        at(x), at(objective),
    )  # fmt: skip
    return x, objective


MAP_WAYS: Final[list[tuple[int, str, int, Callable[[slice], Any]]]] = [
    (1, "kernel", 1, map_kernel),
    (1, "numpy, scipy", 1, map_scipy),
    (1000, "kernel", 1000, map_kernel),
    (1000, "kernel, 2 threads", 8000, map_in_threads),
    (1000, "C", 1000, map_c),
    (1000, "numpy, scipy", 10, map_scipy),
]


@pytest.mark.parametrize(("n", "way", "items", "run"), MAP_WAYS)
def test_map_estimates(
    benchmark: Any, n: int, way: str, items: int, run: Callable[[slice], Any]
) -> None:
    measure(benchmark, f"MAP estimates, {n} at once", way, items, run, slice(items))


def test_the_kernel_finds_no_worse_estimates_than_scipy() -> None:
    rows = slice(30)
    by_scipy = np.array([answer.fun for answer in map_scipy(rows)])
    estimate = map_kernel(rows)
    assert not estimate.status.any()
    assert (estimate.objective <= by_scipy + 1e-6).all()
    assert median(abs(estimate.objective - by_scipy)) < 1e-3  # it is the same objective


def test_c_finds_the_same_estimates_where_one_start_is_enough() -> None:
    every_row = slice(1000)
    x, objective = map_c(every_row)
    estimate = map_kernel(every_row)
    assert (estimate.objective <= objective + 1e-9).all()
    is_same = objective < estimate.objective + 1e-6
    assert is_same.mean() > 0.9
    assert_allclose(x[is_same], estimate.normals[is_same], atol=1e-6)


# ------------------------------------------------------------------ a list


@cache
def requests() -> list[Request]:
    return [
        Request(
            patient=Patient(
                age_years=float(row["AGE"]),
                sex=row["SEX"],
                weight_kg=float(row["WT"]),
                height_cm=float(row["HT"]),
                scr_mg_dl=float(row["scr_mg_dl"]),
            ),
            regimen=Regimen.named(row["regimen"]),
        )
        for row in csv.DictReader(batch.patients(250).splitlines())
    ]


def together(listed: Sequence[Request]) -> list[Any]:
    checked = list(answers(listed, log2_points=9))
    columns = Answer.columns([answer for answer in checked if isinstance(answer, Answer)])
    return [list(row) for row in zip(*columns, strict=True)]


def one_at_a_time(listed: Sequence[Request]) -> list[Any]:
    return [result for request in listed for result in together([request])]


@pytest.mark.parametrize(
    ("way", "n", "run"), [("fludapk", 250, together), ("one at a time", 50, one_at_a_time)]
)
def test_rows_of_a_list(
    benchmark: Any, way: str, n: int, run: Callable[[Sequence[Request]], list[Any]]
) -> None:
    results = measure(benchmark, "rows of a list", way, n, run, requests()[:n])
    assert all(isinstance(result, list) for result in results)


def test_a_list_gives_what_its_patients_give_alone() -> None:
    for result, alone in zip(together(requests()), one_at_a_time(requests()[:20]), strict=False):
        assert result == alone


# ------------------------------------------------------------------ a dose and a nomogram


def p_within(dose_mg: float) -> float:
    result = check(GIRL, PLAN.in_mg(dose_mg))
    p = next(target.p_within for target in result.targets if target.id == "scordo2023")
    assert p is not None
    return p


def best_by_checks() -> float:
    """Find the best whole mg by bisection: the probability rises up to it and falls beyond."""
    low, high = 10, 37  # 50 mg/m2
    while high - low > 1:
        middle = (low + high) // 2
        if p_within(middle + 1) > p_within(middle):
            low = middle + 1
        else:
            high = middle
    return max((low, high), key=p_within)


def best_by_search() -> float:
    return find_dose(GIRL, PLAN, Goal.chosen(target="scordo2023")).dose.dose_mg


@pytest.mark.parametrize(("way", "run"), [("fludapk", best_by_search), ("checks", best_by_checks)])
def test_dose_search(benchmark: Any, way: str, run: Callable[[], float]) -> None:
    measure(benchmark, "dose search", way, 1, run)


def test_the_dose_is_the_best_of_all_checks() -> None:
    dose_mg = best_by_search()
    assert p_within(dose_mg) == max(p_within(whole_mg) for whole_mg in range(20, 38))
    assert abs(dose_mg - best_by_checks()) <= 1


def auc_by_checks(chart: Nomogram, every: int) -> dict[tuple[int, int], float]:
    aucs = {}
    for i in range(0, len(chart.weights_kg), every):
        for j in range(0, len(chart.renal), every):
            if chart.values[i][j] is not None:
                patient = Patient(
                    age_years=chart.ages_years[i],
                    weight_kg=chart.weights_kg[i],
                    height_cm=chart.heights_cm[i],
                    egfr_ml_min_1_73m2=chart.renal[j],
                )
                aucs[i, j] = check(patient, PLAN).exposure.auc_0_inf
    return aucs


def typical_map() -> Nomogram:
    """Typical AUCs alone, as they are compared with."""
    return nomogram(PLAN, chances=False)


def test_nomogram(benchmark: Any) -> None:
    chart = typical_map()
    points = len(chart.weights_kg) * len(chart.renal)
    measure(benchmark, "points of a nomogram", "fludapk", points, typical_map)


def test_nomogram_by_checks(benchmark: Any) -> None:
    chart = typical_map()
    points = len(auc_by_checks(chart, 8))
    aucs = measure(
        benchmark, "points of a nomogram", "one check each", points, auc_by_checks, chart, 8
    )
    assert len(aucs) > 9
    for (i, j), auc in aucs.items():
        assert auc == pytest.approx(chart.values[i][j], rel=1e-9)


# ------------------------------------------------------------------ many patients


MANY: Final = 1_000_000
CHILDREN: Final = "langenhorst2019_children"


def drawn() -> dict[str, F8]:
    entry = populations()[CHILDREN]
    return draw(entry, np.random.default_rng(1), MANY)


def drawn_by_hand() -> dict[str, F8]:
    return baseline.children(np.random.default_rng(2), MANY)


@pytest.mark.parametrize(("way", "run"), [("fludapk", drawn), ("numpy", drawn_by_hand)])
def test_virtual_population(benchmark: Any, way: str, run: Callable[[], dict[str, F8]]) -> None:
    measure(benchmark, "virtual population of 1e6", way, MANY, run)


def test_both_populations_are_the_same() -> None:
    populations = drawn(), drawn_by_hand()
    for name in ("AGE", "SEX", "WT", "HT", "BSA", "SCR"):
        ours, by_hand = (np.quantile(columns[name], [0.05, 0.5, 0.95]) for columns in populations)
        assert_allclose(ours, by_hand, rtol=0.01)


@cache
def outcomes() -> dict[str, F8]:
    """Return AUC, dose and the covariates that a study counts along, of 1e6 children."""
    rng = np.random.default_rng(4)
    children = drawn()
    dose = 30.0 * children["BSA"]
    return {
        "auc": rng.lognormal(2.7, 0.35, MANY),
        "dose_mg": dose,
        "total_mg_m2": np.full(MANY, 120.0),
        "age_years": children["AGE"],
        "weight_kg": children["WT"],
        "egfr_ml_min_1_73m2": 0.413 * children["HT"] / children["SCR"],
    }


FRACTIONS: Final = (0.05, 0.25, 0.50, 0.75, 0.95)


def quantiles_by_cells(auc: F8) -> list[float | None]:
    histogram = np.bincount(cells(auc))
    return [quantile(histogram, fraction) for fraction in FRACTIONS]


def quantiles_by_numpy(auc: F8) -> list[float]:
    return [float(x) for x in np.quantile(auc, FRACTIONS)]


@pytest.mark.parametrize(
    ("way", "run"), [("fludapk", quantiles_by_cells), ("numpy", quantiles_by_numpy)]
)
def test_quantiles(benchmark: Any, way: str, run: Callable[[F8], Any]) -> None:
    quantiles = measure(benchmark, "quantiles of 1e6", way, MANY, run, outcomes()["auc"])
    assert_allclose(quantiles, np.quantile(outcomes()["auc"], FRACTIONS), rtol=1e-3)


def summary_of_counts(patients: dict[str, F8]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Count patients in blocks, as a study does."""
    counts = Counts.nothing("langenhorst2019", "30 mg/m2", ["all"], 0)
    no_patients = Patients({}, {})
    for first in range(0, MANY, BLOCK):
        part = {name: column[first : first + BLOCK] for name, column in patients.items()}
        n = len(part["auc"])
        counts.add(
            SimulatedBlock(
                patients=no_patients,
                draws=[
                    SimulatedDraw(
                        auc=part["auc"],
                        predicted=part["auc"],
                        cl_l_h=part["auc"],
                        doses_mg=part["dose_mg"][:, None],
                        total_mg_m2=part["total_mg_m2"],
                        given=np.ones(n, np.bool_),
                        held=np.zeros(n, np.bool_),
                        undecided=np.zeros(n, np.bool_),
                    )
                ],
                outside=np.zeros(n, np.bool_),
                groups=[np.zeros(n, np.int64)],
                along={name: part[name] for name in PROFILES},
                redrawn=[np.zeros(n, np.bool_)] * 2,
            ),
            (13.8, 20.0),
        )
    (stratum,) = summary(counts)
    return stratum.row(), counts.profiles


def summary_by_numpy(patients: dict[str, F8]) -> tuple[dict[str, Any], dict[str, Any]]:
    return baseline.summary(patients, PROFILES, FRACTIONS)


@pytest.mark.parametrize(
    ("way", "run"), [("fludapk", summary_of_counts), ("numpy, pandas", summary_by_numpy)]
)
def test_summary(benchmark: Any, way: str, run: Callable[[dict[str, F8]], Any]) -> None:
    measure(benchmark, "summary of 1e6", way, MANY, run, outcomes())


def test_both_summaries_are_the_same() -> None:
    ours, bands = summary_of_counts(outcomes())
    by_numpy, numpy_bands = summary_by_numpy(outcomes())
    assert len(by_numpy) >= 20
    for name, value in by_numpy.items():
        assert ours[name] == pytest.approx(value, rel=1e-3), name
    assert bands.keys() == numpy_bands.keys()
    for name, band in bands.items():
        assert_array_equal(band, numpy_bands[name])
