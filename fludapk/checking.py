"""One patient, one course: everything a second person needs to check it.

`check` computes; its result is the JSON of ``fludapk check --json`` (schema ``fludapk.check/1``)
and what the terminal page and the report are drawn from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from fludapk._version import __version__
from fludapk.arrays import F8
from fludapk.errors import FludapkError, InputError, StudiedRangeError, nearest
from fludapk.patient import Patient, columns_of
from fludapk.pk.effects import POINT_SET_SEED, RandomEffects, standard_normal_points
from fludapk.pk.exposure import Exposure, course_concentrations, course_exposure, rates
from fludapk.pk.program import Program
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import (
    Outside,
    Step,
    covariate_columns,
    covariate_rows,
    evaluate,
    missing_covariates,
    outside_studied_range,
)
from fludapk.published.equations import equation
from fludapk.published.models import DEFAULT_MODEL, Model, load_model, load_models
from fludapk.published.regimens import label_rules, label_step, regimens
from fludapk.published.targets import (
    HIGH,
    Flag,
    TargetStatus,
    applies,
    bounds,
    flag,
    prediction_interval,
    status,
    targets,
    window_probabilities,
)
from fludapk.regimen import NEUROTOXICITY, NEUROTOXICITY_MG_M2, ROUNDING_CAUTION, Course, Regimen

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


class Case(NamedTuple):
    """A course of a patient."""

    patient: Patient
    regimen: Regimen
    course: Course


@dataclass(frozen=True, eq=False)
class Prediction:
    """One model's typical patient; arrays have one row."""

    model: Model
    case: Case
    values: dict[str, F8]
    uncapped: float | None
    """eGFR or CrCl before the cap of the model."""
    origin: str | None
    """Which formula gave that, or "given", or "from" the other kind."""
    outside: list[Outside]
    tv: F8
    renal_fraction: float
    half_life_h: float
    typical: Exposure
    at_cells: tuple[float | None, float | None]
    """AUC so far and concentration when the cells are given."""
    known_steps: list[Step] | None = None
    """`steps`, where they were made on the way."""

    @property
    def arrays(self) -> tuple[F8, F8, F8]:
        """Times, durations, amounts of F-ara-A."""
        return self.case.course.arrays(self.model.file.dose.factor)

    @property
    def auc_0_inf(self) -> float:
        """Of the typical patient."""
        return float(self.typical.auc_0_inf[0])

    @property
    def steps(self) -> list[Step]:
        """How the covariates were made."""
        if self.known_steps is not None:
            return self.known_steps
        patient, regimen, _ = self.case
        known = patient.columns(self.model, regimen.product, regimen.disease)
        return covariate_columns(self.model, known, patient.egfr_formula).steps

    def exposure(self, effects: RandomEffects) -> Exposure:
        """Exposure with random effects."""
        return course_exposure(self.model.program, self.tv, effects, *self.arrays)

    def concentrations(self, effects: RandomEffects, at_h: F8) -> tuple[F8, F8]:
        """Concentration (mg/L) and area so far (mg h/L) at ascending times, each (n, times)."""
        return course_concentrations(self.model.program, self.tv, effects, *self.arrays, at_h)

    @property
    def no_effects(self) -> RandomEffects:
        """Those of the typical patient."""
        return RandomEffects.none(self.model.program, len(self.case.course.doses_mg))

    def typical_mg_l(self, at_h: F8) -> F8:
        """Concentration of the typical patient at ascending times, (times,) mg/L."""
        return np.asarray(self.concentrations(self.no_effects, at_h)[0][0])

    def random_effects(self, log2_points: int) -> RandomEffects:
        """Effects on the fixed Sobol points."""
        return _effects(self.model.program, len(self.case.course.doses_mg), log2_points)


@lru_cache(maxsize=16)
def _effects(program: Program, doses: int, log2_points: int) -> RandomEffects:
    z = standard_normal_points(log2_points, program.n_eta + doses * program.n_kappa)
    return RandomEffects.from_normals(program, z, doses)


def predict(model: Model, patient: Patient, regimen: Regimen, course: Course) -> Prediction:
    """Typical parameters and exposure of a patient by a model.

    Raises
    ------
    InputError
        If the model needs something that is not known, or a value is impossible.
    """
    (found,) = predictions(model, [Case(patient, regimen, course)])
    if isinstance(found, InputError):
        raise found
    return found


def predictions(model: Model, cases: Sequence[Case]) -> list[Prediction | InputError]:
    """`predict` for many: the prediction of each case, or why there is none."""
    found: dict[int, Prediction | InputError] = {}
    alike: dict[Hashable, list[int]] = {}
    for i, (patient, regimen, course) in enumerate(cases):
        key = patient.egfr_formula, course.times_h, course.infusion_h, regimen.cells_at_h
        alike.setdefault(key, []).append(i)
    for rows in alike.values():
        found.update(zip(rows, _alike(model, [cases[i] for i in rows]), strict=True))
    return [found[i] for i in range(len(cases))]


def _alike(model: Model, cases: Sequence[Case]) -> list[Prediction | InputError]:
    """Predictions of cases with the same times and eGFR formula."""
    patients = [case.patient for case in cases]
    products = [case.regimen.product for case in cases]
    diseases = [case.regimen.disease for case in cases]
    known = columns_of(patients, model, products, diseases)
    made = covariate_columns(model, known, patients[0].egfr_formula)
    found: dict[int, Prediction | InputError] = {}
    studied: dict[int, list[Outside]] = {}
    for i in range(len(cases)):
        try:
            lacking = missing_covariates(model, made.values, known, i)
            if lacking:
                raise InputError(f"{model.id} needs {'; '.join(lacking)}")
            studied[i] = outside_studied_range(model, made.values, i)
        except InputError as error:
            found[i] = error
    usable = list(studied)
    if not usable:
        return [found[i] for i in range(len(cases))]
    try:
        tv, renal = model.program.typical_values(
            covariate_rows(model, {k: v[usable] for k, v in made.values.items()}, len(usable))
        )
    except InputError as error:
        if len(cases) == 1:
            return [error]
        return [_alike(model, [case])[0] for case in cases]
    times, lengths, _ = cases[0].course.arrays(1.0)
    amounts = np.array([cases[i].course.doses_mg for i in usable]) * model.file.dose.factor
    none = RandomEffects.none(model.program, len(times))
    typical = course_exposure(model.program, tv, none, times, lengths, amounts)
    half_life = math.log(2) / rates(tv)[:, 3 - model.program.compartments]
    at_cells = _at_cells(model, tv, times, lengths, amounts, cases[0].regimen.cells_at_h)
    name = model.renal_covariate
    for j, i in enumerate(usable):
        found[i] = Prediction(
            model=model,
            case=cases[i],
            values={key: column[i : i + 1] for key, column in made.values.items()},
            uncapped=None if name is None else float(made.uncapped[name][i]),
            origin=None if name is None else made.origin[name][i],
            outside=studied[i],
            tv=tv[j : j + 1],
            renal_fraction=float(renal[j]),
            half_life_h=float(half_life[j]),
            typical=typical.row(j),
            at_cells=at_cells[j],
            known_steps=made.steps if len(cases) == 1 else None,
        )
    return [found[i] for i in range(len(cases))]


def _at_cells(
    model: Model, tv: F8, times: F8, lengths: F8, amounts: F8, at_h: float | None
) -> list[tuple[float | None, float | None]]:
    """AUC so far and concentration of typical patients when the cells are given."""
    if at_h is None:
        return [(None, None)] * len(tv)
    program = model.program
    if at_h >= times[-1] + lengths[-1]:  # a dose of nothing then: its trough is the concentration
        typical = RandomEffects.none(program, len(times) + 1)
        nothing = np.zeros((len(tv), 1))
        longer = np.append(times, at_h), np.append(lengths, 1.0), np.hstack([amounts, nothing])
        result = course_exposure(program, tv, typical, *longer)
        auc, conc = result.auc_per_dose[:, :-1].sum(axis=1), result.trough[:, -1]
    else:
        typical = RandomEffects.none(program, len(times))
        at = np.array([at_h])
        both = course_concentrations(program, tv, typical, times, lengths, amounts, at)
        conc, auc = both[0][:, 0], both[1][:, 0]
    return list(zip(auc.tolist(), conc.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A planned course of a patient to be checked.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
    model : str
    round_to_mg : float, optional
        Round each dose to a multiple of this many mg.
    course : Course, optional
        Doses and times as given, instead of those of the regimen.
    """

    patient: Patient
    regimen: Regimen
    model: str = DEFAULT_MODEL
    round_to_mg: float | None = None
    course: Course | None = None

    def case(self) -> Case:
        """The doses of this patient.

        Raises
        ------
        InputError
            As `Regimen.course`.
        """
        if self.course is None:
            course = self.regimen.course(self.patient, self.round_to_mg)
        else:
            course = self.course
            faults = course.ceiling_faults(self.patient.bsa_m2)
            if faults:
                raise InputError(*faults)
        return Case(self.patient, self.regimen, course)


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
        Folders of models; see `fludapk.published.models.model_folders`.

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
    request = Request(patient=patient, regimen=regimen, model=model, round_to_mg=round_to_mg)
    (outcome,) = checks([request], strict=strict, folders=folders)
    if isinstance(outcome, FludapkError):
        raise outcome
    return outcome


def checks(
    requests: Sequence[Request],
    *,
    log2_points: int = LOG2_POINTS,
    trails: bool = True,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> Iterator[CheckResult | FludapkError]:
    """`check` for many: the result of each request in order, or why it was refused.

    Patients are computed together, only the simulated courses behind the probabilities, 2 to the
    power of `log2_points` for each, one patient after the other. Without `trails` the results have
    none, which is quicker.

    Raises
    ------
    FileError
        If a model file is bad.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> [r.flag for r in checks([Request(patient=girl, regimen=plan)] * 2, log2_points=9)]
    ['below', 'below']
    """
    models = {model.id: model for model in load_models(folders)}
    known = _known_names(models.values())
    refused: dict[int, FludapkError] = {}
    cases: dict[int, Case] = {}
    for i, request in enumerate(requests):
        try:
            if request.model not in models:
                load_model(request.model, folders)  # says which there are
            _check_names(request.patient, request.regimen, known)
            cases[i] = request.case()
        except FludapkError as error:
            refused[i] = error
    by_model: dict[str, dict[int, Prediction | InputError]] = {}
    for model in models.values():
        rows = [
            i
            for i, case in cases.items()
            if requests[i].model == model.id or _other_disease(model, case) is None
        ]
        found = predictions(model, [cases[i] for i in rows])
        by_model[model.id] = dict(zip(rows, found, strict=True))

    kidneys = dict(zip(cases, _kidneys([case.patient for case in cases.values()]), strict=True))
    for i, request in enumerate(requests):
        outcome = refused.get(i) or by_model[request.model][i]
        if isinstance(outcome, FludapkError):
            yield outcome
        elif strict and outcome.outside:
            listed = ", ".join(map(str, outcome.outside))
            yield StudiedRangeError(f"outside the studied range of {outcome.model.id}: {listed}")
        else:
            rivals = {name: found[i] for name, found in by_model.items() if i in found}
            try:
                every = tuple(models.values())
                result = _result(outcome, request, rivals, every, kidneys[i], log2_points)
            except InputError as error:  # more random effects than there are points for
                yield error
            else:
                yield replace(result, trail=_trail(outcome)) if trails else result


def _result(
    prediction: Prediction,
    request: Request,
    rivals: Mapping[str, Prediction | InputError],
    models: Sequence[Model],
    kidney: Mapping[str, float],
    log2_points: int,
) -> CheckResult:
    patient, regimen, _ = prediction.case
    simulated = prediction.exposure(prediction.random_effects(log2_points)).auc_0_inf
    chosen, auc = prediction.model, prediction.auc_0_inf
    sensitivity = [_sensitivity(model, prediction.case, rivals.get(model.id)) for model in models]
    agree = len({row.flag for row in sensitivity if row.applies} | {flag(auc)}) == 1
    judged = [
        target_record(entry, auc, simulated, patient, regimen) for entry in targets().values()
    ]
    labels = _labels(patient, auc, kidney)
    return CheckResult(
        model=chosen.id,
        model_title=chosen.file.title,
        model_citation=chosen.file.citation.short,
        patient=_patient_record(prediction),
        regimen=_regimen_record(prediction, request.round_to_mg),
        exposure=_exposure_record(prediction, simulated),
        flag=flag(auc),
        flag_context=FLAG_CONTEXT,
        targets=judged,
        sensitivity=sensitivity,
        models_agree=agree,
        label_rules=labels,
        warnings=_warnings(prediction, sensitivity, agree, judged, labels),
        reading_note=_reading_note(chosen, patient),
        trail=[],
        provenance=Provenance(
            version=__version__,
            model_sha256=chosen.sha256,
            input_sha256=_input_hash(request),
            seed=POINT_SET_SEED,
            points=2**log2_points,
        ),
    )


def _known_names(models: Iterable[Model]) -> dict[str, set[str | None]]:
    """Products, diagnoses and genotypes that some regimen or model has."""
    entries = list(regimens().values())
    known: dict[str, set[str | None]] = {
        "product": {entry.product for entry in entries},
        "diagnosis": {entry.disease for entry in entries},
        "genotype": set(),
    }
    for model in models:
        known["diagnosis"].update(model.file.population.diseases)
        for category, names in known.items():
            names.update(model.levels(category))
    return known


def _check_names(
    patient: Patient, regimen: Regimen, known: Mapping[str, Collection[str | None]]
) -> None:
    """Refuse a product, diagnosis or genotype nobody knows, with the nearest name."""
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


def _other_disease(model: Model, case: Case) -> str | None:
    """The disease of a case, if a model was built from others."""
    diseases, disease = model.file.population.diseases, case.patient.diagnosis
    disease = disease or case.regimen.disease
    return disease if diseases and disease is not None and disease not in diseases else None


def _sensitivity(
    model: Model, case: Case, other: Prediction | InputError | None
) -> SensitivityRecord:
    """The course by another model, if its population covers the patient."""
    who = model.file.population.who
    reason: str | None = None
    auc: float | None = None
    if other is None or _other_disease(model, case) is not None:
        reason = who
    elif isinstance(other, InputError):
        reason = f"{who}; {'; '.join(other.faults)}"
    elif other.outside:
        reason = f"{who}; {', '.join(map(str, other.outside))}"
    else:
        auc = other.auc_0_inf
    return SensitivityRecord(
        model=model.id,
        applies=reason is None,
        auc_0_inf=auc,
        flag=None if auc is None else flag(auc),
        reading_of=model.file.reading_of,
        reason=reason,
    )


def target_record(
    entry: TargetEntry, auc: float, simulated: F8, patient: Patient, regimen: Regimen
) -> TargetRecord:
    """A published target and a patient: the likely AUC, and simulated ones."""
    below, within, above = window_probabilities(simulated, *bounds(entry))
    return TargetRecord(
        id=entry.id,
        low=entry.low,
        high=entry.high,
        optimum=entry.optimum,
        status=status(entry, auc),
        p_below=below,
        p_within=None if entry.optimum is not None else within,
        p_above=above,
        applies=applies(
            entry,
            age_years=patient.age_years,
            product=patient.product or regimen.product,
            disease=patient.diagnosis or regimen.disease,
        ),
        context=entry.context,
        finding=entry.finding,
        citation=entry.citation,
    )


def _kidneys(patients: Sequence[Patient]) -> list[dict[str, float]]:
    """CrCl and eGFR for label rules: what was given, or by Cockcroft-Gault; NaN if unknown."""
    known = columns_of(patients)
    for name, source in (
        ("CrCl", "deindex_gfr"),
        ("CrCl", "cockcroft_gault"),
        ("eGFR", "index_gfr"),
    ):
        known[name] = np.where(np.isnan(known[name]), evaluate(source, known)[0], known[name])
    both = zip(known["CrCl"].tolist(), known["eGFR"].tolist(), strict=True)
    return [{"CrCl": crcl, "eGFR": egfr} for crcl, egfr in both]


def _labels(patient: Patient, auc: float, kidney: Mapping[str, float]) -> list[LabelRecord]:
    """Label rules; those for adults only for adults."""
    adult = patient.age_years >= 18
    rows = []
    for rule in label_rules():
        value = kidney[rule.measure]
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


def _patient_record(prediction: Prediction) -> PatientRecord:
    (patient, regimen, _), values = prediction.case, prediction.values
    egfr = float(values["eGFR"][0]) if "eGFR" in values else None
    uncapped = prediction.uncapped if egfr is not None else None
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
        egfr_formula=prediction.origin if "eGFR" in values else None,
        egfr_capped=egfr is not None and uncapped is not None and egfr < uncapped,
        crcl_ml_min=float(values["CrCl"][0]) if "CrCl" in values else patient.crcl_ml_min,
        crcl_formula=prediction.origin if "CrCl" in values else None,
        product=patient.product or regimen.product,
        diagnosis=patient.diagnosis or regimen.disease,
        genotype=patient.genotype,
    )


def _regimen_record(prediction: Prediction, round_to_mg: float | None) -> RegimenRecord:
    patient, regimen, course = prediction.case
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
        infusion_h=course.infusion_h[0],
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        cells_at_h=regimen.cells_at_h,
        cells=regimen.cells,
    )


def _exposure_record(prediction: Prediction, simulated: F8) -> ExposureRecord:
    typical = prediction.typical
    to_cells, at_cells = prediction.at_cells
    has_renal_term = prediction.model.program.has_renal_term
    return ExposureRecord(
        auc_0_inf=prediction.auc_0_inf,
        auc_0_inf_pi90=prediction_interval(simulated),
        auc_per_dose=typical.auc_per_dose[0].tolist(),
        cmax_mg_l=float(typical.cmax[0]),
        auc_to_cells=to_cells,
        conc_at_cells_mg_l=at_cells,
        clearance_l_h=float(prediction.tv[0, 0]),
        renal_fraction=prediction.renal_fraction if has_renal_term else None,
        half_life_h=prediction.half_life_h,
    )


def _trail(prediction: Prediction) -> list[Step]:
    """The calculation for a second person, in order."""
    model, (patient, regimen, course) = prediction.model, prediction.case
    auc = prediction.auc_0_inf
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
    prediction: Prediction,
    sensitivity: Sequence[SensitivityRecord],
    agree: bool,
    targets: Sequence[TargetRecord],
    labels: Sequence[LabelRecord],
) -> list[Remark]:
    """Cautions first, then notes, each in the order of its weight."""
    model, (patient, regimen, course) = prediction.model, prediction.case
    auc, bsa = prediction.auc_0_inf, patient.bsa_m2
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
    disease = _other_disease(model, prediction.case)
    if disease is not None:
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
    if name is not None and (prediction.origin or "").startswith("from"):
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
    entry = targets()[target]
    return {status(entry, s.auc_0_inf) for s in sensitivity if s.auc_0_inf is not None}


def _input_hash(request: Request) -> str:
    """Hash of what was asked, whatever the order or unit it was typed in."""
    patient, course = vars(request.patient), request.course
    asked = {
        "patient": {
            k: v for k, v in patient.items() if k in Patient.__dataclass_fields__ and k != "typed"
        },
        "regimen": vars(request.regimen),
        "model": request.model,
        "round_to_mg": request.round_to_mg,
        **({} if course is None else {"course": vars(course)}),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
