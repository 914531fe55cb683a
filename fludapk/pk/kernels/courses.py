"""Exposure and concentrations of courses, 32 subjects at a time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from fludapk.arrays import F8, I8
from fludapk.pk import jit
from fludapk.pk.jit import kernel, part
from fludapk.pk.kernels.arithmetic import (
    BAD_PARAMETER,
    OK,
    ROUNDING,
    TURNS,
    Status,
    exp_parts,
    factors_of,
    is_usable,
    rotation,
    row_of,
)


def cache_folder() -> Path | None:
    """Return the folder of compiled kernels; None if no folder is writable."""
    return jit.folder(_courses)


# ------------------------------------------------------------------ many subjects at once
#
# Subjects are taken LANES at a time, so that the compiler can give each instruction several of
# them. For that a loop over lanes must hold arithmetic only: exp is a polynomial here, which also
# makes its bits the same on every machine, and the workspace is one array, a row per quantity.
# Loops are short, because the processor then works at several turns of them at once.

LANES: Final = 32

_BASE, _P = (row * LANES for row in (0, 6))
_LAM, _OFF, _U, _BODY, _PUSH = (row * LANES for row in (12, 15, 17, 26, 29))
_LAM_1, _LAM_2, _OFF_1 = _LAM + LANES, _LAM + 2 * LANES, _OFF + LANES
_V1, _Q2, _V2, _Q3, _V3 = (_P + row * LANES for row in range(1, 6))
_END, _RATE, _WEIGHT, _NOW = (row * LANES for row in (32, 35, 38, 41))
_DOSE, _CLEARANCE, _TROUGH, _WHOLE, _AREA, _USABLE, _NEGLIGIBLE = (
    row * LANES for row in range(44, 51)
)
_Z, _AMOUNTS = 51 * LANES, 54 * LANES
_CONC, _BEFORE, _TOTAL, _PEAK = (row * LANES for row in range(57, 61))
_CARRIED: Final = 10 * LANES
"""Number of elements from `_Z` on that an occasion hands to the next."""
_WAITS: Final = 61 * LANES
"""Start of one block per wait: the share of the state that remains, then the gain per mg/h."""
_WAIT: Final = 6 * LANES
_INFUSION, _MOMENT, _REST, _SINCE, _STRIDE = range(5)
"""Waits: an infusion; to a time within it; from its end to the next dose; from its end to a time;
one step of an even grid."""
_N_WAITS: Final = 5
_HOURS: Final = _WAITS + _N_WAITS * _WAIT
"""Length of each wait, h; NaN if it is not needed."""
_DONE: Final = _HOURS + _N_WAITS
"""Length, h, for which the block of each wait was last computed with these rates."""
_WORKSPACE: Final = _HOURS + LANES

_STEPS: Final = 32
"""Number of times of an even grid for which exponentials are taken once."""


@part
def _factor_lanes(
    first: int, n: int, factors: int, loads: F8, effects: F8, column: int, f: F8
) -> None:
    """Compute the factors of subjects from `first` on, by their effects from `column` on.

    `f` has six of a lane, one for each parameter; two `factors` are copied to the others. Lanes
    beyond the last subject repeat it.
    """
    for x in range(6 * LANES):
        f[x] = 0.0
    for q in range(factors):
        for r in range(loads.shape[1]):
            load = loads[q, r]
            for j in range(LANES if load != 0.0 else 0):
                me = row_of(min(first + j, n - 1), effects.shape[0])
                f[q * LANES + j] += load * effects[me, column + r]
    for x in range(min(factors, 6) * LANES):
        shift = f[x]
        p, power = exp_parts(min(max(shift, -708.0), 708.0))
        value = power * p + power
        f[x] = 0.0 if shift < -708.0 else np.inf if shift > 708.0 else value
    for x in range(2 * LANES if factors == 2 else 0):
        f[2 * LANES + x] = f[4 * LANES + x] = f[x]


@part
def _wait(w: F8) -> None:
    """Compute the block of every wait whose length is new; a gain only if drug is given."""
    for wait in range(_N_WAITS):
        h, to = w[_HOURS + wait], _WAITS + wait * _WAIT
        if math.isnan(h) or h == w[_DONE + wait]:
            continue
        w[_DONE + wait] = h
        for x in range(3 * LANES):
            rate = w[_RATE + x]
            p, power = exp_parts(max(-rate * h, -708.0))
            w[to + x] = power * p + power
            w[to + 3 * LANES + x] = -(power * p + (power - 1.0))
        for x in range(3 * LANES if wait <= _MOMENT else 0):
            rate, loss = w[_RATE + x], w[to + 3 * LANES + x]
            tiny = rate * h < 1e-300
            w[to + 3 * LANES + x] = h if tiny else loss / (1.0 if tiny else rate)


@part
def _rotate_lanes(w: F8) -> None:
    """Rotate away the off-diagonal element of the first two of three compartments.

    The first then comes last, so that the next call takes the next two. The element of the first
    and the last is zero at the start, and again after every rotation. A finished lane is not
    changed, so that its result does not depend on the others.
    """
    for j in range(LANES):
        a, b, off, cross = w[_LAM + j], w[_LAM_1 + j], w[_OFF + j], w[_OFF_1 + j]
        t, co, si = rotation(a, b, off, w[_NEGLIGIBLE + j])
        w[_LAM + j], w[_LAM_1 + j], w[_LAM_2 + j] = b + t * off, w[_LAM_2 + j], a - t * off
        w[_OFF + j], w[_OFF_1 + j] = co * cross, -si * cross
        for i in range(3):
            x = _U + 3 * i * LANES + j
            left, right, last = w[x], w[x + LANES], w[x + 2 * LANES]
            w[x], w[x + LANES] = si * left + co * right, last
            w[x + 2 * LANES] = co * left - si * right


@part
def _decompose_lanes(w: F8) -> None:
    """Compute rates and eigenvectors U of M in every lane, and the weights of z.

    The weights give the amount in the body (`_BODY`) and what an infusion adds to z per mg
    (`_PUSH`). Jacobi rotations are accurate for equal rates, too, and converge quadratically.
    """
    for x in range(9 * LANES):
        w[_U + x] = 0.0
    for j in range(LANES):  # the central compartment comes second: the tissues do not exchange
        v1, q2, v2, q3, v3 = w[_V1 + j], w[_Q2 + j], w[_V2 + j], w[_Q3 + j], w[_V3 + j]
        total = (w[_P + j] + q2 + q3) / v1
        w[_LAM + j], w[_LAM_1 + j], w[_LAM_2 + j] = q2 / v2, total, q3 / v3
        w[_OFF + j], w[_OFF_1 + j] = -q2 / math.sqrt(v1 * v2), -q3 / math.sqrt(v1 * v3)
        w[_NEGLIGIBLE + j] = ROUNDING * total * total
        w[_U + LANES + j] = w[_U + 3 * LANES + j] = w[_U + 8 * LANES + j] = 1.0
    for turn in range(TURNS):
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


@part
def _enter_lanes(first: int, n: int, tv: F8, f: F8, w: F8) -> None:
    """Set parameters from typical values and factors, before any dose."""
    for j in range(LANES):
        i = row_of(min(first + j, n - 1), tv.shape[0])
        for q in range(6):
            w[_BASE + q * LANES + j] = tv[i, q] * f[q * LANES + j]
        w[_USABLE + j] = 1.0
    for x in range(_CARRIED):
        w[_Z + x] = 0.0


@part
def _parameter_lanes(together: bool, f: F8, w: F8) -> None:
    """Set parameters, without the factors if these go `together`; replace impossible ones."""
    for j in range(LANES):
        for q in range(6):
            x = q * LANES + j
            w[_P + x] = w[_BASE + x] * (1.0 if together else f[x])
        usable = is_usable(w[_P + j], w[_V1 + j], w[_Q2 + j], w[_V2 + j], w[_Q3 + j], w[_V3 + j])
        w[_USABLE + j] = w[_USABLE + j] if usable else 0.0
        for q in range(6):
            x = _P + q * LANES + j
            w[x] = w[x] if usable else 1.0


@part
def _start_lanes(together: bool, f: F8, w: F8) -> None:
    """Set rates, and `_WEIGHT`, which converts z to a concentration.

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
        flow = f[j] if together else 1.0
        volume = f[LANES + j] if together else 1.0
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


@part
def _occasion_lanes(w: F8, h: float, is_last: bool) -> None:
    """Pass an infusion of h hours and the rest of its occasion; the last one goes to infinity."""
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


@part
def _end_lanes(w: F8) -> None:
    """Add the area from the last dose to infinity, for which no time need pass."""
    for j in range(LANES):
        w[_TOTAL + j] += (w[_DOSE + j] + w[_BEFORE + j]) / w[_CLEARANCE + j]


@part
def _leave_lanes(w: F8) -> None:
    """Compute amounts, to carry them into another basis."""
    for j in range(LANES):
        for i in range(3):
            x = 0.0
            for q in range(3):
                x += w[_U + (3 * i + q) * LANES + j] * w[_Z + q * LANES + j]
            w[_AMOUNTS + i * LANES + j] = x * math.sqrt(w[_V1 + 2 * i * LANES + j])


@part
def _find_moment(t: int, so_far: float, duration: float, w: F8, found: F8) -> None:
    """Compute results at a time within an infusion, `so_far` hours after its start."""
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


@part
def _find_decay(
    begin: int, stop: int, end: float, is_grid: bool, w: F8, times: F8, found: F8
) -> None:
    """Compute results at times after an infusion that ended at `end`.

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


@part
def _write(first: int, mine: int, found: F8, out: F8) -> None:
    """Copy results from rows of times to rows of subjects."""
    for j in range(mine):
        row, column = out[first + j], found[:, j]
        for t in range(row.shape[0]):
            row[t] = column[t]


@kernel
def _courses(
    tv: F8, factors_eta: int, load_eta: F8, eta: F8, factors_kappa: int, load_kappa: F8, kappa: F8,
    infusions: F8, amount: F8, times: F8, spacing: float, reached: I8, f: F8, w: F8,
    found: F8, whole: F8, each: F8, conc: F8, auc: F8,
) -> None:  # fmt: skip
    """Compute `exposure` and `course`; the last four arrays are written unless empty.

    `infusions` has two rows: starts and durations. So has `reached`: the numbers of times up to the
    end of each infusion, after an unused first column, and up to the start of each dose, with all
    times in the last column. `spacing` is that of an even grid, or 0. `whole` gets three rows:
    areas, peaks, and 1 where a subject can be computed; peaks only if `each` is not empty, which
    gets areas and troughs. `f` is a workspace for factors: of etas, then of kappas of each dose.

    `tv` and `amount` have a first axis of patients; each patient has the same effects, and the
    subjects of one come after those of another in the arrays that are written.
    """
    patients, doses = tv.shape[0], infusions.shape[1]
    n = whole.shape[1] // patients
    blocks = (n + LANES - 1) // LANES
    together = factors_kappa == 2
    is_whole = each.shape[1] == 0 and times.shape[0] == 0  # nothing but whole areas is wanted
    steady = kappa.shape[1] == 0  # every occasion is like the first
    for turn in range(blocks * patients):  # patients share the factors of a block
        block = turn // patients
        patient, first = turn - block * patients, block * LANES
        mine, row = min(LANES, n - first), patient * n + first
        amounts = amount[row_of(patient, amount.shape[0])]
        if patient == 0:
            _factor_lanes(first, n, factors_eta, load_eta, eta, 0, f[0])
            for k in range(f.shape[0] - 1):
                column = k * load_kappa.shape[1]
                _factor_lanes(first, n, factors_kappa, load_kappa, kappa, column, f[k + 1])
        _enter_lanes(first, n, tv[patient], f[0], w)
        for k in range(doses):
            for j in range(LANES):
                w[_DOSE + j] = amounts[row_of(min(first + j, n - 1), amounts.shape[0]), k]
            if k == 0 or not steady:
                if k == 0 or not together:
                    _parameter_lanes(together, f[k + 1], w)
                    _decompose_lanes(w)
                _start_lanes(together, f[k + 1], w)
                for wait in range(_N_WAITS):
                    w[_DONE + wait] = np.nan
            is_last = k + 1 == doses
            if is_last and is_whole:
                _end_lanes(w)
                continue
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
                each[0, row + j, k] = w[_AREA + j]
                each[1, row + j, k] = w[_TROUGH + j]
        if conc.shape[0] > 0:
            _write(row, mine, found[0], conc)
        if auc.shape[0] > 0:
            _write(row, mine, found[1], auc)
        for j in range(mine):
            whole[0, row + j] = w[_TOTAL + j]
            whole[1, row + j] = w[_PEAK + j]
            whole[2, row + j] = w[_USABLE + j]


def _run(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, start: F8, duration: F8, amount: F8,
    times: F8, whole: F8, each: F8, conc: F8, auc: F8,
) -> Status:  # fmt: skip
    """Call `_courses`; subjects that cannot be computed get NaN."""
    reached = np.zeros((2, 1 + start.size), np.int64)
    if times.size:
        reached[0, 1:] = np.searchsorted(times, start + duration, "right")
        reached[1] = np.searchsorted(times, np.append(start, np.inf), "right")
    found = np.zeros((2 if auc.size else 1, times.size, LANES))
    occasions = start.size if load_kappa.shape[1] else 1  # that differ
    _courses(
        _by_patient(tv), factors_of(load_eta), load_eta, eta, factors_of(load_kappa), load_kappa,
        kappa.reshape(len(kappa), start.size * load_kappa.shape[1]),
        np.array((start, duration)), _by_patient(amount), times, _even_spacing(times),
        reached, np.empty((1 + occasions, 6 * LANES)), np.empty(_WORKSPACE),
        found, whole, each, conc, auc,
    )  # fmt: skip
    bad, status = whole[2] != 1.0, np.full(whole.shape[1], OK, np.int8)
    if bad.any():
        status[bad] = BAD_PARAMETER
        whole[:, bad] = np.nan
        for array in (*each, conc, auc):
            if array.size:
                array[bad] = np.nan
    return status


def _by_patient(rows: F8) -> F8:
    """Return rows with an axis of patients before them; of one patient if there is none."""
    return rows if rows.ndim == 3 else rows[None]


def areas(
    tv: F8, load_eta: F8, eta: F8, load_kappa: F8, kappa: F8, start: F8, duration: F8, amount: F8
) -> tuple[F8, Status]:
    """Compute areas of many patients with the same effects.

    Parameters
    ----------
    tv : (patients, n or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3; L/h and L.
    load_eta, eta, load_kappa, kappa, start, duration
        As in `exposure`, for the n subjects that each patient stands for.
    amount : (patients or 1, n or 1, doses)
        Doses, mg F-ara-A.

    Returns
    -------
    auc_0_inf : (patients, n)
        mg h/L, from the first dose to infinity.
    status : (patients, n)
        As in `exposure`.
    """
    shape = tv.shape[0], max(tv.shape[1], eta.shape[0], kappa.shape[0], amount.shape[1])
    whole, nothing = np.empty((3, shape[0] * shape[1])), np.empty((2, 0, 0))
    nowhere = np.empty((0, 0))
    status = _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount,
        np.empty(0), whole, nothing, nowhere, nowhere,
    )  # fmt: skip
    return whole[0].reshape(shape), status.reshape(shape)


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
    """Compute areas, peak and troughs of a course of infusions.

    Parameters
    ----------
    tv : (n or 1, 6)
        Typical CL, V1, Q2, V2, Q3, V3; L/h and L.
    load_eta, load_kappa : (6, n_eta), (6, n_kappa)
        Loadings on their logarithms.
    eta : (n or 1, n_eta)
        Effects between subjects.
    kappa : (n or 1, doses, n_kappa)
        Effects between occasions, one per dose.
    start, duration : (doses,)
        Infusions, h; ordered, not overlapping.
    amount : (n or 1, doses)
        Doses, mg F-ara-A.

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
        `OK`, or `BAD_PARAMETER`, which gives NaN.
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
    """Compute concentrations and, on request, cumulative areas at given times.

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
        As in `exposure`.
    """
    whole, nowhere = np.empty((3, conc.shape[0])), np.empty((2, 0, 0))
    return _run(
        tv, load_eta, eta, load_kappa, kappa, start, duration, amount,
        times, whole, nowhere, conc, auc,
    )  # fmt: skip


def _even_spacing(times: F8) -> float:
    """Return the spacing of an even grid, or 0."""
    if times.size < 3:
        return 0.0
    step = float(times[-1] - times[0]) / (times.size - 1)
    slack = 4.0 * 2.2e-16 * max(abs(times[0]), abs(times[-1]))
    even = times[0] + step * np.arange(times.size)
    return step if np.abs(times - even).max() <= slack else 0.0
