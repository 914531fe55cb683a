"""An evaluation of models as rows of tables."""

from __future__ import annotations

import math

import numpy as np

from fludapk.patients.csv_list import Value
from fludapk.studies.evaluation import Evaluation
from fludapk.studies.evaluation_records import EvaluationRecord


def error_rows(record: EvaluationRecord) -> list[dict[str, Value]]:
    """Return prediction errors by model and basis."""
    errors_by_model = [(model.model, model.errors) for model in record.models]
    if record.averaged:
        errors_by_model.append(("averaged", record.averaged))
    return [
        {
            "model": name,
            "basis": error.basis,
            "patients": error.patients,
            "levels": error.levels,
            **{
                f"{metric}_percent{end}": value
                for metric in ("mpe", "rmse", "within_30")
                for end, value in zip(
                    ("", "_ci95_low", "_ci95_high"),
                    (getattr(error, metric), *(getattr(error, f"{metric}_ci95") or (None, None))),
                    strict=True,
                )
            },
        }
        for name, errors in errors_by_model
        for error in errors
    ]


def level_rows(result: Evaluation) -> list[dict[str, Value]]:
    """Return a row for every level and model; mg/L and h."""
    rows: list[dict[str, Value]] = []
    for i, t in enumerate(np.concatenate([subject.times_h for subject in result.subjects])):
        subject = result.subjects[result.patient[i]]
        place = i - int(np.searchsorted(result.patient, result.patient[i]))
        sample: dict[str, Value] = {
            "ID": subject.id,
            "time_h": float(t),
            "after_dose_h": float(result.after_dose_h[i]),
            "conc_mg_l": _number(result.measured_mg_l[i]),
            "lloq_mg_l": _number(np.asarray(subject.levels.lloq_mg_l)[0, place]),
        }
        rows += [
            {
                **sample,
                "model": score.model.id,
                "from_covariates_mg_l": _number(score.predicted["covariates"][i]),
                "from_own_levels_mg_l": _number(score.predicted["own_levels"][i]),
                "from_earlier_levels_mg_l": _number(score.predicted["later_from_earlier"][i]),
                "npde": float(score.npde[i]),
                "prediction_corrected_mg_l": _number(score.corrected[i]),
            }
            for score in result.scores
        ]
    return rows


def patient_rows(result: Evaluation) -> list[dict[str, Value]]:
    """Return a row for every course of the file in order, refused ones too; AUC in mg h/L."""
    refused: dict[int, dict[str, Value]] = {
        course.row: {"ID": course.id, "row": course.row, "error": course.error}
        for course in result.record.refused
    }
    evaluated: dict[int, dict[str, Value]] = {}
    for i, subject in enumerate(result.subjects):
        row: dict[str, Value] = {
            "ID": subject.id, "row": subject.row, "error": None, "levels": len(subject.times_h),
        }  # fmt: skip
        for k, score in enumerate(result.scores):
            name = score.model.id
            row[f"{name}_log_likelihood"] = float(score.log_likelihoods[i])
            row[f"{name}_weight"] = float(result.weights[i, k])
            row[f"{name}_auc_0_inf_covariates"] = float(score.auc_covariates[i])
            row[f"{name}_auc_0_inf_levels"] = float(score.auc_levels[i])
            effects = zip(score.model.file.iiv, score.eta[i], strict=True)
            row.update({f"{name}_{effect.name}": float(eta) for effect, eta in effects})
        evaluated[subject.row] = row
    rows: dict[int, dict[str, Value]] = {**refused, **evaluated}
    return [rows[number] for number in sorted(rows)]


def _number(value: float) -> float | None:
    """Return a number, or None for NaN."""
    return None if math.isnan(value) else float(value)
