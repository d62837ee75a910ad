"""An inventory in a server of PostGIS that the test starts, where it is installed."""

import dataclasses
import datetime
import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from landslide_tf.errors import DataError
from landslide_tf.inventory import Query, Settings, add_scene, open_inventory
from tests.inventory import scenes
from tests.inventory.test_store import content, three_regions


def installed():
    """Folder of the newest server with the extension, empty where there is none."""
    found = sorted(glob.glob("/usr/share/postgresql/*/extension/postgis.control"))
    versions = [Path(path).parts[-3] for path in found]
    folders = [f"/usr/lib/postgresql/{version}/bin" for version in versions]
    return next((f for f in folders if os.path.exists(f"{f}/initdb")), "")


BIN = installed()
pytestmark = pytest.mark.skipif(
    not BIN, reason="no server: install Debian's postgresql and postgis"
)


@pytest.fixture(scope="module")
def server():
    """The URL of an empty database, by a socket alone."""
    folder = Path(tempfile.mkdtemp(prefix="postgis-"))  # sockets need short names
    user = None
    if os.geteuid() == 0:  # which the server refuses to be
        user = "postgres"
        shutil.chown(folder, user)

    def run(*command):
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=120,
            user=user,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    data = f"{folder}/data"
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(f"{BIN}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
    run(
        f"{BIN}/pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o", options, "start"
    )
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run(f"{BIN}/pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_the_same_as_a_geopackage(server, tmp_path):
    with pytest.raises(DataError, match="holds no inventory"):
        open_inventory(server)
    mapped = three_regions(tmp_path)[:4]
    path = tmp_path / "inventory.gpkg"
    for scene in mapped:
        assert add_scene(server, scene).changed
        add_scene(path, scene)
    assert content(server) == content(path)
    assert not add_scene(server, mapped[0]).changed
    queries = (
        Query(box=(14.9, 41.0, 15.003, 42)),
        Query(since=datetime.date(2024, 1, 1), confidence=2),
        Query(regions=("ANDES", "TIROL"), until=datetime.date(2023, 6, 1)),
    )
    with open_inventory(server) as remote, open_inventory(path) as local:
        for query in queries:
            found = remote.landslides(query)
            assert len(found) > 0
            assert set(found.columns["id"]) == set(
                local.landslides(query).columns["id"]
            )
            assert {s.id for s in remote.scenes(query)} == {
                s.id for s in local.scenes(query)
            }
    newer = dataclasses.replace(mapped[0], sensor="other")
    with pytest.raises(DataError, match="replace it with `--replace`"):
        add_scene(server, newer)
    assert content(server) == content(path)
    assert add_scene(server, newer, replace=True).changed
    add_scene(path, newer, replace=True)
    assert content(server) == content(path)
    with pytest.raises(DataError, match="made with other thresholds"):
        add_scene(server, newer, settings=Settings((0.1, 0.2, 0.3, 0.4, 0.5)))


def test_an_error_half_way_leaves_the_former_state(server, tmp_path):
    before = content(server)
    other = scenes.mapped(tmp_path, scenes.blobs(9), image="other.tif")
    with (
        open_inventory(server) as store,
        pytest.raises(RuntimeError),
        store.transaction(),
    ):
        store.execute("DELETE FROM landslides", [{}])
        raise RuntimeError("stopped")
    assert content(server) == before
    assert add_scene(server, other).changed


def test_commands(server, command, tmp_path):
    code, out, err = command("inventory", "stats", server)
    assert code == 0, err
    assert out.startswith("landslides: ")
    export = tmp_path / "out.csv"
    assert command("inventory", "export", server, export)[0] == 0
    assert export.stat().st_size
    wrong = server.replace("@/postgres", "@/missing")
    command.refuses("inventory", "list", wrong, message="cannot be used")
