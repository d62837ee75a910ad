"""A scene in, a map out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import rasterio

from landslide_tf.errors import LandslideTFError, UnreachableError
from landslide_tf.files import atomic_path
from landslide_tf.mapping.output import MapOptions, Outputs, parts_folder
from landslide_tf.mapping.predict import Member
from landslide_tf.mapping.scene import SceneFiles
from landslide_tf.mapping.scene_job import Decide, SceneJob, open_job
from landslide_tf.mapping.strips import FinishedStrips
from landslide_tf.raster import cog

Progress = Callable[[int, int], None]
Made = Callable[[int], Generator[Decide, None, None]]

_CACHE_MB = 64


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
    made: Made | None = None,
    patience: float = 0,
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
        made: Strips that were predicted elsewhere, from a number on, as
            `mapping.rows.read_rows` gives them; None predicts them.
        patience: Seconds to wait for another process that is writing the same map.

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
    job = open_job(members, files, outputs, options or MapOptions())
    grid, writer = job.scene.scene.grid, job.writer
    folder = parts_folder(outputs.out)
    with (
        cog.writable(folder),
        # Memory does not grow with the scene.
        rasterio.Env(GDAL_CACHEMAX=_CACHE_MB),
        FinishedStrips(
            folder, job.key, job.rows, grid.width, writer.layers, patience=patience
        ) as strips,
    ):
        resumed = strips.count()
        try:
            with contextlib.ExitStack() as stack:
                targets = {
                    path: stack.enter_context(atomic_path(path))
                    for path in outputs.paths
                }
                _collect(job, strips, made or job.strips, progress)
                objects = writer.write(strips, targets)
                valid, landslide, area = strips.totals()
        except LandslideTFError as error:
            if not isinstance(error, cog.NotWritten | UnreachableError):
                strips.remove()  # running the same again would end the same way
            raise
        strips.remove()
    metadata, masks = members[0].metadata, job.scene.scene.masks
    return MapSummary(
        pixels=grid.height * grid.width,
        valid=valid,
        landslide=landslide,
        area=area,
        mapped=metadata.class_names[metadata.landslide_value],
        objects=objects,
        scale=job.scene.scale,
        resumed=resumed,
        strips=len(job.rows.offsets),
        files=tuple(targets),
        window=job.rows.window,
        overlap=job.options.overlap or 0,
        trained=job.trained,
        taken="" if masks is None else masks.taken,
    )


def _collect(
    job: SceneJob, strips: FinishedStrips, made: Made, progress: Progress | None
) -> None:
    """Writes what is not finished; strips while the next are predicted."""
    pixels = job.rows.size * job.columns.size
    waiting: Future[None] | None = None
    start = strips.count()

    def write(number: int, decide: Decide) -> None:
        strips.write(number, decide())

    with (
        ThreadPoolExecutor(1, "scene-writer") as pool,
        contextlib.closing(made(start)) as found,
    ):
        for number, decide in enumerate(found, start):
            if waiting is not None:
                waiting.result()
            waiting = pool.submit(write, number, decide)
            if progress is not None:
                progress(job.rows.finished(number) * job.columns.size, pixels)
        if waiting is not None:
            waiting.result()
