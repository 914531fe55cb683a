"""Every compiled function, and nothing else.

The kernels know nothing of patients, papers or units beyond h, mg, L and mg/L. They take float64
and int64 arrays in C order, trust them, never raise, draw no random numbers and give the same bits
for the same input. They release the interpreter lock, so callers may run blocks of subjects in
threads.

All of them live in one file because an on-disk compiled kernel does not notice that a function it
calls in another file has changed.

Mathematics
-----------
With x_i = A_i / sqrt(V_i) the mammillary system is ``dx/dt = -M x + b R`` with M symmetric::

    M = | (CL+Q2+Q3)/V1   -Q2/sqrt(V1 V2)   -Q3/sqrt(V1 V3) |
        | -Q2/sqrt(V1 V2)       Q2/V2              0        |
        | -Q3/sqrt(V1 V3)         0              Q3/V3      |

so its rates are real and its eigenvectors orthonormal, equal rates included. In z = U'x one step of
h hours at infusion rate R is ``z <- z exp(-lam h) + U[0] R/sqrt(V1) (1 - exp(-lam h))/lam``.
A compartment that a model does not have is Q = 0, V = 1: its rate is zero and it stays empty.
The area under the curve of a step is (amount in - change of the amount in the body) / CL: exact but
for rounding.

An occasion is a dose and the time until the next. Amounts are continuous from one to the next,
concentrations are not when V1 changes; a sample at the instant of a dose is taken before it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core import event

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Status = npt.NDArray[np.int8]

OK: Final = 0
BAD_PARAMETER: Final = 1
"""A clearance or volume of this subject is not finite and positive."""

POWER: Final = 0
LINEAR: Final = 1
EXPONENTIAL: Final = 2
SIGMOID: Final = 3
CATEGORY: Final = 4

ON_PARAMETER: Final = 0
ON_TERM: Final = 1

CL, V1, Q2, V2, Q3, V3 = range(6)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function, *, cache: bool) -> _Function:
    """Compile: the one place that says how. No fastmath, because it would change results."""
    compiled = numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath=False)(function)
    return cast(_Function, compiled)


def _kernel(function: _Function) -> _Function:
    """A function that Python calls: compiled and kept on disk."""
    return _compiled(function, cache=True)


def _part(function: _Function) -> _Function:
    """A function that only kernels call: it is kept inside them."""
    return _compiled(function, cache=False)


class _FirstCompilation(event.Listener):
    """Calls back once, when something has to be compiled that no cache holds."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def on_start(self, event: object) -> None:
        if self._callback is not None:
            callback, self._callback = self._callback, None
            callback()

    def on_end(self, event: object) -> None:
        pass


def on_first_compilation(callback: Callable[[], None]) -> None:
    """Arrange for `callback` to be called if, and when first, a kernel must be compiled."""
    event.register("numba:compile", _FirstCompilation(callback))  # type: ignore[no-untyped-call]


def spare_the_blas() -> None:
    """Save a process of its own, like the command line, the quarter second of importing scipy.

    When its first kernel loads, numba looks for BLAS in scipy.linalg; no kernel here uses it. After
    this call nothing that the process compiles can use ``np.dot``, so a library must not call it.
    """
    if "scipy.linalg" not in sys.modules:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]
        try:
            import_module("numba.np.arraymath")
        finally:
            del sys.modules["scipy.linalg"]


# ------------------------------------------------------------------ covariates to parameters


@_kernel
def typical_values(
    theta: F8, terms: I8, effects: I8, levels: I8, is_micro: int, covariates: F8
) -> tuple[F8, F8, Status]:
    """Typical parameters of every subject.

    Parameters
    ----------
    theta : (k,)
        Estimates and constants.
    terms : (t, 3)
        Rows of parameter (0..5), theta index (-1: one), 1 if the term is renal.
    effects : (e, 6)
        Rows of `ON_PARAMETER` or `ON_TERM`, index of that, kind, covariate column, a, b; a and b
        are theta indices, for `CATEGORY` a is the first row of `levels`.
    levels : (m,)
        Theta index of each level of each categorical effect.
    is_micro : int
        1 if Q2, V2, Q3, V3 hold k12, k21, k13, k31.
    covariates : (n, c)
        One row per subject; categories as level numbers.

    Returns
    -------
    tv : (n, 6)
        CL, V1, Q2, V2, Q3, V3 in L/h and L.
    renal : (n,)
        Fraction of CL from renal terms.
    status : (n,)
    """
    n = covariates.shape[0]
    tv = np.empty((n, 6))
    renal = np.empty(n)
    status = np.zeros(n, np.int8)
    term_value = np.empty(terms.shape[0])
    for i in range(n):
        for t in range(terms.shape[0]):
            term_value[t] = theta[terms[t, 1]] if terms[t, 1] >= 0 else 1.0
        for e in range(effects.shape[0]):
            if effects[e, 0] == ON_TERM:
                term_value[effects[e, 1]] *= _effect(theta, effects[e], levels, covariates[i])
        for p in range(6):
            tv[i, p] = 0.0
        renal_sum = 0.0
        for t in range(terms.shape[0]):
            tv[i, terms[t, 0]] += term_value[t]
            if terms[t, 2] == 1:
                renal_sum += term_value[t]
        renal[i] = renal_sum / tv[i, CL]
        for e in range(effects.shape[0]):
            if effects[e, 0] == ON_PARAMETER:
                tv[i, effects[e, 1]] *= _effect(theta, effects[e], levels, covariates[i])
        if is_micro == 1:
            for q in (Q2, Q3):
                if tv[i, q] > 0.0:
                    tv[i, q] *= tv[i, V1]
                    tv[i, q + 1] = tv[i, q] / tv[i, q + 1]
        for q in (Q2, Q3):
            if tv[i, q] == 0.0 and tv[i, q + 1] == 0.0:
                tv[i, q + 1] = 1.0
        if not _valid(tv[i]):
            status[i] = BAD_PARAMETER
            for p in range(6):
                tv[i, p] = np.nan
    return tv, renal, status


@_part
def _effect(theta: F8, effect: I8, levels: I8, covariate: F8) -> float:
    kind = effect[2]
    x = covariate[effect[3]]
    if math.isnan(x):
        return np.nan
    if kind == CATEGORY:
        return theta[levels[effect[4] + int(x)]]
    a = theta[effect[4]]
    b = theta[effect[5]]
    if kind == POWER:
        return (x / a) ** b
    if kind == LINEAR:
        return 1.0 + b * (x - a)
    if kind == EXPONENTIAL:
        return math.exp(b * (x - a))
    return x**b / (a**b + x**b)


@_part
def _valid(p: F8) -> bool:
    ok = True
    for j in range(6):
        lowest_allowed = p[j] > 0.0 or (p[j] == 0.0 and j in (Q2, Q3))
        ok = ok and lowest_allowed and p[j] < np.inf
    return ok


@_kernel
def individual_parameters(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, n_occasions: int
) -> F8:
    """Parameters of every subject on every occasion.

    Parameters
    ----------
    tv : (n or 1, 6)
    load_eta, load_kappa : (6, n_eta), (6, n_kappa)
        Loadings on the logarithms of CL, V1, Q2, V2, Q3, V3.
    eta : (n or 1, n_eta)
    kappa : (n or 1, occasions, n_kappa)
    n_occasions : int

    Returns
    -------
    (n, occasions, 6)
    """
    n = max(tv.shape[0], eta.shape[0], kappa.shape[0])
    out = np.empty((n, n_occasions, 6))
    for i in range(n):
        for k in range(n_occasions):
            for p in range(6):
                exponent = _shift(p, load_eta, eta, i % eta.shape[0])
                exponent += _shift_on(p, load_kappa, kappa, i % kappa.shape[0], k)
                out[i, k, p] = _times_exp(tv[i % tv.shape[0], p], exponent)
    return out


# Rows are passed as an array and an index: making a view costs more than using it.


@_part
def _shift(p: int, loads: F8, effects: F8, row: int) -> float:
    """Change of the logarithm of parameter p."""
    exponent = 0.0
    for j in range(effects.shape[1]):
        exponent += loads[p, j] * effects[row, j]
    return exponent


@_part
def _shift_on(p: int, loads: F8, effects: F8, row: int, k: int) -> float:
    """Change of the logarithm of parameter p on occasion k."""
    exponent = 0.0
    for j in range(effects.shape[2]):
        exponent += loads[p, j] * effects[row, k, j]
    return exponent


@_part
def _times_exp(value: float, exponent: float) -> float:
    return value * math.exp(exponent) if exponent != 0.0 else value


# ------------------------------------------------------------------ the linear system


@_part
def _rotation(a: float, b: float, off: float) -> tuple[float, float, float]:
    """Tangent, cosine and sine of the rotation that makes [[a, off], [off, b]] diagonal."""
    d = b - a
    if off == 0.0:
        return 0.0, 1.0, 0.0
    t = math.copysign(2.0 * off, off * d) / (abs(d) + math.sqrt(d * d + 4.0 * off * off))
    c = 1.0 / math.sqrt(1.0 + t * t)
    return t, c, t * c


@_part
def _decompose(p: F8, lam: F8, u: F8) -> None:
    """Eigenvalues and eigenvectors of M by Jacobi rotations: accurate for equal rates too."""
    a = (p[CL] + p[Q2] + p[Q3]) / p[V1]
    b = p[Q2] / p[V2]
    c = p[Q3] / p[V3]
    ab = -p[Q2] / math.sqrt(p[V1] * p[V2])
    ac = -p[Q3] / math.sqrt(p[V1] * p[V3])
    bc = 0.0
    u00, u01, u02 = 1.0, 0.0, 0.0
    u10, u11, u12 = 0.0, 1.0, 0.0
    u20, u21, u22 = 0.0, 0.0, 1.0
    negligible = 1e-34 * a * a
    for _ in range(12):  # quadratic convergence: four or five sweeps in practice
        if ab * ab + ac * ac + bc * bc <= negligible:
            break
        t, co, si = _rotation(a, b, ab)
        a, b, ab = a - t * ab, b + t * ab, 0.0
        ac, bc = co * ac - si * bc, si * ac + co * bc
        u00, u01 = co * u00 - si * u01, si * u00 + co * u01
        u10, u11 = co * u10 - si * u11, si * u10 + co * u11
        u20, u21 = co * u20 - si * u21, si * u20 + co * u21
        t, co, si = _rotation(a, c, ac)
        a, c, ac = a - t * ac, c + t * ac, 0.0
        ab, bc = co * ab - si * bc, si * ab + co * bc
        u00, u02 = co * u00 - si * u02, si * u00 + co * u02
        u10, u12 = co * u10 - si * u12, si * u10 + co * u12
        u20, u22 = co * u20 - si * u22, si * u20 + co * u22
        t, co, si = _rotation(b, c, bc)
        b, c, bc = b - t * bc, c + t * bc, 0.0
        ab, ac = co * ab - si * ac, si * ab + co * ac
        u01, u02 = co * u01 - si * u02, si * u01 + co * u02
        u11, u12 = co * u11 - si * u12, si * u11 + co * u12
        u21, u22 = co * u21 - si * u22, si * u21 + co * u22
    lam[0], lam[1], lam[2] = max(a, 0.0), max(b, 0.0), max(c, 0.0)
    u[0, 0], u[0, 1], u[0, 2] = u00, u01, u02
    u[1, 0], u[1, 1], u[1, 2] = u10, u11, u12
    u[2, 0], u[2, 1], u[2, 2] = u20, u21, u22


@_part
def _same_rows(loads: F8, p: int, q: int) -> bool:
    for j in range(loads.shape[1]):
        if loads[p, j] != loads[q, j]:
            return False
    return True


@_part
def _flows_and_volumes_move_together(load_kappa: F8) -> bool:
    """One factor on all flows and one on all volumes: the eigenvectors never change."""
    return (
        _same_rows(load_kappa, CL, Q2)
        and _same_rows(load_kappa, CL, Q3)
        and _same_rows(load_kappa, V1, V2)
        and _same_rows(load_kappa, V1, V3)
    )


@_part
def _enter_subject(
    i: int,
    tv: F8,
    load_eta: F8,
    eta: F8,
    eta_together: bool,
    kappa_together: bool,
    typical_lam: F8,
    base: F8,
    base_lam: F8,
    u: F8,
) -> bool:
    """Parameters of subject i before occasions, and as much of the decomposition as stays valid.

    If etas, too, move all flows and all volumes together, one decomposition of the typical values
    serves every subject that has them. False if a parameter is not finite and positive.
    """
    row, me = i % tv.shape[0], i % eta.shape[0]
    if eta_together and kappa_together:
        if i == 0 or tv.shape[0] > 1:
            for p in range(6):
                base[p] = tv[row, p]
            if not _valid(base):
                typical_lam[0] = np.nan
            else:
                _decompose(base, typical_lam, u)
        flow = math.exp(_shift(CL, load_eta, eta, me))
        volume = math.exp(_shift(V1, load_eta, eta, me))
        for q in (CL, Q2, Q3):
            base[q] = tv[row, q] * flow
            base[q + 1] = tv[row, q + 1] * volume
        for j in range(3):
            base_lam[j] = typical_lam[j] * (flow / volume)
        return not math.isnan(typical_lam[0]) and _valid(base)
    for p in range(6):
        base[p] = _times_exp(tv[row, p], _shift(p, load_eta, eta, me))
    if not _valid(base):
        return False
    if kappa_together:
        _decompose(base, base_lam, u)
    return True


@_part
def _basis(p: F8, u: F8, body: F8, push: F8) -> None:
    """Weights of z: what makes it an amount, and what an infusion adds to it per mg."""
    s1, s2, s3 = math.sqrt(p[V1]), math.sqrt(p[V2]), math.sqrt(p[V3])
    for j in range(3):
        body[j] = s1 * u[0, j] + s2 * u[1, j] + s3 * u[2, j]
        push[j] = u[0, j] / s1


@_part
def _enter_occasion(
    i: int,
    k: int,
    together: bool,
    base: F8,
    base_lam: F8,
    load_kappa: F8,
    kappa: F8,
    p: F8,
    lam: F8,
    u: F8,
    body: F8,
    push: F8,
    weight: F8,
    amounts: F8,
    z: F8,
) -> bool:
    """Parameters, rates and state of occasion k; `weight` makes z a concentration.

    If flows and volumes move together z stays in the basis of the subject without kappa, where
    amounts, and so z, are continuous; only rates and concentrations are scaled. False if a
    parameter of the occasion is not finite and positive.
    """
    me = i % kappa.shape[0]
    if together:
        flow = math.exp(_shift_on(CL, load_kappa, kappa, me, k))
        volume = math.exp(_shift_on(V1, load_kappa, kappa, me, k))
        for q in (CL, Q2, Q3):
            p[q] = base[q] * flow
            p[q + 1] = base[q + 1] * volume
        if not _valid(p):
            return False
        if k == 0:
            _basis(base, u, body, push)
        for j in range(3):
            lam[j] = base_lam[j] * (flow / volume)
            weight[j] = push[j] / volume
            z[j] = 0.0 if k == 0 else z[j]
        return True
    for q in range(6):
        p[q] = _times_exp(base[q], _shift_on(q, load_kappa, kappa, me, k))
    if not _valid(p):
        return False
    _decompose(p, lam, u)
    _basis(p, u, body, push)
    s1, s2, s3 = math.sqrt(p[V1]), math.sqrt(p[V2]), math.sqrt(p[V3])
    for j in range(3):
        weight[j] = push[j]
        z[j] = 0.0
        if k > 0:
            z[j] = u[0, j] * amounts[0] / s1 + u[1, j] * amounts[1] / s2 + u[2, j] * amounts[2] / s3
    return True


@_part
def _leave_occasion(p: F8, u: F8, z: F8, amounts: F8) -> None:
    """Amounts, to be carried into another basis."""
    for i in range(3):
        x = u[i, 0] * z[0] + u[i, 1] * z[1] + u[i, 2] * z[2]
        amounts[i] = x * math.sqrt(p[V1 + 2 * i])


@_part
def _advance(z: F8, lam: F8, push: F8, rate: float, h: float, out: F8) -> None:
    """State after h hours of infusion."""
    for j in range(3):
        out[j] = _infused(z[j], lam[j], h, push[j] * rate)


@_part
def _decay(z: F8, lam: F8, h: float, out: F8) -> None:
    for j in range(3):
        out[j] = z[j] * math.exp(-lam[j] * h)


@_part
def _dot(a: F8, b: F8) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_kernel
def exposure(
    tv: F8,
    load_eta: F8,
    eta: F8,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
) -> tuple[F8, F8, F8, F8, Status]:
    """Areas, peak and troughs of a course of infusions.

    Parameters
    ----------
    tv, load_eta, eta, load_kappa, kappa
        As in `individual_parameters`; one occasion per dose.
    start, duration : (doses,)
        h; ordered, not overlapping.
    amount : (n or 1, doses)
        mg F-ara-A.

    Returns
    -------
    auc_0_inf : (n,)
        mg h/L, from the first dose to infinity.
    auc_per_dose : (n, doses)
        mg h/L, from each dose to the next, the last to infinity; they add up to `auc_0_inf`.
    cmax : (n,)
        mg/L, the highest of the ends of infusions and starts of occasions.
    trough : (n, doses)
        mg/L, just before each dose.
    status : (n,)
    """
    n = max(tv.shape[0], eta.shape[0], kappa.shape[0], amount.shape[0])
    n_doses = start.shape[0]
    auc = np.empty(n)
    per_dose = np.empty((n, n_doses))
    cmax = np.empty(n)
    trough = np.empty((n, n_doses))
    status = np.zeros(n, np.int8)
    together = _flows_and_volumes_move_together(load_kappa)
    eta_together = _flows_and_volumes_move_together(load_eta)
    base, base_lam, typical_lam = np.empty(6), np.empty(3), np.zeros(3)
    p, lam, u = np.empty(6), np.empty(3), np.empty((3, 3))
    body, push, weight = np.empty(3), np.empty(3), np.empty(3)
    amounts, z = np.empty(3), np.empty(3)
    for i in range(n):
        ok = _enter_subject(
            i, tv, load_eta, eta, eta_together, together, typical_lam, base, base_lam, u
        )
        if ok and together:
            ok = _fixed_basis(
                i, base, base_lam, u, load_kappa, kappa, start, duration, amount,
                auc, per_dose, cmax, trough,
            )  # fmt: skip
        elif ok:
            ok = _new_basis(
                i, base, load_kappa, kappa, start, duration, amount,
                p, lam, u, body, push, weight, amounts, z, auc, per_dose, cmax, trough,
            )  # fmt: skip
        if not ok:
            status[i] = BAD_PARAMETER
            auc[i] = cmax[i] = np.nan
            for k in range(n_doses):
                per_dose[i, k] = trough[i, k] = np.nan
    return auc, per_dose, cmax, trough, status


@_part
def _fixed_basis(
    i: int,
    base: F8,
    base_lam: F8,
    u: F8,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
    auc: F8,
    per_dose: F8,
    cmax: F8,
    trough: F8,
) -> bool:
    """Course of one subject whose eigenvectors are the same on every occasion.

    The state is kept in the basis of the subject without kappa, in which amounts, and so z, are
    continuous from one occasion to the next; rates and concentrations are scaled.
    """
    n_doses = start.shape[0]
    me, mine = i % kappa.shape[0], i % amount.shape[0]
    has_kappa = kappa.shape[2] > 0
    s1, s2, s3 = math.sqrt(base[V1]), math.sqrt(base[V2]), math.sqrt(base[V3])
    in0 = s1 * u[0, 0] + s2 * u[1, 0] + s3 * u[2, 0]  # weights that make z an amount
    in1 = s1 * u[0, 1] + s2 * u[1, 1] + s3 * u[2, 1]
    in2 = s1 * u[0, 2] + s2 * u[1, 2] + s3 * u[2, 2]
    c0, c1, c2 = u[0, 0] / s1, u[0, 1] / s1, u[0, 2] / s1  # and a concentration, also a push
    z0, z1, z2 = 0.0, 0.0, 0.0
    total, peak, conc, before = 0.0, 0.0, 0.0, 0.0
    flow, volume = 1.0, 1.0
    for k in range(n_doses):
        trough[i, k] = conc
        if has_kappa:
            in_central = conc * volume
            flow = math.exp(_shift_on(CL, load_kappa, kappa, me, k))
            volume = math.exp(_shift_on(V1, load_kappa, kappa, me, k))
            for q in (CL, Q2, Q3):
                if not (base[q] * flow < np.inf and base[q + 1] * volume < np.inf):
                    return False
            if not (base[CL] * flow > 0.0 and min(base[V1], base[V2], base[V3]) * volume > 0.0):
                return False
            peak = max(peak, in_central / volume)
        pace = flow / volume
        l0, l1, l2 = base_lam[0] * pace, base_lam[1] * pace, base_lam[2] * pace
        h, dose = duration[k], amount[mine, k]
        rate = dose / h
        z0 = _infused(z0, l0, h, c0 * rate)
        z1 = _infused(z1, l1, h, c1 * rate)
        z2 = _infused(z2, l2, h, c2 * rate)
        peak = max(peak, (c0 * z0 + c1 * z1 + c2 * z2) / volume)
        after = 0.0
        if k + 1 < n_doses:
            gap = start[k + 1] - start[k] - h
            z0 *= math.exp(-l0 * gap)
            z1 *= math.exp(-l1 * gap)
            z2 *= math.exp(-l2 * gap)
            after = in0 * z0 + in1 * z1 + in2 * z2
            conc = (c0 * z0 + c1 * z1 + c2 * z2) / volume
        area = (dose + before - after) / (base[CL] * flow)
        per_dose[i, k] = area
        total += area
        before = after
    auc[i] = total
    cmax[i] = peak
    return True


@_part
def _infused(z: float, rate: float, h: float, push: float) -> float:
    """One coordinate of the state after h hours of infusion."""
    x = rate * h
    loss = -math.expm1(-x)
    return z * (1.0 - loss) + push * (h if x == 0.0 else loss / rate)


@_part
def _new_basis(
    i: int,
    base: F8,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
    p: F8,
    lam: F8,
    u: F8,
    body: F8,
    push: F8,
    weight: F8,
    amounts: F8,
    z: F8,
    auc: F8,
    per_dose: F8,
    cmax: F8,
    trough: F8,
) -> bool:
    """Course of one subject whose eigenvectors change with the occasion."""
    n_doses, mine = start.shape[0], i % amount.shape[0]
    total, peak, conc = 0.0, 0.0, 0.0
    for k in range(n_doses):
        trough[i, k] = conc
        if not _enter_occasion(
            i, k, False, base, lam, load_kappa, kappa,
            p, lam, u, body, push, weight, amounts, z,
        ):  # fmt: skip
            return False
        dose, before = amount[mine, k], _dot(body, z)
        at_start = _dot(weight, z)
        _advance(z, lam, push, dose / duration[k], duration[k], z)
        peak = max(peak, at_start, _dot(weight, z))
        after = 0.0
        if k + 1 < n_doses:
            _decay(z, lam, start[k + 1] - start[k] - duration[k], z)
            after, conc = _dot(body, z), _dot(weight, z)
            _leave_occasion(p, u, z, amounts)
        per_dose[i, k] = (dose + before - after) / p[CL]
        total += per_dose[i, k]
    auc[i] = total
    cmax[i] = peak
    return True


@_kernel
def course(
    tv: F8,
    load_eta: F8,
    eta: F8,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
    times: F8,
    conc: F8,
    auc: F8,
) -> Status:
    """Concentration and, if asked for, area so far at given times.

    Parameters
    ----------
    tv, load_eta, eta, load_kappa, kappa, start, duration, amount
        As in `exposure`.
    times : (m,)
        h, ascending. On an evenly spaced grid the state is multiplied forward instead of calling
        exp at every time.
    conc : (n, m)
        Written: mg/L.
    auc : (n, m) or (0, 0)
        Written: mg h/L from the first dose to each time; not computed if (0, 0).

    Returns
    -------
    status : (n,)
    """
    n, m = conc.shape
    n_doses = start.shape[0]
    want_auc = auc.shape[0] == n
    status = np.zeros(n, np.int8)
    together = _flows_and_volumes_move_together(load_kappa)
    eta_together = _flows_and_volumes_move_together(load_eta)
    steady = together and kappa.shape[2] == 0  # every occasion is like the first
    spacing = _even_spacing(times)
    before_all = _count_up_to(times, start[0])
    infused, decayed = np.empty(n_doses, np.int64), np.empty(n_doses, np.int64)
    for k in range(n_doses):
        infused[k] = _count_up_to(times, start[k] + duration[k])
        decayed[k] = _count_up_to(times, start[k + 1] if k + 1 < n_doses else np.inf)
    base, base_lam, typical_lam = np.empty(6), np.empty(3), np.zeros(3)
    p, lam, u = np.empty(6), np.empty(3), np.empty((3, 3))
    body, push, weight = np.empty(3), np.empty(3), np.empty(3)
    amounts, z, zt = np.empty(3), np.empty(3), np.empty(3)
    for i in range(n):
        if not _enter_subject(
            i, tv, load_eta, eta, eta_together, together, typical_lam, base, base_lam, u
        ):
            status[i] = BAD_PARAMETER
        mine, so_far = i % amount.shape[0], 0.0
        for t in range(before_all):
            conc[i, t] = 0.0
            if want_auc:
                auc[i, t] = 0.0
        for k in range(n_doses):
            reached = decayed[k - 1] if k else before_all
            if status[i] != OK or reached == m:
                break
            if (k == 0 or not steady) and not _enter_occasion(
                i, k, together, base, base_lam, load_kappa, kappa,
                p, lam, u, body, push, weight, amounts, z,
            ):  # fmt: skip
                status[i] = BAD_PARAMETER
                break
            in_body, dose = _dot(body, z), amount[mine, k]
            rate = dose / duration[k]
            for t in range(reached, infused[k]):
                h = times[t] - start[k]
                _advance(z, lam, push, rate, h, zt)
                conc[i, t] = _dot(weight, zt)
                if want_auc:
                    auc[i, t] = so_far + (rate * h + in_body - _dot(body, zt)) / p[CL]
            _advance(z, lam, push, rate, duration[k], z)
            so_far += (dose + in_body - _dot(body, z)) / p[CL]
            in_body, end = _dot(body, z), start[k] + duration[k]
            if spacing > 0.0:
                _decaying_evenly(
                    i, infused[k], decayed[k], end, spacing, lam, weight, body, z,
                    so_far + in_body / p[CL], p[CL], times, conc, auc,
                )  # fmt: skip
            else:
                for t in range(infused[k], decayed[k]):
                    _decay(z, lam, times[t] - end, zt)
                    conc[i, t] = _dot(weight, zt)
                    if want_auc:
                        auc[i, t] = so_far + (in_body - _dot(body, zt)) / p[CL]
            if k + 1 < n_doses:
                _decay(z, lam, start[k + 1] - end, z)
                so_far += (in_body - _dot(body, z)) / p[CL]
                if not together:
                    _leave_occasion(p, u, z, amounts)
        if status[i] != OK:
            for t in range(m):
                conc[i, t] = np.nan
                if want_auc:
                    auc[i, t] = np.nan
    return status


@_part
def _decaying_evenly(
    i: int,
    first: int,
    last: int,
    end: float,
    spacing: float,
    lam: F8,
    weight: F8,
    body: F8,
    z: F8,
    whole_auc: float,
    clearance: float,
    times: F8,
    conc: F8,
    auc: F8,
) -> None:
    """Times after an infusion on an even grid: the state is multiplied from one to the next."""
    if first == last:
        return
    h = times[first] - end
    z0, z1, z2 = (
        z[0] * math.exp(-lam[0] * h),
        z[1] * math.exp(-lam[1] * h),
        z[2] * math.exp(-lam[2] * h),
    )
    f0, f1, f2 = (
        math.exp(-lam[0] * spacing),
        math.exp(-lam[1] * spacing),
        math.exp(-lam[2] * spacing),
    )
    a0, a1, a2 = weight[0] * z0, weight[1] * z1, weight[2] * z2
    for t in range(first, last):
        conc[i, t] = a0 + a1 + a2
        a0, a1, a2 = a0 * f0, a1 * f1, a2 * f2
    if auc.shape[0] > 0:
        a0, a1, a2 = body[0] / clearance * z0, body[1] / clearance * z1, body[2] / clearance * z2
        for t in range(first, last):
            auc[i, t] = whole_auc - (a0 + a1 + a2)
            a0, a1, a2 = a0 * f0, a1 * f1, a2 * f2


@_part
def _count_up_to(times: F8, limit: float) -> int:
    """How many of ascending times are not after a limit."""
    n = 0
    while n < times.shape[0] and times[n] <= limit:
        n += 1
    return n


@_part
def _even_spacing(times: F8) -> float:
    """Distance of an evenly spaced grid, or 0."""
    m = times.shape[0]
    if m < 3:
        return 0.0
    step = (times[m - 1] - times[0]) / (m - 1)
    slack = 4.0 * 2.2e-16 * max(abs(times[0]), abs(times[m - 1]))
    for t in range(m):
        if abs(times[t] - (times[0] + t * step)) > slack:
            return 0.0
    return step
