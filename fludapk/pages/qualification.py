"""The record of a qualification, on a terminal and as a page to print, sign and file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fludapk.answers.qualification_records import (
    SECTIONS,
    Checked,
    Qualification,
    Section,
    Since,
    of_section,
    word,
)
from fludapk.pages.layout import Strong, fitted, paragraph, table
from fludapk.pages.templates import sheet
from fludapk.pages.words import typeset

ROLES: Final = ("Performed by", "Reviewed by", "Approved for use by", "Valid until")
_ONE_ROW_EACH: Final = ("known_answers", "hospital")
"""Sections whose many values of one case stand in a row."""
_MOST_OF_A_KIND: Final = 5


def qualification_page(record: Qualification, width: int, strong: Strong = str) -> str:
    """Draw the verdict, the counts, and everything that is not as expected.

    Parameters
    ----------
    record : Qualification
    width : int
        Characters of a line.
    strong : callable, optional
        Sets off what must not be missed.
    """
    counts = [
        ("ok" if good == total else "MISS", f"{good} of {total}", SECTIONS[section])
        for section, good, total in record.counts()
    ]
    blocks = [
        f"fludapk {record.version}: {strong(verdict(record))}",
        table(counts, width, indent=0, right="1"),
    ]
    if record.deviations:
        blocks.append("\n".join(["Deviations", *_few(record.deviations, width)]))
    if not record.performance:
        blocks.append(paragraph(record.credibility.validation, width))
    if record.since is not None:
        head, *rest = since_lines(record.since)
        blocks.append("\n".join([fitted(head, width), *_few(rest, width)]))
    here = record.installation
    blocks.append(
        paragraph(
            f"{here.python} on {here.platform}; {here.installed_from}; record sha256 "
            f"{record.sha256}",
            width,
        )
    )
    return typeset("\n\n".join(blocks))


def _few(items: Sequence[str], width: int) -> list[str]:
    """List the first items of each kind; all of them are in the page and the JSON."""
    lines: list[str] = []
    for kind in dict.fromkeys(item.partition(": ")[0] for item in items):
        same = [item for item in items if item.partition(": ")[0] == kind]
        lines += [_item(text, width) for text in same[:_MOST_OF_A_KIND]]
        if len(same) > _MOST_OF_A_KIND:
            lines.append(f"- {kind}: {len(same) - _MOST_OF_A_KIND} more, see the record")
    return lines


def _item(text: str, width: int) -> str:
    """Wrap an item of a list under its dash."""
    return f"- {paragraph(text, width, 2).lstrip()}"


def verdict(record: Qualification) -> str:
    """Word the verdict."""
    if record.passed:
        return "everything is as expected on this machine"
    n = len(record.deviations)
    return f"NOT as expected: {n} deviation{'s' if n > 1 else ''}"


def since_lines(since: Since) -> list[str]:
    """Word what has changed since an earlier record."""
    head = f"Since the record of version {since.version} (sha256 {since.sha256[:12]})"
    if since.is_same:
        return [f"{head}: nothing has changed"]
    moved = since.hospital_cases_moved
    lines = [f"{head}:", f"cases of the hospital that moved: {', '.join(moved) or 'none'}"]
    lines += [f"version of {text}" for text in since.versions]
    lines += [f"model {text}" for text in since.models]
    lines += [f"{SECTIONS[row.section]}: {row}" for row in since.moved]
    if since.added:
        lines.append(f"{len(since.added)} values are new")
    if since.removed:
        lines.append(f"{len(since.removed)} values are no longer compared")
    if not since.moved:
        lines.append("no value has moved")
    return lines


def qualification_html(record: Qualification, *, whole: bool = True) -> str:
    """Draw the record as one self-contained page; see `fludapk.pages.templates.sheet`."""
    sections = [
        (section, SECTIONS[section], good, total, list(_rows(record, section)))
        for section, good, total in record.counts()
        if section != "hospital"
    ]
    return sheet(
        "qualification.html",
        whole=whole,
        record=record,
        verdict=verdict(record),
        sections=sections,
        cases=list(_rows(record, "hospital")),
        since=[] if record.since is None else since_lines(record.since),
        roles=ROLES,
        disclaimer=record.disclaimer,
        made={
            "version": f"fludapk {record.version}",
            "hashes": [("record", record.sha256)],
            "draws": f"{len(record.checks)} values compared",
        },
    )


Shown = tuple[str, str, str, str, str, bool]
"""Name, quantity, expected, computed, source, and true if it is as expected."""


def _rows(record: Qualification, section: Section) -> Iterator[Shown]:
    """Word the comparisons of a section; a case that is whole stands in one row."""
    checks = of_section(record.checks, section)
    if section not in _ONE_ROW_EACH:
        yield from map(_row, checks)
        return
    for name in dict.fromkeys(row.name for row in checks):
        rows = [row for row in checks if row.name == name]
        judged = [row for row in rows if row.expected is not None and row.ok]
        if judged:
            yield _in_one_row(name, judged)
        yield from (_row(row) for row in rows if not row.ok)
        if section == "hospital":
            yield from (_row(row) for row in rows if row.ok and row.expected is None)


def _row(row: Checked) -> Shown:
    allowed = "" if row.allowed is None else f" ± {row.allowed:.3g}"
    expected = "–" if row.expected is None and row.ok else f"{_cut(row.expected)}{allowed}"
    return row.name, row.quantity, expected, _cut(row.computed), row.source, row.ok


def _in_one_row(name: str, rows: Sequence[Checked]) -> Shown:
    """Word the values of a case that are all as expected, the telling ones by name."""
    telling = [row for row in rows if row.quantity in _TELLING and row.computed not in (None, "")]
    values = "; ".join(f"{row.quantity} {_cut(row.computed)}" for row in telling)
    return name, f"{len(rows)} values", "all as expected", values, rows[0].source, True


_TELLING: Final = ("auc_0_inf", "dose_mg", "remaining_dose_mg", "flag", "stops", "refused")


def _cut(value: object) -> str:
    """Word a value, a hash by its first digits."""
    text = word(value)  # type: ignore[arg-type]
    return text[:12] if len(text) == 64 and " " not in text else text
