"""Values of checks in the order of their columns, for records and for lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from fludapk.answers.headline import Simulated
from fludapk.answers.prediction import Prediction
from fludapk.language import tr
from fludapk.patients.renal_changes import described
from fludapk.patients.request import Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import applies, bounds, status

Values: TypeAlias = tuple[Any, ...]
"""Values of the fields of a record, in their order: for many rows half the time of dictionaries."""
TARGET: Final = ("status", "p_below", "p_within", "p_above", "applies")
"""Values of a target that a row of a list has."""


def target_columns(
    entry: TargetEntry,
    shown: Sequence[Simulated],
    ages_years: Sequence[float],
    treated: Sequence[Treated],
) -> tuple[Sequence[Any], ...]:
    """Set AUCs, likely and simulated, against a published target: a column for each of `TARGET`."""
    low, high = bounds(entry)
    below, within, above = zip(*[patients.chance(low, high) for patients in shown], strict=True)
    return (
        [status(entry, patients.auc_0_inf) for patients in shown],
        below,
        within if entry.optimum is None else [None] * len(shown),
        above,
        [
            applies(entry, age_years=age, product=product, disease=disease)
            for age, (product, disease) in zip(ages_years, treated, strict=True)
        ],
    )


def patient_values(prediction: Prediction, treated: Treated) -> Values:
    """Return the fields of `PatientRecord` for a prediction, in their order."""
    patient = prediction.case.patient
    egfr, crcl = prediction.covariate("eGFR"), prediction.covariate("CrCl")
    uncapped = None if egfr is None else prediction.uncapped
    key = patient.renal_key if patient.renal_changes else None
    times = prediction.case.course.times_h
    return (
        patient.age_years,
        patient.sex,
        patient.weight_kg,
        patient.height_cm,
        patient.bsa_m2,
        patient.bsa_formula,
        patient.scr_mg_dl,
        egfr,
        uncapped,
        None if egfr is None else prediction.origin,
        egfr is not None and uncapped is not None and egfr < uncapped,
        patient.crcl_ml_min if crcl is None else crcl,
        None if crcl is None else prediction.origin,
        treated.product,
        treated.disease,
        patient.genotype,
        list(patient.confirmed),
        patient.gestational_age_weeks,
        described(key, patient.renal_changes) if key else None,
        [patient.renal_at(key, t) or 0.0 for t in times] if key else None,
    )


def regimen_values(prediction: Prediction, round_to_mg: float | None) -> Values:
    """Return the fields of `RegimenRecord` for a prediction, in their order."""
    patient, regimen, course = prediction.case
    bench, total_mg = course.preparation(), course.total_mg
    return (
        regimen.id,
        tr(regimen.title),
        regimen.dose,
        regimen.unit,
        list(course.doses_mg),
        course.planned_mg if course.planned_mg is not None else course.doses_mg[0],
        round_to_mg,
        total_mg,
        total_mg / patient.bsa_m2,
        total_mg * prediction.model.file.dose.factor,
        list(course.times_h),
        course.infusion_h[0],
        bench.volume_ml,
        bench.vials,
        bench.waste_mg,
        regimen.cells_at_h,
        regimen.change,
        tr(regimen.cells),
        regimen.bsa_cap_m2,
    )


def exposure_values(prediction: Prediction, shown: Simulated) -> Values:
    """Return the fields of `ExposureRecord`, in their order, without the areas per dose."""
    to_cells, at_cells = prediction.at_cells
    has_renal_term, fu = prediction.model.program.has_renal_term, prediction.model.file.fu
    auc = prediction.auc_0_inf
    return (
        auc,
        shown.interval(),
        None if shown.uncertain is None else shown.interval(wide=True),
        prediction.auc_0_inf_other_basis,
        prediction.cmax_mg_l,
        to_cells,
        at_cells,
        prediction.clearance_l_h,
        prediction.renal_fraction if has_renal_term else None,
        prediction.half_life_h,
        None if fu is None else auc * fu,
    )
