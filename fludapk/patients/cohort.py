"""A list of patients as the population of a study."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fludapk.errors import FludapkError, InputError
from fludapk.patients.columns import Layout, is_column, request_of
from fludapk.patients.csv_list import open_list
from fludapk.patients.patient import columns_of
from fludapk.patients.population import Patients
from fludapk.published.tables import CATEGORICAL


def read_cohort(path: Path) -> tuple[Patients, str]:
    """Patients of a list, as `fludapk batch` reads it, and the hash of the file.

    Every other column is kept for strata: as numbers if all its cells are.

    Raises
    ------
    InputError
        If a row cannot be read: all such rows are listed.
    """
    source = open_list(path, is_column)
    layout = Layout.read(
        source.header, defaults={"dose": "1 mg", "days": "1"}, decimal_comma=source.decimal_comma
    )
    patients, faults, rows = [], [], []
    for row, cells in enumerate(source.rows(), start=2):
        try:
            patients.append(request_of(layout, cells).patient)
            rows.append(cells)
        except FludapkError as error:
            faults += [f"row {row}: {fault}" for fault in error.faults]
    if faults:
        raise InputError(*faults[:20], *([f"and {len(faults) - 20} more"] if faults[20:] else []))
    if not patients:
        raise InputError(f"{path}: no patients")
    columns = columns_of(patients)
    categories: dict[str, list[str]] = {}
    for name in CATEGORICAL:
        stated = [getattr(patient, name) for patient in patients]
        categories[name] = sorted({value for value in stated if value})
        numbers = {value: float(i) for i, value in enumerate(categories[name])}
        columns[name] = np.array([numbers.get(value, np.nan) for value in stated])
    extra: dict[str, Any] = {}
    for place, name in enumerate(layout.header):
        if place not in layout.meaning:
            if name in extra:
                raise InputError(f"{path}: the column {name!r} is there twice: rename one of them")
            extra[name] = _numbers_or_texts([row[place] for row in rows])
    formulas = np.array([patient.egfr_formula for patient in patients], dtype=object)
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Patients(columns, categories, extra, formulas if formulas.any() else None), sha256


def _numbers_or_texts(cells: Sequence[str]) -> npt.NDArray[Any]:
    """Cells as numbers if all of them are plain finite ones, else as they are."""
    if all(_NUMBER.fullmatch(cell.strip()) for cell in cells):
        numbers = np.array([float(cell) for cell in cells])
        if np.isfinite(numbers).all():
            return numbers
    return np.array(cells, dtype=object)


_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,99}+(?:\.[0-9]{0,99}+)?|\.[0-9]{1,99}+)(?:[eE][+-]?[0-9]{1,4})?"
)
