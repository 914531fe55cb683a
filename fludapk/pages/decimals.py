"""Decimal mark of the language that is spoken, set once on what is finished.

Numbers are worded with a point everywhere. Where a language writes a comma, `marked_html` puts it
in the text of a page, and in attributes that are read aloud; what is copied, computed with, or a
name stays: code, what was typed, geometry, versions, addresses.
"""

from __future__ import annotations

import re
from typing import Final

from fludapk.language import language

_COMMA: Final = frozenset({"de", "fr", "es", "nl"})
_NUMBER: Final = (
    r"(?:https?://|\b10\.\d{4,9}/)[^\s<]+"  # an address, a DOI
    r"|(?:[Ss]ections?|[Aa]bschnitte?n?|[Ss]ecci(?:ón|ones)|[Rr]ubri(?:ek|que)s?|§)\s*\d+\.\d+"
    r"|(?:(?<![\w.])|(?<=\x1b\[1m))(?P<whole>\d+)\.(?P<part>\d+(?:e[+-]?\d+)?)(?!\.?\w)"
)
_TEXT: Final = re.compile(_NUMBER)
_HTML: Final = re.compile(
    r"<(?P<kept>code|pre|script|style|textarea|cite)\b.*?</(?P=kept)>"
    r'|<(?P<name>\w+)[^<>]*\s(?:translate="no"|lang="en")[^<>]*>.*?</(?P=name)>'
    rf"|(?P<tag><[^>]*>)|{_NUMBER}",
    re.DOTALL,
)
_SPOKEN: Final = re.compile(r'(\s(?:aria-label|title|alt|data-said|placeholder)=")([^"]*)')


def writes_comma() -> bool:
    """Tell if the language that is spoken has a decimal comma."""
    return language() in _COMMA


def marked_text(text: str) -> str:
    """Set the decimal mark in a text without markup.

    Examples
    --------
    >>> from fludapk.language import speaking
    >>> with speaking("de"):
    ...     marked_text("AUC 12.5 (9.1-16.8), fludapk 0.2.0, 10.1182/blood.1.2, 24.5h")
    'AUC 12,5 (9,1-16,8), fludapk 0.2.0, 10.1182/blood.1.2, 24.5h'
    """
    return _TEXT.sub(_comma, text) if writes_comma() else text


def marked_html(html: str) -> str:
    """Set the decimal mark in a page or a part of one.

    Examples
    --------
    >>> from fludapk.language import speaking
    >>> with speaking("fr"):
    ...     marked_html('<p title="1.5 mg"><input value="1.5"> 2.5 <code>3.5</code></p>')
    '<p title="1,5 mg"><input value="1.5"> 2,5 <code>3.5</code></p>'
    """
    return _HTML.sub(_in_html, html) if writes_comma() else html


def _comma(match: re.Match[str]) -> str:
    return match[0] if match["whole"] is None else f"{match['whole']},{match['part']}"


def _in_html(match: re.Match[str]) -> str:
    tag: str | None = match["tag"]
    if tag is None:
        return _comma(match)
    return _SPOKEN.sub(lambda spoken: spoken[1] + _TEXT.sub(_comma, spoken[2]), tag)
