"""Answer of a check: its headline and warnings at once, its records when somebody asks.

A list needs a row of every answer, a person the whole result; both are read from the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from fludapk._version import __version__
from fludapk.answers.check_columns import (
    Values,
    exposure_values,
    patient_values,
    regimen_values,
    target_columns,
)
from fludapk.answers.check_facts import CheckFacts, counts, other_disease, reading_note
from fludapk.answers.check_notes import NOTES
from fludapk.answers.check_records import (
    EXPOSURE,
    FLAG_CONTEXT,
    PATIENT,
    PROVENANCE,
    REGIMEN,
    CheckResult,
    ExposureRecord,
    LabelRecord,
    PatientRecord,
    RegimenRecord,
    SensitivityRecord,
    TargetRecord,
    result_columns,
    result_values,
    target_record,
)
from fludapk.answers.check_remarks import WARNINGS, remarks_of, remarks_of_many
from fludapk.answers.headline import (
    COVARIATES_ONLY,
    Headline,
    Simulated,
    headline_of,
    notes_in_headline,
)
from fludapk.answers.label_weights import Kidney, label_by_weight
from fludapk.answers.prediction import Outcome, Prediction, Predictions
from fludapk.answers.record import (
    Provenance,
    Remark,
    Row,
    sorted_text,
    text_hash,
    worst_first,
)
from fludapk.answers.trail import trail_of
from fludapk.answers.typical import by_other_basis
from fludapk.errors import InputError
from fludapk.language import language, marked, tr
from fludapk.patients.course import Course
from fludapk.patients.fields import label
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request
from fludapk.pk.effects import POINT_SET_SEED
from fludapk.published.course_files import LabelRule, LabelStep, TargetEntry
from fludapk.published.models import Model
from fludapk.published.regimens import ADULT_YEARS, label_rules, label_steps
from fludapk.published.targets import flag, targets


class Computed(NamedTuple):
    """Numbers of a check."""

    request: Request
    prediction: Prediction
    place: int
    """Place among the requests."""
    leading: TargetEntry | None
    """The target that leads the answer."""
    shown: Mapping[str, Simulated | InputError]
    """Simulated patients, by every chosen model and that of the leading target."""
    kidney: Mapping[str, float]
    """CrCl and eGFR for label rules, the lowest of the course; NaN if unknown."""
    by_weight: Sequence[Kidney]

    def simulated(self, model: str) -> Simulated:
        """Return the simulated patients by a model; raises the error that they gave."""
        shown = self.shown[model]
        if isinstance(shown, InputError):
            raise shown
        return shown


@dataclass(frozen=True)
class Common:
    """Facts that many answers share; what is kept in it goes when they do."""

    by_model: Mapping[str, Predictions]
    """By every model, of the cases that it was built for, or that ask for it."""
    log2_points: int
    """2 to this power simulated courses stand behind each answer."""
    hashed: dict[Regimen, str] = field(default_factory=dict)
    """Texts of courses for hashes, see `input_hash`."""

    def outcome(self, model: str, place: int) -> Outcome | None:
        """Return the prediction of a case by a model; None if nobody asked for it."""
        return self.by_model[model].get(place) if model in self.by_model else None

    def rivals(self, places: Sequence[int]) -> list[tuple[SensitivityRecord, ...]]:
        """Record the AUC of some cases by every model, without why one does not apply."""
        columns = []
        for rival in self.by_model.values():
            of_others = _of_others(rival.model, language())
            columns.append([_rival_record(rival, place, of_others) for place in places])
        return list(zip(*columns, strict=True))


class Answer:
    """Answer of a check, before it is written out.

    Parameters
    ----------
    computed : Computed
    common : Common

    Raises
    ------
    InputError
        If its courses cannot be simulated.

    Notes
    -----
    Made by `of_many`, which words the headline.
    """

    def __init__(self, computed: Computed, common: Common) -> None:
        self._computed, self._common = computed, common
        self.prediction = computed.prediction
        self.model = self.prediction.model
        self.patient, self.regimen, self.course = self.prediction.case
        self.shown = computed.simulated(self.model.id)
        self._sensitivity: Sequence[SensitivityRecord] = ()
        self._steps = label_steps(self.patient.age_years, computed.kidney)
        self._refusing = [
            rule.id
            for rule, step in zip(label_rules(), self._steps, strict=True)
            if step is not None and step.refuse
        ]
        """Rules of labels that say not to give it."""
        self._warnings: list[Remark] = []
        self.headline: Headline

    @classmethod
    def of_many(cls, computed: Sequence[Computed], common: Common) -> list[Answer | InputError]:
        """Answer many checks, a step of all before the next step; one refused stops no other."""
        try:
            answers = [cls(each, common) for each in computed]
            rivals = common.rivals([each.place for each in computed])
            for answer, row in zip(answers, rivals, strict=True):
                answer._sensitivity = row
            warnings = remarks_of_many([answer._facts() for answer in answers], WARNINGS)
            for answer, own in zip(answers, warnings, strict=True):
                answer._warnings = own
            for answer in answers:
                answer.headline = answer._headline()
        except InputError as error:  # more random effects than points, or no finite number
            if len(computed) == 1:
                return [error]
            return [answer for each in computed for answer in cls.of_many([each], common)]
        return list(answers)

    def _reasoned(self) -> list[SensitivityRecord]:
        """Record the AUC by every model, or why it does not apply."""
        rivals, place = self._common.by_model.values(), self._computed.place
        return [
            row if row.applies else replace(row, reason=_reason(rival, place))
            for row, rival in zip(self._sensitivity, rivals, strict=True)
        ]

    def _facts(self, judged: Sequence[TargetRecord] | None = None) -> CheckFacts:
        """Collect what rules look at; those of notes also at targets and all label rules."""
        needs_labels = judged is not None or self._refusing or self._computed.by_weight
        return CheckFacts(
            prediction=self.prediction,
            sensitivity=self._sensitivity,
            leading=self._computed.leading,
            targets=judged or (),
            label_rules=self._label_records() if needs_labels else (),
        )

    @property
    def model_id(self) -> str:
        """Id of the model."""
        return self.model.id

    @property
    def model_sha256(self) -> str:
        """Hash of its file."""
        return self.model.sha256

    def _headline(self) -> Headline:
        """Word the headline: the chance by the model that the leading target was found with."""
        computed, target, judged = self._computed, self._computed.leading, None
        notes = notes_in_headline(self._warnings, _IN_THE_HEADLINE)
        notes.append(tr(COVARIATES_ONLY))
        doubts = [self.model.not_shipped]
        if target is not None and target.derived_with != self.model.id:
            own = self._common.outcome(target.derived_with, computed.place)
            if isinstance(own, Prediction):
                judged = computed.simulated(own.model.id)
                doubts.append(own.model.not_shipped)
            else:
                notes.append(
                    tr(
                        "{target} was found with {model}, which cannot be used for this patient",
                        target=target.name,
                        model=target.derived_with,
                    )
                )
        headline = headline_of(self._warnings, target, self.shown, judged, notes)
        return headline.preceded_by(dict.fromkeys(filter(None, doubts)))

    def _label_records(self) -> list[LabelRecord]:
        auc = self.prediction.auc_0_inf * _full_dose(self.prediction)
        kidney, by_weight = self._computed.kidney, self._computed.by_weight
        return [
            _label_record(rule, kidney[rule.measure], step, self.patient, auc, by_weight)
            for rule, step in zip(label_rules(), self._steps, strict=True)
        ]

    @property
    def _models_agree(self) -> bool:
        flags = {row.flag for row in self._sensitivity if counts(row)}
        return len(flags | {flag(self.prediction.auc_0_inf)}) == 1

    @classmethod
    def columns(cls, answers: Sequence[Answer]) -> list[Sequence[Any]]:
        """Return the results of some answers as columns, in the order of `result_columns`."""
        predictions = [answer.prediction for answer in answers]
        shown = [answer.shown for answer in answers]
        ages_years = [answer.patient.age_years for answer in answers]
        treated = [prediction.case.treated for prediction in predictions]
        return result_values(
            headlines=[answer.headline for answer in answers],
            flags=[flag(prediction.auc_0_inf) for prediction in predictions],
            exposure=list(map(exposure_values, predictions, shown)),
            models_agree=[answer._models_agree for answer in answers],
            remarks=[answer._warnings for answer in answers],
            targets=[
                target_columns(entry, shown, ages_years, treated) for entry in targets().values()
            ],
            sensitivity=[answer._sensitivity for answer in answers],
            patient=list(map(patient_values, predictions, treated)),
            regimen=[regimen_values(a.prediction, a._step_mg) for a in answers],
            models=[answer.model_id for answer in answers],
            weights=[()] * len(answers),
            refusing=[answer._refusing for answer in answers],
            provenance=[answer._provenance for answer in answers],
        )

    @property
    def _step_mg(self) -> float | None:
        """Step to which the doses were rounded."""
        return self._computed.request.round_to_mg

    @property
    def _provenance(self) -> Values:
        """Fields of `Provenance`, in their order."""
        return (
            __version__,
            self.model.sha256,
            input_hash(self._computed.request, self._common.hashed),
            POINT_SET_SEED,
            2**self._common.log2_points,
        )

    def row(self) -> Row:
        """Return the row of a list by the names of its columns."""
        names = result_columns([rival.model for rival in self._sensitivity])
        columns = self.columns([self])
        return {name: column[0] for name, column in zip(names, columns, strict=True)}

    def result(self, *, trail: bool = True) -> CheckResult:
        """Return the whole result.

        Parameters
        ----------
        trail : bool
            Without is quicker.

        Raises
        ------
        InputError
            If a number is not finite.
        """
        prediction, shown = self.prediction, self.shown
        treated = prediction.case.treated
        judged = [target_record(entry, shown, prediction.case) for entry in targets().values()]
        facts = self._facts(judged)
        return CheckResult(
            headline=self.headline,
            remarks=worst_first([*self._warnings, *remarks_of(facts, NOTES)]),
            model=self.model.id,
            model_title=tr(self.model.file.title),
            model_citation=self.model.file.citation.short,
            patient=PatientRecord(**_named(PATIENT, patient_values(prediction, treated))),
            regimen=RegimenRecord(**_named(REGIMEN, regimen_values(prediction, self._step_mg))),
            exposure=ExposureRecord(
                auc_per_dose=prediction.typical.auc_per_dose[0].tolist(),
                **_named(EXPOSURE, exposure_values(prediction, shown)),
            ),
            flag=flag(prediction.auc_0_inf),
            flag_context=tr(FLAG_CONTEXT),
            targets=judged,
            sensitivity=self._reasoned(),
            models_agree=self._models_agree,
            averaged=None,
            label_rules=list(facts.label_rules),
            reading_note=reading_note(self.model, self.patient),
            trail=trail_of(prediction) if trail else [],
            provenance=Provenance(**_named(PROVENANCE, self._provenance)),
            source=prediction,
        )


def _named(names: Sequence[str], values: Values) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


_IN_THE_HEADLINE: Final = ("outside_studied_range", "other_disease")
"""Codes of remarks without which the chance would mislead."""


def auc_by(rival: Predictions, place: int) -> float | None:
    """Return AUC0-inf of a case by a model whose population covers the patient; None by others."""
    auc = rival.auc_inside(place)
    if auc is None or other_disease(rival.model, rival.cases[place]) is not None:
        return None
    return auc


def _rival_record(
    rival: Predictions, place: int, of_others: SensitivityRecord
) -> SensitivityRecord:
    """Record the AUC by another model; if it does not apply, that it is for others."""
    auc = auc_by(rival, place)
    if auc is None:
        return of_others
    record = object.__new__(SensitivityRecord)  # replace() takes four times as long
    vars(record).update(
        vars(of_others),
        applies=True,
        auc_0_inf=auc,
        flag=flag(auc),
        reason=None,
        auc_0_inf_other_basis=by_other_basis(rival.model, auc),
    )
    return record


def _reason(rival: Predictions, place: int) -> str:
    """Word why a model does not apply."""
    who, other = tr(rival.model.file.population.who), rival.get(place)
    if other is None or other_disease(rival.model, rival.cases[place]) is not None:
        return who
    if isinstance(other, InputError):
        return f"{who}; {'; '.join(other.sentences(label))}"
    return f"{who}; {', '.join(map(str, other.outside))}"


@lru_cache(maxsize=64)
def _of_others(model: Model, _: str) -> SensitivityRecord:
    """Record that a model is for others: the same for every patient, in a language."""
    who = tr(model.file.population.who)
    return SensitivityRecord(
        model=model.id,
        name=model.file.citation.name,
        who=who,
        applies=False,
        auc_0_inf=None,
        flag=None,
        reading_of=model.file.reading_of,
        reason=who,
        auc_0_inf_other_basis=None,
    )


# ------------------------------------------------------------------ labels


def _label_record(
    rule: LabelRule,
    value: float,
    step: LabelStep | None,
    patient: Patient,
    auc: float,
    by_weight: Sequence[Kidney],
) -> LabelRecord:
    """Apply a row of a rule to the AUC of the full dose."""
    why_not = marked("not computed: needs a renal function")
    if patient.age_years < ADULT_YEARS:
        why_not = marked("written for adults")
    elif any(value is not None for value in patient.renal_inputs):
        why_not = marked("not computed: needs sex")
    factor = step.factor if step else None
    return LabelRecord(
        id=rule.id,
        title=tr(rule.title),
        applies=step is not None,
        measure=rule.measure,
        value=value if step else None,
        unit="mL/min" if rule.measure == "CrCl" else "mL/min/1.73 m2",
        advice=tr(step.advice if step else why_not),
        refused=step.refuse if step else False,
        factor=factor,
        auc_0_inf=None if factor is None else auc * factor,
        source=tr(rule.source),
        by_weight=label_by_weight(rule, by_weight, auc) if step else [],
    )


def _full_dose(prediction: Prediction) -> float:
    """Divide the total of the published course by that of this one, perhaps reduced already."""
    patient, regimen, course = prediction.case
    entry = regimen.published
    if entry is None or not regimen.change:
        return 1.0
    full = replace(regimen, dose=entry.dose, unit=entry.unit, days=entry.days)
    each = float(full.dose_mg(patient.bsa_m2, patient.weight_kg))
    return each * full.days / course.total_mg


# ------------------------------------------------------------------ provenance


def input_hash(request: Request, texts: dict[Regimen, str] | None = None) -> str:
    """Hash what was asked, whatever the order or unit it was typed in.

    A choice that nobody made is not in it, so that old hashes stay.

    Parameters
    ----------
    request : Request
    texts : dict, optional
        Takes the text of the course, which many patients of a list share.
    """
    patient, texts = vars(request.patient), {} if texts is None else texts
    regimen = texts.get(request.regimen)
    if regimen is None:
        regimen = texts[request.regimen] = sorted_text(_asked_regimen(request.regimen))
    form, values = _form_of_patient(tuple([name for name in _RARE if patient[name]]))
    course = request.course
    parts = [
        *([] if course is None else [f'"course": {sorted_text(_asked_course(course))}']),
        f'"model": {sorted_text(request.model)}',
        f'"patient": {form % tuple(map(sorted_text, values(patient)))}',
        f'"regimen": {regimen}',
        f'"round_to_mg": {sorted_text(request.round_to_mg)}',
    ]
    return text_hash(f"{{{', '.join(parts)}}}")


_RARE: Final = ("confirmed", "renal_changes", "gestational_age_weeks", "categories")
_ALWAYS: Final = Patient.__dataclass_fields__.keys() - {"typed", "renal_clocks", *_RARE}


@lru_cache(maxsize=16)
def _form_of_patient(rare: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
    """Return the JSON of a patient without its values, and what takes them from one, in order."""
    names = sorted({*_ALWAYS, *rare})
    fields = ", ".join(f'"{name}": %s' for name in names)
    return f"{{{fields}}}", itemgetter(*names)


def _asked_regimen(regimen: Regimen) -> dict[str, object]:
    """Return a planned course as it is hashed."""
    return {
        k: v
        for k, v in vars(regimen).items()
        if k not in ("cells_clock", "warning") and (k != "bsa_cap_m2" or v is not None)
    }


def _asked_course(course: Course) -> dict[str, object]:
    """A course as it is hashed: how many doses have been given only if some have."""
    return {k: v for k, v in vars(course).items() if k != "given" or v}
