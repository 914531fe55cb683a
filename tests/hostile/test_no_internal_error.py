"""No request, however it is changed, is answered by an internal error."""

import random

import pytest
from asking import ask
from hostile.mutations import DOORS, asked, list_of, text_of

from fludapk.web.api import BATCH

MANY = 120


@pytest.mark.parametrize("door", DOORS)
def test_a_changed_request_is_answered_or_refused(door: str) -> None:
    rng = random.Random(door)
    header = {"content-type": "application/json"}
    for _ in range(MANY):
        content = text_of(asked(door, rng), rng)
        answer = ask("POST", DOORS[door], content=content, headers=header)
        assert answer.status_code in (200, 400, 413, 422), content[:500]


def test_a_changed_list_is_answered_or_refused() -> None:
    rng = random.Random("list")
    for _ in range(MANY // 2):
        content = list_of(rng)
        answer = ask("POST", BATCH, files={"file": ("list.csv", content)})
        assert answer.status_code in (200, 422), content
