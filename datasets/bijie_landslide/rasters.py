"""Reading the elevations of Bijie onto the grid of their images."""

from __future__ import annotations

import numpy as np
from etils import epath

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.reading import read_raster
from landslide_tf.errors import DataError


def read_dem(path: epath.Path | None, size: tuple[int, int]) -> tuple[FloatArray, str]:
    """Reads an elevation file, bilinearly resampled where it has another size.

    Args:
        path: PNG or TIFF of 8 or 16 bits; None = there is none.
        size: Rows and columns of the image.

    Returns:
        float32 (H, W, 1) in the file's own unit, NaN without a file; and what the file
        is, for the report.

    Raises:
        DataError: If the file is broken or holds something else.
    """
    if path is None:
        return np.full((*size, 1), np.nan, np.float32), "none"
    values = read_raster(path).values
    if values.shape[-1] != 1 or values.dtype not in (np.uint8, np.uint16, np.int16):
        raise DataError(
            f"`{path}` must be an elevation of one band of 8 or 16 bits, received "
            f"{values.shape[-1]} bands of {values.dtype}."
        )
    kind = f"{values.dtype} {path.suffix.lower().lstrip('.')}"
    dem = values[..., 0].astype(np.float32)
    if dem.shape != size:
        from PIL import Image  # too slow for `import landslide_tf`

        picture = Image.fromarray(dem).resize(size[::-1], Image.Resampling.BILINEAR)
        dem, kind = np.asarray(picture), f"{kind} of another size"
    return dem[..., None], kind
