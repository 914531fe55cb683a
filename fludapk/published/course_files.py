"""Grammar of the files of regimens, label rules and targets."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise

# ------------------------------------------------------------------ regimens, targets, populations


class RegimenEntry(Table):
    """A published course of fludarabine."""

    id: Identifier
    title: Text
    product: Identifier | None = None
    disease: Identifier | None = None
    who: Text
    ages: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """Ages from the first to below the second, years."""
    dose: Positive
    unit: Literal["mg/m2", "mg/kg", "mg"]
    days: Annotated[int, Field(ge=1, le=14)]
    interval_h: Positive
    infusion_h: Positive
    cyclophosphamide: str = ""
    cells: str = ""
    cells_at_h: Positive | None = None
    unsettled: str = ""
    warning: str = ""
    """Doubt about the course itself, that whoever uses it must read."""
    source: Text


class Practice(Table):
    """A published practice of a centre, to be shown beside a dose and never computed with."""

    id: Identifier
    title: Text
    below_kg: Positive
    """Weight below which the centre doses so."""
    dose_mg_kg: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    """Lowest and highest dose per infusion, mg/kg."""
    source: Text


class TargetEntry(Table):
    """A published window on the cumulative AUC and the context it is bound to."""

    id: Identifier
    name: Text
    """Name of the paper, as people cite it: Fabrizio 2022."""
    title: Text
    low: Positive | None = None
    high: Positive | None = None
    optimum: Positive | None = None
    """Best value, where a paper gives one but no window that we know of."""
    disease: Identifier | None = None
    product: Identifier | None = None
    ages: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    auc_by: Text
    derived_with: Identifier
    """Model that the AUC set against it comes from."""
    derived_with_doubt: Text | None = None
    """Doubt about that model."""
    context: Text
    finding: Text
    citation: Text
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")] | None = None

    @model_validator(mode="after")
    def _a_window(self) -> Self:
        if (self.low is None and self.high is None) == (self.optimum is None):
            raise ValueError("give low, high or both; or optimum alone")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class LabelStep(Table):
    """A row of a renal rule: the factor on the dose from a renal function upwards."""

    at_least: Annotated[float, Field(ge=0)]
    factor: Annotated[float, Field(ge=0, le=1)] | None = None
    refuse: bool = False
    """True if the rule says not to give the drug."""
    advice: Text


class LabelRule(Table):
    """A renal dosing rule of a label or a centre."""

    id: Identifier
    title: Text
    measure: Literal["CrCl", "eGFR"]
    adults_only: bool
    steps: Annotated[list[LabelStep], Field(min_length=1)]
    source: Text

    @property
    def has_factors(self) -> bool:
        """True if a dose can be computed by it; some only give advice."""
        return any(step.factor is not None for step in self.steps)

    @field_validator("steps")
    @classmethod
    def _falling(cls, steps: list[LabelStep]) -> list[LabelStep]:
        must_rise("at_least, from the last row up,", [step.at_least for step in reversed(steps)])
        return steps


class RegimenFile(Table):
    """Contents of `data/regimens.toml`."""

    regimens: Annotated[list[RegimenEntry], Field(min_length=1)]
    label_rules: list[LabelRule] = []
    practices: list[Practice] = []


class TargetFile(Table):
    """Contents of `data/targets.toml`."""

    targets: Annotated[list[TargetEntry], Field(min_length=1)]
