"""Slopes on the ground, from preparation through the metadata to the map."""

import warnings

import numpy as np
import pyogrio
import pytest
import rasterio
import tensorflow_datasets as tfds
from rasterio import Affine

from landslide_tf.mapping import (
    DemFiles,
    MapOptions,
    Outputs,
    SceneFiles,
    map_scene,
)
from landslide_tf.metadata import Terrain
from landslide_tf.pipelines.store import describe
from landslide_tf.prepare import Inputs, Options, prepare
from tests.mapping import map_files as files

# World Mercator at 60° N: one metre on the ground is two of the projection.
PLACE = {"crs": "EPSG:3395", "transform": Affine(10, 0, 0, 0, -10, 8_362_700)}
RISE = 2.0  # metres up a cell of 5 m on the ground to the east
GROUND, GRID = np.degrees(np.arctan([RISE / 5.01, RISE / 10]))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mercator")
    shape = (160, 32)
    mask = (np.indices(shape).sum(axis=0) % 32 < 12).astype(np.uint8)
    image = np.stack([100 + 50 * mask] * 3)
    names = ("red", "green", "blue")
    files.write(folder / "valley.tif", image.astype(np.uint8), names=names, **PLACE)
    files.write(folder / "mask.tif", mask[None], nodata=255, **PLACE)
    heights = np.tile(RISE * np.arange(shape[1]), (1, shape[0], 1))
    files.write(folder / "dem.tif", heights.astype(np.float32), **PLACE)
    return folder


@pytest.mark.parametrize(
    ("distances", "expected"), [("ground", GROUND), ("grid", GRID)]
)
@pytest.mark.filterwarnings("ignore:.*one metre on the ground")
@pytest.mark.filterwarnings("ignore:There are no landslides")
def test_maps_have_the_slopes_of_training(scene, tmp_path, distances, expected):
    dem = DemFiles(scene / "dem.tif")
    inputs = Inputs(scene / "valley.tif", scene / "mask.tif", dem=dem)
    options = Options(tile=16, terrain={"distances": distances})
    made = prepare([inputs], tmp_path / "set", options)
    builder = tfds.builder_from_directory(made.dataset)
    examples = tfds.as_numpy(builder.as_dataset(split="train"))
    slopes = np.stack([example["factors"][..., 0] for example in examples])
    # All but the four corners, where half of a slope is not known.
    assert (np.abs(slopes - expected) > 0.03).sum() <= 4
    how = describe(dict(builder.info.metadata), "set", "train").terrain
    metadata = {"terrain": Terrain.model_validate(how)}
    assert metadata["terrain"].distances == distances
    model = files.of_factors(
        lambda f: np.clip(f[..., 0] / 90, 0, 1),
        inputs=[{"name": name} for name in ("red", "green")],
        **metadata,
    )
    outputs = Outputs(
        tmp_path / "map.tif", tmp_path / "p.tif", vector=(tmp_path / "map.gpkg",)
    )
    options = MapOptions(window=16, overlap=4, float32=True, threshold=0.1, min_area=0)
    scene_files = SceneFiles((str(inputs.image),), dem=dem)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        map_scene([model], scene_files, outputs, options)
    told = any("one metre on the ground" in str(w.message) for w in said)
    assert told == (distances == "grid")
    with rasterio.open(outputs.probabilities) as dataset:
        assert (np.abs(dataset.read(1) * 90 - expected) > 0.03).sum() <= 4
    meta, _, _, columns = pyogrio.raw.read(outputs.vector[0], read_geometry=False)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert table["slope_mean_deg"].max() == pytest.approx(expected, abs=0.03)
