"""Published courses of fludarabine, and the renal rules of labels."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.published.course_files import (
    LabelRule,
    LabelStep,
    Practice,
    RegimenEntry,
    RegimenFile,
)
from fludapk.published.tables import DATA, read_toml


@lru_cache(maxsize=1)
def _file() -> RegimenFile:
    return read_toml(DATA / "regimens.toml", RegimenFile)


@lru_cache(maxsize=1)
def regimens() -> Mapping[str, RegimenEntry]:
    """Return the published regimens by name."""
    return {entry.id: entry for entry in _file().regimens}


def label_rules() -> list[LabelRule]:
    """Return the renal dosing rules of labels and centres, which contradict each other."""
    return _file().label_rules


def practices() -> list[Practice]:
    """Return practices of centres that are no rules: shown beside a dose."""
    return _file().practices


ADULT_YEARS: Final = 18.0
"""Age from which the renal rules of labels apply that are written for adults."""


def label_step(rule: LabelRule, renal_function: float) -> LabelStep:
    """Return the row of a rule that applies to a renal function.

    Parameters
    ----------
    rule : LabelRule
    renal_function : float
        The `measure` of the rule: CrCl, mL/min, or eGFR, mL/min/1.73 m2.

    Raises
    ------
    InputError
        If it is not a number above or at zero: no row applies.

    Examples
    --------
    >>> label_step(label_rules()[0], 62.0).advice
    '20 % less (20 mg/m2 in CLL)'
    """
    if not 0.0 <= renal_function < math.inf:
        found = tr("{measure} is no number: {value}", measure=rule.measure, value=renal_function)
        raise InputError(f"{rule.title}: {found}")
    return next(step for step in rule.steps if renal_function >= step.at_least)


def label_steps(
    age_years: float, renal_functions: Mapping[str, float]
) -> tuple[LabelStep | None, ...]:
    """Return the row of each rule that applies to a patient, in the order of `label_rules`.

    Parameters
    ----------
    age_years : float
    renal_functions : mapping of str to float
        CrCl, mL/min, and eGFR, mL/min/1.73 m2; NaN if unknown.

    Returns
    -------
    tuple of LabelStep or None
        None without a renal function, and for children if the rule is for adults.

    Raises
    ------
    InputError
        As `label_step`.

    Examples
    --------
    >>> steps = label_steps(60.0, {"CrCl": 62.0, "eGFR": math.nan})
    >>> [step and step.factor for step in steps]
    [0.8, None, 0.5, None, 1.0, None]
    """
    floors: list[float | None] = []
    for measure, edges in _edges().items():
        value = renal_functions[measure]
        place = bisect_right(edges, value)
        known = edges[place - 1] if place else value  # below zero `label_step` refuses it
        floors.append(known if math.isfinite(value) else None)
    return _steps_from(age_years >= ADULT_YEARS, *floors)


@lru_cache(maxsize=1)
def _edges() -> Mapping[str, list[float]]:
    """Return the renal functions at which the row of some rule begins, ascending."""
    rules = {"CrCl": [0.0], "eGFR": [0.0]}
    for rule in label_rules():
        rules[rule.measure] += [step.at_least for step in rule.steps]
    return {measure: sorted(edges) for measure, edges in rules.items()}


@lru_cache(maxsize=1024)
def _steps_from(
    is_adult: bool, crcl: float | None, egfr: float | None
) -> tuple[LabelStep | None, ...]:
    """Return the rows that apply from these renal functions up to the next edge."""
    steps: list[LabelStep | None] = []
    for rule in label_rules():
        value = crcl if rule.measure == "CrCl" else egfr
        is_for = is_adult or not rule.adults_only
        steps.append(label_step(rule, value) if is_for and value is not None else None)
    return tuple(steps)
