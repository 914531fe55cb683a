"""Arithmetic that both kernels share: validity of parameters, a rotation, an exponential."""

from __future__ import annotations

import math
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fludapk.arrays import F8
from fludapk.pk.jit import inlined, part

Status = npt.NDArray[np.int8]

OK: Final = 0
BAD_PARAMETER: Final = 1
"""A clearance or volume of this subject is not finite and positive."""
BAD_LEVEL: Final = 2
"""A level of this subject has no likelihood: it was measured where the model has no drug."""
NOT_CONVERGED: Final = 3
"""No minimum was found from any start."""
CL, V1, Q2, V2, Q3, V3 = range(6)


# ------------------------------------------------------------------ parts of both kernels


@part
def is_usable(cl: float, v1: float, q2: float, v2: float, q3: float, v3: float) -> bool:
    """Tell if parameters are finite and positive; a flow to a tissue may be zero."""
    total = cl + v1 + q2 + v2 + q3 + v3  # not below infinity if any is infinite or NaN
    return (min(cl, v1, v2, v3) > 0.0) & (min(q2, q3) >= 0.0) & (total < np.inf)


@part
def row_of(i: int, rows: int) -> int:
    """Return the row of subject i in an array with a row for each subject, or one for all."""
    return i if rows > 1 else 0


ROUNDING: Final = 1e-34
"""Square of the size, relative to the largest rate, that counts as zero."""
TURNS: Final = 36
"""Maximum number of rotations: three are a sweep, and four or five sweeps suffice."""


@inlined
def rotation(a: float, b: float, off: float, negligible: float) -> tuple[float, float, float]:
    """Return tangent, cosine and sine of the rotation that makes [[a, off], [off, b]] diagonal."""
    d = b - a
    idle = off * off <= negligible
    reach = abs(d) + math.sqrt(d * d + 4.0 * off * off)
    t = 0.0 if idle else 2.0 * off / (1.0 if idle else reach)
    t = t if d >= 0.0 else -t
    co = 1.0 / math.sqrt(1.0 + t * t)
    return t, co, t * co


_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_TO_INTEGER: Final = 6755399441055744.0
"""1.5 * 2^52: adding it rounds to an integer, which is then in the low bits."""


@intrinsic
def _compiled_power_of_2(_typing: Any, shifted: Any) -> Any:
    """Return 2^k for a double that holds k + `_TO_INTEGER`, by putting k into the exponent."""

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


@inlined
def exp_parts(x: float) -> tuple[float, float]:
    """Return expm1 of a remainder, and a power of 2: exp(x) = (1 + first) second, |x| <= 708."""
    shifted = x * _LOG2_E + _TO_INTEGER
    k = shifted - _TO_INTEGER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    s = r * r  # two polynomials in the square, so that the processor evaluates them in parallel
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


def factors_of(loads: F8) -> int:
    """Return 2 if there is one factor on all flows and one on all volumes, otherwise 6.

    With 2 the eigenvectors never change.
    """
    return 2 if (loads[Q2:] == loads[:Q3]).all() else 6
