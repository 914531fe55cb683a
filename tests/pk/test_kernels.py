"""Kernels: statements about pharmacokinetics, and comparison with the slow twin.

Other engines wrote the golden tables; `reference` solves the same course by the matrix exponential
and by an ODE solver. A patient with other parameters on every dose is given to the kernels as the
parameters of the first dose and the logarithms of the ratios to it.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from reference import Infusion, Numbers, Table

from fludapk.errors import InputError
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import (
    Exposure,
    course_concentrations,
    course_exposure,
    individual_parameters,
    rates,
)
from fludapk.pk.kernels import courses as kernels
from fludapk.pk.kernels.arithmetic import CL, Q2, Q3, V1, V2, V3
from fludapk.pk.program import SLOTS
from fludapk.published.models import Model

F8 = NDArray[np.float64]

pytestmark = pytest.mark.interpreted

NOT_COMPILED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = list(SLOTS)

TYPICAL: F8 = np.array([6.9, 39.0, 8.6, 20.0, 3.8, 50.0])
ADULT: F8 = np.array([[9.4, 42.0, 9.1, 22.0, 4.0, 55.0]])
DAILY: list[Infusion] = [(24.0 * day, 0.5, 45.0) for day in range(4)]
UNEVEN: list[Infusion] = [
    (2.0, 0.5, 48.0),
    (25.5, 1.0, 57.8),
    (26.5, 3.0, 9.9),  # starts as the one before ends
    (72.5, 0.25, 17.1),
    (98.75, 12.0, 40.2),
]
EVERY_WAY = np.array([
    0.0, 2.0, 2.2, 2.5, 2.6, 5.0, 25.5, 25.9, 26.5, 28.0, 29.5, 29.6, 50.0, 72.5, 72.6, 72.75,
    80.0, 98.75, 99.0, 105.0, 110.75, 111.0, 130.0, 200.0,
])  # fmt: skip
"""Before the first dose, at doses, during infusions, as they end, and after."""


# --- Helpers --------------------------------------------------------------------------------------


class Arguments(NamedTuple):
    """Arguments of both kernels."""

    tv: F8
    load_eta: F8
    eta: F8
    load_kappa: F8
    kappa: F8
    start: F8
    duration: F8
    amount: F8


def columns(infusions: Sequence[Infusion]) -> tuple[F8, F8, F8]:
    """Starts, durations, and amounts as one row."""
    start, duration, amount = np.array(infusions, dtype=np.float64).T
    return start.copy(), duration.copy(), amount[np.newaxis].copy()


def arguments(occasions: F8, infusions: Sequence[Infusion]) -> Arguments:
    """Kernel arguments of one subject, or of (subjects, 1, 6) without changes between doses.

    Parameters of one row hold for all doses; else there is a row for each.
    """
    start, duration, amount = columns(infusions)
    if occasions.ndim == 3:
        tv = np.ascontiguousarray(occasions[:, 0])
    else:
        tv = np.array(occasions[:1], dtype=np.float64)
    no_eta = np.zeros((1, 0))
    if occasions.ndim == 3 or len(occasions) == 1:
        load, kappa = np.zeros((6, 0)), np.zeros((1, len(infusions), 0))
    else:
        ratio = np.where(occasions[0] > 0, occasions, 1.0) / np.where(tv[0] > 0, tv[0], 1.0)
        load, kappa = np.eye(6), np.log(ratio)[np.newaxis].copy()
    return Arguments(tv, np.zeros((6, 0)), no_eta, load, kappa, start, duration, amount)


def course(occasions: F8, infusions: Sequence[Infusion], times: F8) -> tuple[F8, F8]:
    """Concentrations and areas so far of one subject."""
    conc, auc = np.empty((1, times.size)), np.empty((1, times.size))
    status = kernels.course(*arguments(occasions, infusions), times, conc, auc)
    assert not status.any()
    return conc[0], auc[0]


def exposure(occasions: F8, infusions: Sequence[Infusion]) -> Exposure:
    """Exposure of one subject, or of many."""
    *areas, status = kernels.exposure(*arguments(occasions, infusions))
    assert not status.any()
    return Exposure(*areas)


def auc_0_inf(occasions: F8, infusions: Sequence[Infusion]) -> float:
    """Area from the first dose to infinity of one subject."""
    return float(exposure(occasions, infusions).auc_0_inf[0])


def by_name(occasions: F8) -> list[Numbers] | Numbers:
    """Parameters under their names, for the twin."""
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in occasions]
    return rows[0] if len(rows) == 1 else rows


def changing(n_doses: int, seed: int = 1, spread: float = 0.3) -> F8:
    """Parameters that differ from dose to dose."""
    deviations = spread * np.random.default_rng(seed).standard_normal((n_doses, 6))
    return np.asarray(ADULT * np.exp(deviations))


def subjects(n: int, seed: int = 2) -> F8:
    """Parameters of n different subjects, (n, 1, 6)."""
    return changing(n, seed)[:, np.newaxis]


def drawn(model: Model, infusions: Sequence[Infusion], seed: int) -> RandomEffects:
    """Random effects of one patient, none of them zero."""
    n = model.program.n_eta + len(infusions) * model.program.n_kappa
    z = np.random.default_rng(seed).standard_normal((1, n))
    return RandomEffects.from_normals(model.program, z, len(infusions))


PATIENT: Table = {
    "AGE": 37.0, "WT": 81.0, "HT": 176.0, "BSA": 1.99, "CrCl": 83.0, "GFR": 6.1,
    "product": "tisa_cel", "diagnosis": None, "genotype": "carrier",
}  # fmt: skip


def covariates(model: Model) -> Table:
    """Covariates of a patient, with categories of the model."""
    diagnoses = model.categories("diagnosis")
    return PATIENT | {"diagnosis": diagnoses[-1] if diagnoses else None}


def row_of(model: Model, values: Table) -> F8:
    """Values as one row of covariates."""
    row = [
        model.categories(name).index(values[name]) if model.categories(name) else values[name]
        for name in model.program.covariates
    ]
    return np.array([row], dtype=np.float64)


def individual(model: Model, twin: Table, effects: RandomEffects) -> list[Numbers]:
    """The twin's parameters of one patient on every dose."""
    eta_names = [row["name"] for row in twin["iiv"]]
    kappa_names = [row["name"] for row in twin.get("iov", [])]
    return reference.individual(
        twin,
        covariates(model),
        dict(zip(eta_names, map(float, effects.eta[0]), strict=True)),
        [dict(zip(kappa_names, map(float, row), strict=True)) for row in effects.kappa[0]],
    )


# --- Other engines --------------------------------------------------------------------------------


def rows(name: str) -> list[dict[str, str]]:
    with (GOLDEN / f"golden_{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def golden_cases() -> Iterator[Any]:
    for case in rows("cases"):
        values = [float(case[name]) for name in NAMES]
        for q in (Q2, Q3):
            values[q + 1] = values[q + 1] or 1.0  # absent: Q = 0, V = 1
        yield pytest.param(case["case"], np.array([values]), id=f"course {case['case']}")


@pytest.mark.parametrize(("case", "parameters"), list(golden_cases()))
def test_golden_courses_are_those_of_mrgsolve_and_rxode2(case: str, parameters: F8) -> None:
    infusions: list[Infusion] = [
        (float(row["start_h"]), float(row["duration_h"]), float(row["amount_mg"]))
        for row in rows("events")
        if row["case"] == case
    ]
    table = [row for row in rows("concentrations") if row["case"] == case]
    assert len(table) > 10
    conc, auc = course(parameters, infusions, np.array([float(row["time_h"]) for row in table]))
    assert_allclose(conc, [float(row["conc_mrgsolve"]) for row in table], rtol=1e-11)
    if parameters[0, Q2] > 0:  # rxode2 was not run for one compartment
        assert_allclose(conc, [float(row["conc_rxode2"]) for row in table], rtol=1e-11)
        assert_allclose(auc, [float(row["auc_rxode2"]) for row in table], rtol=1e-11)


# --- The twin -------------------------------------------------------------------------------------


def test_every_model_follows_the_matrix_exponential_when_parameters_change_with_every_dose(
    model: Model, twin: Table
) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    for seed in range(3):
        effects = drawn(model, UNEVEN, seed)
        conc, auc = course_concentrations(model.program, tv, effects, *columns(UNEVEN), EVERY_WAY)
        patient = individual(model, twin, effects)
        slow_conc, slow_auc = reference.solve_expm(patient, UNEVEN, list(EVERY_WAY))
        assert_allclose(conc[0], slow_conc, rtol=1e-11)
        assert_allclose(auc[0], slow_auc, rtol=1e-11)


def test_every_model_follows_the_differential_equation_when_parameters_change_with_every_dose(
    model: Model, twin: Table
) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, UNEVEN, seed=7)
    conc, auc = course_concentrations(model.program, tv, effects, *columns(UNEVEN), EVERY_WAY)
    slow_conc, slow_auc = reference.solve(individual(model, twin, effects), UNEVEN, list(EVERY_WAY))
    assert_allclose(conc[0], slow_conc, rtol=1e-9)
    assert_allclose(auc[0], slow_auc, rtol=1e-9)


def test_every_model_gives_the_exposure_of_the_twin(model: Model, twin: Table) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    start, duration, _ = columns(UNEVEN)
    ends = start + duration
    for seed in range(3):
        effects = drawn(model, UNEVEN, seed)
        fast = course_exposure(model.program, tv, effects, *columns(UNEVEN))
        patient = individual(model, twin, effects)
        assert_allclose(fast.auc_0_inf, reference.auc_0_inf(patient, UNEVEN), rtol=1e-11)

        trough, area = reference.solve_expm(patient, UNEVEN, list(start))
        assert_allclose(fast.trough[0], trough, rtol=1e-11)
        assert_allclose(fast.auc_per_dose[0, :-1], np.diff(area), rtol=1e-11)
        at_ends, _ = reference.solve_expm(patient, UNEVEN, list(ends))
        volumes = np.array([occasion["V1"] for occasion in patient])
        at_starts = np.array(trough[1:]) * volumes[:-1] / volumes[1:]  # amounts are continuous
        assert_allclose(fast.cmax, max(*at_ends, *at_starts), rtol=1e-11)


def test_no_concentration_of_a_fine_grid_is_above_cmax(model: Model) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, DAILY, seed=3)
    grid = np.linspace(0.0, 120.0, 4801)  # holds the ends of the infusions
    conc, _ = course_concentrations(model.program, tv, effects, *columns(DAILY), grid)
    peak = float(course_exposure(model.program, tv, effects, *columns(DAILY)).cmax[0])
    assert np.max(conc) == pytest.approx(peak, rel=1e-12)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_typical_values_are_those_of_the_twin(
    data: st.DataObject, model: Model, twin: Table
) -> None:
    values: Table = {
        "AGE": data.draw(st.floats(0.1, 90)),
        "WT": data.draw(st.floats(2.5, 150)),
        "HT": data.draw(st.floats(45, 200)),
        "BSA": data.draw(st.floats(0.15, 2.8)),
        "CrCl": data.draw(st.floats(10, 300)),
        "GFR": data.draw(st.floats(0.3, 20)),
    }
    for name in ("product", "diagnosis", "genotype"):
        if model.categories(name):
            values[name] = data.draw(st.sampled_from(model.categories(name)))
    tv, renal = model.program.typical_values(row_of(model, values))
    slow = reference.typical(twin, values)
    assert_allclose(tv[0], [slow[name] for name in NAMES], rtol=1e-13)

    terms = twin["parameters"]["CL"]["terms"]
    alone = [
        reference.effects(twin, term, values)
        * (twin["theta"][term["theta"]]["value"] if "theta" in term else 1.0)
        for term in terms
    ]
    of_kidney = [x for x, term in zip(alone, terms, strict=True) if term.get("name") == "renal"]
    assert_allclose(renal[0], sum(of_kidney) / sum(alone), rtol=1e-13)


def test_individual_parameters_are_those_of_the_twin(model: Model, twin: Table) -> None:
    program = model.program
    tv, _ = program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, DAILY, seed=5)
    fast = individual_parameters(program, tv, effects)
    slow = individual(model, twin, effects)
    for k, name in enumerate(NAMES[: 2 * program.compartments]):
        assert_allclose(fast[0, :, k], [occasion[name] for occasion in slow], rtol=1e-13)
    for k in (Q2, Q3)[program.compartments - 1 :]:
        assert_array_equal(fast[0, :, k], 0.0)


# --- Areas ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("infusions", [DAILY, UNEVEN, UNEVEN[:1]], ids=["daily", "uneven", "one"])
@pytest.mark.parametrize("absent", [(), (Q3,), (Q2, Q3)], ids=["three", "two", "one"])
def test_auc_to_infinity_is_amount_over_clearance_whatever_the_compartments(
    absent: tuple[int, ...], infusions: list[Infusion]
) -> None:
    patients = subjects(200)
    for q in absent:
        patients[..., q], patients[..., q + 1] = 0.0, 1.0
    amount = sum(mg for _, _, mg in infusions)
    assert_allclose(
        exposure(patients, infusions).auc_0_inf, amount / patients[:, 0, CL], rtol=1e-12
    )


def test_areas_of_the_doses_add_up_to_the_whole(model: Model) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, UNEVEN, seed=11)
    whole = course_exposure(model.program, tv, effects, *columns(UNEVEN))
    assert_allclose(whole.auc_per_dose.sum(axis=1), whole.auc_0_inf, rtol=1e-14)


def test_area_of_a_dose_is_what_the_cumulative_area_gains_until_the_next(model: Model) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, UNEVEN, seed=12)
    start, duration, amount = columns(UNEVEN)
    whole = course_exposure(model.program, tv, effects, start, duration, amount)
    _, area = course_concentrations(model.program, tv, effects, start, duration, amount, start)
    to_infinity = np.append(area[0], whole.auc_0_inf)
    assert_allclose(whole.auc_per_dose[0], np.diff(to_infinity), rtol=1e-12)


def test_cumulative_area_ends_at_the_area_to_infinity(model: Model) -> None:
    tv, _ = model.program.typical_values(row_of(model, covariates(model)))
    effects = drawn(model, UNEVEN, seed=13)
    whole = course_exposure(model.program, tv, effects, *columns(UNEVEN)).auc_0_inf
    _, area = course_concentrations(
        model.program, tv, effects, *columns(UNEVEN), np.array([5000.0])
    )
    assert_allclose(area[:, 0], whole, rtol=1e-12)


def test_cumulative_area_is_the_integral_of_the_concentration() -> None:
    occasions = changing(len(UNEVEN))
    breaks = sorted({t for start, hours, _ in UNEVEN for t in (start, start + hours)} | {150.0})
    nodes, weights = np.polynomial.legendre.leggauss(40)
    integral = 0.0
    for low, high in pairwise(breaks):
        conc, _ = course(occasions, UNEVEN, low + (high - low) * (nodes + 1) / 2)
        integral += float(weights @ conc) * (high - low) / 2
    _, area = course(occasions, UNEVEN, np.array([150.0]))
    assert_allclose(area[0], integral, rtol=1e-11)


def test_amount_over_typical_clearance_is_not_the_area_once_clearance_changes_between_doses() -> (
    None
):
    ratio = np.exp([0.2, -0.2, 0.2, -0.2])  # on the average of logarithms nothing changes
    occasions = ADULT * np.ones((4, 1))
    occasions[:, [CL, Q2, Q3]] *= ratio[:, np.newaxis]
    amounts = columns(DAILY)[2][0]
    area = auc_0_inf(occasions, DAILY)
    assert abs(area * ADULT[0, CL] / amounts.sum() - 1) > 0.01
    # nor does each dose leave by its own clearance: the rest of day 1 leaves on day 2
    assert abs(area / (amounts / occasions[:, CL]).sum() - 1) > 0.001


# --- Rates that are equal, absent or far apart ----------------------------------------------------

DEGENERATE = {
    "k21 equal to k31": [6.0, 40.0, 8.0, 20.0, 16.0, 40.0],
    "both tissues the same": [6.0, 40.0, 8.0, 20.0, 8.0, 20.0],
    "k21 nearly k31": [6.0, 40.0, 8.0, 20.0, 16.0, 40.0 * (1 + 1e-9)],
    "k21 almost k31": [6.0, 40.0, 8.0, 20.0, 16.0, 40.0 * (1 + 1e-15)],
    "k10 + k12 equal to k21, weakly bound": [4.0, 40.0, 1e-7, 1e-6, 1e-7, 1e-6],
    "nearly equal eigenvalues": [4.0, 40.0, 1e-5, 1.0001e-4, 2e-5, 2.0001e-4],
    "a tiny flow": [6.0, 40.0, 1e-12, 20.0, 4.0, 50.0],
    "two tiny flows": [6.0, 40.0, 1e-12, 20.0, 1e-14, 50.0],
    "no second compartment": [6.0, 40.0, 0.0, 1.0, 4.0, 50.0],
    "no third compartment, its volume kept": [6.0, 40.0, 8.0, 20.0, 0.0, 50.0],
    "one compartment": [6.0, 40.0, 0.0, 1.0, 0.0, 1.0],
    "an endless tissue": [6.0, 40.0, 8.0, 20.0, 4.0, 4e7],
    "a tissue of a drop": [6.0, 40.0, 8.0, 20.0, 4.0, 0.1],
    "hardly any clearance": [0.05, 40.0, 8.0, 20.0, 4.0, 50.0],
    "a very fast clearance": [400.0, 40.0, 8.0, 20.0, 4.0, 50.0],
}


@pytest.mark.parametrize("parameters", list(DEGENERATE.values()), ids=list(DEGENERATE))
def test_equal_absent_and_far_apart_rates_are_no_special_case(parameters: list[float]) -> None:
    patient = np.array([parameters])
    conc, area = course(patient, UNEVEN, EVERY_WAY)
    slow_conc, slow_area = reference.solve_expm(by_name(patient), UNEVEN, list(EVERY_WAY))
    assert_allclose(conc, slow_conc, rtol=1e-11)
    assert_allclose(area, slow_area, rtol=1e-11)
    amount = sum(mg for _, _, mg in UNEVEN)
    assert auc_0_inf(patient, UNEVEN) == pytest.approx(amount / parameters[CL], rel=1e-12)


@pytest.mark.parametrize("parameters", list(DEGENERATE.values()), ids=list(DEGENERATE))
def test_rates_are_the_eigenvalues_of_the_generator(parameters: list[float]) -> None:
    generator = np.array(reference.rates(dict(zip(NAMES, parameters, strict=True))))
    expected = np.sort(-np.linalg.eigvals(generator).real)
    actual = rates(np.array([parameters]))[0]
    assert_allclose(actual, expected, rtol=1e-12, atol=1e-15 * expected.max())
    assert actual.sum() == pytest.approx(-np.trace(generator), rel=1e-14)


# --- Laws that hold for every linear system -------------------------------------------------------

HOURS = np.array([0.1, 0.5, 1.7, 6.0, 23.0, 24.0, 24.3, 47.0, 72.2, 96.0, 130.0])


def test_an_infusion_split_in_two_is_one_infusion() -> None:
    whole: list[Infusion] = [(1.0, 3.0, 60.0), (26.0, 1.0, 40.0)]
    parts: list[Infusion] = [
        (1.0, 1.2, 24.0),
        (2.2, 1.8, 36.0),
        (26.0, 0.5, 20.0),
        (26.5, 0.5, 20.0),
    ]
    for single, split in zip(course(ADULT, whole, HOURS), course(ADULT, parts, HOURS), strict=True):
        assert_allclose(single, split, rtol=1e-12)
    assert auc_0_inf(ADULT, whole) == pytest.approx(auc_0_inf(ADULT, parts), rel=1e-14)


def test_twice_the_dose_is_twice_the_exposure_to_the_bit() -> None:
    twice = [(start, hours, 2 * mg) for start, hours, mg in UNEVEN]
    occasions = changing(len(UNEVEN))
    single, double = exposure(occasions, UNEVEN), exposure(occasions, twice)
    for name in ("auc_0_inf", "auc_per_dose", "cmax", "trough"):
        assert_array_equal(getattr(double, name), 2 * getattr(single, name))
    for single_values, double_values in zip(
        course(occasions, UNEVEN, HOURS), course(occasions, twice, HOURS), strict=True
    ):
        assert_array_equal(double_values, 2 * single_values)


def test_two_courses_given_together_add_up() -> None:
    occasions = changing(len(DAILY))
    other = [
        (start, hours, mg) for (start, hours, _), mg in zip(DAILY, (3, 50, 0, 20), strict=True)
    ]
    combined = [
        (start, hours, mg + more[2]) for (start, hours, mg), more in zip(DAILY, other, strict=True)
    ]
    for first, second, sum_ in zip(
        course(occasions, DAILY, HOURS),
        course(occasions, other, HOURS),
        course(occasions, combined, HOURS),
        strict=True,
    ):
        assert_allclose(first + second, sum_, rtol=1e-13)


def test_the_second_of_two_doses_adds_what_it_would_alone() -> None:
    together, _ = course(ADULT, DAILY[:2], HOURS)
    first, _ = course(ADULT, DAILY[:1], HOURS)
    second, _ = course(ADULT, DAILY[1:2], HOURS)
    assert_allclose(together, first + second, rtol=1e-12)


def test_the_clock_may_start_at_any_hour() -> None:
    occasions = changing(len(UNEVEN))
    later = [(start + 64.0, hours, mg) for start, hours, mg in UNEVEN]
    for here, there in zip(
        course(occasions, UNEVEN, HOURS), course(occasions, later, HOURS + 64.0), strict=True
    ):
        assert_allclose(here, there, rtol=1e-12)
    assert_array_equal(
        exposure(occasions, UNEVEN).auc_per_dose, exposure(occasions, later).auc_per_dose
    )


def test_a_kappa_of_zero_is_no_variability_between_doses(model: Model) -> None:
    program = model.program
    tv, _ = program.typical_values(row_of(model, covariates(model)))
    eta = drawn(model, DAILY, seed=4).eta
    zero_kappa = RandomEffects(eta, np.zeros((1, len(DAILY), program.n_kappa)))
    without = replace(program, load_kappa=np.zeros((6, 0)))
    no_kappa = RandomEffects(eta, np.zeros((1, len(DAILY), 0)))
    for with_zero, without_kappa in zip(
        course_concentrations(program, tv, zero_kappa, *columns(DAILY), HOURS),
        course_concentrations(without, tv, no_kappa, *columns(DAILY), HOURS),
        strict=True,
    ):
        assert_allclose(with_zero, without_kappa, rtol=1e-12)


def test_the_quick_way_for_flows_and_volumes_that_move_together_is_the_general_way() -> None:
    kappa = 0.4 * np.random.default_rng(8).standard_normal((1, len(UNEVEN), 2))
    load = np.tile(np.eye(2), (3, 1))
    quick = arguments(ADULT, UNEVEN)._replace(load_kappa=load, kappa=kappa)
    occasions = np.asarray(ADULT * np.exp(kappa[0] @ load.T))
    general = arguments(occasions, UNEVEN)
    assert general.load_kappa.shape == (6, 6)  # each parameter may move alone
    # the parameters of the first dose are the base of the one, of the typical day of the other
    for actual, expected in zip(results_of(quick), results_of(general), strict=True):
        assert_allclose(actual, expected, rtol=1e-12)


def test_a_body_four_times_the_size_has_a_quarter_of_the_concentration_to_the_bit() -> None:
    conc, area = course(ADULT, UNEVEN, HOURS)
    of_large, area_of_large = course(4 * ADULT, UNEVEN, HOURS)
    assert_array_equal(of_large, conc / 4)
    assert_array_equal(area_of_large, area / 4)


def test_flows_twice_as_fast_run_the_clock_twice_as_fast() -> None:
    fast = ADULT.copy()
    fast[:, [CL, Q2, Q3]] *= 2
    sooner = [(start / 2, hours / 2, mg) for start, hours, mg in UNEVEN]
    conc, area = course(ADULT, UNEVEN, HOURS)
    conc_sooner, area_sooner = course(fast, sooner, HOURS / 2)
    assert_array_equal(conc_sooner, conc)
    assert_array_equal(area_sooner, area / 2)


def test_the_two_tissues_have_no_order() -> None:
    exchanged = ADULT[:, [CL, V1, Q3, V3, Q2, V2]]
    for actual, expected in zip(
        course(ADULT, UNEVEN, HOURS), course(exchanged, UNEVEN, HOURS), strict=True
    ):
        assert_allclose(actual, expected, rtol=1e-12)


def test_a_short_infusion_tends_to_a_bolus() -> None:
    start = np.array([1.0])
    conc, _ = course(ADULT, [(0.0, 1e-9, 100.0)], start)
    generator = np.array(reference.rates(dict(zip(NAMES, ADULT[0], strict=True))))
    lam, vectors = np.linalg.eig(generator)
    bolus = (vectors * np.exp(lam)) @ np.linalg.solve(vectors, [100.0, 0.0, 0.0])
    assert conc[0] == pytest.approx(bolus[0] / ADULT[0, V1], rel=1e-8)


def test_a_long_infusion_reaches_rate_over_clearance() -> None:
    conc, _ = course(ADULT, [(0.0, 5000.0, 5000.0)], np.array([5000.0]))
    assert conc[0] == pytest.approx(1.0 / ADULT[0, CL], rel=1e-12)


def test_nothing_is_in_the_blood_until_the_first_dose() -> None:
    conc, area = course(ADULT, UNEVEN, np.array([-5.0, 0.0, 2.0]))
    assert_array_equal(conc, 0.0)
    assert_array_equal(area, 0.0)


def test_a_sample_at_the_instant_of_a_dose_is_taken_before_it() -> None:
    occasions = changing(len(UNEVEN))
    starts = np.array([start for start, _, _ in UNEVEN])
    conc, _ = course(occasions, UNEVEN, starts)
    shortly_before, _ = course(occasions, UNEVEN, starts - 1e-9)
    shortly_after, _ = course(occasions, UNEVEN, starts + 1e-9)
    assert_allclose(conc[1:], shortly_before[1:], rtol=1e-7)
    jump = occasions[:-1, V1] / occasions[1:, V1]  # the amount stays, the volume does not
    assert_allclose(shortly_after[1:], conc[1:] * jump, rtol=1e-6)
    assert np.abs(jump - 1).min() > 0.01


@pytest.mark.parametrize("spread", [0.0, 0.4], ids=["no occasions", "occasions"])
@pytest.mark.parametrize("n", [1, 3 if NOT_COMPILED else 70])
def test_a_regular_grid_gives_what_single_times_give(n: int, spread: float) -> None:
    rng = np.random.default_rng(12)
    kappa = spread * rng.standard_normal((n, len(UNEVEN), 2))
    every = arguments(ADULT, UNEVEN)._replace(
        tv=np.ascontiguousarray(ADULT * np.exp(0.3 * rng.standard_normal((n, 6)))),
        load_kappa=np.tile(np.eye(2), (3, 1)) if spread else np.zeros((6, 0)),
        kappa=kappa if spread else np.zeros((1, len(UNEVEN), 0)),
    )
    for step in (1.0, 0.25, 0.1, 1 / 3):
        grid = np.arange(-2.0, 120.0, step)
        off_grid = np.append(grid, 121.07)
        results = []
        for times in (grid, off_grid):
            conc, area = np.empty((n, times.size)), np.empty((n, times.size))
            assert not kernels.course(*every, times, conc, area).any()
            without, no_area = np.empty((n, times.size)), np.empty((0, 0))
            kernels.course(*every, times, without, no_area)
            assert_array_equal(without, conc)
            results.append((conc, area))
        (conc, area), (alone, area_alone) = results
        assert_allclose(conc, alone[:, :-1], rtol=2e-13, atol=1e-300)
        assert_allclose(area, area_alone[:, :-1], rtol=1e-13)
        assert (conc != alone[:, :-1]).any()  # two ways were compared, not one with itself


def test_on_a_regular_grid_an_impossible_subject_is_alone_in_having_no_numbers() -> None:
    kappa = np.zeros((70, len(UNEVEN), 2))
    kappa[66, 2, 0] = np.nan
    every = arguments(np.repeat(ADULT, 70, axis=0)[:, np.newaxis], UNEVEN)._replace(
        load_kappa=np.tile(np.eye(2), (3, 1)), kappa=kappa
    )
    conc, area = np.empty((70, HOURS.size)), np.empty((70, HOURS.size))
    status = kernels.course(*every, HOURS, conc, area)
    assert_array_equal(np.flatnonzero(status), [66])
    assert np.isnan(conc[66]).all()
    assert np.isnan(area[66]).all()
    assert np.isfinite(np.delete(conc, 66, axis=0)).all()
    assert_array_equal(conc[0], conc[69])


def test_concentrations_do_not_depend_on_whether_areas_are_asked_for() -> None:
    conc, _ = course(ADULT, UNEVEN, HOURS)
    without_area = np.empty((1, HOURS.size))
    kernels.course(*arguments(ADULT, UNEVEN), HOURS, without_area, np.empty((0, 0)))
    assert_array_equal(without_area[0], conc)


# --- Nothing is lost ------------------------------------------------------------------------------


@st.composite
def a_course(draw: st.DrawFn) -> tuple[F8, list[Infusion]]:
    """Parameters of every dose and infusions that do not overlap."""
    n = draw(st.integers(1, 5))
    flow, volume = st.floats(0.5, 40.0), st.floats(1.0, 300.0)
    occasions = [[draw(x) for x in (flow, volume) * 3] for _ in range(n)]
    infusions: list[Infusion] = []
    now = 0.0
    for _ in range(n):
        hours = draw(st.floats(0.1, 6.0))
        infusions.append((now, hours, draw(st.floats(1.0, 100.0))))
        now += hours + draw(st.floats(0.0, 48.0))
    return np.array(occasions), infusions


@given(drawn_course=a_course(), fraction=st.floats(0.01, 1.5))
@settings(max_examples=60, deadline=None)
def test_what_went_in_has_left_or_is_in_the_body(
    drawn_course: tuple[F8, list[Infusion]], fraction: float
) -> None:
    occasions, infusions = drawn_course
    starts = [start for start, _, _ in infusions]
    last, hours, _ = infusions[-1]
    time = fraction * (last + hours)
    _, area = course(occasions, infusions, np.array([*(t for t in starts if t < time), time]))
    left = float(np.diff(area) @ occasions[: area.size - 1, CL])
    states = reference.walk(by_name(occasions), infusions, [time], reference.step_expm)
    body = sum(states[time][1][:3])
    given_so_far = sum(mg * min(max(time - t, 0.0), h) / h for t, h, mg in infusions)
    assert left + body == pytest.approx(given_so_far, rel=1e-11)


@given(drawn_course=a_course())
@settings(max_examples=60, deadline=None)
def test_all_of_it_leaves_in_the_end(drawn_course: tuple[F8, list[Infusion]]) -> None:
    occasions, infusions = drawn_course
    left = exposure(occasions, infusions).auc_per_dose[0] @ occasions[:, CL]
    assert left == pytest.approx(sum(mg for _, _, mg in infusions), rel=1e-12)
    assert auc_0_inf(occasions, infusions) == pytest.approx(
        reference.auc_0_inf(by_name(occasions), infusions), rel=1e-11
    )


# --- Batches --------------------------------------------------------------------------------------


def batch(n: int) -> Arguments:
    """Arguments of n subjects whose parameters change with every dose."""
    rng = np.random.default_rng(6)
    start, duration, _ = columns(UNEVEN)
    return Arguments(
        tv=np.asarray(ADULT * np.exp(0.3 * rng.standard_normal((n, 6)))),
        load_eta=np.eye(6),
        eta=0.2 * rng.standard_normal((n, 6)),
        load_kappa=np.eye(6),
        kappa=0.2 * rng.standard_normal((n, len(UNEVEN), 6)),
        start=start,
        duration=duration,
        amount=rng.uniform(10, 60, (n, len(UNEVEN))),
    )


PER_SUBJECT = ("tv", "eta", "kappa", "amount")


def subset(whole: Arguments, which: slice | NDArray[np.int64]) -> Arguments:
    """Arguments of some of the subjects."""
    parts = {name: np.ascontiguousarray(getattr(whole, name)[which]) for name in PER_SUBJECT}
    return whole._replace(**parts)


def results_of(args: Arguments) -> list[NDArray[Any]]:
    """Results of the two kernels; the last two are their statuses."""
    n = len(args.tv)
    conc, area = np.empty((n, HOURS.size)), np.empty((n, HOURS.size))
    status = kernels.course(*args, HOURS, conc, area)
    return [conc, area, *kernels.exposure(*args), status]


def test_a_subject_alone_is_its_row_in_a_batch_to_the_bit() -> None:
    whole = batch(50)
    together = results_of(whole)
    for i in (0, 17, 49):
        for alone, row in zip(results_of(subset(whole, slice(i, i + 1))), together, strict=True):
            assert_array_equal(alone[0], row[i])


def test_the_order_of_subjects_changes_nothing() -> None:
    whole = batch(50)
    order = np.random.default_rng(1).permutation(50)
    for shuffled, straight in zip(results_of(subset(whole, order)), results_of(whole), strict=True):
        assert_array_equal(shuffled, straight[order])


def test_two_threads_give_the_same_bits_as_one_and_so_does_a_second_run() -> None:
    whole = batch(4000)
    once = results_of(whole)
    halves = [subset(whole, slice(0, 1500)), subset(whole, slice(1500, 4000))]
    with ThreadPoolExecutor(max_workers=2) as pool:
        parts = list(pool.map(results_of, halves))
    for i, (first, again) in enumerate(zip(once, results_of(whole), strict=True)):
        assert_array_equal(again, first)
        assert_array_equal(np.concatenate([part[i] for part in parts]), first)


def test_one_row_stands_for_all_subjects_wherever_they_share_it() -> None:
    n = 7
    whole = batch(n)
    for name in PER_SUBJECT:
        row = getattr(whole, name)[:1]
        shared = whole._replace(**{name: row.copy()})
        repeated = whole._replace(**{name: np.ascontiguousarray(np.repeat(row, n, axis=0))})
        for actual, expected in zip(
            kernels.exposure(*shared), kernels.exposure(*repeated), strict=True
        ):
            assert_array_equal(actual, expected)


# --- What cannot be a patient ---------------------------------------------------------------------

IMPOSSIBLE = [np.nan, -1.0, np.inf, -np.inf]


@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize("name", NAMES)
def test_an_impossible_parameter_harms_nobody_else(name: str, value: float) -> None:
    whole = batch(6)
    healthy = results_of(whole)
    whole.tv[3, NAMES.index(name)] = value
    *results, status, status_of_course = results_of(whole)
    assert_array_equal(status, [0, 0, 0, 1, 0, 0])
    assert_array_equal(status_of_course, status)
    others = np.array([0, 1, 2, 4, 5])
    for actual, expected in zip(results, healthy[:-2], strict=True):
        assert np.isnan(actual[3]).all()
        assert_array_equal(actual[others], expected[others])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["eta", "kappa"])
@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_an_impossible_random_effect_of_one_dose_harms_nobody_else(
    together: bool, name: str, value: float
) -> None:
    whole = batch(6)
    if together:  # one kappa on all flows, one on all volumes
        whole = whole._replace(
            load_kappa=np.tile(np.eye(2), (3, 1)), kappa=np.ascontiguousarray(whole.kappa[..., :2])
        )
    healthy = results_of(whole)
    (whole.kappa[:, 2] if name == "kappa" else whole.eta)[3, 0] = value  # on CL
    with np.errstate(invalid="ignore"):  # numpy warns where kernels run as plain Python
        *results, status, status_of_course = results_of(whole)
    assert_array_equal(status, [0, 0, 0, 1, 0, 0])
    assert_array_equal(status_of_course, status)
    others = np.array([0, 1, 2, 4, 5])
    for actual, expected in zip(results, healthy[:-2], strict=True):
        assert np.isnan(actual[3]).all()
        assert_array_equal(actual[others], expected[others])


@pytest.mark.parametrize("name", ["CL", "V1", "V2", "V3"])
def test_only_a_flow_to_a_tissue_may_be_zero(name: str) -> None:
    whole = batch(3)
    whole.tv[1, NAMES.index(name)] = 0.0
    assert_array_equal(kernels.exposure(*whole)[-1], [0, 1, 0])
    whole = batch(3)
    whole.tv[1, [Q2, Q3]] = 0.0
    assert_array_equal(kernels.exposure(*whole)[-1], [0, 0, 0])


def test_the_first_impossible_row_is_named(model: Model) -> None:
    tv = np.repeat(TYPICAL[np.newaxis], 5, axis=0)
    tv[3:, CL] = np.nan
    typical = RandomEffects.none(model.program, len(DAILY))
    with pytest.raises(InputError, match="row 4"):
        course_exposure(model.program, tv, typical, *columns(DAILY))
    with pytest.raises(InputError, match="row 4"):
        course_concentrations(model.program, tv, typical, *columns(DAILY), HOURS)


def test_a_patient_with_an_unknown_covariate_is_named(model: Model) -> None:
    table = np.repeat(row_of(model, covariates(model)), 3, axis=0)
    table[1, 0] = np.nan
    with pytest.raises(InputError, match="row 2"):
        model.program.typical_values(table)


def test_typical_values_do_not_depend_on_who_else_is_in_the_table(model: Model) -> None:
    rng = np.random.default_rng(3)
    table = np.repeat(row_of(model, covariates(model)), 33, axis=0)
    for column, name in zip(table.T, model.program.covariates, strict=True):
        if not model.categories(name):
            column *= rng.uniform(0.7, 1.4, len(table))
    together, renal = model.program.typical_values(table)
    for i, row in enumerate(table):
        alone = model.program.typical_values(row)
        assert_array_equal(together[i], alone[0][0])
        assert_array_equal(renal[i], alone[1][0])


# --- Compilation ----------------------------------------------------------------------------------


def test_every_kernel_has_one_signature_for_every_model(model: Model) -> None:
    program = model.program
    table = row_of(model, covariates(model))
    readonly = np.repeat(table, 3, axis=0)
    readonly.flags.writeable = False
    start, duration, amount = columns(DAILY)
    for covariate_rows in (table, readonly, np.asfortranarray(np.repeat(table, 2, axis=0))):
        tv, _ = program.typical_values(covariate_rows)
        n = len(tv)
        effects = RandomEffects(
            np.broadcast_to(drawn(model, DAILY, 1).eta, (n, program.n_eta)),
            np.zeros((n, len(DAILY), program.n_kappa)),
        )
        amounts = np.broadcast_to(amount, (n, len(DAILY)))
        whole = course_exposure(program, tv, effects, start, duration, amounts)
        strided = np.repeat(HOURS, 2)[::2]
        _, area = course_concentrations(program, tv, effects, start, duration, amounts, strided)
        assert area.shape == (n, HOURS.size)
        assert (area[:, -1] < whole.auc_0_inf).all()
    kernel: Any = kernels._courses
    if NOT_COMPILED:
        assert isinstance(kernel, FunctionType)
    else:
        (signature,) = kernel.signatures
        assert not any("readonly" in str(kind) for kind in signature)
