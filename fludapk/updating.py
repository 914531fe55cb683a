"""Measured levels of one patient: the exposure to expect now, and the doses that are left.

`update` computes; its result is the JSON of ``fludapk update --json`` (``fludapk.update/1``).
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np

from fludapk._version import __version__
from fludapk.arrays import F8
from fludapk.checking import (
    DISCLAIMER,
    CheckResult,
    Prediction,
    Remark,
    Request,
    TargetRecord,
    checks,
    predict,
    target_record,
)
from fludapk.dosing import Goal, choose
from fludapk.errors import FludapkError, InputError, StudiedRangeError
from fludapk.patient import Patient
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, MapEstimate, map_estimate
from fludapk.pk.exposure import course_exposure, individual_parameters
from fludapk.pk.posterior import Posterior, sample_posterior
from fludapk.pk.program import SLOTS
from fludapk.pk.surprise import surprise
from fludapk.published.models import DEFAULT_MODEL, load_model
from fludapk.published.targets import Flag, flag, prediction_interval, targets, window_probabilities
from fludapk.regimen import (
    COURSE_CEILING_MG_M2,
    DAILY_CEILING_MG_M2,
    GIVEN_DAY_H,
    NEUROTOXICITY,
    Course,
    Preparation,
    Regimen,
)
from fludapk.units import CONC_COLUMNS, parse_number, parse_quantity

DRAWS: Final = 4000
"""Of the posterior, behind its interval and probabilities."""
SEED: Final = 20222022
FAR: Final = 100.0
"""A level so many times off the prediction is taken for a slip of the unit: a slip is 1000, and
patients are off by less than 10."""
FAR_OF_LITTLE: Final = 1000.0
"""The same below `LITTLE_MG_L`, where a slow patient keeps many times what is predicted."""
LITTLE_MG_L: Final = 0.01
TRACE_MG_L: Final = 1e-5
"""Below this a prediction says nothing of units: no assay sees it."""
LATE_H: Final = 14 * 24.0


# ------------------------------------------------------------------ what was measured and given


@dataclass(frozen=True, kw_only=True)
class Level:
    """One measured level of F-ara-A.

    Parameters
    ----------
    time_h : float
        From the start of the first infusion.
    conc_mg_l : float, optional
        None: below the limit of quantification.
    lloq_mg_l : float, optional
        Limit of quantification.
    typed : str
        As it was written.

    Examples
    --------
    >>> Level.from_text("2.0h 0.62mg/L").conc_mg_l
    0.62
    >>> Level.from_text("24 h <10 ng/mL").lloq_mg_l
    0.01
    """

    time_h: float
    conc_mg_l: float | None
    lloq_mg_l: float | None = None
    typed: str = ""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a level as typed: time, then concentration, each with its unit.

        Raises
        ------
        InputError
            Without a unit, or if it is not a time and a concentration.
        """
        found = re.fullmatch(
            r"\s*([+-]?[\d.,]+\s*[a-z]*)[\s,;:=]+(<?)\s*([+-]?[\d.,eE-]+\s*[^\d\s].*|[+-]?[\d.,]+)\s*",
            text,
        )
        if found is None:
            raise InputError(
                f'level = {text!r}: write time and concentration, "2.0h 0.62mg/L"; below the limit '
                'of quantification: "24h <0.01mg/L"'
            )
        when, below, what = found.groups()
        name = f"level {text!r}"
        number, unit = parse_number(when, f"{name}: time")
        if not unit:
            raise InputError(f"level = {text!r}: the time has no unit: write {number:g}h")
        return cls.from_fields(when, what, below=bool(below), name=name, typed=text.strip())

    @classmethod
    def from_fields(
        cls, time: str, conc: str, *, below: bool = False, name: str = "level", typed: str = ""
    ) -> Self:
        """Read time and concentration; hours need no unit, a concentration does.

        Parameters
        ----------
        time : str
        conc : str
            With `below`, or after ``<``, the limit of quantification.
        below : bool
        name : str
            What messages call the level.
        typed : str

        Raises
        ------
        InputError
            Naming both, if both are faulty.

        Examples
        --------
        >>> Level.from_fields("2", "620 ng/mL").conc_mg_l
        0.62
        """
        value = conc.strip()
        limit = value.removeprefix("<")
        found: list[float] = []
        faults: list[str] = []
        for text, what, dimension, bare in (
            (time, "time", "time", "h"),
            (limit, "concentration", "concentration", None),
        ):
            try:
                found.append(
                    parse_quantity(
                        text, dimension=dimension, name=f"{name}: {what}", bare=bare
                    ).value
                )
            except InputError as error:
                faults += error.faults
        if faults:
            raise InputError(*faults)
        if below or limit != value:
            return cls(time_h=found[0], conc_mg_l=None, lloq_mg_l=found[1], typed=typed)
        return cls(time_h=found[0], conc_mg_l=found[1], typed=typed)

    def __str__(self) -> str:
        value = f"<{self.lloq_mg_l:g}" if self.conc_mg_l is None else f"{self.conc_mg_l:g}"
        return f"{self.time_h:g} h {value} mg/L"


def read_levels(path: str | Path, first_dose: str | None = None) -> list[Level]:
    """Levels of a CSV file.

    Columns: time_h, or time with date and time; conc_mg_l (or _ng_ml, _ug_ml, _ug_l, _umol_l); blq
    (1 where it was below the limit) and lloq, in the unit of the concentration.

    Raises
    ------
    InputError
        Naming every row that cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    rows = list(csv.DictReader(text.splitlines()))
    names = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    conc = [name for name in CONC_COLUMNS if name in names]
    if len(conc) != 1 or not {"time_h", "time"} & set(names):
        raise InputError(
            f"{path}: needs the columns time_h (or time, with date and time) and one of "
            f"{', '.join(CONC_COLUMNS)}; it has {', '.join(names) or 'none'}"
        )
    unit, suffix = CONC_COLUMNS[conc[0]], conc[0].removeprefix("conc")
    levels, faults = [], []
    for number, row in enumerate(rows, start=2):
        known = {k: (row[v] or "").strip() for k, v in names.items()}
        try:
            time = _hours(known, first_dose)
            lloq = known.get(f"lloq{suffix}", known.get("lloq", ""))
            is_below = known.get("blq", "").lower() in ("1", "true", "yes", "y")
            sign = "<" if is_below else ""
            value = lloq if is_below else known[conc[0]]
            if not value:
                raise InputError("no concentration" + (" limit (lloq)" if is_below else ""))
            level = Level.from_text(f"{time!r}h {sign}{value} {unit}")
            levels.append(level)
        except InputError as error:
            faults += [f"{path} row {number}: {fault}" for fault in error.faults]
    if faults:
        raise InputError(*faults)
    return levels


def _hours(known: dict[str, str], first_dose: str | None) -> float:
    if known.get("time_h"):
        value, rest = parse_number(known["time_h"], "time_h")
        if rest:
            raise InputError(f"time_h = {known['time_h']!r} is not a number of hours")
        return value
    if first_dose is None:
        raise InputError("date-times need --first-dose with the date and time of the first dose")
    try:
        at, start = (
            datetime.datetime.fromisoformat(text) for text in (known.get("time", ""), first_dose)
        )
        return (at - start).total_seconds() / 3600
    except (ValueError, TypeError) as error:
        raise InputError(
            f'time = {known.get("time")!r}: write date and time as "2026-01-14 08:30" ({error})'
        ) from error


def parse_given(text: str, infusion_h: float) -> tuple[float, float, float]:
    """A dose as given: start (h), length (h), mg of fludarabine phosphate.

    Examples
    --------
    >>> parse_given("24.5h 22 mg", 0.5), parse_given("0h 22mg 45min", 0.5)
    ((24.5, 0.5, 22.0), (0.0, 0.75, 22.0))
    """
    found = re.fullmatch(r"\s*([\d.]+\s*[a-z]+)\s+([\d.]+\s*mg)(?:\s+([\d.]+\s*[a-z]+))?\s*", text)
    if found is None:
        raise InputError(
            f"given = {text!r}: write start, mg of fludarabine phosphate, and the length if it "
            'differs: "24.5h 22mg" or "24.5h 22mg 45min"'
        )
    start, dose, length = found.groups()
    name = f"given {text!r}"
    return (
        parse_quantity(start, dimension="time", name=name, bare=None).value,
        infusion_h
        if length is None
        else parse_quantity(length, dimension="time", name=name, bare=None).value,
        parse_quantity(dose, dimension="mass", name=name, bare=None).value,
    )


# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class LevelRecord:
    """A level beside what the model expects of it."""

    time_h: float
    conc_mg_l: float | None
    lloq_mg_l: float | None
    typical_mg_l: float
    """Prediction from covariates."""
    fitted_mg_l: float
    """Prediction for this patient."""
    residual_sd: float
    """(level - fitted) in residual SDs."""


@dataclass(frozen=True, kw_only=True)
class ParameterRecord:
    """A parameter of the typical patient and of this one, without occasions."""

    name: str
    unit: str
    typical: float
    individual: float


@dataclass(frozen=True, kw_only=True)
class PosteriorRecord:
    """Exposure to F-ara-A given the levels; AUC in mg h/L."""

    now_h: float
    """Of the last level or given dose."""
    auc_so_far: float
    auc_so_far_pi90: tuple[float, float]
    auc_0_inf: float
    """Of the course as planned, most likely patient."""
    auc_0_inf_pi90: tuple[float, float]
    draws: int
    effective_size: float
    method: str


@dataclass(frozen=True, kw_only=True)
class RemainingDose:
    """The dose of each infusion that is left, mg of fludarabine phosphate."""

    goal: str
    infusions: int
    dose_mg: float
    dose_mg_m2: float
    planned_mg: float
    total_course_mg_m2: float
    volume_ml_per_dose: float
    vials_per_dose: int
    waste_mg_per_dose: float
    auc_0_inf: float
    auc_0_inf_pi90: tuple[float, float]
    p_below: float
    p_within: float
    p_above: float
    reached: bool
    at_ceiling: bool


@dataclass(frozen=True, kw_only=True)
class UpdateProvenance:
    """What made this result."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    draws: int


@dataclass(frozen=True, kw_only=True)
class UpdateResult:
    """Result of `update`."""

    schema: Literal["fludapk.update/1"] = "fludapk.update/1"
    model: str
    model_citation: str
    prior: CheckResult
    """The course from covariates alone."""
    levels: list[LevelRecord]
    parameters: list[ParameterRecord]
    posterior: PosteriorRecord
    flag: Flag
    targets: list[TargetRecord]
    remaining: RemainingDose | None
    surprises: list[str]
    warnings: list[Remark]
    disclaimer: str = DISCLAIMER
    provenance: UpdateProvenance

    def to_json(self) -> str:
        """One JSON document, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, eq=False)
class Fit:
    """What is known after the levels: prediction, estimate, and draws of the course."""

    request: Request
    prior: CheckResult
    measured: list[Level]
    typical_mg_l: F8
    """Prediction of each level from covariates, in order of time."""

    prediction: Prediction
    estimate: MapEstimate
    posterior: Posterior
    course: Course
    left: int
    """Infusions that are left."""

    def auc(self, effects: RandomEffects, doses_mg: F8) -> F8:
        """Cumulative AUC of each draw for other doses, mg h/L."""
        model = self.prediction.model
        times, lengths, _ = self.course.arrays(1.0)
        amounts = doses_mg[np.newaxis] * model.file.dose.factor
        return course_exposure(
            model.program, self.prediction.tv, effects, times, lengths, amounts
        ).auc_0_inf

    def bands(self, at_h: F8) -> tuple[F8, F8]:
        """Concentrations over time, (3, times) mg/L, before and after the levels.

        Rows are 5 %, the typical or the most likely patient, and 95 %.
        """
        prediction = self.prediction

        def of(middle: RandomEffects, drawn: RandomEffects) -> F8:
            line, spread = (
                prediction.concentrations(effects, at_h)[0] for effects in (middle, drawn)
            )
            low, high = np.quantile(spread, [0.05, 0.95], axis=0)
            return np.stack([low, line[0], high])

        return (
            of(prediction.no_effects, prediction.random_effects(10)),
            of(self.estimate.effects, self.posterior.effects),
        )


# ------------------------------------------------------------------ the computation


def update(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    *,
    given: Sequence[tuple[float, float, float]] = (),
    goal: Goal | None = None,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> UpdateResult:
    """Put measured levels of a patient to use.

    Parameters
    ----------
    patient : Patient
    regimen : Regimen
        As planned.
    levels : sequence of Level
    given : sequence of (start h, length h, mg of fludarabine phosphate), optional
        Doses as they were given; later ones are as planned, by as much later as the last given one
        was. If absent, doses that start before the
        last level were given as planned.
    goal : Goal, optional
        For the doses that are left.
    model : str
    round_to_mg : float, optional
        Doses are multiples of this many mg; the remaining doses of 1 mg if absent.
    strict : bool
        Refuse a patient outside the studied range of the model.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If something is missing or impossible.
    ConvergenceError
        If no most likely patient is found.

    Examples
    --------
    >>> girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    >>> plan = Regimen.named("tisa_cel_ball")
    >>> measured = [Level.from_text(t) for t in ("1h 1.0mg/L", "2h 0.6mg/L", "7h 0.2mg/L")]
    >>> result = update(girl, plan, measured)
    >>> result.prior.flag, result.flag
    ('below', 'met')
    """
    fitted = fit(
        patient,
        regimen,
        levels,
        given=given,
        model=model,
        round_to_mg=round_to_mg,
        strict=strict,
        folders=folders,
    )
    return result_of(fitted, goal)


def fit(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    *,
    given: Sequence[tuple[float, float, float]] = (),
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> Fit:
    """Estimate a patient from levels; arguments as in `update`."""
    chosen = load_model(model, folders)
    course, left = _course(patient, regimen, levels, given, round_to_mg)
    request = Request(
        patient=patient,
        regimen=regimen,
        model=model,
        round_to_mg=round_to_mg,
        course=course if given else None,
    )
    (prior,) = checks([request], folders=folders)
    if isinstance(prior, FludapkError):
        raise prior
    prediction = predict(chosen, patient, regimen, course)
    if strict and prediction.outside:
        listed = ", ".join(map(str, prediction.outside))
        raise StudiedRangeError(f"outside the studied range of {model}: {listed}")
    known = Levels(
        times_h=np.array([level.time_h for level in levels]),
        conc_mg_l=np.array(
            [math.nan if level.conc_mg_l is None else level.conc_mg_l for level in levels]
        ),
        lloq_mg_l=np.array(
            [math.nan if level.lloq_mg_l is None else level.lloq_mg_l for level in levels]
        ),
    )
    typical = prediction.typical_mg_l(known.times_h[0])
    faults = slips(known.times_h[0], known.conc_mg_l[0], typical)
    if faults:
        raise InputError(*faults)
    estimate = map_estimate(chosen.program, prediction.tv, *prediction.arrays, known)
    return Fit(
        request=request,
        prior=prior,
        measured=list(levels),
        typical_mg_l=typical,
        prediction=prediction,
        estimate=estimate,
        posterior=sample_posterior(estimate, n=DRAWS, seed=SEED),
        course=course,
        left=left,
    )


def _course(
    patient: Patient,
    regimen: Regimen,
    levels: Sequence[Level],
    given: Sequence[tuple[float, float, float]],
    round_to_mg: float | None,
) -> tuple[Course, int]:
    """Doses as given, then as planned; and how many are left."""
    if not levels:
        raise InputError('no levels: give --level "2.0h 0.62mg/L" or --levels FILE.csv')
    plan = regimen.course(patient, round_to_mg)
    last = max(level.time_h for level in levels)
    if not given:
        done = sum(start < last for start in plan.times_h)
        return plan, len(plan.times_h) - done
    if len(given) > len(plan.times_h):
        raise InputError(
            f"{len(given)} doses were given, the course has {len(plan.times_h)}: give the course "
            "that was given, by --dose and --days"
        )
    done = len(given)
    starts, lengths, doses = zip(*sorted(given), strict=True)
    if abs(starts[0]) > 1e-9:
        raise InputError(f"given: time counts from the first dose, which starts at {starts[0]:g} h")
    delay = max(0.0, starts[-1] - plan.times_h[done - 1])
    course = Course(
        times_h=(*starts, *(time + delay for time in plan.times_h[done:])),
        infusion_h=(*lengths, *plan.infusion_h[done:]),
        doses_mg=(*doses, *plan.doses_mg[done:]),
        planned_mg=plan.planned_mg,
        day_h=GIVEN_DAY_H,
    )
    not_given = [
        f"level at {level.time_h:g} h is after the dose planned at {course.times_h[done]:g} h, "
        "which was not said to be given"
        for level in levels
        if done < len(course.times_h) and level.time_h > course.times_h[done]
    ]
    if not_given:
        raise InputError(*not_given)
    return course, len(course.times_h) - done


def slips(times_h: F8, conc_mg_l: F8, typical_mg_l: F8) -> list[str]:
    """Levels that only another unit, or another clock, explains; each (m,).

    Examples
    --------
    >>> slips(np.array([2.0]), np.array([600.0]), np.array([0.5]))  # doctest: +ELLIPSIS
    ['level at 2 h: 600 mg/L is 1.2e+03 times the 0.5 mg/L expected: check the unit, ...']
    """
    faults = []
    for time, conc, expected in zip(times_h, conc_mg_l, typical_mg_l, strict=True):
        if time <= 0:
            faults.append(
                f"level at {time:g} h: time counts from the start of the first infusion, and there "
                "is no drug before it"
            )
            continue
        ratio = conc / expected if expected > TRACE_MG_L else math.nan
        far = FAR if expected > LITTLE_MG_L else FAR_OF_LITTLE
        if ratio > far or ratio < 1 / far:
            hint = "ng/mL" if ratio > 1 else "mg/L"
            faults.append(
                f"level at {time:g} h: {conc:g} mg/L is {ratio:.3g} times the {expected:.3g} mg/L "
                f"expected: check the unit, is it {hint}? And the time"
            )
    return faults


def result_of(someone: Fit, goal: Goal | None = None) -> UpdateResult:
    """What a fit says of the course, and with a goal of the doses that are left."""
    request, prior, levels = someone.request, someone.prior, someone.measured
    typical = someone.typical_mg_l
    prediction, estimate, posterior = someone.prediction, someone.estimate, someone.posterior
    model, course = prediction.model, someone.course
    patient, regimen = request.patient, request.regimen
    doses = np.array(course.doses_mg)
    auc = float(someone.auc(estimate.effects, doses)[0])
    drawn = np.sort(someone.auc(posterior.effects, doses))
    now = max(level.time_h for level in levels)
    done = len(doses) - someone.left
    now = max(now, course.times_h[done - 1] + course.infusion_h[done - 1])
    so_far = [
        prediction.concentrations(effects, np.array([now]))[1][:, 0]
        for effects in (estimate.effects, posterior.effects)
    ]
    found = surprise(estimate)
    known = estimate.problem.levels
    names = [effect.name for effect in model.file.iiv]
    own = RandomEffects(estimate.effects.eta, np.zeros((1, 1, model.program.n_kappa)))
    individual = individual_parameters(model.program, prediction.tv, own)[0, 0]
    remaining = None
    if goal is not None and someone.left:
        remaining = _remaining(someone, goal, patient.bsa_m2, request.round_to_mg or 1.0)
    surprises = found.messages(names)
    return UpdateResult(
        model=model.id,
        model_citation=model.file.citation.short,
        prior=prior,
        levels=[
            LevelRecord(
                time_h=float(known.times_h[0, t]),
                conc_mg_l=_or_none(known.conc_mg_l[0, t]),
                lloq_mg_l=_or_none(np.asarray(known.lloq_mg_l)[0, t]),
                typical_mg_l=float(typical[t]),
                fitted_mg_l=float(estimate.predicted_mg_l[0, t]),
                residual_sd=float(found.fitted[t]),
            )
            for t in range(known.times_h.shape[1])
        ],
        parameters=[
            ParameterRecord(
                name=name,
                unit="L/h" if name[0] in "CQ" else "L",
                typical=float(prediction.tv[0, k]),
                individual=float(individual[k]),
            )
            for k, name in enumerate(SLOTS[: 2 * model.program.compartments])
        ],
        posterior=PosteriorRecord(
            now_h=now,
            auc_so_far=float(so_far[0][0]),
            auc_so_far_pi90=prediction_interval(so_far[1]),
            auc_0_inf=auc,
            auc_0_inf_pi90=prediction_interval(drawn),
            draws=DRAWS,
            effective_size=posterior.effective_size,
            method=posterior.method,
        ),
        flag=flag(auc),
        targets=[
            target_record(entry, auc, drawn, patient, regimen) for entry in targets().values()
        ],
        remaining=remaining,
        surprises=surprises,
        warnings=_warnings(someone, levels, goal, remaining, surprises, prior),
        provenance=UpdateProvenance(
            version=__version__,
            model_sha256=model.sha256,
            input_sha256=_input_hash(prior, levels, goal),
            seed=SEED,
            draws=DRAWS,
        ),
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _input_hash(prior: CheckResult, levels: Sequence[Level], goal: Goal | None) -> str:
    asked = {
        "check": prior.provenance.input_sha256,
        "levels": [(level.time_h, level.conc_mg_l, level.lloq_mg_l) for level in levels],
        "goal": None if goal is None else str(goal),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _remaining(someone: Fit, goal: Goal, bsa_m2: float, step_mg: float) -> RemainingDose:
    """The dose of the infusions that are left, for a goal on the whole course."""
    course, left = someone.course, someone.left
    doses = np.array(course.doses_mg)
    done = len(doses) - left
    is_left = np.arange(len(doses)) >= done
    to_come = course.times_h[done:]
    a_day = max(sum(s <= t < s + course.day_h - 1e-6 for t in to_come) for s in to_come)
    most = min(
        DAILY_CEILING_MG_M2 * bsa_m2 / a_day,
        (COURSE_CEILING_MG_M2 * bsa_m2 - float(doses[~is_left].sum())) / left,
    )
    steps = math.floor(max(most, 0.0) / step_mg * (1 + 1e-12))
    candidates: F8 = np.arange(steps + 1.0) * step_mg
    base, one = np.where(is_left, 0.0, doses), is_left.astype(np.float64)
    effects = someone.estimate.effects, someone.posterior.effects
    likely, likely_per_mg = (float(someone.auc(effects[0], d)[0]) for d in (base, one))
    drawn, drawn_per_mg = (someone.auc(effects[1], d) for d in (base, one))
    expected: F8 = likely + candidates * likely_per_mg
    aucs = drawn[:, None] + drawn_per_mg[:, None] * candidates
    best, reached = choose(
        goal,
        expected,
        lambda: np.asarray(np.mean((aucs >= goal.low) & (aucs <= goal.high), axis=0)),
        likely_per_mg * step_mg,
    )
    p_below, p_within, p_above = window_probabilities(aucs[:, best], goal.low, goal.high)
    mg = float(candidates[best])
    bench = Preparation.of(mg)
    return RemainingDose(
        goal=str(goal),
        infusions=left,
        dose_mg=mg,
        dose_mg_m2=mg / bsa_m2,
        planned_mg=float(doses[-1]),
        total_course_mg_m2=(float(doses[~is_left].sum()) + left * mg) / bsa_m2,
        volume_ml_per_dose=bench.volume_ml,
        vials_per_dose=bench.vials,
        waste_mg_per_dose=bench.waste_mg,
        auc_0_inf=float(expected[best]),
        auc_0_inf_pi90=prediction_interval(aucs[:, best]),
        p_below=p_below,
        p_within=p_within,
        p_above=p_above,
        reached=reached,
        at_ceiling=best == len(candidates) - 1,
    )


def _warnings(
    someone: Fit,
    levels: Sequence[Level],
    goal: Goal | None,
    remaining: RemainingDose | None,
    surprises: Sequence[str],
    prior: CheckResult,
) -> list[Remark]:
    course, cautions = someone.course, [("surprising", text) for text in surprises]
    during = [
        f"{level.time_h:g} h"
        for level in levels
        for start, length in zip(course.times_h, course.infusion_h, strict=True)
        if start < level.time_h < start + length
    ]
    if during:
        cautions.append(
            (
                "level_in_infusion",
                f"level at {', '.join(dict.fromkeys(during))} was drawn during an infusion: a "
                "small error of time or a sample from the infusion line changes it much",
            )
        )
    times = [level.time_h for level in levels]
    twice = sorted({time for time in times if times.count(time) > 1})
    if twice:
        listed = ", ".join(f"{time:g} h" for time in twice)
        cautions.append(("level_twice", f"more than one level at {listed}: all are used"))
    if times != sorted(times):
        cautions.append(("level_order", "the levels were not in order of time: they were sorted"))
    late = [f"{t:g} h" for t in times if t > course.times_h[-1] + LATE_H]
    if late:
        cautions.append(
            (
                "level_late",
                f"level at {', '.join(late)} is more than two weeks after the last dose: check "
                "that doses and levels are on the same clock",
            )
        )
    if goal is not None and not someone.left:
        cautions.append(("no_dose_left", "every dose is given: nothing is left to adjust"))
    if remaining is not None and not remaining.reached:
        aim = "no remaining dose reaches the goal"
        why = "a ceiling keeps it from more" if remaining.at_ceiling else "the nearest is shown"
        if remaining.dose_mg == 0:
            why = "even without another dose it is above"
        cautions.append(("not_reached", f"{aim} ({remaining.goal}): {why}"))
    if remaining is not None and remaining.dose_mg > remaining.planned_mg * (1 + 1e-9):
        more = remaining.dose_mg / remaining.planned_mg - 1
        cautions.append(
            (
                "above_plan",
                f"{more:.0%} above the planned dose. Against it: {NEUROTOXICITY}; thresholds are "
                "retrospective, and no trial supports a dose above the label",
            )
        )
    if remaining is not None and remaining.dose_mg < 0.9 * remaining.planned_mg:
        less = 1 - remaining.dose_mg / remaining.planned_mg
        cautions.append(
            (
                "below_plan",
                f"{less:.0%} below the planned dose. Against it: too little exposure lets the "
                "leukaemia come back; thresholds are retrospective, and no trial supports a dose "
                "below the label",
            )
        )
    if someone.posterior.method != "importance":
        cautions.append(
            (
                "posterior",
                "the levels leave several explanations: the posterior was drawn by Metropolis "
                "steps",
            )
        )
    said = [Remark(code=code, level="caution", message=text) for code, text in cautions]
    return [*said, *(w for w in prior.warnings if w.code in _STILL_TRUE)]


_STILL_TRUE: Final = ("outside_studied_range", "other_disease", "dose_basis", "unusual_for_age")
"""Remarks of the check that levels do not settle."""
