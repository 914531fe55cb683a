"""Records of an update: what is in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fludapk.answers.check_records import CheckResult, TargetRecord
from fludapk.answers.fit import Fit
from fludapk.answers.goal import Misses
from fludapk.answers.record import DISCLAIMER, Record, Remark, Row, scalars
from fludapk.published.targets import Flag

# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class LevelRecord:
    """A level beside what the model expects of it."""

    time_h: float
    clock: str | None
    """The time as typed, if it was a clock time."""
    conc_mg_l: float | None
    lloq_mg_l: float | None
    typical_mg_l: float
    """Prediction from covariates."""
    fitted_mg_l: float
    """Prediction for this patient."""
    residual_sd: float
    """(level - fitted) in residual SDs."""


@dataclass(frozen=True, kw_only=True)
class ParameterRecord:
    """A parameter of the typical patient and of this one, without occasions."""

    name: str
    unit: str
    typical: float
    individual: float


@dataclass(frozen=True, kw_only=True)
class PosteriorRecord:
    """Exposure to F-ara-A given the levels; AUC in mg h/L."""

    now_h: float
    """Of the last level or given dose."""
    auc_so_far: float
    auc_so_far_pi90: tuple[float, float]
    auc_0_inf: float
    """Of the course as planned, most likely patient."""
    auc_0_inf_pi90: tuple[float, float]
    draws: int
    """Weighted points of the posterior."""
    effective_size: float
    """How many independent draws would be as good."""
    method: str


@dataclass(frozen=True, kw_only=True)
class RemainingDose:
    """The dose of each infusion that is left, mg of fludarabine phosphate."""

    goal: str
    infusions: int
    dose_mg: float
    dose_mg_m2: float
    planned_mg: float
    total_course_mg_m2: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    p_below: float
    p_within: float
    p_above: float
    reached: bool
    misses: Misses | None
    """Side on which the goal is missed; None if it is reached."""
    reason: str | None
    """Why it is missed, in words."""
    at_ceiling: bool


@dataclass(frozen=True, kw_only=True)
class UpdateProvenance:
    """What made this result."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    draws: int
    probability_se: float
    """Largest standard error of a probability of the AUC."""


@dataclass(frozen=True, kw_only=True, repr=False)
class UpdateResult(Record):
    """Result of `update`."""

    schema: Literal["fludapk.update/1"] = "fludapk.update/1"
    model: str
    model_citation: str
    prior: CheckResult
    """The course from covariates alone."""
    levels: list[LevelRecord]
    parameters: list[ParameterRecord]
    posterior: PosteriorRecord
    flag: Flag
    targets: list[TargetRecord]
    remaining: RemainingDose | None
    surprises: list[str]
    remarks: list[Remark]
    disclaimer: str = DISCLAIMER
    provenance: UpdateProvenance

    @property
    def fit(self) -> Fit:
        """Fit that it was made from."""
        fitted: Fit = self.made_from
        return fitted

    def brief(self) -> str:
        """Return AUC and interval in a line."""
        (low, high), auc = self.posterior.auc_0_inf_pi90, self.posterior.auc_0_inf
        return (
            f"update by {self.model} and {len(self.levels)} levels: AUC0-inf {auc:.2f} mg·h/L, "
            f"90 % {low:.1f}-{high:.1f}"
        )

    def rows(self) -> list[Row]:
        """Return a row for each level."""
        return [scalars(level) for level in self.levels]
