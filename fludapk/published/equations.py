"""Equations of a model, written out in the notation of a person or of another engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fludapk.arrays import F8
from fludapk.language import tr
from fludapk.published.effect_files import Category, Effect, Steps
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model
from fludapk.published.tables import COURSE_COVARIATES


@dataclass(frozen=True)
class Notation:
    """Notation of a person, in names; other notations change what differs.

    Parameters
    ----------
    file : ModelFile
    """

    file: ModelFile
    times: ClassVar[str] = " × "
    minus: ClassVar[str] = " − "

    def theta(self, name: str) -> str:
        """Write a theta."""
        return name

    def number(self, value: float | str) -> str:
        """Write a number, or the theta that stands for one."""
        return self.theta(value) if isinstance(value, str) else f"{value:g}"

    def covariate(self, name: str) -> str:
        """Write a covariate."""
        return name

    def category(self, effect: Category) -> str:
        """Write the factor of a category."""
        rows = (
            tr("{factor} if {category}", factor=self.number(factor), category=name)
            for name, factor in effect.factors.items()
        )
        return f"({', '.join(rows)})"

    def steps(self, effect: Steps) -> str:
        """Write the factors of steps."""
        first, *others = (self.number(factor) for factor in effect.factors)
        x = self.covariate(effect.covariate)
        later = (
            tr("{factor} from {at:g}", factor=factor, at=at)
            for at, factor in zip(effect.at, others, strict=True)
        )
        return tr("({first}, {later} of {x} on)", first=first, later=", ".join(later), x=x)

    def power(self, base: str, exponent: str) -> str:
        """Write a power."""
        return f"{base}^{exponent}"

    def own(self, eta: str) -> str:
        """Write the factor that a term has from its eta; nothing in a typical parameter."""
        return ""


@dataclass(frozen=True)
class Numbers(Notation):
    """Notation of a person, with the numbers of one patient.

    Parameters
    ----------
    model : Model
    values : mapping of str to (n,) arrays
        Covariates; the first row is written.
    """

    model: Model
    values: Mapping[str, F8]

    def theta(self, name: str) -> str:
        """Write the estimate."""
        return f"{self.file.theta[name].value:g}"

    def covariate(self, name: str) -> str:
        """Write the value; that of a dose is the first one's."""
        if name in COURSE_COVARIATES:
            return {"TIME": "0", "DOSE": "1"}[name]
        return f"{self.values[name][0]:.4g}"

    def category(self, effect: Category) -> str:
        """Write the factor of the patient's category."""
        categories = self.model.categories(effect.covariate)
        return self.number(effect.factors[categories[int(self.values[effect.covariate][0])]])


def equation(model: Model, parameter: str, values: Mapping[str, F8] | None = None) -> str:
    """Write out a typical parameter, in names or with the numbers of the first row.

    Parameters
    ----------
    model : Model
    parameter : str
        Name of a parameter that the paper estimated: CL, V1, k12 ...
    values : mapping of str to (n,) arrays, optional
        Covariates; if absent, names stand for thetas and covariates.

    Examples
    --------
    >>> import numpy as np
    >>> from fludapk.published.models import load_model
    >>> model = load_model("varela2025")
    >>> equation(model, "V1")
    'V1 × (WT/70)^allometry_volume'
    >>> values = {"WT": np.array([70.0]), "CrCl": np.array([48.0]), "product": np.array([0.0])}
    >>> equation(model, "CL", values)
    '(4.4 + 1.7 × (48/96)) × (70/70)^0.75'
    """
    file = model.file
    return written(parameter, Notation(file) if values is None else Numbers(file, model, values))


def written(parameter: str, notation: Notation) -> str:
    """Write out a typical parameter in a notation."""
    described = notation.file.parameters[parameter]
    terms = []
    for term in described.terms:
        head = [] if term.theta is None else [notation.theta(term.theta)]
        factors = head + [_effect(effect, notation) for effect in term.effects]
        own = "" if term.eta is None else notation.own(term.eta)
        terms.append(notation.times.join([*factors, *filter(None, [own])]) or "1")
    total = f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
    factors = [_effect(effect, notation) for effect in described.effects]
    if total == "1" and factors:
        return notation.times.join(factors)
    return notation.times.join([total, *factors])


def _effect(effect: Effect, notation: Notation) -> str:
    if effect.kind == "factor":
        return notation.number(effect.value)
    if effect.kind == "category":
        return notation.category(effect)
    if effect.kind == "steps":
        return notation.steps(effect)
    x, number = notation.covariate(effect.covariate), notation.number
    if effect.kind == "power":
        base = x if effect.ref == 1.0 else f"({x}/{number(effect.ref)})"
        return base if effect.exponent == 1.0 else notation.power(base, number(effect.exponent))
    if effect.kind == "sigmoid" or effect.kind == "saturating":
        raised, half = (
            base if effect.hill == 1.0 else notation.power(base, number(effect.hill))
            for base in (x, number(effect.x50))
        )
        share = f"{raised}/({half} + {raised})"
        if effect.kind == "sigmoid":
            return share
        return f"exp({number(effect.max)}{notation.times}{share})"
    change = f"{number(effect.slope)}{notation.times}({x}{notation.minus}{number(effect.ref)})"
    return f"(1 + {change})" if effect.kind == "linear" else f"exp({change})"
