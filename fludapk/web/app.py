"""The whole application, and the server around it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from fludapk._version import __version__
from fludapk.answers.typed import Folders
from fludapk.errors import InputError
from fludapk.pages.check_sheet import check_html
from fludapk.pages.compare_sheet import compare_html
from fludapk.pages.dose import dose_html
from fludapk.pages.update_sheet import update_html
from fludapk.web import api, evaluate_page, nomogram_page, simulate_page
from fludapk.web.asked import CheckAsked, CompareAsked, DoseAsked, UpdateAsked
from fludapk.web.beside import Beside
from fludapk.web.cds import routes as orders
from fludapk.web.cds.settings import PATH as ORDERS
from fludapk.web.cds.settings import Settings
from fludapk.web.connections import ConnectionLimits, Connections, limited
from fludapk.web.guard import Guard, Limits, Shared
from fludapk.web.jobs import Jobs
from fludapk.web.languages import Languages
from fludapk.web.pages import ABOUT, DESIGN, DOWNLOAD, TABS, Pages
from fludapk.web.sound import SoundChecks
from fludapk.web.together import Checks

PORT: Final = 8765
LEAST_TOKEN: Final = 16
"""Characters of a token."""
_SWITCH_S: Final = 0.02
"""Threads that compute take turns so often: changing costs more than waiting a moment."""
_OPEN: Final = frozenset(
    {tab.path for tab in TABS}
    | {
        ABOUT,
        DOWNLOAD,
        DESIGN,
        f"{simulate_page.PATH}/",
        "/static/",
        "/case/",
        "/healthz",
        "/version",
        "/openapi.json",
        ORDERS,
    }
)
"""Without a token: pages without an answer, and pages that ask for it in their form."""
_LISTS: Final = frozenset({api.BATCH, "/list", DOWNLOAD, evaluate_page.REQUEST, evaluate_page.PATH})
_LONG: Final = _LISTS | {
    *(f"{api.PREFIX}/{name}" for name in ("design", "nomogram", "models/")),
    *(DESIGN, "/models", nomogram_page.PATH),
}
"""Answers that take seconds."""
_SLOW: Final = frozenset(
    {f"{api.PREFIX}/{name}" for name in ("dose", "compare", "update")}
    | {"/dose", "/compare", "/levels", f"{ORDERS}/"}
)
"""Answers that take longer than a check."""
_FREE: Final = frozenset({"/static/", "/healthz", "/version"})
_MACHINES: Final = _FREE | {"/api/", "/openapi.json", ORDERS, f"{ORDERS}/"}
"""Answers that are English whoever asks."""
_ABOUT: Final = (
    "The JSON of the command line. Quantities are text with a unit, or numbers where the command "
    "line has a default unit; creatinine has none. Errors are problem details (RFC 9457) that "
    "name the fields. Research and second check only, not a medical device."
)


def create_app(
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    folders: Folders = None,
    limits: Limits | None = None,
    settings: Settings | None = None,
    jobs: Jobs | None = None,
    beside: Beside | None = None,
) -> Languages:
    """The pages and the API, guarded, and the pages in the language of their readers.

    Parameters
    ----------
    host : str
        Address or name the server listens on.
    token : str, optional
        Asked of whoever wants an answer; needed unless `host` is this machine only.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.
    limits : Limits, optional
    settings : Settings, optional
        For orders of a record system.
    jobs : Jobs, optional
        Where studies of the tab Simulate run.
    beside : Beside, optional
        Process that computes some of the checks.

    Raises
    ------
    InputError
        If others could ask without a token.
    """
    settings = settings or Settings()
    local = is_local(host)
    if not local and not token:
        raise InputError(
            f"host = {host!r} can be reached by others: give --token-file, or FLUDAPK_TOKEN in the "
            "environment, with a token that they must know"
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise InputError(
            f"the token has {len(token)} characters: at least {LEAST_TOKEN}, for example from "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    limits, jobs = limits or Limits(), jobs or Jobs()

    @asynccontextmanager
    async def started(_: FastAPI) -> AsyncIterator[None]:
        # One more than can compute at once; the others would wait for the interpreter lock. A long
        # and a slow answer leave one for checks.
        current_default_thread_limiter().total_tokens = max(3, 1 + (os.cpu_count() or 1))
        yield
        jobs.close()
        if beside is not None:
            beside.close()

    app = FastAPI(
        title="fludapk",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=started,
    )
    app.openapi = lambda: api.document(app)  # type: ignore[method-assign]
    api.handle_errors(app)
    checks = Checks(folders, beside)
    app.include_router(api.router(folders, limits.list_rows, checks))
    app.include_router(evaluate_page.api_router(folders, limits.list_rows))
    app.include_router(orders.router(folders, settings))
    hosts = {"localhost"} if local else {"localhost", host.lower(), socket.gethostname().lower()}
    hosts |= {settings.public_host} - {""}
    guard = Guard(
        app=SoundChecks(app, checks),
        hosts=frozenset(hosts),
        is_local=local,
        token=token,
        open_paths=_OPEN,
        lists=_LISTS,
        long=_LONG,
        slow=_SLOW,
        free=_FREE,
        limits=limits,
        shared=Shared(
            path=ORDERS, origins=frozenset(settings.origins), body_bytes=settings.body_bytes
        ),
    )
    pages = Pages(
        folders=folders,
        most_rows=limits.list_rows,
        admits=guard.admits,
        asks_token=token is not None,
        document=app.openapi,
    )
    app.include_router(pages.router())
    app.include_router(nomogram_page.router(pages))
    app.include_router(evaluate_page.router(pages))
    app.include_router(simulate_page.SimulatePage(pages, jobs).router())
    return Languages(guard=guard, machines=_MACHINES)


def is_local(host: str) -> bool:
    """Tell if only this machine can reach an address.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warm(folders: Folders = None) -> None:
    """Load what an answer needs, so that the first is as quick as the others."""
    for example in api.EXAMPLES["CheckAsked"]:
        check_html(CheckAsked.model_validate(example).answer(folders))
    for example in api.EXAMPLES["DoseAsked"]:
        dose_html(DoseAsked.model_validate(example).answer(folders))
    for example in api.EXAMPLES["CompareAsked"]:
        compare_html(CompareAsked.model_validate(example).answer(folders))
    for example in api.EXAMPLES["UpdateAsked"]:
        update_html(UpdateAsked.model_validate(example).answer(folders))


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once and not 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
        ) from error
    return listener


def _limits_of(host: str) -> ConnectionLimits:
    """Limits of connections; on this machine one address is everybody."""
    limits = ConnectionLimits()
    if is_local(host):
        return replace(limits, per_address=limits.connections, waiting_per_address=limits.waiting)
    return limits


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    folders: Folders = None,
    settings: Settings | None = None,
    listening: Callable[[str], None],
) -> None:
    """Serve until told to stop; running requests are finished.

    Parameters
    ----------
    host, port, token, folders, settings
        As `create_app`; port 0 is a free one.
    listening : callable
        Called with the address of the page when it can be opened.

    Raises
    ------
    InputError
        If the address cannot be used, or others could ask without a token.
    """
    beside = Beside(folders, api.EXAMPLES["CheckAsked"])
    app = create_app(host=host, token=token, folders=folders, settings=settings, beside=beside)
    with _listener(host, port) as listener:
        warm(folders)
        sys.setswitchinterval(_SWITCH_S)
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listener.getsockname()[1]}/"
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="error",
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=30,
            limit_concurrency=500,
            h11_max_incomplete_event_size=16 * 1024,
            http=limited(Connections(_limits_of(host))),
        )
        _Server(config, lambda: listening(address)).run(sockets=[listener])
