"""Faults of an outcome that the first block of a study shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fludapk.errors import FludapkError
from fludapk.studies.counts import Counts
from fludapk.studies.outcome import Question, reference_faults
from fludapk.studies.outcome_source import transport_faults

if TYPE_CHECKING:
    from fludapk.studies.study import Study


def outcome_faults(study: Study) -> list[str]:
    """Return why the outcome of a study cannot be computed.

    Parameters
    ----------
    study : Study
        With a table `outcome`.
    """
    scenario = study.scenario
    outcome = scenario.outcome
    if outcome is None:
        return []
    faults = transport_faults(scenario)
    for truth in study.truths:
        try:
            dosing = study.dosing[truth.id, outcome.reference]
            counts = Counts.nothing(truth.id, outcome.reference, ["all"], 0, study.edges)
            block = study.simulated(truth, dosing, 0, outer=0)
            first = replace(block, groups=block.groups[:1])
            counts.add(first, (scenario.window.low, scenario.window.high))
            faults += reference_faults(Question(scenario, [counts]))
        except FludapkError as error:
            faults += [f"outcome: {fault}" for fault in error.faults]
    return faults


def drivers_faults(study: Study) -> list[str]:
    """Return why Sobol indices of a study cannot be computed, seen in the first block.

    Parameters
    ----------
    study : Study
    """
    drivers = study.scenario.drivers
    if drivers is None:
        return []
    for truth in study.truths:
        strategy = study.dosing[truth.id, drivers.strategy]
        if not strategy.doses(study.block(truth, strategy, 0)).given.all():
            return [
                f"drivers: some patients are given no dose under {drivers.strategy}: their AUC has "
                "no logarithm"
            ]
    return []


def trial_faults(study: Study) -> list[str]:
    """Return why the trial of a study cannot be computed, as far as no patient is needed.

    Parameters
    ----------
    study : Study
    """
    trial, outcome = study.scenario.trial, study.scenario.outcome
    if trial is None:
        return []
    faults = []
    if trial.among is not None and trial.among not in study.strata:
        names = ", ".join(study.strata)
        faults.append(f"trial.among: no stratum {trial.among!r}; there are {names}")
    if outcome is not None and outcome.exposure == "predicted" and trial.test != "binomial":
        kinds = {strategy.id: strategy.kind for strategy in study.scenario.strategies}
        adaptive = [arm for arm in trial.arms if kinds[arm] == "adaptive"]
        if adaptive:
            faults.append(
                f'trial.arms: {", ".join(adaptive)}: with exposure = "predicted" it is not defined '
                'what levels change; take "true"'
            )
    return faults
