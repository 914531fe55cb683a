"""Monte Carlo studies of dosing strategies: the same patients and draws for every strategy.

Patients come in blocks, each with random streams of its own, so that threads, shards and files of
patients do not change a number. Only counts are kept: sums of integers do not depend on order, so
shards merge to the same bits. Quantiles are read from a fine fixed grid.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from fludapk._version import __version__
from fludapk.arrays import F8, Bools
from fludapk.errors import FileError, FludapkError, InputError, nearest
from fludapk.patients.population import REDRAWN, Drawn, Patients, draw_patients, populations
from fludapk.pk.effects import RandomEffects, scrambled_normals
from fludapk.pk.exposure import course_exposure
from fludapk.pk.program import Program
from fludapk.published.compile import compile_program
from fludapk.published.models import Model, load_model
from fludapk.published.population_files import PopulationEntry
from fludapk.published.tables import CATEGORICAL
from fludapk.published.uncertainty import certain_numbers, uncertain
from fludapk.studies.counts import GRID_WIDTH, PROFILES, Counts, SimulatedBlock, SimulatedDraw
from fludapk.studies.records import StudyProvenance, hash_of
from fludapk.studies.scenario import CohortFile, Custom, Scenario
from fludapk.studies.strata import Grouping, column, grouping_of
from fludapk.studies.strategies import Block, Doses, DosingStrategy, build

BLOCK: Final = 4096
"""Number of patients in a block, which has random streams of its own."""
_POPULATION, _EFFECTS, _GFR, _RESIDUAL, _UNCERTAINTY = range(5)
_PILOT: Final = 4
"""Number of blocks drawn before a run, to find the faults that only patients show."""
Progress = Callable[[int, int], None]
"""Function called with the patients done and the number of all."""


# ------------------------------------------------------------------ a study before it runs


@dataclass(frozen=True, eq=False)
class Study:
    """A checked scenario, ready to run.

    Parameters
    ----------
    scenario : Scenario
    cohort : Patients, optional
        Patients of the scenario's cohort file.
    cohort_sha256 : str, optional
        Hash of the cohort file.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.

    Raises
    ------
    FileError
        If the scenario has faults: all, with their key paths.
    """

    scenario: Scenario
    cohort: Patients | None = None
    cohort_sha256: str | None = None
    folders: Sequence[Path] | None = None
    truths: list[Model] = field(init=False)
    """Models that patients are simulated from."""
    dosing: dict[tuple[str, str], DosingStrategy] = field(init=False)
    """Strategy by id of the truth and id of the strategy."""
    groupings: list[Grouping] = field(init=False)
    """Groupings of the patients into strata, besides all."""

    def __post_init__(self) -> None:
        faults: list[str] = []
        truths = []
        for i, name in enumerate(self.scenario.models):
            try:
                truths.append(load_model(name, self.folders))
            except FludapkError as error:
                faults += [f"models[{i}]: {fault}" for fault in error.faults]
        dosing = {}
        for i, table in enumerate(self.scenario.strategies):
            for truth in truths:
                try:
                    dosing[truth.id, table.id] = build(table, truth, self.folders)
                except FludapkError as error:
                    faults += [f"strategies[{i}]: {fault}" for fault in error.faults]
        object.__setattr__(self, "truths", truths)
        object.__setattr__(self, "dosing", dosing)
        object.__setattr__(self, "groupings", [])
        try:
            if not self.n:
                raise InputError("patients: at least one")
            pilot = [self.patients(b) for b in range(min(_PILOT, self.blocks or 1))]
        except FludapkError as error:
            faults += [f"population: {fault}" for fault in error.faults]
            pilot = []
        if pilot:
            faults += self._pilot_faults(pilot)
        if faults:
            raise FileError(*dict.fromkeys(faults))

    def _pilot_faults(self, pilot: Sequence[Patients]) -> list[str]:
        """Return the faults that only patients show."""
        faults, offset = [], 1
        for i, stratum in enumerate(self.scenario.strata):
            try:
                grouping = grouping_of(stratum, self.cohort or pilot[0], offset)
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
                if n == 0 and label != grouping.unknown
            ]
            offset += len(grouping.labels)
            self.groupings.append(grouping)
        for i, truth in enumerate(self.truths):
            try:
                outside = [patients.rows_of(truth)[1] for patients in pilot]
                if np.concatenate(outside).all():
                    studied = truth.file.population.who
                    faults.append(
                        f"models[{i}]: every patient is outside what {truth.id} was built from "
                        f"({studied})"
                    )
            except FludapkError as error:
                faults += [f"models[{i}]: {fault}" for fault in error.faults]
        if not faults:
            for (name, strategy_id), strategy in self.dosing.items():
                try:
                    truth = next(truth for truth in self.truths if truth.id == name)
                    strategy.doses(self.block(truth, strategy, 0))
                except FludapkError as error:
                    faults += [f"strategies: {strategy_id}: {fault}" for fault in error.faults]
        return faults

    @property
    def n(self) -> int:
        """Number of patients."""
        if self._as_is and self.cohort is not None:
            return min(self.scenario.patients or self.cohort.n, self.cohort.n)
        return self.scenario.patients or 0

    @property
    def _as_is(self) -> bool:
        population = self.scenario.population
        return isinstance(population, CohortFile) and population.sample == "as_is"

    @property
    def blocks(self) -> int:
        """Number of blocks of patients."""
        return -(-self.n // BLOCK)

    @property
    def strata(self) -> list[str]:
        """Names of all strata."""
        return ["all", *(label for grouping in self.groupings for label in grouping.labels)]

    @cached_property
    def most_effects(self) -> dict[str, int]:
        """Number of random effects in the longest course, by truth."""
        days = max(strategy.schedule.days for strategy in self.dosing.values())
        return {
            truth.id: truth.program.n_eta + days * truth.program.n_kappa for truth in self.truths
        }

    @cached_property
    def provenance(self) -> StudyProvenance:
        """Provenance of the results."""
        return StudyProvenance(
            version=__version__,
            scenario=self.scenario,
            scenario_sha256=hash_of(self.scenario.model_dump(mode="json")),
            model_sha256={truth.id: truth.sha256 for truth in self._models()},
            cohort_sha256=self.cohort_sha256,
            seed=self.scenario.seed,
            patients=self.n,
            block=BLOCK,
            quantile_relative_error=GRID_WIDTH / 2,
            numpy=np.__version__,
            certain={
                truth.id: certain_numbers(truth.file)
                for truth in self.truths
                if self.scenario.variability.parameter_uncertainty
            },
        )

    def _models(self) -> list[Model]:
        named = [getattr(table, "model", None) for table in self.scenario.strategies]
        others = [load_model(name, self.folders) for name in named if name]
        return list({model.id: model for model in [*self.truths, *others]}.values())

    # -------------------------------------------------------------- blocks

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.scenario.seed, spawn_key=key))

    def patients(self, b: int) -> Patients:
        """Return the patients of a block.

        Parameters
        ----------
        b : int
            Number of the block, from 0.
        """
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
            ready_made = populations()
            if population.use not in ready_made:
                raise InputError(
                    f"use: unknown population {population.use!r}: "
                    f"{nearest(population.use, list(ready_made))}"
                )
            entry = ready_made[population.use]
        return self._with_constants(entry, draw_patients(entry, rng, n), n)

    def _with_constants(self, entry: PopulationEntry, people: Drawn, n: int) -> Patients:
        columns = people.columns
        categories = {name: list(entry.categories(name)) for name in CATEGORICAL}
        for name in CATEGORICAL:
            constant = getattr(self.scenario, name)
            if constant is not None:
                categories[name], columns[name] = [constant], np.zeros(n)
        return Patients(columns, categories, redrawn=people.redrawn)

    def block(self, truth: Model, strategy: DosingStrategy, b: int) -> Block:
        """Draw the patients of a block, their random effects and residual errors.

        Parameters
        ----------
        truth : Model
        strategy : DosingStrategy
            Sets the number of occasions and of levels.
        b : int
            Number of the block, from 0.
        """
        patients = self.patients(b)
        rows, outside = patients.rows_of(truth)
        normals = self._normals(truth, strategy, b, patients.n)
        return Block(
            patients=patients,
            observed=self._observed(patients, b),
            truth=truth,
            program=truth.program,
            rows=rows,
            outside=outside,
            tv=truth.program.typical_values(rows)[0],
            normals=normals,
            effects=self._effects(truth.program, normals, strategy.schedule.days),
            residual=self._rng(_RESIDUAL, b).standard_normal((patients.n, strategy.n_samples)),
        )

    def _observed(self, patients: Patients, b: int) -> Patients:
        """Return the patients with an error of their renal function, as dosing observes them."""
        cv = self.scenario.variability.gfr_error_cv
        if cv == 0.0:
            return patients
        sd, rng = math.sqrt(math.log1p(cv**2)), self._rng(_GFR, b)
        factor = np.exp(sd * rng.standard_normal(patients.n))
        columns = dict(patients.columns)
        low, high = self._scr_range_mg_dl
        again = np.zeros(patients.n, dtype=np.bool_)
        while (beyond := ~_between(columns["SCR"] / factor, low, high)).any():
            again |= beyond  # what is observed is possible, too
            factor[beyond] = np.exp(sd * rng.standard_normal(int(beyond.sum())))
        columns["SCR"] = columns["SCR"] / factor
        columns["eGFR"], columns["CrCl"] = columns["eGFR"] * factor, columns["CrCl"] * factor
        redrawn = patients.redrawn | {"scr": patients.redrawn.get("scr", False) | again}
        return replace(patients, columns=columns, redrawn=redrawn)

    @property
    def _scr_range_mg_dl(self) -> tuple[float, float]:
        """Limits of creatinine of a virtual population."""
        population = self.scenario.population
        if isinstance(population, CohortFile):
            return 0.0, math.inf
        if isinstance(population, Custom):
            entry = population.custom
        else:
            entry = populations()[population.use]
        low, high = entry.scr_range_mg_dl or (0.0, math.inf)
        return low, high

    def _normals(self, truth: Model, strategy: DosingStrategy, b: int, n: int) -> F8:
        """Draw standard normals: etas, then kappas dose by dose; a longer course adds columns."""
        program, days = truth.program, strategy.schedule.days
        n_effects = program.n_eta + days * program.n_kappa
        if self.scenario.draws == "sobol":
            dimensions = self.most_effects[truth.id]
            points = scrambled_normals(self.scenario.seed, b * BLOCK, n, dimensions)
            return points[:, :n_effects]
        rng = self._rng(_EFFECTS, b)
        parts = [rng.standard_normal((n, program.n_eta))]
        parts += [rng.standard_normal((n, program.n_kappa)) for _ in range(days)]
        return np.hstack(parts)

    def _effects(self, program: Program, normals: F8, days: int) -> RandomEffects:
        effects = RandomEffects.from_normals(program, normals, days)
        variability = self.scenario.variability
        if variability.iiv and variability.iov:
            return effects
        return RandomEffects(
            effects.eta if variability.iiv else np.zeros_like(effects.eta),
            effects.kappa if variability.iov else np.zeros_like(effects.kappa),
        )

    def _simulate(self, truth: Model, strategy: DosingStrategy, b: int) -> SimulatedBlock:
        """Simulate doses and exposure of a block."""
        block = self.block(truth, strategy, b)
        patients = block.patients
        nobody = np.zeros(patients.n, dtype=np.bool_)
        outer = self.scenario.variability.parameter_uncertainty
        doses, draws = None, []
        for r in range(max(outer, 1)):
            drawn = self._uncertain(block, strategy, r) if outer else block
            # Levels come from the patient who is simulated: by the numbers of this draw.
            if doses is None or strategy.n_samples:
                doses = strategy.doses(drawn)
            draws.append(_simulated(drawn, strategy, doses))
        return SimulatedBlock(
            patients=patients,
            draws=draws,
            outside=block.outside,
            groups=[
                np.zeros(patients.n, np.int64),
                *(grouping.members(patients) for grouping in self.groupings),
            ],
            along={name: column(name, patients) for name in PROFILES},
            redrawn=[block.observed.redrawn.get(name, nobody) for name in REDRAWN],
        )

    def _uncertain(self, block: Block, strategy: DosingStrategy, r: int) -> Block:
        """Return a block whose true numbers are those of an outer draw, from 0."""
        program = compile_program(uncertain(block.truth.file, self._rng(_UNCERTAINTY, r)))
        return replace(
            block,
            program=program,
            tv=program.typical_values(block.rows)[0],
            effects=self._effects(program, block.normals, strategy.schedule.days),
        )

    # -------------------------------------------------------------- running

    def shard_blocks(self, shard: tuple[int, int]) -> range:
        """Return the blocks of a shard.

        Parameters
        ----------
        shard : (int, int)
            Number of the shard, from 1, and number of shards.

        Raises
        ------
        InputError
            If there is no shard of that number.

        Examples
        --------
        >>> study = Study(Scenario.model_validate({
        ...     "title": "t", "seed": 1, "patients": 10_000, "models": ["langenhorst2019"],
        ...     "population": {"use": "prwcc_ball"},
        ...     "strategies": [{"id": "a", "kind": "fixed", "regimen": "tisa_cel_ball"}]}))
        >>> study.shard_blocks((1, 2)), study.shard_blocks((2, 2))
        (range(0, 1), range(1, 3))
        """
        number, total = shard
        if not 1 <= number <= total:
            raise InputError(f"shard {number}/{total}: from 1/{total} to {total}/{total}")
        return shard_range(shard, self.blocks)

    def run(
        self,
        truth: Model,
        strategy: str,
        *,
        threads: int | None = None,
        shard: tuple[int, int] = (1, 1),
        each: Callable[[SimulatedBlock], None] | None = None,
        progress: Progress | None = None,
    ) -> Counts:
        """Simulate one strategy under one truth.

        Parameters
        ----------
        truth : Model
        strategy : str
            Id of the strategy.
        threads : int, optional
            Number of threads, all processors if absent; the result does not depend on it.
        shard : (int, int)
            Number of the part of the patients, from 1, and number of parts.
        each : callable, optional
            Called with every block in order.
        progress : callable, optional
            Called with the patients done and the number of all.
        """
        dosing = self.dosing[truth.id, strategy]
        outer = self.scenario.variability.parameter_uncertainty
        counts = Counts.nothing(truth.id, strategy, self.strata, outer)
        window = self.scenario.window.low, self.scenario.window.high
        todo = self.shard_blocks(shard)
        total = min(self.n, todo.stop * BLOCK) - todo.start * BLOCK
        done = 0
        for block in _in_order(
            lambda b: self._simulate(truth, dosing, b), todo, threads or os.cpu_count() or 1
        ):
            counts.add(block, window)
            done += block.patients.n
            if each is not None:
                each(block)
            if progress is not None:
                progress(done, total)
        return counts


def _between(values: F8, low: float, high: float) -> Bools:
    """Tell values inside limits; one that is unknown is not outside."""
    return np.asarray(~((values < low) | (values > high)))


def shard_range(shard: tuple[int, int], blocks: int) -> range:
    """Return the numbers of the blocks of a shard: number of the shard, from 1, and of all.

    Examples
    --------
    >>> shard_range((2, 2), 3)
    range(1, 3)
    """
    number, total = shard
    return range((number - 1) * blocks // total, number * blocks // total)


def _simulated(block: Block, strategy: DosingStrategy, doses: Doses) -> SimulatedDraw:
    """Return doses and exposure of a block."""
    times, lengths, _ = strategy.schedule.course_of(1.0).arrays(1.0)
    amounts = doses.mg * block.truth.file.dose.factor
    exposure = course_exposure(block.program, block.tv, block.effects, times, lengths, amounts)
    return SimulatedDraw(
        auc=exposure.auc_0_inf,
        dose_mg=doses.mg.mean(axis=1),
        total_mg_m2=doses.mg.sum(axis=1) / block.patients.columns["BSA"],
        given=doses.given,
        held=doses.held,
        undecided=doses.undecided,
    )


def _in_order(
    work: Callable[[int], SimulatedBlock], todo: range, threads: int
) -> Iterator[SimulatedBlock]:
    """Yield results in order, with few blocks in memory at a time."""
    if threads == 1:
        yield from map(work, todo)
        return
    waiting: deque[Future[SimulatedBlock]] = deque()
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
