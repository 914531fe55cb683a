"""`fludapk serve` in a browser: typed, read, printed, with and without a mouse or a script.

Needs the extra ``browser`` and a Chromium (``FLUDAPK_CHROMIUM``, or ``/usr/bin/chromium``); run
with ``pytest -m browser``.
"""

import json
import random
from importlib import import_module
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from browsing import browser
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from serving import GIRL, LEVELS, READY, filled, home, page, server, until

from fludapk.cli import main

pytestmark = pytest.mark.browser
__all__ = ["browser", "home", "page", "server"]  # fixtures

PATHS: Final = ("/", "/dose", "/compare", "/levels", "/list", "/models", "/docs", "/about")
WORDS: Final = (
    "--age=5", "--sex=female", "--weight=18.2", "--height=110", "--scr=0.3 mg/dL",
    "--regimen=tisa_cel_ball", "--level=1h 1000ng/mL", "--level=2h 600ng/mL", "--json",
)  # fmt: skip
LIST: Final = (
    "id,sex,age,wt,ht,scr_mg_dl,regimen\n"
    "a,female,5,18.2,110,0.3,tisa_cel_ball\n"
    "b,female,5,,110,0.3,axi_cel\n"
)


def choose_list(page: Any) -> None:
    file = {"name": "list.csv", "mimeType": "text/csv", "buffer": LIST.encode()}
    page.set_input_files("#file", file)
    page.click("text=Check the list")
    page.wait_for_selector(".list")


def full(page: Any, home: str, path: str) -> None:
    """A page with its answer."""
    if path in ("/", "/dose", "/levels"):
        filled(page, home, path=path)
        return
    if path == "/compare":
        filled(page, home, path=path)
        return
    page.goto(f"{home}{path}")
    if path == "/list":
        choose_list(page)


def auc(page: Any) -> str:
    return str(page.inner_text(".sheet .auc")).split()[1]


def test_the_answer_appears_and_follows_what_is_typed(page: Any, home: str) -> None:
    filled(page, home)
    assert auc(page) == "13.58"
    assert page.inner_text("#said").startswith("48 % chance of reaching 13.8")
    page.fill("#weight", "25")
    until(page, "document.querySelector('.sheet .auc')?.innerText.includes('13.58') === false")
    until(page, READY)
    page.fill("#weight", "")
    page.wait_for_selector(".empty")
    assert page.query_selector(".auc") is None
    assert page.url == f"{home}/"


def test_a_bare_creatinine_has_no_answer_and_units_can_be_switched(page: Any, home: str) -> None:
    filled(page, home, "")
    assert "unit of the kidney function" in page.inner_text(".needed")
    assert page.query_selector("[aria-invalid=true]") is None
    page.click(".needed a")
    assert page.evaluate("document.activeElement.id") == "renal_unit"
    page.fill("#renal", "26.52")
    page.select_option("#renal_unit", "umol/L")
    page.wait_for_selector(".sheet .auc")
    until(page, READY)
    assert auc(page) == "13.58"
    assert page.get_attribute("#renal", "aria-invalid") is None
    page.fill("#weight", "40.124")
    page.select_option("#weight_unit", "lb")
    until(page, "document.querySelector('.sheet')?.textContent.includes('40.124 lb')")
    assert auc(page) == "13.58"


def test_a_slip_is_confirmed_by_a_box_beside_it_until_something_else_is_typed(
    page: Any, home: str
) -> None:
    filled(page, home)
    page.fill("#weight", "40")
    page.wait_for_selector(".refused")
    until(page, READY)
    assert "40 lb would be 18.14 kg" in page.inner_text(".refused")
    page.check("text=Yes, 40 kg is meant")
    page.wait_for_selector(".sheet .auc")
    until(page, READY)
    assert "confirmed: weight 40 kg at 5 y" in page.inner_text(".sheet")
    page.select_option("#regimen", "hct_160")
    until(page, "document.querySelector('.sheet')?.innerText.includes('hct_160')")
    assert page.is_checked("text=Confirmed: weight")
    page.fill("#age", "4")
    page.wait_for_selector(".refused")
    until(page, READY)
    assert not page.is_checked("text=Yes, 40 kg is meant")


def test_the_page_says_what_the_command_line_says(page: Any, home: str) -> None:
    dice = random.Random(3)
    page.goto(home)
    for _ in range(5):
        kg, cm, mg = dice.uniform(16, 23), dice.uniform(104, 116), dice.uniform(0.25, 0.6)
        typed = {"age": "5", "weight": f"{kg:.1f}", "height": f"{cm:.0f}", "renal": f"{mg:.2f}"}
        page.select_option("#renal_unit", "mg/dL")
        page.select_option("#regimen", "tisa_cel_ball")
        for name, text in typed.items():
            page.fill(f"#{name}", text)
        page.click("button[type=submit] >> nth=0")
        until(page, f"document.querySelector('.who')?.innerText.includes('{cm:.0f} cm')")
        until(page, READY)
        words = [f"--{name}={text}" for name, text in typed.items() if name != "renal"]
        words += [f"--scr={typed['renal']} mg/dL", "--regimen=tisa_cel_ball", "--json"]
        said = json.loads(CliRunner().invoke(main, ["check", *words]).stdout)
        assert float(auc(page)) == pytest.approx(said["exposure"]["auc_0_inf"], abs=0.005)


def test_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(home)
    assert page.evaluate("document.activeElement.id") == "age"
    page.keyboard.type("5")
    typed = {"sex": "f", "weight": "18.2", "height": "110", "renal": "0.3",
             "renal_unit": "mg", "regimen": "tis"}  # fmt: skip
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if here in typed:
            page.keyboard.type(typed.pop(here))
        elif here == "Check" and not typed:
            break
    assert typed == {}
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id == 'answer'")
    assert auc(page) == "13.58"
    page.focus("#age")
    outline = page.evaluate("getComputedStyle(document.querySelector('#age')).outlineStyle")
    assert outline == "solid"


def test_a_dose(page: Any, home: str) -> None:
    filled(page, home)
    page.click("nav >> text=Dose")
    page.wait_for_url(f"{home}/dose")
    until(page, "document.querySelector('#auc') && document.querySelector('#weight').value")
    assert page.input_value("#weight") == "18.2"
    page.fill("#auc", "15")
    page.wait_for_selector("#h-expected")
    assert "Per dose 25 mg" in page.inner_text(".sheet")
    assert "25 mg per dose" in page.inner_text("#said")


def test_levels(page: Any, home: str) -> None:
    filled(page, home, path="/levels")
    said = json.loads(CliRunner().invoke(main, ["update", *WORDS]).stdout)
    low, high = said["posterior"]["auc_0_inf_pi90"]
    assert auc(page) == f"{said['posterior']['auc_0_inf']:.2f}"
    assert f"{low:.1f}-{high:.1f}" in page.inner_text(".sheet .interval")
    before = f"{said['prior']['exposure']['auc_0_inf']:.2f}"
    assert f"From covariates alone {before}" in page.text_content(".sheet")
    assert f"AUC0-inf {auc(page)} mg·h/L" in page.inner_text("#said")
    said = json.loads(CliRunner().invoke(main, ["update", *WORDS, "--auc=15"]).stdout)
    remaining = f"{said['remaining']['dose_mg']:g} mg fludarabine phosphate"
    assert remaining not in page.inner_text(".sheet .answer")
    page.fill("#auc", "15")
    until(page, f"document.querySelector('.sheet .answer')?.innerText.includes('{remaining}')")
    page.fill("#time_3", "7")  # a level without its concentration
    page.wait_for_selector(".empty")
    page.fill("#conc_3", "5")
    page.check("#below_3")
    until(page, READY)
    assert "< 0.005" in page.text_content(".sheet")
    assert page.url == f"{home}/levels"


def test_a_bare_level_has_no_answer_and_a_slip_of_its_unit_is_named(page: Any, home: str) -> None:
    filled(page, home, path="/levels")
    page.select_option("#conc_unit", "")
    page.wait_for_selector(".needed")
    assert "unit of the levels" in page.inner_text(".needed")
    page.click(".needed a >> nth=0")
    assert page.evaluate("document.activeElement.id") == "conc_unit"
    page.select_option("#conc_unit", "mg/L")
    until(page, "document.querySelector('.refused')?.innerText.includes('is it ng/mL?')")
    assert page.get_attribute("#conc_2", "aria-invalid") == "true"
    page.select_option("#conc_unit", "ng/mL")
    page.wait_for_selector(".sheet .auc")
    assert page.query_selector("[aria-invalid]") is None


def test_levels_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(f"{home}/levels")
    page.keyboard.type("5")
    typed = {"sex": "f", "weight": "18.2", "height": "110", "renal": "0.3",
             "renal_unit": "mg", "regimen": "tis", "conc_unit": "ng", "time_1": "1",
             "conc_1": "1000", "time_2": "2", "conc_2": "600", "below_2": " "}  # fmt: skip
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if here in typed:
            page.keyboard.type(typed.pop(here))
        elif here == "Calculate" and not typed:
            break
    assert typed == {}
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id == 'answer'")
    assert "< 0.6" in page.text_content(".sheet")


def test_levels_printed_on_one_sheet(page: Any, home: str) -> None:
    filled(page, home, path="/levels")
    pdf = import_module("pypdf").PdfReader(
        BytesIO(page.pdf(format="A4", prefer_css_page_size=True))
    )
    text = pdf.pages[0].extract_text()
    assert len(pdf.pages) == 1
    assert auc(page) in text
    assert "Below limit" not in text


def test_a_list_with_bad_rows(page: Any, home: str) -> None:
    page.goto(f"{home}/list")
    choose_list(page)
    assert "1 refused" in page.inner_text("#h-list")
    assert "wt is missing" in page.inner_text("tr.bad")
    with page.expect_download() as waiting:
        page.click("text=Download results")
    text = Path(waiting.value.path()).read_text("utf-8")
    assert text.startswith("id,sex,age")
    assert len(text.splitlines()) == 3


def test_printed_on_one_sheet(page: Any, home: str) -> None:
    filled(page, home)
    page.emulate_media(color_scheme="dark")
    pdf = import_module("pypdf").PdfReader(
        BytesIO(page.pdf(format="A4", prefer_css_page_size=True))
    )
    text = pdf.pages[0].extract_text()
    assert len(pdf.pages) == 1
    assert "13.58" in text
    assert "Prepared by" in text
    assert "Kidney function" not in text


def test_a_link_with_the_form_only_on_demand(page: Any, home: str) -> None:
    filled(page, home)
    page.evaluate(
        """() => {Object.defineProperty(navigator, 'clipboard',
           {value: {writeText: async text => { window.copied = text; }}})}"""
    )
    page.click("text=Copy link with this form")
    until(page, "Boolean(window.copied)")
    link = page.evaluate("window.copied")
    assert link.startswith(f"{home}/#")
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(".sheet .auc")
    until(page, READY)
    assert auc(page) == "13.58"
    assert page.url == f"{home}/"


def test_a_link_to_levels(page: Any, home: str) -> None:
    filled(page, home, path="/levels")
    page.check("#below_2")
    until(page, READY)
    state = page.evaluate("new URLSearchParams(new FormData(form)).toString()")
    page.goto("about:blank")
    page.goto(f"{home}/levels#{state}")
    page.wait_for_selector(".sheet .auc")
    assert page.is_checked("#below_2")
    assert not page.is_checked("#below_1")
    assert page.input_value("#conc_unit") == "ng/mL"


def test_a_slip_is_confirmed_without_script(browser: Any, home: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{home}/")
    for field, text in {**GIRL, "#weight": "40"}.items():
        page.fill(field, text)
    page.select_option("#regimen", "tisa_cel_ball")
    page.select_option("#renal_unit", "mg/dL")
    page.click("form#asked button[type=submit]:has-text('Check')")
    page.check("text=Yes, 40 kg is meant")
    page.click("form#asked button[type=submit]:has-text('Check')")
    assert "confirmed: weight 40 kg at 5 y" in page.inner_text(".sheet")
    assert page.is_checked("text=Confirmed: weight")
    context.close()


def test_without_script(browser: Any, home: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(home)
    for field, text in GIRL.items():
        page.fill(field, text)
    page.select_option("#renal_unit", "mg/dL")
    page.select_option("#regimen", "tisa_cel_ball")
    page.click("button[type=submit] >> nth=0")
    page.wait_for_selector(".sheet")
    assert auc(page) == "13.58"
    assert page.input_value("#weight") == "18.2"
    page.click("text=Enter levels of this patient")
    page.wait_for_url(f"{home}/levels")
    for field, text in LEVELS.items():
        page.fill(field, text)
    page.select_option("#conc_unit", "ng/mL")
    page.click("button:text-is('Calculate')")
    page.wait_for_selector(".sheet .auc")
    assert "From covariates alone 13.58" in page.text_content(".sheet")
    context.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [1280, 640, 380])
def test_nothing_is_wider_than_the_screen(page: Any, home: str, path: str, width: int) -> None:
    """640 px is a laptop at 200 %."""
    page.set_viewport_size({"width": width, "height": 800})
    full(page, home, path)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


CONTRAST: Final = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.closest('svg, .unseen, .skip, option') || !node.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${node.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_every_word_stands_out(page: Any, home: str, path: str, scheme: str) -> None:
    """WCAG AA: a ratio of 4.5 to what is behind."""
    page.emulate_media(color_scheme=scheme)
    full(page, home, path)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("path", PATHS)
def test_everything_that_can_be_used_has_a_name(page: Any, home: str, path: str) -> None:
    full(page, home, path)
    tree = page.locator("body").aria_snapshot()
    nameless = [
        line
        for line in tree.splitlines()
        if any(
            line.strip().rstrip(":") == f"- {role}"
            for role in ("button", "link", "textbox", "combobox", "table", "img", "region")
        )
    ]
    assert nameless == []
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "state"),
    [
        *((path, "empty") for path in PATHS),
        *((path, "full") for path in ("/", "/dose", "/compare", "/levels", "/list")),
        ("/levels", "refused"),
        ("/", "needed"),
        ("/", "stop"),
    ],
)
def test_axe_finds_nothing(browser: Any, home: str, path: str, scheme: str, state: str) -> None:
    """Every rule of axe-core, which our policy would not let in."""
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    if state == "empty":
        page.goto(f"{home}{path}")
    else:
        full(page, home, path)
    if state == "needed":
        page.fill("#weight", "")
        page.wait_for_selector(".needed")
    if state == "stop":
        man = {"#age": "61", "#weight": "82", "#height": "176", "#renal": "5.1"}
        for field, text in man.items():
            page.fill(field, text)
        page.select_option("#regimen", "axi_cel")
        page.select_option("#sex", "male")
        until(page, "document.querySelector('.sheet .stop')")
    if state == "refused":
        page.fill("#conc_1", "x")
        page.focus("#conc_2")
        page.wait_for_selector(".refused")
    for part in page.query_selector_all("details:not([open]) > summary")[:6]:
        part.click()
    until(page, "!document.querySelector('[aria-busy]')")
    found = import_module("axe_playwright_python.sync_playwright").Axe().run(page)
    context.close()
    assert found.violations_count == 0, found.generate_report()


def test_the_api_keeps_to_its_own_document(home: str) -> None:
    """Schemathesis makes up requests from the OpenAPI document and checks the answers by it."""
    schemathesis = import_module("schemathesis")
    schema = schemathesis.openapi.from_url(f"{home}/openapi.json")
    beyond = [import_module("schemathesis.specs.openapi.checks").positive_data_acceptance]
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 14
    for operation in operations:

        def tries(case: Any) -> None:
            case.call_and_validate(excluded_checks=beyond)

        known = settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        known(given(case=operation.as_strategy())(tries))()
