"""Requests, forms, files and commands as an attacker changes them, by a seed."""

import io
import json
import random
import shlex
import tempfile
import traceback
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from asking import ask
from click.testing import CliRunner
from hostile_records import DOSES, EVALUATED, LEVELS
from ordering import SELECT, SIGN, dosed, man, request

import fludapk as fl
from fludapk.answers.export import export_model
from fludapk.cli import main
from fludapk.errors import ExitStatus, FludapkError
from fludapk.patients.level_list import read_levels
from fludapk.published.engines.draft import draft_of
from fludapk.web.api import BATCH, EXAMPLES, GIRL, PREFIX
from fludapk.web.pages import DOWNLOAD, TABS

ROOT: Final = Path(__file__).parents[2]
WEIRD: Final[list[Any]] = [
    None, True, False, "", " ", 0, -1, -0.0, 1e-320, 1e308, -1e308, 10**400, 0.1, [], {}, [[]],
    "nan", "inf", "-inf", "1e999", "1,5", "1_0", "١٢", "0x10", "1" * 50, "9" * 24_000 + ",",
    "2h 0.6mg/L", "2h <", "0h 22mg", "30 mg/m2", "30mg", "\x00", "\ud800", "é" * 200, "<b>", "=1+1",
    "../../etc/passwd", "langenhorst2019", "axi_cel", "2026-02-30 25:61", "2026-01-14 08:30",
    {"time": "x", "conc": []}, {"time": 1e400}, [1, 2, 3], ["a"] * 300, {"a": {"b": {"c": 1}}},
    "axi_cel auc 19", "axi_cel chance 0.8", "9999-12-31 23:59", "0001-01-01 00:00", "{dose}", "%s",
    "1e5000", "-0", "½", "1\u00a0000", "5 kg kg", "mg", "\u202e5", "5\n6", "1e-5 mg", "Europe/x",
]  # fmt: skip
KEYS: Final = [
    *GIRL, "dose", "days", "levels", "given", "window", "auc", "target", "probability", "round_to",
    "model", "confirm", "cells_at", "first_dose", "time_zone", "interval", "infusion_time", "egfr",
    "crcl", "bsa_formula", "egfr_formula", "product", "diagnosis", "strict", "bsa_cap", "weights",
    "plans", "renal", "target_auc", "exclude_level", "genotype", "regimen",
]  # fmt: skip
CELLS: Final = [
    "5", "18,2", "1_0", "nan", "inf", "1e400", "", '"', "é", "=1", "\x00", "9" * 3000 + ",",
    "0.3 mg/dL", "-1", "<0.01", "BLQ", ".", "TRUE", "2026-01-14", "08:30", "1" * 400, "\u2028",
]  # fmt: skip
TOKENS: Final = [
    "nan", "inf", "-inf", "1e999", "0", "-1", '""', '"x"', "[]", "{}", "true", "1" * 400, "0x1F",
    "[[1.0]]", "1979-05-27", "\x00", "é", '"' + "a" * 5000 + '"', "[" * 200 + "]" * 200,
]  # fmt: skip


MILD: Final = ["1", "0.5", "2.0", "3", "7", "24", "100", "0.01", "1e3", "", "x"]
"""Values that are likely to be accepted, so that others meet what comes after the reading."""


class Tried(NamedTuple):
    """One attempt at a door."""

    outcome: str
    """Status, or exit code, in words."""
    is_internal: bool
    """True for an internal error."""
    sent: str


# ------------------------------------------------------------------ changes


def broken(content: bytes, rng: random.Random, share: float = 0.1) -> bytes:
    """Bytes, of which a share has one changed, a part cut off or a part twice."""
    if not content or rng.random() >= share:
        return content
    place = rng.randrange(len(content))
    return rng.choice([
        content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
        content[:place],
        content[:place] + content[place // 2 :],
    ])  # fmt: skip


def changed(value: Any, rng: random.Random) -> Any:
    """JSON with one thing in it changed, taken away or written twice, however deep it is."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        if rng.random() < 0.1:
            return [*value, *value]
        return [*value[:place], changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(WEIRD)


def json_text(body: Any, rng: random.Random) -> bytes:
    """The JSON of a request, sometimes broken."""
    return broken(json.dumps(body).encode("utf-8", "surrogatepass"), rng)


def changed_text(text: str, rng: random.Random, tokens: list[str], ends: str) -> bytes:
    """Text with some of its values or lines changed, in one of some encodings."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        place = rng.randrange(len(lines))
        kind = rng.random()
        if kind < 0.1 and len(lines) > 1:
            del lines[place]
        elif kind < 0.2:
            lines.insert(place, lines[rng.randrange(len(lines))])
        else:
            end = next((end for end in ends if end in lines[place]), " ")
            parts = lines[place].split(end)
            parts[rng.randrange(len(parts))] = rng.choice(rng.choice([MILD, tokens]))
            lines[place] = end.join(parts)
    content = ("\n".join(lines) + "\n").encode(
        rng.choice(["utf-8", "utf-8", "utf-8", "cp1252", "utf-16", "latin-1"]), "replace"
    )
    return broken(content, rng)


# ------------------------------------------------------------------ the server


def _web(method: str, path: str, sent: Any, **more: Any) -> Tried:
    answer = ask(method, path, **more)
    is_internal = answer.status_code >= 500 and answer.status_code != 503  # 503: too slow
    return Tried(str(answer.status_code), is_internal, f"{path} {sent!r}")


@lru_cache(maxsize=65_536)
def _posted(path: str, content: bytes) -> Tried:
    """A request; no door remembers, so the same bytes are sent only once."""
    header = {"content-type": "application/json"}
    return _web("POST", path, content, content=content, headers=header)


def asked(door: str, rng: random.Random) -> dict[str, Any]:
    """A worked request of a door with a few fields changed."""
    body = json.loads(json.dumps(rng.choice(EXAMPLES[f"{door.capitalize()}Asked"])))
    for _ in range(rng.choice([1, 1, 2, 3])):
        key = rng.choice([*body, *KEYS])
        if rng.random() < 0.2:
            body = {name: value for name, value in body.items() if name != key}
        elif rng.random() < 0.3 and body:
            body = changed(body, rng)
            body = body if isinstance(body, dict) else {"age": body}
        else:
            body = {**body, key: rng.choice(rng.choice([MILD, WEIRD]))}
    return dict(body)


def _one_patient(door: str, rng: random.Random) -> Tried:
    return _posted(f"{PREFIX}/{door}", json_text(asked(door, rng), rng))


def list_of(rng: random.Random) -> bytes:
    """A list of patients with changed cells, in one of some encodings."""
    head = ["id", "age_years", "sex", "weight_kg", "height_cm", "scr_mg_dl", "regimen"]
    rows = [
        ["a", "5", "female", "18.2", "110", "0.3", "tisa_cel_ball"]
        for _ in range(rng.randint(0, 3))
    ]
    for row in [head, *rows]:
        if rng.random() < 0.4:
            row[rng.randrange(len(row))] = rng.choice(CELLS)
    text = "\n".join(rng.choice([",", ";", ","]).join(row) for row in [head, *rows]) + "\n"
    return text.encode(rng.choice(["utf-8", "cp1252", "utf-16", "latin-1"]), "replace")


@cache
def _workbook() -> bytes:
    from openpyxl import Workbook

    book, made = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(["id", "age_years", "weight_kg", "height_cm", "scr_mg_dl", "regimen"])
    sheet.append(["a", 5, 18.2, 110, 0.3, "tisa_cel_ball"])
    book.save(made)
    return made.getvalue()


def _list_file(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.15:
        return broken(_workbook(), rng, 0.9)
    if kind < 0.5:
        return changed_text(rng.choice(DOSES).text, rng, CELLS, ",")
    return list_of(rng)


def _list_fields(rng: random.Random) -> dict[str, str]:
    """Fields beside a list."""
    names = [
        "map",
        "values",
        "encoding",
        "sheet",
        "amt",
        "points",
        "format",
        "dose",
        "days",
        "model",
    ]
    kept = rng.sample(names, rng.choice([0, 0, 1, 2]))
    plain = ["id=x", "sex=1:male", "cp1252", "1", "phosphate", "4", "csv", "xlsx", "30 mg/m2", "-1"]
    return {name: rng.choice([*plain, *CELLS]) for name in kept}


def _list(path: str, rng: random.Random) -> Tried:
    content, fields = _list_file(rng), _list_fields(rng)
    name = rng.choice(["list.csv", "list.csv", "a.xlsx", "\u202e.csv", "../x", ""])
    return _web("POST", path, (content, fields), files={"file": (name, content)}, data=fields)


FORM: Final = {
    "age": "5", "sex": "female", "weight": "18.2", "height": "110", "renal": "0.3",
    "renal_unit": "mg/dL", "regimen": "tisa_cel_ball", "model": "langenhorst2019",
    "time_1": "2", "conc_1": "0.6", "conc_unit": "mg/L", "time_2": "7", "conc_2": "0.2",
    "plan_1": "tisa_cel_ball", "plan_2": "tisa_cel_ball auc 15", "auc": "15",
}  # fmt: skip
MORE: Final = [
    "age_unit", "weight_unit", "dose", "dose_unit", "days", "window_low", "window_high", "given",
    "probability", "round_to", "first_dose", "time_zone", "cells_at", "token", "carry", "below_1",
    "exclude_1", "confirm_weight", "confirm_times", "bsa_formula", "egfr_formula", "interval",
    "infusion_time", "target", "time_8", "conc_8", "plan_4", "product", "diagnosis", "genotype",
]  # fmt: skip


def _page(rng: random.Random) -> Tried:
    """A page with a changed form, or a changed address."""
    path = rng.choice([tab.path for tab in TABS])
    form = dict(FORM)
    for _ in range(rng.randint(0, 3)):
        key = rng.choice([*form, *MORE])
        value = rng.choice([*WEIRD, *CELLS])
        form[key] = value if isinstance(value, str) else json.dumps(value)
    content = urlencode(form, errors="replace").encode()
    kind = rng.random()
    if kind < 0.1:
        where = rng.choice([path, "/static/", "/healthz/", f"{PREFIX}/models/", "/cds-services/"])
        tail = quote(str(rng.choice([*WEIRD, *CELLS])), errors="replace")[:2000]
        method = rng.choice(["GET", "HEAD", "PUT", "OPTIONS", "POST"])
        return _web(method, f"{where}{tail}?{content.decode()[:2000]}", method)
    encoded = rng.choice(
        ["application/x-www-form-urlencoded"] * 8
        + ["multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "é".encode()]
    )
    headers = {"content-type": encoded, **({"x-part": "answer"} if kind < 0.5 else {})}
    content = broken(content, rng)
    return _web("POST", path, content, content=content, headers=headers)


def _order(rng: random.Random) -> Tried:
    """A changed request of a record system."""
    body = rng.choice([
        request(), request(hook="order-sign"), request(dosed(), man()),
    ])  # fmt: skip
    path = SIGN if body["hook"] == "order-sign" else SELECT
    for _ in range(rng.randint(1, 4)):
        body = changed(body, rng)
    if rng.random() < 0.1:
        path, body = f"{path}/feedback", changed({"feedback": [{"card": "a", "outcome": "b"}]}, rng)
    return _posted(path, json_text(body, rng))


# ------------------------------------------------------------------ files and commands


def _called(call: Callable[[], object], sent: object) -> Tried:
    """A call of the library, which may refuse by a fault and in no other way."""
    try:
        call()
    except FludapkError as error:
        internal = error.exit_status == ExitStatus.INTERNAL
        return Tried(f"refused {int(error.exit_status)}", internal, f"{sent!r}")
    except Exception:
        return Tried("traceback", True, f"{traceback.format_exc()} {sent!r}")
    return Tried("answered", False, f"{sent!r}")


def _with_file(name: str, content: bytes, call: Callable[[Path], object]) -> Tried:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return _called(lambda: call(path), content)


@cache
def _records() -> list[str]:
    own = (ROOT / "examples" / "levels.csv").read_text(encoding="utf-8").splitlines()
    return ["\n".join(own[:25]), *(case.text for case in EVALUATED)]


def _evaluate(rng: random.Random) -> Tried:
    content = changed_text(rng.choice(_records()), rng, CELLS, ",")
    options: dict[str, Any] = {
        "dv_unit": rng.choice(["mg/L"] * 8 + ["ng/mL", None, "x"]), "simulations": 100,
        "amount": rng.choice(["phosphate"] * 8 + ["f_ara_a", None]), "models": ["langenhorst2019"],
    }  # fmt: skip
    return _with_file("levels.csv", content, lambda path: fl.evaluate(path, **options))


def _levels(rng: random.Random) -> Tried:
    content = changed_text(rng.choice(LEVELS).text, rng, CELLS, ",;\t")
    return _with_file("levels.csv", content, read_levels)


def _model(rng: random.Random) -> Tried:
    name = rng.choice(["langenhorst2019", "langenhorst2019_indexed", "mohanan2017", "varela2025"])
    text = (ROOT / "models" / f"{name}.toml").read_text(encoding="utf-8")
    text = text.replace(f'id = "{name}"', 'id = "mine"', 1)
    content = changed_text(text, rng, TOKENS, "=,")
    girl = fl.Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
    course = fl.Regimen.named("tisa_cel_ball")
    return _with_file(
        "mine.toml",
        content,
        lambda path: fl.check(girl, course, model="mine", folders=[path.parent]),
    )


def _draft(rng: random.Random) -> Tried:
    engine = rng.choice(["nonmem", "mrgsolve", "rxode2", "nlmixr2"])
    content = changed_text(_exported(engine), rng, [*TOKENS, "(", "exp(", "THETA(99)"], "=;(")
    text = content.decode("utf-8", "replace")
    return _called(lambda: draft_of(text, "mine"), text)


@cache
def _exported(engine: str) -> str:
    return export_model(to=engine).code


def _scenario(name: str, rng: random.Random) -> Tried:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    content = changed_text(text, rng, TOKENS, "=,")
    # few patients, so that an answer takes little: more are only more of the same
    content = content.replace(b"patients = 100000", b"patients = 100")
    content = content.replace(b"patients = 40000", b"patients = 100")
    content = content.replace(b"patients = 20000", b"patients = 100")
    return _with_file("s.toml", content, lambda path: fl.simulate(path, threads=1))


COHORT: Final = """
title = "own"
seed = 1
patients = 20
models = ["langenhorst2019"]
population = { file = "cohort.csv", sample = "resample" }
strategies = [{ id = "label", kind = "fixed", regimen = "tisa_cel_ball" }]
strata = [{ by = "ward" }]
"""


def _cohort(rng: random.Random) -> Tried:
    row = "a,5,female,18.2,110,0.3,1\n"
    text = f"id,age_years,sex,weight_kg,height_cm,scr_mg_dl,ward\n{row}{row.replace('a', 'b', 1)}"
    content = changed_text(text, rng, CELLS, ",")

    def call(path: Path) -> object:
        scenario = path.with_name("s.toml")
        scenario.write_text(COHORT, encoding="utf-8")
        return fl.simulate(scenario, threads=1)

    return _with_file("cohort.csv", content, call)


PATIENT: Final = '--age 5 --sex female --weight 18.2 --height 110 --scr "0.3 mg/dL"'
COMMANDS: Final = (
    f"check {PATIENT} --regimen tisa_cel_ball",
    f"check {PATIENT} --dose 30mg/m2 --days 4 --json",
    f"dose {PATIENT} --regimen tisa_cel_ball --window 13.8 20 --round-to 0.5",
    f"update {PATIENT} --regimen tisa_cel_ball --level '2h 0.6mg/L' --level '7h 0.2mg/L' --auc 15",
    f"compare {PATIENT} tisa_cel_ball 'tisa_cel_ball auc 15'",
    "nomogram --regimen tisa_cel_ball --weights 10 60 10",
    "models show langenhorst2019",
    "outcomes list --json",
    "targets list",
)


def _command(rng: random.Random) -> Tried:
    words = shlex.split(rng.choice(COMMANDS))
    for _ in range(rng.randint(0, 2)):
        place = rng.randrange(1, len(words))
        value = rng.choice(MILD) if rng.random() < 0.3 else rng.choice([*WEIRD, *CELLS])
        words[place] = value if isinstance(value, str) else json.dumps(value)
    words = [word.encode("utf-8", "surrogateescape", ).decode("utf-8", "surrogateescape")
             if "\ud800" not in word else "\udcff" for word in words]  # fmt: skip
    done = CliRunner().invoke(main, words)
    bad = done.exit_code == 1 or not isinstance(done.exception, SystemExit | None)
    trace = "".join(traceback.format_exception(done.exception)) if bad and done.exception else ""
    return Tried(f"exit {done.exit_code}", bad, f"{trace} {words!r}")


DOORS: Final[dict[str, Callable[[random.Random], Tried]]] = {
    **{
        door: partial(_one_patient, door)
        for door in ("check", "dose", "update", "compare", "design", "nomogram")
    },
    "list": partial(_list, BATCH),
    "pages": _page,
    "list page": partial(_list, "/list"),
    "download": partial(_list, DOWNLOAD),
    "orders": _order,
    "evaluate": _evaluate,
    "level file": _levels,
    "model file": _model,
    "import": _draft,
    "scenario": partial(_scenario, "prwcc_ball.toml"),
    "outcomes": partial(_scenario, "trial.toml"),
    "cohort": _cohort,
    "commands": _command,
}
"""Every way in: one changed request, file or command by a random number generator."""
