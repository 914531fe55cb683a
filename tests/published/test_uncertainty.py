"""Chances with the printed uncertainty of a model's numbers."""

import numpy as np
import pytest

from fludapk.answers.prediction import predict
from fludapk.arrays import F8
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects, standard_normal_points
from fludapk.published.compile import compile_program
from fludapk.published.covariates import covariate_rows
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model, load_model, load_models

MAN = Patient(
    age_years=60, sex="male", weight_kg=80, height_cm=175, crcl_ml_min=90, product="axi_cel",
    diagnosis="aplastic_anaemia", genotype="GG",
)  # fmt: skip
PLAN = Regimen(dose=30.0, unit="mg/m2", days=3)


@pytest.fixture(params=[model.id for model in load_models()])
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


def redrawn(model: Model, normals: F8) -> ModelFile:
    """The file with the numbers of a draw, made the slow way."""
    theta, scale = model.uncertainty.draw(normals[None])
    file = model.file
    kinds: dict[str, list[object]] = {"iiv": [], "iov": []}
    estimates = {
        name: estimate.model_copy(update={"value": float(theta[k, 0])})
        for k, (name, estimate) in enumerate(file.theta.items())
    }
    factors = iter(scale[0].tolist())
    for kind, effects in kinds.items():
        for effect in getattr(file, kind):
            variance = effect.variance * next(factors) ** 2
            changed = {"value": np.sqrt(np.expm1(variance)), "scale": "cv_exact"}
            effects.append(effect.model_copy(update=changed))
    return file.model_copy(update={"theta": estimates, **kinds})


def test_numbers_drawn_one_by_one_give_what_arrays_give(model: Model) -> None:
    """The slow way copies the file with other numbers and compiles it."""
    normals = np.random.default_rng(3).standard_normal(model.uncertainty.dimensions)
    slow = compile_program(redrawn(model, normals))
    theta, scale = model.uncertainty.draw(normals[None])
    theta = theta[:, 0]
    effects = RandomEffects.from_normals(model.program, np.ones((1, 40)), 2)
    expected_effects = RandomEffects.from_normals(slow, np.ones((1, 40)), 2)
    varied = model.uncertainty.varied(effects, scale)
    np.testing.assert_allclose(varied.eta, expected_effects.eta, rtol=1e-12)
    np.testing.assert_allclose(varied.kappa, expected_effects.kappa, rtol=1e-12)
    prediction = predict(model, MAN, PLAN, PLAN.course(MAN))
    row = covariate_rows(model, prediction.values, 1)
    expected, _ = slow.typical_values(row)
    got, _ = model.program.typical_values(
        np.repeat(row, 2, axis=0), np.repeat(theta[:, None], 2, 1)
    )
    np.testing.assert_allclose(got, np.repeat(expected, 2, axis=0), rtol=1e-13)


def test_drawn_numbers_have_the_printed_spread(model: Model) -> None:
    uncertainty = model.uncertainty
    theta, scale = uncertainty.draw(standard_normal_points(12, uncertainty.dimensions))
    spread = np.std(np.log(np.where(theta == 0.0, 1.0, np.abs(theta))), axis=1)
    np.testing.assert_allclose(spread, uncertainty.theta_log_sd, rtol=0.02, atol=1e-12)
    constant = np.flatnonzero(uncertainty.effects_log_sd == 0.0)
    assert (scale[:, constant] == 1.0).all()


def test_the_printed_numbers_themselves_change_nothing(model: Model) -> None:
    theta, scale = model.uncertainty.draw(np.zeros((3, model.uncertainty.dimensions)))
    np.testing.assert_array_equal(theta, np.repeat(model.program.theta[:, None], 3, axis=1))
    np.testing.assert_allclose(scale, 1.0, rtol=1e-15)


def test_the_interval_with_uncertainty_is_that_of_models_drawn_one_by_one() -> None:
    model = load_model()
    prediction = predict(model, MAN, PLAN, PLAN.course(MAN))
    wide = prediction.auc_with_uncertainty(13)
    assert wide is not None
    rng = np.random.default_rng(5)
    row = covariate_rows(model, prediction.values, 1)
    aucs = []
    for _ in range(400):
        program = compile_program(redrawn(model, rng.standard_normal(model.uncertainty.dimensions)))
        eta = program.root_omega @ rng.standard_normal((program.n_eta, 40))
        clearance = program.typical_values(row)[0][0, 0] * np.exp(program.load_eta[0] @ eta)
        aucs.append(prediction.case.course.total_mg * model.file.dose.factor / clearance)
    without_iov = np.std(np.log(np.concatenate(aucs)))
    assert np.std(np.log(wide)) == pytest.approx(without_iov, rel=0.06)


def test_uncertainty_widens_the_interval() -> None:
    prediction = predict(load_model(), MAN, PLAN, PLAN.course(MAN))
    narrow = prediction.exposure(prediction.random_effects(13)).auc_0_inf
    wide = prediction.auc_with_uncertainty(13)
    assert wide is not None
    assert 1.05 < np.std(np.log(wide)) / np.std(np.log(narrow)) < 1.3


def test_outer_draws_are_standard_normal_and_independent(model: Model) -> None:
    prediction = predict(model, MAN, PLAN, PLAN.course(MAN))
    rows = covariate_rows(model, prediction.values, 1)
    z = model.uncertainty.outer_normals(model.program, rows, seed=1, n=4096)
    assert np.abs(z.mean(axis=0)).max() < 0.02
    np.testing.assert_allclose(np.cov(z.T), np.eye(z.shape[1]), atol=0.06)


def test_a_correlation_is_that_of_the_two_estimates_of_clearance() -> None:
    model = load_model()
    z = standard_normal_points(12, model.uncertainty.dimensions)
    both = model.uncertainty.correlated(model.program, z, -0.8)
    assert both is not None
    theta, _ = model.uncertainty.draw(both)
    names = list(model.file.theta)
    logs = [np.log(theta[names.index(name)]) for name in ("CLnr", "slope")]
    assert np.corrcoef(*logs)[0, 1] == pytest.approx(-0.8, abs=0.01)
    np.testing.assert_allclose([np.std(x) for x in logs],
                               model.uncertainty.theta_log_sd[:2], rtol=0.02)  # fmt: skip
    single = load_model("mohanan2017")
    nobody = np.zeros((1, single.uncertainty.dimensions))
    assert single.uncertainty.correlated(single.program, nobody, -0.8) is None
