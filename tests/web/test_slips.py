"""A slip by the API and on the page: refused with a way to say that it is meant."""

from typing import Any, Final

import pytest
from asking import Page, ask

FORM: Final = {
    "age": "5", "age_unit": "years", "sex": "female", "weight": "18.2", "weight_unit": "kg",
    "height": "110", "height_unit": "cm", "renal": "0.3", "renal_unit": "mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
GIRL: Final = {"age": 5, "sex": "female", "weight": 18.2, "height": 110, "scr": "0.3 mg/dL",
               "regimen": "tisa_cel_ball"}  # fmt: skip
MAN: Final = {"age": 61, "sex": "male", "weight": 82, "height": 176, "regimen": "axi_cel"}
SLIPS: Final = (
    ("age", {**GIRL, "age": 60}, "60 months would be 5 y"),
    ("weight", {**MAN, "weight": 160, "crcl": 90}, "160 lb would be 72.57 kg"),
    ("weight", {**GIRL, "weight": 81.2}, "with digits transposed it would be 18.2 kg"),
    ("height", {**GIRL, "height": 43}, "43 in would be 109.2 cm"),
    ("height", {**GIRL, "height": "135 cm"}, "a body mass index of 9.99 kg/m2"),
    ("scr", {**GIRL, "scr": "22 mg/dL"}, "22 umol/L would be 0.2489 mg/dL"),
    ("crcl", {**MAN, "crcl": 5.7}, "5.7 L/h would be 95 mL/min"),
    ("egfr", {**MAN, "egfr": 1.6}, "1.6 mL/s would be 96 mL/min/1.73 m2"),
)
HEAVY: Final = {**FORM, "age": "61", "sex": "male", "weight": "160", "height": "176",
                "renal": "0.9", "regimen": "axi_cel"}  # fmt: skip
PATHS: Final = {
    "/": HEAVY,
    "/dose": {**HEAVY, "auc": "15"},
    "/levels": {**HEAVY, "time_1": "2", "time_unit": "h", "conc_1": "600", "conc_unit": "ng/mL"},
}


def post(path: str, asked: dict[str, Any]) -> Any:
    return ask("POST", f"/api/v1/{path}", json=asked)


def faults(path: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Faults of a request that is refused."""
    response = post(path, asked)
    assert response.status_code == 422, response.text
    found: list[dict[str, Any]] = response.json()["faults"]
    return found


def invalid(page: Page) -> list[str | None]:
    """Fields a page marks as refused."""
    return [a["id"] for a in page.of("input", "select") if a.get("aria-invalid")]


# --- The API --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "asked", "likely"), SLIPS)
def test_a_slip_is_a_problem_that_says_what_confirms_it(
    name: str, asked: dict[str, Any], likely: str
) -> None:
    (fault,) = faults("check", asked)
    assert (fault["fields"], fault["confirm"]) == ([name], name)
    assert likely in fault["message"]
    assert fault["message"].endswith(f"is meant, confirm {name}")
    answer = post("check", {**asked, "confirm": [fault["confirm"]]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["patient"]["confirmed"] == [name]


def test_a_fault_that_nobody_can_confirm_says_so() -> None:
    (fault,) = faults("check", {**GIRL, "height": 1.1})
    assert fault["confirm"] is None


@pytest.mark.parametrize("path", ["dose", "update", "design"])
def test_every_question_about_a_patient_can_be_confirmed(path: str) -> None:
    others: dict[str, dict[str, Any]] = {
        "dose": {"auc": 15},
        "update": {"levels": ["2h 0.6mg/L"]},
    }
    more = others.get(path, {})
    asked = {**MAN, "weight": 160, "scr": "0.9 mg/dL", **more}
    (fault,) = faults(path, asked)
    assert fault["confirm"] == "weight"
    assert post(path, {**asked, "confirm": ["weight"]}).status_code == 200


def test_an_unknown_confirmation_is_a_problem() -> None:
    (fault,) = faults("check", {**GIRL, "confirm": ["wieght"]})
    assert fault["fields"] == ["confirm"]
    assert "did you mean 'weight'?" in fault["message"]
    faults("check", {**GIRL, "confirm": "weight"})  # a list is documented


def test_the_cap_is_a_field_of_a_course() -> None:
    asked = {**MAN, "weight": 125, "scr": "0.9 mg/dL", "bsa_cap": 2.0}
    assert post("check", asked).json()["regimen"]["doses_mg"] == pytest.approx([60.0] * 3)
    (fault,) = faults("check", {**asked, "bsa_cap": 200})
    assert fault["fields"] == ["bsa_cap"]


# --- The page -------------------------------------------------------------------------------------


def boxes(page: Page) -> dict[str, dict[str, str | None]]:
    """Boxes that belong to the form and confirm a value, by their names."""
    return {
        f"{box['name']}": box
        for box in page.of("input")
        if (box.get("name") or "").startswith("confirm_")
    }


def page_of(path: str, form: dict[str, str], **headers: str) -> Page:
    return Page(ask("POST", path, data=form, headers=headers).text)


@pytest.mark.parametrize("path", PATHS)
def test_a_box_beside_the_refusal_confirms_the_value(path: str) -> None:
    form = PATHS[path]
    refused = page_of(path, form)
    assert "160 lb would be 72.57 kg" in refused.text
    assert "plausible" not in refused.text
    assert "Yes, 160 kg is meant" in refused.text
    assert invalid(refused) == ["weight"]
    (box,) = boxes(refused).values()
    assert (box["type"], box["form"], "checked" in box) == ("checkbox", "asked", False)
    answer = page_of(path, {**form, f"{box['name']}": f"{box['value']}"})
    assert "Input refused" not in answer.text
    assert "AUC" in answer.text
    (kept,) = boxes(answer).values()
    assert (kept["name"], kept["value"], "checked" in kept) == (box["name"], box["value"], True)


def test_the_part_for_the_script_has_the_box_too() -> None:
    part = page_of("/", HEAVY, **{"X-Part": "answer"})
    assert list(boxes(part)) == ["confirm_weight"]


@pytest.mark.parametrize(
    "changes",
    [{"weight": "161"}, {"weight_unit": "lb", "weight": "480"}, {"age": "5"}, {"height": "160"},
     {"renal": "1.9"}, {"sex": "female"}],
)  # fmt: skip
def test_a_confirmation_ends_when_the_patient_is_typed_otherwise(changes: dict[str, str]) -> None:
    (box,) = boxes(page_of("/", HEAVY)).values()
    page = page_of("/", {**HEAVY, **changes, f"{box['name']}": f"{box['value']}"})
    assert "Input refused" in page.text
    assert all("checked" not in other for other in boxes(page).values())


def test_a_confirmed_patient_is_carried_to_the_other_page() -> None:
    (box,) = boxes(page_of("/", HEAVY)).values()
    confirmed = {**HEAVY, f"{box['name']}": f"{box['value']}"}
    carried = page_of("/dose", {**confirmed, "carry": "1"})
    assert "checked" in boxes(carried)["confirm_weight"]


def test_several_slips_have_a_box_each() -> None:
    form = {**FORM, "weight": "40", "height": "43", "renal": "22"}
    refused = page_of("/", form)
    assert list(boxes(refused)) == ["confirm_weight", "confirm_height", "confirm_scr"]
    one = boxes(refused)["confirm_height"]
    rest = page_of("/", {**form, "confirm_height": f"{one['value']}"})
    assert {name: "checked" in box for name, box in boxes(rest).items()} == {
        "confirm_height": True,
        "confirm_weight": False,
        "confirm_scr": False,
    }


def test_what_was_typed_stays_text_in_a_box() -> None:
    form = {**HEAVY, "sex": "male", "age": '61"><script>alert(1)</script>'}
    assert "script" not in {tag for tag, a in page_of("/", form).tags if not a.get("src")}


def test_the_cap_is_a_field_of_the_form() -> None:
    (box,) = boxes(page_of("/", HEAVY)).values()
    confirmed = {**HEAVY, f"{box['name']}": f"{box['value']}"}
    page = page_of("/", {**confirmed, "bsa_cap": "2"})
    assert "30 mg/m² × 2.0000 m²" in page.text
    assert invalid(page_of("/", {**confirmed, "bsa_cap": "9"})) == ["bsa_cap"]


def test_a_refused_row_of_a_list_says_how_to_confirm() -> None:
    text = "sex,age,wt,ht,scr_mg_dl,regimen\nmale,61,160,176,0.9,axi_cel\n"
    answer = ask("POST", "/list", files={"file": ("list.csv", text.encode())})
    assert 'is meant, write in a column "confirm": weight' in Page(answer.text).text
