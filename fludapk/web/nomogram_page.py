"""The tab Nomogram: the form of `fludapk nomogram`, its table, figure and files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fludapk.answers.nomogram_records import Nomogram
from fludapk.answers.typed import Folders
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import in_english, tr
from fludapk.pages.figure import can_draw
from fludapk.pages.nomogram import nomogram_html, target_line, title
from fludapk.pages.nomogram_figure import nomogram_png, nomogram_svg
from fludapk.web.asked import NomogramAsked
from fludapk.web.beside_form import Answer
from fludapk.web.forms import typed
from fludapk.web.pages import Pages
from fludapk.web.posted import Posted, as_images, downloads, number_in, reply

PATH: Final = "/nomogram"
_FORM: Final = "nomogram.form.html"


def router(pages: Pages) -> APIRouter:
    """Routes of the tab."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    def form() -> Response:
        return pages.page(_FORM, PATH)

    @routes.post(PATH)
    async def answer(request: Request) -> Response:
        return await reply(pages, request, _FORM, PATH, partial(charted, folders=pages.folders))

    return routes


def nomogram_asked(form: Mapping[str, str]) -> NomogramAsked:
    """Read the nomogram that a form asks for.

    Examples
    --------
    >>> nomogram_asked({"regimen": "axi_cel", "weights_from": "50", "weights_to": "90",
    ...     "weights_step": "20"}).weights
    [50.0, 90.0, 20.0]
    """
    weights, renal, target_auc = gathered(
        lambda: _axis(form, "weights", "weights_kg"),
        lambda: _axis(form, "renal", "renal"),
        lambda: number_in(form, "target_auc"),
    )
    fields = {**typed(form), "weights": weights, "renal": renal, "target_auc": target_auc}
    asked: NomogramAsked = NomogramAsked.model_validate(fields)
    return asked


def _axis(form: Mapping[str, str], name: str, key: str) -> list[float] | None:
    """Read from, to and step of an axis; None if it is left to the model."""
    parts = [f"{name}_{part}" for part in ("from", "to", "step")]
    numbers = gathered(*(partial(number_in, form, part, key) for part in parts))
    given: list[float] = [number for number in numbers if number is not None]
    if given and len(given) < len(parts):
        raise InputError(Fault(key, tr("need all three, or none"), do=tr("give from, to and step")))
    return given or None


def charted(posted: Posted, folders: Folders) -> Answer:
    """Answer the form: figure and table, and files of them."""
    asked = nomogram_asked(posted.texts)
    chart = asked.answer(folders)
    figures = _drawn(asked, chart, folders)
    svg = figures.get("nomogram.svg", b"").decode()
    files: dict[str, str | bytes] = {
        "nomogram.csv": chart.to_csv(),
        "nomogram.json": in_english(chart, partial(asked.answer, folders)).to_json() + "\n",
        "nomogram.html": nomogram_html(chart, svg),
        **figures,
    }
    part = nomogram_html(chart, svg, whole=False)
    drawing = tr("{title}, as contours; its numbers are in the table below", title=title(chart))
    html = f'<div class="wide">{as_images(part, [drawing])}</div>' + downloads(files)
    return Answer(html, f"{title(chart)}. {_sentence(chart)}")


def _sentence(chart: Nomogram) -> str:
    n_rows, n_columns = len(chart.weights_kg), len(chart.renal)
    if chart.quantity == "auc_0_inf":
        table = tr("AUC0-inf over weight and {renal}", renal=chart.renal_covariate)
    else:
        table = tr(
            "dose for {auc:g} mg·h/L over weight and {renal}",
            auc=chart.target_auc,
            renal=chart.renal_covariate,
        )
    cells = tr("{table}, {rows} × {columns} cells", table=table, rows=n_rows, columns=n_columns)
    return f"{cells}. {target_line(chart)}"


def _drawn(asked: NomogramAsked, chart: Nomogram, folders: Folders) -> dict[str, bytes]:
    """Draw the map of a chart with smooth contours, if it has two axes."""
    if not can_draw() or min(len(chart.weights_kg), len(chart.renal)) < 2:
        return {}
    fine = asked.answer(folders, fine=True)
    return {"nomogram.svg": nomogram_svg(fine).encode(), "nomogram.png": nomogram_png(fine)}
