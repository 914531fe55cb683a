"""How long a person waits: medians of whole commands, as ratios within one run.

Run ``python benchmarks/cold_start.py [--runs N] [--json FILE]``. The limits are those the project
has set itself: check at most 2.5 times ``import numpy, numba, pydantic``, help at most 4 times
``import click``. Rounds are interleaved, so that a slow moment of the machine hits every command.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

FLUDAPK = str(Path(sys.executable).with_name("fludapk"))
GIRL = {
    "--age": "5",
    "--sex": "female",
    "--weight": "18.2",
    "--height": "110",
    "--scr": "0.3 mg/dL",
    "--regimen": "tisa_cel_ball",
}
COMMANDS = {
    "import numpy, numba, pydantic": [sys.executable, "-c", "import numpy, numba, pydantic"],
    "fludapk check": [FLUDAPK, "check", *(word for pair in GIRL.items() for word in pair)],
    "import click": [sys.executable, "-c", "import click"],
    "fludapk --help": [FLUDAPK, "--help"],
}
LIMITS = {
    ("fludapk check", "import numpy, numba, pydantic"): 2.5,
    ("fludapk --help", "import click"): 4.0,
}


def measure(runs: int) -> dict[str, float]:
    """Median wall time of each command in seconds, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_number in range(runs + 1):
        for name, command in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if round_number:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, print a table, and fail if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    medians = measure(arguments.runs)
    for name, seconds in medians.items():
        print(f"{name:32s} {seconds:7.3f} s")
    ratios = {}
    for (name, baseline), limit in LIMITS.items():
        ratio = ratios[name] = medians[name] / medians[baseline]
        word = "ok" if ratio <= limit else "TOO SLOW"
        print(f"{name} / {baseline}: {ratio:.2f} (limit {limit:g}) {word}")
    if arguments.json:
        record = {"python": platform.python_version(), "seconds": medians, "ratios": ratios}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(ratios[name] > limit for (name, _), limit in LIMITS.items()))


if __name__ == "__main__":
    main()
