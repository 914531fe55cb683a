"""Lists of patients as uploads: rows in, rows out, nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Final, Literal

from fastapi import UploadFile
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from fludapk.answers.batch import Chunk, Done, Plan, Tally, chunks, compute, log2_points_of
from fludapk.errors import InputError
from fludapk.patients.columns import opened
from fludapk.patients.fields import COURSE, FIELDS, PATIENT, RENAL, REQUIRED
from fludapk.patients.nonmem import survey
from fludapk.units import as_typed
from fludapk.web.asked import Asked, Folders, Text, described, with_fields

_AT_ONCE: Final = 25
"""Rows computed before another request has its turn."""
_OF_ALL_ROWS: Final = (
    *(key for key in PATIENT if key not in (*RENAL, *REQUIRED, "sex", "confirm")), *COURSE, "model",
    "round_to_mg",
)  # fmt: skip
"""Fields for rows that do not say."""


@with_fields(*_OF_ALL_ROWS)
class BatchAsked(Asked):
    """Request of `fludapk batch`; its fields are for rows that do not say."""

    file: UploadFile = Field(description="A CSV file; see `fludapk batch --help` for its columns.")
    map: list[Text] = Field([], description=described("names"))
    amt: Literal["phosphate", "f_ara_a", ""] | None = Field(None, description=described("amount"))
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
        content = await self.file.read()
        plan, parts = await run_in_threadpool(self._planned, content, folders, most_rows)
        done: list[Done] = []
        for part in parts:
            done += await run_in_threadpool(compute, plan, part)
        return Computed(plan, done)

    def _planned(
        self, content: bytes, folders: Folders, most_rows: int
    ) -> tuple[Plan, list[Chunk]]:
        pairs = [pair for pair in self.map if pair]
        texts = {
            name: None if value is None else as_typed(value) for name, value in self.typed.items()
        }
        names = [FIELDS[key].name for key in _OF_ALL_ROWS]
        source, layout = opened(content, pairs, {name: texts[name] or None for name in names})
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
