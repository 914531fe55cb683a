"""Alternatives that the kernels are measured against: vectorised numpy, LSODA, and C by hand.

The numpy code is what a good user would write for the same outputs: batched symmetric
eigen-decompositions, three exponentials, superposition or propagation over all subjects at once.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from fludapk.arrays import F8
from fludapk.published.formulas import fas_q

# ------------------------------------------------------------------ numpy


def generator(parameters: F8) -> F8:
    """Return (n, 3, 3) symmetric generators of (n, 6) CL, V1, Q2, V2, Q3, V3."""
    CL, V1, Q2, V2, Q3, V3 = parameters.T
    m = np.zeros((len(parameters), 3, 3))
    m[:, 0, 0] = (CL + Q2 + Q3) / V1
    m[:, 1, 1], m[:, 2, 2] = Q2 / V2, Q3 / V3
    m[:, 0, 1] = m[:, 1, 0] = -Q2 / np.sqrt(V1 * V2)
    m[:, 0, 2] = m[:, 2, 0] = -Q3 / np.sqrt(V1 * V3)
    return m


def exposure(
    tv: F8, eta: F8, kappa: F8 | None, start: F8, duration: F8, amount: F8
) -> tuple[F8, F8, F8, F8]:
    """Compute AUC, AUC per dose, peak and troughs; eta and kappa are (flows, volumes)."""
    n, doses = amount.shape
    effect = np.array([0, 1, 0, 1, 0, 1])  # of flows and volumes, by parameter
    p = tv * np.exp(eta)[:, effect]
    amounts = np.zeros((n, 3))
    per_dose, trough = np.empty((n, doses)), np.empty((n, doses))
    peak, conc = np.zeros(n), np.zeros(n)
    for k in range(doses):
        if k == 0 or kappa is not None:
            now = p if kappa is None else p * np.exp(kappa[:, k])[:, effect]
            lam, u = np.linalg.eigh(generator(now))
            volumes = np.sqrt(now[:, 1::2])
        trough[:, k] = conc
        before = amounts.sum(axis=1)
        peak = np.maximum(peak, amounts[:, 0] / now[:, 1])
        z = np.einsum("nij,ni->nj", u, amounts / volumes)
        loss = -np.expm1(-lam * duration[k])
        push = u[:, 0] * (amount[:, k] / duration[k] / volumes[:, 0])[:, None]
        z = z * (1 - loss) + push * loss / lam
        peak = np.maximum(peak, np.einsum("nj,nj->n", u[:, 0], z) / volumes[:, 0])
        after = np.zeros(n)
        if k + 1 < doses:
            z = z * np.exp(-lam * (start[k + 1] - start[k] - duration[k]))
            amounts = np.einsum("nij,nj->ni", u, z) * volumes
            after, conc = amounts.sum(axis=1), amounts[:, 0] / now[:, 1]
        per_dose[:, k] = (amount[:, k] + before - after) / now[:, 0]
    return per_dose.sum(axis=1), per_dose, peak, trough


def concentrations(tv: F8, start: F8, duration: F8, amount: F8, times: F8) -> F8:
    """Superpose infusions of three exponentials each: concentrations, (n, times)."""
    lam, u = np.linalg.eigh(generator(tv))
    coefficients = u[:, 0] ** 2 / tv[:, 1, None] / lam
    out = np.zeros((len(tv), times.size))
    for k in range(start.size):
        since = times - start[k]
        on = np.clip(since, 0.0, duration[k])
        off = np.maximum(since - duration[k], 0.0)
        rate = amount[:, k] / duration[k]
        for j in range(3):
            rising = -np.expm1(-lam[:, j, None] * on)
            falling = np.exp(-lam[:, j, None] * off)
            out += (coefficients[:, j] * rate)[:, None] * rising * falling
    return out


def map_estimate(
    tv: F8, infusion_h: float, dose_mg: float, error: float, sd: F8, hours: F8, conc: F8
) -> Any:
    """Minimise -2 log posterior in normals of eta (flows, volumes) with scipy, starting from zero.

    One dose, by the textbook's macro-constants; the gradient is by differences.
    """

    def objective(z: F8) -> float:
        CL, V1, Q2, V2, Q3, V3 = tv * np.exp(np.tile(z * sd, 3))
        k10, k12, k21, k13, k31 = CL / V1, Q2 / V1, Q2 / V2, Q3 / V1, Q3 / V3
        a2 = k10 + k12 + k13 + k21 + k31
        a1 = k10 * k21 + k10 * k31 + k21 * k31 + k13 * k21 + k12 * k31
        rate = np.sort(np.roots([1.0, -a2, a1, -k10 * k21 * k31]).real)
        others = np.array([[rate[1], rate[2]], [rate[0], rate[2]], [rate[0], rate[1]]])
        part = (k21 - rate) * (k31 - rate) / ((others[:, 0] - rate) * (others[:, 1] - rate)) / V1
        gain = dose_mg / infusion_h * (1 - np.exp(-rate * infusion_h)) / rate
        f = np.exp(-np.outer(hours - infusion_h, rate)) @ (part * gain)
        sd_f = error * f
        return float(z @ z + np.sum(((conc - f) / sd_f) ** 2 + 2 * np.log(sd_f)))

    bounds = [(-8.0, 8.0)] * 2  # beyond them some line searches overflow
    return minimize(objective, np.zeros(2), method="L-BFGS-B", bounds=bounds)


def children(rng: np.random.Generator, n: int) -> dict[str, F8]:
    """Draw the population langenhorst2019_children from its description and the CDC table."""
    table = pd.read_csv(str(files("fludapk.data") / "cdc2000_lms.csv"), comment="#")
    age = np.interp(rng.random(n), [0, 0.25, 0.5, 0.75, 1], [0.3, 2.6, 9.2, 14.5, 20])
    female = rng.random(n) < 0.38

    def size(measure: str, z: F8, is_drawn: npt.NDArray[np.bool_]) -> F8:
        value = np.empty(n)
        for sex, is_row in (("female", female & is_drawn), ("male", ~female & is_drawn)):
            rows = table[table["measure"].str.startswith(measure) & (table["sex"] == sex)]
            years = rows["age_months"] / 12
            L, M, S = (np.interp(age[is_row], years, rows[name]) for name in "LMS")
            with np.errstate(invalid="ignore"):  # NaN counts as beyond the limits
                value[is_row] = M * (1 + L * S * z[is_row]) ** (1 / L)
        return value[is_drawn]

    every_child = np.ones(n, np.bool_)
    z, weight, beyond = np.empty(n), np.empty(n), every_child
    while beyond.any():
        z[beyond] = rng.standard_normal(beyond.sum())
        weight[beyond] = size("weight", z, beyond)
        beyond = ~((weight >= 4.3) & (weight <= 96))
    correlated = 0.65 * z + np.sqrt(1 - 0.65**2) * rng.standard_normal(n)
    height = size("height", correlated, every_child)
    usual = 0.8 * np.asarray(fas_q(age_years=np.maximum(age, 1), female=female))
    return {
        "AGE": age,
        "SEX": female.astype(np.float64),
        "WT": weight,
        "HT": height,
        "BSA": np.sqrt(height * weight / 3600),
        "SCR": usual * np.exp(np.sqrt(np.log1p(0.25**2)) * rng.standard_normal(n)),
    }


def summary(
    patients: dict[str, F8], bands: Mapping[str, F8], fractions: Sequence[float]
) -> tuple[dict[str, float], dict[str, npt.NDArray[Any]]]:
    """Summarise patients as a study does, by sorting and grouping; count outcomes in every band."""
    auc = patients["auc"]
    statistics = {
        f"{name}_q{round(100 * fraction):02d}": float(value)
        for name in ("auc", "dose_mg", "total_mg_m2")
        for fraction, value in zip(fractions, np.quantile(patients[name], fractions), strict=True)
    }
    outcome = pd.DataFrame({
        "n": np.ones(auc.size, np.bool_),
        "p_below_13_8": auc < 13.8,
        "p_below_14": auc < 14.0,
        "p_in_window": (auc >= 13.8) & (auc <= 20.0),
        "p_above_20": auc > 20.0,
    })  # fmt: skip
    along = {
        name: outcome.groupby(np.digitize(patients[name], edges) - 1).sum()
        .reindex(range(len(edges) - 1), fill_value=0).to_numpy()
        for name, edges in bands.items()
    }  # fmt: skip
    logs = np.log(auc)
    statistics["auc_geometric_mean"] = float(np.exp(logs.mean()))
    statistics["auc_cv_percent"] = float(100 * np.sqrt(np.expm1(logs.var())))
    shares = outcome.mean().drop("n")
    return statistics | {str(name): float(value) for name, value in shares.items()}, along


# ------------------------------------------------------------------ an ODE solver


def lsoda(p: F8, kappa: F8, start: F8, duration: F8, amount: F8) -> float:
    """Compute the AUC of one subject, piece by piece between events; kappa is (doses, 2)."""
    state = np.zeros(4)
    ends = np.append(start[1:], start[-1] + 2000.0)
    for k in range(start.size):
        CL, V1, Q2, V2, Q3, V3 = p * np.exp(kappa[k])[[0, 1, 0, 1, 0, 1]]

        def change(
            _: float,
            x: F8,
            rate: float,
            CL: float = CL,
            V1: float = V1,
            Q2: float = Q2,
            V2: float = V2,
            Q3: float = Q3,
            V3: float = V3,
        ) -> list[float]:
            c1, c2, c3 = x[0] / V1, x[1] / V2, x[2] / V3
            return [rate - (CL + Q2 + Q3) * c1 + Q2 * c2 + Q3 * c3, Q2 * (c1 - c2),
                    Q3 * (c1 - c3), c1]  # fmt: skip

        for begin, end, rate in (
            (start[k], start[k] + duration[k], amount[k] / duration[k]),
            (start[k] + duration[k], ends[k], 0.0),
        ):
            solution = solve_ivp(
                change, (begin, end), state, method="LSODA", args=(rate,), rtol=1e-8, atol=1e-10
            )
            state = solution.y[:, -1]
    return float(state[3])


@lru_cache(maxsize=1)
def compiled_lsoda() -> Callable[[F8, F8, F8, F8, F8], float] | None:
    """Return `lsoda` compiled with numbalsoda, or None where that is not installed."""
    if find_spec("numbalsoda") is None:
        return None
    import numbalsoda  # type: ignore[import-not-found]

    @numba.cfunc(numbalsoda.lsoda_sig)
    def change(_: float, x: F8, change_of: F8, p: F8) -> None:
        c1, c2, c3 = x[0] / p[1], x[1] / p[3], x[2] / p[5]
        change_of[0] = p[6] - (p[0] + p[2] + p[4]) * c1 + p[2] * c2 + p[4] * c3
        change_of[1] = p[2] * (c1 - c2)
        change_of[2] = p[4] * (c1 - c3)
        change_of[3] = c1

    solve, function = numbalsoda.lsoda, change.address

    @numba.njit
    def auc(p: F8, kappa: F8, start: F8, duration: F8, amount: F8) -> Any:
        state, p_and_rate = np.zeros(4), np.empty(7)
        for k in range(start.size):
            for j in range(6):
                p_and_rate[j] = p[j] * np.exp(kappa[k, j % 2])
            last = start[k + 1] if k + 1 < start.size else start[k] + 2000.0
            end = start[k] + duration[k]
            for begin, until, rate in (
                (start[k], end, amount[k] / duration[k]),
                (end, last, 0.0),
            ):
                p_and_rate[6] = rate
                ends = np.array([begin, until])
                states, _ = solve(function, state, ends, p_and_rate, 1e-8, 1e-10)
                state = states[1].copy()
        return state[3]

    return cast(Callable[..., float], auc)


# ------------------------------------------------------------------ C


@lru_cache(maxsize=1)
def c_twin() -> ctypes.CDLL:
    """Compile `twin.c` for this machine and load it; skip the test without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to measure the kernels against")
    source = Path(__file__).with_name("twin.c")
    library = Path(tempfile.mkdtemp(prefix="fludapk-twin-")) / "twin.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source), "-lm"], check=True)
    twin = ctypes.CDLL(str(library))
    number, address = ctypes.c_long, ctypes.c_void_p
    twin.exposure.argtypes = [number, number, *[address] * 10]
    twin.course.argtypes = [number, number, number, *[address] * 5, ctypes.c_double, address]
    decimal = ctypes.c_double
    twin.map_estimates.argtypes = [
        number, number, address, address, decimal, decimal, address, address, decimal, address,
        address,
    ]  # fmt: skip
    twin.exposure.restype = twin.course.restype = twin.map_estimates.restype = None
    return twin


def address(array: F8 | None) -> int | None:
    """Return the address of an array, for C; None is NULL."""
    return None if array is None else array.ctypes.data
