"""Facts of a check, which its remarks are rules about."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from fludapk.answers.check_records import LabelRecord, SensitivityRecord, TargetRecord
from fludapk.answers.prediction import Prediction
from fludapk.answers.record import Remark
from fludapk.language import tr
from fludapk.patients.patient import Patient
from fludapk.patients.request import Case, Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.models import Model


@dataclass(frozen=True, kw_only=True)
class CheckFacts:
    """Facts of a check, everything a rule may look at.

    Parameters
    ----------
    prediction : Prediction
    sensitivity : sequence of SensitivityRecord
        The same patient by every model.
    leading : TargetEntry, optional
        The target that leads the answer.
    targets : sequence of TargetRecord
    label_rules : sequence of LabelRecord
    """

    prediction: Prediction
    sensitivity: Sequence[SensitivityRecord]
    leading: TargetEntry | None
    targets: Sequence[TargetRecord]
    label_rules: Sequence[LabelRecord]
    model: Model = field(init=False)
    """Chosen model."""
    patient: Patient = field(init=False)
    """Patient of the check."""

    def __post_init__(self) -> None:
        """Keep what nearly every rule looks at within reach."""
        vars(self).update(model=self.prediction.model, patient=self.prediction.case.patient)


Rule: TypeAlias = Callable[[CheckFacts], Remark | None]


def other_disease(model: Model, case: Case) -> str | None:
    """Name the disease of a case if the model was built from patients with others."""
    if not model.file.population.diseases:
        return None
    disease = Treated.by(case.patient, case.regimen).disease
    return None if is_for_disease(model, disease) else disease


def is_for_disease(model: Model, disease: str | None) -> bool:
    """Tell if a model was built from patients with a disease, or any; None is unknown."""
    diseases = model.file.population.diseases
    return disease is None or not diseases or disease in diseases


def reading_note(model: Model, patient: Patient) -> str | None:
    """Explain why this reading of the paper is the default, to those to whom it matters."""
    return next(
        (
            tr(departure.shown)
            for departure in model.file.departures
            if departure.shown and patient.age_years < (departure.shown_below_age or math.inf)
        ),
        None,
    )


def counts(row: SensitivityRecord) -> bool:
    """Tell whether a model counts: it applies, and is no second reading of a paper."""
    return row.applies and row.reading_of is None


def advice_here(rule: LabelRecord) -> str:
    """Word the advice of a label with the renal function that it is for, where there is one."""
    if rule.value is None:
        return f"{rule.title}: {rule.advice}"
    return tr(
        "{rule}: {advice} at {measure} {value:.0f} {unit}",
        rule=rule.title,
        advice=rule.advice,
        measure=rule.measure,
        value=rule.value,
        unit=rule.unit,
    )
