"""Records of a check, as its JSON shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal

from fludapk.answers.headline import Chances, Headline, Simulated, is_noteworthy
from fludapk.answers.record import (
    DISCLAIMER,
    Provenance,
    Record,
    Remark,
    Row,
    scalars,
)
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import Step
from fludapk.published.targets import (
    Flag,
    TargetStatus,
    applies,
    bounds,
    status,
    targets,
)

if TYPE_CHECKING:
    from fludapk.answers.prediction import Prediction

FLAG_CONTEXT: Final = (
    "13.8: Fabrizio 2022, estimated AUC; 14: Dekker 2022, measured AUC; "
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
    """eGFR that the model uses, after its cap."""
    egfr_uncapped_ml_min_1_73m2: float | None
    egfr_formula: str | None
    """A formula, "given", or "from CrCl"; None if the model has no eGFR."""
    egfr_capped: bool
    crcl_ml_min: float | None
    crcl_formula: str | None
    product: str | None
    diagnosis: str | None
    genotype: str | None
    confirmed: list[str]
    """Quantities that would have been refused as a slip, had nobody confirmed them."""


@dataclass(frozen=True, kw_only=True)
class RegimenRecord:
    """The course; mg of fludarabine phosphate unless the name tells another substance."""

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
    change: str
    """Words for how the published course was changed; empty if it was not."""
    cells: str
    """Day of the cells on the label; `cells_at_h` is the earliest such time unless typed."""
    bsa_cap_m2: float | None
    """Body surface area above which doses in mg/m2 do not grow, as chosen."""


@dataclass(frozen=True, kw_only=True)
class ExposureRecord:
    """Exposure to F-ara-A: the typical patient, and the interval over IIV and IOV."""

    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    auc_0_inf_uncertain_pi90: tuple[float, float] | None
    """The same with the uncertainty of the model's numbers; None if none is printed."""
    auc_per_dose: list[float]
    """Areas from each dose to the next, the last to infinity: they add up."""
    cmax_mg_l: float
    auc_to_cells: float | None
    conc_at_cells_mg_l: float | None
    clearance_l_h: float
    renal_fraction: float | None
    half_life_h: float


@dataclass(frozen=True, kw_only=True)
class TargetRecord:
    """A published target, and the chances of this patient against it."""

    id: str
    name: str
    """Name as people cite it."""
    low: float | None
    """This and the next two: AUC0-inf, mg·h/L."""
    high: float | None
    optimum: float | None
    status: TargetStatus
    p_below: float
    p_within: float | None
    p_above: float
    p_below_uncertain: float | None
    """This and the next two: with the uncertainty of the model's numbers."""
    p_within_uncertain: float | None
    p_above_uncertain: float | None
    applies: bool
    context: str
    finding: str
    citation: str

    @property
    def chances(self) -> Chances:
        """Chances as a person reads them, by the rule of the headline."""
        narrow = Chances(self.p_below, 1.0 - self.p_below - self.p_above, self.p_above)
        below, above = self.p_below_uncertain, self.p_above_uncertain
        if below is None or above is None:
            return narrow
        wide = Chances(below, 1.0 - below - above, above)
        return wide if is_noteworthy(narrow, wide) else narrow


@dataclass(frozen=True, kw_only=True)
class SensitivityRecord:
    """AUC of the same patient by a model."""

    model: str
    name: str
    """Name as people cite it."""
    who: str
    """Patients that it was built from."""
    applies: bool
    auc_0_inf: float | None
    flag: Flag | None
    reading_of: str | None
    reason: str | None
    """Why it does not apply."""


@dataclass(frozen=True, kw_only=True)
class LabelByWeight:
    """Advice of a label rule if Cockcroft-Gault is computed from a weight."""

    weight: Literal["actual", "adjusted", "ideal"]
    weight_kg: float
    value: float
    advice: str
    refused: bool
    factor: float | None
    auc_0_inf: float | None


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """Advice of a label or a centre at this kidney function."""

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
    by_weight: list[LabelByWeight]
    """The rule, from a body mass index of 30 up, by actual, adjusted and ideal weight."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckResult(Record):
    """Result of `check`."""

    schema: Literal["fludapk.check/2"] = "fludapk.check/2"
    headline: Headline
    remarks: list[Remark]
    """The worst first."""
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
    reading_note: str | None
    """Reason why this reading of the paper is the default, for those to whom it matters."""
    trail: list[Step]
    disclaimer: str = DISCLAIMER
    provenance: Provenance

    @property
    def prediction(self) -> Prediction:
        """Prediction that it was made from."""
        prediction: Prediction = self.made_from
        return prediction

    def brief(self) -> str:
        """Return AUC and interval in a line."""
        (low, high), auc = self.exposure.auc_0_inf_pi90, self.exposure.auc_0_inf
        return f"check by {self.model}: AUC0-inf {auc:.2f} mg·h/L, 90 % {low:.1f}-{high:.1f}"

    def rows(self) -> list[Row]:
        """Return the scalars of the check as one row, with the names of `fludapk batch`."""
        head = self.headline
        row: Row = {"error": None, "stop": "; ".join(head.stops), "headline": head.sentence}
        row |= {name: getattr(head, name) for name in _HEADLINE}
        row |= {"flag": self.flag} | scalars(self.exposure)
        for name in ("auc_0_inf_pi90", "auc_0_inf_uncertain_pi90"):
            row.pop(name, None)
            row[f"{name}_low"], row[f"{name}_high"] = getattr(self.exposure, name) or (None, None)
        row["models_agree"] = self.models_agree
        row["remarks"] = "; ".join(r.code for r in self.remarks if r.severity != "note")
        for target in self.targets:
            row |= {f"{target.id}_{what}": getattr(target, what) for what in _TARGET}
        for rival in self.sensitivity:
            row |= {f"{rival.model}_{what}": getattr(rival, what) for what in _RIVAL}
        row |= scalars(self.patient) | {"confirmed": "; ".join(self.patient.confirmed)}
        row |= {_REGIMEN.get(k, k): v for k, v in scalars(self.regimen).items()}
        row["doses_mg"] = " ".join(f"{dose:.12g}" for dose in self.regimen.doses_mg)
        row["times_h"] = " ".join(f"{time:.12g}" for time in self.regimen.times_h)
        row["model"] = self.model
        row["label_rules_refusing"] = "; ".join(r.id for r in self.label_rules if r.refused)
        return [row | scalars(self.provenance)]


_HEADLINE: Final = ("target", "p_below", "p_within", "p_above")
_TARGET: Final = ("status", "p_below", "p_within", "p_above", "applies")
_RIVAL: Final = ("applies", "auc_0_inf", "flag")
_REGIMEN: Final = {"id": "regimen", "title": "regimen_title"}


def result_columns(models: Sequence[str]) -> list[str]:
    """Name the columns of `CheckResult.rows` with these models; the answer first."""
    names = ["error", "stop", "headline", *_HEADLINE, "flag"]
    for part in fields(ExposureRecord):
        pair = [f"{part.name}_low", f"{part.name}_high"]
        names += pair if part.name.endswith("_pi90") else [part.name]
    names.remove("auc_per_dose")
    names += ["models_agree", "remarks"]
    names += [f"{target}_{what}" for target in targets() for what in _TARGET]
    names += [f"{model}_{what}" for model in models for what in _RIVAL]
    names += [part.name for part in fields(PatientRecord)]
    names += [_REGIMEN.get(part.name, part.name) for part in fields(RegimenRecord)]
    return [*names, "model", "label_rules_refusing", *(part.name for part in fields(Provenance))]


def target_record(
    entry: TargetEntry, shown: Simulated, patient: Patient, regimen: Regimen
) -> TargetRecord:
    """Set the AUC of a patient, likely and simulated, against a published target."""
    low, high = bounds(entry)
    below, within, above = shown.chance(low, high)
    has_window, treated = entry.optimum is None, Treated.by(patient, regimen)
    wider: tuple[float | None, ...] = (None, None, None)
    if shown.uncertain is not None:
        wider = shown.chance(low, high, wide=True)
    return TargetRecord(
        id=entry.id,
        name=entry.name,
        low=entry.low,
        high=entry.high,
        optimum=entry.optimum,
        status=status(entry, shown.auc_0_inf),
        p_below=below,
        p_within=within if has_window else None,
        p_above=above,
        p_below_uncertain=wider[0],
        p_within_uncertain=wider[1] if has_window else None,
        p_above_uncertain=wider[2],
        applies=applies(entry, age_years=patient.age_years, **treated._asdict()),
        context=entry.context,
        finding=entry.finding,
        citation=entry.citation,
    )


def patient_record(prediction: Prediction) -> PatientRecord:
    """Record the patient of a prediction."""
    (patient, regimen, _), values = prediction.case, prediction.values
    egfr = float(values["eGFR"][0]) if "eGFR" in values else None
    uncapped = prediction.uncapped if egfr is not None else None
    treated = Treated.by(patient, regimen)
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
        product=treated.product,
        diagnosis=treated.disease,
        genotype=patient.genotype,
        confirmed=list(patient.confirmed),
    )


def regimen_record(prediction: Prediction, round_to_mg: float | None) -> RegimenRecord:
    """Record the course of a prediction."""
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
        change=regimen.change,
        cells=regimen.cells,
        bsa_cap_m2=regimen.bsa_cap_m2,
    )


def exposure_record(prediction: Prediction, shown: Simulated) -> ExposureRecord:
    """Record the exposure of a prediction, with its intervals."""
    typical = prediction.typical
    to_cells, at_cells = prediction.at_cells
    has_renal_term = prediction.model.program.has_renal_term
    return ExposureRecord(
        auc_0_inf=prediction.auc_0_inf,
        auc_0_inf_pi90=shown.interval(),
        auc_0_inf_uncertain_pi90=None if shown.uncertain is None else shown.interval(wide=True),
        auc_per_dose=typical.auc_per_dose[0].tolist(),
        cmax_mg_l=float(typical.cmax[0]),
        auc_to_cells=to_cells,
        conc_at_cells_mg_l=at_cells,
        clearance_l_h=float(prediction.tv[0, 0]),
        renal_fraction=prediction.renal_fraction if has_renal_term else None,
        half_life_h=prediction.half_life_h,
    )
