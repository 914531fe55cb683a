"""Files keep their owner's mode, half-written ones are nobody's, and every stream may be broken."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from fludapk.atomic import read_whole, whole_file, write_whole
from fludapk.cli import main
from fludapk.errors import FileError, InputError
from fludapk.patients.level_list import read_levels
from fludapk.published.models import load_models, model_folders
from fludapk.studies.evaluate import evaluate
from fludapk.studies.simulate import read_scenario

ROOT: Final = Path(__file__).parents[2]
GIRL: Final = ["--age", "5", "--sex", "female", "--weight", "18.2", "--height", "110", "--scr",
               "0.3 mg/dL", "--regimen", "tisa_cel_ball"]  # fmt: skip
COMMAND: Final = [sys.executable, "-m", "fludapk"]
LIST: Final = (
    "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen\n"
    "a,5,female,18.2,110,0.3,tisa_cel_ball\n"
)
linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, permissions: int) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")
    path.chmod(permissions)
    write_whole(path, "new")
    assert (path.read_text(), mode(path)) == ("new", permissions)


def test_a_new_file_has_the_mode_of_the_user(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new.csv", "x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new.csv") == 0o640


def test_an_unfinished_file_is_nobody_elses(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x.csv") as file:
        file.write(b"a patient")
        (unfinished,) = tmp_path.iterdir()
        assert mode(unfinished) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_the_next_start_cleans_up_after_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from fludapk.atomic import whole_file\n"
        "with whole_file(sys.argv[1]) as file:\n"
        "    file.write(b'a patient'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.csv")], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert mode(left) == 0o600
    other = tmp_path / ".fludapk.another-machine.1.abc"
    other.write_text("theirs")
    with whole_file(tmp_path / "y.csv"), whole_file(tmp_path / "z.csv"):
        pass  # both of this process, which runs
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "y.csv", "z.csv"]


def test_a_link_to_nothing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(InputError, match="link to nothing"):
        write_whole(tmp_path / "link.csv", "x")
    assert not (tmp_path / "elsewhere.csv").exists()


def test_a_pipe_is_not_read_as_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "model.toml"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="not a file"):
        read_whole(pipe)
    with pytest.raises(InputError, match="not a file"):
        write_whole(pipe, "x")
    with pytest.raises(FileError, match="not a file"):
        load_models(model_folders(tmp_path))
    with pytest.raises(FileError, match="not a file"):
        read_scenario(pipe)
    with pytest.raises(InputError, match="is not a file on disk"):
        evaluate(pipe)
    with pytest.raises(InputError, match="is not a file on disk"):
        read_levels(pipe)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 50_000,
        "x = " + "9" * 5000,
        "x = {" * 5000,
        "\x00",
        "x = 1e999999",
        "[" * 9000,
    ],
    ids=["nested", "digits", "tables", "nul", "huge", "brackets"],
)
def test_a_monstrous_file_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    result = CliRunner().invoke(main, ["simulate", str(path)])
    assert result.exit_code == 4
    assert "Traceback" not in result.stderr


def test_a_report_never_takes_the_place_of_a_list(tmp_path: Path) -> None:
    path, out = tmp_path / "list.csv", tmp_path / "out.csv"
    path.write_text(LIST)
    link = tmp_path / "link.html"
    link.symlink_to(path)
    for report in (path, link, out):
        words = ["batch", str(path), "-o", str(out), "--report", str(report)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 3
        assert "is the list or its results" in result.stderr
    assert path.read_text() == LIST


# --- Streams --------------------------------------------------------------------------------------


@linux
def test_a_full_standard_output_is_told_in_a_line() -> None:
    for words in (["check", *GIRL], ["models", "list"], ["check", *GIRL, "--json"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                check=False,
            )  # fmt: skip
        assert done.returncode == 3
        assert done.stderr == (
            "fludapk: standard output: cannot be written: No space left on device\n"
        )


@linux
def test_a_full_standard_error_costs_no_answer_and_no_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        good, bad = (
            subprocess.run(
                [*COMMAND, "check", *words],
                stdout=subprocess.PIPE,
                stderr=full,
                text=True,
                cwd=ROOT,
                check=False,
            )
            for words in (GIRL, GIRL[2:])
        )
    assert (good.returncode, "13.58" in good.stdout) == (0, True)
    assert (bad.returncode, bad.stdout) == (3, "")


def test_a_closed_standard_output_is_told_in_a_line() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "check", *GIRL],
        stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "fludapk: standard output is closed: nothing can be answered\n"


def test_a_closed_standard_error_costs_no_answer() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "check", *GIRL],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (done.returncode, "13.58" in done.stdout) == (0, True)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437"])
def test_no_sign_is_lost_in_an_old_code_page(encoding: str) -> None:
    done = subprocess.run(
        [*COMMAND, "targets", "list"], capture_output=True, cwd=ROOT, check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert "≥ 13.8" in done.stdout.decode("utf-8")


# --- Signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_file(tmp_path: Path, number: signal.Signals) -> None:
    rows = LIST + "".join(f"p{k},5,female,18.2,110,0.3,tisa_cel_ball\n" for k in range(60_000))
    (tmp_path / "list.csv").write_text(rows)
    process = subprocess.Popen(
        [*COMMAND, "batch", "list.csv", "-o", "out.csv"], cwd=tmp_path, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests may run under nohup
    )  # fmt: skip
    while process.poll() is None and len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) != 0
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_a_study_that_is_told_to_stop_keeps_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        'title = "s"\nseed = 1\npatients = 400000\nmodels = ["langenhorst2019"]\n'
        'population = { use = "prwcc_ball" }\n'
        '[[strategies]]\nid = "a"\nkind = "fixed"\nregimen = "tisa_cel_ball"\n'
        '[[strategies]]\nid = "b"\nkind = "adaptive"\nauc = 17.0\nregimen = "tisa_cel_ball"\n'
        "levels_h = [2.0]\n"
    )
    process = subprocess.Popen(
        [*COMMAND, "simulate", "study.toml", "-o", "out"], cwd=tmp_path, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    parts = tmp_path / "out" / ".parts"
    while process.poll() is None and not list(parts.glob("*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert [path.name for path in parts.iterdir()] == ["langenhorst2019--a.json"]
