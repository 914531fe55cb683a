"""Forms about many patients as they are posted, and answers with figures and files.

Nothing is kept: the files of an answer stand in its page, as links that hold their content.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO
from itertools import count
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from fludapk.errors import Fault, FludapkError, InputError
from fludapk.language import tr
from fludapk.pages.templates import calculated_at
from fludapk.units import parse_number, pointed
from fludapk.web.beside_form import Answer, confirmed_boxes, refusal, refused, rendered
from fludapk.web.forms import MOST_CHARACTERS, with_points
from fludapk.web.guard import address_of
from fludapk.web.pages import Pages

_MEDIA_TYPES: Final = {
    "csv": "text/csv;charset=utf-8",
    "html": "text/html",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "toml": "application/toml",
    "zip": "application/zip",
}
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""Date of every file in an archive, so that the same answer is the same archive."""


@dataclass(frozen=True)
class Posted:
    """A form as it was posted.

    Parameters
    ----------
    texts : mapping of str to str
        Fields by name, cut to what a field may hold.
    file : UploadFile, optional
        File that came with it.
    """

    texts: Mapping[str, str]
    file: UploadFile | None = None


async def reply(
    pages: Pages,
    request: Request,
    template: str,
    path: str,
    make: Callable[[Posted], Answer],
) -> Response:
    """Answer a form, for who has the token: the answer alone for the script, or the page with it.

    Parameters
    ----------
    pages : Pages
    request : Request
    template, path : str
        Form of the tab, and its address.
    make : callable
        Computes the answer, in a thread.
    """
    async with request.form(max_files=1, max_fields=100) as form:
        texts = texts_of(form)
        if await pages.admits(texts.get("token", ""), address_of(request.scope)):
            file = next((v for v in form.values() if isinstance(v, UploadFile)), None)
            posted = Posted(with_points(texts), file if file and file.filename else None)
            answer = await run_in_threadpool(_answered, make, posted)
        else:
            answer = refusal(InputError(tr("token is wrong or missing")), texts)
            texts.pop("token", None)
    if request.headers.get("x-part") == "answer":
        return HTMLResponse(rendered("answer.html", answer=answer))
    return pages.page(template, path, texts, answer)


def _answered(make: Callable[[Posted], Answer], posted: Posted) -> Answer:
    """Return an answer, or why there is none."""
    try:
        with calculated_at():
            answer = make(posted)
    except (FludapkError, ValidationError) as error:
        answer = refused(error, posted.texts)
    return replace(answer, boxes=confirmed_boxes(posted.texts))


def texts_of(form: FormData) -> dict[str, str]:
    """Return the fields of a form, cut to what a field may hold."""
    return {k: v[:MOST_CHARACTERS] for k, v in form.items() if isinstance(v, str)}


def number_in(texts: Mapping[str, str], name: str, key: str = "") -> float | None:
    """Read a number of a form; None if its field is empty.

    Parameters
    ----------
    texts : mapping of str to str
    name : str
        Field of the form.
    key : str, optional
        Name of the input in Python, for faults; the field's if absent.

    Raises
    ------
    InputError
        If it is no number, or has a unit.

    Examples
    --------
    >>> number_in({"target_auc": "17"}, "target_auc"), number_in({}, "target_auc")
    (17.0, None)
    """
    text = pointed(texts.get(name, "").strip())
    if not text:
        return None
    value, unit = parse_number(text, key or name)
    if unit:
        raise InputError(Fault(key or name, tr("= {text} is not a number", text=repr(text))))
    return value


# ------------------------------------------------------------------ figures


def as_images(html: str, names: Sequence[str]) -> str:
    """Set the drawings of a part of a page as pictures: their styles are not ours to allow.

    Parameters
    ----------
    html : str
    names : sequence of str
        Text for who does not see it, of each drawing in order.

    Examples
    --------
    >>> as_images("<p><svg width='3'></svg></p>", ["map"])
    '<p><img alt="map" src="data:image/svg+xml;base64,PHN2ZyB3aWR0aD0nMyc+PC9zdmc+"></p>'
    """
    number = count()

    def image(match: re.Match[str]) -> str:
        place = next(number)
        alt = escape(names[place] if place < len(names) else tr("figure"))
        return f'<img alt="{alt}" src="{data_link("figure.svg", match[0].encode())}">'

    return re.sub(r"<svg\b.*?</svg>", image, html, flags=re.DOTALL)


# ------------------------------------------------------------------ files


def data_link(name: str, content: bytes) -> str:
    """Write a file as an address that holds it.

    Examples
    --------
    >>> data_link("a.csv", b"kg")
    'data:text/csv;charset=utf-8;base64,a2c='
    """
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Pack files into an archive; the same bytes for the same files."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as folder:
        for name, content in files.items():
            folder.writestr(ZipInfo(name, _FIRST_DAY), content, ZIP_DEFLATED)
    return packed.getvalue()


def downloads(files: Mapping[str, str | bytes], *, whole: str = "") -> str:
    """Offer files below an answer.

    Parameters
    ----------
    files : mapping of str to str or bytes
        Content by name.
    whole : str, optional
        Name of an archive of all of them. Then single files in folders are offered in it only.
    """
    offered = {name: content for name, content in files.items() if not (whole and "/" in name)}
    if whole:
        offered[whole] = archive(files)
    links = [
        (name, data_link(name, content.encode() if isinstance(content, str) else content))
        for name, content in offered.items()
    ]
    return rendered("downloads.html", files=links)
