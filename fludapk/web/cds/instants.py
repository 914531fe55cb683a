"""Dates and times of FHIR in the time zone of the hospital.

A day of birth, an age and the day of an infusion are of the hospital's calendar, so a time that is
written with another offset means the same day here.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

_YEARS: Final = (1900, 2999)
_FULL: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.([0-9]{1,12}))?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_PARTIAL: Final = re.compile(r"[0-9]{4}(?:-[0-9]{2})?")


@dataclass(frozen=True)
class When:
    """A day, and the moment if that was written.

    Parameters
    ----------
    day : date
        In the hospital's calendar.
    at : datetime, optional
        In UTC.
    clock : str
        Time of day in the hospital, ``"08:30"``; empty without a moment.
    """

    day: dt.date
    at: dt.datetime | None = None
    clock: str = ""

    def __str__(self) -> str:
        return f"{self.day.isoformat()} {self.clock}".strip()

    def later_than(self, other: When) -> bool:
        """Tell if this is surely later; a day alone is all of that day."""
        if self.at is not None and other.at is not None:
            return self.at > other.at
        return self.day > other.day


def read_when(text: str, zone: dt.tzinfo | None) -> When | None:
    """Read a dateTime, date or instant; None if it is not a full date.

    Parameters
    ----------
    text : str
    zone : tzinfo or None
        Of the hospital; None for that of this computer. A time without an offset is of it, too.

    Examples
    --------
    >>> str(read_when("2026-03-02T23:30:00Z", dt.timezone(dt.timedelta(hours=1))))
    '2026-03-03 00:30'
    >>> str(read_when("2026-03-02", None)), read_when("2026-03", None)
    ('2026-03-02', None)
    """
    match = _FULL.fullmatch(text.strip())
    if match is None:
        return None
    day, clock, seconds, fraction, offset = match.groups()
    try:
        if clock is None:
            date = dt.date.fromisoformat(day)
            return When(date) if _YEARS[0] <= date.year <= _YEARS[1] else None
        written = f"{day}T{clock}{seconds or ':00'}.{(fraction or '0')[:6]:0<6}"
        moment = dt.datetime.fromisoformat(written + (offset or "").replace("Z", "+00:00"))
        if not _YEARS[0] <= moment.year <= _YEARS[1]:
            return None
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        local = moment.astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return None
    return When(local.date(), local.astimezone(dt.UTC), local.strftime("%H:%M"))


def is_partial(text: str) -> bool:
    """Tell a year or a month alone."""
    return _PARTIAL.fullmatch(text.strip()) is not None
