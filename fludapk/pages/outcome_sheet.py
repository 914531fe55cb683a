"""Sections of the sheet of a study: outcome, trial, ward, shortage, drivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fludapk.answers.record import Remark
from fludapk.language import tr
from fludapk.pages import outcome as words
from fludapk.pages import ward as tables_of
from fludapk.pages.outcome_words import percent
from fludapk.studies.outcome_records import OutcomeResult, TrialResult
from fludapk.studies.simulate import StudyResult


@dataclass(frozen=True)
class SheetTable:
    """Table of a section; its first row is the header."""

    caption: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """Section of a sheet: lines, tables, lines after them, remarks."""

    title: str
    lines: Sequence[str] = ()
    tables: Sequence[SheetTable] = ()
    after: Sequence[str] = ()
    remarks: Sequence[Remark] = field(default_factory=list)
    figure: str = ""
    """SVG document of its figure."""


def sections(result: StudyResult, figures: Mapping[str, str]) -> list[Section]:
    """Return the sections of every further answer of a study.

    Parameters
    ----------
    result : StudyResult
    figures : mapping of str to str
        SVG documents by name.
    """
    several = len(result.run.scenario.models) > 1

    def truth(model: str) -> str:
        return f" ({model})" if several else ""

    made = [_outcome(one, truth(one.model)) for one in result.outcomes]
    made += [_trial(one, truth(one.model)) for one in result.trials]
    made += [
        Section(
            tr("Levels on the ward: {strategy}", strategy=one.strategy) + truth(one.model),
            tables=[SheetTable(tr("% of patients by AUC0-inf, mg·h/L"), tables_of.ward_rows(one))],
            after=[text for text in [tables_of.delay_words(one)] if text],
        )
        for one in result.wards
    ]
    made += [
        Section(
            tr("Doses under shortage") + truth(one.model),
            lines=[tables_of.shortage_heading(one)],
            tables=[SheetTable(tr("Vials per 100 courses"), tables_of.shortage_rows(one))],
            after=[tables_of.planned_vials_words(one)],
        )
        for one in result.shortages
    ]
    made += [
        Section(
            tr("What drives the AUC under {strategy}", strategy=one.strategy) + truth(one.model),
            lines=[tables_of.drivers_heading(one)],
            tables=[SheetTable(tr("Sobol indices"), tables_of.drivers_rows(one))],
            after=[tables_of.variances_words(one)],
        )
        for one in result.drivers
    ]
    answers = [(name, one.model) for name, answers in result.answers.items() for one in answers]
    return [
        replace(section, figure=figures.get(figure_name(name, model, several), ""))
        for section, (name, model) in zip(made, answers, strict=True)
    ]


def figure_name(answer: str, model: str, several: bool) -> str:
    """Return the name of the figure of an answer.

    Parameters
    ----------
    answer : str
        Such as outcome or trial.
    model : str
        Id of the truth.
    several : bool
        True if the study has several truths.

    Examples
    --------
    >>> figure_name("trial", "varela2025", True)
    'power_varela2025'
    """
    name = "power" if answer == "trial" else answer
    return f"{name}_{model}" if several else name


def _outcome(result: OutcomeResult, truth: str) -> Section:
    """Return the section of an outcome."""
    tables = []
    for stratum in dict.fromkeys(arm.stratum for arm in result.arms):
        against = tr("Against {strategy}", strategy=result.reference)
        rows = [[tr("Strategy"), *result.groups[:-1], tr(result.event), against]]
        rows += [
            [arm.strategy, *words.arm_cells(result, arm)]
            for arm in result.arms
            if arm.stratum == stratum
        ]
        tables.append(SheetTable(tr("All patients") if stratum == "all" else stratum, rows))
    others = words.reading_rows(result)
    if others:
        tables.append(SheetTable(words.other_readings(result), others))
    return Section(
        f"{words.outcome_heading(result)}{truth}",
        words.outcome_source_lines(result),
        tables,
        [result.citation] if result.citation else [],
        result.remarks,
    )


def _trial(result: TrialResult, truth: str) -> Section:
    """Return the section of a trial."""
    tables, after = [], []
    for comparison in result.comparisons:
        caption = words.comparison_heading(comparison, result.alpha)
        tables.append(SheetTable(caption, words.power_rows(comparison)))
        after += words.size_words(comparison, result)
    if result.rules:
        chances = ", ".join(f"{s} {percent(p)}" for s, p in result.hit_chances.items())
        caption = tr("Rules; chance of a hit: {chances}", chances=chances)
        tables.append(SheetTable(caption, words.rule_rows(result.rules)))
        tables.append(SheetTable(tr("Chance of a go"), words.go_rows(result.rules)))
    return Section(f"{words.trial_heading(result)}{truth}", (), tables, after, result.remarks)
