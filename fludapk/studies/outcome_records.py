"""Records of outcomes and trials of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fludapk.answers.record import Record, Remark, Row


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; None where it is not defined or has none."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def columns(self, name: str) -> Row:
        """Return the number and its interval by their columns, named from `name`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True, kw_only=True)
class ArmOutcome:
    """Outcome of one strategy in one stratum.

    Parameters
    ----------
    strategy, stratum : str
    shares : list of float
        Fractions of patients in each group of exposure, by the reading that is used.
    incidence : Estimate
        Cumulative incidence of the event.
    difference : Estimate
        The same minus that of the reference strategy in the stratum.
    readings : mapping of str to float or None
        Incidence by the other readings; None where a reading does not define it.
    undefined : str
        Why there is no incidence; empty if there is one.
    """

    strategy: str
    stratum: str
    shares: list[float]
    incidence: Estimate
    difference: Estimate
    readings: dict[str, float | None]
    undefined: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class OutcomeResult(Record):
    """Outcome of the strategies of a study, if the association is causal and holds here.

    Parameters
    ----------
    model : str
        Id of the truth.
    title : str
        Association as people cite it.
    event, competing_event : str
    who : str
        Patients it was found in.
    auc_by : str
        How their AUC was obtained.
    at_months : float
    reference : str
        Strategy with the published incidence.
    groups : list of str
    ratios : list of Estimate
        Published hazard ratios; empty if incidences by group are published.
    group_incidences : list of Estimate
        Published incidences by group; empty if hazard ratios are published.
    used_ratios : list of float
        Hazard ratios after the reading and the causal fraction.
    incidence : Estimate
        Published incidence in all patients, or the one that group incidences imply.
    competing : float
        Assumed incidence of the competing event.
    exposure : {'predicted', 'true', 'corrected'}
    causal : list of float
        Causal fraction, or the ends of its range.
    shape : float
    event_hazards, competing_hazard : list of float, float
        Per month to the power of the shape.
    draws : int
    includes_parameters : bool
        True if the intervals include the uncertainty of the pharmacokinetic model.
    arms : list of ArmOutcome
    remarks : list of Remark
    source : str
    """

    schema: Literal["fludapk.outcome/1"] = "fludapk.outcome/1"
    model: str
    title: str
    event: str
    competing_event: str
    who: str
    auc_by: str
    at_months: float
    reference: str
    groups: list[str]
    ratios: list[Estimate]
    group_incidences: list[Estimate]
    used_ratios: list[float]
    incidence: Estimate
    competing: float
    exposure: Literal["predicted", "true", "corrected"]
    causal: list[float]
    shape: float
    event_hazards: list[float]
    competing_hazard: float
    draws: int
    includes_parameters: bool
    arms: list[ArmOutcome]
    remarks: list[Remark]
    citation: str

    def rows(self) -> list[Row]:
        """Return a row for each strategy and stratum."""
        return [
            {
                "model": self.model,
                "strategy": arm.strategy,
                "stratum": arm.stratum,
                **{f"share {g}": s for g, s in zip(self.groups, arm.shares, strict=True)},
                **arm.incidence.columns("incidence"),
                **arm.difference.columns("difference"),
                **{f"incidence_{name}": value for name, value in arm.readings.items()},
            }
            for arm in self.arms
        ]

    def brief(self) -> str:
        """Return the event and the association in a line."""
        return f"{self.event} by {self.at_months:g} months, {self.title}: {len(self.arms)} arms"


# ------------------------------------------------------------------ trials


@dataclass(frozen=True, kw_only=True)
class PowerAt:
    """Power of a trial of one size.

    Parameters
    ----------
    n_per_arm : int
    exact : float, optional
        Power by integrals; None where only simulation gives it.
    simulated, simulated_error : float, optional
        Power found in simulated trials, and its standard error.
    assurance : float, optional
        Chance of a significant difference in the right direction, averaged over the published
        uncertainty of the association.
    sceptical : float, optional
        The same, also averaged over causal fractions from 0 to 1.
    events : float
        Expected events of both arms.
    """

    n_per_arm: int
    exact: float | None
    simulated: float | None
    simulated_error: float | None
    assurance: float | None
    sceptical: float | None
    events: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Power and size of a trial of one strategy against the control.

    Parameters
    ----------
    control, treated : str
    alpha : float
        Size of the test of this comparison.
    hazard_ratio : float
        Hazard ratio that a Cox model of the arms would give, about.
    drift : float
        Mean of the standardised score of one patient per arm: with n it grows as sqrt(n).
    incidences : list of float
        Incidence of the event in control and treated arm at the time of the association.
    events_per_patient : list of float
    power : list of PowerAt
    n_for_power : Estimate
        Patients per arm for the wanted power; an interval only where it is found by simulation.
    n_simulated : Estimate
        The same fitted to the simulated trials.
    null_size : float, optional
        Fraction of simulated trials with a significant difference if nothing depends on exposure.
    null_n : int
        Patients per arm of those.
    depends : mapping of str to float or None
        Patients per arm under other assumptions.
    """

    control: str
    treated: str
    alpha: float
    hazard_ratio: float
    drift: float
    incidences: list[float]
    events_per_patient: list[float]
    power: list[PowerAt]
    n_for_power: Estimate
    n_simulated: Estimate
    null_size: float | None
    null_n: int
    depends: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class GoRule:
    """Rule of a single-arm trial, and how often each strategy fulfils it.

    Parameters
    ----------
    name : str
    stages : list of (int, int)
        Hits needed and patients of each stage; the first of two stages goes on with its number.
    treated : str
        Strategy it was made for; empty for a rule of the scenario.
    alpha, power, p_stop, expected_n : float, optional
        Under the control, the strategy, and again the control.
    p_go : mapping of str to float
        Chance of fulfilling it by strategy.
    over_p : mapping of str to float
        The same by the chance of a hit.
    """

    name: str
    stages: list[tuple[int, int]]
    treated: str
    alpha: float | None
    power: float | None
    p_stop: float | None
    expected_n: float | None
    p_go: dict[str, float]
    over_p: dict[str, float]


@dataclass(frozen=True, kw_only=True, repr=False)
class TrialResult(Record):
    """Power, size and rules of a trial of the strategies of a study.

    Parameters
    ----------
    model : str
        Id of the truth.
    test : {'logrank', 'gray', 'incidence', 'binomial'}
    among : str
        Stratum that patients are taken from.
    alpha, power : float
    replicates : int
    accrual_months, after_months : float
    horizon_months : float, optional
    loss_per_year : float
    ratio : float
        Patients of another arm for each of the control arm.
    comparisons : list of Comparison
    hit : str
        Hit of a single-arm trial.
    hit_chances : mapping of str to float
        Chance of a hit by strategy.
    rules : list of GoRule
    remarks : list of Remark
    """

    schema: Literal["fludapk.trial/1"] = "fludapk.trial/1"
    model: str
    test: Literal["logrank", "gray", "incidence", "binomial"]
    among: str
    alpha: float
    power: float
    replicates: int
    accrual_months: float
    after_months: float
    horizon_months: float | None
    loss_per_year: float
    ratio: float = 1.0
    comparisons: list[Comparison] = field(default_factory=list)
    hit: str = ""
    hit_chances: dict[str, float] = field(default_factory=dict)
    rules: list[GoRule] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """Return a row for each comparison and size, or for each rule and strategy."""
        powers: list[Row] = [
            {
                "model": self.model,
                "control": comparison.control,
                "treated": comparison.treated,
                "among": self.among,
                "test": self.test,
                "n_for_power": comparison.n_for_power.value,
                **vars(point),
            }
            for comparison in self.comparisons
            for point in comparison.power
        ]
        rules: list[Row] = [
            {"model": self.model, "rule": rule.name, "strategy": strategy, "p_go": chance}
            for rule in self.rules
            for strategy, chance in rule.p_go.items()
        ]
        return powers or rules

    def brief(self) -> str:
        """Return the test and the number of comparisons in a line."""
        return f"trial by {self.test}: {len(self.comparisons) or len(self.rules)} comparisons"
