"""Case files at the command line: opening one instead of typing, and saving what was typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from fludapk.errors import Fault, InputError
from fludapk.patients.fields import FIELDS

if TYPE_CHECKING:
    from fludapk.answers.case import Answer, OpenedCase
    from fludapk.patients.case_file import Question
    from fludapk.patients.level import Level
    from fludapk.patients.request import Typed

_Answer = TypeVar("_Answer", bound="Answer")

case_option = click.option(
    FIELDS["case"].option, "case_file", metavar=FIELDS["case"].metavar, help=FIELDS["case"].help
)
save_case_option = click.option(
    "--save-case", metavar="FILE", help="Write what was typed, with its answer, as a case file."
)

_PARAMETERS: Final = {"levels": "level_texts"}
"""Name of a field -> parameter of the commands, where they differ."""
_BESIDE_A_CASE: Final = {
    *("case_file", "save_case", "as_json", "is_brief", "report", "events", "models_dir", "strict"),
}
"""Parameters that may stand beside a case file: all that is not about the patient."""


def answered(
    question: Question,
    answer: Callable[..., _Answer],
    typed: Typed,
    folders: Sequence[Path],
    case_file: str | None,
) -> tuple[_Answer, OpenedCase | None]:
    """Answer what was typed, or a case file with nothing else typed.

    Parameters
    ----------
    question : {'check', 'dose', 'update'}
        The command.
    answer : callable
        Its function in `fludapk.answers.typed`.
    typed : mapping of str to object
        With ``strict``, a case is refused outside the studied range even if it does not say so.
    folders : sequence of Path
        Folders of models.
    case_file : str, optional
    """
    from fludapk.cli.common import say_first_compilation

    if case_file is None:
        return answer(typed, folders, ready=say_first_compilation), None
    from fludapk.answers.case import opened
    from fludapk.patients.case_file import read_case

    context = click.get_current_context()
    names = _typed_names(context) - _BESIDE_A_CASE
    beside = [part.opts[0] for part in context.command.params if part.name in names]
    if beside:
        found = f"{{case}} holds everything that was typed: leave out {', '.join(beside)}"
        raise InputError(Fault("case", found, whole=True))
    case = read_case(case_file)
    say_first_compilation()
    asked = {**case.typed, "strict": True} if typed["strict"] else case.typed
    result = answer(asked, folders)
    return result, opened(case, question, result)


def save_as(
    path: str | None,
    question: Question,
    answer: Answer,
    *,
    opened: OpenedCase | None = None,
    levels: Sequence[Level] | None = None,
) -> None:
    """Write what was typed at this command, with its answer, as a case file.

    Parameters
    ----------
    path : str or None
        Nothing is written without one.
    question : {'check', 'dose', 'update'}
        The command.
    answer : CheckResult, DoseResult or UpdateResult
    opened : OpenedCase, optional
        The case that was opened instead of typing.
    levels : sequence of Level, optional
        Levels of a file, which a case holds itself.
    """
    if path is None:
        return
    from fludapk.answers.case import save_case
    from fludapk.atomic import write_whole

    typed = _typed_here() if opened is None else dict(opened.made_from.typed)
    if levels is not None:
        typed["levels"] = [_as_typed(level) for level in levels]
    write_whole(path, save_case(typed, question=question, answer=answer).to_json())


def say_changes(opened: OpenedCase | None) -> None:
    """Say on stderr what has changed since a case was saved."""
    for sentence in () if opened is None else opened.sentences():
        click.echo(f"fludapk: {sentence}", err=True)


def _typed_here() -> dict[str, Any]:
    """Collect what was typed at this command, by the names of fields."""
    from fludapk.patients.case_file import CASE_FIELDS

    context = click.get_current_context()
    given, typed = _typed_names(context), {}
    for key in CASE_FIELDS:
        name = FIELDS[key].name
        parameter = _PARAMETERS.get(name, name)
        if parameter in given:
            typed[name] = context.params[parameter]
    return typed


def _typed_names(context: click.Context) -> set[str]:
    """Names of the parameters that were typed, not taken from a default."""
    return {
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }


def _as_typed(level: Level) -> dict[str, Any]:
    """Write a level of a file as an object of a case."""
    below = level.conc_mg_l is None
    conc = level.lloq_mg_l if below else level.conc_mg_l
    return {"time": f"{level.time_h!r} h", "conc": f"{conc!r} mg/L", "below": below}
