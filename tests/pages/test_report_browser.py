"""The report in a browser: calm on a screen, one A4 sheet on paper, nothing lost.

Needs ``pip install playwright pypdf`` and a Chromium (``FLUDAPK_CHROMIUM``, or
``/usr/bin/chromium``); run with ``pytest -m browser``.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from browsing import WIDTHS, browser, overflow, page, printed, squeezed

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.record import Remark
from fludapk.pages.check_sheet import check_html
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen

pytestmark = pytest.mark.browser
__all__ = ["browser", "page"]  # fixtures

GIRL: Final = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3, sex="female")
MAN: Final = Patient(age_years=63, weight_kg=80, height_cm=175, scr_mg_dl=0.9, sex="male")


def checked(patient: Patient, name: str) -> CheckResult:
    return check(patient, Regimen.named(name))


@pytest.fixture(scope="module")
def girl() -> CheckResult:
    return checked(GIRL, "tisa_cel_ball")


def opened(page: Any, folder: Path, result: CheckResult) -> None:
    path = folder / "out.html"
    path.write_text(check_html(result), encoding="utf-8")
    page.goto(path.as_uri())


def words(page: Any) -> list[str]:
    """Every word a reader sees, in the text and in the pictures."""
    text = page.evaluate("document.body.innerText")
    drawn = page.evaluate("[...document.querySelectorAll('svg text')].map(t => t.textContent)")
    return [squeezed(word) for word in f"{text} {' '.join(drawn)}".split()]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(
    page: Any, tmp_path: Path, girl: CheckResult, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, tmp_path, girl)
    assert overflow(page) <= 0
    wide = page.evaluate(
        """[...document.querySelectorAll('body *')].filter(e => !e.closest('svg')
           && e.getBoundingClientRect().right > window.innerWidth + 0.5).map(e => e.outerHTML)"""
    )
    assert wide == []
    assert len(page.screenshot(full_page=True)) > 20_000


@pytest.mark.parametrize("width", WIDTHS)
def test_long_words_are_broken(page: Any, tmp_path: Path, girl: CheckResult, width: int) -> None:
    result = girl
    patient = replace(result.patient, product="x" * 400, diagnosis="<b>" * 100)
    regimen = replace(result.regimen, id="y" * 200, title="z" * 400)
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, tmp_path, replace(result, patient=patient, regimen=regimen))
    assert overflow(page) <= 0


def test_readable_at_twice_the_size(page: Any, tmp_path: Path, girl: CheckResult) -> None:
    opened(page, tmp_path, girl)
    page.evaluate("document.documentElement.style.fontSize = '30px'")
    assert overflow(page) <= 0
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size({"width": WIDTHS[0] // 2, "height": 560})  # as the browser zooms
    assert overflow(page) <= 0


@pytest.mark.parametrize(
    ("patient", "regimen"), [(GIRL, "tisa_cel_ball"), (MAN, "axi_cel"), (MAN, "hct_160")]
)
def test_one_sheet_of_paper_with_all_of_the_text(
    page: Any, tmp_path: Path, patient: Patient, regimen: str
) -> None:
    opened(page, tmp_path, checked(patient, regimen))
    sheets, text = printed(page)
    assert sheets == 1
    assert [word for word in words(page) if word not in text] == []


def test_one_sheet_in_a_wide_typeface(page: Any, tmp_path: Path, girl: CheckResult) -> None:
    """DejaVu Sans is a seventh wider than Arial: what a bare Linux has."""
    opened(page, tmp_path, girl)
    page.evaluate("document.body.style.fontFamily = '\"DejaVu Sans\"'")
    assert printed(page)[0] == 1


def test_warnings_may_go_over_but_nothing_is_cut(
    page: Any, tmp_path: Path, girl: CheckResult
) -> None:
    result = girl
    many = [Remark(code="x", severity="note", message=f"remark-{k} " * 12) for k in range(40)]
    opened(page, tmp_path, replace(result, remarks=many))
    sheets, text = printed(page)
    assert sheets == 2
    assert [word for word in words(page) if word not in text] == []


def test_dark_mode_changes_nothing(page: Any, tmp_path: Path, girl: CheckResult) -> None:
    opened(page, tmp_path, girl)
    light = page.screenshot()
    page.emulate_media(color_scheme="dark")
    assert page.screenshot() == light
