"""What stored values of an image stand for, and what brings them to a model's scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.opening import open_raster

if TYPE_CHECKING:
    from landslide_tf.metadata import Band

CALIBRATED = "calibrated"
"""Unit of values by the scale and offset of files that do not name one."""

# Share by which values of a few pixels may lie beyond a band's range.
_TOLERANCE = 1.05
_FRACTIONS = 1.5  # reflectances as fractions stay below
_WHOLE_NUMBERS = 100  # a range up to here or more is no range of fractions
_BRIGHT = 99  # percentile that becomes the end of a range


def stored_units(sources: Sequence[BandSource]) -> tuple[tuple[float, float], ...]:
    """Returns scale and offset of bands, by the tags of their files.

    Args:
        sources: Where the bands are.

    Returns:
        A pair a band: its values are `stored * scale + offset`.

    >>> import tempfile, numpy, rasterio
    >>> from landslide_tf.raster.bands import BandSource
    >>> from landslide_tf.raster.scaling import stored_units
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     image = folder + "/image.tif"
    ...     with rasterio.open(
    ...         image, "w", driver="GTiff", count=1, height=2, width=2, dtype="uint16",
    ...         transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         dataset.scales, dataset.offsets = (0.0001,), (-0.1,)
    ...         dataset.write(numpy.ones((1, 2, 2), "uint16"))
    ...     stored_units([BandSource("red", image, 1)])
    ((0.0001, -0.1),)
    """
    found = []
    for source in sources:
        with open_raster(source.path, "image") as dataset:
            at = source.number - 1
            found.append((float(dataset.scales[at]), float(dataset.offsets[at])))
    return tuple(found)


def are_tagged(sources: Sequence[BandSource]) -> bool:
    """Says whether files tag a scale or an offset of some bands.

    Then the values of the bands are what the tags make of the stored ones.

    >>> from landslide_tf.raster.scaling import are_tagged
    >>> are_tagged([])
    False
    """
    return any(unit != (1.0, 0.0) for unit in stored_units(sources))


def unit_of(sources: Sequence[BandSource]) -> str:
    """Returns the unit of bands with a scale or an offset, as the first file says.

    >>> from landslide_tf.raster.scaling import unit_of
    >>> unit_of([])
    ''
    """
    if not are_tagged(sources):
        return ""
    with open_raster(sources[0].path, "image") as dataset:
        unit = dataset.units[sources[0].number - 1] or ""
    # A bare number is what stored values without a unit are called, too.
    return CALIBRATED if unit in ("", "1") else unit


def bright_value(values: FloatArray) -> float:
    """Returns the value that only a hundredth of some pixels exceed.

    Where nothing else is known of a scene's values, this one is brought to the end of
    the range that a model takes.

    Args:
        values: Values of pixels, any shape.

    Returns:
        The 99th percentile of all values.

    >>> import numpy as np
    >>> from landslide_tf.raster.scaling import bright_value
    >>> bright_value(np.arange(101.0))
    99.0
    """
    return float(np.percentile(values, _BRIGHT))


def choose_scale(
    values: FloatArray,
    bands: Sequence[Band],
    wanted: float | str | None,
    *,
    offset: bool = False,
) -> float:
    """Decides, once a scene, what brings its values to those of the training.

    Args:
        values: Sampled pixels of the scene (N, bands), as stored or in their unit.
        bands: The model's bands.
        wanted: A factor; `"auto"`: the brightest hundredth of the pixels gets the end
            of the range; None: the bands' `scale`, or 1 where the values fit only with
            it.
        offset: Whether values are as stored and the file tags an offset, which no
            factor brings in.

    Returns:
        The factor.

    Raises:
        DataError: If the values do not fit the ranges of the model's bands.

    >>> import numpy as np
    >>> from landslide_tf.metadata import Band
    >>> from landslide_tf.raster.scaling import choose_scale
    >>> red = Band(name="red", unit="reflectance", scale=255, range=(0, 255))
    >>> choose_scale(np.array([[0.02], [0.6]]), [red], None)
    255.0
    >>> choose_scale(np.array([[5], [153]]), [red], None)
    1.0
    """
    if isinstance(wanted, float | int):
        if not (np.isfinite(wanted) and wanted > 0):
            raise DataError(f"Expected `scale` above 0, received {wanted}.")
        return float(wanted)
    factor = bands[0].scale
    ranges = [band.range for band in bands if band.range is not None]
    if not ranges or not len(values):
        return factor
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    if wanted == "auto":
        bright = bright_value(values)
        return high / bright if bright > 0 else factor
    if wanted is not None:
        raise DataError(f"Expected `scale` as a number or `auto`, received `{wanted}`.")
    smallest, largest = float(values.min()), float(values.max())
    slack = (_TOLERANCE - 1) * (high - low)
    fractions = values.dtype.kind == "f" and largest <= _FRACTIONS
    for trial in dict.fromkeys((factor, 1.0)):
        dark = fractions and trial == 1.0 and high >= _WHOLE_NUMBERS
        fits = smallest * trial >= low - slack and largest * trial <= high + slack
        if fits and not dark:
            return trial
    auto = "`--scale auto`"
    factor_between = f"`--scale {high / largest if largest > 0 else 1:.4g}`"
    raise DataError(
        f"image must hold values from {low / factor:g} to {high / factor:g} as in "
        f"training, received {smallest:g} to {largest:g}; "
        + (
            f"scale and offset of the file's tags are used with {auto}."
            if offset
            else f"give the factor between with {factor_between} or {auto}."
        )
    )
