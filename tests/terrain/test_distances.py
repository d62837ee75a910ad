"""Slopes of projections that stretch the ground, beside sphere and ellipsoid."""

import numpy as np
import pyproj
import pytest
from rasterio import Affine

from landslide_tf import terrain
from landslide_tf.errors import DataError
from landslide_tf.terrain.distances import cells_by

A, F = 6378137.0, 1 / 298.257223563
E2 = F * (2 - F)
MOON = 1_737_400.0
RISE = 4.0  # metres up a cell to the east


def mercator(latitude, cell=10.0):
    """A grid of world Mercator (EPSG:3395) with its middle at a latitude."""
    lat = np.radians(latitude)
    e = np.sqrt(E2)
    y = A * (np.arctanh(np.sin(lat)) - e * np.arctanh(e * np.sin(lat)))
    return terrain.Grid("EPSG:3395", Affine(cell, 0, 0, 0, -cell, y + 8 * cell), 16, 16)


def equirectangular(latitude, cell=100.0):
    """A grid of the Moon's cylindrical projection (metres at the equator)."""
    y = MOON * np.radians(latitude)
    return terrain.Grid(
        "ESRI:103881", Affine(cell, 0, 0, 0, -cell, y + 8 * cell), 16, 16
    )


def scale_of_mercator(latitude):
    """Grid metres a ground metre, both ways: 1/k = N cos φ / a (Snyder 1987, 7-8)."""
    lat = np.radians(latitude)
    return np.sqrt(1 - E2 * np.sin(lat) ** 2) / np.cos(lat)


@pytest.mark.parametrize("latitude", [0, 45, -60, 80])
def test_world_mercator_is_measured_on_the_ellipsoid(latitude):
    grid = mercator(latitude)
    east, north = cells_by(grid, "ground")
    expected = 10 / scale_of_mercator(latitude)
    # The scale changes from row to row by some millionths.
    np.testing.assert_allclose([east[8], north[8]], expected, rtol=2e-5)
    if latitude == -60:
        np.testing.assert_allclose(east[8], 5.0, rtol=3e-3)  # half
    plane = RISE * np.arange(16.0) * np.ones((16, 1))
    for distances, cell in (("grid", 10.0), ("ground", expected)):
        for derive in ("after", "before"):
            found = terrain.factors_on_grid(
                (plane, grid, None), grid, distances=distances, derive=derive
            ).values[8, 8]
            steep = np.degrees(np.arctan(RISE / cell))
            np.testing.assert_allclose(found, [steep, 270], rtol=3e-5)


def test_the_equirectangular_moon_is_stretched_one_way_only():
    grid = equirectangular(60)
    east, north = cells_by(grid, "ground")
    latitude = np.radians(60) + (8 - np.arange(16) - 0.5) * 100 / MOON
    np.testing.assert_allclose(east, 100 * np.cos(latitude), rtol=1e-6)
    np.testing.assert_allclose(north, 100, rtol=1e-6)
    # A cone: as steep to the north-west as to the south-east, in ground metres.
    x = np.arange(16) * 100 * np.cos(np.radians(60))
    plane = 0.3 * x - 0.3 * (np.arange(16) * 100)[:, None]
    found = terrain.factors_on_grid(
        (plane, grid, None), grid, distances="ground"
    ).values[8, 8]
    steep = np.degrees(np.arctan(0.3 * 2**0.5))
    np.testing.assert_allclose(found, [steep, 225], rtol=1e-3)


def test_what_is_measured_already_stays():
    """Degrees, Web Mercator, UTM, coordinates in metres without a system."""
    for crs, place in (
        ("EPSG:4326", Affine(1e-3, 0, 15, 0, -1e-3, 60)),
        ("EPSG:3857", Affine(10, 0, 0, 0, -10, 8_399_737)),
        (None, Affine(10, 0, 0, 0, -10, 0)),
        ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 6_650_000)),
    ):
        grid = terrain.Grid(crs, place, 6, 6)
        for a, b in zip(cells_by(grid, "ground"), terrain.cell_size(grid), strict=True):
            # UTM has 0.9996 in its middle.
            np.testing.assert_allclose(
                a, b, rtol=5e-4 if crs == "EPSG:32633" else 1e-12
            )


def test_rows_are_those_of_the_grid():
    """With the south on top, and in a window of a larger grid."""
    grid = mercator(60)
    turned = terrain.Grid(grid.crs, grid.transform @ Affine(1, 0, 0, 0, -1, 16), 16, 16)
    east, _ = cells_by(grid, "ground")
    np.testing.assert_allclose(cells_by(turned, "ground")[0], east[::-1], rtol=1e-9)
    part, _ = cells_by(grid.window(3, 5, 7, 9), "ground")
    np.testing.assert_allclose(part, east[3:10], rtol=1e-9)


def test_other_projections_and_places_are_refused():
    polar = terrain.Grid("EPSG:3995", Affine(9e4, 0, -2e6, 0, -9e4, -1e6), 30, 30)
    beyond = terrain.Grid("EPSG:32633", Affine(10, 0, 9e7, 0, -10, 9e7), 4, 4)
    for grid in (polar, beyond):
        with pytest.raises(DataError, match="of one size on the ground"):
            cells_by(grid, "ground")
        cells_by(grid, "grid")
    with pytest.raises(DataError, match="`distances` cannot be `local`"):
        terrain.factors_on_grid((np.ones((4, 4)), beyond, None), beyond,
                                distances="local")  # fmt: skip


def test_conformal_projections_agree_with_their_own_factors():
    grid = mercator(50)
    lon, lat = pyproj.Transformer.from_crs(3395, 4326, always_xy=True).transform(
        *(grid.transform @ (8, 8.5))
    )
    known = pyproj.Proj(3395).get_factors(lon, lat)
    east, north = cells_by(grid, "ground")
    assert east[8] == pytest.approx(10 / known.parallel_scale, rel=1e-7)
    assert north[8] == pytest.approx(10 / known.meridional_scale, rel=1e-7)
