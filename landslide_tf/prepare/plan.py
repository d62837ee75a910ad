"""Which tiles of a user's own scenes make which split."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from landslide_tf.datasets.common.patches import Patch
from landslide_tf.datasets.common.sampling import SamplingMethod
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.landslide_scenes.plan import Plan, ranges_of, split_tiles
from landslide_tf.datasets.landslide_scenes.tiles import (
    Tile,
    TileSizeError,
    grid_tiles,
    grid_windows,
    survey,
)
from landslide_tf.errors import DataError, check_choice, did_you_mean
from landslide_tf.metadata import Terrain
from landslide_tf.prepare.pool import (
    Patches,
    patches_of,
    point_pool,
    sampled,
    superpixel_pool,
)
from landslide_tf.progress import with_progress
from landslide_tf.raster.bands import COLOURS, known_bands
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.masks import MaskFiles
from landslide_tf.raster.scaling import are_tagged
from landslide_tf.raster.scene import NDVI, Scene, make_scene
from landslide_tf.raster.systems import ground_system
from landslide_tf.raster.vector import Burner, Shapes, read_shapes

Found = Mapping[str, tuple[Scene, Shapes | None]]
"""Scenes by name, with the points given for each."""

_TERRAIN = ("slope", "aspect")
# Sizes of tiles that are tried where the wanted one does not fit: three zones with two
# gaps between take five tiles, and with few labels smaller ones.
_ZONES_AND_GAPS, _SHARES, _MULTIPLE = 5, (1.0, 0.75, 0.5, 0.25), 8


@dataclass(frozen=True)
class Inputs:
    """Files of a scene.

    Attributes:
        image: GeoTIFF with CRS; red, green and blue found by name or order.
        labels: Polygons (GeoJSON, GeoPackage, shapefile), a raster of class values,
            or a labelme file.
        dem: Elevation model, any grid and system, one file or tiles.
        ndvi: Vegetation index, any grid and system; else of near infrared and red.
        points: Where landslides are known to be; tiles around them join training.
        layer: Layer of the labels' polygons; None = the only one.
        points_layer: Layer of the points; None = the only one.
        nodata: Number that stands for no data in the image; None = as it tags.
        masks: Which pixels count; None = all.

    >>> from pathlib import Path
    >>> from landslide_tf.prepare import Inputs
    >>> from landslide_tf.raster.dem import DemFiles
    >>> dem = DemFiles("dem.tif", unit="foot")
    >>> Inputs(Path("image.tif"), Path("labels.gpkg"), dem=dem).dem.paths
    ('dem.tif',)
    """

    image: Path
    labels: Path
    dem: DemFiles | None = None
    ndvi: Path | None = None
    points: Path | None = None
    layer: str | None = None
    points_layer: str | None = None
    nodata: float | None = None
    masks: MaskFiles | None = None

    @property
    def read(self) -> list[str]:
        """The names of all files that are read."""
        given = (self.image, self.labels, self.ndvi, self.points)
        elevations = () if self.dem is None else self.dem.paths
        masks = () if self.masks is None else self.masks.read
        return [
            *(str(path) for path in given if path is not None),
            *elevations,
            *map(str, masks),
        ]


@dataclass(frozen=True)
class Options:
    """How scenes become examples.

    Attributes:
        bands: Number from 1, or name, of each band in the images: these are kept and
            the recipe trains on them, in this order. Empty = red, green and blue by
            their names; near infrared is kept where all images have it.
        labels: Which polygons or values are which class.
        gsd: Cell size to bring everything to, metres; None = that of each image.
        tile: Rows and columns of a tile; also of the gaps between splits.
        stride: Rows and columns from training tile to tile, with `patches="grid"`.
        patches: `"grid"`, or `"superpixels"`: training tiles around superpixels.
        sampling: As in `multistage_sample`; training tiles only.
        seed: Seed of split and sampling.
        licence: Licence of the scenes.
        terrain: How factors are made of elevations: `derive`, `resampling`, `edges`,
            `method` and `distances` of `terrain.factors_on_grid`.
        workers: Threads that read windows; None = one a core, four at most.

    >>> from landslide_tf.prepare import Options
    >>> Options(tile=128, patches="superpixels", sampling="mus2").seed
    0
    """

    bands: Mapping[str, int | str] = field(default_factory=dict)
    labels: LabelOptions = field(default_factory=LabelOptions)
    gsd: float | None = None
    tile: int = 256
    stride: int | None = None
    patches: Patches = "grid"
    sampling: SamplingMethod = "original"
    seed: int = 0
    licence: str = "the user's own scenes"
    terrain: Mapping[str, Any] = field(default_factory=dict)
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses unknown words."""
        for name, known in (("patches", Patches), ("sampling", SamplingMethod)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise DataError(
                    f"`{name}` cannot be `{value}`."
                    f"{did_you_mean(str(value), get_args(known))}"
                )
        for name, value in self.terrain.items():
            check_choice(name, value, _how(name))


def _how(name: str) -> tuple[str, ...]:
    """Returns the words that a key of `terrain` takes."""
    check_choice("terrain", name, Terrain.model_fields)
    return get_args(Terrain.model_fields[name].annotation)


def find_inputs(inputs: Sequence[Inputs], options: Options) -> Found:
    """Checks the files of scenes; reads no pixels yet.

    Args:
        inputs: Files of each scene.
        options: How they become examples.

    Returns:
        Scene and points by name.

    Raises:
        DataError: If a file cannot be read or does not fit, two images have one name,
            or their places cannot be compared.
    """
    if not inputs:
        raise DataError("Expected at least one scene, received none; name an image.")
    bands, factors = _channels(inputs, options)
    found: dict[str, tuple[Scene, Shapes | None]] = {}
    for files in inputs:
        name = files.image.stem
        if name == "image":  # one folder a scene
            name = files.image.resolve().parent.name
        if name in found:
            raise DataError(
                f"Expected images with different names, received `{files.image}` "
                "whose name comes twice; rename it."
            )
        scene = make_scene(
            name,
            files.image,
            bands=bands,
            factors=factors,
            choice=options.bands,
            gsd=options.gsd,
            dem=files.dem,
            rasters={} if files.ndvi is None else {NDVI: files.ndvi},
            labels=files.labels,
            options=replace(options.labels, layer=files.layer or options.labels.layer),
            terrain=options.terrain,
            nodata=files.nodata,
            masks=files.masks,
        )
        points = None
        if files.points is not None:
            points = read_shapes(
                files.points,
                scene.grid,
                kind="Point",
                layer=files.points_layer,
                empty=True,
                options=("--points-layer", "--class-field"),
            )
        found[name] = (scene, points)
    scenes = [scene for scene, _ in found.values()]
    try:
        ground_system([scene.grid for scene in scenes])
    except DataError as error:
        listed = ", ".join(f"`{name}`" for name in found)
        raise DataError(f"images {listed}: {error}") from error
    _check_units(scenes)
    return found


def _check_units(scenes: Sequence[Scene]) -> None:
    """Warns where only some files say what their values stand for."""
    tagged = {scene.id: are_tagged(scene.bands) for scene in scenes}
    if len(set(tagged.values())) > 1:
        names = [
            ", ".join(f"`{name}`" for name, own in tagged.items() if own == wanted)
            for wanted in (True, False)
        ]
        warnings.warn(
            f"Images {names[0]} tag scale or offset and are brought to their unit, "
            f"images {names[1]} do not and are taken as stored: check that all are in "
            "one unit, or tag them (`gdal_edit.py -scale … -offset …`).",
            stacklevel=3,
        )


def taken_of(found: Found) -> tuple[str, ...]:
    """Returns a line on each vector file: which layer and field of it were taken."""
    labels = [scene.labels for scene, _ in found.values()]
    taken = [item.taken for item in labels if isinstance(item, Burner)]
    taken += [scene.masks.taken for scene, _ in found.values() if scene.masks]
    taken += [points.taken for _, points in found.values() if points is not None]
    return tuple(dict.fromkeys(filter(None, taken)))


def _channels(
    inputs: Sequence[Inputs], options: Options
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the bands and factors that every scene can give."""
    bands = tuple(options.bands)
    if not bands:
        known = [known_bands(files.image) for files in inputs]
        extra = [name for name in known[0] if all(name in other for other in known)]
        bands = (*COLOURS, *(name for name in extra if name not in COLOURS))
    if options.patches == "superpixels" and not set(COLOURS) <= set(bands):
        raise DataError(
            f"Superpixels are found in {', '.join(COLOURS)}, received the bands "
            f"{', '.join(bands)}: add them to `--bands`, or cut tiles by grid."
        )
    for what in ("dem", "ndvi"):
        given = [getattr(files, what) is not None for files in inputs]
        if any(given) and not all(given):
            lacking = inputs[given.index(False)].image
            raise DataError(
                f"Expected `--{what}` for all scenes or for none, received none for "
                f"`{lacking}`."
            )
    factors = _TERRAIN if inputs[0].dem is not None else ()
    if inputs[0].ndvi is not None or {"nir", "red"} <= set(bands):
        factors = (*factors, NDVI)
    return bands, factors


def make_plan(found: Found, options: Options) -> Plan:
    """Decides which tiles make which split.

    Args:
        found: Scenes and points, as from `find_inputs`.
        options: How scenes become examples.

    Returns:
        The plan.

    Raises:
        DataError: If no tile has a label.
        TileSizeError: If a split has no tile, or none of training shows a landslide; it
            names a size that fits.
    """
    try:
        return _plan(found, options)
    except TileSizeError as error:
        size = _fitting_size(found, options)
        if size is None:
            raise
        raise TileSizeError(f"{error} `--tile {size}` fits.") from error


def _fitting_size(found: Found, options: Options) -> int | None:
    """Returns a size of tiles at which every split has some, by trying a few."""
    scenes = {name: scene for name, (scene, _) in found.items()}
    longest = max(max(scene.grid.shape) for scene in scenes.values()) // _ZONES_AND_GAPS
    shortest = min(min(scene.grid.shape) for scene in scenes.values())
    largest = min(longest, shortest, options.tile - 1)
    classes, landslide = len(options.labels.classes), options.labels.landslide
    for share in _SHARES:
        size = int(largest * share) // _MULTIPLE * _MULTIPLE
        if size < 1:
            break
        surveys = [
            survey(scene, grid_windows(scene, size, size), classes)
            for scene in scenes.values()
        ]
        tiles = [tile for one in surveys for tile in one.tiles]
        with contextlib.suppress(DataError):
            parts = split_tiles(scenes, tiles, landslide, gap=size, seed=options.seed)
            if any(tile.counts[landslide] for tile in parts.tiles["train"]):
                return size
    return None


def _plan(found: Found, options: Options) -> Plan:
    scenes = {name: scene for name, (scene, _) in found.items()}
    size, classes = options.tile, len(options.labels.classes)
    surveys = [
        survey(scene, grid_windows(scene, size, size), classes, workers=options.workers)
        for scene in with_progress(scenes.values(), "Reading labels")
    ]
    tiles = [tile for one in surveys for tile in one.tiles]
    parts = split_tiles(
        scenes, tiles, options.labels.landslide, gap=size, seed=options.seed
    )
    pool = _pool(found, options, parts.tiles["train"])
    training = [
        patch
        for patch in pool
        if "train" in parts.zones[patch.id]
        and parts.zones[patch.id]["train"].holds(scenes[patch.id], _place(patch))
    ]
    if not training:
        raise TileSizeError(
            f"Expected patches in the training zone, received none of {len(pool)}; "
            "choose smaller tiles or cut by grid."
        )
    parts.tiles["train"] = sampled(training, options.sampling, options.seed)
    _check_landslides(parts.tiles, options)
    report: dict[str, Any] = {
        "scenes": sorted(scenes),
        **parts.report,
        "training_patches": len(training),
        "cutting": options.patches,
        "sampling": options.sampling,
        "masked": {n: dict(one.masks.tags) for n, one in scenes.items() if one.masks},
    }
    return Plan(scenes, parts.tiles, report, ranges_of(surveys))


def _check_landslides(parts: Mapping[str, Sequence[Tile]], options: Options) -> None:
    """Refuses training tiles without landslide; warns of others without."""
    landslide = options.labels.landslide
    lacking = [
        split
        for split in SPLITS
        if not any(tile.counts[landslide] for tile in parts[split])
    ]
    if lacking == list(SPLITS):
        raise DataError(
            "Expected landslides where the images have pixels, received none in any "
            "tile: check what the labels hold and name the landslide's class or value "
            "with `--positive`."
        )
    if "train" in lacking:
        raise TileSizeError(
            f"Expected landslides among the {len(parts['train'])} training tiles, "
            "received none; choose smaller tiles, cut by grid, or label more."
        )
    if lacking:
        warnings.warn(
            f"There are no landslides among the {' and '.join(lacking)} tiles: scores "
            "on them say nothing; choose smaller tiles or give more scenes.",
            stacklevel=2,
        )


def _pool(found: Found, options: Options, grid: list[Tile]) -> list[Patch]:
    """Returns all patches that training may draw from, inside its zone or not."""
    size, classes = options.tile, len(options.labels.classes)
    workers, scenes = options.workers, [scene for scene, _ in found.values()]
    around = [
        tile
        for scene, points in found.values()
        if points is not None
        for tile in point_pool(scene, points, size, classes, workers=workers)
    ]
    if options.patches == "superpixels":
        patches = [
            patch
            for scene in with_progress(scenes, "Finding superpixels")
            for patch in superpixel_pool(scene, size, classes, workers=workers)
        ]
        patches += patches_of(around) if around else []
    else:
        if options.stride not in (None, size):
            grid = [
                tile
                for scene in scenes
                for tile in grid_tiles(
                    scene, size, options.stride, classes, workers=workers
                )
            ]
        patches = patches_of([*grid, *around])
    places = {(patch.id, patch.row, patch.column): patch for patch in patches[::-1]}
    return [places[key] for key in sorted(places)]


def _place(patch: Patch) -> Tile:
    return Tile(patch.id, patch.row, patch.column, patch.size)
