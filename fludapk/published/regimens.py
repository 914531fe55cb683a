"""Published courses of fludarabine, and the renal rules of labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from fludapk.published.course_files import LabelRule, LabelStep, RegimenEntry, RegimenFile
from fludapk.published.tables import DATA, read_toml


@lru_cache(maxsize=1)
def _file() -> RegimenFile:
    return read_toml(DATA / "regimens.toml", RegimenFile)


def regimens() -> Mapping[str, RegimenEntry]:
    """Published regimens by name."""
    return {entry.id: entry for entry in _file().regimens}


def label_rules() -> list[LabelRule]:
    """Renal dosing rules of labels and centres; they contradict each other."""
    return _file().label_rules


def label_step(rule: LabelRule, renal_function: float) -> LabelStep:
    """The row of a rule for a renal function, in the unit of the rule.

    Examples
    --------
    >>> label_step(label_rules()[0], 62.0).advice
    '20 % less (20 mg/m2 in CLL)'
    """
    return next(step for step in rule.steps if renal_function >= step.at_least)
