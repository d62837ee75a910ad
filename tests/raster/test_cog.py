"""What is written is in the file, or it is said that it is not."""

import resource

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


def harmed(path, fault):
    """Does to a file of GDAL's what a full disk does."""
    kind, part = fault.split()
    # The last block of the scene, or the only one of its overview.
    block, level = ("1_1", None) if part == "scene" else ("0_0", 0)
    with rasterio.open(path) as dataset:
        at, size = (
            int(
                dataset.get_tag_item(f"BLOCK_{what}_{block}", "TIFF", bidx=1, ovr=level)
            )
            for what in ("OFFSET", "SIZE")
        )
    whole, half = path.read_bytes(), at + size // 2
    rest = bytes(at + size - half) + whole[at + size :] if kind == "hole" else b""
    path.write_bytes(whole[:half] + rest)


@pytest.mark.parametrize("fault", ["cut scene", "hole scene", "hole overview"])
def test_bytes_that_the_disk_did_not_take_are_noticed(tmp_path, monkeypatch, fault):
    """GDAL leaves blocks out of a file and says nothing; they read as nodata."""
    grid = Grid(files.CRS, files.NORTH_UP, 700, 600)
    values = np.random.default_rng(0).integers(0, 9, (1, 700, 600)).astype(np.uint8)
    layer = Layer("uint8", 255, ["a"], overviews="mode")
    copy = rasterio.shutil.copy

    def lossy(source, target, **options):
        copy(source, target, **options)
        if options["driver"] == "COG":
            harmed(target, fault)

    out, scratch = tmp_path / "a.tif", tmp_path / "s"
    cog.write_cog(out, grid, layer, [(0, values)], scratch=scratch)
    monkeypatch.setattr(rasterio.shutil, "copy", lossy)
    with pytest.raises(NotWritten, match="a block of it is not whole"):
        cog.write_cog(out, grid, layer, [(0, values)], scratch=scratch)
    assert not scratch.exists()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.97, 0.999])
def test_a_file_that_cannot_grow_is_told(tmp_path, share, bands):
    """Either that, or all pixels are there, those of the overviews, too."""
    grid = Grid(files.CRS, files.NORTH_UP, 1100, 1200)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 250, (bands, 1100, 1200)).astype(np.uint8)
    layer = Layer("uint8", 255, [str(band) for band in range(bands)])
    plain = tmp_path / "plain.tif"
    cog.write_plain(plain, grid, layer, [(0, values)])
    whole = tmp_path / "whole.tif"
    cog.copy_as_cog(plain, whole, layer, scratch=tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = int(share * whole.stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(NotWritten, match=r"limited\.tif` cannot be written"):
            cog.copy_as_cog(plain, tmp_path / "limited.tif", layer, scratch=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
