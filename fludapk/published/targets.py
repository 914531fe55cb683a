"""Published targets on the cumulative AUC: thresholds, flag, bounds and whom they fit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.auc_by_dose import weighted_quantiles
from fludapk.published.course_files import TargetEntry, TargetFile
from fludapk.published.tables import DATA, read_toml

Flag = Literal["below", "borderline", "met"]
TargetStatus = Literal["below", "within", "above"]

LOW: Final = 13.8
"""fabrizio2022, mg h/L."""
MET: Final = 14.0
"""dekker2022, mg h/L."""
HIGH: Final = 20.0
"""scordo2023 and langenhorst2019b, mg h/L: above it harm was found."""


def flag(auc_0_inf: float) -> Flag:
    """Where a cumulative AUC lies against 13.8 and 14 mg h/L.

    Parameters
    ----------
    auc_0_inf : float
        mg h/L.

    Returns
    -------
    str
        "below" < 13.8 <= "borderline" < 14.0 <= "met".

    References
    ----------
    Fabrizio 2022, doi 10.1182/bloodadvances.2021006418; Dekker 2022, Blood Adv 6:1969.

    Examples
    --------
    >>> flag(13.58), flag(13.8), flag(14.0)
    ('below', 'borderline', 'met')
    """
    return "below" if auc_0_inf < LOW else "borderline" if auc_0_inf < MET else "met"


@lru_cache(maxsize=1)
def targets() -> Mapping[str, TargetEntry]:
    """Published targets by name."""
    return {entry.id: entry for entry in read_toml(DATA / "targets.toml", TargetFile).targets}


def bounds(target: TargetEntry) -> tuple[float, float]:
    """Low and high of a target, infinite where it has none; an optimum is both.

    Examples
    --------
    >>> bounds(targets()["fabrizio2022"])
    (13.8, inf)
    """
    if target.optimum is not None:
        return target.optimum, target.optimum
    return target.low or 0.0, target.high or np.inf


def status(target: TargetEntry, auc_0_inf: float) -> TargetStatus:
    """Whether an AUC is below, within or above a target."""
    low, high = bounds(target)
    return "below" if auc_0_inf < low else "above" if auc_0_inf > high else "within"


def applies(
    target: TargetEntry, *, age_years: float, product: str | None, disease: str | None
) -> bool:
    """Whether a patient is of the kind a target was published for."""
    low, high = target.ages or (0.0, np.inf)
    return (
        low <= age_years <= high
        and target.disease in (None, disease)
        and target.product in (None, product)
    )


def window_probabilities(
    auc_0_inf: F8, low: float, high: float, weights: F8 | None = None
) -> tuple[float, float, float]:
    """Fractions of simulated AUCs below, within and above a window.

    Parameters
    ----------
    auc_0_inf : (n,)
        mg h/L.
    low, high : float
        mg h/L.
    weights : (n,), optional
        With a sum of 1; equal if absent.

    Examples
    --------
    >>> window_probabilities(np.array([10.0, 15.0, 16.0, 25.0]), 13.8, 20.0)
    (0.25, 0.5, 0.25)
    """
    is_below, is_above = auc_0_inf < low, auc_0_inf > high
    if weights is None:
        n = len(auc_0_inf)
        below, above = int(np.count_nonzero(is_below)) / n, int(np.count_nonzero(is_above)) / n
    else:
        below, above = float(weights[is_below].sum()), float(weights[is_above].sum())
    return below, max(0.0, 1.0 - below - above), above


def prediction_interval(
    values: F8, level: float = 0.90, weights: F8 | None = None
) -> tuple[float, float]:
    """Central interval of simulated values, between the nearest two by a straight line.

    Parameters
    ----------
    values : (n,)
    level : float
        Probability of the interval.
    weights : (n,), optional
        Equal if absent.

    Examples
    --------
    >>> prediction_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    if weights is not None:
        ends = weighted_quantiles(values, weights, np.array([(1 - level) / 2, (1 + level) / 2]))
        return float(ends[0]), float(ends[1])
    ordered = np.sort(values)
    low, high = (len(ordered) - 1) * (1 - level) / 2, (len(ordered) - 1) * (1 + level) / 2
    return _between(ordered, low), _between(ordered, high)


def _between(ordered: F8, place: float) -> float:
    i = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    left, right = float(ordered[i]), float(ordered[min(i + 1, len(ordered) - 1)])
    return left + (right - left) * (place - i)
