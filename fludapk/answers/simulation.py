"""Simulated patients behind chances and intervals, for many patients at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from fludapk.answers.headline import Chances, Simulated
from fludapk.answers.prediction import (
    LOG2_POINTS,
    Prediction,
    drawn_areas,
    uncertain_areas,
)
from fludapk.errors import InputError
from fludapk.published.targets import (
    LOW,
    bounds,
    prediction_intervals,
    targets,
    window_probabilities_of_many,
)

LOG2_TOGETHER: Final = 17
"""2 to this power simulated courses are in memory at once: 256 patients of 512, or 16 of 8192."""


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
        key = prediction.model.id, course.times_h, course.infusion_h
        alike.setdefault(key, []).append(i)
    outcomes: dict[int, Simulated | InputError] = {}
    size = 2 ** max(LOG2_TOGETHER - log2_points, 0)
    for rows in alike.values():
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
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
    windows = {(LOW, math.inf), *map(bounds, targets().values())}
    for wide, table in tables.items():
        for low, high in windows:
            chances = window_probabilities_of_many(table, low, high)
            for patient, chance in zip(patients, chances, strict=True):
                patient.chances[low, high, wide] = Chances(*chance)
        for patient, interval in zip(patients, prediction_intervals(table), strict=True):
            patient.intervals[wide] = interval
    return patients
