"""Checks that wait are computed together, which takes half the time of one after the other.

Each gets the answer that it would have got alone, to the byte; one that is refused, or whose client
has left, is no matter to the others.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool

from fludapk.answers.typed import Folders
from fludapk.patience import AbandonedError, IsAbandoned, abandon_when, is_abandoned
from fludapk.web.asked import CheckAsked
from fludapk.web.beside import Beside
from fludapk.web.computed import Outcome, outcomes

MOST_TOGETHER: Final = 8
"""Checks of a computation: with more each is hardly quicker, and waits longer."""
_LEAST_BESIDE: Final = 2
"""Checks that are worth the way to another process."""
_AT_ONCE: Final = 2
"""Computations: one has the interpreter lock while the kernel of the other runs."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A check that waits for its answer."""

    asked: CheckAsked
    is_abandoned: IsAbandoned
    answered: asyncio.Future[str]


@dataclass(eq=False)
class _Line:
    """Checks that wait in an event loop, and the computations that take them."""

    waiting: list[_Waiting] = field(default_factory=list)
    computing: set[asyncio.Task[None]] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def take(self) -> list[_Waiting]:
        """Take from the front those that can be computed together."""
        with self.lock:
            strict = {each.asked.strict for each in self.waiting[:1]}
            alike = [each for each in self.waiting if each.asked.strict in strict]
            taken = alike[:MOST_TOGETHER]
            self.waiting = [each for each in self.waiting if each not in taken]
        return taken


@dataclass(frozen=True, eq=False)
class Checks:
    """Checks as the API answers them, in English.

    Parameters
    ----------
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    beside : Beside, optional
        Process that computes some of them.
    """

    folders: Folders
    beside: Beside | None = None
    _lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = field(
        default_factory=WeakKeyDictionary
    )

    async def answer(self, asked: CheckAsked) -> str:
        """Return the JSON of a check, computed with those that wait at the same time.

        Raises
        ------
        FludapkError
            As `CheckAsked.answer`.
        AbandonedError
            If nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.setdefault(loop, _Line())
        mine = _Waiting(asked, is_abandoned(), loop.create_future())
        with line.lock:
            line.waiting.append(mine)
        if len(line.computing) < _AT_ONCE:
            # Its context is empty: what holds for one request must not hold for the others.
            task = loop.create_task(self._compute(line), context=Context())
            line.computing.add(task)
            task.add_done_callback(line.computing.discard)
        return await mine.answered

    async def _compute(self, line: _Line) -> None:
        """Answer what waits, until nothing does."""
        while line.waiting:
            for each, outcome in await run_in_threadpool(self._answered, line):
                if each.answered.done():
                    continue
                if isinstance(outcome, str):
                    each.answered.set_result(outcome)
                else:
                    each.answered.set_exception(outcome)

    def _answered(self, line: _Line) -> list[tuple[_Waiting, Outcome]]:
        """Take checks that wait, and compute them until nobody waits for any of them."""
        taken = line.take()
        gone = [each.is_abandoned() for each in taken]
        abandon_when(lambda: all(each.is_abandoned() for each in taken))
        wanted = [each.asked for each, is_gone in zip(taken, gone, strict=True) if not is_gone]
        made = iter(self._outcomes(wanted))
        return [
            (each, AbandonedError() if is_gone else next(made))
            for each, is_gone in zip(taken, gone, strict=True)
        ]

    def _outcomes(self, asked: list[CheckAsked]) -> list[Outcome]:
        """Compute checks in the other process, or here, as all that it did not answer."""
        made: list[Outcome | None] = [None] * len(asked)
        if self.beside is not None and len(asked) >= _LEAST_BESIDE:
            made = [*(self.beside.answers(asked) or made)]
        left = [each for each, outcome in zip(asked, made, strict=True) if outcome is None]
        here = iter(outcomes(left, self.folders) if left else ())
        return [next(here) if outcome is None else outcome for outcome in made]
