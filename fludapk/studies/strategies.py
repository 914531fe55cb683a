"""Dosing strategies: doses of many patients from what dosing can observe of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError, nearest
from fludapk.patients.regimen import Regimen, parse_dose
from fludapk.published.covariates import renal_function
from fludapk.published.models import Model, load_model
from fludapk.published.regimens import ADULT_YEARS, label_rules
from fludapk.studies.adaptive import Adaptive, Perfect
from fludapk.studies.dosing import (
    Aim,
    Block,
    Doses,
    DosingStrategy,
    Drawing,
    log_sd_from_covariates,
    typical_auc_per_mg,
)
from fludapk.studies.scenario import (
    AdaptiveStrategy,
    BandedStrategy,
    DoseBand,
    FixedStrategy,
    RenalStrategy,
    Strategy,
    TargetStrategy,
)
from fludapk.units import VIAL_MG


def build(table: Strategy, truth: Model, folders: Sequence[Path] | None = None) -> DosingStrategy:
    """Build a strategy of a scenario.

    Parameters
    ----------
    table : fludapk.studies.scenario.Strategy
    truth : Model
        True model; also finds the doses where the strategy needs a model and names none.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If a name is unknown or a dose cannot be read.
    """
    schedule = _schedule(table)
    drawn = Drawing(
        VIAL_MG if table.vials else table.round_to_mg,
        table.vials,
        table.max_mg,
        table.max_mg_m2,
        table.max_course_mg_m2,
    )
    if isinstance(table, FixedStrategy):
        return Fixed(schedule, drawn)
    if isinstance(table, RenalStrategy):
        return Renal(schedule, drawn, *_rule(table))
    if isinstance(table, BandedStrategy):
        return _banded(table.by, table.bands, schedule, drawn)
    model = truth if table.model is None else load_model(table.model, folders)
    aim = _aim(table)
    if isinstance(table, TargetStrategy):
        return Target(schedule, drawn, aim, model)
    return _adaptive(table, schedule, drawn, aim, model)


def _banded(by: str, rows: Sequence[DoseBand], schedule: Regimen, drawn: Drawing) -> Banded:
    """Return the strategy that doses by weight or age band."""
    bands = [(band.below or np.inf, *parse_dose(band.dose)) for band in rows]
    return Banded(
        schedule,
        drawn,
        {"weight_kg": "WT", "age_years": "AGE"}[by],
        np.array([below for below, *_ in bands]),
        tuple(Regimen(dose=dose, unit=unit, days=1) for _, dose, unit in bands),
    )


def _aim(table: TargetStrategy | AdaptiveStrategy) -> Aim:
    """Return the goal of a strategy; the middle of a window is where its chance is best."""
    if table.window is not None:
        return Aim(math.sqrt(table.window[0] * table.window[1]))
    if table.at_least is not None:
        return Aim(table.at_least, table.probability)
    return Aim(table.auc or math.nan)


def _adaptive(
    table: AdaptiveStrategy, schedule: Regimen, drawn: Drawing, aim: Aim, model: Model
) -> Adaptive | Perfect:
    """Return the strategy whose later doses follow the patient."""
    if schedule.days < 2:
        raise InputError(f"{table.id}: adaptive dosing needs a second dose")
    first: DosingStrategy = Fixed(schedule, drawn)
    if table.first == "covariates":
        first = Target(schedule, drawn, aim, model)
    elif table.by is not None and table.bands is not None:
        first = _banded(table.by, table.bands, schedule, drawn)
    if table.levels_h is None:
        return Perfect(schedule, drawn, first, aim, table.acts_from_dose - 1)
    to_act = table.acts_from_dose - 1
    every = table.revise == "every_dose"
    last_h = schedule.interval_h * (1 if every else to_act)
    if table.levels_h[-1] > last_h:
        limit = "the next dose" if every else f"dose {table.acts_from_dose}, on which it acts"
        limit = "the second dose" if last_h == schedule.interval_h else limit
        raise InputError(
            f"{table.id}: levels_h: {table.levels_h[-1]:g} h is after {limit} ({last_h:g} h)"
        )
    sampled = tuple(range(max(1, schedule.days - to_act))) if every else (0,)
    return Adaptive(
        schedule=schedule,
        drawn=drawn,
        first=first,
        aim=aim,
        model=model,
        at_h=np.array(table.levels_h),
        sampled=sampled,
        doses_to_act=to_act,
        missed=table.missed,
        assay_limit_mg_l=table.assay_limit_mg_l,
    )


def _schedule(table: Strategy) -> Regimen:
    """Return the course of a strategy; its dose is unused where the strategy finds its own."""
    dose = None if table.regimen else (parse_dose(table.dose) if table.dose else (1.0, "mg"))
    return Regimen.chosen(
        regimen=table.regimen,
        dose=dose,
        days=table.days,
        interval_h=table.interval_h,
        infusion_h=table.infusion_h,
        cells_at_h=table.cells_at_h,
    )


def _rule(table: RenalStrategy) -> tuple[str, F8, F8, bool]:
    """Return measure, lower ends from high to low, factors (NaN: no advice), adults only."""
    if table.steps is not None and table.measure is not None:
        rows = [(step.at_least, step.factor) for step in table.steps]
        at_least, factors = np.array(rows).T
        return table.measure, at_least, factors, False
    rules = {rule.id: rule for rule in label_rules() if rule.has_factors}
    rule = rules.get(table.rule or "")
    if rule is None:
        raise InputError(f"unknown rule {table.rule!r}: {nearest(table.rule or '', list(rules))}")
    factors_or_none = [0.0 if step.refuse else step.factor for step in rule.steps]
    return (
        rule.measure,
        np.array([step.at_least for step in rule.steps]),
        np.array([np.nan if factor is None else factor for factor in factors_or_none]),
        rule.adults_only,
    )


@dataclass(frozen=True)
class Fixed:
    """One dose in mg/m2, mg/kg or mg for all patients."""

    schedule: Regimen
    drawn: Drawing
    n_samples: int = 0
    follows_truth: bool = False

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        mg = self.schedule.dose_mg(block.observed.columns["BSA"], block.observed.columns["WT"])
        return self.drawn(np.asarray(mg), block.observed.columns, self.schedule)


@dataclass(frozen=True, eq=False)
class Renal:
    """Dose times a factor by renal function; the full dose where the rule has no factor.

    Label rules are written for adults: children get the full dose. A patient whose renal function
    is not known gets none where the rule needs it.
    """

    schedule: Regimen
    drawn: Drawing
    measure: str
    at_least: F8
    factor: F8
    adults_only: bool
    n_samples: int = 0
    follows_truth: bool = False

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        columns = block.observed.columns
        function = renal_function(self.measure, columns)
        row = (~(function[:, None] >= self.at_least)).sum(axis=1)  # rows are from high to low
        factor = self.factor[np.minimum(row, len(self.factor) - 1)]
        factor = np.where(np.isnan(factor), 1.0, factor)
        factor = np.where(np.isfinite(function), factor, np.nan)
        if self.adults_only:
            factor = np.where(columns["AGE"] < ADULT_YEARS, 1.0, factor)
        full = self.schedule.dose_mg(columns["BSA"], columns["WT"])
        return self.drawn(np.asarray(full) * factor, columns, self.schedule)


@dataclass(frozen=True, eq=False)
class Banded:
    """Dose by weight or age band."""

    schedule: Regimen
    drawn: Drawing
    by: str
    below: F8
    bands: tuple[Regimen, ...]
    n_samples: int = 0
    follows_truth: bool = False

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        columns = block.observed.columns
        value = columns[self.by]
        row = np.searchsorted(self.below, value, side="right").clip(max=len(self.bands) - 1)
        by_band = np.array(
            [np.asarray(band.dose_mg(columns["BSA"], columns["WT"])) for band in self.bands]
        )
        mg = np.where(np.isfinite(value), by_band[row, np.arange(len(row))], np.nan)
        return self.drawn(mg, columns, self.schedule)


@dataclass(frozen=True, eq=False)
class Target:
    """Dose that gives the typical patient of the observed covariates a target AUC."""

    schedule: Regimen
    drawn: Drawing
    aim: Aim
    model: Model
    n_samples: int = 0
    follows_truth: bool = False

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        per_mg = typical_auc_per_mg(self.model, block.observed, self.schedule)
        auc = self.aim.auc_for(log_sd_from_covariates(self.model.program, self.schedule.days))
        return self.drawn(auc / per_mg, block.observed.columns, self.schedule)
