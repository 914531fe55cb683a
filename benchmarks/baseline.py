"""The honest alternatives to the kernels: vectorised numpy, LSODA, and C by hand.

What a good numpy user would write for the same outputs: batched symmetric eigen-decompositions,
three exponentials, superposition or propagation over all subjects at once.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp

F8 = npt.NDArray[np.float64]


# ------------------------------------------------------------------ numpy


def generator(parameters: F8) -> F8:
    """(n, 3, 3) symmetric generators of (n, 6) CL, V1, Q2, V2, Q3, V3."""
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
    """AUC, AUC per dose, peak and troughs; eta and kappa are (flows, volumes)."""
    n, doses = amount.shape
    which = np.array([0, 1, 0, 1, 0, 1])
    p = tv * np.exp(eta)[:, which]
    amounts = np.zeros((n, 3))
    per_dose, trough = np.empty((n, doses)), np.empty((n, doses))
    peak, conc = np.zeros(n), np.zeros(n)
    for k in range(doses):
        if k == 0 or kappa is not None:
            now = p if kappa is None else p * np.exp(kappa[:, k])[:, which]
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
    """(n, times): superposition of infusions, three exponentials each."""
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


# ------------------------------------------------------------------ an ODE solver


def lsoda(p: F8, kappa: F8, start: F8, duration: F8, amount: F8) -> float:
    """Cumulative AUC of one subject, piece by piece between events; kappa is (doses, 2)."""
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


# ------------------------------------------------------------------ C


@lru_cache(maxsize=1)
def c_twin() -> ctypes.CDLL | None:
    """`twin.c` compiled for this machine, or None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("twin.c")
    library = Path(tempfile.mkdtemp(prefix="fludapk-twin-")) / "twin.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source), "-lm"], check=True)
    twin = ctypes.CDLL(str(library))
    number, address = ctypes.c_long, ctypes.c_void_p
    twin.exposure.argtypes = [number, number, *[address] * 10]
    twin.course.argtypes = [number, number, number, *[address] * 5, ctypes.c_double, address]
    twin.exposure.restype = twin.course.restype = None
    return twin


def address(array: F8 | None) -> int | None:
    """Where an array is, for C."""
    return None if array is None else array.ctypes.data
