"""Choice of sampling times after the first dose by what levels then tell about the exposure.

By simulation and estimation: patients like this one are drawn from the model, their levels with
residual error, and each is estimated back. What is left between the true and the estimated AUC of
the course is compared with what covariates alone leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Final, Literal

import numpy as np

from fludapk._version import __version__
from fludapk.answers.prediction import predict
from fludapk.answers.record import DISCLAIMER, Record, Row, scalars
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.patience import go_on
from fludapk.patients.patient import Patient
from fludapk.patients.population import virtual_patients
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure, with_residual_error
from fludapk.pk.program import Program
from fludapk.published.covariates import studied_rows
from fludapk.published.models import DEFAULT_MODEL, Model, load_model

PUBLISHED: Final = ((1.0, 2.0, 7.0, 24.0), (1.0, 5.0, 7.0, 24.0))
"""Schedules of fludarabine monitoring, h from the start of the first infusion."""
AFTER_H: Final = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0)
"""Practical times, h from the start of the first infusion; those during it are left out."""
PATIENTS: Final = 1024
_SEED: Final = 20222022


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Sampling times, and the error that they leave in the AUC of the course."""

    times_h: tuple[float, ...]
    error_mg_h_l: float
    """Root mean square of estimated minus true AUC0-inf."""
    interval_width: float
    """Width of the central 90 % of that error, mg h/L."""
    reduction: float
    """Fraction by which the width shrinks against covariates alone."""
    published: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class Design(Record):
    """Result of `design`."""

    schema: Literal["fludapk.design/1"] = "fludapk.design/1"
    model: str
    model_sha256: str
    version: str
    whose: str
    """The word "patient", or the name of a population."""
    patients: int
    seed: int
    covariates_error_mg_h_l: float
    covariates_interval_width: float
    best: list[Schedule]
    """The best of one, two, three and four levels."""
    published: list[Schedule]
    disclaimer: str = DISCLAIMER

    def brief(self) -> str:
        """Return the best times in a line."""
        times = "; ".join(", ".join(f"{t:g}" for t in s.times_h) for s in self.best)
        return f"sampling times by {self.model}: {times} h"

    def rows(self) -> list[Row]:
        """Return a row for each schedule."""
        return [
            {**scalars(schedule), "times_h": " ".join(f"{t:g}" for t in schedule.times_h)}
            for schedule in (*self.best, *self.published)
        ]


def design(
    patient: Patient | str,
    regimen: Regimen,
    *,
    model: str = DEFAULT_MODEL,
    most: int = 4,
    patients: int = PATIENTS,
    folders: Sequence[Path] | None = None,
) -> Design:
    """Find the best sampling times after the first dose for a patient, or for a population.

    The best times of k levels are looked for among all k of the grid for one and two levels, and by
    adding the best time to the best k - 1 after that, with one exchange of every time.

    Parameters
    ----------
    patient : Patient or str
        A patient, or the id of a ready-made population, see
        `fludapk.patients.population.populations`.
    regimen : Regimen
        A course of at least two infusions.
    model : str
        Id of a model.
    most : int
        Largest number of levels.
    patients : int
        Simulated patients behind every schedule; the same for all.
    folders : sequence of Path, optional
        Folders of models; see `fludapk.published.models.model_folders`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> result = design(girl, plan, most=1, patients=64)
    >>> 0.2 < result.best[0].reduction < 0.9
    True
    >>> design("prwcc_ball", plan, most=1, patients=64).whose
    'prwcc_ball'
    """
    chosen = load_model(model, folders)
    if regimen.days < 2:
        raise InputError(
            tr("a course of one dose has nothing left to adjust: levels come too late")
        )
    first_h, last_h = regimen.infusion_h, regimen.interval_h
    grid = [t for t in AFTER_H if first_h < t <= last_h]
    if not grid:
        raise InputError(
            tr(
                "between the end of an infusion ({end:g} h) and the next dose ({next:g} h) there "
                "is no time to draw a level",
                end=first_h,
                next=last_h,
            )
        )
    published = [times for times in PUBLISHED if first_h < min(times) and max(times) <= last_h]
    times_h = sorted({*grid, *(t for times in published for t in times)})
    simulation = _simulation(chosen, patient, regimen, patients, times_h)
    error, width = simulation.covariates_alone
    return Design(
        model=chosen.id,
        model_sha256=chosen.sha256,
        version=__version__,
        whose=patient if isinstance(patient, str) else "patient",
        patients=patients,
        seed=_SEED,
        covariates_error_mg_h_l=error,
        covariates_interval_width=width,
        best=_best(simulation, grid, min(most, len(grid))),
        published=[replace(simulation.judge(times), published=True) for times in published],
    )


# ------------------------------------------------------------------ simulated patients


@dataclass(frozen=True, eq=False)
class _Simulation:
    """Simulated patients with their AUC, and their levels after the first dose."""

    program: Program
    tv: F8
    """Typical parameters, as `course_exposure` takes them."""
    times_h: F8
    """(doses,) Starts of the infusions, h."""
    infusion_h: F8
    """(doses,) Lengths of the infusions, h."""
    amounts: F8
    """(n or 1, doses) mg of F-ara-A."""
    auc: F8
    """(n,) True AUC0-inf, mg h/L."""
    levels: dict[float, F8]
    """Sampling time, h -> (n,) levels with residual error, mg/L."""

    @cached_property
    def covariates_alone(self) -> tuple[float, float]:
        """Error of the AUC without any level, and the width of its interval, mg h/L."""
        none = RandomEffects.none(self.program, len(self.times_h))
        return _spread(self._auc(none) - self.auc)

    def judge(self, times: Iterable[float]) -> Schedule:
        """Estimate every patient back from levels at some times."""
        times_h = tuple(sorted(times))
        levels = Levels(
            times_h=np.broadcast_to(np.array(times_h), (len(self.auc), len(times_h))),
            conc_mg_l=np.column_stack([self.levels[t] for t in times_h]),
        )
        go_on()
        first = self.times_h[:1], self.infusion_h[:1], self.amounts[:, :1]
        estimate = map_estimates(self.program, _of_first_dose(self.tv), *first, levels)
        error, width = _spread(self._auc(estimate.over_course(len(self.times_h))) - self.auc)
        return Schedule(
            times_h=times_h,
            error_mg_h_l=error,
            interval_width=width,
            reduction=1.0 - width / self.covariates_alone[1],
            published=False,
        )

    def _auc(self, effects: RandomEffects) -> F8:
        course = self.times_h, self.infusion_h, self.amounts
        return course_exposure(self.program, self.tv, effects, *course).auc_0_inf


def _simulation(
    model: Model, patient: Patient | str, regimen: Regimen, n: int, sampled_h: Sequence[float]
) -> _Simulation:
    """Simulate n patients, their course, and levels at the sampled times, h, ascending."""
    program = model.program
    tv, doses_mg = _typical_patients(model, patient, regimen, n)
    times, lengths, _ = regimen.course_of(1.0).arrays(1.0)
    amounts = doses_mg * model.file.dose_factor
    rng = np.random.default_rng(_SEED)
    normals = rng.standard_normal((n, program.n_eta + regimen.days * program.n_kappa))
    effects = RandomEffects.from_normals(program, normals, regimen.days)
    auc = course_exposure(program, tv, effects, times, lengths, amounts).auc_0_inf
    first = RandomEffects(effects.eta, np.ascontiguousarray(effects.kappa[:, :1]))
    conc, _ = course_concentrations(
        program,
        _of_first_dose(tv),
        first,
        times[:1],
        lengths[:1],
        amounts[:, :1],
        np.array(sampled_h),
    )
    levels = with_residual_error(program, conc, rng.standard_normal(conc.shape))
    measured = dict(zip(sampled_h, levels.T, strict=True))
    return _Simulation(program, tv, times, lengths, amounts, auc, measured)


def _of_first_dose(tv: F8) -> F8:
    """Typical parameters of a course of the first dose alone."""
    return tv if tv.ndim == 2 else tv[:, :1]


def _typical_patients(
    model: Model, patient: Patient | str, regimen: Regimen, n: int
) -> tuple[F8, F8]:
    """Return typical parameters, (n or 1, 6), and doses, (n or 1, doses) mg of phosphate."""
    if isinstance(patient, str):
        covariates = virtual_patients(patient, n=n, seed=_SEED, model=model)
        rows, _ = studied_rows(model, covariates)
        mg = np.asarray(regimen.dose_mg(covariates["BSA"], covariates["WT"]))
        return model.program.typical_values(rows)[0], np.repeat(mg[:, None], regimen.days, axis=1)
    course = regimen.course(patient)
    return predict(model, patient, regimen, course).typical_values, np.array([course.doses_mg])


def _spread(errors: F8) -> tuple[float, float]:
    low, high = np.quantile(errors, [0.05, 0.95])
    return float(np.sqrt(np.mean(errors**2))), float(high - low)


# ------------------------------------------------------------------ the search


def _best(simulation: _Simulation, grid: Sequence[float], most: int) -> list[Schedule]:
    """Find the best schedule of one level, of two, up to the most; see `design`."""
    best: list[Schedule] = []
    for k in range(1, most + 1):
        if k <= 2:
            tried = [simulation.judge(times) for times in combinations(grid, k)]
        else:
            last = best[-1].times_h
            tried = [simulation.judge((*last, t)) for t in grid if t not in last]
            tried += _exchanged(simulation, min(tried, key=_error), grid)
        best.append(min(tried, key=_error))
    return best


def _exchanged(simulation: _Simulation, start: Schedule, grid: Sequence[float]) -> list[Schedule]:
    """Judge every schedule that has one time exchanged."""
    return [
        simulation.judge((*(t for t in start.times_h if t != out), new))
        for out in start.times_h
        for new in grid
        if new not in start.times_h
    ]


def _error(schedule: Schedule) -> float:
    return schedule.error_mg_h_l
