"""A map against polygons or a raster of what is there."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from landslide_tf.array_types import IntArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, warn
from landslide_tf.files import write_text
from landslide_tf.mapping.reference import Reference
from landslide_tf.objects import ObjectCounts
from landslide_tf.objects.scores import Match
from landslide_tf.objects.strips import Mask, StripLabels, compare_strips
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import grid_of, row_areas, rows_of, stored_grid_of
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.masks import MaskFiles
from landslide_tf.terrain import Grid

if TYPE_CHECKING:
    from landslide_tf.metrics import Scores

SIZES = (1e3, 1e4, 1e5)
"""Areas in m² between the size classes of landslides."""

_COVERED = 0.5


@dataclass(frozen=True)
class SizeClass:
    """Number of reference landslides of one size class, and how many were found.

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
    """Scores of a map.

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
    matched on the whole scene, see `objects.object_counts`. Both are read strip by
    strip, several times: memory grows with the objects, not with the pixels.

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
    grid, masks = grid_of(path, "map"), masks or MaskFiles()
    options = LabelOptions(
        positive=tuple(positive), outside=outside, field=class_field, layer=layer
    )
    stored = stored_grid_of(path, "map")
    with (
        Reference(reference, grid, options, masks, stored=stored) as there,
        contextlib.closing(AlignedRaster(path, "map", grid)) as classes,
    ):

        def compared() -> Iterator[tuple[Mask, Mask, Mask]]:
            for window in rows_of(grid.shape):
                truth, ignored = there.read(window)
                (values,), known = classes.read(window)
                counts = known & ~ignored
                yield truth & counts, (values == landslide) & counts, ~counts

        ignored = 0
        for truth, predicted, ignore in compared():
            wanted = np.where(ignore, IGNORE_VALUE, truth).astype(np.uint8)
            counted.update(wanted, predicted.astype(np.uint8))
            ignored += int(ignore.sum())
        scores = counted.scores(class_names=("other", "landslide"))
        _check_defined(path, reference, counted.matrix)
        if counted.matrix[1].any():  # else it has been warned of
            warn_of_one_class(scores, f"the reference `{reference}`")
        (pixels,), (overlaps,), labels = compare_strips(
            lambda: ((truth, [predicted]) for truth, predicted, _ in compared()), 1
        )
        sizes = _by_size(labels, compared(), grid)
    return MapEvaluation(
        scores=scores,
        objects={
            rule: pixels if rule == "pixel" else overlaps.counts(rule)
            for rule in get_args(Match)
        },
        sizes=sizes,
        ignored=ignored,
        masked=masks.tags(),
        taken=there.taken,
    )


def _check_defined(path: str | Path, reference: str | Path, matrix: IntArray) -> None:
    """Refuses a comparison of nothing; warns of scores that have no value."""
    if not matrix.any():
        raise DataError(
            f"map `{path}` and reference `{reference}` must have a class at the same "
            "pixels, received none that both have: check `--within`, `--mask`, "
            "`--outside` and what both files hold there."
        )
    if not matrix[1].any():
        warn(
            f"the reference `{reference}` holds no landslide where it is compared: "
            "recall has no value (nan) and says nothing of the map; check "
            "`--positive`.",
        )
    if not matrix[:, 1].any():
        warn(
            f"the map `{path}` holds no landslide where it is compared: precision has "
            "no value (nan); check `--landslide-class`.",
        )


def _by_size(
    labels: StripLabels, strips: Iterable[tuple[Mask, Mask, Mask]], grid: Grid
) -> tuple[SizeClass, ...]:
    areas, covered = np.zeros((2, labels.number + 1))
    cells, row = row_areas(grid), 0
    for strip, (truth, predicted, _) in enumerate(strips):
        own = labels.labels(strip, truth)
        inside = np.nonzero(own)
        weights = cells[row + inside[0]]
        areas += np.bincount(own[inside], weights, minlength=len(areas))
        weights = weights * predicted[inside]
        covered += np.bincount(own[inside], weights, minlength=len(areas))
        row += len(truth)
    found = covered[1:] >= _COVERED * areas[1:]
    edges = (0.0, *SIZES, np.inf)
    rows = []
    for low, high in itertools.pairwise(edges):
        here = (areas[1:] >= low) & (areas[1:] < high)
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
    write_text(path, json.dumps(evaluation.as_dict(), indent=2) + "\n")
