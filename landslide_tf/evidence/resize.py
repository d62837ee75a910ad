"""Bicubic resampling with antialiasing as one matrix an axis."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

from landslide_tf.evidence.masses import Values


def resize(values: Values, height: int, width: int) -> Values:
    """Resamples maps (..., old height, old width) to (..., height, width)."""
    return _resized(_resized(values, height, -2), width, -1)


def _resized(values: Values, size: int, axis: int) -> Values:
    # Four to twelve neighbours count: as a dense product it took most of the time.
    weights = _sparse_matrix(values.shape[axis], size)
    rows = np.moveaxis(values, axis, 0)
    result = weights @ rows.reshape(len(rows), -1)
    return np.moveaxis(result.reshape(size, *rows.shape[1:]), 0, axis)


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
    scale = new / old
    centre = np.arange(1, new + 1)[:, None] / scale + 0.5 * (1 - 1 / scale)
    index = np.arange(1, old + 1)[None, :]
    stretch = min(scale, 1.0)
    weights = sum(
        keys_cubic(stretch * (centre - position))
        for position in (index, 1 - index, 2 * old + 1 - index)
    )
    weights = weights / weights.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights


def keys_cubic(x: Values) -> Values:
    """Returns Keys's cubic convolution kernel with a = −½ (Keys 1981, equation 15)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
