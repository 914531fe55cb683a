"""Concentrations over time of the first patients of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_concentrations
from fludapk.studies.study import Study

_BAND_POINTS: Final = 145


@dataclass(frozen=True, eq=False)
class Band:
    """Concentrations of the first patients of a study under a strategy."""

    truth: str
    strategy: str
    times_h: F8
    quantiles: F8
    """(3, times) mg/L: 5, 50 and 95 %."""
    patients: int


def bands(of: Study, patients: int = 1000) -> list[Band]:
    """Concentrations of the first patients, by truth and strategy."""
    found = []
    for truth in of.truths:
        for table in of.scenario.strategies:
            way = of.ways[truth.id, table.id]
            block = of.block(truth, way, 0)
            doses = way.doses(block)
            times, lengths, _ = way.schedule.course_of(1.0).arrays(1.0)
            n = min(patients, len(block.tv))
            at = np.linspace(0.0, times[-1] + 48.0, _BAND_POINTS)
            effects = RandomEffects(block.effects.eta[:n], block.effects.kappa[:n])
            conc, _ = course_concentrations(
                truth.program, block.tv[:n], effects, times, lengths,
                doses.mg[:n] * truth.file.dose.factor, at,
            )  # fmt: skip
            given = doses.given[:n]
            if given.any():
                spread = np.quantile(conc[given], [0.05, 0.5, 0.95], axis=0)
                found.append(Band(truth.id, table.id, at, spread, int(given.sum())))
    return found
