"""`fludapk serve`: the answers of the command line, for this origin only, whatever comes in."""

import asyncio
import json
import random
import re
import select
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import httpx
import pytest
from asking import HOME, Page, ask
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from serving import running_server

from fludapk._version import __version__
from fludapk.answers.goal import Goal
from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.errors import Fault, InputError
from fludapk.patients.fields import FIELDS
from fludapk.patients.level import Level
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import read_patient
from fludapk.published.regimens import regimens
from fludapk.web import computed
from fludapk.web.api import BATCH, EXAMPLES, GIRL, MAN, PREFIX
from fludapk.web.app import create_app
from fludapk.web.forms import typed
from fludapk.web.guard import HEADERS, Limits
from fludapk.web.pages import DOWNLOAD, STATIC, TABS
from fludapk.web.problems import shown

WITH_TOKEN: Final = create_app(
    host="0.0.0.0", token="open sesame, please", limits=Limits(token_seconds=0.01)
)
FORM: Final = {
    "age": "5",
    "age_unit": "years",
    "sex": "female",
    "weight": "18.2",
    "weight_unit": "kg",
    "height": "110",
    "height_unit": "cm",
    "renal": "0.3",
    "renal_unit": "mg/dL",
    "regimen": "tisa_cel_ball",
}
LEVELS: Final = {
    **FORM,
    "time_1": "1",
    "conc_1": "1000",
    "time_2": "2",
    "conc_2": "600",
    "time_3": "7",
    "conc_3": "200",
    "time_unit": "h",
    "conc_unit": "ng/mL",
}
LIST: Final = (
    "id,sex,age,wt,ht,scr_mg_dl,regimen\n"
    "a,female,5,18.2,110,0.3,tisa_cel_ball\n"
    "<b>b</b>,female,5,18.2,110,,tisa_cel_ball\n"
    "c,male,19,70,178,0.8,tisa_cel_ball\n"
)
SCRIPT: Final = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def post(path: str, body: Any, **more: Any) -> httpx.Response:
    return ask("POST", f"{PREFIX}/{path}", json=body, **more)


def problem(response: httpx.Response, status: int) -> Any:
    """Problem details of a refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == status
    return found


def command(*words: str) -> Any:
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def spelt(level: dict[str, Any]) -> str:
    """A level of fields as the command line reads it."""
    time = level["time"] if isinstance(level["time"], str) else f"{level['time']}h"
    return f"{time} {'<' if level.get('below') else ''}{level['conc']}"


def options(asked: dict[str, Any]) -> list[str]:
    words = []
    for name, value in asked.items():
        if name in ("levels", "given"):
            name = name.removesuffix("s")
            words += [
                f"--{name}={text if isinstance(text, str) else spelt(text)}" for text in value
            ]
            continue
        words.append(f"--{name.replace('_', '-')}")
        words += [str(v) for v in value] if isinstance(value, list) else [str(value)]
    return words


# --- The answers of the command line ----------------------------------------------------------


def patients(n: int) -> Iterator[dict[str, Any]]:
    """Random people of plausible size, with one of the three renal functions."""
    dice = random.Random(7)
    for k in range(n):
        age = dice.uniform(1, 80)
        tall = 176 if age > 17 else 72 + 6 * age
        bmi = dice.uniform(16, 28)
        renal = [
            ("scr", f"{dice.uniform(0.3, 1.4):.2f} mg/dL"),
            ("scr", f"{dice.uniform(30, 120):.0f} umol/L"),
            ("egfr", round(dice.uniform(40, 130), 1)),
            ("crcl", f"{dice.uniform(40, 130):.0f}"),
        ][k % 4]
        yield {
            "age": round(age, 1),
            "sex": dice.choice(["female", "male"]),
            "weight": f"{bmi * (tall / 100) ** 2:.1f} kg",
            "height": round(tall, 1),
            renal[0]: renal[1],
            "regimen": dice.choice(sorted(regimens())),
        }


def test_fifty_patients_get_the_json_of_the_command_line() -> None:
    for asked in patients(50):
        response = post("check", asked)
        assert response.status_code == 200, response.text
        assert response.json() == command("check", *options(asked)), asked


@pytest.mark.parametrize("asked", EXAMPLES["DoseAsked"])
def test_a_dose_is_that_of_the_command_line(asked: dict[str, Any]) -> None:
    assert post("dose", asked).json() == command("dose", *options(asked))


@pytest.mark.parametrize("asked", EXAMPLES["UpdateAsked"])
def test_an_update_is_that_of_the_command_line(asked: dict[str, Any]) -> None:
    assert post("update", asked).json() == command("update", *options(asked))


def test_ten_patients_with_levels_get_what_the_library_says() -> None:
    dice = random.Random(11)
    for asked in patients(10):
        patient = read_patient(asked)
        plan = Regimen.named(asked["regimen"])
        at = sorted(dice.sample([1.0, 2.0, 4.0, 7.0, 12.0, 24.0], dice.randint(1, 4)))
        levels = [Level(time_h=t, conc_mg_l=round(dice.uniform(0.3, 1.2) / t, 3)) for t in at]
        fields = [{"time": v.time_h, "conc": f"{v.conc_mg_l} mg/L"} for v in levels]
        expected = update(patient, plan, levels, goal=Goal.chosen(auc=18.0))
        found = post("update", {**asked, "levels": fields, "auc": 18})
        assert found.json() == json.loads(expected.to_json()), asked


def test_a_design_is_that_of_the_command_line() -> None:
    asked = {**GIRL, "regimen": "tisa_cel_ball"}
    assert post("design", asked).json() == command("update", "--design", *options(asked))


def test_a_nomogram_is_that_of_the_command_line() -> None:
    for asked in (
        *EXAMPLES["NomogramAsked"],
        {"days": 3, "target_auc": 15.0, "renal": [40, 90, 25]},
    ):
        assert post("nomogram", asked).json() == command("nomogram", *options(asked))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("models", ("models", "list")),
        ("models/varela2025", ("models", "show", "varela2025")),
        ("models/varela2025/verify", ("models", "verify", "varela2025")),
        ("regimens", ("regimens", "list")),
        ("regimens/axi_cel", ("regimens", "show", "axi_cel")),
        ("targets", ("targets", "list")),
    ],
)
def test_sources_are_those_of_the_command_line(path: str, words: tuple[str, ...]) -> None:
    assert ask("GET", f"{PREFIX}/{path}").json() == command(*words)


def uploaded(text: str | bytes, path: str = BATCH, **fields: Any) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    return ask("POST", path, files={"file": ("list.csv", content, "text/csv")}, data=fields)


def test_a_list_is_that_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    lines = CliRunner().invoke(main, ["batch", str(path), "--json"]).stdout
    table = CliRunner().invoke(main, ["batch", str(path)]).stdout
    response = uploaded(LIST)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text == lines
    assert uploaded(LIST, format="csv").text == table
    assert [json.loads(line)["error"] is None for line in lines.splitlines()] == [True, False, True]


def test_columns_and_defaults_of_a_list_can_be_said() -> None:
    text = "years,kg,ht,krea\n5,18.2,110,26.52\n"
    said = ["years=age", "kg=wt", "krea=scr_umol_l"]
    line = uploaded(text, map=said, regimen="tisa_cel_ball").json()
    assert f"{line['auc_0_inf']:.2f}" == "13.58"
    found = problem(uploaded(text), 422)
    assert "no column for age, weight" in found["detail"]


# --- Refusals ---------------------------------------------------------------------------------


def test_a_bare_creatinine_is_refused() -> None:
    for bare in ("0.3", 0.3, 26):
        found = problem(post("check", {**GIRL, "scr": bare}), 422)
        assert found["type"] == "/docs#input-refused"
        assert found["exit_status"] == 3
        (fault,) = found["faults"]
        assert fault["fields"] == ["scr"]
        assert "has no unit" in fault["message"]


def test_every_fault_is_told_with_its_field() -> None:
    asked = {"age": "old", "weight": -3, "height": "1,10", "scr": "0.3 mg/dL", "regimen": "axicel"}
    found = problem(post("check", asked), 422)
    assert [fault["fields"] for fault in found["faults"]] == [
        ["age"],
        ["height"],
        ["weight"],
        ["regimen"],
    ]
    assert "did you mean 'axi_cel'" in found["detail"]
    found = problem(post("check", {}), 422)
    named = [name for fault in found["faults"] for name in fault["fields"]]
    assert named == ["age", "weight", "height", "regimen", "dose", "days"]
    assert "--" not in found["detail"]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"weight": "18.2 stone"}, ["weight"]),
        ({"egfr": 90}, ["scr", "egfr"]),
        ({"sex": "x"}, ["sex"]),
        ({"round_to": "0"}, ["round_to"]),
        ({"product": "axi_cel"}, ["product"]),
        ({"model": "mine"}, ["model"]),
        ({"height": 1.1}, ["height"]),
        ({"bsa_formula": "mine"}, ["bsa_formula"]),
        ({"colour": "red"}, []),
        ({"age": True}, ["age"]),
        ({"age": [5]}, ["age"]),
    ],
)
def test_a_fault_names_its_fields(changes: dict[str, Any], fields: list[str]) -> None:
    found = problem(post("check", {**GIRL, **changes}), 422)
    assert [name for fault in found["faults"] for name in fault["fields"]] == fields


ONE: Final = {**GIRL, "levels": ["2h 0.6mg/L"]}


@pytest.mark.parametrize(
    ("changes", "fields", "said"),
    [
        ({"levels": []}, ["levels"], "at least one"),
        ({"levels": ["2h 0.62"]}, ["levels"], "has no unit"),
        ({"levels": [{"time": 2, "conc": 0.62}]}, ["levels"], "level 1: concentration = '0.62'"),
        ({"levels": [{"time": 2, "conc": ""}]}, ["levels"], "concentration = '' is not a number"),
        ({"levels": ["2h 620mg/L"]}, ["levels"], "is it ng/mL?"),
        ({"levels": ["2h 0.62ng/mL"]}, ["levels"], "is it mg/L?"),
        ({"levels": ["2h 0mg/L"]}, ["levels"], "below the limit of quantification"),
        ({"levels": ["-2h 0.6mg/L"]}, ["levels"], "no drug before it"),
        ({"levels": [{"time": "2,0", "conc": "1 mg/L"}]}, ["levels"], "decimal comma"),
        ({"levels": [{"conc": "1 mg/L"}]}, ["levels"], "Field required"),
        ({"levels": [{"time": 2, "conc": "1 mg/L", "at": 3}]}, ["levels"], "not permitted"),
        ({"levels": "2h 0.6mg/L"}, ["levels"], "valid list"),
        ({"levels": ["2h 0.6mg/L"] * 51}, ["levels"], "at most 50"),
        ({"given": ["yesterday"]}, ["given"], "24.5h 22mg"),
        ({"given": ["1h 22mg"]}, ["given"], "time counts from the first dose"),
        ({"given": ["0h 22mg"], "levels": ["30h 0.1mg/L"]}, ["levels"], "not said to be given"),
        ({"target": "mine"}, ["target"], "unknown target"),
        ({"probability": 0.8}, ["target", "auc", "window", "probability"], "give one goal"),
        ({"window": [15]}, ["window"], "at least 2"),
        ({"round_to": "0"}, ["round_to"], "from 0.01"),
        ({"strict": "perhaps"}, ["strict"], "boolean"),
    ],
)
def test_a_fault_of_an_update_names_its_field(
    changes: dict[str, Any], fields: list[str], said: str
) -> None:
    found = problem(post("update", {**ONE, **changes}), 422)
    assert [name for fault in found["faults"] for name in fault["fields"]] == fields
    assert said in found["detail"]


def test_every_fault_of_an_update_is_told() -> None:
    levels = ["2h 0.62", {"time": "x", "conc": "y"}]
    found = problem(post("update", {**GIRL, "age": "old", "levels": levels, "target": "x"}), 422)
    named = [name for fault in found["faults"] for name in fault["fields"]]
    assert named == ["age", "levels", "levels", "levels", "target"]


def test_a_fault_names_the_fields_of_the_request() -> None:
    fault = Fault("cells_at_h", "= -1", do="hours from the first dose, above zero")
    assert shown(fault).fields == ["cells_at"]
    assert shown(fault).message == "cells_at = -1: hours from the first dose, above zero"
    assert shown(Fault("conc_mg_l", "is missing", inside=("levels", 2))).fields == ["levels"]
    assert shown(Fault("", "no value")).fields == []


def test_outside_the_studied_range_only_if_strict() -> None:
    asked = {**MAN, "age": 85, "model": "langenhorst2019"}
    assert post("check", asked).status_code == 200
    found = problem(post("check", {**asked, "strict": True}), 422)
    assert (found["type"], found["exit_status"]) == ("/docs#outside-studied-range", 5)


def test_a_path_that_is_not_there() -> None:
    assert problem(ask("GET", "/nothing"), 404)["detail"] == "Not Found"
    problem(ask("GET", f"{PREFIX}/check"), 405)
    problem(ask("GET", f"{PREFIX}/models/none"), 422)
    assert ask("GET", "/static/..%2fapp.py").status_code == 404
    assert ask("GET", "/static/nothing").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 20_000, 400),
        (b"null", 422),
        (b'{"age": NaN}', 422),
        (b'{"age": 1e999}', 422),
        (b'{"age": ' + b"9" * 5000 + b"}", 400),
        (b'{"age": ' + b"9" * 400 + b"}", 422),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    problem(ask("POST", f"{PREFIX}/check", content=body, headers=headers), status)


ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    path=st.sampled_from(["check", "dose", "compare", "update", "nomogram"]),
    changes=st.dictionaries(
        st.sampled_from([field.name for field in FIELDS.values()]), ANYTHING, max_size=3
    ),
)
@example(path="nomogram", changes={"weights": [1e-9, 1e9, 1e-9]})
@example(path="update", changes={"levels": ["999999999h 0.6mg/L"]})
@example(path="update", changes={"levels": ["2h 9999999mg/L", "2h 0.00000001ng/mL"]})
@example(path="update", changes={"levels": [{"time": 1e9, "conc": "<1e-9 mg/L"}]})
@example(path="update", changes={"given": ["0h 99999999mg"], "window": [0, 1e9]})
@example(path="update", changes={"levels": ["2h <999999mg/L"] * 50, "round_to": "0.01"})
@example(path="dose", changes={"auc": 1e9, "round_to": "1e-9"})
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_is_answered_or_refused(path: str, changes: dict[str, Any]) -> None:
    known = {
        "check": GIRL,
        "dose": {**GIRL, "auc": 15},
        "compare": EXAMPLES["CompareAsked"][0],
        "update": {**ONE, "auc": 15},
        "nomogram": EXAMPLES["NomogramAsked"][0],
    }[path]
    response = ask(
        "POST",
        f"{PREFIX}/{path}",
        content=json.dumps({**known, **changes}).encode("utf-8", "surrogatepass"),
        headers={"content-type": "application/json"},
    )
    if response.status_code != 200:
        found = problem(response, response.status_code)
        assert response.status_code in (400, 422), changes
        assert found["faults"]


@given(
    fields=st.dictionaries(
        st.sampled_from([*LEVELS, "below_1", "given", "dose", "days", "auc", "map"]),
        st.text(max_size=40),
    )
)
@settings(max_examples=40, deadline=None)
def test_whatever_a_form_holds_is_answered(fields: dict[str, str]) -> None:
    for path in ("/", "/dose", "/compare", "/levels", "/list"):
        data = {k: v.encode("utf-8", "replace").decode() for k, v in fields.items()}
        response = ask("POST", path, data={**LEVELS, **data}, headers={"x-part": "answer"})
        assert response.status_code == 200, response.text


# --- The pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [tab.path for tab in TABS])
def test_a_page_needs_nothing_but_us_and_holds_no_script(path: str) -> None:
    response = ask("GET", path)
    assert response.status_code == 200
    page = Page(response.text)
    for attributes in page.of("script"):
        assert (attributes.get("src") or "").startswith("/static/")
    assert page.of("style") == []
    assert all("style" not in attributes for _, attributes in page.tags)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    needed = [a.get("href") or a.get("src") or "" for a in page.of("link", "script", "img")]
    assert all(url.removeprefix("/static/") in STATIC for url in needed)
    assert len(page.of("main")) == 1
    assert {"lang": "en"} in page.of("html")
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(names)) == len(names)
    (here,) = [a for a in page.of("a") if a.get("aria-current") == "page"]
    assert here["href"] == path


@pytest.mark.parametrize("path", ["/", "/dose", "/compare", "/levels", "/list"])
def test_every_field_has_a_label(path: str) -> None:
    page = Page(ask("GET", path).text)
    labelled = {a.get("for") for a in page.of("label")}
    for field in page.of("input", "select", "textarea"):
        assert field["id"] in labelled or field.get("aria-label"), field
    described = {a.get("aria-describedby") for a in page.of("input", "select", "textarea")} - {None}
    assert described <= {a.get("id") for a in page.of("p")}


def test_a_creatinine_has_no_unit_until_one_is_chosen() -> None:
    page = ask("GET", "/").text
    unit = re.search(r'<select name="renal_unit".*?</select>', page, re.S)
    assert unit is not None
    assert "selected" not in unit.group()
    assert unit.group().index('value=""') < unit.group().index("mg/dL")
    answer = ask("POST", "/", data={**FORM, "renal_unit": ""}).text
    assert "Still needed unit of the kidney function" in Page(answer).text
    fields = {a["id"]: a for a in Page(answer).of("input")}
    assert fields["renal"].get("aria-invalid") is None
    assert fields["renal"]["value"] == "0.3"


def test_without_script_the_form_comes_back_with_its_answer() -> None:
    page = Page(ask("POST", "/", data=FORM).text)
    assert "13.58" in page.text
    assert "48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short" in page.text
    assert next(a for a in page.of("input") if a["id"] == "weight")["value"] == "18.2"
    chosen = [a["value"] for a in page.of("option") if "selected" in a]
    assert {"female", "mg/dL", "tisa_cel_ball"} <= set(chosen)


def test_the_script_gets_the_answer_alone() -> None:
    response = ask("POST", "/", data=FORM, headers={"x-part": "answer"})
    page = Page(response.text)
    assert page.of("html", "form", "script") == []
    (sheet,) = [a for a in page.of("div") if "data-said" in a]
    assert (sheet["data-said"] or "").startswith(
        "48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short. "
        "AUC0-inf 13.58 mg·h/L (below 13.8), 90 % interval"
    )
    assert "Prepared by" in page.text


def test_units_beside_a_number_go_with_it() -> None:
    assert typed({**FORM, "weight": "40", "weight_unit": "lb"})["weight"] == "40 lb"
    assert typed({**FORM, "weight": "40", "weight_unit": "kg"})["weight"] == "40"
    for unit, name in (
        ("umol/L", "scr"),
        ("mL/min", "crcl"),
        ("mL/min/1.73 m2", "egfr"),
        ("", "scr"),
    ):
        assert typed({"renal": "60", "renal_unit": unit}) == {name: f"60 {unit}".strip()}
    pounds = {
        **FORM,
        "weight": "40.124",
        "weight_unit": "lb",
        "renal": "26.52",
        "renal_unit": "umol/L",
    }
    assert "13.58" in Page(ask("POST", "/", data=pounds).text).text


def test_a_dose_on_the_page() -> None:
    page = Page(ask("POST", "/dose", data={**FORM, "auc": "15"}).text)
    assert "Per dose 25 mg fludarabine phosphate" in page.text
    page = Page(ask("POST", "/dose", data={**FORM, "window_low": "18"}).text)
    assert "window needs both" in page.text
    page = Page(ask("POST", "/dose", data={**FORM, "auc": "much"}).text)
    assert "AUC = 'much' is not a number" in page.text


def invalid(page: Page) -> list[str | None]:
    """Fields a page marks as refused."""
    return [a["id"] for a in page.of("input", "select", "textarea") if a.get("aria-invalid")]


def test_levels_on_the_page() -> None:
    known = command("update", *options({**GIRL, "levels": EXAMPLES["UpdateAsked"][0]["levels"]}))
    page = Page(ask("POST", "/levels", data=LEVELS).text)
    assert f"{known['posterior']['auc_0_inf']:.2f} mg·h/L" in page.text
    assert f"From covariates alone {known['prior']['exposure']['auc_0_inf']:.2f}" in page.text
    assert invalid(page) == []
    kept = {a["id"]: a.get("value") for a in page.of("input")}
    assert (kept["time_3"], kept["conc_3"]) == ("7", "200")
    goal = {
        **LEVELS,
        "target": "scordo2023",
        "below_3": "1",
        "given": "0h 22mg\r\n\r\n24h 20mg 45min",
    }
    page = Page(ask("POST", "/levels", data=goal).text)
    assert "Remaining 2 of 4 doses" in page.text
    assert "< 0.2" in page.text
    assert "checked" in next(a for a in page.of("input") if a["id"] == "below_3")
    assert "24h 20mg 45min" in page.text


@pytest.mark.parametrize(
    ("changes", "fields", "said"),
    [
        ({"conc_unit": "mg/L"}, ["conc_1", "conc_2", "conc_3"], "is it ng/mL?"),
        ({"conc_2": "600000"}, ["conc_2"], "is it ng/mL?"),
        ({"time_2": "2.0 pm"}, ["time_2"], "unknown unit"),
        ({"conc_2": "0"}, ["conc_2"], "must be finite and above 0"),
        ({"conc_2": "6" * 300}, ["conc_2"], "at most 200 characters"),
        ({"time_2": "30", "given": "0h 22mg"}, ["conc_2"], "not said to be given"),
        ({"given": "today"}, ["given"], "24.5h 22mg"),
        ({"time_1": "", "conc_1": "", "conc_2": "x"}, ["conc_2"], "is not a number"),
    ],
)
def test_a_level_that_is_refused_is_marked(
    changes: dict[str, str], fields: list[str], said: str
) -> None:
    page = Page(ask("POST", "/levels", data={**LEVELS, **changes}).text)
    assert said in page.text
    assert "AUC0-inf" not in page.words
    assert invalid(page) == list(dict.fromkeys(fields))
    links = {a["data-to"] for a in page.of("a") if "data-to" in a}
    assert links == set(fields)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"conc_unit": ""}, ["conc_unit"]),
        ({"conc_2": ""}, ["conc_2"]),
        (
            {f"{name}_{k}": "" for name in ("time", "conc") for k in (1, 2, 3)},
            ["time_1", "conc_1"],
        ),
    ],
)
def test_what_is_still_empty_is_asked_for_and_not_refused(
    changes: dict[str, str], fields: list[str]
) -> None:
    page = Page(ask("POST", "/levels", data={**LEVELS, **changes}).text)
    assert "Still needed" in page.text
    assert "refused" not in page.text
    assert invalid(page) == []
    assert [a["data-to"] for a in page.of("a") if "data-to" in a] == fields


def test_a_level_has_no_unit_until_one_is_chosen() -> None:
    unit = re.search(r'<select name="conc_unit".*?</select>', ask("GET", "/levels").text, re.S)
    assert unit is not None
    assert [a["value"] for a in Page(unit.group()).of("option") if "selected" in a] == [""]


def test_a_patient_is_carried_to_the_other_page() -> None:
    for path in ("/dose", "/levels"):
        page = Page(ask("POST", path, data={**FORM, "carry": "1"}).text)
        assert next(a for a in page.of("input") if a["id"] == "weight")["value"] == "18.2"
        assert "refused" not in page.text.lower()


def test_refused_rows_stand_in_their_place() -> None:
    text = uploaded(LIST, "/list").text
    counts = "1 likeliest below their target, 1 likeliest to reach it, 1 refused"
    assert counts in Page(text).text
    assert text.index(">2</a></th>") < text.index(">3</a></th>")
    assert text.index(">3</a></th>") < text.index("<strong>Refused:</strong>")
    assert text.index("<strong>Refused:</strong>") < text.index(">4</a></th>")
    assert "<b>b</b>" not in text


def test_results_are_downloaded() -> None:
    response = uploaded(LIST, DOWNLOAD)
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.text == uploaded(LIST, format="csv").text
    assert "file is missing" in Page(ask("POST", "/list", data={"map": ""}).text).text
    assert "must name the columns" in Page(uploaded("", DOWNLOAD).text).text
    assert "list.csv" not in uploaded("PK\x03\x04", "/list").text


def test_too_many_rows_are_refused() -> None:
    small = create_app(limits=Limits(list_rows=2))
    files = {"file": ("list.csv", LIST.encode())}
    found = problem(ask("POST", BATCH, small, files=files), 422)
    assert "more than 2 rows" in found["detail"]


def test_models_are_shown_with_their_numbers_re_computed() -> None:
    page = Page(ask("GET", "/models").text)
    assert "MISS" not in page.words
    assert "10.1007/s40262-018-0715-9" in page.text
    assert "open question" in page.text


@pytest.mark.parametrize(
    "name", [*LEVELS, "given", "dose", "days", "product", "round_to", "cells_at"]
)
def test_script_in_a_field_stays_text(name: str) -> None:
    for path in ("/", "/dose", "/levels"):
        text = ask("POST", path, data={**LEVELS, "auc": "15", name: SCRIPT}).text
        assert "<script>alert" not in text
        assert "<img" not in text


def test_script_in_a_list_stays_text() -> None:
    text = uploaded(
        LIST.replace("a,f", f'"{SCRIPT.replace(chr(34), chr(34) * 2)}",f'), "/list"
    ).text
    assert "<script>alert" not in text
    assert "<img" not in text


# --- Who may ask ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/static/app.js", "/healthz", f"{PREFIX}/models", "/nothing"]
)
def test_every_answer_has_our_headers(path: str) -> None:
    response = ask("GET", path)
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    assert "set-cookie" not in response.headers
    assert "server" not in response.headers


def test_no_script_but_ours() -> None:
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8765", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8765", 421),
        ("192.168.0.7:8765", 421),
        ("", 421),
        ("evil.example:127.0.0.1", 421),
    ],
)
def test_a_rebound_name_is_not_answered(host: str, status: int) -> None:
    response = ask("GET", "/healthz", headers={"host": host})
    assert response.status_code == status
    assert (response.headers["content-type"] == "application/json") == (status == 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HOME}, 200),
        ({"origin": HOME, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": HOME, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example", "sec-fetch-site": "same-origin"}, 403),
    ],
)
def test_other_sites_cannot_post(headers: dict[str, str], status: int) -> None:
    assert post("check", GIRL, headers=headers).status_code == status
    assert ask("POST", "/", data=FORM, headers=headers).status_code == status


def test_who_comes_from_afar_needs_the_token() -> None:
    with pytest.raises(InputError, match="give --token"):
        create_app(host="0.0.0.0")
    far = {"host": "192.168.0.7:8765"}
    right = {**far, "authorization": "Bearer open sesame, please"}
    found = ask("POST", f"{PREFIX}/check", WITH_TOKEN, json=GIRL, headers=far)
    problem(found, 401)
    assert found.headers["www-authenticate"] == "Bearer"
    wrong = {**far, "authorization": "Bearer open"}
    problem(ask("POST", f"{PREFIX}/check", WITH_TOKEN, json=GIRL, headers=wrong), 401)
    assert ask("POST", f"{PREFIX}/check", WITH_TOKEN, json=GIRL, headers=right).status_code == 200
    problem(ask("POST", f"{PREFIX}/update", WITH_TOKEN, json=ONE, headers=far), 401)
    for path in (f"{PREFIX}/models", f"{PREFIX}/regimens"):
        problem(ask("GET", path, WITH_TOKEN, headers=far), 401)
    assert ask("GET", "/healthz", WITH_TOKEN, headers=far).status_code == 200
    assert ask("GET", "/healthz", WITH_TOKEN, headers={"host": "evil.example"}).status_code == 421


def test_a_page_asks_for_the_token_and_keeps_it_nowhere_else() -> None:
    page = ask("GET", "/", WITH_TOKEN)
    assert any(a.get("type") == "password" for a in Page(page.text).of("input"))
    for path in ("/", "/dose", "/compare", "/levels"):
        refused = ask("POST", path, WITH_TOKEN, data={**LEVELS, "auc": "15"}).text
        assert "token is wrong or missing" in refused
    wrong = ask("POST", "/", WITH_TOKEN, data={**FORM, "token": "guess"}).text
    assert "13.58" not in wrong
    assert "guess" not in wrong
    right = ask("POST", "/", WITH_TOKEN, data={**FORM, "token": "open sesame, please"})
    assert "13.58" in right.text
    assert "set-cookie" not in right.headers
    assert "varela2025" not in ask("GET", "/models", WITH_TOKEN).text
    shown = ask("POST", "/models", WITH_TOKEN, data={"token": "open sesame, please"}).text
    assert "varela2025" in shown
    files = {"file": ("list.csv", LIST.encode())}
    assert "token is wrong" in ask("POST", "/list", WITH_TOKEN, files=files).text
    assert "token is wrong" in ask("POST", DOWNLOAD, WITH_TOKEN, files=files).text


# --- How much and how long --------------------------------------------------------------------


def test_a_large_body_is_refused() -> None:
    for size in (64 * 1024 + 1, 1_000_000):
        found = ask("POST", f"{PREFIX}/check", content=b" " * size)
        assert "larger than 64 KiB" in problem(found, 413)["detail"]
    assert uploaded(b"x" * (10 * 1024 * 1024)).status_code == 413
    assert uploaded("a,b\n" + "1,2\n" * 30_000).status_code == 422


def test_a_request_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> list[object]:
        time.sleep(0.4)
        return []

    monkeypatch.setattr(computed, "checks", slow)
    short = create_app(limits=Limits(seconds=0.1))
    found = ask("POST", f"{PREFIX}/check", short, json=GIRL)
    assert "no answer within 0.1 s" in problem(found, 503)["detail"]
    never = create_app(limits=Limits(seconds=0.1))

    async def silence() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.4)
        yield b"}"

    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in silence():
                yield part

    found = ask("POST", f"{PREFIX}/check", never, content=Slow())
    assert "did not arrive within 0.1 s" in problem(found, 408)["detail"]


def test_an_error_of_ours_says_nothing_of_the_patient(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("the girl of 18.2 kg")

    monkeypatch.setattr(computed, "checks", broken)
    found = problem(post("check", GIRL), 500)
    assert found["exit_status"] == 1
    said = capfd.readouterr().err
    assert "fludapk: ValueError at" in said
    assert "18.2" not in f"{said}{found}"


# --- OpenAPI ----------------------------------------------------------------------------------


def test_the_document_describes_what_is_there() -> None:
    api = ask("GET", "/openapi.json").json()
    assert api["openapi"].startswith("3.1")
    wanted = (
        "check",
        "dose",
        "update",
        "design",
        "compare",
        "nomogram",
        "batch",
        "models",
        "regimens",
        "targets",
    )
    assert {f"{PREFIX}/{name}" for name in wanted} <= set(api["paths"])
    text = json.dumps(api)
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in api["components"]["schemas"]
    names = [o["operationId"] for path in api["paths"].values() for o in path.values()]
    assert len(set(names)) == len(names)
    answer = api["components"]["schemas"]["CheckResult"]["properties"]
    assert set(answer) == set(post("check", GIRL).json())


def test_worked_examples_work() -> None:
    paths = {name: name.removesuffix("Asked").lower() for name in EXAMPLES}
    schemas = ask("GET", "/openapi.json").json()["components"]["schemas"]
    for name, path in paths.items():
        for asked in schemas[name]["examples"]:
            assert post(path, asked).status_code == 200


def test_problems_are_explained_where_they_point() -> None:
    page = Page(ask("GET", "/docs").text)
    where = {a.get("id") for a in page.of("dt")}
    kind = post("check", {}).json()["type"]
    assert kind.removeprefix("/docs#") in where
    assert "curl http://127.0.0.1:8765/api/v1/check" in page.text


# --- The server -------------------------------------------------------------------------------


def test_who_and_how() -> None:
    assert ask("GET", "/healthz").json() == {"status": "ok"}
    assert ask("GET", "/version").json() == {"name": "fludapk", "version": __version__}


def test_the_command_says_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fludapk.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 3
    assert "pip install 'fludapk[web]'" in result.stderr


def test_the_command_refuses_to_be_open_without_a_token() -> None:
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--no-browser"])
    assert (result.exit_code, "--token" in result.stderr) == (3, True)


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    with running_server() as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "listening on" in line)
        address = line.split()[3]
        with urlopen(f"{address}healthz", timeout=10) as answer:
            assert json.load(answer) == {"status": "ok"}
        busy = address.rstrip("/").rpartition(":")[2]
        refused = CliRunner().invoke(main, ["serve", "--port", busy, "--no-browser"])
        assert (refused.exit_code, "cannot listen" in refused.stderr) == (3, True)
        with socket.create_connection(("127.0.0.1", int(busy))):
            server.terminate()
            begun = time.monotonic()
            rest = server.stderr.read()
            assert server.wait(timeout=40) in (0, -15)
        assert time.monotonic() - begun < 35
        assert rest == ""


def test_a_running_request_is_finished_before_the_server_stops() -> None:
    rows = 300
    text = "age,wt,ht,scr_mg_dl\n" + "5,18.2,110,0.3\n" * rows
    request = httpx.Request(
        "POST",
        f"{HOME}{BATCH}",
        files={"file": ("list.csv", text.encode(), "text/csv")},
        data={"regimen": "tisa_cel_ball", "points": "13"},
    )
    with running_server() as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "listening on" in line)
        port = int(line.split()[3].rstrip("/").rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", BATCH, request.read(), dict(request.headers))
        assert select.select([connection.sock], [], [], 0.3)[0] == []  # still at it
        server.terminate()
        answer = connection.getresponse()
        lines = answer.read().decode().splitlines()
        connection.close()
        assert (answer.status, len(lines)) == (200, rows)
        assert {json.loads(line)["error"] for line in lines} == {None}
        assert server.wait(timeout=40) in (0, -15)
        assert server.stderr.read() == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
