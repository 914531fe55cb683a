"""Remarks in words, and those of them that a first screen shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from fludapk.answers.record import Remark
from fludapk.language import tr
from fludapk.pages.words import SEVERITY_WORDS, typeset


class RemarkRow(NamedTuple):
    """A remark in words."""

    word: str
    """Severity of the remark."""
    message: str
    source: str
    urgent: bool
    """A caution."""

    @property
    def words(self) -> int:
        """Number of words."""
        return len(f"{self.word} {self.message} {self.source}".split())


WORDS_OF_BAD_NEWS: Final = 25
"""Words that a first screen spends on STOPs and cautions; a STOP is never cut."""


def in_sight(
    rows: Sequence[RemarkRow], stops: Sequence[str]
) -> tuple[list[RemarkRow], list[RemarkRow]]:
    """Divide remarks into the cautions that a page shows at once, and those that it folds.

    The first caution is shown whatever its length, unless a STOP stands above; others as long as
    there is room, by their first sentence if the whole is too long. What is cut is also among the
    folded, in full.

    Parameters
    ----------
    rows : sequence of RemarkRow
        The worst first.
    stops : sequence of str
        STOPs that the box above says.
    """
    room = WORDS_OF_BAD_NEWS - sum(len(stop.split()) for stop in stops)
    seen: list[RemarkRow] = []
    folded: list[RemarkRow] = []
    for row in rows:
        shown = row if row.words <= room else _first_sentence(row)
        fits = row.urgent and (shown.words <= room or not (seen or stops))
        if fits:
            seen.append(shown)
            room -= shown.words
        if not fits or shown is not row:
            folded.append(row)
    return seen, folded


def _first_sentence(row: RemarkRow) -> RemarkRow:
    message = re.split(r"(?<=[^\s.]{2})\.\s+(?=[A-Z])", row.message)[0]
    return row._replace(message=f"{message} …", source="")


def remark_rows(remarks: Sequence[Remark]) -> list[RemarkRow]:
    """Word severity, message and source of every remark."""
    return [
        RemarkRow(
            tr(SEVERITY_WORDS[x.severity]),
            typeset(x.message),
            tr(x.source),
            x.severity == "caution",
        )
        for x in remarks
    ]
