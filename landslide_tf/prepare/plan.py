"""Which tiles of a user's own scenes make which split."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landslide_tf.datasets.common.patches import Patch
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.landslide_scenes.plan import Plan, ranges_of, split_tiles
from landslide_tf.datasets.landslide_scenes.tiles import (
    Tile,
    TileSizeError,
    grid_tiles,
    grid_windows,
    survey,
)
from landslide_tf.errors import DataError, warn
from landslide_tf.prepare.inputs import Inputs, Options
from landslide_tf.prepare.pool import (
    patches_of,
    point_pool,
    sampled,
    superpixel_pool,
)
from landslide_tf.progress import with_progress
from landslide_tf.raster.bands import COLOURS, known_bands
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.names import short_name, stem
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.scaling import are_tagged
from landslide_tf.raster.scene import NDVI, Scene, make_scene
from landslide_tf.raster.systems import ground_system
from landslide_tf.raster.validity import alpha_bands
from landslide_tf.raster.vector import Burner, Shapes, read_shapes
from landslide_tf.words import counted

Found = Mapping[str, tuple[Scene, Shapes | None]]
"""Scenes by name, with the points given for each."""

_TERRAIN = ("slope", "aspect")
# Sizes of tiles that are tried where the wanted one does not fit: three zones with two
# gaps between take five tiles, and with few labels smaller ones.
_ZONES_AND_GAPS, _SHARES, _MULTIPLE = 5, (1.0, 0.75, 0.5, 0.25), 8


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
        name = stem(files.image)
        if name == "image":  # one folder a scene
            name = Path(os.path.abspath(files.image)).parent.name
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
        warn(
            f"Images {names[0]} tag scale or offset and are brought to their unit, "
            f"images {names[1]} do not and are taken as stored: check that all are in "
            "one unit, or tag them (`gdal_edit.py -scale … -offset …`).",
        )


def taken_of(found: Found) -> tuple[str, ...]:
    """Returns lines on what was taken: layers and fields of vector files, and bands."""
    scenes = [scene for scene, _ in found.values()]
    labels = [scene.labels for scene in scenes]
    taken = [item.taken for item in labels if isinstance(item, Burner)]
    taken += [scene.masks.taken for scene in scenes if scene.masks]
    taken += [points.taken for _, points in found.values() if points is not None]
    taken += [_channels_taken(scene) for scene in scenes]
    return tuple(dict.fromkeys(filter(None, taken)))


def _channels_taken(scene: Scene) -> str:
    """Returns a line on bands and factors; a fourth band of bytes is easily lost."""
    several = len({band.path for band in scene.bands}) > 1
    bands = [
        f"{band.name}={short_name(band.path) if several else band.number}"
        for band in scene.bands
    ]
    line = f"bands: {', '.join(bands)}; factors: {', '.join(scene.factors) or 'none'}"
    if several:
        return line
    with open_raster(scene.bands[0].path, "image") as dataset:
        alpha = set(alpha_bands(dataset)) - {band.number for band in scene.bands}
    for number in sorted(alpha):
        line += (
            f"; band {number} is read as transparency (alpha): if it is near infrared, "
            f"give `--bands {','.join(bands)},nir={number}`"
        )
    return line


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
    name = _landslide_name(scenes.values(), options.labels)
    _check_landslides(parts.tiles, options.labels.landslide, name)
    report: dict[str, Any] = {
        "scenes": sorted(scenes),
        **parts.report,
        "training_patches": len(training),
        "cutting": options.patches,
        "sampling": options.sampling,
        "masked": {n: dict(one.masks.tags) for n, one in scenes.items() if one.masks},
    }
    return Plan(scenes, parts.tiles, report, ranges_of(surveys), name)


def _landslide_name(scenes: Iterable[Scene], options: LabelOptions) -> str | None:
    """Returns what polygons call the landslide, if otherwise and as no other class."""
    # Values of rasters are no names.
    drawn = any(isinstance(scene.labels, Burner) for scene in scenes)
    name = " or ".join(options.positive)
    return name if drawn and name and name not in options.classes else None


def _check_landslides(
    parts: Mapping[str, Sequence[Tile]], landslide: int, name: str | None
) -> None:
    """Refuses training tiles without landslide; warns of others without."""
    wanted = "landslides" if name is None else f"polygons of `{name}`"
    lacking = [
        split
        for split in SPLITS
        if not any(tile.counts[landslide] for tile in parts[split])
    ]
    if lacking == list(SPLITS):
        raise DataError(
            f"Expected {wanted} where the images have pixels, received none in any "
            "tile: check what the labels hold and name the landslide's class or value "
            "with `--positive`."
        )
    if "train" in lacking:
        raise TileSizeError(
            f"Expected {wanted} among the "
            f"{counted(len(parts['train']), 'training tile')}, received none; choose "
            "smaller tiles, cut by grid, or label more."
        )
    if lacking:
        warn(
            f"There are no {wanted} among the {' and '.join(lacking)} tiles: scores "
            "on them say nothing; choose smaller tiles or give more scenes.",
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
