"""The headline of a comparison: what is stopped, then the highest chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from fludapk.answers.compare_records import PlanRecord, TableHeadline
from fludapk.answers.goal import BEYOND
from fludapk.answers.headline import NO_TARGET, percent
from fludapk.answers.prediction import PROBABILITY_SE
from fludapk.language import marked, tr
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import bounds, targets

TIED: Final = BEYOND * math.sqrt(2.0) * PROBABILITY_SE
"""Chances that differ by less cannot be told apart.

As if they came from independent draws; plans share theirs, so the true error is smaller.
"""
NO_UPPER_BOUND: Final = marked(
    "This target has no upper bound: the higher dose has the higher chance, whatever its harm"
)


def table_headline(plans: Sequence[PlanRecord], warning: str = "") -> TableHeadline:
    """Put the headline of a comparison together.

    Parameters
    ----------
    plans : sequence of PlanRecord
    warning : str
        Words before everything else that it says.
    """
    open_plans = [plan for plan in plans if not plan.stops and plan.headline is not None]
    named = {plan.headline.target for plan in open_plans if plan.headline is not None}
    target = targets()[only] if len(named) == 1 and (only := next(iter(named))) else None
    best = best_plans(open_plans) if target is not None else []
    notes = list(
        dict.fromkeys(text for plan in open_plans if plan.headline for text in plan.headline.notes)
    )
    if best and target is not None and target.high is None and len(open_plans) > 1:
        notes.insert(0, tr(NO_UPPER_BOUND))
    return TableHeadline(
        stops=stops_of(plans),
        sentence=": ".join(filter(None, [warning, _sentence(open_plans, named, target, best)])),
        best=[plan.number for plan in best],
        target=None if target is None else target.id,
        notes=notes,
    )


def stops_of(plans: Sequence[PlanRecord]) -> list[str]:
    """STOPs, each once, with the plans that it stops."""
    stopped: dict[str, list[int]] = {}
    for plan in plans:
        for reason in plan.stops:
            stopped.setdefault(reason, []).append(plan.number)
    every = tr("every plan")
    return [
        f"{every if len(numbers) == len(plans) else numbered(numbers)}: {reason}"
        for reason, numbers in stopped.items()
    ]


def numbered(numbers: Sequence[int]) -> str:
    """Plans by their numbers.

    Examples
    --------
    >>> numbered([2]), numbered([1, 2, 4])
    ('plan 2', 'plans 1, 2 and 4')
    """
    *first, last = map(str, numbers)
    if not first:
        return tr("plan {n}", n=last)
    return tr("plans {first} and {last}", first=", ".join(first), last=last)


def chance(plan: PlanRecord) -> float:
    """Chance by which a plan is compared; NaN if it has none."""
    return math.nan if plan.chance is None else plan.chance


def _percent(plan: PlanRecord) -> str:
    """Chance of a plan as its own headline says it."""
    own = None if plan.headline is None else plan.headline.p_within
    return percent(chance(plan) if own is None else own)


def best_plans(plans: Sequence[PlanRecord]) -> list[PlanRecord]:
    """Plans with the highest chance; several where the sampling error does not tell them apart."""
    known = [plan for plan in plans if math.isfinite(chance(plan))]
    if len(known) < len(plans) or not plans:
        return []
    highest = max(map(chance, known))
    return [plan for plan in known if chance(plan) >= highest - TIED]


def _sentence(
    plans: Sequence[PlanRecord],
    named: set[str | None],
    target: TargetEntry | None,
    best: Sequence[PlanRecord],
) -> str:
    if not plans:
        return tr("No plan is left to compare")
    if len(named) > 1:
        each = "; ".join(f"{numbered([p.number])} {_target_of(p)}" for p in plans)
        return tr(
            "The plans are judged by different targets, so their chances are not compared: {plans}",
            plans=each,
        )
    if target is None:
        return tr(NO_TARGET)
    if not best:
        sides = "; ".join(f"{p.name} {_sides(p)}" for p in plans)
        return tr(
            "Chances against {target}, which has no published window, only an optimum of "
            "{optimum:g} mg·h/L: {sides}",
            target=target.name,
            optimum=target.optimum,
            sides=sides,
        )
    return _highest(plans, target, best)


def _target_of(plan: PlanRecord) -> str:
    target = None if plan.headline is None else plan.headline.target
    return tr("none that fits") if target is None else targets()[target].name


def _highest(plans: Sequence[PlanRecord], target: TargetEntry, best: Sequence[PlanRecord]) -> str:
    """Name the plans with the highest chance, after the news that it is low."""
    lead = ""
    if chance(best[0]) < 0.5 and max(map(chance, best)) < 0.5:
        lead = tr(
            "Every plan is likelier to miss {window} mg·h/L than to reach it.",
            window=_window(target),
        )
    others = sorted((p for p in plans if p not in best), key=chance, reverse=True)
    rest = "".join(f"; {p.name} {_percent(p)}" for p in others)
    if len(best) == 1:
        (plan,) = best
        answer = f"{plan.name}, {_percent(plan)} ({_sides(plan)}){rest}"
    else:
        listed = ", ".join(f"{p.name} {_percent(p)}" for p in best)
        answer = tr("{plans}: the sampling error does not tell them apart", plans=listed) + rest
    highest = tr(_highest_of(target), window=_window(target), target=target.name, answer=answer)
    return f"{lead} {highest}" if lead else highest


def _highest_of(target: TargetEntry) -> str:
    if target.high is None:
        return marked("Highest chance of reaching {window} mg·h/L ({target}): {answer}")
    if target.low is None:
        return marked("Highest chance of staying within {window} mg·h/L ({target}): {answer}")
    return marked("Highest chance of being within {window} mg·h/L ({target}): {answer}")


def _window(target: TargetEntry) -> str:
    low, high = bounds(target)
    if target.high is None:
        return f"{low:g}"
    return f"{high:g}" if target.low is None else f"{low:g}-{high:g}"


def _sides(plan: PlanRecord) -> str:
    """Chances of the sides on which a plan may miss."""
    head = plan.headline
    if head is None or head.p_below is None or head.p_above is None:
        return ""
    below, above = percent(head.p_below), percent(head.p_above)
    if head.optimum is not None:
        return tr(
            "{below} below, {above} above {optimum:g}",
            below=below,
            above=above,
            optimum=head.optimum,
        )
    if head.high is None:
        return tr("{below} of falling short", below=below)
    if head.low is None:
        return tr("{above} above", above=above)
    return tr("{below} below, {above} above", below=below, above=above)
