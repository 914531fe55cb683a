"""The statements of a model that every engine shares."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from fludapk.arrays import F8
from fludapk.published.effect_files import Category, Effect, Steps
from fludapk.published.engines.dictionary import words_of
from fludapk.published.equations import Notation, written
from fludapk.published.model_files import RandomEffect
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

    def number(self, value: float | str) -> str:
        """Write a number with all its digits, in parentheses below zero: Fortran wants them."""
        if isinstance(value, str):
            return self.theta(value)
        return f"{value:.15g}" if value >= 0.0 else f"({value:.15g})"

    def covariate(self, name: str) -> str:
        """Write a covariate."""
        return OF_DOSE.get(name, name.upper())

    def steps(self, effect: Steps) -> str:
        """Write steps as a sum over columns that are 1 from a value on and else 0."""
        values = [self.number(factor) for factor in effect.factors]
        changes = (
            f"{step_column(effect.covariate, at)}*({value} - {before})"
            for at, before, value in zip(effect.at, values, values[1:], strict=False)
        )
        return f"({' + '.join([values[0], *changes])})"

    def category(self, effect: Category) -> str:
        """Write the factor of a category: that of the first one, changed by each other one."""
        levels = self.file.covariates[effect.covariate].levels
        first, *others = (self.number(effect.factors[level]) for level in levels)
        columns = [f"{effect.covariate.upper()}{k}" for k in range(1, len(effect.factors))]
        pairs = zip(columns, others, strict=True)
        changes = (f"{column}*({other} - {first})" for column, other in pairs)
        return f"({' + '.join([first, *changes])})"


OF_DOSE = {"TIME": "TFIRST", "DOSE": "DOSENO"}
"""Covariates of a dose under names that no engine reserves."""


def step_column(covariate: str, at: float) -> str:
    """Name the column that is 1 from a value of a covariate on.

    Examples
    --------
    >>> step_column("TIME", 6.5)
    'TFIRST_6P5'
    """
    number = f"{at:.15g}".replace(".", "P").replace("-", "M").replace("+", "")
    return f"{OF_DOSE.get(covariate, covariate.upper())}_{number}"


class Individual(Notation):
    """Notation of a program in which terms have their etas."""

    def own(self, eta: str) -> str:
        """Write the factor that a term has from its eta."""
        return f"exp({_short_name(eta)})"


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


class _CaretOwn(Individual, CaretPower):
    pass


class _StarOwn(Individual, StarPower):
    pass


class _CallOwn(Individual, CallPower):
    pass


_WITH_ETAS: dict[type[Notation], type[Notation]] = {
    CaretPower: _CaretOwn,
    StarPower: _StarOwn,
    CallPower: _CallOwn,
}


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
        for name in self._covariates:
            categories = self.model.categories(name)
            if not categories:
                columns.append(Column(OF_DOSE.get(name, name.upper()), self._about(name)))
            columns += [
                Column(f"{name.upper()}{k}", f"1 if {name} is {category}, 0 if {categories[0]}")
                for k, category in enumerate(categories[1:], start=1)
            ]
        columns += [
            Column(step_column(name, at), f"1 from {OF_DOSE.get(name, name.upper())} {at:g} on")
            for name, at in self._steps
        ]
        return columns

    @property
    def _effects(self) -> list[Effect]:
        """All effects of the model."""
        effects: list[Effect] = []
        for parameter in self.model.file.parameters.values():
            effects += parameter.effects
            for term in parameter.terms:
                effects += term.effects
        return effects

    @property
    def _steps(self) -> list[tuple[str, float]]:
        """Covariates and the values at which they have a step, each once."""
        steps = (effect for effect in self._effects if isinstance(effect, Steps))
        return list(dict.fromkeys((effect.covariate, at) for effect in steps for at in effect.at))

    @property
    def _covariates(self) -> list[str]:
        """Covariates of the model, those of a dose last."""
        used = {getattr(effect, "covariate", "") for effect in self._effects}
        return [*self.model.program.covariates, *(name for name in OF_DOSE if name in used)]

    def _about(self, name: str) -> str:
        if name in OF_DOSE:
            return {"TIME": "h from the first dose to this one", "DOSE": "number of this dose"}[
                name
            ]
        described = self.model.file.covariates[name]
        by = [rule.formula for rule in described.rules] or [described.derived or ""]
        computed = f", by {', '.join(by)}" if any(by) else ""
        return f"{described.unit}{computed}{', capped' if described.cap else ''}"

    @property
    def worked(self) -> dict[str, float]:
        """Columns of the worked patient at the first dose."""
        return self.worked_at(0.0, 1)

    @property
    def changes(self) -> bool:
        """True if columns change from dose to dose."""
        return bool(self.occasion_columns) or self.model.program.changes

    def worked_at(self, time_h: float, dose: int) -> dict[str, float]:
        """Columns of the worked patient from a dose to the next.

        Parameters
        ----------
        time_h : float
            Start of the dose, h.
        dose : int
            Its number, from 1.
        """
        values: dict[str, float] = {}
        of_dose = {"TIME": time_h, "DOSE": float(dose)}
        row = {**{k: float(v[0]) for k, v in self.row.items()}, **of_dose}
        for name in self._covariates:
            value, categories = row[name], self.model.categories(name)
            if not categories:
                values[OF_DOSE.get(name, name.upper())] = value
            for k in range(1, len(categories)):
                values[f"{name.upper()}{k}"] = float(value == k)
        return values | {step_column(name, at): float(row[name] >= at) for name, at in self._steps}

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
        return bool(self.model.file.iiv_correlations or self.model.file.iiv_matrices)

    @property
    def correlated_occasions(self) -> bool:
        """True if kappas of an occasion are correlated."""
        return bool(self.model.file.iov_correlations or self.model.file.iov_matrices)

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
        litres = self.model.program.litres
        for name, parameter in file.parameters.items():
            own = _individual(name)
            statements.append((f"TV_{own}", written(name, notation)))
            value = f"TV_{own}"
            if any(term.eta for term in parameter.terms):
                value = written(name, _WITH_ETAS[type(notation)](file))
            value = self._bent(name, value)
            shift = " + ".join(
                _loaded(_short(effect), effect.on[name])
                for effect in (*file.iiv, *file.iov)
                if name in effect.on and effect.kind == "exponential"
            )
            value = f"{value}*{exp}({shift})" if shift else value
            if litres != 1.0 and not name.startswith(MICRO):
                value = f"{value}*{litres:.15g}"
            statements.append((own, value))
        for k in range(2, self.model.program.compartments + 1):
            if f"k1{k}" in file.parameters:
                statements.append((f"Q{k}", f"KK1{k}*V1"))
                statements.append((f"V{k}", f"Q{k}/KK{k}1"))
        return statements

    def _further_units(self) -> list[str]:
        """Tell of a paper with other units, and of unbound drug."""
        file, lines = self.model.file, []
        if file.units is not None:
            units = f"{file.units.amount} and {file.units.concentration}"
            lines.append(f"The paper has {units}: flows and volumes are converted at the end.")
        if file.binding is not None and file.binding.modelled == "unbound":
            lines.append(f"The model is of unbound drug: AMT is divided by fu = {file.fu:g}, so")
            lines.append("that concentrations are total.")
        return lines

    def _bent(self, name: str, value: str) -> str:
        """Write a parameter with etas that are added, or that shift its logit."""
        for effect in self.model.file.iiv:
            eta = _loaded(_short(effect), effect.on.get(name, 0.0))
            if name not in effect.on or effect.kind == "exponential":
                continue
            if effect.kind == "additive":
                value = f"({value} + {eta})"
            else:
                low, high = (f"{bound:.15g}" for bound in effect.bounds or ())
                odds = f"({value} - {low})/({high} - {value})"
                value = f"({low} + ({high} - {low})/(1 + exp(-(log({odds}) + {eta}))))"
        return value

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
        sds = zip(("proportional", "additive", "log"), self.model.program.error[:3], strict=True)
        return {kind: float(sd) for kind, sd in sds if sd}

    @property
    def adds_sds(self) -> bool:
        """True if the proportional and additive SD add: one residual for both."""
        return bool(self.model.program.error[3])

    def header(self, mark: str) -> str:
        """Write source, units and columns as comments."""
        file = self.model.file
        lines = [
            *filter(None, [self.model.not_shipped]),
            f"{file.id}: {file.title}",
            file.citation.short,
            f"Units: h, mg {file.dose.modelled}, L, mg/L. AMT = mg {file.dose.prescribed} × "
            f"{file.dose_factor:g} ({file.dose.basis}).",
            *self._further_units(),
            *(f"{column.name}: {column.about}" for column in self.columns),
        ]
        if self.occasion_columns:
            lines.append(f"OCC1 to OCC{self.occasions}: 1 from that dose to the next one, else 0")
        lines += [
            f"Differs from the print in: {departure.topic}. {departure.file}"
            for departure in file.departures
        ]
        lines += [*words_of(file), "Research only, not a medical device."]
        return "".join(
            f"{mark} {part}\n"
            for line in lines
            for part in textwrap.wrap(
                ascii_text(line),
                76,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _short_name(eta: str) -> str:
    kind, _, name = eta.partition("_")
    return f"{kind[0].upper()}_{name.upper()}"


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
    return _short_name(effect.name)


def _individual(name: str) -> str:
    return f"KK{name[1:]}" if name.startswith(MICRO) else name


def _loaded(effect: str, loading: float) -> str:
    return effect if loading == 1.0 else f"{loading:.15g}*{effect}"


def lower_triangle(matrix: F8) -> str:
    """Write the lower triangle of a covariance, row after row."""
    return " ".join(f"{matrix[i, j]:.15g}" for i in range(len(matrix)) for j in range(i + 1))
