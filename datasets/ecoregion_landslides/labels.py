"""Labels of image pairs: polygons drawn with labelme, or pictures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from etils import epath

from landslide_tf.datasets.common.reading import read_raster, reading
from landslide_tf.errors import DataError


def read_label(path: epath.Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a label.

    Args:
        path: labelme's JSON, or a picture of which every value but 0 is landslide.
        size: Rows and columns of the image that was labelled.

    Returns:
        uint8 (H, W), 1 = landslide.

    Raises:
        DataError: If the file is broken, of another size, or has other shapes than
            polygons.
    """
    if path.suffix.lower() == ".json":
        return _burnt(path, size)
    # Of a picture with four bands the last one is alpha.
    values = read_raster(path).values[..., :3]
    if values.shape[:2] != size:
        raise DataError(
            f"`{path}` must have the size {size} of its image, received "
            f"{values.shape[:2]}; label it again."
        )
    return values.any(axis=-1).astype(np.uint8)


def _burnt(path: epath.Path, size: tuple[int, int]) -> np.ndarray:
    """Burns the polygons of a JSON: a pixel counts where its centre is inside."""
    from rasterio.features import rasterize  # too slow for `import landslide_tf`

    with reading(path, "labels of labelme"):
        content = json.loads(path.read_text())
        stated = content["imageHeight"], content["imageWidth"]
        shapes = [_polygon(shape, path) for shape in content["shapes"]]
        if stated != size:
            raise DataError(
                f"`{path}` must label an image of {size}, received labels for one of "
                f"{stated}; label it again."
            )
        if not shapes:
            return np.zeros(size, np.uint8)
        return rasterize(shapes, out_shape=size, fill=0, default_value=1, dtype="uint8")


def _polygon(shape: dict[str, Any], path: epath.Path) -> dict[str, Any]:
    """Makes a geometry of one of labelme's shapes, whatever its label."""
    kind = shape.get("shape_type", "polygon")
    points = np.asarray(shape["points"], np.float64)
    if kind != "polygon" or points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"`{path}` must hold polygons, received a `{kind}`.")
    if len(points) < 3 or not np.isfinite(points).all():
        raise DataError(
            f"`{path}` must hold polygons of three corners or more, received "
            f"{points.tolist()}."
        )
    return {"type": "Polygon", "coordinates": [[*points.tolist(), points[0].tolist()]]}
