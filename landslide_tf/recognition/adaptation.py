"""A model adapts to the images of an event that it is to map: the unsupervised route.

ADANet (Xu et al. 2022) goes from a labelled base data set to an event without labels.
The labelled data are those that the run was trained on; the event's own images become
examples without labels here, cut as the model looks at them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, RunError
from landslide_tf.files import file_states, sha256, write_text
from landslide_tf.mapping import SceneFiles
from landslide_tf.mapping.scene import ModelScene, open_scene
from landslide_tf.metadata import FILE_NAME, ModelMetadata
from landslide_tf.pipelines import DataDescription, write_arrays
from landslide_tf.pipelines.store import Channel, Example
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene_reader import Pixels
from landslide_tf.raster.windows import map_windows
from landslide_tf.train import Recipe, RunFolder, Session, adapt_recipe
from landslide_tf.train.engine import train_or_resume
from landslide_tf.train.transfer.adaptation import METHOD

TARGET = "event_images"
_TILE = 256  # where the model does not say what it was trained on
_KNOWN = 0.5  # share of an example's pixels that must hold a value


def adapt_to_images(
    run: str | Path,
    scenes: Sequence[SceneFiles],
    folder: str | Path,
    *,
    recipe: str | Path = METHOD,
    changes: Sequence[str] = (),
    session: Session | None = None,
) -> RunFolder:
    """Adapts a run to the images of an event, without labels.

    Stopped, it goes on where it was when it is called again; finished, it stays.

    Args:
        run: Folder of a finished run of a segmentation network.
        scenes: The images, such as those of both dates.
        folder: Folder to write: `images/` (examples), `run/` (the adapted run).
        recipe: As for `train.adapt_recipe`.
        changes: As for `train.adapt_recipe`.
        session: Folders of the data that the run was trained on.

    Returns:
        The adapted run.

    Raises:
        DataError: If an image does not fit the model or holds too little.
        RunError: If the run has not ended, the folder was made of other images or
            settings, or the adaptation has collapsed.
        RecipeError: As `train.adapt_recipe`.
    """
    source, folder = RunFolder(Path(run)), Path(folder)
    chosen = adapt_recipe(source, TARGET, recipe=recipe, changes=changes)
    metadata = source.read_metadata()
    opened = [open_scene(files, metadata) for files in scenes]
    images, said = folder / "images", folder / "adaptation.json"
    assert chosen.adaptation is not None  # else `adapt_recipe` refuses it
    chosen.adaptation.arrays = str(images.resolve())
    made_of = _made_of(source, scenes, chosen)
    if not said.is_file():
        shutil.rmtree(images, ignore_errors=True)  # of one that was stopped
        side = chosen.training.patch or metadata.tile or _TILE
        found = _examples(opened, max(side, metadata.tile or 0))
        write_arrays(images / "train", found, _description(metadata))
        write_text(said, json.dumps(made_of, indent=1) + "\n")
    elif json.loads(said.read_text(encoding="utf-8")) != made_of:
        raise RunError(
            f"`{folder}` was adapted from another run, to other images or by other "
            "settings: remove it or name another `--out`."
        )
    adapted = RunFolder(folder / "run")
    if (adapted.path / FILE_NAME).is_file():  # finished: its weights stay
        return adapted
    return train_or_resume(chosen, adapted.path, session)


def _made_of(
    source: RunFolder, scenes: Sequence[SceneFiles], recipe: Recipe
) -> dict[str, Any]:
    """Returns what an adaptation depends on, as JSON values."""
    files = [os.path.abspath(name) for scene in scenes for name in scene.read]
    settings = [repr((s.bands, s.nodata, s.scale, s.dem)) for s in scenes]
    return {
        "run": sha256(source.model),
        "files": file_states(files),
        "settings": settings,
        "recipe": recipe.model_dump(mode="json"),
    }


def _description(metadata: ModelMetadata) -> DataDescription:
    """Returns what a data set says of images in the units of a model's training."""
    bands = {
        band.name: Channel(
            band.name, "image", index, band.unit,
            None if band.range is None else _unscaled(band.range, band.scale),
        )
        for index, band in enumerate(metadata.inputs)
    }  # fmt: skip
    factors = {
        factor.name: Channel(factor.name, "factors", index, factor.unit, factor.range)
        for index, factor in enumerate(metadata.factors)
    }
    return DataDescription(
        TARGET, "train", bands | factors, tuple(metadata.classes),
        metadata.landslide_value if len(metadata.classes) > 1 else 0,
    )  # fmt: skip


def _unscaled(limits: tuple[float, float], scale: float) -> tuple[float, float]:
    return limits[0] / scale, limits[1] / scale


def _examples(scenes: Sequence[ModelScene], side: int) -> Iterator[Example]:
    """Yields squares of scenes side by side, those that hold enough.

    Raises:
        DataError: If none of a scene does.
    """
    for number, scene in enumerate(scenes):
        scales = np.array([band.scale for band in scene.metadata.inputs], np.float32)
        found, windows = 0, list(_squares(scene.scene.grid.shape, side))
        for window, pixels in map_windows(scene.scene, _both, windows, workers=1):
            if pixels.valid.mean() < _KNOWN:
                continue
            inputs = scene.inputs(pixels.image, pixels.factors)
            found += 1
            size = (window.height, window.width)
            yield {
                **inputs,
                "image": inputs["image"] / scales,
                "mask": np.full(size, IGNORE_VALUE, np.uint8),
                "id": f"{number}_{window.row}_{window.column}",
            }
        if not found:
            raise DataError(
                f"image `{scene.files.image[0]}` must hold squares of {side} pixels "
                "that have values, to adapt to, received none."
            )


def _both(window: Window, pixels: Pixels) -> tuple[Window, Pixels]:
    return window, pixels


def _squares(shape: tuple[int, int], side: int) -> Iterator[Window]:
    """Yields windows side by side; the last of a row or column share pixels."""
    rows, columns = (
        [*range(0, size - side, side), max(size - side, 0)] for size in shape
    )
    height, width = min(side, shape[0]), min(side, shape[1])
    for row in rows:
        for column in columns:
            yield Window(row, column, height, width)
