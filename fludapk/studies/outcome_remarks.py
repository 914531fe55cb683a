"""Remarks on an outcome: what the association cannot carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fludapk.answers.record import Remark, caution, note, worst_first
from fludapk.language import tr
from fludapk.patients.regimen import Regimen
from fludapk.published.outcome_files import OutcomeEntry
from fludapk.studies.grid import coarse_quantile
from fludapk.studies.outcome_readings import e_value, fraction_above, highest_ratio

if TYPE_CHECKING:
    from fludapk.studies.outcome import Question

_OFF_MIDDLE = 0.1
"""Distance of a ratio from the middle of its interval, in SD, from which it is remarked on."""


def outcome_remarks(question: Question) -> list[Remark]:
    """Return the remarks on an outcome, the worst first.

    Parameters
    ----------
    question : Question
    """
    remarks = [
        *_confounding(question),
        *_ceiling(question),
        *_reading(question),
        *_numbers(question),
        *_course(question),
    ]
    association = question.association
    if isinstance(association, OutcomeEntry):
        remarks += [note("caveat", tr(text), association.citation) for text in association.caveats]
        if association.printed_ratio:
            text = tr(
                "printed beside these incidences: {ratio}", ratio=tr(association.printed_ratio)
            )
            remarks.append(note("printed_ratio", text, association.citation))
    if question.table.transport:
        text = tr("the association is carried over to another disease or product: an assumption")
        remarks.append(caution("transport", text))
    if len(question.reference.outer):
        text = tr(
            "parameters of the model are drawn independently; estimates of non-renal clearance and "
            "of the renal slope are surely correlated, so these intervals are too wide"
        )
        remarks.append(note("independent_parameters", text))
    return worst_first(remarks)


def _is_predicted(question: Question) -> bool:
    return getattr(question.association, "auc", "") == "predicted"


def _confounding(question: Question) -> list[Remark]:
    """Remark on the ages of the groups of predicted AUC, and on what could explain the ratio."""
    association = question.association
    if not _is_predicted(question):
        return []
    counts = question.reference
    ages = counts.merged(counts.age_by_prediction.T, association.edges[:1]).T
    spreads = [[coarse_quantile(group, q) for q in (0.05, 0.5, 0.95)] for group in ages]
    if None in spreads[0] or None in spreads[1]:
        return []
    (a, b, c), (d, e, f) = spreads
    edge = association.edges[0]
    text = tr(
        "those predicted below {edge:g} are {a:.1f}-{c:.1f} years old (median {b:.1f}), those "
        "above {d:.1f}-{f:.1f} (median {e:.1f})",
        **{"edge": edge, "a": a, "b": b, "c": c, "d": d, "e": e, "f": f},
    )
    ratios = association.hazard_ratios or []
    if c is not None and e is not None and c < e:
        text += tr(": an effect of age cannot be told from one of exposure")
    values = [ratio for ratio in ratios if ratio.low is not None and ratio.high is not None]
    if values:
        ratio = values[0]
        nearest = ratio.low if ratio.value > 1 else ratio.high
        assert nearest is not None  # it has an interval
        crosses = (nearest - 1) * (ratio.value - 1) <= 0
        bound = 1.0 if crosses else e_value(nearest)
        text += tr(
            " (E-value {e_value:.1f}, of the interval {bound:.1f})",
            e_value=e_value(ratio.value),
            bound=bound,
        )
    return [caution("confounding", text)]


def _ceiling(question: Question) -> list[Remark]:
    """Remark on the highest ratio that exposure alone can show between predicted groups."""
    association, dilution, table = question.association, question.dilution, question.table
    ratios, incidence = association.hazard_ratios, association.incidence
    if not _is_predicted(question) or dilution is None or not ratios or incidence is None:
        return []
    if ratios[0].value <= 1 or ratios[0].log_sd == 0 or not 0 < dilution.predicted_low < 1:
        return []
    bound = highest_ratio(
        dilution, incidence=incidence.value, competing=table.competing,
        at_months=association.at_months, shape=table.shape,
    )  # fmt: skip
    share = fraction_above(ratios[0].value, ratios[0].log_sd, bound)
    text = tr(
        "a ratio above {bound:.1f} between predicted groups cannot come from exposure alone under "
        "this model (predicted below in {predicted:.0f} %, of whom {true:.0f} % truly are; of the "
        "others {others:.0f} %); {share:.0f} % of the published ratio's own distribution is above "
        "it: confounding, a chosen cut-point, smaller variability or chance must contribute",
        bound=bound,
        predicted=100 * dilution.predicted_low,
        true=100 * dilution.low_if_predicted_low,
        others=100 * dilution.low_if_predicted_high,
        share=100 * share,
    )
    return [caution("dilution", text)]


def _reading(question: Question) -> list[Remark]:
    """Remark on what the reading of the ratio leaves out."""
    if not _is_predicted(question):
        return []
    texts = {
        "true": tr(
            "the ratio was found between groups of predicted AUC and is used for true AUC: its "
            "dilution by patients in the wrong group is ignored, which is conservative"
        ),
        "predicted": tr(
            "the ratio is taken to belong to predicted AUC: dosing by covariates removes the whole "
            "effect, and what levels add is not defined"
        ),
        "corrected": tr(
            "the ratio is corrected for patients in the wrong group of predicted AUC: a point "
            "value only"
        ),
    }
    return [note("reading", texts[question.table.exposure])]


def _numbers(question: Question) -> list[Remark]:
    """Remark on numbers that are not what they seem."""
    table, association = question.table, question.association
    remarks = []
    rival = association.competing if isinstance(association, OutcomeEntry) else ""
    if table.competing:
        name = tr(rival) or tr("the competing event")
        text = tr(
            "{event} in {percent:g} % by {months:g} months: assumed",
            event=name,
            percent=100 * table.competing,
            months=association.at_months,
        )
        remarks.append(note("competing", text))
    elif rival:
        text = tr("{event} is left out (competing = 0): an assumption", event=tr(rival))
        remarks.append(note("competing", text))
    remarks += [
        caution("off_middle", tr(
            "the ratio {ratio:g} is {sd:.1f} SD off the middle of its interval {low:g}-{high:g}: "
            "check the numbers",
            ratio=ratio.value, sd=abs(ratio.off_middle), low=ratio.low, high=ratio.high,
        ))
        for ratio in association.hazard_ratios or ()
        if abs(ratio.off_middle) > _OFF_MIDDLE
    ]  # fmt: skip
    remarks += [
        note("no_interval", tr(
            "no interval is given with {value:g} ({source}): taken as certain",
            value=number.value, source=tr(number.source),
        ))
        for number in [association.incidence, *(association.group_incidences or ())]
        if number is not None and number.low is None and number.hits is None
        and question.table.n_draws
    ]  # fmt: skip
    return remarks


def _course(question: Question) -> list[Remark]:
    """Remark if the reference is not the course that the patients of the paper were given."""
    association, table = question.association, question.table
    strategy = next(s for s in question.scenario.strategies if s.id == table.reference)
    if not isinstance(association, OutcomeEntry) or association.course_mg_m2 is None:
        return []
    given: float | None = None
    if strategy.regimen is not None:
        regimen = Regimen.named(strategy.regimen)
        given = regimen.dose * regimen.days if regimen.unit == "mg/m2" else None
    elif strategy.dose is not None and strategy.days is not None:
        plan = Regimen.from_text(dose=strategy.dose, days=strategy.days)
        given = plan.dose * plan.days if plan.unit == "mg/m2" else None
    planned = given if strategy.kind == "fixed" else None
    if planned is not None and abs(planned / association.course_mg_m2 - 1) < 1e-6:
        return []
    text = tr(
        "{course} is not the course of the paper ({dose:g} mg/m2): its incidence is taken over",
        course=table.reference,
        dose=association.course_mg_m2,
    )
    return [caution("other_course", text)]
