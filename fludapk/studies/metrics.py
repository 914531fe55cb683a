"""Prediction errors, NPDE and the visual predictive check."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8
from fludapk.pk.effects import normal_scores
from fludapk.studies.evaluation_records import SEED, Basis, BinRecord, ErrorRecord, NpdeRecord

RESAMPLES: Final = 1000
"""Bootstrap samples of patients, for the 95 % intervals of prediction errors."""
WITHIN: Final = 0.3
"""Largest relative error of a level counted in `within_30`."""
QUANTILES: Final = (0.1, 0.5, 0.9)
"""Quantiles shown in each bin of the visual predictive check."""


# ------------------------------------------------------------------ prediction errors


def prediction_errors(
    basis: Basis, predicted: F8, measured: F8, patient: npt.NDArray[np.int64]
) -> ErrorRecord | None:
    """Compute the errors of predicted levels; None if there is nothing to compare.

    Parameters
    ----------
    basis : str
        Information the levels are predicted from, one of `BASES`.
    predicted, measured : (levels,)
        mg/L; pairs with NaN are left out.
    patient : (levels,)
        Index of the patient of each level.

    Examples
    --------
    >>> errors = prediction_errors(
    ...     "covariates", np.array([1.1, 1.8]), np.array([1.0, 2.0]), np.array([0, 1])
    ... )
    >>> round(abs(errors.mpe), 6), round(errors.rmse, 6), errors.within_30
    (0.0, 10.0, 100.0)
    """
    is_pair = np.isfinite(predicted) & np.isfinite(measured)
    if not is_pair.any():
        return None
    error = 100.0 * (predicted[is_pair] - measured[is_pair]) / measured[is_pair]
    _, row = np.unique(patient[is_pair], return_inverse=True)
    n = int(np.max(row)) + 1
    parts = (np.ones_like(error), error, error**2, 100.0 * (np.abs(error) <= 100.0 * WITHIN))
    sums = np.array([np.bincount(row, part, n) for part in parts])

    def statistics(weighted: F8) -> F8:
        count, total, squares, near = weighted
        return np.array([total / count, np.sqrt(squares / count), near / count])

    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    low, high = np.quantile(statistics(sums @ drawn.T), [0.025, 0.975], axis=1)
    intervals = [(float(a), float(b)) if n > 1 else None for a, b in zip(low, high, strict=True)]
    mpe, rmse, near = (float(value) for value in statistics(sums.sum(axis=1)))
    return ErrorRecord(
        basis=basis,
        patients=n,
        levels=int(is_pair.sum()),
        mpe=mpe,
        mpe_ci95=intervals[0],
        rmse=rmse,
        rmse_ci95=intervals[1],
        within_30=near,
        within_30_ci95=intervals[2],
    )


def npde(measured: F8, simulated: F8, lloq: F8, rng: np.random.Generator) -> F8:
    """Compute the normalised prediction distribution errors of the levels of one patient.

    Levels and simulations are decorrelated by the mean and covariance of the simulations; a level's
    error is the normal score of the share of simulations below it. Before that, a measured or
    simulated level below its limit of quantification is replaced by a random simulation below it.

    Parameters
    ----------
    measured, lloq : (m,)
        mg/L; a measured NaN is below `lloq`, a limit of NaN is unknown.
    simulated : (n, m)
        mg/L, with residual error.
    rng : Generator
        Draws the replacements.

    Returns
    -------
    (m,)
        Standard normal if the model is true.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the simulations do not tell the levels apart.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> simulated = rng.lognormal(size=(1001, 1))
    >>> npde(np.median(simulated, axis=0), simulated, np.array([np.nan]), rng).round(2)
    array([0.])
    """
    n = len(simulated)
    levels, simulated = measured.copy(), simulated.copy()
    for t in range(len(levels)):
        below = np.flatnonzero(simulated[:, t] < lloq[t])
        simulated[below, t] = rng.permutation(simulated[below, t])
        if np.isnan(levels[t]):
            levels[t] = simulated[rng.choice(below), t] if below.size else lloq[t]
    if n <= len(levels) or not simulated.all():
        raise np.linalg.LinAlgError("more levels than simulations, or so late that they are zero")
    largest = np.abs(simulated).max(axis=0)  # a late level may be 1e-200 of an early one
    simulated, levels = simulated / largest, levels / largest
    mean = simulated.mean(axis=0)
    covariance = np.atleast_2d(np.cov(simulated, rowvar=False))
    root = np.linalg.cholesky(covariance)
    decorrelated = np.linalg.solve(root, (simulated - mean).T)
    position = np.linalg.solve(root, levels - mean)
    share = np.mean(decorrelated < position[:, np.newaxis], axis=1) + 0.5 / n
    edge = 0.5 / n
    return normal_scores(np.clip(share, edge, 1.0 - edge))


def npde_record(values: F8) -> NpdeRecord | None:
    """Test whether NPDE are standard normal; None for fewer than three.

    Parameters
    ----------
    values : (levels,)
        NPDE of all levels.
    """
    if len(values) < 3:
        return None
    from scipy import stats

    values = np.sort(values)  # sums do not depend on the order of patients
    n, variance = len(values), float(np.var(values, ddof=1))
    tail = float(stats.chi2.cdf((n - 1) * variance, n - 1))
    p_mean = float(stats.ttest_1samp(values, 0.0).pvalue)
    p_variance = min(1.0, 2.0 * min(tail, 1.0 - tail))
    p_normal = float(stats.shapiro(_at_most(values, 5000)).pvalue)
    return NpdeRecord(
        n=n,
        mean=float(values.mean()),
        variance=variance,
        p_mean=p_mean,
        p_variance=p_variance,
        p_normal=p_normal,
        p_global=min(1.0, 3.0 * min(p_mean, p_variance, p_normal)),
    )


def _at_most(values: F8, n: int) -> F8:
    """Return n of many values, drawn without looking; all if there are no more."""
    if len(values) <= n:
        return values
    return np.random.default_rng(SEED).permutation(values)[:n]


def prediction_corrected(
    *, after_h: F8, measured: F8, lloq: F8, typical: F8, simulated: F8
) -> tuple[list[BinRecord], F8]:
    """Compute a prediction-corrected visual predictive check.

    Each level and its simulations are multiplied by (median typical concentration of its
    bin)/(its typical concentration). A level or simulation below its limit of quantification
    counts as lower than all others.

    Parameters
    ----------
    after_h : (levels,)
        Times after the last dose, h.
    measured, lloq : (levels,)
        mg/L; NaN as in `npde`.
    typical : (levels,)
        Concentrations of the typical patient, mg/L.
    simulated : (n, levels)
        mg/L, with residual error.

    Returns
    -------
    bins : list of BinRecord
    corrected : (levels,)
        Corrected levels, mg/L; NaN below the limit of quantification.
    """
    usable = np.flatnonzero(typical > 0.0)
    records: list[BinRecord] = []
    corrected = np.full(len(measured), np.nan)
    bins = _bins(after_h[usable]) if usable.size else usable
    for k in np.unique(bins):
        here = usable[bins == k]
        factor = np.median(typical[here]) / typical[here]
        corrected[here] = measured[here] * factor
        observed = np.nan_to_num(corrected[here])
        is_below = simulated[:, here] < lloq[here]
        drawn = np.where(is_below, 0.0, simulated[:, here] * factor)
        spread = np.quantile(drawn, QUANTILES, axis=1)
        low, middle, high = np.quantile(spread, [0.025, 0.5, 0.975], axis=1)
        records.append(
            BinRecord(
                from_h=float(after_h[here].min()),
                to_h=float(after_h[here].max()),
                middle_h=float(np.median(after_h[here])),
                levels=len(here),
                observed=_quantified(np.quantile(observed, QUANTILES)),
                expected=_quantified(middle),
                low=_quantified(low),
                high=_quantified(high),
            )
        )
    return records, corrected


def _quantified(values: F8) -> tuple[float | None, ...]:
    """Return quantiles, None for those below the limit of quantification."""
    return tuple(float(value) if value > 0.0 else None for value in values)


_MOST_BINS: Final = 8
_PER_BIN: Final = 10
"""Levels per bin, at least, on average."""
_UNEXPLAINED: Final = 0.005
"""Share of the sum of squares that the bins may leave unexplained."""


def _bins(after_h: F8) -> npt.NDArray[np.int64]:
    """Return the bin of each level: the fewest bins that explain the spread of log(1 + h).

    A bin holds neighbours in time. Least squares over all cuts of the times, by dynamic
    programming.
    """
    x, place, count = np.unique(
        np.round(np.log1p(after_h), 2), return_inverse=True, return_counts=True
    )
    n, sums, squares = (
        np.append(0.0, np.cumsum(count * part)) for part in (np.ones_like(x), x, x**2)
    )
    first, last = np.arange(len(x))[:, None], np.arange(1, len(x) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (sums[last] - sums[first]) / (n[last] - n[first])
        cost = squares[last] - squares[first] - mean * (sums[last] - sums[first])
    cost[first >= last] = np.inf  # a bin holds times first to last - 1
    best = cost[0]
    starts = [np.zeros(len(x), dtype=np.int64)]
    tolerated = _UNEXPLAINED * best[-1]
    most = min(_MOST_BINS, len(x), max(1, len(after_h) // _PER_BIN))
    while len(starts) < most and best[-1] > tolerated:
        before = np.append(np.inf, best[:-1])[:, None]  # cost of the bins before each start
        total = before + cost
        starts.append(np.argmin(total, axis=0))
        best = np.min(total, axis=0)
    label, end = np.empty(len(x), dtype=np.int64), len(x)
    for k in range(len(starts) - 1, -1, -1):
        start = int(starts[k][end - 1])
        label[start:end], end = k, start
    return label[place]
