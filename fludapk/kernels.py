"""Every compiled function, and nothing else but what makes their arrays.

The kernels know nothing of patients, papers or units beyond h, mg, L and mg/L. They take float64
and int64 arrays in C order, trust them, never raise, draw no random numbers and give the same bits
for the same input. They release the interpreter lock, so callers may run blocks of subjects in
threads. A kernel makes no array: the public function beside it hands it those to write into.

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
    """A function that only kernels call, never Python: it has no entry for that.

    It makes no array, so it need not count references.
    """
    return _compiled(function, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _kernel(function: _Function) -> _Function:
    """A function that Python calls: compiled likewise, and kept on disk."""
    return cache.kept(_compiled(function, _nrt=False, no_cfunc_wrapper=True))


def _inlined(function: _Function) -> _Function:
    """A part put into its caller before anything else.

    So must be the parts of a loop over lanes, or it is not vectorised; and a part that is called
    often and at one place, because each array costs seven words of every call.
    """
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
    return cache.folder(_courses)


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
    n, size = covariates.shape[0], terms.shape[0] + effects.shape[0]
    tv, renal, status = np.empty((n, 6)), np.empty(n), np.zeros(n, np.int8)
    _typical_values(
        theta, terms, effects, levels, is_micro, covariates, np.empty(size),
        np.empty(effects.shape[0], np.int64), tv, renal, status,
    )  # fmt: skip
    return tv, renal, status


@_kernel
def _typical_values(
    theta: F8, terms: I8, effects: I8, levels: I8, is_micro: int, covariates: F8, w: F8,
    first: I8, tv: F8, renal: F8, status: Status,
) -> None:  # fmt: skip
    """`typical_values`, into the last three; `w` has room for a factor per effect and term."""
    n_effects = effects.shape[0]
    _find_first_alike(theta, effects, first)
    for i in range(covariates.shape[0]):
        for t in range(terms.shape[0]):
            w[n_effects + t] = theta[terms[t, 1]] if terms[t, 1] >= 0 else 1.0
        for e in range(n_effects):
            if first[e] < e:
                w[e] = w[first[e]]
            else:
                w[e] = _effect(
                    theta, effects[e, 2], effects[e, 4], effects[e, 5], levels,
                    covariates[i, effects[e, 3]],
                )  # fmt: skip
            if effects[e, 0] == ON_TERM:
                w[n_effects + effects[e, 1]] *= w[e]
        for p in range(6):
            tv[i, p] = 0.0
        renal_sum = 0.0
        for t in range(terms.shape[0]):
            tv[i, terms[t, 0]] += w[n_effects + t]
            if terms[t, 2] == 1:
                renal_sum += w[n_effects + t]
        renal[i] = renal_sum / tv[i, CL]
        for e in range(n_effects):
            if effects[e, 0] == ON_PARAMETER:
                tv[i, effects[e, 1]] *= w[e]
        for q in range(Q2, 6, 2):
            if is_micro == 1 and tv[i, q] > 0.0:
                tv[i, q] *= tv[i, V1]
                tv[i, q + 1] = tv[i, q] / tv[i, q + 1]
            if tv[i, q] == 0.0 and tv[i, q + 1] == 0.0:
                tv[i, q + 1] = 1.0
        if not _valid(tv[i]):
            status[i] = BAD_PARAMETER
            for p in range(6):
                tv[i, p] = np.nan


@_part
def _find_first_alike(theta: F8, effects: I8, first: I8) -> None:
    """The first effect of the same value as each, as the powers of weight on CL, Q2 and Q3."""
    for e in range(effects.shape[0]):
        first[e] = e
        for f in range(e - 1, -1, -1):
            alike = effects[e, 2] == effects[f, 2] and effects[e, 3] == effects[f, 3]
            if alike and effects[e, 2] == CATEGORY:
                alike = effects[e, 4] == effects[f, 4]
            elif alike:
                alike = theta[effects[e, 4]] == theta[effects[f, 4]]
                alike = alike and theta[effects[e, 5]] == theta[effects[f, 5]]
            if alike:
                first[e] = f


@_part
def _effect(theta: F8, kind: int, a_at: int, b_at: int, levels: I8, x: float) -> float:
    """Factor of a covariate of value x."""
    if math.isnan(x):
        return np.nan
    if kind == CATEGORY:
        return theta[levels[a_at + int(x)]]
    a, b = theta[a_at], theta[b_at]
    if kind == POWER:
        return x / a if b == 1.0 else (x / a) ** b
    if kind == LINEAR:
        return 1.0 + b * (x - a)
    if kind == EXPONENTIAL:
        return math.exp(b * (x - a))
    return x**b / (a**b + x**b)


@_part
def _valid(p: F8) -> bool:
    """Whether parameters are finite and positive; flows to a peripheral one may be zero."""
    ok = True
    for q in range(6):
        ok = ok and _allowed(q, p[q])
    return ok


@_part
def _allowed(q: int, value: float) -> bool:
    return (value > 0.0 or (value == 0.0 and q % 2 == 0 and q != CL)) and value < np.inf


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
    _individual_parameters(tv, load_eta, eta, load_kappa, kappa, out)
    return out


@_kernel
def _individual_parameters(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, out: F8
) -> None:
    for i in range(out.shape[0]):
        for p in range(6):
            typical = tv[_row(i, tv.shape[0]), p]
            shift = _shift(p, load_eta, eta, _row(i, eta.shape[0]))
            me = _row(i, kappa.shape[0])
            for k in range(out.shape[1]):
                exponent = shift + _shift_on(p, load_kappa, kappa, me, k)
                out[i, k, p] = typical * math.exp(exponent) if exponent != 0.0 else typical


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
    negligible = _ROUNDING * a * a
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
# Loops are short, because the processor then works at several turns of them at once.

LANES: Final = 32

_BASE, _P, _FACTOR = (row * LANES for row in (0, 6, 12))
_LAM, _OFF, _U, _BODY, _PUSH = (row * LANES for row in (18, 21, 24, 33, 36))
_TYPICAL, _Z, _END, _AMOUNTS, _RATE, _WEIGHT = (row * LANES for row in (39, 48, 51, 54, 57, 60))
_AT: Final = 63 * LANES
(
    _FLOW, _VOLUME, _DOSE, _CLEARANCE, _CONC, _TROUGH, _BEFORE, _WHOLE, _AREA, _TOTAL, _PEAK,
    _USABLE, _NEGLIGIBLE,
) = (row * LANES for row in range(66, 79))  # fmt: skip
_WAITS: Final = 79 * LANES
"""From here on what is left of the state, and what one mg/h adds, after each of these waits."""
_WAIT: Final = 6 * LANES
_INFUSION, _MOMENT, _REST, _LEAD, _STRIDE = range(5)
"""An infusion; a time within; from its end to the next dose, and to the first time; a grid's."""
_WORKSPACE: Final = _WAITS + 5 * _WAIT

_STEPS: Final = 32
"""Times for which a subject's three exponentials are kept at once."""

_ROUNDING: Final = 1e-34
"""Square of what is nothing beside the largest rate."""
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


@_inlined
def _exp_parts(x: float) -> tuple[float, float]:
    """Expm1 of a remainder and a power of two: exp(x) = (1 + first) second, x within +-708."""
    shifted = x * _LOG2_E + _TO_INTEGER
    k = shifted - _TO_INTEGER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    s = r * r  # two polynomials in the square: their chains of products are worked at together
    even = 1.0 / 479001600.0
    odd = 1.0 / 6227020800.0
    even = even * s + 1.0 / 3628800.0
    odd = odd * s + 1.0 / 39916800.0
    even = even * s + 1.0 / 40320.0
    odd = odd * s + 1.0 / 362880.0
    even = even * s + 1.0 / 720.0
    odd = odd * s + 1.0 / 5040.0
    even = even * s + 1.0 / 24.0
    odd = odd * s + 1.0 / 120.0
    even = even * s + 0.5
    odd = odd * s + 1.0 / 6.0
    return r + s * (even + r * odd), _power_of_2(shifted)


@_part
def _exp_rows(w: F8, first: int, last: int) -> None:
    """Exponentials, in place."""
    for x in range(first, last):
        p, power = _exp_parts(min(max(w[x], -708.0), 708.0))
        value = power * p + power
        w[x] = 0.0 if w[x] < -708.0 else np.inf if w[x] > 708.0 else value


@_part
def _wait(w: F8, hours: F8, done: F8) -> None:
    """What each wait leaves of the state and, if drug is given meanwhile, adds; if not yet known.

    Waits of NaN hours are not needed.
    """
    for wait in range(hours.shape[0]):
        h, to = hours[wait], _WAITS + wait * _WAIT
        if math.isnan(h) or h == done[wait]:
            continue
        done[wait] = h
        for x in range(3 * LANES):
            rate = w[_RATE + x]
            p, power = _exp_parts(max(-rate * h, -708.0))
            w[to + x] = power * p + power
            w[to + 3 * LANES + x] = -(power * p + (power - 1.0))
        for x in range(3 * LANES if wait <= _MOMENT else 0):
            rate, loss = w[_RATE + x], w[to + 3 * LANES + x]
            tiny = rate * h < 1e-300
            w[to + 3 * LANES + x] = h if tiny else loss / (1.0 if tiny else rate)


@_part
def _together(loads: F8) -> bool:
    """One factor on all flows and one on all volumes: the eigenvectors never change."""
    for j in range(loads.shape[1]):
        for q in range(Q2, 6):
            if loads[q, j] != loads[q % 2, j]:
                return False
    return True


@_inlined
def _rotate_lane(
    w: F8, j: int, a: int, b: int, off: int, left: int, right: int
) -> tuple[float, float]:
    """Make [[a, off], [off, b]] diagonal, turning two columns of U; the cosine and the sine."""
    d, rest = w[b + j] - w[a + j], w[off + j]
    idle = rest * rest <= w[_NEGLIGIBLE + j]
    reach = abs(d) + math.sqrt(d * d + 4.0 * rest * rest)
    t = 0.0 if idle else 2.0 * rest / (1.0 if idle else reach)
    t = t if d >= 0.0 else -t
    co = 1.0 / math.sqrt(1.0 + t * t)
    si = t * co
    w[a + j] -= t * rest
    w[b + j] += t * rest
    for i in range(3):
        x, y = _U + (3 * i + left) * LANES + j, _U + (3 * i + right) * LANES + j
        w[x], w[y] = co * w[x] - si * w[y], si * w[x] + co * w[y]
    return co, si


@_part
def _sweep_lanes(w: F8) -> bool:
    """Rotate away each entry beside the diagonal once; False if every lane was done before.

    At the start and at the end the entry of the two peripheral compartments is zero. A lane that is
    done is not changed, so that what becomes of it does not depend on the others.
    """
    a, b, c = _LAM, _LAM + LANES, _LAM + 2 * LANES
    ab, ac, bc = _OFF, _OFF + LANES, _OFF + 2 * LANES
    busy = False
    for j in range(LANES):
        rest = w[ab + j] * w[ab + j] + w[ac + j] * w[ac + j]
        busy = busy or rest > w[_NEGLIGIBLE + j]
    if not busy:
        return False
    for j in range(LANES):
        co, si = _rotate_lane(w, j, a, b, ab, 0, 1)
        w[bc + j] = si * w[ac + j]
        w[ac + j] *= co
    for j in range(LANES):
        co, si = _rotate_lane(w, j, a, c, ac, 0, 2)
        w[ab + j] = -si * w[bc + j]
        w[bc + j] *= co
    for j in range(LANES):
        co, si = _rotate_lane(w, j, b, c, bc, 1, 2)
        w[ac + j] = si * w[ab + j]
        w[ab + j] *= co
    return True


@_part
def _decompose_lanes(w: F8) -> None:
    """Rates and eigenvectors U of M in every lane, and the weights of z.

    These are what makes z an amount, and what an infusion adds to it per mg. Jacobi rotations are
    accurate for equal rates, too; they converge quadratically, in four or five sweeps.
    """
    for j in range(LANES):
        v1, v2, v3 = w[_P + LANES + j], w[_P + 3 * LANES + j], w[_P + 5 * LANES + j]
        q2, q3 = w[_P + 2 * LANES + j], w[_P + 4 * LANES + j]
        a = (w[_P + j] + q2 + q3) / v1
        w[_LAM + j], w[_LAM + LANES + j], w[_LAM + 2 * LANES + j] = a, q2 / v2, q3 / v3
        w[_OFF + j], w[_OFF + LANES + j] = -q2 / math.sqrt(v1 * v2), -q3 / math.sqrt(v1 * v3)
        w[_NEGLIGIBLE + j] = _ROUNDING * a * a
    for x in range(9 * LANES):
        w[_U + x] = 0.0
    for j in range(LANES):
        w[_U + j] = w[_U + 4 * LANES + j] = w[_U + 8 * LANES + j] = 1.0
    for _ in range(12):
        if not _sweep_lanes(w):
            break
    for j in range(LANES):
        s1 = math.sqrt(w[_P + LANES + j])
        s2 = math.sqrt(w[_P + 3 * LANES + j])
        s3 = math.sqrt(w[_P + 5 * LANES + j])
        for q in range(3):
            x = q * LANES + j
            w[_LAM + x] = max(w[_LAM + x], 0.0)
            w[_BODY + x] = s1 * w[_U + x] + s2 * w[_U + 3 * LANES + x] + s3 * w[_U + 6 * LANES + x]
            w[_PUSH + x] = w[_U + x] / s1


@_part
def _use_lanes(w: F8) -> None:
    """Mark lanes with a parameter that is not finite and positive, and give them others."""
    for j in range(LANES):
        usable = True
        for q in range(6):
            usable = usable and _allowed(q, w[_P + q * LANES + j])
        if not usable:
            w[_USABLE + j] = 0.0
            for q in range(6):
                w[_P + q * LANES + j] = 1.0


@_part
def _enter_lanes(
    first: int, n: int, tv: F8, load_eta: F8, eta: F8, eta_together: bool, shared: bool, w: F8
) -> None:
    """Parameters of subjects `first` and on into lanes; those beyond the last subject repeat it.

    `eta_together`: etas are one factor on all flows and one on all volumes. `shared`: and typical
    values are the same for everybody, already decomposed.
    """
    factors = 2 if eta_together else 6
    for j in range(LANES):
        me = _row(min(first + j, n - 1), eta.shape[0])
        for q in range(factors):
            w[_FACTOR + q * LANES + j] = _shift(q, load_eta, eta, me)
    if eta.shape[1] > 0:
        _exp_rows(w, _FACTOR, _FACTOR + factors * LANES)
    else:
        for x in range(factors * LANES):
            w[_FACTOR + x] = 1.0
    for j in range(LANES):
        i = _row(min(first + j, n - 1), tv.shape[0])
        for q in range(6):
            w[_P + q * LANES + j] = tv[i, q] * w[_FACTOR + q % factors * LANES + j]
        w[_USABLE + j] = 1.0
        w[_TOTAL + j] = w[_PEAK + j] = w[_CONC + j] = w[_BEFORE + j] = 0.0
    _use_lanes(w)
    for x in range(6 * LANES):
        w[_BASE + x] = w[_P + x]
    for x in range(3 * LANES):
        w[_Z + x] = w[_AMOUNTS + x] = 0.0
    if shared:
        for j in range(LANES):
            flow, volume = w[_FACTOR + j], w[_FACTOR + LANES + j]
            size = math.sqrt(volume)
            for q in range(3):
                x = q * LANES + j
                w[_LAM + x] = w[_TYPICAL + x] * (flow / volume)
                w[_BODY + x] = w[_TYPICAL + 3 * LANES + x] * size
                w[_PUSH + x] = w[_TYPICAL + 6 * LANES + x] / size


@_part
def _enter_typical(tv: F8, w: F8) -> None:
    """Decompose typical values that serve every subject."""
    for q in range(6):
        for j in range(LANES):
            w[_P + q * LANES + j] = tv[0, q]
    _use_lanes(w)
    _decompose_lanes(w)
    for x in range(3 * LANES):
        w[_TYPICAL + x] = w[_LAM + x]
        w[_TYPICAL + 3 * LANES + x] = w[_BODY + x]
        w[_TYPICAL + 6 * LANES + x] = w[_PUSH + x]


@_part
def _begin_occasion_lanes(
    first: int, n: int, k: int, together: bool, load_kappa: F8, kappa: F8, amount: F8, w: F8
) -> None:
    """Parameters, dose, rates and state of occasion k; `_WEIGHT` makes z a concentration.

    If kappas move flows and volumes `together`, z stays in the basis of the subject without kappa,
    where amounts, and so z, are continuous; only rates and concentrations are scaled.
    """
    factors = 2 if together else 6
    for j in range(LANES):
        i = min(first + j, n - 1)
        w[_DOSE + j] = amount[_row(i, amount.shape[0]), k]
        w[_FLOW + j] = w[_VOLUME + j] = 1.0
        me = _row(i, kappa.shape[0])
        for q in range(factors):
            w[_FACTOR + q * LANES + j] = _shift_on(q, load_kappa, kappa, me, k)
    if kappa.shape[2] > 0:
        _exp_rows(w, _FACTOR, _FACTOR + factors * LANES)
    if not together:
        for x in range(6 * LANES):
            w[_P + x] = w[_BASE + x] * w[_FACTOR + x]
        _use_lanes(w)
        _decompose_lanes(w)
        for j in range(LANES):
            for q in range(3):
                z = 0.0
                for i in range(3):
                    x = w[_AMOUNTS + i * LANES + j] / math.sqrt(w[_P + (2 * i + 1) * LANES + j])
                    z += w[_U + (3 * i + q) * LANES + j] * x
                w[_Z + q * LANES + j] = z
    elif kappa.shape[2] > 0:
        for j in range(LANES):
            flow, volume = w[_FACTOR + j], w[_FACTOR + LANES + j]
            most = max(w[_BASE + j], w[_BASE + 2 * LANES + j], w[_BASE + 4 * LANES + j]) * flow
            v1, v2 = w[_BASE + LANES + j], w[_BASE + 3 * LANES + j]
            v3 = w[_BASE + 5 * LANES + j]
            most, least = max(most, max(v1, v2, v3) * volume), min(v1, v2, v3) * volume
            usable = (w[_BASE + j] * flow > 0.0) & (least > 0.0) & (most < np.inf)
            w[_USABLE + j] = w[_USABLE + j] if usable else 0.0
            w[_FLOW + j] = flow if usable else 1.0
            w[_VOLUME + j] = volume if usable else 1.0
    for j in range(LANES):
        share = 1.0 / w[_VOLUME + j]
        pace = w[_FLOW + j] * share
        w[_CLEARANCE + j] = w[_P + j] * w[_FLOW + j]
        for q in range(3):
            x = q * LANES + j
            w[_RATE + x] = w[_LAM + x] * pace
            w[_WEIGHT + x] = w[_PUSH + x] * share


@_part
def _occasion_lanes(w: F8, h: float, is_last: bool) -> None:
    """An infusion of h hours and the rest of its occasion; the last one goes to infinity."""
    for j in range(LANES):
        w[_TROUGH + j] = w[_CONC + j]
        w[_WHOLE + j] = w[_TOTAL + j] + (w[_DOSE + j] + w[_BEFORE + j]) / w[_CLEARANCE + j]
        at_start, at_end, after, conc = 0.0, 0.0, 0.0, 0.0
        for q in range(3):
            x = q * LANES + j
            stays, gain = w[_WAITS + x], w[_WAITS + 3 * LANES + x]
            end = w[_Z + x] * stays + w[_PUSH + x] * (w[_DOSE + j] / h) * gain
            at_start += w[_WEIGHT + x] * w[_Z + x]
            at_end += w[_WEIGHT + x] * end
            w[_END + x] = end
            z = 0.0 if is_last else end * w[_WAITS + _REST * _WAIT + x]
            after += w[_BODY + x] * z
            conc += w[_WEIGHT + x] * z
            w[_Z + x] = z
        w[_PEAK + j] = max(w[_PEAK + j], at_start, at_end)
        w[_CONC + j] = conc
        w[_AREA + j] = (w[_DOSE + j] + w[_BEFORE + j] - after) / w[_CLEARANCE + j]
        w[_TOTAL + j] += w[_AREA + j]
        w[_BEFORE + j] = after


@_part
def _leave_occasion_lanes(w: F8) -> None:
    """Amounts, to be carried into another basis."""
    for j in range(LANES):
        for i in range(3):
            x = 0.0
            for q in range(3):
                x += w[_U + (3 * i + q) * LANES + j] * w[_Z + q * LANES + j]
            w[_AMOUNTS + i * LANES + j] = x * math.sqrt(w[_P + (2 * i + 1) * LANES + j])


@_part
def _write_moment(
    first: int, mine: int, t: int, so_far: float, duration: float, w: F8, conc: F8, auc: F8
) -> None:
    """One of the times within an infusion, `so_far` hours after its start."""
    for j in range(mine):
        f, inside, rate = 0.0, 0.0, w[_DOSE + j] / duration
        for q in range(3):
            x = q * LANES + j
            stays, gain = w[_WAITS + _WAIT + x], w[_WAITS + _WAIT + 3 * LANES + x]
            z = w[_Z + x] * stays + w[_PUSH + x] * rate * gain
            f += w[_WEIGHT + x] * z
            inside += w[_BODY + x] * z
        conc[first + j, t] = f
        if auc.shape[0] > 0:
            gone = rate * so_far + w[_BEFORE + j] - inside
            auc[first + j, t] = w[_TOTAL + j] + gone / w[_CLEARANCE + j]


@_part
def _write_decay(
    first: int, mine: int, begin: int, stop: int, end: float, is_grid: bool, is_new: bool, w: F8,
    powers: F8, times: F8, conc: F8, auc: F8,
) -> None:  # fmt: skip
    """Times after an infusion that ended at `end`.

    On an even grid the exponentials are `powers` of those of one stride, and serve every occasion
    of the same rates.
    """
    for j in range(mine):
        for begun in range(begin, stop, _STEPS):
            some = min(_STEPS, stop - begun)
            for q in range(3):
                x, base = q * LANES + j, (3 * j + q) * _STEPS
                if not is_grid:
                    rate = w[_RATE + x]
                    out, at = powers[base : base + some], times[begun : begun + some]
                    for s in range(out.shape[0]):
                        p, power = _exp_parts(max(rate * (end - at[s]), -708.0))
                        out[s] = power * p + power
                    w[_AT + x] = w[_END + x]
                elif begun == begin:
                    if is_new:
                        stride = w[_WAITS + _STRIDE * _WAIT + x]
                        _fill_powers(powers[base : base + _STEPS], stride)
                    w[_AT + x] = w[_END + x] * w[_WAITS + _LEAD * _WAIT + x]
                else:
                    last = powers[base + _STEPS - 1]
                    w[_AT + x] *= last * w[_WAITS + _STRIDE * _WAIT + x]
            base, x, y, z = 3 * j * _STEPS, j, LANES + j, 2 * LANES + j
            p0 = powers[base : base + some]
            p1 = powers[base + _STEPS : base + _STEPS + some]
            p2 = powers[base + 2 * _STEPS : base + 2 * _STEPS + some]
            c0, c1, c2 = (
                w[_AT + x] * w[_WEIGHT + x], w[_AT + y] * w[_WEIGHT + y],
                w[_AT + z] * w[_WEIGHT + z],
            )  # fmt: skip
            out = conc[first + j, begun : begun + some]
            for s in range(out.shape[0]):
                out[s] = c0 * p0[s] + c1 * p1[s] + c2 * p2[s]
            if auc.shape[0] > 0:
                whole, clearance = w[_WHOLE + j], w[_CLEARANCE + j]
                c0 = w[_AT + x] * w[_BODY + x] / clearance
                c1 = w[_AT + y] * w[_BODY + y] / clearance
                c2 = w[_AT + z] * w[_BODY + z] / clearance
                out = auc[first + j, begun : begun + some]
                for s in range(out.shape[0]):
                    out[s] = whole - (c0 * p0[s] + c1 * p1[s] + c2 * p2[s])


@_part
def _fill_powers(out: F8, factor: float) -> None:
    """1, factor and so on, each half from the one before: a chain of products is slow."""
    out[0], out[1], factor = 1.0, factor, factor * factor
    for s in range(2):
        out[2 + s] = out[s] * factor
    factor *= factor
    for s in range(4):
        out[4 + s] = out[s] * factor
    factor *= factor
    for s in range(8):
        out[8 + s] = out[s] * factor
    factor *= factor
    for s in range(16):
        out[16 + s] = out[s] * factor


@_kernel
def _courses(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, start: F8, duration: F8, amount: F8,
    times: F8, spacing: float, reached: I8, w: F8, powers: F8, hours: F8, done: F8,
    total: F8, per_dose: F8, cmax: F8, trough: F8, conc: F8, auc: F8, status: Status,
) -> None:  # fmt: skip
    """`exposure` and `course`: everything is written into the last seven, if that is not empty.

    `reached` has two rows: how many times are not after the end of each infusion, and not after
    the start of each next dose, after a first column for the start of all. `spacing` is that of an
    even grid, or 0.
    """
    n, doses = status.shape[0], start.shape[0]
    together, eta_together = _together(load_kappa), _together(load_eta)
    steady = kappa.shape[2] == 0  # every occasion is like the first
    shared = together and eta_together and tv.shape[0] == 1 and n > 1
    if shared:
        _enter_typical(tv, w)
    for first in range(0, n, LANES):
        mine = min(LANES, n - first)
        _enter_lanes(first, n, tv, load_eta, eta, eta_together, shared, w)
        if together and not shared:
            _decompose_lanes(w)
        filled = -1
        for k in range(doses):
            _begin_occasion_lanes(first, n, k, together, load_kappa, kappa, amount, w)
            if k == 0 or not steady:
                for wait in range(done.shape[0]):
                    done[wait] = np.nan
            is_last = k + 1 == doses
            end = start[k] + duration[k]
            begin, middle, stop = reached[1, k], reached[0, k + 1], reached[1, k + 1]
            for wait in range(hours.shape[0]):
                hours[wait] = np.nan
            for t in range(begin, middle):
                hours[_MOMENT] = times[t] - start[k]
                _wait(w, hours, done)
                _write_moment(first, mine, t, hours[_MOMENT], duration[k], w, conc, auc)
            hours[_MOMENT] = np.nan
            hours[_INFUSION] = duration[k]
            if not is_last:
                hours[_REST] = start[k + 1] - end
            if spacing > 0.0 and middle < stop:
                hours[_LEAD], hours[_STRIDE] = times[middle] - end, spacing
            _wait(w, hours, done)
            _occasion_lanes(w, duration[k], is_last)
            if middle < stop:
                rates = 0 if steady else k
                _write_decay(
                    first, mine, middle, stop, end, spacing > 0.0, filled != rates, w,
                    powers, times, conc, auc,
                )  # fmt: skip
                filled = rates
            if not together:
                _leave_occasion_lanes(w)
            for j in range(mine if per_dose.shape[0] > 0 else 0):
                per_dose[first + j, k] = w[_AREA + j]
                trough[first + j, k] = w[_TROUGH + j]
        for j in range(mine):
            status[first + j] = OK if w[_USABLE + j] == 1.0 else BAD_PARAMETER
            if total.shape[0] > 0:
                total[first + j], cmax[first + j] = w[_TOTAL + j], w[_PEAK + j]


def _run(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, start: F8, duration: F8, amount: F8,
    times: F8, n: int, found: tuple[F8, F8, F8, F8, F8, F8],
) -> Status:  # fmt: skip
    """Call `_courses`; subjects that cannot be computed have NaN."""
    reached = np.zeros((2, 1 + start.size), np.int64)
    if times.size:
        reached[0, 1:] = np.searchsorted(times, start + duration, "right")
        reached[1] = np.searchsorted(times, np.append(start, np.inf), "right")
    status, hours, done = np.empty(n, np.int8), np.empty(5), np.empty(5)
    _courses(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount,
        times, _even_spacing(times), reached, np.empty(_WORKSPACE),
        np.empty(3 * _STEPS * LANES if times.size else 0), hours, done, *found, status,
    )  # fmt: skip
    bad = status != OK
    if bad.any():
        for array in found:
            if array.size:
                array[bad] = np.nan
    return status


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
    total, cmax = np.empty((2, n))
    per_dose, trough = np.empty((2, n, start.size))
    nowhere = np.empty((0, 0))
    status = _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount, np.empty(0),
        n, (total, per_dose, cmax, trough, nowhere, nowhere),
    )  # fmt: skip
    return total, per_dose, cmax, trough, status


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
    before = np.searchsorted(times, start[0], "right")
    conc[:, :before] = 0.0
    auc[:, :before] = 0.0
    nothing, nowhere = np.empty(0), np.empty((0, 0))
    return _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount, times,
        conc.shape[0], (nothing, nowhere, nothing, nowhere, conc, auc),
    )  # fmt: skip


def _even_spacing(times: F8) -> float:
    """Distance of an evenly spaced grid, or 0."""
    if times.size < 3:
        return 0.0
    step = float(times[-1] - times[0]) / (times.size - 1)
    slack = 4.0 * 2.2e-16 * max(abs(times[0]), abs(times[-1]))
    even = times[0] + step * np.arange(times.size)
    return step if np.abs(times - even).max() <= slack else 0.0


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
    """See `_together`."""


_CACHE_LINE: Final = 16
"""Doubles in two lines, which processors load together."""


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


def _space(loads: F8, levels: F8, d: int) -> _Space:
    """Room for one thread, in one piece: threads that write into one cache line are slow."""
    shapes = (
        (6,), (3,), (3,), (3, 3), (1 + d, 3), (loads.shape[1], 3, 3), (3, 3), (d,), (d,), (d,),
        (d,), (d,), (d, d), (d, d), (d, d), (d,), (levels.shape[2],),
    )  # fmt: skip
    sizes = [math.prod(shape) for shape in shapes]
    room, pieces, first = np.zeros(sum(sizes) + 2 * _CACHE_LINE), [], _CACHE_LINE
    for shape, size in zip(shapes, sizes, strict=True):
        pieces.append(room[first : first + size].reshape(shape))
        first += size
    return _Space(*pieces)


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
def _decline(rate: float, h: float) -> tuple[float, float]:
    """What h hours leave of one, and what they take."""
    p, power = _exp_parts(max(-rate * h, -708.0))
    return power * p + power, -(power * p + (power - 1.0))


@_part
def _gain(rate: float, loss: float, h: float) -> float:
    """Integral of exp(-rate s) over a step of h hours."""
    return loss / rate if rate * h > 1e-300 else h


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


@_inlined
def _step_forward(
    drive: float, h: float, loads: F8, n_eta: int, together: bool, k: int, slopes: bool,
    lam: F8, u: F8, state: F8, pull: F8, blend: F8,
) -> None:  # fmt: skip
    """State and derivatives after h hours of occasion k; `drive` as in `_advance`.

    The derivatives follow dy/ds = -Lam y - U' dM U z + db: variation of constants gives integrals
    of two exponentials, smooth where rates are equal, so eigenvectors are never differentiated.
    """
    e0, loss0 = _decline(lam[0], h)
    e1, loss1 = _decline(lam[1], h)
    e2, loss2 = _decline(lam[2], h)
    e, gain = (e0, e1, e2), (0.0, 0.0, 0.0)
    if drive != 0.0:
        gain = (_gain(lam[0], loss0, h), _gain(lam[1], loss1, h), _gain(lam[2], loss2, h))
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


@_inlined
def _concentration(
    loads: F8, n_eta: int, k: int, slopes: bool, central: float, u: F8, state: F8, slope: F8
) -> float:
    """Concentration on occasion k, and its derivatives into `slope`; `central` is 1 / sqrt(V1)."""
    w1, w2, w3 = central * u[0, 0], central * u[0, 1], central * u[0, 2]
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
        central = 1.0 / math.sqrt(p[V1])
        drive = doses[course, 2, k] / doses[course, 1, k] * central
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
                f = _concentration(loads, n_eta, k, slopes, central, u, state, slope)
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
    """Go down from `w.x` to a minimum; stop if that is the one found before, in row i of `at`.

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
                    step[j] = x[j] - at[i, j]
                if _quadratic(around[i], step, d) < JOINED:
                    return value, evaluations, False
        else:
            damping = max(10.0 * damping, 0.01 * largest)
            if damping > 1e12 * largest:
                break
    return value, evaluations, False


@_kernel
def _estimates(
    tv: F8, loads: F8, n_eta: int, doses: F8, levels: F8, error: F8, log_error: F8, starts: F8,
    given: bool, x: F8, objective: F8, gradient: F8, covariance: F8, predicted: F8,
    evaluations: I8, status: Status,
    p: F8, typical_lam: F8, lam: F8, u: F8, state: F8, pull: F8, blend: F8, slope: F8, at: F8,
    trial: F8, slopes: F8, new_slopes: F8, curvature: F8, new_curvature: F8, root: F8, step: F8,
    fitted: F8,
) -> None:  # fmt: skip
    """`map_estimates`, or `log_posterior` if the effects are given, in `x`.

    From `p` on a `_Space`, piece by piece: a tuple takes Python long to hand over.
    """
    w = _Space(
        p, typical_lam, lam, u, state, pull, blend, slope, at, trial, slopes, new_slopes,
        curvature, new_curvature, root, step, fitted,
    )  # fmt: skip
    together = _together(loads)
    subjects = _Subjects(tv, loads, n_eta, doses, levels, error, together)
    detour = _Subjects(tv, loads, n_eta, doses, levels, log_error, together)
    here, found = w.x, w.curvature
    room = w.gradient if gradient.shape[0] > 0 or not given else w.gradient[:0]
    usable = False
    for i in range(x.shape[0]):
        known = _known_occasions(i, doses, levels)
        d = n_eta + known * (loads.shape[1] - n_eta)
        if i == 0 or tv.shape[0] > 1:
            usable = _begin_subject(i, subjects, w)
        best = np.inf
        status[i] = BAD_LEVEL if usable else BAD_PARAMETER
        for search in range(1 + 2 * starts.shape[0] if usable and not given else 0):
            if search == 1 and best < _misfit_limit(i, levels, error):
                break
            is_detour = search % 2 == 1
            for j in range(d if search == 0 or is_detour else 0):
                here[j] = starts[search // 2, j] if j < n_eta else 0.0
            value, cost, converged = _descend(
                i, detour if is_detour else subjects, known, d, np.inf if is_detour else best,
                x, covariance, w,
            )  # fmt: skip
            evaluations[i] += cost
            if value < np.inf and status[i] == BAD_LEVEL and not is_detour:
                status[i] = NOT_CONVERGED
            if converged and value < best and not is_detour:
                best = value
                for j in range(d):
                    x[i, j] = here[j]
                    for r in range(j + 1):
                        covariance[i, j, r] = found[j, r]
        status[i] = OK if best < np.inf else status[i]
        for t in range(w.predicted.shape[0]):
            w.predicted[t] = np.nan
        objective[i] = np.inf if given else np.nan
        if status[i] == OK or (given and usable):
            for j in range(d):
                here[j] = x[i, j]
            objective[i] = _objective(i, subjects, here, known, w, room, found)
        for j in range(gradient.shape[1]):
            gradient[i, j] = w.gradient[j] if j < d else 0.0
        if not given:
            _report(i, status[i] == OK, d, w, x, covariance, predicted)


@_part
def _report(i: int, ok: bool, d: int, w: _Space, x: F8, covariance: F8, predicted: F8) -> None:
    """Covariance, from the second derivatives in its place, and predictions; NaN if not `ok`."""
    size = x.shape[1]
    for t in range(predicted.shape[1]):
        predicted[i, t] = w.predicted[t] if ok else np.nan
    for j in range(d):
        for r in range(j + 1):
            w.curvature[j, r] = covariance[i, j, r]
    if ok:
        _root(w.curvature, 0.0, d, w.root)
    for j in range(size):
        if not ok or j >= d:
            x[i, j] = 0.0 if ok else np.nan
        for r in range(size):
            prior = 1.0 if j == r else 0.0
            covariance[i, j, r] = prior if ok else np.nan
            w.gradient[r] = -2.0 * prior
        if ok and j < d:
            _solve(w.root, w.gradient, d, w.step)
            for r in range(d):
                covariance[i, j, r] = w.step[r]


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
    n, none = x.shape[0], np.empty((0, 0))
    objective = np.empty(n)
    _estimates(
        tv, loads, n_eta, doses, levels, error, error, none, True,
        x, objective, gradient, np.empty((0, 0, 0)), none,
        np.empty(0, np.int64), np.empty(n, np.int8), *_space(loads, levels, x.shape[1]),
    )  # fmt: skip
    return objective


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
    n, size = levels.shape[0], n_eta + doses.shape[2] * (loads.shape[1] - n_eta)
    log_error = np.array([0.0, 0.0, max(error[0], error[2], DETOUR_SD)])
    x, objective, covariance = np.empty((n, size)), np.empty(n), np.empty((n, size, size))
    predicted, evaluations = np.empty((n, levels.shape[2])), np.zeros(n, np.int64)
    status = np.empty(n, np.int8)
    _estimates(
        tv, loads, n_eta, doses, levels, error, log_error, starts, False,
        x, objective, np.empty((0, 0)), covariance, predicted, evaluations, status,
        *_space(loads, levels, size),
    )  # fmt: skip
    return x, objective, covariance, predicted, evaluations, status
