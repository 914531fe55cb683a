"""The page that is signed: complete, in order, escaped, self-contained, the same every time."""

import re
import sys
from dataclasses import replace
from gettext import NullTranslations
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk import language
from fludapk.pages import check_drawing, templates

pytest.importorskip("jinja2", reason="the extra `report` is not installed")


from fludapk.answers.batch import Plan, Tally, chunks, run
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult, TargetRecord
from fludapk.answers.curve import curve, horizon_h
from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal
from fludapk.answers.nomogram import nomogram
from fludapk.answers.prediction import Prediction, predict
from fludapk.answers.record import Remark
from fludapk.errors import InputError
from fludapk.pages.batch import batch_html
from fludapk.pages.check import check_page
from fludapk.pages.check_drawing import course_figure
from fludapk.pages.check_sheet import check_html
from fludapk.pages.dose import dose_html
from fludapk.pages.drawing import Scale, round_steps
from fludapk.pages.nomogram import nomogram_html
from fludapk.pages.nomogram_figure import nomogram_svg
from fludapk.pages.words import chance_parts
from fludapk.patients.columns import Layout, is_column
from fludapk.patients.csv_list import open_list
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import load_model

PATIENTS: Final = {
    "the worked girl": (
        Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3, sex="female"),
        "tisa_cel_ball",
        None,
    ),
    "an adult before axi-cel": (
        Patient(age_years=63, weight_kg=80, height_cm=175, scr_mg_dl=0.9, sex="male"),
        "axi_cel",
        1.0,
    ),
    "a transplant without cells": (
        Patient(age_years=30, weight_kg=65, height_cm=168, scr_mg_dl=0.7, sex="female"),
        "hct_160",
        None,
    ),
    "nobody's target": (
        Patient(age_years=55, weight_kg=85, height_cm=178, scr_mg_dl=1.6, sex="male"),
        "ide_cel",
        5.0,
    ),
}
VOID: Final = {"meta", "br", "wbr", "hr", "img", "input", "link"}
INLINE: Final = {"wbr", "small", "strong", "span", "code", "cite", "data"}
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></svg><b>",
    "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='alert(1)",
    "a & b <!-- c",
)
SECTIONS: Final = (
    "What to know",
    "Calculation, to check by hand",
    "Targets that fit this patient",
    "Models",
    "Dose by the labels' kidney rules (for comparison)",
)


def course_of(name: str) -> tuple[CheckResult, Prediction, Regimen]:
    patient, regimen_name, step = PATIENTS[name]
    regimen = Regimen.named(regimen_name)
    prediction = predict(load_model(), patient, regimen, regimen.course(patient, step))
    return check(patient, regimen, round_to_mg=step), prediction, regimen


@pytest.fixture(scope="module", params=PATIENTS)
def checked(request: pytest.FixtureRequest) -> CheckResult:
    return course_of(request.param)[0]


@pytest.fixture(scope="module")
def girl() -> CheckResult:
    return course_of("the worked girl")[0]


class Page(HTMLParser):
    """Text, elements and attributes; refuses what is not closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.starts: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag not in INLINE:
            self.pieces.append(" ")
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag not in INLINE:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "svg" in self._open or "title" in self._open:
            return
        self.pieces.append(data)
        if self._open and self._open[-1] in ("h1", "h2"):
            self.headings[-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.starts]


def pictures(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


# --- Content --------------------------------------------------------------------------------------


def test_every_word_and_number_of_the_terminal_page_is_there(checked: CheckResult) -> None:
    on_sheet = {bare(word) for word in Page(check_html(checked)).text.split()}
    words = {bare(word) for word in check_page(checked, 4000).split() if set(word) - set("<=>")}
    assert words <= on_sheet | {"", "STOP"}


@pytest.mark.parametrize("section", SECTIONS)
def test_rows_read_as_in_the_terminal(checked: CheckResult, section: str) -> None:
    text = re.sub(r"[ .]+", " ", Page(check_html(checked)).text)
    blocks = check_page(checked, 4000).split("\n\n")
    (block,) = [block for block in blocks if block.startswith(f"{section}\n")]
    for line in block.splitlines():
        row = re.sub(r"[ .]+", " ", line).strip()
        assert row.rstrip(")") in text or row.startswith("Targets from other patients")


def bare(word: str) -> str:
    return word.strip("!|[]();:,.")


def test_sections_come_in_the_order_of_the_terminal_page(checked: CheckResult) -> None:
    headings = Page(check_html(checked)).headings
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)
    page = check_page(checked, 100)
    assert sorted(SECTIONS, key=page.index) == list(SECTIONS)
    assert headings.index(checked.headline.sentence) == 1, "the answer is first, after the name"


def test_the_chance_comes_first_and_then_the_number(checked: CheckResult) -> None:
    text = Page(check_html(checked)).text
    low, high = checked.headline.interval
    auc = f"AUC0-inf {checked.exposure.auc_0_inf:.2f} mg·h/L"
    interval = f"90 % interval {low:.1f}-{high:.1f}"
    places = [text.index(part) for part in (checked.headline.sentence, auc, interval, SECTIONS[0])]
    assert places == sorted(places)


def test_a_stop_is_above_everything(girl: CheckResult) -> None:
    old = Patient(age_years=61, sex="male", weight_kg=82, height_cm=176, scr_mg_dl=5.09)
    result = check(old, Regimen.named("axi_cel"))
    (reason,) = result.headline.stops
    text = Page(check_html(result)).text
    assert text.index(f"STOP {reason}") < text.index(result.headline.sentence)
    assert "STOP" not in Page(check_html(girl)).text


def test_the_worked_girl(girl: CheckResult) -> None:
    text = Page(check_html(girl)).text
    assert "48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short" in text
    assert "AUC0-inf 13.58 mg·h/L below 13.8 90 % interval 9.3-20.1" in text
    assert "DISAGREE" not in text
    assert "langenhorst2019_indexed 19.57 mg·h/L" in text
    assert text.index("not this patient: adults 23-82 y") > text.index("Models")
    assert "Fabrizio et al., Blood Adv 2022;6:1961" in text
    assert "Scordo et al., Blood Adv 2023" in text


def test_thresholds_of_others_are_not_in_the_answer() -> None:
    result, *_ = course_of("an adult before axi-cel")
    text = Page(check_html(result)).text
    answer = text[: text.index(SECTIONS[0])]
    assert "(Scordo 2023)" in answer
    assert "13.8" not in answer
    assert "Targets from other patients (do not apply): Fabrizio 2022 (≥ 13.8" in text


def test_the_bar_of_chances_adds_up(checked: CheckResult) -> None:
    parts = chance_parts(checked.headline)
    assert bool(parts) == (checked.headline.target is not None)
    assert not parts or sum(part.percent for part in parts) == pytest.approx(100.0, abs=1.0)


def test_no_remark_is_cut(girl: CheckResult) -> None:
    many = [Remark(code="x", severity="note", message=f"remark number {k}") for k in range(30)]
    text = Page(check_html(replace(girl, remarks=many))).text
    assert all(f"remark number {k}" in text for k in range(30))


def test_what_is_empty_is_said(girl: CheckResult) -> None:
    text = Page(check_html(replace(girl, remarks=[], targets=_others(girl)))).text
    assert "What to know Nothing beyond the answer." in text
    assert "Targets that fit this patient None." in text


def _others(result: CheckResult) -> list[TargetRecord]:
    return [replace(target, applies=False) for target in result.targets]


def test_space_to_sign_and_where_the_numbers_come_from(
    checked: CheckResult,
) -> None:
    result = checked
    page = check_html(checked)
    text, made = Page(page).text, result.provenance
    for words in (
        "Prepared by",
        "Checked by",
        "Date and time",
        result.disclaimer,
        "8192 simulated courses",
    ):
        assert words in text
    for word in (made.version, made.model_sha256[:12], made.input_sha256[:12], str(made.seed)):
        assert word in text
    assert made.model_sha256 in page
    assert made.input_sha256 in page


# --- The file -------------------------------------------------------------------------------------


def test_self_contained(checked: CheckResult) -> None:
    page = check_html(checked)
    assert "://" not in page
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(parsed.tags)
    for _, attributes in parsed.starts:
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]


def test_proper_headings_tables_and_language(checked: CheckResult) -> None:
    page = check_html(checked)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    parsed = Page(page)
    assert parsed.tags.count("h1") == 1
    assert all(attributes.get("scope") for tag, attributes in parsed.starts if tag == "th")
    ids = [attributes["id"] for _, attributes in parsed.starts if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in parsed.starts:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)
    assert parsed.tags.count("table") == parsed.tags.count("thead") >= 2


def test_pictures_are_well_formed_and_described(checked: CheckResult) -> None:
    found = pictures(check_html(checked))
    assert len(found) == 2 + (checked.headline.target is not None)
    for svg in found:
        width, height = map(float, svg.attrib["viewBox"].split()[2:])
        assert svg[0].tag == "title"
        assert svg[0].text
        assert svg[1].tag == "desc"
        assert svg[1].text
        assert svg.attrib["role"] == "img"
        for element in svg.iter():
            for name, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width)):
                assert 0 <= float(element.attrib.get(name, 0)) <= limit
            for name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(element.attrib.get(name, 0)) <= height
        assert "nan" not in ElementTree.tostring(svg, encoding="unicode").lower()


def test_the_same_input_gives_the_same_bytes() -> None:
    pages = set()
    for _ in range(2):
        result, *_ = course_of("the worked girl")
        pages.add(check_html(result))
    assert len(pages) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_what_was_typed_is_escaped(girl: CheckResult, text: str) -> None:
    page, plain = (check_html(_with_text(girl, said)) for said in (text, "said"))
    assert text not in page or not set(text) & set("<>&'")
    parsed = Page(page)
    assert parsed.tags == Page(plain).tags
    assert parsed.text.count(" ".join(text.split())) == Page(plain).text.count("said")
    assert len(pictures(page)) == 3


def _with_text(result: CheckResult, text: str) -> CheckResult:
    """A result that says this wherever it says words."""
    return replace(
        result,
        model=text,
        patient=replace(result.patient, product=text, diagnosis=text, genotype=text, sex=text),
        regimen=replace(result.regimen, id=text, title=text, cells=text, dose_unit=text),
        flag_context=text,
        targets=[
            replace(t, id=t.id if t.applies else text, context=text, finding=text, citation=text)
            for t in result.targets
        ],
        sensitivity=[replace(row, model=text, reason=text) for row in result.sensitivity],
        label_rules=[replace(row, title=text, advice=text) for row in result.label_rules],
        remarks=[Remark(code="x", severity="note", message=text)],
        reading_note=text,
        trail=[replace(step, name=text, unit=text, by=text, how=text) for step in result.trail],
        model_citation=text,
        disclaimer=text,
    )


def test_without_jinja2_the_reader_is_told_what_to_install(
    girl: CheckResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates.environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"pip install 'fludapk\[report\]'"):
        check_html(girl)


# --- The curve ------------------------------------------------------------------------------------


def test_the_curve_has_the_peak_and_the_level_at_cell_infusion() -> None:
    result, prediction, _ = course_of("the worked girl")
    drawn = curve(prediction, until_h=144.0)
    assert drawn.times_h[0] == 0.0
    assert drawn.times_h[-1] == 144.0
    assert np.all(np.diff(drawn.times_h) > 0)
    assert np.max(drawn.typical) == pytest.approx(result.exposure.cmax_mg_l, rel=1e-9)
    at_cells = np.interp(120.0, drawn.times_h, drawn.typical)
    assert at_cells == pytest.approx(result.exposure.conc_at_cells_mg_l, rel=1e-9)


def test_the_band_holds_nine_of_ten_patients() -> None:
    _, prediction, _ = course_of("the worked girl")
    drawn = curve(prediction, until_h=96.0, log2_points=8)
    assert np.all(drawn.low <= drawn.high)
    late = drawn.times_h > 0
    assert np.all((drawn.low < drawn.typical)[late])
    assert np.all((drawn.typical < drawn.high)[late])
    wider = curve(prediction, until_h=96.0, log2_points=9)
    assert np.allclose(wider.high[late], drawn.high[late], rtol=0.15)


@pytest.mark.parametrize("until_h", [0.0, -1.0, float("nan"), float("inf")])
def test_a_curve_needs_an_end(until_h: float) -> None:
    _, prediction, _ = course_of("the worked girl")
    with pytest.raises(InputError, match="finite number above zero"):
        curve(prediction, until_h=until_h)


@pytest.mark.parametrize("until_h", [0.2, 30.0, 600.0])
def test_a_curve_may_be_short_or_long(girl: CheckResult, until_h: float) -> None:
    result, prediction, _ = course_of("the worked girl")
    drawn = curve(prediction, until_h=until_h, log2_points=4)
    figure = course_figure(result, drawn)
    assert (figure.cells_x is None) == (until_h < 120.0)
    assert ("after the end of this curve" in figure.desc) == (until_h < 120.0)
    assert len(pictures(check_html(result))) == 3


def test_the_end_covers_the_last_dose_and_the_cells() -> None:
    assert horizon_h([0.0, 24.0, 48.0, 72.0]) == 96.0
    assert horizon_h([0.0, 24.0], cells_at_h=24.0 * 16) == 24.0 * 17
    assert horizon_h([0.0], cells_at_h=1.0) == 24.0


# --- Scales ---------------------------------------------------------------------------------------


@given(st.floats(1e-3, 1e5), st.integers(3, 9))
def test_axes_end_above_the_data_at_a_round_number(last: float, most: int) -> None:
    steps = round_steps(last, most)
    assert steps[0] == 0.0
    assert steps[-1] >= last * (1 - 1e-9)
    assert 2 <= len(steps) <= most + 1
    lead = f"{steps[1]:.6e}"
    assert lead[0] in "125"
    assert set(lead[2:8]) == {"0"}


@given(st.floats(-50.0, 500.0))
def test_a_scale_holds_its_values_inside(value: float) -> None:
    assert 20.0 <= Scale(0.0, 30.0, 20.0, 320.0)(value) <= 320.0


@pytest.mark.parametrize(
    ("auc", "interval"), [(0.4, (0.1, 0.9)), (13.8, (13.7, 13.9)), (95.0, (40.0, 210.0))]
)
def test_the_bar_holds_any_exposure(
    girl: CheckResult, auc: float, interval: tuple[float, float]
) -> None:
    result = girl
    odd = replace(result.exposure, auc_0_inf=auc, auc_0_inf_pi90=interval)
    headline = replace(result.headline, auc_0_inf=auc, interval=interval)
    changed = replace(result, exposure=odd, headline=headline)
    figure = check_drawing.bar(changed)
    assert figure.low_x <= figure.auc_x <= figure.high_x
    assert float(figure.ticks[-1].label) >= interval[1]
    for lane in figure.lanes:
        covered = sum(region.width for region in lane.regions)
        assert covered == pytest.approx(284.0, abs=0.3), "regions fill the axis"
    assert len(pictures(check_html(changed))) == 3


def test_figure_and_headline_name_the_same_interval(checked: CheckResult) -> None:
    low, high = checked.headline.interval
    figure = check_drawing.bar(checked)
    assert (figure.low_label, figure.high_label) == (f"{low:.1f}", f"{high:.1f}")


# --- The dose for a target ------------------------------------------------------------------------


def dose_page_of(patient: Patient, schedule: Regimen, auc: float, planned: bool) -> str:
    result = find_dose(patient, schedule, Goal.chosen(auc=auc), planned=planned)
    return dose_html(result)


def test_the_dose_stands_in_the_answer_after_chance_and_number() -> None:
    man = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, scr_mg_dl=1.0)
    text = dose_page_of(man, Regimen(dose=1, unit="mg", days=3), 15.0, planned=False)
    page = Page(text)
    order = (
        "No published target fits", "AUC0-inf 15.08", "Per dose 49 mg", "Draw up 1.96 mL",
        "What to know", "At the proposed dose", "AUC of this dose by each model",
    )  # fmt: skip
    places = [page.text.index(part) for part in order]
    assert places == sorted(places)
    assert "Beside the planned course" not in page.text
    assert "not a medical device" in page.text
    assert "<script" not in text
    assert text == dose_page_of(man, Regimen(dose=1, unit="mg", days=3), 15.0, planned=False)


def test_the_planned_course_stands_beside_the_dose() -> None:
    girl = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    text = Page(dose_page_of(girl, Regimen.named("tisa_cel_ball"), 15.0, planned=True)).text
    assert "planned tisa_cel_ball 22.37 mg 13.58 below 13.8" in text.replace("\u200b", "")
    assert "12 % above the planned dose" in text


def test_under_stop_the_sheet_proposes_no_dose() -> None:
    man = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, scr_mg_dl=5.09)
    text = Page(dose_page_of(man, Regimen.named("axi_cel"), 15.0, planned=True)).text
    order = ("STOP US label: do not give", "No dose is proposed", "Not proposed: what", "Per dose")
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "At the proposed dose" not in text
    assert "Beside the planned course" not in text


# --- Lists and nomograms --------------------------------------------------------------------------

LISTED = """ID,age,WT,HT,sex,scr_mg_dl,regimen
<script>alert(1)</script>,5,18.2,110,female,0.3,tisa_cel_ball
b,19,70,178,male,0.8,tisa_cel_ball
c,5,,110,female,0.3,tisa_cel_ball
"""


def listed(tmp_path: Path, text: str = LISTED, keep: int = 500) -> str:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    source = open_list(path, is_column)
    plan = Plan(layout=Layout.read(source.header), log2_points=5)
    tally = Tally(keep=keep)
    for one in run(plan, chunks(plan.layout, source.rows())):
        tally.join(one.tally)
    return batch_html(tally, "0" * 64, 5)


class Brackets(NullTranslations):
    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"


def test_a_list_words_its_chances_in_the_language_of_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "catalog", lambda code: Brackets())
    english = listed(tmp_path)
    with language.speaking("de"):
        other = listed(tmp_path)
    chances = re.findall(r">(\d+ % chance of reaching [^<]*)<", english)
    assert chances
    assert not [chance for chance in chances if f">{chance}<" in other]
    assert [chance for chance in chances if f"⟦{chance.replace('.', ',')}⟧" in other] == chances
    assert "⟦Translation into Deutsch: not reviewed by a clinician⟧" in other
    assert "Translation into" not in english


def test_a_list_is_counted_first_and_who_is_likeliest_to_miss_is_on_top(tmp_path: Path) -> None:
    page = listed(tmp_path)
    assert "1 likeliest below their target, 1 likeliest to reach it, 1 refused" in page
    assert page.index("13.58") < page.index("17.20") < page.index("WT is missing")
    assert "of falling short" in page
    assert page == listed(tmp_path)


def test_what_a_list_holds_is_escaped(tmp_path: Path) -> None:
    page = listed(tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_long_list_says_what_it_leaves_out(tmp_path: Path) -> None:
    row = "x,19,70,178,male,0.8,tisa_cel_ball\n"
    page = listed(tmp_path, LISTED.splitlines(keepends=True)[0] + row * 5, keep=2)
    assert "3 more, less urgent" in page


def test_a_nomogram_page_holds_figure_table_and_notes() -> None:
    plan = Regimen.named("tisa_cel_ball")
    chart = nomogram(plan, weights_kg=[10.0, 15.0, 20.0], renal=[80.0, 110.0, 140.0])
    page = nomogram_html(chart, nomogram_svg(chart))
    assert page.count("<svg") == 1
    assert "<script" not in page
    for value in (x for row in chart.values for x in row):
        assert f">{value:.1f}" in page
    assert re.search(r">1[0-3]\.\d b", page)  # the child of 15 kg and a high eGFR is below
    for note in chart.notes:
        assert escape(note, quote=False) in page.replace("&#39;", "'")
    assert page == nomogram_html(chart, nomogram_svg(chart))
