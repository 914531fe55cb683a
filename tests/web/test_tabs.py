"""Nomogram, Evaluate and Simulate on the pages: what the command line says, and nothing kept."""

import asyncio
import base64
import io
import json
import multiprocessing
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx
import pytest
from asking import APP, HOME, Page, ask
from click.testing import CliRunner
from serving import running_server
from starlette.types import Message
from waiting import eventually

from fludapk.cli import main
from fludapk.web import jobs, simulate_page
from fludapk.web.api import PREFIX
from fludapk.web.app import create_app
from fludapk.web.guard import Limits
from fludapk.web.jobs import Job, Jobs
from fludapk.web.languages import Languages

LEVELS: Final = Path(__file__).parents[2] / "examples" / "levels.csv"
PART: Final = {"x-part": "answer"}
SMALL: Final = {
    "regimen": "tisa_cel_ball",
    **{"weights_from": "10", "weights_to": "30", "weights_step": "10"},
    **{"renal_from": "60", "renal_to": "120", "renal_step": "60"},
}
SMALL_WORDS: Final = ("--regimen=tisa_cel_ball", "--weights", "10", "30", "10",
                      "--renal", "60", "120", "60")  # fmt: skip
UNITS: Final = {"dv": "mg/L", "amt": "phosphate"}
STUDY: Final = {"population": "prwcc_ball", "plan_1": "tisa_cel_ball", "plan_2": "x 4 auc 17"}
LONG: Final = {**STUDY, "plan_2": "x 4 auc 17 levels 1 2 7 24", "patients": "100000"}
PATHS: Final = ("/nomogram", "/evaluate", "/simulate")


def files_of(html: str) -> dict[str, bytes]:
    """Content of the files that a page offers."""
    links = re.findall(r'href="data:[^,]*;base64,([^"]*)" download="([^"]*)"', html)
    return {name: base64.b64decode(unquote(unescape(content))) for content, name in links}


def said_of(html: str) -> tuple[str, str]:
    """Sentence of an answer, and the fields it marks."""
    found = re.search(r'data-said="([^"]*)" data-invalid="([^"]*)"', html)
    assert found is not None, html[:500]
    return unescape(found[1]), found[2]


def command(*words: str) -> str:
    result = CliRunner().invoke(main, [*words])
    assert result.exit_code == 0, result.output
    return result.stdout


def asked(path: str, data: dict[str, str], **more: Any) -> str:
    response = ask("POST", path, data=data, headers=PART, **more)
    assert response.status_code == 200, response.text
    return response.text


# --- The forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_every_field_has_a_label(path: str) -> None:
    page = Page(ask("GET", path).text)
    labelled = {a.get("for") for a in page.of("label")}
    for field in page.of("input", "select", "textarea"):
        named = field["id"] in labelled or field.get("aria-label") or field["type"] == "checkbox"
        assert named, field
    described = {a.get("aria-describedby") for a in page.of("input", "select", "textarea")} - {None}
    assert described <= {a.get("id") for a in page.of("p")}


@pytest.mark.parametrize("path", PATHS)
def test_from_afar_nothing_is_computed_without_the_token(path: str) -> None:
    app = create_app(host="0.0.0.0", token="open sesame, please")
    data = {**SMALL, **STUDY}
    refused = ask("POST", path, app, data=data).text
    assert "token is wrong or missing" in refused
    wrong = ask("POST", path, app, data={**data, "token": "guess"}).text
    assert "token is wrong or missing" in wrong
    assert "guess" not in wrong


# --- Nomogram ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ()),
        ({"target_auc": "17"}, ("--target-auc", "17")),
        ({"age": "60", "height": "175", "sex": "female"},
         ("--age=60", "--height=175", "--sex=female")),
        ({"regimen": "", "dose": "25", "dose_unit": "mg/m2", "days": "3", "interval": "2",
          "interval_unit": "days", "infusion_time": "60", "infusion_time_unit": "min",
          "bsa_cap": "1", "diagnosis": "lbcl", "product": "axi_cel"},
         ("--dose=25 mg/m2", "--days=3", "--interval=48", "--infusion-time=1", "--bsa-cap=1",
          "--diagnosis=lbcl", "--product=axi_cel")),
    ],
)  # fmt: skip
def test_a_nomogram_on_the_page_is_that_of_the_command_line(
    more: dict[str, str], words: tuple[str, ...]
) -> None:
    html = asked("/nomogram", {**SMALL, **more})
    files = files_of(html)
    own = SMALL_WORDS if more.get("regimen", "x") else SMALL_WORDS[1:]
    assert files["nomogram.csv"].decode() == command("nomogram", *own, *words)
    assert json.loads(files["nomogram.json"]) == json.loads(
        command("nomogram", *own, *words, "--json")
    )
    shown = [cell.split()[0] for cell in re.findall(r'<td class="number">([^<]+)', html)]
    values = [value for row in json.loads(files["nomogram.json"])["values"] for value in row]
    assert [float(text) for text in shown] == pytest.approx(values, abs=0.05)


def test_the_map_of_a_nomogram_is_a_picture_that_may_have_its_own_style() -> None:
    html = asked("/nomogram", SMALL)
    page = Page(html)
    (picture,) = page.of("img")
    assert picture["alt"]
    assert str(picture["src"]).startswith("data:image/svg+xml")
    assert page.of("svg", "style") == []
    files = files_of(html)
    assert files["nomogram.svg"].startswith(b"<?xml")
    assert files["nomogram.png"].startswith(b"\x89PNG")
    assert b"<svg" in files["nomogram.html"]


def test_a_nomogram_of_one_weight_is_a_table_without_a_map() -> None:
    html = asked("/nomogram", {**SMALL, "weights_to": "10"})
    assert Page(html).of("img") == []
    assert set(files_of(html)) == {"nomogram.csv", "nomogram.json", "nomogram.html"}
    assert 'scope="row">10</th>' in html


@pytest.mark.parametrize(
    ("more", "sentence", "fields"),
    [
        ({"weights_to": ""}, "weights need all three, or none", "weights_from"),
        ({"weights_step": "x"}, "weights = 'x' is not a number", "weights_from"),
        ({"renal_from": "200"}, "kidney function = 200 120 60", "renal_from"),
        ({"target_auc": "17 mg"}, "target AUC = '17 mg' is not a number", "target_auc"),
        ({"age": "60"}, "age and height go together", "age height"),
        ({"regimen": ""}, "", "regimen dose"),
        ({"model": "nobody2020"}, "nobody2020", ""),
    ],
)
def test_a_nomogram_that_cannot_be_says_why_in_the_names_of_the_page(
    more: dict[str, str], sentence: str, fields: str
) -> None:
    said, marked = said_of(asked("/nomogram", {**SMALL, **more}))
    assert said.startswith("Input refused: ")
    assert sentence in said
    assert "_" not in said.replace("nobody2020", "").partition("Known")[0]
    assert set(fields.split()) <= set(marked.split())


def test_all_faults_of_a_nomogram_are_named_at_once() -> None:
    data = {**SMALL, "weights_step": "x", "renal_to": "y", "target_auc": "z"}
    _, marked = said_of(asked("/nomogram", data))
    assert marked.split() == ["weights_from", "renal_from", "target_auc"]


# --- Evaluate ---------------------------------------------------------------------------------


def levels(**more: str) -> str:
    file = {"file": ("levels.csv", LEVELS.read_bytes())}
    return asked("/evaluate", {**UNITS, **more}, files=file)


def test_an_evaluation_on_the_page_gives_the_files_of_the_command_line(tmp_path: Path) -> None:
    files = files_of(levels(simulations="200"))
    words = [str(LEVELS), "--dv=mg/L", "--amt=phosphate", "--simulations=200"]
    command("evaluate", *words, "-o", str(tmp_path))
    wanted = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    packed = zipfile.ZipFile(io.BytesIO(files["evaluation.zip"]))
    assert set(packed.namelist()) == set(wanted)
    for name, content in wanted.items():
        if name != "report.html":  # the page says when it was calculated
            assert packed.read(name) == content, name
            assert files.get(name, content) == content
    assert b"calculated" in files["report.html"]


def test_the_page_of_an_evaluation_has_its_words_and_figures() -> None:
    html = levels(model_langenhorst2019="1", simulations="100")
    said, _ = said_of(html)
    assert said.startswith("langenhorst2019, log-likelihood")
    assert "Later levels from earlier ones" in html
    assert "langenhorst2019_indexed" not in html
    assert [picture["alt"] for picture in Page(html).of("img")] == [
        "Prediction-corrected visual predictive check",
        "Measured against predicted levels",
        "Normalised prediction distribution errors",
    ]


def test_a_request_evaluates_what_the_command_line_evaluates() -> None:
    response = ask(
        "POST",
        f"{PREFIX}/evaluate",
        files={"file": ("levels.csv", LEVELS.read_bytes())},
        data={**UNITS, "models": ["langenhorst2019"], "simulations": "100"},
    )
    words = ["--dv=mg/L", "--amt=phosphate", "--model=langenhorst2019", "--simulations=100"]
    assert response.json() == json.loads(command("evaluate", str(LEVELS), *words, "--json"))


@pytest.mark.parametrize(
    ("more", "content", "sentence", "field"),
    [
        ({}, None, "file is missing", ""),
        ({"dv": ""}, "", "unit", "dv"),
        ({"amt": ""}, "", "Say AMT column phosphate", "amt"),
        ({"amt": "", "dv": ""}, "", "Say AMT column phosphate", "dv"),
        ({"map": "WT=nothing"}, "", "nothing", "map"),
        ({"simulations": "5000"}, "", "simulations", "simulations"),
        ({"lloq": "10"}, "", "limit of quantification", "lloq"),
        ({}, "ID,TIME\n1,0\n", "", "map"),
    ],
)
def test_a_file_that_cannot_be_evaluated_says_why(
    more: dict[str, str], content: str | None, sentence: str, field: str
) -> None:
    text = content or LEVELS.read_text("utf-8").replace(",0.01,", ",,")
    files = {} if content is None else {"file": ("levels.csv", text.encode())}
    said, marked = said_of(asked("/evaluate", {**UNITS, **more}, files=files or None))
    assert sentence in said
    assert field in marked.split() or not field


def test_too_many_records_are_refused() -> None:
    app = create_app(limits=Limits(list_rows=5))
    file = {"file": ("levels.csv", LEVELS.read_bytes())}
    said, _ = said_of(asked("/evaluate", UNITS, files=file, app=app))
    assert "more than 5 records" in said


# --- Simulate ---------------------------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[Languages]:
    """A server of our own, whose studies end with it."""
    own = Jobs()
    yield create_app(jobs=own)
    own.close()
    assert multiprocessing.active_children() == []


def begun(app: Languages, data: dict[str, str]) -> str:
    """Start a study; the address of its page."""
    response = ask("POST", "/simulate", app, data=data)
    assert response.status_code == 303, response.text
    return response.headers["location"].partition("#")[0]


def progress(app: Languages, address: str) -> str:
    """Word of a study that runs; empty if it is over."""
    found = re.search(r"data-progress>([^<]*)<", ask("GET", address, app).text)
    return found[1] if found else ""


def test_a_study_of_the_page_is_that_of_its_scenario_file(app: Languages, tmp_path: Path) -> None:
    address = begun(app, {**STUDY, "window_low": "14", "window_high": "18", "patients": "600"})
    running = ask("GET", address, app).text
    assert '<noscript><meta http-equiv="refresh"' in running
    assert 'value="x 4 auc 17"' in running
    assert eventually(lambda: not progress(app, address))
    html = ask("GET", address, app).text
    assert "http-equiv" not in html
    files = files_of(html)
    scenario = tmp_path / "scenario.toml"
    scenario.write_bytes(files["scenario.toml"])
    command("simulate", str(scenario), "-o", str(tmp_path / "results"))
    packed = zipfile.ZipFile(io.BytesIO(files["study.zip"]))
    for path in (tmp_path / "results").rglob("*"):
        name = path.relative_to(tmp_path / "results").as_posix()
        if path.is_file() and name != "report.html":
            assert packed.read(name) == path.read_bytes(), name
    assert "14-18" in html
    assert len(Page(html).of("img")) == 5
    assert all(picture["alt"] for picture in Page(html).of("img"))


def test_one_study_runs_and_a_few_wait_for_it(app: Languages) -> None:
    addresses = [begun(app, LONG) for _ in range(1 + jobs.WAITING)]
    full = ask("POST", "/simulate", app, data=LONG)
    assert full.status_code == 429
    assert "start yours in a minute" in full.text
    assert 'value="100000"' in full.text
    assert eventually(lambda: progress(app, addresses[0]) > "s")  # starting, simulating
    assert progress(app, addresses[1]) == "waiting: 1 study first"
    assert progress(app, addresses[2]) == "waiting: 2 studies first"
    assert len(multiprocessing.active_children()) == 1
    assert ask("POST", f"{addresses[0]}/cancel", app).status_code == 303
    assert "The study was cancelled." in ask("GET", addresses[0], app).text
    assert eventually(lambda: "first" not in progress(app, addresses[1]))
    assert progress(app, addresses[2]) == "waiting: 1 study first"


def test_a_study_ends_when_its_client_has_left(
    app: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_page, "LEFT_S", 0.5)
    address = begun(app, LONG)
    assert eventually(lambda: len(multiprocessing.active_children()) == 1)

    headers = {"host": httpx.URL(HOME).host, **PART}
    scope = {
        **{"type": "http", "method": "GET", "path": address, "query_string": b""},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        """Lose an answer, as a closed connection does."""

    asyncio.run(app(scope, receive, send))
    assert eventually(lambda: multiprocessing.active_children() == [], 10)
    assert "The study was cancelled." in ask("GET", address, app).text


def test_a_study_that_nobody_asks_for_never_starts() -> None:
    queue, first, second = Jobs(), Job({}, {}), Job({}, {})
    first.state = "running"
    queue._jobs[first.id] = first
    queue.start(second)
    second.keep(-1.0)
    assert eventually(lambda: second.state == "cancelled", 5)


def test_a_process_that_dies_is_told_and_lets_the_next_begin(app: Languages) -> None:
    address = begun(app, LONG)
    assert eventually(lambda: len(multiprocessing.active_children()) == 1)
    (child,) = multiprocessing.active_children()
    child.kill()
    assert eventually(lambda: not progress(app, address), 10)
    assert "ended without a result" in ask("GET", address, app).text
    second = begun(app, LONG)
    assert eventually(lambda: "first" not in progress(app, second), 10)


def test_a_study_that_is_refused_by_its_process_says_why() -> None:
    job = Job({"title": "none"}, {})
    job.run()
    assert job.state == "refused"
    assert any("seed" in fault.text() for fault in job.faults)


def test_the_last_results_are_kept_and_older_ones_are_gone() -> None:
    queue = Jobs()
    done = [Job({}, {}, state="done") for _ in range(jobs.KEPT + 2)]
    for job in done:
        queue.start(job)
    assert [queue.find(job.id) is not None for job in done] == [False] * 2 + [True] * jobs.KEPT
    gone = ask("GET", f"/simulate/{done[0].id}")
    assert gone.status_code == 404
    assert "no longer kept" in gone.text


@pytest.mark.parametrize(
    ("more", "sentence", "fields"),
    [
        ({"population": ""}, "population is missing", "population"),
        ({"plan_2": ""}, "give from 2 to 4", "plan_1"),
        ({"plan_1": "", "plan_3": "axi"}, "plan 2 'axi': unknown course", "plan_3"),
        ({"plan_2": "x 4 auc 17 levels 30"}, "up to the second at 24 h", "plan_2"),
        ({"window_low": "14"}, "window needs both", "window_low"),
        ({"window_low": "20", "window_high": "14"}, "window = 20 to 14", "window_low"),
        ({"patients": "200000"}, "at most 100000 here", "patients"),
        ({"patients": "10.5"}, "10.5 is not a whole number", "patients"),
        ({"seed": "-1"}, "seed = -1", "seed"),
        ({"round_to": "x"}, "rounding", "round_to"),
        ({"model": "mohanan2017"}, "needs diagnosis", ""),
        ({"model": "nobody2020"}, "nobody2020", ""),
        ({"patients": "many", "plan_1": "axi", "population": ""}, "number of patients = 'many'",
         "patients population plan_1"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_is_refused_before_it_starts(
    more: dict[str, str], sentence: str, fields: str
) -> None:
    response = ask("POST", "/simulate", data={**STUDY, **more})
    assert response.status_code == 200
    said, marked = said_of(response.text)
    assert sentence in said
    assert set(fields.split()) <= set(marked.split())


def test_studies_are_for_nobody_else() -> None:
    """Their addresses cannot be guessed, and another site cannot start one."""
    assert len({Job({}, {}).id for _ in range(100)}) == 100
    assert len(Job({}, {}).id) >= 20
    headers = {"origin": "http://evil.example"}
    assert ask("POST", "/simulate", APP, data=STUDY, headers=headers).status_code == 403


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_study_ends_when_the_server_stops(how: str) -> None:
    with running_server() as server:
        assert server.stderr is not None
        home = next(line for line in server.stderr if "listening on" in line).split()[3]
        started = httpx.post(f"{home}simulate", data=LONG, timeout=60)
        address = home.rstrip("/") + started.headers["location"].partition("#")[0]
        assert eventually(lambda: "simulating" in httpx.get(address, timeout=30).text)
        getattr(server, how)()
        # Whoever holds standard error open, the study too, is gone once it ends.
        assert server.stderr.read() == ""
        server.wait(timeout=40)
