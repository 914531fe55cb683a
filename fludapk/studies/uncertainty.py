"""Models with parameters drawn from their printed uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from fludapk.published.model_files import ModelFile


def uncertain(file: ModelFile, rng: np.random.Generator) -> ModelFile:
    """Draw the thetas and variabilities of a model from their printed uncertainty.

    Each is drawn independently on the log scale, with the SD of its RSE or of its 95 % interval;
    those that are fixed, or printed without either, stay.

    Parameters
    ----------
    file : ModelFile
    rng : Generator

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> file = load_model().file
    >>> drawn = uncertain(file, np.random.default_rng(1))
    >>> drawn.theta["CLnr"].value != file.theta["CLnr"].value
    True
    """
    theta = {}
    for name, estimate in file.theta.items():
        sd, z = _log_sd(estimate.value, estimate.rse_percent, estimate.ci95), rng.standard_normal()
        value = estimate.value * math.exp(sd * z)
        theta[name] = estimate.model_copy(update={"value": value if sd else estimate.value})
    effects: dict[str, list[Any]] = {"iiv": [], "iov": []}
    for kind in effects:
        for effect in getattr(file, kind):
            sd, z = _log_sd(effect.value, effect.rse_percent, effect.ci95), rng.standard_normal()
            effects[kind].append(
                effect.model_copy(update={"value": effect.value * math.exp(sd * z)})
            )
    return file.model_copy(update={"theta": theta, **effects})


def certain_numbers(file: ModelFile) -> list[str]:
    """List the thetas and variabilities without a printed uncertainty, which are not drawn."""
    thetas = [(name, _log_sd(t.value, t.rse_percent, t.ci95)) for name, t in file.theta.items()]
    effects = [(e.name, _log_sd(e.value, e.rse_percent, e.ci95)) for e in [*file.iiv, *file.iov]]
    return [name for name, sd in [*thetas, *effects] if sd == 0.0]


def _log_sd(value: float, rse_percent: float | None, ci95: Sequence[float] | None) -> float:
    """Return the SD of the logarithm of an estimate; 0 if unknown or if the estimate is not > 0."""
    if value <= 0:
        return 0.0
    if rse_percent is not None:
        return math.sqrt(math.log1p((rse_percent / 100) ** 2))
    if ci95 is not None and ci95[0] > 0:
        return math.log(ci95[1] / ci95[0]) / (2 * Z95)
    return 0.0


Z95: Final = NormalDist().inv_cdf(0.975)
"""Standard normal quantile that bounds a 95 % interval."""
