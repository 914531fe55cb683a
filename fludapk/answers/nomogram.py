"""Typical exposure, or the dose for a target, over weight and renal function."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.nomogram_grid import People, people_of
from fludapk.answers.record import DISCLAIMER, Record, Row
from fludapk.arrays import F8, Bools
from fludapk.errors import InputError
from fludapk.patients.course import (
    COURSE_CEILING_MG_M2,
    DAILY_CEILING_MG_M2,
    NEUROTOXICITY,
    NEUROTOXICITY_MG_M2,
    Course,
    is_above,
    most_mg,
)
from fludapk.patients.csv_list import document
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

Grid = tuple[tuple[float | None, ...], ...]
"""[weights][renal], None where there is no value."""
_RENAL_FIELDS: Final = {"eGFR": "egfr_ml_min_1_73m2", "CrCl": "crcl_ml_min"}
_CEILINGS: Final = (
    f"above {DAILY_CEILING_MG_M2:g} mg/m2 a day or {COURSE_CEILING_MG_M2:g} mg/m2 in the course"
)
_REPEATED: Final = ("regimen_unsettled", "no_target", "no_iov", "dose_basis")
"""Remarks of the check of the middle patient that hold for the whole grid."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Nomogram(Record):
    """Result of `nomogram`; mg are mg of fludarabine phosphate per infusion, AUC in mg h/L."""

    schema: Literal["fludapk.nomogram/1"] = "fludapk.nomogram/1"
    model: str
    model_sha256: str
    model_citation: str
    version: str
    regimen: str
    regimen_title: str
    dose_text: str
    quantity: Literal["auc_0_inf", "dose_mg"]
    unit: str
    target_auc: float | None
    who: str
    median_growth: bool
    """Whether age and height follow the weight (CDC 2000 medians)."""
    sex: str | None
    product: str | None
    diagnosis: str | None
    genotype: str | None
    renal_covariate: str
    renal_unit: str
    weights_kg: tuple[float, ...]
    ages_years: tuple[float, ...]
    heights_cm: tuple[float, ...]
    bsa_m2: tuple[float, ...]
    """Of each weight, by mosteller."""
    renal: tuple[float, ...]
    renal_caps: tuple[float, ...] | None
    """Of each weight: a renal function above it counts as this. None if the model has no cap."""
    doses_mg: tuple[float, ...] | None
    """Of each weight; None if the dose is what is looked for."""
    values: Grid
    """[weights][renal]; None where a limit of the model or a ceiling of the dose forbids."""
    outside_studied: tuple[tuple[bool, ...], ...]
    """[weights][renal]; whether a covariate is outside the studied range of the model."""
    middle: str
    """The patient of `interval_90`."""
    interval_90: tuple[float, float]
    """5 % and 95 % quantiles of the AUC over IIV and IOV, as multiples of the typical AUC."""
    applicable_targets: tuple[str, ...]
    """Published for such patients, judged by the middle patient."""
    notes: tuple[str, ...]
    disclaimer: str = DISCLAIMER

    @property
    def renal_field(self) -> str:
        """Name of the renal function with its unit, as in a table."""
        return _RENAL_FIELDS[self.renal_covariate]

    def brief(self) -> str:
        """Return what is tabulated in a line."""
        what = (
            "AUC0-inf" if self.quantity == "auc_0_inf" else f"dose for {self.target_auc:g} mg·h/L"
        )
        cells = f"{len(self.weights_kg)} × {len(self.renal)}"
        return f"nomogram by {self.model}: {what} over weight and {self.renal_covariate}, {cells}"

    def rows(self) -> list[Row]:
        """Return a row for each cell; dose and AUC are None where forbidden."""
        rows: list[Row] = []
        for i, weight in enumerate(self.weights_kg):
            for renal, value, outside in zip(
                self.renal, self.values[i], self.outside_studied[i], strict=True
            ):
                dose, auc = (
                    (value, self.target_auc) if self.doses_mg is None else (self.doses_mg[i], value)
                )
                rows.append(
                    {
                        "weight_kg": weight,
                        "age_years": self.ages_years[i],
                        "height_cm": self.heights_cm[i],
                        self.renal_field: renal,
                        "bsa_m2": self.bsa_m2[i],
                        "dose_mg": None if value is None else dose,
                        "auc_0_inf": None if value is None else auc,
                        "outside_studied_range": outside,
                    }
                )
        return rows

    def to_csv(self) -> str:
        """Return the rows as CSV, units in the header."""
        return document(self.rows())


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
    people = people_of(chosen, weights_kg, renal, age_years, height_cm, sex, target_auc, fine=fine)
    asked = {"product": product, "diagnosis": diagnosis, "genotype": genotype}
    i, j = len(people.weights) // 2, len(people.renal) // 2
    one_mg, course = regimen.in_mg(1.0), regimen.course_of(1.0)
    columns, covariates = people.covariates(chosen, regimen, asked)
    if missing_covariates(chosen, covariates, columns):
        check(people.patient(i, j, asked), one_mg, model=model, folders=folders)  # refuses
    possible, outside = studied_range(chosen, covariates)
    if not possible.any():
        outside_studied_range(chosen, covariates, row=i * people.renal.size + j)  # refuses
    per_mg = _typical_auc(chosen, covariates, possible, course).reshape(people.shape)

    doses = (
        np.broadcast_to(people.planned_mg(regimen)[:, None], people.shape)
        if target_auc is None
        else target_auc / per_mg
    )
    bsa = people.bsa[:, None]
    most = most_mg(people.bsa, regimen.times_h)[:, None]
    allowed = possible.reshape(people.shape) & ~is_above(doses, most)
    if not allowed.any():
        raise InputError(f"no value: every dose is {_CEILINGS}")
    values = per_mg * doses if target_auc is None else doses

    i, j = _nearest(allowed, i, j)
    middle = check(people.patient(i, j, asked), one_mg, model=model, folders=folders)
    typical, (low, high) = middle.exposure.auc_0_inf, middle.exposure.auc_0_inf_pi90
    caps = _caps(chosen, people)
    notes = [warning] if (warning := chosen.not_shipped) else []
    notes += [*_notes_on_patients(chosen, people, caps)]
    notes += [middle.reading_note] if middle.reading_note else []
    for row in middle.sensitivity:
        if row.applies and row.model != chosen.id:
            other = load_model(row.model, folders)
            _, theirs = people.covariates(other, regimen, asked)
            sound, beyond = studied_range(other, theirs)
            auc = _typical_auc(other, theirs, sound & ~beyond, course).reshape(people.shape)
            ratios = (auc / per_mg)[allowed]
            notes.append(_compared(other, ratios if target_auc is None else 1 / ratios))
    daily = course.highest_daily_mg() * doses / bsa
    notes += _notes_on_doses(regimen, people, daily[allowed])
    notes += [remark.message for remark in middle.remarks if remark.code in _REPEATED]
    if outside.any():
        notes.append(f"{chosen.id} was built from {chosen.file.population.who}")
    if not allowed.all():
        notes.append(f"no value where a dose is {_CEILINGS}, or outside the limits of {chosen.id}")
    return Nomogram(
        model=chosen.id,
        model_sha256=chosen.sha256,
        model_citation=chosen.file.citation.short,
        version=__version__,
        regimen=regimen.id,
        regimen_title=regimen.title,
        dose_text=_dose_text(regimen, target_auc),
        quantity="auc_0_inf" if target_auc is None else "dose_mg",
        unit="mg·h/L" if target_auc is None else "mg",
        target_auc=None if target_auc is None else float(target_auc),
        who=people.who,
        median_growth=people.median_growth,
        sex=people.sex,
        product=product or regimen.product,
        diagnosis=diagnosis or regimen.disease,
        genotype=genotype,
        renal_covariate=people.name,
        renal_unit=people.unit,
        weights_kg=tuple(people.weights.tolist()),
        ages_years=tuple(people.ages.tolist()),
        heights_cm=tuple(people.heights.tolist()),
        bsa_m2=tuple(people.bsa.tolist()),
        renal=tuple(people.renal.tolist()),
        renal_caps=None if caps is None else tuple(caps.tolist()),
        doses_mg=tuple(people.planned_mg(regimen).tolist()) if target_auc is None else None,
        values=tuple(
            tuple(value if ok else None for value, ok in zip(row, oks, strict=True))
            for row, oks in zip(values.tolist(), allowed.tolist(), strict=True)
        ),
        outside_studied=tuple(map(tuple, outside.reshape(people.shape).tolist())),
        middle=people.described(i, j),
        interval_90=(low / typical, high / typical),
        applicable_targets=tuple(target.id for target in middle.targets if target.applies),
        notes=tuple(notes),
    )


# ------------------------------------------------------------------ what the model says


def _typical_auc(model: Model, covariates: Mapping[str, F8], rows: Bools, course: Course) -> F8:
    """Typical AUC0-inf of the given rows, mg h/L; NaN in the others."""
    auc = np.full(rows.size, np.nan)
    if rows.any():
        program = model.program
        tv, _ = program.typical_values(covariate_rows(model, covariates)[rows])
        typical = RandomEffects.none(program, len(course.doses_mg))
        arrays = course.arrays(model.file.dose.factor)
        auc[rows] = course_exposure(program, tv, typical, *arrays).auc_0_inf
    return auc


def _nearest(allowed: Bools, i: int, j: int) -> tuple[int, int]:
    """The allowed cell nearest to a cell."""
    cells = np.argwhere(allowed)
    found = cells[np.argmin(np.abs(cells - [i, j]).sum(axis=1))]
    return int(found[0]), int(found[1])


def _caps(model: Model, people: People) -> F8 | None:
    """The highest renal function that counts, of each weight."""
    cap = model.file.covariates[people.name].cap
    if cap is None:
        return None
    return np.asarray(capped_by_knots(value=np.inf, at=people.ages, knots=cap.knots))


# ------------------------------------------------------------------ words


def _dose_text(regimen: Regimen, target_auc: float | None) -> str:
    every = f", every {regimen.interval_h:g} h" if regimen.days > 1 else ""
    if target_auc is not None:
        return f"{regimen.days} equal {regimen.infusion_h:g}-h infusions{every}"
    dose = f"{regimen.dose:g} {regimen.unit} fludarabine phosphate × {regimen.days}"
    if regimen.bsa_cap_m2 is not None and regimen.unit == "mg/m2":
        dose += f", body surface area capped at {regimen.bsa_cap_m2:g} m2"
    return f"{dose}{every}, {regimen.infusion_h:g}-h infusions"


def _notes_on_patients(model: Model, people: People, caps: F8 | None) -> list[str]:
    notes = []
    if people.median_growth:
        notes.append("age and height of a weight are the CDC 2000 medians")
    if caps is not None and people.renal[-1] > np.min(caps):
        note = f"{people.name} above the highest value of {model.id} for the age counts as that"
        if people.ages[0] < 1:
            note += "; under 1 y the maturation of the kidney enters only through this"
        notes.append(note)
    return notes


def _compared(other: Model, ratios: F8) -> str:
    """The values of another model against those of the map, where it applies."""
    low, high = (100 * (value - 1) for value in (np.nanmin(ratios), np.nanmax(ratios)))
    reading = other.file.reading_of
    what = f"{other.id} ({f'another reading of {reading}' if reading else 'another model'})"
    change = f"{low:+.0f} %" if round(low) == round(high) else f"{low:+.0f} % to {high:+.0f} %"
    return f"{what} gives {change.replace('-', '−')} of these values where it applies"


def _notes_on_doses(regimen: Regimen, people: People, daily_mg_m2: F8) -> list[str]:
    notes = []
    low, high = regimen.ages or (0.0, math.inf)
    if not (low <= people.ages[0] and people.ages[-1] < high):
        notes.append(f"{regimen.id} is a course for {regimen.who}")
    if np.max(daily_mg_m2) >= NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        notes.append(f"doses of {NEUROTOXICITY_MG_M2:g} mg/m2 a day or more: {NEUROTOXICITY}")
    return notes
