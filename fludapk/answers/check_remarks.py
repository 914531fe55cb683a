"""Remarks on a check, each a rule of its own.

A rule looks at the facts of a check and returns a remark, or None where it does not apply. The
order of `RULES`, after the severity, is the order in which remarks are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fludapk.answers.check_facts import CheckFacts, Rule, advice_here, counts, other_disease
from fludapk.answers.check_notes import NOTES, readings
from fludapk.answers.clock_remarks import clocks_may_change
from fludapk.answers.headline import auc_text
from fludapk.answers.record import Remark, caution, stop, worst_first
from fludapk.language import tr
from fludapk.patients.course import NEUROTOXICITY, NEUROTOXICITY_MG_M2, ROUNDING_CAUTION
from fludapk.patients.fields import FIELDS, keyword
from fludapk.patients.plausible import bmi_kg_m2
from fludapk.published.targets import HIGH, side, verdict


def remarks_of(facts: CheckFacts, rules: Sequence[Rule] | None = None) -> list[Remark]:
    """Apply every rule; the worst first, and within a severity in the order of `RULES`."""
    return remarks_of_many([facts], RULES if rules is None else rules)[0]


def remarks_of_many(facts: Sequence[CheckFacts], rules: Sequence[Rule]) -> list[list[Remark]]:
    """Apply each rule to many checks before the next one; see `remarks_of`."""
    remarks: list[list[Remark]] = [[] for _ in facts]
    for rule in rules:
        for own, each in zip(remarks, facts, strict=True):
            if (remark := rule(each)) is not None:
                own.append(remark)
    return [worst_first(own) if len(own) > 1 else own for own in remarks]


# ------------------------------------------------------------------ stops


def label_contraindicated(facts: CheckFacts) -> Remark | None:
    """Stop if a label says not to give the drug at this kidney function."""
    refusing = [rule for rule in facts.label_rules if rule.refused]
    if not refusing:
        return None
    advice = "; ".join(advice_here(rule) for rule in refusing)
    return stop("label_renal", advice, "; ".join(dict.fromkeys(rule.source for rule in refusing)))


def given_above_ceiling(facts: CheckFacts) -> Remark | None:
    """Stop if doses that have been given pass a ceiling."""
    passed = facts.prediction.case.course.given_above_ceilings(facts.patient.bsa_m2)
    return stop("given_above_ceiling", passed) if passed else None


# ------------------------------------------------------------------ cautions


def replaced_model(facts: CheckFacts) -> Remark | None:
    """Warn of a model file that has the name of a shipped model and is another."""
    warning = facts.model.not_shipped
    if not warning:
        return None
    return caution(
        "not_the_shipped_model",
        tr("{warning}: numbers are those of a file of the user", warning=warning),
    )


def models_disagree(facts: CheckFacts) -> Remark | None:
    """Warn if another model puts the AUC on the other side of a limit of the leading target.

    Without a target that fits, the flag counts.
    """
    leading, own = facts.leading, side(facts.prediction.auc_0_inf, facts.leading)
    rivals = [
        tr(
            "{model}, built from {who}, expects {auc} mg·h/L: {side}",
            model=row.name,
            who=row.who,
            auc=auc_text(row.auc_0_inf),
            side=verdict(row.auc_0_inf, leading),
        )
        for row in facts.sensitivity
        if row.auc_0_inf is not None
        and counts(row)
        and row.model != facts.model.id
        and side(row.auc_0_inf, leading) != own
    ]
    return caution("models_disagree", "; ".join(rivals)) if rivals else None


def outside_studied_range(facts: CheckFacts) -> Remark | None:
    """Warn if a covariate is outside what the model was built from."""
    if not facts.prediction.outside:
        return None
    listed = ", ".join(map(str, facts.prediction.outside))
    message = tr("outside the population of {model}: {ranges}", model=facts.model.id, ranges=listed)
    return caution("outside_studied_range", message)


def disease_of_others(facts: CheckFacts) -> Remark | None:
    """Warn if the model was built from patients with another disease."""
    disease = other_disease(facts.model, facts.prediction.case)
    if disease is None:
        return None
    message = tr(
        "{model} was built from {who}, not from {disease}",
        model=facts.model.id,
        who=tr(facts.model.file.population.who),
        disease=disease,
    )
    return caution("other_disease", message)


def high_exposure(facts: CheckFacts) -> Remark | None:
    """Warn above the exposure with more toxicity."""
    if facts.prediction.auc_0_inf <= HIGH:
        return None
    message = tr(
        "AUC above {high:g} mg·h/L: more ICANS and non-relapse death (Scordo 2023), more "
        "non-relapse death (Langenhorst 2019b)",
        high=HIGH,
    )
    return caution("high_exposure", message)


def neurotoxicity(facts: CheckFacts) -> Remark | None:
    """Warn at daily doses near those that were neurotoxic."""
    daily_mg_m2 = facts.prediction.case.course.highest_daily_mg() / facts.patient.bsa_m2
    if daily_mg_m2 < NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        return None
    return caution(
        "neurotoxicity",
        tr(
            "{dose:.1f} mg/m2 a day; {neurotoxicity}",
            dose=daily_mg_m2,
            neurotoxicity=tr(NEUROTOXICITY),
        ),
    )


def rounding(facts: CheckFacts) -> Remark | None:
    """Warn if rounding changes the planned dose noticeably."""
    change = facts.prediction.case.course.rounding_change
    if abs(change) <= ROUNDING_CAUTION + 1e-12:
        return None
    return caution(
        "rounding",
        tr("rounding changes each dose by {percent:+.1f} % of the plan", percent=100 * change),
    )


def infant(facts: CheckFacts) -> Remark | None:
    """Warn below one year, where kidneys still mature."""
    if facts.patient.age_years >= 1:
        return None
    message = tr(
        "under 1 year: kidney maturation enters only through the eGFR cap; the studied range "
        "of the default model starts at 0.3 y and 4.3 kg"
    )
    return caution("infant", message)


def regimen_population(facts: CheckFacts) -> Remark | None:
    """Warn if the regimen is for another age."""
    regimen = facts.prediction.case.regimen
    if regimen.ages is None or regimen.ages[0] <= facts.patient.age_years < regimen.ages[1]:
        return None
    return caution(
        "regimen_population",
        tr("{regimen} is a course for {who}", regimen=regimen.id, who=tr(regimen.who)),
    )


def regimen_warning(facts: CheckFacts) -> Remark | None:
    """Warn of a doubt about the published course itself."""
    regimen = facts.prediction.case.regimen
    if not regimen.warning:
        return None
    return caution("regimen_warning", f"{regimen.id}: {tr(regimen.warning)}", regimen.source)


def unusual_weight(facts: CheckFacts) -> Remark | None:
    """Warn if the weight is far from what is usual at the age."""
    unusual = facts.patient.unusual("weight")
    return caution("unusual_for_age", unusual) if unusual else None


def unusual_height(facts: CheckFacts) -> Remark | None:
    """Warn if the height is far from what is usual at the age."""
    unusual = facts.patient.unusual("height")
    return caution("unusual_for_age", unusual) if unusual else None


def unknown_dose_basis(facts: CheckFacts) -> Remark | None:
    """Warn if the paper does not tell in mg of which substance its doses are."""
    dose, other = facts.model.file.dose, facts.prediction.auc_0_inf_other_basis
    if other is None:
        return None
    substance = "phosphate" if dose.factor < 1.0 else "F-ara-A"
    message = tr(
        "{model}: AUC from covariates {auc} mg·h/L as modelled, {other} if the paper fitted "
        "mg of {substance}. {evidence}",
        model=facts.model.id,
        auc=auc_text(facts.prediction.auc_0_inf),
        other=auc_text(other),
        substance=substance,
        evidence=tr(dose.evidence),
    )
    return caution("dose_basis", message)


def chosen_egfr_formula(facts: CheckFacts) -> Remark | None:
    """Warn if the eGFR is by a formula that the model was not built with."""
    formula = facts.patient.egfr_formula
    if formula is None:
        return None
    message = tr(
        "{formula} instead of the formula {model} was built with",
        formula=formula,
        model=facts.model.id,
    )
    return caution("egfr_formula", message)


def cells_over_clock_change(facts: CheckFacts) -> Remark | None:
    """Warn if clocks may change before the cell infusion or a change of the renal function."""
    cells = facts.prediction.case.regimen.cells_clock
    return clocks_may_change(facts.patient.renal_clocks, cells)


def confirmed_values(facts: CheckFacts) -> Remark | None:
    """Repeat which values look like a slip and were confirmed."""
    patient = facts.patient
    if not patient.confirmed:
        return None
    quantities = {key: patient.quantities[key] for key in map(keyword, patient.confirmed)}
    values = ", ".join(
        f"{tr(FIELDS[key].label)} {typed.given:g} {typed.unit}" for key, typed in quantities.items()
    )
    if "age_years" in quantities:
        return caution("confirmed", tr("confirmed: {values}", values=values))
    message = tr("confirmed: {values} at {age:.3g} y", values=values, age=patient.age_years)
    return caution("confirmed", message)


def very_low_creatinine(facts: CheckFacts) -> Remark | None:
    """Warn if creatinine is so low that it tells of muscle and not of the kidney."""
    name, free = facts.model.renal_covariate, facts.prediction.uncapped
    creatinine = facts.patient.scr_mg_dl
    if name is None or free is None or creatinine is None:
        return None
    used = facts.prediction.covariate(name)
    if used is None or free < FAR_ABOVE_CAP * used:
        return None
    message = tr(
        "creatinine {creatinine:.3g} mg/dL is very low: {name} by it is {value:.0f} {unit}, "
        "far above the model's highest of {highest:.0f}. So little creatinine tells of "
        "little muscle, not of the kidney: measure GFR or levels",
        creatinine=creatinine,
        name=name,
        value=free,
        unit=facts.model.file.covariates[name].unit,
        highest=used,
    )
    return caution("very_low_creatinine", message)


FAR_ABOVE_CAP: Final = 1.5
"""Multiple of the model's highest renal function from which creatinine does not tell it."""


def formula_near_switch(facts: CheckFacts) -> Remark | None:
    """Warn of what the other formula would give within a year of the age at which they change."""
    patient, switch = facts.patient, facts.prediction.switch
    if switch is None:
        return None
    auc, by_other = facts.prediction.auc_0_inf, facts.prediction.auc_by_other
    if abs(by_other / auc - 1.0) < NOTEWORTHY_JUMP:
        return None  # both above the model's highest renal function
    message = tr(
        "{model} changes from {below} to {above} at {age:g} y ({sex}): AUC {auc:.2f} mg·h/L "
        "by {used}, {by_other:.2f} by {other}",
        model=facts.model.id,
        below=switch.below,
        above=switch.above,
        age=switch.age_years,
        sex=tr(patient.sex or ""),
        auc=auc,
        used=switch.used,
        by_other=by_other,
        other=switch.other,
    )
    return caution("formula_switch", message)


NOTEWORTHY_JUMP: Final = 0.005
"""A smaller change of the AUC by the other formula is not told."""


def label_by_weight(facts: CheckFacts) -> Remark | None:
    """Warn if the advice of a label depends on the weight in Cockcroft-Gault."""
    rules = [rule for rule in facts.label_rules if len({row.advice for row in rule.by_weight}) > 1]
    if not rules:
        return None
    bmi = bmi_kg_m2(facts.patient.weight_kg, facts.patient.height_cm)
    weights = ", ".join(f"{tr(row.weight)} {row.weight_kg:.3g} kg" for row in rules[0].by_weight)
    message = tr(
        "body mass index {bmi:.0f} kg/m2: the advice of {rules} depends on the weight in "
        "Cockcroft-Gault ({weights})",
        bmi=bmi,
        rules=", ".join(rule.title for rule in rules),
        weights=weights,
    )
    return caution("label_by_weight", message)


def cells_before_last_dose(facts: CheckFacts) -> Remark | None:
    """Warn if the cells would be given before the last infusion ends."""
    course, cells_h = facts.prediction.case.course, facts.prediction.case.regimen.cells_at_h
    end_h = course.times_h[-1] + course.infusion_h[-1]
    if cells_h is None or cells_h >= end_h:
        return None
    message = tr(
        "cells {cells:g} h after the first dose are given before the last infusion ends, at "
        "{end:g} h: check the time",
        cells=cells_h,
        end=end_h,
    )
    return caution("cells_before_last_dose", message)


def comparison_reading(facts: CheckFacts) -> Remark | None:
    """Warn if a reading of a paper was chosen that is kept for comparison."""
    evident = facts.model.file.reading_of
    if not evident:
        return None
    message = tr(
        "{model} is a reading kept for comparison; the evidence is for {areas}",
        model=facts.model.id,
        areas=readings(row for row in facts.sensitivity if row.model == evident),
    )
    return caution("comparison_reading", message)


WARNINGS: Final[tuple[Rule, ...]] = (
    label_contraindicated,
    given_above_ceiling,
    replaced_model,
    models_disagree,
    outside_studied_range,
    disease_of_others,
    high_exposure,
    neurotoxicity,
    rounding,
    infant,
    regimen_population,
    regimen_warning,
    unusual_weight,
    unusual_height,
    unknown_dose_basis,
    chosen_egfr_formula,
    cells_over_clock_change,
    confirmed_values,
    very_low_creatinine,
    formula_near_switch,
    label_by_weight,
    cells_before_last_dose,
    comparison_reading,
)
"""Rules up to the last that may stop or caution; these need no facts about targets."""
RULES: Final = (*WARNINGS, *NOTES)
