"""Summary of a study: quantiles, probabilities and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from fludapk.arrays import I8
from fludapk.published.uncertainty import CORRELATION, Z95
from fludapk.studies.counts import COUNTED, FIXED_POINT, OUTCOMES, QUANTITIES, Counts
from fludapk.studies.grid import quantile
from fludapk.studies.records import (
    QUANTILES,
    CorrelationRecord,
    Quantiles,
    Share,
    StratumSummary,
)

PROBABILITIES: Final = {
    "below_13_8": "p_below_13_8",
    "below_14": "p_below_14",
    "in_window": "p_in_window",
    "above_20": "p_above_20",
}
"""Names of the probabilities of `OUTCOMES`."""


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a fraction by Wilson's method; None without patients.

    Parameters
    ----------
    hits : int
        Patients with an outcome.
    n : int
        All patients.

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson(50, 100)
    >>> f"{low:.3f}-{high:.3f}"
    '0.404-0.596'
    """
    if n == 0:
        return None, None
    p, z2 = hits / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def summary(counts: Counts, limits: Sequence[float] | None = None) -> list[StratumSummary]:
    """Summarise the counts of every stratum.

    Parameters
    ----------
    counts : Counts
    limits : sequence of float, optional
        AUCs between which fractions are told, mg h/L; all edges of the counts if absent.
    """
    limits = counts.edges if limits is None else limits
    return [_stratum(counts, s, limits) for s in range(len(counts.strata))]


def _stratum(counts: Counts, s: int, limits: Sequence[float]) -> StratumSummary:
    """Summarise the stratum of a number."""
    number = dict(zip(COUNTED, counts.counts[s].tolist(), strict=True))
    draws = max(len(counts.outer), 1)
    given, n = number["given"], number["n"] // draws
    mean, cv_percent = _geometric(counts.moments[s], given)
    auc, dose_mg, total_mg_m2 = (_spread(part[s]) for part in counts.histograms)
    return StratumSummary(
        model=counts.truth,
        strategy=counts.strategy,
        stratum=counts.strata[s],
        n=n,
        auc_geometric_mean=mean,
        auc_cv_percent=cv_percent,
        interval="outer draws" if len(counts.outer) else "wilson",
        not_given=n - round(given / draws),
        held_at_ceiling=round(number["held_at_ceiling"] / draws),
        outside_studied_range=number["outside_studied_range"] // draws,
        undecided=round(number["undecided"] / draws),
        redrawn_size=number["redrawn_size"] // draws,
        redrawn_scr=number["redrawn_scr"] // draws,
        auc=auc,
        dose_mg=dose_mg,
        total_mg_m2=total_mg_m2,
        p_below_13_8=_share(counts, s, "below_13_8", given),
        p_below_14=_share(counts, s, "below_14", given),
        p_in_window=_share(counts, s, "in_window", given),
        p_above_20=_share(counts, s, "above_20", given),
        limits=_limits(counts, s, limits),
        **{
            name: _spread(table[s], scale)
            for table, (name, scale) in zip(counts.quantities, QUANTITIES.items(), strict=True)
        },
    )


def correlation(counts: Counts, between: Sequence[str]) -> CorrelationRecord | None:
    """Tell what a correlation of two estimates would change; None where that was not simulated.

    Parameters
    ----------
    counts : Counts
    between : sequence of str
        Names of the two estimates.
    """
    given = counts.correlated[:, :, 0]
    if not given.size or not given.any():
        return None
    both = []
    for part in counts.correlated:
        part = part[part[:, 0] > 0]
        hits, n = part[:, 1 + OUTCOMES.index("below_13_8")], part[:, 0]
        low, high = np.quantile(hits / n, [0.025, 0.975]).tolist()
        both.append(Share(value=float(hits.sum() / n.sum()), low=low, high=high))
    return CorrelationRecord(
        model=counts.truth,
        strategy=counts.strategy,
        between=list(between),
        correlation=CORRELATION,
        patients=int(np.max(given)),
        p_below_13_8=both[0],
        p_below_13_8_correlated=both[1],
    )


def _limits(counts: Counts, s: int, limits: Sequence[float]) -> dict[str, Share]:
    """Return the fractions below, between and above limits, by the names of their columns."""
    if not limits:
        return {}
    names = [f"p_below_{_plain(limits[0])}"]
    names += [f"p_{_plain(a)}_to_{_plain(b)}" for a, b in pairwise(limits)]
    names += [f"p_from_{_plain(limits[-1])}"]
    by_draw = counts.merged(counts.groups[:, s].sum(axis=1), limits)
    total = by_draw.sum(axis=1)
    shares = {}
    for name, hits in zip(names, by_draw.T, strict=True):
        given = int(total.sum())
        low, high = wilson(int(hits.sum()), given)
        if len(counts.outer) and given:
            ends = np.quantile(hits[total > 0] / total[total > 0], [0.025, 0.975])
            low, high = float(ends[0]), float(ends[1])
        shares[name] = Share(value=int(hits.sum()) / given if given else None, low=low, high=high)
    return shares


def _plain(limit: float) -> str:
    """Return a limit for the name of a column.

    Examples
    --------
    >>> _plain(13.8), _plain(25.0)
    ('13_8', '25')
    """
    return f"{limit:g}".replace(".", "_")


def _spread(histogram: I8, scale: float = 1.0) -> Quantiles:
    """Return quantiles of what is on the grid times a scale."""
    values = {name: quantile(histogram, q) for name, q in QUANTILES.items()}
    return Quantiles(**{name: x if x is None else x / scale for name, x in values.items()})


def _share(counts: Counts, s: int, outcome: str, given: int) -> Share:
    """Return the fraction with an outcome; its interval is over outer draws, if there are any."""
    hits = int(counts.counts[s][COUNTED.index(outcome)])
    low, high = wilson(hits, given)
    if len(counts.outer) and given:
        of_draw = counts.outer[counts.outer[:, s, 0] > 0, s]
        shares = of_draw[:, 1 + OUTCOMES.index(outcome)] / of_draw[:, 0]
        low, high = (float(end) for end in np.quantile(shares, [0.025, 0.975]))
    return Share(value=hits / given if given else None, low=low, high=high)


def _geometric(moments: Sequence[int], n: int) -> tuple[float | None, float | None]:
    """Return geometric mean and geometric CV, %."""
    if n == 0:
        return None, None
    mean, square = (total / FIXED_POINT / n for total in moments)
    variance = max(0.0, square - mean * mean)
    return math.exp(mean), 100 * math.sqrt(math.expm1(variance))
