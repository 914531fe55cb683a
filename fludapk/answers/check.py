"""Check of one planned course, with everything a second person needs to repeat it.

`check` computes; its result is the JSON of ``fludapk check --json`` (schema ``fludapk.check/2``)
and what the terminal page and the report are drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from fludapk._version import __version__
from fludapk.answers.check_records import (
    FLAG_CONTEXT,
    CheckResult,
    LabelRecord,
    SensitivityRecord,
    exposure_record,
    patient_record,
    regimen_record,
    target_record,
)
from fludapk.answers.check_remarks import (
    CheckFacts,
    counts,
    other_disease,
    reading_note,
    remarks_of,
)
from fludapk.answers.headline import (
    COVARIATES_ONLY,
    Headline,
    Simulated,
    headline_of,
    leading_of,
    notes_in_headline,
)
from fludapk.answers.label_weights import Kidney, kidneys_by_weight, label_by_weight
from fludapk.answers.prediction import LOG2_POINTS, Outcome, Prediction, predictions
from fludapk.answers.record import Provenance, Remark, hash_of
from fludapk.answers.simulation import simulated_of_many
from fludapk.answers.trail import trail_of
from fludapk.errors import Fault, FludapkError, InputError, StudiedRangeError, nearest
from fludapk.patients.course import Course
from fludapk.patients.fields import label
from fludapk.patients.patient import Patient, columns_of
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Case, Request
from fludapk.pk.effects import POINT_SET_SEED
from fludapk.published.covariates import Step, renal_function
from fludapk.published.models import DEFAULT_MODEL, Model, load_model, load_models
from fludapk.published.regimens import ADULT_YEARS, label_rules, label_step, regimens
from fludapk.published.targets import flag, targets


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
        Id of the model that the answer is by; every other one that applies is shown beside it.
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
    (13.58, 'below', True)
    """
    request = Request(patient=patient, regimen=regimen, model=model, round_to_mg=round_to_mg)
    return check_request(request, strict=strict, folders=folders)


def check_request(
    request: Request, *, strict: bool = False, folders: Sequence[Path] | None = None
) -> CheckResult:
    """Check one request; see `check`.

    Raises
    ------
    FludapkError
        As `check`.
    """
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
    """Check many courses: yield the result of each request in order, or why it was refused.

    Patients are computed together, only the simulated courses one patient after the other.

    Parameters
    ----------
    requests : sequence of Request
    log2_points : int
        2 to this power simulated courses stand behind the probabilities of each patient.
    trails : bool
        Without trails is quicker.
    strict : bool
        Refuse patients outside the studied range of their model.
    folders : sequence of Path, optional
        Folders of models; see `fludapk.published.models.model_folders`.

    Yields
    ------
    CheckResult or FludapkError

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
    names = _names_in_use(models.values())
    read = [_case(request, models, names, folders) for request in requests]
    cases = {i: case for i, case in enumerate(read) if isinstance(case, Case)}
    refused = {i: error for i, error in enumerate(read) if isinstance(error, FludapkError)}
    by_model = {model.id: _predicted(model, requests, cases) for model in models.values()}
    patients = [case.patient for case in cases.values()]
    kidneys = dict(zip(cases, _kidneys(patients), strict=True))
    weighed = dict(zip(cases, kidneys_by_weight(patients), strict=True))
    chosen = [refused.get(i) or by_model[r.model][i] for i, r in enumerate(requests)]
    if strict:
        chosen = list(map(_refused_outside, chosen))
    rivals = [
        {name: rows[i] for name, rows in by_model.items() if i in rows}
        for i in range(len(requests))
    ]
    shown = _simulations(chosen, rivals, log2_points)
    every = tuple(models.values())
    for i, outcome in enumerate(chosen):
        if isinstance(outcome, FludapkError):
            yield outcome
            continue
        try:
            computed = _Computed(requests[i], outcome, rivals[i], shown[i], kidneys[i], weighed[i])
            yield _result(computed, every, log2_points, trail_of(outcome) if trails else [])
        except InputError as error:  # more random effects than there are points for
            yield error


class _Computed(NamedTuple):
    """Numbers of a check."""

    request: Request
    prediction: Prediction
    rivals: Mapping[str, Outcome]
    """By every model that was built from such patients."""
    shown: Mapping[str, Simulated | InputError]
    """Simulated patients, by the chosen model and that of the leading target."""
    kidney: Mapping[str, float]
    by_weight: Sequence[Kidney]

    def simulated(self, model: str) -> Simulated:
        """Return the simulated patients by a model; raises the error that they gave."""
        shown = self.shown[model]
        if isinstance(shown, InputError):
            raise shown
        return shown


def _refused_outside(outcome: Outcome | FludapkError) -> Outcome | FludapkError:
    """Refuse a patient outside the studied range of the model."""
    if isinstance(outcome, FludapkError) or not outcome.outside:
        return outcome
    listed = ", ".join(map(str, outcome.outside))
    return StudiedRangeError(f"outside the studied range of {outcome.model.id}: {listed}")


def _simulations(
    chosen: Sequence[Outcome | FludapkError],
    rivals: Sequence[Mapping[str, Outcome]],
    log2_points: int,
) -> list[dict[str, Simulated | InputError]]:
    """Simulate all patients by their models, and by those that their leading targets are of."""
    wanted: dict[tuple[int, str], Prediction] = {}
    for i, outcome in enumerate(chosen):
        if isinstance(outcome, FludapkError):
            continue
        wanted[i, outcome.model.id] = outcome
        target = leading_of(outcome.case.patient, outcome.case.regimen)
        own = None if target is None else rivals[i].get(target.derived_with)
        if isinstance(own, Prediction):
            wanted[i, own.model.id] = own
    shown: list[dict[str, Simulated | InputError]] = [{} for _ in chosen]
    simulated = simulated_of_many(list(wanted.values()), log2_points)
    for (i, model), patients in zip(wanted, simulated, strict=True):
        shown[i][model] = patients
    return shown


def _case(
    request: Request,
    models: Mapping[str, Model],
    names: Mapping[str, Collection[str | None]],
    folders: Sequence[Path] | None,
) -> Case | FludapkError:
    """Compute the doses of a request, or return why it is refused."""
    try:
        if request.model not in models:
            load_model(request.model, folders)  # says which there are
        _check_names(request.patient, request.regimen, names)
        return request.case()
    except FludapkError as error:
        return error


def _predicted(
    model: Model, requests: Sequence[Request], cases: Mapping[int, Case]
) -> dict[int, Outcome]:
    """Predict by a model the cases that ask for it or have a disease that it was built from.

    Parameters
    ----------
    model : Model
    requests : sequence of Request
    cases : mapping of int to Case
        Place among the requests -> case.

    Returns
    -------
    dict of int to Outcome
        With the same places.
    """
    rows = [
        i
        for i, case in cases.items()
        if requests[i].model == model.id or other_disease(model, case) is None
    ]
    return dict(zip(rows, predictions(model, [cases[i] for i in rows]), strict=True))


def _result(
    computed: _Computed, models: Sequence[Model], log2_points: int, trail: list[Step]
) -> CheckResult:
    prediction, rivals = computed.prediction, computed.rivals
    patient, regimen, _ = prediction.case
    chosen, auc = prediction.model, prediction.auc_0_inf
    shown = computed.simulated(chosen.id)
    leading = leading_of(patient, regimen)
    sensitivity = [_sensitivity(model, prediction.case, rivals.get(model.id)) for model in models]
    facts = CheckFacts(
        prediction=prediction,
        sensitivity=sensitivity,
        leading=leading,
        targets=[target_record(entry, shown, patient, regimen) for entry in targets().values()],
        label_rules=_labels(
            patient, auc * _full_dose(prediction), computed.kidney, computed.by_weight
        ),
    )
    remarks = remarks_of(facts)
    return CheckResult(
        headline=_headline(facts, remarks, computed),
        remarks=remarks,
        model=chosen.id,
        model_title=chosen.file.title,
        model_citation=chosen.file.citation.short,
        patient=patient_record(prediction),
        regimen=regimen_record(prediction, computed.request.round_to_mg),
        exposure=exposure_record(prediction, shown),
        flag=flag(auc),
        flag_context=FLAG_CONTEXT,
        targets=list(facts.targets),
        sensitivity=sensitivity,
        models_agree=len({row.flag for row in sensitivity if counts(row)} | {flag(auc)}) == 1,
        label_rules=list(facts.label_rules),
        reading_note=reading_note(chosen, patient),
        trail=trail,
        provenance=Provenance(
            version=__version__,
            model_sha256=chosen.sha256,
            input_sha256=_input_hash(computed.request),
            seed=POINT_SET_SEED,
            points=2**log2_points,
        ),
        source=prediction,
    )


def _headline(facts: CheckFacts, remarks: Sequence[Remark], computed: _Computed) -> Headline:
    """Word the headline: the chance by the model that the leading target was found with."""
    target, judged = facts.leading, None
    shown = computed.simulated(facts.model.id)
    notes = notes_in_headline(remarks, _IN_THE_HEADLINE)
    notes.append(COVARIATES_ONLY)
    if target is not None and target.derived_with != shown.model:
        own = computed.rivals.get(target.derived_with)
        if isinstance(own, Prediction):
            judged = computed.simulated(own.model.id)
        else:
            notes.append(
                f"{target.name} was found with {target.derived_with}, which cannot be used for "
                "this patient"
            )
    headline = headline_of(remarks, target, shown, judged, notes)
    warnings = [facts.model.not_shipped]
    if judged is not None:
        warnings.append(own.model.not_shipped if isinstance(own, Prediction) else "")
    return headline.preceded_by(dict.fromkeys(filter(None, warnings)))


_IN_THE_HEADLINE: Final = ("outside_studied_range", "other_disease")
"""Codes of remarks without which the chance would mislead."""


def _names_in_use(models: Iterable[Model]) -> dict[str, set[str | None]]:
    """Collect the products, diagnoses and genotypes that some regimen or model has."""
    entries = list(regimens().values())
    names: dict[str, set[str | None]] = {
        "product": {entry.product for entry in entries},
        "diagnosis": {entry.disease for entry in entries},
        "genotype": set(),
    }
    for model in models:
        names["diagnosis"].update(model.file.population.diseases)
        for category, used in names.items():
            used.update(model.categories(category))
    return names


def _check_names(
    patient: Patient, regimen: Regimen, names: Mapping[str, Collection[str | None]]
) -> None:
    """Refuse a product, diagnosis or genotype nobody knows, with the nearest name."""
    faults: list[Fault] = []
    for category, used in names.items():
        value = getattr(patient, category)
        if value is not None and value not in used:
            choices = sorted({name for name in used if name})
            unknown = f"unknown {{{category}}} {value!r}"
            faults.append(Fault(category, unknown, do=nearest(value, choices), whole=True))
    if not faults and patient.product and regimen.product not in (None, patient.product):
        other = f"= {patient.product!r}, but {regimen.id} is a course for {regimen.product!r}"
        faults.append(Fault("product", other))
    if faults:
        raise InputError(*faults)


def _sensitivity(model: Model, case: Case, other: Outcome | None) -> SensitivityRecord:
    """Record the AUC by another model, if its population covers the patient."""
    who = model.file.population.who
    reason: str | None = None
    auc: float | None = None
    if other is None or other_disease(model, case) is not None:
        reason = who
    elif isinstance(other, InputError):
        reason = f"{who}; {'; '.join(other.sentences(label))}"
    elif other.outside:
        reason = f"{who}; {', '.join(map(str, other.outside))}"
    else:
        auc = other.auc_0_inf
    return SensitivityRecord(
        model=model.id,
        name=model.file.citation.name,
        who=who,
        applies=reason is None,
        auc_0_inf=auc,
        flag=None if auc is None else flag(auc),
        reading_of=model.file.reading_of,
        reason=reason,
    )


def _kidneys(patients: Sequence[Patient]) -> list[dict[str, float]]:
    """Compute CrCl and eGFR of each patient for label rules; NaN if unknown."""
    if not patients:
        return []
    columns = columns_of(patients)
    both = (renal_function(measure, columns).tolist() for measure in ("CrCl", "eGFR"))
    return [{"CrCl": crcl, "eGFR": egfr} for crcl, egfr in zip(*both, strict=True)]


def _full_dose(prediction: Prediction) -> float:
    """Divide the total of the published course by that of this one, perhaps reduced already."""
    patient, regimen, course = prediction.case
    entry = regimen.published
    if entry is None or not regimen.change:
        return 1.0
    full = replace(regimen, dose=entry.dose, unit=entry.unit, days=entry.days)
    each = float(full.dose_mg(patient.bsa_m2, patient.weight_kg))
    return each * full.days / course.total_mg


def _labels(
    patient: Patient, auc: float, kidney: Mapping[str, float], by_weight: Sequence[Kidney]
) -> list[LabelRecord]:
    """Apply label rules to the AUC of the full dose; those for adults only to adults."""
    adult = patient.age_years >= ADULT_YEARS
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
                by_weight=label_by_weight(rule, by_weight, auc) if usable else [],
            )
        )
    return rows


def _input_hash(request: Request) -> str:
    """Hash what was asked, whatever the order or unit it was typed in.

    A choice that nobody made is not in it, so that old hashes stay.
    """
    patient, course = vars(request.patient), request.course
    names = [name for name in Patient.__dataclass_fields__ if name != "typed"]
    asked = {
        "patient": {k: patient[k] for k in names if k != "confirmed" or patient[k]},
        "regimen": {
            k: v
            for k, v in vars(request.regimen).items()
            if k != "cells_clock" and (k != "bsa_cap_m2" or v is not None)
        },
        "model": request.model,
        "round_to_mg": request.round_to_mg,
        **({} if course is None else {"course": _asked_course(course)}),
    }
    return hash_of(asked)


def _asked_course(course: Course) -> dict[str, object]:
    """A course as it is hashed: how many doses have been given only if some have."""
    return {k: v for k, v in vars(course).items() if k != "given" or v}
