"""Published courses of fludarabine, and the renal rules of labels."""

from __future__ import annotations

import math
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
