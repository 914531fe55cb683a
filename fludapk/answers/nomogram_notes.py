"""Words of a nomogram: the doses in a line, and the notes below the map."""

from __future__ import annotations

import math

import numpy as np

from fludapk.answers.nomogram_grid import People
from fludapk.arrays import F8
from fludapk.language import marked, tr
from fludapk.patients.course import (
    COURSE_CEILING_MG_M2,
    DAILY_CEILING_MG_M2,
    NEUROTOXICITY,
    NEUROTOXICITY_MG_M2,
)
from fludapk.patients.regimen import Regimen
from fludapk.published.models import Model


def ceilings() -> str:
    """Word the ceilings that a dose is above."""
    return tr(
        "above {daily:g} mg/m2 a day or {course:g} mg/m2 in the course",
        daily=DAILY_CEILING_MG_M2,
        course=COURSE_CEILING_MG_M2,
    )


def dose_text(regimen: Regimen, target_auc: float | None) -> str:
    """Word the doses, or the infusions that a dose is looked for.

    Examples
    --------
    >>> dose_text(Regimen.named("axi_cel"), None)
    '30 mg/m2 fludarabine phosphate × 3, every 24 h, 0.5-h infusions'
    """
    every = tr("every {hours:g} h", hours=regimen.interval_h) if regimen.days > 1 else ""
    if target_auc is not None:
        equal = tr("{n} equal {hours:g}-h infusions", n=regimen.days, hours=regimen.infusion_h)
        return ", ".join(filter(None, [equal, every]))
    capped = regimen.bsa_cap_m2 is not None and regimen.unit == "mg/m2"
    parts = [
        tr(
            "{dose:g} {unit} fludarabine phosphate × {n}",
            dose=regimen.dose,
            unit=regimen.unit,
            n=regimen.days,
        ),
        tr("body surface area capped at {area:g} m2", area=regimen.bsa_cap_m2) if capped else "",
        every,
        tr("{hours:g}-h infusions", hours=regimen.infusion_h),
    ]
    return ", ".join(filter(None, parts))


def notes_on_patients(model: Model, people: People, caps: F8 | None) -> list[str]:
    """Say where the patients come from, and up to which renal function they differ.

    Parameters
    ----------
    model : Model
    people : People
    caps : (weights,), optional
        Highest renal function that counts.
    """
    notes = []
    if people.median_growth:
        notes.append(tr("age and height of a weight are the CDC 2000 medians"))
    if caps is not None and people.renal[-1] > np.min(caps):
        text = marked("{name} above the highest value of {model} for the age counts as that")
        if people.ages[0] < 1:
            text = marked(
                "{name} above the highest value of {model} for the age counts as that; under 1 y "
                "the maturation of the kidney enters only through this"
            )
        notes.append(tr(text, name=people.name, model=model.id))
    return notes


def compared(other: Model, ratios: F8) -> str:
    """Compare the values of another model with those of the map, where it applies.

    Parameters
    ----------
    other : Model
    ratios : (n,)
        Its values over those of the map; NaN where it does not apply.
    """
    reading = other.file.reading_of
    message = marked("{model} (another model) is {change} these values where it applies")
    if reading:
        message = marked(
            "{model} (another reading of {reading}) is {change} these values where it applies"
        )
    return tr(message, model=other.id, reading=reading, change=change_text(ratios))


def change_text(ratios: F8) -> str:
    """Word a range of ratios as above and below.

    Examples
    --------
    >>> change_text(np.array([1.04, 1.52, np.nan])), change_text(np.array([0.9, 0.9]))
    ('4 to 52 % above', '10 % below')
    >>> change_text(np.array([0.97, 1.08])), change_text(np.array([0.999]))
    ('3 % below to 8 % above', '0 % above')
    """
    low, high = (
        round(100 * (float(value) - 1)) for value in (np.nanmin(ratios), np.nanmax(ratios))
    )
    if low < 0 < high:
        return tr("{low} % below to {high} % above", low=-low, high=high)
    near, far = sorted((abs(low), abs(high)))
    if near == far:
        message = marked("{far} % below") if low < 0 else marked("{far} % above")
    else:
        message = (
            marked("{near} to {far} % below") if low < 0 else marked("{near} to {far} % above")
        )
    return tr(message, near=near, far=far)


def notes_on_doses(regimen: Regimen, people: People, daily_mg_m2: F8) -> list[str]:
    """Say whom the course is for, and that a dose is near those that were neurotoxic."""
    notes = []
    low, high = regimen.ages or (0.0, math.inf)
    if not (low <= people.ages[0] and people.ages[-1] < high):
        notes.append(tr("{regimen} is a course for {who}", regimen=regimen.id, who=tr(regimen.who)))
    if np.max(daily_mg_m2) >= NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        notes.append(
            tr(
                "doses of {dose:g} mg/m2 a day or more: {reasons}",
                dose=NEUROTOXICITY_MG_M2,
                reasons=tr(NEUROTOXICITY),
            )
        )
    return notes


def note_on_stops(example: str | None, unit: str) -> list[str]:
    """Say what STOP means on the map, with an example."""
    if example is None:
        return []
    message = marked(
        "STOP: a label says not to give it, the value is what the dose would give; for example "
        "{example}"
    )
    if unit == "mg":
        message = marked(
            "STOP: a label says not to give it, no dose is shown; for example {example}"
        )
    return [tr(message, example=example)]
