"""Series of runs: made once, resumed, kept from two processes, damaged records."""

import json
import os

import pytest

from landslide_tf.errors import RunError
from landslide_tf.train.run.series import (
    digest,
    read_record,
    run_missing,
    write_record,
)


class Kept:
    """A series whose records lie in one folder; `made` lists what has run."""

    def __init__(self, folder):
        self.folder = folder
        self.made = []
        self.failing = None

    def path(self, run):
        return self.folder / "kept" / f"{run}.json"

    def read(self, run):
        return read_record(self.path(run), "it is made anew")

    def make(self, run):
        if run == self.failing:
            raise RunError("killed")
        self.made.append(run)
        record = {"run": run, "score": 0.5}
        write_record(self.path(run), record)
        return record

    def run(self, planned):
        return run_missing(planned, self.folder, self.read, self.make)


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "series")


def test_each_run_is_made_once_and_given_with_its_record(kept):
    first = list(kept.run(["a", "b"]))
    assert [before for *_, before in first] == [False, False]
    again = list(kept.run(["b", "c", "a"]))
    assert [(run, before) for run, _, before in again] == [
        ("b", True),
        ("c", False),
        ("a", True),
    ]
    assert again[0][1] == first[1][1] == {"run": "b", "score": 0.5}
    assert kept.made == ["a", "b", "c"]


def test_a_failure_keeps_what_was_made_and_frees_the_folder(kept):
    kept.failing = "b"
    with pytest.raises(RunError, match="killed"):
        list(kept.run(["a", "b", "c"]))
    assert kept.made == ["a"]
    kept.failing = None
    assert [before for *_, before in kept.run(["a", "b", "c"])] == [True, False, False]


def test_nothing_is_made_before_it_is_asked_for(kept):
    runs = kept.run(["a", "b"])
    assert not kept.folder.exists()
    next(runs)
    assert kept.made == ["a"]
    with pytest.raises(RunError, match="Another process works in"):
        next(kept.run(["c"]))
    runs.close()  # as a caller that stops
    assert [run for run, *_ in kept.run(["c"])] == ["c"]


def test_what_a_killed_process_left_is_removed(kept, monkeypatch):
    kept.folder.mkdir()
    monkeypatch.setattr(os, "replace", lambda *_: os._exit)
    write_record(kept.folder / "a.json", {})  # never takes its name
    monkeypatch.undo()
    (left,) = kept.folder.iterdir()
    # As of a process of this machine that is gone.
    parts = left.name.split("-")
    gone = left.with_name("-".join([*parts[:2], "999999999", *parts[3:]]))
    left.rename(gone)
    list(kept.run([]))
    assert [path.name for path in kept.folder.iterdir()] == [".lock"]


def test_a_damaged_record_is_named_with_its_remedy(kept):
    assert read_record(kept.path("a"), "it is made anew") is None
    kept.make("a")
    text = kept.path("a").read_text()
    kept.path("a").write_text(text[:-5])
    with pytest.raises(RunError, match=r"a\.json` is damaged.*it is made anew"):
        list(kept.run(["a"]))


def test_what_is_no_json_is_not_written(tmp_path):
    path = tmp_path / "new" / "a.json"
    with pytest.raises(ValueError, match="JSON"):
        write_record(path, {"score": float("nan")})
    assert not path.exists()
    write_record(path, {"score": 0.1 + 0.2}, indent=1)
    assert json.loads(path.read_text())["score"] == 0.1 + 0.2


def test_digests_tell_values_apart_whatever_their_order():
    one = digest({"seed": 1, "recipe": {"a": [1, 2], "b": None}})
    assert one == digest({"recipe": {"b": None, "a": [1, 2]}, "seed": 1})
    others = ({"seed": 2}, {"seed": "1"}, {"seed": 1, "recipe": {"a": [2, 1]}})
    assert len({one, *map(digest, others)}) == 4
    assert len(one) == 12
