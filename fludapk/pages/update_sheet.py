"""The sheet of an update by levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fludapk.answers.curve import UpdateCurve, update_curve_of
from fludapk.arrays import F8
from fludapk.language import tr
from fludapk.pages.check_drawing import HOUR_STEPS
from fludapk.pages.check_rows import trail_rows
from fludapk.pages.check_sheet import answer_block, page_head, target_blocks
from fludapk.pages.drawing import (
    LogScale,
    Scale,
    ValueRow,
    decades,
    every,
    points,
    round_steps,
    ticks,
)
from fludapk.pages.remarks import remark_rows
from fludapk.pages.templates import sheet
from fludapk.pages.update import (
    BY_MODELS,
    WITHOUT,
    WOULD_GIVE,
    by_levels,
    by_model_rows,
    change_line,
    covariates_line,
    misfit_line,
    parameter_rows,
    remaining_lines,
    residual,
    sampling,
    value,
    without_rows,
    would_give_lines,
)
from fludapk.pages.words import course_facts, typeset

if TYPE_CHECKING:
    from fludapk.answers.update_records import UpdateResult


def update_html(result: UpdateResult, *, whole: bool = True) -> str:
    """Draw the levels of one patient on one sheet; see `fludapk.pages.templates.sheet`."""
    made = result.provenance
    return sheet(
        "update.html",
        whole=whole,
        r=result,
        head=page_head(result.prior),
        answer=_answer(result, whole),
        covariates=covariates_line(result),
        remarks=remark_rows(result.remarks),
        without=without_rows(result),
        without_title=tr(WITHOUT),
        by_models=by_model_rows(result),
        by_models_title=tr(BY_MODELS),
        would_give=[typeset(line) for line in would_give_lines(result)],
        would_give_title=tr(WOULD_GIVE),
        figure=_update_figure(result, update_curve_of(result)),
        levels=[(level, value(level), residual(level)) for level in result.levels],
        parameters=parameter_rows(result),
        trail=trail_rows(result.prior),
        course_facts=course_facts(result.prior),
        **target_blocks(result.targets),
        made={
            "version": f"fludapk {made.version}",
            "hashes": [(f"model {result.model}", made.model_sha256), ("input", made.input_sha256)],
            "draws": sampling(result),
        },
    )


def _answer(result: UpdateResult, whole: bool) -> dict[str, Any]:
    """Box of the answer: stop, chance, AUC, the dose that is left; no AUC from a misfit."""
    lines = [*remaining_lines(result), *([covariates_line(result)] if whole else [])]
    if result.fits:
        change = change_line(result)
        return answer_block(result.headline, by_levels(result), lines, change=change)
    block = answer_block(result.headline, "", [misfit_line(result), *lines])
    return {**block, "auc": "", "interval": ""}


def _update_figure(result: UpdateResult, drawn: UpdateCurve) -> dict[str, Any]:
    """Geometry of the curve with its levels, on a logarithmic axis."""
    left, right, top, base = 46.0, 674.0, 26.0, 250.0
    course, cells = result.fit.course, result.prior.regimen.cells_at_h
    until = float(drawn.times_h[-1])
    x = Scale(0.0, until, left, right)
    highest = 1.3 * max(*drawn.before.flat, *drawn.after.flat)
    marks = decades(_least(result, drawn), highest)
    y = LogScale(marks[0], highest, base, top)
    across = [x(t) for t in drawn.times_h]

    def line(values: F8) -> str:
        return points(across, [y(v) for v in values])

    def band(rows: F8) -> str:
        low, high = ([y(v) for v in rows[k]] for k in (0, 2))
        return points([*across, *reversed(across)], [*high, *reversed(low)])

    adjusted = drawn.adjusted
    columns = [drawn.after[1], drawn.after[0], drawn.after[2], drawn.before[1]]
    columns += [] if adjusted is None else [adjusted]
    ends = [t + d for t, d in zip(course.times_h, course.infusion_h, strict=True)]
    headers = [
        tr("Hours"),
        tr("this patient, mg/L"),
        tr("5 % below"),
        tr("5 % above"),
        tr("from covariates"),
    ]
    return {
        "before": band(drawn.before), "before_line": line(drawn.before[1]),
        "after": band(drawn.after), "after_line": line(drawn.after[1]),
        "adjusted": "" if adjusted is None else line(adjusted),
        "levels": [
            (x(level.time_h), y(level.conc_mg_l or level.lloq_mg_l or 0.0), level.conc_mg_l is None)
            for level in result.levels
            if level.time_h > 0 and level.conc_mg_l != 0
        ],
        "infusions": [x(t) for t in course.times_h if t <= until],
        "cells_x": x(cells) if cells is not None and cells <= until else None,
        "cells_label": "" if cells is None else tr("cell infusion, {hours:g} h", hours=cells),
        "headers": [*headers, *([] if adjusted is None else [tr("adjusted")])],
        "values": [
            ValueRow(across[k], (f"{drawn.times_h[k]:.3g}", *(f"{v[k]:.3g}" for v in columns)))
            for k in every(drawn.times_h.tolist(), 2.0, ends)
        ],
        "x_ticks": ticks(round_steps(until, 8, HOUR_STEPS), x),
        "y_ticks": ticks(marks, y),
        "left": left, "right": right, "top": top, "base": base,
    }  # fmt: skip


def _least(result: UpdateResult, drawn: UpdateCurve) -> float:
    """Concentration that the axis must still show: a day after the last dose, or the lowest level.

    Below it the curves leave the figure; drawn along its floor they would look like a measurement.
    """
    last_h = result.fit.course.times_h[-1] + 24.0
    shown = drawn.after[1][(drawn.times_h > 0.5) & (drawn.times_h <= last_h)]
    measured = [level.conc_mg_l or level.lloq_mg_l or 0.0 for level in result.levels]
    return min([float(shown.min()), *(conc for conc in measured if conc > 0)])
