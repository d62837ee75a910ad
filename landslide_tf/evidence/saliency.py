"""Multi-scale saliency with gradients: where an image differs from its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from landslide_tf.array_types import Tensor
from landslide_tf.choices import Border
from landslide_tf.errors import DataError, check_choice
from landslide_tf.evidence.masses import Values

BORDERS: tuple[Border, ...] = get_args(Border)

# Below it a third of the size is no longer a map of 8 × 8.
SMALLEST = 24
GREY = (0.298936, 0.587043, 0.114021)
SIGMA, BLUR_SIGMA = 0.5, 8.0
# Far below any coefficient of a photograph, far above the noise of an FFT: images of
# stripes, whose spectrum holds zeros, give the same map with every FFT library.
AMPLITUDE_FLOOR = 1e-8
CONSTANT = 1e-6


def multiscale_saliency(image: ArrayLike, border: Border = "replicate") -> Values:
    """Computes the spectral residual at three scales plus the gradient, per image.

    The runnable release of doi 10.1109/JSTARS.2024.3354455: light smoothing, the
    spectral residual (Hou and Zhang 2007) at full, 2/3 and 1/3 size, maps weighted by
    the entropy of their histograms, Sobel gradient added, divided by the maximum.

    Args:
        image: Red, green, blue 0..255 (..., height, width, 3) of at least 24 × 24; one
            grey channel, or none (height, width), is repeated, a fourth is dropped.
        border: Of the gradient. The default differs from the release: `"replicate"`
            finds no frame; `"zero"` gives the published maps, whose bright frame
            scales the whole interior down.

    Returns:
        Saliency (..., height, width) in [0, 1], float64, with a maximum of 1 in every
        image that is not constant.

    Raises:
        DataError: If the image or the border is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import evidence
        >>> image = np.full((48, 48, 3), 80)
        >>> image[20:28, 20:28] = 240  # a bright spot
        >>> saliency = evidence.multiscale_saliency(image)
        >>> rows, columns = np.nonzero(saliency > 0.9)
        >>> sorted(set(rows.tolist())), float(saliency[0, 0].round(1))
        ([20, 27], 0.0)
    """
    check_choice("border", border, BORDERS)
    return ON_ARRAYS.saliency(checked_image(image), border)


def to_uint8(values: ArrayLike) -> np.ndarray:
    """Returns values of [0, 1] as 8-bit numbers, halves rounded up.

    Example:
        >>> from landslide_tf import evidence
        >>> evidence.to_uint8([0.0, 0.5, 1.0]).tolist()
        [0, 128, 255]
    """
    return np.floor(255 * np.asarray(values, np.float64) + 0.5).astype(np.uint8)


def checked_image(image: ArrayLike) -> Values:
    """Returns an image as float64 (..., height, width, 3), or raises a DataError."""
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim < 3 or array.shape[-1] not in (1, 3, 4):
        raise DataError(
            "Expected an image of shape (..., height, width, 3), received "
            f"{array.shape}; take its red, green and blue."
        )
    if min(array.shape[-3:-1]) < SMALLEST:
        raise DataError(
            f"Expected an image of at least {SMALLEST} x {SMALLEST} pixels, received "
            f"{array.shape[-3]} x {array.shape[-2]}; use a larger window."
        )
    values = array[..., :3].astype(np.float64)
    if not np.all((values >= 0) & (values <= 255)):
        raise DataError(
            f"Expected values from 0 to 255, received {np.min(values):g} to "
            f"{np.max(values):g}; scale the image to 8 bits."
        )
    return np.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values


class SaliencyStages:
    """The stages of the saliency with the functions of one library of arrays.

    Here with NumPy's; a layer of `landslide_tf.layers` replaces what `keras.ops` does
    otherwise: the transforms, the histogram and the resampling.
    """

    ops: ModuleType = np

    def saliency(self, image: Tensor, border: Border) -> Tensor:
        """Returns the saliency (..., height, width) of images of values 0..255."""
        ops = self.ops
        grey = self.grey(self.smoothed(image))
        raw = self.gradient(grey, border)
        edges = raw / self._or_one(ops.max(raw, axis=(-2, -1), keepdims=True))
        total = self.combined(self.scales(grey / 255.0)) + edges
        top = ops.max(total, axis=(-2, -1), keepdims=True)
        scaled = ops.clip(total / self._or_one(top), 0, 1)
        return ops.where(top > 0, scaled, ops.zeros_like(scaled))

    def smoothed(self, image: Tensor) -> Tensor:
        """Blurs each channel by a 3-tap Gaussian, to integers, halves rounded up."""
        side = np.exp(-1 / (2 * SIGMA**2))
        taps = np.array([side, 1.0, side]) / (1 + 2 * side)
        blurred = self._filtered(self._padded(image, 1, 1, 3), taps, 3)
        return self.ops.clip(self.ops.floor(blurred + 0.5), 0, 255)

    def grey(self, image: Tensor) -> Tensor:
        """Returns MATLAB's grey levels, integers (..., height, width)."""
        # Summed one by one: a matrix product may round its inputs on a GPU.
        grey = sum(share * image[..., i] for i, share in enumerate(GREY))
        return self.ops.clip(self.ops.floor(grey + 0.5), 0, 255)

    def gradient(self, grey: Tensor, border: Border) -> Tensor:
        """Returns |gx| + |gy| of Sobel's masks (..., height, width)."""
        mode = "symmetric" if border == "replicate" else "constant"
        padded = self._padded(grey, 1, 1, mode=mode)
        smooth, differ = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
        rows = self._along(self._along(padded, differ, -2), smooth, -1)
        columns = self._along(self._along(padded, smooth, -2), differ, -1)
        return self.ops.abs(rows) + self.ops.abs(columns)

    def scales(self, intensity: Tensor) -> Tensor:
        """Returns the maps of full, 2/3 and 1/3 size (3, ..., height, width)."""
        height, width = self.ops.shape(intensity)[-2:]
        maps = [self.spectral(intensity)]
        for part in (2, 1):
            small = self.resized(intensity, part * height // 3, part * width // 3)
            maps.append(self.resized(self.spectral(small), height, width))
        return self.ops.stack(maps)

    def combined(self, maps: Tensor) -> Tensor:
        """Returns the mean of maps (scales, ..., height, width) weighted by entropy.

        The map with the flatter histogram counts more, as released.
        """
        entropy = self.histogram_entropy(maps)
        total = self.ops.sum(entropy, axis=0)
        weights = self.ops.where(total > 0, entropy / self._or_one(total), 1 / 3)
        return self.ops.sum(weights[..., None, None] * maps, axis=0)

    def histogram_entropy(self, values: Tensor) -> Tensor:
        """Returns the entropy (...) in bits of the 8-bit histogram of maps."""
        ops = self.ops
        shape = ops.shape(values)
        levels = ops.floor(255 * ops.clip(values, 0, 1) + 0.5)
        counts = self.counts(ops.reshape(levels, (-1, shape[-2] * shape[-1])))
        share = counts / ops.sum(counts, axis=-1, keepdims=True)
        bits = -ops.sum(share * ops.log2(self._or_one(share)), axis=-1)
        return ops.reshape(bits, shape[:-2]) + 0.0

    def spectral(self, intensity: Tensor) -> Tensor:
        """Returns the spectral residual's map (..., height, width) scaled to [0, 1].

        Hou and Zhang 2007, section 3, with the release's 8 × 8 blur: a Gaussian with
        zeros outside, offsets −3 to 4. A constant image gives zeros.
        """
        ops = self.ops
        axes = {"axis": (-2, -1), "keepdims": True}
        span = ops.max(intensity, **axes) - ops.min(intensity, **axes)
        taps = np.exp(-(np.arange(-3.5, 4) ** 2) / (2 * BLUR_SIGMA**2))
        power = self._padded(self.residual_power(intensity), 3, 4, mode="constant")
        blurred = self._filtered(power, taps / taps.sum())
        low = ops.min(blurred, **axes)
        scaled = (blurred - low) / self._or_one(ops.max(blurred, **axes) - low)
        return ops.where(span < CONSTANT, ops.zeros_like(scaled), scaled)

    def residual_power(self, intensity: Tensor) -> Tensor:
        """Returns the squared inverse transform of the residual spectrum, unblurred."""
        ops = self.ops
        # In the dtype's own zeros: a Python 0 in `where` would do for TensorFlow only.
        nothing = ops.zeros_like(intensity)
        real, imaginary = self.fft2((intensity, nothing))
        amplitude = ops.sqrt(real * real + imaginary * imaginary)
        above = amplitude > AMPLITUDE_FLOOR
        divisor = ops.where(above, amplitude, ops.ones_like(amplitude))
        log = ops.log(ops.maximum(amplitude, AMPLITUDE_FLOOR))
        # The release pads the spectrum by its edge values; a spectrum is periodic, so
        # its neighbours across the edge would have been the other choice.
        mean = self._filtered(self._padded(log, 1, 1), (1 / 3,) * 3)
        power = ops.exp(log - mean)
        real = power * ops.where(above, real / divisor, ops.ones_like(real))
        imaginary = power * ops.where(above, imaginary / divisor, nothing)
        real, imaginary = self.ifft2((real, imaginary))
        return real * real + imaginary * imaginary

    def fft2(self, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns real and imaginary part of the transform of both, the second 0."""
        spectrum = np.fft.fft2(parts[0])
        return spectrum.real, spectrum.imag

    def ifft2(self, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns real and imaginary part of the inverse transform."""
        values = np.fft.ifft2(parts[0] + 1j * parts[1])
        return values.real, values.imag

    def counts(self, levels: Tensor) -> Tensor:
        """Returns how often each row (rows, pixels) holds each of 0..255."""
        # One histogram an image in one pass: image i counts in the bins from 256 i.
        shifted = levels.astype(np.int64) + 256 * np.arange(len(levels))[:, None]
        counts = np.bincount(shifted.ravel(), minlength=256 * len(levels))
        return counts.reshape(-1, 256)

    def resized(self, values: Tensor, height: int, width: int) -> Tensor:
        """Resamples maps (..., old height, old width) to (..., height, width)."""
        for axis, size in ((-2, height), (-1, width)):
            # Four to twelve neighbours count: a dense product took most of the time.
            weights = _sparse_matrix(values.shape[axis], size)
            rows = np.moveaxis(values, axis, 0)
            result = weights @ rows.reshape(len(rows), -1)
            values = np.moveaxis(result.reshape(size, *rows.shape[1:]), 0, axis)
        return values

    def _padded(
        self,
        values: Tensor,
        before: int,
        after: int,
        last: int = 2,
        mode: str = "symmetric",
    ) -> Tensor:
        """Pads height and width, the first two of the `last` axes."""
        widths = [(0, 0)] * (len(values.shape) - last)
        widths += [(before, after)] * 2 + [(0, 0)] * (last - 2)
        return self.ops.pad(values, widths, mode=mode)

    def _filtered(self, values: Tensor, taps: Sequence[float], last: int = 2) -> Tensor:
        """Correlates along height and width, the first two of the `last` axes."""
        return self._along(self._along(values, taps, -last), taps, 1 - last)

    def _along(self, values: Tensor, taps: Sequence[float], axis: int) -> Tensor:
        """Correlates along one axis, which gets shorter by the taps less one."""
        behind = (slice(None),) * (-1 - axis)
        parts = [
            float(tap) * values[(..., slice(i, i + 1 - len(taps) or None), *behind)]
            for i, tap in enumerate(taps)
            if tap
        ]
        return sum(parts[1:], parts[0])

    def _or_one(self, values: Tensor) -> Tensor:
        """Returns positive values as they are and 1 for the others, to divide by."""
        return self.ops.where(values > 0, values, self.ops.ones_like(values))


ON_ARRAYS = SaliencyStages()


@lru_cache(maxsize=32)
def _sparse_matrix(old: int, new: int) -> sparse.csr_array:
    return sparse.csr_array(resize_matrix(old, new))


@lru_cache(maxsize=32)
def resize_matrix(old: int, new: int) -> Values:
    """Returns the weights (new, old) of MATLAB's `imresize`, bicubic.

    Keys's cubic with a = −½, widened by the scale when it shrinks, symmetric edges,
    rows of sum 1. OpenCV's cubic (a = −¾, no antialiasing) and TensorFlow's (borders
    renormalised, not mirrored) differ.

    Args:
        old: Size before, at least 2; far below 6 one mirror image is not enough.
        new: Size after, at least 1.

    Returns:
        The weights, not to be written to.
    """
    index = np.arange(1, old + 1)[None, :]
    position = np.arange(1, new + 1)[:, None]
    weights = resize_weights(index, position, old, new / old)
    weights.setflags(write=False)
    return weights


def resize_weights(
    index: Tensor, position: Tensor, old: Tensor, scale: Tensor, ops: ModuleType = np
) -> Tensor:
    """Returns the weights of `resize_matrix` with an array library's functions.

    Args:
        index: 1..old (1, old).
        position: 1..new (new, 1).
        old: Size before.
        scale: Size after over size before.
        ops: NumPy or `keras.ops`.
    """
    centre = position / scale + 0.5 * (1 - 1 / scale)
    stretch = ops.minimum(scale, 1)
    weights = 0.0
    for mirrored in (index, 1 - index, 2 * old + 1 - index):
        # Keys 1981, equation 15, with a = −½.
        x = ops.abs(stretch * (centre - mirrored))
        near = (1.5 * x - 2.5) * x * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        beyond = ops.where(x <= 2, far, ops.zeros_like(x))
        weights = weights + ops.where(x <= 1, near, beyond)
    return weights / ops.sum(weights, axis=1, keepdims=True)
