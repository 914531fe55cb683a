"""Work in several processes, in order, and without any that outlives the command."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Final, TypeVar

from fludapk.errors import FludapkError
from fludapk.language import tr

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def in_processes(
    work: Callable[[_Part], _Result], parts: Iterable[_Part], processes: int
) -> Generator[_Result, None, None]:
    """Yield the results of parts in their order, some parts at a time.

    Parameters
    ----------
    work : callable
        Can be pickled.
    parts : iterable
    processes : int

    Raises
    ------
    FludapkError
        If a process was ended from outside.
    """
    waiting: deque[Future[_Result]] = deque()
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        for part in parts:
            with without_interrupts():
                waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * processes:  # so memory is bounded
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise FludapkError(tr("a process was ended from outside: out of memory?")) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Let processes that begin here leave Ctrl-C to the one that began them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Arrange that this process ends with its parent, and seldom looks for cyclic garbage.

    Only refused rows leave some; looking after every 700 objects takes a sixth of the time.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS)
    end_with_parent()


_OBJECTS: Final = 100_000
"""Number of new objects after which a process looks for garbage."""


def end_with_parent() -> None:
    """Arrange that this process does not outlive a command that was killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
