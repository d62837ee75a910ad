"""Labels of any kind, polygons or rasters, as class numbers on a grid."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, rows_of
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.labelme import read_labelme
from landslide_tf.raster.names import FilePath, is_remote, short_name
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.vector import Burner, Shapes, read_shapes
from landslide_tf.terrain import Grid

BACKGROUND, LANDSLIDE = "background", "landslide"
BINARY = (BACKGROUND, LANDSLIDE)
OUTSIDE = (BACKGROUND, "ignore")

_RASTERS = (".tif", ".tiff", ".vrt", ".img", ".png", ".jp2")


@dataclass(frozen=True)
class LabelOptions:
    """How labels are read.

    Attributes:
        classes: Class names in the order of the mask's values; `landslide` is one.
        positive: Class names, or values of a raster, that are landslides.
        outside: What pixels beyond all polygons are, `"background"` or `"ignore"`.
        all_touched: Burns every pixel a polygon touches, not those whose centre it
            covers.
        field: Attribute of polygons that holds the class; None = `class`, if there.
        layer: Layer of polygons; None = the only one.

    >>> from landslide_tf.raster.labels import LabelOptions
    >>> LabelOptions(("background", "landslide", "water")).landslide
    1
    """

    classes: tuple[str, ...] = BINARY
    positive: tuple[str, ...] = ()
    outside: str = BACKGROUND
    all_touched: bool = False
    field: str | None = None
    layer: str | None = None

    def __post_init__(self) -> None:
        """Refuses options that do not fit each other."""
        if LANDSLIDE not in self.classes or len(set(self.classes)) < len(self.classes):
            raise DataError(
                f"Expected `classes` as different names with `{LANDSLIDE}` among them, "
                f"received {', '.join(self.classes)}; the polygons' own names for it "
                "go into `positive`."
            )
        if self.outside not in OUTSIDE:
            raise DataError(
                f"`outside` cannot be `{self.outside}`."
                f"{did_you_mean(self.outside, OUTSIDE)}"
            )
        if self.outside == BACKGROUND and BACKGROUND not in self.classes:
            raise DataError(
                f"Expected `{BACKGROUND}` among the classes, received "
                f"{', '.join(self.classes)}: pixels beyond all polygons need a class; "
                "add it or set `outside` to `ignore`."
            )

    @property
    def landslide(self) -> int:
        """Number of the landslide class."""
        return self.classes.index(LANDSLIDE)


@dataclass(frozen=True)
class RasterLabels:
    """Labels in a raster of class values.

    Attributes:
        path: The file, any grid.
        numbers: Class number by stored value, 0 to 255.
        placed: Grid of a file that has no CRS.

    >>> from pathlib import Path
    >>> from landslide_tf.raster.labels import RasterLabels
    >>> RasterLabels(Path("labels.tif"), {0: 0, 7: 1}).numbers[7]
    1
    """

    path: FilePath
    numbers: Mapping[int, int]
    placed: Grid | None = None


Labels = RasterLabels | Burner


class LabelReader:
    """Reads windows of labels; an instance belongs to one thread.

    Args:
        labels: The labels; None = nothing is known.
        grid: The grid to read on, that of a `Burner` itself.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.labels import LabelReader, RasterLabels
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 2)
    >>> path = Path("/vsimem/labels.tif")  # a file in memory
    >>> stored = np.array([[[0, 7], [7, 255]]], np.uint8)
    >>> write_plain(path, grid, Layer("uint8", 255, ["class"]), [(0, stored)])
    >>> reader = LabelReader(RasterLabels(path, {0: 0, 7: 1}), grid)
    >>> reader.read(Window(0, 0, 2, 2)).tolist()
    [[0, 1], [1, 255]]
    >>> reader.close()
    """

    def __init__(self, labels: Labels | None, grid: Grid) -> None:
        self._labels = labels
        self._raster: AlignedRaster | None = None
        if isinstance(labels, RasterLabels):
            values = labels.numbers.keys()
            self._raster = AlignedRaster(
                labels.path, "labels", grid, kernel="nearest", values=values,
                placed=labels.placed,
            )  # fmt: skip
            self._table = np.full(256, -1, np.int16)
            self._table[list(values)] = list(labels.numbers.values())

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Returns class numbers, uint8 (h, w), 255 where no value is known.

        Raises:
            DataError: If the file is truncated or corrupt, or a value is no class.
        """
        if isinstance(self._labels, Burner):
            return self._labels.read(window)
        if self._raster is None or self._labels is None:
            return np.full((window.height, window.width), IGNORE_VALUE, np.uint8)
        (values,), known = self._raster.read(window)
        whole = np.where(known, values, 0)
        fits = (whole >= 0) & (whole <= 255) & (whole == np.floor(whole))
        numbers = self._table[np.where(fits, whole, 0).astype(np.uint8)]
        wrong = known & (~fits | (numbers < 0))
        if wrong.any():
            listed = ", ".join(map(str, sorted(self._labels.numbers)))
            raise DataError(
                f"labels `{self._labels.path}` must hold the values {listed}, received "
                f"{values[wrong][0]:g}; name the landslide's value with `--positive`."
            )
        return np.where(known, numbers, IGNORE_VALUE).astype(np.uint8)

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._raster is not None:
            self._raster.close()


def read_labels(
    path: FilePath, grid: Grid, image: Grid, options: LabelOptions
) -> Labels:
    """Opens labels of any kind.

    Args:
        path: Polygons, a raster of classes, or a labelme file.
        grid: The grid to read on.
        image: Grid of the image file.
        options: How to read them.

    Returns:
        The labels.

    Raises:
        DataError: If the file cannot be read, a class is not known, or it lies
            elsewhere.

    >>> import json
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.labels import LabelOptions, LabelReader, read_labels
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 3)
    >>> corners = [[1, 0], [3, 1]]
    >>> shape = {"label": "slide", "shape_type": "rectangle", "points": corners}
    >>> drawn = {"imageHeight": 2, "imageWidth": 3, "shapes": [shape]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.json")
    ...     _ = path.write_text(json.dumps(drawn))
    ...     labels = read_labels(path, grid, grid, LabelOptions(positive=("slide",)))
    >>> LabelReader(labels, grid).read(Window(0, 0, 2, 3)).tolist()
    [[0, 1, 1], [0, 0, 0]]
    """
    remote = is_remote(path)
    if not (remote or os.path.isfile(path)):
        raise DataError(f"labels `{path}` do not exist: name a file.")
    kind = os.path.splitext(short_name(path))[1].lower()
    drawn = kind == ".json" and not remote and _is_labelme(path)
    if drawn or kind in _RASTERS:
        _check_no_choice(path, "labelme file" if drawn else "raster", options)
    if kind in _RASTERS:
        return _raster_labels(path, grid, image, options)
    if drawn:
        shapes = read_labelme(path, image)
    else:
        shapes = read_shapes(
            path, grid, layer=options.layer, field=options.field, empty=True
        )
    if not len(shapes) and options.outside != BACKGROUND:
        raise DataError(
            f"labels `{path}` must hold polygons, received none: where pixels beyond "
            "polygons have no label, they say nothing; leave the scene out, or set "
            "`outside` to `background`."
        )
    return _burner(path, shapes, grid, options)


def _check_no_choice(path: FilePath, kind: str, options: LabelOptions) -> None:
    """Refuses a layer and a field for what has none."""
    for name, value in (("--layer", options.layer), ("--class-field", options.field)):
        if value is not None:
            raise DataError(
                f"labels `{path}` must be a vector file for `{name} {value}`, received "
                f"a {kind}; leave the option out."
            )


def _burner(
    path: FilePath, shapes: Shapes, grid: Grid, options: LabelOptions
) -> Burner:
    """Gives shapes their class numbers; the landslide wins where they overlap."""
    numbers = _numbers(path, shapes, options)
    values = np.empty(len(shapes), np.uint8)
    for k, name in enumerate(shapes.classes):
        number = numbers.get(name, 0 if options.classes == BINARY else None)
        if number is None:
            raise DataError(
                f"labels `{path}` must hold known classes, received `{name}`."
                f"{did_you_mean(name, numbers)}"
            )
        values[k] = number
    outside = IGNORE_VALUE
    if options.outside == BACKGROUND:
        outside = options.classes.index(BACKGROUND)
    order = np.argsort(values == options.landslide, kind="stable")
    geometries = shapes.geometries[order]
    return Burner(
        grid, geometries, values[order], outside, options.all_touched, shapes.taken
    )


def _numbers(path: FilePath, shapes: Shapes, options: LabelOptions) -> dict[str, int]:
    """Returns the class number of each name that polygons have."""
    found = set(shapes.classes)
    if not len(shapes):  # an inventory of ground where nothing has slid
        return {}
    for name in options.positive:
        if name not in found:
            raise DataError(
                f"labels `{path}` must hold the class `{name}`, which is to be the "
                f"landslide, received none of it.{did_you_mean(name, found)}"
            )
    numbers = {name: k for k, name in enumerate(options.classes)}
    numbers |= dict.fromkeys(options.positive, options.landslide)
    if not any(found):  # the file names no classes
        numbers[""] = options.landslide
    elif not any(numbers.get(name) == options.landslide for name in found):
        raise DataError(
            f"labels `{path}` must hold a class `{LANDSLIDE}`, received "
            f"{', '.join(sorted(found))}; say which are landslides with "
            "`--positive`."
        )
    return numbers


def _raster_labels(
    path: FilePath, grid: Grid, image: Grid, options: LabelOptions
) -> RasterLabels:
    with open_raster(path, "labels") as dataset:
        count, shape, has_place = dataset.count, dataset.shape, bool(dataset.crs)
        kind: np.dtype[Any] = np.dtype(dataset.dtypes[0])
        unlabelled = not options.positive and count == 1 and _only_unlabelled(dataset)
    if count != 1:
        raise DataError(
            f"labels `{path}` must have one band of class values, received {count} "
            "bands; colours are no classes."
        )
    if kind.kind not in "iuf":
        raise DataError(f"labels `{path}` must hold numbers, received {kind}.")
    if unlabelled:
        raise DataError(
            f"labels `{path}` must hold the value {options.landslide} of the landslide,"
            " received only 0 and 255 (no label): did you mean `--positive 255`?"
        )
    if has_place:
        check_overlap(path, "labels", grid)
    elif shape != image.shape:
        raise DataError(
            f"labels `{path}` must have a coordinate system or the image's "
            f"{image.shape} rows and columns, received {shape} and no system."
        )
    return RasterLabels(path, _values(path, options), None if has_place else image)


def _only_unlabelled(dataset: DatasetReader) -> bool:
    """Says whether all values are 0 or 255, some are 255, and no tag explains them.

    Ends at the first other value: a mask with landslides is not read to its end.
    """
    if dataset.nodata == IGNORE_VALUE:
        return False
    some = False
    for window in rows_of(dataset.shape):
        values = dataset.read(1, window=window.box)
        no_label = values == IGNORE_VALUE
        if not ((values == 0) | no_label | (values != values)).all():
            return False
        some = some or bool(no_label.any())
    return some


def _values(path: FilePath, options: LabelOptions) -> dict[int, int]:
    """Returns the class number of each value that a raster may hold."""
    if not options.positive:
        numbers = {k: k for k in range(len(options.classes))}
        return numbers | {IGNORE_VALUE: IGNORE_VALUE}
    try:
        positive = [int(value) for value in options.positive]
    except ValueError as error:
        raise DataError(
            f"labels `{path}` are a raster: `positive` must name its values, received "
            f"`{', '.join(options.positive)}`."
        ) from error
    rest = 0 if BACKGROUND in options.classes else IGNORE_VALUE
    numbers = dict.fromkeys(range(IGNORE_VALUE), rest) | {IGNORE_VALUE: IGNORE_VALUE}
    return numbers | dict.fromkeys(positive, options.landslide)


def _is_labelme(path: FilePath) -> bool:
    try:
        return "shapes" in json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"labels `{path}` must be JSON, received: {error}; restore the file."
        ) from error
