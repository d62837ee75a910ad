"""The model class of networks that take an image and nothing else."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Tensor


@keras.saving.register_keras_serializable(package="landslide_tf")
class ImageModel(keras.Model):
    """A functional model of one input that takes arrays as it takes tensors.

    Keras warns where a model of named inputs is called on a NumPy array alone.
    """

    def call(
        self,
        inputs: Tensor | dict[str, Tensor] | list[Tensor],
        training: bool | None = None,
        mask: Tensor | None = None,
        **kwargs: Any,  # of the layers
    ) -> Tensor | dict[str, Tensor]:
        """Applies the network.

        Args:
            inputs: The image (batch, height, width, bands), alone, in a list, or by
                its name.
            training: Whether the network is trained.
            mask: As in `keras.Model`.
            **kwargs: Further arguments of the layers.

        Returns:
            The network's output.
        """
        if not keras.tree.is_nested(inputs):
            inputs = keras.ops.convert_to_tensor(inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)
