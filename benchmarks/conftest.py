"""One thread for numpy too; and what a run is to be judged by, written into its JSON."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

PACKAGES = ("fludapk", "llvmlite", "numba", "numpy", "pandas", "pytest-benchmark", "scipy")


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    machine_info["packages"] = {name: version(name) for name in PACKAGES}
    machine_info["threads"] = len(os.sched_getaffinity(0))
    machine_info["load"] = os.getloadavg()[0]
