"""Sentences that several pages share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fludapk.answers.headline import auc_text
from fludapk.answers.headline import percent as percent
from fludapk.pages.layout import table
from fludapk.published.course_files import TargetEntry
from fludapk.published.models import AVERAGED
from fludapk.published.targets import targets, verdict
from fludapk.units import CREATININE_UMOL_L_PER_MG_DL, MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.batch import Shown
    from fludapk.answers.check_records import CheckResult, PatientRecord, TargetRecord
    from fludapk.answers.compare_records import CompareResult
    from fludapk.answers.headline import AnswerHeadline
    from fludapk.answers.record import Remark

MAX_NOTES: Final = 5
"""Notes on a page; stops and cautions are all there."""
STATUS_WORDS: Final = {"below": "below", "within": "reached", "above": "above"}
SEVERITY_WORDS: Final = {"stop": "STOP", "caution": "! caution", "note": "- note"}
DRUG: Final = "mg fludarabine phosphate"
LABELS: Final = "Dose by the labels' kidney rules (for comparison)"
"""Title of the rules of labels."""
_BAR: Final = 48
"""Characters of the bar of chances."""


# ------------------------------------------------------------------ numbers


def mg(value: float) -> str:
    """Write a dose without trailing zeros, which have been read as ten times the dose.

    Examples
    --------
    >>> mg(28.0), mg(22.366), mg(0.0)
    ('28', '22.37', '0')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def concentration(mg_l: float) -> str:
    """Write a concentration with four decimals, or that it is less.

    Examples
    --------
    >>> concentration(0.00237), concentration(1e-7)
    ('0.0024', '< 0.0001')
    """
    return "< 0.0001" if mg_l < 5e-5 else f"{mg_l:.4f}"


def typeset(text: str) -> str:
    """Write units as in print.

    Examples
    --------
    >>> typeset("30 mg/m2, 90 mL/min/1.73 m2, 26.5 umol/L")
    '30 mg/m², 90 mL/min/1.73 m², 26.5 µmol/L'
    """
    return _SQUARE_METRE.sub("m²", text).replace("umol/L", "µmol/L").replace("ug/L", "µg/L")


_SQUARE_METRE: Final = re.compile(r"(?<!\w)m2\b")


# ------------------------------------------------------------------ the answer


def typical_by(model: str) -> str:
    """Say whose AUC is shown.

    Examples
    --------
    >>> typical_by("varela2025"), typical_by("averaged")
    ('typical patient by varela2025', 'typical patient, averaged over models')
    """
    if model == AVERAGED:
        return "typical patient, averaged over models"
    return f"typical patient by {model}"


def stop_lines(headline: AnswerHeadline) -> list[str]:
    """Word the reasons why no dose is proposed."""
    return [f"STOP: {reason}" for reason in headline.stops]


def chance_bar(headline: AnswerHeadline, size: int = _BAR) -> str:
    """Draw the chances below, within and above as a bar of three signs; empty without a target.

    Parameters
    ----------
    headline : AnswerHeadline
    size : int
        Characters of the bar.

    Examples
    --------
    >>> import numpy as np
    >>> from fludapk.answers.headline import Simulated, headline_of
    >>> auc = Simulated("langenhorst2019", 18.0, np.repeat([16.0, 19.0, 24.0], [5, 2, 3]))
    >>> chance_bar(headline_of([], targets()["scordo2023"], auc), 20)
    '<<<<<<<<<<====>>>>>>  < below 18   = reached   > above 20'
    """
    if headline.p_below is None or headline.p_above is None:
        return ""
    below = round(size * headline.p_below)
    above = min(round(size * headline.p_above), size - below)
    low, high = headline.low or headline.optimum, headline.high or headline.optimum
    key = [
        f"< below {low:g}" if low is not None else "",
        "= reached" if headline.optimum is None else "",
        f"> above {high:g}" if high is not None else "",
    ]
    bar = "<" * below + "=" * (size - below - above) + ">" * above
    return f"{bar}  {'   '.join(part for part in key if part)}"


class ChancePart(NamedTuple):
    """A part of the bar of chances."""

    kind: str
    """Hatched below, plain reached, cross-hatched above."""
    percent: float
    label: str


def chance_parts(headline: AnswerHeadline) -> list[ChancePart]:
    """Divide the bar of chances into parts that are not empty; none without a target."""
    if headline.p_below is None or headline.p_above is None:
        return []
    low, high = headline.low or headline.optimum, headline.high or headline.optimum
    within = 1.0 - headline.p_below - headline.p_above
    parts = (
        ("below", headline.p_below, f"below {low:g}" if low is not None else "below"),
        ("within", within, "reached"),
        ("above", headline.p_above, f"above {high:g}" if high is not None else "above"),
    )
    return [
        ChancePart(kind, round(100 * p, 1), f"{label}: {percent(p)}")
        for kind, p, label in parts
        if p >= 0.005
    ]


def side(headline: AnswerHeadline) -> str:
    """Name the side of the leading target on which the AUC is; empty without a target."""
    if headline.target is None or headline.auc_0_inf is None:
        return ""
    return verdict(headline.auc_0_inf, targets()[headline.target])


def auc_line(headline: AnswerHeadline, by: str) -> str:
    """Word the AUC with its side of the leading target, and its interval.

    Parameters
    ----------
    headline : AnswerHeadline
    by : str
        The patient and the model it is of, ``"typical patient by langenhorst2019"``.
    """
    where = f" ({side(headline)})" if headline.target else ""
    return f"AUC0-inf {auc_of(headline)} mg·h/L{where}, {interval_text(headline)}, {by}"


def interval_text(headline: AnswerHeadline) -> str:
    """Word the 90 % interval."""
    return f"90 % interval {interval_of(headline)}" if headline.interval else ""


def auc_of(headline: AnswerHeadline) -> str:
    """Write the AUC of a headline; empty if nothing is proposed."""
    return "" if headline.auc_0_inf is None else auc_text(headline.auc_0_inf)


def interval_of(headline: AnswerHeadline) -> str:
    """Write the interval of a headline; empty if nothing is proposed."""
    return "{:.1f}-{:.1f}".format(*headline.interval) if headline.interval else ""


def who(result: CheckResult | CompareResult) -> str:
    """Describe the patient in a line, with a kidney function that changes during the course."""
    patient = result.patient
    size = f"{patient.age_years:.3g} y, {patient.weight_kg:.4g} kg, {patient.height_cm:.4g} cm"
    later = f"; {patient.renal_changes}" if patient.renal_changes else ""
    return f"{patient.sex}, {size}{later}" if patient.sex else f"{size}{later}"


def plan(result: CheckResult) -> str:
    """Describe the course in a line."""
    course = result.regimen
    return (
        f"{course.id}: {course.dose:g} {typeset(course.dose_unit)} × {len(course.doses_mg)} "
        f"({course.total_mg_m2:.0f} mg/m²), {course.infusion_h:g}-h infusions"
        + (f"; {typeset(course.change)}" if course.change else "")
    )


def kidney_and_size(patient: PatientRecord) -> str:
    """Word creatinine, eGFR or clearance, and body surface area, as they were used."""
    parts = []
    if patient.scr_mg_dl is not None:
        umol = patient.scr_mg_dl * CREATININE_UMOL_L_PER_MG_DL
        parts.append(f"Creatinine {patient.scr_mg_dl:.3g} mg/dL ({umol:.3g} µmol/L)")
    egfr = patient.egfr_ml_min_1_73m2
    if egfr is not None:
        uncapped = patient.egfr_uncapped_ml_min_1_73m2
        capped = f", capped from {uncapped:.0f}" if patient.egfr_capped else ""
        parts.append(f"eGFR {egfr:.0f} mL/min/1.73 m² ({patient.egfr_formula}{capped})")
    if patient.crcl_ml_min is not None:
        by = f" ({patient.crcl_formula})" if patient.crcl_formula else ""
        parts.append(f"creatinine clearance {patient.crcl_ml_min:.0f} mL/min{by}")
    parts.append(f"body surface area {patient.bsa_m2:.4g} m² ({patient.bsa_formula})")
    return "; ".join(parts)


def dose_lines(result: CheckResult, *, in_short: bool = False) -> list[str]:
    """Word the doses, and how they are drawn up if they were rounded.

    Parameters
    ----------
    result : CheckResult
    in_short : bool
        Leave out the mass as F-ara-A, which no syringe holds.
    """
    course = result.regimen
    volume = f" ({mg(course.volume_ml_per_dose)} mL of {MG_PER_ML:g} mg/mL)"
    lines = [
        f"Per dose {mg(course.doses_mg[0])} {DRUG}{volume if course.round_to_mg is None else ''}; "
        f"course {mg(course.total_mg)} mg"
        + ("" if in_short else f" (= {mg(course.amount_f_ara_a_mg)} mg F-ara-A)")
    ]
    if course.round_to_mg is not None:
        lines.append(
            f"Rounded to {course.round_to_mg:g} mg from {mg(course.planned_dose_mg)} mg: draw up "
            f"{mg(course.volume_ml_per_dose)} mL ({MG_PER_ML:g} mg/mL), {course.vials_per_dose} × "
            f"{VIAL_MG:g}-mg vial, {mg(course.waste_mg_per_dose)} mg waste per dose"
        )
    return lines


def course_facts(result: CheckResult) -> str:
    """Word half-life, peak and the concentration when the cells are given."""
    exposure = result.exposure
    facts = [
        f"terminal half-life {exposure.half_life_h:.1f} h",
        f"Cmax {exposure.cmax_mg_l:.2f} mg/L",
    ]
    if exposure.conc_at_cells_mg_l is not None:
        facts.append(
            f"at cell infusion, {result.regimen.cells_at_h:g} h after the first dose, "
            f"{concentration(exposure.conc_at_cells_mg_l)} mg/L"
            + (f" (label: {result.regimen.cells})" if result.regimen.cells else "")
        )
    return "; ".join(facts)


STANDING_WORDS: Final = {
    "stop": "STOP",
    "below": "likelier below their target than not",
    "above": "likelier above",
    "within": "likeliest to reach it",
    "no_target": "without a target that fits",
    "refused": "refused",
}
"""Counts of a list, the worst first."""


def counts_line(counts: Mapping[str, int]) -> str:
    """Count the rows of a list by where they stand.

    Examples
    --------
    >>> counts_line({"within": 3, "stop": 1, "refused": 1})
    '1 STOP, 3 likeliest to reach it, 1 refused'
    """
    return ", ".join(
        f"{counts[standing]} {words}"
        for standing, words in STANDING_WORDS.items()
        if counts.get(standing)
    )


def age_text(years: float | None) -> str:
    """An age as people say it.

    Examples
    --------
    >>> age_text(5.0), age_text(0.667), age_text(None)
    ('5 y', '8 mo', '')
    """
    if years is None:
        return ""
    return f"{years:.3g} y" if years >= 2 else f"{12 * years:.2g} mo"


def row_cells(shown: Shown) -> tuple[str, str, str, str]:
    """Word the cells of a row of a list: stop and chance, AUC, interval, doses."""
    return (
        "; ".join([*stop_lines(shown.headline), shown.headline.sentence]),
        auc_of(shown.headline),
        interval_of(shown.headline),
        f"{shown.doses} × {mg(shown.dose_mg)} mg",
    )


def row_line(shown: Shown) -> str:
    """Word a row of a list: stop, chance, AUC."""
    chance, auc, interval, _ = row_cells(shown)
    return f"{chance}; AUC0-inf {auc} ({interval})"


# ------------------------------------------------------------------ targets and remarks


def window(target: TargetRecord | TargetEntry) -> str:
    """Word the bounds of a target.

    Examples
    --------
    >>> [window(target) for target in targets().values()]
    ['≥ 13.8', '≥ 14', '18-20', 'about 20']
    """
    if target.optimum is not None:
        return f"about {target.optimum:g}"
    if target.high is None:
        return f"≥ {target.low:g}"
    return f"{target.low:g}-{target.high:g}" if target.low is not None else f"≤ {target.high:g}"


def target_name(target: TargetRecord | TargetEntry) -> str:
    """Name a target with its window."""
    return f"{target.name}, {window(target)}"


def target_chances(target: TargetRecord) -> str:
    """Word the chances below, within and above a target, as far as it has bounds."""
    below, within, above = target.chances
    chances = [f"below {percent(below)}"]
    if target.p_within is not None:
        chances.append(f"reached {percent(within)}")
    if target.high is not None or target.optimum is not None:
        chances.append(f"above {percent(above)}")
    return ", ".join(chances)


def remark_table(remarks: Sequence[Remark], width: int) -> str:
    """Set remarks in columns: every stop and caution, and the first few notes.

    Parameters
    ----------
    remarks : sequence of Remark
        The worst first.
    width : int
        Characters of a line.
    """
    notes = [remark for remark in remarks if remark.severity == "note"]
    shown = [*(remark for remark in remarks if remark.severity != "note"), *notes[:MAX_NOTES]]
    rows = [(SEVERITY_WORDS[remark.severity], remark.message) for remark in shown]
    if len(notes) > MAX_NOTES:
        rows.append(("", f"and {len(notes) - MAX_NOTES} more in --json"))
    return table(rows, width) if rows else "  Nothing beyond the answer."
