"""Commands about no patient in particular: nomograms, models, regimens, targets, verification."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from fludapk.cli.common import (
    folders_of,
    json_option,
    language_option,
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
    "diagnosis",
    "genotype",
    age_years="Fixed age; without it, children of median growth.",
    height_cm="Fixed height, with --age.",
    sex="female or male.",
    product="Product, where the model needs it.",
)
@click.option(
    FIELDS["weights_kg"].option,
    type=(float, float, float),
    metavar=FIELDS["weights_kg"].metavar,
    help=FIELDS["weights_kg"].help,
)
@click.option(
    FIELDS["renal"].option,
    type=(float, float, float),
    metavar=FIELDS["renal"].metavar,
    help=FIELDS["renal"].help,
)
@click.option("--target-auc", type=float, metavar="AUC", help=FIELDS["target_auc"].help)
@click.option("-o", "--output", metavar="FILE", help="Write every cell as CSV.")
@click.option("--figure", metavar="FILE", help="Draw it: a file that ends in .svg or .png.")
@click.option("--report", metavar="FILE", help="Write figure and table as HTML, for the wall.")
@language_option
@model_option
@models_dir_option
@json_option
def nomogram(
    weights: tuple[float, float, float] | None,
    renal: tuple[float, float, float] | None,
    target_auc: float | None,
    output: str | None,
    figure: str | None,
    report: str | None,
    model: str,
    models_dir: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Tabulate the typical AUC of a course over weight and kidney function.

    Or the dose for a target AUC; with the chance of missing the target that fits such patients. A
    table on a terminal, CSV in a pipe or with -o; contours with --figure.
    """
    from fludapk.answers.nomogram import nomogram as run
    from fludapk.answers.nomogram_grid import steps
    from fludapk.patients.request import read_quantity, read_regimen, read_schedule
    from fludapk.patients.typed_patient import parse_sex

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
        diagnosis=typed["diagnosis"],
        genotype=typed["genotype"],
        folders=folders_of(models_dir),
    )
    say_first_compilation()
    chart = draw()
    if output is not None:
        from fludapk.atomic import write_whole

        write_whole(output, chart.to_csv())
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
    if as_json or (output is None and is_terminal()):
        show(chart, as_json=as_json)
    elif output is None:
        click.echo(chart.to_csv(), nl=False)


def is_terminal() -> bool:
    """Tell whether a person reads what is printed."""
    return sys.stdout.isatty()


@click.group()
def models() -> None:
    """List, show and verify the published models."""


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

    model = load_model(name, folders_of(models_dir), any_drug=True)
    if as_json:
        from fludapk.answers.record import document

        click.echo(document({**model.file.model_dump(exclude_none=True), "sha256": model.sha256}))
    else:
        from fludapk.pages.layout import width
        from fludapk.pages.sources import model_page

        click.echo(model_page(model, width()))


@models.command("export")
@click.argument("name")
@click.option(
    "--to",
    "engine",
    required=True,
    metavar="ENGINE",
    help="nonmem, mrgsolve, rxode2, nlmixr2 or pharmpy.",
)
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    help="Folder for the model, the data of a worked patient, and the numbers to expect.",
)
@models_dir_option
@json_option
def models_export(
    name: str, engine: str, out: str | None, models_dir: str | None, as_json: bool
) -> None:
    """Write a model for another engine; without -o only its text, to standard output."""
    from dataclasses import asdict
    from pathlib import Path

    from fludapk.answers.export import export_model
    from fludapk.answers.record import document

    export = export_model(name, to=engine, folders=folders_of(models_dir))
    if as_json:
        click.echo(document(asdict(export)))
    if out is None and not as_json:
        click.echo(export.code, nl=False)
    if out is None:
        return
    from fludapk.atomic import write_whole

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in export.files.items():
        write_whole(str(folder / file), text)
    click.echo(
        f"{', '.join(export.files)} in {out}; AUC0-inf {export.auc_0_inf:.6g} mg·h/L", err=True
    )


@models.command("import")
@click.argument("file")
@click.option("--name", help="Id of the model; the name of the file if absent.")
@click.option("-o", "--out", metavar="FILE", help="File of the draft; standard output if absent.")
@json_option
def models_import(file: str, name: str | None, out: str | None, as_json: bool) -> None:
    """Draft a model file from a model for NONMEM, mrgsolve, rxode2 or nlmixr2.

    Every number gets the source "to be filled", with which the file is refused: a person has to say
    where in the paper it stands. What could not be read is listed on standard error.
    """
    from dataclasses import asdict
    from pathlib import Path

    from fludapk.answers.record import document
    from fludapk.atomic import read_whole, write_whole
    from fludapk.published.engines.draft import draft_of

    draft = draft_of(read_whole(file), name or Path(file).name.split(".")[0])
    for part in draft.unread:
        click.echo(f"not read: {part}", err=True)
    if as_json:
        click.echo(document(asdict(draft)))
    elif out is None:
        click.echo(draft.toml, nl=False)
    if out is not None:
        write_whole(out, draft.toml)


@models.command("verify")
@click.argument("names", nargs=-1)
@models_dir_option
@json_option
def models_verify(names: tuple[str, ...], models_dir: str | None, as_json: bool) -> None:
    """Re-compute the published numbers of models (of all if none is named)."""
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
        load_model(name, folders, any_drug=True)
    say_first_compilation()
    result = run(names, folders)
    show(result, as_json=as_json)
    if not result.ok:
        sys.exit(int(ExitStatus.INTERNAL))


@click.group()
def regimens() -> None:
    """List and show the published regimens."""


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
    """Show a regimen, and the kidney rules of labels."""
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
    """List the published exposure thresholds."""


@targets.command("list")
@json_option
def targets_list(as_json: bool) -> None:
    """List the targets with their contexts."""
    from fludapk.answers.catalogue import targets as published

    show(published(), as_json=as_json)


@click.group()
def outcomes() -> None:
    """Published associations of exposure with an outcome."""


@outcomes.command("list")
@json_option
def outcomes_list(as_json: bool) -> None:
    """List the associations with every number and its place."""
    from fludapk.answers.catalogue import outcomes as published

    show(published(), as_json=as_json)
