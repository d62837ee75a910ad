"""A model sees in a scene what it saw of it in training, value for value."""

import numpy as np
from rasterio import Affine

from landslide_tf.mapping.scene import SceneFiles, open_scene
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from tests.mapping import map_files as files

RGB = ("red", "green", "blue")
FACTORS = ("slope", "aspect", "ndvi")


def test_windows_hold_what_prepare_gave_to_training(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 200, (4, 60, 70)).astype(np.uint8)
    pixels[:, 10:14, 20:25] = 0
    image = files.write(
        tmp_path / "image.tif", pixels, names=(*RGB, "nir"), nodata=0, alpha="no"
    )
    heights = np.cumsum(rng.normal(0, 5, (1, 50, 60)), axis=1).astype(np.float32)
    heights[0, 20:22, 20:22] = -9999
    own = Affine(17, 0, 499_960, 0, -15, 4_600_040)
    dem = files.write(tmp_path / "dem.tif", heights, transform=own, nodata=-9999)
    trained = make_scene(
        "s",
        tmp_path / "image.tif",
        bands=RGB,
        factors=FACTORS,
        dem=DemFiles(tmp_path / "dem.tif"),
    )
    units = {"slope": "degree", "aspect": "degree", "ndvi": "1"}
    metadata = files.metadata(
        inputs=[{"name": name, "range": (0, 255)} for name in RGB],
        factors=[{"name": name, "unit": unit} for name, unit in units.items()],
    )
    scene = open_scene(SceneFiles((image,), dem=DemFiles(dem)), metadata)
    with SceneReader(trained) as before, SceneReader(scene.scene) as after:
        for window in (Window(0, 0, 60, 70), Window(7, 11, 30, 40)):
            expected = before.read(window)
            pixels = after.read(window)
            found, valid = scene.inputs(pixels.image, pixels.factors), pixels.valid
            np.testing.assert_array_equal(valid, expected.valid)
            assert 0.5 < valid.mean() < 1
            np.testing.assert_array_equal(found["image"], expected.image)
            # What a model gives where nothing is valid is not mapped.
            np.testing.assert_array_equal(
                found["factors"][valid], expected.factors[valid]
            )
