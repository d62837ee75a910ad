"""How far a map lies off an earlier one.

Apart from `changes`, its only caller: arrays alone, which need no files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster.grid import Window

_SIDE = 2048  # pixels a side that are compared for a shift, around the middle
# Standard deviations by which a peak stands out of the correlation of noise, and how
# much higher it is than any other: patterns that repeat have several.
_DISTINCT, _SINGLE = 8.0, 1.5
_AROUND = 3  # pixels around the peak that belong to it


def estimate_shift(before: ArrayLike, after: ArrayLike) -> tuple[float, float] | None:
    """Estimates the shift between two maps by phase correlation.

    The outlines of the classes are correlated (Kuglin and Hines 1975, Proceedings of
    the International Conference on Cybernetics and Society, 163–165), the peak is
    refined by a parabola through its neighbours.

    Args:
        before: Class map (H, W), integers.
        after: Class map (H, W) of the same grid.

    Returns:
        Rows and columns by which `after` lies below and to the right of `before`; None
        where the maps have too little in common to tell.

    Raises:
        DataError: If the maps are not of one shape (H, W).

    >>> import numpy as np
    >>> from landslide_tf.mapping import estimate_shift
    >>> values = np.random.default_rng(0).integers(0, 2, (16, 16))
    >>> values = values.repeat(4, 0).repeat(4, 1)
    >>> shift = estimate_shift(values[:48, :48], values[3:51, 5:53])
    >>> [round(part) for part in shift]
    [-3, -5]
    """
    first, second = np.asarray(before), np.asarray(after)
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(
            f"Expected two maps of one shape (H, W), received {first.shape} and "
            f"{second.shape}; bring them onto one grid first."
        )
    middle = compared(first.shape)
    rows = slice(middle.row, middle.row + middle.height)
    columns = slice(middle.column, middle.column + middle.width)
    parts = [values[rows, columns] for values in (first, second)]
    spectra = [fft.rfft2(_outlines(part)) for part in parts]
    cross = np.conj(spectra[0]) * spectra[1]
    size = np.abs(cross)
    if not size.max() > 0:
        return None
    cross /= np.maximum(size, 1e-6 * size.max())
    shape = parts[0].shape
    correlation = fft.irfft2(cross, shape)
    peak = np.unravel_index(correlation.argmax(), shape)
    centred = np.roll(correlation, [_AROUND - int(at) for at in peak], (0, 1))
    top = correlation[peak]
    centred[: 2 * _AROUND + 1, : 2 * _AROUND + 1] = 0
    if top < max(_DISTINCT * correlation.std(), _SINGLE * centred.max()):
        return None
    found = [_refined(correlation, peak, axis) for axis in (0, 1)]
    return found[0], found[1]


def compared(shape: tuple[int, ...]) -> Window:
    """Returns the part around the middle of a map that is compared for a shift.

    Args:
        shape: Rows and columns of the map.

    >>> from landslide_tf.mapping.shift import compared
    >>> compared((4096, 100))
    Window(row=1024, column=0, height=2048, width=100)
    """
    height, width = (min(size, _SIDE) for size in shape)
    row, column = (max(0, (size - _SIDE) // 2) for size in shape)
    return Window(row, column, height, width)


def _outlines(values: NDArray[np.generic]) -> FloatArray:
    """Returns where the class changes, faded out towards the rim."""
    edges = np.zeros(values.shape, np.float32)
    edges[:-1] += values[:-1] != values[1:]
    edges[:, :-1] += values[:, :-1] != values[:, 1:]
    down, across = (np.hanning(size + 2)[1:-1] for size in values.shape)
    return edges * down[:, None] * across


def _refined(correlation: FloatArray, peak: tuple[np.intp, ...], axis: int) -> float:
    line = np.take(correlation, peak[1 - axis], axis=1 - axis)
    size, at = len(line), int(peak[axis])
    low, top, high = line[at - 1], line[at], line[(at + 1) % size]
    bend = low - 2 * top + high
    offset = 0.5 * (low - high) / bend if size > 2 and bend < 0 else 0.0
    whole = at if at <= size // 2 else at - size
    return float(whole + offset)
