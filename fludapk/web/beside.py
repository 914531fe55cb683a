"""A process that computes checks beside the server, since Python computes on one core at a time.

It starts when several checks wait at once, hears and answers through one pair of sockets that
nobody else has, and keeps nothing. It ends with the server, or after minutes without work; then,
and until it is ready, the server computes by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from typing import Any, Final

from fludapk.answers.typed import Folders
from fludapk.patience import abandon_when, is_abandoned
from fludapk.web.asked import CheckAsked
from fludapk.web.computed import outcomes

LEAST_TO_START: Final = 4
"""Checks that must wait at once before the process is started."""
IDLE_S: Final = 300.0
"""Time without work after which it ends."""
_LOOK_S: Final = 0.05
"""Time between looks for clients that have left."""
_END_S: Final = 5.0
"""Time that it may take to end what nobody waits for."""

_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": f"{2**24}", "MALLOC_TRIM_THRESHOLD_": f"{2**25}"}
"""Lets glibc keep what an answer has freed for the next: asking the system again takes a tenth of
the time."""


class Beside:
    """The process, seen from the server.

    Parameters
    ----------
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    examples : sequence of dict
        Requests that it computes before the first, so that this is as quick as the others.
    """

    def __init__(self, folders: Folders, examples: Sequence[dict[str, Any]] = ()) -> None:
        self._first = folders, examples
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._is_ready = False
        self._may_start = os.name == "posix" and (os.cpu_count() or 1) > 1
        self._turn = Lock()

    @property
    def pid(self) -> int | None:
        """Number of the process; None if there is none."""
        return self._process.pid if self._process else None

    def answers(self, asked: Sequence[CheckAsked]) -> list[str | None] | None:
        """Return the JSON of each check, None for what has no answer; or None if it is not there.

        Parameters
        ----------
        asked : sequence of CheckAsked
            All of them strict, or none.
        """
        if not self._turn.acquire(blocking=False):
            return None
        try:
            if self._process is None and self._may_start and len(asked) >= LEAST_TO_START:
                self._start()
            return self._exchanged([each.typed for each in asked]) if self._hears() else None
        except (OSError, EOFError):
            self._end()
            return None
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process, for good."""
        with self._turn:
            self._may_start = False
            self._end()

    def _start(self) -> None:
        self._line, there = Pipe()
        with there:
            words = [sys.executable, "-m", __name__, str(there.fileno())]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                env=_MALLOC | os.environ,
            )
        self._line.send(self._first)

    def _hears(self) -> bool:
        """Tell if it can be asked."""
        if self._line is not None and not self._is_ready and self._line.poll():
            self._is_ready = self._line.recv()
        return self._is_ready

    def _exchanged(self, typed: list[dict[str, Any]]) -> list[str | None]:
        """Send checks and wait for the answers, or tell it that nobody waits any more."""
        assert self._line is not None
        self._line.send(typed)
        left = is_abandoned()
        while not self._line.poll(_LOOK_S):
            if left():
                self._line.send(None)
                if not self._line.poll(_END_S):
                    raise EOFError
                break
        made: list[str | None] = self._line.recv()
        return made

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._may_start &= self._is_ready  # it is not tried again if it cannot start
        self._line, self._process, self._is_ready = None, None, False


def work(line: Connection[Any, Any]) -> None:
    """Answer checks until the server ends, or has asked nothing for a long time."""
    folders, examples = line.recv()
    outcomes([CheckAsked.model_validate(example) for example in examples], folders)
    line.send(True)
    abandon_when(line.poll)  # the server says nothing before it has its answer, but to end this
    while line.poll(IDLE_S):
        typed = line.recv()
        if typed is not None:
            made = outcomes([CheckAsked.model_validate(each) for each in typed], folders)
            line.send([each if isinstance(each, str) else None for each in made])


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server decides
    with suppress(EOFError, OSError), Connection(int(sys.argv[1])) as to_server:
        work(to_server)
