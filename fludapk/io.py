"""Files of results: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fludapk.errors import InputError


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    content : str or bytes
        Text is written as UTF-8, line ends as they are.

    Raises
    ------
    InputError
        If it cannot be written, saying why.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "page.txt", "13.58 mg·h/L")
    ...     (Path(folder) / "page.txt").read_text(encoding="utf-8")
    '13.58 mg·h/L'
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


def _umask() -> int:
    """Permissions that a new file does not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
