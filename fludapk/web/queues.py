"""Queues of requests: few at once, some that wait, the others told when to come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary


class FullError(Exception):
    """A queue that takes no more requests."""


@dataclass(eq=False)
class Queue:
    """A bounded queue.

    Parameters
    ----------
    at_once : int
        Requests that run.
    waiting : int
        Requests that may wait for one of them to end.
    """

    at_once: int
    waiting: int
    _inside: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[asyncio.Semaphore, list[int]]] = (
        field(default_factory=WeakKeyDictionary)
    )

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[None]:
        """Wait for a turn and keep it.

        Parameters
        ----------
        seconds : float
            How long to wait at most.

        Raises
        ------
        FullError
            If as many wait as may, or the time is over.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._inside:
            self._inside[loop] = asyncio.Semaphore(self.at_once), [0]
        turns, inside = self._inside[loop]
        if inside[0] >= self.at_once + self.waiting:
            raise FullError
        inside[0] += 1
        try:
            try:
                async with asyncio.timeout(seconds):
                    await turns.acquire()
            except TimeoutError:
                raise FullError from None
            try:
                yield
            finally:
                turns.release()
        finally:
            inside[0] -= 1
