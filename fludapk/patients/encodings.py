"""Encodings of lists: recognised where a file tells its own, named where it does not.

A file that begins with a byte-order mark, or is UTF-8 throughout, is read. Any other is refused
with the encoding it looks like, until somebody says which it is.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final

from fludapk.errors import Fault, InputError, nearest
from fludapk.language import marked, tr

ENCODINGS: Final = {
    "utf-8": "UTF-8",
    "cp1252": marked("Windows-1252 (Western Europe)"),
    "latin-1": "ISO 8859-1",
    "iso8859-15": marked("ISO 8859-15, with the euro sign"),
    "cp1250": marked("Windows-1250 (Central Europe)"),
    "cp850": marked("DOS, Western Europe"),
    "mac-roman": "Mac OS Roman",
    "utf-16": "UTF-16",
    "utf-16-le": marked("UTF-16, little-endian"),
    "utf-16-be": marked("UTF-16, big-endian"),
    "cp932": marked("Shift-JIS (Japan)"),
    "gb18030": marked("GB 18030 (China)"),
    "cp949": marked("Windows-949 (Korea)"),
}
"""Encodings that may be chosen, and their names."""

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte-order marks, the longer ones first."""
_SINGLE_BYTES: Final = ("cp1252", "latin-1", "iso8859-15", "cp1250", "cp850", "mac-roman")
"""Encodings in which any bytes are text, so that UTF-8 would be misread without a word."""
_SAVE: Final = marked("save it as CSV UTF-8")
_OTHER_KINDS: Final = (
    (b"\x1f\x8b", marked("is compressed (gzip)"), marked("unpack it")),
    (b"%PDF", marked("is a PDF"), marked("save the list as CSV UTF-8")),
    (
        b"<",
        marked("is HTML or XML, whatever its name says"),
        marked("save it as .xlsx or as CSV UTF-8"),
    ),
    (b"{", marked("is JSON"), _SAVE),
    (b"[{", marked("is JSON"), _SAVE),
    (b"PAR1", marked("is Parquet"), _SAVE),
)
"""Beginnings of files that hold no list as we read them."""
_SAMPLE: Final = 4096
"""Bytes at the beginning in which zeros tell UTF-16."""


def chosen_encoding(name: str) -> str:
    """Return an encoding of `ENCODINGS` by one of its names.

    Raises
    ------
    InputError
        If it is none of them.

    Examples
    --------
    >>> chosen_encoding("Windows-1252"), chosen_encoding("Shift_JIS"), chosen_encoding("UTF8")
    ('cp1252', 'cp932', 'utf-8')
    """
    asked = name.strip().lower()
    by_codec = {codecs.lookup(encoding).name: encoding for encoding in ENCODINGS}
    try:
        codec = codecs.lookup(asked).name
    except (LookupError, ValueError):
        codec = ""
    codec = {"shift_jis": "cp932", "euc_kr": "cp949", "gbk": "gb18030", "utf-8-sig": "utf-8"}.get(
        codec, codec
    )
    if codec not in by_codec:
        do = nearest(asked[:50], list(ENCODINGS))
        found = tr("= {typed!r} is not one we read", typed=name[:50])
        raise InputError(Fault("encoding", found, do=do))
    return by_codec[codec]


def encoding_of(parts: Iterable[bytes], chosen: str | None = None) -> str:
    """Encoding of a file.

    Parameters
    ----------
    parts : iterable of bytes
        The file from its beginning, in pieces; they are read only as far as needed.
    chosen : str, optional
        What somebody says it is.

    Returns
    -------
    str
        Name of a codec; "utf-8-sig" and "utf-16" leave out the byte-order mark.

    Raises
    ------
    InputError
        If it is not UTF-8 and nobody says what it is, or if it is not what somebody says.

    Examples
    --------
    >>> encoding_of([b"id,wt"]), encoding_of(["Größe".encode("cp1252")], "cp1252")
    ('utf-8', 'cp1252')
    >>> encoding_of(["Größe".encode("cp1252")])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fludapk.errors.InputError: is not UTF-8; it looks like Windows-1252 (Western Europe): ...
    """
    pieces = iter(parts)
    start = next(pieces, b"")
    for beginning, found, do in _OTHER_KINDS:
        if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(beginning):
            raise InputError(Fault("", tr(found), do=tr(do)))
    marked = next((codec for mark, codec in _MARKS if start.startswith(mark)), None)
    encoding = None if chosen is None else chosen_encoding(chosen)
    if marked is not None:
        if encoding is not None and not marked.startswith(encoding[:6]):
            shown = {"utf-8-sig": "UTF-8"}.get(marked, marked.upper())
            found = tr("= {encoding!r}, but the file begins with the mark of {mark}",
                       encoding=encoding, mark=shown)  # fmt: skip
            raise InputError(Fault("encoding", found, do=tr("leave it out")))
        return _checked(start, pieces, marked)
    if encoding == "utf-16":
        encoding = _by_zeros(start) or "utf-16-le"
    if encoding is not None:
        return _checked(start, pieces, encoding)
    by_zeros = _by_zeros(start)
    if by_zeros is not None:
        raise InputError(_unlike_utf_8(by_zeros))
    seen = bytearray()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in (start, *pieces):
            seen = bytearray(seen[-_SAMPLE:] + piece)
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InputError(_unlike_utf_8(_likely(bytes(seen)))) from None
    return "utf-8"


def _checked(start: bytes, pieces: Iterable[bytes], encoding: str) -> str:
    """The encoding, after the whole file was found to be in it."""
    decoder = codecs.getincrementaldecoder(encoding)()
    content = [start, *pieces]
    if encoding in _SINGLE_BYTES and _is_more_than_ascii_in_utf_8(content):
        found = tr("= {encoding!r}, but the file is UTF-8", encoding=encoding)
        raise InputError(Fault("encoding", found, do=tr("leave it out")))
    try:
        for piece in content:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        name = ENCODINGS.get(encoding, encoding.removesuffix("-sig").upper())
        do = tr("check {encoding}, or save it as CSV UTF-8")
        found = tr("is not {encoding} throughout", encoding=name)
        raise InputError(Fault("", found, do=do)) from None
    return encoding


def _is_more_than_ascii_in_utf_8(content: Iterable[bytes]) -> bool:
    """Tell UTF-8 by its sequences of bytes, which other text does not have throughout."""
    whole = b"".join(content)
    try:
        return len(whole.decode("utf-8")) < len(whole)
    except UnicodeDecodeError:
        return False


def _by_zeros(start: bytes) -> str | None:
    """UTF-16 by its zero bytes, which Western text has in every other place."""
    sample = start[:_SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    least = len(sample) / 8
    if max(even, odd) <= max(least, 1) or min(even, odd) > max(even, odd) / 4:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _likely(sample: bytes) -> str:
    """Encoding that bytes look like, for a suggestion only.

    Lead bytes of Shift-JIS are mostly 0x81 to 0x9F, where Windows-1252 has rare signs.
    """
    high = [byte for byte in sample if byte >= 0x80]
    leads = sum(0x81 <= byte <= 0x9F for byte in high)
    if leads > 1 and leads >= len(high) / 3 and _decodes(sample, "cp932"):
        return "cp932"
    return "cp1252" if _decodes(sample, "cp1252") else "latin-1"


def _decodes(sample: bytes, encoding: str) -> bool:
    """Tell bytes that are text in an encoding; the last character may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _unlike_utf_8(encoding: str) -> Fault:
    do = tr("say so by {encoding} {name} if it is, or save it as CSV UTF-8", name=encoding)
    found = tr("is not UTF-8; it looks like {encoding}", encoding=ENCODINGS[encoding])
    return Fault("encoding", found, do=do, whole=True)
