"""How well models predict the levels of many patients, and which of them does so best.

Prediction errors from covariates, from a patient's own levels and, what counts at the bench, of
later levels from earlier ones; normalised prediction distribution errors; a prediction-corrected
visual predictive check; marginal likelihoods and the weights of models that follow from them.

References
----------
Prediction errors: Sheiner and Beal 1981, J Pharmacokinet Biopharm 9:503. NPDE: Comets et al. 2008,
Comput Methods Programs Biomed 90:154; below the limit of quantification: Nguyen et al. 2012, J
Pharmacokinet Pharmacodyn 39:499. Prediction correction: Bergstrand et al. 2011, AAPS J 13:143, doi
10.1208/s12248-011-9255-z. Averaging over models: Uster et al. 2021, Clin Pharmacol Ther 109:175.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk._version import __version__
from fludapk.answers.prediction import Prediction, predictions
from fludapk.arrays import F8, Bools
from fludapk.errors import Fault, InputError
from fludapk.patients.level import slips
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimates
from fludapk.pk.exposure import with_residual_error
from fludapk.pk.kernels.arithmetic import OK
from fludapk.pk.posterior import model_weights
from fludapk.published.models import Model, load_model, load_models
from fludapk.published.targets import LOW
from fludapk.studies.evaluation_data import Data, Refused, Subject
from fludapk.studies.evaluation_records import (
    BASES,
    SEED,
    Basis,
    BinRecord,
    ErrorRecord,
    EvaluationProvenance,
    EvaluationRecord,
    LeftOut,
    ModelRecord,
)
from fludapk.studies.metrics import (
    RESAMPLES,
    npde,
    npde_record,
    prediction_corrected,
    prediction_errors,
)

SIMULATIONS: Final = 1000
"""Of every patient's levels, behind NPDE and the visual predictive check."""
MOVED_MG_H_L: Final = 4.0
"""Difference between measured and predicted AUC that dekker2022 counts."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Every level and patient by one model; levels in the order of `Evaluation.subjects`."""

    model: Model
    predicted: dict[Basis, F8]
    """(levels,) mg/L; NaN where it does not apply."""
    log_likelihoods: F8
    """(patients,)"""
    earlier_log_likelihoods: F8
    """(levels,) Of the levels before the dose before each level; 0 where there is none."""
    auc_covariates: F8
    auc_levels: F8
    """(patients,) AUC0-inf of the course, mg h/L."""
    eta: F8
    """(patients, n_eta)"""
    npde: F8
    """(levels,)"""
    vpc: list[BinRecord]
    corrected: F8
    """(levels,) Levels as the visual predictive check shows them; NaN below their limit."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was computed, by model, level and patient."""

    record: EvaluationRecord
    subjects: list[Subject]
    scores: list[Scores]
    """As `EvaluationRecord.models`."""
    weights: F8
    """(patients, models)"""
    averaged: dict[Basis, F8]
    """(levels,) mg/L."""

    @cached_property
    def patient(self) -> npt.NDArray[np.int64]:
        """(levels,) Place of the patient of each level."""
        return np.repeat(np.arange(len(self.subjects)), [len(s.times_h) for s in self.subjects])

    @cached_property
    def measured_mg_l(self) -> F8:
        """(levels,) NaN below the limit of quantification."""
        return np.concatenate([subject.conc_mg_l for subject in self.subjects])

    @cached_property
    def after_dose_h(self) -> F8:
        """(levels,) Since the start of the last dose."""
        return np.concatenate([subject.after_dose_h for subject in self.subjects])


# ------------------------------------------------------------------ the computation


def evaluation_of(
    data: Data,
    *,
    models: Sequence[str] = (),
    simulations: int = SIMULATIONS,
    folders: Sequence[Path] | None = None,
) -> Evaluation:
    """Compare models on the levels of many patients.

    Every model is judged on the same patients. A patient that one of the models cannot predict is
    refused. Without `models`, those are compared that can predict at least half of the patients.

    Parameters
    ----------
    data : Data
    models : sequence of str, optional
    simulations : int
        Of the levels of each patient; at least 100.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If no patient is left, or no model.

    Examples
    --------
    >>> from fludapk.patients.columns import Layout
    >>> from fludapk.studies.evaluation_data import read_subjects
    >>> head = "ID TIME AMT RATE EVID MDV DV AGE WT HT EGFR".split()
    >>> rows = ["1 0 24 48 1 1 . 6 20 118 110".split(), "1 2 0 0 0 0 0.6 6 20 118 110".split()]
    >>> data = read_subjects(Layout.read(head), rows, unit="mg/L", amount="phosphate")
    >>> evaluation_of(data, models=["langenhorst2019"]).record.models[0].errors[0].levels
    1
    """
    if simulations < 100:
        raise InputError(Fault("simulations", f"= {simulations}", do="at least 100"))
    asked = [load_model(name, folders) for name in dict.fromkeys(models)]
    subjects, compared, left_out, refused = _usable(data, asked, folders)
    fits = []
    for known in compared:
        fitted = _Fits.of(subjects, known)
        refused += [
            Refused(id=subject.id, row=subject.row, error=f"{fitted.model.id}: {fault}")
            for subject, fault in zip(subjects, fitted.faults, strict=True)
            if fault is not None
        ]
        fits.append(fitted)
    faulty = {one.row for one in refused}
    kept = [i for i, subject in enumerate(subjects) if subject.row not in faulty]
    if not kept:
        raise _nobody_left(_merged(refused), left_out)
    subjects = [subjects[i] for i in kept]
    scores = [_scores(fitted.only(kept), simulations) for fitted in fits]
    return _result(data, subjects, scores, left_out, refused, simulations)


def _usable(
    data: Data, asked: Sequence[Model], folders: Sequence[Path] | None
) -> tuple[list[Subject], list[list[Prediction]], list[LeftOut], list[Refused]]:
    """Patients, what each model that goes with them predicts, and what does not go together."""
    cases = [subject.request.case() for subject in data.subjects]
    candidates = list(asked) or load_models(folders)
    found = {model.id: predictions(model, cases) for model in candidates}
    compared, left_out = [], []
    for model in candidates:
        faults = [str(one) for one in found[model.id] if isinstance(one, InputError)]
        if not asked and 2 * len(faults) > len(cases):
            often = max(set(faults), key=lambda fault: (faults.count(fault), fault))
            left_out.append(
                LeftOut(
                    model=model.id,
                    reason=f"cannot predict {len(faults)} of {len(cases)} patients: {often}",
                )
            )
        else:
            compared.append(model)
    refused = list(data.refused)
    subjects, of_models = [], []
    for i, subject in enumerate(data.subjects):
        of_subject = [found[model.id][i] for model in compared]
        known = [one for one in of_subject if isinstance(one, Prediction)]
        if len(known) == len(compared):
            subjects.append(subject)
            of_models.append(known)
            continue
        faults = [
            f"{model.id}: {fault}"
            for model, fault in zip(compared, of_subject, strict=True)
            if isinstance(fault, InputError)
        ]
        refused.append(Refused(id=subject.id, row=subject.row, error="; ".join(faults)))
    if not compared or not subjects:
        raise _nobody_left(_merged(refused), left_out)
    by_model = [list(column) for column in zip(*of_models, strict=True)]
    return subjects, by_model, left_out, sorted(refused, key=lambda one: one.row)


_NAMED: Final = 3


def _nobody_left(refused: Sequence[Refused], left_out: Sequence[LeftOut]) -> InputError:
    """The first courses with a fault each, which are enough to see what is wrong with the file."""
    faults = [
        f"row {one.row}, ID {one.id}: {one.error.partition('; ')[0]}" for one in refused[:_NAMED]
    ]
    if len(refused) > _NAMED:
        faults.append(f"and {len(refused) - _NAMED} more courses like these")
    faults += [f"{one.model} {one.reason}" for one in left_out]
    return InputError(*faults, "no patient and model are left to compare")


@dataclass(frozen=True, eq=False)
class _Fits:
    """One model's estimates of every patient."""

    model: Model
    subjects: list[Subject]
    predictions: list[Prediction]
    estimate: MapEstimate
    rows: npt.NDArray[np.int64]
    """Of the estimate, by patient."""
    faults: list[str | None]

    @classmethod
    def of(cls, subjects: list[Subject], known: list[Prediction]) -> _Fits:
        model = known[0].model
        estimate = _estimates(model, known, [subject.levels for subject in subjects])
        faults: list[str | None] = []
        for i, (subject, prediction) in enumerate(zip(subjects, known, strict=True)):
            typical = prediction.typical_mg_l(subject.times_h)
            said = [str(fault) for fault in slips(subject.times_h, subject.conc_mg_l, typical)]
            if estimate.status[i] != OK and not said:
                said = ["no most likely patient was found: check times, units and doses"]
            faults.append("; ".join(said) or None)
        return cls(model, subjects, known, estimate, np.arange(len(subjects)), faults)

    def only(self, kept: Sequence[int]) -> _Fits:
        return _Fits(
            self.model,
            [self.subjects[i] for i in kept],
            [self.predictions[i] for i in kept],
            self.estimate,
            self.rows[list(kept)],
            [],
        )

    def effects(self, i: int) -> RandomEffects:
        """Most likely effects of a patient."""
        return _effects(self.estimate, int(self.rows[i]), self.predictions[i])


def _effects(estimate: MapEstimate, row: int, of: Prediction) -> RandomEffects:
    doses = len(of.case.course.doses_mg)
    return RandomEffects(
        np.ascontiguousarray(estimate.effects.eta[row : row + 1]),
        np.ascontiguousarray(estimate.effects.kappa[row : row + 1, :doses]),
    )


def _estimates(model: Model, of: Sequence[Prediction], levels: Sequence[Levels]) -> MapEstimate:
    """Estimates of courses and levels of any number; rows are filled up."""
    doses = max(len(one.case.course.doses_mg) for one in of)
    most = max(one.times_h.shape[1] for one in levels)
    late = 1.0 + max(
        max(one.case.course.times_h[-1] for one in of), max(np.max(one.times_h) for one in levels)
    )

    def filled(values: F8, length: int, start: float = math.nan, step: float = 0.0) -> F8:
        return np.append(values, start + step * np.arange(length - len(values)))

    arrays = [one.arrays for one in of]
    return map_estimates(
        model.program,
        np.vstack([one.tv for one in of]),
        np.array([filled(times, doses, late, 24.0) for times, _, _ in arrays]),
        np.array([filled(lengths, doses, 1.0) for _, lengths, _ in arrays]),
        np.array([filled(amounts[0], doses, 0.0) for *_, amounts in arrays]),
        Levels(
            times_h=np.array([filled(one.times_h[0], most) for one in levels]),
            conc_mg_l=np.array([filled(one.conc_mg_l[0], most) for one in levels]),
            lloq_mg_l=np.array([filled(np.asarray(one.lloq_mg_l)[0], most) for one in levels]),
        ),
    )


def _scores(fits: _Fits, simulations: int) -> Scores:
    """What one model says of every level."""
    model, subjects, of = fits.model, fits.subjects, fits.predictions
    typical = [one.typical_mg_l(subject.times_h) for one, subject in zip(of, subjects, strict=True)]
    own = [
        one.concentrations(fits.effects(i), subject.times_h)[0][0]
        for i, (one, subject) in enumerate(zip(of, subjects, strict=True))
    ]
    forecast, earlier = _forecasts(fits)
    auc_levels = [one.exposure(fits.effects(i)).auc_0_inf[0] for i, one in enumerate(of)]
    errors, bins, corrected = _simulated(fits, typical, simulations)
    flat = np.concatenate
    return Scores(
        model=model,
        predicted={
            "covariates": flat(typical),
            "own_levels": flat(own),
            "later_from_covariates": np.where(np.isnan(forecast), np.nan, flat(typical)),
            "later_from_earlier": forecast,
        },
        log_likelihoods=fits.estimate.log_marginal_likelihood[fits.rows],
        earlier_log_likelihoods=earlier,
        auc_covariates=np.array([one.auc_0_inf for one in of]),
        auc_levels=np.array(auc_levels),
        eta=fits.estimate.effects.eta[fits.rows],
        npde=errors,
        vpc=bins,
        corrected=corrected,
    )


def _forecasts(fits: _Fits) -> tuple[F8, F8]:
    """Levels predicted from those before the last dose, and the likelihood of those."""
    cuts: list[tuple[int, int]] = []
    known: list[Levels] = []
    for i, subject in enumerate(fits.subjects):
        for occasion in np.unique(subject.occasions)[1:]:
            is_earlier = subject.occasions < occasion
            cuts.append((i, int(occasion)))
            known.append(_some(subject.levels, is_earlier))
    ends = np.cumsum([len(subject.times_h) for subject in fits.subjects])
    forecast, likelihood = np.full(ends[-1], np.nan), np.zeros(ends[-1])
    if not cuts:
        return forecast, likelihood
    of = [fits.predictions[i] for i, _ in cuts]
    estimate = _estimates(fits.model, of, known)
    for row, (i, occasion) in enumerate(cuts):
        if estimate.status[row] != OK:
            continue
        subject = fits.subjects[i]
        effects = _effects(estimate, row, of[row])
        here = np.flatnonzero(subject.occasions == occasion)
        places = ends[i] - len(subject.times_h) + here
        forecast[places] = of[row].concentrations(effects, subject.times_h[here])[0][0]
        likelihood[places] = estimate.log_marginal_likelihood[row]
    return forecast, likelihood


def _some(levels: Levels, is_kept: Bools) -> Levels:
    return Levels(
        times_h=levels.times_h[0, is_kept],
        conc_mg_l=levels.conc_mg_l[0, is_kept],
        lloq_mg_l=np.asarray(levels.lloq_mg_l)[0, is_kept],
    )


# ------------------------------------------------------------------ NPDE and VPC


def _simulated(fits: _Fits, typical: Sequence[F8], n: int) -> tuple[F8, list[BinRecord], F8]:
    """NPDE of every level, the visual predictive check, and the levels as that shows them."""
    program = fits.model.program
    scores, drawn = [], []
    for i, (subject, of) in enumerate(zip(fits.subjects, fits.predictions, strict=True)):
        rng = np.random.default_rng(np.random.SeedSequence([SEED, i]))
        doses = len(of.case.course.doses_mg)
        normals = rng.standard_normal((n, program.n_eta + doses * program.n_kappa))
        effects = RandomEffects.from_normals(program, normals, doses)
        conc, _ = of.concentrations(effects, subject.times_h)
        simulated = with_residual_error(program, conc, rng.standard_normal(conc.shape))
        lloq = np.asarray(subject.levels.lloq_mg_l)[0]
        scores.append(npde(subject.conc_mg_l, simulated, lloq, rng))
        drawn.append(simulated)
    subjects = fits.subjects
    bins, corrected = prediction_corrected(
        after_h=np.concatenate([subject.after_dose_h for subject in subjects]),
        measured=np.concatenate([subject.conc_mg_l for subject in subjects]),
        lloq=np.concatenate([np.asarray(subject.levels.lloq_mg_l)[0] for subject in subjects]),
        typical=np.concatenate(typical),
        simulated=np.hstack(drawn),
    )
    return np.concatenate(scores), bins, corrected


# ------------------------------------------------------------------ comparison


def _result(
    data: Data,
    subjects: list[Subject],
    scores: list[Scores],
    left_out: list[LeftOut],
    refused: list[Refused],
    simulations: int,
) -> Evaluation:
    scores = sorted(scores, key=lambda one: -one.log_likelihoods.sum())
    measured = np.concatenate([subject.conc_mg_l for subject in subjects])
    patient = np.repeat(np.arange(len(subjects)), [len(subject.times_h) for subject in subjects])
    by_patient = np.column_stack([one.log_likelihoods for one in scores])
    weights = np.array([model_weights(row) for row in by_patient])
    weights_all = model_weights(by_patient.sum(axis=0).tolist())
    averaged = _averaged(scores, weights[patient])

    def errors(predicted: Mapping[Basis, F8]) -> list[ErrorRecord]:
        found = (prediction_errors(b, predicted[b], measured, patient) for b in BASES)
        return [one for one in found if one is not None]

    models = []
    for k, one in enumerate(scores):
        behind = by_patient[:, 0] - by_patient[:, k]
        spread = float(np.std(behind, ddof=1)) if len(subjects) > 1 else 0.0
        moved = np.abs(one.auc_levels - one.auc_covariates) >= MOVED_MG_H_L
        models.append(
            ModelRecord(
                model=one.model.id,
                errors=errors(one.predicted),
                log_likelihood=float(one.log_likelihoods.sum()),
                behind=float(behind.sum()),
                behind_se=math.sqrt(len(subjects)) * spread,
                weight_all=float(weights_all[k]),
                weight_mean=float(weights[:, k].mean()),
                moved=float(moved.mean()),
                below_by_covariates=int((one.auc_covariates < LOW).sum()),
                below_by_levels=int((one.auc_levels < LOW).sum()),
                npde=npde_record(one.npde),
                vpc=one.vpc,
            )
        )
    record = EvaluationRecord(
        best=scores[0].model.id,
        patients=len(subjects),
        levels=len(measured),
        levels_below_limit=int(np.isnan(measured).sum()),
        records_before_first_dose=sum(subject.before_first_dose for subject in subjects),
        models=models,
        averaged=errors(averaged) if len(scores) > 1 else [],
        left_out=left_out,
        refused=sorted(_merged(refused), key=lambda one: one.row),
        provenance=EvaluationProvenance(
            version=__version__,
            model_sha256={one.model.id: one.model.sha256 for one in scores},
            data_sha256=data.sha256,
            seed=SEED,
            simulations=simulations,
            resamples=RESAMPLES,
        ),
    )
    return Evaluation(record, subjects, scores, weights, averaged)


def _merged(refused: Iterable[Refused]) -> list[Refused]:
    """Faults of one course by several models together."""
    by_row: dict[int, Refused] = {}
    for one in refused:
        before = by_row.get(one.row)
        error = one.error if before is None else f"{before.error}; {one.error}"
        by_row[one.row] = Refused(id=one.id, row=one.row, error=error)
    return list(by_row.values())


def _averaged(scores: Sequence[Scores], own: F8) -> dict[Basis, F8]:
    """Predictions averaged over models, weighted by the levels that each prediction used."""
    equal = np.full_like(own, 1.0 / len(scores))
    earlier = np.array(
        [
            model_weights(row)
            for row in np.column_stack([one.earlier_log_likelihoods for one in scores])
        ]
    )
    weights = dict(zip(BASES, (equal, own, equal, earlier), strict=True))
    return {
        basis: np.sum(
            weights[basis] * np.column_stack([one.predicted[basis] for one in scores]), axis=1
        )
        for basis in BASES
    }
