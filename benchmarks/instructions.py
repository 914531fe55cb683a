"""Instructions per subject, of kernels and of the same arithmetic in C: free of noise.

``python benchmarks/instructions.py [--json FILE]`` counts with ``valgrind --tool=callgrind``, which
sees compiled kernels as it sees C. Counting is switched on around a call only, for n and for 2 n
subjects, so that what a call costs once cancels. Skipped without valgrind or a C compiler.
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
    """What is counted, each for a number of subjects."""
    import numpy as np

    from benchmarks import test_kernels as kernels

    def exposure(run: Callable[..., Any], variability: str) -> Callable[[int], Any]:
        return lambda n: run(kernels.COHORT.part(slice(n)), variability)

    def course(run: Callable[..., Any], grid: str) -> Callable[[int], Any]:
        times = kernels.GRIDS[grid]
        return lambda n: run(kernels.COHORT.part(slice(n)), times, np.empty((n, times.size)))

    found: dict[str, Callable[[int], Any]] = {}
    for variability in kernels.VARIABILITY:
        name = f"exposure of 4 doses, variability: {variability}"
        found[f"{name}; kernel"] = exposure(kernels.run_kernel, variability)
        found[f"{name}; C"] = exposure(kernels.run_c, variability)
    for grid in kernels.GRIDS:
        found[f"concentrations at {grid}; kernel"] = course(kernels.conc_kernel, grid)
        found[f"concentrations at {grid}; C"] = course(kernels.conc_c, grid)
    return found


def inside(library: str) -> None:
    """Call everything, under valgrind."""
    switch = ctypes.CDLL(library)
    for name, run in work().items():
        run(SUBJECTS)  # compiles, and touches the memory
        for n in (SUBJECTS, 2 * SUBJECTS):
            switch.on()
            run(n)
            switch.off(f"{name}; {n}".encode())


def counted() -> dict[str, float] | str:
    """Instructions per subject, or why they were not counted."""
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
            total = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
            if trigger and total:
                totals.setdefault(trigger[1], {})[int(trigger[2])] = int(total[1])
    return {
        name: (of[2 * SUBJECTS] - of[SUBJECTS]) / SUBJECTS for name, of in sorted(totals.items())
    }


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        inside(asked.inside)
        return
    found = counted()
    if isinstance(found, str):
        print(found)
        sys.exit(found.startswith("failed"))
    print("| work | instructions per subject |\n|---|---:|")
    for name, count in found.items():
        print(f"| {name} | {count:.0f} |")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
