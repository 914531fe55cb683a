"""Cohorts of a study: what is not known of a patient never makes the dose, and nobody vanishes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fludapk import check
from fludapk.errors import FileError, InputError
from fludapk.pages.study import study_page
from fludapk.patients.cohort import read_cohort
from fludapk.patients.patient import Patient
from fludapk.patients.population import Patients
from fludapk.patients.regimen import Regimen
from fludapk.published.regimens import label_rules, label_step
from fludapk.studies.counts import Counts, SimulatedBlock, SimulatedDraw
from fludapk.studies.simulate import StudyResult, read_scenario
from fludapk.studies.study import Study

HEAD = "age_years,sex,weight_kg,height_cm,scr_mg_dl,diagnosis"
CHILDREN = [
    "8,,25,128,3.0,b_all",  # a kidney failure; its CrCl cannot be computed without the sex
    "8,female,25,128,3.0,b_all",
    "8,female,25,128,0.5,b_all",
]
STEPS = [{"at_least": 50.0, "factor": 1.0}, {"at_least": 0.0, "factor": 0.5}]
RENAL: dict[str, Any] = {
    "id": "renal", "kind": "renal", "regimen": "tisa_cel_ball", "measure": "CrCl", "steps": STEPS,
}  # fmt: skip
BANDS = {"by": "crcl_ml_min", "edges": [0.0, 50.0, 200.0]}


def study_of(folder: Path, rows: list[str], head: str = HEAD, **changes: Any) -> Study:
    (folder / "cohort.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
    scenario = {
        "title": "cohort", "seed": 1, "models": ["langenhorst2019"],
        "population": {"file": "cohort.csv", "sample": "as_is"},
        "strategies": [RENAL],
    }  # fmt: skip
    return read_scenario(scenario | changes, beside=folder)


def result_of(study: Study) -> StudyResult:
    counts = [study.run(study.truths[0], s.id, threads=1) for s in study.scenario.strategies]
    return StudyResult(run=study.provenance, counts=counts)


def test_a_patient_of_unknown_renal_function_is_not_dosed_by_a_renal_rule(tmp_path: Path) -> None:
    study = study_of(tmp_path, CHILDREN)
    blocks: list[SimulatedBlock] = []
    study.run(study.truths[0], "renal", threads=1, each=blocks.append)
    (draw,) = blocks[0].draws
    full = 30 * np.sqrt(128 * 25 / 3600)
    assert draw.dose_mg == pytest.approx([0.0, full / 2, full])
    assert draw.given.tolist() == [False, True, True]
    assert draw.undecided.tolist() == [True, False, False]
    row = result_of(study).rows()[0]
    assert (row["n"], row["not_given"], row["undecided"]) == (3, 1, 1)


def test_the_page_of_a_study_says_how_many_could_not_be_dosed(tmp_path: Path) -> None:
    page = study_page(result_of(study_of(tmp_path, CHILDREN)))
    assert "1 of 3 patients given no dose (1 lack what the strategy doses by)" in page


def test_a_stratum_is_for_those_of_whom_its_number_is_not_known(tmp_path: Path) -> None:
    result = result_of(study_of(tmp_path, CHILDREN, strata=[BANDS]))
    sizes = {row["stratum"]: row["n"] for row in result.rows()}
    assert sizes == {
        "all": 3, "crcl_ml_min 0-<50": 1, "crcl_ml_min 50-<200": 1, "crcl_ml_min unknown": 1,
    }  # fmt: skip


def test_bands_that_overlap_have_one_stratum_for_those_not_known(tmp_path: Path) -> None:
    bands = {"by": "crcl_ml_min", "bands": [[0.0, 50.0], [0.0, 200.0]]}
    result = result_of(study_of(tmp_path, CHILDREN, strata=[bands]))
    sizes = [(row["stratum"], row["n"]) for row in result.rows()]
    assert sizes == [
        ("all", 3), ("crcl_ml_min 0-<50", 1), ("crcl_ml_min unknown", 1), ("crcl_ml_min 0-<200", 2),
    ]  # fmt: skip
    assert "in none of its bands" not in study_page(result)


def test_patients_outside_all_bands_are_said(tmp_path: Path) -> None:
    narrow = {"by": "crcl_ml_min", "edges": [0.0, 50.0]}
    page = study_page(result_of(study_of(tmp_path, CHILDREN[1:], strata=[narrow])))
    assert "crcl_ml_min: 1 of 2 patients are in none of its bands" in page


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_row_of_a_label_applies_to_no_renal_function(value: float) -> None:
    with pytest.raises(InputError, match="is no number"):
        label_step(label_rules()[0], value)


def test_a_model_that_lacks_a_covariate_doses_nobody_by_a_guess(tmp_path: Path) -> None:
    """varela2025 doses by CrCl: of a child without sex it is not known."""
    target = {"id": "t", "kind": "target", "auc": 15.0, "days": 4, "model": "varela2025"}
    adaptive = {
        "id": "a", "kind": "adaptive", "auc": 15.0, "regimen": "tisa_cel_ball",
        "levels_h": [2.0, 7.0], "model": "varela2025",
    }  # fmt: skip
    rows = [f"{row},axi_cel" for row in CHILDREN]
    study = study_of(tmp_path, rows, f"{HEAD},product", strategies=[target, adaptive])
    for row in result_of(study).rows():
        assert (row["n"], row["not_given"], row["undecided"]) == (3, 1, 1)


def test_patients_whom_nobody_can_dose_are_a_fault(tmp_path: Path) -> None:
    target = {"id": "t", "kind": "target", "auc": 15.0, "days": 4, "model": "varela2025"}
    with pytest.raises(FileError, match="varela2025 can dose nobody"):
        study_of(tmp_path, ["8,,25,128,0.5,b_all"], strategies=[target])


def test_a_study_uses_the_formula_of_renal_function_that_its_cohort_names(tmp_path: Path) -> None:
    fixed = {"id": "f", "kind": "fixed", "regimen": "tisa_cel_ball"}
    rows = ["8,female,25,128,0.9,b_all,", "8,female,25,128,0.9,b_all,ckid_u25"]
    study = study_of(tmp_path, rows, f"{HEAD},egfr_formula", strategies=[fixed])
    block = study.block(study.truths[0], study.dosing["langenhorst2019", "f"], 0)
    for i, formula in enumerate((None, "ckid_u25")):
        girl = Patient(
            age_years=8, sex="female", weight_kg=25, height_cm=128, scr_mg_dl=0.9,
            egfr_formula=formula,
        )  # fmt: skip
        result = check(girl, Regimen.named("tisa_cel_ball"))
        amount_mg = 0.781 * 4 * 30 * np.sqrt(128 * 25 / 3600)
        assert amount_mg / block.tv[i, 0] == pytest.approx(result.exposure.auc_0_inf, rel=1e-3)
    assert block.tv[0, 0] != pytest.approx(block.tv[1, 0], rel=1e-3)


def test_extra_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="'ward' is there twice"):
        study_of(tmp_path, [f"{row},A,B" for row in CHILDREN], f"{HEAD},ward,ward")


@pytest.mark.parametrize("cell", ["1_0", "nan", "inf", "١٠", "0x10", "1e400"])
def test_only_plain_numbers_make_a_column_a_number(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(f"{HEAD},ward\n{CHILDREN[1]},1\n{CHILDREN[2]},{cell}\n", "utf-8")
    cohort, _ = read_cohort(path)
    assert cohort.extra["ward"].tolist() == ["1", cell]


def test_plain_numbers_make_a_column_a_number(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(f"{HEAD},ward\n{CHILDREN[1]}, 1\n{CHILDREN[2]},-2.5e1\n", "utf-8")
    assert read_cohort(path)[0].extra["ward"].tolist() == [1.0, -25.0]


def test_an_exposure_that_is_none_is_never_counted() -> None:
    counts = Counts.nothing("langenhorst2019", "a", ["all"], 0)
    yes = np.ones(2, np.bool_)
    draw = SimulatedDraw(
        auc=np.array([15.0, np.nan]), predicted=np.ones(2), cl_l_h=np.ones(2),
        doses_mg=np.ones((2, 1)), total_mg_m2=np.ones(2), given=yes, held=~yes, undecided=~yes,
    )  # fmt: skip
    block = SimulatedBlock(Patients({}, {}), [draw], ~yes, [np.zeros(2, np.int64)], {}, [])
    with pytest.raises(InputError, match="came out as no number"):
        counts.add(block, (13.8, 20.0))
