"""Rows of a check, in the same words for a terminal and for a sheet of paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from fludapk.answers.check_records import (
    CheckResult,
    LabelByWeight,
    LabelRecord,
    SensitivityRecord,
    TargetRecord,
)
from fludapk.answers.headline import auc_text
from fludapk.language import marked, tr
from fludapk.pages.words import STATUS_WORDS, target_chances, typeset, window
from fludapk.published.covariates import Step
from fludapk.published.targets import targets, verdict


class TrailRow(NamedTuple):
    """A step of the calculation."""

    name: str
    value: str
    unit: str
    how: str


class TargetRow(NamedTuple):
    """A target that fits the patient."""

    name: str
    window: str
    status: str
    chances: str
    about: str
    citation: str


class ModelRow(NamedTuple):
    """AUC of the same patient by a model."""

    model: str
    auc: str
    verdict: str
    about: str
    applies: bool


class LabelRow(NamedTuple):
    """A label or a centre, and its advice."""

    title: str
    measured: str
    advice: str
    applies: bool


def trail_rows(result: CheckResult) -> list[TrailRow]:
    """Word the steps of the calculation."""
    return step_rows(result.trail)


def step_rows(steps: Sequence[Step]) -> list[TrailRow]:
    """Word steps of a calculation."""
    return [
        TrailRow(
            tr(step.name),
            f"{step.value:.4g}",
            typeset(step.unit),
            typeset(": ".join(part for part in (tr(step.by), step.how) if part)),
        )
        for step in steps
    ]


def target_rows(targets: Sequence[TargetRecord]) -> list[TargetRow]:
    """Word the targets that fit the patient."""
    return [
        TargetRow(
            target.name,
            window(target),
            tr(STATUS_WORDS[target.status]),
            target_chances(target),
            typeset(f"{tr(target.context)}. {tr(target.finding)}."),
            target.citation,
        )
        for target in targets
        if target.applies
    ]


def targets_of_others(targets: Sequence[TargetRecord], *, cited: bool = False) -> str:
    """Name the targets that do not apply in a sentence; empty if all do.

    Parameters
    ----------
    targets : sequence of TargetRecord
    cited : bool
        Add the citation of each.
    """
    others = [
        f"{target.name} ({window(target)}: {tr(target.context).split(';')[0]}"
        f"{f'; {target.citation}' if cited else ''})"
        for target in targets
        if not target.applies
    ]
    listed = typeset("; ".join(others))
    return (
        tr("Targets from other patients (do not apply): {listed}", listed=listed) if others else ""
    )


def model_rows(result: CheckResult) -> list[ModelRow]:
    """Word the AUC by every model, or why it does not apply."""
    leading = None if result.headline.target is None else targets()[result.headline.target]
    return [
        ModelRow(
            row.model,
            "" if row.auc_0_inf is None else auc_text(row.auc_0_inf),
            "" if row.auc_0_inf is None else verdict(row.auc_0_inf, leading),
            typeset(f"{_about_model(row, result)}{_if_phosphate(row)}"),
            row.applies,
        )
        for row in result.sensitivity
    ]


def _about_model(row: SensitivityRecord, result: CheckResult) -> str:
    weights = {member.model: member.weight for member in result.averaged or ()}
    if row.model in weights:
        return tr(
            "weight {weight:.2g} in the average; built from {who}",
            weight=weights[row.model],
            who=tr(row.who),
        )
    if row.model == result.model:
        if row.applies:
            return tr("shown above")
        return tr("shown above; built from others: {reason}", reason=row.reason)
    if not row.applies:
        return tr("not this patient: {reason}", reason=row.reason)
    if row.reading_of:
        return tr("another reading of {model}, for comparison", model=row.reading_of)
    return tr("built from {who}", who=tr(row.who))


def _if_phosphate(row: SensitivityRecord) -> str:
    """Word the other AUC of a paper that leaves open of which substance its doses are."""
    other = row.auc_0_inf_other_basis
    if other is None:
        return ""
    return tr("; {auc} if its doses are of the other substance", auc=auc_text(other))


LEVELS_FIRST: Final = marked("levels after the first dose")
ONLY_THE_STOP: Final = marked("only another patient or dose than typed; the STOP holds at any AUC")


def change_line(result: CheckResult) -> str:
    """Name what would change the answer: other models, rules of labels, levels."""
    if result.headline.stops:
        return tr(ONLY_THE_STOP)
    shown = next((row.verdict for row in model_rows(result) if row.model == result.model), "")
    others = [
        tr(
            "{model}: AUC {auc} ({side})",
            model=_other_reading(row),
            auc=auc_text(row.auc_0_inf),
            side=words.verdict,
        )
        for row, words in zip(result.sensitivity, model_rows(result), strict=True)
        if row.applies and row.auc_0_inf is not None and words.verdict != shown
    ]
    return "; ".join([*others, *_by_rules(result), tr(LEVELS_FIRST)])


def _by_rules(result: CheckResult) -> list[str]:
    """Word the AUC under the rules of labels that change the dose: one, or the range of several."""
    rules = {
        rule.title: rule.auc_0_inf
        for rule in result.label_rules
        if rule.applies and rule.auc_0_inf is not None and rule.factor != 1.0
    }
    if not rules:
        return []
    low, high = f"{min(rules.values()):.2f}", f"{max(rules.values()):.2f}"
    auc = low if low == high else f"{low}-{high}"
    if len(rules) == 1:
        return [tr("by the rule of {label} AUC {auc}", label=tr(next(iter(rules))), auc=auc)]
    return [tr("by the labels' kidney rules AUC {auc}", auc=auc)]


def _other_reading(row: SensitivityRecord) -> str:
    return tr("another reading of {name}", name=row.name) if row.reading_of else row.name


def label_rows(result: CheckResult) -> list[LabelRow]:
    """Word the renal rules of labels; empty if none is for such patients."""
    if not any(rule.applies for rule in result.label_rules):
        return []
    return [
        row
        for rule in result.label_rules
        for row in (
            LabelRow(
                tr(rule.title),
                typeset(_measured(rule)),
                typeset(f"{tr(rule.advice)}{_auc_under(rule)}"),
                rule.applies,
            ),
            *_by_weight(rule),
        )
    ]


def _by_weight(rule: LabelRecord) -> list[LabelRow]:
    """Word the rule by adjusted and ideal weight, below that by the actual one."""
    return [
        LabelRow(
            tr(_WEIGHTS[row.weight], weight=row.weight_kg),
            typeset(f"{rule.measure} {row.value:.0f} {rule.unit}"),
            typeset(f"{tr(row.advice)}{_auc_under(row)}"),
            True,
        )
        for row in rule.by_weight
        if row.weight != "actual" and not (row.factor is None and row.advice == rule.advice)
    ]


_WEIGHTS: Final = {
    "adjusted": marked("by adjusted weight, {weight:.3g} kg"),
    "ideal": marked("by ideal weight, {weight:.3g} kg"),
}


def labels_of_others(result: CheckResult) -> str:
    """Say in a sentence why no label rule is for such patients."""
    reasons = dict.fromkeys(tr(rule.advice) for rule in result.label_rules)
    titles = ", ".join(tr(rule.title) for rule in result.label_rules)
    return f"{titles}: {'; '.join(reasons)}."


def _measured(rule: LabelRecord) -> str:
    return "" if rule.value is None else f"{rule.measure} {rule.value:.0f} {rule.unit}"


def _auc_under(rule: LabelRecord | LabelByWeight) -> str:
    """Word the AUC if the rule were followed, where it changes the dose."""
    if rule.auc_0_inf is None or rule.factor is None or rule.factor == 1.0:
        return ""
    return tr(
        ": AUC {auc:.2f} mg·h/L at {percent:.0f} % of the full dose",
        auc=rule.auc_0_inf,
        percent=100 * rule.factor,
    )
