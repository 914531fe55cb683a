"""One measured level, and doses as they were given."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Self

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.units import parse_number, parse_quantity

FAR: Final = 100.0
"""A level so many times off the prediction is taken for a slip of the unit: a slip is 1000, and
patients are off by less than 10."""
FAR_OF_LITTLE: Final = 1000.0
"""The same below `LITTLE_MG_L`, where a slow patient keeps many times what is predicted."""
LITTLE_MG_L: Final = 0.01
TRACE_MG_L: Final = 1e-5
"""Below this a prediction says nothing of units: no assay sees it."""


# ------------------------------------------------------------------ what was measured and given


@dataclass(frozen=True, kw_only=True)
class Level:
    """One measured level of F-ara-A.

    Parameters
    ----------
    time_h : float
        From the start of the first infusion.
    conc_mg_l : float, optional
        None: below the limit of quantification.
    lloq_mg_l : float, optional
        Limit of quantification.
    typed : str
        As it was written.

    Examples
    --------
    >>> Level.from_text("2.0h 0.62mg/L").conc_mg_l
    0.62
    >>> Level.from_text("24 h <10 ng/mL").lloq_mg_l
    0.01
    """

    time_h: float
    conc_mg_l: float | None
    lloq_mg_l: float | None = None
    typed: str = ""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a level as typed: time, then concentration, each with its unit.

        Raises
        ------
        InputError
            Without a unit, or if it is not a time and a concentration.
        """
        found = re.fullmatch(
            r"\s*([+-]?[\d.,]+\s*[a-z]*)[\s,;:=]+(<?)\s*([+-]?[\d.,eE-]+\s*[^\d\s].*|[+-]?[\d.,]+)\s*",
            text,
        )
        if found is None:
            raise InputError(
                f'level = {text!r}: write time and concentration, "2.0h 0.62mg/L"; below the limit '
                'of quantification: "24h <0.01mg/L"'
            )
        when, below, what = found.groups()
        name = f"level {text!r}"
        number, unit = parse_number(when, f"{name}: time")
        if not unit:
            raise InputError(f"level = {text!r}: the time has no unit: write {number:g}h")
        return cls.from_fields(when, what, below=bool(below), name=name, typed=text.strip())

    @classmethod
    def from_fields(
        cls, time: str, conc: str, *, below: bool = False, name: str = "level", typed: str = ""
    ) -> Self:
        """Read time and concentration; hours need no unit, a concentration does.

        Parameters
        ----------
        time : str
        conc : str
            With `below`, or after ``<``, the limit of quantification.
        below : bool
        name : str
            What messages call the level.
        typed : str

        Raises
        ------
        InputError
            Naming both, if both are faulty.

        Examples
        --------
        >>> Level.from_fields("2", "620 ng/mL").conc_mg_l
        0.62
        """
        value = conc.strip()
        limit = value.removeprefix("<")
        found: list[float] = []
        faults: list[str] = []
        for text, what, dimension, bare in (
            (time, "time", "time", "h"),
            (limit, "concentration", "concentration", None),
        ):
            try:
                found.append(
                    parse_quantity(
                        text, dimension=dimension, name=f"{name}: {what}", bare=bare
                    ).value
                )
            except InputError as error:
                faults += error.faults
        if faults:
            raise InputError(*faults)
        if below or limit != value:
            return cls(time_h=found[0], conc_mg_l=None, lloq_mg_l=found[1], typed=typed)
        return cls(time_h=found[0], conc_mg_l=found[1], typed=typed)

    def __str__(self) -> str:
        value = f"<{self.lloq_mg_l:g}" if self.conc_mg_l is None else f"{self.conc_mg_l:g}"
        return f"{self.time_h:g} h {value} mg/L"


def parse_given(text: str, infusion_h: float) -> tuple[float, float, float]:
    """A dose as given: start (h), length (h), mg of fludarabine phosphate.

    Examples
    --------
    >>> parse_given("24.5h 22 mg", 0.5), parse_given("0h 22mg 45min", 0.5)
    ((24.5, 0.5, 22.0), (0.0, 0.75, 22.0))
    """
    found = re.fullmatch(r"\s*([\d.]+\s*[a-z]+)\s+([\d.]+\s*mg)(?:\s+([\d.]+\s*[a-z]+))?\s*", text)
    if found is None:
        raise InputError(
            f"given = {text!r}: write start, mg of fludarabine phosphate, and the length if it "
            'differs: "24.5h 22mg" or "24.5h 22mg 45min"'
        )
    start, dose, length = found.groups()
    name = f"given {text!r}"
    return (
        parse_quantity(start, dimension="time", name=name, bare=None).value,
        infusion_h
        if length is None
        else parse_quantity(length, dimension="time", name=name, bare=None).value,
        parse_quantity(dose, dimension="mass", name=name, bare=None).value,
    )


def slips(times_h: F8, conc_mg_l: F8, typical_mg_l: F8) -> list[str]:
    """Levels that only another unit, or another clock, explains; each (m,).

    Examples
    --------
    >>> import numpy as np
    >>> slips(np.array([2.0]), np.array([600.0]), np.array([0.5]))  # doctest: +ELLIPSIS
    ['level at 2 h: 600 mg/L is 1.2e+03 times the 0.5 mg/L expected: check the unit, ...']
    """
    faults = []
    for time, conc, expected in zip(times_h, conc_mg_l, typical_mg_l, strict=True):
        if time <= 0:
            faults.append(
                f"level at {time:g} h: time counts from the start of the first infusion, and there "
                "is no drug before it"
            )
            continue
        ratio = conc / expected if expected > TRACE_MG_L else math.nan
        far = FAR if expected > LITTLE_MG_L else FAR_OF_LITTLE
        if ratio > far or ratio < 1 / far:
            hint = "ng/mL" if ratio > 1 else "mg/L"
            faults.append(
                f"level at {time:g} h: {conc:g} mg/L is {ratio:.3g} times the {expected:.3g} mg/L "
                f"expected: check the unit, is it {hint}? And the time"
            )
    return faults
