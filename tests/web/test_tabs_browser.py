"""Nomogram, Evaluate and Simulate in a browser: typed, read, downloaded, printed, left.

Needs what `test_serve_browser` needs; run with ``pytest -m browser``.
"""

import os
import signal
import subprocess
import tomllib
import zipfile
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from browsing import browser, overflow
from serving import home, page, server

pytestmark = pytest.mark.browser
__all__ = ["browser", "home", "page", "server"]  # fixtures

LEVELS: Final = Path(__file__).parents[2] / "examples" / "levels.csv"
PATHS: Final = ("/nomogram", "/evaluate", "/simulate")
STATES: Final = ("empty", "full", "refused")
PLANS: Final = {"#plan_1": "tisa_cel_ball", "#plan_2": "x 4 auc 17", "#patients": "500"}
LONG: Final = {f"plan_{k}": f"x 4 auc {13 + 2 * k} levels 1 2 7 24" for k in (2, 3, 4)}
"""Plans that take a machine seconds."""
IMAGES: Final = "[...document.querySelectorAll('.sheet img')].map(i => i.naturalWidth)"


def until(page: Any, true: Callable[[], Any], seconds: float = 60) -> None:
    for _ in range(int(20 * seconds)):
        if true():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds:g} s")


def fill_study(page: Any, **more: str) -> None:
    page.select_option("#population", "prwcc_ball")
    for field, text in {**PLANS, **more}.items():
        page.fill(field if field.startswith("#") else f"#{field}", text)


def show(page: Any, home: str, path: str, state: str = "full") -> None:
    """A tab as it is opened, with its answer, or with a refusal."""
    page.goto(f"{home}{path}")
    if state == "empty":
        return
    if path == "/nomogram":
        page.select_option("#regimen", "tisa_cel_ball" if state == "full" else "")
    elif path == "/evaluate":
        page.set_input_files("#file", str(LEVELS))
        page.select_option("#amt", "phosphate")
        page.select_option("#dv", "mg/L" if state == "full" else "")
    else:
        fill_study(page, patients="500" if state == "full" else "many")
    page.click("form#asked button[type=submit] >> nth=0")
    page.wait_for_selector(".sheet img" if state == "full" else ".refused", timeout=90_000)
    until(page, lambda: page.query_selector("[aria-busy]") is None)


def download(page: Any, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(f'a[download="{name}"]')
    assert waiting.value.suggested_filename == name
    return Path(waiting.value.path()).read_bytes()


def test_a_nomogram_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(f"{home}/nomogram")
    typed = {"regimen": "tis", "target_auc": "17", "weights_from": "10", "weights_to": "30",
             "weights_step": "10"}  # fmt: skip
    for _ in range(50):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if here in typed:
            page.keyboard.type(typed.pop(here))
        elif here == "Draw":
            break
    assert typed == {}
    page.keyboard.press("Enter")
    until(page, lambda: page.evaluate("document.activeElement.id") == "answer")
    assert page.inner_text("#said").startswith("Dose for an AUC0-inf of 17 mg·h/L")
    assert min(page.evaluate(IMAGES)) > 0
    assert len(page.query_selector_all(".sheet table.study tbody tr")) == 3
    assert page.url == f"{home}/nomogram"


def test_the_figures_keep_their_colours(page: Any, home: str) -> None:
    """Our policy forbids styles in a page; in a picture they count."""
    show(page, home, "/nomogram")
    picture = page.query_selector(".sheet img").screenshot()
    colours = import_module("PIL.Image").open(BytesIO(picture)).convert("L").histogram()
    dark = sum(colours[:60]) / sum(colours)
    assert 0.001 < dark < 0.2  # without its style everything is black


def test_files_of_an_evaluation_are_downloaded(page: Any, home: str) -> None:
    show(page, home, "/evaluate")
    assert page.inner_text("#said").startswith("Best fit: langenhorst2019")
    assert len([width for width in page.evaluate(IMAGES) if width > 0]) == 3
    packed = zipfile.ZipFile(BytesIO(download(page, "evaluation.zip")))
    assert {"report.html", "errors.csv", "figures/vpc.png"} <= set(packed.namelist())
    assert download(page, "levels.csv") == packed.read("levels.csv")


def test_a_study_tells_its_progress_and_then_its_result(page: Any, home: str) -> None:
    page.goto(f"{home}/simulate")
    fill_study(page, patients="100000", **LONG)
    page.keyboard.press("Enter")
    page.wait_for_selector("progress")
    scenario = tomllib.loads(download(page, "scenario.toml").decode())
    assert scenario["patients"] == 100000
    told: set[str] = set()

    def is_finished() -> bool:
        told.add(page.evaluate("document.querySelector('[data-progress]')?.textContent ?? ''"))
        return page.query_selector(".sheet img") is not None

    until(page, is_finished, 150)
    assert [text for text in told if text.startswith("simulating") and not text.endswith(" 0 %")]
    assert page.inner_text("#said").startswith("The study is finished")
    assert page.evaluate("document.activeElement.id") == "answer"
    assert page.input_value("#plan_2") == "x 4 auc 17 levels 1 2 7 24"
    assert len([width for width in page.evaluate(IMAGES) if width > 0]) == 5
    page.reload()
    assert len(page.query_selector_all(".sheet img")) == 5
    assert "study.zip" in page.inner_text(".downloads")


def test_a_study_is_cancelled_by_its_button(page: Any, home: str) -> None:
    page.goto(f"{home}/simulate")
    fill_study(page, patients="100000", **LONG)
    page.click("text=Run the study")
    page.click("text=Cancel")
    page.wait_for_selector("#answer >> text=The study was cancelled.")
    assert page.query_selector("[data-study]") is None
    assert page.input_value("#patients") == "100000"


def studies(server: subprocess.Popen[str]) -> list[int]:
    """Processes of studies."""
    words = ["ps", "-ww", "--ppid", str(server.pid), "-o", "pid=,args="]  # of any width
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]


def test_a_study_ends_when_its_page_is_closed(
    browser: Any, page: Any, home: str, server: subprocess.Popen[str]
) -> None:
    until(page, lambda: studies(server) == [], 15)
    context = browser.new_context()
    other = context.new_page()
    other.goto(f"{home}/simulate")
    fill_study(other, patients="100000", **LONG)
    other.click("text=Run the study")
    until(other, lambda: len(studies(server)) == 1)
    until(other, lambda: "simulating" in other.inner_text("[data-progress]"))
    os.kill(studies(server)[0], signal.SIGSTOP)  # on a fast machine it would be finished too soon
    other.reload()  # is not leaving
    other.wait_for_timeout(7000)
    assert "The study runs" in other.inner_text("#answer")
    with other.expect_request(lambda request: request.headers.get("x-part") == "answer"):
        pass  # between two of them a closed page is missed only later
    other.wait_for_timeout(100)
    context.close()
    until(page, lambda: studies(server) == [], 30)


def test_without_script_the_page_of_a_study_loads_itself_again(browser: Any, home: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{home}/simulate")
    fill_study(page)
    page.click("text=Run the study")
    assert page.inner_text(".running h2") == "The study runs"
    page.wait_for_selector(".sheet img", timeout=90_000)
    assert page.query_selector(".running") is None
    page.goto(f"{home}/nomogram")
    page.select_option("#regimen", "axi_cel")
    page.fill("#age", "60")
    page.fill("#height", "175")
    page.click("text=Draw")
    page.wait_for_selector(".sheet img", timeout=60_000)
    assert page.input_value("#age") == "60"
    page.goto(f"{home}/evaluate")
    page.set_input_files("#file", str(LEVELS))
    page.select_option("#dv", "mg/L")
    page.select_option("#amt", "phosphate")
    page.click("text=Compare the models")
    page.wait_for_selector(".sheet img", timeout=60_000)
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_is_printed_without_its_form(page: Any, home: str, path: str) -> None:
    show(page, home, path)
    page.emulate_media(color_scheme="dark")
    pdf = import_module("pypdf").PdfReader(
        BytesIO(page.pdf(format="A4", prefer_css_page_size=True))
    )
    text = " ".join(sheet.extract_text() for sheet in pdf.pages)
    assert "Prepared by" in text
    assert "Download" not in text
    assert "More:" not in text
    assert len(pdf.pages) <= {"/nomogram": 2, "/evaluate": 3, "/simulate": 4}[path]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_the_screen_and_everything_has_a_name(
    page: Any, home: str, path: str
) -> None:
    for state in STATES:
        show(page, home, path, state)
        for width in (1280, 640, 380):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0, (state, width)
        tree = [line.strip().rstrip(":") for line in
                page.locator("body").aria_snapshot().splitlines()]  # fmt: skip
        roles = ("button", "link", "textbox", "combobox", "table", "img", "region", "checkbox")
        assert not {f"- {role}" for role in roles} & set(tree)
        ranks = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
        assert ranks[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(ranks))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(browser: Any, home: str, path: str, scheme: str) -> None:
    """Every rule of axe-core, which our policy would not let in, in every state of a tab."""
    axe = import_module("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    for state in (*STATES, "running"):
        if state == "running":
            if path != "/simulate":
                continue
            page.goto(f"{home}/simulate")
            fill_study(page, patients="100000", **LONG)
            page.click("text=Run the study")
            page.wait_for_selector("progress")
        else:
            show(page, home, path, state)
        for part in page.query_selector_all("details:not([open]) > summary"):
            part.click()
        found = axe.run(page)
        assert found.violations_count == 0, (state, found.generate_report())
    context.close()
