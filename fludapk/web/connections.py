"""Connections to the server: their number, and the size and time of the head of a request.

All of this comes before a token is looked at. What is refused is closed without an answer from the
application; bodies and answers have their limits in `fludapk.web.guard`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KIB: Final = 1024


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of what a client may take before it has asked anything."""

    head_bytes: int = 16 * KIB
    headers: int = 100
    head_seconds: float = 10.0
    """Time from the opening of a connection, or the first byte of a further request, to its last
    header."""
    connections: int = 500
    per_address: int = 100
    """Connections of one address."""
    waiting: int = 250
    """Connections whose request has not arrived."""
    waiting_per_address: int = 50


@dataclass(eq=False)
class Connections:
    """Open connections by address."""

    limits: ConnectionLimits
    open: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)

    def admits(self, address: str) -> bool:
        """Tell if another connection of an address may be opened.

        Examples
        --------
        >>> connections = Connections(ConnectionLimits(per_address=1))
        >>> connections.admits("10.0.0.7")
        True
        >>> connections.open["10.0.0.7"] += 1
        >>> connections.admits("10.0.0.7"), connections.admits("10.0.0.8")
        (False, True)
        """
        limits = self.limits
        return (
            self.open.total() < limits.connections
            and self.open[address] < limits.per_address
            and self.waiting.total() < limits.waiting
            and self.waiting[address] < limits.waiting_per_address
        )


def limited(connections: Connections) -> type[asyncio.Protocol]:
    """Make the protocol of a server that keeps the limits of its connections."""
    limits = connections.limits

    class Limited(HttpToolsProtocol):
        """HTTP of uvicorn, which has no limit on the head of a request."""

        _address = ""
        _is_counted = _is_waiting = _is_refused = _has_begun = False
        _head_bytes = 0
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            peer = transport.get_extra_info("peername")
            self._address = str(peer[0]) if peer else ""
            if not connections.admits(self._address):
                self._refuse(None)
                return
            self._is_counted = True
            connections.open[self._address] += 1
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait_no_more()
            if self._is_counted:
                self._is_counted = False
                _one_less(connections.open, self._address)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._is_refused:
                return
            if not self._is_waiting and not self._has_begun:
                self._wait()  # a further request on an open connection
            was_in_head = not self._has_begun
            self._head_bytes += len(data) if was_in_head else 0
            super().data_received(data)
            if was_in_head and not self._has_begun and self._head_bytes > limits.head_bytes:
                self._refuse(431)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._field_bytes = 0

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._wait_no_more()
            self._has_begun = True
            self._head_bytes = 0
            if not self._is_refused:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self._is_refused:
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._has_begun = False
            if not self._is_refused:
                super().on_message_complete()

        # -------------------------------------------------------------- ours

        _field_bytes = 0

        def _count(self, size: int) -> None:
            """Count the fields of a head, and of the trailers of a body in chunks."""
            self._field_bytes += size
            too_many = self.headers is not None and len(self.headers) >= limits.headers
            if self._field_bytes > limits.head_bytes or too_many:
                self._refuse(431)

        def _wait(self) -> None:
            self._is_waiting = True
            connections.waiting[self._address] += 1
            self._timer = self.loop.call_later(limits.head_seconds, self._refuse, 408)

        def _wait_no_more(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._is_waiting:
                self._is_waiting = False
                _one_less(connections.waiting, self._address)

        def _refuse(self, status: int | None) -> None:
            """Close the connection, with the status if there is one."""
            if self._is_refused:
                return
            self._is_refused = True
            if status is not None and not self.transport.is_closing():
                self.transport.write(_LINES[status])
            self.transport.close()

    return Limited


_LINES: Final = {
    status: f"HTTP/1.1 {status} {phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    for status, phrase in {
        408: "Request Timeout",
        431: "Request Header Fields Too Large",
    }.items()
}


def _one_less(counter: Counter[str], address: str) -> None:
    counter[address] -= 1
    if counter[address] <= 0:
        del counter[address]
