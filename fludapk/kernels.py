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
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import event, types
from numba.extending import intrinsic

from fludapk import cache

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Status = npt.NDArray[np.int8]

OK: Final = 0
BAD_PARAMETER: Final = 1
"""A clearance or volume of this subject is not finite and positive."""
BAD_LEVEL: Final = 2
"""A level of this subject has no likelihood: it was measured where the model has no drug."""
NOT_CONVERGED: Final = 3
"""No minimum was found from any start."""

MAX_ITERATIONS: Final = 200
FISHER_ITERATIONS: Final = 15
"""After so many the exact second derivatives are used: Fisher's converge slowly in poor fits."""
NEAR: Final = 1e-8
"""Expected fall of the objective at which one more Newton step ends a search."""
MAX_STEP: Final = 4.0
"""Longest step, in prior SD."""
JOINED: Final = 0.5
"""A search ends this near to a minimum already known: half an SD of its posterior."""
DETOUR_SD: Final = 0.1
"""Lowest SD on the log scale of the detour of a search."""

POWER: Final = 0
LINEAR: Final = 1
EXPONENTIAL: Final = 2
SIGMOID: Final = 3
CATEGORY: Final = 4

ON_PARAMETER: Final = 0
ON_TERM: Final = 1

CL, V1, Q2, V2, Q3, V3 = range(6)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function, **options: Any) -> _Function:
    """Compile: the one place that says how. No fastmath, because it would change results."""
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(_Function, compiled)


def _part(function: _Function) -> _Function:
    """A function that only kernels call. It makes no array, so it need not count references."""
    return _compiled(function, _nrt=False)


def _maker(function: _Function) -> _Function:
    """A part that makes arrays."""
    return _compiled(function)


def _kernel(function: _Function) -> _Function:
    """A function that Python calls: compiled in the same way, and kept on disk."""
    return cache.kept(_compiled(function))


def _lane(function: _Function) -> _Function:
    """A part of a loop over lanes: put into it before anything else, or it is not vectorised."""
    return cast(_Function, numba.njit(inline="always", error_model="numpy")(function))


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


def cache_folder() -> Path | None:
    """Where compiled kernels are kept; None if no folder can be written."""
    return cache.folder(exposure)


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
    term_value, factor = np.empty(terms.shape[0]), np.empty(effects.shape[0])
    first = _first_alike(theta, effects)
    for i in range(n):
        for t in range(terms.shape[0]):
            term_value[t] = theta[terms[t, 1]] if terms[t, 1] >= 0 else 1.0
        for e in range(effects.shape[0]):
            if first[e] < e:
                factor[e] = factor[first[e]]
            else:
                factor[e] = _effect(theta, effects[e], levels, covariates[i])
            if effects[e, 0] == ON_TERM:
                term_value[effects[e, 1]] *= factor[e]
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
                tv[i, effects[e, 1]] *= factor[e]
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


@_maker
def _first_alike(theta: F8, effects: I8) -> I8:
    """The first effect of the same value as each, as the powers of weight on CL, Q2 and Q3."""
    first = np.arange(effects.shape[0])
    for e in range(effects.shape[0]):
        for f in range(e - 1, -1, -1):
            alike = effects[e, 2] == effects[f, 2] and effects[e, 3] == effects[f, 3]
            if alike and effects[e, 2] == CATEGORY:
                alike = effects[e, 4] == effects[f, 4]
            elif alike:
                alike = theta[effects[e, 4]] == theta[effects[f, 4]]
                alike = alike and theta[effects[e, 5]] == theta[effects[f, 5]]
            if alike:
                first[e] = f
    return first


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
        return x / a if b == 1.0 else (x / a) ** b
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
                exponent = _shift(p, load_eta, eta, _row(i, eta.shape[0]))
                exponent += _shift_on(p, load_kappa, kappa, _row(i, kappa.shape[0]), k)
                out[i, k, p] = _times_exp(tv[_row(i, tv.shape[0]), p], exponent)
    return out


# Rows are passed as an array and an index: making a view costs more than using it.


@_part
def _row(i: int, rows: int) -> int:
    """Row of subject i in an array of a row for each, or of one for all."""
    return i if rows > 1 else 0


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


_NEGLIGIBLE: Final = 1e-34


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
    negligible = _NEGLIGIBLE * a * a
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


# ------------------------------------------------------------------ many subjects at once
#
# Subjects are taken LANES at a time, so that the compiler can give each instruction several of
# them. For that a loop over lanes must hold arithmetic only: exp is a polynomial here, which also
# makes its bits the same on every machine, and the workspace is one array, a row per quantity.

LANES: Final = 64

_P, _LAM, _BODY, _PUSH, _Z = (row * LANES for row in (0, 6, 9, 12, 15))
(
    _FLOW, _VOLUME, _DOSE, _CONC, _TROUGH, _BEFORE, _AREA, _TOTAL, _PEAK, _USABLE, _REST,
) = (row * LANES for row in range(18, 29))  # fmt: skip
_RATE, _LEFT, _AFTER, _WEIGHT, _STRIDE = (row * LANES for row in (29, 32, 35, 38, 41))
_STEPS: Final = 32
"""Times of a grid that are kept before they are written subject by subject."""
_STEP, _INSIDE = 44 * LANES, (44 + _STEPS) * LANES
_ROWS: Final = 44 + 2 * _STEPS

_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_TO_INTEGER: Final = 6755399441055744.0
"""1.5 * 2^52: adding it rounds to an integer, which is then in the low bits."""


@intrinsic
def _compiled_power_of_2(_typing: Any, shifted: Any) -> Any:
    """2^k of a double that holds k + `_TO_INTEGER`, by putting k into the exponent."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        exponent = builder.add(builder.bitcast(arguments[0], integer), ir.Constant(integer, 1023))
        return builder.bitcast(builder.shl(exponent, ir.Constant(integer, 52)), ir.DoubleType())

    return types.float64(types.float64), codegen


def _interpreted_power_of_2(shifted: float) -> float:
    return 2.0 ** (shifted - _TO_INTEGER)


_power_of_2: Any = (
    _interpreted_power_of_2 if numba.config.DISABLE_JIT else _compiled_power_of_2  # type: ignore[attr-defined]
)


@_lane
def _exp_parts(x: float) -> tuple[float, float]:
    """Expm1 of a remainder and a power of two: exp(x) = (1 + first) second, x within +-708."""
    shifted = x * _LOG2_E + _TO_INTEGER
    k = shifted - _TO_INTEGER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    q = 1.0 / 6227020800.0
    q = q * r + 1.0 / 479001600.0
    q = q * r + 1.0 / 39916800.0
    q = q * r + 1.0 / 3628800.0
    q = q * r + 1.0 / 362880.0
    q = q * r + 1.0 / 40320.0
    q = q * r + 1.0 / 5040.0
    q = q * r + 1.0 / 720.0
    q = q * r + 1.0 / 120.0
    q = q * r + 1.0 / 24.0
    q = q * r + 1.0 / 6.0
    q = q * r + 0.5
    return r + r * r * q, _power_of_2(shifted)


@_lane
def _exp(x: float) -> float:
    """Exponential; 0 below -708, infinite above 708."""
    p, power = _exp_parts(min(max(x, -708.0), 708.0))
    value = power * p + power
    return 0.0 if x < -708.0 else np.inf if x > 708.0 else value


@_lane
def _infused_lane(z: float, rate: float, h: float, push: float) -> float:
    """As `_infused`."""
    x = rate * h
    p, power = _exp_parts(max(-x, -708.0))
    loss = -(power * p + (power - 1.0))
    tiny = x < 1e-300
    return z * (1.0 - loss) + push * (h if tiny else loss / (1.0 if tiny else rate))


@_lane
def _turn(a: float, b: float, off: float) -> tuple[float, float, float]:
    """As `_rotation`, without a branch."""
    d = b - a
    reach = abs(d) + math.sqrt(d * d + 4.0 * off * off)
    t = 2.0 * off / (1.0 if reach == 0.0 else reach)
    t = t if d >= 0.0 else -t
    c = 1.0 / math.sqrt(1.0 + t * t)
    return t, c, t * c


@_lane
def _sweep(
    a: float, b: float, c: float, ab: float, ac: float,
    u00: float, u01: float, u02: float, u10: float, u11: float, u12: float,
    u20: float, u21: float, u22: float,
) -> tuple[float, ...]:  # fmt: skip
    """Three rotations of a matrix whose entry bc is zero, and is again; see `_decompose`."""
    t, co, si = _turn(a, b, ab)
    a, b = a - t * ab, b + t * ab
    ac, bc = co * ac, si * ac
    u00, u01 = co * u00 - si * u01, si * u00 + co * u01
    u10, u11 = co * u10 - si * u11, si * u10 + co * u11
    u20, u21 = co * u20 - si * u21, si * u20 + co * u21
    t, co, si = _turn(a, c, ac)
    a, c = a - t * ac, c + t * ac
    ab, bc = -si * bc, co * bc
    u00, u02 = co * u00 - si * u02, si * u00 + co * u02
    u10, u12 = co * u10 - si * u12, si * u10 + co * u12
    u20, u22 = co * u20 - si * u22, si * u20 + co * u22
    t, co, si = _turn(b, c, bc)
    b, c = b - t * bc, c + t * bc
    ab, ac = co * ab, si * ab
    u01, u02 = co * u01 - si * u02, si * u01 + co * u02
    u11, u12 = co * u11 - si * u12, si * u11 + co * u12
    u21, u22 = co * u21 - si * u22, si * u21 + co * u22
    return a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22


@_part
def _decompose_lanes(w: F8) -> None:
    """`_decompose` and `_basis` of every lane: four sweeps; what is left goes to _REST."""
    for j in range(LANES):
        cl, v1 = w[_P + j], w[_P + LANES + j]
        q2, v2 = w[_P + 2 * LANES + j], w[_P + 3 * LANES + j]
        q3, v3 = w[_P + 4 * LANES + j], w[_P + 5 * LANES + j]
        s1, s2, s3 = math.sqrt(v1), math.sqrt(v2), math.sqrt(v3)
        a, b, c = (cl + q2 + q3) / v1, q2 / v2, q3 / v3
        largest = a
        ab, ac = -q2 / (s1 * s2), -q3 / (s1 * s3)
        u00, u01, u02 = 1.0, 0.0, 0.0
        u10, u11, u12 = 0.0, 1.0, 0.0
        u20, u21, u22 = 0.0, 0.0, 1.0
        a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22 = _sweep(
            a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22
        )
        a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22 = _sweep(
            a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22
        )
        a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22 = _sweep(
            a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22
        )
        a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22 = _sweep(
            a, b, c, ab, ac, u00, u01, u02, u10, u11, u12, u20, u21, u22
        )
        w[_LAM + j] = max(a, 0.0)
        w[_LAM + LANES + j] = max(b, 0.0)
        w[_LAM + 2 * LANES + j] = max(c, 0.0)
        w[_BODY + j] = s1 * u00 + s2 * u10 + s3 * u20
        w[_BODY + LANES + j] = s1 * u01 + s2 * u11 + s3 * u21
        w[_BODY + 2 * LANES + j] = s1 * u02 + s2 * u12 + s3 * u22
        w[_PUSH + j] = u00 / s1
        w[_PUSH + LANES + j] = u01 / s1
        w[_PUSH + 2 * LANES + j] = u02 / s1
        w[_REST + j] = (ab * ab + ac * ac) / (largest * largest)


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
def _enter_subject(i: int, tv: F8, load_eta: F8, eta: F8, base: F8) -> bool:
    """Parameters of subject i before occasions; False if one is not finite and positive."""
    for p in range(6):
        shift = _shift(p, load_eta, eta, _row(i, eta.shape[0]))
        base[p] = _times_exp(tv[_row(i, tv.shape[0]), p], shift)
    return _valid(base)


@_part
def _enter_lane(j: int, w: F8, base: F8, base_lam: F8, body: F8, push: F8) -> bool:
    """The subject in lane j, whose basis is that of every occasion."""
    for q in range(6):
        base[q] = w[_P + q * LANES + j]
    for q in range(3):
        base_lam[q] = w[_LAM + q * LANES + j]
        body[q] = w[_BODY + q * LANES + j]
        push[q] = w[_PUSH + q * LANES + j]
    return w[_USABLE + j] == 1.0


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
    me = _row(i, kappa.shape[0])
    if together:
        flow = math.exp(_shift_on(CL, load_kappa, kappa, me, k))
        volume = math.exp(_shift_on(V1, load_kappa, kappa, me, k))
        for q in (CL, Q2, Q3):
            p[q] = base[q] * flow
            p[q + 1] = base[q + 1] * volume
        if not _valid(p):
            return False
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
    base, base_lam = np.empty(6), np.empty(3)
    p, lam, u = np.empty(6), np.empty(3), np.empty((3, 3))
    body, push, weight = np.empty(3), np.empty(3), np.empty(3)
    amounts, z = np.empty(3), np.empty(3)
    if together:
        w = np.empty(_ROWS * LANES)
        shared = eta_together and tv.shape[0] == 1 and n > 1
        if shared:
            _enter_typical(tv, base, base_lam, u, body, push)
        for first in range(0, n, LANES):
            _enter_lanes(
                first, n, tv, load_eta, eta, eta_together, shared, base, base_lam, u, body, push, w
            )
            for k in range(n_doses):
                _occasion_lanes(first, n, k, load_kappa, kappa, start, duration, amount, w)
                for j in range(min(LANES, n - first)):
                    per_dose[first + j, k] = w[_AREA + j]
                    trough[first + j, k] = w[_TROUGH + j]
            for j in range(min(LANES, n - first)):
                auc[first + j] = w[_TOTAL + j]
                cmax[first + j] = w[_PEAK + j]
                status[first + j] = OK if w[_USABLE + j] == 1.0 else BAD_PARAMETER
    else:
        for i in range(n):
            if not _enter_subject(i, tv, load_eta, eta, base) or not _new_basis(
                i, base, load_kappa, kappa, start, duration, amount,
                p, lam, u, body, push, weight, amounts, z, auc, per_dose, cmax, trough,
            ):  # fmt: skip
                status[i] = BAD_PARAMETER
    for i in range(n):
        if status[i] != OK:
            auc[i] = cmax[i] = np.nan
            for k in range(n_doses):
                per_dose[i, k] = trough[i, k] = np.nan
    return auc, per_dose, cmax, trough, status


@_part
def _enter_typical(tv: F8, base: F8, base_lam: F8, u: F8, body: F8, push: F8) -> None:
    """Decomposition of typical values that serves every subject."""
    for q in range(6):
        base[q] = tv[0, q]
    if _valid(base):
        _decompose(base, base_lam, u)
        _basis(base, u, body, push)


@_part
def _enter_lanes(
    first: int,
    n: int,
    tv: F8,
    load_eta: F8,
    eta: F8,
    together: bool,
    shared: bool,
    typical: F8,
    lam: F8,
    u: F8,
    body: F8,
    push: F8,
    w: F8,
) -> None:
    """Parameters of subjects `first` and on, and their decompositions, into lanes.

    Lanes beyond the last subject repeat it. `together`: etas are one factor on all flows and one on
    all volumes. `shared`: and on typical values of everybody, already decomposed.
    """
    factors = 2 if together else 6
    for j in range(LANES):
        me = _row(min(first + j, n - 1), eta.shape[0])
        for q in range(factors):
            w[_P + q * LANES + j] = _shift(q, load_eta, eta, me)
    for x in range(_P, _P + factors * LANES):
        w[x] = _exp(w[x])
    if shared:
        for j in range(LANES):
            flow, volume = w[_P + j], w[_P + LANES + j]
            size = math.sqrt(volume)
            w[_LAM + j] = lam[0] * (flow / volume)
            w[_LAM + LANES + j] = lam[1] * (flow / volume)
            w[_LAM + 2 * LANES + j] = lam[2] * (flow / volume)
            w[_BODY + j] = body[0] * size
            w[_BODY + LANES + j] = body[1] * size
            w[_BODY + 2 * LANES + j] = body[2] * size
            w[_PUSH + j] = push[0] / size
            w[_PUSH + LANES + j] = push[1] / size
            w[_PUSH + 2 * LANES + j] = push[2] / size
    for j in range(LANES):
        i = _row(min(first + j, n - 1), tv.shape[0])
        for q in range(6):
            typical[q] = tv[i, q] * w[_P + q % factors * LANES + j]
        usable = _valid(typical)
        w[_USABLE + j] = 1.0 if usable else 0.0
        for q in range(6):
            w[_P + q * LANES + j] = typical[q] if usable else 1.0
        w[_TOTAL + j] = w[_PEAK + j] = w[_CONC + j] = w[_BEFORE + j] = 0.0
        w[_Z + j] = w[_Z + LANES + j] = w[_Z + 2 * LANES + j] = 0.0
    if shared:
        return
    _decompose_lanes(w)
    for j in range(LANES):
        if w[_REST + j] > _NEGLIGIBLE:
            for q in range(6):
                typical[q] = w[_P + q * LANES + j]
            _decompose(typical, lam, u)
            _basis(typical, u, body, push)
            for q in range(3):
                w[_LAM + q * LANES + j] = lam[q]
                w[_BODY + q * LANES + j] = body[q]
                w[_PUSH + q * LANES + j] = push[q]


@_part
def _scale_lanes(first: int, n: int, k: int, load_kappa: F8, kappa: F8, amount: F8, w: F8) -> None:
    """Factors of an occasion on flows and volumes, and its dose, of every lane."""
    for j in range(LANES):
        i = min(first + j, n - 1)
        me = _row(i, kappa.shape[0])
        w[_FLOW + j] = _shift_on(CL, load_kappa, kappa, me, k)
        w[_VOLUME + j] = _shift_on(V1, load_kappa, kappa, me, k)
        w[_DOSE + j] = amount[_row(i, amount.shape[0]), k]
    if kappa.shape[2] > 0:
        for x in range(_FLOW, _FLOW + 2 * LANES):
            w[x] = _exp(w[x])
    else:
        for x in range(_FLOW, _FLOW + 2 * LANES):
            w[x] = 1.0
    for j in range(LANES):
        flow, volume = w[_FLOW + j], w[_VOLUME + j]
        clearance = w[_P + j] * flow
        most_flow = max(clearance, w[_P + 2 * LANES + j] * flow, w[_P + 4 * LANES + j] * flow)
        v1, v2, v3 = w[_P + LANES + j], w[_P + 3 * LANES + j], w[_P + 5 * LANES + j]
        most, least = max(v1, v2, v3) * volume, min(v1, v2, v3) * volume
        usable = (clearance > 0.0) & (most_flow < np.inf) & (least > 0.0) & (most < np.inf)
        w[_USABLE + j] = w[_USABLE + j] if usable else 0.0


@_part
def _occasion_lanes(
    first: int,
    n: int,
    k: int,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
    w: F8,
) -> None:
    """A dose and the time until the next, in every lane.

    z stays in the basis of the subject without kappa, where amounts, and so z, are continuous; only
    rates and concentrations are scaled.
    """
    n_doses, h = start.shape[0], duration[k]
    is_last = k + 1 == n_doses
    gap = 0.0 if is_last else start[k + 1] - start[k] - h
    _scale_lanes(first, n, k, load_kappa, kappa, amount, w)
    for j in range(LANES):
        flow, volume, dose = w[_FLOW + j], w[_VOLUME + j], w[_DOSE + j]
        clearance, pace, rate = w[_P + j] * flow, flow / volume, dose / h
        l0, l1, l2 = (
            w[_LAM + j] * pace, w[_LAM + LANES + j] * pace, w[_LAM + 2 * LANES + j] * pace,
        )  # fmt: skip
        b0, b1, b2 = w[_BODY + j], w[_BODY + LANES + j], w[_BODY + 2 * LANES + j]
        c0, c1, c2 = w[_PUSH + j], w[_PUSH + LANES + j], w[_PUSH + 2 * LANES + j]
        z0, z1, z2 = w[_Z + j], w[_Z + LANES + j], w[_Z + 2 * LANES + j]
        at_start = (c0 * z0 + c1 * z1 + c2 * z2) / volume
        z0 = _infused_lane(z0, l0, h, c0 * rate)
        z1 = _infused_lane(z1, l1, h, c1 * rate)
        z2 = _infused_lane(z2, l2, h, c2 * rate)
        at_end = (c0 * z0 + c1 * z1 + c2 * z2) / volume
        w[_PEAK + j] = max(w[_PEAK + j], at_start, at_end)
        z0, z1, z2 = z0 * _exp(-l0 * gap), z1 * _exp(-l1 * gap), z2 * _exp(-l2 * gap)
        after = 0.0 if is_last else b0 * z0 + b1 * z1 + b2 * z2
        area = (dose + w[_BEFORE + j] - after) / clearance
        w[_TROUGH + j] = w[_CONC + j]
        w[_CONC + j] = (c0 * z0 + c1 * z1 + c2 * z2) / volume
        w[_BEFORE + j] = after
        w[_AREA + j] = area
        w[_TOTAL + j] += area
        w[_Z + j] = z0
        w[_Z + LANES + j] = z1
        w[_Z + 2 * LANES + j] = z2


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
    n_doses, mine = start.shape[0], _row(i, amount.shape[0])
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
    base, base_lam = np.empty(6), np.empty(3)
    typical, typical_lam, w = np.empty(6), np.empty(3), np.empty(_ROWS * LANES)
    p, lam, u = np.empty(6), np.empty(3), np.empty((3, 3))
    body, push, weight = np.empty(3), np.empty(3), np.empty(3)
    shared_body, shared_push = np.empty(3), np.empty(3)
    amounts, z, zt = np.empty(3), np.empty(3), np.empty(3)
    shared = eta_together and tv.shape[0] == 1 and n > 1
    if together and shared:
        _enter_typical(tv, typical, typical_lam, u, shared_body, shared_push)
    if together and spacing > 0.0:
        for first in range(0, n, LANES):
            _enter_lanes(
                first, n, tv, load_eta, eta, eta_together, shared,
                typical, typical_lam, u, shared_body, shared_push, w,
            )  # fmt: skip
            _grid_lanes(
                first, n, load_kappa, kappa, start, duration, amount,
                times, spacing, before_all, infused, decayed, w, conc, auc,
            )  # fmt: skip
            for j in range(min(LANES, n - first)):
                status[first + j] = OK if w[_USABLE + j] == 1.0 else BAD_PARAMETER
    for i in range(0 if together and spacing > 0.0 else n):
        if together:
            if i % LANES == 0:
                _enter_lanes(
                    i, n, tv, load_eta, eta, eta_together, shared,
                    typical, typical_lam, u, shared_body, shared_push, w,
                )  # fmt: skip
            usable = _enter_lane(i % LANES, w, base, base_lam, body, push)
        else:
            usable = _enter_subject(i, tv, load_eta, eta, base)
        if not usable:
            status[i] = BAD_PARAMETER
        mine, so_far = _row(i, amount.shape[0]), 0.0
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
            _decaying(
                i, infused[k], decayed[k], end, lam, weight, body, z,
                so_far + in_body / p[CL], p[CL], times, conc, auc,
            )  # fmt: skip
            if k + 1 < n_doses:
                _decay(z, lam, start[k + 1] - end, z)
                so_far += (in_body - _dot(body, z)) / p[CL]
                if not together:
                    _leave_occasion(p, u, z, amounts)
    for i in range(n):
        if status[i] != OK:
            for t in range(m):
                conc[i, t] = np.nan
                if want_auc:
                    auc[i, t] = np.nan
    return status


@_part
def _decaying(
    i: int,
    first: int,
    last: int,
    end: float,
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
    """Times after an infusion."""
    l0, l1, l2 = lam[0], lam[1], lam[2]
    a0, a1, a2 = weight[0] * z[0], weight[1] * z[1], weight[2] * z[2]
    for t in range(first, last):
        h = end - times[t]
        conc[i, t] = a0 * _exp(l0 * h) + a1 * _exp(l1 * h) + a2 * _exp(l2 * h)
    if auc.shape[0] > 0:
        a0, a1, a2 = (
            body[0] / clearance * z[0], body[1] / clearance * z[1], body[2] / clearance * z[2],
        )  # fmt: skip
        for t in range(first, last):
            h = end - times[t]
            auc[i, t] = whole_auc - (a0 * _exp(l0 * h) + a1 * _exp(l1 * h) + a2 * _exp(l2 * h))


@_part
def _grid_lanes(
    first: int,
    n: int,
    load_kappa: F8,
    kappa: F8,
    start: F8,
    duration: F8,
    amount: F8,
    times: F8,
    spacing: float,
    before_all: int,
    infused: I8,
    decayed: I8,
    w: F8,
    conc: F8,
    auc: F8,
) -> None:
    """Concentrations on an even grid, in every lane; as `course`.

    After an infusion the state is multiplied from one time to the next.
    """
    mine, n_doses = min(LANES, n - first), start.shape[0]
    want_auc, stride_known = auc.shape[0] > 0, False
    for j in range(mine):
        for t in range(before_all):
            conc[first + j, t] = 0.0
            if want_auc:
                auc[first + j, t] = 0.0
    for k in range(n_doses):
        reached, end = decayed[k - 1] if k else before_all, start[k] + duration[k]
        if reached == times.shape[0]:
            break
        _scale_lanes(first, n, k, load_kappa, kappa, amount, w)
        for j in range(LANES):
            pace, volume = w[_FLOW + j] / w[_VOLUME + j], w[_VOLUME + j]
            for q in range(3):
                w[_RATE + q * LANES + j] = w[_LAM + q * LANES + j] * pace
                w[_WEIGHT + q * LANES + j] = w[_PUSH + q * LANES + j] / volume
            w[_AREA + j] = w[_P + j] * w[_FLOW + j]
            w[_BEFORE + j] = _dot_lane(w, _BODY, _Z, j)
        for t in range(reached, infused[k]):
            h = times[t] - start[k]
            _infuse_lanes(w, h, duration[k])
            for j in range(mine):
                conc[first + j, t] = _dot_lane(w, _WEIGHT, _AFTER, j)
                if want_auc:
                    given = w[_DOSE + j] / duration[k] * h
                    gone = given + w[_BEFORE + j] - _dot_lane(w, _BODY, _AFTER, j)
                    auc[first + j, t] = w[_TOTAL + j] + gone / w[_AREA + j]
        _infuse_lanes(w, duration[k], duration[k])
        for j in range(LANES):
            inside = _dot_lane(w, _BODY, _AFTER, j)
            w[_TOTAL + j] += (w[_DOSE + j] + w[_BEFORE + j] - inside) / w[_AREA + j]
            w[_BEFORE + j] = inside
        for x in range(3 * LANES):
            w[_Z + x] = w[_AFTER + x]
        if infused[k] < decayed[k]:
            _leave_lanes(w, times[infused[k]] - end, _LEFT)
            for x in range(3 * LANES):
                w[_AFTER + x] = w[_Z + x] * w[_LEFT + x]
            if not stride_known:
                _leave_lanes(w, spacing, _STRIDE)
                stride_known = kappa.shape[2] == 0
        for begun in range(infused[k], decayed[k], _STEPS):
            some = min(_STEPS, decayed[k] - begun)
            for t in range(some):
                for j in range(LANES):
                    w[_STEP + t * LANES + j] = _dot_lane(w, _WEIGHT, _AFTER, j)
                if want_auc:
                    for j in range(LANES):
                        w[_INSIDE + t * LANES + j] = _dot_lane(w, _BODY, _AFTER, j)
                for x in range(3 * LANES):
                    w[_AFTER + x] *= w[_STRIDE + x]
            for j in range(mine):
                for t in range(some):
                    conc[first + j, begun + t] = w[_STEP + t * LANES + j]
            if want_auc:
                for j in range(mine):
                    for t in range(some):
                        gone = w[_BEFORE + j] - w[_INSIDE + t * LANES + j]
                        auc[first + j, begun + t] = w[_TOTAL + j] + gone / w[_AREA + j]
        if k + 1 < n_doses:
            _leave_lanes(w, start[k + 1] - end, _LEFT)
            for x in range(3 * LANES):
                w[_Z + x] *= w[_LEFT + x]
            for j in range(LANES):
                w[_TOTAL + j] += (w[_BEFORE + j] - _dot_lane(w, _BODY, _Z, j)) / w[_AREA + j]


@_lane
def _dot_lane(w: F8, weights: int, state: int, j: int) -> float:
    """As `_dot`: with `_WEIGHT` a concentration, with `_BODY` the amount in the body."""
    return (
        w[weights + j] * w[state + j]
        + w[weights + LANES + j] * w[state + LANES + j]
        + w[weights + 2 * LANES + j] * w[state + 2 * LANES + j]
    )


@_part
def _infuse_lanes(w: F8, h: float, duration: float) -> None:
    """State after h hours of an infusion."""
    for q in range(3):
        for j in range(LANES):
            x = q * LANES + j
            push = w[_PUSH + x] * (w[_DOSE + j] / duration)
            w[_AFTER + x] = _infused_lane(w[_Z + x], w[_RATE + x], h, push)


@_part
def _leave_lanes(w: F8, h: float, to: int) -> None:
    """What h hours leave of the state."""
    for x in range(3 * LANES):
        w[to + x] = _exp(-w[_RATE + x] * h)


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


# ------------------------------------------------------------------ Bayesian estimation


class _Subjects(NamedTuple):
    """What is known of the subjects; as in `map_estimates`."""

    tv: F8
    loads: F8
    n_eta: int
    doses: F8
    levels: F8
    error: F8
    together: bool
    """See `_flows_and_volumes_move_together`."""


class _Space(NamedTuple):
    """Room for one subject with d effects, made once for all."""

    p: F8
    typical_lam: F8
    lam: F8
    u: F8
    state: F8
    """(1 + d, 3) z, then its derivatives."""
    pull: F8
    """(n_eta + n_kappa, 3, 3) U' dM U for each effect in force."""
    blend: F8
    slope: F8
    """(d,) Derivatives of a concentration."""
    x: F8
    trial: F8
    gradient: F8
    new_gradient: F8
    curvature: F8
    """(d, d) Fisher's or, near a minimum, the exact second derivatives; lower triangle."""
    new_curvature: F8
    root: F8
    step: F8
    predicted: F8


@_maker
def _space(subjects: _Subjects) -> _Space:
    columns, n_eta = subjects.loads.shape[1], subjects.n_eta
    d = n_eta + subjects.doses.shape[2] * (columns - n_eta)
    return _Space(
        np.empty(6), np.empty(3), np.empty(3), np.empty((3, 3)), np.empty((1 + d, 3)),
        np.zeros((columns, 3, 3)), np.zeros((3, 3)), np.empty(d), np.empty(d), np.empty(d),
        np.empty(d), np.empty(d), np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty(d),
        np.empty(subjects.levels.shape[2]),
    )  # fmt: skip


@_part
def _log_normal_cdf(u: float) -> tuple[float, float]:
    """Logarithm of Phi(u), and its derivative phi / Phi."""
    if u > -20.0:
        cdf = 0.5 * math.erfc(-u / math.sqrt(2.0))
        return math.log(cdf), math.exp(-0.5 * u * u) / (math.sqrt(2.0 * math.pi) * cdf)
    ratio = -u  # a continued fraction, because Phi itself would underflow
    for k in range(12, 0, -1):
        ratio = -u + k / ratio
    return -0.5 * u * u - 0.5 * math.log(2.0 * math.pi) - math.log(ratio), ratio


@_part
def _level(f: float, conc: float, lloq: float, error: F8) -> tuple[float, float, float]:
    """-2 log likelihood of a level predicted as f, its derivative and its expected curvature."""
    log_sd = error[2]
    below = math.isnan(conc)
    if log_sd > 0.0:
        if not below:
            r = math.log(conc / f)
            v = log_sd * log_sd
            return r * r / v + math.log(v), -2.0 * r / (v * f), 2.0 / (v * f * f)
        if f <= 0.0:
            return 0.0, 0.0, 0.0
        u = math.log(lloq / f) / log_sd
        du = -1.0 / (log_sd * f)
    else:
        v = error[0] * error[0] * f * f + error[1] * error[1]
        if not below:
            r = conc - f
            square, dv = r * r / v, 2.0 * error[0] * error[0] * f / v
            return square + math.log(v), (1.0 - square) * dv - 2.0 * r / v, 2.0 / v + dv * dv
        if v == 0.0:
            return 0.0, 0.0, 0.0
        sd = math.sqrt(v)
        u = (lloq - f) / sd
        du = -1.0 / sd - u * error[0] * error[0] * f / v
    log_cdf, ratio = _log_normal_cdf(u)
    if ratio == 0.0:
        return -2.0 * log_cdf, 0.0, 0.0
    return -2.0 * log_cdf, -2.0 * ratio * du, 2.0 * ratio * max(ratio + u, 0.0) * du * du


@_part
def _columns(u: F8, a: float, b: float, c: float) -> tuple[float, float, float]:
    """U' times a vector."""
    return (
        u[0, 0] * a + u[1, 0] * b + u[2, 0] * c,
        u[0, 1] * a + u[1, 1] * b + u[2, 1] * c,
        u[0, 2] * a + u[1, 2] * b + u[2, 2] * c,
    )


@_part
def _rows(u: F8, a: float, b: float, c: float) -> tuple[float, float, float]:
    """U times a vector."""
    return (
        u[0, 0] * a + u[0, 1] * b + u[0, 2] * c,
        u[1, 0] * a + u[1, 1] * b + u[1, 2] * c,
        u[2, 0] * a + u[2, 1] * b + u[2, 2] * c,
    )


@_part
def _pulls(loads: F8, p: F8, u: F8, pull: F8) -> None:
    """U' dM U for each column of loadings."""
    s12, s13 = math.sqrt(p[V1] * p[V2]), math.sqrt(p[V1] * p[V3])
    for j in range(loads.shape[1]):
        v1, q2, v2, q3, v3 = loads[V1, j], loads[Q2, j], loads[V2, j], loads[Q3, j], loads[V3, j]
        d00 = (p[CL] * (loads[CL, j] - v1) + p[Q2] * (q2 - v1) + p[Q3] * (q3 - v1)) / p[V1]
        d11, d22 = p[Q2] / p[V2] * (q2 - v2), p[Q3] / p[V3] * (q3 - v3)
        d01, d02 = p[Q2] / s12 * (0.5 * (v1 + v2) - q2), p[Q3] / s13 * (0.5 * (v1 + v3) - q3)
        for a in range(3):
            c0 = d00 * u[0, a] + d01 * u[1, a] + d02 * u[2, a]
            c1 = d01 * u[0, a] + d11 * u[1, a]
            c2 = d02 * u[0, a] + d22 * u[2, a]
            for b in range(a + 1):
                pull[j, a, b] = pull[j, b, a] = c0 * u[0, b] + c1 * u[1, b] + c2 * u[2, b]


@_part
def _begin_subject(i: int, subjects: _Subjects, space: _Space) -> bool:
    """Decompose the typical values if that serves all effects; False if these are impossible."""
    tv = subjects.tv[i % subjects.tv.shape[0]]
    if not _valid(tv):
        return False
    if subjects.together:
        _decompose(tv, space.typical_lam, space.u)
    return True


@_part
def _begin_occasion(
    row: int, tv: F8, loads: F8, n_eta: int, together: bool, x: F8, k: int, slopes: bool,
    p: F8, typical_lam: F8, lam: F8, u: F8, state: F8, pull: F8,
) -> bool:  # fmt: skip
    """Parameters, rates, state and derivatives of occasion k, from those of the one before.

    Amounts are continuous. False if a parameter is not finite and positive.
    """
    n_kappa = loads.shape[1] - n_eta
    old, new = n_eta + (k - 1) * n_kappa, n_eta + k * n_kappa
    if k > 0:
        s1, s2, s3 = math.sqrt(p[V1]), math.sqrt(p[V2]), math.sqrt(p[V3])
        a, b, c = _rows(u, state[0, 0], state[0, 1], state[0, 2])
        for j in range(new if slopes else 0):
            da, db, dc = _rows(u, state[1 + j, 0], state[1 + j, 1], state[1 + j, 2])
            if j >= old:  # what an eta does to the volumes stays, what a kappa does ends here
                i = n_eta + j - old
                da += 0.5 * loads[V1, i] * a
                db += 0.5 * loads[V2, i] * b
                dc += 0.5 * loads[V3, i] * c
            state[1 + j, 0], state[1 + j, 1], state[1 + j, 2] = s1 * da, s2 * db, s3 * dc
        state[0, 0], state[0, 1], state[0, 2] = s1 * a, s2 * b, s3 * c
    for q in range(2 if together else 6):
        exponent = 0.0
        for j in range(n_eta):
            exponent += loads[q, j] * x[j]
        for j in range(n_kappa):
            exponent += loads[q, n_eta + j] * x[new + j]
        p[q] = math.exp(exponent)
    if together:
        flow, volume = p[CL], p[V1]
        for q in (CL, Q2, Q3):
            p[q], p[q + 1] = tv[row, q] * flow, tv[row, q + 1] * volume
        for r in range(3):
            lam[r] = typical_lam[r] * flow / volume
            for j in range(loads.shape[1]):
                pull[j, r, r] = lam[r] * (loads[CL, j] - loads[V1, j])
        if not _valid(p):
            return False
    else:
        for q in range(6):
            p[q] *= tv[row, q]
        if not _valid(p):
            return False
        _decompose(p, lam, u)
        if slopes:
            _pulls(loads, p, u, pull)
    if k == 0:
        for j in range(1 + new + n_kappa):
            state[j, 0], state[j, 1], state[j, 2] = 0.0, 0.0, 0.0
        return True
    s1, s2, s3 = math.sqrt(p[V1]), math.sqrt(p[V2]), math.sqrt(p[V3])
    a, b, c = state[0, 0] / s1, state[0, 1] / s2, state[0, 2] / s3
    state[0, 0], state[0, 1], state[0, 2] = _columns(u, a, b, c)
    for j in range(new + n_kappa if slopes else 0):
        if j < new:
            da, db, dc = state[1 + j, 0] / s1, state[1 + j, 1] / s2, state[1 + j, 2] / s3
        else:
            i = n_eta + j - new
            da, db, dc = (
                -0.5 * loads[V1, i] * a, -0.5 * loads[V2, i] * b, -0.5 * loads[V3, i] * c
            )  # fmt: skip
        state[1 + j, 0], state[1 + j, 1], state[1 + j, 2] = _columns(u, da, db, dc)
    return True


@_part
def _gain(rate: float, h: float) -> float:
    """Integral of exp(-rate s) over a step of h hours."""
    return -math.expm1(-rate * h) / rate if rate * h > 0.0 else h


@_part
def _convolution(lo: float, hi: float, e_lo: float, e_hi: float, h: float) -> float:
    """Integral of exp(-hi (h - s)) exp(-lo s) over a step of h hours; lo <= hi."""
    gap = hi - lo
    if gap * h > 0.5:
        return (e_lo - e_hi) / gap
    return e_lo * h if gap == 0.0 else e_lo * -math.expm1(-gap * h) / gap


@_part
def _convolution_of_gain(lo: float, hi: float, gain_lo: float, e: float, h: float) -> float:
    """Integral of exp(-hi (h - s)) (1 - exp(-lo s)) / lo; e is the `_convolution`."""
    if hi * h > 0.05:
        return (gain_lo - e) / hi
    x, y = lo * h, hi * h  # a series, where the difference would lose digits
    total, symmetric, power, factor = 0.0, 1.0, 1.0, 0.5
    for n in range(8):
        total += factor * symmetric
        power *= x
        symmetric = symmetric * y + power
        factor /= -(n + 3.0)
    return h * h * total


@_part
def _step_forward(
    drive: float, h: float, loads: F8, n_eta: int, together: bool, k: int, slopes: bool,
    lam: F8, u: F8, state: F8, pull: F8, blend: F8,
) -> None:  # fmt: skip
    """State and derivatives after h hours of occasion k; `drive` as in `_advance`.

    The derivatives follow dy/ds = -Lam y - U' dM U z + db: variation of constants gives integrals
    of two exponentials, smooth where rates are equal, so eigenvectors are never differentiated.
    """
    e = (math.exp(-lam[0] * h), math.exp(-lam[1] * h), math.exp(-lam[2] * h))
    gain = (0.0, 0.0, 0.0)
    if drive != 0.0:
        gain = (_gain(lam[0], h), _gain(lam[1], h), _gain(lam[2], h))
    if slopes:
        n_kappa = loads.shape[1] - n_eta
        first = n_eta + k * n_kappa
        for a in range(0 if together else 3):
            for b in range(a + 1):
                lo, hi = (a, b) if lam[a] <= lam[b] else (b, a)
                mixed = _convolution(lam[lo], lam[hi], e[lo], e[hi], h)
                driven = 0.0
                if drive != 0.0:
                    driven = drive * _convolution_of_gain(lam[lo], lam[hi], gain[lo], mixed, h)
                blend[a, b] = mixed * state[0, b] + driven * u[0, b]
                blend[b, a] = mixed * state[0, a] + driven * u[0, a]
        for a in range(3 if together else 0):  # U' dM U is diagonal
            mixed, driven = e[a] * h, 0.0
            if drive != 0.0:
                driven = drive * _convolution_of_gain(lam[a], lam[a], gain[a], mixed, h)
            blend[a, a] = mixed * state[0, a] + driven * u[0, a]
        for j in range(first + n_kappa):
            if n_eta <= j < first:  # a kappa of an earlier occasion
                for a in range(3):
                    state[1 + j, a] *= e[a]
                continue
            i = j if j < n_eta else n_eta + j - first
            v = 0.5 * loads[V1, i] * drive
            if together:
                for a in range(3):
                    state[1 + j, a] = (
                        state[1 + j, a] * e[a] - pull[i, a, a] * blend[a, a] - v * u[0, a] * gain[a]
                    )
            else:
                for a in range(3):
                    state[1 + j, a] = (
                        state[1 + j, a] * e[a]
                        - pull[i, a, 0] * blend[a, 0]
                        - pull[i, a, 1] * blend[a, 1]
                        - pull[i, a, 2] * blend[a, 2]
                        - v * u[0, a] * gain[a]
                    )
    for a in range(3):
        state[0, a] = state[0, a] * e[a] + drive * u[0, a] * gain[a]


@_part
def _concentration(
    loads: F8, n_eta: int, k: int, slopes: bool, p: F8, u: F8, state: F8, slope: F8
) -> float:
    """Concentration on occasion k, and its derivatives into `slope`."""
    w = 1.0 / math.sqrt(p[V1])
    w1, w2, w3 = w * u[0, 0], w * u[0, 1], w * u[0, 2]
    f = w1 * state[0, 0] + w2 * state[0, 1] + w3 * state[0, 2]
    if slopes:
        n_kappa = loads.shape[1] - n_eta
        first = n_eta + k * n_kappa
        for j in range(first + n_kappa):
            slope[j] = w1 * state[1 + j, 0] + w2 * state[1 + j, 1] + w3 * state[1 + j, 2]
            if j < n_eta:
                slope[j] -= 0.5 * loads[V1, j] * f
            elif j >= first:
                slope[j] -= 0.5 * loads[V1, n_eta + j - first] * f
    return f


@_part
def _objective(
    i: int, subjects: _Subjects, x: F8, known: int, space: _Space, gradient: F8, curvature: F8
) -> float:
    """-2 log posterior of subject i at normals x, infinite where it is not defined.

    Also its gradient and Fisher's expected curvature (lower triangle), unless `gradient` is empty.
    """
    tv, loads, n_eta = subjects.tv, subjects.loads, subjects.n_eta
    doses, levels, error = subjects.doses, subjects.levels, subjects.error
    return _walk(
        i % tv.shape[0], i % doses.shape[0], i % levels.shape[0], tv, loads, n_eta, doses, levels,
        error, subjects.together, x, known, space.p, space.typical_lam, space.lam, space.u,
        space.state, space.pull, space.blend, space.slope, space.predicted, gradient, curvature,
    )  # fmt: skip


@_part
def _walk(
    row: int, course: int, sample: int, tv: F8, loads: F8, n_eta: int, doses: F8, levels: F8,
    error: F8, together: bool, x: F8, known: int, p: F8, typical_lam: F8, lam: F8, u: F8,
    state: F8, pull: F8, blend: F8, slope: F8, predicted: F8, gradient: F8, curvature: F8,
) -> float:  # fmt: skip
    """`_objective`, from event to event."""
    n_kappa, slopes = loads.shape[1] - n_eta, gradient.shape[0] > 0
    total = 0.0
    for j in range(n_eta + known * n_kappa):
        total += x[j] * x[j]
        if slopes:
            gradient[j] = 2.0 * x[j]
            for r in range(j):
                curvature[j, r] = 0.0
            curvature[j, j] = 2.0
    m = levels.shape[2]
    t = 0
    while t < m and levels[sample, 0, t] <= doses[course, 0, 0]:
        predicted[t] = 0.0
        total += _level(0.0, levels[sample, 1, t], levels[sample, 2, t], error)[0]
        t += 1
    for k in range(known):
        if (k == 0 or n_kappa > 0) and not _begin_occasion(
            row, tv, loads, n_eta, together, x, k, slopes, p, typical_lam, lam, u, state, pull
        ):
            return np.inf
        now = doses[course, 0, k]
        stop = doses[course, 0, k + 1] if k + 1 < doses.shape[2] else np.inf
        end = min(now + doses[course, 1, k], stop)
        drive = doses[course, 2, k] / doses[course, 1, k] / math.sqrt(p[V1])
        while True:
            if now >= end:
                drive = 0.0
            until = end if now < end else stop
            is_level = t < m and levels[sample, 0, t] <= until
            if is_level:
                until = levels[sample, 0, t]
            elif now >= stop or (until == stop and k == known - 1):
                break
            if until > now:
                _step_forward(
                    drive, until - now, loads, n_eta, together, k, slopes,
                    lam, u, state, pull, blend,
                )  # fmt: skip
                now = until
            if is_level:
                f = _concentration(loads, n_eta, k, slopes, p, u, state, slope)
                predicted[t] = f
                value, df, ddf = _level(f, levels[sample, 1, t], levels[sample, 2, t], error)
                total += value
                for j in range(n_eta + (k + 1) * n_kappa if slopes else 0):
                    gradient[j] += df * slope[j]
                    for r in range(j + 1):
                        curvature[j, r] += ddf * slope[j] * slope[r]
                t += 1
    return total if total < np.inf else np.inf  # NaN, too


@_part
def _known_occasions(i: int, doses: F8, levels: F8) -> int:
    """How many occasions have begun before the last level."""
    course, sample = i % doses.shape[0], i % levels.shape[0]
    known = 0
    for k in range(doses.shape[2]):
        for t in range(levels.shape[2]):
            if doses[course, 0, k] < levels[sample, 0, t]:
                known = k + 1
    return known


@_part
def _misfit_limit(i: int, levels: F8, error: F8) -> float:
    """The objective from which a fit is so poor that a better minimum may be elsewhere.

    A fit without residuals and effects is as low as it gets, or nearly. Above that the objective is
    about a chi-square of as many degrees of freedom as levels; the limit is its mean and four SD.
    """
    sample, n, total = i % levels.shape[0], 0, 0.0
    for t in range(levels.shape[2]):
        y = levels[sample, 1, t]
        if not math.isnan(levels[sample, 0, t]):
            n += 1
            if not math.isnan(y):
                total += _level(y, y, y, error)[0]
    return total + n + 4.0 * math.sqrt(2.0 * n)


@_part
def _root(matrix: F8, damping: float, d: int, out: F8) -> bool:
    """Cholesky factor of a symmetric matrix plus damping; False if it is not positive definite."""
    for j in range(d):
        for i in range(j, d):
            total = matrix[i, j] + damping if i == j else matrix[i, j]
            for r in range(j):
                total -= out[i, r] * out[j, r]
            if i == j:
                if not (total > 0.0 and total < np.inf):
                    return False
                out[j, j] = math.sqrt(total)
            else:
                out[i, j] = total / out[j, j]
    return True


@_part
def _solve(root: F8, b: F8, d: int, out: F8) -> None:
    """-matrix^-1 b by the Cholesky factor of the matrix."""
    for i in range(d):
        total = -b[i]
        for r in range(i):
            total -= root[i, r] * out[r]
        out[i] = total / root[i, i]
    for i in range(d - 1, -1, -1):
        total = out[i]
        for r in range(i + 1, d):
            total -= root[r, i] * out[r]
        out[i] = total / root[i, i]


@_part
def _quadratic(matrix: F8, v: F8, d: int) -> float:
    """v' matrix v of a lower triangle."""
    total = 0.0
    for i in range(d):
        for j in range(i):
            total += 2.0 * v[i] * matrix[i, j] * v[j]
        total += v[i] * matrix[i, i] * v[i]
    return total


@_part
def _exact_curvature(i: int, subjects: _Subjects, known: int, d: int, w: _Space) -> None:
    """Second derivatives at `x`, where the gradient is known: differences of the exact gradient."""
    x, trial, step, root = w.x, w.trial, w.step, w.root
    gradient, curvature = w.gradient, w.curvature
    new_gradient, new_curvature = w.new_gradient, w.new_curvature
    for j in range(d):
        trial[j] = x[j]
        step[j] = 1e-5 * math.sqrt(2.0 / max(2.0, curvature[j, j]))
    for j in range(d):
        trial[j] = x[j] + step[j]
        _objective(i, subjects, trial, known, w, new_gradient, new_curvature)
        for r in range(d):
            root[j, r] = (new_gradient[r] - gradient[r]) / step[j]
        trial[j] = x[j]
    for j in range(d):
        for r in range(j + 1):
            curvature[j, r] = 0.5 * (root[j, r] + root[r, j])


@_part
def _descend(
    i: int, subjects: _Subjects, known: int, d: int, best: float, at: F8, around: F8, w: _Space
) -> tuple[float, int, bool]:
    """Go down from `x` to a minimum; stop if that is the one found before at `at`.

    Steps are those of Fisher scoring with Levenberg's damping; the last ones use the exact second
    derivatives, left in `curvature`. The objective never rises.

    Returns
    -------
    value, evaluations, whether it converged
    """
    x, trial, step, root = w.x, w.trial, w.step, w.root
    gradient, curvature = w.gradient, w.curvature
    new_gradient, new_curvature = w.new_gradient, w.new_curvature
    value = _objective(i, subjects, x, known, w, gradient, curvature)
    evaluations = 1
    if not value < np.inf:
        return value, evaluations, False
    damping, exact, moved = 0.0, False, True
    for iteration in range(MAX_ITERATIONS):
        exact = exact or iteration >= FISHER_ITERATIONS
        if exact and moved:
            _exact_curvature(i, subjects, known, d, w)
            evaluations += d
            moved = False
        largest = 0.0
        for j in range(d):
            largest = max(largest, abs(curvature[j, j]))
        while not _root(curvature, damping, d, root):
            damping = max(4.0 * damping, 1e-3 * largest)
            if not damping < 1e12 * largest:
                return value, evaluations, False
        _solve(root, gradient, d, step)
        slope, length = 0.0, 0.0
        for j in range(d):
            slope += gradient[j] * step[j]
            length += step[j] * step[j]
        near = damping == 0.0 and -slope < NEAR
        if near and not exact:
            exact = True
            continue
        shrink = min(1.0, MAX_STEP / math.sqrt(length)) if length > 0.0 else 1.0
        for j in range(d):
            step[j] *= shrink
            trial[j] = x[j] + step[j]
        new = _objective(i, subjects, trial, known, w, new_gradient, new_curvature)
        evaluations += 1
        if near:
            if new <= value:
                value = new
                for j in range(d):
                    x[j] = trial[j]
            return value, evaluations, True
        expected = -shrink * slope - 0.5 * _quadratic(curvature, step, d)
        if new < value:
            damping = 0.1 * damping if value - new > 0.25 * expected else 2.0 * damping
            if damping < 0.1:
                damping = 0.0
            value, moved = new, True
            for j in range(d):
                x[j], gradient[j] = trial[j], new_gradient[j]
                for r in range(j + 1):
                    curvature[j, r] = new_curvature[j, r]
            if best < np.inf and value >= best:
                for j in range(d):
                    step[j] = x[j] - at[j]
                if _quadratic(around, step, d) < JOINED:
                    return value, evaluations, False
        else:
            damping = max(10.0 * damping, 0.01 * largest)
            if damping > 1e12 * largest:
                break
    return value, evaluations, False


@_kernel
def log_posterior(
    tv: F8, loads: F8, n_eta: int, doses: F8, levels: F8, error: F8, x: F8, gradient: F8
) -> F8:
    """-2 log posterior density of given effects.

    Parameters
    ----------
    tv, loads, n_eta, doses, levels, error
        As in `map_estimates`; one row stands for all.
    x : (n, n_eta + doses * n_kappa)
        Standard normals of eta, then of each occasion. Those of occasions that begin after the
        last level are not looked at.
    gradient : (n, n_eta + doses * n_kappa) or (0, 0)
        Written: the derivatives; not computed if (0, 0).

    Returns
    -------
    (n,)
        As `objective` of `map_estimates`; infinite where the effects are impossible.
    """
    together = _flows_and_volumes_move_together(loads)
    subjects = _Subjects(tv, loads, n_eta, doses, levels, error, together)
    w = _space(subjects)
    n = x.shape[0]
    out = np.empty(n)
    derivatives = w.gradient[: gradient.shape[1]]
    for i in range(n):
        known = _known_occasions(i, doses, levels)
        d = n_eta + known * (loads.shape[1] - n_eta)
        out[i] = np.inf
        if (i > 0 and tv.shape[0] == 1) or _begin_subject(i, subjects, w):
            out[i] = _objective(i, subjects, x[i], known, w, derivatives, w.curvature)
        for j in range(gradient.shape[1]):
            gradient[i, j] = derivatives[j] if j < d else 0.0
    return out


@_kernel
def map_estimates(
    tv: F8, loads: F8, n_eta: int, doses: F8, levels: F8, error: F8, starts: F8
) -> tuple[F8, F8, F8, F8, I8, Status]:
    """Most likely random effects of every subject, given levels.

    Parameters
    ----------
    tv : (n or 1, 6)
        Typical parameters.
    loads : (6, n_eta + n_kappa)
        Loadings of standard normals, that is loadings times Cholesky factor: etas, then kappas.
    n_eta : int
    doses : (n or 1, 3, doses)
        Start (h), duration (h) and amount (mg); ordered, not overlapping. Later doses of 0 mg may
        fill a row.
    levels : (n, 3, m)
        Time (h), ascending; concentration (mg/L), NaN if below the limit; limit of quantification
        (mg/L), of which only those of levels below it count. Times of NaN fill a row.
    error : (3,)
        Proportional, additive (mg/L) and log-scale residual SD; the last excludes the others.
    starts : (s, n_eta)
        Standard normals of eta from which to search, usually zero first. If the first fails or fits
        poorly (see `_misfit_limit`), every start is tried with a detour: first to the minimum with
        an error of constant SD on the log scale, which pulls from afar where a proportional error
        is flat. The lowest minimum found counts.

    Returns
    -------
    x : (n, n_eta + doses * n_kappa)
        Standard normals of eta, then of each occasion; zero for occasions after the last level.
    objective : (n,)
        -2 log posterior: for a level log(v) + r^2/v, or -2 log Phi((limit - f)/sd), or their
        counterparts on the log scale, plus the sum of squares of x. Left out are log(2 pi) of each
        level with a number, twice its logarithm on the log scale, and the constants of the prior.
    covariance : (n, d, d)
        Of x, by Laplace: twice the inverse of the exact second derivatives of the objective, which
        only at a minimum are positive definite (the expected ones always are).
    predicted : (n, m)
        mg/L at x; NaN where there is no level.
    evaluations : (n,)
    status : (n,)
        `OK`, `BAD_PARAMETER`, `BAD_LEVEL` or `NOT_CONVERGED`; all but the first give NaN.
    """
    together = _flows_and_volumes_move_together(loads)
    subjects = _Subjects(tv, loads, n_eta, doses, levels, error, together)
    w = _space(subjects)
    n, m = levels.shape[0], levels.shape[2]
    size, n_kappa = w.x.shape[0], loads.shape[1] - n_eta
    x, objective = np.empty((n, size)), np.empty(n)
    covariance, predicted = np.empty((n, size, size)), np.empty((n, m))
    evaluations, status = np.zeros(n, np.int64), np.empty(n, np.int8)
    curvature = np.empty((size, size))
    log_error = np.array([0.0, 0.0, max(error[0], error[2], DETOUR_SD)])
    detour = _Subjects(tv, loads, n_eta, doses, levels, log_error, together)
    here, at_mode, column, solved = w.x, w.predicted, w.gradient, w.step
    found, root, spare, room = w.curvature, w.root, w.new_gradient, w.new_curvature
    for i in range(n):
        known = _known_occasions(i, doses, levels)
        d = n_eta + known * n_kappa
        best = np.inf
        status[i] = BAD_LEVEL if _begin_subject(i, subjects, w) else BAD_PARAMETER
        for search in range(1 + 2 * starts.shape[0] if status[i] == BAD_LEVEL else 0):
            if search == 1 and best < _misfit_limit(i, levels, error):
                break
            is_detour = search % 2 == 1
            for j in range(d if search == 0 or is_detour else 0):
                here[j] = starts[search // 2, j] if j < n_eta else 0.0
            value, cost, converged = _descend(
                i, detour if is_detour else subjects, known, d, np.inf if is_detour else best,
                x[i], curvature, w,
            )  # fmt: skip
            evaluations[i] += cost
            if value < np.inf and status[i] == BAD_LEVEL and not is_detour:
                status[i] = NOT_CONVERGED
            if converged and value < best and not is_detour:
                best = value
                for j in range(d):
                    x[i, j] = here[j]
                    for r in range(j + 1):
                        curvature[j, r] = found[j, r]
        if best < np.inf:
            status[i] = OK
            _objective(i, subjects, x[i], known, w, spare, room)
            _root(curvature, 0.0, d, root)
        ok = status[i] == OK
        objective[i] = best if ok else np.nan
        for t in range(m):
            predicted[i, t] = np.nan if np.isnan(levels[i, 0, t]) or not ok else at_mode[t]
        for j in range(size):
            if not ok:
                x[i, j] = np.nan
            elif j >= d:
                x[i, j] = 0.0
            for r in range(size):
                column[r] = -2.0 if r == j else 0.0
            if ok and j < d:
                _solve(root, column, d, solved)
            for r in range(size):
                prior = 1.0 if j == r else 0.0
                covariance[i, j, r] = solved[r] if j < d and r < d else prior
                if not ok:
                    covariance[i, j, r] = np.nan
    return x, objective, covariance, predicted, evaluations, status
