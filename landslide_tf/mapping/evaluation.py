"""A map against polygons or a raster of what is there."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import ObjectCounts, label_objects, object_counts
from landslide_tf.objects.scores import Match
from landslide_tf.raster.aligned import (
    AlignedRaster,
    Window,
    open_raster,
    stored_grid,
)
from landslide_tf.raster.scene import RasterLabels
from landslide_tf.raster.sources import LabelOptions, read_labels
from landslide_tf.raster.vector import burner, read_shapes
from landslide_tf.terrain import Grid, cell_size

if TYPE_CHECKING:
    from landslide_tf.metrics import Scores

SIZES = (1e3, 1e4, 1e5)
"""Areas in m² between the size classes of landslides."""

_ROWS = 512
_COVERED = 0.5


@dataclass(frozen=True)
class SizeClass:
    """How many of the reference's landslides of one size were found.

    Attributes:
        smallest: Area from which the class holds, m².
        largest: Area below which it holds, m²; None = no limit.
        number: Landslides of the reference.
        found: Those that the map covers by half or more.
    """

    smallest: float
    largest: float | None
    number: int
    found: int


@dataclass(frozen=True)
class MapEvaluation:
    """How good a map is.

    Attributes:
        scores: Pixel scores of `other` and `landslide`.
        objects: Counts of 8-connected objects of at least 16 pixels, by rule.
        sizes: Found landslides by size.
        ignored: Pixels without a class in the map or the reference.
    """

    scores: Scores
    objects: dict[Match, ObjectCounts]
    sizes: tuple[SizeClass, ...]
    ignored: int

    def as_dict(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        return {
            "pixels": self.scores.as_dict(),
            "objects": {
                rule: {
                    "tp": counts.tp,
                    "fp": counts.fp,
                    "fn": counts.fn,
                    **counts.scores().as_dict(),
                }
                for rule, counts in self.objects.items()
            },
            "sizes": [vars(row) for row in self.sizes],
            "ignored": self.ignored,
        }


def evaluate_map(
    path: str | Path,
    reference: str | Path,
    *,
    positive: Sequence[str] = (),
    outside: str = "background",
    landslide_class: int | None = None,
    within: str | Path | None = None,
) -> MapEvaluation:
    """Compares a class map with polygons or a raster of landslides.

    Pixels without a class in the map or the reference count nowhere. Objects are
    matched on the whole scene, see `objects.object_counts`.

    Args:
        path: Class map, as `map_scene` writes it.
        reference: Polygons, or a raster of any grid: 1 is landslide, 0 is not.
        positive: Class names of the polygons, or values of the raster, that are
            landslides.
        outside: What pixels beyond all polygons are, `"background"` or `"ignore"`.
        landslide_class: The map's landslide value; None = as the map says.
        within: Polygons; what lies outside of them counts nowhere. For ground that the
            model was not trained on, `ground/test.geojson` of `prepare`.

    Returns:
        The evaluation.

    Raises:
        DataError: If a file cannot be read, they share no ground, or a value is no
            class.
    """
    from landslide_tf.metrics import ConfusionAccumulator

    counted = ConfusionAccumulator(2, IGNORE_VALUE)
    with open_raster(path, "map") as dataset:
        stored, landslide = stored_grid(dataset), landslide_class
        if landslide is None:
            landslide = landslide_value(dataset.tags(), path)
        if dataset.count != 1 or dataset.dtypes[0] != "uint8":
            raise DataError(
                f"map `{path}` must have one band of classes (uint8), received "
                f"{dataset.count} of {dataset.dtypes[0]}: name the class map."
            )
        grid, back = upright_of(stored, path)
        truth, predicted, ignore = (np.zeros(grid.shape, bool) for _ in range(3))
        options = LabelOptions(positive=tuple(positive), outside=outside)
        counts_at = _inside(within, grid)
        with _reading(Path(reference), grid, options) as labels_of:
            for window in row_windows(grid):
                place = window.row
                if back[0].step == -1:
                    place = grid.height - window.row - window.height
                box = RasterWindow(0, place, window.width, window.height)
                classes = dataset.read(1, window=box)[back]
                known = dataset.read_masks(1, window=box)[back] > 0
                labels = labels_of(window)
                labels[~(known & counts_at(window))] = IGNORE_VALUE
                rows = slice(window.row, window.row + window.height)
                truth[rows] = labels == 1
                predicted[rows] = (classes == landslide) & known
                ignore[rows] = labels == IGNORE_VALUE
                counted.update(labels, predicted[rows].astype(np.uint8))
    objects = {
        rule: object_counts(truth, predicted, match=rule, ignore=ignore)
        for rule in get_args(Match)
    }
    return MapEvaluation(
        scores=counted.scores(class_names=("other", "landslide")),
        objects=objects,
        sizes=_by_size(truth, predicted & ~ignore, grid),
        ignored=int(ignore.sum()),
    )


def landslide_value(tags: dict[str, str], path: str | Path) -> int:
    """Returns the landslide value that a map's tags name.

    Raises:
        DataError: If the map does not say.
    """
    try:
        return int(tags["LANDSLIDE_CLASS"])
    except (KeyError, ValueError) as error:
        raise DataError(
            f"map `{path}` does not say which value is landslide: give it with "
            "`--landslide-class`."
        ) from error


def upright_of(grid: Grid, path: str | Path) -> tuple[Grid, tuple[slice, slice]]:
    """Returns a map's grid with north up, and the way between both."""
    if grid.crs is None:
        raise DataError(
            f"map `{path}` must have a coordinate reference system, received none."
        )
    return grid.upright()


def row_windows(grid: Grid) -> Iterator[Window]:
    """Yields whole rows of a grid, some hundred at a time."""
    for row in range(0, grid.height, _ROWS):
        yield Window(row, 0, min(_ROWS, grid.height - row), grid.width)


@contextlib.contextmanager
def _reading(
    path: Path, grid: Grid, options: LabelOptions
) -> Iterator[Callable[[Window], NDArray[np.uint8]]]:
    """Gives a function that reads the reference's labels of a window."""
    labels = read_labels(path, grid, grid, options)
    if not isinstance(labels, RasterLabels):
        yield labels.read
        return
    raster = AlignedRaster(
        path,
        "reference",
        grid,
        kernel="nearest",
        values=list(labels.numbers),
        placed=labels.placed,
    )
    try:
        yield lambda window: labels.convert(*_one_band(raster.read(window)))
    finally:
        raster.close()


def _inside(
    path: str | Path | None, grid: Grid
) -> Callable[[Window], NDArray[np.bool_]]:
    """Gives a function that says which pixels of a window lie in polygons."""
    if path is None:
        return lambda window: np.ones((window.height, window.width), bool)
    shapes = read_shapes(path, grid)
    numbers = dict.fromkeys(shapes.classes, 1)
    inside = burner(shapes, grid, numbers, path=path, other=None, outside=0, last=1)
    return lambda window: inside.read(window) == 1


def _one_band(
    found: tuple[NDArray[Any], NDArray[np.bool_]],
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return found[0][0], found[1]


def _by_size(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], grid: Grid
) -> tuple[SizeClass, ...]:
    labels, number = label_objects(truth)
    east, north = (np.broadcast_to(s, grid.height) for s in cell_size(grid))
    inside = np.nonzero(labels)
    of, weights = labels[inside], (east * north)[inside[0]]
    areas = np.bincount(of, weights, minlength=number + 1)[1:]
    covered = np.bincount(of, weights * predicted[inside], minlength=number + 1)[1:]
    found = covered >= _COVERED * areas
    edges = (0.0, *SIZES, np.inf)
    rows = []
    for low, high in itertools.pairwise(edges):
        here = (areas >= low) & (areas < high)
        limit = None if np.isinf(high) else high
        rows.append(SizeClass(low, limit, int(here.sum()), int(found[here].sum())))
    return tuple(rows)


def write_evaluation(evaluation: MapEvaluation, path: Path) -> None:
    """Writes an evaluation as JSON."""
    with atomic_path(path) as temporary:
        text = json.dumps(evaluation.as_dict(), indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
