"""Joint augmentation of image, factors and mask, drawn from (seed, epoch, id)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from landslide_tf.choices import Padding
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.pipelines.inputs import Inputs
from landslide_tf.terrain import DIHEDRAL, dihedral, dihedral_factors

Mask = NDArray[np.uint8]
Window: TypeAlias = tuple[slice, slice]


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
        brightness: Largest relative change of brightness, e.g. 0.1 for ±10 %; of the
            colours of `image` only.
        contrast: Largest relative change of contrast around the tile's band means;
            of the colours of `image` only.
        factor_jitter: Largest relative change of each factor, e.g. 0.1 for ±10 %;
            aspects stay.
        flip: Every second example is mirrored left to right.
        scale: Smallest and largest length of the short side, as multiples of the
            patch; drawn evenly among whole pixels.
        padding: What surrounds an example smaller than its patch: `"mirror"` or
            `"black"` (0, and NaN in factors).
        pad_label: Label of what is padded black.
        blur: Largest standard deviation, in pixels, of a Gaussian filter that every
            second image undergoes.
        image_range: Limits the changed image is clipped to.
    """

    dihedral: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    factor_jitter: float = 0.0
    flip: bool = False
    scale: tuple[float, float] | None = None
    padding: Padding = "mirror"
    pad_label: int = IGNORE_VALUE
    blur: float = 0.0
    image_range: tuple[float, float] = (0.0, 255.0)

    def place(
        self,
        inputs: Inputs,
        mask: Mask,
        patch: int | None,
        generator: np.random.Generator,
        kinds: Sequence[str],
    ) -> tuple[Inputs, Mask]:
        """Flips and scales an example and cuts a random patch, in this order.

        With `padding="black"` it is steps 1 to 4 of what MFFENet's released code does
        to an example; the blur of `__call__` is step 5.

        Args:
            inputs: `image` (H, W, C) and perhaps `factors` (H, W, F), raw units.
            mask: uint8 (H, W).
            patch: Side of the patch in pixels; None takes the whole example.
            generator: Random stream of this draw.
            kinds: Kind of each factor channel; `"aspect"` is turned with the image.

        Returns:
            New inputs and mask.
        """
        # Nothing is drawn for what is off: recipes without these keep their numbers.
        if self.flip and generator.random() < 0.5:
            inputs = _turned(inputs, "flip_left_right", kinds)
            mask = dihedral(mask, "flip_left_right")
        if patch is None:
            return inputs, mask
        size = mask.shape
        if self.scale is not None:
            low, high = (round(factor * patch) for factor in self.scale)
            side = int(generator.integers(max(1, low), max(1, high), endpoint=True))
            size = _scaled(size, side)
        window = _window(size, patch, generator)
        if size != mask.shape:
            inputs, mask = _resized(inputs, mask, size, window)
            window = np.s_[:, :]
        return _patch(inputs, mask, patch, window, self.padding, self.pad_label)

    def __call__(
        self,
        inputs: Inputs,
        mask: Mask,
        generator: np.random.Generator,
        kinds: Sequence[str],
        colours: Sequence[int] | None = None,
    ) -> tuple[Inputs, Mask]:
        """Returns one augmented example.

        Args:
            inputs: `image` (H, W, C) and perhaps `factors` (H, W, F), raw units.
            mask: uint8 (H, W).
            generator: Random stream of this draw.
            kinds: Kind of each factor channel; `"aspect"` is turned with the image.
            colours: Bands of `image` whose brightness and contrast change; None = all.

        Returns:
            New inputs and mask; H and W change places under a quarter turn.
        """
        inputs, operation = self.changed(inputs, generator, kinds, colours)
        return inputs, dihedral(mask, operation)

    def changed(
        self,
        inputs: Inputs,
        generator: np.random.Generator,
        kinds: Sequence[str],
        colours: Sequence[int] | None = None,
    ) -> tuple[Inputs, str]:
        """Returns augmented inputs of an example whose label has no place.

        Args:
            inputs: As above.
            generator: As above.
            kinds: As above.
            colours: As above.

        Returns:
            New inputs, and the one of `terrain.DIHEDRAL` that has turned them.
        """
        inputs = dict(inputs)
        # All draws are made whatever is switched on, so that switching one change
        # off leaves the others as they were.
        operation = DIHEDRAL[generator.integers(len(DIHEDRAL))]
        brightness, contrast = generator.uniform(-1.0, 1.0, 2).astype(np.float32)
        if not self.dihedral:
            operation = DIHEDRAL[0]  # the identity
        inputs = _turned(inputs, operation, kinds)
        if self.brightness or self.contrast:
            inputs["image"] = _recoloured(
                inputs["image"],
                range(inputs["image"].shape[-1]) if colours is None else colours,
                1 + contrast * np.float32(self.contrast),
                1 + brightness * np.float32(self.brightness),
                self.image_range,
            )
        if self.factor_jitter and "factors" in inputs:
            gains = generator.uniform(-1.0, 1.0, len(kinds)) * self.factor_jitter
            gains[[kind == "aspect" for kind in kinds]] = 0.0
            inputs["factors"] = inputs["factors"] * (1 + gains).astype(np.float32)
        if self.blur and generator.random() < 0.5:
            sigma = generator.uniform(0.0, self.blur)
            inputs["image"] = ndimage.gaussian_filter(
                inputs["image"], sigma, axes=(0, 1), mode="nearest"
            )
        return inputs, operation


def _recoloured(
    image: NDArray[np.float32],
    chosen: Sequence[int],
    contrast: np.float32,
    brightness: np.float32,
    limits: tuple[float, float],
) -> NDArray[np.float32]:
    """Stretches bands of an image around their means and scales the means.

    A band that lies together is five times as fast as one among others.
    """
    quarter = abs(image.strides[0]) < abs(image.strides[1])
    upright = image.swapaxes(0, 1) if quarter else image
    bands = np.moveaxis(upright, -1, 0)
    changed = np.empty(bands.shape, np.float32)
    for number, (band, new) in enumerate(zip(bands, changed, strict=True)):
        if number not in chosen:
            new[:] = band
            continue
        mean = band.mean()
        if np.isnan(mean):
            mean = np.nanmean(band)
        np.subtract(band, mean, out=new)
        new *= contrast
        new += mean * brightness
        np.clip(new, *limits, out=new)
    result = np.moveaxis(changed, 0, -1)
    return result.swapaxes(0, 1) if quarter else result


def _turned(inputs: Inputs, operation: str, kinds: Sequence[str]) -> Inputs:
    if operation == DIHEDRAL[0]:
        return inputs
    turned = {**inputs, "image": dihedral(inputs["image"], operation)}
    if "factors" in inputs:
        turned["factors"] = dihedral_factors(inputs["factors"], kinds, operation)
    return turned


def _scaled(size: tuple[int, ...], side: int) -> tuple[int, ...]:
    return tuple(round(n * side / min(size)) for n in size)


def _resized(
    inputs: Inputs, mask: Mask, size: tuple[int, ...], window: Window
) -> tuple[Inputs, Mask]:
    """Returns what lies in a window of an example brought to a size.

    The image is resized by the triangle filter of Pillow's `BILINEAR`, which averages
    where it shrinks; mask and factors take the nearest pixel, so that directions and
    missing values stay values.
    """
    rows, cols = (
        _nearest(old, new)[part]
        for old, new, part in zip(mask.shape, size, window, strict=True)
    )
    resized = {**inputs, "image": _averaged(inputs["image"], size, window)}
    if "factors" in inputs:
        resized["factors"] = inputs["factors"][rows][:, cols]
    return resized, mask[rows][:, cols]


def _nearest(size: int, wanted: int) -> NDArray[np.intp]:
    """Returns the pixel below the centre of each new one."""
    return ((2 * np.arange(wanted) + 1) * size // (2 * wanted)).astype(np.intp)


def _averaged(
    image: NDArray[np.float32], size: tuple[int, ...], window: Window
) -> NDArray[np.float32]:
    rows, cols = (range(n)[part] for n, part in zip(size, window, strict=True))
    across, down = (
        (part.start * old / new, min(part.stop * old / new, old))
        for part, old, new in zip(
            (cols, rows), image.shape[1::-1], size[::-1], strict=True
        )
    )
    box = across[0], down[0], across[1], down[1]  # what of the image is resized
    resized = np.empty((image.shape[-1], len(rows), len(cols)), np.float32)
    for k, new in enumerate(resized):
        band = Image.fromarray(np.ascontiguousarray(image[..., k], np.float32))
        part = band.resize((len(cols), len(rows)), Image.Resampling.BILINEAR, box)
        new[:] = np.asarray(part)
    return np.moveaxis(resized, 0, -1)


def random_patch(
    inputs: Inputs,
    mask: Mask,
    size: int,
    generator: np.random.Generator,
    *,
    padding: Padding = "mirror",
    pad_label: int = IGNORE_VALUE,
) -> tuple[Inputs, Mask]:
    """Cuts a square patch at a random place.

    Args:
        inputs: `image` (H, W, C) and perhaps `factors` (H, W, F).
        mask: uint8 (H, W).
        size: Side of the patch in pixels.
        generator: Random stream of this draw.
        padding: `"mirror"` or `"black"`.
        pad_label: Label of what is padded black.

    Returns:
        Inputs and mask of `size` × `size`; a smaller example is padded at the bottom
        and right, mirrored with 255 in the mask, or black.
    """
    window = _window(mask.shape, size, generator)
    return _patch(inputs, mask, size, window, padding, pad_label)


def _window(
    shape: tuple[int, ...], size: int, generator: np.random.Generator
) -> Window:
    """Draws the place of a patch, which a smaller example does not fill."""
    top, left = (int(generator.integers(max(1, n - size + 1))) for n in shape)
    return slice(top, top + size), slice(left, left + size)


def _patch(
    inputs: Inputs,
    mask: Mask,
    size: int,
    window: Window,
    padding: Padding,
    pad_label: int,
) -> tuple[Inputs, Mask]:
    """Cuts a window and pads it to a size."""
    cut, mask = {key: value[window] for key, value in inputs.items()}, mask[window]
    if padding == "mirror":
        return pad_example(cut, mask, size, size)
    missing = [(0, max(0, size - n)) for n in mask.shape]
    black = {
        key: _padded(
            value, missing, constant_values=np.nan if key == "factors" else 0.0
        )
        for key, value in cut.items()
    }
    return black, np.pad(mask, missing, constant_values=pad_label)


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
    missing = [(0, max(rows, 0)), (0, max(cols, 0))]
    padded = {
        key: _padded(value, missing, mode="symmetric") for key, value in inputs.items()
    }
    return padded, np.pad(mask, missing, constant_values=IGNORE_VALUE)


def _padded(
    image: NDArray[np.float32],
    missing: list[tuple[int, int]],
    **how: Any,  # as `np.pad` takes it
) -> NDArray[np.float32]:
    """Pads an image (H, W, C), keeping each band together."""
    bands = np.pad(np.moveaxis(image, -1, 0), [(0, 0), *missing], **how)
    return np.moveaxis(bands, 0, -1)
