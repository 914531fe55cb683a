"""A renal function that changes during the course: typed, in lists and records, by every answer."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import reference
from click.testing import CliRunner

from fludapk.answers.check import check
from fludapk.answers.design import design
from fludapk.answers.dose import find_dose
from fludapk.answers.prediction import predict
from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import load_model
from fludapk.web.asked import CheckAsked, UpdateAsked
from fludapk.web.forms import typed

MAN: Final[dict[str, Any]] = {"age": 60, "sex": "male", "weight": 80, "height": 178}
PLAN: Final = Regimen.named("axi_cel")
RISING: Final = "0.8 mg/dL; 48h 1.6 mg/dL"
WORDS: Final = ["check", "--age", "60", "--sex", "male", "--weight", "80", "--height", "178",
                "--regimen", "axi_cel", "--json"]  # fmt: skip


def man(scr: Any = RISING, **more: Any) -> Patient:
    return Patient(**MAN, scr=scr, **more)


def auc(**arguments: Any) -> float:
    return float(check(man(**arguments), PLAN).exposure.auc_0_inf)


# --- Pharmacokinetics -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["langenhorst2019", "varela2025"])
def test_the_exposure_is_that_of_the_twin_with_a_clearance_for_each_dose(model: str) -> None:
    chosen = load_model(model)
    twin = reference.load(chosen.path)
    prediction = predict(chosen, man(), PLAN, PLAN.course(man()))
    times, lengths, amounts = prediction.arrays
    occasions = []
    for scr in (0.8, 0.8, 1.6):
        person = {"AGE": 60.0, "SEX": "male", "WT": 80.0, "HT": 178.0, "SCR": scr,
                  "product": "axi_cel"}  # fmt: skip
        occasions.append(reference.typical(twin, reference.covariates_of(twin, person)))
    infusions = list(zip(times.tolist(), lengths.tolist(), amounts[0].tolist(), strict=True))
    assert prediction.auc_0_inf == pytest.approx(
        reference.auc_0_inf(occasions, infusions), rel=1e-12
    )
    at = np.array([3.0, 30.0, 50.0, 80.0])
    slow, _ = reference.solve_expm(occasions, infusions, at.tolist())
    assert prediction.typical_mg_l(at) == pytest.approx(slow, rel=1e-12)


def test_a_value_counts_from_the_first_dose_at_or_after_its_time() -> None:
    assert auc(scr="0.8 mg/dL; 25h 1.6 mg/dL") == auc(scr="0.8 mg/dL; 48h 1.6 mg/dL")
    assert auc(scr="0.8 mg/dL; 24h 1.6 mg/dL") > auc(scr="0.8 mg/dL; 25h 1.6 mg/dL")
    assert auc(scr="0.8 mg/dL; 49h 1.6 mg/dL") == auc(scr="0.8 mg/dL")


def test_a_value_that_stays_changes_nothing() -> None:
    constant = check(man("0.8 mg/dL"), PLAN)
    same = check(man("0.8 mg/dL; 24h 0.8 mg/dL"), PLAN)
    assert same.exposure.auc_0_inf == pytest.approx(constant.exposure.auc_0_inf, rel=1e-13)
    assert same.exposure.auc_0_inf_pi90 == pytest.approx(
        constant.exposure.auc_0_inf_pi90, rel=1e-12
    )


def test_the_exposure_lies_between_those_of_both_values() -> None:
    assert auc(scr="0.8 mg/dL") < auc() < auc(scr="1.6 mg/dL")


def test_the_interval_and_the_uncertain_interval_follow() -> None:
    low, changing, high = (
        check(man(scr), PLAN).exposure for scr in ("0.8 mg/dL", RISING, "1.6 mg/dL")
    )
    for name in ("auc_0_inf_pi90", "auc_0_inf_uncertain_pi90"):
        for side in (0, 1):
            values = [getattr(exposure, name)[side] for exposure in (low, changing, high)]
            assert values == sorted(values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"egfr": "90; 48h 45"}, {"egfr": ["90", "2 days 45 mL/min/1.73 m2"]}),
        ({"crcl": "100; 48h 50"}, {"crcl_ml_min": 100.0, "renal_changes": [(48, 50.0)]}),
        ({"scr": RISING}, {"scr": ["0.8 mg/dL", "from 48 h: 141.44 umol/L"]}),
    ],
)
def test_every_measure_may_change_and_in_every_way_of_writing(one: Any, other: Any) -> None:
    first, second = Patient(**MAN, **one), Patient(**MAN, **other)
    assert [*first.renal_changes[0]] == pytest.approx([*second.renal_changes[0]])
    assert check(first, PLAN).exposure.auc_0_inf == pytest.approx(
        check(second, PLAN).exposure.auc_0_inf, rel=1e-9
    )


# --- Rules, remarks, faults -----------------------------------------------------------------------


def test_a_label_that_forbids_the_later_doses_stops_the_answer() -> None:
    falling = check(man("0.8 mg/dL; 24h 4.0 mg/dL"), PLAN)
    assert falling.headline.stops
    assert any(remark.code == "label_renal" for remark in falling.remarks)
    late = check(man("0.8 mg/dL; 72h 4.0 mg/dL"), PLAN)
    assert not any(remark.code == "label_renal" for remark in late.remarks)


def test_the_remark_says_which_doses_a_value_counts_for() -> None:
    (remark,) = (r for r in check(man(), PLAN).remarks if r.code == "renal_changes")
    assert "creatinine 1.6 mg/dL from 48 h counts from the dose at 48 h" in remark.message
    (late,) = (
        r for r in check(man("0.8 mg/dL; 60h 1.6 mg/dL"), PLAN).remarks if r.code == "renal_changes"
    )
    assert "counts for no dose of this course" in late.message


def test_the_trail_shows_the_clearance_of_every_dose_and_areas_that_add_up() -> None:
    result = check(man(), PLAN)
    clearances = [step for step in result.trail if step.name == "CL"]
    assert [step.how for step in clearances[1:]] == ["from the dose at 48 h"]
    area = next(step for step in result.trail if step.name == "AUC0-inf")
    parts = [float(x) for x in area.how.split(": ")[1].split(" + ")]
    assert sum(parts) == pytest.approx(area.value, abs=0.02)


@pytest.mark.parametrize(
    ("scr", "fault"),
    [
        ("48h 1.2 mg/dL", "of the first dose there is none"),
        ("0.8 mg/dL; 1.2 mg/dL", "are both of the first dose"),
        ("0.8 mg/dL; 0h 1.2 mg/dL", "not after the first dose"),
        ("0.8 mg/dL; 48h 1.2 mg/dL; 24h 1.0 mg/dL", "do not ascend"),
        ("0.8 mg/dL; 48h 1.2", "has no unit"),
        ("0.8 mg/dL; 48h 120 mg/dL", "at 48 h = 120 mg/dL is above"),
        ("0.8 mg/dL; 48h 20 mg/dL", "at 48 h "),
        ("0.8 mg/dL; 2026-01-16 08:00 1.2 mg/dL", "give first_dose too"),
        ("0.8 mg/dL; 16/01/2026 1.2 mg/dL", 'write "2026-01-16"'),
        ("0.8 mg/dL; 08:00 1.2 mg/dL", "without its date"),
    ],
)
def test_what_is_not_meant_is_refused(scr: str, fault: str) -> None:
    with pytest.raises(InputError) as refused:
        man(scr)
    assert fault in str(refused.value)


def test_an_impossible_height_is_refused_whether_or_not_creatinine_changes() -> None:
    for scr in ("0.8 mg/dL", "0.8 mg/dL; 48h 1.2 mg/dL"):
        with pytest.raises(InputError) as refused:
            Patient(age=45, weight=80, height=0, scr=scr)
        assert str(refused.value) == "height_cm = 0 cm must be above zero"


FIRST: Final = "2026-01-14 08:30"
BY_CLOCK: Final = "0.8 mg/dL; 2026-01-16 08:30 1.6 mg/dL"


def test_a_clock_time_counts_in_hours_from_the_first_dose() -> None:
    """Exposure and hash are those of the hours, and the answer says how it counted."""
    by_clock, by_hours = check(man(BY_CLOCK, first_dose=FIRST), PLAN), check(man(), PLAN)
    assert by_clock.exposure == by_hours.exposure
    assert by_clock.provenance.input_sha256 == by_hours.provenance.input_sha256
    (counted,) = (r.message for r in by_clock.remarks if r.code == "clock_times")
    assert counted == f"2026-01-16 08:30 is 48 h after the first dose ({FIRST})"


def test_hours_are_those_of_the_time_zone_or_an_hour_is_in_doubt() -> None:
    spring = {"scr": "0.8 mg/dL; 2026-03-30 08:30 1.6 mg/dL", "first_dose": "2026-03-28 08:30"}
    assert man(**spring, time_zone="Europe/Berlin").renal_changes == ((47.0, 1.6),)
    doubtful = check(man(**spring), PLAN)
    assert any(remark.code == "clock_change" for remark in doubtful.remarks)


def test_a_value_of_the_day_before_is_that_of_the_first_dose() -> None:
    before = man("2026-01-13 20:00 0.8 mg/dL; 2026-01-16 08:30 1.6 mg/dL", first_dose=FIRST)
    assert before == man()


@pytest.mark.parametrize(
    ("scr", "first_dose", "faults"),
    [
        ("2026-01-12 08:00 0.9 mg/dL; 2026-01-13 08:00 0.8 mg/dL", FIRST, ["give the last of"]),
        ("0.8 mg/dL; 2026-01-13 08:00 1.6 mg/dL", FIRST, ["not after the first dose"]),
        ("2026-01-15 08:00 0.8 mg/dL", FIRST, ["of the first dose there is none"]),
        (BY_CLOCK, "2026-01-14", ["first_dose = '2026-01-14' has no clock time"]),
        ("2026-01-12 08:00 1 mg/dL; 2026-01-13 08:00 1 mg/dL", "14.1.26", ["first_dose = "]),
    ],
)
def test_clock_times_that_leave_a_doubt_are_refused(
    scr: str, first_dose: str, faults: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        man(scr, first_dose=first_dose)
    assert len(refused.value.faults) == len(faults)
    for fault in faults:
        assert fault in str(refused.value)


def test_every_door_takes_clock_times(tmp_path: Path) -> None:
    """The command line, a request, a form, a list and an update by levels."""
    expected = auc()
    words = [*WORDS, "--scr", BY_CLOCK]
    done = CliRunner().invoke(main, [*words, "--first-dose", FIRST])
    assert json.loads(done.stdout)["exposure"]["auc_0_inf"] == expected
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 3
    assert "--scr = '2026-01-16 08:30' is a clock time: give --first-dose too" in refused.stderr
    course = {**MAN, "regimen": "axi_cel", "first_dose": FIRST}
    said = typed({"renal": "0.8; 2026-01-16 08:30 1.6", "renal_unit": "mg/dL"})
    for asked in ({"scr": BY_CLOCK}, {"scr": BY_CLOCK.split("; ")}, said):
        answer = CheckAsked.model_validate({**course, **asked}).answer()
        assert answer.exposure.auc_0_inf == expected
    levels = [{"time": "2026-01-14 10:30", "conc": "0.6 mg/L"}]
    updated = UpdateAsked.model_validate({**course, "scr": BY_CLOCK, "levels": levels}).answer()
    assert updated.prior.exposure.auc_0_inf == pytest.approx(expected)
    (counted,) = (r.message for r in updated.remarks if r.code == "clock_times")
    assert "2026-01-14 10:30 is 2 h" in counted
    assert "2026-01-16 08:30 is 48 h" in counted
    header = "id,age,sex,weight_kg,height_cm,scr_mg_dl,regimen,first_dose"
    cells = f"1,60,male,80,178,0.8; 2026-01-16 08:30 1.6,axi_cel,{FIRST}"
    rows = batch(tmp_path, f"{header}\n{cells}\n")
    assert found_in(rows, "auc_0_inf") == pytest.approx(expected, rel=1e-9)


def test_a_later_value_outside_the_studied_range_is_told() -> None:
    result = check(man("0.8 mg/dL; 24h 3.4 mg/dL"), PLAN)
    assert any("eGFR" in r.message for r in result.remarks if r.code == "outside_studied_range")


# --- Other answers --------------------------------------------------------------------------------


def test_levels_are_fitted_with_the_clearance_of_their_dose() -> None:
    prediction = predict(load_model(), man(), PLAN, PLAN.course(man()))
    at = np.array([2.0, 26.0, 50.0, 56.0, 70.0])
    conc = prediction.typical_mg_l(at)
    levels = [f"{t:g}h {c:.9g} mg/L" for t, c in zip(at, conc, strict=True)]
    own = update(man(), PLAN, levels)
    assert own.posterior.auc_0_inf == pytest.approx(prediction.auc_0_inf, rel=0.02)
    blind = update(man("0.8 mg/dL"), PLAN, levels)
    assert own.posterior.auc_0_inf == pytest.approx(blind.posterior.auc_0_inf, rel=0.25)
    assert [level.typical_mg_l for level in own.levels] == pytest.approx(conc, rel=1e-6)


def test_a_dose_for_a_target_counts_with_the_change() -> None:
    constant = find_dose(man("0.8 mg/dL"), PLAN, auc=19.0)
    changing = find_dose(man(), PLAN, auc=19.0)
    assert changing.dose.dose_mg < constant.dose.dose_mg
    assert changing.dose.auc_0_inf == pytest.approx(19.0, rel=0.02)


def test_sampling_times_can_be_judged() -> None:
    assert design(man(), PLAN, most=1, patients=40).best


# --- Doors ----------------------------------------------------------------------------------------


def test_the_command_line_takes_several_values() -> None:
    several = CliRunner().invoke(main, [*WORDS, "--scr", "0.8 mg/dL", "--scr", "48h 1.6 mg/dL"])
    at_once = CliRunner().invoke(main, [*WORDS, "--scr", RISING])
    assert several.exit_code == 0, several.output
    document = json.loads(several.stdout)
    assert document["patient"]["renal_changes"] == "creatinine 1.6 mg/dL from 48 h"
    assert document["exposure"] == json.loads(at_once.stdout)["exposure"]
    refused = CliRunner().invoke(main, [*WORDS, "--scr", "48h 1.6 mg/dL"])
    assert refused.exit_code == 3
    assert "--scr" in refused.stderr


def test_a_request_and_a_form_take_them_too() -> None:
    course = {**MAN, "regimen": "axi_cel"}
    by_list = CheckAsked.model_validate({**course, "scr": ["0.8 mg/dL", "48h 1.6 mg/dL"]}).answer()
    by_text = CheckAsked.model_validate({**course, "scr": RISING}).answer()
    said = typed({"renal": "0.8; 48h 1.6", "renal_unit": "mg/dL"})
    assert said == {"scr": RISING}
    by_form = CheckAsked.model_validate({**course, **said}).answer()
    assert by_list.exposure == by_text.exposure == by_form.exposure == check(man(), PLAN).exposure
    levels = [{"time": "2h", "conc": "0.6 mg/L"}]
    updated = UpdateAsked.model_validate({**course, "scr": RISING, "levels": levels}).answer()
    assert updated.prior.exposure.auc_0_inf == pytest.approx(auc())


def batch(tmp_path: Path, text: str, *options: str) -> list[dict[str, Any]]:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["batch", str(path), "--json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def found_in(document: Any, key: str) -> Any:
    """The first value of a key anywhere in a document."""
    if isinstance(document, dict):
        if key in document:
            return document[key]
        document = list(document.values())
    for part in document if isinstance(document, list) else ():
        value = found_in(part, key)
        if value is not None:
            return value
    return None


@pytest.mark.parametrize(
    ("column", "cell"), [("scr", RISING), ("scr_mg_dl", "0.8; 48h 1.6")], ids=["unit", "header"]
)
def test_a_cell_of_a_list_takes_them(column: str, cell: str, tmp_path: Path) -> None:
    header = f"id,age,sex,weight_kg,height_cm,{column},regimen"
    rows = batch(tmp_path, f"{header}\n1,60,male,80,178,{cell},axi_cel\n")
    assert found_in(rows, "auc_0_inf") == pytest.approx(auc(), rel=1e-9)


def test_a_course_written_as_records_comes_back_with_its_changes(tmp_path: Path) -> None:
    for words in (["--scr", RISING], ["--egfr", "90; 48h 45"], ["--crcl", "100; 24h 50"]):
        command = [*WORDS[:-1], *words]
        path = tmp_path / "events.csv"
        events = CliRunner().invoke(main, [*command, "--events", str(path)])
        assert events.exit_code == 0, events.output
        again = CliRunner().invoke(main, ["batch", str(path), "--json", "--diagnosis", "lbcl"])
        assert again.exit_code == 0, again.output
        expected = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
        assert found_in(json.loads(again.stdout), "auc_0_inf") == pytest.approx(
            expected["exposure"]["auc_0_inf"], rel=1e-9
        )


def test_records_may_have_another_creatinine_at_a_dose(tmp_path: Path) -> None:
    dose = PLAN.course(man()).doses_mg[0]
    header = "ID,TIME,AMT,DUR,EVID,AGE,SEX,WT,HT,scr_mg_dl,product,diagnosis"
    lines = [
        f"1,{time},{dose!r},0.5,1,60,male,80,178,{scr},axi_cel,lbcl"
        for time, scr in ((0, 0.8), (24, 0.8), (48, 1.6))
    ]
    rows = batch(tmp_path, "\n".join([header, *lines]) + "\n", "--amt", "phosphate")
    assert found_in(rows, "auc_0_inf") == pytest.approx(auc(), rel=1e-9)
    other = [line.replace(",80,178", ",82,178") if k == 2 else line for k, line in enumerate(lines)]
    path = tmp_path / "weights.csv"
    path.write_text("\n".join([header, *other]) + "\n", encoding="utf-8")
    refused = CliRunner().invoke(main, ["batch", str(path), "--amt", "phosphate"])
    assert "weight changes within the course" in refused.output
