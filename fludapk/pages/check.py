"""The page of a check, for a terminal and for a sheet of paper."""

from __future__ import annotations

from collections.abc import Iterable

from fludapk.answers.check_records import CheckResult
from fludapk.pages.check_rows import (
    label_rows,
    labels_of_others,
    model_rows,
    target_rows,
    targets_of_others,
    trail_rows,
)
from fludapk.pages.layout import paragraph, table
from fludapk.pages.words import (
    AT_THE_TOP,
    FLAG_WORDS,
    contested,
    course_facts,
    dose_lines,
    flag_chances,
    plan,
    remark_table,
    target_line,
    who,
)


def check_page(result: CheckResult, width: int) -> str:
    """One patient on one page."""
    sections = {
        "How (re-derive by hand)": _page_trail(result, width),
        "Targets: published thresholds on AUC0-inf, mg·h/L": _page_targets(result, width),
        "Models": _page_models(result, width),
        "Renal rules of labels (beside the model, never instead)": page_labels(result, width),
        "Warnings": _page_warnings(result, width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items()]
    return "\n\n".join([*_page_answer(result, width), *body, page_footer(result, width)])


def _page_answer(r: CheckResult, width: int) -> Iterable[str]:
    low, high = r.exposure.auc_0_inf_pi90
    yield paragraph(f"{who(r)} | {plan(r)}", width)
    lines = [
        f"AUC0-inf {r.exposure.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[r.flag]} ]",
        flag_chances(r),
        target_line(r),
        *dose_lines(r),
    ]
    yield "\n".join(line if len(line) <= width else paragraph(line, width) for line in lines)
    said = [f"!! {text}" for text in contested(r)] + ([r.reading_note] if r.reading_note else [])
    if said:
        yield "\n".join(paragraph(text, width) for text in said)


def _page_trail(r: CheckResult, width: int) -> str:
    return f"{table(trail_rows(r), width, right='1')}\n{paragraph(course_facts(r), width, 2)}"


def _page_targets(r: CheckResult, width: int) -> str:
    rows = [
        (row.id, row.window, row.status, f"{row.chances}. {row.about}")
        for row in target_rows(r.targets)
    ]
    applying = table(rows, width) if rows else "  None applies to this patient."
    others = paragraph(targets_of_others(r.targets), width, 2)
    return "\n".join(part for part in (applying, others) if part)


def _page_models(r: CheckResult, width: int) -> str:
    return table([row[:-1] for row in model_rows(r)], width, right="1")


def page_labels(r: CheckResult, width: int) -> str:
    """Dosing rules of labels, in columns."""
    rows = [row[:-1] for row in label_rows(r)]
    return table(rows, width) if rows else paragraph(labels_of_others(r), width, 2)


def _page_warnings(r: CheckResult, width: int) -> str:
    return remark_table([w for w in r.warnings if w.code not in AT_THE_TOP], width)


def page_footer(r: CheckResult, width: int) -> str:
    """Disclaimer and provenance."""
    made = r.provenance
    lines = (
        r.disclaimer,
        f"fludapk {made.version} | model {r.model} {made.model_sha256[:12]} | "
        f"input {made.input_sha256[:12]} | {made.points} points, seed {made.seed}",
        r.model_citation,
    )
    return "\n".join(paragraph(line, width) for line in lines)
