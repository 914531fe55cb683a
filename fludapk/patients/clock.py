"""Times as a clock shows them, counted in hours from the start of the first infusion.

The one reader of dates and times of day: in options, requests, forms, cells of lists and of files
of levels, and Python's own dates. A time that could be read in two ways is refused, never guessed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from fludapk.errors import Fault, InputError, gathered
from fludapk.language import any_of, tr
from fludapk.units import parse_quantity

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Moment: TypeAlias = str | dt.date | dt.time
"""A clock time as typed, or of Python; a date or a time of day alone is refused by name."""
Typed: TypeAlias = Moment | float
"""A clock time, or hours."""

_EXAMPLE: Final = '"2026-01-14 08:30"'
_LONGEST: Final = 200
"""Characters that are repeated in a fault."""
_YEARS: Final = (1900, 2999)
"""Outside these a year is a slip; records whose dates were shifted may lie ahead."""
_CHANGE_ENDS: Final = dt.time(4)
"""Clocks change in the small hours of a Sunday, and everywhere before this."""

_DATE: Final = r"(?:([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4}))"
_CLOCK: Final = re.compile(
    _DATE + r"(?:[Tt]|\s{1,3})([0-9]{1,2}):([0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:\s?([Zz]|[+-](?:0[0-9]|1[0-4]):[0-5][0-9]))?(?=[\s,;=<]|$)"
)
_LIKE_A_CLOCK: Final = re.compile(
    r"\s{0,9}[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[\s\S]{0,40}?[0-9]:[0-9]{2}(?![0-9])"
)
_DAY_ONLY: Final = re.compile(_DATE + r"(?![0-9]|[Tt\s]{1,3}[0-9]{1,2}:)")
_TIME_ONLY: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}")
_HALF_DAY: Final = re.compile(r"\s?[ap]\.?m\b", re.IGNORECASE)
_TWO_ORDERS: Final = re.compile(r"([0-9]{1,2})[-/]([0-9]{1,2})[-/]([0-9]{4})(?![0-9])")


@dataclass(frozen=True, kw_only=True)
class ClockTime:
    """A clock time as it was typed, and where it stands in the course."""

    typed: str
    hours: float
    """Hours from the first dose."""
    first_dose: str
    """First dose as it was typed."""
    basis: str = "clock"
    """Hours were counted as the "clock" showed, by the "offset" from UTC, or by a time zone."""
    changes: tuple[str, ...] = ()
    """Days in between on which clocks may have changed, where we cannot know."""
    shift_h: float = 0.0
    """Change of the offset from UTC since the first dose, where it is known."""

    def __str__(self) -> str:
        return self.typed


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A clock that counts from the first dose; see `read_clock`.

    Parameters
    ----------
    first_dose : datetime, optional
        Without it no clock time can be placed.
    typed : str
        The first dose as it was typed.
    zone : ZoneInfo, optional
        Zone of local times.

    Examples
    --------
    >>> clock = read_clock("2026-01-14 08:30")
    >>> clock.time("15.01.2026 08:00", "time_h").hours
    23.5
    """

    first_dose: dt.datetime | None = None
    typed: str = ""
    zone: ZoneInfo | None = None

    def time(self, value: Moment, key: str) -> ClockTime:
        """Place a clock time in the course.

        Parameters
        ----------
        value : str or datetime
        key : str
            Name of the input in Python, for faults.

        Raises
        ------
        InputError
            If it cannot be read, or not be compared with the first dose.
        """
        at, typed = _moment(value, key)
        if self.first_dose is None:
            do = tr("give {first_dose} too, the date and time of the first dose, as in {example}",
                    example=_EXAMPLE)  # fmt: skip
            raise InputError(Fault(key, tr("= {typed!r} is a clock time", typed=typed), do=do))
        at = _placed(at, self.zone, typed, key)
        start = self.first_dose
        if (at.tzinfo is None) != (start.tzinfo is None):
            found = tr("= {typed!r} has no offset from UTC and {first_dose} has one", typed=typed)
            if at.tzinfo is not None:
                found = tr(
                    "= {typed!r} has an offset from UTC and {first_dose} has none", typed=typed
                )
            do = tr(
                'write every clock time with its offset, as in "2026-01-14 08:30+01:00", or none, '
                "or give {time_zone}"
            )
            raise InputError(Fault(key, found, do=do))
        is_naive = at.tzinfo is None
        basis = "clock" if is_naive else "offset" if self.zone is None else self.zone.key
        return ClockTime(
            typed=typed,
            hours=float(f"{(at - start).total_seconds() / 3600:.12g}"),
            first_dose=self.typed,
            basis=basis,
            changes=clock_changes(start, at) if is_naive else (),
            shift_h=(_offset(at) - _offset(start)).total_seconds() / 3600,
        )


class _Unplaced(Clock):
    """A clock that finds faults in the form of clock times while the first dose is unreadable."""

    def time(self, value: Moment, key: str) -> ClockTime:
        _, typed = _moment(value, key)
        return ClockTime(typed=typed, hours=0.0, first_dose="")


UNPLACED: Final[Clock] = _Unplaced()
"""Clock for times whose first dose has a fault of its own."""
NO_CLOCK: Final = Clock()
"""Clock for times in hours, by which a clock time is refused."""


def read_clock(first_dose: Moment | None = None, time_zone: str | None = None) -> Clock:
    """Read the date and time of the first dose, and the time zone if there is one.

    Raises
    ------
    InputError
        With the faults of both.

    Examples
    --------
    >>> read_clock("2026-03-28 08:30", "Europe/Berlin").time("2026-03-29 08:30", "time_h").hours
    23.0
    """
    zone, moment = gathered(
        lambda: _zone(time_zone) if time_zone else None,
        lambda: None if first_dose in (None, "") else _moment(first_dose, "first_dose"),
    )
    if moment is None:
        return Clock(zone=zone)
    at, typed = moment
    return Clock(first_dose=_placed(at, zone, typed, "first_dose"), typed=typed, zone=zone)


def by_clock(
    first_dose: Moment | None,
    time_zone: str | None,
    *readings: Callable[[Clock], Any],
) -> list[Any]:
    """Return what every reading gives by the clock of a course.

    Raises
    ------
    InputError
        With the faults of all; a faulty first dose does not hide those of the readings.

    Examples
    --------
    >>> by_clock("2026-01-14 08:30", None, lambda clock: clock.time("2026-01-14 10:30", "").hours)
    [2.0]
    """
    try:
        clock = read_clock(first_dose, time_zone)
    except InputError as error:
        faulty = error

        def refused() -> NoReturn:
            raise faulty

        return gathered(refused, *(partial(read, UNPLACED) for read in readings))
    return gathered(*(partial(read, clock) for read in readings))


def read_hours(
    value: Typed, clock: Clock, *, key: str, unit: str | None = "h"
) -> tuple[float, ClockTime | None]:
    """Read hours from the first dose, or a clock time.

    Parameters
    ----------
    value : str, float or datetime
    clock : Clock
    key : str
        Name of the input in Python, for faults.
    unit : str or None
        The unit of a number without one; None if a unit is mandatory.

    Returns
    -------
    hours : float
    clock_time : ClockTime or None
        None if hours were typed.

    Examples
    --------
    >>> read_hours("90 min", NO_CLOCK, key="time_h")
    (1.5, None)
    """
    if isinstance(value, dt.date | dt.time) or (isinstance(value, str) and is_clock(value)):
        at = clock.time(value, key)
        return at.hours, at
    return parse_quantity(value, dimension="time", field=key, unit=unit).value, None


def is_clock(text: str) -> bool:
    """Tell a clock time, or what was meant as one, from hours.

    Examples
    --------
    >>> is_clock("2026-01-14 10:30"), is_clock("01/02/2026"), is_clock("10:30"), is_clock("2.5 h")
    (True, True, True, False)
    """
    return _LIKE_A_CLOCK.match(text) is not None


def divided(text: str, key: str) -> tuple[str, str] | None:
    """Divide a text into the clock time at its beginning and the rest; None if hours are there.

    Raises
    ------
    InputError
        If it is not a clock time as we read them.

    Examples
    --------
    >>> divided("2026-01-14T10:30 0.62 mg/L", "time_h"), divided("2h 0.62 mg/L", "time_h")
    (('2026-01-14T10:30', ' 0.62 mg/L'), None)
    """
    if not is_clock(text):
        return None
    stripped = text.strip()
    match = _CLOCK.match(stripped)
    if match is None or _HALF_DAY.match(stripped, match.end()):
        raise InputError(_unreadable(stripped, key))
    return match.group(), stripped[match.end() :]


def clock_changes(start: dt.datetime, end: dt.datetime) -> tuple[str, ...]:
    """List the days between two local times on which clocks change in Europe or North America.

    Examples
    --------
    >>> at = dt.datetime(2026, 3, 6, 8, 30)
    >>> clock_changes(at, at + dt.timedelta(days=2)), clock_changes(at, at)
    (('2026-03-08',), ())
    """
    early, late = sorted((start, end))
    return tuple(
        day.isoformat()
        for year in range(early.year, late.year + 1)
        for day in _change_days(year)
        if early < dt.datetime.combine(day, _CHANGE_ENDS)
        and late > dt.datetime.combine(day, dt.time())
    )


def _change_days(year: int) -> Iterator[dt.date]:
    """List the second Sunday of March, last of March, last of October, first of November."""
    for month, earliest in ((3, 8), (3, 25), (10, 25), (11, 1)):
        day = dt.date(year, month, earliest)
        yield day + dt.timedelta(days=(6 - day.weekday()) % 7)


# ------------------------------------------------------------------ reading


def _moment(value: Moment, key: str) -> tuple[dt.datetime, str]:
    """Return a date with its time, local or with an offset, and the same as text."""
    if isinstance(value, dt.datetime):
        if value != value:  # pandas writes a missing time as a date that is not itself
            raise InputError(Fault(key, tr("is not a time")))
        is_full = value.second or value.microsecond
        at = dt.datetime.combine(value.date(), value.timetz())  # of pandas, too, a plain date
        typed = at.isoformat(" ", "seconds" if is_full else "minutes")
    else:
        typed = " ".join(str(value).split())
        at = _parsed(typed, key)
    if not _YEARS[0] <= at.year <= _YEARS[1]:
        found = tr("= {typed!r} is in the year {year}", typed=typed[:_LONGEST], year=at.year)
        raise InputError(Fault(key, found, do=tr("check the year")))
    return at, typed


def _parsed(text: str, key: str) -> dt.datetime:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise InputError(_unreadable(text, key))
    *iso, day, month, year, hour, minute, seconds, offset = match.groups()
    date = "-".join(iso) if iso[0] else f"{year}-{month:0>2}-{day:0>2}"
    try:
        hours = dt.time(int(hour)).isoformat("hours")  # newer Pythons take 24:00 as well
        rest = f"{minute}{seconds or ':00'}{(offset or '').upper()}"
        return dt.datetime.fromisoformat(f"{date}T{hours}:{rest}")
    except ValueError:
        do = tr("check day, month and hour; midnight is 00:00 of the next day")
        found = tr("= {typed!r} is not a date and time that exists", typed=text)
        raise InputError(Fault(key, found, do=do)) from None


def _unreadable(text: str, key: str) -> Fault:
    """Say why a text is not a clock time as we read them, and what to write."""
    start = text.strip()
    time = _TIME_ONLY.search(start)
    found = tr("= {typed!r} is not a date and time as we read them", typed=start[:_LONGEST])
    do = tr('write {example} or "14.01.2026 08:30"', example=_EXAMPLE)
    if time and _HALF_DAY.match(start, time.end()):
        found = tr("= {typed!r} has am or pm", typed=start[:_LONGEST])
        do = tr('write the hour from 00 to 23, as in "2026-01-14 20:30"')
    elif orders := _TWO_ORDERS.match(start):
        days = _readings(*orders.groups())
        if len(days) > 1:
            found = tr("= {typed!r} is ambiguous, day or month first", typed=start[:_LONGEST])
        do = _write(days, time.group() if time else "")
    elif _DAY_ONLY.match(start):
        found = tr("= {typed!r} has no clock time", typed=start[:_LONGEST])
        do = tr("add hours and minutes, as in {example}", example=_EXAMPLE)
    elif _TIME_ONLY.match(start):
        found = tr("= {typed!r} is a time of day without its date", typed=start[:_LONGEST])
        do = tr("write both, as in {example}", example=_EXAMPLE)
    return Fault(key, found, do=do)


def _write(days: Sequence[str], time: str) -> str:
    """Say how a date of unknown order is written, as far as it can be a date."""
    shown = [f'"{day} {time:0>5}"' if time else f'"{day}"' for day in days] or [_EXAMPLE]
    if time or not days:
        return tr("write {example}", example=any_of(shown))
    return tr("write {date}, with its clock time, as in {example}",
              date=any_of(shown), example=_EXAMPLE)  # fmt: skip


def _readings(first: str, second: str, year: str) -> list[str]:
    """List the days that a date of unknown order may be, day first before month first."""
    days = []
    for day, month in ((first, second), (second, first)):
        try:
            days.append(dt.date(int(year), int(month), int(day)).isoformat())
        except ValueError:
            continue
    return list(dict.fromkeys(days))


# ------------------------------------------------------------------ time zones


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, or a folder
        raise InputError(_no_zone(name.strip())) from None


def _no_zone(name: str) -> Fault:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    names = {zone.lower(): zone for zone in available_timezones()}
    close = get_close_matches(name.lower()[:_LONGEST], names, n=1)
    do = tr('write a name such as "Europe/Berlin" or "America/New_York"')
    if close:
        do = tr('did you mean "{name}"?', name=names[close[0]])
    elif not names:
        do = tr("this computer has no list of them: install the Python package tzdata")
    found = tr("= {typed!r} is not a time zone we know", typed=name[:_LONGEST])
    return Fault("time_zone", found, do=do)


def _placed(at: dt.datetime, zone: ZoneInfo | None, typed: str, key: str) -> dt.datetime:
    """Return a moment with its offset if that or its zone is known, else the local time as it is.

    Differences of times in one zone would be those of the clock, so an offset takes its place.
    """
    if at.tzinfo is not None:
        return _fixed(at if zone is None else at.astimezone(zone))
    if zone is None:
        return at
    early, late = (_fixed(at.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early != late:
        raise InputError(_doubtful(at, zone, typed, key, early, late))
    return early


def _fixed(at: dt.datetime) -> dt.datetime:
    return at.replace(tzinfo=dt.timezone(_offset(at)))


def _offset(at: dt.datetime) -> dt.timedelta:
    return at.utcoffset() or dt.timedelta()


def _doubtful(
    at: dt.datetime, zone: ZoneInfo, typed: str, key: str, early: dt.datetime, late: dt.datetime
) -> Fault:
    """Name both moments that a local time may be when clocks change."""
    both = [moment.astimezone(zone) for moment in sorted((early, late))]
    if both[0].replace(tzinfo=None) == at:
        found = tr("= {typed!r} comes twice in {zone}, where clocks go back",
                   typed=typed, zone=zone.key)  # fmt: skip
        texts = [f'"{moment.isoformat(" ", "minutes")}"' for moment in both]
    else:
        found = tr("= {typed!r} does not exist in {zone}, where clocks go forward",
                   typed=typed, zone=zone.key)  # fmt: skip
        texts = [f'"{moment.replace(tzinfo=None).isoformat(" ", "minutes")}"' for moment in both]
    return Fault(key, found, do=tr("write {example}", example=any_of(texts)))
