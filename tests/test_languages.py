"""Languages: every message is in every catalog, and no number or unit differs."""

import re
import string
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Final

import make_catalogs
import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from fludapk.language import LANGUAGES, SOURCE, speaking, tr

ROOT: Final = Path(__file__).resolve().parents[1]
OTHERS: Final = tuple(code for code in LANGUAGES if code != SOURCE)
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
UNITS: Final = re.compile(
    r"(?<![\w/])(?:mg·h/L|mg/m²|mg/m2|mg/dL|µmol/L|mL/min|mg/kg|mg/L|ng/mL|m²|kg|cm|mL|mg)(?![\w/])"
)


def texts(message: Message) -> list[tuple[str, str]]:
    """English and translation of a message; of a plural each form."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    plural = str(message.id[1])
    return [(plural, form) for form in message.string or ()]


def entries(code: str) -> list[Message]:
    path = ROOT / "fludapk" / "catalogs" / f"{code}.po"
    return [message for message in read_po(BytesIO(path.read_bytes()), locale=code) if message.id]


def holes(text: str) -> Counter[str]:
    """What stands in braces, with its format."""
    return Counter(
        f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(text) if name is not None
    )


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalog_has_every_message_of_the_code_and_no_other(code: str) -> None:
    path = ROOT / "fludapk" / "catalogs" / f"{code}.po"
    assert path.read_bytes() == make_catalogs.updated(code)


@pytest.mark.parametrize("code", OTHERS)
def test_every_message_has_a_translation(code: str) -> None:
    lacking = [m.id for m in entries(code) if m.fuzzy or not all(text for _, text in texts(m))]
    assert lacking == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_keeps_every_value_number_and_unit(code: str) -> None:
    for message in entries(code):
        for english, other in texts(message):
            assert holes(other) == holes(english), english
            written, kept = (
                Counter(number.replace(",", ".") for number in NUMBER.findall(text))
                for text in (english, other)
            )
            assert kept == written, english
            assert Counter(UNITS.findall(other)) == Counter(UNITS.findall(english)), english


def test_english_is_the_text_of_the_code() -> None:
    assert tr("{n} doses of {dose}", n=3) == "3 doses of {dose}"


def test_a_language_ends_where_it_was_spoken() -> None:
    with speaking("de"):
        pass
    assert tr("Patient") == "Patient"
