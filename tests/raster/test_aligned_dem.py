"""Windows of elevations: where there are none, and where something is wrong."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

GRID = Grid(files.CRS, files.NORTH_UP, 60, 60)


@pytest.fixture
def dem(tmp_path):
    """Elevations of the left half, with a hole of 20 x 20 cells in its middle."""
    heights = np.add.outer(np.arange(60.0), np.arange(30.0))[None].astype(np.float32)
    heights[:, 20:40, 5:25] = -9999
    return files.write(tmp_path / "dem.tif", heights, nodata=-9999)


def read(path, window, **options):
    reader = AlignedDem(DemFiles(path), GRID, ("slope",), options)
    try:
        return reader.read(Window(*window))
    finally:
        reader.close()


def test_windows_without_elevations_have_no_value(dem):
    values, valid = read(dem, (0, 0, 10, 10))
    assert valid.all() and (values > 0).all()
    for nothing in ((25, 10, 5, 5), (0, 40, 10, 10)):  # in the hole, beyond the end
        values, valid = read(dem, nothing)
        assert not valid.any() and np.isnan(values).all()


def test_what_is_wrong_is_told_and_not_taken_for_a_hole(dem):
    with pytest.raises(DataError, match="`resampling`"):
        read(dem, (0, 0, 10, 10), resampling="lanczos")
    with pytest.raises(DataError, match="`dem_unit`"):
        DemFiles(dem, unit="fathom")
