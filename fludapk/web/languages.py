"""Language of a page: that of its address, ``/de/dose``, or else the one the browser asks for.

Nothing is kept and nothing is guessed from a person: no cookie, no query. Requests of machines
(API, orders, files) are answered in English.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from fludapk.language import LANGUAGES, SOURCE, speaking
from fludapk.web.guard import Guard, Message, Receive, Scope, Send

_AT: Final[ContextVar[str]] = ContextVar("at", default="")


def at() -> str:
    """Return the beginning of the addresses of pages: ``/de``, or empty without a choice."""
    return _AT.get()


def prefixed(path: str) -> tuple[str, str]:
    """Split a path into the language it begins with, or an empty text, and the path without it.

    Examples
    --------
    >>> prefixed("/de/dose"), prefixed("/de"), prefixed("/dose"), prefixed("/design")
    (('de', '/dose'), ('de', '/'), ('', '/dose'), ('', '/design'))
    """
    code, _, rest = path.removeprefix("/").partition("/")
    return (code, f"/{rest}") if code in LANGUAGES else ("", path)


def preferred(header: str) -> str:
    """Choose the language of an Accept-Language header; English if none of it is ours.

    Examples
    --------
    >>> preferred("de-CH,de;q=0.9,en;q=0.8"), preferred("nl;q=0.5, fr"), preferred("da, *;q=0.1")
    ('de', 'fr', 'en')
    """
    best, most = SOURCE, 0.0
    for part in header.split(","):
        name, _, weight = part.partition(";")
        code = name.strip().lower().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if code in LANGUAGES and quality > most:
            best, most = code, quality
    return best


@dataclass(frozen=True, kw_only=True)
class Languages:
    """ASGI middleware around the guard: pages are worded in the language of their readers.

    Parameters
    ----------
    guard : Guard
    machines : set of str
        Paths that are answered in English, or beginnings of such that end in ``/``.
    """

    guard: Guard
    machines: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in the language of its page."""
        path = scope.get("path", "")
        code, inside = prefixed(path)
        if scope["type"] != "http" or self._is_for_machines(inside):
            await self.guard(scope, receive, send)  # with its prefix: there is no such address
            return
        if code:
            scope = {**scope, "path": inside}
        headers = {} if code else dict(scope["headers"])
        chosen = code or preferred(headers.get(b"accept-language", b"").decode("latin-1"))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                more = [(b"content-language", chosen.encode())]
                more += [] if code else [(b"vary", b"Accept-Language")]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        token = _AT.set(f"/{code}" if code else "")
        try:
            with speaking(chosen):
                await self.guard(scope, receive, told)
        finally:
            _AT.reset(token)

    def _is_for_machines(self, path: str) -> bool:
        return path in self.machines or any(
            path.startswith(start) for start in self.machines if start.endswith("/")
        )


def _is_page(message: Message) -> bool:
    """Tell if an answer is HTML, from its first message."""
    return any(
        name == b"content-type" and value.startswith(b"text/html")
        for name, value in message.get("headers", ())
    )
