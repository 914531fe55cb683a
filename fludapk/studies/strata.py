"""Strata: groups of the patients of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8, I8
from fludapk.errors import FludapkError, InputError, nearest
from fludapk.patients.population import Patients
from fludapk.published.covariates import renal_function
from fludapk.published.tables import CATEGORICAL
from fludapk.studies.scenario import Stratum


def band_name(by: str, low: float, high: float) -> str:
    """Return the name of the stratum of a band of a number.

    Examples
    --------
    >>> band_name("age_years", 2.0, 12.0)
    'age_years 2-<12'
    """
    return f"{by} {low:g}-<{high:g}"


def unknown_name(by: str) -> str:
    """Return the name of the stratum of patients who lack a number."""
    return f"{by} unknown"


@dataclass(frozen=True, eq=False)
class Grouping:
    """Grouping of patients by bands of a number, or by the values of a text column."""

    by: str
    """Column, as in `column`."""
    edges: F8 | None
    """(bands + 1,) Edges of the bands in the unit of the column; None for a text column."""
    categories: tuple[str, ...]
    """Values of a text column, one stratum each."""
    offset: int
    """Number of the first stratum of this grouping."""
    has_unknown: bool = False
    """True if some patients lack the number: they are a stratum of their own, the last."""

    @property
    def unknown(self) -> str:
        """Name of the stratum of patients who lack the number."""
        return unknown_name(self.by)

    @property
    def labels(self) -> list[str]:
        """Names of the strata."""
        if self.edges is None:
            return [f"{self.by} = {category}" for category in self.categories]
        bands = [band_name(self.by, low, high) for low, high in pairwise(self.edges.tolist())]
        return [*bands, self.unknown] if self.has_unknown else bands

    def members(self, patients: Patients) -> I8:
        """Return the number of the stratum of each patient, (n,); -1 outside every band."""
        values = column(self.by, patients)
        if self.edges is None:
            numbers = {category: i + self.offset for i, category in enumerate(self.categories)}
            return np.array([numbers.get(str(value), -1) for value in values], dtype=np.int64)
        measured = values.astype(np.float64)
        bands = len(self.edges) - 1
        band = np.digitize(measured, self.edges) - 1
        inside = np.where((band >= 0) & (band < bands), band + self.offset, -1)
        last = bands + self.offset if self.has_unknown else -1
        return np.where(np.isnan(measured), last, inside)


_COLUMNS: Final = {
    "age_years": "AGE",
    "weight_kg": "WT",
    "height_cm": "HT",
    "bsa_m2": "BSA",
    "scr_mg_dl": "SCR",
}
_RENAL: Final[dict[str, Literal["CrCl", "eGFR"]]] = {
    "egfr_ml_min_1_73m2": "eGFR",
    "crcl_ml_min": "CrCl",
}


def column(name: str, patients: Patients) -> npt.NDArray[Any]:
    """Return a column to group patients by.

    Parameters
    ----------
    name : str
        Such as age_years, egfr_ml_min_1_73m2, sex, product, or an extra column of the cohort.
    patients : Patients

    Returns
    -------
    (n,)
        Numbers in the unit of the name, or texts.

    Raises
    ------
    InputError
        If there is no column of that name.
    """
    columns = patients.columns
    if name in _COLUMNS:
        return columns[_COLUMNS[name]]
    if name in _RENAL:
        return renal_function(_RENAL[name], columns)
    if name == "sex":
        sexes = {1.0: "female", 0.0: "male"}
        return np.array([sexes.get(value, "unknown") for value in columns["SEX"]], dtype=object)
    if name in CATEGORICAL:
        categories = patients.categories[name]
        return np.array(
            ["unknown" if math.isnan(i) else categories[int(i)] for i in columns[name]],
            dtype=object,
        )
    if name in patients.extra:
        return patients.extra[name]
    choices = [*_COLUMNS, *_RENAL, "sex", *CATEGORICAL, *patients.extra]
    raise InputError(f"unknown column {name!r}: {nearest(name, choices)}")


def grouping_of(stratum: Stratum, patients: Patients, offset: int) -> Grouping:
    """Return the grouping that a stratum of the scenario describes.

    Parameters
    ----------
    stratum : Stratum
    patients : Patients
        Patients whose values of a text column become the strata.
    offset : int
        Number of its first stratum.

    Raises
    ------
    InputError
        If the column is unknown, edges are missing, or a text column has edges.
    """
    values = column(stratum.by, patients)
    is_number = values.dtype != object
    if stratum.edges is not None:
        if not is_number:
            raise InputError(f"{stratum.by} is text: leave edges out")
        lacks = bool(np.isnan(values.astype(np.float64)).any())
        return Grouping(stratum.by, np.array(stratum.edges), (), offset, lacks)
    if is_number:
        raise InputError(f"{stratum.by} is a number: give edges")
    return Grouping(stratum.by, None, tuple(sorted(set(map(str, values)))), offset)


def groupings_of(
    strata: Sequence[Stratum], cohort: Patients | None, pilot: Sequence[Patients]
) -> tuple[list[Grouping], list[str]]:
    """Return the groupings of a scenario, and the faults that only patients show.

    Parameters
    ----------
    strata : sequence of Stratum
    cohort : Patients, optional
        All patients, if they are not drawn.
    pilot : sequence of Patients
        Some of the patients of the study.
    """
    groupings: list[Grouping] = []
    faults: list[str] = []
    offset, drawn = 1, sum(patients.n for patients in pilot)
    for i, stratum in ((i, part) for i, whole in enumerate(strata) for part in whole.parts):
        try:
            grouping = grouping_of(stratum, cohort or pilot[0], offset)
            if any(other.by == stratum.by and other.has_unknown for other in groupings):
                grouping = replace(grouping, has_unknown=False)
            counts = np.zeros(len(grouping.labels), np.int64)
            for patients in pilot:
                members = grouping.members(patients) - offset
                np.add.at(counts, members[members >= 0], 1)
        except FludapkError as error:
            faults += [f"strata[{i}].by: {fault}" for fault in error.faults]
            continue
        faults += [
            f"strata[{i}]: nobody in {label} among the first {drawn} patients"
            for label, n in zip(grouping.labels, counts, strict=True)
            if n == 0 and label != grouping.unknown
        ]
        offset += len(grouping.labels)
        groupings.append(grouping)
    return groupings, faults
