"""Words of a nomogram: the doses in a line, and the notes below the map."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fludapk.answers.nomogram_grid import People
from fludapk.arrays import F8
from fludapk.patients.course import (
    COURSE_CEILING_MG_M2,
    DAILY_CEILING_MG_M2,
    NEUROTOXICITY,
    NEUROTOXICITY_MG_M2,
)
from fludapk.patients.regimen import Regimen
from fludapk.published.models import Model

CEILINGS: Final = (
    f"above {DAILY_CEILING_MG_M2:g} mg/m2 a day or {COURSE_CEILING_MG_M2:g} mg/m2 in the course"
)


def dose_text(regimen: Regimen, target_auc: float | None) -> str:
    """Word the doses, or the infusions that a dose is looked for.

    Examples
    --------
    >>> dose_text(Regimen.named("axi_cel"), None)
    '30 mg/m2 fludarabine phosphate × 3, every 24 h, 0.5-h infusions'
    """
    every = f", every {regimen.interval_h:g} h" if regimen.days > 1 else ""
    if target_auc is not None:
        return f"{regimen.days} equal {regimen.infusion_h:g}-h infusions{every}"
    dose = f"{regimen.dose:g} {regimen.unit} fludarabine phosphate × {regimen.days}"
    if regimen.bsa_cap_m2 is not None and regimen.unit == "mg/m2":
        dose += f", body surface area capped at {regimen.bsa_cap_m2:g} m2"
    return f"{dose}{every}, {regimen.infusion_h:g}-h infusions"


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
        notes.append("age and height of a weight are the CDC 2000 medians")
    if caps is not None and people.renal[-1] > np.min(caps):
        text = f"{people.name} above the highest value of {model.id} for the age counts as that"
        if people.ages[0] < 1:
            text += "; under 1 y the maturation of the kidney enters only through this"
        notes.append(text)
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
    what = f"{other.id} ({f'another reading of {reading}' if reading else 'another model'})"
    return f"{what} is {change_text(ratios)} these values where it applies"


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
        return f"{-low} % below to {high} % above"
    near, far = sorted((abs(low), abs(high)))
    side = "below" if low < 0 else "above"
    return f"{far} % {side}" if near == far else f"{near} to {far} % {side}"


def notes_on_doses(regimen: Regimen, people: People, daily_mg_m2: F8) -> list[str]:
    """Say whom the course is for, and that a dose is near those that were neurotoxic."""
    notes = []
    low, high = regimen.ages or (0.0, math.inf)
    if not (low <= people.ages[0] and people.ages[-1] < high):
        notes.append(f"{regimen.id} is a course for {regimen.who}")
    if np.max(daily_mg_m2) >= NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        notes.append(f"doses of {NEUROTOXICITY_MG_M2:g} mg/m2 a day or more: {NEUROTOXICITY}")
    return notes


def note_on_stops(example: str | None, unit: str) -> list[str]:
    """Say what STOP means on the map, with an example."""
    if example is None:
        return []
    shown = "no dose is shown" if unit == "mg" else "the value is what the dose would give"
    return [f"STOP: a label says not to give it, {shown}; for example {example}"]
