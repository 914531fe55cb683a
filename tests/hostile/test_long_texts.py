"""What is typed is read in linear time, and nothing of it is kept."""

import gc
import importlib
import pkgutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import fludapk
from fludapk.errors import InputError, nearest
from fludapk.patients.clock import read_clock
from fludapk.patients.course import given_of
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen, parse_dose
from fludapk.patients.request import read_request
from fludapk.units import LONGEST, canonical_unit, parse_number, parse_quantity

READERS: dict[str, Callable[[str], Any]] = {
    "number": lambda text: parse_number(text, "scr_mg_dl"),
    "quantity": lambda text: parse_quantity(
        text, dimension="creatinine", field="scr_mg_dl", unit=None
    ),
    "unit": lambda text: canonical_unit(text, "creatinine"),
    "level": Level.from_text,
    "given dose": lambda text: given_of([text], 0.5),
    "dose": parse_dose,
    "clock": read_clock,
    "weight": lambda text: Patient(age=5, weight=text, height=110, scr="0.3 mg/dL"),
    "regimen": lambda text: Regimen.from_text(regimen=text),
    "request": lambda text: read_request({"age": text, "dose": text, "first_dose": text}),
    "name": lambda text: nearest(text, ["axi_cel", "tisa_cel_ball"]),
}
TEXTS: dict[str, Callable[[int], str]] = {
    "digits and a comma": lambda n: "1" * n + ",",
    "digits": lambda n: "1" * n,
    "groups of digits": lambda n: "1" + " 000" * (n // 4),
    "groups with commas": lambda n: "1" + ",000" * (n // 4) + "x",
    "points": lambda n: "1." * (n // 2),
    "blanks": lambda n: "1" + " " * n + "x",
    "slashes": lambda n: "1 mg" + " /" * (n // 2),
    "a level": lambda n: "2h" + " " * n + "0.6",
    "a level of digits": lambda n: "2" * n + "h " + "6" * n + "mg/L",
    "an exponent": lambda n: "1e" + "1" * n,
    "a date": lambda n: "2026-01-14 " + "1" * n,
    "letters": lambda n: "a" * n,
    "signs": lambda n: "-" * n,
}


def seconds(reader: Callable[[str], Any], text: str) -> float:
    """The shortest of some readings, refused or not."""
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        with suppress(InputError):
            reader(text)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_text_64_times_as_long_takes_less_than_100_times_as_long(
    reader: Callable[[str], Any], text: Callable[[int], str]
) -> None:
    short, long = seconds(reader, text(1024)), seconds(reader, text(64 * 1024))
    assert long < 100 * max(short, 1e-5)


def test_a_quantity_that_is_too_long_is_not_repeated_in_full() -> None:
    with pytest.raises(InputError) as refused:
        parse_number("1" * 24_000 + ",", "scr_mg_dl")
    assert len(str(refused.value)) < 200
    assert f"at most {LONGEST}" in str(refused.value)


@pytest.mark.parametrize("text", ["0.3", "12.", ".5", "+1e3", "1E-2 mg", "70kg", "7 "])
def test_numbers_are_read_as_before(text: str) -> None:
    number = "".join(sign for sign in text if sign in "+-.0123456789eE").rstrip("eE")
    assert parse_number(text, "x")[0] == float(number)


@pytest.mark.parametrize("text", ["1,5", "1.5.2", "1..2", "12,", "1.2,3", "e5", "", "."])
def test_what_is_no_number_is_refused_as_before(text: str) -> None:
    with pytest.raises(InputError):
        parse_number(text, "x")


# --- Nothing is kept ------------------------------------------------------------------------------


def caches() -> dict[str, Any]:
    """Every function of the package that keeps what it gave."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(fludapk.__path__, "fludapk."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if hasattr(value, "cache_info") and value.__module__ == module.name:
                found[f"{module.name}.{name}"] = value
    return found


def kept(text: str) -> list[str]:
    """Caches that hold a text, in an argument or a result."""
    return [
        name
        for name, function in caches().items()
        if any(text in repr(part) for part in gc.get_referents(function))
    ]


SECRET = "Q7391"


def test_the_search_for_kept_texts_sees_one() -> None:
    from fludapk.published.models import load_model

    load_model()
    assert any("langenhorst2019" in repr(gc.get_referents(f)) for f in caches().values())


def test_no_cache_holds_what_was_typed() -> None:
    from asking import ask

    girl = {"age": "5.0317", "weight": "18.239", "height": "110.371", "scr": "0.3179 mg/dL"}
    girl["sex"] = "female"
    for name in [*girl, "dose", "regimen", "product", "diagnosis", "first_dose", "confirm"]:
        asked = {**girl, "dose": "30 mg/m2", "days": "3", name: f"1 {SECRET}"}
        ask("POST", "/api/v1/check", json=asked)
        ask("POST", "/", data=asked)
    content = "id,name,sex,age,weight,height,scr,interval,regimen\n" + "".join(
        f"1,{SECRET},{sex},5.0317,18.239,110.371,0.3179,17.513,{course}\n"
        for sex, course in (("female", "tisa_cel_ball"), (SECRET, SECRET))
    )
    for path in ("/api/v1/batch", "/list"):
        ask("POST", path, files={"file": ("list.csv", content)}, data={"map": "scr=scr_mg_dl"})
    assert kept(SECRET) == []
    for number in ("5.0317", "18.239", "110.371", "0.3179", "17.513"):
        assert kept(number) == []
