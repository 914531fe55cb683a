"""No request, form, file or command, however it is changed, ends in an internal error."""

import random
import time
from typing import Final

import pytest
from hostile.mutations import DOORS

from fludapk.errors import Fault, InputError
from fludapk.patients.columns import is_column
from fludapk.patients.csv_list import open_list
from fludapk.published.engines.draft import draft_of
from fludapk.published.engines.reading import MOST_CHARACTERS

MANY: Final = 100
SLOW: Final = {"design": 10, "nomogram": 25, "commands": 50}
"""Doors whose answers take a second."""
NONMEM: Final = "$SUB ADVAN1\n$PK\nCL = {}\n$THETA 5\n$OMEGA 0.09\n"


@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_changed_is_answered_or_refused(door: str) -> None:
    rng = random.Random(door)
    for _ in range(SLOW.get(door, MANY)):
        tried = DOORS[door](rng)
        assert not tried.is_internal, tried.sent


@pytest.mark.parametrize(
    "expression",
    ["-" * 900 + "x", "(" * 900, "+".join("1" * 3000), "9**9**9**9", "\x00", "exp()", "THETA(1",
     "EXP(ETA(7))", "lambda: " * 90 + "1"],
)  # fmt: skip
def test_an_expression_beyond_reading_is_listed_and_not_computed(expression: str) -> None:
    draft = draft_of(NONMEM.format(expression), "mine")
    assert any(part.startswith("CL = ") for part in draft.unread)


def test_squares_of_squares_do_not_fill_the_memory() -> None:
    squares = "\n".join(f"A{k + 1} = A{k}*A{k}" for k in range(60))
    assert draft_of(NONMEM.format(f"THETA(1)\nA0 = THETA(1)\n{squares}"), "mine").unread


@pytest.mark.parametrize("head", ["$PK\n", "[PARAM]\n", "ini({\n", "rxode2({\n"])
@pytest.mark.parametrize("part", ["\n\n", "$THETA (", "ini({ ", "theta <- c(", "rxode2({", "pow(("])
def test_a_model_of_another_engine_is_read_in_linear_time(head: str, part: str) -> None:
    def seconds(size: int) -> float:
        begun = time.perf_counter()
        draft_of(head + part * (size // len(part)), "mine")
        return time.perf_counter() - begun

    assert min(seconds(64_000) for _ in range(2)) < 100 * max(seconds(1000), 5e-3)


def test_a_list_of_a_million_columns_is_refused_before_its_names_are_read() -> None:
    with pytest.raises(InputError, match="more than 1000 columns"):
        open_list(b"age," * 1_000_000, is_column)


def test_a_name_of_a_column_that_goes_on_and_on_is_refused_before_it_is_read() -> None:
    with pytest.raises(InputError, match="at most 500"):
        open_list(b"age " * 500_000 + b",\n1,2\n", is_column)


def test_a_text_longer_than_any_model_is_refused() -> None:
    with pytest.raises(InputError, match="a model has at most 100000"):
        draft_of("$PK\n" + " " * MOST_CHARACTERS, "mine")


def test_braces_that_were_typed_name_no_field() -> None:
    fault = Fault("model", "unknown model 'a {dose} b'", do="see {model} and the paper's {dose}")
    assert fault.text(lambda field: f"--{field}") == (
        "--model unknown model 'a {dose} b': see --model and the paper's --dose"
    )
