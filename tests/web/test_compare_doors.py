"""A comparison is the same at every door: Python, command line, API and page."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from asking import Page, ask
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import fludapk
from fludapk.cli import main
from fludapk.patients.fields import COMMON, FIELDS
from fludapk.web.api import PREFIX
from fludapk.web.asked import CompareAsked

MAN: Final = {
    "age": "61", "sex": "male", "weight": "82", "height": "176", "scr": "1.2 mg/dL",
}  # fmt: skip
PLANS: Final = ("axi_cel", "axi_cel 24 mg/m2", "axi_cel auc 19", "axi_cel rule us_iv")
SCRIPT: Final = '"><script>alert(1)</script>'


def command_line(plans: tuple[str, ...], *more: str, code: int = 0, **changes: Any) -> str:
    words = ["compare", *(f"--plan={plan}" for plan in plans)]
    for name, value in {**MAN, **changes}.items():
        words += [f"--{name.replace('_', '-')}", value]
    result = CliRunner().invoke(main, [*words, *more])
    assert result.exit_code == code, result.output
    return str(result.stdout if code == 0 else result.stderr)


def form(plans: tuple[str, ...], **changes: str) -> dict[str, str]:
    fields = {**MAN, **changes}
    renal, unit = fields.pop("scr").split()
    rows = {f"plan_{k}": plan for k, plan in enumerate(plans, start=1)}
    return {**fields, "renal": renal, "renal_unit": unit, **rows}


def served(plans: tuple[str, ...], **changes: Any) -> Any:
    return ask("POST", f"{PREFIX}/compare", json={**MAN, "plans": list(plans), **changes})


@pytest.mark.parametrize(
    ("plans", "changes"),
    [
        (PLANS, {}),
        (("axi_cel", "axi_cel 45 mg/m2 x 7", "axi_cel chance 0.8"), {}),
        (("axi_cel", "axi_cel auc 19"), {"scr": "450 umol/L"}),
        (("24 mg/m2 x 3", "axi_cel window 18 20"), {"bsa_cap": "1.8", "interval": "24 h"}),
    ],
    ids=["the four of the help", "a ceiling", "a contraindication", "a cap"],
)
def test_every_door_gives_the_same_comparison(
    plans: tuple[str, ...], changes: dict[str, Any]
) -> None:
    terminal = json.loads(command_line(plans, "--json", **changes))
    assert served(plans, **changes).json() == terminal
    assert terminal["schema"] == "fludapk.compare/1"
    common = {name: changes[name] for name in changes if name != "scr"}
    typed: dict[str, Any] = {**MAN, **{k: v for k, v in changes.items() if k not in common}}
    library = fludapk.compare(fludapk.Patient(**typed), list(plans), common=common)
    assert json.loads(library.to_json()) == terminal
    head, text = terminal["headline"], " ".join(command_line(plans, **changes).split())
    page = Page(ask("POST", "/compare", data=form(plans, **changes)).text).text
    for said in (text, page):
        assert _typeset(head["sentence"]) in said
        for reason in head["stops"]:
            assert _typeset(reason) in said.replace("STOP: ", "")
    for plan in terminal["plans"]:
        if plan["headline"] is None:
            assert plan["regimen"] is None
            continue
        auc, dose = plan["headline"]["auc_0_inf"], plan["regimen"]["doses_mg"][0]
        for said in (text, page):
            assert f"{auc:.2f}" in said
            assert f"{dose:.2f}".rstrip("0").rstrip(".") + " mg" in said


def _typeset(text: str) -> str:
    return " ".join(re.sub(r"\bm2\b", "m²", text).split())


def test_what_holds_for_every_plan_is_asked_at_every_door() -> None:
    names = {FIELDS[key].name for key in COMMON}
    assert names <= set(CompareAsked.model_fields)
    assert not {"regimen", "dose", "days"} & set(CompareAsked.model_fields)
    assert {FIELDS[key].option for key in COMMON} <= {
        option for parameter in main.commands["compare"].params for option in parameter.opts
    }
    fields = {a.get("name") for a in Page(ask("GET", "/compare").text).of("input", "select")}
    assert names <= fields


def test_a_refused_plan_is_named_at_every_door() -> None:
    plans = ("axi_cel", "axi_cel foo")
    said = "plan 2 'axi_cel foo': 'foo' is not understood; allowed: a dose"
    assert f"fludapk: {said}" in command_line(plans, code=3)
    (fault,) = served(plans).json()["faults"]
    assert fault["fields"] == ["plans"]
    assert fault["message"].startswith(said)
    answer = ask("POST", "/compare", data=form(plans), headers={"x-part": "answer"}).text
    assert said.replace("'", "&#39;") in answer
    assert 'data-invalid="plan_2"' in answer


def test_a_fault_goes_to_the_row_that_holds_the_plan() -> None:
    fields = {**form(("axi_cel",)), "plan_4": "axi_cel foo"}
    answer = ask("POST", "/compare", data=fields, headers={"x-part": "answer"}).text
    assert 'data-invalid="plan_4"' in answer
    one = ask("POST", "/compare", data=form(("axi_cel",)), headers={"x-part": "answer"}).text
    assert "Still needed: plan 2" in one
    assert "refused" not in one


def test_a_slip_of_the_patient_is_asked_about_and_confirmed_at_every_door() -> None:
    plans = PLANS[:2]
    assert "--confirm weight" in command_line(plans, code=3, weight="160")
    assert json.loads(command_line(plans, "--json", "--confirm=weight", weight="160"))
    assert served(plans, weight="160").json()["faults"][0]["confirm"] == "weight"
    assert served(plans, weight="160", confirm=["weight"]).status_code == 200
    refused = ask("POST", "/compare", data=form(plans, weight="160")).text
    (box,) = re.findall(r'name="confirm_weight" value="([^"]*)"', refused)
    again = {**form(plans, weight="160"), "confirm_weight": box}
    assert "Plans side by side" in ask("POST", "/compare", data=again).text


def test_a_patient_and_a_course_are_carried_from_the_check() -> None:
    check = ask("GET", "/").text
    assert 'formaction="/compare" name="carry"' in check
    course = {"regimen": "axi_cel", "dose": "24", "dose_unit": "mg/m2", "days": "4", "carry": "1"}
    page = ask("POST", "/compare", data={**form(()), **course}).text
    assert re.search(r'id="plan_1"[^>]*value="axi_cel 24 mg/m2 4 days"', page)
    assert re.search(r'id="weight"[^>]*value="82"', page)
    assert "Plans side by side" not in page


def test_the_page_works_without_script_and_keeps_what_was_typed() -> None:
    page = ask("POST", "/compare", data=form(PLANS)).text
    for k, plan in enumerate(PLANS, start=1):
        assert re.search(rf'id="plan_{k}"[^>]*value="{plan}"', page)
    assert page.count("<svg") == 1


@pytest.mark.parametrize("name", ["plan_1", "plan_3", "weight", "interval"])
def test_script_in_a_field_stays_text(name: str) -> None:
    text = ask("POST", "/compare", data={**form(PLANS), name: SCRIPT}).text
    assert "<script>alert" not in text


@given(
    fields=st.dictionaries(
        st.sampled_from(["plan_1", "plan_2", "plan_4", "weight", "interval", "cells_at", "model"]),
        st.text(max_size=40),
    )
)
@settings(max_examples=30, deadline=None)
def test_whatever_the_form_holds_is_answered(fields: dict[str, str]) -> None:
    data = {k: v.encode("utf-8", "replace").decode() for k, v in fields.items()}
    response = ask("POST", "/compare", data={**form(PLANS), **data}, headers={"x-part": "answer"})
    assert response.status_code == 200, response.text


def test_the_short_form_has_a_line_for_each_plan() -> None:
    text = command_line(PLANS, "--brief")
    lines = [line for line in text.splitlines() if re.match(r"\d\. ", line)]
    assert [line.split(":")[0] for line in lines] == [
        f"{k}. {_typeset(plan)}" for k, plan in enumerate(PLANS, start=1)
    ]
    answer, _, _ = text.partition("  ! caution")
    assert len(answer.splitlines()) < 16


def test_a_report_is_one_file_with_nothing_from_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "plans.html"
    command_line(PLANS, f"--report={file}")
    page = Page(file.read_text("utf-8"))
    assert not page.of("script", "link", "img")
    for said in (
        "Patient label", "| calculated 20", "Creatinine 1.2 mg/dL", "eGFR 65 mL",
        "body surface area 2.002 m²", "Plan 4 rule 0.8 of the full dose",
        "mosteller: √(176 cm × 82 kg / 3600)",
    ):  # fmt: skip
        assert said in page.text


def test_strict_is_exit_code_five() -> None:
    said = command_line(PLANS, "--strict", code=5, scr="450 umol/L")
    assert "outside the studied range" in said
