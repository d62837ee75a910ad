"""A small model with both inputs, its metadata, and one export of it."""

import keras
import pytest

from landslide_tf import serving
from landslide_tf.metadata import Band, Factor, ModelMetadata, Terrain


def toy_model(activation="softmax", classes=3, name="toy", with_factors=True):
    """Three layers over image and factors, any size; `.name` of the output tells."""
    image = keras.Input((None, None, 3), name="image")
    factors = keras.Input((None, None, 2), name="factors")
    scaled = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Concatenate()([scaled, factors]) if with_factors else scaled
    x = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(x)
    output = "probabilities" if activation else "logits"
    x = keras.layers.Conv2D(classes, 1, activation=activation, name=output)(x)
    return keras.Model([image, factors] if with_factors else image, x, name=name)


def toy_metadata(**changes):
    fields = {
        "name": "toy",
        "builder": "toy",
        "arguments": {"width": 0.125},
        "inputs": [
            Band(name=n, unit="digital number", range=(0, 255)) for n in ("r", "g", "b")
        ],
        "factors": [
            Factor(name="slope", unit="degree", range=(0, 90)),
            Factor(name="ndvi", range=(-1, 1)),
        ],
        "terrain": Terrain(),
        "cell_size": (0.5, 2.0),
        "classes": ["other", "bare", "landslide"],
        "landslide_class": 2,
        "dataset": "synthetic_landslides/tiny",
        "metrics": {"test": {"iou": 0.53125, "f1": {"landslide": 0.7}}},
        "versions": {"keras": keras.__version__},
    }
    return ModelMetadata(**(fields | changes))


@pytest.fixture(scope="session")
def model():
    return toy_model()


@pytest.fixture(scope="session")
def metadata():
    return toy_metadata()


@pytest.fixture(scope="session")
def exported(model, metadata, tmp_path_factory):
    """The folder that holds version 1."""
    folder = tmp_path_factory.mktemp("models") / "toy"
    serving.export(model, folder, metadata=metadata, warm_up=48)
    return folder
