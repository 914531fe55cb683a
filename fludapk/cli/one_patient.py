"""Commands about one patient: check a course, find a dose, put measured levels to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fludapk.cli.common import (
    json_option,
    mass_mg,
    model_option,
    models_dir_option,
    patient_of,
    patient_options,
    regimen_of,
    regimen_options,
    say_first_compilation,
    schedule_of,
    strict_option,
    width,
)

if TYPE_CHECKING:
    from fludapk.patients.patient import Patient
    from fludapk.patients.regimen import Regimen


@click.command()
@patient_options
@regimen_options
@model_option
@click.option("--round-to", metavar="MG", help="Round each dose to a multiple of this many mg.")
@strict_option
@click.option("--report", metavar="FILE", help="Write the page as HTML, to print and sign.")
@click.option("--events", metavar="FILE", help="Write the course as NONMEM-style CSV.")
@models_dir_option
@json_option
def check(
    model: str,
    round_to: str | None,
    strict: bool,
    report: str | None,
    events: str | None,
    models_dir: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Check the planned course of one patient.

    Cumulative AUC0-inf of F-ara-A with its 90 % interval, whether it is below 13.8 or 14 mg·h/L and
    with what probability, and the calculation to re-derive it by hand.
    """
    from fludapk.answers.check import check as run
    from fludapk.published.models import model_folders

    patient, regimen, folders = patient_of(options), regimen_of(options), model_folders(models_dir)
    step = mass_mg(round_to, "round-to")
    say_first_compilation()
    result = run(patient, regimen, model=model, round_to_mg=step, strict=strict, folders=folders)
    if events is not None:
        from fludapk.answers.events import events_csv
        from fludapk.atomic import write_whole

        write_whole(events, events_csv(result))
    if report is not None:
        from fludapk.answers.curve import curve_of
        from fludapk.atomic import write_whole
        from fludapk.pages.check import check_html

        drawn = curve_of(patient, regimen, model=model, round_to_mg=step, folders=folders)
        write_whole(report, check_html(result, drawn))
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.pages.check import check_page

        click.echo(check_page(result, width()))


@click.command()
@patient_options
@regimen_options
@click.option("--target", metavar="ID", help="A target of `fludapk targets list`.")
@click.option("--auc", type=float, metavar="AUC", help="or a cumulative AUC0-inf, mg·h/L.")
@click.option(
    "--window", type=(float, float), metavar="LOW HIGH", help="or a window on AUC0-inf, mg·h/L."
)
@click.option(
    "--probability",
    type=float,
    metavar="P",
    help="Wanted of being in the target or window, for example 0.8.",
)
@model_option
@click.option(
    "--round-to",
    metavar="MG",
    default="1",
    show_default=True,
    help="What can be drawn up: doses are multiples of this.",
)
@strict_option
@click.option("--report", metavar="FILE", help="Write the page as HTML, to print and sign.")
@models_dir_option
@json_option
def dose(
    target: str | None,
    auc: float | None,
    window: tuple[float, float] | None,
    probability: float | None,
    model: str,
    round_to: str,
    strict: bool,
    report: str | None,
    models_dir: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the daily dose for a target exposure.

    The course is that of --regimen, shown beside as planned, or --days infusions. Ceilings are
    those of a check. Where models disagree every dose is shown and none is called the answer.
    """
    from fludapk.answers.dose import find_dose
    from fludapk.answers.goal import Goal
    from fludapk.published.models import model_folders

    folders = model_folders(models_dir)
    goal = Goal.chosen(auc=auc, window=window, target=target, probability=probability)
    patient, (schedule, planned) = patient_of(options), schedule_of(options)
    say_first_compilation()
    result = find_dose(
        patient,
        schedule,
        goal,
        planned=planned,
        model=model,
        round_to_mg=mass_mg(round_to, "round-to") or 1.0,
        strict=strict,
        folders=folders,
    )
    if report is not None:
        from fludapk.answers.curve import curve_of
        from fludapk.atomic import write_whole
        from fludapk.pages.dose import dose_html

        given = schedule.in_mg(result.proposals[0].dose_mg)
        drawn = curve_of(patient, given, model=model, folders=folders)
        write_whole(report, dose_html(result, drawn))
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.pages.dose import dose_page

        click.echo(dose_page(result, width()))


@click.command()
@patient_options
@regimen_options
@click.option(
    "--level",
    "typed",
    multiple=True,
    metavar='"TIME CONC"',
    help='A level, from the first dose: "2.0h 0.62mg/L", "24h <10ng/mL". Repeatable.',
)
@click.option("--levels", metavar="FILE", help="or a CSV file: time_h, conc_mg_l, blq, lloq.")
@click.option("--first-dose", metavar="WHEN", help="Where the file has dates: of the first dose.")
@click.option(
    "--given",
    multiple=True,
    metavar='"START DOSE"',
    help='A dose as given, if not as planned: "24.5h 22mg". Repeatable, from the first.',
)
@click.option("--design", is_flag=True, help="Instead: which levels to draw after the first dose.")
@click.option(
    "--population", metavar="NAME", help="With --design: for a population of `simulate` instead."
)
@click.option("--target", metavar="ID", help="For the doses left: a target.")
@click.option("--auc", type=float, metavar="AUC", help="or a cumulative AUC0-inf, mg·h/L.")
@click.option("--window", type=(float, float), metavar="LOW HIGH", help="or a window on it.")
@click.option("--probability", type=float, metavar="P", help="Wanted of being in it.")
@model_option
@click.option("--round-to", metavar="MG", help="Doses are multiples of this many mg.")
@strict_option
@click.option("--report", metavar="FILE", help="Write the page as HTML, to print and sign.")
@models_dir_option
@json_option
def update(
    typed: tuple[str, ...],
    levels: str | None,
    first_dose: str | None,
    given: tuple[str, ...],
    design: bool,
    population: str | None,
    target: str | None,
    auc: float | None,
    window: tuple[float, float] | None,
    probability: float | None,
    model: str,
    round_to: str | None,
    strict: bool,
    report: str | None,
    models_dir: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Put measured levels of F-ara-A to use.

    The most likely patient given covariates and levels, the AUC of the course with its interval,
    and, for a goal, the dose of the infusions that are left. Time counts from the start of the
    first infusion.
    """
    from fludapk.answers.fit import fit
    from fludapk.answers.goal import Goal
    from fludapk.answers.update import result_of
    from fludapk.errors import InputError
    from fludapk.patients.level import Level, parse_given
    from fludapk.patients.level_list import read_levels
    from fludapk.published.models import model_folders

    if population is not None and (not design or options["weight"] is not None):
        raise InputError("--population goes with --design, and without a patient")
    regimen = regimen_of(options)
    if design:
        whose = population or patient_of(options)
        _design(whose, regimen, model, models_dir, as_json, bool(typed or levels))
        return
    patient = patient_of(options)
    faults: list[str] = []
    measured: list[Level] = []
    for text in typed:
        try:
            measured.append(Level.from_text(text))
        except InputError as error:
            faults += error.faults
    if levels is not None:
        measured += read_levels(levels, first_dose)
    if faults:
        raise InputError(*faults)
    asked = any(value is not None for value in (target, auc, window, probability))
    goal = (
        Goal.chosen(auc=auc, window=window, target=target, probability=probability)
        if asked
        else None
    )
    say_first_compilation()
    fitted = fit(
        patient,
        regimen,
        measured,
        given=[parse_given(text, regimen.infusion_h) for text in given],
        model=model,
        round_to_mg=mass_mg(round_to, "round-to"),
        strict=strict,
        folders=model_folders(models_dir),
    )
    result = result_of(fitted, goal)
    if report is not None:
        from fludapk.answers.curve import horizon_h, update_curve
        from fludapk.atomic import write_whole
        from fludapk.pages.update import update_html

        drawn = update_curve(fitted, until_h=horizon_h(fitted.course.times_h, regimen.cells_at_h))
        write_whole(report, update_html(result, drawn))
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.pages.update import update_page

        click.echo(update_page(result, width()))


def _design(
    patient: Patient | str,
    regimen: Regimen,
    model: str,
    models_dir: str | None,
    as_json: bool,
    has_levels: bool,
) -> None:
    """Say which levels to draw."""
    from fludapk.answers.design import design as run
    from fludapk.errors import InputError
    from fludapk.pages.update import design_page
    from fludapk.published.models import model_folders

    if has_levels:
        raise InputError("--design is for before levels are drawn: leave the levels out")
    say_first_compilation()
    found = run(patient, regimen, model=model, folders=model_folders(models_dir))
    click.echo(found.to_json() if as_json else design_page(found, width()))
