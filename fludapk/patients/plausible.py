"""What is possible of a patient, and what only a slip of typing explains.

One rule for typed values, columns of lists and records of other systems.
"""

from __future__ import annotations

import math
from typing import Final

from fludapk.errors import Fault
from fludapk.patients.fields import FIELDS
from fludapk.published.formulas import lms_zscore
from fludapk.published.growth import growth_lms
from fludapk.units import UNITS, Quantity, other_readings

LIMITS: Final = {
    "age": (0.001, 120.0),
    "weight": (1.0, 300.0),
    "height": (30.0, 250.0),
    "creatinine": (5 / 88.4, 2000 / 88.4),
    "eGFR": (1.0, 300.0),
    "CrCl": (1.0, 400.0),
}
"""Dimension -> lowest and highest value in its internal unit that is not a slip of typing."""

_USUAL: Final = {"height": (0.7, 1.3), "weight": (0.4, 2.0)}
"""Outside this multiple of the median for age a bare number that fits another unit is refused."""


def quantity_faults(key: str, typed: Quantity, age_years: float) -> list[Fault]:
    """Find out whether a quantity is possible, and if not, in which unit it would be.

    Parameters
    ----------
    key : str
        A field of a patient with a dimension.
    typed : Quantity
    age_years : float
        Age of the patient; weight and height are judged by it.
    """
    dimension, value = FIELDS[key].dimension or "", typed.value
    shown = f"= {typed.given:g} {typed.unit}"
    if not math.isfinite(value):
        return [Fault(key, f"= {value} is not a finite number")]
    if value <= 0:
        return [Fault(key, f"{shown} must be above zero")]
    if dimension == "age" and typed.unit == "years" and 1900 <= value <= 2100:
        do = "give the age, in years or as 8mo"
        return [Fault(key, f"{shown} looks like a year of birth", do=do)]
    low, high = LIMITS[dimension]
    is_possible = low <= value <= high
    if is_possible and not typed.bare:
        return []
    usual_low, usual_high = _usual(dimension, age_years)
    if is_possible and usual_low <= value <= usual_high:
        return []
    scale = UNITS[dimension][typed.unit]
    readings = " or ".join(
        f"{typed.given:g} {unit} would be {other / scale:.4g} {typed.unit}"
        for unit, other in other_readings(
            typed.given, dimension=dimension, unit=typed.unit, low=usual_low, high=usual_high
        )
    )
    if not is_possible:
        edge = f"below {low / scale:.3g}" if value < low else f"above {high / scale:.3g}"
        return [Fault(key, f"{shown} is {edge}" + (f"; {readings}" if readings else ""))]
    if not readings:
        return []  # unusual, but no other unit explains it
    do = f'write the unit, or "{typed.given:g} {typed.unit}" if that is meant'
    return [Fault(key, f"{shown} is not plausible at {age_years:.3g} y; {readings}", do=do)]


def _usual(dimension: str, age_years: float) -> tuple[float, float]:
    """Bounds of what is usual at an age, inside the limits."""
    low, high = LIMITS[dimension]
    if dimension not in _USUAL or not 0 < age_years <= LIMITS["age"][1]:
        return low, high
    medians = [growth_lms(dimension, sex, age_years)[1] for sex in ("female", "male")]
    least, most = _USUAL[dimension]
    return max(low, least * min(medians)), min(high, most * max(medians))


def unusual_for_age(
    dimension: str, value: float, *, age_years: float, sex: str | None
) -> str | None:
    """Describe a weight or height far from the CDC 2000 reference, which ends at 20 y.

    Parameters
    ----------
    dimension : {'weight', 'height'}
    value : float
        kg or cm.
    age_years : float
    sex : str, optional
        None: the nearer of both references counts.

    Examples
    --------
    >>> unusual_for_age("height", 135.0, age_years=5.0, sex="female")
    'height 135 cm is +5.1 SD for age (CDC 2000)'
    """
    if age_years > 20:
        return None
    scores = [
        float(lms_zscore(value=value, L=L, M=M, S=S))
        for L, M, S in (
            growth_lms(dimension, reference, age_years)
            for reference in ([sex] if sex else ["female", "male"])
        )
    ]
    z = min(scores, key=abs)
    if abs(z) <= 3:
        return None
    return (
        f"{dimension} {value:.4g} {next(iter(UNITS[dimension]))} is {z:+.1f} SD for age (CDC 2000)"
    )
