"""Grammar of the effects of a model file: a closed list, each with its formula."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, ValidationInfo, model_validator

from fludapk.published.tables import Table, defined, must_rise

ThetaName = Annotated[str, defined("theta")]
CovariateName = Annotated[str, defined("covariate")]


def _number_or_theta(value: object, info: ValidationInfo) -> float | str:
    if isinstance(value, str):
        names: Sequence[str] = (info.context or {}).get("theta", [value])
        if value in names:
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{value!r} is neither a number nor a theta of this file")


Number = Annotated[float | str, PlainValidator(_number_or_theta)]
"""A number in place, or the name of a theta."""


class Power(Table):
    """Power effect: (x / ref) ^ exponent."""

    kind: Literal["power"]
    covariate: CovariateName
    ref: Number
    exponent: Number


class Linear(Table):
    """Linear effect: 1 + slope (x - ref)."""

    kind: Literal["linear"]
    covariate: CovariateName
    ref: Number
    slope: Number


class Exponential(Table):
    """Exponential effect: exp(slope (x - ref))."""

    kind: Literal["exponential"]
    covariate: CovariateName
    ref: Number
    slope: Number


class Sigmoid(Table):
    """Sigmoid effect: x^hill / (x50^hill + x^hill)."""

    kind: Literal["sigmoid"]
    covariate: CovariateName
    x50: Number
    hill: Number


class Category(Table):
    """Categorical effect: a factor for each category."""

    kind: Literal["category"]
    covariate: CovariateName
    factors: dict[str, Number]

    @model_validator(mode="after")
    def _all_categories(self, info: ValidationInfo) -> Self:
        names = (info.context or {}).get("categories", {}).get(self.covariate)
        if names is not None and set(names) != set(self.factors):
            raise ValueError(f"factors must name each level once: {', '.join(names) or 'none'}")
        return self


class Steps(Table):
    """Steps: the first factor below the first value of `at`, the next one from it on, and so on."""

    kind: Literal["steps"]
    covariate: CovariateName
    at: Annotated[list[float], Field(min_length=1)]
    factors: list[Number]

    @model_validator(mode="after")
    def _a_factor_for_each_step(self) -> Self:
        must_rise("at", self.at)
        if len(self.factors) != len(self.at) + 1:
            raise ValueError(f"factors: {len(self.at)} values of `at` need {len(self.at) + 1}")
        return self


class Saturating(Table):
    """Effect that saturates: exp(max x^hill / (x50^hill + x^hill))."""

    kind: Literal["saturating"]
    covariate: CovariateName
    max: Number
    x50: Number
    hill: Number = 1.0


class Factor(Table):
    """A number that multiplies."""

    kind: Literal["factor"]
    value: Number


Effect = Annotated[
    Power | Linear | Exponential | Sigmoid | Category | Steps | Saturating | Factor,
    Field(discriminator="kind"),
]
