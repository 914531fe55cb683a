"""Long work that ends when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

IsAbandoned: TypeAlias = Callable[[], bool]
"""True, in whatever thread it is called, once nobody waits for a work any more."""


def _never() -> bool:
    """Return False: somebody waits to the end."""
    return False


_IS_ABANDONED: ContextVar[IsAbandoned] = ContextVar("is_abandoned", default=_never)


class AbandonedError(Exception):
    """Work that was ended because nobody waits for its answer."""


def is_abandoned() -> IsAbandoned:
    """Return the sign that ends the work of this context, for work that is done elsewhere.

    Examples
    --------
    >>> is_abandoned()()
    False
    """
    return _IS_ABANDONED.get()


def abandon_when(is_abandoned: IsAbandoned) -> None:
    """Let `go_on` end the work of this context, and of the threads it starts, once this is true.

    Parameters
    ----------
    is_abandoned : callable
    """
    _IS_ABANDONED.set(is_abandoned)


def go_on() -> None:
    """Raise `AbandonedError` if nobody waits any more; long loops call it in every turn.

    Examples
    --------
    >>> go_on()
    """
    if _IS_ABANDONED.get()():
        raise AbandonedError
