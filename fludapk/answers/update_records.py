"""Records of an update: what is in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fludapk.answers.check_records import CheckResult, MemberRecord, TargetRecord
from fludapk.answers.draws import EffectRecord
from fludapk.answers.fit import Fit
from fludapk.answers.goal import Misses
from fludapk.answers.headline import Headline
from fludapk.answers.record import DISCLAIMER, Record, Remark, Row, scalars
from fludapk.published.targets import Flag

# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class LevelRecord:
    """A level beside what the model expects of it."""

    level: int
    """Place among the levels as given, from 1."""
    time_h: float
    clock: str | None
    """The time as typed, if it was a clock time."""
    conc_mg_l: float | None
    lloq_mg_l: float | None
    typical_mg_l: float
    """Prediction from covariates."""
    fitted_mg_l: float
    """Prediction for this patient."""
    residual_sd: float | None
    """(level - fitted) in residual SDs; None if it is not part of the estimate."""
    excluded: bool
    """The level was left out as asked, or is from before the first dose."""


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
    """Time of the last level or given dose, h."""
    auc_so_far: float
    auc_so_far_pi90: tuple[float, float]
    auc_0_inf: float
    """AUC0-inf of the course as planned, of the most likely patient."""
    auc_0_inf_pi90: tuple[float, float]
    draws: int
    """Weighted points of the posterior."""
    effective_size: float
    """Number of independent draws that would be as good."""
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
class WithoutLevel:
    """The estimate without one of the levels."""

    level: int
    """Place of that level among those given, from 1."""
    auc_0_inf: float | None
    """mg·h/L, of the course as planned; None if no likely patient was found."""
    fits: bool
    """The other levels fit together."""


@dataclass(frozen=True, kw_only=True)
class UpdateByModel:
    """The same levels put to use with another model that applies."""

    model: str
    name: str
    """Name as people cite it."""
    reading_of: str | None
    """Model of the same paper that it is another reading of."""
    auc_0_inf: float | None
    """mg·h/L, of the most likely patient and the course as planned; None without an estimate."""
    fits: bool
    """The levels fit together by this model."""


@dataclass(frozen=True, kw_only=True)
class UpdateProvenance:
    """Origin of a result: version, hashes, seed and draws."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    draws: int
    probability_se: float
    """Largest standard error of a probability of the AUC."""
    excluded_levels: list[int]
    """Places of the levels that were left out as asked."""


@dataclass(frozen=True, kw_only=True, repr=False)
class UpdateResult(Record):
    """Result of `update`."""

    schema: Literal["fludapk.update/2"] = "fludapk.update/2"
    headline: Headline
    remarks: list[Remark]
    """The worst first."""
    model: str
    model_citation: str
    prior: CheckResult
    """The course from covariates alone."""
    averaged: list[MemberRecord] | None
    """Each model of an average, given the levels; None where one model answers. Levels, parameters
    and effects are then by the model with the highest weight."""
    levels: list[LevelRecord]
    parameters: list[ParameterRecord]
    effects: list[EffectRecord]
    """Etas, then kappas dose by dose."""
    posterior: PosteriorRecord
    flag: Flag | None
    """None if the levels do not fit together."""
    targets: list[TargetRecord]
    """Empty if the levels do not fit together."""
    remaining: RemainingDose | None
    """None without a goal, without a dose left, and under a stop."""
    would_give: RemainingDose | None
    """The dose that the model would give, were there no stop: not a proposal."""
    without: list[WithoutLevel]
    """The estimate without each level in turn, where one of them is surprising."""
    surprises: list[str]
    draws: dict[str, list[float]] | None
    """Equally likely draws of the posterior by column, where asked for."""
    by_models: list[UpdateByModel]
    """The same levels by every other model that applies to the patient."""
    disclaimer: str = DISCLAIMER
    provenance: UpdateProvenance

    @property
    def fit(self) -> Fit:
        """Fit that it was made from; of an average that of the model with the highest weight."""
        fitted: Fit = self.made_from
        return fitted

    @property
    def fits(self) -> bool:
        """Tell if the levels fit together."""
        return self.flag is not None

    def brief(self) -> str:
        """Return AUC and interval in a line."""
        if not self.fits:
            return f"update by {self.model}: STOP: the levels do not fit together"
        (low, high), auc = self.posterior.auc_0_inf_pi90, self.posterior.auc_0_inf
        return (
            f"update by {self.model} and {len(self.levels)} levels: AUC0-inf {auc:.2f} mg·h/L, "
            f"90 % {low:.1f}-{high:.1f}"
        )

    def rows(self) -> list[Row]:
        """Return a row for each level."""
        return [scalars(level) for level in self.levels]
