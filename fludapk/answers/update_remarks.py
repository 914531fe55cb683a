"""Remarks on an update, each a rule of its own; see `fludapk.answers.check_remarks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fludapk.answers.agreement import called, misfit_of
from fludapk.answers.clock_remarks import clocks_may_change, hours_counted
from fludapk.answers.fit import Fit
from fludapk.answers.goal import Goal
from fludapk.answers.record import Remark, caution, only_stops, stop, worst_first
from fludapk.answers.update_records import RemainingDose
from fludapk.language import ntr, tr
from fludapk.patients.clock import ClockTime
from fludapk.patients.course import AGAINST_LESS, AGAINST_MORE, NOTEWORTHY_CUT, most_mg
from fludapk.patients.level import Level


@dataclass(frozen=True, kw_only=True)
class UpdateFacts:
    """Everything a rule may look at.

    Parameters
    ----------
    fit : Fit
    goal : Goal, optional
    remaining : RemainingDose, optional
        Proposal for the doses that are left.
    surprises : sequence of str
        Levels and effects that the model does not expect.
    stops : sequence of Remark
        Reasons why no dose is proposed, see `stops_of`.
    """

    fit: Fit
    goal: Goal | None
    remaining: RemainingDose | None
    surprises: Sequence[str] = ()
    stops: Sequence[Remark] = ()

    @property
    def levels(self) -> list[Level]:
        """Levels of the estimate, as given."""
        return [self.fit.measured.at(place) for place in self.fit.measured.used]

    @property
    def times_h(self) -> list[float]:
        """Times of the levels, h."""
        return [level.time_h for level in self.levels]

    @property
    def clock_times(self) -> list[ClockTime]:
        """Times of levels, doses and creatinines that were typed as a clock shows them."""
        times = [level.clock for level in self.levels] + [dose.clock for dose in self.fit.given]
        typed = [at for at in times if at is not None]
        return [*typed, *self.fit.request.patient.renal_clocks]


Rule: TypeAlias = Callable[[UpdateFacts], Remark | None]


def stops_of(fit: Fit) -> list[Remark]:
    """Reasons why no dose is proposed: the levels do not fit, or those of the check."""
    own = [] if fit.fits else [stop("levels_do_not_fit", misfit_of(fit))]
    return [*own, *only_stops(fit.prior.remarks)]


def remarks_of_update(facts: UpdateFacts) -> list[Remark]:
    """Put surprises first, then apply every rule, then repeat what levels do not settle."""
    remarks = (rule(facts) for rule in RULES)
    return worst_first(
        [
            *facts.stops,
            *(caution("surprising", surprise) for surprise in facts.surprises),
            *(remark for remark in remarks if remark is not None),
            *(remark for remark in facts.fit.prior.remarks if remark.code in _STILL_TRUE),
        ]
    )


_STILL_TRUE: Final = (
    *(
        "not_the_shipped_model",
        "outside_studied_range",
        "other_disease",
        "dose_basis",
        "unusual_for_age",
    ),
    *("confirmed", "cells_before_last_dose", "bsa_cap"),
    *("renal_changes", "gestational_age", "repaired_matrix"),
)
"""Cautions and notes of the check that levels do not settle."""


def level_excluded(facts: UpdateFacts) -> Remark | None:
    """Name the levels that were left out."""
    excluded = facts.fit.measured.excluded
    if not excluded:
        return None
    listed = ", ".join(called(facts.fit, place) for place in excluded)
    message = ntr(
        "{levels} was left out as asked; doses planned before then count as given",
        "{levels} were left out as asked; doses planned before then count as given",
        len(excluded),
        levels=listed,
    )
    if facts.fit.given:
        message = ntr(
            "{levels} was left out as asked",
            "{levels} were left out as asked",
            len(excluded),
            levels=listed,
        )
    return caution("level_excluded", message)


def level_in_infusion(facts: UpdateFacts) -> Remark | None:
    """Warn of levels drawn during an infusion."""
    course = facts.fit.course
    infusions = list(zip(course.times_h, course.infusion_h, strict=True))
    during = [
        f"{time:g} h"
        for time in facts.times_h
        for start, length in infusions
        if start < time < start + length
    ]
    if not during:
        return None
    message = tr(
        "level at {times} was drawn during an infusion: a small error of time or a sample "
        "from the infusion line changes it much",
        times=", ".join(dict.fromkeys(during)),
    )
    return caution("level_in_infusion", message)


def level_twice(facts: UpdateFacts) -> Remark | None:
    """Warn of several levels at one time."""
    times = facts.times_h
    twice = sorted({time for time in times if times.count(time) > 1})
    if not twice:
        return None
    listed = ", ".join(f"{time:g} h" for time in twice)
    return caution("level_twice", tr("more than one level at {times}: all are used", times=listed))


def level_order(facts: UpdateFacts) -> Remark | None:
    """Warn if the levels were not given in order of time."""
    if facts.times_h == sorted(facts.times_h):
        return None
    return caution("level_order", tr("the levels were not in order of time: they were sorted"))


def level_confirmed(facts: UpdateFacts) -> Remark | None:
    """Repeat the times of levels that were refused as unlikely until they were confirmed."""
    confirmed = facts.fit.measured.confirmed
    if not confirmed:
        return None
    listed = "; ".join(
        tr("{level} is long after the last dose", level=called(facts.fit, place))
        if facts.fit.measured.at(place).time_h > 0
        else tr("{level} is before the first dose", level=called(facts.fit, place))
        for place in confirmed
    )
    return caution("level_confirmed", tr("{levels}: confirmed as meant", levels=listed))


def no_dose_left(facts: UpdateFacts) -> Remark | None:
    """Warn if there is a goal, but no dose left to adjust."""
    if facts.goal is None or facts.fit.left:
        return None
    return caution("no_dose_left", tr("every dose is given: nothing is left to adjust"))


def plan_above_ceiling(facts: UpdateFacts) -> Remark | None:
    """Warn if doses given leave too little for the planned ones."""
    course, bsa_m2 = facts.fit.course, facts.fit.request.patient.bsa_m2
    passed = course.given_above_ceilings(bsa_m2)
    if not course.given or passed or not course.ceiling_faults(bsa_m2):
        return None
    doses = course.doses_mg[: course.given]
    most = float(most_mg(bsa_m2, course.times_h, doses, day_h=course.day_h)[0])
    message = tr(
        "with the doses given the planned ones would pass a ceiling: at most {most:g} mg may "
        "be given per remaining dose",
        most=math.floor(10 * most) / 10,
    )
    return caution("plan_above_ceiling", message)


def not_reached(facts: UpdateFacts) -> Remark | None:
    """Warn if no remaining dose reaches the goal."""
    remaining = facts.remaining
    if remaining is None or remaining.reached:
        return None
    message = tr(
        "no remaining dose reaches the goal ({goal}): {reason}; the nearest, {dose:g} mg per "
        "dose, gives AUC {auc:.2f} mg·h/L",
        goal=remaining.goal,
        reason=remaining.reason,
        dose=remaining.dose_mg,
        auc=remaining.auc_0_inf,
    )
    return caution("not_reached", message)


def above_plan(facts: UpdateFacts) -> Remark | None:
    """Say what speaks against more than the planned dose."""
    remaining = facts.remaining
    if remaining is None or remaining.dose_mg <= remaining.planned_mg * (1 + 1e-9):
        return None
    message = tr(
        "{change:.0f} % above the planned dose. {reasons}",
        change=100 * (remaining.dose_mg / remaining.planned_mg - 1),
        reasons=tr(AGAINST_MORE),
    )
    return caution("above_plan", message)


def below_plan(facts: UpdateFacts) -> Remark | None:
    """Say what speaks against much less than the planned dose."""
    remaining = facts.remaining
    if remaining is None or remaining.dose_mg >= (1 - NOTEWORTHY_CUT) * remaining.planned_mg:
        return None
    message = tr(
        "{change:.0f} % below the planned dose. {reasons}",
        change=100 * (1 - remaining.dose_mg / remaining.planned_mg),
        reasons=tr(AGAINST_LESS),
    )
    return caution("below_plan", message)


def several_explanations(facts: UpdateFacts) -> Remark | None:
    """Warn if importance sampling did not do."""
    if facts.fit.posterior.method == "importance":
        return None
    message = tr(
        "the levels leave several explanations: the posterior was drawn by Metropolis steps, "
        "worth {n:.0f} independent draws",
        n=facts.fit.posterior.effective_size,
    )
    return caution("posterior", message)


def clock_change(facts: UpdateFacts) -> Remark | None:
    """Warn if clocks may have changed in the course."""
    return clocks_may_change(facts.clock_times, facts.fit.request.regimen.cells_clock)


def clock_shift(facts: UpdateFacts) -> Remark | None:
    """Warn that doses which were not typed are at another time of day after a change of clocks."""
    shifted = [level.clock for level in facts.levels if level.clock and level.clock.shift_h]
    done = len(facts.fit.course.times_h) - facts.fit.left
    if not shifted or facts.fit.given or done < 2:
        return None
    message = tr(
        "{time} is {shift:+g} h by the clock from the first dose: doses are taken as planned "
        "in real hours, another time of day after clocks changed. Give the doses with their "
        "times",
        time=shifted[0],
        shift=shifted[0].shift_h,
    )
    return caution("clock_shift", message)


def clock_times(facts: UpdateFacts) -> Remark | None:
    """Say back the hours that clock times were read as."""
    return hours_counted(facts.clock_times, facts.fit.request.regimen.cells_clock)


RULES: Final[tuple[Rule, ...]] = (
    level_excluded,
    level_in_infusion,
    level_twice,
    level_order,
    level_confirmed,
    no_dose_left,
    plan_above_ceiling,
    not_reached,
    above_plan,
    below_plan,
    several_explanations,
    clock_change,
    clock_shift,
    clock_times,
)
