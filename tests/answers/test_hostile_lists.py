"""Lists as people export them: each is read as it was meant, or refused with what to do."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asking
import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner

from fludapk.answers.check_table import check_table
from fludapk.cli import main
from fludapk.patients.request import read_request

GIRL: Final = {"age": "5", "weight": "18.2", "height": "110", "scr": "0.3 mg/dL", "sex": "female"}
HEAD: Final = "id,age,WT,HT,scr_mg_dl"
ROW: Final = "1,5,18.2,110,0.3"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A list, and the verdict on it."""

    name: str
    content: bytes
    options: tuple[str, ...] = ()
    reads: dict[str, Any] = field(default_factory=dict)
    """What the first row is read as; nothing if it is refused."""
    row: str = ""
    """Part of why the first row is refused."""
    refused: str = ""
    """Part of why the list is refused."""


def a_list(name: str, text: str | bytes, *options: str, **verdict: Any) -> Hostile:
    content = text if isinstance(text, bytes) else text.encode()
    return Hostile(name=name, content=content, options=options, **verdict)


def a_workbook(*rows: list[Any], more: str = "", formats: str = "") -> bytes:
    """A sheet of rows; `more` is a cell on another sheet, `formats` is that of the weight."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "list"
    for row in rows:
        sheet.append(row)
    if formats:
        sheet["C2"].number_format = formats
    if more:
        book.create_sheet("notes").append([more])
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


GERMAN: Final = (
    "Patientennummer;Alter;Geschlecht;Gewicht (kg);Größe (cm);Kreatinin (µmol/L)\n"
    "7;5;w;18,2;110;26,52\n8;6;m;20,5;115;30\n"
)
SPANISH: Final = "NHC;Edad (años);Sexo;Peso;Talla;Creatinina (mg/dL)\n1;5;{};18.2;110;0.3\n"
ADULTS: Final = "id,age,WT,HT,scr_mg_dl,{}\n1,60,80,175,1.1,{}\n2,50,60,165,0.9,{}\n"
JAPANESE: Final = "id,年齢,体重,身長,scr_mg_dl\n1,5,18.2,110,0.3\n"
MAPPED: Final = ("--map", "年齢=age", "--map", "体重=weight", "--map", "身長=height")
COLUMNS: Final = ["id", "age", "WT", "HT", "scr_mg_dl"]
CELLS: Final = [1, 5, 18.2, 110, 0.3]

HOSTILE: Final = (
    # encodings
    a_list("German, UTF-8", GERMAN, reads=GIRL),
    a_list("German, Windows-1252", GERMAN.encode("cp1252"),
           refused="not UTF-8; it looks like Windows-1252 (Western Europe): say so by --encoding "
                   "cp1252"),
    a_list("German, Windows-1252, said", GERMAN.encode("cp1252"), "--encoding", "windows-1252",
           reads=GIRL),
    a_list("an encoding nobody has", GERMAN, "--encoding", "cp1225",
           refused="--encoding = 'cp1225' is not one we read: did you mean 'cp1252'?"),
    a_list("UTF-16 with its mark", GERMAN.encode("utf-16"), reads=GIRL),
    a_list("UTF-16 without", GERMAN.encode("utf-16-le"),
           refused="it looks like UTF-16, little-endian: say so by --encoding utf-16-le"),
    a_list("UTF-16 the other way round, said", GERMAN.encode("utf-16-be"),
           "--encoding", "utf-16-be", reads=GIRL),
    a_list("Shift-JIS", JAPANESE.encode("shift-jis"), *MAPPED,
           refused="it looks like Shift-JIS (Japan): say so by --encoding cp932"),
    a_list("Shift-JIS, said", JAPANESE.encode("shift-jis"), *MAPPED, "--encoding", "shift_jis",
           reads=GIRL | {"sex": None}),
    a_list("UTF-8 with its mark, said to be another", b"\xef\xbb\xbf" + GERMAN.encode(),
           "--encoding", "cp1252", refused="the file begins with the mark of UTF-8"),
    # dialects
    a_list("sep=;", f"sep=;\r\n{HEAD}\r\n{ROW}\r\n".replace(",", ";"), reads=GIRL | {"sex": None}),
    a_list("titles above", f"Ward 3\n\nExport,of 3 May\n{HEAD}\n{ROW}\n",
           reads=GIRL | {"sex": None}),
    a_list("blanks between columns", f"{HEAD}\n{ROW}\n".replace(",", "  "),
           refused="has columns that are separated by blanks: separate them by commas"),
    a_list("strokes between columns", f"{HEAD}\n{ROW}\n".replace(",", "|"),
           refused="separated by upright strokes (|)"),
    a_list("separators at the end", f"{HEAD},\n{ROW},,,\n,,,,\n,,,,\n",
           reads=GIRL | {"sex": None}),
    a_list("NA of R", f"{HEAD},sex,egfr\n{ROW},NA,NA\n", reads=GIRL | {"sex": None}),
    a_list("NA where a value is needed", f"{HEAD}\n1,NA,18.2,110,0.3\n", row="age is missing"),
    a_list("UTF-8, said to be Windows-1252", GERMAN, "--encoding", "cp1252",
           refused="--encoding = 'cp1252', but the file is UTF-8: leave it out"),
    a_list("rows separated in another way", f"{HEAD}\n1;5;18,2;110;0,3\n",
           row="is this row separated by ';' and the header by another sign?"),
    a_list("HTML by the name of a sheet", "<html><table><tr><td>id</td></tr></table></html>",
           refused="is HTML or XML, whatever its name says: save it as .xlsx or as CSV UTF-8"),
    a_list("JSON", '[{"age": 5}]', refused="is JSON: save it as CSV UTF-8"),
    a_list("gzip", b"\x1f\x8b\x08\x00", refused="is compressed (gzip): unpack it"),
    # headers
    a_list("English with units",
           "MRN,Gender,Age,Weight (Lbs),Height (Inches),Creatinine (µmol/L)\n"
           "7,F,5,40,43,26.52\n",
           reads=GIRL | {"weight": "40 lb", "height": "43 in"}),
    a_list("French", "IPP;Âge;Sexe;Poids (kg);Taille (cm);Créatinine µmol/l\n"
                     "7;5;F;18,2;110;26,52\n8;6;H;20,5;115;30\n", reads=GIRL),
    a_list("Dutch", "id;Leeftijd;Geslacht;Gewicht;Lengte;Kreatinine (umol/l)\n"
                    "1;5;V;18,2;110;26,52\n2;6;M;20;115;30\n", reads=GIRL),
    a_list("Italian", "ID paziente,Età (anni),Sesso,Peso,Altezza,Creatinina (mg/dL)\n"
                      "1,5,F,18.2,110,0.3\n2,6,M,20,115,0.3\n", reads=GIRL),
    a_list("a unit nobody reads", "id,age,Weight (stone),HT,scr_mg_dl\n1,5,2.9,110,0.3\n",
           refused="'Weight (stone)' is not read because of 'stone'; units of weight: kg, g, lb"),
    a_list("an eGFR in mL/min", "id,age,WT,HT,eGFR (mL/min)\n1,5,18.2,110,120\n",
           refused="is it per 1.73 m2 (map it to egfr) or not (map it to crcl)?"),
    a_list("an ideal weight", "id,age,Ideal weight (kg),HT,scr_mg_dl\n1,5,18.2,110,0.3\n",
           refused="no column for weight"),
    a_list("units below the header", "id,AGE,WT,HT,EGFR\n,years,lb,cm,\n1,60,140,170,90\n",
           refused='WT has \'lb\' below it, and would be read in kg: write the unit into the '
                   'header, as in "WT (lb)"'),
    a_list("a column of units", "id,age,sex,WT,WT_UNIT,HT,EGFR\n1,45,f,120,lbs,165,90\n",
           refused="WT_UNIT has 'lbs', and WT would be read in kg"),
    a_list("AGEU of clinical trials", "id,age,AGEU,sex,WT,HT,EGFR\n1,60,MONTHS,f,70,165,90\n",
           refused="AGEU has 'MONTHS', and age would be read in years"),
    a_list("a column of units for any other", "id,age,sex,WT,Unit,HT,EGFR\n1,45,f,120,lb,165,90\n",
           refused='write the unit into the header, as in "WT (lb)", or into each cell'),
    a_list("the usual units in a column", f"{HEAD},WT_UNIT,ward unit\n{ROW},kg,ICU\n",
           reads=GIRL | {"sex": None}),
    a_list("an amount without its time", f"{HEAD},AMT\n{ROW},10\n",
           refused="no column for TIME (h)"),
    a_list("a dose that is not read beside a course for all", f"{HEAD},Dose (mg)\n{ROW},10\n",
           refused="'Dose (mg)' is not read because of 'mg': map it to dose_mg_per_infusion, or "
                   "leave it out by --map 'Dose (mg)=-'"),
    a_list("such a dose, left out", f"{HEAD},Dose (mg)\n{ROW},10\n", "--map", "Dose (mg)=-",
           reads=GIRL | {"sex": None}),
    a_list("NaT of pandas", f"{HEAD},egfr\n{ROW},NaT\n", reads=GIRL | {"sex": None}),
    # ages
    a_list("two days of one course", "id,DOB,course_date,first_dose,WT,HT,scr_mg_dl\n"
                                     "1,2021-01-14,2026-01-14,2026-02-14 08:00,18.2,110,0.3\n",
           row="DOB needs one day of the course: '2026-01-14' is not '2026-02-14 08:00'"),
    a_list("a date of birth", "id,DOB,course_date,WT,HT,scr_mg_dl\n"
                              "1,2021-01-14,2026-01-14,18.2,110,0.3\n",
           reads=GIRL | {"sex": None, "age": "5 years"}),
    a_list("a date of birth in two orders", "id,DOB,course_date,WT,HT,scr_mg_dl\n"
                                            "1,01/02/2021,2026-01-14,18.2,110,0.3\n",
           row="DOB = '01/02/2021' is ambiguous, day or month first"),
    a_list("a date of birth without a day", "id,DOB,WT,HT,scr_mg_dl\n1,2021-01-14,18.2,110,0.3\n",
           refused="no column for the day of the course (course_date or first_dose)"),
    a_list("an age that contradicts the birth", "id,age,DOB,course_date,WT,HT,scr_mg_dl\n"
                                                "1,5,2011-01-14,2026-01-14,18.2,110,0.3\n",
           row="age = '5' contradicts the date of birth, by which it is 15 y"),
    a_list("months", f"{HEAD}\n1,60,18.2,110,0.3\n", row="60 months would be 5 y"),
    # rows that are no patients
    a_list("a row of means", f"{HEAD}\nMean,5.5,19.1,112.5,0.35\n",
           row="'Mean' begins a comment or a row of totals"),
    a_list("a row that is commented out", f"{HEAD}\n#1,5,18.2,110,0.3\n",
           row="'#1' begins a comment or a row of totals"),
    # units of values
    a_list("inches", f"{HEAD}\n1,45,70,70,0.9\n", row="70 in would be 177.8 cm"),
    a_list("feet and inches", "id,age,WT,Height (ft),scr_mg_dl\n1,45,70,5.11,0.9\n",
           row='may be feet and inches, or decimals of a foot: write "71 in" or "61.32 in"'),
    a_list("a clearance in L/h", "id,age,WT,HT,CRCL\n1,45,70,175,6\n",
           row="6 L/h would be 100 mL/min"),
    a_list("a clearance in mL/s", "id,age,WT,HT,CRCL\n1,45,70,175,1.6\n",
           row="1.6 mL/s would be 96 mL/min"),
    a_list("creatinine without a unit", "id,age,WT,HT,SCR\n1,5,18.2,110,0.3\n",
           row="for all rows map SCR=scr_mg_dl or SCR=scr_umol_l"),
    a_list("two kidney functions", f"{HEAD},egfr\n{ROW},120\n",
           row="given together: leave one unread: map egfr=-"),
    a_list("two kidney functions, one left out", f"{HEAD},egfr\n{ROW},120\n", "--map", "egfr=-",
           reads=GIRL | {"sex": None}),
    a_list("minutes", f"{HEAD},dose,days,interval\n{ROW},30 mg/m2,4,1350\n",
           row="1350 min would be 22.5 h"),
    a_list("grams", f"{HEAD},dose,days\n{ROW},0.03 mg/m2,4\n",
           row="0.03 g/m2 would be 30 mg/m2"),
    a_list("a clearance above a limit", "id,age,WT,HT,egfr\n1,5,18.2,110,>90\n",
           row="egfr = '>90' is a limit, not a value"),
    a_list("micrograms", f"{HEAD},dose_mg_per_infusion,days\n{ROW},24000,4\n",
           row="24000 ug would be 24 mg"),
    # codes of sex
    a_list("Spanish M beside H", SPANISH.format("M") + "2;6;H;20;115;0.3\n", reads=GIRL),
    a_list("Spanish M alone", SPANISH.format("M"), row="Sexo = 'M' may be masculino or mujer"),
    a_list("V and M of a header that tells no language", ADULTS.format("sex", "V", "M"),
           row="Dutch (vrouw, man) or Spanish (varón, mujer)"),
    a_list("one code with two meanings", ADULTS.format("S", "1", "2"), "--map", "S=sex",
           "--values", "S:1=male,2=female,1=female",
           refused="it is male as well: say one of them"),
    a_list("one column with two meanings", f"{HEAD}\n{ROW}\n", "--map", "WT=weight",
           "--map", "WT=weight_lb", refused="it is weight as well: say one of them"),
    a_list("F and N", ADULTS.format("Nem", "F", "N"), "--map", "Nem=sex",
           row="Nem = 'F' may be female, or férfi (male) beside nő"),
    a_list("1 and 2 read as SEXF", ADULTS.format("RIAGENDR", "1", "2"),
           "--map", "RIAGENDR=sexf", row="1 is female, 0 is male; the column also holds '2'"),
    a_list("1 and 2 with their meaning", ADULTS.format("RIAGENDR", "2", "1.0"),
           "--map", "RIAGENDR=sex", "--values", "RIAGENDR:1=male,2=female",
           reads={"age": "60", "weight": "80", "height": "175", "scr": "1.1 mg/dL",
                  "sex": "female"}),
    a_list("a code nobody has named", ADULTS.format("SEX", "9", "1"),
           "--values", "SEX:1=male,2=female", row="SEX = '9' is none of the codes 1, 2"),
    a_list("values of no column", f"{HEAD}\n{ROW}\n", "--values", "SEX:1=male",
           refused="--values SEX: no such column"),
    # workbooks
    a_list("a workbook", a_workbook(COLUMNS, CELLS), reads=GIRL | {"sex": None}),
    a_list("a weight that is shown in lb", a_workbook(COLUMNS, [1, 5, 40, 110, 0.3],
                                                      formats='0.0" lb"'),
           reads=GIRL | {"sex": None, "weight": "40 lb"}),
    a_list("a weight in lb by single letters", a_workbook(COLUMNS, [1, 5, 40, 110, 0.3],
                                                          formats="0.0\\ \\l\\b"),
           reads=GIRL | {"sex": None, "weight": "40 lb"}),
    a_list("a formula without a value", a_workbook(COLUMNS, [1, "=2+3", 18.2, 110, 0.3]),
           refused="has formulas without a value: B2"),
    a_list("two sheets", a_workbook(COLUMNS, CELLS, more="x"),
           refused="has several sheets: 'list', 'notes': name one by --sheet"),
    a_list("two sheets, one named", a_workbook(COLUMNS, CELLS, more="x"), "--sheet", "list",
           reads=GIRL | {"sex": None}),
    a_list("an old workbook", b"\xd0\xcf\x11\xe0" + bytes(600),
           refused="is an old workbook (.xls), or locked by a password: save it as .xlsx"),
    a_list("a cut workbook", a_workbook(COLUMNS, CELLS)[:900],
           refused="is no workbook that we can read"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a list at the command line."""

    exit_code: int
    rows: list[dict[str, str]]
    stderr: str


def batch(path: Path, *options: str) -> Outcome:
    words = ["batch", str(path), "--points", "4", *options]
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    text = result.stdout_bytes.decode("utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    return Outcome(result.exit_code, rows, result.stderr)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_a_list_is_read_as_meant_or_refused_with_what_to_do(case: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(case.content)
    outcome = batch(path, "--regimen=tisa_cel_ball", *case.options)
    if case.refused:
        assert (outcome.exit_code, outcome.rows) == (3, [])
        assert case.refused in outcome.stderr
        return
    row = outcome.rows[0]
    assert case.row in row["error"]
    assert bool(row["error"]) == bool(case.row)
    if not case.row:
        meant = read_request({**case.reads, "regimen": "tisa_cel_ball"}).patient
        for name in ("age_years", "weight_kg", "height_cm", "scr_mg_dl"):
            cell = row.get(f"result_{name}", row.get(name, ""))
            assert float(cell.replace(",", ".")) == pytest.approx(getattr(meant, name), rel=1e-12)
        assert row.get("result_sex", row.get("sex")) == (meant.sex or "")


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_no_list_is_an_error_of_the_server(case: Hostile) -> None:
    file = {"file": ("list", case.content)}
    page = asking.ask("POST", "/list", files=file, data={"regimen": "tisa_cel_ball"})
    api = asking.ask("POST", "/api/v1/batch", files=file, data={"regimen": "tisa_cel_ball"})
    assert page.status_code == 200
    assert api.status_code in (200, 422)


def test_a_report_of_a_list_in_another_encoding(tmp_path: Path) -> None:
    path, report = tmp_path / "list.csv", tmp_path / "report.html"
    path.write_bytes(GERMAN.replace("7;5", "Müller;5").encode("cp1252"))
    options = ("--encoding", "cp1252", "--regimen=tisa_cel_ball", "--report", str(report))
    assert batch(path, *options).exit_code == 0
    assert "Müller" in report.read_text("utf-8")


def test_a_result_tells_the_column_the_unit_and_the_codes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(GERMAN, encoding="utf-8")
    (row, _) = batch(path, "--regimen=tisa_cel_ball").rows
    assert row["columns_read"] == (
        "id = Patientennummer; age = Alter: years; sex = Geschlecht: w = female, m = male; "
        "weight = Gewicht (kg): kg; height = Größe (cm): cm; scr = Kreatinin (µmol/L): umol/L"
    )


def test_a_column_that_looks_like_another_unit_is_doubted_as_a_whole(tmp_path: Path) -> None:
    path, report = tmp_path / "list.csv", tmp_path / "report.html"
    rows = [f"{k},45,{pounds},175,0.9,male\n" for k, pounds in enumerate((132, 170, 190, 205))]
    path.write_text(f"{HEAD},sex\n{''.join(rows)}", encoding="utf-8")
    outcome = batch(path, "--regimen=axi_cel", "--report", str(report))
    assert [bool(row["error"]) for row in outcome.rows] == [False, True, True, True]
    sentence = "WT looks like a slip in 3 of 4 rows: if the column is in another unit, rows that"
    assert sentence in outcome.stderr
    assert sentence in report.read_text("utf-8")
    page = asking.ask("POST", "/list", files={"file": path.read_bytes()},
                      data={"regimen": "axi_cel"})  # fmt: skip
    assert sentence in page.text


def test_there_are_many_hostile_lists_of_every_verdict() -> None:
    assert len(HOSTILE) > 45
    assert len({case.name for case in HOSTILE}) == len(HOSTILE)
    for verdict in ("reads", "row", "refused"):
        assert sum(bool(getattr(case, verdict)) for case in HOSTILE) > 10


def test_a_table_in_python_is_read_like_a_list() -> None:
    table = pd.DataFrame(
        {
            "DOB": pd.to_datetime(["2021-01-14", "1966-02-01"]),
            "course_date": pd.to_datetime(["2026-01-14"] * 2),
            "Weight (lb)": [40.0, 176.0],
            "Größe (cm)": [110, 175],
            "Creatinine (µmol/L)": [26.52, 97.0],
            "S": [2, 1],
        }
    )
    said: dict[str, Any] = {"names": {"S": "sex"}, "values": {"S": {1: "male", 2: "female"}}}
    answer = check_table(table, regimen="axi_cel", log2_points=4, **said)
    assert answer["error"].isna().all()
    assert answer["sex"].tolist() == ["female", "male"]
    assert answer["age_years"].round(3).tolist() == [5.0, 59.951]
    assert answer["weight_kg"].tolist() == pytest.approx([18.1436948, 79.83225712])
    assert answer.attrs["columns_read"]["sex"] == "S: 1 = male, 2 = female"
    assert answer.attrs["columns_read"]["weight"] == "Weight (lb): lb"
