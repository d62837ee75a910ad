"""What others read of an inventory."""

import csv
import dataclasses
import datetime

import pyogrio
import pytest
import shapely

from landslide_tf.errors import DataError
from landslide_tf.inventory import (
    COOLR_COLUMNS,
    FIELDS,
    SCENE_FIELDS,
    Settings,
    check_export,
    export_inventory,
)
from landslide_tf.inventory.entry import read_entry
from tests.inventory import scenes


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    mapped = scenes.mapped(
        tmp_path_factory.mktemp("scene"), scenes.blobs(),
        before=datetime.date(2023, 5, 1), trigger="rainfall", type="debris flow",
    )  # fmt: skip
    return read_entry(mapped, Settings())


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson"])
def test_polygons_come_back(entry, tmp_path, name):
    scene, landslides = entry
    out = tmp_path / name
    export_inventory(landslides, [scene], out)
    meta, _, wkb, columns = pyogrio.raw.read(out, layer="landslides")
    table = dict(zip(meta["fields"], columns, strict=True))
    assert list(table) == list(FIELDS)
    assert meta["crs"] == "EPSG:4326"
    assert list(table["id"]) == landslides.columns["id"]
    assert table["area_m2"] == pytest.approx(landslides.numbers("area_m2"))
    assert all(v is None or v != v for v in table["elev_min_m"])  # empty, not 0
    assert table["confidence"].tolist() == landslides.columns["confidence"]
    assert {str(day)[:10] for day in table["date_min"]} == {"2023-05-01"}
    back = shapely.from_wkb(wkb)
    assert shapely.hausdorff_distance(back, landslides.geometries).max() < 1e-7
    if name.endswith("gpkg"):
        meta, _, wkb, columns = pyogrio.raw.read(out, layer="scenes")
        assert list(meta["fields"]) == list(SCENE_FIELDS)
        assert shapely.from_wkb(wkb)[0].equals(scene.outline)
    check_export(out, tmp_path / "inventory.gpkg")  # its own may be replaced


def test_the_table_of_coolr(entry, tmp_path):
    scene, landslides = entry
    out = tmp_path / "out.csv"
    export_inventory(landslides, [scene], out)
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(COOLR_COLUMNS) == 31
    assert tuple(rows[0]) == COOLR_COLUMNS
    assert len(rows) == len(landslides)
    for row, shape in zip(rows, landslides.geometries, strict=True):
        point = shapely.Point(float(row["longitude"]), float(row["latitude"]))
        assert shape.distance(point) < 2e-6
    first = rows[0]
    assert first["landslide_category"] == "debris_flow"
    assert first["landslide_trigger"] == "rain"
    assert "between 2023-05-01 and 2024-05-31" in first["event_description"]
    for name in ("fatality_count", "country_name", "storm_name", "landslide_size"):
        assert {row[name] for row in rows} == {""}, name
    check_export(out, tmp_path / "inventory.gpkg")


def test_types_become_words_of_coolr(entry, tmp_path):
    scene, landslides = entry
    columns = dict(landslides.columns)
    kinds = ["rock/ice fall", "mud flow", "rock planar slide", "unknown", "soil creep"]
    columns["type"] = [*kinds, *["peat flow"] * (len(landslides) - len(kinds))]
    out = tmp_path / "out.csv"
    export_inventory(dataclasses.replace(landslides, columns=columns), [scene], out)
    with out.open(encoding="utf-8", newline="") as stream:
        found = [row["landslide_category"] for row in csv.DictReader(stream)]
    wanted = ["rock_fall", "mudslide", "translational_slide", "unknown", "creep"]
    assert found[:6] == [*wanted, "landslide"]


def test_names_that_are_refused(tmp_path):
    database = tmp_path / "inventory.gpkg"
    with pytest.raises(DataError, match=r"must end in \.gpkg"):
        check_export(tmp_path / "out.shp", database)
    with pytest.raises(DataError, match="is read and cannot be written over"):
        check_export(database, database)
    mine = tmp_path / "mine.csv"
    mine.write_text("a,b\n")
    with pytest.raises(DataError, match="is not the export"):
        check_export(mine, database)
    check_export(mine, database, overwrite=True)
