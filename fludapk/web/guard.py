"""Limits on who may ask, how much and for how long; and headers that no answer goes without.

An answer is for this origin only: a foreign Host (DNS rebinding) or Origin (another site's form or
script) is turned away, a body is read up to a limit, a request ends in time, and an error says
nothing of a patient in the log.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

from fludapk.errors import ExitStatus
from fludapk.language import tr
from fludapk.patience import AbandonedError, abandon_when
from fludapk.web.problems import MEDIA_TYPE, ShownFault, problem
from fludapk.web.queues import FullError, Queue

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
KIB: Final = 1024
_SAFE: Final = ("GET", "HEAD")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes and times that a request may take."""

    body_bytes: int = 64 * KIB
    list_bytes: int = 10 * KIB * KIB
    list_rows: int = 10_000
    seconds: float = 30.0
    list_seconds: float = 300.0
    uploads_bytes: int = 64 * KIB * KIB
    """Bytes of all bodies that are held at the same time."""
    quick_at_once: int = 32
    """Checks, and pages, that run or wait; more are told to come again."""
    slow_at_once: int = 1
    slow_waiting: int = 16
    """Other requests for one patient, so that a check never waits behind many of them."""
    long_at_once: int = 1
    long_waiting: int = 4
    """Requests that compute for seconds have a queue of their own."""
    token_seconds: float = 1.0
    """Time that the answer to a wrong token takes, s."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Requests that pages of other origins may make, and no more than that (CORS).

    Parameters
    ----------
    path : str
        Beginning of the paths.
    origins : set of str
        Scheme and host of the pages; nobody else if empty.
    body_bytes : int
        Largest request to these paths, from wherever it comes.
    """

    path: str = ""
    origins: frozenset[str] = frozenset()
    body_bytes: int = 64 * KIB

    def covers(self, path: str) -> bool:
        """Tell if a path is one of them."""
        return bool(self.path) and (path == self.path or path.startswith(f"{self.path}/"))

    def headers(self, origin: str) -> list[tuple[bytes, bytes]]:
        """Headers that let a page of an origin read the answer."""
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", b"Authorization, Content-Type"),
            (b"access-control-allow-private-network", b"true"),
            (b"access-control-expose-headers", b"Location"),
            (b"access-control-max-age", b"600"),
            (b"vary", b"Origin"),
        ]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """ASGI middleware around the pages and the API.

    Parameters
    ----------
    app
        What is guarded.
    hosts : set of str
        Names this server is asked by. Addresses of this machine need no name: a foreign page
        can only reach us under its own.
    token : str, optional
        Asked of everything but `open_paths`.
    open_paths : set of str
        Paths, or beginnings that end in ``/``, without patients, models or computing; and those
        that ask for the token themselves.
    lists : set of str
        Paths that take lists.
    shared : Shared
        What pages of other origins may ask.
    long : set of str
        Paths, or beginnings that end in ``/``, whose answers take seconds: lists, designs.
    slow : set of str
        The same of answers that take longer than a check: doses, comparisons, levels, orders.
    free : set of str
        The same of what is answered without computing, whatever else is asked.
    """

    app: App
    hosts: frozenset[str] = frozenset({"localhost"})
    is_local: bool = True
    token: str | None = None
    open_paths: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    long: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    shared: Shared = field(default_factory=Shared)
    wrong_tokens: Counter[str] = field(default_factory=Counter)
    """Number of wrong tokens by address."""
    _held: list[int] = field(default_factory=lambda: [0])
    _queues: dict[str, Queue] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or turn it away."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        foreign = self._foreign(scope, headers)
        answer = _Answer(send, self.shared.headers(foreign) if foreign else [])
        if foreign and scope["method"] == "OPTIONS":
            await answer.preflight()
            return
        refusal = await self._refusal(scope, headers, is_foreign=bool(foreign))
        if refusal is not None:
            await answer.refuse(*refusal)
            return
        path = scope["path"]
        most, seconds = self._most(path)
        try:
            async with asyncio.timeout(seconds):
                body = await self._read(scope, receive, most)
        except TimeoutError:
            await answer.refuse(408, tr("the request did not arrive within {n:g} s", n=seconds))
            return
        except FullError:
            await answer.refuse(429, tr("too many uploads at once: send it again in a moment"))
            return
        if body is None:
            await answer.refuse(
                413,
                tr(
                    "the request is larger than {n} KiB: send less, or use fludapk batch",
                    n=most // KIB,
                ),
            )
            return
        try:
            queue = self._queue(scope)
            if queue is None:
                await self._answered(scope, replay(body, receive), receive, answer, seconds)
                return
            try:
                async with queue.place(seconds):
                    await self._answered(scope, replay(body, receive), receive, answer, seconds)
            except FullError:
                await answer.refuse(429, tr("too much to compute at once: ask again in a moment"))
        finally:
            self._held[0] -= len(body)

    def _most(self, path: str) -> tuple[int, float]:
        """Bytes and seconds of a request."""
        if path in self.lists:
            return self.limits.list_bytes, self.limits.list_seconds
        if self.shared.covers(path):
            return self.shared.body_bytes, self.limits.seconds
        return self.limits.body_bytes, self.limits.seconds

    def _queue(self, scope: Scope) -> Queue | None:
        """Queue of a request; None for what does not compute."""
        path, limits = scope["path"], self.limits
        is_safe = scope["method"] in _SAFE
        if self._is_in(path, self.long) and not (is_safe and path in self.lists):
            return self._queues.setdefault("long", Queue(limits.long_at_once, limits.long_waiting))
        if is_safe:
            is_free = self._is_in(path, self.free)
            return (
                None
                if is_free
                else self._queues.setdefault("pages", Queue(limits.quick_at_once, 0))
            )
        if self._is_in(path, self.slow):
            return self._queues.setdefault("slow", Queue(limits.slow_at_once, limits.slow_waiting))
        return self._queues.setdefault("quick", Queue(limits.quick_at_once, 0))

    async def _read(self, scope: Scope, receive: Receive, most: int) -> bytes | None:
        """Read the body, which counts among all that are held; None if it is too large.

        A little more is read, so that a browser can hear us.
        """
        parts, size, held = [], 0, 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return b""
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= most:
                    parts.append(chunk)
                    held += len(chunk)
                    self._held[0] += len(chunk)
                if self._held[0] > self.limits.uploads_bytes:
                    raise FullError
                if size > 4 * most:
                    return None
                if not message.get("more_body", False):
                    if size > most:
                        return None
                    held = 0  # the caller lets go of it
                    return b"".join(parts)
        finally:
            self._held[0] -= held

    async def _answered(
        self, scope: Scope, replayed: Receive, receive: Receive, answer: _Answer, seconds: float
    ) -> None:
        """Let the application answer, until the time is over or the client leaves."""
        is_over = Event()
        context = copy_context()
        context.run(abandon_when, is_over.is_set)
        task = asyncio.create_task(self._application(scope, replayed, answer), context=context)
        gone = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and gone.done() and not gone.cancelled() and not gone.result():
                await asyncio.wait({task}, timeout=seconds)  # nothing to be told of the client
            if task.done():
                error = task.exception()
                if error is not None:
                    _say(error)
                    why = tr("this is our fault, not yours; the server has noted where")
                    await answer.refuse(500, why, exit_status=ExitStatus.INTERNAL)
            elif not gone.done():
                await answer.refuse(
                    503,
                    tr(
                        "no answer within {n:g} s: ask for less, or use the command line", n=seconds
                    ),
                )
        finally:
            is_over.set()
            gone.cancel()
            # What still computes keeps its place in the queue; a cancelled task would leave its
            # thread behind.
            if not task.done():
                await asyncio.wait({task}, timeout=self.limits.list_seconds)
                task.cancel()

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except AbandonedError:
            return

    async def _refusal(
        self, scope: Scope, headers: Mapping[str, str], *, is_foreign: bool
    ) -> tuple[int, str] | None:
        """Status and reason, if a request is not answered at all."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, tr("this server does not answer to the name in the Host header")
        if scope["method"] not in _SAFE and not is_foreign:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site")
            if site not in (None, "same-origin", "none"):
                return 403, tr("posts from other sites are not answered")
            if origin == "null":  # a form without script, whose referrer policy hides it
                if site is None and self.token is None:
                    return 403, tr("posts from unknown origins are not answered")
            elif origin is not None and origin.partition("://")[2] != host:
                return 403, tr("posts from other sites are not answered")
        if self.token is not None and not self._is_open(scope["path"]):
            kind, _, given = headers.get("authorization", "").partition(" ")
            given = given.strip() if kind.lower() == "bearer" else ""
            if not await self.admits(given, address_of(scope)):
                return 401, tr("give the token of this server: Authorization: Bearer ...")
        return None

    def _foreign(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Origin of an allowed page that asks for what it may; empty for everybody else."""
        origin = headers.get("origin", "")
        may = self.shared.covers(scope["path"]) and origin in self.shared.origins
        return origin if may and self._is_ours(headers.get("host", "")) else ""

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host).lower().rstrip(".")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.hosts
        return address.is_loopback if self.is_local else True

    def _is_open(self, path: str) -> bool:
        return self._is_in(path, self.open_paths)

    @staticmethod
    def _is_in(path: str, paths: frozenset[str]) -> bool:
        return path in paths or any(
            path.startswith(start) for start in paths if start.endswith("/") and start != "/"
        )

    async def admits(self, token: str, address: str) -> bool:
        """Tell if this is the token, if one is asked; a wrong one takes time and is counted.

        Parameters
        ----------
        token : str
        address : str
            Of who gave it, for the log.
        """
        if self.token is None or hmac.compare_digest(token.encode(), self.token.encode()):
            return True
        if token:
            if len(self.wrong_tokens) >= _MOST_ADDRESSES and address not in self.wrong_tokens:
                address = "others"
            self.wrong_tokens[address] += 1
            n = self.wrong_tokens[address]
            if n & (n - 1) == 0:  # 1, 2, 4, 8, ...: the log does not fill the disk
                print(f"fludapk: wrong token from {address}, {n} so far", file=sys.stderr)
            await asyncio.sleep(self.limits.token_seconds)
        return False


_MOST_ADDRESSES: Final = 1000
"""Addresses whose wrong tokens are counted one by one."""


def address_of(scope: Scope) -> str:
    """Address of the client of a request; empty if unknown."""
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _left(receive: Receive) -> bool:
    """Wait for word of the client; False if it is not that it has left."""
    return bool((await receive())["type"] == "http.disconnect")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _without_port(host: str) -> str:
    """Name or address of a Host header.

    Examples
    --------
    >>> _without_port("127.0.0.1:8765"), _without_port("[::1]:80"), _without_port("localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then what the server has to say."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


class _Answer:
    """Sends an answer with our headers, and nothing after it was ended."""

    def __init__(self, send: Send, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._send = send
        self._more = list(more)
        self._started = self._ended = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            self._started = True
            ours = [
                header
                for header in _HEADERS
                if not self._more or header[0] != b"cross-origin-resource-policy"
            ]
            message = {**message, "headers": [*message.get("headers", []), *ours, *self._more]}
        await self._send(message)

    async def preflight(self) -> None:
        """Tell a browser that the page may ask."""
        headers = [(b"content-length", b"0")]
        await self({"type": "http.response.start", "status": 204, "headers": headers})
        await self({"type": "http.response.body", "body": b""})
        self._ended = True

    async def refuse(
        self, status: int, why: str, *, exit_status: ExitStatus = ExitStatus.USAGE
    ) -> None:
        """End with a problem, if nothing was said yet."""
        if not self._started:
            body = (
                problem(status, [ShownFault(fields=[], message=why)], exit_status)
                .model_dump_json()
                .encode()
            )
            headers: Iterable[tuple[bytes, bytes]] = [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
                *([(b"retry-after", b"2")] if status == 429 else []),
                *([(b"connection", b"close")] if status in (408, 413) else []),
            ]
            await self({"type": "http.response.start", "status": status, "headers": headers})
            await self({"type": "http.response.body", "body": body})
        self._ended = True


def _say(error: BaseException | None) -> None:
    """Kind and place of an error on stderr: its text could hold what was typed."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    print(f"fludapk: {type(error).__name__}{where}", file=sys.stderr)
