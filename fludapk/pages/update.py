"""The page of an update by levels, and of a sampling design."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from fludapk.answers.curve import UpdateCurve, update_curve_of
from fludapk.arrays import F8
from fludapk.pages.check_drawing import HOUR_STEPS
from fludapk.pages.check_sheet import page_head, target_blocks
from fludapk.pages.drawing import LogScale, Scale, decades, points, round_steps, ticks
from fludapk.pages.layout import Strong
from fludapk.pages.templates import sheet
from fludapk.pages.words import FLAG_WORDS, percent, plan, target_chances, who, window
from fludapk.published.models import replacement_warning

if TYPE_CHECKING:
    from fludapk.answers.design import Design, Schedule
    from fludapk.answers.update_records import LevelRecord, UpdateResult


def update_page(r: UpdateResult, width: int = 100, strong: Strong = str) -> str:
    """What levels say: the answer first."""
    e, p = r.prior.exposure, r.posterior
    low, high = p.auc_0_inf_pi90
    by = {row.id: row for row in r.targets}
    warning = replacement_warning(r.model, r.provenance.model_sha256)
    lines = [
        *([warning] if warning else []),
        *wrap(f"{who(r.prior)} | {plan(r.prior)}", width),
        "",
        f"AUC0-inf {p.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[r.flag]} ]",
        *wrap(
            f"Probability of < 13.8: {percent(by['fabrizio2022'].p_below)}; of < 14: "
            f"{percent(by['dekker2022'].p_below)}; of > 20: "
            f"{percent(by['langenhorst2019b'].p_above)} (F-ara-A by {r.model} and "
            f"{len(r.levels)} level{'s' if len(r.levels) > 1 else ''}, course as planned)",
            width,
        ),
        *wrap(
            f"From covariates alone: {e.auc_0_inf:.2f}, 90 % interval {e.auc_0_inf_pi90[0]:.1f}-"
            f"{e.auc_0_inf_pi90[1]:.1f}. Up to {p.now_h:g} h: {p.auc_so_far:.2f} "
            f"({p.auc_so_far_pi90[0]:.1f}-{p.auc_so_far_pi90[1]:.1f}).",
            width,
        ),
    ]
    others = [
        row for row in r.targets if row.applies and row.id not in ("fabrizio2022", "dekker2022")
    ]
    lines += [
        part
        for row in others
        for part in wrap(
            f"{row.id} {window(row)}: {row.status.upper()}; {target_chances(row)}", width
        )
    ]
    if r.remaining is not None:
        lines += ["", *remaining_lines(r, width)]
    lines += ["", "Levels", *(part for level in r.levels for part in _level_lines(level, width))]
    lines += ["", "This patient beside the typical one"]
    lines += [
        f"  {x.name:3} {x.individual:8.3g} {x.unit:4} typical {x.typical:.3g} "
        f"({100 * (x.individual / x.typical - 1):+.0f} %)"
        for x in r.parameters
    ]
    if r.remarks:
        lines += ["", "Warnings"]
        lines += [
            part
            for w in r.remarks
            for part in wrap(
                f"{'!' if w.severity == 'caution' else '-'} {w.severity}  {w.message}",
                width,
                initial_indent="  ",
                subsequent_indent="    ",
            )
        ]
    lines += ["", *wrap(r.disclaimer, width)]
    made = r.provenance
    lines += wrap(
        f"fludapk {made.version} | model {r.model} {made.model_sha256[:12]} | input "
        f"{made.input_sha256[:12]} | {_sampling(r)}",
        width,
    )
    lines += wrap(r.model_citation, width)
    return "\n".join(line.rstrip() for line in lines)


def _sampling(r: UpdateResult) -> str:
    """How the posterior was sampled, and how sure its probabilities are."""
    made, p = r.provenance, r.posterior
    error = max(0.1, math.ceil(1000 * made.probability_se) / 10)
    return (
        f"{made.draws} weighted draws, seed {made.seed}, effective size {p.effective_size:.0f} "
        f"({p.method}), probabilities ± {error:g} % (standard error)"
    )


def remaining_lines(r: UpdateResult, width: int = 1000) -> list[str]:
    """The dose that is left, in words."""
    d = r.remaining
    if d is None:
        return []
    change = f" ({100 * (d.dose_mg / d.planned_mg - 1):+.0f} %)" if d.planned_mg else ""
    low, high = d.auc_0_inf_pi90
    chances = f"P(below) {percent(d.p_below)}"
    if d.p_within:  # of a single AUC there is no within
        chances += f", P(within) {percent(d.p_within)}"
    chances += f", P(above) {percent(d.p_above)}" if d.p_above else ""
    said = [
        f"Remaining {d.infusions} of {len(r.prior.regimen.doses_mg)} doses: {d.dose_mg:g} mg "
        f"fludarabine phosphate each, {d.dose_mg_m2:.1f} mg/m2; planned {d.planned_mg:.2f} mg"
        f"{change}",
        f"Draw up {d.volume_ml_per_dose:.2f} mL (25 mg/mL), {d.vials_per_dose} vial"
        f"{'' if d.vials_per_dose == 1 else 's'}, waste {d.waste_mg_per_dose:g} mg; course "
        f"{d.total_course_mg_m2:.1f} mg/m2",
        f"Then AUC0-inf {d.auc_0_inf:.2f}, 90 % interval {low:.1f}-{high:.1f}; {chances}; goal: "
        f"{d.goal}",
    ]
    if not d.reached:
        said.insert(0, f"NO REMAINING DOSE REACHES THE GOAL: {d.goal}; {d.reason}. The nearest:")
    return [part for line in said for part in wrap(line, width)]


def _level_lines(level: LevelRecord, width: int) -> list[str]:
    value = f"< {level.lloq_mg_l:.3g}" if level.conc_mg_l is None else f"{level.conc_mg_l:.3g}"
    line = (
        f"  {level.time_h:6g} h  {value:>8} mg/L  fitted {level.fitted_mg_l:.3g}, from covariates "
        f"{level.typical_mg_l:.3g}; {level.residual_sd:+.1f} residual SD"
    )
    if level.clock is None:
        return [line]
    if len(line) + len(level.clock) + 2 <= width:
        return [f"{line}  {level.clock}"]
    return [line, f"{'':10}{level.clock}"]


def design_page(d: Design, width: int = 100) -> str:
    """Which levels to draw: the best of each number first."""

    def line(name: str, schedule: Schedule) -> str:
        times = ", ".join(f"{t:g}" for t in schedule.times_h)
        return (
            f"  {name:14} {times:18} h   90 % of errors within {schedule.interval_width:4.1f} "
            f"mg·h/L, {100 * schedule.reduction:.0f} % less"
        )

    warning = replacement_warning(d.model, d.model_sha256)
    lines = [
        *([warning] if warning else []),
        "Levels after the first dose, h from the start of its infusion, and what they leave",
        "unknown of the AUC0-inf of the course",
        "",
        f"  {'no level':14} {'':18}     90 % of errors within {d.covariates_interval_width:4.1f} "
        "mg·h/L",
        *(
            line(f"best {len(s.times_h)} level{'s' if len(s.times_h) > 1 else ''}", s)
            for s in d.best
        ),
        *(line("published", s) for s in d.published),
        "",
        *wrap(
            f"{d.patients} patients "
            + ("like this one" if d.whose == "patient" else f"of {d.whose}")
            + f" were simulated by {d.model}, with the "
            "variability between patients and days and the residual error of the model, and "
            "estimated back.",
            width,
        ),
        "",
        *wrap(d.disclaimer, width),
        f"fludapk {d.version} | model {d.model} {d.model_sha256[:12]} | seed {d.seed}",
    ]
    return "\n".join(line.rstrip() for line in lines)


def update_html(result: UpdateResult, *, whole: bool = True) -> str:
    """Draw the levels of one patient on one sheet; see `fludapk.pages.templates.sheet`."""
    made = result.provenance
    return sheet(
        "update.html",
        whole=whole,
        r=result,
        percent=percent,
        head=page_head(result.prior),
        flag=FLAG_WORDS[result.flag],
        by={target.id: target for target in result.targets},
        remaining=remaining_lines(result),
        figure=_update_figure(result, update_curve_of(result)),
        **target_blocks(result.targets),
        remarks=result.remarks,
        disclaimer=result.disclaimer,
        made={
            "version": f"fludapk {made.version}",
            "hashes": [(f"model {result.model}", made.model_sha256), ("input", made.input_sha256)],
            "draws": _sampling(result),
        },
    )


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
        ],
        "x_ticks": ticks(round_steps(until, 8, HOUR_STEPS), x),
        "y_ticks": ticks(marks, y),
        "left": left, "right": right, "top": top, "base": base,
    }  # fmt: skip
