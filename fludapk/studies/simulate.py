"""A Monte Carlo study from a scenario: `simulate` and its result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fludapk.errors import FileError, FludapkError
from fludapk.patients.cohort import read_cohort
from fludapk.patients.csv_list import line
from fludapk.published.tables import CATEGORICAL, check_table, read_toml
from fludapk.studies.counts import PROFILES, Counts
from fludapk.studies.outputs import PatientsWriter, patients_writer
from fludapk.studies.scenario import CohortFile, Scenario
from fludapk.studies.study import Progress, Study
from fludapk.studies.summary import PROBABILITIES, summary

if TYPE_CHECKING:
    import pandas as pd

UNITS: Final = {"auc": "mg·h/L", "dose_mg": "mg fludarabine phosphate per infusion",
                "total_mg_m2": "mg fludarabine phosphate per m2 and course",
                "p": "fraction of patients given a dose"}  # fmt: skip


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
        return [row for counts in self.counts for row in summary(counts)]

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
                edges = PROFILES[along]
                for k in np.flatnonzero(table[:, 0]):
                    n = int(table[k, 0])
                    shares = dict(zip(PROBABILITIES.values(), table[k, 1:] / n, strict=True))
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
