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
from fludapk.pages.check_sheet import check_html
from fludapk.pages.compare_sheet import compare_html
from fludapk.pages.dose import dose_html, goal_line
from fludapk.pages.templates import calculated_at, environment
from fludapk.pages.update import answer_lines
from fludapk.pages.update_sheet import update_html
from fludapk.pages.words import (
    auc_line,
    stop_lines,
    typical_by,
)
from fludapk.patients.fields import label
from fludapk.web.forms import (
    CALLED,
    as_typed,
    box_name,
    check_asked,
    compare_asked,
    confirmed_in,
    dose_asked,
    fields_of_form,
    update_asked,
)
from fludapk.web.problems import TITLES, validation_faults

HERE: Final = Path(__file__).parent


def rendered(template: str, **context: Any) -> str:
    """Fill a template of the server."""
    return environment(HERE / "templates").get_template(template).render(**context)


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
        Box(box_name(name), as_typed(form, name), f"Confirmed: {name}")
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


def _said(r: CheckResult) -> str:
    """Answer in a sentence: stop, chance, AUC."""
    line = auc_line(r.headline, typical_by(r.model))
    return f"{'. '.join([*stop_lines(r.headline), r.headline.sentence, line])}."


def _said_of_dose(r: DoseResult) -> str:
    chance = [*stop_lines(r.headline), r.headline.sentence]
    dose = [] if r.answer is None else [f"{r.answer.dose_mg:g} mg per dose", goal_line(r)]
    return f"{'. '.join([*chance, *dose])}."


def _said_of_comparison(r: CompareResult) -> str:
    return f"{'. '.join([*(f'STOP: {stop}' for stop in r.headline.stops), r.headline.sentence])}."


def _said_of_update(r: UpdateResult) -> str:
    """Answer in a sentence: stop, chance, AUC, the dose that is left."""
    lines = [*stop_lines(r.headline), r.headline.sentence, *answer_lines(r)[:2]]
    return f"{'. '.join(line.rstrip('.') for line in lines)}."


def checked(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a check."""
    result = check_asked(form).answer(folders)
    return Answer(check_html(result, whole=False), _said(result))


def dosed(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a dose."""
    result = dose_asked(form).answer(folders)
    return Answer(dose_html(result, whole=False), _said_of_dose(result))


def compared(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of a comparison."""
    result = compare_asked(form).answer(folders)
    return Answer(compare_html(result, whole=False), _said_of_comparison(result))


def updated(form: Mapping[str, str], folders: Folders) -> Answer:
    """Answer the form of levels."""
    result = update_asked(form).answer(folders)
    return Answer(update_html(result, whole=False), _said_of_update(result))


def answered(make: Callable[[], Answer], form: Mapping[str, str]) -> Answer:
    """Return an answer, or why there is none."""
    try:
        with calculated_at():
            answer = make()
    except FludapkError as error:
        answer = refusal(error, form)
    except ValidationError as error:
        answer = refusal(InputError(*validation_faults(map(dict, error.errors()))), form)
    return replace(answer, boxes=confirmed_boxes(form))


def _asking_box(name: str, faults: Sequence[Fault], form: Mapping[str, str]) -> Box:
    """Box that confirms everything that is asked about by one name."""
    meant = [fault.meant for fault in faults if fault.confirm == name]
    verb = "is" if len(meant) == 1 else "are"
    return Box(box_name(name), as_typed(form, name), f"Yes, {' and '.join(meant)} {verb} meant")


def refusal(error: FludapkError, form: Mapping[str, str]) -> Answer:
    """Say what was refused, with a box for each value that may be confirmed."""
    title = TITLES[error.exit_status]
    last = {fault.confirm: fault for fault in error.faults if fault.confirm}
    boxes = {name: _asking_box(name, error.faults, form) for name in last}
    faults = [
        (
            replace(fault, confirm="").text(label),  # the box says it
            fields_of_form(fault, form),
            boxes.pop(fault.confirm, None) if fault is last.get(fault.confirm) else None,
        )
        for fault in error.faults
    ]
    html = rendered("refused.html", title=title, faults=faults, called=CALLED)
    said = f"{title}: {'; '.join(message for message, *_ in faults)}"
    return Answer(html, said, tuple(name for _, names, _ in faults for name in names))
