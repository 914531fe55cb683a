"""Work in several processes, in order, and without any that outlives the command."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.context import BaseContext
from typing import Final, TypeVar

from fludapk.errors import FludapkError
from fludapk.language import tr

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def in_processes(
    work: Callable[[_Part], _Result], parts: Iterable[_Part], processes: int
) -> Generator[_Result, None, None]:
    """Yield the results of parts in their order, some parts at a time.

    The first part is done in this process, so that kernels are compiled once; the others then have
    what this one has loaded.

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
    parts = iter(parts)
    for part in itertools.islice(parts, 1):
        first = work(part)
        if processes == 1:
            yield first
            yield from map(work, parts)
        else:
            yield from _after(first, work, parts, processes)


def _after(
    first: _Result, work: Callable[[_Part], _Result], parts: Iterator[_Part], processes: int
) -> Generator[_Result, None, None]:
    """Yield a result, once other processes have begun, and then those of other parts."""
    waiting: deque[Future[_Result]] = deque()
    pool = ProcessPoolExecutor(processes, _context(), _begin)
    try:
        for part in itertools.islice(parts, 2 * processes):  # so memory is bounded
            waiting.append(_submitted(pool, work, part))
        yield first
        while waiting:
            for part in itertools.islice(parts, 1):
                waiting.append(_submitted(pool, work, part))
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise FludapkError(tr("a process was ended from outside: out of memory?")) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor, work: Callable[[_Part], _Result], part: _Part
) -> Future[_Result]:
    """Have a part done; the first one begins the processes."""
    with without_interrupts(), warnings.catch_warnings():
        # Python 3.12 counts those of OpenBLAS, which it ends itself before a copy is made
        warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
        return pool.submit(work, part)


def _context() -> BaseContext:
    """Copy this process, which has everything loaded, if nothing else runs in it."""
    can_copy = sys.platform == "linux" and threading.active_count() == 1
    return get_context("fork" if can_copy else "spawn")


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
    for number in signal.valid_signals():  # what a copy does is not what was arranged for this one
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
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
