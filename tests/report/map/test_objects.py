"""Polygons as a page holds them, from files with known shapes."""

import re

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio import Affine
from rasterio.crs import CRS

from landslide_tf.errors import DataError
from landslide_tf.report.map import objects
from landslide_tf.terrain import Grid

GRID = Grid(CRS.from_epsg(32633), Affine(2, 0, 0, 0, -2, 100), 50, 60)


def write(path, shapes, **table):
    names = np.array(list(table), object)
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), list(table.values()), names,
        geometry_type="Unknown", crs="EPSG:32633", driver="GPKG",
    )  # fmt: skip
    return path


def rings(outline):
    """Corners of each ring of an SVG path."""
    return [
        {tuple(map(float, point.split(","))) for point in re.split("[ML]", part)[1:]}
        for part in outline.replace(" ", "").split("Z")
        if part
    ]


def test_holes_and_parts_are_rings(tmp_path):
    ring = shapely.box(0, 0, 40, 40).difference(shapely.box(10, 10, 20, 20))
    two = shapely.union(shapely.box(60, 0, 70, 10), shapely.box(80, 0, 90, 10))
    found = objects.read_objects(write(tmp_path / "a.gpkg", [two, ring]), GRID)
    large, small = found.objects
    assert (large.id, small.id) == ("2", "1") and found.total == 2
    assert rings(large.outline) == [
        {(0, 50), (0, 30), (20, 30), (20, 50)},
        {(5, 45), (5, 40), (10, 40), (10, 45)},
    ]
    assert len(rings(small.outline)) == 2
    assert large.box == (0, 30, 20, 50) and small.box == (30, 45, 45, 50)


def test_known_columns_come_first_and_have_names(tmp_path):
    shapes = [shapely.box(0, 0, 10, 10), shapely.box(20, 0, 40, 20)]
    path = write(
        tmp_path / "a.gpkg", shapes, my_note=np.array(["x", None], object),
        probability=np.array([0.5, 0.75]), id=np.array([7, 8]),
        perimeter_m=np.array([1.0, 2.0]), area_m2=np.array([100.0, 400.0]),
    )  # fmt: skip
    found = objects.read_objects(path, GRID)
    assert [label for label, _ in found.columns] == [
        "object", "area, m²", "mean probability", "my note",
    ]  # fmt: skip
    assert [(o.id, *o.values) for o in found.objects] == [
        ("8", 400.0, 0.75, ""),
        ("7", 100.0, 0.5, "x"),
    ]


def test_the_largest_are_kept_of_many(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "MOST", 3)
    shapes = [shapely.box(0, 0, side, side) for side in (5, 1, 4, 2, 3)]
    found = objects.read_objects(write(tmp_path / "a.gpkg", shapes), GRID)
    assert [o.id for o in found.objects] == ["1", "3", "5"] and found.total == 5


def test_a_file_without_polygons_has_none(tmp_path):
    none = write(tmp_path / "a.gpkg", np.array([], object), id=np.array([], int))
    assert objects.read_objects(none, GRID).objects == ()
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="received a table"):
        objects.read_objects(table, GRID)
