"""`import fludapk`: what it offers, and that every answer prints, tabulates and is drawn."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

import fludapk
from fludapk.answers.record import Record
from fludapk.errors import InputError

ROOT: Final = Path(__file__).parents[1]
GIRL: Final = fludapk.Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
PLAN: Final = fludapk.Regimen.named("tisa_cel_ball")
LEVELS: Final = ["1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L"]
SCENARIO: Final = {
    "title": "one strategy",
    "seed": 1,
    "patients": 500,
    "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
}
ANSWERS: Final = {
    "check": lambda: fludapk.check(GIRL, PLAN),
    "compare": lambda: fludapk.compare(GIRL, ["tisa_cel_ball", "tisa_cel_ball auc 15"]),
    "find_dose": lambda: fludapk.find_dose(GIRL, PLAN, auc=15),
    "update": lambda: fludapk.update(GIRL, PLAN, LEVELS, target="scordo2023"),
    "design": lambda: fludapk.design(GIRL, PLAN, most=1, patients=100),
    "nomogram": lambda: fludapk.nomogram(PLAN, weights_kg=[10, 20, 40]),
    "simulate": lambda: fludapk.simulate(SCENARIO),
    "evaluate": lambda: fludapk.evaluate(
        pd.read_csv(ROOT / "examples" / "levels.csv").query("ID <= 4"),
        dv_unit="mg/L", amount="phosphate", simulations=100,
    ),
    "open_case": lambda: fludapk.open_case(fludapk.save_case(
        {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL", "regimen": "tisa_cel_ball"},
    )),
    "verify": lambda: fludapk.verify(["varela2025"]),
    "models": fludapk.models,
    "outcomes": fludapk.outcomes,
    "regimens": fludapk.regimens,
    "targets": fludapk.targets,
}  # fmt: skip


@pytest.fixture(scope="module", params=ANSWERS)
def answer(request: pytest.FixtureRequest) -> Record:
    made: Record = ANSWERS[request.param]()
    return made


def test_it_offers_what_completion_shows() -> None:
    assert set(fludapk.__all__) < set(dir(fludapk))
    assert all(callable(getattr(fludapk, name)) for name in fludapk.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'chek'"):
        _ = fludapk.chek


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, fludapk; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "numba", "pandas", "pydantic", "scipy"} & set(loaded.stdout.split())


def test_every_answer_is_one_short_line_in_a_list(answer: Record) -> None:
    assert re.fullmatch(r"<.{8,120}>", repr(answer))


def test_every_answer_prints_as_its_page(answer: Record) -> None:
    page = str(answer)
    assert page.count("\n") >= 3
    assert page != repr(answer)


def test_every_answer_is_drawn_in_a_notebook_without_changing_it(answer: Record) -> None:
    html = answer._repr_html_()
    assert html is not None
    assert html.startswith(("<div", "<pre"))
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is None or style[1].lstrip().startswith("@scope {")
    assert "<html" not in html


def test_every_answer_is_json(answer: Record) -> None:
    assert json.loads(answer.to_json()) == json.loads(answer.to_json(indent=None))


def test_every_answer_is_a_table(answer: Record) -> None:
    frame = answer.to_frame()
    assert len(frame) > 0
    assert set(frame.attrs["units"]) <= set(frame.columns)


def test_a_check_in_a_notebook_is_its_sheet() -> None:
    html = fludapk.check(GIRL, PLAN)._repr_html_() or ""
    assert "13.58" in html
    assert html.count("<svg") == 3, "chances, targets, course"


def test_a_patient_is_typed_or_given_in_units() -> None:
    known = fludapk.Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    assert fludapk.check(known, PLAN).exposure == fludapk.check(GIRL, PLAN).exposure


def test_concentrations_are_a_table_over_time() -> None:
    curve = fludapk.concentrations(GIRL, PLAN)
    assert [curve.index.name, *curve.columns] == ["time_h", "typical", "p05", "p95"]
    assert (curve["p05"] <= curve["typical"]).all()
    assert (curve["typical"] <= curve["p95"]).all()
    peak = curve["typical"].max()
    assert peak == pytest.approx(fludapk.check(GIRL, PLAN).exposure.cmax_mg_l, rel=1e-9)
    assert curve.attrs["units"]["typical"] == "mg/L"


# --- Tables of patients ---------------------------------------------------------------------------


def patients(**columns: Any) -> pd.DataFrame:
    girl = {"age_years": 5.0, "weight_kg": 18.2, "height_cm": 110.0, "scr_mg_dl": 0.3}
    return pd.DataFrame({**girl, **columns}, index=["a", "b", "c"])


def test_a_refused_row_keeps_its_place() -> None:
    table = patients(weight_kg=[18.2, -1.0, 18.2])
    results = fludapk.check_table(table, regimen="tisa_cel_ball")
    assert list(results.index) == ["a", "b", "c"]
    assert list(results.columns[:4]) == list(table.columns)
    assert results["auc_0_inf"].round(2).tolist()[::2] == [13.58, 13.58]
    assert results["auc_0_inf"].isna().tolist() == [False, True, False]
    assert results.loc["b", "error"] == "weight_kg = -1 kg must be above zero"
    assert results.loc["a", "flag"] == "below"
    assert results.attrs["units"]["auc_0_inf"] == "mg·h/L"


def test_a_table_gives_what_checks_of_its_rows_give() -> None:
    table = patients(sex=["female", "male", None], weight_kg=[18, 20, 22])
    results = fludapk.check_table(table, regimen="tisa_cel_ball")
    for k, (sex, weight) in enumerate((("female", 18.0), ("male", 20.0), (None, 22.0))):
        patient = fludapk.Patient(
            age_years=5.0, sex=sex, weight_kg=weight, height_cm=110.0, scr_mg_dl=0.3
        )
        expected = fludapk.check(patient, PLAN)
        assert results["auc_0_inf"].iloc[k] == expected.exposure.auc_0_inf
        assert results["input_sha256"].iloc[k] == expected.provenance.input_sha256


def test_a_missing_value_is_empty_and_not_a_guess() -> None:
    results = fludapk.check_table(patients(height_cm=[110.0, None, 110.0]), regimen="tisa_cel_ball")
    assert "height_cm is missing" in str(results.loc["b", "error"])


def test_columns_of_other_names_are_mapped_or_asked_about() -> None:
    table = patients().rename(columns={"weight_kg": "kg"})
    with pytest.raises(InputError, match="no column for weight"):
        fludapk.check_table(table, regimen="tisa_cel_ball")
    found = fludapk.check_table(table, names={"kg": "weight_kg"}, regimen="tisa_cel_ball")
    assert found["flag"].tolist() == ["below"] * 3
    with pytest.raises(InputError, match="unknown: regimne"):
        fludapk.check_table(table, regimne="tisa_cel_ball")


def test_results_never_take_the_name_of_a_column() -> None:
    results = fludapk.check_table(patients(flag="mine"), regimen="tisa_cel_ball")
    assert results["flag"].tolist() == ["mine"] * 3
    assert results["result_flag"].tolist() == ["below"] * 3


def test_records_give_a_row_per_course() -> None:
    records = pd.DataFrame({
        "ID": [1, 1, 2], "TIME": [0, 24, 0], "AMT": 22.4, "RATE": 44.8, "EVID": 1, "MDV": 1,
        "AGE": 5, "WT": 18.2, "HT": 110, "EGFR": 110,
    })  # fmt: skip
    results = fludapk.check_table(records, amount="phosphate")
    assert results["ID"].tolist() == [1, 2]
    assert results["auc_0_inf"].iloc[0] == pytest.approx(2 * results["auc_0_inf"].iloc[1], rel=1e-3)


def test_levels_in_a_frame_and_in_a_file_are_the_same_evaluation() -> None:
    path = ROOT / "examples" / "levels.csv"
    one, other = (
        fludapk.evaluate(levels, dv_unit="mg/L", amount="phosphate", simulations=100)
        for levels in (path, pd.read_csv(path))
    )
    assert one.models == other.models
