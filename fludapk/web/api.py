"""The API: the JSON of the command line, documented by OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fludapk._version import __version__
from fludapk.answers.case import OpenedCase, open_case
from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare_records import CompareResult
from fludapk.answers.design import Design
from fludapk.answers.dose_records import DoseResult
from fludapk.answers.nomogram_records import Nomogram
from fludapk.answers.record import Record
from fludapk.answers.typed import Folders
from fludapk.answers.update_records import UpdateResult
from fludapk.answers.verify import verify
from fludapk.errors import ExitStatus, FludapkError
from fludapk.patients.case_file import CaseFile
from fludapk.patients.regimen import Regimen
from fludapk.patients.xlsx_results import MEDIA_TYPE as XLSX
from fludapk.published.course_files import LabelRule, RegimenEntry, TargetEntry
from fludapk.published.model_files import ModelFile
from fludapk.published.models import Model, load_model, load_models
from fludapk.published.regimens import label_rules, regimens
from fludapk.published.targets import targets
from fludapk.web.asked import (
    CheckAsked,
    CompareAsked,
    DesignAsked,
    DoseAsked,
    NomogramAsked,
    UpdateAsked,
)
from fludapk.web.batch import BatchAsked
from fludapk.web.problems import (
    MEDIA_TYPE,
    Problem,
    ShownFault,
    problem,
    problem_of,
    shown,
    validation_faults,
)
from fludapk.web.together import Checks

PREFIX: Final = "/api/v1"
CHECK: Final = f"{PREFIX}/check"
BATCH: Final = f"{PREFIX}/batch"
JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_CSV: Final = "text/csv; charset=utf-8"

GIRL: Final = {
    "age": 5,
    "sex": "female",
    "weight": 18.2,
    "height": 110,
    "scr": "0.3 mg/dL",
    "regimen": "tisa_cel_ball",
}
MAN: Final = {
    "age": "60",
    "sex": "male",
    "weight": "80 kg",
    "height": "1.78 m",
    "scr": "88.4 umol/L",
    "dose": "30 mg/m2",
    "days": 3,
    "product": "axi_cel",
    "diagnosis": "lbcl",
}
PATIENT_OF_MAN: Final = {name: value for name, value in MAN.items() if name not in ("dose", "days")}
EXAMPLES: Final[dict[str, list[dict[str, Any]]]] = {
    "CheckAsked": [GIRL, MAN],
    "DoseAsked": [
        {**GIRL, "target": "fabrizio2022", "probability": 0.8},
        {**MAN, "window": [18, 20]},
    ],
    "CompareAsked": [
        {
            **PATIENT_OF_MAN,
            "plans": ["axi_cel", "axi_cel 24 mg/m2", "axi_cel auc 19", "axi_cel rule us_iv"],
        },
    ],
    "UpdateAsked": [
        {**GIRL, "levels": ["1h 1.0mg/L", "2h 0.6mg/L", "7h 0.2mg/L"], "target": "fabrizio2022"},
        {
            **MAN,
            "levels": [
                {"time": 2.5, "conc": "610 ng/mL"},
                {"time": "23 h", "conc": "10 ng/mL", "below": True},
            ],
            "given": ["0h 59.5mg"],
            "auc": 15,
            "round_to": 5,
        },
        {
            **GIRL,
            "first_dose": "2026-01-14 08:30",
            "levels": [
                {"time": "2026-01-14 10:30", "conc": "0.62 mg/L"},
                "2026-01-15 08:00 <0.02mg/L",
            ],
            "given": ["2026-01-14 08:30 22mg"],
        },
    ],
    "DesignAsked": [GIRL],
    "NomogramAsked": [{"regimen": "tisa_cel_ball", "weights": [10, 60, 10]}],
}
"""Worked requests, shown in the documentation."""


class ModelSummary(BaseModel):
    """A model in a list."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    title: str
    who: str
    compartments: int
    doi: str
    sha256: str


class ModelShown(ModelFile):
    """A whole model file with its hash."""

    sha256: str


class RegimenShown(RegimenEntry):
    """A regimen with the renal rules of labels."""

    label_rules: list[LabelRule]


class VerifiedShown(BaseModel):
    """A published number, re-computed."""

    model: str
    what: str
    printed: str
    computed: float
    unit: str
    allowed: float
    source: str
    ok: bool


class Health(BaseModel):
    """Sign that the server answers."""

    status: str = "ok"


class Version(BaseModel):
    """Version of the software that answers."""

    name: str = "fludapk"
    version: str = __version__


def _json(record: Record) -> Response:
    return Response(record.to_json(indent=None), media_type=JSON)


def router(folders: Folders, most_rows: int, checks: Checks) -> APIRouter:
    """Routes of the API."""
    routes = APIRouter()

    @routes.post(CHECK, response_model=CheckResult, tags=["one patient"])
    async def check(asked: CheckAsked) -> Response:
        """Check the planned course of one patient: `fludapk check --json`."""
        return Response(await checks.answer(asked), media_type=JSON)

    @routes.post(f"{PREFIX}/dose", response_model=DoseResult, tags=["one patient"])
    def dose(asked: DoseAsked) -> Response:
        """Find the daily dose for a target exposure: `fludapk dose --json`."""
        return _json(asked.answer(folders))

    @routes.post(f"{PREFIX}/compare", response_model=CompareResult, tags=["one patient"])
    def compare(asked: CompareAsked) -> Response:
        """Compare two to four plans for one patient: `fludapk compare --json`."""
        return _json(asked.answer(folders))

    @routes.post(f"{PREFIX}/update", response_model=UpdateResult, tags=["one patient"])
    def update(asked: UpdateAsked) -> Response:
        """Put measured levels of one patient to use: `fludapk update --json`.

        Levels that do not fit together are answered, with a stop and without a dose.
        """
        return _json(asked.answer(folders))

    @routes.post(f"{PREFIX}/design", response_model=Design, tags=["one patient"])
    def design(asked: DesignAsked) -> Response:
        """Find the levels to draw after the first dose: `fludapk update --design --json`."""
        return _json(asked.answer(folders))

    @routes.post(f"{PREFIX}/case", response_model=OpenedCase, tags=["one patient"])
    def case(asked: dict[str, Any]) -> Response:
        """Open a case file, compute it again, and say what has changed: `fludapk check --case`."""
        return _json(open_case(CaseFile.from_json(dumps(asked)), folders=folders))

    @routes.post(f"{PREFIX}/nomogram", response_model=Nomogram, tags=["many patients"])
    def nomogram(asked: NomogramAsked) -> Response:
        """AUC or dose over weight and kidney function: `fludapk nomogram --json`."""
        return _json(asked.answer(folders))

    @routes.post(
        BATCH,
        response_class=Response,
        responses={
            200: {
                "description": "A row of results per row of the list; a refused row says why.",
                "content": {
                    _LINES: {"schema": {"type": "string"}},
                    "text/csv": {"schema": {"type": "string"}},
                    XLSX: {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
        tags=["many patients"],
    )
    async def batch(
        asked: Annotated[BatchAsked, Form(media_type="multipart/form-data")],
    ) -> Response:
        """Check a list of patients: `fludapk batch`, as JSON lines, CSV or a workbook."""
        done = await asked.answer(folders, most_rows)
        content = await run_in_threadpool(done.content)
        media_type = {"json": _LINES, "csv": _CSV, "xlsx": XLSX}[asked.format]
        return Response(content, media_type=media_type)

    @routes.get(f"{PREFIX}/models", tags=["sources"])
    def list_models() -> list[ModelSummary]:
        """The published models: `fludapk models list --json`."""
        return [_summary(model) for model in load_models(folders)]

    @routes.get(f"{PREFIX}/models/{{name}}", response_model=ModelShown, tags=["sources"])
    def show_model(name: str) -> Response:
        """Every number of a model with its source: `fludapk models show --json`."""
        model = load_model(name, folders, any_drug=True)
        shown = {**model.file.model_dump(mode="json", exclude_none=True), "sha256": model.sha256}
        return JSONResponse(shown)

    @routes.get(f"{PREFIX}/models/{{name}}/verify", tags=["sources"])
    def verify_model(name: str) -> list[VerifiedShown]:
        """The published numbers of a model, re-computed: `fludapk models verify --json`."""
        model = load_model(name, folders, any_drug=True)
        rows = verify([model.id], folders)
        return [VerifiedShown(**vars(row), ok=row.ok) for row in rows]

    @routes.get(f"{PREFIX}/regimens", tags=["sources"])
    def list_regimens() -> list[RegimenEntry]:
        """Published courses of fludarabine: `fludapk regimens list --json`."""
        return list(regimens().values())

    @routes.get(f"{PREFIX}/regimens/{{name}}", response_model=RegimenShown, tags=["sources"])
    def show_regimen(name: str) -> Response:
        """A regimen and the renal rules of labels: `fludapk regimens show --json`."""
        Regimen.named(name)
        rules = [rule.model_dump(mode="json") for rule in label_rules()]
        return JSONResponse({**regimens()[name].model_dump(mode="json"), "label_rules": rules})

    @routes.get(f"{PREFIX}/targets", tags=["sources"])
    def list_targets() -> list[TargetEntry]:
        """Published exposure thresholds: `fludapk targets list --json`."""
        return list(targets().values())

    @routes.get("/healthz", tags=["server"])
    async def healthz() -> Health:  # beside the threads that compute
        """Sign that the server answers."""
        return Health()

    @routes.get("/version", tags=["server"])
    def version() -> Version:
        """Tell the version that answers."""
        return Version()

    return routes


def _summary(model: Model) -> ModelSummary:
    return ModelSummary(
        id=model.id,
        title=": ".join(filter(None, [model.not_shipped, model.file.title])),
        who=model.file.population.who,
        compartments=model.file.compartments,
        doi=model.file.citation.doi,
        sha256=model.sha256,
    )


# ------------------------------------------------------------------ errors


def respond(found: Problem) -> Response:
    """A problem as a response."""
    return Response(found.model_dump_json(), found.status, media_type=MEDIA_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Every error is a problem."""

    @app.exception_handler(FludapkError)
    def refused(_: Request, error: FludapkError) -> Response:
        return respond(problem_of(error))

    @app.exception_handler(RequestValidationError)
    def misshapen(_: Request, error: RequestValidationError) -> Response:
        kinds = {found["type"] for found in error.errors()}
        status = 400 if "json_invalid" in kinds else 422
        return respond(problem(status, map(shown, validation_faults(error.errors()))))

    @app.exception_handler(HTTPException)
    def other(_: Request, error: HTTPException) -> Response:
        response = respond(
            problem(error.status_code, [ShownFault(fields=[], message=str(error.detail))])
        )
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def internal(_: Request, __: Exception) -> Response:
        why = "this is our fault, not yours; the server has noted where"
        return respond(problem(500, [ShownFault(fields=[], message=why)], ExitStatus.INTERNAL))


# ------------------------------------------------------------------ OpenAPI

_PROBLEMS: Final = {
    "400": "Not a request we understand.",
    "401": "No token, or a wrong one.",
    "403": "A post from another site.",
    "404": "Nothing here.",
    "413": "Too large.",
    "421": "A name in the Host header that is not ours.",
    "429": "Too much at once: come again after Retry-After seconds.",
    "422": "Refused: each fault names its fields.",
    "500": "A model file is bad, or our own fault.",
    "503": "Too slow.",
}


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of the app, with the problems and the worked examples.

    Parameters
    ----------
    app : FastAPI

    Returns
    -------
    dict
        OpenAPI 3.1.
    """
    if app.openapi_schema is None:
        api = FastAPI.openapi(app)
        schemas = api["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(own.pop("$defs"))
        schemas["Problem"] = own
        for record in _kinds_of(Record):  # older pydantic documents what is never written
            schemas.get(record.__name__, {}).get("properties", {}).pop("source", None)
        for name, examples in EXAMPLES.items():
            schemas[name]["examples"] = examples
        reference = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for path in api["paths"].values():
            for operation in path.values():
                operation["responses"].update(
                    {
                        status: {"description": why, "content": reference}
                        for status, why in _PROBLEMS.items()
                    }
                )
        _pairs_as_lists(api)
        app.openapi_schema = api
    return app.openapi_schema


def _kinds_of(kind: type[Record]) -> Iterator[type[Record]]:
    """Every class below a class."""
    for inner in kind.__subclasses__():
        yield inner
        yield from _kinds_of(inner)


def _pairs_as_lists(part: Any) -> None:
    """Tuples of one kind as lists of a fixed length: many tools cannot read the other way."""
    if isinstance(part, dict):
        kinds = part.get("prefixItems")
        if isinstance(kinds, list) and all(kind == kinds[0] for kind in kinds):
            part["items"] = part.pop("prefixItems")[0]
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        _pairs_as_lists(inner)
