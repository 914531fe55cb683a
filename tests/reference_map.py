"""The slow, obvious twin of the Bayesian estimation: densities, a textbook solution, searches.

Nothing here comes from fludapk. Two ways to the concentrations: `reference` (matrix exponential or
ODE solver, one patient, parameters that change with the occasion), and the macro-constants of the
three-compartment model (arrays of patients, one set of parameters each; complex numbers allowed).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import reference
from numpy.typing import NDArray
from reference import Infusion, Numbers, Table
from scipy.optimize import minimize
from scipy.special import log_ndtr

F8 = NDArray[np.float64]
Solve = Callable[
    [Numbers | Sequence[Numbers], Sequence[Infusion], Sequence[float]],
    tuple[list[float], list[float]],
]


class Level(NamedTuple):
    """A level (mg/L) at a time (h); without a concentration it was below the limit (mg/L)."""

    time: float
    conc: float | None
    limit: float = math.nan


# --- One patient, by the twin of the model files --------------------------------------------------


def misfit(model: Table, level: Level, prediction: float) -> float:
    """-2 log likelihood, without log(2 pi) and without the Jacobian of a logarithm."""
    sd = reference.residual(model, prediction)
    if "log" in model["ruv"]:
        if level.conc is None:
            return float(-2 * log_ndtr((math.log(level.limit) - math.log(prediction)) / sd))
        return ((math.log(level.conc) - math.log(prediction)) / sd) ** 2 + math.log(sd**2)
    if level.conc is None:
        return float(-2 * log_ndtr((level.limit - prediction) / sd))
    return ((level.conc - prediction) / sd) ** 2 + math.log(sd**2)


def objective(
    model: Table,
    covariates: Table | Sequence[Table],
    infusions: Sequence[Infusion],
    levels: Sequence[Level],
    eta: Sequence[float] | F8,
    kappas: Sequence[Sequence[float]] | F8,
    solve: Solve = reference.solve_expm,
) -> float:
    """-2 log posterior of eta and of the kappas of every occasion."""
    eta_names, omega = reference.omega(model, "iiv")
    kappa_names, omega_iov = reference.omega(model, "iov")
    patient = reference.individual(
        model,
        covariates,
        dict(zip(eta_names, eta, strict=True)),
        [dict(zip(kappa_names, kappa, strict=True)) for kappa in kappas],
    )
    predictions, _ = solve(patient, infusions, [level.time for level in levels])
    total = sum(misfit(model, level, f) for level, f in zip(levels, predictions, strict=True))
    total += np.asarray(eta) @ np.linalg.inv(omega) @ np.asarray(eta)
    if kappa_names:
        total += sum(np.asarray(k) @ np.linalg.inv(omega_iov) @ np.asarray(k) for k in kappas)
    return float(total)


def lowest(function: Callable[[F8], float], start: F8) -> tuple[float, F8]:
    """The minimum that BFGS finds, with derivatives by differences."""
    answer = minimize(function, start, method="BFGS", jac="3-point", options={"gtol": 1e-5})
    return float(answer.fun), np.asarray(answer.x)


def slope(function: Callable[[F8], float], x: F8, h: float) -> F8:
    """Gradient by central differences of the sixth order."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    return np.array([
        sum(w * (function(x + k * h * e) - function(x - k * h * e)) for k, w in weights.items()) / h
        for e in np.eye(len(x))
    ])  # fmt: skip


# --- Many patients, by macro-constants ------------------------------------------------------------


def concentrations(
    parameters: NDArray[Any], infusions: Sequence[Infusion], times: F8
) -> NDArray[Any]:
    """(..., times) mg/L from (..., 6) CL, V1, Q2, V2, Q3, V3, three different rates."""
    CL, V1, Q2, V2, Q3, V3 = np.moveaxis(parameters, -1, 0)[..., np.newaxis]
    k10, k12, k21, k13, k31 = CL / V1, Q2 / V1, Q2 / V2, Q3 / V1, Q3 / V3
    a2 = k10 + k12 + k13 + k21 + k31
    a1 = k10 * k21 + k10 * k31 + k21 * k31 + k13 * k21 + k12 * k31
    a0 = k10 * k21 * k31
    p, q = a1 - a2**2 / 3, -2 * a2**3 / 27 + a1 * a2 / 3 - a0
    angle = np.arccos(3 * q / (2 * p) * np.sqrt(-3 / p)) / 3
    roots = [
        2 * np.sqrt(-p / 3) * np.cos(angle - 2 * np.pi * k / 3) + a2 / 3 for k in range(3)
    ]  # fmt: skip
    total = np.zeros(np.broadcast_shapes(CL.shape, times.shape), dtype=parameters.dtype)
    for i in range(3):
        rate, b, c = roots[i], roots[i - 1], roots[i - 2]
        part = (k21 - rate) * (k31 - rate) / ((b - rate) * (c - rate)) / V1
        for start, hours, mg in infusions:
            during = np.clip(times - start, 0, hours)
            after = np.clip(times - start - hours, 0, None)
            gain = (1 - np.exp(-rate * during)) / rate
            total += part * mg / hours * gain * np.exp(-rate * after)
    return total


def objectives(
    x: NDArray[Any],
    typical: F8,
    infusions: Sequence[Infusion],
    times: F8,
    conc: F8,
    limit: float,
    proportional: float,
) -> NDArray[Any]:
    """-2 log posterior at standard normals x (..., 2) of the etas of langenhorst2019.

    One eta on CL, Q2, Q3, one on V1, V2, V3; conc is NaN for a level below the limit.
    """
    sd = np.sqrt(np.log1p(np.array([0.23, 0.48]) ** 2))
    f = concentrations(typical * np.exp(np.tile(x * sd, 3)), infusions, times)
    above = (conc - f) ** 2 / (proportional * f) ** 2 + 2 * np.log(proportional * f)
    total = (x**2).sum(axis=-1)
    if np.isnan(conc).any():
        below = -2 * log_ndtr((limit - f) / (proportional * f))
        above = np.where(np.isnan(conc), below, above)
    return np.asarray(total + above.sum(axis=-1))


def lowest_of_many(
    function: Callable[[F8, NDArray[np.int64]], F8], starts: F8, rounds: int = 60
) -> F8:
    """Newton's method with differences, from (patients, starts, 2) points at once.

    `function` takes (points, 2) normals and the patient each belongs to.

    Returns
    -------
    (patients,)
        The lowest value each patient was found to have.
    """
    patients, many, _ = starts.shape
    x = starts.reshape(-1, 2).copy()
    who = np.repeat(np.arange(patients), many)
    value = function(x, who)
    damping = np.ones(len(x))
    active = np.arange(len(x))
    h = 1e-3
    for _ in range(rounds):
        at, of, f0 = x[active], who[active], value[active]

        def shifted(a: float, b: float, at: F8 = at, of: NDArray[np.int64] = of) -> F8:
            return function(at + h * np.array([a, b]), of)

        e, w, n, s = shifted(1, 0), shifted(-1, 0), shifted(0, 1), shifted(0, -1)
        gx, gy = (e - w) / (2 * h), (n - s) / (2 * h)
        xx, yy = (e + w - 2 * f0) / h**2, (n + s - 2 * f0) / h**2
        xy = (shifted(1, 1) - shifted(1, -1) - shifted(-1, 1) + shifted(-1, -1)) / (4 * h**2)
        smallest = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
        shift = damping[active] + np.maximum(0.0, 1.0 - smallest) + 1e-9 * np.abs(xx + yy)
        xx, yy = xx + shift, yy + shift
        step = np.stack([xy * gy - yy * gx, xy * gx - xx * gy], 1) / (xx * yy - xy**2)[:, None]
        step /= np.maximum(1.0, np.abs(step).max(axis=1))[:, None]
        new = function(at + step, of)
        better = new < f0
        x[active[better]], value[active[better]] = (at + step)[better], new[better]
        damping[active] = np.where(better, damping[active] / 10, damping[active] * 10)
        damping[damping < 1e-3] = 0.0
        damping[active[~better]] = np.maximum(damping[active[~better]], 0.1)
        active = active[(np.abs(step).max(axis=1) > 1e-6) & (damping[active] < 1e8)]
    return np.asarray(value.reshape(patients, many).min(axis=1))
