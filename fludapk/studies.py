"""What a study leaves: tables, figures, patients and the record of how it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from fludapk import study as engine
from fludapk.atomic import whole_file, write_folder, write_whole
from fludapk.batch import Layout, is_column, request_of
from fludapk.errors import FileError, FludapkError, InputError
from fludapk.patient import columns_of
from fludapk.population import Patients
from fludapk.published.tables import CATEGORICAL, check_table, read_toml
from fludapk.scenario import CohortFile, Scenario
from fludapk.study import Counts, Progress, Study
from fludapk.tables import line, open_list

if TYPE_CHECKING:
    import pandas as pd

UNITS: Final = {"auc": "mg·h/L", "dose_mg": "mg fludarabine phosphate per infusion",
                "total_mg_m2": "mg fludarabine phosphate per m2 and course",
                "p": "fraction of patients given a dose"}  # fmt: skip
PARTS: Final = ".parts"

PATIENT_COLUMNS: Final = (
    "model", "strategy", "patient", "age_years", "female", "weight_kg", "height_cm", "bsa_m2",
    "scr_mg_dl", "egfr_ml_min_1_73m2", "dose_mg", "total_mg_m2", "given", "held_at_ceiling",
    "outside_studied_range", "auc_0_inf",
)  # fmt: skip


# ------------------------------------------------------------------ reading


def read_scenario(
    source: str | Path | Mapping[str, Any] | Scenario,
    folders: Sequence[Path] | None = None,
    beside: Path | None = None,
) -> Study:
    """A checked study from a TOML file, a table, or the record of an earlier run.

    Parameters
    ----------
    source : str, Path, mapping or Scenario
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    beside : Path, optional
        Folder of a cohort file; that of the scenario file if absent.

    Raises
    ------
    FileError
        With every fault and its key path.
    """
    where, folder = "scenario", beside or Path()
    if isinstance(source, str | Path):
        where, folder = str(source), beside or Path(source).parent
        scenario = read_toml(Path(source), Scenario)
    elif isinstance(source, Scenario):
        scenario = source
    else:
        scenario = check_table(source, Scenario, where)
    cohort, sha = None, None
    population = scenario.population
    if isinstance(population, CohortFile):
        try:
            cohort, sha = read_cohort(folder / population.file)
        except FludapkError as error:
            raise FileError(*(f"{where}: population.file: {f}" for f in error.faults)) from error
        for name in CATEGORICAL:
            constant = getattr(scenario, name)
            if constant is not None:
                cohort.levels[name] = [constant]
                cohort.columns[name] = np.zeros(cohort.n)
    try:
        return Study(scenario, cohort, sha, folders)
    except FileError as error:
        raise FileError(*(f"{where}: {fault}" for fault in error.faults)) from error


def read_cohort(path: Path) -> tuple[Patients, str]:
    """Patients of a list, as `fludapk batch` reads it, and the hash of the file.

    Every other column is kept for strata: as numbers if all its cells are.

    Raises
    ------
    InputError
        If a row cannot be read: all such rows are listed.
    """
    source = open_list(path, is_column)
    layout = Layout.read(
        source.header, defaults={"dose": "1 mg", "days": "1"}, decimal_comma=source.decimal_comma
    )
    patients, faults, rows = [], [], []
    for row, cells in enumerate(source.rows(), start=2):
        try:
            patients.append(request_of(layout, cells).patient)
            rows.append(cells)
        except FludapkError as error:
            faults += [f"row {row}: {fault}" for fault in error.faults]
    if faults:
        raise InputError(*faults[:20], *([f"and {len(faults) - 20} more"] if faults[20:] else []))
    if not patients:
        raise InputError(f"{path}: no patients")
    columns = columns_of(patients)
    levels: dict[str, list[str]] = {}
    for name in CATEGORICAL:
        stated = [getattr(patient, name) for patient in patients]
        levels[name] = sorted({value for value in stated if value})
        numbers = {value: float(i) for i, value in enumerate(levels[name])}
        columns[name] = np.array([numbers.get(value, np.nan) for value in stated])
    extra: dict[str, Any] = {}
    for place, name in enumerate(layout.header):
        if place not in layout.meaning:
            cells = [row[place] for row in rows]
            try:
                extra[name] = np.array([float(cell) for cell in cells])
            except ValueError:
                extra[name] = np.array(cells, dtype=object)
    return Patients(columns, levels, extra), hashlib.sha256(Path(path).read_bytes()).hexdigest()


# ------------------------------------------------------------------ results


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Results of a study.

    Parameters
    ----------
    run : dict
        Provenance: scenario, versions, hashes, seed.
    counts : list of Counts
        Of each truth and strategy, truths first.
    """

    run: dict[str, Any]
    counts: list[Counts]

    def rows(self) -> list[dict[str, Any]]:
        """Summary: one row per truth, strategy and stratum."""
        return [row for counts in self.counts for row in engine.summary(counts)]

    @property
    def summary(self) -> pd.DataFrame:
        """Summary as a table; units of its columns in ``attrs["units"]``."""
        import pandas as pd

        frame = pd.DataFrame(self.rows())
        frame.attrs["units"] = {
            name: UNITS[kind]
            for name in frame.columns
            for kind in UNITS
            if name.startswith(f"{kind}_") and name != "auc_cv_percent"
        }
        frame.attrs["run"] = self.run
        return frame

    @property
    def profiles(self) -> pd.DataFrame:
        """Fractions along age, weight and eGFR in fine bands; empty bands are left out."""
        import pandas as pd

        rows = []
        for counts in self.counts:
            for along, table in counts.profiles.items():
                edges = engine.PROFILES[along]
                for k in np.flatnonzero(table[:, 0]):
                    n = int(table[k, 0])
                    shares = dict(zip(engine.PROBABILITIES.values(), table[k, 1:] / n, strict=True))
                    rows.append(
                        {"model": counts.truth, "strategy": counts.strategy, "along": along,
                         "from": edges[k], "to": edges[k + 1], "n": n, **shares}
                    )  # fmt: skip
        return pd.DataFrame(rows)

    def summary_csv(self) -> str:
        """Summary as CSV."""
        rows = self.rows()
        return line(rows[0], ",") + "".join(line(row.values(), ",") for row in rows)

    def summary_json(self) -> str:
        """Summary with its provenance, as JSON."""
        whole = {"schema": "fludapk.study/1", "units": UNITS, "rows": self.rows(), "run": self.run}
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def run_json(self) -> str:
        """The record that `--replay` takes."""
        return json.dumps(self.run, indent=2, ensure_ascii=False) + "\n"


def simulate(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    *,
    threads: int | None = None,
    patients_file: str | Path | None = None,
    folders: Sequence[Path] | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Run a Monte Carlo study of dosing strategies.

    Parameters
    ----------
    scenario : str, Path, mapping or Scenario
        A TOML file, or the same as a table.
    threads : int, optional
        All processors if absent; the result does not depend on it.
    patients_file : str or Path, optional
        Where to write every patient, .csv or .parquet.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    progress : callable, optional
        Called with patients done and to do, of one strategy.

    Returns
    -------
    StudyResult
        ``.summary`` and ``.profiles`` are data frames.

    Raises
    ------
    FileError
        If the scenario has faults: all, with their key paths.

    Examples
    --------
    >>> result = simulate({
    ...     "title": "one strategy", "seed": 1, "patients": 2000, "models": ["langenhorst2019"],
    ...     "population": {"use": "prwcc_ball"},
    ...     "strategies": [{"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"}],
    ... })
    >>> result.summary[["strategy", "stratum", "n"]].values.tolist()
    [['label', 'all', 2000]]
    >>> result.summary.attrs["units"]["auc_q50"]
    'mg·h/L'
    """
    study = read_scenario(scenario, folders)
    with patients_writer(patients_file, study) as write:
        return StudyResult(study.provenance, list(_run_all(study, threads, write, progress)))


def _run_all(
    study: Study, threads: int | None, write: PatientsWriter | None, progress: Progress | None
) -> Iterator[Counts]:
    for truth in study.truths:
        for strategy in study.scenario.strategies:
            each = None if write is None else write.of(truth.id, strategy.id)
            yield study.run(truth, strategy.id, threads=threads, each=each, progress=progress)


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

        def write(seen: engine._Seen) -> None:
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
                f"{path}: is of another scenario or version: use another folder, or run without "
                "--continue"
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


def write_results(result: StudyResult, folder: Path, study: Study | None = None) -> list[Path]:
    """Write summary, record, figures and report; the same bytes for the same run.

    Parameters
    ----------
    result : StudyResult
    folder : Path
    study : Study, optional
        For concentrations over time, which the counts do not hold.

    Returns
    -------
    list of Path
        What was written. Figures and report only with the extra ``report``.
    """
    from fludapk.study_figures import bands, can_draw, drawn, pictures

    files: dict[str, str | bytes] = {
        "summary.csv": result.summary_csv(),
        "summary.json": result.summary_json(),
        "run.json": result.run_json(),
    }
    if can_draw():
        from fludapk.html import study_html

        figures = pictures(result.counts, bands(study) if study is not None else ())
        files.update(drawn(figures, lambda svg: study_html(result.run, result.rows(), svg)))
    return write_folder(folder, files)


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
