"""What a person reads in a terminal: the answer first, then how to re-derive it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fludapk.checking import CheckResult, LabelRecord, SensitivityRecord, TargetRecord
from fludapk.exposure import LOW, MET, targets
from fludapk.model import Model, equation
from fludapk.regimen import label_rules, regimens
from fludapk.schema import RandomEffect, TargetEntry
from fludapk.units import MG_PER_ML, VIAL_MG

if TYPE_CHECKING:
    from fludapk.verify import Verified  # imports scipy

MAX_WARNINGS = 5
FLAG_WORDS = {
    "below": f"BELOW {LOW:g}",
    "borderline": f"BORDERLINE, {LOW:g} to {MET:g}",
    "met": f"{MET:g} OR MORE",
}
_DRUG = "mg fludarabine phosphate"


def percent(p: float) -> str:
    """A probability in words a person reads, never 0 % or 100 %.

    Examples
    --------
    >>> percent(0.517), percent(0.0), percent(0.9996)
    ('52 %', '< 1 %', '> 99 %')
    """
    return "< 1 %" if p < 0.01 else "> 99 %" if p > 0.99 else f"{100 * p:.0f} %"


def print_check(result: CheckResult, console: Console) -> None:
    """Print one patient on one page."""
    _print(
        console,
        *_answer(result),
        *_section("How (re-derive by hand)", _trail(result)),
        *_section("Targets: published thresholds on AUC0-inf, mg·h/L", _targets(result)),
        *_section("Models", _models(result)),
        *_section("Renal rules of labels (beside the model, never instead)", _labels(result)),
        *_section("Warnings", _warnings(result)),
        *_footer(result),
    )


def _print(console: Console, *parts: RenderableType) -> None:
    """Print without the blanks that fill up a column at the end of a line."""
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def _section(title: str, body: RenderableType) -> Iterable[RenderableType]:
    return Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, 2))


def _grid(*columns: str) -> Table:
    """A borderless table; columns 'fixed' do not wrap, 'fold' do."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for kind in columns:
        table.add_column(
            no_wrap=kind != "fold",
            overflow="fold",
            justify="right" if kind == "number" else "left",
        )
    return table


def _answer(r: CheckResult) -> Iterable[RenderableType]:
    p, e, course = r.patient, r.exposure, r.regimen
    who = ", ".join(
        part
        for part in (
            p.sex,
            f"{p.age_years:.3g} y",
            f"{p.weight_kg:.4g} kg",
            f"{p.height_cm:.4g} cm",
        )
        if part
    )
    plan = (
        f"{course.dose:g} {course.dose_unit} × {len(course.doses_mg)} "
        f"({course.total_mg_m2:.0f} mg/m2), {course.infusion_h:g}-h infusions"
    )
    yield Text(f"{who}  |  {course.id}: {plan}")
    low, high = e.auc_0_inf_pi90
    by = {row.id: row for row in r.targets}
    answer = Text("\n")
    answer.append(f"AUC0-inf {e.auc_0_inf:.2f} mg·h/L", style="bold")
    answer.append(f"   90 % interval {low:.1f}-{high:.1f}   ")
    answer.append(
        f"[ {FLAG_WORDS[r.flag]} ]", style="bold reverse" if r.flag == "below" else "bold"
    )
    yield answer
    yield Text(
        f"Probability of < {LOW:g}: {percent(by['fabrizio2022'].p_below)}; "
        f"of < {MET:g}: {percent(by['dekker2022'].p_below)}   "
        f"(cumulative F-ara-A, {r.model})"
    )
    yield Text(_target_line(r))
    yield Text(
        f"Each dose {course.doses_mg[0]:.2f} {_DRUG}; course {course.total_mg:.2f} mg "
        f"(= {course.amount_f_ara_a_mg:.2f} mg F-ara-A)"
    )
    if course.round_to_mg is not None:
        yield Text(
            f"Rounded to {course.round_to_mg:g} mg from {course.planned_dose_mg:.2f} mg: draw up "
            f"{course.volume_ml_per_dose:.2f} mL ({MG_PER_ML:g} mg/mL), {course.vials_per_dose} × "
            f"{VIAL_MG:g}-mg vial, {course.waste_mg_per_dose:.1f} mg waste per dose"
        )
    if not r.models_agree:
        yield Text(f"\n!! {_disagreement(r)}", style="bold")
    if r.reading_note:
        yield Text(r.reading_note)


def _target_line(r: CheckResult) -> str:
    """Whose thresholds these are, for this patient."""
    applying = [f"{t.id} {_window(t)}: {t.status.upper()}" for t in r.targets if t.applies]
    if applying:
        return f"Targets published for such patients: {'; '.join(applying)}"
    return f"No published target covers this patient ({LOW:g} and {MET:g}: r/r B-ALL, tisa-cel)"


def _disagreement(r: CheckResult) -> str:
    """The disagreement in one plain sentence."""
    rivals = [row for row in r.sensitivity if row.applies and row.flag != r.flag]
    readings = [row for row in rivals if row.reading_of == r.model]
    said = "; ".join(
        f"{row.model}: {row.auc_0_inf:.2f} mg·h/L, {FLAG_WORDS[row.flag]}"
        for row in rivals
        if row.auc_0_inf is not None and row.flag is not None
    )
    if rivals == readings:
        return f"THE TWO READINGS OF THIS PAPER DISAGREE about this patient. {said}."
    return f"MODELS DISAGREE about this patient. {said}."


def _trail(r: CheckResult) -> RenderableType:
    table = _grid("fixed", "number", "fixed", "fold")
    for step in r.trail:
        how = ": ".join(part for part in (step.by, step.how) if part)
        table.add_row(step.name, f"{step.value:.4g}", step.unit, how)
    e = r.exposure
    extra = [f"terminal half-life {e.half_life_h:.1f} h", f"Cmax {e.cmax_mg_l:.2f} mg/L"]
    if e.conc_at_cells_mg_l is not None:
        extra.append(
            f"at cell infusion, {r.regimen.cells_at_h:g} h after the first dose, "
            f"{e.conc_at_cells_mg_l:.4f} mg/L"
            + (f" ({r.regimen.cells})" if r.regimen.cells else "")
        )
    return Group(table, Text("; ".join(extra)))


def _window(t: TargetRecord | TargetEntry) -> str:
    if t.optimum is not None:
        return f"about {t.optimum:g}"
    if t.high is None:
        return f"≥ {t.low:g}"
    return f"{t.low:g}-{t.high:g}" if t.low is not None else f"≤ {t.high:g}"


def _targets(r: CheckResult) -> RenderableType:
    table = _grid("fixed", "fixed", "fixed", "fold")
    applying = [t for t in r.targets if t.applies]
    for t in applying:
        chances = [f"P(below) {percent(t.p_below)}"]
        if t.p_within is not None and t.high is not None:
            chances.append(f"P(within) {percent(t.p_within)}")
        if t.high is not None or t.optimum is not None:
            chances.append(f"P(above) {percent(t.p_above)}")
        table.add_row(
            t.id, _window(t), t.status.upper(), f"{', '.join(chances)}. {t.context}. {t.finding}."
        )
    others = [
        f"{t.id} ({_window(t)}: {t.context.split(';')[0]})" for t in r.targets if not t.applies
    ]
    parts: list[RenderableType] = [table] if applying else [Text("None applies to this patient.")]
    if others:
        parts.append(Text(f"Published for others: {'; '.join(others)}"))
    return Group(*parts)


def _models(r: CheckResult) -> RenderableType:
    table = _grid("fixed", "number", "fixed", "fold")
    for row in r.sensitivity:
        auc = "" if row.auc_0_inf is None else f"{row.auc_0_inf:.2f}"
        flag = "" if row.flag is None else row.flag
        table.add_row(
            row.model, auc, flag, _about_model(row, r), style="" if row.applies else "dim"
        )
    return table


def _about_model(row: SensitivityRecord, r: CheckResult) -> str:
    if not row.applies:
        return f"not this patient: {row.reason}"
    if row.model == r.model:
        return "used above"
    return f"another reading of {row.reading_of}" if row.reading_of else ""


def _labels(r: CheckResult) -> RenderableType:
    if not any(row.applies for row in r.label_rules):
        reasons = dict.fromkeys(row.advice for row in r.label_rules)
        return Text(f"{', '.join(row.title for row in r.label_rules)}: {'; '.join(reasons)}.")
    table = _grid("fixed", "fixed", "fixed", "fold")
    for row in r.label_rules:
        table.add_row(row.title, _measured(row), row.advice, _auc_under(row))
    return table


def _measured(row: LabelRecord) -> str:
    return "" if row.value is None else f"{row.measure} {row.value:.0f} {row.unit}"


def _auc_under(row: LabelRecord) -> str:
    if row.auc_0_inf is None or row.factor == 1.0:
        return ""
    return f"AUC {row.auc_0_inf:.2f} mg·h/L at {row.factor:.0%} of the planned dose"


def _warnings(r: CheckResult) -> RenderableType:
    rest = [w for w in r.warnings if w.code != "models_disagree"]  # said at the top
    if not rest:
        return Text("None.")
    table = _grid("fixed", "fold")
    for warning in rest[:MAX_WARNINGS]:
        table.add_row("! caution" if warning.level == "caution" else "- note", warning.message)
    left = len(rest) - MAX_WARNINGS
    if left > 0:
        table.add_row("", f"and {left} more in --json")
    return table


def _footer(r: CheckResult) -> Iterable[RenderableType]:
    yield Text(f"\n{r.disclaimer}")
    made = r.provenance
    yield Text(
        f"fludapk {made.version} | model {r.model} {made.model_sha256[:12]} | "
        f"input {made.input_sha256[:12]} | {made.points} points, seed {made.seed}"
    )
    yield Text(r.model_citation)


# ------------------------------------------------------------------ lists


def _listing(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=number == 0)
    return table


def print_models(models: Sequence[Model], console: Console) -> None:
    """Print one line per model."""
    table = _listing("model", "population", "compartments", "source")
    for model in models:
        file = model.file
        cite = file.citation
        first = cite.authors.split(",")[0]
        table.add_row(
            model.id,
            file.population.who,
            str(file.compartments),
            f"{first} {cite.year}, {cite.journal}, doi {cite.doi}",
        )
    _print(console, table)


def print_model(model: Model, console: Console) -> None:
    """Print a model: source, population, every number, departures."""
    file = model.file
    console.print(Text(f"{model.id}: {file.title}", style="bold"))
    console.print(Text(file.citation.short))
    console.print(Text(f"{file.population.description} {file.population.regimen}."))
    console.print(
        Text(
            f"Dose: mg {file.dose.prescribed} × {file.dose.factor:g} = mg {file.dose.modelled} "
            f"({file.dose.basis}). {file.dose.evidence}"
        )
    )
    for name in file.parameters:
        console.print(Text(f"typical {name} = {equation(model, name)}"))
    table = _listing("parameter", "value", "unit", "RSE %", "95 % CI", "source")
    for name, theta in file.theta.items():
        interval = "" if theta.ci95 is None else f"{theta.ci95[0]:g}-{theta.ci95[1]:g}"
        rse = (
            "fixed"
            if theta.fixed
            else ""
            if theta.rse_percent is None
            else f"{theta.rse_percent:g}"
        )
        table.add_row(name, f"{theta.value:g}", theta.unit, rse, interval, theta.source)
    for label, effects in (("IIV", file.iiv), ("IOV", file.iov)):
        for effect in effects:
            table.add_row(*_variability(label, effect))
    for kind in ("proportional", "additive", "log"):
        error = getattr(file.ruv, kind)
        if error is not None:
            unit = "mg/L" if kind == "additive" else "SD of ln" if kind == "log" else "CV"
            rse = "" if error.rse_percent is None else f"{error.rse_percent:g}"
            interval = "" if error.ci95 is None else f"{error.ci95[0]:g}-{error.ci95[1]:g}"
            table.add_row(f"RUV {kind}", f"{error.value:g}", unit, rse, interval, error.source)
    _print(console, table)
    pairs = [(row.between, row.value, row.source) for row in file.iiv_correlations]
    pairs += [(row.between, row.value, row.source) for row in file.iov_correlations]
    for names, value, source in pairs:
        console.print(Text(f"correlation of {' and '.join(names)}: {value:g} ({source})"))
    studied = [
        f"{name} {c.range[0]:g}-{c.range[1]:g} {c.unit}"
        for name, c in file.covariates.items()
        if c.range is not None
    ]
    levels = [f"{name}: {' or '.join(c.levels)}" for name, c in file.covariates.items() if c.levels]
    console.print(Text(f"Studied: {'; '.join(studied + levels)}"))
    for departure in file.departures:
        mark = "open question" if departure.open_question else "settled"
        console.print(Text(f"\nDeparture: {departure.topic} ({mark})", style="bold"))
        for label, text in (
            ("print", departure.print),
            ("file", departure.file),
            ("reason", departure.reason),
        ):
            console.print(Text(f"  {label}: {text}"))
    console.print(Text(f"\n{model.path.name} sha256 {model.sha256}"))


def _variability(label: str, effect: RandomEffect) -> tuple[str, ...]:
    interval = "" if effect.ci95 is None else f"{effect.ci95[0]:g}-{effect.ci95[1]:g}"
    rse = "" if effect.rse_percent is None else f"{effect.rse_percent:g}"
    scale = "CV" if effect.scale.startswith("cv") else effect.scale
    return (
        f"{label} {', '.join(effect.on)}",
        f"{effect.value:g}",
        scale,
        rse,
        interval,
        effect.source,
    )


def print_verified(rows: Sequence[Verified], console: Console) -> None:
    """Print published against computed numbers."""
    table = _listing("model", "", "number", "printed", "computed", "allowed", "source")
    for row in rows:
        table.add_row(
            row.model,
            "ok" if row.ok else "MISS",
            row.what,
            f"{row.printed} {row.unit}",
            f"{row.computed:.4g}",
            f"± {row.allowed:.2g}",
            row.source,
        )
    _print(console, table)
    missed = sum(not row.ok for row in rows)
    console.print(Text(f"{len(rows) - missed} of {len(rows)} re-computed within their tolerance"))


def print_regimens(console: Console) -> None:
    """Print one line per regimen."""
    table = _listing("regimen", "for", "fludarabine phosphate", "cyclophosphamide", "cells")
    for entry in regimens().values():
        table.add_row(
            entry.id,
            entry.title,
            f"{entry.dose:g} {entry.unit} × {entry.days}, {entry.infusion_h:g} h",
            entry.cyclophosphamide or "-",
            (entry.cells or "-") + (" (?)" if entry.unsettled else ""),
        )
    _print(console, table)
    console.print(Text("(?) not settled by our sources; see regimens show"))


def print_regimen(name: str, console: Console) -> None:
    """Print everything about a regimen and the renal rules beside it."""
    table = _grid("fixed", "fold")
    for key, value in regimens()[name].model_dump(exclude_none=True).items():
        if value != "":
            table.add_row(key, f"{value}")
    _print(console, table)
    console.print(Text("\nRenal rules of labels (beside the model, never instead)", style="bold"))
    for rule in label_rules():
        steps = "; ".join(f"≥ {step.at_least:g}: {step.advice}" for step in rule.steps)
        unit = "mL/min" if rule.measure == "CrCl" else "mL/min/1.73 m2"
        console.print(Text(f"  {rule.title} ({rule.measure}, {unit}): {steps}. {rule.source}"))


def print_targets(console: Console) -> None:
    """Print every published target with its context."""
    for t in targets().values():
        doi = f", doi {t.doi}" if t.doi else ""
        console.print(Text(f"{t.id}: AUC0-inf {_window(t)} mg·h/L", style="bold"))
        lines = (f"For: {t.context}", f"AUC by: {t.auc_by}", t.finding, f"{t.citation}{doi}")
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        console.print()
    console.print(
        Text("All from retrospective studies; outside its context a target is no target.")
    )
