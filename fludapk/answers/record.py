"""Records, the form of every answer: in Python, as JSON, as a table and on a page.

A record knows how to become JSON and a data frame. Pages are made in a room to the right of this
one; they register here what draws a record as text and as HTML.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from fludapk.answers.renderer import RENDERERS
from fludapk.errors import InputError
from fludapk.language import marked, tr

if TYPE_CHECKING:
    import pandas as pd

DISCLAIMER: Final = marked(
    "Research and second check only, not a medical device. Thresholds are retrospective: "
    "not enough evidence to change standard regimens, prospective trials are needed."
)

Row: TypeAlias = dict[str, Any]
"""Name of a column -> text, number, truth value or None."""
Frame: TypeAlias = "pd.DataFrame"


@dataclass(frozen=True, kw_only=True, repr=False)
class Record:
    """Base of every answer.

    Parameters
    ----------
    source : object, optional
        The object that the answer was computed from, for curves and pages; no field, not in JSON.
    """

    source: InitVar[Any] = None

    def __post_init__(self, source: Any) -> None:
        object.__setattr__(self, "source", source)
        kind: Any = type(self)
        for name in _names(kind):
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(
                    tr(
                        "{name} came out as {value}: {reason}",
                        name=name,
                        value=value,
                        reason=tr(_NOT_FINITE),
                    )
                )

    @property
    def made_from(self) -> Any:
        """The object that the answer was computed from; None if it was not kept."""
        return vars(self)["source"]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as dictionaries, lists and scalars."""
        whole: dict[str, Any] = to_plain(self)
        return whole

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return one JSON document.

        Parameters
        ----------
        indent : int, optional
            None: without blanks and line ends.

        Raises
        ------
        InputError
            If a number is not finite; the message says which.
        """
        has_own_form = type(self).to_dict is not Record.to_dict
        return document(self.to_dict() if has_own_form else self, indent=indent)

    def rows(self) -> list[Row]:
        """Return the record as rows of a table."""
        return [{k: v for k, v in self.to_dict().items() if not isinstance(v, list | dict)}]

    def to_frame(self) -> Frame:
        """Return the record as a table; units of its columns are in ``attrs["units"]``."""
        return frame_of(self.rows())

    def brief(self) -> str:
        """Return one short line."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.brief()}>"

    def to_text(self, strong: Callable[[str], str] = str, *, is_brief: bool = False) -> str:
        """Return the page of a terminal.

        Parameters
        ----------
        strong : callable, optional
            Sets off what must not be missed, for example in bold.
        is_brief : bool
            Only the answer and its cautions.
        """
        renderer = RENDERERS.get(type(self).__name__)
        if renderer is None:
            return repr(self)
        draw = renderer.brief if is_brief and renderer.brief else renderer.text
        return draw(self, strong)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str | None:
        renderer = RENDERERS.get(type(self).__name__)
        return None if renderer is None else renderer.html(self, False)

    def to_html(self) -> str:
        """Return the sheet as one self-contained HTML document.

        Raises
        ------
        InputError
            If the extra ``report`` is not installed.
        """
        return RENDERERS[type(self).__name__].html(self, True)


def hash_of(table: object) -> str:
    """Return the hash of a table that can be written as JSON, whatever the order of its keys.

    Examples
    --------
    >>> hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    True
    """
    return text_hash(sorted_text(table))


def text_hash(text: str) -> str:
    """Return the hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sorted_text(table: object) -> str:
    """Write a value as JSON, a table in the order of its keys."""
    if table is None:
        return "null"
    if type(table) is float and math.isfinite(table):
        return repr(table)
    if type(table) is str:
        return _quoted(table)
    return _SORTED.encode(table)


_SORTED: Final = json.JSONEncoder(sort_keys=True)
_quoted: Final = json.encoder.encode_basestring_ascii


def document(value: Any, *, indent: int | None = 2) -> str:
    """Return one JSON document; a number that is not finite is a fault that names its place.

    Parameters
    ----------
    value : object
        Records, dictionaries, lists and scalars.
    indent : int, optional
        None: without blanks and line ends.

    Raises
    ------
    InputError
        If a number is not finite.
    """
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(
            value,
            indent=indent,
            separators=separators,
            ensure_ascii=False,
            allow_nan=False,
            check_circular=False,  # records are made of what was made before them
            default=_fields_of,
        )
    except ValueError as error:
        places = list(_not_finite(to_plain(value), ""))
        if not places:
            raise
        raise InputError(*(f"{place}: {tr(_NOT_FINITE)}" for place in places[:20])) from error


def _not_finite(value: Any, place: str) -> Iterator[str]:
    """Yield the place of each number that is not finite."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _not_finite(item, f"{place}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place or 'the number'} came out as {value}"


_NOT_FINITE: Final = "no finite number; check dose, size and kidney function"


def frame_of(rows: Sequence[Row], index: str | None = None) -> Frame:
    """Make a data frame; units of its columns are in ``attrs["units"]``.

    Parameters
    ----------
    rows : sequence of mapping
        Name of a column -> value.
    index : str, optional
        Column that becomes the index.

    Examples
    --------
    >>> frame_of([{"time_h": 0.0, "typical_mg_l": 0.0}], index="time_h").attrs["units"]
    {'time_h': 'h', 'typical_mg_l': 'mg/L'}
    """
    import pandas as pd

    frame = pd.DataFrame(rows)
    units = {name: unit for name in frame.columns if (unit := unit_of(name))}
    frame = frame if index is None else frame.set_index(index)
    frame.attrs["units"] = units
    return frame


def _fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of a record, which may hold further records."""
    kind: Any = type(record)
    names, own = _names(kind), vars(record)
    return own if len(own) == len(names) else {name: own[name] for name in names}


def to_plain(value: Any) -> Any:
    """Turn records and tuples into dictionaries and lists."""
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _names(type(value))}
    return value


@lru_cache(maxsize=128)
def _names(kind: type) -> tuple[str, ...]:
    """Name the fields of a class of records."""
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no record")
    return tuple(part.name for part in fields(kind))


def scalars(record: object) -> Row:
    """Return the fields of a record that are neither lists nor records.

    Examples
    --------
    >>> scalars(note("rounding", "..."))
    {'severity': 'note', 'code': 'rounding', 'message': '...', 'source': ''}
    """
    kind: Any = type(record)
    return {
        name: value
        for name in _names(kind)
        if not isinstance(value := getattr(record, name), _NESTED)
    }


_NESTED: Final = (list, tuple, dict, Record)


_UNITS: Final = (
    ("_ml_min_1_73m2", "mL/min/1.73 m2"),
    ("_ml_min", "mL/min"),
    ("_mg_h_l", "mg·h/L"),
    ("_mg_m2", "mg/m2"),
    ("_mg_kg", "mg/kg"),
    ("_mg_dl", "mg/dL"),
    ("_mg_l", "mg/L"),
    ("_l_h", "L/h"),
    ("_years", "years"),
    ("_percent", "%"),
    ("_ml", "mL"),
    ("_kg", "kg"),
    ("_cm", "cm"),
    ("_m2", "m2"),
    ("_mg", "mg"),
    ("_h", "h"),
)


def unit_of(column: str) -> str | None:
    """Read the unit from the name of a column.

    Examples
    --------
    >>> unit_of("auc_0_inf_pi90_low"), unit_of("dose_mg_m2"), unit_of("flag")
    ('mg·h/L', 'mg/m2', None)
    """
    if column.startswith("auc_") or column == "auc":
        return "mg·h/L"
    name = column.removesuffix("_per_dose").removesuffix("_low").removesuffix("_high")
    return next((unit for suffix, unit in _UNITS if name.endswith(suffix)), None)


Severity: TypeAlias = Literal["stop", "caution", "note"]
"""A stop means that no dose is proposed; a caution may change what is done; a note explains."""
SEVERITIES: Final[tuple[Severity, ...]] = ("stop", "caution", "note")
"""The worst first."""


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something the reader must know.

    Parameters
    ----------
    severity : {'stop', 'caution', 'note'}
    code : str
        The same for every remark of its kind.
    message : str
        A sentence without its full stop.
    source : str
        Publication or label behind it, if there is one.
    """

    severity: Severity
    code: str
    message: str
    source: str = ""


def stop(code: str, message: str, source: str = "") -> Remark:
    """Make a remark under which no dose is proposed."""
    return Remark(severity="stop", code=code, message=message, source=source)


def caution(code: str, message: str, source: str = "") -> Remark:
    """Make a remark that may change what is done."""
    return Remark(severity="caution", code=code, message=message, source=source)


def note(code: str, message: str, source: str = "") -> Remark:
    """Make a remark that explains."""
    return Remark(severity="note", code=code, message=message, source=source)


def only_stops(remarks: Iterable[Remark]) -> list[Remark]:
    """Return the stops among remarks, in their order."""
    return [remark for remark in remarks if remark.severity == "stop"]


def worst_first(remarks: Iterable[Remark]) -> list[Remark]:
    """Order remarks by severity; within one they stay in their order."""
    return sorted(remarks, key=lambda remark: SEVERITIES.index(remark.severity))


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a result: version, hashes, seed and number of points."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    points: int
