"""Checks that wait are computed together, which takes half the time of one after the other.

Each gets the answer that it would have got alone, to the byte; one that is refused, or whose client
has left, is no matter to the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool

from fludapk.answers.check import checks
from fludapk.answers.check_records import CheckResult
from fludapk.answers.typed import Folders
from fludapk.errors import FludapkError
from fludapk.patience import AbandonedError, IsAbandoned, abandon_when, is_abandoned
from fludapk.patients.request import Request, read_request
from fludapk.web.asked import CheckAsked

MOST_TOGETHER: Final = 8
"""Checks of a computation: with more each is hardly quicker, and waits longer."""
_AT_ONCE: Final = 2
"""Computations: one has the interpreter lock while the kernel of the other runs."""
_Outcome: TypeAlias = str | Exception
"""JSON of an answer, or why there is none."""


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
    """

    folders: Folders
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
            for each, outcome in await run_in_threadpool(_answered, line, self.folders):
                if each.answered.done():
                    continue
                if isinstance(outcome, str):
                    each.answered.set_result(outcome)
                else:
                    each.answered.set_exception(outcome)


def _answered(line: _Line, folders: Folders) -> list[tuple[_Waiting, _Outcome]]:
    """Take checks that wait, and compute them until nobody waits for any of them."""
    taken = line.take()
    gone = [each.is_abandoned() for each in taken]
    abandon_when(lambda: all(each.is_abandoned() for each in taken))
    wanted = [each.asked for each, is_gone in zip(taken, gone, strict=True) if not is_gone]
    outcomes = iter(_outcomes(wanted, folders) if wanted else ())
    return [
        (each, AbandonedError() if is_gone else next(outcomes))
        for each, is_gone in zip(taken, gone, strict=True)
    ]


def _outcomes(asked: Sequence[CheckAsked], folders: Folders) -> list[_Outcome]:
    """Compute checks together, or each by itself if one of them fails in a way of its own."""
    try:
        read = [_read(each) for each in asked]
        requests = [each for each in read if isinstance(each, Request)]
        strict = any(each.strict for each in asked)
        results = checks(requests, strict=strict, folders=folders)
        return [_json(next(results)) if isinstance(each, Request) else each for each in read]
    except AbandonedError:
        return [AbandonedError() for _ in asked]
    except Exception as error:
        if len(asked) == 1:
            return [error]
        return [outcome for each in asked for outcome in _outcomes([each], folders)]


def _read(asked: CheckAsked) -> Request | FludapkError:
    """Read what was typed, or return its faults."""
    try:
        return read_request(asked.typed)
    except FludapkError as error:
        return error


def _json(result: CheckResult | FludapkError) -> _Outcome:
    """Return the JSON of a result, or why there is none."""
    try:
        return result if isinstance(result, FludapkError) else result.to_json(indent=None)
    except FludapkError as error:
        return error
