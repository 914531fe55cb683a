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
from fludapk.patience import go_on
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import MapEstimate, map_estimate
from fludapk.pk.exposure import course_exposure, individual_parameters
from fludapk.pk.surprise import SURPRISING, surprise
from fludapk.published.models import Model, load_model

NOTEWORTHY_RATIO: Final = 1.5
"""A clearance so many times, or one over so many times, the typical one is told with a misfit."""
_TERMS: Final = {"C": "clearance", "V": "volume", "Q": "flow between compartments"}
"""First letter of a parameter -> its name."""


def surprises_of(fit: Fit) -> list[str]:
    """Word each level, effect of the patient and effect of an occasion beyond 3 SDs."""
    scores, model = fit.surprise, fit.prediction.model
    sentences = [
        *(_before_drug(fit, place) for place in fit.measured.before_drug),
        *filter(None, (_level(fit, t) for t in range(len(scores.fitted)))),
    ]
    eta, kappa = fit.estimate.effects.eta[0], fit.estimate.effects.kappa[0]
    sentences += [
        f"{_term(model, int(j))} would be {_off(eta[j])} typical ({scores.eta[j]:+.1f} SD)"
        for j in np.flatnonzero(np.abs(scores.eta) > SURPRISING)
    ]
    sentences += [
        f"{_term(model, int(j), of_occasion=True)} after dose {k + 1} would be "
        f"{_off(kappa[k, j])} this patient's own ({scores.kappa[k, j]:+.1f} SD)"
        for k, j in np.argwhere(np.abs(scores.kappa) > SURPRISING)
    ]
    return sentences


def misfit_of(fit: Fit) -> str:
    """Say why levels do not fit together: clearance, and the level or effect farthest off."""
    scores = fit.surprise
    reasons = [_before_drug(fit, place) for place in fit.measured.before_drug]
    clearance = clearance_ratio(fit)
    is_far = max(clearance, 1.0 / clearance) > NOTEWORTHY_RATIO
    if is_far:
        reasons.append(f"clearance would be {_off(math.log(clearance))} typical")
    worst = int(np.argmax(np.abs(scores.fitted)))
    farthest = [text for text in surprises_of(fit) if not text.startswith(("level", "clearance w"))]
    if abs(scores.fitted[worst]) > SURPRISING:
        reasons.append(_level(fit, worst))
    elif farthest:
        reasons.append(farthest[0])
    return (
        f"{misfit_in_short(fit)}{': ' if reasons else ''}{'; '.join(reasons)}. Check time, unit, "
        "sampling line, the doses given and the kidney function"
    )


def misfit_in_short(fit: Fit) -> str:
    """The misfit in short: of the levels with each other, or of the only one with the patient."""
    if len(fit.measured.used) == 1 and not fit.measured.before_drug:
        return "the level does not fit this patient"
    return "the levels do not fit together"


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
    return f"level {place} ({level.time_h:g} h, {value} mg/L)"


def _before_drug(fit: Fit, place: int) -> str:
    return f"{called(fit, place)} is from before the first dose"


def _level(fit: Fit, t: int) -> str:
    """Word a surprising level, the t-th in order of time; empty if it is none."""
    scores, name = fit.surprise, called(fit, fit.places[t])
    residual, expected = scores.fitted[t], scores.expected[t]
    if abs(residual) > SURPRISING:
        side = "above" if residual > 0 else "below"
        return f"{name} is {abs(residual):.1f} residual SD {side} the fit"
    if abs(expected) > SURPRISING:
        side = "high" if expected > 0 else "low"
        return f"{name} is unusually {side} for such a patient (normal score {expected:+.1f})"
    return ""


def _term(model: Model, j: int, *, of_occasion: bool = False) -> str:
    """Name of what a random effect moves."""
    entry = (model.file.iov if of_occasion else model.file.iiv)[j]
    parameter = next(iter(entry.on))
    return _TERMS.get(parameter[0], f"rate constant {parameter}")


def _off(effect: float) -> str:
    """Word a deviation on the log scale.

    Examples
    --------
    >>> _off(-3.3), _off(0.5), _off(1.2)
    ('96 % below', '65 % above', '3.3 times')
    """
    ratio = math.exp(effect)
    if ratio < 1:
        return f"{100 * (1 - ratio):.0f} % below"
    return f"{100 * (ratio - 1):.0f} % above" if ratio < 2 else f"{ratio:.1f} times"
