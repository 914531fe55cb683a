"""Doses as given: ceilings, rounding and preparation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.units import MG_PER_ML, VIAL_MG

DAILY_CEILING_MG_M2: Final = 50.0
COURSE_CEILING_MG_M2: Final = 250.0
NEUROTOXICITY_MG_M2: Final = 40.0
"""From this daily dose up the check repeats the boxed warning."""
NEUROTOXICITY: Final = (
    "neurotoxicity: 96 mg/m2/day for 5-7 days gave severe CNS toxicity in 36 % (boxed warning); "
    "≤ 0.2 % at CLL doses"
)
HOURS: Final = (0.01, 1000.0)
"""Of an interval or an infusion."""
ROUNDING_CAUTION, ROUNDING_REFUSED = 0.05, 0.10
Size = TypeVar("Size", float, F8)
GIVEN_DAY_H: Final = 18.0
"""The day of doses as given: those of two days are not 24 h apart to the minute."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """Infusions as given: times, lengths, and mg of fludarabine phosphate.

    Raises
    ------
    InputError
        If infusions overlap, are out of order, or of a length that is not possible.
    """

    times_h: tuple[float, ...]
    infusion_h: tuple[float, ...]
    doses_mg: tuple[float, ...]
    planned_mg: float | None = None
    """Each dose before rounding."""
    day_h: float = 24.0
    """Doses that start within so many hours are of one day; see `GIVEN_DAY_H`."""

    def __post_init__(self) -> None:
        ends = [t + d for t, d in zip(self.times_h, self.infusion_h, strict=True)]
        faults = [
            f"infusions {k + 1} and {k + 2} overlap: the first ends at {end:g} h, the second "
            f"starts at {t:g} h"
            for k, (end, t) in enumerate(zip(ends, self.times_h[1:], strict=False))
            if t < end - 1e-9
        ]
        faults += [
            f"infusion {k} takes {length:g} h: from {HOURS[0]:g} to {HOURS[1]:g} h"
            for k, length in enumerate(self.infusion_h, start=1)
            if not HOURS[0] <= length <= HOURS[1]
        ]
        if faults:
            raise InputError(*faults)

    @property
    def total_mg(self) -> float:
        """Fludarabine phosphate, mg."""
        return math.fsum(self.doses_mg)

    @property
    def rounding_change(self) -> float:
        """Relative change of a dose by rounding."""
        return 0.0 if self.planned_mg is None else self.doses_mg[0] / self.planned_mg - 1.0

    def arrays(self, factor: float) -> tuple[F8, F8, F8]:
        """Starts (h), durations (h) and (1, doses) amounts of F-ara-A (mg) for the kernels."""
        amounts = np.array([self.doses_mg]) * factor
        return np.array(self.times_h), np.array(self.infusion_h), amounts

    def highest_daily_mg(self) -> float:
        """The most that starts within any day, mg."""
        day = self.day_h - 1e-6
        return max(
            math.fsum(
                d for t, d in zip(self.times_h, self.doses_mg, strict=True) if s <= t < s + day
            )
            for s in self.times_h
        )

    def ceiling_faults(self, bsa_m2: float) -> list[str]:
        """What is above the ceilings per day and per course."""
        daily, total = self.highest_daily_mg() / bsa_m2, self.total_mg / bsa_m2
        faults = []
        if daily > DAILY_CEILING_MG_M2 * (1 + 1e-9):
            faults.append(
                f"{daily:.1f} mg/m2 in a day is above {DAILY_CEILING_MG_M2:g} mg/m2: refused. "
                f"{NEUROTOXICITY[0].upper()}{NEUROTOXICITY[1:]}"
            )
        if total > COURSE_CEILING_MG_M2 * (1 + 1e-9):
            faults.append(
                f"{total:.1f} mg/m2 in the course is above {COURSE_CEILING_MG_M2:g} mg/m2: refused"
            )
        return faults

    def preparation(self) -> Preparation:
        """What one dose is at the bench (equal doses)."""
        return Preparation.of(self.doses_mg[0])


@dataclass(frozen=True)
class Preparation:
    """One dose drawn up from 50 mg / 2 mL vials."""

    dose_mg: float
    volume_ml: float
    vials: int
    waste_mg: float

    @classmethod
    def of(cls, dose_mg: float) -> Self:
        """What a dose takes."""
        vials = math.ceil(dose_mg / VIAL_MG - 1e-9)
        return cls(dose_mg, dose_mg / MG_PER_ML, vials, vials * VIAL_MG - dose_mg)


def ceiling_mg(bsa_m2: Size, days: int, interval_h: float) -> Size:
    """The highest dose below 50 mg/m2 in 24 h and 250 mg/m2 in the course, mg.

    Examples
    --------
    >>> ceiling_mg(2.0, days=4, interval_h=24.0)
    100.0
    """
    a_day = sum(k * interval_h < 24 for k in range(days))
    return bsa_m2 * min(DAILY_CEILING_MG_M2 / a_day, COURSE_CEILING_MG_M2 / days)


def rounded_mg(dose_mg: float, step_mg: float) -> float:
    """A dose as a multiple of a step."""
    if not 0.01 <= step_mg <= 1000:
        raise InputError(f"round-to = {step_mg:g} must be a number of mg from 0.01 to 1000")
    steps = math.floor(dose_mg / step_mg + 0.5)
    return float(f"{steps * step_mg:.12g}")
