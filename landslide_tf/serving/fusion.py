"""A further signature of models that fuse branches: the fusion alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from landslide_tf.array_types import Tensor

if TYPE_CHECKING:
    import keras

    from landslide_tf.layers import EvidentialFusion

FUSE, INPUT = "fuse", "probs"


def fusion_layer(model: keras.Model) -> EvidentialFusion | None:
    """Returns the layer that fuses the branches of a model, if it has one."""
    from landslide_tf.layers import EvidentialFusion  # Keras is for exporting alone

    found = (v for v in model.layers if isinstance(v, EvidentialFusion))
    return next(found, None)


def signatures(layer: EvidentialFusion) -> dict[str, Any]:
    """Returns the signature that fuses probabilities from anywhere.

    Args:
        layer: The model's fusion.

    Returns:
        The concrete function `fuse`: `probs` (batch, branches, 2), calibrated softmax
        values of (non-landslide, landslide) of each branch, to `probabilities`,
        `label`, `weights`, `conflict` and `vacuity`.
    """
    import tensorflow as tf

    branches = layer.input.shape[1]
    spec = tf.TensorSpec((None, branches, 2), tf.float32, name=INPUT)

    @tf.function(input_signature=[{INPUT: spec}], autograph=False)
    def fuse(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return layer(inputs[INPUT])

    return {FUSE: fuse.get_concrete_function()}
