"""Whatever is killed while a cluster maps a region, the files are those of one process.

Two nodes of a cluster on loopback, 24 scenes of mixed sizes and systems, one of them
of 6000 × 6000 pixels, on which both nodes work.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyogrio
import pytest

from landslide_tf.region import map_region, read_scenes
from tests.region import many, nodes

pytest.importorskip("ray", reason="needs `pip install 'landslide_tf[ray]'`")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
UNFIT = ["s005", "s007"]  # cut off, and without elevations


def started(scenes, out, address):
    with said(out).open("w") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.region.many", scenes, out, address],
            cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip


def said(out):
    """Where a driver writes what it says; Ray tells there of nodes that end, too."""
    return out.with_name("said.txt")


def wait_for(out, number, driver, files="scenes/*/*.json"):
    """Waits until so many scenes, or parts of one, are mapped."""
    deadline = time.monotonic() + 600
    while len(list(out.glob(files))) < number:
        assert driver.poll() is None, said(out).read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.timeout(2400)
def test_nodes_and_the_driver_may_be_killed(tmp_path):
    scenes = many.write(tmp_path / "in")
    here, there = tmp_path / "here", tmp_path / "there"
    one = map_region(many.job(here), read_scenes(scenes))
    assert sorted(one.failed) == UNFIT and len(one.mapped) == 22
    with nodes.cluster(nodes=1) as cluster:
        first = nodes.add(cluster)
        driver = started(scenes, there, cluster.address)
        try:
            wait_for(there, 2, driver, "**/*.npz")  # of the large scene
            cluster.remove_node(first, allow_graceful=False)  # SIGKILL
            wait_for(there, 5, driver, "**/*.npz")
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            parts = {p.name for p in there.glob("**/*.npz")}
            assert parts
            mapped = {p.parent.name for p in there.glob("scenes/*/*.json")}
            second = nodes.add(cluster)
            driver = started(scenes, there, cluster.address)
            wait_for(there, len(mapped) + 4, driver)
            cluster.remove_node(second, allow_graceful=False)
            assert driver.wait(timeout=900) == 0, said(there).read_text()
        finally:
            driver.kill()
            driver.wait()
            nodes.forget()
    line = said(there).read_text().splitlines()[-1]
    count, rest = line.split(" ", 1)
    failed, kept = rest.rsplit(" ", 1)
    assert (count, failed) == ("22", str(UNFIT)), line
    assert int(kept) >= len(mapped)  # nothing that was finished is done again
    assert many.rasters(there) == many.rasters(here)
    assert len(many.rasters(here)) == 44
    joined = [
        pyogrio.raw.read(out / "landslides.gpkg", layer="landslides")
        for out in (here, there)
    ]
    assert joined[0][2].tolist() == joined[1][2].tolist()  # outlines
    for name, *columns in zip(joined[0][0]["fields"], joined[0][3], joined[1][3]):  # noqa: B905
        assert columns[0].tolist() == columns[1].tolist(), name
    assert (there / "mosaic.vrt").read_bytes() == (here / "mosaic.vrt").read_bytes()
