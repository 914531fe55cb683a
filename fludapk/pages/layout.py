"""Text in columns for a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Final, TypeAlias

_LEAST_COLUMN: Final = 14
_MAX_WIDTH: Final = 110


def width() -> int:
    """Return the columns of the terminal up to a readable line; 100 in a pipe."""
    if not sys.stdout.isatty():
        return 100
    return max(60, min(shutil.get_terminal_size().columns, _MAX_WIDTH))


Strong: TypeAlias = Callable[[str], str]
"""Sets off what must not be missed; ``str`` where there is nothing to do it with."""


def fitted(text: str, width: int) -> str:
    """Wrap a text only if it is too long."""
    return text if len(text) <= width else paragraph(text, width)


def paragraph(text: str, width: int, indent: int = 0) -> str:
    """Wrap a text to a width, every line indented."""
    margin = " " * indent
    lines = wrap(text, width, initial_indent=margin, subsequent_indent=margin)
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]], width: int, *, indent: int = 2, right: str = "") -> str:
    """Set rows in columns two blanks apart; the last column takes the rest and wraps.

    Parameters
    ----------
    rows : sequence of sequences of str
    width : int
        Characters of a line.
    indent : int
        Blanks before every line.
    right : str
        Numbers of the columns to align to the right.

    Examples
    --------
    >>> print(table([["CL", "5.145", "L/h"], ["V1", "10", "L"]], 40, right="1"))
      CL  5.145  L/h
      V1     10  L
    """
    sizes = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)][:-1]
    left = width - indent - sum(sizes) - 2 * len(sizes)
    out = []
    for row in rows:
        cells = [
            cell.rjust(size) if str(number) in right else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(row, sizes, strict=False))
        ]
        head = " " * indent + "".join(cell + "  " for cell in cells)
        last = wrap(row[-1], max(left, _LEAST_COLUMN)) or [""]
        out += [(head + last[0]).rstrip(), *(" " * len(head) + line for line in last[1:])]
    return "\n".join(out)


def with_auc(rows: Sequence[Sequence[str]], column: int) -> list[tuple[str, ...]]:
    """Name the AUCs of a column, for a table without a header.

    Examples
    --------
    >>> with_auc([("varela2025", "21.7"), ("mohanan2017", "")], 1)
    [('varela2025', 'AUC 21.7'), ('mohanan2017', '')]
    """
    return [
        tuple(f"AUC {cell}" if place == column and cell else cell for place, cell in enumerate(row))
        for row in rows
    ]
