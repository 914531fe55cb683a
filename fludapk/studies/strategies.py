"""Dosing strategies: doses of many patients from what dosing can observe of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.errors import InputError, nearest
from fludapk.patients.course import is_above, largest_steps, most_mg
from fludapk.patients.population import Patients
from fludapk.patients.regimen import Regimen, parse_dose
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure, with_residual_error
from fludapk.pk.program import Program
from fludapk.published.covariates import Columns, renal_function
from fludapk.published.models import Model, load_model
from fludapk.published.regimens import label_rules
from fludapk.studies.scenario import (
    BandedStrategy,
    FixedStrategy,
    RenalStrategy,
    Strategy,
    TargetStrategy,
)
from fludapk.units import VIAL_MG


@dataclass(frozen=True, eq=False)
class Doses:
    """Doses of n patients."""

    mg: F8
    """(n, doses) mg of fludarabine phosphate; 0 where none is given."""
    held: Bools
    """(n,) True where a ceiling lowered the dose."""
    given: Bools
    """(n,) False where a rule says so, or no amount that can be drawn up is below the ceilings."""
    undecided: Bools
    """(n,) True where none is given because the strategy does not know what it doses by."""


@dataclass(frozen=True, eq=False)
class Block:
    """A block of n patients of a study: true parameters, and covariates as dosing observes them."""

    patients: Patients
    observed: Patients
    """Patients as dosing observes them: renal function with its error."""
    truth: Model
    program: Program
    """Program of the true model, with the numbers of a draw where they are uncertain."""
    rows: F8
    """(n, covariates) True covariates, in the units and order of the true model."""
    outside: Bools
    """(n,) True outside the studied range of the true model."""
    tv: F8
    """(n, 6) Typical CL, V1, Q2, V2, Q3, V3 of the true model, L/h and L."""
    normals: F8
    """(n, k) Standard normals that the random effects are made from."""
    effects: RandomEffects
    """Random effects of every occasion."""
    residual: F8
    """(n, levels) Standard normals behind the residual errors of measured levels."""


class DosingStrategy(Protocol):
    """A strategy that doses blocks of patients."""

    @property
    def schedule(self) -> Regimen:
        """Number and times of the infusions."""

    @property
    def n_samples(self) -> int:
        """Number of levels measured in each patient; without any, doses do not depend on truth."""

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""


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
    drawn = Drawing(VIAL_MG if table.vials else table.round_to_mg, table.vials)
    if isinstance(table, FixedStrategy):
        return Fixed(schedule, drawn)
    if isinstance(table, RenalStrategy):
        return Renal(schedule, drawn, *_rule(table))
    if isinstance(table, BandedStrategy):
        bands = [(band.below or np.inf, *parse_dose(band.dose)) for band in table.bands]
        return Banded(
            schedule,
            drawn,
            {"weight_kg": "WT", "age_years": "AGE"}[table.by],
            np.array([below for below, *_ in bands]),
            tuple(Regimen(dose=dose, unit=unit, days=1) for _, dose, unit in bands),
        )
    model = truth if table.model is None else load_model(table.model, folders)
    if isinstance(table, TargetStrategy):
        return Target(schedule, drawn, table.auc, model)
    if schedule.days < 2:
        raise InputError(f"{table.id}: adaptive dosing needs a second dose")
    if table.levels_h[-1] > schedule.interval_h:
        raise InputError(
            f"{table.id}: levels_h: {table.levels_h[-1]:g} h is after the second dose "
            f"({schedule.interval_h:g} h)"
        )
    by_covariates = table.first == "covariates"
    first = Target(schedule, drawn, table.auc, model) if by_covariates else Fixed(schedule, drawn)
    return Adaptive(schedule, drawn, first, table.auc, model, np.array(table.levels_h))


def _schedule(table: Strategy) -> Regimen:
    """Return the course of a strategy; its dose is unused where the strategy finds its own."""
    dose = None if table.regimen else (parse_dose(table.dose) if table.dose else (1.0, "mg"))
    return Regimen.chosen(
        regimen=table.regimen,
        dose=dose,
        days=table.days,
        interval_h=table.interval_h,
        infusion_h=table.infusion_h,
    )


def _rule(table: RenalStrategy) -> tuple[str, F8, F8, bool]:
    """Return measure, lower ends from high to low, factors (NaN: no advice), adults only."""
    if table.steps is not None and table.measure is not None:
        rows = [(step.at_least, step.factor) for step in table.steps]
        at_least, factors = np.array(rows).T
        return table.measure, at_least, factors, False
    rules = {rule.id: rule for rule in label_rules()}
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
class Drawing:
    """Rounding of doses to what can be drawn up: multiples of a step, or any dose."""

    step_mg: float | None
    """mg of fludarabine phosphate; None: any dose."""
    at_least_one: bool = False
    """True: no dose is rounded down to zero."""

    def __call__(
        self, mg: F8, columns: Columns, schedule: Regimen, before: F8 | None = None
    ) -> Doses:
        """Return doses below the ceilings that can be drawn up.

        Parameters
        ----------
        mg : (n,)
            Dose of each infusion before rounding and ceilings, mg; not finite where it cannot be
            decided, and then none is given.
        columns : mapping of str to (n,) arrays
            Covariates; BSA in m2 sets the ceilings.
        schedule : Regimen
            Times of all infusions.
        before : (n, given), optional
            Doses that have been given, mg.

        Returns
        -------
        Doses
            Doses of the infusions that are left, all equal.
        """
        before = np.empty((len(mg), 0)) if before is None else before
        ceiling = most_mg(columns["BSA"], schedule.times_h, before)
        undecided = ~np.isfinite(mg)
        mg = np.where(undecided, 0.0, mg)
        held = is_above(mg, ceiling)
        given = mg > 0
        dose = np.minimum(mg, ceiling)
        if self.step_mg is not None:
            steps = np.floor(dose / self.step_mg + 0.5)
            if self.at_least_one:
                steps = np.maximum(steps, given)
            over = is_above(steps * self.step_mg, ceiling)
            steps = np.where(over, largest_steps(ceiling, self.step_mg), steps)
            dose, held = steps * self.step_mg, held | over
        given &= dose > 0  # a whole vial may be above the ceiling of a small child
        left = schedule.days - before.shape[1]
        return Doses(np.repeat(dose[:, None], left, axis=1), held & given, given, undecided)


@dataclass(frozen=True)
class Fixed:
    """One dose in mg/m2, mg/kg or mg for all patients."""

    schedule: Regimen
    drawn: Drawing
    n_samples: int = 0

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

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        columns = block.observed.columns
        function = renal_function(self.measure, columns)
        row = (~(function[:, None] >= self.at_least)).sum(axis=1)  # rows are from high to low
        factor = self.factor[np.minimum(row, len(self.factor) - 1)]
        factor = np.where(np.isnan(factor), 1.0, factor)
        factor = np.where(np.isfinite(function), factor, np.nan)
        if self.adults_only:
            factor = np.where(columns["AGE"] < 18, 1.0, factor)
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
    auc: float
    model: Model
    n_samples: int = 0

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        per_mg = typical_auc_per_mg(self.model, block.observed, self.schedule)
        return self.drawn(self.auc / per_mg, block.observed.columns, self.schedule)


@dataclass(frozen=True, eq=False)
class Adaptive:
    """Later doses to a target AUC, by the most likely effects given levels after the first dose.

    Levels come from the truth with its residual error. Without an estimate the later doses are
    like the first.
    """

    schedule: Regimen
    drawn: Drawing
    first: Fixed | Target
    auc: float
    model: Model
    at_h: F8

    @property
    def n_samples(self) -> int:
        """Number of levels measured in each patient."""
        return len(self.at_h)

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        planned = self.first.doses(block)
        # A patient without a first dose has no levels and gets no later dose: a vial stands in.
        first_mg = np.where(planned.given[:, None], planned.mg[:, :1], VIAL_MG)
        later_mg, undecided = self._later(block, first_mg)
        later_mg = np.where(planned.given, later_mg, 0.0)
        before = np.where(planned.given[:, None], first_mg, 0.0)
        later = self.drawn(later_mg, block.observed.columns, self.schedule, before)
        given = planned.given & ~undecided
        return Doses(
            np.where(given[:, None], np.hstack([planned.mg[:, :1], later.mg]), 0.0),
            (planned.held | later.held) & given,
            given,
            planned.undecided | undecided,
        )

    def _later(self, block: Block, first_mg: F8) -> tuple[F8, Bools]:
        """Return later doses (n,) by the estimate, mg, and who cannot be estimated at all."""
        program, factor = self.model.program, self.model.file.dose.factor
        days = self.schedule.days
        times, lengths, _ = self.schedule.course_of(1.0).arrays(1.0)
        conc = self._measured(block, first_mg, times[:1], lengths[:1])
        is_seen = (conc > 0.0) & np.isfinite(conc)  # an assay has no level of nothing
        levels = Levels(
            times_h=np.where(is_seen, self.at_h, np.nan),
            conc_mg_l=np.where(is_seen, conc, np.nan),
        )
        tv, is_known = typical_parameters(self.model, block.observed)
        estimate = map_estimates(program, tv, times[:1], lengths[:1], first_mg * factor, levels)
        effects = estimate.over_course(days)
        so_far, later = np.zeros((len(first_mg), days)), np.zeros((1, days))
        so_far[:, :1], later[:, 1:] = first_mg * factor, factor
        auc_so_far, auc_per_mg = (
            course_exposure(program, tv, effects, times, lengths, amounts).auc_0_inf
            for amounts in (so_far, later)
        )
        later_mg = np.where(
            estimate.converged,
            np.maximum(self.auc - auc_so_far, 0.0) / auc_per_mg,
            first_mg[:, 0],
        )
        return later_mg, ~is_known

    def _measured(self, block: Block, first_mg: F8, times: F8, lengths: F8) -> F8:
        """Simulate levels of the true patients with residual error, above zero, mg/L."""
        effects = RandomEffects(block.effects.eta, np.ascontiguousarray(block.effects.kappa[:, :1]))
        amounts = first_mg * block.truth.file.dose.factor
        conc, _ = course_concentrations(
            block.program, block.tv, effects, times, lengths, amounts, self.at_h
        )
        return with_residual_error(block.program, conc, block.residual)


def typical_auc_per_mg(model: Model, patients: Patients, schedule: Regimen) -> F8:
    """Return AUC0-inf of typical patients per mg of fludarabine phosphate in each dose.

    Parameters
    ----------
    model : Model
    patients : Patients
    schedule : Regimen
        Number and times of the infusions.

    Returns
    -------
    (n,)
        mg h/L per mg; NaN where the model needs something that is not known.
    """
    tv, is_known = typical_parameters(model, patients)
    times, lengths, amounts = schedule.course_of(1.0).arrays(model.file.dose.factor)
    none = RandomEffects.none(model.program, schedule.days)
    auc = course_exposure(model.program, tv, none, times, lengths, amounts).auc_0_inf
    return np.where(is_known, auc, np.nan)


def typical_parameters(model: Model, patients: Patients) -> tuple[F8, Bools]:
    """Return typical parameters of patients, and of whom all that the model needs is known.

    Parameters
    ----------
    model : Model
    patients : Patients

    Returns
    -------
    tv : (n, 6)
        L/h and L; those of another patient stand in where something is not known.
    is_known : (n,)

    Raises
    ------
    InputError
        If nobody has all that the model needs.
    """
    rows = patients.covariates(model)
    is_known = np.asarray(~np.isnan(rows).any(axis=1))
    if not is_known.any():
        needs = ", ".join(model.program.covariates)
        raise InputError(f"{model.id} can dose nobody: no patient has all it needs ({needs})")
    stand_in = rows[np.flatnonzero(is_known)[0]]
    tv, _ = model.program.typical_values(np.where(is_known[:, None], rows, stand_in))
    return tv, is_known
