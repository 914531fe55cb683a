"""Pages in other languages: the same numbers, every text worded, links that keep the language."""

import base64
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from asking import Page, ask
from brackets import Brackets, without_brackets

from fludapk import language
from fludapk.language import LANGUAGES, SOURCE
from fludapk.pages import remarks
from fludapk.pages.study import study_tables
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import AVERAGED
from fludapk.published.regimens import regimens
from fludapk.studies.common_study import common_study
from fludapk.studies.simulate import StudyResult, read_scenario
from fludapk.web.jobs import Job
from fludapk.web.pages import TABS

OTHERS: Final = tuple(code for code in LANGUAGES if code != SOURCE)
GIRL: Final = {
    "age": "5", "sex": "female", "weight": "18.2", "height": "110", "renal": "0.3",
    "renal_unit": "mg/dL",
}  # fmt: skip
PLANNED: Final = {**GIRL, "regimen": "tisa_cel_ball"}
LEVELS: Final = {
    "time_1": "1",
    "conc_1": "850",
    "time_2": "7",
    "conc_2": "150",
    "conc_unit": "ng/mL",
}
ANSWERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "check": ("/", PLANNED),
    "check, course changed": ("/", {**PLANNED, "dose": "24", "dose_unit": "mg/m2"}),
    "check, elderly": (
        "/",
        {"age": "71", "sex": "male", "weight": "82", "height": "176", "renal": "1.6",
         "renal_unit": "mg/dL", "regimen": "axi_cel"},
    ),
    "check, STOP": ("/", {**PLANNED, "renal": "4"}),
    "check, refused": ("/", {**PLANNED, "weight": "182", "height": "11"}),
    "check, needed": ("/", {"age": "5"}),
    "dose": ("/dose", {**PLANNED, "target": "fabrizio2022"}),
    "dose, refused": ("/dose", {**PLANNED, "auc": "900"}),
    "compare": ("/compare", {**GIRL, "plan_1": "tisa_cel_ball", "plan_2": "tisa_cel_ball auc 17"}),
    "levels": ("/levels", {**PLANNED, **LEVELS, "auc": "15"}),
    "levels, STOP": ("/levels", {**PLANNED, **LEVELS, "conc_2": "9000"}),
    "design": ("/levels/design", PLANNED),
    "nomogram": (
        "/nomogram",
        {"regimen": "tisa_cel_ball", "weights_from": "10", "weights_to": "30",
         "weights_step": "10", "renal_from": "60", "renal_to": "120", "renal_step": "60"},
    ),
    "list": ("/list", {}),
    "list, refused": ("/list", {"encoding": "cp1252", "sheet": "2"}),
    "evaluate": ("/evaluate", {"dv": "mg/L", "amt": "phosphate", "simulations": "100"}),
    "second entry": ("/", {**PLANNED, "first": "age=5&weight=81.2&renal=0.3"}),
    "confirmed": (
        "/",
        {**PLANNED, "weight": "50", "confirm_weight": "age 5; sex female; weight 50; height 110; "
         "renal 0.3 mg/dL"},
    ),
    "slip": ("/", {**PLANNED, "weight": "50"}),
    "simulate, refused": ("/simulate", {"population": "prwcc_ball", "plan_1": "x"}),
}  # fmt: skip
FORMS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    **{tab.path: (tab.path, {}) for tab in TABS},
    "/about": ("/about", {}),
}
PAGES: Final = {**FORMS, **ANSWERS}
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
FILES: Final = {
    "/list": (EXAMPLES / "clinic.csv").read_bytes(),
    "/evaluate": b"\n".join((EXAMPLES / "levels.csv").read_bytes().splitlines()[:40]),
}


def page_of(name: str, code: str) -> str:
    path, form = PAGES[name]
    if name in FORMS:
        response = ask("GET", f"/{code}{path}")
    else:
        file = FILES.get(path)
        files = {"file": ("data.csv", file, "text/csv")} if file else None
        response = ask("POST", f"/{code}{path}", data=form, files=files)
    assert response.status_code == 200, response.text
    assert response.headers["content-language"] == code
    return response.text


# --- Which language ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "header", "code"),
    [
        ("/", "", "en"),
        ("/", "de-AT, en;q=0.5", "de"),
        ("/dose", "da, nl;q=0.3, en;q=0.2", "nl"),
        ("/", "xx", "en"),
        ("/", "de;q=x, fr;q=0.1", "fr"),
        ("/fr/levels", "de", "fr"),
        ("/en/", "de", "en"),
        ("/es", "de", "es"),
    ],
)
def test_a_page_speaks_the_language_of_its_address_or_of_the_browser(
    path: str, header: str, code: str
) -> None:
    response = ask("GET", path, headers={"accept-language": header})
    assert response.status_code == 200
    assert Page(response.text).of("html") == [{"lang": code}]
    assert response.headers["content-language"] == code
    chosen_by_browser = path in ("/", "/dose")
    assert (response.headers.get("vary") == "Accept-Language") == chosen_by_browser
    assert "set-cookie" not in response.headers


def test_machines_are_answered_in_english_whatever_they_accept() -> None:
    german = {"accept-language": "de"}
    for path in ("/healthz", "/version", "/openapi.json", "/static/app.js", "/cds-services"):
        assert ask("GET", path, headers=german).content == ask("GET", path).content
        assert ask("GET", f"/de{path}").status_code == 404
    asked = {**GIRL, "scr": "0.3 mg/dL", "regimen": "tisa_cel_ball"}
    del asked["renal"], asked["renal_unit"]
    english = ask("POST", "/api/v1/check", json=asked)
    assert english.status_code == 200
    assert ask("POST", "/api/v1/check", json=asked, headers=german).content == english.content
    refused = ask("POST", "/api/v1/check", json={}, headers=german)
    assert refused.content == ask("POST", "/api/v1/check", json={}).content


@pytest.mark.parametrize("path", [tab.path for tab in TABS])
def test_links_and_forms_stay_in_the_language_and_lead_to_the_others(path: str) -> None:
    page = Page(ask("GET", f"/nl{path}").text)
    ours = [a["href"] or "" for a in page.of("a")]
    ours += [f["action"] or "" for f in page.of("form")]
    ours += [b["formaction"] or "" for b in page.of("button") if b.get("formaction")]
    switch = {a["hreflang"]: a["href"] for a in page.of("a") if a.get("hreflang")}
    assert switch == {code: f"/{code}{path}" for code in LANGUAGES}
    (current,) = [a["hreflang"] for a in page.of("a") if a.get("aria-current") == "true"]
    assert current == "nl"
    inside = [url for url in ours if url.startswith("/") and url not in switch.values()]
    assert [url for url in inside if not url.startswith("/nl/")] in ([], ["/openapi.json"])
    if path != "/docs":
        assert all(ask("GET", url).status_code in (200, 404, 405) for url in set(inside))


def test_without_a_choice_links_have_no_prefix() -> None:
    page = Page(ask("GET", "/dose", headers={"accept-language": "de"}).text)
    assert "/levels" in [a["href"] for a in page.of("a")]


def test_a_list_to_download_is_the_same_in_every_language() -> None:
    content = (EXAMPLES / "clinic.csv").read_bytes()
    files = {"file": ("clinic.csv", content, "text/csv")}
    english = ask("POST", "/list/download", files=files)
    assert english.headers["content-type"] == "text/csv; charset=utf-8"
    german = ask("POST", "/de/list/download", files=files)
    assert german.content == english.content
    assert "content-language" not in german.headers


# --- Every text is worded ---------------------------------------------------------------------


class Texts(HTMLParser):
    """Texts of a page that a person reads or hears."""

    SILENT: Final = ("script", "style", "code", "cite", "textarea")
    SPOKEN: Final = ("aria-label", "title", "alt", "placeholder", "data-said")
    EMPTY: Final = ("input", "meta", "link", "br", "img", "hr", "option")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.spoken: list[str] = []
        self._kept: list[str] = []
        self.feed(html.replace("<wbr>", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.EMPTY and (self._kept or self._is_silent(tag, given)):
            self._kept.append(tag)
        if not self._kept:
            self.spoken += [given[name] or "" for name in self.SPOKEN if name in given]

    def _is_silent(self, tag: str, given: dict[str, str | None]) -> bool:
        is_kept = given.get("translate") == "no" or "hreflang" in given
        return tag in self.SILENT or is_kept or (tag != "html" and given.get("lang") == "en")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._kept:
            while self._kept.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._kept:
            self.texts.append(data)


def outside_brackets(texts: list[str]) -> list[str]:
    """What of some texts is in no brackets; a message may hold a link, or be cut."""
    text = without_brackets("\x1e".join(texts), " ")
    return re.sub(r"⟦[^\x1e]*|[^\x1e]*⟧", " ", text).split("\x1e")


IDS: Final = {AVERAGED, *FORMULAS, *(r.disease for r in regimens().values() if r.disease)}
NAMES: Final = re.compile(
    rf"\b[0-9a-f]{{12}}\b|\b(?:{'|'.join(sorted(IDS))})\b"
    r"|[A-Z][\w-]+(?: [A-Z]{1,3})? et al\., [^;⟦⟧]*?\d{4}(?:;[\d:.-]+)?"
    r"|\bauc \d+|L/h/70kg|\bGFR\b|m²"
    r"|\b\d+(?:\.\d+)?(?:h|mg|min)\b|\b10\.\d{4,9}/\S+|sha256|fludapk(?: [\d.]+)?"
    r"|\b(?:F-ara-A|AUC0-inf|AUC|BSA|CL|V[12]|Q[23]?|k\d\d|eGFR|CrCl|NPDE|RMSE|STOP|scr)\b"
    r"|\b(?:NT5E rs2295890|GG|ID|DV|AMT|API|CSV|UTF-8|UTF-16|Mac OS Roman)\b"
    r"|mL/min/1[.,]73 ?m[²2]|[mµkn]*(?:g|mol)·?h?/(?:d?m?L|kg|m[²2])|mL/s|mL/min|L/h|L/min|1/h"
    r"|[a-z]+(?:_[a-z0-9]+)+|[a-z]+\d{4}[a-z]?(?:_\w+)?"
    r"|[A-Z][\w'-]+(?: & [\w'-]+| et al\.?)? \d{4}[a-z]?"
    r"|[a-z0-9-]+\.(?:csv|json|html|svg|png|toml|zip)"
    r"|\b(?:h|kg|mg|cm|mm|mL|min|in|lb|ft|oz|g|x|doi)\b"
)
"""Names, ids, units and formulas that are the same in every language."""
WORD: Final = re.compile(r"[^\W\d_]{2,}")


def unworded(html: str) -> list[str]:
    """Texts of a page in which letters stand outside of brackets and are no names."""
    read = Texts(html)
    spoken = [outside_brackets([text])[0] for text in read.spoken]
    left = (NAMES.sub(" ", text) for text in (*outside_brackets(read.texts), *spoken))
    return list(dict.fromkeys(" ".join(text.split()) for text in left if WORD.search(text)))


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from fludapk.web import pages

    monkeypatch.setattr(language, "catalog", lambda code: Brackets())
    pages.choices.cache_clear()
    yield
    pages.choices.cache_clear()


@pytest.mark.usefixtures("brackets")
@pytest.mark.parametrize("name", FORMS)
def test_every_text_of_a_form_is_worded(name: str) -> None:
    assert unworded(page_of(name, "de")) == []


@pytest.mark.usefixtures("brackets")
@pytest.mark.parametrize("name", ANSWERS)
def test_every_text_of_an_answer_is_worded(name: str) -> None:
    assert unworded(page_of(name, "de")) == []


# --- The same numbers -------------------------------------------------------------------------

NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
FIGURE: Final = re.compile(r"<svg.*?</svg>", re.DOTALL)
DOI: Final = re.compile(r"10\.\d{4,9}/\S+")
POINT: Final = re.compile(r"(?<![\w./])\d+\.\d+(?![\w/]|\.\w)")
UNIT: Final = re.compile(
    r"(?<!\w)(?:mg·h/L|mg/m²|mg/dL|µmol/L|mL/min|mg/L|ng/mL|m²|kg|cm|mL|mg)(?!\w)"
)


def spoken(html: str) -> str:
    """Texts, and what is read aloud."""
    read = Texts(html)
    return "\n".join([*read.texts, *read.spoken])


def numbers(text: str) -> Counter[str]:
    return Counter(number.replace(",", ".") for number in NUMBER.findall(text))


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("name", ANSWERS)
def test_numbers_and_units_are_those_of_the_english_page(
    name: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1768379400")
    monkeypatch.setattr(remarks, "WORDS_OF_BAD_NEWS", 10_000)  # some would be cut, and so repeated
    pages = (page_of(name, code) for code in (SOURCE, code))
    english, other = (html[html.index('<div id="answer"') :] for html in pages)
    written, read = (spoken(FIGURE.sub("", html)) for html in (english, other))
    assert written
    assert numbers(read) == numbers(written)
    assert Counter(UNIT.findall(read)) == Counter(UNIT.findall(written))
    assert POINT.findall(DOI.sub("", spoken(other))) == []
    drawn, redrawn = (spoken("".join(FIGURE.findall(html))) for html in (english, other))
    assert numbers(redrawn) <= numbers(drawn)  # a label that is too long for its bar is left out


def test_what_a_field_holds_and_where_a_figure_draws_have_points_in_every_language() -> None:
    german = page_of("check", "de")
    assert '<input id="weight" name="weight"' in german
    assert re.search(r'name="weight"[^>]*value="18\.2"', german)
    drawn, english = (
        re.findall(r'\s(?:x|y|width|points|d)="([^"]*)"', page_of("check", code))
        for code in ("de", SOURCE)
    )
    assert drawn == english


def test_an_answer_stays_in_its_language_for_the_script_too() -> None:
    part = ask("POST", "/fr/", data=PLANNED, headers={"x-part": "answer"})
    assert part.headers["content-language"] == "fr"
    assert "18,2" in part.text
    assert "<html" not in part.text


def test_a_study_is_worded_in_the_language_it_was_asked_in() -> None:
    with language.speaking("de"):
        scenario = common_study("prwcc_ball", ["tisa_cel_ball", "x 4 auc 17"], patients=100)
        job = Job(scenario, {})
    job.run()
    assert job.state == "done"
    text = Texts(job.html).texts
    assert not POINT.findall("\n".join(text))
    assert "13,8" in "\n".join(text)


# --- Data are English -------------------------------------------------------------------------


def data_of(path: str, form: dict[str, str]) -> dict[str, str]:
    """Tables and JSON that the German page offers, by name."""
    files = {"file": ("levels.csv", FILES[path], "text/csv")} if path in FILES else None
    html = ask("POST", f"/de{path}", data=form, files=files).text
    links = re.findall(r'href="data:[^,]*;base64,([^"]*)" download="([^"]*)"', html)
    made = {name: base64.b64decode(unquote(unescape(content))) for content, name in links}
    for name in [name for name in made if name.endswith(".zip")]:
        with zipfile.ZipFile(io.BytesIO(made[name])) as folder:
            made |= {inside: folder.read(inside) for inside in folder.namelist()}
    return {
        name: content.decode()
        for name, content in made.items()
        if name.endswith((".csv", ".json", ".toml"))
    }


@pytest.mark.usefixtures("brackets")
def test_files_of_a_nomogram_are_english() -> None:
    data = data_of(*ANSWERS["nomogram"])
    assert set(data) == {"nomogram.csv", "nomogram.json"}
    assert [name for name, text in data.items() if "⟦" in text] == []


@pytest.mark.usefixtures("brackets")
def test_files_of_an_evaluation_are_english() -> None:
    data = data_of(*ANSWERS["evaluate"])
    assert len(data) > 1
    assert [name for name, text in data.items() if "⟦" in text] == []


@pytest.mark.usefixtures("brackets")
def test_a_case_and_a_downloaded_list_are_english() -> None:
    saved = ask("POST", "/de/case/check", data=PLANNED)
    assert saved.headers["content-type"] == "application/json"
    assert "⟦" not in saved.text
    files = {"file": ("clinic.csv", (EXAMPLES / "clinic.csv").read_bytes(), "text/csv")}
    assert "⟦" not in ask("POST", "/de/list/download", files=files).text


@pytest.mark.usefixtures("brackets")
def test_tables_of_a_study_are_english() -> None:
    scenario = common_study("prwcc_ball", ["tisa_cel_ball", "x 4 auc 17"], patients=100)
    with language.speaking("de"):
        study = read_scenario(scenario)
        counts = [study.run(truth, s.id) for truth in study.truths for s in study.strategies]
        tables = study_tables(StudyResult(run=study.provenance, counts=counts, source=study))
    assert [name for name, content in tables.items() if "⟦" in str(content)] == []
