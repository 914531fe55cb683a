"""Grammar of a scenario: population, variability, strategies, strata."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from fludapk.published.population_files import PopulationEntry
from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise
from fludapk.studies.scenario_outcome import (
    DriversTable,
    Fraction,
    OutcomeTable,
    ShortageTable,
    StrategyId,
    TrialTable,
    WardTable,
)

# ------------------------------------------------------------------ population, variability


class CohortFile(Table):
    """Population of the patients listed in a file beside the scenario."""

    file: Text
    sample: Literal["as_is", "resample"]
    weights: Text | None = None
    """Column of the file with the weights to draw with; all alike if absent."""

    @model_validator(mode="after")
    def _weights_to_draw(self) -> Self:
        if self.weights is not None and self.sample != "resample":
            raise ValueError('weights are for sample = "resample"')
        return self


class ReadyMade(Table):
    """Population of `data/populations.toml`."""

    use: Identifier


class Custom(Table):
    """Population described in the scenario itself."""

    custom: PopulationEntry


def _population_form(population: object) -> str | None:
    keys = population if isinstance(population, dict) else getattr(population, "__dict__", {})
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

    id: StrategyId
    regimen: Identifier | None = None
    dose: Text | None = None
    days: Annotated[int, Field(ge=1, le=14)] | None = None
    interval_h: Positive | None = None
    infusion_h: Positive | None = None
    cells_at_h: Positive | None = None
    """Cell infusion, hours from the first dose; that of the regimen if absent."""
    round_to_mg: Positive | None = None
    vials: bool = False
    """True: doses are whole 50-mg vials, to the nearest, at least one."""
    max_mg: Positive | None = None
    """Own ceiling of a dose, mg; those of every answer hold besides."""
    max_mg_m2: Positive | None = None
    """Own ceiling of a dose, mg/m2."""
    max_course_mg_m2: Positive | None = None
    """Own ceiling of the course, mg/m2."""

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


class _Goal(_Strategy):
    """Keys of strategies that find a dose for a goal: an AUC, a window, or a chance."""

    auc: Positive | None = None
    """Goal of the cumulative AUC, mg h/L."""
    window: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = None
    """Goal: the best chance of being between the two, mg h/L."""
    at_least: Positive | None = None
    """Goal: this AUC or more, mg h/L, with `probability`."""
    probability: Annotated[float, Field(ge=0.5, lt=1)] | None = None

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        goals = (self.auc, self.window, self.at_least)
        if sum(goal is not None for goal in goals) != 1:
            raise ValueError("give one goal: auc, window, or at_least with probability")
        if (self.at_least is None) != (self.probability is None):
            raise ValueError("at_least and probability go together")
        if self.window is not None:
            must_rise("window", self.window)
        return self


class TargetStrategy(_Goal):
    """Dose that gives the typical patient of the same covariates a target AUC."""

    kind: Literal["target"]
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


def check_bands(bands: list[DoseBand]) -> None:
    """Raise ValueError unless bands follow each other and the last has no upper end."""
    ends = [band.below for band in bands]
    if ends[-1] is not None or None in ends[:-1]:
        raise ValueError("every band but the last needs below, and the last has none")
    must_rise("below", [end for end in ends if end is not None])


class BandedStrategy(_Strategy):
    """Dose by weight or age band."""

    kind: Literal["banded"]
    by: Literal["weight_kg", "age_years"]
    bands: Annotated[list[DoseBand], Field(min_length=1)]

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        check_bands(self.bands)
        return self


class AdaptiveStrategy(_Goal):
    """Later doses to a goal, by an estimate of the patient from levels.

    The first dose is that of `regimen`, with `first = "covariates"` the dose for the goal in the
    typical patient, or with `first = "banded"` that of a weight or age band.
    """

    kind: Literal["adaptive"]
    levels_h: Annotated[list[Positive], Field(min_length=1, max_length=12)] | None = None
    """Times of the levels after the start of a sampled dose, h."""
    revise: Literal["once", "every_dose"] = "once"
    """Sampled doses: the first, or every dose whose result can still act."""
    acts_from_dose: Annotated[int, Field(ge=2, le=15)] = 2
    """First dose that the result of the first acts on; later results take as long."""
    missed: Fraction = 0.0
    """Fraction of results that never come."""
    assay_limit_mg_l: Positive | None = None
    """Limit of quantification: a level below it is only known to be there."""
    perfect: bool = False
    """True: doses follow the true patient, without levels; a bound for every schedule."""
    by: Literal["weight_kg", "age_years"] | None = None
    bands: Annotated[list[DoseBand], Field(min_length=1)] | None = None
    model: Identifier | None = None
    """Model that finds the doses; the true one if absent."""
    first: Literal["dose", "covariates", "banded"] = "dose"

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if (self.levels_h is None) != self.perfect:
            raise ValueError("give levels_h, or perfect = true")
        must_rise("levels_h", self.levels_h or [])
        if self.first == "dose" and self.regimen is None:
            raise ValueError('give regimen, or first = "covariates" with days')
        if (self.first == "banded") != (self.by is not None and self.bands is not None):
            raise ValueError('first = "banded" needs by and bands, and only it has them')
        if self.bands is not None:
            check_bands(self.bands)
        if self.perfect and (self.missed or self.assay_limit_mg_l or self.revise != "once"):
            raise ValueError("perfect = true has no levels: leave missed, revise and assay out")
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
    bands: (
        Annotated[
            list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=1)
        ]
        | None
    ) = None
    """Bands from the first to below the second number; they may overlap."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.edges is not None and self.bands is not None:
            raise ValueError("give edges or bands, not both")
        for rising in (self.edges, *(self.bands or ())):
            must_rise("edges" if self.edges else "bands", rising or [])
        return self

    @property
    def parts(self) -> list["Stratum"]:
        """Groupings of which none overlaps: itself, or one for each of its bands."""
        if self.bands is None:
            return [self]
        return [Stratum(by=self.by, edges=list(band)) for band in self.bands]


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
    limits: Annotated[list[Positive], Field(min_length=1, max_length=8)] | None = None
    """AUCs between which patients are counted, mg h/L; the ends of the window if absent."""
    strategies: Annotated[list[Strategy], Field(min_length=1)]
    strata: list[Stratum] = []
    outcome: OutcomeTable | None = None
    trial: TrialTable | None = None
    ward: WardTable | None = None
    shortage: ShortageTable | None = None
    drivers: DriversTable | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for key, names in (
            ("models", self.models),
            ("strategies", [strategy.id for strategy in self.strategies]),
            (
                "strata",
                [f"{s.by} {part.edges or ''}".strip() for s in self.strata for part in s.parts],
            ),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key}: {', '.join(twice)} twice")
        if self.patients is None and getattr(self.population, "sample", None) != "as_is":
            raise ValueError("patients is missing: how many to draw")
        must_rise("limits", self.limits or [])
        return self

    @model_validator(mode="after")
    def _questions(self) -> Self:
        """Check what refers to strategies by their id."""
        kinds = {strategy.id: strategy for strategy in self.strategies}
        asked = [
            ("outcome.reference", self.outcome and [self.outcome.reference], Table),
            ("trial.arms", self.trial and self.trial.arms, Table),
            ("ward.strategy", self.ward and [self.ward.strategy], AdaptiveStrategy),
            ("shortage.strategy", self.shortage and [self.shortage.strategy], FixedStrategy),
            ("drivers.strategy", self.drivers and [self.drivers.strategy], Table),
        ]
        faults = []
        for key, names, kind in asked:
            for name in names or ():
                if name not in kinds:
                    faults.append(f"{key}: no strategy {name!r}; there are {', '.join(kinds)}")
                elif not isinstance(kinds[name], kind):
                    needed = "adaptive" if kind is AdaptiveStrategy else "fixed"
                    faults.append(f"{key}: {name} is {kinds[name].kind}; it must be {needed}")
        if (
            self.trial is not None
            and self.outcome is None
            and self.trial.of
            in (
                None,
                "event_free",
            )
        ):
            faults.append("trial: needs [outcome], for what is to be shown")
        if self.drivers is not None and isinstance(self.population, CohortFile):
            faults.append("drivers: patients must be drawn from a described population, no file")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def all_limits(self) -> list[float]:
        """Limits between which patients are counted, mg h/L."""
        return list(self.limits or (self.window.low, self.window.high))
