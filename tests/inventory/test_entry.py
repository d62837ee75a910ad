"""What is kept of a mapped scene, against geodesics, pixels and tables."""

import dataclasses
import datetime

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from landslide_tf.errors import DataError
from landslide_tf.inventory import Settings, region_of
from landslide_tf.inventory.entry import read_entry
from landslide_tf.mapping.polygons import find_landslides, write_landslides
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.polygons import write_polygons
from tests.inventory import scenes

GEOD = pyproj.Geod(ellps="WGS84")


def geodesic_area(geometry):
    return abs(GEOD.geometry_area_perimeter(shapely.segmentize(geometry, 1e-5))[0])


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    mapped = scenes.mapped(tmp_path_factory.mktemp("scene"), scenes.blobs())
    return mapped, *read_entry(mapped, Settings())


def test_attributes_of_the_landslides(entry):
    mapped, scene, found = entry
    meta, _, wkb, columns = pyogrio.raw.read(mapped.polygons)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert len(found) == len(wkb) > 5
    areas = [geodesic_area(shape) for shape in found.geometries]
    assert found.numbers("area_m2") == pytest.approx(areas, rel=1e-4)
    assert found.numbers("probability") == pytest.approx(table["probability"])
    assert found.columns["confidence"] == [
        max((c for c, t in zip((1, 2, 3, 5, 8), Settings().confidence, strict=True)
             if p >= t), default=None)
        for p in table["probability"]
    ]  # fmt: skip
    assert (found.numbers("length_m") >= found.numbers("width_m")).all()
    assert np.isnan(found.numbers("elev_min_m")).all()  # no elevations
    assert set(found.columns["volume_m3"]) == {None}
    for name, value in {
        "part": "whole", "date_min": None, "date_max": "2024-05-31", "region": "ALPS",
        "type": "unknown", "trigger": "unknown", "model": "bright", "rule": "",
        "model_version": "a1", "data_licence": "CC-BY-4.0", "image_ids": "image.tif",
        "scene": scene.id,
    }.items():  # fmt: skip
        assert set(found.columns[name]) == {value}, name


def test_rasters_of_other_ground_and_cells_that_look_like_values(tmp_path):
    mapped = scenes.mapped(tmp_path, scenes.blobs())
    far, heights = tmp_path / "far.tif", np.zeros((1, scenes.SIDE, scenes.SIDE))
    layer = Layer("float32", -1, ["dem"])
    write_plain(far, scenes.grid(east=900_000), layer, [(0, heights.astype("f4"))])
    holes = tmp_path / "holes.tif"
    heights[0, 1:] = 1000
    heights[0, 0] = -32768
    write_plain(holes, scenes.grid(), layer, [(0, heights.astype("f4"))])
    for given, message in (
        ({"dem": DemFiles(far)}, "far.tif` must overlap"),
        ({"probabilities": far}, "far.tif` must overlap the map"),
        ({"dem": DemFiles(holes)}, "--dem-nodata -32768"),
    ):
        with pytest.raises(DataError, match=message):
            read_entry(dataclasses.replace(mapped, **given), Settings())
    known = dataclasses.replace(mapped, dem=DemFiles(holes, nodata=-32768))
    _, found = read_entry(known, Settings())
    assert np.nanmin(found.numbers("elev_min_m")) == 1000


def test_facts_of_the_scene(entry):
    _, scene, found = entry
    assert scene.facts["landslides"] == len(found)
    assert scene.facts["mapped_m2"] == pytest.approx(geodesic_area(scene.outline), 1e-4)
    assert scene.facts["min_area_m2"] == pytest.approx(16 * 100, rel=1e-3)
    assert scene.facts["gsd_m"] == pytest.approx(10, rel=1e-3)


def test_ids_are_those_of_the_polygon_not_of_the_file(entry, tmp_path):
    mapped, scene, found = entry
    ids = found.columns["id"]
    assert len(set(ids)) == len(ids)
    place = scenes.grid()
    mask = mapped.map.with_name(mapped.map.name.replace("_map", "_01"))
    again = find_landslides(mask, place)
    other = tmp_path / "again.geojson"  # degrees of eight digits
    write_landslides(again, other, "GeoJSON")
    second = read_entry(dataclasses.replace(mapped, polygons=other), Settings())
    assert set(second[1].columns["id"]) == set(ids)
    newer = scenes.mapped(tmp_path, scenes.blobs(), version="b2")
    third = read_entry(newer, Settings())
    assert third[0].id == scene.id
    assert not set(third[1].columns["id"]) & set(ids)
    later = dataclasses.replace(mapped, date=datetime.date(2025, 1, 1))
    assert read_entry(later, Settings())[0].id != scene.id


def test_what_polygons_and_rasters_say(tmp_path):
    place = scenes.grid()
    classes = np.zeros((scenes.SIDE, scenes.SIDE), np.uint8)
    classes[10:20, 10:40] = 1
    mapped = scenes.mapped(
        tmp_path, classes, before=datetime.date(2023, 1, 1), trigger="rainfall",
        volume_law=("steep", 0.2, 1.3),
    )  # fmt: skip
    box = shapely.box(500_100, 4_599_800, 500_400, 4_599_900)
    table = {
        "part": ["source"], "rule": ["slope_mean_deg,lwr"], "trigger": ["earthquake"],
        "type": ["debris flow"], "probability": [0.7], "elev_min_m": [1.0],
    }  # fmt: skip
    polygons = tmp_path / "own.gpkg"
    write_polygons(polygons, "GPKG", np.array([box]), table, "EPSG:32633", layer="a")
    x = np.arange(scenes.SIDE) * 10.0 + 5
    plane = np.broadcast_to(1000 + x, place.shape).astype(np.float32)[None]
    dem = tmp_path / "dem.tif"
    write_plain(dem, place, Layer("float32", -9999, ["elevation"]), [(0, plane)])
    own = dataclasses.replace(mapped, polygons=polygons)
    _, found = read_entry(own, Settings())
    row = {name: values[0] for name, values in found.columns.items()}
    for name, values in table.items():
        assert row[name] == values[0], name
    assert row["date_min"] == "2023-01-01"
    assert row["confidence"] == 2
    assert row["volume_m3"] == pytest.approx(0.2 * row["area_m2"] ** 1.3)
    measured = dataclasses.replace(own, dem=DemFiles(dem))
    row = {n: v[0] for n, v in read_entry(measured, Settings())[1].columns.items()}
    assert row["elev_min_m"] == pytest.approx(1105)
    assert row["relief_m"] == pytest.approx(290)
    assert row["slope_mean_deg"] == pytest.approx(45, abs=0.1)
    assert row["aspect_mean_deg"] == pytest.approx(270, abs=0.1)
    table["trigger"] = ["frost"]
    write_polygons(polygons, "GPKG", np.array([box]), table, "EPSG:32633", layer="a")
    with pytest.raises(DataError, match="`trigger` cannot be `frost`"):
        read_entry(own, Settings())


def test_ground_without_data_was_not_mapped(tmp_path):
    classes = np.full((scenes.SIDE, scenes.SIDE), 255, np.uint8)
    classes[:, :20] = 0
    mapped = scenes.mapped(tmp_path, classes)
    scene, found = read_entry(mapped, Settings())
    assert len(found) == 0  # and yet it is known that there are none
    assert scene.facts["mapped_m2"] == pytest.approx(60 * 20 * 100, rel=2e-3)
    half = tmp_path / "area.gpkg"
    ring = np.array([shapely.box(500_000, 4_599_700, 500_600, 4_600_000)])
    write_polygons(half, "GPKG", ring, {}, "EPSG:32633", layer="a")
    cut, _ = read_entry(dataclasses.replace(mapped, area=half), Settings())
    assert cut.facts["mapped_m2"] == pytest.approx(30 * 20 * 100, rel=2e-3)
    nothing = scenes.mapped(tmp_path, np.full_like(classes, 255), image="none.tif")
    with pytest.raises(DataError, match="nothing was mapped"):
        read_entry(nothing, Settings())


def test_polygons_of_elsewhere_and_twice(entry, tmp_path):
    mapped, _, found = entry
    moved = shapely.affinity.translate(found.geometries[0], 3)
    for name, shapes, message in (
        ("far", [moved], "must lie on the mapped ground"),
        ("twice", [found.geometries[0]] * 2, "received one twice"),
    ):
        path = tmp_path / f"{name}.gpkg"
        write_polygons(path, "GPKG", np.array(shapes), {}, "EPSG:4326", layer="a")
        with pytest.raises(DataError, match=message):
            read_entry(dataclasses.replace(mapped, polygons=path), Settings())


def test_the_region_with_the_most_ground(tmp_path):
    place = scenes.grid()
    ground = np.array([shapely.box(500_000, 4_599_400, 500_600, 4_600_000)])
    path = tmp_path / "regions.gpkg"
    parts = shapely.box(
        [490_000, 500_200, 500_400], 4_500_000, [500_200, 500_400, 510_000], 4_700_000
    )
    table = {"zone": ["ETF", "Alps", "etf"]}  # two parts of one region
    table["zone"][2] = "ETF"
    write_polygons(path, "GPKG", parts, table, "EPSG:32633", layer="a")
    assert region_of(path, "zone", ground, place) == "EASTERN_TEMPERATE_FORESTS"
    with pytest.raises(DataError, match="must have the field `region`"):
        region_of(path, "region", ground, place)


def test_words_dates_and_thresholds(entry):
    mapped, *_ = entry
    with pytest.raises(DataError, match="`trigger` cannot be `rain`"):
        dataclasses.replace(mapped, trigger="rain")
    with pytest.raises(DataError, match="earlier date"):
        dataclasses.replace(mapped, before=mapped.date)
    with pytest.raises(DataError, match="5 rising probabilities"):
        Settings((0.5, 0.4, 0.8, 0.9, 1))
