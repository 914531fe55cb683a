"""The page of a list of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fludapk._version import __version__
from fludapk.answers.record import DISCLAIMER
from fludapk.pages.templates import sheet
from fludapk.pages.words import FLAG_WORDS, percent
from fludapk.pk.effects import POINT_SET_SEED

if TYPE_CHECKING:
    from fludapk.answers.batch import Tally


def batch_html(tally: Tally, list_sha256: str, log2_points: int) -> str:
    """Draw a list of patients, the lowest AUC first; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    tally : Tally
    list_sha256 : str
        Of the bytes of the list.
    log2_points : int
    """
    rows = [
        (
            f"{one.row}", one.id, f"{one.auc_0_inf:.2f}",
            f"{one.pi90[0]:.1f}-{one.pi90[1]:.1f}", FLAG_WORDS[one.flag or "met"],
            percent(one.p_below), f"{one.doses} × {one.dose_mg:.2f} mg",
            "" if one.models_agree else "MODELS DISAGREE on the flag",
        )
        for one in tally.worst
    ]  # fmt: skip
    return sheet(
        "batch.html",
        tally=tally,
        rows=rows,
        left_out=tally.rows - tally.counts["refused"] - len(rows),
        refused_left_out=tally.counts["refused"] - len(tally.refused),
        disclaimer=DISCLAIMER,
        made={
            "version": f"fludapk {__version__}",
            "hashes": [
                ("list", list_sha256),
                *((f"model {name}", sha) for name, sha in sorted(tally.models.items())),
            ],
            "draws": f"{2**log2_points} points a row, seed {POINT_SET_SEED}",
        },
    )
