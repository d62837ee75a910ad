"""Where files lie: orientation, cells that coincide, ground in common."""

import numpy as np
import pytest
import rasterio.shutil
from rasterio import Affine
from rasterio.warp import transform_bounds

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import (
    AS_STORED,
    grid_of,
    mean_cell,
    north_up,
    same_cells,
    with_cell,
)
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import bounds_in, system_of
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

GRID = Grid(files.CRS, files.NORTH_UP, 30, 20)
DOWN, ACROSS = Affine(1, 0, 0, 0, -1, 30), Affine(-1, 0, 20, 0, 1, 0)
MIRRORED = {
    "south-up": (DOWN, (slice(None, None, -1), slice(None))),
    "west-up": (ACROSS, (slice(None), slice(None, None, -1))),
    "both": (DOWN @ ACROSS, (slice(None, None, -1), slice(None, None, -1))),
}


@pytest.mark.parametrize("how", MIRRORED)
def test_a_mirrored_grid_has_the_same_cells(how):
    mirror, turn = MIRRORED[how]
    stored = Grid(GRID.crs, GRID.transform @ mirror, 30, 20)
    assert north_up(stored) == (GRID, turn)
    assert same_cells(stored, GRID) == turn
    assert same_cells(stored, stored) == same_cells(GRID, GRID) == AS_STORED
    # A grid that is mirrored and moved by a cell has others.
    assert same_cells(stored.window(1, 0, 30, 20), GRID) is None


def test_grids_without_a_north_stay_as_they_are():
    rotated = Grid(files.CRS, files.NORTH_UP @ Affine.rotation(20), 30, 20)
    nowhere = Grid(None, Affine.identity(), 30, 20)
    for grid in (rotated, nowhere):
        assert north_up(grid) == (grid, AS_STORED)
        assert same_cells(grid, grid) == AS_STORED


@pytest.mark.parametrize(("drift", "same"), [(0.0005, True), (0.002, False)])
def test_a_thousandth_of_a_cell_is_no_difference(drift, same):
    moved = Grid(GRID.crs, GRID.transform @ Affine.translation(drift, 0), 30, 20)
    assert (same_cells(moved, GRID) is not None) == same
    stretched = Grid(GRID.crs, GRID.transform @ Affine.scale(1 + drift / 30, 1), 30, 20)
    assert (same_cells(stretched, GRID) is not None) == same
    other = Grid("EPSG:32634", GRID.transform, 30, 20)
    assert same_cells(other, GRID) is None


def test_cells_in_degrees_are_measured_in_metres():
    """At 60° north a degree of longitude is half as long as at the equator."""
    degrees = Grid("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 60.0005), 10, 10)
    east, north = 6378137 * np.radians(1e-4) / 2, 6371000 * np.radians(1e-4)
    assert mean_cell(degrees) == pytest.approx(np.sqrt(east * north), rel=3e-3)
    square = with_cell(degrees, 5.0)
    assert mean_cell(square) == pytest.approx(5.0, rel=1e-4)
    west, _, _, top = bounds_in(square, square.crs)
    assert (west, top) == (10, 60.0005)


def test_bounds_in_another_system_hold_the_grid():
    expected = transform_bounds(
        files.CRS, "EPSG:4326", 500_000, 4_599_700, 500_200, 4_600_000
    )
    np.testing.assert_allclose(bounds_in(GRID, "EPSG:4326"), expected)


def test_a_file_says_where_it_lies_or_is_refused(tmp_path):
    values = np.ones((1, 30, 20), np.uint8)
    south_up = files.NORTH_UP @ DOWN
    path = files.write(tmp_path / "s.tif", values, transform=south_up)
    assert grid_of(path, "x") == GRID
    rotated = files.NORTH_UP @ Affine.rotation(20)
    for name, place, words in (
        ("none.tif", {"crs": None}, "coordinate reference system"),
        ("rotated.tif", {"transform": rotated}, "north-up grid"),
    ):
        path = files.write(tmp_path / name, values, **place)
        with pytest.raises(DataError, match=rf"map `.*{name}`.*{words}"):
            grid_of(path, "map")
    far = files.write(
        tmp_path / "far.tif", values, transform=Affine.translation(1e5, 0) @ south_up
    )
    with pytest.raises(DataError, match=r"DEM `.*far\.tif` must overlap the image"):
        check_overlap(far, "DEM", GRID)
    # Edges that only touch share no ground.
    beside = files.NORTH_UP @ Affine.translation(20, 0)
    with pytest.raises(DataError, match="share no ground"):
        check_overlap(
            files.write(tmp_path / "b.tif", values, transform=beside), "DEM", GRID
        )
    with pytest.raises(DataError, match="received none"):
        system_of(Grid(None, files.NORTH_UP, 3, 3))


def test_a_vrt_without_its_source_names_the_source(tmp_path):
    source, path = tmp_path / "gone.tif", tmp_path / "all.vrt"
    files.write(source, np.ones((1, 4, 4), np.uint8))
    rasterio.shutil.copy(source, path, driver="VRT")
    with open_raster(path, "image") as dataset:
        assert dataset.read().all()
    source.unlink()
    with pytest.raises(DataError, match=rf"refers to `{source}`, which is not there"):
        open_raster(path, "image").__enter__()


def test_a_missing_file_is_named_through_views_of_views(tmp_path):
    """The second view is whole; what it refers to is gone."""
    path = files.write(tmp_path / "scene.tif", np.ones((1, 4, 4), np.uint8))
    inner, outer = tmp_path / "inner.vrt", tmp_path / "outer.vrt"
    rasterio.shutil.copy(path, inner, driver="VRT")
    outer.write_text(inner.read_text().replace("scene.tif", "inner.vrt"))
    with open_raster(outer, "image") as dataset:
        assert dataset.read().all()
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(DataError, match=r"inner.vrt` refers to `.*scene.tif`"):
        grid_of(outer, "image")
