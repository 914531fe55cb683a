"""Cells of a nomogram beside the typical AUC: target, chance of missing it, STOP of a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fludapk.answers.check import checks
from fludapk.answers.check_records import CheckResult
from fludapk.answers.nomogram_grid import People
from fludapk.answers.nomogram_records import Grid
from fludapk.arrays import F8, Bools
from fludapk.language import tr
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.published.covariates import renal_function
from fludapk.published.regimens import ADULT_YEARS, label_rules, label_step
from fludapk.published.targets import leading_target

MOST_CELLS: Final = 1000
"""Larger maps have no chances: each cell is as many simulated courses as a check."""


class Chances(NamedTuple):
    """Chances of missing the leading target, [weights][renal]; None where there is none."""

    miss: Grid
    below: Grid
    above: Grid


def leading_targets(
    people: People, regimen: Regimen, asked: Mapping[str, str | None]
) -> list[str | None]:
    """Id of the target that leads at the age of each weight."""
    entries = [
        leading_target(
            age_years=float(age),
            product=asked["product"] or regimen.product,
            disease=asked["diagnosis"] or regimen.disease,
        )
        for age in people.ages
    ]
    return [None if entry is None else entry.id for entry in entries]


def chances_of(
    people: People,
    regimens: Mapping[tuple[int, int], Regimen],
    asked: Mapping[str, str | None],
    *,
    model: str,
    folders: Sequence[Path] | None,
) -> Chances:
    """Check every cell, as it would be checked alone.

    Parameters
    ----------
    people : People
    regimens : mapping
        Cell -> its course; cells without a value are left out.
    asked : mapping
        Product, diagnosis and genotype.
    model, folders
        As in `fludapk.answers.nomogram.nomogram`.
    """
    requests = [
        Request(patient=people.patient(i, j, asked), regimen=course, model=model)
        for (i, j), course in regimens.items()
    ]
    miss, below, above = (np.full(people.shape, np.nan) for _ in range(3))
    outcomes = checks(requests, trails=False, folders=folders)
    for cell, outcome in zip(regimens, outcomes, strict=True):
        if isinstance(outcome, CheckResult):
            head = outcome.headline
            miss[cell] = np.nan if head.p_miss is None else head.p_miss
            below[cell] = np.nan if head.p_below is None else head.p_below
            above[cell] = np.nan if head.p_above is None else head.p_above
    return Chances(grid_of(miss), grid_of(below), grid_of(above))


def grid_of(values: F8) -> Grid:
    """Rows of values, None instead of NaN.

    Examples
    --------
    >>> grid_of(np.array([[1.0, np.nan]]))
    ((1.0, None),)
    """
    return tuple(
        tuple(None if np.isnan(value) else value for value in row) for row in values.tolist()
    )


def stopped_cells(people: People, columns: Mapping[str, F8]) -> tuple[Bools, str | None]:
    """Cells at which a label says not to give it, and the advice at the first of them.

    Parameters
    ----------
    people : People
    columns : mapping of str to (cells,)
        See `fludapk.published.covariates.Columns`.

    Returns
    -------
    stopped : (weights, renal) bool
    example : str or None
        None if there is no such cell.
    """
    adult = np.repeat(people.ages >= ADULT_YEARS, people.renal.size)
    stopped = np.zeros(people.size, dtype=np.bool_)
    example: str | None = None
    for rule in label_rules():
        value = renal_function(rule.measure, columns)
        usable = np.isfinite(value) & (adult | (not rule.adults_only))
        refusing = np.array(
            [
                bool(ok) and label_step(rule, float(x)).refuse
                for ok, x in zip(usable, value, strict=True)
            ]
        )
        if refusing.any() and example is None:
            k = int(np.flatnonzero(refusing)[0])
            i, j = divmod(k, people.renal.size)
            advice = label_step(rule, float(value[k])).advice
            example = f"{people.described(i, j)}: {tr(rule.title)}: {tr(advice)}"
        stopped |= refusing
    return stopped.reshape(people.shape), example
