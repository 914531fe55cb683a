"""Encodings that a file tells, and those that somebody must say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.patients.encodings import ENCODINGS, chosen_encoding, encoding_of

TEXT = "id;Größe;Geschlecht\n1;110;männlich\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_that_tells_its_encoding_is_read(encoding: str) -> None:
    assert encoding_of([TEXT.encode(encoding)]) == encoding


@pytest.mark.parametrize(
    ("text", "encoding", "likely"),
    [
        (TEXT, "cp1252", "cp1252"),
        (TEXT, "latin-1", "cp1252"),
        ("âge;créatinine", "cp1252", "cp1252"),
        ("Kreatinin (µmol/L)", "cp1252", "cp1252"),
        ("年齢,体重,身長", "shift-jis", "cp932"),
        ("名前,クレアチニン", "shift-jis", "cp932"),
        (TEXT, "utf-16-le", "utf-16-le"),
        (TEXT, "utf-16-be", "utf-16-be"),
        ("id,wt\n1,2\n", "utf-16-le", "utf-16-le"),
    ],
)
def test_another_encoding_is_named_and_not_guessed(text: str, encoding: str, likely: str) -> None:
    with pytest.raises(InputError, match=f"say so by encoding {likely} if it is"):
        encoding_of([text.encode(encoding)])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_that_is_offered_can_be_said(encoding: str) -> None:
    text = "id,wt\n1,18.2\n"
    assert text.encode(encoding).decode(encoding_of([text.encode(encoding)], encoding)) == text


@pytest.mark.parametrize(
    ("said", "encoding"),
    [("Windows-1252", "cp1252"), ("ISO-8859-1", "latin-1"), ("shift_jis", "cp932"),
     ("UTF-8-SIG", "utf-8"), ("macroman", "mac-roman"), ("euc_kr", "cp949")],
)  # fmt: skip
def test_an_encoding_has_several_names(said: str, encoding: str) -> None:
    assert chosen_encoding(said) == encoding


@pytest.mark.parametrize("said", ["rot13", "hex", "utf-7", "idna", "", "x\0", "cp1225"])
def test_what_is_no_encoding_of_text_is_refused(said: str) -> None:
    with pytest.raises(InputError, match="is not one we read"):
        chosen_encoding(said)


def test_a_file_that_is_not_what_was_said_is_refused() -> None:
    with pytest.raises(InputError, match="is not UTF-8 throughout"):
        encoding_of([b"\xff\xfa"], "utf-8")
    with pytest.raises(InputError, match="begins with the mark of UTF-16"):
        encoding_of([TEXT.encode("utf-16")], "cp1252")


@given(st.text(), st.integers(1, 5))
def test_utf_8_is_told_wherever_the_pieces_end(text: str, size: int) -> None:
    content = ("id" + text.replace("\0", "")).encode("utf-8", "ignore")
    pieces = [content[k : k + size] for k in range(0, len(content), size)]
    assert encoding_of(pieces) == "utf-8"


@given(st.lists(st.binary()), st.sampled_from([None, *ENCODINGS]))
def test_any_bytes_have_an_encoding_or_a_fault(pieces: list[bytes], said: str | None) -> None:
    try:
        encoding = encoding_of(pieces, said)
    except InputError:
        return
    b"".join(pieces).decode(encoding)
