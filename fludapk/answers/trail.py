"""The calculation of a check, step by step, for a second person."""

from __future__ import annotations

from fludapk.answers.prediction import Prediction
from fludapk.patients.regimen import Regimen
from fludapk.published.covariates import Step, evaluate
from fludapk.published.equations import equation
from fludapk.units import as_typed


def trail_of(prediction: Prediction) -> list[Step]:
    """List the calculation for a second person, in order."""
    model, (patient, regimen, course) = prediction.model, prediction.case
    auc = prediction.auc_0_inf
    dose, n = course.doses_mg[0], len(course.doses_mg)
    how_bsa = evaluate(patient.bsa_formula, patient.columns())[1]
    bsa_of_dose = regimen.capped(patient.bsa_m2)
    per = {
        "mg/m2": f"{regimen.dose:g} mg/m2 × {bsa_of_dose:.4f} m2",
        "mg/kg": f"{regimen.dose:g} mg/kg × {patient.weight_kg:g} kg",
        "mg": "as prescribed",
    }[regimen.unit]
    if course.planned_mg is not None and course.planned_mg != dose:
        per += f" = {_decimals(course.planned_mg)} mg, rounded"
    factor = model.file.dose_factor
    amount = course.total_mg * factor
    clearance = float(prediction.tv[0, 0])
    split = ""
    if model.program.has_renal_term:
        renal = clearance * prediction.renal_fraction
        split = f" = non-renal {clearance - renal:.3f} + renal {renal:.3f}"
    return [
        Step("BSA", patient.bsa_m2, "m2", patient.bsa_formula, how_bsa),
        *_capped(regimen, bsa_of_dose, patient.bsa_m2),
        Step("dose", dose, "mg fludarabine phosphate", "", per),
        Step(
            "course", course.total_mg, "mg fludarabine phosphate", "", f"{n} × {_decimals(dose)} mg"
        ),
        Step("amount", amount, "mg F-ara-A", "", f"{_decimals(course.total_mg)} mg × {factor:g}"),
        *prediction.steps,
        Step("CL", clearance, "L/h", "", equation(model, "CL", prediction.values) + split),
        Step(
            "AUC0-inf",
            auc,
            "mg·h/L",
            "",
            f"amount / CL = {_decimals(amount)} mg / {clearance:.4g} L/h",
        ),
    ]


def _decimals(mg: float) -> str:
    """Write mg with up to two decimals: 60.00 has been read as 6000."""
    return as_typed(round(mg, 2))


def _capped(regimen: Regimen, bsa_of_dose: float, bsa_m2: float) -> list[Step]:
    """Return the step that caps the body surface area, where the cap counts."""
    if regimen.unit != "mg/m2" or bsa_of_dose >= bsa_m2:
        return []
    return [Step("BSA", bsa_of_dose, "m2", "cap", "as chosen, for the dose only")]
