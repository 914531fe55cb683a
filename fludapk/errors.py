"""What can go wrong, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT_REFUSED = 3
    FILE_REFUSED = 4
    OUTSIDE_STUDIED_RANGE = 5
    NOT_CONVERGED = 6


class FludapkError(Exception):
    """Base of every error the package raises on purpose.

    Parameters
    ----------
    *faults : str
        One sentence per fault: where, what was found, what is allowed, what to do.
    """

    exit_status = ExitStatus.INTERNAL

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults: Sequence[str] = faults


class InputError(FludapkError):
    """A patient, regimen, target or option that cannot be used."""

    exit_status = ExitStatus.INPUT_REFUSED


class FileError(FludapkError):
    """A model, regimen or scenario file that cannot be used; lists all its faults."""

    exit_status = ExitStatus.FILE_REFUSED


class StudiedRangeError(FludapkError):
    """A patient outside the studied range when that was asked to be an error."""

    exit_status = ExitStatus.OUTSIDE_STUDIED_RANGE


class ConvergenceError(FludapkError):
    """An estimate that did not converge."""

    exit_status = ExitStatus.NOT_CONVERGED


def nearest(word: str, known: Sequence[str]) -> str:
    """Say which known names there are, the likeliest first.

    Examples
    --------
    >>> nearest("axicel", ["tisa_cel_ball", "axi_cel"])
    "did you mean 'axi_cel'? Known: axi_cel, tisa_cel_ball"
    """
    from difflib import get_close_matches

    lowered = {name.lower(): name for name in known}
    close = [lowered[c] for c in get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)]
    names = ", ".join(sorted(known))
    return (f"did you mean {close[0]!r}? " if close else "") + f"Known: {names}"
