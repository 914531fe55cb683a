"""A row of a list becomes a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.column_names import IGNORED
from fludapk.patients.columns import Layout
from fludapk.patients.csv_list import DELIMITERS
from fludapk.patients.fields import RENAL
from fludapk.patients.request import Courses, Request, read_request

TOTALS: Final = frozenset({
    "mean", "average", "median", "sum", "total", "totals", "sd", "min", "max",
    "mittelwert", "mittel", "summe", "gesamt", "moyenne", "médiane", "somme", "media", "promedio",
    "mediana", "suma", "gemiddelde", "mediaan", "totaal", "som",
})  # fmt: skip
"""Words that begin a row below a list, which is no patient."""


def request_of(layout: Layout, cells: Sequence[str], courses: Courses | None = None) -> Request:
    """Read a row.

    Parameters
    ----------
    layout : Layout
    cells : sequence of str
    courses : dict, optional
        See `fludapk.patients.request.read_request`.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> layout = Layout.read(["age", "WT", "HT", "scr_mg_dl", "regimen"])
    >>> request_of(layout, ["5", "18.2", "110", "0.3", "tisa_cel_ball"]).patient.weight_kg
    18.2
    """
    first = next(filter(None, map(str.strip, cells)), "")
    if not first:
        raise InputError(tr("the row is empty"))
    if first[0] == "#" or first.lower() in TOTALS:
        found = tr("{cell!r} begins a comment or a row of totals: take the row out, or name the "
                   "patient otherwise", cell=first)  # fmt: skip
        raise InputError(found)
    if len(cells) != len(layout.header):
        raise InputError(wrong_length(cells, len(layout.header)))
    texts, faults = layout.read_cells(cells)
    try:
        request = read_request(texts, courses)
    except InputError as error:
        told = {fault.field for fault in faults}
        faults += [
            _in_a_list(layout, fault)
            for fault in error.faults
            if fault.field not in told or not told
        ]
    if faults:
        raise InputError(*faults)
    return request


def _in_a_list(layout: Layout, fault: Fault) -> Fault:
    """A fault of a typed value, with what may be done about it in a list."""
    if fault.field in RENAL and set(fault.also) & set(RENAL):
        columns = [layout.name(key) for key in fault.fields]
        do = tr("leave one unread: {names} {column}={ignored}",
                column=columns[-1], ignored=IGNORED)  # fmt: skip
        return replace(fault, do=do)
    if fault.field == "scr_mg_dl" and fault.no_unit:
        do = tr("{do}, or for all rows {names} {column}=scr_mg_dl or {column}=scr_umol_l",
                do=fault.do, column=layout.name("scr_mg_dl"))  # fmt: skip
        return replace(fault, do=do)
    return fault


def wrong_length(cells: Sequence[str], expected: int) -> str:
    """Fault of a row that has more or fewer cells than the header."""
    extra = ", ".join(repr(cell) for cell in cells[expected:])
    for delimiter in DELIMITERS:
        if sum(cell.count(delimiter) for cell in cells) == expected - 1:
            return tr(
                "{n} cells, but the header has {expected}: is this row separated by {sign!r} and "
                "the header by another sign?",
                n=len(cells),
                expected=expected,
                sign=delimiter,
            )
    found = tr("{n} cells, but the header has {expected}", n=len(cells), expected=expected)
    return found + "; " + tr("beyond it: {cells}", cells=extra) if extra else found


def typed_of(texts: Mapping[str, str]) -> dict[str, str]:
    """Inputs of a row by the names of requests."""
    return {name: text for name, text in texts.items() if name != "id"}
