"""Records of a dose for a target: what is in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fludapk.answers.check_records import CheckResult
from fludapk.answers.goal import Goal, Misses
from fludapk.answers.headline import AnswerHeadline
from fludapk.answers.prediction import PROBABILITY_SE
from fludapk.answers.record import DISCLAIMER, Record, Remark, Row, scalars
from fludapk.language import SOURCE, speaking


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The dose of a model for a goal; mg of fludarabine phosphate."""

    model: str
    dose_mg: float
    doses: int
    total_mg: float
    dose_mg_m2: float
    dose_mg_kg: float
    total_mg_m2: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    p_below: float
    """Probability of an AUC below the goal, over patients and occasions."""
    p_within: float
    p_above: float
    p_within_uncertain: float | None
    """Probability with the uncertainty of the model's numbers; None if none is printed."""
    reached: bool
    """True if the goal is met at this dose, over patients and occasions."""
    misses: Misses | None
    """Side on which it is missed; None if it is reached."""
    reason: str | None
    """Why it is missed, in words."""
    at_ceiling: bool
    """True if a ceiling on the dose kept it from more."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The AUC that a model expects of a dose."""

    model: str
    name: str
    """Name of the paper, as people cite it."""
    who: str
    """Patients that the model was built from."""
    auc_0_inf: float
    side: str | None
    """Side of the limits of the goal; None for a goal that is a single AUC."""
    reading_of: str | None
    """The model that this one is another reading of."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DoseResult(Record):
    """Result of `fludapk.answers.dose.find_dose`."""

    schema: Literal["fludapk.dose/2"] = "fludapk.dose/2"
    headline: AnswerHeadline
    """Headline at the dose of the answer; under STOP without chance and number."""
    remarks: list[Remark]
    goal: str
    goal_low: float
    goal_high: float | None
    goal_probability: float | None
    target: str | None
    round_to_mg: float
    ceiling_mg: float
    probability_se: float = PROBABILITY_SE
    answer: Proposal | None
    """None under STOP, and only then."""
    would_give: Proposal | None
    """Under STOP: the dose that the model has for the goal, which is not proposed."""
    expected: list[Expectation]
    """AUC of that dose by every model that applies, the chosen one first."""
    change_from_planned: float | None
    """Relative change of each dose; None under STOP or without a plan."""
    proposed: CheckResult | None
    """The check of the answer; None under STOP."""
    planned: CheckResult | None
    """The check of the planned course."""
    disclaimer: str = DISCLAIMER

    @property
    def dose(self) -> Proposal:
        """Dose of the model for the goal, proposed or not."""
        dose = self.answer or self.would_give
        assert dose is not None
        return dose

    @property
    def check(self) -> CheckResult:
        """Check of that dose, proposed or not."""
        check: CheckResult = self.made_from[0]
        return check

    @property
    def goal_in_english(self) -> str:
        """The goal in the language of case files."""
        aim: Goal = self.made_from[1]
        with speaking(SOURCE):
            return str(aim)

    def brief(self) -> str:
        """Return the dose in a line."""
        if self.answer is None:
            return f"dose for {self.goal}: STOP, no dose is proposed"
        return f"dose for {self.goal}: {self.answer.dose_mg:g} mg × {self.answer.doses}"

    def rows(self) -> list[Row]:
        """Return a row for each model: what it expects of the dose."""
        return [
            {"dose_mg": None if self.answer is None else self.answer.dose_mg, **scalars(row)}
            for row in self.expected
        ]
