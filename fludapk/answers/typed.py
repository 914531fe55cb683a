"""Answers to what was typed, by the names of `fludapk.patients.fields`.

A command, a request of the API, a form and a case file all hold the same thing: a mapping from the
name of a field to a text, a number or a list of them. Here it is read, every fault of it is told at
once, and the question is answered.

What only other questions need is imported where they are asked: a check should not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.goal import Goal
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import tr
from fludapk.patients.clock import Clock, by_clock, read_clock
from fludapk.patients.course import given_of
from fludapk.patients.level import CONFIRMS_TIMES, Level, levels_of
from fludapk.patients.request import (
    Typed,
    read_patient,
    read_regimen,
    read_request,
    read_schedule,
    read_step_mg,
    times_confirmed,
)
from fludapk.published.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from fludapk.answers.compare_records import CompareResult
    from fludapk.answers.design import Design
    from fludapk.answers.dose_records import DoseResult
    from fludapk.answers.update_records import UpdateResult

Folders: TypeAlias = Sequence[Path] | None
Ready: TypeAlias = Callable[[], None]
"""Called once everything typed has been understood, before the computation."""


def _at_once() -> None:
    """Compute without further notice."""


def check_typed(typed: Typed, folders: Folders = None, *, ready: Ready = _at_once) -> CheckResult:
    """Check a planned course.

    Parameters
    ----------
    typed : mapping of str to object
        Name of a field -> text, number, or list of them.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    ready : callable, optional
        Called when everything typed has been understood.

    Raises
    ------
    FludapkError
        With every fault of what was typed, or as `fludapk.answers.check.check`.

    Examples
    --------
    >>> girl = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL"}
    >>> round(check_typed({**girl, "regimen": "tisa_cel_ball"}).exposure.auc_0_inf, 2)
    13.58
    """
    request = read_request(typed)
    ready()
    return check(
        request.patient,
        request.regimen,
        model=request.model,
        round_to_mg=request.round_to_mg,
        strict=bool(typed.get("strict")),
        folders=folders,
    )


def dose_typed(typed: Typed, folders: Folders = None, *, ready: Ready = _at_once) -> DoseResult:
    """Find the dose for a goal; parameters and errors as `check_typed`.

    Without a rounding step doses are multiples of 1 mg.
    """
    from fludapk.answers.dose import find_dose

    goal, patient, (schedule, is_planned), step = gathered(
        lambda: goal_typed(typed) or Goal.chosen(),
        lambda: read_patient(typed),
        lambda: read_schedule(typed),
        lambda: read_step_mg(typed),
    )
    ready()
    return find_dose(
        patient,
        schedule,
        goal,
        planned=is_planned,
        model=_model(typed),
        round_to_mg=1.0 if step is None else step,
        strict=bool(typed.get("strict")),
        folders=folders,
    )


def compare_typed(
    typed: Typed, folders: Folders = None, *, ready: Ready = _at_once
) -> CompareResult:
    """Compare plans for one patient; parameters and errors as `check_typed`."""
    from fludapk.answers.compare import compare
    from fludapk.answers.compare_plans import read_plans

    patient, plans, step = gathered(
        lambda: read_patient(typed),
        lambda: read_plans(typed.get("plans") or (), typed),
        lambda: read_step_mg(typed),
    )
    ready()
    return compare(
        patient,
        plans,
        model=_model(typed),
        round_to_mg=step,
        strict=bool(typed.get("strict")),
        folders=folders,
    )


def update_typed(
    typed: Typed,
    folders: Folders = None,
    *,
    ready: Ready = _at_once,
    levels: Callable[[Clock], list[Level]] | None = None,
) -> UpdateResult:
    """Put measured levels to use; parameters and errors as `check_typed`.

    Parameters
    ----------
    levels : callable, optional
        Reads the levels by the clock of the first dose, where they are not among what was typed.
    """
    from fludapk.answers.update import answer_levels

    when = typed.get("first_dose"), typed.get("time_zone")
    about_patient, are_confirmed = times_confirmed(typed)
    patient, regimen, (measured,), goal, step = gathered(
        lambda: read_patient(about_patient),
        lambda: read_regimen(typed),
        lambda: by_clock(*when, levels or (lambda clock: _levels(typed, clock))),
        lambda: goal_typed(typed),
        lambda: read_step_mg(typed),
    )
    given = given_of(typed.get("given") or (), regimen.infusion_h, read_clock(*when))
    ready()
    return answer_levels(
        patient,
        regimen,
        measured,
        given=given,
        exclude_level=typed.get("exclude_level") or (),
        confirm=[CONFIRMS_TIMES] if are_confirmed else [],
        model=_model(typed),
        round_to_mg=step,
        strict=bool(typed.get("strict")),
        folders=folders,
        goal=goal,
        draws=typed.get("draws"),
    )


def design_typed(typed: Typed, folders: Folders = None, *, ready: Ready = _at_once) -> Design:
    """Find the levels to draw; parameters and errors as `check_typed`.

    With ``population`` they are found for such patients, and not for the one that was typed.
    """
    from fludapk.answers.design import design

    whose, regimen = gathered(
        lambda: typed.get("population") or read_patient(typed), lambda: read_regimen(typed)
    )
    ready()
    return design(whose, regimen, model=_model(typed), folders=folders)


def goal_typed(typed: Typed) -> Goal | None:
    """Read the goal of a dose; None if no part of one was typed."""
    window = typed.get("window")
    return Goal.if_any(
        auc=typed.get("auc"),
        window=None if window is None else (window[0], window[1]),
        target=typed.get("target") or None,
        probability=typed.get("probability"),
    )


def _model(typed: Typed) -> str:
    model: str = typed.get("model") or DEFAULT_MODEL
    return model


def _levels(typed: Typed, clock: Clock) -> list[Level]:
    levels = typed.get("levels")
    if not levels:
        do = tr("give time and concentration of at least one")
        raise InputError(Fault("levels", tr("no levels"), whole=True, do=do))
    return levels_of(levels, clock)
