"""Reading the images of MMLS and telling whether they are what they should be.

Apart from the builder, which lists and splits files: this is about pixels.
"""

from __future__ import annotations

import io

import numpy as np
from etils import epath

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.reading import reading, silenced
from landslide_tf.errors import DataError
from landslide_tf.words import counted

SIZE = 128
BANDS = ("blue", "green", "red", "dem", "thermal", "slope", "gray")
DEM, SLOPE = BANDS.index("dem"), BANDS.index("slope")

_LARGEST_FILE = 16 * 2**20  # bytes; the published files have half a megabyte
# The slope was made before the tiles were resampled, so it only resembles that of the
# stored elevations. Over a part the correlation is 0.94 to 0.96, over single tiles it
# goes down to 0.82; the thermal band, which lies in its place in version 2, reaches
# 0.35 at most.
_LEAST_CORRELATION = 0.9
_LEAST_CORRELATION_OF_FEW = 0.7
_FEW = 20


def read_image(path: epath.Path) -> FloatArray:
    """Reads a tile whose 128 rows are the pages of one TIFF.

    Args:
        path: The file.

    Returns:
        float32 (128, 128, 7), bands in the order of `BANDS`, 0 to 1.

    Raises:
        DataError: If the file is corrupt or holds something else.
    """
    import tifffile  # too slow for `import landslide_tf`

    size = path.stat().length
    if size > _LARGEST_FILE:
        raise DataError(
            f"`{path}` must be a TIFF below {_LARGEST_FILE} bytes, received {size}."
        )
    content = io.BytesIO(path.read_bytes())
    with (
        reading(path, "a TIFF"),
        silenced("tifffile"),
        tifffile.TiffFile(content) as tiff,
    ):
        # A crafted header can claim any size: nothing is read before it is known.
        values = sum(int(np.prod(page.shape)) for page in tiff.pages)
        if values > _LARGEST_FILE:
            raise ValueError(f"it claims {values} values")
        pages, image = len(tiff.pages), tiff.asarray()
    if pages != SIZE or image.shape != (SIZE, SIZE, len(BANDS)):
        raise DataError(
            f"`{path}` must be a TIFF of {SIZE} pages that make (128, 128, 7) values, "
            f"received {counted(pages, 'page')} with {image.shape}: it is truncated or "
            "not a tile of MMLS version 1."
        )
    if image.dtype != np.float32:
        raise DataError(f"`{path}` must hold float32 values, received {image.dtype}.")
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        strange = int(np.count_nonzero(~np.isfinite(image)))
        raise DataError(
            f"`{path}` must hold values from 0 to 1, received {np.nanmin(image):g} to "
            f"{np.nanmax(image):g} and not a number in {counted(strange, 'place')}: it "
            "is not as published."
        )
    return image


class SlopeCheck:
    """Correlation of the slope band with the gradient of the DEM, tile by tile."""

    def __init__(self) -> None:
        self._tiles = 0
        self._sums = np.zeros(6)

    def add(self, image: FloatArray) -> None:
        """Adds a tile, float32 (128, 128, 7)."""
        from landslide_tf.terrain import slope  # too slow for `import landslide_tf`

        # The rim would need the neighbouring tiles.
        inside = (slice(1, -1), slice(1, -1))
        gradient = slope(image[..., DEM], 1.0, units="percent", dtype=np.float64)
        x, y = gradient[inside].ravel(), image[..., SLOPE][inside].ravel()
        y = y.astype(np.float64)
        self._sums += [x.size, x.sum(), y.sum(), x @ x, y @ y, x @ y]
        self._tiles += 1

    def finish(self, part: str) -> None:
        """Judges the tiles seen.

        Args:
            part: What they are, for the error message.

        Raises:
            DataError: If the slope band cannot be the slope.
        """
        if not self._tiles:
            return
        n, x, y, xx, yy, xy = self._sums
        spread = np.sqrt(max((n * xx - x * x) * (n * yy - y * y), 0.0))
        correlation = (n * xy - x * y) / spread if spread else 0.0
        few = self._tiles < _FEW
        if correlation < (_LEAST_CORRELATION_OF_FEW if few else _LEAST_CORRELATION):
            raise DataError(
                f"the {part} part of `mmls` must have bands {', '.join(BANDS)}: band 5 "
                f"does not follow the gradient of band 3 (correlation "
                f"{correlation:.2f}, expected 0.95); are these files of version 2?"
            )
