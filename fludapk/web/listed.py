"""A computed list as a part of its page."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from fludapk._version import __version__
from fludapk.answers.batch import Done, doubts
from fludapk.answers.record import DISCLAIMER
from fludapk.pages.templates import now
from fludapk.pages.words import age_text, counts_line, row_cells, target_name
from fludapk.published.targets import targets
from fludapk.web.batch import Computed
from fludapk.web.beside_form import rendered

SHOWN_ROWS: Final = 1000
"""Rows of a list on the page; all are in the download."""


def list_shown(done: Computed) -> str:
    """A computed list as a part of the page; refused rows stand in their place."""
    every = done.done
    rows = [row for k, row in enumerate(every) if k < SHOWN_ROWS or row.error is not None]
    tally = done.tally()
    return rendered(
        "listed.html",
        tally=tally,
        counts=counts_line(tally.counts),
        rows=[_of_row(row, done.form_of(row.row)) for row in rows[: 2 * SHOWN_ROWS]],
        hidden=len(every) - len(rows[: 2 * SHOWN_ROWS]),
        unused=done.plan.layout.unused,
        read_as=done.plan.layout.read_as,
        doubts=doubts(tally),
        points=2**done.plan.log2_points,
        models=sorted(tally.models.items()),
        version=f"fludapk {__version__}",
        calculated=now().isoformat(" ", "minutes"),
        disclaimer=DISCLAIMER,
    )


class ListRow(NamedTuple):
    """A row of a list on the page."""

    done: Done
    standing: str
    age: str
    target: str
    """Name of the target that fits; empty if none does."""
    cells: tuple[str, ...]
    form: str
    """Form of its check, as in a link."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Fields of its check, to be posted where no script reads the link."""
        return parse_qsl(self.form)


def _of_row(done: Done, form: str) -> ListRow:
    if done.shown is None:
        return ListRow(done, "bad", "", "", (), form)
    headline = done.shown.headline
    target = "" if headline.target is None else target_name(targets()[headline.target])
    age = age_text(done.shown.age_years)
    return ListRow(done, headline.standing, age, target, row_cells(done.shown), form)
