"""Adaptive dosing: later doses by an estimate of the patient from levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure, with_residual_error
from fludapk.pk.program import Program
from fludapk.published.models import Model
from fludapk.studies.dosing import Aim, Block, Doses, DosingStrategy, Drawing, typical_parameters
from fludapk.units import VIAL_MG


@dataclass(frozen=True, eq=False)
class Adaptive:
    """Later doses to a goal, by the most likely effects given levels of earlier doses.

    Levels come from the truth with its residual error. Where there is no estimate, or the result
    never comes, the doses go on as they were.
    """

    schedule: Regimen
    drawn: Drawing
    first: DosingStrategy
    aim: Aim
    model: Model
    at_h: F8
    """Times of the levels after the start of a sampled dose, h."""
    sampled: tuple[int, ...] = (0,)
    """Numbers of the sampled doses, from 0."""
    doses_to_act: int = 1
    """Doses from a sampled one to the first that its result acts on."""
    missed: float = 0.0
    """Fraction of results that never come."""
    assay_limit_mg_l: float | None = None
    follows_truth: bool = True

    @property
    def n_samples(self) -> int:
        """Number of levels measured in each patient."""
        return len(self.at_h) * len(self.sampled)

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        planned = self.first.doses(block)
        tv, is_known = typical_parameters(self.model, block.observed)
        given = planned.given & is_known
        # A patient without a first dose has no levels and gets no later dose: a vial stands in.
        first_mg = np.where(planned.given[:, None], planned.mg[:, :1], VIAL_MG)
        days = self.schedule.days
        mg, held = np.repeat(first_mg, days, axis=1), planned.held.copy()
        arrived = self._arrived(block)
        for dose in range(1, days):
            if dose - self.doses_to_act not in self.sampled:
                continue
            ready = [k for k, s in enumerate(self.sampled) if s + self.doses_to_act <= dose]
            later_mg, has_estimate = self._later(block, tv, mg, dose, ready, arrived)
            later = self.drawn(
                np.where(given, np.where(has_estimate, later_mg, mg[:, dose]), 0.0),
                block.observed.columns,
                self.schedule,
                np.where(given[:, None], mg[:, :dose], 0.0),
            )
            has_result: Bools = np.asarray(arrived[:, ready].any(axis=1))
            mg[:, dose:] = np.where(has_result[:, None], later.mg, mg[:, dose:])
            held |= has_result & later.held
        mg = np.where(given[:, None], mg, 0.0)
        return Doses(mg, held & given, given, planned.undecided | ~is_known)

    def _arrived(self, block: Block) -> Bools:
        """Return (n, sampled doses): False where a result never comes."""
        if not self.missed:
            return np.ones((block.observed.n, len(self.sampled)), np.bool_)
        return np.asarray(block.chances[:, : len(self.sampled)] >= self.missed)

    def _later(
        self, block: Block, tv: F8, mg: F8, dose: int, ready: list[int], arrived: Bools
    ) -> tuple[F8, Bools]:
        """Return the doses from a dose on, and who has an estimate."""
        program, factor = self.model.program, self.model.file.dose_factor
        times, lengths, _ = self.schedule.course_of(1.0).arrays(1.0)
        at_h = np.concatenate([times[self.sampled[k]] + self.at_h for k in ready])
        started = int((times < at_h[-1]).sum())
        conc = self._measured(block, mg[:, :started], at_h)
        came = np.repeat(arrived[:, ready], len(self.at_h), axis=1)
        levels = _levels(at_h, np.where(came, conc, np.nan), came, self.assay_limit_mg_l)
        estimate = map_estimates(
            program, tv, times[:started], lengths[:started], mg[:, :started] * factor, levels
        )
        effects = estimate.over_course(len(times))
        sd = log_sd_of_auc(program, estimate, len(times)) if self.aim.needs_spread else 0.0
        later_mg = _dose_for(
            self.aim.auc_for(sd), program, tv, effects, self.schedule, mg, dose, factor
        )
        return later_mg, estimate.converged

    def _measured(self, block: Block, given_mg: F8, at_h: F8) -> F8:
        """Simulate levels of the true patients with residual error, above zero, mg/L."""
        times, lengths, _ = self.schedule.course_of(1.0).arrays(1.0)
        n = given_mg.shape[1]
        effects = RandomEffects(block.effects.eta, np.ascontiguousarray(block.effects.kappa[:, :n]))
        conc, _ = course_concentrations(
            block.program, block.tv, effects, times[:n], lengths[:n],
            given_mg * block.truth.file.dose_factor, at_h,
        )  # fmt: skip
        return with_residual_error(block.program, conc, block.residual[:, : len(at_h)])


@dataclass(frozen=True, eq=False)
class Perfect:
    """Later doses by the true patient: a bound for every schedule of levels."""

    schedule: Regimen
    drawn: Drawing
    first: DosingStrategy
    aim: Aim
    from_dose: int
    """Number of the first dose that follows the true patient, from 0."""
    n_samples: int = 0
    follows_truth: bool = True

    def doses(self, block: Block) -> Doses:
        """Return the doses of every patient."""
        planned = self.first.doses(block)
        dose = self.from_dose
        mg, held = planned.mg.copy(), planned.held.copy()
        if dose < self.schedule.days:
            later_mg = _dose_for(
                self.aim.auc_for(0.0), block.program, block.tv, block.effects,
                self.schedule, mg, dose, block.truth.file.dose_factor,
            )  # fmt: skip
            later = self.drawn(later_mg, block.observed.columns, self.schedule, mg[:, :dose])
            mg[:, dose:] = np.where(planned.given[:, None], later.mg, 0.0)
            held |= later.held & planned.given
        return Doses(mg, held, planned.given, planned.undecided)


def _dose_for(
    auc: F8 | float,
    program: Program,
    tv: F8,
    effects: RandomEffects,
    schedule: Regimen,
    mg: F8,
    dose: int,
    factor: float,
) -> F8:
    """Return the equal doses from a dose on that bring the course to an AUC; 0 if it is passed."""
    times, lengths, _ = schedule.course_of(1.0).arrays(1.0)
    so_far, later = np.zeros_like(mg), np.zeros((1, len(times)))
    so_far[:, :dose], later[:, dose:] = mg[:, :dose] * factor, factor
    auc_so_far, auc_per_mg = (
        course_exposure(program, tv, effects, times, lengths, amounts).auc_0_inf
        for amounts in (so_far, later)
    )
    return np.asarray(np.maximum(auc - auc_so_far, 0.0) / auc_per_mg)


def _levels(at_h: F8, conc: F8, came: Bools, limit: float | None) -> Levels:
    """Return levels; a result that never came has no time, a low one is below the limit."""
    is_seen = came & np.isfinite(conc)
    if limit is None:
        is_seen &= conc > 0.0  # an assay has no level of nothing
    times = np.where(is_seen, at_h, np.nan)
    conc = np.where(is_seen, conc, np.nan)
    if limit is None:
        return Levels(times_h=times, conc_mg_l=conc)
    return Levels(times_h=times, conc_mg_l=np.where(conc < limit, np.nan, conc), lloq_mg_l=limit)


def log_sd_of_auc(program: Program, estimate: MapEstimate, days: int) -> F8:
    """Return the spread of the AUC of a course around that of the most likely patient.

    Parameters
    ----------
    program : Program
    estimate : MapEstimate
    days : int
        Number of doses of the course, taken to weigh the same.

    Returns
    -------
    (n,)
        SD of its logarithm: of clearance given the levels, and between the doses to come.
    """
    occasions = estimate.problem.n_doses
    weights = np.concatenate(
        [program.load_eta[0], np.tile(program.load_kappa[0] / days, occasions)]
    )
    variance = np.einsum("i,nij,j->n", weights, estimate.covariance, weights)
    by_occasion = program.load_kappa[0] @ program.root_omega_iov
    return np.asarray(
        np.sqrt(variance + (days - occasions) / days**2 * float(by_occasion @ by_occasion))
    )
