"""The page of an update by levels, and of a sampling design, for a terminal."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from fludapk.answers.headline import auc_text
from fludapk.language import marked, ntr, tr
from fludapk.pages.check import REMARKS, TARGETS, footer, headline_block, page_targets
from fludapk.pages.layout import Strong, fitted, paragraph, table, with_auc
from fludapk.pages.words import (
    auc_line,
    auc_of,
    hash_name,
    interval_text,
    mg,
    percent,
    plan,
    remark_table,
    typeset,
    who,
)
from fludapk.published.models import replacement_warning
from fludapk.units import MG_PER_ML

if TYPE_CHECKING:
    from fludapk.answers.design import Design, Schedule
    from fludapk.answers.update_records import (
        LevelRecord,
        RemainingDose,
        UpdateByModel,
        UpdateResult,
        WithoutLevel,
    )

WOULD_GIVE: Final = marked("Not proposed: what the model would give, were there no STOP")
WITHOUT: Final = marked("The estimate without each level in turn")
BY_MODELS: Final = marked("The same levels by other models")
LEVELS: Final = marked("Levels")
MODELS: Final = marked("Models of the average")
PARAMETERS: Final = marked("This patient beside the typical one")


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
        REMARKS: remark_table(r.remarks, width),
        WITHOUT: table(without_rows(r), width) if r.without else "",
        BY_MODELS: table(with_auc(by_model_rows(r), 1), width, right="1"),
        WOULD_GIVE: "\n".join(paragraph(line, width, 2) for line in would_give_lines(r)),
        LEVELS: "\n".join(part for level in r.levels for part in _level_lines(level, width)),
        MODELS: table(member_rows(r), width, right="12"),
        PARAMETERS: table(parameter_rows(r), width, right="1"),
        TARGETS: page_targets(r.targets, width, with_about=False) if r.targets else "",
    }
    body = [f"{tr(title)}\n{text}" for title, text in sections.items() if text]
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
            tr(
                "{low:.1f}-{high:.1f} mg·h/L; weight before the levels {weight:.2g}",
                low=member.auc_0_inf_pi90[0],
                high=member.auc_0_inf_pi90[1],
                weight=member.prior_weight,
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
    if r.averaged:
        return ntr(
            "averaged over models, given {n} level, course as planned",
            "averaged over models, given {n} levels, course as planned",
            used,
        )
    return ntr(
        "by {model} and {n} level, course as planned",
        "by {model} and {n} levels, course as planned",
        used,
        model=r.model,
    )


def misfit_line(r: UpdateResult) -> str:
    """Word the AUC that levels would give which do not fit together."""
    return tr(
        "Not to be used: taken as they are, the levels would make AUC0-inf {auc} mg·h/L "
        "({interval})",
        auc=auc_of(r.headline),
        interval=interval_text(r.headline),
    )


def covariates_line(r: UpdateResult) -> str:
    """Word the AUC from covariates alone, and the AUC so far."""
    exposure, posterior = r.prior.exposure, r.posterior
    low, high = exposure.auc_0_inf_pi90
    alone = f"{auc_text(exposure.auc_0_inf)} ({low:.1f}-{high:.1f})"
    if not r.fits:
        return tr("From covariates alone {auc} mg·h/L", auc=alone)
    low, high = posterior.auc_so_far_pi90
    return tr(
        "From covariates alone {auc}; AUC so far (to {hours:g} h) {auc_so_far} mg·h/L",
        auc=alone,
        hours=posterior.now_h,
        auc_so_far=f"{posterior.auc_so_far:.2f} ({low:.1f}-{high:.1f})",
    )


def sampling(r: UpdateResult) -> str:
    """Say how the posterior was sampled, and how sure its probabilities are."""
    made, p = r.provenance, r.posterior
    error = max(0.1, math.ceil(1000 * made.probability_se) / 10)
    return tr(
        "{n} weighted draws, seed {seed}, effective size {size:.0f} ({method}), probabilities ± "
        "{error:g} % (standard error)",
        n=made.draws,
        seed=made.seed,
        size=p.effective_size,
        method=p.method,
        error=error,
    )


# ------------------------------------------------------------------ the dose that is left


def remaining_lines(r: UpdateResult) -> list[str]:
    """Word the dose that is left; under a stop, that none is proposed."""
    if r.remaining is not None:
        return _dose_lines(r, r.remaining)
    return [tr("No dose is proposed.")] if r.headline.stops else []


def would_give_lines(r: UpdateResult) -> list[str]:
    """Word the dose that the model would give, were there no stop."""
    return [] if r.would_give is None else _dose_lines(r, r.would_give)


def _dose_lines(r: UpdateResult, d: RemainingDose) -> list[str]:
    change = f" ({100 * (d.dose_mg / d.planned_mg - 1):+.0f} %)" if d.planned_mg else ""
    low, high = d.auc_0_inf_pi90
    lines = [
        tr(
            "Remaining {n} of {of} doses: {dose} mg fludarabine phosphate each, {per_m2} mg/m²; "
            "planned {planned}",
            n=d.infusions,
            of=len(r.prior.regimen.doses_mg),
            dose=mg(d.dose_mg),
            per_m2=mg(d.dose_mg_m2),
            planned=f"{mg(d.planned_mg)} mg{change}",
        ),
        ntr(
            "Draw up {volume} mL ({strength:g} mg/mL), {n} vial, waste {waste} mg; course {course} "
            "mg/m²",
            "Draw up {volume} mL ({strength:g} mg/mL), {n} vials, waste {waste} mg; course "
            "{course} mg/m²",
            d.vials_per_dose,
            volume=mg(d.volume_ml_per_dose),
            strength=MG_PER_ML,
            waste=mg(d.waste_mg_per_dose),
            course=mg(d.total_course_mg_m2),
        ),
        tr(
            "Then AUC0-inf {auc}, 90 % interval {low:.1f}-{high:.1f}; {chances}; goal: {goal}",
            auc=auc_text(d.auc_0_inf),
            low=low,
            high=high,
            chances=_chances(d),
            goal=d.goal,
        ),
    ]
    if d.reached:
        return lines
    missed = tr(
        "NO REMAINING DOSE REACHES THE GOAL: {goal}; {reason}. The nearest:",
        goal=d.goal,
        reason=d.reason,
    )
    return [missed, *lines]


def _chances(d: RemainingDose) -> str:
    """Word the chances of the sides of the goal."""
    chances = [tr("P(below) {percent}", percent=percent(d.p_below))]
    if d.p_within:  # of a single AUC there is no within
        chances.append(tr("P(within) {percent}", percent=percent(d.p_within)))
    if d.p_above:
        chances.append(tr("P(above) {percent}", percent=percent(d.p_above)))
    return ", ".join(chances)


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
            "" if row.auc_0_inf is None else auc_text(row.auc_0_inf),
            _about_model(row),
        )
        for row in r.by_models
    ]


def _about_model(row: UpdateByModel) -> str:
    if row.auc_0_inf is None:
        return tr("no estimate from these levels")
    fits = tr("the levels fit") if row.fits else tr("the levels do not fit together")
    if not row.reading_of:
        return fits
    return f"{fits}; {tr('another reading of {name}', name=row.reading_of)}"


def change_line(r: UpdateResult) -> str:
    """Name what would change the answer: other models on the same levels, further levels."""
    models = [
        tr(
            "by {model} and the same levels AUC {auc}",
            model=row.model,
            auc=auc_text(row.auc_0_inf),
        )
        for row in r.by_models
        if row.auc_0_inf is not None
    ]
    return "; ".join([*models, tr("levels after a further dose")])


def _name(level: LevelRecord) -> str:
    return tr(
        "without level {number} ({hours:g} h, {conc} mg/L)",
        number=level.level,
        hours=level.time_h,
        conc=value(level),
    )


def _without(row: WithoutLevel) -> str:
    if row.auc_0_inf is None:
        return tr("no estimate")
    rest = tr("the rest fits") if row.fits else tr("the rest does not fit either")
    return f"AUC0-inf {auc_text(row.auc_0_inf)} mg·h/L; {rest}"


def value(level: LevelRecord) -> str:
    """Write a concentration as it was measured."""
    if level.conc_mg_l is None:
        return f"< {level.lloq_mg_l:.3g}"
    return f"{level.conc_mg_l:.3g}"


def residual(level: LevelRecord) -> str:
    """Write a residual, or that the level is not part of the estimate."""
    return tr("left out") if level.residual_sd is None else f"{level.residual_sd:+.1f}"


def parameter_rows(r: UpdateResult) -> list[tuple[str, str, str, str]]:
    """Name each parameter, with its value in this patient and in the typical one."""
    return [
        (
            x.name,
            f"{x.individual:.3g}",
            x.unit,
            tr(
                "typical {value:.3g} ({change:+.0f} %)",
                value=x.typical,
                change=100 * (x.individual / x.typical - 1),
            ),
        )
        for x in r.parameters
    ]


def _level_lines(level: LevelRecord, width: int) -> list[str]:
    tail = residual(level)
    if level.residual_sd is not None:
        tail = tr("{n} residual SD", n=tail)
    about = tr(
        "fitted {fitted:.3g}, typical {typical:.3g}; {residual}",
        fitted=level.fitted_mg_l,
        typical=level.typical_mg_l,
        residual=tail,
    )
    line = f"  {level.level}. {level.time_h:6g} h  {value(level):>8} mg/L  {about}"
    if level.clock is None:
        return [line]
    if len(line) + len(level.clock) + 2 <= width:
        return [f"{line}  {level.clock}"]
    return [line, f"{'':10}{level.clock}"]


# ------------------------------------------------------------------ sampling designs


def simulated_line(d: Design) -> str:
    """Say of whom patients were simulated, and how."""
    if d.whose == "patient":
        patients = tr("{n} patients like this one", n=d.patients)
    else:
        patients = tr("{n} patients of {population}", n=d.patients, population=d.whose)
    return tr(
        "{patients} were simulated by {model}, with the variability between patients and days and "
        "the residual error of the model, and estimated back.",
        patients=patients,
        model=d.model,
    )


def design_page(d: Design, width: int = 100) -> str:
    """Draw the levels to measure: the best of each number first."""

    def line(name: str, schedule: Schedule) -> str:
        times = ", ".join(f"{t:g}" for t in schedule.times_h)
        left = tr(
            "90 % of errors within {auc:4.1f} mg·h/L, {percent:.0f} % less",
            auc=schedule.interval_width,
            percent=100 * schedule.reduction,
        )
        return f"  {name:14} {times:18} h   {left}"

    warning = replacement_warning(d.model, d.model_sha256)
    about = tr(
        "Levels after the first dose, h from the start of its infusion, and what they leave "
        "unknown of the AUC0-inf of the course"
    )
    unknown = tr("90 % of errors within {auc:4.1f} mg·h/L", auc=d.covariates_interval_width)
    lines = [
        *([warning] if warning else []),
        *wrap(about, min(width, 84)),
        "",
        f"  {tr('no level'):14} {'':18}     {unknown}",
        *(line(ntr("best {n} level", "best {n} levels", len(s.times_h)), s) for s in d.best),
        *(line(tr("published"), s) for s in d.published),
        "",
        *wrap(simulated_line(d), width),
        "",
        *wrap(tr(d.disclaimer), width),
        f"fludapk {d.version} | {hash_name(f'model {d.model}')} {d.model_sha256[:12]} | "
        + tr("seed {seed}", seed=d.seed),
    ]
    return "\n".join(line.rstrip() for line in lines)
