"""A dose for a goal is the same at every door: Python, command line, API and page."""

import asyncio
import json
from typing import Any, Final, NamedTuple

import httpx
import pytest
from click.testing import CliRunner

from fludapk.answers.dose import find_dose
from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.web.api import PREFIX
from fludapk.web.app import create_app

APP: Final = create_app()
GIRL: Final = {
    "age": "5", "sex": "female", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL",
}  # fmt: skip
PATIENT: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
FAST: Final = (
    "1h 0.657mg/L", "2h 0.285mg/L", "7h 0.0492mg/L", "23.5h 0.0046mg/L",
    "49h 0.661mg/L", "50h 0.288mg/L", "55h 0.051mg/L", "71.5h 0.00484mg/L",
)  # fmt: skip
"""Levels of a clearance 60 % above the typical one."""
HIGH: Final = ("2h 1.0mg/L", "20h 0.1mg/L")


class Case(NamedTuple):
    """A goal, the dose for it, and what is said where it is missed."""

    goal: dict[str, Any]
    dose_mg: float
    misses: str | None
    said: str
    levels: tuple[str, ...] = ()
    days: int | None = None


CASES: Final = {
    "two doses that cannot reach 60": Case(
        {"window": [60, 80]}, 37.0, "low", "too low even at the highest dose", days=2
    ),
    "a target without a probability": Case(
        {"target": "fabrizio2022"}, 28.0, None, "with probability 0.8, the default"
    ),
    "levels of a child who falls short": Case(
        {"window": [13.8, 20]}, 37.0, "low", "too low even at the highest dose", FAST
    ),
    "the same with a target": Case(
        {"target": "fabrizio2022"}, 37.0, "low", "with probability 0.8, the default", FAST
    ),
    "the same with a probability": Case(
        {"window": [13.8, 20], "probability": 0.8}, 37.0, "low", "too low even at", FAST
    ),
    "levels above the window": Case(
        {"window": [2, 4]}, 0.0, "high", "too high even without another dose", HIGH
    ),
}


def course(case: Case) -> dict[str, Any]:
    return {"regimen": "tisa_cel_ball"} if case.days is None else {"days": str(case.days)}


def command_line(case: Case, *more: str) -> str:
    words = ["update" if case.levels else "dose"]
    for name, value in {**GIRL, **course(case), **case.goal}.items():
        words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    words += [f"--level={level}" for level in case.levels]
    result = CliRunner().invoke(main, [*words, *more])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def served(path: str, **body: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=APP)
        home = "http://127.0.0.1:8765"
        async with httpx.AsyncClient(transport=transport, base_url=home) as client:
            return await client.post(path, **body)

    return asyncio.run(asked())


def form(case: Case) -> dict[str, str]:
    fields = {**GIRL, **course(case), "renal": "0.3", "renal_unit": "mg/dL"}
    del fields["scr"]
    goal = dict(case.goal)
    if "window" in goal:
        fields["window_low"], fields["window_high"] = map(str, goal.pop("window"))
    for k, level in enumerate(case.levels, start=1):
        time, conc = level.split()
        fields |= {f"time_{k}": time.removesuffix("h"), f"conc_{k}": conc.removesuffix("mg/L")}
    units = {"time_unit": "h", "conc_unit": "mg/L"} if case.levels else {}
    return {**fields, **units, **{name: str(value) for name, value in goal.items()}}


def proposed(answer: dict[str, Any]) -> dict[str, Any]:
    """The first proposal of a dose, or the remaining dose of an update."""
    found: dict[str, Any] = answer["answer"] if "answer" in answer else answer["remaining"]
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_door_proposes_the_same_dose_and_says_which_way_it_misses(case: Case) -> None:
    if case.levels:
        plan = Regimen.named("tisa_cel_ball")
        library = json.loads(update(PATIENT, plan, case.levels, **case.goal).to_json())
    elif case.days is None:
        plan = Regimen.named("tisa_cel_ball")
        library = json.loads(find_dose(PATIENT, plan, **case.goal).to_json())
    else:
        days = Regimen(dose=1.0, unit="mg", days=case.days)
        library = json.loads(find_dose(PATIENT, days, planned=False, **case.goal).to_json())
    terminal = json.loads(command_line(case, "--json"))
    name = "update" if case.levels else "dose"
    body = {**GIRL, **course(case), **case.goal}
    if case.days is not None:
        body["days"] = case.days
    if case.levels:
        body["levels"] = list(case.levels)
    api = served(f"{PREFIX}/{name}", json=body).json()
    for answer in (library, terminal, api):
        dose = proposed(answer)
        assert dose["dose_mg"] == case.dose_mg
        assert dose["misses"] == case.misses
        assert dose["reached"] == (case.misses is None)
        assert (dose["reason"] is None) == (case.misses is None)
    page = served("/levels" if case.levels else "/dose", data=form(case)).text
    for text in (command_line(case), page):
        flat = " ".join(text.split())
        assert case.said in flat
        assert f"{case.dose_mg:g} mg" in flat
