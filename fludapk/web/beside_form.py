"""Answers beside a form: a sheet, or what was refused and may be confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_records import CompareResult
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.typed import Folders
from fludapk.answers.update_records import UpdateResult
from fludapk.errors import Fault, FludapkError, InputError
from fludapk.language import ntr, tr
from fludapk.pages.chart import chart_lines
from fludapk.pages.check_sheet import check_html
from fludapk.pages.compare_sheet import compare_html
from fludapk.pages.decimals import marked_html, writes_comma
from fludapk.pages.design import best_line, design_html
from fludapk.pages.dose import dose_html, goal_line
from fludapk.pages.templates import calculated_at, environment
from fludapk.pages.update import answer_lines
from fludapk.pages.update_sheet import update_html
from fludapk.pages.words import (
    auc_line,
    stop_lines,
    typeset,
    typical_by,
)
from fludapk.patients.fields import label
from fludapk.web.case_form import changes_since
from fludapk.web.entries import Entries, compared_entries
from fludapk.web.forms import (
    as_typed,
    box_name,
    called,
    check_asked,
    compare_asked,
    confirmed_in,
    design_asked,
    dose_asked,
    fields_of_form,
    read_back,
    update_asked,
    with_points,
)
from fludapk.web.languages import at
from fludapk.web.needed import lacks_only, needed_as, still_needed
from fludapk.web.problems import TITLES, validation_faults

HERE: Final = Path(__file__).parent


def rendered(template: str, **context: Any) -> str:
    """Fill a template of the server, in the language that is spoken."""
    filled = environment(HERE / "templates").get_template(template).render(at=at(), **context)
    return marked_html(filled)


@dataclass(frozen=True)
class Box:
    """A box of the form that stands with the answer: a value that is meant though unusual."""

    name: str
    patient: str
    """Values as typed that the box is about."""
    text: str


def confirmed_boxes(form: Mapping[str, str]) -> list[Box]:
    """Boxes that are ticked."""
    return [
        Box(box_name(name), as_typed(form, name), tr("Confirmed: {field}", field=tr(name)))
        for name in confirmed_in(form)
    ]


@dataclass(frozen=True)
class Answer:
    """Sheet or refusal that stands beside the form."""

    html: str
    said: str
    """The same in a sentence, for a screen reader."""
    invalid: Sequence[str] = field(default_factory=tuple)
    """Fields of the form that were refused."""
    boxes: Sequence[Box] = field(default_factory=tuple)
    """Values that were confirmed, to stay so with the next question."""
    chart: Sequence[str] = field(default_factory=tuple)
    """The answer in a few lines of text, to be copied into a chart."""
    read: Sequence[str] = field(default_factory=tuple)
    """Numbers that were read from a decimal comma."""
    result: Any = None
    """Record behind the sheet."""
    changes: Sequence[str] = field(default_factory=tuple)
    """Changes since the case was saved that the form was opened from."""
    entries: Entries | None = None
    """Two entries of one patient beside each other, if this is the second."""


def _said(r: CheckResult) -> str:
    """Answer in a sentence: stop, chance, AUC."""
    line = auc_line(r.headline, typical_by(r.model))
    return f"{'. '.join([*stop_lines(r.headline), r.headline.sentence, line])}."


def _said_of_dose(r: DoseResult) -> str:
    chance = [*stop_lines(r.headline), r.headline.sentence]
    dose = (
        []
        if r.answer is None
        else [tr("{dose:g} mg per dose", dose=r.answer.dose_mg), goal_line(r)]
    )
    return f"{'. '.join([*chance, *dose])}."


def _said_of_comparison(r: CompareResult) -> str:
    stops = [tr("STOP: {why}", why=stop) for stop in r.headline.stops]
    return f"{'. '.join([*stops, r.headline.sentence])}."


def _said_of_update(r: UpdateResult) -> str:
    """Answer in a sentence: stop, chance, AUC, the dose that is left."""
    lines = [*stop_lines(r.headline), r.headline.sentence, *answer_lines(r)[:2]]
    return f"{'. '.join(line.rstrip('.') for line in lines)}."


def checked(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a check."""
    result = check_asked(form).answer(folders)
    html, said = check_html(result, whole=False), _said(result)
    return Answer(html, said, chart=chart_lines(result), result=result)


def dosed(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a dose."""
    result = dose_asked(form).answer(folders)
    html, said = dose_html(result, whole=False), _said_of_dose(result)
    return Answer(html, said, chart=chart_lines(result), result=result)


def compared(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a comparison."""
    result = compare_asked(form).answer(folders)
    html, said = compare_html(result, whole=False), _said_of_comparison(result)
    return Answer(html, said, chart=chart_lines(result), result=result)


def updated(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of levels."""
    result = update_asked(form).answer(folders)
    html, said = update_html(result, whole=False), _said_of_update(result)
    return Answer(html, said, chart=chart_lines(result), result=result)


def designed(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of levels with the times to measure them at."""
    result = design_asked(form).answer(folders)
    said = tr(
        "Best times by number of levels, h from the first dose: {times}.", times=best_line(result)
    )
    return Answer(design_html(result, whole=False), said)


def answered(
    make: Callable[[Mapping[str, str], Folders], Answer],
    typed: Mapping[str, str],
    path: str,
    folders: Folders,
) -> Answer:
    """Return an answer, or what is still needed and what was refused.

    Parameters
    ----------
    make : callable
        Makes the answer of a form.
    typed : mapping of str to str
        The form as it was typed.
    path : str
        Page of the form.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    """
    form = with_points(typed)
    try:
        with calculated_at():
            answer = make(form, folders)
            changes = changes_since(form, path, answer.result)
            answer = replace(answer, entries=compared_entries(typed), changes=changes)
    except FludapkError as error:
        answer = refusal(error, form, still_needed(form, path, folders))
    except ValidationError as error:
        faults = InputError(*validation_faults(map(dict, error.errors())))
        answer = refusal(faults, form, still_needed(form, path, folders))
    read = [] if writes_comma() else read_back(typed)  # a comma is nothing to be told about
    return replace(answer, boxes=confirmed_boxes(form), read=read)


def refused(error: FludapkError | ValidationError, form: Mapping[str, str]) -> Answer:
    """Say what was refused, whoever has refused it."""
    if isinstance(error, ValidationError):
        error = InputError(*validation_faults(map(dict, error.errors())))
    return refusal(error, form)


def _asking_box(name: str, faults: Sequence[Fault], form: Mapping[str, str]) -> Box:
    """Box that confirms everything that is asked about by one name."""
    meant = [fault.meant for fault in faults if fault.confirm == name]
    values = tr(" and ").join(meant)
    text = ntr("Yes, {values} is meant", "Yes, {values} are meant", len(meant), values=values)
    return Box(box_name(name), as_typed(form, name), text)


def refusal(
    error: FludapkError, form: Mapping[str, str], needed: Sequence[str] | None = None
) -> Answer:
    """Say what is still needed, and what was refused, with a box for each value that may be meant.

    Parameters
    ----------
    error : FludapkError
    form : mapping of str to str
    needed : sequence of str, optional
        Fields that are empty and needed: a fault of empty fields alone is no refusal then.
    """
    wrong = [(fault, fields_of_form(fault, form)) for fault in error.faults]
    empty = list(needed or ())
    if needed is not None:
        waited_for = {*needed, *(name.removesuffix("_unit") for name in needed)}
        if any(name.startswith("plan_") for name in needed):
            waited_for.add("plan_1")  # where a fault of their number points
        lacking = [lacks_only(fault, form) for fault in error.faults]
        wrong = [
            (fault, names)
            for (fault, names), lacks in zip(wrong, lacking, strict=True)
            if not (lacks or waited_for.intersection(names))
        ]
        empty = empty or list(dict.fromkeys(lacks[0] for lacks in lacking if lacks))
    last = {fault.confirm: fault for fault, _ in wrong if fault.confirm}
    boxes = {name: _asking_box(name, error.faults, form) for name in last}
    faults = [
        (
            typeset(replace(fault, confirm="").text(label)),  # the box says how to confirm
            names,
            boxes.pop(fault.confirm, None) if fault is last.get(fault.confirm) else None,
        )
        for fault, names in wrong
    ]
    title = tr(TITLES[error.exit_status])
    html = rendered(
        "refused.html",
        title=title,
        faults=faults,
        needed=[(name, needed_as(name)) for name in empty],
        called=called,
    )
    said = [tr("Still needed: {fields}", fields=", ".join(map(needed_as, empty)))] if empty else []
    said += [f"{title}: {'; '.join(message for message, *_ in faults)}"] if faults else []
    return Answer(html, ". ".join(said), tuple(name for _, names, _ in faults for name in names))
