"""Lists of patients as uploads: rows in, rows out, nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

from fastapi import UploadFile
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from fludapk.answers.batch import Chunk, Done, Plan, Tally, chunks, compute, log2_points_of
from fludapk.errors import FludapkError, InputError
from fludapk.patients.columns import opened
from fludapk.patients.nonmem import survey
from fludapk.web.asked import Course, Folders, Text

_AT_ONCE: Final = 25
"""Rows computed before another request has its turn."""
_OF_ALL_ROWS: Final = (
    "regimen", "dose", "days", "interval", "infusion_time", "cells_at", "model", "product",
    "diagnosis", "genotype", "bsa_formula", "egfr_formula", "round_to",
)  # fmt: skip


class BatchAsked(Course):
    """What `fludapk batch` is asked; the fields are for rows that do not say."""

    file: UploadFile = Field(description="A CSV file; see `fludapk batch --help` for its columns.")
    map: list[Text] = Field([], description="What a column is, e.g. KREA=scr_umol_l.")
    model: Text | None = Field(None, description="A published model; see /api/v1/models.")
    product: Text | None = None
    diagnosis: Text | None = None
    genotype: Text | None = None
    bsa_formula: Text | None = None
    egfr_formula: Text | None = None
    round_to: Text | None = Field(None, description="Round each dose to a multiple of this, mg.")
    amt: Literal["phosphate", "f_ara_a", ""] | None = Field(
        None, description="What AMT of NONMEM-style records is mg of."
    )
    points: Annotated[int, Field(ge=4, le=13)] | None = Field(
        None, description="2 to this power simulated courses per row."
    )
    format: Literal["json", "csv"] = Field("json", description="JSON lines, or CSV.")

    async def answer(self, folders: Folders, most_rows: int) -> Computed:
        """Every row computed, or refused with a reason.

        Raises
        ------
        FludapkError
            If the list cannot be read, lacks a column, or is too long.
        """
        plan, parts = await run_in_threadpool(
            self._opened, await self.file.read(), folders, most_rows
        )
        done: list[Done] = []
        for part in parts:
            done += await run_in_threadpool(compute, plan, part)
        return Computed(plan, done)

    def _opened(self, content: bytes, folders: Folders, most_rows: int) -> tuple[Plan, list[Chunk]]:
        with TemporaryDirectory(prefix="fludapk-") as folder:
            path = Path(folder) / "list.csv"
            path.write_bytes(content)
            try:
                return self._planned(path, folders, most_rows)
            except FludapkError as error:
                faults = [fault.replace(f"{path}", "the list") for fault in error.faults]
                raise type(error)(*faults) from error

    def _planned(self, path: Path, folders: Folders, most_rows: int) -> tuple[Plan, list[Chunk]]:
        pairs = [pair for pair in self.map if pair]
        source, layout = opened(path, pairs, self._typed(_OF_ALL_ROWS))
        rows = list(islice(source.rows(), most_rows + 1))
        if len(rows) > most_rows:
            raise InputError(
                f"the list has more than {most_rows} rows: split it, or use fludapk batch"
            )
        plan = Plan(
            layout=layout,
            delimiter=source.delimiter,
            log2_points=self.points or log2_points_of(len(rows)),
            amount=self.amt or None,
            again=survey(layout, rows)[1],
            folders=folders,
            as_json=self.format == "json",
        )
        return plan, list(chunks(layout, rows, _AT_ONCE))


@dataclass(frozen=True)
class Computed:
    """A computed list."""

    plan: Plan
    done: Sequence[Done]

    def content(self) -> bytes:
        """The results as the command line writes them."""
        head = "" if self.plan.as_json else self.plan.header()
        text = head + "".join(one.text for one in self.done)
        return text.encode("utf-8", "surrogateescape")

    def tally(self) -> Tally:
        """Counts and the worst rows."""
        tally = Tally()
        for one in self.done:
            tally.add(one)
        return tally
