"""Compilation of a checked model file to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import FileError
from fludapk.pk.program import (
    ADDITIVE,
    CATEGORY,
    DOSE,
    EFFECTS,
    FACTOR,
    KINDS,
    LOGIT,
    NO_COVARIATE,
    ON_PARAMETER,
    ON_TERM,
    SATURATING,
    SLOTS,
    STEPS,
    TIME,
    Program,
)
from fludapk.published.effect_files import Category, Effect, Factor, Saturating, Steps
from fludapk.published.matrices import IivMatrix, IovMatrix, nearest_valid
from fludapk.published.model_files import ModelFile, RandomEffect

_MICRO_SLOTS = ("CL", "V1", "k12", "k21", "k13", "k31")


def compile_program(file: ModelFile) -> Program:
    """Compile a checked model file to arrays."""
    names = list(file.theta)
    theta = [file.theta[name].value for name in names]
    index = {name: i for i, name in enumerate(names)}

    def number(value: float | str) -> int:
        """Return the index of a theta, or of a constant appended to theta."""
        if isinstance(value, str):
            return index[value]
        theta.append(float(value))
        return len(theta) - 1

    covariates: list[str] = []
    terms: list[tuple[int, int, int, int]] = []
    effects: list[tuple[int, int, int, int, int, int]] = []
    category_thetas: list[int] = []

    def add(owner: int, target: int, effect: Effect) -> None:
        """Append an effect on a parameter or a term."""
        if isinstance(effect, Factor):
            effects.append((owner, target, FACTOR, NO_COVARIATE, number(effect.value), 0))
            return
        if effect.covariate not in (*_OF_DOSE, *covariates):
            covariates.append(effect.covariate)
        name = effect.covariate
        column = _OF_DOSE[name] if name in _OF_DOSE else covariates.index(name)
        if isinstance(effect, Steps):
            first = len(category_thetas)
            category_thetas.extend(number(x) for x in (*effect.at, *effect.factors))
            effects.append((owner, target, STEPS, column, first, len(effect.at)))
        elif isinstance(effect, Saturating):
            first = len(category_thetas)
            category_thetas.extend(number(x) for x in (effect.max, effect.x50, effect.hill))
            effects.append((owner, target, SATURATING, column, first, 0))
        elif isinstance(effect, Category):
            first = len(category_thetas)
            categories = file.covariates[effect.covariate].levels
            category_thetas.extend(number(effect.factors[category]) for category in categories)
            effects.append((owner, target, CATEGORY, column, first, 0))
        else:
            _, a, b = EFFECTS[effect.kind]
            numbers = number(getattr(effect, a)), number(getattr(effect, b))
            effects.append((owner, target, KINDS.index(effect.kind), column, *numbers))

    is_micro = "k12" in file.parameters
    slots = _MICRO_SLOTS if is_micro else SLOTS
    etas = [effect.name for effect in file.iiv]
    for name, parameter in file.parameters.items():
        slot = slots.index(name)
        for term in parameter.terms:
            theta_index = -1 if term.theta is None else index[term.theta]
            own = -1 if term.eta is None else etas.index(term.eta)
            terms.append((slot, theta_index, int(term.name == "renal"), own))
            for effect in term.effects:
                add(ON_TERM, len(terms) - 1, effect)
        for effect in parameter.effects:
            add(ON_PARAMETER, slot, effect)

    litres = 1.0 if file.units is None else file.units.litres
    return Program(
        theta=np.array(theta, dtype=np.float64),
        terms=np.array(terms, dtype=np.int64).reshape(-1, 4),
        effects=np.array(effects, dtype=np.int64).reshape(-1, 6),
        category_thetas=np.array(category_thetas, dtype=np.int64),
        is_micro=int(is_micro),
        covariates=tuple(covariates),
        load_eta=_loadings(file.iiv, slots, file.compartments),
        root_omega=_root(omega(file, "iiv")[0]),
        load_kappa=_loadings(file.iov, slots, file.compartments),
        root_omega_iov=_root(omega(file, "iov")[0]),
        error=_error(file),
        compartments=file.compartments,
        litres=litres,
        curves=np.array(_curves(file, slots, litres)).reshape(-1, 6),
    )


_OF_DOSE: Final = {"TIME": TIME, "DOSE": DOSE}


def _error(file: ModelFile) -> F8:
    """Return the residual error, its additive part in mg/L of what the results are."""
    ruv, unit = file.ruv, 1.0 if file.units is None else file.units.concentration_mg_l
    unit *= file.dose_factor / file.dose.factor  # 1 / fu for unbound drug
    parts = ((ruv.proportional, 1.0), (ruv.additive, unit), (ruv.log, 1.0))
    sds = [0.0 if part is None else part.value * scale for part, scale in parts]
    return np.array([*sds, float(ruv.combined == "sds")])


def _curves(file: ModelFile, slots: Sequence[str], litres: float) -> list[list[float]]:
    """Return the etas that shift no logarithm, a row for each parameter of each."""
    rows = []
    for j, effect in enumerate(file.iiv):
        for name, loading in effect.on.items() if effect.kind != "exponential" else ():
            unit = 1.0 if name.startswith("k") else litres
            low, high = (bound * unit for bound in effect.bounds or (0.0, 0.0))
            is_additive = effect.kind == "additive"
            load = loading * unit if is_additive else loading
            kind = float(ADDITIVE if is_additive else LOGIT)
            rows.append([float(slots.index(name)), float(j), kind, load, low, high])
    return rows


def _loadings(effects: Sequence[RandomEffect], slots: Sequence[str], compartments: int) -> F8:
    """Return loadings on log CL, V1, Q2, V2, Q3, V3, of models in micro-constants too."""
    load = np.zeros((6, len(effects)))
    for column, effect in enumerate(effects):
        for name, loading in effect.on.items() if effect.kind == "exponential" else ():
            load[slots.index(name), column] = loading
    if slots is _MICRO_SLOTS:
        for q in range(2, 2 * compartments, 2):  # Q2 = k12 V1, V2 = k12 V1 / k21
            flow = load[q] + load[1]
            load[q], load[q + 1] = flow, flow - load[q + 1]
    for q in range(2 * compartments, 6, 2):  # absent: loads like CL and V1, see `factors_of`
        load[q], load[q + 1] = load[0], load[1]
    return np.ascontiguousarray(load)


def omega(file: ModelFile, kind: Literal["iiv", "iov"]) -> tuple[F8, float]:
    """Return the covariance of the effects of a kind, and by how much the print was moved.

    Parameters
    ----------
    file : ModelFile
    kind : {'iiv', 'iov'}

    Returns
    -------
    matrix : (n, n) array
    moved : float
        Largest change of a correlation within the rounding of a printed matrix, without which it
        is the covariance of nothing; 0 if there was no need.

    Raises
    ------
    FileError
        If correlations are not possible together, even within the rounding.
    """
    effects: Sequence[RandomEffect] = getattr(file, kind)
    names, n = [effect.name for effect in effects], len(effects)
    matrix = np.diag([effect.variance for effect in effects]).reshape(n, n)
    slack, sd = np.zeros((n, n)), np.sqrt(np.diag(matrix))
    for row in getattr(file, f"{kind}_correlations"):
        i, j = (names.index(name) for name in row.between)
        matrix[i, j] = matrix[j, i] = row.value * sd[i] * sd[j]
    blocks: Sequence[IivMatrix | IovMatrix] = getattr(file, f"{kind}_matrices")
    for block in blocks:
        places = np.ix_(*[[names.index(name) for name in block.order]] * 2)
        unit = np.outer(sd, sd)[places] if block.kind == "correlation" else 1.0
        matrix[places], slack[places] = block.values * unit, block.slack * unit
    valid = nearest_valid(matrix, slack) if n else matrix
    if valid is None:
        where = f"{kind}_matrices" if blocks else f"{kind}_correlations"
        within = ", not even within their rounding" if blocks else ""
        raise FileError(f"{file.id}: {where}: the correlations are not possible together{within}")
    moved = np.abs(valid - matrix) / np.outer(sd, sd)
    return valid, float(moved.max(initial=0.0))


def _root(matrix: F8) -> F8:
    """Return the lower Cholesky factor of a covariance."""
    return np.ascontiguousarray(np.linalg.cholesky(matrix)) if len(matrix) else np.zeros((0, 0))
