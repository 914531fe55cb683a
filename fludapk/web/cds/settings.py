"""Settings of the administrator for orders of a record system."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fludapk.errors import Fault, InputError
from fludapk.patients.clock import read_clock

MIB: Final = 1024 * 1024
PATH: Final = "/cds-services"
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings; see `Settings.typed`.

    Parameters
    ----------
    origins : tuple of str
        Origins of browsers that may ask.
    fhir_servers : tuple of str
        Addresses of record systems that what is missing may be fetched from.
    body_bytes : int
        Largest request.
    public_url : str
        Address of the page as its users see it; empty for that of the request.
    zone : ZoneInfo, optional
        Of the hospital; without it that of this computer.
    now : callable
        The present moment.
    """

    origins: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    body_bytes: int = MIB
    public_url: str = ""
    zone: ZoneInfo | None = None
    now: Callable[[], dt.datetime] = _now

    @classmethod
    def typed(
        cls,
        *,
        cors_origins: Sequence[str] = (),
        fhir_servers: Sequence[str] = (),
        body_mib: float = 1.0,
        public_url: str = "",
        time_zone: str = "",
    ) -> Self:
        """Read settings as typed.

        Raises
        ------
        InputError
            With all faults.

        Examples
        --------
        >>> Settings.typed(fhir_servers=["https://ehr.example.org/fhir/"]).fhir_servers
        ('https://ehr.example.org/fhir',)
        """
        faults = [
            Fault("cors_origin", f"= {text!r}", do="write scheme and host, https://ehr.example.org")
            for text in cors_origins
            if not _is_address(text) or urlsplit(text).path not in ("", "/")
        ]
        faults += [
            Fault(
                "fhir_server", f"= {text!r}", do="write its address, https://ehr.example.org/fhir"
            )
            for text in fhir_servers
            if not _is_address(text) or not _is_safe(text)
        ]
        if public_url and not _is_address(public_url):
            do = "write the address of the page, https://fludapk.example.org"
            faults.append(Fault("public_url", f"= {public_url!r}", do=do))
        if not 0.0625 <= body_mib <= 64:
            faults.append(Fault("body_mib", f"= {body_mib:g}", do="from 0.0625 to 64 MiB"))
        zone = None
        try:
            zone = read_clock(time_zone=time_zone).zone if time_zone else None
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        return cls(
            origins=tuple(text.rstrip("/") for text in cors_origins),
            fhir_servers=tuple(text.rstrip("/") for text in fhir_servers),
            body_bytes=int(body_mib * MIB),
            public_url=public_url.rstrip("/"),
            zone=zone,
        )

    @property
    def public_host(self) -> str:
        """Name in `public_url`; empty if there is none."""
        return (urlsplit(self.public_url).hostname or "").lower()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and not (parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        return False


def _is_safe(text: str) -> bool:
    """Tell if a token may go there: encrypted, or on this computer."""
    parts = urlsplit(text)
    return parts.scheme == "https" or parts.hostname in _LOCAL
