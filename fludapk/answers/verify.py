"""Re-compute what papers print, and compare the kernels with an ODE solver, here and now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.integrate import solve_ivp

from fludapk.answers.record import Record, Row, document, scalars
from fludapk.arrays import F8
from fludapk.errors import FileError
from fludapk.patience import go_on
from fludapk.patients.population import populations, virtual_patients
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects, standard_normal_points
from fludapk.pk.exposure import (
    course_concentrations,
    course_exposure,
    individual_parameters,
    slowest_rate,
)
from fludapk.pk.program import SLOTS
from fludapk.published.covariates import covariate_columns, covariate_rows
from fludapk.published.model_files import Reproduces
from fludapk.published.models import Model, load_models
from fludapk.published.regimens import regimens
from fludapk.published.tables import PATIENT_COVARIATES, SEX, SEXES

PATIENTS: Final = 20_000
SEED: Final = 2019
_AGAINST_SOLVER: Final = "kernel against solve_ivp: worst difference"
ODE_TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Verified:
    """One number, as printed and as computed."""

    model: str
    what: str
    printed: str
    computed: float
    unit: str
    allowed: float
    """Largest absolute difference."""
    source: str

    @property
    def is_printed(self) -> bool:
        """True of a published number, False of the kernels against another solver."""
        return self.what != _AGAINST_SOLVER

    @property
    def ok(self) -> bool:
        """True if the computed number is the printed one."""
        return bool(abs(self.computed - float(self.printed)) <= self.allowed * (1 + 1e-9))


@dataclass(frozen=True, kw_only=True, repr=False)
class Verification(Record, Sequence[Verified]):
    """Published numbers and what is computed for them.

    Parameters
    ----------
    numbers : list of Verified
    """

    numbers: list[Verified]

    def __getitem__(self, place: Any) -> Any:
        return self.numbers[place]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def ok(self) -> bool:
        """True if every computed number is the printed one."""
        return all(number.ok for number in self.numbers)

    def rows(self) -> list[Row]:
        """Return a row for each number."""
        return [{**scalars(number), "ok": number.ok} for number in self.numbers]

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return one JSON document: a list, as the command line prints it."""
        return document(self.rows(), indent=indent)

    def brief(self) -> str:
        """Return the count of reproduced numbers."""
        reproduced = sum(number.ok for number in self.numbers)
        return f"{reproduced} of {len(self)} published numbers reproduced"


def verify(names: Sequence[str] = (), folders: Sequence[Path] | None = None) -> Verification:
    """Re-compute every `[[reproduces]]` row, and the kernels against `scipy.integrate.solve_ivp`.

    Parameters
    ----------
    names : sequence of str
        Models; all if empty.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Examples
    --------
    >>> verify(["varela2025"]).ok
    True
    """
    rows = []
    for model in load_models(folders, any_drug=True):
        if not names or model.id in names:
            go_on()
            rows += [_reproduced(model, row) for row in model.file.reproduces]
            rows.append(_against_ode(model))
    return Verification(numbers=rows)


def _reproduced(model: Model, row: Reproduces) -> Verified:
    printed = float(row.printed)
    decimals = len(row.printed.partition(".")[2])
    if row.at is not None:
        computed, allowed = _typical(model, row), 0.5 * 10.0**-decimals
        if row.tolerance is not None:
            allowed = row.tolerance * abs(printed)
    else:
        computed, allowed = _population_median(model, row), (row.tolerance or 0.0) * printed
    return Verified(model.id, row.what, row.printed, computed, row.unit, allowed, row.source)


def _typical(model: Model, row: Reproduces) -> float:
    """Compute a typical parameter or the terminal half-life, in the units of the paper."""
    tv = _typical_values(model, row.at or {})
    litres = 1.0 if row.quantity == "half_life" else model.program.litres
    if row.quantity == "half_life":
        return math.log(2.0) / float(slowest_rate(tv, model.program.compartments)[0])
    return float(tv[0, SLOTS.index(row.quantity)]) / litres


def _typical_values(model: Model, at: Mapping[str, float | str]) -> F8:
    """Compute typical parameters; a covariate that `at` does not name has its studied midpoint.

    A derived covariate without a studied range is computed from the others.
    """
    columns = {name: np.array([np.nan]) for name in (*PATIENT_COVARIATES, SEX)}
    values: dict[str, F8] = {}
    for name, covariate in model.file.covariates.items():
        studied = covariate.range or [np.nan, np.nan]
        x = at.get(name, sum(studied) / 2)
        number = model.categories(name).index(x) if isinstance(x, str) else x
        values[name] = columns[name] = np.array([float(number)])
        if name == SEX and isinstance(x, str):
            columns[SEX] = np.array([float(x == SEXES[0])])
    if any(np.isnan(values[name][0]) for name in model.program.covariates):
        computed = covariate_columns(model, columns).values
        values = {k: v if not np.isnan(v[0]) else computed.get(k, v) for k, v in values.items()}
    return model.program.typical_values(covariate_rows(model, values))[0]


def _population_median(model: Model, row: Reproduces) -> float:
    name, population = row.regimen or "", row.population or ""
    if name not in regimens() or population not in populations():
        raise FileError(
            f"{model.path}: reproduces: no regimen {name!r} or no population {population!r}"
        )
    regimen = Regimen.named(name)
    patients = virtual_patients(population, n=PATIENTS, seed=SEED)
    values = covariate_columns(model, patients).values
    tv, _ = model.program.typical_values(covariate_rows(model, values))
    days, program = regimen.days, model.program
    doses = regimen.dose_mg(patients["BSA"], patients["WT"]) * model.file.dose_factor
    normals = np.random.default_rng(SEED).standard_normal(
        (PATIENTS, program.n_eta + days * program.n_kappa)
    )
    effects = RandomEffects.from_normals(program, normals, days)
    times, lengths, _ = regimen.course_of(1.0).arrays(1.0)
    amounts = np.repeat(doses[:, None], days, axis=1)
    result = course_exposure(program, tv, effects, times, lengths, amounts)
    unit = 1.0 if model.file.units is None else model.file.units.concentration_mg_l
    return float(np.median(result.auc_0_inf)) / unit


# ------------------------------------------------------------------ kernels against an ODE solver

_TV = np.array([[6.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
_TIMES = np.array([0.0, 23.0, 49.5])
_DURATIONS = np.array([0.5, 1.0, 2.0])
_AMOUNTS = np.array([[40.0, 25.0, 31.0]])
_SAMPLES = np.array([0.25, 0.5, 1.0, 7.0, 23.0, 23.5, 24.0, 30.0, 49.5, 51.0, 51.5, 60.0, 72.0])


def _against_ode(model: Model) -> Verified:
    """Find the worst relative difference over three occasions with every random effect."""
    program = model.program
    tv = _TV.copy()
    for q in range(2 * program.compartments, 6, 2):
        tv[0, q], tv[0, q + 1] = 0.0, 1.0
    if program.is_curved or program.changes:
        tv = _typical_values(model, _anybody(model))
    z = standard_normal_points(3, program.n_eta + len(_TIMES) * program.n_kappa)[5:6]
    effects = RandomEffects.from_normals(program, z, len(_TIMES))
    conc, _ = course_concentrations(program, tv, effects, _TIMES, _DURATIONS, _AMOUNTS, _SAMPLES)
    parameters = individual_parameters(program, tv, effects, _TIMES)[0]
    worst = float(np.max(np.abs(conc[0] / _ode(parameters) - 1)))
    return Verified(model.id, _AGAINST_SOLVER, "0", worst, "relative", ODE_TOLERANCE, "DOP853")


def _anybody(model: Model) -> dict[str, float | str]:
    """Covariates that have no midpoint, of a patient for whom nothing is claimed."""
    covariates = model.file.covariates.items()
    derived = {name: 50.0 for name, c in covariates if c.derived and c.range is None}
    return {**derived, **{name: c.levels[0] for name, c in covariates if c.levels}}


def _ode(parameters: F8) -> F8:
    """Compute concentrations at `_SAMPLES` by integrating amounts from event to event."""
    conc = []
    amounts = np.zeros(3)
    for k, start in enumerate(_TIMES):
        CL, V1, Q2, V2, Q3, V3 = parameters[k]
        stop = _TIMES[k + 1] if k + 1 < len(_TIMES) else _SAMPLES[-1]
        end = start + _DURATIONS[k]
        for begin, until, rate in (
            (start, end, _AMOUNTS[0, k] / _DURATIONS[k]),
            (end, stop, 0.0),
        ):

            def change(_: float, a: F8, rate: float = rate) -> list[float]:
                c1, c2, c3 = a[0] / V1, a[1] / V2, a[2] / V3  # noqa: B023
                to2, to3 = Q2 * (c1 - c2), Q3 * (c1 - c3)  # noqa: B023
                return [rate - CL * c1 - to2 - to3, to2, to3]  # noqa: B023

            inside = _SAMPLES[(begin < _SAMPLES) & (until >= _SAMPLES)]
            at = np.unique(np.append(inside, until))
            path = solve_ivp(change, (begin, until), amounts, "DOP853", at, rtol=1e-12, atol=1e-18)
            amounts = path.y[:, -1]
            conc += list(path.y[0, : len(inside)] / V1)
    return np.array(conc)
