"""The page of a check for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fludapk.answers.check_records import CheckResult
from fludapk.answers.headline import AnswerHeadline
from fludapk.pages.check_rows import (
    label_rows,
    labels_of_others,
    model_rows,
    target_rows,
    targets_of_others,
    trail_rows,
)
from fludapk.pages.layout import Strong, fitted, paragraph, table
from fludapk.pages.words import LABELS as LABELS
from fludapk.pages.words import (
    auc_line,
    chance_bar,
    course_facts,
    dose_lines,
    plan,
    remark_table,
    stop_lines,
    typeset,
    typical_by,
    who,
)

if TYPE_CHECKING:
    from fludapk.answers.compare_records import CompareResult
    from fludapk.answers.update_records import UpdateResult

REMARKS: Final = "What to know"
CALCULATION: Final = "Calculation, to check by hand"


def check_page(result: CheckResult, width: int, strong: Strong = str) -> str:
    """Draw a check on one page.

    Parameters
    ----------
    result : CheckResult
    width : int
        Columns.
    strong : callable, optional
        Sets off what must not be missed, on a terminal.
    """
    sections = {
        REMARKS: remark_table(result.remarks, width),
        CALCULATION: _page_trail(result, width),
        "Targets that fit this patient": _page_targets(result, width),
        "Models": _page_models(result, width),
        LABELS: page_labels(result, width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items()]
    head = [brief_page(result, width, strong), *_reading(result, width)]
    return typeset("\n\n".join([*head, *body, page_footer(result, width)]))


def brief_page(result: CheckResult, width: int, strong: Strong = str) -> str:
    """Draw the answer in short: patient, stop, chance, AUC, dose."""
    lines = [
        fitted(f"{who(result)} | {plan(result)}", width),
        "",
        headline_block(result.headline, width, strong),
        fitted(auc_line(result.headline, typical_by(result.model)), width),
        *(fitted(line, width) for line in dose_lines(result)),
        *(fitted(typeset(note), width) for note in result.headline.notes),
    ]
    return "\n".join(lines)


def headline_block(headline: AnswerHeadline, width: int, strong: Strong = str) -> str:
    """Draw stop, chance and its bar."""
    lines = [*stop_lines(headline), headline.sentence]
    bar = chance_bar(headline)
    return "\n".join(
        [*(strong(fitted(typeset(line), width)) for line in lines), *([bar] if bar else [])]
    )


def _reading(result: CheckResult, width: int) -> list[str]:
    return [paragraph(result.reading_note, width)] if result.reading_note else []


def _page_trail(result: CheckResult, width: int) -> str:
    trail = table(trail_rows(result), width, right="1")
    return f"{trail}\n{paragraph(course_facts(result), width, 2)}"


def _page_targets(result: CheckResult, width: int) -> str:
    rows = [
        (row.name, row.window, row.status, f"{row.chances}. {row.about}")
        for row in target_rows(result.targets)
    ]
    applying = table(rows, width) if rows else "  None."
    others = paragraph(targets_of_others(result.targets), width, 2)
    return "\n".join(part for part in (applying, others) if part)


def _page_models(result: CheckResult, width: int) -> str:
    return table([row[:-1] for row in model_rows(result)], width, right="1")


def page_labels(result: CheckResult, width: int) -> str:
    """Draw the dosing rules of labels, in columns."""
    rows = [row[:-1] for row in label_rows(result)]
    return table(rows, width) if rows else paragraph(labels_of_others(result), width, 2)


def page_footer(result: CheckResult, width: int) -> str:
    """Draw disclaimer and provenance."""
    made = result.provenance
    return footer(result, f"{made.points} simulated courses, seed {made.seed}", width)


def footer(result: CheckResult | CompareResult | UpdateResult, draws: str, width: int) -> str:
    """Draw disclaimer and provenance, and how the chances were drawn."""
    made = result.provenance
    lines = (
        result.disclaimer,
        f"fludapk {made.version} | model {result.model} {made.model_sha256[:12]} | "
        f"input {made.input_sha256[:12]} | {draws}",
        result.model_citation,
    )
    return "\n".join(paragraph(line, width) for line in lines)
