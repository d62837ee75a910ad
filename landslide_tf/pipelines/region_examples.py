"""A region's examples, and the fixed, reproducible set of copies made from them."""

from __future__ import annotations

import fnmatch
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.pipelines.arrays import load_arrays
from landslide_tf.pipelines.augment import Mask, example_generator
from landslide_tf.pipelines.built_sets import load
from landslide_tf.pipelines.inputs import InputSelection
from landslide_tf.pipelines.store import ExampleStore

BALANCED = 400  # augmented images a region is to have
MOST_ROUNDS = 7
ROUNDS = {  # of the ecoregions, after the released augmentation script
    "EASTERN_TEMPERATE_FORESTS": 7,
    "MARINE_WEST_COAST_FOREST": 6,
    "NORTH_AMERICAN_DESERTS": 5,
    "NORTHWESTERN_FORESTED_MOUNTAINS": 0,
}
_DEGREES, _SIGMAS = 20.0, (0.2, 2.0)


def load_region(
    data: str,
    split: str,
    *,
    ids: Sequence[str] = ("*",),
    arrays: str | Path | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> ExampleStore:
    """Loads the examples of a region from a split of a data set.

    Args:
        data: `name[/config]` of a registered TFDS builder.
        split: The split.
        ids: Shell patterns; an example belongs to the region if one fits its id.
        arrays: Folder of exported arrays to read instead of TFDS.
        data_dir: Folder of built data sets; None = TFDS's own.
        manual_dir: Folder with files the user has to provide.

    Returns:
        The examples, in memory unless they come from arrays.

    Raises:
        DataError: If the data cannot be read or no id fits.
    """
    if arrays is not None:
        store = load_arrays(arrays, data, split)
    else:
        store = load(data, split=split, data_dir=data_dir, manual_dir=manual_dir)
    return choose(store, [k for k, name in enumerate(store.ids) if _fits(name, ids)])


def choose(store: ExampleStore, numbers: Sequence[int]) -> ExampleStore:
    """Returns a store of chosen examples.

    Raises:
        DataError: If none is chosen.
    """
    if not numbers:
        description = store.description
        raise DataError(
            f"`{description.name}:{description.split}` has no example that was asked "
            f"for; its ids are such as `{store.ids[0]}`: correct the patterns."
        )
    return store.subset(numbers)


def draw_subset(store: ExampleStore, most: int | None, seed: int) -> ExampleStore:
    """Returns at most `most` examples, drawn as the released scripts draw them."""
    if most is None or len(store) <= most:
        return store
    # Python's own generator: the published subset is its draw with seed 7.
    return choose(store, random.Random(seed).sample(range(len(store)), most))


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def default_rounds(region: str, examples: int) -> int:
    """Returns the default numbers of rotated and blurred copies per example.

    Args:
        region: Name of the region; the ecoregions have the published numbers.
        examples: Examples of its training split.

    Returns:
        What brings a region to some 400 images, at most 7.
    """
    if region in ROUNDS:
        return ROUNDS[region]
    return min(MOST_ROUNDS, max(0, round((BALANCED / examples - 1) / 2)))


@dataclass(frozen=True)
class RegionExamples:
    """A region's examples at one size, each with its fixed changed copies.

    Copy 0 is the example; with `rounds` n follow n rotations by up to 20°, one mirrored
    left to right and n blurred by a Gaussian of 0.2 to 2 pixels (the augmentation
    released with Nagendra et al. 2022). A copy depends on (seed, id, number) alone, so
    that what a model said of it can be recorded.

    Attributes:
        store: The examples.
        selection: Channels of the model's image.
        size: Height and width in pixels that all are brought to.
        rounds: n; 0 for the examples alone.
        seed: Seed of the copies.
    """

    store: ExampleStore
    selection: InputSelection
    size: int
    rounds: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses channels the data set does not have."""
        self.selection.check(self.store)

    @property
    def copies(self) -> int:
        """Copies of each example, itself included."""
        return 2 * self.rounds + 2 if self.rounds else 1

    @property
    def bands(self) -> int:
        """Channels of the image."""
        return len(self.selection.image)

    def __len__(self) -> int:
        """Returns the number of examples and copies."""
        return len(self.store) * self.copies

    def key(self, number: int) -> tuple[str, int]:
        """Returns the id and the copy that a number stands for."""
        example, copy = divmod(number, self.copies)
        return self.store.ids[example], copy

    def load(self, number: int) -> tuple[FloatArray, Mask]:
        """Returns one example or copy.

        Args:
            number: Example × `copies` + copy.

        Returns:
            Image float32 (size, size, channels), raw units, and mask uint8 (size,
            size): 1 landslide, 0 not, 255 ignored.
        """
        place, copy = divmod(number, self.copies)
        description = self.store.description
        example = self.store.examples[place]
        image = self.selection.inputs(example, description.channels)["image"]
        mask = np.where(
            example["mask"] == IGNORE_VALUE,
            IGNORE_VALUE,
            example["mask"] == description.landslide_class,
        ).astype(np.uint8)
        # Matrix products round differently for bands that lie apart.
        image = np.ascontiguousarray(image)
        image, mask = resize_image(image, self.size), resize_mask(mask, self.size)
        if not copy:
            return image, mask
        if copy == self.rounds + 1:
            return image[:, ::-1].copy(), mask[:, ::-1].copy()
        generator = example_generator(self.seed, copy, self.store.ids[place])
        if copy <= self.rounds:
            return rotated(image, mask, generator.uniform(-_DEGREES, _DEGREES))
        return blurred(image, generator.uniform(*_SIGMAS)), mask


def rotated(image: FloatArray, mask: Mask, degrees: float) -> tuple[FloatArray, Mask]:
    """Turns an example about its centre; what comes from outside is 0.

    Args:
        image: float32 (H, W, C), interpolated linearly.
        mask: uint8 (H, W), nearest.
        degrees: Angle, counter-clockwise.

    Returns:
        Image and mask of the same size.
    """
    from scipy import ndimage

    angle = math.radians(degrees)
    turn = np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    centre = (np.array(mask.shape) - 1) / 2
    offset = centre - turn @ centre
    channels = [
        ndimage.affine_transform(image[..., k], turn, offset, order=1)
        for k in range(image.shape[-1])
    ]
    return np.stack(channels, -1), ndimage.affine_transform(mask, turn, offset, order=0)


def blurred(image: FloatArray, sigma: float) -> FloatArray:
    """Filters an image (H, W, C) by a Gaussian of radius ⌈3σ⌉, mirrored at the rim."""
    from scipy import ndimage

    return ndimage.gaussian_filter(
        image,
        (sigma, sigma, 0),
        radius=(math.ceil(3 * sigma),) * 2 + (0,),
        mode="mirror",
    )


def resize_image(image: FloatArray, size: int) -> FloatArray:
    """Brings an image to a square, whatever its aspect.

    Args:
        image: float32 (H, W, C).
        size: Height and width of the result, pixels.

    Returns:
        float32 (size, size, C): means over areas where no side grows, else bilinear
        with a filter widened to where a side shrinks.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    make = _area if size <= min(height, width) else _triangle
    rows, columns = make(height, size), make(width, size)
    return np.einsum("yh,hwc,xw->yxc", rows, image, columns, optimize=True)


def resize_mask(mask: Mask, size: int) -> Mask:
    """Brings a mask to a square.

    Args:
        mask: uint8 (H, W) of 0, 1 and 255.
        size: Height and width of the result, pixels.

    Returns:
        uint8 (size, size): where no side grows, 1 if landslide covers at least half of
        a pixel's area, 255 if that which is ignored does; else the nearest pixel.
    """
    height, width = mask.shape
    if (height, width) == (size, size):
        return mask
    if size > min(height, width):
        rows = (np.arange(size) + 0.5) * height // size
        columns = (np.arange(size) + 0.5) * width // size
        return mask[rows.astype(int)[:, None], columns.astype(int)]
    rows, columns = _area(height, size), _area(width, size)
    landslide, ignored = (
        # Ties are landslide: they must not be lost to rounding.
        rows @ (mask == value).astype(np.float32) @ columns.T >= 0.5 - 1e-5
        for value in (1, IGNORE_VALUE)
    )
    return np.where(landslide, 1, np.where(ignored, IGNORE_VALUE, 0)).astype(np.uint8)


def _area(before: int, after: int) -> FloatArray:
    """Returns the share of every old pixel in every new one, (after, before)."""
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return (np.maximum(high - low, 0) * (after / before)).astype(np.float32)


def _triangle(before: int, after: int) -> FloatArray:
    """Returns the weights of linear interpolation, (after, before)."""
    scale = before / after
    centres = (np.arange(after) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(before) - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
