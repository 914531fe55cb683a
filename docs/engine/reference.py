"""Reference pages that are generated: commands, the Python interface, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

import fludapk as package
from engine.blocks import fenced
from engine.running import ROOT, fludapk
from fludapk.cli import main

SCHEMAS: Final = ROOT / "docs" / "schemas"
RECORDS: Final = {
    "fludapk.answers.check_records": ("CheckResult",),
    "fludapk.answers.headline": ("Headline",),
    "fludapk.answers.record": ("Remark",),
    "fludapk.answers.dose_records": ("DoseResult",),
    "fludapk.answers.compare_records": ("CompareResult",),
    "fludapk.answers.update_records": ("UpdateResult",),
    "fludapk.answers.design": ("Design",),
    "fludapk.answers.nomogram_records": ("Nomogram",),
    "fludapk.studies.simulate": ("StudyResult",),
    "fludapk.studies.evaluation_records": ("EvaluationRecord",),
    "fludapk.errors": ("FludapkError", "Fault"),
}
"""Values that the functions return, and errors."""
CLASSES: Final = {"Patient", "Regimen"}
_GIRL: Final = (
    '--age 5 --sex female --weight 18.2 --height 110 --scr "0.3 mg/dL" --regimen tisa_cel_ball'
)
EXAMPLES: Final = {
    "fludapk.check/2": f"fludapk check {_GIRL} --json",
    "fludapk.dose/2": f"fludapk dose {_GIRL} --auc 15 --json",
    "fludapk.compare/1": (
        "fludapk compare --age 61 --sex male --weight 82 --height 176 "
        '--scr "1.2 mg/dL" --plan axi_cel --plan "axi_cel auc 19" --json'
    ),
    "fludapk.update/2": f'fludapk update {_GIRL} --level "2h 0.52mg/L" --auc 15 --json',
    "fludapk.design/1": f"fludapk update {_GIRL} --design --json",
    "fludapk.nomogram/1": "fludapk nomogram --regimen tisa_cel_ball --weights 10 30 10 --json",
    "fludapk.evaluation/1": (
        "fludapk evaluate examples/levels.csv --dv mg/L --amt phosphate --json"
    ),
}
"""Schema -> a command that prints it."""


def commands() -> str:
    """Return the help of every command, as the program prints it.

    Returns
    -------
    str
        Markdown.
    """
    short = [
        f"| [`fludapk {name}`](#fludapk-{name}) | {command.get_short_help_str(90)} |"
        for name, command in main.commands.items()
    ]
    sections = ["| command | what it does |\n|---|---|", *short, ""]
    for path in _paths(main, ""):
        sections.append(f"## `{' '.join(['fludapk', *path.split()])}`\n")
        sections.append(fenced("text", fludapk(f"fludapk {path} --help")))
    return "\n".join(sections)


def _paths(command: click.Command, path: str) -> Iterator[str]:
    """Names of a command and of all below it; of groups too."""
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _paths(inner, f"{path} {name}".strip())


def python() -> str:
    """Return the public names with their docstrings, and the records they return.

    Returns
    -------
    str
        Markdown with directives of autodoc.
    """
    records = [f"{module}.{name}" for module, names in RECORDS.items() for name in names]
    functions = sorted(set(package.__all__) - CLASSES, key=str.lower)
    return "\n".join(
        [
            "## Functions\n",
            *(_auto("autofunction", f"fludapk.{name}") for name in functions),
            "## Patients and courses\n",
            *(_auto("autoclass", f"fludapk.{name}") for name in sorted(CLASSES)),
            "## Answers\n",
            *(_auto("autoclass", name) for name in records),
            "## Published formulas\n",
            _auto("automodule", "fludapk.published.formulas"),
        ]
    )


def _auto(kind: str, name: str) -> str:
    members = "" if kind == "autofunction" else "\n   :members:"
    return fenced("{eval-rst}", f".. {kind}:: {name}{members}")


def schemas() -> str:
    """Return every schema with its keys, and an example where one command prints it.

    Returns
    -------
    str
        Markdown.
    """
    sections = []
    for path in sorted(SCHEMAS.glob("*.json")):
        schema = json.loads(path.read_text("utf-8"))
        name = schema["title"]
        about = schema.get("description", "").split("\n\n")[0].replace("\n", " ")
        sections.append(f"## {name}\n\n{about}\n\nThe schema: [{path.name}]({_from_page(path)})\n")
        keys = "\n".join(
            f"| `{key}` | {_kind(value)} |" for key, value in schema["properties"].items()
        )
        sections.append(f"| key | holds |\n|---|---|\n{keys}\n")
        if name in EXAMPLES:
            answer = json.dumps(
                _shortened(json.loads(fludapk(EXAMPLES[name]))), indent=1, ensure_ascii=False
            )
            sections.append("An example, its lists and texts shortened:\n")
            sections.append(fenced("text", f"$ {EXAMPLES[name]}\n{answer}"))
    return "\n".join(sections)


def _from_page(path: Path) -> str:
    return f"../schemas/{path.name}"


def _kind(value: dict[str, Any]) -> str:
    """Name the type of a value in a schema."""
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]  # type: ignore[no-any-return]
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_kind(part) for part in value["anyOf"]))
    if value.get("type") == "array" and "items" in value:
        return f"list of {_kind(value['items'])}" if value["items"] else "list"
    if "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value["enum"])
    kinds = value.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _shortened(value: Any, depth: int = 0) -> Any:
    """Keep the first element of a list and the beginning of a text, to fit on a page."""
    if isinstance(value, dict):
        if depth > 2 and len(value) > 4:
            return {**dict(list(value.items())[:4]), "…": "…"}
        return {key: _shortened(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_shortened(part, depth + 1) for part in value[:1]] + ["…"] * (len(value) > 1)
    return f"{value[:60]}…" if isinstance(value, str) and len(value) > 60 else value
