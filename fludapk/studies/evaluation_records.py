"""Records of an evaluation of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fludapk.answers.record import DISCLAIMER, Record
from fludapk.studies.evaluation_data import Refused

SEED: Final = 20222022
Basis = Literal["covariates", "own_levels", "later_from_covariates", "later_from_earlier"]
BASES: Final[tuple[Basis, ...]] = (
    "covariates", "own_levels", "later_from_covariates", "later_from_earlier",
)  # fmt: skip
"""Information a level is predicted from: covariates alone, or all levels of the patient, itself
included. And, for levels after a second or later dose: covariates, or the levels before that dose,
which are all that is known when that dose is chosen."""


# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class ErrorRecord:
    """Relative errors (predicted - measured)/measured of levels above their limit, in %.

    The 95 % intervals are percentiles over resampled patients; None with fewer than two patients.
    """

    basis: Basis
    patients: int
    levels: int
    mpe: float
    """Mean error."""
    mpe_ci95: tuple[float, float] | None
    rmse: float
    """Root mean square error."""
    rmse_ci95: tuple[float, float] | None
    within_30: float
    """Share of levels with an error of at most 30 %."""
    within_30_ci95: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class NpdeRecord:
    """Comparison of NPDE with a standard normal; p_* test its mean, variance and shape."""

    n: int
    mean: float
    variance: float
    p_mean: float
    """t test."""
    p_variance: float
    """Chi-square."""
    p_normal: float
    """Shapiro and Wilk."""
    p_global: float
    """Three times the smallest of these p, at most 1."""


@dataclass(frozen=True, kw_only=True)
class BinRecord:
    """A bin of the prediction-corrected visual predictive check.

    Quantiles, in mg/L, are 10, 50 and 90 % of the levels in the bin; None below the limit of
    quantification.
    """

    from_h: float
    to_h: float
    """First and last time after the last dose."""
    middle_h: float
    """Median time."""
    levels: int
    observed: tuple[float | None, ...]
    """Quantiles of the measured levels."""
    expected: tuple[float | None, ...]
    """Quantiles of simulated levels, median over simulations."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    """Ends of the middle 95 % of simulations."""


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """Performance of one model."""

    model: str
    errors: list[ErrorRecord]
    log_likelihood: float
    """Marginal log-likelihood of all levels, by Laplace."""
    behind: float
    """Log-likelihood of the best model minus that of this one."""
    behind_se: float
    """Standard error of `behind`, over patients."""
    weight_all: float
    """Posterior probability that all levels are from this model; equal for all models a priori."""
    weight_mean: float
    """Posterior probability by the levels of one patient, averaged over patients."""
    moved: float
    """Share of patients whose AUC by levels and by covariates differ by at least 4 mg h/L."""
    below_by_covariates: int
    below_by_levels: int
    """Number of patients with an AUC0-inf below 13.8 mg h/L."""
    npde: NpdeRecord | None
    """None for fewer than three levels."""
    vpc: list[BinRecord]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A model that was not compared, and why."""

    model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvaluationProvenance:
    """Versions, data and settings behind an evaluation."""

    version: str
    model_sha256: dict[str, str]
    data_sha256: str
    seed: int
    simulations: int
    resamples: int


@dataclass(frozen=True, kw_only=True, repr=False)
class EvaluationRecord(Record):
    """Result of `evaluate`, as in ``fludapk evaluate --json``."""

    schema: Literal["fludapk.evaluation/1"] = "fludapk.evaluation/1"
    best: str
    """The model with the highest likelihood."""
    patients: int
    levels: int
    levels_below_limit: int
    records_before_first_dose: int
    """Number of records at or before the first dose, without measurable drug; not used."""
    records_without_level: int
    """Number of records without level (MDV 1)."""
    records_set_aside: int
    """Number of rows that the file marks as not to be used: comments, and a column such as C."""
    courses_over_clock_change: int
    """Number of courses during which clocks may have changed, without a time zone: hours were
    counted as the clock showed."""
    models: list[ModelRecord]
    """Models, the best first."""
    averaged: list[ErrorRecord]
    """Errors of predictions averaged over models, weighted by the levels each prediction used."""
    left_out: list[LeftOut]
    refused: list[Refused]
    disclaimer: str = DISCLAIMER
    provenance: EvaluationProvenance

    def brief(self) -> str:
        """Return the best model in a line."""
        return f"evaluation: best of {len(self.models)} models is {self.best}, {self.levels} levels"
