"""Short way of a check, the answer that is asked for most and takes least.

A sound request is answered here; of all others FastAPI says what is wrong with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from json import loads

from starlette.requests import Request
from starlette.responses import Response

from fludapk.errors import FludapkError
from fludapk.web.api import CHECK, JSON, respond
from fludapk.web.asked import CheckAsked
from fludapk.web.guard import App, Receive, Scope, Send, replay
from fludapk.web.problems import problem_of
from fludapk.web.together import Checks


@dataclass(frozen=True)
class SoundChecks:
    """ASGI middleware that answers sound checks itself.

    Parameters
    ----------
    app
        Answers everything else.
    checks : Checks
    """

    app: App
    checks: Checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        asked = None
        if scope["type"] == "http" and scope["path"] == CHECK and scope["method"] == "POST":
            request = Request(scope, receive)
            body = await request.body()
            receive = replay(body, receive)
            asked = _sound(body) if request.headers.get("content-type") == JSON else None
        if asked is None:
            await self.app(scope, receive, send)
            return
        try:
            response = Response(await self.checks.answer(asked), media_type=JSON)
        except FludapkError as error:
            response = respond(problem_of(error))
        await response(scope, receive, send)


def _sound(body: bytes) -> CheckAsked | None:
    """Return the request in a body; None if there is anything wrong with it."""
    try:
        return CheckAsked.model_validate(loads(body))
    except (ValueError, RecursionError):
        return None
