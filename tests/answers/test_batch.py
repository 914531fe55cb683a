"""Lists of patients: a row is what a check says, in its place, whatever the file holds."""

import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import reference
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from waiting import eventually

from fludapk.answers.batch import Done, Plan, Shown, Tally, chunks, run
from fludapk.answers.batch_rows import distinct_names
from fludapk.answers.check import check, checks
from fludapk.answers.check_records import CheckResult, result_columns
from fludapk.answers.headline import Simulated, headline_of
from fludapk.answers.record import stop
from fludapk.cli import main
from fludapk.cli.batch import _stopped_by_signals
from fludapk.errors import FludapkError, InputError
from fludapk.patients.columns import ALIASES, COLUMNS, Layout
from fludapk.patients.csv_list import open_list
from fludapk.patients.nonmem import survey
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.request import Request, read_patient
from fludapk.published.models import model_paths
from fludapk.published.regimens import regimens
from fludapk.published.targets import targets

ROOT: Final = Path(__file__).resolve().parents[2]
HEAD: Final = "ID,age,WT,HT,scr_mg_dl,regimen"
GIRL: Final = "1,5,18.2,110,0.3,tisa_cel_ball"
GIRL_AUC: Final = pytest.approx(13.58, abs=0.005)


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_compiled() -> None:
    """The first compilation is said on stderr; let it be over."""
    girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    for cells_at_h in (None, 10.0):
        check(girl, Regimen(dose=30, unit="mg/m2", days=4, cells_at_h=cells_at_h))


@dataclass(frozen=True)
class Answer:
    """What came of a list."""

    exit_code: int
    out: bytes
    stderr: str
    delimiter: str = ","

    @property
    def rows(self) -> list[dict[str, str]]:
        header, *rows = self.cells
        return [dict(zip(header, row, strict=True)) for row in rows]

    @property
    def cells(self) -> list[list[str]]:
        text = self.out.decode("utf-8-sig", "surrogateescape")
        return list(
            csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
        )

    @property
    def objects(self) -> list[Any]:
        def no_constant(name: str) -> None:
            raise AssertionError(f"{name} is not JSON")

        lines = self.out.decode().splitlines()
        return [json.loads(line, parse_constant=no_constant) for line in lines]


def command(*words: str) -> Answer:
    result = CliRunner().invoke(main, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    return Answer(result.exit_code, result.stdout_bytes, result.stderr)


def batch(content: str | bytes, *options: str, delimiter: str = ",") -> Answer:
    """Run a list; whatever happens, it is no crash."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        path.write_bytes(content)
        answer = command("batch", str(path), *options)
        assert [entry.name for entry in Path(folder).iterdir()] == ["list.csv"]
    return Answer(answer.exit_code, answer.out, answer.stderr, delimiter)


def one(content: str, *options: str, delimiter: str = ",") -> dict[str, str]:
    """The only row of a list."""
    (row,) = batch(content, "--points", "4", *options, delimiter=delimiter).rows
    return row


def auc(content: str, *options: str, delimiter: str = ",") -> float:
    row = one(content, *options, delimiter=delimiter)
    assert row["error"] == ""
    return float(row["auc_0_inf"].replace(",", "."))


def refused(content: str | bytes, *options: str) -> str:
    """What is said of a list that is refused as a whole."""
    answer = batch(content, *options)
    assert (answer.exit_code, answer.out) == (3, b"")
    assert all(line.startswith("fludapk: ") for line in answer.stderr.splitlines())
    return answer.stderr


# --- A row is what a check says -------------------------------------------------------------------

RENAL: Final = st.one_of(
    st.tuples(st.just("scr"), st.floats(0.15, 3).map("{:.2f} mg/dL".format)),
    st.tuples(st.just("scr"), st.floats(15, 260).map("{:.1f} umol/L".format)),
    st.tuples(st.just("egfr"), st.floats(15, 160).map("{:.1f}".format)),
    st.tuples(st.just("crcl"), st.floats(15, 200).map("{:.1f} mL/min".format)),
)
COURSE: Final = st.one_of(
    st.sampled_from(sorted(regimens())).map(lambda name: {"regimen": name}),
    st.fixed_dictionaries(
        {
            "dose": st.sampled_from(["30 mg/m2", "25 mg/m2", "1.1 mg/kg", "40 mg"]),
            "days": st.sampled_from(["1", "3", "5"]),
        }
    ),
)
USUAL: Final = {
    "model": st.sampled_from(["langenhorst2019_indexed", "varela2025", "mohanan2017"]),
    "genotype": st.sampled_from(["GG", "carrier"]),
    "bsa_formula": st.sampled_from(["mosteller", "haycock"]),
}
UNUSUAL: Final = {
    "product": st.sampled_from(["axi_cel", "tisa_cel"]),
    "diagnosis": st.sampled_from(["b_all", "aplastic_anaemia", "lbcl", "b_al"]),
    "bsa_formula": st.sampled_from(["du_bois", "gehan_george"]),
    "egfr_formula": st.sampled_from(["ckid_u25", "schwartz_bedside", "cockcroft_gault"]),
    "height": st.just("1.10"),
    "model": st.just("nobody2000"),
}


@st.composite
def patients(draw: st.DrawFn) -> dict[str, str]:
    """A patient and a course, as typed; most of them possible."""
    age = draw(st.floats(0.5, 80))
    height = (75 + 5.8 * min(age, 17)) * draw(st.floats(0.92, 1.08))
    weight = draw(st.floats(16, 27)) * (height / 100) ** 2
    asked = {
        "age": draw(st.sampled_from([f"{age:.2f}", f"{age * 12:.0f} mo"])),
        "height": draw(st.sampled_from([f"{height:.1f}", f"{height / 100:.3f} m"])),
        "weight": draw(st.sampled_from([f"{weight:.2f}", f"{weight / 0.4536:.1f} lb"])),
        "sex": draw(st.sampled_from(["female", "male", "F", "m"])),
    }
    asked |= {**dict([draw(RENAL)]), **draw(COURSE)}
    asked |= draw(st.fixed_dictionaries({}, optional=USUAL))
    if draw(st.integers(0, 3)) == 0:
        asked |= draw(st.fixed_dictionaries({}, optional=UNUSUAL))
    return asked


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """The scalar fields of the JSON of a check, as lists have them."""
    low, high = found["exposure"]["auc_0_inf_pi90"]
    wider = found["exposure"]["auc_0_inf_uncertain_pi90"] or (None, None)
    flat = {
        "error": None,
        **{name: found[name] for name in ("flag", "model", "models_agree")},
        **found["patient"],
        **found["exposure"],
        **found["provenance"],
        **{f"regimen_{name}": found["regimen"][name] for name in ("id", "title")},
        **{k: v for k, v in found["regimen"].items() if k not in ("id", "title")},
        "regimen": found["regimen"]["id"],
        "confirmed": "; ".join(found["patient"]["confirmed"]),
        "auc_0_inf_pi90_low": low,
        "auc_0_inf_pi90_high": high,
        "auc_0_inf_uncertain_pi90_low": wider[0],
        "auc_0_inf_uncertain_pi90_high": wider[1],
        "doses_mg": [float(f"{dose:.12g}") for dose in found["regimen"]["doses_mg"]],
        "stop": "; ".join(found["headline"]["stops"]),
        "headline": found["headline"]["sentence"],
        **{k: found["headline"][k] for k in ("target", "p_below", "p_within", "p_above")},
        "remarks": "; ".join(r["code"] for r in found["remarks"] if r["severity"] != "note"),
        "weights": "; ".join(f"{m['model']}={m['weight']:.6g}" for m in found["averaged"] or ()),
        "label_rules_refusing": "; ".join(r["id"] for r in found["label_rules"] if r["refused"]),
    }
    for row in found["targets"]:
        for what in ("status", "p_below", "p_within", "p_above", "applies"):
            flat[f"{row['id']}_{what}"] = row[what]
    for row in found["sensitivity"]:
        for what in ("applies", "auc_0_inf", "flag"):
            flat[f"{row['model']}_{what}"] = row[what]
    for name in ("regimen_id", "auc_0_inf_pi90", "auc_0_inf_uncertain_pi90", "auc_per_dose"):
        del flat[name]
    return flat


def typed_check(asked: Mapping[str, str]) -> Answer:
    options = [f"--{name.replace('_', '-')}={text}" for name, text in asked.items()]
    return command("check", *options, "--json")


@settings(max_examples=25, deadline=None)
@given(st.lists(patients(), min_size=1, max_size=4))
def test_a_row_is_what_check_says_of_the_patient(people: list[dict[str, str]]) -> None:
    header = list(dict.fromkeys(name for asked in people for name in asked))
    lines = [header, *([asked.get(name, "") for name in header] for asked in people)]
    if "scr" not in header and "egfr" not in header and "crcl" not in header:
        return
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    objects = batch(text.getvalue(), "--json").objects
    rows = batch(text.getvalue()).rows
    assert len(objects) == len(rows) == len(people)
    for asked, found, row in zip(people, objects, rows, strict=True):
        assert list(found["input"].values()) == [asked.get(name, "") for name in header]
        alone = typed_check(asked)
        if alone.exit_code:
            sentences = alone.stderr.removesuffix("\n").replace("fludapk: ", "").replace("\n", "; ")
            sentences = sentences.replace("--confirm", 'write in a column "confirm":')
            assert nameless(sentences.replace("-formula", "_formula")) == nameless(found["error"])
            continue
        read_as = found.pop("columns_read")
        assert {name: text.split(":")[0] for name, text in read_as.items()} == {
            name: name for name in header
        }
        expected = flat(json.loads(alone.out))
        for name in ("doses_mg", "times_h"):
            assert [float(word) for word in found.pop(name).split()] == expected.pop(name)
        assert {k: v for k, v in found.items() if k not in ("row", "input")} == expected
        for name, value in expected.items():
            cell = row.get(f"result_{name}" if name in header else name)
            assert cell == ("" if value is None else str(value).lower() if
                            isinstance(value, bool) else str(value)), name  # fmt: skip


def nameless(sentences: str) -> str:
    """Faults without the names of options and columns."""
    return re.sub(r"--|: give [-\w]+", "", sentences).replace("egfr-formula", "egfr_formula")


def request_of(asked: Mapping[str, str]) -> Request | None:
    course = {name: asked[name] for name in ("regimen", "dose", "days") if name in asked}
    with contextlib.suppress(InputError):
        return Request(
            patient=read_patient(asked),
            regimen=Regimen.from_text(**course),
            model=asked.get("model", "langenhorst2019"),
        )
    return None


@settings(max_examples=25, deadline=None)
@given(st.lists(patients(), max_size=8), st.sampled_from([None, 1.0, 20.0]))
def test_many_checks_together_are_each_check_alone(
    people: list[dict[str, str]], round_to_mg: float | None
) -> None:
    requests = [
        Request(patient=r.patient, regimen=r.regimen, model=r.model, round_to_mg=round_to_mg)
        for r in map(request_of, people)
        if r is not None
    ]
    together = list(checks(requests))
    assert len(together) == len(requests)
    for request, found in zip(requests, together, strict=True):
        try:
            alone: CheckResult | FludapkError = check(
                request.patient, request.regimen, model=request.model, round_to_mg=round_to_mg
            )
        except FludapkError as error:
            alone = error
        if isinstance(alone, CheckResult):
            assert isinstance(found, CheckResult)
            assert asdict(found) == asdict(alone)
        else:
            assert isinstance(found, FludapkError)
            assert (type(found), found.faults) == (type(alone), alone.faults)


def random_rows(n: int) -> list[dict[str, str]]:
    """Patients and courses of every age, size and renal function, as typed."""
    draw = random.Random(16)
    rows = []
    for _ in range(n):
        age = draw.choice((draw.uniform(0.4, 3), draw.uniform(3, 18), draw.uniform(18, 82)))
        height = (75 + 5.8 * min(age, 17)) * draw.uniform(0.92, 1.08)
        rows.append(
            {
                "age": f"{age:.2f}",
                "sex": draw.choice(("female", "male", "")),
                "weight": f"{draw.uniform(15, 36) * (height / 100) ** 2:.1f}",
                "height": f"{height:.0f}",
                **draw.choice(
                    (
                        {"scr": f"{draw.uniform(0.2, 2.5):.2f} mg/dL"},
                        {"egfr": f"{draw.uniform(20, 160):.0f}"},
                        {"crcl": f"{draw.uniform(20, 180):.0f}"},
                    )
                ),
                **draw.choice(
                    (
                        {"regimen": draw.choice(sorted(regimens()))},
                        {
                            "dose": f"{draw.uniform(15, 40):.0f} mg/m2",
                            "days": f"{draw.randint(1, 5)}",
                        },
                    )
                ),
                "model": draw.choice(("langenhorst2019", "varela2025")),
                "diagnosis": draw.choice(("", "", "b_all", "lbcl")),
            }
        )
    return rows


def test_300_rows_together_have_the_bits_of_each_check_alone() -> None:
    people = random_rows(620)
    requests = [(asked, request) for asked in people if (request := request_of(asked)) is not None]
    header = list(dict.fromkeys(name for asked in people for name in asked))
    text = io.StringIO()
    csv.writer(text).writerows(
        [header, *([asked.get(name, "") for name in header] for asked, _ in requests)]
    )
    lines = batch(text.getvalue(), "--json", "--points=9").objects
    computed = 0
    for (_, request), found in zip(requests, lines, strict=True):
        (alone,) = checks([request], log2_points=9)
        if isinstance(alone, FludapkError):
            assert found["error"]
            continue
        computed += 1
        expected = flat(alone.to_dict())
        for name in ("doses_mg", "times_h"):
            assert [float(word) for word in found.pop(name).split()] == expected.pop(name)
        own = {k: v for k, v in found.items() if k not in ("row", "input", "columns_read")}
        assert own == expected
    assert computed >= 300


def test_patients_of_every_kind_together_strictly() -> None:
    man = Patient(age_years=60, sex="male", weight_kg=80, height_cm=175, crcl_ml_min=62)
    baby = Patient(age_years=0.1, weight_kg=4, height_cm=52, egfr_ml_min_1_73m2=60)
    plan = Regimen.named("axi_cel")
    wanted = [
        Request(patient=man, regimen=plan),
        Request(patient=baby, regimen=plan),
        Request(patient=man, regimen=plan, model="nobody2000"),
        Request(patient=man, regimen=Regimen(dose=60, unit="mg/m2", days=3)),
        Request(patient=man, regimen=plan, model="varela2025"),
    ]
    ok, outside, unknown, high, varela = checks(wanted, strict=True, log2_points=4)
    assert isinstance(ok, CheckResult)
    assert ok.provenance.points == 16
    assert "outside the studied range" in str(outside)
    assert "unknown model 'nobody2000'" in str(unknown)
    assert "above 50 mg/m2" in str(high)
    assert isinstance(varela, CheckResult)
    assert varela.model == "varela2025"
    assert list(checks([])) == []


def test_a_row_with_more_random_effects_than_points_does_not_stop_the_others(
    folders: Sequence[Path], tmp_path: Path
) -> None:
    text = (folders[0] / "two_flows.toml").read_text("utf-8").replace('"two_flows"', '"many"')
    for k in range(4):
        text += f'\n[[iov]]\nname = "kappa_{k}"\nvalue = 0.1\nscale = "sd"\non = {{ CL = 1.0 }}\n'
        text += 'source = "invented"\n'
    (tmp_path / "many.toml").write_text(text, encoding="utf-8")
    rows = "1,5,18.2,110,0.3,female,{0}\n2,60,80,175,1.1,male,14\n3,5,18.2,110,0.3,female,1\n"
    answer = batch(
        "ID,age,WT,HT,scr_mg_dl,sex,days\n" + rows.format(2),
        *("--model", "many", "--models-dir", str(tmp_path), "--dose", "10 mg/m2", "--points", "4"),
    )
    first, second, third = answer.rows
    assert (first["error"], third["error"], answer.exit_code) == ("", "", 3)
    assert "random effects" in second["error"]


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("AGE,WT,HT,scr_mg_dl", "5,18.2,110,0.3"),
        ("age_years,weight_kg,height_cm,SCR", "5,18.2,110,0.3 mg/dL"),
        ("age_months,weight_g,height_m,scr_umol_l", "60,18200,1.10,26.52"),
        ("age,weight_lb,height_mm,creatinine_umol_l", "5,40.124132,1100,26.52"),
        ("Age (years),Weight [kg],Height_cm,Creatinine mg/dL", "5,18.2,110,0.3"),
        ("age,bw,height_in,EGFR", "5,18.2,43.30708661,151.433333"),
        ("age_weeks,weight,height_ft,GFR", "260.892857,18.2,3.608923885,151.433333"),
        ("age,weight_kg,height,crcl_ml_min", "5,18.2 kg,110 cm,65.275664"),
        ("age,WT,HT,CRCL", "5,18.2,110,65.275664"),
        ("age,WT,HT,crcl_ml_s", "5,18.2,110,1.0879277"),
        ("age_days,WT,HT,crcl_l_h", "1826.25,18.2,110,3.9165398"),
    ],
)
def test_a_patient_in_every_unit_is_the_same_patient(header: str, row: str) -> None:
    found = auc(f"{header}\n{row}\n", "--regimen", "tisa_cel_ball")
    assert found == pytest.approx(13.583943571554292, rel=1e-6)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_separator_gives_the_same_and_is_kept(delimiter: str, mark: str) -> None:
    text = mark + f"{HEAD},note\n{GIRL},x\n".replace(",", delimiter)
    answer = batch(text, delimiter=delimiter)
    (row,) = answer.rows
    assert float(row["auc_0_inf"]) == GIRL_AUC
    assert (row["note"], answer.exit_code) == ("x", 0)
    assert answer.out.startswith(b"\xef\xbb\xbf") is bool(mark)
    assert answer.out.count(b"\xef\xbb\xbf") == len(mark)


def test_decimal_commas_in_and_out() -> None:
    text = f"{HEAD}\n{GIRL}\n".replace(",", ";").replace(".", ",")
    row = one(text, delimiter=";")
    assert row["auc_0_inf"] == "13,583943571554292"
    assert row["WT"] == "18,2"


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ("18,2", "decimal comma: write '18.2'"),
        ("1,820", "could be a thousands separator or a decimal comma"),
        ("1 820", "thousands separator: write 1820"),
    ],
)
def test_a_comma_among_points_is_refused_in_its_row(weight: str, said: str) -> None:
    text = f'{HEAD}\n{GIRL}\n2,5,"{weight}",110,0.3,tisa_cel_ball\n{GIRL}\n'.replace(",", ";")
    answer = batch(text.replace(weight.replace(",", ";"), weight), delimiter=";")
    assert [bool(row["error"]) for row in answer.rows] == [False, True, False]
    assert said in answer.rows[1]["error"]
    assert (answer.exit_code, answer.rows[1]["ID"]) == (3, "2")


@pytest.mark.parametrize("days", ["1.234", "1.234,5", "12.345.678"])
def test_points_that_could_be_thousands_are_refused_among_decimal_commas(days: str) -> None:
    header = "ID;age_days;WT;HT;scr_mg_dl;regimen"
    text = f"{header}\n1;{days};18,2;110;0,3;tisa_cel_ball\n"
    assert f"age_days = '{days}': thousands or decimals?" in one(text, delimiter=";")["error"]


def test_quoted_cells_with_line_ends_and_separators() -> None:
    note = 'a "b"\r\nc, d;\te'
    quoted = note.replace('"', '""')
    answer = batch(f'note,{HEAD}\n"{quoted}",{GIRL}\nx,{GIRL}\n')
    assert [row["note"] for row in answer.rows] == [note, "x"]
    assert [float(row["auc_0_inf"]) for row in answer.rows] == [GIRL_AUC, GIRL_AUC]


@pytest.mark.parametrize(
    ("sexed", "said"),
    [
        (("SEXF", "1"), ""),
        (("SEXF", "0"), ""),
        (("SEX", "f"), ""),
        (("sexf", "2"), "SEXF = '2': 1 is female, 0 is male"),
        (("SEX", "1"), "SEX = '1' is a code we do not know"),
        (("SEX", "x"), "SEX = 'x': write female or male"),
    ],
)
def test_codes_of_sex_are_read_only_where_they_are_known(sexed: tuple[str, str], said: str) -> None:
    row = one(f"age,WT,HT,scr_mg_dl,{sexed[0]}\n60,80,175,1.1,{sexed[1]}\n", "--regimen=axi_cel")
    assert (said in row["error"]) if said else (row["error"] == "")
    if not said:
        assert row["sex"] == ("male" if sexed[1] == "0" else "female")


def test_a_column_can_be_mapped_or_left_unread() -> None:
    text = "ID,age,WT,WT2,HT,KREA\n1,5,99,18.2,110,26.52\n"
    found = auc(
        text, "--regimen=tisa_cel_ball",
        *("--map", "KREA=scr_umol_l", "--map", "WT=-", "--map", "WT2=weight_kg"),
    )  # fmt: skip
    assert found == GIRL_AUC


def test_a_mapped_column_tells_the_separator_and_its_decimals() -> None:
    text = "Alter;Gewicht;Groesse;Krea\n5;18,2;110;0,3\n"
    names = ("Alter=age", "Gewicht=weight_kg", "Groesse=height_cm", "Krea=scr_mg_dl")
    options = [word for name in names for word in ("--map", name)]
    assert auc(text, *options, "--regimen=tisa_cel_ball", delimiter=";") == GIRL_AUC


@pytest.mark.parametrize(
    ("header", "options", "said"),
    [
        ("age,HT,scr_mg_dl,regimen", (), "no column for weight; there are 'age', 'HT'"),
        ("age,WT,HT,regimen", (), "no column for a renal function"),
        ("age,WT,HT,egfr", (), "no column for a course"),
        ("age,WT,HT,egfr,dose (mg),days", (), "of one infusion, or of the course? If of one,"),
        ("a,b", (), "no column for age, weight, height, a renal function"),
        ("age,WT,weight_lb,HT,egfr,regimen", (), "'WT', 'weight_lb' are all weight: leave one out"),
        ("age,WT,WT,HT,egfr,regimen", (), "'WT', 'WT' are all weight: give each a name"),
        ("age,sex,SEXF,WT,HT,egfr,regimen", (), "'sex', 'SEXF' are all sex"),
        (HEAD, ("--map", "KREA=scr"), "--map KREA=scr: no such column; there are 'ID', 'age'"),
        (HEAD, ("--map", "WT=wieght"), "did you mean 'weight'?"),
        (HEAD, ("--map", "WT"), "--map WT: write COLUMN=NAME"),
    ],
)
def test_columns_that_cannot_be_used_are_refused_with_what_is_there(
    header: str, options: tuple[str, ...], said: str
) -> None:
    assert said in refused(f"{header}\n", *options)


def test_columns_that_are_not_understood_are_named_and_kept() -> None:
    answer = batch(f"ward,{HEAD},prodcut\n3,{GIRL},axi_cel\n")
    assert "columns kept but not read: 'ward', 'prodcut'" in answer.stderr
    assert (answer.rows[0]["ward"], answer.rows[0]["prodcut"]) == ("3", "axi_cel")
    assert "not read" not in batch(f"{HEAD}\n{GIRL}\n").stderr


def test_options_are_for_rows_that_do_not_say() -> None:
    text = (
        "ID,age,WT,HT,scr_mg_dl,sex,regimen,dose,days,model,product\n"
        "1,60,80,175,1.1,male,,,,,\n"
        "2,60,80,175,1.1,male,axi_cel,,,varela2025,\n"
        "3,60,80,175,1.1,male,,20 mg/m2,5,,\n"
        "4,60,80,175,1.1,male,,,2,.,tisa_cel\n"
        "5,60,80,175,1.1,male,,20 mg/m2,,,\n"
    )
    options = (
        "--dose=25 mg/m2",
        "--days=3",
        "--infusion-time=1",
        "--product=axi_cel",
        "--round-to=1",
    )
    answer = batch(text, *options, "--points=4")
    shown = [
        (row["result_regimen"], row["times_h"].count(" "), row["result_model"], row["infusion_h"],
         row["result_product"], row["round_to_mg"])
        for row in answer.rows
    ]  # fmt: skip
    assert shown[0] == ("custom", 2, "langenhorst2019", "1.0", "axi_cel", "1.0")
    assert shown[1] == ("axi_cel", 2, "varela2025", "1.0", "axi_cel", "1.0")
    assert shown[2] == ("custom", 4, "langenhorst2019", "1.0", "axi_cel", "1.0")
    assert shown[3] == ("custom", 1, "langenhorst2019", "1.0", "tisa_cel", "1.0")
    assert answer.rows[4]["error"] == "dose needs days, the number of infusions"
    assert [row["error"] for row in answer.rows[:4]] == [""] * 4


def test_a_model_nobody_has_is_an_error_of_its_row_and_a_bad_file_one_of_all(
    tmp_path: Path,
) -> None:
    text = f"{HEAD},model\n{GIRL},varella2025\n{GIRL},\n"
    answer = batch(text)
    assert "did you mean 'varela2025'?" in answer.rows[0]["error"]
    assert (answer.exit_code, answer.rows[1]["error"]) == (3, "")
    (tmp_path / "bad.toml").write_text("id = 1")
    bad = batch(text, "--models-dir", str(tmp_path))
    assert (bad.exit_code, bad.out) == (4, b"")


def test_every_name_of_a_column_is_documented() -> None:
    text = (ROOT / "docs" / "lists.md").read_text("utf-8")
    columns = text.partition("## Columns")[2].partition("## Results")[0]
    rows = [line.split("|")[1] for line in columns.splitlines() if line.startswith("| `")]
    named = [name.lower() for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == set(COLUMNS) | set(ALIASES)
    assert set(ALIASES.values()) <= set(COLUMNS)


# --- Every row in its place -----------------------------------------------------------------------


def test_error_rows_keep_their_place() -> None:
    rows = [GIRL, "2,5,18.2,110,,tisa_cel_ball", "", "4,5,18.2", f"{GIRL},more,=2", GIRL, ",,,,,"]
    answer = batch("\n".join([HEAD, *rows, GIRL]) + "\n,,,,,\n\n\n")
    errors = [row["error"] for row in answer.rows]
    assert (errors[0], errors[5], errors[7]) == ("", "", "")
    assert errors[1] == (
        'langenhorst2019 needs a renal function: scr_mg_dl "0.3 mg/dL", egfr or crcl'
    )
    assert errors[2] == errors[6] == "the row is empty"
    assert errors[3] == "3 cells, but the header has 6"
    assert errors[4] == "8 cells, but the header has 6; beyond it: 'more', '=2'"
    assert all(row["auc_0_inf"] == "" for row in answer.rows if row["error"])
    assert answer.exit_code == 3
    assert "8 rows: 3 likeliest below their target, 5 refused" in answer.stderr
    assert "row 5 (4): REFUSED: 3 cells" in answer.stderr
    assert batch(f"{HEAD}\n{GIRL}\n").exit_code == 0


def test_every_fault_of_a_row_is_said() -> None:
    text = "age,WT,HT,scr_mg_dl,dose,days,round_to_mg\nfive,0,110,0.3,30,4,x\n"
    error = one(text)["error"]
    assert error.count("; ") >= 2
    assert all(name in error for name in ("age = 'five", "dose = '30'", "round_to_mg = 'x'"))


def test_json_lines_have_the_cells_the_row_and_no_nan() -> None:
    answer = batch(f"note,{HEAD},note,row\na,{GIRL},b,c\na,2,5,,110,0.3,x,b,c\n", "--json")
    good, bad = answer.objects
    assert good["input"]["note"] == "a"
    assert good["input"]["note (2)"] == "b"
    assert (good["row"], bad["row"], good["input"]["row"]) == (2, 3, "c")
    assert (good["error"], bad["auc_0_inf"]) == (None, None)
    assert (good["models_agree"], good["points"]) == (True, 8192)
    assert "WT is missing" in bad["error"]
    names = {"row", "input", "columns_read", *result_columns(list(model_paths()))}
    assert set(good) == set(bad) == names
    assert good["columns_read"]["weight"] == "WT: kg"


@given(st.lists(st.sampled_from(["", "a", "a (2)", "a (3)", "b"])))
def test_names_told_apart_are_all_there(names: list[str]) -> None:
    found = distinct_names(names)
    assert len(set(found)) == len(found) == len(names)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


def test_what_the_list_says_cannot_give_orders_to_the_terminal() -> None:
    answer = batch(f'{HEAD}\n"\x1b[31m\nfludapk: all is well",5,18.2,110,x,{"y" * 2000}\n')
    assert "\x1b" not in answer.stderr
    assert len(answer.stderr.splitlines()) == 2
    assert max(map(len, answer.stderr.splitlines())) <= 300


def test_the_summary_begins_with_who_is_likeliest_to_miss_the_target() -> None:
    people = [f"p{k},5,18.2,110,{0.2 + k / 100:.2f},{k % 3 + 20} mg/m2,4" for k in range(30)]
    header = "ID,age,WT,HT,scr_mg_dl,dose,days,product,diagnosis\n"
    rows = "\n".join(f"{person},tisa_cel,b_all" for person in people)
    answer = batch(f"{header}{rows}\n", "--points=6")
    likelier_below = [
        (-float(row["p_below"]), float(row["auc_0_inf"]), int(row["ID"][1:]) + 2)
        for row in answer.rows
        if float(row["p_below"]) > 0.5
    ]
    shown = re.findall(r"^  row (\d+) ", answer.stderr, re.M)
    assert [int(row) for row in shown] == [row for *_, row in sorted(likelier_below)[:10]]
    assert f"... and {len(likelier_below) - 10} more: see stop and headline" in answer.stderr


def shown(p_below: float | None, auc: float = 13.0, stop_it: bool = False) -> Shown:
    target = None if p_below is None else targets()["fabrizio2022"]
    drawn = np.where(np.arange(100) < 100 * (p_below or 0.0), 10.0, 20.0)
    remarks = [stop("label_renal", "do not give")] if stop_it else []
    headline = headline_of(remarks, target, Simulated("m", auc, drawn))
    return Shown(headline, 4, 20.0, "m", "sha")


def test_a_tally_keeps_the_most_urgent_however_many_there_are() -> None:
    tally = Tally(keep=4)
    people = [shown(0.5), shown(0.1), shown(0.9), shown(None, 5.0), shown(0.0, stop_it=True),
              shown(0.9), shown(0.2), shown(None, 4.0)]  # fmt: skip
    for row, person in enumerate(people):
        tally.add(Done(row, "", None, person))
    assert [done.row for done in tally.worst] == [4, 2, 5, 0]
    assert tally.counts == {"within": 2, "below": 3, "no_target": 2, "stop": 1}


def test_tallies_of_parts_joined_are_the_tally_of_the_whole() -> None:
    people = [None if k % 7 == 3 else shown(k * 37 % 101 / 101, stop_it=k % 11 == 5)
              for k in range(40)]  # fmt: skip
    rows = [Done(k, "", None if person else "no", person, () if person else ("WT",))
            for k, person in enumerate(people)]  # fmt: skip
    whole, joined = Tally(keep=3), Tally(keep=3)
    for row in rows:
        whole.add(row)
    for start in range(0, 40, 8):
        part = Tally(keep=3)
        for row in rows[start : start + 8]:
            part.add(row)
        joined.join(part)
    assert joined.worst == whole.worst
    assert joined.refused == whole.refused
    assert (joined.rows, joined.counts, joined.asked) == (40, whole.counts, whole.asked)


# --- Whatever the file holds ----------------------------------------------------------------------

CELLS: Final = st.one_of(
    st.sampled_from(
        ["", "5", "18.2", "18,2", "110", "0.3", "0.3 mg/dL", "tisa_cel_ball", "female", "1e400",
         "-1", "nan", "=1+1", "+cmd|x", "@SUM(A1)", "-2+3", "1.234", "9" * 400, "1e308", ".",
         "x,=1", "a\nb", "a\r\n=b", 'say "=1"', "\x00", "\t=1", "30 mg/m2", " 7 "]
    ),
    st.text(max_size=6).filter(lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)),
    st.just("M\udcfcnchen"),
)  # fmt: skip
VALID: Final = {"age": "5", "WT": "18.2", "HT": "110", "scr_mg_dl": "0.3"}
NAMES: Final = st.sampled_from(
    [
        "ID",
        "scr",
        "sex",
        "regimen",
        "dose",
        "model",
        "note",
        "=cmd",
        "",
        "TIME",
        "AMT",
        "EVID",
        "a,b",
    ]
)


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[str], list[list[str]], str]:
    """Header, rows and separator of some list; some rows can be computed."""
    needed = list(VALID) if draw(st.integers(0, 4)) else ["age", "WT"]
    header = draw(st.permutations([*needed, *draw(st.lists(NAMES, max_size=3))]))

    def row(is_valid: bool) -> list[str]:
        if is_valid:
            return [
                VALID.get(name, "=x" if name in ("note", "=cmd", "") else "") for name in header
            ]
        width = draw(st.sampled_from([len(header)] * 3 + [1, len(header) + 2]))
        return [draw(CELLS) for _ in range(width)]

    rows = [row(draw(st.booleans())) for _ in range(draw(st.integers(0, 4)))]
    return list(header), rows, draw(st.sampled_from(",;\t"))


def unmarked(cell: str) -> str:
    return cell.replace("'", "")


@settings(max_examples=150, deadline=None)
@given(lists(), st.booleans())
@example((["age", "WT", "HT", "egfr", "x"], [["5", "18,2", "110", "90", "-1,5"]], ";"), True)
def test_any_list_is_answered_row_by_row_or_refused_whole(
    given_list: tuple[list[str], list[list[str]], str], quoted: bool
) -> None:
    header, rows, delimiter = given_list
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    if quoted:
        writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])
    options = ("--points=4", "--regimen=tisa_cel_ball")
    answer = batch(text.getvalue(), *options, delimiter=delimiter)
    if answer.exit_code == 3 and not answer.out:
        assert answer.stderr.startswith("fludapk: ")
        return
    lines = batch(text.getvalue(), *options, "--json").objects
    kept, *found = answer.cells
    place = kept.index("error") if "error" in kept else kept.index("result_error")
    assert answer.exit_code == (3 if any(row[place] for row in found) else 0)
    assert len(lines) == len(found)
    if {"TIME", "AMT", "EVID"} <= set(header):
        return
    assert list(map(unmarked, kept[: len(header)])) == list(map(unmarked, header))
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()  # at the end they are not there
    assert len(found) == len(rows)
    for row, cells, line in zip(rows, found, lines, strict=True):
        padded = [*row, *[""] * len(header)][: len(header)]
        assert list(map(unmarked, cells[: len(header)])) == list(map(unmarked, padded))
        assert list(line["input"].values()) == padded
        beyond = row[len(header) :]
        if any(more.strip() for more in beyond):
            assert all(repr(more) in line["error"] for more in beyond)
        assert [cell for cell in cells if is_formula(cell)] == []


def is_formula(cell: str) -> bool:
    bare = cell.strip()
    is_number = re.fullmatch(r"[+-]?[\d.,]*([eE][+-]?\d+)?", bare)
    return bare[:1] in set("=+-@＝＋－＠") and not is_number


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from([b"5", b",", b";", b"\n", b'"', b"\r", b"\x00", b"\xff", b"=1"]))
        .map(b"".join),
    ),
    st.booleans(),
)  # fmt: skip
def test_any_bytes_are_answered_or_refused(content: bytes, has_header: bool) -> None:
    head = b"age,WT,HT,egfr\n5,18.2,110,90\n" if has_header else b""
    answer = batch(head + content, "--points=4", "--regimen=tisa_cel_ball")
    assert answer.exit_code in (0, 3)
    if not answer.out:
        assert answer.stderr.startswith("fludapk: ")
    elif has_header:
        assert float(answer.rows[0]["auc_0_inf"]) > 0


def test_a_thousand_columns_are_kept_and_more_are_refused() -> None:
    names = [f"c{k}" for k in range(500)] + [""] * 494
    text = ",".join([HEAD, *names]) + "\n" + ",".join([GIRL, *["=1"] * 994]) + "\n"
    answer = batch(text, "--points=4")
    header, row = answer.cells
    assert len(header) == len(row) > 1000
    assert row[6:1000] == ["'=1"] * 994
    assert "and 982 more" in answer.stderr
    (line,) = batch(text, "--points=4", "--json").objects
    assert len(line["input"]) == 1000
    wider = batch(text.replace("\n", ",x\n", 1), "--points=4")
    assert (wider.exit_code, wider.out) == (3, b"")


def test_a_list_of_nothing_but_its_header_has_no_results() -> None:
    answer = batch(f"{HEAD}\n")
    assert (answer.exit_code, answer.rows) == (0, [])
    assert "0 rows" in answer.stderr
    assert batch(f"{HEAD}\n", "--json").out == b""
    assert "must name the columns" in refused("")


# --- The same whatever the machine does -----------------------------------------------------------


def crowd(n: int) -> str:
    """A list of many kinds of patients, some refused."""
    rows = [
        f"p{k},{1 + k % 70},{8 + k % 70 * 1.1:.1f},{75 + min(k % 70, 17) * 6},{0.3 + k % 13 / 10},"
        f"{['female', 'male', ''][k % 3]},{['tisa_cel_ball', 'axi_cel', 'hct_160', 'x'][k % 4]}"
        for k in range(n)
    ]
    return "\n".join(["ID,age,WT,HT,scr_mg_dl,sex,regimen", *rows]) + "\n"


def test_results_do_not_depend_on_chunks_or_processes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(crowd(120))
    source = open_list(path, COLUMNS.__contains__)
    layout = Layout.read(source.header)
    plan = Plan(layout=layout, log2_points=4)

    def done(size: int, processes: int) -> str:
        return "".join(
            part.text for part in run(plan, chunks(layout, source.rows(), size), processes)
        )

    whole = done(250, 1)
    assert whole.count("\n") == 120
    for size, processes in ((1, 1), (7, 1), (40, 2)):
        assert done(size, processes) == whole


def test_the_same_list_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(crowd(30) + "p,5,,110,0.3,female,tisa_cel_ball\n")
    answers = [
        subprocess.run(
            [sys.executable, "-m", "fludapk", "batch", str(path), "--points=4"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=False,
        )
        for seed in ("1", "2")
    ]
    assert answers[0].stdout == answers[1].stdout != b""
    assert answers[0].stderr == answers[1].stderr


# --- Whole or not at all --------------------------------------------------------------------------


def in_group(group: int) -> list[int]:
    """Processes of a group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_list_stopped_midway_leaves_no_results(tmp_path: Path, number: signal.Signals) -> None:
    path, out = tmp_path / "list.csv", tmp_path / "out.csv"
    path.write_text(crowd(20_000))
    out.write_text("of last time")
    process = subprocess.Popen(
        [sys.executable, "-m", "fludapk", "batch", str(path), "-o", str(out), "--points=4"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def has_begun() -> bool:  # beyond the first rows, so with all processes
        sizes = [part.stat().st_size for part in tmp_path.glob(".fludapk.*")]
        return process.poll() is not None or sizes > [600_000]

    try:
        assert eventually(has_begun)
        assert process.poll() is None
        if number == signal.SIGINT:  # Ctrl-C goes to all
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        assert eventually(lambda: not in_group(process.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert out.read_text() == "of last time"
    assert stdout == ""
    if number != signal.SIGKILL:
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["list.csv", "out.csv"]
        is_interrupt = number == signal.SIGINT
        assert stderr.strip() == ("Aborted!" if is_interrupt else "")
        assert process.returncode == (1 if is_interrupt else 128 + number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_python_loses_is_not_forgotten(number: signal.Signals) -> None:
    class Garbage:
        def __del__(self) -> None:
            signal.raise_signal(number)  # raises here, where nobody hears it

    garbage = Garbage()
    with _stopped_by_signals() as stop_if_told:
        stop_if_told()
        del garbage
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            stop_if_told()


def limited(size: int, *words: str) -> Answer:
    """A command that may write files of so many bytes only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return command(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n", [20, 300])
def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path, n: int) -> None:
    path = tmp_path / "list.csv"
    path.write_text(crowd(n))
    answer = limited(10_000, "batch", str(path), "-o", str(path), "--points=4")
    assert (answer.exit_code, answer.out) == (3, b"")
    assert answer.stderr == f"fludapk: {path}: cannot be written: File too large\n"
    assert path.read_text() == crowd(n)
    assert [entry.name for entry in tmp_path.iterdir()] == ["list.csv"]


def test_results_may_take_the_place_of_the_list(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{HEAD}\n{GIRL}\n")
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    assert command("batch", str(path), "-o", str(link)).exit_code == 0
    assert link.is_symlink()
    (row,) = csv.DictReader(io.StringIO(path.read_text()))
    assert float(row["auc_0_inf"]) == GIRL_AUC


@pytest.mark.parametrize(
    ("place", "why"),
    [("none/out.csv", "No such file or directory"), (".", "it is not a file"),
     ("/dev/null", "it is not a file"), ("list.csv/out.csv", "Not a directory")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, place: str, why: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{HEAD}\n{GIRL}\n")
    answer = command("batch", str(path), "-o", str(tmp_path / place))
    assert (answer.exit_code, answer.out) == (3, b"")
    assert answer.stderr == f"fludapk: {tmp_path / place}: cannot be written: {why}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["list.csv"]


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    program = (
        "import os, sys\n"
        "from fludapk.atomic import write_whole\n"
        "if os.geteuid() == 0:\n    os.setuid(65534)\n"  # root may write anywhere
        "write_whole(sys.argv[1], 'x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out.csv")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    tmp_path.chmod(0o755)
    assert done.stderr.endswith("out.csv: cannot be written: Permission denied\n")
    assert list(tmp_path.iterdir()) == []


def test_standard_output_that_is_full_or_closed(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(crowd(200))
    words = [sys.executable, "-m", "fludapk", "batch", str(path), "--points=4"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert done.stderr == b"fludapk: standard output: cannot be written: No space left on device\n"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


# --- NONMEM-style records -------------------------------------------------------------------------

RECORDS: Final = "ID,TIME,AMT,RATE,EVID,MDV,AGE,WT,HT,EGFR"
GIVEN: Final = "5,18.2,110,90"


def records(*doses: str, ids: str = "1") -> str:
    """Records ``TIME,AMT,RATE,EVID,MDV`` of the girl."""
    return "\n".join([RECORDS, *(f"{ids},{dose},{GIVEN}" for dose in doses)]) + "\n"


@settings(max_examples=15, deadline=None)
@given(patients())
def test_the_events_of_a_check_give_its_auc(asked: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.csv"
        options = [f"--{name.replace('_', '-')}={text}" for name, text in asked.items()]
        alone = command("check", *options, "--json", "--events", str(events))
        if alone.exit_code:
            return
        text = events.read_text()
    expected = json.loads(alone.out)
    others = ("model", "product", "diagnosis", "genotype", "bsa_formula", "egfr_formula", "regimen")
    row = one(text, *(f"--{k.replace('_', '-')}={asked[k]}" for k in others if k in asked))
    assert row["error"] == ""
    assert float(row["auc_0_inf"]) == pytest.approx(expected["exposure"]["auc_0_inf"], rel=1e-12)
    assert float(row["cmax_mg_l"]) == pytest.approx(expected["exposure"]["cmax_mg_l"], rel=1e-12)
    assert row["flag"] == expected["flag"]
    assert float(row["total_mg"]) == pytest.approx(expected["regimen"]["total_mg"], rel=1e-12)


UNEVEN: Final = [(2.0, 20.0, 0.5), (30.5, 10.0, 1.0), (49.0, 25.0, 0.25), (100.0, 7.0, 4.0)]
"""Start (h), phosphate (mg), length (h)."""


@pytest.mark.parametrize("model", ["langenhorst2019", "langenhorst2019_indexed"])
def test_uneven_doses_and_times_against_the_twin(model: str) -> None:
    twin = reference.load(ROOT / "models" / f"{model}.toml")
    girl = {"AGE": 5.0, "SEX": None, "WT": 18.2, "HT": 110.0, "eGFR": 90.0}
    typical = reference.typical(twin, reference.covariates_of(twin, girl))
    infusions = [(start, length, mg * 0.781) for start, mg, length in UNEVEN]
    text = records(*(f"{start},{mg},{mg / length!r},1,1" for start, mg, length in UNEVEN))
    row = one(text, "--amt", "phosphate", "--model", model, "--cells-at", "110")
    assert row["error"] == ""
    assert float(row["auc_0_inf"]) == pytest.approx(
        reference.auc_0_inf(typical, infusions), rel=1e-9
    )
    assert row["times_h"] == "0 28.5 47 98"
    assert float(row["total_mg"]) == 62.0
    (conc,), (so_far,) = reference.solve_expm(typical, infusions, [112.0])
    assert float(row["conc_at_cells_mg_l"]) == pytest.approx(conc, rel=1e-9)
    assert float(row["auc_to_cells"]) == pytest.approx(so_far, rel=1e-9)


def test_amt_is_phosphate_or_f_ara_a_and_must_be_said() -> None:
    text = records("0,20,40,1,1", "24,20,40,1,1")
    assert "is AMT mg of fludarabine phosphate or of F-ara-A" in one(text)["error"]
    phosphate, f_ara_a = auc(text, "--amt=phosphate"), auc(text, "--amt=f_ara_a")
    assert phosphate == pytest.approx(0.781 * f_ara_a, rel=1e-12)
    with_dose = text.replace(RECORDS, f"{RECORDS},DOSE_MG").replace(GIVEN, f"{GIVEN},20")
    assert auc(with_dose) == auc(with_dose, "--amt=f_ara_a") == phosphate


def test_observations_are_passed_over_and_each_id_is_a_row() -> None:
    doses = [f"{24 * k},20,40,1,1" for k in range(3)]
    text = records(doses[0], "1,.,.,0,0", doses[1], "30,0,,2,1", doses[2])
    text += records(*doses, ids="2").partition("\n")[2]
    answer = batch(text, "--amt=phosphate", "--points=4")
    first, second = answer.rows
    assert first["auc_0_inf"] == second["auc_0_inf"] != ""
    assert (first["ID"], second["ID"], answer.exit_code) == ("1", "2", 0)
    assert not {"TIME", "AMT", "EVID"} & set(first)
    assert "2 rows: 2 without a target that fits" in answer.stderr


@pytest.mark.parametrize(
    ("doses", "said"),
    [
        (["0,20,40,3,1"], "EVID = 3: only 0, 1 and 2 are read"),
        (["0,20,40,4,1"], "EVID = 4"),
        (["0,20,40,,1"], "EVID is missing"),
        (["0,20,40,0,1"], "EVID = 0 with AMT = 20: a dose has EVID 1"),
        ([".,20,40,1,1"], "TIME is missing"),
        (["10:30,20,40,1,1"], "TIME = '10:30' is a time of day without its date"),
        (["0,20,0,1,1"], "RATE = 0: fludarabine is infused"),
        (["0,20,-2,1,1"], "RATE = -2"),
        (["0,.,40,1,1"], "AMT = 0: a dose in mg above zero"),
        (["0,-1,40,1,1"], "AMT = -1"),
        (["0,20,0.001,1,1"], "infusion 1 takes 20000 h"),
        (["0,20,40,1,1", "0.2,20,40,1,1"], "infusions 1 and 2 overlap"),
        (["24,20,40,1,1", "0,20,40,1,1"], "TIME of the doses must ascend"),
        (["0,20,40,1,1", "0,20,40,1,1"], "TIME of the doses must ascend"),
        (["0,20,40,0,1".replace("20", "0")], "no record with EVID 1"),
        ([f"{24 * k},1,2,1,1" for k in range(15)], "from 1 to 14 doses"),
        (["0,nan,40,1,1"], "AMT = 0: a dose in mg above zero"),
        (["0,inf,40,1,1"], "not a finite number"),
    ],
)
def test_records_that_cannot_be_a_course_are_refused_in_place(doses: list[str], said: str) -> None:
    others = records("0,20,40,1,1", ids="2").partition("\n")[2]
    answer = batch(records(*doses) + others, "--amt=phosphate", "--points=4")
    first, second = answer.rows
    assert said in first["error"]
    assert (second["error"], answer.exit_code) == ("", 3)


@pytest.mark.parametrize(
    ("doses", "words"),
    [
        (["0,40,80,1,1"], "mg/m2 in a day, at most 50"),
        (["0,20,40,1,1", "6,20,40,1,1"], "mg/m2 in a day, at most 50"),
        ([f"{24 * k},30,60,1,1" for k in range(7)], "mg/m2 in the course, at most 250"),
    ],
)
def test_recorded_doses_above_a_ceiling_are_computed_with_a_stop(
    doses: list[str], words: str
) -> None:
    row = one(records(*doses), "--amt=phosphate", "--points=4")
    assert row["error"] == ""
    assert row["stop"].startswith("given above a ceiling: ")
    assert words in row["stop"]
    assert float(row["auc_0_inf"]) > 0


@pytest.mark.parametrize(
    ("column", "said"),
    [("ADDL", "ADDL = 3 without II: add their interval"), ("SS", "SS = 3 is not used here")],
)
def test_doses_between_the_lines_are_refused(column: str, said: str) -> None:
    text = f"{RECORDS},{column}\n1,0,20,40,1,1,{GIVEN},3\n2,0,20,40,1,1,{GIVEN},0\n"
    first, second = batch(text, "--amt=phosphate", "--points=4").rows
    assert first["error"].startswith(said)
    assert second["error"] == ""


def test_covariates_that_change_are_refused_in_the_order_of_the_columns() -> None:
    text = records("0,20,40,1,1") + "1,24,20,40,1,1,6,19,110,90\n"
    error = one(text, "--amt=phosphate")["error"]
    assert error.startswith("age changes within the course")
    assert error.index("age changes") < error.index("weight changes")


def test_a_covariate_may_stand_in_one_record_only() -> None:
    text = f"{RECORDS}\n1,0,20,40,1,1,{GIVEN}\n1,24,20,40,1,1,.,.,,\n"
    assert auc(text, "--amt=phosphate") > 0


def test_an_id_that_comes_again_is_refused_everywhere() -> None:
    lines = [f"{name},{k},20,40,1,1,{GIVEN}" for k, name in enumerate("1223415")]
    answer = batch("\n".join([RECORDS, *lines]) + "\n", "--amt=phosphate", "--points=4")
    assert [row["ID"] for row in answer.rows] == ["1", "2", "3", "4", "1", "5"]
    wrong = ["comes again after another ID" in row["error"] for row in answer.rows]
    assert wrong == [True, False, False, False, True, False]


def test_what_records_say_is_not_to_be_said_again() -> None:
    text = records("0,20,40,1,1")
    said = refused(text, "--dose=30 mg/m2", "--days=4", "--round-to=1")
    assert "leave out --dose and --days and --round-to: records say what was given" in said
    assert "no column for ID" in refused(text.replace("ID,", "XX,", 1))
    kept = one(text.replace("MDV", "DOSE"), "--amt=phosphate", "--regimen=tisa_cel_ball")
    assert (kept["error"], kept["DOSE"], kept["product"]) == ("", "1", "tisa_cel")


def test_a_row_of_records_says_what_its_doses_were_read_from() -> None:
    text = records("0,20,40,1,1").replace("TIME", "Time (min)").replace("AMT", "Amount")
    read_as = one(text, "--amt=phosphate")["columns_read"]
    assert "time = Time (min): min; amt = Amount: mg; rate = RATE: mg/h; evid = EVID" in read_as


def test_a_survey_counts_results() -> None:
    layout = Layout.read(["ID", "TIME", "AMT", "EVID", "age", "WT", "HT", "egfr"])
    rows = [[name] for name in "aabbacc"]
    assert survey(layout, rows) == (4, frozenset("a"))
    groups = list(itertools.chain.from_iterable(chunks(layout, rows, 2)))
    assert [(row, len(together)) for row, together in groups] == [(2, 2), (4, 2), (6, 1), (7, 2)]
