"""The calculation of a check, step by step, for a second person."""

from __future__ import annotations

import numpy as np

from fludapk.answers.prediction import Prediction
from fludapk.language import marked, tr
from fludapk.patients.regimen import Regimen
from fludapk.pk.exposure import individual_parameters
from fludapk.published.covariates import Step, arithmetic
from fludapk.published.equations import equation
from fludapk.units import as_typed


def trail_of(prediction: Prediction) -> list[Step]:
    """List the calculation for a second person, in order."""
    model, (patient, regimen, course) = prediction.model, prediction.case
    auc = prediction.auc_0_inf
    dose, n = course.doses_mg[0], len(course.doses_mg)
    size = {"HT": np.array([patient.height_cm]), "WT": np.array([patient.weight_kg])}
    how_bsa = arithmetic(patient.bsa_formula, size)
    bsa_of_dose = regimen.capped(patient.bsa_m2)
    per = {
        "mg/m2": f"{regimen.dose:g} mg/m2 × {bsa_of_dose:.4f} m2",
        "mg/kg": f"{regimen.dose:g} mg/kg × {patient.weight_kg:g} kg",
        "mg": tr("as prescribed"),
    }[regimen.unit]
    if course.planned_mg is not None and course.planned_mg != dose:
        per = tr("{how} = {mg} mg, rounded", how=per, mg=_decimals(course.planned_mg))
    amount = course.total_mg * model.file.dose_factor
    clearance = float(prediction.tv[0, 0])
    split = ""
    if model.program.has_renal_term:
        renal = clearance * prediction.renal_fraction
        split = tr(
            " = non-renal {other:.3f} + renal {renal:.3f}", other=clearance - renal, renal=renal
        )
    return [
        Step("BSA", patient.bsa_m2, "m2", patient.bsa_formula, how_bsa),
        *_capped(regimen, bsa_of_dose, patient.bsa_m2),
        Step(marked("dose"), dose, tr("mg fludarabine phosphate"), "", per),
        Step(
            marked("course"),
            course.total_mg,
            tr("mg fludarabine phosphate"),
            "",
            f"{n} × {_decimals(dose)} mg",
        ),
        Step(marked("amount"), amount, "mg F-ara-A", "", _conversion(prediction)),
        *prediction.steps,
        Step("CL", clearance, "L/h", "", equation(model, "CL", prediction.values) + split),
        *_later_clearances(prediction),
        Step("AUC0-inf", auc, "mg·h/L", "", _area(prediction, amount)),
        *_unbound(prediction),
    ]


def _later_clearances(prediction: Prediction) -> list[Step]:
    """Return the clearances of later doses, where they change."""
    if not prediction.changes:
        return []
    course = prediction.case.course
    times = np.array(course.times_h)
    program = prediction.model.program
    own = individual_parameters(program, prediction.typical_values, prediction.no_effects, times)[
        0, :, 0
    ]
    return [
        Step("CL", float(own[k]), "L/h", "", tr("from the dose at {time:g} h", time=times[k]))
        for k in range(1, len(times))
        if own[k] != own[k - 1]
    ]


def _area(prediction: Prediction, amount: float) -> str:
    """Word how the area follows from the amount and clearance, or from those of every dose."""
    if prediction.changes:
        areas = (f"{area:.3g}" for area in prediction.typical.auc_per_dose[0])
        return tr("from each dose to the next: {areas}", areas=" + ".join(areas))
    return tr(
        "amount / CL = {mg} mg / {clearance:.4g} L/h",
        mg=_decimals(amount),
        clearance=float(prediction.tv[0, 0]),
    )


def _unbound(prediction: Prediction) -> list[Step]:
    """Return the area of unbound drug, if the model knows its fraction."""
    fu = prediction.model.file.fu
    if fu is None:
        return []
    auc = prediction.auc_0_inf
    return [Step(marked("AUC unbound"), auc * fu, "mg·h/L", "", f"{auc:.4g} mg·h/L × {fu:g}")]


def _conversion(prediction: Prediction) -> str:
    """Word the conversion from mg prescribed to the amount in the model."""
    file, total = prediction.model.file, _decimals(prediction.case.course.total_mg)
    if file.dose_factor == file.dose.factor:
        return f"{total} mg × {file.dose.factor:g}"
    return tr(
        "{mg} mg × {factor:g} / {fu:g} unbound", mg=total, factor=file.dose.factor, fu=file.fu
    )


def _decimals(mg: float) -> str:
    """Write mg with up to two decimals: 60.00 has been read as 6000."""
    return as_typed(round(mg, 2))


def _capped(regimen: Regimen, bsa_of_dose: float, bsa_m2: float) -> list[Step]:
    """Return the step that caps the body surface area, where the cap counts."""
    if regimen.unit != "mg/m2" or bsa_of_dose >= bsa_m2:
        return []
    return [Step("BSA", bsa_of_dose, "m2", tr("cap"), tr("as chosen, for the dose only"))]
