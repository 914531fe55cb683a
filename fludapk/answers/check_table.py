"""Data frames of patients: a row in, a row of results out, in the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fludapk.answers.averaging import AnyAnswer
from fludapk.answers.batch import COLUMNS_READ, answered, chunks, log2_points_of
from fludapk.answers.batch_rows import clear_names
from fludapk.answers.check_records import result_columns
from fludapk.answers.record import Frame, Row, frame_of
from fludapk.errors import Fault, FludapkError, InputError
from fludapk.patients.columns import Layout
from fludapk.patients.fields import COURSE, FIELDS, PATIENT
from fludapk.patients.nonmem import survey
from fludapk.published.models import load_models
from fludapk.units import as_typed

_OF_ALL_ROWS = tuple(
    FIELDS[key].name
    for key in (*PATIENT, *COURSE, "model", "round_to_mg")
    if key != "confirm"  # of one patient
)


def check_table(
    table: Frame,
    *,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    amount: str | None = None,
    log2_points: int | None = None,
    folders: Sequence[Path] | None = None,
    **of_all_rows: str | float | None,
) -> Frame:
    """Check a table of patients; the same as ``fludapk batch`` on a file.

    Parameters
    ----------
    table : DataFrame
        A row per patient, or NONMEM-style records. Columns are those of ``fludapk batch``:
        ``age_years``, ``weight_kg``, ``height_cm``, ``scr_mg_dl``, ``regimen`` and so on.
    names : mapping of str to str, optional
        Column -> what it is; "-" for a column that is not to be read.
    values : mapping of str to (mapping of str to str), optional
        Column -> code in it -> what that means: ``{"SEX": {"1": "male", "2": "female"}}``.
    amount : {'phosphate', 'f_ara_a'}, optional
        What AMT of records is mg of.
    log2_points : int, optional
        A row is judged by 2 to this power simulated courses; as `fludapk batch` if absent.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    **of_all_rows
        Fields for rows that do not say, by the names of requests: ``regimen="tisa_cel_ball"``.

    Returns
    -------
    DataFrame
        Every row of `table` in its place (of records, the first of each course), its columns and
        those of the results. A row that is refused says why in ``error``; its results are empty.
        Units of the results are in ``attrs["units"]``; ``attrs["columns_read"]`` has the column of
        each field and the unit in which it was read.

    Raises
    ------
    InputError
        If a column is missing, or a name is not understood.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age_years": [5, -1], "weight_kg": 18.2, "height_cm": 110,
    ...                       "scr_mg_dl": 0.3})
    >>> results = check_table(table, regimen="tisa_cel_ball")
    >>> results["auc_0_inf"].round(2).tolist(), results["error"].isna().tolist()
    ([13.58, nan], [True, False])
    """
    unknown = [name for name in of_all_rows if name not in _OF_ALL_ROWS]
    if unknown:
        found = f"unknown: {', '.join(unknown)}"
        raise InputError(Fault("", found, allowed=", ".join(_OF_ALL_ROWS)))
    header, rows = cells_of(table)
    layout = Layout.read(
        header,
        names=names,
        defaults={name: as_typed(x) for name, x in of_all_rows.items() if x is not None},
        values={
            column: {as_typed(code): meaning for code, meaning in codes.items()}
            for column, codes in (values or {}).items()
        },
    ).surveyed(rows)
    number, again = survey(layout, rows)
    points = log2_points or log2_points_of(number)
    results: list[Row] = []
    kept: list[int] = []
    for chunk in chunks(layout, rows):
        outcomes = answered(
            layout, chunk, log2_points=points, amount=amount, again=again, folders=folders
        )
        for (row, _), outcome in zip(chunk, outcomes, strict=True):
            kept.append(row - 2)
            results.append(_row(layout, outcome))
    answer = _beside(table.iloc[kept], results, [model.id for model in load_models(folders)])
    answer.attrs[COLUMNS_READ] = layout.read_as
    return answer


def cells_of(table: Frame) -> tuple[list[str], list[list[str]]]:
    """Header and cells of a data frame, as a file would have them; a missing value is empty."""
    header = [str(name) for name in table.columns]
    missing = table.isna().to_numpy()
    rows = [
        ["" if absent else as_typed(_plain(value)) for value, absent in zip(row, gone, strict=True)]
        for row, gone in zip(table.itertuples(index=False, name=None), missing, strict=True)
    ]
    return header, rows


def _plain(value: object) -> str | float:
    """Number or text of a cell; numpy's numbers become Python's."""
    number = value.item() if hasattr(value, "item") else value
    return float(number) if isinstance(number, int | float) else str(number)


def _row(layout: Layout, outcome: AnyAnswer | FludapkError) -> Row:
    if isinstance(outcome, FludapkError):
        return {"error": "; ".join(outcome.sentences(layout.name))}
    return outcome.row()


def _beside(table: Frame, results: Sequence[Row], models: Sequence[str]) -> Frame:
    """Results beside the rows they belong to, under names that the table does not have."""
    names = result_columns(models)
    frame = frame_of([{name: row.get(name) for name in names} for row in results])
    units = frame.attrs["units"]
    clear = dict(zip(names, clear_names(names, [str(name) for name in table.columns]), strict=True))
    frame = frame.rename(columns=clear).set_axis(table.index)
    joined = table.join(frame)
    joined.attrs["units"] = {clear[name]: unit for name, unit in units.items()}
    return joined
