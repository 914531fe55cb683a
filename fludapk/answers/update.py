"""Measured levels of one patient: the exposure to expect now, and the doses that are left.

`update` computes; its result is the JSON of ``fludapk update --json`` (``fludapk.update/1``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fludapk._version import __version__
from fludapk.answers.check_records import CheckResult, target_record
from fludapk.answers.fit import SEED, Fit, fit
from fludapk.answers.goal import Goal, candidate_doses, choose
from fludapk.answers.update_records import (
    LevelRecord,
    ParameterRecord,
    PosteriorRecord,
    RemainingDose,
    UpdateProvenance,
    UpdateResult,
)
from fludapk.answers.update_remarks import UpdateFacts, remarks_of_update
from fludapk.errors import gathered
from fludapk.patients.clock import Moment, by_clock
from fludapk.patients.course import Preparation, TypedDose, given_of, most_mg
from fludapk.patients.level import Level, TypedLevel, levels_of
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.auc_by_dose import AucByDose
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import individual_parameters
from fludapk.pk.program import SLOTS
from fludapk.pk.surprise import surprise
from fludapk.published.models import DEFAULT_MODEL
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
    goal: Goal | None = None,
    auc: float | None = None,
    window: tuple[float, float] | None = None,
    target: str | None = None,
    probability: float | None = None,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
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
    goal : Goal, optional
        For the doses that are left; or its parts `auc`, `window`, `target` and `probability`, as in
        `fludapk.answers.dose.find_dose`.
    model : str
    round_to_mg : float, optional
        Doses are multiples of this many mg; the remaining doses of 1 mg if absent.
    strict : bool
        Refuse a patient outside the studied range of the model.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If something is missing or impossible.
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
    fitted = fit(
        patient,
        regimen,
        measured,
        given=doses,
        model=model,
        round_to_mg=round_to_mg,
        strict=strict,
        folders=folders,
    )
    return result_of(fitted, aim)


def result_of(someone: Fit, goal: Goal | None = None) -> UpdateResult:
    """What a fit says of the course, and with a goal of the doses that are left."""
    request, prior, levels = someone.request, someone.prior, someone.measured
    typical = someone.typical_mg_l
    prediction, estimate, posterior = someone.prediction, someone.estimate, someone.posterior
    model, course = prediction.model, someone.course
    patient, regimen = request.patient, request.regimen
    doses = np.array(course.doses_mg)
    auc = float(someone.auc(estimate.effects, doses)[0])
    drawn, weights = someone.auc(posterior.effects, doses), posterior.weights
    probability_se = posterior.probability_se(drawn)
    now = max(level.time_h for level in levels)
    done = len(doses) - someone.left
    now = max(now, course.times_h[done - 1] + course.infusion_h[done - 1])
    so_far = [
        prediction.concentrations(effects, np.array([now]))[1][:, 0]
        for effects in (estimate.effects, posterior.effects)
    ]
    found = surprise(estimate)
    known = estimate.problem.levels
    in_order = [levels[int(place) - 1] for place in known.places[0]]
    names = [effect.name for effect in model.file.iiv]
    own = RandomEffects(estimate.effects.eta, np.zeros((1, 1, model.program.n_kappa)))
    individual = individual_parameters(model.program, prediction.tv, own)[0, 0]
    remaining = None
    if goal is not None and someone.left:
        step_mg = request.round_to_mg or 1.0
        remaining = _remaining(someone, goal, patient.bsa_m2, step_mg, probability_se)
    surprises = found.messages(names)
    return UpdateResult(
        model=model.id,
        model_citation=model.file.citation.short,
        prior=prior,
        levels=[
            LevelRecord(
                time_h=float(known.times_h[0, t]),
                clock=str(in_order[t].clock) if in_order[t].clock else None,
                conc_mg_l=_or_none(known.conc_mg_l[0, t]),
                lloq_mg_l=_or_none(np.asarray(known.lloq_mg_l)[0, t]),
                typical_mg_l=float(typical[t]),
                fitted_mg_l=float(estimate.predicted_mg_l[0, t]),
                residual_sd=float(found.fitted[t]),
            )
            for t in range(known.times_h.shape[1])
        ],
        parameters=[
            ParameterRecord(
                name=name,
                unit="L/h" if name[0] in "CQ" else "L",
                typical=float(prediction.tv[0, k]),
                individual=float(individual[k]),
            )
            for k, name in enumerate(SLOTS[: 2 * model.program.compartments])
        ],
        posterior=PosteriorRecord(
            now_h=now,
            auc_so_far=float(so_far[0][0]),
            auc_so_far_pi90=prediction_interval(so_far[1], weights=weights),
            auc_0_inf=auc,
            auc_0_inf_pi90=prediction_interval(drawn, weights=weights),
            draws=len(weights),
            effective_size=posterior.effective_size,
            method=posterior.method,
        ),
        flag=flag(auc),
        targets=[
            target_record(entry, auc, drawn, patient, regimen, weights)
            for entry in targets().values()
        ],
        remaining=remaining,
        surprises=surprises,
        remarks=remarks_of_update(
            UpdateFacts(
                fit=someone,
                levels=levels,
                goal=goal,
                remaining=remaining,
                surprises=surprises,
                prior=prior,
            )
        ),
        provenance=UpdateProvenance(
            version=__version__,
            model_sha256=model.sha256,
            input_sha256=_input_hash(prior, levels, goal),
            seed=SEED,
            draws=len(weights),
            probability_se=probability_se,
        ),
        source=someone,
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _input_hash(prior: CheckResult, levels: Sequence[Level], goal: Goal | None) -> str:
    asked = {
        "check": prior.provenance.input_sha256,
        "levels": [(level.time_h, level.conc_mg_l, level.lloq_mg_l) for level in levels],
        "goal": None if goal is None else str(goal),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _remaining(
    someone: Fit, goal: Goal, bsa_m2: float, step_mg: float, probability_se: float
) -> RemainingDose:
    """The dose of the infusions that are left, for a goal on the whole course."""
    course, left = someone.course, someone.left
    doses = np.array(course.doses_mg)
    done = len(doses) - left
    is_left = np.arange(len(doses)) >= done
    most = most_mg(bsa_m2, course.times_h, course.doses_mg[:done], day_h=course.day_h)
    candidates = candidate_doses(float(most[0]), step_mg, or_none=True)
    base, one = np.where(is_left, 0.0, doses), is_left.astype(np.float64)
    effects, posterior = someone.estimate.effects, someone.posterior
    likely, likely_per_mg = (float(someone.auc(effects, d)[0]) for d in (base, one))
    drawn, drawn_per_mg = (someone.auc(posterior.effects, d) for d in (base, one))
    auc = AucByDose(
        likely_fixed=likely,
        likely_per_mg=likely_per_mg,
        fixed=drawn,
        per_mg=drawn_per_mg,
        weights=posterior.weights,
        probability_se=probability_se,
    )
    chosen = choose(goal, candidates, auc, step_mg, spread="what the levels leave open")
    mg = float(candidates[chosen.place])
    below, within, above = auc.probabilities(np.array([mg]), goal.low, goal.high)
    bench = Preparation.of(mg)
    return RemainingDose(
        goal=str(goal),
        infusions=left,
        dose_mg=mg,
        dose_mg_m2=mg / bsa_m2,
        planned_mg=float(doses[-1]),
        total_course_mg_m2=(float(doses[~is_left].sum()) + left * mg) / bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=likely + mg * likely_per_mg,
        auc_0_inf_pi90=prediction_interval(auc.simulated(mg), weights=posterior.weights),
        p_below=float(below[0]),
        p_within=float(within[0]),
        p_above=float(above[0]),
        reached=chosen.misses is None,
        misses=chosen.misses,
        reason=chosen.reason,
        at_ceiling=chosen.place == len(candidates) - 1,
    )
