"""Random effects, the points they are simulated at, and the exposure that results."""

import runpy
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from reference import Table
from scipy.stats import norm, qmc

from fludapk.answers.prediction import LOG2_POINTS, predict
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import MAX_DOSES, Regimen
from fludapk.pk.effects import (
    POINT_SET,
    POINT_SET_SEED,
    RandomEffects,
    sobol_points,
    standard_normal_points,
)
from fludapk.pk.exposure import course_areas, course_concentrations, course_exposure
from fludapk.published.models import Model, load_model
from fludapk.published.targets import prediction_interval, window_probabilities

F8 = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = (13.8, 14.0, 18.0, 20.0)


def auc_of(
    model: Model, patient: Patient, regimen: Regimen, z: F8 | None = None
) -> tuple[float, F8]:
    """Typical cumulative area; areas at standard normals, or at the points of a check."""
    prediction = predict(model, patient, regimen, regimen.course(patient))
    if z is None:
        effects = prediction.random_effects(LOG2_POINTS)
    else:
        effects = RandomEffects.from_normals(model.program, z, regimen.days)
    typical = prediction.auc_0_inf
    return typical, prediction.exposure(effects).auc_0_inf


# --- The point set --------------------------------------------------------------------------------


def test_the_point_set_is_what_its_script_makes() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_sobol.py"))
    lines = [made["HEADER"], *(",".join(map(str, row)) for row in made["generators"]())]
    shipped = POINT_SET.read_text(encoding="utf-8")
    assert shipped.splitlines() == lines
    assert made["SEED"] == POINT_SET_SEED


@pytest.mark.parametrize("log2_points", [0, 1, 5, LOG2_POINTS, 14])
def test_the_points_are_those_of_scipy_as_a_set(log2_points: int) -> None:
    rng = np.random.default_rng(POINT_SET_SEED)
    theirs = qmc.Sobol(64, scramble=True, bits=30, rng=rng).random(2**log2_points)
    ours = np.floor(sobol_points(log2_points, 64) * 2**30)
    theirs = np.floor(theirs * 2**30)
    assert_array_equal(ours[np.argsort(ours[:, 0])], theirs[np.argsort(theirs[:, 0])])


def test_every_dimension_is_stratified() -> None:
    points = sobol_points(LOG2_POINTS, 64)
    cells = np.sort(np.floor(points * 2**LOG2_POINTS), axis=0)
    assert_array_equal(cells, np.repeat(np.arange(2.0**LOG2_POINTS)[:, np.newaxis], 64, axis=1))


def test_points_are_inside_the_unit_cube_and_fewer_dimensions_are_the_first_ones() -> None:
    points = sobol_points(14, 64)
    assert np.min(points) > 0.0
    assert np.max(points) < 1.0
    assert_array_equal(sobol_points(14, 3), points[:, :3])


def test_standard_normals_are_the_normal_quantiles_of_the_middles_of_the_strata() -> None:
    z = standard_normal_points(10, 20)
    middle = (np.floor(sobol_points(10, 20) * 2**10) + 0.5) / 2**10
    assert_allclose(z, norm.ppf(middle), rtol=1e-12)


def test_more_points_or_dimensions_than_the_file_holds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 2\^14 points"):
        sobol_points(15, 2)
    with pytest.raises(InputError, match="at most 64, use fewer doses"):
        sobol_points(3, 65)


def test_the_longest_course_of_every_shipped_model_has_enough_dimensions() -> None:
    for name in ("langenhorst2019", "langenhorst2019_indexed", "mohanan2017", "varela2025"):
        program = load_model(name).program
        dimensions = program.n_eta + MAX_DOSES * program.n_kappa
        effects = RandomEffects.from_normals(
            program, standard_normal_points(3, dimensions), MAX_DOSES
        )
        assert effects.kappa.shape == (8, MAX_DOSES, program.n_kappa)


# --- Random effects -------------------------------------------------------------------------------


def test_the_root_of_omega_gives_omega_of_the_file(model: Model, twin: Table) -> None:
    program = model.program
    for root, table in ((program.root_omega, "iiv"), (program.root_omega_iov, "iov")):
        names, omega = reference.omega(twin, table)
        assert root.shape == (len(names), len(names))
        assert_allclose(root @ root.T, np.array(omega).reshape(root.shape), rtol=1e-14, atol=1e-17)
        assert_array_equal(root, np.tril(root))


def test_random_effects_at_the_points_have_omega_of_the_file(model: Model, twin: Table) -> None:
    program, doses = model.program, 4
    z = standard_normal_points(LOG2_POINTS, program.n_eta + doses * program.n_kappa)
    effects = RandomEffects.from_normals(program, z, doses)
    together = np.hstack([effects.eta, effects.kappa.reshape(len(z), -1)])
    _, omega = reference.omega(twin, "iiv")
    _, between_doses = reference.omega(twin, "iov")
    blocks = np.zeros((together.shape[1],) * 2)
    n, m = len(omega), len(between_doses)
    blocks[:n, :n] = omega
    for k in range(doses):  # nothing links the doses to each other or to the etas
        here = slice(n + k * m, n + (k + 1) * m)
        blocks[here, here] = np.array(between_doses).reshape(m, m)
    scale = np.sqrt(np.diag(blocks))
    assert_allclose(together.mean(axis=0) / scale, 0.0, atol=1e-3)
    covariance = np.cov(together.T).reshape(blocks.shape)
    assert_allclose(covariance / np.outer(scale, scale), blocks / np.outer(scale, scale), atol=5e-3)


def test_the_typical_patient_has_no_random_effects(model: Model) -> None:
    program = model.program
    typical = RandomEffects.none(program, 3)
    z = np.zeros((1, program.n_eta + 3 * program.n_kappa))
    from_zeros = RandomEffects.from_normals(program, z, 3)
    assert_array_equal(typical.eta, from_zeros.eta)
    assert_array_equal(typical.kappa, from_zeros.kappa)
    assert not from_zeros.eta.any()
    assert not from_zeros.kappa.any()


def test_times_that_go_back_or_are_no_numbers_are_refused() -> None:
    program = load_model().program
    course = (np.zeros(1), np.ones(1), np.array([[50.0]]))
    tv = np.array([[9.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
    for times in ([2.0, 1.0], [1.0, np.nan], [1.0, np.inf]):
        with pytest.raises(InputError, match="finite and ascending"):
            course_concentrations(
                program, tv, RandomEffects.none(program, 1), *course, np.array(times)
            )


# --- Without variability between doses: the log-normal law ----------------------------------------

LYMPHOMA = [
    Patient(age_years=61, sex="male", weight_kg=82, height_cm=177, scr_mg_dl=0.95),
    Patient(age_years=79, sex="female", weight_kg=54, height_cm=158, scr_mg_dl=1.3),
    Patient(age_years=35, sex="female", weight_kg=98, height_cm=172, scr_mg_dl=0.6),
]


@pytest.mark.parametrize("patient", LYMPHOMA, ids=["typical", "old", "young"])
@pytest.mark.parametrize("regimen", ["axi_cel", "tisa_cel_lbcl"])
def test_without_iov_probabilities_and_quantiles_are_log_normal(
    regimen: str, patient: Patient
) -> None:
    model = load_model("varela2025")
    typical, simulated = auc_of(model, patient, Regimen.named(regimen))
    law = NormalDist(np.log(typical), np.sqrt(np.log1p(0.298**2)))  # AUC is amount over CL
    for low, high in pairwise(THRESHOLDS):
        below, within, above = window_probabilities(simulated, low, high)
        exact_below, exact_above = law.cdf(np.log(low)), 1 - law.cdf(np.log(high))
        assert below == pytest.approx(exact_below, abs=0.005)
        assert above == pytest.approx(exact_above, abs=0.005)
        assert within == pytest.approx(1 - exact_below - exact_above, abs=0.005)
    for coverage in (0.5, 0.9):
        interval = prediction_interval(simulated, coverage)
        tail = (1 - coverage) / 2
        expected = np.exp([law.inv_cdf(tail), law.inv_cdf(1 - tail)])
        assert_allclose(interval, expected, rtol=2e-3)
    assert np.median(simulated) == pytest.approx(typical, rel=1e-3)


# --- With variability between doses: many pseudo-random draws -------------------------------------

CHILD = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
TODDLER = Patient(age_years=1.2, sex="male", weight_kg=10, height_cm=76, scr_mg_dl=0.25)
ADULT = Patient(age_years=58, sex="male", weight_kg=78, height_cm=176, scr_mg_dl=1.0)
ANAEMIA = Patient(
    age_years=17, sex="female", weight_kg=50, height_cm=158, scr_mg_dl=0.6,
    diagnosis="fanconi_anaemia", genotype="carrier",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "patient", "days", "thresholds"),
    [
        pytest.param("langenhorst2019", CHILD, 1, (3.0, 3.5, 4.0), id="child, 1 dose"),
        pytest.param("langenhorst2019", CHILD, 4, THRESHOLDS, id="child, 4 doses"),
        pytest.param("langenhorst2019", TODDLER, 6, THRESHOLDS, id="toddler, 6 doses"),
        pytest.param("langenhorst2019", ADULT, 4, THRESHOLDS, id="adult, 4 doses"),
        pytest.param("langenhorst2019", ADULT, 6, (20.0, 28.0, 36.0), id="adult, 6 doses"),
        pytest.param("mohanan2017", ANAEMIA, 6, (40.0, 70.0, 100.0), id="anaemia, 6 doses"),
    ],
)
def test_with_iov_probabilities_are_those_of_many_random_draws(
    name: str, patient: Patient, days: int, thresholds: tuple[float, ...]
) -> None:
    model, regimen = load_model(name), Regimen(dose=30.0, unit="mg/m2", days=days)
    dimensions = model.program.n_eta + days * model.program.n_kappa
    z = np.random.default_rng(5).standard_normal((400_000, dimensions))
    _, many = auc_of(model, patient, regimen, z)
    _, few = auc_of(model, patient, regimen)
    assert few.size == 2**LOG2_POINTS
    for low in thresholds:
        probability = float(np.mean(many < low))
        assert 0.0 < probability < 1.0
        assert np.mean(few < low) == pytest.approx(probability, abs=0.005)
    assert_allclose(prediction_interval(few), prediction_interval(many), rtol=0.01)


def test_variability_between_doses_widens_a_single_dose_more_than_a_course() -> None:
    model = load_model("langenhorst2019")
    spread = {}
    for days in (1, 4):
        _, few = auc_of(model, CHILD, Regimen(dose=30.0, unit="mg/m2", days=days))
        spread[days] = float(np.log(few).std())
    patients, doses = np.log1p(0.23**2), np.log1p(0.12**2)
    assert spread[1] == pytest.approx(np.sqrt(patients + doses), rel=2e-3)  # amount / CL of day 1
    assert np.sqrt(patients) < spread[4] < spread[1]


@pytest.mark.parametrize("name", ["langenhorst2019", "mohanan2017", "varela2025"])
@pytest.mark.parametrize("own_estimates", [False, True])
def test_patients_computed_together_have_every_bit_of_the_areas_that_each_has_alone(
    name: str, own_estimates: bool
) -> None:
    program, n, doses = load_model(name).program, 45, 4  # subjects that fill no block of lanes
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, program.n_eta + doses * program.n_kappa))
    effects = RandomEffects.from_normals(program, z, doses)
    spread = np.exp(0.3 * rng.normal(size=(5, n if own_estimates else 1, 6)))
    typical = np.array([10.0, 39.0, 8.6, 20.0, 3.8, 50.0]) * spread
    amounts = 40.0 * np.exp(0.3 * rng.normal(size=(5, doses)))
    times, lengths = np.arange(0.0, 24.0 * doses, 24.0), np.full(doses, 0.5)
    together = course_areas(program, typical, effects, times, lengths, amounts)
    for areas, tv, mg in zip(together, typical, amounts, strict=True):
        alone = course_exposure(program, tv, effects, times, lengths, mg[None])
        assert_array_equal(areas, alone.auc_0_inf)
