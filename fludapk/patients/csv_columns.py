"""Lines of a CSV file, written column by column: a fifth of the time of cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fludapk.digits import digits
from fludapk.patients.csv_list import WRITERS, Value


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
    cells = [_cells(values, decimal_comma=decimal_comma) for values in columns]
    return [delimiter.join(row) + "\n" for row in zip(*cells, strict=True)]


def _cells(values: Sequence[Any], *, decimal_comma: bool) -> Sequence[str]:
    """Write the cells of a column."""
    write, kinds = WRITERS[decimal_comma], set(map(type, values))
    if kinds == {float}:
        return _numbers(values, decimal_comma=decimal_comma)
    if float in kinds:
        own = [value for value in values if isinstance(value, float)]
        ahead = iter(_numbers(own, decimal_comma=decimal_comma))
        return [next(ahead) if isinstance(x, float) else write[type(x)](x) for x in values]
    if len(kinds - {type(None)}) <= 1:  # equal values have the same text
        cells = {value: write[type(value)](value) for value in set(values)}
        return [cells[value] for value in values]
    return [write[type(value)](value) for value in values]


def _numbers(values: Sequence[float], *, decimal_comma: bool) -> list[str]:
    if not decimal_comma:
        return digits(values)
    return [f'"{number}"'.replace(".", ",") for number in digits(values)]
