"""Completion of names in a shell: regimens, targets, models, formulas, fields to confirm.

``eval "$(_FLUDAPK_COMPLETE=bash_source fludapk)"`` turns it on, see docs/install.md. A file that
cannot be read gives no suggestion instead of an error in the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeAlias

import click
from click.shell_completion import CompletionItem

Completer: TypeAlias = Callable[[click.Parameter, click.Context, str], list[CompletionItem]]
_Names: TypeAlias = Iterable[tuple[str, str]]


def _offering(names: Callable[[click.Context], _Names]) -> Completer:
    """Make a completer of names and what they stand for."""

    def complete(_: click.Parameter, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        try:
            offered = list(names(ctx))
        except Exception:  # a prompt is no place for an error
            return []
        return [CompletionItem(name, help=about) for name, about in offered
                if name.startswith(incomplete)]  # fmt: skip

    return complete


def _regimens(_: click.Context) -> _Names:
    from fludapk.published.regimens import regimens

    return ((entry.id, entry.title) for entry in regimens().values())


def _targets(_: click.Context) -> _Names:
    from fludapk.published.targets import targets

    return ((entry.id, entry.title) for entry in targets().values())


def _models(ctx: click.Context) -> _Names:
    from fludapk.published.models import model_folders, model_paths

    folders = model_folders(ctx.params.get("models_dir"))
    return ((name, "") for name in model_paths(folders))


def _products(_: click.Context) -> _Names:
    from fludapk.published.regimens import regimens

    names = sorted({entry.product for entry in regimens().values() if entry.product})
    return ((name, "") for name in names)


def _diagnoses(_: click.Context) -> _Names:
    from fludapk.published.regimens import regimens

    names = sorted({entry.disease for entry in regimens().values() if entry.disease})
    return ((name, "") for name in names)


def _formulas(*quantities: str) -> Callable[[click.Context], _Names]:
    def names(_: click.Context) -> _Names:
        from fludapk.published.formulas import FORMULAS

        return ((name, entry.doi) for name, entry in FORMULAS.items()
                if entry.quantity in quantities)  # fmt: skip

    return names


def _confirmable(_: click.Context) -> _Names:
    from fludapk.patients.fields import FIELDS, QUANTITIES

    return ((FIELDS[key].name, FIELDS[key].label) for key in QUANTITIES)


def _populations(_: click.Context) -> _Names:
    from fludapk.patients.population import populations

    return ((name, "") for name in populations())


complete_regimen: Final = _offering(_regimens)
complete_target: Final = _offering(_targets)
complete_model: Final = _offering(_models)
complete_population: Final = _offering(_populations)
COMPLETERS: Final[dict[str, Completer]] = {
    "regimen": complete_regimen,
    "target": complete_target,
    "model": complete_model,
    "product": _offering(_products),
    "diagnosis": _offering(_diagnoses),
    "bsa_formula": _offering(_formulas("BSA")),
    "egfr_formula": _offering(_formulas("eGFR", "CrCl")),
    "confirm": _offering(_confirmable),
    "sex": _offering(lambda _: (("female", ""), ("male", ""))),
    "genotype": _offering(lambda _: (("GG", ""), ("carrier", ""))),
}
"""Keyword of a field -> what completes it."""
FILES: Final = ("FILE", "LIST.csv", "DATA.csv", "[SCENARIO.toml]", "SCENARIO.toml", "SHARD.json...")
"""Placeholders of arguments and options that are files, which the shell completes itself."""


def with_completion(command: click.Command) -> None:
    """Give the parameters of a command, and of the commands in it, what completes them.

    Parameters
    ----------
    command : click.Command
        Changed in place.
    """
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_completion(inner)
    for parameter in command.params:
        completer = _completer_of(command, parameter)
        if completer is not None:
            complete = partial(completer, parameter)
            parameter.shell_complete = complete  # type: ignore[method-assign]


def _completer_of(command: click.Command, parameter: click.Parameter) -> Completer | None:
    """Find what completes a parameter; None leaves it to click."""
    name = (parameter.name or "").removesuffix("s")
    if name == "name":  # argument of `models show`, `regimens show`
        text = command.help or ""
        return complete_regimen if "regimen" in text else complete_model
    metavar = getattr(parameter, "metavar", None) or ""
    if metavar in FILES:
        return _files
    if metavar == "DIR":
        return _folders
    return COMPLETERS.get(name) or (complete_population if name == "population" else None)


def _files(_: click.Parameter, __: click.Context, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def _folders(_: click.Parameter, __: click.Context, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]
