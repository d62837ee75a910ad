"""The Keras network behind a shipped export, from its arguments and its variables."""

import numpy as np
import tensorflow as tf

from landslide_tf import models, saved_models, serving
from landslide_tf.models.prediction import prediction_function

NAME = "fstf_net_synthetic"
VERSION = saved_models.path(NAME) / "1"
MAX_PIXELS = 1024 * 1024  # as it was exported, see saved_models/index.json


def keras_prediction():
    """Returns the function of `prediction_function`; it knows no signature."""
    metadata = serving.load(VERSION).metadata
    network = models.get(metadata.builder)(**metadata.arguments)
    stored = tf.saved_model.load(VERSION).weights
    values = {variable.name.removesuffix(":0"): variable.numpy() for variable in stored}
    for variable in network.weights:
        if variable.path in values:
            variable.assign(values[variable.path])
    return prediction_function(network)


def draw(random, batch, height, width):
    """Raw image and factors, of which some have no value."""
    shape = (batch, height, width, 3)
    image = random.integers(0, 256, shape).astype(np.float32)
    factors = random.uniform(0, 1, shape).astype(np.float32) * np.float32([60, 359, 1])
    factors[random.random(shape) < 0.05] = np.nan
    return {"image": image, "factors": factors}
