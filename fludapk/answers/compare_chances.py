"""Chances of plans to compare: all with the uncertainty of the model's numbers, or all without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fludapk.answers.averaging import Blend
from fludapk.answers.check_records import CheckResult
from fludapk.answers.headline import NOTEWORTHY, Simulated
from fludapk.answers.prediction import predict
from fludapk.answers.simulation import simulated
from fludapk.published.models import load_model
from fludapk.published.targets import bounds, targets


def compared_chances(
    results: Sequence[CheckResult | None], folders: Sequence[Path] | None = None
) -> list[float | None]:
    """Chances of reaching the leading target, on the same simulated patients for every plan.

    The headline of a single check leaves out the uncertainty of the model's numbers where it moves
    no chance by more than a percent. Between plans that would be a difference of method, so it
    counts for all plans as soon as it counts for one.

    Parameters
    ----------
    results : sequence of CheckResult or None
        Check of each plan; None if it has no dose.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Returns
    -------
    list of float or None
        None without a dose, a target that fits, or a window of it.
    """
    narrow: list[float | None] = []
    wide: list[float | None] = []
    is_noteworthy = False
    for result in results:
        target = None if result is None else result.headline.target
        if result is None or target is None or result.headline.p_within is None:
            narrow.append(None)
            wide.append(None)
            continue
        by = _judged(result, folders)
        low, high = bounds(targets()[target])
        without, with_it = (by.chance(low, high, wide=wide) for wide in (False, True))
        moved = max(abs(a - b) for a, b in zip(without, with_it, strict=True))
        is_noteworthy = is_noteworthy or moved > NOTEWORTHY
        narrow.append(without[1])
        wide.append(with_it[1])
    return wide if is_noteworthy else narrow


def _judged(result: CheckResult, folders: Sequence[Path] | None) -> Simulated:
    """Simulated patients of a plan by the model that its chance is computed by."""
    if result.averaged is not None:
        blend: Blend = result.made_from
        return blend.simulated()
    prediction, judging = result.prediction, result.headline.model
    if judging is not None and judging != prediction.model.id:
        prediction = predict(load_model(judging, folders), *prediction.case)
    return simulated(prediction)
