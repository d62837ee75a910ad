"""A scene in, a map out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import rasterio

from landslide_tf.errors import DataError, LandslideTFError, UnreachableError
from landslide_tf.files import atomic_path, file_states
from landslide_tf.mapping.existing import IMAGE, check_map, image_names
from landslide_tf.mapping.output import MapOptions, Outputs, parts_folder
from landslide_tf.mapping.polygons import check_polygons
from landslide_tf.mapping.predict import (
    Member,
    Strip,
    batch_size,
    channels_of,
    check_members,
    predict_strips,
    threshold_of,
    together,
    total_stride,
    trained_tile,
)
from landslide_tf.mapping.scene import (
    ModelScene,
    SceneFiles,
    cell_size_warning,
    open_scene,
)
from landslide_tf.mapping.strips import UNCERTAINTY, FinishedStrips
from landslide_tf.mapping.windows import Axis, axis, window_of
from landslide_tf.mapping.writer import MapWriter
from landslide_tf.raster import cog
from landslide_tf.version import __version__

Progress = Callable[[int, int], None]

_CACHE_MB = 64
_DIGITS = 12  # of the digest that tells a model's version


@dataclass(frozen=True)
class MapSummary:
    """Summary of a map.

    Attributes:
        pixels: Pixels of the scene.
        valid: Pixels that have a class.
        landslide: Pixels that are landslide.
        area: Their area, m²; NaN where cells have none, as without a system.
        mapped: What the landslide class is called.
        objects: Polygons; None where none were asked for.
        scale: Factor of the image's values.
        resumed: Strips that an earlier, stopped job had finished.
        strips: Strips altogether.
        files: Everything written.
        window: Rows and columns of a window.
        overlap: Pixels that windows share.
        trained: Rows or columns of the largest training example, if known.
        taken: Which layer of the file of the area of interest was taken; else empty.

    >>> from landslide_tf.mapping import MapSummary
    >>> made = MapSummary(
    ...     pixels=100, valid=80, landslide=20, area=2000.0, mapped="scar", objects=1,
    ...     scale=1.0, resumed=0, strips=1, files=(), window=32, overlap=8, trained=32,
    ... )
    >>> f"{made.landslide / made.valid:.0%} of the pixels with data"
    '25% of the pixels with data'
    """

    pixels: int
    valid: int
    landslide: int
    area: float
    mapped: str
    objects: int | None
    scale: float
    resumed: int
    strips: int
    files: tuple[Path, ...]
    window: int
    overlap: int
    trained: int | None
    taken: str = ""


def map_scene(
    members: Sequence[Member],
    files: SceneFiles,
    outputs: Outputs,
    options: MapOptions | None = None,
    *,
    progress: Progress | None = None,
) -> MapSummary:
    """Maps landslides in a scene of any size, in bounded memory.

    Overlapping windows on the model's stride are predicted row by row and blended with
    weights that add up to 1 at every pixel. Finished strips are kept beside the map
    (`OUT.parts`): the same call after a stop goes on from there and writes the same
    file. All files appear when all are complete.

    Args:
        members: One model, or several whose probabilities are averaged.
        files: The scene.
        outputs: What to write.
        options: How; None = the defaults.
        progress: Called with the pixels that are done, and the pixels of the scene.

    Returns:
        What was mapped.

    Raises:
        DataError: If a file cannot be read or written, or does not fit the model.
        ModelError: If the models do not fit each other or the data.
        RunError: If another process is writing the same map.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping import Member, Outputs, SceneFiles, map_scene
    >>> from landslide_tf.metadata import Band, ModelMetadata
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> metadata = ModelMetadata(
    ...     name="bright", builder="unet", arguments={}, inputs=[Band(name="grey")],
    ...     classes=["landslide"], landslide_class="sigmoid",
    ... )
    >>> bright = Member(lambda inputs: inputs["image"] / 255, metadata)
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> values[0, 2:6, 1:6] = 200
    >>> image = Path("/vsimem/grey.tif")  # a file in memory
    >>> write_plain(image, grid, Layer("uint8", 255, ["grey"]), [(0, values)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     polygons = Path(folder, "map.gpkg")
    ...     outputs = Outputs(Path(folder, "map.tif"), vector=(polygons,))
    ...     made = map_scene([bright], SceneFiles((str(image),)), outputs)
    >>> made.valid, made.landslide, made.objects
    (64, 20, 1)
    """
    options = options or MapOptions()
    check_members(members)
    check_map(outputs, files)
    scene = open_scene(files, members[0].metadata)
    if line := cell_size_warning(scene):
        if options.strict:
            raise DataError(line)
        warnings.warn(line, stacklevel=2)
    grid, stride = scene.scene.grid, total_stride(members)
    check_polygons(outputs.vector, grid)
    trained = trained_tile(members)
    window, overlap = window_of(
        trained, stride, window=options.window, overlap=options.overlap
    )
    options = replace(options, window=window, overlap=overlap)
    rows, columns = (
        axis(size, window=window, overlap=overlap, stride=stride) for size in grid.shape
    )
    threshold = threshold_of(members, options.threshold)
    facts = _facts(members, files, options)
    writer = MapWriter(scene, outputs, options, facts, threshold)
    folder, job = parts_folder(outputs.out), _job(members, scene, options, stride)
    with (
        cog.writable(folder),
        # Memory does not grow with the scene.
        rasterio.Env(GDAL_CACHEMAX=_CACHE_MB),
        FinishedStrips(folder, job, rows, grid.width, writer.layers) as strips,
    ):
        resumed = strips.count()
        try:
            with contextlib.ExitStack() as stack:
                targets = {
                    path: stack.enter_context(atomic_path(path))
                    for path in outputs.paths
                }
                _predict(
                    members, scene, rows, columns, options, writer, strips, progress
                )
                objects = writer.write(strips, targets)
                valid, landslide, area = strips.totals()
        except LandslideTFError as error:
            if not isinstance(error, cog.NotWritten | UnreachableError):
                strips.remove()  # running the same again would end the same way
            raise
        strips.remove()
    return MapSummary(
        pixels=grid.height * grid.width,
        valid=valid,
        landslide=landslide,
        area=area,
        mapped=members[0].metadata.class_names[members[0].metadata.landslide_value],
        objects=objects,
        scale=scene.scale,
        resumed=resumed,
        strips=len(rows.offsets),
        files=tuple(targets),
        window=window,
        overlap=overlap,
        trained=trained,
        taken="" if scene.scene.masks is None else scene.scene.masks.taken,
    )


def _facts(
    members: Sequence[Member], files: SceneFiles, options: MapOptions
) -> dict[str, str]:
    """Returns the tags that say what made a raster."""
    from landslide_tf.metrics.decision import SIGMOID_THRESHOLD

    threshold = threshold_of(members, options.threshold)
    if threshold is None and members[0].metadata.landslide_class == "sigmoid":
        threshold = SIGMOID_THRESHOLD
    return {
        "MODEL": ", ".join(member.metadata.name for member in members),
        "MODEL_VERSION": ", ".join(m.identity[:_DIGITS] for m in members if m.identity),
        "DATA_LICENCE": "; ".join(
            dict.fromkeys(m.metadata.licence for m in members if m.metadata.licence)
        ),
        "REGION": ", ".join(
            dict.fromkeys(
                str(m.metadata.arguments["region"])
                for m in members
                if "region" in m.metadata.arguments
            )
        ),
        "MIN_AREA_M2": "" if options.min_area is None else str(options.min_area),
        "THRESHOLD": str(threshold),
        "LANDSLIDE_TF_VERSION": __version__,
        IMAGE: image_names(files),
        **files.left_out,
    }


def _job(
    members: Sequence[Member], scene: ModelScene, options: MapOptions, stride: int
) -> dict[str, Any]:
    """Returns what the strips depend on."""
    files = scene.files
    models = [[m.identity, m.metadata.model_dump_json()] for m in members]
    digest = hashlib.sha256(json.dumps(models).encode()).hexdigest()
    how = asdict(options)
    for name in ("min_area", "simplify", "strict"):
        del how[name]
    return {
        "version": __version__,
        "models": digest,
        "files": file_states(files.read),
        "scene": [*files.image, files.dem and asdict(files.dem), dict(files.factor)],
        "bands": [*scene.scene.bands, *scene.scene.ndvi_bands],
        "scale": [scene.scale, scene.scene.calibrated],
        "nodata": files.nodata,
        "masks": [files.masks.within_layer, *files.masks.read, files.left_out],
        "stride": stride,
        "options": how,
    }


def _predict(
    members: Sequence[Member],
    scene: ModelScene,
    rows: Axis,
    columns: Axis,
    options: MapOptions,
    writer: MapWriter,
    strips: FinishedStrips,
    progress: Progress | None,
) -> None:
    """Predicts what is not finished; writes strips while the next are predicted."""
    start, unsure = strips.count(), UNCERTAINTY in writer.layers
    if start >= len(rows.offsets):
        return
    found = predict_strips(
        scene,
        together(members, tta=options.tta, entropies=unsure),
        rows,
        columns,
        channels_of(members[0].metadata) + unsure,
        size=options.batch or batch_size(rows.window),
        start=start,
    )

    def finish(strip: Strip) -> None:
        first = rows.offsets[strip.number]
        strips.write(strip.number, writer.finished(strip, first))

    pixels = rows.size * columns.size
    waiting: Future[None] | None = None
    with ThreadPoolExecutor(1, "scene-writer") as pool, contextlib.closing(found):
        for strip in found:
            if waiting is not None:
                waiting.result()
            waiting = pool.submit(finish, strip)
            if progress is not None:
                progress(rows.finished(strip.number) * columns.size, pixels)
        if waiting is not None:
            waiting.result()
