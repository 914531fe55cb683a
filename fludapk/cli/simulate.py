"""Commands of Monte Carlo studies: run a scenario, merge its shards."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fludapk.cli.common import (
    folders_of,
    json_option,
    language_option,
    models_dir_option,
    say_first_compilation,
    show,
)
from fludapk.errors import InputError

if TYPE_CHECKING:
    from fludapk.studies.counts import Counts
    from fludapk.studies.outputs import Parts, PatientsWriter
    from fludapk.studies.simulate import StudyResult
    from fludapk.studies.study import Progress, Study


class _RunByDefault(click.Group):
    """A group in which `simulate SCENARIO` is `simulate run SCENARIO`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunByDefault)
def simulate() -> None:
    """Simulate dosing strategies in a population: SCENARIO.toml -o DIR.

    One TOML file in; tables, figures, a report and a record that replays to the same bytes out. See
    `fludapk simulate run --help` for the options, `fludapk simulate merge --help` for shards.
    """


@simulate.command()
@click.argument("scenario", required=False, metavar="[SCENARIO.toml]")
@click.option("-o", "--output", metavar="DIR", help="Folder of results; without it only a table.")
@click.option(
    "--patients",
    "patients_file",
    metavar="FILE",
    help="Also write every patient: FILE.csv or FILE.parquet.",
)
@click.option(
    "--parameter-uncertainty",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Number of draws of thetas and omegas, instead of the scenario's; 256 are enough.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Number of threads; all processors if absent.",
)
@click.option("--continue", "keep_on", is_flag=True, help="Keep strategies that are finished.")
@click.option(
    "--shard", metavar="K/N", help="Simulate only this part of the patients, for `merge`."
)
@click.option("--dask", metavar="ADDRESS", help="Run the parts on this Dask cluster.")
@click.option("--replay", metavar="RUN.json", help="Repeat a run from its record.")
@language_option
@models_dir_option
@json_option
def run(
    scenario: str | None,
    output: str | None,
    patients_file: str | None,
    parameter_uncertainty: int | None,
    threads: int | None,
    keep_on: bool,
    shard: str | None,
    dask: str | None,
    replay: str | None,
    models_dir: str | None,
    as_json: bool,
) -> None:
    """Run a scenario.

    The same seed gives the same bytes, however many threads, shards or machines. With -o: a table
    (CSV, JSON), figures, report.html and run.json, which --replay repeats.
    """
    from fludapk.studies.outputs import Parts, patients_writer
    from fludapk.studies.simulate import StudyResult

    study = _study(scenario, replay, parameter_uncertainty, folders_of(models_dir))
    if shard is not None and (patients_file or dask):
        raise InputError("--shard cannot be combined with --patients or --dask")
    if keep_on and (output is None or patients_file):
        raise InputError("--continue needs -o DIR, and cannot be combined with --patients")
    _check_folder(output)
    say_first_compilation()
    if shard is not None:
        _write_shard(study, shard, output, threads)
        return
    parts = None if output is None or dask is not None else Parts(Path(output), study)
    with patients_writer(patients_file, study) as writer:
        if dask is not None:
            from fludapk.studies.shards import on_cluster

            result = on_cluster(study, dask)
        else:
            counts = _counts(study, threads, parts, keep_on, writer)
            result = StudyResult(run=study.provenance, counts=counts)
    _leave(result, output, as_json, study)
    if parts is not None:
        parts.clear()  # only now: what was computed outlives a disk that fills at the last figure


@simulate.command()
@click.argument("shards", nargs=-1, required=True, metavar="SHARD.json...")
@click.option("-o", "--output", metavar="DIR", help="Folder of results; without it only a table.")
@language_option
@models_dir_option
@json_option
def merge(
    shards: tuple[str, ...], output: str | None, models_dir: str | None, as_json: bool
) -> None:
    """Merge the shards of a run.

    The result is byte-identical to that of a run without shards.
    """
    from fludapk.studies.scenario import CohortFile
    from fludapk.studies.shards import Shard
    from fludapk.studies.shards import merge as put_together
    from fludapk.studies.simulate import read_scenario

    folders = folders_of(models_dir)
    _check_folder(output)
    result = put_together([Shard.read(path) for path in shards], folders)
    scenario = result.run.scenario
    has_file = isinstance(scenario.population, CohortFile)
    _leave(result, output, as_json, None if has_file else read_scenario(scenario, folders))


def _study(
    scenario: str | None, replay: str | None, uncertainty: int | None, folders: list[Path]
) -> Study:
    """Read the study, from its scenario or from the record of a run."""
    import json

    from fludapk.atomic import read_whole
    from fludapk.studies.records import check_scenario_hash
    from fludapk.studies.simulate import read_scenario

    if (scenario is None) == (replay is None):
        raise InputError("give SCENARIO.toml, or --replay run.json")
    if replay is not None:
        try:
            record = json.loads(read_whole(replay))
            asked = record["scenario"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{replay}: is not the record of a run: {error}") from error
        check_scenario_hash(record, replay)
        study = read_scenario(asked, folders, beside=Path(replay).parent)
        for what in ("version", "model_sha256", "cohort_sha256", "numpy"):
            now = getattr(study.provenance, what)
            if now != record.get(what):
                click.echo(
                    f"fludapk: {what} differs from the recorded run: {record.get(what)} then, "
                    f"{now} now; numbers may differ",
                    err=True,
                )
        return study
    study = read_scenario(scenario or "", folders)
    if uncertainty is not None:
        table = study.scenario.model_dump(mode="json")
        table["variability"]["parameter_uncertainty"] = uncertainty
        return read_scenario(table, folders, beside=Path(scenario or "").parent)
    return study


def _counts(
    study: Study,
    threads: int | None,
    parts: Parts | None,
    keep_on: bool,
    writer: PatientsWriter | None,
) -> list[Counts]:
    """Run every strategy; finished ones stay in the folder until all are."""
    finished: list[Counts] = []
    try:
        for truth in study.truths:
            for strategy in study.strategies:
                kept = parts.load(truth.id, strategy.id) if parts and keep_on else None
                is_own = strategy in study.scenario.strategies
                each = writer.writer(truth.id, strategy.id) if writer and is_own else None
                with _progress(f"{strategy.id}, {truth.id}") as progress:
                    done = kept or study.run(
                        truth, strategy.id, threads=threads, each=each, progress=progress
                    )
                if parts and not kept:
                    parts.save(done)
                finished.append(done)
    except KeyboardInterrupt:
        names = ", ".join(f"{counts.strategy} ({counts.truth})" for counts in finished) or "none"
        hint = f"; go on with --continue -o {parts.folder}" if parts and finished else ""
        click.echo(f"\nfludapk: interrupted; finished: {names}{hint}", err=True)
        raise click.exceptions.Exit(130) from None
    return finished


def _check_folder(output: str | None) -> None:
    """Refuse a folder that cannot be written before anything is computed."""
    if output is not None:
        from fludapk.atomic import check_folder

        check_folder(output)


def _write_shard(study: Study, shard: str, output: str | None, threads: int | None) -> None:
    from fludapk.atomic import write_whole
    from fludapk.studies.shards import Shard

    place = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    if place is None:
        raise InputError(f"--shard {shard}: write for example 3/16")
    part = int(place[1]), int(place[2])
    folder = Path(output or ".")
    _check_folder(str(folder))
    study.shard_blocks(part)  # refuses a number that is none
    counts = []
    for truth in study.truths:
        for strategy in study.strategies:
            with _progress(f"{strategy.id}, {truth.id}") as progress:
                counts.append(
                    study.run(truth, strategy.id, threads=threads, shard=part, progress=progress)
                )
    path = folder / f"shard-{part[0]}-of-{part[1]}.json"
    write_whole(path, Shard(study.provenance, part, counts).to_json())
    click.echo(f"fludapk: wrote {path}", err=True)


def _leave(result: StudyResult, output: str | None, as_json: bool, study: Study | None) -> None:
    """Write the files, and the answer on standard output."""
    if output is not None:
        from fludapk.pages.study import write_results

        written = write_results(result, Path(output), study)
        click.echo(f"fludapk: wrote {len(written)} files to {output}", err=True)
    show(result, as_json=as_json)


@contextmanager
def _progress(name: str) -> Iterator[Progress | None]:
    """Show patients per second and time left, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
    )  # fmt: skip
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None, rate="")

        def tell(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - begun, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} patients/s")

        yield tell
