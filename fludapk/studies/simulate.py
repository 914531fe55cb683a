"""A Monte Carlo study from a scenario: `simulate` and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from fludapk.answers.record import Frame, Record, Row, frame_of
from fludapk.answers.renderer import RENDERERS
from fludapk.errors import FileError, FludapkError
from fludapk.patients.cohort import read_cohort
from fludapk.patients.csv_list import line
from fludapk.published.tables import CATEGORICAL, check_table, read_toml
from fludapk.studies.counts import PROFILES, Counts
from fludapk.studies.drivers import DriversResult, drivers_of
from fludapk.studies.grid import coarse_quantile
from fludapk.studies.outcome import outcome_of
from fludapk.studies.outcome_records import OutcomeResult, TrialResult
from fludapk.studies.outputs import PatientsWriter, patients_writer
from fludapk.studies.records import QUANTILES, CorrelationRecord, StratumSummary, StudyProvenance
from fludapk.studies.scenario import CohortFile, Scenario
from fludapk.studies.shortage import ShortageResult, shortage_of
from fludapk.studies.study import Progress, Study
from fludapk.studies.summary import PROBABILITIES, correlation, summary
from fludapk.studies.trial import trial_of
from fludapk.studies.ward import WardResult, ward_of

UNITS: Final = {"auc": "mg·h/L", "dose_mg": "mg fludarabine phosphate per infusion",
                "total_mg_m2": "mg fludarabine phosphate per m2 and course",
                "cmax_mg_l": "mg/L", "trough_mg_l": "mg/L before the last dose",
                "conc_at_cells_mg_l": "mg/L", "half_life_h": "h",
                "p": "fraction of patients given a dose"}  # fmt: skip
"""Units of the columns of a summary, by the first part of their names."""


# ------------------------------------------------------------------ reading


def read_scenario(
    source: str | Path | Mapping[str, Any] | Scenario,
    folders: Sequence[Path] | None = None,
    beside: Path | None = None,
) -> Study:
    """Read and check a study from a TOML file, a table, or the record of an earlier run.

    Parameters
    ----------
    source : str, Path, mapping or Scenario
        Path of a TOML file, or the scenario itself.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.
    beside : Path, optional
        Folder of a cohort file; that of the scenario file if absent.

    Raises
    ------
    FileError
        If the scenario has faults: all, with their key paths.
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
                cohort.categories[name] = [constant]
                cohort.columns[name] = np.zeros(cohort.n)
    try:
        return Study(scenario, cohort, sha, folders)
    except FileError as error:
        raise FileError(*(f"{where}: {fault}" for fault in error.faults)) from error


# ------------------------------------------------------------------ results


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class StudyResult(Record):
    """Results of a study.

    Parameters
    ----------
    run : StudyProvenance
    counts : list of Counts
        Counts of each truth and strategy, truths first.
    """

    run: StudyProvenance
    counts: list[Counts]

    @cached_property
    def own_counts(self) -> list[Counts]:
        """Counts of the strategies of the scenario, without those of its table for a ward."""
        own = {table.id for table in self.run.scenario.strategies}
        return [counts for counts in self.counts if counts.strategy in own]

    @cached_property
    def strata(self) -> list[StratumSummary]:
        """Summary of each truth, strategy and stratum."""
        limits = self.run.scenario.all_limits
        return [stratum for counts in self.own_counts for stratum in summary(counts, limits)]

    @cached_property
    def correlations(self) -> list[CorrelationRecord]:
        """Change by a correlation of uncertain estimates, for the first strategy of each truth."""
        between = self.run.correlated
        return [
            record
            for counts in self.own_counts
            if (record := correlation(counts, between.get(counts.truth, ()))) is not None
        ]

    def _by_truth(self, counts: Sequence[Counts]) -> list[list[Counts]]:
        """Return the counts of each truth."""
        truths = dict.fromkeys(one.truth for one in counts)
        return [[one for one in counts if one.truth == truth] for truth in truths]

    @cached_property
    def outcomes(self) -> list[OutcomeResult]:
        """Outcome under each truth; empty without [outcome]."""
        scenario = self.run.scenario
        if scenario.outcome is None:
            return []
        return [outcome_of(scenario, counts) for counts in self._by_truth(self.own_counts)]

    @cached_property
    def trials(self) -> list[TrialResult]:
        """Trial under each truth; empty without [trial]."""
        scenario = self.run.scenario
        if scenario.trial is None:
            return []
        return [trial_of(scenario, counts) for counts in self._by_truth(self.own_counts)]

    @cached_property
    def wards(self) -> list[WardResult]:
        """Table for a ward under each truth; empty without [ward]."""
        scenario = self.run.scenario
        if scenario.ward is None:
            return []
        return [ward_of(scenario, counts) for counts in self._by_truth(self.counts)]

    @cached_property
    def shortages(self) -> list[ShortageResult]:
        """Lowest doses under each truth; empty without [shortage]."""
        scenario = self.run.scenario
        if scenario.shortage is None:
            return []
        asked = scenario.shortage.strategy
        chosen = [counts for counts in self.own_counts if counts.strategy == asked]
        return [shortage_of(scenario, counts) for counts in chosen]

    @cached_property
    def drivers(self) -> list[DriversResult]:
        """Sobol indices under each truth; empty without [drivers]."""
        if self.run.scenario.drivers is None:
            return []
        study = self.made_from or read_scenario(self.run.scenario)
        return [drivers_of(study, truth, self.own_counts) for truth in study.truths]

    @property
    def answers(self) -> dict[str, list[Any]]:
        """Answers to the questions beyond exposure, by name, one for each truth."""
        return {
            "outcome": self.outcomes, "trial": self.trials, "ward": self.wards,
            "shortage": self.shortages, "drivers": self.drivers,
        }  # fmt: skip

    def rows(self) -> list[Row]:
        """Return a row per truth, strategy and stratum."""
        return [stratum.row() for stratum in self.strata]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary with its provenance as dictionaries, lists and scalars."""
        return {
            "schema": self.run.schema,
            "units": UNITS,
            "rows": self.rows(),
            **(
                {"correlation": [asdict(row) for row in self.correlations]}
                if self.correlations
                else {}
            ),
            **{
                name: [answer.to_dict() for answer in answers]
                for name, answers in self.answers.items()
                if answers
            },
            "run": self.run.to_dict(),
        }

    def to_frame(self) -> Frame:
        """Return the summary as a table; units of its columns are in ``attrs["units"]``."""
        frame = frame_of(self.rows())
        frame.attrs["units"] = {
            name: UNITS[kind]
            for name in frame.columns
            for kind in UNITS
            if name.startswith(f"{kind}_") and name != "auc_cv_percent"
        }
        frame.attrs["run"] = self.run.to_dict()
        return frame

    @property
    def summary(self) -> Frame:
        """Summary as a table; see `to_frame`."""
        return self.to_frame()

    def plot(self, name: str = "auc_distribution") -> Any:
        """Return one of the figures of the report, as a figure of matplotlib.

        Parameters
        ----------
        name : str
            Such as auc_distribution, below_13_8, attainment, auc_along_age, concentrations, and
            outcome, power, ward, drivers if the scenario asks for them.

        Raises
        ------
        InputError
            If there is no such figure, or the extra ``report`` is not installed.
        """
        draw = RENDERERS["StudyResult"].figure
        assert draw is not None  # registered with the page
        return draw(self, name)

    def brief(self) -> str:
        """Return strategies and patients in a line."""
        return f"{self.run.brief()}: {len(self.own_counts)} strategies by model"

    @property
    def profiles(self) -> Frame:
        """Fractions with each outcome along age, weight and eGFR, without empty bands."""
        rows = []
        for counts in self.own_counts:
            for along, table in counts.profiles.items():
                edges = PROFILES[along]
                for k in np.flatnonzero(table[:, 0]).tolist():
                    n = int(table[k, 0])
                    shares = dict(zip(PROBABILITIES.values(), table[k, 1:] / n, strict=True))
                    rows.append(
                        {"model": counts.truth, "strategy": counts.strategy, "along": along,
                         "from": edges[k], "to": edges[k + 1], "n": n, **shares}
                    )  # fmt: skip
        return frame_of(rows)

    @property
    def auc_along_age(self) -> Frame:
        """Quantiles of the AUC along age, exact to 0.5 %, without empty bands."""
        edges = PROFILES["age_years"]
        return frame_of(
            [
                {"model": counts.truth, "strategy": counts.strategy, "from": edges[k],
                 "to": edges[k + 1], "n": int(row.sum()),
                 **{f"auc_{name}": coarse_quantile(row, q) for name, q in QUANTILES.items()}}
                for counts in self.own_counts
                for k, row in enumerate(counts.auc_by_age)
                if row.any()
            ]
        )  # fmt: skip

    def summary_csv(self) -> str:
        """Return the summary as CSV."""
        rows = self.rows()
        return line(rows[0], ",") + "".join(line(row.values(), ",") for row in rows)

    def summary_json(self) -> str:
        """Return the summary with its provenance as JSON."""
        return self.to_json() + "\n"

    def run_json(self) -> str:
        """Return the record that `--replay` takes as JSON."""
        return self.run.to_json() + "\n"


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
        Number of threads, all processors if absent; the result does not depend on it.
    patients_file : str or Path, optional
        File to write every patient to, .csv or .parquet.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.
    progress : callable, optional
        Called with the patients of a strategy that are done and the number of all.

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
    with patients_writer(patients_file, study) as writer:
        counts = list(_run_all(study, threads, writer, progress))
        return StudyResult(run=study.provenance, counts=counts, source=study)


def _run_all(
    study: Study, threads: int | None, writer: PatientsWriter | None, progress: Progress | None
) -> Iterator[Counts]:
    for truth in study.truths:
        for strategy in study.strategies:
            is_own = strategy in study.scenario.strategies
            each = writer.writer(truth.id, strategy.id) if writer and is_own else None
            yield study.run(truth, strategy.id, threads=threads, each=each, progress=progress)
