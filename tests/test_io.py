"""A file of results appears whole or not at all."""

import stat
from pathlib import Path

import pytest

from fludapk.errors import InputError
from fludapk.io import write_whole


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
