"""The dose for a target is exact, rounded to what can be drawn up, and never above a ceiling."""

import itertools
import json
import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from click.testing import CliRunner

from fludapk.answers.check import check
from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal, candidate_doses, choose
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.course import most_mg
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose

GIRL = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
MAN = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, scr_mg_dl=1.0)
BALL, AXI = Regimen.named("tisa_cel_ball"), Regimen.named("axi_cel")


@pytest.mark.parametrize("step", [0.1, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("auc", [5.0, 13.8, 15.0, 20.0])
def test_the_dose_for_an_auc_is_the_nearest_that_can_be_drawn_up(auc: float, step: float) -> None:
    proposal = find_dose(GIRL, BALL, Goal.chosen(auc=auc), round_to_mg=step).dose
    per_mg = proposal.auc_0_inf / proposal.dose_mg
    assert proposal.dose_mg / step == pytest.approx(round(proposal.dose_mg / step))
    assert abs(proposal.auc_0_inf - auc) <= step * per_mg / 2 * (1 + 1e-9)
    assert proposal.reached


def test_the_check_of_the_proposed_dose_gives_the_same_numbers() -> None:
    result = find_dose(MAN, AXI, Goal.chosen(target="scordo2023"))
    proposal = result.dose
    again = check(MAN, Regimen(dose=proposal.dose_mg, unit="mg", days=3)).exposure
    assert proposal.auc_0_inf == pytest.approx(again.auc_0_inf, rel=1e-12)
    assert proposal.auc_0_inf_pi90 == pytest.approx(again.auc_0_inf_pi90, rel=1e-9)
    (target,) = [t for t in result.check.targets if t.id == "scordo2023"]
    assert target.p_within == pytest.approx(proposal.p_within, abs=2 / 8192)


def test_the_dose_for_a_bound_has_a_probability_of_0_8_unless_another_is_typed() -> None:
    result = find_dose(GIRL, BALL, Goal.chosen(target="fabrizio2022"))
    typed = find_dose(GIRL, BALL, Goal.chosen(target="fabrizio2022", probability=0.8))
    even = find_dose(GIRL, BALL, Goal.chosen(target="fabrizio2022", probability=0.52))
    assert result.goal_probability == 0.8
    assert "with probability 0.8, the default" in result.goal
    assert result.dose == typed.dose
    assert result.dose.p_within > 0.8
    assert even.dose.dose_mg < result.dose.dose_mg


def test_where_no_dose_comes_near_the_highest_is_proposed_and_not_the_first() -> None:
    two_days = Regimen(dose=1, unit="mg", days=2)
    result = find_dose(GIRL, two_days, Goal.chosen(window=(60.0, 80.0)), planned=False)
    assert result.dose.dose_mg == math.floor(result.ceiling_mg)
    assert result.dose.misses == "low"
    assert result.dose.at_ceiling
    (said,) = [w.message for w in result.remarks if w.code == "not_reached"]
    assert "too low even at the highest dose that may be given" in said


def test_the_dose_for_a_probability_is_the_smallest_that_reaches_it() -> None:
    goal = Goal.chosen(target="fabrizio2022", probability=0.8)
    proposal = find_dose(GIRL, BALL, goal).dose
    assert proposal.p_within >= 0.8
    less = check(GIRL, Regimen(dose=proposal.dose_mg - 1, unit="mg", days=4))
    (target,) = [t for t in less.targets if t.id == "fabrizio2022"]
    assert 1 - target.p_below < 0.8


def test_no_dose_of_the_window_is_likelier_than_the_one_proposed() -> None:
    proposal = find_dose(GIRL, BALL, Goal.chosen(window=(13.8, 20.0))).dose
    for dose in range(15, 37):
        rival = check(GIRL, Regimen(dose=dose, unit="mg", days=4)).targets
        below = next(t.p_below for t in rival if t.id == "fabrizio2022")
        above = next(t.p_above for t in rival if t.id == "langenhorst2019b")
        assert 1 - below - above <= proposal.p_within + 1e-9


def test_a_window_narrower_than_the_variability_gives_the_best_that_can_be_had() -> None:
    result = find_dose(MAN, AXI, Goal.chosen(target="scordo2023", probability=0.5))
    best = find_dose(MAN, AXI, Goal.chosen(target="scordo2023"))
    assert not result.dose.reached
    assert not result.dose.at_ceiling
    assert result.dose.dose_mg == best.dose.dose_mg
    (said,) = [w.message for w in result.remarks if w.code == "not_reached"]
    assert "variability between patients" in said
    assert "18 % in the window" in said


def test_a_ceiling_is_not_passed_for_any_goal() -> None:
    result = find_dose(MAN, AXI, Goal.chosen(auc=80.0))
    proposal = result.dose
    assert proposal.at_ceiling
    assert not proposal.reached
    assert proposal.dose_mg_m2 <= 50
    assert proposal.dose_mg + 1 > result.ceiling_mg
    message = next(w.message for w in result.remarks if "no dose reaches" in w.message)
    assert "too low even at the highest dose" in message


def test_an_auc_below_that_of_the_smallest_dose_is_not_blamed_on_patients() -> None:
    result = find_dose(GIRL, BALL, Goal.chosen(auc=0.01))
    assert not result.dose.reached
    (said,) = [w.message for w in result.remarks if w.code == "not_reached"]
    assert "the smallest dose that can be drawn up" in said


@pytest.mark.parametrize(
    ("days", "interval", "mg_m2"), [(3, 24.0, 50.0), (6, 24.0, 250 / 6), (4, 12.0, 25.0)]
)
def test_the_ceiling_is_per_day_and_per_course(days: int, interval: float, mg_m2: float) -> None:
    times = [k * interval for k in range(days)]
    (most,) = most_mg(GIRL.bsa_m2, times)
    assert most == pytest.approx(mg_m2 * GIRL.bsa_m2, rel=1e-12)
    highest = candidate_doses(most, 0.1)[-1]
    plan = Regimen(dose=float(highest), unit="mg", days=days, interval_h=interval)
    assert plan.course(GIRL).total_mg > 0
    with pytest.raises(InputError, match="refused"):
        Regimen(dose=float(highest) + 0.2, unit="mg", days=days, interval_h=interval).course(GIRL)


def test_the_answer_is_the_dose_by_the_model_that_the_target_was_found_with() -> None:
    for patient, plan, goal in (
        (GIRL, BALL, {"auc": 15}), (MAN, AXI, {"target": "scordo2023"}), (MAN, AXI, {"auc": 15}),
    ):  # fmt: skip
        result = find_dose(patient, plan, **goal)
        assert result.answer is not None
        assert result.answer.model == result.expected[0].model == "langenhorst2019"
        assert result.headline == result.check.headline


def test_a_model_may_be_asked_for_instead() -> None:
    result = find_dose(MAN, AXI, target="scordo2023", model="varela2025")
    assert result.answer is not None
    assert result.answer.model == result.expected[0].model == "varela2025"
    assert result.answer.dose_mg < find_dose(MAN, AXI, target="scordo2023").dose.dose_mg
    assert result.headline.model == "langenhorst2019", "the chance is by the target's own model"


def test_other_models_say_what_they_expect_of_that_dose() -> None:
    result = find_dose(MAN, AXI, target="scordo2023")
    for row in result.expected:
        course = AXI.in_mg(result.dose.dose_mg)
        auc = check(MAN, course, model=row.model).exposure.auc_0_inf
        assert row.auc_0_inf == pytest.approx(auc, rel=1e-12)
        assert row.side == result_side(auc, 18.0, 20.0)
    (said,) = [r.message for r in result.remarks if r.code == "models_disagree"]
    assert said.startswith("Varela 2025, built from adults 23-82 y")
    assert said.endswith("expects 21.97 mg·h/L: above 20")


def result_side(auc: float, low: float, high: float) -> str:
    return f"below {low:g}" if auc < low else f"above {high:g}" if auc > high else "within 18-20"


def test_another_reading_of_the_paper_is_no_rival_of_the_answer() -> None:
    result = find_dose(GIRL, BALL, auc=15)
    (reading,) = [row for row in result.expected if row.reading_of]
    assert reading.auc_0_inf > 1.4 * result.dose.auc_0_inf
    assert {"comparison_reading"} == {r.code for r in result.remarks if "indexed" in r.message}
    page = run("--regimen", "tisa_cel_ball", "--auc", "15").stdout
    assert "NO SINGLE ANSWER" not in page
    assert "Per dose 25 mg" in page


def test_a_target_of_other_patients_is_a_caution() -> None:
    result = find_dose(MAN, AXI, target="fabrizio2022")
    (said,) = [r for r in result.remarks if r.code == "target_of_others"]
    assert said.severity == "caution"
    assert "Fabrizio 2022 was found in other patients: 152 children" in said.message
    assert "The target that fits this patient is Scordo 2023 (scordo2023)" in said.message
    own = find_dose(MAN, AXI, target="scordo2023")
    assert "target_of_others" not in {r.code for r in own.remarks}
    unknown = find_dose(MAN, Regimen(dose=1, unit="mg", days=3), target="scordo2023")
    (said,) = [r for r in unknown.remarks if r.code == "target_of_others"]
    assert "No published target is known to fit" in said.message


FAILING: Final = replace(MAN, scr_mg_dl=5.09)
"""A label says not to give the drug at this kidney function."""


@pytest.mark.parametrize("goal", [{"auc": 15.0}, {"target": "scordo2023"}, {"window": (13.8, 20)}])
@pytest.mark.parametrize("is_planned", [True, False])
def test_no_dose_is_proposed_under_stop(goal: Any, is_planned: bool) -> None:
    result = find_dose(FAILING, AXI, **goal, planned=is_planned)
    assert result.remarks[0].severity == "stop"
    assert result.headline.stops == [r.message for r in result.remarks if r.severity == "stop"]
    assert result.headline.sentence == "No dose is proposed"
    for nothing in (
        result.answer, result.proposed, result.change_from_planned, result.headline.auc_0_inf,
        result.headline.interval, result.headline.p_below, result.headline.p_above,
    ):  # fmt: skip
        assert nothing is None
    assert result.would_give == result.dose
    assert [row["dose_mg"] for row in result.rows()] == [None] * len(result.expected)
    page = result.to_text()
    assert page.index("STOP: ") < page.index("No dose is proposed")
    assert page.index("No dose is proposed") < page.index("Not proposed: what langenhorst2019")
    assert page.index("Not proposed") < page.index("Per dose ")
    assert "Per dose" not in result.to_text(is_brief=True)


def test_a_proposal_above_the_plan_carries_reason_and_risk() -> None:
    result = find_dose(GIRL, BALL, Goal.chosen(auc=15), planned=True)
    (said,) = [w.message for w in result.remarks if w.code == "above_planned"]
    assert "12 % above the planned dose" in said
    assert "AUC0-inf 15 mg·h/L" in said
    assert "CNS toxicity" in said
    assert "no trial supports" in said


def test_a_proposal_far_below_the_plan_carries_reason_and_risk() -> None:
    result = find_dose(MAN, AXI, Goal.chosen(auc=15), planned=True)
    (said,) = [w.message for w in result.remarks if w.code == "below_planned"]
    assert "% below the planned dose, for: AUC0-inf 15 mg·h/L" in said
    assert "Underexposure risks relapse" in said
    assert "above_planned" not in [w.code for w in result.remarks]
    assert result.change_from_planned == pytest.approx(-float(said.split()[0]) / 100, abs=0.005)


def test_the_search_is_that_of_a_person_who_tries_every_dose() -> None:
    rng = np.random.default_rng(7)
    aucs = rng.lognormal(math.log(0.4), 0.3, 500)
    line = AucByDose(likely_per_mg=0.4, fixed=np.zeros(500), per_mg=aucs)
    doses = np.arange(1.0, 80.0)
    for low, wanted in itertools.product((5.0, 14.0), (0.3, 0.6, 0.99)):
        goal = Goal.chosen(window=(low, low + 6), probability=wanted)
        shares = [np.mean((d * aucs >= low) & (d * aucs <= low + 6)) for d in doses]
        enough = [d for d, share in zip(doses, shares, strict=True) if share > wanted]
        best = choose(goal, doses, line, 1.0, spread="chance")
        assert (best.misses is None) == bool(enough)
        if enough:
            assert doses[best.place] == enough[0]
        else:  # smoothed, so that it is not the place where the noise is highest
            assert shares[best.place] > max(shares) - 0.03


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "give one goal"),
        ({"auc": 15.0, "target": "fabrizio2022"}, "give one goal"),
        ({"target": "fabrizio"}, "did you mean 'fabrizio2022'"),
        ({"window": (20.0, 13.8)}, "low first"),
        ({"window": (math.nan, 20.0)}, "low first"),
        ({"auc": -1.0}, "above zero"),
        ({"auc": math.inf}, "above zero"),
        ({"auc": 1e308}, "above zero"),
        ({"window": (1e300, math.inf)}, "low first"),
        ({"auc": 15.0, "probability": 0.8}, "needs a window"),
        ({"target": "fabrizio2022", "probability": 80.0}, "between 0 and 1"),
    ],
)
def test_an_impossible_goal_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Goal.chosen(**asked)


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, 1000.0, 1e-9])
def test_a_rounding_step_without_a_dose_is_refused(step: float) -> None:
    with pytest.raises(InputError, match="round"):
        find_dose(GIRL, BALL, Goal.chosen(auc=15), round_to_mg=step)


def run(*arguments: str) -> Any:
    girl = ["--age", "5", "--sex", "female", "--weight", "18.2", "--height", "110"]
    return CliRunner().invoke(main, ["dose", *girl, "--scr", "0.3 mg/dL", *arguments])


def test_the_command_prints_json_that_says_what_the_page_says() -> None:
    done = run("--days", "4", "--window", "13.8", "20", "--round-to", "0.5 mg", "--json")
    answer = json.loads(done.stdout)
    assert answer["schema"] == "fludapk.dose/2"
    assert answer["goal_low"] == 13.8
    assert answer["planned"] is None
    assert answer["answer"]["dose_mg"] % 0.5 == 0
    page = run("--days", "4", "--window", "13.8", "20", "--round-to", "0.5 mg").stdout
    assert f"{answer['answer']['dose_mg']:g} mg" in page
    assert "not a medical device" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--auc", "15"), "give --days, the number of infusions, or --regimen"),
        (("--days", "4"), "give one goal"),
        (("--days", "4", "--auc", "15", "--round-to", "1 g"), "unknown unit 'g'"),
        (("--days", "4", "--target", "dekker"), "did you mean 'dekker2022'"),
    ],
)
def test_the_command_refuses_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 3
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
