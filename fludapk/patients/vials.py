"""Vials of one day shared between patients: who draws what from which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.units import MG_PER_ML, VIAL_MG

_SLACK: Final = 1e-9
"""Relative amount of a vial that is rounding of floating-point numbers."""


@dataclass(frozen=True, kw_only=True)
class SharedDose:
    """One dose drawn from shared vials.

    Parameters
    ----------
    patient : str
        As in the list.
    dose_mg : float
        Fludarabine phosphate.
    volume_ml : float
    parts_mg : tuple of (int, float)
        Number of each vial, from 1, and what is drawn from it, mg.
    """

    patient: str
    dose_mg: float
    volume_ml: float
    parts_mg: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class SharedVials:
    """Vials of one day, in the order in which doses are drawn.

    Parameters
    ----------
    doses : tuple of SharedDose
        The largest first.
    vials : int
        Vials that are opened.
    vials_alone : int
        Vials if nobody shared.
    left_mg : float
        What is left in the last vial.
    left_alone_mg : float
        What would be left if nobody shared.
    """

    doses: tuple[SharedDose, ...]
    vials: int
    vials_alone: int
    left_mg: float
    left_alone_mg: float

    @property
    def vials_saved(self) -> int:
        """Vials that sharing saves."""
        return self.vials_alone - self.vials

    @property
    def mg_saved(self) -> float:
        """Drug that sharing saves, mg."""
        return self.left_alone_mg - self.left_mg


def share_vials(doses_mg: Sequence[tuple[str, float]]) -> SharedVials:
    """Divide the vials of one day between patients.

    The largest dose is drawn first, and every dose begins with what is left in the open vial.
    Whatever the order, the vials are the sum of all doses over 50 mg, rounded up. How long an open
    vial may be kept is for the pharmacy to decide.

    Parameters
    ----------
    doses_mg : sequence of (str, float)
        Name of each patient, and the dose of that day, mg of fludarabine phosphate.

    Raises
    ------
    InputError
        If a dose is not above zero; every such patient is named.

    Examples
    --------
    >>> shared = share_vials([("A", 22.0), ("B", 41.0), ("C", 30.0)])
    >>> [(dose.patient, dose.parts_mg) for dose in shared.doses]
    [('B', ((1, 41.0),)), ('C', ((1, 9.0), (2, 21.0))), ('A', ((2, 22.0),))]
    >>> shared.vials, shared.vials_alone, shared.left_mg
    (2, 3, 7.0)
    """
    faults = [
        Fault(
            "dose",
            tr("of {patient}: {mg:g} mg cannot be drawn", patient=patient, mg=mg),
            do=tr("give a dose above 0 mg"),
        )
        for patient, mg in doses_mg
        if not (mg > 0 and math.isfinite(mg))
    ]
    if faults:
        raise InputError(*faults)
    open_vial, left = 0, 0.0
    drawn = []
    for patient, mg in sorted(doses_mg, key=lambda dose: -dose[1]):
        parts, missing = [], mg
        while missing > VIAL_MG * _SLACK:
            if left <= VIAL_MG * _SLACK:
                open_vial, left = open_vial + 1, VIAL_MG
            part = min(missing, left)
            parts.append((open_vial, round(part, 9)))
            left, missing = left - part, missing - part
        drawn.append(
            SharedDose(patient=patient, dose_mg=mg, volume_ml=mg / MG_PER_ML, parts_mg=tuple(parts))
        )
    alone = [math.ceil(mg / VIAL_MG - _SLACK) for _, mg in doses_mg]
    total = math.fsum(mg for _, mg in doses_mg)
    return SharedVials(
        doses=tuple(drawn),
        vials=open_vial,
        vials_alone=sum(alone),
        left_mg=round(open_vial * VIAL_MG - total, 9),
        left_alone_mg=round(sum(alone) * VIAL_MG - total, 9),
    )
