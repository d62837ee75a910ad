"""Encoding of raw terrain and vegetation factors for a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, did_you_mean

# A named kind, or ("standardise", mean, standard deviation).
FactorKind: TypeAlias = str | tuple[str, float, float]

NAMED_KINDS = ("slope", "aspect", "ndvi")
ENCODINGS = ("paper", "sincos")
NODATA = -9999.0
FLAT_ASPECT = -1.0


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
        if encoding not in ENCODINGS:
            raise ModelError(
                f"`aspect_encoding` must be one of {ENCODINGS}, received {encoding!r}."
            )
        self.kinds = tuple(_checked_kind(kind) for kind in kinds)
        self.encoding = encoding

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels against the kinds."""
        if input_shape[-1] != len(self.kinds):
            raise ModelError(
                f"`factors` names {len(self.kinds)} factors, received an input of "
                f"{input_shape[-1]} channels: name each channel's kind."
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
