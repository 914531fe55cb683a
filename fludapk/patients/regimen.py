"""A prescription as doses of fludarabine phosphate: rounding, ceilings, label rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self, cast

from fludapk.errors import InputError, nearest
from fludapk.patients.course import HOURS, ROUNDING_REFUSED, Course, Size, rounded_mg
from fludapk.patients.patient import Patient
from fludapk.published.regimens import regimens
from fludapk.units import UNITS, canonical_unit, parse_number, parse_quantity

MAX_DOSES: Final = 14
DoseUnit = Literal["mg/m2", "mg/kg", "mg"]


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """A planned course of equal infusions of fludarabine phosphate.

    Parameters
    ----------
    dose : float
        Per infusion, in `unit`.
    unit : {'mg/m2', 'mg/kg', 'mg'}
    days : int
        How many infusions.
    interval_h, infusion_h : float
    cells_at_h : float, optional
        Cell infusion, hours from the first dose.
    id, title, product, disease, who, ages, cells, unsettled, source
        Of a published regimen.

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
    id: str = "custom"
    title: str = "custom course"
    product: str | None = None
    disease: str | None = None
    who: str = ""
    ages: tuple[float, float] | None = None
    cells: str = ""
    unsettled: str = ""
    source: str = "as typed"

    def __post_init__(self) -> None:
        possible = {
            "dose": (self.dose, 0.001, 10_000.0),
            "interval": (self.interval_h, *HOURS),
            "infusion-time": (self.infusion_h, *HOURS),
        }
        faults = [
            f"{name} = {value:g} must be a number from {low:g} to {high:g}"
            for name, (value, low, high) in possible.items()
            if not low <= value <= high
        ]
        if self.unit not in UNITS["dose"]:
            faults.append(f"dose unit {self.unit!r}: write {', '.join(UNITS['dose'])}")
        if not 1 <= self.days <= MAX_DOSES:
            faults.append(f"days = {self.days}: from 1 to {MAX_DOSES} doses")
        if not faults and self.days > 1 and self.interval_h < self.infusion_h:
            faults.append(
                f"infusions overlap: interval {self.interval_h:g} h is shorter than the infusion "
                f"time {self.infusion_h:g} h"
            )
        if self.cells_at_h is not None and not (
            math.isfinite(self.cells_at_h) and self.cells_at_h > 0
        ):
            faults.append(f"cells-at = {self.cells_at_h}: hours from the first dose, above zero")
        if faults:
            raise InputError(*faults)

    @classmethod
    def named(cls, name: str) -> Self:
        """A published regimen.

        Raises
        ------
        InputError
            If there is none of that name; the nearest is suggested.
        """
        entry = regimens().get(name)
        if entry is None:
            raise InputError(f"unknown regimen {name!r}: {nearest(name, list(regimens()))}")
        known = entry.model_dump(exclude={"cyclophosphamide", "ages"})
        return cls(**known, ages=(entry.ages[0], entry.ages[1]) if entry.ages else None)

    @classmethod
    def from_text(
        cls,
        *,
        regimen: str | None = None,
        dose: str | None = None,
        days: str | int | None = None,
        interval: str | None = None,
        infusion_time: str | None = None,
        cells_at: str | None = None,
    ) -> Self:
        """Read a course as typed: a published regimen, or a dose and days; times in hours.

        Raises
        ------
        InputError
            If both or neither is given, or a value cannot be read.

        Examples
        --------
        >>> Regimen.from_text(dose="25 mg/m2", days=3, infusion_time="30 min").infusion_h
        0.5
        """

        def hours(name: str, text: str | None) -> float | None:
            if text is None:
                return None
            return parse_quantity(text, dimension="time", name=name, bare="h").value

        if (regimen is None) == (dose is None):
            raise InputError("give either --regimen NAME or --dose with --days")
        times = {
            "interval_h": hours("interval", interval),
            "infusion_h": hours("infusion-time", infusion_time),
            "cells_at_h": hours("cells-at", cells_at),
        }
        typed: dict[str, Any] = {k: v for k, v in times.items() if v is not None}
        if regimen is not None:
            if days is not None or interval is not None:
                raise InputError("--days and --interval go with --dose; a regimen has its own")
            return replace(cls.named(regimen), **typed)
        if days is None:
            raise InputError("--dose needs --days, the number of infusions")
        value, unit = parse_dose(dose or "")
        return cls(dose=value, unit=unit, days=_count(days), **typed)

    @classmethod
    def schedule_from_text(
        cls,
        *,
        regimen: str | None = None,
        dose: str | None = None,
        days: str | int | None = None,
        **times: str | None,
    ) -> tuple[Self, bool]:
        """Infusions to find a dose for, as typed, and whether they come with a planned dose.

        Raises
        ------
        InputError
            As `from_text`; or without a number of infusions.

        Examples
        --------
        >>> Regimen.schedule_from_text(days=3)[1], Regimen.schedule_from_text(regimen="axi_cel")[1]
        (False, True)
        """
        planned = regimen is not None or dose is not None
        if not planned and days is None:
            raise InputError("give --days N, the number of infusions, or --regimen NAME")
        given = dose if planned else "1 mg"
        return cls.from_text(regimen=regimen, dose=given, days=days, **times), planned

    @property
    def times_h(self) -> tuple[float, ...]:
        """Starts of the infusions, h from the first."""
        return tuple(k * self.interval_h for k in range(self.days))

    def in_mg(self, dose_mg: float) -> Self:
        """The same infusions with a dose in mg."""
        return replace(self, dose=dose_mg, unit="mg")

    def dose_mg(self, bsa_m2: Size, weight_kg: Size) -> Size:
        """Dose per infusion for a body size, or for many, mg."""
        per = {"mg/m2": bsa_m2, "mg/kg": weight_kg, "mg": weight_kg / weight_kg}
        return self.dose * per[self.unit]

    def course_of(self, dose_mg: float, planned_mg: float | None = None) -> Course:
        """The infusions with a dose in mg, whatever the ceilings."""
        n = self.days
        return Course(
            times_h=self.times_h,
            infusion_h=(self.infusion_h,) * n,
            doses_mg=(dose_mg,) * n,
            planned_mg=planned_mg,
        )

    def course(self, patient: Patient, round_to_mg: float | None = None) -> Course:
        """The doses of a patient.

        Parameters
        ----------
        patient : Patient
        round_to_mg : float, optional
            Round each dose to a multiple of this; not rounded if absent.

        Raises
        ------
        InputError
            Above 50 mg/m2 a day or 250 mg/m2 in all, or rounded by more than 10 %.
        """
        planned = self.dose_mg(patient.bsa_m2, patient.weight_kg)
        given = planned if round_to_mg is None else rounded_mg(planned, round_to_mg)
        course = self.course_of(given, planned_mg=planned)
        faults = course.ceiling_faults(patient.bsa_m2)
        change = course.rounding_change
        if abs(change) > ROUNDING_REFUSED + 1e-12:
            faults.append(
                f"rounding to {round_to_mg:g} mg changes each dose from {planned:.2f} mg to "
                f"{given:g} mg, {change:+.1%}: above {ROUNDING_REFUSED:.0%} is refused, round finer"
            )
        if faults:
            raise InputError(*faults)
        return course


def _count(days: str | int) -> int:
    if isinstance(days, int):
        return days
    number, rest = parse_number(days, "days")
    if rest or number != int(number):
        raise InputError(f"days = {days!r}: a whole number of infusions")
    return int(number)


def parse_dose(text: str) -> tuple[float, DoseUnit]:
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
    number, rest = parse_number(text, "dose")
    unit = canonical_unit(rest, "dose")
    if unit is None:
        fault = f"has an unknown unit {rest!r}" if rest else "needs a unit"
        raise InputError(
            f'dose = {text!r} {fault}: write for example "30 mg/m2", "1 mg/kg" or "45 mg" '
            "(of fludarabine phosphate, per infusion)"
        )
    return number, cast(DoseUnit, unit)
