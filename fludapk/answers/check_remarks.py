"""Rules that a reader of a check must know of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fludapk.answers.check_records import LabelRecord, SensitivityRecord, TargetRecord
from fludapk.answers.prediction import Prediction
from fludapk.answers.record import Remark
from fludapk.patients.course import NEUROTOXICITY, NEUROTOXICITY_MG_M2, ROUNDING_CAUTION
from fludapk.patients.patient import Patient
from fludapk.patients.request import Case
from fludapk.published.models import Model
from fludapk.published.targets import HIGH, TargetStatus, status, targets


def other_disease(model: Model, case: Case) -> str | None:
    """The disease of a case, if a model was built from others."""
    diseases, disease = model.file.population.diseases, case.patient.diagnosis
    disease = disease or case.regimen.disease
    return disease if diseases and disease is not None and disease not in diseases else None


def reading_note(model: Model, patient: Patient) -> str | None:
    """Note on why this reading of the paper is the default, for those whom it matters to."""
    return next(
        (
            departure.shown
            for departure in model.file.departures
            if departure.shown and patient.age_years < (departure.shown_below_age or math.inf)
        ),
        None,
    )


def remarks_of(
    prediction: Prediction,
    sensitivity: Sequence[SensitivityRecord],
    agree: bool,
    targets: Sequence[TargetRecord],
    labels: Sequence[LabelRecord],
) -> list[Remark]:
    """Cautions first, then notes, each in the order of its weight."""
    model, (patient, regimen, course) = prediction.model, prediction.case
    auc, bsa = prediction.auc_0_inf, patient.bsa_m2
    cautions: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    if not agree:
        others = [
            f"{row.model} gives {row.auc_0_inf:.2f} mg·h/L ({row.flag})"
            for row in sensitivity
            if row.applies and row.model != model.id and row.auc_0_inf is not None
        ]
        cautions.append(("models_disagree", f"models disagree on the flag: {'; '.join(others)}"))
    contested = [t.id for t in targets if t.applies and len(_statuses(t.id, sensitivity)) > 1]
    if agree and contested:
        said = ", ".join(f"{row.model} {row.auc_0_inf:.2f}" for row in sensitivity if row.auc_0_inf)
        cautions.append(
            ("models_disagree_target", f"models disagree on {', '.join(contested)}: {said} mg·h/L")
        )
    if prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        cautions.append(
            ("outside_studied_range", f"outside the population of {model.id}: {listed}")
        )
    disease = other_disease(model, prediction.case)
    if disease is not None:
        who = model.file.population.who
        cautions.append(("other_disease", f"{model.id} was built from {who}, not from {disease}"))
    if auc > HIGH:
        cautions.append(
            (
                "high_exposure",
                f"AUC above {HIGH:g} mg·h/L: more ICANS and non-relapse death in scordo2023, more "
                "non-relapse death in langenhorst2019b",
            )
        )
    refusing = [row for row in labels if row.refused]
    if refusing:
        said = "; ".join(
            f"{r.title} at {r.measure} {r.value:.0f} {r.unit}: {r.advice}" for r in refusing
        )
        cautions.append(("label_renal", said))
    daily = course.highest_daily_mg() / bsa
    if daily >= NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        cautions.append(("neurotoxicity", f"{daily:.1f} mg/m2 a day; {NEUROTOXICITY}"))
    if abs(course.rounding_change) > ROUNDING_CAUTION + 1e-12:
        cautions.append(
            ("rounding", f"rounding changes each dose by {course.rounding_change:+.1%} of the plan")
        )
    if patient.age_years < 1:
        cautions.append(
            (
                "infant",
                "under 1 year: kidney maturation enters only through the eGFR cap; the studied "
                "range of the default model starts at 0.3 y and 4.3 kg",
            )
        )
    if regimen.ages is not None and not regimen.ages[0] <= patient.age_years < regimen.ages[1]:
        cautions.append(("regimen_population", f"{regimen.id} is a course for {regimen.who}"))
    cautions.extend(("unusual_for_age", text) for text in patient.unusual_for_age())
    if model.file.dose.basis == "unknown":
        cautions.append(("dose_basis", f"{model.id}: {model.file.dose.evidence}"))
    if patient.egfr_formula is not None:
        cautions.append(
            (
                "egfr_formula",
                f"{patient.egfr_formula} instead of the formula {model.id} was built with",
            )
        )
    name = model.renal_covariate
    if name is not None and (prediction.origin or "").startswith("from"):
        other = "CrCl" if name == "eGFR" else "eGFR"
        notes.append(
            (
                "renal_converted",
                f"{model.id} uses {name}: converted from the {other} given, with BSA",
            )
        )
    conversions = patient.conversions()
    if conversions:
        notes.append(("units_converted", "; ".join(conversions)))
    if regimen.unsettled:
        notes.append(
            ("regimen_unsettled", f"{regimen.id}: not settled by our sources: {regimen.unsettled}")
        )
    if not any(target.applies for target in targets):
        notes.append(("no_target", "no published target covers this disease, age and product"))
    if not model.file.iov:
        notes.append(
            ("no_iov", f"{model.id} has no inter-occasion variability: its interval is narrower")
        )
    if model.file.dose.basis == "inferred":
        notes.append(
            (
                "dose_basis",
                f"{model.id}: mg phosphate × {model.file.dose.factor:g} = mg F-ara-A is inferred, "
                "not printed in the paper",
            )
        )
    return [
        *(Remark(code=code, level="caution", message=text) for code, text in cautions),
        *(Remark(code=code, level="note", message=text) for code, text in notes),
    ]


def _statuses(target: str, sensitivity: Sequence[SensitivityRecord]) -> set[TargetStatus]:
    """What the models that apply say of one target."""
    entry = targets()[target]
    return {status(entry, s.auc_0_inf) for s in sensitivity if s.auc_0_inf is not None}
