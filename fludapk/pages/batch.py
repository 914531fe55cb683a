"""The page of a list of patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fludapk._version import __version__
from fludapk.answers.batch import doubts
from fludapk.answers.record import DISCLAIMER
from fludapk.language import ntr, tr
from fludapk.pages.layout import table
from fludapk.pages.templates import sheet
from fludapk.pages.words import age_text, counts_line, mg, row_cells
from fludapk.patients.vials import share_vials
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
            "draws": tr(
                "{n} simulated courses per patient, seed {seed}",
                n=2**log2_points,
                seed=POINT_SET_SEED,
            ),
        },
    )


def vials_lines(doses_mg: Sequence[tuple[str, float]], left_out: int) -> list[str]:
    """Draw how the patients of a list share vials on one day.

    Parameters
    ----------
    doses_mg : sequence of (str, float)
        Name of each patient, and one dose, mg of fludarabine phosphate.
    left_out : int
        Rows without a dose to draw: refused, or under STOP.

    Examples
    --------
    >>> for line in vials_lines([("A", 22.0), ("B", 41.0), ("C", 30.0)], 1):
    ...     print(line)
    Vials shared on one day: 2 of 50 mg instead of 3, 50 mg saved, 7 mg left
      1  B  41 mg  1.64 mL  vial 1: 41 mg
      2  C  30 mg   1.2 mL  vial 1: 9 mg; vial 2: 21 mg
      3  A  22 mg  0.88 mL  vial 2: 22 mg
    In the order of drawing. How long an open vial may be kept is for the pharmacy to decide.
    1 row without a dose to draw (refused, or STOP) is left out.
    """
    if not doses_mg:
        return [tr("Vials shared on one day: no row has a dose to draw.")]
    shared = share_vials(doses_mg)
    part_of_vial = tr("vial {number}: {dose} mg")
    rows = [
        (
            f"{place}", dose.patient, f"{mg(dose.dose_mg)} mg", f"{mg(dose.volume_ml)} mL",
            "; ".join(
                part_of_vial.format(number=vial, dose=mg(part)) for vial, part in dose.parts_mg
            ),
        )
        for place, dose in enumerate(shared.doses, 1)
    ]  # fmt: skip
    counts = {"vials": shared.vials, "alone": shared.vials_alone, "left": mg(shared.left_mg)}
    if shared.vials_saved:
        title = tr(
            "Vials shared on one day: {vials} of 50 mg instead of {alone}, {saved} mg saved, "
            "{left} mg left",
            saved=mg(shared.mg_saved),
            **counts,
        )
    else:
        title = tr(
            "Vials shared on one day: {vials} of 50 mg instead of {alone}, {left} mg left", **counts
        )
    lines = [
        title,
        table(rows, 100, right="023"),
        tr(
            "In the order of drawing. How long an open vial may be kept is for the pharmacy to "
            "decide."
        ),
    ]
    if left_out:
        lines.append(
            ntr(
                "{n} row without a dose to draw (refused, or STOP) is left out.",
                "{n} rows without a dose to draw (refused, or STOP) are left out.",
                left_out,
            )
        )
    return lines
