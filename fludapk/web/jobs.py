"""Studies of the tab Simulate: one at a time, in a process of its own, as long as a client waits.

A thread for each study waits for its turn, starts the process, hears of its progress and ends it:
when it is cancelled, when nobody has asked for it for some time, or when the server stops.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final, Literal

from fludapk.answers.processes import end_with_parent, without_interrupts
from fludapk.errors import Fault, FludapkError
from fludapk.language import language, speaking, tr

State = Literal["waiting", "running", "done", "refused", "cancelled", "failed"]

WAITING: Final = 3
"""Studies that may wait for their turn."""
KEPT: Final = 4
"""Finished studies whose results are kept, in memory."""
PATIENCE_S: Final = 90.0
"""Seconds without word of the client after which its study is ended: a browser may wake a page
that is not seen once a minute only."""
LEFT_S: Final = 5.0
"""The same after a client has hung up: time to load the page again."""
_TICK_S: Final = 0.2
_TELL_S: Final = 0.2
"""Seconds between reports of the progress."""


class BusyError(Exception):
    """A queue of studies that is full."""


@dataclass(eq=False)
class Job:
    """A study that was asked for, and what became of it.

    Parameters
    ----------
    scenario : mapping
    form : mapping of str to str
        Form that asked for it.
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    """

    scenario: Mapping[str, Any]
    form: Mapping[str, str]
    folders: Sequence[Path] | None = None
    language: str = field(default_factory=language)
    """Language that the process words its page in."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    doing: str = field(default_factory=lambda: tr("starting"))
    """Work of the process."""
    done: int = 0
    total: int = 0
    """Patients of all strategies: simulated so far, and in all."""
    html: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    _ended: Event = field(default_factory=Event)
    _until: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)

    @property
    def is_over(self) -> bool:
        """True if nothing more will come of it."""
        return self.state not in ("waiting", "running")

    def keep(self, seconds: float = PATIENCE_S) -> None:
        """Go on for so many seconds without further word of the client."""
        self._until = time.monotonic() + seconds

    def cancel(self) -> None:
        """End it."""
        if not self.is_over:
            self.state = "cancelled"
        self._ended.set()

    def is_wanted(self) -> bool:
        """Tell if it goes on: it is not over, and somebody still waits for it."""
        if time.monotonic() > self._until:
            self.cancel()
        return not (self.is_over or self._ended.is_set())

    def run(self) -> None:
        """Run the study in a process of its own until it is over."""
        here, there = get_context("spawn").Pipe(duplex=False)
        arguments = dict(self.scenario), self.folders, there, self.language
        process = get_context("spawn").Process(target=_work, args=arguments, daemon=True)
        try:
            self.state = "running"
            with without_interrupts():
                process.start()
            there.close()
            while self.is_wanted():
                if here.poll(_TICK_S):
                    self._hear(here)
        finally:
            _end(process)
            here.close()
            if not self.is_over:  # or the next would wait for ever
                self.state = "cancelled" if self._ended.is_set() else "failed"

    def _hear(self, here: Connection) -> None:
        """Take in a message of the process."""
        try:
            kind, *parts = here.recv()
        except (EOFError, OSError):
            self.state = "failed"
            return
        if kind == "progress":
            self.doing, self.done, self.total = parts
        elif kind == "refused":
            (self.faults,) = parts
            self.state = "refused"
        else:
            self.html, self.files = parts
            self.state = "done"


def _end(process: SpawnProcess) -> None:
    """End a process, whatever it does."""
    if process.pid is None:  # it never began
        return
    process.terminate()
    process.join(2.0)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


@dataclass(eq=False)
class Jobs:
    """Studies of a server: one runs, some wait, the last results are kept.

    Parameters
    ----------
    waiting : int
        Studies that may wait.
    """

    waiting: int = WAITING
    _jobs: dict[str, Job] = field(default_factory=dict)
    _threads: list[Thread] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def start(self, job: Job) -> None:
        """Queue a study.

        Raises
        ------
        BusyError
            If as many wait as may.
        """
        with self._lock:
            if sum(not other.is_over for other in self._jobs.values()) > self.waiting:
                raise BusyError
            over = [other.id for other in self._jobs.values() if other.is_over]
            for name in over[: max(0, len(over) - KEPT + 1)]:
                del self._jobs[name]
            self._jobs[job.id] = job
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(Thread(target=self._run, args=(job,), daemon=True))
            self._threads[-1].start()

    def _run(self, job: Job) -> None:
        while self.ahead(job):
            if not job.is_wanted():
                return
            time.sleep(_TICK_S)
        if job.is_wanted():
            job.run()

    def find(self, name: str) -> Job | None:
        """Return a study by its id; None if it is not kept."""
        return self._jobs.get(name)

    def ahead(self, job: Job) -> int:
        """Number of studies whose turn is before that of another."""
        with self._lock:
            listed = list(self._jobs.values())
        earlier = takewhile(lambda other: other is not job, listed)
        return sum(not other.is_over for other in earlier)

    def close(self) -> None:
        """End every study: the server stops."""
        for job in list(self._jobs.values()):
            job.cancel()
        for thread in self._threads:
            thread.join(3.0)


# ------------------------------------------------------------------ the process


def _work(
    scenario: Mapping[str, Any], folders: Sequence[Path] | None, there: Connection, spoken: str
) -> None:
    """Run a study, tell of its progress, and send its results."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    with suppress(AttributeError, OSError):
        os.nice(10)  # a check of a patient goes before
    try:
        with speaking(spoken):
            there.send(("done", *_results(scenario, folders, there)))
    except FludapkError as error:
        there.send(("refused", error.faults))
    finally:
        there.close()


def _results(
    scenario: Mapping[str, Any], folders: Sequence[Path] | None, there: Connection
) -> tuple[str, dict[str, str | bytes]]:
    """Page and files of a study."""
    from fludapk.pages.study import study_files, study_html, study_tables
    from fludapk.pages.templates import calculated_at
    from fludapk.studies.simulate import StudyResult, read_scenario

    study = read_scenario(scenario, folders)
    runs = [(truth, strategy.id) for truth in study.truths for strategy in study.strategies]
    total, told, counts = study.n * len(runs), 0.0, []
    for place, (truth, name) in enumerate(runs):

        def tell(done: int, _: int, before: int = place * study.n, name: str = name) -> None:
            nonlocal told
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                there.send(
                    ("progress", tr("simulating {strategy}", strategy=name), before + done, total)
                )

        counts.append(study.run(truth, name, progress=tell))
    there.send(("progress", tr("drawing figures"), total, total))
    result = StudyResult(run=study.provenance, counts=counts, source=study)
    with calculated_at():
        files = {**study_tables(result), **study_files(result, study)}
        drawings = {
            Path(name).stem: str(content)
            for name, content in files.items()
            if name.endswith(".svg")
        }
        return study_html(result, drawings, whole=False), files
