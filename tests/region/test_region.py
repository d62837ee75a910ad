"""Regions: the maps of single scenes, and landslides across them."""

import json
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from landslide_tf.errors import DataError, RunError
from landslide_tf.files import locked
from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.region import (
    RegionJob,
    SceneFailed,
    check_region,
    map_region,
    read_region,
    read_scenes,
)
from tests.region import region_files as made

OPTIONS = MapOptions(window=16, overlap=4, min_area=0)
AREA = 100  # m² of a pixel, nearly


def job(out, **changes):
    return RegionJob(made.load, out, SceneFiles(()), OPTIONS, **changes)


def landslides(out):
    path = out / "landslides.gpkg"
    meta, _, wkb, columns = pyogrio.raw.read(path, layer="landslides")
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], columns, strict=True))


def dated(folder, **dates):
    """A list of scenes with dates."""
    lines = [f"{name}.tif,{date}" for name, date in dates.items()]
    path = folder / "list.csv"
    path.write_text("\n".join(["image,date", *lines]))
    return read_scenes(path)


@pytest.fixture
def two(tmp_path):
    """Scenes side by side, with a landslide across them and one in each."""
    folder = tmp_path / "in"
    folder.mkdir()
    made.write_scene(folder / "a.tif", [(10, 30, 20, 40, 0.9), (30, 5, 36, 10, 0.8)])
    made.write_scene(folder / "b.tif", [(8, 0, 18, 5, 0.6)], at=(40, 0))
    return folder


@pytest.fixture
def lapped(tmp_path):
    """Two scenes of which half is the same ground, seen at two dates."""
    folder = tmp_path / "in"
    folder.mkdir()
    made.write_scene(folder / "a.tif", [(2, 10, 8, 30, 0.6), (20, 25, 25, 30, 0.6)])
    made.write_scene(folder / "b.tif", [(2, 0, 8, 4, 0.9)], at=(20, 0))
    return folder


def test_maps_are_those_of_single_scenes_to_the_byte(two, tmp_path):
    out = tmp_path / "out"
    done = map_region(job(out, probabilities=True), read_scenes(two))
    assert not done.failed and done.pixels == 3200
    for name in "ab":
        outputs = Outputs(
            tmp_path / name / f"{name}.tif",
            tmp_path / name / "p.tif",
            vector=(tmp_path / name / f"{name}.gpkg",),
        )
        map_scene(
            made.load(), SceneFiles((str(two / f"{name}.tif"),)), outputs, OPTIONS
        )
        found = out / "scenes" / name
        assert (found / f"{name}.tif").read_bytes() == outputs.out.read_bytes()
        chances = found / f"{name}_probabilities.tif"
        assert chances.read_bytes() == outputs.probabilities.read_bytes()


def test_a_landslide_across_scenes_is_one(two, tmp_path):
    done = map_region(job(tmp_path / "out"), read_scenes(two))
    shapes, table = landslides(tmp_path / "out")
    assert done.joined.landslides == 2 and done.joined.crossing == 1
    (crossing,) = np.flatnonzero(table["scenes"] == "a,b")
    assert table["scene"][crossing] == "a"  # more of it is there
    assert table["area_m2"][crossing] == pytest.approx(150 * AREA, rel=2e-3)
    assert table["probability"][crossing] == pytest.approx(
        (0.9 * 2 + 0.6) / 3, abs=2e-3
    )
    assert table["max_prob"][crossing] == pytest.approx(0.9, abs=2e-3)
    assert shapes[crossing].bounds == (500_300, 4_599_800, 500_450, 4_599_920)
    assert len(shapely.get_parts(shapes[crossing])) == 1
    assert table["id"].tolist() == [1, 2]


def test_the_page_calls_landslides_as_the_labels_do(two, tmp_path):
    out = tmp_path / "out"
    changed = RegionJob(
        lambda: [made.files.identity(landslide_name="cleared")],
        out,
        SceneFiles(()),
        OPTIONS,
    )
    map_region(changed, read_scenes(two))
    text = (out / "index.html").read_text()
    assert "cleared km²" in text and "Cleared of all scenes" in text
    assert "landslide" not in text.partition("<body>")[2].replace("landslides.gpkg", "")


def test_of_ground_seen_twice_the_later_date_counts(lapped, tmp_path):
    scenes = dated(lapped, a="2020-01-01", b="2024-01-01")
    map_region(job(tmp_path / "out"), scenes)
    shapes, table = landslides(tmp_path / "out")
    # Of `a` only what lies west of `b` is left: its slide is cut, the other is gone.
    assert len(shapes) == 1
    assert shapes[0].bounds == (500_100, 4_599_920, 500_240, 4_599_980)
    assert table["area_m2"][0] == pytest.approx((60 + 24) * AREA, rel=2e-3)
    assert (table["scenes"][0], table["date"][0]) == ("a,b", "2024-01-01")


def test_the_order_of_dates_not_of_the_list_decides(lapped, tmp_path):
    scenes = dated(lapped, b="2020-01-01", a="2024-01-01")
    map_region(job(tmp_path / "out"), scenes)
    _, table = landslides(tmp_path / "out")
    assert sorted(table["scenes"]) == ["a", "a"]  # what `b` has, `a` saw otherwise


def test_or_the_higher_probability(lapped, tmp_path):
    scenes = dated(lapped, a="2020-01-01", b="2024-01-01")
    map_region(job(tmp_path / "out"), scenes, overlaps="probability")
    _, table = landslides(tmp_path / "out")
    assert sorted(table["area_m2"].round(-2)) == pytest.approx([2500, 12000], rel=5e-3)
    assert sorted(table["scenes"]) == ["a", "a,b"]


def test_scenes_of_several_systems_are_joined_in_degrees(tmp_path):
    """The same ground in two zones of UTM: one landslide across both scenes."""
    from rasterio.warp import transform

    folder = tmp_path / "in"
    folder.mkdir()
    (east,), (north,) = transform("EPSG:32633", "EPSG:32632", [500_400], [4_600_000])
    made.write_scene(folder / "a.tif", [(10, 30, 20, 40, 0.9)])
    corner = made.place(origin=(east - 50, north))
    made.write_scene(
        folder / "b.tif", [(8, 0, 20, 25, 0.9)], crs="EPSG:32632", transform=corner
    )
    done = map_region(job(tmp_path / "out"), read_scenes(folder))
    assert (done.joined.landslides, done.joined.crossing) == (1, 1)
    meta = pyogrio.read_info(tmp_path / "out/landslides.gpkg", layer="landslides")
    assert meta["crs"] == "EPSG:4326"
    with rasterio.open(tmp_path / "out/mosaic.vrt") as mosaic:
        seen = mosaic.read(1)
    assert seen[10:20, 30:34].min() == 1  # of `a`, in whose system it is
    assert (seen == 1).sum() * AREA == pytest.approx(done.joined.area, rel=0.05)


def test_a_corrupt_scene_does_not_stop_the_others(two, tmp_path):
    (two / "bad.tif").write_bytes((two / "a.tif").read_bytes()[:2000])
    out = tmp_path / "out"
    done = map_region(job(out), read_scenes(two))
    assert [item.id for item in done.mapped] == ["a", "b"]
    assert "bad.tif` must be a raster that can be read" in done.failed["bad"]
    rows = (out / "scenes.csv").read_text().splitlines()
    assert rows[3].startswith("bad,,failed,,,,,,")
    assert "bad" in (out / "index.html").read_text()
    with pytest.raises(SceneFailed, match="scene `bad`: image"):
        map_region(job(tmp_path / "fast"), read_scenes(two), fail_fast=True)
    assert not (tmp_path / "fast/collection.json").exists()


def test_a_region_without_a_whole_scene_has_a_table_and_no_landslides(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bad.tif").write_bytes(b"II*")
    done = map_region(job(tmp_path / "out"), read_scenes(tmp_path / "in"))
    assert done.joined is None and list(done.failed) == ["bad"]
    assert not (tmp_path / "out/landslides.gpkg").exists()
    assert (tmp_path / "out/index.html").exists()


def test_what_was_mapped_is_kept_until_something_it_depends_on_changes(two, tmp_path):
    out, scenes = tmp_path / "out", read_scenes(two)
    map_region(job(out), scenes)
    before = (out / "scenes/a/a.tif").stat().st_mtime_ns
    again = map_region(job(out), scenes)
    assert (again.kept, again.pixels) == (2, 0)
    assert (out / "scenes/a/a.tif").stat().st_mtime_ns == before
    made.write_scene(two / "b.tif", [(0, 0, 9, 9, 0.9)], at=(40, 0))
    assert map_region(job(out), scenes).kept == 1
    other = replace(job(out), options=replace(OPTIONS, threshold=0.95))
    assert map_region(other, scenes).kept == 0
    (out / "scenes/a/a.gpkg").unlink()
    assert map_region(other, scenes).kept == 1


def test_the_catalogue_leads_to_every_file(two, tmp_path):
    out = tmp_path / "out"
    map_region(job(out), dated(two, a="2020-01-01", b="2024-01-01"))
    collection = json.loads((out / "collection.json").read_text())
    times = collection["extent"]["temporal"]["interval"][0]
    assert times == ["2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]
    west, south, east, north = collection["extent"]["spatial"]["bbox"][0]
    assert 14.99 < west <= 15 < east < 15.02 and 41.5 < south < north < 41.6
    items = [link for link in collection["links"] if link["rel"] == "item"]
    assert [link["title"] for link in items] == ["a", "b"]
    for place in (*collection["assets"].values(), *items):
        assert (out / place["href"]).is_file()
    for link in items:
        path = out / link["href"]
        item = json.loads(path.read_text())
        assert item["collection"] == collection["id"] == "out"
        assert item["properties"]["proj:code"] == "EPSG:32633"
        for asset in item["assets"].values():
            assert (path.parent / asset["href"]).stat().st_size == asset["file:size"]
        for place in item["links"]:
            assert (path.parent / place["href"]).is_file()
        shapely.geometry.shape(item["geometry"])
    assert [scene.id for scene in read_region(out)] == ["a", "b"]


def test_a_catalogue_is_one_that_pystac_takes(two, tmp_path):
    pystac = pytest.importorskip("pystac", reason="needs `pip install pystac`")
    out = tmp_path / "out"
    map_region(job(out), dated(two, a="2020-01-01", b="2024-01-01"))
    catalogue = pystac.Collection.from_file(str(out / "collection.json"))
    assert [item.id for item in catalogue.get_items()] == ["a", "b"]


def test_later_scenes_lie_over_earlier_ones_in_the_mosaic(lapped, tmp_path):
    map_region(job(tmp_path / "out"), dated(lapped, b="2024-01-01", a="2020-01-01"))
    (tmp_path / "out").rename(tmp_path / "moved")  # its parts are beside it
    with rasterio.open(tmp_path / "moved/mosaic.vrt") as mosaic:
        seen = mosaic.read(1)
        assert (mosaic.shape, mosaic.nodata) == ((40, 60), 255)
        assert mosaic.colormap(1)[1] == (230, 0, 0, 255)
    expected = np.zeros((40, 60))
    expected[2:8, 10:24] = 1
    assert (seen == expected).all()


def test_a_scene_without_data_or_landslides_is_no_obstacle(two, tmp_path):
    made.write_scene(two / "c.tif", [], at=(80, 0))
    path = two / "d.tif"
    made.write_scene(path, [], at=(120, 0), nodata=np.nan)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.full((2, 40, 40), np.nan, np.float32))
    done = map_region(job(tmp_path / "out"), read_scenes(two))
    assert [item.summary["valid"] for item in done.mapped] == [1600, 1600, 1600, 0]
    assert done.joined.landslides == 2


def test_two_processes_do_not_map_one_region(two, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(RunError, match="is in use"):
        map_region(job(tmp_path / "out"), read_scenes(two))


def test_a_folder_of_something_else_is_refused(two, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").touch()
    with pytest.raises(DataError, match=r"`notes\.txt` is there"):
        check_region(out, read_scenes(two), ())
    with pytest.raises(DataError, match="holds"):
        check_region(tmp_path, read_scenes(two), ())
    assert list(out.iterdir()) == [out / "notes.txt"]


def test_a_scene_without_a_system_fails_in_one_line(two, tmp_path):
    made.write_scene(two / "c.tif", [], crs=None)
    done = map_region(job(tmp_path / "out"), read_scenes(two))
    assert "must have a coordinate reference system" in done.failed["c"]


def test_elevations_of_a_scene_are_measured(two, tmp_path):
    heights = np.add.outer(np.arange(40.0), np.zeros(40))[None].astype(np.float32)
    made.files.write(two / "a_dem.tif", heights * 10, transform=made.place())
    map_region(job(tmp_path / "out"), read_scenes(two))
    _, table = landslides(tmp_path / "out")
    (crossing,) = np.flatnonzero(table["scenes"] == "a,b")
    assert table["elev_min_m"][crossing] == 100  # of the part that has a DEM
    assert table["relief_m"][crossing] == 90
