"""One patient by one model: typical parameters, exposure, and random effects around them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Case
from fludapk.pk.effects import MOST_DIMENSIONS, RandomEffects, standard_normal_points
from fludapk.pk.exposure import Exposure, course_concentrations, course_exposure, rates
from fludapk.pk.program import Program
from fludapk.published.covariates import (
    Covariates,
    Outside,
    Step,
    covariate_columns,
    covariate_rows,
    missing_covariates,
    outside_studied_range,
)
from fludapk.published.models import Model
from fludapk.published.uncertainty import Uncertainty
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
    values: dict[str, F8]
    """Covariate of the model -> (1,)."""
    uncapped: float | None
    """eGFR or CrCl before the cap of the model."""
    origin: str | None
    """The formula that gave it, or "given", or "from" the other kind."""
    outside: list[Outside]
    tv: F8
    """(1, 6 or more) Typical CL V1 Q2 V2 Q3 V3 at the first dose; see `Program.typical_values`."""
    renal_fraction: float
    """Renal fraction of the clearance."""
    half_life_h: float
    typical: Exposure
    at_cells: tuple[float | None, float | None]
    """AUC so far, mg·h/L, and concentration, mg/L, when the cells are given."""
    computed_steps: list[Step] | None = None
    """`steps`, where they were computed on the way."""
    tv_by_dose: F8 | None = None
    """(1, doses, 6 or more) The same at every dose, if the covariates change; else None."""

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
        return float(self.typical.auc_0_inf[0])

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
        if self.computed_steps is not None:
            return self.computed_steps
        return covariate_columns(self.model, self._columns, self.case.patient.egfr_formula).steps

    @property
    def _columns(self) -> dict[str, F8]:
        """Covariates given of the patient, as arrays of one row."""
        patient, regimen, _ = self.case
        return patient.columns(self.model, regimen.product, regimen.disease)

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
        program, doses = self.model.program, self._covariate_rows(formula)
        tv = np.stack([program.typical_values(row)[0] for row in doses], axis=1)
        tv = tv[:, 0] if len(doses) == 1 else tv
        return float(course_exposure(program, tv, self.no_effects, *self.arrays).auc_0_inf[0])

    def _covariate_rows(self, formula: str | None) -> list[F8]:
        """Rows of covariates: of the first dose, and of every other one if they change."""
        model, (patient, regimen, course) = self.model, self.case
        times = course.times_h if self.tv_by_dose is not None else course.times_h[:1]
        rows = []
        for time in times:
            columns = columns_of([patient], model, [regimen.product], [regimen.disease], time)
            rows.append(covariate_rows(model, covariate_columns(model, columns, formula).values))
        return rows

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
        doses = len(self.case.course.doses_mg)
        draws = uncertain_effects(self.model.program, self.model.uncertainty, doses, log2_points)
        if draws is None:
            return None
        theta, effects = draws
        program = self.model.program
        rows = self._covariate_rows(self.case.patient.egfr_formula)
        each = [
            program.typical_values(np.repeat(row, theta.shape[1], axis=0), theta)[0] for row in rows
        ]
        tv = each[0] if len(each) == 1 else np.stack(each, axis=1)
        return course_exposure(program, tv, effects, *self.arrays, theta).auc_0_inf


Outcome: TypeAlias = Prediction | InputError
"""A prediction, or why there is none."""


@lru_cache(maxsize=16)
def uncertain_effects(
    program: Program, uncertainty: Uncertainty, doses: int, log2_points: int
) -> tuple[F8, RandomEffects] | None:
    """Draw numbers of a model, and random effects with the variability drawn, on fixed points.

    Parameters
    ----------
    program : Program
    uncertainty : Uncertainty
        Uncertainty of the printed numbers.
    doses : int
        Number of doses: occasions of kappa.
    log2_points : int
        2 to this power draws, n.

    Returns
    -------
    theta : (thetas, n)
    effects : RandomEffects
        The effects of `simulated_effects`, times the SD drawn over the printed one.
    """
    certain, uncertain = program.n_eta + doses * program.n_kappa, uncertainty.dimensions
    if not uncertain or certain + uncertain > MOST_DIMENSIONS:
        return None
    z = standard_normal_points(log2_points, certain + uncertain)
    theta, scale = uncertainty.draw(z[:, certain:])
    effects = RandomEffects.from_normals(program, z[:, :certain], doses)
    return theta, uncertainty.varied(effects, scale)


@lru_cache(maxsize=16)
def simulated_effects(program: Program, doses: int, log2_points: int) -> RandomEffects:
    """Draw random effects of a course on the fixed Sobol points."""
    z = standard_normal_points(log2_points, program.n_eta + doses * program.n_kappa)
    return RandomEffects.from_normals(program, z, doses)


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
    outcomes: dict[int, Outcome] = {}
    alike: dict[Hashable, list[int]] = {}
    for i, (patient, regimen, course) in enumerate(cases):
        key = patient.egfr_formula, course.times_h, course.infusion_h, regimen.cells_at_h
        alike.setdefault(key, []).append(i)
    for rows in alike.values():
        outcomes.update(zip(rows, _alike(model, [cases[i] for i in rows]), strict=True))
    return [outcomes[i] for i in range(len(cases))]


def _alike(model: Model, cases: Sequence[Case]) -> list[Outcome]:
    """Predict cases with the same times and eGFR formula, all at once."""
    times = cases[0].course.times_h
    changing = any(case.patient.renal_changes for case in cases)
    doses = [_covariates_at(model, cases, time) for time in (times if changing else times[:1])]
    outcomes: dict[int, Outcome] = {}
    studied: dict[int, list[Outside]] = {}
    for i, case in enumerate(cases):
        try:
            for given, covariates in doses if case.patient.renal_changes else doses[:1]:
                lacking = missing_covariates(model, covariates.values, given, i)
                if lacking:
                    raise InputError(*lacking)
                outside = outside_studied_range(model, covariates.values, i)
                told = {entry.covariate for entry in studied.setdefault(i, [])}
                studied[i] += [entry for entry in outside if entry.covariate not in told]
        except InputError as error:
            outcomes[i] = error
            studied.pop(i, None)
    try:
        each = [computed for _, computed in doses]
        outcomes |= _typical_patients(model, cases, each, studied) if studied else {}
    except InputError as error:  # of a row that this does not name: each by itself
        if len(cases) == 1:
            return [error]
        return [_alike(model, [case])[0] for case in cases]
    return [outcomes[i] for i in range(len(cases))]


def _covariates_at(
    model: Model, cases: Sequence[Case], time_h: float
) -> tuple[dict[str, F8], Covariates]:
    """Patients as given at a dose, and the covariates that follow."""
    given = columns_of(
        [case.patient for case in cases],
        model,
        [case.regimen.product for case in cases],
        [case.regimen.disease for case in cases],
        time_h,
    )
    return given, covariate_columns(model, given, cases[0].patient.egfr_formula)


def _typical_patients(
    model: Model,
    cases: Sequence[Case],
    doses: Sequence[Covariates],
    studied: Mapping[int, list[Outside]],
) -> dict[int, Prediction]:
    """Predict the typical patient of every case that can be used.

    Parameters
    ----------
    model : Model
    cases : sequence of Case
        With the same times.
    doses : sequence of Covariates
        A row for each case: at the first dose, or at every dose if any of them change.
    studied : mapping of int to list of Outside
        Place of a case that can be used -> its covariates outside the studied range.

    Returns
    -------
    dict of int to Prediction
        With the places of `studied`.
    """
    rows, covariates = list(studied), doses[0]
    each = []
    for at_dose in doses:
        usable = {name: column[rows] for name, column in at_dose.values.items()}
        each.append(model.program.typical_values(covariate_rows(model, usable, len(rows))))
    tv, renal = each[0]
    by_dose = np.stack([own for own, _ in each], axis=1) if len(each) > 1 else None
    typical_values = tv if by_dose is None else by_dose
    times, lengths, _ = cases[0].course.arrays(1.0)
    amounts = np.array([cases[i].course.doses_mg for i in rows]) * model.file.dose_factor
    no_effects = RandomEffects.none(model.program, len(times))
    typical = course_exposure(model.program, typical_values, no_effects, times, lengths, amounts)
    half_life = math.log(2) / rates(tv)[:, 3 - model.program.compartments]
    at_cells = _at_cells(
        model, typical_values, times, lengths, amounts, cases[0].regimen.cells_at_h
    )
    name = model.renal_covariate
    return {
        i: Prediction(
            model=model,
            case=cases[i],
            values={key: column[i : i + 1] for key, column in covariates.values.items()},
            uncapped=None if name is None else float(covariates.uncapped[name][i]),
            origin=None if name is None else covariates.origin[name][i],
            outside=studied[i],
            tv=tv[j : j + 1],
            renal_fraction=float(renal[j]),
            half_life_h=float(half_life[j]),
            typical=typical.row(j),
            at_cells=at_cells[j],
            computed_steps=covariates.steps if len(cases) == 1 else None,
            tv_by_dose=by_dose[j : j + 1] if by_dose is not None and _change(cases[i]) else None,
        )
        for j, i in enumerate(rows)
    }


def _change(case: Case) -> bool:
    return bool(case.patient.renal_changes)


def _at_cells(
    model: Model, tv: F8, times: F8, lengths: F8, amounts: F8, at_h: float | None
) -> list[tuple[float | None, float | None]]:
    """Compute AUC so far and concentration of typical patients when the cells are given."""
    if at_h is None:
        return [(None, None)] * len(tv)
    program = model.program
    if at_h >= times[-1] + lengths[-1]:  # a dose of nothing then: its trough is the concentration
        typical = RandomEffects.none(program, len(times) + 1)
        if tv.ndim == 3:
            tv = np.concatenate([tv, tv[:, -1:]], axis=1)
        nothing = np.zeros((len(tv), 1))
        longer = np.append(times, at_h), np.append(lengths, 1.0), np.hstack([amounts, nothing])
        result = course_exposure(program, tv, typical, *longer)
        auc, conc = result.auc_per_dose[:, :-1].sum(axis=1), result.trough[:, -1]
    else:
        typical = RandomEffects.none(program, len(times))
        at = np.array([at_h])
        both = course_concentrations(program, tv, typical, times, lengths, amounts, at)
        conc, auc = both[0][:, 0], both[1][:, 0]
    return list(zip(auc.tolist(), conc.tolist(), strict=True))
