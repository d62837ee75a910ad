"""The eight symmetries of the square, for images and for the angles in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError, check_choice


class _Operation(NamedTuple):
    """Transpose first, then quarter turns; an azimuth becomes offset + sign·α."""

    transpose: bool
    turns: int  # counter-clockwise, as np.rot90
    sign: int
    offset: int  # degrees, a multiple of 90


_OPERATIONS = {
    "identity": _Operation(False, 0, 1, 0),
    "rot90": _Operation(False, 1, 1, 270),
    "rot180": _Operation(False, 2, 1, 180),
    "rot270": _Operation(False, 3, 1, 90),
    "flip_left_right": _Operation(True, 3, -1, 0),
    "flip_up_down": _Operation(True, 1, -1, 180),
    "transpose": _Operation(True, 0, -1, 270),
    "anti_transpose": _Operation(True, 2, -1, 90),
}

DIHEDRAL: tuple[str, ...] = tuple(_OPERATIONS)
"""Names of the eight operations; rotations are counter-clockwise."""

_INVERSE = {"rot90": "rot270", "rot270": "rot90"}  # the others undo themselves
# Sine and cosine of 0, 90, 180 and 270 degrees.
_SINE = {0: 0, 90: 1, 180: 0, 270: -1}
_COSINE = {0: 1, 90: 0, 180: -1, 270: 0}


def _operation(name: str) -> _Operation:
    check_choice("name", name, DIHEDRAL)
    return _OPERATIONS[name]


def dihedral(array: NDArray[Any], name: str) -> NDArray[Any]:  # keeps any dtype
    """Returns `array` rotated or flipped.

    Args:
        array: (H, W, …), any dtype.
        name: One of `DIHEDRAL`.

    Returns:
        (H, W, …), or (W, H, …) where rows and columns change places; a view.

    Raises:
        DataError: Unknown name, or fewer than two axes.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> terrain.dihedral(np.array([[1, 2], [3, 4]]), "rot90").tolist()
        [[2, 4], [1, 3]]
    """
    operation = _operation(name)
    array = np.asarray(array)
    if array.ndim < 2:
        raise DataError(
            f"`array` must have the axes (height, width, ...), got shape {array.shape}."
        )
    if operation.transpose:
        array = array.swapaxes(0, 1)
    return np.rot90(array, operation.turns)


def dihedral_transform(transform: Affine, shape: tuple[int, int], name: str) -> Affine:
    """Returns the transform of a rotated or flipped image.

    Args:
        transform: From columns and rows of the image to coordinates.
        shape: Its rows and columns, at least 1.
        name: One of `DIHEDRAL`.

    Returns:
        The transform of `dihedral(image, name)`.

    Raises:
        DataError: Unknown name.

    Example:
        >>> from rasterio import Affine
        >>> from landslide_tf import terrain
        >>> east = Affine(10, 0, 500, 0, -10, 900)
        >>> terrain.dihedral_transform(east, (4, 4), "rot90") @ (0, 0)
        (540.0, 900.0)
    """
    height, width = shape
    # From places in the turned image to those in the image, corner to corner.
    corners = np.array([[(0, 0), (width, 0)], [(0, height), (width, height)]], float)
    (first, right), (down, _) = dihedral(corners, name)
    operation = _operation(name)
    columns, rows = (height, width) if _swaps(operation) else (width, height)
    (a, d), (b, e) = (right - first) / columns, (down - first) / rows
    return transform @ Affine(a, b, first[0], d, e, first[1])


def _swaps(operation: _Operation) -> bool:
    """Whether rows and columns change places."""
    return operation.transpose != bool(operation.turns % 2)


def dihedral_aspect(aspect: FloatArray, name: str) -> FloatArray:
    """Returns a rotated or flipped aspect image, with adjusted azimuths.

    The picture turns, and so does the azimuth that each pixel holds: what the
    result says is what `terrain.aspect` says of the elevation model turned alike.

    Args:
        aspect: (H, W, …) float, degrees clockwise from north in [0, 360); negative
            values mark level ground, NaN marks nodata.
        name: One of `DIHEDRAL`.

    Returns:
        As `dihedral`, in the same dtype, level ground and nodata unchanged; a copy.

    Raises:
        DataError: Unknown name, fewer than two axes, or integers.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> east = np.array([[90.0, -1.0]])  # falls to the east; level
        >>> terrain.dihedral_aspect(east, "flip_left_right").tolist()
        [[-1.0, 270.0]]
    """
    operation = _operation(name)
    turned = dihedral(aspect, name)
    if turned.dtype.kind != "f":
        raise DataError(
            f"`aspect` must hold floats, got dtype `{turned.dtype}`; convert it to"
            " float32 (integers lose the angle)."
        )
    angle = (operation.sign * turned + operation.offset) % 360
    angle[angle == 360] = 0  # a tiny negative angle rounds up to the modulus
    return np.where(turned < 0, turned, angle).astype(turned.dtype, copy=False)


def dihedral_factors(
    factors: FloatArray, kinds: Sequence[object], name: str
) -> FloatArray:
    """Returns rotated or flipped terrain factors, with adjusted angles.

    Args:
        factors: (H, W, F) float in raw units.
        kinds: What each channel is. `"aspect"` is degrees clockwise from north; the
            pair `"aspect_sin"`, `"aspect_cos"` is its sine and cosine ((0, 0) =
            level); any other channel does not depend on direction.
        name: One of `DIHEDRAL`.

    Returns:
        (H, W, F) or (W, H, F) in the same dtype; a copy.

    Raises:
        DataError: Unknown name, another number of kinds than channels, or one of
            `"aspect_sin"` and `"aspect_cos"` without the other.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> factors = np.array([[[30.0, 90.0]]])  # slope and aspect of one cell
        >>> turned = terrain.dihedral_factors(factors, ("slope", "aspect"), "rot90")
        >>> turned.tolist()
        [[[30.0, 0.0]]]
    """
    operation = _operation(name)
    factors = np.asarray(factors)
    if factors.ndim != 3 or factors.shape[2] != len(kinds):
        raise DataError(
            "`factors` must have the axes (height, width, factor) with one factor for"
            f" each of the {len(kinds)} `kinds`, got shape {factors.shape}."
        )
    kinds = list(kinds)
    pair = [kinds.count("aspect_sin"), kinds.count("aspect_cos")]
    if pair not in ([0, 0], [1, 1]):
        raise DataError(
            "`kinds` must hold `aspect_sin` and `aspect_cos` together and once, got"
            f" {kinds}."
        )
    turned = dihedral(factors, name).copy()
    for channel, kind in enumerate(kinds):
        if kind == "aspect":
            turned[..., channel] = dihedral_aspect(factors[..., channel], name)
    if pair == [1, 1]:
        s, c = kinds.index("aspect_sin"), kinds.index("aspect_cos")
        sine, cosine = turned[..., s] * operation.sign, turned[..., c].copy()
        a, b = _SINE[operation.offset], _COSINE[operation.offset]
        turned[..., s] = a * cosine + b * sine
        turned[..., c] = b * cosine - a * sine
    return turned


def dihedral_mean(
    predict: Callable[[Mapping[str, FloatArray]], FloatArray],
    inputs: Mapping[str, FloatArray],
    kinds: Sequence[object],
) -> FloatArray:
    """Averages a prediction over the eight flips and rotations of the image.

    Args:
        predict: From arrays as `inputs` to values (B, H, W, channels).
        inputs: `image` (B, H, W, bands) and perhaps `factors` (B, H, W, F).
        kinds: What each channel of `factors` is, as in `dihedral_factors`.

    Returns:
        Mean over what is predicted of the inputs turned and mirrored in the eight
        ways, turned back: float32 (B, H, W, channels).

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> image = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> first_row = lambda inputs: inputs["image"] * [[[1.0]], [[0.0]]]
        >>> terrain.dihedral_mean(first_row, {"image": image}, ()).ravel().tolist()
        [0.0, 0.5, 1.0, 1.5]
    """
    total: FloatArray | None = None
    for name in DIHEDRAL:
        turned = {"image": np.stack([dihedral(x, name) for x in inputs["image"]])}
        if "factors" in inputs:
            factors = [dihedral_factors(x, kinds, name) for x in inputs["factors"]]
            turned["factors"] = np.stack(factors)
        back = _INVERSE.get(name, name)
        found = np.stack([dihedral(values, back) for values in predict(turned)])
        total = found if total is None else total + found
    assert total is not None  # there are eight
    return np.asarray(total / len(DIHEDRAL), np.float32)
