"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable


def eventually(is_true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait for something to come true; False if it does not in that time."""
    end = time.monotonic() + seconds
    while not is_true() and time.monotonic() < end:
        time.sleep(0.02)
    return is_true()
