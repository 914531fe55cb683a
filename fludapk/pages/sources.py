"""Pages of models, regimens, targets and re-computed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fludapk.pages.layout import paragraph, table
from fludapk.pages.words import window
from fludapk.published.equations import equation
from fludapk.published.model_files import RandomEffect, ResidualError, Theta
from fludapk.published.models import DEFAULT_MODEL, Model
from fludapk.published.regimens import label_rules, regimens
from fludapk.published.targets import targets

if TYPE_CHECKING:
    from fludapk.answers.verify import Verified

# ------------------------------------------------------------------ lists


def models_page(models: Sequence[Model], width: int) -> str:
    """Every model with its population and source."""
    blocks = []
    for model in models:
        file = model.file
        name = f"{model.id} (default)" if model.id == DEFAULT_MODEL else model.id
        what = f"{file.title}; {file.compartments} compartments"
        lines = [what, f"From {file.population.n} {file.population.who}", file.citation.short]
        if model.not_shipped:
            lines = [model.not_shipped, *lines]
        blocks.append("\n".join([name, *(paragraph(line, width, 2) for line in lines)]))
    return "\n\n".join(blocks)


def model_page(model: Model, width: int) -> str:
    """A model: source, population, equations, every number, departures."""
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
