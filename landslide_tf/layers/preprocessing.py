"""Raw images and terrain factors as values of order one, by constants in the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, check_choice, did_you_mean
from landslide_tf.words import counted

Numbers: TypeAlias = float | Sequence[float]
# A named form, or (mean, std, scale).
Normalization: TypeAlias = str | tuple[Numbers, Numbers, Numbers]
# Mean, std and scale as JSON values.
Constants: TypeAlias = list[float | list[float]]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Blue, green, red: the order of the Caffe weights that Keras offers.
CAFFE_MEAN = (103.939, 116.779, 123.68)
NAMED = ("imagenet", "caffe")

# A named kind, or ("standardise", mean, standard deviation).
FactorKind: TypeAlias = str | tuple[str, float, float]
# Kinds of the channels of `factors`, or those of each branch by its name.
Factors: TypeAlias = Sequence[FactorKind] | Mapping[str, Sequence[FactorKind]]

NAMED_KINDS = ("slope", "aspect", "ndvi")
ENCODINGS = ("paper", "sincos")
NODATA = -9999.0
FLAT_ASPECT = -1.0


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
        self.normalization = _checked_normalization(normalization)

    def build(self, input_shape: Shape) -> None:
        """Checks the number of bands against the constants."""
        bands = input_shape[-1]
        if isinstance(self.normalization, str):
            needed = {3}
        else:
            needed = {len(v) for v in self.normalization if isinstance(v, list)}
        if needed and needed != {bands}:
            raise ModelError(
                f"`normalization={self.normalization!r}` is for {min(needed)} bands, "
                f"received an image of {bands}: give `normalization=(mean, std, scale)`"
                ", each a number or one for each band, for (x / scale - mean) / std."
            )

    def call(self, x: Tensor) -> Tensor:
        """Normalises a tensor (batch, height, width, bands) of raw values."""
        if self.normalization == "caffe":
            return x[..., ::-1] - np.asarray(CAFFE_MEAN, "float32")
        constants: Sequence[Numbers] = (IMAGENET_MEAN, IMAGENET_STD, 255.0)
        if not isinstance(self.normalization, str):
            constants = self.normalization
        mean, std, scale = (np.asarray(v, "float32") for v in constants)
        return (x / scale - mean) / std

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "normalization": self.normalization}


@keras.saving.register_keras_serializable(package="landslide_tf")
class EncodeFactors(keras.layers.Layer):
    """Turns factors in raw units into values of order one.

    Slope becomes slope / 90, NDVI (NDVI + 1) / 2, a standardised factor (x - mean) /
    std. Aspect becomes aspect / 360 (`"paper"`, Xia et al. 2021 name the three
    factors, the scaling is ours), or the pair (sin, cos) without a seam at north
    (`"sincos"`). Missing values (NaN, infinities, -9999) and the aspect of flat
    ground (-1) become 0 after the encoding. Computes in float32 under every policy:
    bfloat16 would round 359 degrees to 360.

    Args:
        kinds: What each channel holds: `"slope"` (degrees), `"aspect"` (degrees
            clockwise from north), `"ndvi"` (-1..1) or `("standardise", mean, std)`.
        encoding: `"paper"` (one channel a factor) or `"sincos"` (two for aspect).
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If a kind or the encoding is unknown or the channels do not fit.
    """

    def __init__(
        self,
        kinds: Sequence[FactorKind] = NAMED_KINDS,
        encoding: str = "paper",
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if isinstance(kinds, str) or not kinds:
            raise ModelError(
                f"`factors` must list at least one factor kind, received {kinds!r}."
            )
        check_choice("aspect_encoding", encoding, ENCODINGS, ModelError)
        self.kinds = tuple(_checked_kind(kind) for kind in kinds)
        self.encoding = encoding

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels against the kinds."""
        channels = input_shape[-1] or 0
        if channels != len(self.kinds):
            raise ModelError(
                f"`factors` names {counted(len(self.kinds), 'factor')}, received an "
                f"input of {counted(channels, 'channel')}: name each channel's kind."
            )

    def call(self, x: Tensor) -> Tensor:
        """Encodes a tensor (batch, height, width, factors) in raw units."""
        ops = keras.ops
        encoded = []
        for index, kind in enumerate(self.kinds):
            raw = x[..., index : index + 1]
            missing = ops.logical_or(~ops.isfinite(raw), raw == NODATA)
            if kind == "aspect":
                missing = ops.logical_or(missing, raw == FLAT_ASPECT)
            # Before the arithmetic too: a NaN would reach gradients through `where`.
            raw = ops.where(missing, 0.0, raw)
            encoded += [ops.where(missing, 0.0, v) for v in self._encode(raw, kind)]
        return ops.concatenate(encoded, axis=-1)

    def _encode(self, raw: Tensor, kind: FactorKind) -> list[Tensor]:
        if kind == "slope":
            return [raw / 90.0]
        if kind == "ndvi":
            return [(raw + 1.0) / 2.0]
        if kind == "aspect":
            if self.encoding == "paper":
                return [raw / 360.0]
            radians = raw * (math.pi / 180.0)
            return [keras.ops.sin(radians), keras.ops.cos(radians)]
        assert not isinstance(kind, str)  # _checked_kind knows no other name
        _, mean, std = kind
        return [(raw - mean) / std]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with the number of encoded channels."""
        extra = self.kinds.count("aspect") if self.encoding == "sincos" else 0
        return (*input_shape[:-1], len(self.kinds) + extra)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        kinds = [kind if isinstance(kind, str) else list(kind) for kind in self.kinds]
        return {**super().get_config(), "kinds": kinds, "encoding": self.encoding}


@keras.saving.register_keras_serializable(package="landslide_tf")
class SelectChannels(keras.layers.Layer):
    """Takes consecutive channels of a tensor, in float32 under every policy.

    Args:
        start: The first channel, counted from 0.
        count: How many, >= 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from landslide_tf.layers import SelectChannels
        >>> x = np.arange(5.0).reshape(1, 1, 1, 5)
        >>> np.asarray(SelectChannels(1, 2)(x)).ravel().tolist()
        [1.0, 2.0]
    """

    def __init__(
        self,
        start: int,
        count: int,
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.start, self.count = start, count

    def call(self, x: Tensor) -> Tensor:
        """Takes the channels of a tensor (batch, height, width, channels)."""
        return x[..., self.start : self.start + self.count]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with the number of channels taken."""
        return (*input_shape[:-1], self.count)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "start": self.start, "count": self.count}


def _checked_normalization(normalization: Normalization) -> str | Constants:
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


def _checked_kind(kind: FactorKind) -> FactorKind:
    """Returns a kind with lists as tuples, or raises a ModelError."""
    if isinstance(kind, str):
        if kind in NAMED_KINDS:
            return kind
        raise ModelError(
            "A factor must be 'slope', 'aspect', 'ndvi' or ('standardise', mean, std),"
            f" received {kind!r}." + did_you_mean(kind, NAMED_KINDS)
        )
    try:
        name, mean, std = kind
        mean, std = float(mean), float(std)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"A factor must be a name or ('standardise', mean, std), received {kind!r}."
        ) from error
    if name != "standardise" or not math.isfinite(mean) or not 0 < std < math.inf:
        raise ModelError(
            "A standardised factor must be ('standardise', mean, std) with a finite "
            f"mean and std > 0, received {kind!r}."
        )
    return ("standardise", mean, std)
