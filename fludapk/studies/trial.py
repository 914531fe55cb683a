"""Trial of dosing strategies: power and size for an outcome, and rules for reaching a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from fludapk.answers.record import Remark, caution, note, worst_first
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.studies.counts import Counts
from fludapk.studies.outcome import Question
from fludapk.studies.outcome_hazards import Hazards, arm_incidence
from fludapk.studies.outcome_records import (
    Comparison,
    Estimate,
    GoRule,
    PowerAt,
    TrialResult,
)
from fludapk.studies.scenario import Scenario
from fludapk.studies.scenario_outcome import TrialTable
from fludapk.studies.trial_design import FollowUp, Score, score
from fludapk.studies.trial_rules import one_stage, p_at_least, two_stages
from fludapk.studies.trial_simulation import SimulatedPower, fitted_size, simulated_power

_QUANTILES: Final = 200
"""Mid-point quantiles of a hazard ratio that a power is averaged over."""
_FRACTIONS: Final = 20
"""Mid-points of causal fractions from 0 to 1."""
_FEW_EVENTS: Final = 20
_SMALL_ARM: Final = 50
_LONGEST_TWO_STAGES: Final = 60
"""Patients of a single-stage design above which two stages are not searched."""


def follow_up_of(table: TrialTable, at_months: float) -> FollowUp:
    """Return the follow-up that a trial describes.

    Parameters
    ----------
    table : TrialTable
    at_months : float
        Time of the incidence: the horizon if the trial says neither that nor a follow-up.
    """
    horizon = table.horizon_months
    if horizon is None and table.follow_up_months is None:
        horizon = at_months
    after = table.follow_up_months
    return FollowUp(
        accrual_months=table.accrual_months,
        after_months=(horizon or at_months) if after is None else after,
        horizon_months=horizon,
        loss_per_month=-math.log1p(-table.loss_per_year) / 12,
    )


@dataclass(frozen=True, eq=False)
class Design:
    """Trial that a scenario describes, with the counts of its strategies under one truth.

    Parameters
    ----------
    scenario : Scenario
    counts : sequence of Counts
    """

    scenario: Scenario
    counts: Sequence[Counts]

    @cached_property
    def table(self) -> TrialTable:
        """Table of the scenario."""
        if self.scenario.trial is None:
            raise InputError("the scenario has no [trial]")
        return self.scenario.trial

    @cached_property
    def question(self) -> Question:
        """Outcome that the trial is about."""
        return Question(self.scenario, self.counts)

    @cached_property
    def stratum(self) -> int:
        """Number of the stratum that patients are taken from."""
        strata = self.counts[0].strata
        among = self.table.among or "all"
        if among not in strata:
            raise InputError(f"trial.among: no stratum {among!r}; there are {', '.join(strata)}")
        return strata.index(among)

    @cached_property
    def follow_up(self) -> FollowUp:
        """Follow-up of the patients."""
        return follow_up_of(self.table, self.question.association.at_months)

    @cached_property
    def hazards(self) -> Hazards:
        """Hazards of the point value."""
        outcome = self.question.table
        hazards = self.question.hazards(outcome.exposure, outcome.causal_point)
        if hazards is None:
            raise InputError(f"trial: exposure = {outcome.exposure!r} does not define its outcome")
        return hazards

    @cached_property
    def null(self) -> Hazards:
        """Hazards if nothing depends on exposure, with the same incidence."""
        return self.faded(0.0)

    def faded(self, causal: float) -> Hazards:
        """Return the hazards at a causal fraction.

        Parameters
        ----------
        causal : float
        """
        hazards = self.question.hazards(self.question.table.exposure, causal)
        assert hazards is not None  # those of the point value are there
        return hazards

    def shares(self, strategy: str, exposure: str | None = None) -> F8:
        """Return (groups,): fractions of an arm in the groups of exposure.

        Parameters
        ----------
        strategy : str
        exposure : str, optional
            Reading; that of the scenario if absent.
        """
        counts = self.question.of(strategy)
        exposure = exposure or self.question.table.exposure
        return self.question.pooled(counts, self.stratum, exposure)

    def score(self, control: str, treated: str, hazards: Hazards) -> Score:
        """Return mean and variance of the log-rank score of two arms.

        Parameters
        ----------
        control, treated : str
        hazards : Hazards
        """
        p_a, p_b = self.shares(control), self.shares(treated)
        return score(p_a, p_b, hazards, self.follow_up, self.table.ratio)

    def uncertain_hazards(self, causal: F8) -> Hazards | None:
        """Return hazards over the published uncertainty of the association, for causal fractions.

        Parameters
        ----------
        causal : (k,)
            Every quantile of the association is combined with every fraction.

        Returns
        -------
        Hazards or None
            None if the association has no uncertainty, or the reading gives a point value only.
        """
        question = self.question
        ratios = question.association.hazard_ratios
        if question.table.exposure == "corrected":
            return None
        if ratios is None:
            return None
        from scipy.special import ndtri

        z = np.atleast_1d(ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES))
        logs = np.array([[math.log(r.value) + r.log_sd * x for r in ratios] for x in z])
        if not any(ratio.log_sd for ratio in ratios):
            return None
        spread = np.exp((causal[:, None, None] * logs).reshape(-1, len(ratios)))
        return question.hazards(question.table.exposure, 1.0, ratios=spread)


# ------------------------------------------------------------------ the result


def trial_of(scenario: Scenario, counts: Sequence[Counts]) -> TrialResult:
    """Compute power, size and rules of a trial under one truth.

    Parameters
    ----------
    scenario : Scenario
        With a table `trial`.
    counts : sequence of Counts
        Counts of its strategies under one truth.

    Raises
    ------
    InputError
        If there is no such stratum, or an arm has no defined outcome.
    """
    design = Design(scenario, counts)
    table = design.table
    if table.test == "binomial":
        return _single_arm(design)
    question = design.question
    if question.table.exposure == "predicted":
        adaptive = [arm for arm in table.arms if question.follows_levels(arm)]
        if adaptive:
            raise InputError(
                f'trial.arms: {", ".join(adaptive)}: with exposure = "predicted" it is not '
                'defined what levels change; take "true"'
            )
    empty = [arm for arm in table.arms if np.isnan(design.shares(arm)).any()]
    if empty:
        raise InputError(f"trial.arms: nobody is given a dose under {', '.join(empty)}")
    control, *others = table.arms
    comparisons = [_comparison(design, control, treated) for treated in others]
    return TrialResult(
        model=counts[0].truth,
        test=table.test,
        among=table.among or "all",
        alpha=table.alpha,
        power=table.power,
        replicates=table.replicates,
        accrual_months=table.accrual_months,
        after_months=design.follow_up.after_months,
        horizon_months=design.follow_up.horizon_months,
        loss_per_year=table.loss_per_year,
        ratio=table.ratio,
        comparisons=comparisons,
        remarks=_remarks(design, comparisons),
    )


def _comparison(design: Design, control: str, treated: str) -> Comparison:
    """Return power and size of one strategy against the control."""
    table, months = design.table, design.question.association.at_months
    alpha = table.alpha / (len(table.arms) - 1)
    exact = design.score(control, treated, design.hazards)
    arms = design.shares(control), design.shares(treated)
    direction = math.copysign(1.0, float(exact.mean[0]))
    simulated = [_simulated(design, arms, design.hazards, n, alpha) for n in table.n_per_arm]
    averaged = _averaged(design, control, treated, direction, alpha)
    is_log_rank = table.test == "logrank"
    points = [
        PowerAt(
            n_per_arm=n,
            exact=float(exact.power(n, alpha)[0]) if is_log_rank else None,
            simulated=None if found is None else found.power,
            simulated_error=None if found is None else found.standard_error,
            assurance=averaged[0][k] if averaged and is_log_rank else None,
            sceptical=averaged[1][k] if averaged and is_log_rank else None,
            events=float(n * (exact.events[0, 0] + table.ratio * exact.events[0, 1])),
        )
        for k, (n, found) in enumerate(zip(table.n_per_arm, simulated, strict=True))
    ]
    done = [found for found in simulated if found is not None]
    has_effect = abs(float(exact.mean[0])) > 1e-9
    fitted = (
        fitted_size(done, worse=direction > 0, power=table.power, alpha=alpha)
        if done and has_effect
        else None
    )
    null = _simulated(design, arms, design.null, table.n_per_arm[-1], alpha)
    return Comparison(
        control=control,
        treated=treated,
        alpha=alpha,
        hazard_ratio=float(exact.hazard_ratio[0]),
        drift=float(exact.mean[0] / np.sqrt(exact.variance[0])),
        incidences=[float(arm_incidence(p, design.hazards, months)[0]) for p in arms],
        events_per_patient=exact.events[0].tolist(),
        power=points,
        n_for_power=Estimate(value=exact.n_for(table.power, alpha) if is_log_rank else None),
        n_simulated=Estimate(value=None)
        if fitted is None
        else Estimate(value=fitted.n_per_arm, low=fitted.low, high=fitted.high),
        null_size=None if null is None else null.power,
        null_n=table.n_per_arm[-1],
        depends=_depends(design, control, treated, alpha) if is_log_rank else {},
    )


def _simulated(
    design: Design, arms: tuple[F8, F8], hazards: Hazards, n: int, alpha: float
) -> SimulatedPower | None:
    table = design.table
    if not table.replicates or table.test == "binomial":
        return None
    return simulated_power(
        n, arms, hazards, design.follow_up, test=table.test, alpha=alpha,
        trials=table.replicates, seed=design.scenario.seed, ratio=table.ratio,
    )  # fmt: skip


def _averaged(
    design: Design, control: str, treated: str, direction: float, alpha: float
) -> tuple[list[float], list[float]] | None:
    """Return assurance and its sceptical form for every size; None without uncertainty."""
    fractions = (np.arange(_FRACTIONS) + 0.5) / _FRACTIONS
    causal = np.array([design.question.table.causal_point])
    spreads = [design.uncertain_hazards(part) for part in (causal, fractions)]
    if spreads[0] is None or spreads[1] is None:
        return None
    scores = [design.score(control, treated, spread) for spread in spreads if spread is not None]
    plain, sceptical = (
        [float(one.power_in_direction(n, direction, alpha).mean()) for n in design.table.n_per_arm]
        for one in scores
    )
    return plain, sceptical


def _depends(design: Design, control: str, treated: str, alpha: float) -> dict[str, float | None]:
    """Return the patients per arm under other assumptions."""
    question, power = design.question, design.table.power
    exposure, causal = question.table.exposure, question.table.causal_point
    sizes: dict[str, float | None] = {}

    def add(name: str, hazards: Hazards | None) -> None:
        if hazards is not None:
            sizes[name] = design.score(control, treated, hazards).n_for(power, alpha)

    ratios = question.association.hazard_ratios or []
    for end in ("high", "low"):
        values = [getattr(ratio, end) or ratio.value for ratio in ratios]
        if ratios and exposure != "corrected":
            name = f"ratio {next(v for v in values if v != 1):g}"
            at_end = np.array([values]) ** causal
            add(name, question.hazards(exposure, 1.0, ratios=at_end))
    for fraction in (0.75, 0.5, 0.25):
        add(f"causal fraction {fraction * causal:g}", design.faded(fraction * causal))
    if exposure == "true" and ratios:
        add("corrected for dilution", question.hazards("corrected", causal))
    for shape in (0.6, 0.3):
        add(f"shape {shape:g}", question.hazards(exposure, causal, shape=shape))
    return sizes


def _remarks(design: Design, comparisons: Sequence[Comparison]) -> list[Remark]:
    """Return the remarks on a trial of two or more arms, the worst first."""
    table, question = design.table, design.question
    remarks = []
    last, at = design.follow_up.last_month, question.association.at_months
    if last > at:
        text = tr(
            "patients are followed to {last:g} months, the incidence is known at {at:g}: hazards "
            "beyond are extrapolated",
            last=last,
            at=at,
        )
        remarks.append(caution("beyond_incidence", text))
    few = min(point.events for comparison in comparisons for point in comparison.power)
    if few < _FEW_EVENTS:
        text = tr(
            "fewer than {n} events are expected in the smallest trial ({few:.0f})",
            n=_FEW_EVENTS,
            few=few,
        )
        remarks.append(caution("few_events", text))
    if table.test == "incidence" and min(table.n_per_arm) < _SMALL_ARM:
        text = tr(
            "the difference of incidences is significant too often below {n} patients per arm: its "
            "size is near 6 % instead of 5 %",
            n=_SMALL_ARM,
        )
        remarks.append(caution("anticonservative", text))
    if len(comparisons) > 1:
        text = tr(
            "{n} comparisons with the control, each at alpha = {alpha:g}: the first step of Holm's "
            "method, so that powers are lower bounds",
            n=len(comparisons),
            alpha=comparisons[0].alpha,
        )
        remarks.append(note("holm", text))
    if design.follow_up.horizon_months is not None and at >= last:
        text = tr("everybody is followed as long, so that the shape of the hazards changes little")
        remarks.append(note("shape", text))
    return worst_first(remarks)


# ------------------------------------------------------------------ one arm


def _single_arm(design: Design) -> TrialResult:
    """Return rules of single-arm trials, and how often each strategy fulfils them."""
    table = design.table
    chances = {counts.strategy: _hit_chance(design, counts) for counts in design.counts}
    control, *others = table.arms
    rules, remarks = [], []
    if table.rule is not None:
        rule = table.rule
        rules.append(_rule(f"{rule.at_least} of {rule.n}", "", [(rule.at_least, rule.n)], chances))
    for treated in others:
        p0, p1 = chances[control], chances[treated]
        if not 0 < p0 < p1 < 1:
            text = tr(
                "{treated} has no more hits than {control}: there is no rule for it",
                treated=treated,
                control=control,
            )
            remarks.append(caution("no_rule", text))
            continue
        rules += _designs(design, treated, p0, p1, chances)
    text = tr(
        "a rule that {control} fulfils as well does not tell it from something better; its chance "
        "of a false go is the chance of a go under it",
        control=control,
    )
    remarks.append(note("false_go", text))
    return TrialResult(
        model=design.counts[0].truth,
        test="binomial",
        among=table.among or "all",
        alpha=table.alpha,
        power=table.power,
        replicates=0,
        accrual_months=table.accrual_months,
        after_months=0.0,
        horizon_months=table.horizon_months,
        loss_per_year=table.loss_per_year,
        hit=_hit_words(design),
        hit_chances=chances,
        rules=rules,
        remarks=worst_first(remarks),
    )


def _hit_words(design: Design) -> str:
    window, of = design.scenario.window, design.table.of
    if of == "in_window":
        return tr("AUC in {low:g}-{high:g}", low=window.low, high=window.high)
    if of == "at_least_low":
        return tr("AUC of {low:g} or more", low=window.low)
    return tr("no {event} and alive", event=tr(design.question.association.event))


def _hit_chance(design: Design, counts: Counts) -> float:
    """Return the chance of a hit under a strategy."""
    window = design.scenario.window
    if design.table.of == "event_free":
        hazards, months = design.hazards, design.follow_up.last_month
        p = design.shares(counts.strategy)
        failed = hazards.incidence(months) + hazards.competing_incidence(months)
        return float(1 - (p * failed[0]).sum())
    shares = counts.shares([window.low, window.high], design.stratum).mean(axis=0)
    return float(shares[1] if design.table.of == "in_window" else shares[1] + shares[2])


_OVER: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Chances of a hit that every rule is shown for."""


def _rule(
    name: str,
    treated: str,
    stages: list[tuple[int, int]],
    chances: dict[str, float],
    **numbers: float | None,
) -> GoRule:
    (hits, n), *_ = stages

    def go(p: float) -> float:
        return float(p_at_least(hits, n, p))

    empty = {"alpha": None, "power": None, "p_stop": None, "expected_n": None}
    return GoRule(
        name=name, treated=treated, stages=stages, **{**empty, **numbers},
        p_go={strategy: go(p) for strategy, p in chances.items()},
        over_p={f"{p:g}": go(p) for p in _OVER},
    )  # fmt: skip


def _designs(
    design: Design, treated: str, p0: float, p1: float, chances: dict[str, float]
) -> list[GoRule]:
    """Return the smallest single stage, and Simon's two designs where they are small."""
    table = design.table
    single = one_stage(p0, p1, alpha=table.alpha, power=table.power)
    if single is None:
        return []
    rules = [
        _rule("single stage", treated, [(single.at_least, single.n)], chances,
              alpha=single.alpha, power=single.power)
    ]  # fmt: skip
    if single.n > _LONGEST_TWO_STAGES:
        return rules
    return rules + [
        GoRule(
            name=f"two stages, {two.kind}",
            treated=treated,
            stages=[(two.r1 + 1, two.n1), (two.r + 1, two.n)],
            alpha=two.alpha,
            power=two.power,
            p_stop=two.p_stop,
            expected_n=two.expected_n,
            p_go={strategy: two.p_go(p) for strategy, p in chances.items()},
            over_p={f"{p:g}": two.p_go(p) for p in _OVER},
        )
        for two in two_stages(p0, p1, alpha=table.alpha, power=table.power) or ()
    ]
