"""Files that are there whole and for good, or not at all."""

import os
from pathlib import Path

import pytest

from appliance.durable import write_whole


@pytest.fixture
def steps(monkeypatch):
    """What reaches the disk, in order: the file, its name, the folder."""
    seen = []
    fsync, rename = os.fsync, os.replace

    def synced(number):
        seen.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        fsync(number)

    def renamed(source, target, **more):
        seen.append(str(target))
        rename(source, target, **more)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return seen


def test_the_bytes_the_name_and_the_folder_reach_the_disk_in_this_order(tmp_path, steps):
    path = tmp_path / "state"
    write_whole(path, "text")
    assert path.read_text() == "text"
    assert steps == [f"{path}.new", str(path), str(tmp_path)]


def test_what_was_there_stays_until_all_is_written(tmp_path, monkeypatch):
    path = tmp_path / "state"
    write_whole(path, "before")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    monkeypatch.undo()
    write_whole(path, "after")  # what the failure has left is not in the way
    assert path.read_text() == "after"
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_does_not_depend_on_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "state", "text", mode=0o640)
    finally:
        os.umask(before)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o640
