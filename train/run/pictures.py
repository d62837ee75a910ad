"""Examples that are shown, their colours, and their pictures in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.palette import IGNORE, class_palette
from landslide_tf.pipelines import EvaluationBatches, ExampleStore

SHOWN = 4
_GAP = 4  # pixels between the parts of a picture


def examples_to_show(store: ExampleStore, wanted: int) -> list[int]:
    """Returns example numbers spread evenly over those that show landslides.

    Args:
        store: The examples.
        wanted: How many; all where there are fewer.

    Returns:
        Ascending numbers, the same for the same store.
    """
    candidates = np.flatnonzero(store.positive)
    if len(candidates) < wanted:
        candidates = np.arange(len(store))
    places = np.linspace(0, len(candidates) - 1, min(wanted, len(candidates)))
    return candidates[places.round().astype(int)].tolist()


def rgb_image(image: FloatArray, bands: Sequence[str]) -> NDArray[np.uint8]:
    """Returns the bands named red, green and blue; the first one for an absent one.

    Args:
        image: Input of a model, (H, W, bands), values to show in 0..255.
        bands: Name of each band.

    Returns:
        uint8 (H, W, 3).
    """
    names = list(bands)
    rgb = [names.index(n) if n in names else 0 for n in ("red", "green", "blue")]
    return np.clip(image[..., rgb], 0, 255).astype(np.uint8)


class ValidationPictures(keras.callbacks.Callback):
    """Draws image, truth and prediction of the same few examples every few epochs.

    They are drawn at the end of a validation, with the weights that were validated,
    and change nothing of the training.

    Args:
        folder: Where the event files go.
        batches: Validation examples.
        every: Epochs between pictures.
    """

    def __init__(
        self, folder: str | Path, batches: EvaluationBatches, every: int
    ) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._batches = batches
        self._every = every
        self._epoch = 0
        self._shown = examples_to_show(batches.store, SHOWN)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remembers the epoch, which a validation is not told."""
        self._epoch = epoch

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Draws where pictures are due."""
        if (self._epoch + 1) % self._every:
            return
        import tensorflow as tf

        writer = tf.summary.create_file_writer(str(self._folder))
        with writer.as_default(step=self._epoch):
            for number in self._shown:
                name = self._batches.store.ids[number]
                tf.summary.image(name, self._picture(number)[None])
        writer.close()

    def _picture(self, number: int) -> NDArray[np.uint8]:
        """Returns image, truth and prediction side by side, uint8 (H, 3 W, 3)."""
        inputs, labels = self._batches.load([number])
        logits = keras.ops.convert_to_numpy(self.model(inputs, training=False))[0]
        if logits.shape[-1] == 1:
            predicted = (logits[..., 0] > 0).astype(np.uint8)
        else:
            predicted = logits.argmax(axis=-1)
        colours = class_palette(self._batches.store.description.classes)
        truth = labels[0].reshape(predicted.shape)
        ignored = truth == IGNORE_VALUE
        painted = colours[np.where(ignored, 0, truth)]
        painted[ignored] = IGNORE
        bands = self._batches.selection.image
        gap = np.full((len(truth), _GAP, 3), 255, np.uint8)
        parts = [rgb_image(inputs["image"][0], bands), painted, colours[predicted]]
        return np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
