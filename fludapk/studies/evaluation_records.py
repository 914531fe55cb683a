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
"""What a level is predicted from: covariates alone, or all levels of the patient, its own included.
And, for levels after a second or later dose: covariates, or the levels before that dose, which a
pharmacist would have had."""


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
    mpe_ci95: tuple[float, float] | None
    rmse: float
    rmse_ci95: tuple[float, float] | None
    within_30: float
    within_30_ci95: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class NpdeRecord:
    """NPDE against a standard normal; p_* are those of its mean, variance and shape."""

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
    """Three times the smallest, at most 1."""


@dataclass(frozen=True, kw_only=True)
class BinRecord:
    """A bin of the prediction-corrected visual predictive check; mg/L.

    Quantiles are 10, 50 and 90 % of the levels in the bin; None where that is below a limit of
    quantification.
    """

    from_h: float
    to_h: float
    """After the last dose."""
    middle_h: float
    levels: int
    observed: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    """Median over simulations."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    """95 % of simulations."""


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """How one model does."""

    model: str
    errors: list[ErrorRecord]
    log_likelihood: float
    """Marginal, of all levels, by Laplace."""
    behind: float
    """Of the best model's log-likelihood."""
    behind_se: float
    """Standard error of that over patients."""
    weight_all: float
    """Probability that all levels are from this model rather than another listed, equal before."""
    weight_mean: float
    """The same of one patient, averaged over patients."""
    moved: float
    """Share of patients whose AUC by levels differs by 4 mg h/L or more from covariates."""
    below_by_covariates: int
    below_by_levels: int
    """Patients with an AUC0-inf below 13.8 mg h/L."""
    npde: NpdeRecord | None
    vpc: list[BinRecord]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A model that was not compared, and why."""

    model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvaluationProvenance:
    """What made this result."""

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
    models: list[ModelRecord]
    """The best first."""
    averaged: list[ErrorRecord]
    """Of predictions averaged over the models by the weights the levels used give them."""
    left_out: list[LeftOut]
    refused: list[Refused]
    disclaimer: str = DISCLAIMER
    provenance: EvaluationProvenance

    def brief(self) -> str:
        """Return the best model in a line."""
        return f"evaluation: best of {len(self.models)} models is {self.best}, {self.levels} levels"
