"""Models of other drugs, written from their printed parameters, give back their printed results.

Parameters and results were read in the sources and vignettes of nlmixr2lib (Nicholas, Denney et
al.), which name table and section of each paper; each file repeats them.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose

from fludapk.answers.check import check
from fludapk.answers.export import export_model
from fludapk.answers.verify import verify
from fludapk.errors import InputError
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_exposure, individual_parameters
from fludapk.pk.program import SLOTS
from fludapk.published.covariates import covariate_columns, covariate_rows
from fludapk.published.engines import ENGINES
from fludapk.published.models import Model, load_model, model_folders

FOLDER: Final = Path(__file__).resolve().parents[1] / "drugs"
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.toml"))


def loaded(name: str) -> Model:
    return load_model(name, model_folders(FOLDER), any_drug=True)


def typical(model: Model, **values: Any) -> Any:
    """Typical parameters for values of the covariates of the model."""
    row = {name: np.array([float(value)]) for name, value in values.items()}
    return model.program.typical_values(covariate_rows(model, row))[0]


def test_there_are_eight_of_them_and_none_is_shipped() -> None:
    assert len(NAMES) >= 8
    drugs = {loaded(name).drug for name in NAMES}
    assert len(drugs) >= 6
    assert "fludarabine phosphate" not in drugs


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_back_the_printed_numbers_of_its_paper(name: str) -> None:
    rows = verify([name], model_folders(FOLDER))
    assert len(rows) >= 2
    assert [row.what for row in rows if not row.ok] == []
    assert loaded(name).adjusted == []


@pytest.mark.parametrize("name", NAMES)
def test_typical_values_of_patients_are_those_of_the_twin(name: str) -> None:
    model, twin = loaded(name), reference.load(FOLDER / f"{name}.toml")
    for age, sex, weight, height in ((0.01, "male", 3.2, 50), (6, "female", 20, 115),
                                     (60, "male", 80, 178)):  # fmt: skip
        own = {k: c.levels[-1] for k, c in model.file.covariates.items() if c.levels}
        patient = Patient(age_years=age, sex=sex, weight_kg=weight, height_cm=height,
                          scr_mg_dl=0.7, gestational_age_weeks=33, categories=own,
                          confirm=["age", "weight", "height", "scr"])  # fmt: skip
        person = {"AGE": age, "WT": weight, "HT": height, "SCR": 0.7, "GA": 33.0, **own,
                  "SEX": sex}  # fmt: skip
        values = covariate_columns(model, columns_of([patient], model)).values
        tv = model.program.typical_values(covariate_rows(model, values))[0]
        slow = reference.typical(twin, reference.covariates_of(twin, person))
        assert_allclose(tv[0, :6], [slow[slot] for slot in SLOTS], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_no_course_of_fludarabine_is_checked_by_it(name: str) -> None:
    girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    plan = Regimen.named("tisa_cel_ball")
    with pytest.raises(InputError, match="is a model of"):
        check(girl, plan, model=name, folders=model_folders(FOLDER))
    result = check(girl, plan, folders=model_folders(FOLDER))
    assert not {row.model for row in result.sensitivity} & set(NAMES)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_can_be_taken_to_another_engine(engine: str) -> None:
    for name in NAMES:
        export = export_model(name, to=engine, folders=model_folders(FOLDER))
        assert loaded(name).drug in export.code
        assert export.auc_0_inf > 0


# --- Printed results that are no typical parameter ------------------------------------------------

TABLE_3: Final = """
0 2.6 1350  0 3.3 1600  0 4.2 1950  0.25 5.2 2650  0.25 6.4 3100  0.25 7.7 3550
0.5 6.6 3500  0.5 7.9 4000  0.5 9.5 4600  1 8.1 4600  1 9.6 5200  1 11.5 6000
2 10.1 6100  2 12.2 7000  2 14.7 8000  4 13.6 8250  4 16.3 9450  4 20.3 11100
6 16.9 10000  6 20.8 11700  6 27.0 14250  8 20.7 11900  8 25.8 14000  8 35.3 17700
10 24.9 13800  10 32.1 16700  10 46.2 21900  12 30.6 16200  12 40.7 20000  12 59.3 26600
14 38.5 19300  14 51.2 24000  14 72.7 31100  18 53.2 24800  18 67.3 29500  18 92.0 37400
"""
"""Age (years), weight (kg) and dose (mg) for an AUC of 1650 mg·h/L: van der Stoep 2019, Table 3."""


def test_doses_of_treosulfan_reach_the_printed_exposure() -> None:
    model = loaded("vanderstoep2019")
    numbers = np.array(TABLE_3.split(), dtype=np.float64).reshape(-1, 3)
    for age, weight, dose in numbers:
        tv = typical(model, WT=weight, PMA=40 + age * 365.25 / 7)
        none = RandomEffects.none(model.program, 1)
        auc = course_exposure(
            model.program, tv, none, np.zeros(1), np.full(1, 3.0), dose[None, None]
        )
        # doses are rounded to 50 mg: 1.9 % of half the smallest
        assert auc.auc_0_inf[0] == pytest.approx(1650, rel=0.02), (age, weight)


def test_clearance_of_treosulfan_is_mature_by_nine_tenths_at_4_years() -> None:
    model = loaded("vanderstoep2019")
    clearance = typical(model, WT=70, PMA=40 + 4 * 365.25 / 7)[0, 0]
    assert clearance / 18.8 == pytest.approx(0.90, abs=0.01)  # section 3.3: "approximately"


def test_printed_variabilities_of_treosulfan_are_those_of_its_block() -> None:
    root = loaded("vanderstoep2019").program.root_omega
    sd = np.sqrt(np.diag(root @ root.T))
    assert np.round(100 * sd, 1).tolist() == [31.8, 45.9, 17.3, 41.4]  # Table 2


def test_clearance_of_busulfan_falls_over_the_course() -> None:
    model = loaded("lawson2022")
    tv = typical(model, NFM_CL=15.0, NFM_V=14.0, FFM=13.0, PMA=259)
    starts = np.array([0.0, 24.0, 48.0, 72.0, 96.0])
    none = RandomEffects.none(model.program, 5)
    course = course_exposure(
        model.program, tv, none, starts, np.full(5, 3.0), np.full((1, 5), 70.0)
    )
    assert course.auc_per_dose[0, -1] > course.auc_per_dose[0, 0]
    falls = 1 - np.exp(-0.198 * starts / (50.6 + starts))
    # Discussion: on average 8.1 % within 48 h and 11.6 % by the end, of all 95 children
    assert falls[2] == pytest.approx(0.081, abs=0.015)
    assert falls[4] == pytest.approx(0.116, abs=0.01)
    own = individual_parameters(model.program, tv, none, starts)[0, :, 0]
    assert_allclose(1 - own / own[0], falls, rtol=1e-12)


def test_a_first_dose_of_busulfan_gives_the_printed_median_area() -> None:
    """4.4 mg/kg in the median child, of 17.0 kg and 4.2 years: 15.1 mg·h/L in Table 4."""
    model = loaded("lawson2022")
    child = Patient(age_years=4.2, sex="male", weight_kg=17.0, height_cm=96.6)  # BMI 18.2
    values = covariate_columns(model, columns_of([child], model)).values
    tv = model.program.typical_values(covariate_rows(model, values))[0]
    starts, none = np.array([0.0, 24.0]), RandomEffects.none(model.program, 2)
    mg = np.array([[17.0 * 4.4, 0.0]])
    area = course_exposure(model.program, tv, none, starts, np.full(2, 3.0), mg).auc_per_dose[0, 0]
    assert area == pytest.approx(15.1, rel=0.1)  # the median of children is not the median child


def test_more_than_half_of_clofarabine_is_cleared_by_the_kidney() -> None:
    model = loaded("nijstad2021")
    row = {"GFR": np.array([6.0]), "WT": np.array([70.0])}
    tv, renal = model.program.typical_values(covariate_rows(model, row))
    assert tv[0, 0] == pytest.approx(24.0 + 29.8)
    assert renal[0] == pytest.approx(0.55, abs=0.005)  # section 3.3: approximately 55 %


@pytest.mark.parametrize(("dialysis", "printed"), [(0, 1.4), (1, 1.0)])
def test_volumes_of_vancomycin_at_steady_state_are_the_printed_ones(
    dialysis: int, printed: float
) -> None:
    tv = typical(loaded("goti2018"), WT=70, CrCl=120, dialysis=dialysis)
    assert round(float(tv[0, 1] + tv[0, 3]) / 70, 1) == printed  # Discussion, L/kg


def test_tobramycin_meets_its_target_as_often_as_printed() -> None:
    """10 mg/kg: AUC0-24 below 80 mg·h/L in 22.2 %, to 125 in 72.1 %, above in 5.7 % (Table 3)."""
    model, rng, n = loaded("hennig2008"), np.random.default_rng(1), 20_000
    weights = np.clip(rng.normal(34.0, 16.0, n), 6.0, 72.6)  # Table 1: mean and range
    tv = model.program.typical_values(weights[:, None])[0]
    z = rng.standard_normal((n, model.program.n_eta + 2 * model.program.n_kappa))
    effects = RandomEffects.from_normals(model.program, z, 2)
    mg = np.column_stack([10.0 * weights, np.zeros(n)])
    starts = np.array([0.0, 24.0])
    auc = course_exposure(model.program, tv, effects, starts, np.full(2, 0.5), mg).auc_per_dose[
        :, 0
    ]
    shares = np.mean(auc < 80), np.mean((auc >= 80) & (auc <= 125)), np.mean(auc > 125)
    # the spread of weights is not printed: its part of the answer is some points
    assert 100 * np.array(shares) == pytest.approx([22.2, 72.1, 5.7], abs=10)


def test_amikacin_follows_a_creatinine_that_changes() -> None:
    model = loaded("delattre2010")
    twin = reference.load(FOLDER / "delattre2010.toml")
    clearances = (90.0, 55.5, 30.0)
    rows = np.concatenate([typical(model, CrCl=x) for x in clearances])[np.newaxis]
    doses = [(24.0 * k, 0.5, 1750.0) for k in range(3)]
    starts, none = np.array([0.0, 24.0, 48.0]), RandomEffects.none(model.program, 3)
    auc = course_exposure(
        model.program, rows, none, starts, np.full(3, 0.5), np.full((1, 3), 1750.0)
    )
    each = [reference.typical(twin, {"CrCl": x}) for x in clearances]
    assert auc.auc_0_inf[0] == pytest.approx(reference.auc_0_inf(each, doses), rel=1e-12)
    assert_allclose(rows[0, :, 0], [0.77 + 1.42 * x / 55.5 for x in clearances])


def test_gentamicin_in_neonates_knows_their_gestational_age() -> None:
    """Born at 34 weeks, a day old, 2170 g: 0.089 L/h and 0.908 L; later born, more (Table S1)."""
    model = loaded("samb2022")

    def parameters(**data: Any) -> Any:
        baby = Patient(age="1 day", weight_kg=2.17, height_cm=45, categories={"dopamine": "no"},
                       confirm=["weight", "height"], **data)  # fmt: skip
        values = covariate_columns(model, columns_of([baby], model)).values
        return model.program.typical_values(covariate_rows(model, values))[0][0]

    assert parameters(gestational_age_weeks=34)[:2] == pytest.approx([0.089, 0.908], rel=1e-6)
    term = parameters()
    assert term[0] == pytest.approx(0.089 * (1 + 1.87 * 6 / 34), rel=1e-6)
    assert term[1] == pytest.approx(0.908 * (1 - 0.922 * 6 / 34), rel=1e-6)
