"""Growth references by the LMS method."""

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import Array, Result, as_float


def _over_itself(function: np.ufunc, x: Array) -> Array:
    """Return function(x) / x, continued by its limit 1 at x = 0."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    result: Array = np.where(zero, 1.0, function(safe) / safe)[()]
    return result


def lms_value(*, z: ArrayLike, L: ArrayLike, M: ArrayLike, S: ArrayLike) -> Result:
    """Compute the measurement at a z-score by Cole's LMS method.

    M (1 + L S z)^(1/L), or M exp(S z) if L = 0.

    Parameters
    ----------
    z : array_like
        Standard normal score, dimensionless.
    L : array_like
        Box-Cox power, dimensionless.
    M : array_like
        Median, in the unit of the measurement.
    S : array_like
        Coefficient of variation, dimensionless.

    Returns
    -------
    np.float64 or ndarray
        The measurement, in the unit of M. NaN for a z so far out that 1 + L S z is negative. The
        ages are those of the table that L, M and S come from.

    Notes
    -----
    Written with y = L S z as M exp(S z log1p(y)/y). For small L the textbook form rounds 1 + y and
    then magnifies the loss by 1/L; this one stays exact and is continuous at L = 0.

    References
    ----------
    Cole TJ, Green PJ. Smoothing reference centile curves: the LMS method and penalized likelihood.
    Stat Med 1992;11:1305-1319. doi:10.1002/sim.4780111005

    Examples
    --------
    >>> f"{lms_value(z=2, L=0, M=18, S=0.15):.2f}"
    '24.30'
    """
    z, L, S = as_float(z), as_float(L), as_float(S)
    with np.errstate(invalid="ignore", divide="ignore"):
        return as_float(M) * np.exp(S * z * _over_itself(np.log1p, L * S * z))


def lms_zscore(*, value: ArrayLike, L: ArrayLike, M: ArrayLike, S: ArrayLike) -> Result:
    """Compute the z-score of a measurement by Cole's LMS method.

    ((X/M)^L - 1)/(L S), or ln(X/M)/S if L = 0.

    Parameters
    ----------
    value : array_like
        The measurement X, in the unit of M.
    L : array_like
        Box-Cox power, dimensionless.
    M : array_like
        Median, in the unit of the measurement.
    S : array_like
        Coefficient of variation, dimensionless.

    Returns
    -------
    np.float64 or ndarray
        Standard normal score, dimensionless. The ages are those of the table that L, M and S come
        from.

    Notes
    -----
    Written with y = L ln(X/M) as ln(X/M)/S expm1(y)/y. For small L, (X/M)^L - 1 would cancel.

    References
    ----------
    Cole TJ, Green PJ. Smoothing reference centile curves: the LMS method and penalized likelihood.
    Stat Med 1992;11:1305-1319. doi:10.1002/sim.4780111005

    Examples
    --------
    >>> f"{lms_zscore(value=24.3, L=0, M=18, S=0.15):.2f}"
    '2.00'
    """
    log_ratio = np.log(as_float(value) / as_float(M))
    return log_ratio / as_float(S) * _over_itself(np.expm1, as_float(L) * log_ratio)


def modified_zscore(*, value: ArrayLike, L: ArrayLike, M: ArrayLike, S: ArrayLike) -> Result:
    """Modified z-score of the CDC: distance from the median in halves of that of z = -2 or 2.

    Parameters
    ----------
    value : array_like
        The measurement, in the unit of M.
    L : array_like
        Box-Cox power, dimensionless.
    M : array_like
        Median, in the unit of the measurement.
    S : array_like
        Coefficient of variation, dimensionless.

    Returns
    -------
    np.float64 or ndarray
        Score, dimensionless. The ages are those of the table that L, M and S come from.

    Notes
    -----
    Extreme values are told by it because `lms_zscore` hardly grows far above the median where L is
    negative: 81 kg at 5 y are z = 4.7.

    References
    ----------
    Centers for Disease Control and Prevention. A SAS program for the 2000 CDC growth charts,
    section on extreme or biologically implausible values.
    https://www.cdc.gov/growth-chart-training/hcp/computer-programs/sas.html

    Examples
    --------
    >>> f"{modified_zscore(value=81, L=-1.4, M=18, S=0.14):.0f}"
    '16'
    """
    distance = as_float(value) - as_float(M)
    two = np.where(distance < 0, -2.0, 2.0)
    return 2 * distance / np.abs(lms_value(z=two, L=L, M=M, S=S) - as_float(M))
