"""Pages of what a study asks beyond exposure: outcome, trial, ward, shortage, drivers."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from fludapk.answers.record import Record
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
            truth = [f"Truth: {answer.model}"] if several else []
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
    return (
        f"{result.event[0].upper()}{result.event[1:]} by {result.at_months:g} months, IF the "
        "published association is causal and holds here"
    )


def outcome_source_lines(result: OutcomeResult) -> list[str]:
    """Return the association, its reading and what it is calibrated to."""
    reading = {
        "true": "true AUC", "predicted": "AUC predicted from covariates",
        "corrected": "true AUC, corrected for dilution",
    }[result.exposure]  # fmt: skip
    causal = " to ".join(f"{part:g}" for part in result.causal)
    if result.ratios:
        numbers = ", ".join(
            f"HR {ratio.value:g} ({ratio.low:g}-{ratio.high:g}) {group}"
            for ratio, group in zip(result.ratios, result.groups, strict=True)
            if ratio.low is not None
        ) or ", ".join(
            f"HR {ratio.value:g} {group}"
            for ratio, group in zip(result.ratios, result.groups, strict=True)
        )
    else:
        numbers = ", ".join(
            f"{group}: {incidence_words(each)}"
            for each, group in zip(result.group_incidences, result.groups, strict=True)
        )
    first = f"{numbers} ({result.title}"
    first += f"; AUC from {result.auc_by})" if result.auc_by else ")"
    lines = [first, f"read as: {reading}, causal fraction {causal}"]
    if result.who:
        lines.append(f"found in {result.who}")
    if result.ratios:
        text = f"{result.reference} set to the published {incidence_words(result.incidence)}"
    else:
        text = (
            f"{result.reference}: these incidences by group imply "
            f"{incidence_words(result.incidence)} in all"
        )
    if result.competing:
        text += f"; {result.competing_event} {100 * result.competing:g} % (assumed)"
    lines.append(text)
    if result.draws:
        of = "the association and the published incidence"
        if result.includes_parameters:
            of += ", and parameters of the model"
        lines.append(f"intervals: 95 %, over {of} ({result.draws} draws)")
    return lines


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
    rows = [["", *arms[0].readings]]
    for arm in arms:
        cells = [
            percent(value) if value is not None else "not defined"
            for value in arm.readings.values()
        ]
        rows.append([arm.strategy, *cells])
    return rows


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
        rows = [[head, *result.groups[:-1], result.event, f"against {result.reference}"]]
        rows += [
            [arm.strategy, *arm_cells(result, arm)] for arm in result.arms if arm.stratum == stratum
        ]
        columns = "".join(str(k) for k in range(1, len(result.groups)))
        lines += table(rows, width, indent=0, right=columns).split("\n")
    others = reading_rows(result)
    if others:
        lines += [f"Other readings ({result.exposure} is above)"]
        lines += table(others, width, indent=2).split("\n")
    return lines + remark_lines(result.remarks, width)


# ------------------------------------------------------------------ trial

TESTS = {
    "logrank": "log-rank",
    "gray": "Gray's test",
    "incidence": "difference of incidences",
    "binomial": "exact binomial",
}


def trial_heading(result: TrialResult) -> str:
    """Return the test and the course of a trial."""
    if result.test == "binomial":
        return f"Single-arm trial, hit: {result.hit}"
    among = "" if result.among == "all" else f" among {result.among}"
    return (
        f"Power{among}, {TESTS[result.test]}, {100 * result.alpha:g} % two-sided; "
        f"{follow_up_words(result)}"
    )


def follow_up_words(result: TrialResult) -> str:
    """Return accrual, follow-up and loss."""
    parts = [f"accrual {result.accrual_months:g} months"]
    if result.horizon_months is not None:
        parts.append(f"everybody followed to {result.horizon_months:g} months")
    else:
        parts.append(f"analysis {result.after_months:g} months after the last patient")
    if result.loss_per_year:
        parts.append(f"{100 * result.loss_per_year:g} % lost a year")
    return ", ".join(parts)


def power_rows(comparison: Comparison) -> list[list[str]]:
    """Return the powers of a comparison by size; the first row is of sizes."""
    points = comparison.power
    rows = [["n per arm", *(str(point.n_per_arm) for point in points)]]
    for name, values in (
        ("power", [point.exact for point in points]),
        ("simulated", [point.simulated for point in points]),
        ("averaged over the association", [point.assurance for point in points]),
        ("also over causal fractions 0-1", [point.sceptical for point in points]),
    ):
        if any(value is not None for value in values):
            rows.append([name, *(percent(value) for value in values)])
    rows.append(["expected events", *(f"{point.events:.0f}" for point in points)])
    return rows


def size_words(comparison: Comparison, result: TrialResult) -> list[str]:
    """Return the size for a power, what it turns on, and the size of the test."""
    fitted = comparison.n_simulated
    each = "per arm" if result.ratio == 1 else f"in the control arm, {result.ratio:g} to each"
    parts = []
    if comparison.n_for_power.value is not None or fitted.value is None:
        size = patients_words(comparison.n_for_power.value)
        parts.append(f"{100 * result.power:g} % power: {size} {each}")
    if fitted.value is not None:
        span = f"{patients_words(fitted.low)}-{patients_words(fitted.high)}"
        by = f"by simulation {patients_words(fitted.value)} ({span})"
        parts.append(by if parts else f"{100 * result.power:g} % power, {by} {each}")
    if comparison.null_size is not None:
        parts.append(
            f"significant under no effect {100 * comparison.null_size:.1f} % "
            f"({comparison.null_n} {each})"
        )
    lines = ["; ".join(parts)]
    if comparison.depends:
        turns = "; ".join(f"{name}: {patients_words(n)}" for name, n in comparison.depends.items())
        lines.append(f"What that size turns on: {turns}")
    return lines


def comparison_heading(comparison: Comparison, alpha: float) -> str:
    """Return the arms and what is expected in them."""
    a, b = comparison.incidences
    shared = f", tested at {100 * comparison.alpha:.3g} %" if comparison.alpha < alpha else ""
    return (
        f"{comparison.control} against {comparison.treated}: {percent(a, 1)} against "
        f"{percent(b, 1)}, hazard ratio of the arms {comparison.hazard_ratio:.2f}{shared}"
    )


def rule_name(rule: GoRule) -> str:
    """Return what a rule is called, with the strategy it was made for."""
    return f"{rule.name}, {rule.treated}" if rule.treated else f"rule {rule.name}"


def rule_rows(rules: Sequence[GoRule]) -> list[list[str]]:
    """Return rules with their errors as text; a header comes first."""
    rows = [["", "at least", "false go / power", "stop, mean n"]]
    for rule in rules:
        stages = ", then ".join(f"{hits} of {n}" for hits, n in rule.stages)
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
    rows = [["chance of a go", *rules[0].p_go, *(f"p {p}" for p in rules[0].over_p)]]
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
        lines += wrap(f"chance of a hit: {chances}", width)
        lines += table(with_end(rule_rows(result.rules)), width).split("\n")
        lines += table(with_end(go_rows(result.rules)), width, right="123456789").split("\n")
    return [line.rstrip() for line in lines] + remark_lines(result.remarks, width)
