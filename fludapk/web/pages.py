"""The pages: a form and its answer, which works without script too.

A tab is a line of `TABS` and a route in `router`. Nothing that was typed is kept: a form is posted,
its answer comes back, and that was all.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup, escape
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from fludapk._version import __version__
from fludapk.answers.record import DISCLAIMER
from fludapk.answers.typed import Folders
from fludapk.answers.verify import Verification, Verified, verify
from fludapk.errors import Fault, FludapkError, InputError
from fludapk.language import LANGUAGES, SOURCE, language, marked, speaking, tr
from fludapk.pages.sources import NUMBER_HEADER, number_rows
from fludapk.pages.templates import TEMPLATES
from fludapk.pages.words import (
    counts_line,
    typeset,
    window,
)
from fludapk.patients.case_file import QUESTIONS, CaseFile, Question
from fludapk.patients.encodings import ENCODINGS
from fludapk.patients.xlsx_results import MEDIA_TYPE as XLSX
from fludapk.published.course_files import RegimenEntry
from fludapk.published.equations import equation
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import AVERAGED, Model, ModelFolders, load_models
from fludapk.published.regimens import label_rules, regimens
from fludapk.published.targets import targets
from fludapk.units import UNITS
from fludapk.web.batch import BatchAsked, Computed, pairs_of
from fludapk.web.beside_form import (
    Answer,
    answered,
    checked,
    compared,
    confirmed_boxes,
    designed,
    dosed,
    refusal,
    refused,
    rendered,
    updated,
)
from fludapk.web.case_form import CASE, PATHS, case_of, form_of
from fludapk.web.case_form import MOST_CHARACTERS as MOST_OF_CASE
from fludapk.web.entries import FIRST, as_first
from fludapk.web.forms import (
    CHOICES,
    LEVEL_ROWS,
    MOST_CHARACTERS,
    PLAN_ROWS,
    typed,
    with_points,
)
from fludapk.web.guard import address_of
from fludapk.web.languages import at
from fludapk.web.listed import list_shown
from fludapk.web.problems import TITLES, slug

HERE: Final = Path(__file__).parent
DOWNLOAD: Final = "/list/download"
ABOUT: Final = "/about"
DESIGN: Final = "/levels/design"


@dataclass(frozen=True)
class Tab:
    """A page in the row at the top."""

    title: str
    path: str


TABS: Final = (
    Tab(marked("Check"), "/"),
    Tab(marked("Dose"), "/dose"),
    Tab(marked("Compare"), "/compare"),
    Tab(marked("Levels"), "/levels"),
    Tab(marked("List"), "/list"),
    Tab(marked("Nomogram"), "/nomogram"),
    Tab(marked("Evaluate"), "/evaluate"),
    Tab(marked("Simulate"), "/simulate"),
    Tab(marked("Models"), "/models"),
    Tab("API", "/docs"),
)

_OF_SCRIPT: Final = {
    "silent": marked("No answer from the server: is fludapk serve still running?"),
    "noClipboard": marked("No clipboard here: select the text and copy it"),
    "copiedChart": marked("Copied: four lines of text"),
    "copiedLink": marked("Copied: the link holds what was typed"),
}
"""Sentences that the scripts say."""

CASES: Final = ("/", "/dose", "/compare", "/levels")
"""Pages of one patient, who goes along from one to the other."""

STATIC: Final = {
    "app.js": (HERE / "static" / "app.js", "text/javascript"),
    "simulate.js": (HERE / "static" / "simulate.js", "text/javascript"),
    "app.css": (HERE / "static" / "app.css", "text/css"),
    "sheet.css": (TEMPLATES / "style.html", "text/css"),
    "icon.svg": (HERE / "static" / "icon.svg", "image/svg+xml"),
}


# ------------------------------------------------------------------ templates


def plan_suggestions() -> list[str]:
    """Plans that a field offers: the published courses, and one of each aim."""
    courses = list(regimens())
    aims = ["auc 19", "window 18 20", "target scordo2023", "chance 0.8", "rule us_iv"]
    return [*courses, "30 mg/m2 x 3", *(f"axi_cel {aim}" for aim in aims)]


@lru_cache(maxsize=len(LANGUAGES))
def choices(_spoken: str) -> dict[str, Any]:
    """Choices that the selectors offer, in the language that is spoken."""
    known = list(targets().values())
    courses = list(regimens().values())
    return {
        "units": CHOICES,
        "encodings": [(name, tr(words)) for name, words in ENCODINGS.items() if name != "utf-8"],
        "level_rows": LEVEL_ROWS,
        "plan_rows": PLAN_ROWS,
        "plans": plan_suggestions(),
        "renal": [
            (tr("Creatinine"), list(UNITS["creatinine"])),
            ("eGFR", list(UNITS["eGFR"])),
            (tr("Creatinine clearance"), list(UNITS["CrCl"])),
        ],
        "regimens": [(r.id, f"{tr(r.title)}: {_planned(r)}") for r in courses],
        "courses": [
            {
                "id": r.id,
                "text": f"{tr(r.title)}: {_planned(r)}",
                "dose": f"{r.dose:g} {r.unit}",
                "days": r.days,
            }
            for r in courses
        ],
        "targets": [(t.id, f"{t.name}: {window(t)} mg·h/L") for t in known],
        "bsa": [name for name, f in FORMULAS.items() if f.quantity == "BSA"],
        "egfr": [name for name, f in FORMULAS.items() if f.quantity in ("eGFR", "CrCl")],
        "products": sorted({r.product for r in courses if r.product}),
        "diagnoses": sorted({r.disease for r in courses if r.disease}),
    }


def _planned(course: RegimenEntry) -> str:
    """Dose and number of infusions of a published course."""
    return f"{course.dose:g} {typeset(course.unit)} × {course.days}"


# ------------------------------------------------------------------ the models


def _model_shown(model: Model, rows: Sequence[Verified]) -> dict[str, Any]:
    file = model.file
    return {
        "id": model.id,
        "title": file.title,
        "citation": file.citation,
        "population": file.population,
        "dose": file.dose,
        "compartments": file.compartments,
        "equations": [(name, equation(model, name)) for name in file.parameters],
        "header": NUMBER_HEADER,
        "numbers": number_rows(model),
        "departures": file.departures,
        "verified": [row for row in rows if row.model == model.id],
        "sha256": model.sha256,
    }


def models_shown(folders: Folders) -> list[dict[str, Any]]:
    """Every model for its page, its published numbers re-computed."""
    models = load_models(folders)
    allow = getattr(folders, "allow_override", False)
    rows = _verified(tuple(folders or ()), allow, tuple(model.sha256 for model in models))
    return [_model_shown(model, rows) for model in models]


@lru_cache(maxsize=1)
def _verified(folders: tuple[Path, ...], allow: bool, _hashes: tuple[str, ...]) -> Verification:
    return verify((), ModelFolders(folders, allow_override=allow) if folders else None)


# ------------------------------------------------------------------ routes


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Routes of the pages.

    Parameters
    ----------
    folders : sequence of Path or None
        See `fludapk.published.models.model_folders`.
    most_rows : int
        Of a list.
    admits : callable
        From a text and the address it came from: is it the token of this server?
    asks_token : bool
    document : callable
        The OpenAPI document.
    """

    folders: Folders
    most_rows: int
    admits: Callable[[str, str], Awaitable[bool]]
    asks_token: bool
    document: Callable[[], dict[str, Any]]

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter(include_in_schema=False)
        get, post = routes.get, routes.post
        for path in CASES:
            get(path)(partial(self.form, path))
            post(path)(partial(self.answer, path))
        post(DESIGN)(self.design)
        get("/list")(lambda: self.page("list.form.html", "/list"))
        get("/models")(self.models)
        get("/docs")(self.docs)
        get(ABOUT)(self.about)
        get("/static/{name}")(static)
        post("/list")(self.list)
        post(DOWNLOAD)(self.download)
        post("/models")(self.models_with_token)
        post("/case/open")(self.open_case)
        post("/case/{question}")(self.save_case)
        return routes

    def page(
        self,
        template: str,
        path: str,
        form: Mapping[str, str] | None = None,
        answer: Answer | None = None,
        **context: Any,
    ) -> Response:
        """A whole page."""
        models = load_models(self.folders)
        html = rendered(
            template,
            replaced=[model.not_shipped for model in models if model.not_shipped],
            tabs=TABS,
            languages=LANGUAGES,
            spoken={name: tr(text) for name, text in _OF_SCRIPT.items()},
            here=path,
            cases=CASES,
            form=defaultdict(str, form or {}),
            answer=answer,
            boxes=confirmed_boxes(form or {}),
            options=choices(language()),
            models=[*(model.id for model in models), AVERAGED],
            asks_token=self.asks_token,
            version=__version__,
            disclaimer=DISCLAIMER,
            **context,
        )
        return HTMLResponse(html)

    def form(self, path: str) -> Response:
        """The empty form of a page."""
        return self.page(_FORMS[path], path)

    async def answer(self, path: str, request: Request) -> Response:
        """Answer the form of a page."""
        return await self._answered(request, path, path, _MAKERS[path])

    async def design(self, request: Request) -> Response:
        """Answer the form of levels with the times to measure them at."""
        return await self._answered(request, "/levels", "/", designed)

    async def _answered(
        self,
        request: Request,
        path: str,
        asks_like: str,
        make: Callable[[Mapping[str, str], Folders], Answer],
    ) -> Response:
        template = _FORMS[path]
        form = _texts(await request.form(max_files=0, max_fields=100))
        if not await self.admits(form.get("token", ""), address_of(request.scope)):
            answer = refusal(InputError(tr("token is wrong or missing")), form)
            form.pop("token", None)
        elif form.get("carry"):
            return self.page(template, path, form)
        elif form.get("second"):
            kept = {name: form[name] for name in ("token",) if name in form}
            return self.page(template, path, {**kept, FIRST: as_first(form)})
        else:
            answer = await run_in_threadpool(answered, make, form, asks_like, self.folders)
        return self._shown(request, template, path, form, answer)

    def _shown(
        self, request: Request, template: str, path: str, form: Mapping[str, str], answer: Answer
    ) -> Response:
        """The answer alone for the script, or the page with it."""
        if request.headers.get("x-part") == "answer":
            return HTMLResponse(rendered("answer.html", answer=answer))
        return self.page(template, path, form, answer)

    async def list(self, request: Request) -> Response:
        """Show the results of a list."""
        async with request.form(max_files=1, max_fields=100) as form:
            answer, _ = await self._computed(form, address_of(request.scope))
            return self._shown(request, "list.form.html", "/list", _texts(form), answer)

    async def download(self, request: Request) -> Response:
        """Results of a list as a file."""
        async with request.form(max_files=1, max_fields=100) as form:
            with speaking(SOURCE):  # as the command line writes it
                answer, done = await self._computed(form, address_of(request.scope))
            if done is None:
                answer, _ = await self._computed(form, address_of(request.scope))
                return self.page("list.form.html", "/list", _texts(form), answer)
        content = await run_in_threadpool(done.content)
        media_type, end = ("text/csv; charset=utf-8", "csv")
        if done.plan.as_values:
            media_type, end = (XLSX, "xlsx")
        disposition = f'attachment; filename="fludapk-results.{end}"'
        return Response(
            content, media_type=media_type, headers={"content-disposition": disposition}
        )

    async def _computed(self, form: FormData, address: str) -> tuple[Answer, Computed | None]:
        texts = _texts(form)
        try:
            if not await self.admits(texts.get("token", ""), address):
                raise InputError(tr("token is wrong or missing"))
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                do = tr("choose a CSV file or a workbook")
                raise InputError(Fault("file", tr("is missing"), do=do))
            await file.seek(0)  # it may be read once in each language
            asked = BatchAsked.model_validate(
                {
                    **typed(texts),
                    "file": file,
                    "map": pairs_of(texts.get("map", "")),
                    "values": re.split(r"\s*;\s*", texts.get("values", "").strip()),
                    "encoding": texts.get("encoding"),
                    "sheet": texts.get("sheet"),
                    "amt": texts.get("amt", ""),
                    "format": "xlsx" if texts.get("format") == "xlsx" else "csv",
                }
            )
            done = await asked.answer(self.folders, self.most_rows)
        except FludapkError as error:
            return refusal(error, texts), None
        except ValidationError as error:
            messages = "; ".join(str(fault["msg"]) for fault in error.errors())
            return refusal(InputError(messages), texts), None
        said = counts_line(done.tally().counts)
        return Answer(await run_in_threadpool(list_shown, done), f"{said}."), done

    async def save_case(self, question: str, request: Request) -> Response:
        """The form as a case file, to be kept by whoever asked for it."""
        form = with_points(_texts(await request.form(max_files=0, max_fields=100)))
        if question not in QUESTIONS:
            return Response(status_code=404)
        asked: Question = question
        path = PATHS[asked]
        try:
            if not await self.admits(form.get("token", ""), address_of(request.scope)):
                raise InputError(tr("token is wrong or missing"))
            case = await run_in_threadpool(case_of, form, asked, self.folders)
            content = case.to_json()
        except (FludapkError, ValidationError) as error:
            return self.page(_FORMS[path], path, form, refused(error, form))
        disposition = 'attachment; filename="fludapk-case.json"'
        return Response(
            content, media_type="application/json", headers={"content-disposition": disposition}
        )

    async def open_case(self, request: Request) -> Response:
        """The page of a case file, filled and computed again."""
        async with request.form(max_files=1, max_fields=10) as sent:
            texts, file = _texts(sent), sent.get("file")
            content = await file.read() if isinstance(file, UploadFile) else b""
        is_part = request.headers.get("x-part") == "answer"
        try:
            if not await self.admits(texts.get("token", ""), address_of(request.scope)):
                raise InputError(tr("token is wrong or missing"))
            case = CaseFile.from_json(content)
            path, form = PATHS[case.question], form_of(case)
        except FludapkError as error:
            return self._shown(request, _FORMS["/"], "/", {}, refused(error, {}))
        if is_part:
            return JSONResponse({"path": f"{at()}{path}", "form": form})
        make = _MAKERS[path]
        answer = await run_in_threadpool(answered, make, form, path, self.folders)
        return self.page(_FORMS[path], path, form, answer)

    def models(self) -> Response:
        """Every model, unless a token is asked."""
        shown = None if self.asks_token else models_shown(self.folders)
        return self.page("models.html", "/models", shown=shown)

    async def models_with_token(self, request: Request) -> Response:
        """Every model, for who has the token."""
        form = _texts(await request.form(max_files=0, max_fields=10))
        allowed = await self.admits(form.get("token", ""), address_of(request.scope))
        shown = await run_in_threadpool(models_shown, self.folders) if allowed else None
        return self.page("models.html", "/models", form if allowed else {}, shown=shown)

    def about(self) -> Response:
        """Terms and sources of an answer."""
        return self.page(
            "about.html",
            ABOUT,
            targets=list(targets().values()),
            rules=label_rules(),
            window=window,
        )

    def docs(self, request: Request) -> Response:
        """The documentation of the API."""
        kinds = [(slug(kind), int(kind), title) for kind, title in TITLES.items()]
        return self.page(
            "docs.html",
            "/docs",
            api=self.document(),
            problems=kinds,
            dumped=_dumped,
            address=str(request.base_url).rstrip("/"),
            code=_code,
        )


_FORMS: Final = {
    "/": "check.form.html",
    "/dose": "dose.form.html",
    "/compare": "compare.form.html",
    "/levels": "levels.form.html",
}
_MAKERS: Final[Mapping[str, Callable[[Mapping[str, str], Folders], Answer]]] = {
    "/": checked, "/dose": dosed, "/compare": compared, "/levels": updated,
}  # fmt: skip


def static(name: str) -> Response:
    """A script, a style or a picture of ours."""
    if name not in STATIC:
        return Response(status_code=404)
    path, media_type = STATIC[name]
    return Response(path.read_bytes(), media_type=media_type)


def _code(text: str) -> Markup:
    """Text whose words between backticks are code.

    Examples
    --------
    >>> print(_code("see `fludapk check`"))
    see <code>fludapk check</code>
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


_LONG: Final = {FIRST: 20 * MOST_CHARACTERS, CASE: MOST_OF_CASE}


def _texts(form: FormData) -> dict[str, str]:
    """The fields of a form, cut to what a field may hold."""
    return {
        name: value[: _LONG.get(name, MOST_CHARACTERS)]
        for name, value in form.items()
        if isinstance(value, str)
    }


def _dumped(example: object) -> str:
    """A worked request as one types it."""
    return json.dumps(example, ensure_ascii=False)
