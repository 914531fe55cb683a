"""Shards of a study: parts run by themselves, and merged to the same bytes as a whole run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from fludapk._version import __version__
from fludapk.answers.record import hash_of
from fludapk.errors import InputError
from fludapk.patients.population import Patients
from fludapk.published.models import load_model, model_paths
from fludapk.studies.blocks import all_strategies, edges_of, shard_range
from fludapk.studies.counts import Counts
from fludapk.studies.outputs import checked_document
from fludapk.studies.records import StudyProvenance
from fludapk.studies.scenario import Scenario
from fludapk.studies.simulate import StudyResult
from fludapk.studies.study import BLOCK, Study

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
        table = {
            "schema": SCHEMA,
            "run": self.provenance.to_dict(),
            "shard": list(self.part),
            "counts": [counts.to_dict() for counts in self.counts],
        }
        return json.dumps(table | {"sha256": hash_of(table)})

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
        raw = checked_document(path)
        if raw.get("schema") != SCHEMA:
            raise InputError(f"{path}: is not a shard of a study by this version of fludapk")
        try:
            number, parts = (int(k) for k in raw["shard"])
            counts = [Counts.from_dict(table) for table in raw["counts"]]
            provenance = StudyProvenance.from_dict(raw["run"], str(path))
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"{path}: is not a shard of a study: {error}") from error
        shard = cls(provenance, (number, parts), counts)
        faults = shard.faults()
        if faults:
            raise InputError(*(f"{path}: {fault}" for fault in faults))
        return shard

    def faults(self) -> list[str]:
        """Return what cannot be true of the shard: counts, blocks, version."""
        run = self.provenance
        scenario = run.scenario
        expected = [(m, s.id) for m in scenario.models for s in all_strategies(scenario)]
        faults = []
        if [(counts.truth, counts.strategy) for counts in self.counts] != expected:
            faults.append("holds other models or strategies than its scenario")
        if (run.version, run.block) != (__version__, BLOCK):
            faults.append(
                f"was made by fludapk {run.version} in blocks of {run.block}; this is "
                f"{__version__} with blocks of {BLOCK}: merge with the version that made it"
            )
        if scenario.patients not in (None, run.patients) or run.seed != scenario.seed:
            faults.append("has another seed or number of patients than its scenario")
        number, parts = self.part
        if not 1 <= number <= parts:
            return [*faults, f"shard {number}/{parts}: from 1/{parts} to {parts}/{parts}"]
        blocks = -(-run.patients // BLOCK)
        todo = shard_range(self.part, blocks)
        patients = min(run.patients, todo.stop * BLOCK) - todo.start * BLOCK
        outer = scenario.variability.parameter_uncertainty
        for counts in self.counts:
            about = f"{counts.strategy} ({counts.truth}): cannot be true"
            faults += [f"{about}: {fault}" for fault in counts.faults(max(patients, 0))]
            if len(counts.outer) != outer:
                faults.append(f"{about}: {len(counts.outer)} draws of parameters, not {outer}")
            if counts.edges != edges_of(scenario):
                faults.append(f"{about}: it has other limits than its scenario")
        return faults


def merge(shards: Sequence[Shard], folders: Sequence[Path] | None = None) -> StudyResult:
    """Merge all shards of a study, as if it had been run at once.

    Parameters
    ----------
    shards : sequence of Shard
        All parts of one study, in any order.
    folders : sequence of Path, optional
        Folders of model files; see `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If shards are missing, twice there, of different studies, or cannot be true; if a model is
        not the one that they were made with.
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
    faults += [fault for shard in shards for fault in shard.faults()]
    faults += _other_models(first.provenance, folders)
    if faults:
        raise InputError(*dict.fromkeys(faults))
    merged = list(first.counts)
    for shard in shards[1:]:
        merged = [total.plus(part) for total, part in zip(merged, shard.counts, strict=True)]
    return StudyResult(run=first.provenance, counts=merged)


def _other_models(run: StudyProvenance, folders: Sequence[Path] | None) -> list[str]:
    """Name the models that are not here as they were when the shards were made."""
    paths = model_paths(folders)
    faults = []
    for name, sha256 in run.model_sha256.items():
        if name not in paths:
            faults.append(f"model {name} of the shards is not here: give {{models_dir}}")
        elif load_model(name, folders).sha256 != sha256:
            faults.append(f"model {name} of the shards has another hash than the one here")
    return faults


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
        for strategy in study.strategies
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
    return merge(shards, study.folders)
