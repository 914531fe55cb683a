"""Faults as data, the errors that carry them, and the exit codes that say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Self, TypeAlias

from fludapk.language import all_of, tr

Namer: TypeAlias = Callable[[str], str]
"""Function from the name of a field in Python to its name at a door: option, column, label."""


class ExitStatus(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT_REFUSED = 3
    FILE_REFUSED = 4
    OUTSIDE_STUDIED_RANGE = 5
    NOT_CONVERGED = 6


@dataclass(frozen=True, slots=True)
class Fault:
    r"""One thing that is wrong, as data; each door words it with its own names.

    Parameters
    ----------
    field : str
        Name of the input in Python, see `fludapk.patients.fields`; empty for none in particular.
    found : str
        Words for what was found there, to be read after the name: ``"= '0.3' has no unit"``.
    allowed : str, optional
        Values that are allowed instead.
    do : str, optional
        Advice on what to do about it.
    also : tuple of str, optional
        Further fields it is about.
    whole : bool, optional
        True if `found` is a sentence of its own, to be read without a name before it.
    inside : tuple of str and int, optional
        The list that the field is in and the place there, from 1: ``("levels", 2)``.
    where : str, optional
        File and row, to be read before everything else.
    confirm : str, optional
        Name under which somebody may confirm the field, ``"weight"``; empty if nobody may.
    meant : str, optional
        Value that would be confirmed, ``"160 kg"``.
    no_unit : bool, optional
        True if a unit is missing; lists say what may be done about it for all rows.

    Notes
    -----
    In `found`, `allowed` and `do` the name of a field in braces stands for its name at the door.

    Examples
    --------
    >>> fault = Fault("scr_mg_dl", "= '0.3' has no unit", do='write "0.3 mg/dL"')
    >>> fault.text()
    'scr_mg_dl = \'0.3\' has no unit: write "0.3 mg/dL"'
    >>> Fault("height_cm", "is missing", do="give {height_cm}").text(lambda field: "--height")
    '--height is missing: give --height'
    >>> Fault("weight_kg", "= 160 kg is unusual", confirm="weight", meant="160 kg").text()
    'weight_kg = 160 kg is unusual; if 160 kg is meant, confirm weight'
    """

    field: str
    found: str
    allowed: str = ""
    do: str = ""
    also: tuple[str, ...] = ()
    whole: bool = False
    inside: tuple[str, int] | None = None
    where: str = ""
    confirm: str = ""
    meant: str = ""
    no_unit: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the fault is about."""
        return (self.field, *self.also) if self.field else self.also

    def text(self, name: Namer | None = None) -> str:
        """Word the fault.

        Parameters
        ----------
        name : callable, optional
            Name of a field at a door; names in Python if absent.
        """
        named = name or (lambda field: field)
        sentence = self.found
        if not self.whole and self.fields:
            sentence = f"{all_of(map(named, self.fields))} {sentence}"
        if self.inside is not None and not self.whole:
            field, place = self.inside
            item = named(field)
            item = item.removesuffix("s") if item == field else item
            sentence = f"{item} {place}: {sentence}"
        if self.allowed:
            sentence += "; " + tr("allowed: {values}", values=self.allowed)
        if self.do:
            sentence += f"{'; ' if self.allowed else ': '}{self.do}"
        if self.confirm:
            asked = tr("if {meant} is meant, {confirm} {name}",
                       meant=self.meant, name=self.confirm)  # fmt: skip
            sentence += f"; {asked}"
        sentence = _PLACEHOLDER.sub(
            lambda match: named(match[2]) if match[2] else match[0], sentence
        )
        return f"{self.where}: {sentence}" if self.where else sentence

    def __str__(self) -> str:
        return self.text()


_PLACEHOLDER = re.compile(r"""(?<!\w)(['"]).*?\1(?!\w)|\{([a-z][a-z0-9_]*)\}""")
"""A name in braces, but not inside quotation marks: what was typed stands there."""


class FludapkError(Exception):
    """Base of every error the package raises on purpose.

    Parameters
    ----------
    *faults : Fault or str
        A string is a fault of no field in particular.
    """

    exit_status = ExitStatus.INTERNAL

    def __init__(self, *faults: Fault | str) -> None:
        self.faults: Sequence[Fault] = tuple(
            fault if isinstance(fault, Fault) else Fault("", fault) for fault in faults
        )
        super().__init__(*self.faults)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self, name: Namer | None = None) -> list[str]:
        """Word every fault; see `Fault.text`."""
        return [fault.text(name) for fault in self.faults]

    def at(self, *, where: str = "", inside: tuple[str, int] | None = None) -> Self:
        """Return the same error, each fault with its place."""
        return type(self)(
            *(
                replace(
                    fault,
                    where=": ".join(part for part in (where, fault.where) if part),
                    inside=inside or fault.inside,
                )
                for fault in self.faults
            )
        )


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


def gathered(*readings: Callable[[], Any]) -> list[Any]:
    """Return what every reading gives.

    Raises
    ------
    InputError
        With the faults of all readings that raised one.

    Examples
    --------
    >>> gathered(lambda: 1, lambda: "two")
    [1, 'two']
    """
    results: list[Any] = []
    faults: list[Fault] = []
    for reading in readings:
        try:
            results.append(reading())
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*dict.fromkeys(faults))
    return results


def nearest(word: str, choices: Sequence[str], *, others: bool = True) -> str:
    """Name the choices there are, the likeliest first.

    Parameters
    ----------
    word : str
        As typed.
    choices : sequence of str
    others : bool
        False: all choices are named only if none is likely.

    Examples
    --------
    >>> nearest("axicel", ["tisa_cel_ball", "axi_cel"])
    "did you mean 'axi_cel'? Known: axi_cel, tisa_cel_ball"
    >>> nearest("axicel", ["tisa_cel_ball", "axi_cel"], others=False)
    "did you mean 'axi_cel'?"
    """
    from difflib import get_close_matches

    word = word[:100]  # looking for likeness takes long in a long word
    lowered = {name.lower(): name for name in choices}
    close = [lowered[c] for c in get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)]
    question = tr("did you mean {name!r}?", name=close[0]) if close else ""
    if question and not others:
        return question
    names = tr("Known: {names}", names=", ".join(sorted(choices)))
    return f"{question} {names}" if question else names
