"""How well models predict the levels of many patients, and which of them does so best.

Prediction errors from covariates, from a patient's own levels and, what counts at the bench, of
later levels from earlier ones; normalised prediction distribution errors; a prediction-corrected
visual predictive check; marginal likelihoods and the weights of models that follow from them.

References
----------
Prediction errors: Sheiner and Beal 1981, J Pharmacokinet Biopharm 9:503. NPDE: Comets et al. 2008,
Comput Methods Programs Biomed 90:154; below the limit of quantification: Nguyen et al. 2012, J
Pharmacokinet Pharmacodyn 39:499. Prediction correction: Bergstrand et al. 2011, AAPS J 13:143, doi
10.1208/s12248-011-9255-z. Averaging over models: Uster et al. 2021, Clin Pharmacol Ther 109:175.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fludapk._version import __version__
from fludapk.arrays import F8, Bools
from fludapk.batch import Layout, by_course, few, request_of_records
from fludapk.checking import DISCLAIMER, Prediction, Request, predictions
from fludapk.errors import InputError
from fludapk.pk.effects import RandomEffects, normal_scores
from fludapk.pk.estimates import Levels, MapEstimate, map_estimates
from fludapk.pk.exposure import with_residual_error
from fludapk.pk.kernels.arithmetic import OK
from fludapk.pk.posterior import model_weights
from fludapk.published.models import Model, load_model, load_models
from fludapk.published.targets import LOW
from fludapk.tables import Value
from fludapk.units import CONC_COLUMNS, parse_quantity
from fludapk.updating import slips

SIMULATIONS: Final = 1000
"""Of every patient's levels, behind NPDE and the visual predictive check."""
RESAMPLES: Final = 1000
"""Of the patients, behind the 95 % intervals of prediction errors."""
SEED: Final = 20222022
WITHIN: Final = 0.3
"""Relative error that counts as near."""
MOVED_MG_H_L: Final = 4.0
"""Difference between measured and predicted AUC that dekker2022 counts."""
QUANTILES: Final = (0.1, 0.5, 0.9)
"""Of the levels in a bin of the visual predictive check."""
Basis = Literal["covariates", "own_levels", "later_from_covariates", "later_from_earlier"]
BASES: Final[tuple[Basis, ...]] = (
    "covariates", "own_levels", "later_from_covariates", "later_from_earlier",
)  # fmt: skip
"""What a level is predicted from: covariates alone, or all levels of the patient, its own included.
And, for levels after a second or later dose: covariates, or the levels before that dose, which a
pharmacist would have had."""


# ------------------------------------------------------------------ the data


@dataclass(frozen=True, eq=False)
class Subject:
    """A course with its levels."""

    id: str
    row: int
    """Of the first record, as a spreadsheet counts."""
    request: Request
    levels: Levels
    """One row; after the first dose."""
    before_first_dose: int
    """Records below the limit of quantification at or before the first dose, which say nothing."""

    @property
    def times_h(self) -> F8:
        """(m,) Of the levels, from the start of the first infusion."""
        return np.asarray(self.levels.times_h[0])

    @property
    def conc_mg_l(self) -> F8:
        """(m,) NaN below the limit of quantification."""
        return np.asarray(self.levels.conc_mg_l[0])

    @cached_property
    def occasions(self) -> npt.NDArray[np.int64]:
        """(m,) Place of the dose before each level."""
        return np.asarray(np.searchsorted(self._starts_h, self.times_h, side="left") - 1)

    @property
    def after_dose_h(self) -> F8:
        """(m,) Time of each level after the dose before it."""
        return np.asarray(self.times_h - self._starts_h[self.occasions])

    @cached_property
    def _starts_h(self) -> F8:
        return np.array(self.request.case().course.times_h)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A course that cannot be used, and why."""

    id: str
    row: int
    error: str


@dataclass(frozen=True, eq=False)
class Data:
    """What a file of records holds."""

    subjects: list[Subject]
    refused: list[Refused]
    sha256: str


def read_subjects(
    layout: Layout,
    rows: Iterable[Sequence[str]],
    *,
    unit: str | None = None,
    lloq: str | None = None,
    amount: str | None = None,
    sha256: str = "",
) -> Data:
    """Read courses with levels from NONMEM-style records.

    Parameters
    ----------
    layout : Layout
    rows : iterable of rows
    unit : str, optional
        Of DV and LLOQ; needed unless the levels are in a column such as conc_mg_l.
    lloq : str, optional
        Limit of quantification with unit, for levels marked as below it without one.
    amount : {'phosphate', 'f_ara_a'}, optional
        What AMT is mg of.
    sha256 : str
        Of the file.

    Returns
    -------
    Data
        Courses in order; one that cannot be read is in `Data.refused`.

    Raises
    ------
    InputError
        If the file as a whole cannot be understood.

    Examples
    --------
    >>> head = "ID TIME AMT RATE EVID MDV DV AGE WT HT EGFR".split()
    >>> dose = "1 0 24 48 1 1 . 6 20 118 110".split()
    >>> level = "1 2 0 0 0 0 600 6 20 118 110".split()
    >>> data = read_subjects(Layout.read(head), [dose, level], unit="ng/mL", amount="phosphate")
    >>> data.subjects[0].conc_mg_l
    array([0.6])
    """
    column, factor = _levels_column(layout, unit)
    limit = None
    if lloq is not None:
        limit = parse_quantity(lloq, dimension="concentration", name="lloq", bare=None).value
    subjects: list[Subject] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    row = 2
    for name, records in by_course(layout, rows):
        try:
            if name in seen:
                raise InputError(
                    f"ID {name!r} comes again after another ID: put its records together, and give "
                    "each course an ID of its own"
                )
            request = request_of_records(layout, records, amount)
            request.case()
            levels, before = _levels(layout, records, column, factor, limit)
            subjects.append(Subject(name, row, request, levels, before))
        except InputError as error:
            refused.append(Refused(id=name, row=row, error="; ".join(error.faults)))
        seen.add(name)
        row += len(records)
    if not subjects and not refused:
        raise InputError("the file has no records below its header")
    return Data(subjects, refused, sha256)


def _levels_column(layout: Layout, unit: str | None) -> tuple[str, float]:
    """Which column the levels are in, and what makes mg/L of them."""
    if not layout.is_events:
        raise InputError(
            "needs NONMEM-style records: ID, TIME, AMT, RATE, EVID, MDV, DV and covariates; there "
            f"are {few(layout.header)}"
        )
    named = [name for name in CONC_COLUMNS if name.upper() in layout.places]
    if "DV" in layout.places:
        named.append("DV")
    if len(named) != 1:
        raise InputError(
            f"levels are in one column, DV or one of {', '.join(CONC_COLUMNS)}; there are "
            f"{few(named) if named else few(layout.header)}"
        )
    (name,) = named
    if name == "DV":
        if unit is None:
            raise InputError("DV has no unit: say --dv mg/L, ng/mL, ug/L or umol/L")
    elif unit is None:
        unit = CONC_COLUMNS[name]
    else:
        raise InputError(f"{name} says its unit: leave out --dv {unit}")
    one = parse_quantity(f"1 {unit}", dimension="concentration", name="dv", bare=None)
    return name.upper(), one.value


def _levels(
    layout: Layout,
    records: Sequence[Sequence[str]],
    column: str,
    factor: float,
    limit: float | None,
) -> tuple[Levels, int]:
    """Levels of one course, and how many before it say nothing."""
    number = layout.number
    clock = min(number(cells, "TIME") for cells in records if number(cells, "EVID") == 1)
    found: list[tuple[float, float, float]] = []
    faults: list[str] = []
    before = 0
    for cells in records:
        if number(cells, "EVID") != 0 or number(cells, "MDV") != 0:
            continue
        try:
            time = number(cells, "TIME", absent=None) - clock
            flags = [number(cells, flag) for flag in ("BLQ", "CENS")]
            if set(flags) - {0.0, 1.0}:
                raise InputError("BLQ or CENS is 1 below the limit of quantification, 0 above")
            conc = number(cells, column, absent=math.nan) * factor
            of_level = number(cells, "LLOQ", absent=math.nan) * factor
            if math.isnan(of_level) and limit is not None:
                of_level = limit
            below = any(flags)
            if below:
                if math.isnan(of_level) and flags[1]:  # as CENS is used, DV is the limit
                    of_level = conc
                if math.isnan(of_level):
                    raise InputError("below which limit? Add a column LLOQ, or say --lloq")
                conc = math.nan
            elif math.isnan(conc):
                raise InputError(f"{column} is missing: MDV 1 marks a record without level")
            elif time > 0 and conc <= 0:
                raise InputError(
                    f"{column} = {conc / factor:g}: BLQ 1 marks a level below the limit of "
                    "quantification, MDV 1 a record without level"
                )
            if time > 0:
                found.append((time, conc, of_level))
            elif below or conc == 0:
                before += 1
            else:
                raise InputError(f"{conc / factor:g} before any drug was given")
        except InputError as error:
            at = number(cells, "TIME", absent=math.nan)
            faults += [f"level at TIME {at:g}: {fault}" for fault in error.faults]
    if not found and not faults:
        faults.append("no level after the first dose (EVID 0, MDV 0)")
    if faults:
        raise InputError(*faults)
    times, measured, limits = np.array(found).T
    return Levels(times_h=times, conc_mg_l=measured, lloq_mg_l=limits), before


# ------------------------------------------------------------------ the result


@dataclass(frozen=True, kw_only=True)
class ErrorRecord:
    """Relative errors (predicted - measured)/measured of levels above their limit, in %.

    The 95 % intervals are percentiles over resampled patients; None with fewer than two patients.
    """

    basis: Basis
    patients: int
    levels: int
    mpe: float
    mpe_ci95: tuple[float, float] | None
    rmse: float
    rmse_ci95: tuple[float, float] | None
    within_30: float
    within_30_ci95: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class NpdeRecord:
    """NPDE against a standard normal; p_* are those of its mean, variance and shape."""

    n: int
    mean: float
    variance: float
    p_mean: float
    """t test."""
    p_variance: float
    """Chi-square."""
    p_normal: float
    """Shapiro and Wilk."""
    p_global: float
    """Three times the smallest, at most 1."""


@dataclass(frozen=True, kw_only=True)
class BinRecord:
    """A bin of the prediction-corrected visual predictive check; mg/L.

    Quantiles are 10, 50 and 90 % of the levels in the bin; None where that is below a limit of
    quantification.
    """

    from_h: float
    to_h: float
    """After the last dose."""
    middle_h: float
    levels: int
    observed: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    """Median over simulations."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    """95 % of simulations."""


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """How one model does."""

    model: str
    errors: list[ErrorRecord]
    log_likelihood: float
    """Marginal, of all levels, by Laplace."""
    behind: float
    """Of the best model's log-likelihood."""
    behind_se: float
    """Standard error of that over patients."""
    weight_all: float
    """Probability that all levels are from this model rather than another listed, equal before."""
    weight_mean: float
    """The same of one patient, averaged over patients."""
    moved: float
    """Share of patients whose AUC by levels differs by 4 mg h/L or more from covariates."""
    below_by_covariates: int
    below_by_levels: int
    """Patients with an AUC0-inf below 13.8 mg h/L."""
    npde: NpdeRecord | None
    vpc: list[BinRecord]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A model that was not compared, and why."""

    model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvaluationProvenance:
    """What made this result."""

    version: str
    model_sha256: dict[str, str]
    data_sha256: str
    seed: int
    simulations: int
    resamples: int


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """Result of `evaluate`, as in ``fludapk evaluate --json``."""

    schema: Literal["fludapk.evaluation/1"] = "fludapk.evaluation/1"
    best: str
    """The model with the highest likelihood."""
    patients: int
    levels: int
    levels_below_limit: int
    records_before_first_dose: int
    models: list[ModelRecord]
    """The best first."""
    averaged: list[ErrorRecord]
    """Of predictions averaged over the models by the weights the levels used give them."""
    left_out: list[LeftOut]
    refused: list[Refused]
    disclaimer: str = DISCLAIMER
    provenance: EvaluationProvenance

    def to_json(self) -> str:
        """One JSON document, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, eq=False)
class Scores:
    """Every level and patient by one model; levels in the order of `Evaluation.subjects`."""

    model: Model
    predicted: dict[Basis, F8]
    """(levels,) mg/L; NaN where it does not apply."""
    log_likelihoods: F8
    """(patients,)"""
    earlier_log_likelihoods: F8
    """(levels,) Of the levels before the dose before each level; 0 where there is none."""
    auc_covariates: F8
    auc_levels: F8
    """(patients,) AUC0-inf of the course, mg h/L."""
    eta: F8
    """(patients, n_eta)"""
    npde: F8
    """(levels,)"""
    vpc: list[BinRecord]
    corrected: F8
    """(levels,) Levels as the visual predictive check shows them; NaN below their limit."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was computed, by model, level and patient."""

    record: EvaluationRecord
    subjects: list[Subject]
    scores: list[Scores]
    """As `EvaluationRecord.models`."""
    weights: F8
    """(patients, models)"""
    averaged: dict[Basis, F8]
    """(levels,) mg/L."""

    @cached_property
    def patient(self) -> npt.NDArray[np.int64]:
        """(levels,) Place of the patient of each level."""
        return np.repeat(np.arange(len(self.subjects)), [len(s.times_h) for s in self.subjects])

    @cached_property
    def measured_mg_l(self) -> F8:
        """(levels,) NaN below the limit of quantification."""
        return np.concatenate([subject.conc_mg_l for subject in self.subjects])

    @cached_property
    def after_dose_h(self) -> F8:
        """(levels,) Since the start of the last dose."""
        return np.concatenate([subject.after_dose_h for subject in self.subjects])


# ------------------------------------------------------------------ the computation


def evaluate(
    data: Data,
    *,
    models: Sequence[str] = (),
    simulations: int = SIMULATIONS,
    folders: Sequence[Path] | None = None,
) -> Evaluation:
    """Compare models on the levels of many patients.

    Every model is judged on the same patients. A patient that one of the models cannot predict is
    refused. Without `models`, those are compared that can predict at least half of the patients.

    Parameters
    ----------
    data : Data
    models : sequence of str, optional
    simulations : int
        Of the levels of each patient; at least 100.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If no patient is left, or no model.

    Examples
    --------
    >>> head = "ID TIME AMT RATE EVID MDV DV AGE WT HT EGFR".split()
    >>> rows = ["1 0 24 48 1 1 . 6 20 118 110".split(), "1 2 0 0 0 0 0.6 6 20 118 110".split()]
    >>> data = read_subjects(Layout.read(head), rows, unit="mg/L", amount="phosphate")
    >>> evaluate(data, models=["langenhorst2019"]).record.models[0].errors[0].levels
    1
    """
    if simulations < 100:
        raise InputError(f"simulations = {simulations}: at least 100")
    asked = [load_model(name, folders) for name in dict.fromkeys(models)]
    subjects, compared, left_out, refused = _usable(data, asked, folders)
    fits = []
    for known in compared:
        fitted = _Fits.of(subjects, known)
        refused += [
            Refused(id=subject.id, row=subject.row, error=f"{fitted.model.id}: {fault}")
            for subject, fault in zip(subjects, fitted.faults, strict=True)
            if fault is not None
        ]
        fits.append(fitted)
    faulty = {one.row for one in refused}
    kept = [i for i, subject in enumerate(subjects) if subject.row not in faulty]
    if not kept:
        raise _nobody_left(_merged(refused), left_out)
    subjects = [subjects[i] for i in kept]
    scores = [_scores(fitted.only(kept), simulations) for fitted in fits]
    return _result(data, subjects, scores, left_out, refused, simulations)


def _usable(
    data: Data, asked: Sequence[Model], folders: Sequence[Path] | None
) -> tuple[list[Subject], list[list[Prediction]], list[LeftOut], list[Refused]]:
    """Patients, what each model that goes with them predicts, and what does not go together."""
    cases = [subject.request.case() for subject in data.subjects]
    candidates = list(asked) or load_models(folders)
    found = {model.id: predictions(model, cases) for model in candidates}
    compared, left_out = [], []
    for model in candidates:
        faults = [str(one) for one in found[model.id] if isinstance(one, InputError)]
        if not asked and 2 * len(faults) > len(cases):
            often = max(set(faults), key=lambda fault: (faults.count(fault), fault))
            left_out.append(
                LeftOut(
                    model=model.id,
                    reason=f"cannot predict {len(faults)} of {len(cases)} patients: {often}",
                )
            )
        else:
            compared.append(model)
    refused = list(data.refused)
    subjects, of_models = [], []
    for i, subject in enumerate(data.subjects):
        of_subject = [found[model.id][i] for model in compared]
        known = [one for one in of_subject if isinstance(one, Prediction)]
        if len(known) == len(compared):
            subjects.append(subject)
            of_models.append(known)
            continue
        faults = [
            f"{model.id}: {fault}"
            for model, fault in zip(compared, of_subject, strict=True)
            if isinstance(fault, InputError)
        ]
        refused.append(Refused(id=subject.id, row=subject.row, error="; ".join(faults)))
    if not compared or not subjects:
        raise _nobody_left(_merged(refused), left_out)
    by_model = [list(column) for column in zip(*of_models, strict=True)]
    return subjects, by_model, left_out, sorted(refused, key=lambda one: one.row)


_NAMED: Final = 3


def _nobody_left(refused: Sequence[Refused], left_out: Sequence[LeftOut]) -> InputError:
    """The first courses with a fault each, which are enough to see what is wrong with the file."""
    faults = [
        f"row {one.row}, ID {one.id}: {one.error.partition('; ')[0]}" for one in refused[:_NAMED]
    ]
    if len(refused) > _NAMED:
        faults.append(f"and {len(refused) - _NAMED} more courses like these")
    faults += [f"{one.model} {one.reason}" for one in left_out]
    return InputError(*faults, "no patient and model are left to compare")


@dataclass(frozen=True, eq=False)
class _Fits:
    """One model's estimates of every patient."""

    model: Model
    subjects: list[Subject]
    predictions: list[Prediction]
    estimate: MapEstimate
    rows: npt.NDArray[np.int64]
    """Of the estimate, by patient."""
    faults: list[str | None]

    @classmethod
    def of(cls, subjects: list[Subject], known: list[Prediction]) -> _Fits:
        model = known[0].model
        estimate = _estimates(model, known, [subject.levels for subject in subjects])
        faults: list[str | None] = []
        for i, (subject, prediction) in enumerate(zip(subjects, known, strict=True)):
            typical = prediction.typical_mg_l(subject.times_h)
            said = slips(subject.times_h, subject.conc_mg_l, typical)
            if estimate.status[i] != OK and not said:
                said = ["no most likely patient was found: check times, units and doses"]
            faults.append("; ".join(said) or None)
        return cls(model, subjects, known, estimate, np.arange(len(subjects)), faults)

    def only(self, kept: Sequence[int]) -> _Fits:
        return _Fits(
            self.model,
            [self.subjects[i] for i in kept],
            [self.predictions[i] for i in kept],
            self.estimate,
            self.rows[list(kept)],
            [],
        )

    def effects(self, i: int) -> RandomEffects:
        """Most likely effects of a patient."""
        return _effects(self.estimate, int(self.rows[i]), self.predictions[i])


def _effects(estimate: MapEstimate, row: int, of: Prediction) -> RandomEffects:
    doses = len(of.case.course.doses_mg)
    return RandomEffects(
        np.ascontiguousarray(estimate.effects.eta[row : row + 1]),
        np.ascontiguousarray(estimate.effects.kappa[row : row + 1, :doses]),
    )


def _estimates(model: Model, of: Sequence[Prediction], levels: Sequence[Levels]) -> MapEstimate:
    """Estimates of courses and levels of any number; rows are filled up."""
    doses = max(len(one.case.course.doses_mg) for one in of)
    most = max(one.times_h.shape[1] for one in levels)
    late = 1.0 + max(
        max(one.case.course.times_h[-1] for one in of), max(one.times_h.max() for one in levels)
    )

    def filled(values: F8, length: int, start: float = math.nan, step: float = 0.0) -> F8:
        return np.append(values, start + step * np.arange(length - len(values)))

    arrays = [one.arrays for one in of]
    return map_estimates(
        model.program,
        np.vstack([one.tv for one in of]),
        np.array([filled(times, doses, late, 24.0) for times, _, _ in arrays]),
        np.array([filled(lengths, doses, 1.0) for _, lengths, _ in arrays]),
        np.array([filled(amounts[0], doses, 0.0) for *_, amounts in arrays]),
        Levels(
            times_h=np.array([filled(one.times_h[0], most) for one in levels]),
            conc_mg_l=np.array([filled(one.conc_mg_l[0], most) for one in levels]),
            lloq_mg_l=np.array([filled(np.asarray(one.lloq_mg_l)[0], most) for one in levels]),
        ),
    )


def _scores(fits: _Fits, simulations: int) -> Scores:
    """What one model says of every level."""
    model, subjects, of = fits.model, fits.subjects, fits.predictions
    typical = [one.typical_mg_l(subject.times_h) for one, subject in zip(of, subjects, strict=True)]
    own = [
        one.concentrations(fits.effects(i), subject.times_h)[0][0]
        for i, (one, subject) in enumerate(zip(of, subjects, strict=True))
    ]
    forecast, earlier = _forecasts(fits)
    auc_levels = [one.exposure(fits.effects(i)).auc_0_inf[0] for i, one in enumerate(of)]
    errors, bins, corrected = _simulated(fits, typical, simulations)
    flat = np.concatenate
    return Scores(
        model=model,
        predicted={
            "covariates": flat(typical),
            "own_levels": flat(own),
            "later_from_covariates": np.where(np.isnan(forecast), np.nan, flat(typical)),
            "later_from_earlier": forecast,
        },
        log_likelihoods=fits.estimate.log_marginal_likelihood[fits.rows],
        earlier_log_likelihoods=earlier,
        auc_covariates=np.array([one.auc_0_inf for one in of]),
        auc_levels=np.array(auc_levels),
        eta=fits.estimate.effects.eta[fits.rows],
        npde=errors,
        vpc=bins,
        corrected=corrected,
    )


def _forecasts(fits: _Fits) -> tuple[F8, F8]:
    """Levels predicted from those before the last dose, and the likelihood of those."""
    cuts: list[tuple[int, int]] = []
    known: list[Levels] = []
    for i, subject in enumerate(fits.subjects):
        for occasion in np.unique(subject.occasions)[1:]:
            is_earlier = subject.occasions < occasion
            cuts.append((i, int(occasion)))
            known.append(_some(subject.levels, is_earlier))
    ends = np.cumsum([len(subject.times_h) for subject in fits.subjects])
    forecast, likelihood = np.full(ends[-1], np.nan), np.zeros(ends[-1])
    if not cuts:
        return forecast, likelihood
    of = [fits.predictions[i] for i, _ in cuts]
    estimate = _estimates(fits.model, of, known)
    for row, (i, occasion) in enumerate(cuts):
        if estimate.status[row] != OK:
            continue
        subject = fits.subjects[i]
        effects = _effects(estimate, row, of[row])
        here = np.flatnonzero(subject.occasions == occasion)
        places = ends[i] - len(subject.times_h) + here
        forecast[places] = of[row].concentrations(effects, subject.times_h[here])[0][0]
        likelihood[places] = estimate.log_marginal_likelihood[row]
    return forecast, likelihood


def _some(levels: Levels, is_kept: Bools) -> Levels:
    return Levels(
        times_h=levels.times_h[0, is_kept],
        conc_mg_l=levels.conc_mg_l[0, is_kept],
        lloq_mg_l=np.asarray(levels.lloq_mg_l)[0, is_kept],
    )


# ------------------------------------------------------------------ prediction errors


def prediction_errors(
    basis: Basis, predicted: F8, measured: F8, patient: npt.NDArray[np.int64]
) -> ErrorRecord | None:
    """Errors of predicted levels; None if there is nothing to compare.

    Parameters
    ----------
    basis : str
    predicted, measured : (levels,)
        mg/L; pairs with NaN are left out.
    patient : (levels,)
        Whose level.

    Examples
    --------
    >>> found = prediction_errors(
    ...     "covariates", np.array([1.1, 1.8]), np.array([1.0, 2.0]), np.array([0, 1])
    ... )
    >>> round(abs(found.mpe), 6), round(found.rmse, 6), found.within_30
    (0.0, 10.0, 100.0)
    """
    is_pair = np.isfinite(predicted) & np.isfinite(measured)
    if not is_pair.any():
        return None
    error = 100.0 * (predicted[is_pair] - measured[is_pair]) / measured[is_pair]
    _, who = np.unique(patient[is_pair], return_inverse=True)
    n = int(who.max()) + 1
    parts = (np.ones_like(error), error, error**2, 100.0 * (np.abs(error) <= 100.0 * WITHIN))
    sums = np.array([np.bincount(who, part, n) for part in parts])

    def statistics(weighted: F8) -> F8:
        count, total, squares, near = weighted
        return np.array([total / count, np.sqrt(squares / count), near / count])

    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    low, high = np.quantile(statistics(sums @ drawn.T), [0.025, 0.975], axis=1)
    intervals = [(float(a), float(b)) if n > 1 else None for a, b in zip(low, high, strict=True)]
    mpe, rmse, near = (float(value) for value in statistics(sums.sum(axis=1)))
    return ErrorRecord(
        basis=basis,
        patients=n,
        levels=int(is_pair.sum()),
        mpe=mpe,
        mpe_ci95=intervals[0],
        rmse=rmse,
        rmse_ci95=intervals[1],
        within_30=near,
        within_30_ci95=intervals[2],
    )


# ------------------------------------------------------------------ NPDE and VPC


def _simulated(fits: _Fits, typical: Sequence[F8], n: int) -> tuple[F8, list[BinRecord], F8]:
    """NPDE of every level, the visual predictive check, and the levels as that shows them."""
    program = fits.model.program
    scores, drawn = [], []
    for i, (subject, of) in enumerate(zip(fits.subjects, fits.predictions, strict=True)):
        rng = np.random.default_rng(np.random.SeedSequence([SEED, i]))
        doses = len(of.case.course.doses_mg)
        normals = rng.standard_normal((n, program.n_eta + doses * program.n_kappa))
        effects = RandomEffects.from_normals(program, normals, doses)
        conc, _ = of.concentrations(effects, subject.times_h)
        simulated = with_residual_error(program, conc, rng.standard_normal(conc.shape))
        lloq = np.asarray(subject.levels.lloq_mg_l)[0]
        scores.append(npde(subject.conc_mg_l, simulated, lloq, rng))
        drawn.append(simulated)
    subjects = fits.subjects
    bins, corrected = prediction_corrected(
        after_h=np.concatenate([subject.after_dose_h for subject in subjects]),
        measured=np.concatenate([subject.conc_mg_l for subject in subjects]),
        lloq=np.concatenate([np.asarray(subject.levels.lloq_mg_l)[0] for subject in subjects]),
        typical=np.concatenate(typical),
        simulated=np.hstack(drawn),
    )
    return np.concatenate(scores), bins, corrected


def npde(measured: F8, simulated: F8, lloq: F8, rng: np.random.Generator) -> F8:
    """Normalised prediction distribution errors of the levels of one patient.

    Levels and simulations are decorrelated by the mean and covariance of the simulations; a level's
    error is the normal score of the share of simulations below it. Before that what is below its
    limit of quantification, measured or simulated, is replaced by a random simulation below it.

    Parameters
    ----------
    measured, lloq : (m,)
        mg/L; a measured NaN is below `lloq`, a limit of NaN is unknown.
    simulated : (n, m)
        mg/L, with residual error.
    rng : Generator

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> simulated = rng.lognormal(size=(1001, 1))
    >>> npde(np.median(simulated, axis=0), simulated, np.array([np.nan]), rng).round(2)
    array([0.])
    """
    n = len(simulated)
    level, simulated = measured.copy(), simulated.copy()
    for t in range(len(level)):
        below = np.flatnonzero(simulated[:, t] < lloq[t])
        simulated[below, t] = rng.permutation(simulated[below, t])
        if np.isnan(level[t]):
            level[t] = simulated[rng.choice(below), t] if below.size else lloq[t]
    mean = simulated.mean(axis=0)
    covariance = np.atleast_2d(np.cov(simulated, rowvar=False))
    root = np.linalg.cholesky(covariance)
    apart = np.linalg.solve(root, (simulated - mean).T)
    at = np.linalg.solve(root, level - mean)
    share = np.mean(apart < at[:, np.newaxis], axis=1) + 0.5 / n
    edge = 0.5 / n
    return normal_scores(np.clip(share, edge, 1.0 - edge))


def _npde_record(values: F8) -> NpdeRecord | None:
    """Tests of NPDE; None for fewer than three."""
    if len(values) < 3:
        return None
    from scipy import stats

    n, variance = len(values), float(np.var(values, ddof=1))
    tail = float(stats.chi2.cdf((n - 1) * variance, n - 1))
    p_mean = float(stats.ttest_1samp(values, 0.0).pvalue)
    p_variance = min(1.0, 2.0 * min(tail, 1.0 - tail))
    p_normal = float(stats.shapiro(values[:5000]).pvalue)
    return NpdeRecord(
        n=n,
        mean=float(values.mean()),
        variance=variance,
        p_mean=p_mean,
        p_variance=p_variance,
        p_normal=p_normal,
        p_global=min(1.0, 3.0 * min(p_mean, p_variance, p_normal)),
    )


def prediction_corrected(
    *, after_h: F8, measured: F8, lloq: F8, typical: F8, simulated: F8
) -> tuple[list[BinRecord], F8]:
    """A prediction-corrected visual predictive check.

    Each level and its simulations are multiplied by (median typical level of its bin)/(its typical
    level). Below its limit of quantification a level or simulation counts as lower than all others.

    Parameters
    ----------
    after_h, measured, lloq, typical : (levels,)
        h after the last dose; mg/L.
    simulated : (n, levels)
        mg/L, with residual error.

    Returns
    -------
    bins : list of BinRecord
    corrected : (levels,)
        mg/L; NaN below the limit of quantification.
    """
    usable = np.flatnonzero(typical > 0.0)
    found: list[BinRecord] = []
    corrected = np.full(len(measured), np.nan)
    bins = _bins(after_h[usable]) if usable.size else usable
    for k in np.unique(bins):
        here = usable[bins == k]
        factor = np.median(typical[here]) / typical[here]
        corrected[here] = measured[here] * factor
        seen = np.nan_to_num(corrected[here])
        hidden = simulated[:, here] < lloq[here]
        drawn = np.where(hidden, 0.0, simulated[:, here] * factor)
        spread = np.quantile(drawn, QUANTILES, axis=1)
        low, middle, high = np.quantile(spread, [0.025, 0.5, 0.975], axis=1)
        found.append(
            BinRecord(
                from_h=float(after_h[here].min()),
                to_h=float(after_h[here].max()),
                middle_h=float(np.median(after_h[here])),
                levels=len(here),
                observed=_quantified(np.quantile(seen, QUANTILES)),
                expected=_quantified(middle),
                low=_quantified(low),
                high=_quantified(high),
            )
        )
    return found, corrected


def _quantified(values: F8) -> tuple[float | None, ...]:
    return tuple(float(value) if value > 0.0 else None for value in values)


_MOST_BINS: Final = 8
_PER_BIN: Final = 10
_UNEXPLAINED: Final = 0.005


def _bins(after_h: F8) -> npt.NDArray[np.int64]:
    """Neighbours in time together: the fewest bins that explain the spread of log(1 + h).

    Least squares over all ways to cut the times, by dynamic programming.
    """
    x, place, count = np.unique(
        np.round(np.log1p(after_h), 2), return_inverse=True, return_counts=True
    )
    n, sums, squares = (
        np.append(0.0, np.cumsum(count * part)) for part in (np.ones_like(x), x, x**2)
    )
    first, last = np.arange(len(x))[:, None], np.arange(1, len(x) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (sums[last] - sums[first]) / (n[last] - n[first])
        cost = squares[last] - squares[first] - mean * (sums[last] - sums[first])
    cost[first >= last] = np.inf  # a bin holds times first to last - 1
    best = cost[0]
    starts = [np.zeros(len(x), dtype=np.int64)]
    enough = _UNEXPLAINED * best[-1]
    most = min(_MOST_BINS, len(x), max(1, len(after_h) // _PER_BIN))
    while len(starts) < most and best[-1] > enough:
        before = np.append(np.inf, best[:-1])[:, None]  # the bins before one that starts there
        ways = before + cost
        starts.append(np.argmin(ways, axis=0))
        best = np.min(ways, axis=0)
    label, end = np.empty(len(x), dtype=np.int64), len(x)
    for k in range(len(starts) - 1, -1, -1):
        start = int(starts[k][end - 1])
        label[start:end], end = k, start
    return label[place]


# ------------------------------------------------------------------ comparison


def _result(
    data: Data,
    subjects: list[Subject],
    scores: list[Scores],
    left_out: list[LeftOut],
    refused: list[Refused],
    simulations: int,
) -> Evaluation:
    scores = sorted(scores, key=lambda one: -one.log_likelihoods.sum())
    measured = np.concatenate([subject.conc_mg_l for subject in subjects])
    patient = np.repeat(np.arange(len(subjects)), [len(subject.times_h) for subject in subjects])
    by_patient = np.column_stack([one.log_likelihoods for one in scores])
    weights = np.array([model_weights(row) for row in by_patient])
    weights_all = model_weights(by_patient.sum(axis=0))
    averaged = _averaged(scores, weights[patient])

    def errors(predicted: Mapping[Basis, F8]) -> list[ErrorRecord]:
        found = (prediction_errors(b, predicted[b], measured, patient) for b in BASES)
        return [one for one in found if one is not None]

    models = []
    for k, one in enumerate(scores):
        behind = by_patient[:, 0] - by_patient[:, k]
        spread = float(np.std(behind, ddof=1)) if len(subjects) > 1 else 0.0
        moved = np.abs(one.auc_levels - one.auc_covariates) >= MOVED_MG_H_L
        models.append(
            ModelRecord(
                model=one.model.id,
                errors=errors(one.predicted),
                log_likelihood=float(one.log_likelihoods.sum()),
                behind=float(behind.sum()),
                behind_se=math.sqrt(len(subjects)) * spread,
                weight_all=float(weights_all[k]),
                weight_mean=float(weights[:, k].mean()),
                moved=float(moved.mean()),
                below_by_covariates=int((one.auc_covariates < LOW).sum()),
                below_by_levels=int((one.auc_levels < LOW).sum()),
                npde=_npde_record(one.npde),
                vpc=one.vpc,
            )
        )
    record = EvaluationRecord(
        best=scores[0].model.id,
        patients=len(subjects),
        levels=len(measured),
        levels_below_limit=int(np.isnan(measured).sum()),
        records_before_first_dose=sum(subject.before_first_dose for subject in subjects),
        models=models,
        averaged=errors(averaged) if len(scores) > 1 else [],
        left_out=left_out,
        refused=sorted(_merged(refused), key=lambda one: one.row),
        provenance=EvaluationProvenance(
            version=__version__,
            model_sha256={one.model.id: one.model.sha256 for one in scores},
            data_sha256=data.sha256,
            seed=SEED,
            simulations=simulations,
            resamples=RESAMPLES,
        ),
    )
    return Evaluation(record, subjects, scores, weights, averaged)


def _merged(refused: Iterable[Refused]) -> list[Refused]:
    """Faults of one course by several models together."""
    by_row: dict[int, Refused] = {}
    for one in refused:
        before = by_row.get(one.row)
        error = one.error if before is None else f"{before.error}; {one.error}"
        by_row[one.row] = Refused(id=one.id, row=one.row, error=error)
    return list(by_row.values())


def _averaged(scores: Sequence[Scores], own: F8) -> dict[Basis, F8]:
    """Predictions averaged over models, weighted by the levels that each prediction used."""
    equal = np.full_like(own, 1.0 / len(scores))
    earlier = np.array(
        [
            model_weights(row)
            for row in np.column_stack([one.earlier_log_likelihoods for one in scores])
        ]
    )
    weights = dict(zip(BASES, (equal, own, equal, earlier), strict=True))
    return {
        basis: np.sum(
            weights[basis] * np.column_stack([one.predicted[basis] for one in scores]), axis=1
        )
        for basis in BASES
    }


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
