"""The command for a list of patients."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

import click

from fludapk.cli.common import (
    amount_option,
    folders_of,
    language_option,
    list_options,
    map_option,
    model_option,
    models_dir_option,
    one_line,
    options_of,
    regimen_options,
    say_first_compilation,
    weighted,
    weights_option,
)
from fludapk.errors import ExitStatus, InputError
from fludapk.language import SOURCE, language, marked, tr

if TYPE_CHECKING:
    from fludapk.answers.batch import Chunk, Done, Plan, Results, Tally
    from fludapk.answers.headline import Standing
    from fludapk.patients.columns import Layout
    from fludapk.patients.csv_list import CsvList

_SHOWN: Final = 10
_DEFAULTS_OF_ROWS: Final = (
    "product", "diagnosis", "genotype", "bsa_formula", "egfr_formula", "round_to_mg",
)  # fmt: skip


@click.command()
@click.argument("list_file", metavar="LIST")
@click.option(
    "-o", "--output", metavar="FILE", help="Results, .csv or .xlsx; standard output if absent."
)
@map_option
@list_options
@regimen_options
@model_option
@weights_option
@options_of(*_DEFAULTS_OF_ROWS, **dict.fromkeys(_DEFAULTS_OF_ROWS[:-1], "For rows without one."))
@amount_option
@click.option(
    "--points",
    "log2_points",
    type=click.IntRange(4, 13),
    metavar="LOG2",
    help="2 to this power simulated courses per row: 13 (as check) up to 1000 rows, 9 above.",
)
@click.option("--report", metavar="FILE", help="Write the list as HTML, the lowest AUC first.")
@language_option
@click.option(
    "--share-vials",
    is_flag=True,
    help="Also tell how the patients of the list share vials on one day.",
)
@models_dir_option
@click.option("--json", "as_json", is_flag=True, help="Write a JSON line per row instead of CSV.")
def batch(
    list_file: str,
    output: str | None,
    names: tuple[str, ...],
    values: tuple[str, ...],
    encoding: str | None,
    sheet: str | None,
    amt: str | None,
    log2_points: int | None,
    report: str | None,
    share_vials: bool,
    models_dir: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Check a list of patients, CSV or .xlsx: one row in, one row out, in order.

    Columns: age_years (or age_months), weight_kg, height_cm, sex, scr_mg_dl or scr_umol_l (or egfr,
    crcl), regimen or dose, days; AGE, WT, HT, SEXF, EGFR, CRCL of common exports, and headers such
    as "Creatinine (µmol/L)", Gewicht, poids or peso. Every column is kept, results are appended. A
    row that cannot be computed says why in `error`; then the exit code is 3. NONMEM-style records
    (ID TIME AMT RATE or DUR, EVID) give one row per ID. A terminal without -o shows a table.
    """
    from fludapk.answers.batch import KEEP, SMALL, Plan, chunks, log2_points_of, run
    from fludapk.answers.headline import STANDINGS
    from fludapk.pages.decimals import marked_text
    from fludapk.patients.columns import opened
    from fludapk.patients.nonmem import not_used, survey

    as_sheet = output is not None and output.lower().endswith(".xlsx")
    if as_sheet and as_json:
        raise InputError("a workbook holds no JSON: leave out --json, or write to another file")
    _check_report(report, list_file, output)
    options["model"] = weighted(options["model"])
    given = {name: None if value is None else str(value) for name, value in options.items()}
    source, layout = opened(list_file, names, given, codes=values, encoding=encoding, sheet=sheet)
    sha256 = source.sha256()  # before anything is written: the list may be where results go
    rows, again = survey(layout, source.rows())
    if log2_points is None:
        log2_points = log2_points_of(rows)
    as_table = output is None and not as_json and sys.stdout.isatty()
    plan = Plan(
        layout=layout,
        delimiter=source.delimiter,
        log2_points=log2_points,
        amount=amt,
        again=again,
        folders=folders_of(models_dir),
        as_json=as_json,
        as_values=as_sheet,
        language=language() if as_table else SOURCE,
        keep=_SHOWN if report is None else KEEP,
        standings=_URGENT if report is None else STANDINGS,
        in_short=as_table or share_vials,
    )
    say_first_compilation()
    tally = plan.tally()
    doses_of_the_day: list[tuple[str, float]] = []
    processes = 1 if rows <= SMALL else _cores()
    writing = _table() if as_table else _written(output, plan, source.written_encoding)
    parts = chunks(layout, source.rows(), first_row=source.first_row)
    with (
        _stopped_by_signals() as stop_if_told,
        writing as write,
        closing(run(plan, parts, processes)) as done,
    ):
        for results in _with_progress(done, rows):
            stop_if_told()
            write(results)
            tally.join(results.tally)
            doses_of_the_day += _doses_of_the_day(results.rows) if share_vials else []
    if not as_table and language() != SOURCE:
        tally = _worded_again(
            tally, plan, chunks(layout, source.rows(), first_row=source.first_row)
        )
    summary = _summary(list_file, source, layout, tally, plan.log2_points, is_short=as_table)
    click.echo(marked_text(summary), err=True)
    if layout.is_events and (n := not_used(layout, source.rows())):
        click.echo("  " + tr("records marked in the file as not to be used: {n}", n=n), err=True)
    if share_vials:
        from fludapk.pages.batch import vials_lines

        lines = vials_lines(doses_of_the_day, tally.rows - len(doses_of_the_day))
        click.echo(marked_text("\n".join(lines)), err=True)
    if report is not None:
        from fludapk.atomic import write_whole
        from fludapk.pages.batch import batch_html

        write_whole(report, batch_html(tally, sha256, plan.log2_points))
    if tally.counts["refused"]:
        raise click.exceptions.Exit(int(ExitStatus.INPUT_REFUSED))


def _worded_again(tally: Tally, plan: Plan, parts: Iterable[Chunk]) -> Tally:
    """Compute the rows that a report shows once more, in the language that is spoken."""
    from fludapk.answers.batch import compute

    shown = {done.row for done in (*tally.worst, *tally.refused)}
    again, spoken = plan.tally(), replace(plan, language=language())
    for part in parts:
        again.join(compute(spoken, [course for course in part if course[0] in shown]).tally)
    again.rows, again.counts = tally.rows, tally.counts
    again.models, again.asked = tally.models, tally.asked
    return again


def _doses_of_the_day(rows: Iterable[Done]) -> list[tuple[str, float]]:
    """Name and dose, mg, of each row that may be given one."""
    return [
        (done.id or f"row {done.row}", done.shown.dose_mg)
        for done in rows
        if done.shown and not done.shown.headline.stops
    ]


def _check_report(report: str | None, *others: str | None) -> None:
    """Refuse a report in the place of the list or of its results."""
    if report is None:
        return
    taken = {os.path.realpath(other) for other in others if other is not None}
    if os.path.realpath(report) in taken:
        raise InputError(f"--report {report}: is the list or its results: name another file")


_Write: TypeAlias = "Callable[[Results], None]"
"""Takes the next rows of the results."""


@contextmanager
def _written(output: str | None, plan: Plan, encoding: str) -> Iterator[_Write]:
    """Write rows as text, or into a workbook."""
    with _destination(output) as file:
        if not plan.as_values:
            if not plan.as_json:
                file.write(plan.header().encode(encoding, "surrogateescape"))
            yield lambda results: _write_text(file, results.text)
            return
        from fludapk.patients.xlsx_results import Workbook

        book = Workbook(plan.names(), kept=plan.kept, columns_read=plan.layout.read_as)

        def add(results: Results) -> None:
            for values in results.values:
                book.add(values)

        yield add
        file.write(book.content())


def _write_text(file: BinaryIO, text: str) -> None:
    file.write(text.encode("utf-8", "surrogateescape"))


@contextmanager
def _table() -> Iterator[_Write]:
    """Show rows as a table for people, once all are there."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from fludapk.pages.decimals import marked_text
    from fludapk.pages.words import age_text, row_cells

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        side: Literal["right", "left"] = "right" if name in _TO_THE_RIGHT else "left"
        table.add_column(tr(name), justify=side, overflow="fold", no_wrap=name in _WHOLE)
    hidden = 0

    def add(done: Done) -> None:
        nonlocal hidden
        if table.row_count >= _MOST_SHOWN:
            hidden += 1
            return
        name = one_line(done.id)
        if done.shown is None:
            answer = Text(one_line(tr("refused: {why}", why=done.error)), "red")
            table.add_row(f"{done.row}", Text(name), "", "", "", answer)
            return
        chance, auc, interval, doses = row_cells(done.shown)
        style = "bold red" if done.shown.headline.standing == "stop" else ""
        table.add_row(
            f"{done.row}", Text(name), age_text(done.shown.age_years), marked_text(doses),
            marked_text(f"{auc} ({interval})"), Text(marked_text(chance), style),
        )  # fmt: skip

    def add_all(results: Results) -> None:
        for done in results.rows:
            add(done)

    yield add_all
    width = min(Console().width, _WIDEST)
    Console(width=width, highlight=False).print(table)
    if hidden:
        click.echo(tr("... and {n} more rows: -o FILE writes all", n=hidden))


_COLUMNS: Final = (
    marked("row"), "ID", marked("age"), marked("dose"), "AUC (90 %)", marked("answer"),
)  # fmt: skip
_TO_THE_RIGHT: Final = ("row", "age", "dose")
_WHOLE: Final = ("row", "age", "dose", "AUC (90 %)")
_WIDEST: Final = 100
_MOST_SHOWN: Final = 1000


def _cores() -> int:
    """Number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_STOPPING: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], None]]:
    """Being told to stop leaves no file behind; yields what stops if that was told.

    Python loses an exception that is raised while it collects garbage, so raising is not enough.
    """
    told: list[int] = []

    def stop_if_told() -> None:
        if told:
            raise KeyboardInterrupt if told[0] == signal.SIGINT else SystemExit(128 + told[0])

    def stop(number: int, _frame: object) -> None:
        told.append(number)
        stop_if_told()

    before: dict[signal.Signals, Any] = {}
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield stop_if_told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _destination(output: str | None) -> Iterator[BinaryIO]:
    from fludapk.atomic import whole_file

    if output is not None:
        with whole_file(output) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has seen enough
            raise
        sys.stdout = None  # or leaving would try again to write
        raise InputError(f"standard output: cannot be written: {error.strerror}") from error


def _with_progress(done: Iterable[Results], rows: int) -> Iterator[Results]:
    """Rows per second and time left, on a terminal."""
    from fludapk.answers.batch import SMALL

    if not sys.stderr.isatty() or rows <= SMALL:
        yield from done
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(BarColumn(), MofNCompleteColumn(), "rows", TimeRemainingColumn(),
                   console=Console(stderr=True), transient=True)  # fmt: skip
    done = iter(done)
    first = list(islice(done, 1))  # processes begin before the threads of the bar do
    with bar:
        task = bar.add_task("", total=rows)
        for results in chain(first, done):
            bar.advance(task, results.tally.rows)
            yield results


def _summary(
    name: str,
    source: CsvList,
    layout: Layout,
    tally: Tally,
    log2_points: int,
    *,
    is_short: bool,
) -> str:
    """Counts and columns, then the rows to look at first unless they are on the screen."""
    from fludapk.answers.batch import doubts
    from fludapk.pages.words import counts_line
    from fludapk.patients.columns import few

    lines = [
        tr(
            "{name}: {n} rows: {counts}; AUC0-inf in mg·h/L, {courses} simulated courses per "
            "patient",
            name=name,
            n=tally.rows,
            counts=counts_line(tally.counts) or tr("none below the header"),
            courses=2**log2_points,
        )
    ]
    if source.titles:
        lines.append(
            "  " + tr("lines above the header, left out: {lines}", lines=few(source.titles))
        )
    if layout.is_translated:
        read_as = (f"{what} = {column}" for what, column in layout.read_as.items())
        lines.append("  " + tr("columns read: {columns}", columns="; ".join(read_as)))
    if layout.unused:
        lines.append("  " + tr("columns kept but not read: {columns}", columns=few(layout.unused)))
    lines += [f"  {sentence}" for sentence in doubts(tally)]
    if not is_short:
        lines += _urgent_lines(tally)
    return "\n".join(map(one_line, lines))


def _urgent_lines(tally: Tally) -> Iterator[str]:
    """Rows to look at first, and some of those that were refused."""
    from fludapk.pages.words import row_line

    urgent = [row for row in tally.worst if row.shown and row.shown.headline.standing in _URGENT]
    for row in urgent[:_SHOWN]:
        if row.shown:
            yield "  " + tr("row {row}: {words}", row=_called(row), words=row_line(row.shown))
    more = sum(tally.counts[standing] for standing in _URGENT) - _SHOWN
    if more > 0:
        yield "  " + tr("... and {n} more: see stop and headline", n=more)
    for row in tally.refused[:_SHOWN]:
        yield "  " + tr("row {row}: REFUSED: {why}", row=_called(row), why=row.error)
    if tally.counts["refused"] > _SHOWN:
        n = tally.counts["refused"] - _SHOWN
        yield "  " + tr("... and {n} more refused: see error", n=n)


_URGENT: Final[tuple[Standing, ...]] = ("stop", "below", "above")


def _called(row: Done) -> str:
    return f"{row.row} ({row.id})" if row.id else f"{row.row}"
