"""A study on a Dask cluster: the shards of one run, merged to the same bytes.

dask.distributed is the optional extra ``dask``.
"""

from __future__ import annotations

from typing import Any

from fludapk.errors import InputError
from fludapk.studies import StudyResult
from fludapk.study import Study, merge, run_shard


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
        raise InputError("--dask needs the extra: pip install 'fludapk[dask]'") from error
    try:
        client: Any = Client(address, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"--dask {address}: no cluster there: {error}") from error
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
