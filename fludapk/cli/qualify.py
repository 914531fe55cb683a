"""The command that makes the record a hospital files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fludapk.cli.common import (
    folders_of,
    json_option,
    models_dir_option,
    say_first_compilation,
    show,
)
from fludapk.errors import ExitStatus
from fludapk.patients.fields import FIELDS

if TYPE_CHECKING:
    from fludapk.answers.qualification_records import Qualification


@click.command()
@click.option(
    "-o", "--out", metavar="DIR", help="Folder for the record: to print and sign, and as JSON."
)
@click.option(
    FIELDS["cases"].option,
    "cases",
    multiple=True,
    metavar=FIELDS["cases"].metavar,
    help=f"{FIELDS['cases'].help} Repeatable.",
)
@click.option(
    FIELDS["against"].option,
    "against",
    metavar=FIELDS["against"].metavar,
    help=FIELDS["against"].help,
)
@click.option(
    "--cases-template", metavar="FILE", help="Write a list of cases to fill in, and stop."
)
@models_dir_option
@json_option
def qualify(
    out: str | None,
    cases: tuple[str, ...],
    against: str | None,
    cases_template: str | None,
    models_dir: str | None,
    as_json: bool,
) -> None:
    """Qualify this installation: the record to file before use and after each update.

    Installation: versions and hashes. Operation: formulas, published numbers, kernels against other
    engines and as plain Python, known answers. Performance: the hospital's own cases. Credibility
    of the models. The exit code is 1 if anything is not as expected, or a case has moved.
    """
    from fludapk.atomic import write_folder, write_whole

    if cases_template is not None:
        from fludapk.answers.hospital_cases import TEMPLATE

        write_whole(cases_template, TEMPLATE)
        click.echo(f"fludapk: a list to fill in is in {cases_template}", err=True)
        return
    from fludapk.answers.qualification import qualify as run

    folders = folders_of(models_dir)
    say_first_compilation()
    record = run(cases=cases, against=against, folders=folders)
    if out is not None:
        files = write_folder(out, _files(record))
        click.echo(f"fludapk: {', '.join(path.name for path in files)} in {out}", err=True)
    show(record, as_json=as_json)
    if not record.passed:
        raise click.exceptions.Exit(int(ExitStatus.INTERNAL))


def _files(record: Qualification) -> dict[str, str | bytes]:
    """Files of the record; the page needs the extra ``report``, its text and JSON do not."""
    from importlib.util import find_spec

    from fludapk.answers.qualification import record_json
    from fludapk.pages.templates import calculated_at

    files: dict[str, str | bytes] = {
        "qualification.json": record_json(record),
        "qualification.txt": f"{record}\n",
    }
    if find_spec("jinja2") is None:
        click.echo("fludapk: no page to print: pip install 'fludapk[report]'", err=True)
        return files
    with calculated_at():
        return {"qualification.html": record.to_html(), **files}
