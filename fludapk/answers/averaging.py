"""Averages over the published models that apply to a patient: a choice, never the default.

A target is bound to the model that it was found with, so that an average answers another question:
what to expect if each of these models may be right for this patient.

References
----------
Uster et al. 2021, Clin Pharmacol Ther 109:175, doi 10.1002/cpt.2065.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np

from fludapk.answers.check_answer import Answer, input_hash
from fludapk.answers.check_records import (
    CheckResult,
    ExposureRecord,
    LabelByWeight,
    LabelRecord,
    MemberRecord,
    target_record,
)
from fludapk.answers.headline import (
    COVARIATES_ONLY,
    Headline,
    Simulated,
    auc_text,
    headline_of,
    leading_of,
    notes_in_headline,
)
from fludapk.answers.prediction import LOG2_POINTS, Prediction
from fludapk.answers.record import Remark, Row, caution, hash_of, note, worst_first
from fludapk.answers.simulation import simulated
from fludapk.arrays import F8
from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.model_weights import weighted_by
from fludapk.patients.request import Request
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import Step
from fludapk.published.models import AVERAGED
from fludapk.published.targets import bounds, flag, targets


@dataclass(frozen=True, eq=False)
class Blend:
    """Predictions of one patient by several models, and their weights.

    Parameters
    ----------
    predictions : sequence of Prediction
        The one with the highest weight first.
    weights : (n,)
        With a sum of 1.
    """

    predictions: Sequence[Prediction]
    weights: F8

    @classmethod
    def of(cls, predictions: Sequence[Prediction], typed: Mapping[str, float]) -> Blend:
        """Weigh the models that apply to a patient.

        Parameters
        ----------
        predictions : sequence of Prediction
            By every model that applies.
        typed : mapping of str to float
            Model -> weight; empty for equal ones.

        Raises
        ------
        InputError
            If no model applies, or none of those that have a weight.
        """
        weights = {p.model.id: typed.get(p.model.id, 0.0 if typed else 1.0) for p in predictions}
        kept = sorted(
            (p for p in predictions if weights[p.model.id] > 0.0),
            key=lambda p: -weights[p.model.id],
        )
        if not kept:
            found = tr("no model applies to this patient: nothing to average")
            if typed:
                found = tr("no model with a weight applies to this patient: nothing to average")
            raise InputError(Fault("model", found, do=tr("name one model"), whole=True))
        own = np.array([weights[p.model.id] for p in kept])
        return cls(kept, own / own.sum())

    @property
    def lead(self) -> Prediction:
        """The prediction with the highest weight."""
        return self.predictions[0]

    def simulated(self, log2_points: int = LOG2_POINTS) -> Simulated:
        """Simulate courses by every model, weighted."""
        return pooled([simulated(p, log2_points) for p in self.predictions], self.weights)


def pooled(shown: Sequence[Simulated], weights: F8) -> Simulated:
    """Pool simulated courses of several models.

    Parameters
    ----------
    shown : sequence of Simulated
    weights : (models,)
        With a sum of 1.
    """
    if len(shown) == 1:  # nothing is pooled: chance and interval are those of the model
        return replace(shown[0], model=AVERAGED)
    own = [
        weight * (np.full(len(s.drawn), 1.0 / len(s.drawn)) if s.weights is None else s.weights)
        for s, weight in zip(shown, weights.tolist(), strict=True)
    ]
    uncertain = [s.drawn if s.uncertain is None else s.uncertain for s in shown]
    is_uncertain = any(s.uncertain is not None for s in shown)
    return Simulated(
        model=AVERAGED,
        auc_0_inf=float(weights @ [s.auc_0_inf for s in shown]),
        drawn=np.concatenate([s.drawn for s in shown]),
        uncertain=np.concatenate(uncertain) if is_uncertain else None,
        weights=np.concatenate(own),
    )


class AveragedAnswer:
    """Average of the answers of several models, as an `Answer` is of one.

    Parameters
    ----------
    request : Request
    answers : sequence of Answer
        By each model of `blend`, in its order.
    blend : Blend
    """

    model_id: Final = AVERAGED

    def __init__(self, request: Request, answers: Sequence[Answer], blend: Blend) -> None:
        self._request, self._answers, self._blend = request, answers, blend
        self.patient, self.regimen, self.course = blend.lead.case

    @property
    def headline(self) -> Headline:
        """Headline of the average."""
        return self._brief.headline

    @property
    def model_sha256(self) -> str:
        """Hash of the files of all models."""
        return self._brief.provenance.model_sha256

    @staticmethod
    def columns(answers: Sequence[AveragedAnswer]) -> list[Sequence[Any]]:
        """Return the results of some answers as columns, in the order of `result_columns`."""
        return list(zip(*(answer.row().values() for answer in answers), strict=True))

    def row(self) -> Row:
        """Return the row of a list by the names of its columns."""
        return self._brief.rows()[0]

    def result(self, *, trail: bool = True) -> CheckResult:
        """Return the whole result; see `Answer.result`."""
        return averaged_result(
            [answer.result(trail=trail) for answer in self._answers],
            self._blend,
            [answer.shown for answer in self._answers],
            input_hash(self._request),
            weighted_by(self._request.model),
        )

    @cached_property
    def _brief(self) -> CheckResult:
        return self.result(trail=False)


AnyAnswer: TypeAlias = Answer | AveragedAnswer
"""Answer by a model, or by the average of several."""


def averaged_result(
    results: Sequence[CheckResult],
    blend: Blend,
    each: Sequence[Simulated],
    input_sha256: str,
    typed: Collection[str] = (),
) -> CheckResult:
    """Average checks of one course by several models.

    Parameters
    ----------
    results : sequence of CheckResult
        By each model of `blend`, in its order.
    blend : Blend
    each : sequence of Simulated
        Simulated patients by each model.
    input_sha256 : str
        Hash of what was asked.
    typed : collection of str
        Models that were given a weight.
    """
    lead, shown, case = results[0], pooled(each, blend.weights), blend.lead.case
    target = leading_of(case.patient, case.regimen)
    members = member_records(each, blend, target)
    said = [remark for result in results for remark in result.remarks]
    own = [_averaged(members, lead, typed), *_left_out(members, lead, typed)]
    remarks = list(dict.fromkeys(worst_first([*said, *own])))
    exposure = _exposure([result.exposure for result in results], blend.weights, shown)
    return replace(
        lead,
        headline=averaged_headline(remarks, target, shown, blend, [tr(COVARIATES_ONLY)]),
        remarks=remarks,
        model=AVERAGED,
        model_title=tr("average over the models that apply"),
        model_citation="; ".join(result.model_citation for result in results),
        exposure=exposure,
        flag=flag(shown.auc_0_inf),
        targets=[target_record(entry, shown, case) for entry in targets().values()],
        models_agree=len({flag(m.auc_0_inf) for m in members} | {flag(shown.auc_0_inf)}) == 1,
        averaged=members,
        label_rules=[
            _scaled(rule, shown.auc_0_inf / lead.exposure.auc_0_inf) for rule in lead.label_rules
        ],
        reading_note=next((r.reading_note for r in results if r.reading_note), None),
        trail=_trail(results, members),
        provenance=replace(
            lead.provenance,
            model_sha256=hash_of({member.model: member.sha256 for member in members}),
            input_sha256=input_sha256,
        ),
        source=blend,
    )


def member_records(
    shown: Sequence[Simulated],
    blend: Blend,
    target: TargetEntry | None,
    prior: Mapping[str, float] | None = None,
) -> list[MemberRecord]:
    """Record every model of an average beside it.

    Parameters
    ----------
    shown : sequence of Simulated
        By each model, in the order of `blend`.
    blend : Blend
    target : TargetEntry, optional
        Target that leads the answer.
    prior : mapping of str to float, optional
        Model -> weight before levels; those of `blend` if absent.
    """
    records = []
    for one, prediction, weight in zip(
        shown, blend.predictions, blend.weights.tolist(), strict=True
    ):
        chances: tuple[float | None, ...] = (None, None, None)
        if target is not None:
            chances = one.chance(*bounds(target))
        records.append(
            MemberRecord(
                model=prediction.model.id,
                name=prediction.model.file.citation.name,
                weight=weight,
                prior_weight=weight if prior is None else prior[prediction.model.id],
                auc_0_inf=one.auc_0_inf,
                auc_0_inf_pi90=one.interval(),
                p_below=chances[0],
                p_within=None if target is None or target.optimum is not None else chances[1],
                p_above=chances[2],
                sha256=prediction.model.sha256,
            )
        )
    return records


def averaged_headline(
    remarks: Sequence[Remark],
    target: TargetEntry | None,
    shown: Simulated,
    blend: Blend,
    notes: Sequence[str] = (),
    *,
    no_chance: str = "",
) -> Headline:
    """Put the headline of an average together; parameters as in `headline_of`."""
    names = tr(" and ").join(p.model.file.citation.name for p in blend.predictions)
    first = tr("Averaged over {models}", models=names)
    if target is not None and not no_chance:
        first = tr(
            "Averaged over {models}; {target} was found with {model}",
            models=names,
            target=target.name,
            model=target.derived_with,
        )
    alone = len(blend.predictions) == 1
    own = [*([] if alone else [first]), *notes_in_headline(remarks, ("averaged_alone",))]
    headline = headline_of(remarks, target, shown, notes=[*own, *notes], no_chance=no_chance)
    warnings = (p.model.not_shipped for p in blend.predictions)
    return headline.preceded_by(dict.fromkeys(filter(None, warnings)))


def _left_out(
    members: Sequence[MemberRecord], lead: CheckResult, typed: Collection[str]
) -> list[Remark]:
    """Name models without a part: other readings of what is averaged, and those with a weight."""
    inside, remarks = {member.model for member in members}, []
    for row in lead.sensitivity:
        if row.model in inside or not (row.reading_of in inside or row.model in typed):
            continue
        if row.reading_of:
            message = tr(
                "{model} has no part in the average: another reading of {other}, and a paper "
                "counts once",
                model=row.model,
                other=row.reading_of,
            )
        else:
            message = tr(
                "{model} has no part in the average: it does not apply to this patient ({reason})",
                model=row.model,
                reason=row.reason,
            )
        if row.model in typed:
            message = tr("{message}. Its weight went to the others", message=message)
            remarks.append(caution("averaged_without", message))
        else:
            remarks.append(note("averaged_without", message))
    return remarks


def _averaged(members: Sequence[MemberRecord], lead: CheckResult, typed: Collection[str]) -> Remark:
    """Remark on what was averaged."""
    if len(members) == 1:
        if typed:
            alone = tr(
                "only {model} has a weight and applies to this patient: nothing is averaged",
                model=members[0].model,
            )
        else:
            alone = tr(
                "only {model} applies to this patient: nothing is averaged", model=members[0].model
            )
        return caution("averaged_alone", alone)
    listed = "; ".join(
        tr(
            "{model} (weight {weight:.2g}) AUC {auc} mg·h/L",
            model=member.name,
            weight=member.weight,
            auc=auc_text(member.auc_0_inf),
        )
        for member in members
    )
    inside = {member.model for member in members}
    left = [
        row.name
        for row in lead.sensitivity
        if row.applies and row.reading_of is None and row.model not in inside
    ]
    message = tr("averaged, as asked: {models}", models=listed)
    if left:
        message = tr(
            "averaged, as asked: {models}. Without a weight: {left}",
            models=listed,
            left=", ".join(left),
        )
    return note("averaged", message)


def _exposure(records: Sequence[ExposureRecord], weights: F8, shown: Simulated) -> ExposureRecord:
    """Average every number of an exposure; the interval is that of the pooled courses."""

    def mean(name: str) -> Any:
        values = [getattr(record, name) for record in records]
        if name == "auc_0_inf_other_basis":  # where one is open, the others stay as they are
            if all(value is None for value in values):
                return None
            values = [r.auc_0_inf if v is None else v for r, v in zip(records, values, strict=True)]
        if any(value is None for value in values):
            return None
        average = weights @ np.array(values)
        return average.tolist() if average.ndim else float(average)

    numbers = {part.name: mean(part.name) for part in fields(ExposureRecord)}
    numbers["auc_0_inf_pi90"] = shown.interval()
    numbers["auc_0_inf_uncertain_pi90"] = (
        None if shown.uncertain is None else shown.interval(wide=True)
    )
    return ExposureRecord(**numbers)


def _scaled(rule: LabelRecord, ratio: float) -> LabelRecord:
    """Multiply the AUCs of a label rule."""

    def times(row: LabelRecord | LabelByWeight) -> float | None:
        return None if row.auc_0_inf is None else row.auc_0_inf * ratio

    by_weight = [replace(row, auc_0_inf=times(row)) for row in rule.by_weight]
    return replace(rule, auc_0_inf=times(rule), by_weight=by_weight)


def _trail(results: Sequence[CheckResult], members: Sequence[MemberRecord]) -> list[Step]:
    """List the calculation of every model, then the average; what they share is there once."""
    if not results[0].trail:
        return []
    shared = [step for step in results[0].trail if all(step in r.trail for r in results)]
    steps = list(shared)
    for result in results:
        own = [step for step in result.trail if step not in shared]
        steps += [
            replace(step, by=": ".join(part for part in (result.model, step.by) if part))
            for step in own
        ]
    if len(members) == 1:
        return list(results[0].trail)
    how = " + ".join(f"{member.weight:.3g} × {member.auc_0_inf:.4g}" for member in members)
    auc = sum(member.weight * member.auc_0_inf for member in members)
    return [*steps, Step("AUC0-inf", auc, "mg·h/L", AVERAGED, how)]
