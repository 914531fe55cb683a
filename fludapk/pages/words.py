"""Sentences that several pages share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fludapk.answers.headline import NO_TARGET, Chances, auc_text, chance_sentence
from fludapk.answers.headline import percent as percent
from fludapk.language import SOURCE, language, marked, speaking, tr
from fludapk.pages.layout import table
from fludapk.published.course_files import TargetEntry
from fludapk.published.models import AVERAGED
from fludapk.published.targets import targets, verdict
from fludapk.units import CREATININE_UMOL_L_PER_MG_DL, MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.batch import Shown
    from fludapk.answers.check_records import (
        CheckResult,
        PatientRecord,
        RegimenRecord,
        TargetRecord,
    )
    from fludapk.answers.compare_records import CompareResult
    from fludapk.answers.headline import AnswerHeadline, Headline
    from fludapk.answers.record import Remark

MAX_NOTES: Final = 5
"""Notes on a page; stops and cautions are all there."""
STATUS_WORDS: Final = {
    "below": marked("below"),
    "within": marked("reached"),
    "above": marked("above"),
}
SEVERITY_WORDS: Final = {
    "stop": marked("STOP"),
    "caution": marked("! caution"),
    "note": marked("- note"),
}
DRUG: Final = "mg fludarabine phosphate"
ORIGINS: Final = (marked("given"), marked("from CrCl"), marked("from eGFR"))
"""Origins of a renal function that are no formula."""
SEXES: Final = (marked("female"), marked("male"))
LABELS: Final = marked("Dose by the labels' kidney rules (for comparison)")
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
        return tr("typical patient, averaged over models")
    return tr("typical patient by {model}", model=model)


def stop_lines(headline: AnswerHeadline) -> list[str]:
    """Word the reasons why no dose is proposed."""
    return [tr("STOP: {reason}", reason=reason) for reason in headline.stops]


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
        "" if low is None else f"< {tr('below {edge:g}', edge=low)}",
        f"= {tr('reached')}" if headline.optimum is None else "",
        "" if high is None else f"> {tr('above {edge:g}', edge=high)}",
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
        ("below", headline.p_below, tr("below") if low is None else tr("below {edge:g}", edge=low)),
        ("within", within, tr("reached")),
        (
            "above",
            headline.p_above,
            tr("above") if high is None else tr("above {edge:g}", edge=high),
        ),
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
    auc, interval = auc_of(headline), interval_text(headline)
    if not headline.target:
        return tr("AUC0-inf {auc} mg·h/L, {interval}, {by}", auc=auc, interval=interval, by=by)
    return tr(
        "AUC0-inf {auc} mg·h/L ({side}), {interval}, {by}",
        auc=auc,
        side=side(headline),
        interval=interval,
        by=by,
    )


def interval_text(headline: AnswerHeadline) -> str:
    """Word the 90 % interval."""
    interval = interval_of(headline)
    return tr("90 % interval {interval}", interval=interval) if interval else ""


def auc_of(headline: AnswerHeadline) -> str:
    """Write the AUC of a headline; empty if nothing is proposed."""
    return "" if headline.auc_0_inf is None else auc_text(headline.auc_0_inf)


def interval_of(headline: AnswerHeadline) -> str:
    """Write the interval of a headline; empty if nothing is proposed."""
    return "{:.1f}-{:.1f}".format(*headline.interval) if headline.interval else ""


def who(result: CheckResult | CompareResult) -> str:
    """Describe the patient in a line, with a kidney function that changes during the course."""
    patient = result.patient
    size = tr(
        "{age:.3g} y, {weight:.4g} kg, {height:.4g} cm",
        age=patient.age_years,
        weight=patient.weight_kg,
        height=patient.height_cm,
    )
    later = f"; {patient.renal_changes}" if patient.renal_changes else ""
    return f"{tr(patient.sex)}, {size}{later}" if patient.sex else f"{size}{later}"


def plan(result: CheckResult) -> str:
    """Describe the course in a line."""
    course = result.regimen
    planned = tr(
        "{regimen}: {dose:g} {unit} × {n} ({total:.0f} mg/m²), {hours:g}-h infusions",
        regimen=course.id,
        dose=course.dose,
        unit=typeset(course.dose_unit),
        n=len(course.doses_mg),
        total=course.total_mg_m2,
        hours=course.infusion_h,
    )
    return f"{planned}; {typeset(course.change)}" if course.change else planned


def kidney_and_size(patient: PatientRecord, *, short: bool = False) -> str:
    """Word creatinine, eGFR or clearance, and body surface area, as they were used.

    Parameters
    ----------
    patient : PatientRecord
    short : bool
        Leave out formulas and other units, where the calculation on the same page has them.
    """
    parts = []
    if patient.scr_mg_dl is not None:
        umol = patient.scr_mg_dl * CREATININE_UMOL_L_PER_MG_DL
        scr = tr("Creatinine {value:.3g} mg/dL", value=patient.scr_mg_dl)
        parts.append(_with(scr, [] if short else [f"{umol:.3g} µmol/L"]))
    if patient.egfr_ml_min_1_73m2 is not None:
        egfr = tr("eGFR {value:.0f} mL/min/1.73 m²", value=patient.egfr_ml_min_1_73m2)
        uncapped = patient.egfr_uncapped_ml_min_1_73m2
        capped = [tr("capped from {value:.0f}", value=uncapped)] if patient.egfr_capped else []
        full = _with(egfr, [tr(str(patient.egfr_formula)), *capped])
        parts.append(", ".join([egfr, *capped]) if short else full)
    if patient.crcl_ml_min is not None:
        crcl = tr("creatinine clearance {value:.0f} mL/min", value=patient.crcl_ml_min)
        formula = patient.crcl_formula
        parts.append(_with(crcl, [tr(formula)] if formula and not short else []))
    if short:
        parts.append(tr("BSA {value:.4g} m²", value=patient.bsa_m2))
    else:
        bsa = tr("body surface area {value:.4g} m²", value=patient.bsa_m2)
        parts.append(_with(bsa, [str(patient.bsa_formula)]))
    return "; ".join(parts)


def _with(text: str, inside: Sequence[str]) -> str:
    """Add what stands in brackets after a text."""
    return f"{text} ({', '.join(inside)})" if inside else text


def dose_lines(result: CheckResult, *, in_short: bool = False) -> list[str]:
    """Word the doses, and how they are drawn up if they were rounded.

    Parameters
    ----------
    result : CheckResult
    in_short : bool
        Leave out the mass as F-ara-A, which no syringe holds.
    """
    course = result.regimen
    volume = mg(course.volume_ml_per_dose)
    doses: dict[str, str] = {
        "dose": mg(course.doses_mg[0]),
        "course": _course_mass(course, in_short=in_short),
    }
    if course.round_to_mg is None:
        return [
            tr(
                "Per dose {dose} mg fludarabine phosphate ({volume} mL of {strength:g} mg/mL); "
                "{course}",
                volume=volume,
                strength=MG_PER_ML,
                **doses,
            )
        ]
    return [
        tr(
            "Per dose {dose} mg fludarabine phosphate; {course}",
            **doses,
        ),
        tr(
            "Rounded to {step:g} mg from {planned} mg: draw up {volume} mL ({strength:g} mg/mL), "
            "{vials} × {vial:g}-mg vial, {waste} mg waste per dose",
            step=course.round_to_mg,
            planned=mg(course.planned_dose_mg),
            volume=volume,
            strength=MG_PER_ML,
            vials=course.vials_per_dose,
            vial=VIAL_MG,
            waste=mg(course.waste_mg_per_dose),
        ),
    ]


def _course_mass(course: RegimenRecord, *, in_short: bool) -> str:
    total = mg(course.total_mg)
    if in_short:
        return tr("course {total} mg", total=total)
    amount = mg(course.amount_f_ara_a_mg)
    return tr("course {total} mg (= {amount} mg F-ara-A)", total=total, amount=amount)


def course_facts(result: CheckResult) -> str:
    """Word half-life, peak and the concentration when the cells are given."""
    exposure, course = result.exposure, result.regimen
    facts = [
        tr("terminal half-life {hours:.1f} h", hours=exposure.half_life_h),
        tr("Cmax {conc:.2f} mg/L", conc=exposure.cmax_mg_l),
    ]
    if exposure.conc_at_cells_mg_l is not None:
        at_cells = tr(
            "at cell infusion, {hours:g} h after the first dose, {conc} mg/L",
            hours=course.cells_at_h,
            conc=concentration(exposure.conc_at_cells_mg_l),
        )
        label = [tr("label: {advice}", advice=tr(course.cells))] if course.cells else []
        facts.append(_with(at_cells, label))
    return "; ".join(facts)


STANDING_WORDS: Final = {
    "stop": marked("{n} STOP"),
    "below": marked("{n} likeliest below their target"),
    "above": marked("{n} likeliest above"),
    "within": marked("{n} likeliest to reach it"),
    "no_target": marked("{n} without a target that fits"),
    "refused": marked("{n} refused"),
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
        tr(words, n=counts[standing])
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
    if years >= 2:
        return tr("{years:.3g} y", years=years)
    return tr("{months:.2g} mo", months=12 * years)


def row_cells(shown: Shown) -> tuple[str, str, str, str]:
    """Word the cells of a row of a list: stop and chance, AUC, interval, doses."""
    return (
        "; ".join([*stop_lines(shown.headline), _row_sentence(shown.headline)]),
        auc_of(shown.headline),
        interval_of(shown.headline),
        f"{shown.doses} × {mg(shown.dose_mg)} mg",
    )


def _row_sentence(headline: Headline) -> str:
    """Word the chance of a row in the language spoken here: results of lists are English."""
    if language() == SOURCE:
        return headline.sentence
    with speaking(SOURCE):
        english = _chance(headline)
    return headline.sentence.replace(english, _chance(headline))


def _chance(headline: Headline) -> str:
    if headline.target is None or headline.p_below is None or headline.p_above is None:
        return tr(NO_TARGET)
    chances = Chances(headline.p_below, headline.p_within or 0.0, headline.p_above)
    return chance_sentence(targets()[headline.target], chances)


def row_line(shown: Shown) -> str:
    """Word a row of a list: stop, chance, AUC."""
    chance, auc, interval, _ = row_cells(shown)
    return f"{chance}; AUC0-inf {auc} ({interval})"


def hash_name(name: str) -> str:
    """Word the name of a hash at the foot of a page: a kind, and an id after it.

    Examples
    --------
    >>> hash_name("model fabrizio2022"), hash_name("input")
    ('model fabrizio2022', 'input')
    """
    kind, _, of_which = name.partition(" ")
    return f"{tr(kind)} {of_which}".rstrip()


HASHES: Final = (
    marked("model"),
    marked("input"),
    marked("list"),
    marked("data"),
    marked("scenario"),
    marked("cohort"),
)


# ------------------------------------------------------------------ targets and remarks


def window(target: TargetRecord | TargetEntry) -> str:
    """Word the bounds of a target.

    Examples
    --------
    >>> [window(target) for target in targets().values()]
    ['≥ 13.8', '≥ 14', '18-20', 'about 20']
    """
    if target.optimum is not None:
        return tr("about {auc:g}", auc=target.optimum)
    if target.high is None:
        return f"≥ {target.low:g}"
    return f"{target.low:g}-{target.high:g}" if target.low is not None else f"≤ {target.high:g}"


def target_name(target: TargetRecord | TargetEntry) -> str:
    """Name a target with its window."""
    return f"{target.name}, {window(target)}"


def target_chances(target: TargetRecord) -> str:
    """Word the chances below, within and above a target, as far as it has bounds."""
    below, within, above = target.chances
    chances = [tr("below {percent}", percent=percent(below))]
    if target.p_within is not None:
        chances.append(tr("reached {percent}", percent=percent(within)))
    if target.high is not None or target.optimum is not None:
        chances.append(tr("above {percent}", percent=percent(above)))
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
    rows = [(tr(SEVERITY_WORDS[remark.severity]), remark.message) for remark in shown]
    if len(notes) > MAX_NOTES:
        rows.append(("", tr("and {n} more in --json", n=len(notes) - MAX_NOTES)))
    return table(rows, width) if rows else f"  {tr(NOTHING)}"


NOTHING: Final = marked("Nothing beyond the answer.")
