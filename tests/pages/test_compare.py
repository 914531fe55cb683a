"""Plans side by side on paper and on a terminal."""

import re
from xml.etree import ElementTree

import pytest

from fludapk.answers.compare import compare
from fludapk.answers.compare_records import CompareResult
from fludapk.pages.compare import brief_page, compare_page
from fludapk.pages.compare_drawing import plans_picture
from fludapk.pages.compare_rows import table_lines
from fludapk.patients.patient import Patient

MAN = Patient(age=61, sex="male", weight=82, height=176, scr="1.2 mg/dL")
GIRL = Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
STOPPED = Patient(age=61, sex="male", weight=82, height=176, scr="450 umol/L")


@pytest.fixture(scope="module")
def four() -> CompareResult:
    return compare(MAN, ["axi_cel", "axi_cel 24 mg/m2", "axi_cel auc 19", "axi_cel rule us_iv"])


@pytest.mark.parametrize("width", [60, 80, 100, 110])
def test_a_page_is_never_wider_than_the_terminal(four: CompareResult, width: int) -> None:
    for page in (compare_page(four, width), brief_page(four, width)):
        assert max(map(len, page.splitlines())) <= width


def test_every_plan_has_a_cell_in_every_line(four: CompareResult) -> None:
    lines = {line.name: line.cells for line in table_lines(four)}
    assert {len(cells) for cells in lines.values()} == {4}
    assert lines["AUC0-inf, mg·h/L"] == ["20.02", "16.02", "19.00", "16.02"]
    assert lines["Dose, AUC against plan 1"] == ["", "−20 %", "−5 %", "−20 %"]
    assert lines["Draw up per dose"][2] == "2.28 mL, 2 vials"
    assert lines["AUC by Varela 2025"][0] == "21.79, above 20"
    assert "Goal" in lines
    assert "STOP" not in lines


def test_no_dose_has_a_trailing_zero(four: CompareResult) -> None:
    for cells in (line.cells for line in table_lines(four)):
        assert not [cell for cell in cells if re.search(r"\d\.\d*0 m[gL]", cell)]


def test_the_calculation_of_the_patient_stands_once_and_that_of_each_plan(
    four: CompareResult,
) -> None:
    page = " ".join(compare_page(four, 100).split())
    assert page.count("mosteller: √(176 cm × 82 kg / 3600)") == 1
    for k, dose in enumerate(("60.07", "48.05", "57"), start=1):
        assert f"Plan {k} dose {dose} mg fludarabine phosphate" in page
    assert "found for AUC0-inf 19 mg·h/L" in page
    assert "us_iv: US label: 20 % less (20 mg/m² in CLL) at CrCl 75 mL/min" in page


def test_what_is_stopped_comes_first_and_what_the_model_would_give_below() -> None:
    page = compare_page(compare(STOPPED, ["axi_cel", "axi_cel auc 19"]), 100)
    stop, table = page.index("STOP: every plan: US label"), page.index("Plans side by side")
    would = page.index("Plan 2, if there were no STOP, by the model: 36 mg per dose")
    assert stop < table < would


def test_the_picture_has_a_row_for_each_plan_and_the_window_behind_it(
    four: CompareResult,
) -> None:
    picture = plans_picture(four)
    assert [row.auc_label for row in picture.rows] == ["20.02", "16.02", "19.00", "16.02"]
    (bounds,) = picture.edges  # the numbers would touch
    assert bounds.label == "18-20"
    for row in picture.rows:
        assert row.auc_x is not None
        assert row.band is not None
        assert picture.left < row.low_x < row.auc_x < row.high_x < picture.right
        assert sum(row.band.edges) / 2 == pytest.approx(bounds.at)
    inside = picture.rows[2]
    assert inside.auc_x is not None
    assert inside.band is not None
    low, high = inside.band.edges
    assert low < inside.auc_x < high


def test_a_plan_without_a_dose_keeps_its_row_in_the_picture() -> None:
    picture = plans_picture(compare(GIRL, ["tisa_cel_ball", "tisa_cel_ball rule eu"]))
    first, second = picture.rows
    assert second.word == "STOP: no dose"
    assert second.auc_x is None
    assert first.band is not None
    assert first.band.x + first.band.width == pytest.approx(picture.right)


def test_the_picture_is_grey_and_well_formed(four: CompareResult) -> None:
    (svg,) = re.findall(r"<svg.*?</svg>", four.to_html(), re.S)
    tree = ElementTree.fromstring(svg)
    inks = {e.get(name) for e in tree.iter() for name in ("fill", "stroke")} - {None, "none"}
    for ink in inks:
        assert len(set(re.findall(r"[0-9a-f]", str(ink)))) == 1, ink
    assert tree.find("title") is not None


def test_a_notebook_and_a_file_show_the_same_sheet(four: CompareResult) -> None:
    part = four._repr_html_()
    assert part is not None
    assert "Plans side by side" in part
    assert four.to_html().startswith("<!DOCTYPE html>")
    assert repr(four).startswith("<compare by langenhorst2019: axi_cel; axi_cel 24 mg/m2")
    assert str(four).startswith("male, 61 y, 82 kg, 176 cm | Creatinine 1.2 mg/dL")
