"""Files of a study: every patient, and finished strategies of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from fludapk.answers.record import hash_of
from fludapk.atomic import read_whole, whole_file, write_whole
from fludapk.errors import InputError
from fludapk.patients.csv_list import line
from fludapk.studies.counts import QUANTITIES, Counts, SimulatedBlock
from fludapk.studies.study import Study

PARTS: Final = ".parts"
"""Folder of finished strategies, inside the folder of a run."""

PATIENT_COLUMNS: Final = (
    "model", "strategy", "patient", "age_years", "female", "weight_kg", "height_cm", "bsa_m2",
    "scr_mg_dl", "egfr_ml_min_1_73m2", "dose_mg", "total_mg_m2", "given", "held_at_ceiling",
    "outside_studied_range", "auc_0_inf", "predicted_auc_0_inf", "cl_l_h",
    *QUANTITIES,
)  # fmt: skip


def patient_columns(study: Study) -> tuple[str, ...]:
    """Return the columns of a file of patients: those of all studies, then the single doses.

    Parameters
    ----------
    study : Study
    """
    days = max(strategy.schedule.days for strategy in study.dosing.values())
    return (*PATIENT_COLUMNS, *(f"dose_{k + 1}_mg" for k in range(days)))


# ------------------------------------------------------------------ every patient


class PatientsWriter:
    """A writer of patients, block by block, to CSV or Parquet.

    Parameters
    ----------
    file : BinaryIO
    is_parquet : bool
    columns : tuple of str
        See `patient_columns`.
    """

    def __init__(self, file: BinaryIO, is_parquet: bool, columns: tuple[str, ...]) -> None:
        self._file, self._parquet, self._columns = file, None, columns
        if is_parquet:
            try:
                import pyarrow as pa
                from pyarrow import parquet
            except ModuleNotFoundError as error:
                raise InputError(
                    "a .parquet file needs the extra: pip install 'fludapk[parquet]'; or write .csv"
                ) from error
            types = {"model": pa.string(), "strategy": pa.string(), "patient": pa.int64(),
                     "given": pa.bool_(), "held_at_ceiling": pa.bool_(),
                     "outside_studied_range": pa.bool_()}  # fmt: skip
            self._schema = pa.schema([(c, types.get(c, pa.float64())) for c in columns])
            self._parquet = parquet.ParquetWriter(file, self._schema)
        else:
            file.write(line(columns, ",").encode())

    def writer(self, model: str, strategy: str) -> Callable[[SimulatedBlock], None]:
        """Return a function that appends the blocks of one strategy under one truth, in order.

        Parameters
        ----------
        model : str
            Id of the truth.
        strategy : str
            Id of the strategy.
        """
        done = 0

        def write(block: SimulatedBlock) -> None:
            nonlocal done
            columns = _patient_columns(block, model, strategy, first=done + 1)
            doses = block.draws[0].doses_mg.T
            for k, name in enumerate(self._columns[len(PATIENT_COLUMNS) :]):
                nothing = np.full(block.patients.n, np.nan)
                columns[name] = doses[k] if k < len(doses) else nothing
            self._append(columns)
            done += block.patients.n

        return write

    def _append(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
        if self._parquet is not None:
            import pyarrow as pa

            self._parquet.write_table(pa.table(dict(columns), schema=self._schema))
            return
        lists = [np.asarray(columns[name]).tolist() for name in self._columns]
        text = "".join(line(map(_or_empty, row), ",") for row in zip(*lists, strict=True))
        self._file.write(text.encode())

    def close(self) -> None:
        """Finish the file."""
        if self._parquet is not None:
            self._parquet.close()


def _patient_columns(
    block: SimulatedBlock, model: str, strategy: str, first: int
) -> dict[str, Sequence[Any] | np.ndarray]:
    """Return the columns of a block, with its patients numbered from `first`."""
    covariates, n, draw = block.patients.columns, block.patients.n, block.draws[0]
    nothing = np.full(n, np.nan)
    return {
        "model": [model] * n,
        "strategy": [strategy] * n,
        "patient": np.arange(first, first + n),
        "age_years": covariates["AGE"],
        "female": covariates["SEX"],
        "weight_kg": covariates["WT"],
        "height_cm": covariates["HT"],
        "bsa_m2": covariates["BSA"],
        "scr_mg_dl": covariates["SCR"],
        "egfr_ml_min_1_73m2": block.along["egfr_ml_min_1_73m2"],
        "dose_mg": draw.dose_mg,
        "total_mg_m2": draw.total_mg_m2,
        "given": draw.given,
        "held_at_ceiling": draw.held,
        "outside_studied_range": block.outside,
        "auc_0_inf": draw.auc,
        "predicted_auc_0_inf": draw.predicted,
        "cl_l_h": draw.cl_l_h,
        **{name: nothing if (x := getattr(draw, name)) is None else x for name in QUANTITIES},
    }


def _or_empty(value: Any) -> Any:
    """Return None, an empty cell, instead of NaN."""
    return None if value != value else value


@contextmanager
def patients_writer(path: str | Path | None, study: Study) -> Iterator[PatientsWriter | None]:
    """Open a file of patients that appears whole or not at all; None without a path.

    Parameters
    ----------
    path : str or Path, optional
        File to write, .csv or .parquet.
    study : Study

    Raises
    ------
    InputError
        If the file has another ending, or the study draws uncertain parameters.
    """
    if path is None:
        yield None
        return
    if Path(path).suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: a file of patients ends in .csv or .parquet")
    if study.scenario.variability.parameter_uncertainty:
        raise InputError("patients are written without parameter_uncertainty only: set it to 0")
    with ExitStack() as stack:
        file, is_parquet = stack.enter_context(whole_file(path)), Path(path).suffix == ".parquet"
        writer = PatientsWriter(file, is_parquet, patient_columns(study))
        yield writer
        writer.close()


# ------------------------------------------------------------------ a run that can be continued


def checked_document(path: str | Path) -> dict[str, Any]:
    """Read a JSON document that ends with a checksum of itself.

    Raises
    ------
    InputError
        If it cannot be read, or is not as it was written.
    """
    try:
        raw = json.loads(read_whole(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: is not a part of a study")
    if raw.get("sha256") != hash_of({k: v for k, v in raw.items() if k != "sha256"}):
        raise InputError(f"{path}: is not as it was written: its checksum is another; run it again")
    return raw


@dataclass(frozen=True)
class Parts:
    """Finished strategies of a run, kept in its folder until all are finished.

    Parameters
    ----------
    folder : Path
        Folder of the results of the run.
    study : Study
    """

    folder: Path
    study: Study

    def path(self, truth: str, strategy: str) -> Path:
        """Return the file of a finished strategy.

        Parameters
        ----------
        truth, strategy : str
            Ids of the truth and the strategy.
        """
        return self.folder / PARTS / f"{truth}--{strategy}.json"

    def load(self, truth: str, strategy: str) -> Counts | None:
        """Read the counts of a finished strategy, or return None if it is not finished.

        Parameters
        ----------
        truth, strategy : str
            Ids of the truth and the strategy.

        Raises
        ------
        InputError
            If the file is of another scenario or version.
        """
        path = self.path(truth, strategy)
        if not path.is_file():
            return None
        saved = checked_document(path)
        if saved.get("run") != json.loads(self.study.provenance.to_json()):
            raise InputError(
                f"{path}: is of another scenario or version: use another folder, or do not continue"
            )
        try:
            counts = Counts.from_dict(saved["counts"])
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"{path}: is not a part of a run: {error}") from error
        faults = counts.faults(self.study.n)
        if (counts.truth, counts.strategy) != (truth, strategy):
            faults.append(f"it is of {counts.strategy} ({counts.truth})")
        if counts.strata != self.study.strata:
            faults.append("it has other strata")
        if counts.edges != self.study.edges:
            faults.append("it has other limits")
        if faults:
            raise InputError(*(f"{path}: cannot be true: {fault}" for fault in faults))
        return counts

    def save(self, counts: Counts) -> None:
        """Write the counts of a finished strategy."""
        path = self.path(counts.truth, counts.strategy)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {"run": self.study.provenance.to_dict(), "counts": counts.to_dict()}
        write_whole(path, json.dumps(table | {"sha256": hash_of(table)}))

    def clear(self) -> None:
        """Delete the files of all finished strategies; what else lies in their folder stays."""
        folder = self.folder / PARTS
        for truth in self.study.truths:
            for strategy in self.study.strategies:
                with suppress(OSError):
                    self.path(truth.id, strategy.id).unlink()
        with suppress(OSError):
            folder.rmdir()
