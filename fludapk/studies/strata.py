"""Groups of patients in a study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8, I8
from fludapk.errors import InputError, nearest
from fludapk.patients.population import Patients
from fludapk.published.covariates import renal_function
from fludapk.published.tables import CATEGORICAL
from fludapk.studies.scenario import Stratum

# ------------------------------------------------------------------ strata


@dataclass(frozen=True, eq=False)
class Grouping:
    """Patients by bands of a number, or by the values of a text."""

    by: str
    edges: F8 | None
    categories: tuple[str, ...]
    offset: int
    """Number of its first stratum."""

    @property
    def labels(self) -> list[str]:
        """Names of its strata."""
        if self.edges is None:
            return [f"{self.by} = {category}" for category in self.categories]
        return [
            f"{self.by} {low:g}-<{high:g}"
            for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)
        ]

    def members(self, patients: Patients) -> I8:
        """Stratum of each patient, -1 outside every band."""
        values = column(self.by, patients)
        if self.edges is None:
            numbers = {category: i + self.offset for i, category in enumerate(self.categories)}
            return np.array([numbers.get(str(value), -1) for value in values], dtype=np.int64)
        band = np.digitize(values.astype(np.float64), self.edges) - 1
        return np.where((band >= 0) & (band < len(self.edges) - 1), band + self.offset, -1)


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
    """A column to group patients by.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = patients.columns
    if name in _COLUMNS:
        return known[_COLUMNS[name]]
    if name in _RENAL:
        return renal_function(_RENAL[name], known)
    if name == "sex":
        sexes = {1.0: "female", 0.0: "male"}
        return np.array([sexes.get(value, "unknown") for value in known["SEX"]], dtype=object)
    if name in CATEGORICAL:
        categories = patients.categories[name]
        return np.array(
            ["unknown" if math.isnan(i) else categories[int(i)] for i in known[name]], dtype=object
        )
    if name in patients.extra:
        return patients.extra[name]
    choices = [*_COLUMNS, *_RENAL, "sex", *CATEGORICAL, *patients.extra]
    raise InputError(f"unknown column {name!r}: {nearest(name, choices)}")


def grouping_of(stratum: Stratum, patients: Patients, offset: int) -> Grouping:
    """Grouping of a stratum of the scenario."""
    values = column(stratum.by, patients)
    is_number = values.dtype != object
    if stratum.edges is not None:
        if not is_number:
            raise InputError(f"{stratum.by} is text: leave edges out")
        return Grouping(stratum.by, np.array(stratum.edges), (), offset)
    if is_number:
        raise InputError(f"{stratum.by} is a number: give edges")
    return Grouping(stratum.by, None, tuple(sorted(set(map(str, values)))), offset)
