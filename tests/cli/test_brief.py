"""The short form of an answer leaves out the calculation, never a caution."""

import json
from collections.abc import Sequence

import pytest
from click.testing import CliRunner

from fludapk.cli import main

MAN = (
    "--age=52", "--sex=male", "--weight=91", "--height=181", "--scr=1.3 mg/dL",
)  # fmt: skip
"""19.5 mg·h/L by the default model, within the target; 20.9, above it, by another."""
ASKED: dict[str, Sequence[str]] = {
    "check": (*MAN, "--regimen=axi_cel"),
    "dose": (*MAN, "--regimen=axi_cel", "--target=scordo2023"),
    "update": (*MAN, "--regimen=axi_cel", "--level=5h 0.9 mg/L"),
    "compare": (*MAN, "--plan=axi_cel", "--plan=24 mg/m2 x 3"),
}


def printed(command: str, *options: str) -> str:
    result = CliRunner().invoke(main, [command, *ASKED[command], *options])
    assert result.exit_code in (0, 6), result.output
    return result.stdout


@pytest.mark.parametrize("command", ASKED)
def test_every_caution_is_in_the_short_form(command: str) -> None:
    answer = json.loads(printed(command, "--json"))
    remarks = [x for each in answer.get("plans", [answer]) for x in each["remarks"]]
    cautions = {x["message"] for x in remarks if x["severity"] == "caution"}
    assert cautions
    short = " ".join(printed(command, "--brief").split()).casefold()
    for caution in cautions:
        assert " ".join(caution.replace("mg/m2", "mg/m²").split()).casefold() in short


def test_a_caution_of_the_headline_is_said_once() -> None:
    short = CliRunner().invoke(
        main,
        ["check", "--age=3", "--sex=male", "--weight=14", "--height=95", "--scr=0.3 mg/dL",
         "--regimen=tisa_cel_ball", "--model=varela2025", "--brief"],
    )  # fmt: skip
    text = " ".join(short.stdout.split())
    assert text.casefold().count("outside the population of varela2025") == 1
