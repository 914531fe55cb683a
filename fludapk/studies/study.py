"""Monte Carlo studies of dosing strategies: the same patients and draws for every strategy.

Patients come in blocks, each with random streams of its own, so that threads, shards and files of
patients do not change a number. Only counts are kept: sums of integers do not depend on order, so
shards merge to the same bits. Quantiles are read from a fine fixed grid.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from fludapk._version import __version__
from fludapk.answers.record import hash_of
from fludapk.arrays import F8, Bools
from fludapk.errors import FileError, FludapkError, InputError
from fludapk.patients.population import REDRAWN, Patients, draw_patients
from fludapk.pk.effects import RandomEffects, scrambled_normals
from fludapk.pk.program import Program
from fludapk.published.models import Model, load_model
from fludapk.published.uncertainty import CORRELATION, certain_numbers
from fludapk.studies.blocks import (
    all_strategies,
    edges_of,
    in_order,
    shard_range,
    simulated_draw,
    studied_faults,
    with_uncertain_numbers,
)
from fludapk.studies.counts import PROFILES, Counts, SimulatedBlock, SimulatedDraw
from fludapk.studies.described import described, resampled, scr_range_mg_dl, with_constants
from fludapk.studies.dosing import Block, DosingStrategy
from fludapk.studies.grid import GRID_WIDTH
from fludapk.studies.outcome_pilot import drivers_faults, outcome_faults, trial_faults
from fludapk.studies.outcome_source import association_of
from fludapk.studies.records import StudyProvenance
from fludapk.studies.scenario import CohortFile, Scenario, Strategy
from fludapk.studies.shortage import shortage_faults
from fludapk.studies.strata import Grouping, column, groupings_of
from fludapk.studies.strategies import build

BLOCK: Final = 4096
"""Number of patients in a block, which has random streams of its own."""
_POPULATION, _EFFECTS, _GFR, _RESIDUAL, _UNCERTAINTY, _RESULTS = range(6)
_LOOKED_AT: Final = 256
"""Number of patients whose clearance tells which numbers of a model matter."""
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
        if self.scenario.outcome is not None:
            try:
                association_of(self.scenario.outcome)
            except InputError as error:
                raise FileError(*(f"outcome: {fault}" for fault in error.faults)) from error
        truths = []
        for i, name in enumerate(self.scenario.models):
            try:
                truths.append(load_model(name, self.folders))
            except FludapkError as error:
                faults += [f"models[{i}]: {fault}" for fault in error.faults]
        dosing = {}
        for i, table in enumerate(self.strategies):
            for truth in truths:
                try:
                    dosing[truth.id, table.id] = build(table, truth, self.folders)
                except FludapkError as error:
                    key = f"strategies[{i}]" if i < len(self.scenario.strategies) else "ward"
                    faults += [f"{key}: {fault}" for fault in error.faults]
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
            faults += self._pilot_faults(pilot, are_others=bool(faults))
        if faults:
            raise FileError(*dict.fromkeys(faults))

    def _pilot_faults(self, pilot: Sequence[Patients], *, are_others: bool) -> list[str]:
        """Return the faults that only patients show; those of doses, if there are no others."""
        self.groupings[:], faults = groupings_of(self.scenario.strata, self.cohort, pilot)
        faults += studied_faults(self.truths, pilot)
        faults += [*shortage_faults(self.scenario), *trial_faults(self)]
        if are_others:
            return faults
        if self.scenario.outcome is not None and not faults:
            faults += outcome_faults(self)
        if not faults:
            faults += drivers_faults(self)
        if not faults:
            for (name, strategy_id), strategy in self.dosing.items():
                try:
                    truth = next(truth for truth in self.truths if truth.id == name)
                    strategy.doses(self.block(truth, strategy, 0))
                except FludapkError as error:
                    faults += [f"strategies: {strategy_id}: {fault}" for fault in error.faults]
        return faults

    @cached_property
    def strategies(self) -> list[Strategy]:
        """Strategies of the scenario, then those of its table for a ward."""
        return all_strategies(self.scenario)

    @cached_property
    def edges(self) -> list[float]:
        """AUCs between which patients are counted, mg h/L, the lowest first."""
        return edges_of(self.scenario)

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
            correlated={
                truth.id: [list(truth.file.theta)[place] for place in pair]
                for truth in self.truths
                if self.scenario.variability.parameter_uncertainty
                and (pair := truth.uncertainty.added_in_clearance(truth.program)) is not None
            },
        )

    def _models(self) -> list[Model]:
        named = [getattr(table, "model", None) for table in self.strategies]
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
            return self.cohort.rows(resampled(self.cohort, population.weights, rng, n))
        entry = described(self.scenario)
        return with_constants(self.scenario, entry, draw_patients(entry, rng, n), n)

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
        chances = strategy.schedule.days if getattr(strategy, "missed", 0.0) else 0
        return self.block_of(
            truth,
            strategy,
            patients,
            observed=self._observed(patients, b),
            normals=self._normals(truth, strategy, b, patients.n),
            residual=self._rng(_RESIDUAL, b).standard_normal((patients.n, strategy.n_samples)),
            chances=self._rng(_RESULTS, b).random((patients.n, chances)),
        )

    def block_of(
        self,
        truth: Model,
        strategy: DosingStrategy,
        patients: Patients,
        *,
        observed: Patients,
        normals: F8,
        residual: F8,
        chances: F8,
    ) -> Block:
        """Return a block of given patients and random numbers.

        Parameters
        ----------
        truth : Model
        strategy : DosingStrategy
            Sets the number of occasions.
        patients, observed : Patients
            As they are, and as dosing observes them.
        normals : (n, effects)
            Standard normals of etas, then of kappas dose by dose.
        residual, chances
            See `fludapk.studies.dosing.Block`.
        """
        rows, outside = patients.rows_of(truth)
        return Block(
            patients=patients,
            observed=observed,
            truth=truth,
            rows=rows,
            outside=outside,
            tv=truth.program.typical_values(rows)[0],
            normals=normals,
            effects=self._effects(truth.program, normals, strategy.schedule.days),
            residual=residual,
            chances=chances,
        )

    def _observed(self, patients: Patients, b: int) -> Patients:
        """Return the patients with an error of their renal function, as dosing observes them."""
        cv = self.scenario.variability.gfr_error_cv
        if cv == 0.0:
            return patients
        sd, rng = math.sqrt(math.log1p(cv**2)), self._rng(_GFR, b)
        factor = np.exp(sd * rng.standard_normal(patients.n))
        columns = dict(patients.columns)
        low, high = scr_range_mg_dl(self.scenario)
        again = np.zeros(patients.n, dtype=np.bool_)
        while (beyond := ~_between(columns["SCR"] / factor, low, high)).any():
            again |= beyond  # what is observed is possible, too
            factor[beyond] = np.exp(sd * rng.standard_normal(int(beyond.sum())))
        columns["SCR"] = columns["SCR"] / factor
        columns["eGFR"], columns["CrCl"] = columns["eGFR"] * factor, columns["CrCl"] * factor
        redrawn = patients.redrawn | {"scr": patients.redrawn.get("scr", False) | again}
        return replace(patients, columns=columns, redrawn=redrawn)

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

    def simulated(
        self, truth: Model, strategy: DosingStrategy, b: int, *, outer: int | None = None
    ) -> SimulatedBlock:
        """Simulate doses and exposure of a block.

        Parameters
        ----------
        truth : Model
        strategy : DosingStrategy
        b : int
            Number of the block, from 0.
        outer : int, optional
            Number of draws of uncertain parameters; that of the scenario if absent.
        """
        block = self.block(truth, strategy, b)
        patients = block.patients
        nobody = np.zeros(patients.n, dtype=np.bool_)
        if outer is None:
            outer = self.scenario.variability.parameter_uncertainty
        normals: F8 | list[None] = [None]
        correlated: Iterable[F8] = ()
        if outer:
            normals = self.outer_normals[truth.id][:outer]
            correlated = self._correlated(truth, strategy, normals) if b == 0 else ()
        return SimulatedBlock(
            patients=patients,
            draws=self.draws_of(block, strategy, normals),
            correlated=self.draws_of(block, strategy, correlated),
            outside=block.outside,
            groups=[
                np.zeros(patients.n, np.int64),
                *(grouping.members(patients) for grouping in self.groupings),
            ],
            along={name: column(name, patients) for name in PROFILES},
            redrawn=[block.observed.redrawn.get(name, nobody) for name in REDRAWN],
        )

    def draws_of(
        self, block: Block, strategy: DosingStrategy, normals: Iterable[F8 | None]
    ) -> list[SimulatedDraw]:
        """Simulate a block once for each row of normals behind the true numbers, or as printed."""
        doses, draws = None, []
        for row in normals:
            drawn = block if row is None else with_uncertain_numbers(block, row)
            # What is measured or known of patients is of those simulated: by the numbers of a draw.
            if doses is None or strategy.follows_truth:
                doses = strategy.doses(drawn)
            draws.append(simulated_draw(drawn, strategy, doses))
        return draws

    def _correlated(self, truth: Model, strategy: DosingStrategy, normals: F8) -> Iterable[F8]:
        """Correlate outer draws of the first strategy; none for another, or without a pair."""
        if strategy is self.dosing[truth.id, self.scenario.strategies[0].id]:
            rows = truth.uncertainty.correlated(truth.program, normals, CORRELATION)
            return () if rows is None else rows
        return ()

    @cached_property
    def outer_normals(self) -> dict[str, F8]:
        """Standard normals behind the outer draws of each truth, (draws, dimensions)."""
        key = np.random.SeedSequence(self.scenario.seed, spawn_key=(_UNCERTAINTY,))
        seed, n = int(key.generate_state(1)[0]), self.scenario.variability.parameter_uncertainty
        people = self.patients(0).rows(np.arange(min(self.n, BLOCK, _LOOKED_AT)))
        return {
            truth.id: truth.uncertainty.outer_normals(
                truth.program, people.rows_of(truth)[0], seed, n
            )
            for truth in self.truths
        }

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
        counts = Counts.nothing(truth.id, strategy, self.strata, outer, self.edges)
        window = self.scenario.window.low, self.scenario.window.high
        todo = self.shard_blocks(shard)
        total = min(self.n, todo.stop * BLOCK) - todo.start * BLOCK
        done = 0
        for block in in_order(
            lambda b: self.simulated(truth, dosing, b), todo, threads or os.cpu_count() or 1
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
