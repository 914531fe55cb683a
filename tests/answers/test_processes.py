"""Work in several processes: in order, and each like the first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from fludapk.answers.processes import in_processes


def process_of(_: int) -> int:
    return os.getpid()


@pytest.fixture
def another_thread() -> Iterator[None]:
    """A thread beside the test, which a copy of the process would lack."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("n", [0, 1, 2, 15])
def test_results_come_in_the_order_of_their_parts(n: int, processes: int) -> None:
    assert list(in_processes(abs, range(-n, 0), processes)) == list(range(n, 0, -1))


@pytest.mark.usefixtures("another_thread")
def test_a_process_with_threads_is_not_copied_and_has_the_same_results() -> None:
    assert list(in_processes(abs, range(-5, 0), 2)) == [5, 4, 3, 2, 1]


def test_the_first_part_is_done_here_so_that_kernels_are_compiled_once() -> None:
    here, *others = in_processes(process_of, range(6), 2)
    assert here == os.getpid()
    assert here not in others


def test_other_processes_have_begun_when_the_first_result_is_there() -> None:
    with closing(in_processes(process_of, range(6), 2)) as results:
        next(results)
        assert threading.active_count() > 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_copy_is_stopped_by_the_signal_that_its_parent_hears() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        here, *others = in_processes(signal.getsignal, [signal.SIGTERM] * 4, 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert callable(here)
    assert others == [signal.SIG_DFL] * 3
