"""Published targets on the cumulative AUC: thresholds, flag, bounds and applicability."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.pk.auc_by_dose import weighted_quantiles
from fludapk.published.course_files import TargetEntry, TargetFile
from fludapk.published.tables import DATA, read_toml

Flag = Literal["below", "borderline", "met"]
TargetStatus = Literal["below", "within", "above"]

LOW: Final = 13.8
"""Threshold of fabrizio2022, mg h/L."""
MET: Final = 14.0
"""Threshold of dekker2022, mg h/L."""
OPTIMAL: Final = 18.0
"""Lower end of the window of scordo2023, mg h/L."""
HIGH: Final = 20.0
"""Threshold of scordo2023 and langenhorst2019b, mg h/L, above which harm was found."""


def finite_auc(auc_0_inf: float) -> float:
    """Return an AUC that can be judged.

    Raises
    ------
    InputError
        If it is no finite number: no verdict may come out of a failed calculation.

    Examples
    --------
    >>> finite_auc(13.58)
    13.58
    """
    if not math.isfinite(auc_0_inf):
        found = f"{tr(_FAILED)}: {auc_0_inf} mg·h/L"
        raise InputError(Fault("", found, do=tr(_DO), whole=True))
    return auc_0_inf


def _finite_aucs(values: F8, weights: F8 | None = None) -> None:
    """Refuse simulated values of which any is no finite number, or has no weight."""
    good = np.isfinite(values) if weights is None else np.isfinite(values) & (weights >= 0.0)
    if not values.size or not good.all():
        bad = values.size - int(np.count_nonzero(good))
        found = tr(
            "the AUC cannot be judged: it is no finite number for {bad} of {n} simulated courses",
            bad=bad,
            n=values.size,
        )
        raise InputError(Fault("", found, do=tr(_DO), whole=True))


_FAILED: Final = marked("the AUC cannot be judged: it is no finite number")
_DO: Final = marked("check dose, size and kidney function, and the numbers of the model")


def flag(auc_0_inf: float) -> Flag:
    """Classify a cumulative AUC by 13.8 and 14 mg h/L.

    Parameters
    ----------
    auc_0_inf : float
        mg h/L.

    Returns
    -------
    str
        "below" < 13.8 <= "borderline" < 14.0 <= "met".

    Raises
    ------
    InputError
        If the AUC is no finite number.

    References
    ----------
    Fabrizio 2022, doi 10.1182/bloodadvances.2021006418; Dekker 2022, Blood Adv 6:1969.

    Examples
    --------
    >>> flag(13.58), flag(13.8), flag(14.0)
    ('below', 'borderline', 'met')
    """
    auc = finite_auc(auc_0_inf)
    return "met" if auc >= MET else "borderline" if auc >= LOW else "below"


@lru_cache(maxsize=1)
def targets() -> Mapping[str, TargetEntry]:
    """Return the published targets by name."""
    return {entry.id: entry for entry in read_toml(DATA / "targets.toml", TargetFile).targets}


def bounds(target: TargetEntry) -> tuple[float, float]:
    """Return low and high of a target, mg h/L; an optimum is both.

    A target without low has 0, one without high infinity.

    Examples
    --------
    >>> bounds(targets()["fabrizio2022"])
    (13.8, inf)
    """
    if target.optimum is not None:
        return target.optimum, target.optimum
    return target.low or 0.0, target.high or np.inf


def status(target: TargetEntry, auc_0_inf: float) -> TargetStatus:
    """Tell if an AUC (mg h/L) is below, within or above a target; it must be finite."""
    low, high = bounds(target)
    auc = finite_auc(auc_0_inf)
    return "within" if low <= auc <= high else "above" if auc > high else "below"


def applies(
    target: TargetEntry, *, age_years: float, product: str | None, disease: str | None
) -> bool:
    """Tell if a target was published for patients like this one.

    Parameters
    ----------
    target : TargetEntry
    age_years : float
    product, disease : str or None
        Identifiers; None if unknown.
    """
    low, high = target.ages or (0.0, np.inf)
    return (
        low <= age_years <= high
        and age_years < np.inf
        and target.disease in (None, disease)
        and target.product in (None, product)
    )


def verdict(auc_0_inf: float, target: TargetEntry | None) -> str:
    """Name the side of the limits of a target, or of the flag, on which an AUC is.

    Examples
    --------
    >>> verdict(21.7, targets()["scordo2023"]), verdict(13.5, None)
    ('above 20', 'below 13.8')
    """
    at = side(auc_0_inf, target)
    if target is None:
        if at == "borderline":
            return tr("{low:g} to {high:g}", low=LOW, high=MET)
        return _below(LOW) if at == "below" else _or_more(MET)
    low, high = bounds(target)
    if target.optimum is not None:
        return _below(low) if at == "below" else _or_more(low)
    return side_of(auc_0_inf, low, high)


def side(auc_0_inf: float, target: TargetEntry | None) -> Flag | TargetStatus:
    """Tell on which side of the limits of a target, or of the flag, an AUC is; see `verdict`.

    Examples
    --------
    >>> side(21.7, targets()["scordo2023"]), side(13.9, None)
    ('above', 'borderline')
    """
    if target is None:
        return flag(auc_0_inf)
    at = status(target, auc_0_inf)
    return "above" if at == "within" and target.optimum is not None else at


def side_of(auc_0_inf: float, low: float, high: float) -> str:
    """Name the side of a window on which an AUC is; the window may have no upper bound.

    Raises
    ------
    InputError
        If the AUC is no finite number.

    Examples
    --------
    >>> side_of(13.5, 13.8, np.inf), side_of(18.5, 18.0, 20.0)
    ('below 13.8', 'within 18-20')
    """
    auc = finite_auc(auc_0_inf)
    if low <= auc <= high:
        if not np.isfinite(high):
            return _or_more(low)
        return tr("within {low:g}-{high:g}", low=low, high=high)
    return tr("above {high:g}", high=high) if auc > high else _below(low)


def _below(low: float) -> str:
    return tr("below {low:g}", low=low)


def _or_more(low: float) -> str:
    return tr("{low:g} or more", low=low)


def leading_target(
    *, age_years: float, product: str | None, disease: str | None
) -> TargetEntry | None:
    """Return the target that leads the answer for a patient: the first of the file that fits.

    Examples
    --------
    >>> leading_target(age_years=5, product="tisa_cel", disease="b_all").name
    'Fabrizio 2022'
    >>> leading_target(age_years=60, product="tisa_cel", disease="b_all") is None
    True
    """
    return next(
        (
            entry
            for entry in targets().values()
            if applies(entry, age_years=age_years, product=product, disease=disease)
        ),
        None,
    )


def window_probabilities(
    auc_0_inf: F8, low: float, high: float, weights: F8 | None = None
) -> tuple[float, float, float]:
    """Return the fractions of simulated AUCs below, within and above a window.

    Parameters
    ----------
    auc_0_inf : (n,) array
        mg h/L.
    low, high : float
        mg h/L; an AUC at a bound is within.
    weights : (n,) array, optional
        With a sum of 1; equal if absent.

    Raises
    ------
    InputError
        If an AUC is no finite number.

    Examples
    --------
    >>> window_probabilities(np.array([10.0, 15.0, 16.0, 25.0]), 13.8, 20.0)
    (0.25, 0.5, 0.25)
    """
    if weights is None:
        return window_probabilities_of_many(auc_0_inf[None], [(low, high)])[low, high][0]
    _finite_aucs(auc_0_inf, weights)
    is_below, is_above = auc_0_inf < low, auc_0_inf > high
    below, above = float(weights[is_below].sum()), float(weights[is_above].sum())
    return below, max(0.0, 1.0 - below - above), above


def window_probabilities_of_many(
    auc_0_inf: F8, windows: Iterable[tuple[float, float]]
) -> dict[tuple[float, float], list[tuple[float, float, float]]]:
    """Return `window_probabilities` of many patients, a row of simulated AUCs for each.

    Parameters
    ----------
    auc_0_inf : (patients, n) array
        mg h/L.
    windows : iterable of (low, high)
        mg h/L.

    Examples
    --------
    >>> window_probabilities_of_many(np.array([[10.0, 15.0], [16.0, 25.0]]), [(13.8, 20.0)])
    {(13.8, 20.0): [(0.5, 0.5, 0.0), (0.0, 0.5, 0.5)]}
    """
    _finite_aucs(auc_0_inf)
    sides = list(windows)  # many share a bound, which is counted once
    below = {low: _shares(auc_0_inf < low) for low in {low for low, _ in sides}}
    above = {high: _shares(auc_0_inf > high) for high in {high for _, high in sides}}
    return {
        (low, high): [
            (b, max(0.0, 1.0 - b - a), a) for b, a in zip(below[low], above[high], strict=True)
        ]
        for low, high in sides
    }


def _shares(rows: Bools) -> list[float]:
    """Return the fraction that is true in each row."""
    return [int(np.count_nonzero(row)) / row.size for row in rows]


def prediction_interval(
    values: F8, coverage: float = 0.90, weights: F8 | None = None
) -> tuple[float, float]:
    """Return the central interval of simulated values, interpolated linearly.

    Parameters
    ----------
    values : (n,) array
    coverage : float
        Fraction of the values inside.
    weights : (n,) array, optional
        Equal if absent.

    Examples
    --------
    >>> prediction_interval(np.arange(101.0), coverage=0.5)
    (25.0, 75.0)
    """
    if weights is None:
        return prediction_intervals(values[None], coverage)[0]
    _finite_aucs(values, weights)
    low, high = weighted_quantiles(
        values, weights, np.array([(1 - coverage) / 2, (1 + coverage) / 2])
    ).tolist()
    return low, high


def prediction_intervals(values: F8, coverage: float = 0.90) -> list[tuple[float, float]]:
    """Return `prediction_interval` of many patients, a row of simulated values for each.

    Examples
    --------
    >>> prediction_intervals(np.array([[3.0, 1.0], [4.0, 4.0]]), coverage=0.5)
    [(1.5, 2.5), (4.0, 4.0)]
    """
    _finite_aucs(values)
    last = values.shape[1] - 1
    low, high = (last * (1 + side * coverage) / 2 for side in (-1, 1))
    ranks = [min(int(place) + k, last) for place in (low, high) for k in (0, 1)]
    left, right, *upper = _of_ranks(values, ranks).T
    ends = [left + (right - left) * (low - ranks[0])]
    ends.append(upper[0] + (upper[1] - upper[0]) * (high - ranks[2]))
    return list(zip(*(end.tolist() for end in ends), strict=True))


def _of_ranks(values: F8, ranks: list[int]) -> F8:
    """Return the values of four ranks, two low and two high, of each row.

    Only the tails of a long row are looked at, in which its first values let expect them: half
    the time.
    """
    n = values.shape[1]
    if n < _LONG:
        return np.asarray(np.partition(values, sorted({*ranks}), axis=1)[:, ranks])
    cuts = [int(_WIDER * _FIRST * size / n) for size in (ranks[1] + 1, n - ranks[2])]
    first = np.partition(values[:, :_FIRST], [cuts[0], _FIRST - 1 - cuts[1]], axis=1)
    found = np.empty((len(values), 4))
    for i, row in enumerate(values):
        lows = row[row <= first[i, cuts[0]]]
        highs = row[row >= first[i, _FIRST - 1 - cuts[1]]]
        of_highs = [rank - n + len(highs) for rank in ranks[2:]]
        if ranks[1] < len(lows) and of_highs[0] >= 0:
            found[i, :2] = np.partition(lows, ranks[:2])[ranks[:2]]
            found[i, 2:] = np.partition(highs, of_highs)[of_highs]
        else:
            found[i] = np.partition(row, ranks)[ranks]
    return found


_LONG, _FIRST, _WIDER = 2048, 512, 1.3
"""Number of values of a long row, of those that tell where its tails end, and of how much wider
tails are taken."""
