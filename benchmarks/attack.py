"""Changed requests in large numbers, and signals: nothing may end in an internal error.

Run ``python benchmarks/attack.py [--requests N] [--signals N] [--seed S] [--doors D ...]``
(`make attack`). What is sent to every door is a worked example with fields, cells, keys or bytes
changed by a seed (`tests/hostile/mutations.py`); it is printed where it ends in an internal error.
A signal ends a list at a random moment; nothing but the list may be left in its folder.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hostile.mutations import DOORS  # noqa: E402

LINE = "a,5,female,18.2,110,0.3,tisa_cel_ball\n"
HEAD = "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen\n"


def attacked(door: str, many: int, seed: int) -> tuple[Counter[str], float, int]:
    """Try a door so often, each time with something else.

    Returns
    -------
    outcomes : Counter of str
    longest : float
        s.
    failed : int
        Internal errors.
    """
    rng = random.Random(f"{door} {seed}")
    outcomes: Counter[str] = Counter()
    longest, failed = 0.0, 0
    sent: set[str] = set()
    while len(sent) < many:
        begun = time.perf_counter()
        tried = DOORS[door](rng)
        longest = max(longest, time.perf_counter() - begun)
        if tried.sent in sent:
            continue
        sent.add(tried.sent)
        outcomes[tried.outcome] += 1
        if tried.is_internal:
            failed += 1
            print(f"{door}: {tried.outcome} for {tried.sent[:3000]}", flush=True)
    return outcomes, longest, failed


def left_by_signals(many: int, seed: int) -> int:
    """Return how many lists that were ended by a signal left a file."""
    rng = random.Random(seed)
    bad = 0
    for _ in range(many):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "list.csv").write_text(HEAD + LINE * 20_000)
            process = subprocess.Popen(
                [sys.executable, "-m", "fludapk", "batch", "list.csv", "-o", "out.csv"],
                cwd=folder, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            time.sleep(rng.uniform(0.05, 2.0))
            process.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
            process.wait(60)
            left = sorted(path.name for path in Path(folder).iterdir())
            bad += left not in (["list.csv"], ["list.csv", "out.csv"])
    return bad


def main() -> None:
    """Attack, print a table, and fail if anything came through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--signals", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doors", nargs="*", default=list(DOORS), choices=list(DOORS))
    options = parser.parse_args()
    failed = 0
    for door in options.doors:
        outcomes, longest, internal = attacked(door, options.requests, options.seed)
        failed += internal
        each = ", ".join(f"{outcome}: {n}" for outcome, n in sorted(outcomes.items()))
        print(f"{door:10s} {options.requests}: {each}; the longest {longest:.2f} s", flush=True)
    left = left_by_signals(options.signals, options.seed)
    print(f"signals  {options.signals}: {left} left a file behind")
    sys.exit(bool(failed or left))


if __name__ == "__main__":
    main()
