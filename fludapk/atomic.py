"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".fludapk.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Return the permission bits that a new file does not get."""
    mask = os.umask(0)  # it can only be read by setting it
    os.umask(mask)
    return mask
