"""Ratios of a benchmark run: a table a person reads, and floors that must be kept.

``python benchmarks/ratios.py RUN.json [--check] [--against OLD.json]``. RUN.json is written by
pytest-benchmark. Times depend on the machine and its mood; the ratio of two ways in the same run
depends on them much less, so that is what the floors in ``floors.toml`` are about. The time of a
way is its best round, which other work on the machine disturbs least. Groups below a floor are
measured a second time, for longer, before that counts.
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
"""Group -> way -> seconds per item."""

ROOT = Path(__file__).resolve().parents[1]
IN_THREADS = ", 2 threads"


def read(path: Path) -> tuple[Ways, dict[str, Any]]:
    """Times per item of a run, and the whole of it."""
    run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ways: Ways = {}
    for one in run["benchmarks"]:
        extra = one["extra_info"]
        ways.setdefault(one["group"], {})[extra["way"]] = one["stats"]["min"] / extra["items"]
    return ways, run


def machine(run: dict[str, Any]) -> str:
    """What a run ran on."""
    info = run["machine_info"]
    packages = ", ".join(f"{name} {version}" for name, version in info["packages"].items())
    return (
        f"{info['cpu'].get('brand_raw', info['machine'])}, {info['threads']} threads, load "
        f"{info['load']:.1f}, Python {info['python_version']}, {packages}, commit "
        f"{run['commit_info'].get('id', '')[:12]}"
    )


def own(found: dict[str, float]) -> str:
    """The way with which the others of a group are compared: ours, or the first."""
    return next((way for way in ("kernel", "fludapk") if way in found), next(iter(found)))


def table(ways: Ways, before: Ways | None = None) -> str:
    """Every way beside ours."""
    lines = []
    for group, found in ways.items():
        ours, old = own(found), (before or {}).get(group, {})
        lines += ["", f"### {group}", ""]
        lines += [f"| way | per item | {ours} is faster by |{' before |' if before else ''}"]
        lines += [f"|---|---:|---:|{'---:|' if before else ''}"]
        for way, seconds in sorted(found.items(), key=lambda item: item[1]):
            row = f"| {way} | {_time(seconds)} | {seconds / found[ours]:.3g} × |"
            if before:
                known = way in old and ours in old
                row += f" {old[way] / old[ours]:.3g} × |" if known else " - |"
            lines.append(row)
        for way in found:
            if way.endswith(IN_THREADS):
                efficiency = found[way.removesuffix(IN_THREADS)] / found[way] / 2
                lines += ["", f"{way}: parallel efficiency {efficiency:.0%}"]
    return "\n".join(lines).strip()


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def broken_floors(ways: Ways) -> dict[str, list[str]]:
    """Groups with ratios that are missing or below what is recorded."""
    faults: dict[str, list[str]] = {}
    floors = Path(__file__).with_name("floors.toml").read_text(encoding="utf-8")
    for floor in tomllib.loads(floors)["floors"]:
        group, slower = floor["group"], floor["than"]
        found = ways.get(group, {})
        faster = floor.get("way") or (own(found) if found else "ours")
        if faster not in found or slower not in found:
            if not floor.get("optional", False):
                faults.setdefault(group, []).append(f"{faster} or {slower} was not measured")
        elif found[slower] / found[faster] < floor["at_least"]:
            faults.setdefault(group, []).append(
                f"{faster} is {found[slower] / found[faster]:.3g} × as fast as {slower}, "
                f"at least {floor['at_least']:g} × is recorded"
            )
    return faults


def said(faults: dict[str, list[str]]) -> str:
    """One line per fault."""
    return "\n".join(f"{group}: {fault}" for group, some in faults.items() for fault in some)


def measured_again(run: dict[str, Any], groups: dict[str, list[str]]) -> Ways:
    """Some groups of a run, once more and for longer."""
    tests = [one["fullname"] for one in run["benchmarks"] if one["group"] in groups]
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
    asked = parser.parse_args()
    ways, run = read(asked.run)
    print(machine(run) + "\n")
    print(table(ways, read(asked.against)[0] if asked.against else None))
    if asked.check:
        faults = broken_floors(ways)
        if faults and faults.keys() <= ways.keys():
            print(f"\n{said(faults)}\nmeasured a second time:\n")
            again = measured_again(run, faults)
            print(table(again))
            faults = broken_floors(ways | again)
        print("\n" + (said(faults) or "every floor is kept"))
        sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
