"""Most likely random effects given levels: objective, exact gradient, and search."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fludapk.arrays import F8, I8
from fludapk.pk.jit import kernel, part, woven
from fludapk.pk.kernels.arithmetic import (
    BAD_LEVEL,
    BAD_PARAMETER,
    CL,
    NOT_CONVERGED,
    OK,
    ROUNDING,
    TURNS,
    V1,
    Status,
    exp_parts,
    factors_of,
    is_usable,
    rotation,
    row_of,
)
from fludapk.pk.program import usable

MAX_ITERATIONS: Final = 200
FISHER_ITERATIONS: Final = 15
"""Iterations before exact second derivatives: Fisher's expected ones are slow in poor fits."""
NEAR: Final = 1e-8
"""Expected fall of the objective at which one more Newton step ends a search."""
MAX_STEP: Final = 4.0
"""Longest step, in prior SD."""
JOINED: Final = 0.5
"""Squared distance from a known minimum at which a search ends: half an SD of its posterior."""
DETOUR_SD: Final = 0.1
"""Lowest SD on the log scale of the detour of a search."""
# ------------------------------------------------------------------ Bayesian estimation
#
# One subject at a time. Parts share four arrays, because each array costs seven words of a call:
# `kin`, rows of three, a column per compartment (flows, volumes) or per rate (the others);
# `state`, rows of three: z, then its derivatives for each effect; `vec`, rows of an effect each;
# and a matrix.

_FLOWS, _VOLUMES, _ROOTS, _RATES, _TYPICAL, _STAYS, _GAINS = range(7)
"""Rows of `kin`; `_ROOTS` are those of the volumes, `_TYPICAL` the rates of typical values."""
_BASIS, _BLEND, _PULL = 7, 10, 13
"""First rows of U, of the integrals of `_step_forward`, of U' dM U for each effect in force."""

_HERE, _TRIAL, _STEP, _SLOPE, _GRADIENT, _NEW_GRADIENT = range(6)
"""Columns of `vec`; `_SLOPE` holds the derivatives of a concentration."""


@part
def _log_normal_cdf(u: float) -> tuple[float, float]:
    """Return the logarithm of Phi(u), and its derivative phi / Phi."""
    if u > -20.0:
        cdf = 0.5 * math.erfc(-u / math.sqrt(2.0))
        return math.log(cdf), math.exp(-0.5 * u * u) / (math.sqrt(2.0 * math.pi) * cdf)
    ratio = -u  # a continued fraction, because Phi itself would underflow
    for k in range(12, 0, -1):
        ratio = -u + k / ratio
    return -0.5 * u * u - 0.5 * math.log(2.0 * math.pi) - math.log(ratio), ratio


@part
def _level(f: float, conc: float, lloq: float, error: F8) -> tuple[float, float, float]:
    """Return -2 log likelihood of a level predicted as f, its derivative and expected curvature."""
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
        both = error[3] * error[0] * error[1]
        v = error[0] * error[0] * f * f + error[1] * error[1] + 2.0 * both * f
        if not below:
            r = conc - f
            square, dv = r * r / v, 2.0 * (error[0] * error[0] * f + both) / v
            return square + math.log(v), (1.0 - square) * dv - 2.0 * r / v, 2.0 / v + dv * dv
        if v == 0.0:
            return 0.0, 0.0, 0.0
        sd = math.sqrt(v)
        u = (lloq - f) / sd
        du = -1.0 / sd - u * error[0] * error[0] * f / v - u * both / v
    log_cdf, ratio = _log_normal_cdf(u)
    if ratio == 0.0:
        return -2.0 * log_cdf, 0.0, 0.0
    return -2.0 * log_cdf, -2.0 * ratio * du, 2.0 * ratio * max(ratio + u, 0.0) * du * du


@part
def _decompose(kin: F8) -> None:
    """Compute rates and eigenvectors of one subject, as `_decompose_lanes` does."""
    for r in range(3):
        for q in range(3):
            kin[_BASIS + r, q] = 0.0
    kin[_BASIS, 1] = kin[_BASIS + 1, 0] = kin[_BASIS + 2, 2] = 1.0
    v1, v2, v3 = kin[_VOLUMES, 0], kin[_VOLUMES, 1], kin[_VOLUMES, 2]
    q2, q3 = kin[_FLOWS, 1], kin[_FLOWS, 2]
    a, b, c = q2 / v2, (kin[_FLOWS, 0] + q2 + q3) / v1, q3 / v3
    off, cross = -q2 / math.sqrt(v1 * v2), -q3 / math.sqrt(v1 * v3)
    negligible = ROUNDING * b * b
    for turn in range(TURNS):
        if turn % 3 == 0 and off * off + cross * cross <= negligible:
            break
        t, co, si = rotation(a, b, off, negligible)
        a, b, c = b + t * off, c, a - t * off
        off, cross = co * cross, -si * cross
        for r in range(_BASIS, _BASIS + 3):
            left, right, last = kin[r, 0], kin[r, 1], kin[r, 2]
            kin[r, 0], kin[r, 1], kin[r, 2] = si * left + co * right, last, co * left - si * right
    kin[_RATES, 0], kin[_RATES, 1], kin[_RATES, 2] = max(a, 0.0), max(b, 0.0), max(c, 0.0)


@part
def _pulls(loads: F8, kin: F8) -> None:
    """Compute U' dM U for each column of loadings.

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


@part
def _turn(kin: F8, state: F8, rows: int, back: bool) -> None:
    """Multiply each of the first rows by U or, going `back`, by U'."""
    for j in range(rows):
        x, y, z = state[j, 0], state[j, 1], state[j, 2]
        for r in range(3):
            if back:
                u, v, w = kin[_BASIS, r], kin[_BASIS + 1, r], kin[_BASIS + 2, r]
            else:
                u, v, w = kin[_BASIS + r, 0], kin[_BASIS + r, 1], kin[_BASIS + r, 2]
            state[j, r] = u * x + v * y + w * z


@part
def _begin_occasion(
    typical: F8, loads: F8, n_eta: int, together: bool, k: int, slopes: bool, kin: F8, state: F8,
    vec: F8,
) -> bool:  # fmt: skip
    """Set parameters, rates, state and derivatives of occasion k, from those of the one before.

    Amounts are continuous. Return False if a parameter is not finite and positive.
    """
    n_kappa = loads.shape[1] - n_eta
    old, new = n_eta + (k - 1) * n_kappa, n_eta + k * n_kappa
    known = 1 + new if slopes else 1  # rows of state that exist already
    if k > 0:
        _turn(kin, state, known, False)
        for j in range(known - 1, -1, -1):
            for r in range(kin.shape[1]):
                if j > old:  # the effect of a kappa on the volumes ends here
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
    if not is_usable(kin[0, 0], kin[1, 0], kin[0, 1], kin[1, 1], kin[0, 2], kin[1, 2]):
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


@part
def _convolution(lo: float, hi: float, e_lo: float, e_hi: float, h: float) -> float:
    """Return the integral of exp(-hi (h - s)) exp(-lo s) over a step of h hours; lo <= hi."""
    gap = hi - lo
    if gap * h > 0.5:
        return (e_lo - e_hi) / gap
    return e_lo * h if gap == 0.0 else e_lo * -math.expm1(-gap * h) / gap


@part
def _convolution_of_gain(lo: float, hi: float, gain_lo: float, e: float, h: float) -> float:
    """Return the integral of exp(-hi (h - s)) (1 - exp(-lo s)) / lo; e is the `_convolution`."""
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


@woven
def _step_forward(
    drive: float, h: float, loads: F8, n_eta: int, together: bool, k: int, slopes: bool,
    kin: F8, state: F8,
) -> None:  # fmt: skip
    """Advance state and derivatives by h hours of occasion k; `drive` is R/sqrt(V1).

    The derivatives follow dy/ds = -Lam y - U' dM U z + db: variation of constants gives integrals
    of two exponentials, smooth where rates are equal, so eigenvectors are never differentiated.
    """
    for a in range(3):
        rate = kin[_RATES, a]
        p, power = exp_parts(max(-rate * h, -708.0))
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
            in_force = j < n_eta or j >= first  # false for a kappa of an earlier occasion
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


@part
def _objective(
    typical: F8, loads: F8, n_eta: int, together: bool, doses: F8, levels: F8, error: F8,
    known: int, slopes: bool, kin: F8, state: F8, vec: F8, curvature: F8, predicted: F8,
) -> float:  # fmt: skip
    """Return -2 log posterior at the normals of `_TRIAL`, infinite where it is not defined.

    With `slopes` also write its gradient, into `_NEW_GRADIENT`, and Fisher's expected curvature
    (lower triangle). `known` occasions have begun before the last level.
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
        if (k == 0 or n_kappa > 0 or typical.shape[0] > 1) and not _begin_occasion(
            typical[row_of(k, typical.shape[0])], loads, n_eta, together, k, slopes, kin, state, vec
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
    return total if total < np.inf else np.inf  # NaN becomes infinite


@woven
def _concentration(
    loads: F8, n_eta: int, k: int, slopes: bool, kin: F8, state: F8, vec: F8
) -> float:
    """Return the concentration on occasion k; write its derivatives into `_SLOPE`."""
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


@part
def _root(matrix: F8, damping: float, d: int, out: F8) -> bool:
    """Write the Cholesky factor of matrix plus damping; return False if not positive definite."""
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


@part
def _newton(curvature: F8, largest: float, damping: float, d: int, root: F8, vec: F8) -> float:
    """Write Newton's step with Levenberg's damping; return the damping, infinite without a step."""
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


@part
def _quadratic(matrix: F8, vec: F8, d: int) -> float:
    """Return v' matrix v of a lower triangle and the step v."""
    total = 0.0
    for i in range(d):
        for j in range(i + 1):
            both = vec[i, _STEP] * matrix[i, j] * vec[j, _STEP]
            total += both if i == j else 2.0 * both
    return total


@part
def _product(vec: F8, left: int, right: int, d: int) -> float:
    """Return the scalar product of two columns."""
    total = 0.0
    for j in range(d):
        total += vec[j, left] * vec[j, right]
    return total


@kernel
def _search(
    tv: F8, loads: F8, n_eta: int, together: bool, doses: F8, levels: F8, error: F8, known: I8,
    given: bool, best: F8, at: F8, around: F8, kin: F8, state: F8, vec: F8, matrices: F8,
    x: F8, objective: F8, gradient: F8, hessian: F8, predicted: F8, evaluations: I8, status: Status,
) -> None:  # fmt: skip
    """Search once for every subject from the effects in `x`; only evaluate them if `given`.

    A search descends to a minimum, and stops where it joins a known one: of value `best`, at `at`,
    with second derivatives `around`. Steps are those of Fisher scoring with Levenberg's damping;
    the last ones use the exact second derivatives, differences of the exact gradient. The objective
    never rises.

    The last seven arrays are written; `status` marks subjects without valid typical values, and
    gets `OK` where a search ended at a minimum.
    """
    curvature, new_curvature, root = matrices[0], matrices[1], matrices[2]
    for i in range(x.shape[0]):
        if status[i] == BAD_PARAMETER:
            continue
        typical, course = tv[row_of(i, tv.shape[0])], doses[row_of(i, doses.shape[0])]
        sample, fitted = (
            levels[row_of(i, levels.shape[0])],
            predicted[row_of(i, predicted.shape[0])],
        )
        if together and (i == 0 or tv.shape[0] > 1):
            for q in range(3):
                kin[_FLOWS, q], kin[_VOLUMES, q] = typical[0, 2 * q], typical[0, 2 * q + 1]
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
    """Return `BAD_PARAMETER` for subjects without valid typical values, `BAD_LEVEL` for others."""
    every = usable(tv).reshape(len(tv), -1).all(axis=1)  # occasion
    return np.full(n, np.where(every, BAD_LEVEL, BAD_PARAMETER), np.int8)


def _known_occasions(doses: F8, levels: F8, n: int) -> I8:
    """Return the number of occasions of each subject that have begun before the last level."""
    last = np.fmax.reduce(levels[:, 0], axis=-1, keepdims=True, initial=-np.inf)
    return np.full(n, (doses[:, 0] < last).sum(axis=-1), np.int64)


def _goes_together(tv: F8, loads: F8) -> bool:
    """Tell if one factor is on all flows and one on all volumes, on every occasion."""
    return factors_of(loads) == 2 and tv.shape[1] == 1


def _poor_fit_limit(levels: F8, error: F8) -> F8:
    """Return the objective above which a fit is poor: a better minimum may be elsewhere.

    A fit without residuals and effects has nearly the lowest objective possible. Above that the
    objective is about a chi-square of as many degrees of freedom as levels; the limit is its mean
    plus four SD.
    """
    proportional, additive, log_sd, is_sum = error
    is_level, conc = ~np.isnan(levels[:, 0]), levels[:, 1]
    variance = (proportional * conc) ** 2 + additive**2
    variance = variance + is_sum * 2.0 * proportional * additive * conc
    variance = log_sd**2 if log_sd > 0.0 else variance
    is_quantified = is_level & ~np.isnan(conc)
    lowest = np.where(is_quantified, np.log(np.where(is_quantified, variance, 1.0)), 0.0)
    n = is_level.sum(axis=-1)
    return np.asarray(lowest.sum(axis=-1) + n + 4.0 * np.sqrt(2.0 * n))


_CACHE_LINE: Final = 16
"""Number of doubles in two cache lines, which processors load together."""


def _space(loads: F8, d: int) -> tuple[F8, F8, F8, F8]:
    """Return arrays for one thread, in one block: threads that share a cache line are slow."""
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
    """Compute -2 log posterior density of given effects.

    Parameters
    ----------
    tv, loads, n_eta, doses, levels, error
        As in `map_estimates`; one row stands for all.
    x : (n, n_eta + doses * n_kappa)
        Standard normals of eta, then of each occasion. Those of occasions that begin after the
        last level are ignored.
    gradient : (n, n_eta + doses * n_kappa) or (0, 0)
        Written: the derivatives; not computed if (0, 0).

    Returns
    -------
    (n,)
        As `objective` of `map_estimates`; infinite where the effects are impossible.
    """
    n, d = x.shape
    objective, empty = np.full(n, np.inf), np.empty((0, 0, 0))
    _search(
        tv, loads, n_eta, _goes_together(tv, loads), doses, levels, error,
        _known_occasions(doses, levels, n), True, objective, x, empty, *_space(loads, d),
        x, objective, gradient, empty, np.empty((len(levels), levels.shape[2])),
        np.zeros(n, np.int64), _status_before(tv, n),
    )  # fmt: skip
    return objective


def map_estimates(
    tv: F8, loads: F8, n_eta: int, doses: F8, levels: F8, error: F8, starts: F8
) -> tuple[F8, F8, F8, F8, I8, Status]:
    """Find the most likely random effects of every subject, given levels.

    Parameters
    ----------
    tv : (n or 1, doses or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3 of every occasion; L/h and L.
    loads : (6, n_eta + n_kappa)
        Loadings of standard normals, that is loadings times Cholesky factor: etas, then kappas.
    n_eta : int
        Number of etas.
    doses : (n or 1, 3, doses)
        Start (h), duration (h) and amount (mg); ordered, not overlapping. Later doses of 0 mg may
        pad a row.
    levels : (n, 3, m)
        Time (h), ascending; concentration (mg/L), NaN if below the limit; limit of quantification
        (mg/L), used only for levels below it. Times of NaN pad a row.
    error : (4,)
        Proportional, additive (mg/L) and log-scale residual SD; the last excludes the others. Then
        1 if the first two add as SDs, 0 if as variances.
    starts : (s, n_eta)
        Standard normals of eta from which to search, usually zero first. If the first fails or fits
        poorly (see `_poor_fit_limit`), every start is tried with a detour: first to the minimum
        with an error of constant SD on the log scale, which has a slope far away, where that of a
        proportional error vanishes. The lowest minimum counts.

    Returns
    -------
    x : (n, n_eta + doses * n_kappa)
        Standard normals of eta, then of each occasion; zero for occasions after the last level.
    objective : (n,)
        -2 log posterior: for a level log(v) + r^2/v, or -2 log Phi((limit - f)/sd), or their
        counterparts on the log scale, plus the sum of squares of x. Left out are log(2 pi) of each
        level with a number, twice its logarithm on the log scale, and the constants of the prior.
    covariance : (n, d, d)
        Covariance of x, by Laplace: twice the inverse of the exact second derivatives of the
        objective, which are positive definite only at a minimum (the expected ones always are).
    predicted : (n, m)
        mg/L at x; NaN where there is no level.
    evaluations : (n,)
        Number of evaluations of the objective and its gradient.
    status : (n,)
        `OK`, `BAD_PARAMETER`, `BAD_LEVEL` or `NOT_CONVERGED`; all but the first give NaN.
    """
    n, d = levels.shape[0], n_eta + doses.shape[2] * (loads.shape[1] - n_eta)
    known, together = _known_occasions(doses, levels, n), _goes_together(tv, loads)
    x, prior, space = np.zeros((n, d)), 2.0 * np.eye(d), _space(loads, d)
    x[:, :n_eta] = starts[0]
    objective, hessian = np.full(n, np.inf), np.empty((n, d, d))
    hessian[:] = prior
    predicted, evaluations = np.full((n, levels.shape[2]), np.nan), np.zeros(n, np.int64)
    status, empty = _status_before(tv, n), np.empty((0, 0))
    _search(
        tv, loads, n_eta, together, doses, levels, error, known, False,
        np.full(n, np.inf), x, hessian, *space,
        x, objective, empty, hessian, predicted, evaluations, status,
    )  # fmt: skip
    status[(status == BAD_LEVEL) & (objective < np.inf)] = NOT_CONVERGED
    failed = status != OK
    objective[failed], x[failed], hessian[failed] = np.inf, 0.0, prior

    def search(rows: I8, here: F8, is_detour: bool) -> F8:
        """Search from `here` for these rows, keep minima that are lower, return the ends."""
        own = [array if len(array) == 1 else array[rows] for array in (tv, doses)]
        value, best = np.full(rows.size, np.inf), objective[rows]
        outcome = np.full(rows.size, BAD_LEVEL, np.int8)
        curvature, fitted, cost = hessian[rows], predicted[rows], np.zeros(rows.size, np.int64)
        _search(
            own[0], loads, n_eta, together, own[1], levels[rows],
            log_error if is_detour else error, known[rows], False,
            np.full(rows.size, np.inf) if is_detour else best, x[rows], hessian[rows],
            *space, here, value, empty, curvature, fitted, cost, outcome,
        )  # fmt: skip
        np.add.at(evaluations, rows, cost)
        if not is_detour:
            possible = rows[value < np.inf]
            status[possible[status[possible] == BAD_LEVEL]] = NOT_CONVERGED
            lower = np.flatnonzero((outcome == OK) & (value < best))
            lower = lower[np.argsort(-value[lower], kind="stable")]  # the lowest is assigned last
            better = rows[lower]
            x[better], objective[better], status[better] = here[lower], value[lower], OK
            hessian[better], predicted[better] = curvature[lower], fitted[lower]
        return here

    limit = _poor_fit_limit(levels, error)
    poor = np.flatnonzero((status != BAD_PARAMETER) & ~(objective < limit))
    if poor.size:
        log_error = np.array([0.0, 0.0, max(error[0], error[2], DETOUR_SD), 0.0])
        begin = np.zeros((len(starts), poor.size, d))
        begin[:, :, :n_eta] = starts[:, None]
        repeated = np.tile(poor, len(starts))
        ends = search(repeated, begin.reshape(-1, d), True)
        search(poor, ends[: poor.size], False)
        search(repeated[poor.size :], ends[poor.size :], False)
    covariance = 2.0 * np.linalg.inv(hessian)
    failed = status != OK
    for array in (x, objective, covariance, predicted):
        array[failed] = np.nan
    return x, objective, covariance, predicted, evaluations, status
