"""Lines of a CSV file, written column by column: a fifth of the time of cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fludapk.digits import digits
from fludapk.patients.csv_list import WRITERS, Value, Writers


def lines(
    columns: Sequence[Sequence[Value]], delimiter: str, *, decimal_comma: bool = False
) -> list[str]:
    r"""Lines of a CSV file.

    Parameters
    ----------
    columns : sequence of sequence
        Of the same length.
    delimiter : str
    decimal_comma : bool

    Examples
    --------
    >>> lines([["ward 3", "ward 4"], [13.5, None]], ";")
    ['ward 3;13.5\n', 'ward 4;\n']
    """
    write = {**WRITERS[decimal_comma], str: _Texts().__getitem__}  # most texts come again
    cells = [_cells(values, write, decimal_comma=decimal_comma) for values in columns]
    return [delimiter.join(row) + "\n" for row in zip(*cells, strict=True)]


def _cells(values: Sequence[Any], write: Writers, *, decimal_comma: bool) -> Sequence[str]:
    """Write the cells of a column."""
    kinds = set(map(type, values))
    if float in kinds:
        is_whole = len(kinds) == 1
        texts = digits(values if is_whole else [x for x in values if isinstance(x, float)])
        if decimal_comma:
            texts = [f'"{text}"'.replace(".", ",") for text in texts]
        ahead = iter(texts)
        return (
            texts
            if is_whole
            else [next(ahead) if isinstance(x, float) else write[type(x)](x) for x in values]
        )
    if len(kinds) == 1 and values.count(values[0]) == len(values):
        return [write[kinds.pop()](values[0])] * len(values)
    return [write[type(value)](value) for value in values]


class _Texts(dict[str, str]):
    """Texts as cells, each made once."""

    def __missing__(self, text: str) -> str:
        self[text] = cell = WRITERS[False][str](text)
        return cell
