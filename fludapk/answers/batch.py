"""Lists of patients: a row of text in, a row of results out, in the same place.

What the columns of a list mean is decided once, by `Layout`; a row is then read by the same code
as one typed patient. A row that cannot be computed says why and never stops the others.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, TypeAlias

from fludapk.answers.averaging import AnyAnswer
from fludapk.answers.batch_rows import clear_names, distinct_names
from fludapk.answers.check import answers
from fludapk.answers.check_records import result_columns
from fludapk.answers.headline import Headline
from fludapk.answers.prediction import LOG2_POINTS
from fludapk.answers.processes import in_processes
from fludapk.answers.record import Row
from fludapk.errors import FludapkError, InputError
from fludapk.language import SOURCE, speaking, tr
from fludapk.patients.columns import Layout
from fludapk.patients.csv_columns import lines
from fludapk.patients.csv_list import Value, line
from fludapk.patients.list_rows import request_of
from fludapk.patients.nonmem import by_course, comes_again, request_of_records
from fludapk.patients.request import Request
from fludapk.published.models import load_models

COLUMNS_READ: Final = "columns_read"
"""Result that tells from which column, and in which unit, each field was read."""
SMALL: Final = 1000
"""Up to so many rows each has as many points as a check, and one process does."""
_FEW_LOG2_POINTS: Final = 9


def log2_points_of(rows: int) -> int:
    """Choose the number of points of a row, as a power of 2, where nobody says.

    Examples
    --------
    >>> log2_points_of(10), log2_points_of(100_000)
    (13, 9)
    """
    return LOG2_POINTS if rows <= SMALL else _FEW_LOG2_POINTS


# ------------------------------------------------------------------ whole lists


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Choices by which a list is computed and written."""

    layout: Layout
    delimiter: str = ","
    log2_points: int = LOG2_POINTS
    amount: str | None = None
    """Substance that AMT of records is mg of."""
    again: frozenset[str] = frozenset()
    """IDs of records that come again after another ID."""
    folders: Sequence[Path] | None = None
    as_json: bool = False
    as_values: bool = False
    """True if rows are wanted as values, for a workbook, and not as text."""
    language: str = SOURCE
    """Language of the rows; of what goes into a file that of all data."""

    def header(self) -> str:
        """First line of the results."""
        return line(self.names(), self.delimiter)

    def names(self) -> list[str]:
        """Names of the columns of the results; those of the list first."""
        return [*self._kept.values(), *self._results.values()]

    @property
    def kept(self) -> int:
        """Number of columns that come from the list."""
        return len(self._kept)

    def values(self, cells: Sequence[str], answer: AnyAnswer | str) -> list[Value]:
        """A row of the results, of an answer or the reason why there is none."""
        if len(cells) < len(self.layout.header):
            cells = [*cells, *[""] * (len(self.layout.header) - len(cells))]
        if isinstance(answer, str):
            results = [answer, *[None] * (len(self._results) - 2)]
        else:
            results = answer.values()
        return [*[cells[place] for place in self._kept], *results, self._read_as]

    def texts(self, rows: Sequence[int], values: Sequence[Sequence[Value]]) -> list[str]:
        """Lines of the results, of the values of some rows."""
        if self.as_values:
            return [""] * len(rows)
        if not self.as_json:
            return lines(
                list(zip(*values, strict=True)),
                self.delimiter,
                decimal_comma=self.layout.decimal_comma,
            )
        return [self._json(row, own) for row, own in zip(rows, values, strict=True)]

    def _json(self, row: int, values: Sequence[Value]) -> str:
        as_read = dict(zip(self._kept_names, values, strict=False))
        results: Row = dict(zip(self._results.values(), values[len(self._kept) :], strict=True))
        results[self._results[COLUMNS_READ]] = self.layout.read_as
        return json.dumps({"row": row, "input": as_read, **results}, allow_nan=False) + "\n"

    @cached_property
    def _read_as(self) -> str:
        """Column and unit of each field, in one cell."""
        return "; ".join(f"{what} = {column}" for what, column in self.layout.read_as.items())

    @cached_property
    def _kept(self) -> dict[int, str]:
        """Columns of the list that are kept, by place."""
        layout = self.layout
        return {
            place: name for place, name in enumerate(layout.header) if place not in layout.recorded
        }

    @cached_property
    def _kept_names(self) -> list[str]:
        return distinct_names(list(self._kept.values()))

    @cached_property
    def _results(self) -> dict[str, str]:
        """Names of the results, and what their columns are called beside those of the list."""
        models = [model.id for model in load_models(self.folders)]
        names = [*result_columns(models), COLUMNS_READ]
        taken = ["row", "input"] if self.as_json else list(self._kept.values())
        return dict(zip(names, clear_names(names, taken), strict=True))


@dataclass(frozen=True, slots=True)
class Shown:
    """A computed row in short."""

    headline: Headline
    doses: int
    dose_mg: float
    model: str
    model_sha256: str
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A row of the results, as text and in short."""

    row: int
    """Number of the row as a spreadsheet counts: the header is row 1."""
    text: str
    id: str
    error: str | None
    """Reason of a refusal."""
    shown: Shown | None
    """None if it was refused."""
    values: list[Value] | None = None
    """The row as values, if the plan wants those instead of text."""
    asked: tuple[str, ...] = ()
    """Columns whose value looks like a slip that somebody may confirm."""


Chunk: TypeAlias = list[tuple[int, list[Sequence[str]]]]
"""Row number and rows of each course."""


def answered(
    layout: Layout,
    chunk: Chunk,
    *,
    log2_points: int = LOG2_POINTS,
    amount: str | None = None,
    again: frozenset[str] = frozenset(),
    folders: Sequence[Path] | None = None,
) -> Iterator[AnyAnswer | FludapkError]:
    """Read and check some courses; parameters as those of `Plan`."""
    requests: list[Request | FludapkError] = []
    for _, rows in chunk:
        try:
            if not layout.is_events:
                requests.append(request_of(layout, rows[0]))
            elif layout.id_of(rows[0]) in again:
                raise comes_again(layout.id_of(rows[0]))
            else:
                requests.append(request_of_records(layout, rows, amount, folders))
        except InputError as error:
            requests.append(error)
    readable = [request for request in requests if isinstance(request, Request)]
    checked = answers(readable, log2_points=log2_points, folders=folders)
    for request in requests:
        yield next(checked) if isinstance(request, Request) else request


def compute(plan: Plan, chunk: Chunk) -> list[Done]:
    """Compute some courses."""
    with speaking(plan.language):
        outcomes = list(
            answered(
                plan.layout,
                chunk,
                log2_points=plan.log2_points,
                amount=plan.amount,
                again=plan.again,
                folders=plan.folders,
            )
        )
        told = [_told(plan, outcome) for outcome in outcomes]
        values = [
            plan.values(rows[0], answer) for (_, rows), (answer, _) in zip(chunk, told, strict=True)
        ]
        texts = plan.texts([row for row, _ in chunk], values)
        return [
            _done(plan, row, plan.layout.id_of(rows[0]), *told_here, text, own)
            for (row, rows), told_here, text, own in zip(chunk, told, texts, values, strict=True)
        ]


def _told(plan: Plan, outcome: AnyAnswer | FludapkError) -> tuple[AnyAnswer | str, tuple[str, ...]]:
    """Return an answer, or why there is none, and the columns that somebody may confirm."""
    if not isinstance(outcome, FludapkError):
        return outcome, ()
    asked = tuple(plan.layout.name(x.field) for x in outcome.faults if x.confirm)
    return "; ".join(outcome.sentences(plan.layout.name)), asked


def _done(
    plan: Plan,
    row: int,
    name: str,
    answer: AnyAnswer | str,
    asked: tuple[str, ...],
    text: str,
    values: list[Value],
) -> Done:
    """Put a row of the results together."""
    kept = values if plan.as_values else None
    if isinstance(answer, str):
        return Done(row, text, name, answer, None, kept, asked)
    shown = Shown(
        headline=answer.headline,
        doses=len(answer.course.doses_mg),
        dose_mg=answer.course.doses_mg[0],
        model=answer.model_id,
        model_sha256=answer.model_sha256,
        age_years=answer.patient.age_years,
    )
    return Done(row, text, name, None, shown, kept, asked)


def chunks(
    layout: Layout, rows: Iterable[Sequence[str]], size: int = 500, first_row: int = 2
) -> Iterator[Chunk]:
    """Courses of a list, some at a time; rows are numbered from the first below the header.

    The first are few: other processes begin after them.
    """
    numbered: Iterator[tuple[int, list[Sequence[str]]]]
    if layout.is_events:
        numbered = ((row, together) for row, _, together in by_course(layout, rows, first_row))
    else:
        numbered = ((row, [cells]) for row, cells in enumerate(rows, start=first_row))
    sizes = itertools.chain([min(size, _FIRST)], itertools.repeat(size))
    while chunk := list(itertools.islice(numbered, next(sizes))):
        yield chunk


_FIRST: Final = 50


def run(plan: Plan, parts: Iterable[Chunk], processes: int = 1) -> Generator[Done, None, None]:
    """Compute a list in order; with more processes, some chunks at a time.

    The results do not depend on `processes`.
    """
    for done in in_processes(partial(compute, plan), parts, processes):
        yield from done


class Tally:
    """Outcome of a list: counts, and the rows to look at first."""

    def __init__(self, keep: int = 500) -> None:
        self.rows = 0
        self.counts: Counter[str] = Counter()
        """Rows by standing, see `fludapk.answers.headline.Headline`, and refused rows."""
        self.models: dict[str, str] = {}
        """Hashes of the models that were used."""
        self.asked: Counter[str] = Counter()
        """Rows in which a column looks like a slip, by its name."""
        self.refused: list[Done] = []
        self._keep = keep
        self._worst: list[tuple[tuple[float, ...], int, Done]] = []

    def add(self, done: Done) -> None:
        """Count a row."""
        self.rows += 1
        if done.shown is None:
            self.counts["refused"] += 1
            self.asked.update(done.asked)
            if len(self.refused) < self._keep:
                self.refused.append(done)
            return
        self.counts[done.shown.headline.standing] += 1
        self.models[done.shown.model] = done.shown.model_sha256
        item = (_urgency(done.shown), -done.row, done)
        push = heapq.heappush if len(self._worst) < self._keep else heapq.heappushpop
        push(self._worst, item)

    @property
    def worst(self) -> list[Done]:
        """Rows to look at first: stopped ones, then those likeliest to miss their target."""
        return [done for *_, done in sorted(self._worst, key=lambda item: item[:2], reverse=True)]


def doubts(tally: Tally) -> list[str]:
    """Sentences about columns in which many values look like slips.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add(Done(2, "", "", "WT = 170 kg is unusual", None, asked=("WT",)))
    >>> tally.add(Done(3, "", "", "WT = 190 kg is unusual", None, asked=("WT",)))
    >>> print(*doubts(tally))
    WT looks like a slip in 2 of 2 rows: if the column is in another unit, rows that were computed \
are wrong as well
    """
    least = max(_FEWEST_DOUBTS, tally.rows / 10)
    return [
        tr(
            "{column} looks like a slip in {n} of {rows} rows: if the column is in another unit, "
            "rows that were computed are wrong as well",
            column=column,
            n=n,
            rows=tally.rows,
        )
        for column, n in tally.asked.items()
        if n >= least
    ]


_FEWEST_DOUBTS: Final = 2
"""So many rows, and a tenth of a list, make one doubt its column."""


def _urgency(shown: Shown) -> tuple[float, ...]:
    """Stopped rows first, then by the chance of missing the target, then by a low AUC."""
    p_miss = shown.headline.p_miss
    stopped = bool(shown.headline.stops)
    return float(stopped), -1.0 if p_miss is None else p_miss, -shown.headline.auc_0_inf
