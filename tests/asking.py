"""Requests to the server without a network, and what the tests look for in its pages."""

import asyncio
from html.parser import HTMLParser
from typing import Any, Final

import httpx

from fludapk.web.app import create_app
from fludapk.web.guard import App

HOME: Final = "http://127.0.0.1:8765"
APP: Final = create_app()


def ask(method: str, path: str, app: App = APP, **more: Any) -> httpx.Response:
    """One request, without a network."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
            return await client.request(method, path, **more)

    return asyncio.run(asked())


class Page(HTMLParser):
    """What the tests look for in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in tags]

    @property
    def text(self) -> str:
        return " ".join(self.words)
