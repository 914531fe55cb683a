"""Every rule on an update: levels that it is about, and levels that it is not."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from fludapk.answers.goal import Goal
from fludapk.answers.update import update
from fludapk.answers.update_records import UpdateResult
from fludapk.answers.update_remarks import RULES as ORDERED
from fludapk.answers.update_remarks import Rule, UpdateFacts
from fludapk.patients.clock import NO_CLOCK, Clock, read_clock
from fludapk.patients.course import GivenDose
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen

GIRL: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
PLAN: Final = Regimen.named("tisa_cel_ball")
DAY_ONE: Final = ("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L")
ONE_GIVEN: Final = (GivenDose(start_h=0.0, infusion_h=0.5, dose_mg=22.4),)
RULES: Final[Mapping[str, Rule]] = {rule.__name__: rule for rule in ORDERED}


class Case(NamedTuple):
    """An update that a rule is about, and a part of what it says."""

    rule: str
    part: str
    levels: tuple[str, ...] = DAY_ONE
    goal: Goal | None = None
    given: tuple[GivenDose, ...] = ()
    clock: Clock = NO_CLOCK
    options: Mapping[str, Any] = MappingProxyType({})


def facts_of(
    texts: tuple[str, ...],
    goal: Goal | None = None,
    given: tuple[GivenDose, ...] = (),
    clock: Clock = NO_CLOCK,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[UpdateFacts, UpdateResult]:
    levels = [Level.from_text(text, clock) for text in texts]
    result = update(GIRL, PLAN, levels, goal=goal, given=given, **options)
    facts = UpdateFacts(
        fit=result.fit, goal=goal, remaining=result.remaining, surprises=result.surprises
    )
    return facts, result


CASES: Final = (
    Case("level_excluded", "level 2 (2 h, 0.52 mg/L) was left out as asked", DAY_ONE,
         options={"exclude_level": [2]}),
    Case("level_in_infusion", "level at 0.25 h was drawn during an infusion",
         ("0.25h 0.7mg/L", *DAY_ONE)),
    Case("level_twice", "more than one level at 2 h: all are used", (*DAY_ONE, "2h 0.55mg/L")),
    Case("level_order", "were not in order of time", tuple(reversed(DAY_ONE))),
    Case("level_confirmed", "level 4 (480 h, < 0.01 mg/L) is long after the last dose: confirmed",
         (*DAY_ONE, "480h <0.01mg/L"), options={"confirm": "level"}),
    Case("no_dose_left", "nothing is left to adjust", ("80h 0.15mg/L",),
         Goal.chosen(auc=15.0), tuple(
             GivenDose(start_h=24.0 * k, infusion_h=0.5, dose_mg=22.4) for k in range(4))),
    Case("not_reached", "no remaining dose reaches the goal", DAY_ONE, Goal.chosen(auc=90.0)),
    Case("above_plan", "above the planned dose. Against it: ", DAY_ONE, Goal.chosen(auc=25.0)),
    Case("below_plan", "below the planned dose. Underexposure risks relapse", DAY_ONE,
         Goal.chosen(auc=8.0)),
    Case("clock_change", "clocks change on 2026-03-29 in many places, and no time zone was given",
         ("2026-03-28 10:30 0.52mg/L", "2026-03-29 06:30 0.05mg/L"),
         clock=read_clock("2026-03-28 08:30")),
    Case("clock_shift", "2026-03-29 11:30 is +1 h by the clock from the first dose",
         ("2026-03-28 10:30 0.52mg/L", "2026-03-29 11:30 0.5mg/L"),
         clock=read_clock("2026-03-28 08:30", "Europe/Berlin")),
    Case("clock_times", "2026-01-14 10:30 is 2 h after the first dose (2026-01-14 08:30), "
         "14.01.2026 15:30 is 7 h", ("2026-01-14 10:30 0.52mg/L", "14.01.2026 15:30 0.15mg/L"),
         clock=read_clock("2026-01-14 08:30")),
)  # fmt: skip


def test_every_rule_about_this_plan_has_a_case() -> None:
    assert [case.rule for case in CASES] == [
        name for name in RULES if name not in ("several_explanations", "plan_above_ceiling")
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_speaks_of_what_it_is_about(case: Case) -> None:
    facts, result = facts_of(case.levels, case.goal, case.given, case.clock, case.options)
    remark = RULES[case.rule](facts)
    assert remark is not None
    assert case.part in remark.message
    assert remark in result.remarks


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_silent_about_plain_levels(rule: str) -> None:
    facts, _ = facts_of(DAY_ONE)
    assert RULES[rule](facts) is None


def test_levels_with_several_explanations_are_drawn_otherwise_and_that_is_remarked() -> None:
    facts, _ = facts_of(DAY_ONE)
    posterior: Any = replace(facts.fit.posterior, method="metropolis")
    remark = RULES["several_explanations"](
        replace(facts, fit=replace(facts.fit, posterior=posterior))
    )
    assert remark is not None
    assert "drawn by Metropolis steps" in remark.message


@pytest.mark.parametrize(
    ("goal", "misses", "reason"),
    [
        ({"auc": 90.0}, "low", "too low even at the highest dose that may be given"),
        ({"window": (1.0, 2.0)}, "high", "too high even without another dose"),
        ({"window": (15.0, 15.1)}, "both", "the window is narrower than one step of rounding"),
        (
            {"window": (13.8, 20.0), "probability": 0.99},
            "both",
            "because of what the levels leave open no dose has this probability",
        ),
    ],
)
def test_the_side_on_which_a_goal_is_missed_is_said(
    goal: dict[str, Any], misses: str, reason: str
) -> None:
    facts, result = facts_of(DAY_ONE, Goal.chosen(**goal))
    assert facts.remaining is not None
    assert (facts.remaining.misses, facts.remaining.reached) == (misses, False)
    (remark,) = [remark for remark in result.remarks if remark.code == "not_reached"]
    assert f": {reason}; the nearest, {facts.remaining.dose_mg:g} mg per dose" in remark.message


def test_doses_given_that_leave_too_little_for_the_plan_are_remarked() -> None:
    plan = Regimen.from_text(dose="40 mg/m2", days="6")
    given = ["0h 37mg", "24h 37mg"]
    result = update(GIRL, plan, ["2h 0.9mg/L", "26h 0.9mg/L"], given=given, auc=90.0)
    (remark,) = [remark for remark in result.remarks if remark.code == "plan_above_ceiling"]
    assert "at most 28.1 mg may be given per remaining dose" in remark.message
    assert result.remaining is not None
    assert result.remaining.dose_mg == 28.0


SPRING: Final = read_clock("2026-03-28 08:30", "Europe/Berlin")


def test_hours_by_zone_or_offset_are_said_to_be() -> None:
    zone, offset = (
        facts_of((text,), clock=clock)[0]
        for text, clock in (
            ("2026-03-28 10:30 0.52mg/L", SPRING),
            ("2026-03-28 10:30+01:00 0.52mg/L", read_clock("2026-03-28T07:30Z")),
        )
    )
    for facts, words in ((zone, "time zone Europe/Berlin"), (offset, "offsets from UTC")):
        remark = RULES["clock_times"](facts)
        assert remark is not None
        assert remark.message.endswith(words)
        assert RULES["clock_change"](facts) is None


def test_a_shift_of_the_clock_matters_only_to_doses_that_were_not_typed() -> None:
    given = (*ONE_GIVEN, GivenDose(start_h=23.0, infusion_h=0.5, dose_mg=22.4))
    late = ("2026-03-28 10:30 0.52mg/L", "2026-03-29 11:30 0.5mg/L")
    assert RULES["clock_shift"](facts_of(late, given=given, clock=SPRING)[0]) is None
    before_second = ("2026-03-28 10:30 0.52mg/L", "2026-03-29 06:30 0.05mg/L")
    assert RULES["clock_shift"](facts_of(before_second, clock=SPRING)[0]) is None


def test_what_levels_do_not_settle_is_repeated_from_the_check() -> None:
    girl = replace(GIRL, height_cm=135.0, confirmed=("height",))
    tall = update(girl, PLAN, [Level.from_text(text) for text in DAY_ONE])
    codes = {"unusual_for_age", "dose_basis", "confirmed"}
    repeated = [remark for remark in tall.prior.remarks if remark.code in codes]
    assert tall.remarks == repeated
    assert len(repeated) == 3
