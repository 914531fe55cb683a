"""A prescription as doses of fludarabine phosphate: rounding, ceilings, label rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, Self, TypeVar, cast

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, gathered, nearest
from fludapk.language import marked, tr
from fludapk.patients.clock import ClockTime, Moment, Typed, by_clock, read_hours
from fludapk.patients.course import HOURS, ROUNDING_REFUSED, Course, rounded_mg
from fludapk.patients.fields import FIELDS
from fludapk.patients.patient import Patient
from fludapk.published.course_files import RegimenEntry
from fludapk.published.regimens import regimens
from fludapk.units import UNITS, as_typed, canonical_unit, parse_number, parse_quantity

MAX_DOSES: Final = 14
BSA_CAP_M2: Final = (1.0, 3.0)
"""Lowest and highest cap of the body surface area; centres that have one take about 2 m2."""
DoseUnit = Literal["mg/m2", "mg/kg", "mg"]
_Size = TypeVar("_Size", float, F8)


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """A planned course of equal infusions of fludarabine phosphate.

    Parameters
    ----------
    dose : float
        Per infusion, in `unit`.
    unit : {'mg/m2', 'mg/kg', 'mg'}
    days : int
        Number of infusions.
    interval_h : float
        Between the starts of two infusions.
    infusion_h : float
        Length of an infusion.
    cells_at_h : float, optional
        Cell infusion, hours from the first dose.
    cells_clock : ClockTime, optional
        The cell infusion, if it was typed as a clock shows it.
    bsa_cap_m2 : float, optional
        Doses in mg/m2 are computed from at most this body surface area. Ceilings and everything
        else go by the real one.
    id, title, product, disease, who, ages, cells, unsettled, warning, source
        Entry of the published regimen, see `fludapk.published.course_files.RegimenEntry`.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> plan.dose, plan.unit, plan.days, plan.infusion_h
    (30.0, 'mg/m2', 4, 0.5)
    """

    dose: float
    unit: DoseUnit
    days: int
    interval_h: float = 24.0
    infusion_h: float = 0.5
    cells_at_h: float | None = None
    cells_clock: ClockTime | None = None
    bsa_cap_m2: float | None = None
    id: str = "custom"
    title: str = marked("custom course")
    product: str | None = None
    disease: str | None = None
    who: str = ""
    ages: tuple[float, float] | None = None
    cells: str = ""
    unsettled: str = ""
    warning: str = ""
    source: str = marked("as typed")

    def __post_init__(self) -> None:
        possible = {
            "dose": (self.dose, 0.001, 10_000.0),
            "interval_h": (self.interval_h, *HOURS),
            "infusion_h": (self.infusion_h, *HOURS),
        }
        faults = [
            Fault(key, _from_to(value, low, high) + _likely(key, value))
            for key, (value, low, high) in possible.items()
            if not low <= value <= high
        ]
        if self.unit not in UNITS["dose"]:
            do = tr("write {example}", example=", ".join(UNITS["dose"]))
            faults.append(Fault("dose", tr("unit {unit!r}", unit=self.unit), do=do))
        if not 1 <= self.days <= MAX_DOSES:
            do = tr("from 1 to {most} doses", most=MAX_DOSES)
            faults.append(Fault("days", f"= {self.days}", do=do))
        if not faults and self.days > 1 and self.interval_h < self.infusion_h:
            found = tr(
                "infusions overlap: {interval_h} {interval:g} h is shorter than "
                "{infusion_h} {infusion:g} h",
                interval=self.interval_h,
                infusion=self.infusion_h,
            )
            found += _likely("infusion_h", self.infusion_h)
            faults.append(Fault("interval_h", found, also=("infusion_h",), whole=True))
        if self.cells_at_h is not None and not (
            math.isfinite(self.cells_at_h) and self.cells_at_h > 0
        ):
            do = tr("hours from the first dose, above zero")
            faults.append(Fault("cells_at_h", f"= {self.cells_at_h}", do=do))
        cap, (low, high) = self.bsa_cap_m2, BSA_CAP_M2
        if cap is not None and not low <= cap <= high:
            found = tr("= {cap:g} m2 must be from {low:g} to {high:g} m2",
                       cap=cap, low=low, high=high)  # fmt: skip
            faults.append(Fault("bsa_cap_m2", found))
        if faults:
            raise InputError(*faults)

    @classmethod
    def named(cls, name: str) -> Self:
        """Return a published regimen.

        Raises
        ------
        InputError
            If there is none of that name; the nearest is suggested.
        """
        entry = regimens().get(name)
        if entry is None:
            do = nearest(name, list(regimens()))
            found = tr("unknown regimen {name!r}", name=name)
            raise InputError(Fault("regimen", found, do=do, whole=True))
        published = entry.model_dump(exclude={"cyclophosphamide", "ages"})
        return cls(**published, ages=(entry.ages[0], entry.ages[1]) if entry.ages else None)

    @classmethod
    def chosen(
        cls,
        *,
        regimen: str | None = None,
        dose: tuple[float, DoseUnit] | None = None,
        days: int | None = None,
        interval_h: float | None = None,
        infusion_h: float | None = None,
        cells_at_h: float | None = None,
        bsa_cap_m2: float | None = None,
    ) -> Self:
        """Return a published regimen, changed where asked, or a course of a dose and days.

        A changed regimen keeps product, disease and cells of the published one.

        Raises
        ------
        InputError
            If there is neither a regimen nor a dose with days, or a value is not possible.

        Examples
        --------
        >>> reduced = Regimen.chosen(regimen="axi_cel", dose=(24.0, "mg/m2"))
        >>> reduced.dose, reduced.days, reduced.product
        (24.0, 3, 'axi_cel')
        """
        _check_choice(regimen, dose, days)
        values = {"days": days, "interval_h": interval_h, "infusion_h": infusion_h,
                  "cells_at_h": cells_at_h, "bsa_cap_m2": bsa_cap_m2}  # fmt: skip
        typed: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
        if dose is not None:
            typed |= {"dose": dose[0], "unit": dose[1]}
        return cls(**typed) if regimen is None else replace(cls.named(regimen), **typed)

    @classmethod
    def from_text(
        cls,
        *,
        regimen: str | None = None,
        dose: str | float | None = None,
        days: str | float | None = None,
        interval: str | float | None = None,
        infusion_time: str | float | None = None,
        cells_at: Typed | None = None,
        bsa_cap: str | float | None = None,
        first_dose: Moment | None = None,
        time_zone: str | None = None,
    ) -> Self:
        """Read a course as typed; see `chosen`. Times are hours if they have no unit.

        With the date and time of the first dose `cells_at` may be a clock time.

        Raises
        ------
        InputError
            With the faults of all values.

        Examples
        --------
        >>> Regimen.from_text(dose="25 mg/m2", days=3, infusion_time="30 min").infusion_h
        0.5
        >>> days = {"cells_at": "2026-01-19 10:00", "first_dose": "2026-01-14 08:30"}
        >>> Regimen.from_text(regimen="axi_cel", **days).cells_at_h
        121.5
        """
        _, *values, (cells_at_h, cells_clock) = gathered(
            lambda: _check_choice(regimen, dose, days),
            lambda: None if dose is None else parse_dose(dose),
            lambda: None if days is None else _count(days),
            *(
                partial(_quantity, key, value)
                for key, value in (
                    ("interval_h", interval),
                    ("infusion_h", infusion_time),
                    ("bsa_cap_m2", bsa_cap),
                )
            ),
            lambda: read_cells(cells_at, first_dose, time_zone),
        )
        keys = ("dose", "days", "interval_h", "infusion_h", "bsa_cap_m2")
        course = dict(zip(keys, values, strict=True))
        plan = cls.chosen(regimen=regimen, cells_at_h=cells_at_h, **course)
        return plan if cells_clock is None else replace(plan, cells_clock=cells_clock)

    @classmethod
    def schedule_from_text(
        cls,
        *,
        regimen: str | None = None,
        dose: str | float | None = None,
        days: str | float | None = None,
        **others: Any,
    ) -> tuple[Self, bool]:
        """Read infusions to find a dose for, and whether they come with a planned dose.

        Raises
        ------
        InputError
            As `from_text`; or without a number of infusions.

        Examples
        --------
        >>> Regimen.schedule_from_text(days=3)[1], Regimen.schedule_from_text(regimen="axi_cel")[1]
        (False, True)
        """
        is_planned = regimen is not None or dose is not None
        if not is_planned and days is None:
            found = tr("give {days}, the number of infusions, or {regimen}")
            raise InputError(Fault("days", found, also=("regimen",), whole=True))
        given = dose if is_planned else "1 mg"
        return cls.from_text(regimen=regimen, dose=given, days=days, **others), is_planned

    @property
    def published(self) -> RegimenEntry | None:
        """The published course that this one is, or is a change of."""
        return regimens().get(self.id)

    @property
    def change(self) -> str:
        """Words for how the published course was changed; empty if it was not.

        Examples
        --------
        >>> Regimen.chosen(regimen="axi_cel", dose=(24.0, "mg/m2")).change
        'changed from 30 mg/m2 × 3'
        """
        entry = self.published
        own = (self.dose, self.unit, self.days)
        if entry is None or own == (entry.dose, entry.unit, entry.days):
            return ""
        return tr("changed from {dose:g} {unit} × {days}",
                  dose=entry.dose, unit=entry.unit, days=entry.days)  # fmt: skip

    @property
    def times_h(self) -> tuple[float, ...]:
        """Starts of the infusions, h from the first."""
        return tuple([k * self.interval_h for k in range(self.days)])

    def in_mg(self, dose_mg: float) -> Self:
        """Return the same infusions with a dose in mg."""
        return replace(self, dose=dose_mg, unit="mg")

    def dose_mg(self, bsa_m2: _Size, weight_kg: _Size) -> _Size:
        """Compute the dose per infusion for a body size, or for many, mg."""
        per = {"mg/m2": self.capped(bsa_m2), "mg/kg": weight_kg, "mg": weight_kg / weight_kg}
        return self.dose * per[self.unit]

    def capped(self, bsa_m2: _Size) -> _Size:
        """Return the body surface area, or many, m2, from which doses in mg/m2 are computed.

        Examples
        --------
        >>> Regimen(dose=30, unit="mg/m2", days=3, bsa_cap_m2=2.0).capped(2.4)
        2.0
        """
        cap = self.bsa_cap_m2
        if cap is None:
            return bsa_m2
        return np.minimum(bsa_m2, cap) if isinstance(bsa_m2, np.ndarray) else min(bsa_m2, cap)

    def course_of(self, dose_mg: float, planned_mg: float | None = None) -> Course:
        """Return the infusions with a dose in mg, whatever the ceilings."""
        return Course.equal(self.times_h, self.infusion_h, dose_mg, planned_mg)

    def course(self, patient: Patient, round_to_mg: float | None = None) -> Course:
        """Compute the doses of a patient.

        Parameters
        ----------
        patient : Patient
        round_to_mg : float, optional
            Round each dose to a multiple of this; not rounded if absent.

        Raises
        ------
        InputError
            Above 50 mg/m2 per day or 250 mg/m2 in all, or rounded by more than 10 %.
        """
        planned = self.dose_mg(patient.bsa_m2, patient.weight_kg)
        given = planned if round_to_mg is None else rounded_mg(planned, round_to_mg)
        course = self.course_of(given, planned_mg=planned)
        faults = course.ceiling_faults(patient.bsa_m2)
        change = course.rounding_change
        if abs(change) > ROUNDING_REFUSED + 1e-12:
            found = tr(
                "rounding to {step:g} mg changes each dose from {planned:.2f} mg to {given:g} mg, "
                "{change:+.1f} %: above {most:.0f} % is refused, round more finely",
                step=round_to_mg,
                planned=planned,
                given=given,
                change=100 * change,
                most=100 * ROUNDING_REFUSED,
            )
            faults.append(Fault("round_to_mg", found, whole=True))
        if faults:
            raise InputError(*faults)
        return course


def _from_to(value: float, low: float, high: float) -> str:
    return tr("= {value:g} must be a number from {low:g} to {high:g}",
              value=value, low=low, high=high)  # fmt: skip


def _check_choice(regimen: object, dose: object, days: object) -> None:
    """Refuse what is neither a regimen, changed or not, nor a dose with days."""
    if regimen is None and dose is None:
        found = tr("give {regimen}, or {dose} with {days}")
        raise InputError(Fault("regimen", found, also=("dose", "days"), whole=True))
    if regimen is None and days is None:
        found = tr("{dose} needs {days}, the number of infusions")
        raise InputError(Fault("days", found, also=("dose",), whole=True))


def _quantity(key: str, value: str | float | None) -> float | None:
    if value is None:
        return None
    field = FIELDS[key]
    return parse_quantity(value, dimension=field.dimension or "", field=key, unit=field.unit).value


def read_cells(
    cells_at: Typed | None,
    first_dose: Moment | None,
    time_zone: str | None,
) -> tuple[float | None, ClockTime | None]:
    """Read the time of cell infusion: hours from the first dose, and the clock time if typed.

    Raises
    ------
    InputError
        With the faults of all three.
    """
    ((hours, at),) = by_clock(
        first_dose,
        time_zone,
        lambda clock: (
            (None, None) if cells_at is None else read_hours(cells_at, clock, key="cells_at_h")
        ),
    )
    return hours, at


def _likely(key: str, value: float) -> str:
    """Say what a number would be in minutes or micrograms, where that is usual."""
    smaller, unit, scale, (low, high) = (
        ("ug", "mg", 1000.0, (1.0, 200.0)) if key == "dose" else ("min", "h", 60.0, (0.25, 72.0))
    )
    if not low <= value / scale <= high:
        return ""
    number, would_be = f"{value:g} {smaller}", f"{value / scale:.4g} {unit}"
    return "; " + tr("{typed} would be {value}", typed=number, value=would_be)


def _count(days: str | float) -> int:
    number, rest = parse_number(as_typed(days), "days")
    if rest or number != int(number):
        do = tr("a whole number of infusions")
        raise InputError(Fault("days", f"= {as_typed(days)!r}", do=do))
    return int(number)


def parse_dose(typed: str | float) -> tuple[float, DoseUnit]:
    """Read a dose per infusion: ``"30 mg/m2"``, ``"1.2 mg/kg"``, ``"45 mg"``.

    Raises
    ------
    InputError
        Without a unit, or in another.

    Examples
    --------
    >>> parse_dose("30 mg/m²")
    (30.0, 'mg/m2')
    """
    text = as_typed(typed)
    number, rest = parse_number(text, "dose")
    unit = canonical_unit(rest, "dose")
    if unit is None:
        if rest:
            found = tr("= {typed!r} has an unknown unit {unit!r}", typed=text, unit=rest)
        else:
            found = tr("= {typed!r} needs a unit", typed=text) + _likely("dose", number)
        do = tr(
            'write for example "30 mg/m2", "1 mg/kg" or "45 mg" (of fludarabine phosphate, per '
            "infusion)"
        )
        raise InputError(Fault("dose", found, do=do))
    if 0 < number < _LEAST[unit]:
        per = unit.removeprefix("mg")
        would_be = tr("{typed} would be {value}",
                      typed=f"{number:g} g{per}", value=f"{1000 * number:g} mg{per}")  # fmt: skip
        raise InputError(Fault("dose", f"= {text!r}; {would_be}"))
    return number, cast(DoseUnit, unit)


_LEAST: Final = {"mg/m2": 0.2, "mg/kg": 0.01, "mg": 0.2}
"""A smaller dose than anybody gives was typed in g."""
