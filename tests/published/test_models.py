"""Models: finding, compiling, covariates of patients; and a new paper needs only a file."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from reference import Infusion, Table

from fludapk.answers.check import check
from fludapk.errors import FileError, InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.program import SLOTS
from fludapk.published.covariates import (
    covariate_columns,
    covariate_rows,
    missing_covariates,
    outside_studied_range,
)
from fludapk.published.equations import equation
from fludapk.published.models import (
    DEFAULT_MODEL,
    Model,
    ModelFolders,
    load_model,
    load_models,
    model_folders,
    model_paths,
)

F8 = NDArray[np.float64]
CATEGORIES = ("product", "diagnosis", "genotype")
MEASURED = ("AGE", "WT", "HT", "SCR", "eGFR", "CrCl")


# --- Patients -------------------------------------------------------------------------------------


def random_patients(model: Model, n: int) -> list[Table]:
    """Children and adults, each with creatinine, eGFR or CrCl."""
    rng = np.random.default_rng(20)
    patients = []
    for i in range(n):
        age = float(rng.choice([rng.uniform(0.1, 2), rng.uniform(2, 18), rng.uniform(18, 80)]))
        height = float(np.interp(age, [0, 2, 15, 18], [50, 87, 165, 170]) * rng.uniform(0.9, 1.1))
        patient: Table = {
            "AGE": age,
            "SEX": str(rng.choice(["female", "male"])),
            "WT": float((height / 100) ** 2 * rng.uniform(14, 35)),
            "HT": height,
            "SCR": None,
            "eGFR": None,
            "CrCl": None,
        }
        name = ("SCR", "eGFR", "CrCl")[i % 3]
        patient[name] = float({"SCR": rng.uniform(0.2, 2)}.get(name, rng.uniform(15, 260)))
        for category in CATEGORIES:
            categories = model.categories(category)
            patient[category] = str(rng.choice(categories)) if categories else None
        patients.append(patient)
    return patients


def columns(model: Model, patients: list[Table]) -> dict[str, F8]:
    """Patients as columns; NaN is unknown."""

    def number(value: Any) -> float:
        return np.nan if value is None else float(value)

    arrays = {name: np.array([number(p[name]) for p in patients]) for name in MEASURED}
    arrays["SEX"] = np.array(
        [{"female": 1.0, "male": 0.0, None: np.nan}[p["SEX"]] for p in patients]
    )
    arrays["BSA"] = np.array([reference.mosteller(p) for p in patients])
    for name in CATEGORIES:
        categories = model.categories(name)
        arrays[name] = np.array(
            [categories.index(p[name]) if categories else np.nan for p in patients]
        )
    return arrays


def person(**data: Any) -> Table:
    """A patient with these data and no others; by default a child of 5 years."""
    unknown = dict.fromkeys(("SEX", *MEASURED, *CATEGORIES))
    return unknown | {"AGE": 5.0, "WT": 18.2, "HT": 110.0} | data


# --- Covariates -----------------------------------------------------------------------------------


def test_covariates_are_those_of_the_twin(model: Model, twin: Table) -> None:
    patients = random_patients(model, 300)
    values = covariate_columns(model, columns(model, patients)).values
    slow = [reference.covariates_of(twin, patient) for patient in patients]
    assert set(values) == set(twin["covariates"])
    for name in values:
        categories = model.categories(name)
        expected = [categories.index(row[name]) if categories else row[name] for row in slow]
        assert_allclose(values[name], expected, rtol=1e-14)


def test_typical_values_of_patients_are_those_of_the_twin(model: Model, twin: Table) -> None:
    patients = random_patients(model, 100)
    values = covariate_columns(model, columns(model, patients)).values
    tv, _ = model.program.typical_values(covariate_rows(model, values))
    for row, patient in zip(tv, patients, strict=True):
        slow = reference.typical(twin, reference.covariates_of(twin, patient))
        assert_allclose(row, [slow[name] for name in SLOTS], rtol=1e-13)


def test_many_patients_at_once_are_the_patients_one_by_one(model: Model) -> None:
    patients = random_patients(model, 60)
    every = covariate_columns(model, columns(model, patients))
    together, rows = every.values, covariate_rows(model, every.values)
    for i, patient in enumerate(patients):
        own = covariate_columns(model, columns(model, [patient]))
        assert every.steps(i) == own.steps()
        alone = own.values
        for name, column in alone.items():
            assert_array_equal(column, together[name][i : i + 1])
        assert_array_equal(covariate_rows(model, alone)[0], rows[i])


def test_a_given_renal_function_is_used_as_it_is() -> None:
    model = load_model("varela2025")
    values = covariate_columns(model, columns(model, [person(CrCl=96.0, product="axi_cel")])).values
    assert values["CrCl"][0] == 96.0
    model = load_model("langenhorst2019")
    values = covariate_columns(model, columns(model, [person(eGFR=90.0)])).values
    assert values["eGFR"][0] == 90.0


def test_an_egfr_is_deindexed_where_a_clearance_is_wanted_and_the_reverse() -> None:
    tall = {"AGE": 50.0, "WT": 95.0, "HT": 190.0, "product": "axi_cel"}
    over = reference.mosteller(tall) / 1.73
    model = load_model("varela2025")
    values = covariate_columns(model, columns(model, [person(**tall, eGFR=80.0)])).values
    assert values["CrCl"][0] == pytest.approx(80.0 * over, rel=1e-14)
    model = load_model("langenhorst2019")
    table = columns(model, [person(**tall | {"product": None}, CrCl=80.0)])
    values = covariate_columns(model, table).values
    assert values["eGFR"][0] == pytest.approx(80.0 / over, rel=1e-14)


@pytest.mark.parametrize(
    ("age", "highest"), [(0.0, 35), (0.75, 87.5), (1.5, 140), (30, 140), (60, 116), (70, 108)]
)
def test_egfr_is_capped_by_age_even_if_given(age: float, highest: float) -> None:
    model = load_model("langenhorst2019")
    result = covariate_columns(model, columns(model, [person(AGE=age, eGFR=250.0)]))
    values, steps = result.values, result.steps()
    assert values["eGFR"][0] == pytest.approx(highest, rel=1e-14)
    assert [step.by for step in steps if step.name == "eGFR"] == ["given", "cap"]
    result = covariate_columns(model, columns(model, [person(AGE=age, eGFR=highest - 1)]))
    values, steps = result.values, result.steps()
    assert values["eGFR"][0] == highest - 1
    assert [step.by for step in steps if step.name == "eGFR"] == ["given"]


@pytest.mark.parametrize("data", [{"SCR": 0.3}, {"eGFR": 250.0}], ids=["creatinine", "eGFR"])
def test_the_order_of_the_covariates_in_a_file_means_nothing(
    data: dict[str, float], tmp_path: Path
) -> None:
    model = load_model("langenhorst2019")
    text = model.path.read_text(encoding="utf-8")
    start, end = text.index("[covariates.GFR]"), text.index("[theta]")
    derived, rest = text[start:end], text[:start] + text[end:]
    moved = rest.replace("[covariates.eGFR]", derived + "[covariates.eGFR]", 1)
    (tmp_path / f"{model.id}.toml").write_text(moved, encoding="utf-8")
    other = load_model(model.id, ModelFolders([tmp_path], allow_override=True))
    assert list(other.file.covariates) != list(model.file.covariates)
    table = columns(model, [person(**data)])
    expected = covariate_columns(model, table).values
    actual = covariate_columns(other, table).values
    assert actual == expected


@pytest.mark.parametrize(
    ("data", "by"),
    [
        ({"SCR": 0.9, "SEX": "male"}, "cockcroft_gault"),
        ({"SCR": 0.9, "SEX": "male", "AGE": 13.0}, "schwartz_bedside"),
        ({"eGFR": 70.0}, "given"),
        ({"CrCl": 70.0}, "from CrCl"),
    ],
)
def test_the_steps_say_where_the_renal_function_comes_from(data: Table, by: str) -> None:
    model = load_model("langenhorst2019")
    patient = person(**{"AGE": 40.0, "HT": 170.0, "WT": 70.0} | data)
    result = covariate_columns(model, columns(model, [patient]))
    values, steps = result.values, result.steps()
    assert steps[0].by == by
    renal = [step for step in steps if step.name == "eGFR"]
    assert renal[-1].value == values["eGFR"][0]


def test_sex_is_asked_for_only_where_a_formula_needs_it() -> None:
    model = load_model("langenhorst2019")
    ages = [5.0, 13.9, 14.0, 16.9, 17.0, 40.0]
    patients = [person(AGE=age, SCR=0.6) for age in ages]
    values = covariate_columns(model, columns(model, patients)).values
    # Schwartz below 14 y whatever the sex; from 14 y on a boy is measured by Cockcroft-Gault
    assert_array_equal(np.isnan(values["eGFR"]), [age >= 14 for age in ages])
    assert_array_equal(np.isnan(values["GFR"]), [age >= 14 for age in ages])
    for patient in patients[2:]:
        table = columns(model, [patient])
        (fault,) = missing_covariates(model, covariate_columns(model, table).values, table)
        assert fault.fields == ("sex",)
    girl, boy = (
        person(AGE=15.0, SCR=0.6, SEX="female"),
        person(AGE=15.0, SCR=0.6, SEX="male"),
    )
    values = covariate_columns(model, columns(model, [girl, boy])).values
    assert values["eGFR"][0] == pytest.approx(min(0.413 * 110 / 0.6, 140))
    assert values["eGFR"][1] == pytest.approx(
        min(reference.cockcroft_gault(boy) * 1.73 / reference.mosteller(boy), 140)
    )


def test_sex_is_not_asked_for_where_the_renal_function_is_given() -> None:
    for name in ("langenhorst2019", "varela2025"):
        model = load_model(name)
        for data in ({"eGFR": 70.0}, {"CrCl": 70.0}):
            table = columns(
                model,
                [person(AGE=40.0, **data, product=[*model.categories("product"), ""][0])],
            )
            values = covariate_columns(model, table).values
            assert missing_covariates(model, values, table) == []


def test_a_patient_of_unknown_sex_does_not_harm_the_others() -> None:
    model = load_model("langenhorst2019")
    patients = [person(AGE=40.0, SCR=0.8, SEX=sex) for sex in ("female", None, "male")]
    values = covariate_columns(model, columns(model, patients)).values
    assert_array_equal(np.isnan(values["eGFR"]), [False, True, False])
    assert values["eGFR"][0] == pytest.approx(0.85 * values["eGFR"][2], rel=1e-14)


def test_what_is_missing_is_asked_for_by_its_field() -> None:
    model = load_model("mohanan2017")
    table = columns(model, [person(diagnosis="aplastic_anaemia", genotype="GG")])
    for name in ("diagnosis", "genotype"):
        incomplete = table | {name: np.array([np.nan])}
        values = covariate_columns(model, incomplete).values
        (fault,) = missing_covariates(model, values, incomplete)
        assert fault.fields == (name,)
        assert str(fault) == f"mohanan2017 needs {name} ({' or '.join(model.categories(name))})"
    model = load_model("langenhorst2019")
    table = columns(model, [person()])
    (fault,) = missing_covariates(model, covariate_columns(model, table).values, table)
    assert fault.fields == ("scr_mg_dl", "egfr_ml_min_1_73m2", "crcl_ml_min")


def test_an_other_egfr_formula_replaces_the_rules_of_the_model() -> None:
    model = load_model("langenhorst2019")
    table = columns(model, [person(AGE=40.0, HT=170.0, WT=70.0, SCR=1.1, SEX="male")])
    result = covariate_columns(model, table, egfr_formula="ckd_epi_2021")
    values, steps = result.values, result.steps()
    assert values["eGFR"][0] == pytest.approx(142 * (1.1 / 0.9) ** -1.2 * 0.9938**40, rel=1e-14)
    assert steps[0].by == "ckd_epi_2021"


def test_outside_the_studied_range_is_told_and_outside_the_limits_refused() -> None:
    model = load_model("langenhorst2019")
    values = covariate_columns(
        model, columns(model, [person(AGE=80.0, WT=140.0, eGFR=80.0)])
    ).values
    assert [(row.covariate, row.low, row.high) for row in outside_studied_range(model, values)] == [
        ("AGE", 0.3, 74.0),
        ("WT", 4.3, 130.0),
    ]
    values = covariate_columns(
        model, columns(model, [person(AGE=101.0, WT=301.0, eGFR=50.0)])
    ).values
    with pytest.raises(InputError) as refused:
        outside_studied_range(model, values)
    assert [fault.split(" =")[0] for fault in refused.value.sentences()] == [
        "age_years",
        "weight_kg",
    ]


def test_the_written_clearance_can_be_worked_out_to_the_clearance_of_the_twin(
    model: Model, twin: Table
) -> None:
    patient = random_patients(model, 30)[26]
    values = covariate_columns(model, columns(model, [patient])).values
    written = equation(model, "CL", values)
    for sign, operator in (("×", "*"), ("−", "-"), ("^", "**"), ("exp", "np.exp")):
        written = written.replace(sign, operator)
    worked_out = eval(written, {"np": np})
    clearance = reference.typical(twin, reference.covariates_of(twin, patient))["CL"]
    assert worked_out == pytest.approx(clearance, rel=2e-3)  # four digits are written


# --- Folders of models ----------------------------------------------------------------------------


def paper_like(model: str, folder: Path, title: str) -> Path:
    """A copy of a shipped paper under another title."""
    text = load_model(model).path.read_text(encoding="utf-8")
    path = folder / f"{model}.toml"
    path.write_text(text.replace('title = "F-ara-A', f'title = "{title}', 1), encoding="utf-8")
    return path


def test_a_folder_given_goes_before_the_environment_and_that_before_the_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, environment = tmp_path / "given", tmp_path / "environment"
    for folder in (given, environment):
        folder.mkdir()
        paper_like("mohanan2017", folder, folder.name)
    paper_like("varela2025", environment, "environment")
    monkeypatch.delenv("FLUDAPK_MODELS", raising=False)
    (shipped,) = model_folders()
    monkeypatch.setenv("FLUDAPK_MODELS", str(environment))
    assert model_folders(given) == [given, environment, shipped]
    assert model_folders() == [environment, shipped]
    folders = model_folders(given, allow_override=True)
    titles = {name: load_model(name, folders).file.title for name in model_paths(folders)}
    assert titles["mohanan2017"].startswith("given")
    assert titles["varela2025"].startswith("environment")
    assert titles["langenhorst2019"].startswith("F-ara-A")
    from_environment = load_model("mohanan2017", model_folders(allow_override=True))
    assert from_environment.file.title.startswith("environment")


def test_the_default_model_comes_first_then_the_alphabet(folders: list[Path]) -> None:
    names = list(model_paths(folders))
    assert names[0] == DEFAULT_MODEL
    assert names[1:] == sorted(names[1:])
    assert [model.id for model in load_models(folders)] == names


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere: no such folder"):
        model_folders(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("varela", "varela2025"),
        ("langenhorst_2019", "langenhorst2019"),
        ("Mohanan17", "mohanan2017"),
    ],
)
def test_an_unknown_model_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"unknown model '{typed}': did you mean '{meant}'\?"):
        load_model(typed)


def test_the_hash_of_a_model_is_that_of_its_bytes(model: Model) -> None:
    assert model.sha256 == hashlib.sha256(model.path.read_bytes()).hexdigest()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = paper_like("varela2025", tmp_path, "first")
    folders = ModelFolders([tmp_path], allow_override=True)
    before = load_model("varela2025", folders)
    text = path.read_text(encoding="utf-8").replace("value = 41.2", "value = 41.25")
    path.write_text(text, encoding="utf-8")
    after = load_model("varela2025", folders)
    assert (before.file.theta["V1"].value, after.file.theta["V1"].value) == (41.2, 41.25)
    assert before.sha256 != after.sha256


def test_all_bad_files_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text("not TOML at all", encoding="utf-8")
    (tmp_path / "second.toml").write_text("id = 3", encoding="utf-8")
    with pytest.raises(FileError) as refused:
        load_models([tmp_path])
    assert any("first.toml" in fault for fault in refused.value.sentences())
    assert any("second.toml: id" in fault for fault in refused.value.sentences())


def test_a_file_is_named_after_its_model(tmp_path: Path) -> None:
    path = paper_like("varela2025", tmp_path, "renamed")
    path.rename(tmp_path / "other.toml")
    with pytest.raises(FileError, match=r"other\.toml: id: 'varela2025' must be .* 'other'"):
        load_model("other", [tmp_path])


# --- Compiled form --------------------------------------------------------------------------------


def test_every_model_compiles_to_arrays_of_the_same_types_and_ranks(model: Model) -> None:
    program = model.program
    arrays = {
        "theta": (program.theta, np.float64, 1),
        "terms": (program.terms, np.int64, 2),
        "effects": (program.effects, np.int64, 2),
        "category_thetas": (program.category_thetas, np.int64, 1),
        "load_eta": (program.load_eta, np.float64, 2),
        "root_omega": (program.root_omega, np.float64, 2),
        "load_kappa": (program.load_kappa, np.float64, 2),
        "root_omega_iov": (program.root_omega_iov, np.float64, 2),
    }
    for name, (array, kind, rank) in arrays.items():
        assert (array.dtype, array.ndim) == (np.dtype(kind), rank), name
        assert array.flags.c_contiguous, name
        assert array.flags.writeable, name
    assert type(program.is_micro) is int
    assert program.terms.shape[1:] == (4,)
    assert program.effects.shape[1:] == (6,)
    assert program.load_eta.shape == (6, program.n_eta)
    assert program.load_kappa.shape == (6, program.n_kappa)
    assert program.root_omega.shape == (program.n_eta, program.n_eta)
    assert program.root_omega_iov.shape == (program.n_kappa, program.n_kappa)


def test_random_effects_of_rate_constants_move_the_flow_and_volume_they_imply() -> None:
    # Q2 = k12 V1 and V2 = k12 V1 / k21
    program = load_model("mohanan2017").program
    assert program.is_micro == 1
    by_parameter = dict(zip(SLOTS, program.load_eta.tolist(), strict=True))
    assert by_parameter["CL"] == [1, 0, 0, 0]  # eta_CL, eta_V1, eta_k12, eta_k21
    assert by_parameter["V1"] == [0, 1, 0, 0]
    assert by_parameter["Q2"] == [0, 1, 1, 0]
    assert by_parameter["V2"] == [0, 1, 1, -1]
    assert_array_equal(program.load_kappa, program.load_eta)


def test_random_effects_of_flows_and_volumes_move_what_the_file_says(folders: list[Path]) -> None:
    program = load_model("all_effects", folders).program
    assert program.is_micro == 0
    assert_array_equal(
        program.load_eta, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0.5]]
    )


def test_correlations_that_cannot_be_together_are_refused(invented: Path, tmp_path: Path) -> None:
    text = (invented / "all_effects.toml").read_text(encoding="utf-8")
    third = '[[iiv_correlations]]\nbetween = ["eta_V", "eta_V3"]\nvalue = 0.9\nsource = "x"\n'
    path = tmp_path / "all_effects.toml"
    path.write_text(text.replace("value = 0.6", "value = 0.9") + third, encoding="utf-8")
    model = load_model("all_effects", [tmp_path])
    with pytest.raises(FileError, match=r"iiv_correlations: .* not possible together"):
        _ = model.program


# --- A new paper is a new file --------------------------------------------------------------------

ADULT: Table = {
    "AGE": 46.0, "SEX": "male", "WT": 84.0, "HT": 179.0, "SCR": 0.9,
    "product": "tisa_cel", "diagnosis": "lbcl", "genotype": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["one_compartment", "two_flows", "two_rates", "three_rates", "all_effects"]
)
def test_a_new_paper_is_checked_end_to_end_from_nothing_but_its_file(
    name: str, invented: Path, tmp_path: Path
) -> None:
    text = (invented / f"{name}.toml").read_text(encoding="utf-8")
    own = tmp_path / f"my_{name}.toml"
    own.write_text(text.replace(f'id = "{name}"', f'id = "my_{name}"'), encoding="utf-8")
    patient = Patient(
        age_years=ADULT["AGE"], sex=ADULT["SEX"], weight_kg=ADULT["WT"], height_cm=ADULT["HT"],
        scr_mg_dl=ADULT["SCR"], product=ADULT["product"], diagnosis=ADULT["diagnosis"],
    )  # fmt: skip
    regimen = Regimen(dose=28.0, unit="mg/m2", days=4, interval_h=25.0, infusion_h=1.5)
    result = check(patient, regimen, model=own.stem, folders=model_folders(tmp_path))

    twin = reference.load(own)
    typical = reference.typical(twin, reference.covariates_of(twin, ADULT))
    amount = 28.0 * reference.mosteller(ADULT) * twin["dose"]["factor"]
    infusions: list[Infusion] = [(25.0 * k, 1.5, amount) for k in range(4)]
    ends = [start + hours for start, hours, _ in infusions]
    assert result.model == own.stem
    assert result.exposure.clearance_l_h == pytest.approx(typical["CL"], rel=1e-13)
    assert result.exposure.auc_0_inf == pytest.approx(
        reference.auc_0_inf(typical, infusions), rel=1e-11
    )
    peaks, area = reference.solve_expm(
        typical, infusions, [*ends, *(start for start, _, _ in infusions)]
    )
    assert result.exposure.cmax_mg_l == pytest.approx(max(peaks[:4]), rel=1e-11)
    assert_allclose(result.exposure.auc_per_dose[:-1], np.diff(area[4:]), rtol=1e-11)
    present = [i for i, key in enumerate(("CL", "Q2", "Q3")) if typical[key] > 0]
    slowest = np.linalg.eigvals(np.array(reference.rates(typical))[np.ix_(present, present)]).max()
    assert result.exposure.half_life_h == pytest.approx(np.log(2) / -slowest, rel=1e-11)
    low, high = result.exposure.auc_0_inf_pi90
    assert low < result.exposure.auc_0_inf < high
    assert result.provenance.model_sha256 == hashlib.sha256(own.read_bytes()).hexdigest()
    assert own.stem in {row.model for row in result.sensitivity}


def test_the_interval_of_a_new_paper_is_the_log_normal_one(folders: list[Path]) -> None:
    patient = Patient(age_years=46, weight_kg=84, height_cm=179, scr_mg_dl=0.9, sex="male")
    regimen = Regimen(dose=30.0, unit="mg/m2", days=3)
    exposure = check(patient, regimen, model="one_compartment", folders=folders).exposure
    z95 = 1.6448536269514722
    expected = exposure.auc_0_inf * np.exp([-0.3 * z95, 0.3 * z95])  # sd 0.3 on log CL
    assert_allclose(exposure.auc_0_inf_pi90, expected, rtol=2e-3)
