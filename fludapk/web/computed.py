"""Checks of several requests, computed together: the JSON of each, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fludapk.answers.check import checks
from fludapk.answers.check_records import CheckResult
from fludapk.answers.typed import Folders
from fludapk.errors import FludapkError
from fludapk.patience import AbandonedError
from fludapk.patients.request import Request, read_request
from fludapk.web.asked import CheckAsked

Outcome: TypeAlias = str | Exception
"""JSON of an answer, or why there is none."""


def outcomes(asked: Sequence[CheckAsked], folders: Folders) -> list[Outcome]:
    """Compute checks together, or each by itself if one of them fails in a way of its own.

    Parameters
    ----------
    asked : sequence of CheckAsked
        All of them strict, or none.
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    """
    try:
        read = [_read(each) for each in asked]
        requests = [each for each in read if isinstance(each, Request)]
        strict = any(each.strict for each in asked)
        made = checks(requests, strict=strict, folders=folders)
        results = (result for _, result in zip(requests, made, strict=True))
        return [_json(next(results)) if isinstance(each, Request) else each for each in read]
    except AbandonedError:
        return [AbandonedError() for _ in asked]
    except Exception as error:
        if len(asked) == 1:
            return [error]
        return [outcome for each in asked for outcome in outcomes([each], folders)]


def _read(asked: CheckAsked) -> Request | FludapkError:
    """Read what was typed, or return its faults."""
    try:
        return read_request(asked.typed)
    except FludapkError as error:
        return error


def _json(result: CheckResult | FludapkError) -> Outcome:
    """Return the JSON of a result, or why there is none."""
    try:
        return result if isinstance(result, FludapkError) else result.to_json(indent=None)
    except FludapkError as error:
        return error
