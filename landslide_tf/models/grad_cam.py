"""What a classifier looked at."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.errors import ModelError

POOL, LOGITS = "pool", "logits"


def grad_cam(
    model: keras.Model, images: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Computes Grad-CAM of every class (Selvaraju et al. 2017, section 3).

    max(0, Σ α_k A_k) with α_k the mean gradient of the class's logit by channel k of
    the last feature A. Behind one global average and one dense layer, α_k is that
    layer's weight over the number of places (their section 3.1), so no gradient is
    taken and every backend of Keras will do.

    Args:
        model: A `landslide_classifier`.
        images: Its `image` input (batch, height, width, bands), raw values.

    Returns:
        The model's output (batch, classes), and maps (batch, rows, columns, classes)
        of the size of the last feature, at least 0, in units of the logit over the
        number of places.

    Raises:
        ModelError: If the model does not end in a global average and one dense layer.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.landslide_classifier(width=0.125)
        >>> output, maps = models.grad_cam(model, np.zeros((1, 64, 64, 3)))
        >>> output.shape, maps.shape
        ((1, 2), (1, 2, 2, 2))
    """
    names = [layer.name for layer in model.layers]
    if POOL not in names or LOGITS not in names:
        raise ModelError(
            f"Grad-CAM needs a `landslide_classifier`, received `{model.name}` without "
            f"the layers `{POOL}` and `{LOGITS}`."
        )
    feature = model.get_layer(POOL).input
    both = keras.Model(model.inputs, [feature, model.outputs[0]])
    features, output = both([np.asarray(images, np.float32)], training=False)
    values = keras.ops.convert_to_numpy(keras.ops.cast(features, "float32"))
    kernel = keras.ops.convert_to_numpy(model.get_layer(LOGITS).kernel)
    places = values.shape[1] * values.shape[2]
    maps = np.maximum(values @ kernel.astype(np.float32), 0) / np.float32(places)
    return keras.ops.convert_to_numpy(output), maps
