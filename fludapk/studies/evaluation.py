"""Comparison of models by how well they predict the measured levels of many patients.

Prediction errors from covariates, from a patient's own levels and, which matters most in practice,
of later levels from earlier ones; normalised prediction distribution errors; a prediction-corrected
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
from fludapk.arrays import F8, I8
from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.pk.posterior import model_weights
from fludapk.published.models import Model, load_model, load_models
from fludapk.published.targets import LOW
from fludapk.studies.evaluation_data import Data, Refused, Subject
from fludapk.studies.evaluation_fits import Fits, Scores, scores_of
from fludapk.studies.evaluation_records import (
    BASES,
    SEED,
    Basis,
    ErrorRecord,
    EvaluationProvenance,
    EvaluationRecord,
    LeftOut,
    ModelRecord,
)
from fludapk.studies.metrics import (
    RESAMPLES,
    npde_record,
    prediction_errors,
)

SIMULATIONS: Final = 1000
"""Simulated sets of each patient's levels, for NPDE and the visual predictive check."""
MOVED_MG_H_L: Final = 4.0
"""Difference between AUC by levels and by covariates that counts as moved (dekker2022)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Comparison of models, with its scores by model, level and patient."""

    record: EvaluationRecord
    subjects: list[Subject]
    scores: list[Scores]
    """Scores of each model, in the order of `EvaluationRecord.models`."""
    weights: F8
    """(patients, models) Weights of models by the levels of one patient."""
    averaged: dict[Basis, F8]
    """(levels,) Predictions averaged over the models, mg/L."""

    @cached_property
    def patient(self) -> npt.NDArray[np.int64]:
        """(levels,) Index in `subjects` of the patient of each level."""
        return np.repeat(np.arange(len(self.subjects)), [len(s.times_h) for s in self.subjects])

    @cached_property
    def measured_mg_l(self) -> F8:
        """(levels,) mg/L; NaN below the limit of quantification."""
        return np.concatenate([subject.conc_mg_l for subject in self.subjects])

    @cached_property
    def lloq_mg_l(self) -> F8:
        """(levels,) Limits of quantification, mg/L; NaN where unknown."""
        return np.concatenate([np.asarray(s.levels.lloq_mg_l)[0] for s in self.subjects])

    @cached_property
    def after_dose_h(self) -> F8:
        """(levels,) Time since the start of the last dose, h."""
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
    refused. Without `models`, all that can predict at least half of the patients are compared.

    Parameters
    ----------
    data : Data
    models : sequence of str, optional
        Names of the models to compare.
    simulations : int
        Simulated sets of the levels of each patient; at least 100.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.

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
        raise InputError(Fault("simulations", f"= {simulations}", do=tr("at least 100")))
    chosen = [load_model(name, folders) for name in dict.fromkeys(models)]
    subjects, by_model, left_out, refused = _usable(data, chosen, folders)
    fits = []
    for model_predictions in by_model:
        fitted = Fits.estimated(subjects, model_predictions, simulations)
        refused += [
            Refused(id=subject.id, row=subject.row, error=f"{fitted.model.id}: {fault}")
            for subject, fault in zip(subjects, fitted.faults, strict=True)
            if fault is not None
        ]
        fits.append(fitted)
    faulty_rows = {course.row for course in refused}
    kept = [i for i, subject in enumerate(subjects) if subject.row not in faulty_rows]
    if not kept:
        raise _nobody_left(_merged(refused), left_out)
    subjects = [subjects[i] for i in kept]
    scores = [scores_of(fitted.only(kept)) for fitted in fits]
    return _result(data, subjects, scores, left_out, refused, simulations)


def _usable(
    data: Data, chosen: Sequence[Model], folders: Sequence[Path] | None
) -> tuple[list[Subject], list[list[Prediction]], list[LeftOut], list[Refused]]:
    """Select the patients and models that can be evaluated together.

    Returns
    -------
    subjects : list of Subject
        Patients that every compared model can predict.
    predictions : list of lists of Prediction
        Predictions of those patients, one list for each compared model.
    left_out : list of LeftOut
    refused : list of Refused
    """
    cases = [subject.request.case() for subject in data.subjects]
    candidates = list(chosen) or load_models(folders)
    results = {model.id: predictions(model, cases) for model in candidates}
    compared, left_out = [], []
    for model in candidates:
        faults = [str(fault) for fault in results[model.id] if isinstance(fault, InputError)]
        if not chosen and 2 * len(faults) > len(cases):
            commonest = max(set(faults), key=lambda fault: (faults.count(fault), fault))
            left_out.append(
                LeftOut(
                    model=model.id,
                    reason=tr(
                        "cannot predict {n} of {cases} patients: {fault}",
                        n=len(faults),
                        cases=len(cases),
                        fault=commonest,
                    ),
                )
            )
        else:
            compared.append(model)
    refused = list(data.refused)
    subjects, rows = [], []
    for i, subject in enumerate(data.subjects):
        answers = [results[model.id][i] for model in compared]
        predicted = [answer for answer in answers if isinstance(answer, Prediction)]
        if len(predicted) == len(compared):
            subjects.append(subject)
            rows.append(predicted)
            continue
        faults = [
            f"{model.id}: {fault}"
            for model, fault in zip(compared, answers, strict=True)
            if isinstance(fault, InputError)
        ]
        refused.append(Refused(id=subject.id, row=subject.row, error="; ".join(faults)))
    if not compared or not subjects:
        raise _nobody_left(_merged(refused), left_out)
    by_model = [list(column) for column in zip(*rows, strict=True)]
    return subjects, by_model, left_out, sorted(refused, key=lambda course: course.row)


_NAMED: Final = 3
"""Number of refused courses whose faults an error names."""


def _nobody_left(refused: Sequence[Refused], left_out: Sequence[LeftOut]) -> InputError:
    """Return the error for data without usable patients, with the faults of the first courses."""
    faults = [
        tr(
            "row {row}, ID {id}: {fault}",
            row=course.row,
            id=course.id,
            fault=course.error.partition("; ")[0],
        )
        for course in refused[:_NAMED]
    ]
    if len(refused) > _NAMED:
        faults.append(tr("and {n} more courses like these", n=len(refused) - _NAMED))
    faults += [f"{model.model} {model.reason}" for model in left_out]
    return InputError(*faults, tr("no patient and model are left to compare"))


# ------------------------------------------------------------------ comparison


def _result(
    data: Data,
    subjects: list[Subject],
    scores: list[Scores],
    left_out: list[LeftOut],
    refused: list[Refused],
    simulations: int,
) -> Evaluation:
    order, rank = _by_id(subjects)
    by_patient = np.column_stack([score.log_likelihoods for score in scores])[order]
    totals = by_patient.sum(axis=0)
    best_first = np.argsort(-totals, kind="stable")
    scores, by_patient = [scores[k] for k in best_first], by_patient[:, best_first]
    totals = totals[best_first]
    measured = np.concatenate([subject.conc_mg_l for subject in subjects])
    patient = np.repeat(rank, [len(subject.times_h) for subject in subjects])
    weights = np.array([model_weights(row) for row in by_patient])
    weights_all = model_weights(totals.tolist())
    averaged = _averaged(scores, weights[patient])

    def errors(predicted: Mapping[Basis, F8]) -> list[ErrorRecord]:
        records = (prediction_errors(b, predicted[b], measured, patient) for b in BASES)
        return [record for record in records if record is not None]

    models = []
    for k, score in enumerate(scores):
        behind = by_patient[:, 0] - by_patient[:, k]
        spread = float(np.std(behind, ddof=1)) if len(subjects) > 1 else 0.0
        moved = np.abs(score.auc_levels - score.auc_covariates) >= MOVED_MG_H_L
        models.append(
            ModelRecord(
                model=score.model.id,
                errors=errors(score.predicted),
                log_likelihood=float(totals[k]),
                behind=float(behind.sum()),
                behind_se=math.sqrt(len(subjects)) * spread,
                weight_all=float(weights_all[k]),
                weight_mean=float(weights[:, k].mean()),
                moved=float(moved.mean()),
                below_by_covariates=int((score.auc_covariates < LOW).sum()),
                below_by_levels=int((score.auc_levels < LOW).sum()),
                npde=npde_record(score.npde),
                vpc=score.vpc,
            )
        )
    record = EvaluationRecord(
        best=scores[0].model.id,
        patients=len(subjects),
        levels=len(measured),
        levels_below_limit=int(np.isnan(measured).sum()),
        records_before_first_dose=sum(subject.before_first_dose for subject in subjects),
        records_without_level=sum(subject.without_level for subject in subjects),
        records_set_aside=data.comments + sum(subject.set_aside for subject in subjects),
        courses_over_clock_change=sum(subject.clocks_may_change for subject in subjects),
        models=models,
        averaged=errors(averaged) if len(scores) > 1 else [],
        left_out=left_out,
        refused=sorted(_merged(refused), key=lambda course: course.row),
        provenance=EvaluationProvenance(
            version=__version__,
            model_sha256={score.model.id: score.model.sha256 for score in scores},
            data_sha256=data.sha256,
            seed=SEED,
            simulations=simulations,
            resamples=RESAMPLES,
        ),
    )
    return Evaluation(record, subjects, scores, weights[rank], averaged)


def _by_id(subjects: Sequence[Subject]) -> tuple[I8, I8]:
    """Places of the patients sorted by ID, and the rank of each: sums do not follow the file."""
    order = np.array(sorted(range(len(subjects)), key=lambda i: subjects[i].id), dtype=np.int64)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return order, rank


def _merged(refused: Iterable[Refused]) -> list[Refused]:
    """Merge the faults of one course by several models."""
    by_row: dict[int, Refused] = {}
    for course in refused:
        before = by_row.get(course.row)
        error = course.error if before is None else f"{before.error}; {course.error}"
        by_row[course.row] = Refused(id=course.id, row=course.row, error=error)
    return list(by_row.values())


def _averaged(scores: Sequence[Scores], own_weights: F8) -> dict[Basis, F8]:
    """Average predictions over models, weighted by the levels that each prediction used."""
    equal = np.full_like(own_weights, 1.0 / len(scores))
    earlier = np.array(
        [
            model_weights(row)
            for row in np.column_stack([score.earlier_log_likelihoods for score in scores])
        ]
    )
    weights = dict(zip(BASES, (equal, own_weights, equal, earlier), strict=True))
    return {
        basis: np.sum(
            weights[basis] * np.column_stack([score.predicted[basis] for score in scores]), axis=1
        )
        for basis in BASES
    }
