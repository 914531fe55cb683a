"""The routes of CDS Hooks."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from fludapk.answers.typed import Folders
from fludapk.web.cds.bundles import parsed
from fludapk.web.cds.hooks import IDS, SERVICES, Answer, Asked, Feedback, Hook, Services
from fludapk.web.cds.service import answer
from fludapk.web.cds.settings import PATH, Settings
from fludapk.web.problems import MEDIA_TYPE, ShownFault, problem

_M = TypeVar("_M", bound=BaseModel)
_JSON: Final = "application/json"


class _BodyError(Exception):
    """A body that cannot be read in one way only."""


def router(folders: Folders, settings: Settings) -> APIRouter:
    """Routes of discovery, of the services and of their feedback.

    Parameters
    ----------
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    settings : Settings
    """
    routes = APIRouter(tags=["orders"])

    @routes.get(PATH)
    def discover() -> Services:
        """CDS Hooks: which services there are."""
        return SERVICES

    def add(hook: Hook, name: str) -> None:
        async def ask(request: Request) -> Response:
            try:
                asked = await _read(Asked, request)
            except _BodyError as error:
                return _refused(400, str(error))
            home = f"{request.base_url}"
            made = await run_in_threadpool(answer, asked, home, folders, settings)
            return Response(made.model_dump_json(exclude_none=True), media_type=_JSON)

        async def hear(request: Request) -> Response:
            try:
                await _read(Feedback, request)
            except _BodyError as error:
                return _refused(400, str(error))
            return Response("{}", media_type=_JSON)

        routes.post(
            f"{PATH}/{name}",
            response_model=Answer,
            name=f"{hook} card",
            description=f"CDS Hooks `{hook}`: the exposure that orders of fludarabine give.",
            openapi_extra=_body(Asked),
        )(ask)
        routes.post(
            f"{PATH}/{name}/feedback",
            response_model=dict[str, Any],
            name=f"{hook} feedback",
            description="CDS Hooks feedback on cards: accepted, and not kept.",
            openapi_extra=_body(Feedback),
        )(hear)

    for hook, name in IDS.items():
        add(hook, name)
    return routes


async def _read(kind: type[_M], request: Request) -> _M:
    """Read a body strictly: no key twice, no number that is none."""
    try:
        value = parsed(await request.body())
    except ValueError as error:
        raise _BodyError(str(error)) from None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


def _refused(status: int, why: str) -> Response:
    shown = problem(status, [ShownFault(fields=[], message=why)])
    return Response(shown.model_dump_json(), status, media_type=MEDIA_TYPE)


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    """Body of a request in the documentation."""
    schema = _inlined(kind.model_json_schema())
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references to parts of its own."""
    parts = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return inline(parts[value["$ref"].rpartition("/")[2]])
            return {key: inline(inner) for key, inner in value.items()}
        return [inline(inner) for inner in value] if isinstance(value, list) else value

    made: dict[str, Any] = inline(schema)
    return made
