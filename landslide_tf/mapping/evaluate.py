"""A map against polygons or a raster of what is there."""

from __future__ import annotations

import contextlib
import itertools
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import ObjectCounts, label_objects, object_counts
from landslide_tf.objects.scores import Match
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import (
    Window,
    grid_of,
    open_raster,
    row_areas,
    stored_grid,
)
from landslide_tf.raster.labels import LabelOptions, LabelReader, read_labels
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.masks import MaskFiles, MaskReader, read_masks
from landslide_tf.raster.vector import Burner
from landslide_tf.terrain import Grid

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

    >>> from landslide_tf.mapping import SizeClass
    >>> row = SizeClass(smallest=1e3, largest=1e4, number=8, found=6)
    >>> row.found / row.number
    0.75
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
        ignored: Pixels without a class in the map or the reference, or masked.
        masked: By which files, as `MaskFiles.tags`.
        taken: A line on each vector file: which layer and field of it were taken.

    >>> from landslide_tf.mapping import MapEvaluation
    >>> from landslide_tf.metrics import ConfusionAccumulator
    >>> scores = ConfusionAccumulator(2).scores(class_names=("other", "landslide"))
    >>> MapEvaluation(scores, objects={}, sizes=(), ignored=7).as_dict()["ignored"]
    7
    """

    scores: Scores
    objects: dict[Match, ObjectCounts]
    sizes: tuple[SizeClass, ...]
    ignored: int
    masked: Mapping[str, str] = field(default_factory=dict)
    taken: tuple[str, ...] = ()

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
            **({"masked": dict(self.masked)} if self.masked else {}),
        }


def evaluate_map(
    path: str | Path,
    reference: str | Path,
    *,
    positive: Sequence[str] = (),
    outside: str = "background",
    landslide_class: int | None = None,
    masks: MaskFiles | None = None,
    layer: str | None = None,
    class_field: str | None = None,
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
        masks: Which pixels count; None = all. For ground that the model was not trained
            on, `MaskFiles("prepared/ground/test.geojson")` of `prepare`.
        layer: Layer of the reference's polygons; None = the only one.
        class_field: Attribute of them that holds the class; None = `class`, if there.

    Returns:
        The evaluation.

    Raises:
        DataError: If a file cannot be read, they share no ground, no pixel has a class
            in both, or a value is no class.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping import evaluate_map
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> values[0, 2:6, 1:6] = 1
    >>> layer = Layer("uint8", 255, ["class"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, reference = Path(folder, "map.tif"), Path(folder, "reference.tif")
    ...     write_plain(path, grid, layer, [(0, values)])
    ...     write_plain(reference, grid, layer, [(0, np.roll(values, 1, axis=2))])
    ...     found = evaluate_map(path, reference, landslide_class=1)
    >>> found.scores.matrix.tolist(), found.objects["iou"].tp
    ([[40, 4], [4, 16]], 1)
    """
    from landslide_tf.metrics import ConfusionAccumulator, warn_of_one_class

    counted = ConfusionAccumulator(2, IGNORE_VALUE)
    landslide = read_legend(path).landslide_value(path, landslide_class)
    grid = grid_of(path, "map")
    options = LabelOptions(
        positive=tuple(positive), outside=outside, field=class_field, layer=layer
    )
    labels = read_labels(Path(reference), grid, grid, options)
    with open_raster(path, "map") as dataset:
        stored = stored_grid(dataset)
    counting = read_masks(masks or MaskFiles(), grid, stored)
    taken = [labels.taken] if isinstance(labels, Burner) else []
    taken += [counting.taken] if counting is not None else []
    truth, predicted, ignore = (np.zeros(grid.shape, bool) for _ in range(3))
    with (
        contextlib.closing(AlignedRaster(path, "map", grid)) as classes,
        contextlib.closing(LabelReader(labels, grid)) as reader,
        MaskReader(counting, grid) as mask_reader,
    ):
        for window in _rows_of(grid):
            rows = slice(window.row, window.row + window.height)
            (values,), known = classes.read(window)
            predicted[rows] = (values == landslide) & known
            wanted = reader.read(window)
            wanted[~(known & mask_reader.read(window).counts)] = IGNORE_VALUE
            truth[rows], ignore[rows] = wanted == 1, wanted == IGNORE_VALUE
            counted.update(wanted, predicted[rows].astype(np.uint8))
    _check_defined(path, reference, truth, predicted, ignore)
    scores = counted.scores(class_names=("other", "landslide"))
    if truth.any():  # else it has been warned of
        warn_of_one_class(scores, f"the reference `{reference}`")
    objects = {
        rule: object_counts(truth, predicted, match=rule, ignore=ignore)
        for rule in get_args(Match)
    }
    return MapEvaluation(
        scores=scores,
        objects=objects,
        sizes=_by_size(truth, predicted & ~ignore, grid),
        ignored=int(ignore.sum()),
        masked=(masks or MaskFiles()).tags(),
        taken=tuple(filter(None, taken)),
    )


def _check_defined(
    path: str | Path,
    reference: str | Path,
    truth: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    ignore: NDArray[np.bool_],
) -> None:
    """Refuses a comparison of nothing; warns of scores that have no value."""
    if ignore.all():
        raise DataError(
            f"map `{path}` and reference `{reference}` must have a class at the same "
            "pixels, received none that both have: check `--within`, `--mask`, "
            "`--outside` and what both files hold there."
        )
    if not truth.any():
        warnings.warn(
            f"the reference `{reference}` holds no landslide where it is compared: "
            "recall has no value (nan) and says nothing of the map; check "
            "`--positive`.",
            stacklevel=3,
        )
    if not (predicted & ~ignore).any():
        warnings.warn(
            f"the map `{path}` holds no landslide where it is compared: precision has "
            "no value (nan); check `--landslide-class`.",
            stacklevel=3,
        )


def _rows_of(grid: Grid) -> Iterator[Window]:
    """Yields whole rows of a grid, some hundred at a time."""
    for row in range(0, grid.height, _ROWS):
        yield Window(row, 0, min(_ROWS, grid.height - row), grid.width)


def _by_size(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], grid: Grid
) -> tuple[SizeClass, ...]:
    labels, number = label_objects(truth)
    inside = np.nonzero(labels)
    of, weights = labels[inside], row_areas(grid)[inside[0]]
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
    """Writes an evaluation as JSON.

    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.mapping import MapEvaluation, write_evaluation
    >>> from landslide_tf.metrics import ConfusionAccumulator
    >>> scores = ConfusionAccumulator(2).scores(class_names=("other", "landslide"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "evaluation.json")
    ...     write_evaluation(MapEvaluation(scores, {}, (), ignored=7), path)
    ...     json.loads(path.read_text())["ignored"]
    7
    """
    with atomic_path(path) as temporary:
        text = json.dumps(evaluation.as_dict(), indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
