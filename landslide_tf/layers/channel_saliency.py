"""Saliency put into one colour channel, inside a network's graph."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.evidence.channels import CHANNELS, MODES, Channel, ChannelMode
from landslide_tf.layers.precision import working_dtype


@keras.saving.register_keras_serializable(package="landslide_tf")
class ChannelSaliencyFusion(keras.layers.Layer):
    """Applies `landslide_tf.evidence.fuse_channel` to every image of a batch.

    Computes in float64 under every policy (where JAX has no 64 bits, in 32), so that
    no rounding to 8 bits depends on how a graph is compiled.

    Args:
        channel: `"h"`, `"s"` or `"v"`, the channel that takes the saliency.
        mode: `"replace"`, `"mean"` or `"multiply"`.
        quantize: Whether the result is rounded to 8 bits, as images on disk are.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If a channel or mode is unknown.
    """

    def __init__(
        self,
        channel: Channel,
        mode: ChannelMode = "replace",
        quantize: bool = True,
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**{**kwargs, "dtype": working_dtype("float64")})
        for name, value, known in (
            ("channel", channel, CHANNELS),
            ("mode", mode, MODES),
        ):
            if value not in known:
                raise ModelError(
                    f"`{name}` must be one of {known}, received {value!r}."
                )
        self.channel = channel
        self.mode = mode
        self.quantize = quantize

    def call(self, image: Tensor, saliency: Tensor) -> Tensor:
        """Fuses.

        Args:
            image: Red, green, blue 0..255 (batch, height, width, 3).
            saliency: Saliency (batch, height, width, 1) in [0, 1].

        Returns:
            Float32 red, green, blue 0..255 (batch, height, width, 3).
        """
        ops = keras.ops
        saliency = ops.cast(saliency, self.compute_dtype)
        hsv = ops.image.rgb_to_hsv(
            ops.cast(image, self.compute_dtype) / 255.0, data_format="channels_last"
        )
        index = CHANNELS.index(self.channel)
        parts = [hsv[..., i : i + 1] for i in range(3)]
        if self.mode == "replace":
            parts[index] = saliency
        elif self.mode == "mean":
            parts[index] = (parts[index] + saliency) / 2.0
        else:
            parts[index] = parts[index] * saliency
        hsv = ops.concatenate(parts, axis=-1)
        rgb = 255.0 * ops.image.hsv_to_rgb(hsv, data_format="channels_last")
        return ops.cast(ops.floor(rgb + 0.5) if self.quantize else rgb, "float32")

    def compute_output_spec(self, image: Tensor, saliency: Tensor) -> keras.KerasTensor:
        """Returns float32, whatever the layer computes in."""
        return keras.KerasTensor(image.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "channel": self.channel,
            "mode": self.mode,
            "quantize": self.quantize,
        }
