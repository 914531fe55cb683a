"""Compilation of kernels, and their cache on disk.

The only file that uses private names of numba, to save time or for safety. Where a version of numba
lacks one of them, kernels are compiled and cached through its public interface.

numba caches compiled code beside the source or, where that cannot be written, in the cache folder
of the user (``NUMBA_CACHE_DIR`` takes precedence over both). This file adds:

* a cache entry is valid for the contents of all files in the folder of kernels, because a kernel
  may call functions in other files;
* without a writable folder kernels are compiled at each start, where numba fails on import;
* every file of the cache ends with a checksum of its name and contents, verified before anything of
  it runs: one bit that flips on a disk gives wrong numbers with exit code 0. A bad file costs a
  compilation;
* a full disk or a truncated file costs a compilation, where numba ends the program;
* a cache entry has a unique name and is complete before the index refers to it. numba writes the
  index first, with a number that an earlier source or another kind of processor may have used: a
  process that reads in between, or after a kill in between, runs the wrong code;
* a fork waits until no compilation is running, because the child would wait for ever.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])

try:
    from numba.core.caching import FunctionCache, IndexDataCacheFile
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.options import DefaultOptions
except ImportError:  # a version of numba without these names
    _HAS_PRIVATE_NAMES = False
else:
    _HAS_PRIVATE_NAMES = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=global_compiler_lock.acquire,
            after_in_parent=global_compiler_lock.release,
            after_in_child=global_compiler_lock.release,
        )

    class _Entries(IndexDataCacheFile):
        """Cache files of one kernel."""

        def save(self, key: object, data: object) -> None:
            """Write an entry under a name unique to source and processor, then index it."""
            digest = sha256(repr((self._source_stamp, key)).encode()).hexdigest()
            name = self._data_name(int(digest[:12], 16))
            self._save_data(name, data)
            self._save_index({**self._load_index(), key: name})

        def _load_index(self) -> dict[Any, str]:
            try:
                version, stamp, overloads = pickle.loads(self._verified(self._index_path))
            except FileNotFoundError:
                return {}
            if (version, stamp) != (self._version, self._source_stamp):
                return {}
            return dict(overloads)

        def _save_index(self, overloads: dict[Any, str]) -> None:
            self._write(self._index_path, (self._version, self._source_stamp, overloads))

        def _load_data(self, name: str) -> Any:
            return pickle.loads(self._verified(self._data_path(name)))

        def _save_data(self, name: str, data: object) -> None:
            self._write(self._data_path(name), data)

        def _write(self, path: str, content: object) -> None:
            payload = self._dump(content)
            with self._open_for_write(path) as file:
                file.write(payload)
                file.write(_checksum(path, payload))

        def _verified(self, path: str) -> memoryview:
            """Return the contents of a file, without the checksum at its end."""
            whole = memoryview(Path(path).read_bytes())
            payload, checksum = whole[:-_CHECKSUM_BYTES], whole[-_CHECKSUM_BYTES:]
            if checksum != _checksum(path, payload):
                raise ValueError(f"{path}: is not as it was written")
            return payload

    class _Cache(FunctionCache):
        """Cache entries of one kernel; one that cannot be read or written counts as absent."""

        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__(function)
            stamp = _contents(Path(function.__code__.co_filename).parent)
            self._cache_file = _Entries(self.cache_path, self._impl.filename_base, stamp)

        def load_overload(self, sig: object, target_context: object) -> Any:
            """Return an entry, or None; an unreadable index is emptied so that it can be reused."""
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # a damaged pickle can raise almost anything
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, sig: object, data: object) -> None:
            """Save an entry, unless the disk refuses it."""
            with suppress(OSError):
                super().save_overload(sig, data)


_CHECKSUM_BYTES: Final = 32


def _checksum(path: str, payload: bytes | memoryview) -> bytes:
    """Return the checksum of a file of the cache; another file in its place has another."""
    digest = sha256(Path(path).name.encode())
    digest.update(payload)
    return digest.digest()


@lru_cache(maxsize=4)
def _contents(folder: Path) -> str:
    """Return a hash of all source files of a folder."""
    files = (path.read_bytes() for path in sorted(folder.glob("*.py")))
    return sha256(b"".join(sha256(content).digest() for content in files)).hexdigest()


def kept(kernel: _Function) -> _Function:
    """Give a compiled function its cache, unless no folder is writable or nothing is compiled."""
    compiled: Any = kernel
    if hasattr(kernel, "py_func"):
        with suppress(RuntimeError):  # no folder is writable
            try:
                compiled._cache = _Cache(compiled.py_func)
            except (NameError, AttributeError, TypeError):
                compiled.enable_caching()
    return kernel


def folder(kernel: Callable[..., Any]) -> Path | None:
    """Return the folder in which a kernel is cached; None if it is not."""
    path = kernel.stats.cache_path  # type: ignore[attr-defined]
    return None if path is None else Path(path)


# ------------------------------------------------------------------ decorators of kernels


def _compiled(function: _Function, **options: Any) -> _Function:
    """Compile with the options of all functions; no fastmath, because it would change results."""
    options = {key: value for key, value in options.items() if _takes(key)}
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(_Function, compiled)


def _takes(option: str) -> bool:
    """Tell if this version of numba has an option; all of them only save time."""
    return _HAS_PRIVATE_NAMES and hasattr(DefaultOptions, option)


def part(function: _Function, **options: Any) -> _Function:
    """Compile a function that only kernels call; it has no entry point for Python.

    It makes no array, so references need not be counted. It is compiled once for each type of
    argument; numba by default compiles again for each literal.
    """
    options |= {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Any = _compiled(function, **options)
    if hasattr(compiled, "get_call_template"):
        choose = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: choose(
            [getattr(kind, "literal_type", kind) for kind in args], kws
        )
    return cast(_Function, compiled)


def woven(function: _Function) -> _Function:
    """Compile a part that is called often, from one place, into which LLVM inlines it."""
    return part(function, forceinline=True)


def kernel(function: _Function) -> _Function:
    """Compile a function that Python calls, and cache it on disk."""
    return kept(_compiled(function, _nrt=False, no_cfunc_wrapper=True))


def inlined(function: _Function) -> _Function:
    """Inline a part into its caller before the caller is compiled, which takes numba long.

    A loop over lanes that calls a part with several results is not vectorised otherwise.
    """
    return cast(_Function, numba.njit(inline="always", error_model="numpy")(function))


# ------------------------------------------------------------------ the first use


def on_first_compilation(callback: Callable[[], None]) -> None:
    """Arrange for `callback` to be called once, when a kernel first has to be compiled."""
    try:
        from numba.core import event
    except ImportError:
        return  # the callback only explains why the first command takes longer

    class Once(event.Listener):
        """Listener that calls back once, when a kernel is compiled that no cache holds."""

        called = False

        def on_start(self, event: object) -> None:
            if not self.called:
                self.called = True
                callback()

        def on_end(self, event: object) -> None:
            pass

    event.register("numba:compile", Once())


def spare_the_blas() -> None:
    """Keep numba from importing scipy.linalg, which costs a command a quarter of a second.

    numba looks there for BLAS when its first kernel loads; no kernel here uses it. After this call
    nothing that the process compiles can use ``np.dot``, so a library must not call it.
    """
    if "scipy.linalg" not in sys.modules:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]
        try:
            import_module("numba.np.arraymath")
        finally:
            del sys.modules["scipy.linalg"]
