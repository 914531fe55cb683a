"""Registry in which pages, in a room to the right, leave what draws a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Renderer(NamedTuple):
    """Functions that draw one class of records."""

    text: Callable[[Any, Callable[[str], str]], str]
    """Page of a terminal; the second argument sets off what must not be missed."""
    html: Callable[[Any, bool], str]
    """Sheet: of its own if True, otherwise to stand in a notebook."""
    brief: Callable[[Any, Callable[[str], str]], str] | None = None
    """Page of a terminal in short; the whole page if absent."""
    figure: Callable[[Any, str], Any] | None = None
    """Figure of a name, drawn; None if the record has no figures."""


RENDERERS: Final[dict[str, Renderer]] = {}
"""Name of a class -> what draws it."""


def register(kind: str, renderer: Renderer) -> None:
    """Set what draws the records of a class, by its name."""
    RENDERERS[kind] = renderer
