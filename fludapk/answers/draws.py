"""Random effects of a patient given levels: the most likely ones, their spread, and draws."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fludapk.answers.fit import Fit
from fludapk.arrays import F8
from fludapk.atomic import write_whole
from fludapk.errors import Fault, InputError
from fludapk.patients.csv_list import document
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import individual_parameters
from fludapk.pk.program import SLOTS

MOST_DRAWS: Final = 10_000
"""Number of draws of a posterior at most."""
DRAWS_OF_A_FILE: Final = 4000
"""Number of draws in a file where nobody says."""


@dataclass(frozen=True, kw_only=True)
class EffectRecord:
    """A random effect of this patient, on the log scale.

    Parameters
    ----------
    name : str
        As in the file of the model.
    on : list of str
        Parameters that it moves.
    dose : int, optional
        Number of the dose whose occasion it belongs to, from 1; None for an eta.
    value : float
        Of the most likely patient.
    mean, sd : float
        Of the posterior.
    prior_sd : float
        Of the population: the SD without levels.
    """

    name: str
    on: list[str]
    dose: int | None
    value: float
    mean: float
    sd: float
    prior_sd: float


def effect_records(fitted: Fit) -> list[EffectRecord]:
    """Record the etas of a patient, then the kappas of each dose of the course.

    Kappas of doses without a level are those of the population.
    """
    program, file = fitted.prediction.model.program, fitted.prediction.model.file
    drawn, weights = fitted.posterior.effects, fitted.posterior.weights
    prior = [np.linalg.norm(root, axis=1) for root in (program.root_omega, program.root_omega_iov)]

    def record(k: int, dose: int | None) -> EffectRecord:
        effect = (file.iiv if dose is None else file.iov)[k]
        likely, points = (
            effects.eta[:, k] if dose is None else effects.kappa[:, dose, k]
            for effects in (fitted.estimate.effects, drawn)
        )
        mean = float(weights @ points)
        return EffectRecord(
            name=effect.name,
            on=list(effect.on),
            dose=None if dose is None else dose + 1,
            value=float(likely[0]),
            mean=mean,
            sd=float(np.sqrt(weights @ (points - mean) ** 2)),
            prior_sd=float(prior[dose is not None][k]),
        )

    doses = range(len(fitted.course.doses_mg))
    return [
        *(record(k, None) for k in range(program.n_eta)),
        *(record(k, dose) for dose in doses for k in range(program.n_kappa)),
    ]


def posterior_draws(fitted: Fit, n: int) -> dict[str, F8]:
    """Draw from the posterior of a patient.

    Parameters
    ----------
    fitted : Fit
    n : int
        Number of draws, all equally likely.

    Returns
    -------
    dict of str to (n,) array
        AUC of the course as planned (mg·h/L), parameters without occasions (L/h and L), etas, and
        kappas with the number of their dose: a column each.

    Raises
    ------
    InputError
        If there are none, or too many.
    """
    if not 1 <= n <= MOST_DRAWS:
        raise InputError(Fault("draws", f"= {n}", do=f"from 1 to {MOST_DRAWS}"))
    effects, prediction = fitted.posterior.draws(n), fitted.prediction
    program, file = prediction.model.program, prediction.model.file
    own = RandomEffects(effects.eta, np.zeros((n, 1, program.n_kappa)))
    parameters = individual_parameters(program, prediction.tv, own)[:, 0]
    columns = {"auc_0_inf": fitted.auc(effects, np.array(fitted.course.doses_mg))}
    for k, name in enumerate(SLOTS[: 2 * program.compartments]):
        columns[f"{name}_{'l_h' if name[0] in 'CQ' else 'l'}"] = parameters[:, k]
    columns |= {effect.name: effects.eta[:, k] for k, effect in enumerate(file.iiv)}
    for dose in range(len(fitted.course.doses_mg)):
        for k, effect in enumerate(file.iov):
            columns[f"{effect.name}_{dose + 1}"] = effects.kappa[:, dose, k]
    return columns


def write_draws(path: str | Path, columns: Mapping[str, F8]) -> None:
    """Write draws to a file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in .parquet or .csv.
    columns : mapping of str to (n,) array
        See `posterior_draws`.

    Raises
    ------
    InputError
        If it ends otherwise, or the extra ``parquet`` is not installed.
    """
    suffix = Path(path).suffix
    if suffix == ".csv":
        lists = zip(*(column.tolist() for column in columns.values()), strict=True)
        write_whole(path, document([dict(zip(columns, row, strict=True)) for row in lists]))
        return
    if suffix != ".parquet":
        do = "a file that ends in .parquet or .csv"
        raise InputError(Fault("draws_file", f"= {str(path)!r}", do=do))
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        do = "pip install 'fludapk[parquet]', or write .csv"
        raise InputError(
            Fault("draws_file", "a .parquet file needs an extra", do=do, whole=True)
        ) from error
    buffer = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), buffer)
    write_whole(path, buffer.getvalue())
