"""Atomic files and folders: complete or absent, also for a killed process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from landslide_tf.errors import DataError, RunError
from landslide_tf.files import (
    atomic_folder,
    atomic_path,
    file_states,
    locked,
    remove_leftovers,
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_with_its_bytes_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "table.csv"
    with atomic_path(target) as path:
        assert path.parent == target.parent
        assert path.suffix == ".csv"
        path.write_text("a,b\n")
        assert not target.exists()
    assert target.read_text() == "a,b\n"
    assert names(target.parent) == {"table.csv"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_writer_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as path:
        path.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == {"table.csv"}


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == set()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with atomic_path(tmp_path / "link.txt") as path:
        path.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_path(target) as first:
        first.write_text("first")
        with atomic_path(target) as second:
            assert second != first
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"


def test_a_folder_appears_with_everything_in_it(tmp_path):
    target = tmp_path / "run"
    with atomic_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "sub" / "a.txt").read_text() == "a"
    assert names(tmp_path) == {"run"}


def test_a_failing_folder_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), atomic_folder(tmp_path / "run") as folder:
        (folder / "a.txt").write_text("a")
        raise ValueError
    assert names(tmp_path) == set()


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("a")
    expected = r"`.*run` must be a new or an empty folder"
    with pytest.raises(DataError, match=expected), atomic_folder(target):
        pass
    assert names(target) == {"a.txt"}


def test_impossible_places_are_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "below.txt"):
        with pytest.raises(DataError) as caught, atomic_path(bad):
            pass
        assert "\n" not in str(caught.value)


WRITER = """
import os, signal, sys
from landslide_tf.files import atomic_folder, atomic_path
kind, target = sys.argv[1:]
make = atomic_path if kind == "path" else atomic_folder
with make(target) as path:
    (path if kind == "path" else path / "a.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["path", "folder"])
def test_a_killed_writer_leaves_nothing_visible_and_is_cleaned_up(tmp_path, kind):
    target = tmp_path / "wanted[1]"
    done = subprocess.run([sys.executable, "-c", WRITER, kind, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".tmp-")

    assert remove_leftovers(tmp_path, "another") == []
    make = atomic_path if kind == "path" else atomic_folder
    with make(target) as path:
        (path if kind == "path" else path / "a.txt").write_text("whole")
    assert names(tmp_path) == {"wanted[1]"}


def test_a_living_writer_is_left_alone(tmp_path):
    with atomic_path(tmp_path / "a.txt") as path:
        path.write_text("a")
        assert remove_leftovers(tmp_path) == []
    assert names(tmp_path) == {"a.txt"}


HOLDER = """
import os, signal, sys
from landslide_tf.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lock_keeps_others_out_and_ends_with_its_process(tmp_path):
    folder = tmp_path / "new" / "folder"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="in use"), locked(folder, "in use"):
            pass
        holder.stdin.write("end\n")
        holder.stdin.flush()
        with locked(folder):  # waits for the killed one
            assert holder.wait(timeout=60) == -signal.SIGKILL
            with pytest.raises(RunError, match="in use"), locked(folder, "in use"):
                pass
    with locked(folder, "in use"):
        assert names(folder) == {".lock"}


def test_states_tell_a_file_of_other_content_and_pass_over_what_is_none(tmp_path):
    path = tmp_path / "image.tif"
    path.write_bytes(b"abc")
    before = file_states([path, "NETCDF:image.nc:red"])
    path.write_bytes(b"xyz")
    os.utime(path, ns=(0, 5))
    assert file_states([path]) == [[str(path), 3, 5]] != before[:1]
    assert before[1] == ["NETCDF:image.nc:red"]
