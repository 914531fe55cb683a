"""Pages of what a study asks beyond exposure: outcome, trial, ward, shortage, drivers."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from fludapk.answers.record import Record
from fludapk.language import marked, tr
from fludapk.pages.layout import table
from fludapk.pages.outcome_words import (
    incidence_words,
    patients_words,
    percent,
    points_words,
    remark_lines,
    with_end,
)
from fludapk.pages.ward import drivers_page, shortage_page, ward_page
from fludapk.studies.drivers import DriversResult
from fludapk.studies.outcome_records import (
    ArmOutcome,
    Comparison,
    GoRule,
    OutcomeResult,
    TrialResult,
)
from fludapk.studies.shortage import ShortageResult
from fludapk.studies.simulate import StudyResult
from fludapk.studies.ward import WardResult


def answers_page(result: StudyResult, width: int) -> list[str]:
    """Draw every further answer of a study as lines of text.

    Parameters
    ----------
    result : StudyResult
    width : int
        Columns of the terminal.
    """
    several = len(result.run.scenario.models) > 1
    lines: list[str] = []
    for answers in result.answers.values():
        for answer in answers:
            truth = [tr("Truth: {model}", model=answer.model)] if several else []
            lines += ["", *truth, *answer_page(answer, width)]
    return lines


def answer_page(answer: Record, width: int) -> list[str]:
    """Draw one answer beyond exposure as lines of text.

    Parameters
    ----------
    answer : OutcomeResult, TrialResult, WardResult, ShortageResult or DriversResult
    width : int
        Columns of the terminal.
    """
    if isinstance(answer, OutcomeResult):
        return outcome_page(answer, width)
    if isinstance(answer, TrialResult):
        return trial_page(answer, width)
    if isinstance(answer, WardResult):
        return ward_page(answer, width)
    if isinstance(answer, ShortageResult):
        return shortage_page(answer, width)
    assert isinstance(answer, DriversResult)  # there are no others
    return drivers_page(answer, width)


# ------------------------------------------------------------------ outcome


def outcome_heading(result: OutcomeResult) -> str:
    """Return what the outcome is and on what it depends."""
    event = tr(result.event)
    return tr(
        "{event} by {months:g} months, IF the published association is causal and holds here",
        event=f"{event[0].upper()}{event[1:]}",
        months=result.at_months,
    )


def outcome_source_lines(result: OutcomeResult) -> list[str]:
    """Return the association, its reading and what it is calibrated to."""
    numbers = _association(result)
    if result.auc_by:
        first = tr(
            "{numbers} ({title}; AUC from {model})",
            numbers=numbers,
            title=result.title,
            model=tr(result.auc_by),
        )
    else:
        first = f"{numbers} ({result.title})"
    reading = tr(
        "read as: {exposure}, causal fraction {fraction}",
        exposure=tr(_READINGS[result.exposure]),
        fraction=tr(" to ").join(f"{part:g}" for part in result.causal),
    )
    lines = [first, reading]
    if result.who:
        lines.append(tr("found in {who}", who=tr(result.who)))
    lines.append(_calibrated(result))
    if result.draws and result.includes_parameters:
        text = tr(
            "intervals: 95 %, over the association and the published incidence, and parameters of "
            "the model ({n} draws)",
            n=result.draws,
        )
        lines.append(text)
    elif result.draws:
        text = tr(
            "intervals: 95 %, over the association and the published incidence ({n} draws)",
            n=result.draws,
        )
        lines.append(text)
    return lines


_EXPOSURES: Final = {
    "true": marked("true"),
    "predicted": marked("predicted"),
    "corrected": marked("corrected"),
}
_READINGS: Final = {
    "true": marked("true AUC"),
    "predicted": marked("AUC predicted from covariates"),
    "corrected": marked("true AUC, corrected for dilution"),
}


def _association(result: OutcomeResult) -> str:
    """Word the hazard ratios, or the incidences, of the groups."""
    if result.ratios:
        return ", ".join(
            f"HR {ratio.value:g} ({ratio.low:g}-{ratio.high:g}) {group}"
            for ratio, group in zip(result.ratios, result.groups, strict=True)
            if ratio.low is not None
        ) or ", ".join(
            f"HR {ratio.value:g} {group}"
            for ratio, group in zip(result.ratios, result.groups, strict=True)
        )
    return ", ".join(
        f"{group}: {incidence_words(each)}"
        for each, group in zip(result.group_incidences, result.groups, strict=True)
    )


def _calibrated(result: OutcomeResult) -> str:
    """Say to which incidence the reference strategy is set, and what competes."""
    incidence = incidence_words(result.incidence)
    if result.ratios:
        text = tr(
            "{strategy} set to the published {incidence}",
            strategy=result.reference,
            incidence=incidence,
        )
    else:
        text = tr(
            "{strategy}: these incidences by group imply {incidence} in all",
            strategy=result.reference,
            incidence=incidence,
        )
    if not result.competing:
        return text
    competing = tr(
        "{event} {percent:g} % (assumed)",
        event=tr(result.competing_event),
        percent=100 * result.competing,
    )
    return f"{text}; {competing}"


def arm_cells(result: OutcomeResult, arm: ArmOutcome) -> list[str]:
    """Return shares, incidence and difference of a strategy as text."""
    shares = [percent(share, 1) for share in arm.shares] or ["-"] * len(result.groups)
    is_reference = arm.strategy == result.reference
    difference = "" if is_reference or arm.undefined else points_words(arm.difference)
    return [*shares[:-1], incidence_words(arm.incidence), difference]


def reading_rows(result: OutcomeResult) -> list[list[str]]:
    """Return the incidence of each strategy by the other readings; a header comes first."""
    arms = [arm for arm in result.arms if arm.stratum == "all"]
    if not arms or not arms[0].readings:
        return []
    rows = [["", *map(tr, arms[0].readings)]]
    for arm in arms:
        cells = [
            percent(value) if value is not None else tr("not defined")
            for value in arm.readings.values()
        ]
        rows.append([arm.strategy, *cells])
    return rows


def other_readings(result: OutcomeResult) -> str:
    """Title of the incidences by the other readings."""
    return tr("Other readings ({reading} is above)", reading=tr(_EXPOSURES[result.exposure]))


def outcome_page(result: OutcomeResult, width: int) -> list[str]:
    """Draw an outcome as lines of text.

    Parameters
    ----------
    result : OutcomeResult
    width : int
    """
    lines = [outcome_heading(result)]
    lines += [line for text in outcome_source_lines(result) for line in wrap(text, width)]
    for stratum in dict.fromkeys(arm.stratum for arm in result.arms):
        head = "" if stratum == "all" else stratum
        against = tr("against {strategy}", strategy=result.reference)
        rows = [[head, *result.groups[:-1], tr(result.event), against]]
        rows += [
            [arm.strategy, *arm_cells(result, arm)] for arm in result.arms if arm.stratum == stratum
        ]
        columns = "".join(str(k) for k in range(1, len(result.groups)))
        lines += table(rows, width, indent=0, right=columns).split("\n")
    others = reading_rows(result)
    if others:
        lines += [other_readings(result)]
        lines += table(others, width, indent=2).split("\n")
    return lines + remark_lines(result.remarks, width)


# ------------------------------------------------------------------ trial

TESTS = {
    "logrank": marked("log-rank"),
    "gray": marked("Gray's test"),
    "incidence": marked("difference of incidences"),
    "binomial": marked("exact binomial"),
}


def trial_heading(result: TrialResult) -> str:
    """Return the test and the course of a trial."""
    if result.test == "binomial":
        return tr("Single-arm trial, hit: {hit}", hit=result.hit)
    facts = {
        "test": tr(TESTS[result.test]),
        "alpha": f"{100 * result.alpha:g}",
        "course": follow_up_words(result),
    }
    if result.among == "all":
        return tr("Power, {test}, {alpha} % two-sided; {course}", **facts)
    return tr(
        "Power among {group}, {test}, {alpha} % two-sided; {course}", group=result.among, **facts
    )


def follow_up_words(result: TrialResult) -> str:
    """Return accrual, follow-up and loss."""
    parts = [tr("accrual {months:g} months", months=result.accrual_months)]
    if result.horizon_months is not None:
        parts.append(tr("everybody followed to {months:g} months", months=result.horizon_months))
    else:
        parts.append(
            tr("analysis {months:g} months after the last patient", months=result.after_months)
        )
    if result.loss_per_year:
        parts.append(tr("{percent:g} % lost a year", percent=100 * result.loss_per_year))
    return ", ".join(parts)


def power_rows(comparison: Comparison) -> list[list[str]]:
    """Return the powers of a comparison by size; the first row is of sizes."""
    points = comparison.power
    rows = [[tr("n per arm"), *(str(point.n_per_arm) for point in points)]]
    for name, values in (
        (tr("power"), [point.exact for point in points]),
        (tr("simulated"), [point.simulated for point in points]),
        (tr("averaged over the association"), [point.assurance for point in points]),
        (tr("also over causal fractions 0-1"), [point.sceptical for point in points]),
    ):
        if any(value is not None for value in values):
            rows.append([name, *(percent(value) for value in values)])
    rows.append([tr("expected events"), *(f"{point.events:.0f}" for point in points)])
    return rows


def size_words(comparison: Comparison, result: TrialResult) -> list[str]:
    """Return the size for a power, what it turns on, and the size of the test."""
    fitted = comparison.n_simulated
    parts = []
    if comparison.n_for_power.value is not None or fitted.value is None:
        size = _per_arm(patients_words(comparison.n_for_power.value), result)
        parts.append(tr("{power:g} % power: {size}", power=100 * result.power, size=size))
    if fitted.value is not None:
        span = f"{patients_words(fitted.low)}-{patients_words(fitted.high)}"
        size = f"{patients_words(fitted.value)} ({span})"
        if parts:
            parts.append(tr("by simulation {size}", size=size))
        else:
            text = tr(
                "{power:g} % power, by simulation {size}",
                power=100 * result.power,
                size=_per_arm(size, result),
            )
            parts.append(text)
    if comparison.null_size is not None:
        text = tr(
            "significant under no effect {percent:.1f} % ({size})",
            percent=100 * comparison.null_size,
            size=_per_arm(f"{comparison.null_n}", result),
        )
        parts.append(text)
    lines = ["; ".join(parts)]
    if comparison.depends:
        turns = "; ".join(
            f"{tr(name)}: {patients_words(n)}" for name, n in comparison.depends.items()
        )
        lines.append(tr("What that size turns on: {facts}", facts=turns))
    return lines


def _per_arm(size: str, result: TrialResult) -> str:
    """Say of which arm a size is."""
    if result.ratio == 1:
        return tr("{n} per arm", n=size)
    return tr("{n} in the control arm, {ratio:g} to each", n=size, ratio=result.ratio)


def comparison_heading(comparison: Comparison, alpha: float) -> str:
    """Return the arms and what is expected in them."""
    a, b = comparison.incidences
    heading = tr(
        "{control} against {treated}: {a} against {b}, hazard ratio of the arms {ratio:.2f}",
        control=comparison.control,
        treated=comparison.treated,
        a=percent(a, 1),
        b=percent(b, 1),
        ratio=comparison.hazard_ratio,
    )
    if comparison.alpha >= alpha:
        return heading
    return f"{heading}, {tr('tested at {percent:.3g} %', percent=100 * comparison.alpha)}"


def rule_name(rule: GoRule) -> str:
    """Return what a rule is called, with the strategy it was made for."""
    return f"{rule.name}, {rule.treated}" if rule.treated else tr("rule {name}", name=rule.name)


def rule_rows(rules: Sequence[GoRule]) -> list[list[str]]:
    """Return rules with their errors as text; a header comes first."""
    rows = [["", tr("at least"), tr("false go / power"), tr("stop, mean n")]]
    for rule in rules:
        stages = tr(", then ").join(tr("{hits} of {n}", hits=hits, n=n) for hits, n in rule.stages)
        errors = early = ""
        if rule.alpha is not None and rule.power is not None:
            errors = f"{100 * rule.alpha:.1f} / {100 * rule.power:.0f} %"
        if rule.p_stop is not None and rule.expected_n is not None:
            early = f"{100 * rule.p_stop:.0f} %, {rule.expected_n:.1f}"
        rows.append([rule_name(rule), stages, errors, early])
    return rows


def go_rows(rules: Sequence[GoRule]) -> list[list[str]]:
    """Return the chance of a go by strategy, then by the chance of a hit; a header comes first."""
    if not rules:
        return []
    rows = [[tr("chance of a go"), *rules[0].p_go, *(f"p {p}" for p in rules[0].over_p)]]
    for rule in rules:
        chances = (*rule.p_go.values(), *rule.over_p.values())
        rows.append([rule_name(rule), *(percent(p) for p in chances)])
    return rows


def trial_page(result: TrialResult, width: int) -> list[str]:
    """Draw a trial as lines of text.

    Parameters
    ----------
    result : TrialResult
    width : int
    """
    lines = wrap(trial_heading(result), width)
    for comparison in result.comparisons:
        lines += wrap(comparison_heading(comparison, result.alpha), width)
        rows = power_rows(comparison)
        columns = "".join(str(k) for k in range(1, len(rows[0])))
        lines += table(with_end(rows), width, right=columns).split("\n")
        lines += [part for text in size_words(comparison, result) for part in wrap(text, width)]
    if result.rules:
        chances = ", ".join(f"{s} {percent(p)}" for s, p in result.hit_chances.items())
        lines += wrap(tr("chance of a hit: {chances}", chances=chances), width)
        lines += table(with_end(rule_rows(result.rules)), width).split("\n")
        lines += table(with_end(go_rows(result.rules)), width, right="123456789").split("\n")
    return [line.rstrip() for line in lines] + remark_lines(result.remarks, width)
