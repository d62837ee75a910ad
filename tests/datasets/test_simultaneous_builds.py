"""Two processes that ask for the same set at once: one builds it, both read it."""

import json
import subprocess
import sys

import pytest

from landslide_tf.pipelines import load

DATA = "synthetic_landslides/tiny:validation"
LOAD = """
import json, pathlib, sys, time
from landslide_tf.pipelines import find_builder, load
folder, own, other = map(pathlib.Path, sys.argv[1:])
find_builder("synthetic_landslides/tiny", data_dir=folder)
own.touch()
while not other.exists():
    time.sleep(0.01)
store = load("synthetic_landslides/tiny:validation", data_dir=folder)
print(json.dumps([store.ids, int(store.positive.sum())]))
"""


@pytest.mark.integration
def test_the_second_waits_and_then_reads_what_the_first_has_built(tmp_path):
    gates = [tmp_path / "one", tmp_path / "two"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, str(tmp_path / "data"), *map(str, pair)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for pair in (gates, gates[::-1])
    ]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in ended)
    assert first == second
    store = load(DATA, data_dir=tmp_path / "data")
    assert store.ids == first[0] and len(store) == 16
    versions = tmp_path / "data" / "synthetic_landslides" / "tiny"
    assert not list(versions.glob("incomplete*"))
