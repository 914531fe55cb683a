"""Checks that wait at the same time are computed together, and beside, and nobody notices."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from asking import APP, HOME, ask
from waiting import eventually

from fludapk.answers import check
from fludapk.language import speaking
from fludapk.patience import AbandonedError, abandon_when
from fludapk.web import computed
from fludapk.web.api import EXAMPLES, GIRL, MAN, PREFIX
from fludapk.web.app import create_app
from fludapk.web.asked import CheckAsked
from fludapk.web.beside import LEAST_TO_START, Beside
from fludapk.web.computed import outcomes
from fludapk.web.guard import App
from fludapk.web.together import MOST_TOGETHER, Checks

PATH: Final = f"{PREFIX}/check"
MIXED: Final[list[dict[str, Any]]] = [
    GIRL,
    MAN,
    {**GIRL, "weight": 21.5, "round_to": "5 mg"},
    {name: value for name, value in GIRL.items() if name != "height"},
    {**GIRL, "model": "varela2025"},
    {**GIRL, "model": "averaged"},
    {**GIRL, "model": "nobody2022"},
    {**MAN, "weight": "181 kg"},
    {**MAN, "model": "averaged", "scr": "2.1 mg/dL"},
    {**MAN, "scr": "4 mg/dL", "strict": True},
    {**GIRL, "strict": True},
    {**GIRL, "scr": "26.5 mg/dL"},
    {**GIRL, "product": "axi_cel"},
    {**MAN, "dose": "40 mg/m2", "days": 5},
    {**GIRL, "age": "3 months", "weight": 6, "height": 60},
    {**GIRL, "sex": None},
    {**GIRL, "egfr_formula": "schwartz_bedside"},
    {**GIRL, "dose": "20 mg/m2"},
    {**MAN, "sex": "male", "days": 99},
]
Sizes = list[int]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """Numbers of checks that were computed together."""
    counted: Sizes = []

    def counting(requests: Sequence[Any], **options: Any) -> Iterator[Any]:
        counted.append(len(requests))
        return check.checks(requests, **options)

    monkeypatch.setattr(computed, "checks", counting)
    return counted


def at_once(bodies: Sequence[dict[str, Any]], app: App = APP) -> list[tuple[int, bytes]]:
    """Ask for all checks at the same time."""

    async def asked() -> list[tuple[int, bytes]]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
            answers = await asyncio.gather(*(client.post(PATH, json=body) for body in bodies))
            return [(answer.status_code, answer.content) for answer in answers]

    return asyncio.run(asked())


def test_each_gets_the_answer_that_it_gets_alone_to_the_byte(sizes: Sizes) -> None:
    alone = [ask("POST", PATH, json=body) for body in MIXED]
    assert {answer.status_code for answer in alone} == {200, 422}
    assert set(sizes) <= {0, 1}
    for order in (1, -1):
        assert at_once(MIXED[::order]) == [(a.status_code, a.content) for a in alone][::order]
    assert max(sizes) > 1


@pytest.mark.parametrize(
    "body",
    [
        *(json.dumps(body) for body in MIXED),
        *("", "{", "null", "[]", "[[[", '"text"', '{"age": NaN}', '{"age": 1e999}', "{}" * 2),
        *('{"age": 5, "age": 6}', '{"age": {}}', '{"nobody": 1}', '{"strict": "yes"}', "[" * 9999),
    ],
)
def test_the_short_way_of_a_sound_check_answers_as_the_long_way_does(body: str) -> None:
    ways = ("application/json", "application/json; charset=utf-8")
    short, long = (
        ask("POST", PATH, content=body, headers={"content-type": content_type})
        for content_type in ways
    )
    assert (short.status_code, short.content) == (long.status_code, long.content)


def test_the_answer_is_that_of_the_library_in_english() -> None:
    with speaking("de"):
        (answer,) = at_once([GIRL])
    assert answer[1].decode() == CheckAsked.model_validate(GIRL).answer().to_json(indent=None)


def test_no_more_than_some_are_computed_together(sizes: Sizes) -> None:
    answers = at_once([{**GIRL, "weight": 16 + 0.1 * i} for i in range(30)])
    assert {status for status, _ in answers} == {200}
    assert len(set(answers)) == 30
    assert sum(sizes) == 30
    assert 1 < max(sizes) <= MOST_TOGETHER


def test_an_error_of_ours_about_one_is_not_told_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(requests: Sequence[Any], **options: Any) -> Iterator[Any]:
        if any(request.patient.age_years == 60 for request in requests):
            raise ZeroDivisionError
        return check.checks(requests, **options)

    alone = ask("POST", PATH, json=GIRL)
    monkeypatch.setattr(computed, "checks", broken)
    answers = at_once([GIRL, MAN, GIRL, GIRL, MAN, GIRL])
    assert [status for status, _ in answers] == [200, 500, 200, 200, 500, 200]
    assert {content for status, content in answers if status == 200} == {alone.content}


def waiting(checks: Checks, body: dict[str, Any], is_abandoned: Callable[[], bool]) -> Any:
    """Ask for a check for as long as somebody waits."""
    context = Context()
    context.run(abandon_when, is_abandoned)
    asked = checks.answer(CheckAsked.model_validate(body))
    return asyncio.get_running_loop().create_task(asked, context=context)


def test_a_check_whose_client_has_left_is_not_computed(sizes: Sizes) -> None:
    async def asked() -> list[Any]:
        checks = Checks(None)
        left = [waiting(checks, MAN, lambda: True) for _ in range(3)]
        stays = [waiting(checks, GIRL, lambda: False) for _ in range(2)]
        return list(await asyncio.gather(*left, *stays, return_exceptions=True))

    *left, first, second = asyncio.run(asked())
    assert [type(outcome) for outcome in left] == [AbandonedError] * 3
    assert json.loads(first)["model"]
    assert first == second
    assert sum(sizes) == 2


def test_a_computation_ends_once_nobody_waits_for_any_of_it() -> None:
    turns = {"first": 0, "second": 0}

    def leaves(name: str, after: int) -> Callable[[], bool]:
        def is_abandoned() -> bool:
            turns[name] += 1
            return turns[name] > after

        return is_abandoned

    async def asked(after: int) -> list[Any]:
        checks = Checks(None)
        both = (
            waiting(checks, GIRL, leaves("first", 1)),
            waiting(checks, MAN, leaves("second", after)),
        )
        return list(await asyncio.gather(*both, return_exceptions=True))

    assert [type(outcome) for outcome in asyncio.run(asked(1))] == [AbandonedError] * 2
    turns.update(first=0, second=0)
    first, second = asyncio.run(asked(10**6))
    assert json.loads(first)["patient"] != json.loads(second)["patient"]


# --- in another process ---------------------------------------------------------------------------

needs_process = pytest.mark.skipif(
    sys.platform != "linux" or os.cpu_count() == 1, reason="the server computes alone"
)
MANY: Final = [CheckAsked.model_validate(GIRL)] * LEAST_TO_START


def lives(pid: int) -> bool:
    """Tell if there is a process that runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def beside() -> Iterator[Beside]:
    """The process, ready."""
    process = Beside(None, EXAMPLES["CheckAsked"])
    assert eventually(lambda: process.answers(MANY) is not None)
    yield process
    process.close()


@needs_process
def test_its_answers_are_those_of_the_server_to_the_byte(beside: Beside) -> None:
    asked = [CheckAsked.model_validate(body) for body in MIXED]
    for strict in (False, True):
        alike = [each for each in asked if each.strict == strict]
        expected = [each if isinstance(each, str) else None for each in outcomes(alike, None)]
        assert beside.answers(alike) == expected
        assert {type(each) for each in expected} == {str, type(None)}


@needs_process
def test_clients_get_the_same_whoever_computes(beside: Beside) -> None:
    alone = [ask("POST", PATH, json=body) for body in MIXED]
    answers = at_once(MIXED, create_app(beside=beside))
    assert answers == [(each.status_code, each.content) for each in alone]
    assert answers == at_once(MIXED, APP)


def test_one_check_alone_starts_nothing() -> None:
    process = Beside(None)
    assert process.answers(MANY[1:]) is None
    assert process.pid is None


@needs_process
def test_the_server_computes_by_itself_when_the_process_dies(beside: Beside) -> None:
    alone = ask("POST", PATH, json=GIRL)
    assert beside.pid is not None
    os.kill(beside.pid, signal.SIGKILL)
    answers = at_once([GIRL] * 8, create_app(beside=beside))
    assert set(answers) == {(200, alone.content)}


@needs_process
def test_it_ends_what_nobody_waits_for_and_goes_on(beside: Beside) -> None:
    context = copy_context()
    context.run(abandon_when, lambda: True)
    begun = time.monotonic()
    left = context.run(beside.answers, MANY * 500)
    assert left is not None
    assert None in left
    assert time.monotonic() - begun < 5.0
    answers = beside.answers(MANY)
    assert answers == [MANY[0].answer().to_json(indent=None)] * len(MANY)


@needs_process
def test_it_ends_with_the_application(beside: Beside) -> None:
    pid = beside.pid
    assert pid is not None
    assert lives(pid)
    beside.close()
    assert not lives(pid)
    assert beside.answers(MANY) is None
    assert beside.pid is None


@needs_process
def test_it_does_not_outlive_a_server_that_is_killed() -> None:
    program = (
        "import os, sys, time\n"
        "from fludapk.web.api import GIRL\n"
        "from fludapk.web.asked import CheckAsked\n"
        "from fludapk.web.beside import Beside\n"
        "beside = Beside(None)\n"
        "while beside.answers([CheckAsked.model_validate(GIRL)] * 4) is None: time.sleep(0.1)\n"
        "print(beside.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert lives(pid)
        server.kill()
    assert eventually(lambda: not lives(pid), 10.0)
