"""Typical patients by one model, many at once: their exposure, also by another formula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patients.patient import category_columns, size_columns
from fludapk.patients.request import Case
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import Exposure, course_concentrations, course_exposure, slowest_rate
from fludapk.published.covariates import (
    Covariates,
    Outside,
    covariate_columns,
    covariate_rows,
    missing_covariates,
    outside_studied_range,
    studied_range,
)
from fludapk.published.formula_rules import formula_switch, may_switch
from fludapk.published.models import Model
from fludapk.published.tables import SEXES
from fludapk.units import MOLAR_MASS_F_ARA_A, MOLAR_MASS_PHOSPHATE


class Switch(NamedTuple):
    """Age at which a model turns to another formula of renal function."""

    age_years: float
    below: str
    above: str
    used: str
    """The one of these that a patient near this age has."""
    other: str


NEAR_YEARS: Final = 1.0
"""So near such an age the other formula is told."""


@dataclass(frozen=True, eq=False)
class Given:
    """Patients whose covariates a model computes at once."""

    model: Model
    columns: Sequence[Mapping[str, F8]]
    """Data that covariates are computed from, with a row for each patient: at the first dose, or at
    every one if they change."""
    formula: str | None
    """Formula of renal function that was chosen instead of the model's own."""

    @classmethod
    def of(cls, model: Model, cases: Sequence[Case], sizes: Mapping[str, F8]) -> Self:
        """Collect the data of cases.

        Parameters
        ----------
        model : Model
        cases : sequence of Case
            With the same eGFR formula; if a renal function changes, all with the same times.
        sizes : mapping of str to (n,) arrays
            `size_columns` of their patients at the first dose.
        """
        patients, times = [case.patient for case in cases], cases[0].course.times_h
        categories = category_columns(
            patients,
            model,
            [case.regimen.product for case in cases],
            [case.regimen.disease for case in cases],
        )
        later = times[1:] if patients[0].renal_changes else ()
        at_doses = [sizes, *(size_columns(patients, time) for time in later)]
        return cls(model, [{**at, **categories} for at in at_doses], patients[0].egfr_formula)

    def studied(self) -> tuple[dict[int, list[Outside]], dict[int, InputError]]:
        """Return rows outside the studied range, with the covariates that are, and rows refused."""
        outside: dict[int, dict[str, Outside]] = {}
        refused: dict[int, InputError] = {}
        for columns, at in zip(self.columns, self.covariates, strict=True):
            possible, beyond = studied_range(self.model, at.values)
            lacking = np.zeros(columns["AGE"].shape, dtype=np.bool_)
            for value in at.values.values():
                lacking |= np.isnan(value)
            for row in np.flatnonzero(lacking | beyond | ~possible).tolist():
                try:
                    given = self.model, at.values
                    if lacking[row] and (faults := missing_covariates(*given, columns, row)):
                        raise InputError(*faults)
                    for entry in outside_studied_range(*given, row):
                        outside.setdefault(row, {}).setdefault(entry.covariate, entry)
                except InputError as error:
                    refused.setdefault(row, error)
        return {row: list(entries.values()) for row, entries in outside.items()}, refused

    @cached_property
    def covariates(self) -> list[Covariates]:
        """Covariates at each of these doses."""
        return self.covariates_by(self.formula)

    @cached_property
    def values(self) -> list[dict[str, list[float]]]:
        """Values of each covariate at each of these doses, as numbers of Python."""
        return [
            {name: column.tolist() for name, column in at.values.items()} for at in self.covariates
        ]

    @cached_property
    def uncapped(self) -> list[float]:
        """eGFR or CrCl before the cap of the model, at the first dose; empty without either."""
        name, free = self.model.renal_covariate, self.covariates[0].uncapped
        values: list[float] = [] if name is None else free[name].tolist()
        return values

    def covariates_by(self, formula: str | None) -> list[Covariates]:
        """Compute covariates by a formula of renal function."""
        if formula not in self._by:
            self._by[formula] = [covariate_columns(self.model, at, formula) for at in self.columns]
        return self._by[formula]

    @cached_property
    def _by(self) -> dict[str | None, list[Covariates]]:
        return {}

    def switches(self, rows: Sequence[int]) -> dict[int, Switch]:
        """Find patients near an age at which the model turns to another formula for a creatinine.

        Parameters
        ----------
        rows : sequence of int
            Rows of some patients.

        Returns
        -------
        dict of int to Switch
            Place among `rows` -> the switch. Of unknown sex, or if a formula was chosen, none.
        """
        if self.formula is not None:
            return {}
        ages, women, creatinine = (self.columns[0][name][rows] for name in ("AGE", "SEX", "SCR"))
        near = may_switch(self.model, ages, within_years=NEAR_YEARS)
        near &= ~np.isnan(women) & ~np.isnan(creatinine)
        switches = {}
        for place in np.flatnonzero(near).tolist():
            age, sex = float(ages[place]), SEXES[0] if women[place] == 1.0 else SEXES[1]
            switch = formula_switch(self.model, age_years=age, sex=sex, within_years=NEAR_YEARS)
            if switch is not None:
                edge, below, above = switch
                pair = (below, above) if age < edge else (above, below)
                switches[place] = Switch(*switch, *pair)
        return switches


@dataclass(frozen=True, eq=False)
class Together:
    """Typical patients by one model, with the same times; arrays have a row for each."""

    given: Given
    """These patients, among others."""
    rows: Sequence[int]
    """Row of each typical patient there."""
    course: tuple[F8, F8, F8]
    """Times and durations, h, and (n, doses) amounts of F-ara-A, mg."""
    tv: F8
    """(n, 6 or more) Typical CL V1 Q2 V2 Q3 V3 at the first dose; see `Program.typical_values`."""
    tv_by_dose: F8 | None
    """(n, doses, 6 or more) The same at every dose, if the covariates change; else None."""
    renal_fraction: F8
    typical: Exposure
    at_cells: list[tuple[float | None, float | None]]

    @property
    def covariates(self) -> Sequence[Covariates]:
        """Covariates of `given`: at the first dose, or at every one if they change."""
        return self.given.covariates

    @cached_property
    def auc_0_inf(self) -> list[float]:
        """AUC0-inf of each, mg·h/L."""
        aucs: list[float] = self.typical.auc_0_inf.tolist()
        return aucs

    @cached_property
    def half_life_h(self) -> F8:
        """Half-life of the last phase of each."""
        rates = slowest_rate(self.tv, self.given.model.program.compartments)
        return np.asarray(math.log(2) / rates)

    @cached_property
    def switches(self) -> dict[int, Switch]:
        """Patients, by place, near an age at which the formula of renal function changes."""
        return self.given.switches(self.rows)

    @cached_property
    def auc_by_other(self) -> dict[int, float]:
        """AUC0-inf of each of these by the other formula, mg·h/L; NaN without."""
        places, doses = list(self.switches), []
        for dose, at in enumerate(self.covariates):
            by = {
                switch.other: self.given.covariates_by(switch.other)[dose].values
                for switch in self.switches.values()
            }
            rows = [(by[switch.other], self.rows[k]) for k, switch in self.switches.items()]
            doses.append({x: np.array([own[x][row] for own, row in rows]) for x in at.values})
        usable = np.ones(len(places), dtype=np.bool_)
        for column in (column for values in doses for column in values.values()):
            usable &= ~np.isnan(column)
        some = np.flatnonzero(usable).tolist()
        aucs = dict.fromkeys(places, math.nan)

        def computed(rows: list[int]) -> dict[int, float]:
            own = [places[k] for k in rows]
            return dict(zip(own, self._areas(doses, rows, own).tolist(), strict=True))

        try:
            aucs |= computed(some) if some else {}
        except InputError:  # of one of them
            for k in some:
                with suppress(InputError):
                    aucs |= computed([k])
        return aucs

    def _areas(
        self, doses: Sequence[Mapping[str, F8]], rows: Sequence[int], places: Sequence[int]
    ) -> F8:
        """Compute AUC0-inf with rows of other covariates of the patients at some places."""
        model, (times, lengths, amounts) = self.given.model, self.course
        each = typical_rows(model, doses, rows)
        tv = each[0][0] if len(each) == 1 else np.stack([own for own, _ in each], axis=1)
        no_effects = RandomEffects.none(model.program, len(times))
        own = times, lengths, amounts[places]
        return course_exposure(model.program, tv, no_effects, *own).auc_0_inf


def by_other_basis(model: Model, auc_0_inf: float) -> float | None:
    """Compute AUC0-inf if the paper fitted mg of the other substance; None unless it is open.

    A model of mg of phosphate takes the prescribed mg as they are, one of F-ara-A the mass ratio of
    them.
    """
    dose = model.file.dose
    if dose.basis != "unknown":
        return None
    ratio = MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
    return auc_0_inf / dose.factor if dose.factor < 1.0 else auc_0_inf * ratio


def typical_rows(
    model: Model, doses: Sequence[Mapping[str, F8]], rows: Sequence[int]
) -> list[tuple[F8, F8]]:
    """Compute typical values, and renal fractions, of some rows of covariates of each dose."""
    each = []
    for values in doses:
        usable = {name: column[rows] for name, column in values.items()}
        each.append(model.program.typical_values(covariate_rows(model, usable, len(rows))))
    return each


def at_cells(
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
