"""Errors as problem details (RFC 9457) that name the fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, Field

from fludapk.answers.batch_rows import plain
from fludapk.errors import ExitStatus, FludapkError

MEDIA_TYPE: Final = "application/problem+json"

TITLES: Final = {
    ExitStatus.INTERNAL: "Internal error",
    ExitStatus.USAGE: "Not a request we understand",
    ExitStatus.INPUT_REFUSED: "Input refused",
    ExitStatus.FILE_REFUSED: "Model file refused",
    ExitStatus.OUTSIDE_STUDIED_RANGE: "Outside the studied range",
    ExitStatus.NOT_CONVERGED: "Not converged",
}
"""By the exit code of the command line."""

STATUSES: Final = {
    ExitStatus.INPUT_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExitStatus.FILE_REFUSED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ExitStatus.OUTSIDE_STUDIED_RANGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExitStatus.NOT_CONVERGED: HTTPStatus.UNPROCESSABLE_ENTITY,
}

FIELDS: Final = (
    "age", "sex", "weight", "height", "scr", "egfr", "crcl", "bsa_formula", "egfr_formula",
    "diagnosis", "product", "genotype", "regimen", "dose", "days", "interval", "infusion_time",
    "cells_at", "model", "round_to", "strict", "target", "auc", "window", "probability", "weights",
    "renal", "target_auc", "levels", "given",
)  # fmt: skip
"""Names a fault can be about: those of the requests, and of the command line's options."""


_PLURAL: Final = {"level": "levels"}


class Fault(BaseModel):
    """One fault and the fields it is about."""

    fields: list[str]
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="Where /docs explains it.")
    title: str
    status: int
    detail: str
    exit_status: int = Field(description="Of the command line, for the same error.")
    faults: list[Fault]


def slug(exit_status: ExitStatus) -> str:
    """Name of an exit code in a link.

    Examples
    --------
    >>> slug(ExitStatus.INPUT_REFUSED)
    'input-refused'
    """
    return exit_status.name.lower().replace("_", "-")


def fields_of(fault: str) -> list[str]:
    """Fields a fault of the library is about: those it begins with, or whose options it names.

    Examples
    --------
    >>> fields_of("scr = '0.3' has no unit"), fields_of("--dose needs --days, the number")
    (['scr'], ['dose', 'days'])
    >>> fields_of("scr and egfr are given together: give one renal function only")
    ['scr', 'egfr']
    """
    head = re.split(r" = | is | are |: | or ", fault, maxsplit=1)[0]
    words = re.findall(r"[a-z][a-z-]*", head) + re.findall(r"--([a-z-]+)", fault)
    names = dict.fromkeys(_PLURAL.get(word, word).replace("-", "_") for word in words)
    return [name for name in names if name in FIELDS]


def problem(
    status: int,
    faults: Iterable[str | Fault],
    exit_status: ExitStatus = ExitStatus.USAGE,
) -> Problem:
    """Problem details of some faults."""
    listed = [
        fault if isinstance(fault, Fault) else Fault(fields=fields_of(fault), message=plain(fault))
        for fault in faults
    ]
    return Problem(
        type=f"/docs#{slug(exit_status)}",
        title=TITLES[exit_status],
        status=status,
        detail="; ".join(fault.message for fault in listed),
        exit_status=int(exit_status),
        faults=listed,
    )


def problem_of(error: FludapkError) -> Problem:
    """Problem details of an error of the library."""
    return problem(
        STATUSES.get(error.exit_status, HTTPStatus.INTERNAL_SERVER_ERROR),
        error.faults,
        error.exit_status,
    )


def validation_faults(errors: Sequence[dict[str, object]]) -> list[Fault]:
    """Faults of a request that is not of the documented shape, without repeating its values."""
    said: dict[str, list[str]] = {}
    for error in errors:
        place = [part for part in error["loc"] if part != "body"]  # type: ignore[attr-defined]
        said.setdefault(str(place[0])[:50] if place else "", []).append(str(error["msg"]))
    return [
        Fault(
            fields=[name] if name in FIELDS else [],
            message=f"{name}: {'; or '.join(messages)}".removeprefix(": "),
        )
        for name, messages in said.items()
    ]
