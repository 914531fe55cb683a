"""JSON that cannot be read in two ways, bundles, and references between resources."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

from fludapk.web.cds.resources import Raw

MOST_LEVELS: Final = 60
"""Nesting of a request; FHIR needs about 20."""
_PATIENT: Final = "Patient"


def parsed(body: bytes) -> Any:
    """Parse a request.

    Raises
    ------
    ValueError
        If it is not JSON, has a key twice, a number that is none, or text that is none.

    Examples
    --------
    >>> parsed(b'{"dose": 30, "dose": 300}')
    Traceback (most recent call last):
    ValueError: the key 'dose' is there twice
    """
    try:
        value = json.loads(
            body, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    _check_text(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> Raw:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return made


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is larger than a number can be")
    return number


def _check_text(value: Any) -> None:
    """Refuse half characters, which no answer could repeat, and what is nested without end."""
    waiting = [(value, 0)]
    while waiting:
        part, level = waiting.pop()
        if level > MOST_LEVELS:
            raise ValueError(f"nested deeper than {MOST_LEVELS} levels")
        if isinstance(part, dict):
            waiting += [(inner, level + 1) for pair in part.items() for inner in pair]
        elif isinstance(part, list):
            waiting += [(inner, level + 1) for inner in part]
        elif isinstance(part, str) and not part.isascii():
            try:
                part.encode()
            except UnicodeEncodeError:
                raise ValueError("text with half a character (a lone surrogate)") from None


class Entry(NamedTuple):
    """A resource and its address in the bundle."""

    url: str
    resource: Raw

    @property
    def kind(self) -> str:
        """Type of the resource."""
        return str(self.resource.get("resourceType", ""))

    @property
    def relative(self) -> str:
        """Type and id, ``Patient/p1``."""
        return f"{self.kind}/{self.resource.get('id', '')}"


def entries(value: object) -> Iterator[Entry]:
    """Resources of a bundle, of bundles inside it, or the one that stands alone.

    Examples
    --------
    >>> [entry.relative for entry in entries({"resourceType": "Patient", "id": "p1"})]
    ['Patient/p1']
    """
    if not isinstance(value, dict):
        return
    if value.get("resourceType") != "Bundle" and "entry" not in value:
        if value:
            yield Entry("", value)
        return
    for entry in objects(value.get("entry")):
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
            yield from entries(resource)
        elif isinstance(resource, dict):
            url = entry.get("fullUrl")
            yield Entry(url if isinstance(url, str) else "", resource)


def unreadable(value: object) -> int:
    """Count the entries of a bundle that hold no resource; a value that is no bundle is one.

    Examples
    --------
    >>> unreadable({"resourceType": "Bundle", "entry": [{"resource": "x"}]}), unreadable(None)
    (1, 1)
    """
    if not isinstance(value, dict):
        return 1
    is_alone = "entry" not in value and value.get("resourceType") != "Bundle"
    listed = [{"resource": value}] if is_alone else value.get("entry", [])
    if not isinstance(listed, list):
        return 1
    has_kind = (
        isinstance(entry, dict)
        and isinstance(resource := entry.get("resource"), dict)
        and bool(text_of(resource, "resourceType"))
        for entry in listed
    )
    return sum(not kind for kind in has_kind)


def objects(value: object) -> list[Raw]:
    """The objects of what should be a list of objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(resource: Raw, key: str) -> str:
    """Text of an element; empty if it is none.

    Examples
    --------
    >>> text_of({"status": "draft"}, "status"), text_of({"status": ["draft"]}, "status")
    ('draft', '')
    """
    value = resource.get(key)
    return value if isinstance(value, str) else ""


def tail(reference: str) -> str:
    """Type and id of a reference, without server and version.

    Examples
    --------
    >>> tail("https://ehr.example.org/fhir/Patient/p1/_history/3"), tail("urn:uuid:7")
    ('Patient/p1', 'urn:uuid:7')
    """
    if reference.startswith(("urn:", "#")):
        return reference
    return "/".join(reference.partition("/_history/")[0].split("?")[0].split("/")[-2:])


@dataclass(frozen=True, kw_only=True)
class Library:
    """Everything that came with a request, and whom it is about.

    Parameters
    ----------
    patient_id : str
        Of the context.
    server : str
        Address of the record system, if it was told.
    drafts : sequence of Entry
        Orders of the request.
    fetched : sequence of Entry
        Resources of the prefetch.
    """

    patient_id: str
    server: str = ""
    drafts: tuple[Entry, ...] = ()
    fetched: tuple[Entry, ...] = ()

    @property
    def every(self) -> tuple[Entry, ...]:
        """Orders and prefetch."""
        return (*self.drafts, *self.fetched)

    def resolved(self, reference: str, owner: Raw | None = None) -> Raw | None:
        """Resource behind a reference; None if it did not come with the request.

        Parameters
        ----------
        reference : str
        owner : dict, optional
            Resource that has the reference, for what it contains.
        """
        if not reference:
            return None
        if reference.startswith("#"):
            contained = objects((owner or {}).get("contained"))
            ids = (reference, reference[1:])
            return next((part for part in contained if part.get("id") in ids), None)
        by_url = (entry.resource for entry in self.every if entry.url == reference)
        wanted = tail(reference)
        by_id = (entry.resource for entry in self.every if entry.relative == wanted)
        return next(by_url, None) or next(by_id, None)

    def is_of_patient(self, reference: str) -> bool:
        """Tell if a reference is to the patient of the context.

        Examples
        --------
        >>> library = Library(patient_id="p1", server="https://ehr.example.org/fhir")
        >>> library.is_of_patient("Patient/p1"), library.is_of_patient("Patient/p2")
        (True, False)
        >>> library.is_of_patient("https://elsewhere.example.org/Patient/p1")
        False
        """
        if reference.startswith("urn:"):
            if reference == f"urn:uuid:{self.patient_id}":
                return True
            entry = next((e for e in self.every if e.url == reference), None)
            return entry is not None and entry.relative == f"{_PATIENT}/{self.patient_id}"
        if "://" in reference and self.server:
            base = reference.partition(f"/{_PATIENT}/")[0]
            if base.rstrip("/") != self.server.rstrip("/"):
                return False
        return tail(reference) == f"{_PATIENT}/{self.patient_id}"
