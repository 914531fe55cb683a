"""The summary of a study: quantiles, probabilities and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fludapk.studies.counts import COUNTED, FIXED_POINT, OUTCOMES, Counts, quantile
from fludapk.studies.uncertainty import Z95

# ------------------------------------------------------------------ the summary

_QUANTILES: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q95": 0.95}
PROBABILITIES: Final = {
    "below_13_8": "p_below_13_8",
    "below_14": "p_below_14",
    "in_window": "p_in_window",
    "above_20": "p_above_20",
}


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """95 % interval of a fraction.

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


def summary(counts: Counts) -> list[dict[str, Any]]:
    """A row per stratum."""
    rows = []
    outer = len(counts.outer)
    for s, label in enumerate(counts.strata):
        known = dict(zip(COUNTED, counts.counts[s].tolist(), strict=True))
        draws = max(outer, 1)
        n, given = known["n"] // draws, known["given"]
        row: dict[str, Any] = {
            "model": counts.truth,
            "strategy": counts.strategy,
            "stratum": label,
            "n": n,
        }
        auc, dose, total = (part[s] for part in counts.histograms)
        row |= {f"auc_{name}": quantile(auc, q) for name, q in _QUANTILES.items()}
        row |= _geometric(counts.moments[s], given)
        for outcome, name in PROBABILITIES.items():
            hits = known[outcome]
            row[name] = hits / given if given else None
            low, high = wilson(hits, given)
            if outer and given:
                share = counts.outer[:, s, OUTCOMES.index(outcome)] / (given / draws)
                low, high = (float(x) for x in np.quantile(share, [0.025, 0.975]))
            row[f"{name}_low"], row[f"{name}_high"] = low, high
        row["interval"] = "outer draws" if outer else "wilson"
        row |= {f"dose_mg_{name}": quantile(dose, q) for name, q in _QUANTILES.items()}
        row |= {f"total_mg_m2_{name}": quantile(total, q) for name, q in _QUANTILES.items()}
        row["not_given"] = n - given // draws
        for name in ("held_at_ceiling", "outside_studied_range"):
            row[name] = known[name] // draws
        rows.append(row)
    return rows


def _geometric(moments: Sequence[int], n: int) -> dict[str, float | None]:
    """Geometric mean and geometric CV."""
    if n == 0:
        return {"auc_geometric_mean": None, "auc_cv_percent": None}
    mean, square = (total / FIXED_POINT / n for total in moments)
    variance = max(0.0, square - mean * mean)
    return {
        "auc_geometric_mean": math.exp(mean),
        "auc_cv_percent": 100 * math.sqrt(math.expm1(variance)),
    }
