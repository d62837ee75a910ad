"""Networks on windows and on whole scenes: what windows change, and what not."""

import keras
import numpy as np
import rasterio

from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.models.prediction import prediction_function
from tests.mapping import map_files as files

RGB = [{"name": name} for name in ("red", "green", "blue")]
NAMES = ("red", "green", "blue")


def mapped(folder, model, image, *, stride, window, overlap):
    metadata = files.metadata(inputs=RGB, stride=stride)
    member = Member(prediction_function(model), metadata)
    outputs = Outputs(folder / "map.tif", folder / f"chances_{window}.tif")
    options = MapOptions(window=window, overlap=overlap, float32=True)
    map_scene([member], SceneFiles((image,)), outputs, options)
    with rasterio.open(outputs.probabilities) as dataset:
        return dataset.read(1)


def pyramid():
    """A network of stride 4 that sees 14 pixels around each, without global pooling."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 64)(inputs)
    for width in (4, 8):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(2, 3, padding="same")(x)
    x = layers.UpSampling2D(4, interpolation="nearest")(x)
    return keras.Model({"image": inputs}, layers.Softmax()(x))


def test_windows_give_the_whole_beyond_the_reach_of_the_network(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (3, 148, 132)).astype(np.uint8)
    image = files.write(tmp_path / "s.tif", values, names=NAMES)
    model = pyramid()
    whole = mapped(tmp_path, model, image, stride=4, window=512, overlap=128)
    tiled = mapped(tmp_path, model, image, stride=4, window=64, overlap=16)
    assert whole.std() > 0.05
    # Columns and rows that one window alone covers lie 16 pixels inside it.
    alone = [
        sum(np.isin(np.arange(size), np.arange(o, o + 64)) for o in range(0, size, 48))
        == 1
        for size in whole.shape
    ]
    inside = np.ix_(*alone)
    assert whole[inside].size > 0.4 * whole.size
    np.testing.assert_allclose(tiled[inside], whole[inside], atol=1e-5)
