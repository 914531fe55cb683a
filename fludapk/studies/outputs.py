"""Files of a study: every patient, and finished parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from fludapk.atomic import whole_file, write_whole
from fludapk.errors import InputError
from fludapk.patients.csv_list import line
from fludapk.studies.counts import Counts, SimulatedBlock
from fludapk.studies.study import Study

PARTS: Final = ".parts"

PATIENT_COLUMNS: Final = (
    "model", "strategy", "patient", "age_years", "female", "weight_kg", "height_cm", "bsa_m2",
    "scr_mg_dl", "egfr_ml_min_1_73m2", "dose_mg", "total_mg_m2", "given", "held_at_ceiling",
    "outside_studied_range", "auc_0_inf",
)  # fmt: skip


# ------------------------------------------------------------------ every patient


class PatientsWriter:
    """Writes blocks of patients as they come."""

    def __init__(self, file: BinaryIO, is_parquet: bool) -> None:
        self._file, self._parquet = file, None
        if is_parquet:
            try:
                import pyarrow as pa
                from pyarrow import parquet
            except ModuleNotFoundError as error:
                raise InputError(
                    "a .parquet file needs the extra: pip install 'fludapk[parquet]'; or write .csv"
                ) from error
            kinds = {"model": pa.string(), "strategy": pa.string(), "patient": pa.int64(),
                     "given": pa.bool_(), "held_at_ceiling": pa.bool_(),
                     "outside_studied_range": pa.bool_()}  # fmt: skip
            self._schema = pa.schema([(c, kinds.get(c, pa.float64())) for c in PATIENT_COLUMNS])
            self._parquet = parquet.ParquetWriter(file, self._schema)
        else:
            file.write(line(PATIENT_COLUMNS, ",").encode())

    def of(self, model: str, strategy: str) -> Any:
        """What writes the blocks of a truth and strategy."""
        done = 0

        def write(seen: SimulatedBlock) -> None:
            nonlocal done
            known, n = seen.patients.columns, seen.patients.n
            columns = [
                [model] * n, [strategy] * n, np.arange(done, done + n) + 1,
                known["AGE"], known["SEX"], known["WT"], known["HT"], known["BSA"], known["SCR"],
                seen.along["egfr_ml_min_1_73m2"], seen.dose_mg, seen.total_mg_m2, seen.given,
                seen.held, seen.outside, seen.auc[0],
            ]  # fmt: skip
            done += n
            if self._parquet is not None:
                import pyarrow as pa

                self._parquet.write_table(pa.table(columns, schema=self._schema))
                return
            lists = [np.asarray(column).tolist() for column in columns]
            text = "".join(line(map(_known, row), ",") for row in zip(*lists, strict=True))
            self._file.write(text.encode())

        return write

    def close(self) -> None:
        """Finish the file."""
        if self._parquet is not None:
            self._parquet.close()


def _known(value: Any) -> Any:
    return None if value != value else value


@contextmanager
def patients_writer(path: str | Path | None, study: Study) -> Iterator[PatientsWriter | None]:
    """A file of patients that appears whole or not at all; None without a path."""
    if path is None:
        yield None
        return
    if Path(path).suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: a file of patients ends in .csv or .parquet")
    if study.scenario.variability.parameter_uncertainty:
        raise InputError("patients are written without parameter_uncertainty only: set it to 0")
    with ExitStack() as stack:
        writer = PatientsWriter(
            stack.enter_context(whole_file(path)), Path(path).suffix == ".parquet"
        )
        yield writer
        writer.close()


# ------------------------------------------------------------------ a run that can be continued


@dataclass(frozen=True)
class Parts:
    """Finished strategies of a run in a folder."""

    folder: Path
    study: Study

    def path(self, truth: str, strategy: str) -> Path:
        """Where a finished strategy is kept."""
        return self.folder / PARTS / f"{truth}--{strategy}.json"

    def load(self, truth: str, strategy: str) -> Counts | None:
        """A finished strategy of the same run, or None."""
        path = self.path(truth, strategy)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["run"] != json.loads(json.dumps(self.study.provenance)):
            raise InputError(
                f"{path}: is of another scenario or version: use another folder, or do not continue"
            )
        return Counts.from_dict(kept["counts"])

    def save(self, counts: Counts) -> None:
        """Keep a finished strategy."""
        path = self.path(counts.truth, counts.strategy)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"run": self.study.provenance, "counts": counts.to_dict()}))

    def clear(self) -> None:
        """Forget them."""
        for path in (self.folder / PARTS).glob("*.json"):
            path.unlink()
        if (self.folder / PARTS).is_dir():
            (self.folder / PARTS).rmdir()


def read_states(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """States of shards from their files.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    states = []
    for path in paths:
        try:
            state = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
        if not isinstance(state, dict) or state.get("schema") != "fludapk.study.shard/1":
            raise InputError(f"{path}: is not a shard of a study")
        states.append(state)
    return states
