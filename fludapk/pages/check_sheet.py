"""The sheet of a check, and the blocks it shares with other sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fludapk.answers.check_records import CheckResult, PatientRecord, TargetRecord
from fludapk.answers.curve import curve_of
from fludapk.answers.headline import AnswerHeadline
from fludapk.language import marked, tr
from fludapk.pages.check import draws_line
from fludapk.pages.check_drawing import bar, course_figure
from fludapk.pages.check_rows import (
    change_line,
    label_rows,
    labels_of_others,
    model_rows,
    target_rows,
    targets_of_others,
    trail_rows,
)
from fludapk.pages.remarks import remark_rows
from fludapk.pages.templates import sheet
from fludapk.pages.words import (
    auc_of,
    chance_parts,
    course_facts,
    dose_lines,
    interval_text,
    kidney_and_size,
    plan,
    side,
    typeset,
    typical_by,
    who,
)


def check_html(result: CheckResult, *, whole: bool = True) -> str:
    """Draw a check on one sheet; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    result : CheckResult
    whole : bool
        A document of its own; otherwise a part, for a notebook.
    """
    return sheet(
        "check.html",
        whole=whole,
        models=model_rows(result),
        reading_note=typeset(result.reading_note or ""),
        **blocks_of(result, whole=whole),
    )


def blocks_of(result: CheckResult, *, whole: bool) -> dict[str, Any]:
    """Prepare the blocks that the sheet of a check and that of a dose share."""
    return {
        "r": result,
        "head": page_head(result),
        "answer": answer_block(
            result.headline,
            typical_by(result.model),
            dose_lines(result, in_short=not whole),
            change=change_line(result),
            is_typical=True,
        ),
        "remarks": remark_rows(result.remarks),
        "bar": bar(result),
        "course": course_figure(result, curve_of(result)),
        "trail": trail_rows(result),
        "course_facts": course_facts(result),
        **target_blocks(result.targets),
        "labels": label_rows(result),
        "labels_of_others": labels_of_others(result),
        "made": made_of(result),
    }


def target_blocks(targets: Sequence[TargetRecord]) -> dict[str, Any]:
    """Prepare the targets that apply, and a sentence on the others."""
    return {
        "targets": target_rows(targets),
        "targets_of_others": targets_of_others(targets, cited=True),
    }


def page_head(result: CheckResult) -> dict[str, Any]:
    """Word patient, plan and regimen for the head of a sheet."""
    stated = stated_facts(result.patient, (PRODUCT, DIAGNOSIS, GENOTYPE))
    return {
        "who": who(result),
        "plan": plan(result),
        "about": "; ".join([tr(result.regimen.title), *stated]),
        "measured": kidney_and_size(result.patient),
        "measured_short": kidney_and_size(result.patient, short=True),
        "has_egfr": result.patient.egfr_ml_min_1_73m2 is not None,
    }


PRODUCT: Final = marked("product")
DIAGNOSIS: Final = marked("diagnosis")
GENOTYPE: Final = marked("genotype")


def stated_facts(patient: PatientRecord, names: Sequence[str]) -> list[str]:
    """Word the categories of a patient that were typed, with their names."""
    return [f"{tr(name)} {value}" for name in names if (value := getattr(patient, name))]


def answer_block(
    headline: AnswerHeadline,
    by: str,
    lines: Sequence[str],
    *,
    change: str = "",
    is_typical: bool = False,
) -> dict[str, Any]:
    """Prepare stop, chance with its bar, AUC, and lines below them.

    Parameters
    ----------
    headline : AnswerHeadline
    by : str
        The patient and the model that the AUC is of.
    lines : sequence of str
        Doses, below the AUC.
    change : str
        Facts that would change the answer, on a page.
    is_typical : bool
        The AUC is that of the typical patient.
    """
    return {
        "stops": headline.stops,
        "sentence": headline.sentence,
        "bar": chance_parts(headline),
        "auc": auc_of(headline),
        "side": side(headline),
        "interval": interval_text(headline),
        "by": by,
        "is_typical": is_typical,
        "lines": [typeset(line) for line in lines],
        "notes": [typeset(note) for note in headline.notes],
        "change": typeset(change),
    }


def made_of(result: CheckResult) -> dict[str, Any]:
    """Word the provenance: version, hashes, simulated courses."""
    made = result.provenance
    return {
        "version": f"fludapk {made.version}",
        "hashes": [
            (f"model {result.model}", made.model_sha256),
            ("input", made.input_sha256),
        ],
        "draws": draws_line(result),
    }
