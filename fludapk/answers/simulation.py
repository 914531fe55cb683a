"""Simulated patients behind chances and intervals, for many patients at once.

As many as a check has are counted. Fewer, as in long lists, are smoothed: counting them would give
chances off by up to 0.02 and intervals off by up to 5 %. Against 2 million pseudo-random draws of
27 courses (three models, three patients, 1 to 5 doses; chances at 11 percentiles) the errors were

==============================  ==================  ====================  ====================
simulated courses               chance: RMS, worst  with uncertain        width of the interval:
                                                    numbers               mean, RMS
==============================  ==================  ====================  ====================
8192, counted                   0.0009, 0.004       0.0014, 0.006         -0.1 %, 0.3 %
512, smoothed                   0.0008, 0.003       0.0024, 0.008         0.0 %, 0.3 %
512, counted                    0.0045, 0.019       0.0061, 0.021         -0.3 %, 1.8 %
==============================  ==================  ====================  ====================
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np

from fludapk.answers.headline import Chances, Interval, Simulated
from fludapk.answers.prediction import (
    LOG2_POINTS,
    Prediction,
    drawn_areas,
    uncertain_areas,
)
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.patience import go_on
from fludapk.pk.smoothing import Smoothed
from fludapk.published.targets import (
    LOW,
    bounds,
    prediction_intervals,
    targets,
    window_probabilities_of_many,
)

TOGETHER: Final = 128
"""Number of patients whose courses are in memory at once: they share factors of random effects."""


def simulated(prediction: Prediction, log2_points: int = LOG2_POINTS) -> Simulated:
    """Simulate the courses behind chance and interval of a prediction.

    Raises
    ------
    InputError
        If there are more random effects than points have coordinates, or a course fails.
    """
    return _together([prediction], log2_points)[0]


def simulated_of_many(
    predictions: Sequence[Prediction], log2_points: int
) -> list[Simulated | InputError]:
    """Simulate the courses of many predictions; one that fails does not stop the others.

    Parameters
    ----------
    predictions : sequence of Prediction
    log2_points : int
        2 to this power simulated courses stand behind each.
    """
    alike: dict[Hashable, list[int]] = {}
    for i, prediction in enumerate(predictions):
        course = prediction.case.course
        doses = len(prediction.together.covariates)  # of which the covariates are known
        key = prediction.model.id, course.times_h, course.infusion_h, doses
        alike.setdefault(key, []).append(i)
    outcomes: dict[int, Simulated | InputError] = {}
    for rows in alike.values():
        for first in range(0, len(rows), TOGETHER):
            go_on()
            part = rows[first : first + TOGETHER]
            each = _each([predictions[i] for i in part], log2_points)
            outcomes.update(zip(part, each, strict=True))
    return [outcomes[i] for i in range(len(predictions))]


def _each(alike: Sequence[Prediction], log2_points: int) -> Iterator[Simulated | InputError]:
    """Simulate predictions together, or each by itself if one of them fails."""
    try:
        yield from _together(alike, log2_points)
    except InputError as error:
        if len(alike) == 1:
            yield error
            return
        for prediction in alike:
            yield from _each([prediction], log2_points)


def _together(alike: Sequence[Prediction], log2_points: int) -> list[Simulated]:
    """Simulate predictions by one model, with the same times."""
    drawn, uncertain = drawn_areas(alike, log2_points), uncertain_areas(alike, log2_points)
    tables = {False: drawn} if uncertain is None else {False: drawn, True: uncertain}
    patients = [
        Simulated(prediction.model.id, prediction.auc_0_inf, *rows)
        for prediction, *rows in zip(alike, *tables.values(), strict=True)
    ]
    is_few = log2_points < LOG2_POINTS
    for wide, table in tables.items():
        chances, intervals = (_smoothed if is_few else _counted)(table)
        for window, rows in chances.items():
            key = *window, wide
            for patient, chance in zip(patients, rows, strict=True):
                patient.chances[key] = chance
        for patient, interval in zip(patients, intervals, strict=True):
            patient.intervals[wide] = interval
    return patients


_Judged: TypeAlias = tuple[dict[tuple[float, float], list[Chances]], list[Interval]]
"""Chances of many patients by window, and their intervals."""


def _windows() -> set[tuple[float, float]]:
    """Windows that answers ask about, mg·h/L."""
    return {(LOW, math.inf), *map(bounds, targets().values())}


def _counted(aucs: F8) -> _Judged:
    """Count the simulated patients in each window."""
    chances = {
        window: [Chances(*each) for each in rows]
        for window, rows in window_probabilities_of_many(aucs, _windows()).items()
    }
    return chances, prediction_intervals(aucs)


def _smoothed(aucs: F8) -> _Judged:
    """Compute chances and intervals of smoothed distributions, from fewer simulated patients."""
    smooth = Smoothed.of_values(aucs)
    edges = {edge for window in _windows() for edge in window if 0.0 < edge < math.inf}
    below = {0.0: np.zeros(len(aucs)), math.inf: np.ones(len(aucs))}
    below |= {edge: smooth.below(edge) for edge in edges}
    chances = {}
    for low, high in _windows():
        each = below[low], np.maximum(below[high] - below[low], 0.0), 1.0 - below[high]
        chances[low, high] = list(map(Chances, *(part.tolist() for part in each)))
    ends = (smooth.quantile(chance).tolist() for chance in ((1 - PI) / 2, (1 + PI) / 2))
    return chances, list(zip(*ends, strict=True))


PI: Final = 0.90
"""Coverage of the intervals."""
