"""A worked example at the end of the help of every command."""

from __future__ import annotations

from typing import Final

import click

_GIRL: Final = '--age 5 --sex female --weight 18.2 --height 110 --scr "0.3 mg/dL"'
_COURSE: Final = "--regimen tisa_cel_ball"

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "": (f"fludapk check {_GIRL} {_COURSE}", "fludapk serve"),
    "check": (
        f"fludapk check {_GIRL} {_COURSE}",
        f'fludapk check {_GIRL} {_COURSE} --dose "24 mg/m2" --brief',
        f"fludapk check {_GIRL} {_COURSE} --save-case girl.json",
        "fludapk check --case girl.json",
        "fludapk check --case girl.json --report girl.html --language de",
    ),
    "dose": (
        f"fludapk dose {_GIRL} {_COURSE} --target fabrizio2022 --probability 0.8",
        f"fludapk dose {_GIRL} --days 4 --window 13.8 20",
    ),
    "compare": (
        'fludapk compare --age 61 --sex male --weight 82 --height 176 --scr "1.2 mg/dL" '
        '--plan axi_cel --plan "axi_cel auc 19"',
    ),
    "update": (
        f'fludapk update {_GIRL} {_COURSE} --level "1h 0.85mg/L" --level "7h 0.15mg/L" --auc 15',
        f"fludapk update {_GIRL} {_COURSE} --design",
    ),
    "batch": ("fludapk batch examples/clinic.csv -o results.csv",),
    "evaluate": ("fludapk evaluate examples/levels.csv --dv mg/L --amt phosphate",),
    "simulate": ("fludapk simulate examples/prwcc_ball.toml -o study",),
    "simulate run": (
        "fludapk simulate run examples/prwcc_ball.toml -o study",
        "fludapk simulate run examples/adaptive.toml --shard 1/2 -o parts",
    ),
    "simulate merge": ("fludapk simulate merge parts/shard-1-of-2.json parts/shard-2-of-2.json",),
    "nomogram": (f"fludapk nomogram {_COURSE} --weights 10 60 10 --figure nomogram.svg",),
    "models": ("fludapk models list",),
    "models list": ("fludapk models list",),
    "models show": ("fludapk models show langenhorst2019",),
    "models verify": ("fludapk models verify varela2025",),
    "models export": ("fludapk models export langenhorst2019 --to nonmem -o exported",),
    "models import": ("fludapk models import exported/langenhorst2019.mod -o draft.toml",),
    "outcomes": ("fludapk outcomes list",),
    "outcomes list": ("fludapk outcomes list",),
    "regimens": ("fludapk regimens list",),
    "regimens list": ("fludapk regimens list",),
    "regimens show": ("fludapk regimens show tisa_cel_ball",),
    "targets": ("fludapk targets list",),
    "targets list": ("fludapk targets list",),
    "verify": ("fludapk verify",),
    "qualify": (
        "fludapk qualify --cases-template cases.csv",
        "fludapk qualify -o record --cases cases.csv",
        "fludapk qualify -o new --cases cases.csv --against record/qualification.json",
    ),
    "serve": ("fludapk serve", "fludapk serve --port 8080 --no-browser"),
}
"""Names of a command and its group -> examples; "" is the program itself. Each can be run in a copy
of the sources, in this order."""


def with_examples(command: click.Command, path: str = "") -> None:
    """Put its examples below the help of a command, and of every command in it.

    Parameters
    ----------
    command : click.Command
        Changed in place.
    path : str
        Names of its groups and itself; empty for the program.
    """
    if path in EXAMPLES:
        title = "Example" if len(EXAMPLES[path]) == 1 else "Examples"
        lines = [f"{title}:", *(f"  {example}" for example in EXAMPLES[path])]
        command.epilog = "\b\n" + "\n".join(lines)  # \b: lines to be copied are not wrapped
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            with_examples(inner, f"{path} {name}".strip())
