"""Compiled kernels on disk: numba's cache, made safe for other people's machines.

numba keeps what it compiled beside the source or, where that cannot be written, in the cache folder
of the user (``NUMBA_CACHE_DIR`` goes before both). What is added here:

* without any folder that can be written kernels are compiled at each start; numba ends the import;
* a disk that is full or a file that was cut off costs a compilation; in numba it ends the program;
* an entry has a name of its own and is complete before the index names it. numba writes the index
  first, under a number that a former source or another kind of processor may have used: whoever
  reads in between, or after a kill in between, runs the wrong code;
* a fork waits until nothing is being compiled, or the child would wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock

_Function = TypeVar("_Function", bound=Callable[..., Any])

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


class _Entries(IndexDataCacheFile):
    """The files of one kernel."""

    def save(self, key: object, data: object) -> None:
        """Write an entry under a name that only this source and processor have, then name it."""
        digest = sha256(repr((self._source_stamp, key)).encode()).hexdigest()
        name = self._data_name(int(digest[:12], 16))
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


class _Cache(FunctionCache):
    """The entries of one kernel; what cannot be read or written is not there."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Entries(self.cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: object, target_context: object) -> Any:
        """Return an entry, or None; an unreadable index is emptied, to be of use again."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # pickles fail in many ways
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: object, data: object) -> None:
        """Keep an entry if the disk lets us."""
        with suppress(OSError):
            super().save_overload(sig, data)


def kept(kernel: _Function) -> _Function:
    """Give a compiled function its cache; none if there is no folder, or nothing is compiled."""
    if hasattr(kernel, "py_func"):
        with suppress(RuntimeError):  # no folder can be written
            kernel._cache = _Cache(kernel.py_func)  # type: ignore[attr-defined]
    return kernel


def folder(kernel: Callable[..., Any]) -> Path | None:
    """Where a kernel is kept; None if nowhere."""
    path = kernel.stats.cache_path  # type: ignore[attr-defined]
    return None if path is None else Path(path)
