"""What is there on the grid of a map: polygons or a raster, window by window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelOptions, LabelReader, read_labels
from landslide_tf.raster.masks import MaskFiles, MaskReader, read_masks
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.vector import Burner
from landslide_tf.terrain import Grid


class Reference:
    """True landslides on a grid, read by one thread; close it after use.

    Args:
        path: Polygons, or a raster of any grid.
        grid: The grid of the map, north up.
        options: How they are read; landslide is class 1.
        masks: Which pixels count; None = all.
        stored: Grid of the map as it is stored, for masks without a system; None =
            `grid`.

    Attributes:
        taken: A line on each vector file: which layer and field of it were taken.

    Raises:
        DataError: If a file cannot be read or shares no ground with the map.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping import Reference
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 3)
    >>> values = np.array([[[0, 1, 255]]], np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reference.tif")
    ...     write_plain(path, grid, Layer("uint8", 255, ["class"]), [(0, values)])
    ...     with Reference(path, grid) as reference:
    ...         truth, ignored = reference.read(Window(0, 0, 1, 3))
    >>> truth.tolist(), ignored.tolist()
    ([[False, True, False]], [[False, False, True]])
    """

    def __init__(
        self,
        path: FilePath,
        grid: Grid,
        options: LabelOptions | None = None,
        masks: MaskFiles | None = None,
        *,
        stored: Grid | None = None,
    ) -> None:
        self.path = path
        labels = read_labels(self.path, grid, grid, options or LabelOptions())
        counting = read_masks(masks or MaskFiles(), grid, stored or grid)
        taken = [labels.taken] if isinstance(labels, Burner) else []
        taken += [counting.taken] if counting is not None else []
        self.taken = tuple(filter(None, taken))
        self._labels = LabelReader(labels, grid)
        self._masks = MaskReader(counting, grid)

    def read(self, window: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Returns where landslides are, and where nothing is known or counts (h, w).

        Raises:
            DataError: If a file is truncated or corrupt, or a value is no class.
        """
        labels = self._labels.read(window)
        ignored = (labels == IGNORE_VALUE) | ~self._masks.read(window).counts
        return (labels == 1) & ~ignored, ignored

    def close(self) -> None:
        """Closes all files."""
        self._labels.close()
        self._masks.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
