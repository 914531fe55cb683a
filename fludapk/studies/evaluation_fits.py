"""Estimates and simulations of every patient by one model, for the comparison of models."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fludapk.answers.prediction import Prediction
from fludapk.arrays import F8, Bools
from fludapk.language import tr
from fludapk.patience import go_on
from fludapk.patients.level import slips
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimates
from fludapk.pk.exposure import with_residual_error
from fludapk.pk.kernels.arithmetic import OK
from fludapk.published.models import Model
from fludapk.studies.evaluation_data import Subject
from fludapk.studies.evaluation_records import SEED, Basis, BinRecord
from fludapk.studies.metrics import npde, prediction_corrected


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one model for every level and patient, in the order of `Evaluation.subjects`."""

    model: Model
    predicted: dict[Basis, F8]
    """(levels,) mg/L; NaN where a basis does not apply."""
    log_likelihoods: F8
    """(patients,) Marginal log-likelihood of all levels of a patient, by Laplace."""
    earlier_log_likelihoods: F8
    """(levels,) Log-likelihood of the levels that each forecast is made from; 0 without any."""
    auc_covariates: F8
    """(patients,) AUC0-inf of the course by covariates alone, mg h/L."""
    auc_levels: F8
    """(patients,) AUC0-inf of the course by all levels of the patient, mg h/L."""
    eta: F8
    """(patients, n_eta) Most likely random effects."""
    npde: F8
    """(levels,) Normalised prediction distribution errors."""
    vpc: list[BinRecord]
    """Bins of the visual predictive check."""
    corrected: F8
    """(levels,) Prediction-corrected levels, mg/L; NaN below the limit of quantification."""


@dataclass(frozen=True, eq=False)
class Fits:
    """Estimates of every patient by one model."""

    model: Model
    subjects: list[Subject]
    predictions: list[Prediction]
    estimate: MapEstimate
    rows: npt.NDArray[np.int64]
    """(patients,) Row of each patient in the estimate."""
    faults: list[str | None]
    """Fault of each patient that cannot be used; None for the others."""
    simulated: list[F8]
    """(n, levels) Simulated levels of each patient, mg/L, with residual error."""
    npde: list[F8]
    """(levels,) NPDE of each patient."""

    @classmethod
    def estimated(
        cls, subjects: list[Subject], predicted: list[Prediction], simulations: int
    ) -> Fits:
        """Estimate and simulate patients, and find those that cannot be used.

        Parameters
        ----------
        subjects : list of Subject
        predicted : list of Prediction
            Predictions of the model for each.
        simulations : int
            Simulated sets of the levels of each patient.
        """
        model = predicted[0].model
        estimate = _estimates(model, predicted, [subject.levels for subject in subjects])
        faults: list[str | None] = []
        simulated: list[F8] = []
        errors: list[F8] = []
        for i, (subject, prediction) in enumerate(zip(subjects, predicted, strict=True)):
            go_on()
            typical = prediction.typical_mg_l(subject.times_h)
            limits = np.asarray(subject.levels.lloq_mg_l)[0]
            odd = slips(subject.times_h, subject.conc_mg_l, typical, lloq_mg_l=limits)
            messages = [str(fault) for fault in odd]
            if estimate.status[i] != OK and not messages:
                messages = [tr("no most likely patient was found: check times, units and doses")]
            drawn, scores = _simulated(subject, prediction, simulations)
            if scores is None and not messages:
                messages = [
                    tr(
                        "{n} simulations do not tell its {levels} levels apart: check their times, "
                        "or give {simulations} more",
                        n=simulations,
                        levels=drawn.shape[1],
                    )
                ]
            faults.append("; ".join(messages) or None)
            simulated.append(drawn)
            errors.append(np.full(drawn.shape[1], np.nan) if scores is None else scores)
        rows = np.arange(len(subjects))
        return cls(model, subjects, predicted, estimate, rows, faults, simulated, errors)

    def only(self, kept: Sequence[int]) -> Fits:
        """Select patients by their place."""
        return Fits(
            self.model,
            [self.subjects[i] for i in kept],
            [self.predictions[i] for i in kept],
            self.estimate,
            self.rows[list(kept)],
            [],
            [self.simulated[i] for i in kept],
            [self.npde[i] for i in kept],
        )

    def effects(self, i: int) -> RandomEffects:
        """Return the most likely effects of a patient."""
        return _effects(self.estimate, int(self.rows[i]), self.predictions[i])


def _effects(estimate: MapEstimate, row: int, prediction: Prediction) -> RandomEffects:
    """Return the most likely effects in a row of an estimate, without filled-up doses."""
    doses = len(prediction.case.course.doses_mg)
    return RandomEffects(
        np.ascontiguousarray(estimate.effects.eta[row : row + 1]),
        np.ascontiguousarray(estimate.effects.kappa[row : row + 1, :doses]),
    )


def _typical_values(predicted: Sequence[Prediction], doses: int) -> F8:
    """Typical values of all patients; of every dose if any change, those filled up as the last."""
    if all(prediction.tv_by_dose is None for prediction in predicted):
        return np.vstack([prediction.tv for prediction in predicted])
    rows = []
    for prediction in predicted:
        own = prediction.tv[:, None] if prediction.tv_by_dose is None else prediction.tv_by_dose
        rows.append(np.concatenate([own, np.repeat(own[:, -1:], doses - own.shape[1], axis=1)], 1))
    return np.concatenate(rows)


def _estimates(
    model: Model, predicted: Sequence[Prediction], measured: Sequence[Levels]
) -> MapEstimate:
    """Estimate all patients at once; rows with fewer doses or levels are filled up."""
    courses = [prediction.case.course for prediction in predicted]
    doses = max(len(course.doses_mg) for course in courses)
    n_samples = max(levels.times_h.shape[1] for levels in measured)
    late = 1.0 + max(
        max(course.times_h[-1] for course in courses),
        max(np.max(levels.times_h) for levels in measured),
    )

    def filled(values: F8, length: int, start: float = math.nan, step: float = 0.0) -> F8:
        return np.append(values, start + step * np.arange(length - len(values)))

    arrays = [prediction.arrays for prediction in predicted]
    return map_estimates(
        model.program,
        _typical_values(predicted, doses),
        np.array([filled(times, doses, late, 24.0) for times, _, _ in arrays]),
        np.array([filled(lengths, doses, 1.0) for _, lengths, _ in arrays]),
        np.array([filled(amounts[0], doses, 0.0) for *_, amounts in arrays]),
        Levels(
            times_h=np.array([filled(levels.times_h[0], n_samples) for levels in measured]),
            conc_mg_l=np.array([filled(levels.conc_mg_l[0], n_samples) for levels in measured]),
            lloq_mg_l=np.array(
                [filled(np.asarray(levels.lloq_mg_l)[0], n_samples) for levels in measured]
            ),
        ),
    )


def scores_of(fits: Fits) -> Scores:
    """Score one model on every level and patient."""
    pairs = list(zip(fits.predictions, fits.subjects, strict=True))
    typical = [prediction.typical_mg_l(subject.times_h) for prediction, subject in pairs]
    own = [
        prediction.concentrations(fits.effects(i), subject.times_h)[0][0]
        for i, (prediction, subject) in enumerate(pairs)
    ]
    forecast, earlier = _forecasts(fits)
    auc_levels = [
        prediction.exposure(fits.effects(i)).auc_0_inf[0]
        for i, prediction in enumerate(fits.predictions)
    ]
    bins, corrected = _visual_check(fits, typical)
    flat = np.concatenate
    return Scores(
        model=fits.model,
        predicted={
            "covariates": flat(typical),
            "own_levels": flat(own),
            "later_from_covariates": np.where(np.isnan(forecast), np.nan, flat(typical)),
            "later_from_earlier": forecast,
        },
        log_likelihoods=fits.estimate.log_marginal_likelihood[fits.rows],
        earlier_log_likelihoods=earlier,
        auc_covariates=np.array([prediction.auc_0_inf for prediction in fits.predictions]),
        auc_levels=np.array(auc_levels),
        eta=fits.estimate.effects.eta[fits.rows],
        npde=np.concatenate(fits.npde),
        vpc=bins,
        corrected=corrected,
    )


def _forecasts(fits: Fits) -> tuple[F8, F8]:
    """Predict levels from those before the last dose; return the likelihood of the latter too."""
    cuts: list[tuple[int, int]] = []
    earlier: list[Levels] = []
    for i, subject in enumerate(fits.subjects):
        for occasion in np.unique(subject.occasions)[1:]:
            go_on()
            is_earlier = subject.occasions < occasion
            cuts.append((i, int(occasion)))
            earlier.append(_selected(subject.levels, is_earlier))
    ends = np.cumsum([len(subject.times_h) for subject in fits.subjects])
    forecast, likelihood = np.full(ends[-1], np.nan), np.zeros(ends[-1])
    if not cuts:
        return forecast, likelihood
    predicted = [fits.predictions[i] for i, _ in cuts]
    estimate = _estimates(fits.model, predicted, earlier)
    for row, (i, occasion) in enumerate(cuts):
        if estimate.status[row] != OK:
            continue
        subject = fits.subjects[i]
        effects = _effects(estimate, row, predicted[row])
        here = np.flatnonzero(subject.occasions == occasion)
        places = ends[i] - len(subject.times_h) + here
        forecast[places] = predicted[row].concentrations(effects, subject.times_h[here])[0][0]
        likelihood[places] = estimate.log_marginal_likelihood[row]
    return forecast, likelihood


def _selected(levels: Levels, is_kept: Bools) -> Levels:
    return Levels(
        times_h=levels.times_h[0, is_kept],
        conc_mg_l=levels.conc_mg_l[0, is_kept],
        lloq_mg_l=np.asarray(levels.lloq_mg_l)[0, is_kept],
    )


# ------------------------------------------------------------------ NPDE and VPC


def _rng(subject: Subject) -> np.random.Generator:
    """Random numbers of a patient: of the ID, so that the order of a file does not matter."""
    words = np.frombuffer(hashlib.sha256(subject.id.encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([SEED, *words.tolist()]))


def _simulated(subject: Subject, prediction: Prediction, n: int) -> tuple[F8, F8 | None]:
    """Simulate the levels of a patient, and compute their NPDE; None if there are none.

    Returns
    -------
    simulated : (n, levels)
        mg/L, with residual error.
    scores : (levels,) or None
        None if levels are the same in all simulations.
    """
    program, rng = prediction.model.program, _rng(subject)
    doses = len(prediction.case.course.doses_mg)
    normals = rng.standard_normal((n, program.n_eta + doses * program.n_kappa))
    effects = RandomEffects.from_normals(program, normals, doses)
    conc, _ = prediction.concentrations(effects, subject.times_h)
    simulated = with_residual_error(program, conc, rng.standard_normal(conc.shape))
    lloq = np.asarray(subject.levels.lloq_mg_l)[0]
    try:
        return simulated, npde(subject.conc_mg_l, simulated, lloq, rng)
    except np.linalg.LinAlgError:
        return simulated, None


def _visual_check(fits: Fits, typical: Sequence[F8]) -> tuple[list[BinRecord], F8]:
    """Compute bins of the visual predictive check and prediction-corrected levels."""
    subjects = fits.subjects
    return prediction_corrected(
        after_h=np.concatenate([subject.after_dose_h for subject in subjects]),
        measured=np.concatenate([subject.conc_mg_l for subject in subjects]),
        lloq=np.concatenate([np.asarray(subject.levels.lloq_mg_l)[0] for subject in subjects]),
        typical=np.concatenate(typical),
        simulated=np.hstack(fits.simulated),
    )
