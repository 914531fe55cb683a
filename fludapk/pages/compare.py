"""The page of a comparison for a terminal: plans side by side."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from fludapk.answers.compare_records import CompareResult, PlanRecord
from fludapk.answers.headline import auc_text
from fludapk.language import marked, tr
from fludapk.pages.check import CALCULATION, REMARKS, footer
from fludapk.pages.compare_rows import (
    NO_DOSE,
    Line,
    draws_line,
    heads,
    patient_trail,
    plan_trails,
    remark_rows,
    severity_word,
    table_lines,
    would_give_lines,
)
from fludapk.pages.layout import Strong, fitted, paragraph, table
from fludapk.pages.words import NOTHING, kidney_and_size, mg, percent, typeset, who

_LEAST_CELL: Final = 10
_LONGEST_NAME: Final = 24


def compare_page(result: CompareResult, width: int, strong: Strong = str) -> str:
    """Draw plans side by side.

    Parameters
    ----------
    result : CompareResult
    width : int
        Columns.
    strong : callable, optional
        Sets off what must not be missed, on a terminal.
    """
    rows = [(severity_word(severity), text) for severity, text in remark_rows(result)]
    sections = {
        marked("Plans side by side"): side_by_side(heads(result), table_lines(result), width),
        REMARKS: table(rows, width) if rows else f"  {tr(NOTHING)}",
        marked("Without the STOP"): "\n".join(
            paragraph(x, width, 2) for x in would_give_lines(result)
        ),
        CALCULATION: _calculation(result, width),
    }
    body = [f"{tr(title)}\n{text}" for title, text in sections.items() if text]
    reading = [paragraph(result.reading_note, width)] if result.reading_note else []
    head = [_head(result, width, strong), *reading]
    return typeset("\n\n".join([*head, *body, _footer(result, width)]))


def brief_page(result: CompareResult, width: int, strong: Strong = str) -> str:
    """Draw the answer in short: patient, headline, a line for each plan."""
    plans = "\n".join(fitted(_in_a_line(plan), width) for plan in result.plans)
    return typeset(f"{_head(result, width, strong)}\n{plans}")


def _head(r: CompareResult, width: int, strong: Strong) -> str:
    """Patient, STOPs, and the plan with the highest chance."""
    head = r.headline
    lines = [fitted(f"{who(r)} | {kidney_and_size(r.patient)}", width), ""]
    lines += [
        strong(fitted(tr("STOP: {reason}", reason=typeset(reason)), width)) for reason in head.stops
    ]
    lines.append(strong(fitted(typeset(head.sentence), width)))
    lines += [fitted(typeset(note), width) for note in head.notes]
    return "\n".join(lines)


def _in_a_line(plan: PlanRecord) -> str:
    """A plan in a line: dose, AUC, chance."""
    name = f"{plan.number}. {plan.plan}"
    parts = [tr("STOP")] if plan.stops else []
    if plan.regimen is None or plan.headline is None:
        return f"{name}: {', '.join([*parts, tr(NO_DOSE)])}"
    low, high = plan.headline.interval
    parts.append(f"{mg(plan.regimen.doses_mg[0])} mg × {len(plan.regimen.doses_mg)}")
    parts.append(f"AUC {auc_text(plan.headline.auc_0_inf)} ({low:.1f}-{high:.1f})")
    within = plan.headline.p_within
    parts += [] if within is None else [tr("{percent} chance", percent=percent(within))]
    return f"{name}: {', '.join(parts)}"


def side_by_side(columns: Sequence[str], lines: Sequence[Line], width: int) -> str:
    """Draw lines of a table under the heads of its columns; what is too long wraps in its cell.

    Examples
    --------
    >>> print(side_by_side(["1. axi_cel", "2. 24 mg"], [Line("AUC", ["20.02", "8"])], 50))
                                1. axi_cel  2. 24 mg
      AUC                       20.02       8
    """
    size = max(_LEAST_CELL, (width - _LONGEST_NAME - 2) // len(columns) - 2)
    name_size = width - 2 - len(columns) * (size + 2)
    rows = [_row("", columns, name_size, size)]
    rows += [_row(line.name, line.cells, name_size, size) for line in lines]
    return "\n".join(rows)


def _row(name: str, cells: Sequence[str], name_size: int, size: int) -> str:
    columns = [wrap(name, max(name_size, _LEAST_CELL)) or [""]]
    columns += [wrap(cell, size) or [""] for cell in cells]
    height = max(map(len, columns))
    sizes = [name_size, *(size for _ in cells)]
    return "\n".join(
        (
            "  "
            + "  ".join(
                (column[k] if k < len(column) else "").ljust(wide)
                for column, wide in zip(columns, sizes, strict=True)
            )
        ).rstrip()
        for k in range(height)
    )


def _calculation(r: CompareResult, width: int) -> str:
    """Draw the steps of the patient, then those of each plan."""
    patient, plans = patient_trail(r), plan_trails(r)
    parts = [table(patient, width, right="1")] if patient else []
    return "\n".join([*parts, table(plans, width)] if plans else parts)


def _footer(r: CompareResult, width: int) -> str:
    """Draw disclaimer and provenance."""
    return footer(r, draws_line(r), width)
