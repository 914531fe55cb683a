"""Files of the sources as pages of the site: ``<!-- include: ../../CHANGELOG.md -->``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

INCLUDE: Final = re.compile(r"^<!-- include: (?P<path>\S+) -->$", re.M)
_LINK: Final = re.compile(r"\]\((?!https?:|#|mailto:)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def included_files(pages: Path) -> dict[Path, Path]:
    """Return file of the sources -> page that includes it.

    Parameters
    ----------
    pages : Path
        Folder of the pages.

    Returns
    -------
    dict
        Resolved paths.
    """
    return {
        (page.parent / match["path"]).resolve(): page.resolve()
        for page in sorted(pages.rglob("*.md"))
        for match in INCLUDE.finditer(page.read_text("utf-8"))
    }


def with_included(text: str, page: Path, homes: Mapping[Path, Path]) -> str:
    """Put the named files in place, and let every link arrive where it is meant to.

    Parameters
    ----------
    text : str
        Markdown of a page.
    page : Path
        Its file.
    homes : mapping
        File of the sources -> page that includes it.

    Returns
    -------
    str
        Markdown.
    """

    def included(match: re.Match[str]) -> str:
        path = (page.parent / match["path"]).resolve()
        return _relinked(path.read_text("utf-8"), path, page, homes)

    return INCLUDE.sub(included, _relinked(text, page, page, homes))


def _relinked(text: str, written_in: Path, page: Path, homes: Mapping[Path, Path]) -> str:
    """Turn the links of a text, written for one file, into links from a page."""

    def relinked(match: re.Match[str]) -> str:
        target = (written_in.parent / match["path"]).resolve()
        target = homes.get(target, target)
        return f"]({os.path.relpath(target, page.parent)}{match['anchor'] or ''})"

    return _LINK.sub(relinked, text)
