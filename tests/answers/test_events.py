"""A file of results appears whole or not at all."""

import csv
import io
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fludapk.answers.check import check
from fludapk.answers.events import EVENT_COLUMNS, events_csv
from fludapk.atomic import write_whole
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_exposure
from fludapk.published.models import load_model


def test_a_file_is_written_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.csv"
    path.write_text("old")
    write_whole(path, "a,b\r\n1,≥ 13.8\n")
    assert path.read_bytes() == "a,b\r\n1,≥ 13.8\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.csv"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_a_folder_that_does_not_exist_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/page.html: cannot be written: No such file"):
        write_whole(tmp_path / "nowhere" / "page.html", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "page", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page"]


# --- NONMEM-style records -------------------------------------------------------------------------

GIRL = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
TYPED = [
    *("check", "--age", "5", "--weight", "18.2", "--height", "110", "--egfr", "140"),
    *("--regimen", "tisa_cel_ball"),
]


def test_a_course_run_again_from_its_records_gives_the_same_auc() -> None:
    result = check(GIRL, Regimen.named("tisa_cel_ball"), round_to_mg=1)
    records = list(csv.DictReader(io.StringIO(events_csv(result))))
    times, amounts, rates = (
        np.array([float(record[name]) for record in records]) for name in ("TIME", "AMT", "RATE")
    )
    assert [record["DOSE_MG"] for record in records] == ["22"] * 4
    # By hand, from the records alone.
    first = {name: float(records[0][name]) for name in ("WT", "BSA", "EGFR_MODEL")}
    gfr = first["EGFR_MODEL"] * first["BSA"] / 1.73 * 0.06 * 70 / first["WT"]
    clearance = (3.24 + 0.782 * gfr) * (first["WT"] / 70) ** 0.75
    assert amounts.sum() / clearance == pytest.approx(result.exposure.auc_0_inf, rel=1e-12)
    # By the kernels, with the peak, which needs the rates.
    program = load_model().program
    tv, _ = program.typical_values(np.array([[gfr, first["WT"]]]))
    nobody = RandomEffects.none(program, 4)
    again = course_exposure(program, tv, nobody, times, amounts / rates, amounts[np.newaxis])
    assert again.cmax[0] == pytest.approx(result.exposure.cmax_mg_l, rel=1e-12)


def test_what_is_not_known_is_a_dot() -> None:
    nobody_asked = Patient(age_years=5, weight_kg=18.2, height_cm=110, egfr_ml_min_1_73m2=90)
    text = events_csv(check(nobody_asked, Regimen.named("tisa_cel_ball")))
    record = next(csv.DictReader(io.StringIO(text)))
    assert tuple(record) == EVENT_COLUMNS
    assert (record["SEXF"], record["SCR_MG_DL"], record["CRCL"]) == (".", ".", ".")
    assert (record["EGFR"], record["EVID"], record["MDV"]) == ("90", "1", "1")


def test_the_command_writes_the_records_and_the_report_beside_the_page(tmp_path: Path) -> None:
    events, report = tmp_path / "course.csv", tmp_path / "girl.html"
    done = CliRunner().invoke(main, [*TYPED, "--events", str(events), "--report", str(report)])
    assert done.exit_code == 0
    assert done.stdout == CliRunner().invoke(main, TYPED).stdout
    assert events.read_text("utf-8").startswith("ID,TIME,AMT,RATE,EVID,MDV")
    assert "13.58" in report.read_text("utf-8")


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for option in ("--events", "--report"):
        done = CliRunner().invoke(main, [*TYPED, option, str(tmp_path / "no" / "file")])
        assert (done.exit_code, done.stdout) == (3, "")
        assert "cannot be written" in done.stderr


ROUND_TRIPS = {
    "creatinine": ("--age 5 --sex female --weight 18.2 --height 110", "0.3 mg/dL", "tisa_cel_ball"),
    "another model": ("--age 61 --sex male --weight 82 --height 176 --egfr 60 --model varela2025",
                      "", "axi_cel"),
    "genotype": ("--age 17 --sex male --weight 50 --height 160 --diagnosis aplastic_anaemia "
                 "--genotype GG --model mohanan2017", "", "hct_160"),
    "formulas": ("--age 2 --sex female --weight 12 --height 86 --bsa-formula haycock "
                 "--egfr-formula schwartz_original --days 3 --interval 48", "0.2 mg/dL",
                 "tisa_cel_ball"),
    "confirmed, capped": ("--age 60 --sex male --weight 160 --height 175 --confirm weight "
                          "--bsa-cap 2 --round-to 5 --cells-at 100", "1 mg/dL", "axi_cel"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_list_repeats_a_check_from_its_records(name: str, tmp_path: Path) -> None:
    options, scr, regimen = ROUND_TRIPS[name]
    events = tmp_path / "course.csv"
    typed = ["check", *options.split(), "--regimen", regimen, *(["--scr", scr] if scr else [])]
    once = CliRunner().invoke(main, [*typed, "--events", str(events), "--json"])
    assert once.exit_code == 0, once.output
    again = CliRunner().invoke(main, ["batch", str(events), "--json"])
    (expected, row) = json.loads(once.stdout), json.loads(again.stdout.splitlines()[0])
    for part in ("auc_0_inf", "cmax_mg_l", "conc_at_cells_mg_l", "clearance_l_h"):
        same = expected["exposure"][part]
        assert row[part] == (same if same is None else pytest.approx(same, rel=1e-11))
    assert row["model"] == expected["model"]
    assert row["headline"] == expected["headline"]["sentence"]
    assert row["label_rules_refusing"] == ""
