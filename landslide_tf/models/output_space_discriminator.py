"""The discriminator that tells the maps of two regions apart."""

from __future__ import annotations

from numbers import Integral

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import Conv2D

# Times `filters`, by layer; each layer halves the map.
CHANNELS = (1, 2, 4, 8)


def output_space_discriminator(
    num_classes: int = 2,
    *,
    filters: int = 64,
    kernel_initializer: str = "he_normal",
    name: str = "output_space_discriminator",
) -> keras.Model:
    """Builds the discriminator of class maps (Tsai et al. 2018, section 4.2).

    Five 4 × 4 convolutions of stride 2, padded by one pixel on every side, the first
    four followed by a leaky ReLU of slope 0.2.

    Args:
        num_classes: Channels of the map, >= 2.
        filters: Channels of the first layer, >= 1; 64 as published.
        kernel_initializer: `"he_normal"`, as ADANet's released code; AdaptSegNet takes
            its framework's own, here `"glorot_uniform"`.
        name: Name of the model.

    Returns:
        Functional model from `probabilities` (batch, height, width, classes), height
        and width >= 32, to float32 logits (batch, ⌊height / 32⌋, ⌊width / 32⌋, 1),
        above 0 for the target region. ADANet's has 2,763,713 parameters for 2 classes.

    Raises:
        ModelError: If an argument does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.output_space_discriminator(2, filters=8)
        >>> tuple(model(np.zeros((1, 64, 96, 2), "float32")).shape)
        (1, 2, 3, 1)
    """
    for what, value, least in (
        ("num_classes", num_classes, 2),
        ("filters", filters, 1),
    ):
        if not isinstance(value, Integral) or value < least:
            raise ModelError(f"`{what}` must be an integer >= {least}, got {value!r}.")

    num_classes, filters = int(num_classes), int(filters)  # Keras writes no NumPy

    def convolved(x: Tensor, channels: int, number: str) -> Tensor:
        # Keras's own "same" would give ⌈n / 2⌉ and pad odd sizes on one side only.
        x = keras.layers.ZeroPadding2D(1, name=f"{number}_pad")(x)
        last = {"dtype": "float32"} if number == "classifier" else {}
        return Conv2D(
            channels,
            4,
            strides=2,
            kernel_initializer=kernel_initializer,
            name=number,
            **last,
        )(x)

    probabilities = keras.Input((None, None, num_classes), name="probabilities")
    x = probabilities
    for index, factor in enumerate(CHANNELS, start=1):
        x = convolved(x, filters * factor, f"conv{index}")
        x = keras.layers.LeakyReLU(0.2, name=f"conv{index}_relu")(x)
    return keras.Model(probabilities, convolved(x, 1, "classifier"), name=name)
