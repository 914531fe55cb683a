"""The pages of a nomogram: for a terminal, and for the wall."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from fludapk.answers.headline import NO_TARGET, percent
from fludapk.language import marked, tr
from fludapk.pages.layout import paragraph
from fludapk.pages.templates import sheet
from fludapk.pages.words import hash_name, typeset, window
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import bounds, status, targets

if TYPE_CHECKING:
    from fludapk.answers.nomogram_records import Nomogram

_COLUMNS_OF_SHEET: Final = 15
"""Renal functions that fit on a page; a finer grid is thinned."""
_MARKS: Final = {"below": "b", "above": "a"}
"""Side of the target on which a typical AUC is -> its mark."""


class Cell(NamedTuple):
    """A cell in words."""

    value: str
    """AUC or dose; STOP; "-" where there is none."""
    marks: str
    """Side of the target, STOP, outside the studied range."""
    chance: str
    """Write the chance of missing the target in percent; empty if there is none."""


# ------------------------------------------------------------------ cells


def cell(chart: Nomogram, i: int, j: int) -> Cell:
    """Word a cell: its value, its marks, and the chance of missing the target."""
    value, is_stopped = chart.values[i][j], chart.stopped[i][j]
    if value is None:
        return Cell(tr("STOP") if is_stopped else "-", "", "")
    marks = [tr("STOP")] if is_stopped else _marks(chart, i, value)
    marks += ["*"] if chart.outside_studied[i][j] else []
    number = _number(value, chart.targets_of_weights[i]) if chart.doses_mg else f"{value:.1f}"
    missed = None if chart.p_miss is None or is_stopped else chart.p_miss[i][j]
    chance = "" if missed is None else percent(missed).replace(" ", "")
    return Cell(number, " ".join(marks), chance)


def _target(name: str | None) -> TargetEntry | None:
    return None if name is None else targets()[name]


def _marks(chart: Nomogram, i: int, auc: float) -> list[str]:
    """The side of the target, of a typical AUC."""
    target = _target(chart.targets_of_weights[i])
    if chart.doses_mg is None or target is None:
        return []
    side = status(target, auc)
    if side == "above" and target.optimum is not None:
        return []
    return [_MARKS[side]] if side in _MARKS else []


def _number(auc: float, name: str | None) -> str:
    """An AUC with as many decimals, from one up, as keep it on its side of the target.

    Examples
    --------
    >>> _number(13.5839, "fabrizio2022"), _number(17.98, "scordo2023"), _number(17.98, None)
    ('13.6', '17.98', '18.0')
    """
    target = _target(name)
    edges = [] if target is None else [edge for edge in bounds(target) if math.isfinite(edge)]
    texts = (f"{auc:.{decimals}f}" for decimals in range(1, 16))
    return next(
        (text for text in texts if all((float(text) < x) == (auc < x) for x in edges)), str(auc)
    )


# ------------------------------------------------------------------ words


def target_line(chart: Nomogram) -> str:
    """Name the target that leads the map, or say that none fits."""
    leading = dict.fromkeys(chart.targets_of_weights)
    names = [
        f"{targets()[name].name}, {window(targets()[name])} mg·h/L" for name in leading if name
    ]
    if not names:
        return f"{tr(NO_TARGET)}."
    listed = "; ".join(names)
    if None in leading:
        return tr(
            "Target of these patients: {targets} at some weights, none at others.", targets=listed
        )
    return tr("Target of these patients: {targets}.", targets=listed)


def key_line(chart: Nomogram) -> str:
    """Explain marks and numbers of the cells."""
    parts = []
    entries = [targets()[name] for name in dict.fromkeys(chart.targets_of_weights) if name]
    if chart.doses_mg is not None and entries:
        low, high = bounds(entries[0])
        if low:
            parts.append(tr("b: typical patient below {edge:g}", edge=low))
        if math.isfinite(high) and high != low:
            parts.append(tr("a: above {edge:g}", edge=high))
    if chart.p_miss is not None and any(p is not None for row in chart.p_miss for p in row):
        parts.append(tr("second number: chance of missing the target"))
    if any(map(any, chart.stopped)):
        parts.append(tr("STOP: a label says not to give it"))
    if any(map(any, chart.outside_studied)):
        parts.append(tr("*: outside the studied range of {model}", model=chart.model))
    if any("-" in row for row in _values(chart)):
        parts.append(tr("-: refused by a limit of the model or a ceiling of the dose"))
    return f"{'; '.join(parts)}." if parts else ""


def _values(chart: Nomogram) -> list[list[str]]:
    """Values of all cells in words."""
    return [
        [cell(chart, i, j).value for j in range(len(chart.renal))]
        for i in range(len(chart.weights_kg))
    ]


def spread_line(chart: Nomogram) -> str:
    """Word the spread around the typical patient."""
    low, high = chart.interval_90
    return tr(
        "90 % of patients like {patient}: {low:.2f} to {high:.2f} times the typical AUC.",
        patient=chart.middle,
        low=low,
        high=high,
    )


def title(chart: Nomogram) -> str:
    """Name what is tabulated."""
    if chart.target_auc is None:
        return tr("AUC0-inf of F-ara-A, mg·h/L: typical patients")
    return tr(
        "Dose for an AUC0-inf of {auc:g} mg·h/L, mg per infusion: typical patients",
        auc=chart.target_auc,
    )


# ------------------------------------------------------------------ terminal


def nomogram_page(chart: Nomogram, width: int) -> str:
    """Draw the table for people; columns that do not fit are left out, and it is said.

    Parameters
    ----------
    chart : Nomogram
    width : int
        Columns of the terminal.
    """
    first, columns = _row_heads(chart), _columns(chart)
    size = max(len(column[0]) for column in columns) + 2
    every = max(1, math.ceil(len(columns) / max(1, (width - len(first[0]) - 2) // size)))
    shown = columns[::every]
    rows = [
        "  " + "  ".join([head, *cells]).rstrip()
        for head, *cells in zip(first, *shown, strict=True)
    ]
    about = tr(
        "Rows: weight, kg; columns: {covariate}, {unit}.",
        covariate=chart.renal_covariate,
        unit=chart.renal_unit,
    )
    if every > 1:
        thinned = tr(
            "Every {ordinal} column is shown; --json, -o FILE and --report have all.",
            ordinal=_ordinal(every),
        )
        about = f"{about} {thinned}"
    parts = [
        title(chart),
        f"{chart.dose_text} | {tr(chart.regimen_title)} | {chart.who}",
        "",
        target_line(chart),
        about,
        "",
        *rows,
        "",
        key_line(chart),
        spread_line(chart),
        "",
        *(f"- {text}" for text in chart.notes),
        "",
        tr(chart.disclaimer),
        f"fludapk {chart.version} | {hash_name(f'model {chart.model}')} {chart.model_sha256[:12]}",
        chart.model_citation,
    ]
    laid = [part if part in rows or not part else paragraph(typeset(part), width) for part in parts]
    return "\n".join(laid)


def _row_heads(chart: Nomogram) -> list[str]:
    """Heads of the rows: weight, and of children the age that goes with it."""
    weights = _right(["kg", *(f"{weight:g}" for weight in chart.weights_kg)])
    if not chart.median_growth:
        return weights
    ages = _right([tr("years"), *(f"{age:.1f}" for age in chart.ages_years)])
    return [f"{weight}  {age}" for weight, age in zip(weights, ages, strict=True)]


def _columns(chart: Nomogram) -> list[list[str]]:
    """Each renal function with its cells; numbers, marks and chances stand under each other."""
    columns = []
    for j, renal in enumerate(chart.renal):
        cells = [cell(chart, i, j) for i in range(len(chart.weights_kg))]
        numbers = _right([f"{renal:g}", *(x.value for x in cells)])
        marks = _left(["", *(x.marks for x in cells)])
        chances = _right(["", *(x.chance for x in cells)])
        columns.append(
            [
                " ".join(part for part in row if part)
                for row in zip(numbers, marks, chances, strict=True)
            ]
        )
    return columns


def _right(texts: list[str]) -> list[str]:
    size = max(map(len, texts))
    return [text.rjust(size) for text in texts]


def _left(texts: list[str]) -> list[str]:
    size = max(map(len, texts))
    return [text.ljust(size) for text in texts]


def _ordinal(number: int) -> str:
    """Write a small number as an ordinal.

    Examples
    --------
    >>> _ordinal(2), _ordinal(3), _ordinal(5)
    ('2nd', '3rd', '5th')
    """
    if number in _ORDINALS:
        return tr(_ORDINALS[number])
    return tr("{n}th", n=number)


_ORDINALS: Final = {2: marked("2nd"), 3: marked("3rd")}


# ------------------------------------------------------------------ sheet


def nomogram_html(chart: Nomogram, figure: str, *, whole: bool = True) -> str:
    """Draw a nomogram, figure and table; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    chart : Nomogram
    figure : str
        Its SVG document; empty for the table alone.
    """
    shown = range(0, len(chart.renal), math.ceil(len(chart.renal) / _COLUMNS_OF_SHEET))
    rows = [
        (f"{weight:g}", [cell(chart, i, j) for j in shown])
        for i, weight in enumerate(chart.weights_kg)
    ]
    return sheet(
        "nomogram.html",
        whole=whole,
        n=chart,
        title=title(chart),
        target=typeset(target_line(chart)),
        key=typeset(key_line(chart)),
        spread=typeset(spread_line(chart)),
        table=rows,
        renal=[f"{chart.renal[j]:g}" for j in shown],
        is_auc=chart.quantity == "auc_0_inf",
        figure=figure[figure.index("<svg") :] if figure else "",
        disclaimer=chart.disclaimer,
        made={
            "version": f"fludapk {chart.version}",
            "hashes": [(f"model {chart.model}", chart.model_sha256)],
            "draws": tr("typical patients"),
        },
    )
