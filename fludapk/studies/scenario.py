"""Grammar of a scenario: population, variability, strategies, strata."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from fludapk.published.population_files import PopulationEntry
from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise

# ------------------------------------------------------------------ population, variability


class CohortFile(Table):
    """Population of the patients listed in a file beside the scenario."""

    file: Text
    sample: Literal["as_is", "resample"]


class ReadyMade(Table):
    """Population of `data/populations.toml`."""

    use: Identifier


class Custom(Table):
    """Population described in the scenario itself."""

    custom: PopulationEntry


def _population_form(population: object) -> str | None:
    keys = population if isinstance(population, dict) else vars(population)
    return next((f"[{key}]" for key in ("use", "file", "custom") if key in keys), None)


PopulationChoice = Annotated[
    Annotated[ReadyMade, Tag("[use]")]
    | Annotated[CohortFile, Tag("[file]")]
    | Annotated[Custom, Tag("[custom]")],
    Discriminator(
        _population_form,
        custom_error_type="population_form",
        custom_error_message="one of: use = NAME, file = CSV with sample, or a table custom",
    ),
]


class Variability(Table):
    """Variability between simulated patients beyond their covariates."""

    iiv: bool = True
    iov: bool = True
    parameter_uncertainty: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Number of draws of thetas and omegas; 0: the printed values."""
    gfr_error_cv: Annotated[float, Field(ge=0, le=2)] = 0.0
    """CV of the renal function that dosing observes, around the true one."""


class Window(Table):
    """Window on the cumulative AUC, mg h/L."""

    low: Positive = 13.8
    high: Positive = 20.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


# ------------------------------------------------------------------ strategies


class _Strategy(Table):
    """Keys of every strategy: its course, and the doses that can be drawn up."""

    id: Identifier
    regimen: Identifier | None = None
    dose: Text | None = None
    days: Annotated[int, Field(ge=1, le=14)] | None = None
    interval_h: Positive | None = None
    infusion_h: Positive | None = None
    round_to_mg: Positive | None = None
    vials: bool = False
    """True: doses are whole 50-mg vials, to the nearest, at least one."""

    needs_dose: ClassVar[bool] = True
    """False for a strategy without the key `dose`."""

    @model_validator(mode="after")
    def _one_course(self) -> Self:
        if self.vials and self.round_to_mg is not None:
            raise ValueError("give round_to_mg or vials, not both")
        if self.regimen is not None and not (self.dose is None and self.days is None):
            raise ValueError("a regimen has its own dose and days: leave them out")
        if self.regimen is None and self.days is None:
            raise ValueError("give regimen, or days" + (" and dose" if self.needs_dose else ""))
        if self.needs_dose and self.regimen is None and self.dose is None:
            raise ValueError('give dose, for example "30 mg/m2", with days; or regimen')
        if not self.needs_dose and self.dose is not None:
            raise ValueError("has no dose of its own: leave dose out")
        return self


class FixedStrategy(_Strategy):
    """One dose in mg/m2, mg/kg or mg for all patients."""

    kind: Literal["fixed"]


class TargetStrategy(_Strategy):
    """Dose that gives the typical patient of the same covariates a target AUC."""

    kind: Literal["target"]
    auc: Positive
    """Target of the cumulative AUC, mg h/L."""
    model: Identifier | None = None
    """Model that finds the dose; the true one if absent."""

    needs_dose: ClassVar[bool] = False


class RenalStep(Table):
    """Step of a renal rule: a factor on the dose from a renal function upwards."""

    at_least: Annotated[float, Field(ge=0)]
    """Renal function in the unit of the measure: CrCl mL/min, eGFR mL/min/1.73 m2."""
    factor: Annotated[float, Field(ge=0, le=1)]
    """Factor on the dose; 0: no dose is given."""


class RenalStrategy(_Strategy):
    """Dose reduced by renal function: a label rule, or steps in the scenario."""

    kind: Literal["renal"]
    rule: Identifier | None = None
    measure: Literal["CrCl", "eGFR"] | None = None
    steps: list[RenalStep] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        has_steps = self.steps is not None and self.measure is not None
        if (self.rule is None) != has_steps or (self.rule and (self.steps or self.measure)):
            raise ValueError("give rule, or steps with measure")
        if self.steps is not None:
            must_rise("at_least, from the last row up,", [s.at_least for s in reversed(self.steps)])
            if self.steps[-1].at_least != 0:
                raise ValueError("the last of steps must have at_least = 0")
        return self


class DoseBand(Table):
    """Dose below a weight (kg) or age (years); the last band has no upper end."""

    below: Positive | None = None
    dose: Text


class BandedStrategy(_Strategy):
    """Dose by weight or age band."""

    kind: Literal["banded"]
    by: Literal["weight_kg", "age_years"]
    bands: Annotated[list[DoseBand], Field(min_length=1)]

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ends = [band.below for band in self.bands]
        if ends[-1] is not None or None in ends[:-1]:
            raise ValueError("every band but the last needs below, and the last has none")
        must_rise("below", [end for end in ends if end is not None])
        return self


class AdaptiveStrategy(_Strategy):
    """Later doses to a target AUC, by an estimate of the patient from levels after the first dose.

    The first dose is that of `regimen`, or with `first = "covariates"` the dose that gives
    the typical patient `auc`.
    """

    kind: Literal["adaptive"]
    auc: Positive
    """Target of the cumulative AUC, mg h/L."""
    levels_h: Annotated[list[Positive], Field(min_length=1, max_length=12)]
    """Times of the levels after the start of the first dose, h."""
    model: Identifier | None = None
    """Model that finds the doses; the true one if absent."""
    first: Literal["dose", "covariates"] = "dose"

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _levels(self) -> Self:
        must_rise("levels_h", self.levels_h)
        if self.first == "dose" and self.regimen is None:
            raise ValueError('give regimen, or first = "covariates" with days')
        return self


Strategy = Annotated[
    FixedStrategy | TargetStrategy | RenalStrategy | BandedStrategy | AdaptiveStrategy,
    Field(discriminator="kind"),
]


# ------------------------------------------------------------------ a scenario


class Stratum(Table):
    """Groups of patients: bands of a number, or the values of a text column."""

    by: Text
    edges: Annotated[list[float], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.edges is not None:
            must_rise("edges", self.edges)
        return self


class Scenario(Table):
    """A Monte Carlo study of dosing strategies."""

    title: Text
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    patients: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Number of patients; may be left out with a cohort that is taken as it is."""
    models: Annotated[list[Identifier], Field(min_length=1)]
    """True models: each is simulated with the same patients and the same draws."""
    draws: Literal["pseudo", "sobol"] = "pseudo"
    product: Text | None = None
    diagnosis: Text | None = None
    genotype: Text | None = None
    population: PopulationChoice
    variability: Variability = Variability()
    window: Window = Window()
    strategies: Annotated[list[Strategy], Field(min_length=1)]
    strata: list[Stratum] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for key, names in (
            ("models", self.models),
            ("strategies", [strategy.id for strategy in self.strategies]),
            ("strata", [stratum.by for stratum in self.strata]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key}: {', '.join(twice)} twice")
        if self.patients is None and getattr(self.population, "sample", None) != "as_is":
            raise ValueError("patients is missing: how many to draw")
        return self
