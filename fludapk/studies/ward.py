"""Table for a ward: sampling schedules, the dose from which a result acts, and missed results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fludapk.answers.record import Record, Row
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.studies.counts import Counts
from fludapk.studies.scenario import AdaptiveStrategy, Scenario, Strategy

_NEVER: Final = 15
"""A dose after every course: a result that never acts."""


def ward_strategies(scenario: Scenario) -> list[Strategy]:
    """Return the strategies that the table for a ward needs beside those of the scenario.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    list of Strategy
        One without levels, then one for each dose and schedule.
    """
    ward = scenario.ward
    if ward is None:
        return []
    table = next(s for s in scenario.strategies if s.id == ward.strategy)
    assert isinstance(table, AdaptiveStrategy)  # checked with the scenario
    plain = {"missed": 0.0, "perfect": False, "levels_h": ward.schedules[0]}
    made = [table.model_copy(update={**plain, "id": ward_id(table.id), "acts_from_dose": _NEVER})]
    made += [
        table.model_copy(
            update={
                **plain,
                "id": ward_id(table.id, number, dose),
                "levels_h": list(schedule),
                "acts_from_dose": dose,
            }
        )
        for dose in ward.acts_from_dose
        for number, schedule in enumerate(ward.schedules)
    ]
    return list(made)


def ward_id(strategy: str, schedule: int | None = None, dose: int = 0) -> str:
    """Return the id of a strategy of the table.

    Parameters
    ----------
    strategy : str
        Id of the adaptive strategy.
    schedule : int, optional
        Number of the schedule, from 0; None: no levels.
    dose : int
        Dose from which the result acts.

    Examples
    --------
    >>> ward_id("adaptive_17", 0, 3), ward_id("adaptive_17")
    ('adaptive_17.levels_1.dose_3', 'adaptive_17.no_levels')
    """
    if schedule is None:
        return f"{strategy}.no_levels"
    return f"{strategy}.levels_{schedule + 1}.dose_{dose}"


# ------------------------------------------------------------------ the table


@dataclass(frozen=True, kw_only=True)
class WardRow:
    """One schedule of levels whose result acts from one dose on, with one fraction missed.

    Parameters
    ----------
    levels_h : list of float
        Times after the start of the first dose; empty: no levels.
    acts_from_dose : int
    missed : float
    below, inside, above : float
        Fractions below, in and above the window.
    """

    levels_h: list[float]
    acts_from_dose: int
    missed: float
    below: float
    inside: float
    above: float


@dataclass(frozen=True, kw_only=True, repr=False)
class WardResult(Record):
    """Table for a ward: schedules of levels by the dose on which they act and by missed results.

    Parameters
    ----------
    model, strategy : str
    window : list of float
        Low and high end, mg·h/L.
    n : int
        Patients.
    table : list of WardRow
        The first is without levels.
    points_per_dose : list of float
        For each schedule: how many percentage points more are below the window for every dose
        that the result comes later, on average; empty with one dose.
    """

    schema: Literal["fludapk.ward/1"] = "fludapk.ward/1"
    model: str
    strategy: str
    window: list[float]
    n: int
    table: list[WardRow]
    points_per_dose: list[float]

    def rows(self) -> list[Row]:
        """Return a row for each schedule, dose and fraction missed."""
        return [
            {
                "model": self.model, "strategy": self.strategy,
                **vars(row), "levels_h": " ".join(f"{h:g}" for h in row.levels_h),
            }
            for row in self.table
        ]  # fmt: skip

    def brief(self) -> str:
        """Return the strategy and the number of rows in a line."""
        return f"{self.strategy}: {len(self.table)} ways to draw levels"


def ward_of(scenario: Scenario, counts: Sequence[Counts]) -> WardResult:
    """Return the table for a ward under one truth.

    A result that never comes leaves the patient on the first dose, so the fractions are mixtures,
    exactly, of those with the result and of those without.

    Parameters
    ----------
    scenario : Scenario
        With a table `ward`.
    counts : sequence of Counts
        Counts under one truth, also of `ward_strategies`.
    """
    ward = scenario.ward
    if ward is None:
        raise InputError("the scenario has no [ward]")
    by_id = {one.strategy: one for one in counts}
    window = [scenario.window.low, scenario.window.high]

    def shares(name: str) -> F8:
        return np.asarray(by_id[name].shares(window).mean(axis=0))

    none = shares(ward_id(ward.strategy))
    rows = [_ward_row([], 0, 0.0, none)]
    points = []
    for number, schedule in enumerate(ward.schedules):
        with_levels = [shares(ward_id(ward.strategy, number, d)) for d in ward.acts_from_dose]
        for dose, reached in zip(ward.acts_from_dose, with_levels, strict=True):
            rows += [
                _ward_row(list(schedule), dose, m, (1 - m) * reached + m * none)
                for m in ward.missed
            ]
        if len(ward.acts_from_dose) > 1:
            doses = ward.acts_from_dose[-1] - ward.acts_from_dose[0]
            points.append(100 * float(with_levels[-1][0] - with_levels[0][0]) / doses)
    first = counts[0]
    return WardResult(
        model=first.truth, strategy=ward.strategy, window=window,
        n=int(first.counts[0, 0]) // max(len(first.outer), 1), table=rows, points_per_dose=points,
    )  # fmt: skip


def _ward_row(levels_h: list[float], dose: int, missed: float, shares: F8) -> WardRow:
    below, inside, above = shares.tolist()
    return WardRow(
        levels_h=levels_h, acts_from_dose=dose, missed=missed, below=below, inside=inside,
        above=above,
    )  # fmt: skip
