"""Bands of concentration over time for the first patients of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_concentrations
from fludapk.studies.study import Study

_BAND_POINTS: Final = 145
"""Times at which each band is computed."""


@dataclass(frozen=True, eq=False)
class Band:
    """Concentrations of the first patients of a study under a strategy."""

    truth: str
    strategy: str
    times_h: F8
    quantiles: F8
    """(3, times) mg/L: 5, 50 and 95 %."""
    patients: int
    """Patients who were given a dose."""


def bands(study: Study, patients: int = 1000) -> list[Band]:
    """Compute a band of concentrations for each truth and strategy of a study.

    Parameters
    ----------
    study : Study
    patients : int
        Number of patients simulated, the first of the study; at most those of its first block.
    """
    result = []
    for truth in study.truths:
        for table in study.scenario.strategies:
            strategy = study.dosing[truth.id, table.id]
            block = study.block(truth, strategy, 0)
            doses = strategy.doses(block)
            times, lengths, _ = strategy.schedule.course_of(1.0).arrays(1.0)
            n = min(patients, len(block.tv))
            at = np.linspace(0.0, times[-1] + 48.0, _BAND_POINTS)
            effects = RandomEffects(block.effects.eta[:n], block.effects.kappa[:n])
            conc, _ = course_concentrations(
                truth.program, block.tv[:n], effects, times, lengths,
                doses.mg[:n] * truth.file.dose_factor, at,
            )  # fmt: skip
            given = doses.given[:n]
            if given.any():
                spread = np.quantile(conc[given], [0.05, 0.5, 0.95], axis=0)
                result.append(Band(truth.id, table.id, at, spread, int(given.sum())))
    return result
