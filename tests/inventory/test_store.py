"""The database: twice, newer, killed, foreign; and what is asked of it."""

import contextlib
import dataclasses
import datetime
import os
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pyogrio
import pytest
import shapely

from landslide_tf.errors import DataError, RunError
from landslide_tf.inventory import (
    FIELDS,
    Query,
    Settings,
    add_scene,
    geopackage,
    open_inventory,
)
from landslide_tf.raster.vector_layer import vector_path
from tests.inventory import scenes

PLACES = {
    "Alps": ("EPSG:32633", 0),
    "Andes": ("EPSG:32719", 1),
    "Tirol": ("EPSG:32632", 2),
}


def three_regions(folder):
    """Three regions at two dates each, in the order of the dates."""
    found = []
    for year in (2023, 2024):
        for region, (crs, seed) in PLACES.items():
            image = f"{region}{year}.tif".lower()
            classes = scenes.blobs(seed + year)
            date = datetime.date(year, 6, 1)
            place = scenes.grid(crs)
            found.append(
                scenes.mapped(
                    folder, classes, place, image=image, date=date, region=region
                )
            )
    return found


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    return three_regions(tmp_path_factory.mktemp("regions"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, mapped):
    """An inventory of all of them, not to be changed."""
    path = tmp_path_factory.mktemp("whole") / "inventory.gpkg"
    for scene in mapped:
        assert add_scene(path, scene).changed
    return path


def content(path):
    """All that an inventory holds, whatever its pages look like."""
    with open_inventory(path) as store:
        found, scenes_found = store.landslides(Query(rejected=True)), store.scenes()
    shapes = shapely.to_wkb(found.geometries, hex=True)
    rows = sorted(zip(*found.columns.values(), shapes, strict=True), key=str)
    return rows, [(s.facts, s.outline.wkb_hex) for s in scenes_found]


def test_the_same_scene_twice_changes_nothing(whole, mapped, tmp_path):
    path = tmp_path / "copy.gpkg"
    path.write_bytes(whole.read_bytes())
    assert not add_scene(path, mapped[3]).changed
    assert not add_scene(path, mapped[3], replace=True).changed
    assert path.read_bytes() == whole.read_bytes()
    assert not [p for p in tmp_path.iterdir() if p != path]


def test_a_newer_model_replaces_only_when_told(whole, mapped, tmp_path):
    path = tmp_path / "copy.gpkg"
    path.write_bytes(whole.read_bytes())
    newer = scenes.mapped(
        tmp_path, scenes.blobs(7), scenes.grid(), image="alps2023.tif", version="b2",
        date=datetime.date(2023, 6, 1),
    )  # fmt: skip
    with pytest.raises(DataError, match="by the model `bright a1`: replace it with"):
        add_scene(path, newer)
    assert path.read_bytes() == whole.read_bytes()
    added = add_scene(path, newer, replace=True)
    assert added.changed
    before, after = content(whole), content(path)
    assert len(after[1]) == len(before[1]) == 6
    scene = FIELDS_AT["scene"]
    assert [r for r in after[0] if r[scene] != added.scene.id] == [
        r for r in before[0] if r[scene] != added.scene.id
    ]
    models = {
        r[FIELDS_AT["model_version"]] for r in after[0] if r[scene] == added.scene.id
    }
    assert models == {"b2"}
    # Back to the former model: the former content.
    add_scene(path, mapped[0], replace=True)
    assert content(path) == before


FIELDS_AT = {name: k for k, name in enumerate(FIELDS)}


def test_other_programs_read_it(whole):
    names = dict(pyogrio.list_layers(vector_path(whole)))
    assert names["landslides"] == names["scenes"] == "MultiPolygon"
    meta, _, wkb, columns = pyogrio.raw.read(whole, layer="landslides")
    table = dict(zip(meta["fields"], columns, strict=True))
    assert meta["crs"] == "EPSG:4326"
    assert list(table) == list(FIELDS)
    rows, _ = content(whole)
    assert sorted(table["id"]) == sorted(row[0] for row in rows)
    assert table["date_max"].dtype == "datetime64[D]"
    shapes = shapely.from_wkb(wkb)
    assert shapely.is_valid(shapes).all()
    assert (
        pytest.approx(shapely.bounds(shapes))
        == pyogrio.read_bounds(whole, layer="landslides")[1].T
    )
    with contextlib.closing(sqlite3.connect(whole)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        extent = database.execute(
            "SELECT min_x, max_y FROM gpkg_contents WHERE table_name = 'landslides'"
        ).fetchone()
    assert extent == pytest.approx(
        (shapely.bounds(shapes)[:, 0].min(), shapely.bounds(shapes)[:, 3].max()),
        rel=1e-6,
    )


@pytest.mark.integration
def test_after_tensorflow(whole, tmp_path):
    """TensorFlow brings an SQLite of its own, which has no R-trees."""
    path = tmp_path / "copy.gpkg"
    path.write_bytes(whole.read_bytes())
    code = (
        "import sys, tensorflow\n"
        "from landslide_tf.inventory import Query, open_inventory\n"
        "with open_inventory(sys.argv[1]) as store:\n"
        "    print(len(store.landslides(Query(box=(0, 0, 90, 90)))))\n"
        "with open_inventory(sys.argv[2], create=True) as store:\n"
        "    print(len(store.scenes()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "new.gpkg"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with open_inventory(path) as store:
        number = len(store.landslides(Query(box=(0, 0, 90, 90))))
    assert done.stdout.split() == [str(number), "0"]


@pytest.mark.parametrize(
    "query",
    [
        {"box": (14.9, 41.0, 15.003, 42)},
        {"since": datetime.date(2024, 1, 1)},
        {"until": datetime.date(2023, 6, 1), "regions": ("ALPS", "TIROL")},
        {"confidence": 3},
        {
            "box": (-180, -90, 0, 90),
            "confidence": 2,
            "since": datetime.date(2024, 6, 1),
        },
    ],
)
def test_queries_against_all_rows(whole, query):
    with open_inventory(whole) as store:
        every = store.landslides()
        found = store.landslides(Query(**query))
        scenes_found = store.scenes(Query(**query))
    kept = np.ones(len(every), bool)
    if "box" in query:
        kept &= shapely.intersects(every.geometries, shapely.box(*query["box"]))
    dates = np.array(every.columns["date_max"])
    kept &= dates >= str(query.get("since", ""))
    kept &= dates <= str(query.get("until", "9"))
    if "regions" in query:
        kept &= np.isin(every.columns["region"], query["regions"])
    kept &= np.nan_to_num(every.numbers("confidence")) >= query.get("confidence", 0)
    expected = every.where(kept)
    assert 0 < len(expected) < len(every)
    assert found.columns["id"] == expected.columns["id"]
    assert {scene.id for scene in scenes_found} >= set(found.columns["scene"])


def test_regions_are_found_in_any_form_of_their_names(whole):
    with open_inventory(whole) as store:
        found = store.landslides(Query(regions=("Tirol", "alps")))
        same = store.landslides(Query(regions=("TIROL", "ALPS")))
    assert len(found) > 0 and found.columns["id"] == same.columns["id"]
    with pytest.raises(DataError, match="sequence of regions, received `Tirol`"):
        Query(regions="Tirol")


def test_what_a_rule_rejected_is_there_and_not_counted(whole, tmp_path):
    path = tmp_path / "copy.gpkg"
    path.write_bytes(whole.read_bytes())
    with open_inventory(path) as store:
        some = store.landslides().columns["id"][:4]
        rows = [{"id": key} for key in some]
        store.execute("UPDATE landslides SET rule = 'lwr' WHERE id = :id", rows)
        left = store.landslides().columns["id"]
        every = store.landslides(Query(rejected=True))
    assert not set(some) & set(left)
    assert set(every.columns["id"]) == set(some) | set(left)
    assert every.accepted.columns["id"] == left


def test_a_map_without_landslides_is_mapped_ground(tmp_path):
    none = scenes.mapped(tmp_path, np.zeros((scenes.SIDE, scenes.SIDE), np.uint8))
    added = add_scene(tmp_path / "inventory.gpkg", none)
    assert (added.changed, added.landslides) == (True, 0)
    assert not add_scene(tmp_path / "inventory.gpkg", none).changed


def test_what_is_no_inventory_of_ours(whole, mapped, tmp_path):
    path = tmp_path / "other.gpkg"
    path.write_bytes(whole.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE settings SET value = '7' WHERE name = 'schema_version'"
        )
    with pytest.raises(DataError, match="schema version 1, received 7"):
        add_scene(path, mapped[0])
    with pytest.raises(DataError, match="is not an inventory"):
        add_scene(mapped[1].polygons, mapped[0])
    with pytest.raises(DataError, match="is read and cannot be written over"):
        add_scene(mapped[0].polygons, mapped[0])
    notes = tmp_path / "notes.gpkg"
    notes.write_text("mine" * 500)
    with pytest.raises(DataError, match="must be a GeoPackage"):
        add_scene(notes, mapped[0])
    assert notes.read_text() == "mine" * 500
    with pytest.raises(DataError, match=r"must end in \.gpkg"):
        add_scene(tmp_path / "inventory.sqlite", mapped[0])
    with pytest.raises(DataError, match="made with other thresholds"):
        add_scene(whole, mapped[0], settings=Settings((0.1, 0.2, 0.3, 0.4, 0.5)))


def test_a_map_that_is_refused_leaves_nothing(mapped, tmp_path):
    bad = dataclasses.replace(mapped[0], polygons=tmp_path / "missing.gpkg")
    with pytest.raises(DataError, match="vector file that can be read"):
        add_scene(tmp_path / "inventory.gpkg", bad)
    assert not list(tmp_path.iterdir())


def test_another_process_at_work(whole, mapped, tmp_path, monkeypatch):
    monkeypatch.setattr(geopackage, "_WAIT", 0.05)
    path = tmp_path / "copy.gpkg"
    path.write_bytes(whole.read_bytes())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        newer = dataclasses.replace(mapped[0], sensor="other")
        with pytest.raises(RunError, match="in use by another process"):
            add_scene(path, newer, replace=True)
        database.execute("ROLLBACK")
    assert add_scene(path, newer, replace=True).changed


_ADDING = """
import os, pickle, signal, sqlite3, sys
from landslide_tf.inventory import add_scene
path, scenes, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
connect, number = sqlite3.connect, 0

def count(statement):
    global number
    number += 1
    if number == stop:
        os.kill(os.getpid(), signal.SIGKILL)

def connected(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(count)
    return connection

sqlite3.connect = connected
with open(scenes, "rb") as stream:
    for scene in pickle.load(stream):
        add_scene(path, scene)
print(number)
"""


@pytest.mark.slow
def test_killed_at_twenty_moments(whole, mapped, tmp_path):
    import pickle

    listed = tmp_path / "scenes.pickle"
    listed.write_bytes(pickle.dumps(mapped))

    def run(path, stop):
        return subprocess.run(
            [sys.executable, "-c", _ADDING, path, listed, str(stop)],
            capture_output=True, text=True, timeout=300, env=dict(os.environ),
        )  # fmt: skip

    untouched = run(tmp_path / "untouched.gpkg", 0)
    assert untouched.returncode == 0, untouched.stderr
    total = int(untouched.stdout)
    states = []
    for number in range(len(mapped) + 1):
        path = tmp_path / f"state{number}.gpkg"
        for scene in mapped[:number]:
            add_scene(path, scene)
        states.append(content(path) if number else ([], []))
    reached = set()
    for stop in np.linspace(2, total - 1, 20).astype(int):
        path = tmp_path / f"killed{stop}.gpkg"
        killed = run(path, stop)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        left = ([], [])
        if path.exists():
            with contextlib.suppress(DataError):  # nothing in it yet
                left = content(path)
        assert left in states
        reached.add(states.index(left))
        for scene in mapped:  # the same commands again
            add_scene(path, scene)
        assert content(path) == content(whole)
    assert len(reached) > 3
