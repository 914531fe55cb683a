"""Remarks on times that were typed as a clock shows them, for checks and updates alike."""

from __future__ import annotations

from collections.abc import Sequence

from fludapk.answers.record import Remark, caution, note
from fludapk.language import tr
from fludapk.patients.clock import ClockTime


def hours_counted(times: Sequence[ClockTime], cells: ClockTime | None = None) -> Remark | None:
    """Note the hours that clock times were read as.

    Parameters
    ----------
    times : sequence of ClockTime
    cells : ClockTime, optional
        Cell infusion.

    Examples
    --------
    >>> at = ClockTime(typed="2026-01-14 10:30", hours=2.0, first_dose="2026-01-14 08:30")
    >>> hours_counted([at]).message
    '2026-01-14 10:30 is 2 h after the first dose (2026-01-14 08:30)'
    """
    called = {at: str(at) for at in sorted(times, key=lambda at: at.hours) if at.hours}
    if cells is not None:
        called[cells] = tr("cell infusion {time}", time=cells)
    if not called:
        return None
    first, *others = called
    message = tr(
        "{time} is {hours:g} h after the first dose ({first_dose})",
        time=called[first],
        hours=first.hours,
        first_dose=first.first_dose,
    )
    message += "".join(
        tr(", {time} is {hours:g} h", time=called[at], hours=at.hours) for at in others
    )
    if first.basis == "offset":
        message += tr("; counted by the offsets from UTC")
    elif first.basis != "clock":
        message += tr("; counted in the time zone {zone}", zone=first.basis)
    return note("clock_times", message)


def clocks_may_change(times: Sequence[ClockTime], cells: ClockTime | None = None) -> Remark | None:
    """Warn if clocks may have changed between the first dose and a clock time."""
    if not times and cells is None:  # as a rule
        return None
    typed = times if cells is None else (*times, cells)
    days = sorted({day for at in typed for day in at.changes})
    if not days:
        return None
    message = tr(
        "clocks change on {days} in many places, and no time zone was given: hours were "
        "counted as the clock showed, so an hour may be missing or counted twice",
        days=tr(" and ").join(days[:4]),
    )
    return caution("clock_change", message)
