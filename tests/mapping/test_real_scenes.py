"""Scenes as people have them: nodata frames, a DEM of another grid, seven bands."""

import numpy as np
import pyogrio
import rasterio
from rasterio.shutil import copy

from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.raster.dem import DemFiles
from landslide_tf.terrain import Grid, factors_on_grid
from tests.mapping import map_files as files


def mapped(tmp_path, member, image, dem=None, **options):
    outputs = Outputs(
        tmp_path / "map.tif", tmp_path / "p.tif", vector=(tmp_path / "map.gpkg",)
    )
    chosen = MapOptions(**({"window": 128, "overlap": 32} | options))
    scene = SceneFiles((str(image),), dem=None if dem is None else DemFiles(dem))
    return map_scene([member], scene, outputs, chosen), outputs


def test_a_park_with_a_nodata_frame_and_a_dem_of_another_grid(shared, tmp_path):
    """EPSG:4326; the DEM's cells are 1.8 × 1.4 times larger and cover a part."""
    folder = shared / "data" / "scenes" / "rmnp"
    image, dem = folder / "rmnp-rgb.tif", folder / "rmnp-dem.tif"
    steep = files.of_factors(
        lambda f: np.clip(f[..., 0] / 60, 0, 1),
        inputs=[{"name": n} for n in ("red", "green", "blue")],
    )
    summary, outputs = mapped(tmp_path, steep, image, dem, float32=True)
    with rasterio.open(image) as source, rasterio.open(outputs.out) as made:
        assert made.crs == source.crs and made.transform == source.transform
        seen = source.dataset_mask() > 0
        expected = factors_on_grid(str(dem), Grid.of(source), factors=("slope",))
        classes = made.read(1)
    valid = seen & expected.valid
    np.testing.assert_array_equal(classes != 255, valid)
    assert summary.valid == valid.sum() and 0.1 < valid.mean() < 0.9
    with rasterio.open(outputs.probabilities) as made:
        slope = made.read(1)[valid] * 60
    np.testing.assert_allclose(
        slope, np.minimum(expected.values[..., 0][valid], 60), atol=2e-3
    )
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "map.gpkg")
    table = dict(zip(meta["fields"], columns, strict=True))
    assert summary.objects == len(table["id"]) > 0
    assert (table["slope_mean_deg"] > 25).all()  # landslide: P of 0.5 or 30 degrees
    # 0.0015 degrees are 127 by 167 m there.
    cell = table["area_m2"] / table["area_px"]
    np.testing.assert_allclose(cell, 127 * 166.5, rtol=0.01)


def test_seven_bands_of_landsat_by_name(shared, tmp_path):
    folder = shared / "data" / "scenes" / "landsat5_para"

    def bare(inputs):
        nir, red = inputs["image"][..., 0], inputs["image"][..., 1]
        index = (nir - red) / np.maximum(nir + red, 1)
        return np.stack([index > 0.3, index <= 0.3], -1).astype(np.float32)

    bands = [{"name": "nir"}, {"name": "red", "range": (0, 255)}]
    member = Member(bare, files.metadata(inputs=bands))
    image, dem = folder / "image.tif", folder / "dem.tif"
    summary, outputs = mapped(tmp_path, member, image, dem)
    with rasterio.open(image) as source, rasterio.open(outputs.out) as made:
        red, nir = source.read((3, 4)).astype(float)
        assert made.crs.to_wkt() == source.crs.to_wkt()
        expected = (nir - red) / np.maximum(nir + red, 1) <= 0.3
        np.testing.assert_array_equal(made.read(1), expected)
    assert summary.objects > 3
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "map.gpkg")
    table = dict(zip(meta["fields"], columns, strict=True))
    assert (table["elev_min_m"] > 0).all() and (table["probability"] == 1).all()


def test_a_virtual_raster_is_a_scene(shared, tmp_path):
    """Paths that GDAL opens are enough: here a view of a file."""
    source = shared / "data" / "scenes" / "landsat5_para" / "image.tif"
    copy(str(source), str(tmp_path / "view.vrt"), driver="VRT")
    bands = [{"name": "B4_nir"}, {"name": "B3_red"}]

    def dark(inputs):
        low = inputs["image"][..., 0] <= 60
        return np.stack([~low, low], -1).astype(np.float32)

    member = Member(dark, files.metadata(inputs=bands))
    summary, outputs = mapped(tmp_path, member, tmp_path / "view.vrt")
    with rasterio.open(source) as dataset, rasterio.open(outputs.out) as made:
        np.testing.assert_array_equal(made.read(1), dataset.read(4) <= 60)
    assert summary.valid == 287 * 310
