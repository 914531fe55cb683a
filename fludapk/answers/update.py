"""Measured levels of one patient: the exposure to expect now, and the doses that are left.

`update` computes; its result is the JSON of ``fludapk update --json`` (``fludapk.update/2``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fludapk._version import __version__
from fludapk.answers.agreement import (
    by_other_models,
    misfit_in_short,
    surprises_of,
    without_each,
)
from fludapk.answers.averaging import Blend, averaged_headline, member_records, pooled
from fludapk.answers.check import check_request
from fludapk.answers.check_records import CheckResult, TargetRecord, target_record
from fludapk.answers.draws import effect_records, posterior_draws
from fludapk.answers.fit import SEED, Fit, fit
from fludapk.answers.goal import Goal
from fludapk.answers.headline import Headline, Simulated, headline_of, leading_of, notes_in_headline
from fludapk.answers.record import Remark, hash_of, note, worst_first
from fludapk.answers.remaining import remaining_dose
from fludapk.answers.update_records import (
    LevelRecord,
    ParameterRecord,
    PosteriorRecord,
    UpdateProvenance,
    UpdateResult,
)
from fludapk.answers.update_remarks import UpdateFacts, remarks_of_update, stops_of
from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import tr
from fludapk.patients.clock import Moment, by_clock
from fludapk.patients.course import TypedDose, given_of
from fludapk.patients.level import Level, TypedLevel, levels_of
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import individual_parameters
from fludapk.pk.posterior import model_weights
from fludapk.pk.program import SLOTS
from fludapk.published.models import AVERAGED, DEFAULT_MODEL, is_averaged
from fludapk.published.targets import flag, prediction_interval, targets

# ------------------------------------------------------------------ the computation


def update(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[TypedLevel],
    *,
    given: Sequence[TypedDose] = (),
    first_dose: Moment | None = None,
    time_zone: str | None = None,
    exclude_level: Sequence[int | str] = (),
    confirm: str | Sequence[str] = (),
    goal: Goal | None = None,
    auc: float | None = None,
    window: tuple[float, float] | None = None,
    target: str | None = None,
    probability: float | None = None,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    draws: int | None = None,
    folders: Sequence[Path] | None = None,
) -> UpdateResult:
    """Put measured levels of a patient to use.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
        As planned.
    levels : sequence of Level, str or (time, concentration)
        ``"2h 0.62mg/L"``, or ``"24h <0.01mg/L"`` below the limit of quantification. With
        `first_dose` also ``"2026-01-14 10:30 0.62 mg/L"``, or a datetime and ``"0.62 mg/L"``.
    given : sequence of GivenDose, (start, length h, mg) or str, optional
        Doses as they were given, ``"24.5h 22mg"`` or ``"2026-01-15 09:00 22mg"``; later ones are as
        planned, by as much later as the last given one was. If absent, doses that start before the
        last level were given as planned.
    first_dose : str or datetime, optional
        Date and time of the start of the first infusion, from which clock times are counted.
    time_zone : str, optional
        Of clock times without an offset from UTC, ``"Europe/Berlin"``. Without it hours are counted
        as the clock showed.
    exclude_level : sequence of int, optional
        Levels to leave out, counted as given, from 1. They are named in the remarks.
    confirm : str or sequence of str, optional
        ``"level"`` for levels before the first dose or long after the last that are refused as
        unlikely.
    goal : Goal, optional
        For the doses that are left; or its parts `auc`, `window`, `target` and `probability`, as in
        `fludapk.answers.dose.find_dose`.
    model : str
    round_to_mg : float, optional
        Doses are multiples of this many mg; the remaining doses of 1 mg if absent.
    strict : bool
        Refuse a patient outside the studied range of the model.
    draws : int, optional
        Number of equally likely draws of the posterior to give.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If something is missing or impossible, or must be confirmed.
    ConvergenceError
        If no most likely patient is found.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> result = update(girl, plan, ["1h 1.0mg/L", "2h 0.6mg/L", "7h 0.2mg/L"])
    >>> result.prior.flag, result.flag
    ('below', 'met')
    >>> times = ["2026-01-14 09:30 1.0mg/L", "2026-01-14 10:30 0.6mg/L", "14.01.2026 15:30 0.2mg/L"]
    >>> again = update(girl, plan, times, first_dose="2026-01-14 08:30")
    >>> again.posterior == result.posterior
    True
    """
    (measured, doses), aim = gathered(
        lambda: by_clock(
            first_dose,
            time_zone,
            lambda clock: levels_of(levels, clock),
            lambda clock: given_of(given, regimen.infusion_h, clock),
        ),
        lambda: Goal.if_any(goal, auc=auc, window=window, target=target, probability=probability),
    )
    return answer_levels(
        patient,
        regimen,
        measured,
        goal=aim,
        draws=draws,
        given=doses,
        exclude_level=exclude_level,
        confirm=[confirm] if isinstance(confirm, str) else confirm,
        model=model,
        round_to_mg=round_to_mg,
        strict=strict,
        folders=folders,
    )


def answer_levels(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    *,
    model: str = DEFAULT_MODEL,
    goal: Goal | None = None,
    draws: int | None = None,
    **options: Any,
) -> UpdateResult:
    """Put levels that were read to use, by one model or averaged over those that apply.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
    levels : sequence of Level
    model : str
    goal : Goal, optional
        For the doses that are left.
    draws : int, optional
        Number of draws of the posterior to give; by one model only.
    **options
        As in `fludapk.answers.fit.fit`.
    """
    if not is_averaged(model):
        return result_of(fit(patient, regimen, levels, model=model, **options), goal, draws=draws)
    if draws is not None:
        do = tr("name one model")
        raise InputError(Fault("draws", tr("are of one model, not of an average"), do=do))
    request = Request(
        patient=patient, regimen=regimen, model=model, round_to_mg=options.get("round_to_mg")
    )
    prior = check_request(request, folders=options.get("folders"))
    weights = {member.model: member.weight for member in prior.averaged or ()}
    fits = [fit(patient, regimen, levels, model=name, **options) for name in weights]
    likelihoods = [fitted.posterior.log_marginal_likelihood for fitted in fits]
    posterior = model_weights(likelihoods, list(weights.values()))
    order = np.argsort(-posterior, kind="stable")
    return _averaged([fits[k] for k in order], posterior[order], prior, goal)


def _averaged(
    fits: Sequence[Fit], weights: F8, prior: CheckResult, goal: Goal | None
) -> UpdateResult:
    """Average what several models make of the levels, by how well they explain them.

    Parameters
    ----------
    fits : sequence of Fit
        The one with the highest weight first.
    weights : (models,)
        Given the levels.
    prior : CheckResult
        Average before them.
    goal : Goal, optional
    """
    results = [result_of(fitted) for fitted in fits]
    lead, first = results[0], fits[0]
    drawn = [_simulated(fitted) for fitted in fits]
    shown, blend = pooled(drawn, weights), Blend([x.prediction for x in fits], weights)
    target = leading_of(*first.prediction.case[:2])
    before = {member.model: member.weight for member in prior.averaged or ()}
    members = member_records(drawn, blend, target, before)
    probability_se = max(result.provenance.probability_se for result in results)
    proposal = remaining_dose(fits, weights, goal, probability_se)
    stops = stops_of(first)
    remaining = None if stops else proposal
    own = remarks_of_update(
        UpdateFacts(
            fit=first, goal=goal, remaining=remaining, surprises=lead.surprises, stops=stops
        )
    )
    others = [remark for result in results[1:] for remark in result.remarks]
    listed = ", ".join(
        tr(
            "{model} {weight:.2g} (before {prior:.2g})",
            model=m.name,
            weight=m.weight,
            prior=m.prior_weight,
        )
        for m in members
    )
    said = note(
        "averaged",
        tr(
            "averaged, as asked, weighted by how well levels are explained: {models}", models=listed
        ),
    )
    others += [remark for remark in prior.remarks if remark.code == "averaged_without"]
    others = [remark for remark in others if remark.severity != "stop"]
    remarks = list(dict.fromkeys(worst_first([*own, *others, said])))
    no_chance = "" if first.fits else lead.headline.sentence
    return replace(
        lead,
        headline=averaged_headline(
            remarks, target, shown, blend,
            notes_in_headline(remarks, _IN_THE_HEADLINE), no_chance=no_chance,
        ),
        remarks=remarks,
        model=AVERAGED,
        model_citation="; ".join(result.model_citation for result in results),
        prior=prior,
        averaged=members,
        posterior=_averaged_posterior(results, fits, weights, shown),
        flag=flag(shown.auc_0_inf) if first.fits else None,
        targets=_target_records(first, shown) if first.fits else [],
        remaining=remaining,
        would_give=proposal if stops else None,
        by_models=[],  # they are what is averaged
        provenance=replace(
            lead.provenance,
            model_sha256=hash_of({member.model: member.sha256 for member in members}),
            input_sha256=hash_of([prior.provenance.input_sha256, lead.provenance.input_sha256]),
            draws=sum(result.provenance.draws for result in results),
            probability_se=probability_se,
        ),
        source=first,
    )  # fmt: skip


def _averaged_posterior(
    results: Sequence[UpdateResult], fits: Sequence[Fit], weights: F8, shown: Simulated
) -> PosteriorRecord:
    """Exposure so far and of the course, averaged."""
    records = [result.posterior for result in results]
    now = np.array([records[0].now_h])
    so_far = [x.prediction.concentrations(x.posterior.effects, now)[1][:, 0] for x in fits]
    sizes = np.array([record.effective_size for record in records])
    return replace(
        records[0],
        auc_so_far=float(weights @ [record.auc_so_far for record in records]),
        auc_so_far_pi90=prediction_interval(np.concatenate(so_far), weights=shown.weights),
        auc_0_inf=shown.auc_0_inf,
        auc_0_inf_pi90=shown.interval(),
        draws=len(shown.drawn),
        effective_size=float(1.0 / np.sum(weights**2 / sizes)),
    )


def result_of(fitted: Fit, goal: Goal | None = None, *, draws: int | None = None) -> UpdateResult:
    """Read a fit: the course, and with a goal the doses that are left.

    Parameters
    ----------
    fitted : Fit
    goal : Goal, optional
        For the doses that are left.
    draws : int, optional
        Number of draws of the posterior to give.
    """
    drawn = _simulated(fitted)
    posterior, prediction = fitted.posterior, fitted.prediction
    probability_se = posterior.probability_se(drawn.drawn)
    surprises = surprises_of(fitted)
    stops = stops_of(fitted)
    proposal = remaining_dose([fitted], np.ones(1), goal, probability_se)
    remaining = None if stops else proposal
    remarks = remarks_of_update(
        UpdateFacts(fit=fitted, goal=goal, remaining=remaining, surprises=surprises, stops=stops)
    )
    return UpdateResult(
        headline=_headline(fitted, remarks, drawn),
        remarks=remarks,
        model=prediction.model.id,
        model_citation=prediction.model.file.citation.short,
        prior=fitted.prior,
        averaged=None,
        levels=_level_records(fitted),
        parameters=_parameter_records(fitted),
        effects=effect_records(fitted),
        posterior=_posterior_record(fitted, drawn),
        flag=flag(drawn.auc_0_inf) if fitted.fits else None,
        targets=_target_records(fitted, drawn) if fitted.fits else [],
        remaining=remaining,
        would_give=proposal if stops else None,
        without=without_each(fitted) if surprises or not fitted.fits else [],
        surprises=surprises,
        draws=None
        if draws is None
        else {name: column.tolist() for name, column in posterior_draws(fitted, draws).items()},
        by_models=by_other_models(fitted),
        provenance=UpdateProvenance(
            version=__version__,
            model_sha256=prediction.model.sha256,
            input_sha256=_input_hash(fitted, goal),
            seed=SEED,
            draws=len(posterior.weights),
            probability_se=probability_se,
            excluded_levels=list(fitted.measured.excluded),
        ),
        source=fitted,
    )


def _simulated(fitted: Fit) -> Simulated:
    """AUC of the course as planned: the most likely one, and weighted draws."""
    doses = np.array(fitted.course.doses_mg)
    return Simulated(
        model=fitted.prediction.model.id,
        auc_0_inf=float(fitted.auc(fitted.estimate.effects, doses)[0]),
        drawn=fitted.auc(fitted.posterior.effects, doses),
        weights=fitted.posterior.weights,
    )


def _headline(fitted: Fit, remarks: Sequence[Remark], drawn: Simulated) -> Headline:
    """Headline of an update: the chance by the model that the levels were put to use with."""
    patient, regimen, _ = fitted.prediction.case
    target = leading_of(patient, regimen)
    notes = notes_in_headline(remarks, _IN_THE_HEADLINE)
    if target is not None and fitted.fits and target.derived_with != drawn.model:
        notes.append(
            tr(
                "{target} was found with {model}; this chance is by {by} and the levels",
                target=target.name,
                model=target.derived_with,
                by=drawn.model,
            )
        )
    no_chance = ""
    if not fitted.fits:
        short = misfit_in_short(fitted)
        short = f"{short[0].upper()}{short[1:]}"
        no_chance = tr("{misfit}: no chance is given", misfit=short)
    headline = headline_of(remarks, target, drawn, notes=notes, no_chance=no_chance)
    return headline.preceded_by(filter(None, [fitted.prediction.model.not_shipped]))


_IN_THE_HEADLINE: Final = ("outside_studied_range", "other_disease", "level_excluded")
"""Codes of remarks without which the chance would mislead."""


# ------------------------------------------------------------------ records


def _level_records(fitted: Fit) -> list[LevelRecord]:
    """Levels in order of time, those left out among them."""
    measured, prediction = fitted.measured, fitted.prediction
    residuals = dict(zip(fitted.places, fitted.surprise.fitted, strict=True))
    places = sorted(range(1, len(measured.levels) + 1), key=lambda k: measured.at(k).time_h)
    times = np.array([measured.at(place).time_h for place in places])
    typical = prediction.typical_mg_l(times)
    own = prediction.concentrations(fitted.estimate.effects, times)[0][0]
    return [
        LevelRecord(
            level=place,
            time_h=measured.at(place).time_h,
            clock=str(clock) if (clock := measured.at(place).clock) else None,
            conc_mg_l=measured.at(place).conc_mg_l,
            lloq_mg_l=measured.at(place).lloq_mg_l,
            typical_mg_l=float(typical[k]),
            fitted_mg_l=float(own[k]),
            residual_sd=float(residuals[place]) if place in residuals else None,
            excluded=place not in residuals,
        )
        for k, place in enumerate(places)
    ]


def _parameter_records(fitted: Fit) -> list[ParameterRecord]:
    """Parameters of the typical patient and of this one, without occasions."""
    program, tv = fitted.prediction.model.program, fitted.prediction.tv
    own = RandomEffects(fitted.estimate.effects.eta, np.zeros((1, 1, program.n_kappa)))
    individual = individual_parameters(program, tv, own)[0, 0]
    return [
        ParameterRecord(
            name=name,
            unit="L/h" if name[0] in "CQ" else "L",
            typical=float(tv[0, k]),
            individual=float(individual[k]),
        )
        for k, name in enumerate(SLOTS[: 2 * program.compartments])
    ]


def _posterior_record(fitted: Fit, drawn: Simulated) -> PosteriorRecord:
    """Exposure so far and of the course."""
    posterior, course = fitted.posterior, fitted.course
    now = max(level.time_h for level in fitted.measured.levels)
    done = len(course.doses_mg) - fitted.left
    if done:
        now = max(now, course.times_h[done - 1] + course.infusion_h[done - 1])
    now = max(now, 0.0)
    likely, spread = (
        fitted.prediction.concentrations(effects, np.array([now]))[1][:, 0]
        for effects in (fitted.estimate.effects, posterior.effects)
    )
    return PosteriorRecord(
        now_h=now,
        auc_so_far=float(likely[0]),
        auc_so_far_pi90=prediction_interval(spread, weights=posterior.weights),
        auc_0_inf=drawn.auc_0_inf,
        auc_0_inf_pi90=drawn.interval(),
        draws=len(posterior.weights),
        effective_size=posterior.effective_size,
        method=posterior.method,
    )


def _target_records(fitted: Fit, drawn: Simulated) -> list[TargetRecord]:
    return [target_record(entry, drawn, fitted.prediction.case) for entry in targets().values()]


def _input_hash(fitted: Fit, goal: Goal | None) -> str:
    """Hash of what was asked; a choice that nobody made is not in it."""
    measured = fitted.measured
    asked: dict[str, object] = {
        "check": fitted.prior.provenance.input_sha256,
        "levels": [(level.time_h, level.conc_mg_l, level.lloq_mg_l) for level in measured.levels],
        "goal": None if goal is None else str(goal),
    }
    if measured.excluded:
        asked["excluded"] = list(measured.excluded)
    return hash_of(asked)
