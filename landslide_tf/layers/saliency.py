"""Multi-scale saliency inside a network's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.evidence.resize import resize_matrix
from landslide_tf.evidence.saliency import (
    AMPLITUDE_FLOOR,
    CONSTANT,
    GREY,
    SMALLEST,
    Border,
    gaussian_taps,
    smoothing_taps,
)
from landslide_tf.layers.precision import working_dtype


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
        super().__init__(**{**kwargs, "dtype": working_dtype(precision)})
        if border not in get_args(Border):
            raise ModelError(
                f"`border` must be one of {get_args(Border)}, received {border!r}."
            )
        self.border = border
        self.precision = precision

    def build(self, input_shape: Shape) -> None:
        """Refuses images without three colours, or too small where sizes are known."""
        sizes = [size for size in input_shape[1:3] if size is not None]
        if len(input_shape) != 4 or input_shape[-1] != 3 or min(sizes, default=99) < 24:
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
        ops = keras.ops
        x = ops.cast(image, self.compute_dtype)
        smooth = _filtered(_edged(x), smoothing_taps(), (1, 2))
        x = ops.clip(ops.floor(smooth + 0.5), 0, 255)
        # Summed one by one: a matrix product may round its inputs on a GPU.
        x = sum(share * x[..., i] for i, share in enumerate(GREY))
        grey = ops.clip(ops.floor(x + 0.5), 0, 255)
        raw = self._gradient(grey)
        edges = raw / _or_one(ops.max(raw, axis=(1, 2), keepdims=True))
        total = self._combined(grey / 255.0) + edges
        top = ops.max(total, axis=(1, 2), keepdims=True)
        scaled = ops.clip(total / _or_one(top), 0, 1)
        result = ops.where(top > 0, scaled, ops.zeros_like(scaled))
        return ops.stop_gradient(ops.cast(result[..., None], "float32"))

    def _gradient(self, grey: Tensor) -> Tensor:
        mode = "symmetric" if self.border == "replicate" else "constant"
        padded = keras.ops.pad(grey, ((0, 0), (1, 1), (1, 1)), mode=mode)
        smooth, differ = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
        rows = _filtered(_filtered(padded, differ, (1,)), smooth, (2,))
        columns = _filtered(_filtered(padded, smooth, (1,)), differ, (2,))
        return keras.ops.abs(rows) + keras.ops.abs(columns)

    def _combined(self, intensity: Tensor) -> Tensor:
        ops = keras.ops
        height, width = ops.shape(intensity)[1:3]
        maps = [_spectral_saliency(intensity)]
        for part in (2, 1):
            small = self._resized(intensity, part * height // 3, part * width // 3)
            maps.append(self._resized(_spectral_saliency(small), height, width))
        entropies = ops.stack([_entropy(values) for values in maps])
        total = ops.sum(entropies, axis=0)
        weights = ops.where(total > 0, entropies / _or_one(total), 1 / 3)
        return ops.sum(weights[:, :, None, None] * ops.stack(maps), axis=0)

    def _resized(self, x: Tensor, height: Tensor | int, width: Tensor | int) -> Tensor:
        old_height, old_width = keras.ops.shape(x)[1:3]
        rows = self._matrix(old_height, height)
        columns = self._matrix(old_width, width)
        return keras.ops.matmul(keras.ops.matmul(rows, x), keras.ops.transpose(columns))

    def _matrix(self, old: Tensor | int, new: Tensor | int) -> Tensor:
        """Returns `resize_matrix`, in the graph where a size is not known before."""
        ops, dtype = keras.ops, self.compute_dtype
        if isinstance(old, int) and isinstance(new, int):
            return ops.convert_to_tensor(resize_matrix(old, new), dtype)
        size = ops.cast(old, dtype)
        scale = ops.cast(new, dtype) / size
        index = ops.cast(ops.arange(1, old + 1), dtype)[None, :]
        position = ops.cast(ops.arange(1, new + 1), dtype)[:, None]
        centre = position / scale + 0.5 * (1 - 1 / scale)
        stretch = ops.minimum(scale, 1)
        weights = sum(
            _keys_cubic(stretch * (centre - place))
            for place in (index, 1 - index, 2 * size + 1 - index)
        )
        return weights / ops.sum(weights, axis=1, keepdims=True)

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


def _spectral_saliency(intensity: Tensor) -> Tensor:
    ops = keras.ops
    # In the dtype's own zeros: a Python 0 in `where` would do for TensorFlow only.
    nothing = ops.zeros_like(intensity)
    real, imaginary = ops.fft2((intensity, nothing))
    amplitude = ops.sqrt(real * real + imaginary * imaginary)
    above = amplitude > AMPLITUDE_FLOOR
    divisor = ops.where(above, amplitude, ops.ones_like(amplitude))
    log = ops.log(ops.maximum(amplitude, AMPLITUDE_FLOOR))
    mean = _filtered(_edged(log[..., None]), (1 / 3,) * 3, (1, 2))[..., 0]
    power = ops.exp(log - mean)
    real = power * ops.where(above, real / divisor, ops.ones_like(real))
    imaginary = power * ops.where(above, imaginary / divisor, nothing)
    real, imaginary = ops.ifft2((real, imaginary))
    power = real * real + imaginary * imaginary
    padded = ops.pad(power, ((0, 0), (3, 4), (3, 4)))
    blurred = _filtered(padded, gaussian_taps(), (1, 2))
    low = ops.min(blurred, axis=(1, 2), keepdims=True)
    spread = ops.max(blurred, axis=(1, 2), keepdims=True) - low
    scaled = (blurred - low) / _or_one(spread)
    span = ops.max(intensity, axis=(1, 2), keepdims=True) - ops.min(
        intensity, axis=(1, 2), keepdims=True
    )
    return ops.where(span < CONSTANT, nothing, scaled)


def _entropy(values: Tensor) -> Tensor:
    """Returns the entropy (batch,) in bits of each 8-bit histogram."""
    ops = keras.ops
    levels = ops.cast(ops.floor(255 * ops.clip(values, 0, 1) + 0.5), "int32")
    height, width = ops.shape(values)[1:3]
    flat = ops.reshape(levels, (-1, height * width))
    counts = ops.cast(ops.bincount(flat, minlength=256), values.dtype)
    share = counts / ops.sum(counts, axis=-1, keepdims=True)
    return -ops.sum(share * ops.log2(_or_one(share)), axis=-1)


def _keys_cubic(x: Tensor) -> Tensor:
    ops = keras.ops
    x = ops.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return ops.where(x <= 1, near, ops.where(x <= 2, far, ops.zeros_like(x)))


def _edged(x: Tensor) -> Tensor:
    """Repeats the outermost rows and columns of (batch, height, width, channels)."""
    return keras.ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")


def _filtered(
    x: Tensor, taps: Sequence[float] | np.ndarray, axes: tuple[int, ...]
) -> Tensor:
    """Correlates along axes, each of which gets shorter by the taps less one."""
    for axis in axes:
        parts = []
        for i, tap in enumerate(taps):
            if tap:
                end = i + 1 - len(taps)
                index = [slice(None)] * axis + [slice(i, end or None)]
                parts.append(float(tap) * x[tuple(index)])
        x = sum(parts[1:], parts[0])
    return x


def _or_one(x: Tensor) -> Tensor:
    return keras.ops.where(x > 0, x, keras.ops.ones_like(x))
