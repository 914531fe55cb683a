"""The page of a nomogram."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from fludapk.pages.templates import sheet
from fludapk.published.targets import flag

if TYPE_CHECKING:
    from fludapk.answers.nomogram import Nomogram

_NOMOGRAM_COLUMNS: Final = 15
"""What fits on a page; a finer grid is thinned."""


def nomogram_html(chart: Nomogram, figure: str, *, whole: bool = True) -> str:
    """Draw a nomogram, figure and table; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    chart : Nomogram
    figure : str
        Its SVG document.
    """
    is_auc = chart.quantity == "auc_0_inf"
    every = math.ceil(len(chart.renal) / _NOMOGRAM_COLUMNS)

    def cell(value: float | None, outside: bool) -> str:
        if value is None:
            return "-"
        mark = {"below": " b", "borderline": " ~", "met": ""}[flag(value)] if is_auc else ""
        return f"{value:.1f}{mark}{' *' if outside else ''}"

    table = [
        (
            f"{weight:g}",
            [cell(v, o) for v, o in zip(values[::every], outside[::every], strict=True)],
        )
        for weight, values, outside in zip(
            chart.weights_kg, chart.values, chart.outside_studied, strict=True
        )
    ]
    return sheet(
        "nomogram.html",
        whole=whole,
        n=chart,
        table=table,
        renal=[f"{value:g}" for value in chart.renal[::every]],
        is_auc=is_auc,
        figure=figure[figure.index("<svg") :],
        disclaimer=chart.disclaimer,
        made={
            "version": f"fludapk {chart.version}",
            "hashes": [(f"model {chart.model}", chart.model_sha256)],
            "draws": "typical patients",
        },
    )
