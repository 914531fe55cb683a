"""The command line: a thin layer over the library."""

from __future__ import annotations

import gc
import os

import click

from fludapk._version import __version__
from fludapk.cli import batch, evaluate, one_patient, qualify, serve, simulate, sources
from fludapk.cli.common import Group
from fludapk.cli.complete import with_completion
from fludapk.cli.examples import with_examples

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them is slow
gc.set_threshold(100_000)  # collecting while importing takes a tenth of a short command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fludapk")
def main() -> None:
    """Estimate the exposure to fludarabine before CAR T cells.

    Cumulative AUC of F-ara-A from dose, size and kidney function by published models. Research and
    second-check software, not a medical device. Nothing leaves this machine.
    """


for _command in (
    one_patient.check,
    one_patient.dose,
    one_patient.compare,
    one_patient.update,
    batch.batch,
    evaluate.evaluate,
    simulate.simulate,
    sources.nomogram,
    sources.models,
    sources.regimens,
    sources.targets,
    sources.outcomes,
    sources.verify,
    qualify.qualify,
    serve.serve,
):
    main.add_command(_command)
with_completion(main)
with_examples(main)
