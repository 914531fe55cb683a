"""The goal of a dose, and the choice among the doses that can be given."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, nearest
from fludapk.language import marked, tr
from fludapk.patients.course import check_step, largest_steps
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.published.targets import bounds, side_of, targets

Misses = Literal["low", "high", "both"]
"""Side of a goal on which every dose that may be given lies; "both" if some lie on each."""

DEFAULT_PROBABILITY: Final = 0.8
"""Required of a window without upper bound if no other is typed."""
BEYOND: Final = 2.0
"""Standard errors by which a probability must exceed the required one to reach it."""
PER_DISTANCE: Final = 0.01
"""Probability that weighs as much as an expected distance to the window of a log unit."""
TIED: Final = 1e-6
"""Difference of what a dose is chosen by that is none."""
MOST_AUC: Final = 1e9
"""Bound of a goal at most, mg h/L; beyond it doses are no numbers."""
AT_ONCE: Final = 2**15
"""Doses that are compared with each other at most; the largest patient has fewer in steps of 0.01
mg."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """AUC or window that a dose is looked for.

    Parameters
    ----------
    kind : {'auc', 'window'}
    low, high : float
        Bounds of the AUC0-inf, mg h/L; equal for 'auc', infinite where a window has none.
    probability : float, optional
        Required of a window. If absent: `DEFAULT_PROBABILITY` of a window without upper bound; of
        another, the probability of being inside is made as large as possible.
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
    by_default: bool = field(default=False, init=False)
    """True if nobody asked for this probability."""

    def __post_init__(self) -> None:
        faults = []
        if not (0 <= self.low <= self.high and self.low <= MOST_AUC and self.high > 0):
            do = tr("two AUCs in mg·h/L, low first")
            faults.append(
                Fault("window", tr("{low:g} to {high:g}", low=self.low, high=self.high), do=do)
            )
        if self.kind == "auc" and not 0 < self.low <= MOST_AUC:
            faults.append(Fault("auc", f"= {self.low}", do=tr("a finite AUC in mg·h/L above zero")))
        if self.probability is not None and not 0 < self.probability < 1:
            do = tr("between 0 and 1, for example 0.8")
            faults.append(Fault("probability", f"= {self.probability:g}", do=do))
        if self.probability is not None and self.kind == "auc":
            found = tr("needs a {window} or a {target} with a bound, not a single {auc}")
            faults.append(Fault("probability", found))
        if faults:
            raise InputError(*faults)
        if self.probability is None and math.isinf(self.high):
            object.__setattr__(self, "probability", DEFAULT_PROBABILITY)
            object.__setattr__(self, "by_default", True)

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
            found = tr(
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
            raise InputError(
                Fault("target", tr("unknown target {target!r}", target=target), do=do, whole=True)
            )
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
            found = tr("give a goal, or {target}, {auc} or {window}, not both")
            raise InputError(Fault("target", found, also=("auc", "window"), whole=True))
        return cls.chosen(auc=auc, window=window, target=target, probability=probability)

    def side(self, auc_0_inf: float) -> str | None:
        """Name the side of the bounds on which an AUC is; None for a single AUC.

        Examples
        --------
        >>> Goal.chosen(target="scordo2023").side(21.7), Goal.chosen(auc=15).side(14.0)
        ('above 20', None)
        """
        return None if self.kind == "auc" else side_of(auc_0_inf, self.low, self.high)

    def __str__(self) -> str:
        if self.kind == "auc":
            aim = tr("AUC0-inf {low:g} mg·h/L", low=self.low)
        elif math.isinf(self.high):
            aim = tr("AUC0-inf of at least {low:g} mg·h/L", low=self.low)
        else:
            aim = tr("AUC0-inf within {low:g}-{high:g} mg·h/L", low=self.low, high=self.high)
        if self.probability is not None:
            with_chance = marked("{aim} with probability {p:g}")
            if self.by_default:
                with_chance = marked("{aim} with probability {p:g}, the default")
            aim = tr(with_chance, aim=aim, p=self.probability)
        return f"{aim} ({self.target})" if self.target else aim


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Multiples of a step, ascending, mg; made where they are looked at and never as a table.

    Parameters
    ----------
    first, last : int
        Lowest and highest dose, in steps.
    step_mg : float

    Examples
    --------
    >>> doses = Candidates(first=1, last=37, step_mg=0.5)
    >>> len(doses), float(doses[-1]), doses[[0, 1]]
    (37, 18.5, array([0.5, 1. ]))
    """

    first: int
    last: int
    step_mg: float

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __getitem__(self, places: ArrayLike) -> F8:
        steps = np.asarray(places)
        steps = np.where(steps < 0, self.last + 1, self.first) + steps
        return np.asarray(steps * self.step_mg)


def candidate_doses(most: float, round_to_mg: float, *, or_none: bool = False) -> Candidates:
    """Every dose that can be drawn up and is not above the most that may be given.

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
        If there is no such dose, or the step is none.

    Examples
    --------
    >>> candidate_doses(37.3, 1.0)[[0, -1]]
    array([ 1., 37.])
    """
    check_step(round_to_mg)
    steps = int(largest_steps(np.array(most), round_to_mg))
    if steps < 1 and not or_none:
        found = tr(
            "rounding to {step:g} mg: no multiple is at or below the ceiling of {most:.1f} mg "
            "per dose; round more finely",
            step=round_to_mg,
            most=most,
        )
        raise InputError(Fault("round_to_mg", found, whole=True))
    return Candidates(first=0 if or_none else 1, last=steps, step_mg=round_to_mg)


# ------------------------------------------------------------------ the choice


class Choice(NamedTuple):
    """The dose among candidates that is best for a goal."""

    place: int
    """Among the candidates."""
    misses: Misses | None
    """Side on which the goal is missed; None if it is reached."""
    reason: str | None
    """Why it is missed, in words."""


def choose(
    goal: Goal, doses: F8 | Candidates, auc: AucByDose, step_mg: float, *, spread: str
) -> Choice:
    """Choose among the doses that can be given.

    All are compared if they are `AT_ONCE` or fewer. Of more, evenly spaced ones are compared, the
    lowest and the highest among them, and then those around the best.

    * A single AUC: the dose whose most likely AUC is nearest.
    * A window: the dose with the highest probability of being inside, smoothed over neighbouring
      doses (`AucByDose.smooth_within`), less a hundredth of the expected log distance to the window
      (`AucByDose.distance`). To lie 10 % further off thus weighs as much as 0.001 of probability,
      which is about its sampling error: where probabilities cannot be told apart, or all are zero,
      the dose that comes nearest is chosen. What is still a tie goes to the dose whose most likely
      AUC is nearest to the middle of the window.
    * A window with a required probability: the smallest dose whose probability is above it by more
      than its sampling error, `BEYOND` standard errors. Where there is none: as above, and of a
      window without upper bound the highest dose.

    Parameters
    ----------
    goal : Goal
    doses : (m,) or Candidates
        Ascending, mg.
    auc : AucByDose
        The course at a dose.
    step_mg : float
        Doses are multiples of this.
    spread : str
        What makes the AUC uncertain, for the reason.

    Examples
    --------
    >>> sample = np.exp(0.2 * np.random.default_rng(1).standard_normal(1000))
    >>> line = AucByDose(likely_per_mg=0.5, fixed=np.zeros(1000), per_mg=0.5 * sample)
    >>> choose(Goal.chosen(auc=15), np.arange(1.0, 25.0), line, 1.0, spread="chance").misses
    'low'
    """
    _must_rise(auc)
    low, high = 0, len(doses) - 1
    while True:
        stride = max(1, math.ceil((high - low + 1) / AT_ONCE))
        places = np.union1d(np.arange(low, high + 1, stride), [0, len(doses) - 1])
        best = _best(goal, doses[places], auc, step_mg, spread)
        place = int(places[best.place])
        if stride == 1:
            return best._replace(place=place)
        low, high = max(0, place - stride), min(len(doses) - 1, place + stride)


def _best(goal: Goal, doses: F8, auc: AucByDose, step_mg: float, spread: str) -> Choice:
    """Choose among doses that are all compared."""
    if goal.kind == "auc":
        return _nearest(goal, doses, auc, step_mg)
    if goal.probability is None:
        return _likeliest(goal, doses, auc, step_mg, spread)
    return _likely_enough(goal, doses, auc, spread)


def _must_rise(auc: AucByDose) -> None:
    """Refuse an AUC that is no finite number or does not rise with the dose: no dose follows."""
    rises = (auc.per_mg > 0.0) & np.isfinite(auc.per_mg) & np.isfinite(auc.fixed)
    likely = 0.0 < auc.likely_per_mg < math.inf and math.isfinite(auc.likely_fixed)
    if not (likely and rises.all() and len(rises)):
        raise InputError(
            tr(
                "no dose can be found: the AUC per milligram is no finite number above zero; check "
                "size, kidney function and levels"
            )
        )


def _nearest(goal: Goal, doses: F8, auc: AucByDose, step_mg: float) -> Choice:
    """The dose for a single AUC, which it reaches as nearly as rounding lets it."""
    off = auc.likely(doses) - goal.low
    best = int(np.argmin(np.abs(off)))
    if abs(off[best]) <= auc.likely_per_mg * step_mg / 2 * (1 + 1e-9):
        return Choice(best, None, None)
    return _missed(doses, best, is_low=off[best] < 0)


def _likeliest(goal: Goal, doses: F8, auc: AucByDose, step_mg: float, spread: str) -> Choice:
    """The dose for a window, which it reaches if the most likely AUC is inside."""
    best = _best_place(goal, doses, auc)
    likely = float(auc.likely(doses[best : best + 1])[0])
    if goal.low <= likely <= goal.high:
        return Choice(best, None, None)
    between = tr(
        "because of {spread} the likeliest dose has its typical AUC outside the window",
        spread=spread,
    )
    if goal.high - goal.low < auc.likely_per_mg * step_mg:
        between = tr("the window is narrower than one step of rounding")
    return _missed(doses, best, is_low=likely < goal.low, between=between)


def _likely_enough(goal: Goal, doses: F8, auc: AucByDose, spread: str) -> Choice:
    """The dose for a required probability, which it reaches if sampling error cannot undo it."""
    required = goal.probability or 0.0
    below, within, above = auc.probabilities(doses, goal.low, goal.high)
    margin = BEYOND * auc.probability_se
    enough = np.flatnonzero(within > required + margin)
    if enough.size:
        return Choice(int(enough[0]), None, None)
    best = len(doses) - 1 if math.isinf(goal.high) else _best_place(goal, doses, auc)
    missed = _missed(
        doses,
        best,
        is_low=bool(below[best] >= above[best]),
        between=tr("because of {spread} no dose has this probability", spread=spread),
    )
    if within[best] > required - margin:
        doubt = tr(
            "the probability cannot be told from {required:g} within its sampling error",
            required=required,
        )
        return missed._replace(reason=doubt)
    return missed


def _best_place(goal: Goal, doses: F8, auc: AucByDose) -> int:
    """Place of the likeliest dose for a window, or else of the one that comes nearest."""
    if len(doses) == 1:
        return 0
    middle = (goal.low + goal.high) / 2
    merit = auc.smooth_within(doses, goal.low, goal.high)
    merit = merit - PER_DISTANCE * auc.distance(doses, goal.low, goal.high)
    tied = np.flatnonzero(merit >= np.max(merit) - TIED)
    return int(tied[np.argmin(np.abs(auc.likely(doses[tied]) - middle))])


def _missed(doses: F8, best: int, *, is_low: bool, between: str = "") -> Choice:
    """The best dose, which misses the goal on one side, or stands between doses on either."""
    if is_low and best == len(doses) - 1:
        return Choice(best, "low", tr("too low even at the highest dose that may be given"))
    if not is_low and best == 0:
        least = marked("too high even without another dose")
        if doses[0]:
            least = marked("too high even at the smallest dose that can be drawn up")
        return Choice(best, "high", tr(least))
    return Choice(best, "both", between)
