"""Commands about no patient in particular: nomograms, models, regimens, targets, verification."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from fludapk.cli.common import (
    folders_of,
    json_option,
    model_option,
    models_dir_option,
    options_of,
    regimen_options,
    say_first_compilation,
    show,
)
from fludapk.errors import ExitStatus, Fault, InputError, gathered
from fludapk.patients.fields import FIELDS


@click.command()
@regimen_options
@options_of(
    "age_years",
    "height_cm",
    "sex",
    "product",
    age_years="A fixed age; without it, children of median growth.",
    height_cm="With --age: the height.",
    sex="female or male.",
    product="Where the model needs it.",
)
@click.option("--weights", type=(float, float, float), metavar="FROM TO STEP", help="Rows, kg.")
@click.option(
    "--renal",
    type=(float, float, float),
    metavar="FROM TO STEP",
    help="Columns, in the unit of the model.",
)
@click.option("--target-auc", type=float, metavar="AUC", help=FIELDS["target_auc"].help)
@click.option("--figure", metavar="FILE", help="Draw it: a file that ends in .svg or .png.")
@click.option("--report", metavar="FILE", help="Write figure and table as HTML, for the wall.")
@model_option
@models_dir_option
@json_option
def nomogram(
    weights: tuple[float, float, float] | None,
    renal: tuple[float, float, float] | None,
    target_auc: float | None,
    figure: str | None,
    report: str | None,
    model: str,
    models_dir: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Tabulate the typical AUC of a course over weight and kidney function.

    Or the dose for a target AUC. The table is CSV; contours at 13.8, 14, 18 and 20 with --figure.
    """
    from fludapk.answers.nomogram import nomogram as run
    from fludapk.answers.nomogram_grid import steps
    from fludapk.patients.patient import parse_sex
    from fludapk.patients.request import read_quantity, read_regimen, read_schedule

    if figure is not None and not figure.endswith((".svg", ".png")):
        raise InputError(Fault("figure", f"= {figure!r}", do="a file that ends in .svg or .png"))
    regimen, age_years, height_cm, sex, rows, columns = gathered(
        lambda: read_regimen(typed) if target_auc is None else read_schedule(typed)[0],
        lambda: read_quantity(typed, "age_years"),
        lambda: read_quantity(typed, "height_cm"),
        lambda: parse_sex(typed["sex"]),
        lambda: steps(weights, "weights_kg"),
        lambda: steps(renal, "renal"),
    )
    draw = partial(
        run,
        regimen,
        model=model,
        weights_kg=rows,
        renal=columns,
        age_years=age_years,
        height_cm=height_cm,
        sex=sex,
        target_auc=target_auc,
        product=typed["product"],
        folders=folders_of(models_dir),
    )
    say_first_compilation()
    chart = draw()
    if figure is not None:
        from fludapk.atomic import write_whole
        from fludapk.pages.nomogram_figure import nomogram_png, nomogram_svg

        draw_it = nomogram_svg if figure.endswith(".svg") else nomogram_png
        write_whole(figure, draw_it(draw(fine=True)))
    if report is not None:
        from fludapk.atomic import write_whole
        from fludapk.pages.nomogram import nomogram_html
        from fludapk.pages.nomogram_figure import nomogram_svg

        write_whole(report, nomogram_html(chart, nomogram_svg(draw(fine=True))))
    click.echo(chart.to_json() if as_json else chart.to_csv(), nl=as_json)


@click.group()
def models() -> None:
    """Published models: what they are and whether they give back what was printed."""


@models.command("list")
@models_dir_option
@json_option
def models_list(models_dir: str | None, as_json: bool) -> None:
    """List the models."""
    from fludapk.answers.catalogue import models as published

    show(published(folders_of(models_dir)), as_json=as_json)


@models.command("show")
@click.argument("name")
@models_dir_option
@json_option
def models_show(name: str, models_dir: str | None, as_json: bool) -> None:
    """Show every number of a model with its source."""
    from fludapk.published.models import load_model

    model = load_model(name, folders_of(models_dir))
    if as_json:
        from fludapk.answers.record import document

        click.echo(document({**model.file.model_dump(exclude_none=True), "sha256": model.sha256}))
    else:
        from fludapk.pages.layout import width
        from fludapk.pages.sources import model_page

        click.echo(model_page(model, width()))


@models.command("verify")
@click.argument("names", nargs=-1)
@models_dir_option
@json_option
def models_verify(names: tuple[str, ...], models_dir: str | None, as_json: bool) -> None:
    """Re-compute the published numbers of the named models (all if none is named)."""
    _verify(names, models_dir, as_json)


@click.command()
@models_dir_option
@json_option
def verify(models_dir: str | None, as_json: bool) -> None:
    """Re-compute every published number, and the kernels against an ODE solver, on this machine."""
    _verify((), models_dir, as_json)


def _verify(names: tuple[str, ...], models_dir: str | None, as_json: bool) -> None:
    from fludapk.answers.verify import verify as run
    from fludapk.published.models import load_model

    folders = folders_of(models_dir)
    for name in names:
        load_model(name, folders)
    say_first_compilation()
    result = run(names, folders)
    show(result, as_json=as_json)
    if not result.ok:
        sys.exit(int(ExitStatus.INTERNAL))


@click.group()
def regimens() -> None:
    """Published courses of fludarabine."""


@regimens.command("list")
@json_option
def regimens_list(as_json: bool) -> None:
    """List the regimens."""
    from fludapk.answers.catalogue import regimens as published

    show(published(), as_json=as_json)


@regimens.command("show")
@click.argument("name")
@json_option
def regimens_show(name: str, as_json: bool) -> None:
    """Show a regimen and the renal rules of labels."""
    from fludapk.answers.record import document
    from fludapk.patients.regimen import Regimen
    from fludapk.published.regimens import label_rules
    from fludapk.published.regimens import regimens as published

    Regimen.named(name)
    if as_json:
        rules = [rule.model_dump() for rule in label_rules()]
        click.echo(document({**published()[name].model_dump(), "label_rules": rules}))
    else:
        from fludapk.pages.layout import width
        from fludapk.pages.sources import regimen_page

        click.echo(regimen_page(name, width()))


@click.group()
def targets() -> None:
    """Published exposure thresholds."""


@targets.command("list")
@json_option
def targets_list(as_json: bool) -> None:
    """List the targets with their contexts."""
    from fludapk.answers.catalogue import targets as published

    show(published(), as_json=as_json)
