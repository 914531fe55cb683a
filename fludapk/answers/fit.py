"""The estimate of one patient from measured levels, kept for everything that is read from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from fludapk.answers.check import check_request
from fludapk.answers.check_records import CheckResult
from fludapk.answers.prediction import Prediction, predict
from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, StudiedRangeError
from fludapk.language import tr
from fludapk.patients.course import DAY_H, GIVEN_DAY_H, Course, GivenDose
from fludapk.patients.level import (
    CONFIRMS_TIMES,
    Level,
    repeated,
    slips,
    unlikely_times,
    used_places,
)
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimate
from fludapk.pk.exposure import course_concentrations, course_exposure
from fludapk.pk.posterior import Posterior, sample_posterior
from fludapk.pk.surprise import Surprise, surprise
from fludapk.published.models import DEFAULT_MODEL, load_model

BAND_DRAWS: Final = 4000
"""Draws of the posterior behind a band of concentrations."""
SEED: Final = 20222022


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Levels of a patient, as they were given.

    Parameters
    ----------
    levels : sequence of Level
    used : sequence of int
        Places, from 1, of the levels that the estimate is made from.
    excluded : sequence of int
        Places of those left out as asked.
    confirmed : sequence of int
        Places of those whose time would have been asked about.
    """

    levels: Sequence[Level]
    used: Sequence[int]
    excluded: Sequence[int] = ()
    confirmed: Sequence[int] = field(default=())

    def at(self, place: int) -> Level:
        """Level in a place, from 1."""
        return self.levels[place - 1]

    @property
    def before_drug(self) -> list[int]:
        """Places of levels with drug before the first dose, which no model explains."""
        left = set(self.used) | set(self.excluded)
        return [place for place in range(1, len(self.levels) + 1) if place not in left]

    def arrays(self, places: Sequence[int]) -> Levels:
        """Levels in some places, for an estimate."""
        chosen = [self.at(place) for place in places]
        return Levels(
            times_h=np.array([level.time_h for level in chosen]),
            conc_mg_l=np.array([_number(level.conc_mg_l) for level in chosen]),
            lloq_mg_l=np.array([_number(level.lloq_mg_l) for level in chosen]),
        )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True, eq=False)
class Fit:
    """Estimate of a patient: prediction, most likely effects, and the posterior of the course."""

    request: Request
    prior: CheckResult
    measured: Measured
    prediction: Prediction
    estimate: MapEstimate
    posterior: Posterior
    course: Course
    given: Sequence[GivenDose]
    """Doses as given, if they were typed."""
    left: int
    """Infusions that are left."""
    folders: Sequence[Path] | None = None
    """Folders of models; see `fludapk.published.models.model_folders`."""

    @cached_property
    def surprise(self) -> Surprise:
        """Deviations of levels and effects from the expected."""
        return surprise(self.estimate)

    @property
    def fits(self) -> bool:
        """Tell if the levels fit together."""
        return not self.measured.before_drug and self.surprise.fits

    @property
    def places(self) -> list[int]:
        """Places, as given, of the levels of the estimate, in order of time."""
        return [self.measured.used[int(k) - 1] for k in self.estimate.problem.levels.places[0]]

    def auc(self, effects: RandomEffects, doses_mg: F8) -> F8:
        """Cumulative AUC of each point of the posterior for other doses, mg h/L."""
        model = self.prediction.model
        times, lengths, _ = self.course.arrays(1.0)
        amounts = doses_mg[np.newaxis] * model.file.dose_factor
        return course_exposure(
            model.program, self.prediction.typical_values, effects, times, lengths, amounts
        ).auc_0_inf

    def likely_mg_l(self, at_h: F8, doses_mg: F8) -> F8:
        """Concentration of the most likely patient for other doses, (times,) mg/L."""
        model, effects = self.prediction.model, self.estimate.effects
        times, lengths, _ = self.course.arrays(1.0)
        amounts = doses_mg[np.newaxis] * model.file.dose.factor
        tv = self.prediction.tv
        return np.asarray(
            course_concentrations(model.program, tv, effects, times, lengths, amounts, at_h)[0][0]
        )

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
    exclude_level: Sequence[int | str] = (),
    confirm: Sequence[str] = (),
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> Fit:
    """Estimate a patient from levels; arguments as in `fludapk.answers.update.update`."""
    chosen = load_model(model, folders)
    if not levels:
        do = tr('give at least one, for example "2.0h 0.62mg/L"')
        raise InputError(Fault("levels", tr("no levels"), do=do, whole=True))
    used = used_places(exclude_level, len(levels))
    course, left = _course(patient, regimen, levels, used, given, round_to_mg)
    request = Request(
        patient=patient,
        regimen=regimen,
        model=model,
        round_to_mg=round_to_mg,
        course=course if given else None,
    )
    prior = check_request(request, folders=folders)
    prediction = predict(chosen, patient, regimen, course)
    if strict and prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        raise StudiedRangeError(
            tr("outside the studied range of {model}: {ranges}", model=model, ranges=listed)
        )
    measured = _judged(levels, used, prediction, are_confirmed=CONFIRMS_TIMES in confirm)
    estimate = map_estimate(
        chosen.program,
        prediction.typical_values,
        *prediction.arrays,
        measured.arrays(measured.used),
    )
    return Fit(
        request=request,
        prior=prior,
        measured=measured,
        prediction=prediction,
        estimate=estimate,
        posterior=sample_posterior(estimate, seed=SEED),
        course=course,
        given=given,
        left=left,
        folders=folders,
    )


def _judged(
    levels: Sequence[Level], used: list[int], prediction: Prediction, *, are_confirmed: bool
) -> Measured:
    """Levels whose units and times are plausible or confirmed.

    Raises
    ------
    InputError
        Asking about all that are not.
    """
    whole = Measured(levels=levels, used=used)
    known = whole.arrays(used)
    times, conc, places = known.times_h[0], known.conc_mg_l[0], np.array(used)[known.places[0] - 1]
    typical = prediction.typical_mg_l(times)
    peak = float(prediction.typical.cmax[0])
    last_dose_h = prediction.case.course.times_h[-1]
    unlikely = unlikely_times(times, typical, places, last_dose_h=last_dose_h, peak_mg_l=peak)
    asked = [*unlikely, *repeated(times, conc, places)]
    after = times > 0
    lloq = np.asarray(known.lloq_mg_l)[0]
    faults = slips(times[after], conc[after], typical[after], places[after], lloq[after])
    if faults or (asked and not are_confirmed):
        raise InputError(*faults, *([] if are_confirmed else asked))
    usable = after | np.isnan(conc)
    if not usable.any():
        found = tr("every level is from before the first dose: nothing to estimate from")
        raise InputError(Fault("levels", found, whole=True))
    return Measured(
        levels=levels,
        used=sorted(places[usable].tolist()),
        excluded=[place for place in range(1, len(levels) + 1) if place not in used],
        confirmed=sorted(fault.inside[1] for fault in unlikely if fault.inside),
    )


def _course(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    used: Sequence[int],
    given: Sequence[GivenDose],
    round_to_mg: float | None,
) -> tuple[Course, int]:
    """Doses as given, then as planned; and the number of those that are left.

    Levels that are left out still tell that the doses before them were given.
    """
    plan = regimen.course(patient, round_to_mg)
    if not given:
        last = max(level.time_h for level in levels)
        done = sum(start < last for start in plan.times_h)
        return plan, len(plan.times_h) - done
    if len(given) > len(plan.times_h):
        found = tr(
            "{n} doses were given, the course has {planned}",
            n=len(given),
            planned=len(plan.times_h),
        )
        do = tr("give the course that was given, by {dose} and {days}")
        raise InputError(Fault("given", found, do=do, whole=True))
    course = _as_given(plan, given, regimen.interval_h)
    done = course.given
    not_given = [
        Fault(
            "levels",
            tr(
                "level at {level:g} h is after the dose planned at {planned:g} h, which was not "
                "said to be given",
                level=time,
                planned=course.times_h[done],
            ),
            inside=("levels", place),
            whole=True,
        )
        for place in used
        if done < len(course.times_h) and (time := levels[place - 1].time_h) > course.times_h[done]
    ]
    if not_given:
        raise InputError(*not_given)
    return course, len(course.times_h) - done


def _as_given(plan: Course, given: Sequence[GivenDose], interval_h: float) -> Course:
    """A plan whose first doses are those given; later ones follow as much later as the last."""
    done = len(given)
    starts, lengths, doses = zip(*sorted(dose[:3] for dose in given), strict=True)
    if abs(starts[0]) > 1e-9:
        found = tr("time counts from the first dose, which starts at {time:g} h", time=starts[0])
        raise InputError(Fault("given", found, whole=True))
    delay = max(0.0, starts[-1] - plan.times_h[done - 1])
    return Course(
        times_h=(*starts, *(time + delay for time in plan.times_h[done:])),
        infusion_h=(*lengths, *plan.infusion_h[done:]),
        doses_mg=(*doses, *plan.doses_mg[done:]),
        planned_mg=plan.planned_mg,
        day_h=GIVEN_DAY_H if interval_h >= DAY_H else DAY_H,
        given=done,
    )
