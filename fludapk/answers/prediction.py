"""One patient by one model: typical parameters, exposure, and random effects around them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from fludapk.answers.drawn_effects import simulated_effects, uncertain_effects
from fludapk.answers.typical import (
    Given,
    Switch,
    Together,
    at_cells,
    by_other_basis,
    typical_rows,
)
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient, size_columns
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Case
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import (
    Exposure,
    course_areas,
    course_concentrations,
    course_exposure,
)
from fludapk.published.covariates import (
    Covariates,
    Outside,
    Step,
    covariate_rows,
)
from fludapk.published.models import Model

LOG2_POINTS: Final = 13
"""Sobol points behind the probabilities: keeps them within 0.005 (tested)."""
PROBABILITY_SE: Final = 0.0015
"""Standard error of the probabilities.

Against 4 million pseudo-random draws, over three models, five patients, 1 to 6 doses and the
percentiles of the AUC, the root mean square of the error was 0.0003 to 0.0014, the largest 0.0041.
"""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The typical patient by one model; arrays have one row."""

    model: Model
    case: Case
    outside: list[Outside]
    together: Together
    """The patient among those who were predicted at once."""
    place: int
    """Row of the patient there; among the covariates it is `covariate_place`."""
    covariate_place: int

    @property
    def values(self) -> dict[str, F8]:
        """Covariate of the model -> (1,)."""
        at = slice(self.covariate_place, self.covariate_place + 1)
        return {name: column[at] for name, column in self._covariates.values.items()}

    @property
    def uncapped(self) -> float | None:
        """eGFR or CrCl before the cap of the model."""
        free = self.together.given.uncapped
        return free[self.covariate_place] if free else None

    @property
    def origin(self) -> str | None:
        """The formula that gave it, or "given", or "from" the other kind."""
        name, origin = self.model.renal_covariate, self._covariates.origin
        return None if name is None else origin[name][self.covariate_place]

    @property
    def tv(self) -> F8:
        """(1, 6 or more) Typical CL V1 Q2 V2 Q3 V3 at the first dose."""
        return self.together.tv[self.place : self.place + 1]

    @property
    def tv_by_dose(self) -> F8 | None:
        """(1, doses, 6 or more) The same at every dose, if the covariates change; else None."""
        every = self.together.tv_by_dose
        return None if every is None else every[self.place : self.place + 1]

    @property
    def _covariates(self) -> Covariates:
        """Covariates at the first dose, among others."""
        return self.together.covariates[0]

    def covariate(self, name: str, dose: int = 0) -> float | None:
        """Return a covariate of the model at a dose; None if it has no such covariate."""
        column = self.together.given.values[dose].get(name)
        return None if column is None else column[self.covariate_place]

    @property
    def clearance_l_h(self) -> float:
        """Clearance of the typical patient at the first dose."""
        return float(self.together.tv[self.place, 0])

    @property
    def cmax_mg_l(self) -> float:
        """Highest concentration of the typical patient."""
        return float(self.together.typical.cmax[self.place])

    @property
    def renal_fraction(self) -> float:
        """Renal fraction of the clearance."""
        return float(self.together.renal_fraction[self.place])

    @property
    def half_life_h(self) -> float:
        """Half-life of the last phase."""
        return float(self.together.half_life_h[self.place])

    @property
    def typical(self) -> Exposure:
        """Exposure of the typical patient, one row."""
        return self.together.typical.row(self.place)

    @property
    def at_cells(self) -> tuple[float | None, float | None]:
        """AUC so far, mg·h/L, and concentration, mg/L, when the cells are given."""
        return self.together.at_cells[self.place]

    @property
    def arrays(self) -> tuple[F8, F8, F8]:
        """Times, durations, amounts of F-ara-A."""
        return self.case.course.arrays(self.model.file.dose_factor)

    @property
    def typical_values(self) -> F8:
        """Typical values as `course_exposure` takes them: of every dose, if they change."""
        return self.tv if self.tv_by_dose is None else self.tv_by_dose

    @property
    def changes(self) -> bool:
        """True if the typical clearance is not the same at every dose."""
        return self.tv_by_dose is not None or self.model.program.changes

    @property
    def auc_0_inf(self) -> float:
        """AUC0-inf of the typical patient, mg·h/L."""
        return self.together.auc_0_inf[self.place]

    @property
    def auc_0_inf_other_basis(self) -> float | None:
        """AUC0-inf by the other dose basis; see `by_other_basis`."""
        return by_other_basis(self.model, self.auc_0_inf)

    @property
    def steps(self) -> list[Step]:
        """Steps by which the covariates were computed."""
        return self._covariates.steps(self.covariate_place)

    def exposure(self, effects: RandomEffects) -> Exposure:
        """Compute the exposure with random effects, a row for each set of them."""
        return course_exposure(self.model.program, self.typical_values, effects, *self.arrays)

    def concentrations(self, effects: RandomEffects, at_h: F8) -> tuple[F8, F8]:
        """Compute concentration, mg/L, and area so far, mg·h/L, at ascending times."""
        program, tv = self.model.program, self.typical_values
        return course_concentrations(program, tv, effects, *self.arrays, at_h)

    @property
    def no_effects(self) -> RandomEffects:
        """Random effects of the typical patient: zero."""
        return RandomEffects.none(self.model.program, len(self.case.course.doses_mg))

    @property
    def switch(self) -> Switch | None:
        """Age near that of the patient at which the formula of renal function changes."""
        return self.together.switches.get(self.place)

    @property
    def auc_by_other(self) -> float:
        """AUC0-inf of the typical patient by the other formula of `switch`, mg·h/L."""
        auc = self.together.auc_by_other[self.place]
        if math.isnan(auc):
            raise InputError(f"no valid parameters by {self.together.switches[self.place].other}")
        return auc

    def typical_mg_l(self, at_h: F8) -> F8:
        """Compute the concentration of the typical patient at ascending times, (times,) mg/L."""
        return np.asarray(self.concentrations(self.no_effects, at_h)[0][0])

    def random_effects(self, log2_points: int) -> RandomEffects:
        """Draw random effects on the fixed Sobol points, 2 to the power of `log2_points`."""
        return simulated_effects(self.model.program, len(self.case.course.doses_mg), log2_points)

    def auc_with_uncertainty(self, log2_points: int) -> F8 | None:
        """Return AUC0-inf of simulated patients by a model with uncertain numbers.

        Parameters
        ----------
        log2_points : int
            2 to this power patients, each by numbers of its own, on the same points of random
            effects as `random_effects`.

        Returns
        -------
        (n,) or None
            mg·h/L; None if nothing is printed, or there are more numbers than points have.
        """
        auc = uncertain_areas([self], log2_points)
        return None if auc is None else np.asarray(auc[0])


Outcome: TypeAlias = Prediction | InputError
"""A prediction, or why there is none."""


class At(NamedTuple):
    """Place of a patient among those predicted at once."""

    together: Together
    place: int
    row: int
    """Row among the covariates."""
    outside: list[Outside]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of some cases by a model, of which each is made when somebody asks for it."""

    model: Model
    cases: Mapping[int, Case]
    at: Mapping[int, At | InputError]
    """Place of each case among those predicted at once, or why there is no prediction."""

    def get(self, key: int) -> Outcome | None:
        """Return the prediction of a case; None if it is not among these."""
        return self[key] if key in self.at else None

    def __getitem__(self, key: int) -> Outcome:
        at = self.at[key]
        if isinstance(at, InputError):
            return at
        together, place, row, outside = at
        return Prediction(self.model, self.cases[key], outside, together, place, row)

    def auc_inside(self, key: int) -> float | None:
        """Return AUC0-inf of a case inside the studied range, mg·h/L; None of others."""
        at = self.at.get(key)
        return at.together.auc_0_inf[at.place] if isinstance(at, At) and not at.outside else None


def drawn_areas(alike: Sequence[Prediction], log2_points: int) -> F8:
    """Compute AUC0-inf of simulated patients for predictions by one model, with the same times.

    Parameters
    ----------
    alike : sequence of Prediction
    log2_points : int
        2 to this power simulated patients, n, stand for each.

    Returns
    -------
    (predictions, n)
        mg·h/L.
    """
    program, (times, lengths, amounts) = alike[0].model.program, _arrays(alike)
    tv = np.stack([prediction.typical_values for prediction in alike])
    effects = simulated_effects(program, len(times), log2_points)
    areas = np.empty((len(alike), 2**log2_points))
    for some in _blocks(areas):
        areas[:, some] = course_areas(program, tv, effects.rows(some), times, lengths, amounts)
    return areas


def uncertain_areas(alike: Sequence[Prediction], log2_points: int) -> F8 | None:
    """Compute the same by models with uncertain numbers; see `Prediction.auc_with_uncertainty`."""
    model, (times, lengths, amounts) = alike[0].model, _arrays(alike)
    draws = uncertain_effects(model.program, model.uncertainty, len(times), log2_points)
    if draws is None:
        return None
    theta, effects = draws
    rows = []
    for dose in range(len(alike[0].together.covariates)):
        values = {
            name: np.array([p.covariate(name, dose) for p in alike])
            for name in model.program.covariates
        }
        rows.append(covariate_rows(model, values, len(alike))[:, None])
    areas = np.empty((len(alike), 2**log2_points))
    for some in _blocks(areas):
        own, drawn = theta[:, some], effects.rows(some)
        each = [model.program.typical_values(at_dose, own)[0] for at_dose in rows]
        tv = each[0] if len(each) == 1 else np.stack(each, axis=2)
        areas[:, some] = course_areas(model.program, tv, drawn, times, lengths, amounts, own)
    return areas


def _blocks(areas: F8) -> Iterator[slice]:
    """Part courses of many patients, so that a processor's cache holds what a part needs."""
    patients, n = areas.shape
    size = max(_COURSES_OF_PART // patients, 1)
    return (slice(first, first + size) for first in range(0, n, size))


_COURSES_OF_PART: Final = 2**15
"""Number of courses of a part."""


def _arrays(alike: Sequence[Prediction]) -> tuple[F8, F8, F8]:
    """Times, durations and (predictions, doses) amounts of F-ara-A of courses at the same times."""
    times, lengths, _ = alike[0].arrays
    doses = np.array([prediction.case.course.doses_mg for prediction in alike])
    return times, lengths, doses * alike[0].model.file.dose_factor


def predict(model: Model, patient: Patient, regimen: Regimen, course: Course) -> Prediction:
    """Predict typical parameters and exposure of a patient by a model.

    Raises
    ------
    InputError
        If the model needs something that is not given, or a value is impossible.
    """
    (outcome,) = predictions(model, [Case(patient, regimen, course)])
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def predictions(model: Model, cases: Sequence[Case]) -> list[Outcome]:
    """Predict many cases: return the prediction of each, or why there is none."""
    each = predicted(model, dict(enumerate(cases)))
    return [each[i] for i in each.at]


def predicted(
    model: Model, cases: Mapping[int, Case], sizes: Mapping[str, F8] | None = None
) -> Predictions:
    """Predict many cases.

    Parameters
    ----------
    model : Model
    cases : mapping of int to Case
    sizes : mapping of str to (n,) arrays, optional
        `size_columns` of their patients at the first dose.
    """
    at = _places(model, list(cases.values()), sizes)
    return Predictions(model, cases, dict(zip(cases, at, strict=True)))


def _places(
    model: Model, cases: Sequence[Case], sizes: Mapping[str, F8] | None = None
) -> list[At | InputError]:
    """Predict cases together that have the same times."""
    sizes = size_columns([case.patient for case in cases]) if sizes is None else sizes
    alike: dict[tuple[Hashable, ...], list[int]] = {}
    for i, (patient, regimen, course) in enumerate(cases):
        changing = course.times_h if patient.renal_changes else None
        key = (
            (patient.egfr_formula, changing),
            course.times_h,
            course.infusion_h,
            regimen.cells_at_h,
        )
        alike.setdefault(key, []).append(i)
    by_covariates: dict[Hashable, list[list[int]]] = {}
    for (same, *_), rows in alike.items():
        by_covariates.setdefault(same, []).append(rows)
    places: dict[int, At | InputError] = {}
    for groups in by_covariates.values():
        places |= _of_groups(model, cases, sizes, groups)
    return [places[i] for i in range(len(cases))]


def _of_groups(
    model: Model, cases: Sequence[Case], sizes: Mapping[str, F8], groups: Sequence[list[int]]
) -> dict[int, At | InputError]:
    """Predict cases with the same eGFR formula, all or none of which change.

    Parameters
    ----------
    model : Model
    cases : sequence of Case
    sizes : mapping of str to arrays
        Of their patients, at the first dose.
    groups : sequence of list of int
        Places of cases with the same times.

    Returns
    -------
    dict of int to At or InputError
        With these places.
    """
    rows = [i for group in groups for i in group]
    own_sizes = {name: column[rows] for name, column in sizes.items()}
    given = Given.of(model, [cases[i] for i in rows], own_sizes)
    outside, refused = given.studied()
    places: dict[int, At | InputError] = {rows[row]: error for row, error in refused.items()}
    usable = [row for row in range(len(rows)) if row not in refused]
    if not usable:
        return places
    ends = np.searchsorted(usable, np.cumsum([len(group) for group in groups])).tolist()
    try:
        each = typical_rows(model, [at.values for at in given.covariates], usable)
        for start, end in pairwise([0, *ends]):
            if start == end:
                continue
            own = usable[start:end]
            treated = [cases[rows[row]] for row in own]
            typical = [(tv[start:end], renal[start:end]) for tv, renal in each]
            together = _together(given, own, typical, treated)
            for place, row in enumerate(own):
                places[rows[row]] = At(together, place, row, outside.get(row, []))
    except InputError as error:  # of a row that this does not name: each by itself
        if len(rows) == 1:
            return {rows[0]: error}
        return {i: _places(model, [cases[i]])[0] for i in rows}
    return places


def _together(
    given: Given, rows: Sequence[int], each: Sequence[tuple[F8, F8]], cases: Sequence[Case]
) -> Together:
    """Compute the exposure of typical patients with the same times.

    Parameters
    ----------
    given : Given
    rows : sequence of int
        Of these patients.
    each : sequence of (tv, renal fraction)
        At the first dose, or at every one if they change; see `Program.typical_values`.
    cases : sequence of Case
    """
    program, (regimen, course) = given.model.program, cases[0][1:]
    tv, renal = each[0]
    by_dose = np.stack([own for own, _ in each], axis=1) if len(each) > 1 else None
    typical_values = tv if by_dose is None else by_dose
    times, lengths, _ = course.arrays(1.0)
    amounts = np.array([case.course.doses_mg for case in cases]) * given.model.file.dose_factor
    no_effects = RandomEffects.none(program, len(times))
    own = times, lengths, amounts
    return Together(
        given=given,
        rows=rows,
        course=own,
        tv=tv,
        tv_by_dose=by_dose,
        renal_fraction=renal,
        typical=course_exposure(program, typical_values, no_effects, *own),
        at_cells=at_cells(given.model, typical_values, *own, regimen.cells_at_h),
    )
