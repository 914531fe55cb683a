"""Grammar of a virtual population."""

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise


class Creatinine(Table):
    """Log-normal serum creatinine around the FAS reference for age and sex."""

    ratio: Positive
    cv: Annotated[float, Field(ge=0)]
    """0: the reference itself, times the ratio."""
    source: Text


class LogNormal(Table):
    """Log-normal with a median, and a coefficient of variation or both quartiles."""

    median: Positive
    cv: Annotated[float, Field(ge=0)] | None = None
    """0: the median in everybody."""
    q25: Positive | None = None
    q75: Positive | None = None

    @model_validator(mode="after")
    def _one_spread(self) -> Self:
        quartiles = [x for x in (self.q25, self.q75) if x is not None]
        if (len(quartiles), self.cv is None) not in ((0, False), (2, True)):
            raise ValueError("give cv, or both q25 and q75")
        if self.q25 is not None and self.q75 is not None:
            must_rise("q25, median, q75", [self.q25, self.median, self.q75])
        return self


def _low_below_high(pair: list[float]) -> list[float]:
    must_rise("the pair", pair)
    return pair


Range = Annotated[
    list[Positive], Field(min_length=2, max_length=2), AfterValidator(_low_below_high)
]
"""Lowest and highest, both above zero."""
Years = Annotated[float, Field(ge=0, le=120)]


class _AgeBetween(Table):
    low: Years
    high: Years

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class UniformAge(_AgeBetween):
    """Uniformly distributed age from low to high, years."""

    kind: Literal["uniform"]


class BetaAge(_AgeBetween):
    """Beta-distributed age: low + (high - low) times a variable with shapes a and b, years."""

    kind: Literal["beta"]
    a: Positive
    b: Positive


def _distribution(rows: list[list[float]]) -> list[list[float]]:
    """Check rows of cumulative fraction and years."""
    fractions, years = ([row[column] for row in rows] for column in (0, 1))
    faults = []
    for name, values in (("cumulative fractions", fractions), ("years", years)):
        try:
            must_rise(name, values)
        except ValueError as error:
            faults.append(str(error))
    if (fractions[0], fractions[-1]) != (0.0, 1.0):
        faults.append(f"cumulative fractions go from 0 to 1, not {fractions[0]} to {fractions[-1]}")
    if faults:
        raise ValueError("; ".join(faults))
    return rows


def _age_form(age: object) -> str | None:
    if isinstance(age, list):
        return "quantiles"
    kind = age.get("kind") if isinstance(age, dict) else getattr(age, "kind", None)
    return kind if kind in ("uniform", "beta") else None


Age = Annotated[
    Annotated[
        list[Annotated[list[Years], Field(min_length=2, max_length=2)]],
        Field(min_length=2),
        AfterValidator(_distribution),
        Tag("quantiles"),
    ]
    | Annotated[UniformAge, Tag("uniform")]
    | Annotated[BetaAge, Tag("beta")],
    Discriminator(
        _age_form,
        custom_error_type="age_form",
        custom_error_message="rows of [cumulative fraction, years], or a table whose kind is "
        "'uniform' (low, high) or 'beta' (low, high, a, b)",
    ),
]
"""Rows of [cumulative fraction, years] with straight lines between, or uniform, or beta."""


def _as_shares(shares: object) -> object:
    """Read a single category as a share of 1."""
    if isinstance(shares, str):
        return {shares: 1.0}
    if not isinstance(shares, dict):
        raise ValueError(f"write a level, or a table of level = fraction, not {shares!r}")
    return shares


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = math.fsum(shares.values())
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"the fractions add up to {total:g}, not to 1")
    return shares


Shares = Annotated[
    dict[Text, Annotated[float, Field(gt=0, le=1)]],
    Field(min_length=1),
    BeforeValidator(_as_shares),
    AfterValidator(_sum_to_one),
]
"""The category of all patients, or category -> fraction of the patients."""


class PopulationEntry(Table):
    """A virtual population; see `fludapk.patients.population.draw`."""

    id: Identifier
    title: Text
    age: Age
    female: Annotated[float, Field(ge=0, le=1)]
    weight_kg: LogNormal | None = None
    """Distribution of weight; if absent, by age and sex from the size reference."""
    weight_range_kg: Range
    height_range_cm: Range | None = None
    weight_height_correlation: Annotated[float, Field(gt=-1, lt=1)]
    """Correlation of the normal scores of weight and height."""
    size: Literal["spread", "median"] = "spread"
    """"median": everybody has the median weight and height of age and sex."""
    adults: Literal["nhanes2023", "cdc2000"] = "nhanes2023"
    """Size reference above 20 y: NHANES 2021-2023, or the CDC 2000 values at 20 y."""
    creatinine: Creatinine | None = None
    egfr_ml_min_1_73m2: Positive | None = None
    """eGFR of everybody, mL/min/1.73 m2, instead of creatinine."""
    crcl_ml_min: Positive | None = None
    """Creatinine clearance of everybody, mL/min, instead of creatinine."""
    scr_range_mg_dl: Range | None = None
    product: Shares | None = None
    diagnosis: Shares | None = None
    genotype: Shares | None = None
    source: Text

    @model_validator(mode="after")
    def _one_renal_function(self) -> Self:
        known = (self.creatinine, self.egfr_ml_min_1_73m2, self.crcl_ml_min)
        if sum(value is not None for value in known) != 1:
            raise ValueError("give creatinine, egfr_ml_min_1_73m2 or crcl_ml_min")
        if self.creatinine is None and self.scr_range_mg_dl is not None:
            raise ValueError("scr_range_mg_dl belongs to creatinine")
        return self

    def categories(self, covariate: str) -> list[str]:
        """Return the categories of a covariate; empty if the population has none."""
        return list(getattr(self, covariate) or ())


class PopulationFile(Table):
    """Contents of `data/populations.toml`."""

    populations: Annotated[list[PopulationEntry], Field(min_length=1)]
