"""The page by keyboard alone, and without a script."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browsing import browser
from serving import GIRL, LEVELS, home, page, server, until

pytestmark = pytest.mark.browser
__all__ = ["browser", "home", "page", "server"]  # fixtures

KEYS: Final = {"age": "5", "sex": "f", "weight": "18.2", "height": "110", "renal": "0.3",
               "renal_unit": "mg"}  # fmt: skip
LIST: Final = (
    "id,sex,age,wt,ht,scr_mg_dl,regimen\n"
    "a,female,5,18.2,110,0.3,tisa_cel_ball\n"
    "b,female,5,,110,0.3,axi_cel\n"
)
PLANS: Final = {"plan_1": "tisa_cel_ball", "plan_2": "tisa_cel_ball auc 19"}


@pytest.fixture
def plain(browser: Any) -> Iterator[Any]:
    """A page without script."""
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 1280, "height": 900}
    )
    yield context.new_page()
    context.close()


def by_keys(page: Any, typed: dict[str, str], button: str) -> None:
    """Fill a form by Tab and letters, and press its button by Enter."""
    left = dict(typed)
    for _ in range(90):
        here = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if here in left:
            page.keyboard.type(left.pop(here))
        elif here == button and not left:
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no key leads to {left or button}")


def choose_by_keys(page: Any, file: Path) -> None:
    """Reach the field of a file by Tab, and open its dialogue by the space bar."""
    with page.expect_file_chooser() as chooser:  # catches only what opens well after it is set
        for _ in range(40):
            if page.evaluate("document.activeElement.id") == "file":
                break
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        page.keyboard.press("Space")
    chooser.value.set_files(file)


def girl(page: Any, address: str) -> None:
    """Fill the patient by fields alone: no script runs that could say when it is ready."""
    page.goto(address)
    for field, text in GIRL.items():
        page.fill(field, text)
    page.select_option("#sex", "female")
    page.select_option("#renal_unit", "mg/dL")


def pressed(page: Any, button: str) -> str:
    page.click(f"form#asked button:text-is('{button}')")
    page.wait_for_selector(".sheet")
    return str(page.text_content(".sheet"))


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    ("path", "typed", "button", "answer"),
    [
        ("/dose", {"auc": "15", "regimen": "tis"}, "Find the dose", "Per dose 25 mg"),
        ("/dose", {"target": "Scordo", "regimen": "axi"}, "Find the dose", "within 18-20"),
        ("/compare", PLANS, "Compare", "plan 2 (tisa_cel_ball auc 19), 89 %"),
    ],
)
def test_a_case_by_keyboard_alone(
    page: Any, home: str, path: str, typed: dict[str, str], button: str, answer: str
) -> None:
    page.goto(f"{home}{path}")
    by_keys(page, {**KEYS, **typed}, button)
    until(page, "document.activeElement.id == 'answer'")
    until(page, "!document.querySelector('[aria-busy]')")
    assert answer in page.text_content(".sheet")
    assert page.url == f"{home}{path}"


def test_what_is_folded_and_every_figure_opens_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(f"{home}/compare")
    by_keys(page, {**KEYS, **PLANS}, "Compare")
    until(page, "document.activeElement.id == 'answer'")
    opened, figures = set(), 0
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.sheet summary')"):
            page.keyboard.press("Enter")
            opened.add(page.evaluate("document.activeElement.textContent.trim()"))
        if page.evaluate("document.activeElement.matches('.sheet svg')"):
            page.keyboard.press("End")
            figures += 1
            assert "18.82" in page.inner_text(".sheet output.values")
    assert {"More about the plans", "Calculation, to check by hand", "Values"} <= opened
    assert figures == 1
    assert page.locator(".sheet details:not([open])").count() == 0


def test_a_list_by_keyboard_alone(page: Any, home: str, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST, "utf-8")
    page.goto(f"{home}/list")
    choose_by_keys(page, file)
    by_keys(page, {"regimen": "tis"}, "Check the list")
    until(page, "document.activeElement.id == 'answer'")
    page.wait_for_selector("tr.bad")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.closest('.list tbody tr'))"):
            break
    page.keyboard.press("Enter")
    until(page, "location.pathname == '/' && document.querySelector('.sheet .auc')")
    assert "13.58" in page.inner_text(".sheet .auc")


def test_an_evaluation_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(f"{home}/evaluate")
    choose_by_keys(page, Path(__file__).parents[2] / "examples" / "levels.csv")
    by_keys(page, {"dv": "mg", "amt": "flu"}, "Compare the models")
    until(page, "document.activeElement.id == 'answer'")
    assert page.inner_text("#said").startswith("Best fit: langenhorst2019")


def test_a_study_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(f"{home}/simulate")
    page.fill("#patients", "")
    plans = {"population": "<1", "plan_1": "tisa_cel_ball", "plan_2": "x 4 auc 17"}
    by_keys(page, {**plans, "patients": "500"}, "Run the study")
    page.wait_for_selector(".sheet img", timeout=90_000)
    assert page.inner_text("#said").startswith("The study is finished")


# ------------------------------------------------------------------ no script


def test_a_dose_without_script(plain: Any, home: str) -> None:
    girl(plain, f"{home}/dose")
    plain.select_option("#regimen", "tisa_cel_ball")
    plain.fill("#auc", "15")
    assert "Per dose 25 mg" in pressed(plain, "Find the dose")
    assert plain.input_value("#auc") == "15"
    plain.fill("#auc", "")
    assert "Still needed" in pressed(plain, "Find the dose")


def test_plans_without_script(plain: Any, home: str) -> None:
    girl(plain, f"{home}/compare")
    for field, text in PLANS.items():
        plain.fill(f"#{field}", text)
    assert "plan 2 (tisa_cel_ball auc 19), 89 %" in pressed(plain, "Compare")
    assert plain.input_value("#plan_2") == "tisa_cel_ball auc 19"
    assert not plain.is_visible("#h-trail ~ *")
    plain.click("summary:has(#h-trail)")
    assert "Plan 2" in plain.inner_text(".sheet")


@pytest.mark.parametrize("by_clock", [False, True])
def test_levels_without_script(plain: Any, home: str, by_clock: bool) -> None:
    girl(plain, f"{home}/levels")
    plain.select_option("#regimen", "tisa_cel_ball")
    for field, text in LEVELS.items():
        plain.fill(field, text)
    plain.select_option("#conc_unit", "ng/mL")
    if by_clock:
        plain.check("#by_clock")
        plain.fill("#first_dose", "2026-01-14 08:30")
        plain.fill("#time_1", "2026-01-14 09:30")
        plain.fill("#time_2", "2026-01-14 10:30")
    text = pressed(plain, "Calculate")
    assert "97 % chance" in text
    assert ("2026-01-14 09:30" in text) is by_clock
    assert plain.is_visible("#first_dose") is by_clock
    assert "Best times" in pressed(plain, "When to sample")


def test_a_list_without_script(plain: Any, home: str) -> None:
    plain.goto(f"{home}/list")
    file = {"name": "list.csv", "mimeType": "text/csv", "buffer": LIST.encode()}
    plain.set_input_files("#file", file)
    assert "wt is missing" in pressed(plain, "Check the list")
    plain.click(".list tbody tr:not(.bad) >> button:text-is('Check')")
    plain.wait_for_selector(".sheet .auc")
    assert "13.58" in plain.inner_text(".sheet .auc")
    plain.goto(f"{home}/list")
    plain.set_input_files("#file", file)
    with plain.expect_download() as waiting:
        plain.click("text=Download results")
    assert "13.58" in Path(waiting.value.path()).read_text("utf-8")


def test_a_case_is_saved_and_opened_without_script(plain: Any, home: str, tmp_path: Path) -> None:
    girl(plain, f"{home}/dose")
    plain.select_option("#regimen", "tisa_cel_ball")
    plain.fill("#auc", "15")
    pressed(plain, "Find the dose")
    with plain.expect_download() as waiting:
        plain.click("text=Save case")
    file = tmp_path / "case.json"
    file.write_bytes(Path(waiting.value.path()).read_bytes())
    plain.goto(home)
    plain.click("text=Open a saved case")
    plain.set_input_files("#case_file", file)
    plain.click("button:text-is('Open case')")
    plain.wait_for_selector(".sheet")
    text = plain.text_content(".sheet")
    assert "The answer is the one that was saved" in text
    assert "Per dose 25 mg" in text
    assert plain.input_value("#auc") == "15"
    assert plain.text_content("h1") == "Find the dose for a target"
    file.write_text("{}", "utf-8")
    plain.click("text=Open a saved case")
    plain.set_input_files("#case_file", file)
    plain.click("button:text-is('Open case')")
    plain.wait_for_selector(".refused")


def test_a_second_entry_without_script(plain: Any, home: str) -> None:
    girl(plain, home)
    plain.select_option("#regimen", "tisa_cel_ball")
    pressed(plain, "Check")
    plain.click("text=Enter again, second person")
    assert plain.is_visible("text=Second entry.")
    assert plain.input_value("#weight") == ""
    assert "18.2" not in plain.inner_text("body")
    for field, text in {**GIRL, "#weight": "17.2"}.items():
        plain.fill(field, text)
    plain.select_option("#sex", "female")
    plain.select_option("#renal_unit", "mg/dL")
    plain.select_option("#regimen", "tisa_cel_ball")
    pressed(plain, "Check")
    row = plain.locator(".entries tbody tr")
    assert row.count() == 1
    assert row.inner_text().split("\t") == ["weight", "18.2 kg", "17.2 kg"]
    plain.fill("#weight", "18.20")
    assert "Entered twice, the same" in pressed(plain, "Check")
