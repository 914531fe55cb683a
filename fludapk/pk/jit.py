"""How kernels are compiled, and how compiled kernels are kept on disk.

The only file that knows numba from inside. What it takes from there beyond the public interface
saves time or is safer; where a numba lacks one of these names, kernels are compiled and kept in
numba's plain way.

numba keeps what it compiled beside the source or, where that cannot be written, in the cache folder
of the user (``NUMBA_CACHE_DIR`` goes before both). What is added here:

* an entry belongs to the contents of all files of the folder of kernels, so that a kernel notices
  a change in a function that it calls in another file;
* without any folder that can be written kernels are compiled at each start; numba ends the import;
* a disk that is full or a file that was cut off costs a compilation; in numba it ends the program;
* an entry has a name of its own and is complete before the index names it. numba writes the index
  first, under a number that a former source or another kind of processor may have used: whoever
  reads in between, or after a kill in between, runs the wrong code;
* a fork waits until nothing is being compiled, or the child would wait for ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])

try:
    from numba.core.caching import FunctionCache, IndexDataCacheFile
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.options import DefaultOptions
except ImportError:  # another numba than those we have seen
    _IS_KNOWN = False
else:
    _IS_KNOWN = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=global_compiler_lock.acquire,
            after_in_parent=global_compiler_lock.release,
            after_in_child=global_compiler_lock.release,
        )

    class _Entries(IndexDataCacheFile):
        """The files of one kernel."""

        def save(self, key: object, data: object) -> None:
            """Write an entry under a name of this source and processor alone, then name it."""
            digest = sha256(repr((self._source_stamp, key)).encode()).hexdigest()
            name = self._data_name(int(digest[:12], 16))
            self._save_data(name, data)
            self._save_index({**self._load_index(), key: name})

    class _Cache(FunctionCache):
        """The entries of one kernel; what cannot be read or written is not there."""

        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__(function)
            stamp = _contents(Path(function.__code__.co_filename).parent)
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


@lru_cache(maxsize=4)
def _contents(folder: Path) -> str:
    """Hash of every source file of a folder."""
    files = (path.read_bytes() for path in sorted(folder.glob("*.py")))
    return sha256(b"".join(sha256(content).digest() for content in files)).hexdigest()


def kept(kernel: _Function) -> _Function:
    """Give a compiled function its cache; none if there is no folder, or nothing is compiled."""
    compiled: Any = kernel
    if hasattr(kernel, "py_func"):
        with suppress(RuntimeError):  # no folder can be written
            try:
                compiled._cache = _Cache(compiled.py_func)
            except (NameError, AttributeError, TypeError):
                compiled.enable_caching()
    return kernel


def folder(kernel: Callable[..., Any]) -> Path | None:
    """Folder in which a kernel is kept; None if nowhere."""
    path = kernel.stats.cache_path  # type: ignore[attr-defined]
    return None if path is None else Path(path)


# ------------------------------------------------------------------ decorators of kernels


def _compiled(function: _Function, **options: Any) -> _Function:
    """Compile: the one place that says how. No fastmath, because it would change results."""
    options = {key: value for key, value in options.items() if _takes(key)}
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(_Function, compiled)


def _takes(option: str) -> bool:
    """Tell if this numba knows an option; those asked about only save time."""
    return _IS_KNOWN and hasattr(DefaultOptions, option)


def part(function: _Function, **options: Any) -> _Function:
    """Compile a function that only kernels call, never Python: it has no entry for that.

    It makes no array, so it need not count references; and it is compiled for kinds of numbers,
    while numba, left alone, compiles anew for each constant that is handed over.
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
    """Compile a part that is called often and at one place, where LLVM puts its machine code."""
    return part(function, forceinline=True)


def kernel(function: _Function) -> _Function:
    """Compile a function that Python calls: likewise, and kept on disk."""
    return kept(_compiled(function, _nrt=False, no_cfunc_wrapper=True))


def inlined(function: _Function) -> _Function:
    """Put a part into its caller before anything else, which takes numba long.

    So must be parts of several results in a loop over lanes, or it is not vectorised.
    """
    return cast(_Function, numba.njit(inline="always", error_model="numpy")(function))


# ------------------------------------------------------------------ the first use


def on_first_compilation(callback: Callable[[], None]) -> None:
    """Arrange for `callback` to be called if, and when first, a kernel must be compiled."""
    try:
        from numba.core import event
    except ImportError:
        return  # it only tells a person why the first command takes longer

    class Once(event.Listener):
        """Calls back once, when something has to be compiled that no cache holds."""

        called = False

        def on_start(self, event: object) -> None:
            if not self.called:
                self.called = True
                callback()

        def on_end(self, event: object) -> None:
            pass

    event.register("numba:compile", Once())


def spare_the_blas() -> None:
    """Save a process of its own, like the command line, the quarter second of importing scipy.

    When its first kernel loads, numba looks for BLAS in scipy.linalg; no kernel here uses it. After
    this call nothing that the process compiles can use ``np.dot``, so a library must not call it.
    """
    if "scipy.linalg" not in sys.modules:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]
        try:
            import_module("numba.np.arraymath")
        finally:
            del sys.modules["scipy.linalg"]
