"""Renal rules of labels by actual, adjusted and ideal weight, for obese adults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from fludapk.answers.check_records import LabelByWeight
from fludapk.arrays import F8
from fludapk.language import marked, tr
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.plausible import bmi_kg_m2
from fludapk.published.course_files import LabelRule
from fludapk.published.covariates import evaluate, renal_function
from fludapk.published.regimens import ADULT_YEARS, label_step

OBESE_KG_M2: Final = 30.0
"""Body mass index from which the weight in Cockcroft-Gault is disputed."""


Weight: TypeAlias = Literal["actual", "adjusted", "ideal"]
WORDS: Final = (marked("actual"), marked("adjusted"), marked("ideal"))
"""Words of a weight, for the catalogs."""


class Kidney(NamedTuple):
    """Renal function of one patient, computed from one weight."""

    weight: Weight
    weight_kg: float
    measures: Mapping[str, float]
    """CrCl and eGFR."""


def kidneys_by_weight(patients: Sequence[Patient]) -> list[list[Kidney]]:
    """Compute renal functions of each patient by actual, adjusted and ideal weight.

    Parameters
    ----------
    patients : sequence of Patient

    Returns
    -------
    list of list of Kidney
        Empty where the weight is not disputed or makes no difference: in children, at a body mass
        index below 30, with a renal function that was typed; and below 152.4 cm, where no ideal
        weight is defined.

    Examples
    --------
    >>> man = Patient(age=60, sex="male", weight=125, height=178, scr="1.1 mg/dL")
    >>> [(k.weight, round(k.measures["CrCl"])) for k in kidneys_by_weight([man])[0]]
    [('actual', 126), ('adjusted', 95), ('ideal', 74)]
    """
    rows = [k for k, patient in enumerate(patients) if _is_disputed(patient)]
    kidneys: list[list[Kidney]] = [[] for _ in patients]
    if not rows:
        return kidneys
    columns = columns_of([patients[k] for k in rows])
    weights: dict[Weight, F8] = {
        "actual": columns["WT"],
        "adjusted": evaluate("adjusted_weight", columns),
        "ideal": evaluate("devine", columns),
    }
    for weight, kg in weights.items():
        by_this = {**columns, "WT": kg}
        crcl, egfr = (renal_function(measure, by_this) for measure in ("CrCl", "eGFR"))
        for place, k in enumerate(rows):
            if np.isfinite(weights["ideal"][place]):
                measures = {"CrCl": float(crcl[place]), "eGFR": float(egfr[place])}
                kidneys[k].append(Kidney(weight, float(kg[place]), measures))
    return kidneys


def _is_disputed(patient: Patient) -> bool:
    bmi = bmi_kg_m2(patient.weight_kg, patient.height_cm)
    by_creatinine = patient.scr_mg_dl is not None and patient.sex is not None
    return by_creatinine and patient.age_years >= ADULT_YEARS and bmi >= OBESE_KG_M2


def label_by_weight(rule: LabelRule, kidneys: Sequence[Kidney], auc: float) -> list[LabelByWeight]:
    """Look up the advice of a rule by each weight.

    Parameters
    ----------
    rule : LabelRule
    kidneys : sequence of Kidney
        Renal functions of one patient, see `kidneys_by_weight`.
    auc : float
        AUC0-inf of the full dose, mg·h/L.
    """
    rows = []
    for kidney in kidneys:
        value = kidney.measures[rule.measure]
        if not math.isfinite(value):
            continue
        step = label_step(rule, value)
        rows.append(
            LabelByWeight(
                weight=kidney.weight,
                weight_kg=kidney.weight_kg,
                value=value,
                advice=tr(step.advice),
                refused=step.refuse,
                factor=step.factor,
                auc_0_inf=None if step.factor is None else auc * step.factor,
            )
        )
    return rows
