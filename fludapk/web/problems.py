"""Errors as problem details (RFC 9457) that name the fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field

from fludapk.errors import ExitStatus, Fault, FludapkError
from fludapk.language import marked, tr
from fludapk.patients.fields import FIELDS, request_name

MEDIA_TYPE: Final = "application/problem+json"

TITLES: Final = {
    ExitStatus.INTERNAL: marked("Internal error"),
    ExitStatus.USAGE: marked("Not a request we understand"),
    ExitStatus.INPUT_REFUSED: marked("Input refused"),
    ExitStatus.FILE_REFUSED: marked("Model file refused"),
    ExitStatus.OUTSIDE_STUDIED_RANGE: marked("Outside the studied range"),
    ExitStatus.NOT_CONVERGED: marked("Not converged"),
}
"""Titles by the exit code of the command line."""

STATUSES: Final = {
    ExitStatus.INPUT_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExitStatus.FILE_REFUSED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ExitStatus.OUTSIDE_STUDIED_RANGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExitStatus.NOT_CONVERGED: HTTPStatus.UNPROCESSABLE_ENTITY,
}


class ShownFault(BaseModel):
    """One fault and the fields of the request it is about."""

    fields: list[str]
    message: str
    confirm: str | None = Field(None, description="Name that confirms the value, if that may be.")


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="Where /docs explains it.")
    title: str
    status: int
    detail: str
    exit_status: int = Field(description="Of the command line, for the same error.")
    faults: list[ShownFault]


def slug(exit_status: ExitStatus) -> str:
    """Name of an exit code in a link.

    Examples
    --------
    >>> slug(ExitStatus.INPUT_REFUSED)
    'input-refused'
    """
    return exit_status.name.lower().replace("_", "-")


def shown(fault: Fault) -> ShownFault:
    """Fault with the names of a request; a part of a list is named by the list.

    Examples
    --------
    >>> shown(Fault("scr_mg_dl", "are given together", also=("crcl_ml_min",))).fields
    ['scr', 'crcl']
    >>> shown(Fault("weight_kg", "= 160 kg is unusual", confirm="weight", meant="160 kg")).confirm
    'weight'
    """
    keys = fault.fields if fault.inside is None else (fault.inside[0],)
    names = [request_name(key) for key in keys if key in FIELDS]
    message = fault.text(request_name)
    return ShownFault(fields=names, message=message, confirm=fault.confirm or None)


def problem(
    status: int,
    faults: Iterable[ShownFault],
    exit_status: ExitStatus = ExitStatus.USAGE,
) -> Problem:
    """Problem details of some faults."""
    listed = list(faults)
    return Problem(
        type=f"/docs#{slug(exit_status)}",
        title=tr(TITLES[exit_status]),
        status=status,
        detail="; ".join(fault.message for fault in listed),
        exit_status=int(exit_status),
        faults=listed,
    )


def problem_of(error: FludapkError) -> Problem:
    """Problem details of an error of the library."""
    return problem(
        STATUSES.get(error.exit_status, HTTPStatus.INTERNAL_SERVER_ERROR),
        map(shown, error.faults),
        error.exit_status,
    )


def validation_faults(errors: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """Faults of a request that is not of the documented shape, without repeating its values.

    Parameters
    ----------
    errors : iterable of mapping
        As pydantic lists them: place, ``loc``, and message, ``msg``.

    Examples
    --------
    >>> faults = validation_faults([{"loc": ("levels", 1, "conc"), "msg": "Field required"}])
    >>> faults[0].text()
    'level 2: not as documented: Field required'
    """
    messages: dict[tuple[Any, ...], list[str]] = {}
    for error in errors:
        place = tuple(part for part in error["loc"] if part != "body")
        is_item = len(place) > 1 and isinstance(place[1], int)
        messages.setdefault(place[: 2 if is_item else 1], []).append(str(error["msg"]))
    return [_misshapen(place, "; or ".join(texts)) for place, texts in messages.items()]


def _misshapen(place: tuple[Any, ...], do: str) -> Fault:
    if not place:
        return Fault("", tr("the request is not as documented"), do=do)
    name = str(place[0])[:50]
    if name not in _KEYWORDS:
        return Fault("", tr("{name} is not as documented", name=name), do=do)
    if len(place) > 1:
        return Fault("", tr("not as documented"), do=do, inside=(_KEYWORDS[name], place[1] + 1))
    return Fault(_KEYWORDS[name], tr("is not as documented"), do=do)


_KEYWORDS: Final = {field.name: field.key for field in FIELDS.values()}
