"""Networks whose probability is a band or a factor itself: every map is known."""

from functools import cache

import keras
import numpy as np

from landslide_tf.mapping import Member
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.models.prediction import prediction_function

COLOURS = ("red", "green", "blue")
RED, SLOPE = "red / 255", "slope / 90"
_FACTORS = {RED: [], SLOPE: [Factor(name="slope", unit="degree")]}


def network(kind, bands=COLOURS):
    """P(landslide) is the first band / 255 or slope / 90: two 1 × 1 convolutions."""
    image = keras.Input((None, None, len(bands)), name="image")
    factors = keras.Input((None, None, 1), name="factors")
    of_image = keras.layers.Conv2D(2, 1, name="of_image")
    of_factors = keras.layers.Conv2D(2, 1, use_bias=False, name="of_factors")
    parts = [of_image(image), of_factors(keras.ops.nan_to_num(factors))]
    weights = np.zeros((1, 1, len(bands), 2), np.float32)
    if kind == RED:
        weights[..., 0, :] = -1 / 255, 1 / 255
    of_image.set_weights([weights, np.float32([1, 0])])
    of_factors.set_weights([np.float32([-1 / 90, 1 / 90]).reshape(1, 1, 1, 2)])
    total = parts[0] if kind == RED else keras.layers.Add()(parts)
    named = keras.layers.Identity(name="probabilities")(total)
    inputs = [image] if kind == RED else [image, factors]
    return keras.Model(inputs, named, name="transparent")


def metadata(kind, bands=COLOURS, **changes):
    """What `model.json` says of a network."""
    limits = (0, 255) if kind == RED else None  # whatever is not looked at
    known = {
        "name": "transparent",
        "builder": "none",
        "arguments": {},
        "inputs": [Band(name=name, range=limits) for name in bands],
        "factors": _FACTORS[kind],
        "classes": ["background", "landslide"],
        "landslide_class": 1,
    }
    return ModelMetadata(**(known | changes))


def write(folder, kind=RED, bands=COLOURS, **changes):
    """Writes `model.keras` and `model.json` as a run has them; returns the folder."""
    folder.mkdir(parents=True)
    network(kind, bands).save(folder / "model.keras")
    metadata(kind, bands, **changes).write(folder)
    return folder


@cache
def member(kind, bands=COLOURS):
    """Returns the same for `mapping.map_scene`."""
    return Member(prediction_function(network(kind, bands)), metadata(kind, bands))
