"""Sentences that several pages share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fludapk.answers.headline import auc_text
from fludapk.answers.headline import percent as percent
from fludapk.pages.layout import table
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import LOW, MET, targets, verdict
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.answers.batch import Shown
    from fludapk.answers.check_records import CheckResult, TargetRecord
    from fludapk.answers.headline import Headline
    from fludapk.answers.record import Remark

MAX_NOTES: Final = 5
"""Notes on a page; stops and cautions are all there."""
FLAG_WORDS: Final = {
    "below": f"below {LOW:g}",
    "borderline": f"{LOW:g} to {MET:g}",
    "met": f"{MET:g} or more",
}
STATUS_WORDS: Final = {"below": "below", "within": "reached", "above": "above"}
SEVERITY_WORDS: Final = {"stop": "STOP", "caution": "! caution", "note": "- note"}
DRUG: Final = "mg fludarabine phosphate"
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
    return _SQUARE_METRE.sub("m²", text).replace("umol/L", "µmol/L")


_SQUARE_METRE: Final = re.compile(r"(?<!\w)m2\b")


# ------------------------------------------------------------------ the answer


def stop_lines(headline: Headline) -> list[str]:
    """Reasons why no dose is proposed."""
    return [f"STOP: {reason}" for reason in headline.stops]


def chance_bar(headline: Headline, size: int = _BAR) -> str:
    """Draw the chances below, within and above as a bar of three signs; empty without a target.

    Examples
    --------
    >>> from fludapk.answers.headline import Chances, headline_of
    >>> window = headline_of([], targets()["scordo2023"], Chances(0.5, 0.2, 0.3), "langenhorst2019")
    >>> chance_bar(window, 20)
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


def chance_parts(headline: Headline) -> list[ChancePart]:
    """Parts of the bar of chances that are not empty; none without a target."""
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


def side(headline: Headline) -> str:
    """Side of the leading target on which the AUC is; empty without a target."""
    if headline.target is None:
        return ""
    return verdict(headline.auc_0_inf, targets()[headline.target])


def auc_line(headline: Headline, by: str) -> str:
    """Word the AUC with its side of the leading target, and its interval."""
    where = f" ({side(headline)})" if headline.target else ""
    auc = auc_text(headline.auc_0_inf)
    return f"AUC0-inf {auc} mg·h/L{where}, {interval_text(headline)}, {by}"


def interval_text(headline: Headline) -> str:
    """Word the 90 % interval."""
    low, high = headline.interval
    return f"90 % interval {low:.1f}-{high:.1f}"


def who(r: CheckResult) -> str:
    """The patient in a line."""
    p = r.patient
    size = f"{p.age_years:.3g} y, {p.weight_kg:.4g} kg, {p.height_cm:.4g} cm"
    return f"{p.sex}, {size}" if p.sex else size


def plan(r: CheckResult) -> str:
    """The course in a line."""
    course = r.regimen
    return (
        f"{course.id}: {course.dose:g} {typeset(course.dose_unit)} × {len(course.doses_mg)} "
        f"({course.total_mg_m2:.0f} mg/m²), {course.infusion_h:g}-h infusions"
        + (f"; {typeset(course.change)}" if course.change else "")
    )


def dose_lines(r: CheckResult) -> list[str]:
    """What is given, and how it is drawn up if it was rounded."""
    course = r.regimen
    lines = [
        f"Per dose {mg(course.doses_mg[0])} {DRUG}; course {mg(course.total_mg)} mg "
        f"(= {mg(course.amount_f_ara_a_mg)} mg F-ara-A)"
    ]
    if course.round_to_mg is not None:
        lines.append(
            f"Rounded to {course.round_to_mg:g} mg from {mg(course.planned_dose_mg)} mg: draw up "
            f"{mg(course.volume_ml_per_dose)} mL ({MG_PER_ML:g} mg/mL), {course.vials_per_dose} × "
            f"{VIAL_MG:g}-mg vial, {mg(course.waste_mg_per_dose)} mg waste per dose"
        )
    return lines


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
    """Cells of a row of a list: stop and chance, AUC, interval, doses."""
    low, high = shown.headline.interval
    return (
        "; ".join([*stop_lines(shown.headline), shown.headline.sentence]),
        auc_text(shown.headline.auc_0_inf),
        f"{low:.1f}-{high:.1f}",
        f"{shown.doses} × {mg(shown.dose_mg)} mg",
    )


def row_line(shown: Shown) -> str:
    """Word a row of a list: stop, chance, AUC."""
    chance, auc, interval, _ = row_cells(shown)
    return f"{chance}; AUC0-inf {auc} ({interval})"


# ------------------------------------------------------------------ targets and remarks


def window(t: TargetRecord | TargetEntry) -> str:
    """The bounds of a target in words."""
    if t.optimum is not None:
        return f"about {t.optimum:g}"
    if t.high is None:
        return f"≥ {t.low:g}"
    return f"{t.low:g}-{t.high:g}" if t.low is not None else f"≤ {t.high:g}"


def target_name(t: TargetRecord) -> str:
    """Name and window of a target."""
    return f"{t.name}, {window(t)}"


def target_chances(t: TargetRecord) -> str:
    """Chances of being below, within and above a target, as far as it has bounds."""
    chances = [f"below {percent(t.p_below)}"]
    if t.p_within is not None:
        chances.append(f"reached {percent(t.p_within)}")
    if t.high is not None or t.optimum is not None:
        chances.append(f"above {percent(t.p_above)}")
    return ", ".join(chances)


def remark_table(remarks: Sequence[Remark], width: int) -> str:
    """Remarks in columns: every stop and caution, and the first few notes."""
    notes = [remark for remark in remarks if remark.severity == "note"]
    shown = [*(remark for remark in remarks if remark.severity != "note"), *notes[:MAX_NOTES]]
    rows = [(SEVERITY_WORDS[remark.severity], remark.message) for remark in shown]
    if len(notes) > MAX_NOTES:
        rows.append(("", f"and {len(notes) - MAX_NOTES} more in --json"))
    return table(rows, width) if rows else "  Nothing beyond the answer."
