"""Typical patients by one model, many at once: their exposure, also by another formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import Exposure, course_concentrations, course_exposure
from fludapk.published.covariates import Covariates, covariate_columns, covariate_rows
from fludapk.published.models import Model


@dataclass(frozen=True, eq=False)
class Together:
    """Typical patients by one model, with the same times; arrays have a row for each."""

    model: Model
    given: Sequence[Mapping[str, F8]]
    """Columns that `covariates` were computed from."""
    rows: list[int]
    """Row of each typical patient in these."""
    course: tuple[F8, F8, F8]
    """Times and durations, h, and (n, doses) amounts of F-ara-A, mg."""
    covariates: Sequence[Covariates]
    """Covariates of these, and of others who could not be predicted: at the first dose, or at every
    one if they change."""
    tv: F8
    """(n, 6 or more) Typical CL V1 Q2 V2 Q3 V3 at the first dose; see `Program.typical_values`."""
    tv_by_dose: F8 | None
    """(n, doses, 6 or more) The same at every dose, if the covariates change; else None."""
    renal_fraction: F8
    half_life_h: F8
    typical: Exposure
    at_cells: list[tuple[float | None, float | None]]

    @cached_property
    def auc_0_inf(self) -> list[float]:
        """AUC0-inf of each, mg·h/L."""
        aucs: list[float] = self.typical.auc_0_inf.tolist()
        return aucs

    def auc_by(self, formula: str) -> F8:
        """Compute AUC0-inf of each by another formula of renal function, mg·h/L; NaN without."""
        if formula not in self._auc_by:
            doses = [covariate_columns(self.model, each, formula).values for each in self.given]
            n = len(self.rows)
            auc = self._auc_by[formula] = np.full(n, np.nan)
            usable = np.ones(n, dtype=np.bool_)
            for column in (column for values in doses for column in values.values()):
                usable &= ~np.isnan(column[self.rows])
            places = np.flatnonzero(usable).tolist()
            try:
                auc[places] = self._areas(doses, places)
            except InputError:  # of one of them
                for place in places:
                    with suppress(InputError):
                        auc[place] = self._areas(doses, [place])[0]
        return self._auc_by[formula]

    @cached_property
    def _auc_by(self) -> dict[str, F8]:
        return {}

    def _areas(self, doses: Sequence[Mapping[str, F8]], places: Sequence[int]) -> F8:
        """Compute AUC0-inf of typical patients with other covariates."""
        program, (times, lengths, amounts) = self.model.program, self.course
        each = typical_rows(self.model, doses, [self.rows[place] for place in places])
        tv = each[0][0] if len(each) == 1 else np.stack([own for own, _ in each], axis=1)
        no_effects = RandomEffects.none(program, len(times))
        return course_exposure(program, tv, no_effects, times, lengths, amounts[places]).auc_0_inf


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
