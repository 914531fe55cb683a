"""The page of an update by levels, and of a sampling design, for a terminal."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from fludapk.answers.headline import auc_text
from fludapk.pages.check import footer, headline_block
from fludapk.pages.check_rows import target_rows, targets_of_others
from fludapk.pages.layout import Strong, fitted, paragraph, table
from fludapk.pages.words import (
    auc_line,
    auc_of,
    interval_text,
    mg,
    percent,
    plan,
    remark_table,
    typeset,
    who,
)
from fludapk.published.models import replacement_warning

if TYPE_CHECKING:
    from fludapk.answers.design import Design, Schedule
    from fludapk.answers.update_records import (
        LevelRecord,
        RemainingDose,
        UpdateByModel,
        UpdateResult,
        WithoutLevel,
    )

WOULD_GIVE: Final = "Not proposed: what the model would give, were there no STOP"
WITHOUT: Final = "The estimate without each level in turn"
BY_MODELS: Final = "The same levels by other models"
LEVELS: Final = "Levels"
MODELS: Final = "Models of the average"
PARAMETERS: Final = "This patient beside the typical one"


def update_page(r: UpdateResult, width: int = 100, strong: Strong = str) -> str:
    """Draw the levels of one patient: the answer first.

    Parameters
    ----------
    r : UpdateResult
    width : int
        Columns.
    strong : callable, optional
        Sets off what must not be missed, on a terminal.
    """
    sections = {
        "What to know": remark_table(r.remarks, width),
        WITHOUT: table(without_rows(r), width) if r.without else "",
        BY_MODELS: table(by_model_rows(r), width, right="1"),
        WOULD_GIVE: "\n".join(paragraph(line, width, 2) for line in would_give_lines(r)),
        LEVELS: "\n".join(part for level in r.levels for part in _level_lines(level, width)),
        MODELS: table(member_rows(r), width, right="12"),
        PARAMETERS: table(parameter_rows(r), width, right="1"),
        "Targets that fit this patient": _targets(r, width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items() if text]
    return typeset(
        "\n\n".join([brief_update(r, width, strong), *body, footer(r, sampling(r), width)])
    )


def brief_update(r: UpdateResult, width: int, strong: Strong = str) -> str:
    """Draw the answer in short: patient, stop, chance, AUC, the dose that is left."""
    lines = [
        fitted(f"{who(r.prior)} | {plan(r.prior)}", width),
        "",
        headline_block(r.headline, width, strong),
        *(fitted(line, width) for line in answer_lines(r)),
        *(fitted(typeset(note), width) for note in r.headline.notes),
    ]
    return typeset("\n".join(lines))


def member_rows(r: UpdateResult) -> list[tuple[str, ...]]:
    """Word each model of an average: weight, AUC and interval; empty for one model."""
    return [
        (
            member.model,
            f"{member.weight:.2g}",
            auc_text(member.auc_0_inf),
            "{:.1f}-{:.1f} mg·h/L; weight before the levels {:.2g}".format(
                *member.auc_0_inf_pi90, member.prior_weight
            ),
        )
        for member in r.averaged or ()
    ]


def answer_lines(r: UpdateResult) -> list[str]:
    """Word the AUC given the levels, the dose that is left, and the AUC without levels."""
    auc = [auc_line(r.headline, by_levels(r))] if r.fits else [misfit_line(r)]
    return [*auc, *remaining_lines(r), covariates_line(r)]


def by_levels(r: UpdateResult) -> str:
    """Say by which model and how many levels."""
    used = sum(not level.excluded for level in r.levels)
    by = "averaged over models, given" if r.averaged else f"by {r.model} and"
    return f"{by} {used} level{'' if used == 1 else 's'}, course as planned"


def misfit_line(r: UpdateResult) -> str:
    """Word the AUC that levels would give which do not fit together."""
    auc = auc_of(r.headline)
    return (
        f"Not to be used: taken as they are, the levels would make AUC0-inf {auc} mg·h/L "
        f"({interval_text(r.headline)})"
    )


def covariates_line(r: UpdateResult) -> str:
    """Word the AUC from covariates alone, and the AUC so far."""
    exposure, posterior = r.prior.exposure, r.posterior
    low, high = exposure.auc_0_inf_pi90
    line = f"From covariates alone {auc_text(exposure.auc_0_inf)} ({low:.1f}-{high:.1f})"
    if not r.fits:
        return f"{line} mg·h/L"
    low, high = posterior.auc_so_far_pi90
    return (
        f"{line}; AUC so far (to {posterior.now_h:g} h) {posterior.auc_so_far:.2f} "
        f"({low:.1f}-{high:.1f}) mg·h/L"
    )


def sampling(r: UpdateResult) -> str:
    """Say how the posterior was sampled, and how sure its probabilities are."""
    made, p = r.provenance, r.posterior
    error = max(0.1, math.ceil(1000 * made.probability_se) / 10)
    return (
        f"{made.draws} weighted draws, seed {made.seed}, effective size {p.effective_size:.0f} "
        f"({p.method}), probabilities ± {error:g} % (standard error)"
    )


# ------------------------------------------------------------------ the dose that is left


def remaining_lines(r: UpdateResult) -> list[str]:
    """Word the dose that is left; under a stop, that none is proposed."""
    if r.remaining is not None:
        return _dose_lines(r, r.remaining)
    return ["No dose is proposed."] if r.headline.stops else []


def would_give_lines(r: UpdateResult) -> list[str]:
    """Word the dose that the model would give, were there no stop."""
    return [] if r.would_give is None else _dose_lines(r, r.would_give)


def _dose_lines(r: UpdateResult, d: RemainingDose) -> list[str]:
    change = f" ({100 * (d.dose_mg / d.planned_mg - 1):+.0f} %)" if d.planned_mg else ""
    low, high = d.auc_0_inf_pi90
    chances = f"P(below) {percent(d.p_below)}"
    if d.p_within:  # of a single AUC there is no within
        chances += f", P(within) {percent(d.p_within)}"
    chances += f", P(above) {percent(d.p_above)}" if d.p_above else ""
    lines = [
        f"Remaining {d.infusions} of {len(r.prior.regimen.doses_mg)} doses: {mg(d.dose_mg)} mg "
        f"fludarabine phosphate each, {mg(d.dose_mg_m2)} mg/m²; planned {mg(d.planned_mg)} mg"
        f"{change}",
        f"Draw up {mg(d.volume_ml_per_dose)} mL (25 mg/mL), {d.vials_per_dose} vial"
        f"{'' if d.vials_per_dose == 1 else 's'}, waste {mg(d.waste_mg_per_dose)} mg; course "
        f"{mg(d.total_course_mg_m2)} mg/m²",
        f"Then AUC0-inf {auc_text(d.auc_0_inf)}, 90 % interval {low:.1f}-{high:.1f}; {chances}; "
        f"goal: {d.goal}",
    ]
    if not d.reached:
        lines.insert(0, f"NO REMAINING DOSE REACHES THE GOAL: {d.goal}; {d.reason}. The nearest:")
    return lines


# ------------------------------------------------------------------ rows


def without_rows(r: UpdateResult) -> list[tuple[str, str]]:
    """Name each level, and the AUC that the others give."""
    called = {level.level: level for level in r.levels}
    return [(_name(called[row.level]), _without(row)) for row in r.without]


def by_model_rows(r: UpdateResult) -> list[tuple[str, str, str]]:
    """Name each other model, with the AUC that it gives by the same levels."""
    return [
        (
            row.model,
            "" if row.auc_0_inf is None else f"AUC {auc_text(row.auc_0_inf)}",
            _about_model(row),
        )
        for row in r.by_models
    ]


def _about_model(row: UpdateByModel) -> str:
    if row.auc_0_inf is None:
        return "no estimate from these levels"
    fits = "the levels fit" if row.fits else "the levels do not fit together"
    return f"{fits}; another reading of {row.reading_of}" if row.reading_of else fits


def change_line(r: UpdateResult) -> str:
    """Name what would change the answer: other models on the same levels, further levels."""
    models = [
        f"by {row.model} and the same levels AUC {auc_text(row.auc_0_inf)}"
        for row in r.by_models
        if row.auc_0_inf is not None
    ]
    return "; ".join([*models, "levels after a further dose"])


def _name(level: LevelRecord) -> str:
    return f"without level {level.level} ({level.time_h:g} h, {value(level)} mg/L)"


def _without(row: WithoutLevel) -> str:
    if row.auc_0_inf is None:
        return "no estimate"
    rest = "the rest fits" if row.fits else "the rest does not fit either"
    return f"AUC0-inf {auc_text(row.auc_0_inf)} mg·h/L; {rest}"


def value(level: LevelRecord) -> str:
    """Write a concentration as it was measured."""
    if level.conc_mg_l is None:
        return f"< {level.lloq_mg_l:.3g}"
    return f"{level.conc_mg_l:.3g}"


def residual(level: LevelRecord) -> str:
    """Write a residual, or that the level is not part of the estimate."""
    return "left out" if level.residual_sd is None else f"{level.residual_sd:+.1f}"


def parameter_rows(r: UpdateResult) -> list[tuple[str, str, str, str]]:
    """Name each parameter, with its value in this patient and in the typical one."""
    return [
        (
            x.name,
            f"{x.individual:.3g}",
            x.unit,
            f"typical {x.typical:.3g} ({100 * (x.individual / x.typical - 1):+.0f} %)",
        )
        for x in r.parameters
    ]


def _targets(r: UpdateResult, width: int) -> str:
    if not r.targets:
        return ""
    rows = [(row.name, row.window, row.status, row.chances) for row in target_rows(r.targets)]
    applying = table(rows, width) if rows else "  None."
    others = paragraph(targets_of_others(r.targets), width, 2)
    return "\n".join(part for part in (applying, others) if part)


def _level_lines(level: LevelRecord, width: int) -> list[str]:
    tail = residual(level) + ("" if level.residual_sd is None else " residual SD")
    line = (
        f"  {level.level}. {level.time_h:6g} h  {value(level):>8} mg/L  fitted "
        f"{level.fitted_mg_l:.3g}, typical {level.typical_mg_l:.3g}; {tail}"
    )
    if level.clock is None:
        return [line]
    if len(line) + len(level.clock) + 2 <= width:
        return [f"{line}  {level.clock}"]
    return [line, f"{'':10}{level.clock}"]


# ------------------------------------------------------------------ sampling designs


def design_page(d: Design, width: int = 100) -> str:
    """Draw the levels to measure: the best of each number first."""

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
