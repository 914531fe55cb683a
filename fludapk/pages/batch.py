"""The page of a list of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fludapk._version import __version__
from fludapk.answers.batch import doubts
from fludapk.answers.record import DISCLAIMER
from fludapk.pages.templates import sheet
from fludapk.pages.words import age_text, counts_line, row_cells
from fludapk.pk.effects import POINT_SET_SEED

if TYPE_CHECKING:
    from fludapk.answers.batch import Tally


def batch_html(tally: Tally, list_sha256: str, log2_points: int) -> str:
    """Draw a list of patients, the most urgent first; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    tally : Tally
    list_sha256 : str
        Of the bytes of the list.
    log2_points : int
    """
    rows = [
        (f"{row.row}", row.id, age_text(row.shown.age_years), *row_cells(row.shown))
        for row in tally.worst
        if row.shown
    ]
    return sheet(
        "batch.html",
        tally=tally,
        counts=counts_line(tally.counts),
        rows=rows,
        doubts=doubts(tally),
        left_out=tally.rows - tally.counts["refused"] - len(rows),
        refused_left_out=tally.counts["refused"] - len(tally.refused),
        disclaimer=DISCLAIMER,
        made={
            "version": f"fludapk {__version__}",
            "hashes": [
                ("list", list_sha256),
                *((f"model {name}", sha) for name, sha in sorted(tally.models.items())),
            ],
            "draws": f"{2**log2_points} simulated courses per patient, seed {POINT_SET_SEED}",
        },
    )
