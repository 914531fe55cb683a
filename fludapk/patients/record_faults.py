"""Columns of records that could change the meaning of another: harmless, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.patients.clock import is_clock
from fludapk.patients.column_names import is_missing, known_column
from fludapk.patients.columns import few
from fludapk.patients.header_words import plain
from fludapk.patients.record_names import (
    CIRCUMSTANCES,
    LOGARITHMS,
    NEUTRAL,
    OF_COURSE,
    SELECTORS,
    UNREADABLE,
)
from fludapk.patients.records import NO, Records
from fludapk.units import canonical_unit, parse_number

Row = Sequence[str]

_OURS: Final = {
    "analyte": (
        "f-ara-a", "fara-a", "faraa", "2f-ara-a", "2-fluoro-ara-a", "2-f-ara-a", "fludarabine",
        "flu", "fludara", "fludarabine phosphate", "fludarabine_phosphate", "plasma f-ara-a",
        "f-ara-amp", "conc", "concentration", "pk", "fludarabin", "fludarabina",
    ),
    "specimen": ("plasma", "serum", "edta plasma", "edta-plasma", "blood plasma"),
    "route": (
        "iv", "i.v.", "intravenous", "infusion", "iv infusion", "intravenous infusion",
        "fludarabine", "fludarabine phosphate", "fludara", "flu",
    ),
}  # fmt: skip
"""Texts that say by themselves that a row is about F-ara-A, in plasma, infused."""
_NOT_CENTRAL: Final = (
    "depot",
    "gut",
    "abs",
    "absorption",
    "peripheral",
    "periph",
    "urine",
    "effect",
)
"""Names of compartments that are not the one into which fludarabine is infused."""
_AROUND: Final = re.compile(r"[(),]|\b(?:plasma|serum|levels?|conc|concentration|spiegel)\b")
"""Words beside the name of an analyte that do not make it another."""

_NEEDS: Final = {
    marked("compartment"): marked("keep the rows of the central compartment alone"),
    marked("analyte"): marked("keep the rows of F-ara-A (levels) and fludarabine (doses) alone"),
    marked("specimen"): marked("keep the rows of plasma alone"),
    marked("kind of row"): marked("keep the rows that are meant alone"),
    marked("route"): marked("keep the infusions of fludarabine alone"),
    marked("choice of rows"): marked("keep the rows that are meant alone"),
    marked("not read"): marked("keep the rows that are meant alone"),
    marked("patient"): marked("keep the rows of one patient"),
}


def id_faults(names: Sequence[str]) -> list[Fault]:
    """Find IDs of records that are empty beside others, or one ID that is written in two ways.

    Examples
    --------
    >>> [fault.found for fault in id_faults(["1", "", "1.0"])]
    ["the ID is empty in some records, and '1' in others", "'1' and '1.0' may be one ID"]
    >>> id_faults(["1", "2"])
    []
    """
    faults = []
    different = list(dict.fromkeys(filter(None, names)))
    if different and "" in names:
        do = tr("write the ID in every record: of merged cells only the first has it")
        found = tr("the ID is empty in some records, and {name!r} in others", name=different[0])
        faults.append(Fault("", found, do=do))
    first: dict[str, str] = {}
    for name in different:
        other = first.setdefault(re.sub(r"\.0+$", "", name.casefold()), name)
        if other != name:
            do = tr("write each ID in one way")
            found = tr("{name!r} and {other!r} may be one ID", name=other, other=name)
            faults.append(Fault("", found, do=do))
    return faults[:_SHOWN]


_SHOWN: Final = 5


def list_faults(records: Records, rows: Iterable[Row], *, with_levels: bool = False) -> list[Fault]:
    """Find columns by which the rows of a file are of several substances, routes or kinds.

    Parameters
    ----------
    records : Records
    rows : iterable of rows
    with_levels : bool
        Whether the levels are used as well as the doses.
    """
    columns = [
        (kind, name) for kind, names in SELECTORS.items() for name in names if records.has(name)
    ]
    unread = _unread(records)
    if not columns and not unread:
        return []
    doses, levels = _by_use(records, rows)
    groups = [(marked("doses"), doses), *([(marked("levels"), levels)] if with_levels else [])]
    faults = [
        fault
        for kind, name in columns
        for use, used in groups
        if (fault := _several(records, used, kind, name, use)) is not None
    ]
    for use, used in groups:
        faults += _told_apart(records, used, unread, use)
    return faults


def _unread(records: Records) -> list[int]:
    """Places of columns that are not read and may hold more than circumstances."""
    layout = records.layout
    places = {*range(len(layout.header))} - layout.dismissed
    return [
        place
        for place in sorted(places - layout.meaning.keys() - layout.recorded.keys())
        if not CIRCUMSTANCES & {*plain(layout.header[place]).split("_")}
    ]


def _told_apart(
    records: Records, rows: Sequence[Row], unread: Sequence[int], use: str
) -> Iterator[Fault]:
    """Faults of columns that are not read, and whose words differ among the rows of one ID."""
    layout = records.layout
    for place in unread:
        is_id = known_column(layout.header[place]) == ("id", "")
        told: dict[str, dict[str, str]] = {}
        for cells in rows:
            text = cells[place].strip() if place < len(cells) else ""
            words = text if is_id else _words(text)
            told.setdefault(layout.id_of(cells), {}).setdefault(words, text)
        apart = next((list(texts.values()) for texts in told.values() if len(texts) > 1), None)
        if apart is None:
            continue
        column = layout.header[place].strip()
        kind = "patient" if is_id else "not read"
        shown = few([text or tr("(empty)") for text in apart], most=4)
        found = tr("{column} ({kind}) tells {rows} apart: {values}",
                   column=column, kind=tr(kind), rows=tr(use), values=shown)  # fmt: skip
        do = tr("{keep}; if they are, {leave_out}",
                keep=tr(_NEEDS[kind]), leave_out=records.without(column))  # fmt: skip
        yield Fault("", found, do=do)


def _words(text: str) -> str:
    """Letters of a text that is no number and no time; numbers beside them do not count."""
    if is_missing(text) or is_clock(text):
        return ""
    try:
        float(text)
    except ValueError:
        return "".join(filter(str.isalpha, text.casefold()))
    return ""


def _by_use(records: Records, rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Doses, and levels; rows that cannot be read are refused later, with their course."""
    doses: list[Row] = []
    levels: list[Row] = []
    for cells in rows:
        try:
            if records.is_set_aside(cells):
                continue
            if records.is_dose(cells):
                doses.append(cells)
            elif records.is_level(cells) and not records.flag(cells, "mdv"):
                levels.append(cells)
        except InputError:
            continue
    return doses, levels


def _several(records: Records, rows: Sequence[Row], kind: str, name: str, use: str) -> Fault | None:
    """Fault of one column that tells the rows apart, or names something else."""
    values = list(dict.fromkeys(_plain(records.text(cells, name)) for cells in rows))
    column = records.called(name)
    keep = tr("{keep}; if they are, {leave_out}",
              keep=tr(_NEEDS[kind]), leave_out=records.left_out(name))  # fmt: skip
    shown_kind, shown_use = tr(kind), tr(use)
    if len(values) > 1:
        shown = few([value or tr("(empty)") for value in values], most=4)
        found = tr("{column} ({kind}) tells {rows} apart: {values}",
                   column=column, kind=shown_kind, rows=shown_use, values=shown)  # fmt: skip
        return Fault("", found, do=keep)
    ours = _OURS.get(kind)
    only = values[0] if values else ""
    is_other = ours is not None and only and not _is_code(only) and _core(only) not in ours
    if is_other or (kind == "compartment" and only in _NOT_CENTRAL):
        found = tr("{column} = {value!r} ({kind} of all {rows}) is not one we know",
                   column=column, value=only, kind=shown_kind, rows=shown_use)  # fmt: skip
        return Fault("", found, do=keep)
    return None


def _plain(text: str) -> str:
    """A value as it is compared: 1.0 is 1."""
    try:
        number, rest = parse_number(text, "")
    except InputError:
        return text.strip().lower()
    return text.strip().lower() if rest else f"{number:g}"


def _core(value: str) -> str:
    """A value without words that do not make it another, unless it is all of such words."""
    return " ".join(_AROUND.sub(" ", value).split()) or value


def _is_code(text: str) -> bool:
    return text.replace(".", "").replace("-", "").isdigit()


def course_faults(records: Records, rows: Sequence[Row]) -> list[Fault]:
    """Find columns that would change the doses or levels of one course, or tell courses apart."""
    faults = []
    for name in filter(records.has, OF_COURSE):
        values = {_plain(text) for cells in rows if (text := records.text(cells, name))}
        if len(values) > 1:
            do = tr("give each course an ID of its own, its TIME from its own first dose")
            found = tr("tells {n} courses of one ID apart", n=len(values))
            faults.append(Fault(records.called(name), found, do=do))
    faults += _dose_unit_faults(records, rows)
    for name in filter(records.has, NEUTRAL):
        faults += _not_neutral(records, rows, name, NEUTRAL[name])
    for name in filter(records.has, UNREADABLE):
        faults += _not_neutral(records, rows, name, ())
    faults += _occasion_faults(records, rows)
    return faults


def _dose_unit_faults(records: Records, rows: Sequence[Row]) -> Iterator[Fault]:
    """Fault of a dose whose unit, in a column of units, is not mg."""
    for cells in rows if records.has("dv_unit") else ():
        text = records.text(cells, "dv_unit")
        is_other = text.lower() not in ("", "mg") and canonical_unit(text, "concentration") is None
        if is_other and _is_dose(records, cells):
            found = tr("= {typed} is not used here", typed=text)
            yield Fault(records.called("dv_unit"), found, do=tr("write amounts in mg"))
            return


_DO: Final = {
    "ss": marked("write each dose of the course as a record of its own, from the first"),
    "limit": marked("a level between two limits is not read: take the record out"),
    "lod": marked("what is below the limit of quantification has that limit in LLOQ"),
    **dict.fromkeys(("amtu", "amt_unit", "dose_unit", "doseu"), marked("write amounts in mg")),
    **dict.fromkeys(
        ("timeu", "time_unit"),
        marked("write times in h, or the unit into the name: TIME_MIN, TIME_DAYS"),
    ),
    **dict.fromkeys(
        ("dur_unit", "duration_unit", "tinf_unit", "duru"),
        marked("write the length of infusions in h, or the unit into the name: DUR_MIN"),
    ),
    **dict.fromkeys(
        ("rate_unit", "rateu"),
        marked("write rates in mg/h, or the unit into the name: RATE_MG_MIN"),
    ),
}
_READS: Final = {
    **dict.fromkeys(("amtu", "amt_unit", "dose_unit", "doseu"), ("mg",)),
    **dict.fromkeys(
        ("timeu", "time_unit", "dur_unit", "duration_unit", "tinf_unit", "duru"),
        ("h", "hr", "hrs", "hour", "hours"),
    ),
    **dict.fromkeys(("rate_unit", "rateu"), ("mg/h", "mg/hr", "mg/hour")),
}
"""Units that a column of units may say."""


def _not_neutral(
    records: Records, rows: Sequence[Row], name: str, harmless: Sequence[float]
) -> list[Fault]:
    """Fault of the first value of a column that is not used and would change a result."""
    for cells in rows:
        text = records.text(cells, name)
        if text.lower() in NO or text.lower() in _READS.get(name, ()):
            continue
        try:
            number, rest = parse_number(text, name)
            if not rest and number in harmless:
                continue
        except InputError:
            pass
        column = records.called(name)
        leave_out = tr("if it changes nothing, {leave_out}", leave_out=records.left_out(name))
        do = tr(_DO[name]) if name in _DO else leave_out
        if name in LOGARITHMS:
            if records.has("dv"):  # beside the levels themselves
                continue
            do = tr("write the levels themselves, not their logarithms")
        return [Fault(column, tr("= {typed} is not used here", typed=text), do=do)]
    return []


def _occasion_faults(records: Records, rows: Sequence[Row]) -> list[Fault]:
    """Fault of occasions that are not those of the doses; here each dose begins an occasion."""
    if not records.has("occ"):
        return []
    doses = [(k, _plain(records.text(cells, "occ"))) for k, cells in enumerate(rows)
             if _is_dose(records, cells)]  # fmt: skip
    names = [name for _, name in doses]
    every = {_plain(records.text(cells, "occ")) for cells in rows} - {""}
    if len(every) <= 1 or not doses:
        return []
    column = records.called("occ")
    fault = Fault(
        column,
        tr("tells {n} occasions apart, but not dose by dose", n=len(every)),
        do=tr("here each dose begins an occasion; {leave_out}", leave_out=records.left_out("occ")),
    )
    if len(set(names)) != len(names):
        return [fault]
    for k, cells in enumerate(rows):
        name = _plain(records.text(cells, "occ"))
        before = [occasion for place, occasion in doses if place <= k]
        after = [occasion for place, occasion in doses if place > k]
        near = {"", *before[-1:], *(after[:1] if _at_a_dose(records, rows, k) else [])}
        if before and name not in near:
            return [fault]
    return []


def _is_dose(records: Records, cells: Row) -> bool:
    try:
        return records.is_dose(cells)
    except InputError:
        return False


def _at_a_dose(records: Records, rows: Sequence[Row], k: int) -> bool:
    """Tell a record just before the next dose, which may count to either occasion."""
    return k + 1 < len(rows) and _is_dose(records, rows[k + 1])
