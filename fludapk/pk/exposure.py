"""Exposure, concentrations and individual parameters of courses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.pk.effects import RandomEffects
from fludapk.pk.kernels import courses as kernels
from fludapk.pk.occasions import ratios, split
from fludapk.pk.program import Program
from fludapk.pk.shapes import ShapeError, check_infusions, check_shapes


@dataclass(frozen=True, eq=False)
class Exposure:
    """Exposure of n simulated courses; see `fludapk.pk.kernels.courses.exposure`."""

    auc_0_inf: F8
    """(n,) mg h/L."""
    auc_per_dose: F8
    """(n, doses) mg h/L, from each dose to the next, the last to infinity."""
    cmax: F8
    """(n,) mg/L."""
    trough: F8
    """(n, doses) mg/L, just before each dose."""

    def row(self, i: int) -> Exposure:
        """Return the exposure of course `i`, from 0."""
        row = slice(i, i + 1)
        return Exposure(
            self.auc_0_inf[row], self.auc_per_dose[row], self.cmax[row], self.trough[row]
        )


def course_exposure(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    theta: F8 | None = None,
) -> Exposure:
    """Compute the exposure of courses of infusions, with one occasion per dose.

    Parameters
    ----------
    program : Program
    tv : (n or 1, 6 + moving) or (n or 1, doses, 6 + moving) array
        Typical CL, V1, Q2, V2, Q3, V3, L/h and L, and what else `Program.typical_values` returns;
        of every occasion, if covariates change.
    effects : RandomEffects
    times_h, infusion_h : (doses,) array
        Starts and durations of the infusions, h; ordered, not overlapping.
    amounts_mg : (n or 1, doses) array
        Doses, mg F-ara-A.
    theta : (t, n) array, optional
        Estimates of each row, as in `Program.typical_values`.

    Raises
    ------
    InputError
        If parameters are not finite and positive, or an exposure is not finite; the first such row
        is named. If shapes do not match, or infusions are impossible; see
        `fludapk.pk.shapes.check_infusions`.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> program = load_model().program
    >>> tv = np.array([[10.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
    >>> typical = RandomEffects.none(program, n_doses=1)
    >>> course_exposure(program, tv, typical, np.zeros(1), np.ones(1), np.array([[50.0]])).auc_0_inf
    array([5.])
    """
    *areas, status = kernels.exposure(
        *_arguments(program, tv, effects, times_h, infusion_h, amounts_mg, theta)
    )
    _raise_for(status)
    _raise_unless_finite(areas[0], areas[2])
    return Exposure(*areas)


def course_areas(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    theta: F8 | None = None,
) -> F8:
    """Compute AUC0-inf of courses of many patients, each with the same random effects.

    Parameters
    ----------
    program : Program
    tv : (patients, n or 1, 6 + moving) or (patients, n or 1, doses, 6 + moving) array
        What `course_exposure` takes, for each patient.
    effects : RandomEffects
        n of them.
    times_h, infusion_h : (doses,) array
        As in `course_exposure`.
    amounts_mg : (patients, doses) array
        Doses, mg F-ara-A.
    theta : (t, n) array, optional
        Estimates of each of the n, as in `Program.typical_values`.

    Returns
    -------
    (patients, n) array
        mg h/L.

    Raises
    ------
    InputError
        As `course_exposure`.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> program = load_model().program
    >>> tv = np.array([[[10.0, 39.0, 8.6, 20.0, 3.8, 50.0]]])
    >>> typical = RandomEffects.none(program, n_doses=1)
    >>> course_areas(program, tv, typical, np.zeros(1), np.ones(1), np.array([[50.0]]))
    array([[5.]])
    """
    amounts = _array(amounts_mg, 2)
    if np.ndim(tv) == 4 or not program.only_shifts:  # occasions that differ from patient to patient
        each = (
            course_exposure(program, own, effects, times_h, infusion_h, mg[None], theta).auc_0_inf
            for own, mg in zip(tv, amounts, strict=True)
        )
        return np.array(list(each))
    course = times_h, infusion_h, amounts
    shared = _arguments(program, tv[0], effects, *course, are_patients=True)[1:7]
    auc, status = kernels.areas(_array(tv, 3), *shared, amounts[:, None])
    _raise_for(status.ravel())
    _raise_unless_finite(auc.ravel())
    return auc


def course_concentrations(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    at_h: F8,
) -> tuple[F8, F8]:
    """Compute concentrations and cumulative areas of courses at given times.

    Parameters
    ----------
    program, tv, effects, times_h, infusion_h, amounts_mg
        As in `course_exposure`.
    at_h : (times,) array
        h, ascending. A sample at the instant of a dose is taken before it.

    Returns
    -------
    conc : (n, times) array
        mg/L.
    auc : (n, times) array
        mg h/L, from the first dose.

    Raises
    ------
    InputError
        If times are not finite and ascending, or parameters not finite and positive.
    """
    at = np.ascontiguousarray(at_h, dtype=np.float64)
    if at.ndim != 1:
        raise ShapeError(f"times must be in one row, not of the shape {at.shape}")
    if np.any(np.diff(at) < 0) or not np.all(np.isfinite(at)):
        raise InputError("times must be finite and ascending")
    arguments = _arguments(program, tv, effects, times_h, infusion_h, amounts_mg)
    n = max(len(arguments[i]) for i in (0, 2, 4, 7))
    conc, auc = np.empty((n, at.size)), np.empty((n, at.size))
    _raise_for(kernels.course(*arguments, at, conc, auc))
    if at.size:
        _raise_unless_finite(conc.max(axis=1), auc.max(axis=1))
    return conc, auc


def with_residual_error(program: Program, conc_mg_l: F8, normals: F8) -> F8:
    """Add the residual error of a model to concentrations, keeping them above zero.

    Parameters
    ----------
    program : Program
    conc_mg_l : array
        mg/L.
    normals : array of the same shape
        Standard normals.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> with_residual_error(load_model().program, np.array([1.0]), np.array([2.0])).round(3)
    array([1.126])
    """
    log_sd = program.error[2]
    if log_sd > 0.0:
        return np.asarray(conc_mg_l * np.exp(log_sd * normals))
    sd = residual_sd(program, conc_mg_l)
    return np.asarray(np.maximum(conc_mg_l + sd * normals, 1e-3 * conc_mg_l))


def residual_sd(program: Program, conc_mg_l: F8) -> F8:
    """Compute the SD of a proportional, additive or combined residual error, mg/L.

    Parameters
    ----------
    program : Program
    conc_mg_l : array
        Predicted, mg/L.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> residual_sd(load_model().program, np.array([1.0]))
    array([0.063])
    """
    proportional, additive, _, is_sum = program.error
    if is_sum:
        return np.asarray(proportional * conc_mg_l + additive)
    return np.asarray(np.hypot(proportional * conc_mg_l, additive))


def individual_parameters(
    program: Program, tv: F8, effects: RandomEffects, times_h: F8 | None = None
) -> F8:
    """Compute CL, V1, Q2, V2, Q3, V3 of every subject on every occasion.

    Parameters
    ----------
    program : Program
    tv : array
        As in `course_exposure`.
    effects : RandomEffects
    times_h : (doses,) array, optional
        Starts of the doses, h; without them, every occasion is like the first.

    Returns
    -------
    (n, occasions, 6) array
        L/h and L.

    Raises
    ------
    InputError
        If shapes do not match.
    """
    check_shapes(
        {
            "tv": (np.shape(tv)[:1] + np.shape(tv)[-1:], (6 + len(program.moving),)),
            "eta": (effects.eta.shape, (program.n_eta,)),
            "kappa": (effects.kappa.shape, (effects.kappa.shape[1], program.n_kappa)),
        }
    )
    shift = effects.eta @ program.load_eta.T
    shift_on = effects.kappa @ program.load_kappa.T
    first = tv[..., :6] if tv.ndim == 2 else tv[:, 0, :6]
    ratio = ratios(program, tv, effects.eta, np.zeros(1) if times_h is None else times_h)
    if ratio is None:
        return np.asarray(first[:, None] * np.exp(shift[:, None] + shift_on))
    return np.asarray(first[:, None] * ratio * np.exp(shift[:, None] + shift_on))


def _arguments(
    program: Program,
    tv: F8,
    effects: RandomEffects,
    times_h: F8,
    infusion_h: F8,
    amounts_mg: F8,
    theta: F8 | None = None,
    *,
    are_patients: bool = False,
) -> tuple[F8, F8, F8, F8, F8, F8, F8, F8]:
    """Return kernel arguments as float64, C order, writable, so that a kernel is compiled once.

    If amounts are those of patients, other arguments may have another number of rows.
    """
    times, lengths, amounts = _array(times_h, 1), _array(infusion_h, 1), _array(amounts_mg, 2)
    check_infusions(times, lengths, amounts)
    own = _array(tv, 3 if np.ndim(tv) == 3 else 2)
    eta, kappa = _array(effects.eta, 2), _array(effects.kappa, 3)
    width = 6 + len(program.moving)
    check_shapes(
        {
            "tv": (own.shape, (width,) if own.ndim == 2 else (len(times), width)),
            "eta": (eta.shape, (program.n_eta,)),
            "kappa": (kappa.shape, (len(times), program.n_kappa)),
            "amounts": (amounts[: 1 if are_patients else None].shape, (len(times),)),
        }
    )
    typical, shifts = split(program, own, eta, times, theta)
    load_kappa = program.load_kappa
    if shifts is not None:  # occasions differ: kernels take this as further kappas
        moved = np.flatnonzero((shifts != 0.0).any(axis=(0, 1)))
        load_kappa = np.hstack([load_kappa, np.eye(6)[:, moved]])
        n = max(len(shifts), len(kappa))
        parts = (kappa, shifts[..., moved])
        kappa = np.concatenate([np.broadcast_to(p, (n, *p.shape[1:])) for p in parts], axis=2)
    return (
        *(_array(typical, 2), _array(program.load_eta, 2), eta, _array(load_kappa, 2)),
        *(_array(kappa, 3), times, lengths, amounts),
    )


def _array(values: F8, ndim: int) -> F8:
    array = np.asarray(values)
    if not (array.dtype == np.float64 and array.flags.carray):
        array = np.require(values, np.float64, ["C", "W", "A"])
    if array.ndim != ndim:
        raise ShapeError(f"expected {ndim} dimensions, not the shape {array.shape}")
    return array


def _raise_for(status: npt.NDArray[np.int8]) -> None:
    if not status.any():  # as a rule
        return
    bad = np.flatnonzero(status)
    raise InputError(f"row {bad[0] + 1}: clearances and volumes must be finite and above zero")


def _raise_unless_finite(*values: F8) -> None:
    """Refuse rows of which a number came out as NaN or infinite."""
    finite = [np.isfinite(value) for value in values]
    if all(good.all() for good in finite):  # as a rule
        return
    bad = np.flatnonzero(~np.all(finite, axis=0))
    raise InputError(
        f"row {bad[0] + 1}: the exposure is no finite number: dose and parameters are beyond "
        "what can be computed"
    )


def rates(parameters: F8) -> F8:
    """Compute disposition rates, ascending; those of absent compartments are 0.

    Parameters
    ----------
    parameters : (n, 6 or more) array
        CL, V1, Q2, V2, Q3, V3; L/h and L.

    Returns
    -------
    (n, 3) array
        1/h. With k compartments the last k rates of a row are those of the model, the first of
        them the terminal rate.

    Examples
    --------
    >>> rates(np.array([[10.0, 20.0, 0.0, 1.0, 0.0, 1.0]]))
    array([[0. , 0. , 0.5]])
    """
    own = np.asarray(parameters, dtype=np.float64)[..., :6]
    CL, V1, Q2, V2, Q3, V3 = np.moveaxis(own, -1, 0)
    m = np.zeros((*CL.shape, 3, 3))  # the symmetric generator, see `fludapk.pk.kernels.courses`
    m[..., 0, 0] = (CL + Q2 + Q3) / V1
    m[..., 1, 1], m[..., 1, 0] = Q2 / V2, -Q2 / np.sqrt(V1 * V2)
    m[..., 2, 2], m[..., 2, 0] = Q3 / V3, -Q3 / np.sqrt(V1 * V3)
    return np.asarray(np.linalg.eigvalsh(m, UPLO="L")).clip(min=0.0)


def slowest_rate(parameters: F8, compartments: int) -> F8:
    """Compute terminal rates: the slowest of compartments that drug reaches.

    Parameters
    ----------
    parameters : (n, 6 or more) array
        As of `rates`. Nothing reaches a compartment by a flow of zero.
    compartments : int

    Returns
    -------
    (n,) array
        1/h.

    Examples
    --------
    >>> patient = np.array([[10.0, 20.0, 0.0, 1.0, 0.0, 1.0]])
    >>> slowest_rate(patient, 1), slowest_rate(patient, 3)
    (array([0.5]), array([0.5]))
    """
    own = rates(parameters)[..., 3 - compartments :]
    return np.asarray(np.where(own > 0.0, own, np.inf).min(axis=-1))


def terminal_rate(parameters: F8, compartments: int) -> F8:
    """Compute terminal rates of many patients: as `rates`, in closed form.

    The eigenvalues of a symmetric 3 by 3 matrix are the roots of a cubic by its trigonometric
    solution; that is several times quicker than `rates`, and exact to about 1e-9.

    Parameters
    ----------
    parameters : (n, 6) array
        CL, V1, Q2, V2, Q3, V3; L/h and L.
    compartments : int

    Returns
    -------
    (n,) array
        1/h.

    Examples
    --------
    >>> patient = np.array([[5.1, 10.1, 3.1, 5.2, 1.4, 13.0]])
    >>> bool(np.isclose(terminal_rate(patient, 3), rates(patient)[:, 0]))
    True
    """
    CL, V1, Q2, V2, Q3, V3 = np.asarray(parameters, dtype=np.float64).T
    if compartments == 1:
        return np.asarray(CL / V1)
    if compartments == 2:  # the smaller root of x² - bx + c, without cancellation
        b, c = CL / V1 + Q2 / V1 + Q2 / V2, CL / V1 * Q2 / V2
        return np.asarray(2.0 * c / (b + np.sqrt(b * b - 4.0 * c)))
    a, d, f = (CL + Q2 + Q3) / V1, Q2 / V2, Q3 / V3
    off12, off13 = Q2 * Q2 / (V1 * V2), Q3 * Q3 / (V1 * V3)
    mean = (a + d + f) / 3.0
    spread = np.sqrt(
        ((a - mean) ** 2 + (d - mean) ** 2 + (f - mean) ** 2 + 2.0 * (off12 + off13)) / 6.0
    )
    determinant = (a - mean) * (d - mean) * (f - mean) - off12 * (f - mean) - off13 * (d - mean)
    angle = np.arccos(np.clip(determinant / (2.0 * spread**3), -1.0, 1.0)) / 3.0
    highest = mean + 2.0 * spread * np.cos(angle)
    total, product = 3.0 * mean - highest, CL / V1 * d * f / highest  # of the other two roots
    return np.asarray(2.0 * product / (total + np.sqrt(np.maximum(total**2 - 4.0 * product, 0.0))))
