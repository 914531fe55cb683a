"""Records of a comparison: what is in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fludapk.answers.check_records import ExposureRecord, PatientRecord, RegimenRecord
from fludapk.answers.compare_plans import Kind
from fludapk.answers.headline import Headline
from fludapk.answers.prediction import PROBABILITY_SE
from fludapk.answers.record import DISCLAIMER, Provenance, Record, Remark, Row, only_stops, scalars
from fludapk.published.covariates import Step
from fludapk.published.targets import Flag


@dataclass(frozen=True, kw_only=True)
class PlanByModel:
    """AUC of a plan's dose by a model."""

    model: str
    name: str
    """Name of the paper, as people cite it."""
    auc_0_inf: float
    applies: bool
    """False if the chosen model was built from other patients."""
    reading_of: str | None


@dataclass(frozen=True, kw_only=True)
class WouldGive:
    """Dose of an aimed plan if there were no STOP."""

    dose_mg: float
    doses: int
    auc_0_inf: float


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """One plan of a comparison; mg of fludarabine phosphate."""

    number: int
    """Place of the plan as typed, from 1."""
    plan: str
    """Text of the plan, as typed."""
    kind: Kind
    course: str
    """Id of the published course, or "custom"."""
    title: str
    goal: str | None
    """Goal of the dose in words; None where the dose is given."""
    goal_reached: bool | None
    """True if the dose meets its goal; None without a goal or a dose."""
    rule: str | None
    regimen: RegimenRecord | None
    """None where no dose is given: a STOP of a dose that is found or set, or a refused one."""
    exposure: ExposureRecord | None
    flag: Flag | None
    headline: Headline | None
    """Headline of the plan alone, that of its check."""
    chance: float | None
    """Probability of reaching the leading target that plans are compared by: on the same simulated
    patients, for all plans with the uncertainty of the model's numbers or for all without."""
    total_change: float | None
    """Relative change of the total dose from the first plan; None where either has none."""
    auc_change: float | None
    models: list[PlanByModel]
    """Every model that applies, the chosen one first."""
    remarks: list[Remark]
    """The worst first."""
    would_give: WouldGive | None
    trail: list[Step]

    @property
    def stops(self) -> list[str]:
        """Reasons why this plan should not be given."""
        return [remark.message for remark in only_stops(self.remarks)]

    @property
    def name(self) -> str:
        """Number and text in a line."""
        return f"plan {self.number} ({self.plan})"


@dataclass(frozen=True, kw_only=True)
class TableHeadline:
    """First lines of a comparison.

    Parameters
    ----------
    stops : list of str
        STOPs, each with the plans that it stops.
    sentence : str
        The plan with the highest chance against the leading target, or why there is none.
    best : list of int
        Numbers of the plans with the highest chance; several if the sampling error does not tell
        them apart, none if chances cannot be compared.
    target : str, optional
        Id of the target that all plans are compared by.
    notes : list of str
        What must be known with the sentence.
    """

    stops: list[str]
    sentence: str
    best: list[int]
    target: str | None
    notes: list[str]


@dataclass(frozen=True, kw_only=True, repr=False)
class CompareResult(Record):
    """Result of `compare`."""

    schema: Literal["fludapk.compare/1"] = "fludapk.compare/1"
    headline: TableHeadline
    model: str
    model_title: str
    model_citation: str
    patient: PatientRecord
    round_to_mg: float | None
    plans: list[PlanRecord]
    probability_se: float = PROBABILITY_SE
    """Standard error of a chance; plans are computed on the same simulated patients."""
    reading_note: str | None
    disclaimer: str = DISCLAIMER
    provenance: Provenance

    def brief(self) -> str:
        """Return the plans in a line."""
        return f"compare by {self.model}: {'; '.join(plan.plan for plan in self.plans)}"

    def rows(self) -> list[Row]:
        """Return a row for each plan."""
        return [_row(plan) for plan in self.plans]

    @property
    def patient_steps(self) -> list[Step]:
        """Steps of the calculation that are the patient's, the same for every plan with a dose."""
        trails = [plan.trail for plan in self.plans if plan.trail]
        if not trails:
            return []
        return [
            step
            for step in trails[0]
            if step.name not in OF_A_PLAN and all(step in trail for trail in trails)
        ]


OF_A_PLAN: Final = ("rule", "dose", "course", "amount", "AUC0-inf")
"""Steps of the calculation that belong to a plan, even where two plans share them."""
_CHANCES: Final = ("target", "p_below", "p_within", "p_above")


def _row(plan: PlanRecord) -> Row:
    """A plan as scalars; None where it has no dose."""
    course, exposure, head = plan.regimen, plan.exposure, plan.headline
    low, high = (None, None) if exposure is None else exposure.auc_0_inf_pi90
    row: Row = {"plan": plan.plan, "kind": plan.kind, "stop": "; ".join(plan.stops)}
    row |= {
        "dose_mg": None if course is None else course.doses_mg[0],
        "dose_mg_m2": None if course is None else course.total_mg_m2 / len(course.doses_mg),
        "doses": None if course is None else len(course.doses_mg),
        "volume_ml_per_dose": None if course is None else course.volume_ml_per_dose,
        "vials_per_dose": None if course is None else course.vials_per_dose,
        "total_mg": None if course is None else course.total_mg,
        "total_mg_m2": None if course is None else course.total_mg_m2,
        "auc_0_inf": None if exposure is None else exposure.auc_0_inf,
        "auc_0_inf_pi90_low": low,
        "auc_0_inf_pi90_high": high,
        "flag": plan.flag,
    }
    row |= {name: None if head is None else getattr(head, name) for name in _CHANCES}
    row |= {name: value for name, value in scalars(plan).items() if name in _OWN}
    return row | {f"{by.model}_auc_0_inf": by.auc_0_inf for by in plan.models}


_OWN: Final = ("chance", "total_change", "auc_change", "goal", "goal_reached", "rule")
