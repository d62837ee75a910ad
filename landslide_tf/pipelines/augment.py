"""Joint augmentation of image, factors and mask, drawn from (seed, epoch, id)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.pipelines.inputs import Inputs
from landslide_tf.terrain import DIHEDRAL, dihedral, dihedral_factors

Mask = NDArray[np.uint8]


def example_generator(seed: int, epoch: int, name: str) -> np.random.Generator:
    """Returns the random stream of one draw of one example.

    The stream depends on nothing but its arguments: not on the order of reading, the
    number of workers or the steps done before.

    Args:
        seed: Seed of the run.
        epoch: Epoch, 0-based.
        name: Id of the example (with the number of the draw where it is drawn more
            than once an epoch).

    Returns:
        A NumPy generator.
    """
    entropy = [seed, epoch, zlib.crc32(name.encode())]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


@dataclass(frozen=True)
class Augmentation:
    """Which changes training examples undergo.

    Attributes:
        dihedral: One of the eight flips and quarter turns; aspect turns along.
        brightness: Largest relative change of brightness, e.g. 0.1 for ±10 %; of
            `image` only.
        contrast: Largest relative change of contrast around the tile's band means;
            of `image` only.
        image_range: Limits the changed image is clipped to.
    """

    dihedral: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    image_range: tuple[float, float] = (0.0, 255.0)

    def __call__(
        self,
        inputs: Inputs,
        mask: Mask,
        generator: np.random.Generator,
        kinds: Sequence[str],
    ) -> tuple[Inputs, Mask]:
        """Returns one augmented example.

        Args:
            inputs: `image` (H, W, C) and perhaps `factors` (H, W, F), raw units.
            mask: uint8 (H, W).
            generator: Random stream of this draw.
            kinds: Kind of each factor channel; `"aspect"` is turned with the image.

        Returns:
            New inputs and mask; H and W change places under a quarter turn.
        """
        inputs = dict(inputs)
        # All draws are made whatever is switched on, so that switching one change
        # off leaves the others as they were.
        operation = DIHEDRAL[generator.integers(len(DIHEDRAL))]
        brightness, contrast = generator.uniform(-1.0, 1.0, 2).astype(np.float32)
        if self.dihedral:
            inputs["image"] = dihedral(inputs["image"], operation)
            mask = dihedral(mask, operation)
            if "factors" in inputs:
                inputs["factors"] = dihedral_factors(
                    inputs["factors"], kinds, operation
                )
        if self.brightness or self.contrast:
            image = inputs["image"]
            mean = np.nanmean(image, axis=(0, 1), keepdims=True)
            image = (image - mean) * (1 + contrast * np.float32(self.contrast))
            image = image + mean * (1 + brightness * np.float32(self.brightness))
            inputs["image"] = np.clip(image, *self.image_range).astype(np.float32)
        return inputs, mask


def random_patch(
    inputs: Inputs, mask: Mask, size: int, generator: np.random.Generator
) -> tuple[Inputs, Mask]:
    """Cuts a square patch at a random place.

    Args:
        inputs: `image` (H, W, C) and perhaps `factors` (H, W, F).
        mask: uint8 (H, W).
        size: Side of the patch in pixels.
        generator: Random stream of this draw.

    Returns:
        Inputs and mask of `size` × `size`; a smaller example is padded at the bottom
        and right with 255 in the mask.
    """
    height, width = mask.shape
    top = int(generator.integers(max(1, height - size + 1)))
    left = int(generator.integers(max(1, width - size + 1)))
    window = np.s_[top : top + size, left : left + size]
    cut = {key: value[window] for key, value in inputs.items()}
    return pad_example(cut, mask[window], size, size)


def pad_example(
    inputs: Inputs, mask: Mask, height: int, width: int
) -> tuple[Inputs, Mask]:
    """Pads an example at the bottom and right to a given size.

    Args:
        inputs: `image` (H, W, C) and perhaps `factors` (H, W, F).
        mask: uint8 (H, W).
        height: Height to reach.
        width: Width to reach.

    Returns:
        The image extended by mirroring (the network sees no false edge), factors
        likewise, and the mask by 255, so that padded pixels never count.
    """
    rows, cols = height - mask.shape[0], width - mask.shape[1]
    if rows <= 0 and cols <= 0:
        return inputs, mask
    space = ((0, max(rows, 0)), (0, max(cols, 0)))
    padded = {
        key: np.pad(value, (*space, (0, 0)), mode="symmetric")
        for key, value in inputs.items()
    }
    return padded, np.pad(mask, space, constant_values=IGNORE_VALUE)
