"""Speed of a list: rows per second of `fludapk batch`, from the command to the file of results.

Run ``python benchmarks/batch.py [--rows N] [--points LOG2] [--json FILE]``. The time includes
starting, reading, validating, simulating and writing; the processor time is that of all processors.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLUDAPK = [sys.executable, "-m", "fludapk"]
HEADER = "ID,AGE,SEX,WT,HT,scr_mg_dl,regimen,ward"
REGIMENS = ("tisa_cel_ball", "axi_cel", "tisa_cel_lbcl", "hct_160")


def patients(n: int) -> str:
    """Return a list of n children and adults as CSV, the same each time."""
    draw = random.Random(1)
    lines = [HEADER]
    for k in range(n):
        age = draw.uniform(1, 80)
        height = 76 + 5.8 * min(age, 17) + draw.uniform(-3, 3)
        weight = draw.uniform(16, 28 if age > 2 else 20) * (height / 100) ** 2
        lines.append(
            f"p{k},{age:.1f},{draw.choice(('female', 'male'))},{weight:.1f},{height:.0f},"
            f"{draw.uniform(0.3, 1.6):.2f},{draw.choice(REGIMENS)},{k % 7}"
        )
    return "\n".join(lines) + "\n"


def processor_time() -> float:
    """Return the seconds that all processors spent in commands that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure once, after a short list that is not timed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--points", type=int, help="as for fludapk batch; 9 if absent")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # who installs it has every module compiled
    with tempfile.TemporaryDirectory() as folder:
        source, results = Path(folder) / "list.csv", Path(folder) / "results.csv"
        command = [*FLUDAPK, "batch", str(source), "-o", str(results)]
        command += ["--points", str(arguments.points)] if arguments.points else []
        source.write_text(patients(10), encoding="utf-8")
        subprocess.run(command, check=True, capture_output=True)
        source.write_text(patients(arguments.rows), encoding="utf-8")
        begun, used = time.perf_counter(), processor_time()
        subprocess.run(command, check=True, capture_output=True)
        seconds, processors = time.perf_counter() - begun, processor_time() - used
        with results.open(encoding="utf-8") as file:
            assert sum(1 for _ in file) == arguments.rows + 1
    record = {
        "rows": arguments.rows,
        "seconds": seconds,
        "rows_per_second": arguments.rows / seconds,
        "processor_ms_per_row": processors / arguments.rows * 1000,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(
        f"{record['rows']} rows in {seconds:.1f} s: {record['rows_per_second']:.0f} rows/s, "
        f"{record['processor_ms_per_row']:.2f} ms of processor time per row, "
        f"{record['processors']} processors"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
