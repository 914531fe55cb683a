"""Set-up of benchmarks: one thread for numpy; versions and load of the machine in the JSON."""

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
