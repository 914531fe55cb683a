"""Age by the calendar: of a date of birth and the day of a course."""

from __future__ import annotations

import datetime as dt
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import any_of, tr

_ORDERS: Final = {
    "iso": ("%Y-%m-%d",),
    "dmy": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y"),
}
"""Order of day, month and year -> how such dates are written."""
_ANY_ORDER: Final = ("%Y-%m-%d", "%d.%m.%Y")
"""Dates that are read alike everywhere."""
_TWO_ORDERS: Final = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")


def age_years(born: dt.date, on: dt.date, *, key: str = "age_years") -> float:
    """Age in years: birthdays that have passed, and the part of the year since the last one.

    Who was born on 29 February has the birthday on 1 March of other years.

    Parameters
    ----------
    born : date
        Date of birth.
    on : date
        Day of the course.
    key : str
        Name of the input in Python, for faults.

    Raises
    ------
    InputError
        If the day of the course lies before the birth.

    Examples
    --------
    >>> age_years(dt.date(2021, 1, 14), dt.date(2026, 1, 14))
    5.0
    >>> round(age_years(dt.date(2020, 2, 29), dt.date(2025, 9, 1)), 4)
    5.5041
    """
    born, on = _day(born), _day(on)
    if on < born:
        found = tr("would be negative: {day} is before the birth, {born}", day=on, born=born)
        raise InputError(Fault(key, found, do=tr("check both dates")))
    years = on.year - born.year - (_birthday(born, on.year) > on)
    last, following = (_birthday(born, born.year + n) for n in (years, years + 1))
    return float(f"{years + (on - last).days / (following - last).days:.12g}")


def _birthday(born: dt.date, year: int) -> dt.date:
    try:
        return born.replace(year=year)
    except ValueError:
        return dt.date(year, 3, 1)


def _day(moment: dt.date) -> dt.date:
    """A day without its time."""
    return moment.date() if isinstance(moment, dt.datetime) else moment


def read_day(text: str, *, key: str, order: str = "") -> dt.date:
    """Read a day as typed: ``2021-01-14`` or ``14.01.2021``; a clock time after it is left out.

    Parameters
    ----------
    text : str
    key : str
        Name of the input in Python, for faults.
    order : {'', 'iso', 'dmy', 'mdy'}
        Order of day, month and year, where it is stated: ``01/02/2021`` is two days otherwise.

    Raises
    ------
    InputError
        If it is no day, or could be two.

    Examples
    --------
    >>> read_day("14.01.2021", key="born").isoformat()
    '2021-01-14'
    >>> read_day("01/02/2021", key="born", order="mdy").isoformat()
    '2021-01-02'
    """
    day = text.strip().replace("T", " ").partition(" ")[0]
    stated = _ORDERS.get(order, _ANY_ORDER)
    days = _days(day, stated)
    if days:
        return days[0]
    shown = text.strip()[:50]
    possible = [f'"{read.isoformat()}"' for read in _days(day, _TWO_ORDERS)]
    if order in ("dmy", "mdy"):
        found = tr("= {typed!r} is not a date in the order {order}", typed=shown, order=order)
        do = tr("check the column")
    elif len(possible) > 1:
        found = tr("= {typed!r} is ambiguous, day or month first", typed=shown)
        do = tr("write {example}", example=any_of(possible))
    else:
        found = tr("= {typed!r} is not a date as we read them", typed=shown)
        do = (
            tr("write {example}", example=possible[0])
            if possible
            else tr("write 2021-01-14 or 14.01.2021")
        )
    raise InputError(Fault(key, found, do=do))


def _days(text: str, formats: tuple[str, ...]) -> list[dt.date]:
    """Days that a text may be, each once."""
    days = []
    for written in formats:
        if written[2] not in text:  # the sign between its parts
            continue
        try:
            days.append(dt.datetime.strptime(text, written).date())
        except ValueError:
            continue
    return list(dict.fromkeys(day for day in days if 1900 <= day.year <= 2999))
