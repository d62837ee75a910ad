"""Regions on a cluster of Ray: speed of two workers against one, memory of the driver.

    python -m tests.benchmarks.region speed [--scenes 6] [--size 768]
    python -m tests.benchmarks.region memory [--numbers 24 240]

`speed`: FSTF-Net at a fourth of the paper's width, random weights, on scenes with slope
and aspect; one thread of TensorFlow in each worker; the cluster has nodes of one CPU on
this machine. Seconds are those from the start of the first scene to the end of the last
one, without loading the model.
`memory`: the largest resident size of the process that gives out the work, for an
identity model on scenes of 128²; each number in a process of its own. Both add to
`region.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from landslide_tf.mapping import MapOptions, Member, SceneFiles
from landslide_tf.region import RegionJob, map_region, read_scenes
from landslide_tf.region.cluster import Cluster
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


class Clock:
    """Notes when the first scene was begun, when the last one ended, and memory."""

    def __init__(self) -> None:
        self.first, self.last, self.worker_mib = float("inf"), 0.0, 0

    def moved(self, scene: str, done: int, pixels: int) -> None:
        """See `region.Watch`."""

    def ended(self, scene: str, outcome: object) -> None:
        """See `region.Watch`."""
        self.last = time.perf_counter()
        self.first = min(self.first, self.last - outcome.seconds)
        for process in psutil.process_iter(["cmdline", "memory_info"]):
            if (process.info["cmdline"] or [""])[0].startswith("ray::Worker"):
                size = process.info["memory_info"].rss // 2**20
                self.worker_mib = max(self.worker_mib, size)


def speed(scenes: int, size: int) -> dict[str, object]:
    """Maps the same scenes in this process, with one worker and with two."""
    found: dict[str, object] = {"scenes": scenes, "size": size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        rng = np.random.default_rng(1)
        for k in range(scenes):
            write_scene(folder / "in" / f"s{k}.tif", size, size)
            rough = np.cumsum(rng.normal(0.2, 0.1, (1, size, size)), 2)
            dem = folder / "in" / f"s{k}_dem.tif"
            files.write(dem, rough.astype(np.float32), transform=TRANSFORM)
        listed = read_scenes(folder / "in")

        def job(out: str) -> RegionJob:
            return RegionJob(network, folder / out, SceneFiles(()), OPTIONS)

        pixels = scenes * size * size
        with nodes.cluster(nodes=2) as cluster:
            for workers in (1, 2):
                out = f"{workers} workers"
                engine, clock = (
                    Cluster(job(out), cluster.address, workers=workers),
                    Clock(),
                )
                done = map_region(job(out), listed, engine=engine, watch=clock)
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"scenes": number, "driver_mib": round(peak), "out_mib": round(size / 2**20)}


def main() -> None:
    """Runs a part and adds it to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("speed", "memory", "one"))
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--numbers", type=int, nargs="+", default=[24, 240])
    given = parser.parse_args()
    if given.part == "one":
        print(json.dumps(memory(given.numbers[0])))
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
        record["speed"] = facts | speed(given.scenes, given.size)
    else:
        start = [sys.executable, "-m", "tests.benchmarks.region", "one", "--numbers"]
        found = [
            subprocess.run(
                [*start, str(n)], check=True, stdout=subprocess.PIPE, text=True
            )
            for n in given.numbers
        ]
        runs = [json.loads(done.stdout.splitlines()[-1]) for done in found]
        record["memory"] = facts | {"runs": runs}
    print(json.dumps(record, indent=2))
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
