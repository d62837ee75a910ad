"""Small answers in the graph: the decision, the chance of landslide, what is valid."""

from __future__ import annotations

from landslide_tf.array_types import Tensor
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.cog import NODATA, UNITS

MASK, LABEL, LANDSLIDE, VALID = "mask", "label", "landslide", "valid"


def decided(
    probabilities: Tensor, metadata: ModelMetadata, valid: Tensor
) -> dict[str, Tensor]:
    """Returns the decision and the chance of landslide, by the rule of `map`.

    Args:
        probabilities: float32 (batch, height, width, classes), or (batch, classes) of
            whole images.
        metadata: Threshold, classes and the landslide class.
        valid: bool (batch, height, width, 1).

    Returns:
        Of maps `mask`, uint8 class indices (batch, height, width, 1) with the ignore
        value where not valid; of whole images `label`, uint8 (batch,). `landslide`,
        uint8 of the same shape: 250 is the probability 1, 255 not valid. `valid`,
        uint8 (batch, height, width, 1).
    """
    import tensorflow as tf

    index = metadata.landslide_class
    chance = probabilities[..., 0] if index == "sigmoid" else probabilities[..., index]
    classes = _classes(probabilities, chance, metadata)
    landslide = tf.cast(tf.round(tf.clip_by_value(chance, 0, 1) * UNITS), tf.uint8)
    flags = tf.cast(valid, tf.uint8)
    if metadata.task == "classification":
        return {LABEL: classes, LANDSLIDE: landslide, VALID: flags}
    none = tf.constant(NODATA, tf.uint8)
    ignore = tf.constant(metadata.ignore_value, tf.uint8)
    return {
        MASK: tf.where(valid, classes[..., None], ignore),
        LANDSLIDE: tf.where(valid, landslide[..., None], none),
        VALID: flags,
    }


def _classes(probabilities: Tensor, chance: Tensor, metadata: ModelMetadata) -> Tensor:
    """Returns uint8 class indices, as `metrics.decide` does."""
    import tensorflow as tf

    from landslide_tf.metrics.decision import SIGMOID_THRESHOLD  # loads Keras

    index, threshold = metadata.landslide_class, metadata.threshold
    if index == "sigmoid":
        limit = SIGMOID_THRESHOLD if threshold is None else threshold
        return tf.cast(chance >= limit, tf.uint8)
    if threshold is None:
        return tf.cast(tf.argmax(probabilities, axis=-1), tf.uint8)
    here = tf.range(len(metadata.classes)) == index
    others = tf.where(here, -1.0, probabilities)
    other = tf.cast(tf.argmax(others, axis=-1), tf.uint8)
    return tf.where(chance >= threshold, tf.constant(index, tf.uint8), other)
