"""The command line: a thin layer over the library.

Heavy imports happen inside the commands, so that ``fludapk --help`` is quick.
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fludapk import __version__
from fludapk.errors import ExitStatus, FludapkError, InputError

if TYPE_CHECKING:
    from fludapk.patient import Patient
    from fludapk.regimen import Regimen

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MAX_WIDTH = 110

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them is slow
gc.set_threshold(100_000)  # collecting while importing takes a tenth of a short command


class _Group(click.Group):
    """Turns every deliberate error into one line per fault and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):  # a pipe may lack ≥, × or √
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except FludapkError as error:
            for fault in error.faults:
                click.echo(f"fludapk: {fault}", err=True)
            ctx.exit(int(error.exit_status))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fludapk")
def main() -> None:
    """Estimate the exposure to fludarabine before CAR T cells.

    Cumulative AUC of F-ara-A from dose, size and kidney function by published models. Research and
    second-check software, not a medical device. Nothing leaves this machine.
    """


def _width() -> int:
    """Columns of the terminal up to a readable line; 100 in a pipe."""
    if not sys.stdout.isatty():
        return 100
    return max(60, min(shutil.get_terminal_size().columns, _MAX_WIDTH))


@contextmanager
def _first_compilation_said() -> Iterator[None]:
    """Say on stderr that kernels are being compiled, if they are."""
    from fludapk import kernels

    kernels.spare_the_blas()
    message = "fludapk: compiling kernels, once after installing (some seconds) ..."
    kernels.on_first_compilation(lambda: click.echo(message, err=True))
    yield


def _json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


# ------------------------------------------------------------------ shared options


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a page.")
_models_dir = click.option(
    "--models-dir",
    metavar="DIR",
    help="A folder of model files, searched before FLUDAPK_MODELS and the shipped models.",
)
_patient_options = _options(
    click.option("--age", metavar="AGE", help='Age: years, or "8 mo". Required.'),
    click.option("--sex", metavar="SEX", help="female or male, where a formula needs it."),
    click.option("--weight", metavar="WEIGHT", help='Actual weight: kg, or "40 lb". Required.'),
    click.option("--height", metavar="HEIGHT", help='Height: cm, or "1.10 m", "43 in". Required.'),
    click.option("--scr", metavar="SCR", help='Creatinine, with unit: "0.3 mg/dL", "26.5 umol/L".'),
    click.option("--egfr", metavar="EGFR", help="or eGFR, mL/min/1.73 m2."),
    click.option("--crcl", metavar="CRCL", help="or creatinine clearance, mL/min."),
    click.option("--bsa-formula", metavar="NAME", default="mosteller", show_default=True,
                 help="mosteller, du_bois, haycock or gehan_george."),
    click.option("--egfr-formula", metavar="NAME", help="Instead of the formula of the model."),
    click.option("--diagnosis", metavar="NAME", help="For models and targets, e.g. b_all."),
    click.option("--product", metavar="NAME", help="For models and targets, e.g. axi_cel."),
    click.option("--genotype", metavar="NAME", help="NT5E rs2295890: GG or carrier (mohanan2017)."),
)  # fmt: skip
_regimen_options = _options(
    click.option("--regimen", metavar="NAME", help="A course of `fludapk regimens list`."),
    click.option("--dose", metavar="DOSE",
                 help='or mg fludarabine phosphate per infusion: "30 mg/m2".'),
    click.option("--days", type=int, metavar="N", help="Number of infusions (with --dose)."),
    click.option("--interval", metavar="H", help="Hours between starts (with --dose; 24)."),
    click.option("--infusion-time", metavar="H", help="Hours of an infusion; default 0.5."),
    click.option("--cells-at", metavar="H", help="Cell infusion, hours from the first dose."),
)  # fmt: skip


def _patient(options: dict[str, Any]) -> Patient:
    from fludapk.patient import Patient

    names = ("age", "weight", "height", "sex", "scr", "egfr", "crcl")
    others = ("product", "diagnosis", "genotype", "bsa_formula", "egfr_formula")
    return Patient.from_text(**{name: options[name] for name in (*names, *others)})


def _regimen(options: dict[str, Any]) -> Regimen:
    from dataclasses import replace

    from fludapk.regimen import Regimen, parse_dose
    from fludapk.units import parse_quantity

    def hours(name: str, text: str | None) -> float | None:
        if text is None:
            return None
        return parse_quantity(text, dimension="time", name=name, bare="h").value

    name, dose, days = options["regimen"], options["dose"], options["days"]
    if (name is None) == (dose is None):
        raise InputError("give either --regimen NAME or --dose with --days")
    interval = hours("interval", options["interval"])
    infusion = hours("infusion-time", options["infusion_time"])
    cells = hours("cells-at", options["cells_at"])
    if name is not None:
        if days is not None or interval is not None:
            raise InputError("--days and --interval go with --dose; a regimen has its own")
        plan = Regimen.named(name)
        return replace(
            plan,
            infusion_h=plan.infusion_h if infusion is None else infusion,
            cells_at_h=plan.cells_at_h if cells is None else cells,
        )
    if days is None:
        raise InputError("--dose needs --days, the number of infusions")
    value, unit = parse_dose(dose)
    return Regimen(
        dose=value,
        unit=unit,
        days=days,
        interval_h=24.0 if interval is None else interval,
        infusion_h=0.5 if infusion is None else infusion,
        cells_at_h=cells,
    )


# ------------------------------------------------------------------ commands


@main.command()
@_patient_options
@_regimen_options
@click.option(
    "--model",
    default="langenhorst2019",
    show_default=True,
    metavar="NAME",
    help="A published model; see `fludapk models list`.",
)
@click.option("--round-to", metavar="MG", help="Round each dose to a multiple of this many mg.")
@click.option("--strict", is_flag=True, help="Exit 5 if the patient is outside the studied range.")
@_models_dir
@_json_option
def check(
    model: str,
    round_to: str | None,
    strict: bool,
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
    from fludapk.units import parse_quantity

    step = None
    if round_to is not None:
        step = parse_quantity(round_to, dimension="mass", name="round-to", bare="mg").value
    patient, regimen = _patient(options), _regimen(options)
    with _first_compilation_said():
        result = run(
            patient,
            regimen,
            model=model,
            round_to_mg=step,
            strict=strict,
            folders=model_folders(models_dir),
        )
    if as_json:
        click.echo(result.to_json())
    else:
        from fludapk.report import check_page

        click.echo(check_page(result, _width()))


@main.group()
def models() -> None:
    """Published models: what they are and whether they give back what was printed."""


@models.command("list")
@_models_dir
@_json_option
def models_list(models_dir: str | None, as_json: bool) -> None:
    """List the models."""
    from fludapk.model import load_models, model_folders

    found = load_models(model_folders(models_dir))
    if as_json:
        _json(
            [
                {
                    "id": model.id,
                    "title": model.file.title,
                    "who": model.file.population.who,
                    "compartments": model.file.compartments,
                    "doi": model.file.citation.doi,
                    "sha256": model.sha256,
                }
                for model in found
            ]
        )
    else:
        from fludapk.report import models_page

        click.echo(models_page(found, _width()))


@models.command("show")
@click.argument("name")
@_models_dir
@_json_option
def models_show(name: str, models_dir: str | None, as_json: bool) -> None:
    """Show every number of a model with its source."""
    from fludapk.model import load_model, model_folders

    model = load_model(name, model_folders(models_dir))
    if as_json:
        _json({**model.file.model_dump(exclude_none=True), "sha256": model.sha256})
    else:
        from fludapk.report import model_page

        click.echo(model_page(model, _width()))


@models.command("verify")
@click.argument("names", nargs=-1)
@_models_dir
@_json_option
def models_verify(names: tuple[str, ...], models_dir: str | None, as_json: bool) -> None:
    """Re-compute the published numbers of the named models (all if none is named)."""
    _verify(names, models_dir, as_json)


@main.command()
@_models_dir
@_json_option
def verify(models_dir: str | None, as_json: bool) -> None:
    """Re-compute every published number, and the kernels against an ODE solver, on this machine."""
    _verify((), models_dir, as_json)


def _verify(names: tuple[str, ...], models_dir: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from fludapk.model import load_model, model_folders
    from fludapk.verify import verify as run

    folders = model_folders(models_dir)
    for name in names:
        load_model(name, folders)
    with _first_compilation_said():
        rows = run(names, folders)
    if as_json:
        _json([{**asdict(row), "ok": row.ok} for row in rows])
    else:
        from fludapk.report import verified_page

        click.echo(verified_page(rows, _width()))
    if not all(row.ok for row in rows):
        sys.exit(int(ExitStatus.INTERNAL))


@main.group()
def regimens() -> None:
    """Published courses of fludarabine."""


@regimens.command("list")
@_json_option
def regimens_list(as_json: bool) -> None:
    """List the regimens."""
    from fludapk.regimen import regimens as published

    if as_json:
        _json([entry.model_dump() for entry in published().values()])
    else:
        from fludapk.report import regimens_page

        click.echo(regimens_page(_width()))


@regimens.command("show")
@click.argument("name")
@_json_option
def regimens_show(name: str, as_json: bool) -> None:
    """Show a regimen and the renal rules of labels."""
    from fludapk.regimen import Regimen, label_rules
    from fludapk.regimen import regimens as published

    Regimen.named(name)
    if as_json:
        rules = [rule.model_dump() for rule in label_rules()]
        _json({**published()[name].model_dump(), "label_rules": rules})
    else:
        from fludapk.report import regimen_page

        click.echo(regimen_page(name, _width()))


@main.group()
def targets() -> None:
    """Published exposure thresholds."""


@targets.command("list")
@_json_option
def targets_list(as_json: bool) -> None:
    """List the targets with their contexts."""
    from fludapk.exposure import targets as published

    if as_json:
        _json([entry.model_dump() for entry in published().values()])
    else:
        from fludapk.report import targets_page

        click.echo(targets_page(_width()))
