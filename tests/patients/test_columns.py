"""Columns by what they mean: order, language, dialect and encoding change no number."""

import io
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.errors import Fault, InputError
from fludapk.patients.columns import COLUMNS, Layout, opened
from fludapk.patients.header_words import HEADERS, UNIT_WORDS, meaning_of
from fludapk.patients.list_rows import request_of
from fludapk.patients.sex_codes import WORDS, sex_codes
from fludapk.published.regimens import regimens

ROOT: Final = Path(__file__).resolve().parents[2]

UNITS: Final = {
    "age": ("", "years", "ans", "Jahre"),
    "weight": ("", "kg", "kgs"),
    "height": ("", "cm"),
    "scr": ("mg/dL", "mg/dl", "mg%"),
}
"""Spellings of the unit of the numbers below."""
SIGNS: Final = ("{name} ({unit})", "{name} [{unit}]", "{name}_{unit}", " {name} , {unit} ")
SEXES: Final = (("F", "M"), ("F", "H"), ("w", "m"), ("female", "male"), ("mujer", "hombre"))


@dataclass(frozen=True)
class Written:
    """How a list is written."""

    names: dict[str, str]
    order: tuple[str, ...]
    delimiter: str
    decimal_comma: bool
    encoding: str
    sexes: tuple[str, str]

    def content(self, rows: Sequence[dict[str, str]]) -> bytes:
        table = [[self.names[what] for what in self.order]]
        table += [[self.cell(what, row[what]) for what in self.order] for row in rows]
        if self.encoding == "xlsx":
            return workbook(table)
        lines = [
            self.delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
            for cells in table
        ]
        return "\r\n".join(lines).encode(self.encoding)

    def cell(self, what: str, text: str) -> str:
        if what == "sex":
            return self.sexes[text == "male"]
        return text.replace(".", ",") if self.decimal_comma and what != "id" else text

    @property
    def said(self) -> str | None:
        """Encoding that must be said."""
        return None if self.encoding in ("utf-8", "utf-8-sig", "utf-16", "xlsx") else self.encoding


def workbook(table: Sequence[Sequence[str]]) -> bytes:
    """Cells as they come, numbers as numbers."""
    book = openpyxl.Workbook()
    for k, row in enumerate(table):
        typed = [float(cell) if k and re.fullmatch(r"\d+\.\d+", cell) else cell for cell in row]
        book.worksheets[0].append(typed)
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


@st.composite
def written(draw: st.DrawFn) -> Written:
    names = {}
    for what in ("id", "age", "sex", "weight", "height", "scr"):
        plain = [name for name in HEADERS[what] if name.isascii() or what != "id"]
        name = draw(st.sampled_from(plain))
        unit = draw(st.sampled_from(UNITS.get(what, ("",))))
        names[what] = draw(st.sampled_from(SIGNS)).format(name=name, unit=unit) if unit else name
        if draw(st.booleans()):
            names[what] = names[what].upper()
    encoding = draw(
        st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "xlsx"))
    )
    delimiter = draw(st.sampled_from(",;\t"))
    return Written(
        names=names,
        order=tuple(draw(st.permutations(list(names)))),
        delimiter=delimiter,
        decimal_comma=delimiter != "," and encoding != "xlsx" and draw(st.booleans()),
        encoding=encoding,
        sexes=draw(st.sampled_from(SEXES)),
    )


ROWS: Final = [
    {"id": "1", "age": "5", "sex": "female", "weight": "18.2", "height": "110", "scr": "0.3"},
    {"id": "2", "age": "61.5", "sex": "male", "weight": "82.25", "height": "176", "scr": "0.975"},
    {"id": "3", "age": "0.75", "sex": "female", "weight": "8.1", "height": "70", "scr": "0.21"},
]
MEANT: Final = {
    row["id"]: (
        float(row["age"]),
        row["sex"],
        *(float(row[k]) for k in ("weight", "height", "scr")),
    )
    for row in ROWS
}


@given(written(), st.integers(0, 5))
def test_no_way_of_writing_a_list_changes_a_number(way: Written, seed: int) -> None:
    rows = list(ROWS)
    random.Random(seed).shuffle(rows)
    course = {"regimen": next(iter(regimens()))}
    source, layout = opened(way.content(rows), (), course, encoding=way.said)
    read = {}
    for cells in source.rows():
        patient = request_of(layout, cells).patient
        read[layout.id_of(cells)] = (
            patient.age_years, patient.sex, patient.weight_kg, patient.height_cm, patient.scr_mg_dl,
        )  # fmt: skip
    assert read == MEANT
    assert list(read) == [row["id"] for row in rows]
    for what, name in way.names.items():
        assert layout.read_as[what].startswith(name)


@pytest.mark.parametrize("what", HEADERS)
def test_every_header_in_the_table_means_its_field(what: str) -> None:
    for name in HEADERS[what]:
        assert meaning_of(name) == (what, "")
        assert meaning_of(name.upper()) == (what, "")


@pytest.mark.parametrize(
    "header",
    ["Ideal weight (kg)", "Weight (stone)", "Weight (кг)", "Weight (%)", "Weight percentile",
     "Creatinine (mmol/L)", "Creatinine (urine)", "Creatinine (mg/L)", "eGFR (mL/min)",
     "CrCl (mL/min/1.73 m2)", "Height (\N{REPLACEMENT CHARACTER}m)", "Eta", "ETA1", "Dose (mg)",
     "Sex (1=male)", "Age group", "Weight at birth", "DOB year", "Fludarabine"],
)  # fmt: skip
def test_a_header_with_more_than_a_name_and_its_unit_is_not_understood(header: str) -> None:
    assert meaning_of(header) is None


def test_the_documentation_has_every_header_and_unit() -> None:
    text = (ROOT / "docs" / "lists.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|`]+) \|$", text, re.MULTILINE))
    assert {what: tuple(rows[what].split(", ")) for what in HEADERS} == HEADERS
    spelt = text.partition("| unit of |")[2].partition("\n\n")[0]
    for dimension, words in UNIT_WORDS.items():
        (line,) = re.findall(rf"^\| {dimension} \| (.*) \|$", spelt, re.MULTILINE)
        groups = [group.partition(": ") for group in line.split("; ")]
        shown = {word: unit for unit, _, names in groups for word in names.split(", ")}
        assert shown == words


def test_two_columns_for_the_patient_are_one_whatever_their_order() -> None:
    for header in (["MRN", "ID"], ["ID", "MRN"]):
        layout = Layout.read([*header, "age", "WT", "HT", "egfr", "regimen"])
        assert layout.id_of([f"the {name}" for name in header] + [""] * 5) == "the ID"
        assert layout.unused == ["MRN"]


@pytest.mark.parametrize(
    ("column", "cells", "sexes"),
    [
        ("sex", "F M", {"F": "female", "M": "male"}),
        ("sex", "M", {"M": "male"}),
        ("Gender", "f m.", {"f": "female", "m.": "male"}),
        ("Geschlecht", "m w", {"m": "male", "w": "female"}),
        ("Geschlecht", "m w d", {"m": "male", "w": "female", "d": None}),
        ("sexe", "F H", {"F": "female", "H": "male"}),
        ("Geslacht", "V M", {"V": "female", "M": "male"}),
        ("Sexo", "V M", {"V": "male", "M": "female"}),
        ("sex", "V M", {"V": None, "M": None}),
        ("sex", "V", {"V": None}),
        ("sexo", "H M", {"H": "male", "M": "female"}),
        ("sexo", "F M", {"F": "female", "M": "male"}),
        ("sexo", "M", {"M": None}),
        ("sex", "F H M", {"F": "female", "H": "male", "M": None}),
        ("sex", "hombre M", {"hombre": "male", "M": None}),
        ("Køn", "K M", {"K": "female", "M": "male"}),
        ("sex", "Mujer HOMBRE", {"Mujer": "female", "HOMBRE": "male"}),
        ("sex", "1 2", {"1": None, "2": None}),
        ("sex", "0 1", {"0": None, "1": None}),
        ("sex", "x", {"x": None}),
    ],
)
def test_a_code_of_sex_is_read_only_where_it_has_one_meaning(
    column: str, cells: str, sexes: dict[str, str | None]
) -> None:
    codes = sex_codes(column, "sex", cells.split())
    read = {cell: codes.sex_of(cell) for cell in cells.split()}
    assert {cell: None if isinstance(sex, Fault) else sex for cell, sex in read.items()} == sexes


@given(st.permutations(["F", "M", "H", "V", "W", "1", "male"]), st.integers(1, 7))
def test_the_order_of_codes_does_not_change_their_meaning(codes: list[str], n: int) -> None:
    cells = codes[:n]
    assert sex_codes("sex", "sex", cells).sexes == sex_codes("sex", "sex", cells[::-1]).sexes


@pytest.mark.parametrize(("kind", "yes"), [("sexf", "female"), ("sexm", "male")])
def test_an_indicator_holds_only_1_and_0(kind: str, yes: str) -> None:
    no = {"female": "male", "male": "female"}[yes]
    codes = sex_codes("x", kind, ["1", "0.0", "True", "no"])
    assert [codes.sex_of(cell) for cell in ("1", "0.0", "True", "no")] == [yes, no, yes, no]
    other = sex_codes("x", kind, ["1", "2"])
    assert isinstance(other.sex_of("1"), Fault)


def test_no_word_means_both_sexes() -> None:
    assert not set(WORDS["female"]) & set(WORDS["male"])


def test_every_fault_of_a_row_is_told_at_once() -> None:
    layout = Layout.read(["age", "sex", "WT", "HT", "egfr", "regimen"])
    with pytest.raises(InputError) as refused:
        request_of(layout, ["five", "x", "0", "110", "100", "tisa_cel_ball"])
    assert [fault.field for fault in refused.value.faults] == ["sex", "age_years", "weight_kg"]


def test_names_of_our_own_need_no_translation() -> None:
    own = ["id", "age_years", "weight_kg", "height_cm", "scr_mg_dl", "regimen"]
    assert set(own) <= set(COLUMNS)
    assert not Layout.read(own).is_translated
    assert Layout.read([*own[:2], "Gewicht", *own[3:]]).is_translated
