"""Grids: place, orientation, and cells in metres."""

import dataclasses
import math

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid, cell_size

# Metres a degree of longitude and of latitude on WGS-84.
ARCS = {
    0.0: (111319.491, 110574.276),
    29.943333: (96541.051, 110851.488),
    33.2: (93241.799, 110908.021),
    45.0: (78846.835, 111131.777),
    60.0: (55800.002, 111412.287),
}


@pytest.mark.parametrize("latitude", [*ARCS, -45.0])
def test_degrees_become_metres(latitude):
    """One row of one cell of 0.001 degree, centred on the latitude."""
    top = latitude + 0.0005
    grid = Grid("EPSG:4326", Affine(0.001, 0, 99, 0, -0.001, top), 1, 1)
    east, north = cell_size(grid)
    expected = ARCS[abs(latitude)]
    assert east[0] * 1000 == pytest.approx(expected[0], abs=1e-3)
    assert north[0] * 1000 == pytest.approx(expected[1], abs=1e-3)


def test_one_size_a_row_on_geographic_grids():
    grid = Grid("EPSG:4326", Affine(0.5, 0, 10, 0, -0.25, 60), 40, 7)
    east, north = cell_size(grid)
    assert east.shape == north.shape == (40,)
    assert (np.diff(east) > 0).all()  # wider towards the equator
    assert (np.diff(north) < 0).all()


def test_grads_are_an_angular_unit():
    """EPSG:4807 counts in grads from Paris; 50 grads are 45 degrees."""
    step = 0.001 / 0.9
    grid = Grid("EPSG:4807", Affine(step, 0, 0, 0, -step, 50 + step / 2), 1, 1)
    east, north = cell_size(grid)
    assert east[0] * 1000 == pytest.approx(ARCS[45.0][0], rel=1e-6)
    assert north[0] * 1000 == pytest.approx(ARCS[45.0][1], rel=1e-6)


def test_another_planet_has_its_own_ellipsoid():
    mars = (
        'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars",3396190,0]],'
        'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
    )
    grid = Grid(mars, Affine(1, 0, -80, 0, -1, 0.5), 1, 1)
    east, north = cell_size(grid)
    degree = math.pi / 180 * 3396190
    assert east[0] == pytest.approx(degree, rel=1e-12)
    assert north[0] == pytest.approx(degree, rel=1e-12)


@pytest.mark.parametrize(
    ("crs", "metres"),
    [
        ("EPSG:32633", 30.0),
        ("EPSG:3089", 30 * 1200 / 3937),  # US survey feet
        ("EPSG:2222", 30 * 0.3048),  # international feet
        (None, 30.0),
    ],
)
def test_linear_units_apply_to_the_cell(crs, metres):
    grid = Grid(crs, Affine(30, 0, 5e5, 0, -60, 5e6), 3, 3)
    assert cell_size(grid) == pytest.approx((metres, 2 * metres), rel=1e-9)


def test_web_mercator_metres_are_not_ground_metres():
    """At 60 degrees a cell of Web Mercator is half as large as it says."""
    x, y = 11131949.079, 8399737.890  # 100 E, 60 N
    east, north = cell_size(Grid("EPSG:3857", Affine(10, 0, x, 0, -10, y + 5), 1, 1))
    per_degree = math.pi / 180 * 6378137
    assert east[0] == pytest.approx(10 / per_degree * ARCS[60.0][0], rel=1e-6)
    # A metre of northing is cos(latitude)/R radians of latitude.
    assert north[0] == pytest.approx(10 / per_degree * 0.5 * ARCS[60.0][1], rel=1e-6)


def test_south_up_and_mirrored_grids():
    base = Grid("EPSG:32633", Affine(10, 0, 100, 0, -20, 900), 4, 5)
    index = np.arange(20).reshape(4, 5)
    x, y = base.transform @ (np.arange(5) + 0.5, 0.5)
    flipped = Grid("EPSG:32633", Affine(-10, 0, 150, 0, 20, 820), 4, 5)
    upright, back = flipped.upright()
    assert upright == base
    fx, _ = flipped.transform @ (np.arange(5) + 0.5, 3.5)
    np.testing.assert_allclose(fx[::-1], x)
    assert (y == 890).all()
    np.testing.assert_array_equal(index[back], index[::-1, ::-1])
    assert base.upright() == (base, (slice(None), slice(None)))
    assert cell_size(flipped) == (10, 20)
    north_up = Grid("EPSG:4326", Affine(1, 0, 0, 0, -1, 60), 10, 2)
    south_up = Grid("EPSG:4326", Affine(1, 0, 0, 0, 1, 50), 10, 2)
    np.testing.assert_allclose(cell_size(south_up)[0], cell_size(north_up)[0][::-1])


def test_window_reaches_beyond_the_edges():
    grid = Grid("EPSG:32633", Affine(10, 0, 100, 0, -20, 900), 4, 5)
    part = grid.window(-1, 2, 7, 3)
    assert part.shape == (7, 3)
    assert part.transform @ (0, 1) == grid.transform @ (2, 0)


def test_of_dataset(tmp_path):
    path = tmp_path / "a.tif"
    transform = Affine(2, 0, 7, 0, -3, 11)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "transform": transform}
    with rasterio.open(path, "w", width=4, height=3, crs="EPSG:32633", **profile) as d:
        d.write(np.zeros((1, 3, 4), np.uint8))
    with rasterio.open(path) as dataset:
        grid = Grid.of(dataset)
    assert grid == Grid("EPSG:32633", transform, 3, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.height = 5


NORTH_UP = Affine(10, 0, 0, 0, -10, 0)
ROTATED = Affine.rotation(30) @ Affine.scale(10, -10)
BAD = {
    "no crs of that name": (lambda: Grid("EPSG:99", NORTH_UP, 2, 2), "`EPSG:99`"),
    "no rows": (lambda: Grid(None, NORTH_UP, 0, 2), "at least 1, got 0 and 2"),
    "gdal's tuple": (lambda: Grid(None, (0, 1, 0, 0, 0, -1), 2, 2), "from_gdal"),
    "degenerate": (lambda: Grid(None, Affine(0, 0, 0, 0, 0, 0), 2, 2), "invertible"),
    "rotated": (lambda: cell_size(Grid("EPSG:32633", ROTATED, 2, 2)), "rotated.*warp"),
    "no place": (lambda: cell_size(Grid(None, Affine.identity(), 2, 2)), "georefer"),
    "beyond the pole": (
        lambda: cell_size(Grid("EPSG:4326", Affine(1, 0, 0, 0, -1, 99), 9, 9)),
        "between the poles.*98.5",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    call, words = BAD[case]
    with pytest.raises(DataError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
