"""The command for a list of patients."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from fludapk.cli.common import (
    amount_option,
    folders_of,
    map_option,
    model_option,
    models_dir_option,
    one_line,
    options_of,
    regimen_options,
    say_first_compilation,
)
from fludapk.errors import ExitStatus, InputError

if TYPE_CHECKING:
    from fludapk.answers.batch import Done, Tally
    from fludapk.patients.columns import Layout

_SHOWN: Final = 10
_DEFAULTS_OF_ROWS: Final = (
    "product", "diagnosis", "genotype", "bsa_formula", "egfr_formula", "round_to_mg",
)  # fmt: skip


@click.command()
@click.argument("list_file", metavar="LIST.csv")
@click.option("-o", "--output", metavar="FILE", help="Results; standard output if absent.")
@map_option
@regimen_options
@model_option
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
@models_dir_option
@click.option("--json", "as_json", is_flag=True, help="Write a JSON line per row instead of CSV.")
def batch(
    list_file: str,
    output: str | None,
    names: tuple[str, ...],
    amt: str | None,
    log2_points: int | None,
    report: str | None,
    models_dir: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Check a list of patients: one row in, one row out, in order.

    Columns: age_years (or age_months), weight_kg, height_cm, sex, scr_mg_dl or scr_umol_l (or egfr,
    crcl), regimen or dose, days; AGE, WT, HT, SEXF, EGFR, CRCL of common exports are known. Every
    column is kept, results are appended. A row that cannot be computed says why in `error`; then
    the exit code is 3. NONMEM-style records (ID TIME AMT RATE EVID MDV) give one row per ID.
    """
    from fludapk.answers.batch import SMALL, Plan, Tally, chunks, log2_points_of, run
    from fludapk.patients.columns import opened
    from fludapk.patients.nonmem import survey

    given = {name: None if value is None else str(value) for name, value in options.items()}
    source, layout = opened(list_file, names, given)
    rows, again = survey(layout, source.rows())
    if log2_points is None:
        log2_points = log2_points_of(rows)
    plan = Plan(
        layout=layout,
        delimiter=source.delimiter,
        log2_points=log2_points,
        amount=amt,
        again=again,
        folders=folders_of(models_dir),
        as_json=as_json,
    )
    say_first_compilation()
    tally = Tally()
    processes = 1 if rows <= SMALL else _cores()
    with (
        _stopped_by_signals() as told_to_stop,
        _destination(output) as file,
        closing(run(plan, chunks(layout, source.rows()), processes)) as done,
    ):
        if not as_json:
            file.write(plan.header().encode(source.encoding, "surrogateescape"))
        for one in _with_progress(done, rows):
            if told_to_stop():
                raise KeyboardInterrupt
            file.write(one.text.encode("utf-8", "surrogateescape"))
            tally.add(one)
    click.echo(_summary(list_file, layout, tally, plan.log2_points), err=True)
    if report is not None:
        from fludapk.atomic import write_whole
        from fludapk.pages.batch import batch_html

        sha256 = source.sha256()
        write_whole(report, batch_html(tally, sha256, plan.log2_points))
    if tally.counts["refused"]:
        raise click.exceptions.Exit(int(ExitStatus.INPUT_REFUSED))


def _cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Being told to stop leaves no file behind; yields whether that has happened.

    Python loses an exception that is raised while it collects garbage, so raising is not enough.
    """
    told: list[int] = []

    def stop(number: int, _frame: object) -> None:
        told.append(number)
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {}
    for one in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(one) is not signal.SIG_IGN:
            before[one] = signal.signal(one, stop)
    try:
        yield lambda: bool(told)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


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


def _with_progress(done: Iterable[Done], rows: int) -> Iterator[Done]:
    """Rows per second and time left, on a terminal."""
    from fludapk.answers.batch import SMALL

    if not sys.stderr.isatty() or rows <= SMALL:
        yield from done
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(BarColumn(), MofNCompleteColumn(), "rows", TimeRemainingColumn(),
                   console=Console(stderr=True), transient=True)  # fmt: skip
    with bar:
        task = bar.add_task("", total=rows)
        for one in done:
            bar.advance(task)
            yield one


def _summary(name: str, layout: Layout, tally: Tally, log2_points: int) -> str:
    """Counts, then the rows to look at first."""
    from fludapk.pages.words import counts_line, row_line
    from fludapk.patients.columns import few

    urgent = [one for one in tally.worst if one.shown and one.shown.headline.standing in _URGENT]
    lines = [
        f"{name}: {tally.rows} rows: {counts_line(tally.counts)}; AUC0-inf in mg·h/L, "
        f"{2**log2_points} simulated courses per patient"
    ]
    if layout.unused:
        lines.append(f"  columns kept but not read: {few(layout.unused)}")
    lines += [
        f"  row {one.row}{_called(one)}: {row_line(one.shown)}"
        for one in urgent[:_SHOWN]
        if one.shown
    ]
    more = sum(tally.counts[standing] for standing in _URGENT) - _SHOWN
    if more > 0:
        lines.append(f"  ... and {more} more: see stop and headline")
    lines += [
        f"  row {one.row}{_called(one)}: REFUSED: {one.error}" for one in tally.refused[:_SHOWN]
    ]
    if tally.counts["refused"] > _SHOWN:
        lines.append(f"  ... and {tally.counts['refused'] - _SHOWN} more refused: see error")
    return "\n".join(map(one_line, lines))


_URGENT: Final = ("stop", "below", "above")


def _called(one: Done) -> str:
    return f" ({one.id})" if one.id else ""
