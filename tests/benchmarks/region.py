"""Regions on a cluster of Ray: speed of two workers against one, memory of the driver.

    python -m tests.benchmarks.region speed [--scenes 12] [--size 768]
    python -m tests.benchmarks.region here [--scenes 12] [--size 768]
    python -m tests.benchmarks.region memory [--numbers 24 240]

`speed`: FSTF-Net at a fourth of the paper's width, random weights, on scenes with slope
and aspect; one thread of TensorFlow in each worker; the cluster has nodes of one CPU on
this machine. Seconds are those from the start of the first scene, when all workers have
loaded the model, to the end of the last one.
`here`: the same in one process without Ray, with one thread of TensorFlow and with two.
`memory`: the largest resident size of the process that gives out the work, for an
identity model on scenes of 128²; each number in a process of its own. All add to
`region.json`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from landslide_tf.mapping import MapOptions, Member, SceneFiles
from landslide_tf.region import RegionJob, map_region, read_scenes
from landslide_tf.region.cluster import Cluster
from landslide_tf.region.scenes import RegionScene
from landslide_tf.region.work import Mapper, Unit
from tests.benchmarks.processes import peak_mib, record_of
from tests.benchmarks.scene import TRANSFORM, write_scene
from tests.mapping import map_files as files
from tests.region import nodes
from tests.region import region_files as made

RECORD = Path(__file__).with_name("region.json")
# Random weights find landslides anywhere, and outlining these is not to be timed.
OPTIONS = MapOptions(window=256, overlap=64, threshold=1.0)


def network() -> list[Member]:
    """Loads FSTF-Net with random weights."""
    import keras

    from landslide_tf import models, saved_models, serving
    from landslide_tf.models.prediction import prediction_function

    keras.utils.set_random_seed(0)  # every worker has the same weights

    metadata = serving.load(saved_models.path("fstf_net_synthetic")).metadata
    built = models.fstf_net(num_classes=6, width=0.25)
    predict = prediction_function(built)
    shapes = {"image": (4, 256, 256, 3), "factors": (4, 256, 256, 3)}
    predict({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    return [Member(predict, metadata)]


def network_of(workers: int, folder: Path) -> list[Member]:
    """Loads the network, and returns when so many processes have loaded it."""
    members = network()
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < workers:
        time.sleep(0.01)
    return members


class Clock:
    """Notes when the first scene was begun, when the last one ended, and memory."""

    def __init__(self, workers: int) -> None:
        self.first, self.last, self.worker_mib = float("inf"), 0.0, 0
        self._workers, self._found = workers, {}

    def moved(self, scene: str, done: int, pixels: int) -> None:
        """See `region.Watch`."""

    def ended(self, scene: str, outcome: object) -> None:
        """See `region.Watch`."""
        self.last = time.perf_counter()
        self.first = min(self.first, self.last - outcome.seconds)
        if len(self._found) < self._workers:  # looking for them takes long
            for process in psutil.process_iter(["cmdline"]):
                if (process.info["cmdline"] or [""])[0].startswith("ray::Worker"):
                    self._found[process.pid] = process
        for process in self._found.values():
            self.worker_mib = max(self.worker_mib, process.memory_info().rss // 2**20)


def write_scenes(folder: Path, scenes: int, size: int) -> list[RegionScene]:
    """Writes scenes with elevations, the same at every call."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for k in range(scenes):
        write_scene(folder / f"s{k}.tif", size, size)
        rough = np.cumsum(rng.normal(0.2, 0.1, (1, size, size)), 2)
        dem = folder / f"s{k}_dem.tif"
        files.write(dem, rough.astype(np.float32), transform=TRANSFORM)
    return read_scenes(folder)


def speed(scenes: int, size: int) -> dict[str, object]:
    """Maps the same scenes in this process, with one worker and with two."""
    found: dict[str, object] = {"scenes": scenes, "size": size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = write_scenes(folder / "in", scenes, size)

        def job(out: str, workers: int) -> RegionJob:
            loaded = folder / f"loaded by {workers}"
            loaded.mkdir(exist_ok=True)
            load = functools.partial(network_of, workers, loaded)
            return RegionJob(load, folder / out, SceneFiles(()), OPTIONS)

        pixels = scenes * size * size
        with nodes.cluster(nodes=2) as cluster:
            for workers in (1, 2):
                out = f"{workers} workers"
                asked, clock = job(out, workers), Clock(workers)
                engine = Cluster(asked, cluster.address, workers=workers)
                done = map_region(asked, listed, engine=engine, watch=clock)
                assert not done.failed, done.failed
                seconds = clock.last - clock.first
                found[f"workers_{workers}"] = {
                    "seconds": round(seconds, 2),
                    "pixels_per_s": round(pixels / seconds),
                    "worker_mib": clock.worker_mib,
                }
        one, two = (
            {p.name: p.read_bytes() for p in (folder / out).rglob("*.tif")}
            for out in ("1 workers", "2 workers")
        )
        found["equal"] = one == two
    found["speed_up"] = round(
        found["workers_2"]["pixels_per_s"] / found["workers_1"]["pixels_per_s"], 3
    )
    return found


def here(scenes: int, size: int) -> dict[str, object]:
    """Maps scenes in this process."""
    with tempfile.TemporaryDirectory() as name:
        listed = write_scenes(Path(name, "in"), scenes, size)
        (Path(name) / "out").mkdir()
        job = RegionJob(network, Path(name, "out"), SceneFiles(()), OPTIONS)
        mapper = Mapper(job, job.load())
        started = time.perf_counter()
        outcomes = [mapper.run(Unit(scene)) for scene in listed]
        seconds = time.perf_counter() - started
        assert all(outcome.done for outcome in outcomes)
    speed = round(scenes * size * size / seconds)
    return {"seconds": round(seconds, 2), "pixels_per_s": speed}


def memory(number: int) -> dict[str, object]:
    """Maps a number of scenes with an identity model; MiB of this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for k in range(number):
            made.write_scene(
                folder / "in" / f"s{k}.tif", [(20, 20, 40, 40, 0.9)], shape=(128, 128),
                at=(200 * (k % 20), 200 * (k // 20)),
            )  # fmt: skip
        job = RegionJob(made.load_apart, folder / "out", SceneFiles(()), OPTIONS)
        listed = read_scenes(folder / "in")
        engine = Cluster(job, "local", workers=2)
        done = map_region(job, listed, engine=engine)
        assert len(done.mapped) == number, done.failed
        size = sum(p.stat().st_size for p in (folder / "out").rglob("*"))
    return {
        "scenes": number,
        "driver_mib": round(peak_mib()),
        "out_mib": round(size / 2**20),
    }


def apart(*arguments: object, threads: int | None = None) -> dict[str, object]:
    """Runs a part in a process of its own."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {} if threads is None else dict.fromkeys(names, str(threads))
    return record_of("region", *arguments, **environment)


def main() -> None:
    """Runs a part and adds it to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("speed", "here", "memory", "one-process", "one-number")
    parser.add_argument("part", choices=parts)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--numbers", type=int, nargs="+", default=[24, 240])
    given = parser.parse_args()
    scenes = ("--scenes", given.scenes, "--size", given.size)
    if given.part == "one-number":
        print(json.dumps(memory(given.numbers[0])))
        return
    if given.part == "one-process":
        print(json.dumps(here(given.scenes, given.size)))
        return
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    facts = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
    }
    if given.part == "speed":
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = (
            "1"
        )
        found = speed(given.scenes, given.size)
    elif given.part == "here":
        found = {
            f"threads_{number}": apart("one-process", *scenes, threads=number)
            for number in (1, 2)
        }
    else:
        found = {"runs": [apart("one-number", "--numbers", n) for n in given.numbers]}
    record[given.part] = facts | found
    print(json.dumps(record, indent=2))
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
