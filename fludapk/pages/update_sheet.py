"""The sheet of an update by levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fludapk.answers.curve import UpdateCurve, update_curve_of
from fludapk.arrays import F8
from fludapk.pages.check_drawing import HOUR_STEPS
from fludapk.pages.check_rows import trail_rows
from fludapk.pages.check_sheet import answer_block, page_head, remark_rows, target_blocks
from fludapk.pages.drawing import LogScale, Scale, decades, points, round_steps, ticks
from fludapk.pages.templates import sheet
from fludapk.pages.update import (
    WITHOUT,
    WOULD_GIVE,
    by_levels,
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
        answer=_answer(result),
        remarks=remark_rows(result.remarks),
        without=without_rows(result),
        without_title=WITHOUT,
        would_give=[typeset(line) for line in would_give_lines(result)],
        would_give_title=WOULD_GIVE,
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


def _answer(result: UpdateResult) -> dict[str, Any]:
    """Box of the answer: stop, chance, AUC, the dose that is left; no AUC from a misfit."""
    lines = [*remaining_lines(result), covariates_line(result)]
    if result.fits:
        return answer_block(result.headline, by_levels(result), lines)
    block = answer_block(result.headline, "", [misfit_line(result), *lines])
    return {**block, "auc": "", "interval": ""}


def _update_figure(result: UpdateResult, drawn: UpdateCurve) -> dict[str, Any]:
    """Geometry of the curve with its levels, on a logarithmic axis."""
    left, right, top, base = 40.0, 674.0, 12.0, 250.0
    until = float(drawn.times_h[-1])
    x = Scale(0.0, until, left, right)
    highest = 1.3 * max(*drawn.before.flat, *drawn.after.flat)
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
            if level.time_h > 0 and level.conc_mg_l != 0
        ],
        "x_ticks": ticks(round_steps(until, 8, HOUR_STEPS), x),
        "y_ticks": ticks(marks, y),
        "left": left, "right": right, "top": top, "base": base,
    }  # fmt: skip
