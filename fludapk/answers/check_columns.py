"""Values of many checks, column by column; a check alone is a column of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fludapk.answers.headline import Simulated
from fludapk.answers.prediction import Prediction
from fludapk.language import tr
from fludapk.patients.patient import Patient
from fludapk.patients.renal_changes import described
from fludapk.patients.request import Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import applies, bounds, status

Columns: TypeAlias = dict[str, Sequence[Any]]
"""Name of a field -> its values."""


def first_row(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the first value of each column.

    Examples
    --------
    >>> first_row({"dose_unit": ["mg/m2"], "days": [4]})
    {'dose_unit': 'mg/m2', 'days': 4}
    """
    return {name: column[0] for name, column in columns.items()}


def one_row(values: Mapping[str, Any]) -> Columns:
    """Return columns of one value each."""
    return {name: [value] for name, value in values.items()}


def target_columns(
    entry: TargetEntry,
    shown: Sequence[Simulated],
    ages_years: Sequence[float],
    treated: Sequence[Treated],
) -> Columns:
    """Set AUCs, likely and simulated, against a published target."""
    low, high = bounds(entry)
    chances = [patients.chance(low, high) for patients in shown]
    return {
        "status": [status(entry, patients.auc_0_inf) for patients in shown],
        "p_below": [chance.below for chance in chances],
        "p_within": [chance.within if entry.optimum is None else None for chance in chances],
        "p_above": [chance.above for chance in chances],
        "applies": [
            applies(entry, age_years=age, product=product, disease=disease)
            for age, (product, disease) in zip(ages_years, treated, strict=True)
        ],
    }


def patient_columns(predictions: Sequence[Prediction]) -> Columns:
    """Return the fields of `PatientRecord`, in their order."""
    patients = [prediction.case.patient for prediction in predictions]
    treated = [prediction.case.treated for prediction in predictions]
    egfr = [prediction.covariate("eGFR") for prediction in predictions]
    crcl = [prediction.covariate("CrCl") for prediction in predictions]
    origin = [prediction.origin for prediction in predictions]
    uncapped = [
        None if value is None else prediction.uncapped
        for value, prediction in zip(egfr, predictions, strict=True)
    ]
    changed = [_renal_changes(prediction) for prediction in predictions]
    return {
        "age_years": [patient.age_years for patient in patients],
        "sex": [patient.sex for patient in patients],
        "weight_kg": [patient.weight_kg for patient in patients],
        "height_cm": [patient.height_cm for patient in patients],
        "bsa_m2": [patient.bsa_m2 for patient in patients],
        "bsa_formula": [patient.bsa_formula for patient in patients],
        "scr_mg_dl": [patient.scr_mg_dl for patient in patients],
        "egfr_ml_min_1_73m2": egfr,
        "egfr_uncapped_ml_min_1_73m2": uncapped,
        "egfr_formula": _where_given(egfr, origin),
        "egfr_capped": [
            value is not None and free is not None and value < free
            for value, free in zip(egfr, uncapped, strict=True)
        ],
        "crcl_ml_min": [
            patient.crcl_ml_min if value is None else value
            for value, patient in zip(crcl, patients, strict=True)
        ],
        "crcl_formula": _where_given(crcl, origin),
        "product": [product for product, _ in treated],
        "diagnosis": [disease for _, disease in treated],
        "genotype": [patient.genotype for patient in patients],
        "confirmed": [list(patient.confirmed) for patient in patients],
        "gestational_age_weeks": [patient.gestational_age_weeks for patient in patients],
        "renal_changes": [words for words, _ in changed],
        "renal_at_doses": [values for _, values in changed],
    }


def _where_given(values: Sequence[float | None], origin: Sequence[str | None]) -> list[str | None]:
    return [None if value is None else by for value, by in zip(values, origin, strict=True)]


def _renal_changes(prediction: Prediction) -> tuple[str | None, list[float] | None]:
    """Word the changes of a renal function, and return it at every dose; None if it does not."""
    patient: Patient = prediction.case.patient
    key = patient.renal_key if patient.renal_changes else None
    if key is None:
        return None, None
    at_doses = [patient.renal_at(key, t) or 0.0 for t in prediction.case.course.times_h]
    return described(key, patient.renal_changes), at_doses


def regimen_columns(
    predictions: Sequence[Prediction], round_to_mg: Sequence[float | None]
) -> Columns:
    """Return the fields of `RegimenRecord`, in their order."""
    cases = [prediction.case for prediction in predictions]
    regimens = [case.regimen for case in cases]
    courses = [case.course for case in cases]
    bench = [course.preparation() for course in courses]
    total_mg = [course.total_mg for course in courses]
    return {
        "id": [regimen.id for regimen in regimens],
        "title": [tr(regimen.title) for regimen in regimens],
        "dose": [regimen.dose for regimen in regimens],
        "dose_unit": [regimen.unit for regimen in regimens],
        "doses_mg": [list(course.doses_mg) for course in courses],
        "planned_dose_mg": [
            course.doses_mg[0] if course.planned_mg is None else course.planned_mg
            for course in courses
        ],
        "round_to_mg": round_to_mg,
        "total_mg": total_mg,
        "total_mg_m2": [
            total / case.patient.bsa_m2 for total, case in zip(total_mg, cases, strict=True)
        ],
        "amount_f_ara_a_mg": [
            total * prediction.model.file.dose.factor
            for total, prediction in zip(total_mg, predictions, strict=True)
        ],
        "times_h": [list(course.times_h) for course in courses],
        "infusion_h": [course.infusion_h[0] for course in courses],
        "volume_ml_per_dose": [each.volume_ml for each in bench],
        "vials_per_dose": [each.vials for each in bench],
        "waste_mg_per_dose": [each.waste_mg for each in bench],
        "cells_at_h": [regimen.cells_at_h for regimen in regimens],
        "change": [regimen.change for regimen in regimens],
        "cells": [tr(regimen.cells) for regimen in regimens],
        "bsa_cap_m2": [regimen.bsa_cap_m2 for regimen in regimens],
    }


def exposure_columns(predictions: Sequence[Prediction], shown: Sequence[Simulated]) -> Columns:
    """Return the fields of `ExposureRecord`, in their order, without the areas per dose."""
    models = [prediction.model for prediction in predictions]
    at_cells = [prediction.at_cells for prediction in predictions]
    return {
        "auc_0_inf": [prediction.auc_0_inf for prediction in predictions],
        "auc_0_inf_pi90": [patients.interval() for patients in shown],
        "auc_0_inf_uncertain_pi90": [
            None if patients.uncertain is None else patients.interval(wide=True)
            for patients in shown
        ],
        "auc_0_inf_other_basis": [prediction.auc_0_inf_other_basis for prediction in predictions],
        "cmax_mg_l": [prediction.cmax_mg_l for prediction in predictions],
        "auc_to_cells": [auc for auc, _ in at_cells],
        "conc_at_cells_mg_l": [conc for _, conc in at_cells],
        "clearance_l_h": [prediction.clearance_l_h for prediction in predictions],
        "renal_fraction": [
            prediction.renal_fraction if model.program.has_renal_term else None
            for prediction, model in zip(predictions, models, strict=True)
        ],
        "half_life_h": [prediction.half_life_h for prediction in predictions],
        "auc_0_inf_unbound": [
            None if model.file.fu is None else prediction.auc_0_inf * model.file.fu
            for prediction, model in zip(predictions, models, strict=True)
        ],
    }
