"""Outcome of dosing strategies, if a published association with exposure is causal and holds here.

Only fractions of patients in groups of exposure enter, so everything follows from the counts of a
study, exactly and without a file of patients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import marked, tr
from fludapk.pk.effects import scrambled_normals
from fludapk.published.outcome_files import Association, Incidence, OutcomeEntry, cloglog
from fludapk.studies.counts import Counts
from fludapk.studies.outcome_hazards import (
    Hazards,
    arm_incidence,
    calibrate,
    from_group_incidences,
)
from fludapk.studies.outcome_readings import Dilution, corrected_ratio
from fludapk.studies.outcome_records import ArmOutcome, Estimate, OutcomeResult
from fludapk.studies.outcome_remarks import outcome_remarks
from fludapk.studies.outcome_source import association_of
from fludapk.studies.scenario import AdaptiveStrategy, Scenario
from fludapk.studies.scenario_outcome import CausalRange, OutcomeTable

READINGS: Final = ("predicted", "true", "corrected")
"""Readings of a hazard ratio between groups of predicted AUC."""


@dataclass(frozen=True, eq=False)
class Question:
    """Outcome that a scenario asks for, with the counts that answer it.

    Parameters
    ----------
    scenario : Scenario
    counts : sequence of Counts
        Counts of every strategy of the scenario under one truth.
    """

    scenario: Scenario
    counts: Sequence[Counts]

    @property
    def table(self) -> OutcomeTable:
        """Table of the scenario."""
        table = self.scenario.outcome
        if table is None:
            raise InputError("the scenario has no [outcome]")
        return table

    @property
    def association(self) -> Association:
        """Association with the numbers to compute with."""
        return association_of(self.table)

    @property
    def reference(self) -> Counts:
        """Counts of the reference strategy."""
        return self.of(self.table.reference)

    def of(self, strategy: str) -> Counts:
        """Return the counts of a strategy.

        Parameters
        ----------
        strategy : str
        """
        return next(counts for counts in self.counts if counts.strategy == strategy)

    def follows_levels(self, strategy: str) -> bool:
        """Tell if the doses of a strategy follow levels or the true patient.

        Parameters
        ----------
        strategy : str
        """
        table = next(s for s in self.scenario.strategies if s.id == strategy)
        return isinstance(table, AdaptiveStrategy)

    def shares(self, counts: Counts, stratum: int = 0, exposure: str = "true") -> F8:
        """Return (draws, groups): fractions in the groups of the association.

        Parameters
        ----------
        counts : Counts
        stratum : int
        exposure : {'predicted', 'true', 'corrected'}
        """
        edges = self.association.edges
        return counts.shares(edges, stratum, predicted=exposure == "predicted")

    def pooled(self, counts: Counts, stratum: int = 0, exposure: str = "true") -> F8:
        """Return (groups,): the same over all draws of parameters.

        Parameters
        ----------
        counts, stratum, exposure
            See `shares`.
        """
        return np.asarray(self.shares(counts, stratum, exposure).mean(axis=0))

    @property
    def dilution(self) -> Dilution | None:
        """Predicted against true groups under the reference; None unless there are two of each."""
        edges = self.association.edges
        if len(edges) != 1:
            return None
        true = self.reference.merged(self.reference.groups[:, 0].sum(axis=0), edges)
        groups = self.reference.merged(true.T, edges).T
        return Dilution.of(groups) if groups.sum(axis=1).all() else None

    def ratios(self, exposure: str, causal: float) -> F8 | None:
        """Return (groups,): hazard ratios after a reading and a causal fraction; None if none.

        Parameters
        ----------
        exposure : {'predicted', 'true', 'corrected'}
        causal : float
        """
        association, dilution = self.association, self.dilution
        if association.hazard_ratios is None:
            return None
        values = np.array([ratio.value for ratio in association.hazard_ratios])
        if exposure == "corrected":
            low = values[0] / values[1]
            incidence = association.incidence
            if dilution is None or incidence is None:
                return None
            ratio = corrected_ratio(
                low, dilution, incidence=incidence.value, competing=self.table.competing,
                at_months=association.at_months, shape=self.table.shape,
            )  # fmt: skip
            if ratio is None:
                return None
            values = np.array([ratio, 1.0])
        return np.asarray(values**causal)

    def hazards(
        self, exposure: str, causal: float, shape: float | None = None, ratios: F8 | None = None
    ) -> Hazards | None:
        """Return the hazards of the point value; None if a reading does not define them.

        Parameters
        ----------
        exposure : {'predicted', 'true', 'corrected'}
        causal : float
        shape : float, optional
            That of the scenario if absent.
        ratios : (m, groups), optional
            Hazard ratios instead of the published ones; `causal` does not change them.
        """
        association = self.association
        shape = self.table.shape if shape is None else shape
        q = self.pooled(self.reference, 0, exposure)
        at = {"competing": self.table.competing, "at_months": association.at_months}
        if association.group_incidences is not None:
            if exposure == "corrected":
                return None
            points = np.array([incidence.point for incidence in association.group_incidences])
            return _faded(from_group_incidences(q, points, shape=shape, **at), q, causal, at)
        ratios = self.ratios(exposure, causal) if ratios is None else ratios
        if ratios is None or association.incidence is None:
            return None
        return calibrate(q, ratios, incidence=association.incidence.value, shape=shape, **at)

    def drawn_hazards(self) -> tuple[Hazards, F8]:
        """Return the hazards of every draw of what is uncertain, and its causal fraction."""
        table, association = self.table, self.association
        n, edges = table.n_draws, association.edges
        z = scrambled_normals(self.scenario.seed, 0, n, len(edges) + 3)
        by_draw = self.shares(self.reference, 0, table.exposure)
        q = by_draw[np.arange(n) % len(by_draw)]
        causal = np.full(n, table.causal_point)
        if isinstance(table.causal, CausalRange):
            causal = table.causal.low + (table.causal.high - table.causal.low) * _uniform(z[:, 0])
        at = {"competing": table.competing, "at_months": association.at_months}
        if association.group_incidences is not None:
            c = np.column_stack(
                [_drawn(i, z[:, k + 1]) for k, i in enumerate(association.group_incidences)]
            )
            most = (1 - table.competing) * (1 - 1e-9)
            hazards = from_group_incidences(q, np.minimum(c, most), shape=table.shape, **at)
            return _faded(hazards, q, causal[:, None], at), causal
        assert association.hazard_ratios is not None  # one of the two is there: checked
        assert association.incidence is not None
        logs = np.column_stack(
            [
                math.log(ratio.value) + ratio.log_sd * z[:, k + 2]
                for k, ratio in enumerate(association.hazard_ratios)
            ]
        )
        c = np.minimum(_drawn(association.incidence, z[:, 1]), (1 - table.competing) * 0.9999)
        ratios = np.exp(causal[:, None] * logs)
        return calibrate(q, ratios, incidence=c, shape=table.shape, **at), causal


def _faded(hazards: Hazards, q: F8, causal: F8 | float, at: dict[str, float]) -> Hazards:
    """Return hazards of groups whose differences are causal in part, with the same mean incidence.

    The group with the most patients is the one that others are compared with.
    """
    if np.all(np.asarray(causal) == 1.0):
        return hazards
    shares = np.atleast_2d(q)
    largest = int(np.argmax(shares.mean(axis=0)))
    ratios = (hazards.event / hazards.event[:, largest : largest + 1]) ** causal
    mean = arm_incidence(q, hazards, at["at_months"])
    return calibrate(q, ratios, incidence=mean, shape=hazards.shape, **at)


def _uniform(z: F8) -> F8:
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def _drawn(incidence: Incidence, z: F8) -> F8:
    """Draw an incidence as uncertain as it is printed, from standard normals."""
    from scipy.special import betaincinv

    if incidence.hits is not None and incidence.n is not None:
        shapes = incidence.hits + 0.5, incidence.n - incidence.hits + 0.5
        return np.asarray(betaincinv(*shapes, _uniform(z)))
    sd = incidence.cloglog_sd
    return np.asarray(-np.expm1(-np.exp(cloglog(incidence.value) + sd * z)))


# ------------------------------------------------------------------ the result


def reference_faults(question: Question) -> list[str]:
    """Return why no outcome can be calibrated to the reference strategy.

    Parameters
    ----------
    question : Question
    """
    table, association = question.table, question.association
    exposures = {table.exposure, "predicted"} if table.exposure == "corrected" else {table.exposure}
    words = {"predicted": "predicted ", "true": "", "corrected": ""}
    faults = []
    for exposure in sorted(exposures):
        q = question.pooled(question.reference, 0, exposure)
        for group, share in zip(association.groups, q, strict=True):
            if not share > 0:
                faults.append(
                    f"outcome: nobody is {words[exposure]}{group} under {table.reference}: "
                    "the incidence cannot be divided between the groups"
                )
    if association.incidence is not None and association.group_incidences is None:
        total = association.incidence.value + table.competing
        if total >= 1:
            faults.append(
                f"outcome: incidence {association.incidence.value:g} and competing "
                f"{table.competing:g} leave nobody without an event"
            )
    if table.exposure == "corrected" and not faults and question.hazards("corrected", 1.0) is None:
        faults.append(
            "outcome: no ratio between groups of true AUC shows as the published one between "
            "predicted groups under this model (or the association has other than two groups with "
            "hazard ratios): take another exposure"
        )
    return faults


def outcome_of(scenario: Scenario, counts: Sequence[Counts]) -> OutcomeResult:
    """Compute the outcome of every strategy under one truth.

    Parameters
    ----------
    scenario : Scenario
        With a table `outcome`.
    counts : sequence of Counts
        Counts of its strategies under one truth.

    Raises
    ------
    InputError
        If the published incidence cannot be calibrated to the reference strategy.
    """
    question = Question(scenario, counts)
    faults = reference_faults(question)
    if faults:
        raise InputError(*faults)
    table, association = question.table, question.association
    exposure = table.exposure
    hazards = question.hazards(exposure, table.causal_point)
    if hazards is None:
        raise InputError(f"outcome: exposure = {exposure!r} does not define this outcome")
    draws = question.drawn_hazards()[0] if table.n_draws else None
    others = _other_readings(question)
    arms = [
        _arm(question, one, stratum, hazards, draws, others)
        for stratum in range(len(question.reference.strata))
        for one in counts
    ]
    entry = association if isinstance(association, OutcomeEntry) else None
    return OutcomeResult(
        model=question.reference.truth,
        title=f"{entry.name} ({entry.id})" if entry else tr("association of the scenario"),
        event=tr(association.event),
        competing_event=tr(entry.competing) if entry else tr("competing event"),
        who=tr(entry.who) if entry else "",
        auc_by=tr(entry.auc_by) if entry else getattr(association, "auc", ""),
        at_months=association.at_months,
        reference=table.reference,
        groups=association.groups,
        ratios=[Estimate(value=r.value, low=r.low, high=r.high)
                for r in association.hazard_ratios or ()],
        group_incidences=[Estimate(value=i.value, low=i.low, high=i.high)
                          for i in association.group_incidences or ()],
        used_ratios=_used_ratios(hazards, association),
        incidence=_published_incidence(question, hazards),
        competing=table.competing,
        exposure=exposure,
        causal=[table.causal.low, table.causal.high] if isinstance(table.causal, CausalRange)
        else [table.causal],
        shape=table.shape,
        event_hazards=hazards.event[0].tolist(),
        competing_hazard=float(hazards.competing[0, 0]),
        draws=table.n_draws,
        includes_parameters=len(question.reference.outer) > 0,
        arms=arms,
        remarks=outcome_remarks(question),
        citation=entry.citation if entry else getattr(association, "source", ""),
    )  # fmt: skip


def _used_ratios(hazards: Hazards, association: Association) -> list[float]:
    group = association.reference_group or 0
    ratios: list[float] = (hazards.event[0] / hazards.event[0, group]).tolist()
    return ratios


def _published_incidence(question: Question, hazards: Hazards) -> Estimate:
    published = question.association.incidence
    if published is not None and question.association.group_incidences is None:
        return Estimate(value=published.value, low=published.low, high=published.high)
    q = question.pooled(question.reference, 0, question.table.exposure)
    implied = arm_incidence(q, hazards, question.association.at_months)
    return Estimate(value=float(implied[0]))


def _other_readings(question: Question) -> dict[str, tuple[str, Hazards | None]]:
    """Return exposure and hazards of the readings beside the one that is used."""
    table = question.table
    named: dict[str, tuple[str, float]] = {
        name: (name, table.causal_point) for name in READINGS if name != table.exposure
    }
    if question.association.group_incidences is not None:
        named.pop("corrected", None)
    named[marked("half causal")] = (table.exposure, 0.5 * table.causal_point)
    result: dict[str, tuple[str, Hazards | None]] = {}
    for name, (exposure, causal) in named.items():
        q = question.pooled(question.reference, 0, exposure)
        usable = bool(np.all(q > 0))
        result[name] = exposure, question.hazards(exposure, causal) if usable else None
    return result


def _arm(
    question: Question,
    counts: Counts,
    stratum: int,
    hazards: Hazards,
    draws: Hazards | None,
    others: dict[str, tuple[str, Hazards | None]],
) -> ArmOutcome:
    """Return the outcome of a strategy in a stratum."""
    table, months = question.table, question.association.at_months
    follows = question.follows_levels(counts.strategy)
    p = question.pooled(counts, stratum, table.exposure)
    readings = {
        name: None
        if with_reading is None or (exposure == "predicted" and follows)
        else _value(question.pooled(counts, stratum, exposure), with_reading, months)
        for name, (exposure, with_reading) in others.items()
    }
    named = {"strategy": counts.strategy, "stratum": counts.strata[stratum]}
    shares = [] if np.isnan(p).any() else p.tolist()
    if follows and table.exposure == "predicted":
        why = tr("the ratio belongs to predicted AUC: what levels change is not defined")
        nothing = Estimate(value=None)
        return ArmOutcome(
            **named, shares=shares, incidence=nothing, difference=nothing, readings=readings,
            undefined=why,
        )  # fmt: skip
    if not shares:
        nothing = Estimate(value=None)
        return ArmOutcome(
            **named, shares=[], incidence=nothing, difference=nothing,
            readings=dict.fromkeys(readings), undefined=tr("nobody is given a dose"),
        )  # fmt: skip
    reference = question.pooled(question.reference, stratum, table.exposure)
    has_reference = not np.isnan(reference).any()
    value = _value(p, hazards, months)
    against = _value(reference, hazards, months) if has_reference else None
    incidence = Estimate(value=value)
    difference = Estimate(value=None if against is None else value - against)
    if draws is not None:
        by_arm, by_reference = (
            arm_incidence(
                _by_draw(question.shares(one, stratum, table.exposure), len(draws.event)),
                draws,
                months,
            )
            for one in (counts, question.reference)
        )
        incidence = _with_interval(value, by_arm)
        if counts is not question.reference and against is not None:
            difference = _with_interval(value - against, by_arm - by_reference)
    return ArmOutcome(
        **named, shares=shares, incidence=incidence, difference=difference, readings=readings
    )


def _by_draw(shares: F8, n: int) -> F8:
    """Return the fractions that belong to each draw of what is uncertain."""
    return np.asarray(shares[np.arange(n) % len(shares)])


def _value(shares: F8, hazards: Hazards, months: float) -> float:
    return float(arm_incidence(shares, hazards, months)[0])


def _with_interval(value: float, drawn: F8) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))
