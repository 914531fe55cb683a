"""Doses under shortage: the lowest that still bring enough patients to a limit, and their vials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fludapk.answers.record import Record, Row
from fludapk.arrays import F8, I8
from fludapk.errors import InputError
from fludapk.patients.course import COURSE_CEILING_MG_M2, DAILY_CEILING_MG_M2
from fludapk.patients.regimen import Regimen, parse_dose
from fludapk.studies.counts import COUNTED, HISTOGRAMS, Counts
from fludapk.studies.grid import GRID_LOW, GRID_WIDTH, quantile
from fludapk.studies.scenario import FixedStrategy, Scenario
from fludapk.units import VIAL_MG

_STEP_MG: Final = 0.1
"""Step of the amounts that are added up when patients share vials."""


@dataclass(frozen=True, kw_only=True)
class ShortageRow:
    """Lowest dose in one stratum, and what it takes of vials.

    Parameters
    ----------
    stratum : str
    n : int
        Patients given a dose; the mean over outer draws, if there are any.
    course_mg_m2 : float
        Lowest dose of the course by body surface area.
    dose_mg_m2 : float
        The same of one infusion.
    above_ceiling : bool
        True if it is above a ceiling: no dose brings so many patients to the limit.
    share_at_planned : float
        Fraction of patients at or above the limit with the strategy as it is.
    vials_per_dose : mapping of int to float
        Patients who share vials on a day -> vials used for one dose of a patient, at the lowest
        dose.
    vials_at_planned : mapping of int to float
        The same with the strategy as it is.
    least_vials : float
        Vials for one dose if nothing were ever left, at the lowest dose.
    """

    stratum: str
    n: int
    course_mg_m2: float
    dose_mg_m2: float
    above_ceiling: bool
    share_at_planned: float
    vials_per_dose: dict[int, float]
    vials_at_planned: dict[int, float]
    least_vials: float


@dataclass(frozen=True, kw_only=True, repr=False)
class ShortageResult(Record):
    """Lowest doses that bring enough patients to a limit.

    Parameters
    ----------
    model, strategy : str
    limit : float
        AUC0-inf, mg·h/L.
    probability : float
        Fraction of patients at or above it.
    planned_mg_m2 : float
        Course of the strategy as it is.
    infusions : int
    strata : list of ShortageRow
    """

    schema: Literal["fludapk.shortage/1"] = "fludapk.shortage/1"
    model: str
    strategy: str
    limit: float
    probability: float
    planned_mg_m2: float
    infusions: int
    strata: list[ShortageRow]

    def rows(self) -> list[Row]:
        """Return a row for each stratum."""
        return [
            {
                "model": self.model, "strategy": self.strategy, "stratum": row.stratum, "n": row.n,
                "course_mg_m2": row.course_mg_m2, "dose_mg_m2": row.dose_mg_m2,
                "above_ceiling": row.above_ceiling, "share_at_planned": row.share_at_planned,
                **{f"vials_per_dose_{k}": v for k, v in row.vials_per_dose.items()},
                **{f"vials_at_planned_{k}": v for k, v in row.vials_at_planned.items()},
                "least_vials": row.least_vials,
            }
            for row in self.strata
        ]  # fmt: skip

    def brief(self) -> str:
        """Return the limit and the fraction in a line."""
        return f"lowest doses for {100 * self.probability:g} % at {self.limit:g} mg·h/L or more"


def shortage_faults(scenario: Scenario) -> list[str]:
    """Return why doses cannot be scaled from the strategy of a scenario.

    Parameters
    ----------
    scenario : Scenario
    """
    if scenario.shortage is None:
        return []
    table = next(s for s in scenario.strategies if s.id == scenario.shortage.strategy)
    assert isinstance(table, FixedStrategy)  # checked with the scenario
    unit = Regimen.named(table.regimen).unit if table.regimen else parse_dose(table.dose or "")[1]
    own = (table.round_to_mg, table.max_mg, table.max_mg_m2, table.max_course_mg_m2)
    if unit != "mg/m2" or table.vials or any(key is not None for key in own):
        return [
            f"shortage: {table.id} must be in mg/m2, without rounding and ceilings of its own: "
            "doses are scaled from it"
        ]
    plan = _plan(table)
    too_much = plan.course_of(plan.dose).ceiling_faults(1.0)
    return [f"shortage: {table.id}: {fault}; doses are scaled from it" for fault in too_much]


def _plan(table: FixedStrategy) -> Regimen:
    """Return the course of a fixed strategy."""
    return Regimen.chosen(
        regimen=table.regimen,
        dose=None if table.dose is None else parse_dose(table.dose),
        days=table.days,
        interval_h=table.interval_h,
        infusion_h=table.infusion_h,
    )


def shortage_of(scenario: Scenario, counts: Counts) -> ShortageResult:
    """Find the lowest doses in mg/m2 that bring enough patients to a limit.

    The AUC is proportional to the dose, so the lowest dose is the limit over a quantile of the AUC
    per mg/m2, exactly; that quantile is read from the grid of the counts.

    Parameters
    ----------
    scenario : Scenario
        With a table `shortage`.
    counts : Counts
        Counts of its strategy.

    Raises
    ------
    InputError
        If a ceiling lowered doses of the strategy, so that they are not proportional.
    """
    table = scenario.shortage
    if table is None:
        raise InputError("the scenario has no [shortage]")
    strategy = next(s for s in scenario.strategies if s.id == table.strategy)
    assert isinstance(strategy, FixedStrategy)  # checked with the scenario
    if counts.counts[0, COUNTED.index("held_at_ceiling")]:
        raise InputError(f"shortage: a ceiling lowers doses of {table.strategy}: take a lower one")
    plan = _plan(strategy)
    planned = plan.dose * plan.days
    rows = []
    for s, name in enumerate(counts.strata):
        auc = counts.histograms[HISTOGRAMS.index("auc"), s]
        low = quantile(auc, 1 - table.probability)
        if low is None:
            continue
        course = planned * table.limit / low
        doses = counts.histograms[HISTOGRAMS.index("dose_mg"), s]
        scale = course / planned
        rows.append(
            ShortageRow(
                stratum=name,
                n=round(int(auc.sum()) / max(len(counts.outer), 1)),
                course_mg_m2=course,
                dose_mg_m2=course / plan.days,
                above_ceiling=course / plan.days > DAILY_CEILING_MG_M2
                or course > COURSE_CEILING_MG_M2,
                share_at_planned=_share_from(auc, table.limit),
                vials_per_dose=vials_per_dose(doses, scale, table.patients_a_day),
                vials_at_planned=vials_per_dose(doses, 1.0, table.patients_a_day),
                least_vials=_mean_mg(doses) * scale / VIAL_MG,
            )
        )
    return ShortageResult(
        model=counts.truth, strategy=table.strategy, limit=table.limit,
        probability=table.probability, planned_mg_m2=planned, infusions=plan.days, strata=rows,
    )  # fmt: skip


def _middles(n: int) -> F8:
    """Return the middle of every cell of the grid."""
    return np.asarray(GRID_LOW * np.exp((np.arange(n) - 0.5) * GRID_WIDTH))


def _mean_mg(doses: I8) -> float:
    return float((_middles(len(doses)) * doses).sum() / doses.sum())


def _share_from(auc: I8, limit: float) -> float:
    """Return the fraction of patients at or above an AUC, to half a cell of the grid."""
    return float(auc[_middles(len(auc)) >= limit].sum()) / float(auc.sum())


def vials_per_dose(doses: I8, scale: float, patients_a_day: Sequence[int]) -> dict[int, float]:
    """Return the vials used for one dose when so many patients share them on a day.

    Parameters
    ----------
    doses : (cells,)
        Patients by their dose, on the grid of the counts.
    scale : float
        Factor on every dose.
    patients_a_day : sequence of int
        Patients of a day, drawn independently.

    Returns
    -------
    dict of int to float
        E of ceil(sum / 50 mg) / patients.

    Examples
    --------
    >>> from fludapk.studies.grid import cells
    >>> everybody_40_mg = np.bincount(cells(np.full(10, 40.0)), minlength=13818)
    >>> vials_per_dose(everybody_40_mg, 1.0, [1, 5])
    {1: 1.0, 5: 0.8}
    """
    amounts = np.rint(_middles(len(doses)) * scale / _STEP_MG).astype(np.int64)
    used = np.flatnonzero(doses)
    single = np.bincount(amounts[used], weights=doses[used] / doses.sum()).astype(np.float64)
    result: dict[int, float] = {}
    total = np.ones(1)
    per_vial = round(VIAL_MG / _STEP_MG)
    for k in range(1, max(patients_a_day) + 1):
        total = np.convolve(total, single) if len(single) < 400 else _convolved(total, single)
        if k in patients_a_day:
            vials = -(-np.arange(len(total)) // per_vial)
            result[k] = round(float((total * vials).sum() / total.sum()) / k, 6)
    return result


def _convolved(a: F8, b: F8) -> F8:
    from scipy.signal import fftconvolve

    return np.asarray(np.maximum(fftconvolve(a, b), 0.0))
