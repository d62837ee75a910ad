"""Degrees of a page, interpolated as the page does, against pyproj."""

import numpy as np
import pyproj
import pytest
from rasterio import Affine

from landslide_tf.report.map.degrees import degrees_of
from landslide_tf.terrain import Grid

SITE = 'LOCAL_CS["Site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
MARS = 'GEOGCS["Mars",DATUM["Mars",SPHEROID["Mars",3396190,169.9]],PRIMEM["x",0],\
UNIT["degree",0.0174532925199433]]'
GEOD = pyproj.Geod(ellps="WGS84")


def page_degrees(found, grid, column, row):
    """Longitude and latitude by bilinear interpolation, written again."""
    nodes = np.array(found.nodes)
    fields = len(nodes) - 1
    y, x = row / grid.height * fields, column / grid.width * fields
    i, j = min(int(y), fields - 1), min(int(x), fields - 1)
    weights = np.outer([1 - (y - i), y - i], [1 - (x - j), x - j])
    v = np.einsum("ij,ijk->k", weights, nodes[i : i + 2, j : j + 2])
    lat = np.degrees(np.arctan2(v[2], np.hypot(v[0], v[1])))
    return np.degrees(np.arctan2(v[1], v[0])), lat


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), (900, 1200)),
        ("EPSG:32633", Affine(70, 70, 400_000, 70, -70, 4_600_000), (900, 1200)),
        ("EPSG:32760", Affine(100, 0, 780_000, 0, -100, 8_150_000), (600, 800)),
        ("EPSG:3413", Affine(500, 0, -300_000, 0, -500, 200_000), (800, 1200)),
        ("EPSG:3031", Affine(5000, 0, -3e6, 0, -5000, 3e6), (1200, 1200)),
        ("EPSG:3857", Affine(300, 0, 1.6e6, 0, -300, 9.5e6), (1200, 1200)),
        ("EPSG:4267", Affine(0.001, 0, -100, 0, -0.001, 40), (1000, 1000)),
        ("EPSG:4269", Affine(0.001, 0, 179.8, 0, -0.001, 52), (300, 500)),
        ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), (1, 1)),
    ],
    ids=[
        "utm", "rotated", "antimeridian", "pole", "whole-pole", "mercator", "nad27",
        "beyond-180", "one-cell",
    ],
)  # fmt: skip
def test_interpolated_degrees_are_as_exact_as_they_say(crs, transform, shape):
    grid = Grid(crs, transform, *shape)
    found = degrees_of(grid)
    there = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    rng = np.random.default_rng(0)
    for part in (*rng.random((300, 2)), (0, 0), (1, 1), (0.5, 0.5)):
        column, row = part[0] * grid.width, part[1] * grid.height
        true = there.transform(*(transform @ (column, row)))
        away = GEOD.inv(*page_degrees(found, grid, column, row), *true)[2]
        assert away <= 1.1 * found.error + 0.01
    one = there.transform(*(transform @ (grid.width / 2 + 1, grid.height / 2)))
    cell = GEOD.inv(
        *one, *there.transform(*(transform @ (grid.width / 2, grid.height / 2)))
    )[2]
    assert found.error <= 0.1 * cell
    assert len(found.nodes) <= 33
    # The last digit tells cells apart.
    assert 10**-found.digits * 111_000 < cell


def test_degrees_are_the_map_s_own_coordinates_where_these_are():
    found = degrees_of(Grid("EPSG:4326", Affine(0.01, 0, 179, 0, -0.01, 5), 200, 300))
    assert (found.nodes, found.error, found.digits) == (None, 0, 3)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (None, Affine.identity()),
        (SITE, Affine(1, 0, 0, 0, -1, 60)),
        (MARS, Affine(0.001, 0, 15, 0, -0.001, 60)),
        # An orthographic view reaches past the edge of the globe.
        ("+proj=ortho +lat_0=40 +lon_0=10", Affine(2e5, 0, -7e6, 0, -2e5, 7e6)),
        # A sinusoidal one past the antimeridian, where PROJ goes on around the globe.
        ("+proj=sinu +lon_0=0", Affine(5e5, 0, -2.0e7, 0, -2.5e5, 9e6)),
        # The grid of NAD 27 shifts places by 200 m, and ends here.
        ("EPSG:4267", Affine(0.001, 0, 179.8, 0, -0.001, 52)),
    ],
    ids=["no-crs", "site", "mars", "globe", "sinusoidal", "edge-of-a-shift"],
)
def test_no_degrees_are_better_than_wrong_ones(crs, transform):
    assert degrees_of(Grid(crs, transform, 70, 80)) is None
