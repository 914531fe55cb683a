"""Ratios of a benchmark run: a table to read, and floors that must be kept.

``python benchmarks/ratios.py RUN.json [--check] [--against OLD.json]``. RUN.json is written by
pytest-benchmark. Times depend on the machine and its load; the ratio of two ways to do the same
work in the same run depends on them much less, so the floors in ``floors.toml`` are ratios. The
time of a way is its best round, which other work on the machine disturbs least. Groups below a
floor are measured a second time, for longer, before they count as broken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

Ways = dict[str, dict[str, float]]
"""Group -> way to do its work -> seconds per item."""

ROOT = Path(__file__).resolve().parents[1]
IN_THREADS = ", 2 threads"


def read(path: Path) -> tuple[Ways, dict[str, Any]]:
    """Return the times per item of a run, and its whole JSON."""
    run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ways: Ways = {}
    for record in run["benchmarks"]:
        extra = record["extra_info"]
        seconds = record["stats"]["min"] / extra["items"]
        ways.setdefault(record["group"], {})[extra["way"]] = seconds
    return ways, run


def machine(run: dict[str, Any]) -> str:
    """Describe the machine and the packages of a run in a line."""
    info = run["machine_info"]
    packages = ", ".join(f"{name} {version}" for name, version in info["packages"].items())
    return (
        f"{info['cpu'].get('brand_raw', info['machine'])}, {info['threads']} threads, load "
        f"{info['load']:.1f}, Python {info['python_version']}, {packages}, commit "
        f"{run['commit_info'].get('id', '')[:12]}"
    )


def reference_way(times: dict[str, float]) -> str:
    """Return the way that others of a group are compared with: that of fludapk, or the first."""
    return next((way for way in ("kernel", "fludapk") if way in times), next(iter(times)))


def table(ways: Ways, before: Ways | None = None) -> str:
    """Return a table of every way beside that of fludapk."""
    lines = []
    for group, times in ways.items():
        ours, old = reference_way(times), (before or {}).get(group, {})
        lines += ["", f"### {group}", ""]
        lines += [f"| way | per item | {ours} is faster by |{' before |' if before else ''}"]
        lines += [f"|---|---:|---:|{'---:|' if before else ''}"]
        for way, seconds in sorted(times.items(), key=lambda item: item[1]):
            row = f"| {way} | {_time(seconds)} | {seconds / times[ours]:.3g} × |"
            if before:
                has_ratio = way in old and ours in old
                row += f" {old[way] / old[ours]:.3g} × |" if has_ratio else " - |"
            lines.append(row)
        for way in times:
            if way.endswith(IN_THREADS):
                efficiency = times[way.removesuffix(IN_THREADS)] / times[way] / 2
                lines += ["", f"{way}: parallel efficiency {efficiency:.0%}"]
    return "\n".join(lines).strip()


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def broken_floors(ways: Ways) -> dict[str, list[str]]:
    """Return the faults of each group with ratios that are missing or below their floors."""
    faults: dict[str, list[str]] = {}
    floors = Path(__file__).with_name("floors.toml").read_text(encoding="utf-8")
    for floor in tomllib.loads(floors)["floors"]:
        group, slower = floor["group"], floor["than"]
        times = ways.get(group, {})
        faster = floor.get("way") or (reference_way(times) if times else "ours")
        if faster not in times or slower not in times:
            if not floor.get("optional", False):
                faults.setdefault(group, []).append(f"{faster} or {slower} was not measured")
        elif times[slower] / times[faster] < floor["at_least"]:
            faults.setdefault(group, []).append(
                f"{faster} is {times[slower] / times[faster]:.3g} × as fast as {slower}, "
                f"at least {floor['at_least']:g} × is recorded"
            )
    return faults


def lines_of(faults: dict[str, list[str]]) -> str:
    """Return one line per fault."""
    return "\n".join(f"{group}: {fault}" for group in faults for fault in faults[group])


def measured_again(run: dict[str, Any], groups: dict[str, list[str]]) -> Ways:
    """Measure some groups of a run once more and for longer."""
    tests = [record["fullname"] for record in run["benchmarks"] if record["group"] in groups]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.json"
        rounds = ["--benchmark-max-time=1", "--benchmark-min-rounds=5"]
        command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts="]
        subprocess.run(
            [*command, f"--benchmark-json={path}", *rounds, *tests],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return read(path)[0]


def main() -> None:
    """Print the table; with --check fail if a floor is broken twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    ways, run = read(arguments.run)
    print(machine(run) + "\n")
    print(table(ways, read(arguments.against)[0] if arguments.against else None))
    if arguments.check:
        faults = broken_floors(ways)
        if faults and faults.keys() <= ways.keys():
            print(f"\n{lines_of(faults)}\nmeasured a second time:\n")
            again = measured_again(run, faults)
            print(table(again))
            faults = broken_floors(ways | again)
        print("\n" + (lines_of(faults) or "every floor is kept"))
        sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
