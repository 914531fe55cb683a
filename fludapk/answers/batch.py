"""Lists of patients: a row of text in, a row of results out, in the same place.

What the columns of a list mean is decided once, by `Layout`; a row is then read by the same code
as one typed patient. A row that cannot be computed says why and never stops the others.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from fludapk.answers.averaging import AnyAnswer, AveragedAnswer
from fludapk.answers.batch_rows import clear_names, distinct_names
from fludapk.answers.check import answers
from fludapk.answers.check_answer import Answer
from fludapk.answers.check_records import result_columns
from fludapk.answers.headline import STANDINGS, Headline, Standing
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
from fludapk.patients.request import Courses, Request
from fludapk.published.models import load_models

COLUMNS_READ: Final = "columns_read"
"""Result that tells from which column, and in which unit, each field was read."""
KEEP: Final = 500
"""Rows to look at first, and refused ones, that a report shows."""
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
    keep: int = KEEP
    standings: Collection[Standing] = STANDINGS
    """Rows that are told of, see `Tally`."""
    in_short: bool = False
    """True if every row is wanted in short as well."""

    def header(self) -> str:
        """First line of the results."""
        return line(self.names(), self.delimiter)

    def names(self) -> list[str]:
        """Names of the columns of the results; those of the list first."""
        return [*self._kept.values(), *self._results.values()]

    def tally(self) -> Tally:
        """Return the tally of no row yet."""
        return Tally(self.keep, self.standings)

    @property
    def kept(self) -> int:
        """Number of columns that come from the list."""
        return len(self._kept)

    def table(
        self, cells: Sequence[Sequence[str]], results: Sequence[Sequence[Value]]
    ) -> list[Sequence[Value]]:
        """Columns of the results of some rows: those of the list, the results, and their origin."""
        n = len(self.layout.header)
        whole = [own if len(own) >= n else [*own, *[""] * (n - len(own))] for own in cells]
        kept = ([own[place] for own in whole] for place in self._kept)
        return [*kept, *results, [self._read_as] * len(cells)]

    def refusals(self, reasons: Sequence[str]) -> list[Sequence[Value]]:
        """Columns of results of rows without any, but for the reason."""
        nothing = [None] * len(reasons)
        return [reasons, *[nothing] * (len(self._results) - 2)]

    def lines(self, rows: Sequence[int], table: Sequence[Sequence[Value]]) -> list[str]:
        """Lines of the results of some rows, of their numbers and columns."""
        if not self.as_json:
            return lines(table, self.delimiter, decimal_comma=self.layout.decimal_comma)
        return [self._json(row, own) for row, *own in zip(rows, *table, strict=True)]

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


class Shown(NamedTuple):
    """A computed row in short."""

    headline: Headline
    doses: int
    dose_mg: float
    model: str
    model_sha256: str
    age_years: float | None = None


class Done(NamedTuple):
    """A row of the results in short."""

    row: int
    """Number of the row as a spreadsheet counts: the header is row 1."""
    id: str
    error: str | None
    """Reason of a refusal."""
    shown: Shown | None
    """None if it was refused."""
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
    courses: Courses = {}
    for _, rows in chunk:
        try:
            if not layout.is_events:
                requests.append(request_of(layout, rows[0], courses))
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


@dataclass(frozen=True, slots=True)
class Results:
    """Results of some rows."""

    text: str
    """Their lines; empty if the plan wants values."""
    values: list[tuple[Value, ...]]
    """Each row as values, if the plan wants those."""
    tally: Tally
    rows: list[Done]
    """Each row in short, if the plan wants that."""


def compute(plan: Plan, chunk: Chunk) -> Results:
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
        done = [
            _done(plan.layout, row, rows[0], outcome)
            for (row, rows), outcome in zip(chunk, outcomes, strict=True)
        ]
        tally = plan.tally()
        for each in done:
            tally.add(each)
        lines: dict[int, str] = {}
        values: dict[int, tuple[Value, ...]] = {}
        for places, results in _columns(plan, outcomes, done):
            cells = [chunk[place][1][0] for place in places]
            table = plan.table(cells, results)
            if plan.as_values:
                values.update(zip(places, zip(*table, strict=True), strict=True))
            else:
                written = plan.lines([chunk[place][0] for place in places], table)
                lines.update(zip(places, written, strict=True))
        return Results(
            text="".join([lines[place] for place in sorted(lines)]),
            values=[values[place] for place in sorted(values)],
            tally=tally,
            rows=done if plan.in_short else [],
        )


def _columns(
    plan: Plan, outcomes: Sequence[AnyAnswer | FludapkError], done: Sequence[Done]
) -> Iterator[tuple[list[int], list[Sequence[Value]]]]:
    """Yield places of rows with the columns of their results: by kind of answer, and refused."""
    places = range(len(outcomes))
    answers = {k: answer for k in places if isinstance(answer := outcomes[k], Answer)}
    if answers:
        yield list(answers), Answer.columns(list(answers.values()))
    averages = {k: answer for k in places if isinstance(answer := outcomes[k], AveragedAnswer)}
    if averages:
        yield list(averages), AveragedAnswer.columns(list(averages.values()))
    refused = {k: why for k in places if (why := done[k].error) is not None}
    if refused:
        yield list(refused), plan.refusals(list(refused.values()))


def _done(
    layout: Layout, row: int, cells: Sequence[str], outcome: AnyAnswer | FludapkError
) -> Done:
    """Put a row of the results together in short."""
    name = layout.id_of(cells)
    if isinstance(outcome, FludapkError):
        asked = tuple(layout.name(fault.field) for fault in outcome.faults if fault.confirm)
        return Done(row, name, "; ".join(outcome.sentences(layout.name)), None, asked)
    shown = Shown(
        headline=outcome.headline,
        doses=len(outcome.course.doses_mg),
        dose_mg=outcome.course.doses_mg[0],
        model=outcome.model_id,
        model_sha256=outcome.model_sha256,
        age_years=outcome.patient.age_years,
    )
    return Done(row, name, None, shown)


def chunks(
    layout: Layout, rows: Iterable[Sequence[str]], size: int = 1000, first_row: int = 2
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


def run(plan: Plan, parts: Iterable[Chunk], processes: int = 1) -> Generator[Results, None, None]:
    """Compute a list in order; with more processes, some chunks at a time.

    The results do not depend on `processes`.
    """
    yield from in_processes(partial(compute, plan), parts, processes)


class Tally:
    """Outcome of a list: counts, and the rows to look at first.

    Parameters
    ----------
    keep : int
        So many of these, and of refused rows.
    standings : collection of {'stop', 'below', 'above', 'within', 'no_target'}
        Rows of another are only counted.
    """

    def __init__(self, keep: int = KEEP, standings: Collection[Standing] = STANDINGS) -> None:
        self.rows = 0
        self.counts: Counter[str] = Counter()
        """Rows by standing, see `fludapk.answers.headline.Headline`, and refused rows."""
        self.models: dict[str, str] = {}
        """Hashes of the models that were used."""
        self.asked: Counter[str] = Counter()
        """Rows in which a column looks like a slip, by its name."""
        self.refused: list[Done] = []
        self._keep, self._standings = keep, standings
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
        standing = done.shown.headline.standing
        self.counts[standing] += 1
        self.models[done.shown.model] = done.shown.model_sha256
        if standing not in self._standings:
            return
        item = (_urgency(done.shown), -done.row, done)
        push = heapq.heappush if len(self._worst) < self._keep else heapq.heappushpop
        push(self._worst, item)

    def join(self, following: Tally) -> None:
        """Count the rows of another that come after these."""
        self.rows += following.rows
        self.counts += following.counts
        self.models |= following.models
        self.asked += following.asked
        self.refused = (self.refused + following.refused)[: self._keep]
        self._worst = heapq.nlargest(self._keep, [*self._worst, *following._worst])
        heapq.heapify(self._worst)

    @property
    def worst(self) -> list[Done]:
        """Rows to look at first: stopped ones, then those likeliest to miss their target."""
        return [done for *_, done in sorted(self._worst, key=lambda item: item[:2], reverse=True)]


def doubts(tally: Tally) -> list[str]:
    """Sentences about columns in which many values look like slips.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add(Done(2, "", "WT = 170 kg is unusual", None, asked=("WT",)))
    >>> tally.add(Done(3, "", "WT = 190 kg is unusual", None, asked=("WT",)))
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
