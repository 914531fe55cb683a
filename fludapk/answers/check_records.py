"""Records of a check, as its JSON shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from fludapk.answers.batch_rows import joined
from fludapk.answers.check_columns import TARGET, Values, target_columns
from fludapk.answers.headline import Chances, Headline, Simulated, is_noteworthy
from fludapk.answers.record import (
    DISCLAIMER,
    Provenance,
    Record,
    Remark,
    Row,
)
from fludapk.language import marked, tr
from fludapk.patients.request import Case
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import Step
from fludapk.published.targets import (
    Flag,
    TargetStatus,
    bounds,
    targets,
)

if TYPE_CHECKING:
    from fludapk.answers.prediction import Prediction

FLAG_CONTEXT: Final = marked(
    "13.8: Fabrizio 2022, estimated AUC; 14: Dekker 2022, measured AUC; both r/r B-ALL "
    "before tisa-cel"
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
    gestational_age_weeks: float | None
    """As given; models with maturation take 40 weeks if it is not."""
    renal_changes: str | None
    """Words for later values of the renal function that was given; None if there are none."""
    renal_at_doses: list[float] | None
    """Renal function at every dose, if it changes."""


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
    auc_0_inf_other_basis: float | None
    """AUC0-inf if the paper fitted mg of the other substance; None unless it leaves that open."""
    auc_per_dose: list[float]
    """Areas from each dose to the next, the last to infinity: they add up."""
    cmax_mg_l: float
    auc_to_cells: float | None
    conc_at_cells_mg_l: float | None
    clearance_l_h: float
    """This and the next two: of the first dose."""
    renal_fraction: float | None
    half_life_h: float
    auc_0_inf_unbound: float | None
    """AUC of unbound drug; None unless the model knows its fraction."""


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
    derived_with: str
    """Model that the AUC of the target came from."""
    derived_with_doubt: str | None
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
    auc_0_inf_other_basis: float | None
    """AUC0-inf if the paper fitted mg of the other substance; None unless it leaves that open."""


@dataclass(frozen=True, kw_only=True)
class MemberRecord:
    """One model of an average, beside it.

    Parameters
    ----------
    model, name : str
    weight, prior_weight : float
        Those of all models add up to 1; the former given levels, if there are any.
    auc_0_inf : float
        mg·h/L.
    auc_0_inf_pi90 : (float, float)
    p_below, p_within, p_above : float, optional
        Chances against the target that leads the answer; None without one.
    sha256 : str
        Hash of its file.
    """

    model: str
    name: str
    weight: float
    prior_weight: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    p_below: float | None
    p_within: float | None
    p_above: float | None
    sha256: str


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
    averaged: list[MemberRecord] | None
    """Each model of an average; None where one model answers."""
    label_rules: list[LabelRecord]
    reading_note: str | None
    """Reason why this reading of the paper is the default, for those to whom it matters."""
    trail: list[Step]
    disclaimer: str = DISCLAIMER
    provenance: Provenance

    @property
    def prediction(self) -> Prediction:
        """Prediction that it was made from; of an average the one with the highest weight."""
        made = self.made_from
        prediction: Prediction = made if self.averaged is None else made.lead
        return prediction

    def brief(self) -> str:
        """Return AUC and interval in a line."""
        (low, high), auc = self.exposure.auc_0_inf_pi90, self.exposure.auc_0_inf
        return f"check by {self.model}: AUC0-inf {auc:.2f} mg·h/L, 90 % {low:.1f}-{high:.1f}"

    def rows(self) -> list[Row]:
        """Return the scalars of the check as one row, with the names of `fludapk batch`."""
        names = result_columns([rival.model for rival in self.sensitivity])
        columns = result_values(
            headlines=[self.headline],
            flags=[self.flag],
            exposure=[_values(self.exposure, EXPOSURE)],
            models_agree=[self.models_agree],
            remarks=[self.remarks],
            targets=[[[value] for value in _values(target, TARGET)] for target in self.targets],
            sensitivity=[self.sensitivity],
            patient=[_values(self.patient, PATIENT)],
            regimen=[_values(self.regimen, REGIMEN)],
            models=[self.model],
            weights=[[f"{m.model}={m.weight:.6g}" for m in self.averaged or ()]],
            refusing=[[rule.id for rule in self.label_rules if rule.refused]],
            provenance=[_values(self.provenance, PROVENANCE)],
        )
        return [{name: column[0] for name, column in zip(names, columns, strict=True)}]


_INTERVALS: Final = {part.name for part in fields(ExposureRecord) if part.name.endswith("_pi90")}
EXPOSURE: Final = [part.name for part in fields(ExposureRecord) if part.name != "auc_per_dose"]
_HEADLINE: Final = ("target", "p_below", "p_within", "p_above")
_RIVAL: Final = ("applies", "auc_0_inf", "flag")
_of_headline, _of_rival = attrgetter(*_HEADLINE), attrgetter(*_RIVAL)
PATIENT: Final = [part.name for part in fields(PatientRecord)]
REGIMEN: Final = [part.name for part in fields(RegimenRecord)]
PROVENANCE: Final = [part.name for part in fields(Provenance)]
_CALLED: Final = {"id": "regimen", "title": "regimen_title"}


def result_columns(models: Sequence[str]) -> tuple[str, ...]:
    """Name the columns of `CheckResult.rows` with these models; the answer first."""
    return _columns(tuple(models))


@lru_cache(maxsize=16)
def _columns(models: tuple[str, ...]) -> tuple[str, ...]:
    names = ["error", "stop", "headline", *_HEADLINE, "flag"]
    for name in EXPOSURE:
        names += [f"{name}_low", f"{name}_high"] if name in _INTERVALS else [name]
    names += ["models_agree", "remarks"]
    names += [f"{target}_{what}" for target in targets() for what in TARGET]
    names += [f"{model}_{what}" for model in models for what in _RIVAL]
    names += [*PATIENT, *(_CALLED.get(name, name) for name in REGIMEN)]
    names += ["model", "weights", "label_rules_refusing"]
    return (*names, *PROVENANCE)


def result_values(
    *,
    headlines: Sequence[Headline],
    flags: Sequence[Flag],
    exposure: Sequence[Values],
    models_agree: Sequence[bool],
    remarks: Sequence[Sequence[Remark]],
    targets: Iterable[Sequence[Sequence[Any]]],
    sensitivity: Sequence[Sequence[SensitivityRecord]],
    patient: Sequence[Values],
    regimen: Sequence[Values],
    models: Sequence[str],
    weights: Sequence[Sequence[str]],
    refusing: Sequence[Sequence[str]],
    provenance: Sequence[Values],
) -> list[Sequence[Any]]:
    """Return the columns of results in the order of `result_columns`.

    Parameters are those of `CheckResult`, of each row; of targets the columns that
    `target_columns` names, of label rules the ids of those that refuse, and of models that are
    averaged their weights.
    """
    columns: list[Sequence[Any]] = [
        [None] * len(headlines),
        ["; ".join(headline.stops) for headline in headlines],
        [headline.sentence for headline in headlines],
        *zip(*map(_of_headline, headlines), strict=True),
        flags,
    ]
    for name, column in zip(EXPOSURE, zip(*exposure, strict=True), strict=True):
        if name in _INTERVALS:
            columns += zip(*(pair or (None, None) for pair in column), strict=True)
        else:
            columns.append(column)
    columns.append(models_agree)
    columns.append(["; ".join([r.code for r in own if r.severity != "note"]) for own in remarks])
    for target in targets:
        columns += target
    for rivals in zip(*sensitivity, strict=True):
        columns += zip(*map(_of_rival, rivals), strict=True)
    for names, rows in ((PATIENT, patient), (REGIMEN, regimen)):
        for name, column in zip(names, zip(*rows, strict=True), strict=True):
            columns.append(list(map(joined, column)) if name in _SEVERAL else column)
    columns += [models, list(map("; ".join, weights)), list(map("; ".join, refusing))]
    return [*columns, *zip(*provenance, strict=True)]


_SEVERAL: Final = ("confirmed", "renal_at_doses", "doses_mg", "times_h")
"""Fields that hold several values."""


def _values(record: object, names: Sequence[str]) -> Values:
    return tuple(getattr(record, name) for name in names)


def target_record(entry: TargetEntry, shown: Simulated, case: Case) -> TargetRecord:
    """Record a target with the chances of a patient, also with uncertain numbers of the model."""
    columns = target_columns(entry, [shown], [case.patient.age_years], [case.treated])
    wider: tuple[float | None, ...] = (None, None, None)
    if shown.uncertain is not None:
        wider = shown.chance(*bounds(entry), wide=True)
    return TargetRecord(
        id=entry.id,
        name=entry.name,
        low=entry.low,
        high=entry.high,
        optimum=entry.optimum,
        p_below_uncertain=wider[0],
        p_within_uncertain=wider[1] if entry.optimum is None else None,
        p_above_uncertain=wider[2],
        derived_with=entry.derived_with,
        derived_with_doubt=entry.derived_with_doubt and tr(entry.derived_with_doubt),
        context=tr(entry.context),
        finding=tr(entry.finding),
        citation=entry.citation,
        **{name: column[0] for name, column in zip(TARGET, columns, strict=True)},
    )
