"""How good the scheme is after each of its stages, where it is known what is there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import ObjectCounts, object_counts
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelOptions, LabelReader, read_labels
from landslide_tf.terrain import Grid


@dataclass(frozen=True)
class Stage:
    """What is left after a stage.

    Attributes:
        name: `map`, `rules`, `change`, …
        objects: Landslides that are left.
        pixels: Counts of pixels against the reference; None without one.
        matched: Counts of objects, matched at an IoU of a half; None without one.

    >>> from landslide_tf.objects import ObjectCounts
    >>> from landslide_tf.recognition import Stage
    >>> Stage("map", 3, ObjectCounts(8, 2, 2, "pixel"), None).line()
    'map: 3 objects; pixels: precision 0.800, recall 0.800'
    """

    name: str
    objects: int
    pixels: ObjectCounts | None
    matched: ObjectCounts | None

    def line(self) -> str:
        """Returns the stage as a line for a terminal."""
        found = f"{self.name}: {self.objects} objects"
        for what, counts in (("pixels", self.pixels), ("objects", self.matched)):
            if counts is not None:
                scores = counts.scores()
                found += (
                    f"; {what}: precision {1 - scores.ce:.3f}, recall {scores.dp:.3f}"
                )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Returns the stage as JSON values."""
        found: dict[str, Any] = {"name": self.name, "objects": self.objects}
        for what, counts in (("pixels", self.pixels), ("matched", self.matched)):
            if counts is not None:
                found[what] = {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}
                found[what] |= counts.scores().as_dict()
        return found


class Reference:
    """What is there, on a grid.

    Args:
        path: Polygons, or a raster of any grid.
        grid: The grid of the map.
        options: How they are read.

    Raises:
        DataError: If the file cannot be read, shares no ground with the map or holds no
            landslide there.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.recognition import Reference
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> values[0, 2:6, 1:6] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reference.tif")
    ...     write_plain(path, grid, Layer("uint8", 255, ["class"]), [(0, values)])
    ...     Reference(path, grid).stage("map", values[0] > 0, 1).matched.tp
    1
    """

    def __init__(
        self, path: str | Path, grid: Grid, options: LabelOptions | None = None
    ) -> None:
        labels = read_labels(Path(path), grid, grid, options or LabelOptions())
        with contextlib.closing(LabelReader(labels, grid)) as reader:
            values = reader.read(Window(0, 0, *grid.shape))
        self._truth = values == 1
        self._ignored = values == IGNORE_VALUE
        if not self._truth.any():
            raise DataError(
                f"The reference `{path}` must hold landslides where the map is, "
                "received none: recall has no value without one."
            )

    def stage(self, name: str, landslide: NDArray[np.bool_], objects: int) -> Stage:
        """Returns a stage with its scores.

        Args:
            name: Name of the stage.
            landslide: What is left of the map (H, W).
            objects: How many objects that is.
        """
        pixels, matched = (
            object_counts(self._truth, landslide, match=match, ignore=self._ignored)
            for match in ("pixel", "iou")
        )
        return Stage(name, objects, pixels, matched)
