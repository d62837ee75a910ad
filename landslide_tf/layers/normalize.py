"""Normalisation of raw images by constants that travel with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, did_you_mean

Numbers: TypeAlias = float | Sequence[float]
# A named form, or (mean, std, scale).
Normalization: TypeAlias = str | tuple[Numbers, Numbers, Numbers]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Blue, green, red: the order of the Caffe weights that Keras offers.
CAFFE_MEAN = (103.939, 116.779, 123.68)
NAMED = ("imagenet", "caffe")


@keras.saving.register_keras_serializable(package="landslide_tf")
class Normalize(keras.layers.Layer):
    """Normalises raw image values with constants kept in the config.

    The layer has no variables and computes in float32 under every dtype policy.

    Args:
        normalization: `"imagenet"`: red, green, blue in 0..255 become
            `(x / 255 - mean) / std`; `"caffe"`: reordered to blue, green, red minus
            their means, as the ImageNet weights of `keras.applications` expect; or
            `(mean, std, scale)`, numbers or one number a band: `(x / scale - mean) /
            std` for any bands and units.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the form is unknown, a divisor is 0, or the bands do not fit.
    """

    def __init__(
        self,
        normalization: Normalization = "imagenet",
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.normalization = _checked(normalization)

    def build(self, input_shape: Shape) -> None:
        """Checks the number of bands against the constants."""
        bands = input_shape[-1]
        if isinstance(self.normalization, str):
            needed = {3}
        else:
            needed = {len(v) for v in self.normalization if isinstance(v, list)}
        if needed and needed != {bands}:
            raise ModelError(
                f"`normalization={self.normalization!r}` is for {sorted(needed)} bands,"
                f" received an image of {bands}: give (mean, std, scale) for its bands."
            )

    def call(self, x: Tensor) -> Tensor:
        """Normalises a tensor (batch, height, width, bands) of raw values."""
        if self.normalization == "caffe":
            return x[..., ::-1] - np.asarray(CAFFE_MEAN, "float32")
        if self.normalization == "imagenet":
            mean, std, scale = IMAGENET_MEAN, IMAGENET_STD, 255.0
        else:
            mean, std, scale = self.normalization
        x = x / np.asarray(scale, "float32")
        return (x - np.asarray(mean, "float32")) / np.asarray(std, "float32")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "normalization": self.normalization}


def _checked(normalization: Normalization) -> str | list[float | list[float]]:
    """Returns the form as JSON values, or raises a ModelError."""
    if isinstance(normalization, str):
        if normalization not in NAMED:
            raise ModelError(
                "`normalization` must be 'imagenet', 'caffe' or (mean, std, scale), "
                f"received {normalization!r}." + did_you_mean(normalization, NAMED)
            )
        return normalization
    try:
        mean, std, scale = (np.asarray(v, "float64") for v in normalization)
    except (TypeError, ValueError) as error:
        raise ModelError(
            "`normalization` must be 'imagenet', 'caffe' or (mean, std, scale) of "
            f"numbers, received {normalization!r}."
        ) from error
    if max(v.ndim for v in (mean, std, scale)) > 1 or not all(
        np.isfinite(v).all() for v in (mean, std, scale)
    ):
        raise ModelError(
            "`normalization` must hold finite numbers, or one finite number a band, "
            f"received {normalization!r}."
        )
    if (std == 0).any() or (scale == 0).any():
        raise ModelError(
            "`normalization` must have std and scale other than 0, received "
            f"{normalization!r}."
        )
    return [mean.tolist(), std.tolist(), scale.tolist()]
