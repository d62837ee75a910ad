"""Polygons that were drawn with labelme.

Apart from `labels`, its only caller, for the format is one of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from landslide_tf.errors import DataError
from landslide_tf.raster.vector import Shapes
from landslide_tf.terrain import Grid

_SHAPES = ("polygon", "rectangle", "circle")
_CIRCLE = 32  # corners of a quarter


def read_labelme(path: str | os.PathLike[str], image: Grid) -> Shapes:
    """Reads polygons that were drawn on an image with labelme.

    Args:
        path: The JSON file.
        image: Grid of the image they were drawn on.

    Returns:
        The polygons in the system of the image.

    Raises:
        DataError: If the file is no labelme file, was drawn on an image of another
            size, or holds points or lines.

    >>> import json
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.labelme import read_labelme
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 3)
    >>> corners = [[1, 0], [3, 1]]
    >>> shape = {"label": "slide", "shape_type": "rectangle", "points": corners}
    >>> drawn = {"imageHeight": 2, "imageWidth": 3, "shapes": [shape]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.json")
    ...     _ = path.write_text(json.dumps(drawn))
    ...     shapes = read_labelme(path, grid)
    >>> shapes.classes, shapes.geometries[0].bounds
    (('slide',), (500010.0, 4599990.0, 500030.0, 4600000.0))
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        size = content["imageHeight"], content["imageWidth"]
        drawn = [(s["label"], s["shape_type"], s["points"]) for s in content["shapes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"labels `{path}` must be a labelme JSON file with `imageHeight`, "
            f"`imageWidth` and `shapes`, received: {error!r}."
        ) from error
    if size != image.shape:
        raise DataError(
            f"labels `{path}` must have been drawn on an image of {image.shape} rows "
            f"and columns, received {size}; give the image they were drawn on."
        )
    geometries = []
    for label, shape, points in drawn:
        if shape not in _SHAPES or len(points) < 2:
            raise DataError(
                f"labels `{path}` must hold polygons, received the {shape} `{label}`; "
                "remove it or draw its outline."
            )
        geometries.append(_polygon(shape, points))
    corners = np.array(geometries, dtype=object)
    placed = shapely.transform(
        corners, lambda xy: np.stack(image.transform @ (xy[:, 0], xy[:, 1]), axis=1)
    )
    return Shapes(placed, tuple(label for label, _, _ in drawn))


def _polygon(shape: str, points: Sequence[Sequence[float]]) -> Any:  # noqa: ANN401
    if shape == "rectangle":
        return shapely.box(*np.min(points, axis=0), *np.max(points, axis=0))
    if shape == "circle":
        radius = float(np.hypot(*np.subtract(points[0], points[1])))
        return shapely.Point(points[0]).buffer(radius, quad_segs=_CIRCLE)
    if len(points) < 3:
        return shapely.Point(points[0])  # burns no pixel, as a line would
    return shapely.Polygon(points)
