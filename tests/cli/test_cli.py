"""The command line: the answer on stdout, one line per fault on stderr, and an exit code."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.verify import verify
from fludapk.cli import main
from fludapk.pages.check import check_page
from fludapk.pages.sources import (
    model_page,
    models_page,
    outcomes_page,
    regimen_page,
    regimens_page,
    targets_page,
    verified_page,
)
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import read_patient
from fludapk.published.models import load_model, load_models, model_paths
from fludapk.published.outcomes import outcomes
from fludapk.published.regimens import regimens
from fludapk.published.targets import targets

ROOT: Final = Path(__file__).resolve().parents[2]
Options: TypeAlias = Mapping[str, str | None]

GIRL: Final[Options] = {
    "age": "5",
    "sex": "female",
    "weight": "18.2",
    "height": "110",
    "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}
MAN: Final[Options] = {
    "age": "19",
    "sex": "male",
    "weight": "70",
    "height": "178",
    "scr": "0.8 mg/dL",
    "regimen": "tisa_cel_ball",
}
ADULT: Final[Options] = {
    "age": "60",
    "sex": "male",
    "weight": "80",
    "height": "175",
    "crcl": "62",
    "regimen": "axi_cel",
}


def arguments(known: Options, *flags: str, **changes: str | None) -> list[str]:
    """The command line of a check; an option that is None is left out."""
    asked = {**known, **{name.replace("_", "-"): text for name, text in changes.items()}}
    return ["check", *(f"--{k}={v}" for k, v in asked.items() if v is not None), *flags]


def run(*words: str, **environment: str) -> Result:
    """Run a command; whatever happens, it is no crash."""
    result = CliRunner().invoke(main, list(words), env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    return result


def checked(known: Options, *flags: str, **changes: str | None) -> Result:
    return run(*arguments(known, *flags, **changes))


def page(known: Options, *flags: str, **changes: str | None) -> str:
    """The page of a check that succeeds, in one long line."""
    result = checked(known, *flags, **changes)
    assert (result.exit_code, result.stderr) == (0, "")
    return " ".join(result.stdout.split())


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def read_json(text: str) -> Any:
    """JSON proper: NaN and Infinity are none."""
    return json.loads(text, parse_constant=no_constant)


def answer(known: Options, **changes: str | None) -> Any:
    result = checked(known, "--json", **changes)
    assert (result.exit_code, result.stderr) == (0, "")
    return read_json(result.stdout)


def faults(result: Result, exit_code: int) -> list[str]:
    """What stderr says of a refusal: one line each, and nothing on stdout."""
    assert (result.exit_code, result.stdout) == (exit_code, "")
    lines = result.stderr.splitlines()
    assert all(line.startswith("fludapk: ") and line.strip() == line for line in lines), lines
    return [line.removeprefix("fludapk: ") for line in lines]


def refusals(known: Options, *flags: str, **changes: str | None) -> list[str]:
    return faults(checked(known, *flags, **changes), 3)


def refusal(known: Options, *flags: str, **changes: str | None) -> str:
    (only,) = refusals(known, *flags, **changes)
    return only


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_compiled() -> None:
    """The first compilation is said on stderr; let it be over."""
    for options in (GIRL, {**ADULT, "cells-at": "10"}):
        CliRunner().invoke(main, arguments(options))
    CliRunner().invoke(main, ["update", *arguments(GIRL)[1:], "--level", "2h 0.6mg/L"])


# --- The worked patients ----------------------------------------------------------------------


def test_the_page_of_the_girl_answers_first() -> None:
    said = page(GIRL)
    assert said.startswith("female, 5 y, 18.2 kg, 110 cm")
    assert "AUC0-inf 13.58 mg·h/L" in said
    assert "48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short" in said
    assert said.index("48 % chance") < said.index("AUC0-inf 13.58 mg·h/L (below 13.8)")
    assert "0.413 × 110 cm / 0.3 mg/dL" in said
    assert "the model's highest value at 5 y" in said


def test_the_page_of_the_young_man() -> None:
    said = page(MAN)
    assert "AUC0-inf 17.20 mg·h/L" in said
    assert "80 % chance of reaching 13.8 mg·h/L" in said
    assert "eGFR 136.7" in said
    assert "DISAGREE" not in said


def test_the_other_reading_of_the_paper_is_a_note() -> None:
    text = page(GIRL)
    assert "DISAGREE" not in text
    assert "- note the other reading of the paper, against the evidence, would give" in text
    chosen = page(GIRL, model="langenhorst2019_indexed")
    assert "! caution langenhorst2019_indexed is a reading kept for comparison" in chosen


def test_the_page_says_why_this_reading_is_the_default() -> None:
    assert "reproduces its own median in children (21 mg·h/L at 160 mg/m²)" in page(GIRL)
    assert "median in children" not in page(MAN)


def test_the_chance_is_against_the_target_of_this_patient() -> None:
    text = page(ADULT)
    answer = text[: text.index("What to know")]
    assert "being within 18-20 mg·h/L (Scordo 2023)" in answer
    assert "Fabrizio" not in answer


def test_a_contraindication_stands_above_everything() -> None:
    text = page(ADULT, crcl="18")
    assert text.index("STOP: US label: do not give at CrCl 18 mL/min") < text.index("% chance")


def test_the_json_of_the_girl() -> None:
    girl = answer(GIRL)
    assert girl["exposure"]["auc_0_inf"] == pytest.approx(13.58, abs=0.005)
    assert girl["flag"] == "below"
    assert girl["models_agree"] is True
    assert girl["headline"]["sentence"].startswith("48 % chance of reaching 13.8 mg·h/L")
    assert girl["headline"]["target"] == "fabrizio2022"
    (indexed,) = [r for r in girl["sensitivity"] if r["model"] == "langenhorst2019_indexed"]
    assert indexed["auc_0_inf"] == pytest.approx(19.57, abs=0.005)


# --- JSON -----------------------------------------------------------------------------------------

SCHEMA: Final[Mapping[str, set[str]]] = {
    "patient": {
        *("age_years", "sex", "weight_kg", "height_cm", "bsa_m2", "bsa_formula"),
        *("egfr_ml_min_1_73m2", "egfr_formula", "egfr_capped"),
    },
    "regimen": {
        *("id", "doses_mg", "total_mg", "total_mg_m2", "amount_f_ara_a_mg", "times_h"),
        "infusion_h",
    },
    "exposure": {
        *("auc_0_inf", "auc_0_inf_pi90", "auc_per_dose", "cmax_mg_l", "auc_to_cells"),
        *("conc_at_cells_mg_l", "clearance_l_h", "renal_fraction", "half_life_h"),
    },
    "targets": {
        *("id", "low", "high", "status", "p_below", "p_within", "p_above", "applies", "context"),
    },
    "sensitivity": {"model", "applies", "auc_0_inf", "flag"},
    "remarks": {"severity", "code", "message", "source"},
    "headline": {
        *("stops", "sentence", "target", "model", "low", "high", "p_below", "p_within", "p_above"),
        *("auc_0_inf", "interval", "with_uncertainty", "notes"),
    },
    "provenance": {"version", "model_sha256", "input_sha256", "seed"},
}


@pytest.mark.parametrize("known", [GIRL, MAN, ADULT], ids=["girl", "man", "adult"])
def test_the_json_has_at_least_the_promised_keys(known: Options) -> None:
    whole = answer(known)
    assert whole["schema"] == "fludapk.check/2"
    assert set(whole) >= {"schema", "model", "flag", "models_agree", "label_rules", *SCHEMA}
    for name, keys in SCHEMA.items():
        for part in whole[name] if isinstance(whole[name], list) else [whole[name]]:
            assert set(part) >= keys, name
    assert whole["flag"] in ("below", "borderline", "met")
    assert {t["status"] for t in whole["targets"]} <= {"below", "within", "above"}
    assert {remark["severity"] for remark in whole["remarks"]} <= {"stop", "caution", "note"}
    assert [t["id"] for t in whole["targets"]] == list(targets())
    assert len(whole["label_rules"]) == 6


def test_what_is_unknown_is_null() -> None:
    custom = answer(GIRL, regimen=None, dose="30 mg/m2", days="4", sex=None)
    assert custom["patient"]["sex"] is None
    assert custom["exposure"]["auc_to_cells"] is None
    assert custom["exposure"]["conc_at_cells_mg_l"] is None
    assert {row["auc_0_inf"] for row in custom["sensitivity"] if not row["applies"]} == {None}
    assert {t["id"]: t["high"] for t in custom["targets"]}["fabrizio2022"] is None


def test_the_same_call_twice_gives_the_same_bytes() -> None:
    for flags in ([], ["--json"]):
        first, again = (checked(GIRL, *flags).stdout_bytes for _ in range(2))
        assert first == again


def test_the_order_of_the_options_does_not_matter() -> None:
    backwards = dict(reversed(list(GIRL.items())))
    assert checked(backwards, "--json").stdout == checked(GIRL, "--json").stdout


# --- The page -------------------------------------------------------------------------------------


def everybody() -> Mapping[str, list[str]]:
    """Checks whose pages have everything a page can have."""
    custom: dict[str, str | None] = {"regimen": None, "dose": "45 mg/m2", "days": "3"}
    anaemic = {"diagnosis": "aplastic_anaemia", "genotype": "carrier", "model": "mohanan2017"}
    inches: dict[str, str | None] = {"age": "66 mo", "weight": "40 lb", "height": "43 in"}
    return {
        "girl": arguments(GIRL),
        "girl, rounded": arguments(GIRL, round_to="8"),
        "girl, typed course": arguments(GIRL, **custom),
        "girl, other units": arguments(GIRL, **inches, scr="26.52 umol/L"),
        "girl, other reading": arguments(GIRL, model="langenhorst2019_indexed"),
        "infant": arguments(GIRL, age="8 mo", weight="8.1", height="70", regimen="hct_160"),
        "man": arguments(MAN),
        "man, other formulas": arguments(MAN, egfr_formula="ekfc", bsa_formula="du_bois"),
        "man of 80": arguments(MAN, age="80"),
        "adult": arguments(ADULT),
        "adult, varela": arguments(ADULT, model="varela2025"),
        "adult, kidney failure": arguments(ADULT, crcl="20"),
        "anaemic": arguments(MAN, regimen="hct_160", **anaemic),
    }


SECTIONS: Final = (
    "AUC0-inf ",
    "What to know\n",
    "Calculation, to check by hand\n",
    "Targets that fit this patient\n",
    "Models\n",
    "Dose by the labels' kidney rules (for comparison)\n",
    "Research and second check only, not a medical device.",
    f"fludapk {__version__} | model ",
)


@pytest.mark.parametrize("name", everybody())
def test_the_page_goes_from_the_answer_to_the_provenance(name: str) -> None:
    said = run(*everybody()[name]).stdout
    places = [said.find(section) for section in SECTIONS]
    assert min(places) > 0
    assert places == sorted(places)
    names = [entry.name for entry in targets().values()]
    assert all(name in " ".join(said.split()) for name in [*names, *model_paths()])
    assert "prospective trials are needed" in " ".join(said.split())


def test_the_page_shows_the_hash_of_the_model() -> None:
    assert f"model langenhorst2019 {load_model().sha256[:12]}" in page(GIRL)


@pytest.mark.parametrize("name", everybody())
def test_a_page_in_a_pipe_has_100_columns_and_no_blanks_at_the_end(name: str) -> None:
    lines = run(*everybody()[name]).stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"age": "8 mo", "weight": "18 lb", "height": "27.5 in"},
        {"age": "80", "weight": "120", "height": "190"},
        {"diagnosis": "lbcl"},
    ],
)
def test_no_line_of_a_check_is_longer_than_the_width(changes: dict[str, str], width: int) -> None:
    known = {k: v for k, v in GIRL.items() if k != "regimen"}
    patient = read_patient({**known, **changes})
    for name, model in (
        ("tisa_cel_ball", "langenhorst2019"),
        ("hct_160", "langenhorst2019_indexed"),
        ("liso_cel", "langenhorst2019"),
    ):
        result = check(patient, Regimen.named(name), model=model, round_to_mg=0.5)
        assert max(map(len, check_page(result, width).splitlines())) <= width


PAGES: Final[Mapping[str, Callable[[int], str]]] = {
    "models": lambda width: models_page(load_models(), width),
    "outcomes": outcomes_page,
    "regimens": regimens_page,
    "targets": targets_page,
    "verify": lambda width: verified_page(verify(), width),
    **{f"model {name}": partial(model_page, load_model(name)) for name in model_paths()},
    **{f"regimen {name}": partial(regimen_page, name) for name in regimens()},
}


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", PAGES)
def test_no_line_of_a_list_is_longer_than_the_width(name: str, width: int) -> None:
    lines = PAGES[name](width).splitlines()
    assert [line for line in lines if len(line) > width and "sha256" not in line] == []


@pytest.mark.parametrize("name", ["girl", "girl, other reading", "man", "adult", "adult, varela"])
def test_the_clearance_of_the_page_can_be_typed_into_a_calculator(name: str) -> None:
    said = " ".join(run(*everybody()[name]).stdout.split())
    found = re.search(r" CL ([\d.]+) L/h (.*?) = non-renal ([\d.]+) \+ renal ([\d.]+) ", said)
    assert found is not None
    clearance, how, non_renal, renal = found.groups()
    typed = how.replace("×", "*").replace("^", "**")
    assert re.fullmatch(r"[\d.+*/() ]+", typed)
    assert eval(typed) == pytest.approx(float(clearance), rel=2e-3)
    assert float(non_renal) + float(renal) == pytest.approx(float(clearance), rel=1e-3)


@pytest.mark.parametrize("name", everybody())
def test_the_auc_of_the_page_is_its_amount_over_its_clearance(name: str) -> None:
    said = " ".join(run(*everybody()[name]).stdout.split())
    found = re.search(r"AUC0-inf ([\d.]+) mg·h/L amount / CL = ([\d.]+) mg / ([\d.]+) L/h", said)
    assert found is not None
    auc, amount, clearance = map(float, found.groups())
    assert amount / clearance == pytest.approx(auc, rel=2e-3)
    answered = re.search(
        r"AUC0-inf ([\d.]+) mg·h/L(?: \([^)]*\))?, 90 % interval ([\d.]+)-([\d.]+)", said
    )
    assert answered is not None
    middle, low, high = map(float, answered.groups())
    assert middle == pytest.approx(auc, rel=1e-3)
    assert low < middle < high


def test_rounding_shows_what_is_drawn_up() -> None:
    said = page(GIRL, round_to="1")
    assert "Rounded to 1 mg from 22.37 mg: draw up 0.88 mL (25 mg/mL)" in said
    assert "1 × 50-mg vial, 28 mg waste per dose" in said
    assert "AUC0-inf 13.36 mg·h/L" in said
    assert "Rounded" not in page(GIRL)


def test_the_page_shows_that_the_labels_contradict_each_other() -> None:
    said = page(ADULT)
    assert re.search(r"US label CrCl 62 mL/min 20 % less", said)
    assert re.search(r"EU label CrCl 62 mL/min up to 50 % less", said)
    assert "(for comparison)" in said


def test_the_page_says_that_the_labels_are_written_for_adults() -> None:
    assert "written for adults" in page(GIRL)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"age": "66 mo"}, "age 66 months = 5.5 years"),
        ({"weight": "40 lb"}, "weight 40 lb = 18.14 kg"),
        ({"height": "1.10 m"}, "height 1.1 m = 110 cm"),
        ({"height": "43 in"}, "height 43 in = 109.2 cm"),
        ({"scr": "26.52 µmol/L"}, "creatinine 26.52 µmol/L = 0.3 mg/dL"),
        (
            {"age": "8 mo", "weight": "8.1", "height": "70"},
            "age 8 months = 0.6667 years",
        ),
    ],
)
def test_a_unit_that_was_typed_is_converted_and_the_page_says_so(
    changes: dict[str, str | None], said: str
) -> None:
    assert said in page(GIRL, **changes)


@pytest.mark.parametrize(
    ("known", "changes", "said"),
    [
        (ADULT, {}, "langenhorst2019 uses eGFR: converted from the CrCl given"),
        (
            ADULT,
            {"crcl": None, "egfr": "90", "model": "varela2025"},
            "varela2025 uses CrCl: converted from the eGFR given",
        ),
        (GIRL, {"regimen": "hct_160"}, "severe CNS toxicity in 36 %"),
        (GIRL, {"regimen": None, "dose": "45 mg/m2", "days": "3"}, "severe CNS toxicity in 36 %"),
        (GIRL, {"round_to": "8"}, "rounding changes each dose by +7.3 %"),
        (GIRL, {"age": "8 mo", "weight": "8.1", "height": "70"}, "under 1 year"),
        (MAN, {"age": "80"}, "AGE 80 years (studied 0.3-74)"),
        (
            MAN,
            {
                "regimen": "hct_160",
                "model": "mohanan2017",
                "diagnosis": "aplastic_anaemia",
                "genotype": "GG",
            },
            "The paper does not state whether doses were phosphate or F-ara-A",
        ),
    ],
)
def test_the_page_repeats_what_the_reader_must_know(
    known: Options, changes: dict[str, str | None], said: str
) -> None:
    assert said in page(known, **changes)


# --- Input refused: exit 3 ------------------------------------------------------------------------

NAN_AND_CO: Final = ("nan", "inf", "-inf", "1e999", "five", "1.8,2", "1,234", "0", "-5")


def test_a_creatinine_without_a_unit_is_refused() -> None:
    assert "has no unit" in refusal(GIRL, scr="0.3")


@pytest.mark.parametrize(
    ("changes", "suggestion"),
    [
        ({"scr": "0.9 umol/L"}, "0.9 mg/dL would be 79.56 umol/L"),
        ({"scr": "80 mg/dL"}, "80 umol/L would be 0.905 mg/dL"),
        ({"height": "1.10"}, "1.1 m would be 110 cm"),
        ({"height": "43"}, "43 in would be 109.2 cm"),
        ({"weight": "40"}, "40 lb would be 18.14 kg"),
    ],
)
def test_a_number_in_the_wrong_unit_is_refused_with_the_right_one(
    changes: dict[str, str | None], suggestion: str
) -> None:
    assert suggestion in refusal(GIRL, **changes)


def test_a_decimal_comma_is_a_decimal_point_and_is_read_back() -> None:
    changes: dict[str, str | None] = {"weight": "18,2", "scr": "0,3 mg/dL"}
    comma = checked(GIRL, **changes)
    assert comma.stdout == checked(GIRL).stdout
    assert "18.2 kg" in comma.stdout


@pytest.mark.parametrize("text", NAN_AND_CO)
@pytest.mark.parametrize("option", ["age", "weight", "height", "egfr", "crcl"])
def test_what_is_no_possible_number_is_refused(option: str, text: str) -> None:
    assert refusal(GIRL, **{"scr": None, option: text}).startswith(f"--{option} = ")


@pytest.mark.parametrize("text", NAN_AND_CO)
@pytest.mark.parametrize(
    ("option", "unit"),
    [("scr", " mg/dL"), ("dose", " mg/m2"), ("infusion-time", ""), ("cells-at", ""),
     ("round-to", ""), ("interval", "")],
)  # fmt: skip
def test_what_is_no_possible_quantity_is_refused(option: str, text: str, unit: str) -> None:
    course: dict[str, str | None] = {"regimen": None, "dose": "30 mg/m2", "days": "3"}
    said = refusal(GIRL, **{**course, option: f"{text}{unit}"})
    assert said.startswith(f"--{option}")


@pytest.mark.parametrize(
    ("known", "changes", "part"),
    [
        (GIRL, {"age": "2019"}, "looks like a year of birth"),
        (GIRL, {"age": None}, "age is missing: give --age"),
        (GIRL, {"weight": None}, "weight is missing: give --weight"),
        (GIRL, {"height": None}, "height is missing"),
        (GIRL, {"sex": "girl"}, "write female or male"),
        (MAN, {"sex": None}, "needs --sex"),
        (GIRL, {"scr": None}, "needs a renal function: --scr"),
        (GIRL, {"egfr": "110"}, "give one renal function only"),
        (GIRL, {"scr": None, "egfr": "90", "crcl": "90"}, "give one renal function only"),
        (GIRL, {"scr": None, "egfr": "90 mL/min"}, "goes to --crcl"),
        (GIRL, {"scr": None, "crcl": "90 mL/min/1.73m2"}, "goes to --egfr"),
        (GIRL, {"bsa-formula": "mostelar"}, "did you mean 'mosteller'?"),
        (GIRL, {"egfr-formula": "schwarz_bedside"}, "did you mean 'schwartz_bedside'?"),
        (GIRL, {"egfr-formula": "mdrd"}, "is for 18 to 70 y"),
        (GIRL, {"regimen": "tisa_cell_ball"}, "did you mean 'tisa_cel_ball'?"),
        (GIRL, {"model": "langenhorst"}, "did you mean 'langenhorst2019'?"),
        (GIRL, {"product": "tisacel"}, "did you mean 'tisa_cel'?"),
        (GIRL, {"diagnosis": "ball"}, "did you mean 'b_all'?"),
        (GIRL, {"genotype": "carier"}, "did you mean 'carrier'?"),
        (GIRL, {"product": "axi_cel"}, "tisa_cel_ball is a course for 'tisa_cel'"),
        (GIRL, {"regimen": None}, "give --regimen, or --dose with --days"),
        (GIRL, {"regimen": None, "dose": "30", "days": "4"}, "needs a unit"),
        (GIRL, {"regimen": None, "dose": "30 mg/m2"}, "--dose needs --days"),
        (GIRL, {"regimen": None, "dose": "30 mg/m2", "days": "0"}, "from 1 to 14 doses"),
        (
            GIRL,
            {"regimen": None, "dose": "30 mg/m2", "days": "4", "interval": "0.25"},
            "infusions overlap",
        ),
        (GIRL, {"infusion-time": "25"}, "infusions overlap"),
        (GIRL, {"regimen": None, "dose": "51 mg/m2", "days": "4"}, "in a day is above 50 mg/m2"),
        (GIRL, {"regimen": None, "dose": "38 mg", "days": "4"}, "in a day is above 50 mg/m2"),
        (GIRL, {"regimen": None, "dose": "2.1 mg/kg", "days": "4"}, "in a day is above 50 mg/m2"),
        (
            GIRL,
            {"regimen": None, "dose": "30 mg/m2", "days": "4", "interval": "12"},
            "60.0 mg/m2 in a day is above 50 mg/m2",
        ),
        (GIRL, {"regimen": None, "dose": "30 mg/m2", "days": "9"}, "course is above 250 mg/m2"),
        (GIRL, {"round-to": "25"}, "above 10 % is refused, round more finely"),
        (GIRL, {"round-to": "1 g"}, "unknown unit 'g'"),
        (GIRL, {"round-to": "1 mg/m2"}, "round-to"),
        (GIRL, {"round-to": "1 mg/kg"}, "round-to"),
        (MAN, {"age": "110"}, "the limits of langenhorst2019"),
        (GIRL, {"weight": "1.5 kg", "confirm": "weight"}, "the limits of langenhorst2019"),
        (MAN, {"regimen": "hct_160", "model": "mohanan2017"}, "--genotype (GG or carrier)"),
        (MAN, {"regimen": "hct_160", "model": "mohanan2017"}, "--diagnosis (aplastic_anaemia or"),
        (ADULT, {"regimen": "liso_cel", "model": "varela2025", "diagnosis": "lbcl"}, "--product"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(
    known: Options, changes: dict[str, str | None], part: str
) -> None:
    assert part in refusal(known, **changes)


def test_every_fault_has_its_line() -> None:
    said = refusals(GIRL, age="five", weight="1,820", height="nan", scr="0.3")
    assert [line.split(" = ")[0] for line in said] == ["--age", "--weight", "--height", "--scr"]


@pytest.mark.parametrize("flag", ["--json", "--strict"])
def test_a_refusal_is_the_same_with_any_flag(flag: str) -> None:
    assert refusals(GIRL, flag, scr="0.3") == refusals(GIRL, scr="0.3")


@pytest.mark.parametrize(
    "changes",
    [
        {"dose": "1e308 mg/m2"},
        {"dose": "1e-320 mg/m2"},
        {"dose": "5e-324 mg/m2"},
        {"interval": "1e308"},
        {"interval": "1e-300", "infusion-time": "1e-301"},
        {"infusion-time": "1e-320"},
        {"infusion-time": "1e308", "interval": "1.7e308"},
        {"cells-at": "1e300"},
        {"cells-at": "1e308 d"},
        {"cells-at": "1e-300"},
        {"round-to": "1e-310"},
        {"round-to": "1e308"},
        {"age": "1e-308"},
        {"height": "1e308 m"},
        {"days": "999999999999"},
    ],
)
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_absurd_numbers_are_answered_or_refused_without_a_crash(
    changes: dict[str, str | None], flags: list[str]
) -> None:
    course: dict[str, str | None] = {"regimen": None, "dose": "10 mg/m2", "days": "4"}
    result = checked(GIRL, *flags, **{**course, **changes})
    assert result.exit_code in (0, 3)
    if result.exit_code == 3:
        assert faults(result, 3)
    elif flags:
        assert read_json(result.stdout)["schema"] == "fludapk.check/2"


# --- Other exit codes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--frobnicate"],
        ["check", "--age"],
        ["check", "--days", "three"],
        ["check", "an argument"],
        ["frobnicate"],
        ["models", "frobnicate"],
        ["models", "show"],
        ["regimens", "show"],
        ["regimens", "show", "axi_cel", "liso_cel"],
        ["targets", "list", "--models-dir", "."],
    ],
)
def test_a_wrong_call_exits_2(words: list[str]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "show", "varela"], "did you mean 'varela2025'?"),
        (["models", "verify", "varela"], "did you mean 'varela2025'?"),
        (["regimens", "show", "axicel"], "did you mean 'axi_cel'?"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_unknown_name_exits_3(words: list[str], said: str, flags: list[str]) -> None:
    (only,) = faults(run(*words, *flags), 3)
    assert said in only


def test_outside_the_studied_range_exits_5_if_strict() -> None:
    (said,) = faults(checked(MAN, "--strict", age="80"), 5)
    assert said == "outside the studied range of langenhorst2019: AGE 80 years (studied 0.3-74)"
    assert checked(MAN, age="80").exit_code == 0
    assert checked(MAN, "--strict").exit_code == 0


BAD: Final = (
    ("factor = 0.78", "factor = 0.5"),
    ('kind = "power", covariate = "WT"', 'kind = "pow", covariate = "WT"'),
    ("compartments = 3", "compartments = 3\ncolour = 1"),
)


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    """A folder with two bad model files: one with three faults, one that is not TOML."""
    text = model_paths()["varela2025"].read_text(encoding="utf-8")
    for old, new in (('id = "varela2025"', 'id = "bad2025"'), *BAD):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "bad2025.toml").write_text(text, encoding="utf-8")
    (tmp_path / "worse.toml").write_text("this is not TOML", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        arguments(GIRL),
        arguments(GIRL, "--json"),
        ["models", "list"],
        ["models", "verify"],
        ["verify"],
        ["verify", "--json"],
    ],
)
def test_bad_model_files_exit_4_with_all_their_faults(words: list[str], bad_folder: Path) -> None:
    said = faults(run(*words, "--models-dir", str(bad_folder)), 4)
    bad, worse = (str(bad_folder / name) for name in ("bad2025.toml", "worse.toml"))
    assert {line.split(": ")[0] for line in said} == {bad, worse}
    assert sum(line.startswith(bad) for line in said) == len(BAD)
    for part in ("dose.factor", "colour", "is not TOML"):
        assert any(part in line for line in said)


def test_a_bad_model_that_is_asked_for_exits_4(bad_folder: Path) -> None:
    said = faults(run("models", "show", "bad2025", "--models-dir", str(bad_folder)), 4)
    assert len(said) == len(BAD)


def test_a_folder_that_is_not_there_exits_4(tmp_path: Path) -> None:
    (said,) = faults(checked(GIRL, "--models-dir", str(tmp_path / "nowhere")), 4)
    assert "no such folder of models" in said


def own_model(folder: Path, *changes: tuple[str, str]) -> Path:
    text = model_paths()["varela2025"].read_text(encoding="utf-8")
    for old, new in (('id = "varela2025"', 'id = "own2025"'), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "own2025.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_model_of_ones_own_is_found_by_option_and_environment(tmp_path: Path) -> None:
    folder = str(own_model(tmp_path))
    words = arguments(ADULT, "--json", model="own2025")
    by_option, by_environment = (
        run(*words, "--models-dir", folder),
        run(*words, FLUDAPK_MODELS=folder),
    )
    assert by_option.exit_code == 0
    assert read_json(by_option.stdout)["model"] == "own2025"
    assert by_option.stdout == by_environment.stdout
    assert run(*words).exit_code == 3


# --- Verification ---------------------------------------------------------------------------------


def test_verify_finds_everything_as_published() -> None:
    result = run("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    found = re.search(r"(\d+) of (\d+) re-computed within their tolerance", result.stdout)
    assert found is not None
    assert found[1] == found[2]
    assert "MISS" not in result.stdout


def test_verify_fails_when_a_printed_number_is_wrong(tmp_path: Path) -> None:
    folder = str(own_model(tmp_path, ('printed = "6.1"', 'printed = "6.2"')))
    result = run("verify", "--models-dir", folder)
    assert result.exit_code == 1
    (missed,) = [line for line in result.stdout.splitlines() if line.startswith("MISS")]
    assert "own2025" in missed
    as_json = run("models", "verify", "own2025", "--json", "--models-dir", folder)
    assert as_json.exit_code == 1
    assert [row["ok"] for row in read_json(as_json.stdout)] == [False, True, True]


def test_verify_fails_when_an_estimate_is_wrong(tmp_path: Path) -> None:
    folder = str(own_model(tmp_path, ("value = 3.9,", "value = 4.1,")))
    assert run("models", "verify", "own2025", "--models-dir", folder).exit_code == 1
    assert run("models", "verify", "varela2025", "--models-dir", folder).exit_code == 0


# --- Every command --------------------------------------------------------------------------------


def commands(
    group: click.Group = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, groups too, with its words."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


EVERY: Final = dict(commands())
LEAVES: Final = {path: c for path, c in EVERY.items() if not isinstance(c, click.Group)}

CALLS: Final[Mapping[tuple[str, ...], list[str]]] = {
    ("check",): arguments(GIRL)[1:],
    ("dose",): [*arguments(GIRL)[1:], "--auc", "15"],
    ("update",): [*arguments(GIRL)[1:], "--level", "2h 0.6mg/L", "--auc", "15"],
    ("compare",): [
        *arguments({name: GIRL[name] for name in GIRL if name != "regimen"})[1:],
        *("--plan", "tisa_cel_ball", "--plan", "tisa_cel_ball auc 15"),
    ],
    ("nomogram",): ["--regimen", "axi_cel", "--age", "60", "--height", "175"],
    ("models", "list"): [],
    ("models", "show"): ["mohanan2017"],
    ("models", "verify"): ["varela2025"],
    ("regimens", "list"): [],
    ("regimens", "show"): ["obe_cel"],
    ("targets", "list"): [],
    ("outcomes", "list"): [],
    ("qualify",): [],
    ("verify",): [],
}
"""A call that succeeds of every command that prints a page."""

LISTS: Final = {("batch",), ("evaluate",), ("simulate", "run"), ("simulate", "merge")}
"""Commands that need a file; see `test_batch`, `test_evaluation` and `test_study`."""
ENGINES: Final = {("models", "export"), ("models", "import")}
"""Commands that read or write texts of other engines; see `test_engines` and `test_drafts`."""
SERVERS: Final = {("serve",)}
"""Commands that do not end; see `test_web`."""


def test_the_commands_are_there() -> None:
    assert set(LEAVES) == set(CALLS) | LISTS | ENGINES | SERVERS


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_every_command_prints_a_page(path: tuple[str, ...]) -> None:
    result = run(*path, *CALLS[path])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) > 3
    if path != ("nomogram",):  # CSV in a pipe: `test_a_nomogram_is_a_table_on_a_terminal`
        assert max(map(len, lines)) <= 100
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_every_command_prints_json(path: tuple[str, ...]) -> None:
    result = run(*path, *CALLS[path], "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_json(result.stdout)


@pytest.mark.parametrize("path", sorted(set(LEAVES) - SERVERS), ids=" ".join)
def test_every_command_has_a_json_option(path: tuple[str, ...]) -> None:
    assert "--json" in {word for option in LEAVES[path].params for word in option.opts}


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_and_option_is_documented(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    assert command.get_short_help_str()
    silent = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


@pytest.mark.parametrize("path", [(), *EVERY], ids=" ".join)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_always_there(path: tuple[str, ...], word: str) -> None:
    result = run(*path, word)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")
    command = EVERY.get(path, main)
    for option in command.params:
        assert all(text in result.stdout for text in option.opts if text.startswith("--"))


def test_the_version_is_said() -> None:
    assert run("--version").stdout == f"fludapk, version {__version__}\n"


def test_the_lists_are_complete() -> None:
    ids = {
        "models": list(model_paths()),
        "regimens": list(regimens()),
        "targets": list(targets()),
        "outcomes": list(outcomes()),
    }
    for what, names in ids.items():
        assert [row["id"] for row in read_json(run(what, "list", "--json").stdout)] == names
        text = run(what, "list").stdout
        assert all(name in text for name in names)


@pytest.mark.parametrize("name", model_paths())
def test_a_model_is_shown_with_every_number_and_departure(name: str) -> None:
    model = load_model(name)
    text = " ".join(run("models", "show", name).stdout.split())
    assert model.sha256 in text
    assert model.file.citation.doi in text
    for theta, row in model.file.theta.items():
        assert f"{theta} {row.value:g} {row.unit}" in text
    for departure in model.file.departures:
        assert departure.topic in text
    shown = read_json(run("models", "show", name, "--json").stdout)
    assert (shown["id"], shown["sha256"]) == (name, model.sha256)
    assert len(shown["theta"]) == len(model.file.theta)


@pytest.mark.parametrize("name", regimens())
def test_a_regimen_is_shown_with_the_label_rules(name: str) -> None:
    text = " ".join(run("regimens", "show", name).stdout.split())
    assert regimens()[name].title in text
    assert "US label" in text
    assert "EU label" in text
    shown = read_json(run("regimens", "show", name, "--json").stdout)
    assert (shown["id"], len(shown["label_rules"])) == (name, 6)


def test_what_is_not_settled_is_marked_in_the_lists() -> None:
    unsettled = sum(1 for entry in regimens().values() if entry.unsettled)
    assert unsettled >= 2
    assert run("regimens", "list").stdout.count("(?)") == unsettled + 1  # and the legend
    assert "the days to cell infusion" in run("regimens", "show", "liso_cel").stdout


# --- A process of its own -------------------------------------------------------------------------


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = "from fludapk.cli import main; main(prog_name='fludapk')"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def test_a_process_says_what_a_call_says() -> None:
    done = process(*arguments(GIRL, "--json"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == checked(GIRL, "--json").stdout_bytes


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (arguments(GIRL, scr="0.3"), 3, b"fludapk: --scr = '0.3' has no unit"),
        (arguments(MAN, "--strict", age="80"), 5, b"fludapk: outside the studied range"),
        (arguments(GIRL, "--models-dir", "no/such/folder"), 4, b"no such folder of models"),
        (["check", "--frobnicate"], 2, b"No such option"),
    ],
)
def test_a_process_ends_with_the_exit_code(words: list[str], code: int, said: bytes) -> None:
    done = process(*words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_that_lacks_some_letters_is_no_crash() -> None:
    """As on Windows, where a page is redirected to a file in the code page of the country."""
    done = process(*arguments(GIRL), PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert b"13.58" in done.stdout


# --- Any text -------------------------------------------------------------------------------------

ANY_TEXT: Final = st.one_of(
    st.text(max_size=10),
    st.floats().map(repr),
    st.builds(
        "{}{}".format,
        st.floats(-1.0, 1e3),
        st.sampled_from(
            ["", " kg", " cm", " mg/dL", " mg/m2", " mg/kg", "mg", " h", " d", "%", ","]
        ),
    ),
)


def mostly(*plausible: str | None) -> st.SearchStrategy[str | None]:
    """Something plausible more often than not, else any text."""
    return st.one_of(st.sampled_from(plausible), st.sampled_from(plausible), ANY_TEXT)


VALUES: Final[Mapping[str, st.SearchStrategy[str | None]]] = {
    "age": mostly("5", "19", "60", "8 mo", None),
    "sex": mostly("female", "male", None),
    "weight": mostly("18.2", "70", "40 lb", None),
    "height": mostly("110", "178", "43 in", None),
    "scr": mostly("0.3 mg/dL", "80 umol/L", None),
    "egfr": mostly("110", None),
    "crcl": mostly("62", None),
    "regimen": mostly("tisa_cel_ball", "axi_cel", "hct_160", None),
    "dose": mostly("30 mg/m2", "1 mg/kg", "20 mg", None),
    "days": mostly("1", "4", "14", None),
    "interval": mostly("24", "12", None),
    "infusion-time": mostly("0.5", "30 min", None),
    "cells-at": mostly("120", "5 d", None),
    "round-to": mostly("1", "0.5", None),
    "model": mostly("langenhorst2019", "varela2025", "mohanan2017"),
    "product": mostly("tisa_cel", "axi_cel", None),
    "diagnosis": mostly("b_all", "lbcl", "aplastic_anaemia", None),
    "genotype": mostly("GG", "carrier", None),
    "bsa-formula": mostly("mosteller", "haycock"),
    "egfr-formula": mostly("ckid_u25", "mdrd", None),
}
TYPED: Final[Options] = {**GIRL, "regimen": None, "dose": "30 mg/m2", "days": "4"}


def some(names: list[str]) -> st.SearchStrategy[dict[str, str | None]]:
    return st.fixed_dictionaries({name: VALUES[name] for name in names})


CHANGES: Final = st.lists(st.sampled_from(list(VALUES)), max_size=5, unique=True).flatmap(some)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([GIRL, MAN, ADULT, TYPED]), CHANGES, st.booleans(), st.booleans())
def test_any_options_are_answered_or_refused_without_a_crash(
    known: Options, changes: dict[str, str | None], as_json: bool, strict: bool
) -> None:
    flags = ["--json"] * as_json + ["--strict"] * strict
    result = checked(known, *flags, **changes)
    assert result.exit_code in (0, 2, 3, 5)
    assert "Traceback" not in result.output
    assert (result.stdout == "") == (result.exit_code != 0)
    assert (result.stderr == "") == (result.exit_code == 0)
    if as_json and result.exit_code == 0:
        whole = read_json(result.stdout)
        low, high = whole["exposure"]["auc_0_inf_pi90"]
        assert 0 < low < whole["exposure"]["auc_0_inf"] < high


# --- Axes of a nomogram ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "weights"),
    [
        (("10", "30", "10"), [10, 20, 30]),
        (("10", "30", "12"), [10, 22]),
        (("10", "30", "15"), [10, 25]),
        (("10", "10", "5"), [10]),
        (("5", "6", "0.1"), [5, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7, 5.8, 5.9, 6]),
    ],
)
def test_an_axis_ends_at_or_before_what_was_typed(
    typed: tuple[str, ...], weights: list[float]
) -> None:
    result = run("nomogram", "--regimen", "tisa_cel_ball", "--weights", *typed, "--json")
    assert read_json(result.stdout)["weights_kg"] == pytest.approx(weights)


def test_a_design_for_a_population_goes_without_a_patient() -> None:
    plan = ("--regimen", "tisa_cel_ball")
    result = run("update", "--design", "--population", "infants_ball", *plan)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "patients of infants_ball" in result.stdout
    for wrong in (
        ("--population", "infants_ball"),
        ("--design", "--population", "x", "--weight", "20"),
    ):
        refused = run("update", *wrong, *plan)
        assert refused.exit_code == 3
        assert "--population goes with --design, and without a patient" in refused.stderr


def test_a_nomogram_is_a_table_on_a_terminal_and_csv_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("nomogram", "--regimen", "tisa_cel_ball", "--weights", "10", "30", "10")
    piped = run(*asked).stdout
    assert piped.startswith("weight_kg,age_years,")
    file = tmp_path / "cells.csv"
    written = run(*asked, "-o", str(file))
    assert written.stdout == ""
    assert file.read_text("utf-8") == piped
    monkeypatch.setattr("fludapk.cli.sources.is_terminal", lambda: True)
    table = run(*asked).stdout
    assert table.startswith("AUC0-inf of F-ara-A, mg·h/L: typical patients")
    assert "Target of these patients: Fabrizio 2022, ≥ 13.8 mg·h/L." in table
    assert max(map(len, table.splitlines())) <= 100
