"""A model and a worked patient for another engine, with the numbers to expect there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fludapk.answers.prediction import Prediction, predict
from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, nearest
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.engines import ENGINES
from fludapk.published.engines.nonmem import RECORD
from fludapk.published.engines.statements import Statements
from fludapk.published.models import DEFAULT_MODEL, load_model

AFTER_DOSE_H: Final = (0.25, 1.0, 2.0, 4.0, 8.0, 12.0)
AFTER_COURSE_H: Final = (24.0, 36.0, 48.0, 72.0)
_WORKED: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"age_years": 5, "sex": "female", "weight_kg": 18.2, "height_cm": 110, "scr_mg_dl": 0.3},
     "tisa_cel_ball"),
    ({"age_years": 60, "sex": "male", "weight_kg": 80, "height_cm": 178, "scr_mg_dl": 1.0},
     "axi_cel"),
    ({"age_years": 17, "sex": "male", "weight_kg": 50, "height_cm": 160, "scr_mg_dl": 0.7,
      "diagnosis": "aplastic_anaemia", "genotype": "GG"}, "hct_160"),
)  # fmt: skip
"""Patients and courses; a model is exported with the first whom it covers."""


@dataclass(frozen=True)
class Export:
    """Files for another engine.

    Parameters
    ----------
    model, engine : str
    files : mapping of str to str
        Name -> text: the model, the data of the worked patient, the numbers to expect.
    auc_0_inf : float
        AUC0-inf of the worked patient, mg·h/L.
    """

    model: str
    engine: str
    files: Mapping[str, str]
    auc_0_inf: float

    @property
    def code(self) -> str:
        """Text of the model."""
        return next(iter(self.files.values()))


def export_model(
    name: str = DEFAULT_MODEL, *, to: str, folders: Sequence[Path] | None = None
) -> Export:
    """Write a model for another engine.

    Parameters
    ----------
    name : str
        Id of the model.
    to : {'nonmem', 'mrgsolve', 'rxode2', 'nlmixr2', 'pharmpy'}
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If there is no such model or engine, or no worked patient for it.

    Examples
    --------
    >>> export = export_model("varela2025", to="nonmem")
    >>> list(export.files)
    ['varela2025.mod', 'varela2025.csv', 'varela2025.expected.csv']
    """
    if to not in ENGINES:
        raise InputError(Fault("to", f"= {to!r} is no engine", do=nearest(to, list(ENGINES))))
    model = load_model(name, folders, any_drug=True)
    prediction = _worked(name, folders)
    ending, code = ENGINES[to]
    statements = Statements(model, len(prediction.case.course.doses_mg), prediction.values)
    files = {
        f"{model.id}.{ending}": code(statements),
        f"{model.id}.csv": _data(statements, prediction),
        f"{model.id}.expected.csv": _expected(prediction),
    }
    return Export(model.id, to, files, prediction.auc_0_inf)


def _worked(name: str, folders: Sequence[Path] | None) -> Prediction:
    """Predict the first worked patient whom the model covers, or else can compute."""
    model, possible = load_model(name, folders, any_drug=True), []
    own = [f"{k}={c.levels[0]}" for k, c in model.file.covariates.items() if c.levels]
    for typed, regimen in _WORKED:
        patient, plan = Patient(**typed, categories=own), Regimen.named(regimen)
        try:
            prediction = predict(model, patient, plan, plan.course(patient))
        except InputError:
            continue
        if not prediction.outside:
            return prediction
        possible.append(prediction)
    if not possible:
        found = f"{name}: no worked patient has every covariate of this model"
        raise InputError(Fault("model", found, whole=True))
    return possible[0]


def _sampled_h(prediction: Prediction) -> F8:
    """Times after every dose, and some days after the last, h."""
    course = prediction.case.course
    after = [
        start + length + later
        for start, length in zip(course.times_h, course.infusion_h, strict=True)
        for later in AFTER_DOSE_H
    ]
    end = course.times_h[-1] + course.infusion_h[-1]
    return np.array(sorted({*after, *(end + later for later in AFTER_COURSE_H)}))


def _data(statements: Statements, prediction: Prediction) -> str:
    """Write doses and sampling times of the worked patient, a record each, in order of time.

    With IOV a record of EVID 2 ends each occasion at the time of the next dose: engines take the
    covariates of an interval from the record at its end or at its beginning, and both are then of
    the right occasion.
    """
    times, lengths, amounts = prediction.arrays
    doses = [
        (time, (1, amount, amount / length, 1, 1, "."))
        for time, length, amount in zip(times, lengths, amounts[0], strict=True)
    ]
    samples = [(time, (0, ".", ".", 1, 0, ".")) for time in _sampled_h(prediction)]
    ends = [(time, (2, ".", ".", 1, 1, ".")) for time in times[1:] if statements.changes]
    lines = [",".join([*RECORD, *statements.worked, *statements.occasion_columns])]
    for time, (event, *record) in sorted(doses + samples + ends, key=lambda r: (r[0], -r[1][0])):
        occasion = int(np.searchsorted(times, time, "left" if event == 2 else "right"))
        marks = [int(k == occasion) for k in range(1, len(statements.occasion_columns) + 1)]
        dose = max(occasion, 1)
        columns = statements.worked_at(times[dose - 1] - times[0], dose)
        cells = (1, time, event, *record, *columns.values(), *marks)
        lines.append(",".join(x if isinstance(x, str) else f"{x:.15g}" for x in cells))
    return "\n".join(lines) + "\n"


def _expected(prediction: Prediction) -> str:
    """Write the concentrations and areas of the typical patient; the last row is infinity."""
    at_h = _sampled_h(prediction)
    conc, auc = prediction.concentrations(prediction.no_effects, at_h)
    lines = ["time_h,conc_mg_l,auc_mg_h_l"]
    lines += [
        f"{time:.15g},{c:.15g},{a:.15g}" for time, c, a in zip(at_h, conc[0], auc[0], strict=True)
    ]
    return "\n".join([*lines, f"inf,0,{prediction.auc_0_inf:.15g}"]) + "\n"
