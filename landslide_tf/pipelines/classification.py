"""Batches for networks that give a whole image one class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landslide_tf.choices import View
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.pipelines.batches import ArraySpec, Specs, consecutive, stacked
from landslide_tf.pipelines.inputs import Inputs
from landslide_tf.pipelines.segmentation import (
    Batch,
    EvaluationBatches,
    TrainingBatches,
)
from landslide_tf.pipelines.store import ExampleStore
from landslide_tf.words import counted

VIEWS: tuple[View, ...] = get_args(View)
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom

# Shorter side over side of the crop of the usual evaluation, 256 for 224.
SHORTER = 256 / 224
ASPECTS = (3 / 4, 4 / 3)
_TRIES = 10


def holds_labels(store: ExampleStore) -> bool:
    """Says whether the examples have one class each, not one a pixel."""
    return "label" in store.examples[0]


def hold_out(
    store: ExampleStore, share: float, seed: int = 0
) -> tuple[ExampleStore, ExampleStore]:
    """Cuts a stratified part off a store.

    Args:
        store: Examples with one class each.
        share: Share of every class to cut off, in (0, 1), rounded half up.
        seed: Seed of the draw.

    Returns:
        What is left, and the part; both in the store's order.

    Raises:
        DataError: If a class has too few examples for both.
    """
    generator = np.random.default_rng(seed)
    labels = store.overview.labels.argmax(axis=1)
    chosen = np.zeros(len(store), bool)
    for label, name in enumerate(store.description.classes):
        members = np.flatnonzero(labels == label)
        wanted = math.floor(share * len(members) + 0.5)
        if not 0 < wanted < len(members):
            raise DataError(
                f"`{store.description.name}:{store.description.split}` has "
                f"{counted(len(members), 'image')} of `{name}`: {share:g} of them "
                "cannot be held out; raise the share or add images."
            )
        chosen[generator.permutation(members)[:wanted]] = True
    kept, cut = (np.flatnonzero(part).tolist() for part in (~chosen, chosen))
    return store.subset(kept), store.subset(cut)


def resized(image: NDArray[np.generic], box: Box, size: int) -> NDArray[np.float32]:
    """Resizes a box of an image to a square, bilinear with antialiasing.

    Args:
        image: (height, width, channels).
        box: Left, top, right, bottom in pixels; may be fractions.
        size: Side of the square, pixels.

    Returns:
        float32 (size, size, channels), not rounded.
    """
    out = np.empty((size, size, image.shape[-1]), np.float32)
    for channel in range(image.shape[-1]):
        band = Image.fromarray(np.asarray(image[..., channel], np.float32))
        band = band.resize((size, size), Image.Resampling.BILINEAR, box=box)
        out[..., channel] = np.asarray(band)
    return out


def seen_box(height: int, width: int, view: View) -> Box:
    """Returns what an evaluated network sees of an image.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        view: `"centre"`: the central square of 224/256 of the shorter side;
            `"whole"`: everything, to be squeezed into a square.

    Returns:
        Left, top, right, bottom.

    Raises:
        DataError: If there is no such view.
    """
    if view not in VIEWS:
        raise DataError(f"`view` cannot be `{view}`.{did_you_mean(str(view), VIEWS)}")
    if view == "whole":
        return 0.0, 0.0, float(width), float(height)
    side = min(height, width) / SHORTER
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_box(
    height: int, width: int, area: tuple[float, float], generator: np.random.Generator
) -> Box:
    """Draws the box of a random resized crop (Szegedy et al. 2015, section 6).

    Args:
        height: Height in pixels.
        width: Width in pixels.
        area: Smallest and largest share of the image's area, in (0, 1].
        generator: Random stream of this draw.

    Returns:
        Left, top, right, bottom, with an aspect of 3/4 to 4/3; the whole image where
        no box of that area and aspect fits.
    """
    low, high = np.log(ASPECTS)
    for _ in range(_TRIES):
        pixels = generator.uniform(*area) * height * width
        aspect = math.exp(generator.uniform(low, high))
        across, down = math.sqrt(pixels * aspect), math.sqrt(pixels / aspect)
        if across <= width and down <= height:
            left = generator.uniform(0, width - across)
            top = generator.uniform(0, height - down)
            return left, top, left + across, top + down
    return 0.0, 0.0, float(width), float(height)


@dataclass
class ImageTrainingBatches(TrainingBatches):
    """The stream of `TrainingBatches` for images with one class each.

    A random resized crop of each image comes first, the augmentation after it. Labels
    are uint8 (B,).

    Attributes:
        size: Side of what the network sees, pixels.
        crop_area: Smallest and largest share of an image in a crop, in (0, 1].
    """

    size: int = 224
    crop_area: tuple[float, float] = (0.5, 1.0)

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""
        return self.selection.specs(self.size, self.size)

    @property
    def labels(self) -> ArraySpec:
        """Class of each image, 255 = ignore."""
        return ArraySpec((), "uint8")

    def load(self, epoch: int, draws: Sequence[int]) -> Batch:
        """Returns chosen draws of an epoch as a batch."""
        return _collate([self._cropped(epoch, draw) for draw in draws])

    def _cropped(self, epoch: int, draw: int) -> tuple[Inputs, int]:
        number, generator = self._drawn(epoch, draw)
        example = self.store.examples[number]
        inputs = self.selection.inputs(example, self.store.description.channels)
        height, width = inputs["image"].shape[:2]
        box = random_box(height, width, self.crop_area, generator)
        inputs = {key: resized(value, box, self.size) for key, value in inputs.items()}
        changed, _ = self.augmentation.changed(
            inputs, generator, self._kinds, self._colours
        )
        return changed, int(example["label"])


@dataclass(frozen=True)
class ImageEvaluationBatches(EvaluationBatches):
    """Every image of a store once, in order, with one class each.

    Labels are uint8 (B,).

    Attributes:
        size: Side of what the network sees, pixels.
        view: See `seen_box`.
    """

    size: int = 224
    view: View = "centre"

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""
        return self.selection.specs(self.size, self.size)

    @property
    def labels(self) -> ArraySpec:
        """Class of each image, 255 = ignore."""
        return ArraySpec((), "uint8")

    def numbers(self) -> list[list[int]]:
        """Returns the example numbers of each batch."""
        return consecutive(len(self.store), self.batch_size)

    def load(self, numbers: Sequence[int]) -> Batch:
        """Returns chosen examples as a batch."""
        channels = self.store.description.channels
        examples = [self.store.examples[n] for n in numbers]
        batch = []
        for example in examples:
            inputs = self.selection.inputs(example, channels)
            height, width = inputs["image"].shape[:2]
            box = seen_box(height, width, self.view)
            inputs = {k: resized(v, box, self.size) for k, v in inputs.items()}
            batch.append((inputs, int(example["label"])))
        return _collate(batch)


def _collate(examples: Sequence[tuple[Inputs, int]]) -> Batch:
    inputs = {
        key: stacked([example[key] for example, _ in examples])
        for key in examples[0][0]
    }
    return inputs, np.array([label for _, label in examples], np.uint8)
