"""Ordinary values, about which no rule of `fludapk.patients.plausible` asks: told at a glance.

Most patients of a list are. All others go through the rules, which alone decide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from fludapk.arrays import F8
from fludapk.patients.fields import RENAL, REQUIRED
from fludapk.patients.plausible import BMI, GROWTH_END_YEARS, LOW_RENAL, USUAL, bmi_kg_m2
from fludapk.published.formulas import fas_q, lms_value
from fludapk.published.growth import growth_reference
from fludapk.units import Quantity

WITHIN_SD: Final = 2.8
"""An ordinary size is within so many SD of the median for age, and within the multiples of it in
`USUAL`; rules ask, or warn, from 3 SD on, or outside of those."""
CREATININE: Final = (0.3, 15.0)
"""Multiples of the normal creatinine between which it is ordinary."""


class Bounds(NamedTuple):
    """Ordinary values at an age."""

    low_kg: float
    high_kg: float
    low_cm: float
    high_cm: float
    low_mg_dl: float
    high_mg_dl: float


def bounds_at(age_years: float, sex: str | None) -> Bounds:
    """Return bounds of what is ordinary at an age.

    Parameters
    ----------
    age_years : float
    sex : {'female', 'male'}, optional
        None is read as female: rules take the nearer sex.

    Examples
    --------
    >>> [round(x, 1) for x in bounds_at(5.0, "female")]
    [13.1, 30.8, 95.4, 121.6, 0.1, 5.7]
    """
    ages, bounds = _bounds(sex or "female")
    return bounds[max(bisect_right(ages, age_years) - 1, 0)]


@lru_cache(maxsize=2)
def _bounds(sex: str) -> tuple[list[float], list[Bounds]]:
    """Ages, and the narrower bounds of each and the next: between them L, M and S are linear."""
    tables = growth_reference()
    ages = np.union1d(tables["weight", sex][:, 0], tables["height", sex][:, 0])
    columns: list[F8] = []
    for dimension in ("weight", "height"):
        at, *lms = tables[dimension, sex].T
        L, M, S = (np.interp(ages, at, column) for column in lms)
        least, most = (ratio * M for ratio in USUAL[dimension])
        sizes = (lms_value(z=z, L=L, M=M, S=S) for z in (-WITHIN_SD, WITHIN_SD))
        columns += [np.clip(size, least, most) for size in sizes]
    normal = fas_q(age_years=np.clip(ages, 1.0, GROWTH_END_YEARS), female=sex == "female")
    columns += [ratio * np.asarray(normal) for ratio in CREATININE]
    for k, column in enumerate(columns):
        narrower = np.minimum if k % 2 else np.maximum
        column[:-1] = narrower(column[:-1], column[1:])
    return ages.tolist(), [Bounds(*row) for row in np.transpose(columns).tolist()]


def is_ordinary_size(
    age_years: float, sex: str | None, *, weight_kg: float, height_cm: float
) -> bool:
    """Tell if weight and height are ordinary at an age.

    Examples
    --------
    >>> is_ordinary_size(5.0, "female", weight_kg=18.2, height_cm=110.0)
    True
    """
    at = bounds_at(age_years, sex)
    return at.low_kg <= weight_kg <= at.high_kg and at.low_cm <= height_cm <= at.high_cm


def is_ordinary(typed: Mapping[str, Quantity], sex: str | None) -> bool:
    """Tell if every rule would let these quantities pass.

    Parameters
    ----------
    typed : mapping of str to Quantity
        As in `fludapk.patients.plausible.Values`; all are possible.
    sex : {'female', 'male'}, optional

    Examples
    --------
    >>> girl = {"age_years": 5.0, "weight_kg": 18.2, "height_cm": 110.0}
    >>> is_ordinary({key: Quantity(x, "", x, True) for key, x in girl.items()}, "female")
    True
    """
    age, weight, height = map(typed.get, REQUIRED)
    if age is None or weight is None or height is None:
        return False
    at, kg, cm = bounds_at(age.value, sex), weight.value, height.value
    if not (at.low_kg <= kg <= at.high_kg and at.low_cm <= cm <= at.high_cm):
        return False
    if not BMI[0] <= bmi_kg_m2(kg, cm) <= BMI[1]:
        return False
    scr, *others = map(typed.get, RENAL)
    if scr is not None and not at.low_mg_dl <= scr.value <= at.high_mg_dl:
        return False
    return all(other is None or other.value >= LOW_RENAL for other in others)
