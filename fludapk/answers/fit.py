"""The estimate of one patient from measured levels, kept for everything that is read from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fludapk.answers.check import checks
from fludapk.answers.check_records import CheckResult
from fludapk.answers.prediction import Prediction, predict
from fludapk.arrays import F8
from fludapk.errors import Fault, FludapkError, InputError, StudiedRangeError
from fludapk.patients.course import DAY_H, GIVEN_DAY_H, Course, GivenDose
from fludapk.patients.level import Level, slips
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimate
from fludapk.pk.exposure import course_exposure
from fludapk.pk.posterior import Posterior, sample_posterior
from fludapk.published.models import DEFAULT_MODEL, load_model

BAND_DRAWS: Final = 4000
"""Draws of the posterior behind a band of concentrations."""
SEED: Final = 20222022


@dataclass(frozen=True, eq=False)
class Fit:
    """What is known after the levels: prediction, estimate, and the posterior of the course."""

    request: Request
    prior: CheckResult
    measured: list[Level]
    typical_mg_l: F8
    """Prediction of each level from covariates, in order of time."""

    prediction: Prediction
    estimate: MapEstimate
    posterior: Posterior
    course: Course
    given: Sequence[GivenDose]
    """Doses as given, if they were typed."""
    left: int
    """Infusions that are left."""

    def auc(self, effects: RandomEffects, doses_mg: F8) -> F8:
        """Cumulative AUC of each point of the posterior for other doses, mg h/L."""
        model = self.prediction.model
        times, lengths, _ = self.course.arrays(1.0)
        amounts = doses_mg[np.newaxis] * model.file.dose.factor
        return course_exposure(
            model.program, self.prediction.tv, effects, times, lengths, amounts
        ).auc_0_inf

    def bands(self, at_h: F8) -> tuple[F8, F8]:
        """Concentrations over time, (3, times) mg/L, before and after the levels.

        Rows are 5 %, the typical or the most likely patient, and 95 %.
        """
        prediction = self.prediction

        def of(middle: RandomEffects, drawn: RandomEffects) -> F8:
            line, spread = (
                prediction.concentrations(effects, at_h)[0] for effects in (middle, drawn)
            )
            low, high = np.quantile(spread, [0.05, 0.95], axis=0)
            return np.stack([low, line[0], high])

        return (
            of(prediction.no_effects, prediction.random_effects(10)),
            of(self.estimate.effects, self.posterior.draws(BAND_DRAWS)),
        )


def fit(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    *,
    given: Sequence[GivenDose] = (),
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> Fit:
    """Estimate a patient from levels; arguments as in `update`."""
    chosen = load_model(model, folders)
    course, left = _course(patient, regimen, levels, given, round_to_mg)
    request = Request(
        patient=patient,
        regimen=regimen,
        model=model,
        round_to_mg=round_to_mg,
        course=course if given else None,
    )
    (prior,) = checks([request], folders=folders)
    if isinstance(prior, FludapkError):
        raise prior
    prediction = predict(chosen, patient, regimen, course)
    if strict and prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        raise StudiedRangeError(f"outside the studied range of {model}: {listed}")
    known = Levels(
        times_h=np.array([level.time_h for level in levels]),
        conc_mg_l=np.array(
            [math.nan if level.conc_mg_l is None else level.conc_mg_l for level in levels]
        ),
        lloq_mg_l=np.array(
            [math.nan if level.lloq_mg_l is None else level.lloq_mg_l for level in levels]
        ),
    )
    typical = prediction.typical_mg_l(known.times_h[0])
    faults = slips(known.times_h[0], known.conc_mg_l[0], typical, known.places[0])
    if faults:
        raise InputError(*faults)
    estimate = map_estimate(chosen.program, prediction.tv, *prediction.arrays, known)
    return Fit(
        request=request,
        prior=prior,
        measured=list(levels),
        typical_mg_l=typical,
        prediction=prediction,
        estimate=estimate,
        posterior=sample_posterior(estimate, seed=SEED),
        course=course,
        given=given,
        left=left,
    )


def _course(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    given: Sequence[GivenDose],
    round_to_mg: float | None,
) -> tuple[Course, int]:
    """Doses as given, then as planned; and how many are left."""
    if not levels:
        do = 'give at least one, for example "2.0h 0.62mg/L"'
        raise InputError(Fault("levels", "no levels", do=do, whole=True))
    plan = regimen.course(patient, round_to_mg)
    last = max(level.time_h for level in levels)
    if not given:
        done = sum(start < last for start in plan.times_h)
        return plan, len(plan.times_h) - done
    if len(given) > len(plan.times_h):
        found = f"{len(given)} doses were given, the course has {len(plan.times_h)}"
        do = "give the course that was given, by {dose} and {days}"
        raise InputError(Fault("given", found, do=do, whole=True))
    done = len(given)
    starts, lengths, doses = zip(*sorted(dose[:3] for dose in given), strict=True)
    if abs(starts[0]) > 1e-9:
        found = f"time counts from the first dose, which starts at {starts[0]:g} h"
        raise InputError(Fault("given", found, whole=True))
    delay = max(0.0, starts[-1] - plan.times_h[done - 1])
    course = Course(
        times_h=(*starts, *(time + delay for time in plan.times_h[done:])),
        infusion_h=(*lengths, *plan.infusion_h[done:]),
        doses_mg=(*doses, *plan.doses_mg[done:]),
        planned_mg=plan.planned_mg,
        day_h=GIVEN_DAY_H if regimen.interval_h >= DAY_H else DAY_H,
    )
    not_given = [
        Fault(
            "levels",
            f"level at {level.time_h:g} h is after the dose planned at {course.times_h[done]:g} h, "
            "which was not said to be given",
            inside=("levels", place),
            whole=True,
        )
        for place, level in enumerate(levels, start=1)
        if done < len(course.times_h) and level.time_h > course.times_h[done]
    ]
    if not_given:
        raise InputError(*not_given)
    return course, len(course.times_h) - done
