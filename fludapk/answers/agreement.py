"""Do the levels of a patient fit together? Sentences on those that do not.

The limits are those of `fludapk.pk.surprise`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np

from fludapk.answers.check_records import SensitivityRecord
from fludapk.answers.fit import Fit
from fludapk.answers.prediction import Prediction, predict
from fludapk.answers.update_records import UpdateByModel, WithoutLevel
from fludapk.errors import ConvergenceError, FludapkError
from fludapk.language import marked, tr
from fludapk.patience import go_on
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import MapEstimate, map_estimate
from fludapk.pk.exposure import course_exposure, individual_parameters
from fludapk.pk.surprise import SURPRISING, surprise
from fludapk.published.models import load_model

NOTEWORTHY_RATIO: Final = 1.5
"""A clearance so many times, or one over so many times, the typical one is told with a misfit."""
_TERMS: Final = {
    "C": marked("clearance"),
    "V": marked("volume"),
    "Q": marked("flow between compartments"),
}
"""First letter of a parameter -> its name."""


def surprises_of(fit: Fit) -> list[str]:
    """Word each level, effect of the patient and effect of an occasion beyond 3 SDs."""
    return [
        *(_before_drug(fit, place) for place in fit.measured.before_drug),
        *filter(None, (_level(fit, t) for t in range(len(fit.surprise.fitted)))),
        *_effects(fit),
    ]


def misfit_of(fit: Fit) -> str:
    """Say why levels do not fit together: clearance, and the level or effect farthest off."""
    scores = fit.surprise
    reasons = [_before_drug(fit, place) for place in fit.measured.before_drug]
    clearance = clearance_ratio(fit)
    is_far = max(clearance, 1.0 / clearance) > NOTEWORTHY_RATIO
    if is_far:
        reasons.append(tr("clearance would be {off}", off=_off_typical(math.log(clearance))))
    worst = int(np.argmax(np.abs(scores.fitted)))
    farthest = _effects(fit, with_clearance=False)
    if abs(scores.fitted[worst]) > SURPRISING:
        reasons.append(_level(fit, worst))
    elif farthest:
        reasons.append(farthest[0])
    return tr(
        "{misfit}. Check time, unit, sampling line, the doses given and the kidney function",
        misfit=": ".join(filter(None, [misfit_in_short(fit), "; ".join(reasons)])),
    )


def misfit_in_short(fit: Fit) -> str:
    """The misfit in short: of the levels with each other, or of the only one with the patient."""
    if len(fit.measured.used) == 1 and not fit.measured.before_drug:
        return tr("the level does not fit this patient")
    return tr("the levels do not fit together")


def clearance_ratio(fit: Fit) -> float:
    """Clearance of the most likely patient, without occasions, over the typical one."""
    program, tv = fit.prediction.model.program, fit.prediction.tv
    own = RandomEffects(fit.estimate.effects.eta, np.zeros((1, 1, program.n_kappa)))
    return float(individual_parameters(program, tv, own)[0, 0, 0] / tv[0, 0])


def without_each(fit: Fit) -> list[WithoutLevel]:
    """Estimate again without each level in turn; empty with fewer than two."""
    measured = fit.measured
    places = sorted({*measured.used, *measured.before_drug})
    if len(places) < 2:
        return []
    return [_without(fit, place) for place in places]


def _without(fit: Fit, place: int) -> WithoutLevel:
    go_on()
    used = [other for other in fit.measured.used if other != place]
    before_drug = [other for other in fit.measured.before_drug if other != place]
    try:
        if not used:
            raise ConvergenceError("no level is left")
        prediction = fit.prediction
        estimate = map_estimate(
            prediction.model.program,
            prediction.typical_values,
            *prediction.arrays,
            fit.measured.arrays(used),
        )
    except ConvergenceError:
        return WithoutLevel(level=place, auc_0_inf=None, fits=False)
    fits = not before_drug and surprise(estimate).fits
    return WithoutLevel(level=place, auc_0_inf=_auc(prediction, estimate), fits=fits)


def by_other_models(fit: Fit) -> list[UpdateByModel]:
    """Put the same levels to use with every other model that applies to the patient."""
    rivals = [row for row in fit.prior.sensitivity if row.applies]
    return [_by(fit, row) for row in rivals if row.model != fit.prediction.model.id]


def _by(fit: Fit, row: SensitivityRecord) -> UpdateByModel:
    entry = partial(UpdateByModel, model=row.model, name=row.name, reading_of=row.reading_of)
    model = load_model(row.model, fit.folders)
    patient, regimen, _ = fit.prediction.case
    try:
        prediction = predict(model, patient, regimen, fit.course)
        levels = fit.measured.arrays(fit.measured.used)
        estimate = map_estimate(model.program, prediction.tv, *prediction.arrays, levels)
    except FludapkError:
        return entry(auc_0_inf=None, fits=False)
    fits = not fit.measured.before_drug and surprise(estimate).fits
    return entry(auc_0_inf=_auc(prediction, estimate), fits=fits)


def _auc(prediction: Prediction, estimate: MapEstimate) -> float:
    return float(
        course_exposure(
            prediction.model.program,
            prediction.typical_values,
            estimate.effects,
            *prediction.arrays,
        ).auc_0_inf[0]
    )


# ------------------------------------------------------------------ words


def called(fit: Fit, place: int) -> str:
    """Name a level by its place, time and value."""
    level = fit.measured.at(place)
    value = f"< {level.lloq_mg_l:.3g}" if level.conc_mg_l is None else f"{level.conc_mg_l:.3g}"
    return tr(
        "level {place} ({time:g} h, {value} mg/L)", place=place, time=level.time_h, value=value
    )


def _before_drug(fit: Fit, place: int) -> str:
    return tr("{level} is from before the first dose", level=called(fit, place))


def _level(fit: Fit, t: int) -> str:
    """Word a surprising level, the t-th in order of time; empty if it is none."""
    scores, name = fit.surprise, called(fit, fit.places[t])
    residual, expected = scores.fitted[t], scores.expected[t]
    if abs(residual) > SURPRISING:
        if residual > 0:
            return tr("{level} is {sd:.1f} residual SD above the fit", level=name, sd=residual)
        return tr("{level} is {sd:.1f} residual SD below the fit", level=name, sd=-residual)
    if abs(expected) <= SURPRISING:
        return ""
    message = marked("{level} is unusually low for such a patient (normal score {score:+.1f})")
    if expected > 0:
        message = marked("{level} is unusually high for such a patient (normal score {score:+.1f})")
    return tr(message, level=name, score=expected)


def _effects(fit: Fit, *, with_clearance: bool = True) -> list[str]:
    """Word each surprising effect, with or without that of the patient on clearance."""
    scores, model = fit.surprise, fit.prediction.model
    eta, kappa = fit.estimate.effects.eta[0], fit.estimate.effects.kappa[0]
    sentences = [
        tr(
            "{term} would be {off} ({sd:+.1f} SD)",
            term=_term(parameter),
            off=_off_typical(eta[j]),
            sd=scores.eta[j],
        )
        for j in np.flatnonzero(np.abs(scores.eta) > SURPRISING)
        if not (parameter := next(iter(model.file.iiv[j].on))).startswith("C") or with_clearance
    ]
    sentences += [
        tr(
            "{term} after dose {dose} would be {off} ({sd:+.1f} SD)",
            term=_term(next(iter(model.file.iov[j].on))),
            dose=k + 1,
            off=_off_own(kappa[k, j]),
            sd=scores.kappa[k, j],
        )
        for k, j in np.argwhere(np.abs(scores.kappa) > SURPRISING)
    ]
    return sentences


def _term(parameter: str) -> str:
    """Name of a parameter."""
    term = _TERMS.get(parameter[0])
    return tr("rate constant {parameter}", parameter=parameter) if term is None else tr(term)


def _off_typical(effect: float) -> str:
    """Word a deviation from the typical value on the log scale.

    Examples
    --------
    >>> _off_typical(-3.3), _off_typical(0.5), _off_typical(1.2)
    ('96 % below typical', '65 % above typical', '3.3 times typical')
    """
    ratio = math.exp(effect)
    if ratio < 1:
        return tr("{percent:.0f} % below typical", percent=100 * (1 - ratio))
    if ratio < 2:
        return tr("{percent:.0f} % above typical", percent=100 * (ratio - 1))
    return tr("{times:.1f} times typical", times=ratio)


def _off_own(effect: float) -> str:
    """Word a deviation from the patient's own value on the log scale."""
    ratio = math.exp(effect)
    if ratio < 1:
        return tr("{percent:.0f} % below this patient's own", percent=100 * (1 - ratio))
    if ratio < 2:
        return tr("{percent:.0f} % above this patient's own", percent=100 * (ratio - 1))
    return tr("{times:.1f} times this patient's own", times=ratio)
