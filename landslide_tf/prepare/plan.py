"""From a user's own scenes to a data set, a recipe and the command that trains."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import rasterio
import tensorflow_datasets as tfds
import yaml
from rich.console import Console
from rich.progress import track

from landslide_tf.datasets import landslide_scenes
from landslide_tf.datasets.landslide_scenes.landslide_scenes_dataset_builder import (
    PREPARED,
)
from landslide_tf.datasets.landslide_scenes.plan import Plan, drop_unlabelled, ranges_of
from landslide_tf.datasets.landslide_scenes.zones import SPLITS, assign, zones_of
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.files import atomic_folder
from landslide_tf.prepare.ground import write_ground
from landslide_tf.prepare.patches import Patch
from landslide_tf.prepare.pool import (
    COLOURS,
    Cutting,
    patches_of,
    point_pool,
    sampled,
    superpixel_pool,
)
from landslide_tf.prepare.recipe import recipe_of
from landslide_tf.prepare.sampling import SamplingMethod
from landslide_tf.raster.aligned import mean_cell
from landslide_tf.raster.bands import known_bands
from landslide_tf.raster.scene import NDVI, Scene, SceneReader
from landslide_tf.raster.sources import LabelOptions, make_scene
from landslide_tf.raster.tiles import Tile, grid_tiles, survey
from landslide_tf.raster.vector import read_shapes

T = TypeVar("T")

RECIPE = "recipe.yaml"
_TERRAIN = ("slope", "aspect")
# GDAL keeps blocks it has read, else up to a twentieth of the machine's memory; every
# window is read once or twice and needs few of them.
_CACHE = 2**27  # bytes


@dataclass(frozen=True)
class Inputs:
    """Files of a scene.

    Attributes:
        image: GeoTIFF with CRS; red, green and blue found by name or order.
        labels: Polygons (GeoJSON, GeoPackage, shapefile), a raster of class values,
            or a labelme file.
        dem: Elevation model, any grid and system.
        ndvi: Vegetation index, any grid and system; else made of near infrared and
            red where the image has both.
        points: Where landslides are known to be: tiles around them join the training
            pool.
    """

    image: Path
    labels: Path
    dem: Path | None = None
    ndvi: Path | None = None
    points: Path | None = None


@dataclass(frozen=True)
class Options:
    """How scenes become examples.

    Attributes:
        bands: Number of each band in the images, from 1; empty = found by name. All
            that are named are kept.
        labels: Which polygons or values are which class.
        gsd: Cell size to bring everything to, metres; None = that of each image.
        size: Rows and columns of a tile; also of the gaps between splits.
        stride: Rows and columns from training tile to tile, with `cutting="grid"`.
        cutting: `"grid"`, or `"superpixels"`: training tiles around superpixels.
        sampling: As in `pipelines.multistage_sample`; training tiles only.
        seed: Seed of split and sampling.
        licence: Licence of the scenes.
        terrain: Further arguments of `terrain.factors_on_grid`.
        workers: Threads that read windows; None = one a core, four at most.
    """

    bands: Mapping[str, int] = field(default_factory=dict)
    labels: LabelOptions = field(default_factory=LabelOptions)
    gsd: float | None = None
    size: int = 256
    stride: int | None = None
    cutting: Cutting = "grid"
    sampling: SamplingMethod = "original"
    seed: int = 0
    licence: str = "the user's own scenes"
    terrain: Mapping[str, Any] = field(default_factory=dict)
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses unknown words."""
        for name, known in (("cutting", Cutting), ("sampling", SamplingMethod)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise DataError(
                    f"`{name}` cannot be `{value}`."
                    f"{did_you_mean(str(value), get_args(known))}"
                )


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Attributes:
        folder: The folder, to be named as `--data-dir`.
        dataset: The TFDS folder in it, for `tfds.builder_from_directory`.
        recipe: The recipe.
        counts: Examples by split.
        report: What was found, left out and why, and class shares by split.
    """

    folder: Path
    dataset: Path
    recipe: Path
    counts: Mapping[str, int]
    report: Mapping[str, Any]

    @property
    def train_command(self) -> str:
        """The command that trains on it."""
        return shlex.join(
            [
                "landslide-tf",
                "train",
                str(self.recipe),
                "--data-dir",
                str(self.folder),
            ]
        )


class _Builder(landslide_scenes.Builder, skip_registration=True):
    """The registered builder, for a configuration that is not in its list."""

    name = "landslide_scenes"
    BUILDER_CONFIGS = ()  # type: ignore[assignment]


def prepare(
    scenes: Iterable[Inputs],
    out: str | os.PathLike[str],
    options: Options | None = None,
) -> Prepared:
    """Makes a data set of scenes, with a recipe that trains on it.

    Image, elevations, vegetation index and labels come onto one grid a scene (Xia et
    al. 2021, section 2.2); slope and aspect are computed there. Scenes are split so
    that no ground is shared (`zones_of`); training tiles are cut by grid or around
    superpixels and sampled, those of validation and test lie side by side, so that a
    pixel counts once. Windows are read one by one: memory does not grow with scenes.

    Args:
        scenes: Files of each scene.
        out: Folder to write: missing or empty; it appears complete or not at all.
        options: How; None = the defaults.

    Returns:
        What was made.

    Raises:
        DataError: If a file cannot be read or does not fit, or the scenes are too
            small to be split.
    """
    options = options or Options()
    found = _scenes(list(scenes), options)
    with atomic_folder(out) as temporary, rasterio.Env(GDAL_CACHEMAX=_CACHE):
        plan = _plan(found, options)
        first = next(iter(plan.scenes.values()))
        dtype = _dtype(plan.scenes.values())
        config = landslide_scenes.Config(
            name=PREPARED,
            description="Made by `landslide-tf prepare`.",
            bands=first.image,
            dtype=dtype,
            factors=first.factors,
            classes=options.labels.classes,
            size=options.size,
            stride=options.size,
            licence=options.licence,
            gsd=_common_cell(plan.scenes.values()),
            plan=plan,
            workers=options.workers,
        )
        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        builder = _Builder(data_dir=temporary, config=config)
        with contextlib.redirect_stdout(io.StringIO()):
            # TFDS prints the temporary folder.
            builder.download_and_prepare()
        shutil.rmtree(temporary / "downloads", ignore_errors=True)  # nothing is in it
        inside = Path(builder.data_path).relative_to(temporary)
        recipe = recipe_of(
            plan, config, sampled=options.sampling != "original", seed=options.seed
        )
        text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
        (temporary / RECIPE).write_text(text, encoding="utf-8")
        write_ground(plan, temporary)
        splits = builder.info.splits
        counts = {split: splits[split].num_examples for split in SPLITS}
        report = dict(builder.info.metadata["files"])
    folder = Path(out)
    return Prepared(folder, folder / inside, folder / RECIPE, counts, report)


def _scenes(inputs: Sequence[Inputs], options: Options) -> dict[str, tuple[Scene, Any]]:
    """Checks the files and returns scene and points by name."""
    if not inputs:
        raise DataError("Expected at least one scene, received none; name an image.")
    bands, factors = _channels(inputs, options)
    found: dict[str, tuple[Scene, Any]] = {}
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
            numbers=options.bands,
            gsd=options.gsd,
            dem=files.dem,
            ndvi=files.ndvi,
            labels=files.labels,
            options=options.labels,
            terrain=options.terrain,
        )
        points = None
        if files.points is not None:
            points = read_shapes(files.points, scene.grid, kind="Point")
        found[name] = (scene, points)
    return found


def _channels(
    inputs: Sequence[Inputs], options: Options
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the bands and factors that every scene can give."""
    known = [known_bands(files.image, options.bands)[0] for files in inputs]
    extra = [name for name in known[0] if all(name in other for other in known)]
    bands = (*COLOURS, *(name for name in extra if name not in COLOURS))
    for what in ("dem", "ndvi"):
        given = [getattr(files, what) is not None for files in inputs]
        if any(given) and not all(given):
            lacking = inputs[given.index(False)].image
            raise DataError(
                f"Expected `--{what}` for all scenes or for none, received none for "
                f"`{lacking}`."
            )
    factors = _TERRAIN if inputs[0].dem is not None else ()
    if inputs[0].ndvi is not None or "nir" in bands:
        factors = (*factors, NDVI)
    return bands, factors


def _plan(found: Mapping[str, tuple[Scene, Any]], options: Options) -> Plan:
    """Decides which tiles make which split."""
    scenes = {name: scene for name, (scene, _) in found.items()}
    size, classes = options.size, len(options.labels.classes)
    workers = options.workers
    surveys = [
        survey(scene, size, classes, workers=workers)
        for scene in _shown(scenes.values(), "Reading labels")
    ]
    tiles = [tile for one in surveys for tile in one.tiles]
    kept, unlabelled = drop_unlabelled(scenes, tiles)
    if not kept:
        raise DataError(
            "Expected labels where the images have pixels, received none; check that "
            "labels and images show the same ground."
        )
    zones = zones_of(
        scenes, kept, options.labels.landslide, gap=size, seed=options.seed
    )
    parts, in_gaps = assign(scenes, zones, kept)
    pool = _pool(found, options, parts["train"])
    training = [
        patch
        for patch in pool
        if "train" in zones[patch.id]
        and zones[patch.id]["train"].holds(scenes[patch.id], _place(patch))
    ]
    if not training:
        raise DataError(
            f"Expected patches in the training zone, received none of {len(pool)}; "
            "choose smaller tiles or cut by grid."
        )
    parts["train"] = sampled(training, options.sampling, options.seed)
    _check_landslides(parts, options)
    report = {
        "scenes": sorted(scenes),
        "tiles_without_label": unlabelled,
        "tiles_in_gaps": in_gaps,
        "training_patches": len(training),
        "cutting": options.cutting,
        "sampling": options.sampling,
    }
    return Plan(scenes, parts, report, ranges_of(surveys))


def _check_landslides(parts: Mapping[str, Sequence[Tile]], options: Options) -> None:
    """Refuses training tiles without landslide; warns of others without."""
    landslide = options.labels.landslide
    lacking = [
        split
        for split in SPLITS
        if not any(tile.counts[landslide] for tile in parts[split])
    ]
    if "train" in lacking:
        raise DataError(
            f"Expected landslides among the {len(parts['train'])} training tiles, "
            "received none; choose smaller tiles, cut by grid, or label more."
        )
    if lacking:
        warnings.warn(
            f"There are no landslides among the {' and '.join(lacking)} tiles: scores "
            "on them say nothing; choose smaller tiles or give more scenes.",
            stacklevel=2,
        )


def _pool(
    found: Mapping[str, tuple[Scene, Any]], options: Options, grid: list[Tile]
) -> list[Patch]:
    """Returns all patches that training may draw from, inside its zone or not."""
    size, classes = options.size, len(options.labels.classes)
    workers, scenes = options.workers, [scene for scene, _ in found.values()]
    around = [
        tile
        for scene, points in found.values()
        if points is not None
        for tile in point_pool(scene, points, size, classes, workers=workers)
    ]
    if options.cutting == "superpixels":
        patches = [
            patch
            for scene in _shown(scenes, "Finding superpixels")
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


def _dtype(scenes: Iterable[Scene]) -> str:
    """Returns the type that holds the values of all images."""
    found = []
    for scene in scenes:
        with SceneReader(scene, factors=False) as reader:
            found.append(reader.dtype)
    dtype = np.result_type(*found)
    return str(dtype) if dtype in (np.uint8, np.uint16) else "float32"


def _common_cell(scenes: Iterable[Scene]) -> float | None:
    """Returns the cell size in metres, None where scenes differ by a hundredth."""
    cells = [mean_cell(scene.grid) for scene in scenes]
    return cells[0] if max(cells) <= 1.01 * min(cells) else None


def _shown(items: Iterable[T], what: str) -> Iterable[T]:
    """Shows progress on a terminal and nothing elsewhere."""
    console = Console(stderr=True)
    return track(list(items), what, console=console, disable=not console.is_terminal)
