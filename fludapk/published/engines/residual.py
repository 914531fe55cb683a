"""The residual error of a model of another engine, told from what its statements do to numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from fludapk.published.engines.algebra import parsed, value

_CONC: Final = (1e-6, 1e-3, 1.0, 1e6)
"""Concentrations: at the ends one part of an error outweighs the other."""
_STEP: Final = 0.25
_PREDICTIONS: Final = ("IPRED", "IPRE", "IPR", "CP", "CONC", "CPRED", "F")
OBSERVED: Final = ("Y", "DV")
"""Names of the observation."""
_SAME: Final = 1e-9


def residual_of(
    statements: Sequence[tuple[str, str]], thetas: Mapping[str, float], sigmas: Mapping[str, float]
) -> tuple[dict[str, float], bool] | None:
    """Find the SDs of a residual error, and if those of its two parts add.

    Parameters
    ----------
    statements : sequence of (str, str)
        Up to the observation, Y or DV, in Python's notation.
    thetas, sigmas : mappings of str to float
        Estimates; variances of epsilons.

    Returns
    -------
    (dict, bool) or None
        None if the error is none of proportional, additive, both, or of the logarithm.

    Examples
    --------
    >>> y = [("IPRED", "F"), ("Y", "IPRED*(1 + EPS_1) + EPS_2")]
    >>> residual_of(y, {}, {"EPS_1": 0.04, "EPS_2": 0.25})
    ({'proportional': 0.2, 'additive': 0.5}, False)
    """

    def observed(conc: float, **epsilons: float) -> float:
        names = {**thetas, **dict.fromkeys(sigmas, 0.0), "F": conc, **epsilons}
        for name, text in statements:
            expression = parsed(text)
            result = math.nan if expression is None else value(expression, names)
            if math.isnan(result) and name.upper() in _PREDICTIONS:
                result = conc  # from amounts, which the statements of the model have
            names[name] = result
        return next((names[name] for name in OBSERVED if name in names), math.nan)

    typical = [observed(conc) for conc in _CONC]
    is_logged = _are([math.exp(min(y, 99.0)) for y in typical], _CONC, 1e-5)  # perhaps F + 1E-12
    if not sigmas or not (is_logged or _are(typical, _CONC)):
        return None
    own = {name: variance for name, variance in sigmas.items() if variance > 0.0}
    ups = [[observed(conc, **{name: _STEP}) for name in own] for conc in _CONC]
    downs = [[observed(conc, **{name: -_STEP}) for name in own] for conc in _CONC]
    slopes = [[(u - d) / (2 * _STEP) for u, d in zip(*both, strict=True)]
              for both in zip(ups, downs, strict=True)]  # fmt: skip
    sds = [math.sqrt(sum(s * s * v for s, v in zip(row, own.values(), strict=True)))
           for row in slopes]  # fmt: skip
    middles = [
        [(u + d) / 2 for u, d in zip(*both, strict=True)] for both in zip(ups, downs, strict=True)
    ]
    is_linear = all(_are(row, [x] * len(row)) for row, x in zip(middles, typical, strict=True))
    if is_logged:
        return (
            ({"log": _rounded(sds[0])}, False)
            if is_linear and _are(sds, sds[:1] * len(sds))
            else None
        )
    if not is_linear:
        return _logarithmic(ups, own)
    return _parts(sds)


def _logarithmic(
    ups: Sequence[Sequence[float]], own: Mapping[str, float]
) -> tuple[dict[str, float], bool] | None:
    """Tell F exp(eps) from other errors that are not linear in an epsilon."""
    if len(own) != 1 or not all(row[0] > 0.0 for row in ups):
        return None
    rates = [math.log(row[0] / conc) / _STEP for row, conc in zip(ups, _CONC, strict=True)]
    (variance,) = own.values()
    return (
        ({"log": _rounded(abs(rates[0]) * math.sqrt(variance))}, False)
        if _are(rates, rates[:1] * 4)
        else None
    )


def _parts(sds: Sequence[float]) -> tuple[dict[str, float], bool] | None:
    """Part an SD into a proportional and an additive one; their variances add, or they do."""
    low, high = sds[0], sds[-1]
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    for adds_sds in (False, True):
        power = 1 if adds_sds else 2
        slope = high**power / _CONC[-1] ** power
        fixed = low**power - slope * _CONC[0] ** power
        if fixed < 1e-7 * low**power:
            fixed = 0.0
        slope = (high**power - fixed) / _CONC[-1] ** power
        if slope * _CONC[-1] ** power < 1e-7 * high**power:
            slope = 0.0
        again = [(slope * conc**power + fixed) ** (1 / power) for conc in _CONC]
        if _are(sds, again) and (slope or fixed):
            parts = {"proportional": slope ** (1 / power), "additive": fixed ** (1 / power)}
            kept = {kind: _rounded(sd) for kind, sd in parts.items() if sd}
            return kept, adds_sds and len(kept) == 2
    return None


def _rounded(sd: float) -> float:
    """Return an SD without the last bits of arithmetic."""
    return float(f"{sd:.12g}")


def _are(values: Sequence[float], expected: Sequence[float], rel_tol: float = _SAME) -> bool:
    return all(
        math.isclose(a, b, rel_tol=rel_tol, abs_tol=1e-14)
        for a, b in zip(values, expected, strict=True)
    )
