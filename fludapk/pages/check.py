"""The page of a check, for a terminal and for a sheet of paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fludapk.answers.check_records import CheckResult, TargetRecord
from fludapk.answers.curve import curve_of
from fludapk.pages.check_drawing import bar, course_figure
from fludapk.pages.layout import paragraph, table
from fludapk.pages.templates import environment
from fludapk.pages.words import (
    AT_THE_TOP,
    FLAG_TARGETS,
    FLAG_WORDS,
    OTHERS,
    about_model,
    auc_under,
    contested,
    course_facts,
    dose_lines,
    flag_chances,
    measured,
    plan,
    remark_table,
    target_chances,
    target_line,
    target_name,
    who,
    window,
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
    rows = [
        (
            step.name,
            f"{step.value:.4g}",
            step.unit,
            ": ".join(part for part in (step.by, step.how) if part),
        )
        for step in r.trail
    ]
    return f"{table(rows, width, right='1')}\n{paragraph(course_facts(r), width, 2)}"


def _page_targets(r: CheckResult, width: int) -> str:
    rows = []
    for t in r.targets:
        if t.applies:
            about = f"{target_chances(t)}. {t.context}. {t.finding}."
            rows.append((t.id, window(t), t.status.upper(), about))
    parts = [table(rows, width)] if rows else ["  None applies to this patient."]
    others = [
        f"{t.id} ({window(t)}: {t.context.split(';')[0]})" for t in r.targets if not t.applies
    ]
    if others:
        parts.append(paragraph(f"Published for others: {'; '.join(others)}", width, 2))
    return "\n".join(parts)


def _page_models(r: CheckResult, width: int) -> str:
    rows = [
        (
            row.model,
            "" if row.auc_0_inf is None else f"{row.auc_0_inf:.2f}",
            row.flag or "",
            about_model(row, r),
        )
        for row in r.sensitivity
    ]
    return table(rows, width, right="1")


def page_labels(r: CheckResult, width: int) -> str:
    """Dosing rules of labels, in columns."""
    if not any(row.applies for row in r.label_rules):
        reasons = dict.fromkeys(row.advice for row in r.label_rules)
        titles = ", ".join(row.title for row in r.label_rules)
        return paragraph(f"{titles}: {'; '.join(reasons)}.", width, 2)
    rows = [(row.title, measured(row), f"{row.advice}{auc_under(row)}") for row in r.label_rules]
    return table(rows, width)


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
    """One patient on one self-contained page.

    Parameters
    ----------
    result : CheckResult
    whole : bool
        Whether it is a page of its own; otherwise it is the part that stands in one.

    Returns
    -------
    str
        The same bytes for the same input: no time stamp, no names.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    return (
        environment()
        .get_template("check.html")
        .render(
            whole=whole,
            r=result,
            head=page_head(result),
            answer=_answer(result),
            bar=bar(result),
            course=course_figure(result, curve_of(result)),
            trail=trail_block(result),
            targets=targets_block(result),
            models=_models(result),
            labels=labels_block(result),
            warnings=[w for w in result.warnings if w.code not in AT_THE_TOP],
            made=made_of(result),
        )
    )


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


def trail_block(r: CheckResult) -> dict[str, Any]:
    """Rows of the calculation."""
    rows = [
        {
            "name": step.name,
            "value": f"{step.value:.4g}",
            "unit": step.unit,
            "how": ": ".join(part for part in (step.by, step.how) if part),
        }
        for step in r.trail
    ]
    return {"rows": rows, "extra": course_facts(r)}


def targets_block(r: CheckResult) -> dict[str, Any]:
    """Rows of targets of a check."""
    return targets_of(r.targets)


def targets_of(targets: Sequence[TargetRecord]) -> dict[str, Any]:
    """Rows of targets that apply, and a sentence on the others."""
    rows = [
        {
            "id": t.id,
            "window": window(t),
            "status": t.status.upper(),
            "chances": target_chances(t),
            "about": f"{t.context}. {t.finding}.",
            "citation": t.citation,
        }
        for t in targets
        if t.applies
    ]
    others = [
        f"{t.id} ({window(t)}: {t.context.split(';')[0]}; {t.citation})"
        for t in targets
        if not t.applies
    ]
    return {"rows": rows, "others": f"{OTHERS}: {'; '.join(others)}" if others else ""}


def _models(r: CheckResult) -> list[dict[str, Any]]:
    return [
        {
            "model": row.model,
            "applies": row.applies,
            "auc": "" if row.auc_0_inf is None else f"{row.auc_0_inf:.2f}",
            "flag": row.flag or "",
            "about": about_model(row, r),
        }
        for row in r.sensitivity
    ]


def labels_block(r: CheckResult) -> dict[str, Any]:
    """Rows of label rules."""
    if not any(row.applies for row in r.label_rules):
        reasons = "; ".join(dict.fromkeys(row.advice for row in r.label_rules))
        titles = ", ".join(row.title for row in r.label_rules)
        return {"rows": [], "none": f"{titles}: {reasons}."}
    rows = [
        {
            "title": row.title,
            "applies": row.applies,
            "measured": measured(row),
            "advice": f"{row.advice}{auc_under(row)}",
        }
        for row in r.label_rules
    ]
    return {"rows": rows, "none": ""}


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
