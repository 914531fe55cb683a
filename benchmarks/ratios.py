"""Ratios of a benchmark run: a table a person reads, and floors that a kernel must keep.

``python benchmarks/ratios.py RUN.json [--check] [--against OLD.json]``. RUN.json is written by
pytest-benchmark. Times depend on the machine and its mood; the ratio of two ways in the same run
depends on them much less, so that is what the floors in ``floors.toml`` are about.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

Ways = dict[str, dict[str, float]]
"""Group -> way -> seconds per item (median)."""


def read(path: Path) -> tuple[Ways, str]:
    """Times per item of a run, and what it ran on."""
    run = json.loads(path.read_text(encoding="utf-8"))
    ways: Ways = {}
    for one in run["benchmarks"]:
        extra = one["extra_info"]
        per_item = one["stats"]["median"] / extra["items"]
        ways.setdefault(one["group"], {})[extra["way"]] = per_item
    machine = run["machine_info"]
    about = (
        f"{machine['cpu'].get('brand_raw', machine['machine'])}, Python {machine['python_version']}"
    )
    versions = run["commit_info"].get("id", "")[:12]
    return ways, f"{about}, commit {versions}"


def table(ways: Ways, before: Ways | None = None) -> str:
    """Every way beside the first of its group, in ns per item."""
    lines = []
    for group, found in ways.items():
        extra = (" before |", "---:|") if before else ("", "")
        lines += ["", f"### {group}", "", f"| way | per item | kernel is faster by |{extra[0]}"]
        lines += [f"|---|---:|---:|{extra[1]}"]
        for way, seconds in sorted(found.items(), key=lambda item: item[1]):
            ratio = seconds / found["kernel"]
            row = f"| {way} | {_time(seconds)} | {ratio:.3g} × |"
            if before:
                old = before.get(group, {})
                known = way in old and "kernel" in old
                row += f" {old[way] / old['kernel']:.3g} × |" if known else " - |"
            lines.append(row)
    return "\n".join(lines).strip()


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def broken_floors(ways: Ways, floors: Path) -> list[str]:
    """Ratios that are missing or below what is recorded."""
    faults = []
    for floor in tomllib.loads(floors.read_text(encoding="utf-8"))["floors"]:
        found = ways.get(floor["group"], {})
        faster, slower = floor.get("way", "kernel"), floor["than"]
        if faster not in found or slower not in found:
            if not floor.get("optional", False):
                faults.append(f"{floor['group']}: {faster} or {slower} was not measured")
        elif found[slower] / found[faster] < floor["at_least"]:
            faults.append(
                f"{floor['group']}: {faster} is {found[slower] / found[faster]:.3g} × as fast as "
                f"{slower}, at least {floor['at_least']:g} × is recorded"
            )
    return faults


def main() -> None:
    """Print the table; with --check fail if a floor is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against", type=Path)
    asked = parser.parse_args()
    ways, about = read(asked.run)
    print(about + "\n")
    print(table(ways, read(asked.against)[0] if asked.against else None))
    if asked.check:
        faults = broken_floors(ways, Path(__file__).with_name("floors.toml"))
        print("\n" + ("\n".join(faults) or "every floor is kept"))
        sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
