"""A checked course as NONMEM-style records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fludapk.answers.check_records import CheckResult

EVENT_COLUMNS: Final = (
    "ID", "TIME", "AMT", "RATE", "EVID", "MDV", "CMT",
    "DOSE_MG", "AGE", "SEXF", "WT", "HT", "BSA", "SCR_MG_DL", "EGFR", "CRCL",
    "EGFR_MODEL", "CRCL_MODEL",
)  # fmt: skip
"""TIME h, AMT and RATE mg and mg/h of F-ara-A, DOSE_MG mg of fludarabine phosphate, AGE years, WT
kg, HT cm, BSA m2; the renal function that was given: SCR_MG_DL, EGFR mL/min/1.73 m2 or CRCL mL/min;
and what the model made of it."""


def events_csv(result: CheckResult) -> str:
    """A course as NONMEM-style records, one per infusion, so that other software can re-run it.

    Parameters
    ----------
    result : CheckResult

    Returns
    -------
    str
        CSV with the columns `EVENT_COLUMNS`; what is not known is a dot.
    """
    p, course = result.patient, result.regimen
    factor = course.amount_f_ara_a_mg / course.total_mg
    female = None if p.sex is None else int(p.sex == "female")
    covariates = (p.age_years, female, p.weight_kg, p.height_cm, p.bsa_m2)
    given: list[float | None] = [p.scr_mg_dl, None, None]
    if p.scr_mg_dl is None and p.crcl_ml_min is not None:
        given[2] = p.crcl_ml_min
    elif p.scr_mg_dl is None:
        given[1] = p.egfr_uncapped_ml_min_1_73m2
    of_model = [p.egfr_ml_min_1_73m2, p.crcl_ml_min]
    lines = [",".join(EVENT_COLUMNS)]
    for k, (time, dose) in enumerate(zip(course.times_h, course.doses_mg, strict=True)):
        amount = dose * factor
        renal = [*given, *of_model]
        if p.renal_at_doses is not None:  # what the model makes of a later value is not kept
            now = [None if x is None else p.renal_at_doses[k] for x in given]
            renal = [*now, *(of_model if k == 0 else (None, None))]
        record = (1, time, amount, amount / course.infusion_h, 1, 1, 1, dose, *covariates, *renal)
        lines.append(",".join("." if value is None else f"{value:.15g}" for value in record))
    return "\n".join(lines) + "\n"
