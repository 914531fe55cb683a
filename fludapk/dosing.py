"""The dose for a target: which daily dose reaches an AUC, a window, or a probability.

The models are linear in dose: the AUC of a course is the dose times the AUC per milligram, of the
typical patient and of every simulated one. A goal is therefore met exactly, over all doses that
can be drawn up below the ceilings, without a search that could stop short.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np

from fludapk.arrays import F8
from fludapk.checking import (
    DISCLAIMER,
    LOG2_POINTS,
    CheckResult,
    Prediction,
    Remark,
    check,
    predict,
)
from fludapk.errors import InputError, nearest
from fludapk.patient import Patient
from fludapk.published.models import DEFAULT_MODEL, load_model, load_models
from fludapk.published.targets import Flag, bounds, flag, prediction_interval, targets
from fludapk.regimen import NEUROTOXICITY, Regimen, ceiling_mg

DOSES_DIFFER: Final = 0.10
"""Models whose doses differ by more than this have no common answer."""


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
            faults.append(f"window {self.low:g} to {self.high:g}: two AUCs in mg·h/L, low first")
        if self.kind == "auc" and not 0 < self.low < math.inf:
            faults.append(f"auc = {self.low}: a finite AUC in mg·h/L above zero")
        if self.probability is not None and not 0 < self.probability < 1:
            faults.append(f"probability = {self.probability:g}: between 0 and 1, for example 0.8")
        if self.probability is not None and self.kind == "auc":
            faults.append("a probability needs a window or a target with a bound, not a single AUC")
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
            raise InputError(
                "give one goal: --target ID, --auc 15 or --window 13.8 20 "
                "(and --probability 0.8 with a target or window)"
            )
        if auc is not None:
            return cls(kind="auc", low=auc, high=auc, probability=probability)
        if window is not None:
            return cls(kind="window", low=window[0], high=window[1], probability=probability)
        known = targets()
        entry = known.get(target or "")
        if entry is None:
            raise InputError(f"unknown target {target!r}: {nearest(target or '', list(known))}")
        low, high = bounds(entry)
        kind: Literal["auc", "window"] = "auc" if entry.optimum is not None else "window"
        return cls(kind=kind, low=low, high=high, probability=probability, target=target)

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


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The dose of one model for a goal; mg of fludarabine phosphate."""

    model: str
    reading_of: str | None
    dose_mg: float
    doses: int
    total_mg: float
    dose_mg_m2: float
    dose_mg_kg: float
    total_mg_m2: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    flag: Flag
    p_below: float
    """Of the goal's lower bound."""
    p_within: float
    p_above: float
    reached: bool
    """Whether the goal is met at this dose."""
    at_ceiling: bool
    """Whether a ceiling on the dose kept it from more."""


@dataclass(frozen=True, kw_only=True)
class DoseResult:
    """Result of `find_dose`."""

    schema: Literal["fludapk.dose/1"] = "fludapk.dose/1"
    goal: str
    goal_low: float
    goal_high: float | None
    goal_probability: float | None
    target: str | None
    round_to_mg: float
    ceiling_mg: float
    answer: Proposal | None
    """None where the models disagree: then no single dose is the answer."""
    proposals: list[Proposal]
    """The chosen model first, then every other that applies."""
    models_agree: bool
    change_from_planned: float | None
    """Relative, of the chosen model's dose."""
    warnings: list[Remark]
    proposed: CheckResult
    """The check of the chosen model's dose."""
    planned: CheckResult | None
    """The check of the planned regimen."""
    disclaimer: str = DISCLAIMER

    def to_json(self) -> str:
        """One JSON document, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


def candidate_doses(patient: Patient, days: int, interval_h: float, round_to_mg: float) -> F8:
    """Every dose that can be drawn up and is below the ceilings per day and per course, mg.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> candidate_doses(girl, 4, 24.0, 1.0)[[0, -1]]
    array([ 1., 37.])
    """
    if not (math.isfinite(round_to_mg) and round_to_mg > 0):
        raise InputError(f"round-to = {round_to_mg} must be a finite number of mg above zero")
    ceiling = ceiling_mg(patient.bsa_m2, days, interval_h)
    steps = math.floor(ceiling / round_to_mg * (1 + 1e-12))
    if steps < 1:
        raise InputError(
            f"rounding to {round_to_mg:g} mg: no multiple is at or below the ceiling of "
            f"{ceiling:.1f} mg a dose; round more finely"
        )
    if steps > 1_000_000:
        raise InputError(f"round-to = {round_to_mg:g} mg is finer than anything can be drawn up")
    return np.arange(1.0, steps + 1.0) * round_to_mg


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


def find_dose(
    patient: Patient,
    schedule: Regimen,
    goal: Goal,
    *,
    planned: bool = False,
    model: str = DEFAULT_MODEL,
    round_to_mg: float = 1.0,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> DoseResult:
    """Find the daily dose for a goal.

    Parameters
    ----------
    patient : Patient
    schedule : Regimen
        Number, spacing and length of the infusions; its dose is used only if `planned`.
    goal : Goal
    planned : bool
        Whether the dose of `schedule` is the planned one, to be shown beside.
    model : str
    round_to_mg : float
        What can be drawn up.
    strict, folders
        As in `fludapk.checking.check`.

    Raises
    ------
    FludapkError
        As `fludapk.checking.check`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> result = find_dose(girl, plan, Goal.chosen(auc=15), planned=True)
    >>> result.proposals[0].dose_mg, result.answer is None
    (25.0, True)
    """
    chosen = load_model(model, folders)
    doses = candidate_doses(patient, schedule.days, schedule.interval_h, round_to_mg)
    one_mg = schedule.course_of(1.0)
    main = _proposal(predict(chosen, patient, schedule, one_mg), patient, goal, doses)
    proposed = check(
        patient, schedule.in_mg(main.dose_mg), model=model, strict=strict, folders=folders
    )
    proposals = [main]
    by_model = {row.model: row for row in proposed.sensitivity}
    for other in load_models(folders):
        if other.id != chosen.id and by_model[other.id].applies:
            prediction = predict(other, patient, schedule, one_mg)
            proposals.append(_proposal(prediction, patient, goal, doses))
    plan = None
    if planned:
        plan = check(patient, schedule, model=model, strict=strict, folders=folders)
    flags_agree = proposed.models_agree and (plan is None or plan.models_agree)
    spread = max(p.dose_mg for p in proposals) / min(p.dose_mg for p in proposals) - 1.0
    agree = flags_agree and spread <= DOSES_DIFFER
    change = None if plan is None else main.dose_mg / plan.regimen.doses_mg[0] - 1.0
    return DoseResult(
        goal=str(goal),
        goal_low=goal.low,
        goal_high=None if math.isinf(goal.high) else goal.high,
        goal_probability=goal.probability,
        target=goal.target,
        round_to_mg=round_to_mg,
        ceiling_mg=ceiling_mg(patient.bsa_m2, schedule.days, schedule.interval_h),
        answer=main if agree else None,
        proposals=proposals,
        models_agree=agree,
        change_from_planned=change,
        warnings=_warnings(goal, proposals, agree, change, proposed),
        proposed=proposed,
        planned=plan,
    )


def _proposal(unit: Prediction, patient: Patient, goal: Goal, doses: F8) -> Proposal:
    """The dose of one model from its prediction for 1 mg."""
    per_mg = unit.auc_0_inf
    simulated = unit.exposure(unit.random_effects(LOG2_POINTS)).auc_0_inf
    dose, reached = best_dose(goal, doses, per_mg, simulated)
    n = len(unit.case.course.doses_mg)
    bench = replace(unit.case.course, doses_mg=(dose,) * n).preparation()
    below, within, above = probabilities(np.array([dose]), simulated, goal.low, goal.high)
    return Proposal(
        model=unit.model.id,
        reading_of=unit.model.file.reading_of,
        dose_mg=dose,
        doses=n,
        total_mg=n * dose,
        dose_mg_m2=dose / patient.bsa_m2,
        dose_mg_kg=dose / patient.weight_kg,
        total_mg_m2=n * dose / patient.bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=dose * per_mg,
        auc_0_inf_pi90=prediction_interval(dose * simulated),
        flag=flag(dose * per_mg),
        p_below=float(below[0]),
        p_within=float(within[0]),
        p_above=float(above[0]),
        reached=reached,
        at_ceiling=dose == float(doses[-1]) and not reached,
    )


def _warnings(
    goal: Goal,
    proposals: Sequence[Proposal],
    agree: bool,
    change: float | None,
    proposed: CheckResult,
) -> list[Remark]:
    """What the reader of a proposal must know, before the warnings of its check."""
    main = proposals[0]
    remarks = []
    if not agree:
        said = "; ".join(
            f"{p.model}: {p.dose_mg:g} mg (AUC {p.auc_0_inf:.2f} mg·h/L)" for p in proposals
        )
        remarks.append(("models_disagree", f"no single dose is the answer: {said}"))
    if not main.reached:
        why = "the variability between patients"
        if main.at_ceiling:
            why = "the ceiling on the dose"
        elif goal.kind == "auc":
            why = "the smallest dose that can be drawn up"
        best = f"P(in the window) {main.p_within:.2f}" if goal.kind == "window" else ""
        auc = f"AUC {main.auc_0_inf:.2f} mg·h/L"
        achieved = ", ".join(part for part in (auc, best) if part)
        remarks.append(
            (
                "not_reached",
                f"no dose reaches the goal because of {why}; best achievable: {main.dose_mg:g} mg "
                f"a dose, {achieved}",
            )
        )
    if change is not None and change > 0:
        remarks.append(
            (
                "above_planned",
                f"{100 * change:.0f} % above the planned dose, for: {goal}. Against it: "
                f"{NEUROTOXICITY}; thresholds are retrospective, and no trial supports a dose "
                "above the label",
            )
        )
    known = [Remark(code=code, level="caution", message=message) for code, message in remarks]
    return known + [w for w in proposed.warnings if w.code not in ("models_disagree", "no_target")]
