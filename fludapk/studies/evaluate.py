"""Models compared on measured levels of many patients, from a data frame or a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fludapk.answers.check_table import cells_of
from fludapk.answers.record import Frame
from fludapk.patients.columns import Layout, opened
from fludapk.patients.csv_list import document
from fludapk.studies.evaluation import SIMULATIONS, evaluation_of
from fludapk.studies.evaluation_data import Data, read_subjects
from fludapk.studies.evaluation_records import EvaluationRecord


def evaluate(
    levels: Frame | str | Path,
    *,
    dv_unit: str | None = None,
    lloq: str | None = None,
    amount: str | None = None,
    models: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    simulations: int = SIMULATIONS,
    folders: Sequence[Path] | None = None,
) -> EvaluationRecord:
    """Compare models on the measured levels of many patients, as ``fludapk evaluate`` does.

    Parameters
    ----------
    levels : DataFrame, str or Path
        NONMEM-style records, ID TIME AMT RATE EVID MDV DV and covariates, or a CSV file of them.
    dv_unit : str, optional
        Unit of DV and LLOQ; needed unless the levels are in a column such as conc_mg_l.
    lloq : str, optional
        Limit of quantification with its unit, for levels marked as below it without one.
    amount : {'phosphate', 'f_ara_a'}, optional
        Substance that AMT is mg of.
    models : sequence of str, optional
        Names of models to compare; those that can predict at least half of the patients if absent.
    names : mapping of str to str, optional
        Column of the records -> known column; "-" for a column that is not to be read.
    simulations : int
        Simulated sets of the levels of each patient; at least 100.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If the records cannot be understood, or no patient or model is left.

    Examples
    --------
    >>> import pandas as pd
    >>> records = pd.DataFrame({"ID": 1, "TIME": [0, 2, 7], "AMT": [24, 0, 0], "RATE": [48, 0, 0],
    ...     "EVID": [1, 0, 0], "MDV": [1, 0, 0], "DV": [None, 0.6, 0.2], "AGE": 6, "WT": 20,
    ...     "HT": 118, "EGFR": 110})
    >>> evaluate(records, dv_unit="mg/L", amount="phosphate", models=["langenhorst2019"]).levels
    2
    """
    data = _read(levels, names or {}, dv_unit, lloq, amount)
    computed = evaluation_of(data, models=models, simulations=simulations, folders=folders)
    return replace(computed.record, source=computed)


def _read(
    levels: Frame | str | Path,
    names: Mapping[str, str],
    dv_unit: str | None,
    lloq: str | None,
    amount: str | None,
) -> Data:
    if isinstance(levels, str | Path):
        pairs = [f"{column}={name}" for column, name in names.items()]
        source, layout = opened(levels, pairs, {})
        rows, sha256, first_row = source.rows(), source.sha256(), source.first_row
    else:
        header, cells = cells_of(levels)
        layout, rows = Layout.read(header, names=names).surveyed(cells), iter(cells)
        text = document([dict(zip(header, row, strict=True)) for row in cells])
        sha256, first_row = hashlib.sha256(text.encode()).hexdigest(), 2
    return read_subjects(
        layout, rows, unit=dv_unit, lloq=lloq, amount=amount, sha256=sha256, first_row=first_row
    )
