"""Long work that ends when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_IS_ABANDONED: ContextVar[Callable[[], bool] | None] = ContextVar("is_abandoned", default=None)


class AbandonedError(Exception):
    """Work that was ended because nobody waits for its answer."""


def abandon_when(is_abandoned: Callable[[], bool]) -> None:
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
    is_abandoned = _IS_ABANDONED.get()
    if is_abandoned is not None and is_abandoned():
        raise AbandonedError
