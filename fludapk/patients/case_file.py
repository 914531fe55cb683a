"""Case files: what was typed about one patient, kept to be opened and computed again.

A case file is JSON, schema ``fludapk.case/1``. The page saves and opens it, ``check --case`` reads
it, and a hospital keeps its own cases in such files. It holds what was typed under the names of
`fludapk.patients.fields`, never what was derived from it, and beside it the answer of that day in a
few numbers, so that a later version can say what has changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from fludapk._version import __version__
from fludapk.errors import Fault, InputError, nearest
from fludapk.language import marked, tr
from fludapk.patients.fields import COURSE, FIELDS, GOAL, PATIENT

SCHEMA: Final = "fludapk.case/1"
Question: TypeAlias = Literal["check", "dose", "update"]
"""The command that was asked."""
QUESTIONS: Final[tuple[Question, ...]] = get_args(Question)
Scalar: TypeAlias = str | float | bool | None

_LEVELS: Final = ("levels", "given", "exclude_level")
CASE_FIELDS: Final = (*PATIENT, *COURSE, *GOAL, *_LEVELS, "round_to_mg", "model", "strict")
"""Keywords of the fields that a case may have."""
CASE_NAMES: Final = tuple(FIELDS[key].name for key in CASE_FIELDS)
"""Their names in the file."""
LEVEL_PARTS: Final = ("time", "conc", "below")
"""Names inside a level that is not one text."""

MOST_BYTES: Final = 256_000
_MOST_CHARACTERS: Final = 200
_MOST_ITEMS: Final = 50
_KEYS: Final = ("schema", "version", "question", "typed", "input_sha256", "answer")
_SHA256_DIGITS: Final = 64


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """Inputs about one patient as typed, and what came of it.

    Parameters
    ----------
    typed : mapping of str to object
        Name of a field -> text, number, or list of them, as typed; see `CASE_NAMES`.
    question : {'check', 'dose', 'update'}
        The command that was asked.
    version : str
        Version of fludapk that saved it.
    input_sha256 : str, optional
        Hash of the input as that version read it; None if nothing was computed.
    answer : mapping of str to str, float, bool or None
        The answer of that version in short; empty if nothing was computed.

    Examples
    --------
    >>> case = CaseFile(typed={"age": 5, "weight": "18.2 kg"}, version="0.2.0")
    >>> CaseFile.from_json(case.to_json()) == case
    True
    >>> CaseFile.from_json('{"schema": "fludapk.case/1", "version": "0.2.0", "typed": {"wt": 5}}')
    Traceback (most recent call last):
    fludapk.errors.InputError: typed: unknown field 'wt': did you mean 'weight'?
    """

    typed: Mapping[str, Any]
    question: Question = "check"
    version: str = __version__
    input_sha256: str | None = None
    answer: Mapping[str, Scalar] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the contents of the file.

        Raises
        ------
        InputError
            If something has no place in a case file, so that every file that is saved can be read.
        """
        typed = {name: _as_list(value) for name, value in self.typed.items() if _is_typed(value)}
        whole = {
            "schema": SCHEMA,
            "version": self.version,
            "question": self.question,
            "typed": typed,
            "input_sha256": self.input_sha256,
            "answer": dict(self.answer),
        }
        _must_be_right(whole)
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> CaseFile:
        """Read the contents of a file.

        Parameters
        ----------
        text : str or bytes
            Bytes are UTF-8, with or without a byte order mark.

        Raises
        ------
        InputError
            With every fault, if it is no case file.
        """
        whole = _parsed(text)
        _must_be_right(whole)
        return cls(
            typed=whole["typed"],
            question=whole.get("question", "check"),
            version=whole["version"],
            input_sha256=whole.get("input_sha256"),
            answer=whole.get("answer") or {},
        )


def read_case(path: str | Path) -> CaseFile:
    """Read a case file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        If it cannot be read, or with every fault, if it is no case file.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        why = tr("{path}: cannot be read: {why}", path=path, why=error.strerror or error)
        raise InputError(Fault("case", why, whole=True)) from error
    try:
        return CaseFile.from_json(content)
    except InputError as error:
        raise error.at(where=str(path)) from None


# ------------------------------------------------------------------ JSON without surprises


def _parsed(text: str | bytes) -> Any:
    """Parse JSON; what other readers would understand in two ways is refused."""
    if len(text) > MOST_BYTES:
        raise _fault(tr("is larger than a case file may be, {most} kB", most=MOST_BYTES // 1000))
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _fault(tr("is not UTF-8 text")) from error
    except (ValueError, RecursionError) as error:
        raise _fault(tr("is not JSON: {why}", why=error)) from error


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        names_twice = ", ".join(map(repr, twice))
        raise ValueError(tr("{names} more than once in one object", names=names_twice))
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(tr("{name} is not a number", name=name))


def _fault(found: str) -> InputError:
    return InputError(Fault("", found))


# ------------------------------------------------------------------ faults


def _must_be_right(whole: Any) -> None:
    """Refuse what is no case file, with every fault."""
    if not isinstance(whole, Mapping):
        raise _fault(tr("is not a case file: a case file is one JSON object"))
    schema = whole.get("schema")
    if schema != SCHEMA:
        raise _fault(_of_schema(schema))
    faults = [
        *(
            tr("unknown key {name!r}: {likely}", name=name, likely=_likely(name, _KEYS))
            for name in whole
            if name not in _KEYS
        ),
        *_head_faults(whole),
        *_typed_faults(whole.get("typed")),
    ]
    if faults:
        raise InputError(*(Fault("", fault) for fault in faults))


def _of_schema(schema: object) -> str:
    if isinstance(schema, str) and schema.startswith("fludapk.case/"):
        return tr("has the schema {schema!r}, which this version cannot read: update fludapk",
                  schema=schema)  # fmt: skip
    if isinstance(schema, str) and schema.startswith("fludapk."):
        return tr("is a {schema!r}, not a case file ({own!r})", schema=schema, own=SCHEMA)
    return tr("is not a case file: its schema is not {own!r}", own=SCHEMA)


def _head_faults(whole: Mapping[str, Any]) -> list[str]:
    """List the faults of all but what was typed."""
    faults = []
    if not isinstance(whole.get("version"), str):
        faults.append(tr("version: a text is needed"))
    if whole.get("question", "check") not in QUESTIONS:
        faults.append(
            tr("question: {question!r} is not one of {questions}",
               question=whole["question"], questions=", ".join(QUESTIONS))
        )  # fmt: skip
    sha = whole.get("input_sha256")
    if sha is not None and not _is_sha256(sha):
        faults.append(tr("input_sha256: not a SHA-256 in hexadecimal digits"))
    answer = whole.get("answer") or {}
    if not isinstance(answer, Mapping) or not all(map(_is_scalar, answer.values())):
        faults.append(tr("answer: an object of texts, numbers, true, false and null is needed"))
    return faults


def _typed_faults(typed: Any) -> list[str]:
    """List the faults of what was typed."""
    if not isinstance(typed, Mapping):
        return [tr("typed: an object of what was typed is needed, by the names of fields")]
    faults = []
    for name, value in typed.items():
        if name not in CASE_NAMES:
            likely = _likely(name, CASE_NAMES)
            faults.append(tr("typed: unknown field {name!r}: {likely}", name=name, likely=likely))
            continue
        check, needed = _KINDS.get(name, _TEXT_OR_NUMBER)
        if not check(value):
            faults.append(tr("typed: {name}: {kind} is needed", name=name, kind=tr(needed)))
    return faults


def _likely(name: str, choices: Sequence[str]) -> str:
    """Name the nearest choice; an abbreviation is nearest to what it may stand for."""
    return nearest(_ABBREVIATED.get(str(name).lower(), str(name)), choices, others=False)


_ABBREVIATED: Final = {"wt": "weight", "ht": "height", "creatinine": "scr", "gfr": "egfr"}


def _is_typed(value: object) -> bool:
    """Tell if a field was filled; False is what an empty box means."""
    return value is not None and value is not False and value not in ("", (), [])


def _as_list(value: object) -> object:
    """Turn a tuple into a list, as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
        and abs(value) <= 1e9
    )


def _is_text_or_number(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MOST_CHARACTERS and value.isprintable()
    return _is_number(value)


def _is_scalar(value: object) -> bool:
    """Tell if a value may stand in an answer, whose sentences may be long."""
    return value is None or isinstance(value, bool | str) or _is_number(value)


def _is_sha256(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) == _SHA256_DIGITS
        and set(value) <= set("0123456789abcdef")
    )


def _is_list_of(kind: Callable[[object], bool]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return (
            isinstance(value, list | tuple) and len(value) <= _MOST_ITEMS and all(map(kind, value))
        )

    return check


def _is_window(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _is_level(value: object) -> bool:
    if not isinstance(value, Mapping):
        return isinstance(value, str) and _is_text_or_number(value)
    return (
        {"time", "conc"} <= set(value) <= set(LEVEL_PARTS)
        and _is_text_or_number(value["time"])
        and _is_text_or_number(value["conc"])
        and isinstance(value.get("below", False), bool)
    )


def _is_true_or_false(value: object) -> bool:
    return isinstance(value, bool)


_Kind: TypeAlias = tuple[Callable[[object], bool], str]
_TEXT_OR_NUMBER: Final[_Kind] = (_is_text_or_number, marked("a text or a number"))
_TEXTS: Final[_Kind] = (_is_list_of(_is_text_or_number), marked("a list of texts or numbers"))
_KINDS: Final[Mapping[str, _Kind]] = {
    "levels": (
        _is_list_of(_is_level),
        marked("a list of texts, or of objects with time, conc, below,"),
    ),
    "given": _TEXTS,
    **{FIELDS[key].name: _TEXTS for key in CASE_FIELDS if FIELDS[key].several},
    "window": (_is_window, marked("a list of two numbers")),
    "auc": (_is_number, marked("a number")),
    "probability": (_is_number, marked("a number")),
    "strict": (_is_true_or_false, marked("true or false")),
}
"""Name of a field -> check of its value, and words for what is needed; else text or number."""
