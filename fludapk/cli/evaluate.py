"""The command that compares models on measured levels of many patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fludapk.cli.common import (
    amount_option,
    folders_of,
    json_option,
    language_option,
    list_options,
    map_option,
    models_dir_option,
    one_line,
    options_of,
    say_first_compilation,
)
from fludapk.errors import ExitStatus
from fludapk.language import in_english

if TYPE_CHECKING:
    from fludapk.studies.evaluation import Evaluation

CATEGORIES: Final = ("product", "diagnosis", "genotype")


@click.command()
@click.argument("data_file", metavar="DATA.csv")
@click.option("-o", "--output", metavar="DIR", help="Folder of tables, figures and report.html.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model to compare. Repeatable; all that know these patients if absent.",
)
@click.option("--dv", "unit", metavar="UNIT", help="Unit of DV: mg/L, ng/mL, ug/L or umol/L.")
@click.option("--lloq", metavar="CONC", help='Where the file has no LLOQ: "10 ng/mL".')
@amount_option
@map_option
@list_options
@options_of(*CATEGORIES, **dict.fromkeys(CATEGORIES, "For patients without one."))
@click.option(
    "--simulations",
    type=click.IntRange(100, 100_000),
    default=1000,
    show_default=True,
    metavar="N",
    help="Of each patient's levels, for NPDE and the visual predictive check.",
)
@language_option
@models_dir_option
@json_option
def evaluate(
    data_file: str,
    output: str | None,
    models: tuple[str, ...],
    unit: str | None,
    lloq: str | None,
    amt: str | None,
    names: tuple[str, ...],
    values: tuple[str, ...],
    encoding: str | None,
    sheet: str | None,
    simulations: int,
    models_dir: str | None,
    as_json: bool,
    **defaults: str | None,
) -> None:
    """Compare models on measured levels of many patients.

    DATA.csv has NONMEM-style records: ID TIME AMT RATE EVID MDV DV, BLQ and LLOQ (or CENS), and
    covariates as in `batch`; one course per ID. How well levels are predicted from covariates and
    from earlier levels, NPDE, a prediction-corrected visual predictive check, and which model these
    patients support. A course that cannot be used is named; then the exit code is 3.
    """
    from fludapk.patients.columns import few, opened
    from fludapk.studies.evaluation import evaluation_of
    from fludapk.studies.evaluation_data import read_subjects

    source, layout = opened(
        data_file, names, defaults, codes=values, encoding=encoding, sheet=sheet
    )
    folders = folders_of(models_dir)

    def compute() -> Evaluation:
        data = read_subjects(
            layout,
            source.rows(),
            unit=unit,
            lloq=lloq,
            amount=amt,
            sha256=source.sha256(),
            first_row=source.first_row,
        )
        say_first_compilation()
        return evaluation_of(data, models=models, simulations=simulations, folders=folders)

    result = compute()
    if layout.unused:
        click.echo(f"fludapk: columns not read: {one_line(few(layout.unused))}", err=True)
    if output is not None:
        _write(result, in_english(result, compute), Path(data_file).name, output)
    if as_json:
        click.echo(result.record.to_json())
    else:
        from fludapk.pages.decimals import marked_text
        from fludapk.pages.evaluation import evaluation_page
        from fludapk.pages.layout import width

        click.echo(marked_text(evaluation_page(result.record, Path(data_file).name, width())))
    if result.record.refused:
        raise click.exceptions.Exit(int(ExitStatus.INPUT_REFUSED))


def _write(result: Evaluation, english: Evaluation, name: str, output: str) -> None:
    """Tables, and with the extra ``report`` figures and a page."""
    from fludapk.atomic import write_folder
    from fludapk.pages.evaluation import evaluation_files
    from fludapk.pages.figure import can_draw

    if not can_draw():
        click.echo("fludapk: figures need the extra: pip install 'fludapk[report]'", err=True)
    written = write_folder(Path(output), evaluation_files(result, name, english))
    click.echo(f"fludapk: wrote {len(written)} files to {output}", err=True)
