"""The headline of an answer, the same on every door: stop, the chance, then the number."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from fludapk.answers.record import Remark, only_stops
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import marked, tr
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import (
    HIGH,
    LOW,
    MET,
    OPTIMAL,
    bounds,
    finite_auc,
    leading_target,
    prediction_interval,
    window_probabilities,
)

NO_TARGET: Final = marked(
    "No published target fits this patient; 13.8 and 14 mg·h/L were found in children and young "
    "adults with B-ALL before tisa-cel"
)
COVARIATES_ONLY: Final = marked(
    "From covariates alone: of 26 measured children 11 were below 14 mg·h/L, and 9 of "
    "those had been predicted above it (Wicha 2024). Measure levels"
)
NOTHING_PROPOSED: Final = marked("No dose is proposed")
WITH_UNCERTAINTY: Final = marked(
    "Chance and interval include the uncertainty of the model's printed numbers"
)
NOTEWORTHY: Final = 0.01
"""A chance that moves by more than this is said with the uncertainty of the model's numbers."""
_THRESHOLDS: Final = (LOW, MET, OPTIMAL, HIGH)
_MOST_DECIMALS: Final = 15
_SLACK: Final = 1e-9
"""Excess of a probability over 1 that is rounding of floating-point numbers."""


Standing: TypeAlias = Literal["stop", "below", "above", "within", "no_target"]
STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)


Window: TypeAlias = tuple[float, float, bool]
"""Low and high, mg·h/L, and whether with the uncertainty of the model's numbers."""
Interval: TypeAlias = tuple[float, float]
"""90 % interval, mg·h/L."""


class Chances(NamedTuple):
    """Probabilities of an AUC below, within and above a window."""

    below: float
    within: float
    above: float


@dataclass(frozen=True, kw_only=True)
class AnswerHeadline:
    """First lines of an answer, which may be that no dose is proposed.

    Parameters
    ----------
    stops : list of str
        Reasons why no dose is proposed; empty if there is none.
    sentence : str
        The chance against the target that fits the patient, or that none fits.
    target : str, optional
        Id of that target.
    model : str, optional
        Model that the chance was computed by.
    low, high, optimum : float, optional
        Bounds of the target, mg·h/L.
    p_below, p_within, p_above : float, optional
        None without a target. `p_within` is None for an optimum without a window.
    auc_0_inf : float, optional
        mg·h/L; None if no dose is proposed.
    interval : (float, float), optional
        90 % interval, mg·h/L.
    with_uncertainty : bool
        Whether chance and interval include the uncertainty of the model's numbers.
    notes : list of str
        What must be known with the chance.
    """

    stops: list[str]
    sentence: str
    target: str | None
    model: str | None
    low: float | None
    high: float | None
    optimum: float | None
    p_below: float | None
    p_within: float | None
    p_above: float | None
    auc_0_inf: float | None
    interval: tuple[float, float] | None
    with_uncertainty: bool
    notes: list[str]

    def __post_init__(self) -> None:
        numbers = (
            self.p_below,
            self.p_within,
            self.p_above,
            self.auc_0_inf,
            *(self.interval or ()),
        )
        for number in numbers:
            if number is not None and not math.isfinite(number):
                finite_auc(number)  # raises

    @property
    def standing(self) -> Standing:
        """Standing of a patient in a list: stopped, or the likeliest side of the target."""
        if self.stops:
            return "stop"
        if self.p_below is None or self.p_above is None:
            return "no_target"
        within = 1.0 - self.p_below - self.p_above
        sides: dict[Standing, float] = {
            "below": self.p_below, "above": self.p_above, "within": within,
        }  # fmt: skip
        return max(sides, key=lambda side: sides[side])

    @property
    def p_miss(self) -> float | None:
        """Probability of missing the target; None without one, or without a window."""
        if self.p_within is None:
            return None
        return 1.0 - self.p_within


@dataclass(frozen=True, kw_only=True)
class Headline(AnswerHeadline):
    """First lines of the answer for a course: there is an AUC with its interval."""

    auc_0_inf: float
    interval: tuple[float, float]

    def preceded_by(self, warnings: Iterable[str]) -> Headline:
        """Return the headline with warnings before everything else that it says."""
        before = list(warnings)
        return replace(self, sentence=": ".join([*before, self.sentence])) if before else self


@dataclass(frozen=True, eq=False)
class Simulated:
    """AUC of the typical or most likely patient, and of simulated ones, by a model."""

    model: str
    auc_0_inf: float
    drawn: F8
    """(n,) Over the variability of patients and occasions."""
    uncertain: F8 | None = None
    """(n,) Over the uncertainty of the model's numbers, too."""
    weights: F8 | None = None
    """(n,) Weights of `drawn` and `uncertain`, with a sum of 1; equal if absent."""
    chances: dict[Window, Chances] = field(default_factory=dict)
    """Chances that were computed with those of other patients."""
    intervals: dict[bool, Interval] = field(default_factory=dict)
    """The same of intervals."""

    def chance(self, low: float, high: float, *, wide: bool = False) -> Chances:
        """Compute the chances of a window; `wide`: with the uncertainty of the model's numbers."""
        key = low, high, wide
        if key not in self.chances:
            values = self._values(wide=wide)
            self.chances[key] = Chances(*window_probabilities(values, low, high, self.weights))
        return self.chances[key]

    def interval(self, *, wide: bool = False) -> Interval:
        """Compute the 90 % interval, mg·h/L."""
        if wide not in self.intervals:
            values = self._values(wide=wide)
            self.intervals[wide] = prediction_interval(values, weights=self.weights)
        return self.intervals[wide]

    def _values(self, *, wide: bool) -> F8:
        return self.uncertain if wide and self.uncertain is not None else self.drawn


def leading_of(patient: Patient, regimen: Regimen) -> TargetEntry | None:
    """Return the target that leads the answer for a course of a patient; None if none fits."""
    product, disease = Treated.by(patient, regimen)
    return leading_target(age_years=patient.age_years, product=product, disease=disease)


def notes_in_headline(remarks: Sequence[Remark], codes: Collection[str]) -> list[str]:
    """Return the remarks, of some codes, without which the chance would mislead, as sentences."""
    return [
        remark.message[0].upper() + remark.message[1:] for remark in remarks if remark.code in codes
    ]


def headline_of(
    remarks: Sequence[Remark],
    target: TargetEntry | None,
    shown: Simulated,
    judged: Simulated | None = None,
    notes: Sequence[str] = (),
    *,
    no_chance: str = "",
) -> Headline:
    """Put a headline together.

    Parameters
    ----------
    remarks : sequence of Remark
    target : TargetEntry, optional
        The leading target of the patient, see `fludapk.published.targets.leading_target`.
    shown : Simulated
        By the chosen model: AUC and interval.
    judged : Simulated, optional
        By the model that the target was found with: the chance. That of `shown` if absent.
    notes : sequence of str
    no_chance : str
        Reason why no chance is given, and no side of a target.
    """
    judged, target = judged or shown, None if no_chance else target
    chances, is_wider = _chances(target, judged)
    is_wide = is_wider and shown.uncertain is not None
    low, high = (None, None) if target is None else (target.low, target.high)
    optimum = None if target is None else target.optimum
    return Headline(
        stops=[remark.message for remark in only_stops(remarks)],
        sentence=no_chance
        or (tr(NO_TARGET) if target is None else chance_sentence(target, chances)),
        target=None if target is None else target.id,
        model=None if target is None else judged.model,
        low=low,
        high=high,
        optimum=optimum,
        p_below=None if target is None else chances.below,
        p_within=None if target is None or optimum is not None else chances.within,
        p_above=None if target is None else chances.above,
        auc_0_inf=shown.auc_0_inf,
        interval=shown.interval(wide=is_wide),
        with_uncertainty=is_wide,
        notes=[*notes, *([tr(WITH_UNCERTAINTY)] if is_wide else [])],
    )


def nothing_proposed(headline: Headline) -> AnswerHeadline:
    """Return the headline of an answer that proposes nothing, because of the same stops."""
    return AnswerHeadline(
        stops=headline.stops,
        sentence=tr(NOTHING_PROPOSED),
        target=headline.target,
        model=headline.model,
        low=headline.low,
        high=headline.high,
        optimum=headline.optimum,
        p_below=None,
        p_within=None,
        p_above=None,
        auc_0_inf=None,
        interval=None,
        with_uncertainty=False,
        notes=[],
    )


def _chances(target: TargetEntry | None, judged: Simulated) -> tuple[Chances, bool]:
    """Chances, with the uncertainty of the model's numbers where it moves one of them."""
    low, high = (LOW, math.inf) if target is None else bounds(target)
    narrow = judged.chance(low, high)
    if judged.uncertain is None:
        return narrow, False
    wide = judged.chance(low, high, wide=True)
    return (wide, True) if is_noteworthy(narrow, wide) else (narrow, False)


def is_noteworthy(narrow: Chances, wide: Chances) -> bool:
    """Tell if the uncertainty of the model's numbers moves a chance by so much that it is said."""
    (below, within, above), (b, w, a) = narrow, wide
    return max(abs(below - b), abs(within - w), abs(above - a)) > NOTEWORTHY


def chance_sentence(target: TargetEntry, chances: Chances) -> str:
    """Word the chance against a target, the worse news not left out.

    Examples
    --------
    >>> from fludapk.published.targets import targets
    >>> chance_sentence(targets()["fabrizio2022"], Chances(0.52, 0.48, 0.0))
    '48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short'
    >>> chance_sentence(targets()["scordo2023"], Chances(0.48, 0.17, 0.35))
    '17 % chance of being within 18-20 mg·h/L (Scordo 2023): 48 % below, 35 % above'
    """
    low, high = bounds(target)
    below, within, above = (percent(p) for p in chances)
    if target.optimum is not None:
        return tr(
            "{chance} chance of more than {optimum:g} mg·h/L, the published optimum ({target}), "
            "{below} of less",
            chance=above,
            optimum=target.optimum,
            target=target.name,
            below=below,
        )
    if target.high is None:
        return tr(
            "{chance} chance of reaching {low:g} mg·h/L ({target}), {below} of falling short",
            chance=within,
            low=low,
            target=target.name,
            below=below,
        )
    if target.low is None:
        return tr(
            "{chance} chance of staying within {high:g} mg·h/L ({target}), {above} of more",
            chance=within,
            high=high,
            target=target.name,
            above=above,
        )
    return tr(
        "{chance} chance of being within {low:g}-{high:g} mg·h/L ({target}): {below} below, "
        "{above} above",
        chance=within,
        low=low,
        high=high,
        target=target.name,
        below=below,
        above=above,
    )


def percent(p: float) -> str:
    """Write a probability as a person reads it, never 0 % or 100 %.

    Examples
    --------
    >>> percent(0.517), percent(0.0), percent(0.9996)
    ('52 %', '< 1 %', '> 99 %')
    """
    if not 0.0 <= p <= 1.0 + _SLACK:
        raise InputError(
            tr("a probability came out as {p}: check dose, size and kidney function", p=p)
        )
    return "< 1 %" if p < 0.01 else "> 99 %" if p > 0.99 else f"{100 * p:.0f} %"


def auc_text(auc: float, *others: float) -> str:
    """Write an AUC with as many decimals as keep it on its side of every threshold.

    Parameters
    ----------
    auc : float
        mg·h/L.
    *others : float
        Thresholds beside the published ones, such as the bounds of a goal.

    Examples
    --------
    >>> auc_text(13.58), auc_text(13.7996), auc_text(20.0004)
    ('13.58', '13.7996', '20.0004')
    """
    text = f"{finite_auc(auc):.2f}"
    for decimals in range(2, _MOST_DECIMALS + 1):
        text = f"{auc:.{decimals}f}"
        if all(_side(auc, x) == _side(float(text), x) for x in (*_THRESHOLDS, *others)):
            break
    return text


def _side(value: float, threshold: float) -> int:
    return (value > threshold) - (value < threshold)
