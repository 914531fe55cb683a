"""Compiled kernels on disk, in processes of their own that use a copy of the package.

Folders that cannot be written are imitated by a plain file in their place: permissions would not
stop root. One small kernel stands for all.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parents[2] / "fludapk"

PROGRAM: Final = """
import numpy as np
from fludapk.cli.common import say_first_compilation
from fludapk.pk.jit import on_first_compilation
from fludapk.pk.kernels import courses, estimates, small

def call():
    x = np.full(1, 2.0)
    small.doubled(x)
    return x[0]

say_first_compilation()
{before}
print("ready", flush=True)
input()
print(call())
{after}
"""
ANSWER: Final = "4.0\n"

KERNELS: Final = {
    "small_part.py": """
from fludapk.pk.jit import part

@part
def twice(x):
    return 2.0 * x
""",
    "small.py": """
from fludapk.pk.jit import kernel
from fludapk.pk.kernels.small_part import twice

@kernel
def doubled(x):
    for i in range(x.size):
        x[i] = twice(x[i])
""",
}
"""A small kernel of its own for the copies, in two files: the real ones take seconds."""
MESSAGE: Final = "fludapk: compiling kernels, once after installing (some seconds) ...\n"


def start(
    folder: Path, *, before: str = "", after: str = "", program: str = PROGRAM
) -> subprocess.Popen[str]:
    """Begin a process that uses the copy in `folder` and waits for a line to call a kernel."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "user")}
    return subprocess.Popen(
        [sys.executable, "-c", program.format(before=before, after=after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        text=True,
    )


def expect(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == line


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Let a process continue; return its stdout, without "ready", and stderr."""
    try:
        out, err = process.communicate("\n", timeout=60)
    finally:
        process.kill()
    return out.removeprefix("ready\n"), err


def run(folder: Path, *, before: str = "", after: str = "") -> tuple[str, str]:
    return end(start(folder, before=before, after=after))


def copy(folder: Path) -> Path:
    """Install the package, with `KERNELS`, into a folder."""
    shutil.copytree(PACKAGE, folder / "fludapk", ignore=shutil.ignore_patterns("__pycache__"))
    for name, source in KERNELS.items():
        (kernels_of(folder) / name).write_text(source, encoding="utf-8")
    return folder


def kernels_of(folder: Path) -> Path:
    return folder / "fludapk" / "pk" / "kernels"


def cannot_be_a_folder(path: Path) -> None:
    path.write_text("in the way", encoding="utf-8")


@pytest.fixture(scope="module")
def two_at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]]]:
    """A folder that two processes used at the same time, before any kernel was cached."""
    folder = copy(tmp_path_factory.mktemp("kept"))
    wait = 'on_first_compilation(lambda: input(print("compiling", flush=True) or ""))'
    processes = [start(folder, before=wait), start(folder, before=wait)]
    for process in processes:
        expect(process, "ready\n")
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:  # neither ends its compilation before the other begins
        expect(process, "compiling\n")
    return folder, [end(process) for process in processes]


@pytest.fixture
def used(two_at_once: tuple[Path, list[tuple[str, str]]], tmp_path: Path) -> Path:
    """A folder with cached kernels."""
    shutil.copytree(two_at_once[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_two_processes_that_start_at_once_leave_a_sound_cache(
    two_at_once: tuple[Path, list[tuple[str, str]]],
) -> None:
    folder, outputs = two_at_once
    assert outputs == [(ANSWER, MESSAGE)] * 2
    assert run(folder) == (ANSWER, "")
    assert not list(folder.rglob("*.tmp.*"))


def test_where_the_package_cannot_be_written_kernels_are_kept_for_the_user(tmp_path: Path) -> None:
    cannot_be_a_folder(kernels_of(copy(tmp_path)) / "__pycache__")
    answer, message = run(tmp_path)
    (index,) = tmp_path.rglob("*.nbi")
    assert index.is_relative_to(tmp_path / "user")
    assert answer == ANSWER
    assert message == MESSAGE.replace(" (some", f", to be kept in {index.parent} (some")
    assert run(tmp_path) == (ANSWER, "")


def test_without_any_folder_kernels_are_compiled_at_each_start(tmp_path: Path) -> None:
    cannot_be_a_folder(kernels_of(copy(tmp_path)) / "__pycache__")
    cannot_be_a_folder(tmp_path / "user")
    answer, message = run(tmp_path)
    assert answer == ANSWER
    assert message.startswith("fludapk: compiling kernels, at each start: no folder")
    assert "NUMBA_CACHE_DIR" in message
    assert message.count("\n") == 1


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))"
    assert run(copy(tmp_path), before=full) == (ANSWER, MESSAGE)
    assert not list(tmp_path.rglob("*.nb[ci]"))


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_file_that_was_cut_off_is_made_anew(used: Path, suffix: str) -> None:
    (file,) = used.rglob(f"*.{suffix}")
    os.truncate(file, file.stat().st_size // 2)
    assert run(used) == (ANSWER, MESSAGE)
    assert run(used) == (ANSWER, "")


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.7, 0.98, 1.0])
def test_a_bit_that_flipped_on_the_disk_costs_a_compilation_and_no_number(
    used: Path, suffix: str, place: float
) -> None:
    (file,) = used.rglob(f"*.{suffix}")
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0b100
    file.write_bytes(content)
    assert run(used) == (ANSWER, MESSAGE)
    assert run(used) == (ANSWER, "")


def test_the_code_of_another_kernel_does_not_run_in_its_place(used: Path) -> None:
    (code,) = used.rglob("*.nbc")
    (index,) = used.rglob("*.nbi")
    code.write_bytes(index.read_bytes())
    assert run(used) == (ANSWER, MESSAGE)


def test_a_kill_during_the_first_use_of_a_new_version_leaves_no_old_code(used: Path) -> None:
    make_four_times(used)
    killed = "import os; put = os.replace; os.replace = lambda *to: (put(*to), os._exit(9))"
    assert run(used, before=killed)[0] == ""
    answer, _ = run(used)
    assert float(answer) == pytest.approx(2 * float(ANSWER))


def make_four_times(folder: Path) -> None:
    """Edit the part, not the kernel that calls it."""
    source = kernels_of(folder) / "small_part.py"
    source.write_text(source.read_text("utf-8").replace("2.0 * x", "4.0 * x"), "utf-8")


def test_a_kernel_notices_an_edit_in_another_file_of_kernels(used: Path) -> None:
    assert run(used) == (ANSWER, "")
    make_four_times(used)
    answer, message = run(used)
    assert float(answer) == pytest.approx(2 * float(ANSWER))
    assert message == MESSAGE
    assert run(used) == (answer, "")


@pytest.mark.parametrize("hidden", ["caching.IndexDataCacheFile", "options.DefaultOptions"])
def test_without_a_private_name_of_numba_kernels_are_kept_the_plain_way(
    tmp_path: Path, hidden: str
) -> None:
    copy(tmp_path)
    module, name = hidden.split(".")
    program = f"""
import numba.core.{module} as inside
kept = vars(inside).pop("{name}")
import fludapk.pk.jit
inside.{name} = kept
{PROGRAM}"""
    for message in (MESSAGE, ""):
        answer, err = end(start(tmp_path, program=program))
        assert answer == ANSWER, err
        assert err == message
    assert list(kernels_of(tmp_path).rglob("*.nbi"))


def test_threads_and_a_fork_during_a_compilation_get_the_answer(tmp_path: Path) -> None:
    before = """
import os, signal, threading, time
compiling, answers = threading.Event(), []
on_first_compilation(compiling.set)
threads = [threading.Thread(target=lambda: answers.append(call())) for _ in range(3)]
for thread in threads: thread.start()
compiling.wait()
time.sleep(0.03)
child = os.fork()
if not child:
    signal.alarm(30)
    os.write(1, b"%a\\n" % float(call()))
    os._exit(0)
os.waitpid(child, 0)
for thread in threads: thread.join()
print(*answers, sep="\\n")
"""
    answers, _ = run(copy(tmp_path), before=before)
    assert answers.replace("ready\n", "") == 5 * ANSWER
    assert run(tmp_path) == (ANSWER, "")


@pytest.mark.parametrize(
    "call",
    [
        "courses.course(*map(np.ones, [(1, 6), (6, 1), (1, 1), (6, 1), (1, 1, 1), 1, 1, (1, 1),"
        " 3, (1, 3), (1, 3)]))",
        "estimates.log_posterior(*map(np.ones, [(1, 1, 6), (6, 2)]), 1,"
        " *map(np.ones, [(1, 3, 1), (1, 3, 2), 4, (1, 2), (1, 2)]))",
    ],
    ids=["course", "log_posterior"],
)
def test_no_part_is_compiled_twice(tmp_path: Path, call: str) -> None:
    """By default numba compiles for each literal, which costs half a second of the first use."""
    counted = """
parts = {id(part): part for module in (courses, estimates) for part in vars(module).values()}
every = [len(part.signatures) for part in parts.values() if hasattr(part, "signatures")]
print(sum(every) > 12, max(every))
"""
    answer, _ = run(copy(tmp_path), before=call, after=counted)
    assert answer == ANSWER + "True 1\n"
