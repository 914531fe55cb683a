"""Cards: the answer in a line, what stands behind it, and where to look further."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, Field

from fludapk.answers.check_records import CheckResult
from fludapk.answers.headline import auc_text
from fludapk.answers.record import SEVERITIES, Remark, Severity, worst_first
from fludapk.pages.words import (
    DRUG,
    SEVERITY_WORDS,
    auc_line,
    interval_text,
    mg,
    stop_lines,
    typeset,
    who,
)
from fludapk.units import as_typed

MOST: Final = 140
"""Characters of a summary."""
INDICATORS: Final[Mapping[Severity, Literal["critical", "warning", "info"]]] = {
    "stop": "critical",
    "caution": "warning",
    "note": "info",
}
_BRIEF: Final = {
    "old_value": "old",
    "future_value": "dated in the future",
    "undated_value": "undated",
    "value_status": "not final",
}
"""Code of a caution on a value -> how the summary has it."""
_LEAST_LEAD: Final = 60
"""Characters of the summary that the answer itself keeps."""


class Source(BaseModel):
    """Whose answer it is."""

    label: str
    url: str


class Link(BaseModel):
    """A page to look further."""

    label: str
    url: str
    type: Literal["absolute"] = "absolute"


class Action(BaseModel):
    """A change of a draft."""

    type: Literal["update"] = "update"
    description: str
    resource: dict[str, Any]


class Suggestion(BaseModel):
    """Changes that may be accepted together."""

    label: str
    uuid: str
    actions: list[Action]


class Reason(BaseModel):
    """A reason not to follow the card."""

    code: str
    display: str
    system: str = "urn:fludapk:override-reasons"


REASONS: Final = (
    Reason(code="checked", display="Checked by hand or by the pharmacy"),
    Reason(code="levels", display="Levels will be measured"),
    Reason(code="protocol", display="Dose of the protocol or trial"),
    Reason(code="values", display="Newer or better values are known"),
)


class Card(BaseModel):
    """An answer at the order."""

    uuid: str
    summary: str = Field(max_length=MOST)
    indicator: Literal["info", "warning", "critical"]
    detail: str
    source: Source
    links: list[Link]
    suggestions: list[Suggestion] | None = None
    selectionBehavior: Literal["at-most-one"] | None = None  # noqa: N815
    overrideReasons: list[Reason] | None = None  # noqa: N815


# ------------------------------------------------------------------ an answer


class Told(NamedTuple):
    """Content of a request, for the card of its answer."""

    course: str
    """The infusions."""
    text: str
    """The order as it was written."""
    used: str
    """The values with their days."""
    lacks: str
    """Names of what a target needs and the request does not tell."""
    remarks: Sequence[Remark]
    """Remarks on the request, beside those of the check."""


def answer_card(
    r: CheckResult,
    told: Told,
    *,
    seed: str,
    address: str,
    suggestions: Sequence[Suggestion] = (),
) -> Card:
    """Card of a check.

    Parameters
    ----------
    r : CheckResult
    told : Told
    seed : str
        Name of the request, for the identifier of the card.
    address : str
        Address of the page with this patient.
    suggestions : sequence of Suggestion
    """
    every = worst_first([*r.remarks, *told.remarks])
    summary = with_values(_lead(r, told.lacks), told.remarks)
    detail = as_markdown(_lines(r, told, every))
    label = "Open this patient"
    if told.lacks:
        label = f"Add the {told.lacks} to see the chance against a target"
    return Card(
        uuid=identifier(seed, summary, detail),
        summary=summary,
        indicator=indicator(every),
        detail=detail,
        source=Source(
            label=f"fludapk {r.provenance.version}, {r.model_citation}",
            url=f"https://doi.org/{r.model_citation.rpartition('doi ')[2]}",
        ),
        links=[Link(label=label, url=address)],
        suggestions=list(suggestions) or None,
        selectionBehavior="at-most-one" if suggestions else None,
        overrideReasons=list(REASONS),
    )


def _lines(r: CheckResult, told: Told, remarks: Sequence[Remark]) -> list[str]:
    """Paragraphs behind a summary; a stop stands there once."""
    shown = [
        remark
        for remark in remarks
        if remark.severity != "stop" and not (told.lacks and remark.code == "no_target")
    ]
    return [
        who(r),
        f"Ordered: {typeset(told.course)}",
        f"Text of the order: {told.text}" if told.text else "",
        told.used,
        *stop_lines(r.headline),
        _chance(r, told.lacks),
        auc_line(r.headline, f"typical patient by {r.model}"),
        _doses(r),
        *r.headline.notes,
        *(f"{SEVERITY_WORDS[remark.severity]} {remark.message}" for remark in shown),
        r.disclaimer,
    ]


def _lead(r: CheckResult, lacks: str) -> str:
    """Stop, else the chance, else that there is none, with the AUC."""
    if r.headline.stops:
        return stop_lines(r.headline)[0]
    if r.headline.target is not None:
        return r.headline.sentence
    auc = f"AUC0-inf {auc_text(r.headline.auc_0_inf)} mg·h/L, {interval_text(r.headline)}"
    if lacks:
        return f"No target without the {lacks}: {auc}"
    return f"No published target fits this patient: {auc}"


def _chance(r: CheckResult, lacks: str) -> str:
    if r.headline.target is None and lacks:
        return f"No target without the {lacks}, which the request does not tell"
    return r.headline.sentence


def _doses(r: CheckResult) -> str:
    """Doses in mg, and their sum."""
    doses = r.regimen.doses_mg
    alike = len({f"{dose:.9g}" for dose in doses}) == 1
    each = f"{len(doses)} × {mg(doses[0])}" if alike else " + ".join(map(mg, doses))
    return (
        f"{each} {DRUG}; course {mg(r.regimen.total_mg)} mg "
        f"(= {mg(r.regimen.amount_f_ara_a_mg)} mg F-ara-A), {r.regimen.total_mg_m2:.0f} mg/m²"
    )


# ------------------------------------------------------------------ no answer


def stop_card(
    reasons: Sequence[str], *, seed: str, home: str, form: Mapping[str, str], lines: Sequence[str]
) -> Card:
    """Card of orders that pass a ceiling: nothing is computed."""
    told = [f"STOP: {reason}" for reason in reasons]
    return _refused(told[0], [*told, *lines], "critical", seed, f"{home}/{fragment(form)}", "")


def question_card(
    sentences: Sequence[str],
    *,
    seed: str,
    home: str,
    form: Mapping[str, str],
    lines: Sequence[str],
    confirm: str = "",
    severity: Severity = "caution",
) -> Card:
    """Card of orders or values that are not understood, or that look like a slip.

    Parameters
    ----------
    sentences : sequence of str
        Why nothing is computed.
    seed, home, form
        As `answer_card`.
    lines : sequence of str
        What was understood.
    confirm : str
        What the page can confirm.
    severity : {'caution', 'note'}
    """
    first, *others = sentences or ["not understood"]
    more = f" (and {len(others)} more)" if others else ""
    label = f"Open fludapk to confirm {confirm} or to correct it" if confirm else ""
    lead = f"{cut(f'Fludarabine not checked: {first}', MOST - len(more))}{more}"
    told = ["Nothing was computed.", *sentences, *lines]
    address = f"{home}/{fragment(form)}"
    return _refused(lead, told, INDICATORS[severity], seed, address, label)


def _refused(
    lead: str,
    lines: Iterable[str],
    how: Literal["info", "warning", "critical"],
    seed: str,
    address: str,
    label: str,
) -> Card:
    summary, detail = cut(lead), as_markdown(lines)
    return Card(
        uuid=identifier(seed, summary, detail),
        summary=summary,
        indicator=how,
        detail=detail,
        source=Source(label="fludapk", url=address.partition("#")[0]),
        links=[Link(label=label or "Open fludapk and type the values", url=address)],
        overrideReasons=list(REASONS) if how == "critical" else None,
    )


# ------------------------------------------------------------------ parts


def indicator(remarks: Iterable[Remark]) -> Literal["info", "warning", "critical"]:
    """Indicator of the worst remark.

    Examples
    --------
    >>> indicator([])
    'info'
    """
    severities = {remark.severity for remark in remarks}
    return INDICATORS[next((s for s in SEVERITIES if s in severities), "note")]


def with_values(lead: str, remarks: Sequence[Remark]) -> str:
    """Summary of an answer with what is wrong with the values it rests on.

    Parameters
    ----------
    lead : str
        Stop or chance.
    remarks : sequence of Remark
        Those on values say after their code which they are about, ``weight is 59 days old ...``.

    Examples
    --------
    >>> old = Remark(severity="caution", code="old_value", message="weight is 59 days old ...")
    >>> with_values("48 % chance of reaching 13.8 mg·h/L", [old])
    '48 % chance of reaching 13.8 mg·h/L; weight old'
    """
    kinds: dict[str, list[str]] = {}
    for remark in remarks:
        if remark.code in _BRIEF:
            name = remark.message.split(":")[0].split(" ")[0]
            kinds.setdefault(_BRIEF[remark.code], []).append(name)
    told = "".join(f"; {', '.join(dict.fromkeys(names))} {words}" for words, names in kinds.items())
    others = [r for r in remarks if r.severity == "caution" and r.code not in _BRIEF]
    if others and len(lead) + len(told) + 20 <= MOST:
        told += "; see cautions"
    if len(told) > MOST - _LEAST_LEAD:
        told = "; values old or doubtful"
    return f"{cut(lead, MOST - len(told))}{told}"


def cut(text: str, most: int = MOST) -> str:
    """Text of at most so many characters, cut between words.

    Examples
    --------
    >>> cut("one two three", 9)
    'one two …'
    """
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    return f"{kept.rpartition(' ')[0] or kept[:-1]} …"


def as_markdown(lines: Iterable[str]) -> str:
    """Paragraphs that Markdown shows as they are."""
    return "\n\n".join(unmarked(" ".join(line.split())) for line in lines if line)


def unmarked(text: str) -> str:
    r"""Text that Markdown shows as it is.

    Examples
    --------
    >>> print(unmarked("tisa_cel <b>"))
    tisa\_cel \<b\>
    """
    text = re.sub(r"([\\`*_\[\]<>#|~&!])", r"\\\1", text)
    return re.sub(r"^([-+=]|[0-9]{1,9}[.)](?=\s))", r"\\\1", text)


def identifier(*parts: str) -> str:
    """Identifier of a card: the same for the same request.

    Examples
    --------
    >>> identifier("a", "b") == identifier("a", "b"), identifier("a", "b") == identifier("ab")
    (True, False)
    """
    return str(uuid5(NAMESPACE_URL, "\n".join(("urn:fludapk:card", *parts))))


def fragment(form: Mapping[str, str]) -> str:
    """Fields of the page as the part of an address that browsers keep to themselves.

    Examples
    --------
    >>> fragment({"age": "5", "sex": ""}), fragment({})
    ('#age=5', '')
    """
    filled = {name: text for name, text in form.items() if text}
    return f"#{urlencode(filled)}" if filled else ""


def form_of(typed: Mapping[str, Any]) -> dict[str, str]:
    """Fields of the page for what would be typed.

    Examples
    --------
    >>> form_of({"age": 5.0, "weight": "18.2 kg", "scr": "0.3 mg/dL", "dose": "30 mg/m2"})["renal"]
    '0.3'
    """
    form: dict[str, str] = {}
    for name, value in typed.items():
        text = as_typed(value) if isinstance(value, str | float) else str(value)
        number, _, unit = text.partition(" ")
        if name in ("weight", "height", "dose", "infusion_time", "interval"):
            form |= {name: number, f"{name}_unit": unit}
        elif name == "scr":
            form |= {"renal": number, "renal_unit": unit}
        elif name == "age":
            form |= {"age": number, "age_unit": "years"}
        else:
            form[name] = text
    return form
