"""The sheet of a check, and the blocks it shares with other sheets."""

from __future__ import annotations

from collections.abc import Sequence
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
    target_chances,
    target_line,
    target_name,
    who,
)


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
