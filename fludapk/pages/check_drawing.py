"""Geometry of the two pictures of a check: AUC against targets, and the course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fludapk.answers.check_records import CheckResult, RegimenRecord, TargetRecord
from fludapk.answers.curve import Curve
from fludapk.answers.headline import auc_text
from fludapk.language import tr
from fludapk.pages.drawing import (
    WIDTH,
    LogScale,
    Scale,
    Tick,
    ValueRow,
    decades,
    every,
    points,
    round_steps,
    ticks,
)
from fludapk.pages.words import (
    STATUS_WORDS,
    concentration,
    target_chances,
    target_name,
    window,
)

HOUR_STEPS: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0, 48.0, 72.0, 96.0, 120.0, 168.0, 336.0)


# ------------------------------------------------------------------ the bar


@dataclass(frozen=True)
class Region:
    """A part of a lane: hatched below, empty within, cross-hatched above a target."""

    kind: str
    """"below", "within" or "above"."""
    x: float
    """Left edge, px."""
    width: float
    """px"""
    word: str
    """Empty where there is no room."""
    word_x: float
    """Middle of the word, clear of the line of the patient."""


@dataclass(frozen=True)
class Lane:
    """One published target along the axis."""

    id: str
    caption: str
    applies: bool
    y: float
    """Top of its strip; the caption stands above."""
    height: float
    regions: list[Region]
    edges: list[float]
    """Bounds of the target on the axis, px."""


@dataclass(frozen=True)
class Bar:
    """AUC with its interval against the targets, ready to draw."""

    height: float
    axis_y: float
    auc_x: float
    auc_label_x: float
    auc_label: str
    low_x: float
    low_label: str
    high_x: float
    high_label: str
    rivals: list[float]
    lanes: list[Lane]
    ticks: list[Tick]
    title: str
    desc: str
    caption: list[str]
    values: list[ValueRow]


def bar(result: CheckResult) -> Bar:
    """Lay out the AUC bar."""
    auc, (low, high) = result.headline.auc_0_inf, result.headline.interval
    rivals = [
        row
        for row in result.sensitivity
        if row.applies and row.model != result.model and row.auc_0_inf is not None
    ]
    values = [row.auc_0_inf for row in rivals if row.auc_0_inf is not None]
    marks = round_steps(max(24.0, 1.04 * max([auc, high, *values])), 6)
    scale = Scale(0.0, marks[-1], 28.0, WIDTH - 32.0)
    lanes, y = [], 50.0 if values else 37.0
    for target in sorted(result.targets, key=lambda t: not t.applies):
        height = 15.0 if target.applies else 12.0
        lanes.append(_lane(target, scale, scale(auc), y + 13.0, height))
        y += 13.0 + height + (6.0 if target.applies else 4.0)
    others = "; ".join(f"{row.model} {row.auc_0_inf:.2f}" for row in rivals)
    return Bar(
        height=y + 33.0,
        axis_y=y,
        auc_x=scale(auc),
        auc_label_x=min(max(scale(auc), 44.0), WIDTH - 44.0),
        auc_label=f"{auc_text(auc)} mg·h/L",
        low_x=scale(low),
        low_label=f"{low:.1f}",
        high_x=scale(high),
        high_label=f"{high:.1f}",
        rivals=[scale(value) for value in values],
        lanes=lanes,
        ticks=ticks(marks, scale),
        title=tr(
            "AUC0-inf {auc} mg·h/L, 90 % {low:.1f}-{high:.1f}, against targets",
            auc=auc_text(auc),
            low=low,
            high=high,
        ),
        desc=" ".join(f"{lane.caption}." for lane in lanes),
        caption=[
            tr("● typical patient; bar: 90 % interval."),
            *([tr("◇ other models that apply: {models}.", models=others)] if others else []),
            tr("Hatched: below; cross-hatched: above; plain: reached."),
        ],
        values=sorted(
            [
                ValueRow(scale(low), (tr("5 % are below"), f"{low:.1f} mg·h/L")),
                ValueRow(scale(auc), (tr("typical patient"), f"{auc_text(auc)} mg·h/L")),
                ValueRow(scale(high), (tr("5 % are above"), f"{high:.1f} mg·h/L")),
                *(ValueRow(scale(x), (tr("by {model}", model=row.model), f"{x:.2f} mg·h/L"))
                  for row, x in zip(rivals, values, strict=True)),
                *(ValueRow(scale(edge), (target_name(target), target_chances(target)))
                  for target in result.targets
                  if target.applies
                  and (edge := target.low or target.optimum or target.high) is not None),
            ]
        ),
    )  # fmt: skip


def _lane(target: TargetRecord, scale: Scale, auc_x: float, y: float, height: float) -> Lane:
    low = target.optimum if target.optimum is not None else target.low
    high = target.optimum if target.optimum is not None else target.high
    is_about = target.optimum is not None
    left, right = scale.start, scale.end
    parts = []
    if low is not None:
        text = tr("below about {edge:g}", edge=low) if is_about else tr("below {edge:g}", edge=low)
        parts.append(("below", left, scale(low), text))
    if target.optimum is None:
        within = window(target) if high is not None else tr("{edge:g} or more", edge=low)
        start = left if low is None else scale(low)
        parts.append(("within", start, right if high is None else scale(high), within))
    if high is not None:
        text = (
            tr("above about {edge:g}", edge=high) if is_about else tr("above {edge:g}", edge=high)
        )
        parts.append(("above", scale(high), right, text))
    return Lane(
        id=target.id,
        caption=f"{target_name(target)}: {tr(STATUS_WORDS[target.status])}"
        if target.applies
        else tr("from other patients: {target}", target=target_name(target)),
        applies=target.applies,
        y=y,
        height=height,
        regions=[_region(kind, x, end, word, auc_x) for kind, x, end, word in parts if end > x],
        edges=sorted({scale(edge) for edge in (low, high) if edge is not None}),
    )


def _region(kind: str, x: float, end: float, word: str, auc_x: float) -> Region:
    """Place the word of a region in its wider part beside the patient's line."""
    sides = [(x, end)] if not x < auc_x < end else [(x, auc_x), (auc_x, end)]
    left, right = max(sides, key=lambda side: side[1] - side[0])
    fits = right - left > 5.6 * len(word)
    return Region(kind, x, round(end - x, 1), word if fits else "", round((left + right) / 2, 1))


# ------------------------------------------------------------------ the course


@dataclass(frozen=True)
class CourseFigure:
    """Concentration over time, ready to draw."""

    height: float
    left: float
    right: float
    top: float
    base: float
    typical: str
    band: str
    infusions: list[float]
    cells_x: float | None
    """None without cells, or if they are given after the end of the curve."""
    cells_y: float
    cells_label: str
    cells_anchor: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    title: str
    desc: str
    caption: list[str]
    values: list[ValueRow]


def course_figure(result: CheckResult, drawn: Curve, *, height: float = 192.0) -> CourseFigure:
    """Lay out the concentration-time curve on a logarithmic axis.

    Parameters
    ----------
    result : CheckResult
    drawn : Curve
    height : float
        Height of the picture, px.
    """
    course, cells = result.regimen, result.regimen.cells_at_h
    left, right, top, base = 40.0, WIDTH - 10.0, 22.0, height - 33.0
    until = float(drawn.times_h[-1])
    x = Scale(0.0, until, left, right)
    after_start = drawn.times_h >= min(course.infusion_h, until)
    highest = 1.2 * max(drawn.high.tolist())
    marks = decades(min(drawn.typical[after_start].tolist()), highest)
    y = LogScale(marks[0], highest, base, top)
    across = [x(t) for t in drawn.times_h]
    typical, low, high = (
        [y(value) for value in values] for values in (drawn.typical, drawn.low, drawn.high)
    )
    caption = _course_caption(course, until)
    curves = (drawn.typical, drawn.low, drawn.high)
    place = 0.0 if cells is None else cells / until
    return CourseFigure(
        height=height,
        left=left,
        right=right,
        top=top,
        base=base,
        typical=points(across, typical),
        band=points([*across, *reversed(across)], [*high, *reversed(low)]),
        infusions=[x(t) for t in course.times_h if t <= until],
        cells_x=x(cells) if cells is not None and cells <= until else None,
        cells_y=y(result.exposure.conc_at_cells_mg_l or 0.0),
        cells_label=_cells_label(result),
        cells_anchor="end" if place > 0.6 else "middle" if place > 0.4 else "start",
        x_ticks=ticks(round_steps(until, 8, HOUR_STEPS), x),
        y_ticks=ticks(marks, y),
        title=tr("Concentration of F-ara-A in plasma over the course, mg/L"),
        desc=" ".join([_highest(result), *caption]),
        caption=caption,
        values=[
            ValueRow(
                across[k],
                (f"{drawn.times_h[k]:.3g}", *(concentration(v[k]) for v in curves)),
            )
            for k in every(drawn.times_h.tolist(), 2.0, _ends_h(course))
        ],
    )


def _highest(result: CheckResult) -> str:
    """Describe the curve to whoever does not see it."""
    return tr(
        "{n} infusions; highest typical concentration {conc:.2f} mg/L.",
        n=len(result.regimen.times_h),
        conc=result.exposure.cmax_mg_l,
    )


def _ends_h(course: RegimenRecord) -> list[float]:
    """Ends of the infusions, where concentrations are highest, h."""
    return [start + course.infusion_h for start in course.times_h]


def _course_caption(course: RegimenRecord, until_h: float) -> list[str]:
    """Word what stands below the curve: its lines, the infusions, the cells."""
    cells = course.cells_at_h
    listed = ", ".join(f"{t:g}" for t in course.times_h)
    caption = [
        tr("Log scale. Line: typical patient; grey: 90 % of such patients."),
        tr("▲ {hours:g}-h infusions from {listed} h.", hours=course.infusion_h, listed=listed),
    ]
    if cells is None:
        return [*caption, tr("No cell infusion in this course.")]
    days = cells / 24
    if cells <= until_h:
        text = tr("Dashed: cell infusion, {hours:g} h ({days:.3g} days).", hours=cells, days=days)
    else:
        text = tr(
            "Dashed: cell infusion, {hours:g} h ({days:.3g} days), after the end of this curve.",
            hours=cells,
            days=days,
        )
    return [*caption, text]


def _cells_label(result: CheckResult) -> str:
    """Label the cell infusion with its time, and with the concentration then."""
    cells, conc = result.regimen.cells_at_h, result.exposure.conc_at_cells_mg_l
    label = tr("cell infusion") if cells is None else tr("cell infusion, {hours:g} h", hours=cells)
    return label if conc is None else f"{label}: {concentration(conc)} mg/L"
