"""Regions on a cluster of Ray: the same files, whatever ends in between."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from landslide_tf.errors import RunError
from landslide_tf.mapping import MapOptions, SceneFiles
from landslide_tf.region import RegionJob, map_region, read_scenes
from landslide_tf.region import cluster_start as start
from landslide_tf.region.cluster import Cluster
from tests.region import nodes
from tests.region import region_files as made

ray = pytest.importorskip("ray", reason="needs `pip install 'landslide_tf[ray]'`")

pytestmark = [
    pytest.mark.integration,
    # Ray leaves pipes of its processes to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = MapOptions(window=16, overlap=4, min_area=0)


@pytest.fixture(scope="module")
def address():
    """The address of a cluster of two nodes, on loopback."""
    with nodes.cluster() as found:
        yield found.address


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    slides = [(10, 30, 20, 40, 0.9), (30, 5, 36, 10, 0.8)]
    made.write_scene(folder / "a.tif", slides)
    made.write_scene(folder / "b.tif", [(8, 0, 18, 5, 0.6)], at=(40, 0))
    large = [(3, 3, 150, 30, 0.9), (60, 50, 61, 90, 0.7)]
    made.write_scene(folder / "large.tif", large, shape=(160, 100), at=(0, 60))
    (folder / "bad.tif").write_bytes(b"II*")
    return read_scenes(folder)


def job(out, load=made.load_apart):
    return RegionJob(load, out, SceneFiles(()), OPTIONS, probabilities=True)


def rasters(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.tif")}


def test_a_cluster_writes_what_one_process_writes(address, scenes, tmp_path):
    here = map_region(job(tmp_path / "here", made.load), scenes)
    engine = Cluster(job(tmp_path / "there"), address, unit=4000)
    there = map_region(job(tmp_path / "there"), scenes, engine=engine)
    assert rasters(tmp_path / "here") == rasters(tmp_path / "there")
    assert len(rasters(tmp_path / "there")) == 6
    assert there.joined == here.joined and there.pixels == here.pixels == 19_200
    assert there.failed == here.failed and list(there.failed) == ["bad"]
    assert not list(tmp_path.rglob("rows")) and not list(tmp_path.rglob("probe-*"))
    again = map_region(job(tmp_path / "there"), scenes, engine=engine)
    assert (again.kept, again.pixels) == (3, 0)


@pytest.mark.slow
def test_parts_that_are_there_are_not_predicted_again(address, scenes, tmp_path):
    out = tmp_path / "out"
    large = [scene for scene in scenes if scene.id == "large"]
    engine = Cluster(job(out), address, unit=4000)

    class Stop(Exception):
        pass

    class Watch:
        def moved(self, scene, done, pixels):
            raise Stop

        def ended(self, scene, outcome):
            pass

    with pytest.raises(Stop):
        map_region(job(out), large, engine=engine, watch=Watch())
    parts = {p.name: p.stat().st_mtime_ns for p in out.rglob("*.npz")}
    assert parts
    done = map_region(job(out), large, engine=Cluster(job(out), address, unit=4000))
    assert 0 < done.pixels < 16_000
    map_region(job(tmp_path / "here", made.load), large)
    assert rasters(out) == rasters(tmp_path / "here")


def fails():
    from landslide_tf.errors import ModelError

    raise ModelError("the model is not whole")


def ends():
    os._exit(1)


def test_a_model_that_cannot_be_loaded_is_one_line(address, scenes, tmp_path):
    for load, message in ((fails, "the model is not whole"), (ends, "end before they")):
        with pytest.raises(RunError, match=message) as refused:
            engine = Cluster(job(tmp_path / "out", load), address)
            map_region(job(tmp_path / "out", load), scenes, engine=engine)
        assert "\n" not in str(refused.value)


def kills():
    """A model that ends its process where it sees a landslide."""
    from dataclasses import replace

    (member,) = made.load_apart()

    def predict(inputs):
        if inputs["image"].max() > 0.97:
            os._exit(1)
        return inputs["image"]

    return [replace(member, predict=predict)]


@pytest.mark.slow
def test_a_scene_that_ends_its_processes_does_not_end_the_others(address, tmp_path):
    (tmp_path / "in").mkdir()
    made.write_scene(tmp_path / "in/a.tif", [(3, 3, 9, 9, 0.9)])
    made.write_scene(tmp_path / "in/b.tif", [(3, 3, 9, 9, 0.99)], at=(50, 0))
    scenes = read_scenes(tmp_path / "in")
    engine = Cluster(job(tmp_path / "out", kills), address)
    done = map_region(job(tmp_path / "out", kills), scenes, engine=engine)
    assert [item.id for item in done.mapped] == ["a"]
    assert "5 processes ended while they mapped it" in done.failed["b"]


def test_a_folder_that_nodes_do_not_share_is_found_first(
    address, scenes, tmp_path, monkeypatch
):
    # The nodes are told of a folder that is not this one.
    monkeypatch.setattr(start, "_look", lambda: _elsewhere(tmp_path / "elsewhere"))
    with pytest.raises(RunError, match="does not see the folder") as refused:
        map_region(
            job(tmp_path / "out"),
            scenes,
            engine=Cluster(job(tmp_path / "out"), address),
        )
    assert "\n" not in str(refused.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


_REAL = start._look


def _elsewhere(folder):
    look = _REAL()
    folder = str(folder)

    def moved(packages, probe, token, name):
        return look(packages, f"{folder}/{probe.rsplit('/', 1)[1]}", token, name)

    return moved


def test_other_versions_are_named(address, scenes, tmp_path, monkeypatch):
    known = start.versions(start._PACKAGES)
    monkeypatch.setattr(start, "versions", lambda _: known | {"numpy": "1.0"})
    with pytest.raises(RunError, match=r"`numpy` \S+ \(here 1\.0\)"):
        map_region(
            job(tmp_path / "out"),
            scenes,
            engine=Cluster(job(tmp_path / "out"), address),
        )


def test_more_than_a_node_has_is_refused(address, scenes, tmp_path):
    engine = Cluster(job(tmp_path / "out"), address, cpus=64)
    with pytest.raises(RunError, match="no node with place for a process with 64 CPUs"):
        map_region(job(tmp_path / "out"), scenes, engine=engine)


@pytest.mark.parametrize("answers", [False, True])
def test_an_address_without_a_cluster_is_one_line(
    scenes, tmp_path, monkeypatch, answers
):
    """Nobody listens, or somebody who is no cluster and says nothing."""
    monkeypatch.setattr(start, "_REACHED", 5.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(RunError, match="No cluster of Ray") as refused:
            engine = Cluster(job(tmp_path / "out"), address)
            map_region(job(tmp_path / "out"), scenes, engine=engine)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("address", ["host", ":6379", "host:x", "host:70000"])
def test_what_is_no_address_is_one_line(scenes, tmp_path, address):
    engine = Cluster(job(tmp_path / "out"), address)
    with pytest.raises(RunError, match="expected `HOST:PORT` of a cluster"):
        map_region(job(tmp_path / "out"), scenes, engine=engine)


def test_local_needs_no_cluster(scenes, tmp_path):
    """In a process of its own: one process has one cluster at a time."""
    script = (
        "import sys; from pathlib import Path; "
        "from tests.region.test_cluster import job, map_region, Cluster, read_scenes; "
        "out = Path(sys.argv[1]); "
        "scenes = read_scenes(sys.argv[2]); "
        "done = map_region(job(out), scenes, engine=Cluster(job(out), 'local')); "
        "print(len(done.mapped), list(done.failed))"
    )
    folder = Path(scenes[0].image[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out"), str(folder)],
        capture_output=True, text=True, timeout=240,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "RAY_worker_niceness": "0"},  # as in `nodes.cluster`
    )  # fmt: skip
    assert done.stdout == "3 ['bad']\n", done.stderr
    assert done.stderr == ""
