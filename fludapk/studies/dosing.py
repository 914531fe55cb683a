"""Parts that all dosing strategies share: blocks of patients, doses, ceilings, goals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.patients.course import is_above, largest_steps, most_mg
from fludapk.patients.population import Patients
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_exposure, individual_parameters, terminal_rate
from fludapk.pk.program import Program
from fludapk.published.covariates import Columns
from fludapk.published.models import Model


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
    rows: F8
    """(n, covariates) True covariates, in the units and order of the true model."""
    outside: Bools
    """(n,) True outside the studied range of the true model."""
    tv: F8
    """(n, 6) True typical CL, V1, Q2, V2, Q3, V3, L/h and L; of a draw where they are uncertain."""
    normals: F8
    """(n, k) Standard normals that the random effects are made from."""
    effects: RandomEffects
    """Random effects of every occasion."""
    residual: F8
    """(n, levels) Standard normals behind the residual errors of measured levels."""
    chances: F8
    """(n, results) Uniform numbers behind what happens to results; empty where nothing can."""

    @property
    def program(self) -> Program:
        """Program of the true model."""
        return self.truth.program


class DosingStrategy(Protocol):
    """A strategy that doses blocks of patients."""

    @property
    def schedule(self) -> Regimen:
        """Number and times of the infusions."""

    @property
    def n_samples(self) -> int:
        """Number of levels measured in each patient."""

    @property
    def follows_truth(self) -> bool:
        """True if doses depend on the true numbers of a patient, measured or known."""

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""


@dataclass(frozen=True)
class Drawing:
    """Rounding of doses to what can be drawn up: multiples of a step, or any dose."""

    step_mg: float | None
    """mg of fludarabine phosphate; None: any dose."""
    at_least_one: bool = False
    """True: no dose is rounded down to zero."""
    max_mg: float | None = None
    """Own ceilings beside those of every answer: of a dose in mg and in mg/m2, of the course."""
    max_mg_m2: float | None = None
    max_course_mg_m2: float | None = None

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
        ceiling = self._most_mg(columns["BSA"], schedule, before)
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

    def _most_mg(self, bsa_m2: F8, schedule: Regimen, before: F8) -> F8:
        """Return the highest dose of those that are left, by all ceilings, mg."""
        most = most_mg(bsa_m2, schedule.times_h, before)
        if self.max_mg is not None:
            most = np.minimum(most, self.max_mg)
        if self.max_mg_m2 is not None:
            most = np.minimum(most, self.max_mg_m2 * bsa_m2)
        if self.max_course_mg_m2 is not None:
            course = self.max_course_mg_m2 * bsa_m2 - before.sum(axis=1)
            most = np.minimum(most, course / (schedule.days - before.shape[1]))
        return np.asarray(np.maximum(most, 0.0))


@dataclass(frozen=True)
class Aim:
    """Goal of a dose: an AUC, the best chance of a window, or a chance of reaching an AUC."""

    auc: float
    """AUC to give the patient, mg h/L; with a probability, the AUC to reach."""
    probability: float | None = None

    @property
    def needs_spread(self) -> bool:
        """True if the goal depends on how uncertain the AUC is."""
        return self.probability is not None

    def auc_for(self, log_sd: F8 | float) -> F8 | float:
        """Return the median AUC that meets the goal, mg h/L.

        Parameters
        ----------
        log_sd : (n,) or float
            SD of the logarithm of the AUC around its median.

        Examples
        --------
        >>> round(Aim(13.8, 0.9).auc_for(0.24), 2)
        18.77
        """
        if self.probability is None:
            return self.auc
        reached = self.auc * np.exp(NormalDist().inv_cdf(self.probability) * np.asarray(log_sd))
        return float(reached) if np.ndim(reached) == 0 else np.asarray(reached)


def log_sd_from_covariates(program: Program, days: int) -> float:
    """Return the SD of the logarithm of the AUC of a course around that from covariates.

    Parameters
    ----------
    program : Program
    days : int
        Number of doses, whose occasions are taken to weigh the same.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> round(log_sd_from_covariates(load_model().program, 4), 3)
    0.235
    """
    between = program.load_eta[0] @ program.root_omega
    occasions = program.load_kappa[0] @ program.root_omega_iov
    return math.sqrt(float(between @ between) + float(occasions @ occasions) / days)


def predicted_auc(block: Block, times_h: F8, infusion_h: F8, amounts_mg: F8) -> F8:
    """Return the AUC of given doses that covariates predict, as dosing observes them, mg h/L.

    Parameters
    ----------
    block : Block
    times_h, infusion_h : (doses,)
        Starts and durations of the infusions, h.
    amounts_mg : (n, doses)
        Doses, mg F-ara-A.

    Returns
    -------
    (n,)
        By the printed numbers of the true model, whatever those of a draw are.
    """
    rows = block.rows
    if block.observed is not block.patients:
        rows, _ = block.observed.rows_of(block.truth)
    program = block.truth.program
    tv, _ = program.typical_values(rows)
    if program.changes:
        none = RandomEffects.none(program, len(times_h))
        return course_exposure(program, tv, none, times_h, infusion_h, amounts_mg).auc_0_inf
    # Without random effects clearance is the same on every occasion.
    return np.asarray(amounts_mg.sum(axis=1) / tv[:, 0])


def clearance(block: Block) -> F8:
    """Return the true clearance of every patient without that of occasions, L/h.

    Parameters
    ----------
    block : Block
    """
    own = RandomEffects(block.effects.eta, np.zeros((1, 1, block.program.n_kappa)))
    return np.asarray(individual_parameters(block.program, block.tv, own)[:, 0, 0])


def half_life(block: Block) -> F8:
    """Return the true terminal half-life of every patient without that of occasions, h.

    Parameters
    ----------
    block : Block
    """
    own = block.tv * np.exp(block.effects.eta @ block.program.load_eta.T)
    return math.log(2.0) / terminal_rate(own, block.program.compartments)


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
    times, lengths, amounts = schedule.course_of(1.0).arrays(model.file.dose_factor)
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
        raise InputError(
            tr(
                "{model} can dose nobody: no patient has all it needs ({needs})",
                model=model.id,
                needs=needs,
            )
        )
    stand_in = rows[np.flatnonzero(is_known)[0]]
    tv, _ = model.program.typical_values(np.where(is_known[:, None], rows, stand_in))
    return tv, is_known
