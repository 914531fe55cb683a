"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fludapk.errors import InputError


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    content : str or bytes
        Text is written as UTF-8, with its line ends unchanged.

    Raises
    ------
    InputError
        If the file cannot be written; the message says why.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "page.txt", "13.58 mg·h/L")
    ...     (Path(folder) / "page.txt").read_text(encoding="utf-8")
    '13.58 mg·h/L'
    """
    with whole_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_folder(folder: str | Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files into a folder, made if absent; each appears whole or not at all.

    Parameters
    ----------
    folder : str or Path
    files : mapping of str to str or bytes
        Path below the folder -> content.

    Returns
    -------
    list of Path
        Paths of the files.

    Raises
    ------
    InputError
        If the folder cannot be made or written.
    """
    for name, content in files.items():
        path = Path(folder) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be made: {error.strerror}") from error
        write_whole(path, content)
    return [Path(folder) / name for name in files]


def check_folder(folder: str | Path) -> None:
    """Make a folder if it is absent, and prove that files can be written into it.

    Raises
    ------
    InputError
        If it cannot be made or written; the message says why.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     check_folder(Path(parent) / "results")
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when closed, or not at all.

    Raises
    ------
    InputError
        If the file cannot be written; the message says why.
    """
    target = Path(os.path.realpath(path))  # write through a symbolic link, do not replace it
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: cannot be written: it is not a file")
        if Path(path).is_symlink() and not target.exists():
            raise InputError(f"{path}: cannot be written: it is a link to nothing")
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        _clean(target.parent)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{_ours()}{os.getpid()}.")
        temporary = Path(name)  # only its owner can read it, even after a kill
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.chmod(mode)
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read_whole(path: str | Path) -> str:
    """Read a text file, and nothing else: what waits for a writer would wait for ever.

    Raises
    ------
    InputError
        If it cannot be read, is no file, or is not UTF-8; the message says why.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: it is not UTF-8") from error


def read_bytes(path: str | Path) -> bytes:
    """Read a file, and nothing else; see `read_whole`.

    Raises
    ------
    InputError
        If it cannot be read, or is no file.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise InputError(f"{path}: cannot be read: it is not a file")
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _ours() -> str:
    """Return the beginning of the names of unfinished files of this machine."""
    return f".fludapk.{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]}."


def _clean(folder: Path) -> None:
    """Delete unfinished files of processes of this machine that were killed."""
    for path in folder.glob(f"{_ours()}*"):
        number = path.name.removeprefix(_ours()).partition(".")[0]
        if number.isascii() and number.isdigit() and not _is_running(int(number)):
            with suppress(OSError):
                path.unlink()


def _is_running(process: int) -> bool:
    """Tell if a process of this machine is there; True where that cannot be found out."""
    if os.name != "posix":
        return True  # a signal of 0 would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    """Return the permission bits that a new file does not get."""
    mask = os.umask(0)  # it can only be read by setting it
    os.umask(mask)
    return mask
