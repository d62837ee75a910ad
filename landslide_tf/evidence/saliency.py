"""Multi-scale saliency with gradients: where an image differs from its surroundings."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.evidence.masses import Values
from landslide_tf.evidence.resize import resize

Border: TypeAlias = Literal["replicate", "zero"]
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
        border: Of the gradient. `"zero"` is the release: it finds a bright frame, which
            scales the whole interior down; `"replicate"` finds none.

    Returns:
        Saliency (..., height, width) in [0, 1], float64, with a maximum of 1 in every
        image that is not constant.

    Raises:
        DataError: If the image or the border is not valid.
    """
    if border not in BORDERS:
        raise DataError(
            f"`border` cannot be `{border}`.{did_you_mean(str(border), BORDERS)}"
        )
    grey = to_grey(presmooth(checked_image(image)))
    raw = gradient(grey, border)
    edges = raw / _or_one(raw.max(axis=(-2, -1), keepdims=True))
    total = combine_scales(saliency_scales(grey / 255)) + edges
    top = total.max(axis=(-2, -1), keepdims=True)
    return np.where(top > 0, np.clip(total / _or_one(top), 0, 1), 0.0)


def to_uint8(values: ArrayLike) -> np.ndarray:
    """Returns values of [0, 1] as 8-bit numbers, halves rounded up."""
    return round_half_up(255 * np.asarray(values, np.float64)).astype(np.uint8)


def round_half_up(values: Values) -> Values:
    """Returns values >= 0 rounded as MATLAB casts to integers, not to even."""
    return np.floor(values + 0.5)


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


def presmooth(image: Values) -> Values:
    """Blurs each channel (..., height, width, 3) by a 3-tap Gaussian, to integers."""
    taps = smoothing_taps()
    padded = _padded(image, 1, 1, (-3, -2), mode="edge")
    blurred = _filtered(_filtered(padded, taps, -3), taps, -2)
    return np.clip(round_half_up(blurred), 0, 255)


def to_grey(image: Values) -> Values:
    """Returns MATLAB's grey levels, integers (..., height, width)."""
    return np.clip(round_half_up(image @ np.array(GREY)), 0, 255)


def gradient(grey: Values, border: Border) -> Values:
    """Returns |gx| + |gy| of Sobel's masks (..., height, width)."""
    mode = "edge" if border == "replicate" else "constant"
    padded = _padded(grey, 1, 1, (-2, -1), mode=mode)
    smooth, differ = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
    along_rows = _filtered(_filtered(padded, differ, -2), smooth, -1)
    along_columns = _filtered(_filtered(padded, smooth, -2), differ, -1)
    return np.abs(along_rows) + np.abs(along_columns)


def saliency_scales(intensity: Values) -> Values:
    """Returns the maps of full, 2/3 and 1/3 size (3, ..., height, width)."""
    height, width = intensity.shape[-2:]
    maps = [spectral_saliency(intensity)]
    for part in (2, 1):
        small = resize(intensity, part * height // 3, part * width // 3)
        maps.append(resize(spectral_saliency(small), height, width))
    return np.stack(maps)


def combine_scales(maps: Values) -> Values:
    """Returns the mean of maps (scales, ..., height, width) weighted by entropy.

    The map with the flatter histogram counts more, as released.
    """
    entropy = histogram_entropy(maps)
    total = entropy.sum(axis=0)
    weights = np.where(total > 0, entropy / _or_one(total), 1 / len(maps))
    return np.sum(weights[..., None, None] * maps, axis=0)


def histogram_entropy(values: Values) -> Values:
    """Returns the entropy (...) in bits of the 8-bit histogram of maps (..., h, w)."""
    levels = to_uint8(np.clip(values, 0, 1)).astype(np.int64)
    levels = levels.reshape(-1, values.shape[-2] * values.shape[-1])
    # One histogram an image in one pass: image i counts in the bins from 256 i.
    shifted = levels + 256 * np.arange(len(levels))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=256 * len(levels))
    share = counts.reshape(-1, 256) / levels.shape[-1]
    bits = -np.sum(share * np.log2(np.where(share > 0, share, 1.0)), axis=-1)
    return bits.reshape(values.shape[:-2]) + 0.0


def spectral_saliency(intensity: Values) -> Values:
    """Returns the spectral residual's map (..., height, width) scaled to [0, 1].

    Hou and Zhang 2007, section 3, with the release's 8 × 8 blur. A constant image
    gives zeros.
    """
    axes = (-2, -1)
    constant = np.ptp(intensity, axis=axes, keepdims=True) < CONSTANT
    blurred = blur(residual_power(intensity))
    low = blurred.min(axis=axes, keepdims=True)
    spread = blurred.max(axis=axes, keepdims=True) - low
    return np.where(constant, 0.0, (blurred - low) / _or_one(spread))


def residual_power(intensity: Values) -> Values:
    """Returns the squared inverse transform of the residual spectrum, unblurred."""
    spectrum = np.fft.fft2(intensity)
    amplitude = np.abs(spectrum)
    above = amplitude > AMPLITUDE_FLOOR
    phase = np.where(above, spectrum / np.where(above, amplitude, 1.0), 1.0)
    log = np.log(np.maximum(amplitude, AMPLITUDE_FLOOR))
    # The release pads the spectrum by its edge values; a spectrum is periodic, so its
    # neighbours across the edge would have been the other choice.
    box = np.full(3, 1 / 3)
    padded = _padded(log, 1, 1, (-2, -1), mode="edge")
    residual = log - _filtered(_filtered(padded, box, -2), box, -1)
    return np.abs(np.fft.ifft2(np.exp(residual) * phase)) ** 2


def blur(power: Values) -> Values:
    """Correlates with the release's 8 × 8 Gaussian, zeros outside, offsets −3 to 4."""
    taps = gaussian_taps()
    padded = _padded(power, 3, 4, (-2, -1), mode="constant")
    return _filtered(_filtered(padded, taps, -2), taps, -1)


def smoothing_taps() -> Values:
    """Returns the 3 taps of the light smoothing, of sum 1."""
    side = np.exp(-1 / (2 * SIGMA**2))
    return np.array([side, 1.0, side]) / (1 + 2 * side)


def gaussian_taps() -> Values:
    """Returns the 8 taps of the blur, of sum 1; the mask is their outer product."""
    taps = np.exp(-(np.arange(-3.5, 4) ** 2) / (2 * BLUR_SIGMA**2))
    return taps / taps.sum()


def _padded(
    values: Values, before: int, after: int, axes: tuple[int, int], mode: str
) -> Values:
    widths = [(0, 0)] * values.ndim
    for axis in axes:
        widths[axis] = (before, after)
    return np.pad(values, widths, mode=mode)  # type: ignore[call-overload]


def _filtered(values: Values, taps: Values, axis: int) -> Values:
    """Correlates along one axis, which gets shorter by the taps less one."""
    size = values.shape[axis] - len(taps) + 1
    values = np.moveaxis(values, axis, 0)
    total = sum(tap * values[i : i + size] for i, tap in enumerate(taps) if tap)
    return np.moveaxis(total, 0, axis)


def _or_one(values: Values) -> Values:
    """Returns positive values as they are and 1 for the others, to divide by."""
    return np.where(values > 0, values, 1.0)
