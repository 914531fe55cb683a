"""Grammar of what a scenario asks beyond exposure: outcome, trial, ward, shortage, drivers."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fludapk.published.outcome_files import Association, Incidence
from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise

StrategyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(gt=0, lt=1)]


# ------------------------------------------------------------------ outcome


class OwnAssociation(Association):
    """Association of exposure with an outcome that is described in the scenario itself."""

    auc: Literal["predicted", "measured"]
    """Origin of the AUC of its groups: covariates, or levels."""
    source: Text

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.hazard_ratios is None and self.group_incidences is None:
            raise ValueError("give hazard_ratios with incidence, or group_incidences")
        if self.hazard_ratios is not None and self.incidence is None:
            raise ValueError("hazard_ratios need incidence, in all patients")
        return self


class CausalRange(Table):
    """Range of the causal fraction, drawn evenly."""

    low: Fraction
    high: Fraction

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class OutcomeTable(Table):
    """Outcome that follows from exposure if a published association is causal and holds here."""

    use: Identifier | None = None
    """Id of `data/outcomes.toml`."""
    own: OwnAssociation | None = None
    incidence: Incidence | None = None
    """Incidence in the reference population, instead of the published one."""
    reference: StrategyId
    """Strategy under which the population has the published incidence."""
    exposure: Literal["predicted", "true", "corrected"] = "true"
    """Reading of a hazard ratio between groups of predicted AUC."""
    competing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Incidence of the competing event in the reference population: an assumption."""
    shape: Annotated[float, Field(gt=0, le=5)] = 1.0
    """Weibull shape of all hazards."""
    causal: Fraction | CausalRange = 1.0
    """Fraction of the logarithm of the hazard ratio that is causal."""
    draws: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Draws of what is uncertain: 4000 if absent, none with exposure = "corrected"."""
    transport: Literal["assumed"] | None = None
    """"assumed": the association is carried over to another disease or product."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.use is None) == (self.own is None):
            raise ValueError("give use, the id of a published outcome, or a table own")
        if self.exposure == "corrected" and (self.draws or isinstance(self.causal, CausalRange)):
            raise ValueError(
                'exposure = "corrected" gives a point value only: leave draws and a range of '
                "causal out"
            )
        return self

    @property
    def causal_point(self) -> float:
        """Causal fraction of the point value: the one given, or the middle of its range."""
        if isinstance(self.causal, CausalRange):
            return (self.causal.low + self.causal.high) / 2
        return self.causal

    @property
    def n_draws(self) -> int:
        """Number of draws of what is uncertain."""
        if self.exposure == "corrected":
            return 0
        return 4000 if self.draws is None else self.draws


# ------------------------------------------------------------------ trial


class Rule(Table):
    """Rule of a single-arm trial: at least so many of n patients."""

    n: Annotated[int, Field(ge=1, le=10_000)]
    at_least: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.at_least > self.n:
            raise ValueError(f"at_least {self.at_least} of {self.n} patients")
        return self


class TrialTable(Table):
    """Trial whose power or size is asked for."""

    arms: Annotated[list[StrategyId], Field(min_length=2, max_length=8)]
    """Strategies, the control first; the others are each compared with it."""
    among: Text | None = None
    """Name of a stratum that patients are taken from."""
    n_per_arm: Annotated[
        list[Annotated[int, Field(ge=2, le=20_000)]], Field(min_length=1, max_length=20)
    ] = Field(default_factory=lambda: [50, 100, 200, 400])
    ratio: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Patients of another arm for each of the control arm."""
    horizon_months: Positive | None = None
    """End of every patient's follow-up; the time of the incidence if neither this nor
    follow_up_months is given."""
    follow_up_months: Positive | None = None
    """Time from the last entry to the analysis; the horizon if absent."""
    accrual_months: Annotated[float, Field(ge=0)] = 24.0
    loss_per_year: Annotated[float, Field(ge=0, lt=1)] = 0.0
    test: Literal["logrank", "gray", "incidence", "binomial"] = "logrank"
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Two-sided; one-sided with test = "binomial"."""
    power: Annotated[float, Field(gt=0, lt=1)] = 0.8
    replicates: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Simulated trials for each size; 0: the exact numbers only."""
    rule: Rule | None = None
    of: Literal["in_window", "at_least_low", "event_free"] | None = None
    """Hit of a single-arm trial: AUC in the window, at or above its low end, or no event."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        twice = sorted({arm for arm in self.arms if self.arms.count(arm) > 1})
        if twice:
            raise ValueError(f"arms: {', '.join(twice)} twice")
        if self.test != "binomial" and (self.rule is not None or self.of is not None):
            raise ValueError('rule and of belong to test = "binomial"')
        if self.test == "binomial" and self.of is None:
            raise ValueError('test = "binomial" needs of: in_window, at_least_low or event_free')
        must_rise("n_per_arm", self.n_per_arm)
        return self


# ------------------------------------------------------------------ ward, shortage, drivers


class WardTable(Table):
    """Table of sampling schedules, by the dose their result acts from and by missed results."""

    strategy: StrategyId
    """Adaptive strategy that is varied."""
    schedules: Annotated[
        list[Annotated[list[Positive], Field(min_length=1, max_length=12)]],
        Field(min_length=1, max_length=12),
    ]
    """Times of levels after the start of the first dose, h."""
    acts_from_dose: Annotated[
        list[Annotated[int, Field(ge=2, le=14)]], Field(min_length=1, max_length=6)
    ] = Field(default_factory=lambda: [2])
    missed: Annotated[list[Fraction], Field(min_length=1, max_length=6)] = Field(
        default_factory=lambda: [0.0]
    )
    """Fractions of patients whose result never comes: they go on as they began."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for k, schedule in enumerate(self.schedules):
            must_rise(f"schedules[{k}]", schedule)
        must_rise("acts_from_dose", self.acts_from_dose)
        must_rise("missed", self.missed)
        return self


class ShortageTable(Table):
    """Lowest doses that bring enough patients to a limit, in all patients and in each stratum."""

    strategy: StrategyId
    """Fixed strategy in mg/m2 that the doses are scaled from."""
    limit: Positive = 13.8
    probability: Chance = 0.8
    """Fraction of patients at or above the limit."""
    patients_a_day: Annotated[
        list[Annotated[int, Field(ge=1, le=50)]], Field(min_length=1, max_length=8)
    ] = Field(default_factory=lambda: [1, 2, 3, 5])
    """Patients who share vials on one day."""


class DriversTable(Table):
    """Sobol indices of what the AUC, and the chance of missing a limit, come from."""

    strategy: StrategyId
    limit: Positive = 13.8
    log2_points: Annotated[int, Field(ge=8, le=16)] = 13
    """Binary logarithm of the number of base points."""
