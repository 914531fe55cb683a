"""A checked course as NONMEM-style records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fludapk.answers.check_records import CheckResult

EVENT_COLUMNS: Final = (
    "ID", "TIME", "AMT", "RATE", "EVID", "MDV", "CMT",
    "DOSE_MG", "AGE", "SEXF", "WT", "HT", "BSA", "SCR_MG_DL", "EGFR", "CRCL",
    "EGFR_MODEL", "CRCL_MODEL",
    "MODEL", "PRODUCT", "DIAGNOSIS", "GENOTYPE", "BSA_FORMULA", "EGFR_FORMULA", "CELLS_AT_H",
    "CONFIRM",
)  # fmt: skip
"""TIME h, AMT and RATE mg and mg/h of F-ara-A, DOSE_MG mg of fludarabine phosphate, AGE years, WT
kg, HT cm, BSA m2; the renal function that was given: SCR_MG_DL, EGFR mL/min/1.73 m2 or CRCL mL/min;
what the model made of it; then words, without which a list could not repeat the check."""


def events_csv(result: CheckResult) -> str:
    """A course as NONMEM-style records, one per infusion, so that other software can re-run it.

    `fludapk batch` reads them back and gives the same AUC.

    Parameters
    ----------
    result : CheckResult

    Returns
    -------
    str
        CSV with the columns `EVENT_COLUMNS`; what is not known is a dot.
    """
    p, course, patient = result.patient, result.regimen, result.prediction.case.patient
    factor = course.amount_f_ara_a_mg / course.total_mg
    female = None if p.sex is None else int(p.sex == "female")
    size = (p.age_years, female, p.weight_kg, p.height_cm, p.bsa_m2)
    of_model = (p.egfr_ml_min_1_73m2, p.crcl_ml_min)
    words = (
        *(result.model, p.product, p.diagnosis, p.genotype),
        *(p.bsa_formula, patient.egfr_formula, course.cells_at_h, "; ".join(p.confirmed) or None),
    )
    lines = [",".join(EVENT_COLUMNS)]
    for k, (time, dose) in enumerate(zip(course.times_h, course.doses_mg, strict=True)):
        amount = dose * factor
        renal = (*patient.renal_inputs, *of_model)
        if p.renal_at_doses is not None:  # what the model makes of a later value is not kept
            now = [None if x is None else p.renal_at_doses[k] for x in patient.renal_inputs]
            renal = (*now, *(of_model if k == 0 else (None, None)))
        rate = amount / course.infusion_h
        record = (1, time, amount, rate, 1, 1, 1, dose, *size, *renal, *words)
        lines.append(",".join(map(_cell, record)))
    return "\n".join(lines) + "\n"


def _cell(value: float | str | None) -> str:
    """Return a number with all its digits, a word as it is, a dot for what is not known."""
    if value is None:
        return "."
    return value if isinstance(value, str) else f"{value:.15g}"
