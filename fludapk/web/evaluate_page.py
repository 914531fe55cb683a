"""The tab Evaluate and its request: models compared on the levels of an uploaded file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from fludapk.answers.typed import Folders
from fludapk.errors import Fault, InputError
from fludapk.language import in_english, marked, tr
from fludapk.pages.evaluation import evaluation_answer, evaluation_files, evaluation_html
from fludapk.published.models import model_paths
from fludapk.studies.evaluation_records import EvaluationRecord
from fludapk.web.api import PREFIX
from fludapk.web.batch import pairs_of
from fludapk.web.beside_form import Answer
from fludapk.web.evaluate_asked import EvaluateAsked
from fludapk.web.pages import Pages
from fludapk.web.posted import Posted, as_images, downloads, number_in, reply

PATH: Final = "/evaluate"
REQUEST: Final = f"{PREFIX}/evaluate"
_FORM: Final = "evaluate.form.html"
_PLAIN: Final = ("product", "diagnosis", "genotype", "encoding", "sheet", "dv", "lloq", "amt")
_FIGURES: Final = {
    "vpc": marked("Prediction-corrected visual predictive check"),
    "predicted": marked("Measured against predicted levels"),
    "npde": marked("Normalised prediction distribution errors"),
}


def api_router(folders: Folders, most_rows: int) -> APIRouter:
    """Route of the request.

    Parameters
    ----------
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    most_rows : int
        Records of a file at most.
    """
    routes = APIRouter()

    @routes.post(REQUEST, response_model=EvaluationRecord, tags=["many patients"])
    async def evaluate(
        asked: Annotated[EvaluateAsked, Form(media_type="multipart/form-data")],
    ) -> Response:
        """Compare models on measured levels of many patients: `fludapk evaluate --json`."""
        content = await asked.file.read()
        done = await run_in_threadpool(asked.answer, content, folders, most_rows)
        return Response(done.record.to_json(indent=None), media_type="application/json")

    return routes


def router(pages: Pages) -> APIRouter:
    """Routes of the tab."""
    routes = APIRouter(include_in_schema=False)
    make = partial(evaluated, folders=pages.folders, most_rows=pages.most_rows)

    @routes.get(PATH)
    def form() -> Response:
        return pages.page(_FORM, PATH)

    @routes.post(PATH)
    async def answer(request: Request) -> Response:
        return await reply(pages, request, _FORM, PATH, make)

    return routes


def evaluate_asked(
    form: Mapping[str, str], file: UploadFile, folders: Folders = None
) -> EvaluateAsked:
    """Read the comparison that a form asks for.

    Parameters
    ----------
    form : mapping of str to str
        Fields by name; ``model_NAME`` is there if that model is ticked.
    file : UploadFile
    folders : sequence of Path, optional
    """
    simulations = number_in(form, "simulations")
    fields: dict[str, Any] = {name: form[name] for name in _PLAIN if form.get(name)}
    if simulations is not None:
        fields["simulations"] = simulations
    fields |= {
        "file": file,
        "map": pairs_of(form.get("map", "")),
        "values": re.split(r"\s*;\s*", form.get("values", "").strip()),
        "models": [name for name in model_paths(folders) if form.get(f"model_{name}")],
    }
    asked: EvaluateAsked = EvaluateAsked.model_validate(fields)
    return asked


def evaluated(posted: Posted, folders: Folders, most_rows: int) -> Answer:
    """Answer the form: the page and figures of the comparison, and its files."""
    if posted.file is None:
        raise InputError(Fault("file", tr("is missing"), do=tr("choose a CSV file or a workbook")))
    name = PurePath(posted.file.filename or "levels").name
    asked = evaluate_asked(posted.texts, posted.file, folders)
    compute = partial(asked.answer, posted.file.file.read(), folders, most_rows)
    result = compute()
    files = evaluation_files(result, name, in_english(result, compute))
    drawings = {
        key: str(files[path]) for key in _FIGURES if (path := f"figures/{key}.svg") in files
    }
    part = evaluation_html(result.record, name, drawings, whole=False)
    sentence = ". ".join(evaluation_answer(result.record))
    html = as_images(part, [tr(name) for name in _FIGURES.values()]) + downloads(
        files, whole="evaluation.zip"
    )
    return Answer(html, f"{sentence}.")
