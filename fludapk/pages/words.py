"""Sentences that several pages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fludapk.pages.layout import table
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import LOW, MET
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.check_records import CheckResult, TargetRecord
    from fludapk.answers.record import Remark

MAX_WARNINGS: Final = 5
FLAG_WORDS: Final = {
    "below": f"BELOW {LOW:g}",
    "borderline": f"BORDERLINE, {LOW:g} to {MET:g}",
    "met": f"{MET:g} OR MORE",
}
AT_THE_TOP: Final = ("models_disagree", "models_disagree_target", "other_disease")
"""Warnings said with the answer and not again below; the first has a sentence of its own."""
DRUG = "mg fludarabine phosphate"


def percent(p: float) -> str:
    """A probability as a person reads it, never 0 % or 100 %.

    Examples
    --------
    >>> percent(0.517), percent(0.0), percent(0.9996)
    ('52 %', '< 1 %', '> 99 %')
    """
    return "< 1 %" if p < 0.01 else "> 99 %" if p > 0.99 else f"{100 * p:.0f} %"


def concentration(mg_l: float) -> str:
    """Four decimals of a concentration, or that it is less.

    Examples
    --------
    >>> concentration(0.00237), concentration(1e-7)
    ('0.0024', '< 0.0001')
    """
    return "< 0.0001" if mg_l < 5e-5 else f"{mg_l:.4f}"


def who(r: CheckResult) -> str:
    """The patient in a line."""
    p = r.patient
    size = f"{p.age_years:.3g} y, {p.weight_kg:.4g} kg, {p.height_cm:.4g} cm"
    return f"{p.sex}, {size}" if p.sex else size


def plan(r: CheckResult) -> str:
    """The course in a line."""
    course = r.regimen
    return (
        f"{course.id}: {course.dose:g} {course.dose_unit} × {len(course.doses_mg)} "
        f"({course.total_mg_m2:.0f} mg/m2), {course.infusion_h:g}-h infusions"
    )


def flag_chances(r: CheckResult) -> str:
    """Probabilities of the two thresholds of the flag."""
    by = {row.id: row.p_below for row in r.targets}
    return (
        f"Probability of < {LOW:g}: {percent(by['fabrizio2022'])}; of < {MET:g}: "
        f"{percent(by['dekker2022'])} (cumulative F-ara-A by {r.model})"
    )


def dose_lines(r: CheckResult) -> list[str]:
    """What is given, and how it is drawn up if it was rounded."""
    course = r.regimen
    lines = [
        f"Each dose {course.doses_mg[0]:.2f} {DRUG}; course {course.total_mg:.2f} mg "
        f"(= {course.amount_f_ara_a_mg:.2f} mg F-ara-A)"
    ]
    if course.round_to_mg is not None:
        lines.append(
            f"Rounded to {course.round_to_mg:g} mg from {course.planned_dose_mg:.2f} mg: draw up "
            f"{course.volume_ml_per_dose:.2f} mL ({MG_PER_ML:g} mg/mL), {course.vials_per_dose} × "
            f"{VIAL_MG:g}-mg vial, {course.waste_mg_per_dose:.1f} mg waste per dose"
        )
    return lines


def contested(r: CheckResult) -> list[str]:
    """What must be said with the answer."""
    said = [] if r.models_agree else [disagreement(r)]
    return said + [w.message for w in r.warnings if w.code in AT_THE_TOP[1:]]


def target_line(r: CheckResult) -> str:
    """Whose thresholds these are, for this patient."""
    applying = [f"{t.id} {window(t)}: {t.status.upper()}" for t in r.targets if t.applies]
    if applying:
        return f"Targets published for such patients: {'; '.join(applying)}"
    return f"No published target covers this patient ({LOW:g} and {MET:g}: r/r B-ALL, tisa-cel)"


def disagreement(r: CheckResult) -> str:
    """The disagreement in one plain sentence."""
    rivals = [row for row in r.sensitivity if row.applies and row.flag != r.flag]
    own = next((row.reading_of for row in r.sensitivity if row.model == r.model), None)
    readings = [row for row in rivals if row.reading_of == r.model or row.model == own]
    said = "; ".join(
        f"{row.model}: {row.auc_0_inf:.2f} mg·h/L, {FLAG_WORDS[row.flag]}"
        for row in rivals
        if row.auc_0_inf is not None and row.flag is not None
    )
    if rivals == readings:
        return f"THE TWO READINGS OF THIS PAPER DISAGREE about this patient. {said}."
    return f"MODELS DISAGREE about this patient. {said}."


def course_facts(r: CheckResult) -> str:
    """Half-life, peak and what is left when the cells are given."""
    e = r.exposure
    facts = [f"terminal half-life {e.half_life_h:.1f} h", f"Cmax {e.cmax_mg_l:.2f} mg/L"]
    if e.conc_at_cells_mg_l is not None:
        facts.append(
            f"at cell infusion, {r.regimen.cells_at_h:g} h after the first dose, "
            f"{concentration(e.conc_at_cells_mg_l)} mg/L"
            + (f" (label: {r.regimen.cells})" if r.regimen.cells else "")
        )
    return "; ".join(facts)


def window(t: TargetRecord | TargetEntry) -> str:
    """The bounds of a target in words."""
    if t.optimum is not None:
        return f"about {t.optimum:g}"
    if t.high is None:
        return f"≥ {t.low:g}"
    return f"{t.low:g}-{t.high:g}" if t.low is not None else f"≤ {t.high:g}"


def target_chances(t: TargetRecord) -> str:
    """Probabilities of being below, within and above a target, as far as it has bounds."""
    chances = [f"P(below) {percent(t.p_below)}"]
    if t.p_within is not None and t.high is not None:
        chances.append(f"P(within) {percent(t.p_within)}")
    if t.high is not None or t.optimum is not None:
        chances.append(f"P(above) {percent(t.p_above)}")
    return ", ".join(chances)


def remark_table(remarks: Sequence[Remark], width: int) -> str:
    """Remarks in columns, the first few."""
    words = {"caution": "! caution", "note": "- note"}
    rows = [(words[warning.level], warning.message) for warning in remarks[:MAX_WARNINGS]]
    if len(remarks) > MAX_WARNINGS:
        rows.append(("", f"and {len(remarks) - MAX_WARNINGS} more in --json"))
    return table(rows, width) if rows else "  None."


FLAG_TARGETS: Final = ("fabrizio2022", "dekker2022")
OTHERS: Final = "Published for others"


def target_name(t: TargetRecord) -> str:
    """Name and window of a target."""
    return f"{t.id} {window(t)}"
