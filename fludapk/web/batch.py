"""Lists of patients as uploads: rows in, rows out, nothing kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import UploadFile
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from fludapk.answers.batch import Chunk, Done, Plan, Results, Tally, chunks, compute, log2_points_of
from fludapk.answers.typed import Folders
from fludapk.errors import InputError
from fludapk.language import language, tr
from fludapk.patients.columns import opened
from fludapk.patients.fields import COURSE, FIELDS, PATIENT, RENAL, REQUIRED
from fludapk.patients.nonmem import survey
from fludapk.units import as_typed
from fludapk.web.asked import Asked, Text, described, with_fields
from fludapk.web.case_form import renal_fields

_AT_ONCE: Final = 25
"""Rows computed before another request has its turn."""
_OF_ALL_ROWS: Final = (
    *(key for key in PATIENT if key not in (*RENAL, *REQUIRED, "sex", "confirm")), *COURSE, "model",
    "round_to_mg",
)  # fmt: skip
"""Fields for rows that do not say."""
_OF_FORM: Final = frozenset(
    FIELDS[key].name
    for key in (*PATIENT, *COURSE, "model", "round_to_mg")
    if key not in (*RENAL, "confirm")
)
"""Fields of a row that the form of a check has under the same name."""


@with_fields(*_OF_ALL_ROWS)
class BatchAsked(Asked):
    """Request of `fludapk batch`; its fields are for rows that do not say."""

    file: UploadFile = Field(
        description="A CSV file or a workbook (.xlsx); see `fludapk batch --help` for its columns."
    )
    map: list[Text] = Field([], description=described("names"))
    values: list[Text] = Field([], description=described("values"))
    encoding: Text | None = Field(None, description=described("encoding"))
    sheet: Text | None = Field(None, description=described("sheet"))
    amt: Literal["phosphate", "f_ara_a", ""] | None = Field(None, description=described("amount"))
    points: Annotated[int, Field(ge=4, le=13)] | None = Field(
        None, description="2 to this power simulated courses per row."
    )
    format: Literal["json", "csv", "xlsx"] = Field(
        "json", description="JSON lines, CSV, or a workbook."
    )

    async def answer(self, folders: Folders, most_rows: int) -> Computed:
        """Every row computed, or refused with a reason.

        Raises
        ------
        FludapkError
            If the list cannot be read, lacks a column, or is too long.
        """
        content = await self.file.read()
        plan, parts, encoding = await run_in_threadpool(self._planned, content, folders, most_rows)
        results = [await run_in_threadpool(compute, plan, part) for part in parts]
        cells = {row: rows[0] for part in parts for row, rows in part}
        return Computed(plan, results, cells, encoding)

    def _planned(
        self, content: bytes, folders: Folders, most_rows: int
    ) -> tuple[Plan, list[Chunk], str]:
        pairs = [pair for pair in self.map if pair]
        texts = {
            name: None if value is None else as_typed(value) for name, value in self.typed.items()
        }
        names = [FIELDS[key].name for key in _OF_ALL_ROWS]
        source, layout = opened(
            content,
            pairs,
            {name: texts[name] or None for name in names},
            codes=[text for text in self.values if text],
            encoding=self.encoding or None,
            sheet=self.sheet or None,
        )
        rows = list(islice(source.rows(), most_rows + 1))
        if len(rows) > most_rows:
            raise InputError(
                tr("the list has more than {n} rows: split it, or use fludapk batch", n=most_rows)
            )
        plan = Plan(
            layout=layout,
            delimiter=source.delimiter,
            log2_points=self.points or log2_points_of(len(rows)),
            amount=self.amt or None,
            again=survey(layout, rows)[1],
            folders=folders,
            as_json=self.format == "json",
            as_values=self.format == "xlsx",
            language=language(),
            in_short=True,
        )
        parts = list(chunks(layout, rows, _AT_ONCE, source.first_row))
        return plan, parts, source.written_encoding


@dataclass(frozen=True)
class Computed:
    """A computed list."""

    plan: Plan
    results: Sequence[Results]
    cells: Mapping[int, Sequence[str]]
    """Rows of the list by their numbers; of records the first of each course."""
    encoding: str = "utf-8"

    def content(self) -> bytes:
        """The results as the command line writes them."""
        if self.plan.as_values:
            from fludapk.patients.xlsx_results import Workbook

            plan = self.plan
            book = Workbook(plan.names(), kept=plan.kept, columns_read=plan.layout.read_as)
            for values in chain.from_iterable(part.values for part in self.results):
                book.add(values)
            return book.content()
        text = "".join(part.text for part in self.results)
        if self.plan.as_json:
            return text.encode()
        return (self.plan.header() + text).encode(self.encoding)

    @property
    def done(self) -> list[Done]:
        """Every row in short."""
        return [row for part in self.results for row in part.rows]

    def tally(self) -> Tally:
        """Counts and the worst rows."""
        tally = Tally()
        for part in self.results:
            tally.join(part.tally)
        return tally

    def form_of(self, row: int) -> str:
        """Fields of the form of a check filled with a row, as in a link; empty for records.

        The fields stand after the # of an address, which a browser does not send.
        """
        layout, cells = self.plan.layout, self.cells[row]
        if layout.is_events or len(cells) != len(layout.header):
            return ""
        texts, _ = layout.read_cells(cells)
        fields = {name: text for name, text in texts.items() if name in _OF_FORM}
        for key in RENAL:
            if text := texts.get(FIELDS[key].name):
                fields |= renal_fields(key, text)
        return urlencode(fields)


def pairs_of(text: str) -> list[str]:
    """Columns and what they are, of one line: names of columns may hold blanks.

    Examples
    --------
    >>> pairs_of("KREA heute=scr_umol_l WARD=-")
    ['KREA heute=scr_umol_l', 'WARD=-']
    """
    pairs = re.findall(r"[^\s;,][^=]*=\s*[^\s;,]+", text)
    return [re.sub(r"\s*=\s*", "=", pair) for pair in pairs] or [
        word for word in [text.strip()] if word
    ]
