"""What is written is in the file, or it is said that it is not."""

import numpy as np
import pytest
import rasterio

from landslide_tf.errors import DataError
from landslide_tf.raster import cog
from landslide_tf.raster.cog import Layer, NotWritten
from landslide_tf.raster.legend import Legend, read_legend
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

GRID = Grid(files.CRS, files.NORTH_UP, 50, 30)


def blocks(values, rows=20):
    return [(row, values[:, row : row + rows]) for row in range(0, 50, rows)]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_values_come_back_block_by_block_in_any_order(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 100, (2, 50, 30)).astype(dtype)
    if dtype == "float32":
        values[0, 3:9, 4] = np.nan
    layer = Layer(dtype, -1 if dtype != "uint8" else 255, ["a", "b"], tags={"X": "1"})
    path, scratch = tmp_path / "a.tif", tmp_path / "scratch.tif"
    # Once only, and from south to north.
    cog.write_cog(path, GRID, layer, iter(blocks(values)[::-1]), scratch=scratch)
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert dataset.tags()["X"] == "1" and dataset.descriptions == ("a", "b")
        assert (dataset.crs.to_epsg(), dataset.transform) == (32633, files.NORTH_UP)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_bytes_that_the_disk_did_not_take_are_noticed(tmp_path, monkeypatch):
    """GDAL leaves blocks out of a file and says nothing; they read as nodata."""
    values = np.ones((1, 50, 30), np.uint8)
    layer = Layer("uint8", 255, ["a"], overviews="mode")
    copy = rasterio.shutil.copy

    def lossy(source, target, **options):
        with rasterio.open(source, "r+") as dataset:
            dataset.write(np.full((1, 1), 255, np.uint8), 1, window=((49, 50), (7, 8)))
        copy(source, target, **options)

    monkeypatch.setattr(rasterio.shutil, "copy", lossy)
    with pytest.raises(NotWritten, match="cannot be read back"):
        cog.write_cog(
            tmp_path / "a.tif", GRID, layer, blocks(values), scratch=tmp_path / "s.tif"
        )


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(NotWritten, match=r"no/a\.tif` cannot be written"):
        cog.write_plain(tmp_path / "no" / "a.tif", GRID, Layer("uint8", 0, ["a"]), [])


@pytest.mark.parametrize("float32", [False, True])
def test_fractions_keep_what_their_type_can(float32):
    values = np.random.default_rng(1).random((6, 5, 2)).astype(np.float32)
    valid = values[..., 0] > 0.2
    stored = cog.quantised(values, valid, float32=float32)
    layer = cog.fractions(["a", "b"], {}, float32=float32)
    assert stored.dtype == layer.dtype and stored.shape == (2, 6, 5)
    back = np.moveaxis(stored * layer.scale, 0, -1)
    step = 0 if float32 else 0.5 / 250
    np.testing.assert_allclose(back[valid], values[valid], atol=step + 1e-7)
    missing = np.isnan(stored) if float32 else stored == layer.nodata
    np.testing.assert_array_equal(missing, np.broadcast_to(~valid, (2, 6, 5)))


def test_a_legend_survives_its_file(tmp_path):
    legend = Legend(("forest", "slide, new"), 1)
    path = tmp_path / "m.tif"
    layer = Layer("uint8", 255, ["class"], tags=legend.tags())
    cog.write_plain(path, GRID, layer, blocks(np.zeros((1, 50, 30), np.uint8)))
    assert read_legend(path) == legend
    assert legend.landslide_value(path) == 1 and legend.landslide_value(path, 0) == 0
    for tag in ("", "sigmoid", "-1", "1.5"):
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(LANDSLIDE_CLASS=tag)
        silent = read_legend(path)
        assert silent.landslide is None
        with pytest.raises(DataError, match="--landslide-class"):
            silent.landslide_value(path)
