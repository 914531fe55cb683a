"""The statements of a model that every engine shares."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from fludapk.arrays import F8
from fludapk.published.equations import Notation, written
from fludapk.published.model_files import Category, RandomEffect
from fludapk.published.models import Model

MICRO = "k"
"""First letter of micro-constants, from which flows and volumes are computed."""


class Column(NamedTuple):
    """A covariate as a column of the data."""

    name: str
    about: str


@dataclass(frozen=True)
class Code(Notation):
    """Notation of programs; a category is a sum over columns that are 0 or 1."""

    times: ClassVar[str] = "*"
    minus: ClassVar[str] = " - "

    def theta(self, name: str) -> str:
        """Write a theta."""
        return f"TH_{name.upper()}"

    def covariate(self, name: str) -> str:
        """Write a covariate."""
        return name.upper()

    def category(self, effect: Category) -> str:
        """Write the factor of a category: that of the first one, changed by each other one."""
        first, *others = (self.number(factor) for factor in effect.factors.values())
        columns = [f"{effect.covariate.upper()}{k}" for k in range(1, len(effect.factors))]
        pairs = zip(columns, others, strict=True)
        changes = (f"{column}*({other} - {first})" for column, other in pairs)
        return f"({' + '.join([first, *changes])})"


class CaretPower(Code):
    """Notation of R."""


class StarPower(Code):
    """Notation of Fortran."""

    def power(self, base: str, exponent: str) -> str:
        """Write a power."""
        return f"{base}**{exponent}"


class CallPower(Code):
    """Notation of C++."""

    def power(self, base: str, exponent: str) -> str:
        """Write a power."""
        return f"pow({base}, {exponent})"


@dataclass(frozen=True)
class Statements:
    """A model for courses of a number of occasions.

    Parameters
    ----------
    model : Model
    occasions : int
        Doses of the course, each an occasion of the IOV.
    row : mapping of str to (1,) arrays
        Covariates of a worked patient; categories by their number.
    """

    model: Model
    occasions: int
    row: Mapping[str, F8]

    @property
    def thetas(self) -> dict[str, float]:
        """Name and value of every theta."""
        return {f"TH_{name.upper()}": t.value for name, t in self.model.file.theta.items()}

    @property
    def fixed(self) -> frozenset[str]:
        """Thetas that the paper did not estimate."""
        return frozenset(f"TH_{k.upper()}" for k, t in self.model.file.theta.items() if t.fixed)

    @cached_property
    def columns(self) -> list[Column]:
        """Covariates as columns of the data: numbers, and 0 or 1 for categories."""
        columns = []
        for name in self.model.program.covariates:
            categories = self.model.categories(name)
            if not categories:
                columns.append(Column(name.upper(), self._about(name)))
            columns += [
                Column(f"{name.upper()}{k}", f"1 if {name} is {category}, 0 if {categories[0]}")
                for k, category in enumerate(categories[1:], start=1)
            ]
        return columns

    def _about(self, name: str) -> str:
        described = self.model.file.covariates[name]
        by = [rule.formula for rule in described.rules] or [described.derived or ""]
        computed = f", by {', '.join(by)}" if any(by) else ""
        return f"{described.unit}{computed}{', capped' if described.cap else ''}"

    @property
    def worked(self) -> dict[str, float]:
        """Columns of the worked patient."""
        values: dict[str, float] = {}
        for name in self.model.program.covariates:
            value, categories = float(self.row[name][0]), self.model.categories(name)
            if not categories:
                values[name.upper()] = value
            for k in range(1, len(categories)):
                values[f"{name.upper()}{k}"] = float(value == k)
        return values

    @property
    def occasion_columns(self) -> list[str]:
        """Columns that are 1 from a dose to the next one and else 0; none without IOV."""
        has_iov = bool(self.model.file.iov)
        return [f"OCC{k}" for k in range(1, self.occasions + 1)] if has_iov else []

    @property
    def etas(self) -> list[str]:
        """Names of the etas."""
        return [_short(effect) for effect in self.model.file.iiv]

    @property
    def kappas(self) -> list[str]:
        """Names of the kappas of an occasion."""
        return [_short(effect) for effect in self.model.file.iov]

    def kappas_of(self, occasion: int) -> list[str]:
        """Return the names of the kappas of one occasion, counted from 1."""
        return [f"{name}_{occasion}" for name in self.kappas]

    @property
    def omega(self) -> F8:
        """(n_eta, n_eta) Covariance of the etas."""
        root = self.model.program.root_omega
        return root @ root.T

    @property
    def omega_iov(self) -> F8:
        """(n_kappa, n_kappa) Covariance of the kappas of an occasion."""
        root = self.model.program.root_omega_iov
        return root @ root.T

    @property
    def correlated(self) -> bool:
        """True if etas are correlated."""
        return bool(self.model.file.iiv_correlations)

    def kappa_definitions(self) -> list[tuple[str, str]]:
        """Define each kappa as that of the present occasion."""
        return [
            (name, " + ".join(f"{column}*{name}_{k}" for k, column in self._numbered_occasions))
            for name in self.kappas
        ]

    @property
    def _numbered_occasions(self) -> list[tuple[int, str]]:
        return list(enumerate(self.occasion_columns, start=1))

    def parameter_definitions(self, notation: Notation, exp: str) -> list[tuple[str, str]]:
        """Define typical and individual parameters, then flows and volumes of micro-constants."""
        file, statements = self.model.file, []
        for name in file.parameters:
            own = _individual(name)
            shift = " + ".join(
                _loaded(_short(effect), effect.on[name])
                for effect in (*file.iiv, *file.iov)
                if name in effect.on
            )
            statements.append((f"TV_{own}", written(name, notation)))
            statements.append((own, f"TV_{own}*{exp}({shift})" if shift else f"TV_{own}"))
        for k in range(2, self.model.program.compartments + 1):
            if f"k1{k}" in file.parameters:
                statements.append((f"Q{k}", f"KK1{k}*V1"))
                statements.append((f"V{k}", f"Q{k}/KK{k}1"))
        return statements

    def derivatives(self, central: str, others: Sequence[str]) -> list[tuple[str, str]]:
        """Write the change of every amount, without the infusion."""
        leaving, statements = ["CL/V1"], []
        back = []
        for k, tissue in enumerate(others, start=2):
            leaving.append(f"Q{k}/V1")
            back.append(f"Q{k}/V{k}*{tissue}")
            statements.append((tissue, f"Q{k}/V1*{central} - Q{k}/V{k}*{tissue}"))
        first = " + ".join([f"-({' + '.join(leaving)})*{central}", *back])
        return [(central, first), *statements]

    @property
    def tissues(self) -> list[str]:
        """Names of the peripheral compartments."""
        return [f"PER{k}" for k in range(2, self.model.program.compartments + 1)]

    @property
    def residual(self) -> dict[str, float]:
        """SD of the residual error: proportional, additive (mg/L) or log."""
        sds = zip(("proportional", "additive", "log"), self.model.program.error, strict=True)
        return {kind: float(sd) for kind, sd in sds if sd}

    def header(self, mark: str) -> str:
        """Write source, units and columns as comments."""
        file = self.model.file
        lines = [
            *filter(None, [self.model.not_shipped]),
            f"{file.id}: {file.title}",
            file.citation.short,
            f"Units: h, mg F-ara-A, L, mg/L. AMT = mg fludarabine phosphate × {file.dose.factor:g} "
            f"({file.dose.basis}).",
            *(f"{column.name}: {column.about}" for column in self.columns),
        ]
        if self.occasion_columns:
            lines.append(f"OCC1 to OCC{self.occasions}: 1 from that dose to the next one, else 0")
        lines += [
            f"Differs from the print in: {departure.topic}. {departure.file}"
            for departure in file.departures
        ]
        lines.append("Research only, not a medical device.")
        return "".join(
            f"{mark} {part}\n" for line in lines for part in textwrap.wrap(ascii_text(line), 76)
        )


def ascii_text(text: str) -> str:
    """Write a text in ASCII, which every engine reads.

    Examples
    --------
    >>> ascii_text("mg·h/L × 0.78")
    'mg*h/L x 0.78'
    """
    marks = {"·": "*", "×": "x", "−": "-", "≥": ">=", "≤": "<=", "²": "2", "µ": "u", "ω": "omega"}
    plain = unicodedata.normalize("NFKD", "".join(marks.get(c, c) for c in text))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return letters.encode("ascii", "replace").decode()


def _short(effect: RandomEffect) -> str:
    """Name an eta E_CL and a kappa K_CL."""
    kind, _, name = effect.name.partition("_")
    return f"{kind[0].upper()}_{name.upper()}"


def _individual(name: str) -> str:
    return f"KK{name[1:]}" if name.startswith(MICRO) else name


def _loaded(effect: str, loading: float) -> str:
    return effect if loading == 1.0 else f"{loading:g}*{effect}"


def lower_triangle(matrix: F8) -> str:
    """Write the lower triangle of a covariance, row after row."""
    return " ".join(f"{matrix[i, j]:.15g}" for i in range(len(matrix)) for j in range(i + 1))
