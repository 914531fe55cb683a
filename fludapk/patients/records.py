"""Cells of records and of files of levels: flags, events, times, and rows that are set aside."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import all_of, marked, tr
from fludapk.patients.clock import (
    NO_CLOCK,
    Clock,
    ClockTime,
    divided,
    is_clock,
    read_clock,
    read_hours,
)
from fludapk.patients.columns import Layout
from fludapk.units import parse_number

YES: Final = frozenset({
    "1", "true", "t", "yes", "y", "x", "blq", "bql", "bloq", "blloq", "lloq", "<lloq", "<loq", "<",
    "below", "ja", "oui", "si", "sí", "wahr", "vrai", "c", "#", "excluded", "excl", "ignore",
})  # fmt: skip
NO: Final = frozenset({
    "", "0", "false", "f", "no", "n", "nein", "non", "falsch", "faux", "-", "above", "ok",
})  # fmt: skip
COMMENTS: Final = ("#", "@", ";", "!")
"""Begin a row that is not data."""
FAR_APART_H: Final = 336.0
"""Two weeks: doses of one course, or a level and the dose before it, are nearer; 24 h in minutes
are not."""

_DIGITS: Final = re.compile(r"-?\d{1,15}(?:\.\d{0,15})?")
_MIDNIGHT: Final = re.compile(r"[T ]0{1,2}:00(:00(\.0+)?)?$")
_DAY: Final = re.compile(r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})")
_ORDERS: Final = {"dat1": "dmy", "dat2": "ymd", "dat3": "ydm"}
"""Order of day, month and year in the columns of NONMEM; DATE is month, day, year there, and
elsewhere day, month, year."""
_DATES: Final = ("date", *_ORDERS)


@dataclass(frozen=True)
class Records:
    """Cells of records by the meaning of their columns.

    Parameters
    ----------
    layout : Layout
        Columns of the file.
    can_map : bool
        Whether a column can be left out where the file is read, besides taking it out of the file.

    Examples
    --------
    >>> records = Records(Layout.read("ID TIME AMT RATE EVID AGE WT HT EGFR".split()))
    >>> records.number("1 0 24 48 1 6 20 118 110".split(), "rate")
    48.0
    """

    layout: Layout
    can_map: bool = True

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of the column of each meaning."""
        return {what: place for place, (what, _) in self.layout.recorded.items()}

    def has(self, *whats: str) -> bool:
        """Tell whether there is a column of one of these meanings."""
        return not self.places.keys().isdisjoint(whats)

    def called(self, what: str) -> str:
        """Name of a column in the file, or the one it would have."""
        place = self.places.get(what)
        return what.upper() if place is None else self.layout.header[place].strip()

    def unit(self, what: str) -> str:
        """Unit in the name of a column; empty without one."""
        place = self.places.get(what)
        return "" if place is None else self.layout.recorded[place][1]

    def left_out(self, what: str) -> str:
        """Say how to leave a column of this meaning out."""
        return self.without(self.called(what))

    def without(self, column: str) -> str:
        """Say how to leave a column out."""
        if self.can_map:
            shown = repr(column) if " " in column else column
            return tr("leave it out by {names} {column}=-", column=shown)
        return tr("take the column {column} out of the file", column=column)

    def text(self, cells: Sequence[str], what: str) -> str:
        """Read a cell; empty if it or its column is missing."""
        place = self.places.get(what)
        return "" if place is None else self.layout.cell(cells, place)

    def number(self, cells: Sequence[str], what: str, absent: float | None = 0.0) -> float:
        """Read a number; `absent` where there is none.

        Raises
        ------
        InputError
            If it is no number, or is missing and `absent` is None.
        """
        text = self.text(cells, what)
        if not text:
            if absent is None:
                raise InputError(Fault(self.called(what), tr("is missing")))
            return absent
        if _DIGITS.fullmatch(text):
            return float(text)
        name = self.called(what)
        value, rest = parse_number(text, name)
        if rest:
            raise InputError(Fault(name, tr("= {typed!r} is not a number", typed=text)))
        return value

    def flag(self, cells: Sequence[str], what: str) -> bool | None:
        """Read a mark as a spreadsheet, R or pandas writes it; None where nothing is written.

        Raises
        ------
        InputError
            If it is neither yes nor no.
        """
        text = self.text(cells, what)
        word = text.lower().replace(" ", "")
        word = re.sub(r"^([01])\.0*$", r"\1", word)
        if word in YES:
            return True
        if word in NO:
            return False if word else None
        allowed = tr("1 (yes) or 0 (no)")
        raise InputError(Fault(self.called(what), f"= {text!r}", allowed=allowed))

    # -------------------------------------------------------------- rows

    def is_comment(self, cells: Sequence[str]) -> bool:
        """Tell a row that is blank, or that begins like a comment."""
        first = next((cell.strip() for cell in cells if cell.strip()), "")
        return not first or first.startswith(COMMENTS)

    def is_set_aside(self, cells: Sequence[str]) -> bool:
        """Tell a row that the file marks as not to be used.

        Raises
        ------
        InputError
            If the mark cannot be read.
        """
        return self.has("excluded") and bool(self.flag(cells, "excluded"))

    def is_dose(self, cells: Sequence[str]) -> bool:
        """Tell a dose from other records; without EVID, by its amount.

        Raises
        ------
        InputError
            If the event is one that is not read.
        """
        return self._event(cells) == 1

    def is_level(self, cells: Sequence[str]) -> bool:
        """Tell a record that may hold a level, MDV aside; raises as `is_dose`."""
        return self._event(cells) == 0

    def _event(self, cells: Sequence[str]) -> float:
        if not self.has("evid"):
            return float(any(self.number(cells, what) != 0 for what in ("amt", "dose_mg")))
        event = self.number(cells, "evid", absent=None)
        if event in (3, 4):
            do = tr("give each course an ID of its own, its TIME from its own first dose")
            found = tr("= {event:g}: only 0, 1 and 2 are read; a reset begins another course",
                       event=event)  # fmt: skip
            raise InputError(Fault(self.called("evid"), found, do=do))
        if event not in (0, 1, 2):
            found = tr("= {event:g}: only 0, 1 and 2 are read", event=event)
            raise InputError(Fault(self.called("evid"), found))
        return event

    # -------------------------------------------------------------- times

    def time(self, cells: Sequence[str]) -> str:
        """Read hours with their unit, or date and time of day; empty if there are none.

        Raises
        ------
        InputError
            If hours stand beside a date.
        """
        time, name = self.text(cells, "time"), self.called("time")
        dates = [what for what in _DATES if self.text(cells, what)] if self.has(*_DATES) else []
        if len(dates) > 1:
            names = all_of(map(self.called, dates))
            raise InputError(Fault(names, tr("are both dates"), do=tr("leave one out")))
        if not dates:
            unit = self.unit("time")
            return f"{time} {unit}" if unit and _is_bare(time) else time
        date = _iso(self.text(cells, dates[0]), dates[0])
        if time and not is_clock(time):
            found = tr("= {time!r} beside {column} {date!r} is no clock time",
                       time=time, column=self.called(dates[0]), date=date)  # fmt: skip
            do = tr(
                'write "10:30" for half past ten; if these are hours from the first dose, {column} '
                "has no place: {leave_out}",
                column=self.called(dates[0]),
                leave_out=self.left_out(dates[0]),
            )
            raise InputError(Fault(name, found, do=do))
        if is_clock(time) and not re.match(r"\d{1,2}:\d{2}", time):
            if not time.startswith(date):
                found = tr("= {time!r} has a date of its own beside {column} {date!r}",
                           time=time, column=self.called(dates[0]), date=date)  # fmt: skip
                raise InputError(Fault(name, found))
            return time
        return f"{date} {time}".strip() if time else self.text(cells, dates[0])

    def times_h(
        self, rows: Sequence[Sequence[str]], first: int, zone: str | None = None
    ) -> tuple[list[float], str | None, bool]:
        """Read the times of the records of a course, in the order of the file.

        Parameters
        ----------
        rows : sequence of rows
            Records of one course.
        first : int
            Place of the record of the first dose.
        zone : str, optional
            Time zone of clock times.

        Returns
        -------
        hours : list of float
            h from the first dose.
        first_dose : str or None
            The first dose by the clock, if times are clock times.
        may_change : bool
            True if clocks may have changed between them, as far as we cannot know.

        Raises
        ------
        InputError
            If a time cannot be read.
        """
        texts = [self.time(cells) for cells in rows]
        clocks = [is_clock(text) for text in texts]
        name = self.called("time")
        if any(clocks) and not all(clocks):
            found = tr("= {typed!r}, and another record has date and time",
                       typed=texts[clocks.index(False)])  # fmt: skip
            raise InputError(Fault(name, found, do=tr("write all times of a course in one way")))
        if all(clocks) and all(_MIDNIGHT.search(text) for text in texts):
            raise InputError(midnight(name, texts[0]))
        for text in texts:
            divided(text, name)  # names what cannot be read
        clock = read_clock(texts[first], zone) if all(clocks) else NO_CLOCK
        hours, at = zip(*[self.hours(text, clock, key=name) for text in texts], strict=True)
        may_change = any(each.changes for each in at if each is not None)
        first_dose = texts[first] if all(clocks) else None
        return [hour - hours[first] for hour in hours], first_dose, may_change

    def hours(self, text: str, clock: Clock, *, key: str) -> tuple[float, ClockTime | None]:
        """Read the text of a time; a number without unit is in h."""
        if not text:
            raise InputError(Fault(key, tr("is missing")))
        return read_hours(text, clock, key=key)


def order_faults(records: Records, times: Sequence[float], starts: Sequence[float]) -> list[Fault]:
    """Faults of times that go backwards, or that are too far apart or too near for hours.

    Parameters
    ----------
    records : Records
    times : sequence of float
        Times of the records of a course, h.
    starts : sequence of float
        Starts of its doses, h.
    """
    name = records.called("time")
    if any(later <= earlier for earlier, later in itertools.pairwise(starts)):
        found = tr("{column} of the doses must ascend, each later than the one before", column=name)
        return [Fault("", found)]
    do = tr("sort the records of an ID by time, and give each course an ID of its own")
    for earlier, later in itertools.pairwise(times):
        if later < earlier:
            found = tr(
                "goes backwards within an ID, from {earlier:g} to {later:g} h after its first dose",
                earlier=earlier,
                later=later,
            )
            return [Fault(name, found, do=do)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    if gaps and max(gaps) > FAR_APART_H:
        found = tr("puts {hours:g} h between two doses of a course", hours=max(gaps))
        return [Fault(name, found, do=tr(_MINUTES))]
    is_bare = not records.unit("time") and not records.has("date")
    if is_bare and len(gaps) > 1 and all(0.9 <= gap <= 1.1 for gap in gaps):
        found = tr("puts 1 h between all doses of a course")
        do = tr("are these days? Call the column TIME_DAYS, or TIME_H if hours are meant")
        return [Fault(name, found, do=do)]
    return []


_MINUTES: Final = marked(
    "are these minutes? Call the column TIME_MIN. Doses of another course have an ID of their own"
)


def midnight(name: str, text: str) -> Fault:
    """Word the fault of times that are all midnight, as a spreadsheet writes dates."""
    found = tr("= {typed!r}: all times are midnight, so this is a date without its time of day",
               typed=text)  # fmt: skip
    return Fault(name, found, do=tr("add the hours and minutes; 00:01 if midnight is meant"))


def is_midnight(text: str) -> bool:
    """Tell a clock time at midnight, which a date without time looks like.

    Examples
    --------
    >>> is_midnight("2026-01-14 00:00:00"), is_midnight("2026-01-14 10:30")
    (True, False)
    """
    return _MIDNIGHT.search(text) is not None


def _is_bare(text: str) -> bool:
    """Tell a number without a unit."""
    try:
        return not parse_number(text, "")[1]
    except InputError:
        return False


def _iso(text: str, column: str) -> str:
    """Date of a column whose name says the order of day, month and year; else as it is."""
    text = _MIDNIGHT.sub("", text)
    match = _DAY.fullmatch(text)
    if column not in _ORDERS or match is None:
        return text
    parts = dict(zip(_ORDERS[column], match.groups(), strict=True))
    if len(parts["y"]) != 4:
        do = tr("write the year with four digits")
        raise InputError(Fault(column.upper(), f"= {text!r}", do=do))
    return f"{parts['y']}-{parts['m']:0>2}-{parts['d']:0>2}"
