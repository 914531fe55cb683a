"""Resources that did not come with a request, fetched from the record system if it is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from fludapk.web.cds.bundles import parsed
from fludapk.web.cds.settings import MIB, Settings

SECONDS: Final = 5.0
"""Time for one answer of the record system, s."""
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TEMPLATE: Final = "{{context.patientId}}"


class Fetched(NamedTuple):
    """Resources that came, and the reasons why others did not."""

    prefetch: dict[str, Any]
    failed: tuple[str, ...] = ()


class _Stays(HTTPRedirectHandler):
    """A token goes to the server that is allowed and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def missing_fetched(
    queries: dict[str, str],
    settings: Settings,
    *,
    patient_id: str,
    server: str,
    token: str,
) -> Fetched:
    """Fetch what did not come.

    Parameters
    ----------
    queries : mapping of str to str
        Key of the prefetch that is missing -> its query.
    settings : Settings
    patient_id, server, token : str
        Of the request; a server that is not allowed is never asked.
    """
    if not queries or not server:
        return Fetched({})
    address, absent = server.rstrip("/"), ", ".join(queries)
    if address not in settings.fhir_servers:
        return Fetched({}, (f"{absent}: not fetched, this server is not allowed to be asked",))
    if not _ID.fullmatch(patient_id):
        return Fetched({}, (f"{absent}: not fetched, context.patientId is no id",))
    opener = build_opener(_Stays)
    came, failed = {}, []
    for key, template in queries.items():
        query = template.replace(_TEMPLATE, quote(patient_id, safe=""))
        query = quote(query, safe="/?&=:,-_.%")
        try:
            came[key] = _asked(opener, f"{address}/{query}", token)
        except (URLError, OSError, ValueError) as error:
            failed.append(f"{key}: not fetched ({type(error).__name__})")
            if isinstance(error, TimeoutError):
                break
    return Fetched(came, tuple(failed))


def _asked(opener: OpenerDirector, address: str, token: str) -> Any:
    headers = {"Accept": "application/fhir+json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with opener.open(Request(address, headers=headers), timeout=SECONDS) as response:
        body: bytes = response.read(4 * MIB + 1)
    if len(body) > 4 * MIB:
        raise ValueError("too large")
    return parsed(body)


def unanswered(prefetch: dict[str, Any], keys: Sequence[str]) -> list[str]:
    """Keys of the prefetch that the record system could not answer.

    Examples
    --------
    >>> unanswered({"weight": {"resourceType": "OperationOutcome"}, "height": None}, ["weight"])
    ['weight']
    """
    return [
        key
        for key in keys
        if isinstance(prefetch.get(key), dict)
        and prefetch[key].get("resourceType") == "OperationOutcome"
    ]
