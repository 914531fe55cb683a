"""The command for a browser."""

from __future__ import annotations

import os
import signal

import click

from fludapk.cli.common import folders_of, models_dir_option, say_first_compilation
from fludapk.errors import InputError


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True,
              help="Port to listen on; 0 takes a free one.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="Address to listen on. Any but this computer's own needs a token.")  # fmt: skip
@click.option("--token-file", metavar="FILE",
              help="File with the token that others must know to get an answer, at least 16 "
              "characters; or FLUDAPK_TOKEN in the environment.")  # fmt: skip
@click.option(
    "--public-url",
    default="",
    metavar="URL",
    help="Address of the page as its users see it, behind a proxy; for links of cards.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin ask for cards: https://sandbox.cds-hooks.org.",
)
@click.option(
    "--fhir-server",
    "fhir_servers",
    multiple=True,
    metavar="URL",
    help="Fetch what a request for a card lacks from this record system, if it is the one "
    "that asks.",
)
@click.option(
    "--body-mib",
    type=float,
    default=1.0,
    show_default=True,
    metavar="MIB",
    help="Largest request for a card, MiB.",
)
@click.option("--time-zone", default="", metavar="ZONE",
              help="Of the hospital, \"Europe/Berlin\", for the days of orders; else of this "
                   "computer.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@models_dir_option
def serve(
    port: int,
    host: str,
    token_file: str | None,
    public_url: str,
    cors_origins: tuple[str, ...],
    fhir_servers: tuple[str, ...],
    body_mib: float,
    time_zone: str,
    no_browser: bool,
    models_dir: str | None,
) -> None:
    """Serve pages and an API to a browser on this computer.

    A page with the same answers, and an API with the same JSON. Nothing leaves this computer and
    nothing that is typed is kept or logged. Stop it with Ctrl-C.

    Record systems find services of CDS Hooks at /cds-services: docs/record-systems.md.
    """
    try:
        from fludapk.web.app import serve as run
        from fludapk.web.cds.settings import Settings
    except ModuleNotFoundError as error:
        raise InputError(
            f"the browser needs the extra `web` ({error.name} is missing): "
            "pip install 'fludapk[web]'"
        ) from error

    def listening(address: str) -> None:
        click.echo(f"fludapk: listening on {address} (Ctrl-C stops)", err=True)
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    settings = Settings.typed(
        cors_origins=cors_origins,
        fhir_servers=fhir_servers,
        body_mib=body_mib,
        public_url=public_url,
        time_zone=time_zone,
    )
    say_first_compilation()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ends its requests, then itself
    run(
        host=host,
        port=port,
        token=_token(token_file),
        folders=folders_of(models_dir),
        settings=settings,
        listening=listening,
    )


def _token(file: str | None) -> str | None:
    """Token in a file, or in the environment; never on the command line, where others see it."""
    if file is None:
        return os.environ.get("FLUDAPK_TOKEN") or None
    from fludapk.atomic import read_whole

    return read_whole(file).strip()
