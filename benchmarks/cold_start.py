"""Waiting time of a user: medians of whole commands, as ratios within one run.

Run ``python benchmarks/cold_start.py [--runs N] [--slack FACTOR] [--json FILE]``. The limits are
those the project has set itself: check at most 2.5 times ``import numpy, numba, pydantic``, help at
most 4 times ``import click``; with nothing compiled a check may take 20 times the imports and an
update, which needs all kernels, 45 times. Rounds are interleaved, so that a slow moment of
the machine affects every command. `--slack` widens the limits, so that a few rounds on a busy
machine do not fail by chance.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLUDAPK = [str(Path(sys.executable).with_name("fludapk"))]
GIRL = {
    "--age": "5",
    "--sex": "female",
    "--weight": "18.2",
    "--height": "110",
    "--scr": "0.3 mg/dL",
    "--regimen": "tisa_cel_ball",
}
CHECK = [*FLUDAPK, "check", *(word for pair in GIRL.items() for word in pair)]
COMMANDS = {
    "import numpy, numba, pydantic": [sys.executable, "-c", "import numpy, numba, pydantic"],
    "fludapk check": CHECK,
    "import click": [sys.executable, "-c", "import click"],
    "fludapk --help": [*FLUDAPK, "--help"],
}
LEVELS = ["--level", "1h 0.85mg/L", "--level", "2h 0.52mg/L", "--level", "7h 0.15mg/L"]
UPDATE = [FLUDAPK[0], "update", *CHECK[2:], *LEVELS]
COMPILING = {
    "fludapk check, nothing compiled": CHECK,
    "fludapk update, nothing compiled": UPDATE,  # compiles all kernels
}
LIMITS = {
    ("fludapk check", "import numpy, numba, pydantic"): 2.5,
    ("fludapk --help", "import click"): 4.0,
    ("fludapk check, nothing compiled", "import numpy, numba, pydantic"): 20.0,
    ("fludapk update, nothing compiled", "import numpy, numba, pydantic"): 45.0,
}


def seconds_of(command: list[str], cache: str | None = None) -> float:
    """Return the wall time of a command, with its own folder of compiled kernels if given."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - begun


def measure(runs: int) -> dict[str, float]:
    """Return the median wall time of each command in seconds, after one round that is not timed.

    Compiling takes long, so it is measured in a third of the rounds only.
    """
    times: dict[str, list[float]] = {name: [] for name in [*COMMANDS, *COMPILING]}
    for round_number in range(runs + 1):
        for name, command in COMMANDS.items():
            seconds = seconds_of(command)
            if round_number:
                times[name].append(seconds)
        if round_number % 3 == 1:
            for name, command in COMPILING.items():
                with tempfile.TemporaryDirectory() as empty:
                    times[name].append(seconds_of(command, empty))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, print a table, and fail if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # who installs it has every module compiled
    medians = measure(arguments.runs)
    for name, seconds in medians.items():
        print(f"{name:32s} {seconds:7.3f} s")
    ratios: dict[tuple[str, str], float] = {}
    limits = {pair: arguments.slack * limit for pair, limit in LIMITS.items()}
    for (name, baseline), limit in limits.items():
        ratio = ratios[name, baseline] = medians[name] / medians[baseline]
        word = "ok" if ratio <= limit else "TOO SLOW"
        print(f"{name} / {baseline}: {ratio:.2f} (limit {limit:g}) {word}")
    if arguments.json:
        record = {
            "python": platform.python_version(),
            "seconds": medians,
            "ratios": {name: ratio for (name, _), ratio in ratios.items()},
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(ratios[pair] > limit for pair, limit in limits.items()))


if __name__ == "__main__":
    main()
