"""Changed requests in large numbers, and signals: nothing may end in an internal error.

Run ``python benchmarks/attack.py [--requests N] [--signals N] [--seed S]`` (`make attack`). Every
request of the doors for one patient and for lists is a worked example with fields, cells or bytes
changed by a seed; what was sent is printed where the answer is an internal error. A signal ends a
list at a random moment; nothing but the list may be left in its folder.
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

from asking import ask  # noqa: E402
from hostile.mutations import DOORS, asked, list_of, text_of  # noqa: E402

from fludapk.web.api import BATCH  # noqa: E402

LINE = "a,5,female,18.2,110,0.3,tisa_cel_ball\n"
HEAD = "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen\n"


def requests(door: str, many: int, seed: int) -> tuple[Counter[int], float]:
    """Ask a door; return how often each status was answered, and the longest time, s."""
    rng = random.Random(f"{door} {seed}")
    statuses: Counter[int] = Counter()
    longest = 0.0
    for _ in range(many):
        begun = time.perf_counter()
        if door == "list":
            content = list_of(rng)
            status = ask("POST", BATCH, files={"file": ("list.csv", content)}).status_code
        else:
            content = text_of(asked(door, rng), rng)
            header = {"content-type": "application/json"}
            status = ask("POST", DOORS[door], content=content, headers=header).status_code
        longest = max(longest, time.perf_counter() - begun)
        statuses[status] += 1
        if status >= 500:
            print(f"{door}: {status} for {content[:2000]!r}")
    return statuses, longest


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
    options = parser.parse_args()
    failed = 0
    for door in (*DOORS, "list"):
        statuses, longest = requests(door, options.requests, options.seed)
        failed += sum(n for status, n in statuses.items() if status >= 500)
        said = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
        print(f"{door:8s} {options.requests} requests: {said}; the longest {longest:.2f} s")
    left = left_by_signals(options.signals, options.seed)
    print(f"signals  {options.signals}: {left} left a file behind")
    sys.exit(bool(failed or left))


if __name__ == "__main__":
    main()
