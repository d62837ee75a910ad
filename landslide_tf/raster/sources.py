"""From a user's files to a scene: grid, bands, elevations, labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.raster.aligned import (
    check_overlap,
    grid_of,
    open_raster,
    with_cell,
)
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.bands import (
    BandSource,
    find_bands,
    read_bands_csv,
)
from landslide_tf.raster.scene import (
    NDVI,
    Labels,
    RasterLabels,
    Scene,
)
from landslide_tf.raster.vector import Shapes, burner, read_labelme, read_shapes
from landslide_tf.terrain import Grid

BACKGROUND, LANDSLIDE = "background", "landslide"
BINARY = (BACKGROUND, LANDSLIDE)
OUTSIDE = (BACKGROUND, "ignore")

_RASTERS = (".tif", ".tiff", ".vrt", ".img", ".png", ".jp2")
_LABELS = (
    "polygons.geojson",
    "polygons.gpkg",
    "polygons.shp",
    "labels.tif",
    "labels.tiff",
    "labels.png",
    "labels.json",
)
_SCENE_KEYS = {"positive_classes", "all_touched", "outside", "sensor", "date"}


@dataclass(frozen=True)
class LabelOptions:
    """How labels are read.

    Attributes:
        classes: Class names in the order of the mask's values; `landslide` is one.
        positive: Class names, or values of a raster, that are landslides.
        outside: What pixels beyond all polygons are, `"background"` or `"ignore"`.
        all_touched: Burns every pixel a polygon touches, not those whose centre it
            covers.
        field: Attribute of polygons that holds the class.
    """

    classes: tuple[str, ...] = BINARY
    positive: tuple[str, ...] = ()
    outside: str = BACKGROUND
    all_touched: bool = False
    field: str = "class"

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


def make_scene(
    name: str,
    image: Path | Sequence[BandSource],
    *,
    bands: Sequence[str],
    factors: Sequence[str],
    numbers: Mapping[str, int] | None = None,
    gsd: float | None = None,
    dem: Path | None = None,
    ndvi: Path | None = None,
    labels: Path | None = None,
    options: LabelOptions | None = None,
    terrain: Mapping[str, Any] | None = None,
    about: Mapping[str, str] | None = None,
) -> Scene:
    """Checks a user's files and makes a scene of them; reads no pixels yet.

    Args:
        name: Id of the scene.
        image: The image, or where its bands are.
        bands: Bands of `image`, in order.
        factors: Names of the factors; `ndvi` needs a raster of it or the bands `nir`
            and `red`.
        numbers: Number of each band in the image, from 1; None = found by name.
        gsd: Cell size to bring everything to, metres; None = that of the image.
        dem: Elevation model of any grid and system.
        ndvi: Raster of the vegetation index, any grid and system.
        labels: Polygons, a raster, or a labelme file; None = no labels.
        options: How labels are read.
        terrain: Further arguments of `terrain.factors_on_grid`.
        about: Facts of the scene.

    Returns:
        The scene.

    Raises:
        DataError: If a file cannot be read or does not fit the image.
    """
    wanted = list(bands)
    if NDVI in factors and ndvi is None:
        wanted += [band for band in ("nir", "red") if band not in wanted]
    if isinstance(image, Path):
        sources = find_bands(image, wanted, numbers)
    else:
        sources = tuple(source for source in image if source.name in wanted)
    own = grid_of(sources[0].path, "image")
    grid = with_cell(own, gsd)
    if dem is not None:
        check_overlap(dem, "DEM", grid)
        AlignedDem(dem, grid, ("dem",)).close()  # refuses more than one band
    if ndvi is not None:
        check_overlap(ndvi, "NDVI", grid)
    read = None
    if labels is not None:
        read = read_labels(labels, grid, own, options or LabelOptions())
    return Scene(
        id=name,
        grid=grid,
        bands=sources,
        image=tuple(bands),
        factors=tuple(factors),
        dem=dem,
        ndvi=ndvi,
        labels=read,
        terrain=dict(terrain or {}),
        about=dict(about or {}),
    )


def read_labels(path: Path, grid: Grid, image: Grid, options: LabelOptions) -> Labels:
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
    """
    if not path.is_file():
        raise DataError(f"labels `{path}` do not exist: name a file.")
    if path.suffix.lower() in _RASTERS:
        return _raster_labels(path, grid, image, options)
    if path.suffix.lower() == ".json" and _is_labelme(path):
        shapes = read_labelme(path, image)
    else:
        shapes = read_shapes(path, grid, field=options.field)
    return burner(
        shapes,
        grid,
        _numbers(path, shapes, options),
        path=path,
        other=0 if options.classes == BINARY else None,
        outside=_outside(options),
        last=options.landslide,
        all_touched=options.all_touched,
    )


def _outside(options: LabelOptions) -> int:
    if options.outside == BACKGROUND:
        return options.classes.index(BACKGROUND)
    return IGNORE_VALUE


def _numbers(path: Path, shapes: Shapes, options: LabelOptions) -> dict[str, int]:
    """Returns the class number of each name that polygons have."""
    found = set(shapes.classes)
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
            f"{', '.join(sorted(found))}; say which are landslides with `--positive` "
            "(`positive_classes` in `scene.json`)."
        )
    return numbers


def _raster_labels(
    path: Path, grid: Grid, image: Grid, options: LabelOptions
) -> RasterLabels:
    with open_raster(path, "labels") as dataset:
        count, shape, has_place = dataset.count, dataset.shape, bool(dataset.crs)
        kind = np.dtype(dataset.dtypes[0])
    if count != 1:
        raise DataError(
            f"labels `{path}` must have one band of class values, received {count} "
            "bands; colours are no classes."
        )
    if kind.kind not in "iuf":
        raise DataError(f"labels `{path}` must hold numbers, received {kind}.")
    if has_place:
        check_overlap(path, "labels", grid)
    elif shape != image.shape:
        raise DataError(
            f"labels `{path}` must have a coordinate system or the image's "
            f"{image.shape} rows and columns, received {shape} and no system."
        )
    return RasterLabels(path, _values(path, options), None if has_place else image)


def _values(path: Path, options: LabelOptions) -> dict[int, int]:
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


def _is_labelme(path: Path) -> bool:
    try:
        return "shapes" in json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"labels `{path}` must be JSON, received: {error}; restore the file."
        ) from error


def find_scenes(
    root: Path, *, bands: Sequence[str], factors: Sequence[str]
) -> tuple[dict[str, Scene], list[str]]:
    """Finds the scenes of a folder.

    Args:
        root: The folder that holds one folder a scene.
        bands: Bands of `image`, in order.
        factors: Names of the factors.

    Returns:
        The scenes by id, and the names of folders and files that are none.

    Raises:
        DataError: If a scene's files cannot be read or do not fit each other.
    """
    scenes, ignored = {}, []
    for folder in sorted(root.iterdir()):
        images = [folder / n for n in ("image.tif", "image.tiff", "bands.csv")]
        image = next((path for path in images if path.is_file()), None)
        if image is None:
            ignored.append(folder.name)
            continue
        options, about = _scene_json(folder / "scene.json")
        wanted = [*bands, *(["nir"] if NDVI in factors else [])]
        source: Path | tuple[BandSource, ...] = image
        if image.suffix == ".csv":
            source = read_bands_csv(image, list(dict.fromkeys(wanted)))
        scenes[folder.name] = make_scene(
            folder.name,
            source,
            bands=bands,
            factors=factors,
            dem=_first(folder, ("dem.tif", "dem.tiff")),
            ndvi=_first(folder, ("ndvi.tif", "ndvi.tiff")),
            labels=_first(folder, _LABELS),
            options=options,
            about=about,
        )
    return scenes, ignored


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / n for n in names if (folder / n).is_file()), None)


def _scene_json(path: Path) -> tuple[LabelOptions, dict[str, str]]:
    """Reads `scene.json`, which may be absent."""
    options = LabelOptions()
    if not path.is_file():
        return options, {}
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"`{path}` must be a JSON object, received: {error}."
        ) from error
    if unknown := sorted(content.keys() - _SCENE_KEYS):
        raise DataError(
            f"`{path}` has an unknown key `{unknown[0]}`."
            f"{did_you_mean(unknown[0], _SCENE_KEYS)}"
        )
    options = replace(
        options,
        positive=tuple(map(str, content.get("positive_classes", ()))),
        outside=content.get("outside", BACKGROUND),
        all_touched=bool(content.get("all_touched", False)),
    )
    return options, {k: str(content[k]) for k in ("sensor", "date") if k in content}
