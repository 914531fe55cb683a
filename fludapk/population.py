"""Virtual patients drawn from printed summaries of a population."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fludapk import formulas
from fludapk.errors import InputError, nearest
from fludapk.patient import growth_reference
from fludapk.schema import DATA, PopulationEntry, PopulationFile, read_toml

F8 = npt.NDArray[np.float64]

_Z_OF_QUARTILE = 0.6744897501960817


@lru_cache(maxsize=1)
def populations() -> Mapping[str, PopulationEntry]:
    """Ready-made populations by name."""
    entries = read_toml(DATA / "populations.toml", PopulationFile).populations
    return {entry.id: entry for entry in entries}


def virtual_patients(name: str, *, n: int, seed: int) -> dict[str, F8]:
    """Draw patients.

    Parameters
    ----------
    name : str
        Of `populations`.
    n, seed : int

    Returns
    -------
    dict of str to (n,) arrays
        AGE (years), SEX (1 female), WT (kg), HT (cm), BSA (m2, Mosteller), SCR (mg/dL); eGFR, CrCl
        and the categories are NaN, so that models compute them.

    Examples
    --------
    >>> children = virtual_patients("langenhorst2019_children", n=2000, seed=1)
    >>> bool(abs(np.median(children["WT"]) / 29 - 1) < 0.1)
    True
    """
    if name not in populations():
        raise InputError(f"unknown population {name!r}: {nearest(name, list(populations()))}")
    entry = populations()[name]
    rng = np.random.default_rng(seed)
    fractions, years = np.array(entry.age).T
    age = np.interp(rng.random(n), fractions, years)
    female = rng.random(n) < entry.female
    low, high = entry.weight_range_kg
    weight = np.full(n, np.nan)
    z_weight = np.empty(n)
    todo = np.arange(n)
    while todo.size:  # redrawn until inside the printed range
        z_weight[todo] = rng.standard_normal(todo.size)
        weight[todo] = _weight(entry, age[todo], female[todo], z_weight[todo])
        todo = todo[~((weight[todo] >= low) & (weight[todo] <= high))]  # NaN is redrawn too
    r = entry.weight_height_correlation
    z_height = r * z_weight + np.sqrt(1 - r**2) * rng.standard_normal(n)
    height = _by_growth_reference("height", age, female, z_height)
    sd = np.sqrt(np.log1p(entry.creatinine.cv**2))
    reference = formulas.fas_q(age_years=np.maximum(age, 1.0), female=female)
    scr = entry.creatinine.ratio * reference * np.exp(sd * rng.standard_normal(n))
    unknown = np.full(n, np.nan)
    return {
        "AGE": age,
        "SEX": female.astype(np.float64),
        "WT": weight,
        "HT": height,
        "BSA": np.asarray(formulas.mosteller(height_cm=height, weight_kg=weight)),
        "SCR": scr,
        "eGFR": unknown,
        "CrCl": unknown,
        "product": unknown,
        "diagnosis": unknown,
        "genotype": unknown,
    }


def _weight(entry: PopulationEntry, age: F8, female: npt.NDArray[np.bool_], z: F8) -> F8:
    if entry.weight_kg is None:
        return _by_growth_reference("weight", age, female, z)
    quartiles = entry.weight_kg
    sd = np.log(quartiles.q75 / quartiles.q25) / (2 * _Z_OF_QUARTILE)
    return np.asarray(quartiles.median * np.exp(sd * z))


def _by_growth_reference(measure: str, age: F8, female: npt.NDArray[np.bool_], z: F8) -> F8:
    """CDC 2000 value at a normal score; the reference at 20 y for adults."""
    out = np.empty_like(age)
    for sex, who in (("female", female), ("male", ~female)):
        table = growth_reference()[measure, sex]
        L, M, S = (np.interp(age[who], table[:, 0], table[:, column]) for column in (1, 2, 3))
        out[who] = formulas.lms_value(z=z[who], L=L, M=M, S=S)
    return out
