"""Cases that are saved and opened again: computed anew, and what has changed since."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from fludapk._version import __version__
from fludapk.answers.check_records import CheckResult
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.headline import AnswerHeadline
from fludapk.answers.record import Record, Remark, Row, Severity, scalars
from fludapk.answers.typed import Folders, check_typed, dose_typed, update_typed
from fludapk.answers.update_records import UpdateResult
from fludapk.language import tr
from fludapk.patients.case_file import CaseFile, Question, Scalar, read_case
from fludapk.patients.fields import COURSE, FIELDS, GOAL, PATIENT
from fludapk.patients.request import (
    Typed,
)

Answer: TypeAlias = CheckResult | DoseResult | UpdateResult

RELATIVE: Final = 1e-9
"""Numbers that differ by less, of themselves, are the same: the last bits are the machine's."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A part of an answer that is not as it was.

    Parameters
    ----------
    name : str
        Name in the answer in short: ``auc_0_inf``, ``dose_mg``, ``flag``.
    before, after : str, float, bool or None
        None if there was or is none.
    """

    name: str
    before: Scalar
    after: Scalar

    def __str__(self) -> str:
        return f"{self.name}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenedCase(Record):
    """A case computed again, and what is not as it was when it was saved.

    Parameters
    ----------
    question : {'check', 'dose', 'update'}
    saved_by : str
        Version that saved the case.
    version : str
        Version that computed it now.
    input_is_same : bool or None
        True if the input is read as it was; None if the file has no hash of it.
    changes : list of Change
        Empty also if nothing had been computed when it was saved.
    not_used : list of str
        Names of what was typed and is no part of the question.
    answer : CheckResult, DoseResult or UpdateResult
    """

    schema: Literal["fludapk.opened_case/1"] = "fludapk.opened_case/1"
    question: Question
    saved_by: str
    version: str
    input_is_same: bool | None
    changes: list[Change]
    not_used: list[str]
    answer: Answer

    def sentences(self) -> list[str]:
        """Word what has changed since the case was saved, or that nothing has."""
        lines = []
        if self.input_is_same is None:
            lines.append(
                tr("the case was saved without an answer to this question to compare with")
            )
        elif not self.input_is_same:
            lines.append(
                tr(
                    "the input is not read as it was since the case was saved by version {before}: "
                    "the file was edited, or this version ({version}) reads it differently",
                    before=self.saved_by,
                    version=self.version,
                )
            )
        if self.changes:
            changed = tr(
                "changed since the case was saved by version {before}:", before=self.saved_by
            )
            lines += [changed, *(f"  {change}" for change in self.changes)]
        if not lines:
            lines = [
                tr(
                    "the answer is the one that was saved by version {version}",
                    version=self.saved_by,
                )
            ]
        if self.not_used:
            lines.append(
                tr("in the case, but not used here: {names}", names=", ".join(self.not_used))
            )
        return lines

    def brief(self) -> str:
        """Return the question and how much has changed."""
        return f"case: {self.question}, {len(self.changes)} changes since {self.saved_by}"

    def rows(self) -> list[Row]:
        """Return a row for each change; the answer has its own table."""
        return [scalars(change) for change in self.changes] or self.answer.rows()


def open_case(
    source: CaseFile | Mapping[str, Any] | str | Path,
    *,
    question: Question | None = None,
    folders: Folders = None,
) -> OpenedCase:
    """Open a case file, compute it again and compare.

    Parameters
    ----------
    source : CaseFile, mapping, str or Path
        A case, what was typed by the names of fields, or the path of a case file.
    question : {'check', 'dose', 'update'}, optional
        Ask another question than the case was saved with; then there is nothing to compare.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    FludapkError
        If it is no case file, or as the command that it asks.

    Examples
    --------
    >>> girl = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL"}
    >>> case = save_case({**girl, "regimen": "tisa_cel_ball"})
    >>> open_case(case).changes
    []
    >>> older = CaseFile(typed=case.typed, input_sha256=case.input_sha256, version="0.1.0",
    ...                  answer={**case.answer, "flag": "met"})
    >>> print(*open_case(older).changes)
    flag: met → below
    """
    case = source if isinstance(source, CaseFile) else _case_of(source)
    asked = question or case.question
    answer = answer_to(asked, case.typed, folders)
    return opened(case, asked, answer)


def _case_of(source: Mapping[str, Any] | str | Path) -> CaseFile:
    return CaseFile(typed=source) if isinstance(source, Mapping) else read_case(source)


def opened(case: CaseFile, question: Question, answer: Answer) -> OpenedCase:
    """Compare an answer with the one that a case was saved with."""
    comparable = question == case.question and case.input_sha256 is not None
    return OpenedCase(
        question=question,
        saved_by=case.version,
        version=__version__,
        input_is_same=input_sha256(answer) == case.input_sha256 if comparable else None,
        changes=changes(case.answer, in_short(answer)) if comparable else [],
        not_used=[name for name in case.typed if name not in USED[question]],
        answer=answer,
        source=case,
    )


def save_case(
    typed: Typed,
    *,
    question: Question = "check",
    answer: Answer | None = None,
    folders: Folders = None,
) -> CaseFile:
    """Make a case of what was typed, with its answer; `CaseFile.to_json` is the file.

    Parameters
    ----------
    typed : mapping of str to object
        Name of a field -> text, number, or list of them.
    question : {'check', 'dose', 'update'}
    answer : CheckResult, DoseResult or UpdateResult, optional
        Computed if absent.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    FludapkError
        As the command.
    """
    case = CaseFile.from_json(CaseFile(typed=typed, question=question).to_json())
    computed = answer or answer_to(question, typed, folders)
    return CaseFile(
        typed=case.typed,
        question=question,
        input_sha256=input_sha256(computed),
        answer=in_short(computed),
    )


# ------------------------------------------------------------------ the question, asked again


def answer_to(question: Question, typed: Typed, folders: Folders = None) -> Answer:
    """Answer a question about what was typed.

    Raises
    ------
    FludapkError
        As the command of that name.
    """
    if question == "check":
        return check_typed(typed, folders)
    return dose_typed(typed, folders) if question == "dose" else update_typed(typed, folders)


# ------------------------------------------------------------------ answers in short


def input_sha256(answer: Answer) -> str:
    """Hash of the input of an answer."""
    if isinstance(answer, DoseResult):
        return answer.check.provenance.input_sha256
    return answer.provenance.input_sha256


def in_short(answer: Answer) -> dict[str, Scalar]:
    """Return what must not change in silence: numbers, doses, chance, stops and cautions."""
    if isinstance(answer, DoseResult):
        return _dose_in_short(answer)
    if isinstance(answer, UpdateResult):
        return _update_in_short(answer)
    low, high = answer.exposure.auc_0_inf_pi90
    return {
        "model": answer.model,
        "model_sha256": answer.provenance.model_sha256,
        "doses": len(answer.regimen.doses_mg),
        "dose_mg": answer.regimen.doses_mg[0],
        "total_mg": answer.regimen.total_mg,
        "auc_0_inf": answer.exposure.auc_0_inf,
        "auc_0_inf_pi90_low": low,
        "auc_0_inf_pi90_high": high,
        "clearance_l_h": answer.exposure.clearance_l_h,
        "cmax_mg_l": answer.exposure.cmax_mg_l,
        "flag": answer.flag,
        **_headline_in_short(answer.headline, answer.remarks),
    }


def _dose_in_short(answer: DoseResult) -> dict[str, Scalar]:
    proposed = answer.answer
    return {
        "model": answer.dose.model,
        "model_sha256": answer.check.provenance.model_sha256,
        "goal": answer.goal_in_english,
        "doses": answer.dose.doses,
        "dose_mg": None if proposed is None else proposed.dose_mg,
        "would_give_mg": None if answer.would_give is None else answer.would_give.dose_mg,
        "auc_0_inf": answer.dose.auc_0_inf,
        "reached": answer.dose.reached,
        "at_ceiling": answer.dose.at_ceiling,
        **_headline_in_short(answer.headline, answer.remarks),
    }


def _update_in_short(answer: UpdateResult) -> dict[str, Scalar]:
    left, posterior = answer.remaining, answer.posterior
    low, high = posterior.auc_0_inf_pi90
    return {
        "model": answer.model,
        "model_sha256": answer.provenance.model_sha256,
        "auc_so_far": posterior.auc_so_far,
        "auc_0_inf": posterior.auc_0_inf,
        "auc_0_inf_pi90_low": low,
        "auc_0_inf_pi90_high": high,
        "flag": answer.flag,
        "remaining_doses": None if left is None else left.infusions,
        "remaining_dose_mg": None if left is None else left.dose_mg,
        **_headline_in_short(answer.headline, answer.remarks),
    }


def _headline_in_short(headline: AnswerHeadline, remarks: Sequence[Remark]) -> dict[str, Scalar]:
    def codes(severity: Severity) -> str:
        return "; ".join(sorted({row.code for row in remarks if row.severity == severity}))

    return {
        "target": headline.target,
        "p_below": headline.p_below,
        "p_within": headline.p_within,
        "p_above": headline.p_above,
        "stops": codes("stop"),
        "cautions": codes("caution"),
    }


def changes(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> list[Change]:
    """List what differs between two answers in short, beyond the last bits of a number.

    Examples
    --------
    >>> print(*changes({"auc": 13.0, "flag": "below"}, {"auc": 13.0 + 1e-12, "flag": "met"}))
    flag: below → met
    """
    return [
        Change(name=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
        if not is_same(before.get(name), after.get(name))
    ]


def is_same(before: Scalar, after: Scalar) -> bool:
    """Tell if two values are the same, numbers to `RELATIVE`."""
    if isinstance(before, bool | str | None) or isinstance(after, bool | str | None):
        return type(before) is type(after) and before == after
    return math.isclose(before, after, rel_tol=RELATIVE, abs_tol=RELATIVE)


def _shown(value: Scalar) -> str:
    if value is None or value == "":
        return tr("none")
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


_PATIENT_AND_COURSE: Final = (*PATIENT, *COURSE, "round_to_mg", "model", "strict")
_WITH_GOAL: Final = (*_PATIENT_AND_COURSE, *GOAL)
USED: Final[Mapping[Question, frozenset[str]]] = {
    "check": frozenset(FIELDS[key].name for key in _PATIENT_AND_COURSE),
    "dose": frozenset(FIELDS[key].name for key in _WITH_GOAL),
    "update": frozenset(
        FIELDS[key].name for key in (*_WITH_GOAL, "levels", "given", "exclude_level")
    ),
}
"""Names of the fields that a question uses."""
