"""Shards of a study: one part by itself, and parts merged to the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fludapk.errors import InputError
from fludapk.patients.population import Patients
from fludapk.studies.counts import Counts
from fludapk.studies.scenario import Scenario
from fludapk.studies.simulate import StudyResult
from fludapk.studies.study import Study

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


def on_cluster(study: Study, address: str) -> StudyResult:
    """Run a study on a cluster.

    Parameters
    ----------
    study : Study
    address : str
        Of the scheduler, for example ``"tcp://node1:8786"``. The workers need the same fludapk and
        the same models.

    Raises
    ------
    InputError
        Without dask.distributed, or if the cluster cannot be reached.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise InputError("Dask needs the extra: pip install 'fludapk[dask]'") from error
    try:
        client: Any = Client(address, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"no Dask cluster at {address}: {error}") from error
    with client:
        threads = sum(client.nthreads().values())
        parts = min(study.blocks, 2 * max(1, threads))
        scenario = study.scenario.model_dump(mode="json")
        futures = [
            client.submit(
                run_shard, scenario, (k + 1, parts), study.cohort, study.cohort_sha256,
                study.folders, pure=False,
            )
            for k in range(parts)
        ]  # fmt: skip
        states = client.gather(futures)
    return StudyResult(*merge(states))
