"""Compilation of a checked model file to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import FileError
from fludapk.pk.program import CATEGORY, EFFECTS, KINDS, ON_PARAMETER, ON_TERM, SLOTS, Program
from fludapk.published.model_files import Category, Effect, ModelFile, RandomEffect

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
    terms: list[tuple[int, int, int]] = []
    effects: list[tuple[int, int, int, int, int, int]] = []
    category_thetas: list[int] = []

    def add(owner: int, target: int, effect: Effect) -> None:
        """Append an effect on a parameter or a term."""
        if effect.covariate not in covariates:
            covariates.append(effect.covariate)
        column = covariates.index(effect.covariate)
        if isinstance(effect, Category):
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
    for name, parameter in file.parameters.items():
        slot = slots.index(name)
        for term in parameter.terms:
            theta_index = -1 if term.theta is None else index[term.theta]
            terms.append((slot, theta_index, int(term.name == "renal")))
            for effect in term.effects:
                add(ON_TERM, len(terms) - 1, effect)
        for effect in parameter.effects:
            add(ON_PARAMETER, slot, effect)

    error = (file.ruv.proportional, file.ruv.additive, file.ruv.log)
    pairs = {frozenset(row.between): row.value for row in file.iiv_correlations}
    pairs_iov = {frozenset(row.between): row.value for row in file.iov_correlations}
    return Program(
        theta=np.array(theta, dtype=np.float64),
        terms=np.array(terms, dtype=np.int64).reshape(-1, 3),
        effects=np.array(effects, dtype=np.int64).reshape(-1, 6),
        category_thetas=np.array(category_thetas, dtype=np.int64),
        is_micro=int(is_micro),
        covariates=tuple(covariates),
        load_eta=_loadings(file.iiv, slots, file.compartments),
        root_omega=_root(file.iiv, pairs, f"{file.id}: iiv_correlations"),
        load_kappa=_loadings(file.iov, slots, file.compartments),
        root_omega_iov=_root(file.iov, pairs_iov, f"{file.id}: iov_correlations"),
        error=np.array([0.0 if part is None else part.value for part in error]),
        compartments=file.compartments,
    )


def _loadings(effects: Sequence[RandomEffect], slots: Sequence[str], compartments: int) -> F8:
    """Return loadings on log CL, V1, Q2, V2, Q3, V3, of models in micro-constants too."""
    load = np.zeros((6, len(effects)))
    for column, effect in enumerate(effects):
        for name, loading in effect.on.items():
            load[slots.index(name), column] = loading
    if slots is _MICRO_SLOTS:
        for q in range(2, 2 * compartments, 2):  # Q2 = k12 V1, V2 = k12 V1 / k21
            flow = load[q] + load[1]
            load[q], load[q + 1] = flow, flow - load[q + 1]
    for q in range(2 * compartments, 6, 2):  # absent: loads like CL and V1, see `factors_of`
        load[q], load[q + 1] = load[0], load[1]
    return np.ascontiguousarray(load)


def _root(effects: Sequence[RandomEffect], pairs: Mapping[frozenset[str], float], where: str) -> F8:
    """Return the lower Cholesky factor of omega."""
    n = len(effects)
    omega = np.diag([effect.variance for effect in effects]).reshape(n, n)
    for i in range(n):
        for j in range(i):
            r = pairs.get(frozenset((effects[i].name, effects[j].name)), 0.0)
            omega[i, j] = omega[j, i] = r * np.sqrt(omega[i, i] * omega[j, j])
    try:
        return np.ascontiguousarray(np.linalg.cholesky(omega)) if n else np.zeros((0, 0))
    except np.linalg.LinAlgError:
        raise FileError(f"{where}: the correlations are not possible together") from None
