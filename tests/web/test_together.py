"""Checks that wait at the same time are computed together, and nobody notices."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from typing import Any, Final

import httpx
import pytest
from asking import APP, HOME, ask

from fludapk.answers import check
from fludapk.language import speaking
from fludapk.patience import AbandonedError, abandon_when
from fludapk.web import together
from fludapk.web.api import GIRL, MAN, PREFIX
from fludapk.web.asked import CheckAsked
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

    monkeypatch.setattr(together, "checks", counting)
    return counted


def at_once(bodies: Sequence[dict[str, Any]]) -> list[tuple[int, bytes]]:
    """Ask for all checks at the same time."""

    async def asked() -> list[tuple[int, bytes]]:
        transport = httpx.ASGITransport(app=APP)
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
    monkeypatch.setattr(together, "checks", broken)
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
