"""A server under attack answers those who ask for one patient."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from asking import HOME, ask
from ordering import SELECT
from starlette.concurrency import run_in_threadpool

from fludapk.errors import InputError
from fludapk.web.api import GIRL, PREFIX
from fludapk.web.app import LEAST_TOKEN, create_app
from fludapk.web.connections import ConnectionLimits, Connections
from fludapk.web.guard import Guard, Limits

TOKEN: Final = "a token that is long enough"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server that others may reach, in a process of its own."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "token").write_text(TOKEN + "\n")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fludapk", "serve", "--port", "0", "--no-browser",
             "--host", "0.0.0.0", "--token-file", str(folder / "token")],
            stderr=log, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    while "listening on" not in (said := (folder / "log").read_text()):
        assert process.poll() is None, said
        time.sleep(0.1)
    port = urlsplit(said.split("listening on ")[1].split()[0]).port
    assert port is not None
    yield "127.0.0.1", port
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def request(
    where: tuple[str, int], method: str, path: str, body: object = None, token: str = TOKEN
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*where, timeout=300)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def seconds_of_a_check(where: tuple[str, int]) -> float:
    begun = time.monotonic()
    assert request(where, "POST", f"{PREFIX}/check", GIRL)[0] == 200
    return time.monotonic() - begun


def raw(where: tuple[str, int], *parts: bytes, until: float = 15.0) -> bytes:
    """What the server says to some bytes, until it closes."""
    with socket.create_connection(where, timeout=until) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65536):
                answer += chunk
        except (ConnectionError, TimeoutError):
            pass
        return answer


# --- The head of a request ------------------------------------------------------------------------


def test_a_head_that_never_ends_is_cut_off(server: tuple[str, int]) -> None:
    begun = time.monotonic()
    answer = raw(server, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", *[b"a" * 4096] * 64)
    assert answer[:12] in (b"HTTP/1.1 431", b"")
    assert time.monotonic() - begun < 9


def test_too_many_headers_are_refused(server: tuple[str, int]) -> None:
    lines = b"".join(b"x%d: y\r\n" % k for k in range(500))
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + lines + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


def test_a_whole_head_that_is_too_large_is_refused(server: tuple[str, int]) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 30_000 + b"\r\n\r\n"
    assert raw(server, head).startswith(b"HTTP/1.1 431")
    long_path = b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
    assert raw(server, long_path).startswith(b"HTTP/1.1 431")


def test_trailers_without_end_are_cut_off(server: tuple[str, int]) -> None:
    head = (
        b"POST /api/v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    )
    begun = time.monotonic()
    raw(server, head, *[b"t: " + b"a" * 4000 + b"\r\n"] * 64)
    assert time.monotonic() - begun < 9


def test_who_opens_a_connection_and_says_nothing_is_hung_up_on(server: tuple[str, int]) -> None:
    begun = time.monotonic()
    assert raw(server, b"GET / HT", until=30.0).startswith(b"HTTP/1.1 408")
    assert 5 < time.monotonic() - begun < 20


def test_many_half_open_connections_of_one_address_do_not_starve_the_others(
    server: tuple[str, int],
) -> None:
    """From another address of this machine: 127.0.0.2."""
    half_open = []
    try:
        for _ in range(200):
            connection = socket.create_connection(server, source_address=("127.0.0.2", 0))
            connection.sendall(b"GET / HTTP/1.1\r\n")
            half_open.append(connection)
        time.sleep(0.2)
        assert seconds_of_a_check(server) < 5
        closed = 0
        for connection in half_open:
            connection.setblocking(False)
            try:
                closed += connection.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                closed += 1
        assert closed >= 200 - ConnectionLimits().waiting_per_address
    finally:
        for connection in half_open:
            connection.close()


def test_an_address_has_its_share_of_connections() -> None:
    connections = Connections(ConnectionLimits(connections=3, per_address=2, waiting=3))
    connections.open.update({"a": 2, "b": 1})
    assert [connections.admits(address) for address in "abc"] == [False, False, False]
    connections.open["b"] -= 1
    assert [connections.admits(address) for address in "abc"] == [False, True, True]
    connections.waiting.update({"c": 3})
    assert not connections.admits("b")


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_token_that_is_easily_guessed_is_refused() -> None:
    with pytest.raises(InputError, match=f"at least {LEAST_TOKEN}"):
        create_app(host="0.0.0.0", token="sesame")
    with pytest.raises(InputError, match="at least"):
        create_app(token="short")


def test_a_wrong_token_takes_time_and_is_counted_without_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = create_app(host="0.0.0.0", token=TOKEN, limits=Limits(token_seconds=0.3))
    begun = time.monotonic()
    for _ in range(4):
        header = {"authorization": "Bearer a guess of somebody"}
        assert ask("GET", f"{PREFIX}/models", app, headers=header).status_code == 401
    assert time.monotonic() - begun > 4 * 0.3
    assert ask("POST", "/", app, data={**GIRL, "token": "another guess"}).status_code == 200
    log = capsys.readouterr().err
    assert [line.split(", ")[1] for line in log.splitlines()] == [
        "1 so far",
        "2 so far",
        "4 so far",
    ]
    assert "guess" not in log
    assert sum(app.guard.wrong_tokens.values()) == 5


def test_the_command_reads_the_token_from_a_file_or_the_environment_only() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "fludapk", "serve", "--host", "0.0.0.0", "--token", TOKEN],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
        env={**os.environ, "FLUDAPK_TOKEN": ""},
    )  # fmt: skip
    assert said.returncode == 2
    assert TOKEN not in said.stdout + said.stderr


# --- Behind any load ------------------------------------------------------------------------------


def test_a_check_does_not_wait_behind_long_requests(server: tuple[str, int]) -> None:
    idle = min(seconds_of_a_check(server) for _ in range(3))
    statuses: list[int] = []

    def design() -> None:
        statuses.append(request(server, "POST", f"{PREFIX}/design", GIRL)[0])

    many = [threading.Thread(target=design) for _ in range(10)]
    for thread in many:
        thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    assert request(server, "GET", "/healthz")[0] == 200
    assert time.monotonic() - begun < 1
    slowest = max(seconds_of_a_check(server) for _ in range(5))
    for thread in many:
        thread.join()
    assert slowest < 1 + 10 * idle  # 1 s on an idle machine
    assert set(statuses) == {200, 429}


def test_who_is_sent_away_is_told_when_to_come_again() -> None:
    app = create_app(limits=Limits(long_at_once=0, long_waiting=0))
    answer = ask("POST", f"{PREFIX}/design", app, json=GIRL)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "ask again" in answer.json()["detail"]
    assert ask("POST", f"{PREFIX}/check", app, json=GIRL).status_code == 200


@pytest.mark.parametrize("path", [f"{PREFIX}/dose", f"{PREFIX}/update", "/levels", SELECT])
def test_slower_answers_have_a_queue_of_their_own(path: str) -> None:
    app = create_app(limits=Limits(slow_at_once=0, slow_waiting=0))
    assert ask("POST", path, app, json={}).status_code == 429
    assert ask("POST", f"{PREFIX}/check", app, json=GIRL).status_code == 200
    assert ask("GET", "/healthz", create_app(limits=Limits(quick_at_once=0))).status_code == 200


def test_an_answer_that_comes_too_late_keeps_its_place_while_it_is_computed() -> None:
    """Otherwise the next would start beside it, and checks would wait for both."""
    may_end = threading.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await run_in_threadpool(may_end.wait)

    guard = Guard(app=app, slow=frozenset({"/slow"}),
                  limits=Limits(seconds=0.1, slow_at_once=1, slow_waiting=0))  # fmt: skip

    async def asked() -> list[int]:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
            first = asyncio.create_task(client.post("/slow"))
            await asyncio.sleep(0.3)
            second = await client.post("/slow")
            may_end.set()
            return [(await first).status_code, second.status_code]

    assert asyncio.run(asked()) == [503, 429]


def test_bodies_are_limited_in_total() -> None:
    app = create_app(limits=Limits(uploads_bytes=50))
    assert ask("POST", f"{PREFIX}/check", app, json=GIRL).status_code == 429
    assert app.guard._held == [0]
    roomy = create_app()
    assert ask("POST", f"{PREFIX}/check", roomy, json=GIRL).status_code == 200
    ask("POST", f"{PREFIX}/check", roomy, content=b"x" * 70_000)
    assert roomy.guard._held == [0]


def test_the_work_of_a_client_that_left_ends(server: tuple[str, int]) -> None:
    """Otherwise the queue of one place would be busy for as many designs as were begun."""
    body = json.dumps(GIRL).encode()
    head = (
        f"POST {PREFIX}/design HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    begun = time.monotonic()
    assert request(server, "POST", f"{PREFIX}/design", GIRL)[0] == 200
    alone = time.monotonic() - begun
    for _ in range(8):
        with socket.create_connection(server) as connection:
            connection.sendall(head + body)
            time.sleep(0.05)
    begun = time.monotonic()
    while request(server, "POST", f"{PREFIX}/design", GIRL)[0] == 429:
        time.sleep(0.05)
    assert time.monotonic() - begun < 3 * alone + 2
