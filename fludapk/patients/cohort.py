"""A list of patients as the population of a study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import FludapkError, InputError
from fludapk.patients.columns import Layout, is_column
from fludapk.patients.csv_list import CsvList, open_list
from fludapk.patients.list_rows import request_of
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.population import Patients
from fludapk.patients.record_names import is_records
from fludapk.published.tables import CATEGORICAL


def read_cohort(path: Path) -> tuple[Patients, str]:
    """Patients of a list, as `fludapk batch` reads it, and the hash of the file.

    Every other column is kept for strata: as numbers if all its cells are.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If a row cannot be read: all such rows are listed. If the rows are records, or two other
        columns have one name.
    """
    source = open_list(path, is_column)
    if is_records(source.header):
        raise InputError(f"{path}: has records of doses or levels; a cohort has a row per patient")
    layout = Layout.read(
        source.header, defaults={"dose": "1 mg", "days": "1"}, decimal_comma=source.decimal_comma
    ).surveyed(source.rows())
    patients, rows = _patients(source, layout)
    columns = columns_of(patients)
    categories: dict[str, list[str]] = {}
    for name in CATEGORICAL:
        stated = [getattr(patient, name) for patient in patients]
        categories[name] = sorted({value for value in stated if value})
        numbers = {value: float(i) for i, value in enumerate(categories[name])}
        columns[name] = np.array([numbers.get(value, np.nan) for value in stated])
    formulas = np.array([patient.egfr_formula for patient in patients], dtype=object)
    cohort = Patients(
        columns,
        categories,
        _others(layout, rows),
        egfr_formulas=formulas if formulas.any() else None,
    )
    return cohort, source.sha256()


def _patients(source: CsvList, layout: Layout) -> tuple[list[Patient], list[list[str]]]:
    """Patients of every row, and the rows."""
    patients, faults, rows = [], [], []
    for row, cells in enumerate(source.rows(), start=source.first_row):
        try:
            patients.append(request_of(layout, cells).patient)
            rows.append(cells)
        except FludapkError as error:
            faults += [f"row {row}: {fault}" for fault in error.faults]
    if faults:
        raise InputError(*faults[:20], *([f"and {len(faults) - 20} more"] if faults[20:] else []))
    if not patients:
        raise InputError(f"{source.source.name}: no patients")
    return patients, rows


def _others(layout: Layout, rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Columns that are kept for strata, by name."""
    others: dict[str, Any] = {}
    for place, name in enumerate(layout.header):
        if place in layout.meaning:
            continue
        if name in others:
            raise InputError(f"the column {name!r} is there twice: rename one of them")
        texts = [layout.cell(row, place) for row in rows]
        others[name] = _numbers(texts)
        if others[name] is None:
            others[name] = np.array([row[place] for row in rows], dtype=object)
    return others


def _numbers(cells: Sequence[str]) -> F8 | None:
    """Cells as numbers if all of them are plain finite ones."""
    if not all(_NUMBER.fullmatch(cell) for cell in cells):
        return None
    numbers = np.array([float(cell) for cell in cells])
    return numbers if np.isfinite(numbers).all() else None


_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,99}+(?:\.[0-9]{0,99}+)?|\.[0-9]{1,99}+)(?:[eE][+-]?[0-9]{1,4})?"
)
