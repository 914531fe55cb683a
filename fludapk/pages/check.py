"""The page of a check, for a terminal and for a sheet of paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fludapk.answers.check_records import CheckResult, TargetRecord
from fludapk.answers.curve import curve_of
from fludapk.pages.check_drawing import bar, course_figure
from fludapk.pages.check_rows import (
    label_rows,
    labels_of_others,
    model_rows,
    target_rows,
    targets_of_others,
    trail_rows,
)
from fludapk.pages.layout import paragraph, table
from fludapk.pages.templates import sheet
from fludapk.pages.words import (
    AT_THE_TOP,
    FLAG_TARGETS,
    FLAG_WORDS,
    OTHERS,
    contested,
    course_facts,
    dose_lines,
    flag_chances,
    plan,
    remark_table,
    target_chances,
    target_line,
    target_name,
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


def check_html(result: CheckResult, *, whole: bool = True) -> str:
    """Draw one patient on one sheet; see `fludapk.pages.templates.sheet`."""
    return sheet(
        "check.html",
        whole=whole,
        answer=_answer(result),
        models=model_rows(result),
        warnings=[w for w in result.warnings if w.code not in AT_THE_TOP],
        **blocks_of(result),
    )


def blocks_of(r: CheckResult) -> dict[str, Any]:
    """Blocks that the sheet of a check and that of a dose share."""
    return {
        "r": r,
        "head": page_head(r),
        "bar": bar(r),
        "course": course_figure(r, curve_of(r)),
        "trail": trail_rows(r),
        "course_facts": course_facts(r),
        **target_blocks(r.targets),
        "labels": label_rows(r),
        "labels_of_others": labels_of_others(r),
        "made": made_of(r),
    }


def target_blocks(targets: Sequence[TargetRecord]) -> dict[str, Any]:
    """Targets that apply, and a sentence on the others."""
    return {
        "targets": target_rows(targets),
        "targets_of_others": targets_of_others(targets, cited=True),
    }


def page_head(r: CheckResult) -> dict[str, str]:
    """Patient, plan and regimen for the head of a sheet."""
    p = r.patient
    known = {"product": p.product, "diagnosis": p.diagnosis, "genotype": p.genotype}
    said = [f"{name} {value}" for name, value in known.items() if value]
    return {
        "who": who(r),
        "plan": plan(r),
        "about": "; ".join([r.regimen.title, *said]),
    }


def _answer(r: CheckResult) -> dict[str, Any]:
    e = r.exposure
    by = {row.id: row for row in r.targets}
    low, high = e.auc_0_inf_pi90
    flag_applies = any(by[name].applies for name in FLAG_TARGETS)
    others = [t for t in r.targets if t.applies and t.id not in FLAG_TARGETS]
    return {
        "auc": f"{e.auc_0_inf:.2f}",
        "interval": f"90 % interval {low:.1f}-{high:.1f}",
        "flag": FLAG_WORDS[r.flag],
        "flag_applies": flag_applies,
        "flag_context": r.flag_context if flag_applies else f"{OTHERS}: {r.flag_context}",
        "others": [f"{target_name(t)}: {t.status.upper()}" for t in others],
        "chances": flag_chances(r),
        "targets": ", ".join([target_line(r), *map(target_chances, others)]),
        "doses": dose_lines(r),
        "disagreement": " ".join(contested(r)),
        "reading_note": r.reading_note or "",
    }


def made_of(r: CheckResult) -> dict[str, Any]:
    """Where the numbers come from."""
    made = r.provenance
    return {
        "version": f"fludapk {made.version}",
        "hashes": [
            (f"model {r.model}", made.model_sha256),
            ("input", made.input_sha256),
        ],
        "draws": f"{made.points} points, seed {made.seed}",
    }
