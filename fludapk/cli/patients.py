"""Commands about one patient: check a planned course, find the dose for a target."""

from __future__ import annotations

from typing import Any

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
    from fludapk.checking import check as run
    from fludapk.model import model_folders

    patient, regimen, folders = patient_of(options), regimen_of(options), model_folders(models_dir)
    step = mass_mg(round_to, "round-to")
    say_first_compilation()
    result = run(patient, regimen, model=model, round_to_mg=step, strict=strict, folders=folders)
    if events is not None:
        from fludapk.io import events_csv, write_whole

        write_whole(events, events_csv(result))
    if report is not None:
        from fludapk.html import check_html, curve_of
        from fludapk.io import write_whole

        drawn = curve_of(patient, regimen, model=model, round_to_mg=step, folders=folders)
        write_whole(report, check_html(result, drawn))
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.report import check_page

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
    from fludapk.dosing import Goal, find_dose
    from fludapk.model import model_folders

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
        from fludapk.html import curve_of, dose_html
        from fludapk.io import write_whole

        given = schedule.in_mg(result.proposals[0].dose_mg)
        drawn = curve_of(patient, given, model=model, folders=folders)
        write_whole(report, dose_html(result, drawn))
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.report import dose_page

        click.echo(dose_page(result, width()))
