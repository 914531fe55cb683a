"""Monte Carlo studies of dosing strategies: the same patients and draws for every strategy.

Patients come in blocks, each with random streams of its own, so that threads, shards and what is
written do not change a number. What is kept of them are counts: adding integers gives the same in
any order, so shards merge to the bit. Quantiles are read from a fine fixed grid.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fludapk import strategies
from fludapk._version import __version__
from fludapk.arrays import F8, I8, Bools
from fludapk.errors import FileError, FludapkError, InputError, nearest
from fludapk.pk.effects import RandomEffects, scrambled_normals
from fludapk.pk.exposure import course_exposure
from fludapk.pk.program import Program
from fludapk.population import Patients, draw, populations
from fludapk.published.compile import compile_program
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model, load_model
from fludapk.published.population_files import PopulationEntry
from fludapk.published.tables import CATEGORICAL
from fludapk.published.targets import HIGH, LOW, MET
from fludapk.scenario import CohortFile, Custom, Scenario, Stratum

BLOCK: Final = 4096
"""Patients with a random stream of their own."""
_POPULATION, _EFFECTS, _GFR, _RESIDUAL, _UNCERTAINTY = range(5)
_PILOT: Final = 4
"""Blocks drawn before a run, to refuse what cannot be."""

GRID_LOW: Final = 0.01
GRID_HIGH: Final = 10_000.0
GRID_WIDTH: Final = 0.001
"""Relative width of a cell of the grid: a quantile is off by at most half of it."""
_CELLS: Final = math.ceil(math.log(GRID_HIGH / GRID_LOW) / GRID_WIDTH)
_FIXED_POINT: Final = 2.0**32

COUNTED: Final = (
    "n", "given", "held_at_ceiling", "outside_studied_range",
    "below_13_8", "below_14", "in_window", "above_20",
)  # fmt: skip
OUTCOMES: Final = COUNTED[4:]
"""Whose fractions, of those who were given a dose, are probabilities."""
HISTOGRAMS: Final = ("auc", "dose_mg", "total_mg_m2")

PROFILES: Final = {
    "age_years": np.array([*np.arange(0.0, 20.0), *np.arange(20.0, 101.0, 5.0)]),
    "weight_kg": np.array([*np.arange(0.0, 40.0, 2.0), *np.arange(40.0, 161.0, 5.0)]),
    "egfr_ml_min_1_73m2": np.arange(0.0, 301.0, 10.0),
}
"""Bands for figures: what is counted along them is every outcome."""

Progress = Callable[[int, int], None]


# ------------------------------------------------------------------ what is counted


def cells(values: F8) -> I8:
    """Cell of the grid of each value; the first and the last take what is beyond.

    Examples
    --------
    >>> cells(np.array([0.001, 13.8, 1e6])).tolist()
    [0, 7230, 13817]
    """
    with np.errstate(divide="ignore"):
        place = np.floor(np.log(values / GRID_LOW) / GRID_WIDTH) + 1
    return np.asarray(np.clip(place, 0, _CELLS + 1), dtype=np.int64)


def quantile(histogram: I8, fraction: float) -> float | None:
    """Value with this fraction of a histogram on the grid at or below it, mid-cell; None if empty.

    Examples
    --------
    >>> histogram = np.bincount(cells(np.linspace(10.0, 20.0, 1001)), minlength=13818)
    >>> f"{quantile(histogram, 0.5):.2f}"
    '15.00'
    """
    total = int(histogram.sum())
    if total == 0:
        return None
    reached = int(np.searchsorted(np.cumsum(histogram), max(1, math.ceil(fraction * total))))
    return GRID_LOW * math.exp((reached - 0.5) * GRID_WIDTH)


@dataclass(eq=False)
class Counts:
    """What came of one strategy under one truth, as integers."""

    truth: str
    strategy: str
    strata: list[str]
    counts: I8
    """(strata, COUNTED)."""
    histograms: I8
    """(HISTOGRAMS, strata, cells)."""
    moments: list[list[int]]
    """Sum and sum of squares of log AUC in each stratum, times 2^32."""
    outer: I8
    """(outer draws, strata, OUTCOMES)."""
    profiles: dict[str, I8]
    """(bands, 1 + OUTCOMES) along `PROFILES`: given, then outcomes."""

    @classmethod
    def nothing(cls, truth: str, strategy: str, strata: Sequence[str], outer: int) -> Counts:
        """Before the first patient."""
        n = len(strata)
        return cls(
            truth,
            strategy,
            list(strata),
            np.zeros((n, len(COUNTED)), np.int64),
            np.zeros((len(HISTOGRAMS), n, _CELLS + 2), np.int64),
            [[0, 0] for _ in range(n)],
            np.zeros((outer, n, len(OUTCOMES)), np.int64),
            {k: np.zeros((len(v) - 1, 1 + len(OUTCOMES)), np.int64) for k, v in PROFILES.items()},
        )

    def add(self, seen: _Seen, window: tuple[float, float]) -> None:
        """Count a block of patients."""
        given = seen.given
        for draw_number, auc in enumerate(seen.auc):
            outcome = _outcomes(auc, window) & given[:, None]
            logs = np.log(np.where(given, auc, 1.0))
            whole = np.rint(logs * _FIXED_POINT).astype(np.int64)
            squares = np.rint(logs * logs * _FIXED_POINT).astype(np.int64)
            facts = np.column_stack(
                [np.ones_like(given), given, seen.held, seen.outside, outcome]
            ).astype(np.int64)
            cell = [cells(auc), cells(seen.dose_mg), cells(seen.total_mg_m2)]
            for members in seen.groups:
                inside = members >= 0
                np.add.at(self.counts, members[inside], facts[inside])
                dosed = inside & given
                for number, where in enumerate(cell):
                    np.add.at(self.histograms[number], (members[dosed], where[dosed]), 1)
                for stratum in np.unique(members[dosed]):
                    mine = dosed & (members == stratum)
                    self.moments[stratum][0] += int(whole[mine].sum())
                    self.moments[stratum][1] += int(squares[mine].sum())
                if len(self.outer):
                    np.add.at(
                        self.outer[draw_number],
                        members[inside],
                        outcome[inside].astype(np.int64),
                    )
            for name, values in seen.along.items():
                band = np.digitize(values, PROFILES[name]) - 1
                table = self.profiles[name]
                dosed = given & (band >= 0) & (band < len(table))
                np.add.at(
                    table,
                    band[dosed],
                    np.column_stack([np.ones_like(given), outcome])[dosed].astype(np.int64),
                )

    def plus(self, other: Counts) -> Counts:
        """The counts of both."""
        return Counts(
            self.truth,
            self.strategy,
            self.strata,
            self.counts + other.counts,
            self.histograms + other.histograms,
            [
                [a + b for a, b in zip(*rows, strict=True)]
                for rows in zip(self.moments, other.moments, strict=True)
            ],
            self.outer + other.outer,
            {name: table + other.profiles[name] for name, table in self.profiles.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON: histograms by their cells that are not empty."""
        sparse = [
            [[[int(c), int(row[c])] for c in np.flatnonzero(row)] for row in part]
            for part in self.histograms
        ]
        return {
            "truth": self.truth,
            "strategy": self.strategy,
            "strata": self.strata,
            "counts": self.counts.tolist(),
            "histograms": sparse,
            "moments": self.moments,
            "outer": self.outer.tolist(),
            "profiles": {name: table.tolist() for name, table in self.profiles.items()},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Counts:
        """What `to_dict` wrote."""
        counts = cls.nothing(raw["truth"], raw["strategy"], raw["strata"], len(raw["outer"]))
        counts.counts[:] = raw["counts"]
        for part, rows in zip(counts.histograms, raw["histograms"], strict=True):
            for row, pairs in zip(part, rows, strict=True):
                for cell, n in pairs:
                    row[cell] = n
        counts.moments = [list(pair) for pair in raw["moments"]]
        if len(raw["outer"]):
            counts.outer[:] = raw["outer"]
        for name, table in raw["profiles"].items():
            counts.profiles[name][:] = table
        return counts


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is counted of a block."""

    patients: Patients
    auc: list[F8]
    """One array per outer draw."""
    dose_mg: F8
    """Mean of the doses of a patient."""
    total_mg_m2: F8
    given: Bools
    held: Bools
    outside: Bools
    groups: list[I8]
    """Stratum of each patient in each grouping, -1 for none."""
    along: dict[str, F8]


def _outcomes(auc: F8, window: tuple[float, float]) -> Bools:
    inside = (auc >= window[0]) & (auc <= window[1])
    return np.column_stack([auc < LOW, auc < MET, inside, auc > HIGH])


# ------------------------------------------------------------------ strata


@dataclass(frozen=True, eq=False)
class Grouping:
    """Patients by bands of a number, or by the values of a text."""

    by: str
    edges: F8 | None
    levels: tuple[str, ...]
    offset: int
    """Number of its first stratum."""

    @property
    def labels(self) -> list[str]:
        """Names of its strata."""
        if self.edges is None:
            return [f"{self.by} = {level}" for level in self.levels]
        return [
            f"{self.by} {low:g}-<{high:g}"
            for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)
        ]

    def members(self, patients: Patients) -> I8:
        """Stratum of each patient, -1 outside every band."""
        values = column(self.by, patients)
        if self.edges is None:
            numbers = {level: i + self.offset for i, level in enumerate(self.levels)}
            return np.array([numbers.get(str(value), -1) for value in values], dtype=np.int64)
        band = np.digitize(values.astype(np.float64), self.edges) - 1
        return np.where((band >= 0) & (band < len(self.edges) - 1), band + self.offset, -1)


_COLUMNS: Final = {
    "age_years": "AGE",
    "weight_kg": "WT",
    "height_cm": "HT",
    "bsa_m2": "BSA",
    "scr_mg_dl": "SCR",
}
_RENAL: Final[dict[str, Literal["CrCl", "eGFR"]]] = {
    "egfr_ml_min_1_73m2": "eGFR",
    "crcl_ml_min": "CrCl",
}


def column(name: str, patients: Patients) -> npt.NDArray[Any]:
    """A column to group patients by.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = patients.columns
    if name in _COLUMNS:
        return known[_COLUMNS[name]]
    if name in _RENAL:
        return strategies.renal_function(_RENAL[name], known)
    if name == "sex":
        sexes = {1.0: "female", 0.0: "male"}
        return np.array([sexes.get(value, "unknown") for value in known["SEX"]], dtype=object)
    if name in CATEGORICAL:
        levels = patients.levels[name]
        return np.array(
            ["unknown" if math.isnan(i) else levels[int(i)] for i in known[name]], dtype=object
        )
    if name in patients.extra:
        return patients.extra[name]
    choices = [*_COLUMNS, *_RENAL, "sex", *CATEGORICAL, *patients.extra]
    raise InputError(f"unknown column {name!r}: {nearest(name, choices)}")


# ------------------------------------------------------------------ a study before it runs


@dataclass(frozen=True, eq=False)
class Study:
    """A checked scenario, ready to run.

    Parameters
    ----------
    scenario : Scenario
    cohort : Patients, optional
        Of the scenario's cohort file.
    cohort_sha256 : str, optional
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    FileError
        With every fault and its key path.
    """

    scenario: Scenario
    cohort: Patients | None = None
    cohort_sha256: str | None = None
    folders: Sequence[Path] | None = None
    truths: list[Model] = field(init=False)
    ways: dict[tuple[str, str], strategies.Strategy] = field(init=False)
    groupings: list[Grouping] = field(init=False)

    def __post_init__(self) -> None:
        faults: list[str] = []
        truths = []
        for i, name in enumerate(self.scenario.models):
            try:
                truths.append(load_model(name, self.folders))
            except FludapkError as error:
                faults += [f"models[{i}]: {fault}" for fault in error.faults]
        ways = {}
        for i, table in enumerate(self.scenario.strategies):
            for truth in truths:
                try:
                    ways[truth.id, table.id] = strategies.build(table, truth, self.folders)
                except FludapkError as error:
                    faults += [f"strategies[{i}]: {fault}" for fault in error.faults]
        object.__setattr__(self, "truths", truths)
        object.__setattr__(self, "ways", ways)
        object.__setattr__(self, "groupings", [])
        try:
            if not self.n:
                raise InputError("patients: at least one")
            pilot = [self.patients(b) for b in range(min(_PILOT, self.blocks or 1))]
        except FludapkError as error:
            faults += [f"population: {fault}" for fault in error.faults]
            pilot = []
        if pilot:
            faults += self._try(pilot)
        if faults:
            raise FileError(*dict.fromkeys(faults))

    def _try(self, pilot: Sequence[Patients]) -> list[str]:
        """Faults that only patients show."""
        faults, offset = [], 1
        for i, stratum in enumerate(self.scenario.strata):
            try:
                grouping = _grouping(stratum, self.cohort or pilot[0], offset)
                counts = np.zeros(len(grouping.labels), np.int64)
                for patients in pilot:
                    members = grouping.members(patients) - offset
                    np.add.at(counts, members[members >= 0], 1)
            except FludapkError as error:
                faults += [f"strata[{i}].by: {fault}" for fault in error.faults]
                continue
            drawn = sum(patients.n for patients in pilot)
            faults += [
                f"strata[{i}]: nobody in {label} among the first {drawn} patients"
                for label, n in zip(grouping.labels, counts, strict=True)
                if n == 0
            ]
            offset += len(grouping.labels)
            self.groupings.append(grouping)
        for i, truth in enumerate(self.truths):
            try:
                outside = [patients.rows_of(truth)[1] for patients in pilot]
                if np.concatenate(outside).all():
                    who = truth.file.population.who
                    faults.append(
                        f"models[{i}]: every patient is outside what {truth.id} was built from "
                        f"({who})"
                    )
            except FludapkError as error:
                faults += [f"models[{i}]: {fault}" for fault in error.faults]
        if not faults:
            for (name, strategy), way in self.ways.items():
                try:
                    truth = next(truth for truth in self.truths if truth.id == name)
                    way.doses(self.block(truth, way, 0)[0])
                except FludapkError as error:
                    faults += [f"strategies: {strategy}: {fault}" for fault in error.faults]
        return faults

    @property
    def n(self) -> int:
        """Patients."""
        if self._as_is and self.cohort is not None:
            return min(self.scenario.patients or self.cohort.n, self.cohort.n)
        return self.scenario.patients or 0

    @property
    def _as_is(self) -> bool:
        population = self.scenario.population
        return isinstance(population, CohortFile) and population.sample == "as_is"

    @property
    def blocks(self) -> int:
        """Blocks of patients."""
        return -(-self.n // BLOCK)

    @property
    def strata(self) -> list[str]:
        """Names of all strata."""
        return ["all", *(label for grouping in self.groupings for label in grouping.labels)]

    @cached_property
    def most_effects(self) -> dict[str, int]:
        """Random effects of the longest course, by truth."""
        most = max(way.schedule.days for way in self.ways.values())
        return {
            truth.id: truth.program.n_eta + most * truth.program.n_kappa for truth in self.truths
        }

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What made the results: no time, no path, so that a replay gives the same bytes."""
        scenario = self.scenario.model_dump(mode="json")
        text = json.dumps(scenario, sort_keys=True)
        return {
            "schema": "fludapk.study/1",
            "version": __version__,
            "scenario": scenario,
            "scenario_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "model_sha256": {truth.id: truth.sha256 for truth in self._models()},
            "cohort_sha256": self.cohort_sha256,
            "seed": self.scenario.seed,
            "patients": self.n,
            "block": BLOCK,
            "quantile_relative_error": GRID_WIDTH / 2,
            "numpy": np.__version__,
            "certain": {
                truth.id: certain_numbers(truth.file)
                for truth in self.truths
                if self.scenario.variability.parameter_uncertainty
            },
        }

    def _models(self) -> list[Model]:
        named = [getattr(table, "model", None) for table in self.scenario.strategies]
        others = [load_model(name, self.folders) for name in named if name]
        return list({model.id: model for model in [*self.truths, *others]}.values())

    # -------------------------------------------------------------- blocks

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.scenario.seed, spawn_key=key))

    def patients(self, b: int) -> Patients:
        """Patients of a block."""
        first = b * BLOCK
        n = min(BLOCK, self.n - first)
        rng = self._rng(_POPULATION, b)
        population = self.scenario.population
        if isinstance(population, CohortFile):
            if self.cohort is None:
                raise InputError(f"file {population.file}: was not read")
            if self._as_is:
                return self.cohort.rows(np.arange(first, first + n))
            return self.cohort.rows(rng.integers(self.cohort.n, size=n))
        if isinstance(population, Custom):
            entry = population.custom
        else:
            known = populations()
            if population.use not in known:
                raise InputError(
                    f"use: unknown population {population.use!r}: "
                    f"{nearest(population.use, list(known))}"
                )
            entry = known[population.use]
        return self._with_constants(entry, draw(entry, rng, n), n)

    def _with_constants(self, entry: PopulationEntry, columns: dict[str, F8], n: int) -> Patients:
        levels = {name: list(entry.levels(name)) for name in CATEGORICAL}
        for name in CATEGORICAL:
            constant = getattr(self.scenario, name)
            if constant is not None:
                levels[name], columns[name] = [constant], np.zeros(n)
        return Patients(columns, levels)

    def block(
        self, truth: Model, way: strategies.Strategy, b: int
    ) -> tuple[strategies.Block, Patients, F8, Bools, F8]:
        """A block for a strategy; its patients, their rows, who is outside, and the normals."""
        patients = self.patients(b)
        rows, outside = patients.rows_of(truth)
        normals = self._normals(truth, way, b, patients.n)
        block = strategies.Block(
            seen=self._seen(patients, b),
            truth=truth,
            tv=truth.program.typical_values(rows)[0],
            effects=self._effects(truth.program, normals, way.schedule.days),
            residual=self._rng(_RESIDUAL, b).standard_normal((patients.n, way.levels)),
        )
        return block, patients, rows, outside, normals

    def _seen(self, patients: Patients, b: int) -> Patients:
        """Patients with the error of renal function that dosing lives with."""
        cv = self.scenario.variability.gfr_error_cv
        if cv == 0.0:
            return patients
        z = self._rng(_GFR, b).standard_normal(patients.n)
        factor = np.exp(math.sqrt(math.log1p(cv**2)) * z)
        known = dict(patients.columns)
        known["SCR"] = known["SCR"] / factor
        known["eGFR"], known["CrCl"] = known["eGFR"] * factor, known["CrCl"] * factor
        return Patients(known, patients.levels, patients.extra)

    def _normals(self, truth: Model, way: strategies.Strategy, b: int, n: int) -> F8:
        """Standard normals: etas, then the kappas of each dose; a longer course adds to them."""
        program, days = truth.program, way.schedule.days
        wanted = program.n_eta + days * program.n_kappa
        if self.scenario.draws == "sobol":
            most = self.most_effects[truth.id]
            return scrambled_normals(self.scenario.seed, b * BLOCK, n, most)[:, :wanted]
        rng = self._rng(_EFFECTS, b)
        parts = [rng.standard_normal((n, program.n_eta))]
        parts += [rng.standard_normal((n, program.n_kappa)) for _ in range(days)]
        return np.hstack(parts)

    def _effects(self, program: Program, normals: F8, days: int) -> RandomEffects:
        effects = RandomEffects.from_normals(program, normals, days)
        asked = self.scenario.variability
        if asked.iiv and asked.iov:
            return effects
        return RandomEffects(
            effects.eta if asked.iiv else np.zeros_like(effects.eta),
            effects.kappa if asked.iov else np.zeros_like(effects.kappa),
        )

    def _simulate(self, truth: Model, way: strategies.Strategy, b: int) -> _Seen:
        """Everything about a block that is counted."""
        block, patients, rows, outside, normals = self.block(truth, way, b)
        doses = way.doses(block)
        times, lengths, _ = way.schedule.course_of(1.0).arrays(1.0)
        amounts = doses.mg * truth.file.dose.factor
        outer = self.scenario.variability.parameter_uncertainty
        areas = []
        for r in range(max(outer, 1)):
            program, tv, effects = truth.program, block.tv, block.effects
            if outer:
                rng = self._rng(_UNCERTAINTY, r)
                program = compile_program(uncertain(truth.file, rng))
                tv = program.typical_values(rows)[0]
                effects = self._effects(program, normals, way.schedule.days)
            found = course_exposure(program, tv, effects, times, lengths, amounts)
            areas.append(found.auc_0_inf)
        return _Seen(
            patients=patients,
            auc=areas,
            dose_mg=doses.mg.mean(axis=1),
            total_mg_m2=doses.mg.sum(axis=1) / patients.columns["BSA"],
            given=doses.given,
            held=doses.held,
            outside=outside,
            groups=[
                np.zeros(patients.n, np.int64),
                *(grouping.members(patients) for grouping in self.groupings),
            ],
            along={name: column(name, patients) for name in PROFILES},
        )

    # -------------------------------------------------------------- running

    def shard_blocks(self, shard: tuple[int, int]) -> range:
        """Blocks of a shard (from 1) of so many.

        Examples
        --------
        >>> study = Study(Scenario.model_validate({
        ...     "title": "t", "seed": 1, "patients": 10_000, "models": ["langenhorst2019"],
        ...     "population": {"use": "prwcc_ball"},
        ...     "strategies": [{"id": "a", "kind": "fixed", "regimen": "tisa_cel_ball"}]}))
        >>> study.shard_blocks((1, 2)), study.shard_blocks((2, 2))
        (range(0, 1), range(1, 3))
        """
        number, of = shard
        if not 1 <= number <= of:
            raise InputError(f"shard {number}/{of}: from 1/{of} to {of}/{of}")
        return range((number - 1) * self.blocks // of, number * self.blocks // of)

    def run(
        self,
        truth: Model,
        strategy: str,
        *,
        threads: int | None = None,
        shard: tuple[int, int] = (1, 1),
        each: Callable[[_Seen], None] | None = None,
        progress: Progress | None = None,
    ) -> Counts:
        """Simulate one strategy under one truth.

        Parameters
        ----------
        truth : Model
        strategy : str
        threads : int, optional
            All processors if absent; the result does not depend on it.
        shard : (int, int)
            Which part of the patients, of how many.
        each : callable, optional
            Called with every block in order.
        progress : callable, optional
            Called with patients done and to do.
        """
        way = self.ways[truth.id, strategy]
        outer = self.scenario.variability.parameter_uncertainty
        counts = Counts.nothing(truth.id, strategy, self.strata, outer)
        window = self.scenario.window.low, self.scenario.window.high
        todo = self.shard_blocks(shard)
        total = min(self.n, todo.stop * BLOCK) - todo.start * BLOCK
        done = 0
        for seen in _in_order(
            lambda b: self._simulate(truth, way, b), todo, threads or os.cpu_count() or 1
        ):
            counts.add(seen, window)
            done += seen.patients.n
            if each is not None:
                each(seen)
            if progress is not None:
                progress(done, total)
        return counts


def _in_order(work: Callable[[int], _Seen], todo: range, threads: int) -> Iterator[_Seen]:
    """Results in order; only a few blocks wait at a time."""
    if threads == 1:
        yield from map(work, todo)
        return
    waiting: deque[Future[_Seen]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for b in todo:
                waiting.append(pool.submit(work, b))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _grouping(stratum: Stratum, patients: Patients, offset: int) -> Grouping:
    values = column(stratum.by, patients)
    is_number = values.dtype != object
    if stratum.edges is not None:
        if not is_number:
            raise InputError(f"{stratum.by} is text: leave edges out")
        return Grouping(stratum.by, np.array(stratum.edges), (), offset)
    if is_number:
        raise InputError(f"{stratum.by} is a number: give edges")
    return Grouping(stratum.by, None, tuple(sorted(set(map(str, values)))), offset)


# ------------------------------------------------------------------ uncertain parameters


def uncertain(file: ModelFile, rng: np.random.Generator) -> ModelFile:
    """A model with thetas and variabilities drawn from their printed uncertainty.

    Each on the log scale, independently, with the SD of its RSE or of its 95 % interval; what is
    fixed, or printed without either, stays.

    Examples
    --------
    >>> file = load_model().file
    >>> drawn = uncertain(file, np.random.default_rng(1))
    >>> drawn.theta["CLnr"].value != file.theta["CLnr"].value
    True
    """
    theta = {}
    for name, estimate in file.theta.items():
        sd, z = _log_sd(estimate.value, estimate.rse_percent, estimate.ci95), rng.standard_normal()
        value = estimate.value * math.exp(sd * z)
        theta[name] = estimate.model_copy(update={"value": value if sd else estimate.value})
    effects: dict[str, list[Any]] = {"iiv": [], "iov": []}
    for what in effects:
        for effect in getattr(file, what):
            sd, z = _log_sd(effect.value, effect.rse_percent, effect.ci95), rng.standard_normal()
            effects[what].append(
                effect.model_copy(update={"value": effect.value * math.exp(sd * z)})
            )
    return file.model_copy(update={"theta": theta, **effects})


def certain_numbers(file: ModelFile) -> list[str]:
    """Thetas and variabilities that have no printed uncertainty and are not drawn."""
    thetas = [(name, _log_sd(t.value, t.rse_percent, t.ci95)) for name, t in file.theta.items()]
    effects = [(e.name, _log_sd(e.value, e.rse_percent, e.ci95)) for e in [*file.iiv, *file.iov]]
    return [name for name, sd in [*thetas, *effects] if sd == 0.0]


def _log_sd(value: float, rse_percent: float | None, ci95: Sequence[float] | None) -> float:
    """SD of the logarithm of an estimate; 0 where it is not known or has no sign."""
    if value <= 0:
        return 0.0
    if rse_percent is not None:
        return math.sqrt(math.log1p((rse_percent / 100) ** 2))
    if ci95 is not None and ci95[0] > 0:
        return math.log(ci95[1] / ci95[0]) / (2 * _Z95)
    return 0.0


_Z95: Final = NormalDist().inv_cdf(0.975)


# ------------------------------------------------------------------ the summary

_QUANTILES: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q95": 0.95}
PROBABILITIES: Final = {
    "below_13_8": "p_below_13_8",
    "below_14": "p_below_14",
    "in_window": "p_in_window",
    "above_20": "p_above_20",
}


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """95 % interval of a fraction.

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson(50, 100)
    >>> f"{low:.3f}-{high:.3f}"
    '0.404-0.596'
    """
    if n == 0:
        return None, None
    p, z2 = hits / n, _Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def summary(counts: Counts) -> list[dict[str, Any]]:
    """A row per stratum."""
    rows = []
    outer = len(counts.outer)
    for s, label in enumerate(counts.strata):
        known = dict(zip(COUNTED, counts.counts[s].tolist(), strict=True))
        draws = max(outer, 1)
        n, given = known["n"] // draws, known["given"]
        row: dict[str, Any] = {
            "model": counts.truth,
            "strategy": counts.strategy,
            "stratum": label,
            "n": n,
        }
        auc, dose, total = (part[s] for part in counts.histograms)
        row |= {f"auc_{name}": quantile(auc, q) for name, q in _QUANTILES.items()}
        row |= _geometric(counts.moments[s], given)
        for outcome, name in PROBABILITIES.items():
            hits = known[outcome]
            row[name] = hits / given if given else None
            low, high = wilson(hits, given)
            if outer and given:
                share = counts.outer[:, s, OUTCOMES.index(outcome)] / (given / draws)
                low, high = (float(x) for x in np.quantile(share, [0.025, 0.975]))
            row[f"{name}_low"], row[f"{name}_high"] = low, high
        row["interval"] = "outer draws" if outer else "wilson"
        row |= {f"dose_mg_{name}": quantile(dose, q) for name, q in _QUANTILES.items()}
        row |= {f"total_mg_m2_{name}": quantile(total, q) for name, q in _QUANTILES.items()}
        row["not_given"] = n - given // draws
        for name in ("held_at_ceiling", "outside_studied_range"):
            row[name] = known[name] // draws
        rows.append(row)
    return rows


def _geometric(moments: Sequence[int], n: int) -> dict[str, float | None]:
    """Geometric mean and geometric CV."""
    if n == 0:
        return {"auc_geometric_mean": None, "auc_cv_percent": None}
    mean, square = (total / _FIXED_POINT / n for total in moments)
    variance = max(0.0, square - mean * mean)
    return {
        "auc_geometric_mean": math.exp(mean),
        "auc_cv_percent": 100 * math.sqrt(math.expm1(variance)),
    }


# ------------------------------------------------------------------ shards


def shard_state(study: Study, shard: tuple[int, int], counts: Sequence[Counts]) -> dict[str, Any]:
    """What a shard leaves, as JSON."""
    return {
        "schema": "fludapk.study.shard/1",
        "run": study.provenance,
        "shard": list(shard),
        "counts": [one.to_dict() for one in counts],
    }


def merge(states: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[Counts]]:
    """Put all shards of a run together: its provenance and counts, as if it had been one.

    Raises
    ------
    InputError
        If shards are missing, twice there, or of different runs.
    """
    if not states:
        raise InputError("no shards to merge")
    first = states[0]
    faults = []
    if any(state["run"] != first["run"] for state in states):
        faults.append("the shards are of different scenarios, versions or models")
    of = {state["shard"][1] for state in states}
    numbers = sorted(state["shard"][0] for state in states)
    wanted = list(range(1, max(of) + 1))
    if len(of) > 1:
        faults.append(f"the shards are of {' and '.join(map(str, sorted(of)))} parts")
    elif numbers != wanted:
        missing = sorted(set(wanted) - set(numbers))
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        faults += [f"missing shards: {', '.join(map(str, missing))}"] if missing else []
        faults += [f"shards twice: {', '.join(map(str, twice))}"] if twice else []
    if faults:
        raise InputError(*faults)
    merged = [Counts.from_dict(raw) for raw in first["counts"]]
    for state in states[1:]:
        merged = [
            one.plus(Counts.from_dict(raw))
            for one, raw in zip(merged, state["counts"], strict=True)
        ]
    return dict(first["run"]), merged


def run_shard(
    scenario: Mapping[str, Any],
    shard: tuple[int, int],
    cohort: Patients | None = None,
    cohort_sha256: str | None = None,
    folders: Sequence[Path] | None = None,
) -> dict[str, Any]:
    """A shard by itself, for another process or machine: its state; see `merge`."""
    study = Study(Scenario.model_validate(dict(scenario)), cohort, cohort_sha256, folders)
    counts = [
        study.run(truth, strategy.id, shard=shard, threads=1)
        for truth in study.truths
        for strategy in study.scenario.strategies
    ]
    return shard_state(study, shard, counts)
