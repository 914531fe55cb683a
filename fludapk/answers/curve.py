"""Concentration over time, for pages and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fludapk.answers.averaging import Blend
from fludapk.answers.check_records import CheckResult
from fludapk.answers.prediction import Prediction, predict
from fludapk.answers.record import Frame, frame_of
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import weighted_quantiles
from fludapk.published.models import DEFAULT_MODEL, load_model

if TYPE_CHECKING:
    from fludapk.answers.update_records import UpdateResult

_AFTER_H: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)


# ------------------------------------------------------------------ the curve


@dataclass(frozen=True, eq=False)
class Curve:
    """Concentration of F-ara-A over a course."""

    times_h: F8
    """(times,) h from the first dose."""
    typical: F8
    """(times,) mg/L, of the typical patient."""
    low: F8
    """(times,) mg/L, 5 % of such patients are lower at that time."""
    high: F8
    """(times,) mg/L, 5 % are higher."""


def curve(prediction: Prediction, *, until_h: float, log2_points: int = 10) -> Curve:
    """Compute concentrations of the typical patient, with the central 90 % of such patients.

    Parameters
    ----------
    prediction : Prediction
        Prediction of one patient by one model.
    until_h : float
        Last time, h from the first dose; see `horizon_h`.
    log2_points : int
        2^`log2_points` patients stand behind the band.

    Raises
    ------
    InputError
        If `until_h` is not a finite number above zero.
    """
    if not (math.isfinite(until_h) and until_h > 0):
        raise InputError(
            tr("the curve ends at {until} h: a finite number above zero is needed", until=until_h)
        )
    at = _dense_grid(prediction.case.course.times_h, prediction.case.course.infusion_h, until_h)
    simulated, _ = prediction.concentrations(prediction.random_effects(log2_points), at)
    low, high = np.quantile(simulated, [0.05, 0.95], axis=0)
    return Curve(at, prediction.typical_mg_l(at), low, high)


def horizon_h(times_h: Sequence[float], cells_at_h: float | None = None) -> float:
    """Choose the end of a curve: a day after the last dose, half a day after the cells, whole days.

    Examples
    --------
    >>> horizon_h([0.0, 24.0, 48.0, 72.0], cells_at_h=120.0), horizon_h([0.0])
    (144.0, 24.0)
    """
    last = max(max(times_h) + 24.0, (cells_at_h or 0.0) + 12.0 * (cells_at_h is not None))
    return 24.0 * math.ceil(last / 24.0 - 1e-9)


def _dense_grid(starts: Sequence[float], lengths: Sequence[float], until_h: float) -> F8:
    """Space times densely around the infusions, ascending."""
    pieces = [np.linspace(0.0, until_h, 97)]
    for start, length in zip(starts, lengths, strict=True):
        pieces.append(start + length * np.linspace(0.0, 1.0, 6))
        pieces.append(start + length + np.array(_AFTER_H))
    at = np.unique(np.concatenate(pieces).round(9))
    return np.ascontiguousarray(at[at <= until_h])


def curve_of(result: CheckResult) -> Curve:
    """Compute concentrations over the course of a check, from its own prediction."""
    regimen = result.prediction.case.regimen
    until_h = horizon_h(regimen.times_h, regimen.cells_at_h)
    if result.averaged is None:
        return curve(result.prediction, until_h=until_h)
    blend: Blend = result.made_from
    return _averaged_curve(blend, until_h)


def _averaged_curve(blend: Blend, until_h: float, log2_points: int = 10) -> Curve:
    """Average the typical curves, with the central 90 % of the patients of all models."""
    course, n = blend.lead.case.course, 2**log2_points
    at = _dense_grid(course.times_h, course.infusion_h, until_h)
    typical = blend.weights @ np.array([p.typical_mg_l(at) for p in blend.predictions])
    simulated = np.concatenate(
        [p.concentrations(p.random_effects(log2_points), at)[0] for p in blend.predictions]
    )
    weights, ends = np.repeat(blend.weights / n, n), np.array([0.05, 0.95])
    low, high = np.array([weighted_quantiles(column, weights, ends) for column in simulated.T]).T
    return Curve(at, typical, low, high)


@dataclass(frozen=True, eq=False)
class UpdateCurve:
    """Concentrations before and after the levels; see `fludapk.answers.fit.Fit.bands`."""

    times_h: F8
    before: F8
    """(3, times) mg/L: 5 %, typical patient, 95 %."""
    after: F8
    """(3, times) mg/L: 5 %, most likely patient, 95 %."""
    adjusted: F8 | None
    """(times,) mg/L, the most likely patient with the dose that is proposed; None without one."""


def update_curve_of(result: UpdateResult) -> UpdateCurve:
    """Compute concentrations before and after the levels, from the fit of an update."""
    fitted = result.fit
    course = fitted.course
    until_h = horizon_h(course.times_h, fitted.request.regimen.cells_at_h)
    until_h = max(until_h, 24.0 * math.ceil(max(level.time_h for level in result.levels) / 24.0))
    at = _dense_grid(course.times_h, course.infusion_h, until_h)
    return UpdateCurve(at, *fitted.bands(at), _adjusted(result, at))


def _adjusted(result: UpdateResult, at_h: F8) -> F8 | None:
    if result.remaining is None:
        return None
    fitted = result.fit
    doses = np.array(fitted.course.doses_mg)
    doses[len(doses) - fitted.left :] = result.remaining.dose_mg
    return fitted.likely_mg_l(at_h, doses)


def concentrations(
    patient: Patient,
    regimen: Regimen,
    *,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    until_h: float | None = None,
    folders: Sequence[Path] | None = None,
) -> Frame:
    """Tabulate the concentration of F-ara-A over a planned course.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
    model : str
        Id of a model, see `fludapk.answers.catalogue.models`.
    round_to_mg : float, optional
        Round each dose to a multiple of this many mg.
    until_h : float, optional
        Last time, h from the first dose; a day after the last dose or half a day after the cells
        if absent.
    folders : sequence of Path, optional
        Folders of models; see `fludapk.published.models.model_folders`.

    Returns
    -------
    DataFrame
        Index ``time_h`` (h from the first dose); ``typical``, ``p05`` and ``p95`` in mg/L: the
        typical patient, and what 5 % of such patients are below and above. ``.plot()`` draws it.

    Raises
    ------
    FludapkError
        As `fludapk.answers.check.check`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> table = concentrations(girl, Regimen.named("tisa_cel_ball"))
    >>> f"{table['typical'].max():.2f} {table.attrs['units']['typical']}"
    '1.40 mg/L'
    """
    course = regimen.course(patient, round_to_mg)
    prediction = predict(load_model(model, folders), patient, regimen, course)
    last = horizon_h(regimen.times_h, regimen.cells_at_h) if until_h is None else until_h
    drawn = curve(prediction, until_h=last)
    columns = zip(drawn.times_h, drawn.typical, drawn.low, drawn.high, strict=True)
    names = ("time_h", "typical", "p05", "p95")
    frame = frame_of([dict(zip(names, row, strict=True)) for row in columns], index="time_h")
    frame.attrs["units"] |= dict.fromkeys(names[1:], "mg/L")
    return frame
