"""Variability as a printed matrix: covariances or correlations, with the rounding of the print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from fludapk.arrays import F8
from fludapk.published.tables import Table, Text, defined, rows_in

Printed = Annotated[str, StringConstraints(pattern=r"^-?\d+(\.\d+)?$")]
"""Digits as printed: their number says how much was rounded."""
SMALLEST: Final = 1e-6
"""Least eigenvalue of a valid matrix of correlations."""
_ROUNDS: Final = 2000
_ROUNDING: Final = 1e-12
"""Eigenvalue that is zero, but for the rounding of floating-point numbers."""


class _Matrix(Table):
    """A block of variability, by its lower triangle."""

    kind: Literal["covariance", "correlation"]
    order: list[str]
    rows: Annotated[list[list[Printed]], Field(min_length=2)]
    source: Text

    @model_validator(mode="after")
    def _lower_triangle(self) -> Self:
        names = self.order
        if len(set(names)) < len(names):
            raise ValueError("order: a name is there twice")
        if [len(row) for row in self.rows] != list(range(1, len(names) + 1)):
            raise ValueError(
                f"rows: the lower triangle of {len(names)} rows, 1 number in the first"
            )
        diagonal = [float(row[-1]) for row in self.rows]
        if self.kind == "correlation" and any(x != 1.0 for x in diagonal):
            raise ValueError("rows: the last number of each row of correlations is 1")
        if min(diagonal) <= 0.0:
            raise ValueError("rows: the last number of each row is a variance, above 0")
        return self

    @property
    def values(self) -> F8:
        """(n, n) The numbers."""
        return _symmetric([[float(x) for x in row] for row in self.rows])

    @property
    def slack(self) -> F8:
        """(n, n) Half a unit of the last printed digit; none for a correlation with itself."""
        halves = [[0.5 * 10.0 ** -len(x.partition(".")[2]) for x in row] for row in self.rows]
        slack = _symmetric(halves)
        if self.kind == "correlation":
            np.fill_diagonal(slack, 0.0)
        return slack


class IivMatrix(_Matrix):
    """Covariances or correlations of etas."""

    order: Annotated[list[Annotated[str, defined("iiv")]], Field(min_length=2)]


class IovMatrix(_Matrix):
    """Covariances or correlations of the kappas of an occasion."""

    order: Annotated[list[Annotated[str, defined("iov")]], Field(min_length=2)]


def _symmetric(rows: Sequence[Sequence[float]]) -> F8:
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        matrix[i, : i + 1] = matrix[: i + 1, i] = row
    return matrix


def with_variances(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give the effects of a file their variances from its matrices of covariances.

    Parameters
    ----------
    raw : mapping
        The file as TOML gives it; what is faulty stays as it is.
    """
    filled = dict(raw)
    for effects in ("iiv", "iov"):
        variances = {
            name: float(row[-1])
            for matrix in rows_in(raw, f"{effects}_matrices")
            if matrix.get("kind") == "covariance" and _is_readable(matrix)
            for name, row in zip(matrix["order"], matrix["rows"], strict=False)
        }
        if variances:
            filled[effects] = [
                row
                if row.get("name") not in variances or "value" in row or "scale" in row
                else {**row, "value": variances[row["name"]], "scale": "variance"}
                for row in rows_in(raw, effects)
            ]
    return filled


def _is_readable(matrix: Mapping[str, Any]) -> bool:
    try:
        return all(isinstance(float(row[-1]), float) for row in matrix["rows"]) and all(
            isinstance(name, str) for name in matrix["order"]
        )
    except (TypeError, ValueError, LookupError):
        return False


def nearest_valid(matrix: F8, slack: F8) -> F8 | None:
    """Find the covariance matrix nearest to a printed one within its rounding.

    Parameters
    ----------
    matrix : (n, n) array
        As printed; perhaps not positive definite.
    slack : (n, n) array
        Largest change of each number.

    Returns
    -------
    (n, n) array or None
        The matrix itself if it is valid; None if no matrix within the rounding is.

    Notes
    -----
    Projections in turn, with Dykstra's correction, on the matrices whose eigenvalues are at least
    `SMALLEST` on the scale of correlations, and on those within the rounding (Higham 2002, IMA J
    Numer Anal 22:329, doi 10.1093/imanum/22.3.329).

    Examples
    --------
    >>> printed = np.array([[1.0, 0.71, 0.71], [0.71, 1.0, 0.0], [0.71, 0.0, 1.0]])
    >>> half_a_unit = 0.005 * (1 - np.eye(3))
    >>> nearest_valid(printed, half_a_unit).round(4)[0]
    array([1.    , 0.7077, 0.7077])
    >>> nearest_valid(printed, half_a_unit / 10) is None
    True
    """
    scale = np.sqrt(np.diag(matrix))
    if np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0] > _ROUNDING:
        return matrix
    printed, room = matrix / np.outer(scale, scale), slack / np.outer(scale, scale)
    x, correction = printed, np.zeros_like(printed)
    for _ in range(_ROUNDS):
        values, vectors = np.linalg.eigh(x - correction)
        valid = (vectors * np.maximum(values, 2.0 * SMALLEST)) @ vectors.T
        correction = valid - (x - correction)
        x = np.clip(valid, printed - room, printed + room)
        if np.linalg.eigvalsh(x)[0] >= SMALLEST:
            return np.asarray(x * np.outer(scale, scale))
    return None
