"""Estimates from levels, against other engines, slow twins, brute force and theory.

`reference_map` computes the same densities without a line of the package; mapbayr made the golden
estimates. Theory: with the true prior and error, the truth is a draw like any of the posterior.
"""

import csv
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
import reference
import reference_map
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from reference import Infusion, Table
from reference_map import Level
from scipy.special import log_ndtr
from scipy.stats import chi2

from fludapk.errors import ConvergenceError, InputError
from fludapk.pk import posterior as sampling
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, Problem, map_estimate, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure
from fludapk.pk.kernels import estimates as kernels
from fludapk.pk.kernels.arithmetic import BAD_LEVEL, BAD_PARAMETER, NOT_CONVERGED, OK
from fludapk.pk.posterior import Posterior, model_weights, sample_posterior
from fludapk.pk.program import Program
from fludapk.pk.surprise import surprise
from fludapk.published.models import Model, load_model

F8 = NDArray[np.float64]

GOLDEN = Path(__file__).parents[1] / "golden" / "golden_map_mapbayr.csv"

ADULT: F8 = np.array([[9.4, 42.0, 9.1, 22.0, 4.0, 55.0]])
DAILY: list[Infusion] = [(24.0 * day, 0.5, 45.0) for day in range(4)]
HOURS = np.array([1.0, 2.5, 7.0, 24.0])
LIMIT: Final = 0.01


# --- Helpers --------------------------------------------------------------------------------------


class Doses(NamedTuple):
    times_h: F8
    infusion_h: F8
    amounts_mg: F8


def columns(infusions: Sequence[Infusion]) -> Doses:
    start, duration, amount = np.array(infusions, dtype=np.float64).T
    return Doses(start.copy(), duration.copy(), amount[np.newaxis].copy())


def ruv(proportional: float = 0.0, additive: float = 0.0, log: float = 0.0, sds: float = 0.0) -> F8:
    return np.array([proportional, additive, log, sds])


def with_error(program: Program, error: F8) -> Program:
    return replace(program, error=error)


def without_iov(program: Program) -> Program:
    return replace(program, load_kappa=np.zeros((6, 0)), root_omega_iov=np.zeros((0, 0)))


UTRECHT = load_model("langenhorst2019")
IIV_ONLY = without_iov(UTRECHT.program)


def measured(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    infusions: Sequence[Infusion],
    hours: F8,
    rng: np.random.Generator,
    limit: float = 0.0,
) -> Levels:
    """Levels of all patients with residual error, marked where they are below the limit."""
    conc, _ = course_concentrations(program, tv, effects, *columns(infusions), hours)
    noise = rng.standard_normal(conc.shape)
    proportional, additive, log_sd, _ = program.error
    if log_sd > 0.0:
        conc = conc * np.exp(log_sd * noise)
    else:
        conc = conc + np.hypot(proportional * conc, additive) * noise
    below = conc < limit
    return Levels(
        times_h=hours,
        conc_mg_l=np.where(below, np.nan, conc),
        lloq_mg_l=np.where(below, limit, np.nan),
    )


def row(levels: Levels, i: int) -> Levels:
    """Levels of one patient of many."""
    return Levels(
        times_h=levels.times_h[i],
        conc_mg_l=levels.conc_mg_l[i],
        lloq_mg_l=np.broadcast_to(levels.lloq_mg_l, levels.times_h.shape)[i],
    )


def different_patients(n: int, seed: int) -> F8:
    """Typical parameters of children and adults."""
    rng = np.random.default_rng(seed)
    size, kidney = np.exp(rng.uniform(-2.0, 0.4, n)), rng.uniform(0.5, 1.2, n)
    flow = size**0.75
    return np.ascontiguousarray(
        np.stack([kidney * 13 * flow, 39 * size, 8.6 * flow, 20 * size, 3.8 * flow, 50 * size], 1)
    )


def simulated(
    n: int,
    seed: int,
    program: Program = IIV_ONLY,
    infusions: Sequence[Infusion] = DAILY[:1],
    hours: F8 = HOURS,
    limit: float = 0.0,
    tv: F8 = ADULT,
) -> tuple[F8, RandomEffects, MapEstimate]:
    """Standard normals and effects of n patients, and their estimates from simulated levels."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, program.n_eta + len(infusions) * program.n_kappa))
    effects = RandomEffects.from_normals(program, z, len(infusions))
    levels = measured(program, tv, effects, infusions, hours, rng, limit)
    estimate = map_estimates(program, tv, *columns(infusions), levels)
    assert_array_equal(estimate.status, OK)
    return z, effects, estimate


PATIENT: Table = {
    "AGE": 37.0, "WT": 81.0, "HT": 176.0, "BSA": 1.99, "CrCl": 83.0, "GFR": 6.1,
    "product": "tisa_cel", "diagnosis": None, "genotype": "carrier",
}  # fmt: skip


def covariates(model: Model) -> Table:
    diagnoses = model.categories("diagnosis")
    return PATIENT | {"diagnosis": diagnoses[-1] if diagnoses else None}


def typical(model: Model) -> F8:
    values = covariates(model)
    covariate_row = [
        model.categories(name).index(values[name]) if model.categories(name) else values[name]
        for name in model.program.covariates
    ]
    tv, _ = model.program.typical_values(np.array([covariate_row], dtype=np.float64))
    return tv


def slow_levels(levels: Levels) -> list[Level]:
    """Levels of one patient, for the twin."""
    limits = np.broadcast_to(levels.lloq_mg_l, levels.times_h.shape)
    return [
        Level(float(t), None if np.isnan(conc) else float(conc), float(limit))
        for t, conc, limit in zip(levels.times_h[0], levels.conc_mg_l[0], limits[0], strict=True)
    ]


def slow_objective(
    model: Model,
    twin: Table,
    infusions: Sequence[Infusion],
    levels: Levels,
    n_occasions: int,
    solve: reference_map.Solve = reference.solve_expm,
) -> Callable[[F8], float]:
    """-2 log posterior of eta and of the kappas of the known occasions, in one row."""
    n_eta, n_kappa = model.program.n_eta, model.program.n_kappa

    def value(effects: F8) -> float:
        kappas = np.zeros((len(infusions), n_kappa))
        kappas[:n_occasions] = effects[n_eta:].reshape(n_occasions, n_kappa)
        return reference_map.objective(
            twin, covariates(model), infusions, slow_levels(levels), effects[:n_eta], kappas, solve
        )

    return value


def known_effects(estimate: MapEstimate, i: int = 0) -> F8:
    n_occasions = estimate.problem.known_occasions[i]
    return np.concatenate(
        [estimate.effects.eta[i], estimate.effects.kappa[i, :n_occasions].ravel()]
    )


# --- Other engines --------------------------------------------------------------------------------


@pytest.mark.interpreted
def test_golden_estimates_are_those_of_mapbayr() -> None:
    with GOLDEN.open(encoding="utf-8", newline="") as lines:
        table = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(table) == 20

    def read(*names: str) -> F8:
        return np.array([[float(patient[name]) for name in names] for patient in table])

    estimate = map_estimates(
        IIV_ONLY,
        read(*(f"tv_{name}" for name in ("CL", "V1", "Q2", "V2", "Q3", "V3"))),
        np.zeros(1),
        np.array([0.5]),
        read("amount_mg"),
        Levels(times_h=HOURS, conc_mg_l=read("conc_1h", "conc_2_5h", "conc_7h", "conc_24h")),
    )
    assert_array_equal(estimate.status, OK)
    mapbayr = read("eta_CL_mapbayr", "eta_V_mapbayr")
    assert_allclose(estimate.effects.eta, mapbayr, rtol=0, atol=2e-5)


# --- The truth, where it can be known -------------------------------------------------------------


@pytest.mark.parametrize("infusions", [DAILY[:1], DAILY])
def test_levels_without_error_give_the_true_effects_back(infusions: list[Infusion]) -> None:
    tiny = ruv(proportional=1e-6)
    z = np.random.default_rng(3).standard_normal((200, 2))
    truth = RandomEffects.from_normals(IIV_ONLY, z, len(infusions))
    conc, _ = course_concentrations(IIV_ONLY, ADULT, truth, *columns(infusions), HOURS)
    levels = Levels(times_h=HOURS, conc_mg_l=conc)
    estimate = map_estimates(with_error(IIV_ONLY, tiny), ADULT, *columns(infusions), levels)
    assert_array_equal(estimate.status, OK)
    assert_allclose(estimate.effects.eta, truth.eta, rtol=0, atol=1e-6)


def test_without_a_level_nothing_is_learnt() -> None:
    no_levels = Levels(times_h=np.full((1, 1), np.nan), conc_mg_l=np.full((1, 1), np.nan))
    program = UTRECHT.program
    estimate = map_estimates(program, ADULT, *columns(DAILY), no_levels)
    assert_array_equal(estimate.status, OK)
    assert_array_equal(estimate.normals, 0.0)
    assert_allclose(estimate.covariance_of_normals[0], np.eye(10), rtol=0, atol=1e-15)
    assert estimate.log_marginal_likelihood[0] == pytest.approx(0.0, abs=1e-12)
    prior = program.root_omega @ program.root_omega.T
    assert_allclose(estimate.covariance[0, :2, :2], prior, rtol=1e-14)


def test_one_level_on_the_log_scale_of_a_flat_model_has_a_closed_form() -> None:
    # One compartment, one eta on clearance and volume together: while the infusion has hardly
    # begun ln f = const - eta, and so everything is normal and linear.
    program = replace(
        IIV_ONLY, load_eta=np.ones((6, 1)), root_omega=np.array([[0.4]]), compartments=1
    )
    tv = np.array([[6.0, 40.0, 0.0, 1.0, 0.0, 1.0]])
    f = 45.0 / 0.5 * 6e-5 / 40.0 * -math.expm1(-6.0 / 40.0 * 6e-5) / (6.0 / 40.0 * 6e-5)
    level = Levels(times_h=np.array([6e-5]), conc_mg_l=np.array([f * 1.3]))
    estimate = map_estimate(
        with_error(program, ruv(log=0.3)), tv, *columns(DAILY[:1]), level
    )  # fmt: skip
    weight = 0.4**2 / (0.4**2 + 0.3**2)
    assert estimate.effects.eta[0, 0] == pytest.approx(-weight * math.log(1.3), abs=1e-8)
    assert estimate.covariance[0, 0, 0] == pytest.approx(0.4**2 * (1 - weight), rel=1e-6)
    spread = math.hypot(0.4, 0.3)
    density = math.exp(-0.5 * (math.log(1.3) / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    expected = math.log(density / (f * 1.3))  # per mg/L, not per unit of the logarithm
    assert estimate.log_marginal_likelihood[0] == pytest.approx(expected, abs=1e-6)


# --- The objective --------------------------------------------------------------------------------

ERRORS = {
    "proportional": ruv(proportional=0.1),
    "additive": ruv(additive=0.03),
    "both": ruv(proportional=0.1, additive=0.02),
    "SDs that add": ruv(proportional=0.1, additive=0.02, sds=1.0),
    "log": ruv(log=0.25),
}
SPREAD_OUT = np.array([0.3, 0.5, 6.0, 23.9, 24.2, 31.0, 31.0, 48.0, 60.0])
"""During and at the ends of infusions, at the next dose, replicates, on the last known occasion."""


def ruv_of_twin(error: F8) -> Table:
    *sds, adds = error.tolist()
    kinds = zip(("proportional", "additive", "log"), sds, strict=True)
    table: Table = {name: {"value": value} for name, value in kinds if value}
    return table | ({"combined": "sds"} if adds else {})


def problem_off_the_mode(model: Model, error: F8, seed: int) -> tuple[Problem, Levels, F8]:
    """A course with some levels below the limit, and effects that are not its mode."""
    program = with_error(model.program, error)
    rng = np.random.default_rng(seed)
    d = program.n_eta + len(DAILY) * program.n_kappa
    effects = RandomEffects.from_normals(program, rng.standard_normal((1, d)), len(DAILY))
    tv = typical(model)
    conc, _ = course_concentrations(program, tv, effects, *columns(DAILY), SPREAD_OUT)
    limit = float(np.quantile(conc, 0.4))
    levels = measured(program, tv, effects, DAILY, SPREAD_OUT, rng, limit)
    assert levels.is_below.any()
    assert not levels.is_below.all()
    problem = Problem(program, typical(model), *columns(DAILY), levels)
    return problem, levels, rng.standard_normal((1, d))


@pytest.mark.parametrize("kind", ERRORS)
def test_the_objective_and_its_gradient_are_those_of_the_twin(
    kind: str, model: Model, twin: Table
) -> None:
    problem, levels, z = problem_off_the_mode(model, ERRORS[kind], seed=5)
    n_occasions = int(problem.known_occasions[0])
    assert n_occasions == 3  # of four: the last level was drawn at 60 h
    d = model.program.n_eta + n_occasions * model.program.n_kappa
    gradient = np.empty_like(z)
    value = kernels.log_posterior(*problem.arguments, z, gradient)[0]

    slow = slow_objective(
        model, twin | {"ruv": ruv_of_twin(ERRORS[kind])}, DAILY, levels, n_occasions
    )

    def at_normals(x: F8) -> float:
        whole = np.concatenate([x, np.zeros(z.size - d)])[np.newaxis]
        effects = problem.effects(whole)
        return slow(np.concatenate([effects.eta[0], effects.kappa[0, :n_occasions].ravel()]))

    assert value == pytest.approx(at_normals(z[0, :d]), rel=1e-10)
    assert_allclose(
        gradient[0, :d], reference_map.slope(at_normals, z[0, :d], 3e-3), rtol=1e-7, atol=1e-6
    )
    assert_array_equal(gradient[0, d:], 0.0)
    without = kernels.log_posterior(*problem.arguments, z, np.empty((0, 0)))[0]
    assert without == value


@pytest.mark.interpreted
def test_the_gradient_is_the_complex_step_of_the_textbook_solution() -> None:
    n = 40
    z = np.random.default_rng(8).standard_normal((n, 2))
    tv = different_patients(n, seed=9)
    levels = Levels(times_h=HOURS, conc_mg_l=np.random.default_rng(1).uniform(0.1, 1.0, (n, 4)))
    problem = Problem(IIV_ONLY, tv, *columns(DAILY[:2]), levels)
    gradient = np.empty_like(z)
    value = kernels.log_posterior(*problem.arguments, z, gradient)

    def textbook(x: NDArray[Any]) -> NDArray[Any]:
        return reference_map.objectives(
            x, tv, DAILY[:2], HOURS, levels.conc_mg_l, math.nan, 0.063
        )  # fmt: skip

    assert_allclose(value, textbook(z), rtol=1e-10)
    h = 1e-30
    for j in range(2):
        step = np.zeros(2, dtype=complex)
        step[j] = 1j * h
        assert_allclose(gradient[:, j], textbook(z + step).imag / h, rtol=1e-9, atol=1e-7)


NEARLY_EQUAL = {
    "k21 equal to k31": [6.0, 40.0, 8.0, 20.0, 16.0, 40.0],
    "both tissues the same": [6.0, 40.0, 8.0, 20.0, 8.0, 20.0],
    "k21 nearly k31": [6.0, 40.0, 8.0, 20.0, 16.0, 40.0 * (1 + 1e-9)],
    "nearly equal eigenvalues": [4.0, 40.0, 1e-5, 1.0001e-4, 2e-5, 2.0001e-4],
    "a tiny flow": [6.0, 40.0, 1e-12, 20.0, 4.0, 50.0],
    "an endless tissue": [6.0, 40.0, 8.0, 20.0, 4.0, 4e7],
    "one compartment": [6.0, 40.0, 0.0, 1.0, 0.0, 1.0],
}


@pytest.mark.parametrize("parameters", list(NEARLY_EQUAL.values()), ids=list(NEARLY_EQUAL))
def test_the_gradient_does_not_mind_equal_rates(parameters: list[float]) -> None:
    # Every parameter has its own eta and its own kappa, and amounts cross occasions.
    own = replace(
        IIV_ONLY,
        load_eta=np.eye(6), root_omega=np.eye(6), load_kappa=np.eye(6), root_omega_iov=np.eye(6),
    )  # fmt: skip
    hours = np.array([0.2, 3.0, 24.0, 24.3, 40.0])
    levels = Levels(times_h=hours, conc_mg_l=np.array([0.5, 0.3, 0.1, 0.4, 0.2]))
    problem = Problem(
        with_error(own, ruv(log=0.5)), np.array([parameters]), *columns(DAILY[:2]), levels
    )
    gradient = np.empty((1, 18))
    kernels.log_posterior(*problem.arguments, np.zeros((1, 18)), gradient)

    def slow(x: F8) -> float:
        names = ("CL", "V1", "Q2", "V2", "Q3", "V3")
        moved: F8 = np.array(parameters) * np.exp(x[:6] + x[6:].reshape(2, 6))
        occasions = [dict(zip(names, map(float, values), strict=True)) for values in moved]
        conc, _ = reference.solve_expm(occasions, DAILY[:2], list(hours))
        return float(x @ x + np.sum((np.log(levels.conc_mg_l[0] / conc) / 0.5) ** 2))

    expected = reference_map.slope(slow, np.zeros(18), 5e-3)
    assert_allclose(gradient[0], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.interpreted
def test_the_probability_of_a_level_below_the_limit_holds_in_the_far_tail() -> None:
    # A limit of 0.01 mg/L where 1 mg/L is expected; one level, and the prior's part taken off.
    for sd in (3.0, 0.5, 0.231, 0.2301, 0.1, 0.01):
        level = Levels(times_h=np.array([1.0]), conc_mg_l=np.array([np.nan]), lloq_mg_l=0.01)
        problem = Problem(with_error(IIV_ONLY, ruv(log=sd)), ADULT, *columns(DAILY[:1]), level)
        z, gradient = np.zeros((1, 2)), np.empty((1, 2))
        value = kernels.log_posterior(*problem.arguments, z, gradient)[0]
        f = reference_map.concentrations(ADULT, DAILY[:1], np.array([1.0]))[0, 0]
        u = math.log(0.01 / f) / sd
        assert value == pytest.approx(-2 * float(log_ndtr(u)), rel=1e-11)
        steps = [kernels.log_posterior(*problem.arguments, z + np.array([[0.0, h]]), gradient)[0]
                 for h in (-1e-4, 1e-4)]  # fmt: skip
        kernels.log_posterior(*problem.arguments, z, gradient)
        assert gradient[0, 1] == pytest.approx((steps[1] - steps[0]) / 2e-4, rel=1e-5)


# --- The minimum ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "limit"),
    [(HOURS, 0.0), (np.array([3.0]), 0.0), (np.array([2.0, 23.0]), 0.03)],
    ids=["four levels", "one level", "a peak and a trough, often below the limit"],
)
def test_no_search_from_twenty_starts_finds_a_better_minimum_of_500_patients(
    hours: F8, limit: float
) -> None:
    n = 500
    tv = different_patients(n, seed=4)
    _, _, estimate = simulated(n, seed=6, hours=hours, limit=limit, tv=tv)
    levels = estimate.problem.levels
    starts = 2.0 * np.random.default_rng(2).standard_normal((n, 20, 2))
    starts[:, 0] = 0.0

    def function(x: F8, patients: NDArray[np.int64]) -> F8:
        return reference_map.objectives(
            x, tv[patients], DAILY[:1], hours, levels.conc_mg_l[patients], limit, 0.063
        )

    lowest = reference_map.lowest_of_many(function, starts)
    assert_allclose(estimate.objective, lowest, rtol=0, atol=1e-6)
    assert_allclose(function(estimate.normals, np.arange(n)), lowest, rtol=0, atol=1e-6)


def test_a_patient_against_the_model_may_have_two_minima_and_the_lower_is_found() -> None:
    # Levels of people four times as variable as the model says.
    n, hours = 300, np.array([3.0])
    z = 4.0 * np.random.default_rng(5).standard_normal((n, 2))
    effects = RandomEffects.from_normals(IIV_ONLY, z, 1)
    conc, _ = course_concentrations(IIV_ONLY, ADULT, effects, *columns(DAILY[:1]), hours)
    levels = Levels(times_h=hours, conc_mg_l=conc)
    estimate = map_estimates(IIV_ONLY, ADULT, *columns(DAILY[:1]), levels)
    assert_array_equal(estimate.status, OK)

    def function(x: F8, patients: NDArray[np.int64]) -> F8:
        return reference_map.objectives(
            x, ADULT, DAILY[:1], hours, conc[patients], math.nan, 0.063
        )  # fmt: skip

    starts = np.zeros((n, 1, 2))
    from_zero = reference_map.lowest_of_many(function, starts)
    many = 3.0 * np.random.default_rng(2).standard_normal((n, 20, 2))
    lowest = np.minimum(from_zero, reference_map.lowest_of_many(function, many))
    assert np.sum(from_zero > lowest + 1e-3) > 5
    assert np.all(estimate.objective <= lowest + 1e-6)


@pytest.mark.parametrize("name", ["langenhorst2019", "mohanan2017"])
def test_patients_with_iov_and_levels_below_the_limit_agree_with_a_plain_search(name: str) -> None:
    model = load_model(name)
    twin = reference.load(model.path)
    infusions, hours = DAILY[:3], np.array([1.0, 6.0, 23.0, 24.7, 47.0])
    n = 4
    _, _, estimate = simulated(
        n, seed=12, program=model.program, infusions=infusions, hours=hours,
        limit={"langenhorst2019": 0.045, "mohanan2017": 0.2}[name], tv=typical(model),
    )  # fmt: skip
    assert estimate.problem.levels.is_below.any()
    assert_array_equal(estimate.problem.known_occasions, 2)
    for i in range(n):
        levels = row(estimate.problem.levels, i)
        slow = slow_objective(model, twin, infusions, levels, n_occasions=2)
        mode = known_effects(estimate, i)
        assert estimate.objective[i] == pytest.approx(slow(mode), rel=1e-9)
        value, effects = reference_map.lowest(slow, np.zeros(mode.size))
        assert estimate.objective[i] <= value + 1e-7
        assert_allclose(mode, effects, rtol=0, atol=1e-4)
        by_ode = slow_objective(model, twin, infusions, levels, 2, reference.solve)(mode)
        assert by_ode == pytest.approx(estimate.objective[i], rel=1e-8)


def test_every_model_has_a_minimum_where_the_gradient_is_zero(model: Model) -> None:
    program, n = model.program, 40
    _, _, estimate = simulated(
        n, seed=1, program=program, infusions=DAILY,
        hours=np.array([0.5, 4.0, 23.0, 48.5, 71.0]), limit=0.05, tv=typical(model),
    )  # fmt: skip
    gradient = np.empty_like(estimate.normals)
    value = kernels.log_posterior(*estimate.problem.arguments, estimate.normals, gradient)
    assert_array_equal(value, estimate.objective)
    assert np.abs(gradient).max() < 1e-5
    around = np.random.default_rng(0).standard_normal((200, n, program.n_eta + 4 * program.n_kappa))
    for z in around:
        near = estimate.normals + 0.05 * z
        assert np.all(
            kernels.log_posterior(*estimate.problem.arguments, near, np.empty((0, 0))) >= value
        )


def test_the_covariance_is_the_inverse_of_the_second_derivatives() -> None:
    _, _, estimate = simulated(5, seed=21, hours=np.array([1.0, 6.0]), limit=0.0)
    h = 1e-4

    def gradients(z: F8) -> F8:
        out = np.empty_like(z)
        kernels.log_posterior(*estimate.problem.arguments, z, out)
        return out

    second = np.stack([
        (gradients(estimate.normals + h * e) - gradients(estimate.normals - h * e)) / (2 * h)
        for e in np.eye(2)
    ], axis=1)  # fmt: skip
    assert_allclose(estimate.covariance_of_normals, 2 * np.linalg.inv(second), rtol=1e-5)
    root = IIV_ONLY.root_omega
    assert_allclose(estimate.covariance, root @ estimate.covariance_of_normals @ root.T, rtol=1e-14)


def test_kappa_of_an_occasion_after_the_last_level_is_zero_and_as_uncertain_as_before() -> None:
    program = UTRECHT.program
    _, _, estimate = simulated(
        20, seed=2, program=program, infusions=DAILY, hours=np.array([1.0, 24.0, 30.0])
    )
    assert_array_equal(estimate.problem.known_occasions, 2)
    assert_array_equal(estimate.effects.kappa[:, 2:], 0.0)
    assert np.all(estimate.effects.kappa[:, :2] != 0.0)
    prior = program.root_omega_iov @ program.root_omega_iov.T
    assert_allclose(estimate.covariance[:, 6:8, 6:8], np.tile(prior, (20, 1, 1)), rtol=1e-14)
    assert_array_equal(estimate.covariance[:, 6:, :6], 0.0)


def test_an_occasion_before_the_first_level_is_known_because_it_leaves_drug_behind() -> None:
    program = UTRECHT.program
    _, _, estimate = simulated(
        20, seed=2, program=program, infusions=DAILY, hours=np.array([49.0, 60.0])
    )
    assert_array_equal(estimate.problem.known_occasions, 3)
    assert np.all(estimate.effects.kappa[:, :3] != 0.0)


# --- The posterior --------------------------------------------------------------------------------


def patient_estimate(estimate: MapEstimate, i: int) -> MapEstimate:
    """The estimate of one patient of many who share doses and typical parameters."""
    p = estimate.problem
    return map_estimate(p.program, p.tv, p.times_h, p.infusion_h, p.amounts_mg, row(p.levels, i))


def uniform(ranks: NDArray[np.int64], draws: int, bins: int = 20) -> bool:
    """Tell if ranks among `draws` draws, 0 to draws, are spread evenly."""
    counts = np.bincount(ranks * bins // (draws + 1), minlength=bins)
    expected = len(ranks) / bins
    return bool(np.sum((counts - expected) ** 2) / expected < chi2.ppf(0.999, bins - 1))


DRAWS: Final = 99


def few(estimate: MapEstimate, seed: int) -> Posterior:
    """A posterior of no more than 512 points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "REPLICATES", 4)
        return sample_posterior(estimate, seed=seed, log2_points=7, enough=0.0)


@pytest.fixture(scope="module")
def ranks() -> NDArray[np.int64]:
    """Ranks of the true eta_CL, eta_V and AUC of 2000 patients among draws of their posteriors."""
    _, truth, estimate = simulated(2000, seed=31, hours=np.array([1.0, 5.0, 23.0]), limit=0.02)
    assert 0.02 < estimate.problem.levels.is_below.mean() < 0.2
    ranks = []
    for i in range(2000):
        draws = few(patient_estimate(estimate, i), seed=i).draws(DRAWS)
        eta = np.vstack([draws.eta, truth.eta[i]])
        auc = 45.0 / (ADULT[0, 0] * np.exp(eta[:, 0]))
        values = np.column_stack([eta, auc])
        ranks.append((values[:-1] < values[-1]).sum(axis=0))
    return np.array(ranks)


def test_the_truth_has_any_rank_among_the_draws(ranks: NDArray[np.int64]) -> None:
    for column in ranks.T:
        assert uniform(column, DRAWS)


def test_ninety_percent_intervals_of_the_auc_hold_the_truth_in_ninety_percent(
    ranks: NDArray[np.int64],
) -> None:
    inside = (ranks[:, 2] >= 5) & (ranks[:, 2] < 95)
    assert 0.88 < inside.mean() < 0.92


def test_the_truth_has_any_rank_with_iov_and_occasions_still_to_come() -> None:
    program, n = UTRECHT.program, 250
    _, truth, estimate = simulated(
        n, seed=41, program=program, infusions=DAILY[:3], hours=np.array([2.0, 23.0, 25.0])
    )
    doses = columns(DAILY[:3])
    auc = course_exposure(program, ADULT, truth, *doses).auc_0_inf
    rows = []
    for i in range(n):
        draws = few(patient_estimate(estimate, i), seed=i).draws(59)
        sampled = course_exposure(program, ADULT, draws, *doses).auc_0_inf
        last = draws.kappa[:, 2] < truth.kappa[i, 2]
        first = draws.kappa[:, 0] < truth.kappa[i, 0]
        rows.append([(sampled < auc[i]).sum(), *first.sum(axis=0), *last.sum(axis=0)])
    table = np.array(rows)
    for column in table.T:
        assert uniform(column, 59, bins=10)
    assert 0.85 < np.mean((table[:, 0] >= 3) & (table[:, 0] < 57)) < 0.95


CROOKED = {
    "four levels": (HOURS, np.array([0.7, 0.45, 0.2, 0.04])),
    "one trough": (np.array([23.0]), np.array([0.04])),
    "one level, two modes": (np.array([3.0]), np.array([0.12])),
}


@pytest.mark.parametrize(("hours", "conc"), list(CROOKED.values()), ids=list(CROOKED))
def test_a_sample_agrees_with_the_posterior_on_a_grid(hours: F8, conc: F8) -> None:
    estimate = map_estimate(
        IIV_ONLY, ADULT, *columns(DAILY[:1]), Levels(times_h=hours, conc_mg_l=conc)
    )
    sample = sample_posterior(estimate, seed=1)
    axis = np.linspace(-6.5, 6.5, 651)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    objective = reference_map.objectives(grid, ADULT[0], DAILY[:1], hours, conc, math.nan, 0.063)
    density = np.exp(-0.5 * (objective - objective.min()))
    normals = np.linalg.solve(IIV_ONLY.root_omega, sample.effects.eta.T)
    for j in range(2):
        marginal = density.sum(axis=1 - j)
        marginal /= marginal.sum()
        mean = marginal @ axis
        sd = math.sqrt(marginal @ (axis - mean) ** 2)
        sampled_mean = sample.weights @ normals[j]
        sampled_sd = math.sqrt(sample.weights @ (normals[j] - sampled_mean) ** 2)
        assert sampled_mean == pytest.approx(mean, abs=0.01 * sd)
        assert sampled_sd == pytest.approx(sd, rel=0.02)
        middle = np.cumsum(marginal) - marginal / 2
        for p in (0.05, 0.25, 0.5, 0.75, 0.95):
            value = np.interp(p, middle, axis)
            assert sample.weights[normals[j] <= value].sum() == pytest.approx(p, abs=0.006)
    volume = density.sum() * (axis[1] - axis[0]) ** 2 / (2 * math.pi)
    exact = math.log(volume) - 0.5 * objective.min() - conc.size * 0.5 * math.log(2 * math.pi)
    error = 4 * sample.log_marginal_likelihood_se
    assert sample.log_marginal_likelihood == pytest.approx(exact, abs=max(error, 1e-3))


def test_metropolis_takes_over_where_weights_are_uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 300
    _, truth, estimate = simulated(n, seed=51, hours=np.array([3.0]))
    monkeypatch.setattr(sampling, "TOO_UNEVEN", math.inf)
    monkeypatch.setattr(sampling, "REPLICATES", 2)
    monkeypatch.setattr(sampling, "CHAINS", 40)
    monkeypatch.setattr(sampling, "MOVES", 30)
    ranks = np.empty((n, 2), dtype=np.int64)
    for i in range(n):
        sample = sample_posterior(patient_estimate(estimate, i), seed=i, log2_points=6)
        assert sample.method == "metropolis"
        assert sample.effective_size <= 80
        assert 0.05 < sample.acceptance < 0.95
        ranks[i] = (sample.draws(79).eta < truth.eta[i]).sum(axis=0)
    assert len(np.unique(sample.effects.eta[:, 0])) > 70
    assert uniform(ranks[:, 0], 79, bins=10)
    assert uniform(ranks[:, 1], 79, bins=10)


def spread_and_stated(samples: list[Posterior]) -> tuple[float, float]:
    """SD between seeds of the probability that eta_CL is below its median, and what is stated."""
    median = float(np.median(samples[0].draws(1001).eta[:, 0]))
    reached = [sample.weights[sample.effects.eta[:, 0] < median].sum() for sample in samples]
    stated = [sample.probability_se(sample.effects.eta[:, 0]) for sample in samples]
    return float(np.std(reached, ddof=1)), math.sqrt(np.mean(np.square(stated)))


@pytest.mark.parametrize(("hours", "conc"), list(CROOKED.values()), ids=list(CROOKED))
def test_another_seed_moves_a_probability_by_no_more_than_is_stated(hours: F8, conc: F8) -> None:
    estimate = map_estimate(
        IIV_ONLY, ADULT, *columns(DAILY[:1]), Levels(times_h=hours, conc_mg_l=conc)
    )
    samples = [sample_posterior(estimate, seed=seed) for seed in range(20)]
    spread, stated = spread_and_stated(samples)
    assert spread < 0.002
    assert spread < 1.4 * stated < 0.005


def test_metropolis_steps_state_the_error_that_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TOO_UNEVEN", math.inf)
    monkeypatch.setattr(sampling, "CHAINS", 64)
    monkeypatch.setattr(sampling, "MOVES", 40)
    _, _, estimate = simulated(1, seed=51, hours=np.array([3.0]))
    samples = [sample_posterior(estimate, seed=seed, enough=math.inf) for seed in range(20)]
    spread, stated = spread_and_stated(samples)
    assert 0.01 < stated < 0.05
    assert 0.5 < spread / stated < 1.5
    for sample in samples:
        assert sample.method == "metropolis"
        assert 100 < sample.effective_size <= len(sample.weights) == 16 * 64


def test_a_posterior_is_the_same_for_the_same_seed_and_differs_for_another() -> None:
    _, _, estimate = simulated(1, seed=1)
    first, again, other = (few(estimate, seed).effects.eta for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert not np.any(first == other)


def test_laplace_comes_near_the_importance_sampled_marginal_likelihood() -> None:
    _, _, estimate = simulated(10, seed=17)
    for i in range(10):
        single = patient_estimate(estimate, i)
        assert single.log_marginal_likelihood[0] == estimate.log_marginal_likelihood[i]
        sample = sample_posterior(single, seed=i)
        assert sample.method == "importance"
        assert sample.log_marginal_likelihood_se < 0.01
        assert sample.log_marginal_likelihood == pytest.approx(
            single.log_marginal_likelihood[0], abs=0.05
        )


def test_model_weights_find_the_model_that_made_the_levels() -> None:
    wrong = ADULT * np.array([2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    _, _, right = simulated(50, seed=19)
    p = right.problem
    other = map_estimates(p.program, wrong, p.times_h, p.infusion_h, p.amounts_mg, p.levels)
    weights = np.array([
        model_weights(pair)
        for pair in zip(right.log_marginal_likelihood, other.log_marginal_likelihood, strict=True)
    ])  # fmt: skip
    assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-14)
    assert np.median(weights[:, 0]) > 0.8
    assert_allclose(model_weights([-800.0, -800.0], prior=[3.0, 1.0]), [0.75, 0.25])


def test_a_posterior_needs_one_patient_who_converged() -> None:
    _, _, estimate = simulated(2, seed=1)
    with pytest.raises(ValueError, match="one patient"):
        sample_posterior(estimate, seed=1)
    with pytest.raises(ValueError, match="one patient"):
        surprise(estimate)


# --- Surprises ------------------------------------------------------------------------------------


def test_a_level_that_does_not_belong_is_named() -> None:
    _, _, estimate = simulated(1, seed=1)
    assert surprise(estimate).messages() == []
    conc = estimate.problem.levels.conc_mg_l[0].copy()
    conc[2] *= 3.506  # micromolar taken for mg/L
    p = estimate.problem
    mixed_up = map_estimate(
        p.program, ADULT, *columns(DAILY[:1]), Levels(times_h=HOURS, conc_mg_l=conc)
    )
    messages = surprise(mixed_up).messages(["eta_CL", "eta_V"])
    assert any(m.startswith("level 3 (7 h,") and "does not fit" in m for m in messages)


def test_an_unusual_patient_is_named_though_every_level_fits() -> None:
    far = RandomEffects(np.array([[0.0, 4.5 * IIV_ONLY.root_omega[1, 1]]]), np.zeros((1, 1, 0)))
    conc, _ = course_concentrations(IIV_ONLY, ADULT, far, *columns(DAILY[:1]), HOURS)
    levels = Levels(times_h=HOURS, conc_mg_l=conc[0])
    estimate = map_estimate(IIV_ONLY, ADULT, *columns(DAILY[:1]), levels)
    scores = surprise(estimate)
    assert np.all(np.abs(scores.fitted) < 1.5)
    assert scores.eta[1] == pytest.approx(4.3, abs=0.3)
    messages = scores.messages(["eta_CL", "eta_V"])
    assert any(m.startswith("eta_V is +4") for m in messages)
    assert any("unusual for such a patient" in m for m in messages)
    assert any(m.startswith("eta 2 is") for m in scores.messages())


def test_an_unusual_occasion_is_named() -> None:
    program = UTRECHT.program
    kappa = np.zeros((1, 2, 2))
    kappa[0, 1, 1] = 7 * program.root_omega_iov[1, 1]
    odd = RandomEffects(np.zeros((1, 2)), kappa)
    hours = np.array([1.0, 2.0, 6.0, 12.0, 25.0, 26.0, 30.0, 36.0])
    conc, _ = course_concentrations(program, ADULT, odd, *columns(DAILY[:2]), hours)
    levels = Levels(times_h=hours, conc_mg_l=conc[0])
    estimate = map_estimate(program, ADULT, *columns(DAILY[:2]), levels)
    assert any(m.startswith("kappa 2 of dose 2 is +") for m in surprise(estimate).messages())


def test_residuals_are_those_of_the_textbook() -> None:
    levels = Levels(
        times_h=np.array([0.0, 1.0, 7.0, 60.0]),
        conc_mg_l=np.array([np.nan, 0.8, np.nan, np.nan]),
        lloq_mg_l=0.05,
    )
    f = reference_map.concentrations(ADULT[0], DAILY[:1], levels.times_h[0])
    for error, sd in ((ruv(proportional=0.2, additive=0.01), np.hypot(0.2 * f, 0.01)),
                      (ruv(log=0.3), np.full(4, 0.3))):  # fmt: skip
        estimate = map_estimate(with_error(IIV_ONLY, error), ADULT, *columns(DAILY[:1]), levels)
        scores = surprise(estimate)
        if not error[2]:
            expected = np.array([0.0, (0.8 - f[1]) / sd[1], (0.05 - f[2]) / sd[2], 0.0])
        else:
            expected = np.array([0.0, np.log(0.8 / f[1]), np.log(0.05 / f[2]), 0.0]) / 0.3
        assert_allclose(scores.typical, expected, rtol=1e-12)
        assert np.all(np.isfinite(scores.expected))
        assert abs(scores.fitted[2]) < abs(scores.typical[2])


def test_normal_scores_of_simulated_levels_are_standard_normal() -> None:
    _, _, estimate = simulated(300, seed=23, hours=np.array([5.0]))
    scores = np.array([surprise(patient_estimate(estimate, i)).expected[0] for i in range(300)])
    assert abs(scores.mean()) < 0.2
    assert scores.std() == pytest.approx(1.0, abs=0.12)


# --- Any schedule, any thread, any order ----------------------------------------------------------


def batch(n: int) -> tuple[F8, Doses, Levels]:
    """Patients with IOV, courses and numbers of levels of their own, some below the limit."""
    rng = np.random.default_rng(77)
    tv = different_patients(n, seed=78)
    start = np.cumsum(rng.uniform(12.0, 30.0, (n, 4)), axis=1)
    amounts = 45.0 * (tv[:, 1:2] / 39.0) * rng.uniform(0.5, 1.5, (n, 4))
    amounts[::3, 3] = 0.0
    doses = Doses(start, rng.uniform(0.3, 1.0, (n, 4)), amounts)
    times = np.sort(start[:, :1] + rng.uniform(0.0, 70.0, (n, 6)), axis=1)
    conc = rng.uniform(0.02, 1.0, (n, 6))
    absent = np.arange(6) >= rng.integers(1, 7, n)[:, None]
    return tv, doses, Levels(
        times_h=np.where(absent, np.nan, times),
        conc_mg_l=np.where(absent | (conc < 0.2), np.nan, conc),
        lloq_mg_l=np.where(absent, np.nan, 0.02),
    )  # fmt: skip


def results(tv: F8, doses: Doses, levels: Levels, rows: slice | NDArray[np.int64]) -> list[Any]:
    """Every array of the estimates of some rows."""
    estimate = map_estimates(
        UTRECHT.program,
        tv[rows],
        doses.times_h[rows],
        doses.infusion_h[rows],
        doses.amounts_mg[rows],
        Levels(
            times_h=levels.times_h[rows],
            conc_mg_l=levels.conc_mg_l[rows],
            lloq_mg_l=np.asarray(levels.lloq_mg_l)[rows],
        ),
    )
    return [
        estimate.normals, estimate.objective, estimate.covariance_of_normals,
        estimate.predicted_mg_l, estimate.evaluations, estimate.status,
    ]  # fmt: skip


def test_the_order_of_patients_changes_nothing() -> None:
    patients = batch(60)
    straight = results(*patients, slice(None))
    order = np.random.default_rng(1).permutation(60)
    for shuffled, first in zip(results(*patients, order), straight, strict=True):
        assert_array_equal(shuffled, first[order])
    assert np.mean(straight[-1] == OK) > 0.95


def test_two_threads_give_the_same_bits_as_one() -> None:
    patients = batch(80)
    single_thread = results(*patients, slice(None))
    with ThreadPoolExecutor(max_workers=2) as pool:
        parts = list(pool.map(lambda part: results(*patients, part),
                              (slice(0, 30), slice(30, 80))))  # fmt: skip
    for i, whole in enumerate(single_thread):
        assert_array_equal(np.concatenate([part[i] for part in parts]), whole)


def test_a_patient_alone_is_the_row_of_a_batch_with_padding_left_out() -> None:
    tv, doses, levels = batch(30)
    together = results(tv, doses, levels, slice(None))
    for i in (0, 3, 8, 29):
        m = int(levels.is_level[i].sum())
        alone = map_estimate(
            UTRECHT.program, tv[i], doses.times_h[i], doses.infusion_h[i],
            doses.amounts_mg[i],
            Levels(times_h=levels.times_h[i, :m], conc_mg_l=levels.conc_mg_l[i, :m],
                   lloq_mg_l=0.02),
        )  # fmt: skip
        assert_array_equal(alone.normals[0], together[0][i])
        assert_array_equal(alone.predicted_mg_l[0], together[3][i, :m])


def test_one_row_stands_for_all_patients_who_share_it() -> None:
    levels = Levels(times_h=HOURS, conc_mg_l=np.array([[0.8, 0.5, 0.2, 0.05]]))
    tv = np.repeat(ADULT, 3, axis=0)
    estimate = map_estimates(IIV_ONLY, tv, *columns(DAILY[:1]), levels)
    single = map_estimate(IIV_ONLY, ADULT, *columns(DAILY[:1]), levels)
    assert_array_equal(estimate.normals, np.repeat(single.normals, 3, axis=0))
    with pytest.raises(ValueError, match="do not match"):
        map_estimates(
            IIV_ONLY, tv, *columns(DAILY[:1]),
            Levels(times_h=HOURS, conc_mg_l=np.full((2, 4), 0.1)),
        )  # fmt: skip


def test_replicates_count_twice_and_the_order_of_levels_not_at_all() -> None:
    times, conc = np.array([24.0, 1.0, 7.0]), np.array([0.05, 0.8, 0.2])
    doses = columns(DAILY[:1])
    single = map_estimate(IIV_ONLY, ADULT, *doses, Levels(times_h=times, conc_mg_l=conc))
    order = np.argsort(times)
    ordered = Levels(times_h=times[order], conc_mg_l=conc[order])
    sorted_first = map_estimate(IIV_ONLY, ADULT, *doses, ordered)
    assert_array_equal(single.normals, sorted_first.normals)
    twice = Levels(times_h=np.tile(times, 2), conc_mg_l=np.tile(conc, 2))
    double = map_estimate(IIV_ONLY, ADULT, *doses, twice)
    at = np.array([[0.3, -0.2]])

    def fit(estimate: MapEstimate) -> float:
        arguments = estimate.problem.arguments
        return float(kernels.log_posterior(*arguments, at, np.empty((0, 0)))[0] - np.sum(at**2))

    assert fit(double) == pytest.approx(2 * fit(single), rel=1e-14)


numbers = st.floats(1e-6, 1e6)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_levels_break_the_search_or_give_a_number_that_is_none(data: st.DataObject) -> None:
    program = data.draw(st.sampled_from([
        IIV_ONLY, UTRECHT.program, load_model("varela2025").program,
        load_model("mohanan2017").program,
    ]))  # fmt: skip
    error = data.draw(st.sampled_from([*ERRORS.values(), ruv(proportional=1e-9)]))
    n_doses, m = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    gaps = data.draw(st.lists(st.floats(1.0, 500.0), min_size=n_doses, max_size=n_doses))
    times = data.draw(st.lists(st.floats(-1.0, 3000.0), min_size=m, max_size=m))
    conc = data.draw(st.lists(st.none() | numbers, min_size=m, max_size=m))
    levels = Levels(
        times_h=np.array(times),
        conc_mg_l=np.array([np.nan if c is None else c for c in conc]),
        lloq_mg_l=np.array([0.01 if c is None else np.nan for c in conc]),
    )
    tv = np.array([data.draw(st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6))])
    estimate = map_estimates(
        with_error(program, error), tv, np.cumsum(gaps), np.full(n_doses, 0.5),
        np.array([data.draw(st.lists(numbers, min_size=n_doses, max_size=n_doses))]), levels,
    )  # fmt: skip
    values = (estimate.normals, estimate.objective, estimate.covariance, estimate.predicted_mg_l,
              estimate.effects.eta, estimate.effects.kappa)  # fmt: skip
    if estimate.status[0] == OK:
        assert all(np.all(np.isfinite(value)) for value in values)
        assert np.all(np.linalg.eigvalsh(estimate.covariance_of_normals) > 0)
    else:
        assert estimate.status[0] in (BAD_LEVEL, NOT_CONVERGED)
        assert all(np.all(np.isnan(value)) for value in values if value.size)


# --- What cannot be estimated ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf, 0.0])
def test_an_impossible_patient_harms_nobody_else(value: float) -> None:
    tv, doses, levels = batch(6)
    healthy = results(tv, doses, levels, slice(None))
    tv[3, 0] = value
    actual = results(tv, doses, levels, slice(None))
    assert actual[-1][3] == BAD_PARAMETER
    assert np.all(np.isnan(actual[0][3]))
    others = np.array([0, 1, 2, 4, 5])
    for after, before in zip(actual, healthy, strict=True):
        assert_array_equal(after[others], before[others])
    with pytest.raises(InputError, match="clearances and volumes must be finite"):
        map_estimate(
            IIV_ONLY, tv[3], *columns(DAILY[:1]),
            Levels(times_h=HOURS, conc_mg_l=np.full(4, 0.1)),
        )  # fmt: skip


def test_a_level_before_the_first_dose_is_refused_by_name_unless_below_the_limit() -> None:
    doses = columns(DAILY[:1])
    early = Levels(times_h=np.array([0.0, 2.0]), conc_mg_l=np.array([0.2, 0.5]))
    with pytest.raises(InputError, match=r"level at 0 h: 0\.2 mg/L, but the first dose starts"):
        map_estimate(IIV_ONLY, ADULT, *doses, early)
    blank = Levels(
        times_h=np.array([0.0, 2.0]), conc_mg_l=np.array([np.nan, 0.5]), lloq_mg_l=0.01
    )  # fmt: skip
    with_blank = map_estimate(IIV_ONLY, ADULT, *doses, blank)
    without = map_estimate(
        IIV_ONLY,
        ADULT,
        *doses,
        Levels(times_h=np.array([2.0]), conc_mg_l=np.array([0.5])),
    )
    assert_array_equal(with_blank.normals, without.normals)


def test_a_level_long_after_the_last_trace_of_drug_is_refused() -> None:
    late = Levels(times_h=np.array([2.0, 1e6]), conc_mg_l=np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="no likelihood"):
        map_estimate(IIV_ONLY, ADULT, *columns(DAILY[:1]), late)


def test_a_search_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: Any) -> Any:
        *values, status = kernels_map_estimates(*arguments)
        return *values, np.full_like(status, NOT_CONVERGED)

    kernels_map_estimates = kernels.map_estimates
    monkeypatch.setattr(kernels, "map_estimates", failing)
    with pytest.raises(ConvergenceError, match="no most likely patient"):
        map_estimate(
            IIV_ONLY, ADULT, *columns(DAILY[:1]),
            Levels(times_h=np.array([2.0]), conc_mg_l=np.array([0.5])),
        )  # fmt: skip


def test_one_patient_is_asked_for_where_there_must_be_one() -> None:
    levels = Levels(times_h=HOURS, conc_mg_l=np.full((2, 4), 0.1))
    with pytest.raises(ValueError, match="use map_estimates"):
        map_estimate(IIV_ONLY, ADULT, *columns(DAILY[:1]), levels)


FAULTS: Final[dict[str, tuple[Any, Any, Any, str]]] = {
    "zero": ([1.0, 2.0], [0.5, 0.0], np.nan, r"level 2 at 2 h: 0 mg/L must be .* above 0; if it"),
    "negative": ([1.0], [-0.5], np.nan, r"level 1 at 1 h: -0\.5 mg/L must be"),
    "infinite": ([1.0], [np.inf], np.nan, r"level 1 at 1 h: inf mg/L must be"),
    "no limit": ([1.0], [np.nan], np.nan, r"level 1 at 1 h: below the limit .* needs that limit"),
    "limit of zero": ([1.0], [np.nan], 0.0, r"needs that limit, 0 mg/L is none"),
    "below its limit": ([1.0], [0.005], 0.01, r"0\.005 mg/L is below its limit .* 0\.01 mg/L"),
    "no time": ([np.nan], [0.5], np.nan, r"level 1 at nan h: time must be a number"),
    "endless time": ([np.inf], [0.5], np.nan, r"level 1 at inf h: time must be a number"),
    "no level": ([], [], np.nan, r"no levels: give at least one"),
    "a time missing": ([1.0, 2.0], [0.5, 0.4, 0.3], np.nan, r"3 concentrations, but \(2,\) times"),
    "row": ([1.0], [[0.5], [-1.0]], np.nan, r"row 2, level 1 at 1 h: -1 mg/L must be"),
}


@pytest.mark.parametrize(
    ("times", "conc", "limit", "message"), list(FAULTS.values()), ids=list(FAULTS)
)
def test_a_bad_level_is_refused_by_name(times: Any, conc: Any, limit: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Levels(times_h=np.array(times), conc_mg_l=np.array(conc), lloq_mg_l=limit)


def test_all_bad_levels_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Levels(times_h=np.array([1.0, 2.0, np.inf]), conc_mg_l=np.array([0.5, -1.0, 0.2]))
    assert len(caught.value.sentences()) == 2
