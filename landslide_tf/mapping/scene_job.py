"""A scene and models that fit each other: what every part of a map is made by."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from landslide_tf.errors import DataError, warn
from landslide_tf.files import file_states
from landslide_tf.mapping.existing import IMAGE, check_map, image_names
from landslide_tf.mapping.output import MapOptions, Outputs
from landslide_tf.mapping.polygons import check_polygons
from landslide_tf.mapping.predict import (
    Member,
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
from landslide_tf.mapping.strips import UNCERTAINTY, Finished
from landslide_tf.mapping.windows import Axis, axis, window_of
from landslide_tf.mapping.writer import MapWriter
from landslide_tf.version import __version__

Decide = Callable[[], Finished]

_DIGITS = 12  # of the digest that tells a model's version


@dataclass(frozen=True)
class SceneJob:
    """A scene that is to be mapped.

    Attributes:
        members: The models.
        scene: The scene.
        options: How, with the windows that were chosen.
        rows: Windows from top to bottom, which are the strips.
        columns: Windows from left to right.
        writer: What decides strips and makes the files.
        trained: Rows or columns of the largest training example, if known.
        key: What the strips depend on; JSON values.
    """

    members: Sequence[Member]
    scene: ModelScene
    options: MapOptions
    rows: Axis
    columns: Axis
    writer: MapWriter
    trained: int | None
    key: dict[str, Any]

    def strips(self, start: int = 0) -> Generator[Decide, None, None]:
        """Predicts strips.

        Args:
            start: Number of the first that is wanted.

        Yields:
            For each strip from there to the last what decides it, so that this can be
            done in another thread than the prediction of the next.

        Raises:
            DataError: If a file cannot be read.
            ModelError: If the models do not fit the data.
        """
        if start >= len(self.rows.offsets):
            return
        unsure = UNCERTAINTY in self.writer.layers
        found = predict_strips(
            self.scene,
            together(self.members, tta=self.options.tta, entropies=unsure),
            self.rows,
            self.columns,
            channels_of(self.members[0].metadata) + unsure,
            size=self.options.batch or batch_size(self.rows.window),
            start=start,
        )
        with closing(found):
            for strip in found:
                row = self.rows.offsets[strip.number]
                yield functools.partial(self.writer.finished, strip, row)


def open_job(
    members: Sequence[Member], files: SceneFiles, outputs: Outputs, options: MapOptions
) -> SceneJob:
    """Finds out what a scene holds, and refuses what does not fit.

    Args:
        members: One model, or several whose probabilities are averaged.
        files: The scene.
        outputs: What to write.
        options: How.

    Returns:
        What the map is made by.

    Raises:
        DataError: If a file cannot be read or written, or does not fit the model.
        ModelError: If the models do not fit each other or the data.
    """
    check_members(members)
    check_map(outputs, files)
    scene = open_scene(files, members[0].metadata)
    if line := cell_size_warning(scene):
        if options.strict:
            raise DataError(line)
        warn(line)
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
    key = _job(members, scene, options, stride)
    return SceneJob(members, scene, options, rows, columns, writer, trained, key)


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
