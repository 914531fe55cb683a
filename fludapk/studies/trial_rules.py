"""Rules of single-arm trials: exact binomial, and Simon's two stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from scipy.stats import binom

from fludapk.arrays import F8

_MOST_PATIENTS: Final = 400


def p_at_least(hits: int, n: int, p: F8 | float) -> F8:
    """Return the probability of at least so many hits in n patients.

    Parameters
    ----------
    hits, n : int
    p : array or float
        Chance of a hit in each.

    Examples
    --------
    >>> float(p_at_least(12, 18, 0.614).round(3))
    0.422
    """
    return np.asarray(binom.sf(hits - 1, n, p))


@dataclass(frozen=True, kw_only=True)
class OneStage:
    """A rule that is fulfilled by at least so many hits in n patients.

    Parameters
    ----------
    n, at_least : int
    alpha : float
        Probability of fulfilling it under p0.
    power : float
        The same under p1.
    """

    n: int
    at_least: int
    alpha: float
    power: float


@dataclass(frozen=True, kw_only=True)
class TwoStage:
    """Simon's design: stops after n1 patients with r1 hits or fewer; goes with more than r of n.

    Parameters
    ----------
    kind : {'optimal', 'minimax'}
        Least patients expected under p0, or least patients at most.
    r1, n1, r, n : int
    alpha, power : float
    p_stop : float
        Probability of stopping after the first stage under p0.
    expected_n : float
        Patients expected under p0.

    References
    ----------
    Simon R. Control Clin Trials 1989;10:1-10. doi:10.1016/0197-2456(89)90015-9
    """

    kind: Literal["optimal", "minimax"]
    r1: int
    n1: int
    r: int
    n: int
    alpha: float
    power: float
    p_stop: float
    expected_n: float

    def p_go(self, p: float) -> float:
        """Return the probability of fulfilling the rule at a chance of a hit."""
        return float(_go(self.n1, self.n, _pmfs(p, self.n))[self.r, self.r1])


def one_stage(p0: float, p1: float, *, alpha: float, power: float) -> OneStage | None:
    """Find the smallest single-stage design; None if it needs more than 400 patients.

    Parameters
    ----------
    p0, p1 : float
        Chance of a hit that is too low, and one that is wanted; p0 < p1.
    alpha : float
        One-sided.
    power : float

    Examples
    --------
    >>> rule = one_stage(0.1, 0.3, alpha=0.05, power=0.8)
    >>> rule.at_least, rule.n
    (6, 25)
    """
    for n in range(1, _MOST_PATIENTS + 1):
        hits = int(binom.isf(alpha, n, p0)) + 1
        reached = float(binom.sf(hits - 1, n, p1))
        if reached >= power:
            return OneStage(
                n=n, at_least=hits, alpha=float(binom.sf(hits - 1, n, p0)), power=reached
            )
    return None


def two_stages(
    p0: float, p1: float, *, alpha: float, power: float, most: int = 100
) -> tuple[TwoStage, TwoStage] | None:
    """Find Simon's optimal and minimax designs; None without one of at most so many patients.

    Parameters
    ----------
    p0, p1, alpha, power
        See `one_stage`.
    most : int
        Most patients of a design.

    Examples
    --------
    >>> optimal, minimax = two_stages(0.05, 0.25, alpha=0.05, power=0.8, most=30)
    >>> (optimal.r1, optimal.n1, optimal.r, optimal.n), round(optimal.expected_n, 3)
    ((0, 9, 2, 17), 11.958)
    >>> (minimax.r1, minimax.n1, minimax.r, minimax.n), round(minimax.expected_n, 2)
    ((0, 12, 2, 16), 13.84)
    """
    single = one_stage(p0, p1, alpha=alpha, power=power)
    last = most if single is None else min(most, single.n + single.n // 2 + 10)
    least = 2 if single is None else max(2, single.n * 3 // 4)
    tables = _pmfs(p0, last), _pmfs(p1, last)
    designs = [
        design
        for n in range(least, last + 1)
        for n1 in range(1, n)
        for design in _with_first_stage(n1, n, *tables, alpha, power)
    ]
    if not designs:
        return None
    optimal = min(designs, key=lambda design: (design.expected_n, design.n))
    minimax = min(designs, key=lambda design: (design.n, design.expected_n))
    return optimal, replace(minimax, kind="minimax")


def _pmfs(p: float, last: int) -> list[F8]:
    """Return the binomial probabilities of 0 to n hits, for n from 0 to the last."""
    rows = [np.ones(1)]
    for _ in range(last):
        rows.append(np.append(rows[-1] * (1 - p), 0.0) + np.insert(rows[-1] * p, 0, 0.0))
    return rows


def _go(n1: int, n: int, pmfs: Sequence[F8]) -> F8:
    """Return (n + 1, n1 + 1): the probability of more than r hits of n and more than r1 of n1."""
    n2 = n - n1
    tail = np.cumsum(pmfs[n2][::-1])[::-1]  # at least 0, 1, ... hits of the second stage
    more = np.append(tail, 0.0)
    needed = np.arange(n + 1)[:, None] - np.arange(n1 + 1)[None, :]
    by_first = more[np.clip(needed, -1, n2) + 1] * pmfs[n1]
    at_least = np.cumsum(by_first[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.hstack([at_least[:, 1:], np.zeros((n + 1, 1))]))


def _with_first_stage(
    n1: int, n: int, low: Sequence[F8], high: Sequence[F8], alpha: float, power: float
) -> list[TwoStage]:
    """List the design of these stages that keeps both errors and stops most often, if any does."""
    if high[n1][0] > 1 - power:
        return []
    false_go, right_go = _go(n1, n, low), _go(n1, n, high)
    r = np.argmax(false_go <= alpha, axis=0)
    reached = right_go[r, np.arange(n1 + 1)]
    good = np.flatnonzero(reached[:n1] >= power)
    if not good.size:
        return []
    r1 = int(good[-1])
    p_stop = float(low[n1][: r1 + 1].sum())
    return [
        TwoStage(
            kind="optimal", r1=r1, n1=n1, r=int(r[r1]), n=n, alpha=float(false_go[r[r1], r1]),
            power=float(reached[r1]), p_stop=p_stop, expected_n=n1 + (1 - p_stop) * (n - n1),
        )
    ]  # fmt: skip
