"""Layers of the evidential classifier: saliency, colours that hold it, fusion."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.choices import Border, ChannelMode, Variant
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.evidence.channels import CHANNELS, MODES, Channel
from landslide_tf.evidence.fusion import OFFSET, VARIANTS, fuse
from landslide_tf.evidence.saliency import (
    BORDERS,
    SMALLEST,
    SaliencyStages,
    resize_matrix,
    resize_weights,
)

PRECISIONS = ("float64", "float32")
# 1e-13 is lost beside 1 in single precision.
SINGLE_OFFSET = 1e-7


@keras.saving.register_keras_serializable(package="landslide_tf")
class MultiScaleSaliency(keras.layers.Layer):
    """Computes `landslide_tf.evidence.multiscale_saliency` of every image of a batch.

    Spectral residual (Hou and Zhang 2007) at three scales plus the Sobel gradient, as
    in the release of doi 10.1109/JSTARS.2024.3354455. Sizes may be unknown until the
    call. The result has no gradient: it is made of roundings and a histogram. Computes
    in `precision` under every policy; where JAX has no 64 bits, in 32.

    Args:
        border: Border of the gradient, `"replicate"` or `"zero"` as released.
        precision: `"float64"`, or `"float32"` with errors below 1e-3 in photographs and
            larger ones in periodic pictures, whose spectrum has zeros.
        **kwargs: Arguments of `keras.layers.Layer`; `precision` decides the dtype.

    Raises:
        ModelError: If an argument is unknown or the images are too small.
    """

    def __init__(
        self,
        border: Border = "replicate",
        precision: str = "float64",
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**{**kwargs, "dtype": _working_dtype(precision)})
        check_choice("border", border, BORDERS, ModelError)
        self.border = border
        self.precision = precision
        self._stages = _SaliencyInGraph(self.compute_dtype)

    def build(self, input_shape: Shape) -> None:
        """Refuses images without three colours, or too small where sizes are known."""
        sizes = [size for size in input_shape[1:3] if size is not None]
        if (
            len(input_shape) != 4
            or input_shape[-1] != 3
            or min(sizes, default=99) < SMALLEST
        ):
            raise ModelError(
                f"Expected images (batch, height, width, 3) of at least {SMALLEST} x "
                f"{SMALLEST} pixels, received {tuple(input_shape)}."
            )

    def call(self, image: Tensor) -> Tensor:
        """Computes the saliency.

        Args:
            image: Red, green, blue 0..255 (batch, height, width, 3).

        Returns:
            Float32 (batch, height, width, 1) in [0, 1].
        """
        x = keras.ops.cast(image, self.compute_dtype)
        result = self._stages.saliency(x, self.border)[..., None]
        return keras.ops.stop_gradient(keras.ops.cast(result, "float32"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with one channel."""
        return (*input_shape[:-1], 1)

    def compute_output_spec(self, image: Tensor) -> keras.KerasTensor:
        """Returns float32, whatever the layer computes in."""
        return keras.KerasTensor(self.compute_output_shape(image.shape), "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        return {**config, "border": self.border, "precision": self.precision}


class _SaliencyInGraph(SaliencyStages):
    """The stages of the saliency with `keras.ops`, for sizes unknown until the call."""

    ops = keras.ops

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def fft2(self, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return keras.ops.fft2(parts)

    def ifft2(self, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return keras.ops.ifft2(parts)

    def counts(self, levels: Tensor) -> Tensor:
        # Not `bincount`: under JAX's tracer it does not know how long its result is.
        ops = keras.ops
        rows = ops.shape(levels)[0]
        cells = ops.cast(levels, "int32") + 256 * ops.arange(rows)[:, None]
        cells = ops.reshape(cells, (-1,))
        counts = ops.segment_sum(ops.ones_like(cells), cells, num_segments=256 * rows)
        return ops.cast(ops.reshape(counts, (-1, 256)), self.dtype)

    def resized(
        self, values: Tensor, height: Tensor | int, width: Tensor | int
    ) -> Tensor:
        ops = keras.ops
        old_height, old_width = ops.shape(values)[-2:]
        rows, columns = self._matrix(old_height, height), self._matrix(old_width, width)
        return ops.matmul(ops.matmul(rows, values), ops.transpose(columns))

    def _matrix(self, old: Tensor | int, new: Tensor | int) -> Tensor:
        """Returns `resize_matrix`, in the graph where a size is not known before."""
        ops, dtype = keras.ops, self.dtype
        if isinstance(old, int) and isinstance(new, int):
            return ops.convert_to_tensor(resize_matrix(old, new), dtype)
        index = ops.cast(ops.arange(1, old + 1), dtype)[None, :]
        position = ops.cast(ops.arange(1, new + 1), dtype)[:, None]
        size = ops.cast(old, dtype)
        scale = ops.cast(new, dtype) / size
        return resize_weights(index, position, size, scale, ops)


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
        super().__init__(**{**kwargs, "dtype": _working_dtype("float64")})
        for name, value, known in (
            ("channel", channel, CHANNELS),
            ("mode", mode, MODES),
        ):
            check_choice(name, value, known, ModelError)
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


@keras.saving.register_keras_serializable(package="landslide_tf")
class EvidentialFusion(keras.layers.Layer):
    """Applies `landslide_tf.evidence.fuse_branches` to a batch.

    Computes in float64 under every policy; where JAX has no 64 bits, in 32 bits with a
    larger offset, which differs by less than 1e-5. The values are not checked: the
    input must be softmax probabilities.

    Args:
        variant: `"inverse"`, `"released"` (64 bits only: its weights are ratios of
            rounding errors), `"support"` or `"mean"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the variant is unknown, cannot be computed, or the shape is not
            that of branches.
    """

    def __init__(
        self,
        variant: Variant = "inverse",
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**{**kwargs, "dtype": _working_dtype("float64")})
        check_choice("variant", variant, VARIANTS, ModelError)
        if variant == "released" and self.compute_dtype != "float64":
            raise ModelError(
                "`variant='released'` needs 64 bits, received a backend without: set "
                "`jax_enable_x64`, or use `landslide_tf.evidence.fuse_branches`."
            )
        self.variant = variant

    def build(self, input_shape: Shape) -> None:
        """Refuses what are no branches of two classes."""
        if len(input_shape) != 3 or input_shape[2] != 2 or (input_shape[1] or 0) < 2:
            raise ModelError(
                "Expected branch probabilities (batch, branches, 2) of at least two "
                f"branches, received {tuple(input_shape)}."
            )

    def call(self, probabilities: Tensor) -> dict[str, Tensor]:
        """Fuses.

        Args:
            probabilities: P(non-landslide), P(landslide) (batch, branches, 2).

        Returns:
            Float32 `probabilities` (batch, 2), `weights` (batch, branches), `conflict`
            and `vacuity` (batch,), and integer `label` (batch,), as `FusionResult`.
        """
        ops = keras.ops
        p = ops.cast(probabilities, self.compute_dtype)
        offset = OFFSET if self.compute_dtype == "float64" else SINGLE_OFFSET
        values = fuse(p, self.variant, ops, offset)
        result = values["probabilities"]
        label = ops.cast(result[:, 1] > result[:, 0], self._integer())
        values = {name: ops.cast(v, "float32") for name, v in values.items()}
        return {**values, "label": label}

    def _integer(self) -> str:
        return "int64" if self.compute_dtype == "float64" else "int32"

    def compute_output_spec(self, probabilities: Tensor) -> dict[str, Tensor]:
        """Returns the specification of every output."""
        batch, branches, _ = probabilities.shape
        shapes = {
            "probabilities": (batch, 2),
            "weights": (batch, branches),
            "conflict": (batch,),
            "vacuity": (batch,),
        }
        specs = {k: keras.KerasTensor(shape, "float32") for k, shape in shapes.items()}
        return {**specs, "label": keras.KerasTensor((batch,), self._integer())}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "variant": self.variant}


def _working_dtype(precision: str) -> str:
    """Returns the dtype to compute in: JAX has none of 64 bits unless told so.

    Args:
        precision: `"float64"` or `"float32"`.

    Returns:
        `precision`, or `"float32"` where `jax_enable_x64` is off.

    Raises:
        ModelError: If the precision is unknown.
    """
    check_choice("precision", precision, PRECISIONS, ModelError)
    if keras.backend.backend() == "jax":
        import jax

        if not jax.config.read("jax_enable_x64"):
            return "float32"
    return precision
