"""Notes on a check, each a rule of its own; see `fludapk.answers.check_remarks`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fludapk.answers.check_facts import CheckFacts, Rule
from fludapk.answers.check_records import SensitivityRecord
from fludapk.answers.clock_remarks import hours_counted
from fludapk.answers.record import Remark, note
from fludapk.language import tr
from fludapk.patients.renal_changes import described
from fludapk.published.regimens import practices


def infant_practice(facts: CheckFacts) -> Remark | None:
    """Note a practice of a centre at such a weight, beside the dose of a course by surface."""
    patient, (_, regimen, course) = facts.patient, facts.prediction.case
    practice = next((row for row in practices() if patient.weight_kg < row.below_kg), None)
    if practice is None or regimen.unit != "mg/m2":
        return None
    low, high = practice.dose_mg_kg
    weight, dose = patient.weight_kg, course.doses_mg[0]
    message = tr(
        "below {weight:g} kg {practice} gives {low:g}-{high:g} mg/kg, here "
        "{low_mg:.3g}-{high_mg:.3g} mg per dose; this one is {dose:.3g} mg, {dose_mg_kg:.2g} "
        "mg/kg. A published practice, not a rule; before CAR T cells none was found",
        weight=practice.below_kg,
        practice=tr(practice.title),
        low=low,
        high=high,
        low_mg=low * weight,
        high_mg=high * weight,
        dose=dose,
        dose_mg_kg=dose / weight,
    )
    return note("infant_practice", message, practice.source)


def other_reading(facts: CheckFacts) -> Remark | None:
    """Note what another reading of the same paper, kept for comparison, would give."""
    if facts.model.file.reading_of:
        return None
    areas = readings(row for row in facts.sensitivity if row.reading_of == facts.model.id)
    if not areas:
        return None
    message = tr(
        "the other reading of the paper, against the evidence, would give {areas}", areas=areas
    )
    return note("comparison_reading", message)


def readings(rows: Iterable[SensitivityRecord]) -> str:
    """Word the AUC by the readings of a paper that apply."""
    areas = ((row.model, row.auc_0_inf) for row in rows)
    return ", ".join(f"{model} {auc:.2f} mg·h/L" for model, auc in areas if auc is not None)


def bsa_capped(facts: CheckFacts) -> Remark | None:
    """Note that the body surface area was capped for the dose, as chosen."""
    regimen, bsa = facts.prediction.case.regimen, facts.patient.bsa_m2
    capped = regimen.capped(bsa)
    if regimen.unit != "mg/m2" or capped >= bsa:
        return None
    message = tr(
        "the dose is computed from {capped:g} m2, the cap that was chosen, and not from "
        "{bsa:.2f} m2: {capped_mg:.4g} mg instead of {full_mg:.4g} mg. Ceilings and mg/m2 go "
        "by the full area",
        capped=capped,
        bsa=bsa,
        capped_mg=regimen.dose * capped,
        full_mg=regimen.dose * bsa,
    )
    return note("bsa_cap", message)


def renal_converted(facts: CheckFacts) -> Remark | None:
    """Note that eGFR was computed from CrCl, or the other way round."""
    name = facts.model.renal_covariate
    if name is None or not (facts.prediction.origin or "").startswith("from"):
        return None
    other = "CrCl" if name == "eGFR" else "eGFR"
    message = tr(
        "{model} uses {name}: converted from the {other} given, with BSA",
        model=facts.model.id,
        name=name,
        other=other,
    )
    return note("renal_converted", message)


def units_converted(facts: CheckFacts) -> Remark | None:
    """Note which typed values were converted."""
    conversions = facts.patient.conversions()
    return note("units_converted", "; ".join(conversions)) if conversions else None


def regimen_unsettled(facts: CheckFacts) -> Remark | None:
    """Note what sources leave open about the regimen."""
    regimen = facts.prediction.case.regimen
    if not regimen.unsettled:
        return None
    message = tr(
        "{regimen}: not settled by our sources: {unsettled}",
        regimen=regimen.id,
        unsettled=tr(regimen.unsettled),
    )
    return note("regimen_unsettled", message)


def target_model(facts: CheckFacts) -> Remark | None:
    """Note what is not settled about the model that the leading target was found with."""
    target = facts.leading
    if target is None or target.derived_with_doubt is None:
        return None
    return note("target_model", f"{target.name}: {tr(target.derived_with_doubt)}", target.citation)


def no_target(facts: CheckFacts) -> Remark | None:
    """Note that no published target is for such patients."""
    if any(target.applies for target in facts.targets):
        return None
    return note("no_target", tr("no published target covers this disease, age and product"))


def no_iov(facts: CheckFacts) -> Remark | None:
    """Note that the interval lacks inter-occasion variability."""
    if facts.model.file.iov:
        return None
    message = tr(
        "{model} has no inter-occasion variability: its interval is narrower", model=facts.model.id
    )
    return note("no_iov", message)


def inferred_dose_basis(facts: CheckFacts) -> Remark | None:
    """Note that the substance of the doses is inferred from the paper."""
    dose = facts.model.file.dose
    if dose.basis != "inferred":
        return None
    message = tr(
        "{model}: mg phosphate × {factor:g} = mg F-ara-A is inferred, not printed in the paper",
        model=facts.model.id,
        factor=dose.factor,
    )
    return note("dose_basis", message)


def renal_changes(facts: CheckFacts) -> Remark | None:
    """Note which doses a renal function that changes counts for."""
    patient, course = facts.patient, facts.prediction.case.course
    key = patient.renal_key
    if key is None or not patient.renal_changes:
        return None
    starts = [
        next((start for start in course.times_h if start + 1e-9 >= time), None)
        for time, *_ in patient.renal_changes
    ]
    used = "; ".join(
        tr("{change} counts for no dose of this course", change=described(key, [change]))
        if start is None
        else tr(
            "{change} counts from the dose at {start:g} h",
            change=described(key, [change]),
            start=start,
        )
        for change, start in zip(patient.renal_changes, starts, strict=True)
    )
    return note(
        "renal_changes",
        tr("{changes}. Labels' rules go by the lowest function at any dose", changes=used),
    )


def gestational_age(facts: CheckFacts) -> Remark | None:
    """Note that a birth at term was assumed."""
    uses = {"PMA", "GA"} & facts.model.file.covariates.keys()
    if not uses or facts.patient.gestational_age_weeks is not None:
        return None
    return note(
        "gestational_age",
        tr("{model}: born at 40 weeks, as nothing else is given", model=facts.model.id),
    )


def repaired_matrix(facts: CheckFacts) -> Remark | None:
    """Note that a printed matrix of variability was moved within its rounding."""
    adjusted = facts.model.adjusted
    return note("repaired_matrix", f"{facts.model.id}: {'; '.join(adjusted)}") if adjusted else None


def hours_by_clock(facts: CheckFacts) -> Remark | None:
    """Note the hours that clock times of cells and of a renal function were read as."""
    cells = facts.prediction.case.regimen.cells_clock
    return hours_counted(facts.patient.renal_clocks, cells)


NOTES: Final[tuple[Rule, ...]] = (
    infant_practice,
    other_reading,
    bsa_capped,
    renal_converted,
    units_converted,
    regimen_unsettled,
    target_model,
    no_target,
    no_iov,
    inferred_dose_basis,
    renal_changes,
    gestational_age,
    repaired_matrix,
    hours_by_clock,
)
"""Rules whose remarks only explain."""
