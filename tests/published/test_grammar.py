"""Every effect of the grammar against the slow twin, and every fault of a file that uses them."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import reference
import reference_map
from conftest import HEAD
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from papers import PAPERS, paper
from reference import Infusion, Table
from reference_map import Level

from fludapk.answers.check import check
from fludapk.answers.verify import verify
from fludapk.errors import FileError, InputError
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.regimen import Regimen
from fludapk.pk.descent import minimum
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, Problem, map_estimate, map_estimates
from fludapk.pk.exposure import (
    course_concentrations,
    course_exposure,
    individual_parameters,
    residual_sd,
)
from fludapk.pk.posterior import sample_posterior
from fludapk.pk.program import SLOTS
from fludapk.published.compile import omega
from fludapk.published.covariates import covariate_columns, covariate_rows, missing_covariates
from fludapk.published.equations import equation
from fludapk.published.matrices import nearest_valid
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model, load_model, model_folders
from fludapk.published.tables import read_toml

F8 = NDArray[np.float64]
DOSES: Final[list[Infusion]] = [(0.0, 0.5, 17.5), (24.0, 1.0, 17.5), (49.5, 0.5, 25.0)]
TIMES: Final = np.array([0.25, 0.5, 3.0, 24.0, 24.5, 30.0, 49.5, 50.0, 60.0, 90.0])
LEVELS: Final = [Level(2.0, 0.6), Level(8.0, 0.2), Level(26.0, 0.7), Level(47.0, None, 0.05)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of papers with rare effects."""
    path = tmp_path_factory.mktemp("rare")
    for name in PAPERS:
        (path / f"{name}.toml").write_text(paper(HEAD, name), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=list(PAPERS))
def model(request: pytest.FixtureRequest, folder: Path) -> Model:
    """Each such paper in turn."""
    return load_model(request.param, model_folders(folder))


@pytest.fixture(scope="module")
def twin(model: Model) -> Table:
    """The file as the twin reads it."""
    return reference.load(model.path)


PEOPLE: Final = [
    {"AGE": 5.0, "SEX": "female", "WT": 18.2, "HT": 110.0, "SCR": 0.3, "GA": 28.0},
    {"AGE": 0.4, "SEX": "male", "WT": 6.0, "HT": 64.0, "SCR": 0.3, "GA": None},
    {"AGE": 70.0, "SEX": "male", "WT": 81.0, "HT": 178.0, "SCR": 1.1, "GA": None},
]


def person(k: int) -> Table:
    """A patient of the twin."""
    graft = ("none", "own", "other")[k]
    return PEOPLE[k] | {"eGFR": None, "CrCl": None, "graft": graft}


def patient(k: int) -> Patient:
    """The same patient."""
    data = person(k)
    return Patient(
        age_years=data["AGE"], sex=data["SEX"], weight_kg=data["WT"], height_cm=data["HT"],
        scr_mg_dl=data["SCR"], gestational_age_weeks=data["GA"],
        categories={"graft": data["graft"]}, confirm=["weight", "height", "scr"],
    )  # fmt: skip


def typical(model: Model) -> F8:
    """Typical values of all of them."""
    columns = columns_of([patient(k) for k in range(len(PEOPLE))], model)
    values = covariate_columns(model, columns).values
    return model.program.typical_values(covariate_rows(model, values, len(PEOPLE)))[0]


def drawn(model: Model, seed: int) -> RandomEffects:
    """Random effects of one patient."""
    program = model.program
    rng = np.random.default_rng(seed)
    return RandomEffects.from_normals(
        program, rng.standard_normal((1, program.n_eta + len(DOSES) * program.n_kappa)), len(DOSES)
    )


def arrays() -> tuple[F8, F8, F8]:
    start, length, mg = (np.array(column) for column in zip(*DOSES, strict=True))
    return start, length, mg[np.newaxis]


def of_twin(twin: Table, k: int, effects: RandomEffects | None = None) -> list[reference.Numbers]:
    """Parameters of a patient on every occasion, by the twin."""
    covariates = reference.covariates_of(twin, person(k))
    each = reference.of_doses(covariates, [start for start, _, _ in DOSES])
    names, kappas = [row["name"] for row in twin["iiv"]], [r["name"] for r in twin.get("iov", [])]
    eta = {} if effects is None else dict(zip(names, effects.eta[0], strict=True))
    own: list[reference.Numbers] = [{}] * len(DOSES)
    if effects is not None:
        own = [dict(zip(kappas, row, strict=True)) for row in effects.kappa[0]]
    return reference.individual(twin, each, eta, own)


# --- The twin -------------------------------------------------------------------------------------


def test_typical_parameters_of_the_first_dose_are_those_of_the_twin(
    model: Model, twin: Table
) -> None:
    for k, row in enumerate(typical(model)):
        first = of_twin(twin, k)[0]
        assert_allclose(row[:6], [first[name] for name in SLOTS], rtol=1e-13)


def test_parameters_of_every_dose_and_patient_are_those_of_the_twin(
    model: Model, twin: Table
) -> None:
    for k in range(len(PEOPLE)):
        effects = drawn(model, k)
        ours = individual_parameters(model.program, typical(model)[k : k + 1], effects, arrays()[0])
        theirs = [[p[name] for name in SLOTS] for p in of_twin(twin, k, effects)]
        assert_allclose(ours[0], theirs, rtol=1e-12)


def test_exposure_and_concentrations_are_those_of_the_ode(model: Model, twin: Table) -> None:
    for k in range(len(PEOPLE)):
        effects = drawn(model, 10 + k)
        tv = typical(model)[k : k + 1]
        occasions = of_twin(twin, k, effects)
        conc, area = course_concentrations(model.program, tv, effects, *arrays(), TIMES)
        slow, slow_area = reference.solve(occasions, DOSES, TIMES.tolist())
        assert_allclose(conc[0], slow, rtol=1e-8)
        assert_allclose(area[0], slow_area, rtol=1e-8)
        whole = course_exposure(model.program, tv, effects, *arrays())
        assert whole.auc_0_inf[0] == pytest.approx(reference.auc_0_inf(occasions, DOSES), rel=1e-10)


def test_many_patients_at_once_are_the_patients_one_by_one(model: Model) -> None:
    program, tv = model.program, typical(model)
    z = np.random.default_rng(1).standard_normal((3, program.n_eta + 3 * program.n_kappa))
    together = RandomEffects.from_normals(program, z, 3)
    whole = course_exposure(program, tv, together, *arrays()).auc_0_inf
    for k in range(3):
        alone = RandomEffects(together.eta[k : k + 1], together.kappa[k : k + 1])
        auc = course_exposure(program, tv[k : k + 1], alone, *arrays()).auc_0_inf
        assert auc[0] == pytest.approx(whole[k], rel=1e-14)


def test_covariates_that_change_are_those_of_each_dose(model: Model, twin: Table) -> None:
    """A creatinine that rises: a typical patient of each dose."""
    later = [
        person(2) | {"SCR": scr, "WT": weight} for scr, weight in ((1.1, 81), (1.6, 83), (2, 84))
    ]
    tables = [reference.covariates_of(twin, one) for one in later]
    starts = [start for start, _, _ in DOSES]
    each = [
        {**table, "TIME": start, "DOSE": float(k)}
        for k, (table, start) in enumerate(zip(tables, starts, strict=True), start=1)
    ]
    effects = drawn(model, 4)
    names = [row["name"] for row in twin["iiv"]]
    kappas = [row["name"] for row in twin.get("iov", [])]
    occasions = reference.individual(
        twin,
        each,
        dict(zip(names, effects.eta[0], strict=True)),
        [dict(zip(kappas, row, strict=True)) for row in effects.kappa[0]],
    )
    rows = [
        covariate_rows(model, covariate_columns(model, columns_of([one], model)).values, 1)
        for one in (
            Patient(age_years=70, sex="male", weight_kg=d["WT"], height_cm=178, scr_mg_dl=d["SCR"],
                    categories={"graft": "other"})
            for d in later
        )
    ]  # fmt: skip
    tv = model.program.typical_values(np.vstack(rows))[0][np.newaxis]
    auc = course_exposure(model.program, tv, effects, *arrays()).auc_0_inf
    assert auc[0] == pytest.approx(reference.auc_0_inf(occasions, DOSES), rel=1e-10)
    levels = Levels(times_h=np.array([2.0, 30.0, 60.0]), conc_mg_l=np.array([0.6, 0.3, 0.2]))
    problem = Problem(model.program, tv, *arrays(), levels)
    z = np.random.default_rng(2).standard_normal(
        (1, model.program.n_eta + 3 * model.program.n_kappa)
    )
    ours = problem.effects(z)
    own = reference.individual(
        twin,
        each,
        dict(zip(names, ours.eta[0], strict=True)),
        [dict(zip(kappas, row, strict=True)) for row in ours.kappa[0]],
    )
    predicted, _ = reference.solve_expm(own, DOSES, [2.0, 30.0, 60.0])
    total = float(np.sum(z**2)) + sum(
        reference_map.misfit(twin, Level(0.0, y), f)
        for y, f in zip([0.6, 0.3, 0.2], predicted, strict=True)
    )
    assert problem.log_posterior(z)[0] == pytest.approx(total, rel=1e-9)


# --- Estimates ------------------------------------------------------------------------------------


def estimated(model: Model, k: int) -> Any:
    levels = Levels(
        times_h=np.array([level.time for level in LEVELS]),
        conc_mg_l=np.array([np.nan if level.conc is None else level.conc for level in LEVELS]),
        lloq_mg_l=0.05,
    )
    return map_estimate(model.program, typical(model)[k : k + 1], *arrays(), levels)


@pytest.mark.parametrize("k", [0, 2])
def test_the_most_likely_patient_is_the_lowest_point_of_the_twin(
    model: Model, twin: Table, k: int
) -> None:
    fit = estimated(model, k)
    covariates = reference.of_doses(reference.covariates_of(twin, person(k)), [0.0, 24.0, 49.5])
    infusions = DOSES

    def objective(z: F8) -> float:
        effects = fit.problem.effects(z[np.newaxis])
        return reference_map.objective(
            twin, covariates, infusions, LEVELS, effects.eta[0], effects.kappa[0]
        )

    at = fit.normals[0]
    assert fit.objective[0] == pytest.approx(objective(at), rel=1e-9)
    known = model.program.n_eta + 2 * model.program.n_kappa
    slope = reference_map.slope(objective, at, 1e-3)[:known]
    assert np.abs(slope).max() < 1e-3
    step = 1e-3
    for i, unit in enumerate(np.eye(len(at))[:known]):
        bend = objective(at + step * unit) + objective(at - step * unit) - 2 * objective(at)
        inverse = np.linalg.inv(fit.covariance_of_normals[0] / 2.0)
        assert bend / step**2 == pytest.approx(inverse[i, i], rel=2e-3)


def test_a_posterior_of_curved_effects_is_the_prior_weighted_by_the_likelihood(
    model: Model,
) -> None:
    program, tv = model.program, typical(model)[:1]
    at = np.array([2.0, 8.0])
    conc, _ = course_concentrations(program, tv, drawn(model, 8), *arrays(), at)
    fit = map_estimate(program, tv, *arrays(), Levels(times_h=at, conc_mg_l=conc[0]))
    sample = sample_posterior(fit, seed=3, enough=2000.0)
    auc = course_exposure(program, tv, sample.effects, *arrays()).auc_0_inf
    z = np.random.default_rng(9).standard_normal((100_000, program.n_eta + 3 * program.n_kappa))
    known = z[:, : program.n_eta + program.n_kappa]
    log_likelihood = -0.5 * (fit.problem.log_posterior(known) - np.sum(known**2, axis=1))
    weight = np.exp(log_likelihood - np.max(log_likelihood))
    slow = course_exposure(program, tv, fit.problem.effects(z), *arrays()).auc_0_inf
    for power in (1, 2):
        expected = float(weight @ slow**power / weight.sum())
        assert float(sample.weights @ auc**power) == pytest.approx(expected, rel=0.04)


def test_patients_together_have_the_estimates_they_have_alone(model: Model) -> None:
    levels = Levels(
        times_h=np.array([[2.0, 8.0, np.nan]] * 2),
        conc_mg_l=np.array([[0.6, 0.2, np.nan], [0.3, 0.1, np.nan]]),
    )
    both = Problem(model.program, typical(model)[[0, 2]], *arrays(), levels)
    together = map_estimates(model.program, both.tv, *arrays(), levels)
    assert together.converged.all()
    for i, k in enumerate((0, 2)):
        alone = map_estimates(
            model.program, typical(model)[k : k + 1], *arrays(),
            Levels(times_h=np.array([2.0, 8.0]), conc_mg_l=levels.conc_mg_l[i, :2]),
        )  # fmt: skip
        assert_allclose(together.normals[i], alone.normals[0], atol=1e-5)
        assert np.isnan(together.predicted_mg_l[i, 2])


def test_a_search_ends_where_the_slope_is_none() -> None:
    found = minimum(
        lambda x: ((x - [1.0, -2.0]) ** 4 + (x - [1.0, -2.0]) ** 2).sum(axis=1), np.zeros(2)
    )
    assert found.converged
    assert_allclose(found.x, [1.0, -2.0], atol=1e-5)
    assert_allclose(found.hessian, 2.0 * np.eye(2), atol=1e-3)


# --- Residual errors, binding, units --------------------------------------------------------------


def test_a_combined_error_adds_standard_deviations(model: Model, twin: Table) -> None:
    for conc in (0.01, 0.3, 4.0):
        ours = residual_sd(model.program, np.array([conc]))[0]
        assert ours == pytest.approx(reference.residual(twin, conc), rel=1e-14)


def test_a_model_of_unbound_drug_gives_the_total(folder: Path) -> None:
    model = load_model("other_units", model_folders(folder))
    assert model.file.fu == 0.8
    assert model.file.dose_factor == pytest.approx(0.781 / 0.8)
    unbound_mg_h_l = 30.0 * 0.781 / (2.1 / 0.28523)  # the paper's CL in mg/h per umol/L
    tv = model.program.typical_values(np.array([[70.0]]))[0]
    none = RandomEffects.none(model.program, 1)
    mg = np.array([[30.0 * model.file.dose_factor]])
    auc = course_exposure(model.program, tv, none, np.zeros(1), np.ones(1), mg).auc_0_inf[0]
    assert auc * 0.8 == pytest.approx(unbound_mg_h_l, rel=1e-4)


# --- Matrices -------------------------------------------------------------------------------------


def test_a_matrix_is_used_as_printed(folder: Path) -> None:
    model = load_model("of_doses", model_folders(folder))
    root = model.program.root_omega
    names, expected = reference.omega(reference.load(model.path), "iiv")
    assert names == [effect.name for effect in model.file.iiv]
    assert_allclose(root @ root.T, expected, rtol=1e-12, atol=1e-15)
    assert model.adjusted == []


def test_rounding_that_makes_a_matrix_impossible_is_repaired_within_it_and_told(
    folder: Path, tmp_path: Path
) -> None:
    text = paper(HEAD, "of_doses").replace('"0.04", "0.12"', '"0.10", "0.11"')
    path = tmp_path / "of_doses.toml"
    path.write_text(text, encoding="utf-8")
    model = load_model("of_doses", model_folders(tmp_path))
    matrix, moved = omega(model.file, "iiv")
    assert np.linalg.eigvalsh(matrix)[0] > 0.0
    printed = [[0.09, 0.10], [0.10, 0.11]]
    assert np.abs(matrix[:2, :2] - printed).max() <= 0.005 * (1 + 1e-9)
    assert 0.0 < moved < 0.1
    assert "nearest valid" in model.adjusted[0]


def test_a_matrix_that_no_rounding_explains_is_refused(tmp_path: Path) -> None:
    text = paper(HEAD, "of_doses").replace('"0.04", "0.12"', '"0.20", "0.12"')
    (tmp_path / "of_doses.toml").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match="not even within their rounding"):
        _ = load_model("of_doses", model_folders(tmp_path)).program


def test_a_valid_matrix_stays_what_it_is() -> None:
    matrix = np.array([[0.4, 0.1], [0.1, 0.3]])
    assert nearest_valid(matrix, np.full((2, 2), 0.05)) is matrix


def test_a_check_tells_what_a_file_made_it_assume(tmp_path: Path) -> None:
    text = paper(HEAD, "of_doses").replace('"0.04", "0.12"', '"0.10", "0.11"')
    (tmp_path / "of_doses.toml").write_text(text, encoding="utf-8")
    folders, plan = model_folders(tmp_path), Regimen.named("tisa_cel_ball")
    codes = {
        known: {r.code for r in check(one, plan, model="of_doses", folders=folders).remarks}
        for known, one in ((True, patient(0)), (False, patient(2)))
    }
    assert {"gestational_age", "repaired_matrix"} <= codes[False]
    assert "gestational_age" not in codes[True]


def test_a_check_with_unbound_drug_tells_both_areas(folder: Path) -> None:
    plan, folders = Regimen.named("axi_cel"), model_folders(folder)
    result = check(patient(2), plan, model="other_units", folders=folders)
    exposure = result.exposure
    assert exposure.auc_0_inf_unbound == pytest.approx(0.8 * exposure.auc_0_inf)
    assert result.regimen.amount_f_ara_a_mg == pytest.approx(result.regimen.total_mg * 0.781)
    (step,) = (step for step in result.trail if step.name == "AUC unbound")
    assert step.value == exposure.auc_0_inf_unbound


# --- Covariates that are unknown ------------------------------------------------------------------


def test_a_gestational_age_that_is_not_known_is_40_weeks(folder: Path) -> None:
    model = load_model("of_doses", model_folders(folder))
    known = columns_of([patient(0), patient(2)], model)
    values = covariate_columns(model, known).values
    assert_allclose(values["PMA"], [5 * 365.25 / 7 + 28, 70 * 365.25 / 7 + 40])


def test_what_a_category_or_a_mass_needs_is_asked_for(folder: Path) -> None:
    model = load_model("of_doses", model_folders(folder))
    bare = Patient(age_years=70, weight_kg=80, height_cm=178, crcl_ml_min=80)
    columns = bare.columns(model)
    values = covariate_columns(model, columns).values
    (fault,) = missing_covariates(model, values, columns)
    assert set(fault.fields) == {"sex", "categories"}
    assert "graft (none or own or other)" in fault.text()


# --- Published results, words -------------------------------------------------------------------


def test_the_file_gives_back_its_numbers_and_agrees_with_the_ode(
    model: Model, folder: Path
) -> None:
    assert verify([model.id], model_folders(folder)).ok


def test_an_equation_names_every_effect(folder: Path) -> None:
    model = load_model("of_doses", model_folders(folder))
    text = equation(model, "CL")
    for part in ("scale", "PMA^3.4", "(NFM/56.1)^0.75", "later from 20", "0.8 if other"):
        assert part in text, text
    values = covariate_columns(model, patient(2).columns(model)).values
    assert "exp(-0.03 × (0 − 0))" in equation(model, "CL", values)


# --- Faults ---------------------------------------------------------------------------------------

FAULTS: Final = {
    "a matrix of another size": (
        'rows = [["0.09"], ["0.04", "0.12"]]', 'rows = [["0.09"], ["0.04"]]',
        r"^iiv_matrices\[0\]: rows: the lower triangle of 2 rows",
    ),
    "a number where digits belong": (
        '["0.09"]', "[0.09]", r"^iiv_matrices\[0\]\.rows\[0\]\[0\]: .*valid string",
    ),
    "a matrix of an eta that is none": (
        '"eta_nr", "eta_r"]', '"eta_nr", "eta_x"]',
        r"^iiv_matrices\[0\]\.order\[1\]: 'eta_x' is not a iiv",
    ),
    "a variance given twice": (
        'name = "eta_nr"', 'name = "eta_nr"\nvalue = 0.3\nscale = "sd"',
        r"^iiv_matrices\[0\]: eta_nr has its variance here",
    ),
    "an eta on nothing": (
        'eta = "eta_r", ', "", r"^iiv\[1\]\.on: names no parameter, and no term has this eta",
    ),
    "an eta of a term that does not exist": (
        'eta = "eta_nr"', 'eta = "eta_none"', r"^parameters\.CL\.terms\[0\]\.eta: 'eta_none'",
    ),
    "a logit without bounds": ("bounds = [5.0, 90.0]\n", "", r"^iiv\[3\]: bounds: a logit effect"),
    "an additive CV": (
        'value = 3.0\nscale = "sd"', 'value = 3.0\nscale = "cv_exact"',
        r"^iiv\[2\]: scale: an additive effect has an sd or a variance",
    ),
    "an additive kappa": (
        'name = "kappa_CL"', 'name = "kappa_CL"\nkind = "additive"',
        r"^iov\[0\]\.kind: an effect of an occasion is exponential",
    ),
    "steps without a factor each": (
        "factors = [1.0, 0.9] }", "factors = [1.0] }", r"factors: 1 values of `at` need 2",
    ),
    "a saturating effect without its half": (
        "x50 = 30.0, hill = 1.2", "hill = 1.2", r"^parameters\.Q2\.effects\[1\]\.x50: Field",
    ),
    "steps that fall": (
        "at = [20.0, 40.0]", "at = [40.0, 20.0]", r"at must rise",
    ),
    "a unit of time": (
        'TIME = { unit = "h"', 'TIME = { unit = "days"', r"^covariates\.TIME\.unit: is 'h', not",
    ),
    "a range of the number of a dose": (
        'DOSE = { unit = "1"', 'DOSE = { range = [1.0, 4.0], unit = "1"',
        r"^covariates\.DOSE\.range: DOSE has none",
    ),
    "a third sex": (
        'levels = ["male", "female"]', 'levels = ["male", "female", "other"]',
        r"^covariates\.SEX\.levels: of SEX are female and male",
    ),
    "masses made from each other": (
        'derived = "al_sallami"', 'derived = "al_sallami", of = { WT = "NFM" }',
        r"^covariates: .*NFM.* are derived from each other",
    ),
    "a normal fat mass without its fraction": (
        'fat = "Ffat"\n', "", r"^covariates\.NFM\.fat: normal_fat_mass needs it",
    ),
    "a normal fat mass without fat-free mass": (
        'of = { FFM = "lean" }\n', "", r"^covariates\.NFM\.of: .* needs a covariate FFM",
    ),
    "a mass in pounds": (
        'lean = { unit = "kg"', 'lean = { unit = "lb"', r"^covariates\.lean\.unit: is 'kg'",
    ),
    "combined without an additive part": (
        "[ruv.additive]\nvalue = 0.02\nsource = \"invented\"\n", "",
        r"^ruv: combined = \"sds\" needs proportional and additive",
    ),
}  # fmt: skip


def refused(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as error:
        read_toml(path, ModelFile)
    return [sentence.removeprefix(f"{path}: ") for sentence in error.value.sentences()]


@pytest.mark.parametrize(("old", "new", "fault"), list(FAULTS.values()), ids=list(FAULTS))
def test_a_file_is_refused_for(old: str, new: str, fault: str, tmp_path: Path) -> None:
    text = paper(HEAD, "of_doses")
    assert old in text
    faults = refused(tmp_path, text.replace(old, new, 1))
    assert [line for line in faults if re.search(fault, line)], faults


def test_all_faults_of_rare_effects_are_told_at_once(tmp_path: Path) -> None:
    chosen = [
        name
        for name in FAULTS
        if name not in ("a matrix of another size", "a variance given twice")
    ]
    chosen = [name for name in chosen if "mass" not in name and name != "an eta on nothing"]
    text = paper(HEAD, "of_doses")
    for name in chosen:
        old, new, _ = FAULTS[name]
        assert old in text, name
        text = text.replace(old, new, 1)
    faults = refused(tmp_path, text)
    for name in chosen:
        assert [line for line in faults if re.search(FAULTS[name][2], line)], (name, faults)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('unit = "mg/(umol/L)"\nterms', 'unit = "L"\nterms', r"^parameters\.V1\.unit: is 'mg/"),
        ("fu = { value = 0.8", "fu = { value = 1.8", r"^binding\.fu: 1\.8 is not above 0"),
        ('concentration = "umol/L"', 'concentration = "uM"', r"^units\.concentration: "),
    ],
)  # fmt: skip
def test_units_and_binding_are_checked(old: str, new: str, fault: str, tmp_path: Path) -> None:
    faults = refused(tmp_path, paper(HEAD, "other_units").replace(old, new, 1))
    assert [line for line in faults if re.search(fault, line)], faults


# --- Other drugs ----------------------------------------------------------------------------------


def test_no_dose_of_fludarabine_is_computed_by_a_model_of_another_drug(tmp_path: Path) -> None:
    text = paper(HEAD, "other_units").replace('"fludarabine phosphate"', '"busulfan"', 1)
    (tmp_path / "other_units.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="is a model of busulfan"):
        load_model("other_units", model_folders(tmp_path))
    model = load_model("other_units", model_folders(tmp_path), any_drug=True)
    assert model.drug == "busulfan"
