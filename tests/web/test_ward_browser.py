"""The page as a ward uses it, in a browser: typed, kept, entered twice, asked, saved, printed."""

import json
import re
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from browsing import browser
from click.testing import CliRunner
from serving import GIRL, READY, filled, home, page, server, until

from fludapk.cli import main

pytestmark = pytest.mark.browser
__all__ = ["browser", "home", "page", "server"]  # fixtures

MAN: Final = {"#age": "61", "#weight": "82", "#height": "176", "#renal": "450"}
CASES: Final = ("/", "/dose", "/compare", "/levels")
VISIBLE_WORDS: Final = """() => {
  const words = [];
  const walk = document.createTreeWalker(document.querySelector('.sheet'), NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    const is_on_screen = box.height > 0 && box.top < innerHeight;
    const parent = node.parentElement;
    if (is_on_screen && parent.checkVisibility() && !parent.closest('svg')) {
      words.push(...node.textContent.split(/\\s+/).filter(Boolean));
    }
  }
  return words.length;
}"""


def man(page: Any, home: str, path: str = "/") -> None:
    page.goto(f"{home}{path}")
    for field, text in MAN.items():
        page.fill(field, text)
    page.select_option("#sex", "male")
    page.select_option("#regimen", "axi_cel")
    page.select_option("#renal_unit", "umol/L")
    if path == "/":
        until(page, READY)


def says(page: Any, text: str) -> None:
    until(page, f"document.querySelector('#answer').innerText.includes({json.dumps(text)})")


# ------------------------------------------------------------------ the first screen


WINDOW: Final = {"#window_low": "18", "#window_high": "20", "#probability": "0.5"}
MISFIT: Final = {"#time_3": "23.5", "#conc_3": "30", "#conc_1": "850", "#time_2": "7"}


@pytest.mark.parametrize(
    ("enter", "path", "more", "parts"),
    [
        (filled, "/", {}, ("48 % chance", "13.58", "22.37 mg")),
        (filled, "/dose", {}, ("65 % chance", "15.18", "25 mg", "12 % above")),
        (
            filled,
            "/dose",
            {"#auc": "", **WINDOW},
            ("GOAL NOT REACHED", "chance of reaching", "Per dose"),
        ),
        (filled, "/levels", {}, ("97 % chance", "16.95")),
        (filled, "/levels", {"#auc": "15"}, ("97 % chance", "Remaining 3 of 4 doses")),
        (filled, "/levels", MISFIT, ("STOP", "do not fit together")),
        (filled, "/compare", {}, ("89 %", "48 %", "13.58", "31 mg")),
        (man, "/", {}, ("STOP", "3 % chance", "31.66", "60.07 mg", "2 cautions")),
        (man, "/dose", {"#auc": "15"}, ("STOP", "No dose is proposed", "1 caution")),
    ],
)
def test_the_first_screen_decides_in_150_words(
    page: Any, home: str, enter: Any, path: str, more: dict[str, str], parts: tuple[str, ...]
) -> None:
    enter(page, home, path=path)
    for field, text in more.items():
        page.fill(field, text)
    for part in parts:
        says(page, part)
    page.evaluate("scrollTo(0, 0)")
    assert page.evaluate(VISIBLE_WORDS) <= 150


def test_answer_and_figures_stand_on_the_first_screen(page: Any, home: str) -> None:
    filled(page, home)
    for part in (".chance", ".auc", ".interval", ".change", ".figures svg"):
        box = page.locator(f".sheet {part}").first.bounding_box()
        assert box["y"] + min(box["height"], 200) < 900
    figures = [figure.bounding_box() for figure in page.locator(".figures > *").all()]
    assert len(figures) == 2
    assert figures[0]["y"] == figures[1]["y"], "beside each other"


@pytest.mark.parametrize("width", [1200, 1280, 1366, 1920])
def test_figures_stand_beside_each_other_on_a_desk(page: Any, home: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    filled(page, home)
    first, second = (figure.bounding_box() for figure in page.locator(".figures > *").all())
    assert first["y"] == second["y"]


def test_a_stop_is_the_first_thing_on_the_screen(page: Any, home: str) -> None:
    man(page, home)
    box = page.locator(".sheet .stop").first.bounding_box()
    assert box["y"] < 300
    assert "do not give" in page.inner_text(".sheet .stop")


def test_the_answer_sticks_to_the_top_of_a_telephone_while_one_types(page: Any, home: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    filled(page, home)
    for target, most in (("#renal", 240), ("#answer footer", 1)):
        page.locator(target).scroll_into_view_if_needed()
        box = page.locator(".stuck").bounding_box()
        assert -1 <= box["y"] < most
    assert "48 % chance" in page.inner_text(".stuck")


def test_everything_that_is_folded_is_printed(page: Any, home: str) -> None:
    reader = import_module("pypdf").PdfReader
    filled(page, home)
    assert not page.is_visible(".trail")
    for size in ("A4", "Letter"):
        sheets = reader(BytesIO(page.pdf(format=size))).pages
        text = sheets[0].extract_text()
        assert len(sheets) == 1
        assert "Quantity" in text
        assert "Targets that fit this patient" in text
        assert "Values" not in text


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/", ("AUC0-inf 13.58 mg·h/L below 13.8",)),
        ("/dose", ("Beside the planned course", "0.2 % at CLL doses")),
        ("/compare", ("22.37 mg (30 mg/m²)", "0.89 mL, 1 vial", "19.57, 13.8 or more")),
        ("/levels", ("From covariates alone 13.58", "from covariates")),
    ],
)
def test_a_printed_answer_lacks_nothing_of_its_tables(
    page: Any, home: str, path: str, parts: tuple[str, ...]
) -> None:
    filled(page, home, path=path)
    page.emulate_media(media="print")
    printed = " ".join(page.inner_text(".sheet").split())
    for part in parts:
        assert part in printed
    assert "Version and sources" not in printed
    assert not page.is_visible("#weight")


# ------------------------------------------------------------------ typing


def test_what_is_still_needed_is_said_at_once_and_is_not_red(page: Any, home: str) -> None:
    page.goto(home)
    assert page.evaluate("document.activeElement.id") == "age"
    page.keyboard.type("61")
    says(page, "sex, weight, height, kidney function, course")
    page.fill("#weight", "82")
    page.fill("#height", "176")
    page.select_option("#regimen", "axi_cel")
    says(page, "Still needed\n\nsex, kidney function")
    assert page.query_selector(".refused") is None
    assert page.query_selector("[aria-invalid=true]") is None


def test_the_sex_is_not_asked_where_no_formula_needs_it(page: Any, home: str) -> None:
    page.goto(home)
    page.fill("#age", "5")
    says(page, "weight, height, kidney function, course")
    assert "sex" not in page.inner_text("#answer")


def test_a_number_that_is_being_typed_is_not_yet_wrong(page: Any, home: str) -> None:
    filled(page, home)
    page.focus("#weight")
    page.fill("#weight", "1")
    page.wait_for_timeout(500)
    assert page.query_selector(".refused") is None
    assert page.query_selector("[aria-invalid=true]") is None
    page.focus("#height")
    page.wait_for_selector(".refused")
    page.fill("#weight", "18,2")
    page.focus("#height")
    says(page, "Read with a decimal comma: weight 18,2 = 18.2")
    says(page, "13.58")


@pytest.mark.parametrize("path", CASES)
def test_a_whole_form_is_filled_with_a_comma(page: Any, home: str, path: str) -> None:
    page.goto(f"{home}{path}")
    for field, text in {**GIRL, "#weight": "18,2", "#renal": "0,3"}.items():
        page.fill(field, text)
    page.select_option("#renal_unit", "mg/dL")
    if path == "/compare":
        page.fill("#plan_1", "tisa_cel_ball")
        page.fill("#plan_2", "tisa_cel_ball auc 19,5")
        page.click("button:text-is('Compare')")
    else:
        page.select_option("#regimen", "tisa_cel_ball")
        if path == "/dose":
            page.fill("#auc", "15,5")
        if path == "/levels":
            page.fill("#time_1", "1,5")
            page.fill("#conc_1", "0,9")
            page.select_option("#conc_unit", "mg/L")
    says(page, "kidney function 0,3 = 0.3")
    says(page, "18.2 kg")


def test_the_dose_of_a_published_course_is_changed_in_place(page: Any, home: str) -> None:
    filled(page, home)
    assert page.get_attribute("#dose", "placeholder") == "30 mg/m2"
    page.fill("#dose", "24")
    says(page, "unit of the dose")
    page.select_option("#dose_unit", "mg/m2")
    says(page, "24 mg/m²")
    says(page, "48 % chance" if page.inner_text(".chance").startswith("48") else "chance of")
    assert "Fabrizio 2022" in page.inner_text(".sheet .chance")


# ------------------------------------------------------------------ the case


def test_whoever_goes_back_faster_than_a_page_loads_sees_the_page_of_the_address(
    page: Any, home: str
) -> None:
    filled(page, home)
    page.click("nav >> text=Dose")
    until(page, "document.querySelector('#auc') && document.querySelector('#weight').value")
    page.route("**/app.js*", lambda _held: None)
    page.click("nav >> text=Models")
    until(page, "document.querySelector('.model')")
    page.evaluate("history.back()")
    until(page, "location.pathname == '/dose'")
    page.unroute("**/app.js*")  # and lets go of what was held
    until(page, "document.querySelector('#auc') && document.querySelector('#weight').value")
    assert page.input_value("#weight") == "18.2"


def test_the_patient_goes_along_and_survives_back_and_reload(page: Any, home: str) -> None:
    filled(page, home)
    page.click("nav >> text=Dose")
    until(page, "document.querySelector('#auc') && document.querySelector('#weight').value")
    assert page.input_value("#weight") == "18.2"
    page.fill("#auc", "15")
    says(page, "Per dose 25 mg")
    page.click("nav >> text=Models")
    page.wait_for_url(f"{home}/models")
    page.click("nav >> text=Levels")
    until(page, "document.querySelector('#conc_1') && document.querySelector('#weight').value")
    page.evaluate("history.back()")
    until(page, "location.pathname == '/models' && document.querySelector('.model')")
    page.evaluate("history.back()")
    until(page, "document.querySelector('#auc')?.value == '15'")
    page.reload()
    until(page, "document.querySelector('#auc')?.value == '15'")
    says(page, "Per dose 25 mg")
    storage = "JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage)])"
    assert page.evaluate(storage) == "[[],[]]"
    page.click("button:text-is('Clear')")
    page.reload()
    page.wait_for_selector(".empty")
    assert page.input_value("#weight") == ""


def test_a_second_person_enters_blind_and_the_page_shows_where_they_differ(
    page: Any, home: str
) -> None:
    filled(page, home)
    page.click("text=Enter again, second person")
    assert page.input_value("#weight") == ""
    assert "18.2" not in page.inner_text("body")
    for field, text in {**GIRL, "#weight": "17.2", "#height": "110,0"}.items():
        page.fill(field, text)
    page.select_option("#sex", "female")
    page.select_option("#regimen", "tisa_cel_ball")
    page.select_option("#renal_unit", "mg/dL")
    says(page, "The two entries differ")
    row = page.locator(".entries tbody tr")
    assert row.count() == 1
    assert row.inner_text().split("\t") == ["weight", "18.2 kg", "17.2 kg"]
    page.fill("#weight", "18.20")
    says(page, "Entered twice, the same")


@pytest.mark.parametrize(
    ("path", "command"), [("/", "check"), ("/dose", "dose"), ("/levels", "update")]
)
def test_a_case_is_saved_and_opened_here_and_by_the_command_line(
    page: Any, home: str, path: str, command: str, tmp_path: Path
) -> None:
    filled(page, home, path=path)
    sentence = page.inner_text(".sheet .chance")
    with page.expect_download() as waiting:
        page.click("text=Save case")
    file = tmp_path / "case.json"
    file.write_bytes(Path(waiting.value.path()).read_bytes())
    done = CliRunner().invoke(main, [command, "--case", str(file), "--json"])
    assert done.exit_code == 0, done.output
    assert "the answer is the one that was saved" in done.stderr
    page.click("button:text-is('Clear')")
    page.click("text=Open a saved case")
    page.set_input_files("#case_file", file)
    page.click("button:text-is('Open case')")
    says(page, "The answer is the one that was saved")
    assert page.inner_text(".sheet .chance") == sentence
    old = json.loads(file.read_text("utf-8"))
    old["answer"]["flag"] = "borderline"
    old["version"] = "0.1.0"
    file.write_text(json.dumps(old), "utf-8")
    if not page.is_visible("#case_file"):
        page.click("text=Open a saved case")
    page.set_input_files("#case_file", file)
    page.click("button:text-is('Open case')")
    says(page, "since the case was saved by version 0.1.0")
    page.fill("#weight", "19")
    until(page, "!document.querySelector('#answer').innerText.includes('0.1.0')")


def test_four_lines_go_into_the_chart(page: Any, home: str) -> None:
    filled(page, home)
    page.evaluate(
        """() => {Object.defineProperty(navigator, 'clipboard',
           {value: {writeText: async text => { window.copied = text; }}})}"""
    )
    page.click("text=Copy for chart")
    until(page, "Boolean(window.copied)")
    lines = page.evaluate("window.copied").split("\n")
    assert len(lines) == 4
    assert "18.2 kg" in lines[0]
    assert "tisa_cel_ball" in lines[1]
    assert "48 % chance of reaching 13.8" in lines[2]
    assert "AUC0-inf 13.58" in lines[2]
    assert "fludapk" in lines[3]


# ------------------------------------------------------------------ levels


def test_levels_by_the_clock_are_one_switch(page: Any, home: str) -> None:
    page.goto(f"{home}/levels")
    assert not page.is_visible("#first_dose")
    page.check("#by_clock")
    assert page.is_visible("#first_dose")
    assert not page.is_visible("#time_unit")
    filled_fields = {**GIRL, "#first_dose": "2026-01-14 08:30", "#time_1": "2026-01-14 09:30",
                     "#conc_1": "1000"}  # fmt: skip
    for field, text in filled_fields.items():
        page.fill(field, text)
    page.select_option("#regimen", "tisa_cel_ball")
    page.select_option("#renal_unit", "mg/dL")
    page.select_option("#conc_unit", "ng/mL")
    until(page, "document.querySelector('#answer').textContent.includes('2026-01-14 09:30')")


def test_when_to_sample_is_answered_for_this_patient_without_levels(page: Any, home: str) -> None:
    filled(page, home)
    page.click("nav >> text=Levels")
    until(page, "document.querySelector('#conc_1') && document.querySelector('#weight').value")
    page.click("text=When to sample")
    says(page, "Best times")
    words = ["--age=5", "--sex=female", "--weight=18.2", "--height=110", "--scr=0.3 mg/dL",
             "--regimen=tisa_cel_ball", "--design", "--json"]  # fmt: skip
    best = json.loads(CliRunner().invoke(main, ["update", *words]).stdout)["best"]
    for schedule in best:
        assert ", ".join(f"{t:g}" for t in schedule["times_h"]) in page.inner_text(".sheet")


def test_the_curve_of_levels_shows_the_adjusted_course_the_cells_and_its_axes(
    page: Any, home: str
) -> None:
    filled(page, home, path="/levels")
    assert "with the adjusted doses" not in page.text_content("figure.study")
    page.fill("#auc", "15")
    until(page, "document.querySelector('figure.study').textContent.includes('adjusted doses')")
    drawn = page.text_content("figure.study svg")
    assert "cell infusion, 120 h" in drawn
    assert "hours from the first dose" in drawn
    assert "mg/L" in drawn
    page.click("text=By other models")
    assert "langenhorst2019_indexed" in page.inner_text("[aria-labelledby=h-by-models]")


# ------------------------------------------------------------------ figures and help


@pytest.mark.parametrize("path", ["/", "/dose", "/levels"])
def test_a_figure_says_its_values_to_a_pointer_and_to_keys(page: Any, home: str, path: str) -> None:
    filled(page, home, path=path)
    for figure in page.locator("[data-ask]").all():
        svg, words = figure.locator("svg"), figure.locator("output")
        svg.scroll_into_view_if_needed()
        box = svg.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        pointed = words.inner_text()
        assert re.search(r"\d.*(mg|%)", pointed)
        svg.focus()
        page.keyboard.press("Home")
        first = words.inner_text()
        page.keyboard.press("ArrowRight")
        assert words.inner_text() != first
        cells = figure.locator("tbody tr").nth(1).locator("td").all_text_contents()
        assert all(cell in words.inner_text() for cell in cells)


def test_a_term_explains_itself_on_focus_and_papers_can_be_opened(page: Any, home: str) -> None:
    filled(page, home)
    for button in page.locator(".help button").all():
        tip = page.locator(f"#{button.get_attribute('aria-describedby')}")
        assert not tip.is_visible()
        button.focus()
        assert tip.is_visible()
        box = tip.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1280
    links = page.evaluate("[...document.querySelectorAll('.sheet a')].map(a => a.href)")
    assert "https://doi.org/10.1182/bloodadvances.2021006418" in links
    assert "https://doi.org/10.1007/s40262-018-0715-9" in links
    page.click("text=About this number")
    page.wait_for_url(f"{home}/about")
    assert "90 of 100 such patients" in page.inner_text("main")


def test_the_interface_page_names_the_address_that_is_served(page: Any, home: str) -> None:
    page.goto(f"{home}/docs")
    text = page.inner_text("main")
    assert f"curl {home}/api/v1/check" in text
    assert "`" not in text
    assert "8765" not in text
    assert '"age": 5' not in "".join(part for part in text.split("curl") if "scordo2023" in part)
