"""Geometry of the picture of a comparison: a row for each plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fludapk.answers.compare_records import CompareResult, PlanRecord
from fludapk.answers.headline import auc_text
from fludapk.language import tr
from fludapk.pages.compare_rows import NO_DOSE
from fludapk.pages.drawing import Scale, Tick, ValueRow, round_steps, ticks
from fludapk.pages.words import typeset, window
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import targets

WIDTH: Final = 560.0
"""Width of the picture, in CSS px: most of that of a sheet."""
_LEFT, _RIGHT = 172.0, WIDTH - 34.0
_ROW, _TOP = 28.0, 20.0
_LONGEST: Final = 29
"""Characters of a name that fit left of the axis."""
_NUMBER_PX: Final = 30.0
"""Room that the number of a bound takes."""


@dataclass(frozen=True)
class Band:
    """Window of the target of a row, as far as the axis goes."""

    x: float
    width: float
    edges: list[float]


@dataclass(frozen=True)
class PlanRow:
    """A plan: its AUC with the interval, or why there is none."""

    y: float
    """Height of the line of its interval."""
    name: str
    word: str
    """STOP, or that there is no dose; empty otherwise."""
    band: Band | None
    auc_x: float | None
    auc_label: str
    low_x: float
    low_label: str
    high_x: float
    high_label: str


@dataclass(frozen=True)
class PlansPicture:
    """AUC of every plan against its target, ready to draw."""

    width: float
    height: float
    left: float
    right: float
    axis_y: float
    row_height: float
    rows: list[PlanRow]
    edges: list[Tick]
    """Bounds of the targets, named above the rows."""
    ticks: list[Tick]
    title: str
    desc: str
    caption: str
    values: list[ValueRow]


def plans_picture(result: CompareResult) -> PlansPicture:
    """Geometry of the picture."""
    leading = [_target(plan) for plan in result.plans]
    highs = [plan.headline.interval[1] for plan in result.plans if plan.headline]
    edges = [edge for target in leading if target for edge in _edges(target)]
    last = round_steps(1.06 * max([10.0, *highs, *edges]), 10)
    scale = Scale(0.0, last[-1], _LEFT, _RIGHT)
    rows = [
        _row(plan, target, scale, _TOP + _ROW * (k + 0.5))
        for k, (plan, target) in enumerate(zip(result.plans, leading, strict=True))
    ]
    named = dict.fromkeys(f"{t.name}, {window(t)} mg·h/L" for t in leading if t)
    shaded = (
        tr("Grey: {targets}.", targets="; ".join(named))
        if named
        else tr("No published target fits.")
    )
    return PlansPicture(
        width=WIDTH,
        height=_TOP + _ROW * len(rows) + 34.0,
        left=_LEFT,
        right=_RIGHT,
        axis_y=_TOP + _ROW * len(rows),
        row_height=_ROW,
        rows=rows,
        edges=_named(sorted(set(edges)), scale),
        ticks=ticks(last, scale),
        title=tr("AUC0-inf of each plan with its 90 % interval, mg·h/L"),
        desc=" ".join(_said(plan) for plan in result.plans),
        caption=f"{tr('● typical patient; bar: 90 % interval.')} {shaded}",
        values=[
            ValueRow(
                row.auc_x or _LEFT,
                (
                    row.name,
                    row.auc_label or row.word,
                    f"{row.low_label}-{row.high_label}".strip("-"),
                ),
                row.y,
            )
            for row in rows
        ],
    )


def _row(plan: PlanRecord, target: TargetEntry | None, scale: Scale, y: float) -> PlanRow:
    name = typeset(f"{plan.number}. {plan.plan}")
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 2]} …"
    head = plan.headline
    if head is None:
        return PlanRow(
            y, shown, tr("STOP: {reason}", reason=tr(NO_DOSE)), None, None, "", 0.0, "", 0.0, ""
        )
    low, high = head.interval
    return PlanRow(
        y=y,
        name=shown,
        word=tr("STOP") if plan.stops else "",
        band=None if target is None else _band(target, scale),
        auc_x=scale(head.auc_0_inf),
        auc_label=auc_text(head.auc_0_inf),
        low_x=scale(low),
        low_label=f"{low:.1f}",
        high_x=scale(high),
        high_label=f"{high:.1f}",
    )


def _target(plan: PlanRecord) -> TargetEntry | None:
    name = None if plan.headline is None else plan.headline.target
    return None if name is None else targets()[name]


def _named(edges: list[float], scale: Scale) -> list[Tick]:
    """Name bounds above the rows; two whose numbers would touch share a name."""
    ticks: list[Tick] = []
    for edge in edges:
        if ticks and scale(edge) - ticks[-1].at < _NUMBER_PX:
            last = ticks.pop()
            ticks.append(Tick((last.at + scale(edge)) / 2, f"{last.label}-{edge:g}"))
        else:
            ticks.append(Tick(scale(edge), f"{edge:g}"))
    return ticks


def _edges(target: TargetEntry) -> list[float]:
    both = (target.low, target.high) if target.optimum is None else (target.optimum,)
    return [edge for edge in both if edge is not None]


def _band(target: TargetEntry, scale: Scale) -> Band:
    edges = [scale(edge) for edge in _edges(target)]
    if target.optimum is not None:
        return Band(edges[0], 0.0, edges)
    start = scale.start if target.low is None else edges[0]
    end = scale.end if target.high is None else edges[-1]
    return Band(start, round(end - start, 1), edges)


def _said(plan: PlanRecord) -> str:
    """A row in words."""
    if plan.headline is None:
        return tr("Plan {number}: STOP, no dose.", number=plan.number)
    low, high = plan.headline.interval
    return tr(
        "Plan {number}: {auc} mg·h/L, {low:.1f} to {high:.1f}.",
        number=plan.number,
        auc=auc_text(plan.headline.auc_0_inf),
        low=low,
        high=high,
    )
