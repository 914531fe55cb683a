"""An evaluation of models as rows of tables."""

from __future__ import annotations

import math

import numpy as np

from fludapk.patients.csv_list import Value
from fludapk.studies.evaluation import Evaluation
from fludapk.studies.evaluation_records import EvaluationRecord

# ------------------------------------------------------------------ as tables


def error_rows(record: EvaluationRecord) -> list[dict[str, Value]]:
    """Prediction errors by model and basis."""
    every = [(one.model, one.errors) for one in record.models]
    if record.averaged:
        every.append(("averaged", record.averaged))
    return [
        {
            "model": name,
            "basis": one.basis,
            "patients": one.patients,
            "levels": one.levels,
            **{
                f"{what}_percent{end}": value
                for what in ("mpe", "rmse", "within_30")
                for end, value in zip(
                    ("", "_ci95_low", "_ci95_high"),
                    (getattr(one, what), *(getattr(one, f"{what}_ci95") or (None, None))),
                    strict=True,
                )
            },
        }
        for name, errors in every
        for one in errors
    ]


def level_rows(result: Evaluation) -> list[dict[str, Value]]:
    """Every level by every model; mg/L and h."""
    rows: list[dict[str, Value]] = []
    for i, t in enumerate(np.concatenate([subject.times_h for subject in result.subjects])):
        subject = result.subjects[result.patient[i]]
        place = i - int(np.searchsorted(result.patient, result.patient[i]))
        of_level: dict[str, Value] = {
            "ID": subject.id,
            "time_h": float(t),
            "after_dose_h": float(result.after_dose_h[i]),
            "conc_mg_l": _known(result.measured_mg_l[i]),
            "lloq_mg_l": _known(np.asarray(subject.levels.lloq_mg_l)[0, place]),
        }
        rows += [
            {
                **of_level,
                "model": one.model.id,
                "from_covariates_mg_l": _known(one.predicted["covariates"][i]),
                "from_own_levels_mg_l": _known(one.predicted["own_levels"][i]),
                "from_earlier_levels_mg_l": _known(one.predicted["later_from_earlier"][i]),
                "npde": float(one.npde[i]),
                "prediction_corrected_mg_l": _known(one.corrected[i]),
            }
            for one in result.scores
        ]
    return rows


def patient_rows(result: Evaluation) -> list[dict[str, Value]]:
    """Every course of the file, the refused ones too, in order; AUC in mg h/L."""
    refused: dict[int, dict[str, Value]] = {
        one.row: {"ID": one.id, "row": one.row, "error": one.error} for one in result.record.refused
    }
    found: dict[int, dict[str, Value]] = {}
    for i, subject in enumerate(result.subjects):
        row: dict[str, Value] = {
            "ID": subject.id, "row": subject.row, "error": None, "levels": len(subject.times_h),
        }  # fmt: skip
        for k, one in enumerate(result.scores):
            name = one.model.id
            row[f"{name}_log_likelihood"] = float(one.log_likelihoods[i])
            row[f"{name}_weight"] = float(result.weights[i, k])
            row[f"{name}_auc_0_inf_covariates"] = float(one.auc_covariates[i])
            row[f"{name}_auc_0_inf_levels"] = float(one.auc_levels[i])
            effects = zip(one.model.file.iiv, one.eta[i], strict=True)
            row.update({f"{name}_{effect.name}": float(eta) for effect, eta in effects})
        found[subject.row] = row
    every: dict[int, dict[str, Value]] = {**refused, **found}
    return [every[row] for row in sorted(every)]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
