"""Shared parts of the commands: exit codes, printing of an answer, options of a patient.

Heavy imports happen inside functions, so that ``fludapk --help`` is quick.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from fludapk.errors import ExitStatus, Fault, FludapkError, InputError
from fludapk.language import LANGUAGES, SOURCE, language, speaking
from fludapk.patients.fields import COURSE, FIELDS, GOAL, PATIENT, RENAL
from fludapk.patients.fields import option as option_of

if TYPE_CHECKING:
    from fludapk.answers.record import Record
    from fludapk.published.models import ModelFolders

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LONGEST_LINE: Final = 300


class Group(click.Group):
    """A group that turns every deliberate error into one line per fault and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; on a deliberate error print its faults and exit with its code."""
        is_closed = sys.stdout is None
        if is_closed:
            sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        _prepare_streams()
        try:
            with stopped_by_signals():
                result = super().invoke(ctx)
                if is_closed:
                    raise InputError("standard output is closed: nothing can be answered")
                sys.stdout.flush()
                return result
        except click.NoSuchOption as error:
            others = self._commands_with(error.option_name)
            if not others:
                raise
            message = f"{error.message} {others}"
            raise click.NoSuchOption(error.option_name, message, ctx=error.ctx) from None
        except FludapkError as error:
            from fludapk.pages.decimals import marked_text

            for sentence in error.sentences(option_of):
                click.echo(f"fludapk: {marked_text(sentence)}", err=True)
            ctx.exit(int(error.exit_status))
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has seen enough
                raise
            sys.stdout = None  # or leaving would try again to write
            why = error.strerror or type(error).__name__
            click.echo(f"fludapk: standard output: cannot be written: {why}", err=True)
            ctx.exit(int(ExitStatus.INPUT_REFUSED))

    def _commands_with(self, option: str) -> str:
        """Sentence about the commands that have an option which another lacks."""
        names = [name for name, command in self.commands.items() if _has(command, option)]
        listed = ", ".join(f"`fludapk {name}`" for name in sorted(names))
        if not names:
            return ""
        return f"{listed} has it." if len(names) == 1 else f"These have it: {listed}."


def _prepare_streams() -> None:
    """Let signs like ≥ and − reach every pipe, and messages fail in silence where they must."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            try:
                "≥−×√·".encode(stream.encoding)
            except (LookupError, UnicodeEncodeError):
                stream.reconfigure(encoding="utf-8")
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = _Messages(
            sys.stderr.detach(), encoding=encoding, errors="replace", write_through=True
        )


class _Messages(io.TextIOWrapper):
    """Standard error whose disk may be full: an answer is not lost for a message."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command like Ctrl-C does: with its files cleaned up."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has(command: click.Command, option: str) -> bool:
    """Tell if a command, or one below it, has an option."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = any(option in (*part.opts, *part.secondary_opts) for part in command.params)
    return own or any(_has(part, option) for part in below)


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
    """Keep a text from a list to one line, without control characters for the terminal."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return shown if len(shown) <= _LONGEST_LINE else shown[: _LONGEST_LINE - 4] + " ..."


def show(
    record: Record, *, as_json: bool, report: str | None = None, is_brief: bool = False
) -> None:
    """Print an answer as its page or as JSON, after writing its sheet if a file is named.

    Parameters
    ----------
    record : Record
    as_json : bool
    report : str, optional
        File of the sheet.
    is_brief : bool
        Print the answer and its cautions only.
    """
    if report is not None:
        from fludapk.atomic import write_whole
        from fludapk.pages.templates import calculated_at

        with calculated_at():
            write_whole(report, record.to_html())
    click.echo(record.to_json() if as_json else record.to_text(_bold, is_brief=is_brief))


def _bold(text: str) -> str:
    """Set a text in bold, on a terminal only: `click.echo` takes it away elsewhere."""
    return click.style(text, bold=True)


# ------------------------------------------------------------------ shared options


def options_of(*keys: str, **help_texts: str) -> Callable[[_Command], _Command]:
    """Make the options of fields, see `fludapk.patients.fields`; all but the days are text.

    Parameters
    ----------
    *keys : str
        Keywords of the fields in Python.
    **help_texts : str
        By keyword, where the help of the field does not fit.
    """
    made = [
        click.option(
            FIELDS[key].option,
            FIELDS[key].name,
            type=int if key == "days" else str,
            multiple=FIELDS[key].several or key in RENAL,
            metavar=FIELDS[key].metavar,
            default=_DEFAULTS.get(key),
            show_default=key in _DEFAULTS,
            callback=_reader_of(key),
            help=help_texts.get(key, FIELDS[key].help)
            + (" Repeatable." if FIELDS[key].several else ""),
        )
        for key in keys
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(made):
            command = option(command)
        return command

    return decorate


def _reader_of(key: str) -> Callable[[click.Context, click.Parameter, Any], Any] | None:
    """Choose what reads the texts of an option."""
    if key in RENAL:
        return _at_times
    return pointed_option if FIELDS[key].dimension or key in _WITH_NUMBERS else None


def _at_times(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Join a renal function with its later values: --scr "0.8 mg/dL" --scr "48h 1.2 mg/dL"."""
    from fludapk.units import pointed

    return "; ".join(map(pointed, values)) or None


_WITH_NUMBERS: Final = ("plans",)
"""Options whose texts hold numbers among words."""


def pointed_option(_: click.Context, __: click.Parameter, value: Any) -> Any:
    """Read decimal commas as a page does."""
    from fludapk.units import pointed

    if isinstance(value, str):
        return pointed(value)
    return tuple(map(pointed, value)) if isinstance(value, tuple) else value


_DEFAULTS: Final = {"bsa_formula": "mosteller", "model": "langenhorst2019"}

patient_options = options_of(*PATIENT)
regimen_options = options_of(*COURSE)
model_option = options_of("model")
weights_option = click.option(
    "--model-weights",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, value: ctx.meta.update({_WEIGHTS: value}),
    help="For --model averaged: weights by the JSON of `fludapk evaluate`, else equal ones.",
)
_WEIGHTS: Final = "fludapk.model_weights"


def weighted(model: str) -> str:
    """Return a model as typed, with the weights of the file that was named with it.

    Parameters
    ----------
    model : str

    Raises
    ------
    InputError
        If weights are given for one model, or twice.
    """
    file = click.get_current_context().meta.get(_WEIGHTS)
    if file is None:
        return model
    from fludapk.patients.model_weights import averaged_by
    from fludapk.published.models import AVERAGED

    if model.strip() != AVERAGED:
        do = f"write {{model}} {AVERAGED}, or leave them out"
        raise InputError(Fault("model_weights", "are for an average", do=do))
    return averaged_by(file)


def _speak(ctx: click.Context, _: click.Parameter, code: str | None) -> None:
    """Speak a language until the program ends: its errors are worded in it as well."""
    if code and not ctx.resilient_parsing:
        ctx.find_root().with_resource(speaking(code))


def _in_english(_: click.Context, __: click.Parameter, as_json: bool) -> bool:
    """Refuse JSON in another language."""
    if as_json and language() != SOURCE:
        raise InputError("JSON is English: leave out --json, or --language")
    return as_json


language_option = click.option(
    "--language",
    type=click.Choice(list(LANGUAGES)),
    is_eager=True,
    expose_value=False,
    callback=_speak,
    help="Word the page, and the report, in this language. JSON and CSV stay English.",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_in_english,
    help="Print JSON instead of a page.",
)
_MODELS_DIR: Final = click.option(
    "--models-dir",
    metavar="DIR",
    help="A folder of model files, searched before FLUDAPK_MODELS and the shipped models.",
)
_ALLOW_OVERRIDE: Final = click.option(
    "--allow-override",
    is_flag=True,
    expose_value=False,
    callback=lambda ctx, _, value: ctx.meta.update({_OVERRIDE: value}),
    help="Let a model file have the name of a shipped model, and replace it.",
)
_OVERRIDE: Final = "fludapk.allow_override"


def models_dir_option(command: _Command) -> _Command:
    """Give a command the options of folders of models; see `folders_of`."""
    return _MODELS_DIR(_ALLOW_OVERRIDE(command))


def folders_of(models_dir: str | None) -> ModelFolders:
    """Folders of models of a command; models that replace a shipped one are named on stderr."""
    from fludapk.published.models import load_model, model_folders, model_paths

    allow = bool(click.get_current_context().meta.get(_OVERRIDE))
    folders = model_folders(models_dir, allow_override=allow)
    if allow:
        for name, path in model_paths(folders).items():
            if path.parent != folders[-1] and (warning := load_model(name, folders).not_shipped):
                click.echo(f"fludapk: {warning}: {path}", err=True)
    return folders


map_option = click.option(
    FIELDS["names"].option,
    "names",
    multiple=True,
    metavar=FIELDS["names"].metavar,
    help=FIELDS["names"].help,
)
list_options = options_of("values", "encoding", "sheet")
amount_option = click.option(
    FIELDS["amount"].option,
    "amt",
    type=click.Choice(["phosphate", "f_ara_a"]),
    help=FIELDS["amount"].help,
)
brief_option = click.option(
    "--brief", "is_brief", is_flag=True, help="Print the answer and its cautions only."
)
strict_option = click.option("--strict", is_flag=True, help=FIELDS["strict"].help)


class _Number(click.types.FloatParamType):
    """A number, with a decimal point or comma."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read a number as typed."""
        from fludapk.units import pointed

        typed: Any = pointed(value) if isinstance(value, str) else value
        return super().convert(typed, param, ctx)


_NUMBER: Final = _Number()


def goal_options(about: str = "") -> Callable[[_Command], _Command]:
    """Make the options of a goal.

    Parameters
    ----------
    about : str
        Purpose of the goal, before the help of the first option.
    """
    target, auc, window, probability = (FIELDS[key] for key in GOAL)
    made = [
        click.option(target.option, metavar=target.metavar, help=f"{about}{target.help}"),
        click.option(auc.option, type=_NUMBER, metavar=auc.metavar, help=auc.help),
        click.option(
            window.option, type=(_NUMBER, _NUMBER), metavar=window.metavar, help=window.help
        ),
        click.option(
            probability.option, type=_NUMBER, metavar=probability.metavar, help=probability.help
        ),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(made):
            command = option(command)
        return command

    return decorate
