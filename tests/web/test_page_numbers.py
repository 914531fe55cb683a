"""Numbers on the pages are those of the API, for patients of all ages."""

import random
from typing import Any, Final

import pytest
from asking import Page, ask

from fludapk.answers.headline import auc_text
from fludapk.pages.words import mg

PATIENTS: Final = 50


def patients() -> list[dict[str, str]]:
    """Children and adults whose size fits their age."""
    dice = random.Random(20222022)
    made = []
    for k in range(PATIENTS):
        age = dice.uniform(2, 17) if k % 2 else dice.uniform(20, 75)
        height = 85 + 6 * age if age < 15 else dice.uniform(160, 185)
        weight = dice.uniform(15, 18) * (height / 100) ** 2 * (1.3 if age >= 20 else 1.0)
        umol = dice.uniform(25, 45) if age < 15 else dice.uniform(55, 95)
        made.append(
            {
                "age": f"{age:.1f}",
                "sex": dice.choice(["female", "male"]),
                "weight": f"{weight:.1f}",
                "height": f"{height:.0f}",
                "scr": f"{umol:.0f} umol/L",
                "regimen": "tisa_cel_ball" if k % 2 else "axi_cel",
            }
        )
    return made


def form_of(patient: dict[str, str]) -> dict[str, str]:
    number, unit = patient["scr"].split(" ")
    rest = {name: text for name, text in patient.items() if name != "scr"}
    return {**rest, "renal": number, "renal_unit": unit}


def interval(low_high: list[float]) -> str:
    return "{:.1f}-{:.1f}".format(*low_high)


def answered(path: str, asked: dict[str, Any], form: dict[str, str]) -> tuple[Any, str]:
    known = ask("POST", f"/api/v1{path}", json=asked)
    assert known.status_code == 200, known.text
    page = Page(ask("POST", form.pop("page"), data=form).text)
    head = known.json()["headline"]
    assert head["sentence"] in page.text
    for stop in head["stops"]:
        assert stop.replace("m2", "m\N{SUPERSCRIPT TWO}") in page.text
    return known.json(), page.text


@pytest.mark.parametrize("patient", patients(), ids=lambda p: f"{p['age']} y")
def test_the_pages_say_what_the_api_says(patient: dict[str, str]) -> None:
    form = form_of(patient)
    known, text = answered("/check", patient, {**form, "page": "/"})
    assert f"{auc_text(known['exposure']['auc_0_inf'])} mg·h/L" in text
    assert interval(known["headline"]["interval"]) in text
    assert f"Per dose {mg(known['regimen']['doses_mg'][0])} mg" in text

    known, text = answered("/dose", {**patient, "auc": 16}, {**form, "auc": "16", "page": "/dose"})
    proposal = known["answer"] or known["would_give"]
    assert f"Per dose {mg(proposal['dose_mg'])} mg" in text
    assert f"Draw up {mg(proposal['volume_ml_per_dose'])} mL" in text

    plans = [patient["regimen"], f"{patient['regimen']} auc 17"]
    asked = {**{k: v for k, v in patient.items() if k != "regimen"}, "plans": plans}
    rows = {f"plan_{k}": plan for k, plan in enumerate(plans, start=1)}
    known, text = answered("/compare", asked, {**form, **rows, "page": "/compare"})
    for plan in known["plans"]:
        if plan["headline"] is not None:
            assert auc_text(plan["headline"]["auc_0_inf"]) in text
            assert interval(plan["headline"]["interval"]) in text

    expected = known["plans"][0]["exposure"]["cmax_mg_l"]
    levels = {"1.0": f"{0.6 * expected:.3g}", "6.0": f"{0.15 * expected:.3g}"}
    asked = {**patient, "levels": [f"{t}h {c}mg/L" for t, c in levels.items()]}
    rows = {f"{part}_{k}": text
            for k, level in enumerate(levels.items(), start=1)
            for part, text in zip(("time", "conc"), level, strict=True)}  # fmt: skip
    known, text = answered(
        "/update", asked, {**form, **rows, "conc_unit": "mg/L", "page": "/levels"}
    )
    assert auc_text(known["posterior"]["auc_0_inf"]) in text
    for row in known["by_models"]:
        assert row["model"] in text
