"""What a person reads in a terminal: the answer first, then how to re-derive it.

Every function returns plain text for a given width; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from fludapk.checking import (
    DISCLAIMER,
    CheckResult,
    LabelRecord,
    Remark,
    SensitivityRecord,
    TargetRecord,
)
from fludapk.published.course_files import TargetEntry
from fludapk.published.equations import equation
from fludapk.published.model_files import RandomEffect, ResidualError, Theta
from fludapk.published.models import DEFAULT_MODEL, Model
from fludapk.published.regimens import label_rules, regimens
from fludapk.published.targets import LOW, MET, targets
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.dosing import DoseResult, Proposal
    from fludapk.evaluation import ErrorRecord, EvaluationRecord
    from fludapk.sampling import Design, Schedule
    from fludapk.updating import LevelRecord, UpdateResult
    from fludapk.verify import Verified  # imports scipy

MAX_WARNINGS: Final = 5
FLAG_WORDS: Final = {
    "below": f"BELOW {LOW:g}",
    "borderline": f"BORDERLINE, {LOW:g} to {MET:g}",
    "met": f"{MET:g} OR MORE",
}
AT_THE_TOP: Final = ("models_disagree", "models_disagree_target", "other_disease")
"""Warnings said with the answer and not again below; the first has a sentence of its own."""
NO_ANSWER: Final = "the models disagree. Each model's dose is below."
_DRUG = "mg fludarabine phosphate"
_LEAST_COLUMN = 20


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


def paragraph(text: str, width: int, indent: int = 0) -> str:
    """Text wrapped to a width, every line indented."""
    margin = " " * indent
    lines = wrap(text, width, initial_indent=margin, subsequent_indent=margin)
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]], width: int, *, indent: int = 2, right: str = "") -> str:
    """Rows in columns two blanks apart; the last column takes what is left and wraps.

    Parameters
    ----------
    rows : sequence of sequences of str
    width, indent : int
    right : str
        Numbers of the columns to align to the right.

    Examples
    --------
    >>> print(table([["CL", "5.145", "L/h"], ["V1", "10", "L"]], 40, right="1"))
      CL  5.145  L/h
      V1     10  L
    """
    sizes = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)][:-1]
    left = width - indent - sum(sizes) - 2 * len(sizes)
    out = []
    for row in rows:
        cells = [
            cell.rjust(size) if str(number) in right else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(row, sizes, strict=False))
        ]
        head = " " * indent + "".join(cell + "  " for cell in cells)
        last = wrap(row[-1], max(left, _LEAST_COLUMN)) or [""]
        out += [(head + last[0]).rstrip(), *(" " * len(head) + line for line in last[1:])]
    return "\n".join(out)


def check_page(result: CheckResult, width: int) -> str:
    """One patient on one page."""
    sections = {
        "How (re-derive by hand)": _trail(result, width),
        "Targets: published thresholds on AUC0-inf, mg·h/L": _targets(result, width),
        "Models": _models(result, width),
        "Renal rules of labels (beside the model, never instead)": _labels(result, width),
        "Warnings": _warnings(result, width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items()]
    return "\n\n".join([*_answer(result, width), *body, _footer(result, width)])


def _answer(r: CheckResult, width: int) -> Iterable[str]:
    low, high = r.exposure.auc_0_inf_pi90
    yield paragraph(f"{who(r)} | {plan(r)}", width)
    lines = [
        f"AUC0-inf {r.exposure.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[r.flag]} ]",
        flag_chances(r),
        target_line(r),
        *dose_lines(r),
    ]
    yield "\n".join(line if len(line) <= width else paragraph(line, width) for line in lines)
    said = [f"!! {text}" for text in contested(r)] + ([r.reading_note] if r.reading_note else [])
    if said:
        yield "\n".join(paragraph(text, width) for text in said)


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
        f"Each dose {course.doses_mg[0]:.2f} {_DRUG}; course {course.total_mg:.2f} mg "
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


def _trail(r: CheckResult, width: int) -> str:
    rows = [
        (
            step.name,
            f"{step.value:.4g}",
            step.unit,
            ": ".join(part for part in (step.by, step.how) if part),
        )
        for step in r.trail
    ]
    return f"{table(rows, width, right='1')}\n{paragraph(course_facts(r), width, 2)}"


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


def _targets(r: CheckResult, width: int) -> str:
    rows = []
    for t in r.targets:
        if t.applies:
            about = f"{target_chances(t)}. {t.context}. {t.finding}."
            rows.append((t.id, window(t), t.status.upper(), about))
    parts = [table(rows, width)] if rows else ["  None applies to this patient."]
    others = [
        f"{t.id} ({window(t)}: {t.context.split(';')[0]})" for t in r.targets if not t.applies
    ]
    if others:
        parts.append(paragraph(f"Published for others: {'; '.join(others)}", width, 2))
    return "\n".join(parts)


def _models(r: CheckResult, width: int) -> str:
    rows = [
        (
            row.model,
            "" if row.auc_0_inf is None else f"{row.auc_0_inf:.2f}",
            row.flag or "",
            about_model(row, r),
        )
        for row in r.sensitivity
    ]
    return table(rows, width, right="1")


def about_model(row: SensitivityRecord, r: CheckResult) -> str:
    """What a row of the models says beside its AUC."""
    if not row.applies:
        return f"not this patient: {row.reason}" + ("; used above" if row.model == r.model else "")
    if row.model == r.model:
        return "used above"
    verdict = "agrees on the flag" if row.flag == r.flag else "DISAGREES on the flag"
    return f"another reading of {row.reading_of}; {verdict}" if row.reading_of else verdict


def _labels(r: CheckResult, width: int) -> str:
    if not any(row.applies for row in r.label_rules):
        reasons = dict.fromkeys(row.advice for row in r.label_rules)
        titles = ", ".join(row.title for row in r.label_rules)
        return paragraph(f"{titles}: {'; '.join(reasons)}.", width, 2)
    rows = [(row.title, measured(row), f"{row.advice}{auc_under(row)}") for row in r.label_rules]
    return table(rows, width)


def measured(row: LabelRecord) -> str:
    """A kidney function with its unit, or nothing."""
    return "" if row.value is None else f"{row.measure} {row.value:.0f} {row.unit}"


def auc_under(row: LabelRecord) -> str:
    """The AUC if the rule were followed."""
    if row.auc_0_inf is None or row.factor is None or row.factor == 1.0:
        return ""
    return f": AUC {row.auc_0_inf:.2f} mg·h/L at {100 * row.factor:.0f} % of the planned dose"


def _warnings(r: CheckResult, width: int) -> str:
    return _remarks([w for w in r.warnings if w.code not in AT_THE_TOP], width)


def _remarks(remarks: Sequence[Remark], width: int) -> str:
    words = {"caution": "! caution", "note": "- note"}
    rows = [(words[warning.level], warning.message) for warning in remarks[:MAX_WARNINGS]]
    if len(remarks) > MAX_WARNINGS:
        rows.append(("", f"and {len(remarks) - MAX_WARNINGS} more in --json"))
    return table(rows, width) if rows else "  None."


def _footer(r: CheckResult, width: int) -> str:
    made = r.provenance
    lines = (
        r.disclaimer,
        f"fludapk {made.version} | model {r.model} {made.model_sha256[:12]} | "
        f"input {made.input_sha256[:12]} | {made.points} points, seed {made.seed}",
        r.model_citation,
    )
    return "\n".join(paragraph(line, width) for line in lines)


def dose_page(r: DoseResult, width: int) -> str:
    """The dose for a target on one page."""
    n, planned = r.proposals[0].doses, planned_rows(r)
    head = [paragraph(f"{who(r.proposed)} | {n} infusions | goal: {r.goal}", width)]
    if r.answer is None:
        head.append(paragraph(f"NO SINGLE ANSWER: {NO_ANSWER}", width))
    else:
        lines = draw_up(r.answer, r)
        head.append("\n".join(x if len(x) <= width else paragraph(x, width) for x in lines))
    sections = {
        "Dose by each model that applies": table(proposal_rows(r), width, right="123"),
        "Beside the planned course": table(planned, width, right="12") if planned else "",
        "Renal rules of labels (beside the model, never instead)": _labels(r.proposed, width),
        "Warnings": _remarks([w for w in r.warnings if w.code != "models_disagree"], width),
    }
    body = [f"{title}\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([*head, *body, _footer(r.proposed, width)])


def draw_up(p: Proposal, r: DoseResult) -> list[str]:
    """A proposal as it is prepared, and what it gives."""
    low, high = p.auc_0_inf_pi90
    lines = [
        f"{p.dose_mg:g} {_DRUG} a dose, {p.doses} doses = {p.total_mg:g} mg"
        + ("" if p.reached else "   [ GOAL NOT REACHED ]"),
        f"{p.dose_mg_m2:.1f} mg/m2 ({p.total_mg_m2:.0f} in all), {p.dose_mg_kg:.2f} mg/kg; "
        f"{p.volume_ml_per_dose:.2f} mL ({MG_PER_ML:g} mg/mL), {p.vials_per_dose} × {VIAL_MG:g}-mg "
        f"vial, {p.waste_mg_per_dose:g} mg waste",
        f"AUC0-inf {p.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[p.flag]} ]",
        _chances(p, r),
    ]
    return [line for line in lines if line]


def _chances(p: Proposal, r: DoseResult) -> str:
    """Probabilities of the goal, if it is a window."""
    if r.goal_high is not None and r.goal_low == r.goal_high:
        return ""
    if r.goal_high is None:
        return f"P(≥ {r.goal_low:g}) {percent(p.p_within)}"
    return (
        f"P(< {r.goal_low:g}) {percent(p.p_below)}, P(within) {percent(p.p_within)}, "
        f"P(> {r.goal_high:g}) {percent(p.p_above)}"
    )


def proposal_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """Model, dose, dose per m2, AUC and remarks of every proposal."""
    rows: list[tuple[str, ...]] = []
    for p in r.proposals:
        low, high = p.auc_0_inf_pi90
        about = [f"90 % interval {low:.1f}-{high:.1f}", FLAG_WORDS[p.flag].lower(), _chances(p, r)]
        about += ["goal not reached"] if not p.reached else []
        about += [f"another reading of {p.reading_of}"] if p.reading_of else []
        rows.append(
            (
                p.model,
                f"{p.dose_mg:g} mg",
                f"{p.dose_mg_m2:.1f} mg/m2",
                f"AUC {p.auc_0_inf:.2f}",
                "; ".join(part for part in about if part),
            )
        )
    return rows


def planned_rows(r: DoseResult) -> list[tuple[str, ...]]:
    """The planned course and the chosen model's, if there is a plan."""
    if r.planned is None or r.change_from_planned is None:
        return []
    old, new = r.planned, r.proposals[0]
    return [
        (
            f"planned {old.regimen.id}",
            f"{old.regimen.doses_mg[0]:.2f} mg",
            f"AUC {old.exposure.auc_0_inf:.2f}",
            FLAG_WORDS[old.flag].lower(),
        ),
        (
            f"by {new.model}",
            f"{new.dose_mg:.2f} mg",
            f"AUC {new.auc_0_inf:.2f}",
            f"{FLAG_WORDS[new.flag].lower()}; {100 * r.change_from_planned:+.0f} % of dose",
        ),
    ]


# ------------------------------------------------------------------ lists


def models_page(models: Sequence[Model], width: int) -> str:
    """Every model with its population and source."""
    blocks = []
    for model in models:
        file = model.file
        name = f"{model.id} (default)" if model.id == DEFAULT_MODEL else model.id
        what = f"{file.title}; {file.compartments} compartments"
        lines = (what, f"From {file.population.n} {file.population.who}", file.citation.short)
        blocks.append("\n".join([name, *(paragraph(line, width, 2) for line in lines)]))
    return "\n\n".join(blocks)


def model_page(model: Model, width: int) -> str:
    """A model: source, population, equations, every number, departures."""
    file = model.file
    head = [
        f"{model.id}: {file.title}",
        file.citation.short,
        f"{file.population.description} {file.population.regimen}. ({file.population.source})",
        f"Dose: mg {file.dose.prescribed} × {file.dose.factor:g} = mg {file.dose.modelled} "
        f"({file.dose.basis}). {file.dose.evidence}",
    ]
    equations = [f"typical {name} = {equation(model, name)}" for name in file.parameters]
    rows: list[tuple[str, ...]] = [NUMBER_HEADER, *number_rows(model)]
    pairs = [(row.between, row) for row in file.iiv_correlations]
    notes = [f"Correlation of {' and '.join(b)}: {row.value:g} ({row.source})" for b, row in pairs]
    iov_pairs = [(row.between, row) for row in file.iov_correlations]
    notes += [
        f"Correlation of {' and '.join(b)}: {row.value:g} ({row.source})" for b, row in iov_pairs
    ]
    studied = [
        f"{name} {c.range[0]:g}-{c.range[1]:g} {c.unit}"
        for name, c in file.covariates.items()
        if c.range is not None
    ]
    levels = [f"{name}: {' or '.join(c.levels)}" for name, c in file.covariates.items() if c.levels]
    notes.append(f"Studied: {'; '.join(studied + levels)}")
    blocks = ["\n".join(paragraph(line, width) for line in head)]
    blocks.append("\n".join(paragraph(line, width) for line in equations))
    blocks.append(table(rows, width, indent=0, right="1"))
    blocks.append("\n".join(paragraph(line, width) for line in notes))
    for departure in file.departures:
        mark = "open question" if departure.open_question else "settled"
        rows = [
            ("print", departure.print),
            ("file", departure.file),
            ("reason", departure.reason),
        ]
        blocks.append(f"Departure: {departure.topic} ({mark})\n{table(rows, width)}")
    blocks.append(paragraph(f"{model.path.name} sha256 {model.sha256}", width))
    return "\n\n".join(blocks)


NUMBER_HEADER: Final = ("parameter", "value", "unit", "RSE %", "95 % CI", "source")


def number_rows(model: Model) -> list[tuple[str, ...]]:
    """Every estimate of a model, with the columns of `NUMBER_HEADER`."""
    file = model.file
    rows: list[tuple[str, ...]] = [
        (name, *_number(theta, theta.unit)) for name, theta in file.theta.items()
    ]
    for label, effects in (("IIV", file.iiv), ("IOV", file.iov)):
        for effect in effects:
            scale = "CV" if effect.scale.startswith("cv") else effect.scale
            rows.append((f"{label} {', '.join(effect.on)}", *_number(effect, scale)))
    for kind, unit in (("proportional", "CV"), ("additive", "mg/L"), ("log", "SD of ln")):
        error = getattr(file.ruv, kind)
        if error is not None:
            rows.append((f"RUV {kind}", *_number(error, unit)))
    return rows


def _number(number: Theta | RandomEffect | ResidualError, unit: str) -> tuple[str, ...]:
    """Value, unit, RSE, interval and source of an estimate."""
    fixed = isinstance(number, Theta) and number.fixed
    rse = "fixed" if fixed else "" if number.rse_percent is None else f"{number.rse_percent:g}"
    interval = "" if number.ci95 is None else f"{number.ci95[0]:g}-{number.ci95[1]:g}"
    return f"{number.value:g}", unit, rse, interval, number.source


def verified_page(rows: Sequence[Verified], width: int) -> str:
    """Published against computed numbers."""
    lines: list[tuple[str, ...]] = [("", "model", "printed", "computed", "allowed", "number")]
    lines += [
        (
            "ok" if row.ok else "MISS",
            row.model,
            row.printed,
            f"{row.computed:.4g}",
            f"± {row.allowed:.2g}",
            f"{row.what}, {row.unit}; {row.source}",
        )
        for row in rows
    ]
    good = sum(row.ok for row in rows)
    told = f"{good} of {len(rows)} re-computed within their tolerance"
    return f"{table(lines, width, indent=0, right='23')}\n\n{told}"


def regimens_page(width: int) -> str:
    """Every regimen on a line or two."""
    rows: list[tuple[str, ...]] = [("regimen", "fludarabine phosphate", "for; cells")]
    for entry in regimens().values():
        dose = f"{entry.dose:g} {entry.unit} × {entry.days}, {entry.infusion_h:g} h"
        cells = f"; {entry.cells}" if entry.cells else ""
        doubt = " (?)" if entry.unsettled else ""
        rows.append((entry.id, dose, f"{entry.title}{cells}{doubt}"))
    legend = "(?) not settled by our sources; see `fludapk regimens show NAME`"
    return f"{table(rows, width, indent=0)}\n\n{legend}"


def regimen_page(name: str, width: int) -> str:
    """Everything about a regimen, and the renal rules beside it."""
    entry = regimens()[name].model_dump(exclude_none=True)
    rows = [(key, f"{value}") for key, value in entry.items() if value != ""]
    rules = []
    for rule in label_rules():
        unit = "mL/min" if rule.measure == "CrCl" else "mL/min/1.73 m2"
        steps = "; ".join(f"≥ {step.at_least:g}: {step.advice}" for step in rule.steps)
        rules.append((rule.title, f"{rule.measure}, {unit}: {steps}. {rule.source}"))
    title = "Renal rules of labels (beside the model, never instead)"
    return f"{table(rows, width, indent=0)}\n\n{title}\n{table(rules, width)}"


def targets_page(width: int) -> str:
    """Every published target with its context."""
    blocks = []
    for t in targets().values():
        doi = f", doi {t.doi}" if t.doi else ""
        lines = (f"For {t.context}", f"AUC by {t.auc_by}", t.finding, f"{t.citation}{doi}")
        title = f"{t.id}: AUC0-inf {window(t)} mg·h/L"
        blocks.append("\n".join([title, *(paragraph(line, width, 2) for line in lines)]))
    blocks.append("All from retrospective studies; outside its context a target is no target.")
    return "\n\n".join(blocks)


def study_page(run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], width: int = 100) -> str:
    """A study in short: strategies in each stratum."""
    scenario = run["scenario"]
    several = len(scenario["models"]) > 1
    low, high = scenario["window"]["low"], scenario["window"]["high"]
    lines = [
        scenario["title"],
        f"{run['patients']} simulated patients; truth: {', '.join(scenario['models'])}; seed "
        f"{run['seed']}",
    ]
    names = [f"{r['strategy']} ({r['model']})" if several else r["strategy"] for r in rows]
    longest = max(map(len, names))
    head = (
        f"{'':{longest}}  {'AUC0-inf, mg·h/L':>20}  {'< 13.8':>7}  {f'{low:g}-{high:g}':>7}  "
        f"{'> 20':>7}  {'dose, mg':>18}"
    )
    for stratum in dict.fromkeys(row["stratum"] for row in rows):
        inside = [(n, r) for n, r in zip(names, rows, strict=True) if r["stratum"] == stratum]
        n = inside[0][1]["n"]
        lines += ["", f"{'All patients' if stratum == 'all' else stratum} (n = {n})", head]
        lines += [_study_line(name, longest, row) for name, row in inside]
    interval = (
        "within 95 % intervals in summary.csv (Wilson)"
        if rows[0]["interval"] == "wilson"
        else "intervals over the draws of parameters in summary.csv"
    )
    notes = [
        f"Medians with 5-95 % of patients; probabilities in % of those given a dose, {interval}.",
        *(
            f"{who}: {', '.join(said)}"
            for who, row in zip(names, rows, strict=True)
            if row["stratum"] == "all" and (said := _study_notes(row))
        ),
    ]
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += ["", *wrap(DISCLAIMER, width)]
    hashes = ", ".join(f"{name} {sha[:12]}" for name, sha in run["model_sha256"].items())
    lines += wrap(
        f"fludapk {run['version']} | scenario {run['scenario_sha256'][:12]} | {hashes}", width
    )
    return "\n".join(line.rstrip() for line in lines)


def _study_line(name: str, longest: int, row: Mapping[str, Any]) -> str:
    if row["auc_q50"] is None:
        return f"{name:{longest}}  nobody is given a dose"
    auc = f"{row['auc_q50']:.1f} ({row['auc_q05']:.1f}-{row['auc_q95']:.1f})"
    dose = f"{row['dose_mg_q50']:.1f} ({row['dose_mg_q05']:.1f}-{row['dose_mg_q95']:.1f})"
    chances = "  ".join(
        f"{100 * row[p]:5.1f} %" for p in ("p_below_13_8", "p_in_window", "p_above_20")
    )
    return f"{name:{longest}}  {auc:>20}  {chances}  {dose:>18}"


def _study_notes(row: Mapping[str, Any]) -> list[str]:
    said = {
        "held_at_ceiling": "held at a ceiling",
        "not_given": "given no dose",
        "outside_studied_range": "outside the studied range of the truth",
    }
    return [f"{row[name]} of {row['n']} {words}" for name, words in said.items() if row[name]]


# ------------------------------------------------------------------ measured levels


def evaluation_page(r: EvaluationRecord, name: str, width: int = 100) -> str:
    """Which model predicts the levels best, and how well."""
    several = len(r.models) > 1
    below = f" ({r.levels_below_limit} below the limit)" if r.levels_below_limit else ""
    lines = wrap(
        f"{name}: {r.patients} patients, {r.levels} levels of F-ara-A{below}; "
        f"{len(r.models)} model{'s' if several else ''}",
        width,
    )
    lines += ["", *(part for text in evaluation_answer(r) for part in wrap(text, width))]
    lines += ["", "Errors of predicted levels, % of the measured (95 % interval over patients)"]
    lines += [table(evaluation_error_rows(r), width, right="1")]
    lines += ["", "Models"]
    lines += [table(evaluation_model_rows(r), width)]
    notes = [f"{one.model} left out: {one.reason}" for one in r.left_out]
    notes += [f"row {one.row} (ID {one.id}) REFUSED: {one.error}" for one in r.refused[:_REFUSED]]
    if len(r.refused) > _REFUSED:
        notes.append(f"... and {len(r.refused) - _REFUSED} more refused: see patients.csv (-o DIR)")
    if r.records_before_first_dose:
        notes.append(
            f"{r.records_before_first_dose} records below the limit before the first dose: not used"
        )
    notes.append(EVALUATION_NOTE)
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += ["", *wrap(r.disclaimer, width)]
    made = r.provenance
    hashes = ", ".join(f"{model} {sha[:12]}" for model, sha in made.model_sha256.items())
    lines += wrap(
        f"fludapk {made.version} | data {made.data_sha256[:12]} | {hashes} | {made.simulations} "
        f"simulations, {made.resamples} resamples, seed {made.seed}",
        width,
    )
    return "\n".join(line.rstrip() for line in lines)


_REFUSED: Final = 10
EVALUATION_NOTE: Final = (
    "Later: levels after a second or later dose, from covariates alone or from the levels before "
    "that dose. Errors are (predicted - measured)/measured; levels below the limit count in the "
    "likelihood only. Log-likelihoods are marginal (Laplace); weight: of the model given all "
    "levels, and on average given those of one patient. AUC moved: patients whose AUC0-inf by "
    "levels differs by 4 mg·h/L or more from covariates; below 13.8: patients by covariates, then "
    "by levels. NPDE are standard normal if the model is right. What fits these patients best need "
    "not be right for others."
)


def evaluation_answer(r: EvaluationRecord) -> list[str]:
    """The best model and what it is good for, in words."""
    best = r.models[0]
    said = []
    if len(r.models) > 1:
        second = r.models[1]
        near = second.behind < 2.0 * second.behind_se
        said.append(
            f"Best fit: {best.model}, log-likelihood {second.behind:.1f} above {second.model} "
            f"(standard error {second.behind_se:.1f})"
            + (": too near to tell them apart" if near else "")
        )
    else:
        said.append(f"{best.model}, log-likelihood {best.log_likelihood:.1f}")
    by = {one.basis: one for one in best.errors}
    if "later_from_earlier" in by:
        then, alone = by["later_from_earlier"], by["later_from_covariates"]
        said.append(
            f"Later levels from earlier ones: {_near(then)} are within 30 %; "
            f"from covariates alone {_near(alone)} "
            f"({then.levels} levels of {then.patients} patients)"
        )
    elif "covariates" in by:
        alone = by["covariates"]
        said.append(
            f"From covariates alone {_near(alone)} of the levels are within 30 %; "
            "no patient has levels after two doses, so nothing was forecast"
        )
    return said


def evaluation_error_rows(r: EvaluationRecord) -> list[list[str]]:
    """Basis, levels, bias, RMSE, within 30 % under each model's name; the first row is the head."""
    rows = [["predicted from", "n", "bias (MPE)", "RMSE", "within 30 %"]]
    every = [(one.model, one.errors) for one in r.models]
    if r.averaged:
        every.append(("models averaged by weight", r.averaged))
    for name, errors in every:
        rows.append([name, "", "", "", ""])
        rows += [
            [
                f"  {_BASES[one.basis]}",
                str(one.levels),
                _share(one.mpe, one.mpe_ci95, sign="+"),
                _share(one.rmse, one.rmse_ci95),
                _share(one.within_30, one.within_30_ci95),
            ]
            for one in errors
        ]
    return rows


_BASES: Final = {
    "covariates": "covariates",
    "own_levels": "own levels (fit)",
    "later_from_covariates": "later: covariates",
    "later_from_earlier": "later: earlier levels",
}


def evaluation_model_rows(r: EvaluationRecord) -> list[list[str]]:
    """Likelihood, weights, AUC and NPDE of each model; the first row names them."""
    rows = [
        ["", "log-lik.", "weight", "of one", "AUC moved ≥ 4", "below 13.8", "NPDE mean, var, p"]
    ]  # fmt: skip
    for one in r.models:
        n = one.npde
        rows.append(
            [
                one.model,
                f"{one.log_likelihood:.1f}",
                f"{one.weight_all:.3f}",
                f"{one.weight_mean:.2f}",
                f"{100 * one.moved:.0f} %",
                f"{one.below_by_covariates}, then {one.below_by_levels}",
                "too few" if n is None else f"{n.mean:+.2f}, {n.variance:.2f}, {n.p_global:.2g}",
            ]
        )
    return rows


def _near(errors: ErrorRecord) -> str:
    interval = errors.within_30_ci95
    between = "" if interval is None else f" ({interval[0]:.0f}-{interval[1]:.0f})"
    return f"{errors.within_30:.0f} %{between}"


def _share(value: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    shown, *ends = (f"{round(x):{sign}d}" for x in (value, *(interval or ())))
    return f"{shown} ({' to '.join(ends)})" if ends else shown


def update_page(r: UpdateResult, width: int = 100) -> str:
    """What levels say: the answer first."""
    e, p = r.prior.exposure, r.posterior
    low, high = p.auc_0_inf_pi90
    by = {row.id: row for row in r.targets}
    lines = [
        *wrap(f"{who(r.prior)} | {plan(r.prior)}", width),
        "",
        f"AUC0-inf {p.auc_0_inf:.2f} mg·h/L   90 % interval {low:.1f}-{high:.1f}   "
        f"[ {FLAG_WORDS[r.flag]} ]",
        *wrap(
            f"Probability of < 13.8: {percent(by['fabrizio2022'].p_below)}; of < 14: "
            f"{percent(by['dekker2022'].p_below)}; of > 20: "
            f"{percent(by['langenhorst2019b'].p_above)} (F-ara-A by {r.model} and "
            f"{len(r.levels)} level{'s' if len(r.levels) > 1 else ''}, course as planned)",
            width,
        ),
        *wrap(
            f"From covariates alone: {e.auc_0_inf:.2f}, 90 % interval {e.auc_0_inf_pi90[0]:.1f}-"
            f"{e.auc_0_inf_pi90[1]:.1f}. Up to {p.now_h:g} h: {p.auc_so_far:.2f} "
            f"({p.auc_so_far_pi90[0]:.1f}-{p.auc_so_far_pi90[1]:.1f}).",
            width,
        ),
    ]
    others = [
        row for row in r.targets if row.applies and row.id not in ("fabrizio2022", "dekker2022")
    ]
    lines += [
        part
        for row in others
        for part in wrap(
            f"{row.id} {window(row)}: {row.status.upper()}; {target_chances(row)}", width
        )
    ]
    if r.remaining is not None:
        lines += ["", *remaining_lines(r, width)]
    lines += ["", "Levels", *(_level_line(level) for level in r.levels)]
    lines += ["", "This patient beside the typical one"]
    lines += [
        f"  {x.name:3} {x.individual:8.3g} {x.unit:4} typical {x.typical:.3g} "
        f"({100 * (x.individual / x.typical - 1):+.0f} %)"
        for x in r.parameters
    ]
    if r.warnings:
        lines += ["", "Warnings"]
        lines += [
            part
            for w in r.warnings
            for part in wrap(
                f"{'!' if w.level == 'caution' else '-'} {w.level}  {w.message}",
                width,
                initial_indent="  ",
                subsequent_indent="    ",
            )
        ]
    lines += ["", *wrap(r.disclaimer, width)]
    made = r.provenance
    lines += wrap(
        f"fludapk {made.version} | model {r.model} {made.model_sha256[:12]} | input "
        f"{made.input_sha256[:12]} | {made.draws} draws, seed {made.seed}, effective size "
        f"{p.effective_size:.0f} ({p.method})",
        width,
    )
    lines += wrap(r.model_citation, width)
    return "\n".join(line.rstrip() for line in lines)


def remaining_lines(r: UpdateResult, width: int = 1000) -> list[str]:
    """The dose that is left, in words."""
    d = r.remaining
    if d is None:
        return []
    change = f" ({100 * (d.dose_mg / d.planned_mg - 1):+.0f} %)" if d.planned_mg else ""
    low, high = d.auc_0_inf_pi90
    chances = f"P(below) {percent(d.p_below)}"
    if d.p_within:  # of a single AUC there is no within
        chances += f", P(within) {percent(d.p_within)}"
    chances += f", P(above) {percent(d.p_above)}" if d.p_above else ""
    said = [
        f"Remaining {d.infusions} of {len(r.prior.regimen.doses_mg)} doses: {d.dose_mg:g} mg "
        f"fludarabine phosphate each, {d.dose_mg_m2:.1f} mg/m2; planned {d.planned_mg:.2f} mg"
        f"{change}",
        f"Draw up {d.volume_ml_per_dose:.2f} mL (25 mg/mL), {d.vials_per_dose} vial"
        f"{'' if d.vials_per_dose == 1 else 's'}, waste {d.waste_mg_per_dose:g} mg; course "
        f"{d.total_course_mg_m2:.1f} mg/m2",
        f"Then AUC0-inf {d.auc_0_inf:.2f}, 90 % interval {low:.1f}-{high:.1f}; {chances}; goal: "
        f"{d.goal}",
    ]
    if not d.reached:
        said.insert(0, f"NO REMAINING DOSE REACHES THE GOAL: {d.goal}. The nearest:")
    return [part for line in said for part in wrap(line, width)]


def _level_line(level: LevelRecord) -> str:
    value = f"< {level.lloq_mg_l:.3g}" if level.conc_mg_l is None else f"{level.conc_mg_l:.3g}"
    return (
        f"  {level.time_h:6g} h  {value:>8} mg/L  fitted {level.fitted_mg_l:.3g}, from covariates "
        f"{level.typical_mg_l:.3g}; {level.residual_sd:+.1f} residual SD"
    )


def design_page(d: Design, width: int = 100) -> str:
    """Which levels to draw: the best of each number first."""

    def line(name: str, schedule: Schedule) -> str:
        times = ", ".join(f"{t:g}" for t in schedule.times_h)
        return (
            f"  {name:14} {times:18} h   90 % of errors within {schedule.interval_width:4.1f} "
            f"mg·h/L, {100 * schedule.reduction:.0f} % less"
        )

    lines = [
        "Levels after the first dose, h from the start of its infusion, and what they leave",
        "unknown of the AUC0-inf of the course",
        "",
        f"  {'no level':14} {'':18}     90 % of errors within {d.covariates_interval_width:4.1f} "
        "mg·h/L",
        *(
            line(f"best {len(s.times_h)} level{'s' if len(s.times_h) > 1 else ''}", s)
            for s in d.best
        ),
        *(line("published", s) for s in d.published),
        "",
        *wrap(
            f"{d.patients} patients "
            + ("like this one" if d.whose == "patient" else f"of {d.whose}")
            + f" were simulated by {d.model}, with the "
            "variability between patients and days and the residual error of the model, and "
            "estimated back.",
            width,
        ),
        "",
        *wrap(d.disclaimer, width),
        f"fludapk {d.version} | model {d.model} {d.model_sha256[:12]} | seed {d.seed}",
    ]
    return "\n".join(line.rstrip() for line in lines)
