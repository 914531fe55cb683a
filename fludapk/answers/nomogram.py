"""Typical exposure, or the dose for a target, over weight and renal function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.nomogram_chances import (
    MOST_CELLS,
    Chances,
    chances_of,
    grid_of,
    leading_targets,
    stopped_cells,
)
from fludapk.answers.nomogram_grid import GridAsked, People, people_of
from fludapk.answers.nomogram_notes import (
    ceilings,
    compared,
    dose_text,
    note_on_stops,
    notes_on_doses,
    notes_on_patients,
)
from fludapk.answers.nomogram_records import Nomogram
from fludapk.arrays import F8, Bools
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.patients.course import Course, is_above, most_mg
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_exposure
from fludapk.published.covariates import (
    covariate_rows,
    missing_covariates,
    outside_studied_range,
    studied_range,
)
from fludapk.published.formulas import capped_by_knots
from fludapk.published.models import DEFAULT_MODEL, Model, load_model

_REPEATED: Final = ("regimen_unsettled", "no_target", "no_iov", "dose_basis")
"""Remarks of the check of the middle patient that hold for the whole grid."""


def nomogram(
    regimen: Regimen,
    *,
    model: str = DEFAULT_MODEL,
    weights_kg: Sequence[float] | None = None,
    renal: Sequence[float] | None = None,
    age_years: float | None = None,
    height_cm: float | None = None,
    sex: str | None = None,
    target_auc: float | None = None,
    product: str | None = None,
    diagnosis: str | None = None,
    genotype: str | None = None,
    fine: bool = False,
    chances: bool = True,
    folders: Sequence[Path] | None = None,
) -> Nomogram:
    """Typical AUC0-inf, or the dose for a target AUC0-inf, over weight and renal function.

    Parameters
    ----------
    regimen : Regimen
        With `target_auc` only its schedule is used.
    model : str
    weights_kg : sequence of float, optional
        Ascending, kg.
    renal : sequence of float, optional
        Ascending eGFR (mL/min/1.73 m2) or CrCl (mL/min), whichever the model takes.
    age_years, height_cm : float, optional
        Of everybody on the map, in years and cm. Without them every weight is that of a child of
        median growth: of the age whose CDC 2000 median weight it is, with the median height.
    sex : {'female', 'male'}, optional
        Of the child; the mean of both medians if absent.
    target_auc : float, optional
        mg h/L. AUC is proportional to the dose, so the dose for it is exact.
    product, diagnosis, genotype : str, optional
        Where a model or a target needs them.
    fine : bool
        Put up to four more points into every step of the axes: smooth contours for a figure.
    chances : bool
        Compute the chance of missing the leading target in every cell; not in a fine map, nor in
        one of more than 1000 cells.
    folders : sequence of Path, optional
        Folders of models; see `fludapk.published.models.model_folders`.

    Returns
    -------
    Nomogram

    Raises
    ------
    InputError
        Listing every fault of the axes; if the model has no renal covariate or needs more; or if
        no cell has a value.
    FileError
        If a model file is bad.

    Examples
    --------
    >>> children = nomogram(Regimen.named("tisa_cel_ball"), weights_kg=[10, 20], renal=[60, 120])
    >>> [f"{age:.1f} y" for age in children.ages_years]
    ['1.0 y', '5.8 y']
    >>> [[f"{auc:.1f}" for auc in row if auc is not None] for row in children.values]
    [['21.8', '14.7'], ['24.5', '15.5']]
    """
    chosen = load_model(model, folders)
    asked = GridAsked(
        weights_kg=weights_kg,
        renal=renal,
        age_years=age_years,
        height_cm=height_cm,
        sex=sex,
        target_auc=target_auc,
        fine=fine,
    )
    names = {"product": product, "diagnosis": diagnosis, "genotype": genotype}
    chart = _Map(
        model=chosen,
        people=people_of(chosen, asked),
        regimen=regimen,
        names=names,
        target_auc=target_auc,
        folders=folders,
    )
    cells = _cells(chart)
    middle_cell = _nearest(cells.allowed, *(n // 2 for n in chart.people.shape))
    middle = chart.check(*middle_cell)
    risks = None
    if chances and not fine and chart.people.size <= MOST_CELLS:
        risks = _chances(chart, cells)
    notes = _notes(chart, cells, middle)
    if chances and risks is None and not fine:
        notes.append(tr("no chances: the map has more than {cells} cells", cells=MOST_CELLS))
    return _record(chart, cells, middle_cell, middle, risks, notes)


# ------------------------------------------------------------------ the cells


@dataclass(frozen=True, kw_only=True, eq=False)
class _Map:
    """Everything that a map is made from."""

    model: Model
    people: People
    regimen: Regimen
    names: Mapping[str, str | None]
    """Product, diagnosis and genotype."""
    target_auc: float | None
    folders: Sequence[Path] | None

    @property
    def course(self) -> Course:
        """Infusions of 1 mg."""
        return self.regimen.course_of(1.0)

    def check(self, i: int, j: int) -> CheckResult:
        """Check the patient of a cell at 1 mg, to which everything is proportional."""
        patient = self.people.patient(i, j, self.names)
        one_mg = self.regimen.in_mg(1.0)
        return check(patient, one_mg, model=self.model.id, folders=self.folders)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cells:
    """Arrays over [weights, renal]."""

    per_mg: F8
    """AUC of 1 mg, mg·h/L; NaN outside the limits of the model."""
    doses: F8
    """mg."""
    allowed: Bools
    """True where neither model nor ceilings forbid the dose."""
    outside: Bools
    """True where a covariate is outside the studied range."""
    stopped: Bools
    """True where a label says not to give the drug."""
    stop_example: str | None


def _cells(chart: _Map) -> _Cells:
    """Compute every cell, or say why none has a value."""
    model, people, regimen = chart.model, chart.people, chart.regimen
    columns, covariates = people.covariates(model, regimen, chart.names)
    i, j = (n // 2 for n in people.shape)
    if missing_covariates(model, covariates, columns):
        chart.check(i, j)  # refuses
    possible, outside = studied_range(model, covariates)
    if not possible.any():
        outside_studied_range(model, covariates, row=i * people.renal.size + j)  # refuses
    per_mg = _typical_auc(model, covariates, possible, chart.course).reshape(people.shape)
    if chart.target_auc is None:
        doses = np.broadcast_to(people.planned_mg(regimen)[:, None], people.shape)
    else:
        doses = chart.target_auc / per_mg
    most = most_mg(people.bsa, regimen.times_h)[:, None]
    allowed = possible.reshape(people.shape) & ~is_above(doses, most)
    if not allowed.any():
        raise InputError(tr("no value: every dose is {ceilings}", ceilings=ceilings()))
    stopped, example = stopped_cells(people, columns)
    if chart.target_auc is not None and not (allowed & ~stopped).any():
        raise InputError(tr("no dose: labels say not to give it, {example}", example=example))
    return _Cells(
        per_mg=per_mg,
        doses=doses,
        allowed=allowed,
        outside=outside.reshape(people.shape),
        stopped=stopped,
        stop_example=example,
    )


def _chances(chart: _Map, cells: _Cells) -> Chances:
    """Chances of every cell that has a dose."""
    regimens = {
        (int(i), int(j)): chart.regimen
        if chart.target_auc is None
        else chart.regimen.in_mg(float(cells.doses[i, j]))
        for i, j in np.argwhere(_shown(chart, cells))
    }
    return chances_of(
        chart.people, regimens, chart.names, model=chart.model.id, folders=chart.folders
    )


def _shown(chart: _Map, cells: _Cells) -> Bools:
    """Cells with a value: where a label says not to give it, no dose is proposed."""
    return cells.allowed if chart.target_auc is None else cells.allowed & ~cells.stopped


def _typical_auc(model: Model, covariates: Mapping[str, F8], rows: Bools, course: Course) -> F8:
    """Typical AUC0-inf of the given rows, mg h/L; NaN in the others."""
    auc = np.full(rows.size, np.nan)
    if rows.any():
        program = model.program
        tv, _ = program.typical_values(covariate_rows(model, covariates)[rows])
        typical = RandomEffects.none(program, len(course.doses_mg))
        arrays = course.arrays(model.file.dose_factor)
        auc[rows] = course_exposure(program, tv, typical, *arrays).auc_0_inf
    return auc


def _nearest(allowed: Bools, i: int, j: int) -> tuple[int, int]:
    """The allowed cell nearest to a cell."""
    cells = np.argwhere(allowed)
    nearest = cells[np.argmin(np.abs(cells - [i, j]).sum(axis=1))]
    return int(nearest[0]), int(nearest[1])


def _caps(model: Model, people: People) -> F8 | None:
    """The highest renal function that counts, of each weight."""
    cap = model.file.covariates[people.name].cap
    if cap is None:
        return None
    return np.asarray(capped_by_knots(value=np.inf, at=people.ages, knots=cap.knots))


# ------------------------------------------------------------------ the record


def _notes(chart: _Map, cells: _Cells, middle: CheckResult) -> list[str]:
    """Notes below the map, the most general first."""
    model, people = chart.model, chart.people
    notes = [model.not_shipped] if model.not_shipped else []
    notes += note_on_stops(cells.stop_example, "mg·h/L" if chart.target_auc is None else "mg")
    notes += notes_on_patients(model, people, _caps(model, people))
    notes += [middle.reading_note] if middle.reading_note else []
    coarse = people.coarse
    for row in middle.sensitivity:
        if row.applies and row.model != model.id:
            other = load_model(row.model, chart.folders)
            ratios = (_auc_of_other(chart, other) / cells.per_mg)[coarse][cells.allowed[coarse]]
            notes.append(compared(other, ratios if chart.target_auc is None else 1 / ratios))
    daily = chart.course.highest_daily_mg() * cells.doses / people.bsa[:, None]
    notes += notes_on_doses(chart.regimen, people, daily[cells.allowed])
    notes += [remark.message for remark in middle.remarks if remark.code in _REPEATED]
    if cells.outside.any():
        notes.append(
            tr("{model} was built from {who}", model=model.id, who=tr(model.file.population.who))
        )
    if not cells.allowed.all():
        notes.append(
            tr(
                "no value where a dose is {ceilings}, or outside the limits of {model}",
                ceilings=ceilings(),
                model=model.id,
            )
        )
    return notes


def _auc_of_other(chart: _Map, other: Model) -> F8:
    """AUC of 1 mg by another model, where it applies."""
    _, covariates = chart.people.covariates(other, chart.regimen, chart.names)
    sound, beyond = studied_range(other, covariates)
    auc = _typical_auc(other, covariates, sound & ~beyond, chart.course)
    return auc.reshape(chart.people.shape)


def _record(
    chart: _Map,
    cells: _Cells,
    middle_cell: tuple[int, int],
    middle: CheckResult,
    risks: Chances | None,
    notes: Sequence[str],
) -> Nomogram:
    people, regimen, is_auc = chart.people, chart.regimen, chart.target_auc is None
    typical, (low, high) = middle.exposure.auc_0_inf, middle.exposure.auc_0_inf_pi90
    caps = _caps(chart.model, people)
    leading = leading_targets(people, regimen, chart.names)
    values = cells.per_mg * cells.doses if is_auc else cells.doses
    planned = people.planned_mg(regimen)
    return Nomogram(
        model=chart.model.id,
        model_sha256=chart.model.sha256,
        model_citation=chart.model.file.citation.short,
        version=__version__,
        regimen=regimen.id,
        regimen_title=tr(regimen.title),
        dose_text=dose_text(regimen, chart.target_auc),
        quantity="auc_0_inf" if is_auc else "dose_mg",
        unit="mg·h/L" if is_auc else "mg",
        target_auc=None if chart.target_auc is None else float(chart.target_auc),
        who=people.who,
        median_growth=people.median_growth,
        sex=people.sex,
        product=chart.names["product"] or regimen.product,
        diagnosis=chart.names["diagnosis"] or regimen.disease,
        genotype=chart.names["genotype"],
        renal_covariate=people.name,
        renal_unit=people.unit,
        weights_kg=tuple(people.weights.tolist()),
        ages_years=tuple(people.ages.tolist()),
        heights_cm=tuple(people.heights.tolist()),
        bsa_m2=tuple(people.bsa.tolist()),
        renal=tuple(people.renal.tolist()),
        renal_caps=None if caps is None else tuple(caps.tolist()),
        doses_mg=tuple(planned.tolist()) if is_auc else None,
        values=grid_of(np.where(_shown(chart, cells), values, np.nan)),
        outside_studied=tuple(map(tuple, cells.outside.tolist())),
        target=leading[middle_cell[0]],
        targets_of_weights=tuple(leading),
        stopped=tuple(map(tuple, cells.stopped.tolist())),
        stop_example=cells.stop_example,
        p_miss=None if risks is None else risks.miss,
        p_below=None if risks is None else risks.below,
        p_above=None if risks is None else risks.above,
        middle=people.described(*middle_cell),
        interval_90=(low / typical, high / typical),
        applicable_targets=tuple(target.id for target in middle.targets if target.applies),
        notes=tuple(notes),
    )
