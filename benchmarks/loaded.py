"""How long a check waits while others ask for the most expensive answers.

Run ``python benchmarks/loaded.py [--seconds S] [--port P]``. It starts a server of its own (or asks
the one at a port of this machine), and for each load sends its requests over several connections
without a pause, while one connection asks for a check every tenth of a second. A check waits at
most 1 s behind any load of one client; printed are the median and the longest wait, and how the
load was answered.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from fludapk.web.api import EXAMPLES, GIRL, PREFIX  # noqa: E402

LIMIT_S: Final = 1.0
JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "multipart/form-data; boundary=x"}
HEAD: Final = "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen\n"
ROW: Final = "a,5,female,18.2,110,0.3,tisa_cel_ball\n"
MAN: Final[dict[str, Any]] = {
    "age": 40, "sex": "male", "weight": 299, "height": 249, "scr": "1 mg/dL",
    "confirm": ["weight", "height"], "product": "axi_cel", "diagnosis": "lbcl",
}  # fmt: skip


class Load(NamedTuple):
    """Requests of one kind."""

    path: str
    content: bytes
    headers: dict[str, str]


def asked(path: str, body: dict[str, Any]) -> Load:
    """Return a request of the API."""
    return Load(f"{PREFIX}/{path}", json.dumps(body).encode(), JSON)


def list_of(rows: int, path: str = f"{PREFIX}/batch", **fields: str) -> Load:
    """Return a list with every row simulated in full."""
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append(f'name="file"; filename="a.csv"\r\n\r\n{HEAD}{ROW * rows}')
    text = "".join(f"--x\r\ncontent-disposition: form-data; {part}\r\n" for part in parts)
    return Load(path, f"{text}--x--\r\n".encode(), FORM)


PAGE: Final = {
    **{key: str(value) for key, value in GIRL.items() if key != "scr"}, "renal": "0.3",
    "renal_unit": "mg/dL", "time_1": "2", "conc_1": "0.6", "conc_unit": "mg/L", "auc": "15",
}  # fmt: skip
URLENCODED: Final = {"content-type": "application/x-www-form-urlencoded"}
LEVELS: Final = [f"{0.5 + 0.37 * k:g}h {0.9 * 0.93**k:.3g}mg/L" for k in range(50)]
LOADS: Final = {
    "nothing": None,
    "list": list_of(9000, points="13"),
    "list page": list_of(9000, "/list", points="13"),
    "broken list": Load(f"{PREFIX}/batch", b"--x\r\n" + b"\n" * 10_000_000, FORM),
    "design": asked("design", {**GIRL, "regimen": "tisa_cel_ball"}),
    "nomogram": asked("nomogram", {"regimen": "axi_cel", "age": 40, "height": 175, "sex": "male",
                                   "weights": [30, 150, 1], "renal": [20, 150, 1]}),
    "verify": Load(f"{PREFIX}/models/langenhorst2019/verify", b"", {}),
    "update": asked("update", {**GIRL, "levels": LEVELS, "target": "scordo2023", "round_to": 0.01}),
    "update of a large man": asked("update", {**MAN, "regimen": "axi_cel", "levels": LEVELS,
                                              "window": [18, 20], "round_to": 0.01}),
    "dose": asked("dose", {**MAN, "regimen": "axi_cel", "window": [18, 20], "round_to": 0.01}),
    "compare": asked("compare", EXAMPLES["CompareAsked"][0]),
    "check": asked("check", GIRL),
    "page": Load("/", b"", {}),
    "check on the page": Load("/", urlencode(PAGE).encode(), URLENCODED),
    "levels on the page": Load("/levels", urlencode(PAGE).encode(), URLENCODED),
}  # fmt: skip


def one(port: int, load: Load, opened: list[socket.socket] | None = None) -> tuple[int, float]:
    """Ask once over a connection of its own; return status and time, s."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST" if load.content else "GET", load.path, load.content, load.headers)
        if opened is not None:
            opened.append(connection.sock)
        response = connection.getresponse()
        response.read()
        return response.status, time.perf_counter() - begun
    except OSError:
        return 0, time.perf_counter() - begun
    finally:
        connection.close()


@contextmanager
def loaded(port: int, load: Load | None, connections: int) -> Iterator[Counter[int]]:
    """Keep some connections busy with a request; how it was answered is counted."""
    statuses: Counter[int] = Counter()
    over = threading.Event()
    opened: list[list[socket.socket]] = [[] for _ in range(connections)]

    def again(mine: list[socket.socket]) -> None:
        while load is not None and not over.is_set():
            mine.clear()
            status, _ = one(port, load, mine)
            statuses[status] += 1
            if status == 429:
                time.sleep(0.05)

    threads = [threading.Thread(target=again, args=(mine,)) for mine in opened]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for mine in opened:  # who leaves must not leave work behind
            for connection in mine[:1]:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def waits(port: int, seconds: float) -> list[tuple[int, float]]:
    """Ask for a check every tenth of a second; return statuses and times, s."""
    check, until, answers = asked("check", GIRL), time.perf_counter() + seconds, []
    while time.perf_counter() < until:
        answers.append(one(port, check))
        time.sleep(0.1)
    return answers


def measured(port: Callable[[], int], seconds: float, connections: int) -> bool:
    """Print a row for each load; tell if every check came within the limit."""
    good = True
    for name, load in LOADS.items():
        with loaded(port(), load, connections) as statuses:
            time.sleep(1.0)
            answers = waits(port(), seconds)
        times = sorted(wait for _, wait in answers)
        checks = Counter(status for status, _ in answers)
        good &= set(checks) == {200} and times[-1] < LIMIT_S
        print(
            f"{name:21s} {len(times):4d} checks {dict(checks)}: median {times[len(times) // 2]:.3f}"
            f" s, longest {times[-1]:.3f} s; load answered {dict(statuses)}",
            flush=True,
        )
    return good


def main() -> None:
    """Start a server, load it, and fail if a check waited longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.port:
        sys.exit(not measured(lambda: int(options.port), options.seconds, options.connections))
    words = [sys.executable, "-m", "fludapk", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "listening on" in line)
        port = int(line.split()[3].rstrip("/").rpartition(":")[2])
        try:
            good = measured(lambda: port, options.seconds, options.connections)
        finally:
            server.terminate()
            server.wait(timeout=60)
    sys.exit(not good)


if __name__ == "__main__":
    main()
