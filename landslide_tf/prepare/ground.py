"""Where the splits of a prepared data set lie on the ground."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer

from landslide_tf.datasets.landslide_scenes.plan import Plan
from landslide_tf.raster.tiles import Tile
from landslide_tf.terrain import Grid

GROUND = "ground"
_DEGREES = 4326
# A straight edge on the grid is curved in degrees, by next to nothing over some cells.
_CELLS = 8


def write_ground(plan: Plan, folder: Path) -> None:
    """Writes `ground/<split>.geojson` with the ground that each split's tiles cover.

    A map of the same scenes can then be scored where its model was not trained.

    Args:
        plan: Scenes and tiles.
        folder: Folder of the data set.
    """
    (folder / GROUND).mkdir()
    for split, tiles in plan.tiles.items():
        features = [
            {
                "type": "Feature",
                "properties": {"scene": name, "split": split},
                "geometry": shapely.geometry.mapping(
                    _covered([t for t in tiles if t.scene == name], scene.grid)
                ),
            }
            for name, scene in plan.scenes.items()
            if any(tile.scene == name for tile in tiles)
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (folder / GROUND / f"{split}.geojson").write_text(text, encoding="utf-8")


def _covered(tiles: Sequence[Tile], grid: Grid) -> Any:  # noqa: ANN401 - shapely's
    """Returns the union of tiles, in degrees."""
    places = {(tile.row, tile.column, tile.size) for tile in tiles}
    rows, columns, sizes = np.array(sorted(places)).T
    boxes = shapely.box(columns, rows, columns + sizes, rows + sizes)
    union = shapely.segmentize(shapely.union_all(boxes), _CELLS)
    move = Transformer.from_crs(
        CRS.from_wkt(grid.crs.to_wkt()), CRS.from_epsg(_DEGREES), always_xy=True
    ).transform
    return shapely.transform(
        union,
        lambda xy: np.stack(move(*(grid.transform @ (xy[:, 0], xy[:, 1]))), axis=1),
    )
