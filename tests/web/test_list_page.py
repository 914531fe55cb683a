"""Lists on the page and in requests: encodings, codes, workbooks, and the check of a row."""

import io
import re
from html import unescape
from typing import Any, Final
from urllib.parse import parse_qs

import httpx
import openpyxl
import pytest
from asking import ask

from fludapk.web.batch import pairs_of

GERMAN: Final = (
    "Patientennummer;Alter;Geschlecht;Gewicht (lb);Größe (cm);Kreatinin (µmol/L);Kurs\n"
    "7;5;w;40;110;26,52;tisa_cel_ball\n8;6;m;45;1150;30;tisa_cel_ball\n"
)
PART: Final = {"x-part": "answer"}


def sent(content: str | bytes, path: str = "/list", **fields: Any) -> httpx.Response:
    file = {"file": ("list", content.encode() if isinstance(content, str) else content)}
    return ask("POST", path, files=file, data={"map": "Kurs=regimen", **fields}, headers=PART)


def test_a_row_says_the_age_and_opens_its_check() -> None:
    text = sent(GERMAN).text
    assert '<td class="number">5 y</td>' in text
    links = [parse_qs(unescape(link)) for link in re.findall(r'href="/#([^"]+)"', text)]
    assert len(links) == 2  # a refused row can be mended there
    assert links[0] == {
        "age": ["5"], "sex": ["female"], "weight": ["40 lb"], "height": ["110"],
        "renal": ["26.52"], "renal_unit": ["umol/L"], "regimen": ["tisa_cel_ball"],
    }  # fmt: skip
    form = {name: values[0] for name, values in links[0].items()}
    page = ask("POST", "/", data={**form, "age_unit": "years", "weight_unit": "kg"}, headers=PART)
    auc = re.search(r'<td class="number">(\d+\.\d\d)</td>', text)
    assert auc is not None
    assert auc[1] in page.text


def test_a_fault_of_encoding_or_sheet_marks_its_field() -> None:
    refused = sent(GERMAN.encode("cp1252")).text
    assert 'data-invalid="encoding"' in refused
    assert "5 y" in sent(GERMAN.encode("cp1252"), encoding="cp1252").text
    form = ask("GET", "/list").text
    assert '<option value="cp932">Shift-JIS (Japan)</option>' in form
    book = openpyxl.Workbook()
    for sheet in (book.worksheets[0], book.create_sheet("second")):
        sheet.append(["id", "age", "WT", "HT", "egfr", "Kurs"])
        sheet.append([1, 5, 18.2, 110, 120, "tisa_cel_ball"])
    saved = io.BytesIO()
    book.save(saved)
    assert 'data-invalid="sheet"' in sent(saved.getvalue()).text
    assert "5 y" in sent(saved.getvalue(), sheet="second").text


def test_codes_are_told_on_the_page_and_in_requests() -> None:
    text = "id,S,age,WT,HT,scr_mg_dl\n1,2,60,80,175,1.1\n"
    said = {"map": "S=sex", "values": "S:1=male,2=female", "regimen": "axi_cel"}
    assert "sex = S: 1 = male, 2 = female" in sent(text, **said).text
    assert sent(text, "/api/v1/batch", **said).json()["sex"] == "female"


@pytest.mark.parametrize("path", ["/list/download", "/api/v1/batch"])
def test_results_come_as_a_workbook(path: str) -> None:
    answer = sent(GERMAN, path, format="xlsx")
    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content))["results"]
    header, first, second = sheet.iter_rows(values_only=True)
    rows = [dict(zip(header, row, strict=True)) for row in (first, second)]
    assert rows[0]["weight_kg"] == pytest.approx(18.1436948, rel=1e-9)
    assert rows[0]["Patientennummer"] == 7
    assert "1150 mm would be 115 cm" in str(rows[1]["error"])


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("KREA=scr_umol_l WARD=-", ["KREA=scr_umol_l", "WARD=-"]),
        ("Krea heute = scr_umol_l; Stand am=-", ["Krea heute=scr_umol_l", "Stand am=-"]),
        ("KREA", ["KREA"]),
        ("", []),
    ],
)
def test_columns_with_blanks_in_their_names_can_be_told(text: str, pairs: list[str]) -> None:
    assert pairs_of(text) == pairs
