"""The CDC 2000 growth reference."""

from __future__ import annotations

import csv
from bisect import bisect_right
from functools import lru_cache

import numpy as np

from fludapk.arrays import F8
from fludapk.published.tables import DATA


@lru_cache(maxsize=1)
def growth_reference() -> dict[tuple[str, str], F8]:
    """Return the CDC 2000 LMS tables: (measure, sex) -> rows of age in years, L, M, S."""
    rows: dict[tuple[str, str], list[list[float]]] = {}
    with (DATA / "cdc2000_lms.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            measure = "weight" if row["measure"].startswith("weight") else "height"
            values = [float(row["age_months"]) / 12, *(float(row[key]) for key in "LMS")]
            rows.setdefault((measure, row["sex"]), []).append(values)
    return {key: np.array(table) for key, table in rows.items()}


@lru_cache(maxsize=1)
def _growth_rows() -> dict[tuple[str, str], tuple[list[float], list[list[float]]]]:
    return {
        key: (table[:, 0].tolist(), table[:, 1:].tolist())
        for key, table in growth_reference().items()
    }


def growth_lms(dimension: str, sex: str | None, age_years: float) -> tuple[float, float, float]:
    """Return L, M, S of weight (kg) or height (cm) at an age; above 20 y the values at 20 y.

    Parameters
    ----------
    dimension : {'weight', 'height'}
    sex : {'female', 'male'} or None
        None is read as female.
    age_years : float

    Examples
    --------
    >>> L, M, S = growth_lms("height", "female", 5.0)
    >>> round(M, 1)
    107.7
    """
    ages, rows = _growth_rows()[dimension, sex or "female"]
    i = min(max(bisect_right(ages, age_years), 1), len(ages) - 1)
    share = min(max((age_years - ages[i - 1]) / (ages[i] - ages[i - 1]), 0.0), 1.0)
    (l0, m0, s0), (l1, m1, s1) = rows[i - 1], rows[i]
    return l0 + share * (l1 - l0), m0 + share * (m1 - m0), s0 + share * (s1 - s0)
