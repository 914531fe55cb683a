"""Check of one planned course, with everything a second person needs to repeat it.

`check` computes; its result is the JSON of ``fludapk check --json`` (schema ``fludapk.check/2``)
and what the terminal page and the report are drawn from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Final

import numpy as np

from fludapk.answers.averaging import AnyAnswer, AveragedAnswer, Blend
from fludapk.answers.check_answer import Answer, Common, Computed, auc_by
from fludapk.answers.check_facts import is_for_disease
from fludapk.answers.check_records import CheckResult
from fludapk.answers.headline import Simulated, leading_of
from fludapk.answers.label_weights import kidneys_by_weight
from fludapk.answers.prediction import LOG2_POINTS, Prediction, Predictions, predicted
from fludapk.answers.simulation import simulated_of_many
from fludapk.arrays import F8, Bools
from fludapk.errors import Fault, FludapkError, InputError, StudiedRangeError, nearest
from fludapk.language import tr
from fludapk.patience import go_on
from fludapk.patients.model_weights import read_weights
from fludapk.patients.patient import Patient, size_columns
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Case, Request, Treated
from fludapk.published.course_files import TargetEntry
from fludapk.published.covariates import renal_function
from fludapk.published.models import DEFAULT_MODEL, Model, is_averaged, load_model, load_models
from fludapk.published.regimens import regimens


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
        Id of the model that the answer is by; every other one that applies is shown beside it. Or
        "averaged", over all that apply, see `fludapk.patients.model_weights`.
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

    Patients are computed together.

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
    for answer in answers(requests, log2_points=log2_points, strict=strict, folders=folders):
        try:
            yield answer if isinstance(answer, FludapkError) else answer.result(trail=trails)
        except InputError as error:
            yield error


def answers(
    requests: Sequence[Request],
    *,
    log2_points: int = LOG2_POINTS,
    strict: bool = False,
    folders: Sequence[Path] | None = None,
) -> Iterator[AnyAnswer | FludapkError]:
    """Check many courses; parameters as those of `checks`, whose results these become.

    Raises
    ------
    FileError
        If a model file is bad.
    """
    models = {model.id: model for model in load_models(folders)}
    names = _names_in_use(models.values())
    read = [_case(request, models, names, folders) for request in requests]
    cases = {i: case for i, case in enumerate(read) if isinstance(case, Case)}
    sizes = size_columns([case.patient for case in cases.values()])
    treated = {i: case.treated for i, case in cases.items()}
    by_model = {
        model.id: _predicted(model, _is_chosen(model, requests, treated), cases, sizes)
        for model in models.values()
    }
    blends = [
        _blend(request, i, by_model, strict=strict) if isinstance(case, Case) else case
        for i, (request, case) in enumerate(zip(requests, read, strict=True))
    ]
    patients = [case.patient.at_worst(case.course.times_h[-1]) for case in cases.values()]
    is_same = all(case.patient is p for case, p in zip(cases.values(), patients, strict=True))
    kidneys = dict(zip(cases, _kidneys(sizes if is_same else size_columns(patients)), strict=True))
    weighed = dict(zip(cases, kidneys_by_weight(patients), strict=True))
    leading = {i: leading_of(case.patient, case.regimen) for i, case in cases.items()}
    common = Common(by_model, log2_points)
    shown = _simulations(blends, leading, common)
    computed = [
        Computed(request, prediction, i, leading[i], shown[i], kidneys[i], weighed[i])
        for i, (request, blend) in enumerate(zip(requests, blends, strict=True))
        if isinstance(blend, Blend)
        for prediction in blend.predictions
    ]
    answered = iter(Answer.of_many(computed, common))
    for request, blend in zip(requests, blends, strict=True):
        go_on()
        if isinstance(blend, FludapkError):
            yield blend
            continue
        if not is_averaged(request.model):
            yield next(answered)
            continue
        each = list(islice(answered, len(blend.predictions)))
        own = [answer for answer in each if isinstance(answer, Answer)]
        refused = (answer for answer in each if isinstance(answer, InputError))
        yield next(refused, AveragedAnswer(request, own, blend))


def _blend(
    request: Request, place: int, by_model: Mapping[str, Predictions], *, strict: bool
) -> Blend | FludapkError:
    """Choose the prediction, or those to be averaged, or say why there is none."""
    if is_averaged(request.model):
        applying = [
            outcome
            for rival in by_model.values()
            if rival.model.file.reading_of is None
            and auc_by(rival, place) is not None
            and isinstance(outcome := rival[place], Prediction)
        ]
        try:
            return Blend.of(applying, read_weights(request.model, by_model))
        except InputError as error:
            return error
    outcome = by_model[request.model][place]
    if isinstance(outcome, FludapkError):
        return outcome
    if strict and outcome.outside:
        listed = ", ".join(map(str, outcome.outside))
        return StudiedRangeError(
            tr(
                "outside the studied range of {model}: {ranges}",
                model=outcome.model.id,
                ranges=listed,
            )
        )
    return Blend([outcome], _WHOLE)


_WHOLE: Final = np.ones(1)
"""Weight of a model that answers alone."""
_WHOLE.setflags(write=False)


def _simulations(
    blends: Sequence[Blend | FludapkError],
    leading: Mapping[int, TargetEntry | None],
    common: Common,
) -> list[dict[str, Simulated | InputError]]:
    """Simulate all patients by their models, and by those that their leading targets are of."""
    wanted: dict[tuple[int, str], Prediction] = {}
    for i, blend in enumerate(blends):
        if isinstance(blend, FludapkError):
            continue
        target = leading[i]
        for prediction in blend.predictions:
            wanted[i, prediction.model.id] = prediction
        if target is not None and (i, target.derived_with) not in wanted:
            judging = common.outcome(target.derived_with, i)
            if isinstance(judging, Prediction):
                wanted[i, judging.model.id] = judging
    shown: list[dict[str, Simulated | InputError]] = [{} for _ in blends]
    simulated = simulated_of_many(list(wanted.values()), common.log2_points)
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
        if is_averaged(request.model):
            read_weights(request.model, models)
        elif request.model not in models:
            load_model(request.model, folders)  # says which there are
        _check_names(request.patient, request.regimen, names)
        return request.case()
    except FludapkError as error:
        return error


def _is_chosen(model: Model, requests: Sequence[Request], treated: Mapping[int, Treated]) -> Bools:
    """Tell which cases ask for a model or have a disease that it was built from."""
    fitting = {
        disease
        for disease in {each.disease for each in treated.values()}
        if is_for_disease(model, disease)
    }
    return np.array(
        [each.disease in fitting or requests[i].model == model.id for i, each in treated.items()],
        dtype=np.bool_,
    )


def _predicted(
    model: Model, chosen: Bools, cases: Mapping[int, Case], sizes: Mapping[str, F8]
) -> Predictions:
    """Predict some cases by a model.

    Parameters
    ----------
    model : Model
    chosen : (n,) array of bool
        True for these cases.
    cases : mapping of int to Case
        Place among the requests -> case.
    sizes : mapping of str to (n,) arrays
        Columns of the patients of these cases.

    Returns
    -------
    Predictions
        With the same places.
    """
    own = dict(compress(cases.items(), chosen.tolist()))
    return predicted(model, own, {name: column[chosen] for name, column in sizes.items()})


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
            field = f"{{{category}}}"
            unknown = tr("unknown {field} {value!r}", field=field, value=value)
            faults.append(Fault(category, unknown, do=nearest(value, choices), whole=True))
    if not faults and patient.product and regimen.product not in (None, patient.product):
        other = tr(
            "= {given!r}, but {regimen} is a course for {product!r}",
            given=patient.product,
            regimen=regimen.id,
            product=regimen.product,
        )
        faults.append(Fault("product", other))
    if faults:
        raise InputError(*faults)


def _kidneys(sizes: Mapping[str, F8]) -> list[dict[str, float]]:
    """Compute CrCl and eGFR of each patient for label rules; NaN if unknown."""
    if not sizes["AGE"].size:
        return []
    both = (renal_function(measure, sizes).tolist() for measure in ("CrCl", "eGFR"))
    return [{"CrCl": crcl, "eGFR": egfr} for crcl, egfr in zip(*both, strict=True)]
