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
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import event, types
from numba.extending import intrinsic

from fludapk import cache
from fludapk.arrays import F8, I8

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

CL, V1, Q2, V2, Q3, V3 = range(6)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function, **options: Any) -> _Function:
    """Compile: the one place that says how. No fastmath, because it would change results."""
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(_Function, compiled)


def _part(function: _Function, **options: Any) -> _Function:
    """A function that only kernels call, never Python: it has no entry for that.

    It makes no array, so it need not count references; and it is compiled for kinds of numbers,
    while numba, left alone, compiles anew for each constant that is handed over.
    """
    options |= {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    part: Any = _compiled(function, **options)
    if hasattr(part, "py_func"):
        choose = part.get_call_template
        part.get_call_template = lambda args, kws: choose(
            [getattr(kind, "literal_type", kind) for kind in args], kws
        )
    return cast(_Function, part)


def _woven(function: _Function) -> _Function:
    """A part that is called often and at one place, where LLVM puts its machine code."""
    return _part(function, forceinline=True)


def _kernel(function: _Function) -> _Function:
    """A function that Python calls: compiled likewise, and kept on disk."""
    return cache.kept(_compiled(function, _nrt=False, no_cfunc_wrapper=True))


def _inlined(function: _Function) -> _Function:
    """A part put into its caller before anything else, which takes numba long.

    So must be parts of several results in a loop over lanes, or it is not vectorised.
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


# ------------------------------------------------------------------ parts of both kernels


@_part
def _usable(cl: float, v1: float, q2: float, v2: float, q3: float, v3: float) -> bool:
    """Whether parameters are finite and positive; a flow to a tissue may be zero."""
    total = cl + v1 + q2 + v2 + q3 + v3  # not less than infinity, if one is infinite or NaN
    return (min(cl, v1, v2, v3) > 0.0) & (min(q2, q3) >= 0.0) & (total < np.inf)


def usable(tv: F8) -> npt.NDArray[np.bool_]:
    """`_usable` of many subjects, (n, 6) parameters."""
    may_be_zero = [q in (Q2, Q3) for q in range(6)]
    allowed = ((tv > 0.0) | ((tv == 0.0) & may_be_zero)) & (tv < np.inf)
    return np.asarray(allowed.all(axis=1))


@_part
def _row(i: int, rows: int) -> int:
    """Row of subject i in an array of a row for each, or of one for all."""
    return i if rows > 1 else 0


_ROUNDING: Final = 1e-34
"""Square of what is nothing beside the largest rate."""
_TURNS: Final = 36
"""Rotations at most: three are a sweep, and four or five sweeps suffice."""


@_inlined
def _rotation(a: float, b: float, off: float, negligible: float) -> tuple[float, float, float]:
    """Tangent, cosine and sine of the rotation that makes [[a, off], [off, b]] diagonal."""
    d = b - a
    idle = off * off <= negligible
    reach = abs(d) + math.sqrt(d * d + 4.0 * off * off)
    t = 0.0 if idle else 2.0 * off / (1.0 if idle else reach)
    t = t if d >= 0.0 else -t
    co = 1.0 / math.sqrt(1.0 + t * t)
    return t, co, t * co


# ------------------------------------------------------------------ many subjects at once
#
# Subjects are taken LANES at a time, so that the compiler can give each instruction several of
# them. For that a loop over lanes must hold arithmetic only: exp is a polynomial here, which also
# makes its bits the same on every machine, and the workspace is one array, a row per quantity.
# Loops are short, because the processor then works at several turns of them at once.

LANES: Final = 32

_BASE, _P, _FACTOR = (row * LANES for row in (0, 6, 12))
_LAM, _OFF, _U, _BODY, _PUSH = (row * LANES for row in (18, 21, 23, 32, 35))
_LAM_1, _LAM_2, _OFF_1 = _LAM + LANES, _LAM + 2 * LANES, _OFF + LANES
_V1, _Q2, _V2, _Q3, _V3 = (_P + row * LANES for row in range(1, 6))
_END, _RATE, _WEIGHT, _NOW = (row * LANES for row in (38, 41, 44, 47))
_DOSE, _CLEARANCE, _TROUGH, _WHOLE, _AREA, _USABLE, _NEGLIGIBLE = (
    row * LANES for row in range(50, 57)
)
_Z, _AMOUNTS = 57 * LANES, 60 * LANES
_CONC, _BEFORE, _TOTAL, _PEAK = (row * LANES for row in range(63, 67))
_CARRIED: Final = 10 * LANES
"""From `_Z` on: what an occasion hands to the next."""
_WAITS: Final = 67 * LANES
"""From here on what is left of the state, and what one mg/h adds, after each of these waits."""
_WAIT: Final = 6 * LANES
_INFUSION, _MOMENT, _REST, _SINCE, _STRIDE = range(5)
"""An infusion; a time within; from its end to the next dose, and to a time; that of a grid."""
_N_WAITS: Final = 5
_HOURS: Final = _WAITS + _N_WAITS * _WAIT
"""How long each wait is, NaN if it is not needed."""
_DONE: Final = _HOURS + _N_WAITS
"""How long it was when it was computed for these rates."""
_WORKSPACE: Final = _HOURS + LANES

_STEPS: Final = 32
"""Times of an even grid from one that takes exponentials to the next."""

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
def _exp_factors(w: F8, factors: int) -> None:
    """Exponentials of the `_FACTOR` rows, of the first two for all if these are the `factors`."""
    for x in range(min(factors, 6) * LANES):
        shift = w[_FACTOR + x]
        p, power = _exp_parts(min(max(shift, -708.0), 708.0))
        value = power * p + power
        w[_FACTOR + x] = 0.0 if shift < -708.0 else np.inf if shift > 708.0 else value
    for x in range(2 * LANES if factors == 2 else 0):
        w[_FACTOR + 2 * LANES + x] = w[_FACTOR + 4 * LANES + x] = w[_FACTOR + x]


@_part
def _wait(w: F8) -> None:
    """What each wait leaves of the state and, if drug is given meanwhile, adds; unless known."""
    for wait in range(_N_WAITS):
        h, to = w[_HOURS + wait], _WAITS + wait * _WAIT
        if math.isnan(h) or h == w[_DONE + wait]:
            continue
        w[_DONE + wait] = h
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
def _rotate_lanes(w: F8) -> None:
    """Rotate away what is beside the first two of three compartments, which then change places.

    The first comes last, so that the next call takes the next two. What is beside the first and the
    last is zero at the start, and again after every rotation. A lane that is done is not changed,
    so that what becomes of it does not depend on the others.
    """
    for j in range(LANES):
        a, b, off, cross = w[_LAM + j], w[_LAM_1 + j], w[_OFF + j], w[_OFF_1 + j]
        t, co, si = _rotation(a, b, off, w[_NEGLIGIBLE + j])
        w[_LAM + j], w[_LAM_1 + j], w[_LAM_2 + j] = b + t * off, w[_LAM_2 + j], a - t * off
        w[_OFF + j], w[_OFF_1 + j] = co * cross, -si * cross
        for i in range(3):
            x = _U + 3 * i * LANES + j
            left, right, last = w[x], w[x + LANES], w[x + 2 * LANES]
            w[x], w[x + LANES] = si * left + co * right, last
            w[x + 2 * LANES] = co * left - si * right


@_part
def _decompose_lanes(w: F8) -> None:
    """Rates and eigenvectors U of M in every lane, and the weights of z.

    These are what makes z an amount, and what an infusion adds to it per mg. Jacobi rotations are
    accurate for equal rates, too, and converge quadratically.
    """
    for x in range(9 * LANES):
        w[_U + x] = 0.0
    for j in range(LANES):  # the central compartment between the others: these do not touch
        v1, q2, v2, q3, v3 = w[_V1 + j], w[_Q2 + j], w[_V2 + j], w[_Q3 + j], w[_V3 + j]
        total = (w[_P + j] + q2 + q3) / v1
        w[_LAM + j], w[_LAM_1 + j], w[_LAM_2 + j] = q2 / v2, total, q3 / v3
        w[_OFF + j], w[_OFF_1 + j] = -q2 / math.sqrt(v1 * v2), -q3 / math.sqrt(v1 * v3)
        w[_NEGLIGIBLE + j] = _ROUNDING * total * total
        w[_U + LANES + j] = w[_U + 3 * LANES + j] = w[_U + 8 * LANES + j] = 1.0
    for turn in range(_TURNS):
        busy = turn % 3 > 0
        for j in range(0 if busy else LANES):
            off, cross = w[_OFF + j], w[_OFF_1 + j]
            busy |= off * off + cross * cross > w[_NEGLIGIBLE + j]
        if not busy:
            break
        _rotate_lanes(w)
    for j in range(LANES):
        s1, s2, s3 = math.sqrt(w[_V1 + j]), math.sqrt(w[_V2 + j]), math.sqrt(w[_V3 + j])
        for q in range(3):
            x = q * LANES + j
            w[_LAM + x] = max(w[_LAM + x], 0.0)
            w[_BODY + x] = s1 * w[_U + x] + s2 * w[_U + 3 * LANES + x] + s3 * w[_U + 6 * LANES + x]
            w[_PUSH + x] = w[_U + x] / s1


@_part
def _shift_lanes(
    first: int, n: int, factors: int, loads: F8, effects: F8, column: int, w: F8
) -> None:
    """Factors of subjects `first` and on, by their effects from this column on.

    Lanes beyond the last subject repeat it.
    """
    for x in range(6 * LANES):
        w[_FACTOR + x] = 0.0
    for q in range(factors):
        to = _FACTOR + q * LANES
        for r in range(loads.shape[1]):
            load = loads[q, r]
            for j in range(LANES if load != 0.0 else 0):
                me = _row(min(first + j, n - 1), effects.shape[0])
                w[to + j] += load * effects[me, column + r]
    _exp_factors(w, factors)


@_part
def _enter_lanes(first: int, n: int, tv: F8, w: F8) -> None:
    """Parameters by typical values and factors; nothing was given yet."""
    for j in range(LANES):
        i = _row(min(first + j, n - 1), tv.shape[0])
        for q in range(6):
            w[_BASE + q * LANES + j] = tv[i, q] * w[_FACTOR + q * LANES + j]
        w[_USABLE + j] = 1.0
    for x in range(_CARRIED):
        w[_Z + x] = 0.0


@_part
def _parameter_lanes(together: bool, w: F8) -> None:
    """Parameters, but for the factors if they go `together`; impossible ones are replaced."""
    for j in range(LANES):
        for q in range(6):
            x = q * LANES + j
            w[_P + x] = w[_BASE + x] * (1.0 if together else w[_FACTOR + x])
        usable = _usable(w[_P + j], w[_V1 + j], w[_Q2 + j], w[_V2 + j], w[_Q3 + j], w[_V3 + j])
        w[_USABLE + j] = w[_USABLE + j] if usable else 0.0
        for q in range(6):
            x = _P + q * LANES + j
            w[x] = w[x] if usable else 1.0


@_part
def _start_lanes(together: bool, w: F8) -> None:
    """Rates, and `_WEIGHT` that makes z a concentration.

    `together`: z stays in the basis of the subject without kappa, where amounts, and so z, are
    continuous; only rates and concentrations are scaled.
    """
    for j in range(0 if together else LANES):
        for q in range(3):
            z = 0.0
            for i in range(3):
                x = w[_AMOUNTS + i * LANES + j] / math.sqrt(w[_V1 + 2 * i * LANES + j])
                z += w[_U + (3 * i + q) * LANES + j] * x
            w[_Z + q * LANES + j] = z
    for j in range(LANES):
        flow = w[_FACTOR + j] if together else 1.0
        volume = w[_FACTOR + LANES + j] if together else 1.0
        cl = w[_P + j] * flow
        usable = (cl > 0.0) & (cl < np.inf) & (volume > 0.0) & (volume < np.inf)
        w[_USABLE + j] = w[_USABLE + j] if usable else 0.0
        w[_CLEARANCE + j] = cl if usable else 1.0
        share = 1.0 / (volume if usable else 1.0)
        pace = (flow if usable else 1.0) * share
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
def _leave_lanes(w: F8) -> None:
    """Amounts, to be carried into another basis."""
    for j in range(LANES):
        for i in range(3):
            x = 0.0
            for q in range(3):
                x += w[_U + (3 * i + q) * LANES + j] * w[_Z + q * LANES + j]
            w[_AMOUNTS + i * LANES + j] = x * math.sqrt(w[_V1 + 2 * i * LANES + j])


@_part
def _find_moment(t: int, so_far: float, duration: float, w: F8, found: F8) -> None:
    """One of the times within an infusion, `so_far` hours after its start."""
    for j in range(LANES):
        f, inside, rate = 0.0, 0.0, w[_DOSE + j] / duration
        for q in range(3):
            x = q * LANES + j
            stays, gain = w[_WAITS + _WAIT + x], w[_WAITS + _WAIT + 3 * LANES + x]
            z = w[_Z + x] * stays + w[_PUSH + x] * rate * gain
            f += w[_WEIGHT + x] * z
            inside += w[_BODY + x] * z
        found[0, t, j] = f
        if found.shape[0] > 1:
            gone = rate * so_far + w[_BEFORE + j] - inside
            found[1, t, j] = w[_TOTAL + j] + gone / w[_CLEARANCE + j]


@_part
def _find_decay(
    begin: int, stop: int, end: float, is_grid: bool, w: F8, times: F8, found: F8
) -> None:
    """Times after an infusion that ended at `end`.

    On an even grid exponentials are taken for one time in `_STEPS`; from there the state is
    multiplied forward.
    """
    for t in range(begin, stop):
        if not is_grid or (t - begin) % _STEPS == 0:
            w[_HOURS + _SINCE] = times[t] - end
            _wait(w)
            for x in range(3 * LANES):
                w[_NOW + x] = w[_END + x] * w[_WAITS + _SINCE * _WAIT + x]
        else:
            for x in range(3 * LANES):
                w[_NOW + x] *= w[_WAITS + _STRIDE * _WAIT + x]
        concs = found[0, t]
        for j in range(LANES):
            f = 0.0
            for q in range(3):
                f += w[_WEIGHT + q * LANES + j] * w[_NOW + q * LANES + j]
            concs[j] = f
        if found.shape[0] > 1:
            aucs = found[1, t]
            for j in range(LANES):
                inside = 0.0
                for q in range(3):
                    inside += w[_BODY + q * LANES + j] * w[_NOW + q * LANES + j]
                aucs[j] = w[_WHOLE + j] - inside / w[_CLEARANCE + j]


@_part
def _write(first: int, mine: int, found: F8, out: F8) -> None:
    """What was found time by time, subject by subject."""
    for j in range(mine):
        row, column = out[first + j], found[:, j]
        for t in range(row.shape[0]):
            row[t] = column[t]


@_kernel
def _courses(
    tv: F8, factors_eta: int, load_eta: F8, eta: F8, factors_kappa: int, load_kappa: F8, kappa: F8,
    infusions: F8, amount: F8, times: F8, spacing: float, reached: I8, w: F8, found: F8,
    whole: F8, each: F8, conc: F8, auc: F8,
) -> None:  # fmt: skip
    """`exposure` and `course`: the last four are written, if they are not empty.

    `infusions` has two rows: starts and durations. So has `reached`: how many times are not after
    the end of each infusion, and not after the start of each next dose, after a first column for
    the start of all. `spacing` is that of an even grid, or 0. `whole` gets three rows: areas,
    peaks, and 1 where a subject can be computed. `each` gets areas and troughs.
    """
    n, doses = whole.shape[1], infusions.shape[1]
    together = factors_kappa == 2
    steady = kappa.shape[1] == 0  # every occasion is like the first
    for first in range(0, n, LANES):
        mine = min(LANES, n - first)
        _shift_lanes(first, n, factors_eta, load_eta, eta, 0, w)
        _enter_lanes(first, n, tv, w)
        for k in range(doses):
            for j in range(LANES):
                w[_DOSE + j] = amount[_row(min(first + j, n - 1), amount.shape[0]), k]
            if k == 0 or not steady:
                column = k * load_kappa.shape[1]
                _shift_lanes(first, n, factors_kappa, load_kappa, kappa, column, w)
                if k == 0 or not together:
                    _parameter_lanes(together, w)
                    _decompose_lanes(w)
                _start_lanes(together, w)
                for wait in range(_N_WAITS):
                    w[_DONE + wait] = np.nan
            is_last = k + 1 == doses
            start, duration = infusions[0, k], infusions[1, k]
            end = start + duration
            begin, middle, stop = reached[1, k], reached[0, k + 1], reached[1, k + 1]
            for wait in range(_N_WAITS):
                w[_HOURS + wait] = np.nan
            for t in range(begin, middle):
                w[_HOURS + _MOMENT] = times[t] - start
                _wait(w)
                _find_moment(t, times[t] - start, duration, w, found)
            w[_HOURS + _MOMENT] = np.nan
            w[_HOURS + _INFUSION] = duration
            if not is_last:
                w[_HOURS + _REST] = infusions[0, k + 1] - end
            if spacing > 0.0 and middle < stop:
                w[_HOURS + _STRIDE] = spacing
            _wait(w)
            _occasion_lanes(w, duration, is_last)
            _find_decay(middle, stop, end, spacing > 0.0, w, times, found)
            if not (together or is_last):
                _leave_lanes(w)
            for j in range(mine if each.shape[1] > 0 else 0):
                each[0, first + j, k] = w[_AREA + j]
                each[1, first + j, k] = w[_TROUGH + j]
        if conc.shape[0] > 0:
            _write(first, mine, found[0], conc)
        if auc.shape[0] > 0:
            _write(first, mine, found[1], auc)
        for j in range(mine):
            whole[0, first + j] = w[_TOTAL + j]
            whole[1, first + j] = w[_PEAK + j]
            whole[2, first + j] = w[_USABLE + j]


def _factors(loads: F8) -> int:
    """Two, if there is one factor on all flows and one on all volumes, or six.

    If two, the eigenvectors never change.
    """
    return 2 if (loads[Q2:] == loads[:Q3]).all() else 6


def _run(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, start: F8, duration: F8, amount: F8,
    times: F8, whole: F8, each: F8, conc: F8, auc: F8,
) -> Status:  # fmt: skip
    """Call `_courses`; subjects that cannot be computed have NaN."""
    reached = np.zeros((2, 1 + start.size), np.int64)
    if times.size:
        reached[0, 1:] = np.searchsorted(times, start + duration, "right")
        reached[1] = np.searchsorted(times, np.append(start, np.inf), "right")
    found = np.zeros((2 if auc.size else 1, times.size, LANES))
    _courses(
        tv, _factors(load_eta), load_eta, eta, _factors(load_kappa), load_kappa,
        kappa.reshape(len(kappa), start.size * load_kappa.shape[1]),
        np.array((start, duration)), amount, times, _even_spacing(times),
        reached, np.empty(_WORKSPACE), found, whole, each, conc, auc,
    )  # fmt: skip
    bad = whole[2] != 1.0
    if bad.any():
        whole[:, bad] = np.nan
        for array in (*each, conc, auc):
            if array.size:
                array[bad] = np.nan
    return np.where(bad, BAD_PARAMETER, OK).astype(np.int8)


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
    tv : (n or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3.
    load_eta, load_kappa : (6, n_eta), (6, n_kappa)
        Loadings on their logarithms.
    eta : (n or 1, n_eta)
    kappa : (n or 1, doses, n_kappa)
        An occasion per dose.
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
    whole, each, nowhere = np.empty((3, n)), np.empty((2, n, start.size)), np.empty((0, 0))
    status = _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount,
        np.empty(0), whole, each, nowhere, nowhere,
    )  # fmt: skip
    return whole[0], each[0], whole[1], each[1], status


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
    whole, nowhere = np.empty((3, conc.shape[0])), np.empty((2, 0, 0))
    return _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount,
        times, whole, nowhere, conc, auc,
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
#
# One subject at a time. Parts share four arrays, because each array costs seven words of a call:
# `kin`, rows of three, a column per compartment (flows, volumes) or per rate (the others);
# `state`, rows of three: z, then its derivatives for each effect; `vec`, rows of an effect each;
# and a matrix.

_FLOWS, _VOLUMES, _ROOTS, _RATES, _TYPICAL, _STAYS, _GAINS = range(7)
"""Roots are those of the volumes; `_TYPICAL` has the rates of typical values."""
_BASIS, _BLEND, _PULL = 7, 10, 13
"""U; the integrals of `_step_forward`; from here on U' dM U for each effect in force."""

_HERE, _TRIAL, _STEP, _SLOPE, _GRADIENT, _NEW_GRADIENT = range(6)
"""Of `vec`; `_SLOPE` holds the derivatives of a concentration."""


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
def _decompose(kin: F8) -> None:
    """`_decompose_lanes` of one subject."""
    for r in range(3):
        for q in range(3):
            kin[_BASIS + r, q] = 0.0
    kin[_BASIS, 1] = kin[_BASIS + 1, 0] = kin[_BASIS + 2, 2] = 1.0
    v1, v2, v3 = kin[_VOLUMES, 0], kin[_VOLUMES, 1], kin[_VOLUMES, 2]
    q2, q3 = kin[_FLOWS, 1], kin[_FLOWS, 2]
    a, b, c = q2 / v2, (kin[_FLOWS, 0] + q2 + q3) / v1, q3 / v3
    off, cross = -q2 / math.sqrt(v1 * v2), -q3 / math.sqrt(v1 * v3)
    negligible = _ROUNDING * b * b
    for turn in range(_TURNS):
        if turn % 3 == 0 and off * off + cross * cross <= negligible:
            break
        t, co, si = _rotation(a, b, off, negligible)
        a, b, c = b + t * off, c, a - t * off
        off, cross = co * cross, -si * cross
        for r in range(_BASIS, _BASIS + 3):
            left, right, last = kin[r, 0], kin[r, 1], kin[r, 2]
            kin[r, 0], kin[r, 1], kin[r, 2] = si * left + co * right, last, co * left - si * right
    kin[_RATES, 0], kin[_RATES, 1], kin[_RATES, 2] = max(a, 0.0), max(b, 0.0), max(c, 0.0)


@_part
def _pulls(loads: F8, kin: F8) -> None:
    """U' dM U for each column of loadings.

    M is a sum of flows times g g', where g is 1 / sqrt(V1) in the central compartment and, for an
    exchange, -1 / sqrt(V) in the other; and dM / dlog V is minus half of E M + M E, where E is one
    in that compartment.
    """
    for a in range(3):
        for b in range(a + 1):
            mean = 0.5 * (kin[_RATES, a] + kin[_RATES, b])
            for r in range(3):
                ua, ub = kin[_BASIS + r, a], kin[_BASIS + r, b]
                ga, gb = kin[_BASIS, a] / kin[_ROOTS, 0], kin[_BASIS, b] / kin[_ROOTS, 0]
                if r > 0:
                    ga -= ua / kin[_ROOTS, r]
                    gb -= ub / kin[_ROOTS, r]
                of_flow, of_volume = kin[_FLOWS, r] * ga * gb, -mean * ua * ub
                for j in range(loads.shape[1]):
                    change = loads[2 * r, j] * of_flow + loads[2 * r + 1, j] * of_volume
                    total = change if r == 0 else kin[_PULL + 3 * j + a, b] + change
                    kin[_PULL + 3 * j + a, b] = kin[_PULL + 3 * j + b, a] = total


@_part
def _turn(kin: F8, state: F8, rows: int, back: bool) -> None:
    """Multiply each of some rows by U or, going `back`, by U'."""
    for j in range(rows):
        x, y, z = state[j, 0], state[j, 1], state[j, 2]
        for r in range(3):
            if back:
                u, v, w = kin[_BASIS, r], kin[_BASIS + 1, r], kin[_BASIS + 2, r]
            else:
                u, v, w = kin[_BASIS + r, 0], kin[_BASIS + r, 1], kin[_BASIS + r, 2]
            state[j, r] = u * x + v * y + w * z


@_part
def _begin_occasion(
    typical: F8, loads: F8, n_eta: int, together: bool, k: int, slopes: bool, kin: F8, state: F8,
    vec: F8,
) -> bool:  # fmt: skip
    """Parameters, rates, state and derivatives of occasion k, from those of the one before.

    Amounts are continuous. False if a parameter is not finite and positive.
    """
    n_kappa = loads.shape[1] - n_eta
    old, new = n_eta + (k - 1) * n_kappa, n_eta + k * n_kappa
    known = 1 + new if slopes else 1  # rows of state that there are already
    if k > 0:
        _turn(kin, state, known, False)
        for j in range(known - 1, -1, -1):
            for r in range(kin.shape[1]):
                if j > old:  # what a kappa does to the volumes ends here
                    state[j, r] += 0.5 * loads[2 * r + 1, n_eta + j - 1 - old] * state[0, r]
                state[j, r] *= kin[_ROOTS, r]
    for r in range(kin.shape[1]):
        for row in range(2):  # a flow and a volume
            if together and r > 0:
                kin[row, r] = kin[row, 0]
            else:
                shift = 0.0
                for j in range(loads.shape[1]):
                    of = j if j < n_eta else new + j - n_eta
                    shift += loads[2 * r + row, j] * vec[of, _TRIAL]
                kin[row, r] = math.exp(shift)
    pace = kin[_FLOWS, 0] / kin[_VOLUMES, 0]
    for r in range(kin.shape[1]):
        for row in range(2):
            kin[row, r] *= typical[2 * r + row]
    if not _usable(kin[0, 0], kin[1, 0], kin[0, 1], kin[1, 1], kin[0, 2], kin[1, 2]):
        return False
    for r in range(3):
        kin[_ROOTS, r] = math.sqrt(kin[_VOLUMES, r])
    if not together:
        _decompose(kin)
        if slopes:
            _pulls(loads, kin)
    else:
        for r in range(3):
            kin[_RATES, r] = kin[_TYPICAL, r] * pace
            for j in range(loads.shape[1]):
                kin[_PULL + 3 * j + r, r] = kin[_RATES, r] * (loads[CL, j] - loads[V1, j])
    if k == 0:
        for j in range(state.shape[0]):
            state[j, 0] = state[j, 1] = state[j, 2] = 0.0
        return True
    rows = known + n_kappa if slopes else known
    for j in range(rows):
        for r in range(kin.shape[1]):
            if j < known:
                state[j, r] /= kin[_ROOTS, r]
            else:
                state[j, r] = -0.5 * loads[2 * r + 1, n_eta + j - known] * state[0, r]
    _turn(kin, state, rows, True)
    return True


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


@_woven
def _step_forward(
    drive: float, h: float, loads: F8, n_eta: int, together: bool, k: int, slopes: bool,
    kin: F8, state: F8,
) -> None:  # fmt: skip
    """State and derivatives after h hours of occasion k; `drive` is R/sqrt(V1).

    The derivatives follow dy/ds = -Lam y - U' dM U z + db: variation of constants gives integrals
    of two exponentials, smooth where rates are equal, so eigenvectors are never differentiated.
    """
    for a in range(3):
        rate = kin[_RATES, a]
        p, power = _exp_parts(max(-rate * h, -708.0))
        kin[_STAYS, a] = power * p + power
        kin[_GAINS, a] = 0.0
        if drive != 0.0:
            loss = -(power * p + (power - 1.0))
            kin[_GAINS, a] = loss / rate if rate * h > 1e-300 else h
    if slopes:
        n_kappa = loads.shape[1] - n_eta
        first = n_eta + k * n_kappa
        for a in range(3):
            for b in range(a + 1):
                if together and b < a:  # U' dM U is diagonal
                    continue
                lo, hi = (a, b) if kin[_RATES, a] <= kin[_RATES, b] else (b, a)
                slow, fast = kin[_RATES, lo], kin[_RATES, hi]
                mixed = _convolution(slow, fast, kin[_STAYS, lo], kin[_STAYS, hi], h)
                driven = 0.0
                if drive != 0.0:
                    driven = drive * _convolution_of_gain(slow, fast, kin[_GAINS, lo], mixed, h)
                kin[_BLEND + a, b] = mixed * state[0, b] + driven * kin[_BASIS, b]
                kin[_BLEND + b, a] = mixed * state[0, a] + driven * kin[_BASIS, a]
        for j in range(first + n_kappa):
            in_force = j < n_eta or j >= first  # or it is a kappa of an earlier occasion
            i = j if j < n_eta else n_eta + j - first
            push = 0.5 * loads[V1, i] * drive if in_force else 0.0
            for a in range(3):
                value = state[1 + j, a] * kin[_STAYS, a] - push * kin[_BASIS, a] * kin[_GAINS, a]
                for b in range(3 if in_force else 0):
                    if b == a or not together:
                        value -= kin[_PULL + 3 * i + a, b] * kin[_BLEND + a, b]
                state[1 + j, a] = value
    for a in range(3):
        state[0, a] = state[0, a] * kin[_STAYS, a] + drive * kin[_BASIS, a] * kin[_GAINS, a]


@_part
def _objective(
    typical: F8, loads: F8, n_eta: int, together: bool, doses: F8, levels: F8, error: F8,
    known: int, slopes: bool, kin: F8, state: F8, vec: F8, curvature: F8, predicted: F8,
) -> float:  # fmt: skip
    """-2 log posterior at the normals of `_TRIAL`, infinite where it is not defined.

    With `slopes` also its gradient, into `_NEW_GRADIENT`, and Fisher's expected curvature (lower
    triangle). `known` occasions have begun before the last level.
    """
    n_kappa = loads.shape[1] - n_eta
    total = 0.0
    for j in range(n_eta + known * n_kappa):
        x = vec[j, _TRIAL]
        total += x * x
        vec[j, _NEW_GRADIENT] = 2.0 * x
        for r in range(j + 1 if slopes else 0):
            curvature[j, r] = 2.0 if r == j else 0.0
    t, m = 0, levels.shape[1]
    while t < m and levels[0, t] <= doses[0, 0]:
        predicted[t] = 0.0
        total += _level(0.0, levels[1, t], levels[2, t], error)[0]
        t += 1
    for k in range(known):
        if (k == 0 or n_kappa > 0) and not _begin_occasion(
            typical, loads, n_eta, together, k, slopes, kin, state, vec
        ):
            return np.inf
        now = doses[0, k]
        stop = doses[0, k + 1] if k + 1 < doses.shape[1] else np.inf
        end = min(now + doses[1, k], stop)
        drive = doses[2, k] / doses[1, k] / kin[_ROOTS, 0]
        while True:
            if now >= end:
                drive = 0.0
            until = end if now < end else stop
            is_level = t < m and levels[0, t] <= until
            if is_level:
                until = levels[0, t]
            elif now >= stop or (until == stop and k == known - 1):
                break
            if until > now:
                _step_forward(drive, until - now, loads, n_eta, together, k, slopes, kin, state)
                now = until
            if is_level:
                f = _concentration(loads, n_eta, k, slopes, kin, state, vec)
                predicted[t] = f
                value, df, ddf = _level(f, levels[1, t], levels[2, t], error)
                total += value
                for j in range(n_eta + (k + 1) * n_kappa if slopes else 0):
                    slope = vec[j, _SLOPE]
                    vec[j, _NEW_GRADIENT] += df * slope
                    for r in range(j + 1):
                        curvature[j, r] += ddf * slope * vec[r, _SLOPE]
                t += 1
    return total if total < np.inf else np.inf  # NaN, too


@_woven
def _concentration(
    loads: F8, n_eta: int, k: int, slopes: bool, kin: F8, state: F8, vec: F8
) -> float:
    """Concentration on occasion k, and its derivatives into `_SLOPE`."""
    n_kappa = loads.shape[1] - n_eta
    first = n_eta + k * n_kappa
    share = 1.0 / kin[_ROOTS, 0]
    w1, w2, w3 = share * kin[_BASIS, 0], share * kin[_BASIS, 1], share * kin[_BASIS, 2]
    f = 0.0
    for j in range(1 + first + n_kappa if slopes else 1):
        value = w1 * state[j, 0] + w2 * state[j, 1] + w3 * state[j, 2]
        if j == 0:
            f = value
            continue
        if j <= n_eta or j > first:
            value -= 0.5 * loads[V1, j - 1 if j <= n_eta else n_eta + j - 1 - first] * f
        vec[j - 1, _SLOPE] = value
    return f


@_part
def _root(matrix: F8, damping: float, d: int, out: F8) -> bool:
    """Cholesky factor of a symmetric matrix plus damping; False if it is not positive definite."""
    for j in range(d):
        for i in range(j, d):
            total = matrix[i, j] + damping if i == j else matrix[i, j]
            for r in range(j):
                total -= out[i, r] * out[j, r]
            if i > j:
                out[i, j] = total / out[j, j]
            elif total > 0.0 and total < np.inf:
                out[j, j] = math.sqrt(total)
            else:
                return False
    return True


@_part
def _newton(curvature: F8, largest: float, damping: float, d: int, root: F8, vec: F8) -> float:
    """Newton's step, with Levenberg's damping; the damping, infinite if there is no step."""
    while not _root(curvature, damping, d, root):
        damping = max(4.0 * damping, 1e-3 * largest)
        if not damping < 1e12 * largest:
            return np.inf
    for i in range(d):
        total = -vec[i, _GRADIENT]
        for r in range(i):
            total -= root[i, r] * vec[r, _STEP]
        vec[i, _STEP] = total / root[i, i]
    for i in range(d - 1, -1, -1):
        total = vec[i, _STEP]
        for r in range(i + 1, d):
            total -= root[r, i] * vec[r, _STEP]
        vec[i, _STEP] = total / root[i, i]
    return damping


@_part
def _quadratic(matrix: F8, vec: F8, d: int) -> float:
    """v' matrix v of a lower triangle and the step v."""
    total = 0.0
    for i in range(d):
        for j in range(i + 1):
            both = vec[i, _STEP] * matrix[i, j] * vec[j, _STEP]
            total += both if i == j else 2.0 * both
    return total


@_part
def _product(vec: F8, left: int, right: int, d: int) -> float:
    """Scalar product of two columns."""
    total = 0.0
    for j in range(d):
        total += vec[j, left] * vec[j, right]
    return total


@_kernel
def _search(
    tv: F8, loads: F8, n_eta: int, together: bool, doses: F8, levels: F8, error: F8, known: I8,
    given: bool, best: F8, at: F8, around: F8, kin: F8, state: F8, vec: F8, matrices: F8,
    x: F8, objective: F8, gradient: F8, hessian: F8, predicted: F8, evaluations: I8, status: Status,
) -> None:  # fmt: skip
    """One search for every subject, from the effects in `x`, unless what to find are `given`.

    It goes down to a minimum, and stops where it joins one found before: of value `best`, `at` some
    place, with second derivatives `around`. Steps are those of Fisher scoring with Levenberg's
    damping; the last ones use the exact second derivatives, differences of the exact gradient. The
    objective never rises.

    The last seven are written; `status` tells who has no valid typical values, and gets `OK` where
    a search ended at a minimum.
    """
    curvature, new_curvature, root = matrices[0], matrices[1], matrices[2]
    for i in range(x.shape[0]):
        if status[i] == BAD_PARAMETER:
            continue
        typical, course = tv[_row(i, tv.shape[0])], doses[_row(i, doses.shape[0])]
        sample, fitted = levels[_row(i, levels.shape[0])], predicted[_row(i, predicted.shape[0])]
        if together and (i == 0 or tv.shape[0] > 1):
            for q in range(3):
                kin[_FLOWS, q], kin[_VOLUMES, q] = typical[2 * q], typical[2 * q + 1]
            _decompose(kin)
            for q in range(3):
                kin[_TYPICAL, q] = kin[_RATES, q]
        d = n_eta + known[i] * (loads.shape[1] - n_eta)
        for j in range(d):
            vec[j, _HERE] = vec[j, _TRIAL] = x[i, j]
        value, expected, damping, largest = np.inf, 0.0, 0.0, 0.0
        exact, moved, near = False, False, False
        for iteration in range(0 if given else MAX_ITERATIONS):
            new = _objective(
                typical, loads, n_eta, together, course, sample, error, known[i], True,
                kin, state, vec, new_curvature, fitted,
            )  # fmt: skip
            evaluations[i] += 1
            if near:
                status[i] = OK
                for j in range(d if new <= value else 0):
                    vec[j, _HERE] = vec[j, _TRIAL]
                break
            if new < value:
                damping = 0.1 * damping if value - new > 0.25 * expected else 2.0 * damping
                damping = damping if damping >= 0.1 else 0.0
                value, moved = new, True
                for j in range(d):
                    vec[j, _HERE], vec[j, _GRADIENT] = vec[j, _TRIAL], vec[j, _NEW_GRADIENT]
                    for r in range(j + 1):
                        curvature[j, r] = new_curvature[j, r]
                if best[i] < np.inf and value >= best[i]:
                    for j in range(d):
                        vec[j, _STEP] = vec[j, _HERE] - at[i, j]
                    if _quadratic(around[i], vec, d) < JOINED:
                        break
            else:
                damping = max(10.0 * damping, 0.01 * largest)
                if iteration == 0 or damping > 1e12 * largest:
                    break
            while True:
                exact = exact or iteration >= FISHER_ITERATIONS
                if exact and moved:
                    for j in range(d):
                        vec[j, _TRIAL] = vec[j, _HERE]
                    for j in range(d):
                        step = 1e-5 * math.sqrt(2.0 / max(2.0, curvature[j, j]))
                        vec[j, _TRIAL] += step
                        _objective(
                            typical, loads, n_eta, together, course, sample, error, known[i], True,
                            kin, state, vec, new_curvature, fitted,
                        )  # fmt: skip
                        vec[j, _TRIAL] = vec[j, _HERE]
                        for r in range(d):
                            root[j, r] = (vec[r, _NEW_GRADIENT] - vec[r, _GRADIENT]) / step
                    for j in range(d):
                        for r in range(j + 1):
                            curvature[j, r] = 0.5 * (root[j, r] + root[r, j])
                    evaluations[i] += d
                    moved = False
                largest = 0.0
                for j in range(d):
                    largest = max(largest, abs(curvature[j, j]))
                damping = _newton(curvature, largest, damping, d, root, vec)
                slope = _product(vec, _GRADIENT, _STEP, d)
                near = damping == 0.0 and -slope < NEAR
                if exact or not near:
                    break
                exact = True
            if damping == np.inf:
                break
            length = math.sqrt(_product(vec, _STEP, _STEP, d))
            shrink = MAX_STEP / length if length > MAX_STEP else 1.0
            for j in range(d):
                vec[j, _STEP] *= shrink
                vec[j, _TRIAL] = vec[j, _HERE] + vec[j, _STEP]
            expected = -shrink * slope - 0.5 * _quadratic(curvature, vec, d)
        for j in range(d):
            x[i, j] = vec[j, _TRIAL] = vec[j, _HERE]
            for r in range(j + 1 if hessian.shape[0] > 0 else 0):
                hessian[i, j, r] = hessian[i, r, j] = curvature[j, r]
        objective[i] = _objective(
            typical, loads, n_eta, together, course, sample, error, known[i], gradient.shape[0] > 0,
            kin, state, vec, new_curvature, fitted,
        )  # fmt: skip
        for j in range(gradient.shape[1]):
            gradient[i, j] = vec[j, _NEW_GRADIENT] if j < d else 0.0


def _status_before(tv: F8, n: int) -> Status:
    """`BAD_PARAMETER` for subjects without possible typical values, `BAD_LEVEL` for others."""
    return np.full(n, np.where(usable(tv), BAD_LEVEL, BAD_PARAMETER), np.int8)


def _known_occasions(doses: F8, levels: F8, n: int) -> I8:
    """How many occasions have begun before the last level of each."""
    last = np.fmax.reduce(levels[:, 0], axis=-1, keepdims=True, initial=-np.inf)
    return np.full(n, (doses[:, 0] < last).sum(axis=-1), np.int64)


def _enough(levels: F8, error: F8) -> F8:
    """The objective from which a fit is so poor that a better minimum may be elsewhere.

    A fit without residuals and effects is as low as it gets, or nearly. Above that the objective is
    about a chi-square of as many degrees of freedom as levels; the limit is its mean and four SD.
    """
    proportional, additive, log_sd = error
    there, conc = ~np.isnan(levels[:, 0]), levels[:, 1]
    variance = log_sd**2 if log_sd > 0.0 else (proportional * conc) ** 2 + additive**2
    known = there & ~np.isnan(conc)
    lowest = np.where(known, np.log(np.where(known, variance, 1.0)), 0.0).sum(axis=-1)
    n = there.sum(axis=-1)
    return np.asarray(lowest + n + 4.0 * np.sqrt(2.0 * n))


_CACHE_LINE: Final = 16
"""Doubles in two lines, which processors load together."""


def _space(loads: F8, d: int) -> tuple[F8, F8, F8, F8]:
    """Arrays for one thread, in one piece: threads that write into one cache line are slow."""
    shapes = (_PULL + 3 * loads.shape[1], 3), (1 + d, 3), (d, 6), (3, d, d)
    ends = np.cumsum([_CACHE_LINE, *(math.prod(shape) for shape in shapes)])
    room = np.zeros(ends[-1] + _CACHE_LINE)
    kin, state, vec, matrices = (
        room[end - math.prod(shape) : end].reshape(shape)
        for end, shape in zip(ends[1:], shapes, strict=True)
    )
    return kin, state, vec, matrices


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
    n, d = x.shape
    objective, nothing = np.full(n, np.inf), np.empty((0, 0, 0))
    _search(
        tv, loads, n_eta, _factors(loads) == 2, doses, levels, error,
        _known_occasions(doses, levels, n), True, objective, x, nothing, *_space(loads, d),
        x, objective, gradient, nothing, np.empty((len(levels), levels.shape[2])),
        np.zeros(n, np.int64), _status_before(tv, n),
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
        poorly (see `_enough`), every start is tried with a detour: first to the minimum with
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
    n, d = levels.shape[0], n_eta + doses.shape[2] * (loads.shape[1] - n_eta)
    known, together = _known_occasions(doses, levels, n), _factors(loads) == 2
    x, prior, space = np.zeros((n, d)), 2.0 * np.eye(d), _space(loads, d)
    x[:, :n_eta] = starts[0]
    objective, hessian = np.full(n, np.inf), np.empty((n, d, d))
    hessian[:] = prior
    predicted, evaluations = np.full((n, levels.shape[2]), np.nan), np.zeros(n, np.int64)
    status, none = _status_before(tv, n), np.empty((0, 0))
    _search(
        tv, loads, n_eta, together, doses, levels, error, known, False,
        np.full(n, np.inf), x, hessian, *space,
        x, objective, none, hessian, predicted, evaluations, status,
    )  # fmt: skip
    status[(status == BAD_LEVEL) & (objective < np.inf)] = NOT_CONVERGED
    failed = status != OK
    objective[failed], x[failed], hessian[failed] = np.inf, 0.0, prior

    def search(rows: I8, here: F8, is_detour: bool) -> F8:
        """Where searches of these rows end that begin `here`; the lowest minimum is kept."""
        own = [array if len(array) == 1 else array[rows] for array in (tv, doses)]
        value, best = np.full(rows.size, np.inf), objective[rows]
        outcome = np.full(rows.size, BAD_LEVEL, np.int8)
        found, fitted, cost = hessian[rows], predicted[rows], np.zeros(rows.size, np.int64)
        _search(
            own[0], loads, n_eta, together, own[1], levels[rows],
            log_error if is_detour else error, known[rows], False,
            np.full(rows.size, np.inf) if is_detour else best, x[rows], hessian[rows],
            *space, here, value, none, found, fitted, cost, outcome,
        )  # fmt: skip
        np.add.at(evaluations, rows, cost)
        if not is_detour:
            seen = rows[value < np.inf]
            status[seen[status[seen] == BAD_LEVEL]] = NOT_CONVERGED
            lower = np.flatnonzero((outcome == OK) & (value < best))
            lower = lower[np.argsort(-value[lower], kind="stable")]  # of several the last is kept
            better = rows[lower]
            x[better], objective[better], status[better] = here[lower], value[lower], OK
            hessian[better], predicted[better] = found[lower], fitted[lower]
        return here

    poor = np.flatnonzero((status != BAD_PARAMETER) & ~(objective < _enough(levels, error)))
    if poor.size:
        log_error = np.array([0.0, 0.0, max(error[0], error[2], DETOUR_SD)])
        begin = np.zeros((len(starts), poor.size, d))
        begin[:, :, :n_eta] = starts[:, None]
        many = np.tile(poor, len(starts))
        ends = search(many, begin.reshape(-1, d), True)
        search(poor, ends[: poor.size], False)
        search(many[poor.size :], ends[poor.size :], False)
    covariance = 2.0 * np.linalg.inv(hessian)
    failed = status != OK
    for found in (x, objective, covariance, predicted):
        found[failed] = np.nan
    return x, objective, covariance, predicted, evaluations, status
