"""A model of another engine as its text says it: numbers and statements, nothing interpreted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from fludapk.published.engines.branches import statements

NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?"
UNREAD: Final = "__unread__"
"""Value of a name in a statement that was not understood."""


@dataclass
class Source:
    """A model as its text says it.

    Parameters
    ----------
    engine : str
    thetas : dict of str to float
        Name -> estimate.
    fixed : set of str
        Thetas that are not estimated.
    variances : dict of str to float
        Name of an eta -> its variance.
    same : dict of str to str
        Name of an eta -> the one whose variance it shares.
    covariances : dict of (str, str) to float
        Two etas -> their covariance.
    residual : dict of str to float
        proportional, additive or log -> SD.
    adds_sds : bool
        True if the SDs of a proportional and an additive error add.
    sigmas : dict of str to float
        Name of an epsilon -> its variance.
    statements : list of (str, str)
        Name and expression in Python's notation, in order.
    error : list of (str, str)
        Statements of the residual error, the last of which is the observation.
    rates : list of (str, str)
        Statements among the derivatives.
    derivatives : dict of str to str
        Amount -> its change, in the order of the text.
    compartments : int
    closed_form : bool
        True if the engine's own solution is used, with as many compartments as there are volumes.
    subroutines : str
        Record that names a solution of the engine's own which we do not have.
    columns : set of str, optional
        Columns of the data; None if the text does not say which there are.
    alias : dict of str to str
        Theta or eta -> the name that an export of ours gives it in a statement.
    etas, kappas : dicts of str to str
        Name of a random effect here -> its name in a model file.
    file : mapping of str to Any
        The words of a model file that an export of ours carries in its comments.
    unread : list of str
        Lines that were not understood.
    doubtful : set of str
        Names in them, of which nothing may be made.
    """

    engine: str
    thetas: dict[str, float] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    variances: dict[str, float] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    covariances: dict[tuple[str, str], float] = field(default_factory=dict)
    residual: dict[str, float] = field(default_factory=dict)
    adds_sds: bool = False
    sigmas: dict[str, float] = field(default_factory=dict)
    statements: list[tuple[str, str]] = field(default_factory=list)
    error: list[tuple[str, str]] = field(default_factory=list)
    rates: list[tuple[str, str]] = field(default_factory=list)
    derivatives: dict[str, str] = field(default_factory=dict)
    compartments: int = 0
    closed_form: bool = False
    subroutines: str = ""
    columns: set[str] | None = None
    alias: dict[str, str] = field(default_factory=dict)
    etas: dict[str, str] = field(default_factory=dict)
    kappas: dict[str, str] = field(default_factory=dict)
    file: Mapping[str, Any] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)

    def list_unread(self, line: str) -> None:
        """List a line that was not understood, and doubt the names in it."""
        self.unread.append(line)
        self.doubtful |= set(re.findall(r"[A-Za-z_]\w*", named(line)))

    def read_statements(self, lines: list[str], python: Any) -> list[tuple[str, str]]:
        """Read statements; what is none is listed, and the name that it sets has no value."""
        pairs = []
        for statement in statements(lines, python):
            if not isinstance(statement, str):
                pairs.append((named(statement[0]), statement[1]))
                continue
            self.unread.append(statement)
            target = re.search(r"([A-Za-z_][\w.]*)\s*(?:<-|=(?!=))", statement)
            if target:
                pairs.append((named(target[1]), UNREAD))
        return pairs

    def add_variances(self, names: list[str], numbers: list[float]) -> None:
        """Take the variance of each name."""
        if len(names) != len(numbers):
            self.list_unread(f"{len(numbers)} variances of {', '.join(names) or 'nothing'}")
            return
        for name, variance in zip(names, numbers, strict=True):
            self._add(name, variance)

    def _add(self, name: str, variance: float) -> None:
        if 0.0 <= variance < math.inf:
            self.variances[name] = variance
        else:
            self.unread.append(f"a variance of {variance:g} of {name}")

    def add_block(self, names: list[str], triangle: list[float]) -> None:
        """Take the lower triangle of a covariance, row after row."""
        if len(triangle) != len(names) * (len(names) + 1) // 2:
            self.list_unread(f"{len(triangle)} numbers of the covariance of {' + '.join(names)}")
            return
        numbers = iter(triangle)
        for i, name in enumerate(names):
            for other in names[:i]:
                covariance = next(numbers)
                if covariance:
                    self.covariances[other, name] = covariance
            self._add(name, next(numbers))


def named(name: str) -> str:
    """Spell a name as Python does: R has dots in them.

    Examples
    --------
    >>> named("eta.cl + 1.5*t.2")
    'eta_cl + 1.5*t_2'
    """
    return re.sub(r"[A-Za-z_][\w.]*", lambda m: m[0].replace(".", "_"), name)


def number(text: str) -> float:
    """Read a number, in Fortran's notation as well."""
    return float(re.sub("[dD]", "e", text))


def uncommented(text: str, mark: str) -> str:
    """Return a text without comments."""
    return "\n".join(line.split(mark)[0].rstrip() for line in text.splitlines())


def rows_of(triangle: Sequence[float]) -> int:
    """Count the rows of a lower triangle."""
    return int(((8 * len(triangle) + 1) ** 0.5 - 1) / 2)


def covariances(
    triangle: Sequence[float], *, is_sd: bool = False, is_correlation: bool = False
) -> list[float]:
    """Return the lower triangle of covariances, from SDs and correlations where a text has them.

    Examples
    --------
    >>> covariances([0.3, 0.5, 0.2], is_sd=True, is_correlation=True)
    [0.09, 0.03, 0.04000000000000001]
    """
    size = rows_of(triangle)
    if len(triangle) != size * (size + 1) // 2:
        return list(triangle)
    rows, columns = np.tril_indices(size)
    matrix = np.zeros((size, size))
    matrix[rows, columns] = triangle
    diagonal = np.diag(matrix).copy()
    sd = diagonal if is_sd else np.sqrt(np.abs(diagonal))
    if is_correlation:
        matrix *= np.outer(sd, sd)
    np.fill_diagonal(matrix, np.copysign(sd**2, diagonal) if is_sd else diagonal)
    return [float(x) for x in matrix[rows, columns]]
