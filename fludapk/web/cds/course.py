"""All orders of fludarabine of a request as one course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from fludapk.answers.record import Remark, note
from fludapk.errors import Fault, InputError
from fludapk.patients.course import GIVEN_DAY_H, Course
from fludapk.patients.regimen import MAX_DOSES, Regimen
from fludapk.units import as_typed
from fludapk.web.cds.instants import When
from fludapk.web.cds.orders import Infusion, Ordered
from fludapk.web.cds.quantities import Typed
from fludapk.web.cds.timing import DAY_H

LONGEST_GAP_H: Final = 7 * DAY_H
"""Infusions farther apart are asked about: no published course has a gap."""
INFUSION_H: Final = 0.5
"""Length of an infusion that the order does not say, as everywhere in fludapk."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Infusions of a course in their order.

    Parameters
    ----------
    infusions : tuple of Infusion
    times_h : tuple of float
        Starts, hours from the first.
    first : When, optional
        Start of the first infusion; None if no order has a date.
    remarks : tuple of Remark
    """

    infusions: tuple[Infusion, ...]
    times_h: tuple[float, ...]
    first: When | None
    remarks: tuple[Remark, ...] = ()

    @property
    def lengths_h(self) -> tuple[float, ...]:
        """Lengths of the infusions, h."""
        return tuple(length_h(infusion.length) for infusion in self.infusions)

    @property
    def is_regular(self) -> bool:
        """Tell if all doses, lengths and intervals are alike."""
        alike = {(i.dose.number, i.dose.unit) for i in self.infusions}
        gaps = {round(b - a, 6) for a, b in pairwise(self.times_h)}
        return len(alike) == 1 and len(set(self.lengths_h)) == 1 and len(gaps) <= 1

    def typed(self) -> dict[str, Any]:
        """A regular course as a person would type it."""
        first, n = self.infusions[0], len(self.infusions)
        made: dict[str, Any] = {"dose": str(first.dose), "days": n}
        interval = self.times_h[1] - self.times_h[0] if n > 1 else DAY_H
        if interval != DAY_H:
            made["interval"] = f"{as_typed(interval)} h"
        if first.length is not None:
            made["infusion_time"] = str(first.length)
        return made

    def doses_mg(self, factors: Mapping[str, float]) -> tuple[float, ...]:
        """Doses of a patient, mg; see `mg_factors`."""
        return tuple(i.dose.number * factors[i.dose.unit] for i in self.infusions)

    def course(self, factors: Mapping[str, float]) -> Course:
        """The course of a patient as it was ordered, dose by dose."""
        return Course(
            times_h=self.times_h,
            infusion_h=self.lengths_h,
            doses_mg=self.doses_mg(factors),
            day_h=GIVEN_DAY_H,
        )

    def regimen(self, factors: Mapping[str, float]) -> Regimen:
        """The regimen that stands for the course where one is asked for."""
        gaps = [b - a for a, b in pairwise(self.times_h)]
        return Regimen(
            dose=self.doses_mg(factors)[0],
            unit="mg",
            days=len(self.infusions),
            interval_h=min(gaps, default=DAY_H),
            infusion_h=min(self.lengths_h),
            id="orders",
            title="course as ordered",
        )

    def described(self) -> str:
        """The infusions as they were ordered, each with its day."""
        parts = []
        for infusion, hours in zip(self.infusions, self.times_h, strict=True):
            slot = infusion.slot
            if slot.start is not None:
                day = slot.start.day + timedelta(hours=slot.after_h)
                clock = f" {slot.start.clock}" if slot.start.clock else ""
                parts.append(f"{infusion.dose} on {day.isoformat()}{clock}")
            elif slot.protocol_day is not None:
                parts.append(f"{infusion.dose} on day {slot.protocol_day}")
            else:
                parts.append(f"{infusion.dose} at {hours:g} h")
        return "; ".join(parts)


def length_h(length: Typed | None) -> float:
    """Length of an infusion, h.

    Examples
    --------
    >>> length_h(Typed(45, "min")), length_h(None)
    (0.75, 0.5)
    """
    if length is None:
        return INFUSION_H
    return length.number * {"min": 1 / 60, "h": 1.0, "days": DAY_H}[length.unit]


def joined(orders: Sequence[Ordered]) -> Planned:
    """Join orders into one course.

    Parameters
    ----------
    orders : sequence of Ordered

    Raises
    ------
    InputError
        If their infusions cannot be placed beside each other.
    """
    infusions = [infusion for order in orders for infusion in order.infusions]
    remarks = [remark for order in orders for remark in order.remarks]
    placed = sorted(_placed(infusions, remarks), key=lambda pair: (pair[0], str(pair[1].dose)))
    if len(placed) > MAX_DOSES:
        raise InputError(f"order: {len(placed)} infusions in all: at most {MAX_DOSES}")
    start_h = placed[0][0]
    first = placed[0][1].slot.start
    return Planned(
        infusions=tuple(infusion for _, infusion in placed),
        times_h=tuple(float(f"{hours - start_h:.12g}") for hours, _ in placed),
        first=first,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _placed(infusions: Sequence[Infusion], remarks: list[Remark]) -> list[tuple[float, Infusion]]:
    """Infusions with their hours on one scale."""
    starts = [infusion.slot.start for infusion in infusions if infusion.slot.start is not None]
    orders = {infusion.order for infusion in infusions}
    if not starts:
        by_day = all(infusion.slot.protocol_day is not None for infusion in infusions)
        if len(orders) > 1 and not by_day:
            raise InputError(
                f"order: {len(orders)} orders of fludarabine without dates: which is when?"
            )
        return [(_relative_h(infusion, by_day), infusion) for infusion in infusions]
    if len(starts) < len(infusions):
        raise InputError(
            "order: some orders of fludarabine have dates and others none: which is when?"
        )
    origin = starts[0]
    by_clock = all(start.at is not None for start in starts)
    if not by_clock and any(start.at is not None for start in starts):
        message = "order: not every order has a time of day; infusions are taken 24 h apart"
        remarks.append(note("by_days", message))
    return [(_hours(infusion, origin, by_clock), infusion) for infusion in infusions]


def _relative_h(infusion: Infusion, by_day: bool) -> float:
    if by_day and infusion.slot.protocol_day is not None:
        return DAY_H * infusion.slot.protocol_day
    return infusion.slot.after_h


def _hours(infusion: Infusion, origin: When, by_clock: bool) -> float:
    start = infusion.slot.start
    assert start is not None
    if by_clock and start.at is not None and origin.at is not None:
        hours = (start.at - origin.at).total_seconds() / 3600
    else:
        hours = DAY_H * (start.day - origin.day).days
    return hours + infusion.slot.after_h


# ------------------------------------------------------------------ ceilings


def mg_factors(bsa_m2: float | None, weight_kg: float | None) -> dict[str, float]:
    """Unit of a dose -> mg of one of it, as far as the size of the patient is there.

    Examples
    --------
    >>> mg_factors(1.8, None)
    {'mg': 1.0, 'mg/m2': 1.8}
    """
    sizes = {"mg": 1.0, "mg/m2": bsa_m2, "mg/kg": weight_kg}
    return {unit: size for unit, size in sizes.items() if size is not None}


def ceiling_faults(
    infusions: Sequence[Infusion],
    times_h: Sequence[float],
    bsa_m2: float | None,
    weight_kg: float | None,
) -> list[Fault]:
    """Name the ceilings that infusions pass, also where some start together.

    Without the size of the patient only doses in mg/m2 are compared.
    """
    if bsa_m2 is None and all(i.dose.unit == "mg/m2" for i in infusions):
        bsa_m2 = 1.0  # mg per m2 is then the dose itself
    factors = mg_factors(bsa_m2, weight_kg)
    if bsa_m2 is None or any(i.dose.unit not in factors for i in infusions):
        return []
    ordered = sorted(zip(times_h, infusions, strict=True), key=lambda pair: pair[0])
    starts: list[float] = []
    free_h = -float("inf")
    for time, infusion in ordered:
        starts.append(max(time, free_h))  # one after the other counts as the same day
        free_h = starts[-1] + length_h(infusion.length)
    course = Course(
        times_h=tuple(starts),
        infusion_h=tuple(length_h(infusion.length) for _, infusion in ordered),
        doses_mg=tuple(i.dose.number * factors[i.dose.unit] for _, i in ordered),
        day_h=GIVEN_DAY_H,
    )
    return course.ceiling_faults(bsa_m2)


def check_apart(planned: Planned) -> None:
    """Refuse infusions that are ordered for the same time, or too far apart for one course.

    Raises
    ------
    InputError
        Naming the day.
    """
    for k, (a, b) in enumerate(pairwise(planned.times_h)):
        if b - a > LONGEST_GAP_H:
            days = (b - a) / DAY_H
            raise InputError(f"order: infusions are {days:.3g} days apart: are they one course?")
        if b - a < planned.lengths_h[k] - 1e-9:
            start = planned.infusions[k].slot.start
            when = f" on {start}" if start is not None else ""
            raise InputError(f"order: fludarabine is ordered twice for the same time{when}")
