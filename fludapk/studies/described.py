"""Patients of a study before any model: described populations, constants, weights of a cohort."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fludapk.errors import InputError, nearest
from fludapk.patients.population import Drawn, Patients, populations
from fludapk.published.population_files import PopulationEntry
from fludapk.published.tables import CATEGORICAL
from fludapk.studies.scenario import CohortFile, Custom, Scenario
from fludapk.studies.strata import column


def described(scenario: Scenario) -> PopulationEntry:
    """Return the description of the population that patients are drawn from.

    Parameters
    ----------
    scenario : Scenario

    Raises
    ------
    InputError
        If there is no such population, or patients come from a file.
    """
    population = scenario.population
    if isinstance(population, Custom):
        return population.custom
    if isinstance(population, CohortFile):
        raise InputError(f"file {population.file}: patients are not drawn from a description")
    ready_made = populations()
    if population.use not in ready_made:
        raise InputError(
            f"use: unknown population {population.use!r}: "
            f"{nearest(population.use, list(ready_made))}"
        )
    return ready_made[population.use]


def with_constants(scenario: Scenario, entry: PopulationEntry, people: Drawn, n: int) -> Patients:
    """Return drawn patients with the product, diagnosis and genotype of the scenario.

    Parameters
    ----------
    scenario : Scenario
    entry : PopulationEntry
        Description that the patients were drawn from.
    people : Drawn
    n : int
        Number of patients.
    """
    columns = people.columns
    categories = {name: list(entry.categories(name)) for name in CATEGORICAL}
    for name in CATEGORICAL:
        constant = getattr(scenario, name)
        if constant is not None:
            categories[name], columns[name] = [constant], np.zeros(n)
    return Patients(columns, categories, redrawn=people.redrawn)


def scr_range_mg_dl(scenario: Scenario) -> tuple[float, float]:
    """Return the limits of creatinine of a virtual population; none for patients of a file.

    Parameters
    ----------
    scenario : Scenario
    """
    if isinstance(scenario.population, CohortFile):
        return 0.0, math.inf
    low, high = described(scenario).scr_range_mg_dl or (0.0, math.inf)
    return low, high


def resampled(
    cohort: Patients, weights: str | None, rng: np.random.Generator, n: int
) -> npt.NDArray[np.int64]:
    """Draw rows of a cohort, all alike or by the weights in a column.

    Parameters
    ----------
    cohort : Patients
    weights : str or None
        Name of the column.
    rng : Generator
    n : int
        Number of rows.

    Raises
    ------
    InputError
        If there is no such column, or it does not hold weights.
    """
    if weights is None:
        return rng.integers(cohort.n, size=n)
    try:
        share = column(weights, cohort).astype(np.float64)
    except ValueError:
        raise InputError(f"weights: {weights} is not a column of numbers") from None
    if not (np.isfinite(share).all() and (share >= 0).all() and share.sum() > 0):
        raise InputError(f"weights: {weights} must hold numbers from 0 up, not all 0")
    return rng.choice(cohort.n, size=n, p=share / share.sum())
