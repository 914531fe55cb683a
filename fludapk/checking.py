"""One patient, one course: everything a second person needs to check it.

`check` computes; its result is the JSON of ``fludapk check --json`` (schema ``fludapk.check/1``)
and what the terminal page and the report are drawn from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fludapk import __version__, exposure, simulate
from fludapk.errors import FludapkError, InputError, StudiedRangeError, nearest
from fludapk.exposure import HIGH, Flag, TargetStatus
from fludapk.model import (
    DEFAULT_MODEL,
    Model,
    Outside,
    Step,
    covariate_columns,
    covariate_rows,
    equation,
    evaluate,
    load_model,
    load_models,
    missing_covariates,
    outside_studied_range,
)
from fludapk.patient import Patient
from fludapk.regimen import (
    NEUROTOXICITY,
    NEUROTOXICITY_MG_M2,
    ROUNDING_CAUTION,
    Course,
    Regimen,
    label_rules,
    label_step,
    regimens,
)
from fludapk.schema import TargetEntry

F8 = npt.NDArray[np.float64]

LOG2_POINTS: Final = 13
"""Sobol points behind the probabilities: keeps them within 0.005 (tested)."""

DISCLAIMER: Final = (
    "Research and second check only, not a medical device. Thresholds are retrospective: not "
    "enough evidence to change standard regimens, prospective trials are needed."
)
FLAG_CONTEXT: Final = (
    "13.8: fabrizio2022, estimated AUC; 14: dekker2022, measured AUC; "
    "both r/r B-ALL before tisa-cel"
)


# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class PatientRecord:
    """The patient and what was derived before any model of fludarabine."""

    age_years: float
    sex: str | None
    weight_kg: float
    height_cm: float
    bsa_m2: float
    bsa_formula: str
    scr_mg_dl: float | None
    egfr_ml_min_1_73m2: float | None
    """As the model uses it: after its cap."""
    egfr_uncapped_ml_min_1_73m2: float | None
    egfr_formula: str | None
    """A formula, "given", or "from CrCl"; None if the model has no eGFR."""
    egfr_capped: bool
    crcl_ml_min: float | None
    crcl_formula: str | None
    product: str | None
    diagnosis: str | None
    genotype: str | None


@dataclass(frozen=True, kw_only=True)
class RegimenRecord:
    """The course; mg of fludarabine phosphate unless said."""

    id: str
    title: str
    dose: float
    dose_unit: str
    doses_mg: list[float]
    planned_dose_mg: float
    round_to_mg: float | None
    total_mg: float
    total_mg_m2: float
    amount_f_ara_a_mg: float
    times_h: list[float]
    infusion_h: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    cells_at_h: float | None
    cells: str
    """When the label gives the cells; `cells_at_h` is the earliest such time unless typed."""


@dataclass(frozen=True, kw_only=True)
class ExposureRecord:
    """F-ara-A; the typical patient, and the interval over IIV and IOV."""

    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    auc_per_dose: list[float]
    """From each dose to the next, the last to infinity: they add up."""
    cmax_mg_l: float
    auc_to_cells: float | None
    conc_at_cells_mg_l: float | None
    clearance_l_h: float
    renal_fraction: float | None
    half_life_h: float


@dataclass(frozen=True, kw_only=True)
class TargetRecord:
    """A published target and this patient."""

    id: str
    low: float | None
    high: float | None
    optimum: float | None
    status: TargetStatus
    p_below: float
    p_within: float | None
    p_above: float
    applies: bool
    context: str
    finding: str
    citation: str


@dataclass(frozen=True, kw_only=True)
class SensitivityRecord:
    """The same patient by a model."""

    model: str
    applies: bool
    auc_0_inf: float | None
    flag: Flag | None
    reading_of: str | None
    reason: str | None
    """Why it does not apply."""


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """What a label or a centre says for this kidney function."""

    id: str
    title: str
    applies: bool
    measure: str
    value: float | None
    unit: str
    advice: str
    refused: bool
    """The rule says not to give it."""
    factor: float | None
    auc_0_inf: float | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something the reader must know."""

    code: str
    level: Literal["caution", "note"]
    message: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What made this result."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    points: int


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Result of `check`."""

    schema: Literal["fludapk.check/1"] = "fludapk.check/1"
    model: str
    model_title: str
    model_citation: str
    patient: PatientRecord
    regimen: RegimenRecord
    exposure: ExposureRecord
    flag: Flag
    flag_context: str
    targets: list[TargetRecord]
    sensitivity: list[SensitivityRecord]
    models_agree: bool
    label_rules: list[LabelRecord]
    warnings: list[Remark]
    reading_note: str | None
    """For whom it matters: why this reading of the paper is the default."""
    trail: list[Step]
    disclaimer: str = DISCLAIMER
    provenance: Provenance

    def to_json(self) -> str:
        """One JSON document, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


# ------------------------------------------------------------------ the computation


@dataclass(frozen=True, eq=False)
class Prediction:
    """One model's typical patient."""

    model: Model
    values: dict[str, F8]
    steps: list[Step]
    outside: list[Outside]
    tv: F8
    renal_fraction: float
    course: Course

    @property
    def arrays(self) -> tuple[F8, F8, F8]:
        """Times, durations, amounts of F-ara-A."""
        return self.course.arrays(self.model.file.dose.factor)

    def exposure(self, effects: simulate.RandomEffects | None = None) -> simulate.Exposure:
        """Exposure, typical unless random effects are given."""
        program = self.model.program
        typical = simulate.RandomEffects.none(program, len(self.course.doses_mg))
        return simulate.exposure(program, self.tv, effects or typical, *self.arrays)

    def random_effects(self, log2_points: int) -> simulate.RandomEffects:
        """Effects on the fixed Sobol points."""
        program, doses = self.model.program, len(self.course.doses_mg)
        z = simulate.standard_normal_points(log2_points, program.n_eta + doses * program.n_kappa)
        return simulate.RandomEffects.from_normals(program, z, doses)


def predict(model: Model, patient: Patient, regimen: Regimen, course: Course) -> Prediction:
    """Typical parameters of a patient by a model.

    Raises
    ------
    InputError
        If the model needs something that is not known, or a value is impossible.
    """
    columns = patient.columns(model, regimen.product, regimen.disease)
    values, steps = covariate_columns(model, columns, patient.egfr_formula)
    lacking = missing_covariates(model, values, columns)
    if lacking:
        raise InputError(f"{model.id} needs {'; '.join(lacking)}")
    outside = outside_studied_range(model, values)
    tv, renal = model.program.typical_values(covariate_rows(model, values))
    return Prediction(model, values, steps, outside, tv, float(renal[0]), course)


def check(
    patient: Patient,
    regimen: Regimen,
    *,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> CheckResult:
    """Check a planned course of one patient.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
    model : str
    round_to_mg : float, optional
        Round each dose to a multiple of this many mg.
    strict : bool
        Refuse a patient outside the studied range of the model.
    folders : sequence of Path, optional
        Folders of models; see `fludapk.model.model_folders`.

    Returns
    -------
    CheckResult

    Raises
    ------
    InputError
        If something is missing or impossible, a name is unknown, or a ceiling is passed.
    FileError
        If a model file is bad.
    StudiedRangeError
        With `strict`.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> result = check(girl, Regimen.named("tisa_cel_ball"))
    >>> round(result.exposure.auc_0_inf, 2), result.flag, result.models_agree
    (13.58, 'below', False)
    """
    models = load_models(folders)
    chosen = load_model(model, folders)
    _known_names(patient, regimen, models)
    course = regimen.course(patient, round_to_mg)
    prediction = predict(chosen, patient, regimen, course)
    if strict and prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        raise StudiedRangeError(f"outside the studied range of {chosen.id}: {listed}")

    typical = prediction.exposure()
    auc = float(typical.auc_0_inf[0])
    simulated = prediction.exposure(prediction.random_effects(LOG2_POINTS)).auc_0_inf
    sensitivity = [_sensitivity(other, prediction, patient, regimen, course) for other in models]
    agree = len({row.flag for row in sensitivity if row.applies} | {exposure.flag(auc)}) == 1
    targets = [
        _target(entry, auc, simulated, patient, regimen) for entry in exposure.targets().values()
    ]
    labels = _labels(patient, auc)
    return CheckResult(
        model=chosen.id,
        model_title=chosen.file.title,
        model_citation=chosen.file.citation.short,
        patient=_patient_record(patient, regimen, prediction),
        regimen=_regimen_record(patient, regimen, prediction, round_to_mg),
        exposure=_exposure_record(prediction, regimen, typical, simulated),
        flag=exposure.flag(auc),
        flag_context=FLAG_CONTEXT,
        targets=targets,
        sensitivity=sensitivity,
        models_agree=agree,
        label_rules=labels,
        warnings=_warnings(patient, regimen, prediction, auc, sensitivity, agree, targets, labels),
        reading_note=_reading_note(chosen, patient),
        trail=_trail(patient, regimen, prediction, auc),
        provenance=Provenance(
            version=__version__,
            model_sha256=chosen.sha256,
            input_sha256=_input_hash(patient, regimen, model, round_to_mg),
            seed=simulate.POINT_SET_SEED,
            points=2**LOG2_POINTS,
        ),
    )


def _known_names(patient: Patient, regimen: Regimen, models: Sequence[Model]) -> None:
    """Refuse a product, diagnosis or genotype nobody knows, with the nearest name."""
    entries = list(regimens().values())
    known: dict[str, list[str | None]] = {
        "product": [entry.product for entry in entries],
        "diagnosis": [entry.disease for entry in entries],
        "genotype": [],
    }
    for model in models:
        known["diagnosis"] += model.file.population.diseases
        for category, names in known.items():
            names += model.levels(category)
    faults = []
    for category, names in known.items():
        value = getattr(patient, category)
        if value is not None and value not in names:
            choices = sorted({name for name in names if name})
            faults.append(f"unknown {category} {value!r}: {nearest(value, choices)}")
    if not faults and patient.product and regimen.product not in (None, patient.product):
        faults.append(
            f"product = {patient.product!r}, but {regimen.id} is a course for {regimen.product!r}"
        )
    if faults:
        raise InputError(*faults)


def _sensitivity(
    model: Model, main: Prediction, patient: Patient, regimen: Regimen, course: Course
) -> SensitivityRecord:
    """The course by another model, if its population covers the patient."""
    population = model.file.population
    disease = patient.diagnosis or regimen.disease
    reason: str | None = None
    auc: float | None = None
    if population.diseases and disease is not None and disease not in population.diseases:
        reason = population.who
    else:
        try:
            other = main if model is main.model else predict(model, patient, regimen, course)
            if other.outside:
                reason = f"{population.who}; {', '.join(map(str, other.outside))}"
            else:
                auc = float(other.exposure().auc_0_inf[0])
        except FludapkError as error:
            reason = f"{population.who}; {'; '.join(error.faults)}"
    return SensitivityRecord(
        model=model.id,
        applies=reason is None,
        auc_0_inf=auc,
        flag=None if auc is None else exposure.flag(auc),
        reading_of=model.file.reading_of,
        reason=reason,
    )


def _target(
    entry: TargetEntry, auc: float, simulated: F8, patient: Patient, regimen: Regimen
) -> TargetRecord:
    below, within, above = exposure.window_probabilities(simulated, *exposure.bounds(entry))
    return TargetRecord(
        id=entry.id,
        low=entry.low,
        high=entry.high,
        optimum=entry.optimum,
        status=exposure.status(entry, auc),
        p_below=below,
        p_within=None if entry.optimum is not None else within,
        p_above=above,
        applies=exposure.applies(
            entry,
            age_years=patient.age_years,
            product=patient.product or regimen.product,
            disease=patient.diagnosis or regimen.disease,
        ),
        context=entry.context,
        finding=entry.finding,
        citation=entry.citation,
    )


def _labels(patient: Patient, auc: float) -> list[LabelRecord]:
    """Label rules by Cockcroft-Gault, or by what was given; adults only."""
    adult = patient.age_years >= 18
    known = patient.columns()
    if np.isnan(known["CrCl"][0]):
        source = "deindex_gfr" if np.isfinite(known["eGFR"][0]) else "cockcroft_gault"
        known["CrCl"] = evaluate(source, known)[0]
    if np.isnan(known["eGFR"][0]):
        known["eGFR"] = evaluate("index_gfr", known)[0]
    rows = []
    for rule in label_rules():
        value = float(known[rule.measure][0])
        usable = (adult or not rule.adults_only) and math.isfinite(value)
        step = label_step(rule, value) if usable else None
        given = any(value is not None for value in patient.renal_inputs)
        lacking = "needs sex" if given else "needs a renal function"
        why_not = f"not computed: {lacking}" if adult else "written for adults"
        factor = step.factor if step else None
        rows.append(
            LabelRecord(
                id=rule.id,
                title=rule.title,
                applies=usable,
                measure=rule.measure,
                value=value if usable else None,
                unit="mL/min" if rule.measure == "CrCl" else "mL/min/1.73 m2",
                advice=step.advice if step else why_not,
                refused=step.refuse if step else False,
                factor=factor,
                auc_0_inf=None if factor is None else auc * factor,
                source=rule.source,
            )
        )
    return rows


def _renal_origin(prediction: Prediction) -> str | None:
    """Which formula gave the renal function of the model, or "given", or "from" the other kind."""
    return next((step.by for step in prediction.steps if step.name in ("eGFR", "CrCl")), None)


def _patient_record(patient: Patient, regimen: Regimen, prediction: Prediction) -> PatientRecord:
    values, origin = prediction.values, _renal_origin(prediction)
    free = [s.value for s in prediction.steps if s.name == "eGFR" and s.by != "cap"]
    egfr = float(values["eGFR"][0]) if "eGFR" in values else None
    uncapped = free[-1] if free and egfr is not None else egfr
    return PatientRecord(
        age_years=patient.age_years,
        sex=patient.sex,
        weight_kg=patient.weight_kg,
        height_cm=patient.height_cm,
        bsa_m2=patient.bsa_m2,
        bsa_formula=patient.bsa_formula,
        scr_mg_dl=patient.scr_mg_dl,
        egfr_ml_min_1_73m2=egfr,
        egfr_uncapped_ml_min_1_73m2=uncapped,
        egfr_formula=origin if "eGFR" in values else None,
        egfr_capped=egfr is not None and uncapped is not None and egfr < uncapped,
        crcl_ml_min=float(values["CrCl"][0]) if "CrCl" in values else patient.crcl_ml_min,
        crcl_formula=origin if "CrCl" in values else None,
        product=patient.product or regimen.product,
        diagnosis=patient.diagnosis or regimen.disease,
        genotype=patient.genotype,
    )


def _regimen_record(
    patient: Patient, regimen: Regimen, prediction: Prediction, round_to_mg: float | None
) -> RegimenRecord:
    course = prediction.course
    bench = course.preparation()
    return RegimenRecord(
        id=regimen.id,
        title=regimen.title,
        dose=regimen.dose,
        dose_unit=regimen.unit,
        doses_mg=list(course.doses_mg),
        planned_dose_mg=course.planned_mg if course.planned_mg is not None else course.doses_mg[0],
        round_to_mg=round_to_mg,
        total_mg=course.total_mg,
        total_mg_m2=course.total_mg / patient.bsa_m2,
        amount_f_ara_a_mg=course.total_mg * prediction.model.file.dose.factor,
        times_h=list(course.times_h),
        infusion_h=regimen.infusion_h,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        cells_at_h=regimen.cells_at_h,
        cells=regimen.cells,
    )


def _exposure_record(
    prediction: Prediction, regimen: Regimen, typical: simulate.Exposure, simulated: F8
) -> ExposureRecord:
    program = prediction.model.program
    to_cells, at_cells = _at_cells(prediction, regimen.cells_at_h)
    rates = simulate.rates(prediction.tv)[0]
    return ExposureRecord(
        auc_0_inf=float(typical.auc_0_inf[0]),
        auc_0_inf_pi90=exposure.prediction_interval(simulated),
        auc_per_dose=typical.auc_per_dose[0].tolist(),
        cmax_mg_l=float(typical.cmax[0]),
        auc_to_cells=to_cells,
        conc_at_cells_mg_l=at_cells,
        clearance_l_h=float(prediction.tv[0, 0]),
        renal_fraction=prediction.renal_fraction if program.has_renal_term else None,
        half_life_h=math.log(2) / float(rates[3 - program.compartments]),
    )


def _at_cells(prediction: Prediction, at_h: float | None) -> tuple[float | None, float | None]:
    """AUC so far and concentration of the typical patient when the cells are given."""
    if at_h is None:
        return None, None
    program, (times, lengths, amounts) = prediction.model.program, prediction.arrays
    if at_h >= times[-1] + lengths[-1]:  # a dose of nothing then: its trough is the concentration
        typical = simulate.RandomEffects.none(program, len(times) + 1)
        courses = np.append(times, at_h), np.append(lengths, 1.0), np.append(amounts, [[0.0]], 1)
        result = simulate.exposure(program, prediction.tv, typical, *courses)
        return float(result.auc_per_dose[0, :-1].sum()), float(result.trough[0, -1])
    typical = simulate.RandomEffects.none(program, len(times))
    conc, auc = simulate.concentrations(
        program, prediction.tv, typical, times, lengths, amounts, np.array([at_h])
    )
    return float(auc[0, 0]), float(conc[0, 0])


def _trail(patient: Patient, regimen: Regimen, prediction: Prediction, auc: float) -> list[Step]:
    """The calculation for a second person, in order."""
    model, course = prediction.model, prediction.course
    dose, n = course.doses_mg[0], len(course.doses_mg)
    how_bsa = evaluate(patient.bsa_formula, patient.columns())[1]
    per = {
        "mg/m2": f"{regimen.dose:g} mg/m2 × {patient.bsa_m2:.4f} m2",
        "mg/kg": f"{regimen.dose:g} mg/kg × {patient.weight_kg:g} kg",
        "mg": "as prescribed",
    }[regimen.unit]
    if course.planned_mg is not None and course.planned_mg != dose:
        per += f" = {course.planned_mg:.2f} mg, rounded"
    factor = model.file.dose.factor
    amount = course.total_mg * factor
    clearance = float(prediction.tv[0, 0])
    split = ""
    if model.program.has_renal_term:
        renal = clearance * prediction.renal_fraction
        split = f" = non-renal {clearance - renal:.3f} + renal {renal:.3f}"
    return [
        Step("BSA", patient.bsa_m2, "m2", patient.bsa_formula, how_bsa),
        Step("dose", dose, "mg fludarabine phosphate", "", per),
        Step("course", course.total_mg, "mg fludarabine phosphate", "", f"{n} × {dose:.2f} mg"),
        Step("amount", amount, "mg F-ara-A", "", f"{course.total_mg:.2f} mg × {factor:g}"),
        *prediction.steps,
        Step("CL", clearance, "L/h", "", equation(model, "CL", prediction.values) + split),
        Step("AUC0-inf", auc, "mg·h/L", "", f"amount / CL = {amount:.2f} mg / {clearance:.4g} L/h"),
    ]


def _reading_note(model: Model, patient: Patient) -> str | None:
    return next(
        (
            departure.shown
            for departure in model.file.departures
            if departure.shown and patient.age_years < (departure.shown_below_age or math.inf)
        ),
        None,
    )


def _warnings(
    patient: Patient,
    regimen: Regimen,
    prediction: Prediction,
    auc: float,
    sensitivity: Sequence[SensitivityRecord],
    agree: bool,
    targets: Sequence[TargetRecord],
    labels: Sequence[LabelRecord],
) -> list[Remark]:
    """Cautions first, then notes, each in the order of its weight."""
    model, course, bsa = prediction.model, prediction.course, patient.bsa_m2
    cautions: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    if not agree:
        others = [
            f"{row.model} gives {row.auc_0_inf:.2f} mg·h/L ({row.flag})"
            for row in sensitivity
            if row.applies and row.model != model.id and row.auc_0_inf is not None
        ]
        cautions.append(("models_disagree", f"models disagree on the flag: {'; '.join(others)}"))
    contested = [t.id for t in targets if t.applies and len(_statuses(t.id, sensitivity)) > 1]
    if agree and contested:
        said = ", ".join(f"{row.model} {row.auc_0_inf:.2f}" for row in sensitivity if row.auc_0_inf)
        cautions.append(
            ("models_disagree_target", f"models disagree on {', '.join(contested)}: {said} mg·h/L")
        )
    if prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        cautions.append(
            ("outside_studied_range", f"outside the population of {model.id}: {listed}")
        )
    diseases, disease = model.file.population.diseases, patient.diagnosis or regimen.disease
    if diseases and disease is not None and disease not in diseases:
        who = model.file.population.who
        cautions.append(("other_disease", f"{model.id} was built from {who}, not from {disease}"))
    if auc > HIGH:
        cautions.append(
            (
                "high_exposure",
                f"AUC above {HIGH:g} mg·h/L: more ICANS and non-relapse death in scordo2023, more "
                "non-relapse death in langenhorst2019b",
            )
        )
    refusing = [row for row in labels if row.refused]
    if refusing:
        said = "; ".join(
            f"{r.title} at {r.measure} {r.value:.0f} {r.unit}: {r.advice}" for r in refusing
        )
        cautions.append(("label_renal", said))
    daily = course.highest_daily_mg() / bsa
    if daily >= NEUROTOXICITY_MG_M2 * (1 - 1e-9):
        cautions.append(("neurotoxicity", f"{daily:.1f} mg/m2 a day; {NEUROTOXICITY}"))
    if abs(course.rounding_change) > ROUNDING_CAUTION + 1e-12:
        cautions.append(
            ("rounding", f"rounding changes each dose by {course.rounding_change:+.1%} of the plan")
        )
    if patient.age_years < 1:
        cautions.append(
            (
                "infant",
                "under 1 year: kidney maturation enters only through the eGFR cap; the studied "
                "range of the default model starts at 0.3 y and 4.3 kg",
            )
        )
    if regimen.ages is not None and not regimen.ages[0] <= patient.age_years < regimen.ages[1]:
        cautions.append(("regimen_population", f"{regimen.id} is a course for {regimen.who}"))
    cautions.extend(("unusual_for_age", text) for text in patient.unusual_for_age())
    if model.file.dose.basis == "unknown":
        cautions.append(("dose_basis", f"{model.id}: {model.file.dose.evidence}"))
    if patient.egfr_formula is not None:
        cautions.append(
            (
                "egfr_formula",
                f"{patient.egfr_formula} instead of the formula {model.id} was built with",
            )
        )
    name = model.renal_covariate
    if name is not None and (_renal_origin(prediction) or "").startswith("from"):
        other = "CrCl" if name == "eGFR" else "eGFR"
        notes.append(
            (
                "renal_converted",
                f"{model.id} uses {name}: converted from the {other} given, with BSA",
            )
        )
    conversions = patient.conversions()
    if conversions:
        notes.append(("units_converted", "; ".join(conversions)))
    if regimen.unsettled:
        notes.append(
            ("regimen_unsettled", f"{regimen.id}: not settled by our sources: {regimen.unsettled}")
        )
    if not any(target.applies for target in targets):
        notes.append(("no_target", "no published target covers this disease, age and product"))
    if not model.file.iov:
        notes.append(
            ("no_iov", f"{model.id} has no inter-occasion variability: its interval is narrower")
        )
    if model.file.dose.basis == "inferred":
        notes.append(
            (
                "dose_basis",
                f"{model.id}: mg phosphate × {model.file.dose.factor:g} = mg F-ara-A is inferred, "
                "not printed in the paper",
            )
        )
    return [
        *(Remark(code=code, level="caution", message=text) for code, text in cautions),
        *(Remark(code=code, level="note", message=text) for code, text in notes),
    ]


def _statuses(target: str, sensitivity: Sequence[SensitivityRecord]) -> set[TargetStatus]:
    """What the models that apply say of one target."""
    entry = exposure.targets()[target]
    return {exposure.status(entry, s.auc_0_inf) for s in sensitivity if s.auc_0_inf is not None}


def _input_hash(patient: Patient, regimen: Regimen, model: str, round_to_mg: float | None) -> str:
    """Hash of what was asked, whatever the order or unit it was typed in."""
    asked = {
        "patient": {k: v for k, v in vars(patient).items() if k != "typed"},
        "regimen": vars(regimen),
        "model": model,
        "round_to_mg": round_to_mg,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
