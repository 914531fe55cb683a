"""Commands about one patient: check a course, find a dose, put measured levels to use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from fludapk.cli.cases import answered, case_option, save_as, save_case_option, say_changes
from fludapk.cli.common import (
    brief_option,
    folders_of,
    goal_options,
    json_option,
    language_option,
    model_option,
    models_dir_option,
    one_line,
    options_of,
    patient_options,
    pointed_option,
    regimen_options,
    say_first_compilation,
    show,
    strict_option,
    weighted,
    weights_option,
)
from fludapk.errors import ExitStatus, Fault, InputError
from fludapk.patients.fields import COMMON, FIELDS

if TYPE_CHECKING:
    from fludapk.patients.clock import Clock
    from fludapk.patients.level import Level

report_option = click.option(
    "--report", metavar="FILE", help="Write the page as HTML, to print and sign."
)


@click.command()
@patient_options
@regimen_options
@model_option
@weights_option
@options_of("round_to_mg")
@strict_option
@report_option
@language_option
@brief_option
@click.option("--events", metavar="FILE", help="Write the course as NONMEM-style CSV.")
@case_option
@save_case_option
@models_dir_option
@json_option
def check(
    report: str | None,
    is_brief: bool,
    events: str | None,
    case_file: str | None,
    save_case: str | None,
    models_dir: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Check the planned course of one patient.

    Cumulative AUC0-inf of F-ara-A with its 90 % interval, whether it is below 13.8 or 14 mg·h/L and
    with what probability, and the calculation to re-derive it by hand.
    """
    from fludapk.answers.typed import check_typed

    folders = folders_of(models_dir)
    result, opened = answered("check", check_typed, _by_weights(typed), folders, case_file)
    if events is not None:
        from fludapk.answers.events import events_csv
        from fludapk.atomic import write_whole

        write_whole(events, events_csv(result))
    save_as(save_case, "check", result, opened=opened)
    show(result, as_json=as_json, report=report, is_brief=is_brief)
    say_changes(opened)


@click.command()
@patient_options
@regimen_options
@goal_options()
@model_option
@weights_option
@click.option(
    "--round-to",
    metavar="MG",
    default="1",
    show_default=True,
    help="What can be drawn up: doses are multiples of this.",
)
@strict_option
@report_option
@language_option
@brief_option
@case_option
@save_case_option
@models_dir_option
@json_option
def dose(
    report: str | None,
    is_brief: bool,
    case_file: str | None,
    save_case: str | None,
    models_dir: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Find the daily dose for a target exposure.

    The course is that of --regimen, shown beside as planned, or --days infusions. Ceilings are
    those of a check. The dose is that of one model; others say what they expect of it.
    """
    from fludapk.answers.typed import dose_typed

    folders = folders_of(models_dir)
    result, opened = answered("dose", dose_typed, _by_weights(typed), folders, case_file)
    save_as(save_case, "dose", result, opened=opened)
    show(result, as_json=as_json, report=report, is_brief=is_brief)
    say_changes(opened)


@click.command()
@patient_options
@options_of("plans", *COMMON)
@model_option
@weights_option
@options_of("round_to_mg")
@strict_option
@report_option
@language_option
@brief_option
@models_dir_option
@json_option
def compare(
    report: str | None, is_brief: bool, models_dir: str | None, as_json: bool, **typed: Any
) -> None:
    """Compare two to four plans for one patient, side by side.

    A plan is a course, and perhaps an aim its dose is found for. Dose, mL, vials, AUC, chances
    against the target that fits, and AUC by every model that applies, on the same simulated
    patients; interval, infusion time, cells and cap hold for every plan.
    """
    from fludapk.answers.typed import compare_typed

    result = compare_typed(_by_weights(typed), folders_of(models_dir), ready=say_first_compilation)
    show(result, as_json=as_json, report=report, is_brief=is_brief)


@click.command()
@patient_options
@regimen_options
@click.option(
    "--level",
    "level_texts",
    multiple=True,
    callback=pointed_option,
    metavar='"TIME CONC"',
    help='A level, from the first dose: "2.0h 0.62mg/L", "24h <10ng/mL"; or, with --first-dose, '
    '"2026-01-14 10:30 0.62mg/L". Repeatable.',
)
@click.option(
    "--levels",
    "levels_file",
    metavar="FILE",
    help="or a CSV file: time_h (or time, with date), conc_mg_l, blq, lloq.",
)
@click.option(
    "--given",
    multiple=True,
    callback=pointed_option,
    metavar='"START DOSE"',
    help='A dose as given, if not as planned: "24.5h 22mg", "2026-01-15 09:00 22mg 45min". '
    "Repeatable, from the first.",
)
@options_of("exclude_level")
@click.option(
    FIELDS["draws"].option, type=int, metavar=FIELDS["draws"].metavar, help=FIELDS["draws"].help
)
@click.option(
    "--draws-file",
    metavar="FILE",
    help="Write such draws to FILE.parquet or FILE.csv, 4000 without --draws.",
)
@click.option("--design", is_flag=True, help="Show the most informative sampling times instead.")
@click.option(
    "--population", metavar="NAME", help="With --design: for a population of `simulate` instead."
)
@goal_options("For the remaining doses: ")
@model_option
@weights_option
@options_of("round_to_mg")
@strict_option
@report_option
@language_option
@brief_option
@case_option
@save_case_option
@models_dir_option
@json_option
def update(
    level_texts: tuple[str, ...],
    levels_file: str | None,
    draws_file: str | None,
    design: bool,
    population: str | None,
    report: str | None,
    is_brief: bool,
    case_file: str | None,
    save_case: str | None,
    models_dir: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Put measured levels of F-ara-A to use.

    The most likely patient given covariates and levels, the AUC of the course with its interval,
    and, for a goal, the dose of the infusions that are left. Time counts from the start of the
    first infusion: in hours, or by the clock if --first-dose says when that was. Levels that do not
    fit together get no dose: the page says STOP and why, and the exit code is 6.
    """
    from fludapk.answers.draws import DRAWS_OF_A_FILE, posterior_draws, write_draws
    from fludapk.answers.typed import design_typed, update_typed

    folders = folders_of(models_dir)
    if population is not None and (not design or typed["weight"] is not None):
        raise InputError("--population goes with --design, and without a patient")
    if design:
        _must_be_before_levels(level_texts or levels_file, case_file or save_case)
        whose = {**_by_weights(typed), "population": population}
        found = design_typed(whose, folders, ready=say_first_compilation)
        show(found, as_json=as_json)
        return

    measured: list[Level] = []

    def levels(clock: Clock) -> list[Level]:
        measured[:] = _levels(level_texts, levels_file, clock)
        return measured

    answer = update_typed if case_file else partial(update_typed, levels=levels)
    result, opened = answered("update", answer, _by_weights(typed), folders, case_file)
    from_file = measured if levels_file else None
    save_as(save_case, "update", result, opened=opened, levels=from_file)
    if draws_file is not None:
        if result.averaged is not None:
            do = "name one model"
            raise InputError(Fault("draws_file", "draws are of one model", do=do))
        draws = posterior_draws(result.fit, typed["draws"] or DRAWS_OF_A_FILE)
        write_draws(draws_file, draws)
    show(result, as_json=as_json, report=report, is_brief=is_brief)
    say_changes(opened)
    if not result.fits:
        click.echo(f"fludapk: {result.headline.stops[0]}", err=True)
        raise click.exceptions.Exit(int(ExitStatus.NOT_CONVERGED))


def _by_weights(typed: dict[str, Any]) -> dict[str, Any]:
    """Return what was typed, the model with the weights of the file that was named with it."""
    return {**typed, "model": weighted(typed["model"])}


def _levels(texts: tuple[str, ...], file: str | None, clock: Clock) -> list[Level]:
    """Levels of options and of a file; what of the file is not used is said."""
    from fludapk.patients.columns import few
    from fludapk.patients.level import levels_of
    from fludapk.patients.level_list import read_level_file

    typed = levels_of(texts, clock)
    if file is None:
        return typed
    read = read_level_file(file, clock)
    if read.unused:
        click.echo(f"fludapk: columns not read: {one_line(few(read.unused))}", err=True)
    if read.set_aside:
        click.echo(f"fludapk: rows marked as not to be used: {read.set_aside}", err=True)
    return typed + read.levels


def _must_be_before_levels(levels: object, case: object) -> None:
    """Refuse what a question for sampling times has no use for."""
    if case:
        found = "--design asks for no levels: leave out {case} and --save-case"
        raise InputError(Fault("case", found, whole=True))
    if levels:
        found = "--design is for before levels are drawn: leave the levels out"
        raise InputError(Fault("levels", found, whole=True))
