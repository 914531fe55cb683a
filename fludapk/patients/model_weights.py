"""The model of a request, as typed: one by its name, or an average over those that apply.

``"averaged"`` weighs them alike; ``"averaged: langenhorst2019=0.7, varela2025=0.3"`` as typed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fludapk.atomic import read_whole
from fludapk.errors import Fault, InputError, nearest
from fludapk.language import marked, tr
from fludapk.published.models import AVERAGED

_DO = marked('write "averaged", or "averaged: langenhorst2019=0.7, varela2025=0.3"')


def read_weights(model: str, names: Collection[str]) -> dict[str, float]:
    """Read the weights of models; empty for equal ones.

    Parameters
    ----------
    model : str
    names : collection of str
        Models that there are.

    Raises
    ------
    InputError
        If a name is unknown or comes twice, or a weight is no number above zero.

    Examples
    --------
    >>> read_weights("averaged: a=3, b=1", ["a", "b", "c"])
    {'a': 3.0, 'b': 1.0}
    """
    _, colon, rest = model.partition(":")
    weights: dict[str, float] = {}
    faults = []
    for part in rest.split(",") if colon else []:
        name, _, text = (piece.strip() for piece in part.partition("="))
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if name not in names:
            do = nearest(name, list(names))
            found = tr("averaged: unknown model {name!r}", name=name)
            faults.append(Fault("model", found, do=do, whole=True))
        elif name in weights:
            found = tr("averaged: {name} comes twice", name=name)
            faults.append(Fault("model", found, do=tr(_DO), whole=True))
        elif not 0.0 < weight < math.inf:
            found = tr("averaged: the weight of {name}, {text!r}, is no number above zero",
                       name=name, text=text)  # fmt: skip
            faults.append(Fault("model", found, do=tr(_DO), whole=True))
        weights[name] = weight
    if faults:
        raise InputError(*faults)
    return weights


def weighted_by(model: str) -> list[str]:
    """List the models that are given a weight; none for equal ones.

    Examples
    --------
    >>> weighted_by("averaged: a=3, b=1"), weighted_by("averaged")
    (['a', 'b'], [])
    """
    rest = model.partition(":")[2]
    return [part.partition("=")[0].strip() for part in rest.split(",") if part.strip()]


def averaged_by(evaluation: str | Path | Mapping[str, object]) -> str:
    """Return the model text that averages with the weights of an evaluation.

    They are the mean weights of the models over the patients of the evaluation.

    Parameters
    ----------
    evaluation : str, Path or mapping
        File that ``fludapk evaluate --json`` or ``-o`` wrote, or the same as a table.

    Raises
    ------
    InputError
        If it is no evaluation.

    Examples
    --------
    >>> averaged_by({"schema": "fludapk.evaluation/1",
    ...     "models": [{"model": "a", "weight_mean": 0.75}, {"model": "b", "weight_mean": 0.25}]})
    'averaged: a=0.75, b=0.25'
    """
    try:
        table: Any = evaluation
        if isinstance(evaluation, str | Path):
            table = json.loads(read_whole(evaluation))
        rows: Any = table["models"]
        if not str(table["schema"]).startswith("fludapk.evaluation/"):
            raise ValueError(table["schema"])
        weights = {str(row["model"]): float(row["weight_mean"]) for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        do = "give the file that `fludapk evaluate --json` writes"
        found = f"{evaluation}: is no evaluation of models"
        raise InputError(Fault("model_weights", found, do=do, whole=True)) from error
    # A weight below a millionth is left out: it moves nothing.
    listed = [f"{name}={weight:.6g}" for name, weight in weights.items() if weight > 1e-6]
    return f"{AVERAGED}: {', '.join(listed)}"
