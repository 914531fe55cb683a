"""Pages of models, regimens, targets and re-computed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fludapk.language import marked
from fludapk.pages.layout import paragraph, table
from fludapk.pages.words import LABELS, typeset, window
from fludapk.published.equations import equation
from fludapk.published.model_files import (
    Departure,
    IivCorrelation,
    IovCorrelation,
    RandomEffect,
    ResidualError,
    Theta,
)
from fludapk.published.models import DEFAULT_MODEL, Model
from fludapk.published.outcome_files import Incidence
from fludapk.published.outcomes import outcomes
from fludapk.published.regimens import label_rules, practices, regimens
from fludapk.published.targets import targets

if TYPE_CHECKING:
    from fludapk.answers.verify import Verified

# ------------------------------------------------------------------ lists


def models_page(models: Sequence[Model], width: int) -> str:
    """Draw every model with its population and source."""
    blocks = []
    for model in models:
        file = model.file
        name = f"{model.id} (default)" if model.id == DEFAULT_MODEL else model.id
        about = f"{file.title}; {file.compartments} compartments"
        lines = [about, f"From {file.population.n} {file.population.who}", file.citation.short]
        if model.not_shipped:
            lines = [model.not_shipped, *lines]
        blocks.append("\n".join([name, *(paragraph(line, width, 2) for line in lines)]))
    return typeset("\n\n".join(blocks))


def model_page(model: Model, width: int) -> str:
    """Draw a model: source, population, equations, every number, departures.

    Units are spelled as in the file of the model.
    """
    file = model.file
    head = [
        *([model.not_shipped] if model.not_shipped else []),
        f"{model.id}: {file.title}",
        file.citation.short,
        f"{file.population.description} {file.population.regimen}. ({file.population.source})",
        f"Dose: mg {file.dose.prescribed} × {file.dose.factor:g} = mg {file.dose.modelled} "
        f"({file.dose.basis}). {file.dose.evidence}",
    ]
    equations = [f"typical {name} = {equation(model, name)}" for name in file.parameters]
    correlations: list[IivCorrelation | IovCorrelation] = [
        *file.iiv_correlations,
        *file.iov_correlations,
    ]
    notes = [
        f"Correlation of {' and '.join(row.between)}: {row.value:g} ({row.source})"
        for row in correlations
    ]
    notes += [
        f"{matrix.kind.capitalize()} of {', '.join(matrix.order)}: {_triangle(matrix.rows)} "
        f"({matrix.source})"
        for matrix in (*file.iiv_matrices, *file.iov_matrices)
    ]
    notes += model.adjusted
    if file.units is not None:
        units = file.units
        notes.append(f"Units: {units.amount}, {units.concentration} ({units.source})")
    if file.binding is not None:
        binding = file.binding
        notes.append(f"Of {binding.modelled} drug; fraction unbound {file.fu:g} ({binding.source})")
    if file.ruv.combined == "sds":
        notes.append("Proportional and additive residual SD add")
    blocks = [
        _lines(head, width),
        _lines(equations, width),
        table([NUMBER_HEADER, *number_rows(model)], width, indent=0, right="1"),
        _lines([*notes, _studied(model)], width),
        *(_departure(departure, width) for departure in file.departures),
        paragraph(f"{model.path.name} sha256 {model.sha256}", width),
    ]
    return "\n\n".join(blocks)


def _lines(lines: Sequence[str], width: int) -> str:
    return "\n".join(paragraph(line, width) for line in lines)


def _triangle(rows: Sequence[Sequence[str]]) -> str:
    return "; ".join(" ".join(row) for row in rows)


def _studied(model: Model) -> str:
    """List the studied range, or the categories, of every covariate."""
    covariates = model.file.covariates.items()
    ranges = [
        f"{name} {entry.range[0]:g}-{entry.range[1]:g} {entry.unit}"
        for name, entry in covariates
        if entry.range is not None
    ]
    levels = [f"{name}: {' or '.join(entry.levels)}" for name, entry in covariates if entry.levels]
    return f"Studied: {'; '.join(ranges + levels)}"


def _departure(departure: Departure, width: int) -> str:
    """Draw a departure from the print."""
    mark = "open question" if departure.open_question else "settled"
    rows = [("print", departure.print), ("file", departure.file), ("reason", departure.reason)]
    return f"Departure: {departure.topic} ({mark})\n{table(rows, width)}"


NUMBER_HEADER: Final = (
    marked("parameter"), marked("value"), marked("unit"), marked("RSE %"), marked("95 % CI"),
    marked("source"),
)  # fmt: skip


def number_rows(model: Model) -> list[tuple[str, ...]]:
    """Word every estimate of a model, with the columns of `NUMBER_HEADER`."""
    file = model.file
    rows: list[tuple[str, ...]] = [
        (name, *_number(theta, theta.unit)) for name, theta in file.theta.items()
    ]
    for label, effects in (("IIV", file.iiv), ("IOV", file.iov)):
        for effect in effects:
            scale = "CV" if effect.scale.startswith("cv") else effect.scale
            shape = "" if effect.kind == "exponential" else f", {effect.kind}"
            on = ", ".join(effect.on) or f"{effect.name} on its term"
            rows.append((f"{label} {on}{shape}", *_number(effect, scale)))
    for kind, unit in (("proportional", "CV"), ("additive", "mg/L"), ("log", "SD of ln")):
        error = getattr(file.ruv, kind)
        if error is not None:
            rows.append((f"RUV {kind}", *_number(error, unit)))
    return rows


def _number(number: Theta | RandomEffect | ResidualError, unit: str) -> tuple[str, ...]:
    """Word value, unit, RSE, interval and source of an estimate."""
    fixed = isinstance(number, Theta) and number.fixed
    rse = "fixed" if fixed else "" if number.rse_percent is None else f"{number.rse_percent:g}"
    interval = "" if number.ci95 is None else f"{number.ci95[0]:g}-{number.ci95[1]:g}"
    return f"{number.value:g}", unit, rse, interval, number.source


def verified_page(rows: Sequence[Verified], width: int) -> str:
    """Draw published beside computed numbers."""
    lines: list[tuple[str, ...]] = [("", "model", "expected", "computed", "allowed", "number")]
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
    total = f"{good} of {len(rows)} re-computed within their tolerance"
    return typeset(f"{table(lines, width, indent=0, right='23')}\n\n{total}")


def regimens_page(width: int) -> str:
    """Draw every regimen on a line or two."""
    rows: list[tuple[str, ...]] = [("regimen", "fludarabine phosphate", "patients; cell infusion")]
    for entry in regimens().values():
        dose = f"{entry.dose:g} {entry.unit} × {entry.days}, {entry.infusion_h:g} h"
        cells = f"; {entry.cells}" if entry.cells else ""
        doubt = " (?)" if entry.unsettled else ""
        rows.append((entry.id, dose, f"{entry.title}{cells}{doubt}"))
    legend = "(?) not settled by our sources; see `fludapk regimens show NAME`"
    rules = [
        (rule.id, f"{rule.title}, by {rule.measure}") for rule in label_rules() if rule.has_factors
    ]
    title = "Renal rules of labels, for strategies of kind renal in a scenario"
    practised = "\n".join(
        paragraph(
            f"Practice, not a rule: below {row.below_kg:g} kg {row.title} gives "
            f"{row.dose_mg_kg[0]:g}-{row.dose_mg_kg[1]:g} mg/kg per dose. {row.source}",
            width,
        )
        for row in practices()
    )
    blocks = (table(rows, width, indent=0), legend, f"{title}\n{table(rules, width)}", practised)
    return typeset("\n\n".join(blocks))


def regimen_page(name: str, width: int) -> str:
    """Draw everything about a regimen, and the kidney rules of labels."""
    entry = regimens()[name].model_dump(exclude_none=True)
    rows = [(key, f"{value}") for key, value in entry.items() if value != ""]
    rules = []
    for rule in label_rules():
        unit = "mL/min" if rule.measure == "CrCl" else "mL/min/1.73 m2"
        steps = "; ".join(f"≥ {step.at_least:g}: {step.advice}" for step in rule.steps)
        rules.append((rule.title, f"{rule.measure}, {unit}: {steps}. {rule.source}"))
    return typeset(f"{table(rows, width, indent=0)}\n\n{LABELS}\n{table(rules, width)}")


def outcomes_page(width: int) -> str:
    """Draw every published association of exposure with an outcome, and its numbers.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    """
    blocks = []
    for entry in outcomes().values():
        numbers = []
        if entry.hazard_ratios:
            numbers += [
                f"hazard ratio {ratio.value:g} ({ratio.low:g}-{ratio.high:g}) {group} mg·h/L "
                f"({ratio.source})"
                for ratio, group in zip(entry.hazard_ratios, entry.groups, strict=True)
                if ratio.low is not None
            ]
        if entry.incidence is not None:
            numbers.append(f"in all patients {_incidence(entry.incidence)}")
        for each, group in zip(entry.group_incidences or (), entry.groups, strict=False):
            numbers.append(f"{group} mg·h/L: {_incidence(each)}")
        lines = [
            f"{entry.who}; AUC by {entry.auc_by}",
            *numbers,
            *([entry.printed_ratio] if entry.printed_ratio else []),
            *([f"No outcome can be computed: {entry.cannot}"] if entry.cannot else []),
            f"{entry.citation}{f', doi {entry.doi}' if entry.doi else ''}",
        ]
        title = f"{entry.id}: {entry.event} by {entry.at_months:g} months"
        blocks.append("\n".join([title, *(paragraph(line, width, 2) for line in lines)]))
    text = (
        "All from retrospective studies: associations, not effects. `use = ID` in [outcome] of a "
        "scenario."
    )
    blocks.append(paragraph(text, width))
    return typeset("\n\n".join(blocks))


def _incidence(incidence: Incidence) -> str:
    """Return an incidence with its interval or its patients, and its place."""
    spread = ""
    if incidence.low is not None and incidence.high is not None:
        spread = f" ({100 * incidence.low:g}-{100 * incidence.high:g})"
    elif incidence.n is not None:
        spread = f" of {incidence.n}"
    return f"{100 * incidence.value:g} %{spread} ({incidence.source})"


def targets_page(width: int) -> str:
    """Draw every published target with its context."""
    blocks = []
    for t in targets().values():
        doi = f", doi {t.doi}" if t.doi else ""
        doubt = f": {t.derived_with_doubt}" if t.derived_with_doubt else ""
        lines = (
            f"For {t.context}",
            f"AUC by {t.auc_by}; here set against {t.derived_with}{doubt}",
            t.finding,
            f"{t.citation}{doi}",
        )
        title = f"{t.name} ({t.id}): AUC0-inf {window(t)} mg·h/L"
        blocks.append("\n".join([title, *(paragraph(line, width, 2) for line in lines)]))
    blocks.append("All from retrospective studies; outside its context a target does not apply.")
    return typeset("\n\n".join(blocks))
