"""Shards of a study: parts run by themselves, and merged to the same bytes as a whole run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from fludapk.errors import InputError
from fludapk.patients.population import Patients
from fludapk.studies.counts import Counts
from fludapk.studies.records import StudyProvenance
from fludapk.studies.scenario import Scenario
from fludapk.studies.simulate import StudyResult
from fludapk.studies.study import Study

SCHEMA: Final = "fludapk.study.shard/2"


@dataclass(frozen=True, eq=False)
class Shard:
    """Counts of a part of the patients of a study.

    Parameters
    ----------
    provenance : StudyProvenance
        Provenance of the whole study.
    part : (int, int)
        Number of the part, from 1, and number of parts.
    counts : sequence of Counts
        Counts of each truth and strategy, truths first.
    """

    provenance: StudyProvenance
    part: tuple[int, int]
    counts: Sequence[Counts]

    def to_json(self) -> str:
        """Return the shard as a JSON document."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "run": self.provenance.to_dict(),
                "shard": list(self.part),
                "counts": [counts.to_dict() for counts in self.counts],
            }
        )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a shard from its file.

        Parameters
        ----------
        path : str or Path
            File written from `to_json`.

        Raises
        ------
        InputError
            If it cannot be read, or is no shard.
        """
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise InputError(f"{path}: is not a shard of a study")
        provenance = StudyProvenance.from_dict(raw["run"], str(path))
        number, parts = raw["shard"]
        return cls(
            provenance, (number, parts), [Counts.from_dict(table) for table in raw["counts"]]
        )


def merge(shards: Sequence[Shard]) -> StudyResult:
    """Merge all shards of a study, as if it had been run at once.

    Parameters
    ----------
    shards : sequence of Shard
        All parts of one study, in any order.

    Raises
    ------
    InputError
        If shards are missing, twice there, or of different studies.
    """
    if not shards:
        raise InputError("no shards to merge")
    first = shards[0]
    faults = []
    if any(shard.provenance != first.provenance for shard in shards):
        faults.append("the shards are of different scenarios, versions or models")
    parts = {shard.part[1] for shard in shards}
    numbers = sorted(shard.part[0] for shard in shards)
    if len(parts) > 1:
        faults.append(f"the shards are of {' and '.join(map(str, sorted(parts)))} parts")
    else:
        missing = sorted(set(range(1, max(parts) + 1)) - set(numbers))
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        faults += [f"missing shards: {', '.join(map(str, missing))}"] if missing else []
        faults += [f"shards twice: {', '.join(map(str, twice))}"] if twice else []
    if faults:
        raise InputError(*faults)
    merged = list(first.counts)
    for shard in shards[1:]:
        merged = [total.plus(part) for total, part in zip(merged, shard.counts, strict=True)]
    return StudyResult(run=first.provenance, counts=merged)


def run_shard(
    scenario: Scenario,
    part: tuple[int, int],
    cohort: Patients | None = None,
    cohort_sha256: str | None = None,
    folders: Sequence[Path] | None = None,
) -> Shard:
    """Run a part of a study by itself, for another process or machine; see `merge`.

    Parameters
    ----------
    scenario : Scenario
    part : (int, int)
        Number of the part, from 1, and number of parts.
    cohort, cohort_sha256, folders
        See `fludapk.studies.study.Study`.
    """
    study = Study(scenario, cohort, cohort_sha256, folders)
    counts = [
        study.run(truth, strategy.id, shard=part, threads=1)
        for truth in study.truths
        for strategy in study.scenario.strategies
    ]
    return Shard(study.provenance, part, counts)


def on_cluster(study: Study, address: str) -> StudyResult:
    """Run a study on a Dask cluster.

    Parameters
    ----------
    study : Study
    address : str
        Address of the scheduler, for example ``"tcp://node1:8786"``. Its workers need the
        same version of fludapk and the same models.

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
        futures = [
            client.submit(
                run_shard, study.scenario, (k + 1, parts), study.cohort, study.cohort_sha256,
                study.folders, pure=False,
            )
            for k in range(parts)
        ]  # fmt: skip
        shards = client.gather(futures)
    return merge(shards)
