"""What the commands share: errors to exit codes, widths, JSON, and the options of a patient.

Heavy imports happen inside functions, so that ``fludapk --help`` is quick.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from fludapk.errors import FludapkError

if TYPE_CHECKING:
    from fludapk.patients.patient import Patient
    from fludapk.patients.regimen import Regimen

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MAX_WIDTH: Final = 110
_LONGEST_LINE: Final = 300
_COURSE: Final = ("regimen", "dose", "days", "interval", "infusion_time", "cells_at")


class Group(click.Group):
    """Turns every deliberate error into one line per fault and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; on a deliberate error print its faults and exit with its code."""
        for stream in (sys.stdout, sys.stderr):  # a pipe may lack ≥, × or √
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except FludapkError as error:
            for fault in error.faults:
                click.echo(f"fludapk: {fault}", err=True)
            ctx.exit(int(error.exit_status))


def width() -> int:
    """Columns of the terminal up to a readable line; 100 in a pipe."""
    if not sys.stdout.isatty():
        return 100
    return max(60, min(shutil.get_terminal_size().columns, _MAX_WIDTH))


def say_first_compilation() -> None:
    """Say on stderr that kernels are being compiled, if and when they are, and where they go."""
    from fludapk.pk.jit import on_first_compilation, spare_the_blas
    from fludapk.pk.kernels import courses as kernels

    def say() -> None:
        folder = kernels.cache_folder()
        if folder is None:
            when = "at each start: no folder for them can be written, name one in NUMBA_CACHE_DIR"
        elif folder.parent == Path(kernels.__file__).parent:
            when = "once after installing"
        else:
            when = f"once after installing, to be kept in {folder}"
        click.echo(f"fludapk: compiling kernels, {when} (some seconds) ...", err=True)

    spare_the_blas()
    on_first_compilation(say)


def one_line(text: str) -> str:
    """What came from the list could have line ends, and orders for the terminal."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return shown if len(shown) <= _LONGEST_LINE else shown[: _LONGEST_LINE - 4] + " ..."


def echo_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


# ------------------------------------------------------------------ shared options


def _all(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a page.")
models_dir_option = click.option(
    "--models-dir",
    metavar="DIR",
    help="A folder of model files, searched before FLUDAPK_MODELS and the shipped models.",
)
map_option = click.option(
    "--map",
    "names",
    multiple=True,
    metavar="COLUMN=NAME",
    help="What a column is, e.g. KREA=scr_umol_l; COLUMN=- leaves it unread.",
)
model_option = click.option(
    "--model",
    default="langenhorst2019",
    show_default=True,
    metavar="NAME",
    help="A published model; see `fludapk models list`.",
)
strict_option = click.option(
    "--strict", is_flag=True, help="Exit 5 if the patient is outside the studied range."
)
patient_options = _all(
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
regimen_options = _all(
    click.option("--regimen", metavar="NAME", help="A course of `fludapk regimens list`."),
    click.option("--dose", metavar="DOSE",
                 help='or mg fludarabine phosphate per infusion: "30 mg/m2".'),
    click.option("--days", type=int, metavar="N", help="Number of infusions (with --dose)."),
    click.option("--interval", metavar="H", help="Hours between starts (with --dose; 24)."),
    click.option("--infusion-time", metavar="H", help="Hours of an infusion; default 0.5."),
    click.option("--cells-at", metavar="H", help="Cell infusion, hours from the first dose."),
)  # fmt: skip


def patient_of(options: dict[str, Any]) -> Patient:
    """Read the patient that was typed."""
    from fludapk.patients.patient import Patient

    names = ("age", "weight", "height", "sex", "scr", "egfr", "crcl")
    others = ("product", "diagnosis", "genotype", "bsa_formula", "egfr_formula")
    return Patient.from_text(**{name: options[name] for name in (*names, *others)})


def schedule_of(options: dict[str, Any]) -> tuple[Regimen, bool]:
    """Infusions to find a dose for, and whether they come with a planned dose."""
    from fludapk.patients.regimen import Regimen

    return Regimen.schedule_from_text(**{name: options[name] for name in _COURSE})


def regimen_of(options: dict[str, Any]) -> Regimen:
    """Read the course that was typed."""
    from fludapk.patients.regimen import Regimen

    return Regimen.from_text(**{name: options[name] for name in _COURSE})


def mass_mg(text: str | None, name: str) -> float | None:
    """Milligrams as typed, or None."""
    from fludapk.units import parse_quantity

    if text is None:
        return None
    return parse_quantity(text, dimension="mass", name=name, bare="mg").value
