"""One patient by one model: typical parameters, exposure, and random effects around them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from fludapk.answers.drawn_effects import simulated_effects, uncertain_effects
from fludapk.answers.typical import Together, at_cells, typical_rows
from fludapk.arrays import F8, Bools
from fludapk.errors import InputError
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient, category_columns, size_columns
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Case
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import (
    Exposure,
    course_areas,
    course_concentrations,
    course_exposure,
    slowest_rate,
)
from fludapk.published.covariates import (
    Covariates,
    Outside,
    Step,
    covariate_columns,
    covariate_rows,
    missing_covariates,
    outside_studied_range,
    studied_range,
)
from fludapk.published.models import Model
from fludapk.units import MOLAR_MASS_F_ARA_A, MOLAR_MASS_PHOSPHATE

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
        name, free = self.model.renal_covariate, self._covariates.uncapped
        return None if name is None else float(free[name][self.covariate_place])

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
        column = self.together.covariates[dose].values.get(name)
        return None if column is None else float(column[self.covariate_place])

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
        """AUC0-inf if the paper fitted mg of the other substance; None unless it leaves that open.

        A model of mg of phosphate takes the prescribed mg as they are, one of F-ara-A the mass
        ratio of them.
        """
        dose, ratio = self.model.file.dose, MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
        if dose.basis != "unknown":
            return None
        return self.auc_0_inf / dose.factor if dose.factor < 1.0 else self.auc_0_inf * ratio

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

    def auc_by(self, formula: str) -> float:
        """Compute AUC0-inf of the typical patient by another formula of renal function, mg·h/L."""
        auc = float(self.together.auc_by(formula)[self.place])
        if math.isnan(auc):
            raise InputError(f"no valid parameters by {formula}")
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
    tv = np.stack([prediction.typical_values for prediction in alike])
    times, lengths, amounts = _arrays(alike)
    effects = simulated_effects(alike[0].model.program, len(times), log2_points)
    return course_areas(alike[0].model.program, tv, effects, times, lengths, amounts)


def uncertain_areas(alike: Sequence[Prediction], log2_points: int) -> F8 | None:
    """Compute the same by models with uncertain numbers; see `Prediction.auc_with_uncertainty`."""
    model, (times, lengths, amounts) = alike[0].model, _arrays(alike)
    draws = uncertain_effects(model.program, model.uncertainty, len(times), log2_points)
    if draws is None:
        return None
    theta, effects = draws
    each = []
    for dose in range(len(alike[0].together.covariates)):
        values = {
            name: np.array([p.covariate(name, dose) for p in alike])
            for name in model.program.covariates
        }
        rows = covariate_rows(model, values, len(alike))
        each.append(model.program.typical_values(rows[:, None], theta)[0])
    tv = each[0] if len(each) == 1 else np.stack(each, axis=2)
    return course_areas(model.program, tv, effects, times, lengths, amounts, theta)


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


def predictions(
    model: Model, cases: Sequence[Case], sizes: Mapping[str, F8] | None = None
) -> list[Outcome]:
    """Predict many cases: return the prediction of each, or why there is none.

    Parameters
    ----------
    model : Model
    cases : sequence of Case
    sizes : mapping of str to (n,) arrays, optional
        `size_columns` of their patients at the first dose.
    """
    sizes = size_columns([case.patient for case in cases]) if sizes is None else sizes
    outcomes: dict[int, Outcome] = {}
    alike: dict[Hashable, list[int]] = {}
    for i, (patient, regimen, course) in enumerate(cases):
        changing = bool(patient.renal_changes)
        key = patient.egfr_formula, course.times_h, course.infusion_h, regimen.cells_at_h, changing
        alike.setdefault(key, []).append(i)
    for rows in alike.values():
        own = {name: column[rows] for name, column in sizes.items()}
        outcomes.update(zip(rows, _alike(model, [cases[i] for i in rows], own), strict=True))
    return [outcomes[i] for i in range(len(cases))]


def _alike(model: Model, cases: Sequence[Case], sizes: Mapping[str, F8]) -> list[Outcome]:
    """Predict cases with the same times and eGFR formula, all or none that change, all at once."""
    times = cases[0].course.times_h
    times = times if cases[0].patient.renal_changes else times[:1]
    first = _covariates(model, cases, sizes)
    later = (size_columns([case.patient for case in cases], time) for time in times[1:])
    doses = [first, *(_covariates(model, cases, columns) for columns in later)]
    outcomes: dict[int, Outcome] = {}
    studied: dict[int, list[Outside]] = {}
    usable_at = np.array([_plainly_usable(model, at, len(cases)) for _, at in doses])
    plain = np.all(usable_at, axis=0)
    for i, is_plain in enumerate(plain.tolist()):
        try:
            studied[i] = [] if is_plain else _outside(model, doses, i)
        except InputError as error:
            outcomes[i] = error
            studied.pop(i, None)
    try:
        outcomes |= _typical_patients(model, cases, doses, studied) if studied else {}
    except InputError as error:  # of a row that this does not name: each by itself
        if len(cases) == 1:
            return [error]
        return [predictions(model, [case])[0] for case in cases]
    return [outcomes[i] for i in range(len(cases))]


def _covariates(
    model: Model, cases: Sequence[Case], sizes: Mapping[str, F8]
) -> tuple[dict[str, F8], Covariates]:
    """Return what is given of patients at a dose, and the covariates that follow."""
    categories = category_columns(
        [case.patient for case in cases],
        model,
        [case.regimen.product for case in cases],
        [case.regimen.disease for case in cases],
    )
    given = {**sizes, **categories}
    return given, covariate_columns(model, given, cases[0].patient.egfr_formula)


def _plainly_usable(model: Model, covariates: Covariates, n: int) -> Bools:
    """Tell which patients lack nothing and are inside the studied range."""
    possible, outside = studied_range(model, covariates.values)
    is_plain = np.full(n, True) & possible & ~outside
    for value in covariates.values.values():
        is_plain &= ~np.isnan(value)
    return is_plain


def _outside(
    model: Model, doses: Sequence[tuple[Mapping[str, F8], Covariates]], i: int
) -> list[Outside]:
    """Return the covariates of a patient outside the studied range; refuse one who lacks some."""
    outside: dict[str, Outside] = {}
    for given, covariates in doses:
        lacking = missing_covariates(model, covariates.values, given, i)
        if lacking:
            raise InputError(*lacking)
        for entry in outside_studied_range(model, covariates.values, i):
            outside.setdefault(entry.covariate, entry)
    return list(outside.values())


def _typical_patients(
    model: Model,
    cases: Sequence[Case],
    doses: Sequence[tuple[Mapping[str, F8], Covariates]],
    studied: Mapping[int, list[Outside]],
) -> dict[int, Prediction]:
    """Predict the typical patient of every case that can be used.

    Parameters
    ----------
    model : Model
    cases : sequence of Case
        With the same times.
    doses : sequence of (mapping of str to arrays, Covariates)
        Given and computed, with a row for each case: at the first dose, or at every one if they
        change.
    studied : mapping of int to list of Outside
        Place of a case that can be used -> its covariates outside the studied range.

    Returns
    -------
    dict of int to Prediction
        With the places of `studied`.
    """
    rows = list(studied)
    each = typical_rows(model, [covariates.values for _, covariates in doses], rows)
    tv, renal = each[0]
    by_dose = np.stack([own for own, _ in each], axis=1) if len(each) > 1 else None
    typical_values = tv if by_dose is None else by_dose
    times, lengths, _ = cases[0].course.arrays(1.0)
    amounts = np.array([cases[i].course.doses_mg for i in rows]) * model.file.dose_factor
    no_effects = RandomEffects.none(model.program, len(times))
    typical = course_exposure(model.program, typical_values, no_effects, times, lengths, amounts)
    at_h = cases[0].regimen.cells_at_h
    together = Together(
        model=model,
        given=[given for given, _ in doses],
        rows=rows,
        course=(times, lengths, amounts),
        covariates=[covariates for _, covariates in doses],
        tv=tv,
        tv_by_dose=by_dose,
        renal_fraction=renal,
        half_life_h=math.log(2) / slowest_rate(tv, model.program.compartments),
        typical=typical,
        at_cells=at_cells(model, typical_values, times, lengths, amounts, at_h),
    )
    return {
        i: Prediction(model, cases[i], outside, together, place, i)
        for place, (i, outside) in enumerate(studied.items())
    }
