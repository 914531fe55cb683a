"""The page a pharmacist signs: one self-contained HTML file, one A4 sheet in print.

Same content, order and words as the terminal page of `fludapk.report`, with two pictures. Words and
geometry are made here, markup in ``templates/``: ``base.html`` is the sheet, ``blocks.html`` its
blocks as macros, from which other pages can be composed. Nothing here decides anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fludapk import report
from fludapk._version import __version__
from fludapk.arrays import F8
from fludapk.checking import DISCLAIMER, CheckResult, Prediction, TargetRecord, predict
from fludapk.errors import InputError
from fludapk.patient import Patient
from fludapk.pk.effects import POINT_SET_SEED
from fludapk.published.models import DEFAULT_MODEL, load_model
from fludapk.published.targets import flag
from fludapk.regimen import Regimen
from fludapk.report import FLAG_WORDS, percent

if TYPE_CHECKING:
    import jinja2

    from fludapk.batch import Tally
    from fludapk.dosing import DoseResult
    from fludapk.evaluation import EvaluationRecord
    from fludapk.nomogram import Nomogram
    from fludapk.updating import Fit, UpdateResult


TEMPLATES: Final = Path(__file__).parent / "templates"

_WIDTH: Final = 344.0
"""Of a picture, in CSS px: two fit side by side on A4, one on a telephone."""
_FLAG_TARGETS: Final = ("fabrizio2022", "dekker2022")
_OTHERS: Final = "Published for others"
_HOUR_STEPS: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0, 48.0, 72.0, 96.0, 120.0, 168.0, 336.0)
_AFTER_H: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)


# ------------------------------------------------------------------ the curve


@dataclass(frozen=True, eq=False)
class Curve:
    """Concentration of F-ara-A over a course."""

    times_h: F8
    """(times,) h from the first dose."""
    typical: F8
    """(times,) mg/L, of the typical patient."""
    low: F8
    """(times,) mg/L, 5 % of such patients are lower at that time."""
    high: F8
    """(times,) mg/L, 5 % are higher."""


def curve(prediction: Prediction, *, until_h: float, log2_points: int = 10) -> Curve:
    """Concentration over time of the typical patient, with the central 90 % of such patients.

    Parameters
    ----------
    prediction : Prediction
    until_h : float
        Last time, h from the first dose; see `horizon_h`.
    log2_points : int
        2^log2_points patients stand behind the band.

    Raises
    ------
    InputError
        If `until_h` is not a finite number above zero.
    """
    if not (math.isfinite(until_h) and until_h > 0):
        raise InputError(f"the curve ends at {until_h} h: a finite number above zero is needed")
    at = _grid(prediction.case.course.times_h, prediction.case.course.infusion_h, until_h)
    simulated, _ = prediction.concentrations(prediction.random_effects(log2_points), at)
    low, high = np.quantile(simulated, [0.05, 0.95], axis=0)
    return Curve(at, prediction.typical_mg_l(at), low, high)


def horizon_h(times_h: Sequence[float], cells_at_h: float | None = None) -> float:
    """When a curve may end: a day after the last dose or half a day after the cells, whole days.

    Examples
    --------
    >>> horizon_h([0.0, 24.0, 48.0, 72.0], cells_at_h=120.0), horizon_h([0.0])
    (144.0, 24.0)
    """
    last = max(max(times_h) + 24.0, (cells_at_h or 0.0) + 12.0 * (cells_at_h is not None))
    return 24.0 * math.ceil(last / 24.0 - 1e-9)


def _grid(starts: Sequence[float], lengths: Sequence[float], until_h: float) -> F8:
    """Times dense around the infusions, ascending."""
    pieces = [np.linspace(0.0, until_h, 97)]
    for start, length in zip(starts, lengths, strict=True):
        pieces.append(start + length * np.linspace(0.0, 1.0, 6))
        pieces.append(start + length + np.array(_AFTER_H))
    at = np.unique(np.concatenate(pieces).round(9))
    return np.ascontiguousarray(at[at <= until_h])


# ------------------------------------------------------------------ scales


@dataclass(frozen=True)
class Scale:
    """A linear axis: `first`..`last` of the quantity on `start`..`end` px.

    Examples
    --------
    >>> Scale(0.0, 30.0, 20.0, 320.0)(13.8)
    158.0
    """

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Px of a value, held inside the axis."""
        inside = min(max(value, self.first), self.last)
        share = (inside - self.first) / (self.last - self.first)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis, like `Scale`.

    Examples
    --------
    >>> LogScale(0.01, 10.0, 190.0, 10.0)(0.1), LogScale(0.01, 10.0, 190.0, 10.0)(0.0001)
    (130.0, 310.0)
    """

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Px of a value; below the axis too, at most four decades."""
        least = self.first / 1e4
        share = math.log10(max(value, least) / self.first) / math.log10(self.last / self.first)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


def round_steps(last: float, most: int, steps: Sequence[float] = ()) -> list[float]:
    """Round numbers from 0 that reach `last`, at most `most` steps.

    Parameters
    ----------
    last : float
        Above zero.
    most : int
    steps : sequence of float, optional
        Distances to choose from before 1, 2 and 5 times a power of ten.

    Examples
    --------
    >>> round_steps(22.1, 6)
    [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]
    >>> round_steps(144.0, 8, (12.0, 24.0, 48.0))
    [0.0, 24.0, 48.0, 72.0, 96.0, 120.0, 144.0]
    """
    power = 10.0 ** math.floor(math.log10(last / most))
    candidates = [*steps, *(m * power for m in (1, 2, 5, 10, 20))]
    step = next(s for s in candidates if s * most >= last * (1 - 1e-9))
    count = math.ceil(last / step - 1e-9)
    return [round(k * step, 9) for k in range(count + 1)]


def _ticks(values: Sequence[float], scale: Scale | LogScale) -> list[Tick]:
    return [Tick(scale(value), f"{value:g}") for value in values if value <= scale.last]


def decades(low: float, high: float, most: int = 3) -> list[float]:
    """Powers of ten up to `high`: the first is below `low`, or `most` below the last.

    Examples
    --------
    >>> decades(0.03, 2.6), decades(0.0, 0.9)
    ([0.01, 0.1, 1.0], [0.0001, 0.001, 0.01, 0.1])
    """
    last = math.floor(math.log10(high) + 1e-9)
    first = last - most if low <= 0 else max(math.floor(math.log10(low) + 1e-9), last - most)
    return [float(f"1e{power}") for power in range(min(first, last - 1), last + 1)]


def points(x: Sequence[float], y: Sequence[float]) -> str:
    """Coordinates for an SVG polyline.

    Examples
    --------
    >>> points([0.0, 1.5], [10.0, 7.25])
    '0.0,10.0 1.5,7.2'
    """
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


# ------------------------------------------------------------------ the bar


@dataclass(frozen=True)
class Region:
    """A part of a lane: hatched below, empty within, cross-hatched above a target."""

    kind: str
    x: float
    width: float
    word: str
    """Empty where there is no room."""
    word_x: float
    """Its middle, clear of the line of the patient."""


@dataclass(frozen=True)
class Lane:
    """One published target along the axis."""

    id: str
    caption: str
    applies: bool
    y: float
    """Of its strip; the caption stands above."""
    height: float
    regions: list[Region]
    edges: list[float]


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


def bar(result: CheckResult) -> Bar:
    """Geometry of the AUC bar."""
    auc, (low, high) = result.exposure.auc_0_inf, result.exposure.auc_0_inf_pi90
    rivals = [
        row
        for row in result.sensitivity
        if row.applies and row.model != result.model and row.auc_0_inf is not None
    ]
    values = [row.auc_0_inf for row in rivals if row.auc_0_inf is not None]
    marks = round_steps(max(24.0, 1.04 * max([auc, high, *values])), 6)
    scale = Scale(0.0, marks[-1], 28.0, _WIDTH - 32.0)
    lanes, y = [], 50.0 if values else 37.0
    for target in sorted(result.targets, key=lambda t: not t.applies):
        height = 15.0 if target.applies else 12.0
        lanes.append(_lane(target, scale, scale(auc), y + 13.0, height))
        y += 13.0 + height + (6.0 if target.applies else 4.0)
    others = "; ".join(f"{row.model} {row.auc_0_inf:.2f}" for row in rivals)
    words = "Hatched: below; cross-hatched: above; plain: within."
    return Bar(
        height=y + 33.0,
        axis_y=y,
        auc_x=scale(auc),
        auc_label_x=min(max(scale(auc), 44.0), _WIDTH - 44.0),
        auc_label=f"{auc:.2f} mg·h/L",
        low_x=scale(low),
        low_label=f"{low:.1f}",
        high_x=scale(high),
        high_label=f"{high:.1f}",
        rivals=[scale(value) for value in values],
        lanes=lanes,
        ticks=_ticks(marks, scale),
        title=f"AUC0-inf {auc:.2f} mg·h/L, 90 % interval {low:.1f}-{high:.1f}, against targets",
        desc=" ".join(f"{lane.caption}." for lane in lanes),
        caption=[
            "● typical patient; bar: 90 % interval.",
            *([f"◇ other models that apply: {others}."] if others else []),
            words,
        ],
    )


def _lane(target: TargetRecord, scale: Scale, auc_x: float, y: float, height: float) -> Lane:
    low = target.optimum if target.optimum is not None else target.low
    high = target.optimum if target.optimum is not None else target.high
    about = "about " if target.optimum is not None else ""
    left, right = scale.start, scale.end
    parts = []
    if low is not None:
        parts.append(("below", left, scale(low), f"below {about}{low:g}"))
    if target.optimum is None:
        within = report.window(target) if high is not None else f"{low:g} or more"
        start = left if low is None else scale(low)
        parts.append(("within", start, right if high is None else scale(high), within))
    if high is not None:
        parts.append(("above", scale(high), right, f"above {about}{high:g}"))
    return Lane(
        id=target.id,
        caption=f"{_named(target)}: {target.status.upper()}"
        if target.applies
        else f"{_OTHERS.lower()}: {_named(target)}",
        applies=target.applies,
        y=y,
        height=height,
        regions=[_region(kind, x, end, word, auc_x) for kind, x, end, word in parts if end > x],
        edges=sorted({scale(edge) for edge in (low, high) if edge is not None}),
    )


def _region(kind: str, x: float, end: float, word: str, auc_x: float) -> Region:
    """A region with its word in the wider part beside the patient's line."""
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


def course_figure(result: CheckResult, drawn: Curve, *, height: float = 192.0) -> CourseFigure:
    """Geometry of the concentration-time curve, on a logarithmic axis."""
    course, cells = result.regimen, result.regimen.cells_at_h
    left, right, top, base = 40.0, _WIDTH - 10.0, 22.0, height - 33.0
    until = float(drawn.times_h[-1])
    x = Scale(0.0, until, left, right)
    after_start = drawn.times_h >= min(course.infusion_h, until)
    highest = 1.2 * float(drawn.high.max())
    marks = decades(float(drawn.typical[after_start].min()), highest)
    y = LogScale(marks[0], highest, base, top)
    across = [x(t) for t in drawn.times_h]
    typical, low, high = (
        [y(value) for value in values] for values in (drawn.typical, drawn.low, drawn.high)
    )
    listed = ", ".join(f"{t:g}" for t in course.times_h)
    caption = [
        "Log scale. Line: typical patient; grey: 90 % of such patients.",
        f"▲ {course.infusion_h:g}-h infusions from {listed} h.",
    ]
    inside = cells is not None and cells <= until
    if cells is None:
        caption.append("No cell infusion in this course.")
    else:
        beyond = "" if inside else ", after the end of this curve"
        caption.append(f"Dashed: cell infusion, {cells:g} h ({cells / 24:.3g} days){beyond}.")
    at_cells = result.exposure.conc_at_cells_mg_l
    label = "cell infusion" if cells is None else f"cell infusion, {cells:g} h"
    if at_cells is not None:
        label += f": {report.concentration(at_cells)} mg/L"
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
        cells_x=x(cells) if cells is not None and inside else None,
        cells_y=y(at_cells or 0.0),
        cells_label=label,
        cells_anchor="end" if place > 0.6 else "middle" if place > 0.4 else "start",
        x_ticks=_ticks(round_steps(until, 8, _HOUR_STEPS), x),
        y_ticks=_ticks(marks, y),
        title="Concentration of F-ara-A in plasma over the course, mg/L",
        desc=f"{len(course.times_h)} infusions; highest typical concentration "
        f"{result.exposure.cmax_mg_l:.2f} mg/L. {' '.join(caption)}",
        caption=caption,
    )


# ------------------------------------------------------------------ the words


def curve_of(
    patient: Patient,
    regimen: Regimen,
    *,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    folders: Sequence[Path] | None = None,
) -> Curve:
    """Concentrations for a page about a course of a patient.

    Raises
    ------
    FludapkError
        As `fludapk.checking.predict`.
    """
    course = regimen.course(patient, round_to_mg)
    prediction = predict(load_model(model, folders), patient, regimen, course)
    return curve(prediction, until_h=horizon_h(regimen.times_h, regimen.cells_at_h))


def check_html(result: CheckResult, curve: Curve, *, whole: bool = True) -> str:
    """One patient on one self-contained page.

    Parameters
    ----------
    result : CheckResult
    curve : Curve
        Of the same patient, by the same model.
    whole : bool
        Whether it is a page of its own; otherwise it is the part that stands in one.

    Returns
    -------
    str
        The same bytes for the same input: no time stamp, no names.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    return (
        environment()
        .get_template("check.html")
        .render(
            whole=whole,
            r=result,
            head=_head(result),
            answer=_answer(result),
            bar=bar(result),
            course=course_figure(result, curve),
            trail=_trail(result),
            targets=_targets(result),
            models=_models(result),
            labels=_labels(result),
            warnings=[w for w in result.warnings if w.code not in report.AT_THE_TOP],
            made=_made(result),
        )
    )


def dose_html(result: DoseResult, curve: Curve, *, whole: bool = True) -> str:
    """The dose for a target on one self-contained page.

    Parameters
    ----------
    result : DoseResult
    curve : Curve
        Of the chosen model's dose.
    whole : bool
        As in `check_html`.

    Returns
    -------
    str
        The same bytes for the same input.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    check = result.proposed
    head = {**_head(check), "plan": f"{result.proposals[0].doses} infusions; goal: {result.goal}"}
    return (
        environment()
        .get_template("dose.html")
        .render(
            whole=whole,
            r=check,
            head=head,
            lines=[] if result.answer is None else report.draw_up(result.answer, result),
            no_answer=report.NO_ANSWER,
            note=check.reading_note or "",
            proposals=report.proposal_rows(result),
            planned=report.planned_rows(result),
            model=result.proposals[0].model,
            bar=bar(check),
            course=course_figure(check, curve),
            trail=_trail(check),
            targets=_targets(check),
            labels=_labels(check),
            warnings=[w for w in result.warnings if w.code not in report.AT_THE_TOP],
            made=_made(check),
        )
    )


def batch_html(tally: Tally, list_sha256: str, log2_points: int) -> str:
    """A list of patients on self-contained pages, the lowest AUC first.

    Parameters
    ----------
    tally : Tally
    list_sha256 : str
        Of the bytes of the list.
    log2_points : int

    Returns
    -------
    str
        The same bytes for the same list: row numbers and IDs of the list, no names.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    rows = [
        (
            f"{one.row}", one.id, f"{one.auc_0_inf:.2f}",
            f"{one.pi90[0]:.1f}-{one.pi90[1]:.1f}", FLAG_WORDS[one.flag or "met"],
            percent(one.p_below), f"{one.doses} × {one.dose_mg:.2f} mg",
            "" if one.models_agree else "MODELS DISAGREE on the flag",
        )
        for one in tally.worst
    ]  # fmt: skip
    return (
        environment()
        .get_template("batch.html")
        .render(
            whole=True,
            tally=tally,
            rows=rows,
            left_out=tally.rows - tally.counts["refused"] - len(rows),
            refused_left_out=tally.counts["refused"] - len(tally.refused),
            disclaimer=DISCLAIMER,
            made={
                "version": f"fludapk {__version__}",
                "hashes": [
                    ("list", list_sha256),
                    *((f"model {name}", sha) for name, sha in sorted(tally.models.items())),
                ],
                "draws": f"{2**log2_points} points a row, seed {POINT_SET_SEED}",
            },
        )
    )


@dataclass(frozen=True, eq=False)
class UpdateCurve:
    """Concentrations before and after the levels; see `fludapk.updating.Fit.bands`."""

    times_h: F8
    before: F8
    after: F8


def update_curve(fitted: Fit, *, until_h: float) -> UpdateCurve:
    """Curves of a fit up to a time."""
    at = _grid(fitted.course.times_h, fitted.course.infusion_h, until_h)
    return UpdateCurve(at, *fitted.bands(at))


def update_html(result: UpdateResult, drawn: UpdateCurve, *, whole: bool = True) -> str:
    """Levels of one patient on one self-contained page.

    Parameters
    ----------
    result : UpdateResult
    drawn : UpdateCurve
        Of the same fit.
    whole : bool
        Whether it is a page of its own; otherwise it is the part that stands in one.

    Returns
    -------
    str
        The same bytes for the same input.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    made, p = result.provenance, result.posterior
    return (
        environment()
        .get_template("update.html")
        .render(
            whole=whole,
            r=result,
            percent=percent,
            head=_head(result.prior),
            flag=FLAG_WORDS[result.flag],
            by={target.id: target for target in result.targets},
            remaining=report.remaining_lines(result),
            figure=_update_figure(result, drawn),
            targets=_targets_of(result.targets),
            warnings=result.warnings,
            disclaimer=result.disclaimer,
            made={
                "version": f"fludapk {made.version}",
                "hashes": [
                    (f"model {result.model}", made.model_sha256),
                    ("input", made.input_sha256),
                ],
                "draws": f"{made.draws} draws, seed {made.seed}, effective size "
                f"{p.effective_size:.0f} ({p.method})",
            },
        )
    )


def _update_figure(result: UpdateResult, drawn: UpdateCurve) -> dict[str, Any]:
    """Geometry of the curve with its levels, on a logarithmic axis."""
    left, right, top, base = 40.0, 674.0, 12.0, 250.0
    until = float(drawn.times_h[-1])
    x = Scale(0.0, until, left, right)
    highest = 1.3 * max(float(drawn.before.max()), float(drawn.after.max()))
    positive = drawn.after[1][drawn.after[1] > 0]
    marks = decades(float(positive[drawn.times_h[drawn.after[1] > 0] > 0.5].min()), highest)
    y = LogScale(marks[0], highest, base, top)
    across = [x(t) for t in drawn.times_h]

    def band(rows: F8) -> str:
        low, high = ([y(max(v, marks[0])) for v in rows[k]] for k in (0, 2))
        return points([*across, *reversed(across)], [*high, *reversed(low)])

    def line(rows: F8) -> str:
        return points(across, [y(max(v, marks[0])) for v in rows[1]])

    return {
        "before": band(drawn.before), "before_line": line(drawn.before),
        "after": band(drawn.after), "after_line": line(drawn.after),
        "levels": [
            (x(level.time_h), y(level.conc_mg_l or level.lloq_mg_l or 0.0), level.conc_mg_l is None)
            for level in result.levels
        ],
        "x_ticks": _ticks(round_steps(until, 8, _HOUR_STEPS), x),
        "y_ticks": _ticks(marks, y),
        "left": left, "right": right, "top": top, "base": base,
    }  # fmt: skip


_NOMOGRAM_COLUMNS: Final = 15
"""What fits on a page; a finer grid is thinned."""


def evaluation_html(result: EvaluationRecord, name: str, figures: Mapping[str, str]) -> str:
    """A comparison of models on one self-contained page.

    Parameters
    ----------
    result : EvaluationRecord
    name : str
        Of the file of levels.
    figures : mapping of str to str
        SVG documents by name.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    made = result.provenance
    return (
        environment()
        .get_template("evaluation.html")
        .render(
            whole=True,
            result=result,
            name=name,
            answer=report.evaluation_answer(result),
            errors=report.evaluation_error_rows(result),
            models=report.evaluation_model_rows(result),
            note=report.EVALUATION_NOTE,
            figures={name: svg[svg.index("<svg") :] for name, svg in figures.items()},
            disclaimer=result.disclaimer,
            made={
                "version": f"fludapk {made.version}",
                "hashes": [
                    ("data", made.data_sha256),
                    *((f"model {model}", sha) for model, sha in made.model_sha256.items()),
                ],
                "draws": f"{made.simulations} simulations, seed {made.seed}",
            },
        )
    )


def nomogram_html(chart: Nomogram, figure: str) -> str:
    """A nomogram on one self-contained page: figure and table.

    Parameters
    ----------
    chart : Nomogram
    figure : str
        Its SVG document.

    Returns
    -------
    str
        The same bytes for the same input.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    is_auc = chart.quantity == "auc_0_inf"
    every = math.ceil(len(chart.renal) / _NOMOGRAM_COLUMNS)

    def cell(value: float | None, outside: bool) -> str:
        if value is None:
            return "-"
        mark = {"below": " b", "borderline": " ~", "met": ""}[flag(value)] if is_auc else ""
        return f"{value:.1f}{mark}{' *' if outside else ''}"

    table = [
        (
            f"{weight:g}",
            [cell(v, o) for v, o in zip(values[::every], outside[::every], strict=True)],
        )
        for weight, values, outside in zip(
            chart.weights_kg, chart.values, chart.outside_studied, strict=True
        )
    ]
    return (
        environment()
        .get_template("nomogram.html")
        .render(
            whole=True,
            n=chart,
            table=table,
            renal=[f"{value:g}" for value in chart.renal[::every]],
            is_auc=is_auc,
            figure=figure[figure.index("<svg") :],
            disclaimer=chart.disclaimer,
            made={
                "version": f"fludapk {chart.version}",
                "hashes": [(f"model {chart.model}", chart.model_sha256)],
                "draws": "typical patients",
            },
        )
    )


def study_html(
    run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], figures: Mapping[str, str]
) -> str:
    """A study on one self-contained page.

    Parameters
    ----------
    run : mapping
        Its provenance.
    rows : sequence of mapping
        Its summary.
    figures : mapping of str to str
        SVG documents by name.

    Returns
    -------
    str
        The same bytes for the same run.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    scenario = run["scenario"]
    several = len(scenario["models"]) > 1
    hashes = [("scenario", run["scenario_sha256"])]
    hashes += [(f"model {name}", sha) for name, sha in run["model_sha256"].items()]
    if run["cohort_sha256"]:
        hashes.append(("cohort", run["cohort_sha256"]))
    strata = list(dict.fromkeys(row["stratum"] for row in rows))
    return (
        environment()
        .get_template("study.html")
        .render(
            whole=True,
            run=run,
            scenario=scenario,
            several=several,
            tables=[
                (stratum, [_study_row(row, several) for row in rows if row["stratum"] == stratum])
                for stratum in strata
            ],
            window=f"{scenario['window']['low']:g}-{scenario['window']['high']:g}",
            interval=rows[0]["interval"],
            figures={name: svg[svg.index("<svg") :] for name, svg in figures.items()},
            certain=run["certain"],
            disclaimer=DISCLAIMER,
            made={
                "version": f"fludapk {run['version']}",
                "hashes": hashes,
                "draws": f"{run['patients']} patients, seed {run['seed']}",
            },
        )
    )


def _study_row(row: Mapping[str, Any], several: bool) -> list[str]:
    """One strategy in one stratum, as text."""

    def chance(name: str) -> str:
        if row[name] is None:
            return "-"
        p, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
        return f"{p:.1f} ({low:.1f}-{high:.1f})"

    def spread(name: str, digits: int) -> str:
        if row[f"{name}_q50"] is None:
            return "-"
        q05, q50, q95 = (f"{row[f'{name}_{q}']:.{digits}f}" for q in ("q05", "q50", "q95"))
        return f"{q50} ({q05}-{q95})"

    who = f"{row['strategy']} ({row['model']})" if several else row["strategy"]
    n = f"{row['n']}" + (f", {row['not_given']} given none" if row["not_given"] else "")
    return [
        who, n, spread("auc", 1), chance("p_below_13_8"), chance("p_in_window"),
        chance("p_above_20"), spread("dose_mg", 1), spread("total_mg_m2", 0),
    ]  # fmt: skip


@lru_cache(maxsize=4)
def environment(*folders: Path) -> jinja2.Environment:
    """Templates of the given folders and of the reports; everything is escaped.

    Raises
    ------
    InputError
        If jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise InputError("reports need the extra: pip install 'fludapk[report]'") from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _head(r: CheckResult) -> dict[str, str]:
    p = r.patient
    known = {"product": p.product, "diagnosis": p.diagnosis, "genotype": p.genotype}
    said = [f"{name} {value}" for name, value in known.items() if value]
    return {
        "who": report.who(r),
        "plan": report.plan(r),
        "about": "; ".join([r.regimen.title, *said]),
    }


def _answer(r: CheckResult) -> dict[str, Any]:
    e = r.exposure
    by = {row.id: row for row in r.targets}
    low, high = e.auc_0_inf_pi90
    flag_applies = any(by[name].applies for name in _FLAG_TARGETS)
    others = [t for t in r.targets if t.applies and t.id not in _FLAG_TARGETS]
    return {
        "auc": f"{e.auc_0_inf:.2f}",
        "interval": f"90 % interval {low:.1f}-{high:.1f}",
        "flag": FLAG_WORDS[r.flag],
        "flag_applies": flag_applies,
        "flag_context": r.flag_context if flag_applies else f"{_OTHERS}: {r.flag_context}",
        "others": [f"{_named(t)}: {t.status.upper()}" for t in others],
        "chances": report.flag_chances(r),
        "targets": ", ".join([report.target_line(r), *map(report.target_chances, others)]),
        "doses": report.dose_lines(r),
        "disagreement": " ".join(report.contested(r)),
        "reading_note": r.reading_note or "",
    }


def _trail(r: CheckResult) -> dict[str, Any]:
    rows = [
        {
            "name": step.name,
            "value": f"{step.value:.4g}",
            "unit": step.unit,
            "how": ": ".join(part for part in (step.by, step.how) if part),
        }
        for step in r.trail
    ]
    return {"rows": rows, "extra": report.course_facts(r)}


def _named(t: TargetRecord) -> str:
    return f"{t.id} {report.window(t)}"


def _targets(r: CheckResult) -> dict[str, Any]:
    return _targets_of(r.targets)


def _targets_of(targets: Sequence[TargetRecord]) -> dict[str, Any]:
    rows = [
        {
            "id": t.id,
            "window": report.window(t),
            "status": t.status.upper(),
            "chances": report.target_chances(t),
            "about": f"{t.context}. {t.finding}.",
            "citation": t.citation,
        }
        for t in targets
        if t.applies
    ]
    others = [
        f"{t.id} ({report.window(t)}: {t.context.split(';')[0]}; {t.citation})"
        for t in targets
        if not t.applies
    ]
    return {"rows": rows, "others": f"{_OTHERS}: {'; '.join(others)}" if others else ""}


def _models(r: CheckResult) -> list[dict[str, Any]]:
    return [
        {
            "model": row.model,
            "applies": row.applies,
            "auc": "" if row.auc_0_inf is None else f"{row.auc_0_inf:.2f}",
            "flag": row.flag or "",
            "about": report.about_model(row, r),
        }
        for row in r.sensitivity
    ]


def _labels(r: CheckResult) -> dict[str, Any]:
    if not any(row.applies for row in r.label_rules):
        reasons = "; ".join(dict.fromkeys(row.advice for row in r.label_rules))
        titles = ", ".join(row.title for row in r.label_rules)
        return {"rows": [], "none": f"{titles}: {reasons}."}
    rows = [
        {
            "title": row.title,
            "applies": row.applies,
            "measured": report.measured(row),
            "advice": f"{row.advice}{report.auc_under(row)}",
        }
        for row in r.label_rules
    ]
    return {"rows": rows, "none": ""}


def _made(r: CheckResult) -> dict[str, Any]:
    """Where the numbers come from."""
    made = r.provenance
    return {
        "version": f"fludapk {made.version}",
        "hashes": [
            (f"model {r.model}", made.model_sha256),
            ("input", made.input_sha256),
        ],
        "draws": f"{made.points} points, seed {made.seed}",
    }
