"""The sheet of a comparison, to print on one page."""

from __future__ import annotations

from typing import Any

from fludapk.answers.compare_records import CompareResult
from fludapk.pages.check_sheet import DIAGNOSIS, GENOTYPE, PRODUCT, stated_facts
from fludapk.pages.compare_drawing import plans_picture
from fludapk.pages.compare_rows import (
    draws_line,
    heads,
    patient_trail,
    plan_trails,
    remark_rows,
    severity_word,
    table_lines,
    would_give_lines,
)
from fludapk.pages.remarks import RemarkRow
from fludapk.pages.templates import sheet
from fludapk.pages.words import kidney_and_size, typeset, who


def compare_html(result: CompareResult, *, whole: bool = True) -> str:
    """Draw plans side by side on one sheet; see `fludapk.pages.templates.sheet`."""
    head = result.headline
    return sheet(
        "compare.html",
        whole=whole,
        r=result,
        who=who(result),
        kidney=kidney_and_size(result.patient),
        kidney_short=kidney_and_size(result.patient, short=True),
        about="; ".join(stated_facts(result.patient, (DIAGNOSIS, GENOTYPE, PRODUCT))),
        stops=[typeset(reason) for reason in head.stops],
        sentence=typeset(head.sentence),
        notes=[typeset(text) for text in head.notes],
        reading_note=typeset(result.reading_note or ""),
        heads=heads(result),
        lines=table_lines(result),
        picture=plans_picture(result),
        remarks=[
            RemarkRow(severity_word(severity), text, "", severity == "caution")
            for severity, text in remark_rows(result)
        ],
        would_give=would_give_lines(result),
        patient_trail=patient_trail(result),
        plan_trails=plan_trails(result),
        made=_made(result),
    )


def _made(r: CompareResult) -> dict[str, Any]:
    """Name what the numbers were made by."""
    made = r.provenance
    return {
        "version": f"fludapk {made.version}",
        "hashes": [(f"model {r.model}", made.model_sha256), ("input", made.input_sha256)],
        "draws": draws_line(r),
    }
