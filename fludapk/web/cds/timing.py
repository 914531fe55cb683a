"""The times of an order, and nothing that is not there.

Every element of a Timing is used, or the order is not understood.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError
from fludapk.patients.regimen import MAX_DOSES
from fludapk.web.cds.instants import When, is_partial, read_when
from fludapk.web.cds.quantities import typed
from fludapk.web.cds.resources import Concept, Dosage, Period, Quantity, Repeat, Timing, unread

DAY_H: Final = 24.0
ONCE_A_DAY: Final = frozenset({
    "QD", "Q24H", "1X/DAY", "DAILY", "ONCE DAILY", "ONCE A DAY", "EVERY DAY", "EVERY 24 HOURS",
    "1X TÄGLICH", "EINMAL TÄGLICH", "1 FOIS PAR JOUR", "UNE FOIS PAR JOUR", "1日1回",
})  # fmt: skip
"""Codes and texts of a Timing that mean once a day."""
_FOR_DAYS: Final = re.compile(
    r"(?:\bx|×|\bfor|\bpendant|\bdurante|\bper|\bfür|\büber|\ban)\s{0,3}(\d{1,2})\s{0,3}"
    r"(?:days?|d|doses?|tagen?|jours?|j|giorni|días)\b",
    re.IGNORECASE,
)
"""Number of days in a text: "daily x 4 days"."""
_DAYS: Final = re.compile(
    r"\b(?:days?|d|tage?|jours?|j|giorni?|día?s?)\s{0,3}[-−–]\s?(\d{1,2})\b"
    r"((?:\s{0,3}(?:,|/|and|et|und|y|to|through|until|bis|à|a|\.\.\.?|…|[-−–]{1,2}>?)\s{0,3}"
    r"(?:days?|d|tag|j)?\s{0,2}[-−–]\s?\d{1,2}\b)*)",
    re.IGNORECASE,
)
"""Days before the cells: "day -5", "days −5, −4, −3", "d-5 to -3"."""
_MORE_DAYS: Final = re.compile(
    r"(,|/|and|et|und|y|to|through|until|bis|à|a|\.\.\.?|…|[-−–]{1,2}>?)\s{0,3}"
    r"(?:days?|d|tag|j)?\s{0,2}[-−–]\s?(\d{1,2})\b",
    re.IGNORECASE,
)
_LISTED: Final = frozenset({",", "/", "and", "et", "und", "y"})


class Slot(NamedTuple):
    """The start of an infusion: so many hours after a start, or by days before the cells."""

    start: When | None
    after_h: float
    protocol_day: int | None = None
    """-5: five days before the cells."""


def slots(dosage: Dosage, zone: dt.tzinfo | None) -> list[Slot]:
    """Read when the infusions of a dosage start.

    Parameters
    ----------
    dosage : Dosage
    zone : tzinfo or None
        Of the hospital; see `fludapk.web.cds.instants.read_when`.

    Raises
    ------
    InputError
        Naming everything that is not understood.

    Examples
    --------
    >>> daily = {"count": 3, "frequency": 1, "period": 1, "periodUnit": "d"}
    >>> dosage = Dosage.model_validate({"timing": {"repeat": daily}})
    >>> [slot.after_h for slot in slots(dosage, None)]
    [0.0, 24.0, 48.0]
    """
    timing = dosage.timing or Timing()
    repeat = timing.repeat or Repeat()
    faults = [
        f"order: timing.{name} is not understood"
        for name in (*unread(timing), *(f"repeat.{name}" for name in unread(repeat)))
    ]
    faults += _maxima(repeat)
    once_a_day = _once_a_day(timing.code, faults)
    start, most = _bounds(repeat.bounds_period, zone, faults)
    events = _events(timing.event, zone, faults)
    clock = _time_of_day(repeat.time_of_day, faults)
    if faults:
        raise InputError(*faults)
    if events:
        return _on_days(events, repeat, most)
    if start is not None and clock:
        start = read_when(f"{start.day.isoformat()}T{clock}", zone) or start
    days = protocol_days(f"{dosage.text} {_text(timing.code)}")
    count = _count(repeat, most)
    if days and count is None and start is None:
        _check_frequency(repeat, needed=False)
        return [Slot(None, DAY_H * day, day) for day in days]
    interval = _interval(repeat, count, once_a_day)
    if count is None:
        raise InputError("order: the number of infusions is not said (timing.repeat.count)")
    _check_count(count, interval, days, dosage.text)
    return [Slot(start, interval * k, days[k] if days else None) for k in range(count)]


def _check_count(count: int, interval_h: float, days: list[int], text: str) -> None:
    """Refuse a number of infusions that is not possible, or that the text contradicts."""
    if days and len(days) != count:
        raise InputError(
            f"order: its text names {len(days)} days before the cells, its timing {count} infusions"
        )
    in_text = {int(number) for number in _FOR_DAYS.findall(text)}
    if in_text and count > 1 and interval_h == DAY_H and count not in in_text:
        raise InputError(f"order: its text says {min(in_text)} days, its timing {count} infusions")
    if not 1 <= count <= MAX_DOSES:
        raise InputError(f"order: {count} infusions: from 1 to {MAX_DOSES}")


def protocol_days(text: str) -> list[int]:
    """Days before the cells that a text names, as negative numbers.

    Examples
    --------
    >>> protocol_days("days -5, -4 and -3"), protocol_days("D−5…−3"), protocol_days("daily x 3")
    ([-5, -4, -3], [-5, -4, -3], [])
    """
    days: list[int] = []
    for match in _DAYS.finditer(text):
        named = [-int(match[1])]
        for joint, number in _MORE_DAYS.findall(match[2]):
            day = -int(number)
            if joint.lower() in _LISTED or day <= named[-1]:
                named.append(day)
            else:
                named += range(named[-1] + 1, day + 1)
        days += named
    return sorted(set(days))


def _maxima(repeat: Repeat) -> list[str]:
    """Upper ends of a range, unless it has one value only."""
    pairs = {
        "countMax": (repeat.count, repeat.count_max),
        "frequencyMax": (repeat.frequency, repeat.frequency_max),
        "periodMax": (repeat.period, repeat.period_max),
        "durationMax": (repeat.duration, repeat.duration_max),
    }
    return [
        f"order: timing.repeat.{name} is a range, not a number"
        for name, (least, most) in pairs.items()
        if most is not None and most != least
    ]


def _text(concept: Concept | None) -> str:
    return " ".join(concept.words) if concept is not None else ""


def _once_a_day(code: Concept | None, faults: list[str]) -> bool:
    """Tell if a code says once a day; any other code is a fault, a text alone is not."""
    if code is None:
        return False
    codes = [coding.code.upper() for coding in code.coding if coding.code]
    wrong = [text for text in codes if text not in ONCE_A_DAY]
    if wrong:
        faults.append(f"order: timing.code {wrong[0][:30]!r} is not understood: once a day is QD")
    if codes or not code.text:
        return bool(codes) and not wrong
    text = code.text.strip().upper()
    if text not in ONCE_A_DAY and not protocol_days(code.text):
        faults.append(f"order: timing.code {code.text[:30]!r} is not understood: once a day is QD")
    return text in ONCE_A_DAY


def _bounds(
    period: Period | None, zone: dt.tzinfo | None, faults: list[str]
) -> tuple[When | None, tuple[int, ...]]:
    """First day of a period, and how many days it may have, none if it is open."""
    if period is None:
        return None, ()
    ends = []
    for name, text in (("start", period.start), ("end", period.end)):
        when = read_when(text, zone) if text else None
        if text and when is None:
            faults.append(f"order: boundsPeriod.{name} is not a full date (YYYY-MM-DD)")
        ends.append(when)
    start, end = ends
    if period.end and start is None and not period.start:
        faults.append("order: boundsPeriod has an end and no start")
    if start is None or end is None:
        return start, ()
    if end.day < start.day or start.later_than(end):
        faults.append("order: boundsPeriod ends before it starts")
        return start, ()
    if start.at is None or end.at is None:
        return start, ((end.day - start.day).days + 1,)
    whole, rest = divmod((end.at - start.at).total_seconds(), 86_400)
    # at the very hour of the start: one more infusion, or the end
    return start, (int(whole), int(whole) + 1) if rest == 0 and whole else (int(whole) + 1,)


def _events(texts: tuple[str, ...], zone: dt.tzinfo | None, faults: list[str]) -> list[When]:
    events = [read_when(text, zone) for text in texts]
    if None in events:
        partial = any(is_partial(text) for text in texts)
        why = "is not a full date (YYYY-MM-DD)" if partial else "is not a date"
        faults.append(f"order: timing.event {why}")
    return [event for event in events if event is not None]


def _time_of_day(times: tuple[str, ...], faults: list[str]) -> str:
    """The one time of day; several are several infusions a day."""
    if len(times) > 1:
        faults.append(f"order: {len(times)} times of day: only infusions once a day are understood")
        return ""
    if times and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.0+)?)?", times[0]):
        faults.append("order: timing.repeat.timeOfDay is not a time of day")
        return ""
    return times[0][:5] if times else ""


def _on_days(events: list[When], repeat: Repeat, most: tuple[int, ...]) -> list[Slot]:
    """Infusions on named days; a repetition beside them must say the same."""
    count = _count(repeat, most)
    if count is not None and count != len(events):
        raise InputError(
            f"order: timing.event has {len(events)} days and timing.repeat {count} infusions"
        )
    _check_frequency(repeat, needed=False)
    if len(events) > MAX_DOSES:
        raise InputError(f"order: {len(events)} infusions: from 1 to {MAX_DOSES}")
    return [Slot(event, 0.0) for event in events]


def _count(repeat: Repeat, most: tuple[int, ...]) -> int | None:
    """Number of infusions by count, period and duration, which must agree; None if none says."""
    interval = _interval_h(repeat) or DAY_H
    step = max(1, round(interval / DAY_H))
    by_period = {(days - 1) // step + 1 for days in most}
    by_length = _by_duration(repeat.bounds_duration, step)
    stated = [({repeat.count}, "count")] if repeat.count is not None else []
    stated += [(by_period, "boundsPeriod")] if by_period else []
    stated += [({by_length}, "boundsDuration")] if by_length is not None else []
    if not stated:
        return None
    common = set.intersection(*({n for n in numbers if n is not None} for numbers, _ in stated))
    if len(common) == 1:
        return common.pop()
    told = ", ".join(f"{name} {' or '.join(map(str, sorted(ns)))}" for ns, name in stated)
    why = "contradict each other" if not common else "does not tell the number of infusions"
    raise InputError(f"order: {told} {why} (timing.repeat)")


def _by_duration(bounds: Quantity | None, step: int) -> int | None:
    if bounds is None:
        return None
    if bounds.code == "wk" or (not bounds.code and bounds.unit.lower() in ("wk", "week", "weeks")):
        days = 7 * (bounds.value or 0.0)
    else:
        length = typed(bounds, "duration")
        days = length.number * {"days": 1.0, "h": 1 / 24, "min": 1 / 1440}[length.unit]
    if days != int(days) or days < 1 or bounds.comparator:
        raise InputError("order: boundsDuration is not a whole number of days")
    return (int(days) - 1) // step + 1


def _repeats(repeat: Repeat) -> bool:
    return not (repeat.frequency is None and repeat.period is None and not repeat.period_unit)


def _interval_h(repeat: Repeat) -> float | None:
    """Hours between infusions; None if that is not said or not understood."""
    if repeat.period is None or repeat.frequency not in (None, 1):
        return None
    hours = repeat.period * {"d": DAY_H, "h": 1.0}.get(repeat.period_unit, 0.0)
    is_days = hours > 0 and hours % DAY_H == 0
    return hours if is_days and hours <= 7 * DAY_H else None


def _check_frequency(repeat: Repeat, *, needed: bool) -> None:
    """Refuse what is not once in one or more whole days."""
    if (needed or _repeats(repeat)) and _interval_h(repeat) is None:
        raise InputError(
            Fault("", "order: only infusions once a day are understood (timing.repeat: frequency "
                  "1, period 1, periodUnit d)")
        )  # fmt: skip


def _interval(repeat: Repeat, count: int | None, once_a_day: bool) -> float:
    _check_frequency(repeat, needed=count != 1 and not once_a_day)
    interval = _interval_h(repeat) or DAY_H
    if once_a_day and interval != DAY_H:
        raise InputError("order: timing.code says once a day, timing.repeat does not")
    return interval
