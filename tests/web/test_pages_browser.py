"""Lists, nomograms, studies and levels in a browser: fit to a screen, whole on paper."""

from pathlib import Path
from typing import Any

import pytest
from browsing import WIDTHS, browser, overflow, page, printed, squeezed

from fludapk.answers.batch import Plan, Tally, chunks, run
from fludapk.answers.goal import Goal
from fludapk.answers.nomogram import nomogram
from fludapk.answers.update import update
from fludapk.pages.batch import batch_html
from fludapk.pages.nomogram import nomogram_html
from fludapk.pages.nomogram_figure import nomogram_svg
from fludapk.pages.study import study_html
from fludapk.pages.study_figures import pictures
from fludapk.pages.update_sheet import update_html
from fludapk.patients.columns import Layout, is_column
from fludapk.patients.csv_list import open_list
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.studies.simulate import simulate

pytestmark = pytest.mark.browser
__all__ = ["browser", "page"]  # fixtures

ROWS = 120


def a_list(folder: Path) -> str:
    rows = [f"id{k},{5 + k % 12},{18 + k % 30},{110 + k % 50},female,0.4,tisa_cel_ball"
            for k in range(ROWS)]  # fmt: skip
    path = folder / "list.csv"
    path.write_text("\n".join(["ID,age,WT,HT,sex,scr_mg_dl,regimen", *rows, "bad,,,,,,"]) + "\n")
    source = open_list(path, is_column)
    plan, tally = Plan(layout=Layout.read(source.header), log2_points=5), Tally()
    for one in run(plan, chunks(plan.layout, source.rows())):
        tally.join(one.tally)
    return batch_html(tally, "0" * 64, 5)


def a_nomogram(folder: Path) -> str:
    chart = nomogram(Regimen.named("tisa_cel_ball"))
    return nomogram_html(chart, nomogram_svg(chart))


def a_study(folder: Path) -> str:
    result = simulate({
        "title": "small", "seed": 1, "patients": 2000, "models": ["langenhorst2019"],
        "population": {"use": "prwcc_ball"},
        "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
        "strata": [{"by": "sex"}],
    })  # fmt: skip
    figures = {name: figure.svg() for name, figure in pictures(result).items()}
    return study_html(result, figures)


def levels(folder: Path) -> str:
    girl = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    texts = ("1h 0.85mg/L", "7h 0.15mg/L", "23.5h <0.05mg/L")
    measured = [Level.from_text(text) for text in texts]
    goal = Goal.chosen(window=(13.8, 20.0))
    return update_html(update(girl, Regimen.named("tisa_cel_ball"), measured, goal=goal))


PAGES = {"list": a_list, "nomogram": a_nomogram, "study": a_study, "levels": levels}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(page: Any, tmp_path: Path, name: str, width: int) -> None:
    path = tmp_path / "out.html"
    path.write_text(PAGES[name](tmp_path), encoding="utf-8")
    page.set_viewport_size({"width": width, "height": 1123})
    page.goto(path.as_uri())
    assert overflow(page) <= 0


@pytest.mark.parametrize("name", PAGES)
def test_paper_loses_nothing(page: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out.html"
    path.write_text(PAGES[name](tmp_path), encoding="utf-8")
    page.goto(path.as_uri())
    cells = page.evaluate("[...document.querySelectorAll('th, td, p, li')].map(e => e.innerText)")
    sheets, text = printed(page)
    assert sheets <= (5 if name in ("list", "study") else 2)
    lost = [cell for cell in cells if squeezed(cell) and squeezed(cell) not in text]
    assert lost == []
    if name == "list":
        assert all(f"id{k}" in text for k in range(ROWS))
