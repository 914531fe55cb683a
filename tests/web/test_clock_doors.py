"""Clock times at every door: the command line, Python, the API, the page, lists and files."""

import asyncio
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner

import fludapk
from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.web.app import create_app

APP: Final = create_app()
WHO: Final = {
    "age": "5", "sex": "female", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}  # fmt: skip
WORDS: Final = [f"--{name}={value}" for name, value in WHO.items()]
GIRL: Final = Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
PLAN: Final = Regimen.named("tisa_cel_ball")
FIRST: Final = "2026-01-14 08:30"
BY_HOURS: Final = ["1h 0.85mg/L", "2h 0.52mg/L", "23.5h <0.02mg/L"]
BY_CLOCK: Final = [
    "2026-01-14 09:30 0.85mg/L", "14.01.2026 10:30 0.52mg/L", "2026-01-15T08:00 <0.02mg/L",
]  # fmt: skip
GIVEN: Final = ["2026-01-14 08:30 22mg", "2026-01-15 09:00 20mg 45min"]
GIVEN_BY_HOURS: Final = ["0h 22mg", "24.5h 20mg 45min"]
FORM: Final = {
    **{name: value for name, value in WHO.items() if name != "scr"},
    "renal": "0.3", "renal_unit": "mg/dL", "conc_unit": "mg/L", "time_unit": "h",
}  # fmt: skip


def ask(path: str, **more: Any) -> httpx.Response:
    """One post, without a network."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(path, **more)

    return asyncio.run(asked())


def command(*words: str) -> Any:
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*words: str) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 3, result.output
    return result.output


def options(levels: list[str], given: list[str], *more: str) -> list[str]:
    return [
        "update", *WORDS, *(f"--level={text}" for text in levels),
        *(f"--given={text}" for text in given), *more,
    ]  # fmt: skip


# --- The same answer at every door ----------------------------------------------------------------


def test_times_by_the_clock_give_the_answer_of_hours() -> None:
    hours = command(*options(BY_HOURS, GIVEN_BY_HOURS))
    clock = command(*options(BY_CLOCK, GIVEN, f"--first-dose={FIRST}"))
    assert [level["clock"] for level in clock["levels"]] == [
        "2026-01-14 09:30", "14.01.2026 10:30", "2026-01-15T08:00",
    ]  # fmt: skip
    (note,) = [remark for remark in clock["remarks"] if remark["code"] == "clock_times"]
    assert note["severity"] == "note"
    assert note["message"] == (
        "2026-01-14 09:30 is 1 h after the first dose (2026-01-14 08:30), 14.01.2026 10:30 is 2 h, "
        "2026-01-15T08:00 is 23.5 h, 2026-01-15 09:00 is 24.5 h"
    )
    clock["remarks"].remove(note)
    for level in clock["levels"]:
        level["clock"] = None
    assert clock == hours


def test_each_clock_time_stands_beside_its_own_hours_in_whatever_order_it_was_typed() -> None:
    mixed = [BY_CLOCK[2], BY_HOURS[1], BY_CLOCK[0]]
    found = command(*options(mixed, [], f"--first-dose={FIRST}"))["levels"]
    assert [(level["time_h"], level["clock"]) for level in found] == [
        (1.0, "2026-01-14 09:30"), (2.0, None), (23.5, "2026-01-15T08:00"),
    ]  # fmt: skip


def test_python_takes_texts_and_dates() -> None:
    expected = command(*options(BY_CLOCK, GIVEN, f"--first-dose={FIRST}"))
    typed = update(GIRL, PLAN, BY_CLOCK, given=GIVEN, first_dose=FIRST)
    assert json.loads(typed.to_json()) == expected
    start = dt.datetime(2026, 1, 14, 8, 30)
    later = [start + dt.timedelta(hours=h) for h in (1.0, 2.0, 23.5, 24.5)]
    pairs = list(zip(later, ["0.85mg/L", "0.52mg/L", "<0.02mg/L"], strict=False))
    doses = [(start, 0.5, 22.0), (pd.Timestamp(later[3]), 0.75, 20.0)]
    dated = fludapk.update(GIRL, PLAN, pairs, given=doses, first_dose=start)
    assert dated.posterior == typed.posterior
    assert [level.clock for level in dated.levels] == [f"{at:%Y-%m-%d %H:%M}" for at in later[:3]]
    berlin = fludapk.update(
        GIRL, PLAN, BY_CLOCK, given=GIVEN, first_dose=FIRST, time_zone="Europe/Berlin"
    )
    assert berlin.posterior == typed.posterior


def test_the_api_takes_texts_and_fields() -> None:
    expected = command(*options(BY_CLOCK, GIVEN, f"--first-dose={FIRST}"))
    fields = [
        {"time": "2026-01-14 09:30", "conc": "0.85 mg/L"},
        {"time": "14.01.2026 10:30", "conc": "520 ng/mL"},
        {"time": "2026-01-15T08:00", "conc": "0.02 mg/L", "below": True},
    ]
    for levels in (BY_CLOCK, fields):
        asked = {**WHO, "first_dose": FIRST, "levels": levels, "given": GIVEN}
        assert ask("/api/v1/update", json=asked).json() == expected


def test_a_file_with_dates_is_the_same_as_typed_levels(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text(
        "time,conc_mg_l,blq,lloq\n2026-01-14 09:30,0.85,,\n14.01.2026 10:30,0.52,,\n"
        "2026-01-15T08:00,,1,0.02\n"
    )
    options_of_file = options([], GIVEN, f"--levels={path}", f"--first-dose={FIRST}")
    assert command(*options_of_file) == command(*options(BY_CLOCK, GIVEN, f"--first-dose={FIRST}"))


@pytest.mark.parametrize("unit", ["h", "min", "days"])
def test_the_page_takes_hours_and_clock_times(unit: str) -> None:
    hours = {"h": "2", "min": "120", "days": f"{2 / 24:.17g}"}[unit]
    form = {
        **FORM, "first_dose": FIRST, "time_unit": unit, "given": "\r\n".join(GIVEN),
        "time_1": "2026-01-14 09:30", "conc_1": "0.85", "time_2": hours, "conc_2": "0.52",
        "time_4": "2026-01-15T08:00", "conc_4": "0.02", "below_4": "1",
    }  # fmt: skip
    page = ask("/levels", data=form).text
    expected = command(*options(BY_CLOCK, GIVEN, f"--first-dose={FIRST}"))
    assert f"{expected['posterior']['auc_0_inf']:.2f} <small>mg·h/L" in page
    assert "2026-01-15T08:00 is 23.5 h" in page
    assert '<th scope="row">1</th><td>1</td><td>2026-01-14 09:30</td>' in page
    assert f'name="first_dose" type="text" inputmode="text" maxlength="100" value="{FIRST}"' in page


def test_the_terminal_shows_the_clock_beside_the_hours() -> None:
    shown = CliRunner().invoke(main, options(BY_CLOCK, [], f"--first-dose={FIRST}")).stdout
    lines = [line for line in shown.splitlines() if " fitted " in line]
    ends = ["2026-01-14 09:30", "14.01.2026 10:30", "2026-01-15T08:00"]
    assert [line.split("SD  ")[1] for line in lines] == ends
    long = [f"{text[:16]}:00.000000+01:00{text[16:]}" for text in BY_CLOCK]
    shown = CliRunner().invoke(main, options(long, [], f"--first-dose={FIRST}+01:00")).stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert "          2026-01-14 09:30:00.000000+01:00\n" in shown


# --- The cell infusion ----------------------------------------------------------------------------


CELLS: Final = ("--cells-at=2026-01-19 10:00", f"--first-dose={FIRST}")


@pytest.mark.parametrize(
    "words", [("check",), ("dose", "--auc=15"), ("update", "--level=2h 0.6mg/L")]
)
def test_cells_by_the_clock_are_cells_by_hours(words: tuple[str, ...]) -> None:
    name, *more = words
    clock = command(name, *WORDS, *more, *CELLS)
    hours = command(name, *WORDS, *more, "--cells-at=121.5")
    message = "cell infusion 2026-01-19 10:00 is 121.5 h after the first dose (2026-01-14 08:30)"
    assert message in [remark["message"] for remark in clock["remarks"]]
    assert without_times(clock) == without_times(hours)


def without_times(part: Any) -> Any:
    """A part of an answer without the remark that says hours back."""
    if isinstance(part, dict):
        return {name: without_times(value) for name, value in part.items()}
    if isinstance(part, list):
        is_kept = [not (isinstance(x, dict) and x.get("code") == "clock_times") for x in part]
        return [without_times(x) for x, kept in zip(part, is_kept, strict=True) if kept]
    return part


def test_a_list_has_a_column_for_the_first_dose(tmp_path: Path) -> None:
    path, out = tmp_path / "list.csv", tmp_path / "out.csv"
    head = "age,sex,wt,ht,scr_mg_dl,regimen,cells_at,First dose,time_zone\n"
    rows = [
        "5,female,18.2,110,0.3,tisa_cel_ball,2026-01-19 10:00,2026-01-14 08:30,",
        "5,female,18.2,110,0.3,tisa_cel_ball,121.5,,",
        "5,female,18.2,110,0.3,tisa_cel_ball,2026-01-19 10:00,,",
        "5,female,18.2,110,0.3,tisa_cel_ball,121.5,14/01/2026,",
        "5,female,18.2,110,0.3,tisa_cel_ball,2026-04-01 10:00,2026-03-27 08:30,Europe/Berlin",
    ]
    path.write_text(head + "\n".join(rows))
    result = CliRunner().invoke(main, ["batch", str(path), "-o", str(out)])
    assert result.exit_code == 3
    table = pd.read_csv(out)
    assert table["cells_at_h"].dropna().tolist() == [121.5, 121.5, 120.5]
    assert table["auc_to_cells"][0] == table["auc_to_cells"][1]
    assert table["input_sha256"][0] == table["input_sha256"][1]
    assert "cells_at = '2026-01-19 10:00' is a clock time: give First dose" in table["error"][2]
    assert "First dose = '14/01/2026' is not a date" in table["error"][3]
    by_unit = head.replace("cells_at,", "cells_at_h,") + rows[0]
    path.write_text(by_unit)
    assert CliRunner().invoke(main, ["batch", str(path), "-o", str(out)]).exit_code == 0
    assert pd.read_csv(out)["result_cells_at_h"].tolist() == [121.5]
    frame = pd.read_csv(path).drop(columns="First dose")
    found = fludapk.check_table(frame, first_dose=FIRST)
    assert found["result_cells_at_h"].tolist() == [121.5]


def test_records_take_cells_by_the_clock(tmp_path: Path) -> None:
    records = pd.DataFrame({
        "ID": 1, "TIME": [0, 24], "AMT": 22.4, "RATE": 44.8, "EVID": 1, "MDV": 1,
        "AGE": 5, "WT": 18.2, "HT": 110, "EGFR": 110,
    })  # fmt: skip
    found = fludapk.check_table(
        records, amount="phosphate", cells_at="2026-01-19 10:00", first_dose=FIRST
    )
    assert found["cells_at_h"].tolist() == [121.5]


# --- Refusals name the text, the field at the door, and what to write -----------------------------


FAULTS: Final = [
    ({"first_dose": "2026-01-14"}, "first_dose", "add hours and minutes"),
    ({"first_dose": "01/02/2026 08:30"}, "first_dose", '"2026-02-01 08:30" or "2026-01-02 08:30"'),
    ({"first_dose": "08:30"}, "first_dose", "a time of day without its date"),
    ({"first_dose": FIRST, "time_zone": "Berlin"}, "time_zone", 'did you mean "Europe/Berlin"?'),
    ({"first_dose": f"{FIRST}Z"}, "level", "has no offset from UTC and"),
    ({}, "level", "is a clock time: give"),
    ({"first_dose": FIRST, "cells_at": "19/1/2026 10:00"}, "cells_at", '"2026-01-19 10:00"'),
]
LABELS: Final = {"first_dose": "first dose", "time_zone": "time zone", "cells_at": "cell infusion"}


@pytest.mark.parametrize(("fields", "name", "part"), FAULTS)
def test_a_doubtful_time_is_refused_by_its_name_at_every_door(
    fields: dict[str, Any], name: str, part: str
) -> None:
    level = "2026-01-14 10:30 0.62 mg/L"
    text = {**fields, "level": "2026-01-14 10:30"}[name]
    words = [f"--{key.replace('_', '-')}={value}" for key, value in fields.items()]
    said = refused(*options([level], [], *words))
    option = "--level 1: time" if name == "level" else f"--{name.replace('_', '-')}"
    assert f"fludapk: {option} = {text!r}" in said
    assert part in said

    problem = ask("/api/v1/update", json={**WHO, **fields, "levels": [level]}).json()
    (fault,) = [fault for fault in problem["faults"] if part in fault["message"]]
    assert fault["fields"] == ["levels" if name == "level" else name]
    assert f" = {text!r}" in fault["message"]

    page = (
        ask("/levels", data={**FORM, **fields, "time_1": "2026-01-14 10:30", "conc_1": "0.62"})
        .text.replace("&#39;", "'")
        .replace("&#34;", '"')
    )
    assert part in page
    assert f"{LABELS.get(name, 'level 1: time')} = {text!r}" in page

    if name != "cells_at":
        with pytest.raises(InputError, match=re.escape(part)):
            update(GIRL, PLAN, [level], **fields)


def test_the_page_leads_to_the_first_dose_that_is_missing() -> None:
    page = ask("/levels", data={**FORM, "time_2": "2026-01-14 10:30", "conc_2": "0.62"}).text
    assert re.findall(r'data-to="(\w+)"', page) == ["time_2", "first_dose"]
    invalid = re.findall(r'<input id="(\w+)"[^>]*aria-invalid="true"', page)
    assert set(invalid) == {"time_2", "first_dose"}


def test_doses_by_the_clock_need_the_first_dose() -> None:
    said = refused(*options(["2h 0.6mg/L"], ["2026-01-14 08:30 22mg"]))
    assert "--given = '2026-01-14 08:30' is a clock time: give --first-dose too" in said


def test_help_says_how_times_are_typed() -> None:
    shown = " ".join(CliRunner().invoke(main, ["update", "--help"]).output.split())
    for part in (
        '"2026-01-14 10:30 0.62mg/L"',
        '"2026-01-15 09:00 22mg 45min"',
        "--time-zone ZONE",
    ):
        assert part in shown
