"""Blocks of a study: their strategies and limits, order and exposure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import FludapkError
from fludapk.language import tr
from fludapk.patients.population import Patients
from fludapk.pk.exposure import course_concentrations, course_exposure
from fludapk.published.models import Model
from fludapk.studies.counts import SimulatedBlock, SimulatedDraw
from fludapk.studies.dosing import Block, Doses, DosingStrategy, clearance, half_life, predicted_auc
from fludapk.studies.outcome_source import association_of
from fludapk.studies.scenario import Scenario, Strategy
from fludapk.studies.ward import ward_strategies


def all_strategies(scenario: Scenario) -> list[Strategy]:
    """Return the strategies of a scenario, then those of its table for a ward.

    Parameters
    ----------
    scenario : Scenario
    """
    return [*scenario.strategies, *ward_strategies(scenario)]


def edges_of(scenario: Scenario) -> list[float]:
    """Return the AUCs between which a scenario counts patients, mg h/L, the lowest first.

    Parameters
    ----------
    scenario : Scenario
    """
    outcome, window = scenario.outcome, scenario.window
    groups = [] if outcome is None else association_of(outcome).edges
    return sorted({*scenario.all_limits, window.low, window.high, *groups})


def shard_range(shard: tuple[int, int], blocks: int) -> range:
    """Return the numbers of the blocks of a shard: number of the shard, from 1, and of all.

    Parameters
    ----------
    shard : (int, int)
    blocks : int
        Number of all blocks.

    Examples
    --------
    >>> shard_range((2, 2), 3)
    range(1, 3)
    """
    number, total = shard
    return range((number - 1) * blocks // total, number * blocks // total)


def simulated_draw(block: Block, strategy: DosingStrategy, doses: Doses) -> SimulatedDraw:
    """Return doses and exposure of a block.

    Parameters
    ----------
    block : Block
    strategy : DosingStrategy
    doses : Doses
        Doses of the strategy to the block.
    """
    times, lengths, _ = strategy.schedule.course_of(1.0).arrays(1.0)
    amounts = doses.mg * block.truth.file.dose_factor
    at_cells = strategy.schedule.cells_at_h
    course = block.program, block.tv, block.effects, times, lengths, amounts
    exposure = course_exposure(*course)
    return SimulatedDraw(
        auc=exposure.auc_0_inf,
        predicted=predicted_auc(block, times, lengths, amounts),
        cl_l_h=clearance(block),
        half_life_h=half_life(block),
        cmax_mg_l=exposure.cmax,
        trough_mg_l=exposure.trough[:, -1] if len(times) > 1 else None,
        conc_at_cells_mg_l=(
            None
            if at_cells is None
            else course_concentrations(*course, np.array([at_cells]))[0][:, 0]
        ),
        doses_mg=doses.mg,
        total_mg_m2=doses.mg.sum(axis=1) / block.patients.columns["BSA"],
        given=doses.given,
        held=doses.held,
        undecided=doses.undecided,
    )


def in_order(
    work: Callable[[int], SimulatedBlock], todo: range, threads: int
) -> Iterator[SimulatedBlock]:
    """Yield results in order, with few blocks in memory at a time.

    Parameters
    ----------
    work : callable
        Simulates the block of a number.
    todo : range
        Numbers of the blocks.
    threads : int
    """
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


def with_uncertain_numbers(block: Block, normals: F8) -> Block:
    """Return a block whose true numbers are those of an outer draw.

    Parameters
    ----------
    block : Block
    normals : (dimensions,)
        Standard normals behind the numbers of its model.
    """
    uncertainty = block.truth.uncertainty
    theta, scale = uncertainty.draw(normals[None])
    everybody = np.repeat(theta, len(block.rows), axis=1)
    return replace(
        block,
        tv=block.program.typical_values(block.rows, everybody)[0],
        effects=uncertainty.varied(block.effects, scale),
    )


def studied_faults(truths: Sequence[Model], pilot: Sequence[Patients]) -> list[str]:
    """Return the faults of models that were built from none of such patients.

    Parameters
    ----------
    truths : sequence of Model
    pilot : sequence of Patients
        Some of the patients of the study.
    """
    faults = []
    for i, truth in enumerate(truths):
        try:
            outside = [patients.rows_of(truth)[1] for patients in pilot]
            if np.concatenate(outside).all():
                studied = tr(truth.file.population.who)
                faults.append(
                    tr(
                        "models[{i}]: every patient is outside what {model} was built from "
                        "({ranges})",
                        i=i,
                        model=truth.id,
                        ranges=studied,
                    )
                )
        except FludapkError as error:
            faults += [f"models[{i}]: {fault}" for fault in error.faults]
    return faults
