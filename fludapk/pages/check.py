"""The page of a check for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fludapk.answers.check_records import CheckResult, TargetRecord
from fludapk.answers.headline import AnswerHeadline
from fludapk.language import marked, tr
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
    hash_name,
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

REMARKS: Final = marked("What to know")
CALCULATION: Final = marked("Calculation, to check by hand")
TARGETS: Final = marked("Targets that fit this patient")


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
        TARGETS: page_targets(result.targets, width),
        marked("Models"): _page_models(result, width),
        LABELS: page_labels(result, width),
    }
    body = [f"{tr(title)}\n{text}" for title, text in sections.items()]
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


def page_targets(targets: Sequence[TargetRecord], width: int, *, with_about: bool = True) -> str:
    """Draw the targets that fit, in columns, and name the others in a sentence.

    Parameters
    ----------
    targets : sequence of TargetRecord
    width : int
        Columns.
    with_about : bool
        Add for whom each was published, and what was seen.
    """
    rows = [
        (row.name, row.window, row.status, row.chances + (f". {row.about}" if with_about else ""))
        for row in target_rows(targets)
    ]
    applying = table(rows, width) if rows else f"  {tr('None.')}"
    others = paragraph(targets_of_others(targets), width, 2)
    return "\n".join(part for part in (applying, others) if part)


def _page_models(result: CheckResult, width: int) -> str:
    return table([row[:-1] for row in model_rows(result)], width, right="1")


def page_labels(result: CheckResult, width: int) -> str:
    """Draw the dosing rules of labels, in columns."""
    rows = [row[:-1] for row in label_rows(result)]
    return table(rows, width) if rows else paragraph(labels_of_others(result), width, 2)


def page_footer(result: CheckResult, width: int) -> str:
    """Draw disclaimer and provenance."""
    return footer(result, draws_line(result), width)


def draws_line(result: CheckResult) -> str:
    """Say how many courses were simulated."""
    made = result.provenance
    return tr("{n} simulated courses, seed {seed}", n=made.points, seed=made.seed)


def footer(result: CheckResult | CompareResult | UpdateResult, draws: str, width: int) -> str:
    """Draw disclaimer and provenance, and how the chances were drawn."""
    made = result.provenance
    model = f"{hash_name(f'model {result.model}')} {made.model_sha256[:12]}"
    typed = f"{hash_name('input')} {made.input_sha256[:12]}"
    lines = (
        tr(result.disclaimer),
        f"fludapk {made.version} | {model} | {typed} | {draws}",
        result.model_citation,
    )
    return "\n".join(paragraph(line, width) for line in lines)
