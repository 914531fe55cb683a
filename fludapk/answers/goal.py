"""The goal of a dose, and the choice among the doses that can be given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, nearest
from fludapk.patients.course import largest_steps
from fludapk.published.targets import bounds, targets


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the dose is for.

    Parameters
    ----------
    kind : {'auc', 'window'}
    low, high : float
        Bounds of the AUC0-inf, mg h/L; equal for 'auc', infinite where a window has none.
    probability : float, optional
        Wanted of a window. If absent: the typical AUC is put at the lower bound of a window without
        upper one; of another, the probability of being inside is made as large as possible.
    target : str, optional
        The published target it came from.

    Raises
    ------
    InputError
        For impossible bounds or probabilities.
    """

    kind: Literal["auc", "window"]
    low: float
    high: float
    probability: float | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.low <= self.high or math.isnan(self.high):
            do = "two AUCs in mg·h/L, low first"
            faults.append(Fault("window", f"{self.low:g} to {self.high:g}", do=do))
        if self.kind == "auc" and not 0 < self.low < math.inf:
            faults.append(Fault("auc", f"= {self.low}", do="a finite AUC in mg·h/L above zero"))
        if self.probability is not None and not 0 < self.probability < 1:
            do = "between 0 and 1, for example 0.8"
            faults.append(Fault("probability", f"= {self.probability:g}", do=do))
        if self.probability is not None and self.kind == "auc":
            found = "needs a {window} or a {target} with a bound, not a single {auc}"
            faults.append(Fault("probability", found))
        if faults:
            raise InputError(*faults)

    @classmethod
    def chosen(
        cls,
        *,
        auc: float | None = None,
        window: tuple[float, float] | None = None,
        target: str | None = None,
        probability: float | None = None,
    ) -> Self:
        """The goal a person asked for, by exactly one of an AUC, a window and a target.

        Examples
        --------
        >>> Goal.chosen(target="scordo2023").low
        18.0
        """
        if sum(value is not None for value in (auc, window, target)) != 1:
            found = (
                "give one goal: {target}, {auc} or {window} (and {probability} with a target or "
                "window), for example {window} 13.8 20"
            )
            also = ("auc", "window", *(() if probability is None else ("probability",)))
            raise InputError(Fault("target", found, also=also, whole=True))
        if auc is not None:
            return cls(kind="auc", low=auc, high=auc, probability=probability)
        if window is not None:
            return cls(kind="window", low=window[0], high=window[1], probability=probability)
        known = targets()
        entry = known.get(target or "")
        if entry is None:
            do = nearest(target or "", list(known))
            raise InputError(Fault("target", f"unknown target {target!r}", do=do, whole=True))
        low, high = bounds(entry)
        kind: Literal["auc", "window"] = "auc" if entry.optimum is not None else "window"
        return cls(kind=kind, low=low, high=high, probability=probability, target=target)

    @classmethod
    def if_any(
        cls,
        goal: Goal | None = None,
        *,
        auc: float | None = None,
        window: tuple[float, float] | None = None,
        target: str | None = None,
        probability: float | None = None,
    ) -> Goal | None:
        """Return the goal that is given, whole or by its parts; None if there is none.

        Raises
        ------
        InputError
            If it is given whole and by its parts.

        Examples
        --------
        >>> Goal.if_any() is None, str(Goal.if_any(auc=15))
        (True, 'AUC0-inf 15 mg·h/L')
        """
        if all(part is None for part in (auc, window, target, probability)):
            return goal
        if goal is not None:
            found = "give a goal, or {target}, {auc} or {window}, not both"
            raise InputError(Fault("target", found, also=("auc", "window"), whole=True))
        return cls.chosen(auc=auc, window=window, target=target, probability=probability)

    def __str__(self) -> str:
        if self.kind == "auc":
            aim = f"AUC0-inf {self.low:g} mg·h/L"
        elif math.isinf(self.high):
            aim = f"AUC0-inf of at least {self.low:g} mg·h/L"
        else:
            aim = f"AUC0-inf within {self.low:g}-{self.high:g} mg·h/L"
        if self.probability is not None:
            aim += f" with probability {self.probability:g}"
        return f"{aim} ({self.target})" if self.target else aim


def candidate_doses(most: float, round_to_mg: float, *, or_none: bool = False) -> F8:
    """Every dose that can be drawn up and is not above the most that may be given, mg.

    Parameters
    ----------
    most : float
        See `fludapk.patients.course.most_mg`.
    round_to_mg : float
        Doses are multiples of this.
    or_none : bool
        Whether no dose, 0 mg, is a candidate, too.

    Raises
    ------
    InputError
        If there is no such dose, or there are too many.

    Examples
    --------
    >>> candidate_doses(37.3, 1.0)[[0, -1]]
    array([ 1., 37.])
    """
    if not (math.isfinite(round_to_mg) and round_to_mg > 0):
        found = f"= {round_to_mg} must be a finite number of mg above zero"
        raise InputError(Fault("round_to_mg", found))
    steps = int(largest_steps(np.array(most), round_to_mg))
    if steps < 1 and not or_none:
        found = (
            f"rounding to {round_to_mg:g} mg: no multiple is at or below the ceiling of "
            f"{most:.1f} mg a dose; round more finely"
        )
        raise InputError(Fault("round_to_mg", found, whole=True))
    if steps > 1_000_000:
        found = f"= {round_to_mg:g} mg is finer than anything can be drawn up"
        raise InputError(Fault("round_to_mg", found))
    return np.arange(0.0 if or_none else 1.0, steps + 1.0) * round_to_mg


def probabilities(doses: F8, auc_per_mg: F8, low: float, high: float) -> tuple[F8, F8, F8]:
    """Fractions of patients below, within and above a window at each dose.

    Parameters
    ----------
    doses : (m,)
        mg.
    auc_per_mg : (n,)
        AUC0-inf per mg of each simulated patient.
    low, high : float
        mg h/L.

    Examples
    --------
    >>> probabilities(np.array([10.0]), np.array([1.0, 1.5, 2.5, 3.0]), 12.0, 26.0)
    (array([0.25]), array([0.5]), array([0.25]))
    """
    ordered = np.sort(auc_per_mg)
    n = len(ordered)
    first = np.searchsorted(ordered, low / doses, side="left")
    last = np.searchsorted(ordered, high / doses, side="right")
    return first / n, (last - first) / n, (n - last) / n


def best_dose(goal: Goal, doses: F8, typical_per_mg: float, auc_per_mg: F8) -> tuple[float, bool]:
    """The dose for a goal among those that can be given, and whether it reaches it.

    With a probability the smallest dose that reaches it; where none does, the dose with the highest
    probability. The nearest dose for a single AUC; the smallest whose typical AUC is in a window
    without upper bound; the likeliest for a window.
    """
    best, reached = choose(
        goal,
        doses * typical_per_mg,
        lambda: probabilities(doses, auc_per_mg, goal.low, goal.high)[1],
        doses[0] * typical_per_mg,
    )
    return float(doses[best]), reached


def choose(goal: Goal, expected: F8, within: Callable[[], F8], step: float) -> tuple[int, bool]:
    """Which of ascending doses is best for a goal, as in `best_dose`, and whether it reaches it.

    Parameters
    ----------
    goal : Goal
    expected : (doses,)
        AUC of the typical or most likely patient, mg h/L.
    within : callable
        Probabilities of being in the window, (doses,); asked where they count.
    step : float
        Difference of AUC between neighbours, mg h/L.
    """
    if goal.kind == "auc":
        best = int(np.argmin(np.abs(expected - goal.low)))
        return best, bool(abs(expected[best] - goal.low) <= step / 2 * (1 + 1e-9))
    if goal.probability is not None or not math.isinf(goal.high):
        likely = within()
        best = int(np.argmax(likely))
        if goal.probability is None:
            return best, bool(goal.low <= expected[best] <= goal.high)
        enough = np.flatnonzero(likely >= goal.probability)
        return (int(enough[0]), True) if enough.size else (best, False)
    enough = np.flatnonzero(expected >= goal.low)
    return (int(enough[0]), True) if enough.size else (len(expected) - 1, False)
