"""Instructions per subject, of kernels and of the same arithmetic in C: independent of load.

``python benchmarks/instructions.py [--json FILE]`` counts with ``valgrind --tool=callgrind``, which
counts compiled kernels as it counts C. Counting is switched on around a call only, for n and for
2 n subjects, so that the fixed cost of a call cancels. Skipped without valgrind or a C compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS = 512
SWITCH = """
#include <valgrind/callgrind.h>
void on(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void off(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""


def work() -> dict[str, Callable[[int], Any]]:
    """Return the functions to count, by name; each takes a number of subjects."""
    import numpy as np

    from benchmarks import test_kernels as kernels

    def exposure(run: Callable[..., Any], variability: str) -> Callable[[int], Any]:
        return lambda n: run(kernels.COHORT.part(slice(n)), variability)

    def course(run: Callable[..., Any], grid: str) -> Callable[[int], Any]:
        times = kernels.GRIDS[grid]
        return lambda n: run(kernels.COHORT.part(slice(n)), times, np.empty((n, times.size)))

    functions: dict[str, Callable[[int], Any]] = {}
    for variability in kernels.VARIABILITY:
        name = f"exposure of 4 doses, variability: {variability}"
        functions[f"{name}; kernel"] = exposure(kernels.run_kernel, variability)
        functions[f"{name}; C"] = exposure(kernels.run_c, variability)
    for grid in kernels.GRIDS:
        functions[f"concentrations at {grid}; kernel"] = course(kernels.conc_kernel, grid)
        functions[f"concentrations at {grid}; C"] = course(kernels.conc_c, grid)
    return functions


def inside(library: str) -> None:
    """Call every function, under valgrind."""
    switch = ctypes.CDLL(library)
    for name, run in work().items():
        run(SUBJECTS)  # compiles, and touches the memory first
        for n in (SUBJECTS, 2 * SUBJECTS):
            switch.on()
            run(n)
            switch.off(f"{name}; {n}".encode())


def counted() -> dict[str, float] | str:
    """Count instructions per subject, or return why they were not counted."""
    valgrind, compiler = shutil.which("valgrind"), shutil.which("cc")
    if valgrind is None or compiler is None:
        return "skipped: needs valgrind and a C compiler"
    with tempfile.TemporaryDirectory(prefix="fludapk-instructions-") as folder:
        source, library, out = (Path(folder) / name for name in ("on.c", "on.so", "out"))
        source.write_text(SWITCH, encoding="utf-8")
        build = [compiler, "-shared", "-fPIC", "-o", str(library), str(source)]
        if subprocess.run(build, capture_output=True, check=False).returncode:
            return "skipped: needs valgrind/callgrind.h"
        tool = [valgrind, "-q", "--tool=callgrind", "--instr-atstart=no"]
        python = [sys.executable, "-m", "benchmarks.instructions", "--inside", str(library)]
        command = [*tool, f"--callgrind-out-file={out}", *python]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            return f"failed under valgrind: {last}"
        totals: dict[str, dict[int, int]] = {}
        for file in Path(folder).glob("out.*"):
            text = file.read_text(encoding="utf-8")
            trigger = re.search(r"^desc: Trigger: Client Request: (.*); (\d+)$", text, re.M)
            count = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
            if trigger and count:
                totals.setdefault(trigger[1], {})[int(trigger[2])] = int(count[1])
    return {
        name: (total[2 * SUBJECTS] - total[SUBJECTS]) / SUBJECTS
        for name, total in sorted(totals.items())
    }


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments.inside)
        return
    counts = counted()
    if isinstance(counts, str):
        print(counts)
        sys.exit(counts.startswith("failed"))
    print("| work | instructions per subject |\n|---|---:|")
    for name, count in counts.items():
        print(f"| {name} | {count:.0f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
