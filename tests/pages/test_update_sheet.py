"""The sheet of measured levels, and the frame that all sheets share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from fludapk.answers.check import check
from fludapk.answers.update import update
from fludapk.answers.update_records import UpdateResult
from fludapk.cli import main
from fludapk.pages.templates import calculated_at
from fludapk.pages.update import update_page
from fludapk.pages.update_sheet import update_html
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen

GIRL: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
BALL: Final = Regimen.named("tisa_cel_ball")
DAY_ONE: Final = ("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L", "23.5h 0.03mg/L")
WORDS: Final = (
    "check", "--age=5", "--weight=18.2", "--height=110", "--scr=0.3 mg/dL",
    "--regimen=tisa_cel_ball",
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> UpdateResult:
    return update(GIRL, BALL, DAY_ONE, window=(13.8, 20.0))


def test_the_chance_is_that_of_the_weighted_draws(result: UpdateResult) -> None:
    fitted = result.fit
    auc = fitted.auc(fitted.posterior.effects, fitted.prediction.arrays[2][0] / 0.781)
    below = float(fitted.posterior.weights[auc < 13.8].sum())
    assert result.headline.p_below == pytest.approx(below, abs=1e-6)
    assert result.headline.interval == result.posterior.auc_0_inf_pi90
    assert result.headline.sentence == (
        "99 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 1 % of falling short"
    )


def test_chance_then_auc_then_the_dose_that_is_left(result: UpdateResult) -> None:
    for page in (update_page(result, 1000), update_html(result)):
        parts = ("99 % chance of reaching", "17.16", "Remaining 3 of 4 doses: 21 mg",
                 "From covariates alone 13.58", "What to know", "fitted")  # fmt: skip
        places = [page.index(part) for part in parts]
        assert places == sorted(places)


def test_what_a_second_person_needs_is_on_every_sheet_of_a_patient(result: UpdateResult) -> None:
    for page in (update_html(result), check(GIRL, BALL).to_html()):
        assert "Creatinine 0.3 mg/dL (26.5 µmol/L)" in page
        assert "eGFR 140 mL/min/1.73 m² (schwartz_bedside, capped from 151)" in page
        assert "body surface area 0.7457 m² (mosteller)" in page
        assert "to check by hand</h2>" in page
        assert "0.413 × 110 cm / 0.3 mg/dL" in page
        assert "Patient label" in page


def test_an_egfr_or_a_clearance_is_named_as_it_was_given() -> None:
    by_egfr = Patient(age_years=5, weight_kg=18.2, height_cm=110, egfr_ml_min_1_73m2=100)
    assert "eGFR 100 mL/min/1.73 m² (given); body" in check(by_egfr, BALL).to_html()
    man = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, crcl_ml_min=90)
    page = check(man, Regimen.named("axi_cel")).to_html()
    assert "creatinine clearance 90 mL/min" in page


def test_the_time_of_the_calculation_is_a_line_unless_it_is_said(result: UpdateResult) -> None:
    line = '<span class="calculated">{}</span>'
    assert line.format("") in result.to_html()
    with calculated_at(datetime(2026, 1, 14, 8, 30, tzinfo=UTC)):
        assert line.format("2026-01-14 08:30+00:00") in result.to_html()
    assert line.format("") in result.to_html()


def test_a_report_has_the_time_and_can_be_made_again_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, again, fixed = (tmp_path / f"{name}.html" for name in ("now", "again", "fixed"))
    CliRunner().invoke(main, [*WORDS, f"--report={now}"])
    assert '<span class="calculated">20' in now.read_text("utf-8")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1768379400")
    for path in (again, fixed):
        CliRunner().invoke(main, [*WORDS, f"--report={path}"])
    assert "2026-01-14 08:30+00:00" in fixed.read_text("utf-8")
    assert again.read_bytes() == fixed.read_bytes()
