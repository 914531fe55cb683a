"""Rules that a reader of an update must know of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fludapk.answers.check_records import CheckResult
from fludapk.answers.fit import Fit
from fludapk.answers.goal import Goal
from fludapk.answers.record import Remark
from fludapk.answers.update_records import RemainingDose
from fludapk.patients.course import NEUROTOXICITY
from fludapk.patients.level import Level

LATE_H: Final = 14 * 24.0


def remarks_of_update(
    someone: Fit,
    levels: Sequence[Level],
    goal: Goal | None,
    remaining: RemainingDose | None,
    surprises: Sequence[str],
    prior: CheckResult,
) -> list[Remark]:
    """Remarks on an update, the most important first."""
    course, cautions = someone.course, [("surprising", text) for text in surprises]
    during = [
        f"{level.time_h:g} h"
        for level in levels
        for start, length in zip(course.times_h, course.infusion_h, strict=True)
        if start < level.time_h < start + length
    ]
    if during:
        cautions.append(
            (
                "level_in_infusion",
                f"level at {', '.join(dict.fromkeys(during))} was drawn during an infusion: a "
                "small error of time or a sample from the infusion line changes it much",
            )
        )
    times = [level.time_h for level in levels]
    twice = sorted({time for time in times if times.count(time) > 1})
    if twice:
        listed = ", ".join(f"{time:g} h" for time in twice)
        cautions.append(("level_twice", f"more than one level at {listed}: all are used"))
    if times != sorted(times):
        cautions.append(("level_order", "the levels were not in order of time: they were sorted"))
    late = [f"{t:g} h" for t in times if t > course.times_h[-1] + LATE_H]
    if late:
        cautions.append(
            (
                "level_late",
                f"level at {', '.join(late)} is more than two weeks after the last dose: check "
                "that doses and levels are on the same clock",
            )
        )
    if goal is not None and not someone.left:
        cautions.append(("no_dose_left", "every dose is given: nothing is left to adjust"))
    if remaining is not None and not remaining.reached:
        aim = "no remaining dose reaches the goal"
        why = "a ceiling keeps it from more" if remaining.at_ceiling else "the nearest is shown"
        if remaining.dose_mg == 0:
            why = "even without another dose it is above"
        cautions.append(("not_reached", f"{aim} ({remaining.goal}): {why}"))
    if remaining is not None and remaining.dose_mg > remaining.planned_mg * (1 + 1e-9):
        more = remaining.dose_mg / remaining.planned_mg - 1
        cautions.append(
            (
                "above_plan",
                f"{more:.0%} above the planned dose. Against it: {NEUROTOXICITY}; thresholds are "
                "retrospective, and no trial supports a dose above the label",
            )
        )
    if remaining is not None and remaining.dose_mg < 0.9 * remaining.planned_mg:
        less = 1 - remaining.dose_mg / remaining.planned_mg
        cautions.append(
            (
                "below_plan",
                f"{less:.0%} below the planned dose. Against it: too little exposure lets the "
                "leukaemia come back; thresholds are retrospective, and no trial supports a dose "
                "below the label",
            )
        )
    if someone.posterior.method != "importance":
        cautions.append(
            (
                "posterior",
                "the levels leave several explanations: the posterior was drawn by Metropolis "
                "steps",
            )
        )
    said = [Remark(code=code, level="caution", message=text) for code, text in cautions]
    return [*said, *(w for w in prior.warnings if w.code in _STILL_TRUE)]


_STILL_TRUE: Final = ("outside_studied_range", "other_disease", "dose_basis", "unusual_for_age")
"""Remarks of the check that levels do not settle."""
