"""Fenced blocks of a page: text in between, what is run, and its options.

A page is plain Markdown. The first word after the fence is its language, further words are
options, as in ````` ```console exit=3 head=12 `````.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_FENCE: Final = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$\n?", re.M | re.S
)
OPTIONS: Final = {
    "console": {"exit", "head", "embed", "norun"},
    "python": {"hide", "markdown"},
    "toml": {"file"},
    "csv": {"file"},
}
"""Languages with something to do, and the options of each."""


class PageError(Exception):
    """A page that cannot be built, with the reason."""


@dataclass(frozen=True)
class Block:
    """One fenced block, or the text between two of them.

    Attributes
    ----------
    language : str
        First word after the fence; empty for text.
    body : str
        Its lines; for text the Markdown itself.
    options : dict
        Words after the language: ``head=12`` or, alone, ``norun``.
    source : str
        The block as it stands in the page.
    """

    language: str
    body: str
    options: dict[str, str] = field(default_factory=dict)
    source: str = ""


def blocks(page: str) -> list[Block]:
    r"""Cut a page into fenced blocks and the text between them.

    Parameters
    ----------
    page : str
        Markdown.

    Returns
    -------
    list of Block
        In order; their sources together are the page.

    Examples
    --------
    >>> [block.language for block in blocks("Try\n```console head=2\n$ ls\n```\nand read.\n")]
    ['', 'console', '']
    """
    cut, end = [], 0
    for match in _FENCE.finditer(page):
        if match.start() > end:
            cut.append(_text(page[end : match.start()]))
        language, *words = match["info"].split() or [""]
        options = dict(word.partition("=")[::2] for word in words) if language in OPTIONS else {}
        if unknown := options.keys() - OPTIONS.get(language, set()):
            raise PageError(f"a block of {language} has no option {', '.join(sorted(unknown))}")
        cut.append(Block(language or "text", match["body"], options, match[0]))
        end = match.end()
    if end < len(page):
        cut.append(_text(page[end:]))
    return cut


def _text(source: str) -> Block:
    return Block("", source, {}, source)


def fenced(language: str, body: str) -> str:
    """Fence a text so that nothing in it ends the block.

    Parameters
    ----------
    language : str
        What stands after the fence.
    body : str
        Any text.

    Returns
    -------
    str
        Markdown.
    """
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body.rstrip()}\n{fence}\n"
