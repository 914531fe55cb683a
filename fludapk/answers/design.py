"""Which levels to draw: what sampling times after the first dose would tell about the exposure.

By simulation and estimation: patients like this one are drawn from the model, their levels with
residual error, and each is estimated back. What is left between the true and the estimated AUC of
the course is compared with what covariates alone leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from fludapk._version import __version__
from fludapk.answers.prediction import predict
from fludapk.answers.record import DISCLAIMER, Record, Row, scalars
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patience import go_on
from fludapk.patients.patient import Patient
from fludapk.patients.population import virtual_patients
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure, with_residual_error
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
    """Sampling times and what they leave unknown of the AUC of the course."""

    times_h: tuple[float, ...]
    error_mg_h_l: float
    """Root mean square of estimated minus true AUC0-inf."""
    interval_width: float
    """Width of the central 90 % of that error, mg h/L."""
    reduction: float
    """Of the width, against covariates alone."""
    published: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class Design(Record):
    """Result of `design`."""

    schema: Literal["fludapk.design/1"] = "fludapk.design/1"
    model: str
    model_sha256: str
    version: str
    whose: str
    """"patient", or the name of a population."""
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
    """The best sampling times after the first dose for a patient, or for a population.

    The best times of k levels are looked for among all k of the grid for one and two levels, and by
    adding the best time to the best k - 1 after that, with one exchange of every time.

    Parameters
    ----------
    patient : Patient or str
        Or the name of a ready-made population, see `fludapk.patients.population.populations`.
    regimen : Regimen
    model : str
    most : int
        Up to so many levels.
    patients : int
        Simulated behind every schedule; the same for all.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> found = design(girl, plan, most=1, patients=64)
    >>> 0.2 < found.best[0].reduction < 0.9
    True
    >>> design("prwcc_ball", plan, most=1, patients=64).whose
    'prwcc_ball'
    """
    chosen = load_model(model, folders)
    if regimen.days < 2:
        raise InputError("a course of one dose has nothing left to adjust: levels would come late")
    tv, doses_mg = _simulated_patients(chosen, patient, regimen, patients)
    times, lengths, _ = regimen.course_of(1.0).arrays(1.0)
    amounts = doses_mg * chosen.file.dose.factor
    program = chosen.program
    rng = np.random.default_rng(_SEED)
    normals = rng.standard_normal((patients, program.n_eta + regimen.days * program.n_kappa))
    truth = RandomEffects.from_normals(program, normals, regimen.days)

    def auc(effects: RandomEffects) -> F8:
        return course_exposure(program, tv, effects, times, lengths, amounts).auc_0_inf

    true = auc(truth)
    grid = np.array([t for t in AFTER_H if regimen.infusion_h < t <= regimen.interval_h])
    at = np.unique([*grid, *(t for s in PUBLISHED for t in s if t <= regimen.interval_h)])
    first = RandomEffects(truth.eta, np.ascontiguousarray(truth.kappa[:, :1]))
    conc, _ = course_concentrations(program, tv, first, times[:1], lengths[:1], amounts[:, :1], at)
    measured = dict(
        zip(
            at.tolist(),
            with_residual_error(program, conc, rng.standard_normal(conc.shape)).T,
            strict=True,
        )
    )

    def judged(chosen_times: Sequence[float], published: bool = False) -> Schedule:
        go_on()
        taken = tuple(sorted(chosen_times))
        levels = Levels(
            times_h=np.broadcast_to(np.array(taken), (patients, len(taken))),
            conc_mg_l=np.column_stack([measured[t] for t in taken]),
        )
        estimate = map_estimates(program, tv, times[:1], lengths[:1], amounts[:, :1], levels)
        effects = estimate.over_course(regimen.days)
        error, width = _spread(auc(effects) - true)
        return Schedule(
            times_h=taken,
            error_mg_h_l=error,
            interval_width=width,
            reduction=1.0 - width / alone[1],
            published=published,
        )

    alone = _spread(auc(RandomEffects.none(program, regimen.days)) - true)
    best: list[Schedule] = []
    for k in range(1, most + 1):
        if k <= 2:
            tried = [judged(some) for some in combinations(grid.tolist(), k)]
        else:
            tried = [judged((*best[-1].times_h, t)) for t in grid if t not in best[-1].times_h]
            tried += _exchanged(min(tried, key=_error), grid, judged)
        best.append(min(tried, key=_error))
    return Design(
        model=chosen.id,
        model_sha256=chosen.sha256,
        version=__version__,
        whose=patient if isinstance(patient, str) else "patient",
        patients=patients,
        seed=_SEED,
        covariates_error_mg_h_l=alone[0],
        covariates_interval_width=alone[1],
        best=best,
        published=[
            judged(some, published=True) for some in PUBLISHED if max(some) <= regimen.interval_h
        ],
    )


def _simulated_patients(
    model: Model, patient: Patient | str, regimen: Regimen, n: int
) -> tuple[F8, F8]:
    """Typical parameters and doses, (n or 1, 6) and (n or 1, doses) mg of fludarabine phosphate."""
    if isinstance(patient, str):
        known = virtual_patients(patient, n=n, seed=_SEED, model=model)
        rows, _ = studied_rows(model, known)
        mg = np.asarray(regimen.dose_mg(known["BSA"], known["WT"]))
        return model.program.typical_values(rows)[0], np.repeat(mg[:, None], regimen.days, axis=1)
    course = regimen.course(patient)
    return predict(model, patient, regimen, course).tv, np.array([course.doses_mg])


Judge: TypeAlias = Callable[[Sequence[float]], Schedule]


def _error(schedule: Schedule) -> float:
    return schedule.error_mg_h_l


def _exchanged(start: Schedule, grid: F8, judged: Judge) -> list[Schedule]:
    """Every schedule with one time exchanged."""
    return [
        judged((*(t for t in start.times_h if t != out), new))
        for out in start.times_h
        for new in grid
        if new not in start.times_h
    ]


def _spread(errors: F8) -> tuple[float, float]:
    low, high = np.quantile(errors, [0.05, 0.95])
    return float(np.sqrt(np.mean(errors**2))), float(high - low)
