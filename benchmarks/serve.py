"""`fludapk serve` under load: cost of a request beside the call, and requests per second.

Run ``python benchmarks/serve.py [--minutes M | --requests N] [--connections N] [--json FILE]``. It
starts a server of its own. Every answer must be 200 and that of the command line to the byte; the
median of one connection is at most 10 times the call in this process, and memory does not grow.
Where other work shares the machine, judge by CPU time per request: of the server with the process
that computes beside it, and of this process, which sends the requests from the same cores.
"""

import argparse
import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fludapk.answers.check_records import CheckResult
from fludapk.web.api import GIRL
from fludapk.web.asked import CheckAsked

BODY = json.dumps(GIRL).encode()
HEADERS = {"content-type": "application/json"}
LIMIT = 10.0
"""Largest ratio of a request to the call."""
GROWTH_MIB = 20.0
"""Largest growth of memory."""


def in_process(runs: int) -> float:
    """Return the median seconds of a check in this process."""
    request = CheckAsked.model_validate(GIRL)
    request.answer()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        request.answer().to_json()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def hammer(
    port: int, until: float, limit: float, times: list[float], errors: list[str], expected: bytes
) -> None:
    """Send requests over one connection until a moment, or until all connections reach a limit."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.perf_counter() < until and len(times) < limit:
        begun = time.perf_counter()
        try:
            connection.request("POST", "/api/v1/check", BODY, HEADERS)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            errors.append(repr(error))
            return
        if response.status != 200:
            errors.append(f"{response.status}")
        elif answer != expected:
            errors.append("another answer")
        times.append(time.perf_counter() - begun)
    connection.close()


def load(
    port: int, connections: int, seconds: float, expected: bytes, limit: float = math.inf
) -> tuple[list[float], list[str], float]:
    """Return the seconds of each request, errors, and seconds in all."""
    times: list[float] = []
    errors: list[str] = []
    begun = time.perf_counter()
    threads = [
        threading.Thread(
            target=hammer, args=(port, begun + seconds, limit, times, errors, expected)
        )
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, errors, time.perf_counter() - begun


def family(pid: int) -> dict[int, list[str]]:
    """Return the fields of a process and of its children on Linux, from the state on."""
    every = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended since
            every[int(stat.parent.name)] = stat.read_text("utf-8").rpartition(")")[2].split()
    return {own: fields for own, fields in every.items() if own == pid or int(fields[1]) == pid}


def resident_mib(pid: int) -> float:
    """Return the memory of a process and its children on Linux, MiB; NaN elsewhere."""
    pages = [int(fields[21]) for fields in family(pid).values()]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20 if pages else float("nan")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children on Linux; NaN elsewhere."""
    ticks = [int(fields[11]) + int(fields[12]) for fields in family(pid).values()]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else float("nan")


def main() -> None:
    """Measure, print, and fail if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.1)
    parser.add_argument("--requests", type=int, help="instead: so many, however long they take")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    call = in_process(50)
    expected = TypeAdapter(CheckResult).dump_json(CheckAsked.model_validate(GIRL).answer())
    seconds = 60 * arguments.minutes if arguments.requests is None else math.inf
    words = [sys.executable, "-m", "fludapk", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "listening on" in line)
        port = int(line.split()[3].rstrip("/").rpartition(":")[2])
        try:
            alone, errors, _ = load(port, 1, 3.0, expected)
            load(port, arguments.connections, 5.0, expected)  # until every process is there
            before, cpu, own_cpu = (
                resident_mib(server.pid),
                cpu_seconds(server.pid),
                time.process_time(),
            )
            times, more, seconds = load(
                port, arguments.connections, seconds, expected, arguments.requests or math.inf
            )
            after, own_cpu = resident_mib(server.pid), time.process_time() - own_cpu
            cpu = cpu_seconds(server.pid) - cpu
        finally:
            server.terminate()
            server.wait(timeout=60)
    record: dict[str, Any] = {
        "call_ms": 1e3 * call,
        "request_ms": 1e3 * statistics.median(alone),
        "ratio": statistics.median(alone) / call,
        "connections": arguments.connections,
        "requests": len(times),
        "per_s": len(times) / seconds,
        "median_ms": 1e3 * statistics.median(times),
        "worst_ms": 1e3 * max(times),
        "errors": len(errors) + len(more),
        "cpu_ms": 1e3 * cpu / len(times),
        "asking_cpu_ms": 1e3 * own_cpu / len(times),
        "before_mib": before,
        "after_mib": after,
    }
    for name, value in record.items():
        print(f"{name:14s} {value:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.exit(record["errors"] > 0 or record["ratio"] > LIMIT or after - before > GROWTH_MIB)


if __name__ == "__main__":
    main()
